# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""What every boot loader must be able to tell and do about the kernel's arguments."""

import abc
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.crashkernel import words
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host


class BootLoaderError(Exception):
    """The boot loader's configuration cannot be read or was not taken; str() is for the user."""


class Entry(t.NamedTuple):
    """One thing that the boot loader can boot."""

    title: str
    kernel: str  # path
    arguments: str
    recovery: bool
    default: bool  # what the next boot takes
    own: bool = (
        True  # one of this host's kernels, with arguments that the boot loader's defaults decide
    )

    @property
    def counts(self) -> bool:
        """Say whether it must have the wanted values.

        Recovery entries, other systems, memory tests and entries written by hand need not.
        """
        return self.own and not self.recovery

    @property
    def crashkernel(self) -> t.List[str]:
        """Return the values of its crashkernel= words, in order."""
        return words(self.arguments)


class FileChange(t.NamedTuple):
    """A file to replace; None stands for no such file."""

    path: str
    before: t.Optional[str]
    after: t.Optional[str]


class BootLoader(metaclass=abc.ABCMeta):
    """One boot loader; adding one is a file beside this one and a line in registry.py."""

    name = ""

    @abc.abstractmethod
    def present(self, host: Host) -> bool:
        """Say whether this boot loader decides what the host boots."""

    @abc.abstractmethod
    def entries(self, host: Host) -> t.List[Entry]:
        """Return what can be booted, in the menu's order.

        :raises BootLoaderError: the configuration cannot be read.
        """

    @abc.abstractmethod
    def plan(self, host: Host, values: t.Sequence[str]) -> t.List[FileChange]:
        """Return the file changes after which exactly these crashkernel= values are set; none means no word."""

    @abc.abstractmethod
    def regenerate(self, host: Host) -> None:
        """Make what the boot loader reads out of the changed files.

        :raises CommandError: it failed; nothing is known of what the next boot takes.
        """


def differing(entries: t.Sequence[Entry], values: t.Sequence[str]) -> t.List[Entry]:
    """Return the entries that count and do not have exactly these values."""
    return [entry for entry in entries if entry.counts and entry.crashkernel != list(values)]


def next_entry(entries: t.Sequence[Entry]) -> t.Optional[Entry]:
    """Return the entry that the next boot takes, or None if there is none."""
    for entry in entries:
        if entry.default:
            return entry
    return None
