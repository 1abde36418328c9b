# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import os
import struct
import tempfile
import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils import arrived
from ansible_collections.kdump.fleet.plugins.module_utils.arrived import ArrivedError
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost

MARK = "kdump.fleet: crash drill 0123456789abcdef"
LOG = f"[1.0] {MARK}\n[2.0] Kernel panic - not syncing: sysrq triggered crash\n"
# A whole ELF core without segments: as long as its own header says.
CORE = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 0, 0, 0, 64, 56, 0, 0, 0, 0)  # fmt: skip
CORE += bytes(64)


RECEIPT = json.dumps({"file": "vmcore.flat.age", "complete": True, "stored": 1})


def options(**given: t.Any) -> t.Dict[str, t.Any]:
    names = ("path", "account", "host", "device", "fstype", "contains")
    return {**dict.fromkeys(names), "known": [], **given}


def put(host: FakeHost, path: str, content: t.Union[str, bytes]) -> None:
    host.put(path, "")
    with open(host.path(path), "wb") as handle:
        handle.write(content if isinstance(content, bytes) else content.encode())


# A folder and what is in it; what the module says of it.
FOLDERS = [
    ("10.0.0.5-202611210558", {"dump.202611210558": CORE, "dmesg.202611210558": LOG}, True, ""),
    ("127.0.0.1-2026-11-25-11:16:28", {"vmcore": CORE, "vmcore-dmesg.txt": LOG, "receipt.json": "{}"}, True, ""),
    # kdumpctl puts its own path below an export.
    ("var/crash/h-2026-11-25-11:16:28", {"vmcore": CORE, "vmcore-dmesg.txt": LOG}, True, ""),
    ("a-202611210558", {"dump-incomplete": CORE, "dmesg.202611210558": LOG}, False, "was never finished"),
    ("a-202611210558", {"dmesg.202611210558": LOG}, False, "was never finished"),
    ("a-202611210558", {"dump.202611210558": CORE, "dmesg.202611210558": "other\n"}, False, "is of another crash"),
    ("a-202611210558", {"dump.202611210558": b"none", "dmesg.202611210558": LOG}, False, "is no complete dump"),
    ("a-202611210558", {"dump.202611210558.age": b"x", "dmesg.202611210558.age": b"x"}, False, "is encrypted"),
    # Whoever can write into that folder can write that too.
    ("a-202611210558", {"vmcore.flat.age": b"x", "receipt.json": RECEIPT}, False, "in the folder of an account alone"),
    # The receiver's own.
    (".sessions", {"vmcore": CORE, "vmcore-dmesg.txt": LOG}, False, "no dump has come since"),
    ("a-202611210558", {"README.txt": "x"}, False, "no dump has come since"),
]  # fmt: skip


@pytest.mark.parametrize("folder, files, proven, reason", FOLDERS)
def test_a_dump_is_proven_where_it_arrived(
    host: FakeHost, folder: str, files: t.Dict[str, t.Any], proven: bool, reason: str
) -> None:
    for name, content in files.items():
        put(host, f"/srv/x/{folder}/{name}", content)
    result = arrived.look(host, options(path="/srv/x/", contains=MARK))
    assert reason in result["reason"]
    assert bool(result["proof"]) == proven == (not result["reason"])
    if proven:
        assert result["proof"]["path"].startswith(f"/srv/x/{folder}/")
        assert result["proof"]["panic"].startswith("Kernel panic")
        assert result["proof"]["size"] == len(CORE)
        assert result["proof"]["proven_by"] == "log"
        state = os.stat(host.path(result["proof"]["path"]))
        assert [user.uid for user in host.runner.users] == [state.st_uid]


def test_a_dump_that_was_there_is_not_the_one(host: FakeHost) -> None:
    put(host, "/srv/x/a-202611210558/vmcore", CORE)
    put(host, "/srv/x/a-202611210558/dmesg.txt", LOG)
    before = arrived.look(host, options(path="/srv/x"))["dumps"]
    known = [dump["folder"] for dump in before]
    assert known == ["/srv/x/a-202611210558"]
    result = arrived.look(host, options(path="/srv/x", known=known, contains=MARK))
    assert (result["proof"], result["reason"]) == (None, "no dump has come since")


