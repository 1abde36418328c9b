# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""GRUB 2 as Debian and its relatives set it up: /etc/default/grub, drop-ins, update-grub."""

import os
import re
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader import grubenv
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.argument import (
    CRASHKERNEL,
    Argument,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.base import (
    BootLoader,
    BootLoaderError,
    Change,
    Entry,
    FileChange,
    differing,
)
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host

CONFIG = "/boot/grub/grub.cfg"
ENVIRONMENT = "/boot/grub/grubenv"
DEFAULTS = "/etc/default/grub"
DROPINS = "/etc/default/grub.d"
# Drop-ins are read in the order of their names, so this one has the last word, after kdump-tools.cfg.
DROPIN = DROPINS + "/zz-kdump-fleet.cfg"

LINUX_SCRIPT = "/etc/grub.d/10_linux"
# Upstream's script, Ubuntu's for ZFS, and copies that an administrator numbered anew to change the order.
_LINUX_SCRIPTS = re.compile(r"/etc/grub\.d/\d+_linux(_zfs)?\Z")
# The tool is a shell script; whether it reads drop-ins, which is no matter of the version, it says itself.
MKCONFIG_SCRIPTS = tuple(
    f"/usr/{folder}/{name}" for name in ("grub-mkconfig", "grub2-mkconfig") for folder in ("sbin", "bin")
)  # fmt: skip

# grub-mkconfig marks what each of its scripts wrote.
MARK = "### BEGIN /etc/grub.d/"

REGENERATE_TIMEOUT = 900  # seconds; os-prober on a host with many disks takes minutes

_DROPIN_TEXT = """\
# Managed by Ansible (kdump.fleet): local changes are lost at its next run.
# Takes every {label} that the files before this one set, and sets the one of {variable}.
GRUB_CMDLINE_LINUX="$(printf '%s\\n' "${{GRUB_CMDLINE_LINUX:-}}" | {sed})"
GRUB_CMDLINE_LINUX_DEFAULT="$(printf '%s\\n' "${{GRUB_CMDLINE_LINUX_DEFAULT:-}}" | {sed}){words}"
"""

# What GRUB has while nobody touches a key: what grubenv sets, and nothing else of these.
_KNOWN = frozenset(("next_entry", "saved_entry", "prev_saved_entry", "extra_cmdline"))
_KERNEL_NAME = re.compile(r"(?:vmlinu[xz]|[bz]*Image|image|kernel)(?:-|\Z)")
_HYPERVISOR = r"(?:multiboot2?|xen_hypervisor)"
_MODULE = r"(?:module2?|xen_module)"


def dropin_text(template: str, values: t.Sequence[str], argument: Argument) -> str:
    """Return a drop-in that takes the words of an argument out of a variable and puts its own in.

    :param template: with the fields label, variable, sed and words.
    """
    return template.format(
        label=argument.label,
        variable=argument.variable,
        sed=argument.sed,
        words="".join(f" {argument.word(value)}" for value in values),
    )


def render_dropin(values: t.Sequence[str], argument: Argument) -> str:
    """Return the drop-in that leaves exactly these values of an argument on the command line."""
    return dropin_text(_DROPIN_TEXT, values, argument)


def reads_dropins(host: Host) -> t.Optional[bool]:
    """Say whether grub-mkconfig reads /etc/default/grub.d: Debian's does, upstream's does not. None if it cannot be read."""
    for path in MKCONFIG_SCRIPTS:
        text = host.read(path)
        if text is not None:
            return "default/grub.d/" in text
    return None


def in_system_language(host: Host, argv: t.Sequence[str]) -> t.List[str]:
    """Return a command that writes a menu so that it does so in the language of the host, not in the C locale.

    GRUB_DEFAULT and saved_entry may name an entry by its title, and titles are translated.
    """
    for path, name in (
        ("/etc/default/locale", "LANG"),
        ("/etc/locale.conf", "LANG"),
        ("/etc/sysconfig/language", "RC_LANG"),
    ):
        found = re.findall(rf"^{name}=[\"']?([\w.@-]+)[\"']?\s*$", host.read(path) or "", re.MULTILINE)  # fmt: skip
        # English titles are those of the C locale.
        if found and not re.match(r"C\b|POSIX|en_", found[-1]):
            return ["env", "-u", "LC_ALL", "-u", "LANGUAGE", f"LANG={found[-1]}", *argv]
    return list(argv)


class _Leaf(t.NamedTuple):
    """Something that a menu starts, Linux or not."""

    selectors: t.Set[str]
    above: t.Set[str]  # the selectors of the submenus that it is in
    entries: t.List[Entry]


class _Menu:
    """Reads a grub.cfg line by line, as far as it decides what is booted."""

    def __init__(self, environment: t.Mapping[str, str], marked: bool) -> None:
        self.environment = environment
        self.variables: t.Dict[str, str] = {}  # that it sets to something fixed
        self.leaves: t.List[_Leaf] = []
        self.default = "0"
        # A file without marks was written by hand.
        self.marked = marked
        self.section = "" if marked else LINUX_SCRIPT
        # What each open brace or if belongs to, and whether GRUB goes there (None: not known).
        self.scopes: t.List[t.Tuple[str, t.Optional[bool]]] = []
        self.names: t.List[t.Tuple[str, str]] = []  # title and id of the open menus
        self.position: t.List[int] = []  # the menu's index at each level of submenus
        self.counters = [0]
        self.hypervisor = ""  # arguments of the Xen that the open entry starts

    @property
    def live(self) -> bool:
        return all(truth is not False for _kind, truth in self.scopes)

    def read(self, line: str) -> None:
        mark = re.match(r"### (BEGIN|END) (/etc/grub\.d/\S+) ###", line)
        if mark:
            self.section = mark.group(2) if mark.group(1) == "BEGIN" else ""
        elif line.startswith("if "):
            if not re.search(r"\bfi;?$", line):  # grub-mkconfig writes some in one line
                self.scopes.append(("if", self._truth(line)))
        elif re.match(r"(else|elif)\b", line) and self.scopes and self.scopes[-1][0] == "if":
            before = self.scopes.pop()[1]
            unknown = before is None or (before is False and line.startswith("elif"))
            self.scopes.append(("if", None if unknown else not before))
        elif line == "fi" and self.scopes and self.scopes[-1][0] == "if":
            self.scopes.pop()
        elif re.match(r"(function|hiddenentry)\s.*\{$", line):
            self.scopes.append((line.split()[0], True))
        elif re.match(r"(menuentry|submenu)\s.*\{$", line):
            self._open(line)
        elif re.match(r"(menuentry|submenu)\s.*\{.*\}$", line):
            self._open(line)
            self._close()
        elif line == "}" and self.scopes:
            self._close()
        elif self.live and not any(
            kind in ("function", "hiddenentry") for kind, _state in self.scopes
        ):
            self._command(line)

    def _truth(self, line: str) -> t.Optional[bool]:
        """Say whether GRUB goes into an if, as far as it is known."""
        test = re.match(r'if \[ (-n |-z |)"?\$\{?(\w+)\}?"? \]\s*;\s*then$', line)
        if not test or not (test.group(2) in _KNOWN or test.group(2) in self.environment):
            return None
        return bool(self.environment.get(test.group(2))) != (test.group(1) == "-z ")

    def _open(self, line: str) -> None:
        kind = line.split()[0]
        title = re.match(r"\w+\s+(?:'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"|(\S+))", line)
        identity = re.search(r"(?:\$menuentry_id_option|--id)[\s=]+(?:'([^']*)'|\"([^\"]*)\"|([^'\"\s]+))", line)  # fmt: skip
        self.names.append((_group(title), _group(identity)))
        self.position.append(self.counters[-1])
        if self.live:
            self.counters[-1] += 1
            if kind == "menuentry":
                above: t.Set[str] = set()
                for depth in range(1, len(self.names)):
                    above |= _selectors(self.names[:depth], self.position[:depth])
                self.leaves.append(_Leaf(_selectors(self.names, self.position), above, []))
        self.counters.append(0)
        self.scopes.append((kind, True))
        self.hypervisor = ""

    def _close(self) -> None:
        kind = self.scopes.pop()[0]
        if kind in ("menuentry", "submenu"):
            self.names.pop()
            self.position.pop()
            self.counters.pop()

    def _command(self, line: str) -> None:
        setting = re.match(r"set (\w+)=(?:\"([^\"]*)\"|'([^']*)'|(\S*))$", line)
        if setting and not self.names:
            name, value = setting.group(1), next((g for g in setting.groups()[1:] if g), "")
            if name == "default":
                variable = re.match(r"\$\{?(\w+)\}?$", value)
                self.default = self.environment.get(variable.group(1), "") if variable else value
            elif "$" not in value:
                self.variables[name] = value
        command = re.match(
            rf"(linux(?:16|efi)?|{_HYPERVISOR}|{_MODULE})\s+(?:\"([^\"]+)\"|'([^']+)'|(\S+))\s*(.*)$",
            line,
        )
        if not command or not self.names or not self.leaves:
            return
        path, arguments = next(g for g in command.groups()[1:4] if g), command.group(5).strip()
        if re.match(_HYPERVISOR, command.group(1)):
            self.hypervisor = arguments
        elif command.group(1).startswith("linux"):
            self.leaves[-1].entries.append(self._entry(path, arguments))
        elif self.hypervisor and not self.leaves[-1].entries:
            # A Xen host: the hypervisor reads crashkernel=, not the kernel that it starts. None of ours.
            entry = self._entry(path, self.hypervisor)
            self.leaves[-1].entries.append(entry._replace(own=False))

    def _entry(self, path: str, arguments: str) -> Entry:
        title, identity = self.names[-1]
        for name, value in self.variables.items():
            literal = value.replace("\\", "\\\\")
            arguments = re.sub(rf"\$(?:{name}\b|\{{{name}\}})", literal, arguments)
        base = os.path.basename(path)
        recovery = (
            "(recovery mode)" in title
            # Titles are translated, ids are not.
            or "-recovery-" in identity
            or "single" in arguments.split()
            or "-0-rescue-" in base
        )
        if self.marked:
            own = bool(_LINUX_SCRIPTS.match(self.section))
        else:
            own = bool(_KERNEL_NAME.match(base))
        return Entry(title, path, arguments, recovery, False, own)

    def entries(self) -> t.List[Entry]:
        """Return the Linux entries; the one that GRUB takes is marked, if it takes one of them."""
        chosen = next((leaf for leaf in self.leaves if self.default in leaf.selectors), None)
        if chosen is None:
            # A submenu stands for its first entry, and what names nothing for the first of all.
            inside = [leaf for leaf in self.leaves if self.default in leaf.above]
            chosen = next(iter(inside or self.leaves), None)
        result: t.List[Entry] = []
        for leaf in self.leaves:
            for index, entry in enumerate(leaf.entries):
                result.append(entry._replace(default=leaf is chosen and index == 0))
        return result


def _group(match: t.Optional["re.Match[str]"]) -> str:
    return next((group for group in match.groups() if group is not None), "") if match else ""


def _selectors(names: t.Sequence[t.Tuple[str, str]], position: t.Sequence[int]) -> t.Set[str]:
    """Return the strings by which GRUB_DEFAULT can name an entry: positions, titles or ids joined by '>'."""
    paths = {""}
    for (title, identity), index in zip(names, position):
        keys = [key.replace(">", ">>") for key in (str(index), title, identity) if key]
        paths = {f"{path}>{key}" if path else key for path in paths for key in keys}
    return paths


def parse_config(text: str, environment: t.Mapping[str, str]) -> t.List[Entry]:
    """Return the Linux entries of a grub.cfg.

    :param environment: the variables of grubenv.
    """
    menu = _Menu(environment, MARK in text)
    for line in text.splitlines():
        menu.read(line.strip())
    return menu.entries()


def generated(host: Host, path: str) -> bool:
    """Say whether grub-mkconfig wrote a menu."""
    return MARK in (host.read(path) or "")


def refuse_written_by_hand(
    path: str,
    command: str,
    entries: t.Sequence[Entry],
    values: t.Sequence[str],
    argument: Argument,
) -> None:
    """Refuse to lose what somebody wrote.

    :param path: of a menu that grub-mkconfig did not write.
    :param command: what would write it anew.
    :raises BootLoaderError: it has not these values of an argument.
    """
    if differing(entries, values, argument):
        raise BootLoaderError(
            f"{path} was written by hand, and {command!r}, which sets {argument.label}, would replace it; run that once "
            f"yourself to have a menu made of {DEFAULTS}, or put {argument.label} into {path} by hand, and run this again"
        )


def plan_dropin(host: Host, values: t.Sequence[str], argument: Argument) -> t.List[Change]:
    """Return the change of our drop-in for an argument, if it takes one."""
    dropin = argument.dropin(DROPIN)
    # Comments count too: a needless drop-in does no harm.
    paths = [DEFAULTS] + [path for path in host.glob(DROPINS + "/*.cfg") if path != dropin]
    needed = bool(values) or any(argument.named_in(host.read(path) or "") for path in paths)
    before, after = host.read(dropin), render_dropin(values, argument) if needed else None
    return [] if before == after else [FileChange(dropin, before, after)]


class Grub(BootLoader):
    """GRUB 2 with update-grub and drop-ins."""

    name = "grub"

    def present(self, host: Host) -> bool:
        return (
            host.exists(CONFIG)
            and host.exists(DEFAULTS)
            and host.runner.which("update-grub") is not None
            # Void and Manjaro have a program of this name too.
            and reads_dropins(host) is not False
        )

    def entries(self, host: Host) -> t.List[Entry]:
        text = host.read(CONFIG)
        if text is None:
            raise BootLoaderError(
                f"{CONFIG} cannot be read; are you root on the host (become: true)?"
            )
        return parse_config(text, grubenv.variables(host.read(ENVIRONMENT) or ""))

    def plan(
        self, host: Host, values: t.Sequence[str], argument: Argument = CRASHKERNEL
    ) -> t.List[Change]:
        entries = self.entries(host)
        if not generated(host, CONFIG):
            refuse_written_by_hand(CONFIG, "update-grub", entries, values, argument)
            return []
        return plan_dropin(host, values, argument)

    def regenerate(self, host: Host) -> None:
        host.run(in_system_language(host, ["update-grub"]), timeout=REGENERATE_TIMEOUT)
