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
    "Take back",
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
    play = light.role({"kdump_kernel_version": "9.9"})
    assert play.code != 0 and "KDUMP_KERNEL does not exist" in play.output
    assert light.read("/etc/default/kdump-tools") == before
    assert light.read("/sys/kernel/kexec_crash_loaded") == "1\n"


def test_an_inventory_for_linux_system_roles_on_ubuntu_works_as_it_is(light: LightHost) -> None:
    """README's example of that role, on a host where it ran before: it leaves blanks around '='."""
    inventory = {
        "kdump_kdump_tools": {
            "USE_KDUMP": 1,
            "KDUMP_KERNEL": "/var/lib/kdump/vmlinuz",
            "KDUMP_INITRD": "/var/lib/kdump/initrd.img",
            "KDUMP_COREDIR": "/srv/dumps",
            "MAKEDUMP_ARGS": "-c -d 31",
            "KDUMP_FAIL_CMD": "reboot -f",
        },
        "kdump_reboot_ok": False,
        "kdump_auto_reset_crashkernel": False,
    }
    # As 'kdump-config symlinks' leaves them.
    light.write("/var/lib/kdump/vmlinuz", "kernel\n")
    light.write("/var/lib/kdump/initrd.img", "initrd\n")
    written = inventory["kdump_kdump_tools"].items()  # type: ignore[union-attr]
    light.write("/etc/default/kdump-tools", "".join(f"{key} = {value}\n" for key, value in written))
    play = light.role(inventory)
    assert play.code == 0, play.output
    assert light.read("/etc/default/kdump-tools") == "".join(
        f'{key}="{value}"\n' for key, value in written
    )
    assert light.read("/sys/kernel/kexec_crash_loaded") == "1\n"
    again = light.role(inventory)
    assert again.code == 0 and again.changed == 0, again.output


EVERYTHING = {
    "kdump_dumps_to_keep": 3,
    "kdump_compression": "zlib",
    "kdump_dump_level": 31,
    "kdump_final_action": "poweroff",
    "kdump_pre_hooks": [{"name": "10-lights", "content": "#!/bin/sh\necho before\n"}],
    "kdump_panic_on": ["oops", "softlockup"],
    "kdump_panic_timeout": 30,
}
HOOK = "/etc/kdump-fleet/pre.d/10-lights"


def test_what_was_there_before_comes_back(light: LightHost) -> None:
    # As somebody wrote it who took it for an INI file.
    text = "# by hand\nUSE_KDUMP = 1\nKDUMP_COREDIR=/srv/crash\n"
    light.write("/etc/default/kdump-tools", text)
    play = light.role(EVERYTHING)
    assert play.code == 0, play.output
    conf = light.read("/etc/default/kdump-tools") or ""
    assert conf.startswith('# by hand\nUSE_KDUMP="1"\nKDUMP_COREDIR="/var/crash"\n')
    assert 'MAKEDUMP_ARGS="-d 31 -c"' in conf or 'MAKEDUMP_ARGS="-c -d 31"' in conf
    assert light.read(HOOK) == EVERYTHING["kdump_pre_hooks"][0]["content"]  # type: ignore[index]
    assert light.read("/proc/sys/kernel/softlockup_panic") == "1\n"
    assert "kernel.panic = 30" in (light.read("/etc/sysctl.d/zz-kdump-fleet.conf") or "")
    again = light.role(EVERYTHING)
    assert again.code == 0 and again.changed == 0, again.output

    # A hook and a trigger that nobody asks for any more go.
    play = light.role({"kdump_panic_on": ["oops"]})
    assert play.code == 0, play.output
    assert light.read(HOOK) is None
    assert light.read("/proc/sys/kernel/softlockup_panic") == "0\n"
    assert light.read("/proc/sys/kernel/panic_on_oops") == "1\n"

    play = light.role({"kdump_state": "absent"}, "--diff")
    assert play.code == 0, play.output
    assert light.read("/etc/default/kdump-tools") == text
    assert light.read("/etc/sysctl.d/zz-kdump-fleet.conf") is None
    assert light.read("/proc/sys/kernel/panic_on_oops") == "0\n"
    assert light.read("/sys/kernel/kexec_crash_loaded") == "0\n"
    assert "crashkernel=" not in (light.read("/boot/grub/grub.cfg") or "")
    assert "light is ready but must reboot to give back memory" in play.output
    again = light.role({"kdump_state": "absent"})
    assert again.code == 0 and again.changed == 0, again.output


