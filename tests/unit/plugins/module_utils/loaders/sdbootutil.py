# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SUSE hosts with entry files that sdbootutil writes; it is played here."""

import os
import re
import shutil
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.sdbootutil import Sdbootutil
from ansible_collections.kdump.fleet.plugins.module_utils.runner import Result
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost
from ansible_collections.kdump.fleet.tests.unit.plugins.module_utils.loaders.base import (
    Scenario,
    Tool,
)
from ansible_collections.kdump.fleet.tests.unit.plugins.module_utils.loaders.pbl import (
    SYSCONFIG,
    btrfs,
    mountinfo,
)

UUID = "5d8a1c1e-0000-4000-8000-00000000000b"
DEFAULT = "/simulated-default-subvolume"
DEFAULT_ENTRY = "/simulated-default-entry"  # on a host: a variable of the firmware
ENTRIES = "/boot/efi/loader/entries"
TOKEN = "opensuse-tumbleweed"


def boot_options(host: FakeHost, snapshot: str) -> str:
    """Return the arguments of a new entry (create_boot_options, sedrootflags)."""
    inside = f"/.snapshots/{snapshot}/snapshot"
    for path in (f"{inside}/etc/kernel/cmdline", "/etc/kernel/cmdline", "/usr/lib/kernel/cmdline", "/proc/cmdline"):  # fmt: skip
        text = host.read(path)
        if text is not None:
            break
    texts = [text or ""] + [host.read(path) or "" for path in host.glob("/etc/kernel/cmdline.d/*")]
    lines = [line for text in texts for line in text.splitlines() if not line.startswith("#")]
    words = [
        word for word in " ".join(lines).split() if not re.match(r"(BOOT_IMAGE|initrd)=", word)
    ]
    words = [re.sub(r"^root=.*", f"root=UUID={UUID}", word) for word in words]
    if not any(word.startswith("root=") for word in words):
        words.append(f"root=UUID={UUID}")
    if snapshot:
        flags = f"rootflags=subvol=@{inside}"
        words = [flags if word.startswith("rootflags=") else word for word in words]
        words += [flags] * (flags not in words)
    return " ".join(words)


def add_entry(host: FakeHost, prefix: str, release: str, snapshot: str) -> str:
    """Do as 'sdbootutil add-kernel' and 'set-default-snapshot' do; return the entry's name."""
    name = f"{prefix}{TOKEN}-{release}{'-' + snapshot if snapshot else ''}.conf"
    version = f"{snapshot}@{release}" if snapshot else release
    host.put(
        f"{ENTRIES}/{name}",
        "# Boot Loader Specification type#1 entry\ntitle      openSUSE Tumbleweed\n"
        f"version    {version}\nsort-key   {TOKEN}\noptions    {boot_options(host, snapshot)}\n"
        f"linux      /{TOKEN}/{release}/linux-b021b508\ninitrd     /{TOKEN}/{release}/initrd-7b200fad\n",
    )
    host.put(DEFAULT_ENTRY, name + "\n")
    return name


def sdbootutil(host: FakeHost, argv: t.List[str]) -> Result:
    if argv[1] == "get-default":
        return Result(0, host.read(DEFAULT_ENTRY) or "", "")
    if argv[1] == "update-all-entries" and len(argv) <= 3:
        snapshot = argv[2] if len(argv) == 3 else ""
        for path in host.glob(f"{ENTRIES}/*.conf"):
            text = host.read(path) or ""
            if snapshot and f"/.snapshots/{snapshot}/snapshot" not in text:
                continue
            new = f"options    {boot_options(host, snapshot)}"
            host.put(path, re.sub(r"(?m)^options\s*.*$", new, text))
        return Result(0, "", "")
    return Result(1, "", f"ERROR: unknown command {argv[1]}")


def _install(snapshot: str, prefix: str) -> t.Callable[[FakeHost], None]:
    def add(host: FakeHost) -> None:
        add_entry(host, prefix, "6.17.2-1-default", snapshot)

    return add


def _update_microos(host: FakeHost) -> None:
    """Make a snapshot of the running one with a new kernel, and have the next boot take it."""
    shutil.copytree(host.path("/.snapshots/3/snapshot"), host.path("/.snapshots/4/snapshot"))
    host.put(DEFAULT, "4")
    add_entry(host, "", "6.17.2-1-default", "4")


