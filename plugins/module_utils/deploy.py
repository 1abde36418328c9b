# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""Put a configuration on a host, and give back the one from before."""

import os
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils import configuration
from ansible_collections.kdump.fleet.plugins.module_utils.configuration import SettingsError
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host
from ansible_collections.kdump.fleet.plugins.module_utils.records import (
    BAKED,
    ORIGINALS,
    PENDING,
    SYSCTLS,
    SYSCTLS_SET,
    Record,
    others,
)
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.base import Tooling
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.registry import config_file
from ansible_collections.kdump.fleet.plugins.module_utils.wanted import OwnFile

UNITS = "/etc/systemd/system/"
SYSCTL_FOLDER = "/etc/sysctl.d/"


class FileChange(t.NamedTuple):
    """A file to write; None stands for no such file."""

    path: str
    before: t.Optional[str]
    after: t.Optional[str]
    mode: t.Optional[int]  # None: as it is
    keys: t.Sequence[str] = ()  # the settings in it that are set
    merged: bool = False  # everything else in it stays, what others have changed too


def _texts(host: Host, tooling: Tooling) -> t.Dict[str, str]:
    """Return the tooling's configuration files that are there, by path.

    :raises SettingsError: one of them cannot be read.
    """
    result = {}
    for file in tooling.config_files:
        text = host.read(file.path)
        if text is not None:
            result[file.path] = text
        elif host.exists(file.path):
            raise SettingsError(f"{file.path} is there and cannot be read; nothing was changed")
    return result


def changes(
    host: Host,
    tooling: Tooling,
    settings: t.Mapping[str, t.Optional[str]],
    files: t.Optional[t.Mapping[str, OwnFile]],
    exclusive: bool,
) -> t.List[FileChange]:
    """Return what has to change for the tooling's files to have these settings, and these files to be there.

    :param files: beside the tooling's; what an earlier run has put there and is not among them goes. None: that stays.
    :raises SettingsError: the tooling would not accept it.
    """
    tooling = tooling.bound(tooling.observed(host))
    before = _texts(host, tooling)
    release = tooling.release(host)
    found = []
    for path, text in configuration.edited(tooling, before, settings, release, exclusive).items():
        if text != before.get(path, ""):
            keys = [key for key in settings if tooling.file_of(key).path == path]
            found.append(FileChange(path, before.get(path), text, None, keys, not exclusive))
    own = {**tooling.own_files(), **(files or {})}
    for path, file in own.items():
        text_now = host.read(path)
        if text_now != file.content or _mode(host, path) != file.mode:
            found.append(FileChange(path, text_now, file.content, file.mode))
    if files is not None:
        but = set(own) | {file.path for file in tooling.config_files}
        found += [
            change
            for change in _back(host, ORIGINALS, tooling, but)
            if change.before != change.after
        ]
    return found


def _back(
    host: Host, record: Record, tooling: Tooling, but: t.Collection[str]
) -> t.List[FileChange]:
    """Return what takes back the changes of a record, but those of some files.

    A file that somebody has changed since keeps that: of a configuration, the settings that were set go back; another
    file stays as it is.
    """
    found = []
    for path, entry in sorted(record.load(host).items()):
        if path in but:
            continue
        now, after = host.read(path), entry["before"]
        theirs = others(entry, now)
        if theirs:
            config = config_file(path, tooling)
            if config is None or now is None:
                continue
            old = config.parse(entry["before"] or "")
            after = config.render(now, {key: old.get(key) for key in entry.get("keys", ())})
        found.append(FileChange(path, now, after, entry.get("mode"), merged=theirs))
    return found


def _left(host: Host, record: Record, found: t.Sequence[FileChange]) -> t.List[str]:
    return sorted(set(record.load(host)) - {change.path for change in found})


def back(host: Host, tooling: Tooling) -> t.Tuple[t.List[FileChange], t.List[str]]:
    """Return what gives back everything from before this collection, and the files that stay because others changed them."""
    found = _back(host, ORIGINALS, tooling, ())
    return [change for change in found if change.before != change.after], _left(host, ORIGINALS, found)  # fmt: skip


def take_back(host: Host, tooling: Tooling) -> t.Tuple[t.List[str], t.List[str]]:
    """Put back what was there before the last change that the kernel has not confirmed, and forget it.

    :return: the paths that were put back, and those that were left alone because others changed them.
    """
    found = _back(host, PENDING, tooling, ())
    left = _left(host, PENDING, found)
    changed = [change for change in found if change.before != change.after]
    _replace(host, changed)
    PENDING.forget(host)
    _forget_what_is_back(host)
    return [change.path for change in changed], left


def _mode(host: Host, path: str) -> t.Optional[int]:
    try:
        return os.stat(host.path(path)).st_mode & 0o7777
    except OSError:
        return None


