# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role kdump_server: what it makes, refuses, takes back, and that a second run changes nothing."""

from __future__ import annotations

import json
import typing as t

import pytest
from server_host import BASE, ServerHost

DROPIN = "/etc/ssh/sshd_config.d/10-kdump-fleet-kdump.conf"
RECEIVER = "/usr/local/libexec/kdump-fleet/kdump-receive"
BLOCK = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmDMEaSW\n-----END PGP PUBLIC KEY BLOCK-----"
ALL: dict[str, t.Any] = {
    "kdump_server_encrypt": {"program": "gpg", "recipients": ["/etc/ssl/dumps.asc", BLOCK]},
    "kdump_server_install": False,
    "kdump_server_max_bytes": "200G",
    "kdump_server_max_dumps": 20,
    "kdump_server_keep_free": "1.5G",
    "kdump_server_keep": {"days": 90, "dumps": 5, "bytes": "100G"},
    "kdump_server_metrics": "/var/lib/node-exporter/kdump.prom",
    "kdump_server_exports": [
        {
            "path": "/srv/kdump/kdump",
            "clients": [
                {"name": "db1.example.com"},
                {"name": "2001:db8::1", "folder": "db2", "options": ["insecure", "sec=krb5p"]},
            ],
        },
        {"path": "/srv/nfs/all", "per_host": False, "clients": [{"name": "192.0.2.0/24"}]},
    ],
}
# With packages: all of these are there.
BARE = {"kdump_server_install": True}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[ServerHost]:
    folder = tmp_path_factory.mktemp("server") / "light"
    folder.mkdir()
    host = ServerHost(folder)
    try:
        host.must("mkdir", "/var/lib/node-exporter")
        yield host
    finally:
        host.close()


def state(server: ServerHost) -> str:
    """Return everything that the role may change, with owners and modes."""
    return server.must(
        "sh", "-c",
        "find /etc/kdump-fleet /etc/ssh /etc/exports.d /usr/local/libexec /etc/systemd/system /var/lib/kdump-server /srv"
        " /var/lib/node-exporter -printf '%p %M %u:%g %l\\n' 2>/dev/null | sort;"
        " cat /etc/ssh/sshd_config /etc/passwd /etc/group /etc/shadow /etc/kdump-fleet/*/* /etc/exports.d/* 2>/dev/null || true",
    )  # fmt: skip


def effective(server: ServerHost, user: str) -> list[str]:
    """Return what sshd would do for a user."""
    spec = f"user={user},host=x,addr=127.0.0.1"
    return server.must("/usr/sbin/sshd", "-T", "-C", spec).lower().splitlines()


def reloads(server: ServerHost) -> int:
    return (server.read("/var/log/systemctl.log") or "").count("try-reload-or-restart")


def test_check_then_do_then_again(server: ServerHost) -> None:
    before = state(server)
    would = server.server(ALL, "--check", "--diff")
    assert would.code == 0 and would.changed > 0, would.output
    assert state(server) == before, "check mode changed the server"
    did = server.server(ALL)
    assert did.code == 0, did.output
    assert reloads(server) == 1
    after = state(server)
    again = server.server(ALL)
    assert again.code == 0 and again.changed == 0, again.output
    assert state(server) == after and reloads(server) == 1

    passwd = server.must("getent", "passwd", "kdump").strip().split(":")
    assert passwd[5:] == [BASE, RECEIVER]
    assert server.must("getent", "shadow", "kdump").split(":")[1] == "*"
    assert server.must("id", "-Gn", "kdump") == "kdump\n"
    assert server.must("stat", "-c", "%a %U:%G", BASE) == "700 kdump:kdump\n"
    head = (server.read(RECEIVER) or "").splitlines()
    assert head[0] == "#!/usr/bin/python3 -IS" and head[1].startswith("# Copyright")
    assert server.must("stat", "-c", "%a %U:%G", "/etc/kdump-fleet/receive/kdump.json") == "640 root:kdump\n"  # fmt: skip
    assert json.loads(server.read("/etc/kdump-fleet/receive/kdump.json") or "") == {
        "base": BASE, "max_bytes": 200 << 30, "max_dumps": 20, "keep_free": 3 << 29,
        "max_sessions": 4, "idle": 1800,
        "encrypt": {"program": "gpg", "recipients": ["/etc/ssl/dumps.asc", "/etc/kdump-fleet/receive/kdump-0.asc"]},
    }  # fmt: skip
    assert server.read("/etc/kdump-fleet/receive/kdump-0.asc") == BLOCK + "\n"
    assert json.loads(server.read("/etc/kdump-fleet/keep/kdump.json") or "") == {
        "base": BASE, "days": 90.0, "dumps": 5, "bytes": 100 << 30,
        "metrics": "/var/lib/kdump-server/kdump/kdump.prom",
        "link": "/var/lib/node-exporter/kdump.prom",
    }  # fmt: skip


