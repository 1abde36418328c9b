#!/usr/bin/python
# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: kdump_conf
short_description: Write the dump tooling's whole configuration, or give back the one from before
version_added: 0.1.0
description:
  - Sets settings in the tooling's configuration files, and keeps every other line of them. Lines that the tooling would
    misread, such as C(KEY = value) for a shell, are mended.
  - Adds files of the collection's own, among them what notes the memory that a capture uses, and hooks.
  - Everything is checked by the rules of the tooling's release on this host before anything is written.
  - Files from before the change are kept on the host until M(kdump.fleet.kdump_load) has the kernel's word that the
    new ones work; that module puts them back otherwise. What was there before the first change of all is kept until
    O(state=absent) gives it back.
extends_documentation_fragment:
  - kdump.fleet._attributes
  - kdump.fleet._attributes.changing_module
  - kdump.fleet._attributes.actiongroup_kdump
options:
  state:
    description:
      - V(present) writes.
      - V(absent) gives back every file, and every sysctl, that this collection has changed, as it was before. A
        configuration file that somebody has changed since keeps that change, and gets back the settings that were
        set here. A file of the collection's own that somebody has changed stays, with a warning.
    type: str
    choices: [present, absent]
    default: present
  tooling:
    description:
      - The dump tooling. V(auto) takes the one that is installed, else the distribution's own.
    type: str
    choices: [auto, kdumpctl, kdump-tools, suse, kexec]
    default: auto
  settings:
    description:
      - The tooling's own settings, of all its files, such as C(KDUMP_COREDIR). V(none) takes one out.
    type: dict
    default: {}
  exclusive:
    description:
      - Whether everything else in the configuration files goes. Lines with a secret stay.
    type: bool
    default: false
  files:
    description:
      - Files to have beside the configuration, by path, each with C(content) and C(mode) (an octal number in quotes, or
        a number). Files of an earlier run that are not among them any more are taken away.
      - Without it, files of an earlier run stay.
    type: dict
  sysctls:
    description:
      - Kernel settings to set now, by name. That they stay after a boot is up to one of O(files).
      - Those of an earlier run that are not among them any more get the value from before. Without it, all stay.
    type: dict
author:
  - The kdump.fleet authors (@kdump-fleet)
"""

EXAMPLES = r"""
- name: Keep three dumps, and leave everything else as it is
  kdump.fleet.kdump_conf:
    settings:
      KDUMP_NUM_DUMPS: 3

- name: Dump over ssh with kdumpctl, and run a hook before
  kdump.fleet.kdump_conf:
    tooling: kdumpctl
    settings:
      ssh: kdump@dumps.example.com
      path: /srv/dumps
      core_collector: makedumpfile -F -l --message-level 7 -d 31
    files:
      /etc/kdump/pre.d/10-lights:
        content: |
          #!/bin/sh
          echo "dumping" > /dev/console
        mode: "0755"

- name: Give back what was there before
  kdump.fleet.kdump_conf:
    state: absent
"""

RETURN = r"""
path:
  description: The main configuration file.
  type: str
  returned: success
  sample: /etc/default/kdump-tools
paths:
  description: The files that were changed, or would be in check mode.
  type: list
  elements: str
  returned: success
  sample: [/etc/default/kdump-tools]
tooling:
  description: The tooling that reads it.
  type: str
  returned: success
  sample: kdump-tools
