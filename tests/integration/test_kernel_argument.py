# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kernel_argument beside crashkernel, on a host with GRUB."""

from __future__ import annotations

import typing as t

from light_host import LightHost
from test_modules import four_steps

MENU = "/boot/grub/grub.cfg"
DROPINS = "/etc/default/grub.d/zz-kdump-fleet"


def test_an_argument_with_a_value(light: LightHost) -> None:
    would, did, *_rest = four_steps(
        light, "kernel_argument", {"name": "panic_on_taint", "value": ["0x20"]}
    )
    assert (did["boot_loader"], did["before"], did["after"]) == ("grub", [], ["0x20"])
    assert (did["running"], did["reboot_required"]) == ([], True)
    assert would["after"] == ["0x20"]
    assert did["diff"][0]["after_header"] == f"{DROPINS}-panic_on_taint.cfg"
    menu = light.read(MENU) or ""
    assert menu.count("panic_on_taint=0x20") == 2 and menu.count("crashkernel=384M-:128M") == 2


def test_a_flag_comes_and_goes_beside_crashkernel(light: LightHost) -> None:
    light.module("crashkernel", {"value": ["256M"]})
    four_steps(light, "kernel_argument", {"name": "rd.earlykdump"})
    menu = light.read(MENU) or ""
    assert menu.count("crashkernel=256M rd.earlykdump") + menu.count("rd.earlykdump crashkernel=256M") == 2  # fmt: skip
    four_steps(light, "crashkernel", {"value": ["300M"]})
    assert (light.read(MENU) or "").count("rd.earlykdump") == 2
    _would, did, *_rest = four_steps(
        light, "kernel_argument", {"name": "rd.earlykdump", "state": "absent"}
    )
    assert (did["before"], did["after"], did["reboot_required"]) == ([""], [], False)
    menu = light.read(MENU) or ""
    assert "rd.earlykdump" not in menu and menu.count("crashkernel=300M") == 2


REFUSED: list[tuple[dict[str, t.Any], str]] = [
    ({"name": "crashkernel", "state": "absent"}, "use the module kdump.fleet.crashkernel"),
    ({"name": "fadump", "value": [True]}, "put the word that is meant in quotes"),
    ({"name": "x", "kernel": "DEFAULT"}, "so x cannot be set for one of them; use 'kernel: ALL'"),
]


def test_what_is_refused_changes_nothing(light: LightHost) -> None:
    before = light.snapshot()
    for arguments, message in REFUSED:
        result = light.module("kernel_argument", arguments)
        assert result["failed"] and message in result["msg"], result
    assert light.snapshot() == before
