# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a host looks like after it was deployed and crashed: armed again, with a dump that others can read."""

import json
import typing as t

import pytest

RESERVED = 128 << 20  # bytes: Debian 12's own default, 384M-:128M, on a host of more than 384 MiB


@pytest.fixture(scope="module")
def drill(host: t.Any) -> dict[str, t.Any]:
    return json.loads(host.file("/root/drill.json").content_string)  # type: ignore[no-any-return]


def test_the_kernel_says_that_it_is_armed(host: t.Any) -> None:
    assert host.file("/sys/kernel/kexec_crash_loaded").content_string.strip() == "1"


def test_the_reservation_is_as_planned(host: t.Any) -> None:
    assert int(host.file("/sys/kernel/kexec_crash_size").content_string) == RESERVED


def test_the_service_is_enabled(host: t.Any) -> None:
    assert host.service("kdump-tools.service").is_enabled


def test_the_host_booted_again_since_the_crash(host: t.Any, drill: dict[str, t.Any]) -> None:
    boot_id = host.file("/proc/sys/kernel/random/boot_id").content_string.strip()
    assert boot_id == drill["boot_id"]
    assert drill["panic"].startswith("Kernel panic - not syncing: sysrq")
    assert drill["seconds"] > 0


def test_dumps_are_for_root_alone(host: t.Any) -> None:
    assert host.file("/var/crash").mode == 0o700


def test_nothing_incomplete_is_left(host: t.Any) -> None:
    assert host.run("find /var/crash -name '*-incomplete*'").stdout == ""


def test_makedumpfile_reads_the_dump_and_finds_the_token_in_its_kernel_log(
    host: t.Any, drill: dict[str, t.Any]
) -> None:
    """The independent witness: the log out of the dump itself, not the one that was saved beside it."""
    assert drill["header"]["flattened"]
    made = host.run("makedumpfile -R /root/vmcore < %s", drill["path"])
    assert made.rc == 0, made.stderr
    read = host.run("makedumpfile --dump-dmesg -f /root/vmcore /root/vmcore.dmesg")
    assert read.rc == 0, read.stderr
    log = host.file("/root/vmcore.dmesg").content_string
    assert f"kdump.fleet: crash drill {drill['token']}" in log


def test_what_the_capture_used_replaces_the_estimate(host: t.Any) -> None:
    facts = host.ansible("kdump.fleet.kdump_info", check=True)
    used = facts["capture"]["used"]
    assert used["proven"] and used["kernel"] == facts["kernel"]["release"]
    # What the capture kernel had is the reservation, but for the tables that kexec puts there.
    assert 0.9 * RESERVED < used["ram"] <= RESERVED + (1 << 20)
    assert RESERVED / 2 < used["used"] < used["ram"]
    assert facts["sizing"]["basis"] == "measured"
