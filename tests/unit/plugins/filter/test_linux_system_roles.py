# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inventories written for linux-system-roles/kdump: its README's examples and its test playbooks' variables.

Source: linux-system-roles/kdump dff0a9a. Its variables are given here by their own names, as an inventory has them.
"""

import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.filter.kdump import _wanted
from ansible_collections.kdump.fleet.plugins.module_utils.configuration import edited
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.kdump_tools import KdumpTools
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.kdumpctl import Kdumpctl
from ansible_collections.kdump.fleet.plugins.module_utils.wanted import problems, warnings

UUID = "12e3e25f-534e-4007-a40c-e7e080a933ad"
CONF = "/etc/kdump.conf"
# As the role's template leaves it on a host.
TEMPLATED = """\
#
# Ansible managed
#
# system_role:kdump


path /var/crash

auto_reset_crashkernel yes
failure_action reboot
"""
UBUNTU = {
    "USE_KDUMP": 1,
    "KDUMP_KERNEL": "/var/lib/kdump/vmlinuz",
    "KDUMP_INITRD": "/var/lib/kdump/initrd.img",
    "KDUMP_COREDIR": "/var/crash",
    "MAKEDUMP_ARGS": "-c -d 31",
    "KDUMP_FAIL_CMD": "reboot -f",
}
OLD_OPTIONS = (
    *("raw", "ext4", "xfs", "nfs", "ssh", "sshkey", "path", "core_collector", "default"),
    *("dracut_args", "force_rebuild", "force_no_rebuild"),
)


def wanted(inventory: t.Mapping[str, t.Any]) -> t.Any:
    """Return the wanted state of an inventory, as the role's vars make it."""
    return _wanted("test", {name[len("kdump_") :]: value for name, value in inventory.items()})


def facts(tooling: str, text: str = "", **rules: t.Any) -> t.Dict[str, t.Any]:
    return {
        "architecture": "x86_64",
        "distribution": {"id": "", "version": "", "name": "", "like": []},
        "kernel": {"release": "6.12.0", "cmdline": "", "options": {}},
        "target": {"path": "/var/crash", "fstype": "ext4", "source": "/dev/vda1"},
        "tooling": {
            "name": tooling,
            "release": rules.pop("release", None),
            "rules": rules,
            "settings": Kdumpctl().config_files[0].parse(text) if tooling == "kdumpctl" else {},
        },
    }


EL_CASES: t.List[t.Tuple[t.Dict[str, t.Any], t.List[str]]] = [
    # The defaults.
    ({}, ["path /var/crash", "failure_action reboot"]),
    # README
    ({"kdump_target": {"type": "raw", "location": "/dev/sda1"}}, ["raw /dev/sda1"]),
    ({"kdump_target": {"type": "ext4", "location": UUID}}, [f"ext4 UUID={UUID}"]),
    ({"kdump_target": {"type": "ssh", "location": "user@example.com"}}, ["ssh user@example.com"]),
    ({"kdump_path": "/srv/dumps"}, ["path /srv/dumps"]),
    (
        {"kdump_core_collector": "makedumpfile -d 31 -c"},
        ["core_collector makedumpfile -d 31 -c"],
    ),
    ({"kdump_system_action": "halt"}, ["failure_action halt"]),
    ({"kdump_system_action": "shell"}, ["failure_action shell"]),
    # Its tests
    (
        {
            "kdump_dracut_args": "--kernel-cmdline nopti",
            "kdump_auto_reset_crashkernel": True,
        },
        [
            "dracut_args --kernel-cmdline nopti",
            "auto_reset_crashkernel yes",
            "failure_action reboot",
        ],
    ),
    (
        {"kdump_dracut_args": "--print-cmdline", "kdump_auto_reset_crashkernel": False},
        ["dracut_args --print-cmdline", "auto_reset_crashkernel no"],
    ),
    (
        {
            "kdump_ssh_server": "dumps.example.com",
            "kdump_ssh_user": "kdump_ssh_user",
            "kdump_path": "/tmp/tests_ssh",
            "kdump_target": {"type": "ssh", "location": "kdump_ssh_user@192.0.2.7"},
        },
        ["ssh kdump_ssh_user@192.0.2.7", "path /tmp/tests_ssh"],
    ),
    # Its template without a location, and with a key of one's own.
    (
        {
            "kdump_ssh_server": "dumps.example.com",
            "kdump_ssh_user": "kdump",
            "kdump_sshkey": "/root/.ssh/other",
            "kdump_target": {"type": "ssh"},
        },
        ["ssh kdump@dumps.example.com", "sshkey /root/.ssh/other"],
    ),
    # What it is used for with a null: nothing.
    ({"kdump_target": None, "kdump_core_collector": None, "kdump_dracut_args": None}, []),
]


