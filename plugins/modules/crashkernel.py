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
  kernel:
    description:
      - Whose arguments are set, V(ALL) for all of this host's kernels and those to come, V(DEFAULT) for the one that boots next,
        or a kernel by its release or its path.
      - A boot loader that gives all kernels the same arguments takes V(ALL) only.
    type: str
    default: ALL
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

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.apply import apply
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.base import (
    BootLoaderError,
    Change,
    Command,
    next_entry,
    select,
    undecided,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.registry import detect, known
from ansible_collections.kdump.fleet.plugins.module_utils.crashkernel import (
    CrashkernelError,
    check_values,
    words,
)
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host
from ansible_collections.kdump.fleet.plugins.module_utils.observe import (
    crashkernel_facts,
    observe,
    reserved,
    system_ram,
)
from ansible_collections.kdump.fleet.plugins.module_utils.plan import Wanted, crashkernel_values
from ansible_collections.kdump.fleet.plugins.module_utils.runner import CommandError, SystemRunner


def shown(change: Change) -> t.Dict[str, str]:
    """Return a change as Ansible shows it with --diff."""
    name = change.what if isinstance(change, Command) else change.path
    return {
        "before_header": name,
        "after_header": name,
        "before": change.before or "",
        "after": change.after or "",
    }


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
    scope = module.params["kernel"]
    cmdline = host.read("/proc/cmdline") or ""
    running = words(cmdline)
    arch = host.ask(["uname", "-m"]) or ""
    ram = system_ram(host)
    values: t.List[str] = []
    reasoning = ["nothing is to be reserved"]
    try:
        loader = detect(host)
        if loader is None:
            raise BootLoaderError(
                f"no boot loader that kdump.fleet can drive was found (it knows {known()})"
            )
        entries = loader.entries(host)
        following = next_entry(entries)
        if following is None:
            raise BootLoaderError(f"{loader.name} has no entry that boots a Linux kernel")
        chosen = select(entries, scope)
        if module.params["state"] == "present":
            values, reasoning = wanted_values(host, module.params["value"])
            for release in sorted({entry.kernel_release for entry in [*chosen, following]}):
                check_values(values, ram, arch, release)
            if scope == "ALL" and not following.own and following.crashkernel != values:
                raise BootLoaderError(undecided(loader, following))
        changes = (
            loader.plan(host, values)
            if scope == "ALL"
            else loader.plan_kernels(host, values, chosen)
        )
        changed = bool(changes) or any(entry.crashkernel != values for entry in chosen)
        before, after = following.crashkernel, following.crashkernel
        if following in chosen:
            after = values
        if changed and not module.check_mode:
            apply(host, loader, changes, values, scope)
            following = next_entry(loader.entries(host)) or following
            after = following.crashkernel
    except (CrashkernelError, BootLoaderError, CommandError, OSError) as exc:
        module.fail_json(msg=str(exc))
    next_cmdline = " ".join("crashkernel=" + value for value in after)
    module.exit_json(
        changed=changed,
        boot_loader=loader.name,
        value=values,
        before=before,
        after=after,
        next_boot=crashkernel_facts(after, next_cmdline, ram, arch),
        running=running,
        bytes_reserved=reserved(host),
        reboot_required=running != after,
        reasoning=reasoning,
        diff=[shown(change) for change in changes],
    )


if __name__ == "__main__":
    main()
