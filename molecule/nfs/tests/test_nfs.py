# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A dump that went to a server's export, and one that went to a second disk."""

import json
import typing as t

import pytest
import testinfra

EXPORT = "/srv/kdump/kdump/nfs-client"


@pytest.fixture(scope="module")
def machines(request: pytest.FixtureRequest) -> dict[str, t.Any]:
    """Return both machines; the scenario's verifier knows them by the inventory."""
    inventory = request.config.getoption("--ansible-inventory")
    return {
        name: testinfra.get_host(f"ansible://nfs-{name}", ansible_inventory=inventory)
        for name in ("server", "client")
    }


@pytest.fixture(scope="module")
def server(machines: dict[str, t.Any]) -> t.Any:
    return machines["server"]


@pytest.fixture(scope="module")
def client(machines: dict[str, t.Any]) -> t.Any:
    return machines["client"]


def drill(client: t.Any, name: str) -> dict[str, t.Any]:
    return json.loads(client.file(f"/root/{name}.json").content_string)  # type: ignore[no-any-return]


def log_of(host: t.Any, path: str) -> str:
    """Return the kernel log out of a dump as kdump-tools writes it, as makedumpfile reads it: the independent witness."""
    made = host.run(
        "makedumpfile -R /root/vmcore < %s && makedumpfile --dump-dmesg -f /root/vmcore /root/log",
        path,
    )
    assert made.rc == 0, made.stderr
    return host.file("/root/log").content_string  # type: ignore[no-any-return]


def test_the_dump_is_complete_in_the_export(server: t.Any, client: t.Any) -> None:
    proof = drill(client, "drill")
    assert proof["arrived"]
    assert proof["path"].startswith(EXPORT + "/")
    assert proof["mark"] in log_of(server, proof["path"])


def test_it_belongs_to_the_account_that_gets_dumps(server: t.Any, client: t.Any) -> None:
    dump = server.file(drill(client, "drill")["path"])
    assert dump.user == "kdump"
    assert dump.mode == 0o600
    assert server.file(EXPORT).mode == 0o700


def test_the_host_kept_no_copy(client: t.Any) -> None:
    assert drill(client, "drill")["kept"] is None


def test_the_export_is_not_mounted_on_the_host(client: t.Any) -> None:
    assert "nfs" not in client.check_output("cut -d' ' -f3 /proc/mounts").split()


def test_the_dump_on_the_second_disk_is_complete(client: t.Any) -> None:
    proof = drill(client, "drill-disk")
    assert client.check_output("findmnt -no SOURCE -T %s", proof["path"]) == "/dev/vdb"
    mark = f"kdump.fleet: crash drill {proof['token']}"
    assert mark in log_of(client, proof["path"])


def test_the_client_is_armed_again(client: t.Any) -> None:
    assert client.file("/sys/kernel/kexec_crash_loaded").content_string.strip() == "1"
