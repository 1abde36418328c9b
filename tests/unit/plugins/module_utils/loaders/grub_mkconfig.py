# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts with /etc/default/grub and grub-mkconfig, which is played here: a real shell reads the settings."""

import glob
import os
import re
import shutil
import subprocess
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.grub_mkconfig import (
    GrubMkconfig,
)
from ansible_collections.kdump.fleet.plugins.module_utils.runner import Result
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost
from ansible_collections.kdump.fleet.tests.unit.plugins.module_utils.loaders.base import (
    Scenario,
    Tool,
)

UUID = "0a1b2c3d-0000-4000-8000-00000000000a"
NAMES = ("GRUB_CMDLINE_LINUX", "GRUB_CMDLINE_LINUX_DEFAULT", "GRUB_CMDLINE_LINUX_RECOVERY", "GRUB_DISABLE_RECOVERY", "GRUB_DEFAULT")  # fmt: skip

# A part of the tool that says what it reads.
UPSTREAM_SCRIPT = """\
#! /bin/sh
set -e
if test -f ${sysconfdir}/default/grub ; then
  . ${sysconfdir}/default/grub
fi
"""
DROPIN_SCRIPT = (
    UPSTREAM_SCRIPT
    + """\
for x in ${sysconfdir}/default/grub.d/*.cfg ; do
  if [ -e "${x}" ]; then
    . "${x}"
  fi
done
"""
)

_READ = """\
[ -e "$1/etc/default/grub" ] && . "$1/etc/default/grub"
if [ "$2" = dropins ]; then
  for file in "$1"/etc/default/grub.d/*.cfg; do [ -e "$file" ] && . "$file"; done
fi
shift 2
for name; do eval "printf '%s\\n' \\"\\${$name:-}\\""; done
"""


class Style(t.NamedTuple):
    """What distributions changed in 10_linux."""

    title: str
    root: str = f"root=UUID={UUID} ro"
    command: str = "linux"
    shell: str = "sh"
    suse: bool = False


def settings(root: str, style: Style) -> t.Dict[str, str]:
    """Return what grub-mkconfig would read out of the files below a folder."""
    script = ""
    for path in glob.glob(f"{root}/usr/*bin/grub*-mkconfig"):
        with open(path, encoding="utf-8") as handle:
            script += handle.read()
    shell = shutil.which(style.shell) or style.shell
    done = subprocess.run(
        [shell, "-c", _READ, "sh", root, "dropins" if "grub.d" in script else "", *NAMES],
        stdout=subprocess.PIPE,
        check=True,
    )
    return dict(zip(NAMES, done.stdout.decode().split("\n")))


