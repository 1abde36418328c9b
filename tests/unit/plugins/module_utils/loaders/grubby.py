# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""EL 8, 9 and Fedora with GRUB and boot loader entries; kernels come as Red Hat's kernel-install scripts bring them."""

import os
import re
import shutil
import subprocess
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.grubby import Grubby
from ansible_collections.kdump.fleet.plugins.module_utils.runner import Result
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost
from ansible_collections.kdump.fleet.tests.unit.plugins.module_utils.loaders.base import Scenario

MACHINE = "a0b1c2d3e4f5a0b1c2d3e4f5a0b1c2d3"
ENTRIES = "/boot/loader/entries"
ROOT = "root=/dev/mapper/sys-root ro"
EL8 = "4.18.0-553.el8_10"
EL9 = "5.14.0-427"
FEDORA = "6.11.4-301.fc41"

HEADER = """\
### BEGIN /etc/grub.d/00_header ###
set pager=1

if [ -f ${config_directory}/grubenv ]; then
  load_env -f ${config_directory}/grubenv
elif [ -s $prefix/grubenv ]; then
  load_env
fi
if [ "${next_entry}" ] ; then
   set default="${next_entry}"
   set next_entry=
   save_env next_entry
   set boot_once=true
else
   set default="${saved_entry}"
fi
### END /etc/grub.d/00_header ###

### BEGIN /etc/grub.d/10_linux ###
insmod part_msdos
set root='hd0,msdos1'

# Changes are lost: edit the BootLoaderSpec files.
if [ -z "${kernelopts}" ]; then
  set kernelopts="@FALLBACK@"
fi
"""
FOOTER = "### END /etc/grub.d/10_linux ###\n"
CONFIG = HEADER + "\ninsmod blscfg\nblscfg\n" + FOOTER
EL9_SCRIPT = "#!/bin/bash\n# takes the arguments of a new entry from /etc/kernel/cmdline\n"


def entry(version: str, options: str, prefix: str = "", arch: str = "x86_64") -> str:
    """Return an entry as EL and Fedora write it."""
    return (
        f"title Linux ({version}.{arch}) 9.4\nversion {version}.{arch}\nlinux {prefix}/vmlinuz-{version}.{arch}\n"
        f"initrd {prefix}/initramfs-{version}.{arch}.img $tuned_initrd\noptions {options}\n"
        "grub_users $grub_users\ngrub_arg --unrestricted\ngrub_class rhel\n"
    )


def rescue(options: str) -> str:
    """Return the entry of dracut's rescue image."""
    return (
        f"title Linux (0-rescue-{MACHINE}) 9.4\nversion 0-rescue-{MACHINE}\nlinux /vmlinuz-0-rescue-{MACHINE}\n"
        f"initrd /initramfs-0-rescue-{MACHINE}.img\noptions {options}\ngrub_users $grub_users\n"
        "grub_arg --unrestricted\ngrub_class rhel\n"
    )


def block(**variables: str) -> str:
    """Return an environment block as grub2-editenv writes it."""
    text = "# GRUB Environment Block\n" + "".join(f"{k}={v}\n" for k, v in variables.items())
    return text + "#" * (1024 - len(text))


def editenv(host: FakeHost, **variables: str) -> None:
    """Do as 'grub2-editenv - set'."""
    old = host.read("/boot/grub2/grubenv") or block()
    known = dict(re.findall(r"^(\w+)=(.*)$", old, re.MULTILINE))
    host.put("/boot/grub2/grubenv", block(**{**known, **variables}))


def add_el8(host: FakeHost) -> None:
    """Do as 20-grub.install of EL 8: a kernel brings bls.conf along, and the newest becomes the default."""
    kernel = "4.18.0-600.el8_10"
    host.put(f"/boot/vmlinuz-{kernel}.x86_64", "")
    brought = entry(kernel, "$kernelopts $tuned_params")
    host.put(f"/usr/lib/modules/{kernel}.x86_64/bls.conf", brought)
    host.put(f"{ENTRIES}/{MACHINE}-{kernel}.x86_64.conf", brought)
    editenv(host, saved_entry=f"{MACHINE}-{kernel}.x86_64")


