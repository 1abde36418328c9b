# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import itertools
import random
import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.crashkernel import (
    ROUNDING,
    CrashkernelError,
    parse_crashkernel,
    range_entries,
    ranges_see,
)
from ansible_collections.kdump.fleet.plugins.module_utils.crashkernel_fleet import (
    ALIGNMENT,
    FleetError,
    Need,
    fleet_hosts,
    for_fleet,
    lint,
    needs,
)

M = 1 << 20
G = 1 << 30

FINE = [
    # value, hosts
    ("1G-4G:192M,4G-64G:256M,64G-:512M", [2 * G, 8 * G, 128 * G]),
    ("384M-:128M", [G]),
    ("crashkernel=384M-:128M", {"a": G}),
    ("quiet crashkernel=384M-:128M root=/dev/sda1 3", {"a": G}),
    ("256M", [2 * G]),
    ("1G,high 256M,low", {"a": 8 * G, "b": {"ram": 8 * G, "arch": "aarch64"}}),
    (["1G,high", "72M,low"], [{"name": "a", "ram": 8 * G}]),
    ("256M 1G,cma", [8 * G]),
    ("256M@64M", [8 * G]),
    ("0-2G:0,2G-:256M", [8 * G]),
    ("1G-:256M", []),
    ("256M", []),
]


@pytest.mark.parametrize("value, hosts", FINE)
def test_nothing_to_say(value: t.Any, hosts: t.Any) -> None:
    assert lint(value, hosts) == []


