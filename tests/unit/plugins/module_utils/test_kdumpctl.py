# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.runner import CommandError, Input, Result
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.kdumpctl import (
    EARLY,
    FADUMP_APPEND,
    KEPT,
    Kdumpctl,
    with_words,
)
from ansible_collections.kdump.fleet.plugins.module_utils.wanted import Configuration, Wanted
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost

TOOLING = Kdumpctl()
KERNEL = "5.14.0-427.el9.x86_64"
INITRD = f"/boot/initramfs-{KERNEL}kdump.img"
SYSTEM = f"/boot/initramfs-{KERNEL}.img"
COLLECTOR = "makedumpfile -l --message-level 7 -d 31"
SCRIPT = "/usr/bin/kdumpctl"

EL8 = [
    "raw",
    "ext2",
    "ext3",
    "ext4",
    "minix",
    "btrfs",
    "xfs",
    "nfs",
    "ssh",
    "sshkey",
    "path",
    "core_collector",
    "kdump_post",
    "kdump_pre",
    "extra_bins",
    "extra_modules",
    "failure_action",
    "default",
    "final_action",
    "force_rebuild",
    "force_no_rebuild",
    "dracut_args",
    "fence_kdump_args",
    "fence_kdump_nodes",
]
EL8_0 = [option for option in EL8 if option not in ("failure_action", "final_action")]
EL10 = [*EL8, "virtiofs", "auto_reset_crashkernel", "kdump_emergency"]
EL10.remove("default")
NEW = {"options": EL10, "hook_folders": ["pre", "post", "emergency"], "fence": True}
OLD = {"options": EL8_0, "hook_folders": [], "fence": True}


def facts(
    settings: t.Optional[t.Dict[str, str]] = None,
    rules: t.Optional[t.Dict[str, t.Any]] = None,
    arch: str = "x86_64",
    release: t.Optional[str] = "1.0.61-1.el10",
) -> t.Dict[str, t.Any]:
    stock = {
        "path": "/var/crash",
        "core_collector": COLLECTOR,
        "KDUMP_COMMANDLINE_APPEND": "irqpoll nr_cpus=1 reset_devices",
        "KDUMP_COMMANDLINE_REMOVE": "hugepages quiet",
        "KEXEC_ARGS": "-s",
        "KDUMP_IMG": "vmlinuz",
    }
    return {
        "architecture": arch,
        "tooling": {
            "settings": stock if settings is None else settings,
            "rules": NEW if rules is None else rules,
            "release": release,
        },
    }


def configured(wanted: Wanted, **changes: t.Any) -> Configuration:
    return TOOLING.configure(wanted, facts(**changes))


def target(kind: str, location: str) -> t.Dict[str, str]:
    return {"type": kind, "location": location}


FLAT = COLLECTOR.replace("makedumpfile", "makedumpfile -F")
UUID = "12e3e25f-534e-4007-a40c-e7e080a933ad"

# What comes beside path and failure_action; only what is not None.
SETTINGS: t.List[t.Tuple[Wanted, t.Dict[str, str]]] = [
    (Wanted(), {}),
    (Wanted(path="/dumps"), {"path": "/dumps"}),
    (Wanted(system_action="shell"), {"failure_action": "shell"}),
    (Wanted(final_action="poweroff"), {"final_action": "poweroff"}),
    (
        Wanted(target=target("raw", "/dev/vdb")),
        {"raw": "/dev/vdb", "core_collector": FLAT},
    ),
    (
        Wanted(target=target("nfs", "server:/dumps")),
        {"nfs": "server:/dumps", "core_collector": COLLECTOR},
    ),
    (
        Wanted(target=target("nfs", "2001:db8::1:/dumps")),
        {"nfs": "[2001:db8::1]:/dumps", "core_collector": COLLECTOR},
    ),
    (
        Wanted(target=target("nfs", "[2001:db8::1]:/dumps")),
        {"nfs": "[2001:db8::1]:/dumps", "core_collector": COLLECTOR},
    ),
    (
        Wanted(target=target("ssh", "kdump@server"), sshkey="/root/.ssh/key"),
        {"ssh": "kdump@server", "sshkey": "/root/.ssh/key", "core_collector": FLAT},
    ),
    (
        Wanted(target=target("ssh", ""), ssh_user="kdump", ssh_server="server"),
        {"ssh": "kdump@server", "core_collector": FLAT},
    ),
    (
        Wanted(target=target("ssh", "kdump@[2001:db8::1]")),
        {"ssh": "kdump@2001:db8::1", "core_collector": FLAT},
    ),
    (
        Wanted(target=target("ssh", "kdump@2001:db8::1")),
        {"ssh": "kdump@2001:db8::1", "core_collector": FLAT},
    ),
    (
        Wanted(target=target("ext4", UUID)),
        {"ext4": "UUID=" + UUID, "core_collector": COLLECTOR},
    ),
    (
        Wanted(target=target("xfs", "LABEL=dumps")),
        {"xfs": "LABEL=dumps", "core_collector": COLLECTOR},
    ),
    (
        Wanted(target=target("virtiofs", "dumps")),
        {"virtiofs": "dumps", "core_collector": COLLECTOR},
    ),
    (
        Wanted(core_collector="makedumpfile -c -d 17"),
        {"core_collector": "makedumpfile -c -d 17"},
    ),
    (
        Wanted(core_collector="makedumpfile -F -c", target=target("raw", "/dev/vdb")),
        {"raw": "/dev/vdb", "core_collector": "makedumpfile -F -c"},
    ),
    (
        Wanted(core_collector="scp", target=target("ssh", "kdump@server")),
        {"ssh": "kdump@server", "core_collector": "scp"},
    ),
    (
        Wanted(dump_level=1, compression="zstd"),
        {"core_collector": "makedumpfile --message-level 7 -z -d 1"},
    ),
    (
        Wanted(message_level=1, target=target("ssh", "kdump@server")),
        {"ssh": "kdump@server", "core_collector": "makedumpfile -F -l -d 31 --message-level 1"},
    ),
    (
        Wanted(extra_bins=["/usr/bin/a", "/usr/bin/b"], extra_modules=["nvme", "dm_mod"]),
        {"extra_bins": "/usr/bin/a /usr/bin/b", "extra_modules": "nvme dm_mod"},
    ),
    (Wanted(dracut_args="--no-compress"), {"dracut_args": "--no-compress"}),
    (Wanted(force_rebuild="always"), {"force_rebuild": "1"}),
    (Wanted(force_rebuild="never"), {"force_no_rebuild": "1"}),
    (Wanted(force_rebuild="auto"), {}),
    (
        Wanted(fence_nodes=["node2", "10.0.0.2"], fence_args="-p 7410"),
        {"fence_kdump_nodes": "node2 10.0.0.2", "fence_kdump_args": "-p 7410"},
    ),
    (Wanted(auto_reset_crashkernel=True), {"auto_reset_crashkernel": "yes"}),
    (Wanted(auto_reset_crashkernel=False), {"auto_reset_crashkernel": "no"}),
    (Wanted(commandline="root=/dev/vda1 ro"), {"KDUMP_COMMANDLINE": "root=/dev/vda1 ro"}),
    (
        Wanted(commandline_append="nr_cpus=4 rd.shell"),
        {"KDUMP_COMMANDLINE_APPEND": "irqpoll reset_devices nr_cpus=4 rd.shell"},
    ),
    (
        Wanted(commandline_append="nr_cpus=1"),
        {"KDUMP_COMMANDLINE_APPEND": "irqpoll nr_cpus=1 reset_devices"},
    ),
    (
        Wanted(commandline_remove=["quiet", "rhgb", "splash="]),
        {"KDUMP_COMMANDLINE_REMOVE": "hugepages quiet rhgb splash="},
    ),
    (Wanted(kexec_args="-c --no-checks"), {"KEXEC_ARGS": "-c --no-checks"}),
    (
        Wanted(bootdir="/efi", kernel_version=KERNEL),
        {"KDUMP_BOOTDIR": "/efi", "KDUMP_KERNELVER": KERNEL},
    ),
    (
        Wanted(options={"KDUMP_STDLOGLVL": 4, "KDUMP_IMG": "vmlinuz"}),
        {"KDUMP_STDLOGLVL": "4", "KDUMP_IMG": "vmlinuz"},
    ),
]


@pytest.mark.parametrize("wanted, expected", SETTINGS)
def test_settings(wanted: Wanted, expected: t.Dict[str, str]) -> None:
    made = configured(wanted)
    assert made.problems == []
    found = {key: value for key, value in made.settings.items() if value is not None}
    always = {"path": "/var/crash", "failure_action": "reboot", "auto_reset_crashkernel": "no"}
    assert found == {**always, **expected}


@pytest.mark.parametrize("wanted, _expected", SETTINGS)
def test_a_second_time_changes_nothing(wanted: Wanted, _expected: t.Dict[str, str]) -> None:
    first = configured(wanted).settings
    now = dict(facts()["tooling"]["settings"])
    now.update({key: value for key, value in first.items() if value is not None})
    for key in [key for key, value in first.items() if value is None]:
        now.pop(key, None)
    assert configured(wanted, settings=now).settings == first


