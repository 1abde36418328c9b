#!/usr/bin/python
# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: kdump_ssh
short_description: The host's side of an ssh target for dumps
version_added: 0.1.0
description:
  - Makes the key that the capture kernel logs in with. The private half stays on the host.
  - Pins the server's host keys, so that the capture kernel, which nobody can ask, knows whom it talks to.
  - Proves that a dump would get in, by writing a small file on the server with the very account, key and host keys that the
    capture kernel will use, and taking it away again.
  - What the server must do is done by M(kdump.fleet.kdump_authorized_keys).
extends_documentation_fragment:
  - kdump.fleet._attributes
  - kdump.fleet._attributes.changing_module
  - kdump.fleet._attributes.actiongroup_kdump
options:
  state:
    description:
      - V(present) does what the other options say.
      - V(absent) takes away the keys that were pinned, and the host's key if this module made it.
    type: str
    choices: [present, absent]
    default: present
  destination:
    description:
      - The account and the server, such as V(kdump@dumps.example.com); an IPv6 address may be in brackets.
    type: str
    required: true
  key:
    description:
      - The private key on the host.
      - Unset, C(/root/.ssh/kdump_id_rsa) if it is there already, else C(/root/.ssh/kdump_id_ed25519), or
        C(/root/.ssh/kdump_id_ecdsa) in FIPS mode.
    type: path
  key_type:
    description:
      - What kind of key is made where there is none. V(auto) is ed25519, and ECDSA in FIPS mode.
    type: str
    choices: [auto, ed25519, ecdsa, rsa]
    default: auto
  rotate:
    description:
      - Make a new key in place of the one that is there.
    type: bool
    default: false
  host_keys:
    description:
      - The server's host keys, each as in C(/etc/ssh/ssh_host_ed25519_key.pub). They replace those that were pinned before. Without any,
        what is pinned stays.
    type: list
    elements: str
    default: []
  known_hosts:
    description:
      - The file that they are pinned in. Lines of others in it stay.
      - Another file than root's own counts alone as soon as it has a line.
    type: path
    default: /root/.ssh/known_hosts
  prove:
    description:
      - Write the small file. In check mode the host logs in, and nothing is written.
    type: bool
    default: false
  path:
    description:
      - The folder for dumps on the server.
    type: path
    default: /var/crash
author:
  - The kdump.fleet authors (@kdump-fleet)
"""

EXAMPLES = r"""
- name: Have a key for dumps
  kdump.fleet.kdump_ssh:
    destination: kdump@dumps.example.com
  register: login

- name: Trust the server, and see that it takes a file
  kdump.fleet.kdump_ssh:
    destination: kdump@dumps.example.com
    host_keys:
      - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEbyeMMEItdxKGIotyBPQCcrHAN09AqQmXmeWYTNZbnQ
    prove: true
"""

RETURN = r"""
key:
  description: The private key's path.
  type: str
  returned: always
  sample: /root/.ssh/kdump_id_ed25519
public_key:
  description: The public half, for the server; empty where check mode would make it.
  type: str
  returned: always
  sample: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEbyeMMEItdxKGIotyBPQCcrHAN09AqQmXmeWYTNZbnQ
previous_key:
  description: The public half of the key that O(rotate) replaced, which the server may forget once the new one is in use.
  type: str
  returned: always
  sample: ""
pinned:
  description: The keys of the server that are pinned.
  type: list
  elements: str
  returned: always
  sample: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEbyeMMEItdxKGIotyBPQCcrHAN09AqQmXmeWYTNZbnQ]
proven:
  description: Whether the server took the small file.
  type: bool
  returned: always
  sample: true
refused_key:
  description: The public half of the host's key, which the server does not know yet.
  type: str
  returned: when the server does not take the key
  sample: ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEbyeMMEItdxKGIotyBPQCcrHAN09AqQmXmeWYTNZbnQ
