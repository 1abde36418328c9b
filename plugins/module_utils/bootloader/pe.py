# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""The sections of an EFI program, which is where a unified kernel image (UKI) and its add-ons keep their text.

Source: Microsoft's PE format, as the UAPI group's specification of UKIs uses it.
"""

import struct
import typing as t

_HEADERS = 65536  # bytes; the section table lies within the first few kilobytes
_TEXT = 65536  # bytes; the kernel takes 2 KiB of arguments, and os-release is no longer
_SECURITY = 4  # index of the data directory that points to the signatures


class Program(t.NamedTuple):
    """An EFI program."""

    names: t.FrozenSet[str]  # of its sections
    texts: t.Dict[str, str]  # what stands in those sections that were asked for
    signed: bool

    @property
    def unified(self) -> bool:
        """Say whether it is a unified kernel image: a kernel with its arguments and its name."""
        return ".linux" in self.names and ".osrel" in self.names


def read(path: str, wanted: t.Sequence[str]) -> t.Optional[Program]:
    """Return what is in an EFI program, or None if the file is none, or is not whole.

    :param path: as this process reaches it.
    :param wanted: the names of sections that hold text. Of several with one name, the first counts: the others
        belong to a UKI's further profiles.
    """
    try:
        with open(path, "rb") as handle:
            return _read(handle, wanted)
    except (OSError, struct.error):
        return None


def _read(handle: t.BinaryIO, wanted: t.Sequence[str]) -> t.Optional[Program]:
    head = handle.read(_HEADERS)
    if head[:2] != b"MZ":
        return None
    (start,) = struct.unpack_from("<I", head, 0x3C)
    if head[start : start + 4] != b"PE\0\0":
        return None
    count, optional_size = (
        struct.unpack_from("<H", head, start + 6)[0],
        struct.unpack_from("<H", head, start + 20)[0],
    )
    optional = start + 24
    names: t.Set[str] = set()
    texts: t.Dict[str, str] = {}
    end = handle.seek(0, 2)
    for number in range(count):
        raw, memory, _address, stored, place = struct.unpack_from(
            "<8sIIII", head, optional + optional_size + 40 * number
        )
        if place + stored > end:
            return None
        name = raw.rstrip(b"\0").decode("ascii", "replace")
        if name in wanted and name not in names:
            handle.seek(place)
            data = handle.read(min(memory, stored, _TEXT))
            texts[name] = data.decode("utf-8", "replace").rstrip("\0")
        names.add(name)
    return Program(frozenset(names), texts, _signed(head, optional, optional_size))


def _signed(head: bytes, optional: int, size: int) -> bool:
    (magic,) = struct.unpack_from("<H", head, optional)
    # The directories begin after the fields of PE32 or of PE32+, which has wider addresses.
    entry = optional + {0x10B: 96, 0x20B: 112}.get(magic, size) + 8 * _SECURITY
    if entry + 8 > optional + size:
        return False
    return bool(struct.unpack_from("<II", head, entry)[1])