@pytest.mark.parametrize("wanted, _expected", SETTINGS)
def test_what_was_written_is_read_back(wanted: Wanted, _expected: t.Dict[str, str]) -> None:
    made = configured(wanted).settings
    texts = {}
    for file in TOOLING.config_files:
        own = {key: value for key, value in made.items() if TOOLING.file_of(key) is file}
        texts[file.path] = file.render("# a comment\n", own)
        assert file.render(texts[file.path], own) == texts[file.path]
    read = TOOLING.settings(texts)
    assert read == {key: value for key, value in made.items() if value is not None}


REMOVED: t.List[t.Tuple[Wanted, t.List[str]]] = [
    (Wanted(), ["default"]),
    (
        Wanted(target=target("nfs", "server:/dumps")),
        ["raw", "ssh", "ext4", "xfs", "virtiofs", "default"],
    ),
    (
        Wanted(dracut_args='--mount "/dev/vdb /mnt ext4 defaults"'),
        ["raw", "nfs", "ssh", "ext4", "default"],
    ),
    (Wanted(force_rebuild="auto"), ["force_rebuild", "force_no_rebuild"]),
    (Wanted(force_rebuild="always"), ["force_no_rebuild"]),
    (Wanted(force_rebuild="never"), ["force_rebuild"]),
]


@pytest.mark.parametrize("wanted, gone", REMOVED)
def test_what_is_in_the_way_goes(wanted: Wanted, gone: t.List[str]) -> None:
    made = configured(wanted)
    assert [key for key in gone if made.settings.get(key, "kept") is not None] == []


def test_a_new_local_target_takes_the_flag_for_pipes_away() -> None:
    settings = {"ssh": "kdump@server", "core_collector": FLAT}
    made = configured(Wanted(target=target("nfs", "server:/dumps")), settings=settings)
    assert made.settings["core_collector"] == COLLECTOR


def test_parts_keep_the_flag_for_pipes_of_the_files_target() -> None:
    settings = {"ssh": "kdump@server", "core_collector": FLAT}
    made = configured(Wanted(dump_level=1), settings=settings)
    assert made.settings["core_collector"] == "makedumpfile -F -l --message-level 7 -d 1"
    assert "ssh" not in made.settings


def test_parts_take_the_place_of_another_program() -> None:
    made = configured(Wanted(dump_level=1), settings={"core_collector": "cp"}, arch="s390x")
    assert made.settings["core_collector"] == "makedumpfile -c --message-level 7 -d 1"
    assert "in the place of 'cp'" in made.warnings[0] or "the place of 'cp'" in made.warnings[0]


@pytest.mark.parametrize(
    "arch, cpus", [("x86_64", 1), ("aarch64", 1), ("ppc64le", 16), ("s390x", 1), ("riscv64", 1)]
)
def test_a_file_without_a_command_line_gets_the_distributions(arch: str, cpus: int) -> None:
    made = configured(Wanted(commandline_append="rd.shell"), settings={}, arch=arch).settings
    append = made["KDUMP_COMMANDLINE_APPEND"]
    assert append is not None and append.endswith(" rd.shell")
    assert TOOLING.capture_cpus({"KDUMP_COMMANDLINE_APPEND": append}) == cpus


def test_an_exclusive_file_keeps_what_no_host_does_without() -> None:
    made = configured(Wanted(exclusive=True), settings={"KDUMP_IMG": "Image"}).settings
    assert (made["KDUMP_IMG"], made["KEXEC_ARGS"]) == ("Image", "-s")
    assert "nr_cpus=1" in str(made["KDUMP_COMMANDLINE_APPEND"])
    assert "hugepages" in str(made["KDUMP_COMMANDLINE_REMOVE"])


# Settings, architecture, what is kept.
FADUMP_KEPT: t.List[t.Tuple[t.Dict[str, str], str, t.Optional[str]]] = [
    ({}, "ppc64le", FADUMP_APPEND),
    ({"FADUMP_COMMANDLINE_APPEND": "nr_cpus=8"}, "ppc64le", "nr_cpus=8"),
    ({"FADUMP_COMMANDLINE_APPEND": "nr_cpus=8"}, "x86_64", "nr_cpus=8"),
    ({}, "x86_64", None),
]


@pytest.mark.parametrize("settings, arch, kept", FADUMP_KEPT)
def test_an_exclusive_file_keeps_what_fadump_is_told(
    settings: t.Dict[str, str], arch: str, kept: t.Optional[str]
) -> None:
    made = configured(Wanted(exclusive=True), settings=settings, arch=arch)
    assert made.problems == []
    assert made.settings.get("FADUMP_COMMANDLINE_APPEND") == kept


# What is wanted, what fadump the host runs with, what its file has, what it gets.
FADUMP_TOLD: t.List[t.Tuple[Wanted, bool, t.Dict[str, str], str, str]] = [
    (Wanted(fadump="on", commandline_append="rd.shell"), False, {}, "FADUMP_COMMANDLINE_APPEND", FADUMP_APPEND + " rd.shell"),
    (Wanted(fadump="nocma", commandline_append="a=1"), False, {"FADUMP_COMMANDLINE_APPEND": "b"}, "FADUMP_COMMANDLINE_APPEND", "b a=1"),
    (Wanted(commandline_append="a=1"), True, {"FADUMP_COMMANDLINE_APPEND": "b a=2"}, "FADUMP_COMMANDLINE_APPEND", "b a=1"),
    (Wanted(fadump="off", commandline_append="a=1"), True, {"KDUMP_COMMANDLINE_APPEND": "b"}, "KDUMP_COMMANDLINE_APPEND", "b a=1"),
    (Wanted(commandline_append="a=1"), False, {"KDUMP_COMMANDLINE_APPEND": "b"}, "KDUMP_COMMANDLINE_APPEND", "b a=1"),
]  # fmt: skip


@pytest.mark.parametrize("wanted, running, settings, key, value", FADUMP_TOLD)
def test_what_fadump_reads_gets_the_words(
    wanted: Wanted, running: bool, settings: t.Dict[str, str], key: str, value: str
) -> None:
    # A kernel that does not run with fadump has no place for its arguments either.
    rules = {**NEW, "fadump": running, "fadump_arguments": running}
    made = configured(wanted, settings=settings, rules=rules, arch="ppc64le")
    assert (made.problems, made.warnings) == ([], [])
    assert {k: v for k, v in made.settings.items() if k.isupper()} == {key: value}


