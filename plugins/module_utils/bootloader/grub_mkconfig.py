# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""GRUB 2 as upstream sets it up: /etc/default/grub and grub-mkconfig (Arch, Gentoo, Alpine, Void, Mageia, SUSE, EL 7).

Upstream's grub-mkconfig reads no drop-ins, so the words are edited in place. It writes beside the old menu, checks the
syntax of that, and only then takes it. What it does was read in grub-mkconfig and 10_linux of GRUB 2.06, 2.12 and
2.14, and in the patches of openSUSE's package.
"""

import os
import re
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader import grubenv
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.argument import (
    CRASHKERNEL,
    Argument,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.base import (
    BootLoader,
    BootLoaderError,
    Change,
    Entry,
    FileChange,
    differing,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.grub import (
    DEFAULTS,
    REGENERATE_TIMEOUT,
    Grub,
    generated,
    in_system_language,
    parse_config,
    plan_dropin,
    reads_dropins,
    refuse_written_by_hand,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.grubby import (
    Grubby,
    own_efi_config,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.shell_file import set_argument
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host

# In their order on the command line. The second one is not for recovery entries.
VARIABLES = ("GRUB_CMDLINE_LINUX", "GRUB_CMDLINE_LINUX_DEFAULT")
# A tool and the menu that it is meant for, in the order in which they are looked for.
PLACES = (
    ("grub2-mkconfig", "/boot/grub2/grub.cfg"),
    ("grub-mkconfig", "/boot/grub/grub.cfg"),
    ("grub2-mkconfig", "/boot/grub/grub.cfg"),
    ("grub-mkconfig", "/boot/grub2/grub.cfg"),
)


def plan_defaults(
    host: Host, values: t.Sequence[str], argument: Argument, entries: t.Sequence[Entry]
) -> t.List[Change]:
    """Return the change of /etc/default/grub, if it takes one.

    :raises BootLoaderError: the file cannot be edited safely, and the menu made of it is not right yet.
    """
    before = host.read(DEFAULTS) or ""
    try:
        after = set_argument(DEFAULTS, before, VARIABLES, values, argument)
    except BootLoaderError:
        if differing(entries, values, argument):
            raise
        return []
    return [] if before == after else [FileChange(DEFAULTS, before, after)]


def read_menu(host: Host, path: str) -> t.List[Entry]:
    """Return the entries of a grub.cfg, with grubenv beside it.

    :raises BootLoaderError: it cannot be read.
    """
    text = host.read(path)
    if text is None:
        raise BootLoaderError(f"{path} cannot be read; are you root on the host (become: true)?")
    environment = grubenv.variables(host.read(os.path.join(os.path.dirname(path), "grubenv")) or "")
    # On btrfs, SUSE's GRUB keeps its variables outside of the file system, where only its own tool finds them.
    tool = "grub2-editenv" if "grub2" in path else "grub-editenv"
    if host.runner.which(tool):
        environment.update(
            re.findall(r"^(\w+)=(.*)$", host.ask([tool, "list"]) or "", re.MULTILINE)
        )
    return [
        entry._replace(release=release_of_flavour(host, entry.kernel))
        for entry in parse_config(text, environment)
    ]


def release_of_flavour(host: Host, kernel: str) -> str:
    """Return the release of a kernel whose file is named after its package, such as vmlinuz-linux-lts; else ''."""
    match = re.match(r"(?:vmlinu[xz]|[bz]*Image|kernel)-([a-z][\w-]*)\Z", os.path.basename(kernel))
    if not match:
        return ""
    # Arch has the package's name beside the modules; Alpine the release beside the flavour.
    for path in host.glob("/usr/lib/modules/*/pkgbase") + host.glob("/lib/modules/*/pkgbase"):
        if host.read_word(path) == match.group(1):
            return os.path.basename(os.path.dirname(path))
    return host.read_word(f"/usr/share/kernel/{match.group(1)}/kernel.release") or ""


def loader_type(host: Host) -> str:
    """Return the boot loader that a SUSE host is set to have, or ''."""
    text = host.read("/etc/sysconfig/bootloader") or ""
    found = re.findall(r"^LOADER_TYPE=[\"']?([\w-]*)[\"']?\s*$", text, re.MULTILINE)
    return found[-1] if found else ""


def suse_loader_type(host: Host) -> str:
    """Return the boot loader that SUSE's pbl is set to drive, or '' where there is no pbl."""
    return "" if host.runner.which("pbl") is None else loader_type(host)


class GrubMkconfig(BootLoader):
    """GRUB 2 with /etc/default/grub and grub-mkconfig."""

    name = "grub-mkconfig"

    def present(self, host: Host) -> bool:
        place = self._place(host)
        return (
            place is not None
            and host.exists(DEFAULTS)
            and not Grub().present(host)
            and suse_loader_type(host) in ("", "none")
            # A menu of BLS entries takes its arguments from those.
            and not Grubby().present(host)
            and not re.search(r"^\s*blscfg\b", host.read(place[1]) or "", re.MULTILINE)
        )

    @staticmethod
    def _place(host: Host) -> t.Optional[t.Tuple[str, str]]:
        """Return the tool and the path of the menu that GRUB reads."""
        for tool, path in PLACES:
            if host.runner.which(tool) is None:
                continue
            efi = own_efi_config(host)
            if efi and generated(host, efi):
                return tool, efi
            if host.exists(path):
                return tool, path
        return None

    def _found(self, host: Host) -> t.Tuple[str, str]:
        place = self._place(host)
        if place is None:
            raise BootLoaderError(
                "there is no grub.cfg in /boot/grub2 or /boot/grub, or no grub-mkconfig; make it with "
                "'grub-mkconfig -o /boot/grub/grub.cfg' and try again"
            )
        return place

    def entries(self, host: Host) -> t.List[Entry]:
        return read_menu(host, self._found(host)[1])

    def plan(
        self, host: Host, values: t.Sequence[str], argument: Argument = CRASHKERNEL
    ) -> t.List[Change]:
        tool, path = self._found(host)
        if not generated(host, path):
            command = f"{tool} -o {path}"
            refuse_written_by_hand(path, command, self.entries(host), values, argument)
            return []
        if reads_dropins(host):
            # Read after /etc/default/grub, a file of our own has the last word.
            return plan_dropin(host, values, argument)
        return plan_defaults(host, values, argument, self.entries(host))

    def regenerate(self, host: Host) -> None:
        tool, path = self._found(host)
        host.run(in_system_language(host, [tool, "-o", path]), timeout=REGENERATE_TIMEOUT)
