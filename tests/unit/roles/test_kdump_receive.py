# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The dump server's receiver: what it understands, what it refuses, and where things end up."""

import contextlib
import fcntl
import json
import os
import socket
import stat
import struct
import time
import typing as t
from pathlib import Path

import pytest

from ansible_collections.kdump.fleet.tests.unit.roles.fleet_host import (
    HOST,
    KDUMP_TOOLS,
    KDUMPCTL,
    RECORDS,
    SUSE,
    Client,
    elf,
    flattened,
    in_order,
    receive,
)

D = KDUMPCTL
FOLDER = D.rpartition("/")[2]
TEST = "/var/crash/kdump-test-1764069388-123456789"
STATUS = TEST + "/vmcore-creation.status"
TMP = "/var/crash/tmp.aB3dE6gH9j"
PROOF = TMP + "/kdump-fleet-proof"
FIRST = b"This file will be overwritten when the dump is finished.\nIf you see this text ..."

# --- commands

COMMANDS = [
    # kdumpctl and mkdumprd
    ("mkdir -p /var/crash", "mkdir", "", ""),
    (f"mkdir -p {D}", "mkdir", FOLDER, ""),
    (f"mkdir -p /var/crash//{FOLDER}/", "mkdir", FOLDER, ""),
    (f"mkdir -p /{FOLDER}", "mkdir", FOLDER, ""),
    ("mkdir -p /c/fe80::1%eth0-2026-11-25-11:16:28", "mkdir", "fe80::1%eth0-2026-11-25-11:16:28", ""),
    ("mkdir -p /c/web1.example.org-2026-11-25-11:16:28", "mkdir", "web1.example.org-2026-11-25-11:16:28", ""),
    ("mktemp -dqp /var/crash", "mktemp", "", ""),
    (f"rmdir {TMP}", "rmdir", "tmp.aB3dE6gH9j", ""),
    ("df --output=avail /var/crash", "df", "", ""),
    ("df -P /var/crash", "dfp", "", ""),
    (f"umask 0077 && dd bs=512 of='{D}/vmcore-incomplete'", "dd", FOLDER, "vmcore-incomplete"),
    (f"umask 0077 && dd bs=512 of={D}/vmcore-incomplete", "dd", FOLDER, "vmcore-incomplete"),
    (f"umask 0077 && dd of='{D}/vmcore-dmesg-incomplete.txt'", "dd", FOLDER, "vmcore-dmesg-incomplete.txt"),
    (f"dd bs=512 of={D}/vmcore-incomplete", "dd", FOLDER, "vmcore-incomplete"),
    (f"mv '{D}/vmcore-incomplete' '{D}/vmcore.flat'", "mv", FOLDER, "vmcore-incomplete"),
    (f"mv {D}/vmcore-dmesg-incomplete.txt {D}/vmcore-dmesg.txt", "mv", FOLDER, "vmcore-dmesg-incomplete.txt"),
    (f"mv {D}/opalcore-incomplete {D}/opalcore", "mv", FOLDER, "opalcore-incomplete"),
    (f"mkdir -p {TEST}", "mkdir", "kdump-test-1764069388-123456789", ""),
    (
        f"echo fail kdump_test_id=1764069388-123456789 > {STATUS}",
        "status", "kdump-test-1764069388-123456789", "vmcore-creation.status",
    ),
    (f"scp -t {D}/", "put", FOLDER, ""),
    (f"scp -q -d -t {D}/", "put", FOLDER, ""),
    (f"scp -v -p -t {D}/kexec-dmesg.log", "put", FOLDER, "kexec-dmesg.log"),
    (f"scp -qdpt -- '{D}/opalcore-incomplete'", "put", FOLDER, "opalcore-incomplete"),
    (f"scp -q -f {STATUS}", "get", "kdump-test-1764069388-123456789", "vmcore-creation.status"),
    # kdump-tools
    ("mkdir -p /var/crash/202611251116", "mkdir", "202611251116", ""),
    (f"dd of={KDUMP_TOOLS}/dump-incomplete", "dd", "10.0.0.1-202611251116", "dump-incomplete"),
    (f"dd of={KDUMP_TOOLS}/dump-incomplete.lz4", "dd", "10.0.0.1-202611251116", "dump-incomplete.lz4"),
    (
        f"mv {KDUMP_TOOLS}/dump-incomplete.gz {KDUMP_TOOLS}/dump.202611251116.gz",
        "mv", "10.0.0.1-202611251116", "dump-incomplete.gz",
    ),
    (
        f"mv {KDUMP_TOOLS}/vmcore-incomplete {KDUMP_TOOLS}/vmcore.202611251116",
        "mv", "10.0.0.1-202611251116", "vmcore-incomplete",
    ),
    # SUSE
    (f"umask 077; mkdir -p {SUSE} && cat > {SUSE}/README.txt", "cat", "web1-2026-11-25-11-16", "README.txt"),
    (f"cat > {SUSE}/vmcore", "cat", "web1-2026-11-25-11-16", "vmcore"),
    # the role's proof
    (f"dd of={PROOF}", "dd", "tmp.aB3dE6gH9j", "kdump-fleet-proof"),
    (f"rm -f {PROOF}", "rm", "tmp.aB3dE6gH9j", "kdump-fleet-proof"),
    # sshd puts the subsystem's command there
    ("internal-sftp", "sftp", "", ""),
    ("internal-sftp -f AUTH -l INFO", "sftp", "", ""),
    ("/usr/lib/openssh/sftp-server", "sftp", "", ""),
    ("/usr/libexec/openssh/sftp-server -l VERBOSE", "sftp", "", ""),
    # the client's own path may look like a dump's folder; the last part that does is the dump's
    (f"dd of=/srv/202601010000/{FOLDER}/vmcore-incomplete", "dd", FOLDER, "vmcore-incomplete"),
]  # fmt: skip


@pytest.mark.parametrize("text, verb, folder, name", COMMANDS)
def test_understands(text: str, verb: str, folder: str, name: str) -> None:
    request = receive.parse_command(text)
    assert (request.verb, request.place.folder, request.place.name) == (verb, folder, name)


def test_a_rename_has_a_target() -> None:
    request = receive.parse_command(f"mv {D}/vmcore-incomplete {D}/vmcore.flat")
    assert request.target.name == "vmcore.flat"


def test_a_status_has_its_text() -> None:
    request = receive.parse_command(f"echo success kdump_test_id=1764069388-123456789 > {STATUS}")
    assert request.status == "success kdump_test_id=1764069388-123456789\n"


