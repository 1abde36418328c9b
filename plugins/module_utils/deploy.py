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
    ORIGINALS,
    PENDING,
    SYSCTLS,
    fingerprint,
)
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.base import Tooling
from ansible_collections.kdump.fleet.plugins.module_utils.wanted import OwnFile

UNITS = "/etc/systemd/system/"
SYSCTL_FOLDER = "/etc/sysctl.d/"


class FileChange(t.NamedTuple):
    """A file to write; None stands for no such file."""

    path: str
    before: t.Optional[str]
    after: t.Optional[str]
    mode: t.Optional[int]  # None: as it is
    keys: t.Sequence[str]  # the settings in it that are set


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
            found.append(FileChange(path, before.get(path), text, None, keys))
    own = {**tooling.own_files(), **(files or {})}
    for path, file in own.items():
        text_now = host.read(path)
        if text_now != file.content or _mode(host, path) != file.mode:
            found.append(FileChange(path, text_now, file.content, file.mode, ()))
    if files is not None:
        found += _back(host, tooling, set(own) | {file.path for file in tooling.config_files})
    return found


def _back(host: Host, tooling: Tooling, but: t.Collection[str]) -> t.List[FileChange]:
    """Return what takes back every recorded change, but those of some files.

    A file that somebody has changed since keeps that: of a configuration, the settings that were set go back; another
    file stays as it is.
    """
    configs = {file.path: file for file in tooling.config_files}
    found = []
    for path, entry in sorted(ORIGINALS.load(host).items()):
        if path in but:
            continue
        now, after = host.read(path), entry["before"]
        if fingerprint(now) != entry["after"]:
            if path not in configs or now is None:
                continue
            old = configs[path].parse(entry["before"] or "")
            after = configs[path].render(now, {key: old.get(key) for key in entry.get("keys", ())})
        found.append(FileChange(path, now, after, entry.get("mode"), ()))
    return found


def back(host: Host, tooling: Tooling) -> t.Tuple[t.List[FileChange], t.List[str]]:
    """Return what gives back everything from before this collection, and the files that stay because others changed them."""
    found = _back(host, tooling, ())
    left = sorted(set(ORIGINALS.load(host)) - {change.path for change in found})
    return [change for change in found if change.before != change.after], left


def _mode(host: Host, path: str) -> t.Optional[int]:
    try:
        return os.stat(host.path(path)).st_mode & 0o777
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
        # A sysctl is no matter of the capture kernel, which confirms the rest.
        PENDING.keep(
            host,
            {path: text for path, text in after.items() if not path.startswith(SYSCTL_FOLDER)},
        )
        ORIGINALS.keep(host, after, {change.path: change.keys for change in found})
    for change in found:
        if change.after is None:
            host.remove(change.path)
            continue
        host.write(change.path, change.after, change.mode or 0o644)
        if change.mode is not None:
            os.chmod(host.path(change.path), change.mode)
    for change in found:
        if change.after is None:
            _prune(host, os.path.dirname(change.path))
    kept = ORIGINALS.load(host)
    ORIGINALS.forget(
        host,
        None if final else [path for path, text in after.items() if text == kept[path]["before"]],
    )
    if any(path.startswith(UNITS) for path in after):
        host.ask(["systemctl", "daemon-reload"], timeout=60)


def _prune(host: Host, folder: str) -> None:
    """Remove a folder of ours that has become empty, and the one that it is in."""
    while "kdump-fleet" in folder:
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
    """Return what sets these; those of an earlier run that are not among them get the value from before."""
    given_up = {name: value for name, value in SYSCTLS.load(host).items() if name not in wanted}
    found = []
    for name, value in {**wanted, **given_up}.items():
        now = host.read_word(_place(name))
        if now is not None and (now != value or name in given_up):
            found.append(SysctlChange(name, now, value))
    return found


def set_sysctls(host: Host, found: t.Sequence[SysctlChange], wanted: t.Mapping[str, str]) -> None:
    """Set them now.

    :raises CommandError: the kernel does not take one.
    """
    if not found:
        return
    SYSCTLS.keep(host, {change.name: change.before for change in found})
    for change in found:
        try:
            with open(host.path(_place(change.name)), "w", encoding="utf-8") as handle:
                handle.write(change.after + "\n")
            # Without a detector, the kernel takes a value for kernel.nmi_watchdog and ignores it.
            taken = host.read_word(_place(change.name)) == change.after
            reason = "" if taken else "it ignores the value"
        except OSError as exc:
            reason = exc.strerror or str(exc)
        if reason:
            raise SettingsError(
                f"sysctls: the kernel does not take {change.name} = {change.after} ({reason}); take it out for this host"
            )
    SYSCTLS.forget(host, [change.name for change in found if change.name not in wanted])


def _place(name: str) -> str:
    return "/proc/sys/" + name.replace(".", "/")
