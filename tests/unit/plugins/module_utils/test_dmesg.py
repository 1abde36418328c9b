# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.dmesg import panic_line

LOGS: t.List[t.Tuple[str, t.Optional[str]]] = [
    ("", None),
    ("[    0.000000] Linux version 6.1\n", None),
    (
        "[  371.7] sysrq: Trigger a crash\n[  371.707682] Kernel panic - not syncing: sysrq triggered crash\n[  372.0] Call Trace:\n",
        "Kernel panic - not syncing: sysrq triggered crash",
    ),
    ("<4>[ 10.100000] BUG: unable to handle page fault\n", "BUG: unable to handle page fault"),
    ("[ 10.100000][ T1234] Oops: 0002 [#1]\n", "Oops: 0002 [#1]"),
    ("[  150.921982] [    T585] Kernel panic - not syncing: x\n", "Kernel panic - not syncing: x"),
    ("[ 1.0] audit: a user wrote Kernel panic - not syncing: fake\n", None),
]


@pytest.mark.parametrize("text, expected", LOGS)
def test_panic_line(text: str, expected: t.Optional[str]) -> None:
    assert panic_line(text) == expected