OTHER = "not a command"
CHARACTER = "a character that is not"
REFUSED = [
    ("", "empty"),
    (" ", OTHER),
    ("sh", OTHER),
    ("rm -rf /", OTHER),
    ("cat /etc/passwd", OTHER),
    (f"cat {D}/vmcore", OTHER),
    ("ls /var/crash", OTHER),
    (f"mkdir {D}", OTHER),
    (f"mkdir -p {D} {D}", OTHER),
    (f"mkdir -p {D}; reboot", OTHER),
    (f"mkdir -p {D} && reboot", OTHER),
    (f"mkdir -p {D} && cat > {D}/vmcore && id", OTHER),
    (f"umask 0077 && mkdir -p {D}", OTHER),
    (f"umask 0077 && mv {D}/vmcore-incomplete {D}/vmcore", OTHER),
    (f"umask 0000 && dd of={D}/vmcore-incomplete", "umask 077"),
    (f"umask 0077 || dd of={D}/vmcore-incomplete", "umask 077"),
    ("umask 0077", "umask 077"),
    (f"dd if=/etc/shadow of={D}/vmcore-incomplete", OTHER),
    (f"dd of={D}/vmcore-incomplete if=/etc/shadow", OTHER),
    (f"dd bs=x of={D}/vmcore-incomplete", OTHER),
    (f"dd bs=512 of={D}/vmcore-incomplete oflag=append", OTHER),
    (f"cat >> {D}/vmcore", OTHER),
    (f"cat < {D}/vmcore", OTHER),
    (f"cat > {D}/vmcore > {D}/x", OTHER),
    ("df /var/crash", OTHER),
    ("df", OTHER),
    # paths
    ("mkdir -p var/crash", "not absolute"),
    ("mkdir -p ~/crash", "not absolute"),
    ("mkdir -p ''", "not absolute"),
    (f"mkdir -p /var/crash/../{FOLDER}", "'..' in a path"),
    (f"mkdir -p {D}/..", "'..' in a path"),
    (f"dd of={D}/..", "'..' in a path"),
    (f"dd of={D}/./vmcore-incomplete", "'.' in a path"),
    (f"dd of=/var/crash/..//{FOLDER}/vmcore-incomplete", "'..' in a path"),
    (f"dd of={D}/sub/vmcore-incomplete", "more than a file's name"),
    ("dd of=/etc/passwd", "no dump's folder"),
    ("dd of=/var/crash/vmcore-incomplete", "no dump's folder"),
    (f"dd of={D}", "file's name is missing"),
    (f"dd of={D}/", "file's name is missing"),
    (f"dd of={D}/.bashrc", "no name for a client's file"),
    (f"dd of={D}/receipt.json", "no name for a client's file"),
    (f"cat > {D}/.vmcore-incomplete.state", "no name for a client's file"),
    (f"dd of={STATUS}", "no name for a client's file"),
    (f"dd of={D}/" + "v" * 226, "no name for a client's file"),
    (f"dd of={D}/" + "v" * 256, "longer than 255 bytes"),
    ("mkdir -p /" + "h" * 240 + "-202611251116", "no name for a dump's folder"),
    ("mkdir -p /.x-202611251116", "no name for a dump's folder"),
    ("mkdir -p /" + "/".join(["d" * 100] * 41), "longer than 4096 bytes"),
    ("mkdir -p /" + "d" * 9000, "too long"),
    (f"mkdir -p {D}.1", None),  # the server's own generations cannot be named
    (f"dd of={D}.1/vmcore-incomplete", "no dump's folder"),
    (f"mkdir -p {D}/file", "only of a dump's folder"),
    (f"mkdir -p {TMP}", "only of a dump's folder"),
    (f"mktemp -dqp {D}", "only in the host's own folder"),
    ("mktemp -d", OTHER),
    # characters
    (f"mkdir -p {D}\n", CHARACTER),
    (f"mkdir -p {D}\0", CHARACTER),
    (f"mkdir\t-p {D}", CHARACTER),
    (f"mkdir -p {D}\x1b[2J", CHARACTER),
    (f"mkdir -p {D}\u00e9", CHARACTER),
    (f"mkdir -p {D}`id`", CHARACTER),
    (f"mkdir -p $HOME/{FOLDER}", "not absolute"),
    (f"mkdir -p /$(id)/{FOLDER}", CHARACTER),
    (f"mkdir -p /a\\b/{FOLDER}", CHARACTER),
    (f"mkdir -p /*/{FOLDER}", CHARACTER),
    (f"mkdir -p '/a b/{FOLDER}'", "quotes"),
    (f"dd of='{D}/vmcore-incomplete", "quotes"),
    (f"dd of={D}/'vmcore-incomplete'", "quotes"),
    (f"dd of='{D};id'", "quotes"),
    (f"dd of='{D}/vmcore-incomplete'\"'\"", "quotes"),
    # renames
    (f"mv {D}/vmcore {D}/x", "from an -incomplete name"),
    (f"mv {D}/vmcore-incomplete {D}/vmcore-incomplete", "to a final one"),
    (f"mv {D}/vmcore-incomplete {D}/README.txt", "does not begin"),
    (f"mv {D}/vmcore-incomplete {D}/vmcore-dmesg.txt", "does not begin"),
    (f"mv {D}/vmcore-incomplete {D}/receipt.json", "no name for a client's file"),
    (f"mv {D}/vmcore-incomplete {SUSE}/vmcore", "inside of one folder"),
    (f"mv {D}/vmcore-incomplete /etc/cron.d/vmcore", "no dump's folder"),
    (f"mv -f {D}/vmcore-incomplete {D}/vmcore", OTHER),
    # removals
    (f"rm -f {D}/vmcore", "only of what 'mktemp -dqp'"),
    (f"rm -f {TMP}/other", "only of what 'mktemp -dqp'"),
    (f"rm -rf {TMP}", OTHER),
    (f"rm {PROOF}", OTHER),
    (f"rmdir {D}", "only of what 'mktemp -dqp'"),
    ("rmdir /var/crash", "only of what 'mktemp -dqp'"),
    (f"rmdir {PROOF}", "only of what 'mktemp -dqp'"),
    (f"dd of={TMP}/other", "no dump's folder"),
    (f"cat > {PROOF}", "no dump's folder"),
    # scp
    (f"scp -f {D}/vmcore", "nothing can be fetched"),
    ("scp -f /etc/passwd", "nothing can be fetched"),
    (f"scp -f {D}/vmcore-creation.status", "nothing can be fetched"),
    (f"scp -r -t {D}/", "only with -t"),
    (f"scp -t -f {D}/", "only with -t"),
    (f"scp -S id -t {D}", "only with -t"),
    (f"scp -t {D} {D}", "only with -t"),
    ("scp -t /var/crash", "no dump's folder"),
    (f"scp -t {TMP}", "no dump's folder"),
    (f"scp -t {PROOF}", "no dump's folder"),
    ("scp", "only with -t"),
    # a test's status
    (f"echo success kdump_test_id=1 > {STATUS}", "a test's status"),
    (f"echo success kdump_test_id=1764069388-123456789 > {D}/vmcore-creation.status", "a test's status"),
    (f"echo success kdump_test_id=1764069388-123456789 > {TEST}/x", "a test's status"),
    (f"echo maybe kdump_test_id=1764069388-123456789 > {STATUS}", OTHER),
    # what only looks like sftp
    ("sftp-server", OTHER),
    ("internal-sftp; id", OTHER),
    ("/bin/sh -c internal-sftp", OTHER),
    ("/usr/lib/openssh/sftp-server $(id)", OTHER),
]  # fmt: skip


@pytest.mark.parametrize("text, cause", [row for row in REFUSED if row[1]])
def test_refuses(text: str, cause: str) -> None:
    with pytest.raises(receive.Refused, match=cause.replace("(", r"\(")):
        receive.parse_command(text)


def test_a_generation_cannot_be_named() -> None:
    assert receive.parse_command(f"mkdir -p {D}.1").place.folder == ""


NO_SHELL = "there is no shell here"
ARGV = [
    ([], NO_SHELL),
    (["-c"], NO_SHELL),
    (["-l"], NO_SHELL),
    (["-c", "id"], NO_SHELL),
    (["-c", "host a", "x"], NO_SHELL),
    (["-c", "host "], "no valid host name"),
    (["-c", "host .hidden"], "no valid host name"),
    (["-c", "host a/b"], "no valid host name"),
    (["-c", "host a..b"], "no valid host name"),
    (["-c", "host a\n"], "no valid host name"),
    (["-c", "host " + "a" * 254], "no valid host name"),
    (["--config", "/x", "-l"], NO_SHELL),
    (["-c", "host a", "--config", "/x"], NO_SHELL),
]


@pytest.mark.parametrize("argv, cause", ARGV)
def test_refuses_other_arguments(argv: t.List[str], cause: str) -> None:
    with pytest.raises(receive.Refused, match=cause):
        receive.parse_argv(argv)


def test_the_account_names_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receive.os, "getuid", lambda: 1234)
    monkeypatch.setattr(receive.pwd, "getpwuid", lambda uid: receive.pwd.struct_passwd(
        (f"dumps{uid}", "x", uid, uid, "", "/", "/")
    ))  # fmt: skip
    assert receive.parse_argv(["-c", "host web1"]) == (
        "/etc/kdump-fleet/receive/dumps1234.json", "web1",
    )  # fmt: skip


def test_root_has_no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receive.os, "getuid", lambda: 0)
    with pytest.raises(receive.Refused, match="must not be root"):
        receive.parse_argv(["-c", "host web1"])


# --- streams


class Disk:
    """A file in memory; counts the writes."""

    def __init__(self) -> None:
        self.content = bytearray()
        self.writes = 0

    def write(self, offset: int, views: t.List[t.Any]) -> None:
        data = b"".join(bytes(view) for view in views)
        self.content.extend(bytes(max(0, offset + len(data) - len(self.content))))
        self.content[offset : offset + len(data)] = data
        self.writes += 1


def feed(sink: t.Any, stream: bytes, size: int) -> None:
    """Feed a stream through a buffer that is used again, as the receiver's is."""
    buffer = bytearray(size)
    for at in range(0, len(stream), size):
        part = stream[at : at + size]
        buffer[: len(part)] = part
        sink.feed(memoryview(buffer)[: len(part)])
        sink.flush()
        buffer[:] = b"\xee" * size


@pytest.mark.parametrize("size", [1, 7, 15, 16, 17, 4095, 4096, 4097, 1 << 20])
def test_flattened_is_put_in_order(size: int) -> None:
    disk = Disk()
    sink = receive.Flattened(disk.write)
    feed(sink, flattened(), size)
    sink.finish()
    assert bytes(disk.content) == in_order()
    assert sink.size == len(in_order())
    assert bytes(sink.head) == b"KDUMP   "


def test_flattened_neighbours_are_written_together() -> None:
    disk = Disk()
    sink = receive.Flattened(disk.write)
    records = [(index * 100, bytes([index]) * 100) for index in range(50)]
    feed(sink, flattened(records), 1 << 20)
    sink.finish()
    assert bytes(disk.content) == in_order(records)
    assert disk.writes == 1


