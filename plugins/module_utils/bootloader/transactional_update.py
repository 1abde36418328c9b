# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""SUSE's hosts with a read-only root and GRUB 2: SLE Micro, SL Micro, Leap Micro, MicroOS.

/boot/grub2/grub.cfg is part of the root's snapshot, so a new menu takes a new snapshot: ``transactional-update grub.cfg``
makes one, runs grub2-mkconfig in it, and has the next boot take it; when that fails, it drops it. /etc can be written
while the host runs (an overlay before version 5.0, a subvolume of the snapshot since), and /etc/default/grub as it is
then goes into the new snapshot. It must be changed there, not in the new snapshot alone: a nightly update is made from
the snapshot that runs, and would lose it. Source: transactional-update 3.6 to 6.1 (sbin/transactional-update.in,
lib/Transaction.cpp, lib/Overlay.cpp, snapper/50-etc).
"""

import re
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader import snapshots
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.argument import (
    CRASHKERNEL,
    Argument,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.base import (
    BootLoader,
    BootLoaderError,
    Change,
    Command,
    Entry,
    differing,
    next_entry,
    with_values,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.grub import DEFAULTS
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.grub_mkconfig import (
    plan_defaults,
    read_menu,
    suse_loader_type,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.pbl import CONFIG, TYPES
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host

TOOL = "transactional-update"
TIMEOUT = 1800  # seconds; a snapshot, its plugins, and grub2-mkconfig


class TransactionalUpdate(BootLoader):
    """GRUB 2 in snapshots that transactional-update makes."""

    name = "transactional-update"

    def present(self, host: Host) -> bool:
        root = snapshots.running(host)
        return (
            root is not None
            and root.read_only
            and host.runner.which(TOOL) is not None
            and host.exists(CONFIG)
            and host.exists(DEFAULTS)
            and suse_loader_type(host) in ("", *TYPES)
        )

    def entries(self, host: Host) -> t.List[Entry]:
        return read_menu(host, snapshots.path(self._following(host), CONFIG))

    @staticmethod
    def _following(host: Host) -> str:
        found = snapshots.following(host)
        if not found:
            raise BootLoaderError(
                "the next boot takes no snapshot of snapper's ('btrfs subvolume get-default /'); choose one with "
                f"'{TOOL} rollback NUMBER'"
            )
        return found

    def plan(
        self, host: Host, values: t.Sequence[str], argument: Argument = CRASHKERNEL
    ) -> t.List[Change]:
        following = self._following(host)
        entries = self.entries(host)
        changes = plan_defaults(host, values, argument, entries)
        if not changes and not differing(entries, values, argument):
            return []
        self._refuse_what_would_be_lost(host, following)
        chosen = next_entry(entries)
        before = chosen.arguments if chosen else ""
        after = with_values(before, values, argument)
        base = [TOOL, "--non-interactive", "--no-selfupdate"]
        changes.append(
            Command(
                [*base, "--continue", following, "grub.cfg"],
                [*base, "rollback", following],
                f"{CONFIG} of a new snapshot",
                f"{before}\n",
                # All is right but the menus of the other kernels, or the menu is older than the file.
                f"{after}\n" if after != before else f"{after}\n# in every entry\n",
                TIMEOUT,
            )
        )
        return changes

    @staticmethod
    def _refuse_what_would_be_lost(host: Host, following: str) -> None:
        """See that a snapshot made of the one that the next boot takes will have /etc/default/grub as it is here."""
        root = snapshots.running(host)
        if root is None or root.snapshot == following:
            return
        inside = DEFAULTS[len("/etc") :]
        table = host.read(snapshots.path(following, "/etc/fstab")) or ""
        overlay = re.search(r"^overlay\s+/etc\s+overlay\s+(\S+)", table, re.MULTILINE)
        if overlay:
            layers = re.findall(r"/var/lib/overlay/(\d+)/etc\b", overlay.group(1))
            own = host.read(f"/var/lib/overlay/{following}/etc{inside}")
            fine = root.snapshot in layers and own is None
        else:
            there = snapshots.path(following, "/etc")
            base = host.read(f"{there}/etc.syncpoint{inside}")
            fine = base is not None and base == host.read(there + inside)
        if not fine:
            raise BootLoaderError(
                f"snapshot {following} waits for a reboot and has a {DEFAULTS} of its own, which this would not "
                "change; reboot the host and run this again"
            )