"""

import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kdump.fleet.plugins.module_utils import ssh_client
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host
from ansible_collections.kdump.fleet.plugins.module_utils.runner import CommandError, SystemRunner


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "destination": {"type": "str", "required": True},
            "key": {"type": "path", "no_log": False},
            "key_type": {
                "type": "str",
                "choices": ["auto", "ed25519", "ecdsa", "rsa"],
                "default": "auto",
                "no_log": False,
            },
            "rotate": {"type": "bool", "default": False},
            "host_keys": {"type": "list", "elements": "str", "default": [], "no_log": False},
            "known_hosts": {"type": "path", "default": ssh_client.KNOWN_HOSTS},
            "prove": {"type": "bool", "default": False},
            "path": {"type": "path", "default": "/var/crash"},
        },
        supports_check_mode=True,
    )
    host = Host(SystemRunner())
    try:
        work = remove if module.params["state"] == "absent" else run
        result = work(module.params, module.check_mode, host)
    except ssh_client.KeyRefused as exc:
        module.fail_json(msg=str(exc), refused_key=ssh_client.public_key(host, exc.key))
    except (ssh_client.SshError, CommandError, OSError) as exc:
        module.fail_json(msg=str(exc))
    module.exit_json(**result)


def run(params: t.Mapping[str, t.Any], check_mode: bool, host: Host) -> t.Dict[str, t.Any]:
    """Do what the parameters say, and return the module's result."""
    target = ssh_client.login(params["destination"])
    known_hosts = params["known_hosts"]
    facts = ssh_client.observe(host, params["destination"], params["key"] or "", known_hosts)
    key = facts["key"]
    kind = ssh_client.key_type(params["key_type"], facts["fips"])
    changes = ssh_client.key_changes(host, key, kind, params["rotate"])
    if not changes and not ssh_client.fits(host, key):
        changes = ["its public half"]
    keys = [ssh_client.host_key(text) for text in params["host_keys"]]
    before = host.read(known_hosts) or ""
    after = ssh_client.pin(before, facts["name"], keys) if keys else before
    previous = facts["public"] if params["rotate"] and facts["exists"] else ""
    if not check_mode:
        if changes:
            ssh_client.make_key(host, key, kind, changes)
        if after != before:
            host.write(known_hosts, after, mode=0o600)
    ready = not check_mode or (not changes and after == before)
    if params["prove"] and ready:
        attempt = ssh_client.reach if check_mode else ssh_client.prove
        attempt(host, target, key, known_hosts, params["path"])
    return {
        "changed": bool(changes) or after != before,
        "key": key,
        "public_key": ssh_client.public_key(host, key),
        "previous_key": previous,
        "pinned": ssh_client.pinned(after, facts["name"]),
        "proven": bool(params["prove"] and not check_mode),
        "diff": _diff(key, changes, known_hosts, before, after, facts["name"]),
    }


def remove(params: t.Mapping[str, t.Any], check_mode: bool, host: Host) -> t.Dict[str, t.Any]:
    """Take away what run() has made, and return the module's result."""
    known_hosts = params["known_hosts"]
    facts = ssh_client.observe(host, params["destination"], params["key"] or "", known_hosts)
    key = facts["key"]
    before = host.read(known_hosts) or ""
    after = ssh_client.pin(before, facts["name"], [])
    ours = facts["exists"] and facts["made_here"]
    if not check_mode:
        if ours:
            host.remove(key)
            host.remove(key + ".pub")
        if after != before and not after and known_hosts != ssh_client.KNOWN_HOSTS:
            host.remove(known_hosts)
        elif after != before:
            host.write(known_hosts, after, mode=0o600)
    return {
        "changed": ours or after != before,
        "key": key,
        "public_key": facts["public"],
        "previous_key": "",
        "pinned": [],
        "proven": False,
        "diff": _diff(key, ["no key"] if ours else [], known_hosts, before, after, facts["name"]),
    }


def _diff(
    key: str, changes: t.Sequence[str], known_hosts: str, before: str, after: str, name: str
) -> t.List[t.Dict[str, str]]:
    """Return the changes as Ansible shows them with --diff; of known_hosts only the lines that are ours."""
    found = []
    if changes:
        found.append({"before": "", "after": f"{key}: {', '.join(changes)}\n"})
    if before != after:
        found.append(
            {
                "before_header": known_hosts,
                "after_header": known_hosts,
                "before": "".join(f"{name} {key}\n" for key in ssh_client.pinned(before, name)),
                "after": "".join(f"{name} {key}\n" for key in ssh_client.pinned(after, name)),
            }
        )
    return found


if __name__ == "__main__":
    main()
