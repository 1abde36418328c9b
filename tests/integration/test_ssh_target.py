# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An ssh target from the host's side: the key, the pinned host keys, and the proof, with a real sshd."""

from __future__ import annotations

import re
import subprocess
import typing as t

import pytest
from light_host import LightHost, Play

PORT = 2298
SHELL = "/usr/local/bin/any-command"
KEY = "/root/.ssh/kdump_id_ed25519"
TARGET = {
    "kdump_system_action": "reboot",
    "kdump_target": {"type": "ssh", "location": "kdump@dumps"},
    "kdump_path": "/home/kdump/crash",
}
SSHD_CONFIG = f"""\
Port {PORT}
ListenAddress 127.0.0.1
HostKey /etc/ssh/ssh_host_ed25519_key
AuthorizedKeysFile /etc/kdump-fleet/keys/%u
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
"""


class Server:
    """sshd of a light host, which plays the dump server too: with a shell, as servers have it that are not kdump_server's."""

    def __init__(self, host: LightHost) -> None:
        self.host = host
        self.process: subprocess.Popen[bytes] | None = None
        host.run("userdel", "kdump")
        for argv in (
            ("useradd", "--create-home", "--shell", SHELL, "--password", "*", "kdump"),
            ("sh", "-c", "rm -f /etc/ssh/ssh_host_* /etc/ssh/ssh_config.d/* /root/.ssh/*"),
            ("mkdir", "-p", "/run/sshd", "/etc/ssh", "/root/.ssh", "/etc/kdump-fleet/keys"),
        ):
            done = host.run(*argv)
            assert done.returncode == 0, done.stderr
        host.write("/etc/ssh/sshd_config", SSHD_CONFIG)
        # Whatever the forced command is, and none too.
        host.write(SHELL, '#!/bin/sh\nexec /bin/sh -c "${SSH_ORIGINAL_COMMAND:-$2}"\n')
        host.run("chmod", "0755", SHELL)
        host.write("/root/.ssh/config", f"Host dumps\nHostName 127.0.0.1\nPort {PORT}\n")
        self.new_host_key()

    def new_host_key(self) -> None:
        self.host.run("sh", "-c", "rm -f /etc/ssh/ssh_host_*")
        done = self.host.run(
            "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/etc/ssh/ssh_host_ed25519_key"
        )
        assert done.returncode == 0, done.stderr

    def start(self) -> None:
        self.process = subprocess.Popen(
            [
                "nsenter", f"--target={self.host.process.pid}", "--mount", "--root",
                "chroot", str(self.host.folder / "root"), "/usr/sbin/sshd", "-D", "-e",
            ],
            stderr=subprocess.PIPE,
        )  # fmt: skip
        assert self.process.stderr is not None
        assert b"listening" in self.process.stderr.readline()

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(timeout=60)
            self.process = None


@pytest.fixture
def server(light: LightHost) -> t.Iterator[Server]:
    found = Server(light)
    found.start()
    try:
        yield found
    finally:
        found.stop()


def role(server: Server, *options: str, **variables: t.Any) -> Play:
    """Run the role on the light host, with the dump server in the inventory."""
    given = {**TARGET, "kdump_ssh_server": "dumps", **variables}
    return server.host.role(given, "-i", "dumps,", "--limit", "light", *options)


def authorized(server: Server) -> str:
    return server.host.read("/etc/kdump-fleet/keys/kdump") or ""


def configuration(server: Server) -> str:
    return server.host.read("/etc/default/kdump-tools") or ""


def snapshot(server: Server) -> str:
    return server.host.snapshot() + server.host.run(
        "sh", "-c", "sha256sum /root/.ssh/* /etc/kdump-fleet/keys/*; find /home/kdump"
    ).stdout  # fmt: skip


def test_a_host_logs_in_without_anybody_typing(server: Server) -> None:
    host = server.host
    before = snapshot(server)
    planned = role(server, "--check", "--diff")
    assert planned.code == 0, planned.output
    assert f"key: {KEY} does not exist" in planned.output
    assert snapshot(server) == before
    first = role(server)
    assert first.code == 0, first.output
    assert authorized(server).startswith('restrict,command="host light" ssh-ed25519 ')
    assert host.run("stat", "-c", "%a", KEY).stdout == "600\n"
    assert f'SSH="kdump@dumps"\nSSH_KEY="{KEY}"' in configuration(server)
    # The proof has left nothing.
    assert host.run("find", "/home/kdump/crash").stdout == "/home/kdump/crash\n"
    before = snapshot(server)
    again = role(server)
    assert again.code == 0 and again.changed == 0, again.output
    assert snapshot(server) == before


def test_a_server_that_is_down_costs_nothing(server: Server) -> None:
    server.stop()
    before = configuration(server)
    play = role(server)
    assert play.code != 0
    assert "dumps: nothing listens there; start sshd" in play.output
    assert configuration(server) == before
    assert server.host.read("/sys/kernel/kexec_crash_loaded") == "1\n"
    server.start()
    assert role(server).code == 0


