# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.panic import (
    DROPIN,
    SYSCTLS,
    TAINTS,
    TRIGGERS,
    dropin,
    overridden,
    policy,
    settings,
    taint_bit,
)
from ansible_collections.kdump.fleet.plugins.module_utils.wanted import Wanted

# Debian 13 on a PC, as booted.
LIVE = {
    **dict.fromkeys(SYSCTLS, "0"),
    "kernel.sysrq": "438",
    "kernel.nmi_watchdog": "1",
    "kernel.soft_watchdog": "1",
    "kernel.watchdog_thresh": "10",
    "kernel.hung_task_timeout_secs": "120",
}


def facts(
    live: t.Optional[t.Mapping[str, t.Optional[str]]] = None,
    release: str = "6.12.107-amd64",
    kind: str = "none",
    tooling: str = "kdump-tools",
) -> t.Dict[str, t.Any]:
    """Return facts of a host whose sysctls differ from LIVE as given."""
    return {
        "sysctl": {**LIVE, **(live or {})},
        "kernel": {"release": release},
        "virtualization": {"kind": kind, "name": ""},
        "tooling": {"name": tooling},
    }


ASKED: t.List[t.Tuple[t.Dict[str, t.Any], t.Dict[str, str]]] = [
    ({}, {"kernel.panic_on_oops": "1"}),
    ({"panic_on": []}, {}),
    ({"panic_on": ["oops", "oops"]}, {"kernel.panic_on_oops": "1"}),
    (
        {"panic_on": ["unrecovered_nmi", "unknown_nmi", "io_nmi"]},
        {
            "kernel.panic_on_unrecovered_nmi": "1",
            "kernel.unknown_nmi_panic": "1",
            "kernel.panic_on_io_nmi": "1",
        },
    ),
    (
        {"panic_on": ["hardlockup", "softlockup", "hung_task", "rcu_stall", "out_of_memory"]},
        {
            "kernel.hardlockup_panic": "1",
            "kernel.softlockup_panic": "1",
            "kernel.hung_task_panic": "1",
            "kernel.panic_on_rcu_stall": "1",
            "vm.panic_on_oom": "1",
        },
    ),
    ({"panic_on": [], "panic_timeout": 30}, {"kernel.panic": "30"}),
    ({"panic_on": [], "panic_timeout": 0}, {"kernel.panic": "0"}),
    ({"panic_on": [], "panic_timeout": -1}, {"kernel.panic": "-1"}),
    ({"panic_on": [], "panic_timeout": 2147483}, {"kernel.panic": "2147483"}),
    ({"panic_on": [], "sysrq": 0}, {"kernel.sysrq": "0"}),
    ({"panic_on": [], "sysrq": 1}, {"kernel.sysrq": "1"}),
    ({"panic_on": [], "sysrq": 511}, {"kernel.sysrq": "511"}),
    ({"panic_on": [], "nmi_watchdog": True}, {"kernel.nmi_watchdog": "1"}),
    ({"panic_on": [], "nmi_watchdog": False}, {"kernel.nmi_watchdog": "0"}),
]


@pytest.mark.parametrize("variables, expected", ASKED)
def test_sysctls(variables: t.Dict[str, t.Any], expected: t.Dict[str, str]) -> None:
    assert policy(Wanted(**variables), facts()) == (expected, {}, [], [])


@pytest.mark.parametrize("entry", sorted(TRIGGERS))
def test_what_the_kernel_lacks_is_a_problem(entry: str) -> None:
    sysctl = TRIGGERS[entry].sysctl
    result = policy(Wanted(panic_on=[entry]), facts({sysctl: None}))
    assert len(result.problems) == 1
    assert result.problems[0].startswith(f"kdump_panic_on: this host's kernel has no {sysctl}")
    assert sysctl not in result.sysctls


UNKNOWN = [
    ("opps", "did you mean 'oops'?"),
    ("panic_on_oops", "did you mean 'oops'?"),
    ("kernel.hung_task_panic", "did you mean 'hung_task'?"),
    ("vm.panic_on_oom", "did you mean 'out_of_memory'?"),
    ("soft_lockup", "did you mean 'softlockup'?"),
    ("tea", "must be one of: oops, warn,"),
    ("", "must be one of: oops, warn,"),
]


@pytest.mark.parametrize("entry, hint", UNKNOWN)
def test_unknown_entries_are_problems(entry: str, hint: str) -> None:
    problems = policy(Wanted(panic_on=[entry]), facts()).problems
    assert len(problems) == 1
    assert problems[0].startswith(f"kdump_panic_on: {entry!r} must be one of:")
    assert hint in problems[0]


