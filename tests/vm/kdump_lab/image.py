# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Disk images out of Debian's own packages, cached by a hash of what went into them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import typing as t
from pathlib import Path

from . import common, efi

SUITES = ("bookworm", "trixie", "forky")
DISK_SIZE = 6 << 30  # bytes; the file is sparse
PARTITION_OFFSET = 1 << 20  # bytes; GRUB's core image lies between the boot sector and here
GPT_END = 1 << 20  # bytes at the end of the disk, where GPT keeps its second table
ROOT_UUID = "6b64756d-7066-4c65-8574-000000000001"

# How a machine comes to its kernel, and the packages that do it: GRUB by BIOS or UEFI, or systemd-boot, which
# needs UEFI.
BOOTS = {
    "bios": ("grub-pc",),
    "uefi": ("grub-efi-amd64",),
    "systemd-boot": ("systemd-boot", "systemd-boot-efi"),
}

# What a Debian server has after installation. No kdump package: installing it is the role's job.
PACKAGES = (
    "apt",
    "busybox",
    "ca-certificates",
    "dbus",
    "e2fsprogs",
    "initramfs-tools",
    "iproute2",
    "kmod",
    "less",
    "linux-image-amd64",
    "openssh-server",
    "procps",
    "python3",
    "python3-apt",
    "sudo",
    "systemd-resolved",
    "systemd-sysv",
    "udev",
    "zstd",
)

NETWORK = """\
[Match]
Type=ether

[Network]
DHCP=ipv4
LinkLocalAddressing=ipv6
"""

CONSOLE = "console=tty0 console=ttyS0,115200"
ARGUMENTS = f"root=UUID={ROOT_UUID} ro {CONSOLE} quiet"

GRUB_DEFAULTS = f"""\
GRUB_DEFAULT=0
GRUB_TIMEOUT=0
GRUB_DISTRIBUTOR=Debian
GRUB_CMDLINE_LINUX_DEFAULT="quiet"
GRUB_CMDLINE_LINUX="{CONSOLE}"
GRUB_TERMINAL=console
"""

# Serves until the host's first update-grub, which replaces it.
GRUB_CFG = """\
set timeout=0
search --no-floppy --fs-uuid --set=root {uuid}
### BEGIN /etc/grub.d/10_linux ###
menuentry 'Debian GNU/Linux' {{
    linux /boot/vmlinuz-{kernel} {arguments}
    initrd /boot/initrd.img-{kernel}
}}
### END /etc/grub.d/10_linux ###
"""

# They exist only while the image's own initrd is built; what the role builds later must not see them.
BUILD_FILES = ("etc/initramfs-tools/conf.d/lab", "usr/share/initramfs-tools/modules.d/lab")

GRUB_CORE_MODULES = ("biosdisk", "part_msdos", "ext2", "search_fs_uuid", "normal")


class Source(t.NamedTuple):
    """One apt source line's variable parts."""

    uri: str
    suite: str
    signed_by: str = ""

    def line(self) -> str:
        # A mirror that was frozen on some day, as many CI mirrors are, goes on serving lists of testing that
        # have expired. Signatures are checked all the same.
        options = "check-valid-until=no" + (
            f" signed-by={self.signed_by}" if self.signed_by else ""
        )
        return f"deb [{options}] {self.uri} {self.suite} main"


def parse_sources(text: str) -> list[Source]:
    """Return the entries of one apt sources file, one-line or deb822, that offer binary packages of ``main``."""
    found = []
    for line in text.splitlines():
        match = re.match(r"deb\s+(?:\[[^]]*\]\s*)?(\S+)\s+(\S+)\s+(.+)", line)
        if match and "main" in match[3].split():
            found.append(Source(match[1], match[2]))
    for stanza in re.split(r"\n\s*\n", text):
        fields = dict(re.findall(r"^([A-Za-z-]+):[ \t]*(.*)$", stanza, re.MULTILINE))
        if (
            "deb" in fields.get("Types", "").split()
            and "main" in fields.get("Components", "").split()
        ):
            found += [
                Source(uri, suite)
                for uri in fields.get("URIs", "").split()
                for suite in fields.get("Suites", "").split()
            ]
    return found


