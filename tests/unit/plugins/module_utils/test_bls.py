# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader import bls, grubenv
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.argument import CRASHKERNEL
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.base import (
    BootLoaderError,
    with_values,
)

TEXT = """\
# an entry
title Linux (5.14.0-427.el9.x86_64) 9.4
version   5.14.0-427.el9.x86_64
linux /vmlinuz-5.14.0-427.el9.x86_64
\toptions\troot=/dev/sda1 ro \t
options quiet
initrd /i.img
empty
"""


def entry(name: str, text: str = "") -> bls.BlsEntry:
    return bls.parse(f"/boot/loader/entries/{name}.conf", text)


def test_an_entry_is_read_with_all_its_lines() -> None:
    read = entry("m-5.14.0-427.el9.x86_64", TEXT)
    assert read.identity == "m-5.14.0-427.el9.x86_64"
    assert read.first("version") == "5.14.0-427.el9.x86_64"
    assert read.every("options") == ["root=/dev/sda1 ro", "quiet"]
    assert read.first("devicetree") == ""
    assert not read.rescue
    assert entry("m-0-rescue").rescue
    assert entry("custom", "linux /vmlinuz-0-rescue-m\n").rescue


EDITS: t.List[t.Tuple[t.List[str], str]] = [
    (["root=/dev/sda1 ro", "quiet"], TEXT),
    (["a", "b"], TEXT.replace("root=/dev/sda1 ro", "a").replace("quiet", "b")),
    (["root=/dev/sda1 ro", ""], TEXT.replace("options quiet\n", "")),
    (["root=/dev/sda1 ro"], TEXT),
    (["root=/dev/sda1 ro", "quiet", "more"], TEXT + "options more\n"),
]


@pytest.mark.parametrize("values, expected", EDITS)
def test_lines_change_in_place(values: t.List[str], expected: str) -> None:
    assert bls.with_lines(TEXT, "options", values) == expected


def test_lines_may_end_as_on_windows() -> None:
    found = entry("a", "linux /l\r\noptions root=x\r\ninitrd /i\r\n")
    assert (found.first("linux"), found.first("options")) == ("/l", "root=x")
    text = bls.with_lines(
        found.text, "options", bls.set_values(found.every("options"), ["1M"], CRASHKERNEL)
    )
    assert text == "linux /l\r\noptions root=x crashkernel=1M\r\ninitrd /i\r\n"


# What stands around the words stays, and what is right stays as it is.
ARGUMENTS = [
    ("a crashkernel=2M  b", "a crashkernel=2M  b", "a b"),
    ("a\tcrashkernel=1M\tb\tc", "a\tcrashkernel=2M\tb\tc", "a\tb\tc"),
    ('d="f x crashkernel=1M" ro', 'd="f x crashkernel=2M" ro', 'd="f x " ro'),
    ("-- x", "crashkernel=2M -- x", "-- x"),
    ("a  -- b", "a  crashkernel=2M -- b", "a  -- b"),
    ("a crashkernel=1M b crashkernel=3M", "a crashkernel=2M b ", "a b "),
    ("a --b", "a --b crashkernel=2M", "a --b"),
]


@pytest.mark.parametrize("before, one, none", ARGUMENTS)
def test_other_arguments_stay(before: str, one: str, none: str) -> None:
    assert (
        with_values(before, ["2M"], CRASHKERNEL),
        with_values(before, [], CRASHKERNEL),
    ) == (one, none)


def test_words_that_are_right_over_all_lines_stay() -> None:
    lines = ["root=x crashkernel=1G,high", "crashkernel=128M,low"]
    assert bls.set_values(lines, ["1G,high", "128M,low"], CRASHKERNEL) == lines


def test_a_file_without_an_end_of_line_keeps_its_last_line() -> None:
    assert bls.with_lines("linux /v\noptions a", "options", ["b"]) == "linux /v\noptions b"
    assert bls.with_lines("linux /v", "options", ["b"]) == "linux /v\noptions b\n"


WORDS: t.List[t.Tuple[t.List[str], t.List[str], t.List[str]]] = [
    ([], ["1"], ["crashkernel=1"]),
    ([], [], []),
    (["a", "b"], ["1"], ["a", "b crashkernel=1"]),
    (["a crashkernel=9 c", "crashkernel=8 b"], ["1", "2"], ["a crashkernel=1 crashkernel=2 c", "b"]),
    (["a", "crashkernel=8"], [], ["a", ""]),
    (["a -- single", "b"], ["1"], ["a crashkernel=1 -- single", "b"]),
]  # fmt: skip