def test_a_log_without_an_end_is_not_read_into_memory(host: FakeHost) -> None:
    put(host, "/srv/x/a-202611210558/vmcore", CORE)
    put(host, "/srv/x/a-202611210558/vmcore-dmesg.txt", LOG)
    # A hole costs a host nothing: one record of the flattened format makes it.
    with open(host.path("/srv/x/a-202611210558/vmcore-dmesg.txt"), "r+b") as handle:
        handle.truncate(arrived.LARGEST_LOG + 1)
    result = arrived.look(host, options(path="/srv/x", contains=MARK))
    assert "its kernel log has more than" in result["reason"] and not result["proof"]


def test_a_link_leads_nowhere(host: FakeHost, tmp_path: t.Any) -> None:
    put(host, "/other/vmcore", CORE)
    host.put("/srv/x/a/README.txt", "")
    (tmp_path / "srv/x/a/vmcore").symlink_to(tmp_path / "other/vmcore")
    (tmp_path / "srv/x/b").symlink_to(tmp_path / "other")
    assert arrived.look(host, options(path="/srv/x"))["dumps"] == []


def test_a_folder_that_is_not_there_has_no_dumps(host: FakeHost) -> None:
    assert arrived.look(host, options(path="/srv/none", contains=MARK))["dumps"] == []


def test_an_account_s_folder_is_the_one_that_the_receiver_has(host: FakeHost) -> None:
    host.put("/etc/kdump-fleet/receive/kdump.json", '{"base": "/srv/kdump/kdump"}')
    assert arrived.folder_of(host, "kdump", "web1") == "/srv/kdump/kdump/web1"


@pytest.mark.parametrize("account, name", [("other", "web1"), ("../x", "web1"), ("kdump", "../x")])
def test_an_account_that_gets_no_dumps(host: FakeHost, account: str, name: str) -> None:
    host.put("/etc/kdump-fleet/receive/kdump.json", '{"base": "/srv/kdump/kdump"}')
    with pytest.raises(ArrivedError):
        arrived.folder_of(host, account, name)