def sources_for(suite: str) -> list[Source]:
    """Return the apt sources of a guest: this machine's own mirrors with the guest's suite.

    :raises LabError: this machine's apt has no Debian source, and KDUMP_LAB_MIRROR names none.
    """
    mirror = os.environ.get("KDUMP_LAB_MIRROR")
    if mirror:
        return [Source(mirror, suite)]
    files = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    entries = [
        entry for file in files if file.suffix in (".list", ".sources") and file.is_file()
        for entry in parse_sources(file.read_text())
    ]  # fmt: skip
    release = dict(
        re.findall(r'^(\w+)="?([^"\n]*)', Path("/etc/os-release").read_text(), re.MULTILINE)
    )
    own = release.get("VERSION_CODENAME", "")
    result = []
    for entry in entries:
        if release.get("ID") == "debian" and entry.suite in (
            own,
            f"{own}-updates",
            f"{own}-security",
        ):
            candidate = Source(entry.uri, suite + entry.suite[len(own) :])
            if candidate not in result:
                result.append(candidate)
    if not any(entry.suite == suite for entry in result):
        raise common.LabError(
            "No Debian source found in /etc/apt: the lab builds its machines from Debian's packages. "
            "Run it on Debian, or set KDUMP_LAB_MIRROR to the address of a Debian mirror."
        )
    return result


def proxy_lines() -> str:
    """Return this machine's apt proxy settings for a guest, in whose view this machine is 10.0.2.2."""
    dump = common.run(["apt-config", "dump"])
    lines = [
        line
        for line in dump.splitlines()
        if re.match(r"Acquire::https?::Proxy|Acquire::Check-Valid", line)
    ]
    return "".join(
        re.sub(r"//(127\.0\.0\.1|localhost)\b", "//10.0.2.2", line) + "\n" for line in lines
    )


class Image(t.NamedTuple):
    """A finished image; nothing writes to it, machines use overlays."""

    suite: str
    folder: Path
    boot: str = "bios"

    @property
    def disk(self) -> Path:
        return self.folder / "disk.raw"

    @property
    def kernel(self) -> Path:
        return self.folder / "vmlinuz"


def ensure(suite: str, boot: str = "bios") -> Image:
    """Return the image of a suite, built at the first use or when what goes into it has changed.

    :param boot: one of BOOTS.
    :raises LabError: it cannot be built; the message has the end of the build log.
    """
    if suite not in SUITES:
        raise common.LabError(f"No image is called {suite!r}; there are: {', '.join(SUITES)}")
    if boot not in BOOTS:
        raise common.LabError(f"No image boots by {boot!r}; there are: {', '.join(BOOTS)}")
    keys = common.keys()
    sources = sources_for(suite)
    proxies = proxy_lines()
    ingredients = json.dumps(
        [
            Path(__file__).read_text(),
            suite,
            [source.line() for source in sources],
            proxies,
            keys.public(keys.client),
            keys.public(keys.host),
            *([] if boot == "bios" else [boot, Path(efi.__file__).read_text()]),
        ]
    )
    digest = hashlib.sha256(ingredients.encode()).hexdigest()[:16]
    name = suite if boot == "bios" else f"{suite}-{boot}"
    folder = common.cache_dir() / "images" / f"{name}-{digest}"
    folder.parent.mkdir(exist_ok=True)
    lock = folder.parent / f"{name}-{digest}.lock"
    image = Image(suite, folder, boot)
    with common.locked(lock, f"another run builds the {name} image"):
        if not folder.exists():
            with common.step(f"building the {name} image from Debian's packages"):
                _build(image, sources, proxies, keys)
    return image


