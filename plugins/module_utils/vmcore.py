# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""Dump files: what format they have, and whether all of it is there. Reads every record's header, no page.

Source of the formats: makedumpfile 1.7 (diskdump_mod.h, makedumpfile.h) and the ELF specification.
"""

import bz2
import gzip
import io
import lzma
import struct
import typing as t
import zlib

FLAT_SIGNATURE = b"makedumpfile\0\0\0\0"
FLAT_HEADER = 4096  # bytes; the first record lies behind it
FLAT_END = -1  # offset and size of the record that ends a flattened dump
KDUMP_SIGNATURES = (b"KDUMP   ", b"DISKDUMP")
HEAD = 4096  # bytes of the dump proper that hold either header

_INCOMPLETE = 0x8  # DUMP_DH_COMPRESSED_INCOMPLETE in the header's status
_COMPRESSIONS = {0x1: "zlib", 0x2: "lzo", 0x4: "snappy", 0x20: "zstd"}
_MACHINES = {
    62: "x86_64",
    183: "aarch64",
    21: "ppc64",
    22: "s390",
    243: "riscv",
    3: "i386",
    40: "arm",
}


class VmcoreError(ValueError):
    """The file is no dump that a reader accepts, or not all of it is there; str() says why."""


class Vmcore(t.NamedTuple):
    """What a dump's headers tell."""

    format: str  # kdump-compressed or elf
    flattened: bool
    wrapper: str  # gzip, bzip2 or xz around the whole file; '' without
    compression: str  # of the pages; '' without
    kernel: str  # release of the crashed kernel; '' where the format does not say (elf)
    machine: str
    size: int  # bytes, flattening taken off


def inspect(path: t.Union[str, int]) -> Vmcore:
    """Read a dump's headers and every record's place.

    :param path: or an open file at its beginning, which is closed.
    :raises VmcoreError: it is no dump, or it is not complete.
    :raises OSError: it cannot be read.
    """
    with open(path, "rb") as raw:
        wrapper, stream = _unwrap(raw)
        try:
            head, size, flattened = _body(stream)
            if head.startswith(KDUMP_SIGNATURES):
                found = _kdump(head, size, flattened, wrapper)
                if not flattened:
                    _check_pages(stream, head, found)
                return found
        except (EOFError, lzma.LZMAError, zlib.error, OSError) as exc:
            if not wrapper:
                raise
            # gzip and bzip2 say so with an OSError.
            raise VmcoreError(f"its {wrapper} stream is cut off or damaged ({exc})") from exc
    if head.startswith(b"\x7fELF"):
        return _elf(head, size, flattened, wrapper)
    raise VmcoreError(
        f"it begins with {head[:16]!r}, which is neither a kdump-compressed nor an ELF dump"
    )


def _unwrap(raw: t.BinaryIO) -> t.Tuple[str, t.BinaryIO]:
    """Return what compresses the whole file, and a stream of its content."""
    magic = raw.read(6)
    raw.seek(0)
    if magic.startswith(b"\x1f\x8b"):
        return "gzip", t.cast(t.BinaryIO, gzip.GzipFile(fileobj=raw))
    if magic.startswith(b"BZh"):
        return "bzip2", t.cast(t.BinaryIO, bz2.BZ2File(raw))
    if magic == b"\xfd7zXZ\0":
        return "xz", t.cast(t.BinaryIO, lzma.LZMAFile(raw))
    if magic.startswith(b"\x04\x22\x4d\x18"):
        raise VmcoreError("it is compressed with lz4, which this check cannot read; use gzip or xz")
    return "", raw


def _body(stream: t.BinaryIO) -> t.Tuple[bytes, int, bool]:
    """Return a dump's first bytes, its size in bytes, and whether it was flattened."""
    head = stream.read(HEAD)
    if not head.startswith(FLAT_SIGNATURE):
        return head, stream.seek(0, io.SEEK_END), False
    if len(head) < FLAT_HEADER or struct.unpack(">qq", head[16:32]) != (1, 1):
        raise VmcoreError("its flattened header is cut off, or of a type and version other than 1")
    body = bytearray(HEAD)
    size = 0
    # One record a page or so; seeking over their content is what keeps this fast for gigabytes.
    while True:
        record = stream.read(16)
        if len(record) < 16:
            raise VmcoreError("it is cut off: the record that ends a flattened dump is missing")
        offset, length = struct.unpack(">qq", record)
        if offset == FLAT_END and length == FLAT_END:
            break
        if offset < 0 or length <= 0:
            raise VmcoreError(f"it is damaged: a record of {length} bytes for offset {offset}")
        size = max(size, offset + length)
        if offset < HEAD:
            content = stream.read(length)
            if len(content) < length:
                raise VmcoreError("it is cut off in the middle of a record")
            part = content[: HEAD - offset]
            body[offset : offset + len(part)] = part
        else:
            stream.seek(length, io.SEEK_CUR)
    if stream.read(1):
        raise VmcoreError("it is damaged: there is something behind the record that ends it")
    return bytes(body), size, True