def test_flattened_more_pieces_than_the_kernel_takes() -> None:
    disk = Disk()
    sink = receive.Flattened(disk.write)
    records = [(index * 3, b"abc") for index in range(2500)]
    feed(sink, flattened(records), 1 << 20)
    sink.finish()
    assert bytes(disk.content) == in_order(records)
    assert disk.writes == 3


def header(kind: int, version: int) -> bytes:
    return (b"makedumpfile\0\0\0\0" + struct.pack(">qq", kind, version)).ljust(4096, b"\0")


def record(offset: int, size: int) -> bytes:
    return header(1, 1) + struct.pack(">qq", offset, size) + b"x" * 64


CUT = "the stream was cut off"
DAMAGED = [
    (flattened(end=False), CUT),
    (flattened()[:-1], CUT),
    (flattened()[:5000], CUT),
    (flattened()[:4000], CUT),
    (flattened()[:4096], CUT),
    (flattened()[:4100], CUT),
    (flattened() + b"\0", "behind the end mark"),
    (flattened() + flattened(), "behind the end mark"),
    (header(2, 1), "type and version"),
    (header(1, 2), "type and version"),
    (record(-1, 10), "10 bytes for the offset -1"),
    (record(-2, -1), "-1 bytes for the offset -2"),
    (record(-1, -2), "-2 bytes for the offset -1"),
    (record(0, 0), "0 bytes for the offset 0"),
    (record(0, -1), "-1 bytes for the offset 0"),
    (record(1 << 62, 1), "1 bytes for the offset"),
    (record((1 << 63) - 1, (1 << 63) - 1), "bytes for the offset"),
    (record(0, 1 << 63 - 1), "max_bytes leaves 1000000"),
    (record(999_999, 2), "ends at 1000001, and this host's max_bytes leaves 1000000"),
]


@pytest.mark.parametrize("stream, cause", DAMAGED)
def test_flattened_that_is_not_whole(stream: bytes, cause: str) -> None:
    for size in (13, 1 << 20):
        disk = Disk()
        sink = receive.Flattened(disk.write, 1_000_000)
        with pytest.raises(receive.Incomplete, match=cause):
            feed(sink, stream, size)
            sink.finish()


@pytest.mark.parametrize("wide", [True, False])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("segments", [1, 100])
@pytest.mark.parametrize("size", [7, 63, 64, 100, 1 << 20])
def test_elf_knows_its_length(wide: bool, order: str, segments: int, size: int) -> None:
    whole = elf(9000, segments, wide, order)
    for content in (whole, whole + b"more"):
        disk = Disk()
        sink = receive.sink_for(content[:64], disk.write, 0)
        assert sink.format == "elf"
        feed(sink, content, size)
        sink.finish()
        assert bytes(disk.content) == content
    for length in (len(whole) - 1, 100, 64):
        sink = receive.sink_for(whole[:64], Disk().write, 0)
        feed(sink, whole[:length], size)
        with pytest.raises(receive.Incomplete, match=f"cut off: {length} bytes of"):
            sink.finish()


FORMATS = [
    (b"KDUMP   x", "kdump"),
    (b"\x1f\x8b\x08", "gzip"),
    (b"BZh9", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"[    0.000000] Linux", "unknown"),
    (b"", "unknown"),
    # An ELF file that is no core.
    (b"\x7fELF\2\1\1" + b"\0" * 9 + b"\2\0", "elf"),
]


@pytest.mark.parametrize("head, name", FORMATS)
def test_other_formats_are_stored_as_they_come(head: bytes, name: str) -> None:
    disk = Disk()
    sink = receive.sink_for(head, disk.write, 0)
    assert sink.format == name
    feed(sink, head * 10, 3)
    sink.finish()
    assert bytes(disk.content) == head * 10


# --- captures


def kdumpctl(client: Client, dump: bytes = b"", folder: str = D) -> None:
    """Do as dracut/99kdumpbase/kdump.sh does."""
    client.ok(f"mkdir -p {folder}")
    client.ok(f"umask 0077 && dd of='{folder}/vmcore-dmesg-incomplete.txt'", b"dmesg")
    client.ok(f"mv {folder}/vmcore-dmesg-incomplete.txt {folder}/vmcore-dmesg.txt")
    client.ok(f"umask 0077 && dd bs=512 of='{folder}/vmcore-incomplete'", dump or flattened())
    client.ok(f"mv '{folder}/vmcore-incomplete' '{folder}/vmcore.flat'")
    client.ok(f"scp -q -t {folder}/", scp_file("kexec-dmesg.log", b"log"))


def scp_file(name: str, content: bytes, end: bytes = b"\0") -> bytes:
    return f"C0600 {len(content)} {name}\n".encode() + content + end


FILES = ("kexec-dmesg.log", "receipt.json", "vmcore", "vmcore-dmesg.txt")


def below(folder: str, names: t.Sequence[str] = FILES) -> t.List[str]:
    return [f"{folder}/{name}" for name in names]


def test_kdumpctl(client: Client) -> None:
    kdumpctl(client)
    assert client.names == below(FOLDER)
    assert client.files[FOLDER + "/vmcore"] == in_order()
    assert client.files[FOLDER + "/vmcore-dmesg.txt"] == b"dmesg"
    assert client.files[FOLDER + "/kexec-dmesg.log"] == b"log"
    receipt = json.loads(client.files[FOLDER + "/receipt.json"].decode())
    seconds, when = receipt.pop("seconds"), receipt.pop("time")
    assert receipt == {
        "file": "vmcore", "received": len(flattened()), "stored": len(in_order()), "format": "kdump",
        "rearranged": True, "complete": True, "receiver": receive.VERSION,
    }  # fmt: skip
    assert 0 <= seconds < 60
    assert len(when) == len("2026-11-25T11:16:28Z") and when.endswith("Z")


def test_everything_is_for_the_account_alone(client: Client) -> None:
    kdumpctl(client)
    for path in (client.base / HOST).glob("**/*"):
        wanted = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == wanted, path


def test_each_session_has_a_line_in_the_log(client: Client) -> None:
    client.ok(f"mkdir -p {D}")
    client.logged.clear()
    client.ok(f"dd of={D}/vmcore-incomplete", flattened())
    (line,) = client.logged
    assert line.startswith(
        f"host={HOST} verb=dd file={FOLDER}/vmcore-incomplete bytes={len(flattened())} stored={len(in_order())} seconds="
    )
    assert line.endswith(" outcome=ok")


def test_control_characters_reach_neither_log_nor_console(client: Client) -> None:
    said = client.refused("mkdir -p /\x1b[2J\nJan 1 root logged in\r")
    assert said == "refused: the command is empty, or has a character that is not printable ASCII"
    assert all(" " <= one <= "~" for line in client.logged for one in line)
    assert "\\x1b[2J\\nJan" in client.logged[-1]


def test_the_same_name_again_is_another_generation(client: Client) -> None:
    kdumpctl(client)
    first = client.files
    other = [(0, b"KDUMP   other")]
    kdumpctl(client, flattened(other))
    kdumpctl(client)
    files = client.files
    assert {name: files[name] for name in first} == first
    assert client.names == sorted(below(FOLDER) + below(FOLDER + ".1") + below(FOLDER + ".2"))
    assert files[FOLDER + ".1/vmcore"] == in_order(other)


def test_an_elf_core_keeps_the_name_it_is_given(client: Client) -> None:
    client.ok(f"dd of={D}/vmcore-incomplete", elf(5000))
    client.ok(f"mv {D}/vmcore-incomplete {D}/vmcore.flat")
    assert client.files[FOLDER + "/vmcore.flat"] == elf(5000)


def test_a_capture_that_was_cut_is_not_mixed_with_the_next(client: Client) -> None:
    client.ok(f"mkdir -p {D}")
    client.refused(f"dd of={D}/vmcore-incomplete", flattened(end=False))
    kdumpctl(client)
    assert client.names == sorted([FOLDER + "/vmcore-incomplete"] + below(FOLDER + ".1"))


def test_without_mkdir_a_finished_file_begins_a_generation(client: Client) -> None:
    for _turn in range(2):
        client.ok(f"dd of={D}/vmcore-incomplete", flattened())
        client.ok(f"mv {D}/vmcore-incomplete {D}/vmcore")
    assert [name for name in client.names if name.endswith("vmcore")] == [
        FOLDER + ".1/vmcore", FOLDER + "/vmcore",
    ]  # fmt: skip


def test_an_empty_folder_is_used(client: Client) -> None:
    for _turn in range(3):
        client.ok(f"mkdir -p {D}")
    assert client.folders == [FOLDER]


def test_ten_generations_are_in_order(client: Client) -> None:
    for turn in range(12):
        client.ok(f"mkdir -p {D}")
        client.ok(f"cat > {D}/dmesg", b"%d" % turn)
    assert client.files[FOLDER + ".11/dmesg"] == b"11"


