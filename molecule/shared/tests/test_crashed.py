# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host on UEFI whose kernel was updated and then crashed: the new kernel has the value, and its dump can be read."""

import json
import typing as t

import pytest

VALUE = "crashkernel=256M"


@pytest.fixture(scope="module")
def drill(host: t.Any) -> dict[str, t.Any]:
    return json.loads(host.file("/root/drill.json").content_string)  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def kernel(host: t.Any) -> str:
    return host.check_output("uname -r")  # type: ignore[no-any-return]


def test_it_booted_by_uefi(host: t.Any) -> None:
    assert host.file("/sys/firmware/efi/efivars").is_directory


def test_it_runs_the_kernel_of_the_update(host: t.Any, kernel: str) -> None:
    before = json.loads(host.file("/root/update.json").content_string)["kernel_before"]
    assert kernel != before
    assert "cloud" in kernel


def test_the_kernel_has_the_value_once(host: t.Any) -> None:
    words = host.file("/proc/cmdline").content_string.split()
    assert [word for word in words if word.startswith("crashkernel=")] == [VALUE]
    assert int(host.file("/sys/kernel/kexec_crash_size").content_string) == 256 << 20


def test_the_kernel_says_that_it_is_armed(host: t.Any) -> None:
    assert host.file("/sys/kernel/kexec_crash_loaded").content_string.strip() == "1"


def test_makedumpfile_reads_the_dump_of_this_kernel(
    host: t.Any, drill: dict[str, t.Any], kernel: str
) -> None:
    assert host.run("makedumpfile -R /root/vmcore < %s", drill["path"]).rc == 0
    assert host.run("makedumpfile --dump-dmesg -f /root/vmcore /root/vmcore.dmesg").rc == 0
    log = host.file("/root/vmcore.dmesg").content_string
    assert f"Linux version {kernel} " in log
    assert f"kdump.fleet: crash drill {drill['token']}" in log
