# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The role and the drill: what they refuse, what they plan, and that they leave a host alone that is right."""

from __future__ import annotations

import typing as t

import pytest
from light_host import LightHost

# KDUMP_FAIL_CMD is the only setting that the light host lacks.
RIGHT = {"kdump_system_action": "reboot"}


def test_a_host_that_is_right_costs_one_remote_task(light: LightHost) -> None:
    assert light.role(RIGHT).code == 0
    before = light.snapshot()
    play = light.role(RIGHT, "-vv")
    assert play.code == 0 and play.changed == 0, play.output
    assert light.snapshot() == before
    # Every other task of the run is the controller's own.
    remote = [line for line in play.output.splitlines() if line.startswith("TASK [")]
    remote = [line for line in remote if not any(word in line for word in CONTROLLER_TASKS)]
    assert len([line for line in remote if "Observe the host" in line]) == 1
    assert (
        "Carry out the plan" in play.output
        and "included: " not in play.output.partition("Carry out the plan")[2].partition("TASK")[0]
    )


CONTROLLER_TASKS = (
    "Validating arguments",
    "Observe and plan",
    "Plan]",
    "Refuse",
    "Show the plan",
    "Report",
    "Set the fact",
    "Say that",
    "Believe",
)


def test_check_mode_shows_the_plan_and_changes_nothing(light: LightHost) -> None:
    before = light.snapshot()
    play = light.role({"kdump_crashkernel": "256M", "kdump_dumps_to_keep": 3}, "--check", "--diff")
    assert play.code == 0, play.output
    assert light.snapshot() == before
    assert "conf: /etc/default/kdump-tools: KDUMP_FAIL_CMD, KDUMP_NUM_DUMPS" in play.output
    assert "wanted is crashkernel=256M" in play.output
    assert '+KDUMP_NUM_DUMPS="3"' in play.output
    assert "crashkernel=256M" in play.output
    assert "light would be ready but must reboot" in play.output


def test_a_new_size_without_leave_to_reboot_ends_green(light: LightHost) -> None:
    play = light.role({"kdump_crashkernel": "256M"})
    assert play.code == 0, play.output
    assert "light is ready but must reboot to reserve memory" in play.output
    assert "crashkernel=256M" in (light.read("/boot/grub/grub.cfg") or "")
    again = light.role({"kdump_crashkernel": "256M"})
    assert again.code == 0 and again.changed == 0, again.output


def test_a_bad_configuration_leaves_the_host_armed(light: LightHost) -> None:
    assert light.role().code == 0
    before = light.read("/etc/default/kdump-tools")
    play = light.role({"kdump_options": {"KDUMP_KERNEL": "/boot/none"}})
    assert play.code != 0 and "KDUMP_KERNEL does not exist" in play.output
    assert light.read("/etc/default/kdump-tools") == before
    assert light.read("/sys/kernel/kexec_crash_loaded") == "1\n"


BAD: list[tuple[dict[str, t.Any], list[str]]] = [
    ({"kdump_crashkernel": "2G"}, ["kdump_crashkernel: '2G'", "not less than the host's RAM"]),
    ({"kdump_path": "var/crash"}, ["kdump_path: 'var/crash'", "absolute path"]),
    (
        {"kdump_options": {"KDUMP_NUMDUMPS": "3"}},
        ["kdump_options: KDUMP_NUMDUMPS", "did you mean KDUMP_NUM_DUMPS?"],
    ),
    ({"kdump_options": {"HOSTTAG": "ip\nUSE_KDUMP=0"}}, ["kdump_options: HOSTTAG", "newline"]),
    ({"kdump_core_collector": "makedumpfile -c\n-d 31"}, ["kdump_core_collector", "newline"]),
    ({"kdump_crashkernal": "256M"}, ["kdump_crashkernal", "did you mean kdump_crashkernel?"]),
    ({"kdump_path": "/"}, ["kdump_path: '/'", "belongs to the whole host"]),
    ({"kdump_target": {"type": "ssh", "location": "a@b"}}, ["kdump_target", "cannot honour it"]),
    ({"kdump_reboot_ok": "perhaps"}, ["kdump_reboot_ok", "perhaps"]),
    ({"kdump_dumps_to_keep": "many"}, ["kdump_dumps_to_keep", "many"]),
    ({"kdump_options": "KDUMP_NUM_DUMPS"}, ["kdump_options", "dict"]),
    ({"kdump_system_action": "explode"}, ["kdump_system_action", "explode"]),
    ({"kdump_tooling": "kdumpctl9"}, ["kdump_tooling", "kdumpctl9"]),
]


@pytest.mark.parametrize("variables, messages", BAD)
def test_bad_input_is_named_and_nothing_is_changed(
    light: LightHost, variables: dict[str, t.Any], messages: list[str]
) -> None:
    before = light.snapshot()
    play = light.role(variables)
    assert play.code != 0, play.output
    for message in messages:
        assert message in play.output.replace('\\"', '"'), play.output
    assert "changed=0" in play.output
    assert light.snapshot() == before


def test_a_container_is_refused_with_the_reason(light: LightHost) -> None:
    light.write("/etc/test-container", "lxc\n")
    play = light.role()
    assert play.code != 0 and "this is a container (lxc)" in play.output


def test_a_drill_without_confirm_is_refused(light: LightHost) -> None:
    missing = light.module("kdump_drill", {})
    assert missing["failed"] and "confirm" in missing["msg"]
    refused = light.module("kdump_drill", {"confirm": False})
    assert (
        refused["failed"]
        and "confirm: false" in refused["msg"]
        and "Nothing was done" in refused["msg"]
    )


def test_a_drill_on_a_host_that_is_not_armed_is_refused_before_the_crash(light: LightHost) -> None:
    light.write("/sys/kernel/kexec_crash_loaded", "0\n")
    refused = light.module("kdump_drill", {"confirm": True})
    assert (
        refused["failed"] and "not armed" in refused["msg"] and "Nothing was done" in refused["msg"]
    )


@pytest.mark.parametrize(
    "line, message",
    [
        ('SSH="kdump@server"', "sends dumps elsewhere (SSH)"),
        ("KDUMP_DUMP_DMESG=0", "no proof"),
        ("KDUMP_COMPRESSION=lz4", "lz4"),
    ],
)
def test_a_drill_that_could_prove_nothing_is_refused(
    light: LightHost, line: str, message: str
) -> None:
    light.write("/etc/default/kdump-tools", f"USE_KDUMP=1\n{line}\n")
    refused = light.module("kdump_drill", {"confirm": True})
    assert refused["failed"] and message in refused["msg"] and "Nothing was done" in refused["msg"]


def test_a_drill_in_check_mode_crashes_nothing(light: LightHost) -> None:
    result = light.module("kdump_drill", {"confirm": True}, "--check")
    assert result["changed"] and "would crash" in result["msg"]
