# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.baked import changes, keep, server_of
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost

INITRD = "/boot/initramfs-1kdump.img"


def card(host: FakeHost, name: str, driver: str, mac: str) -> None:
    host.put(f"/sys/class/net/{name}/address", mac + "\n")
    os.makedirs(host.path(f"/sys/class/net/{name}/device"), exist_ok=True)
    link = host.path(f"/sys/class/net/{name}/device/driver")
    if os.path.lexists(link):
        os.unlink(link)
    os.symlink(f"../../bus/pci/drivers/{driver}", link)


def route(host: FakeHost, device: str) -> None:
    host.runner.answer(
        "ip", "-oneline", "route", "get", "192.0.2.1",
        stdout=f"192.0.2.1 via 10.0.0.1 dev {device} src 10.0.0.2 uid 0 \\    cache\n" if device else "",
    )  # fmt: skip


@pytest.fixture
def built(host: FakeHost) -> FakeHost:
    """A host whose initrd was built for a dump server behind eth0."""
    host.put(INITRD, "x", mtime=1000.25)
    host.put("/etc/resolv.conf", "# by hand\nnameserver 10.0.0.53\n")
    card(host, "eth0", "virtio_net", "52:54:00:00:00:01")
    route(host, "eth0")
    host.runner.answer(
        "getent", "ahosts", "server", stdout="192.0.2.1 STREAM server\n192.0.2.1 DGRAM\n"
    )
    keep(host, INITRD, "server", True)
    return host


def test_nothing_has_changed(built: FakeHost) -> None:
    assert changes(built, INITRD, 1000.25) == []
    # Somebody who writes the same again has changed nothing.
    built.put("/etc/resolv.conf", "# by another\n  nameserver   10.0.0.53\n")
    assert changes(built, INITRD, 1000.25) == []


def test_another_card(built: FakeHost) -> None:
    card(built, "eth0", "virtio_net", "52:54:00:00:00:02")
    (reason,) = changes(built, INITRD, 1000.25)
    assert reason == (
        "the way to 192.0.2.1 is over eth0 (virtio_net 52:54:00:00:00:02), and /boot/initramfs-1kdump.img was built for "
        "eth0 (virtio_net 52:54:00:00:00:01)"
    )


def test_another_driver(built: FakeHost) -> None:
    card(built, "eth0", "mlx5_core", "52:54:00:00:00:01")
    assert "mlx5_core" in changes(built, INITRD, 1000.25)[0]


def test_another_way(built: FakeHost) -> None:
    card(built, "eth1", "e1000", "52:54:00:00:00:03")
    built.put("/sys/class/net/bond0/address", "52:54:00:00:00:03\n")
    built.put("/sys/class/net/bond0/lower_eth1/x", "")
    route(built, "bond0")
    assert "is over bond0 (52:54:00:00:00:03), eth1 (e1000 52:54:00:00:00:03)" in changes(built, INITRD, 1000.25)[0]  # fmt: skip


def test_another_resolver(built: FakeHost) -> None:
    built.put("/etc/resolv.conf", "nameserver 10.0.0.54\n")
    assert changes(built, INITRD, 1000.25) == [f"/etc/resolv.conf names other servers than {INITRD} was built with"]  # fmt: skip


def test_no_way_at_all_says_nothing(built: FakeHost) -> None:
    route(built, "")
    assert changes(built, INITRD, 1000.25) == []


def test_what_somebody_else_has_built_is_theirs(built: FakeHost) -> None:
    card(built, "eth0", "e1000", "52:54:00:00:00:09")
    assert changes(built, INITRD, 1001.0) == []


def test_a_host_without_a_server_keeps_nothing(built: FakeHost) -> None:
    keep(built, INITRD, "")
    assert not built.exists("/var/lib/kdump-fleet/baked.json")
    started = len(built.runner.started)
    assert changes(built, INITRD, 1000.25) == []
    assert len(built.runner.started) == started


@pytest.mark.parametrize("text", ["", "x", "[]", '{"/boot/initramfs-1kdump.img": 3}'])
def test_a_record_that_somebody_edited(built: FakeHost, text: str) -> None:
    built.put("/var/lib/kdump-fleet/baked.json", text)
    assert changes(built, INITRD, 1000.25) == []


SERVERS: t.List[t.Tuple[str, str]] = [
    ("kdump@server", "server"),
    ("kdump@2001:db8::1", "2001:db8::1"),
    ("kdump@[2001:db8::1]", "2001:db8::1"),
    ("server:/export", "server"),
    ("192.0.2.1:/export@x/y", "192.0.2.1"),
    ("[2001:db8::1]:/export", "2001:db8::1"),
    ("", ""),
]


@pytest.mark.parametrize("location, server", SERVERS)
def test_server_of(location: str, server: str) -> None:
    assert server_of(location) == server
