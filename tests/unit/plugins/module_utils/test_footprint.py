# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import shutil
import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.footprint import footprint
from ansible_collections.kdump.fleet.plugins.module_utils.observe import observe
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost, gzipped

KERNEL = "6.1.0-2-amd64"
CONFIG = "/etc/default/kdump-tools"
INITRD = f"/var/lib/kdump/initrd.img-{KERNEL}"
MIB = 1 << 20


def look(host: FakeHost, arch: str = "x86_64", source: str = "/dev/vda1", **more: t.Any) -> t.Any:
    return footprint(host, KERNEL, INITRD, CONFIG, arch, source, more.get("dumps", []))


def cpio(name: bytes, content: bytes = b"") -> bytes:
    """Return one archive member as the kernel's early user space takes it (newc)."""
    fields = [0] * 13
    fields[6], fields[11] = len(content), len(name) + 1
    head = b"070701" + b"".join(b"%08X" % field for field in fields)
    padded = head + name + b"\0"
    padded += b"\0" * (-len(padded) % 4)
    return padded + content + b"\0" * (-len(content) % 4)


def write(host: FakeHost, content: bytes) -> None:
    with open(host.path(INITRD), "wb") as handle:
        handle.write(content)


def test_the_image_is_the_sum_of_its_parts(debian: FakeHost) -> None:
    # 14.0 MiB of code, 8.9 of read-only data, 2.3 of data and 16.9 of bss.
    assert look(debian)["image"] == pytest.approx(42.2 * MIB, rel=0.01)


def test_without_root_there_are_no_addresses(debian: FakeHost) -> None:
    debian.put("/proc/iomem", "00000000-00000000 : System RAM\n  00000000-00000000 : Kernel code\n")
    assert look(debian)["image"] is None


def test_modules_are_summed(debian: FakeHost) -> None:
    assert look(debian)["modules"] == 983040 + 1146880 + 5226496


EARLY = cpio(b"kernel/x86/microcode/AuthenticAMD.bin", b"m" * 1000) + cpio(b"TRAILER!!!")
PLAIN = EARLY + b"\0" * (-len(EARLY) % 512)
NOISE = bytes(range(256)) * 4 + b"x" * 2000
INITRDS: t.List[t.Tuple[str, bytes, str, t.Optional[int]]] = [
    ("gzip tells", gzipped(NOISE), "gzip", len(NOISE)),
    ("behind microcode", PLAIN + gzipped(NOISE), "gzip", len(PLAIN) + len(NOISE)),
    ("plain", PLAIN, "none", len(PLAIN)),
    # A header as zstd writes it for a file: window, then the size in four bytes.
    ("zstd of a file tells", bytes.fromhex("28b52ffd8460008000000000") + b"x" * 9000, "zstd", 0x8000),
    ("zstd of a small one", bytes.fromhex("28b52ffd2064") + b"x" * 90, "zstd", 0x64),
    ("what cannot be is not believed", bytes.fromhex("28b52ffd84600080310100000000") + b"x" * 90, "zstd", None),
    ("gzip with padding behind it", gzipped(NOISE) + b"\0" * 512, "gzip", None),
    ("zstd of a pipe does not", bytes.fromhex("28b52ffd04600080") + b"x" * 90, "zstd", None),
    ("xz does not", b"\xfd7zXZ\x00" + b"x" * 100, "xz", None),
    ("lz4 does not", b"\x02\x21\x4c\x18" + b"x" * 100, "lz4", None),
]  # fmt: skip


@pytest.mark.parametrize("content, kind, unpacked", [row[1:] for row in INITRDS], ids=[row[0] for row in INITRDS])  # fmt: skip
def test_an_initrd_tells_its_size(
    debian: FakeHost, content: bytes, kind: str, unpacked: t.Optional[int]
) -> None:
    write(debian, content)
    found = look(debian)["initrd"]
    assert (found["packed"], found["compression"]) == (len(content), kind)
    assert found["unpacked"] == unpacked


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x1f\x8b",
        b"070701",
        PLAIN[:-600],
        b"\0" * 6000,
        b"\x28\xb5\x2f\xfd",
        b"070701" + b"z" * 200,
    ],
)
def test_a_damaged_initrd_is_no_error(debian: FakeHost, content: bytes) -> None:
    write(debian, content)
    look(debian)


def test_the_size_that_kdump_tools_keeps_counts_while_it_is_the_initrds(debian: FakeHost) -> None:
    write(debian, b"\xfd7zXZ\x00" + b"x" * 100)
    debian.put(f"/var/lib/kdump/size_initrd.img-{KERNEL}", "36\n")
    assert observe(debian)["capture"]["initrd"]["unpacked"] == 36 * MIB
    os.utime(debian.path(f"/var/lib/kdump/size_initrd.img-{KERNEL}"), (1000, 1000))
    assert observe(debian)["capture"]["initrd"]["unpacked"] is None


