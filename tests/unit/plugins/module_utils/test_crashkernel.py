# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.crashkernel import (
    CrashkernelError,
    Reservation,
    memparse,
    parse_crashkernel,
    words,
)

M = 1 << 20
G = 1 << 30

SIZES = [
    ("128M", 128 * M, 4),
    ("1g", G, 2),
    ("0x10m", 16 * M, 5),
    ("010k", 8 << 10, 4),
    ("1T", 1 << 40, 2),
    ("2P", 2 << 50, 2),
    ("1E", 1 << 60, 2),
    ("512", 512, 3),
    ("08", 0, 1),  # octal: the 8 is not read
    ("0x", 0, 1),
    ("", 0, 0),
    ("M", 0, 0),
    ("-1", 0, 0),
    ("1KM", 1024, 2),
]


@pytest.mark.parametrize("text, value, end", SIZES)
def test_memparse(text: str, value: int, end: int) -> None:
    assert memparse(text) == (value, end)


RESERVED = [
    # command line, RAM, architecture, what the kernel reserves
    ("crashkernel=256M", 2 * G, "x86_64", Reservation(256 * M)),
    ("crashkernel=256M@16M", 2 * G, "x86_64", Reservation(256 * M, 16 * M)),
    ("crashkernel=256M@16Mjunk", 2 * G, "x86_64", Reservation(256 * M, 16 * M)),
    ("quiet crashkernel=384M-:128M ro", G, "x86_64", Reservation(128 * M)),
    ("crashkernel=1G-4G:192M,4G-64G:256M,64G-:512M", 8 * G, "x86_64", Reservation(256 * M)),
    # The end of a range does not belong to it.
    ("crashkernel=1G-4G:192M,4G-:256M", 4 * G, "x86_64", Reservation(256 * M)),
    # RAM is rounded up to 128 MiB before it is compared.
    ("crashkernel=1G-:192M", G - 1, "x86_64", Reservation(192 * M)),
    # What stands behind the range that matches is not read.
    ("crashkernel=1G-:192M,nonsense", 2 * G, "x86_64", Reservation(192 * M)),
    ("crashkernel=1G-:192M@32M", 2 * G, "x86_64", Reservation(192 * M, 32 * M)),
    # The last plain word wins, and hides the others.
    ("crashkernel=128M crashkernel=256M", 2 * G, "x86_64", Reservation(256 * M)),
    (
        "crashkernel=128M crashkernel=1G,high crashkernel=64M,low",
        4 * G,
        "x86_64",
        Reservation(128 * M),
    ),
    # A substring is enough.
    ("foo.crashkernel=256M", 2 * G, "x86_64", Reservation(256 * M)),
    ("crashkernel=1G,high", 4 * G, "x86_64", Reservation(G, 0, 256 * M, 0, True)),
    ("crashkernel=1G,high", 4 * G, "aarch64", Reservation(G, 0, 128 * M, 0, True)),
    ("crashkernel=1G,high crashkernel=0,low", 4 * G, "x86_64", Reservation(G, 0, 0, 0, True)),
    (
        "crashkernel=1G,high crashkernel=72M,low",
        4 * G,
        "x86_64",
        Reservation(G, 0, 72 * M, 0, True),
    ),
    ("crashkernel=256M crashkernel=1G,cma", 4 * G, "x86_64", Reservation(256 * M, cma=G)),
    ("crashkernel=256M crashkernel=x,cma", 4 * G, "x86_64", Reservation(256 * M)),
    ("crashkernel=256M crashkernel=1G,cma", 4 * G, "ppc64le", Reservation(256 * M)),
]


@pytest.mark.parametrize("cmdline, ram, arch, expected", RESERVED)
def test_reserved(cmdline: str, ram: int, arch: str, expected: Reservation) -> None:
    assert parse_crashkernel(cmdline, ram, arch) == expected


REJECTED = [
    ("", 2 * G, "x86_64", "there is no crashkernel="),
    ("crashkernel=", 2 * G, "x86_64", "a size is expected"),
    ("crashkernel=auto", 2 * G, "x86_64", "a size is expected"),
    ("crashkernel=1.5G", 2 * G, "x86_64", "unrecognized character '.'"),
    ('crashkernel="256M"', 2 * G, "x86_64", "a size is expected"),
    ("crashkernel=256MB", 2 * G, "x86_64", "unrecognized character 'B'"),
    ("crashkernel=2G", 2 * G, "x86_64", "not less than the host's RAM"),
    ("crashkernel=0", 2 * G, "x86_64", "no memory is asked for"),
    ("crashkernel=4G-:256M", 2 * G, "x86_64", "no memory is asked for"),
    ("crashkernel=1G-:3G", 2 * G, "x86_64", "not less than the host's RAM"),
    ("crashkernel=8G-:3G,1G-:128M", 2 * G, "x86_64", "not less than the host's RAM"),
    ("crashkernel=4G-2G:128M", 2 * G, "x86_64", "ends at or before its start"),
    ("crashkernel=1G:128M", 2 * G, "x86_64", "'-' is expected"),
    ("crashkernel=1G-4G:", 2 * G, "x86_64", "a size is expected"),
    ("crashkernel=1G-:128M@", 2 * G, "x86_64", "a size is expected"),
    ("crashkernel=64M,low", 2 * G, "x86_64", "',low' needs ',high'"),
    ("crashkernel=512M,high", 4 * G, "ppc64le", "only x86, arm64, riscv and loongarch"),
    ("crashkernel=1G-4G:192M,high", 4 * G, "x86_64", "unrecognized character '-'"),
    ("crashkernel=0,high", 4 * G, "x86_64", "zero"),
    ("crashkernel=1G,high crashkernel=x,low", 4 * G, "x86_64", "before ',low'"),
    # An invalid plain word still hides the pair.
    ("crashkernel=auto crashkernel=1G,high", 4 * G, "x86_64", "a size is expected"),
]


@pytest.mark.parametrize("cmdline, ram, arch, message", REJECTED)
def test_rejected(cmdline: str, ram: int, arch: str, message: str) -> None:
    with pytest.raises(CrashkernelError) as caught:
        parse_crashkernel(cmdline, ram, arch)
    assert message in str(caught.value)


WORDS: t.List[t.Tuple[str, t.List[str]]] = [
    ("", []),
    ("ro crashkernel=1G,high quiet crashkernel=256M,low", ["1G,high", "256M,low"]),
    ("xcrashkernel=1", []),
]


@pytest.mark.parametrize("cmdline, expected", WORDS)
def test_words(cmdline: str, expected: t.List[str]) -> None:
    assert words(cmdline) == expected
