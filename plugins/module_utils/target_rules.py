# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""What must be true of a place for dumps before anything is written. Pure: facts and the wanted state in, sentences out.

Which tooling can write to which type is the tooling's own rule, see its configure().
"""

import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils import space
from ansible_collections.kdump.fleet.plugins.module_utils.wanted import (
    FILE_SYSTEMS,
    Wanted,
    forced,
)

Facts = t.Mapping[str, t.Any]

# What is on a device that is a part of something else; by blkid's names.
PARTS = {
    "LVM2_member": "a physical volume of LVM",
    "linux_raid_member": "a member of a RAID",
    "crypto_LUKS": "an encrypted volume (LUKS)",
    "zfs_member": "a member of a ZFS pool",
    "bcache": "a part of bcache",
    "swap": "a swap area",
}
# Their captures mount the file system by themselves, and no overlay; the others boot the host as it always boots.
OWN_MOUNTS = ("kdumpctl", "suse")


def problems(facts: Facts, wanted: Wanted) -> t.List[str]:
    """Return why no dump can go where it is wanted."""
    found = _path_problems(facts, wanted) if wanted.target is None else _target_problems(facts, wanted)  # fmt: skip
    short = space.shortage(facts)
    if short and wanted.space == "refuse":
        found.append(
            f"kdump_space: {short}, and it is to be refused then; make room, leave more out of dumps with kdump_dump_level, "
            "or set kdump_space: warn"
        )
    return found


def warnings(facts: Facts, wanted: Wanted) -> t.List[str]:
    """Return what is doubtful about the place."""
    derived = facts["target"]["derived"]
    found = []
    if wanted.target is None and derived["type"] == "overlay" and not _lost(facts):
        found.append(
            f"kdump_path: {wanted.path!r} is on an overlay; a dump stays there only if every boot mounts the same one, with "
            "its upper folder on a disk"
        )
    where = facts["target"]["where"]
    if wanted.target and where and any(mount["read_only"] for mount in where["mounts"]):
        found.append(
            f"kdump_target: {where['location']} is mounted read-only; a capture mounts it anew, but nothing here can show that "
            "it takes a file"
        )
    if forced(wanted) and where and where["signature"]:
        found.append(
            f"kdump_target: force is set: the next dump writes over the {where['signature']} on {where['device']}"
        )
    return found


def _path_problems(facts: Facts, wanted: Wanted) -> t.List[str]:
    """Return what is wrong with the file system that kdump_path lies on."""
    target = facts["target"]
    # A path that the configuration has, and not the variable, is not the plan's to judge.
    if target["path"] != wanted.path:
        return []
    derived = target["derived"]
    shown = f"kdump_path: {wanted.path!r} is on {derived['type']} {derived['source']}, mounted on {derived['mount']}"
    if not target["answers"]:
        return [f"{shown}, whose server does not answer; bring it back, or use a folder on a disk"]
    lost = _lost(facts)
    if lost:
        return [f"{shown}: {lost}; use a folder on a disk"]
    if derived["read_only"] and (
        not target["exists"] or facts["tooling"]["name"] not in OWN_MOUNTS
    ):
        return [f"{shown} read-only; mount it with rw, or use another folder"]
    return []


def _lost(facts: Facts) -> str:
    """Return why a dump on the path's file system would be lost, or ''."""
    derived = facts["target"]["derived"]
    if not derived["volatile"]:
        return ""
    if derived["type"] != "overlay":
        return "a dump would be gone with the reboot, or could not be written at all"
    if derived["upper"] == "none":
        return "nothing can be written to it"
    if derived["upper"] in ("tmpfs", "ramfs", "rootfs"):
        return f"what is written to it lies in memory ({derived['upper']}), and a dump would be gone with the reboot"
    if facts["tooling"]["name"] in OWN_MOUNTS:
        return "the capture's initrd mounts no overlay, so that a dump could not be written"
    return ""


