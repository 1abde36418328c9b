#!/usr/bin/python
# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

DOCUMENTATION = r"""
module: kdump_authorized_keys
short_description: Say which hosts may send dumps to this server, all of them in one task
version_added: 0.1.0
description:
  - Writes the keys file of a dump server's account. Each key there can do one thing, which is to speak to the server's
    receiver under the name of its host. The role P(kdump.fleet.kdump_server#role) makes the account and the receiver.
  - One task takes the keys of a whole fleet. The file is read, changed and replaced under a lock, so that plays at the
    same time, slices of a job among them, do not lose each other's hosts.
  - It returns the server's own host keys, which the hosts pin.
extends_documentation_fragment:
  - kdump.fleet._attributes
  - kdump.fleet._attributes.changing_module
  - kdump.fleet._attributes.actiongroup_kdump
options:
  account:
    description:
      - The account that receives the dumps.
    type: str
    required: true
  path:
    description:
      - The keys file, if it is not C(/etc/kdump-fleet/keys/ACCOUNT).
    type: path
  state:
    description:
      - With V(present) each host of O(hosts) has exactly the keys that are given, so that one it had before is taken
        out. With V(absent) each of them loses all its keys. Other hosts' lines stay in both cases.
    type: str
    choices: [present, absent]
    default: present
  hosts:
    description:
      - The hosts.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description:
          - The host's name, which is its folder's on the server too. It has letters, digits, C(.), C(_) and C(-).
        type: str
        required: true
      keys:
        description:
          - The host's public keys, each a line as in C(ID.pub). C(ssh-ed25519), C(ecdsa-sha2-*) and C(ssh-rsa) with
            2048 bits or more are taken. Comments are replaced, options are refused.
          - Without it the host keeps the keys that it has, which is of use together with O(exclusive=true).
          - It has no meaning with O(state=absent).
        type: list
        elements: str
  exclusive:
    description:
      - Whether everything else in the file goes, which is the lines of hosts that are not named and those that are not
        the collection's. Not with plays that each know a part of the fleet only.
    type: bool
    default: false
  host_keys:
    description:
      - Whether the server's host keys are returned.
    type: bool
    default: true
author:
  - The kdump.fleet authors (@kdump-fleet)
"""

EXAMPLES = r"""
- name: Let the whole fleet send its dumps, in one task
  kdump.fleet.kdump_authorized_keys:
    account: kdump
    hosts:
      - name: db1.example.com
        keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINyIqiHRh8WWpAWsb5M7d0pZm6tXV9qPDhQK125c33VG]
      - name: db2.example.com
        keys: ["{{ key_of_db2 }}"]
  register: server

- name: Show what the hosts have to pin
  ansible.builtin.debug:
    var: server.host_keys

- name: Take a host out
  kdump.fleet.kdump_authorized_keys:
    account: kdump
    state: absent
    hosts: [{name: db1.example.com}]

- name: Keep these hosts with the keys that they have, and nobody else
  kdump.fleet.kdump_authorized_keys:
    account: kdump
    exclusive: true
    hosts: [{name: db2.example.com}, {name: db3.example.com}]
"""

RETURN = r"""
path:
  description: The keys file.
  type: str
  returned: success
  sample: /etc/kdump-fleet/keys/kdump
changed_hosts:
  description: The hosts that got a first key or other keys, or would in check mode.
  type: list
  elements: str
  returned: success
  sample: [db1.example.com]
removed_hosts:
  description: The hosts that had keys and have none any more.
  type: list
  elements: str
  returned: success
  sample: []
refused:
  description:
    - Why a host's keys were not taken, by its name. The task fails then, with the keys of all other hosts in place.
  type: dict
  returned: always
  sample: {}
host_keys:
  description: The server's public host keys, without comments. Empty with O(host_keys=false).
  type: list
  elements: str
  returned: success
  sample: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINyIqiHRh8WWpAWsb5M7d0pZm6tXV9qPDhQK125c33VG]
"""

