# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.base import (
    BootLoaderError,
    FileChange,
    next_entry,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.raspberry_pi import (
    RaspberryPi,
    settings,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.registry import detect
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost
from ansible_collections.kdump.fleet.tests.unit.plugins.module_utils.loaders import raspberry_pi
from ansible_collections.kdump.fleet.tests.unit.plugins.module_utils.loaders.base import build

BY_NAME = {scenario.name: scenario for scenario in raspberry_pi.SCENARIOS}
FIRMWARE = raspberry_pi.FIRMWARE


def host_of(name: str, tmp_path: t.Any) -> FakeHost:
    return t.cast("FakeHost", build(BY_NAME[name], str(tmp_path)))


def paths(host: FakeHost, values: t.Sequence[str]) -> t.List[str]:
    return [change.path for change in RaspberryPi().plan(host, values) if isinstance(change, FileChange)]  # fmt: skip


CONFIGS = [
    ("cmdline=a.txt\n", ("a.txt", "")),
    ("cmdline=a.txt\n[pi5]\ncmdline=b.txt # why\n[all]\nx=y\n", ("a.txt", "")),
    ("[PI4]\ncmdline=b.txt\n", ("b.txt", "")),
    ("[pi4]\n[pi400]\ncmdline=b.txt\n", ("", "")),
    ("[pi400]\n[pi4]\ncmdline=b.txt\n", ("b.txt", "")),
    ("[none]\ncmdline=b.txt\n", ("", "")),
    ("[tryboot]\ncmdline=b.txt\n", ("", "")),
    ("[gpio4=1]\ncmdline=b.txt\n", ("b.txt", "gpio4=1")),
    ("[gpio4=1]\n[pi3]\ncmdline=b.txt\n", ("", "")),
    ("[EDID=VSC-TD2220]\n[all]\ncmdline=b.txt\n", ("b.txt", "")),
    ("include more.txt\n", ("c.txt", "")),
    ("#cmdline=b.txt\n", ("", "")),
]


@pytest.mark.parametrize("text, expected", CONFIGS)
def test_the_filters_of_config_txt(host: FakeHost, text: str, expected: t.Tuple[str, str]) -> None:
    host.put("/boot/config.txt", text)
    host.put("/boot/more.txt", "cmdline = c.txt\n")
    said = settings(host, "/boot", "Raspberry Pi 4 Model B Rev 1.4", trying=False)
    assert said.get("cmdline", ("", "")) == expected


def test_the_line_stays_one_line(tmp_path: t.Any) -> None:
    host = host_of("raspberry-pi-os", tmp_path)
    (change,) = RaspberryPi().plan(host, ["1G,high", "72M,low"])
    assert change.after == (change.before or "").replace(
        "quiet\n", "quiet crashkernel=1G,high crashkernel=72M,low\n"
    )


def test_no_end_of_line_is_added(tmp_path: t.Any) -> None:
    (change,) = RaspberryPi().plan(host_of("raspberry-pi-ubuntu", tmp_path), ["300M"])
    assert (change.after or "").endswith("fixrtc crashkernel=300M")


def test_several_lines_are_refused(tmp_path: t.Any) -> None:
    host = host_of("raspberry-pi-os", tmp_path)
    host.put(f"{FIRMWARE}/cmdline.txt", "root=/dev/x\nquiet\n")
    with pytest.raises(BootLoaderError, match="more than one line"):
        RaspberryPi().plan(host, ["300M"])


def test_a_filter_that_cannot_be_judged_is_refused(tmp_path: t.Any) -> None:
    host = host_of("raspberry-pi-os", tmp_path)
    host.put(f"{FIRMWARE}/config.txt", "[0x12345678]\ncmdline=other.txt\n")
    assert RaspberryPi().present(host)
    with pytest.raises(BootLoaderError, match=r"below \[0x12345678\]"):
        RaspberryPi().entries(host)


def test_a_prefix_under_which_there_is_nothing_is_passed_over(tmp_path: t.Any) -> None:
    host = host_of("raspberry-pi-os", tmp_path)
    host.put(f"{FIRMWARE}/config.txt", "os_prefix=gone/\n")
    assert paths(host, ["300M"]) == [f"{FIRMWARE}/cmdline.txt"]


def test_what_is_tried_next_has_the_value_too(tmp_path: t.Any) -> None:
    host, loader = host_of("raspberry-pi-ubuntu-ab", tmp_path), RaspberryPi()
    BY_NAME["raspberry-pi-ubuntu-ab"].add_kernel(host)
    assert paths(host, ["300M"]) == [f"{FIRMWARE}/current/cmdline.txt", f"{FIRMWARE}/new/cmdline.txt"]  # fmt: skip
    chosen = next_entry(loader.entries(host))
    assert chosen is not None and chosen.release == "6.17.0-1004-raspi"
    host.put(f"{FIRMWARE}/new/state", "bad\n")
    assert paths(host, ["300M"]) == [f"{FIRMWARE}/current/cmdline.txt"]
    chosen = next_entry(loader.entries(host))
    assert chosen is not None and chosen.kernel == f"{FIRMWARE}/current/vmlinuz"


def test_debian_writes_the_line_anew_out_of_another_file(tmp_path: t.Any) -> None:
    host = host_of("raspberry-pi-debian", tmp_path)
    host.put("/etc/default/raspi-extra-cmdline", "panic=30\n")
    extra, line = RaspberryPi().plan(host, ["300M"])
    assert isinstance(extra, FileChange) and extra.path == "/etc/default/raspi-extra-cmdline"
    assert extra.after == "panic=30 crashkernel=300M\n"
    assert isinstance(line, FileChange) and line.path == f"{FIRMWARE}/cmdline.txt"


def test_the_release_is_the_newest_of_the_flavour_that_boots(tmp_path: t.Any) -> None:
    host = host_of("raspberry-pi-os", tmp_path)
    BY_NAME["raspberry-pi-os"].add_kernel(host)
    host.put("/usr/lib/modules/6.99.0+rpt-rpi-v8/x", "")
    (entry,) = RaspberryPi().entries(host)
    assert (entry.release, entry.kernel) == ("6.12.34+rpt-rpi-2712", f"{FIRMWARE}/kernel_2712.img")


@pytest.mark.parametrize("text", ["kernel=u-boot-rpi4.bin\n", "armstub=RPI_EFI.fd\n", "[all]\nkernel=uboot_rpi_arm64.bin\n"])  # fmt: skip
def test_with_another_loader_in_between_the_line_is_not_what_boots(
    text: str, tmp_path: t.Any
) -> None:
    host = host_of("raspberry-pi-os", tmp_path)
    host.put(f"{FIRMWARE}/config.txt", text)
    assert not RaspberryPi().present(host)


def test_the_file_alone_makes_no_raspberry_pi(tmp_path: t.Any) -> None:
    host = host_of("raspberry-pi-os", tmp_path)
    host.put("/proc/device-tree/model", "Radxa ROCK 5B\0")
    assert detect(host) is None
    host.remove("/proc/device-tree/model")
    assert detect(host) is None


def test_the_boot_partition_is_not_mounted(host: FakeHost) -> None:
    host.put("/proc/device-tree/model", raspberry_pi.PI_4)
    assert not RaspberryPi().present(host)
    with pytest.raises(BootLoaderError, match="is the boot partition mounted"):
        RaspberryPi().entries(host)
