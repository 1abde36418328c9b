# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""s390x with zipl: Ubuntu's menu of sections, EL's boot loader entries."""

import os
import re
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.zipl import Zipl
from ansible_collections.kdump.fleet.plugins.module_utils.runner import Result
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost
from ansible_collections.kdump.fleet.tests.unit.plugins.module_utils.loaders.base import Scenario

MACHINE = "a0b1c2d3e4f5a0b1c2d3e4f5a0b1c2d3"
ENTRIES = "/boot/loader/entries"
ROOT = "root=/dev/disk/by-path/ccw-0.0.0100-part1 rd.dasd=0.0.0100"
SCRIPT = "#!/bin/bash\n# takes the arguments of a new entry from /etc/kernel/cmdline, else from /proc/cmdline\n"

UBUNTU = f"""\
[defaultboot]
defaultmenu = menu

:menu
target = /boot
1 = ubuntu
2 = old
default = 1
prompt = 1
timeout = 10

[ubuntu]
target = /boot
image = /boot/vmlinuz
ramdisk = /boot/initrd.img
parameters = "{ROOT} crashkernel=196M BOOT_DEBUG=2"

[old]
target = /boot
image = /boot/vmlinuz.old
ramdisk = /boot/initrd.img.old
parameters = {ROOT}
optional = 1

# A dump record is nobody's kernel.
[dump]
target = /boot
dumpto = /dev/dasdb1
"""

EL = """\
[defaultboot]
defaultauto
prompt=1
timeout=5
default=Linux (5.14.0-427.el9.s390x) 9.4
target=/boot
secure=auto
"""


def zipl(host: FakeHost, argv: t.List[str]) -> Result:
    """Do as zipl: copy the arguments of what is in the menu into the bootmap, each ended by a NUL."""
    sections: t.Dict[str, t.Dict[str, str]] = {}
    section: t.Dict[str, str] = {}
    texts = [host.read(path) for path in ("/etc/zipl.conf", "/lib/s390-tools/zipl.conf")]
    for line in next(text for text in texts if text is not None).splitlines():
        text = line.split("#", 1)[0].strip()
        if text.startswith(("[", ":")):
            section = sections.setdefault(text.strip("[]"), {})
        elif text:
            key, _equals, value = text.partition("=")
            section[key.strip()] = value.strip().strip("\"'")
    for path in sorted(host.glob(f"{ENTRIES}/*.conf"), reverse=True):
        fields = dict(line.split(None, 1) for line in (host.read(path) or "").splitlines())
        sections[fields["title"]] = {"image": fields["linux"], "parameters": fields["options"]}
    menu = sections.get(":" + sections["defaultboot"].get("defaultmenu", ""))
    names = list(sections)
    if menu:
        names = [name for key, name in menu.items() if key.isdigit()]
    content = "zIPL bootmap\0"
    for name in names:
        if "image" in sections[name]:
            if not host.exists(sections[name]["image"]):
                return Result(1, "", f"Error: Image file in section '{name}': No such file")
            parmfile = sections[name].get("parmfile", "").split(",")[0]
            said = re.sub("\n+", " ", host.read(parmfile) or "") if parmfile else ""
            content += said + sections[name].get("parameters", "") + "\0"
    host.put("/boot/bootmap_temp.1", content)
    os.replace(host.path("/boot/bootmap_temp.1"), host.path("/boot/bootmap"))
    return Result(0, "Done.\n", "")


def link(host: FakeHost, name: str, target: str) -> None:
    if os.path.islink(host.path(name)):
        os.unlink(host.path(name))
    os.symlink(target, host.path(name))


def prepare_ubuntu(host: FakeHost) -> None:
    link(host, "/boot/vmlinuz", "vmlinuz-6.8.0-31-generic")
    link(host, "/boot/vmlinuz.old", "vmlinuz-6.8.0-30-generic")
    zipl(host, ["zipl"])


