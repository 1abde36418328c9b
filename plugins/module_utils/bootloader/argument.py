# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""The kernel's arguments by their names: which words of a command line are theirs, and how they are written. Pure.

Source: next_arg() in lib/cmdline.c and parse_args() in kernel/params.c of Linux 7.2; for crashkernel=, crashkernel.py.
"""

import os
import re
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.crashkernel import KEYWORD, words

# A blank between double quotes ends no word.
_WORD = re.compile(r'(?:"[^"]*(?:"|\Z)|[^\s"])+')
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")
# What means nothing to a shell, to GRUB's scripts, to U-Boot and to any of the files that hold arguments.
_VALUE = re.compile(r"[A-Za-z0-9_.,:/@%+=!\[\]-]+\Z")
# Boot loaders' tools write these by themselves, or tell a rescue entry by them.
_NOT_OURS = frozenset((
    "root", "rootflags", "ro", "rw", "initrd", "BOOT_IMAGE", "ostree", "systemd.machine_id",
    "single", "rescue", "emergency", "systemd.unit",
))  # fmt: skip


class Argument(t.NamedTuple):
    """An argument whose words are NAME=VALUE, or NAME alone, which stands for the value ''.

    A word is one as a whole, not a part of another one. For crashkernel= there is CRASHKERNEL.
    """

    name: str

    @property
    def label(self) -> str:
        """Return what messages call it."""
        return self.name

    @property
    def variable(self) -> str:
        """Return what messages call the place where the user sets it."""
        return "kdump.fleet's variable for it"

    @property
    def sed(self) -> str:
        """Return a shell command that takes its words out of a line, with the blanks after them."""
        name = self.name.replace(".", "[.]")
        # What stands before a word has an even number of quotes. One word at a time: two may share a blank.
        return (
            r"""sed -E -e ':a' -e 's/^((([^"]*"[^"]*")*[^"]*[[:space:]])?)"""
            + name
            + r"""(=([^[:space:]"]|"[^"]*")*)?([[:space:]]+|$)/\1/' -e 'ta'"""
        )

    def word(self, value: str) -> str:
        """Return the word of a value."""
        return f"{self.name}={value}" if value else self.name

    def text(self, values: t.Sequence[str]) -> str:
        """Return the words of values with blanks between."""
        return " ".join(self.word(value) for value in values)

    def shown(self, values: t.Sequence[str]) -> str:
        """Return the values that an entry has, for a message."""
        first, rest = (self.word(values[0]), values[1:]) if values else (f"{self.name}=(none)", [])
        return " ".join([first, *rest])

    def places(self, arguments: str) -> t.List[t.Tuple[int, int]]:
        """Return where its words begin and end in a command line."""
        return [
            match.span()
            for match in _WORD.finditer(arguments)
            if match.group(0).partition("=")[0] == self.name
        ]

    def values(self, arguments: str) -> t.List[str]:
        """Return the values of its words in a command line, in order."""
        skip = len(self.name) + 1
        return [arguments[start + skip : end] for start, end in self.places(arguments)]

    def named_in(self, text: str) -> bool:
        """Say whether a text may set it, whatever its syntax; comments count too."""
        return re.search(rf"(?<![\w.-]){re.escape(self.name)}(?![\w.-])", text) is not None

    def dropin(self, path: str) -> str:
        """Return the path of its own drop-in, beside crashkernel='s: each can come and go alone."""
        base, suffix = os.path.splitext(path)
        return f"{base}-{self.name}{suffix}"


class _Crashkernel(Argument):
    """crashkernel=, which has a value always, often several words, and which the kernel finds wherever it stands."""

    __slots__ = ()

    # A quote ends a word that began inside of it: dyndbg="file x +p crashkernel=1M".
    _PLACE = re.compile(r"(?:(?<=\s)|^)" + KEYWORD + r"[^\s\"']*")

    @property
    def label(self) -> str:
        return KEYWORD

    @property
    def variable(self) -> str:
        return "kdump_crashkernel"

    @property
    def sed(self) -> str:
        return f"sed -E 's/(^|[[:space:]]){KEYWORD}[^[:space:]\"'\\'']*//g'"

    def word(self, value: str) -> str:
        return KEYWORD + value

    def places(self, arguments: str) -> t.List[t.Tuple[int, int]]:
        return [match.span() for match in self._PLACE.finditer(arguments)]

    def values(self, arguments: str) -> t.List[str]:
        return words(arguments)

    def named_in(self, text: str) -> bool:
        return KEYWORD in text

    def dropin(self, path: str) -> str:
        return path


CRASHKERNEL: Argument = _Crashkernel("crashkernel")


def problems(name: str, values: t.Sequence[str]) -> t.List[str]:
    """Return what keeps an argument from being set to these values, and the way out; of none, from being removed."""
    if name == CRASHKERNEL.name:
        return ["name: crashkernel has rules of its own; use the module kdump.fleet.crashkernel"]
    if not _NAME.match(name):
        return [
            f"name: {name!a} is no name of a kernel argument, which has letters, digits and _ . - alone and does not begin "
            "with . or -; write it as the kernel's documentation does, and what follows its '=' as the value"
        ]
    if name in _NOT_OURS:
        return [
            f"name: {name} is written or read by the boot loader's own tools, and a wrong one may keep the host from "
            "booting; change it with them"
        ]
    found = [
        f"value: {value!a} for {name} would not reach the kernel as it is; use letters, digits and "
        "_ . , : / @ % + = ! [ ] - alone, and leave the value out for an argument without '='"
        for value in values
        if value and not _VALUE.match(value)
    ]
    if KEYWORD in Argument(name).text(values):
        found.append(
            f"value: the kernel would take a part of {Argument(name).text(values)!a} for {KEYWORD}; "
            "use the module kdump.fleet.crashkernel for that"
        )
    return found