TAINTED = [
    (["taint:P"], "0x1"),
    (["taint:B"], "0x20"),
    (["taint:5"], "0x20"),
    (["taint:D", "taint:M"], "0x90"),
    (["taint:D", "taint:7"], "0x80"),
    (["taint:W"], "0x200"),
    (["taint:N"], "0x40000"),
    (["taint:0"], "0x1"),
]


@pytest.mark.parametrize("entries, mask", TAINTED)
def test_taints_are_a_kernel_argument(entries: t.List[str], mask: str) -> None:
    result = policy(Wanted(panic_on=entries, commandline_remove=["panic_on_taint"]), facts())
    assert result.arguments == {"panic_on_taint": [mask]}
    assert result.sysctls == {}
    assert result.problems == []


def test_the_letters_are_the_bits_of_the_kernel() -> None:
    assert [taint_bit(letter) for letter in TAINTS] == list(range(20))
    assert taint_bit("G") is None  # the log's letter for "not P"


NO_TAINT = [
    ("taint:G", "must be taint:"),
    ("taint:p", "did you mean 'taint:P'?"),
    ("taint:20", "must be taint:"),
    ("taint:-1", "must be taint:"),
    ("taint:0x20", "must be taint:"),
    ("taint:", "must be taint:"),
]


@pytest.mark.parametrize("entry, message", NO_TAINT)
def test_unknown_taints_are_problems(entry: str, message: str) -> None:
    result = policy(Wanted(panic_on=[entry]), facts())
    assert len(result.problems) == 1
    assert message in result.problems[0]
    assert result.arguments == {}


def test_a_taint_that_the_kernel_has_would_panic_at_every_boot() -> None:
    wanted = Wanted(panic_on=["taint:O"])
    assert "each boot after it" in policy(wanted, facts({"kernel.tainted": "4097"})).problems[0]
    assert policy(wanted, facts({"kernel.tainted": "1"})).problems == []


YOUNGER = [
    ("5.4.0-100-generic", "taint:D", "came with Linux 5.8"),
    ("5.8.0-1", "taint:D", ""),
    ("5.19.1", "taint:N", "came with Linux 6.0"),
    ("6.12.1", "taint:J", "came with Linux 6.15"),
    ("6.15.0", "taint:J", ""),
]


@pytest.mark.parametrize("release, entry, warning", YOUNGER)
def test_an_older_kernel_ignores_a_younger_taint(release: str, entry: str, warning: str) -> None:
    wanted = Wanted(panic_on=[entry], commandline_remove=["panic_on_taint="])
    warnings = policy(wanted, facts(release=release)).warnings
    assert [warning in text for text in warnings] == ([True] if warning else [])


def test_the_capture_kernel_must_not_inherit_taints() -> None:
    wanted = Wanted(panic_on=["taint:D"])
    assert "kdump_commandline_remove: [panic_on_taint]" in policy(wanted, facts()).warnings[0]
    assert policy(wanted._replace(commandline="root=/dev/vda1"), facts()).warnings == []
    assert policy(wanted, facts(tooling="kexec")).warnings == []


WARNED: t.List[t.Tuple[t.Dict[str, t.Any], t.Dict[str, t.Optional[str]], str]] = [
    ({"panic_on": ["warn"]}, {}, "not for production"),
    (
        {"panic_on": ["taint:W"], "commandline_remove": ["panic_on_taint"]},
        {},
        "not for production",
    ),
    (
        {"panic_on": ["hung_task"]},
        {"kernel.hung_task_timeout_secs": "0"},
        "hung_task never fires while kernel.hung_task_timeout_secs is 0",
    ),
    ({"panic_on": ["softlockup"]}, {"kernel.soft_watchdog": "0"}, "kernel.soft_watchdog is 0"),
    ({"panic_on": ["hardlockup"]}, {"kernel.watchdog_thresh": "0"}, "kernel.watchdog_thresh is 0"),
    ({"panic_on": [], "sysrq": 176}, {}, "kdump_sysrq: 176 does not allow a crash"),
]


@pytest.mark.parametrize("variables, live, message", WARNED)
def test_warnings(
    variables: t.Dict[str, t.Any], live: t.Dict[str, t.Optional[str]], message: str
) -> None:
    result = policy(Wanted(**variables), facts(live))
    assert result.problems == []
    assert [message in text for text in result.warnings] == [True]


