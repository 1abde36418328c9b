# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import random
import typing as t
from pathlib import Path

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.crashkernel import (
    DEFAULT_LOW,
    U64,
    CrashkernelError,
    Reservation,
    check_values,
    knows_cma,
    memparse,
    occurrences,
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
    ("16E", U64, 3),  # above 64 bits: the largest number
    ("99999999999999999999", U64, 20),
    ("9" * 5000, U64, 5000),
    ("0x" + "f" * 17, U64, 19),
    ("1\u212a", 1, 1),  # the Kelvin sign is no K, though its lower case is one
    ("\u0661M", 0, 0),
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
    # The kernel warns of the x, and takes the number.
    ("crashkernel=256M crashkernel=1Gx,cma", 4 * G, "x86_64", Reservation(256 * M, cma=G)),
    ("crashkernel=256M\0crashkernel=auto", 2 * G, "x86_64", Reservation(256 * M)),
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


VECTORS = json.loads((Path(__file__).parent / "data" / "crashkernel_vectors.json").read_text())[
    "vectors"
]


@pytest.mark.parametrize("cmdline, ram, arch, expected", VECTORS)
def test_the_kernels_own_parser_agrees(
    cmdline: str, ram: int, arch: str, expected: t.Optional[t.List[t.Any]]
) -> None:
    if expected is None:
        with pytest.raises(CrashkernelError) as caught:
            parse_crashkernel(cmdline, ram, arch)
        # One line that any terminal and log can show.
        assert str(caught.value).isprintable()
    else:
        assert parse_crashkernel(cmdline, ram, arch) == Reservation(*expected)


def test_any_text_is_accepted_or_refused() -> None:
    chance = random.Random(7)
    pieces = [
        "crashkernel=",
        " ",
        "\0",
        "\t",
        "\udc80",
        "\u212a",
        "256M",
        "1G",
        "0x",
        "08",
        "9" * 30,
    ]
    pieces += list(",-:@=.0189xXkKEe\"'") + [",high", ",low", ",cma", "auto"]
    for attempt in range(20000):
        text = "".join(chance.choice(pieces) for piece in range(chance.randrange(14)))
        cmdline = "crashkernel=" + text if attempt % 4 else text
        ram = chance.choice([0, 1, M, G, 8 * G, U64])
        arch = chance.choice([*DEFAULT_LOW, "ppc64le", "s390x", ""])
        try:
            meant = parse_crashkernel(cmdline, ram, arch)
        except CrashkernelError as exc:
            assert str(exc).isprintable()
        else:
            assert 0 < meant.size < ram
            assert max(meant) <= U64


@pytest.mark.parametrize("ram", [-1, U64 + 1])
def test_a_ram_that_no_host_has(ram: int) -> None:
    with pytest.raises(ValueError, match="the RAM must be") as caught:
        parse_crashkernel("crashkernel=256M", ram)
    assert not isinstance(caught.value, CrashkernelError)


HINTS = [
    ("auto", "kernels of EL 8 and older alone"),
    ("1.5G", "no fractions"),
    ("'256M'", "does not take quotes away"),
    ("256MB", "one letter"),
    ("256MiB", "one letter"),
    ("09M", "octal"),
    ("1G-4G:192M,high", "ranges take no suffix"),
    ("1G,low,high", "one suffix"),
    ("256M\tquiet", "only a blank"),
]


@pytest.mark.parametrize("value, hint", HINTS)
def test_hint(value: str, hint: str) -> None:
    with pytest.raises(CrashkernelError, match=hint):
        parse_crashkernel("crashkernel=" + value, 8 * G)


RELEASES = [
    ("", True),
    ("unknown", True),
    ("6.17.0-1-amd64", True),
    ("6.17", True),
    ("7.0.0", True),
    ("6.16.12", False),
    ("5.14.0-611.el9.x86_64", False),
]


@pytest.mark.parametrize("release, known", RELEASES)
def test_releases_that_know_cma(release: str, known: bool) -> None:
    assert knows_cma(release) is known
    if known:
        assert check_values(["256M", "1G,cma"], 4 * G, "x86_64", release).cma == G
    else:
        with pytest.raises(CrashkernelError, match="does not know ',cma'"):
            check_values(["256M", "1G,cma"], 4 * G, "x86_64", release)


@pytest.mark.parametrize("value", ["256M crashkernel=1G", "256M\n", "", "256M;reboot", "'256M'"])
def test_values_that_no_file_should_hold(value: str) -> None:
    with pytest.raises(CrashkernelError, match="must hold a size or ranges alone"):
        check_values([value], 4 * G, "x86_64")


def test_occurrences() -> None:
    assert occurrences("crashkernel=1M foo.crashkernel=2M,high crashkernel=crashkernel=3M") == [
        "1M",
        "2M,high",
        "crashkernel=3M",
        "3M",
    ]
    assert occurrences("crashkernel=1M\0crashkernel=2M") == ["1M"]


WORDS: t.List[t.Tuple[str, t.List[str]]] = [
    ("", []),
    ("ro crashkernel=1G,high quiet crashkernel=256M,low", ["1G,high", "256M,low"]),
    ("xcrashkernel=1", []),
]


@pytest.mark.parametrize("cmdline, expected", WORDS)
def test_words(cmdline: str, expected: t.List[str]) -> None:
    assert words(cmdline) == expected