import contextlib
import fcntl
import grp
import os
import pwd
import stat
import time
import typing as t

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kdump.fleet.plugins.module_utils import ssh_keys
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host
from ansible_collections.kdump.fleet.plugins.module_utils.runner import CommandError, SystemRunner

FOLDER = "/etc/kdump-fleet/keys"
MODE = 0o640  # sshd reads the file as the account
LOCK_SECONDS = 60.0  # a change takes milliseconds, also with 100,000 hosts seconds
ROOT = 0


class Owner(t.NamedTuple):
    """Who the keys file belongs to."""

    user: int
    group: int


def lock_path(path: str) -> str:
    """Return the lock file beside a keys file. It stays: whoever removes it has a lock of his own."""
    return os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.lock")


@contextlib.contextmanager
def locked(path: str, seconds: float = LOCK_SECONDS) -> t.Iterator[None]:
    """Hold the lock of a keys file.

    :raises ssh_keys.SshKeyError: another process holds it all the time.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        end = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as exc:
                if time.monotonic() > end:
                    raise ssh_keys.SshKeyError(
                        f"another process has held {path} for {seconds:.0f} s, and nothing was changed. 'fuser"
                        f" {path}' names it; if it is a run that hangs, end it and start this one again"
                    ) from exc
            time.sleep(0.05)
        yield
    finally:
        os.close(descriptor)


def change(
    host: Host, path: str, hosts: t.Sequence[t.Mapping[str, t.Any]], present: bool, exclusive: bool
) -> t.Tuple[str, ssh_keys.Update]:
    """Return the file's text and what is to become of it.

    :raises ssh_keys.SshKeyError: a host is there twice.
    :raises OSError: it is there and cannot be read.
    """
    text = host.read(path)
    if text is None:
        # A file that is there and cannot be read would be written anew, without its hosts.
        if os.path.lexists(host.path(path)):
            raise OSError(f"{path} is there and cannot be read, so nothing was changed")
        text = ""
    return text, ssh_keys.update(ssh_keys.parse_file(text), hosts, present, exclusive)


def put(host: Host, path: str, text: t.Optional[str], owner: Owner) -> None:
    """Give a keys file its owner and mode, and its text if that is another one."""
    if os.path.exists(host.path(path)):
        own(host.path(path), owner)
    if text is not None:
        host.write(path, text, MODE, keep_mode=False)
    own(host.path(path), owner)


def own(path: str, owner: Owner) -> None:
    os.chown(path, owner.user, owner.group)
    os.chmod(path, MODE)


def is_own(path: str, owner: Owner) -> bool:
    """Say whether a file has its owner and mode already."""
    try:
        now = os.stat(path)
    except OSError:
        return False
    return (now.st_uid, now.st_gid, stat.S_IMODE(now.st_mode)) == (owner.user, owner.group, MODE)


def server_keys(host: Host) -> t.List[str]:
    """Return the public keys that the ssh server shows, as words of a known_hosts line."""
    sshd = host.runner.which("sshd") or "/usr/sbin/sshd"
    # It says nothing where it cannot start, such as without its folder in /run.
    words = [line.split() for line in (host.ask([sshd, "-T"]) or "").splitlines()]
    files = [line[1] for line in words if len(line) == 2 and line[0].lower() == "hostkey"]
    found = []
    for path in files or [path[:-4] for path in host.glob("/etc/ssh/ssh_host_*_key.pub")]:
        try:
            found.append(ssh_keys.parse_public_key(host.read(path + ".pub") or "").words)
        except ssh_keys.SshKeyError:
            # No such file, or a type that no client of today takes.
            continue
    return found


def owner_of(account: str) -> t.Optional[Owner]:
    """Return who the keys file of an account belongs to, or None if there is no such account."""
    try:
        group = pwd.getpwnam(account).pw_gid
    except KeyError:
        return None
    with contextlib.suppress(KeyError):
        group = grp.getgrnam(account).gr_gid
    return Owner(ROOT, group)


def run(module: AnsibleModule, host: Host) -> t.Dict[str, t.Any]:
    """Do what the parameters say, and return the module's result."""
    params = module.params
    present = params["state"] == "present"
    account = params["account"]
    if "/" in account or not account.strip(". "):
        raise ssh_keys.SshKeyError(f"account: {account!r} is no account's name")
    path = params["path"] or f"{FOLDER}/{account}"
    if not os.path.isabs(path):
        raise ssh_keys.SshKeyError(f"path: {path!r} must be absolute")
    owner = owner_of(account)
    if owner is None and present:
        text = f"there is no account {account!r} on this server"
        if not module.check_mode:
            raise ssh_keys.SshKeyError(
                f"{text}. The role kdump.fleet.kdump_server makes it, with the receiver"
                f" (kdump_server_account: {account}); run playbooks/server.yml first"
            )
        module.warn(f"{text} yet")
    folder = os.path.dirname(path)
    if module.check_mode or not (present or os.path.isdir(host.path(folder))):
        text, update = change(host, path, params["hosts"], present, params["exclusive"])
        changed = differs(host, path, text, update, owner, present)
    else:
        make_folder(host.path(folder))
        with locked(host.path(lock_path(path))):
            text, update = change(host, path, params["hosts"], present, params["exclusive"])
            changed = differs(host, path, text, update, owner, present)
            if changed and owner is not None:
                new = ssh_keys.file_text(update.lines)
                same = new == text and os.path.exists(host.path(path))
                put(host, path, None if same else new, owner)
            elif changed:
                host.write(path, ssh_keys.file_text(update.lines), MODE)
    if update.dropped:
        module.warn(f"{path} had {update.dropped} lines that were not kdump.fleet's; they are gone")
    return {
        "changed": changed,
        "path": path,
        "changed_hosts": update.changed,
        "removed_hosts": update.removed,
        "refused": dict(update.refused),
        "host_keys": server_keys(host) if params["host_keys"] else [],
        "diff": {
            "before_header": path,
            "after_header": path,
            "before": ssh_keys.shown(ssh_keys.parse_file(text)),
            "after": ssh_keys.shown(update.lines),
        },
    }