def test_a_log_that_is_in_the_dump_alone_is_taken_out_of_it(
    host: FakeHost, tmp_path: t.Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    put(host, "/srv/x/2026-11-25-11:16/vmcore", CORE)
    result = arrived.look(host, options(path="/srv/x", contains=MARK))
    assert (
        "cannot be read: not scripted: ('makedumpfile', '--dump-dmesg', '/proc/self/fd/0', "
        in result["reason"]
    )
    assert os.listdir(tempfile.tempdir) == [] != host.runner.users


NFS = "/etc/exports.d/kdump-fleet-kdump.exports"
BASE = "/srv/kdump/kdump"
RECEIPTS: t.List[t.Tuple[t.Dict[str, str], t.Dict[str, t.Any], str]] = [
    # Other files; what the receipt says in other words; why it is no proof.
    ({}, {}, ""),
    ({}, {"stored": 2}, "its receipt.json is of another file"),
    ({}, {"file": "vmcore.age"}, "its receipt.json is of another file"),
    ({}, {"complete": False}, "its receipt.json is of another file"),
    # A client that mounts the host's folder could have written it.
    ({NFS: f"# x\n{BASE}/web1 10.0.0.5(rw)\n"}, {}, "/srv/kdump/kdump/web1 is exported by NFS"),
    ({"/etc/exports": '"/srv/kdump" 10.0.0.5(rw)\n'}, {}, "/srv/kdump is exported by NFS"),
    ({"/etc/exports": "/ 10.0.0.5(rw)\n"}, {}, "/ is exported by NFS"),
    ({NFS: f"{BASE}/web1/a 10.0.0.5(rw)\n"}, {}, "/srv/kdump/kdump/web1/a is exported by NFS"),
    ({NFS: f"{BASE}/web10 10.0.0.5(rw)\n#{BASE}/web1 x(rw)\n\n"}, {}, ""),
]


@pytest.mark.parametrize("files, words, reason", RECEIPTS)
def test_a_receipt_proves_what_cannot_be_read(
    host: FakeHost, files: t.Dict[str, str], words: t.Dict[str, t.Any], reason: str
) -> None:
    host.put("/etc/kdump-fleet/receive/kdump.json", json.dumps({"base": BASE}))
    for name, text in files.items():
        host.put(name, text)
    put(host, f"{BASE}/web1/a-202611210558/vmcore.flat.age", b"x")
    host.put(
        f"{BASE}/web1/a-202611210558/receipt.json", json.dumps({**json.loads(RECEIPT), **words})
    )
    result = arrived.look(host, options(account="kdump", host="web1", contains=MARK))
    assert host.runner.users == []
    if reason:
        assert not result["proof"] and reason in result["reason"], result["reason"]
    else:
        assert result["reason"] == "" and result["proof"] == {
            "path": f"{BASE}/web1/a-202611210558/vmcore.flat.age", "dmesg": "", "size": 1,
            "header": None, "panic": "", "proven_by": "receipt",
        }  # fmt: skip


def test_a_dump_without_a_receipt_is_not_proven(host: FakeHost) -> None:
    host.put("/etc/kdump-fleet/receive/kdump.json", json.dumps({"base": BASE}))
    put(host, f"{BASE}/web1/a-202611210558/vmcore.flat.age", b"x")
    wanted = options(account="kdump", host="web1", contains=MARK)
    assert "there is no receipt.json beside it" in arrived.look(host, wanted)["reason"]
    host.put(f"{BASE}/web1/a-202611210558/receipt.json", "{")
    assert "its receipt.json is damaged" in arrived.look(host, wanted)["reason"]


@pytest.mark.parametrize("what", ["folder", "file", "pipe"])
def test_nothing_leads_a_reader_out_of_the_folder(tmp_path: t.Any, what: str) -> None:
    """A host with an export can put a link in the place of what was a file a moment ago."""
    (tmp_path / "other/a").mkdir(parents=True)
    (tmp_path / "other/a/vmcore").write_bytes(CORE)
    (tmp_path / "top/a").mkdir(parents=True)
    place = tmp_path / "top/a/vmcore"
    place.write_bytes(CORE)
    with arrived.opened(f"{tmp_path}/top", str(place)) as handle:
        assert os.pread(handle, 4, 0) == CORE[:4]
    place.unlink()
    if what == "folder":
        place.parent.rmdir()
        place.parent.symlink_to(tmp_path / "other/a")
    elif what == "file":
        place.symlink_to(tmp_path / "other/a/vmcore")
    else:
        os.mkfifo(str(place))
    with pytest.raises(OSError), arrived.opened(f"{tmp_path}/top", str(place)):
        raise AssertionError("it was opened")


def test_a_device_that_is_mounted_is_looked_at_there(host: FakeHost) -> None:
    argv = ("findmnt", "--noheadings", "--first-only", "--output", "TARGET", "--source", "LABEL=d")
    host.runner.answer(*argv, stdout=host.path("/mnt") + "\n")
    put(host, "/mnt/var/crash/a-202611210558/vmcore", CORE)
    put(host, "/mnt/var/crash/a-202611210558/vmcore-dmesg.txt", LOG)
    wanted = options(device="LABEL=d", fstype="ext4", path="/var/crash", contains=MARK)
    result = arrived.look(host, wanted)
    assert result["proof"]["path"] == "/var/crash/a-202611210558/vmcore"
    assert host.runner.started == [argv]


SSH = {"type": "ssh", "location": "kdump@dumps"}
ACCOUNT = {"account": "kdump", "host": "web1"}
ARRIVALS = [
    ({}, {}, "", ACCOUNT),
    ({"type": "raw", "location": "/dev/vdb"}, {}, "", ACCOUNT),
    (SSH, {}, "dumps", ACCOUNT),
    ({"type": "ssh", "location": "d@10.0.0.1"}, {}, "", {"account": "d", "host": "web1"}),
    ({"type": "ssh", "location": "kdump@10.0.0.1"}, {"ssh_server": "dumps"}, "dumps", ACCOUNT),
    ({"type": "ssh"}, {"ssh_server": "dumps", "ssh_user": "u"}, "dumps", {"account": "u", "host": "web1"}),
    (SSH, {"server": "other"}, "other", ACCOUNT),
    (SSH, {"account": "x"}, "dumps", {"account": "x", "host": "web1"}),
    (SSH, {"path": "/a"}, "dumps", {"path": "/a"}),
    ({"type": "nfs", "location": "dumps:/export/web1"}, {}, "dumps", {"path": "/export/web1"}),
    ({"type": "nfs", "location": "[2001:db8::1]:/e"}, {"server": "dumps"}, "dumps", {"path": "/e"}),
]  # fmt: skip


@pytest.mark.parametrize("target, given, server, place", ARRIVALS)
def test_where_a_dump_arrives(
    target: t.Dict[str, str], given: t.Dict[str, str], server: str, place: t.Dict[str, str]
) -> None:
    found = arrived.arrival(target, "web1", ["web1", "dumps"], **given)
    assert found == {"server": server, "place": place}
