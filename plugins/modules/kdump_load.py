#!/usr/bin/python
# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: kdump_load
short_description: Build and load the capture kernel, and believe only the kernel
version_added: 0.1.0
description:
  - Builds the capture initrd if it is missing or older than what goes into it, loads the capture kernel, and succeeds only
    when the kernel itself says that it is loaded.
  - Otherwise it fails with the cause that it found, and what was there before comes back and is loaded again. That includes
    the configuration that M(kdump.fleet.kdump_conf) replaced.
extends_documentation_fragment:
  - kdump.fleet._attributes
  - kdump.fleet._attributes.changing_module
  - kdump.fleet._attributes.actiongroup_kdump
options:
  state:
    description:
      - V(loaded) builds what is missing or stale and loads.
      - V(built) builds alone, for the kernel of the next boot where no memory is reserved yet.
      - V(unloaded) unloads the capture kernel; a crash writes no dump then.
    type: str
    choices: [loaded, built, unloaded]
    default: loaded
  tooling:
    description:
      - The dump tooling. V(auto) takes the one that is installed, else the distribution's own.
    type: str
    choices: [auto, kdumpctl, kdump-tools, suse, kexec]
    default: auto
author:
  - The kdump.fleet authors (@kdump-fleet)
"""

EXAMPLES = r"""
- name: Be ready for a crash
  kdump.fleet.kdump_load:

- name: Build the initrd now, so that the next boot does not have to
  kdump.fleet.kdump_load:
    state: built
"""

RETURN = r"""
loaded:
  description: Whether a capture kernel is loaded now, as the kernel says.
  type: bool
  returned: always
  sample: true
reserved:
  description: The bytes that are reserved for it.
  type: int
  returned: always
  sample: 134217728
initrd:
  description: The capture initrd.
  type: str
  returned: always
  sample: /var/lib/kdump/initrd.img-6.1.0-40-amd64
built:
  description: Why the initrd was built; empty if it was good.
  type: list
  elements: str
  returned: always
  sample: []
restored:
  description: The files that were put back because the capture kernel did not load with the new ones.
  type: list
  elements: str
  returned: always
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kdump.fleet.plugins.module_utils import arm
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host
from ansible_collections.kdump.fleet.plugins.module_utils.observe import observe
from ansible_collections.kdump.fleet.plugins.module_utils.runner import SystemRunner


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {
                "type": "str",
                "choices": ["loaded", "built", "unloaded"],
                "default": "loaded",
            },
            "tooling": {
                "type": "str",
                "choices": ["auto", "kdumpctl", "kdump-tools", "suse", "kexec"],
                "default": "auto",
            },
        },
        supports_check_mode=True,
    )
    host = Host(SystemRunner())
    facts = observe(host, module.params["tooling"])
    try:
        plan = arm.plan(facts, module.params["state"])
        outcome = (
            arm.apply(host, facts, plan)
            if plan.changed and not module.check_mode
            else arm.planned(facts, plan)
        )
    except arm.ArmError as exc:
        module.fail_json(msg=str(exc), **exc.outcome._asdict())
    diff = {"before": f"loaded: {facts['loaded']}\n", "after": f"loaded: {outcome.loaded}\n"}
    module.exit_json(changed=plan.changed, diff=diff, **outcome._asdict())


if __name__ == "__main__":
    main()