@pytest.mark.parametrize("before", ["", TEMPLATED], ids=["new", "after-that-role"])
@pytest.mark.parametrize("inventory, lines", EL_CASES)
def test_kdump_conf(before: str, inventory: t.Dict[str, t.Any], lines: t.List[str]) -> None:
    tooling, meant = Kdumpctl(), wanted(inventory)
    assert problems(meant) == []
    made = tooling.configure(meant, facts("kdumpctl", before))
    assert made.problems == []
    text = edited(tooling, {CONF: before}, made.settings)[CONF]
    assert [line for line in lines if line not in text.splitlines()] == []
    assert tooling.config_files[0].problems(text) == []
    # What that role wrote stays, but what the variables change.
    assert text.startswith(before.partition("path")[0])
    again = tooling.configure(meant, facts("kdumpctl", text))
    assert edited(tooling, {CONF: text}, again.settings)[CONF] == text


def test_before_2_0_18_the_action_has_its_old_name() -> None:
    made = Kdumpctl(OLD_OPTIONS).configure(
        wanted({"kdump_system_action": "halt"}), facts("kdumpctl", options=OLD_OPTIONS)
    )
    assert made.settings["default"] == "halt"
    assert "auto_reset_crashkernel" not in made.settings


def test_an_nfs_server_without_an_export_is_refused_with_the_way_out() -> None:
    # README's example; mkdumprd would try to mount it and fail.
    meant = wanted({"kdump_target": {"type": "nfs", "location": "nfs.example.com"}})
    made = Kdumpctl().configure(meant, facts("kdumpctl"))
    assert made.problems == [
        "kdump_target: location 'nfs.example.com' must be host:/export, or [2001:db8::1]:/export for an IPv6 address"
    ]


def ubuntu(changes: t.Mapping[str, t.Any]) -> t.Tuple[t.Any, t.Any]:
    tooling = KdumpTools()
    meant = tooling.wanted(wanted({"kdump_kdump_tools": {**UBUNTU, **changes}}))
    return meant, tooling.configure(meant, facts("kdump-tools"))


def test_the_dict_for_ubuntu_is_written_as_a_shell_reads_it() -> None:
    meant, made = ubuntu({})
    assert made.problems == [] and problems(meant) == []
    path = KdumpTools().config_files[0].path
    # What that role's template makes of it.
    before = "".join(f"{key} = {value}\n" for key, value in UBUNTU.items())
    text = edited(KdumpTools(), {path: before}, made.settings)[path]
    more = made.settings["KDUMP_CMDLINE_APPEND"]
    settings = {**UBUNTU, "KDUMP_CMDLINE_APPEND": more}
    assert text == "".join(f'{key}="{value}"\n' for key, value in settings.items())


def test_the_dict_goes_before_the_variables() -> None:
    meant, made = ubuntu({"KDUMP_COREDIR": "/srv/dumps", "KDUMP_FAIL_CMD": "poweroff -f"})
    assert meant.path == "/srv/dumps"
    assert made.settings["KDUMP_COREDIR"] == "/srv/dumps"
    assert made.settings["KDUMP_FAIL_CMD"] == "poweroff -f"


WRONG = [
    ({"USE_KDUMP": 0}, "kdump_kdump_tools: USE_KDUMP='0' asks for a host without dumps; set kdump_state: absent"),
    ({"USE_KDUMP": True}, "kdump_kdump_tools: USE_KDUMP must be a string or a whole number"),
    ({"KDUMP_NUM_DUMPS": "many"}, "kdump_kdump_tools: KDUMP_NUM_DUMPS='many' must be a whole number"),
    ({"KDUMP_COREDIRS": "/x"}, "kdump_kdump_tools: KDUMP_COREDIRS='/x' is no setting of kdump-tools; did you mean KDUMP_COREDIR?"),
    ({"FTP_PASSWORD": "hush"}, "kdump_kdump_tools: FTP_PASSWORD is a secret"),
]  # fmt: skip


@pytest.mark.parametrize("changes, message", WRONG)
def test_what_is_wrong_in_the_dict_is_named(changes: t.Dict[str, t.Any], message: str) -> None:
    _meant, made = ubuntu(changes)
    assert [problem for problem in made.problems if problem.startswith(message)]
    assert "hush" not in " ".join(made.problems)


def test_what_has_no_meaning_on_a_host_is_told() -> None:
    inventory = {"kdump_kdump_tools": UBUNTU, "kdump_ssh_user": "kdump"}
    assert warnings(wanted(inventory), "kdumpctl") == [
        "kdump_kdump_tools: is for kdump-tools alone, and this host has kdumpctl",
        "kdump_ssh_user: is for a kdump_target of type ssh alone, and this host has none",
    ]
    assert warnings(wanted({"kdump_kdump_tools": UBUNTU}), "kdump-tools") == []