HOOK = {"name": "10-mail", "content": "#!/bin/sh\ntrue\n"}
OTHER = {"name": "20-log", "content": "#!/usr/bin/python3\n"}
POWER: t.Dict[str, t.Any] = {"arch": "ppc64le"}
PROBLEMS: t.List[t.Tuple[Wanted, t.Dict[str, t.Any], str]] = [
    (Wanted(target=target("ssh", "kdump@server:2222")), {}, "has a port"),
    (Wanted(target=target("ssh", "kdump@[::1]:22")), {}, "has a port"),
    (Wanted(target=target("ssh", "ssh://kdump@server")), {}, "must be user@host"),
    (Wanted(target=target("nfs", "server")), {}, "must be host:/export"),
    (Wanted(target=target("raw", "UUID=" + UUID)), {}, "finds no other"),
    (Wanted(target=target("ext4", "PARTUUID=" + UUID)), {}, "finds no other"),
    (Wanted(target=target("ftp", "server")), {}, "cannot honour type 'ftp'"),
    (Wanted(target=target("cifs", "//server/x")), {}, "cannot honour type 'cifs'"),
    (
        Wanted(target=target("virtiofs", "x")),
        {"rules": {"options": EL8}},
        "kdump_target: virtiofs='x' is an option that this host's kdumpctl",
    ),
    (
        Wanted(target=target("ssh", "kdump@server"), core_collector="makedumpfile -l"),
        {},
        "must have -F with a target of type ssh",
    ),
    (
        Wanted(core_collector="makedumpfile -F -l"),
        {},
        "must not have -F with a target of type local",
    ),
    (
        Wanted(core_collector="makedumpfile -l"),
        {"settings": {"raw": "/dev/vdb"}},
        "must have -F with a target of type raw",
    ),
    (
        Wanted(target=target("nfs", "s:/x"), dracut_args='--mount "/dev/vdb /mnt ext4"'),
        {},
        "kdump_dracut_args: --mount is a target",
    ),
    (
        Wanted(target=target("nfs", "s:/x")),
        {"settings": {"dracut_args": '--mount "/dev/vdb /mnt ext4"'}},
        "kdump_dracut_args: --mount is a target",
    ),
    (Wanted(final_action="halt"), {"rules": OLD}, "kdump_final_action: final_action='halt'"),
    (Wanted(auto_reset_crashkernel=True), {"rules": OLD}, "kdump_auto_reset_crashkernel: "),
    (
        Wanted(pre_hooks=[HOOK, OTHER]),
        {"rules": OLD},
        "kdump_pre_hooks: this host's kdumpctl runs one such script alone; make one of 10-mail, 20-log",
    ),
    (Wanted(emergency_hooks=[HOOK]), {"rules": OLD}, "kdump_emergency_hooks: "),
    (
        Wanted(fence_nodes=["node1"]),
        {"rules": {**NEW, "hostname": "node1"}},
        "'node1' is this host itself",
    ),
    (
        Wanted(fence_nodes=["0.0.0.1"]),
        {"rules": {**NEW, "addresses": "10.0.0.1 fe80::1"}},
        "'0.0.0.1' is this host itself",
    ),
    (Wanted(fence_nodes=["fe80::1%eth0"]), {}, "'fe80::1%eth0' has a scope, with which mkdumprd"),
    (
        Wanted(dumps_to_keep=3),
        {},
        "kdumpctl cannot honour it on this host: it never deletes a dump",
    ),
    (
        Wanted(network={"retries": 3}),
        {},
        "kdumpctl cannot honour it on this host: its initrd takes over",
    ),
    (
        Wanted(notification={"to": "x"}),
        {},
        "kdumpctl cannot honour it on this host: it sends no mail",
    ),
    (Wanted(capture_kernel="/x"), {}, "set kdump_kernel_version"),
    (Wanted(capture_initrd="/x"), {}, "set kdump_kernel_version"),
    (Wanted(fadump="on"), {}, "kdump_fadump: 'on' is there on ppc64le alone"),
    (Wanted(fadump="on", early=True), {"arch": "ppc64le"}, "does not go with fadump"),
    (Wanted(early=True), {"rules": {**NEW, "ostree": True}}, "comes with its image"),
    (Wanted(early=True, kernel_version="5.1"), {}, "leave kdump_kernel_version unset"),
    (Wanted(options={"path": "/x"}), {}, "set kdump_path instead"),
    (Wanted(options={"KDUMP_STDLOGLVL": 9}), {}, "kdump_options: KDUMP_STDLOGLVL='9' must be"),
    (Wanted(options={"KEXECARGS": "x"}), {}, "did you mean KEXEC_ARGS?"),
    (
        Wanted(commandline_append="$(reboot)"),
        {},
        "kdump_commandline_append: KDUMP_COMMANDLINE_APPEND=",
    ),
    (Wanted(kexec_args="-s;reboot"), {}, "kdump_kexec_args: KEXEC_ARGS='-s;reboot' is split"),
    (Wanted(kernel_version="a b"), {}, "kdump_kernel_version: KDUMP_KERNELVER='a b'"),
    (Wanted(fadump="on", commandline="ro"), POWER, "kdump_commandline: 'ro': with fadump"),
    (
        Wanted(fadump="on", commandline_remove=["quiet"]),
        POWER,
        "kdump_commandline_remove: 'quiet': with fadump",
    ),
    (Wanted(fadump="on", kexec_args="-s"), POWER, "kdump_kexec_args: '-s': with fadump"),
    (Wanted(fadump="on", kexec_args="-s"), {}, "kdump_fadump: 'on' is there on ppc64le alone"),
    (
        Wanted(kexec_args="-s"),
        {"arch": "ppc64le", "rules": {**NEW, "fadump": True}},
        "kdump_kexec_args: '-s': with fadump",
    ),
    (
        Wanted(fadump="on", commandline_append="a=1"),
        {"arch": "ppc64le", "rules": {**NEW, "sysconfig": []}},
        "kdump_commandline_append: 'a=1': this host's kdumpctl 1.0.61-1.el10 has nothing that adds",
    ),
    (
        Wanted(fadump="on", commandline_append="a=1"),
        {"arch": "ppc64le", "release": "2.0.26-8.el9"},
        "kdump_commandline_append: 'a=1': this host's kdumpctl 2.0.26-8.el9 has nothing that adds",
    ),
    (
        Wanted(fadump="on", commandline_append="$(reboot)"),
        POWER,
        "kdump_commandline_append: FADUMP_COMMANDLINE_APPEND=",
    ),
    (
        Wanted(options={"FADUMP_COMMANDLINE_APPEND": "a"}),
        {},
        "set kdump_commandline_append instead",
    ),
    (
        Wanted(early=True),
        {"arch": "ppc64le", "rules": {**NEW, "fadump": True}},
        "does not go with fadump",
    ),
    (
        Wanted(early=True, force_rebuild="always"),
        {},
        "kdump_early: does not go with kdump_force_rebuild: always",
    ),
    (
        Wanted(early=True),
        {"settings": {"force_rebuild": "1"}},
        "kdump_early: does not go with kdump_force_rebuild: always",
    ),
    (
        Wanted(compression="zstd"),
        {"release": "2.0.20-14.el8"},
        "kdump_compression: 'zstd' is there from makedumpfile 1.7 on, and the one that goes with this host's kdumpctl "
        "2.0.20-14.el8 is older; use zlib or lzo",
    ),
    (
        Wanted(compression="zstd"),
        {"release": "2.0.20-46.el8"},
        "kdump_compression: 'zstd' is there from makedumpfile 1.7 on",
    ),
    (
        Wanted(core_collector="makedumpfile -z -d 31"),
        {"release": "2.0.20-14.el8"},
        "kdump_core_collector: core_collector='makedumpfile -z -d 31' has -z",
    ),
    (
        Wanted(target=target("ssh", "kdump@Server")),
        {"rules": {**NEW, "ssh_given_back": True}, "release": "2.0.26-8.el9"},
        "kdump_target: ssh='kdump@Server' must have its host as ssh gives it back: server",
    ),
    (
        Wanted(dracut_args='--mount="/dev/vdb1 /mnt ext4 defaults"'),
        {"release": "2.0.20-14.el8"},
        "has --mount=, in which kdumpctl finds no target",
    ),
]


@pytest.mark.parametrize("wanted, changes, message", PROBLEMS)
def test_what_it_cannot_honour_is_a_problem(
    wanted: Wanted, changes: t.Dict[str, t.Any], message: str
) -> None:
    (problem,) = configured(wanted, **changes).problems
    assert message in problem


# As they are accepted; what is wrong in them elsewhere is among the problems.
FINE: t.List[t.Tuple[Wanted, t.Dict[str, t.Any]]] = [
    (Wanted(early=True, force_rebuild="auto"), {"settings": {"force_rebuild": "1"}}),
    (Wanted(early=True, exclusive=True), {"settings": {"force_rebuild": "1"}}),
    (Wanted(compression="zstd"), {"release": "2.0.26-8.el9"}),
    (Wanted(compression="zstd"), {"release": None}),
    (Wanted(core_collector="makedumpfile"), {"release": "2.0.20-14.el8"}),
    (Wanted(target=target("ssh", "kdump@Server")), {"release": "2.0.26-8.el9"}),
    (
        Wanted(target=target("ssh", "kdump@Server")),
        {"rules": {**NEW, "ssh_given_back": False}},
    ),
]


@pytest.mark.parametrize("wanted, changes", FINE)
def test_what_it_can_honour_is_no_problem(wanted: Wanted, changes: t.Dict[str, t.Any]) -> None:
    assert configured(wanted, **changes).problems == []


