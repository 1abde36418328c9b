#!/usr/bin/python
# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: kdump_target
short_description: Show from a host that the place for its dumps takes a file
version_added: 0.1.0
description:
  - Writes a small file to where dumps would go, syncs it, and removes it again. It fails with the target, the cause and the
    remedy otherwise.
  - What is not mounted is mounted where nobody else sees it, in a mount namespace of the module's own, with the options that
    the tooling uses. However the module ends, nothing stays mounted.
  - Of a raw device it reads the first block, and opens the device as nobody can who shares it. Nothing is written to it.
  - FTP is tried with an empty file if it takes no secret; of other FTP and of SFTP only the greeting is looked at. For ssh
    see the guide on targets.
  - The folder on a target is made if O(create=true), as C(mkdumprd) refuses to build without it; that is a change.
extends_documentation_fragment:
  - kdump.fleet._attributes
  - kdump.fleet._attributes.changing_module
  - kdump.fleet._attributes.actiongroup_kdump
options:
  state:
    description: There is only this one.
    type: str
    choices: [proven]
    default: proven
  type:
    description: What the target is. V(path) is a folder in the host's own file tree.
    type: str
    choices: [path, raw, ext2, ext3, ext4, xfs, btrfs, minix, virtiofs, nfs, cifs, ftp, sftp]
    default: path
  location:
    description:
      - The device (also C(LABEL=), C(UUID=), C(PARTLABEL=) and C(PARTUUID=)), the tag, C(server:/export), C(//server/share) or
        the server. Required for all types but V(path).
    type: str
    default: ""
  path:
    description: The folder on it, or the folder itself.
    type: str
    default: /
  options:
    description: What it is mounted with, as C(mount -o) has it.
    type: str
    default: ""
  create:
    description: Make the folder on the target if it is not there, for root alone.
    type: bool
    default: false
  port:
    description: The server's port, of FTP and SFTP.
    type: str
    default: ""
  user:
    description: The user's name there. Passwords stay in the tooling's file on the host, and are read from there.
    type: str
    default: ""
  tooling:
    description: The dump tooling whose file has the password, if any.
    type: str
    choices: [kdumpctl, kdump-tools, suse, kexec]
  need:
    description: The bytes that a dump takes at most. V(0) checks no room.
    type: int
    default: 0
  level:
    description: The dump level of C(makedumpfile).
    type: int
    default: 31
  measure:
    description:
      - Have C(makedumpfile --mem-usage) count what a dump takes at O(level), in place of O(need), where it runs. It has 20
        seconds for that.
    type: bool
    default: false
  space:
    description: What becomes of a place with less room than that.
    type: str
    choices: [warn, refuse, ignore]
    default: warn
  timeout:
    description: Seconds that one step may take, such as mounting.
    type: int
    default: 60
seealso:
  - module: kdump.fleet.kdump_info
author:
  - The kdump.fleet authors (@kdump-fleet)
"""

EXAMPLES = r"""
- name: Show that the export takes a dump of this host
  kdump.fleet.kdump_target:
    type: nfs
    location: dumps.example.com:/export/crash
    options: nolock

- name: The same for a file system that is not mounted; make the folder on it
  kdump.fleet.kdump_target:
    type: xfs
    location: LABEL=dumps
    path: /var/crash
    create: true
"""

RETURN = r"""
proven:
  description: Whether it took a file, or of what cannot be tried without a secret or without writing, all else.
  type: bool
  returned: success
  sample: true
shown:
  description: What was done.
  type: str
  returned: success
  sample: it took a file, which was removed again
created:
  description: The folders that were made on the target.
  type: list
  elements: str
  returned: success
  sample: [/var/crash]
free:
  description: The bytes that are free there; V(none) if nobody says.
  type: int
  returned: success
  sample: 10737418240
need:
  description: The bytes that a dump takes at most; 0 if that was not asked for.
  type: int
  returned: success
  sample: 524288000
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kdump.fleet.plugins.module_utils import observe, prove, space
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host
from ansible_collections.kdump.fleet.plugins.module_utils.runner import SystemRunner
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.base import Place
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.registry import by_name


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["proven"], "default": "proven"},
            "type": {
                "type": "str",
                "choices": [
                    *("path", "raw", "ext2", "ext3", "ext4", "xfs", "btrfs", "minix"),
                    *("virtiofs", "nfs", "cifs", "ftp", "sftp"),
                ],
                "default": "path",
            },
            "location": {"type": "str", "default": ""},
            "path": {"type": "str", "default": "/"},
            "options": {"type": "str", "default": ""},
            "create": {"type": "bool", "default": False},
            "port": {"type": "str", "default": ""},
            "user": {"type": "str", "default": ""},
            "tooling": {"type": "str", "choices": ["kdumpctl", "kdump-tools", "suse", "kexec"]},
            "need": {"type": "int", "default": 0},
            "level": {"type": "int", "default": 31},
            "measure": {"type": "bool", "default": False},
            "space": {"type": "str", "choices": ["warn", "refuse", "ignore"], "default": "warn"},
            "timeout": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    params = module.params
    place = Place(**{name: params[name] for name in Place._fields})
    if place.type != "path" and not place.location:
        module.fail_json(msg=f"kdump_target: type {place.type!r} needs a location")
    host = Host(SystemRunner())
    need, basis = params["need"], "estimate"
    if params["measure"] and not module.check_mode:
        found = space.observed(
            host, observe.system_ram(host), observe.reserved(host) or 0, params["level"], True
        )
        need, basis = found["bytes"], found["basis"]
    tooling = by_name(params["tooling"] or "")
    credentials = tooling.credentials(host) if tooling and place.type == "cifs" else ("", "")
    try:
        proof = prove.Prover(host, place, params["timeout"], module.check_mode, credentials).prove()
    except prove.ProofError as exc:
        module.fail_json(msg=str(exc))
    if need and proof.free is not None and proof.free < need and params["space"] != "ignore":
        shown = " ".join(word for word in (place.type, place.location or place.path) if word)
        message = space.too_little(shown, proof.free, need, params["level"], basis)
        if params["space"] == "refuse":
            module.fail_json(
                msg=f"kdump_space: {message}, and it is to be refused then; make room, or set kdump_space: warn"
            )
        module.warn(message)
    module.exit_json(changed=bool(proof.created), need=need, **proof._asdict())


if __name__ == "__main__":
    main()
