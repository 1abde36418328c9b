# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts with a read-only root; transactional-update is played on folders, with /etc as before and since version 5."""

import glob
import os
import re
import shutil
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.transactional_update import (
    TransactionalUpdate,
)
from ansible_collections.kdump.fleet.plugins.module_utils.runner import Result
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost
from ansible_collections.kdump.fleet.tests.unit.plugins.module_utils.loaders.base import Scenario
from ansible_collections.kdump.fleet.tests.unit.plugins.module_utils.loaders.grub_mkconfig import (
    UPSTREAM_SCRIPT,
    UUID,
    Style,
    menu,
)
from ansible_collections.kdump.fleet.tests.unit.plugins.module_utils.loaders.pbl import (
    SYSCONFIG,
    btrfs,
    mountinfo,
)

STYLE = Style("openSUSE MicroOS", f"root=UUID={UUID} ", shell="bash", suse=True)
DEFAULT = "/simulated-default-subvolume"
RUNNING = "3"
CONFIG = "/boot/grub2/grub.cfg"
DEFAULTS = "/etc/default/grub"
TEXT = """\
GRUB_CMDLINE_LINUX_DEFAULT="quiet systemd.show_status=yes"
GRUB_CMDLINE_LINUX="console=ttyS0,115200"
GRUB_DISABLE_RECOVERY=true
SUSE_BTRFS_SNAPSHOT_BOOTING="true"
"""


def _inside(snapshot: str, path: str) -> str:
    return f"/.snapshots/{snapshot}/snapshot{path}"


def _overlay(*layers: str) -> str:
    """Return the line of a snapshot's fstab by which the initrd mounts /etc."""
    lower = ":".join([*(f"/sysroot/var/lib/overlay/{layer}/etc" for layer in layers[1:]), "/sysroot/etc"])  # fmt: skip
    return (
        f"overlay /etc overlay defaults,lowerdir={lower},upperdir=/sysroot/var/lib/overlay/{layers[0]}/etc,"
        f"workdir=/sysroot/var/lib/overlay/{layers[0]}/work-etc,x-systemd.requires-mounts-for=/var,x-initrd.mount 0 0\n"
    )


def _with_etc(host: FakeHost, snapshot: str) -> str:
    """Return the text of /etc/default/grub as a process in a snapshot sees it."""
    layers = re.findall(r"/var/lib/overlay/(\d+)/etc\b", host.read(_inside(snapshot, "/etc/fstab")) or "")  # fmt: skip
    if layers:
        upper = layers[-1]  # the option upperdir comes last
        for layer in [upper, *layers[:-1]]:
            # The running overlay cannot be mounted twice; tukit puts /etc itself in its place.
            path = DEFAULTS if layer == RUNNING else f"/var/lib/overlay/{layer}{DEFAULTS}"
            text = host.read(path)
            if text is not None:
                return text
    return host.read(_inside(snapshot, DEFAULTS)) or ""


def _open(host: FakeHost, base: str) -> str:
    """Make a snapshot of another one, as 'tukit open' does."""
    numbers = [int(os.path.basename(path)) for path in glob.glob(host.path("/.snapshots/*"))]
    new = str(max(numbers) + 1)
    shutil.copytree(host.path(_inside(base, "")), host.path(_inside(new, "")), symlinks=True)
    table = host.read(_inside(base, "/etc/fstab")) or ""
    if "overlay" in table:
        layers = re.findall(r"/var/lib/overlay/(\d+)/etc\b", table)
        host.put(_inside(new, "/etc/fstab"), _overlay(new, layers[-1], *layers[:-1]))
        return new
    # snapper/50-etc: what /etc was like when the snapshot was made is kept beside it.
    there = host.path(_inside(new, "/etc"))
    synced = os.path.join(there, "etc.syncpoint")
    if os.path.exists(os.path.join(synced, "transactional-update.comparewith")):
        # Made of one that was made of the running one: take over what has changed here since.
        for path in ("default/grub",):
            before = host.read(_inside(new, f"/etc/etc.syncpoint/{path}"))
            ours, here = host.read(_inside(new, f"/etc/{path}")), host.read(f"/etc/{path}")
            if ours == before and here is not None:
                host.put(_inside(new, f"/etc/{path}"), here)
        shutil.rmtree(synced)
        shutil.copytree(
            host.path("/etc"), synced, symlinks=True, ignore=shutil.ignore_patterns("etc.syncpoint")
        )
    elif base == RUNNING:
        shutil.copytree(
            there, synced, symlinks=True, ignore=shutil.ignore_patterns("etc.syncpoint")
        )
    host.put(_inside(new, "/etc/etc.syncpoint/transactional-update.comparewith"), RUNNING)
    return new


