# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The fixture that gives a test a host of its own."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
from light_host import LightHost


@pytest.fixture
def light(tmp_path: Path) -> t.Iterator[LightHost]:
    folder = tmp_path / "light"
    folder.mkdir()
    host = LightHost(folder)
    try:
        yield host
    finally:
        host.close()