@pytest.mark.parametrize("extension", ["", ".gz", ".bz2", ".xz", ".lz4"])
def test_kdump_tools(client: Client, extension: str) -> None:
    folder = "10.0.0.1-202611251116"
    content = b"\x1f\x8b compressed" if extension else flattened()
    client.ok(f"mkdir -p {KDUMP_TOOLS}")
    client.ok(f"scp -t {KDUMP_TOOLS}/dmesg.202611251116", scp_file("dmesg.ssh.2026", b"d"))
    client.ok(f"dd of={KDUMP_TOOLS}/dump-incomplete{extension}", content)
    client.ok(
        f"mv {KDUMP_TOOLS}/dump-incomplete{extension} {KDUMP_TOOLS}/dump.202611251116{extension}"
    )
    dump = f"dump.202611251116{extension}"
    assert client.names == below(folder, ["dmesg.202611251116", dump, "receipt.json"])
    assert client.files[f"{folder}/{dump}"] == (content if extension else in_order())


def test_kdump_tools_falls_back_to_scp(client: Client) -> None:
    client.refused(f"dd of={KDUMP_TOOLS}/dump-incomplete", flattened()[:6000])
    core = elf(9000)
    client.ok(f"scp -t {KDUMP_TOOLS}/vmcore-incomplete", scp_file("vmcore", core))
    client.ok(f"mv {KDUMP_TOOLS}/vmcore-incomplete {KDUMP_TOOLS}/vmcore.202611251116")
    assert client.files["10.0.0.1-202611251116/vmcore.202611251116"] == core
    assert "10.0.0.1-202611251116/dump-incomplete" in client.files


def suse(client: Client, *parts: t.Tuple[str, bytes]) -> None:
    for name, content in parts:
        client.ok(f"umask 077; mkdir -p {SUSE} && cat > {SUSE}/{name}", content)


def test_suse(client: Client) -> None:
    folder = "web1-2026-11-25-11-16"
    every = (
        ("README.txt", FIRST),
        ("dmesg", b"d"),
        ("vmcore", flattened()),
        ("README.txt", b"all"),
    )
    suse(client, *every)
    wanted = ["README.txt", "dmesg", "receipt.json", "vmcore"]
    assert client.names == below(folder, wanted)
    assert client.files[folder + "/README.txt"] == b"all"
    assert client.files[folder + "/vmcore"] == in_order()
    suse(client, *every)
    assert client.names == sorted(below(folder, wanted) + below(folder + ".1", wanted))


def test_suse_a_crash_that_was_cut_keeps_its_files(client: Client) -> None:
    folder = "web1-2026-11-25-11-16"
    suse(client, ("README.txt", FIRST), ("dmesg", b"one"))
    suse(client, ("README.txt", FIRST), ("dmesg", b"two"), ("README.txt", b"end"))
    assert client.files == {
        folder + "/README.txt": FIRST, folder + "/dmesg": b"one",
        folder + ".1/README.txt": b"end", folder + ".1/dmesg": b"two",
    }  # fmt: skip


def test_suse_a_last_readme_is_not_replaced(client: Client) -> None:
    suse(client, ("README.txt", FIRST), ("README.txt", b"one"), ("README.txt", b"two"))
    folder = "web1-2026-11-25-11-16"
    assert client.files == {folder + ".1/README.txt": b"two", folder + "/README.txt": b"one"}


def test_suse_a_last_readme_without_the_first(client: Client) -> None:
    suse(client, ("dmesg", b"d"), ("README.txt", b"end"))
    assert client.folders == ["web1-2026-11-25-11-16"]


def test_a_test_has_its_status(client: Client) -> None:
    number = "1764069388-123456789"
    folder = "kdump-test-" + number
    client.ok(f"mkdir -p {TEST}")
    client.ok(f"echo fail kdump_test_id={number} > {STATUS}")
    client.ok(f"mkdir -p {TEST}")
    client.ok(f"dd of={TEST}/vmcore-incomplete", flattened())
    client.ok(f"mv {TEST}/vmcore-incomplete {TEST}/vmcore.flat")
    client.ok(f"mkdir -p {TEST}")
    client.ok(f"echo success kdump_test_id={number} > {STATUS}")
    text = f"success kdump_test_id={number}\n".encode()
    assert client.names == below(folder, ["receipt.json", "vmcore", "vmcore-creation.status"])
    assert client.files[folder + "/vmcore-creation.status"] == text
    assert client.ok(f"scp -f {STATUS}", b"\0\0\0") == b"C0600 %d vmcore-creation.status\n%s\0" % (len(text), text)  # fmt: skip


def test_a_success_is_final(client: Client) -> None:
    number = "1764069388-123456789"
    client.ok(f"echo success kdump_test_id={number} > {STATUS}")
    client.ok(f"echo fail kdump_test_id={number} > {STATUS}")
    folder = TEST.rpartition("/")[2]
    assert {name: text.split()[0] for name, text in client.files.items()} == {
        folder + "/vmcore-creation.status": b"success", folder + ".1/vmcore-creation.status": b"fail",
    }  # fmt: skip


def test_a_status_that_is_not_there(client: Client) -> None:
    answer = client(f"scp -f {STATUS}", b"\0")
    assert answer.code == 1
    assert answer.out == f"\1scp: {STATUS}: No such file or directory\n".encode()


def test_the_proof(client: Client) -> None:
    made = client.ok("mktemp -dqp /var/crash").decode().strip()
    assert made.startswith("/var/crash/tmp.") and len(made) == len("/var/crash/tmp.") + 10
    client.ok(f"dd of={made}/kdump-fleet-proof", b"proof")
    assert client.files == {f"{made[11:]}/kdump-fleet-proof": b"proof"}
    assert "not empty" in client.refused(f"rmdir {made}")
    assert "is there already" in client.refused(f"dd of={made}/kdump-fleet-proof", b"x")
    client.ok(f"rm -f {made}/kdump-fleet-proof")
    client.ok(f"rm -f {made}/kdump-fleet-proof")
    client.ok(f"rmdir {made}")
    assert client.folders == []
    assert "No such file" in client.refused(f"rmdir {made}")
    assert "no such temporary folder" in client.refused(f"dd of={made}/kdump-fleet-proof", b"x")


def test_the_proof_is_small(client: Client) -> None:
    made = client.ok("mktemp -dqp /").decode().strip()
    client.ok(f"dd of={made}/kdump-fleet-proof", b"x" * 65536)
    client.ok(f"rm -f {made}/kdump-fleet-proof")
    assert "65536 bytes" in client.refused(f"dd of={made}/kdump-fleet-proof", b"x" * 65537)


def test_temporary_folders_are_few_and_go(client: Client) -> None:
    made = [client.ok("mktemp -dqp /").decode().strip()[1:] for _turn in range(64)]
    assert "64 temporary folders" in client.refused("mktemp -dqp /")
    client.ok(f"dd of=/{made[0]}/kdump-fleet-proof", b"left behind")
    for name in made[:2]:
        os.utime(str(client.base / HOST / name), (0, 0))
    client.ok("mktemp -dqp /")
    assert not {*made[:2]} & {*client.folders}
    assert len(client.folders) == 63


# --- what is not whole


def test_mv_of_what_is_not_whole_is_refused(client: Client) -> None:
    said = client.refused(f"dd of={D}/vmcore-incomplete", flattened(end=False))
    assert said.startswith("incomplete: the flattened format's end mark never came")
    said = client.refused(f"mv {D}/vmcore-incomplete {D}/vmcore.flat")
    assert said.startswith("refused: vmcore-incomplete is incomplete: the flattened format's end")
    assert client.names == [FOLDER + "/vmcore-incomplete"]
    assert client.files[FOLDER + "/vmcore-incomplete"] == in_order()


def test_mv_of_what_was_cut_off_is_refused(client: Client) -> None:
    client.ok(f"dd of={D}/vmcore-incomplete", flattened())
    (client.base / HOST / FOLDER / ".vmcore-incomplete.state").unlink()
    said = client.refused(f"mv {D}/vmcore-incomplete {D}/vmcore.flat")
    assert said.endswith("its session was cut off")


@contextlib.contextmanager
def stdout_of_sshd(there: bool) -> t.Iterator[None]:
    """Put a socket in the place of stdout, as sshd does.

    :param there: sshd still listens; else it has closed its side.
    """
    kept = os.dup(1)
    near, far = socket.socketpair()
    os.dup2(near.fileno(), 1)
    near.close()
    if there:
        # The client has sent all.
        far.shutdown(socket.SHUT_WR)
    else:
        far.close()
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        far.close()


CUT_STREAMS = [
    ("cat > ", "vmcore.gz", b"\x1f\x8b" + bytes(100), False),
    ("cat > ", "dmesg", b"[    0.000000] Linux", False),
    ("dd of=", "dump-incomplete.gz", b"\x1f\x8b" + bytes(100), False),
    # These say themselves where they end.
    ("cat > ", "vmcore", flattened(), True),
    ("cat > ", "vmcore", elf(9000), True),
]  # fmt: skip


