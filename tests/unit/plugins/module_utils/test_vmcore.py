# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import bz2
import lzma
import struct
import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.vmcore import VmcoreError, inspect
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import gzipped

BLOCK = 4096


def kdump(
    status: int = 1, order: str = "<", wide: bool = True, signature: bytes = b"KDUMP   "
) -> bytes:
    """Return a small dump as makedumpfile -c lays one out: header, sub header, bitmap, pages."""
    names = [b"Linux", b"node", b"6.1.0-2-amd64", b"#1 SMP", b"x86_64", b"(none)"]
    head = signature + struct.pack(order + "i", 6)
    head += b"".join(name.ljust(65, b"\0") for name in names)
    head += b"\0" * (6 if wide else 2)
    head += struct.pack(order + ("qq" if wide else "ii"), 0, 0)
    # status, block size, blocks of the sub header, blocks of the bitmap, highest page
    head += struct.pack(order + "IiiII", status, BLOCK, 1, 2, 100)
    # One bitmap of the pages that exist, one of the 13 that are in the dump.
    bitmaps = (b"\xff" * 13).ljust(BLOCK, b"\0") + (b"\1" * 13).ljust(BLOCK, b"\0")
    first = 4 * BLOCK + 13 * 24
    descriptors = b"".join(
        struct.pack(order + "qIIQ", first + 100 * page, 100, 1, 0) for page in range(13)
    )
    return head.ljust(BLOCK, b"\0") + b"\0" * BLOCK + bitmaps + descriptors + b"p" * 1300


def elf(kind: int = 4) -> bytes:
    """Return a 64-bit little-endian core with one segment."""
    ident = b"\x7fELF\2\1\1".ljust(16, b"\0")
    head = ident + struct.pack("<HHIQQQIHHHHHH", kind, 62, 1, 0, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 0, 4096, 0, 0, 8192, 8192, 0)
    return (head + segment).ljust(4096, b"\0") + b"m" * 8192


def flatten(body: bytes, step: int = 3000) -> bytes:
    """Return a dump in makedumpfile's flattened format, the header written last as makedumpfile does."""
    records = [(at, body[at : at + step]) for at in range(0, len(body), step)]
    text = b"makedumpfile".ljust(16, b"\0") + struct.pack(">qq", 1, 1)
    text = text.ljust(4096, b"\0")
    text += struct.pack(">qq", 0, len(records[0][1])) + b"\0" * len(records[0][1])
    for at, content in [*records[1:], records[0]]:
        text += struct.pack(">qq", at, len(content)) + content
    return text + struct.pack(">qq", -1, -1)


def write(folder: t.Any, content: bytes) -> str:
    path = folder / "dump"
    path.write_bytes(content)
    return str(path)


ACCEPTED = [
    (kdump(), "kdump-compressed", False, "", "zlib"),
    (kdump(status=2), "kdump-compressed", False, "", "lzo"),
    (kdump(status=0x20), "kdump-compressed", False, "", "zstd"),
    (kdump(order=">"), "kdump-compressed", False, "", "zlib"),
    (kdump(wide=False), "kdump-compressed", False, "", "zlib"),
    (kdump(signature=b"DISKDUMP"), "kdump-compressed", False, "", "zlib"),
    (flatten(kdump()), "kdump-compressed", True, "", "zlib"),
    (flatten(kdump(), 5000), "kdump-compressed", True, "", "zlib"),
    (elf(), "elf", False, "", ""),
    (flatten(elf()), "elf", True, "", ""),
    (gzipped(flatten(kdump())), "kdump-compressed", True, "gzip", "zlib"),
    (bz2.compress(flatten(kdump())), "kdump-compressed", True, "bzip2", "zlib"),
    (lzma.compress(flatten(kdump())), "kdump-compressed", True, "xz", "zlib"),
    (gzipped(elf()), "elf", False, "gzip", ""),
]


@pytest.mark.parametrize("content, kind, flattened, wrapper, compression", ACCEPTED)
def test_accepted(
    tmp_path: t.Any, content: bytes, kind: str, flattened: bool, wrapper: str, compression: str
) -> None:
    found = inspect(write(tmp_path, content))
    assert found[:4] == (kind, flattened, wrapper, compression)
    assert found.machine == "x86_64"
    assert found.size == len(elf() if kind == "elf" else kdump())
    if kind == "kdump-compressed":
        assert found.kernel == "6.1.0-2-amd64"


FLAT = flatten(kdump())
REFUSED = [
    (b"", "neither"),
    (b"hello", "neither"),
    (FLAT[:-16], "is missing"),
    (FLAT[:-8], "is missing"),
    (FLAT[:-500], "in the middle of a record"),
    (FLAT[:5000], "cut off"),
    (FLAT[:100], "flattened header"),
    (FLAT + b"x", "behind the record"),
    (FLAT.replace(struct.pack(">qq", 3000, 3000), struct.pack(">qq", 3000, -5)), "damaged"),
    (kdump(status=0x9), "could not write all"),
    (kdump()[: 2 * BLOCK], "fewer than"),
    (kdump()[:-1], "cut off"),
    (kdump()[: 4 * BLOCK + 50], "in its page descriptors"),
    (gzipped(kdump()[:-1]), "cut off"),
    (b"BZh9garbage" * 20, "bzip2 stream"),
    (flatten(kdump()[: 2 * BLOCK]), "fewer than"),
    (kdump()[:412] + b"\0" * 5000, "no plausible"),
    (elf()[:6000], "cut off"),
    (elf(kind=2), "not a core"),
    (gzipped(FLAT)[:-20], "gzip stream"),
    (gzipped(FLAT[:-16]), "is missing"),
    (b"\x04\x22\x4d\x18" + b"x" * 100, "lz4"),
]


@pytest.mark.parametrize("content, message", REFUSED)
def test_refused(tmp_path: t.Any, content: bytes, message: str) -> None:
    with pytest.raises(VmcoreError) as caught:
        inspect(write(tmp_path, content))
    assert message in str(caught.value)


def test_no_cut_of_a_flattened_dump_is_accepted(tmp_path: t.Any) -> None:
    for length in range(0, len(FLAT), 97):
        with pytest.raises(VmcoreError):
            inspect(write(tmp_path, FLAT[:length]))
