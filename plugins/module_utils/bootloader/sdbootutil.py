# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""SUSE's sdbootutil: systemd-boot or GRUB with entry files (LOADER_TYPE grub2-bls), on Tumbleweed, MicroOS and SLE 16.

Each kernel of each snapshot of the root has an entry file on the boot partition. A new one takes its arguments from
/etc/kernel/cmdline of its snapshot. ``sdbootutil update-all-entries`` would write those into every entry, and lose
what an administrator gave to one of them, so the entries are edited in place. Where a TPM unlocks a disk, though, it
knows the arguments; there the tool writes them, as only it can tell the TPM what the next boot will look like.
Source: sdbootutil of 2024-03 to 2026-08 (create_boot_options, update_all_entries, entry_conf_file, set_default_entry).
"""

import functools
import os
import re
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader import (
    bls,
    kernel_cmdline,
    snapshots,
)
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
    next_entry,
    with_values,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.grub_mkconfig import (
    loader_type,
)
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host

TOOL = "sdbootutil"
TYPES = ("grub2-bls", "systemd-boot")
PARTITIONS = ("/boot/efi", "/efi", "/boot")  # in this order; openSUSE has the first one
FRAGMENTS = "/etc/kernel/cmdline.d"
VENDOR_FRAGMENTS = (
    "/usr/kernel/cmdline.d"  # as sdbootutil has it; one of the same name above hides it
)
ONCE = "/sys/firmware/efi/efivars/LoaderEntryOneShot-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
TIMEOUT = 900  # seconds; the TPM's predictions take minutes on a host with many snapshots

# What sdbootutil sets by itself, or takes out.
_ITS_OWN = re.compile(r"(?:root|rootflags|initrd|BOOT_IMAGE|systemd\.machine_id)=")


class _Item(t.NamedTuple):
    file: bls.BlsEntry
    options: t.List[str]
    own: bool

    @property
    def arguments(self) -> str:
        return " ".join(self.options)


def _identity(name: str) -> str:
    """Return an entry's name without the suffix, and without what counts its tries."""
    return re.sub(r"(?:\+\d+(?:-\d+)?)?(?:\.conf)?\Z", "", name)