def _mkconfig(host: FakeHost, snapshot: str) -> None:
    """Run grub2-mkconfig in a snapshot."""
    root = host.path(_inside(snapshot, ""))
    kept = host.read(_inside(snapshot, DEFAULTS))
    host.put(_inside(snapshot, DEFAULTS), _with_etc(host, snapshot))
    text = menu(root, STYLE)
    if kept is not None:
        host.put(_inside(snapshot, DEFAULTS), kept)
    host.put(_inside(snapshot, CONFIG), text)


def transactional_update(host: FakeHost, argv: t.List[str]) -> Result:
    arguments = [word for word in argv[1:] if word not in ("--non-interactive", "--no-selfupdate")]
    if arguments[0] == "rollback":
        host.put(DEFAULT, arguments[1])
        # What snapper's own clean-up does a while later: drop the snapshots that nothing takes.
        for path in glob.glob(host.path("/.snapshots/*")):
            if int(os.path.basename(path)) > int(arguments[1]):
                shutil.rmtree(path)
        return Result(0, f"Rollback to snapshot {arguments[1]}...\n", "")
    if arguments[0] == "--continue" and arguments[2:] == ["grub.cfg"]:
        new = _open(host, arguments[1])
        _mkconfig(host, new)
        host.put(DEFAULT, new)
        return Result(0, f"New default snapshot is #{new} (/.snapshots/{new}/snapshot).\n", "")
    return Result(1, "", "Syntax: transactional-update [option...] [general-command...]")


def add_kernel(host: FakeHost) -> None:
    """Do as the nightly update does: from the snapshot that runs, not from the one that waits."""
    new = _open(host, RUNNING)
    host.put(_inside(new, "/boot/vmlinuz-6.17.2-1-default"), "")
    _mkconfig(host, new)
    host.put(DEFAULT, new)


def _prepare_subvolume(host: FakeHost) -> None:
    # /etc is a bind mount of the snapshot's own folder.
    os.symlink(os.path.join(host.root, _inside(RUNNING, "/etc").lstrip("/")), host.path("/etc"))
    os.symlink(os.path.join(host.root, _inside(RUNNING, "/boot").lstrip("/")), host.path("/boot"))
    _mkconfig(host, RUNNING)


def _prepare_overlay(host: FakeHost) -> None:
    os.symlink(os.path.join(host.root, _inside(RUNNING, "/boot").lstrip("/")), host.path("/boot"))
    _mkconfig(host, RUNNING)


def _prepare_waiting(host: FakeHost) -> None:
    """Let an update wait for a reboot."""
    _prepare_subvolume(host)
    new = _open(host, RUNNING)
    host.put(_inside(new, "/etc/some-package.conf"), "")
    host.put(DEFAULT, new)


def _scenario(
    name: str, prepare: t.Callable[[FakeHost], None], files: t.Dict[str, str]
) -> Scenario:
    return Scenario(
        name=name,
        loader=TransactionalUpdate,
        files={
            "/proc/self/mountinfo": mountinfo(RUNNING, "ro,relatime"),
            DEFAULT: RUNNING,
            _inside("2", CONFIG): "menuentry 'an old one' {\n  linux /boot/vmlinuz-6.11.0-1-default ro\n}\n",
            _inside(RUNNING, "/usr/sbin/grub2-mkconfig"): UPSTREAM_SCRIPT,
            _inside(RUNNING, "/boot/vmlinuz-6.17.1-1-default"): "",
            "/usr/sbin/grub2-mkconfig": UPSTREAM_SCRIPT,
            **files,
        },
        tools={"transactional-update": transactional_update, "btrfs": btrfs, "pbl": _no_pbl},
        add_kernel=add_kernel,
        kernels=2,
        verified="transactional-update 4.1.5, 4.8.3 and 6.1.3 (sbin/transactional-update.in, lib/Overlay.cpp, snapper/50-etc)",
        prepare=prepare,
    )  # fmt: skip


def _no_pbl(host: FakeHost, argv: t.List[str]) -> Result:
    return Result(1, "", "/boot/grub2/grub.cfg.new: Read-only file system")


_SUBVOLUME = {
    _inside(RUNNING, DEFAULTS): TEXT,
    _inside(RUNNING, "/etc/sysconfig/bootloader"): SYSCONFIG.replace("@TYPE@", "grub2-efi"),
    _inside(RUNNING, "/etc/fstab"): "/etc /etc none bind,x-initrd.mount 0 0\n",
}
SCENARIOS = [
    _scenario("microos-grub", _prepare_subvolume, _SUBVOLUME),
    _scenario("microos-grub-with-an-update-waiting", _prepare_waiting, _SUBVOLUME),
    _scenario(
        "sle-micro-5-with-an-overlay",
        _prepare_overlay,
        {
            DEFAULTS: TEXT,
            "/etc/sysconfig/bootloader": SYSCONFIG.replace("@TYPE@", "grub2"),
            _inside(RUNNING, DEFAULTS): TEXT,
            _inside(RUNNING, "/etc/fstab"): _overlay(RUNNING, "2"),
        },
    ),
]
