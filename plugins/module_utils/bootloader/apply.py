# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""Do what a boot loader's plan says, see that it took, and put everything back if it did not."""

import os
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.argument import (
    CRASHKERNEL,
    Argument,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.base import (
    BootLoader,
    BootLoaderError,
    Change,
    Command,
    FileChange,
    next_entry,
    select,
    undecided,
)
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host
from ansible_collections.kdump.fleet.plugins.module_utils.runner import CommandError


def _do(host: Host, change: Change, back: bool) -> None:
    if isinstance(change, Command):
        host.run(change.undo if back else change.argv, timeout=change.timeout)
        return
    text = change.before if back else change.after
    if text is None:
        host.remove(change.path)
    else:
        host.write(change.path, text)


def apply(
    host: Host,
    loader: BootLoader,
    changes: t.Sequence[Change],
    values: t.Sequence[str],
    kernel: str = "ALL",
    argument: Argument = CRASHKERNEL,
) -> None:
    """Make the changes and see that every entry that they are for has the values; else put everything back.

    Killed anywhere in it, the host still boots, and the next run does the rest.

    :param kernel: whose entries; see select().
    :raises BootLoaderError: it did not take; the message says why and what state the host is in.
    """
    begun: t.List[Change] = []
    # Which of two files is the younger one means something to EL's scripts.
    times: t.Dict[str, t.Tuple[int, int]] = {}
    try:
        for change in changes:
            if isinstance(change, FileChange) and host.exists(change.path):
                found = os.stat(host.path(change.path))
                times[change.path] = found.st_atime_ns, found.st_mtime_ns
            known = loader.entries(host) if isinstance(change, Command) else None
            begun.append(change)
            try:
                _do(host, change, back=False)
            except CommandError:
                # What has done nothing needs no undoing, which would fail too.
                if loader.entries(host) == known:
                    begun.pop()
                raise
        loader.regenerate(host)
        entries = loader.entries(host)
        wrong = [
            entry for entry in select(entries, kernel) if entry.values(argument) != list(values)
        ]
        if wrong:
            raise BootLoaderError(
                f"after the change, {wrong[0].title!r} still has {argument.shown(wrong[0].values(argument))}; "
                f"something outside of {loader.name}'s defaults sets it"
            )
        following = next_entry(entries)
        if (
            kernel == "ALL"
            and values
            and (following is None or following.values(argument) != list(values))
        ):
            title = following.title if following else None
            raise BootLoaderError(undecided(loader.name, title, argument))
    except (CommandError, BootLoaderError, OSError) as exc:
        problems = []
        for change in reversed(begun):
            try:
                _do(host, change, back=True)
            except (CommandError, OSError) as again:
                problems.append(str(again))
        try:
            loader.regenerate(host)
            # Not before: by them, zipl's bootmap is seen to be old.
            for change in begun:
                if isinstance(change, FileChange) and change.path in times:
                    os.utime(host.path(change.path), ns=times[change.path])
        except (CommandError, BootLoaderError, OSError) as again:
            problems.append(str(again))
        if problems:
            raise BootLoaderError(
                f"{exc}; and what was there could not be put back entirely: {'; '.join(problems)}"
            ) from exc
        raise BootLoaderError(f"{exc}; the boot loader is back as it was") from exc