FOUR = {"core_collector": COLLECTOR, "KDUMP_COMMANDLINE_APPEND": "nr_cpus=4"}
WARNINGS: t.List[t.Tuple[Wanted, t.Dict[str, t.Any], str]] = [
    (Wanted(pre_hooks=[OTHER]), {}, "kdump_pre_hooks: 20-log is run by /usr/bin/python3"),
    (Wanted(early=True), {}, "dump and boot without end"),
    (Wanted(fence_nodes=["node2"]), {"rules": {**NEW, "fence": False}}, "fence-agents-kdump"),
    (Wanted(fence_args="-p 7410"), {}, "kdump_fence_args: says how to tell nodes, and neither"),
    (
        Wanted(fence_args="-p 7410", exclusive=True),
        {"settings": {"fence_kdump_nodes": "n1"}},
        "kdump_fence_args: says how to tell nodes, and neither",
    ),
    (Wanted(options={"KDUMP_COMANDLINE": "x"}), {}, "did you mean KDUMP_COMMANDLINE?"),
    (
        Wanted(fadump="on", commandline_append="a=1"),
        {"arch": "ppc64le", "rules": {**NEW, "fadump": True, "fadump_arguments": False}},
        "kdump_commandline_append: 'a=1': the running kernel takes no more arguments for fadump",
    ),
    (Wanted(force_rebuild="never"), {}, "until somebody runs 'kdumpctl rebuild'"),
    (
        Wanted(),
        {"settings": {"ext4": "/dev/vdb1"}},
        "kdump_target: is not set, so /etc/kdump.conf keeps its own target, ext4 /dev/vdb1,",
    ),
    (
        Wanted(),
        {"settings": {"dracut_args": '--mount "s:/x /mnt nfs4 rw"'}},
        "keeps its own target, nfs4 s:/x,",
    ),
    (
        Wanted(threads=2),
        {"settings": FOUR},
        "kdump_threads: 2 threads are asked for, and this host's kdumpctl 1.0.61-1.el10 starts as many as",
    ),
    (
        Wanted(core_collector="makedumpfile -l --num-threads 2"),
        {"settings": FOUR},
        "kdump_core_collector: 2 threads are asked for",
    ),
    (
        Wanted(threads=2, commandline_append="nr_cpus=8"),
        {},
        "(nr_cpus is 8)",
    ),
    (
        Wanted(fadump="on", threads=2),
        {**POWER, "settings": {"FADUMP_COMMANDLINE_APPEND": "nr_cpus=16"}},
        "(nr_cpus is 16)",
    ),
    (
        Wanted(options={"KDUMP_STDLOGLVL": 4}),
        {"release": "2.0.20-14.el8"},
        "kdump_options: KDUMP_STDLOGLVL='4' is not read by this host's kdumpctl",
    ),
    (
        Wanted(options={"VMCORE_CREATION_NOTIFICATION": "no"}),
        {"rules": {**NEW, "sysconfig": ["KDUMP_STDLOGLVL"]}},
        "VMCORE_CREATION_NOTIFICATION='no' is not read by this host's kdumpctl",
    ),
]
NO_WARNINGS: t.List[t.Tuple[Wanted, t.Dict[str, t.Any]]] = [
    (Wanted(force_rebuild="auto"), {}),
    (Wanted(exclusive=True), {"settings": {"ext4": "/dev/vdb1"}}),
    (Wanted(target=target("nfs", "s:/x")), {"settings": {"ext4": "/dev/vdb1"}}),
    (
        Wanted(dracut_args='--mount "/dev/vdc /mnt ext4 rw"'),
        {"settings": {"ext4": "/dev/vdb1"}},
    ),
    (
        Wanted(dracut_args="--add x"),
        {"settings": {"dracut_args": '--mount "/dev/vdb /mnt xfs rw"'}},
    ),
    (Wanted(fence_args="-p 7410"), {"settings": {"fence_kdump_nodes": "n1"}}),
    (Wanted(fence_args="-p 7410"), {"rules": {**NEW, "cluster": True}}),
    (Wanted(fence_args="-p 7410", fence_nodes=["n1"]), {}),
    (Wanted(threads=2), {}),
    (Wanted(threads=4), {"settings": FOUR}),
    (Wanted(threads=2), {"settings": FOUR, "release": "1.0.49-1.fc41"}),
    (Wanted(threads=2), {"settings": FOUR, "release": None}),
    (Wanted(threads=2, target=target("ssh", "k@s")), {"settings": FOUR}),
    (
        Wanted(target=target("nfs", "s:/x")),
        {"settings": {**FOUR, "core_collector": "makedumpfile -l --num-threads=2"}},
    ),
    (Wanted(options={"KDUMP_STDLOGLVL": 4}), {"release": "2.0.26-8.el9"}),
    (
        Wanted(options={"KDUMP_STDLOGLVL": 4}),
        {"rules": {**NEW, "sysconfig": ["KDUMP_STDLOGLVL"]}, "release": "2.0.20-14.el8"},
    ),
]


@pytest.mark.parametrize("wanted, changes, message", WARNINGS)
def test_what_is_doubtful_is_a_warning(
    wanted: Wanted, changes: t.Dict[str, t.Any], message: str
) -> None:
    made = configured(wanted, **changes)
    assert made.problems == []
    (warning,) = made.warnings
    assert message in warning


@pytest.mark.parametrize("wanted, changes", NO_WARNINGS)
def test_what_is_not_doubtful_is_no_warning(wanted: Wanted, changes: t.Dict[str, t.Any]) -> None:
    made = configured(wanted, **changes)
    assert (made.problems, made.warnings) == ([], [])


def test_hooks_are_files_of_their_own() -> None:
    made = configured(Wanted(pre_hooks=[HOOK], post_hooks=[HOOK], emergency_hooks=[HOOK]))
    assert sorted(made.files) == [
        f"/etc/kdump/{kind}.d/10-mail" for kind in ("emergency", "post", "pre")
    ]
    assert {file.mode for file in made.files.values()} == {0o755}
    assert "kdump_pre" not in made.settings


def test_an_old_release_has_one_hook_of_a_kind() -> None:
    made = configured(Wanted(post_hooks=[HOOK]), rules=OLD)
    assert made.problems == []
    assert made.settings["kdump_post"] == "/etc/kdump-fleet/post.d/10-mail"
    assert made.files["/etc/kdump-fleet/post.d/10-mail"].mode == 0o755


OURS = "/etc/kdump-fleet/post.d/10-mail"
# The host, its kdump_post now and before this collection, what is wanted, what is set in the end.
HOOKS_GONE: t.List[t.Tuple[t.Dict[str, t.Any], str, str, Wanted, t.Optional[str]]] = [
    (OLD, OURS, "", Wanted(), None),
    (OLD, OURS, OURS, Wanted(), None),
    (OLD, OURS, "/usr/local/bin/post", Wanted(), "/usr/local/bin/post"),
    (OLD, OURS, "/usr/local/bin/post", Wanted(exclusive=True), None),
    (OLD, OURS, "", Wanted(post_hooks=[HOOK]), OURS),
    (OLD, "/usr/local/bin/post", "", Wanted(), "kept"),
    # Its update has brought the folder.
    (NEW, OURS, "", Wanted(), None),
    (NEW, OURS, "", Wanted(post_hooks=[HOOK]), None),
]


@pytest.mark.parametrize("rules, there, before, wanted, expected", HOOKS_GONE)
def test_a_hook_that_goes_takes_its_line_along(
    rules: t.Dict[str, t.Any],
    there: str,
    before: str,
    wanted: Wanted,
    expected: t.Optional[str],
) -> None:
    now = facts({"kdump_post": there}, rules)
    now["tooling"]["original_settings"] = {"kdump_post": before} if before else {}
    made = TOOLING.configure(wanted, now)
    assert made.problems == []
    assert made.settings.get("kdump_post", "kept") == expected


def test_an_old_release_calls_the_failure_action_by_its_old_name() -> None:
    made = configured(Wanted(auto_reset_crashkernel=False), rules=OLD)
    assert made.problems == []
    assert (made.settings["default"], made.settings["failure_action"]) == ("reboot", None)
    assert "auto_reset_crashkernel" not in made.settings


ARGUMENTS: t.List[t.Tuple[Wanted, t.Dict[str, t.List[str]]]] = [
    (Wanted(), {}),
    (Wanted(fadump="on"), {"fadump": ["on"]}),
    (Wanted(fadump="nocma"), {"fadump": ["nocma"]}),
    (Wanted(fadump="off"), {"fadump": []}),
    (Wanted(early=True), {"rd.earlykdump": [""]}),
    (Wanted(early=False), {"rd.earlykdump": []}),
]


@pytest.mark.parametrize("wanted, expected", ARGUMENTS)
def test_arguments(wanted: Wanted, expected: t.Dict[str, t.List[str]]) -> None:
    made = configured(wanted, arch="ppc64le")
    assert (made.problems, made.arguments) == ([], expected)
    assert (EARLY in made.files) is bool(wanted.early)


def test_no_dumps_to_keep_is_what_it_does() -> None:
    assert configured(Wanted(dumps_to_keep=0)).problems == []


WORDS = [
    ("a b=1", "b=2", "a b=2"),
    ("a b=1", "b=1", "a b=1"),
    ("b=1 a", "b=1", "b=1 a"),
    ("a", "a", "a"),
    ("console=tty0", "console=ttyS0 console=tty0", "console=ttyS0 console=tty0"),
    ("", "a a", "a"),
    ("a=1 a=2", "a=2", "a=2"),
]


@pytest.mark.parametrize("words, more, expected", WORDS)
def test_with_words(words: str, more: str, expected: str) -> None:
    assert with_words(words.split(), more.split()) == expected
    assert with_words(expected.split(), more.split()) == expected


SUITS = [
    ("rhel", "fedora", True),
    ("rocky", "rhel centos fedora", True),
    ("fedora", "", True),
    ("amzn", "fedora", True),
    ("azurelinux", "", True),
    ("anolis", "rhel fedora centos", True),
    ("debian", "", False),
    ("opensuse-leap", "suse opensuse", False),
]


@pytest.mark.parametrize("distribution, like, expected", SUITS)
def test_suits(distribution: str, like: str, expected: bool) -> None:
    assert TOOLING.suits(distribution, like.split()) is expected


PACKAGES = [
    ("rhel", "8.10", 1),
    ("rocky", "9.4", 1),
    ("centos", "10", 3),
    ("fedora", "40", 1),
    ("fedora", "41", 3),
    ("amzn", "2023", 1),
    ("azurelinux", "3.0", 1),
    ("rhel", "", 1),
]