WRONG = [
    # value, hosts, architecture, release, the findings: host, severity, entry, words of the message
    # An error behind the range of one host, and the host that meets it.
    (
        "1G-4G:192M,4G:256M",
        {"small": 2 * G, "big": 8 * G},
        "x86_64",
        "",
        [("big", "error", "4G:256M", "'-' is expected")],
    ),
    # The same with no listed host that meets it.
    (
        "1G-4G:192M,4G:256M",
        {"small": 2 * G},
        "x86_64",
        "",
        [
            (None, "error", "4G:256M", "'-' is expected"),
        ],
    ),
    (
        "1G-:192M,nonsense",
        [2 * G],
        "x86_64",
        "",
        [(None, "error", "nonsense", "a size is expected at 'nonsense'")],
    ),
    (
        "1G-4G:192M,4G-2G:256M,8G-:1G",
        {"small": 2 * G, "big": 16 * G},
        "x86_64",
        "",
        [
            ("big", "error", "4G-2G:256M", "ends at or before its start"),
        ],
    ),
    (
        "1G-4G:192M,4G-:256M",
        {"tiny": 512 * M, "small": 2 * G},
        "x86_64",
        "",
        [("tiny", "warning", None, "no range holds the 512 MiB of this host")],
    ),
    # A size that a smaller host reads before it comes to its own range.
    (
        "8G-:3G,1G-8G:128M",
        {"small": 2 * G, "big": 16 * G},
        "x86_64",
        "",
        [("small", "error", "8G-:3G", "not less than the host's RAM")],
    ),
    (
        "8G-:3G,1G-8G:128M",
        {"big": 16 * G},
        "x86_64",
        "",
        [(None, "warning", "8G-:3G", "reads it on the way to 1G-8G:128M")],
    ),
    (
        "1G-4G:2G,4G-:256M",
        {"a": 1536 * M, "b": 3 * G},
        "x86_64",
        "",
        [("a", "error", "1G-4G:2G", "not less than the host's RAM")],
    ),
    (
        "1G-4G:2G,4G-:256M",
        [8 * G],
        "x86_64",
        "",
        [(None, "warning", "1G-4G:2G", "a host with 1 GiB of RAM takes it")],
    ),
    (
        "1G-4G:8G,4G-:256M",
        [2 * G],
        "x86_64",
        "",
        [(None, "error", "1G-4G:8G", "not less than the host's RAM")],
    ),
    (
        "1G-4G:192M,4G-8G:16G,8G-:1G",
        [2 * G],
        "x86_64",
        "",
        [(None, "error", "4G-8G:16G", "no host that takes it")],
    ),
    (
        "1G-4G:192M,8G-:256M",
        {"a": 2 * G, "b": 6 * G},
        "x86_64",
        "",
        [("b", "warning", None, "no range holds the 6 GiB")],
    ),
    (
        "1G-4G:192M,8G-16G:256M",
        {"a": 2 * G},
        "x86_64",
        "",
        [
            (None, "warning", None, "4 GiB of RAM or more but less than 8 GiB"),
            (None, "warning", None, "16 GiB of RAM or more,"),
        ],
    ),
    (
        "1G-8G:192M,4G-:256M,2G-6G:1G",
        {"a": 2 * G},
        "x86_64",
        "",
        [
            (
                None,
                "warning",
                "4G-:256M",
                "wins on hosts with 4 GiB of RAM or more but less than 8",
            ),
            (None, "warning", "2G-6G:1G", "never reached"),
        ],
    ),
    (
        "1000M-1010M:128M,1G-:256M",
        {"a": 2 * G},
        "x86_64",
        "",
        [(None, "warning", "1000M-1010M:128M", "holds no host")],
    ),
    (
        "0-2G:0,2G-:256M",
        {"a": G},
        "x86_64",
        "",
        [("a", "warning", "0-2G:0", "asks for no memory")],
    ),
    ("2G", {"a": 2 * G, "b": 4 * G}, "x86_64", "", [("a", "error", "2G", "not less than")]),
    ("auto", {"a": 2 * G}, "x86_64", "", [("a", "error", "auto", "EL 8 and older")]),
    ("auto", [], "x86_64", "", [(None, "error", "auto", "EL 8 and older")]),
    ("", [G], "x86_64", "", [(None, "error", None, "there is no crashkernel=")]),
    ("64M,low", [G], "x86_64", "", [(None, "error", None, "',low' needs ',high'")]),
    # Offsets
    (
        "256M@17M",
        {"a": 2 * G, "b": {"ram": 2 * G, "arch": "s390x"}},
        "x86_64",
        "",
        [("a", "error", "256M@17M", "no multiple of 16 MiB")],
    ),
    ("256M@16Mx", [2 * G], "x86_64", "", [(None, "warning", "256M@16Mx", "does not read 'x'")]),
    ("256M@", [2 * G], "x86_64", "", [(None, "warning", "256M@", "no address follows")]),
    (
        "1G-:256M@",
        {"a": 2 * G},
        "x86_64",
        "",
        [("a", "error", "1G-:256M", "a size is expected after '@'")],
    ),
    (
        "1G-:256M@",
        {"a": 512 * M},
        "x86_64",
        "",
        [
            (None, "error", "1G-:256M@", "a size is expected after '@'"),
            ("a", "warning", None, "no range holds"),
        ],
    ),
    (
        "1G-:192M;4G-:256M",
        [2 * G],
        "x86_64",
        "",
        [(None, "warning", "1G-:192M;4G-:256M", "does not read ';4G-:256M'")],
    ),
    # Words
    ("256M 512M", [2 * G], "x86_64", "", [(None, "warning", "256M", "the last one counts")]),
    (
        "256M 1G,high 1G,low",
        [8 * G],
        "x86_64",
        "",
        [
            (None, "warning", "1G,high", "not read beside 256M"),
            (None, "warning", "1G,low", "not read beside 256M"),
        ],
    ),
    (
        "crashkernel=1G,high 256M,low",
        [8 * G],
        "x86_64",
        "",
        [(None, "warning", "256M,low", "put crashkernel= before it too")],
    ),
    (
        "foo.crashkernel=256M",
        [8 * G],
        "x86_64",
        "",
        [(None, "warning", "foo.crashkernel=256M", "inside of other words")],
    ),
    # Numbers
    ("300M", [8 * G], "x86_64", "", [(None, "warning", "300M", "304M fits")]),
    ("1G-:300M,x", [8 * G], "aarch64", "", [(None, "error", "x", "a size is expected")]),
    ("301M", [8 * G], "aarch64", "", [(None, "warning", "301M", "302M fits")]),
    ("256", [8 * G], "x86_64", "", [(None, "warning", "256", "add a unit")]),
    ("0400M", [8 * G], "x86_64", "", [(None, "warning", "0400M", "octal")]),
    ("256M@0x4000000", [8 * G], "x86_64", "", []),
    (
        "1G-99999999999999999999:256M",
        [8 * G],
        "x86_64",
        "",
        [(None, "warning", "1G-99999999999999999999:256M", "64 bits")],
    ),
    # Architectures and releases
    (
        "256M 512M,high",
        [8 * G],
        "ppc64le",
        "",
        [
            (None, "warning", "512M,high", "not read beside 256M"),
            (None, "warning", "512M,high", "not read on ppc64le"),
        ],
    ),
    (
        "512M,high",
        {"z": 8 * G},
        "s390x",
        "",
        [
            ("z", "error", "512M,high", "does not read ',high'"),
            (None, "warning", "512M,high", "not read on s390x"),
        ],
    ),
    ("256M 1G,cma", [8 * G], "ppc64le", "", [(None, "warning", "1G,cma", "newer kernels alone")]),
    ("256M 1G,cma", [8 * G], "aarch64", "7.2.12", [(None, "warning", "1G,cma", "before 7.3")]),
    ("256M 1G,cma", [8 * G], "aarch64", "7.3.0", []),
    ("256M 1G,cma", [8 * G], "loongarch64", "", [(None, "warning", "1G,cma", "reserve nothing")]),
    ("256M 64Mx,cma", [8 * G], "x86_64", "", [(None, "warning", "64Mx,cma", "takes 64 MiB")]),
    (
        "256M 1G,cma",
        {"a": 8 * G},
        "x86_64",
        "6.12.0",
        [
            ("a", "error", "1G,cma", "unrecognized character ','"),
            (None, "warning", "256M", "the last one counts"),
            (None, "warning", "1G,cma", "came with 6.17"),
        ],
    ),
    (
        "1G,cma 256M",
        {"a": 8 * G},
        "x86_64",
        "6.12.0",
        [
            (None, "warning", "1G,cma", "the last one counts"),
            (None, "warning", "1G,cma", "came with 6.17"),
        ],
    ),
]


