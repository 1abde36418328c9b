# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""SUSE's pbl (perl-bootloader, update-bootloader) with GRUB 2: SLE 15 and 16, Leap, Tumbleweed.

``pbl --add-option`` is not used: it puts its word in the place of every word of that name, so two of them, as
``,high`` and ``,low``, go only as one argument with a blank in it (as kdumptool does), and it writes the line anew
with what the shell made of it. /etc/default/grub is edited in place instead, and ``pbl --config`` makes the menu.
Source: pbl.sh, include/library and grub2/* of perl-bootloader 0.939 to 1.33.
"""

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
    Entry,
    differing,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.grub import (
    DEFAULTS,
    REGENERATE_TIMEOUT,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.grub_mkconfig import (
    plan_defaults,
    read_menu,
    suse_loader_type,
)
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host

CONFIG = "/boot/grub2/grub.cfg"  # where pbl's scripts write it
TYPES = ("grub2", "grub2-efi")


class Pbl(BootLoader):
    """GRUB 2 with SUSE's pbl."""

    name = "pbl"

    def present(self, host: Host) -> bool:
        if suse_loader_type(host) not in TYPES:
            return False
        root = snapshots.running(host)
        # What has a read-only root is changed by transactional-update.
        return host.exists(CONFIG) and host.exists(DEFAULTS) and not (root and root.read_only)

    def entries(self, host: Host) -> t.List[Entry]:
        waiting = self._waiting(host)
        return read_menu(host, snapshots.path(waiting, CONFIG) if waiting else CONFIG)

    @staticmethod
    def _waiting(host: Host) -> str:
        """Return the snapshot that was rolled back to and that only the next boot takes, or ''."""
        root = snapshots.running(host)
        following = snapshots.following(host) if root else ""
        if not root or following in ("", root.snapshot):
            return ""
        # With /boot on a file system of its own there is one menu for all.
        return following if host.exists(snapshots.path(following, CONFIG)) else ""

    def plan(
        self, host: Host, values: t.Sequence[str], argument: Argument = CRASHKERNEL
    ) -> t.List[Change]:
        entries = self.entries(host)
        waiting = self._waiting(host)
        if not waiting:
            return plan_defaults(host, values, argument, entries)
        if differing(entries, values, argument):
            raise BootLoaderError(
                f"the next boot takes snapshot {waiting}, a rollback that waits for a reboot, and what is changed now "
                "would be lost with it; reboot the host and run this again"
            )
        return []

    def regenerate(self, host: Host) -> None:
        # It takes the language of the menu's titles from /etc/sysconfig/language itself.
        host.run(["pbl", "--config"], timeout=REGENERATE_TIMEOUT)