def _build(image: Image, sources: list[Source], proxies: str, keys: common.Keys) -> None:
    common.need("mmdebstrap", "mke2fs", "sfdisk", "qemu-img", "mkfs.vfat", "mcopy")
    if os.geteuid() != 0:
        raise common.LabError(
            "Building an image needs root (file owners); run it as root once, it is cached then."
        )
    work = Path(tempfile.mkdtemp(prefix=f".{image.suite}-", dir=image.folder.parent))
    log = work / "build.log"
    # mmdebstrap drops to another user for downloads in places, so the tree must be reachable.
    root = Path(tempfile.mkdtemp(prefix="kdump-lab-root-"))
    root.chmod(0o755)
    try:
        tree = root / "tree"
        _bootstrap(image, tree, sources, log)
        kernel = _customise(tree, sources, proxies, keys)
        shutil.copyfile(tree / "boot" / f"vmlinuz-{kernel}", work / "vmlinuz")
        _boot_loader(image.boot, tree, kernel)
        _disk(image.boot, tree, work / "disk.raw", log)
        work.rename(image.folder)
    except BaseException as exc:
        shown = common.tail(log, 30)
        shutil.rmtree(work, ignore_errors=True)
        if isinstance(exc, common.LabError):
            raise common.LabError(
                f"The {image.suite} image could not be built: {exc}\n{shown}"
            ) from exc
        raise
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _bootstrap(image: Image, tree: Path, sources: list[Source], log: Path) -> None:
    common.run(
        [
            "mmdebstrap",
            "--mode=root",
            "--variant=minbase",
            f"--include={','.join((*PACKAGES, *BOOTS[image.boot]))}",
            "--dpkgopt=path-exclude=/usr/share/man/*",
            "--dpkgopt=path-exclude=/usr/share/locale/*",
            # An initrd with every driver takes most of a minute to unpack under emulation; the
            # virtio drivers are all that these machines have.
            '--essential-hook=mkdir -p "$1/etc/initramfs-tools/conf.d" "$1/usr/share/initramfs-tools/modules.d"'
            f' && echo MODULES=list > "$1/{BUILD_FILES[0]}"'
            f' && printf "virtio_pci\\nvirtio_blk\\nvirtio_net\\next4\\n" > "$1/{BUILD_FILES[1]}"',
            image.suite,
            str(tree),
            *(source.line() for source in sources),
        ],
        log=log,
        env={**os.environ, "PATH": common.search_path(), "DEBIAN_FRONTEND": "noninteractive"},
    )


def _customise(tree: Path, sources: list[Source], proxies: str, keys: common.Keys) -> str:
    """Make the tree a host; return its kernel's release."""
    kernel = next((tree / "boot").glob("vmlinuz-*")).name[len("vmlinuz-") :]
    files = {
        # Packages rebuild the host's initrd when they are installed. With every driver that takes five
        # minutes under emulation, with this machine's own one.
        "etc/initramfs-tools/conf.d/drivers": "MODULES=dep\n",
        "etc/fstab": f"UUID={ROOT_UUID} / ext4 errors=remount-ro 0 1\n",
        "etc/apt/sources.list": "".join(source.line() + "\n" for source in sources),
        "etc/apt/apt.conf.d/99lab": proxies,
        "etc/systemd/network/80-lab.network": NETWORK,
        "etc/ssh/ssh_host_ed25519_key.pub": keys.public(keys.host) + "\n",
        "root/.ssh/authorized_keys": keys.public(keys.client) + "\n",
        # Empty: made anew at the first boot, so that no two machines share it.
        "etc/machine-id": "",
    }
    for name in ("rsa", "ecdsa"):
        for file in tree.glob(f"etc/ssh/ssh_host_{name}_key*"):
            file.unlink()
    # DHCP gives the name; mmdebstrap copies this machine's.
    (tree / "etc/hostname").unlink(missing_ok=True)
    for name, text in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text)
    for name in BUILD_FILES:
        (tree / name).unlink()
    (tree / "root/.ssh").chmod(0o700)
    host_key = tree / "etc/ssh/ssh_host_ed25519_key"
    host_key.write_bytes(keys.host.read_bytes())
    host_key.chmod(0o600)
    resolv = tree / "etc/resolv.conf"
    resolv.unlink(missing_ok=True)
    resolv.symlink_to("../run/systemd/resolve/stub-resolv.conf")
    common.run(
        ["chroot", str(tree), "systemctl", "enable", "systemd-networkd", "systemd-resolved", "ssh"]
    )
    # Timers of a new host that would run packages' jobs in the middle of a test.
    common.run(
        ["chroot", str(tree), "systemctl", "mask", "apt-daily.timer", "apt-daily-upgrade.timer"]
    )
    return kernel