@pytest.mark.parametrize("value, hosts, arch, release, expected", WRONG)
def test_findings(
    value: str,
    hosts: t.Any,
    arch: str,
    release: str,
    expected: t.List[t.Tuple[t.Optional[str], str, t.Optional[str], str]],
) -> None:
    found = lint(value, hosts, arch, release)
    assert [finding[:1] + finding[2:3] + finding[4:] for finding in found] == [
        (host, severity, entry) for host, severity, entry, message in expected
    ], found
    for finding, (*_where, message) in zip(found, expected):
        assert message in finding.message
        assert (finding.ram is None) <= (finding.host is None)


def test_hosts_without_a_name_are_told_by_their_ram_once() -> None:
    assert [(finding.host, finding.ram) for finding in lint("2G", [2 * G, 2 * G, G, 4 * G])] == [
        (None, 2 * G),
        (None, G),
    ]


def random_ranges(chance: random.Random) -> str:
    bounds = ["0", "512M", "1G", "2G", "3G", "4G", "8G"]
    entries = []
    for _number in range(chance.randint(1, 4)):
        entry = f"{chance.choice(bounds)}-{chance.choice([*bounds, ''])}:{chance.choice(['64M', '0', '2G', '256M'])}"
        if chance.random() < 0.1:
            entry = entry.replace(chance.choice(":-"), "", 1)
        entries.append(entry)
    return ",".join(entries) + chance.choice(["", "", "", "@16M", "@", "x", "@17M"])


def test_a_host_is_reported_just_when_its_kernel_reserves_nothing() -> None:
    chance = random.Random(3)
    for _attempt in range(3000):
        value = random_ranges(chance)
        hosts = {f"h{ram >> 20}": ram for ram in (256 * M, G, 2 * G - 5, 3 * G, 16 * G)}
        found = lint(value, hosts)
        for name, ram in hosts.items():
            own = [finding for finding in found if finding.host == name]
            try:
                meant = parse_crashkernel("crashkernel=" + value, ram)
            except CrashkernelError:
                assert len(own) == 1, (value, name)
            else:
                assert bool(own) == bool(meant.offset % ALIGNMENT["x86_64"]), (value, name)


def test_an_error_anywhere_is_reported_whoever_is_listed() -> None:
    chance = random.Random(4)
    for _attempt in range(3000):
        value = random_ranges(chance)
        try:
            list(range_entries(value))
        except CrashkernelError:
            ram = chance.choice([256 * M, 2 * G, 16 * G])
            assert [f for f in lint(value, [ram]) if f.severity == "error"], (value, ram)
            assert [f for f in lint(value, []) if f.severity == "error"], value


