# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""zipl on s390x: sections of zipl.conf and boot loader entries, which zipl copies to where the firmware reads them.

Source: zipl/src/scan.c and job.c of s390-tools 2.9 to 2.42, the kernel-install scripts of Fedora's and EL's s390utils,
the kernel hooks of Debian's and Ubuntu's s390-tools.
"""

import os
import re
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader import bls, kernel_cmdline
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.argument import (
    CRASHKERNEL,
    Argument,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.base import (
    BootLoader,
    BootLoaderError,
    Change,
    Command,
    Entry,
    FileChange,
    release_of,
    with_values,
)
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host

CONFIG = "/etc/zipl.conf"
# zipl takes the first of them that it can read.
CONFIGS = ("/run/zipl/zipl.conf", CONFIG, "/lib/s390-tools/zipl.conf")
# SUSE boots GRUB by a small kernel that zipl starts: the arguments are GRUB's.
SUSE = ("/etc/default/zipl2grub.conf.in", "/boot/zipl/config")
OSTREE = "/run/ostree-booted"
INSTALL_SCRIPT = "/usr/lib/kernel/install.d/20-zipl-kernel.install"
BOOTMAP = "bootmap"  # what zipl writes, below target=
TIMEOUT = 300  # seconds

_LOAD_ADDRESS = re.compile(r",0?x?[0-9a-fA-F]+$")
_RESCUE = re.compile(r"(?:^|\s)(?:single|rescue|emergency|systemd\.unit=(?:rescue|emergency)\S*)(?:\s|$)")  # fmt: skip


class _Value(t.NamedTuple):
    text: str
    start: int  # of the text in the file, without quotes
    end: int
    indent: str  # of its line


class _Section(t.NamedTuple):
    """One ``[section]`` or ``:menu`` of zipl.conf."""

    name: str
    menu: bool
    values: t.Dict[str, _Value]
    numbers: t.List[t.Tuple[int, str]]  # of a menu, in the file's order


class _Target(t.NamedTuple):
    """Something that zipl can boot: a section of zipl.conf or a boot loader entry."""

    name: str
    kernel: str
    arguments: str  # one line, as zipl passes it on
    recovery: bool
    section: t.Optional[_Section]
    item: t.Optional[bls.BlsEntry]


class _Setup(t.NamedTuple):
    path: str
    text: str
    targets: t.List[_Target]  # all of them
    menu: t.List[str]  # the names that zipl puts into its menu, in its order
    default: str
    folder: str  # where the bootmap is


def parse(text: str) -> t.List[_Section]:
    """Return the sections and menus of a zipl.conf."""
    sections: t.List[_Section] = []
    at = 0
    for line in text.splitlines(keepends=True):
        stripped = line.strip()
        heading = re.match(r"\[(\S+(?: \S+)*)\]$|:(\w+)$", stripped)
        if heading:
            sections.append(
                _Section(heading.group(1) or heading.group(2), not heading.group(1), {}, [])
            )
        elif stripped and not stripped.startswith("#") and sections:
            _setting(line, at, sections[-1])
        at += len(line)
    return sections


def _setting(line: str, at: int, section: _Section) -> None:
    match = re.match(r"([ \t]*)(\w+)[ \t]*(?:=[ \t]*(.*?))?\s*$", line)
    if match is None:
        return
    key, value = match.group(2), match.group(3) or ""
    start = at + (match.start(3) if match.group(3) is not None else len(line.rstrip("\r\n")))
    if value[:1] in ("'", '"'):
        start += 1
        value = value[1:].split(value[0], 1)[0]
    if key.isdigit():
        section.numbers.append((int(key), value))
    else:
        section.values[key] = _Value(value, start, start + len(value), match.group(1))


class Zipl(BootLoader):
    """zipl, with or without boot loader entries."""

    name = "zipl"

    def present(self, host: Host) -> bool:
        if host.runner.which("zipl") is None or host.exists(OSTREE):
            return False
        return not any(host.exists(path) for path in SUSE) and (
            any(host.exists(path) for path in CONFIGS[:2])
            or (host.exists(CONFIGS[2]) and host.exists(bls.FOLDER))
        )

    def _setup(self, host: Host) -> _Setup:
        path, text = next(
            ((path, text) for path, text in ((p, host.read(p)) for p in CONFIGS) if text is not None),
            ("", ""),
        )  # fmt: skip
        if not text:
            raise BootLoaderError(
                f"none of {', '.join(CONFIGS)} can be read; are you root on the host (become: true)?"
            )
        sections = parse(text)
        targets = [
            self._section_target(host, section)
            for section in sections
            if not section.menu and "image" in section.values and "tape" not in section.values
        ]
        targets += [self._entry_target(host, item) for item in bls.grub_order(bls.read_entries(host)) if item.first("linux")]  # fmt: skip
        menu, default, folder = _defaultboot(path, sections, [target.name for target in targets])
        return _Setup(path, text, targets, menu, default, folder)

    def _section_target(self, host: Host, section: _Section) -> _Target:
        arguments = section.values["parameters"].text if "parameters" in section.values else ""
        parmfile = _parmfile(section)
        if parmfile:
            said = re.sub(r"\n+", " ", host.read(parmfile) or "")
            arguments = f"{said}{'' if not said or said.endswith(' ') else ' '}{arguments}"
        recovery = "rescue" in section.name.lower() or bool(_RESCUE.search(arguments))
        image = _LOAD_ADDRESS.sub("", section.values["image"].text)
        return _Target(section.name, _resolved(host, image), arguments, recovery, section, None)

    def _entry_target(self, host: Host, item: bls.BlsEntry) -> _Target:
        kernel = _LOAD_ADDRESS.sub("", item.first("linux"))
        if not host.exists(kernel) and host.exists("/boot" + kernel):
            kernel = "/boot" + kernel
        return _Target(
            item.first("title") or item.identity,
            _resolved(host, kernel),
            item.first("options"),
            item.rescue,
            None,
            item,
        )

    def entries(self, host: Host) -> t.List[Entry]:
        setup = self._setup(host)
        by_name = {target.name: target for target in reversed(setup.targets)}
        return [
            Entry(
                title=target.name,
                kernel=target.kernel,
                arguments=target.arguments,
                recovery=target.recovery,
                default=target.name == setup.default,
                release=release_of(target.kernel),
                path=target.item.path if target.item else "",
            )
            for target in (by_name[name] for name in setup.menu if name in by_name)
        ]

    def plan(
        self, host: Host, values: t.Sequence[str], argument: Argument = CRASHKERNEL
    ) -> t.List[Change]:
        setup = self._setup(host)
        normal = [target for target in setup.targets if not target.recovery]
        model = next((target for target in normal if target.name == setup.default), None)
        script = host.read(INSTALL_SCRIPT) or ""
        cmdline = kernel_cmdline.change(
            host,
            values,
            argument,
            model.arguments if model else "",
            create=kernel_cmdline.PATH in script,
            vendor=kernel_cmdline.VENDOR in script,
        )
        changes: t.List[Change] = [cmdline] if cmdline else []
        changes += self._targets(host, setup, normal, values, argument)
        return self._settled(host, setup, changes)

    def plan_kernels(
        self,
        host: Host,
        values: t.Sequence[str],
        chosen: t.Sequence[Entry],
        argument: Argument = CRASHKERNEL,
    ) -> t.List[Change]:
        setup = self._setup(host)
        names = [entry.title for entry in chosen]
        targets = [target for target in setup.targets if target.name in names]
        changes = self._targets(host, setup, targets, values, argument)
        paths = {change.path for change in changes}
        for target in setup.targets:
            if target.section and target not in targets and _parmfile(target.section) in paths:
                raise BootLoaderError(
                    f"the sections of {setup.path} share {_parmfile(target.section)}, so {argument.label} cannot be set for "
                    "one of them; use 'kernel: ALL'"
                )
        return self._settled(host, setup, changes)

    def _settled(self, host: Host, setup: _Setup, changes: t.Sequence[Change]) -> t.List[Change]:
        """Return the changes, or what makes those of an earlier run take effect if there is none."""
        if changes or not self._outdated(host, setup):
            return list(changes)
        return [
            Command(
                ["zipl"],
                ["zipl"],
                os.path.join(setup.folder, BOOTMAP),
                f"# written before the last change of {setup.path} or of the entries in {bls.FOLDER}\n",
                "".join(f"{target.arguments}\n" for target in self._installed(setup)),
                TIMEOUT,
            )
        ]

    def _targets(
        self,
        host: Host,
        setup: _Setup,
        targets: t.Sequence[_Target],
        values: t.Sequence[str],
        argument: Argument,
    ) -> t.List[FileChange]:
        """Return the changes of these targets' files."""
        changes = []
        for item in (target.item for target in targets if target.item):
            options = bls.set_values(item.every("options"), values, argument)
            text = bls.with_lines(item.text, "options", options)
            if text != item.text:
                changes.append(FileChange(item.path, item.text, text))
        sections = [target.section for target in targets if target.section]
        return changes + self._sections(host, setup, sections, values, argument)

    @staticmethod
    def _sections(
        host: Host,
        setup: _Setup,
        sections: t.Sequence[_Section],
        values: t.Sequence[str],
        argument: Argument,
    ) -> t.List[FileChange]:
        """Return the changes of zipl.conf and of the files that its sections name by parmfile=."""
        # A file of parameters has the words where a section has nothing else to put them.
        filled = {_parmfile(section) for section in sections if "parameters" not in section.values}
        edits: t.List[t.Tuple[int, int, str]] = []
        changes: t.List[FileChange] = []
        for path in sorted({_parmfile(section) for section in sections} - {""}):
            before = host.read(path) or ""
            after = kernel_cmdline.in_text(before, values if path in filled else [], argument)
            if after != before:
                changes.append(FileChange(path, before, after))
        for section in sections:
            wanted = [] if _parmfile(section) in filled - {""} else values
            value = section.values.get("parameters")
            if value is not None:
                text = with_values(value.text, wanted, argument)
                edits.append((value.start, value.end, text))
            elif wanted:
                image = section.values["image"]
                end = setup.text.find("\n", image.end) + 1 or len(setup.text)
                line = f'{image.indent}parameters="{argument.text(wanted)}"\n'
                edits.append((end, end, line))
        text = setup.text
        for start, end, new in sorted(edits, reverse=True):
            text = text[:start] + new + text[end:]
        if text == setup.text:
            return changes
        if setup.path != CONFIG:
            raise BootLoaderError(
                f"zipl reads {setup.path}, which is not there to be changed; move it to {CONFIG} and try again"
            )
        return [*changes, FileChange(setup.path, setup.text, text)]

    @staticmethod
    def _installed(setup: _Setup) -> t.List[_Target]:
        return [target for target in setup.targets if target.name in setup.menu]

    def _outdated(self, host: Host, setup: _Setup) -> bool:
        """Say whether zipl has not run since the last change: the firmware reads the bootmap, not these files."""
        bootmap = os.path.join(setup.folder, BOOTMAP)
        written = host.mtime(bootmap)
        if written is None:
            return False
        installed = self._installed(setup)
        inputs = {setup.path}
        inputs |= {target.item.path for target in installed if target.item}
        inputs |= {_parmfile(target.section) for target in installed if target.section} - {""}
        if all((host.mtime(path) or 0) < written for path in inputs):
            return False
        # It holds the arguments as text, each ended by a NUL.
        content = host.read(bootmap) or ""
        return any(f"{target.arguments}\0" not in content for target in installed)

    def regenerate(self, host: Host) -> None:
        setup = self._setup(host)
        if self._outdated(host, setup) or not host.exists(os.path.join(setup.folder, BOOTMAP)):
            host.run(["zipl"], timeout=TIMEOUT)


