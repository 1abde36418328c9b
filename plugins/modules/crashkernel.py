#!/usr/bin/python
# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: crashkernel
short_description: Set crashkernel= for the next boot
version_added: 0.1.0
description:
  - Sets, changes or removes C(crashkernel=) in the boot loader's configuration, and keeps every other kernel argument.
  - It covers every installed kernel and the default for those to come. Recovery entries and other systems stay as they are.
  - What the boot loader will boot is read back. If it would not have the wanted value, the change is taken back.
    Ended at any point, the host still boots, and the next run does the rest.
  - The running kernel keeps its reservation until the host is rebooted; see RV(reboot_required).
extends_documentation_fragment:
  - kdump.fleet._attributes
  - kdump.fleet._attributes.changing_module
  - kdump.fleet._attributes.actiongroup_kdump
  - kdump.fleet._kernel_scope
options:
  state:
    description:
      - V(present) sets exactly the words of O(value), V(absent) leaves none.
    type: str
    choices: [present, absent]
    default: present
  value:
    description:
      - The values, without C(crashkernel=); more than one where the kernel wants more, such as V(512M,high) with V(128M,low).
      - Each is checked against the kernel's grammar, and all together against this host's RAM and architecture, before anything is written.
      - V(auto) alone takes the size that this host needs, and V(distro) alone the default of its distribution.
      - Required with O(state=present).
    type: list
    elements: str
author:
  - The kdump.fleet authors (@kdump-fleet)
"""

EXAMPLES = r"""
- name: Reserve what this host needs from the next boot on
  kdump.fleet.crashkernel:
    value: auto
  register: reservation

- name: Say how it came to that figure
  ansible.builtin.debug:
    var: reservation.reasoning

- name: Reserve above 4 GiB, with a part below
  kdump.fleet.crashkernel:
    value:
      - 1G,high
      - 256M,low

- name: Try another size with one kernel
  kdump.fleet.crashkernel:
    value: 512M
    kernel: DEFAULT

- name: Reserve nothing
  kdump.fleet.crashkernel:
    state: absent
"""

RETURN = r"""
boot_loader:
  description: The boot loader that was configured.
  type: str
  returned: success
  sample: grub
value:
  description: The values that were asked for; what V(auto) and V(distro) came to.
  type: list
  elements: str
  returned: success
  sample: ["144M"]
before:
  description: The values that the next boot would have had.
  type: list
  elements: str
  returned: success
  sample: []
after:
  description: The values that the next boot will have. In check mode, those that it would have.
  type: list
  elements: str
  returned: success
  sample: ["144M"]
next_boot:
  description: What the kernel will make of RV(after) with this host's RAM.
  type: dict
  returned: success
  contains:
    ok:
      description: Whether it reserves anything.
      type: bool
    error:
      description: Why not.
      type: str
    size:
      description: Bytes, rounded by nothing.
      type: int
    low:
      description: Bytes below 4 GiB beside a V(,high).
      type: int
    cma:
      description: Bytes of V(,cma).
      type: int
    words:
      description: The same as RV(after).
      type: list
      elements: str
  sample: {"ok": true, "error": "", "size": 150994944, "low": 0, "cma": 0, "words": ["144M"]}
running:
  description: The values of the running kernel.
  type: list
  elements: str
  returned: success
  sample: []
bytes_reserved:
  description: What the running kernel has reserved, in bytes; V(none) if it has no kexec.
  type: int
  returned: success
  sample: 0
reboot_required:
  description: Whether the running kernel has other values than the next one will have.
  type: bool
  returned: success
  sample: true
reasoning:
  description: How O(value) came about, one sentence each.
  type: list
  elements: str
  returned: success
  sample:
    - "auto: 144 MiB; estimated need 126 MiB, and a margin"
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader import setting
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.argument import CRASHKERNEL
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.base import BootLoaderError
from ansible_collections.kdump.fleet.plugins.module_utils.crashkernel import (
    CrashkernelError,
    check_values,
)
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host
from ansible_collections.kdump.fleet.plugins.module_utils.observe import (
    crashkernel_facts,
    observe,
    reserved,
    system_ram,
)
from ansible_collections.kdump.fleet.plugins.module_utils.plan import crashkernel_values
from ansible_collections.kdump.fleet.plugins.module_utils.runner import CommandError, SystemRunner
from ansible_collections.kdump.fleet.plugins.module_utils.wanted import Wanted


def wanted_values(host: Host, given: t.Sequence[str]) -> t.Tuple[t.List[str], t.List[str]]:
    """Return the values that are asked for, and how they came about.

    :raises CrashkernelError: 'auto' or 'distro' has no answer here.
    """
    if list(given) not in (["auto"], ["distro"]):
        return list(given), ["as asked for"]
    facts = observe(host)
    found = crashkernel_values(Wanted(crashkernel=given[0]), facts)
    if found.problems or not found.values:
        reasons = found.problems or [found.too_small or "; ".join(found.reasoning)]
        raise CrashkernelError("; ".join(reasons).replace("kdump_crashkernel", "value"))
    return found.values, found.reasoning


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "value": {"type": "list", "elements": "str"},
            "kernel": {"type": "str", "default": "ALL"},
        },
        required_if=[("state", "present", ["value"])],
        supports_check_mode=True,
    )
    host = Host(SystemRunner())
    arch = host.ask(["uname", "-m"]) or ""
    ram = system_ram(host)
    values: t.List[str] = []
    reasoning = ["nothing is to be reserved"]
    try:
        target = setting.find(host, module.params["kernel"])
        if module.params["state"] == "present":
            values, reasoning = wanted_values(host, module.params["value"])
            for release in sorted(
                {entry.kernel_release for entry in [*target.chosen, target.following]}
            ):
                check_values(values, ram, arch, release)
        result = setting.settle(host, target, values, CRASHKERNEL, module.check_mode)
    except (CrashkernelError, BootLoaderError, CommandError, OSError) as exc:
        module.fail_json(msg=str(exc))
    next_cmdline = CRASHKERNEL.text(result["after"])
    module.exit_json(
        value=values,
        next_boot=crashkernel_facts(result["after"], next_cmdline, ram, arch),
        bytes_reserved=reserved(host),
        reasoning=reasoning,
        **result,
    )


if __name__ == "__main__":
    main()