def _boot_loader(boot: str, tree: Path, kernel: str) -> None:
    if boot != "bios":
        with (tree / "etc/fstab").open("a") as handle:
            handle.write(efi.FSTAB)
    if boot == "systemd-boot":
        efi.systemd_boot(tree, kernel, ARGUMENTS)
        return
    (tree / "etc/default/grub").write_text(GRUB_DEFAULTS)
    (tree / "boot/grub").mkdir(exist_ok=True)
    (tree / "boot/grub/grub.cfg").write_text(
        GRUB_CFG.format(uuid=ROOT_UUID, kernel=kernel, arguments=ARGUMENTS)
    )
    if boot == "uefi":
        efi.grub(tree, ROOT_UUID)
        return
    modules = tree / "boot/grub/i386-pc"
    shutil.copytree(tree / "usr/lib/grub/i386-pc", modules, dirs_exist_ok=True)
    common.run(
        [
            "chroot",
            str(tree),
            "grub-mkimage",
            "--format=i386-pc",
            "--output=/boot/grub/i386-pc/core.img",
            "--prefix=(hd0,msdos1)/boot/grub",
            *GRUB_CORE_MODULES,
        ]
    )


def _disk(boot: str, tree: Path, disk: Path, log: Path) -> None:
    """Write a bootable disk without loop devices: partition table, file systems and GRUB by offset."""
    with disk.open("wb") as handle:
        handle.truncate(DISK_SIZE)
    first = PARTITION_OFFSET
    if boot == "bios":
        root, size = first, DISK_SIZE - first
        table = f"label: dos\nstart={root // 512}, type=83, bootable\n"
    else:
        root = first + efi.SIZE
        size = DISK_SIZE - GPT_END - root
        table = (
            f"label: gpt\nstart={first // 512}, size={efi.SIZE // 512}, type=U\n"
            f"start={root // 512}, size={size // 512}, type=L\n"
        )
    subprocess.run(
        ["sfdisk", "--quiet", str(disk)],
        input=table,
        text=True,
        check=True,
        env={**os.environ, "PATH": common.search_path()},
    )
    if boot != "bios":
        efi.partition(tree, disk, first)
    common.run(
        [
            "mke2fs", "-q", "-F", "-t", "ext4", "-L", "root", "-U", ROOT_UUID,
            # Debian 12's GRUB cannot read what newer mke2fs turns on by default.
            "-O", "^metadata_csum_seed,^orphan_file",
            "-d", str(tree), "-E", f"offset={root}",
            str(disk), f"{size // 1024}k",
        ],
        log=log,
        env={**os.environ, "PATH": common.search_path()},
    )  # fmt: skip
    if boot == "bios":
        _boot_sector(tree, disk)


def _boot_sector(tree: Path, disk: Path) -> None:
    # GRUB's boot sector loads the core image from sector 1 unless told otherwise, and the core
    # image loads its rest from sector 2: what grub-install would write, byte for byte by default.
    boot = (tree / "usr/lib/grub/i386-pc/boot.img").read_bytes()
    core = (tree / "boot/grub/i386-pc/core.img").read_bytes()
    if len(core) > PARTITION_OFFSET - 512:
        raise common.LabError(
            f"GRUB's core image ({len(core)} bytes) does not fit before the partition"
        )
    with disk.open("r+b") as handle:
        handle.write(boot[:440])
        handle.seek(512)
        handle.write(core)
