# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.observe import observe
from ansible_collections.kdump.fleet.plugins.module_utils.target import (
    covering,
    derived,
    mounts,
    observe_target,
    resolved,
    unescaped,
)
from ansible_collections.kdump.fleet.plugins.module_utils.wanted import device_of
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost

MOUNTINFO = """\
22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
30 22 0:30 / /run rw - tmpfs tmpfs rw
31 22 254:16 / /var rw,noatime shared:2 - xfs /dev/vdb rw,attr2
32 22 0:40 / /net rw - nfs4 server:/export rw,vers=4.2,addr=192.0.2.1
33 22 0:41 /@var/sub /btr rw - btrfs /dev/vdc rw,subvolid=256,subvol=/@var
34 22 0:41 /@var /sub rw - btrfs /dev/vdc rw,subvolid=256,subvol=/@var
35 22 254:16 /crash /bound rw - xfs /dev/vdb rw,attr2
36 22 0:50 / /over rw - overlay overlay rw,lowerdir=/l,upperdir=/run/u,workdir=/w
37 22 254:32 / /ro ro,relatime - ext4 /dev/vdd rw
38 22 254:48 / /a\\040b rw - ext4 /dev/vde rw
39 22 0:60 / /auto rw - autofs systemd-1 rw,fd=1
"""

# The path, the target that it stands for: source, type, path on it; and what is said of it.
DERIVED: t.List[t.Tuple[str, str, str, str, t.Dict[str, t.Any]]] = [
    ("/srv/crash", "/dev/vda1", "ext4", "/srv/crash", {"bind": False, "volatile": False}),
    # The two of the HOWTO: a disk on /var, and a share.
    ("/var/crash", "/dev/vdb", "xfs", "/crash", {"bind": False, "network": False}),
    ("/net/crash", "server:/export", "nfs4", "/crash", {"network": True}),
    ("/net", "server:/export", "nfs4", "/", {"network": True}),
    ("/variable", "/dev/vda1", "ext4", "/variable", {}),
    ("/bound/x", "/dev/vdb", "xfs", "/crash/x", {"bind": True}),
    ("/sub/x", "/dev/vdc", "btrfs", "/x", {"bind": False, "subvolume": "/@var"}),
    ("/btr/x", "/dev/vdc", "btrfs", "/sub/x", {"bind": True, "subvolume": "/@var"}),
    ("/over/x", "overlay", "overlay", "/x", {"volatile": True}),
    ("/run/x", "tmpfs", "tmpfs", "/x", {"volatile": True}),
    ("/ro/x", "/dev/vdd", "ext4", "/x", {"read_only": True}),
    ("/a b/x", "/dev/vde", "ext4", "/x", {}),
    ("/auto/x", "systemd-1", "autofs", "/x", {"network": False}),
]


@pytest.mark.parametrize("path, source, kind, inside, more", DERIVED)
def test_a_path_is_a_target(
    host: FakeHost, path: str, source: str, kind: str, inside: str, more: t.Dict[str, t.Any]
) -> None:
    found = mounts(MOUNTINFO)
    facts = derived(host, path, found, covering(found, path))
    assert (facts["source"], facts["type"], facts["path"]) == (source, kind, inside)
    assert {name: facts[name] for name in more} == more


def test_a_later_mount_hides_an_earlier_one(host: FakeHost) -> None:
    found = mounts(MOUNTINFO + "50 31 0:70 / /var rw - tmpfs tmpfs rw\n")
    mount = covering(found, "/var/crash")
    assert mount is not None and mount.fstype == "tmpfs"


def test_the_upper_folder_of_an_overlay(host: FakeHost) -> None:
    found = mounts(MOUNTINFO)
    overlay = covering(found, "/over")
    assert derived(host, "/over", found, overlay)["upper"] == ""
    host.put("/run/u/x", "")
    assert derived(host, "/over", found, overlay)["upper"] == "tmpfs"


@pytest.mark.parametrize(
    "line", ["", "1 2 3", "36 22 0:50 / /x rw shared:1", "36 22 0:50 / /x rw -", "x\x00y - -"]
)
def test_half_a_line_is_no_mount(line: str) -> None:
    assert mounts(line) == []