@pytest.mark.parametrize("lines, values, expected", WORDS)
def test_words_are_set_once_over_all_lines(
    lines: t.List[str], values: t.List[str], expected: t.List[str]
) -> None:
    assert bls.set_values(lines, values, CRASHKERNEL) == expected


def test_variables_are_expanded_as_grub_does() -> None:
    known = {"kernelopts": "root=1 ro", "tuned_params": ""}
    assert bls.expand("$kernelopts $tuned_params quiet $nothing", known) == "root=1 ro quiet"
    assert bls.expand(r"a \$b", known) == r"a \$b"
    assert bls.references("$kernelopts x $tuned_params") == ["kernelopts", "tuned_params"]


# Each was compared with vercmp() of GRUB's blscfg.c, compiled from both versions of it.
VERSIONS: t.List[t.Tuple[str, str, bool, int]] = [
    ("5.14.0-70", "5.14.0-427", True, -1),
    ("5.14.0", "5.14.0", True, 0),
    ("1.0~rc1", "1.0", True, -1),
    ("1.0", "1.0~rc1", True, 1),
    ("1.0+debug", "1.0", True, 1),
    ("1.0+debug", "1.0.1", True, -1),
    ("1.0+debug", "1.0.debug", False, 0),
    ("1.a", "1.1", True, -1),
    ("1.b", "1.a", True, 1),
    ("010", "10", True, 0),
    ("1.", "1", True, 0),
    ("1_1", "1.1", True, 0),
]


@pytest.mark.parametrize("left, right, plus, expected", VERSIONS)
def test_versions_compare_as_in_grub(left: str, right: str, plus: bool, expected: int) -> None:
    assert bls.compare_versions(left, right, plus) == expected
    assert bls.compare_versions(right, left, plus) == -expected


def test_grub_lists_the_newest_first_and_rescue_last() -> None:
    names = [
        "m-0-rescue",
        "m-5.14.0-70.el9.x86_64",
        "m-5.14.0-427.el9.x86_64+debug",
        "m-5.14.0-427.el9.x86_64",
        "m-5.14.0-427.el9.x86_64~debug",
    ]
    order = [item.identity for item in bls.grub_order([entry(name) for name in names])]
    assert order == [names[2], names[3], names[4], names[1], names[0]]


def test_el8_looks_at_the_version_lines_first() -> None:
    entries = [entry("a-1-1", "version 1.0-1\n"), entry("b-1-1", "version 1.0-0\n")]
    assert [e.identity for e in bls.grub_order(entries, el8=True)] == ["a-1-1", "b-1-1"]
    assert [e.identity for e in bls.grub_order(entries)] == ["b-1-1", "a-1-1"]
    entries.append(entry("c-1-1"))
    assert [e.identity for e in bls.grub_order(entries, el8=True)] == ["c-1-1", "b-1-1", "a-1-1"]


def block(text: str, size: int = 1024) -> str:
    used = grubenv.SIGNATURE + text
    return used + "#" * (size - len(used))


def test_a_block_is_read_and_written_as_grub_does() -> None:
    text = block("saved_entry=m-1\nkernelopts=root=1 a\\\\b \\\n=x\nempty=\n")
    assert grubenv.variables(text) == {
        "saved_entry": "m-1",
        "kernelopts": "root=1 a\\b \n=x",
        "empty": "",
    }
    after = grubenv.with_variable(text, "saved_entry", "a\\b", "/grubenv")
    assert len(after) == 1024
    assert grubenv.variables(after) == {**grubenv.variables(text), "saved_entry": "a\\b"}
    assert grubenv.with_variable(after, "saved_entry", "m-1", "/grubenv") == text
    assert grubenv.variables(grubenv.with_variable(None, "new", "1", "/grubenv")) == {"new": "1"}


def test_the_size_is_counted_in_bytes() -> None:
    text = block("a=ü\n".encode().decode("utf-8", "surrogateescape"), 1023)
    after = grubenv.with_variable(text, "b", "ü", "/grubenv")
    assert len(after.encode("utf-8", "surrogateescape")) == len(text.encode())


def test_no_room_and_no_block_are_refused() -> None:
    with pytest.raises(BootLoaderError, match="/grubenv has no room for kernelopts: it has 1024"):
        grubenv.with_variable(block(""), "kernelopts", "x" * 1000, "/grubenv")
    with pytest.raises(BootLoaderError, match="not an environment block"):
        grubenv.with_variable("kernelopts=1\n", "kernelopts", "2", "/grubenv")
