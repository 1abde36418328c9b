# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kdump_authorized_keys by Ansible, and many of them at once on one file."""

from __future__ import annotations

import base64
import json
import struct
import typing as t
from concurrent.futures import ThreadPoolExecutor

from light_host import LightHost

PATH = "/etc/kdump-fleet/keys/nobody"


def key(number: int) -> str:
    fields = [b"ssh-ed25519", struct.pack(">I", number) * 8]
    blob = b"".join(struct.pack(">I", len(field)) + field for field in fields)
    return "ssh-ed25519 " + base64.b64encode(blob).decode()


def line(host: str, number: int) -> str:
    return f'restrict,command="host {host}" {key(number)} kdump-fleet:{host}\n'


def status(light: LightHost, path: str) -> str:
    return light.run("stat", "-c", "%a %U:%G", path).stdout.strip()


def test_four_steps_and_the_way_back(light: LightHost) -> None:
    arguments: dict[str, t.Any] = {
        "account": "nobody",
        "hosts": [{"name": "a", "keys": [key(1) + " root@a"]}, {"name": "b", "keys": [key(2)]}],
    }
    would = light.module("kdump_authorized_keys", arguments, "--check", "--diff")
    assert light.read(PATH) is None and light.run("test", "-e", "/etc/kdump-fleet").returncode
    did = light.module("kdump_authorized_keys", arguments, "--diff")
    assert light.read(PATH) == line("a", 1) + line("b", 2)
    assert status(light, PATH) == "640 root:nogroup"
    again = light.module("kdump_authorized_keys", arguments)
    would_again = light.module("kdump_authorized_keys", arguments, "--check")
    results = [would, did, again, would_again]
    assert [result.get("changed") for result in results] == [True, True, False, False], results
    assert would["diff"] == did["diff"] and key(1).split()[1] not in json.dumps(did["diff"])
    assert did["changed_hosts"] == ["a", "b"] and again["changed_hosts"] == []
    public = light.run("sh", "-c", "cut -d' ' -f1,2 /etc/ssh/ssh_host_*_key.pub").stdout
    assert sorted(did["host_keys"]) == sorted(public.splitlines()) and did["host_keys"]

    # A mode that somebody changed is put right, and nothing else.
    light.run("chmod", "0600", PATH)
    mended = light.module("kdump_authorized_keys", arguments)
    assert mended["changed"] and mended["changed_hosts"] == []
    assert status(light, PATH) == "640 root:nogroup"

    gone = light.module(
        "kdump_authorized_keys",
        {"account": "nobody", "state": "absent", "hosts": [{"name": "a"}]},
    )
    assert gone["changed"] and gone["removed_hosts"] == ["a"]
    assert light.read(PATH) == line("b", 2)


def test_what_is_refused_changes_nothing(light: LightHost) -> None:
    refused = light.module("kdump_authorized_keys", {"account": "no-such", "hosts": []})
    assert refused["failed"] and "kdump.fleet.kdump_server makes it" in refused["msg"]
    assert light.run("test", "-e", "/etc/kdump-fleet").returncode == 1
    hosts = [{"name": name, "keys": [key(1)]} for name in ("a", "b")]
    hosts.append({"name": "c", "keys": [key(3)]})
    refused = light.module("kdump_authorized_keys", {"account": "nobody", "hosts": hosts})
    assert refused["failed"] and "the hosts a and b have the same key SHA256:" in refused["msg"]
    assert sorted(refused["refused"]) == ["a", "b"]
    # One clone does not keep the others from their server.
    assert light.read(PATH) == line("c", 3)


def test_eight_at_once_lose_nothing(light: LightHost) -> None:
    """Eight processes add 20 hosts each one by one, to a file that has hosts already."""
    light.module(
        "kdump_authorized_keys",
        {"account": "nobody", "hosts": [{"name": "first", "keys": [key(0)]}]},
    )
    light.write("/tmp/many.py", MANY)

    def play(number: int) -> tuple[int, str]:
        hosts = [
            {"name": f"h{number}-{at}", "keys": [key(1000 * number + at)]} for at in range(1, 21)
        ]
        done = light.run("python3", "/tmp/many.py", stdin=json.dumps(hosts))
        return done.returncode, done.stdout + done.stderr

    with ThreadPoolExecutor(8) as pool:
        for code, output in pool.map(play, range(1, 9)):
            assert code == 0, output
    lines = (light.read(PATH) or "").splitlines(keepends=True)
    expected = [line("first", 0)]
    expected += [line(f"h{n}-{at}", 1000 * n + at) for n in range(1, 9) for at in range(1, 21)]
    assert sorted(lines) == sorted(expected)
    names = light.run("ls", "-A", "/etc/kdump-fleet/keys").stdout.split()
    assert sorted(names) == [".nobody.lock", "nobody"]


# The module's own main(), once for each host, without a new interpreter each time.
MANY = """
import io, json, sys
from ansible.module_utils import basic
from ansible_collections.kdump.fleet.plugins.modules import kdump_authorized_keys
for host in json.load(sys.stdin):
    arguments = {"account": "nobody", "hosts": [host], "host_keys": False}
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode()
    basic._ANSIBLE_PROFILE = "legacy"
    try:
        kdump_authorized_keys.main()
    except SystemExit as exc:
        if exc.code:
            sys.exit(1)
"""