def write(host: Host, found: t.Sequence[FileChange], final: bool = False) -> None:
    """Make the changes, with what was there kept before.

    :param final: they give back what was there before this collection, and nothing of it is kept.
    :raises OSError: it failed; what is kept says what was there.
    """
    after = {change.path: change.after for change in found}
    if final:
        PENDING.forget(host)
    elif found:
        keys = {change.path: change.keys for change in found}
        merged = [change.path for change in found if change.merged]
        # A sysctl is no matter of the capture kernel, which confirms the rest.
        pending = {path: text for path, text in after.items() if not path.startswith(SYSCTL_FOLDER)}
        PENDING.keep(host, pending, keys, merged)
        ORIGINALS.keep(host, after, keys, merged)
    _replace(host, found)
    if final:
        ORIGINALS.forget(host)
        BAKED.forget(host, list(BAKED.load(host)))
    else:
        _forget_what_is_back(host)


def _replace(host: Host, found: t.Sequence[FileChange]) -> None:
    units = [change for change in found if change.path.startswith(UNITS)]
    for change in units:
        if change.after is None and change.path.endswith(".service"):
            # Its link among the wanted ones would dangle, and start it again should it come back.
            host.ask(["systemctl", "disable", os.path.basename(change.path)], timeout=60)
    for change in found:
        if change.after is None:
            host.remove(change.path)
        else:
            host.write(
                change.path,
                change.after,
                0o644 if change.mode is None else change.mode,
                change.mode is None,
            )
    for change in found:
        if change.after is None:
            _prune(host, os.path.dirname(change.path))
    if units:
        host.ask(["systemctl", "daemon-reload"], timeout=60)


def _forget_what_is_back(host: Host) -> None:
    """Forget the originals of files that are as they were."""
    same = [
        path
        for path, entry in ORIGINALS.load(host).items()
        if host.read(path) == entry["before"]
        and (entry["before"] is None or _mode(host, path) == entry["mode"])
    ]
    if same:
        ORIGINALS.forget(host, same)


def _prune(host: Host, folder: str) -> None:
    """Remove a folder of ours that has become empty, and the one that it is in."""
    while "kdump-fleet" in folder or folder.endswith(".service.d"):
        try:
            os.rmdir(host.path(folder))
        except OSError:
            # Something else is in it.
            return
        folder = os.path.dirname(folder)


class SysctlChange(t.NamedTuple):
    """A kernel setting to set now."""

    name: str
    before: str
    after: str


def sysctl_changes(host: Host, wanted: t.Mapping[str, str]) -> t.List[SysctlChange]:
    """Return what sets these; those of an earlier run that are not among them get the value from before.

    But not over one that somebody else has set since.

    :raises SettingsError: the kernel has no such setting.
    """
    before, ours = SYSCTLS.load(host), SYSCTLS_SET.load(host)
    found = []
    for name in {**wanted, **before}:
        now = host.read_word(_place(name))
        if name not in wanted:
            if now is not None:
                theirs = now != ours.get(name, now)
                found.append(SysctlChange(name, now, now if theirs else before[name]))
        elif now is None:
            raise SettingsError(
                f"sysctls: {name} is no setting of this host's kernel; take it out for this host"
            )
        elif now != wanted[name]:
            found.append(SysctlChange(name, now, wanted[name]))
    return found


def set_sysctls(host: Host, found: t.Sequence[SysctlChange], wanted: t.Mapping[str, str]) -> None:
    """Set them now; all of them, or none.

    :raises SettingsError: the kernel does not take one, and the others are as they were.
    """
    # What the kernel does not have any more cannot go back.
    _forget_sysctls(host, [name for name in SYSCTLS.load(host) if not has_sysctl(host, name)])
    if not found:
        return
    known, ours = SYSCTLS.load(host), SYSCTLS_SET.load(host)
    SYSCTLS.keep(host, {change.name: change.before for change in found})
    SYSCTLS_SET.replace(host, {change.name: change.after for change in found})
    for index, change in enumerate(found):
        reason = _set(host, change.name, change.after)
        if reason:
            for done in found[: index + 1]:
                _set(host, done.name, done.before)
            SYSCTLS_SET.replace(host, ours)
            _forget_sysctls(host, [each.name for each in found if each.name not in known])
            raise SettingsError(
                f"sysctls: the kernel does not take {change.name} = {change.after} ({reason}); take it out for this host"
            )
    _forget_sysctls(host, [change.name for change in found if change.name not in wanted])


def _forget_sysctls(host: Host, names: t.Sequence[str]) -> None:
    SYSCTLS.forget(host, names)
    SYSCTLS_SET.forget(host, names)


def _set(host: Host, name: str, value: str) -> str:
    """Set one; return why the kernel does not take it, or ''."""
    try:
        with open(host.path(_place(name)), "w", encoding="utf-8") as handle:
            handle.write(value + "\n")
    except OSError as exc:
        return exc.strerror or str(exc)
    # Without a detector, the kernel takes a value for kernel.nmi_watchdog and ignores it.
    return "" if host.read_word(_place(name)) == value else "it ignores the value"


def has_sysctl(host: Host, name: str) -> bool:
    """Say whether the kernel has a setting."""
    return host.exists(_place(name))


def _place(name: str) -> str:
    return "/proc/sys/" + name.replace(".", "/")