def _target_problems(facts: Facts, wanted: Wanted) -> t.List[str]:
    where = facts["target"]["where"]
    target = wanted.target or {}
    # Facts that are of another target, or of none, say nothing.
    if not where or (where["type"], where["location"]) != (target.get("type"), target.get("location")):  # fmt: skip
        return []
    shown = f"kdump_target: location {where['location']!r}"
    if where["type"] == "virtiofs" and where["exists"] is False:
        return [f"{shown} is no tag of a virtiofs share that this machine has; give it one on its hypervisor"]  # fmt: skip
    # That it is not there, or is no device, is said with the other paths.
    if not where["device"]:
        return []
    shown += "" if where["device"] == where["location"] else f" ({where['device']})"
    used = _in_use(where)
    if used:
        return [f"{shown} {used}"]
    found = []
    if where["read_only"]:
        found.append(f"{shown} is read-only; make it writable ('blockdev --setrw'), or name another device")  # fmt: skip
    if where["type"] == "raw":
        return found + _raw(where, shown, forced(wanted))
    return found + _file_system(where, shown)


def _in_use(where: Facts) -> str:
    """Return why a device is somebody else's at this moment, or ''; nothing may override that."""
    if where["swap"]:
        return "is used as swap; take it out of the swap areas ('swapoff', /etc/fstab), or name another device"
    if where["holders"]:
        return f"is a part of {', '.join(where['holders'])}; name that device, or one that is free"
    if where["partitions"]:
        return f"has partitions ({', '.join(where['partitions'])}); name one of them"
    mounted = ", ".join(mount["mount"] for mount in where["mounts"])
    if mounted and where["type"] == "raw":
        return f"is mounted on {mounted}; unmount it and take it out of /etc/fstab, or set its file system as type"
    return ""


def _raw(where: Facts, shown: str, force: bool) -> t.List[str]:
    there = where["signature"] or (where["table"] and f"a partition table ({where['table']})")
    if where["fstab"]:
        return [
            f"{shown} is in /etc/fstab, for {where['fstab']['mount']}; take it out there, or name another device"
        ]
    if where["signature"] is None and not force:
        return [
            f"{shown}: whether something is on it cannot be told, for neither blkid nor lsblk works here; install util-linux, "
            "or set force: true beside type and location"
        ]
    if there and not force:
        part = f", {PARTS[there]}" if there in PARTS else ""
        return [
            f"{shown} holds {there}{part}, which a dump would write over; name an empty device, or set force: true beside type "
            "and location"
        ]
    return []


def _file_system(where: Facts, shown: str) -> t.List[str]:
    kind, there = where["type"], where["signature"]
    if there is None and where["mounts"]:
        there = where["mounts"][0]["fstype"]
    if there in PARTS:
        return [f"{shown} is {PARTS[there]}, and no file system; name the device that is made of it"]  # fmt: skip
    if there == "":
        table = f", but a partition table ({where['table']})" if where["table"] else ""
        return [f"{shown} has no file system{table}; make one ('mkfs -t {kind} {where['device']}'), or name another device"]  # fmt: skip
    if there is not None and there != kind:
        instead = f"set type: {there}" if there in FILE_SYSTEMS else "name another device"
        return [f"{shown} holds {there}, not {kind}; {instead}"]
    fstab = where["fstab"]
    if fstab and not where["mounts"] and not fstab["noauto"]:
        # kdumpctl's own rule, and a device that should be there and is not deserves a look anyway.
        return [
            f"{shown} is in /etc/fstab for {fstab['mount']} and not mounted; mount it ('mount {fstab['mount']}'), or add noauto "
            "to its options"
        ]
    if not fstab and not where["mounts"]:
        # kdumpctl's check_fs_modified() asks findmnt for its type, and the next start fails with "Dump target is invalid".
        return [
            f"{shown} is neither mounted nor in /etc/fstab, and kdumpctl takes only what it finds there; add a line such as "
            f"'{where['location']} /mnt/dumps {kind} noauto 0 0'"
        ]
    return []
