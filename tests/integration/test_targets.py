# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Places for dumps: real devices, real file systems, a light host."""

from __future__ import annotations

import subprocess
import typing as t
from pathlib import Path

import pytest
from light_host import ROOT, LightHost

MIB = 1 << 20


def run(*argv: str, stdin: str = "") -> str:
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv}: {done.stderr}"
    return done.stdout


class Disk:
    """A device made of a file."""

    def __init__(self, image: Path, *options: str) -> None:
        self.image = image
        self.name = run("losetup", "--find", "--show", *options, str(image)).strip()

    def detach(self) -> None:
        run("losetup", "--detach", self.name)


Make = t.Callable[..., Disk]


@pytest.fixture
def disk(light: LightHost, tmp_path: Path) -> t.Iterator[Make]:
    """Return what makes a device of 32 MiB with what a program puts on it; the light host sees it as it is."""
    # Its own /sys is made up, but for what concerns devices.
    light.run("mkdir", "-p", "/opt/sys")
    light.run("mount", "-t", "sysfs", "sysfs", "/opt/sys")
    for folder in ("class", "block", "dev", "devices"):
        light.run("mkdir", "-p", f"/sys/{folder}")
        light.run("mount", "--bind", f"/opt/sys/{folder}", f"/sys/{folder}")
    made: list[Disk] = []

    def make(*program: str, stdin: str = "", options: tuple[str, ...] = ()) -> Disk:
        image = tmp_path / f"disk{len(made)}"
        with image.open("wb") as handle:
            handle.truncate(32 * MIB)
        if program:
            run(*program, str(image), stdin=stdin)
        made.append(Disk(image, *options))
        return made[-1]

    try:
        yield make
    finally:
        light.close()
        for one in made:
            one.detach()


EXT4 = ("mkfs.ext4", "-q", "-F")


def raw(disk: Disk, **more: t.Any) -> dict[str, t.Any]:
    return {"type": "raw", "location": disk.name, **more}


def refusal(light: LightHost, target: dict[str, t.Any], **variables: t.Any) -> str:
    """Return why the role refuses a target; it must have changed nothing."""
    files = (
        "sh",
        "-c",
        "find /etc/kdump* /etc/default /boot /var/lib/kdump* -type f -exec sha256sum {} +",
    )
    before = light.run(*files).stdout
    play = light.role({"kdump_tooling": "kdumpctl", "kdump_target": target, **variables})
    assert play.code != 0 and "changed=0" in play.output, play.output
    assert light.run(*files).stdout == before
    return play.output.replace('\\"', '"')


def accepted(light: LightHost, target: dict[str, t.Any], **variables: t.Any) -> str:
    """Return what the role says of a target that it would take; kdumpctl itself is not there."""
    play = light.role({"kdump_tooling": "kdumpctl", "kdump_target": target, **variables}, "--check")
    assert play.code == 0, play.output
    return play.output


def test_what_is_on_a_device_is_seen(light: LightHost, disk: Make) -> None:
    one = disk(*EXT4)
    light.write("/etc/fstab", f"{one.name} /dumps ext4 noauto,noatime 0 2\n")
    where = light.module("kdump_info", {"where": {"type": "ext4", "location": one.name}})["target"]["where"]  # fmt: skip
    assert where["exists"] and where["device"] == one.name and where["size"] == 32 * MIB
    assert (where["signature"], where["table"]) == ("ext4", "")
    assert where["fstab"]["noauto"] and where["mounts"] == [] and where["free"] is None
    light.run("mkdir", "/dumps")
    light.run("mount", "/dumps")
    where = light.module("kdump_info", {"where": {"type": "ext4", "location": one.name}})["target"]["where"]  # fmt: skip
    assert [mount["mount"] for mount in where["mounts"]] == ["/dumps"]
    assert 20 * MIB < where["free"] < 32 * MIB


def test_a_path_is_the_disk_that_is_mounted_above_it(light: LightHost, disk: Make) -> None:
    one = disk(*EXT4)
    light.run("mkdir", "-p", "/srv/disk", "/srv/bound")
    light.run("mount", one.name, "/srv/disk")
    light.run("mkdir", "-p", "/srv/disk/a/crash")
    light.run("mount", "--bind", "/srv/disk/a", "/srv/bound")
    light.run("ln", "-s", "/srv/bound/crash", "/srv/link")
    derived = light.module("kdump_info", {"path": "/srv/disk/a/crash/not/yet"})["target"]["derived"]
    assert (derived["source"], derived["type"]) == (one.name, "ext4")
    assert (derived["path"], derived["bind"], derived["volatile"]) == ("/a/crash/not/yet", False, False)  # fmt: skip
    derived = light.module("kdump_info", {"path": "/srv/link"})["target"]["derived"]
    assert (derived["source"], derived["path"], derived["bind"]) == (one.name, "/a/crash", True)