def test_a_server_that_is_set_up_anew(server: Server) -> None:
    assert role(server).code == 0
    server.stop()
    server.new_host_key()
    server.start()
    unknown = role(server, kdump_ssh_authorize=False)
    assert unknown.code != 0
    assert "its host key is not one that this host trusts" in unknown.output, unknown.output
    # Over Ansible's own connection to it, the role learns the new one.
    known = role(server)
    assert known.code == 0, known.output
    new = (server.host.read("/etc/ssh/ssh_host_ed25519_key.pub") or "").split()[1]
    pins = (server.host.read("/etc/kdump-fleet/known_hosts") or "").splitlines()
    assert pins == [f"[127.0.0.1]:{PORT} ssh-ed25519 {new} kdump-fleet"]


def test_a_key_that_the_server_has_lost(server: Server) -> None:
    assert role(server).code == 0
    server.host.remove("/etc/kdump-fleet/keys/kdump")
    left = role(server, kdump_ssh_authorize=False)
    assert left.code != 0
    assert f"it does not take this host's key ({KEY})" in left.output, left.output
    assert role(server).code == 0


def test_a_new_key_takes_the_place_of_the_old_one(server: Server) -> None:
    assert role(server).code == 0
    before = authorized(server)
    rotated = role(server, kdump_ssh_rotate_key=True)
    assert rotated.code == 0, rotated.output
    after = authorized(server)
    assert len(after.splitlines()) == 1 and after != before
    public = (server.host.read(KEY + ".pub") or "").split()[1]
    assert public in after
    assert role(server).changed == 0


def test_a_server_that_is_not_in_the_inventory(server: Server) -> None:
    host = server.host
    wanted = {
        **TARGET,
        "kdump_ssh_host_keys": [host.read("/etc/ssh/ssh_host_ed25519_key.pub")],
    }
    first = host.role(wanted)
    assert first.code != 0 and "kdump_ssh_public_key" in first.output, first.output
    # Its administrator adds a line that can be copied as it is shown.
    entry = re.search(r'"(restrict ssh-ed25519 \S+ kdump-fleet:light)"', first.output)
    assert entry and first.output.count(entry[1]) == 1, first.output
    assert " ".join((host.read(KEY + ".pub") or "").split()[:2]) in entry[1]
    host.write("/etc/kdump-fleet/keys/kdump", entry[1] + "\n")
    second = host.role(wanted)
    assert second.code == 0 and "restrict" not in second.output, second.output
    again = host.role(wanted)
    assert again.changed == 0 and "restrict" not in again.output, again.output
    gone = host.role({**wanted, "kdump_state": "absent"})
    assert gone.code == 0, gone.output
    assert host.read(KEY) is None
    # Nobody but its administrator can take the entry away.
    assert "the entry of light stays on the dump server, in the keys of kdump@dumps" in gone.output
    assert entry[1].split()[2] in gone.output


def test_a_host_that_is_given_up_is_forgotten(server: Server) -> None:
    host = server.host
    host.write("/etc/kdump-fleet/known_hosts", "other ssh-ed25519 AAAA mine\n")
    assert role(server).code == 0
    gone = role(server, kdump_state="absent")
    assert gone.code == 0, gone.output
    assert authorized(server) == ""
    assert host.read(KEY) is None and host.read(KEY + ".pub") is None
    assert host.read("/etc/kdump-fleet/known_hosts") == "other ssh-ed25519 AAAA mine\n"
    again = role(server, kdump_state="absent")
    assert again.code == 0 and again.changed == 0, again.output


def test_a_host_is_given_up_though_its_server_is_gone(server: Server) -> None:
    host = server.host
    before = configuration(server)
    assert role(server).code == 0
    server.stop()
    host.write(
        "/tmp/inventory.ini", "dumps ansible_connection=ssh ansible_host=127.0.0.1 ansible_port=9\n"
    )
    given = {**TARGET, "kdump_ssh_server": "dumps", "kdump_state": "absent"}
    options = ("-i", "/tmp/inventory.ini", "--limit", "light")
    gone = host.role(given, *options)
    assert gone.code == 0, gone.output
    assert host.read(KEY) is None and host.read(KEY + ".pub") is None
    assert host.read("/etc/kdump-fleet/known_hosts") is None
    assert configuration(server) == before
    assert host.read("/sys/kernel/kexec_crash_loaded") == "0\n"
    # What is left is named, with the cause and how it goes.
    assert authorized(server) != ""
    assert "the entry of light stays on the dump server, in the keys of kdump@dumps" in gone.output
    assert "Connection refused" in gone.output
    assert "state: absent, account: kdump and hosts: [{name: light}]" in gone.output, gone.output
    again = host.role(given, *options)
    assert again.code == 0 and again.changed == 0, again.output


def test_a_server_that_ansible_cannot_reach(server: Server) -> None:
    server.host.write(
        "/tmp/inventory.ini", "gone ansible_connection=ssh ansible_host=127.0.0.1 ansible_port=9\n"
    )
    before = configuration(server)
    given = {**TARGET, "kdump_ssh_server": "gone"}
    play = server.host.role(given, "-i", "/tmp/inventory.ini", "--limit", "light")
    assert play.code != 0
    assert "kdump@gone: the dump server was not told this host's key: " in play.output, play.output
    assert "Connection refused" in play.output
    assert configuration(server) == before


def test_clones_of_one_machine_are_told_so(server: Server) -> None:
    """Two names in the inventory for one machine have one key, as images that were copied have."""
    play = role(server, "-i", "twin,", "--limit", "light,twin", "--forks", "1")
    assert play.code != 0
    assert play.output.count("the hosts light and twin have the same key SHA256:") >= 2, play.output
    assert authorized(server) == ""
