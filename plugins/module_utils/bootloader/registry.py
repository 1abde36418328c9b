# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""The boot loaders that the collection can drive."""

import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.base import BootLoader
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.grub import Grub
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host

LOADERS: t.Tuple[BootLoader, ...] = (Grub(),)


def detect(host: Host) -> t.Optional[BootLoader]:
    """Return the boot loader that decides what the host boots, or None if it is none that we know."""
    for loader in LOADERS:
        if loader.present(host):
            return loader
    return None