def _prepare_tumbleweed(host: FakeHost) -> None:
    os.makedirs(host.path("/.snapshots/1/snapshot"))
    os.symlink(host.path("/etc"), host.path("/.snapshots/1/snapshot/etc"))
    # A read-only snapshot to go back to, from before the arguments were changed.
    host.put("/.snapshots/7/snapshot/etc/kernel/cmdline", "quiet splash=silent\n")
    add_entry(host, "snapper-", "6.16.8-1-default", "7")
    add_entry(host, "system-", "6.16.8-1-default", "1")
    add_entry(host, "system-", "6.17.1-1-default", "1")


def _prepare_microos(host: FakeHost) -> None:
    os.symlink(host.path("/.snapshots/3/snapshot/etc"), host.path("/etc"))
    add_entry(host, "", "6.16.8-1-default", "2")
    add_entry(host, "", "6.17.1-1-default", "3")


def _prepare_plain(host: FakeHost) -> None:
    add_entry(host, "", "6.16.8-1-default", "")
    add_entry(host, "", "6.17.1-1-default", "")


_TOOLS: t.Dict[str, Tool] = {"sdbootutil": sdbootutil, "btrfs": btrfs}
SCENARIOS = [
    Scenario(
        name="tumbleweed-grub2-bls",
        loader=Sdbootutil,
        files={
            "/proc/self/mountinfo": mountinfo("1"),
            "/proc/cmdline": f"BOOT_IMAGE=/boot/vmlinuz root=UUID={UUID} rootflags=subvol=@/.snapshots/1/snapshot quiet\n",
            "/etc/sysconfig/bootloader": SYSCONFIG.replace("@TYPE@", "grub2-bls"),
            "/etc/kernel/cmdline": f"splash=silent quiet security=selinux selinux=1 root=UUID={UUID}\n",
            "/etc/kernel/cmdline.d/50-console.conf": "# for all kernels\nprintk.time=1\n",
            DEFAULT: "1",
            f"{ENTRIES}/other-system.conf": "title Arch\nlinux /vmlinuz-linux\noptions root=UUID=other rw\n",
        },
        tools=_TOOLS,
        add_kernel=_install("1", "system-"),
        kernels=2,
        verified="sdbootutil 12630b2 (2026-08-21), its functions create_boot_options, install_kernel and entry_conf_file",
        prepare=_prepare_tumbleweed,
    ),
    Scenario(
        name="microos-systemd-boot-with-a-tpm",
        loader=Sdbootutil,
        files={
            "/proc/self/mountinfo": mountinfo("3", "ro,relatime"),
            "/proc/cmdline": f"root=UUID={UUID} rootflags=subvol=@/.snapshots/3/snapshot quiet\n",
            "/.snapshots/2/snapshot/etc/kernel/cmdline": "quiet\n",
            "/.snapshots/3/snapshot/etc/sysconfig/bootloader": SYSCONFIG.replace("@TYPE@", "systemd-boot"),
            "/.snapshots/3/snapshot/etc/kernel/cmdline": "quiet systemd.show_status=yes\n",
            "/.snapshots/3/snapshot/etc/crypttab": "cr_root UUID=1 none tpm2-device=auto,x-initrd.attach\n",
            "/.snapshots/3/snapshot/etc/fstab": "/etc /etc none bind,x-initrd.mount 0 0\n",
            DEFAULT: "3",
        },
        tools=_TOOLS,
        add_kernel=_update_microos,
        kernels=1,
        verified="sdbootutil 12630b2 (2026-08-21), its functions update_all_entries and update_entry_conf; 10-sdbootutil.snapper",
        prepare=_prepare_microos,
    ),
    Scenario(
        name="leap-grub2-bls-on-xfs",
        loader=Sdbootutil,
        files={
            "/proc/self/mountinfo": "62 1 253:2 / / rw,relatime shared:1 - xfs /dev/vda2 rw\n",
            "/proc/cmdline": f"BOOT_IMAGE=/boot/vmlinuz root=UUID={UUID} quiet crashkernel=1M\n",
            "/etc/sysconfig/bootloader": SYSCONFIG.replace("@TYPE@", "grub2-bls"),
            "/usr/lib/kernel/cmdline": "quiet mitigations=auto\n",
        },
        tools=_TOOLS,
        add_kernel=_install("", ""),
        kernels=2,
        verified="sdbootutil 12630b2 (2026-08-21), its functions create_boot_options and update_entries_for_this_system",
        prepare=_prepare_plain,
    ),
]  # fmt: skip