@pytest.mark.parametrize("distribution, version, count", PACKAGES)
def test_packages(distribution: str, version: str, count: int) -> None:
    found = TOOLING.packages(distribution, version)
    assert len(found) == count and "kexec-tools" in found


RPM = (
    *("rpm", "--query", "--queryformat", "%{NAME} %{VERSION}-%{RELEASE}\\n"),
    *("kdump-utils", "kexec-tools"),
)
RELEASES = [
    ("kdump-utils 1.0.61-1.el10\nkexec-tools 2.0.30-1.el10\n", 0, "1.0.61-1.el10"),
    ("package kdump-utils is not installed\nkexec-tools 2.0.26-8.el9\n", 1, "2.0.26-8.el9"),
    ("package kdump-utils is not installed\n", 2, None),
    ("kdump-utils 20260101-1\nkexec-tools 2.0.30-1\n", 0, None),
]


@pytest.mark.parametrize("answer, code, expected", RELEASES)
def test_release(host: FakeHost, answer: str, code: int, expected: t.Optional[str]) -> None:
    host.runner.answer(*RPM, stdout=answer, code=code)
    assert TOOLING.release(host) == expected


def test_no_rpm_no_release(host: FakeHost) -> None:
    assert TOOLING.release(host) is None


@pytest.fixture
def el9(host: FakeHost) -> FakeHost:
    """An EL 9 host with everything built and armed."""
    host.put("/etc/kdump.conf", f"path /var/crash\ncore_collector {COLLECTOR}\n", mtime=100)
    host.put("/etc/sysconfig/kdump", 'KDUMP_KERNELVER=""\nKDUMP_IMG="vmlinuz"\n', mtime=100)
    host.put("/etc/fstab", "", mtime=100)
    host.put("/etc/machine-id", "abc\n")
    host.put(f"/boot/vmlinuz-{KERNEL}", "", mtime=100)
    host.put(SYSTEM, "", mtime=100)
    host.put(INITRD, "initrd", mtime=1000)
    host.put("/proc/sys/kernel/osrelease", KERNEL + "\n")
    host.put("/sys/kernel/kexec_crash_loaded", "1\n")
    return host


SCRIPT_TEXT = """\
parse_config()
{
    case "$config_opt" in
    ext[23] | ssh)
        config_opt=_target
        ;;
    path | core_collector) ;;
    esac
}
for file in /etc/kdump/pre.d/*; do true; done
"""


def test_a_script_that_is_not_understood_says_nothing(el9: FakeHost) -> None:
    el9.put(SCRIPT, "#!/bin/sh\n")
    el9.runner.programs.add("kdumpctl")
    found = TOOLING.observed(el9)
    assert [found[key] for key in ("options", "ssh_given_back", "sysconfig")] == [None] * 3


def test_what_the_scripts_read(el9: FakeHost) -> None:
    el9.put(SCRIPT, SCRIPT_TEXT)
    el9.runner.programs.add("kdumpctl")
    found = TOOLING.observed(el9)
    assert (found["ssh_given_back"], found["sysconfig"]) == (False, [])
    el9.put(SCRIPT, SCRIPT_TEXT + 'ssh -G "${OPT[_target]}"\necho "$FADUMP_COMMANDLINE_APPEND"\n')
    el9.put("/usr/lib/kdump/kdump-logger.sh", "[ -z $KDUMP_STDLOGLVL ]\n")
    found = TOOLING.observed(el9)
    assert found["ssh_given_back"] is True
    assert found["sysconfig"] == ["FADUMP_COMMANDLINE_APPEND", "KDUMP_STDLOGLVL"]


def test_what_the_scripts_read_is_what_counts() -> None:
    bound = TOOLING.bound({"ssh_given_back": True, "sysconfig": []})
    assert bound.config_files[0].problems("ssh a@B\n", "2.0.26-8.el9") != []
    assert bound.config_files[1].setting_warning("KDUMP_STDLOGLVL", "4") != ""
    assert TOOLING.config_files[0].problems("ssh a@B\n", "2.0.26-8.el9") == []
    assert TOOLING.config_files[1].setting_warning("KDUMP_STDLOGLVL", "4") == ""


def test_observed(el9: FakeHost) -> None:
    el9.put(SCRIPT, SCRIPT_TEXT)
    el9.put("/proc/sys/kernel/hostname", "node1\n")
    el9.runner.programs.add("kdumpctl")
    el9.runner.answer("hostname", "-I", stdout="10.0.0.1 fe80::1 \n")
    found = TOOLING.observed(el9)
    assert found["options"] == ["core_collector", "ext2", "ext3", "path", "ssh"]
    assert found["hook_folders"] == ["pre"]
    assert (found["hostname"], found["addresses"]) == ("node1", "10.0.0.1 fe80::1")
    assert (found["fence"], found["ostree"], found["cluster"]) == (False, False, False)
    el9.put("/var/lib/pacemaker/cib/cib.xml", '<primitive id="k" type="fence_kdump"/>\n')
    assert TOOLING.observed(el9)["cluster"] is True
    assert (found["fadump"], found["fadump_arguments"]) == (False, False)


def test_fadump_is_observed(el9: FakeHost) -> None:
    el9.put("/sys/kernel/fadump/enabled", "1\n")
    el9.put("/sys/kernel/fadump/bootargs_append", "\n")
    found = TOOLING.observed(el9)
    assert (found["fadump"], found["fadump_arguments"]) == (True, True)


def test_observed_before_the_installation(host: FakeHost) -> None:
    found = TOOLING.observed(host)
    assert found["options"] is None
    assert found["hook_folders"] == ["pre", "post", "emergency"]


def test_an_image_without_kdumpctl_is_an_obstacle(host: FakeHost) -> None:
    assert TOOLING.obstacles(host) == []
    host.put("/run/ostree-booted", "")
    assert "rpm-ostree install" in TOOLING.obstacles(host)[0]
    host.runner.programs.add("kdumpctl")
    assert TOOLING.obstacles(host) == []


def test_a_good_initrd(el9: FakeHost) -> None:
    assert TOOLING.initrd(el9, KERNEL) == (INITRD, KERNEL, True, [])


SSH = "ssh kdump@server\nsshkey /root/.ssh/key\n"
NFS = "nfs server:/dumps\n"
SHARE = {"/proc/self/mountinfo": "22 1 0:1 / /var/crash rw - nfs4 server:/dumps rw\n"}
NO_DNS = {"/etc/NetworkManager/conf.d/x.conf": "[main]\ndns=none\n"}
# More of kdump.conf, other files from before, the file that is newer.
STALE: t.List[t.Tuple[str, t.Dict[str, str], str]] = [
    ("", {}, "/etc/kdump.conf"),
    ("", {}, "/etc/sysconfig/kdump"),
    ("", {}, "/etc/fstab"),
    ("", {}, f"/boot/vmlinuz-{KERNEL}"),
    ("", {}, "/etc/dracut.conf.d/x.conf"),
    ("", {}, "/etc/kdump/pre.d/10-mail"),
    ("", {}, "/etc/kdump/emergency.d/10-mail"),
    ("kdump_post /usr/local/bin/post\n", {}, "/usr/local/bin/post"),
    ("extra_bins /usr/bin/a /usr/bin/b\n", {}, "/usr/bin/b"),
    ("extra_modules nvme\n", {}, f"/lib/modules/{KERNEL}/modules.dep"),
    (SSH, {}, "/root/.ssh/key"),
    (SSH, {}, "/root/.ssh/known_hosts"),
    (SSH, {}, "/etc/ssh/ssh_known_hosts"),
    (SSH, {}, "/root/.ssh/config"),
    (SSH, {}, "/etc/NetworkManager/system-connections/eth0.nmconnection"),
    (NFS, {}, "/etc/sysconfig/network-scripts/ifcfg-eth0"),
    (NFS, NO_DNS, "/etc/resolv.conf"),
    (NFS, {}, "/etc/hosts"),
    (SSH, {}, "/etc/hosts"),
    (SSH, {}, "/etc/ssh/ssh_config.d/50-x.conf"),
    # A share that the path lies on is a server too.
    ("", SHARE, "/etc/NetworkManager/system-connections/eth0.nmconnection"),
    ('dracut_args --mount "s:/x /m nfs defaults"\n', {}, "/etc/hosts"),
    ("", {"/usr/libexec/fence_kdump_send": ""}, "/etc/sysconfig/fence_kdump"),
]


@pytest.mark.parametrize("conf, before, changed", STALE)
def test_a_stale_initrd(el9: FakeHost, conf: str, before: t.Dict[str, str], changed: str) -> None:
    el9.put("/etc/kdump.conf", (el9.read("/etc/kdump.conf") or "") + conf, mtime=100)
    for path, text in before.items():
        el9.put(path, text, mtime=100)
    el9.put(changed, el9.read(changed) or "x", mtime=2000)
    for folder in [*el9.glob("/etc/kdump/*.d"), *el9.glob("/etc/NetworkManager/*")]:
        os.utime(el9.path(folder), (100, 100))
    assert TOOLING.initrd(el9, KERNEL).stale == [f"{changed} is newer than {INITRD}"]


