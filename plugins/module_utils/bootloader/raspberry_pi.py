# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""The Raspberry Pi's own firmware: the kernel's arguments are one line in cmdline.txt on the boot partition.

Raspberry Pi OS and Ubuntu leave that file alone when a kernel comes. Since 25.10, Ubuntu has copies of it: what
boots is in current/, and a new kernel is tried from new/, with a copy of current/cmdline.txt (piboot-try). Debian's
raspi-firmware writes it anew at every kernel's installation, with /etc/default/raspi-extra-cmdline at its end.
Source: config.txt's documentation (os_prefix, cmdline, conditional filters), Ubuntu's "A/B boot on Ubuntu for
Raspberry Pi", z50-raspi-firmware of Debian's raspi-firmware 1.20220830 and 1.20240424.
"""

import os
import re
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader import bls
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
    release_of,
    with_values,
)
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host

MODELS = ("/proc/device-tree/model", "/sys/firmware/devicetree/base/model")
FOLDERS = ("/boot/firmware", "/boot")  # the second one up to Raspberry Pi OS 11
DEBIAN_HOOK = "/etc/kernel/postinst.d/z50-raspi-firmware"
DEBIAN_EXTRA = "/etc/default/raspi-extra-cmdline"

# What a filter of config.txt says of a model, in the order of the model's name in the device tree.
_FILTERS = (
    ("Compute Module 5", ("pi5", "cm5")),
    ("Raspberry Pi 500", ("pi5", "pi500")),
    ("Raspberry Pi 5", ("pi5",)),
    ("Compute Module 4S", ("pi4", "cm4s")),
    ("Compute Module 4", ("pi4", "cm4")),
    ("Raspberry Pi 400", ("pi4", "pi400")),
    ("Raspberry Pi 4", ("pi4",)),
    ("Compute Module 3 Plus", ("pi3", "pi3+", "cm3", "cm3+")),
    ("Compute Module 3", ("pi3", "cm3")),
    ("Raspberry Pi 3 Model A Plus", ("pi3", "pi3+")),
    ("Raspberry Pi 3 Model B Plus", ("pi3", "pi3+")),
    ("Raspberry Pi 3", ("pi3",)),
    ("Raspberry Pi 2", ("pi2",)),
    ("Raspberry Pi Zero 2", ("pi0", "pi0w", "pi02")),
    ("Raspberry Pi Zero W", ("pi0", "pi0w")),
    ("Raspberry Pi Zero", ("pi0",)),
    ("Compute Module", ("pi1", "cm1")),
    ("Raspberry Pi Model", ("pi1",)),
)
_MODEL_FILTERS = frozenset(name for _model, names in _FILTERS for name in names)
# Programs that read no cmdline.txt: U-Boot, and UEFI firmware.
_OTHER_LOADER = re.compile(r"u-?boot|uefi|rpi_efi|\.fd\Z", re.IGNORECASE)
# The flavour at the end of a release of Raspberry Pi OS, and the file of its kernel.
_IMAGES = (("-2712", "kernel_2712.img"), ("-v8", "kernel8.img"), ("-v7l", "kernel7l.img"), ("-v7", "kernel7.img"))  # fmt: skip


class _Boot(t.NamedTuple):
    """One way in which the firmware may boot."""

    cmdline: str  # path
    kernel: str  # path
    prefix: str
    tried: bool  # it is booted once, and taken from then on if that goes well


def model(host: Host) -> str:
    """Return the board's name, or ''."""
    for path in MODELS:
        found = (host.read(path) or "").strip("\0 \n")
        if found:
            return found
    return ""


def settings(host: Host, folder: str, board: str, trying: bool) -> t.Dict[str, t.Tuple[str, str]]:
    """Return what config.txt sets on this board, each with the filter that cannot be judged here, or ''.

    :param trying: as the firmware reads it when it tries what is new.
    """
    matching = next((names for prefix, names in _FILTERS if prefix in board), ())
    found: t.Dict[str, t.Tuple[str, str]] = {}
    filters: t.Dict[
        str, t.Tuple[t.Optional[bool], str]
    ] = {}  # by kind: one replaces another of its kind

    def read(name: str, depth: int) -> None:
        for line in (host.read(f"{folder}/{name}") or "").splitlines():
            line = line.split("#", 1)[0].strip()
            section = re.match(r"\[(.*)\]$", line)
            included = re.match(r"include\s+(\S+)$", line)
            setting = re.match(r"(\w+)\s*=\s*(.*)$", line)
            if section:
                name = section.group(1).strip()
                if name.lower() == "all":
                    filters.clear()
                elif name.lower() == "none":
                    filters["none"] = (False, name)
                elif name.lower() == "tryboot":
                    filters["tryboot"] = (trying, name)
                elif name.lower() in _MODEL_FILTERS:
                    filters["model"] = (name.lower() in matching, name)
                else:
                    filters[re.sub(r"[=\d].*", "", name)] = (None, name)
            elif any(truth is False for truth, _name in filters.values()):
                continue
            elif included and depth < 5:
                read(included.group(1), depth + 1)
            elif setting:
                doubt = next((name for truth, name in filters.values() if truth is None), "")
                found[setting.group(1)] = (setting.group(2).strip(), doubt)

    read("config.txt", 0)
    return found