def _parmfile(section: _Section) -> str:
    value = section.values.get("parmfile")
    return _LOAD_ADDRESS.sub("", value.text) if value else ""


def _resolved(host: Host, path: str) -> str:
    """Return where links lead, so that the kernel's name tells its release."""
    root = os.path.realpath(host.root)
    found = os.path.realpath(host.path(path))
    return "/" + os.path.relpath(found, root) if found.startswith(root) else path


def _defaultboot(
    path: str, sections: t.Sequence[_Section], names: t.Sequence[str]
) -> t.Tuple[t.List[str], str, str]:
    """Return the names that zipl puts into its menu, the one that it boots, and the folder of its bootmap."""
    by_name = {(section.name, section.menu): section for section in sections}
    boot = by_name.get(("defaultboot", False))
    if boot is None:
        raise BootLoaderError(
            f"{path} has no section [defaultboot], so zipl would not know what to boot"
        )

    def said(section: t.Optional[_Section], key: str) -> str:
        value = section.values.get(key) if section else None
        return value.text if value else ""

    if "defaultauto" in boot.values or said(boot, "target"):
        default = said(boot, "default")
        if default not in names:
            default = names[0] if names else ""
        return list(names), default, said(boot, "target")
    if said(boot, "defaultmenu"):
        menu = by_name.get((said(boot, "defaultmenu"), True))
        if menu is None or not menu.numbers:
            raise BootLoaderError(f"{path} has no menu :{said(boot, 'defaultmenu')} with entries")
        numbers = dict(menu.numbers)
        chosen = said(menu, "default")
        default = numbers.get(int(chosen), "") if chosen.isdigit() else menu.numbers[0][1]
        return [name for _number, name in menu.numbers], default, said(menu, "target")
    default = said(boot, "default")
    if default not in names:
        raise BootLoaderError(f"{path} boots the section {default!r}, which is not there")
    return [default], default, said(by_name.get((default, False)), "target")
