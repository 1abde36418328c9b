# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils import target_rules
from ansible_collections.kdump.fleet.plugins.module_utils.observe import observe
from ansible_collections.kdump.fleet.plugins.module_utils.plan import plan
from ansible_collections.kdump.fleet.plugins.module_utils.wanted import Wanted, problems
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost

FREE: t.Dict[str, t.Any] = {
    "location": "/dev/vdb",
    "device": "/dev/vdb",
    "exists": True,
    "size": 1 << 40,
    "free": None,
    "read_only": False,
    "signature": "",
    "table": "",
    "swap": False,
    "holders": [],
    "partitions": [],
    "mounts": [],
    "fstab": None,
}
MOUNTED = [{"mount": "/dumps", "fstype": "ext4", "read_only": False}]
FSTAB = {"mount": "/dumps", "fstype": "ext4", "options": "defaults", "noauto": False}
LOCAL: t.Dict[str, t.Any] = {
    "type": "ext4", "source": "/dev/vda1", "mount": "/", "path": "/var/crash", "volatile": False,
    "network": False, "read_only": False, "upper": "",
}  # fmt: skip


def facts(where: t.Optional[t.Dict[str, t.Any]], **target: t.Any) -> t.Dict[str, t.Any]:
    tooling = target.pop("tooling", "kdumpctl")
    return {
        "target": {
            "path": "/var/crash", "answers": True, "exists": True, "free": 1 << 40, "derived": LOCAL, "where": where, **target,
        },
        "tooling": {"name": tooling},
        "capture": {"elsewhere": "", "network": False},
        "dump_need": {"bytes": 1 << 30, "level": 31, "basis": "estimate"},
    }  # fmt: skip


# The type, what is different of a free device, whether it is forced, and what is said; '' for nothing.
DEVICES: t.List[t.Tuple[str, t.Dict[str, t.Any], bool, str]] = [
    ("raw", {}, False, ""),
    ("raw", {"signature": "ext4"}, False, "holds ext4, which a dump would write over; name an empty device, or set force: true"),
    ("raw", {"signature": "ext4"}, True, ""),
    ("raw", {"signature": "LVM2_member"}, False, "holds LVM2_member, a physical volume of LVM,"),
    ("raw", {"signature": "crypto_LUKS"}, False, "an encrypted volume (LUKS)"),
    ("raw", {"signature": "", "table": "gpt"}, False, "holds a partition table (gpt)"),
    ("raw", {"signature": "", "table": "gpt"}, True, ""),
    ("raw", {"signature": None}, False, "cannot be told"),
    ("raw", {"signature": None}, True, ""),
    ("raw", {"mounts": MOUNTED}, True, "is mounted on /dumps; unmount it"),
    ("raw", {"swap": True}, True, "is used as swap; take it out"),
    ("raw", {"holders": ["dm-0 (vg-x)"]}, True, "is a part of dm-0 (vg-x); name that device"),
    ("raw", {"partitions": ["vdb1"]}, True, "has partitions (vdb1); name one of them"),
    ("raw", {"fstab": FSTAB}, True, "is in /etc/fstab, for /dumps; take it out"),
    ("raw", {"read_only": True}, False, "is read-only; make it writable"),
    ("ext4", {"signature": "ext4"}, False, "kdumpctl takes only what it finds there; add a line such as '/dev/vdb /mnt/dumps ext4 noauto 0 0'"),
    ("ext4", {"signature": "ext4", "mounts": MOUNTED}, False, ""),
    ("ext4", {"signature": "ext4", "mounts": MOUNTED, "fstab": FSTAB}, False, ""),
    ("ext4", {"signature": "ext4", "fstab": {**FSTAB, "noauto": True}}, False, ""),
    ("ext4", {"signature": "ext4", "fstab": FSTAB}, False, "is in /etc/fstab for /dumps and not mounted; mount it ('mount /dumps'), or add noauto"),
    ("ext4", {"signature": "xfs"}, False, "holds xfs, not ext4; set type: xfs"),
    ("ext4", {"signature": "vfat"}, False, "holds vfat, not ext4; name another device"),
    ("ext4", {"signature": ""}, False, "has no file system; make one ('mkfs -t ext4 /dev/vdb')"),
    ("ext4", {"signature": "", "table": "dos"}, False, "has no file system, but a partition table (dos)"),
    ("ext4", {"signature": "LVM2_member"}, False, "is a physical volume of LVM, and no file system; name the device that is made of it"),
    ("xfs", {"signature": None, "mounts": MOUNTED}, False, "holds ext4, not xfs"),
    ("xfs", {"signature": None, "fstab": {**FSTAB, "noauto": True}}, False, ""),
    ("xfs", {"signature": None}, False, "is neither mounted nor in /etc/fstab"),
    ("ext4", {"signature": "ext4", "swap": True}, False, "is used as swap"),
    ("ext4", {"signature": "ext4", "read_only": True, "mounts": MOUNTED}, False, "is read-only"),
    # That is said with the other paths that are needed.
    ("ext4", {"exists": False, "device": ""}, False, ""),
    ("virtiofs", {"exists": False, "device": "", "location": "/dev/vdb"}, False, "is no tag of a virtiofs share"),
    ("virtiofs", {"exists": None, "device": ""}, False, ""),
]  # fmt: skip


