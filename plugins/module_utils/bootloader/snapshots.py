# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""SUSE's snapper snapshots of the root file system: which one runs, and which one the next boot takes.

With btrfs, SUSE's GRUB reads its menu from the default subvolume, which ``snapper rollback`` and
``transactional-update`` set (grub2-btrfs-03-follow_default.patch of openSUSE's package).
"""

import re
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.base import BootLoaderError
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host
from ansible_collections.kdump.fleet.plugins.module_utils.runner import CommandError

_NUMBER = re.compile(r"/\.snapshots/(\d+)/snapshot(?:/|\Z)")


class Root(t.NamedTuple):
    """The root file system that runs."""

    snapshot: str  # its number
    read_only: bool


def running(host: Host) -> t.Optional[Root]:
    """Return the snapshot that runs, or None where the root is none."""
    found: t.Dict[str, t.Tuple[str, str]] = {}
    for line in (host.read("/proc/self/mountinfo") or "").splitlines():
        fields = line.split()
        if len(fields) > 5 and fields[4] in ("/", "/usr"):
            found[fields[4]] = (fields[3], fields[5])
    # After 'transactional-update apply', /usr and /etc are those of the snapshot that waits.
    for point in ("/usr", "/"):
        match = _NUMBER.search(found.get(point, ("", ""))[0])
        if match:
            return Root(match.group(1), "ro" in found["/"][1].split(","))
    return None


def following(host: Host) -> str:
    """Return the number of the snapshot that the next boot takes.

    :raises BootLoaderError: btrfs does not tell.
    """
    try:
        said = host.run(["btrfs", "subvolume", "get-default", "/"])
    except CommandError as exc:
        raise BootLoaderError(f"the next boot's snapshot cannot be told: {exc}") from exc
    match = _NUMBER.search(said.strip())
    return match.group(1) if match else ""


def path(snapshot: str, inside: str) -> str:
    """Return where a path of a snapshot lies."""
    return f"/.snapshots/{snapshot}/snapshot{inside}"
