# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fedora CoreOS: deployments that rpm-ostree stages in /run and that become entries when the host shuts down."""

import json
import os
import shutil
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.ostree import RpmOstree
from ansible_collections.kdump.fleet.plugins.module_utils.runner import Result
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost
from ansible_collections.kdump.fleet.tests.unit.plugins.module_utils.loaders.base import Scenario

STAGED = "/run/ostree/staged-deployment"
KERNELS = {"1": "6.11.4-301.fc41.x86_64", "2": "6.11.3-300.fc41.x86_64", "3": "6.12.7-200.fc41.x86_64"}  # fmt: skip
ROOT = "rw mitigations=auto,nosmt ignition.platform.id=metal root=UUID=1 rootflags=prjquota boot=UUID=2"


class Deployment(t.NamedTuple):
    checksum: str  # of the commit
    options: str


def place(bootversion: int, checksum: str, index: int) -> str:
    return f"ostree=/ostree/boot.{bootversion}/fedora-coreos/{checksum * 64}/{index}"


def deployments(host: FakeHost) -> t.List[Deployment]:
    """Return what the entries say, the newest first."""
    found = []
    for path in sorted(host.glob("/boot/loader/entries/ostree-*.conf"), reverse=True):
        fields = dict(line.split(" ", 1) for line in (host.read(path) or "").splitlines())
        found.append(
            Deployment(fields["linux"].split("/")[2].rpartition("-")[2][0], fields["options"])
        )
    return found


def write(host: FakeHost, wanted: t.Sequence[Deployment]) -> None:
    """Do as libostree: write all entries beside the present ones, then turn the link."""
    link = host.path("/boot/loader")
    version = 1 - int(os.readlink(link)[-1]) if os.path.islink(link) else 1
    folder = f"/boot/loader.{version}"
    shutil.rmtree(host.path(folder), ignore_errors=True)
    for index, (checksum, options) in enumerate(wanted):
        words = [place(version, checksum, index) if word.startswith("ostree=") else word for word in options.split()]  # fmt: skip
        files = f"/ostree/fedora-coreos-{checksum * 64}"
        host.put(
            f"{folder}/entries/ostree-{len(wanted) - index}.conf",
            f"title Fedora CoreOS 41.{checksum} (ostree:{index})\nversion {len(wanted) - index}\n"
            f"options {' '.join(words)}\nlinux {files}/vmlinuz-{KERNELS[checksum]}\n"
            f"initrd {files}/initramfs-{KERNELS[checksum]}.img\n",
        )
    if os.path.islink(link):
        os.unlink(link)
    os.symlink(f"loader.{version}", link)


def staged(host: FakeHost) -> t.Optional[Deployment]:
    text = host.read(STAGED)
    return Deployment(*json.loads(text)) if text else None


def rpm_ostree(host: FakeHost, argv: t.List[str]) -> Result:
    """Do as rpm-ostree's client and daemon, with libostree's rules for arguments."""
    newest = staged(host) or deployments(host)[0]
    if argv[1] == "status":
        listed = [{"osname": "fedora-coreos", "checksum": newest.checksum, "serial": 0, "staged": staged(host) is not None}]  # fmt: skip
        return Result(0, json.dumps({"deployments": listed}), "")
    if argv[1:] == ["cleanup", "--pending"]:
        host.remove(STAGED)
        return Result(0, "", "")
    if argv[1] != "kargs":
        return Result(1, "", f"error: Unknown command '{argv[1]}'")
    if len(argv) == 2:
        return Result(0, newest.options + "\n", "")
    words = newest.options.split()
    for option in argv[2:]:
        kind, _equals, argument = option.partition("=")
        if kind == "--delete":
            if argument not in words:
                return Result(1, "", f"error: No karg '{argument}' found")
            words.remove(argument)
    words += [option[len("--append=") :] for option in argv[2:] if option.startswith("--append=")]
    host.put(STAGED, json.dumps([newest.checksum, " ".join(words)]))
    return Result(0, 'Changes queued for next boot. Run "systemctl reboot" to start a reboot\n', "")


def reboot(host: FakeHost) -> None:
    """Do as ostree-finalize-staged.service at shutdown: what ran stays as the one to go back to."""
    waiting = staged(host)
    running = host.read("/proc/cmdline") or ""
    if waiting is not None:
        known = deployments(host)
        before = next((item for item in known if place_of(item.options) in running), known[0])
        write(host, [waiting, before])
        host.remove(STAGED)
    host.put("/proc/cmdline", deployments(host)[0].options + "\n")


def place_of(options: str) -> str:
    return next(word for word in options.split() if word.startswith("ostree="))


def update(host: FakeHost) -> None:
    """Do as 'rpm-ostree upgrade' and a reboot: a new deployment takes the newest one's arguments."""
    reboot(host)
    host.put(STAGED, json.dumps(["3", deployments(host)[0].options]))
    reboot(host)


def prepare(host: FakeHost) -> None:
    write(
        host,
        [
            Deployment("1", f"{ROOT} crashkernel=192M {place(0, '1', 0)}"),
            Deployment("2", f"{ROOT} {place(0, '2', 1)}"),
        ],
    )
    host.put("/proc/cmdline", "BOOT_IMAGE=(hd0,gpt3)/vmlinuz " + deployments(host)[0].options + "\n")  # fmt: skip


SCENARIOS = [
    Scenario(
        name="coreos-ostree",
        loader=RpmOstree,
        files={"/run/ostree-booted": ""},
        tools={"rpm-ostree": rpm_ostree},
        add_kernel=update,
        kernels=1,
        prepare=prepare,
        verified="rpm-ostree 2026.2 and libostree 2026.4 (source); the entries were written by libostree 2022.7, whose rules for arguments were run",
    )
]