@pytest.mark.parametrize("kind, different, force, said", DEVICES)
def test_devices(kind: str, different: t.Dict[str, t.Any], force: bool, said: str) -> None:
    wanted = Wanted(target={"type": kind, "location": "/dev/vdb", "force": force})
    found = target_rules.problems(facts({**FREE, "type": kind, **different}), wanted)
    if not said:
        assert found == []
        return
    assert len(found) == 1 and said in found[0], found
    assert found[0].startswith("kdump_target: location '/dev/vdb'")


def test_facts_of_another_target_say_nothing() -> None:
    wanted = Wanted(target={"type": "raw", "location": "/dev/vdc"})
    assert target_rules.problems(facts({**FREE, "type": "raw", "swap": True}), wanted) == []


# What is different of the path's file system, the tooling, and what is said.
PATHS: t.List[t.Tuple[t.Dict[str, t.Any], str, str]] = [
    ({}, "kdump-tools", ""),
    ({"type": "tmpfs", "volatile": True}, "kdump-tools", "a dump would be gone with the reboot"),
    ({"type": "squashfs", "volatile": True}, "kexec", "could not be written at all"),
    ({"type": "overlay", "volatile": True, "upper": "tmpfs"}, "kdump-tools", "lies in memory (tmpfs)"),
    ({"type": "overlay", "volatile": True, "upper": "none"}, "kdump-tools", "nothing can be written"),
    ({"type": "overlay", "volatile": True, "upper": "ext4"}, "kdump-tools", ""),
    ({"type": "overlay", "volatile": True, "upper": ""}, "kexec", ""),
    ({"type": "overlay", "volatile": True, "upper": "ext4"}, "kdumpctl", "mounts no overlay"),
    ({"read_only": True}, "kdump-tools", "read-only; mount it with rw"),
    # kdumpctl's capture mounts it anew.
    ({"read_only": True}, "kdumpctl", ""),
]  # fmt: skip


@pytest.mark.parametrize("different, tooling, said", PATHS)
def test_paths(different: t.Dict[str, t.Any], tooling: str, said: str) -> None:
    given = facts(None, derived={**LOCAL, **different}, tooling=tooling)
    found = target_rules.problems(given, Wanted())
    assert [said in problem for problem in found] == ([True] if said else []), found
    doubtful = different.get("type") == "overlay" and not said
    assert bool(target_rules.warnings(given, Wanted())) == doubtful


def test_a_server_that_does_not_answer_is_named() -> None:
    share = {**LOCAL, "type": "nfs4", "source": "server:/x", "mount": "/var/crash", "network": True}
    (found,) = target_rules.problems(facts(None, answers=False, derived=share), Wanted())
    assert "on nfs4 server:/x, mounted on /var/crash, whose server does not answer" in found