"""

import os
import re
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kdump.fleet.plugins.module_utils import deploy
from ansible_collections.kdump.fleet.plugins.module_utils.configuration import SettingsError
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host
from ansible_collections.kdump.fleet.plugins.module_utils.observe import os_release
from ansible_collections.kdump.fleet.plugins.module_utils.runner import CommandError, SystemRunner
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.base import SECRET_RULE, Tooling
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.registry import (
    config_file,
    detect,
)
from ansible_collections.kdump.fleet.plugins.module_utils.wanted import OwnFile


def settings_of(
    tooling: Tooling, given: t.Mapping[str, t.Any], release: t.Optional[str] = None
) -> t.Dict[str, t.Optional[str]]:
    """Return the settings as text.

    :raises SettingsError: one of them is wrong.
    """
    result: t.Dict[str, t.Optional[str]] = {}
    for key, value in given.items():
        file = tooling.file_of(key)
        if value is None:
            result[key] = None
            continue
        if not isinstance(value, (str, int)) or isinstance(value, bool):
            raise SettingsError(
                f"settings: {key} must be a string or a whole number; put it in quotes"
            )
        if file.secret(key):
            raise SettingsError(f"settings: {key} {SECRET_RULE}")
        reason = file.setting_problem(key, str(value), release)
        if reason:
            raise SettingsError(f"settings: {file.shown(key, str(value))} {reason}")
        result[key] = str(value)
    return result


def files_of(
    given: t.Optional[t.Mapping[str, t.Any]],
) -> t.Optional[t.Dict[str, OwnFile]]:
    """Return the files that are asked for; None where nobody asks.

    :raises SettingsError: one of them is no file.
    """
    if given is None:
        return None
    result = {}
    for path, file in given.items():
        if not os.path.isabs(path) or not isinstance(file, dict) or "content" not in file:
            raise SettingsError(
                f"files: {path!r} must be an absolute path with 'content' and 'mode'"
            )
        result[path] = OwnFile(str(file["content"]), _mode(path, file.get("mode", 0o644)))
    return result


def _mode(path: str, given: t.Any) -> int:
    """Return a file's mode as a number.

    :raises SettingsError: it is none.
    """
    try:
        mode = int(given, 8) if isinstance(given, str) else int(given)
    except (TypeError, ValueError):
        mode = -1
    if not 0 <= mode <= 0o777 or isinstance(given, bool):
        raise SettingsError(
            f"files: {path}: mode {given!r} must be an octal number in quotes, from '0000' to '0777'"
        )
    return mode


def sysctls_of(given: t.Optional[t.Mapping[str, t.Any]]) -> t.Optional[t.Dict[str, str]]:
    """Return the kernel settings as text; None where nobody asks.

    :raises SettingsError: one of them is none.
    """
    for name, value in (given or {}).items():
        if not isinstance(value, (str, int)) or isinstance(value, bool):
            raise SettingsError(
                f"sysctls: {name} must be a string or a whole number; put it in quotes"
            )
        if not re.match(r"[a-z0-9_-]+(\.[A-Za-z0-9_-]+)+\Z", name):
            raise SettingsError(f"sysctls: {name!r} must be a name such as 'kernel.panic'")
    return None if given is None else {name: str(value) for name, value in given.items()}


def shown(tooling: Tooling, change: deploy.FileChange) -> t.Dict[str, str]:
    """Return a change as Ansible shows it with --diff."""
    # An earlier run may have been for another tooling; of a file that none of them knows, the main one's secrets go.
    redact = (config_file(change.path, tooling) or tooling.config_files[0]).redact
    return {
        "before_header": change.path,
        "after_header": change.path,
        "before": redact(change.before or ""),
        "after": redact(change.after or ""),
    }


def run(module: AnsibleModule, host: Host, tooling: Tooling) -> t.Dict[str, t.Any]:
    """Do what the parameters say, and return the module's result."""
    params = module.params
    final = params["state"] == "absent"
    sysctls = {} if final else sysctls_of(params["sysctls"])
    if final:
        changes, left = deploy.back(host, tooling)
        for path in left:
            module.warn(f"{path} was changed since kdump.fleet wrote it, and stays")
    else:
        bound = tooling.bound(tooling.observed(host))
        settings = settings_of(bound, params["settings"], tooling.release(host))
        files = files_of(params["files"])
        changes = deploy.changes(host, tooling, settings, files, params["exclusive"])
    live = [] if sysctls is None else deploy.sysctl_changes(host, sysctls)
    if not module.check_mode:
        # Only these can be refused still.
        deploy.set_sysctls(host, live, sysctls or {})
        if changes or final:
            deploy.write(host, changes, final)
    lines = [
        {
            "before": f"{change.name} = {change.before}\n",
            "after": f"{change.name} = {change.after}\n",
        }
        for change in live
    ]
    return {
        "changed": bool(changes or live),
        "path": tooling.config_files[0].path,
        "paths": [change.path for change in changes],
        "tooling": tooling.name,
        "diff": [*(shown(tooling, change) for change in changes), *lines],
    }


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "tooling": {
                "type": "str",
                "choices": ["auto", "kdumpctl", "kdump-tools", "suse", "kexec"],
                "default": "auto",
            },
            "settings": {"type": "dict", "default": {}},
            "exclusive": {"type": "bool", "default": False},
            "files": {"type": "dict"},
            "sysctls": {"type": "dict"},
        },
        supports_check_mode=True,
    )
    host = Host(SystemRunner())
    tooling = detect(host, os_release(host), module.params["tooling"])
    if tooling is None:
        module.fail_json(msg="No dump tooling is known for this distribution; set 'tooling'.")
    try:
        result = run(module, host, tooling)
    except (SettingsError, CommandError, OSError) as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