def written_menu(host: FakeHost, argv: t.List[str]) -> Result:
    """Do as 10_linux_bls of EL 8 on ppc64le: write the entries out as they are."""
    menu = ""
    paths = host.glob(f"{ENTRIES}/*.conf")
    for path in sorted(paths, key=lambda name: ("rescue" not in name, name), reverse=True):
        fields = dict(line.split(" ", 1) for line in (host.read(path) or "").splitlines())
        identity = os.path.basename(path)[: -len(".conf")]
        options = " ".join(fields["options"].split())
        menu += f"menuentry '{fields['title']}' --class {fields['grub_class']} {fields['grub_arg']} --id={identity} {{\n"
        menu += f"\t linux {fields['linux']} {options}\n\t initrd {fields['initrd']}\n}}\n\n"
    host.put(argv[-1] + ".new", HEADER + menu + FOOTER)
    os.replace(host.path(argv[-1] + ".new"), host.path(argv[-1]))
    return Result(0, "", "")


def add_ppc64le(host: FakeHost) -> None:
    """Do as 20-grub.install and 99-grub-mkconfig.install of EL 8 on ppc64le."""
    kernel = "4.18.0-600.el8_10"
    host.put(
        f"{ENTRIES}/{MACHINE}-{kernel}.ppc64le.conf",
        entry(kernel, "$kernelopts $tuned_params", arch="ppc64le"),
    )
    written_menu(host, ["grub2-mkconfig", "--no-grubenv-update", "-o", "/boot/grub2/grub.cfg"])


def arguments_to_come(host: FakeHost) -> str:
    """Return what 20-grub.install of EL 9 and Fedora takes for a new entry."""
    for path in ("/etc/kernel/cmdline", "/usr/lib/kernel/cmdline"):
        text = host.read(path)
        if text is not None:
            return " ".join(text.split())
    running = (host.read("/proc/cmdline") or "").split()
    return " ".join(word for word in running if not word.startswith(("BOOT_IMAGE=", "initrd=")))


def add_el9(host: FakeHost) -> None:
    """Do as 20-grub.install of EL 9."""
    kernel = "5.14.0-503.el9_5"
    host.put(
        f"{ENTRIES}/{MACHINE}-{kernel}.x86_64.conf",
        entry(kernel, arguments_to_come(host) + " $tuned_params"),
    )
    editenv(host, saved_entry=f"{MACHINE}-{kernel}.x86_64")


def mkconfig_fedora(host: FakeHost, argv: t.List[str]) -> Result:
    """Do as 10_linux of Fedora: put the arguments of /etc/default/grub into every entry and /etc/kernel/cmdline."""
    script = '. "$1/etc/default/grub"; printf "%s %s" "${GRUB_CMDLINE_LINUX:-}" "${GRUB_CMDLINE_LINUX_DEFAULT:-}"'
    shell = shutil.which("sh") or "sh"
    done = subprocess.run(
        [shell, "-c", script, "sh", host.root], stdout=subprocess.PIPE, check=True
    )
    words = f"{ROOT} {done.stdout.decode()}".strip()
    times = [host.mtime(path) or 0 for path in ("/etc/kernel/cmdline", "/etc/default/grub")]
    if times[0] < times[1]:
        host.put("/etc/kernel/cmdline", words + "\n")
    for path in host.glob(f"{ENTRIES}/*.conf"):
        text = re.sub(r"(?m)^options.*", f"options {words}", host.read(path) or "")
        host.put(path, text)
    return Result(0, "", "")


def add_fedora(host: FakeHost) -> None:
    """Do as 20-grub.install of Fedora and EL 10: a younger /etc/default/grub is taken over first."""
    times = [host.mtime(path) or 0 for path in ("/etc/kernel/cmdline", "/etc/default/grub")]
    if host.exists("/etc/kernel/cmdline") and times[0] < times[1]:
        mkconfig_fedora(host, ["grub2-mkconfig", "-o", "/etc/grub2.cfg"])
    kernel = "6.12.7-200.fc41"
    host.put(
        f"{ENTRIES}/{MACHINE}-{kernel}.x86_64.conf", entry(kernel, arguments_to_come(host), "/boot")
    )