ROOM: t.List[t.Tuple[t.Optional[t.Dict[str, t.Any]], t.Dict[str, t.Any], bool]] = [
    (None, {"free": (1 << 30) - 1}, True),
    (None, {"free": 1 << 30}, False),
    (None, {"free": None}, False),
    ({**FREE, "type": "raw", "size": 1 << 20}, {}, True),
    ({**FREE, "type": "ext4", "signature": "ext4", "mounts": MOUNTED, "free": 1 << 20}, {}, True),
    # Nobody here can tell what a server has.
    ({**FREE, "type": "nfs", "size": None, "device": ""}, {"free": 0}, False),
]  # fmt: skip


@pytest.mark.parametrize("where, target, short", ROOM)
def test_room(
    where: t.Optional[t.Dict[str, t.Any]], target: t.Dict[str, t.Any], short: bool
) -> None:
    wanted = Wanted(
        space="refuse", target=where and {"type": where["type"], "location": "/dev/vdb"}
    )
    found = target_rules.problems(facts(where, **target), wanted)
    assert [problem.startswith("kdump_space: ") for problem in found] == ([True] if short else [])
    assert target_rules.problems(facts(where, **target), wanted._replace(space="warn")) == []


def test_dumps_that_leave_the_host_need_no_room_here() -> None:
    given = facts(None, free=0)
    given["capture"]["network"] = True
    assert target_rules.problems(given, Wanted(space="refuse")) == []


FORCE: t.List[t.Tuple[t.Dict[str, t.Any], str]] = [
    ({"type": "raw", "location": "/dev/vdb", "force": True}, ""),
    ({"type": "raw", "location": "/dev/vdb", "force": "yes"}, ""),
    ({"type": "raw", "location": "/dev/vdb", "force": "perhaps"}, "must be true or false"),
    ({"type": "ext4", "location": "/dev/vdb", "force": True}, "force is for type raw"),
    ({"type": "ext4", "location": "/dev/vdb", "force": False}, ""),
    ({"type": "raw", "location": "/dev/vdb", "forse": True}, "has no forse"),
]


@pytest.mark.parametrize("target, said", FORCE)
def test_force(target: t.Dict[str, t.Any], said: str) -> None:
    found = problems(Wanted(target=target))
    assert [said in problem for problem in found] == ([True] if said else [])


# The plan


def test_the_place_is_shown_before_it_is_configured(debian: FakeHost) -> None:
    result = plan(observe(debian, dump_path="/srv/dumps"), Wanted(path="/srv/dumps"))
    assert result["step_names"] == ["path", "target", "conf", "load"]
    assert (result["proof"]["type"], result["proof"]["path"]) == ("path", "/srv/dumps")


def test_a_host_that_is_right_shows_nothing_but_to_a_server(debian: FakeHost) -> None:
    result = plan(observe(debian), Wanted())
    assert (result["steps"], result["proof"]["due"]) == ([], False)
    debian.put("/etc/default/kdump-tools", 'USE_KDUMP=1\nKDUMP_COREDIR="/var/crash"\nKDUMP_FAIL_CMD="reboot -f"\nNFS="s:/x"\n')  # fmt: skip
    assert plan(observe(debian), Wanted())["proof"]["due"] is True


def test_findings_go_by_the_level_that_is_wanted(debian: FakeHost) -> None:
    debian.put("/proc/meminfo", "MemTotal: 983040 kB\nMemFree: 900000 kB\n")
    given = observe(debian)
    given["target"]["free"] = 300 << 20

    def found(**wanted: t.Any) -> t.List[str]:
        result = plan(given, Wanted(**wanted))
        return [finding["message"] for finding in result["findings"] if finding["check"] == "space"]

    assert found() == []
    assert "at level 0" in found(dump_level=0)[0]
    assert found(dump_level=0, space="ignore") == []
    assert plan(given, Wanted(dump_level=0, space="refuse"))["errors"][0].startswith(
        "kdump_space: "
    )


def test_a_path_on_a_share_needs_the_memory_of_a_network(debian: FakeHost) -> None:
    local = plan(observe(debian), Wanted())["reasoning"]
    debian.put("/proc/self/mountinfo", "22 1 0:1 / /var/crash rw - nfs4 s:/x rw\n")
    debian.runner.answer("stat", "--format=%F", "/var/crash", stdout="directory\n")
    assert os.path.isdir(debian.path("/var/crash"))
    assert plan(observe(debian), Wanted())["reasoning"] != local
