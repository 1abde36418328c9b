# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's own logic, without a machine."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from kdump_lab import __main__ as command_line
from kdump_lab import common, efi, image, machine

ONE_LINE = """\
# deb https://commented.example/debian bookworm main
deb [signed-by=/x.gpg arch=amd64] https://mirror.example/debian bookworm main contrib
deb https://mirror.example/security bookworm-security main
deb-src https://mirror.example/debian bookworm main
deb https://tools.example/apt tools-bookworm nonfree
"""
DEB822 = """\
Types: deb deb-src
# a comment
URIs: https://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb-src
URIs: https://mirror.example/source
Suites: bookworm
Components: main
"""


def test_sources_in_either_form() -> None:
    mirror = "https://mirror.example/debian"
    assert image.parse_sources(ONE_LINE) == [
        image.Source(mirror, "bookworm"),
        image.Source("https://mirror.example/security", "bookworm-security"),
    ]
    assert image.parse_sources(DEB822) == [
        image.Source(mirror, "bookworm"),
        image.Source(mirror, "bookworm-updates"),
    ]


def test_a_mirror_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KDUMP_LAB_MIRROR", "https://own.example/debian")
    assert [source.line() for source in image.sources_for("trixie")] == [
        "deb [check-valid-until=no] https://own.example/debian trixie main"
    ]


def test_an_unknown_image_is_named() -> None:
    with pytest.raises(common.LabError, match="there are: bookworm, trixie"):
        image.ensure("potato")


def test_an_unknown_way_to_boot_is_named() -> None:
    with pytest.raises(common.LabError, match="there are: bios, uefi, systemd-boot"):
        image.ensure("trixie", "floppy")


def test_a_machine_has_firmware_variables_of_its_own(tmp_path: Path) -> None:
    spec, node = machine.Spec("node", disks=(64,)), machine.Machine(tmp_path)
    disks = [tmp_path / "disk.qcow2", tmp_path / "data0.qcow2"]
    bios = machine._argv(node, spec, disks, 2222, "tcg")
    assert not [word for word in bios if "pflash" in word]
    uefi = machine._argv(node, spec, disks, 2222, "tcg", tmp_path / "variables.fd")
    flash = [word for word in uefi if word.startswith("if=pflash")]
    assert "readonly=on" in flash[0] and f"file={machine.FIRMWARE}" in flash[0]
    assert "readonly" not in flash[1] and f"file={tmp_path}/variables.fd" in flash[1]
    assert [word.rpartition(",")[2] for word in uefi if "drive=disk" in word] == [
        "bootindex=0",
        "bootindex=1",
    ]


def test_an_esp_is_readable(tmp_path: Path) -> None:
    """It is written into the disk's file, as the rest of the image is, and read back at its place."""
    folder, disk, offset = tmp_path / "tree" / efi.MOUNT, tmp_path / "disk.raw", 1 << 20
    (folder / "EFI/BOOT").mkdir(parents=True)
    (folder / "EFI/BOOT/BOOTX64.EFI").write_text("loader")
    with disk.open("wb") as handle:
        handle.truncate(offset + efi.SIZE + (1 << 20))
    efi.partition(tmp_path / "tree", disk, offset)
    assert list(folder.iterdir()) == []
    read = common.run(
        ["mtype", "-i", f"{disk}@@{offset}", "::/EFI/BOOT/BOOTX64.EFI"],
        env={**os.environ, "MTOOLS_SKIP_CHECK": "1"},
    )
    assert read == "loader"


def test_addresses_depend_on_the_name_alone() -> None:
    assert machine.mac("a", 0) == machine.mac("a", 0) != machine.mac("a", 1) != machine.mac("b", 1)
    assert machine.mac("a", 0).startswith("52:54:")
    assert 20000 <= machine.network_port("lan") < 40000


def state(folder: Path, process: subprocess.Popen[bytes], start_time: str) -> machine.Machine:
    folder.mkdir()
    text = json.dumps({"pid": process.pid, "start_time": start_time, "port": 1, "suite": "x"})
    (folder / "machine.json").write_text(text)
    return machine.Machine(folder)


def test_a_process_that_is_not_ours_any_more_is_left_alone(tmp_path: Path) -> None:
    """Pids are used again: the one in the folder may be anybody's by now."""
    process = subprocess.Popen(["sleep", "600"])
    try:
        node = state(tmp_path / "node", process, "12345")
        assert not node.running()
        node.remove()
        assert process.poll() is None and not node.folder.exists()
    finally:
        process.kill()
        process.wait()


def test_our_own_process_is_ended(tmp_path: Path) -> None:
    process = subprocess.Popen(["sleep", "600"])
    node = state(tmp_path / "node", process, machine._start_time(process.pid))
    assert node.running()
    node.remove()
    assert process.wait(timeout=60) != 0


def test_a_step_says_that_it_failed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError), common.step("a long one", every=600):
        raise ValueError
    assert capsys.readouterr().err.splitlines()[-1].endswith("a long one: failed")


def test_a_program_that_fails_is_quoted() -> None:
    with pytest.raises(common.LabError, match="exited with 3:\nwhy"):
        common.run(["sh", "-c", "echo why; exit 3"])
    with pytest.raises(common.LabError, match="make prerequisites"):
        common.run(["no-such-program"])


def test_a_console_is_readable(tmp_path: Path) -> None:
    log = tmp_path / "console.log"
    log.write_bytes(b"one\r\n\x1b[0mtwo\nthree\xff\n")
    assert common.tail(log, 2).splitlines()[0].endswith("two")
    assert common.tail(tmp_path / "none", 2) == ""


@pytest.mark.parametrize(
    "words, expected",
    [
        ("list", ["list"]),
        ("--machines /m up a --cpus 1", ["--machines /m up a --cpus 1"]),
        (
            "--machines /m up a --cpus 1 --and b",
            ["--machines /m up a --cpus 1", "--machines /m up b"],
        ),
        ("up a --and b --disk 9", ["up a", "up b --disk 9"]),
    ],
)
def test_several_machines_on_one_command_line(words: str, expected: list[str]) -> None:
    assert command_line.commands(words.split()) == [line.split() for line in expected]