def test_a_folder_that_is_gone_with_the_reboot_is_refused(light: LightHost) -> None:
    light.run("mkdir", "/srv/memory")
    light.run("mount", "-t", "tmpfs", "tmpfs", "/srv/memory")
    play = light.role({"kdump_path": "/srv/memory/crash"})
    assert play.code != 0 and "changed=0" in play.output, play.output
    assert "is on tmpfs tmpfs, mounted on /srv/memory: a dump would be gone with the reboot" in play.output  # fmt: skip


def test_a_device_with_something_on_it_needs_force(light: LightHost, disk: Make) -> None:
    one = disk(*EXT4)
    assert f"location '{one.name}' holds ext4, which a dump would write over" in refusal(light, raw(one))  # fmt: skip
    assert "writes over the ext4 on" in accepted(light, raw(one, force=True))
    two = disk("mkswap")
    assert "holds swap, a swap area, which a dump would write over" in refusal(light, raw(two))
    three = disk("sfdisk", "--quiet", stdin="label: gpt\n")
    assert "holds a partition table (gpt)" in refusal(light, raw(three))
    accepted(light, raw(disk()))


def test_force_does_not_take_what_is_in_use(light: LightHost, disk: Make) -> None:
    one = disk(*EXT4)
    light.run("mount", one.name, "/opt")
    assert "is mounted on /opt; unmount it" in refusal(light, raw(one, force=True))
    light.run("umount", "/opt")
    two = disk(*EXT4, options=("--read-only",))
    assert "is read-only" in refusal(light, raw(two, force=True))


def test_a_file_system_must_be_what_it_is_said_to_be(light: LightHost, disk: Make) -> None:
    one = disk(*EXT4)
    assert "holds ext4, not xfs; set type: ext4" in refusal(light, {"type": "xfs", "location": one.name})  # fmt: skip
    target = {"type": "ext4", "location": one.name}
    assert "is neither mounted nor in /etc/fstab" in refusal(light, target)
    light.write("/etc/fstab", f"{one.name} /dumps ext4 defaults 0 2\n")
    assert "is in /etc/fstab for /dumps and not mounted" in refusal(light, target)
    light.write("/etc/fstab", f"{one.name} /dumps ext4 noauto 0 2\n")
    accepted(light, target)
    empty = disk()
    assert "has no file system; make one ('mkfs -t ext4" in refusal(light, {"type": "ext4", "location": empty.name})  # fmt: skip


def test_too_little_room_is_a_warning_or_a_refusal(light: LightHost, disk: Make) -> None:
    one = disk()
    assert f"raw {one.name} has room for 32 MiB, and a dump of this host" in accepted(light, raw(one))  # fmt: skip
    assert "kdump_space: raw" in refusal(light, raw(one), kdump_space="refuse")
    assert "has room for" not in accepted(light, raw(one), kdump_space="ignore")


# The proof


def mounts(light: LightHost) -> str:
    return light.read("/proc/self/mountinfo") or ""


def test_a_file_system_that_is_not_mounted_takes_a_file(light: LightHost, disk: Make) -> None:
    one = disk(*EXT4)
    before = mounts(light)
    arguments = {"type": "ext4", "location": one.name, "path": "/var/crash", "create": True}
    would = light.module("kdump_target", arguments, "--check")
    assert not would["changed"] and not would["proven"]
    did = light.module("kdump_target", arguments)
    assert did["changed"] and did["proven"] and did["created"] == ["/var/crash"], did
    assert 20 * MIB < did["free"] < 32 * MIB
    again = light.module("kdump_target", arguments)
    assert not again["changed"] and again["proven"]
    assert mounts(light) == before
    light.run("mount", one.name, "/opt")
    assert light.run("stat", "-c", "%a %u", "/opt/var/crash").stdout == "700 0\n"
    assert light.run("find", "/opt/var/crash", "-mindepth", "1").stdout == ""
    # Where it is mounted, the same in place.
    here = light.module("kdump_target", {**arguments, "path": "/other"})
    assert here["created"] == ["/opt/other"] and light.run("stat", "/opt/other").returncode == 0


def test_a_raw_device_is_read_and_not_written(light: LightHost, disk: Make) -> None:
    one = disk(*EXT4)
    before = one.image.read_bytes()
    did = light.module("kdump_target", {"type": "raw", "location": one.name})
    assert did["proven"] and not did["changed"] and did["free"] == 32 * MIB, did
    assert one.image.read_bytes() == before
    light.run("mount", one.name, "/opt")
    used = light.module("kdump_target", {"type": "raw", "location": one.name})
    assert used["failed"] and "somebody else uses it; unmount it there" in used["msg"]


