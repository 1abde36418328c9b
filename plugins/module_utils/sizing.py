# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""How much memory to reserve. Pure: figures in, a crashkernel= value out.

Source of the tables: the packages' own GRUB snippets, kdump-tools 1.6.8 to 1.10.9.
"""

import typing as t

_DEBIAN_LONG = "2G-4G:320M,4G-32G:512M,32G-64G:1024M,64G-128G:2048M,128G-:4096M"

# (distribution, first major release with it, architecture): newest first for each architecture.
_DISTRO: t.List[t.Tuple[str, int, str, str]] = [
    ("debian", 13, "x86_64", "512M-:192M"),
    ("debian", 13, "s390x", "512M-:192M"),
    ("debian", 0, "x86_64", "384M-:128M"),
    ("debian", 0, "s390x", "384M-:128M"),
    ("debian", 0, "aarch64", _DEBIAN_LONG),
    ("debian", 0, "ppc64le", _DEBIAN_LONG),
]

_ROLLING = 10**6  # Debian testing and sid have no VERSION_ID


def distro_default(distribution: str, version: str, arch: str) -> t.Optional[str]:
    """Return the crashkernel= value that a distribution's own package would set, or None if it is not known here.

    :param distribution: ID of /etc/os-release.
    :param version: VERSION_ID of /etc/os-release, '' for a rolling release.
    :param arch: as ``uname -m`` prints it.
    """
    major = version.split(".")[0]
    number = int(major) if major.isdigit() else _ROLLING
    for name, first, machine, value in _DISTRO:
        if (name, machine) == (distribution, arch) and number >= first:
            return value
    return None