REFUSED: t.List[t.Tuple[t.Dict[str, t.Any], t.Dict[str, t.Optional[str]], str]] = [
    (
        {"panic_on": ["hardlockup"]},
        {"kernel.nmi_watchdog": "0"},
        "set kdump_nmi_watchdog: true, or take it out",
    ),
    ({"panic_on": ["hardlockup"], "nmi_watchdog": False}, {}, "turns off the detector"),
    ({"nmi_watchdog": True}, {"kernel.nmi_watchdog": None}, "no kernel.nmi_watchdog"),
    ({"nmi_watchdog": False}, {"kernel.nmi_watchdog": None}, "no kernel.nmi_watchdog"),
    ({"panic_timeout": 2147484}, {}, "must be up to 2147483 seconds"),
    ({"panic_timeout": -(2**31) - 1}, {}, "must be up to 2147483 seconds"),
    ({"sysrq": -1}, {}, "must be from 0 to 511"),
    ({"sysrq": 512}, {}, "must be from 0 to 511"),
    ({"sysrq": 1}, {"kernel.sysrq": None}, "CONFIG_MAGIC_SYSRQ"),
]


@pytest.mark.parametrize("variables, live, message", REFUSED)
def test_problems(
    variables: t.Dict[str, t.Any], live: t.Dict[str, t.Optional[str]], message: str
) -> None:
    problems = policy(Wanted(**variables), facts(live)).problems
    assert [message in text for text in problems] == [True]


def test_the_detector_is_turned_on_for_hard_lockups() -> None:
    wanted = Wanted(panic_on=["hardlockup"], nmi_watchdog=True)
    result = policy(wanted, facts({"kernel.nmi_watchdog": "0"}, kind="vm"))
    assert result.problems == []
    assert result.sysctls == {"kernel.hardlockup_panic": "1", "kernel.nmi_watchdog": "1"}
    assert "performance counters" in result.warnings[0]
    assert policy(wanted, facts({"kernel.nmi_watchdog": "0"})).warnings == []


def test_the_dropin_says_whose_it_is_and_is_read_back() -> None:
    sysctls = {"vm.panic_on_oom": "1", "kernel.panic": "-1"}
    text = dropin(sysctls)
    assert text.startswith("# Managed by kdump.fleet")
    assert text.endswith("kernel.panic = -1\nvm.panic_on_oom = 1\n")
    assert settings(text) == sysctls


READ = [
    ("kernel.panic=5", {"kernel.panic": "5"}),
    ("  kernel/panic =  5 \n", {"kernel.panic": "5"}),
    ("-kernel.panic = 5", {"kernel.panic": "5"}),
    ("net/ipv4/conf/eth0.1/forwarding = 1", {"net.ipv4.conf.eth0/1.forwarding": "1"}),
    ("# kernel.panic = 5\n; kernel.sysrq = 1\n\nkernel.panic\n= 3\n", {}),
    ("kernel.panic = 5\nkernel.panic = 6", {"kernel.panic": "6"}),
    ("-kernel.panic", {}),
]


@pytest.mark.parametrize("text, expected", READ)
def test_settings(text: str, expected: t.Dict[str, str]) -> None:
    assert settings(text) == expected


OTHERS = [
    ({}, []),
    ({"/etc/sysctl.d/99-sysctl.conf": "kernel.panic = 5"}, []),
    ({"/etc/sysctl.d/zzz.conf": "kernel.panic = 5"}, ["/etc/sysctl.d/zzz.conf"]),
    ({"/usr/lib/sysctl.d/zzz.conf": "kernel/panic = 5"}, ["/usr/lib/sysctl.d/zzz.conf"]),
    ({"/usr/lib/sysctl.d/zzz.conf": "kernel.panic = 5", "/etc/sysctl.d/zzz.conf": ""}, []),
    ({"/etc/sysctl.conf": "kernel.panic = 5"}, ["/etc/sysctl.conf"]),
    ({"/etc/sysctl.conf": "kernel.panic = 30"}, []),
    ({"/etc/sysctl.conf": "kernel.sysrq = 1"}, []),
    ({DROPIN: "kernel.panic = 5"}, []),
    ({"/opt/zzz.conf": "kernel.panic = 5"}, []),
    ({"/etc/sysctl.conf": "vm.panic_on_oom=2\nkernel.panic=0"}, ["/etc/sysctl.conf"] * 2),
]


@pytest.mark.parametrize("files, expected", OTHERS)
def test_overridden(files: t.Dict[str, str], expected: t.List[str]) -> None:
    found = overridden(files, {"kernel.panic": "30", "vm.panic_on_oom": "1"})
    assert [text.partition(":")[0] for text in found] == expected
