# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""systemd-boot: Debian with entry files, a host with an extended boot partition and counted boots, and unified images."""

import configparser
import os
import struct
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.systemd_boot import (
    SystemdBoot,
)
from ansible_collections.kdump.fleet.plugins.module_utils.runner import Result
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost
from ansible_collections.kdump.fleet.tests.unit.plugins.module_utils.loaders.base import Scenario

GUID = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f"
VARIABLES = "/sys/firmware/efi/efivars"
LOADER_INFO = f"{VARIABLES}/LoaderInfo-{GUID}"
MACHINE = "0123456789abcdef0123456789abcdef"
OTHER_MACHINE = "fedcba9876543210fedcba9876543210"
OS_RELEASE = 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nVERSION="13 (trixie)"\nVERSION_ID="13"\nID=debian\n'
STUB = "#### LoaderInfo: systemd-stub 257.13-1~deb13u1 ####"


def variable(text: str) -> str:
    """Return what efivarfs shows of a variable that holds text: attributes, then UTF-16 with a zero at its end."""
    return "\x06\0\0\0" + "".join(char + "\0" for char in text + "\0")


def program(sections: t.Mapping[str, str], signed: bool = False, whole: bool = True) -> bytes:
    """Return an EFI program with these sections, as ukify lays it out."""
    table, data = b"", b""
    optional = struct.pack("<H", 0x20B).ljust(112, b"\0") + bytes(8 * 4) + struct.pack("<II", 64, 64 if signed else 0)  # fmt: skip
    start = 64 + 24 + len(optional) + 40 * len(sections)
    for name, text in sections.items():
        content = text.encode()
        stored = content.ljust((len(content) + 511) // 512 * 512, b"\0")
        table += struct.pack("<8sIIII", name.encode(), len(content), 4096, len(stored), start + len(data)).ljust(40, b"\0")  # fmt: skip
        data += stored
    head = b"MZ".ljust(60, b"\0") + struct.pack("<I", 64)
    coff = b"PE\0\0" + struct.pack("<HH", 0x8664, len(sections)).ljust(16, b"\0") + struct.pack("<HH", len(optional), 0)  # fmt: skip
    result = head + coff + optional + table + data
    return result if whole else result[:-100]


def put_program(host: FakeHost, path: str, sections: t.Mapping[str, str], **kwargs: bool) -> None:
    os.makedirs(os.path.dirname(host.path(path)), exist_ok=True)
    with open(host.path(path), "wb") as handle:
        handle.write(program(sections, **kwargs))


def image(release: str, cmdline: str, **others: str) -> t.Dict[str, str]:
    """Return the sections of a unified kernel image."""
    return {
        ".sdmagic": STUB,
        ".osrel": OS_RELEASE,
        ".cmdline": cmdline,
        ".uname": release,
        ".linux": "kernel",
        **{f".{name}": text for name, text in others.items()},
    }


def cmdline(host: FakeHost) -> str:
    """Return the arguments of a new kernel, as 90-loaderentry.install and 60-ukify.install of systemd 257 find them."""
    for path in ("/etc/kernel/cmdline", "/usr/lib/kernel/cmdline"):
        text = host.read(path)
        if text is not None:
            return " ".join(" ".join(line for line in text.splitlines() if not line.lstrip().startswith("#")).split())  # fmt: skip
    words = (host.read("/proc/cmdline") or "").split()
    return " ".join(word for word in words if not word.startswith(("BOOT_IMAGE=", "initrd=")))


def entry_file(release: str, token: str, options: str, machine: str = "") -> str:
    """Return an entry as 90-loaderentry.install of systemd 257 writes it."""
    return (
        "# Boot Loader Specification type#1 entry\n"
        "# File created by /usr/lib/kernel/install.d/90-loaderentry.install (systemd 257.13-1~deb13u1)\n"
        "title      Debian GNU/Linux 13 (trixie)\n"
        f"version    {release}\n"
        + (f"machine-id {machine}\n" if machine else "")
        + "sort-key   debian\n"
        f"options    {options}\n"
        f"linux      /{token}/{release}/linux\n"
        f"initrd     /{token}/{release}/initrd.img-{release}\n"
    )


def kernel_install(host: FakeHost, boot: str, token: str, release: str) -> None:
    """Do what 'kernel-install add' does with layout=bls."""
    options = cmdline(host)
    machine = (host.read_word("/etc/machine-id") or "") if token == MACHINE else ""
    if machine and "systemd.machine_id=" not in options:
        options += f" systemd.machine_id={machine}"
    host.put(f"{boot}/{token}/{release}/linux", "kernel")
    host.put(f"{boot}/{token}/{release}/initrd.img-{release}", "initrd")
    tries = host.read_word("/etc/kernel/tries")
    name = f"{token}-{release}" + (f"+{tries}" if tries else "")
    host.put(f"{boot}/loader/entries/{name}.conf", entry_file(release, token, options, machine))


def kernels(
    boot: str, token: str, options: str, machine: str, names: t.Mapping[str, str]
) -> t.Dict[str, str]:
    """Return the files of kernels.

    :param names: releases and the names of their entry files.
    """
    files = {}
    for release, name in names.items():
        files[f"{boot}/loader/entries/{name}"] = entry_file(release, token, options, machine)
        files[f"{boot}/{token}/{release}/linux"] = "kernel"
        files[f"{boot}/{token}/{release}/initrd.img-{release}"] = "initrd"
    return files


def unused(host: FakeHost, argv: t.List[str]) -> Result:
    raise AssertionError(f"nothing here may start {argv}")


def mounts(*places: str) -> str:
    return "/dev/vda2 / ext4 rw 0 0\n" + "".join(
        f"/dev/vda1 {place} vfat rw,umask=0077 0 0\n" for place in places
    )


DEBIAN = Scenario(
    name="debian-systemd-boot",
    loader=SystemdBoot,
    files={
        LOADER_INFO: variable("systemd-boot 257.13-1~deb13u1"),
        "/proc/self/mounts": mounts("/boot/efi"),
        "/proc/cmdline": "initrd=\\debian\\6.12.1-amd64\\initrd.img-6.12.1-amd64 root=UUID=1 ro console=ttyS0 quiet\n",
        "/etc/os-release": OS_RELEASE,
        "/etc/machine-id": MACHINE + "\n",
        "/etc/kernel/entry-token": "debian\n",
        "/boot/efi/loader/loader.conf": "timeout 3\n#console-mode keep\n",
        **kernels(
            "/boot/efi",
            "debian",
            "root=UUID=1 ro console=ttyS0 quiet",
            "",
            {
                "6.12.1-amd64": "debian-6.12.1-amd64.conf",
                "6.12.10-amd64": "debian-6.12.10-amd64.conf",
            },
        ),
    },
    tools={"kernel-install": unused},
    add_kernel=lambda host: kernel_install(host, "/boot/efi", "debian", "6.12.20-amd64"),
    kernels=2,
    verified="systemd-boot 257.13-1~deb13u1 of Debian 13, in a virtual machine; 90-loaderentry.install was run beside",
)

# Entries are named after the machine; another installation and a rescue entry lie beside them; attempts are counted.
COUNTED = Scenario(
    name="systemd-boot-counted",
    loader=SystemdBoot,
    files={
        LOADER_INFO: variable("systemd-boot 252.39-1~deb12u2"),
        f"{VARIABLES}/LoaderEntryLastBooted-{GUID}": variable(f"{MACHINE}-6.1.0-2-amd64.conf"),
        "/proc/self/mounts": mounts("/boot", "/efi"),
        "/proc/cmdline": "root=UUID=1 ro quiet splash crashkernel=64M -- init\n",
        "/etc/os-release": OS_RELEASE,
        "/etc/machine-id": MACHINE + "\n",
        "/etc/kernel/tries": "3\n",
        "/etc/kernel/cmdline": "root=UUID=1 ro\nquiet splash crashkernel=64M -- init\n",
        "/efi/loader/loader.conf": "default @saved\n",
        "/efi/EFI/systemd/systemd-bootx64.efi": "boot",
        **kernels(
            "/boot",
            MACHINE,
            f"root=UUID=1 ro quiet splash crashkernel=64M -- init systemd.machine_id={MACHINE}",
            MACHINE,
            {
                "6.1.0-1-amd64": f"{MACHINE}-6.1.0-1-amd64+0-3.conf",
                "6.1.0-2-amd64": f"{MACHINE}-6.1.0-2-amd64.conf",
                "6.1.0-3-amd64": f"{MACHINE}-6.1.0-3-amd64+2-1.conf",
            },
        ),
        **kernels(
            "/boot",
            OTHER_MACHINE,
            "root=UUID=2 ro",
            OTHER_MACHINE,
            {"6.11.0": f"{OTHER_MACHINE}-6.11.0.conf"},
        ),
        "/boot/loader/entries/rescue.conf": "title Rescue\nlinux /rescue/linux\noptions root=UUID=1\noptions systemd.unit=rescue.target\n",
        "/boot/rescue/linux": "kernel",
        "/boot/loader/entries/hand.conf": "title By hand\nlinux\t/hand/linux\noptions root=UUID=1\n"
        "options\tro crashkernel=64M quiet\noptions crashkernel=1M,low\n",
        "/boot/hand/linux": "kernel",
        "/boot/loader/entries/shell.conf": "title Shell\nefi /EFI/shell.efi\n",
        "/boot/EFI/shell.efi": "MZ",
        "/boot/loader/entries/gone.conf": "title Gone\nlinux /gone/linux\noptions root=UUID=1\n",
    },
    tools={"kernel-install": unused},
    add_kernel=lambda host: kernel_install(host, "/boot", MACHINE, "6.1.0-4-amd64"),
    kernels=4,
    verified="kernel-install and boot.c of systemd 252 and 257; the Boot Loader Specification",
)


def ukify(host: FakeHost, argv: t.List[str]) -> Result:
    """Build an add-on as 'ukify build --config --output' of systemd 257 does: nothing is replaced in one go."""
    options = dict(word[2:].split("=", 1) for word in argv if word.startswith("--"))
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(host.read(options["config"]) or "")
    section = parser["UKI"]
    if not os.path.isdir(os.path.dirname(host.path(options["output"]))):
        return Result(1, "", "FileNotFoundError")
    put_program(
        host,
        options["output"],
        {".sbat": "sbat,1\n", ".cmdline": section["Cmdline"]},
        signed="SecureBootPrivateKey" in section,
    )
    return Result(0, "", "")


def put_images(host: FakeHost) -> None:
    for release in ("6.12.1-amd64", "6.12.10-amd64"):
        put_program(
            host,
            f"/efi/EFI/Linux/debian-{release}.efi",
            image(release, "root=UUID=1 ro quiet"),
        )
    # What dual boot may put beside.
    other = image("6.11.0", "root=UUID=2 ro")
    other[".osrel"] = 'ID=fedora\nNAME="Fedora Linux"\n'
    put_program(host, "/efi/EFI/Linux/fedora-6.11.0.efi", other)


def add_image(host: FakeHost) -> None:
    """Do what 'kernel-install add' does with layout=uki."""
    release = "6.12.20-amd64"
    put_program(host, f"/efi/EFI/Linux/debian-{release}.efi", image(release, cmdline(host)))


IMAGES = Scenario(
    name="systemd-boot-uki",
    loader=SystemdBoot,
    files={
        LOADER_INFO: variable("systemd-boot 257.13-1~deb13u1"),
        "/proc/self/mounts": mounts("/efi"),
        "/proc/cmdline": "root=UUID=1 ro quiet\n",
        "/etc/os-release": OS_RELEASE,
        "/etc/machine-id": MACHINE + "\n",
        "/etc/kernel/entry-token": "debian\n",
        "/etc/kernel/install.conf": "layout=uki\n",
        "/etc/kernel/cmdline": "root=UUID=1 ro quiet\n",
        "/usr/lib/kernel/install.d/60-ukify.install": "",
        "/usr/lib/systemd/boot/efi/addonx64.efi.stub": "stub",
        "/efi/loader/loader.conf": "default debian-*\n",
    },
    prepare=put_images,
    tools={"kernel-install": unused, "ukify": ukify},
    add_kernel=add_image,
    kernels=2,
    verified="systemd-boot, systemd-stub and ukify 257.13-1~deb13u1 of Debian 13, in a virtual machine that crashed",
)

SCENARIOS = [DEBIAN, COUNTED, IMAGES]
