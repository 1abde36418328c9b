# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.space import (
    MEASURE,
    at_level,
    collector_level,
    estimate,
    kept,
    mem_usage,
    observed,
)
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.registry import by_name
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost

# As makedumpfile 1.7 prints it, with what it says first of a kernel that is newer than itself.
USAGE = """\
The kernel version is not supported.
The makedumpfile operation may be incomplete.

TYPE\t\tPAGES\t\t\tEXCLUDABLE\tDESCRIPTION
----------------------------------------------------------------------
ZERO\t\t10          \tyes\t\tPages filled with zero
NON_PRI_CACHE\t200          \tyes\t\tCache pages without private flag
PRI_CACHE\t3000            \tyes\t\tCache pages with private flag
USER\t\t40000           \tyes\t\tUser process pages
FREE\t\t500000        \tyes\t\tFree pages
KERN_DATA\t6000000          \tno\t\tDumpable kernel data

page size:\t\t1024
Total pages on system:\t6543210
Total size on system:\t6700247040      Byte
"""
LEVELS = [
    (0, 6543210), (1, 6543200), (2, 6543010), (4, 6540010), (8, 6503210), (16, 6043210), (31, 6000000), (17, 6043200),
]  # fmt: skip


@pytest.mark.parametrize("level, pages", LEVELS)
def test_what_a_level_keeps(level: int, pages: int) -> None:
    kinds = mem_usage(USAGE)
    assert kinds is not None
    assert kept(kinds, level) == pages * 1024


@pytest.mark.parametrize(
    "text",
    ["", "show_mem_usage: No memory is reserved for crashkernel!\n", USAGE.replace("page size", "size"), USAGE.replace("KERN_DATA", "X")],
)  # fmt: skip
def test_no_table(text: str) -> None:
    assert mem_usage(text) is None


def test_a_kind_of_tomorrow_is_kept() -> None:
    kinds = mem_usage(USAGE.replace("KERN_DATA", "OFFLINE\t7 \tyes\t\tOffline\nKERN_DATA"))
    assert kinds is not None and kept(kinds, 31) == 6000007 * 1024


MEMINFO = """\
MemTotal:        1000000 kB
MemFree:          500000 kB
Buffers:           10000 kB
Cached:           200000 kB
SwapCached:         1000 kB
AnonPages:        100000 kB
Hugetlb:           50000 kB
"""
TOTAL = 1024000 * 1024


@pytest.mark.parametrize(
    "level, size",
    [(31, 163000), (16, 524000), (2, 1024000), (4, 813000), (8, 874000), (1, 1024000)],
)
def test_an_estimate(level: int, size: int) -> None:
    kinds = estimate(MEMINFO, TOTAL)
    assert kinds is not None
    assert kept(kinds, level) == size * 1024


@pytest.mark.parametrize("text, total", [("", TOTAL), (MEMINFO, 1 << 20)])
def test_no_estimate(text: str, total: int) -> None:
    assert estimate(text, total) is None


def test_it_is_measured_only_when_asked(host: FakeHost) -> None:
    host.put("/proc/meminfo", MEMINFO)
    host.runner.answer(*MEASURE, stdout=USAGE)
    assert observed(host, TOTAL, 0, 31, False)["basis"] == "estimate"
    assert host.runner.started == []
    found = observed(host, 1 << 40, 0, 31, True)
    assert (found["basis"], found["bytes"]) == ("measured", 6000000 * 1024)


def test_where_it_cannot_be_measured_it_is_estimated(host: FakeHost) -> None:
    host.put("/proc/meminfo", MEMINFO)
    host.runner.answer(*MEASURE, code=1)
    found = observed(host, TOTAL + 100, 100, 31, True)
    assert (found["basis"], found["bytes"]) == ("estimate", 163000 * 1024)


def test_ram_at_worst(host: FakeHost) -> None:
    assert observed(host, 1000, 100, 31, True)["basis"] == "ram"
    assert observed(host, 1000, 100, 31, True)["bytes"] == 900
    host.put("/proc/meminfo", MEMINFO)
    found = at_level(observed(host, TOTAL, 0, 31, False), 0)
    assert (found["basis"], found["bytes"], found["level"]) == ("ram", TOTAL, 0)


COMMANDS = [
    ("", 31), ("makedumpfile -l --message-level 7 -d 31", 31), ("makedumpfile -c", 0), ("makedumpfile -d17 -c", 17),
    ("makedumpfile -cd 16", 16), ("makedumpfile --dump-level=1", 1), ("/usr/sbin/makedumpfile -d 8,16", 8), ("cp", 0), ("scp -d 31", 0),
]  # fmt: skip


@pytest.mark.parametrize("command, level", COMMANDS)
def test_the_level_of_a_command(command: str, level: int) -> None:
    assert collector_level(command, 31) == level


SETTINGS: t.List[t.Tuple[str, t.Dict[str, str], int]] = [
    ("kdumpctl", {}, 31),
    ("kdumpctl", {"core_collector": "cp --sparse=always"}, 0),
    ("kdump-tools", {}, 31),
    ("kdump-tools", {"MAKEDUMP_ARGS": "-c -d 1"}, 1),
    ("suse", {}, 31),
    ("suse", {"KDUMP_DUMPLEVEL": "17"}, 17),
    ("suse", {"KDUMP_DUMPLEVEL": "99"}, 0),
    ("suse", {"KDUMP_DUMPFORMAT": "raw"}, 0),
    ("kexec", {}, 31),
    ("kexec", {"CORE_COLLECTOR": "cp"}, 0),
]


@pytest.mark.parametrize("tooling, settings, level", SETTINGS)
def test_the_level_of_a_tooling(tooling: str, settings: t.Dict[str, str], level: int) -> None:
    known = by_name(tooling)
    assert known is not None and known.dump_level(settings) == level
