# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import subprocess
import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils import panic
from ansible_collections.kdump.fleet.plugins.module_utils.capture import (
    CALM_TEXT,
    RECORD,
    SCRIPT_TEXT,
    TRIGGERS,
    Used,
    parse_record,
    read_record,
)
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost

GOOD = "kernel=6.1.0-2-amd64\nstarted=1700000000\nram=134217728\ntotal=90000000\nlowest=20000000\n"


def test_a_record_is_read() -> None:
    found = parse_record(GOOD)
    assert found == Used("6.1.0-2-amd64", 1700000000, 134217728, 90000000, 20000000)
    assert found is not None and found.used == 114217728


@pytest.mark.parametrize(
    "text",
    ["", "kernel=x\n", GOOD.replace("20000000", "-1"), GOOD.replace("ram=134217728", "ram=1"), GOOD.replace("1700000000", "")],
)  # fmt: skip
def test_what_is_no_record_is_none(text: str) -> None:
    assert parse_record(text) is None


def test_the_script_keeps_the_lowest(host: FakeHost, tmp_path: t.Any) -> None:
    """A real shell runs it, with a /proc of ours, and a sleep that changes it and ends the loop."""
    host.put("/proc/vmcore", "x")
    host.put(
        "/proc/iomem",
        "00001000-0009ffff : System RAM\n28000000-2fffffff : System RAM\n  28000000-28ffffff : Kernel code\n",
    )
    host.put("/proc/sys/kernel/osrelease", "6.1.0-2-amd64\n")
    steps = [90000, 50000, 49500, 20000, 70000]
    for number, available in enumerate(steps):
        host.put(f"/steps/{number}", f"MemTotal: 100000 kB\nMemFree: 1 kB\nMemAvailable: {available} kB\nBuffers: 1 kB\n")  # fmt: skip
    host.put("/proc/meminfo", host.read("/steps/0") or "")
    host.put("/count", "0\n")
    sleep = f"""#!/bin/sh
read -r count < {host.root}/count
count=$((count + 1))
echo $count > {host.root}/count
[ -e {host.root}/steps/$count ] || {{ kill $PPID; exit; }}
cp {host.root}/steps/$count {host.root}/proc/meminfo
"""
    host.put("/bin/sleep", sleep)
    os.chmod(host.path("/bin/sleep"), 0o755)
    text = SCRIPT_TEXT.replace("/proc/", f"{host.root}/proc/").replace(RECORD, host.path(RECORD))
    host.put("/script", text)
    environment = dict(os.environ, PATH=f"{host.root}/bin:{os.environ['PATH']}")
    subprocess.run(["sh", host.path("/script")], env=environment, timeout=60, check=False)
    found = read_record(host)
    assert found is not None
    assert (found.kernel, found.total, found.lowest) == ("6.1.0-2-amd64", 100000 << 10, 20000 << 10)
    assert found.ram == 0x9F000 + 0x8000000


def test_outside_of_a_capture_the_script_does_nothing(host: FakeHost) -> None:
    host.put("/script", SCRIPT_TEXT.replace("/proc/vmcore", host.path("/proc/vmcore")))
    done = subprocess.run(["sh", host.path("/script")], timeout=60, check=False)
    assert done.returncode == 0


def calm(host: FakeHost) -> None:
    host.put("/script", CALM_TEXT.replace("/proc/", host.path("/proc/")))
    subprocess.run(["sh", host.path("/script")], timeout=60, check=True)


def test_a_capture_takes_the_panic_triggers_back(host: FakeHost) -> None:
    host.put("/proc/vmcore", "x")
    host.put("/proc/sys/kernel/panic_on_oops", "1\n")
    host.put("/proc/sys/vm/panic_on_oom", "1\n")
    # One that cannot be written costs no other.
    os.makedirs(host.path("/proc/sys/kernel/panic_on_warn"))
    host.put("/proc/sys/kernel/panic", "0\n")
    calm(host)
    assert host.read("/proc/sys/kernel/panic_on_oops") == "0\n"
    assert host.read("/proc/sys/vm/panic_on_oom") == "0\n"
    assert host.read("/proc/sys/kernel/panic") == "10\n"
    assert not host.exists("/proc/sys/kernel/softlockup_panic")


def test_outside_of_a_capture_the_panic_triggers_stay(host: FakeHost) -> None:
    host.put("/proc/sys/kernel/panic_on_oops", "1\n")
    host.put("/proc/sys/kernel/panic", "0\n")
    calm(host)
    assert host.read("/proc/sys/kernel/panic_on_oops") == "1\n"
    assert host.read("/proc/sys/kernel/panic") == "0\n"


def test_every_trigger_that_the_role_sets_is_taken_back() -> None:
    ours = {trigger.sysctl.replace(".", "/") for trigger in panic.TRIGGERS.values()}
    assert ours <= set(TRIGGERS)
