#!/usr/bin/python
# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: kernel_argument
short_description: Set an argument of the next boot's kernel
version_added: 0.1.0
description:
  - Sets, changes or removes one argument of the kernel in the boot loader's configuration, such as C(panic_on_taint=0x20), C(fadump=on)
    or C(rd.earlykdump), and keeps every other one.
  - It covers every installed kernel and the default for those to come. Recovery entries and other systems stay as they are.
  - What the boot loader will boot is read back. If it would not have the wanted value, the change is taken back.
    Ended at any point, the host still boots, and the next run does the rest.
  - The running kernel keeps its arguments until the host is rebooted; see RV(reboot_required).
  - Whether the kernel knows the argument and takes the value is not looked at.
extends_documentation_fragment:
  - kdump.fleet._attributes
  - kdump.fleet._attributes.changing_module
  - kdump.fleet._attributes.actiongroup_kdump
  - kdump.fleet._kernel_scope
options:
  name:
    description:
      - The argument's name, without C(=) and value. It has letters, digits, C(_), C(.) and C(-).
      - V(crashkernel) is refused, for it has rules of its own; see M(kdump.fleet.crashkernel).
      - So are those that the boot loader's own tools write, such as V(root), or tell a rescue entry by, such as V(single).
    type: str
    required: true
  state:
    description:
      - V(present) sets exactly the words of O(value), V(absent) leaves none, whatever O(value) says.
    type: str
    choices: [present, absent]
    default: present
  value:
    description:
      - The values. More than one makes as many words, in this order, where the kernel takes several, as with C(console=).
      - Left out, the argument stands alone, without C(=).
      - A value has letters, digits and C(_.,:/@%+=![]-), no blanks and no quotes.
      - Put V(0x20) and V(on) in quotes, for YAML reads a number and a truth value in them.
    type: list
    elements: str
  keep_original:
    description:
      - Whether the values from before the first change are noted on the host, as the role C(kdump) needs it to give them back
        when nobody asks for the argument any more. The note goes when they are back.
    type: bool
    default: false
seealso:
  - module: kdump.fleet.crashkernel
author:
  - The kdump.fleet authors (@kdump-fleet)
"""

EXAMPLES = r"""
- name: Panic when the kernel is tainted by a bad page
  kdump.fleet.kernel_argument:
    name: panic_on_taint
    value: "0x20"

- name: Let the firmware of a POWER host take the dump
  kdump.fleet.kernel_argument:
    name: fadump
    value: "on"

- name: Load the capture kernel in the initrd already
  kdump.fleet.kernel_argument:
    name: rd.earlykdump

- name: Panic for no taint any more
  kdump.fleet.kernel_argument:
    name: panic_on_taint
    state: absent
"""

RETURN = r"""
boot_loader:
  description: The boot loader that was configured.
  type: str
  returned: success
  sample: grub
before:
  description: The values that the next boot would have had; an empty one stands for the name alone.
  type: list
  elements: str
  returned: success
  sample: []
after:
  description: The values that the next boot will have. In check mode, those that it would have.
  type: list
  elements: str
  returned: success
  sample: ["0x20"]
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

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader import setting
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.argument import (
    Argument,
    problems,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.base import BootLoaderError
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host
from ansible_collections.kdump.fleet.plugins.module_utils.records import ARGUMENTS
from ansible_collections.kdump.fleet.plugins.module_utils.runner import CommandError, SystemRunner


def option_problems(value: t.Optional[t.Sequence[str]]) -> t.List[str]:
    """Return what is wrong with the option as YAML gives it, and the way out."""
    if value is None:
        return []
    if not value or "" in value:
        return [
            "value: there is an empty one; leave the option out for an argument without '=', "
            "or remove the argument with state: absent"
        ]
    return [
        f"value: {word} is how YAML reads on and off, yes and no, true and false; put the word that is meant in quotes"
        for word in value
        if word in ("True", "False")
    ]


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "value": {"type": "list", "elements": "str"},
            "kernel": {"type": "str", "default": "ALL"},
            "keep_original": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    name, value = module.params["name"], module.params["value"]
    values: t.List[str] = []
    found: t.List[str] = []
    if module.params["state"] == "present":
        values = [""] if value is None else value
        found = option_problems(value)
    found += problems(name, values)
    if found:
        module.fail_json(msg="; ".join(found))
    host = Host(SystemRunner())
    try:
        target = setting.find(host, module.params["kernel"])
        keep = module.params["keep_original"] and not module.check_mode
        if keep:
            # First, so that a run that is cut off can be undone.
            ARGUMENTS.keep(host, {name: target.following.values(Argument(name))})
        result = setting.settle(host, target, values, Argument(name), module.check_mode)
        if keep and ARGUMENTS.load(host).get(name) == values:
            ARGUMENTS.forget(host, [name])
    except (BootLoaderError, CommandError, OSError) as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