@pytest.mark.parametrize("command, name, content, whole", CUT_STREAMS)
def test_what_ends_with_the_connection_is_whole_only_if_it_says_so(
    client: Client, command: str, name: str, content: bytes, whole: bool
) -> None:
    with stdout_of_sshd(there=True):
        client.ok(f"{command}{D}/{name}", content)
    with stdout_of_sshd(there=False):
        answer = client(f"{command}{SUSE}/{name}", content)
    assert (answer.code == 0) == whole
    assert ("the connection was cut" in answer.err) == (not whole)
    disk = name if whole or "-incomplete" in name else name + "-incomplete"
    assert "web1-2026-11-25-11-16/" + disk in client.files


def test_mv_of_nothing_is_refused(client: Client) -> None:
    assert "there is no vmcore-incomplete" in client.refused(f"mv {D}/vmcore-incomplete {D}/vmcore")
    client.ok(f"mkdir -p {D}")
    assert "there is no vmcore-incomplete" in client.refused(f"mv {D}/vmcore-incomplete {D}/vmcore")


def test_mv_replaces_nothing(client: Client) -> None:
    client.ok(f"dd of={D}/vmcore-incomplete", flattened())
    client.ok(f"cat > {D}/vmcore.1", b"finished")
    said = client.refused(f"mv {D}/vmcore-incomplete {D}/vmcore.1")
    assert "there is a finished vmcore.1" in said
    assert client.files[FOLDER + "/vmcore.1"] == b"finished"


@pytest.mark.parametrize("name", ["vmcore-incomplete", "vmcore", "dump-incomplete.gz", "dump.1"])
def test_a_dump_of_no_bytes_is_not_whole(client: Client, name: str) -> None:
    assert "not one byte came" in client.refused(f"dd of={D}/{name}")


def test_a_log_may_be_empty(client: Client) -> None:
    client.ok(f"dd of={D}/vmcore-dmesg-incomplete.txt")
    client.ok(f"mv {D}/vmcore-dmesg-incomplete.txt {D}/vmcore-dmesg.txt")
    assert client.files == {FOLDER + "/vmcore-dmesg.txt": b""}


def test_straight_names_are_incomplete_until_the_end(client: Client) -> None:
    client.refused(f"cat > {SUSE}/vmcore", flattened(end=False))
    client.refused(f"cat > {SUSE}/vmcore", elf(9000)[:-1])
    folder = "web1-2026-11-25-11-16"
    assert client.names == [folder + ".1/vmcore-incomplete", folder + "/vmcore-incomplete"]


def test_a_session_without_bytes_ends(client: Client) -> None:
    client.configure(idle=0.05)
    reading, writing = os.pipe()
    try:
        os.write(writing, flattened()[:8000])
        answer = client(f"dd of={D}/vmcore-incomplete", reading)
    finally:
        os.close(reading)
        os.close(writing)
    assert answer.code == 1
    assert "incomplete: no byte came for" in answer.err
    assert len(client.files[FOLDER + "/vmcore-incomplete"]) > 3000
    assert "no byte came" in client.refused(f"mv {D}/vmcore-incomplete {D}/vmcore")


def test_a_mistake_in_the_program_is_one_line(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_any: t.Any) -> t.Any:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(receive.Store, "available", fail)
    said = client.refused("df -P /")
    assert said == "failed: an error in the receiver; the dump server's log has more"
    assert any(
        "ZeroDivisionError('secret'" in line and " at lines " in line for line in client.logged
    )


@pytest.mark.parametrize(
    "code, cause", [("ENOSPC", "disk is full"), ("EDQUOT", "disk quota"), ("EIO", "cannot write")]
)
def test_a_disk_that_does_not_take_it(
    client: Client, monkeypatch: pytest.MonkeyPatch, code: str, cause: str
) -> None:
    real, number = receive.write_all, getattr(receive.errno, code)

    def write_all(handle: int, views: t.List[t.Any]) -> None:
        if sum(map(len, views)) > 5000:
            raise OSError(number, "x")
        real(handle, views)

    monkeypatch.setattr(receive, "write_all", write_all)
    assert cause in client.refused(f"dd of={D}/vmcore-incomplete", b"y" * 10000)
    assert cause in client.refused(f"mv {D}/vmcore-incomplete {D}/vmcore")


# --- limits


def test_df(client: Client) -> None:
    client.configure(max_bytes=10 << 20)
    client.ok(f"cat > {D}/vmcore", b"x" * (2 << 20))
    out = client.ok("df --output=avail /var/crash").decode().splitlines()
    available = int(out[1])
    assert [word for line in out for word in line.split()] == ["Avail", str(available)]
    assert 8191 <= available <= 8192 - 0
    words = client.ok("df -P /var/crash").decode().split()
    # mkdumprd of old releases takes the eleventh word, later ones the last but two.
    assert words[10] == words[-3] == str(available)
    assert words[-1] == "/var/crash"


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> t.Callable[..., None]:
    def set_free(size: int, inodes: int = 0, of: int = 0) -> None:
        real = os.fstatvfs

        class Answer:
            def __init__(self, handle: int) -> None:
                assert real(handle)
                self.f_bavail, self.f_frsize = size // 1024, 1024
                self.f_favail, self.f_files = inodes, of

        monkeypatch.setattr(receive.os, "fstatvfs", Answer)

    return set_free


def test_df_without_a_quota_tells_the_free_space(client: Client, free: t.Any) -> None:
    free(100 << 20)
    client.configure(keep_free=60 << 20)
    assert int(client.ok("df --output=avail /").split()[1]) == 40 << 10
    client.configure(keep_free=200 << 20)
    assert int(client.ok("df --output=avail /").split()[1]) == 0


def test_df_when_no_dump_may_come(client: Client) -> None:
    client.configure(max_dumps=1)
    client.ok(f"mkdir -p {D}")
    assert int(client.ok("df --output=avail /").split()[1]) == 0


def test_max_bytes(client: Client) -> None:
    client.configure(max_bytes=100_000)
    said = client.refused(f"dd of={D}/vmcore-incomplete", b"x" * 100_001)
    assert said == "incomplete: this host's quota of 100000 bytes (max_bytes) is used up"
    client.ok(f"cat > {D}/vmcore-dmesg.txt", b"x" * 99_000)
    for command in (f"cat > {SUSE}/vmcore", f"dd of={D}/x-incomplete"):
        assert "(max_bytes) is used up" in client.refused(command, b"y" * 2000)
    assert sum(map(len, client.files.values())) <= 100_000


def test_max_bytes_used_up(client: Client) -> None:
    client.configure(max_bytes=5000)
    client.ok(f"cat > {D}/vmcore", b"x" * 5000)
    for command in (f"mkdir -p {SUSE}", f"cat > {SUSE}/vmcore", "mktemp -dqp /"):
        assert client.refused(command, b"x").startswith("refused: this host's quota of 5000 bytes")
    assert client.folders == [FOLDER]
    # Another host has its own.
    client.ok(f"cat > {D}/vmcore", b"x", host="web2")


def test_max_bytes_holds_for_offsets(client: Client) -> None:
    client.configure(max_bytes=100_000)
    said = client.refused(f"dd of={D}/vmcore-incomplete", flattened([(0, b"x"), (100_000, b"y")]))
    assert "max_bytes" in said
    assert "max_bytes" in client.refused(f"mv {D}/vmcore-incomplete {D}/vmcore")


def test_an_offset_that_no_file_has(client: Client) -> None:
    stream = flattened([(0, b"x"), ((1 << 61) + 1, b"y")])
    assert "the dump server cannot write" in client.refused(f"dd of={D}/vmcore-incomplete", stream)


def test_a_hole_counts_once(client: Client) -> None:
    client.configure(max_bytes=100_000)
    records = [(90_000, b"x" * 5000), (0, b"y" * 90_000)]
    client.ok(f"dd of={D}/vmcore-incomplete", flattened(records))
    assert client.files[FOLDER + "/vmcore-incomplete"] == in_order(records)


@pytest.mark.parametrize("name", ["receipt.json", "vmcore-creation.status"])
@pytest.mark.parametrize("sent", ["{}.flat", "{}.flat.flat"])
def test_no_dump_in_order_gets_a_name_of_the_receiver_s(
    client: Client, name: str, sent: str
) -> None:
    client(f"dd of={D}/{sent.format(name)}", flattened([(0, b'{"complete": true}')]))
    client(f"dd of={D}/{name}-incomplete", flattened([(0, b'{"complete": true}')]))
    client(f"mv {D}/{name}-incomplete {D}/{sent.format(name)}")
    assert f"{FOLDER}/{name}" not in client.files


def test_max_dumps(client: Client) -> None:
    client.configure(max_dumps=2)
    kdumpctl(client)
    kdumpctl(client)
    said = client.refused(f"mkdir -p {D}")
    assert said == "refused: this host has 2 dumps (max_dumps) on the server already"
    assert "max_dumps" in client.refused(f"cat > {SUSE}/vmcore", b"x")
    # What belongs to a dump that is there may still come.
    client.ok(f"scp -t {D}/", scp_file("more.log", b"x"))


