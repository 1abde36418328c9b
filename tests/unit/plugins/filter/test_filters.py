# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import re
import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.kdump.fleet.plugins.filter.kdump import FilterModule, _wanted

G = 1 << 30

FILTERS = FilterModule().filters()


def test_parse() -> None:
    parse = FILTERS["crashkernel_parse"]
    assert parse("crashkernel=1G,high", 8 * G) == {
        "ok": True,
        "error": "",
        "size": G,
        "offset": 0,
        "low": 256 << 20,
        "cma": 0,
        "high": True,
    }
    refused = parse("crashkernel=auto", 8 * G)
    assert not refused["ok"]
    assert "a size is expected" in refused["error"]


def test_lint() -> None:
    lint = FILTERS["crashkernel_lint"]
    assert lint("1G-:256M", [2 * G]) == []
    found = lint("1G-4G:192M,4G:256M", {"db1": 2 * G, "web1": 8 * G})
    assert [sorted(finding) for finding in found] == [
        ["entry", "host", "message", "ram", "severity"]
    ]
    assert (found[0]["host"], found[0]["ram"], found[0]["severity"]) == ("web1", 8 * G, "error")
    assert lint("256M 1G,cma", [8 * G], "x86_64", "6.12.0") != []


def test_for_fleet() -> None:
    hosts = [{"ram": G, "size": 190000000}, {"ram": 4 * G, "size": 268435456}]
    assert FILTERS["crashkernel_for_fleet"](hosts) == "1G-4G:192M,4G-:256M"
    assert FILTERS["crashkernel_for_fleet"](hosts, "x86_64", 1) == "1G-:256M"


REFUSED: t.List[t.Tuple[str, t.List[t.Any], str]] = [
    ("crashkernel_parse", ["256M", -1], "crashkernel_parse needs the RAM in bytes, from 0"),
    ("crashkernel_parse", ["256M", "2G"], "crashkernel_parse needs the RAM in bytes, as a number"),
    ("crashkernel_lint", [5, [G]], "crashkernel_lint: a crashkernel= value is needed"),
    ("crashkernel_lint", ["256M", G], "crashkernel_lint: the hosts must be a list or a mapping"),
    ("crashkernel_lint", ["256M", [G], 5], "crashkernel_lint: arch must be a string, not int"),
    ("crashkernel_lint", ["256M", [G], "x86_64", 6.12], "release must be a string, not float"),
    ("crashkernel_for_fleet", [[]], "crashkernel_for_fleet: there is no host"),
    ("crashkernel_for_fleet", [[G]], "crashkernel_for_fleet: host 1: a mapping"),
    ("crashkernel_for_fleet", [[], None], "crashkernel_for_fleet: arch must be a string"),
    ("crashkernel_for_fleet", [[], "x86_64", "8"], "max_ranges must be a number, not str"),
    ("crashkernel_for_fleet", [[], "x86_64", True], "max_ranges must be a number, not bool"),
]


@pytest.mark.parametrize("name, arguments, message", REFUSED)
def test_refused(name: str, arguments: t.List[t.Any], message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=message):
        FILTERS[name](*arguments)


TYPED: t.List[t.Tuple[t.Dict[str, t.Any], t.Dict[str, t.Any]]] = [
    # As -e and INI inventories give them; the argument specification checks, and does not convert.
    ({"early": "no", "exclusive": "false"}, {"early": False, "exclusive": False}),
    ({"nmi_watchdog": "yes", "auto_reset_crashkernel": "1"}, {"nmi_watchdog": True, "auto_reset_crashkernel": True}),
    ({"dumps_to_keep": "3", "panic_timeout": "-1"}, {"dumps_to_keep": 3, "panic_timeout": -1}),
    ({"extra_modules": "nvme"}, {"extra_modules": ["nvme"]}),
    ({"fence_nodes": "node2, node3"}, {"fence_nodes": ["node2", "node3"]}),
    ({"extra_modules": [8021]}, {"extra_modules": ["8021"]}),
    # YAML's words without quotes.
    ({"fadump": True}, {"fadump": "on"}),
    ({"fadump": False}, {"fadump": "off"}),
    ({"kernel_version": 6.12}, {"kernel_version": "6.12"}),
    # What was templated to nothing.
    ({"early": "", "target": None, "core_collector": "None"}, {"early": None, "target": None, "core_collector": None}),
]  # fmt: skip


@pytest.mark.parametrize("given, expected", TYPED)
def test_variables_get_their_types(given: t.Dict[str, t.Any], expected: t.Dict[str, t.Any]) -> None:
    wanted = _wanted("test", given)
    assert {key: getattr(wanted, key) for key in expected} == expected


NO_TYPE: t.List[t.Tuple[t.Dict[str, t.Any], str]] = [
    ({"early": "maybe"}, "kdump_early: 'maybe' must be true or false"),
    ({"dumps_to_keep": True}, "kdump_dumps_to_keep: True must be a whole number"),
    ({"dumps_to_keep": "three"}, "kdump_dumps_to_keep: 'three' must be a whole number"),
    ({"target": "ssh"}, "kdump_target: 'ssh' must be a dictionary"),
    ({"options": ["a"]}, "kdump_options: ['a'] must be a dictionary"),
    ({"pre_hooks": "#!/bin/sh"}, "kdump_pre_hooks: ['#!/bin/sh'] must be a list of dictionaries"),
    ({"extra_bins": [{"a": 1}]}, "kdump_extra_bins: [{'a': 1}] must be a list of strings"),
    ({"extra_bins": {"a": 1}}, "kdump_extra_bins: {'a': 1} must be a list of strings"),
    ({"path": ["/a"]}, "kdump_path: ['/a'] must be a string"),
]


@pytest.mark.parametrize("given, message", NO_TYPE)
def test_what_has_another_type_is_named(given: t.Dict[str, t.Any], message: str) -> None:
    with pytest.raises(AnsibleFilterError, match=re.escape(message)):
        _wanted("test", given)


def test_logins_are_put_together_by_server() -> None:
    def login(host: str, server: str, public: t.List[str]) -> t.Dict[str, t.Any]:
        return {"host": host, "server": server, "account": "kdump", "public": public}

    logins = [
        login("a", "s", ["k1"]),
        {},
        login("b", "", ["k2"]),
        login("c", "s", ["k3", "k4"]),
        login("d", "r", []),
    ]
    assert FILTERS["kdump_logins"](logins) == [
        {"server": "r", "account": "kdump", "hosts": [{"name": "d"}]},
        {"server": "s", "account": "kdump", "hosts": [{"name": "a", "keys": ["k1"]}, {"name": "c", "keys": ["k3", "k4"]}]},
    ]  # fmt: skip
    with pytest.raises(AnsibleFilterError, match="kdump_logins needs dictionaries, not str"):
        FILTERS["kdump_logins"](["a"])
