# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""SUSE hosts with pbl and GRUB 2; the root is a snapshot that can be written."""

import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.pbl import Pbl
from ansible_collections.kdump.fleet.plugins.module_utils.runner import Result
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost
from ansible_collections.kdump.fleet.tests.unit.plugins.module_utils.loaders.base import Scenario
from ansible_collections.kdump.fleet.tests.unit.plugins.module_utils.loaders.grub_mkconfig import (
    UPSTREAM_SCRIPT,
    UUID,
    Style,
    mkconfig,
)

CONFIG = "/boot/grub2/grub.cfg"
SUSE = Style("SLES 15-SP6", f"root=UUID={UUID} ", shell="bash", suse=True)
SUSE_EFI = SUSE._replace(title="SLES 16.0", command="linuxefi")

SYSCONFIG = """\
## Path:\tSystem/Bootloader
## Type:\tlist(grub,lilo,none,grub2,grub2-efi)
## Default:\tgrub2
#
LOADER_TYPE="@TYPE@"
SECURE_BOOT="yes"
"""
DEFAULTS = """\
# If you change this file, run 'grub2-mkconfig -o /boot/grub2/grub.cfg' afterwards to update
# /boot/grub2/grub.cfg.

GRUB_DISTRIBUTOR=
GRUB_DEFAULT=saved
GRUB_TIMEOUT=8
GRUB_CMDLINE_LINUX_DEFAULT="splash=silent mitigations=auto quiet crashkernel=298M,high crashkernel=72M,low security=apparmor"
GRUB_CMDLINE_LINUX=""
GRUB_DISABLE_RECOVERY="false"
SUSE_BTRFS_SNAPSHOT_BOOTING="true"
"""


def mountinfo(snapshot: str, options: str = "rw,relatime") -> str:
    """Return /proc/self/mountinfo of a host whose root is a snapshot."""
    return (
        f"62 1 0:33 /@/.snapshots/{snapshot}/snapshot / {options} shared:1 - btrfs /dev/vda3 {options},space_cache=v2,subvolid=268\n"
        "31 62 0:33 /@/.snapshots /.snapshots rw,relatime shared:60 - btrfs /dev/vda3 rw\n"
        "70 62 0:33 /@/boot/grub2/x86_64-efi /boot/grub2/x86_64-efi rw,relatime - btrfs /dev/vda3 rw\n"
    )


def btrfs(host: FakeHost, argv: t.List[str]) -> Result:
    """Tell the default subvolume, which the scenario keeps in a file of its own."""
    if argv[1:] != ["subvolume", "get-default", "/"]:
        return Result(1, "", "ERROR: unknown command")
    number = (host.read("/simulated-default-subvolume") or "").strip()
    return Result(0, f"ID 268 gen 42 top level 267 path @/.snapshots/{number}/snapshot\n", "")


def pbl(style: Style) -> t.Callable[[FakeHost, t.List[str]], Result]:
    def run(host: FakeHost, argv: t.List[str]) -> Result:
        if argv[1:] != ["--config"]:
            return Result(1, "", f"unknown option: {argv[1]}")
        return mkconfig(style)(host, ["grub2-mkconfig", "-o", CONFIG])

    return run


def editenv(host: FakeHost, argv: t.List[str]) -> Result:
    """On btrfs, the variables are in the file system's header, not in the file grubenv."""
    return Result(0, host.read("/simulated-environment-block") or "", "")


def add_kernel(style: Style) -> t.Callable[[FakeHost], None]:
    """Do what the kernel package's script does: bootloader_entry add, which ends in 'config'."""

    def add(host: FakeHost) -> None:
        host.put("/boot/vmlinuz-6.4.0-150600.33-default", "")
        pbl(style)(host, ["pbl", "--config"])

    return add


def _scenario(name: str, style: Style, kind: str, files: t.Dict[str, str]) -> Scenario:
    return Scenario(
        name=name,
        loader=Pbl,
        files={
            "/usr/sbin/grub2-mkconfig": UPSTREAM_SCRIPT,
            "/etc/sysconfig/bootloader": SYSCONFIG.replace("@TYPE@", kind),
            "/etc/default/grub": DEFAULTS,
            "/boot/vmlinuz-6.4.0-150600.21-default": "",
            "/boot/vmlinuz-6.4.0-150600.23-default": "",
            **files,
        },
        tools={
            "pbl": pbl(style),
            "grub2-mkconfig": mkconfig(style),
            "grub2-editenv": editenv,
            "btrfs": btrfs,
        },
        add_kernel=add_kernel(style),
        kernels=3,
        verified="perl-bootloader 1.33 and 0.947 (pbl.sh, grub2/config), grub2 2.12 of openSUSE (its patches of 10_linux and 00_header)",
        prepare=lambda host: t.cast("None", pbl(style)(host, ["pbl", "--config"])),
    )


SCENARIOS = [
    _scenario(
        "sles15-on-btrfs",
        SUSE,
        "grub2",
        {
            "/proc/self/mountinfo": mountinfo("1"),
            "/simulated-default-subvolume": "1",
            "/simulated-environment-block": (
                f"saved_entry=gnulinux-advanced-{UUID}>gnulinux-6.4.0-150600.21-default-advanced-{UUID}\n"
            ),
        },
    ),
    _scenario(
        "sles16-on-xfs-and-efi",
        SUSE_EFI,
        "grub2-efi",
        {"/proc/self/mountinfo": "62 1 253:2 / / rw,relatime shared:1 - xfs /dev/vda2 rw\n"},
    ),
]