def menu(root: str, style: Style) -> str:
    """Return the grub.cfg that grub-mkconfig writes for the files below a folder."""
    said = settings(root, style)
    extra = ["${extra_cmdline}"] if style.suse else []
    always = " ".join([said["GRUB_CMDLINE_LINUX"], *extra])
    normal = f"{always} {said['GRUB_CMDLINE_LINUX_DEFAULT']}"
    recovery = f"{said['GRUB_CMDLINE_LINUX_RECOVERY'] or 'single'} {always}"
    default = said["GRUB_DEFAULT"] or "0"
    text = _header("${saved_entry}" if default == "saved" else default, style)
    text += "### BEGIN /etc/grub.d/10_linux ###\n"
    kernels = [
        path[len(root) :]
        for path in glob.glob(f"{root}/boot/vmlinuz-*") + glob.glob(f"{root}/boot/kernel-*")
    ]
    kernels.sort(key=lambda path: [int(part) for part in re.findall(r"\d+", path)], reverse=True)
    for index, kernel in enumerate(kernels):
        version = re.sub(r"^[^0-9]*-", "", os.path.basename(kernel))

        def entry(kind: str, arguments: str, kernel: str = kernel, version: str = version) -> str:
            name = f"{style.title}, with Linux {version}"
            name += {"recovery": " (recovery mode)", "fallback": " (fallback initramfs)"}.get(kind, "")  # fmt: skip
            if kind == "simple":
                name, identity = style.title, f"gnulinux-simple-{UUID}"
            else:
                identity = f"gnulinux-{version}-{kind}-{UUID}"
            classes = "--class arch --class gnu-linux --class gnu --class os"
            tab = "" if kind == "simple" else "\t"
            return (
                f"{tab}menuentry '{name}' {'--hotkey=1 ' if style.suse else ''}{classes} $menuentry_id_option '{identity}' {{\n"
                f"{tab}\tload_video\n{tab}\tset gfxpayload=keep\n{tab}\tinsmod gzio\n"
                f"{tab}\tif [ x$feature_platform_search_hint = xy ]; then\n"
                f"{tab}\t  search --no-floppy --fs-uuid --set=root --hint-bios=hd0,gpt2  {UUID}\n{tab}\telse\n"
                f"{tab}\t  search --no-floppy --fs-uuid --set=root {UUID}\n{tab}\tfi\n"
                f"{tab}\techo\t'Loading Linux {version} ...'\n"
                f"{tab}\t{style.command}\t{kernel} {style.root} {arguments}\n"
                f"{tab}\tinitrd\t/boot/initramfs-{version}.img\n{tab}}}\n"
            )

        if index == 0:
            text += entry("simple", normal)
            text += f"submenu 'Advanced options for {style.title}' $menuentry_id_option 'gnulinux-advanced-{UUID}' {{\n"
        text += entry("advanced", normal)
        if os.path.exists(f"{root}/boot/initramfs-{version}-fallback.img"):
            text += entry("fallback", normal)
        if said["GRUB_DISABLE_RECOVERY"] != "true":
            text += entry("recovery", recovery)
    text += "}\n\n### END /etc/grub.d/10_linux ###\n\n"
    return text + (_SUSE_END if style.suse else _END)


def _header(default: str, style: Style) -> str:
    text = _HEADER.replace("@DEFAULT@", default)
    return text.replace("@SUSE@", _SUSE_HEADER if style.suse else "")


_HEADER = """\
#
# DO NOT EDIT THIS FILE
#
# It is automatically generated by grub-mkconfig using templates
# from /etc/grub.d and settings from /etc/default/grub
#

### BEGIN /etc/grub.d/00_header ###
insmod part_gpt
if [ -s $prefix/grubenv ]; then
  load_env
fi
if [ "${next_entry}" ] ; then
   set default="${next_entry}"
   set next_entry=
   save_env next_entry
   set boot_once=true
else
   set default="@DEFAULT@"
fi

if [ x"${feature_menuentry_id}" = xy ]; then
  menuentry_id_option="--id"
else
  menuentry_id_option=""
fi

export menuentry_id_option

if [ "${prev_saved_entry}" ]; then
  set saved_entry="${prev_saved_entry}"
  save_env saved_entry
  set prev_saved_entry=
  save_env prev_saved_entry
  set boot_once=true
fi

function savedefault {
  if [ -z "${boot_once}" ]; then
    saved_entry="${chosen}"
    save_env saved_entry
  fi
}

function load_video {
  if [ x$feature_all_video_module = xy ]; then
    insmod all_video
  else
    insmod efi_gop
  fi
}
set timeout=5
@SUSE@### END /etc/grub.d/00_header ###

"""
# grub2-btrfs-05-grub2-mkconfig.patch: only there when a snapshot is booted.
_SUSE_HEADER = """\
if [ -n "$extra_cmdline" ]; then
  submenu "Bootable snapshot #$snapshot_num" {
    menuentry "If OK, run 'snapper rollback' and reboot." { true; }
  }
fi
hiddenentry 'Text mode' --hotkey 't' {
  set textmode=true
  terminal_output console
}
"""
_END = """\
### BEGIN /etc/grub.d/20_linux_xen ###
### END /etc/grub.d/20_linux_xen ###

### BEGIN /etc/grub.d/30_os-prober ###
menuentry 'Void Linux (on /dev/sdb1)' --class void $menuentry_id_option 'osprober-gnulinux-simple-b' {
\tlinux /boot/vmlinuz-6.6.30_1 root=/dev/sdb1
}
### END /etc/grub.d/30_os-prober ###

### BEGIN /etc/grub.d/30_uefi-firmware ###
if [ "$grub_platform" = "efi" ]; then
\tfwsetup --is-supported
\tif [ "$?" = 0 ]; then
\t\tmenuentry 'UEFI Firmware Settings' $menuentry_id_option 'uefi-firmware' {
\t\t\tfwsetup
\t\t}
\tfi
fi
### END /etc/grub.d/30_uefi-firmware ###
"""
_SUSE_END = """\
### BEGIN /etc/grub.d/20_linux_xen ###
menuentry 'SLES 15-SP6, with Xen hypervisor' --class xen $menuentry_id_option 'xen-gnulinux-simple-b' {
\tmultiboot2\t/boot/xen-4.18.gz placeholder dom0_mem=1G ${xen_rm_opts}
\tmodule2\t/boot/vmlinuz-6.4.0-150600.21-default placeholder root=UUID=b
\tmodule2\t--nounzip\t/boot/initrd-6.4.0-150600.21-default
}
### END /etc/grub.d/20_linux_xen ###

### BEGIN /etc/grub.d/80_suse_btrfs_snapshot ###
if [ -f "/.snapshots/grub-snapshot.cfg" ]; then
  source "/.snapshots/grub-snapshot.cfg"
fi
### END /etc/grub.d/80_suse_btrfs_snapshot ###
"""


