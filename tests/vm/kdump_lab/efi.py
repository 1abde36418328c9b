# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an image that boots by UEFI has besides: the EFI system partition, and a boot loader on it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from . import common

MOUNT = "boot/efi"  # in the image's tree, where Debian has it
SIZE = 512 << 20  # bytes; room for some kernels with systemd-boot. The file is sparse
VOLUME_ID = "6B64756D"
FSTAB = f"UUID={VOLUME_ID[:4]}-{VOLUME_ID[4:]} /{MOUNT} vfat umask=0077 0 1\n"
# Where firmware looks on a disk that it knows nothing about: a new machine's variables are empty.
FALLBACK = f"{MOUNT}/EFI/BOOT/BOOTX64.EFI"

GRUB_MODULES = ("part_gpt", "ext2", "search_fs_uuid", "normal")
# Run by the core image before it looks for its configuration, as the one that grub-install writes.
GRUB_EARLY = """\
search.fs_uuid {uuid} root
set prefix=($root)/boot/grub
"""


def grub(tree: Path, root_uuid: str) -> None:
    """Make a tree boot through GRUB, with the configuration that the host's own update-grub writes."""
    shutil.copytree(tree / "usr/lib/grub/x86_64-efi", tree / "boot/grub/x86_64-efi")
    early = tree / "boot/grub/x86_64-efi/load.cfg"
    early.write_text(GRUB_EARLY.format(uuid=root_uuid))
    (tree / FALLBACK).parent.mkdir(parents=True)
    common.run(
        [
            "chroot", str(tree), "grub-mkimage", "--format=x86_64-efi", f"--output=/{FALLBACK}",
            "--prefix=/boot/grub", "--config=/boot/grub/x86_64-efi/load.cfg", *GRUB_MODULES,
        ]
    )  # fmt: skip


def systemd_boot(tree: Path, kernel: str, arguments: str) -> None:
    """Make a tree boot through systemd-boot, with an entry by kernel-install, as on a host that runs.

    :param kernel: its release.
    :param arguments: of the kernel.
    """
    # What "bootctl install --entry-token=os-id" does, which wants a mounted partition. The machine ID, which
    # names entries otherwise, is made at the machine's first boot.
    token = "debian"
    loader = tree / "usr/lib/systemd/boot/efi/systemd-bootx64.efi"
    for target in (FALLBACK, f"{MOUNT}/EFI/systemd/{loader.name}"):
        (tree / target).parent.mkdir(parents=True)
        shutil.copyfile(loader, tree / target)
    (tree / MOUNT / "EFI/Linux").mkdir()
    (tree / MOUNT / token).mkdir()
    cmdline = tree / "etc/kernel/cmdline"
    for path, text in (
        (tree / MOUNT / "loader/entries.srel", "type1\n"),
        (tree / MOUNT / "loader/loader.conf", "timeout 0\n"),
        (tree / "etc/kernel/entry-token", f"{token}\n"),
        # Without this file kernel-install would take this computer's own arguments. The host goes without
        # it, as every new Debian host with systemd-boot does.
        (cmdline, f"{arguments}\n"),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    common.run(
        [
            "chroot", str(tree), "kernel-install", "add", kernel,
            f"/boot/vmlinuz-{kernel}", f"/boot/initrd.img-{kernel}",
        ],
        env={**os.environ, "BOOT_ROOT": f"/{MOUNT}"},
    )  # fmt: skip
    # It writes paths that begin at the mount point, which is not one yet.
    entry = tree / MOUNT / f"loader/entries/{token}-{kernel}.conf"
    entry.write_text(entry.read_text().replace(f"/{MOUNT}/", "/"))
    cmdline.unlink()


def partition(tree: Path, disk: Path, offset: int) -> None:
    """Write the tree's EFI system partition into a disk image, and leave its folder empty as a mount point.

    :param offset: in the disk image, bytes.
    """
    environment = {**os.environ, "PATH": common.search_path(), "MTOOLS_SKIP_CHECK": "1"}
    common.run(
        [
            "mkfs.vfat", "-F", "32", "-n", "ESP", "-i", VOLUME_ID,
            "--offset", str(offset // 512), str(disk), str(SIZE // 1024),
        ],
        env=environment,
    )  # fmt: skip
    found = sorted((tree / MOUNT).iterdir())
    common.run(
        ["mcopy", "-s", "-Q", "-i", f"{disk}@@{offset}", *(str(path) for path in found), "::/"],
        env=environment,
    )
    for path in found:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