NOT_STALE = [
    ("", "/root/.ssh/known_hosts"),
    ("", "/etc/resolv.conf"),
    (
        SSH,
        "/etc/resolv.conf",
    ),  # NetworkManager writes it anew at every boot, and in the capture kernel too
    ("", "/etc/NetworkManager/system-connections/eth0.nmconnection"),
    ("", f"/lib/modules/{KERNEL}/modules.dep"),
    ("force_no_rebuild 1\n", "/etc/fstab"),
]


@pytest.mark.parametrize("conf, changed", NOT_STALE)
def test_what_does_not_get_into_the_initrd_is_no_reason(
    el9: FakeHost, conf: str, changed: str
) -> None:
    el9.put("/etc/kdump.conf", conf, mtime=100)
    el9.put(changed, "x", mtime=2000)
    assert TOOLING.initrd(el9, KERNEL).stale == []


def test_a_hook_that_is_gone_is_a_reason(el9: FakeHost) -> None:
    os.makedirs(el9.path("/etc/kdump/post.d"))
    (reason,) = TOOLING.initrd(el9, KERNEL).stale
    assert reason == f"/etc/kdump/post.d is newer than {INITRD}"


def test_a_time_in_the_future_is_no_reason(el9: FakeHost) -> None:
    el9.put("/etc/fstab", "x", mtime=4e9)
    assert TOOLING.initrd(el9, KERNEL).stale == []


def test_no_and_empty_initrd(el9: FakeHost) -> None:
    el9.put(INITRD, "", mtime=1000)
    assert TOOLING.initrd(el9, KERNEL).stale == [f"{INITRD} is empty"]
    el9.remove(INITRD)
    found = TOOLING.initrd(el9, KERNEL)
    assert (found.exists, found.stale) == (False, [f"{INITRD} does not exist"])


DEBUG = KERNEL + "+debug"
UKI = f"/boot/efi/EFI/Linux/abc-{KERNEL}.efi"
# Files, more of sysconfig, the kernel that is asked for, the initrd and its kernel.
PLACES: t.List[t.Tuple[t.List[str], str, str, str, str]] = [
    ([f"/boot/vmlinuz-{KERNEL}", SYSTEM], "", KERNEL, INITRD, KERNEL),
    (
        [f"/boot/efi/abc/{KERNEL}/vmlinuz", f"/boot/efi/abc/{KERNEL}/initrd"],
        "",
        KERNEL,
        f"/boot/efi/abc/{KERNEL}/initrdkdump",
        KERNEL,
    ),
    ([UKI], "", KERNEL, f"/var/lib/kdump/initramfs-{KERNEL}kdump.img", KERNEL),
    ([UKI, INITRD], "", KERNEL, INITRD, KERNEL),  # EL 9
    ([], "", KERNEL, f"/var/lib/kdump/initramfs-{KERNEL}kdump.img", KERNEL),
    ([f"/boot/vmlinuz-{KERNEL}", SYSTEM], "", DEBUG, INITRD, KERNEL),
    (
        [f"/boot/vmlinuz-{DEBUG}", f"/boot/initramfs-{DEBUG}.img"],
        "",
        DEBUG,
        f"/boot/initramfs-{DEBUG}kdump.img",
        DEBUG,
    ),
    (
        [f"/boot/vmlinuz-{KERNEL}", f"/boot/vmlinuz-{DEBUG}", f"/boot/initramfs-{DEBUG}.img"],
        f"KDUMP_KERNELVER={DEBUG}\n",
        DEBUG,
        f"/boot/initramfs-{DEBUG}kdump.img",
        DEBUG,
    ),
    (
        [f"/efi/Image-{KERNEL}.gz", f"/efi/initramfs-{KERNEL}.img"],
        'KDUMP_BOOTDIR="/efi"\nKDUMP_IMG=Image\nKDUMP_IMG_EXT=.gz\n',
        KERNEL,
        f"/efi/initramfs-{KERNEL}kdump.img",
        KERNEL,
    ),
]


@pytest.mark.parametrize("files, sysconfig, kernel, path, release", PLACES)
def test_where_the_initrd_lies(
    host: FakeHost, files: t.List[str], sysconfig: str, kernel: str, path: str, release: str
) -> None:
    os.makedirs(host.path("/boot"), exist_ok=True)
    host.put("/etc/machine-id", "abc\n")
    host.put("/etc/sysconfig/kdump", sysconfig)
    for name in files:
        host.put(name, "x")
    found = TOOLING.initrd(host, kernel)
    assert (found.path, found.kernel) == (path, release)


def test_where_the_initrd_lies_beside_what_grub_has_booted(host: FakeHost) -> None:
    folder = "/boot/ostree/fedora-123"
    host.put(f"{folder}/vmlinuz-{KERNEL}", "x")
    host.put(f"{folder}/initramfs-{KERNEL}.img", "x")
    host.put("/proc/cmdline", f"BOOT_IMAGE=(hd0,gpt2)/ostree/fedora-123/vmlinuz-{KERNEL} ro\n")
    assert TOOLING.initrd(host, KERNEL).path == f"{folder}/initramfs-{KERNEL}kdump.img"


# From 2.0.26 and from 1.0.61.
OLDER = 'if is_uki "$KDUMP_KERNEL"; then\n\tKDUMP_BOOTDIR=/boot\nfi\n'
NEWER = "if [[ -z $DEFAULT_INITRD ]] || [[ ! -w $KDUMP_BOOTDIR ]]; then\n"
IN_STATE = f"/var/lib/kdump/initramfs-{KERNEL}kdump.img"
# kdump-lib.sh, the kernel's image, other files, where the initrd lies.
BY_SCRIPT: t.List[t.Tuple[str, str, t.List[str], str]] = [
    (OLDER, UKI, [], INITRD),
    (OLDER, UKI, [IN_STATE], INITRD),
    (OLDER, UKI, [SYSTEM], INITRD),
    (OLDER, f"/efi/vmlinuz-{KERNEL}", [], f"/efi/initramfs-{KERNEL}kdump.img"),
    (NEWER, UKI, [], IN_STATE),
    (NEWER, UKI, [INITRD], IN_STATE),
    (NEWER, UKI, [SYSTEM], IN_STATE),
    (NEWER, f"/efi/vmlinuz-{KERNEL}", [], IN_STATE),
    (NEWER, f"/boot/vmlinuz-{KERNEL}", [SYSTEM], INITRD),
]


@pytest.mark.parametrize("script, image, others, path", BY_SCRIPT)
def test_the_script_says_where_the_initrd_lies(
    host: FakeHost, script: str, image: str, others: t.List[str], path: str
) -> None:
    os.makedirs(host.path("/boot"), exist_ok=True)
    host.put("/etc/machine-id", "abc\n")
    host.put("/usr/lib/kdump/kdump-lib.sh", script)
    for name in [image, *others]:
        host.put(name, "x")
    assert TOOLING.initrd(host, KERNEL).path == path


def test_an_initrd_that_is_built_in_another_place_is_found(el9: FakeHost) -> None:
    for name in (f"/boot/vmlinuz-{KERNEL}", SYSTEM, INITRD):
        el9.remove(name)
    el9.put(UKI, "x")
    assert TOOLING.initrd(el9, KERNEL).path == IN_STATE
    rebuilds(el9, "kdumpctl", "rebuild")
    TOOLING.build(el9, KERNEL)
    assert TOOLING.initrd(el9, KERNEL).path == INITRD


def test_the_kernel_that_the_settings_load() -> None:
    assert TOOLING.kernel({}, KERNEL) == KERNEL
    assert TOOLING.kernel({"KDUMP_KERNELVER": "5.1"}, KERNEL) == "5.1"


def rebuilds(host: FakeHost, *argv: str, path: str = INITRD) -> None:
    host.runner.does(*argv, action=lambda: host.put(path, "new"))


def test_build_keeps_the_initrd_before(el9: FakeHost) -> None:
    rebuilds(el9, "kdumpctl", "rebuild")
    TOOLING.build(el9, KERNEL)
    assert el9.read(INITRD) == "new"
    assert el9.read(INITRD + ".kdump-fleet") == "initrd"
    assert TOOLING.revert(el9, KERNEL)
    assert (el9.read(INITRD), el9.mtime(INITRD)) == ("initrd", 1000)
    assert not TOOLING.revert(el9, KERNEL)


