#!/usr/bin/python
# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: kdump_dumps
short_description: Say which dumps have arrived, and whether one is of a certain crash
version_added: 0.1.0
description:
  - Lists the dumps in the folders below a path, whatever tooling has sent them; on a dump server, in an export, or on a device of
    the host itself.
  - With O(contains) it looks for the dump of one crash among those that O(known) does not name. It reads the dump as
    M(kdump.fleet.vmcore_info) does, and its kernel log, which C(makedumpfile) takes out of the dump where none lies beside it.
  - A dump is written by a host that may be hostile. So it is read in a process of its own as the account that it belongs to, without
    other groups, and with limits of memory (4 GiB), files (256 MiB) and time (20 minutes, 10 of them on the processor). A link is not
    followed. A dump that belongs to root is read as root, within the same limits.
  - An encrypted dump cannot be read. With O(account) the receiver's C(receipt.json) proves that it arrived whole, if it names the file and
    its size, and if nothing of the host's folder is exported by NFS, because then a client could have written it.
extends_documentation_fragment:
  - kdump.fleet._attributes
  - kdump.fleet._attributes.info_module
  - kdump.fleet._attributes.actiongroup_kdump
options:
  path:
    description:
      - The folder that has a folder for each dump. It need not be there.
      - With O(device) it is the path on that.
    type: path
  account:
    description:
      - In place of O(path), the account of a dump server that the role P(kdump.fleet.kdump_server#role) has set up.
    type: str
  host:
    description:
      - The host whose dumps are meant, by the name that O(account) knows it by.
    type: str
  device:
    description:
      - The device that has the file system with O(path). It is mounted for the time of the module, read-only and seen by nobody
        else, if it is not mounted yet.
    type: str
  fstype:
    description:
      - The type of its file system.
    type: str
  known:
    description:
      - Folders, as RV(dumps) names them, in which the dump is not to be looked for.
    type: list
    elements: str
    default: []
  contains:
    description:
      - A text that the kernel log of the dump has, such as the mark of M(kdump.fleet.kdump_crash).
    type: str
author:
  - The kdump.fleet authors (@kdump-fleet)
"""

EXAMPLES = r"""
- name: Look at what web1 has sent
  kdump.fleet.kdump_dumps:
    account: kdump
    host: web1
  delegate_to: dumps.example.com
  register: arrived
"""

RETURN = r"""
path:
  description: The folder.
  type: str
  returned: success
  sample: /srv/kdump/kdump/web1
dumps:
  description:
    - The dumps, by the names of their folders. Each has C(folder), C(vmcore), C(dmesg), C(size) in bytes, and C(finished), which
      is what its names say.
  type: list
  elements: dict
  returned: success
  sample:
    - folder: /srv/kdump/kdump/web1/10.0.0.5-202611210558
      vmcore: /srv/kdump/kdump/web1/10.0.0.5-202611210558/dump.202611210558
      dmesg: /srv/kdump/kdump/web1/10.0.0.5-202611210558/dmesg.202611210558
      size: 62914560
      finished: true
proof:
  description:
    - The dump that has O(contains) in its kernel log and is complete, with C(path), C(dmesg), C(size), C(header) and C(panic) as
      M(kdump.fleet.vmcore_info) has them; V(none) if there is no such dump.
    - C(proven_by) is V(log) for it. It is V(receipt) for an encrypted dump that O(known) does not name, of which nobody can say which
      crash it is of; C(header) is V(none) then, and C(panic) is empty.
  type: dict
  returned: success
  sample:
    path: /srv/kdump/kdump/web1/10.0.0.5-202611210558/dump.202611210558
    dmesg: /srv/kdump/kdump/web1/10.0.0.5-202611210558/dmesg.202611210558
    size: 62914560
    panic: "Kernel panic - not syncing: sysrq triggered crash"
    proven_by: log
reason:
  description: Why there is no RV(proof); empty if there is one.
  type: str
  returned: success
  sample: the dump in /srv/kdump/kdump/web1/10.0.0.5-202611210558 was never finished
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kdump.fleet.plugins.module_utils import arrived
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host
from ansible_collections.kdump.fleet.plugins.module_utils.runner import CommandError, SystemRunner


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path"},
            "account": {"type": "str"},
            "host": {"type": "str"},
            "device": {"type": "str"},
            "fstype": {"type": "str"},
            "known": {"type": "list", "elements": "str", "default": []},
            "contains": {"type": "str"},
        },
        mutually_exclusive=[("path", "account"), ("device", "account")],
        required_one_of=[("path", "account")],
        required_together=[("account", "host"), ("device", "fstype")],
        supports_check_mode=True,
    )
    try:
        result = arrived.look(Host(SystemRunner()), module.params)
    except (arrived.ArrivedError, CommandError) as exc:
        module.fail_json(msg=str(exc))
    except OSError as exc:
        module.fail_json(msg=f"{exc.filename} cannot be read: {exc.strerror}")
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
