# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""GRUB 2 as Debian and its relatives set it up: /etc/default/grub, drop-ins, update-grub."""

import os
import re
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.base import (
    BootLoader,
    BootLoaderError,
    Entry,
    FileChange,
)
from ansible_collections.kdump.fleet.plugins.module_utils.crashkernel import KEYWORD
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host

CONFIG = "/boot/grub/grub.cfg"
ENVIRONMENT = "/boot/grub/grubenv"
DEFAULTS = "/etc/default/grub"
DROPINS = "/etc/default/grub.d"
# Drop-ins are read in the order of their names, so this one has the last word, after kdump-tools.cfg.
DROPIN = DROPINS + "/zz-kdump-fleet.cfg"

LINUX_SCRIPT = "/etc/grub.d/10_linux"

REGENERATE_TIMEOUT = 900  # seconds; os-prober on a host with many disks takes minutes

_DROPIN_TEXT = """\
# Managed by Ansible (kdump.fleet): local changes are lost at its next run.
# Takes every crashkernel= that the files before this one set, and sets the one of kdump_crashkernel.
GRUB_CMDLINE_LINUX="$(printf '%s\\n' "${{GRUB_CMDLINE_LINUX:-}}" | {strip})"
GRUB_CMDLINE_LINUX_DEFAULT="$(printf '%s\\n' "${{GRUB_CMDLINE_LINUX_DEFAULT:-}}" | {strip}){words}"
"""
_STRIP = "sed -E 's/(^|[[:space:]])crashkernel=[^[:space:]]*//g'"


def render_dropin(values: t.Sequence[str]) -> str:
    """Return the drop-in that leaves exactly these crashkernel= values on the command line."""
    return _DROPIN_TEXT.format(
        strip=_STRIP, words="".join(f" {KEYWORD}{value}" for value in values)
    )


def parse_config(text: str, environment: t.Mapping[str, str]) -> t.List[Entry]:
    """Return the Linux entries of a grub.cfg.

    :param environment: the variables of grubenv.
    """
    entries: t.List[t.Tuple[Entry, t.Set[str]]] = []
    position: t.List[int] = []  # the menu's index at each level of submenus
    scopes: t.List[str] = []  # what each open brace belongs to
    names: t.List[t.Tuple[str, str]] = []  # title and id of the open menus
    counters = [0]
    default = "0"
    # grub-mkconfig marks what each of its scripts wrote; a file without marks was written by hand.
    section = None if "### BEGIN /etc/grub.d/" in text else LINUX_SCRIPT
    for line in text.splitlines():
        stripped = line.strip()
        mark = re.match(r"### (BEGIN|END) (/etc/grub\.d/\S+) ###", stripped)
        if mark:
            section = mark.group(2) if mark.group(1) == "BEGIN" else None
        setting = re.match(r"set default=\"?([^\"]*)\"?$", stripped)
        if setting and not scopes:
            default = setting.group(1)
        elif setting and scopes[-1] == "if":
            default = _conditional_default(setting.group(1), environment) or default
        if stripped.startswith("if "):
            if not stripped.endswith("fi"):  # grub-mkconfig writes some in one line
                scopes.append("if")
        elif stripped == "fi" and scopes and scopes[-1] == "if":
            scopes.pop()
        elif re.match(r"function\s.*\{$", stripped):
            scopes.append("function")
        elif re.match(r"(menuentry|submenu)\s.*\{$", stripped):
            kind = stripped.split()[0]
            title = re.match(
                r"\w+\s+(?:'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"|(\S+))", stripped
            )
            identity = re.search(r"(?:\$menuentry_id_option|--id)\s+'?\"?([^'\"\s]+)", stripped)
            names.append(
                (
                    next((group for group in title.groups() if group is not None), "")
                    if title
                    else "",
                    identity.group(1) if identity else "",
                )
            )
            position.append(counters[-1])
            counters[-1] += 1
            counters.append(0)
            scopes.append(kind)
        elif stripped == "}" and scopes:
            kind = scopes.pop()
            if kind in ("menuentry", "submenu"):
                names.pop()
                position.pop()
                counters.pop()
        elif scopes and scopes[-1] != "function":
            command = re.match(r"linux(?:16|efi)?\s+(\S+)\s*(.*)$", stripped)
            if command and names:
                arguments = command.group(2).strip()
                title_text = names[-1][0]
                recovery = "(recovery mode)" in title_text or "single" in arguments.split()
                own = section == LINUX_SCRIPT and bool(
                    re.match(r"vmlinu[xz]-", os.path.basename(command.group(1)))
                )
                entry = Entry(title_text, command.group(1), arguments, recovery, False, own)
                entries.append((entry, _selectors(names, position)))
    chosen = next(
        (index for index, (_entry, selectors) in enumerate(entries) if default in selectors), 0
    )
    return [
        entry._replace(default=index == chosen) for index, (entry, _selector) in enumerate(entries)
    ]


def _conditional_default(value: str, environment: t.Mapping[str, str]) -> t.Optional[str]:
    """Return the default that one branch of grub.cfg's header sets, as far as grubenv decides it."""
    variable = re.match(r"\$\{(\w+)\}$", value)
    if variable:
        return environment.get(variable.group(1)) or None
    return value if value and not environment.get("next_entry") else None


def _selectors(names: t.Sequence[t.Tuple[str, str]], position: t.Sequence[int]) -> t.Set[str]:
    """Return the strings by which GRUB_DEFAULT can name an entry: positions, titles or ids joined by '>'."""
    paths = {""}
    for (title, identity), index in zip(names, position):
        keys = [key for key in (str(index), title, identity) if key]
        paths = {f"{path}>{key}" if path else key for path in paths for key in keys}
    return paths


class Grub(BootLoader):
    """GRUB 2 with update-grub."""

    name = "grub"

    def present(self, host: Host) -> bool:
        return (
            host.exists(CONFIG)
            and host.exists(DEFAULTS)
            and host.runner.which("update-grub") is not None
        )

    def entries(self, host: Host) -> t.List[Entry]:
        text = host.read(CONFIG)
        if text is None:
            raise BootLoaderError(
                f"{CONFIG} cannot be read; are you root on the host (become: true)?"
            )
        environment = dict(re.findall(r"^(\w+)=(.*)$", host.read(ENVIRONMENT) or "", re.MULTILINE))
        return parse_config(text, environment)

    def plan(self, host: Host, values: t.Sequence[str]) -> t.List[FileChange]:
        before = host.read(DROPIN)
        needed = bool(values) or bool(self._others(host))
        after = render_dropin(values) if needed else None
        return [] if before == after else [FileChange(DROPIN, before, after)]

    def _others(self, host: Host) -> t.List[str]:
        """Return the files beside our own that set crashkernel=, in comments too: a needless drop-in does no harm."""
        paths = [DEFAULTS] + [path for path in host.glob(DROPINS + "/*.cfg") if path != DROPIN]
        return [path for path in paths if KEYWORD in (host.read(path) or "")]

    def regenerate(self, host: Host) -> None:
        host.run(["update-grub"], timeout=REGENERATE_TIMEOUT)