def test_another_card_on_the_way_to_the_server_is_built_in(el9: FakeHost) -> None:
    """kdumpctl itself would never look at it: its start builds nothing, so that the build is forced."""
    el9.put("/etc/kdump.conf", NFS.replace("server", "192.0.2.1"), mtime=100)
    el9.put("/sys/class/net/eth0/address", "52:54:00:00:00:01\n")
    el9.runner.answer("ip", "-oneline", "route", "get", "192.0.2.1", stdout="192.0.2.1 dev eth0 src 192.0.2.9\n")  # fmt: skip
    rebuilds(el9, "kdumpctl", "rebuild")
    TOOLING.build(el9, KERNEL)
    assert TOOLING.initrd(el9, KERNEL).stale == []
    el9.put("/sys/class/net/eth0/address", "52:54:00:00:00:02\n")
    (reason,) = TOOLING.initrd(el9, KERNEL).stale
    assert "the way to 192.0.2.1 is over eth0 (52:54:00:00:00:02)" in reason
    started = len(el9.runner.started)
    TOOLING.build(el9, KERNEL)
    assert ("kdumpctl", "rebuild") in el9.runner.started[started:]
    assert TOOLING.initrd(el9, KERNEL).stale == []


def test_a_resolver_that_is_in_the_initrd(el9: FakeHost) -> None:
    el9.put("/etc/kdump.conf", NFS.replace("server", "192.0.2.1"), mtime=100)
    el9.put("/var/own.conf", "nameserver 192.0.2.53\n")
    # NetworkManager, in the capture too, leaves such a link alone.
    os.symlink("../var/own.conf", el9.path("/etc/resolv.conf"))
    rebuilds(el9, "kdumpctl", "rebuild")
    TOOLING.build(el9, KERNEL)
    assert TOOLING.initrd(el9, KERNEL).stale == []
    el9.put("/var/own.conf", "nameserver 192.0.2.54\n", mtime=50)
    assert TOOLING.initrd(el9, KERNEL).stale == [
        f"/etc/resolv.conf names other servers than {INITRD} was built with"
    ]


def test_confirm_throws_it_away(el9: FakeHost) -> None:
    rebuilds(el9, "kdumpctl", "rebuild")
    TOOLING.build(el9, KERNEL)
    TOOLING.confirm(el9, KERNEL)
    assert el9.glob("/boot/*.kdump-fleet") == []


def test_the_old_initrd_is_back_when_a_build_fails(el9: FakeHost) -> None:
    el9.runner.does(
        "kdumpctl", "rebuild", action=lambda: el9.put(INITRD, "half"), code=1, stderr="no space"
    )
    with pytest.raises(CommandError, match="no space"):
        TOOLING.build(el9, KERNEL)
    assert el9.read(INITRD) == "initrd"


def test_a_build_that_was_cut_off_does_not_cost_the_last_good_initrd(el9: FakeHost) -> None:
    os.rename(el9.path(INITRD), el9.path(INITRD + ".kdump-fleet"))
    el9.runner.answer("kdumpctl", "rebuild", code=1, stderr="no space")
    with pytest.raises(CommandError, match="no space"):
        TOOLING.build(el9, KERNEL)
    assert el9.read(INITRD) == "initrd"


def test_a_success_without_an_initrd_is_none(el9: FakeHost) -> None:
    el9.runner.does("kdumpctl", "rebuild", action=lambda: el9.remove(INITRD))
    with pytest.raises(CommandError, match="there is no"):
        TOOLING.build(el9, KERNEL)
    assert el9.read(INITRD) == "initrd"


def test_build_for_the_next_kernel(el9: FakeHost) -> None:
    newer = "5.14.0-500.el9.x86_64"
    el9.put(f"/boot/vmlinuz-{newer}", "")
    el9.put(f"/boot/initramfs-{newer}.img", "")
    path = f"/boot/initramfs-{newer}kdump.img"
    rebuilds(el9, "mkdumprd", "-f", path, newer, path=path)
    TOOLING.build(el9, newer)
    assert el9.read(path) == "new"
    assert el9.runner.started == [("mkdumprd", "-f", path, newer)]


def test_build_for_a_chosen_kernel(el9: FakeHost) -> None:
    chosen = "5.14.0-500.el9.x86_64"
    el9.put("/etc/sysconfig/kdump", f"KDUMP_KERNELVER={chosen}\n", mtime=100)
    el9.put(f"/boot/vmlinuz-{chosen}", "")
    el9.put(f"/boot/initramfs-{chosen}.img", "")
    rebuilds(el9, "kdumpctl", "rebuild", path=f"/boot/initramfs-{chosen}kdump.img")
    TOOLING.build(el9, chosen)
    assert el9.runner.started == [("kdumpctl", "rebuild")]


def test_early_kdump_is_built_into_the_hosts_own_initramfs(el9: FakeHost) -> None:
    el9.put(EARLY, "", mtime=100)
    assert TOOLING.initrd(el9, KERNEL).stale == [
        f"{SYSTEM} holds an older {INITRD} for early kdump, or none"
    ]
    rebuilds(el9, "kdumpctl", "rebuild")
    rebuilds(el9, "dracut", "--force", SYSTEM + KEPT, KERNEL, path=SYSTEM + KEPT)
    TOOLING.build(el9, KERNEL)
    assert el9.read(SYSTEM) == "new"
    assert TOOLING.initrd(el9, KERNEL).stale == []


def test_the_hosts_own_initramfs_outlives_a_failure(el9: FakeHost) -> None:
    el9.put(EARLY, "", mtime=100)
    el9.put(SYSTEM, "boots", mtime=100)
    rebuilds(el9, "kdumpctl", "rebuild")
    new = SYSTEM + KEPT
    el9.runner.does(
        "dracut", "--force", new, KERNEL, action=lambda: el9.put(new, "half"), code=1, stderr="full"
    )
    with pytest.raises(CommandError, match="full"):
        TOOLING.build(el9, KERNEL)
    assert (el9.read(SYSTEM), el9.read(INITRD)) == ("boots", "initrd")
    assert el9.glob("/boot/*" + KEPT) == []


@pytest.fixture
def z(el9: FakeHost) -> FakeHost:
    """An IBM Z host with early kdump: zipl's map of the initramfs is the number of its file."""
    el9.put("/etc/zipl.conf", "[defaultboot]\n")
    el9.put(EARLY, "", mtime=100)
    el9.put(SYSTEM, "boots", mtime=100)
    rebuilds(el9, "kdumpctl", "rebuild")
    rebuilds(el9, "dracut", "--force", SYSTEM + KEPT, KERNEL, path=SYSTEM + KEPT)
    return el9


def inode(host: FakeHost, path: str) -> int:
    return os.stat(host.path(path)).st_ino


def test_zipl_maps_the_new_initramfs_before_the_old_one_goes(z: FakeHost) -> None:
    before, seen = inode(z, SYSTEM), []
    z.runner.does(
        "zipl",
        action=lambda: seen.append(
            (z.read(SYSTEM), [inode(z, p) for p in z.glob(SYSTEM + KEPT + "*")])
        ),
    )
    TOOLING.build(z, KERNEL)
    assert seen == [("new", [before])]
    assert z.read(SYSTEM) == "new"
    assert z.glob(SYSTEM + KEPT + "*") == []


def test_the_old_initramfs_is_in_its_place_when_zipl_fails(z: FakeHost) -> None:
    before = inode(z, SYSTEM)
    z.runner.answer("zipl", code=1, stderr="no space")
    with pytest.raises(CommandError, match="no space"):
        TOOLING.build(z, KERNEL)
    assert (inode(z, SYSTEM), z.read(SYSTEM), z.read(INITRD)) == (before, "boots", "initrd")
    assert z.glob(SYSTEM + KEPT + "*") == []


def test_a_run_that_was_cut_off_before_zipl_is_ended_first(z: FakeHost) -> None:
    left = SYSTEM + KEPT + "-booted"
    z.put(left, "mapped")
    seen: t.List[t.Tuple[t.Optional[str], t.Optional[str]]] = []
    z.runner.does("zipl", action=lambda: seen.append((z.read(SYSTEM), z.read(left))))
    TOOLING.build(z, KERNEL)
    assert seen == [("boots", "mapped"), ("new", "boots")]
    assert z.glob(SYSTEM + KEPT + "*") == []


def test_a_copy_that_was_cut_off_is_none(el9: FakeHost, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_source: str, target: str) -> None:
        with open(target, "w", encoding="utf-8") as handle:
            handle.write("half")
        raise OSError("no space left on device")

    monkeypatch.setattr("shutil.copy2", full)
    with pytest.raises(OSError, match="no space"):
        TOOLING.build(el9, KERNEL)
    assert not TOOLING.revert(el9, KERNEL)
    assert el9.read(INITRD) == "initrd"
    assert el9.glob("/boot/*part") == []


@pytest.fixture
def power(el9: FakeHost) -> FakeHost:
    """A POWER host that dumps with the firmware's help."""
    el9.put("/sys/kernel/fadump/enabled", "1\n")
    el9.put("/sys/kernel/fadump/registered", "0\n")
    return el9


def test_fadump_uses_the_hosts_own_initramfs(power: FakeHost) -> None:
    power.put(SYSTEM, "initramfs", mtime=1000)
    found = TOOLING.initrd(power, KERNEL)
    assert found.path == SYSTEM
    assert found.stale == [f"{SYSTEM} was not built to save a dump of fadump yet"]
    power.put(f"/boot/.initramfs-{KERNEL}.img.default", "", mtime=900)
    assert TOOLING.initrd(power, KERNEL).stale == []


