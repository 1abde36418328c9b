# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""What on a host decides how much memory its capture kernel needs: read, not judged; sizing.py makes a sum of it."""

import os
import re
import struct
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils import capture
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.base import Dump

Facts = t.Dict[str, t.Any]
_IMAGE = re.compile(r"^\s*([0-9a-f]+)-([0-9a-f]+) : Kernel (?:code|rodata|data|bss)$", re.M)
_COMPRESSION = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x5d\x00\x00", "lzma"),
    (b"\x02\x21\x4c\x18", "lz4"),
    (b"BZh", "bzip2"),
    (b"\x89LZO", "lzo"),
)


def footprint(
    host: Host,
    kernel: str,
    initrd_path: str,
    config_path: str,
    arch: str,
    target: str,
    dumps: t.Sequence[Dump],
) -> Facts:
    """Return what the capture kernel will load and drive, in bytes where it is a size.

    :param kernel: release of the kernel that will capture.
    :param initrd_path: of its capture initrd; it need not be there yet.
    :param config_path: of the tooling.
    :param target: the device of the file system that the dump goes to.
    :param dumps: those on the host, oldest first: a capture that one of them came of is proven.
    """
    config = host.read(f"/boot/config-{kernel}") or host.read(f"/lib/modules/{kernel}/config") or ""
    processor = host.read_head("/proc/cpuinfo", 8192)
    flags = re.search(rb"^flags\s*:(.*)$", processor, re.M)
    used = capture.read_record(host)
    # A capture may boot the host's root file system, wherever the dump goes.
    mounts = re.findall(r"^(\S+) / ", host.read("/proc/mounts") or "", re.M)
    sources = {target, *mounts[-1:]}
    return {
        "kernel": kernel,
        "image": _image(host),
        "vmlinuz": host.size(f"/boot/vmlinuz-{kernel}"),
        "initrd": _initrd(host, initrd_path),
        "modules": _modules(host),
        "modules_compressed": _modules_compressed(host, kernel),
        "page_64k": "64k" in kernel or (arch in ("aarch64", "arm64") and "\nCONFIG_ARM64_64K_PAGES=y" in config),
        "debug_kernel": bool(re.search(r"[+.-]debug\b", kernel) or "\nCONFIG_KASAN=y" in config),
        "encrypted": _encrypted(
            host, set((flags.group(1) if flags else b"").decode("ascii", "replace").split()), config
        ),
        "mlx5": host.exists("/sys/bus/pci/drivers/mlx5_core"),
        "smmu": bool(host.glob("/sys/devices/platform/arm-smmu-*")),
        "fadump": host.read_word("/sys/kernel/fadump/enabled") == "1" or host.read_word("/sys/kernel/fadump_enabled") == "1",
        "luks": max(_luks(host, source) for source in sources),
        "used": _used(host, used, dumps, [initrd_path, config_path]),
    }  # fmt: skip


def _used(
    host: Host, used: t.Optional[capture.Used], dumps: t.Sequence[Dump], parts: t.Sequence[str]
) -> t.Optional[Facts]:
    """Return what the last capture used, whether a whole dump came of it, and whether its parts are other ones since.

    :param parts: files that decide what a capture uses: its initrd, the tooling's configuration.
    """
    if used is None:
        return None
    # Both times are by the capture kernel's clock. Only the newest dump can be this capture's.
    newest = dumps[-1] if dumps else None
    proven = bool(
        newest and newest.complete and newest.mtime >= used.started and _ends(host, newest.vmcore)
    )
    changed = any((host.mtime(path) or 0) > used.started for path in parts if path)
    return dict(used._asdict(), used=used.used, proven=proven, changed=changed)


def _ends(host: Host, path: str) -> bool:
    """Say whether a dump has its end. kdump-tools names one complete too whose writer was killed.

    The flattened format ends with a header of -1 and -1 (makedumpfile's END_FLAG_FLAT_HEADER); of a compressed file,
    the name has to do here.
    """
    head = host.read_head(path, 12)
    return bool(head) and (head != b"makedumpfile" or host.read_tail(path, 16) == b"\xff" * 16)


def _image(host: Host) -> t.Optional[int]:
    """Return the bytes of the running kernel's image in memory; None without root, to whom alone addresses show."""
    spans = [
        (int(start, 16), int(end, 16))
        for start, end in _IMAGE.findall(host.read("/proc/iomem") or "")
    ]
    total = sum(end - start + 1 for start, end in spans if end)
    return total or None


def _modules(host: Host) -> int:
    """Return the bytes of all loaded modules."""
    lines = (line.split() for line in (host.read("/proc/modules") or "").splitlines())
    return sum(int(fields[1]) for fields in lines if len(fields) > 1 and fields[1].isdigit())


def _modules_compressed(host: Host, kernel: str) -> bool:
    """Say whether module files are compressed, so that an initrd of them hardly shrinks any more."""
    for base in ("/lib/modules", "/usr/lib/modules"):
        head = host.read_head(f"{base}/{kernel}/modules.dep", 512)
        if head:
            return bool(re.search(rb"\.ko\.(xz|zst|gz)\b", head))
    return False


