# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""Entries of the Boot Loader Specification (type 1): read them, change their options, order them as GRUB does.

Every boot loader that reads such entries has its own order and its own idea of several ``options`` lines, so
both are for the caller to choose: GRUB and zipl take the first line alone, systemd-boot takes all of them.
"""

import functools
import os
import re
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.argument import Argument
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.base import with_values
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host

FOLDER = "/boot/loader/entries"
SUFFIX = ".conf"

_FIELD = re.compile(r"^[ \t]*([^\s#]\S*)[ \t]+(.*?)[ \t\r]*$", re.MULTILINE)
_VARIABLE = re.compile(r"(?<!\\)\$(\w+) ?")


class BlsEntry(t.NamedTuple):
    """One entry file."""

    path: str
    text: str
    fields: t.Tuple[t.Tuple[str, str], ...]  # key and value of each line that has both

    @property
    def identity(self) -> str:
        """Return the file's name without its suffix, by which boot loaders name the entry."""
        return os.path.basename(self.path)[: -len(SUFFIX)]

    def first(self, key: str) -> str:
        """Return the value of the first line with this key, or ''."""
        return next((value for name, value in self.fields if name == key), "")

    def every(self, key: str) -> t.List[str]:
        """Return the values of all lines with this key."""
        return [value for name, value in self.fields if name == key]

    @property
    def rescue(self) -> bool:
        """Say whether it is the rescue entry that EL's and Fedora's installation scripts make."""
        return self.identity.endswith("-0-rescue") or "-0-rescue" in self.first("linux")


def parse(path: str, text: str) -> BlsEntry:
    """Return what an entry file says."""
    return BlsEntry(
        path, text, tuple((match.group(1), match.group(2)) for match in _FIELD.finditer(text))
    )


def read_entries(host: Host, folder: str = FOLDER) -> t.List[BlsEntry]:
    """Return the entries of a folder, sorted by their files' names."""
    found = ((path, host.read(path)) for path in host.glob(f"{folder}/*{SUFFIX}"))
    return [parse(path, text) for path, text in found if text is not None]


def with_lines(text: str, key: str, values: t.Sequence[str]) -> str:
    """Return an entry's text with these values on the lines of a key, in order; every other byte stays.

    An empty value takes its line out, for GRUB reads no further than a key without a value. Values for which
    there is no line get one at the end.
    """
    pending = list(values)

    def line(match: t.Match[str]) -> str:
        if not pending:
            return match.group(0)
        value = pending.pop(0)
        return f"{match.group(1)}{value}{match.group(3)}" if value else ""

    pattern = rf"^([ \t]*{re.escape(key)}[ \t]+)(.*?)([ \t\r]*(?:\n|\Z))"
    after = re.sub(pattern, line, text, flags=re.MULTILINE)
    added = [f"{key} {value}\n" for value in pending if value]
    if added and after and not after.endswith("\n"):
        after += "\n"
    return after + "".join(added)


def set_values(lines: t.Sequence[str], values: t.Sequence[str], argument: Argument) -> t.List[str]:
    """Return the options lines with exactly these values of an argument on all of them together.

    They take the place of its first word, else they go to the end, before a ``--`` that begins init's own.
    """
    if argument.values(" ".join(lines)) == list(values):
        return list(lines)
    if not lines:
        return [argument.text(values)]
    place = len(lines) - 1
    for index, line in enumerate(lines):
        if argument.values(line) or "--" in line.split():
            place = index
            break
    return [
        with_values(line, values if at == place else [], argument) for at, line in enumerate(lines)
    ]


def references(options: str) -> t.List[str]:
    """Return the names of GRUB's variables in an entry's value, as in ``$kernelopts $tuned_params``."""
    return _VARIABLE.findall(options)


def expand(options: str, variables: t.Mapping[str, str]) -> str:
    """Return an entry's value as GRUB's blscfg command expands it; what is not set is nothing."""

    def value(match: t.Match[str]) -> str:
        known = variables.get(match.group(1), "")
        return f"{known} " if known else ""

    return _VARIABLE.sub(value, options).strip()


def compare_versions(one: str, two: str, plus: bool = True) -> int:
    """Return 1, 0 or -1 as one version is newer than, equal to or older than the other, by RPM's rules.

    Source: vercmp() of grub-core/commands/blscfg.c in GRUB of EL 8 (without ``+``) and of EL 9 and Fedora (with it).

    :param plus: let ``+`` and what follows make a version newer, but only where the other one ends.
    """
    pattern = r"[~+]|[0-9]+|[A-Za-z]+" if plus else r"~|[0-9]+|[A-Za-z]+"
    left, right = re.findall(pattern, one), re.findall(pattern, two)
    for at in range(max(len(left), len(right))):
        ours = left[at] if at < len(left) else ""
        theirs = right[at] if at < len(right) else ""
        if ours == theirs:
            continue
        if "~" in (ours, theirs):
            return -1 if ours == "~" else 1
        if not ours or not theirs:
            return 1 if ours else -1
        if "+" in (ours, theirs):
            return -1 if ours == "+" else 1
        if ours.isdigit() != theirs.isdigit():
            return 1 if ours.isdigit() else -1
        if ours.isdigit():
            if int(ours) != int(theirs):
                return 1 if int(ours) > int(theirs) else -1
        else:
            return 1 if ours > theirs else -1
    return 0


def _compare_packages(one: t.Sequence[str], two: t.Sequence[str], plus: bool) -> int:
    for ours, theirs in zip(one, two):
        result = compare_versions(ours, theirs, plus)
        if result:
            return result
    return 0


def _package(name: str) -> t.Tuple[str, str, str]:
    """Split name-version-release from its end; a lone dash parts name and version."""
    parts = name.rsplit("-", 2)
    return (parts[0], parts[1] if len(parts) > 1 else "", parts[2] if len(parts) > 2 else "")


def _version(text: str) -> t.Tuple[str, str]:
    version, dash, release = text.rpartition("-")
    return (version, release) if dash else (text, "")


def grub_order(entries: t.Sequence[BlsEntry], el8: bool = False) -> t.List[BlsEntry]:
    """Return the entries as GRUB's blscfg command lists them: the newest first.

    :param el8: GRUB of EL 8, which compares the ``version`` lines first if every entry has one.
    """
    by_version = el8 and all(entry.first("version") for entry in entries)

    def compare(one: BlsEntry, two: BlsEntry) -> int:
        result = 0
        if by_version:
            versions = _version(one.first("version")), _version(two.first("version"))
            result = _compare_packages(versions[0], versions[1], plus=False)
        return result or _compare_packages(
            _package(one.identity), _package(two.identity), plus=not el8
        )

    return sorted(entries, key=functools.cmp_to_key(compare), reverse=True)