def differs(
    host: Host,
    path: str,
    text: str,
    update: ssh_keys.Update,
    owner: t.Optional[Owner],
    present: bool,
) -> bool:
    """Say whether a file has to be changed: its text, or with present its owner and mode."""
    if text != ssh_keys.file_text(update.lines):
        return True
    return present and (owner is None or not is_own(host.path(path), owner))


def make_folder(path: str) -> None:
    """Make a folder that the account may walk through, whatever the umask says."""
    if os.path.isdir(path):
        return
    parent = os.path.dirname(path)
    if not os.path.isdir(parent):
        make_folder(parent)
    with contextlib.suppress(FileExistsError):
        os.mkdir(path)
        os.chmod(path, 0o755)


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "account": {"type": "str", "required": True},
            "path": {"type": "path"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "hosts": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    # Public ones.
                    "keys": {"type": "list", "elements": "str", "no_log": False},
                },
            },
            "exclusive": {"type": "bool", "default": False},
            "host_keys": {"type": "bool", "default": True, "no_log": False},
        },
        supports_check_mode=True,
    )
    if module.params["exclusive"] and module.params["state"] == "absent":
        module.fail_json(msg="exclusive is only for 'state: present', where it removes the others.")
    host = Host(SystemRunner())
    try:
        result = run(module, host)
    except (ssh_keys.SshKeyError, CommandError, OSError) as exc:
        module.fail_json(msg=str(exc))
    if result["refused"]:
        # The others were served: one clone must not keep a fleet from its server.
        reasons = list(dict.fromkeys(result["refused"].values()))
        module.fail_json(msg="; ".join(reasons), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