def _kdump(head: bytes, size: int, flattened: bool, wrapper: str) -> Vmcore:
    """Read struct disk_dump_header."""
    _order, fields = _kdump_fields(head)
    status, block = fields[9], fields[10]
    release, machine = (
        fields[index].split(b"\0")[0].decode("ascii", "replace") for index in (3, 5)
    )
    if status & _INCOMPLETE:
        raise VmcoreError("its header says that makedumpfile could not write all of it")
    headers = 1 + fields[11] + fields[12]
    if size < headers * block:
        raise VmcoreError(
            f"it has {size} bytes, fewer than its headers and page bitmap take ({headers * block})"
        )
    compression = next((name for bit, name in _COMPRESSIONS.items() if status & bit), "")
    return Vmcore("kdump-compressed", flattened, wrapper, compression, release, machine, size)


def _kdump_fields(head: bytes) -> t.Tuple[str, t.Tuple[t.Any, ...]]:
    """Return the byte order and the fields of struct disk_dump_header.

    Its layout depends on the crashed machine's byte order and word size. The fields: version, six names,
    two parts of a time, status, block size, blocks of the sub header, blocks of the bitmap, highest page.

    :raises VmcoreError: it is damaged.
    """
    for order in "<>":
        for padding, timeval in (("6x", "qq"), ("2x", "ii")):
            layout = struct.Struct(f"{order}i{'65s' * 6}{padding}{timeval}IiiII")
            fields = layout.unpack_from(head, 8)
            if (
                1 <= fields[0] <= 16
                and fields[10] in (4096, 8192, 16384, 65536)
                and fields[11] >= 0
            ):
                return order, fields
    raise VmcoreError("its kdump header is damaged: no plausible version and block size")


def _check_pages(stream: t.BinaryIO, head: bytes, found: Vmcore) -> None:
    """See that the last page of a dump that is not flattened is there, by the page descriptors.

    A flattened dump has an end mark instead.

    :raises VmcoreError: it is cut off.
    """
    order, fields = _kdump_fields(head)
    block, sub_blocks, bitmap_blocks, highest = fields[10], fields[11], fields[12], fields[13]
    # Two bitmaps of the same size lie behind each other: the pages that exist, and those in the dump.
    half = bitmap_blocks * block // 2
    start = (1 + sub_blocks) * block
    stream.seek(start + (half if bitmap_blocks * block * 8 >= 2 * highest else 0))
    pages = sum(bin(byte).count("1") for byte in stream.read(half))
    stream.seek(start + bitmap_blocks * block)
    descriptor = struct.Struct(order + "qIIQ")  # offset, size, flags, page flags
    end = 0
    for _page in range(pages):
        record = stream.read(descriptor.size)
        if len(record) < descriptor.size:
            raise VmcoreError("it is cut off in its page descriptors")
        offset, length = descriptor.unpack(record)[:2]
        end = max(end, offset + length)
    if found.size < end:
        raise VmcoreError(f"it is cut off: {found.size} bytes of {end}")


def _elf(head: bytes, size: int, flattened: bool, wrapper: str) -> Vmcore:
    """Check an ELF dump's program headers against its size."""
    try:
        wide = {1: False, 2: True}[head[4]]
        order = {1: "<", 2: ">"}[head[5]]
    except (KeyError, IndexError):
        raise VmcoreError("its ELF header is damaged: no class or byte order") from None
    kind, machine = struct.unpack_from(order + "HH", head, 16)
    if kind != 4:
        raise VmcoreError(f"it is an ELF file of type {kind}, not a core (4)")
    if wide:
        (table,), (entry, count) = (
            struct.unpack_from(order + "Q", head, 32),
            struct.unpack_from(order + "HH", head, 54),
        )
    else:
        (table,), (entry, count) = (
            struct.unpack_from(order + "I", head, 28),
            struct.unpack_from(order + "HH", head, 42),
        )
    end = table + entry * count
    for index in range(count):
        at = table + index * entry
        if at + entry > len(head):
            break  # more headers than were read; the ones before cover the notes and the first memory
        if wide:
            offset, stored = struct.unpack_from(order + "Q16xQ", head, at + 8)
        else:
            offset, stored = struct.unpack_from(order + "I8xI", head, at + 4)
        end = max(end, offset + stored)
    if size < end:
        raise VmcoreError(f"it is cut off: {size} bytes of {end}")
    return Vmcore(
        "elf", flattened, wrapper, "", "", _MACHINES.get(machine, f"ELF machine {machine}"), size
    )
