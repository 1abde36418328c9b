#!/usr/bin/python
# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: kdump_conf
short_description: Write the dump tooling's configuration
version_added: 0.1.0
description:
  - Sets single settings of the tooling's configuration file, and keeps every other line of it.
  - Adds what notes the memory that a capture uses, for M(kdump.fleet.crashkernel) to size by, with kdump-tools a script and
    two systemd files.
  - Every setting is checked by the tooling's own rules before anything is written.
  - The file from before the change is kept on the host until M(kdump.fleet.kdump_load) has the kernel's word that the
    new one works; that module puts it back otherwise.
extends_documentation_fragment:
  - kdump.fleet._attributes
  - kdump.fleet._attributes.changing_module
  - kdump.fleet._attributes.actiongroup_kdump
options:
  tooling:
    description:
      - The dump tooling. V(auto) takes the one that is installed, else the distribution's own.
    type: str
    choices: [auto, kdump-tools]
    default: auto
  settings:
    description:
      - The tooling's own settings, such as C(KDUMP_COREDIR). V(none) takes one out of the file.
    type: dict
    required: true
author:
  - The kdump.fleet authors (@kdump-fleet)
"""

EXAMPLES = r"""
- name: Keep three dumps, and leave everything else as it is
  kdump.fleet.kdump_conf:
    settings:
      KDUMP_NUM_DUMPS: 3
"""

RETURN = r"""
path:
  description: The configuration file.
  type: str
  returned: success
  sample: /etc/default/kdump-tools
tooling:
  description: The tooling that reads it.
  type: str
  returned: success
  sample: kdump-tools
"""

import re
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kdump.fleet.plugins.module_utils import pending
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host
from ansible_collections.kdump.fleet.plugins.module_utils.observe import os_release
from ansible_collections.kdump.fleet.plugins.module_utils.runner import SystemRunner
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.base import SECRET_RULE, Tooling
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.registry import detect


class SettingsError(ValueError):
    """A setting that the tooling would refuse; str() names it, the rule and the way out."""


def settings_of(tooling: Tooling, given: t.Mapping[str, t.Any]) -> t.Dict[str, t.Optional[str]]:
    """Return the settings as text.

    :raises SettingsError: one of them is wrong.
    """
    result: t.Dict[str, t.Optional[str]] = {}
    for key, value in given.items():
        if value is None:
            result[key] = None
            continue
        if not isinstance(value, (str, int)) or isinstance(value, bool):
            raise SettingsError(f"settings: {key} must be a string or a number; put it in quotes")
        if tooling.secret(key):
            raise SettingsError(f"settings: {key} {SECRET_RULE}")
        reason = tooling.setting_problem(key, str(value))
        if reason:
            raise SettingsError(f"settings: {tooling.shown(key, str(value))} {reason}")
        result[key] = str(value)
    return result


def edited(tooling: Tooling, before: str, settings: t.Mapping[str, t.Optional[str]]) -> str:
    """Return the text with the settings, read back and found good.

    :raises SettingsError: the text around them would spoil it.
    """
    after = tooling.render(before, settings)
    # What was wrong before is its owner's; what would be wrong because of us is refused.
    new = problems(tooling, after) - problems(tooling, before)
    read = tooling.parse(after)
    if new or any(read.get(key) != value for key, value in settings.items()):
        reason = "; ".join(sorted(new)) or "a setting would be read differently"
        raise SettingsError(
            f"{tooling.config_path} would be broken ({reason}); repair it by hand first"
        )
    return after


def problems(tooling: Tooling, text: str) -> t.Set[str]:
    """Return what is wrong with a text, without the numbers of lines."""
    return {re.sub(r"^line \d+: ", "", problem) for problem in tooling.problems(text)}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "tooling": {"type": "str", "choices": ["auto", "kdump-tools"], "default": "auto"},
            "settings": {"type": "dict", "required": True},
        },
        supports_check_mode=True,
    )
    host = Host(SystemRunner())
    tooling = detect(host, os_release(host), module.params["tooling"])
    if tooling is None:
        module.fail_json(msg="No dump tooling is known for this distribution; set 'tooling'.")
    path = tooling.config_path
    before = host.read(path)
    try:
        if before is None and host.exists(path):
            raise SettingsError(f"{path} is there and cannot be read; nothing was changed")
        after = edited(tooling, before or "", settings_of(tooling, module.params["settings"]))
        wanted = {path: after, **tooling.own_files()}
        found = {name: host.read(name) or "" for name in wanted}
        changes = [name for name in wanted if wanted[name] != found[name]]
        if not module.check_mode:
            if path in changes:
                pending.keep(host, path, before, after)
            for name in changes:
                host.write(name, wanted[name])
    except (SettingsError, OSError) as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(
        changed=bool(changes),
        path=path,
        tooling=tooling.name,
        diff=[
            {
                "before_header": name,
                "after_header": name,
                "before": tooling.redact(found[name]),
                "after": tooling.redact(wanted[name]),
            }
            for name in changes
        ],
    )


if __name__ == "__main__":
    main()