def folders(client: Client, count: int, name: str, files: t.Sequence[str], age: float) -> None:
    """Make folders as a client does that sends no dump, last changed so many seconds ago."""
    when = time.time() - age
    for number in range(count):
        folder = client.base / HOST / name.format(number)
        folder.mkdir(parents=True)
        for file in files:
            (folder / file).write_text("x")
        os.utime(str(folder), (when, when))


HOUR, WEEK = 3600, 7 * 86400
EMPTY = "h{}-2026-11-25-11:16:28"
A_TEST = "kdump-test-{}"
ENDLESS = [
    # What the folders are, and whether another one may come, whatever max_dumps says.
    ("empty ones", A_TEST, EMPTY, [], HOUR - 100, False),
    ("what was cut off", A_TEST, EMPTY, ["vmcore-incomplete", ".vmcore-incomplete.state"], WEEK * 9, False),
    ("a log alone", A_TEST, EMPTY, ["vmcore-dmesg.txt"], WEEK * 9, False),
    ("encrypted halves", A_TEST, EMPTY, ["vmcore-incomplete.age"], WEEK * 9, False),
    ("whole ones", A_TEST, EMPTY, ["vmcore"], 0, True),
    ("whole ones that are encrypted", A_TEST, EMPTY, ["dump.202611251116.gz.age"], 0, True),
    ("empty ones that were left behind", A_TEST, EMPTY, [], HOUR + 100, True),
    ("tests", EMPTY, A_TEST, ["vmcore-creation.status"], WEEK - 100, False),
    ("old tests", EMPTY, A_TEST, ["vmcore-creation.status"], WEEK + 100, True),
    ("old dumps that say that they are tests", A_TEST, EMPTY, ["vmcore-creation.status"], WEEK * 9, False),
]  # fmt: skip


@pytest.mark.parametrize(
    "_case, other, name, files, age, room", ENDLESS, ids=[case[0] for case in ENDLESS]
)
def test_folders_without_a_dump_have_an_end(
    client: Client, _case: str, other: str, name: str, files: t.List[str], age: float, room: bool
) -> None:
    folders(client, receive.UNFINISHED - 1, name, files, age)
    one, two = (name.format(9999 + number) for number in range(2))
    client.ok(f"mkdir -p /var/crash/{one}")
    if room:
        client.ok(f"mkdir -p /var/crash/{two}")
    else:
        kind = "test" if name is A_TEST else "dump"
        assert client.refused(f"mkdir -p /var/crash/{two}") == (
            f"refused: this host has 256 {kind}s on the server that did not arrive whole"
        )
        assert len(client.folders) == receive.UNFINISHED
    # The one kind does not keep the other out.
    client.ok(f"mkdir -p /var/crash/{other.format(1)}")


def test_a_dump_without_room_for_its_receipt_is_a_dump(client: Client) -> None:
    """A client that is told of a failure loses time, or its host, for a dump that is there."""
    (client.base / HOST / FOLDER / ".receipt.json.new").mkdir(parents=True)
    for file in ("vmcore-dmesg-incomplete.txt", "vmcore-incomplete"):
        client.ok(f"dd of={D}/{file}", flattened())
    client.logged.clear()
    client.ok(f"mv {D}/vmcore-incomplete {D}/vmcore.flat")
    assert (
        f"{FOLDER}/vmcore: the dump is whole, but its receipt cannot be written" in client.logged[0]
    )
    assert "outcome=ok" in client.logged[-1]
    assert client.files[FOLDER + "/vmcore"] == in_order()
    # One that needs no mv.
    client.ok(f"dd of={D}/dump.gz", b"x")
    assert "outcome=ok" in client.logged[-1] and client.files[FOLDER + "/dump.gz"] == b"x"
    assert sorted(path.name for path in (client.base / HOST / FOLDER).glob(".*.state")) == [
        ".vmcore-dmesg-incomplete.txt.state"
    ]


def test_a_readme_that_cannot_be_noted_loses_nothing(client: Client) -> None:
    folder = "web1-2026-11-25-11-16"
    (client.base / HOST / folder / "..README.txt.state.new").mkdir(parents=True)
    suse(client, ("README.txt", FIRST))
    assert any("it cannot be noted as the first" in line for line in client.logged)
    suse(client, ("vmcore", flattened()), ("README.txt", b"all"))
    assert client.files[folder + "/vmcore"] == in_order()
    assert client.files[folder + ".1/README.txt"] == b"all"


def test_tests_do_not_keep_a_crash_out(client: Client) -> None:
    client.configure(max_dumps=2)
    for number in range(2):
        client.ok(f"mkdir -p /var/crash/kdump-test-{number}")
    assert client.refused("mkdir -p /var/crash/kdump-test-2") == (
        "refused: this host has 2 tests (max_dumps) on the server already"
    )
    assert int(client.ok("df --output=avail /").split()[1])
    kdumpctl(client)
    kdumpctl(client)
    assert "has 2 dumps" in client.refused(f"mkdir -p {D}")


def test_keep_free(client: Client, free: t.Any) -> None:
    free(50 << 20)
    client.configure(keep_free=60 << 20)
    said = client.refused(f"mkdir -p {D}")
    assert (
        said == f"refused: the dump server's disk is full; {60 << 20} bytes stay free (keep_free)"
    )
    client.configure(keep_free=(50 << 20) - 5000)
    said = client.refused(f"dd of={D}/vmcore-incomplete", b"x" * 6000)
    assert "(keep_free)" in said


def test_empty_files_do_not_use_up_the_server(client: Client, free: t.Any) -> None:
    client.configure(keep_free=1)
    for number in range(receive.FILES):
        client.ok(f"cat > {D}/log.{number}")
    assert client.refused(f"cat > {D}/log.x") == "refused: this dump has 100 files already"
    # The next crash has a folder of its own.
    kdumpctl(client)
    free(50 << 20, inodes=999, of=100_000)
    for command in (f"mkdir -p {SUSE}", f"cat > {SUSE}/dmesg", "mktemp -dqp /"):
        assert client.refused(command).endswith("it takes no more files (inodes)")
    free(50 << 20, inodes=1000, of=100_000)
    client.ok(f"mkdir -p {SUSE}")


def test_max_sessions(client: Client) -> None:
    client.configure(max_sessions=2)
    client.ok("mkdir -p /")
    slots = [(client.base / HOST / ".sessions" / f"slot-{n}").open("w") for n in range(2)]
    for slot in slots:
        fcntl.flock(slot, fcntl.LOCK_EX)
    assert client.refused("mkdir -p /") == "refused: this host has 2 sessions (max_sessions) open"
    client.ok("mkdir -p /", host="web2")
    slots[1].close()
    client.ok("mkdir -p /")
    slots[0].close()


def test_a_file_that_another_session_writes_is_refused(client: Client) -> None:
    client.ok(f"dd of={D}/vmcore-incomplete", flattened())
    with (client.base / HOST / FOLDER / "vmcore-incomplete").open("r+b") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        said = client.refused(f"dd of={D}/vmcore-incomplete", flattened())
        assert said == "refused: another session is writing that file"
        said = client.refused(f"mv {D}/vmcore-incomplete {D}/vmcore")
        assert said == "refused: another session is still writing that file"
        # A host that crashed again is not held up by a connection that nobody ended.
        kdumpctl(client)
    assert client.folders == [FOLDER, FOLDER + ".1"]


# --- links that somebody planted


def plant(client: Client, name: str, target: Path) -> None:
    client.ok("mkdir -p /")
    link = client.base / HOST / name
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(target)


LINK = "a folder on the dump server is a symbolic link or a file"