class RaspberryPi(BootLoader):
    """The firmware of the Raspberry Pi, which starts Linux itself."""

    name = "raspberry-pi"

    def present(self, host: Host) -> bool:
        board = model(host)
        folder = self._folder(host)
        if not board.startswith("Raspberry Pi") or folder is None:
            return False
        said = settings(host, folder, board, trying=False)
        loaders = [said.get(name, ("", ""))[0] for name in ("kernel", "armstub")]
        if any(_OTHER_LOADER.search(loader) for loader in loaders):
            return False
        try:
            return host.exists(self._boots(host)[0].cmdline)
        except BootLoaderError:
            return True  # it is one; entries() says what is wrong with it

    @staticmethod
    def _folder(host: Host) -> t.Optional[str]:
        return next((path for path in FOLDERS if host.exists(f"{path}/config.txt")), None)

    def _boots(self, host: Host) -> t.List[_Boot]:
        folder = self._folder(host)
        if folder is None:
            raise BootLoaderError(
                f"there is no config.txt in {' or '.join(FOLDERS)}; is the boot partition mounted?"
            )
        boots = []
        for trying in (False, True):
            said = settings(host, folder, model(host), trying)
            for name in ("os_prefix", "cmdline"):
                if said.get(name, ("", ""))[1]:
                    raise BootLoaderError(
                        f"{folder}/config.txt sets {name} below [{said[name][1]}], and whether that filter matches "
                        "cannot be told here; set it below [all]"
                    )
            prefix = said.get("os_prefix", ("", ""))[0]
            name = said.get("cmdline", ("cmdline.txt", ""))[0]
            # A prefix under which there is nothing is passed over.
            prefix = prefix if host.exists(f"{folder}/{prefix}{name}") else ""
            kernel = said.get("kernel", ("", ""))[0] or self._image(host)
            boots.append(_Boot(f"{folder}/{prefix}{name}", f"{folder}/{prefix}{kernel}", prefix, trying))  # fmt: skip
        usual, tried = boots
        # Ubuntu: what is new and not known to be bad is tried at the next boot.
        state = host.read_word(f"{folder}/{tried.prefix}state") or ""
        if tried.cmdline != usual.cmdline and state in ("unknown", "trying"):
            return [usual, tried]
        return [usual]

    @staticmethod
    def _image(host: Host) -> str:
        """Return the kernel's file that the firmware takes by itself, as far as the running kernel tells."""
        running = host.read_word("/proc/sys/kernel/osrelease") or ""
        return next((image for end, image in _IMAGES if running.endswith(end)), "kernel.img")

    def _release(self, host: Host, boot: _Boot, boots: t.Sequence[_Boot]) -> str:
        if release_of(boot.kernel):
            return ""  # it is in the file's name
        running = host.read_word("/proc/sys/kernel/osrelease") or ""
        if boot.prefix and not boot.tried and len(boots) > 1:
            return running
        if os.path.basename(boot.kernel) == "vmlinuz":
            link = release_of(os.path.realpath(host.path("/boot/vmlinuz")))
            return link or running
        flavour = "-" + running.rpartition("-")[2]
        newest = running
        for path in host.glob("/usr/lib/modules/*") + host.glob("/lib/modules/*"):
            release = os.path.basename(path)
            if release.endswith(flavour) and bls.compare_versions(release, newest) > 0:
                newest = release
        return newest

    def entries(self, host: Host) -> t.List[Entry]:
        boots = self._boots(host)
        entries = []
        for boot in boots:
            release = self._release(host, boot, boots)
            entries.append(
                Entry(
                    title=f"Linux {release or release_of(boot.kernel)}"
                    + (f" in {boot.prefix}" if boot.prefix else ""),
                    kernel=boot.kernel,
                    arguments=self._line(host, boot.cmdline)[0],
                    recovery=False,
                    default=boot is boots[-1],
                    release=release,
                )
            )
        return entries

    @staticmethod
    def _line(host: Host, path: str) -> t.Tuple[str, str]:
        """Return the line of a file and what ends it.

        :raises BootLoaderError: it cannot be read, or has several.
        """
        text = host.read(path)
        if text is None:
            raise BootLoaderError(
                f"{path} cannot be read; are you root on the host (become: true)?"
            )
        body = text.rstrip()
        if "\n" in body:
            raise BootLoaderError(
                f"{path} has more than one line, of which the firmware takes the first alone; "
                "make one line of it and run this again"
            )
        return body, text[len(body) :]

    def plan(
        self, host: Host, values: t.Sequence[str], argument: Argument = CRASHKERNEL
    ) -> t.List[Change]:
        changes: t.List[Change] = []
        paths = [boot.cmdline for boot in self._boots(host)]
        if DEBIAN_EXTRA in (host.read(DEBIAN_HOOK) or ""):
            before = host.read(DEBIAN_EXTRA)
            line, ending = self._line(host, DEBIAN_EXTRA) if before is not None else ("", "\n")
            after = with_values(line, values, argument)
            if after != line:
                changes.append(FileChange(DEBIAN_EXTRA, before, after + ending))
        for path in paths:
            line, ending = self._line(host, path)
            after = with_values(line, values, argument)
            if after != line:
                changes.append(FileChange(path, line + ending, after + ending))
        return changes