def test_fadump_builds_for_the_running_kernel_alone(power: FakeHost) -> None:
    with pytest.raises(CommandError, match="whose first start"):
        TOOLING.build(power, "5.14.0-500.el9.x86_64")
    assert power.runner.started == []


LOADS: t.List[t.Tuple[t.Dict[str, str], str]] = [
    ({"kexec_crash_loaded": "0"}, "start"),
    ({"kexec_crash_loaded": "1"}, "restart"),
    ({"kexec_crash_loaded": "0", "kexec/crash_loaded": "1"}, "restart"),
    ({"kexec_crash_loaded": "1", "fadump/enabled": "1", "fadump/registered": "0"}, "start"),
    ({"kexec_crash_loaded": "0", "fadump/enabled": "1", "fadump/registered": "1"}, "restart"),
    ({"kexec_crash_loaded": "0", "fadump_enabled": "1", "fadump_registered": "1"}, "restart"),
]


@pytest.mark.parametrize("sysfs, action", LOADS)
def test_load(host: FakeHost, sysfs: t.Dict[str, str], action: str) -> None:
    for name, value in sysfs.items():
        host.put(f"/sys/kernel/{name}", value + "\n")
    host.runner.answer("kdumpctl", action)
    TOOLING.load(host)
    assert host.runner.started == [("kdumpctl", action)]


def test_unload(el9: FakeHost) -> None:
    el9.runner.answer("kdumpctl", "stop")
    TOOLING.unload(el9)
    assert el9.runner.started == [("kdumpctl", "stop")]


LOCKED = [
    ("kexec_load_disabled", "1", "before the next boot"),
    ("kexec_load_limit_panic", "1", "allows 1 more, and this takes 2"),
]


@pytest.mark.parametrize("name, value, message", LOCKED)
def test_what_cannot_be_loaded_again_is_not_unloaded(
    el9: FakeHost, name: str, value: str, message: str
) -> None:
    el9.put(f"/proc/sys/kernel/{name}", value + "\n")
    with pytest.raises(CommandError, match=message):
        TOOLING.load(el9)
    assert el9.runner.started == []


def test_a_limit_that_is_wide_enough(el9: FakeHost) -> None:
    el9.put("/proc/sys/kernel/kexec_load_limit_panic", "2\n")
    el9.runner.answer("kdumpctl", "restart")
    TOOLING.load(el9)
    el9.put("/proc/sys/kernel/kexec_load_limit_panic", "-1\n")
    TOOLING.load(el9)


def test_a_load_may_take_as_long_as_a_build(el9: FakeHost) -> None:
    limits = []

    def start(argv: t.Sequence[str], timeout: float, data: Input = b"") -> Result:
        limits.append((tuple(argv), timeout))
        return Result(0, "", "")

    el9.runner.start = start  # type: ignore[method-assign]
    TOOLING.load(el9)
    TOOLING.unload(el9)
    assert [limit for _argv, limit in limits] == [TOOLING.build_timeout] * 2


NEEDS: t.List[t.Tuple[t.Dict[str, str], str, int, bool, str]] = [
    ({}, "/var/crash", 1, False, ""),
    ({"path": "/dumps", "ssh": "kdump@server"}, "/dumps", 1, True, "ssh kdump@server"),
    ({"nfs": "s:/x", "KDUMP_COMMANDLINE_APPEND": "nr_cpus=16"}, "/var/crash", 16, True, "nfs s:/x"),
    ({"xfs": "/dev/vdb", "KDUMP_COMMANDLINE_APPEND": "maxcpus=2"}, "/var/crash", 2, False, "xfs /dev/vdb"),
    ({"raw": "/dev/vdb"}, "/var/crash", 1, False, "raw /dev/vdb"),
    ({"virtiofs": "dumps"}, "/var/crash", 1, False, "virtiofs dumps"),
    ({"dracut_args": '--mount "s:/x /mnt nfs4 rw"'}, "/var/crash", 1, True, "nfs4 s:/x"),
    ({"dracut_args": '--mount "s:/x /mnt nfs"'}, "/var/crash", 1, True, "nfs s:/x"),
    ({"dracut_args": '--mount "/dev/vdb /mnt ext4"'}, "/var/crash", 1, False, "ext4 /dev/vdb"),
    ({"dracut_args": "--mount"}, "/var/crash", 1, False, ""),
]  # fmt: skip


@pytest.mark.parametrize("settings, path, cpus, network, elsewhere", NEEDS)
def test_what_settings_say(
    settings: t.Dict[str, str], path: str, cpus: int, network: bool, elsewhere: str
) -> None:
    assert TOOLING.dump_path(settings) == path
    assert TOOLING.need(settings) == {"cpus": cpus, "network": network, "elsewhere": elsewhere}


def test_file_of() -> None:
    assert TOOLING.file_of("path").path == "/etc/kdump.conf"
    assert TOOLING.file_of("KEXEC_ARGS").path == "/etc/sysconfig/kdump"


OWNED = [
    ("127.0.0.1-2026-11-21-05:58:01", True),
    ("fe80::1-2026-11-21-05:58:01", True),
    ("2026-11-21-05:58", True),
    ("kdump-test-1763704681-123456789", True),
    ("lost+found", True),
    ("127.0.0.1-2026-11-21-05:58:01.bak", False),
    ("holiday", False),
]


@pytest.mark.parametrize("name, expected", OWNED)
def test_owns(name: str, expected: bool) -> None:
    assert TOOLING.owns(name) is expected


def test_dumps(host: FakeHost) -> None:
    first = "/var/crash/127.0.0.1-2026-11-21-05:58:01"
    host.put(f"{first}/vmcore", "x" * 10, mtime=10)
    host.put(f"{first}/vmcore-dmesg.txt", "log")
    host.put(f"{first}/kexec-dmesg.log", "log")
    second = "/var/crash/10.0.0.5-2026-11-21-06:00:00"
    host.put(f"{second}/vmcore.flat", "x", mtime=20)
    third = "/var/crash/127.0.0.1-2026-11-21-07:00:00"
    host.put(f"{third}/vmcore-incomplete", "x")
    host.put(f"{third}/vmcore-dmesg-incomplete.txt", "x")
    os.utime(host.path(third), (30, 30))
    host.put("/var/crash/holiday-2026/vmcore", "x")
    dumps = TOOLING.dumps(host, "/var/crash/")
    assert dumps == [
        (first, f"{first}/vmcore", f"{first}/vmcore-dmesg.txt", 10, 10.0, True),
        (second, f"{second}/vmcore.flat", "", 1, 20.0, True),
        (third, "", "", 0, 30.0, False),
    ]


# What is there, whether somebody else may have changed the file, what there is with second=2 or without third.
ADDED: t.List[t.Tuple[str, t.Dict[str, t.Any], str]] = [
    ("irqpoll first=1", {"edited": False}, "irqpoll second=2"),
    ("irqpoll first=1", {"edited": True}, "irqpoll first=1 second=2"),
    ("irqpoll own=1 second=2", {"edited": True}, "irqpoll own=1 second=2"),
    ("irqpoll second=1 own=1", {"edited": True}, "irqpoll own=1 second=2"),
    ("", {"edited": True}, "second=2"),
]


@pytest.mark.parametrize("there, record, expected", ADDED)
def test_words_of_earlier_runs_go_and_those_of_others_stay(
    there: str, record: t.Dict[str, t.Any], expected: str
) -> None:
    now = facts({"KDUMP_COMMANDLINE_APPEND": there})
    now["tooling"]["original_settings"] = {"KDUMP_COMMANDLINE_APPEND": "irqpoll"}
    now["tooling"]["files"] = {"/etc/sysconfig/kdump": record}
    made = TOOLING.configure(Wanted(commandline_append="second=2"), now)
    assert made.settings["KDUMP_COMMANDLINE_APPEND"] == expected


def test_names_of_earlier_runs_go_and_those_of_others_stay() -> None:
    now = facts({"KDUMP_COMMANDLINE_REMOVE": "quiet rhgb"})
    now["tooling"]["original_settings"] = {"KDUMP_COMMANDLINE_REMOVE": "quiet"}
    found = []
    for edited in (False, True):
        now["tooling"]["files"] = {"/etc/sysconfig/kdump": {"edited": edited}}
        made = TOOLING.configure(Wanted(commandline_remove=["splash"]), now)
        found.append(made.settings["KDUMP_COMMANDLINE_REMOVE"])
    assert found == ["quiet splash", "quiet rhgb splash"]


def test_a_file_that_was_never_written_is_taken_as_it_is() -> None:
    now = facts({"KDUMP_COMMANDLINE_APPEND": "irqpoll own=1"})
    made = TOOLING.configure(Wanted(commandline_append="second=2"), now)
    assert made.settings["KDUMP_COMMANDLINE_APPEND"] == "irqpoll own=1 second=2"
