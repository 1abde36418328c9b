# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A dump that went to a server by ssh, and one that stayed on the host because the server was not there."""

import typing as t

BASE = "/srv/kdump/kdump"
Proofs = t.Callable[[str], dict[str, t.Any]]


def log_of(host: t.Any, path: str) -> str:
    """Return the kernel log out of a dump, as makedumpfile reads it: the independent witness."""
    read = host.run("rm -f /root/log; makedumpfile --dump-dmesg %s /root/log", path)
    assert read.rc == 0, read.stderr
    return host.file("/root/log").content_string  # type: ignore[no-any-return]


def test_the_dump_is_complete_on_the_server(server: t.Any, proof_of: Proofs) -> None:
    proof = proof_of("drill")
    assert proof["arrived"]
    assert proof["path"].startswith(f"{BASE}/ssh-client/")
    assert proof["mark"] in log_of(server, proof["path"])


def test_the_log_is_beside_it(server: t.Any, proof_of: Proofs) -> None:
    proof = proof_of("drill")
    assert proof["mark"] in server.file(proof["dmesg"]).content_string


def test_nobody_else_can_read_it(server: t.Any, proof_of: Proofs) -> None:
    dump = server.file(proof_of("drill")["path"])
    assert (dump.user, dump.group, dump.mode) == ("kdump", "kdump", 0o600)
    assert server.file(dump.path.rsplit("/", 1)[0]).mode == 0o700
    assert server.file(f"{BASE}/ssh-client").mode == 0o700


def test_the_host_kept_no_copy(proof_of: Proofs) -> None:
    assert proof_of("drill")["kept"] is None


def test_without_the_server_the_dump_is_complete_on_the_host(
    client: t.Any, proof_of: Proofs
) -> None:
    proof = proof_of("drill-local")
    assert not proof["arrived"]
    assert proof["path"].startswith("/var/crash/2")
    assert client.run("makedumpfile -R /root/vmcore < %s", proof["path"]).rc == 0
    assert proof["mark"] in log_of(client, "/root/vmcore")
    dump = client.file(proof["path"])
    assert (dump.user, dump.mode) == ("root", 0o600)
    assert client.file(proof["path"].rsplit("/", 1)[0]).mode == 0o700


def test_the_server_has_nothing_of_that_crash(server: t.Any, proof_of: Proofs) -> None:
    mark = proof_of("drill-local")["mark"]
    assert server.run("grep -rlF %s %s", mark, BASE).stdout == ""


def test_nothing_incomplete_is_left(server: t.Any, client: t.Any) -> None:
    for host, folder in ((server, BASE), (client, "/var/crash")):
        assert host.run("find %s -name '*-incomplete*'", folder).stdout == ""


def test_the_account_has_no_shell(server: t.Any) -> None:
    assert server.user("kdump").shell == "/usr/local/libexec/kdump-fleet/kdump-receive"


def test_the_client_may_not_run_anything_there(client: t.Any) -> None:
    key = client.run("sed -n 's/^SSH_KEY=//p' /etc/default/kdump-tools").stdout.strip().strip('"')
    # The pinned host keys let it in; testinfra takes ssh's own 255 for a host that it cannot reach.
    said = client.run(
        "ssh -o BatchMode=yes -o UserKnownHostsFile=/etc/kdump-fleet/known_hosts -i %s kdump@10.77.0.10 id",
        key,
    )
    assert said.rc == 1
    assert "kdump-receive: refused: " in said.stderr and said.stdout == ""


def test_the_client_is_armed_again(client: t.Any) -> None:
    assert client.file("/sys/kernel/kexec_crash_loaded").content_string.strip() == "1"
