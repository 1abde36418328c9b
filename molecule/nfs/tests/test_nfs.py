# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A dump that went to a server's export, and one that went to a second disk."""

import typing as t

EXPORT = "/srv/kdump/kdump/nfs-client"
Proofs = t.Callable[[str], dict[str, t.Any]]


def log_of(host: t.Any, path: str) -> str:
    """Return the kernel log out of a dump as kdump-tools writes it, as makedumpfile reads it: the independent witness."""
    made = host.run(
        "makedumpfile -R /root/vmcore < %s && makedumpfile --dump-dmesg -f /root/vmcore /root/log",
        path,
    )
    assert made.rc == 0, made.stderr
    return host.file("/root/log").content_string  # type: ignore[no-any-return]


def test_the_dump_is_complete_in_the_export(server: t.Any, proof_of: Proofs) -> None:
    proof = proof_of("drill")
    assert proof["arrived"]
    assert proof["path"].startswith(EXPORT + "/")
    assert proof["mark"] in log_of(server, proof["path"])


def test_it_belongs_to_the_account_that_gets_dumps(server: t.Any, proof_of: Proofs) -> None:
    dump = server.file(proof_of("drill")["path"])
    assert dump.user == "kdump"
    assert dump.mode == 0o600
    assert server.file(EXPORT).mode == 0o700


def test_the_host_kept_no_copy(proof_of: Proofs) -> None:
    assert proof_of("drill")["kept"] is None


def test_the_export_is_not_mounted_on_the_host(client: t.Any) -> None:
    assert "nfs" not in client.check_output("cut -d' ' -f3 /proc/mounts").split()


def test_a_run_without_the_export_names_the_cause(proof_of: Proofs) -> None:
    said = proof_of("gone")["msg"]
    assert said.startswith("kdump_target: nfs 10.77.0.10:/srv/kdump/kdump/nfs-client")
    assert (
        "the server exports no such folder to this host" in said or "not exported any more" in said
    )


def test_the_dump_on_the_second_disk_is_complete(client: t.Any, proof_of: Proofs) -> None:
    proof = proof_of("drill-disk")
    assert client.check_output("findmnt -no SOURCE -T %s", proof["path"]) == "/dev/vdb"
    mark = f"kdump.fleet: crash drill {proof['token']}"
    assert mark in log_of(client, proof["path"])


def test_the_client_is_armed_again(client: t.Any) -> None:
    assert client.file("/sys/kernel/kexec_crash_loaded").content_string.strip() == "1"