def _initrd(host: Host, path: str) -> t.Optional[Facts]:
    """Return the packed size of an initrd, its compression, and its unpacked size where the file itself tells it.

    An initrd can begin with plain cpio archives (microcode), and one that is compressed follows. Source of the
    layout: the kernel's Documentation/driver-api/early-userspace/buffer-format.rst.
    """
    packed = host.size(path)
    if not packed:
        return None
    try:
        with open(host.path(path), "rb") as handle:
            plain = _plain_archives(handle)
            handle.seek(plain)
            magic = handle.read(18)
            kind = next((name for start, name in _COMPRESSION if magic.startswith(start)), "none")
            unpacked = packed if kind == "none" else None
            if kind == "zstd":
                content = _zstd_content(magic)
                unpacked = None if content is None else plain + content
            elif kind == "gzip":
                handle.seek(-4, os.SEEK_END)
                # The last four bytes of a gzip member: its size, modulo 4 GiB.
                unpacked = plain + struct.unpack("<I", handle.read(4))[0]
            if unpacked is not None and not 0.8 * packed <= unpacked <= 20 * packed:
                unpacked = None  # padding behind the archive, or another one
    except (OSError, struct.error, ValueError, IndexError):
        return None
    return {"path": path, "packed": packed, "plain": plain, "compression": kind, "unpacked": unpacked}  # fmt: skip


def _zstd_content(header: bytes) -> t.Optional[int]:
    """Return the unpacked size that the header of a zstd frame tells, if it does. Source: RFC 8878, 3.1.1.1."""
    descriptor = header[4]
    single = bool(descriptor & 0x20)
    length = (1 if single else 0, 2, 4, 8)[descriptor >> 6]
    start = 5 + (0 if single else 1) + (0, 1, 2, 4)[descriptor & 3]
    if not length or len(header) < start + length:
        return None
    size = int.from_bytes(header[start : start + length], "little")
    return size + 256 if length == 2 else size


def _plain_archives(handle: t.BinaryIO) -> int:
    """Return where the plain cpio archives at a file's beginning end, in bytes."""
    end = 0
    position = 0
    while True:
        handle.seek(position)
        header = handle.read(110)
        if header[:1] == b"\0":
            # Archives are padded with zeros.
            block = header + handle.read(4096)
            rest = block.lstrip(b"\0")
            position += len(block) - len(rest)
            if len(block) < 110 + 4096 and not rest:
                return end
            if rest:
                end = position
            continue
        if header[:6] not in (b"070701", b"070702") or len(header) < 110:
            return end
        size, name_size = int(header[54:62], 16), int(header[94:102], 16)
        name = handle.read(name_size)
        position += (110 + name_size + 3) // 4 * 4
        position += (size + 3) // 4 * 4
        if name.startswith(b"TRAILER!!!"):
            end = position


def _encrypted(host: Host, flags: t.Set[str], config: str) -> bool:
    """Say whether the kernel encrypts memory, for which it needs bounce buffers below 4 GiB.

    A guest under SEV or TDX sees the flag of what protects it; a host has the flag ``sme`` whether it is active or
    not, and the command line or the kernel's configuration decides. Source: arch/x86/kernel/cpu and
    Documentation/arch/x86/amd-memory-encryption.rst.
    """
    if "tdx_guest" in flags or ("hypervisor" in flags and flags & {"sev", "sev_es", "sev_snp"}):
        return True
    cmdline = (host.read("/proc/cmdline") or "").split()
    default = "\nCONFIG_AMD_MEM_ENCRYPT_ACTIVE_BY_DEFAULT=y" in config
    asked = [word.split("=", 1)[1] for word in cmdline if word.startswith("mem_encrypt=")]
    return "sme" in flags and (asked[-1] == "on" if asked else default)


def _luks(host: Host, source: str) -> int:
    """Return the bytes that opening the LUKS devices below a target takes at most at one time.

    Argon2 takes what its ``Memory`` says, in KiB; the devices are opened one after the other.
    """
    # Of a subvolume or a bind mount, findmnt tells the folder too: /dev/mapper/root[/@rootfs].
    source = re.sub(r"\[.*\]\Z", "", source)
    if not source.startswith(("/dev/mapper/", "/dev/dm-", "/dev/md")):
        return 0
    answer = host.ask(["lsblk", "--inverse", "--noheadings", "--raw", "--paths", "--output", "NAME,FSTYPE", source])  # fmt: skip
    largest = 0
    for line in (answer or "").splitlines():
        fields = line.split()
        if len(fields) == 2 and fields[1] == "crypto_LUKS":
            header = host.ask(["cryptsetup", "luksDump", fields[0]]) or ""
            sizes = [int(size) for size in re.findall(r"^\s*Memory:\s*(\d+)\s*$", header, re.M)]
            largest = max([largest, *(size * 1024 for size in sizes)])
    return largest