def test_sshd_has_rules_for_the_account_alone(server: ServerHost) -> None:
    ours, others = effective(server, "kdump"), effective(server, "root")
    for line in (
        "authorizedkeysfile /etc/kdump-fleet/keys/kdump", "authenticationmethods publickey",
        "allowtcpforwarding no", "permittty no", "permituserrc no", "acceptenv kdump_fleet_none",
        "disableforwarding yes", "passwordauthentication no", "loglevel verbose", "maxsessions 2",
    ):  # fmt: skip
        assert line in ours and line not in others, line
    assert "maxstartups 200:30:1000" in others
    assert "acceptenv lang" in others and "acceptenv lang" not in ours


def test_exports_keep_hosts_apart(server: ServerHost) -> None:
    uid, gid = server.must("getent", "passwd", "kdump").split(":")[2:4]
    squash = f"rw,sync,subtree_check,all_squash,anonuid={uid},anongid={gid}"
    lines = (server.read("/etc/exports.d/kdump-fleet-kdump.exports") or "").splitlines()
    assert lines[1:] == [
        f"{BASE}/db1.example.com db1.example.com({squash})",
        f"{BASE}/db2 2001:db8::1({squash},insecure,sec=krb5p)",
        # Of a folder for all there is nothing beside it to keep them from.
        f"/srv/nfs/all 192.0.2.0/24({squash.replace('subtree', 'no_subtree')})",
    ]
    assert server.must("stat", "-c", "%a %U", f"{BASE}/db2") == "700 kdump\n"
    assert (server.read("/var/log/exportfs.log") or "") == "-ra\n"


def test_the_keeper_runs_as_the_account_and_node_exporter_sees_it(server: ServerHost) -> None:
    keep = "/usr/local/libexec/kdump-fleet/kdump-keep"
    server.must("setpriv", "--reuid=kdump", "--regid=kdump", "--clear-groups", keep, "/etc/kdump-fleet/keep/kdump.json")  # fmt: skip
    text = server.must("cat", "/var/lib/node-exporter/kdump.prom")
    assert 'kdump_server_dumps{host="db1.example.com"} 0\n' in text
    for unit in ("service", "timer"):
        path = f"/etc/systemd/system/kdump-keep-kdump.{unit}"
        said = server.run("/usr/bin/systemd-analyze", "verify", "--man=no", path)
        assert path not in said.stderr and said.returncode == 0, said.stderr


def test_what_somebody_changed_is_put_right(server: ServerHost) -> None:
    server.allow(server.client("one"), server.client("two"))
    before, count = state(server), reloads(server)
    server.must("usermod", "--shell", "/bin/sh", "--password", "x", "--append", "--groups", "adm", "kdump")  # fmt: skip
    server.must("chmod", "0755", BASE)
    server.write(DROPIN, "")
    play = server.server({**ALL, "kdump_server_hosts": ["one", "two", "three"]})
    assert play.code == 0 and reloads(server) == count + 1, play.output
    # shadow's date of the last change of a password is no matter.
    assert [line for line in state(server).splitlines() if not line.startswith("kdump:*:")] == [
        line for line in before.splitlines() if not line.startswith("kdump:*:")
    ]


def test_hosts_that_are_not_named_go_and_a_run_that_was_cut_off_is_finished(
    server: ServerHost,
) -> None:
    count = reloads(server)
    # It was cut off between writing and sshd's reading.
    server.write("/run/kdump-fleet-sshd-kdump", "")
    play = server.server({**ALL, "kdump_server_hosts": ["two", "three"]})
    assert play.code == 0 and reloads(server) == count + 1, play.output
    keys = server.read("/etc/kdump-fleet/keys/kdump") or ""
    assert " kdump-fleet:two\n" in keys and "kdump-fleet:one" not in keys