def test_a_link_for_the_folder_is_refused(client: Client, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    plant(client, FOLDER, outside)
    for command in (
        f"mkdir -p {D}",
        f"cat > {D}/vmcore",
        f"mv {D}/v-incomplete {D}/v",
        f"scp -t {D}/x",
    ):
        assert LINK in client.refused(command, scp_file("x", b"x"))
    assert list(outside.iterdir()) == []


def test_a_link_for_the_host_is_refused(client: Client, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (client.base / HOST).symlink_to(outside)
    assert LINK in client.refused(f"mkdir -p {D}")
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize(
    "name", ["vmcore-incomplete", ".vmcore-incomplete.state", "vmcore", "receipt.json"]
)
def test_a_link_for_a_file_is_not_followed(client: Client, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"precious")
    plant(client, f"{FOLDER}/{name}", outside)
    client(f"dd of={D}/vmcore-incomplete", flattened())
    client(f"mv {D}/vmcore-incomplete {D}/vmcore")
    assert outside.read_bytes() == b"precious"


def test_a_link_for_a_temporary_folder_is_refused(client: Client, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kdump-fleet-proof").write_bytes(b"precious")
    plant(client, "tmp.aaaaaaaaaa", outside)
    for command in (
        "rm -f /tmp.aaaaaaaaaa/kdump-fleet-proof",
        "dd of=/tmp.aaaaaaaaaa/kdump-fleet-proof",
    ):
        assert LINK in client.refused(command, b"x")
    client.refused("rmdir /tmp.aaaaaaaaaa")
    assert (outside / "kdump-fleet-proof").read_bytes() == b"precious"


def test_a_status_is_not_read_through_a_link(client: Client, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"secret")
    plant(client, "kdump-test-1764069388-123456789/vmcore-creation.status", secret)
    assert b"secret" not in client(f"scp -f {STATUS}", b"\0\0\0").out


# --- configuration


def test_a_configuration_that_others_can_write_is_refused(client: Client, tmp_path: Path) -> None:
    (tmp_path / "config.json").chmod(0o620)
    assert "can be written by others" in client.refused("mkdir -p /")


@pytest.mark.parametrize("text", ["", "[]", "{", '{"max_bytes": 1}'])
def test_a_configuration_that_is_none(client: Client, tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    assert client.refused("mkdir -p /") == "refused: the dump server's receiver is not configured"


def test_without_a_command_there_is_no_shell(client: Client) -> None:
    with open(os.devnull, "rb") as nothing:
        answer = client.connect(client.argv(), None, nothing.fileno())
    assert answer.code == 1
    assert NO_SHELL in answer.err


# --- scp


def test_scp_of_a_whole_dump(client: Client) -> None:
    out = client.ok(f"scp -t {D}/vmcore", b"T1 0 2 0\n" + scp_file("any name", flattened()))
    assert out == b"\0" * 4
    assert client.files[FOLDER + "/vmcore"] == in_order()


def test_scp_of_several_files(client: Client) -> None:
    client.ok(f"scp -t {D}", scp_file("one", b"1") + scp_file("two", b"22"))
    assert client.files == {FOLDER + "/one": b"1", FOLDER + "/two": b"22"}


SCP = [
    (b"C0600 10 x\nabc", "ended after 3 bytes of 10"),
    (b"C0600 3 x\nabc", "could not read all"),
    (b"C0600 3 x\nabc\1cannot read\n", "could not read all"),
    (b"C0600 3 ../x\nabc\0", "'..' in a path"),
    (b"C0600 3 a/b\nabc\0", "more than a file's name"),
    (b"C0600 3 .ssh\nabc\0", "no name for a client's file"),
    (b"C0600 3 \nabc\0", "anything but a file"),
    (b"C0600 -3 x\nabc\0", "anything but a file"),
    (b"C0600 9999999999999999999999 x\n", "anything but a file"),
    (b"D0700 0 sub\n", "anything but a file"),
    (b"E\n", "anything but a file"),
    (b"\1no such file\n", "scp says: no such file"),
    (b"\2fatal\x1b[2J\n", "scp says: fatal?[2J"),
    (b"x" * 10000, "not scp's protocol"),
    (b"C0600", "not scp's protocol"),
]


@pytest.mark.parametrize("stream, cause", SCP)
def test_scp_that_goes_wrong(client: Client, stream: bytes, cause: str) -> None:
    assert cause in client.refused(f"scp -t {D}/", stream)
    assert all(name.endswith("-incomplete") for name in client.names)


# --- SFTP


def packet(kind: int, *parts: t.Any) -> bytes:
    """Return an SFTP packet: numbers are 32 bits wide, unless they are too large."""
    body = bytes([kind])
    for part in parts:
        if isinstance(part, int):
            body += struct.pack(">I", part)
        else:
            text = part.encode() if isinstance(part, str) else part
            body += struct.pack(">I", len(text)) + text
    return struct.pack(">I", len(body)) + body


def write(handle: str, offset: int, data: bytes, number: int = 9) -> bytes:
    body = struct.pack(">BII", 6, number, len(handle)) + handle.encode()
    body += struct.pack(">QI", offset, len(data)) + data
    return struct.pack(">I", len(body)) + body


INIT = packet(1, 3)
SFTP = "internal-sftp"


def answers(out: bytes) -> t.List[t.Tuple[int, bytes]]:
    """Return each answer's type and body."""
    found = []
    while out:
        size = struct.unpack(">I", out[:4])[0]
        found.append((out[4], out[5 : 4 + size]))
        out = out[4 + size :]
    return found


def codes(out: bytes) -> t.List[int]:
    """Return the code of each status, and -1 for any other answer."""
    return [struct.unpack(">I", body[4:8])[0] if kind == 101 else -1 for kind, body in answers(out)]


def put(path: str, content: bytes, step: int = 32768) -> bytes:
    stream = packet(3, 1, path, 2 | 8 | 16, 0)
    for at in range(0, len(content), step):
        stream += write("1", at, content[at : at + step])
    return stream + packet(4, 2, "1")


@pytest.mark.parametrize("step", [1, 100, 32768])
def test_sftp_of_a_dump(client: Client, step: int) -> None:
    out = client.ok(SFTP, INIT + put(D + "/vmcore-incomplete", flattened(), step))
    assert answers(out)[0] == (2, struct.pack(">I", 3))
    assert set(codes(out)[2:]) == {0}
    client.ok(f"mv {D}/vmcore-incomplete {D}/vmcore.flat")
    assert client.files[FOLDER + "/vmcore"] == in_order()


def test_sftp_of_a_log(client: Client) -> None:
    kdumpctl(client)
    client.ok(SFTP, INIT + put(D + "/second.log", b"text"))
    assert client.files[FOLDER + "/second.log"] == b"text"


def test_sftp_that_is_cut_is_not_whole(client: Client) -> None:
    stream = INIT + put(D + "/vmcore", flattened())
    assert "before the file was closed" in client.refused(SFTP, stream[: -len(packet(4, 2, "1"))])
    assert "within a packet" in client.refused(SFTP, stream[:-1])
    assert [name[-17:] for name in client.names] == ["vmcore-incomplete"] * 2


def test_sftp_of_what_is_not_whole(client: Client) -> None:
    answer = client(SFTP, INIT + put(D + "/vmcore", flattened(end=False)))
    assert answer.code == 1
    assert codes(answer.out)[-1] == 4
    assert b"end mark never came" in answer.out


def test_sftp_out_of_order(client: Client) -> None:
    stream = (
        INIT
        + packet(3, 1, D + "/x", 10, 0)
        + write("1", 0, b"ab")
        + write("1", 1, b"c")
        + packet(4, 2, "1")
    )
    answer = client(SFTP, stream)
    assert codes(answer.out)[-2:] == [4, 4]
    assert client.names == [FOLDER + "/x-incomplete"]


def test_sftp_quota(client: Client) -> None:
    client.configure(max_bytes=50_000)
    answer = client(SFTP, INIT + put(D + "/vmcore", b"x" * 60_000))
    assert answer.code == 1
    assert b"(max_bytes)" in answer.out


FLAGS_READ = 1
DENIED = [
    packet(3, 1, D + "/vmcore", FLAGS_READ, 0),
    packet(3, 1, "/etc/passwd", FLAGS_READ, 0),
    packet(3, 1, "/etc/cron.d/x", 10, 0),
    packet(3, 1, D + "/../../x", 10, 0),
    packet(3, 1, D + "/.ssh", 10, 0),
    packet(3, 1, D + "/receipt.json", 10, 0),
    packet(3, 1, STATUS, 10, 0),
    packet(3, 1, PROOF, 10, 0),
    packet(3, 1, b"/\xff/x", 10, 0),
    packet(3, 1, b"/a\0b/x", 10, 0),
    packet(3, 1, "relative", 10, 0),
    packet(11, 1, "/"),  # OPENDIR
    packet(11, 1, D),
    packet(12, 1, "1"),  # READDIR
    packet(13, 1, D + "/vmcore"),  # REMOVE
    packet(15, 1, D),  # RMDIR
    packet(18, 1, D + "/vmcore", D + "/x"),  # RENAME
    packet(19, 1, D + "/vmcore"),  # READLINK
    packet(20, 1, "/etc/passwd", D + "/x"),  # SYMLINK
    packet(200, 1, "posix-rename@openssh.com", D + "/vmcore", D + "/x"),
    packet(200, 1, "hardlink@openssh.com", D + "/vmcore", D + "/x"),
    packet(14, 1, D + "/sub", 0),
    packet(14, 1, TMP, 0),
    packet(99, 1),
]


@pytest.mark.parametrize("index", range(len(DENIED)))
def test_sftp_denies(client: Client, index: int) -> None:
    kdumpctl(client)
    before = client.files
    out = client.ok(SFTP, INIT + DENIED[index])
    assert codes(out)[1:] == [3]
    assert client.files == before
    assert any("refused" in line for line in client.logged)


def test_sftp_folders_and_names(client: Client) -> None:
    kdumpctl(client)
    stream = INIT
    for path in ("/", "/var/crash", D, D + "/", SUSE, D + "/vmcore", D + "/none", TMP):
        stream += packet(17, 1, path) + packet(7, 1, path)
    out = client.ok(SFTP, stream)
    folder = struct.pack(">IIQI", 1, 5, 0, 0o40700)
    assert answers(out)[1:9] == [(105, folder)] * 8
    assert codes(out)[9:] == [2] * 8
    out = client.ok(SFTP, INIT + packet(16, 1, ".") + packet(16, 2, "//var//crash/"))
    assert [body[8:] for _kind, body in answers(out)[1:]] == [
        struct.pack(">I", len(path)) + path + struct.pack(">I", len(path)) + path + struct.pack(">IQI", 5, 0, 0o40700)
        for path in (b"/", b"/var/crash")
    ]  # fmt: skip


def test_sftp_makes_folders_and_ignores_modes(client: Client) -> None:
    stream = INIT + packet(14, 1, "/var", 0) + packet(14, 1, SUSE, 0) + packet(14, 1, SUSE, 0)
    stream += packet(9, 1, SUSE, 4, 0o777) + packet(7, 1, SUSE)
    out = client.ok(SFTP, stream)
    assert codes(out)[1:] == [0, 0, 0, 0, -1]
    assert client.folders == ["web1-2026-11-25-11-16"]


def test_sftp_of_a_tests_status(client: Client) -> None:
    assert codes(client.ok(SFTP, INIT + packet(3, 1, STATUS, FLAGS_READ, 0)))[1:] == [2]
    client.ok(f"echo success kdump_test_id=1764069388-123456789 > {STATUS}")
    text = b"success kdump_test_id=1764069388-123456789\n"
    read = struct.pack(">IBIIsQI", 22, 5, 2, 1, b"1", 0, 32768)
    again = struct.pack(">IBIIsQI", 22, 5, 3, 1, b"1", len(text), 32768)
    out = client.ok(
        SFTP,
        INIT
        + packet(7, 1, STATUS)
        + packet(3, 1, STATUS, FLAGS_READ, 0)
        + read
        + again
        + packet(4, 4, "1"),
    )
    found = answers(out)
    assert found[1] == (105, struct.pack(">IIQI", 1, 5, len(text), 0o100600))
    assert found[3] == (103, struct.pack(">II", 2, len(text)) + text)
    assert codes(out)[4:] == [1, 0]


def test_sftp_many_open_files(client: Client) -> None:
    stream = INIT + b"".join(packet(3, n, f"{D}/file{n}", 10, 0) for n in range(6))
    assert codes(client(SFTP, stream).out)[1:] == [-1] * 4 + [3, 3]


MALFORMED = [
    b"\0\0\0\0",
    b"\xff\xff\xff\xff",
    struct.pack(">I", (256 << 10) + 1) + b"\3",
    packet(3),
    packet(3, 1),
    packet(3, 1, D + "/x"),
    struct.pack(">IBI", 5, 17, 1),
    struct.pack(">IBII", 9, 17, 1, 1 << 31),
    struct.pack(">IB", 1, 4),
]


@pytest.mark.parametrize("index", range(len(MALFORMED)))
def test_sftp_malformed(client: Client, index: int) -> None:
    answer = client(SFTP, INIT + MALFORMED[index])
    assert "SFTP" in answer.err or codes(answer.out)[1:] == [3]
    assert client.folders == []


@pytest.mark.parametrize("turn", range(2))
def test_sftp_of_suse(client: Client, turn: int) -> None:
    folder = "web1-2026-11-25-11-16"
    for _crash in range(turn + 1):
        for name, content in (
            ("README.txt", FIRST),
            ("dmesg", b"d"),
            ("vmcore", flattened()),
            ("README.txt", b"e"),
        ):
            client.ok(SFTP, INIT + packet(14, 1, SUSE, 0) + put(f"{SUSE}/{name}", content))
    label = f"{folder}.{turn}" if turn else folder
    assert client.files[label + "/README.txt"] == b"e"
    assert client.files[label + "/vmcore"] == in_order()
    assert len(client.folders) == turn + 1


# --- encryption


class Turned:
    """Stands for age: turns each byte over."""

    def __init__(self, encrypt: t.Dict[str, t.Any], output: int) -> None:
        self.output = output
        self.fails = encrypt["recipients"] == ["bad"]

    def write(self, views: t.List[t.Any]) -> None:
        os.write(self.output, bytes(255 - byte for byte in b"".join(bytes(v) for v in views)))

    def finish(self) -> None:
        if self.fails:
            raise receive.Incomplete("age failed with 1")


def turned(content: bytes) -> bytes:
    return bytes(255 - byte for byte in content)


@pytest.fixture
def encrypted(client: Client, monkeypatch: pytest.MonkeyPatch) -> Client:
    monkeypatch.setattr(receive, "Cipher", Turned)
    client.configure(encrypt={"program": "age", "recipients": ["age1x"]})
    return client


def test_encrypted_as_it_came(encrypted: Client) -> None:
    kdumpctl(encrypted)
    names = ["kexec-dmesg.log.age", "receipt.json", "vmcore-dmesg.txt.age", "vmcore.flat.age"]
    assert encrypted.names == below(FOLDER, names)
    assert encrypted.files[FOLDER + "/vmcore.flat.age"] == turned(flattened())
    assert encrypted.files[FOLDER + "/kexec-dmesg.log.age"] == turned(b"log")
    receipt = json.loads(encrypted.files[FOLDER + "/receipt.json"].decode())
    assert (receipt["file"], receipt["format"], receipt["rearranged"]) == (
        "vmcore.flat.age",
        "flattened",
        False,
    )
    kdumpctl(encrypted)
    assert encrypted.names == sorted(below(FOLDER, names) + below(FOLDER + ".1", names))


def test_encrypted_is_checked_while_it_passes(encrypted: Client) -> None:
    said = encrypted.refused(f"dd of={D}/vmcore-incomplete", flattened(end=False))
    assert "end mark never came" in said
    assert "end mark" in encrypted.refused(f"mv {D}/vmcore-incomplete {D}/vmcore.flat")
    assert encrypted.names == [FOLDER + "/vmcore-incomplete.age"]


def test_encrypted_a_quota_is_for_what_came(encrypted: Client) -> None:
    encrypted.configure(encrypt={"program": "age", "recipients": ["age1x"]}, max_bytes=100_000)
    stream = flattened([(0, b"x"), (10 << 30, b"y")])
    encrypted.ok(f"cat > {D}/vmcore", stream)
    assert encrypted.files[FOLDER + "/vmcore.age"] == turned(stream)
    assert "max_bytes" in encrypted.refused(f"cat > {SUSE}/vmcore", bytes(100_000))


def test_encrypted_readme_of_suse(encrypted: Client) -> None:
    suse(encrypted, ("README.txt", FIRST), ("dmesg", b"d"), ("README.txt", b"end"))
    suse(encrypted, ("README.txt", FIRST))
    folder = "web1-2026-11-25-11-16"
    assert encrypted.files[folder + "/README.txt.age"] == turned(b"end")
    assert encrypted.files[folder + ".1/README.txt.age"] == turned(FIRST)


def test_encrypted_proof(encrypted: Client) -> None:
    made = encrypted.ok("mktemp -dqp /").decode().strip()
    encrypted.ok(f"dd of={made}/kdump-fleet-proof", b"proof")
    assert encrypted.names == [f"{made[1:]}/kdump-fleet-proof.age"]
    encrypted.ok(f"rm -f {made}/kdump-fleet-proof")
    encrypted.ok(f"rmdir {made}")


def test_encryption_that_fails(encrypted: Client) -> None:
    encrypted.configure(encrypt={"program": "age", "recipients": ["bad"]})
    assert "age failed" in encrypted.refused(f"cat > {D}/vmcore", b"x" * 100)
    assert encrypted.names == [FOLDER + "/vmcore-incomplete.age"]


CIPHERS = [
    ("age", ["age1a", "/etc/keys"], ["age", "-r", "age1a", "-R", "/etc/keys"]),
    (
        "gpg",
        ["AB12", "/etc/key.asc"],
        [
            "gpg",
            "--encrypt",
            "--batch",
            "--no-tty",
            "--trust-model",
            "always",
            "--compress-algo",
            "none",
            "--output",
            "-",
            "--recipient",
            "AB12",
            "--recipient-file",
            "/etc/key.asc",
        ],  # fmt: skip
    ),
]


@pytest.mark.parametrize("program, recipients, argv", CIPHERS)
def test_cipher_argv(program: str, recipients: t.List[str], argv: t.List[str]) -> None:
    assert receive.cipher_argv(program, recipients) == argv


def test_another_cipher_is_refused() -> None:
    with pytest.raises(receive.Refused, match="neither age nor gpg"):
        receive.cipher_argv("rot13", [])


def test_records_are_not_in_order_here() -> None:
    """Else the tests above would show nothing."""
    assert sorted(RECORDS) != list(RECORDS)
