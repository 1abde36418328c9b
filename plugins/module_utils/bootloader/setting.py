# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""What the modules that set a kernel argument have in common: find the boot loader, plan, do it, say what came of it."""

import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.apply import apply
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.argument import Argument
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.base import (
    BootLoader,
    BootLoaderError,
    Change,
    Command,
    Entry,
    next_entry,
    select,
    undecided,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.registry import detect, known
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host


class Target(t.NamedTuple):
    """What is to be changed on a host."""

    loader: BootLoader
    scope: str  # see select()
    chosen: t.List[Entry]
    following: Entry  # what the next boot takes


def find(host: Host, scope: str) -> Target:
    """Return the boot loader of a host and the entries of a kernel scope.

    :raises BootLoaderError: there is none, or none that can be read.
    """
    loader = detect(host)
    if loader is None:
        raise BootLoaderError(
            f"no boot loader that kdump.fleet can drive was found (it knows {known()})"
        )
    entries = loader.entries(host)
    following = next_entry(entries)
    if following is None:
        raise BootLoaderError(f"{loader.name} has no entry that boots a Linux kernel")
    return Target(loader, scope, select(entries, scope), following)


def settle(
    host: Host,
    target: Target,
    values: t.Sequence[str],
    argument: Argument,
    check_mode: bool,
) -> t.Dict[str, t.Any]:
    """Give an argument exactly these values, none for no word, and return what a module says of it.

    :raises BootLoaderError: it cannot be done, or did not take; the message says what state the host is in.
    """
    loader, scope, chosen, following = target
    wanted = list(values)
    before = after = following.values(argument)
    if scope == "ALL" and wanted and not following.own and before != wanted:
        raise BootLoaderError(undecided(loader.name, following.title, argument))
    changes = (
        loader.plan(host, wanted, argument)
        if scope == "ALL"
        else loader.plan_kernels(host, wanted, chosen, argument)
    )
    changed = bool(changes) or any(entry.values(argument) != wanted for entry in chosen)
    if following in chosen:
        after = wanted
    if changed and not check_mode:
        apply(host, loader, changes, wanted, scope, argument)
        after = (next_entry(loader.entries(host)) or following).values(argument)
    running = argument.values(host.read("/proc/cmdline") or "")
    return {
        "changed": changed,
        "boot_loader": loader.name,
        "before": before,
        "after": after,
        "running": running,
        "reboot_required": running != after,
        "diff": [_shown(change) for change in changes],
    }


def _shown(change: Change) -> t.Dict[str, str]:
    """Return a change as Ansible shows it with --diff."""
    name = change.what if isinstance(change, Command) else change.path
    return {
        "before_header": name,
        "after_header": name,
        "before": change.before or "",
        "after": change.after or "",
    }