class Sdbootutil(BootLoader):
    """Entry files that SUSE's sdbootutil writes."""

    name = "sdbootutil"

    def present(self, host: Host) -> bool:
        return (
            host.runner.which(TOOL) is not None
            and loader_type(host) in TYPES
            and self._folder(host) is not None
        )

    @staticmethod
    def _folder(host: Host) -> t.Optional[str]:
        for partition in PARTITIONS:
            if host.glob(f"{partition}/loader/entries/*{bls.SUFFIX}"):
                return f"{partition}/loader/entries"
        return None

    @staticmethod
    def _snapshots(host: Host) -> t.List[str]:
        """Return the snapshot that runs and, if it is another one, the one that the next boot takes."""
        root = snapshots.running(host)
        if root is None:
            return []
        following = snapshots.following(host)
        return [root.snapshot] + [following] * (following not in ("", root.snapshot))

    def _items(self, host: Host) -> t.List[_Item]:
        folder = self._folder(host)
        if folder is None:
            raise BootLoaderError(
                f"no boot entry can be read in {', '.join(PARTITIONS)}; are you root on the host (become: true)?"
            )
        ours = self._snapshots(host)
        root = _root(host.read("/proc/cmdline") or "")
        found = []
        for file in bls.read_entries(host, folder):
            options = file.every("options")
            arguments = " ".join(options)
            snapshot = re.search(r"\brootflags=subvol=\S*/\.snapshots/(\d+)/snapshot\b", arguments)
            # A snapshot to go back to has its own arguments, as another system on the same disk has.
            own = snapshot.group(1) in ours if snapshot else not ours
            same = not root or not _root(arguments) or _root(arguments) == root
            found.append(_Item(file, options, own and (same or snapshot is not None)))
        return found

    def entries(self, host: Host) -> t.List[Entry]:
        items = [item for item in self._items(host) if item.file.first("linux")]
        chosen = self._chosen(host)
        names = [_identity(os.path.basename(item.file.path)) for item in items]
        if chosen not in names:
            # Both menus begin with the newest one.
            newest = functools.cmp_to_key(bls.compare_versions)
            ours = sorted((item for item in items if item.own), key=lambda it: newest(it.file.first("version")))  # fmt: skip
            chosen = _identity(os.path.basename(ours[-1].file.path)) if ours else ""
        default = names.index(chosen) if chosen in names else -1
        return [
            Entry(
                title=f"{item.file.first('title')} ({name})",
                kernel=item.file.first("linux"),
                arguments=item.arguments,
                recovery=False,
                default=index == default,
                own=item.own,
                # 15@6.17.1-1-default: the snapshot comes first.
                release=item.file.first("version").rpartition("@")[2],
            )
            for index, (item, name) in enumerate(zip(items, names))
        ]

    @staticmethod
    def _chosen(host: Host) -> str:
        """Return the name of the entry that the next boot takes."""
        # Four bytes of attributes, then UTF-16 with a zero at the end.
        once = host.read_head(ONCE, 1024)[4:].decode("utf-16-le", "ignore").rstrip("\0")
        return _identity((once or host.ask([TOOL, "get-default"]) or "").strip())

    def plan(
        self, host: Host, values: t.Sequence[str], argument: Argument = CRASHKERNEL
    ) -> t.List[Change]:
        self._refuse_vendor_words(host, argument)
        chosen = next_entry(self.entries(host))
        changes: t.List[Change] = []
        cmdline = kernel_cmdline.change(host, values, argument, chosen.arguments if chosen else "")
        if cmdline:
            changes.append(cmdline)
        for snapshot in self._snapshots(host)[1:]:
            # /etc is part of a snapshot, and can be written in one that waits for a reboot.
            path = snapshots.path(snapshot, kernel_cmdline.PATH)
            text = host.read(path)
            edited = None if text is None else kernel_cmdline.in_text(text, values, argument)
            if edited != text:
                changes.append(FileChange(path, text, edited))
        for path in host.glob(f"{FRAGMENTS}/*"):
            text = host.read(path) or ""
            lines = [line if line.startswith("#") else with_values(line, [], argument) for line in text.split("\n")]  # fmt: skip
            if "\n".join(lines) != text:
                changes.append(FileChange(path, text, "\n".join(lines)))
        if self._measured(host):
            if differing(self.entries(host), values, argument):
                self._refuse_what_the_tool_would_lose(host, argument)
            return changes
        for item in self._items(host):
            has = argument.values(item.arguments)
            if item.own and item.file.first("linux") and has != list(values):
                options = bls.set_values(item.options, values, argument)
                text = bls.with_lines(item.file.text, "options", options)
                changes.append(FileChange(item.file.path, item.file.text, text))
        return changes

    @staticmethod
    def _measured(host: Host) -> bool:
        """Say whether a TPM unlocks a disk, as sdbootutil asks itself before it updates its predictions."""
        return "tpm2-device" in (host.read("/etc/crypttab") or "")

    @staticmethod
    def _refuse_vendor_words(host: Host, argument: Argument) -> None:
        for path in host.glob(f"{VENDOR_FRAGMENTS}/*"):
            hidden = f"{FRAGMENTS}/{os.path.basename(path)}"
            if argument.named_in(host.read(path) or "") and not host.exists(hidden):
                raise BootLoaderError(
                    f"{path} adds {argument.label} to every new boot entry and is not ours to change; hide it with an empty "
                    f"file {hidden}, and run this again"
                )

    def _refuse_what_the_tool_would_lose(self, host: Host, argument: Argument) -> None:
        """See that what the tool will write into the entries are the arguments that they have."""
        texts = [host.read(kernel_cmdline.PATH) or host.read(kernel_cmdline.VENDOR) or host.read("/proc/cmdline")]  # fmt: skip
        texts += [host.read(path) for path in host.glob(f"{FRAGMENTS}/*")]
        kept = [line for text in texts for line in (text or "").split("\n") if line[:1] != "#"]
        known = _others(" ".join(kept), argument)
        for item in self._items(host):
            has = _others(item.arguments, argument)
            if item.own and has != known:
                raise BootLoaderError(
                    f"{item.file.path} and {kernel_cmdline.PATH} differ in {' '.join(sorted(has ^ known))}, and "
                    f"'{TOOL} update-all-entries', which alone can tell the TPM of new arguments, would write the "
                    "latter into the former; make them the same by hand and run this again"
                )

    def regenerate(self, host: Host) -> None:
        if self._measured(host):
            for snapshot in self._snapshots(host) or [""]:
                host.run([TOOL, "update-all-entries", *([snapshot] if snapshot else [])], timeout=TIMEOUT)  # fmt: skip


def _others(arguments: str, argument: Argument) -> t.Set[str]:
    """Return the words that neither sdbootutil nor this change decides."""
    return {
        word for word in arguments.split() if not _ITS_OWN.match(word) and not argument.values(word)
    }


def _root(arguments: str) -> str:
    found = re.findall(r"(?:^|\s)root=(\S+)", arguments)
    return found[-1] if found else ""