@pytest.mark.parametrize("text, plain", [("a\\040b", "a b"), ("\\011\\134", "\t\\"), ("/x", "/x")])
def test_unescaped(text: str, plain: str) -> None:
    assert unescaped(text) == plain


def test_links_are_followed_but_not_on_a_server(host: FakeHost) -> None:
    host.put("/srv/x", "")
    os.symlink("/var/crash", host.path("/srv/abs"))
    os.symlink("../net/deep", host.path("/srv/rel"))
    os.symlink("/srv/loop", host.path("/srv/loop"))
    # On the server there is one too; to follow it would be to ask the server.
    os.makedirs(host.path("/net"))
    os.symlink("/elsewhere", host.path("/net/deep"))
    found = mounts(MOUNTINFO)
    for path, real, fstype in (
        ("/srv/abs/y", "/var/crash/y", "xfs"),
        ("/srv/rel/y", "/net/deep/y", "nfs4"),
        ("/srv/not/there", "/srv/not/there", "ext4"),
    ):
        got, mount = resolved(host, found, path)
        assert (got, mount and mount.fstype) == (real, fstype)
    # One without an end ends too.
    assert resolved(host, found, "/srv/loop/y")[0].endswith("/y")


def test_a_server_that_does_not_answer_is_not_waited_for(debian: FakeHost) -> None:
    debian.put("/proc/self/mountinfo", MOUNTINFO)
    facts = observe(debian, dump_path="/net/crash")
    # The scripted runner fails as one does whose time is up.
    assert ("stat", "--format=%F", "/net/crash") in debian.runner.started
    assert facts["target"]["answers"] is False and facts["target"]["exists"] is False
    assert facts["dumps"] == []
    assert facts["target"]["derived"]["source"] == "server:/export"


def test_a_server_that_answers_is_looked_at(debian: FakeHost) -> None:
    debian.put("/proc/self/mountinfo", MOUNTINFO)
    debian.put("/net/crash/x", "")
    debian.runner.answer("stat", "--format=%F", "/net/crash", stdout="directory\n")
    target = observe(debian, dump_path="/net/crash")["target"]
    assert target["answers"] and target["directory"] and target["others"] == ["x"]


def test_a_local_path_starts_no_process(debian: FakeHost) -> None:
    debian.put("/proc/self/mountinfo", MOUNTINFO)
    observe(debian)
    assert not {"stat", "findmnt", "blkid", "lsblk", "makedumpfile"} & {argv[0] for argv in debian.runner.started}  # fmt: skip


LOCATIONS = [
    ("/dev/vdb1", "/dev/vdb1"),
    ("UUID=aB-1", "/dev/disk/by-uuid/aB-1"),
    ("12e3e25f-534e-4007-a40c-e7e080a933ad", "/dev/disk/by-uuid/12e3e25f-534e-4007-a40c-e7e080a933ad"),
    ("LABEL=dumps", "/dev/disk/by-label/dumps"),
    ("LABEL=a/b", "/dev/disk/by-label/a\\x2fb"),
    ("PARTLABEL=d", "/dev/disk/by-partlabel/d"),
    ("PARTUUID=1-2", "/dev/disk/by-partuuid/1-2"),
    ("ID=x", "ID=x"),
]  # fmt: skip


@pytest.mark.parametrize("location, path", LOCATIONS)
def test_device_of(location: str, path: str) -> None:
    assert device_of(location) == path


@pytest.fixture
def disk(host: FakeHost) -> FakeHost:
    """A host with /dev/vdb of 1 GiB, known as LABEL=dumps."""
    host.put("/dev/vdb", "")
    os.makedirs(host.path("/dev/disk/by-label"))
    os.symlink("../../vdb", host.path("/dev/disk/by-label/dumps"))
    host.put("/sys/class/block/vdb/size", "2097152\n")
    host.put("/sys/class/block/vdb/dev", "254:16\n")
    host.put("/sys/class/block/vdb/ro", "0\n")
    blkid(host, "TYPE=ext4\nUSAGE=filesystem\n")
    return host


def blkid(host: FakeHost, text: str, code: int = 0) -> None:
    host.runner.answer("blkid", "--probe", "--output", "export", "/dev/vdb", stdout=text, code=code)