def link_environment(host: FakeHost) -> None:
    """Have the block in the EFI partition, as EL 8 does on UEFI."""
    os.makedirs(host.path("/boot/grub2"))
    os.symlink("../efi/EFI/redhat/grubenv", host.path("/boot/grub2/grubenv"))
    os.symlink("../boot/efi/EFI/redhat/grub.cfg", host.path("/etc/grub2-efi.cfg"))


EL8_FILES = {
    "/etc/os-release": 'NAME="Linux"\nPLATFORM_ID="platform:el8"\n',
    "/etc/default/grub": (
        "GRUB_TIMEOUT=5\nGRUB_DEFAULT=saved\nGRUB_DISABLE_SUBMENU=true\n"
        'GRUB_CMDLINE_LINUX="crashkernel=auto rd.lvm.lv=sys/root rhgb quiet"\nGRUB_DISABLE_RECOVERY="true"\n'
        "GRUB_ENABLE_BLSCFG=true\n"
    ),
    f"{ENTRIES}/{MACHINE}-{EL8}.x86_64.conf": entry(EL8, "$kernelopts $tuned_params"),
    f"{ENTRIES}/{MACHINE}-4.18.0-513.el8_9.x86_64.conf": entry(
        "4.18.0-513.el8_9", f"{ROOT} crashkernel=128M rhgb quiet audit=1 $tuned_params"
    ),
    f"{ENTRIES}/{MACHINE}-{EL8}.x86_64~debug.conf": entry(
        EL8, "$kernelopts systemd.log_level=debug systemd.log_target=kmsg"
    ),
    f"{ENTRIES}/{MACHINE}-0-rescue.conf": rescue("$kernelopts"),
}
EL8_BLOCK = block(
    saved_entry=f"{MACHINE}-{EL8}.x86_64",
    boot_success="0",
    kernelopts=f"{ROOT} crashkernel=auto rd.lvm.lv=sys/root rhgb quiet",
    tuned_params="skew_tick=1 isolcpus=2-3",
)
EL8_CONFIG = CONFIG.replace("@FALLBACK@", f"{ROOT} crashkernel=auto rd.lvm.lv=sys/root rhgb quiet")