def test_another_file_with_the_first_word_is_named_and_all_is_taken_back(
    server: ServerHost,
) -> None:
    before, count = server.read(DROPIN), reloads(server)
    site = "/etc/ssh/sshd_config.d/00-site.conf"
    server.write(site, "Match User *\n  PermitTTY yes\n  AcceptEnv SITE_*\n")
    play = server.server({**ALL, "kdump_server_idle": 600})
    assert play.code != 0, play.output
    assert "permittty yes in place of no (for everybody)" in play.output
    assert "acceptenv site_* in place of kdump_fleet_none" in play.output
    assert "grep -ri permittty /etc/ssh" in play.output
    assert server.read(DROPIN) == before and reloads(server) == count
    # One that looks at where a client comes from, which 127.0.0.1 does not show.
    server.write(site, "Match Address 10.0.0.0/8\n  AllowTcpForwarding yes\nMatch all\n")
    play = server.server({**ALL, "kdump_server_idle": 600})
    assert play.code != 0, play.output
    assert "allowtcpforwarding yes in place of no (for addr=10.0.0.1)" in play.output
    assert server.read(DROPIN) == before and reloads(server) == count
    # And one that no name made from its patterns shows, but a client that the role is told of.
    server.write(site, "Match Host d*,!d1\n  X11Forwarding yes\nMatch all\n")
    play = server.server({**ALL, "kdump_server_idle": 600, "kdump_server_hosts": ["db1"]})
    assert play.code != 0 and "x11forwarding yes in place of no (for host=db1)" in play.output
    # A configuration that was broken before is not ours to touch.
    server.write(site, "Nonsense yes\n")
    play = server.server({**ALL, "kdump_server_idle": 600})
    assert play.code != 0 and "broken already, before anything was changed" in play.output
    assert "Nonsense" in play.output and server.read(DROPIN) == before
    server.remove(site)
    assert server.run("test", "-e", "/run/kdump-fleet-sshd-kdump").returncode == 1


REFUSED: list[tuple[dict[str, t.Any], str]] = [
    ({"kdump_server_account": "root"}, "kdump_server_account: 'root' must be"),
    ({"kdump_server_account": "man"}, "man is on this server already"),
    ({"kdump_server_path": "/srv"}, "kdump_server_path: '/srv' must be"),
    ({"kdump_server_path": "/srv/../etc"}, "kdump_server_path: '/srv/../etc'"),
    ({"kdump_server_path": "/etc/ssh"}, "kdump_server_path: /etc/ssh is there"),
    ({"kdump_server_max_bytes": "200 gigs"}, "kdump_server_max_bytes: '200 gigs' must be bytes"),
    ({"kdump_server_keep": {"bytes": "-1"}}, "kdump_server_keep.bytes: '-1' must be bytes"),
    ({"kdump_server_idle": 1}, "must be at least 10"),
    (
        {"kdump_server_encrypt": {"program": "age", "recipients": ["AGE-SECRET-KEY-1QQ"]}},
        "The private key must never be on the server",
    ),
    ({"kdump_server_hosts": ["../etc"]}, "kdump_server_hosts: '../etc' is no host"),
    (
        {"kdump_server_exports": [{"path": "/srv/x", "clients": [{"name": "*"}]}]},
        "with per_host a client is one host's name",
    ),
    (
        {"kdump_server_exports": [{"path": "/srv/x", "clients": [{"name": "a", "options": ["no_root_squash"]}]}]},
        "options are those of exports(5) that neither give root nor lose data",
    ),
    ({"kdump_server_max_startups": "many"}, "kdump_server_max_startups: 'many' must be"),
    ({"kdump_server_metrics": "/etc/passwd"}, "kdump_server_metrics: '/etc/passwd' must be"),
    ({"kdump_server_state": "gone"}, "kdump_server_state"),
]  # fmt: skip


def test_bad_input_is_named_and_nothing_is_changed(server: ServerHost) -> None:
    before = state(server)
    play, refusals = server.refusals([variables for variables, _message in REFUSED])
    assert play.code == 0 and len(refusals) == len(REFUSED), play.output
    for refusal, (_variables, message) in zip(refusals, REFUSED):
        said = refusal.replace('\\"', "'")
        assert message in said, said
    # The file with what was said.
    assert play.changed == 1, play.output
    assert state(server) == before