def mkconfig(style: Style) -> Tool:
    """Return grub-mkconfig: it writes beside the menu, then into it."""

    def run(host: FakeHost, argv: t.List[str]) -> Result:
        if argv[1] != "-o":
            return Result(1, "", f"Unrecognized option `{argv[1]}'")
        host.put(argv[2] + ".new", menu(host.root, style))
        os.replace(host.path(argv[2] + ".new"), host.path(argv[2]))
        return Result(0, "", "Generating grub configuration file ...\ndone")

    return run


ARCH = Style("Arch Linux", f"root=UUID={UUID} rw", shell="bash")
GENTOO = Style("Gentoo GNU/Linux")
AZURE = Style("Microsoft Azure Linux")
EL7 = Style("CentOS Linux", "root=/dev/mapper/centos-root ro", command="linux16")


def installs(style: Style, config: str, *files: str) -> t.Callable[[FakeHost], None]:
    """Return what puts a kernel's files there and has the menu made anew."""

    def add(host: FakeHost) -> None:
        for path in files:
            host.put(path, "")
        mkconfig(style)(host, ["grub-mkconfig", "-o", config])

    return add


def prepare(style: Style, config: str) -> t.Callable[[FakeHost], None]:
    return installs(style, config)


def prepare_el7(host: FakeHost) -> None:
    installs(EL7, "/boot/efi/EFI/centos/grub.cfg")(host)
    os.symlink("../boot/efi/EFI/centos/grub.cfg", host.path("/etc/grub2-efi.cfg"))