def add_ubuntu(host: FakeHost) -> None:
    """Do as linux-update-symlinks and the hook zz-zipl."""
    host.put("/boot/vmlinuz-6.8.0-35-generic", "")
    link(host, "/boot/vmlinuz.old", "vmlinuz-6.8.0-31-generic")
    link(host, "/boot/vmlinuz", "vmlinuz-6.8.0-35-generic")
    zipl(host, ["zipl"])


def entry(version: str, options: str) -> str:
    return (
        f"title Linux ({version}) 9.4\nversion {version}\nlinux /boot/vmlinuz-{version}\n"
        f"initrd /boot/initramfs-{version}.img\noptions {options}\ngrub_users $grub_users\n"
        "grub_arg --unrestricted\ngrub_class kernel\n"
    )


def add_el(host: FakeHost) -> None:
    """Do as 20-zipl-kernel.install and 91-zipl.install."""
    version = "5.14.0-503.el9.s390x"
    host.put(f"/boot/vmlinuz-{version}", "")
    options = (host.read("/etc/kernel/cmdline") or "").split()
    if not options:
        running = (host.read("/proc/cmdline") or "").split()
        options = [word for word in running if not word.startswith(("initrd=", "BOOT_IMAGE="))]
    host.put(f"{ENTRIES}/{MACHINE}-{version}.conf", entry(version, " ".join(options)))
    conf = re.sub(
        r"(?m)^default=.*", f"default=Linux ({version}) 9.4", host.read("/etc/zipl.conf") or ""
    )
    host.put("/etc/zipl.conf", conf)
    zipl(host, ["zipl"])


EL_FILES = {
    "/etc/zipl.conf": EL,
    "/usr/lib/kernel/install.d/20-zipl-kernel.install": SCRIPT,
    "/proc/cmdline": f"{ROOT} crashkernel=auto BOOT_IMAGE=0\n",
    "/boot/vmlinuz-5.14.0-427.el9.s390x": "",
    "/boot/vmlinuz-5.14.0-362.el9.s390x": "",
    f"/boot/vmlinuz-0-rescue-{MACHINE}": "",
    f"{ENTRIES}/{MACHINE}-5.14.0-427.el9.s390x.conf": entry(
        "5.14.0-427.el9.s390x", f"{ROOT} crashkernel=1G-4G:192M,4G-64G:256M,64G-:512M"
    ),
    f"{ENTRIES}/{MACHINE}-5.14.0-362.el9.s390x.conf": entry(
        "5.14.0-362.el9.s390x", f"{ROOT} cio_ignore=all,!condev"
    ),
    f"{ENTRIES}/{MACHINE}-0-rescue.conf": entry(
        f"0-rescue-{MACHINE}", f"{ROOT} crashkernel=auto"
    ).replace("/boot/vmlinuz-0", "/boot/vmlinuz-0"),
}

SCENARIOS = [
    Scenario(
        name="ubuntu-zipl",
        loader=Zipl,
        files={
            "/etc/zipl.conf": UBUNTU,
            "/boot/vmlinuz-6.8.0-31-generic": "",
            "/boot/vmlinuz-6.8.0-30-generic": "",
        },
        tools={"zipl": zipl},
        add_kernel=add_ubuntu,
        kernels=2,
        prepare=prepare_ubuntu,
        verified="s390-tools 2.16.0 of Debian 12: its zipl was run on the same files (qemu-s390x), its hooks were read; scan.c of s390-tools c664958",
    ),
    Scenario(
        name="el9-zipl",
        loader=Zipl,
        files=EL_FILES,
        tools={"zipl": zipl},
        add_kernel=add_el,
        kernels=2,
        prepare=lambda host: t.cast("None", zipl(host, ["zipl"])),
        verified="s390utils 2.28 of Fedora (20-zipl-kernel.install, 91-zipl.install); zipl 2.16.0 was run on the same files (qemu-s390x)",
    ),
]
