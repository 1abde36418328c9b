# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host without a dump tooling of its distribution's looks like after it was deployed and crashed."""

import json
import typing as t

import pytest

RESERVED = 256 << 20  # bytes


@pytest.fixture(scope="module")
def drill(host: t.Any) -> dict[str, t.Any]:
    return json.loads(host.file("/root/drill.json").content_string)  # type: ignore[no-any-return]


def test_there_is_no_other_tooling(host: t.Any) -> None:
    assert not host.package("kdump-tools").is_installed


def test_it_is_armed_again(host: t.Any) -> None:
    assert host.file("/sys/kernel/kexec_crash_loaded").content_string.strip() == "1"
    assert int(host.file("/sys/kernel/kexec_crash_size").content_string) == RESERVED
    service = host.service("kdump-fleet.service")
    assert service.is_enabled
    assert service.is_running
    assert host.run("systemctl is-system-running").stdout.strip() == "running"


def test_what_is_loaded_saves_a_dump_and_nothing_else(host: t.Any) -> None:
    loaded = dict(
        line.split("=", 1)
        for line in host.file("/run/kdump-fleet/loaded").content_string.splitlines()
    )
    words = loaded["arguments"].split()
    assert words[-1] == "systemd.unit=kdump-fleet-save.service"
    assert not [word for word in words if word.startswith("crashkernel=")]
    assert {"irqpoll", "nr_cpus=1", "reset_devices", "panic=10"} < set(words)


def test_it_does_not_save_in_an_ordinary_boot(host: t.Any) -> None:
    assert not host.service("kdump-fleet-save.service").is_running
    host.run_test("systemctl start kdump-fleet-save.service")
    assert not host.service("kdump-fleet-save.service").is_running
    assert host.run("find /srv/dumps -name 'vmcore*' -newer /run/kdump-fleet/loaded").stdout == ""


def test_the_dump_is_complete_and_for_root_alone(host: t.Any, drill: dict[str, t.Any]) -> None:
    folder = host.file(drill["path"].rsplit("/", 1)[0])
    assert folder.mode == 0o700
    assert sorted(folder.listdir()) == ["kexec-dmesg.log", "vmcore", "vmcore-dmesg.txt"]
    assert host.file(drill["path"]).mode == 0o600
    assert host.file("/srv/dumps").mode == 0o700


def test_makedumpfile_finds_the_token_in_the_kernel_log_of_the_dump(
    host: t.Any, drill: dict[str, t.Any]
) -> None:
    """The independent witness: the log out of the dump itself, not the one that was saved beside it."""
    read = host.run("makedumpfile --dump-dmesg -f %s /root/vmcore.dmesg", drill["path"])
    assert read.rc == 0, read.stderr
    token = f"kdump.fleet: crash drill {drill['token']}"
    assert token in host.file("/root/vmcore.dmesg").content_string
    saved = drill["path"].replace("vmcore", "vmcore-dmesg.txt")
    assert token in host.file(saved).content_string


def test_hooks_ran(host: t.Any) -> None:
    assert host.file("/root/hooks").content_string.splitlines() == ["before: 0", "after: 0"]


def test_what_the_capture_used_is_noted(host: t.Any) -> None:
    facts = host.ansible("kdump.fleet.kdump_info", "tooling=kexec", check=True)
    used = facts["capture"]["used"]
    assert used["proven"]
    assert used["kernel"] == facts["kernel"]["release"]
    assert 0.9 * RESERVED < used["ram"] <= RESERVED + (1 << 20)