BAD_HOSTS = [
    (None, "must be a list or a mapping, not nothing"),
    (2 * G, "must be a list or a mapping, not int"),
    ("2G", "must be a list or a mapping, not str"),
    (["2G"], "host 1: 'ram' must be a number of bytes, not str"),
    ([True], "not bool"),
    ([2.0], "not float"),
    ([G, 0], "host 2: 'ram' must be above 0"),
    ([-1], "must be above 0"),
    ([1 << 64], r"below 2\*\*64"),
    ({"a": {"arch": "x86_64"}}, "a: 'ram' must be a number of bytes, not nothing"),
    ({"a": {"ram": G, "arch": 5}}, "a: the architecture must be a string, not int"),
    ([{"ram": G, "name": 5}], "host 1: the name must be a string"),
    ({"a": {"ram": G, "raam": G}}, "a: raam is not known here; known are name, ram, arch"),
]


@pytest.mark.parametrize("hosts, message", BAD_HOSTS)
def test_hosts_of_the_wrong_type(hosts: t.Any, message: str) -> None:
    with pytest.raises(FleetError, match=message):
        fleet_hosts(hosts, "x86_64")


@pytest.mark.parametrize("value", [None, 5, ["256M", 5], {"value": "256M"}, b"256M"])
def test_values_of_the_wrong_type(value: t.Any) -> None:
    with pytest.raises(FleetError, match="a crashkernel= value is needed"):
        lint(value, [])


FLEETS = [
    # hosts, architecture, how many ranges, value
    ([(G, 192 * M), (4 * G, 256 * M)], "x86_64", 8, "1G-4G:192M,4G-:256M"),
    ([(4 * G, 256 * M), (G, 190 * M)], "x86_64", 8, "1G-4G:192M,4G-:256M"),
    # RAM is rounded up to 128 MiB, and equal hosts get what the neediest needs.
    ([(G - 1, 100 * M), (1023 * M, 160 * M)], "x86_64", 8, "1G-:160M"),
    ([(G + 1, 64 * M)], "x86_64", 8, "1152M-:64M"),
    ([(4 * G, 250 * M)], "x86_64", 8, "4G-:256M"),
    ([(4 * G, 250 * M)], "aarch64", 8, "4G-:250M"),
    ([(4 * G, 250 * M - 1)], "s390x", 8, "4G-:250M"),
    # A larger host never gets less than a smaller one.
    ([(G, 256 * M), (2 * G, 128 * M), (4 * G, 512 * M)], "x86_64", 8, "1G-4G:256M,4G-:512M"),
    # Two ranges instead of three: the pair that costs least becomes one.
    ([(G, 128 * M), (2 * G, 144 * M), (4 * G, 512 * M)], "x86_64", 2, "1G-4G:144M,4G-:512M"),
    ([(G, 128 * M), (2 * G, 496 * M), (4 * G, 512 * M)], "x86_64", 2, "1G-2G:128M,2G-:512M"),
    ([(G, 128 * M), (2 * G, 496 * M), (4 * G, 512 * M)], "x86_64", 1, "1G-:512M"),
    ([(1 << 42, 4 * G)], "x86_64", 8, "4T-:4G"),
]


@pytest.mark.parametrize("hosts, arch, most, value", FLEETS)
def test_fleet(hosts: t.List[t.Tuple[int, int]], arch: str, most: int, value: str) -> None:
    assert for_fleet([Need(None, ram, size) for ram, size in hosts], arch, most) == value


HOPELESS = [
    ([], 8, "there is no host"),
    ([("a", G, 64 * M)], 0, "max_ranges must be 1 or more"),
    ([("a", G, G)], 8, r"a \(1 GiB of RAM\): 1 GiB is not less than its RAM"),
    ([("a", G - 1, G - 2)], 8, "1 GiB when rounded for the architecture, is not less than its RAM"),
    (
        [("a", 1023 * M, 1000 * M), ("b", 900 * M, 64 * M)],
        8,
        r"b \(900 MiB of RAM\) cannot live with 1008 MiB",
    ),
    ([("a", G, 512 * M), ("b", 64 * G, G)], 1, "max_ranges 1 is too few: with fewer ranges than 2"),
]