def test_a_device_that_is_free(disk: FakeHost) -> None:
    facts = observe_target(disk, "ext4", "LABEL=dumps")
    assert (facts["exists"], facts["device"], facts["size"]) == (True, "/dev/vdb", 1 << 30)
    assert (facts["signature"], facts["table"], facts["fstab"]) == ("ext4", "", None)
    assert not (facts["swap"] or facts["holders"] or facts["partitions"] or facts["mounts"])


def test_a_device_that_is_not_there(disk: FakeHost) -> None:
    facts = observe_target(disk, "raw", "/dev/vdz")
    assert facts["exists"] is False and facts["device"] == ""


@pytest.mark.parametrize(
    "text, code, signature, table",
    [
        ("TYPE=LVM2_member\nUSAGE=raid\n", 0, "LVM2_member", ""),
        # What is beside a file system, as on a hybrid image, is not of interest.
        ("TYPE=iso9660\nPTTYPE=dos\n", 0, "iso9660", ""),
        ("PTUUID=1\nPTTYPE=gpt\n", 0, "", "gpt"),
        ("", 2, "", ""),
        ("", 4, None, ""),
    ],
)
def test_signatures(
    disk: FakeHost, text: str, code: int, signature: t.Optional[str], table: str
) -> None:
    blkid(disk, text, code)
    facts = observe_target(disk, "raw", "/dev/vdb")
    assert (facts["signature"], facts["table"]) == (signature, table)


def test_without_blkid_lsblk_says_it(disk: FakeHost) -> None:
    blkid(disk, "", 4)
    disk.runner.answer("lsblk", "--nodeps", "--noheadings", "--output", "FSTYPE", "/dev/vdb", stdout="xfs\n")  # fmt: skip
    assert observe_target(disk, "raw", "/dev/vdb")["signature"] == "xfs"


def test_a_device_that_is_in_use(disk: FakeHost) -> None:
    disk.put("/proc/self/mountinfo", MOUNTINFO)
    disk.put(
        "/proc/swaps",
        "Filename Type Size Used Priority\n/dev/disk/by-label/dumps partition 1 0 -2\n",
    )
    disk.put("/sys/class/block/vdb/holders/dm-0/x", "")
    disk.put("/sys/class/block/dm-0/dm/name", "vg-dumps\n")
    disk.put("/sys/class/block/vdb/vdb1/partition", "1\n")
    disk.put("/sys/class/block/vdb/queue/partition", "1\n")
    disk.put("/etc/fstab", "# x\nLABEL=dumps /var xfs defaults,noauto 0 2\n/dev/vda1 / ext4\n")
    facts = observe_target(disk, "xfs", "/dev/vdb")
    assert [mount["mount"] for mount in facts["mounts"]] == ["/var", "/bound"]
    assert (
        facts["swap"]
        and facts["holders"] == ["dm-0 (vg-dumps)"]
        and facts["partitions"] == ["vdb1"]
    )
    assert facts["fstab"] == {
        "mount": "/var", "fstype": "xfs", "options": "defaults,noauto", "noauto": True,
    }  # fmt: skip


def test_virtiofs_tags(host: FakeHost) -> None:
    assert observe_target(host, "virtiofs", "dumps")["exists"] is None
    host.put("/sys/fs/virtiofs/1/tag", "other\n")
    assert observe_target(host, "virtiofs", "dumps")["exists"] is False
    host.put("/sys/fs/virtiofs/2/tag", "dumps\n")
    assert observe_target(host, "virtiofs", "dumps")["exists"] is True


@pytest.mark.parametrize(
    "kind, location, count",
    [("nfs", "server:/export/", 1), ("nfs", "server:/exp", 0), ("cifs", "//files/share/sub", 1), ("cifs", "u@files/other", 0)],
)  # fmt: skip
def test_shares_that_are_mounted(host: FakeHost, kind: str, location: str, count: int) -> None:
    host.put("/proc/self/mountinfo", MOUNTINFO + "40 22 0:80 / /smb rw - cifs //files/share rw\n")
    facts = observe_target(host, kind, location)
    assert len(facts["mounts"]) == count
    # Nobody asks the server for its space.
    assert facts["free"] is None
