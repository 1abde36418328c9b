# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""Menus in extlinux' format: U-Boot on many boards, extlinux itself on Alpine's BIOS hosts.

Who writes the menu differs. Debian's u-boot-menu makes it at every kernel's installation (u-boot-update), from
/etc/default/u-boot and drop-ins that it reads after it; Alpine's update-extlinux does so from /etc/update-extlinux.conf.
Without such a tool, the file is somebody's own and is edited in place; a new kernel then comes as a file of the same
name (Arch Linux ARM, NVIDIA's L4T) or as an entry copied from another one.
Source: u-boot-update of u-boot-menu 4.2.2 and 4.2.4, update-extlinux of Alpine's aports, pxe_utils.c of U-Boot,
doc/syslinux.txt and doc/menu.txt of syslinux.
"""

import os
import re
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader import kernel_cmdline
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
    release_of,
    with_values,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.grub import dropin_text
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.grub_mkconfig import (
    loader_type,
    release_of_flavour,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.shell_file import (
    set_argument,
    value_of,
)
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host

U_BOOT_CONFIG = "/boot/extlinux/extlinux.conf"
CONFIGS = (U_BOOT_CONFIG, "/boot/extlinux.conf")

U_BOOT_UPDATE = "u-boot-update"
U_BOOT_DEFAULTS = "/etc/default/u-boot"
U_BOOT_SCRIPTS = ("/usr/share/u-boot-menu/read-config", "/usr/sbin/u-boot-update")
DROPINS = "/etc/u-boot-menu/conf.d"
VENDOR_DROPINS = "/usr/share/u-boot-menu/conf.d"
DROPIN = DROPINS + "/zz-kdump-fleet.conf"  # read last

ALPINE_UPDATE = "update-extlinux"
ALPINE_DEFAULTS = "/etc/update-extlinux.conf"

TIMEOUT = 300  # seconds

# Without a setting, u-boot-update takes /etc/kernel/cmdline, and root= out of it; then that file is edited instead.
_DROPIN_TEXT = """\
# Managed by Ansible (kdump.fleet): local changes are lost at its next run.
# Takes every {label} that the files before this one set, and sets the one of {variable}.
if [ -n "${{U_BOOT_PARAMETERS:-}}" ] || [ ! -f /etc/kernel/cmdline ]; then
    U_BOOT_PARAMETERS="$(printf '%s\\n' "${{U_BOOT_PARAMETERS:-ro quiet}}" | {sed}){words}"
fi
"""

_LINE = re.compile(r"^([ \t]*)(\S+)([ \t]*)(.*?)([ \t\r]*)$", re.MULTILINE)
# What such menus start beside Linux.
_FOREIGN = re.compile(r"memtest|memdisk|\.(?:c32|com|cbt|bin|bss)\Z|(?<!\d)\.0\Z", re.IGNORECASE)


class Label(t.NamedTuple):
    """One entry of a menu."""

    name: str
    title: str
    kernel: str
    append: str  # its arguments, common ones included
    written: t.Optional[str]  # its own line of them
    start: int  # of the arguments in the text; without any, where a line for them goes
    indent: str


def render_dropin(values: t.Sequence[str], argument: Argument) -> str:
    """Return the drop-in of u-boot-menu that leaves exactly these values of an argument."""
    return dropin_text(_DROPIN_TEXT, values, argument)


def parse_config(text: str, syslinux: bool = False) -> t.Tuple[t.List[Label], str]:
    """Return a menu's entries and the name of the one that it takes by itself.

    :param syslinux: ``append`` above the entries is for all that have none, and ``append -`` stands for nothing.
        U-Boot passes over the one and takes the other as it is.
    """
    labels: t.List[Label] = []
    common = ""
    default = timed_out = marked = ""
    for match in _LINE.finditer(text):
        keyword, value = match.group(2).lower(), match.group(4)
        if keyword == "menu" and re.match(r"default\b", value, re.IGNORECASE):
            marked = marked or (labels[-1].name if labels else "")
        elif keyword == "menu" and re.match(r"label\s", value, re.IGNORECASE) and labels:
            # A caret marks the key that chooses the entry.
            labels[-1] = labels[-1]._replace(title=value[len("label") :].strip().replace("^", ""))
        elif keyword == "default" and not labels:
            default = value
        elif keyword == "ontimeout" and not labels:
            timed_out = value
        elif keyword == "label":
            labels.append(Label(value, value, "", common, None, 0, ""))
        elif keyword in ("linux", "kernel") and labels:
            label = labels[-1]._replace(kernel=value)
            if label.written is None:
                label = label._replace(start=match.end(), indent=match.group(1))
            labels[-1] = label
        elif keyword == "append":
            arguments = "" if syslinux and value == "-" else value
            if labels:
                labels[-1] = labels[-1]._replace(
                    append=arguments, written=value, start=match.start(4)
                )
            elif syslinux:
                common = arguments
    names = [label.name for label in labels]
    # 'DEFAULT menu.c32' starts the menu, which then has a default of its own.
    return labels, next(
        (name for name in (timed_out, default, marked) if name in names), "".join(names[:1])
    )


def edit(text: str, values: t.Sequence[str], argument: Argument, syslinux: bool = False) -> str:
    """Return a menu in which every Linux entry that is no rescue entry has exactly these values of an argument."""
    labels, _default = parse_config(text, syslinux)
    for label in sorted(labels, key=lambda item: item.start, reverse=True):
        if not _is_linux(label) or _is_rescue(label):
            continue
        if argument.values(label.append) == list(values):
            continue
        after = with_values(label.append, values, argument) or ("-" if syslinux else "")
        if label.written is None:
            text = f"{text[: label.start]}\n{label.indent}append {after}{text[label.start :]}"
        else:
            text = text[: label.start] + after + text[label.start + len(label.written) :]
    return text


def _is_linux(label: Label) -> bool:
    return bool(label.kernel) and not _FOREIGN.search(label.kernel)


def _is_rescue(label: Label) -> bool:
    arguments = label.append.split()
    return "single" in arguments or "rescue" in arguments or "(rescue target)" in label.title


def _is_syslinux(host: Host) -> bool:
    """Say whether the menu is read by syslinux, which is for PCs; U-Boot brings a device tree."""
    return not host.exists("/proc/device-tree")


def _switch(text: str) -> str:
    try:
        return value_of(text, "U_BOOT_UPDATE") or ""
    except BootLoaderError:
        return ""


class Extlinux(BootLoader):
    """A menu in extlinux' format."""

    name = "extlinux"

    def present(self, host: Host) -> bool:
        path = self._config(host)
        return path is not None and any(map(_is_linux, parse_config(host.read(path) or "")[0]))

    @staticmethod
    def _config(host: Host) -> t.Optional[str]:
        return next((path for path in CONFIGS if host.exists(path)), None)

    def entries(self, host: Host) -> t.List[Entry]:
        path = self._config(host)
        text = host.read(path) if path else None
        if text is None:
            raise BootLoaderError(
                f"none of {', '.join(CONFIGS)} can be read; are you root on the host (become: true)?"
            )
        labels, default = parse_config(text, _is_syslinux(host))
        return [
            Entry(
                title=label.title,
                kernel=label.kernel,
                arguments=label.append,
                recovery=_is_rescue(label),
                default=label.name == default,
                release=release_of_flavour(host, label.kernel) or self._release(host, label.kernel),
            )
            for label in labels
            if _is_linux(label)
        ]

    @staticmethod
    def _release(host: Host, kernel: str) -> str:
        """Return the release of a kernel whose file has no version in its name: the only one that has modules."""
        if re.search(r"\d", release_of(kernel)):
            return ""
        known = {os.path.basename(path) for path in host.glob("/usr/lib/modules/*") + host.glob("/lib/modules/*")}  # fmt: skip
        return known.pop() if len(known) == 1 else ""

    def plan(
        self, host: Host, values: t.Sequence[str], argument: Argument = CRASHKERNEL
    ) -> t.List[Change]:
        path = self._config(host) or CONFIGS[0]
        tool = self._tool(host)
        if tool == U_BOOT_UPDATE:
            return self._plan_u_boot_menu(host, values, argument)
        if tool == ALPINE_UPDATE:
            name = "default_kernel_opts"
            return self._plan_shell_file(host, ALPINE_DEFAULTS, name, values, argument, "")
        if path == U_BOOT_CONFIG and loader_type(host) == "u-boot":
            raise BootLoaderError(
                f"{path} is made by SUSE's pbl, which kdump.fleet cannot drive with U-Boot's own menu; set "
                f"{argument.label} in U_BOOT_CMDLINE_LINUX_DEFAULT of {U_BOOT_DEFAULTS} and run 'pbl --config' by hand"
            )
        before = host.read(path) or ""
        after = edit(before, values, argument, _is_syslinux(host))
        return [] if before == after else [FileChange(path, before, after)]

    def _tool(self, host: Host) -> str:
        """Return the tool that makes the menu, or ''."""
        if self._config(host) == U_BOOT_CONFIG and host.runner.which(U_BOOT_UPDATE):
            files = [U_BOOT_DEFAULTS, *host.glob(f"{VENDOR_DROPINS}/*.conf"), *host.glob(f"{DROPINS}/*.conf")]  # fmt: skip
            said = [_switch(host.read(path) or "") for path in files]
            # Switched off, it leaves the menu to the administrator.
            if ([value for value in said if value] or ["true"])[-1] == "true":
                return U_BOOT_UPDATE
        if host.runner.which(ALPINE_UPDATE) and host.exists(ALPINE_DEFAULTS):
            return ALPINE_UPDATE
        return ""

    def _plan_u_boot_menu(
        self, host: Host, values: t.Sequence[str], argument: Argument
    ) -> t.List[Change]:
        if not any(DROPINS in (host.read(path) or "") for path in U_BOOT_SCRIPTS):
            # Before 4.1 it read that one file alone.
            return self._plan_shell_file(
                host, U_BOOT_DEFAULTS, "U_BOOT_PARAMETERS", values, argument, "ro quiet"
            )
        changes: t.List[Change] = []
        text = host.read(kernel_cmdline.PATH)
        if text is not None and text.strip() and argument.values(text) != list(values):
            edited = kernel_cmdline.in_text(text, values, argument)
            changes.append(FileChange(kernel_cmdline.PATH, text, edited))
        paths = [U_BOOT_DEFAULTS, *host.glob(f"{VENDOR_DROPINS}/*.conf"), *host.glob(f"{DROPINS}/*.conf")]  # fmt: skip
        dropin = argument.dropin(DROPIN)
        others = any(argument.named_in(host.read(path) or "") for path in paths if path != dropin)
        before = host.read(dropin)
        after = render_dropin(values, argument) if values or others else None
        if before != after:
            changes.append(FileChange(dropin, before, after))
        return changes

    def _plan_shell_file(
        self,
        host: Host,
        path: str,
        name: str,
        values: t.Sequence[str],
        argument: Argument,
        unset: str,
    ) -> t.List[Change]:
        before = host.read(path)
        try:
            after = set_argument(path, before or "", (name,), values, argument, unset)
        except BootLoaderError:
            if differing(self.entries(host), values, argument):
                raise
            return []
        return [] if after == (before or "") else [FileChange(path, before, after)]

    def regenerate(self, host: Host) -> None:
        tool = self._tool(host)
        if tool:
            host.run([tool], timeout=TIMEOUT)