def test_a_folder_takes_a_file_and_keeps_none(light: LightHost) -> None:
    # As a run leaves it that is killed in the middle.
    name = (light.read("/proc/sys/kernel/hostname") or "").strip()
    light.write(f"/var/crash/.kdump-fleet-proof-{name}-00", "x")
    did = light.module("kdump_target", {"path": "/var/crash"})
    assert did["proven"] and not did["changed"], did
    assert light.run("find", "/var/crash", "-mindepth", "1").stdout == ""


def fill(light: LightHost, path: str) -> None:
    for size in ("1M", "1k"):
        light.run("dd", "if=/dev/zero", f"of={path}", f"bs={size}", "oflag=append", "conv=notrunc", "status=none")  # fmt: skip


def why(light: LightHost, **arguments: t.Any) -> str:
    result = light.module("kdump_target", arguments)
    assert result["failed"], result
    return str(result["msg"])


def test_a_failure_names_target_cause_and_remedy(light: LightHost, disk: Make) -> None:
    before = mounts(light)
    message = why(light, path="/no/such/folder")
    assert message == "kdump_path: there is no folder /no/such/folder, and nobody makes it in a crash; make it"  # fmt: skip
    one = disk()
    message = why(light, type="ext4", location=one.name)
    assert message.startswith(f"kdump_target: ext4 {one.name} /: mounting it: no such file system is on it")  # fmt: skip
    full = disk(*EXT4)
    light.run("mount", full.name, "/opt")
    fill(light, "/opt/full")
    assert "it is full; make room" in why(light, type="ext4", location=full.name)
    light.run("umount", "/opt")
    message = why(light, type="nfs", location="127.0.0.1:/dumps", options="nolock", timeout=20)
    assert message.startswith("kdump_target: nfs 127.0.0.1:/dumps /: mounting it: ")
    assert mounts(light) == before


def test_too_little_room_at_the_place_itself(light: LightHost, disk: Make) -> None:
    one = disk(*EXT4)
    arguments = {"type": "ext4", "location": one.name, "need": 64 * MIB}
    refused = light.module("kdump_target", {**arguments, "space": "refuse"})
    assert refused["failed"] and "kdump_space: ext4" in refused["msg"]
    warned = light.module("kdump_target", arguments)
    assert warned["proven"] and "takes up to 64 MiB before compression" in warned["warnings"][0]
    silent = light.module("kdump_target", {**arguments, "space": "ignore"})
    assert silent["proven"] and not silent.get("warnings")


KILLED = """
import json, os, signal, sys
sys.path.insert(0, sys.argv[1])
from ansible_collections.kdump.fleet.plugins.module_utils import prove
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host
from ansible_collections.kdump.fleet.plugins.module_utils.runner import SystemRunner
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.base import Place
class Runner(SystemRunner):
    def start(self, argv, *more):
        if argv[0] == "dd":
            print(open("/proc/self/mountinfo").read(), flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        return super().start(argv, *more)
prove.Prover(Host(Runner()), Place("ext4", sys.argv[2], "/")).prove()
"""


def test_a_run_that_is_killed_leaves_nothing_mounted(light: LightHost, disk: Make) -> None:
    one = disk(*EXT4)
    before = mounts(light)
    done = light.run("python3", "-c", KILLED, str(ROOT / ".collections"), one.name)
    assert done.returncode != 0 and "/mnt/target" in done.stdout, done.stderr
    assert mounts(light) == before
    # Nobody holds the device any more.
    assert light.module("kdump_target", {"type": "raw", "location": one.name})["proven"]


def test_a_place_that_takes_no_file_changes_no_configuration(light: LightHost, disk: Make) -> None:
    full = disk(*EXT4)
    light.run("mkdir", "-p", "/srv/dumps")
    light.run("mount", full.name, "/srv/dumps")
    light.run("chmod", "0700", "/srv/dumps")
    fill(light, "/srv/dumps/full")
    before = light.read("/etc/default/kdump-tools")
    play = light.role({"kdump_path": "/srv/dumps"})
    assert play.code != 0 and "changed=0" in play.output, play.output
    assert "kdump_path: path /srv/dumps: writing a file to /srv/dumps: it is full; make room" in play.output  # fmt: skip
    assert light.read("/etc/default/kdump-tools") == before
    light.remove("/srv/dumps/full")
    play = light.role({"kdump_path": "/srv/dumps"})
    assert play.code == 0 and "Write a small file" in play.output, play.output
    assert light.run("find", "/srv/dumps", "-name", ".kdump*").stdout == ""
    again = light.role({"kdump_path": "/srv/dumps"})
    assert again.code == 0 and again.changed == 0 and "Write a small file" not in again.output
