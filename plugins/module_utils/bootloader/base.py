# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""What every boot loader must be able to tell and do about the kernel's arguments."""

import abc
import os
import re
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.argument import (
    CRASHKERNEL,
    Argument,
)
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
    release: str = ""  # of the kernel, where the boot loader tells it; else its file's name does
    path: str = (
        ""  # of the file that holds the arguments of this entry alone; '' where several share them
    )

    @property
    def counts(self) -> bool:
        """Say whether it must have the wanted values.

        Recovery entries, other systems, memory tests and entries written by hand need not.
        """
        return self.own and not self.recovery

    def values(self, argument: Argument) -> t.List[str]:
        """Return the values of its words of an argument, in order."""
        return argument.values(self.arguments)

    @property
    def crashkernel(self) -> t.List[str]:
        """Return the values of its crashkernel= words, in order."""
        return self.values(CRASHKERNEL)

    @property
    def kernel_release(self) -> str:
        """Return the release of its kernel as ``uname -r`` would print it, or '' if nothing tells it."""
        return self.release or release_of(self.kernel)


class FileChange(t.NamedTuple):
    """A file to replace; None stands for no such file."""

    path: str
    before: t.Optional[str]
    after: t.Optional[str]


class Command(t.NamedTuple):
    """A boot loader's own tool to run, where what it changes is not ours to write."""

    argv: t.List[str]
    undo: t.List[str]  # puts back what was there
    what: str  # whose arguments it changes, as a diff's header names it
    before: str  # the arguments now
    after: str  # and then
    timeout: float = 600  # seconds


Change = t.Union[FileChange, Command]


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
    def plan(
        self, host: Host, values: t.Sequence[str], argument: Argument = CRASHKERNEL
    ) -> t.List[Change]:
        """Return the changes after which an argument has exactly these values; none means no word.

        They cover every kernel that is installed and the default for those to come, and leave every other argument
        alone. They are done in this order: stopped after any of them, the host still boots, and a new plan() has the
        rest.

        :raises BootLoaderError: it cannot be done on this host; the message says why and the way out.
        """

    def plan_kernels(
        self,
        host: Host,
        values: t.Sequence[str],
        chosen: t.Sequence[Entry],
        argument: Argument = CRASHKERNEL,
    ) -> t.List[Change]:
        """Return the changes after which just these entries have exactly these values.

        :raises BootLoaderError: this boot loader has one set of arguments for several kernels.
        """
        paths = {entry.path for entry in chosen}
        if not all(paths):
            raise BootLoaderError(
                f"{self.name} gives several kernels of this host the same arguments, so {argument.label} cannot be set for "
                "one of them; use 'kernel: ALL'"
            )
        changes = self.plan(host, values, argument)
        return [
            change for change in changes if isinstance(change, FileChange) and change.path in paths
        ]

    def regenerate(self, host: Host) -> None:
        """Make what the boot loader reads out of the changed files, where that takes a step of its own.

        :raises CommandError: it failed; nothing is known of what the next boot takes.
        """
        del host


def release_of(kernel: str) -> str:
    """Return the release that a kernel's file name tells, or '': vmlinuz-6.1.0-2-amd64, image-6.4.0-default."""
    match = re.match(
        r"(?:vmlinu[xz]|[bz]*Image|image|kernel(?:-genkernel-\w+)?)-(.+)", os.path.basename(kernel)
    )
    return match.group(1) if match else ""


def with_values(arguments: str, values: t.Sequence[str], argument: Argument) -> str:
    """Return a kernel's arguments with exactly these values of one of them; every other character stays.

    They take the place of its first word, else they go to the end, before a ``--`` that begins init's own.
    """
    if argument.values(arguments) == list(values):
        return arguments
    wanted = argument.text(values)
    places = argument.places(arguments)
    if not places:
        if not wanted:
            return arguments
        own = re.search(r"(?:(?<=\s)|^)--(?=\s|$)", arguments)
        if own:
            return f"{arguments[: own.start()]}{wanted} {arguments[own.start() :]}"
        return f"{arguments.rstrip()} {wanted}".lstrip()
    for start, end in reversed(places[1:]):
        arguments = arguments[:start] + arguments[end:].lstrip()
    start, end = places[0]
    before, after = arguments[:start], arguments[end:].lstrip()
    if not after:
        return before + wanted if wanted else before.rstrip()
    return before + wanted + arguments[end:] if wanted else before + after


def undecided(name: str, title: t.Optional[str], argument: Argument = CRASHKERNEL) -> str:
    """Return the message for a next boot that takes an entry which the boot loader's defaults do not decide.

    :param name: of the boot loader.
    :param title: of the entry; None for something else than Linux.
    """
    boots = "something else than Linux" if title is None else repr(title)
    return (
        f"{argument.label} cannot be set for the next boot: {name} boots {boots}, "
        "which its defaults do not decide (/etc/grub.d, or another system); choose an entry of this host's kernels"
    )


def differing(
    entries: t.Sequence[Entry], values: t.Sequence[str], argument: Argument = CRASHKERNEL
) -> t.List[Entry]:
    """Return the entries that count and do not have exactly these values."""
    return [entry for entry in entries if entry.counts and entry.values(argument) != list(values)]


def select(entries: t.Sequence[Entry], kernel: str) -> t.List[Entry]:
    """Return the entries of a kernel scope: ALL, DEFAULT, or a kernel's release or path.

    :raises BootLoaderError: there is no such kernel.
    """
    if kernel == "ALL":
        return [entry for entry in entries if entry.counts]
    if kernel == "DEFAULT":
        found = [entry for entry in entries if entry.default]
    else:
        found = [
            entry for entry in entries
            if kernel in (entry.kernel, entry.kernel_release, "/boot/" + os.path.basename(entry.kernel))
            and not entry.recovery
        ]  # fmt: skip
    if not found:
        names = ", ".join(sorted({entry.kernel_release for entry in entries if entry.counts}))
        raise BootLoaderError(f"there is no kernel {kernel!r} to boot; there are: {names}")
    return found


def next_entry(entries: t.Sequence[Entry]) -> t.Optional[Entry]:
    """Return the entry that the next boot takes, or None if there is none."""
    for entry in entries:
        if entry.default:
            return entry
    return None