FLAGS: t.List[t.Tuple[str, str, str, bool]] = [
    ("fpu sme sev", "", "", False),
    ("fpu sme", "mem_encrypt=on", "", True),
    ("fpu sme", "", "CONFIG_AMD_MEM_ENCRYPT_ACTIVE_BY_DEFAULT=y", True),
    ("fpu sme", "mem_encrypt=off", "CONFIG_AMD_MEM_ENCRYPT_ACTIVE_BY_DEFAULT=y", False),
    ("fpu hypervisor sev sev_es", "", "", True),
    ("fpu hypervisor tdx_guest", "", "", True),
    ("fpu hypervisor", "mem_encrypt=on", "", False),
]


@pytest.mark.parametrize("flags, word, option, expected", FLAGS)
def test_memory_encryption(
    debian: FakeHost, flags: str, word: str, option: str, expected: bool
) -> None:
    debian.put("/proc/cpuinfo", f"processor\t: 0\nflags\t\t: {flags}\nbogomips\t: 1\n")
    debian.put("/proc/cmdline", f"root=UUID=1 {word}\n")
    debian.put(f"/boot/config-{KERNEL}", f"CONFIG_KEXEC=y\n{option}\n")
    assert look(debian)["encrypted"] is expected


def test_devices_that_need_much(debian: FakeHost) -> None:
    assert not look(debian)["mlx5"] and not look(debian)["smmu"]
    os.makedirs(debian.path("/sys/bus/pci/drivers/mlx5_core"))
    os.makedirs(debian.path("/sys/devices/platform/arm-smmu-v3.0.auto"))
    assert look(debian)["mlx5"] and look(debian)["smmu"]


def test_luks_below_the_target_is_asked_for_its_memory(debian: FakeHost) -> None:
    debian.runner.answer(
        "lsblk", "--inverse", "--noheadings", "--raw", "--paths", "--output", "NAME,FSTYPE", "/dev/mapper/vg-root",
        stdout="/dev/mapper/vg-root ext4\n/dev/mapper/luks LVM2_member\n/dev/vda2 crypto_LUKS\n/dev/vda\n",
    )  # fmt: skip
    debian.runner.answer(
        "cryptsetup", "luksDump", "/dev/vda2",
        stdout="Keyslots:\n  0: luks2\n\tMemory:     1048576\n  1: luks2\n\tMemory:     524288\n",
    )  # fmt: skip
    assert look(debian, source="/dev/mapper/vg-root")["luks"] == 1 << 30
    assert look(debian, source="/dev/mapper/vg-root[/@rootfs]")["luks"] == 1 << 30
    assert look(debian)["luks"] == 0
    # The capture boots the root file system, wherever the dump goes.
    debian.put("/proc/mounts", "/dev/mapper/vg-root / ext4 rw 0 0\n/dev/vda1 /boot ext4 rw 0 0\n")
    assert look(debian)["luks"] == 1 << 30


def test_pages_and_debug_kernels(debian: FakeHost) -> None:
    assert footprint(debian, "5.14.0-1.el9.aarch64+64k", "", "", "aarch64", "", [])["page_64k"]
    assert footprint(debian, "5.14.0-1.el9.x86_64+debug", "", "", "x86_64", "", [])["debug_kernel"]
    debian.put(f"/boot/config-{KERNEL}", "CONFIG_X=y\nCONFIG_KASAN=y\n")
    assert look(debian)["debug_kernel"] and not look(debian)["page_64k"]


FOLDER = "/var/crash/202611210837"
END = b"\xff" * 16


def capture(host: FakeHost, content: bytes, name: str = "dump.202611210837") -> t.Any:
    """Return what is said of a note with one dump that was written after it."""
    host.put("/var/lib/kdump-fleet/capture-memory", f"kernel={KERNEL}\nstarted=5000\nram=134217728\ntotal=90000000\nlowest=20000000\n")  # fmt: skip
    shutil.rmtree(host.path(FOLDER), ignore_errors=True)
    host.put(f"{FOLDER}/{name}", "")
    with open(host.path(f"{FOLDER}/{name}"), "wb") as handle:
        handle.write(content)
    os.utime(host.path(f"{FOLDER}/{name}"), (5100, 5100))
    os.utime(host.path(CONFIG), (1000, 1000))
    return observe(host)["capture"]["used"]


def test_a_capture_is_proven_by_a_whole_dump_alone(debian: FakeHost) -> None:
    found = capture(debian, b"makedumpfile" + b"x" * 900 + END)
    assert found["proven"] and not found["changed"]
    # The writer was killed, and kdump-tools has named it complete all the same.
    assert not capture(debian, b"makedumpfile" + b"x" * 900)["proven"]
    assert not capture(debian, b"")["proven"]
    assert capture(debian, b"\x1f\x8b" + b"x" * 900, "dump.202611210837.gz")["proven"]


def test_an_older_dump_proves_nothing(debian: FakeHost) -> None:
    capture(debian, b"makedumpfile" + END)
    os.utime(debian.path(f"{FOLDER}/dump.202611210837"), (4990, 4990))
    assert not observe(debian)["capture"]["used"]["proven"]


@pytest.mark.parametrize("path", [INITRD, CONFIG])
def test_what_was_built_since_was_not_measured(debian: FakeHost, path: str) -> None:
    capture(debian, b"makedumpfile" + END)
    os.utime(debian.path(path), (6000, 6000))
    assert observe(debian)["capture"]["used"]["changed"]