SCENARIOS = [
    Scenario(
        name="arch",
        loader=GrubMkconfig,
        files={
            "/usr/bin/grub-mkconfig": UPSTREAM_SCRIPT,
            "/etc/default/grub": (
                "# GRUB boot loader configuration\n\nGRUB_DEFAULT=0\nGRUB_TIMEOUT=5\n"
                'GRUB_DISTRIBUTOR="Arch"\nGRUB_CMDLINE_LINUX_DEFAULT="loglevel=3 quiet"\nGRUB_CMDLINE_LINUX=""\n'
                "# Uncomment to disable generation of recovery mode menu entries\nGRUB_DISABLE_RECOVERY=true\n"
            ),
            "/boot/vmlinuz-linux": "",
            "/boot/initramfs-linux.img": "",
            "/boot/initramfs-linux-fallback.img": "",
            "/usr/lib/modules/6.17.1-arch1-1/pkgbase": "linux\n",
        },
        tools={"grub-mkconfig": mkconfig(ARCH)},
        # pacman runs mkinitcpio's hook; the administrator, or a hook of his own, grub-mkconfig.
        add_kernel=installs(ARCH, "/boot/grub/grub.cfg", "/boot/vmlinuz-linux-lts"),
        kernels=3,
        verified="10_linux and grub-mkconfig of GRUB 2.06 and 2.14 (run beside this), with the fallback entries of Arch's package grub, from memory",
        prepare=prepare(ARCH, "/boot/grub/grub.cfg"),
    ),
    Scenario(
        name="gentoo-saved-entry",
        loader=GrubMkconfig,
        files={
            "/usr/sbin/grub-mkconfig": UPSTREAM_SCRIPT,
            "/etc/default/grub": (
                "GRUB_DEFAULT=saved\nGRUB_CMDLINE_LINUX='net.ifnames=0 \\\n  crashkernel=1 dyndbg=\"file a.c +p\"' # serial\n"
                'GRUB_CMDLINE_LINUX="net.ifnames=0 crashkernel=256M dyndbg=\\"file drivers/a.c +p\\" \\\n  panic=30"\n'
                "GRUB_CMDLINE_LINUX_DEFAULT=quiet\n"
            ),
            "/boot/kernel-6.6.58-gentoo-dist": "",
            "/boot/kernel-6.6.47-gentoo-dist": "",
            "/boot/grub/grubenv": "# GRUB Environment Block\n"
            f"saved_entry=gnulinux-advanced-{UUID}>gnulinux-6.6.47-gentoo-dist-advanced-{UUID}\n######\n",
        },
        tools={"grub-mkconfig": mkconfig(GENTOO)},
        # installkernel[grub] runs grub-mkconfig.
        add_kernel=installs(GENTOO, "/boot/grub/grub.cfg", "/boot/kernel-6.12.5-gentoo-dist"),
        kernels=3,
        verified="10_linux and grub-mkconfig of GRUB 2.06 and 2.14 (run beside this)",
        prepare=prepare(GENTOO, "/boot/grub/grub.cfg"),
    ),
    Scenario(
        name="azure-linux-with-drop-ins",
        loader=GrubMkconfig,
        files={
            "/usr/bin/grub2-mkconfig": DROPIN_SCRIPT,
            "/etc/default/grub": 'GRUB_CMDLINE_LINUX="rd.auto=1 net.ifnames=0 lockdown=integrity"\nGRUB_CMDLINE_LINUX_DEFAULT="  $kernelopts"\n',
            "/etc/default/grub.d/50_kdump.cfg": 'GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX crashkernel=512M"\n',
            "/boot/vmlinuz-6.6.57.1-1.azl3": "",
        },
        tools={"grub2-mkconfig": mkconfig(AZURE)},
        add_kernel=installs(AZURE, "/boot/grub2/grub.cfg", "/boot/vmlinuz-6.6.64.2-1.azl3"),
        kernels=2,
        verified="grub2.spec of Azure Linux 3.0 (drop-ins), 10_linux of GRUB 2.06",
        prepare=prepare(AZURE, "/boot/grub2/grub.cfg"),
    ),
    Scenario(
        name="el7-on-efi",
        loader=GrubMkconfig,
        files={
            "/usr/sbin/grub2-mkconfig": UPSTREAM_SCRIPT,
            "/sys/firmware/efi/fw_platform_size": "64\n",
            "/etc/default/grub": 'GRUB_DISABLE_RECOVERY="true"\nGRUB_CMDLINE_LINUX="crashkernel=auto rd.lvm.lv=centos/root rhgb quiet"\n',
            "/boot/grub2/grub.cfg": "# not this one\n",
            "/boot/vmlinuz-0-rescue-0123456789abcdef0123456789abcdef": "",
            "/boot/vmlinuz-3.10.0-1160.el7.x86_64": "",
        },
        tools={"grub2-mkconfig": mkconfig(EL7)},
        # new-kernel-pkg copies the default entry; the administrator's grub2-mkconfig comes to the same.
        add_kernel=installs(
            EL7, "/boot/efi/EFI/centos/grub.cfg", "/boot/vmlinuz-3.10.0-1160.119.1.el7.x86_64"
        ),
        kernels=2,
        verified="grub2 2.02 of rhboot (10_linux); no host of EL 7 was at hand",
        prepare=prepare_el7,
    ),
]