def test_an_unmanaged_host_is_only_reported(light: LightHost) -> None:
    before = light.snapshot()
    play = light.role({"kdump_state": "unmanaged", "kdump_crashkernel": "512M"})
    assert play.code == 0 and play.changed == 0, play.output
    assert light.snapshot() == before


def test_an_exclusive_configuration_holds_nothing_else(light: LightHost) -> None:
    # As 'kdump-config symlinks' leaves them; the package's own settings for them stay.
    light.write("/var/lib/kdump/vmlinuz", "kernel\n")
    light.write("/var/lib/kdump/initrd.img", "initrd\n")
    light.write("/etc/default/kdump-tools", 'nonsense\nFTP_PASSWORD="s3cret"\nHOSTTAG=hostname\n')
    play = light.role({"kdump_exclusive": True}, "--diff")
    assert play.code == 0 and "s3cret" not in play.output, play.output
    conf = light.read("/etc/default/kdump-tools") or ""
    assert "nonsense" not in conf and "HOSTTAG" not in conf
    assert 'FTP_PASSWORD="s3cret"' in conf
    assert (
        'KDUMP_KERNEL="/var/lib/kdump/vmlinuz"\nKDUMP_INITRD="/var/lib/kdump/initrd.img"\n' in conf
    )
    again = light.role({"kdump_exclusive": True})
    assert again.code == 0 and again.changed == 0, again.output


BAD: list[tuple[dict[str, t.Any], list[str]]] = [
    ({"kdump_crashkernel": "2G"}, ["kdump_crashkernel: '2G'", "not less than the host's RAM"]),
    ({"kdump_path": "var/crash"}, ["kdump_path: 'var/crash'", "absolute path"]),
    (
        {"kdump_options": {"KDUMP_NUMDUMPS": "3"}},
        ["kdump_options: KDUMP_NUMDUMPS", "did you mean KDUMP_NUM_DUMPS?"],
    ),
    (
        {"kdump_options": {"KDUMP_COMPRESSION": "xz\nUSE_KDUMP=0"}},
        ["kdump_options: KDUMP_COMPRESSION", "newline"],
    ),
    ({"kdump_core_collector": "makedumpfile -c\n-d 31"}, ["kdump_core_collector", "newline"]),
    ({"kdump_crashkernal": "256M"}, ["kdump_crashkernal", "did you mean kdump_crashkernel?"]),
    ({"kdump_path": "/"}, ["kdump_path: '/'", "belongs to the whole host"]),
    (
        {"kdump_target": {"type": "raw", "location": "/dev/null"}},
        ["kdump_target", "cannot honour it", "is no block device"],
    ),
    ({"kdump_extra_bins": ["/no/such/program"]}, ["kdump_extra_bins", "is not on this host"]),
    (
        {"kdump_pre_hooks": [{"name": "10-x", "content": "#!/no/such/shell\n"}]},
        ["kdump_pre_hooks: /no/such/shell", "is not on this host"],
    ),
    ({"kdump_panic_on": ["ops"]}, ["kdump_panic_on: 'ops'", "did you mean 'oops'?"]),
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
        ('SSH="kdump@server"', "sends dumps to another machine"),
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


def test_a_drill_whose_dump_it_could_not_find_is_refused(light: LightHost) -> None:
    light.write("/etc/kdump.conf", "path /dumps\next4 /dev/vdb1\n")
    refused = light.module("kdump_drill", {"confirm": True, "tooling": "kdumpctl"})
    assert (
        refused["failed"] and "sends dumps to ext4 /dev/vdb1, where they cannot" in refused["msg"]
    )
    assert "Nothing was done" in refused["msg"]


def test_a_drill_of_a_dump_that_stays_does_not_look_for_it_on_a_server(light: LightHost) -> None:
    refused = light.module("kdump_drill", {"confirm": True, "elsewhere": True})
    assert refused["failed"] and "keeps dumps on this host" in refused["msg"]
    assert "Nothing was done" in refused["msg"]


def test_a_drill_in_check_mode_crashes_nothing(light: LightHost) -> None:
    result = light.module("kdump_drill", {"confirm": True}, "--check")
    assert result["changed"] and "would crash" in result["msg"]


def test_the_drill_of_the_role_begins_on_a_host_that_keeps_its_dumps(light: LightHost) -> None:
    drill = {"name": "kdump.fleet.kdump", "tasks_from": "drill"}
    variables = {"kdump_drill_confirm": True}
    play = light.tasks([{"ansible.builtin.include_role": drill}], variables, "--check")
    assert play.code == 0, play.output
    assert play.changed == 1
