# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""What is there of a place for dumps: a device, a share, or the file system that a path lies on. Facts, no opinions.

Nothing is mounted, nothing goes over the network, and no file of a server is touched before it is known to answer.
"""

import os
import re
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.files import Host
from ansible_collections.kdump.fleet.plugins.module_utils.wanted import (
    FILE_SYSTEMS,
    device_of,
)

Facts = t.Dict[str, t.Any]

# Their servers may be down, and whoever touches one of their files waits for them.
NETWORK = re.compile(
    r"(nfs\d?|cifs|smb3|smbfs|autofs|9p|ceph|glusterfs|afs|gfs2|ocfs2|fuse(\..*)?)\Z"
)
# What is written to one of these is gone with the reboot, or cannot be written at all.
VOLATILE = ("tmpfs", "ramfs", "rootfs", "devtmpfs", "squashfs", "erofs", "iso9660", "overlay", "aufs")  # fmt: skip
ANSWER = 5  # seconds that a server has to answer within
SECTOR = 512  # bytes; what /sys counts sizes in, whatever the device's own sectors are


class Mount(t.NamedTuple):
    """One line of /proc/self/mountinfo, see proc_pid_mountinfo(5)."""

    device: str  # major:minor
    root: str  # the folder of the file system that is seen here
    mount: str
    options: t.List[str]  # of this mount
    fstype: str
    source: str
    super_options: t.List[str]  # of the file system

    @property
    def network(self) -> bool:
        return bool(NETWORK.match(self.fstype))

    @property
    def read_only(self) -> bool:
        return "ro" in self.options or "ro" in self.super_options

    def option(self, name: str) -> str:
        """Return the value of the file system's option, or ''."""
        found = [word.partition("=")[2] for word in self.super_options if word.startswith(name + "=")]  # fmt: skip
        return found[-1] if found else ""


class Entry(t.NamedTuple):
    """One line of /etc/fstab."""

    source: str
    mount: str
    fstype: str
    options: t.List[str]