@pytest.mark.parametrize("hosts, most, message", HOPELESS)
def test_no_value_suits(hosts: t.List[t.Tuple[str, int, int]], most: int, message: str) -> None:
    with pytest.raises(FleetError, match=message):
        for_fleet([Need(*host) for host in hosts], "x86_64", most)


def test_needs() -> None:
    assert needs({"a": {"ram": G, "size": M}}) == [Need("a", G, M)]
    assert needs([{"ram": G, "size": M, "name": "a"}]) == [Need("a", G, M)]
    assert needs([{"ram": G, "size": M}]) == [Need(None, G, M)]


BAD_NEEDS = [
    ([G], "host 1: a mapping with 'ram' and 'size' is needed, not int"),
    ([{"ram": G}], "host 1: 'size' must be a number of bytes, not nothing"),
    ([{"ram": G, "size": "256M"}], "'size' must be a number of bytes, not str"),
    ([{"ram": G, "size": 0}], "'size' must be above 0"),
    ([{"ram": G, "size": M, "arch": "x86_64"}], "arch is not known here"),
]


@pytest.mark.parametrize("hosts, message", BAD_NEEDS)
def test_needs_of_the_wrong_type(hosts: t.Any, message: str) -> None:
    with pytest.raises(FleetError, match=message):
        needs(hosts)


def up(number: int, step: int) -> int:
    return -(-number // step) * step


def reserved(value: str, hosts: t.Sequence[Need], arch: str) -> t.List[int]:
    return [parse_crashkernel("crashkernel=" + value, host.ram, arch).size for host in hosts]


def random_fleet(chance: random.Random, most: int, spread: int) -> t.List[Need]:
    hosts = []
    for number in range(chance.randint(1, most)):
        ram = chance.randint(1, spread) * ROUNDING - chance.choice([0, 1, 5 * M, 100 * M])
        hosts.append(
            Need(f"h{number}", ram, chance.randint(1, max(2, ram // chance.choice([2, 8, 40]))))
        )
    return hosts


def test_every_host_gets_what_it_needs_and_the_least_that_may_be() -> None:
    chance = random.Random(11)
    made = 0
    for _attempt in range(500):
        arch = chance.choice(["x86_64", "aarch64", "ppc64le"])
        step = ALIGNMENT.get(arch, M)
        hosts = random_fleet(chance, 30, 600)
        # What any list of growing sizes must give: the most that a host with no more RAM needs.
        least = [
            max(up(one.size, step) for one in hosts if ranges_see(one.ram) <= ranges_see(host.ram))
            for host in hosts
        ]
        possible = all(size < host.ram for size, host in zip(least, hosts))
        try:
            value = for_fleet(hosts, arch, 1000)
        except FleetError:
            assert not possible
            continue
        made += 1
        assert possible
        assert reserved(value, hosts, arch) == least
        assert lint(value, {str(host.name): host.ram for host in hosts}, arch) == []
    assert made > 250


def test_fewer_ranges_cost_the_least_that_they_can() -> None:
    chance = random.Random(12)
    merged = refused = 0
    for _attempt in range(400):
        hosts = random_fleet(chance, 7, 12)
        most = chance.randint(1, 3)
        try:
            wide = for_fleet(hosts, "x86_64", 100)
        except FleetError:
            continue
        levels = [entry.size for entry in range_entries(wide)]
        starts = [entry.start for entry in range_entries(wide)]
        # Every way to take some of the ranges' ends for the whole.
        costs = []
        for chosen in itertools.product([False, True], repeat=len(levels) - 1):
            ends = [at for at, taken in enumerate(chosen) if taken] + [len(levels) - 1]
            if len(ends) > most:
                continue
            cost = 0
            for host in hosts:
                own = max(at for at, start in enumerate(starts) if start <= ranges_see(host.ram))
                size = next(levels[end] for end in ends if end >= own)
                cost += size if size < host.ram else 1 << 70
            costs.append(cost)
        if min(costs) >= 1 << 70:
            refused += 1
            with pytest.raises(FleetError, match="is too few"):
                for_fleet(hosts, "x86_64", most)
            continue
        value = for_fleet(hosts, "x86_64", most)
        merged += value != wide
        assert value.count(":") <= most
        assert sum(reserved(value, hosts, "x86_64")) == min(costs)
        assert all(got >= host.size for got, host in zip(reserved(value, hosts, "x86_64"), hosts))
    assert merged > 50
    assert refused > 20
