# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""The boot loaders that the collection can drive."""

import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.base import BootLoader
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.extlinux import Extlinux
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.grub import Grub
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.grub_mkconfig import (
    GrubMkconfig,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.grubby import Grubby
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.ostree import RpmOstree
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.pbl import Pbl
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.raspberry_pi import RaspberryPi
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.sdbootutil import Sdbootutil
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.systemd_boot import SystemdBoot
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.transactional_update import (
    TransactionalUpdate,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.zipl import Zipl
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host

# The first that is present drives the host: what owns the kernel's arguments as a whole comes before the
# menu that it writes.
LOADERS: t.Tuple[BootLoader, ...] = (
    RpmOstree(),
    Sdbootutil(),
    TransactionalUpdate(),
    Zipl(),
    SystemdBoot(),
    Pbl(),
    Grubby(),
    Grub(),
    GrubMkconfig(),
    RaspberryPi(),
    Extlinux(),
)


def known() -> str:
    """Return the names of all of them, for messages."""
    return ", ".join(loader.name for loader in LOADERS)


def detect(host: Host) -> t.Optional[BootLoader]:
    """Return the boot loader that decides what the host boots, or None if it is none that we know."""
    cmdline = host.read("/proc/cmdline")
    # GRUB tells what it starts where it found it. A kernel that kexec started lacks the word too, so GRUB is left
    # alone only for another loader that is there.
    without_grub = cmdline is not None and "BOOT_IMAGE=" not in cmdline
    grub: t.Optional[BootLoader] = None
    for loader in LOADERS:
        if not loader.present(host):
            continue
        if not (without_grub and isinstance(loader, (Grub, GrubMkconfig))):
            return loader
        grub = grub or loader
    return grub