def unescaped(text: str) -> str:
    """Return a field of mountinfo, swaps or fstab as it was before blanks in it were written as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match.group(1), 8)), text)


def mounts(text: str) -> t.List[Mount]:
    """Return what /proc/self/mountinfo says; a later one hides an earlier one at the same place."""
    result = []
    for line in text.splitlines():
        fields = line.split()
        if "-" not in fields[6:]:
            continue
        behind = fields.index("-", 6)
        if len(fields) < behind + 4:
            continue
        result.append(
            Mount(
                fields[2],
                unescaped(fields[3]),
                unescaped(fields[4]),
                fields[5].split(","),
                fields[behind + 1],
                unescaped(fields[behind + 2]),
                fields[behind + 3].split(","),
            )
        )
    return result


def covering(found: t.Sequence[Mount], path: str) -> t.Optional[Mount]:
    """Return the mount that a path without links lies on."""
    result = None
    for mount in found:
        below = mount.mount.rstrip("/") + "/"
        if (path + "/").startswith(below) and (
            result is None or len(mount.mount) >= len(result.mount)
        ):
            result = mount
    return result


def fstab(text: str) -> t.List[Entry]:
    """Return what /etc/fstab says."""
    result = []
    for line in text.splitlines():
        fields = [unescaped(field) for field in line.split()]
        if len(fields) >= 3 and not fields[0].startswith("#"):
            options = fields[3].split(",") if len(fields) > 3 else []
            result.append(Entry(fields[0].replace('"', ""), fields[1], fields[2], options))
    return result


def resolved(host: Host, found: t.Sequence[Mount], path: str) -> t.Tuple[str, t.Optional[Mount]]:
    """Return a path without its links, and the mount that it lies on, without touching a file of a server.

    :return: of a path that a server holds, what comes behind the mount point stays as it is.
    """
    done = "/"
    left = [part for part in path.split("/") if part]
    for _links in range(1000):
        mount = covering(found, done)
        if not left or (mount is not None and mount.network):
            break
        part = left.pop(0)
        following = os.path.normpath(os.path.join(done, part))
        below = covering(found, following)
        if below is not None and below.network:
            done = following
            continue
        try:
            link = os.readlink(host.path(following))
        except OSError:
            done = following
            continue
        left = [part for part in link.split("/") if part] + left
        done = "/" if link.startswith("/") else done
    done = os.path.normpath(os.path.join(done, *left))
    return done, covering(found, done)


def answers(host: Host, path: str, mount: t.Optional[Mount]) -> bool:
    """Say whether a path can be looked at without waiting for a server for ever."""
    if mount is None or not mount.network:
        return True
    # A file that is not there is an answer too.
    return host.says(["stat", "--format=%F", path], (0, 1), ANSWER) is not None


def derived(host: Host, existing: str, found: t.Sequence[Mount], mount: t.Optional[Mount]) -> Facts:
    """Return the target that a path on this host stands for, as kdumpctl works it out too.

    With a disk or a share mounted on /var, /var/crash is that disk, and the path on it is /crash.

    :param existing: the path without links, or the nearest folder above it that exists, and what is missing behind it.
    """
    facts: Facts = {
        "type": "",
        "source": "",
        "mount": "",
        "path": existing,
        "root": "/",
        "subvolume": "",
        "bind": False,
        "network": False,
        "read_only": False,
        "volatile": False,
        "upper": "",
    }
    if mount is None:
        return facts
    below = os.path.relpath(existing, mount.mount)
    subvolume = mount.option("subvol") if mount.fstype == "btrfs" else ""
    # A subvolume is mounted like a file system of its own; the rest of the root, if any, is what was bound.
    base = subvolume if subvolume else "/"
    bind = os.path.relpath(mount.root, base) if mount.root.startswith(base) else mount.root
    inside = os.path.normpath(os.path.join("/", "" if bind == "." else bind, below))
    facts.update(
        type=mount.fstype,
        source=mount.source,
        mount=mount.mount,
        path=inside,
        root=mount.root,
        subvolume="" if subvolume == "/" else subvolume,
        bind=bind not in (".", "/"),
        network=mount.network and mount.fstype != "autofs",
        read_only=mount.read_only,
        volatile=mount.fstype in VOLATILE,
    )
    if mount.fstype == "overlay":
        facts["upper"] = _upper(host, found, mount)
    return facts


def _upper(host: Host, found: t.Sequence[Mount], overlay: Mount) -> str:
    """Return the type of the file system that holds what is written to an overlay; '' if that is out of sight."""
    folder = overlay.option("upperdir")
    if not folder:
        return "none"
    mount = covering(found, folder)
    if mount is None or mount == overlay or not host.exists(folder):
        return ""
    return mount.fstype


def observe_target(host: Host, kind: str, location: str, path: str = "") -> Facts:
    """Return what is there of a target that is not a path: of a device, a tag of virtiofs or a share.

    :param kind: of wanted.TARGETS.
    :param location: as in kdump_target.
    :param path: on the target.
    """
    found = mounts(host.read("/proc/self/mountinfo") or "")
    facts: Facts = {
        "type": kind,
        "location": location,
        "path": path,
        "exists": None,  # None: nobody here can tell
        "device": "",
        "size": None,
        "free": None,
        "read_only": False,
        "signature": None,
        "table": "",
        "swap": False,
        "holders": [],
        "partitions": [],
        "mounts": [],
        "fstab": None,
    }
    if kind == "raw" or kind in FILE_SYSTEMS:
        _device(host, device_of(location), found, facts)
    elif kind == "virtiofs":
        _virtiofs(host, location, found, facts)
    elif kind in ("nfs", "cifs"):
        facts["mounts"] = [_shown(host, mount) for mount in found if _is_share(kind, location, mount)]  # fmt: skip
    if facts["mounts"]:
        facts["free"] = facts["mounts"][0]["free"]
    return facts


def _device(host: Host, name: str, found: t.Sequence[Mount], facts: Facts) -> None:
    """Add what is known of a block device."""
    real, _mount = resolved(host, found, name)
    base = os.path.basename(real)
    block = f"/sys/class/block/{base}"
    facts["exists"] = host.exists(real)
    if not facts["exists"]:
        return
    sectors = host.read_word(block + "/size") or ""
    number = host.read_word(block + "/dev")
    facts.update(
        device=real,
        size=int(sectors) * SECTOR if sectors.isdigit() else None,
        read_only=host.read_word(block + "/ro") == "1",
        holders=[_holder(host, os.path.basename(path)) for path in host.glob(block + "/holders/*")],
        partitions=[
            os.path.basename(os.path.dirname(path))
            for path in host.glob(f"{block}/{base}*/partition")
        ],
        swap=real in _swaps(host, found),
        # btrfs shows a number that is no device's, so its name has to do.
        mounts=[
            _shown(host, mount)
            for mount in found
            if mount.device == number or resolved(host, [], mount.source)[0] == real
        ],
        fstab=_in_fstab(host, found, real),
    )
    _signature(host, real, facts)


def _holder(host: Host, name: str) -> str:
    """Return what sits on a device, by the name that people know."""
    mapped = host.read_word(f"/sys/class/block/{name}/dm/name")
    return f"{name} ({mapped})" if mapped else name


def _swaps(host: Host, found: t.Sequence[Mount]) -> t.List[str]:
    lines = (host.read("/proc/swaps") or "").splitlines()[1:]
    return [resolved(host, found, unescaped(line.split()[0]))[0] for line in lines if line.split()]


def _signature(host: Host, device: str, facts: Facts) -> None:
    """Add what is on a device; the device itself is asked, for udev's record may be old or not there.

    The signature is '' where there is none, and None where nobody can tell.
    """
    # 2 means that there is nothing on it, and 8 that there are several things; see blkid(8).
    answer = host.says(["blkid", "--probe", "--output", "export", device], (0, 2, 8))
    if answer is None:
        answer = host.says(["lsblk", "--nodeps", "--noheadings", "--output", "FSTYPE", device], (0,))  # fmt: skip
        facts["signature"] = None if answer is None else answer.strip()
        return
    fields = dict(line.split("=", 1) for line in answer.splitlines() if "=" in line)
    facts.update(
        signature=fields.get("TYPE", ""), table=fields.get("PTTYPE", "") if "TYPE" not in fields else ""
    )  # fmt: skip


def _shown(host: Host, mount: Mount) -> Facts:
    """Return a mount as facts have it, with the bytes that are free if they can be had without a server."""
    free = None
    if not mount.network:
        try:
            space = os.statvfs(host.path(mount.mount))
            free = space.f_bavail * space.f_frsize
        except OSError:
            pass
    return {
        "mount": mount.mount,
        "fstype": mount.fstype,
        "source": mount.source,
        "root": mount.root,
        # Of a share, the file system's options are what it was mounted with; a password is none of them.
        "options": ",".join(mount.super_options if mount.network else mount.options),
        "read_only": mount.read_only,
        "free": free,
    }


def _in_fstab(host: Host, found: t.Sequence[Mount], device: str) -> t.Optional[Facts]:
    for entry in fstab(host.read("/etc/fstab") or ""):
        if entry.fstype == "swap" or not entry.mount.startswith("/"):
            continue
        if resolved(host, found, device_of(entry.source))[0] == device:
            return {
                "mount": entry.mount,
                "fstype": entry.fstype,
                "options": ",".join(entry.options),
                "noauto": "noauto" in entry.options,
            }
    return None


def _virtiofs(host: Host, tag: str, found: t.Sequence[Mount], facts: Facts) -> None:
    facts["mounts"] = [
        _shown(host, mount) for mount in found if (mount.fstype, mount.source) == ("virtiofs", tag)
    ]
    # There from Linux 6.11 on, once the module is loaded.
    tags = [host.read_word(path) for path in host.glob("/sys/fs/virtiofs/*/tag")]
    if facts["mounts"] or tag in tags:
        facts["exists"] = True
    elif tags:
        facts["exists"] = False


def _is_share(kind: str, location: str, mount: Mount) -> bool:
    if kind == "nfs":
        return mount.fstype.startswith("nfs") and mount.source.rstrip("/") == location.rstrip("/")
    share = re.sub(r"\A(cifs:)?(//)?([^/@]*@)?", "//", location)
    return mount.fstype in ("cifs", "smb3") and (share + "/").startswith(mount.source.rstrip("/") + "/")  # fmt: skip
