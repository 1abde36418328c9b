#!/usr/bin/python
# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: vmcore_info
short_description: Say what a dump is, and whether all of it is there
version_added: 0.1.0
description:
  - Reads the headers of a dump, and the place of every record of a flattened one, with the standard library alone. It takes
    kdump-compressed and ELF dumps, flattened or not, and whole files compressed with gzip, bzip2 or xz.
  - A dump that is cut off, damaged or marked incomplete is no failure of the module; RV(problem) says what is wrong.
extends_documentation_fragment:
  - kdump.fleet._attributes
  - kdump.fleet._attributes.info_module
  - kdump.fleet._attributes.actiongroup_kdump
options:
  path:
    description:
      - The dump file.
    type: path
    required: true
  dmesg:
    description:
      - The kernel log that was saved from the same memory, beside the dump.
    type: path
  contains:
    description:
      - A text to look for in the kernel log.
    type: str
author:
  - The kdump.fleet authors (@kdump-fleet)
"""

EXAMPLES = r"""
- name: Look at a dump
  kdump.fleet.vmcore_info:
    path: /var/crash/202611210558/dump.202611210558
    dmesg: /var/crash/202611210558/dmesg.202611210558
  register: dump

- name: Refuse half a dump
  ansible.builtin.assert:
    that: dump.complete
    fail_msg: "{{ dump.problem }}"
"""

RETURN = r"""
path:
  description: The dump file.
  type: str
  returned: success
complete:
  description: Whether a dump reader would accept it and all of it is there.
  type: bool
  returned: success
problem:
  description: What is wrong with the dump; empty if nothing is.
  type: str
  returned: success
  sample: ""
size:
  description: The file's bytes.
  type: int
  returned: success
  sample: 27600048
header:
  description:
    - What the headers tell. C(format), whether it is C(flattened), C(wrapper), C(compression), C(kernel), C(machine),
      and C(size), the bytes without flattening. V(none) if there is a RV(problem).
  type: dict
  returned: success
panic:
  description: The kernel log's line that names the panic; V(none) without O(dmesg) or such a line.
  type: str
  returned: success
  sample: "Kernel panic - not syncing: sysrq triggered crash"
found:
  description: Whether O(contains) is in the kernel log.
  type: bool
  returned: success
  sample: true
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kdump.fleet.plugins.module_utils.dmesg import panic_line
from ansible_collections.kdump.fleet.plugins.module_utils.vmcore import VmcoreError, inspect


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "dmesg": {"type": "path"},
            "contains": {"type": "str"},
        },
        required_by={"contains": ["dmesg"]},
        supports_check_mode=True,
    )
    path, log = module.params["path"], module.params["dmesg"]
    text = ""
    header = None
    problem = ""
    try:
        size = os.stat(path).st_size
        if log is not None:
            with open(log, encoding="utf-8", errors="replace") as handle:
                text = handle.read()
        header = dict(inspect(path)._asdict())
    except OSError as exc:
        module.fail_json(msg=f"{exc.filename} cannot be read: {exc.strerror}")
    except VmcoreError as exc:
        problem = str(exc)
    if not problem and "-incomplete" in os.path.basename(path):
        problem = "its name says that it was never finished"
    module.exit_json(
        changed=False,
        path=path,
        complete=not problem,
        problem=problem,
        size=size,
        header=header,
        panic=panic_line(text),
        found=bool(module.params["contains"]) and module.params["contains"] in text,
    )


if __name__ == "__main__":
    main()
