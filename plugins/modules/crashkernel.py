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
  - With GRUB, this is a drop-in that has the last word, C(/etc/default/grub.d/zz-kdump-fleet.cfg); other files stay as they are.
    What C(update-grub) made of it is read back. If the next boot would not have the wanted value, the change is taken back.
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
      - Each is checked against the kernel's grammar, and all together against this host's RAM and architecture.
      - Required with O(state=present).
    type: list
    elements: str
author:
  - The kdump.fleet authors (@kdump-fleet)
"""

EXAMPLES = r"""
- name: Reserve 256 MiB from the next boot on
  kdump.fleet.crashkernel:
    value: 256M
  register: reservation

- name: Reserve above 4 GiB, with a part below
  kdump.fleet.crashkernel:
    value:
      - 1G,high
      - 256M,low

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
  description: The values of the next boot.
  type: list
  elements: str
  returned: success
  sample: ["256M"]
running:
  description: The values of the running kernel.
  type: list
  elements: str
  returned: success
  sample: []
reboot_required:
  description: Whether the running kernel has other values than the next one will have.
  type: bool
  returned: success
  sample: true
"""

import re
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.base import (
    BootLoader,
    BootLoaderError,
    FileChange,
    differing,
    next_entry,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.registry import detect
from ansible_collections.kdump.fleet.plugins.module_utils.crashkernel import (
    CrashkernelError,
    check_values,
    words,
)
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host
from ansible_collections.kdump.fleet.plugins.module_utils.observe import system_ram
from ansible_collections.kdump.fleet.plugins.module_utils.runner import CommandError, SystemRunner


def write(host: Host, changes: t.Sequence[FileChange], back: bool = False) -> None:
    for change in changes:
        text = change.before if back else change.after
        if text is None:
            host.remove(change.path)
        else:
            host.write(change.path, text)


def apply(
    host: Host, loader: BootLoader, changes: t.Sequence[FileChange], values: t.Sequence[str]
) -> None:
    """Write the changes and see that the next boot has the values; else put everything back.

    :raises BootLoaderError: it has not, or the boot loader's own tool failed.
    """
    try:
        write(host, changes)
        loader.regenerate(host)
        wrong = differing(loader.entries(host), values)
        if wrong:
            raise BootLoaderError(
                f"after the change, {wrong[0].title!r} still has crashkernel={' '.join(wrong[0].crashkernel) or '(none)'}; "
                f"something outside of {loader.name}'s defaults sets it, look into /etc/grub.d"
            )
    except (CommandError, BootLoaderError, OSError) as exc:
        write(host, changes, back=True)
        try:
            loader.regenerate(host)
        except CommandError as again:
            raise BootLoaderError(
                f"{exc}; the files are back as they were, but the boot loader could not be set up with them: {again}"
            ) from exc
        raise BootLoaderError(f"{exc}; the boot loader is back as it was") from exc


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "value": {"type": "list", "elements": "str"},
        },
        required_if=[("state", "present", ["value"])],
        supports_check_mode=True,
    )
    host = Host(SystemRunner())
    values = module.params["value"] if module.params["state"] == "present" else []
    running = words(host.read("/proc/cmdline") or "")
    try:
        loader = detect(host)
        if loader is None:
            raise BootLoaderError(
                "no boot loader that kdump.fleet can drive was found (it knows GRUB with update-grub)"
            )
        entries = loader.entries(host)
        following = next_entry(entries)
        if following is None:
            raise BootLoaderError(f"{loader.name} has no entry that boots a Linux kernel")
        if module.params["state"] == "present":
            release = re.sub(r"^.*/vmlinu[xz]-", "", following.kernel)
            arch = host.ask(["uname", "-m"]) or ""
            check_values(values, system_ram(host), arch, release)
        changes = loader.plan(host, values)
        changed = bool(changes or differing(entries, values))
        if changed and not module.check_mode:
            apply(host, loader, changes, values)
    except (CrashkernelError, BootLoaderError, CommandError, OSError) as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(
        changed=changed,
        boot_loader=loader.name,
        value=values,
        running=running,
        reboot_required=running != values,
        diff=[
            {
                "before_header": change.path,
                "after_header": change.path,
                "before": change.before or "",
                "after": change.after or "",
            }
            for change in changes
        ],
    )


if __name__ == "__main__":
    main()