SCENARIOS = [
    Scenario(
        name="el8-grubby",
        loader=Grubby,
        files={**EL8_FILES, "/boot/grub2/grub.cfg": EL8_CONFIG, "/boot/grub2/grubenv": EL8_BLOCK},
        tools={},
        add_kernel=add_el8,
        kernels=3,
        verified="grub2 2.02-150.el8 (20-grub.install, 10_linux, blscfg.c), grubby 8.40-48.el8 (grubby-bls), tuned 92-tuned.install",
    ),
    Scenario(
        name="el8-uefi-grubby",
        loader=Grubby,
        files={
            **EL8_FILES,
            "/sys/firmware/efi/fw_platform_size": "64\n",
            "/boot/efi/EFI/redhat/grub.cfg": EL8_CONFIG,
            # No kernelopts: the menu's own fallback counts.
            "/boot/efi/EFI/redhat/grubenv": block(saved_entry=f"{MACHINE}-{EL8}.x86_64"),
        },
        tools={},
        add_kernel=add_el8,
        kernels=3,
        prepare=link_environment,
        verified="as el8-grubby, with the links of grub2-efi-x64 2.02-150.el8",
    ),
    Scenario(
        name="el8-ppc64le-grubby",
        loader=Grubby,
        files={
            "/etc/os-release": EL8_FILES["/etc/os-release"],
            "/etc/default/grub": EL8_FILES["/etc/default/grub"],
            f"{ENTRIES}/{MACHINE}-{EL8}.ppc64le.conf": entry(
                EL8, "$kernelopts $tuned_params", arch="ppc64le"
            ),
            f"{ENTRIES}/{MACHINE}-4.18.0-513.el8_9.ppc64le.conf": entry(
                "4.18.0-513.el8_9", f"{ROOT} crashkernel=2G-4G:384M,4G-:512M audit=1", "", "ppc64le"
            ),
            f"{ENTRIES}/{MACHINE}-0-rescue.conf": rescue("$kernelopts"),
            "/boot/grub2/grubenv": EL8_BLOCK,
        },
        tools={"grub2-mkconfig": written_menu},
        add_kernel=add_ppc64le,
        kernels=2,
        prepare=lambda host: t.cast("None", written_menu(host, ["", "/boot/grub2/grub.cfg"])),
        verified="grub2 2.02-150.el8: 10_linux_bls, 99-grub-mkconfig.install",
    ),
    Scenario(
        name="el9-grubby",
        loader=Grubby,
        files={
            "/etc/os-release": 'NAME="Linux"\nPLATFORM_ID="platform:el9"\n',
            "/usr/lib/kernel/install.d/20-grub.install": EL9_SCRIPT,
            "/boot/grub2/grub.cfg": CONFIG.replace(
                "@FALLBACK@", f"{ROOT} crashkernel=1G-4G:192M,4G-64G:256M,64G-:512M rhgb quiet"
            ),
            "/sys/firmware/efi/fw_platform_size": "64\n",
            "/boot/efi/EFI/redhat/grub.cfg": "search --no-floppy --fs-uuid --set=dev 1\nset prefix=($dev)/grub2\nconfigfile $prefix/grub.cfg\n",
            "/boot/grub2/grubenv": block(
                saved_entry=f"{MACHINE}-{EL9}.el9.x86_64", tuned_params="", boot_success="1"
            ),
            "/etc/kernel/cmdline": f"{ROOT} crashkernel=1G-4G:192M,4G-64G:256M,64G-:512M rhgb quiet\n",
            "/etc/default/grub": (
                "GRUB_DEFAULT=saved\n"
                "GRUB_CMDLINE_LINUX='crashkernel=1G-4G:192M,4G-64G:256M,64G-:512M rhgb quiet'\n"
                "GRUB_ENABLE_BLSCFG=true\n"
            ),
            f"{ENTRIES}/{MACHINE}-{EL9}.el9.x86_64.conf": entry(
                f"{EL9}.el9",
                f"{ROOT} crashkernel=1G-4G:192M,4G-64G:256M,64G-:512M rhgb quiet $tuned_params",
            ),
            f"{ENTRIES}/{MACHINE}-5.14.0-362.el9.x86_64.conf": entry(
                "5.14.0-362.el9", f"{ROOT} crashkernel=1G,high audit=1 crashkernel=128M,low"
            ),
            f"{ENTRIES}/{MACHINE}-{EL9}.el9.x86_64+debug.conf": entry(
                f"{EL9}.el9", f"{ROOT} rhgb quiet"
            ),
            f"{ENTRIES}/{MACHINE}-0-rescue.conf": rescue(f"{ROOT} crashkernel=192M"),
        },
        tools={},
        add_kernel=add_el9,
        kernels=3,
        verified="grub2 2.06-70.el9 (20-grub.install, 10_linux, blscfg.c), grubby 8.40-63.el9 (grubby-bls)",
    ),
    Scenario(
        name="fedora-cloud-grubby",
        loader=Grubby,
        files={
            "/etc/os-release": "NAME=Fedora\nPLATFORM_ID=platform:f41\n",
            "/usr/lib/kernel/install.d/20-grub.install": EL9_SCRIPT,
            "/proc/cmdline": f"BOOT_IMAGE=(hd0,gpt3)/boot/vmlinuz-{FEDORA}.x86_64 {ROOT} no_timer_check single\n",
            "/boot/grub2/grub.cfg": CONFIG.replace("@FALLBACK@", ROOT),
            "/boot/grub2/grubenv": block(),
            "/etc/default/grub": (
                "GRUB_DEFAULT=saved\nGRUB_CMDLINE_LINUX_DEFAULT=no_timer_check\n"
                "GRUB_ENABLE_BLSCFG=true\n"
            ),
            # The image was built under another machine's name.
            f"{ENTRIES}/ffffffffffffffffffffffffffffffff-{FEDORA}.x86_64.conf": entry(
                FEDORA, f"{ROOT} no_timer_check", "/boot"
            ),
        },
        tools={"grub2-mkconfig": mkconfig_fedora},
        add_kernel=add_fedora,
        kernels=1,
        verified="grub2 of Fedora 41 (dist-git 04cb416: 20-grub.install; rhboot/grub2 fedora-44: 10_linux, blscfg.c)",
    ),
]