def test_what_was_ours_goes_when_it_is_not_wanted_any_more(server: ServerHost) -> None:
    server.must("mkdir", "-p", "/var/lib/other")
    # Of an account whose name begins as this one's.
    server.write("/etc/kdump-fleet/receive/kdump-2-0.asc", "x")
    two = {"program": "gpg", "recipients": [BLOCK, BLOCK.replace("mDME", "mDMF")]}
    moved = {**ALL, "kdump_server_encrypt": two, "kdump_server_metrics": "/var/lib/other/k.prom"}
    play = server.server(moved)
    assert play.code == 0, play.output
    listing = server.must("sh", "-c", "ls /etc/kdump-fleet/receive /var/lib/node-exporter /var/lib/other").split()  # fmt: skip
    assert {"kdump-0.asc", "kdump-1.asc", "k.prom"} < set(listing) and "kdump.prom" not in listing
    # Somebody has put another thing in its place.
    server.must("ln", "-sfn", "/etc/hostname", "/var/lib/other/k.prom")
    play = server.server(ALL)
    assert play.code == 0, play.output
    listing = server.must("sh", "-c", "ls /etc/kdump-fleet/receive /var/lib/node-exporter /var/lib/other").split()  # fmt: skip
    assert {"kdump-0.asc", "kdump-2-0.asc", "kdump.prom", "k.prom"} < set(listing)
    assert "kdump-1.asc" not in listing
    none = {**ALL, "kdump_server_encrypt": None, "kdump_server_metrics": ""}
    play = server.server(none)
    assert play.code == 0, play.output
    listing = server.must("sh", "-c", "ls /etc/kdump-fleet/receive /var/lib/node-exporter").split()
    assert "kdump-0.asc" not in listing and "kdump.prom" not in listing
    again = server.server(none)
    assert again.code == 0 and again.changed == 0, again.output
    # So that all is taken back at last, by who does not know any more where the link was.
    assert server.server(ALL).code == 0
    server.remove("/etc/kdump-fleet/receive/kdump-2-0.asc")


def test_exports_that_nfs_does_not_take_come_back(server: ServerHost) -> None:
    path = "/etc/exports.d/kdump-fleet-kdump.exports"
    before = server.read(path)
    server.write(
        "/usr/local/sbin/exportfs", "#!/bin/sh\necho 'exportfs: no such host' >&2\nexit 1\n"
    )
    exports = [{"path": "/srv/x", "clients": [{"name": "nowhere"}]}]
    play = server.server({**ALL, "kdump_server_exports": exports})
    assert play.code != 0 and "they are as they were before" in play.output, play.output
    assert "exportfs: no such host" in play.output and server.read(path) == before
    server.write("/usr/local/sbin/exportfs", "#!/bin/sh\n")


def test_all_is_taken_back_but_the_dumps(server: ServerHost) -> None:
    server.must("mkdir", "-p", f"{BASE}/two/dump")
    server.write(f"{BASE}/two/dump/vmcore", "dump")
    server.must("chown", "-R", "kdump:", f"{BASE}/two")
    count = reloads(server)
    play = server.server({**ALL, "kdump_server_state": "absent", "kdump_server_metrics": ""})
    assert play.code == 0 and reloads(server) == count + 1, play.output
    assert server.stored("two/dump/vmcore") == b"dump"
    assert server.must("stat", "-c", "%a %U:%G", BASE) == "700 root:root\n"
    assert server.run("id", "kdump").returncode == 1
    rest = state(server)
    for word in ("kdump-receive", "kdump-keep", "10-kdump-fleet", "kdump.prom", ".exports"):
        assert word not in rest, word
    assert server.must("sh", "-c", "ls /etc/kdump-fleet/*").split() == [
        "/etc/kdump-fleet/keep:", "/etc/kdump-fleet/keys:", "/etc/kdump-fleet/receive:",
    ]  # fmt: skip
    again = server.server({**ALL, "kdump_server_state": "absent"})
    assert again.code == 0 and again.changed == 0, again.output


def test_a_server_comes_back_to_its_dumps_and_without_drop_ins(server: ServerHost) -> None:
    """As on Enterprise Linux 8: sshd_config reads no other file. The account may get another number."""
    server.must("useradd", "--system", "in-between")
    config = (server.read("/etc/ssh/sshd_config") or "").replace("Include ", "#Include ")
    server.write("/etc/ssh/sshd_config", config)
    play = server.server(BARE)
    assert play.code == 0, play.output
    text = server.read("/etc/ssh/sshd_config") or ""
    assert config in text and "\nMatch User kdump\n" in text.partition(config)[2]
    assert "maxstartups 200:30:1000" in effective(server, "root")
    assert server.read(DROPIN) is None
    assert "permittty no" in effective(server, "kdump")
    # What others add behind it is for everybody.
    server.write("/etc/ssh/sshd_config", text + "X11Forwarding yes\n")
    assert "x11forwarding yes" in effective(server, "root")
    server.write("/etc/ssh/sshd_config", text)
    assert server.must("stat", "-c", "%U", f"{BASE}/two/dump/vmcore") == "kdump\n"
    again = server.server(BARE)
    assert again.code == 0 and again.changed == 0, again.output
    gone = server.server({"kdump_server_state": "absent"})
    assert gone.code == 0, gone.output
    assert (server.read("/etc/ssh/sshd_config") or "").strip() == config.strip()
