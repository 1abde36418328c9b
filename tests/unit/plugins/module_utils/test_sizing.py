# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.sizing import distro_default

LONG = "2G-4G:320M,4G-32G:512M,32G-64G:1024M,64G-128G:2048M,128G-:4096M"
TABLE: t.List[t.Tuple[str, str, str, t.Optional[str]]] = [
    ("debian", "12", "x86_64", "384M-:128M"),
    ("debian", "13", "x86_64", "512M-:192M"),
    ("debian", "", "x86_64", "512M-:192M"),
    ("debian", "12", "aarch64", LONG),
    ("debian", "13", "ppc64le", LONG),
    ("debian", "12", "m68k", None),
    ("unheard-of", "1", "x86_64", None),
]


@pytest.mark.parametrize("distribution, version, arch, expected", TABLE)
def test_distro_default(
    distribution: str, version: str, arch: str, expected: t.Optional[str]
) -> None:
    assert distro_default(distribution, version, arch) == expected
