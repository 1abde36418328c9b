# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.runner import CommandError
from ansible_collections.kdump.fleet.plugins.module_utils.tooling import kexec_files
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.kexec import (
    SETTINGS,
    VARIABLES,
    Kexec,
    KexecConf,
    images,
)
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.registry import detect
from ansible_collections.kdump.fleet.plugins.module_utils.wanted import Wanted
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost

TOOLING = Kexec()
CONF = KexecConf()
KERNEL = "6.12.8-arch1-1"
FACTS: t.Dict[str, t.Any] = {
    "architecture": "x86_64",
    "kernel": {"release": KERNEL},
    "target": {"path": "/var/crash", "fstype": "ext4", "source": "/dev/vda1"},
    "tooling": {"installed": True, "rules": {"kernel": "/boot/vmlinuz-linux", "initrd": ""}},
    "capture": {"luks": 0},
}

TEXT = """\
# ours
DUMP_PATH="/srv/dumps"
#DUMPS_TO_KEEP=
FINAL_ACTION=poweroff
"""

RENDERED: t.List[t.Tuple[t.Dict[str, t.Optional[str]], str]] = [
    ({}, TEXT),
    ({"FINAL_ACTION": "poweroff"}, TEXT),
    ({"DUMP_PATH": "/var/crash"}, TEXT.replace("/srv/dumps", "/var/crash")),
    ({"DUMPS_TO_KEEP": "3"}, TEXT.replace("KEEP=\n", 'KEEP=\nDUMPS_TO_KEEP="3"\n')),
    ({"FINAL_ACTION": None}, TEXT.replace("FINAL_ACTION=poweroff\n", "")),
]


@pytest.mark.parametrize("settings, expected", RENDERED)
def test_render(settings: t.Dict[str, t.Optional[str]], expected: str) -> None:
    assert CONF.render(TEXT, settings) == expected
    read = CONF.parse(expected)
    assert {key: read.get(key) for key in settings} == settings


ACCEPTED = [
    "",
    TEXT,
    'COMMANDLINE_APPEND="nr_cpus=2 dyndbg=+p console=ttyS0,115200"\n',
    'CORE_COLLECTOR="makedumpfile -z -d 0,31 --num-threads=4"\n',
    'CORE_COLLECTOR="/usr/local/sbin/makedumpfile -c"\n',
    'CORE_COLLECTOR="cp --sparse=always"\n',
    'CAPTURE_INITRD="none"\n',
    'KEXEC_ARGS="--no-checks --mem-min=0x1000000"\n',
    'FAILURE_ACTION="shell"\n',
    "DUMP_PATH=\n",
    'HOOK_TIMEOUT="0"\n',
    'COMMANDLINE_APPEND="--x y=--"\n',
]


@pytest.mark.parametrize("text", ACCEPTED)
def test_accepted(text: str) -> None:
    assert CONF.problems(text) == []


REFUSED = [
    ("DUMP_PATH = /x\n", "line 1: DUMP_PATH has blanks around '='"),
    ("DUMP_PATH=/a b\n", "write DUMP_PATH="),
    ('DUMP_PATH="/x\n', "quote that is never closed"),
    ('DUMP_PATH="x"\n', "absolute path"),
    ('DUMP_PATH="/a/../b"\n', "without '..'"),
    ("DUMP_PATH='/$(id)'\n", "'$'"),
    ('DUMP_PATH="/a"\nDUMP_PATH="/b"\n', "line 2: DUMP_PATH is set again (first in line 1)"),
    ('COMMANDLINE_APPEND+=" x"\n', "only bash"),
    ('DUMP_PAHT="/x"\n', "did you mean DUMP_PATH?"),
    ('XYZZY="1"\n', "there are: CAPTURE_RELEASE"),
    ('FAILURE_ACTION="dump_to_rootfs"\n', "reboot, halt, poweroff, shell"),
    ('FINAL_ACTION="shell"\n', "reboot, halt, poweroff"),
    ('DUMPS_TO_KEEP="-1"\n', "whole number"),
    ('DUMPS_TO_KEEP="010"\n', "whole number"),
    ('KEXEC_CALL="both"\n', "auto, kexec_file_load, kexec_load"),
    ('KEXEC_ARGS="-s"\n', "itself"),
    ('KEXEC_ARGS="--append=x"\n', "itself"),
    ('KEXEC_ARGS="--mem-min 0x1"\n', "--option=value"),
    ('KEXEC_ARGS="--debug;reboot"\n', "split into words"),
    ('EXTRA_MODULES="nvme -r"\n', "no name"),
    ('CORE_COLLECTOR="scp"\n', "'makedumpfile' or 'cp'"),
    ('CORE_COLLECTOR="makedumpfile -F -d 31"\n', "-F"),
    ('CORE_COLLECTOR="makedumpfile -d 32"\n', "0 to 31"),
    ('CORE_COLLECTOR="makedumpfile -E -c"\n', "refuses"),
    ('CORE_COLLECTOR="makedumpfile --dump-dmesg"\n', "no dump"),
    ('CORE_COLLECTOR="makedumpfile -c *"\n', "split into words"),
    ('CAPTURE_RELEASE="6.1/../x"\n', "release of a kernel"),
    ('HOOK_TIMEOUT="30min"\n', "whole number"),
    ('HOOK_TIMEOUT="-1"\n', "whole number"),
    ('COMMANDLINE="root=/dev/vda1 -- x"\n', "behind it"),
    ('COMMANDLINE_APPEND="--"\n', "behind it"),
    ("reboot\n", "is no KEY"),
]


@pytest.mark.parametrize("text, reason", REFUSED)
def test_refused(text: str, reason: str) -> None:
    assert reason in "\n".join(CONF.problems(text))


def test_every_setting_has_a_default_and_a_reader() -> None:
    assert set(SETTINGS) == set(kexec_files.DEFAULTS)
    scripts = kexec_files.LOAD_TEXT + kexec_files.SAVE_TEXT
    for key, default in kexec_files.DEFAULTS.items():
        assert f"${{{key}:={default}}}" in scripts
        assert default == "" or CONF.setting_problem(key, default) == ""


SET: t.List[t.Tuple[t.Dict[str, t.Any], t.Dict[str, t.Optional[str]]]] = [
    ({}, {}),
    ({"path": "/srv/d"}, {"DUMP_PATH": "/srv/d"}),
    ({"system_action": "shell"}, {"FAILURE_ACTION": "shell"}),
    ({"final_action": "poweroff"}, {"FINAL_ACTION": "poweroff"}),
    ({"dumps_to_keep": 0}, {"DUMPS_TO_KEEP": "0"}),
    ({"core_collector": "cp"}, {"CORE_COLLECTOR": "cp"}),
    (
        {"dump_level": 17, "compression": "zstd"},
        {"CORE_COLLECTOR": "makedumpfile --message-level 7 -z -d 17"},
    ),
    ({"commandline": "root=/dev/vda1"}, {"COMMANDLINE": "root=/dev/vda1"}),
    ({"commandline_append": "nr_cpus=2"}, {"COMMANDLINE_APPEND": "nr_cpus=2"}),
    ({"commandline_remove": ["mem=", "irqpoll"]}, {"COMMANDLINE_REMOVE": "mem irqpoll"}),
    ({"kexec_args": "--no-checks"}, {"KEXEC_ARGS": "--no-checks"}),
    ({"bootdir": "/efi"}, {"BOOT_FOLDER": "/efi"}),
    ({"kernel_version": "6.1"}, {"CAPTURE_RELEASE": "6.1"}),
    (
        {"capture_kernel": "/k", "capture_initrd": "/i"},
        {"CAPTURE_KERNEL": "/k", "CAPTURE_INITRD": "/i"},
    ),
    ({"extra_modules": ["a", "b-c"]}, {"EXTRA_MODULES": "a b-c"}),
    ({"extra_bins": ["/usr/bin/curl"]}, {}),
    ({"early": False, "fadump": "off", "auto_reset_crashkernel": False}, {}),
    ({"force_rebuild": "never"}, {}),
    (
        {"options": {"CAPTURE_DTB": "/b.dtb", "FREE_SPACE": 9, "HOOK_TIMEOUT": 60}},
        {"CAPTURE_DTB": "/b.dtb", "FREE_SPACE": "9", "HOOK_TIMEOUT": "60"},
    ),
]


@pytest.mark.parametrize("variables, expected", SET)
def test_variables_become_settings(
    variables: t.Dict[str, t.Any], expected: t.Dict[str, t.Optional[str]]
) -> None:
    made = TOOLING.configure(Wanted(**variables), FACTS)
    assert made.problems == []
    assert made.settings == {"DUMP_PATH": "/var/crash", "FAILURE_ACTION": "reboot", **expected}


NOT_SET: t.List[t.Tuple[t.Dict[str, t.Any], str]] = [
    ({"target": {"type": "ssh", "location": "k@s"}}, "kdump_target: kexec cannot honour it"),
    ({"target": {"type": "ext4", "location": "/dev/vdb"}}, "/etc/fstab"),
    ({"ssh_user": "k"}, "kdump_ssh_user"),
    ({"ssh_server": "s"}, "kdump_ssh_server"),
    ({"sshkey": "/k"}, "kdump_sshkey"),
    ({"ssh_key_type": "rsa"}, "kdump_ssh_key_type"),
    ({"ssh_host_keys": ["ssh-ed25519 AAAA"]}, "kdump_ssh_host_keys"),
    ({"network": {"timeout": 5}}, "kdump_network"),
    ({"notification": {"to": "a@b"}}, "kdump_notification"),
    ({"fence_nodes": ["n1"]}, "kdump_fence_nodes"),
    ({"fence_args": "-p 1"}, "kdump_fence_args"),
    ({"dracut_args": "--add x"}, "kdump_dracut_args"),
    ({"emergency_hooks": [{"name": "a", "content": "#!/bin/sh\n"}]}, "kdump_emergency_hooks"),
    ({"force_rebuild": "always"}, "kdump_force_rebuild"),
    ({"early": True}, "kdump_early"),
    ({"fadump": "on"}, "kdump_fadump"),
    ({"auto_reset_crashkernel": True}, "kdump_auto_reset_crashkernel"),
    ({"system_action": "dump_to_rootfs"}, "kexec cannot honour it on this host: its dumps are"),
    ({"core_collector": "scp"}, "kdump_core_collector: CORE_COLLECTOR='scp' must begin"),
    ({"commandline": 'a="b c"'}, "kdump_commandline: COMMANDLINE="),
    ({"kexec_args": "-p"}, "kdump_kexec_args"),
    ({"options": {"DUMP_PATH": "/x"}}, "set kdump_path instead"),
    ({"options": {"KEXEC_CALL": "x"}}, "kdump_options: KEXEC_CALL='x'"),
    ({"commandline_append": "a -- b"}, "kdump_commandline_append: COMMANDLINE_APPEND="),
    ({"options": {"NO_SUCH": "x"}}, "kdump_options: NO_SUCH='x' is no setting"),
    ({"capture_kernel": "/k", "kernel_version": "6.1"}, "kdump_kernel_version"),
]


@pytest.mark.parametrize("variables, problem", NOT_SET)
def test_what_cannot_be_honoured_is_a_problem(variables: t.Dict[str, t.Any], problem: str) -> None:
    found = TOOLING.configure(Wanted(**variables), FACTS).problems
    assert len(found) == 1
    assert problem in found[0]


# What the plan itself deals with, or another variable of the tables above goes with.
ELSEWHERE = {
    "space",
    *("state", "tooling", "crashkernel", "options", "kdump_tools", "exclusive"),
    *("panic_on", "panic_timeout", "sysrq", "nmi_watchdog"),
    *("pre_hooks", "post_hooks", "message_level", "threads"),
}


def test_no_variable_is_dropped() -> None:
    seen = {name for variables, _expected in SET for name in variables}
    refused = {name for variables, _problem in NOT_SET for name in variables}
    assert set(Wanted._fields) - seen - refused == ELSEWHERE - {"options"}
    assert set(VARIABLES.values()) <= {"kdump_" + name for name in Wanted._fields}


def test_hooks_are_files() -> None:
    hook = {"name": "10-x", "content": "#!/bin/sh\n"}
    files = TOOLING.configure(Wanted(pre_hooks=[hook], post_hooks=[hook]), FACTS).files
    assert {path: file.mode for path, file in files.items()} == {
        "/etc/kdump-fleet/pre.d/10-x": 0o755,
        "/etc/kdump-fleet/post.d/10-x": 0o755,
    }


def test_a_folder_on_the_network_is_refused() -> None:
    facts = {**FACTS, "target": {"path": "/var/crash", "fstype": "nfs4", "source": "s:/d"}}
    assert "network" in TOOLING.configure(Wanted(), facts).problems[0]
    assert TOOLING.configure(Wanted(path="/srv/d"), facts).problems == []


def test_a_kernel_that_is_not_found_is_refused() -> None:
    facts = {**FACTS, "tooling": {"installed": True, "rules": {"kernel": "", "initrd": ""}}}
    assert f"no kernel {KERNEL}" in TOOLING.configure(Wanted(), facts).problems[0]
    assert TOOLING.configure(Wanted(capture_kernel="/k"), facts).problems == []


def test_warnings() -> None:
    facts = {**FACTS, "capture": {"luks": 1 << 30}}
    wanted = Wanted(capture_kernel="/k", commandline="quiet")
    assert [text.split(":")[0] for text in TOOLING.configure(wanted, facts).warnings] == [
        "kdump_capture_kernel",
        "kdump_commandline",
        "the root file system is encrypted, and the capture kernel's initrd asks for the passphrase as every boot does",
    ]


@pytest.mark.parametrize(
    "distribution, like, expected",
    [
        ("arch", [], True),
        ("endeavouros", ["arch"], True),
        ("gentoo", [], True),
        ("void", [], True),
        ("debian", [], False),
        ("fedora", [], False),
    ],
)
def test_suits(distribution: str, like: t.List[str], expected: bool) -> None:
    assert TOOLING.suits(distribution, like) is expected


def test_a_host_that_was_set_up_with_it_keeps_it(host: FakeHost) -> None:
    """The drill and a removal say no tooling, and must not look for the dumps of another."""
    debian = {"ID": "debian"}
    assert detect(host, debian).name == "kdump-tools"  # type: ignore[union-attr]
    host.put("/etc/systemd/system/kdump-fleet.service", kexec_files.LOAD_UNIT_TEXT)
    assert detect(host, debian).name == "kexec"  # type: ignore[union-attr]
    assert detect(host, debian, "kdump-tools").name == "kdump-tools"  # type: ignore[union-attr]


def test_packages() -> None:
    assert TOOLING.packages("debian", "13") == ("kexec-tools", "makedumpfile")
    assert TOOLING.packages("gentoo", "2.17")[0] == "sys-apps/kexec-tools"


def test_obstacles(host: FakeHost) -> None:
    assert "needs systemd" in TOOLING.obstacles(host)[0].replace("units need", "needs")
    host.put("/run/systemd/system/x", "")
    assert TOOLING.obstacles(host) == []
    host.put("/etc/systemd/system/multi-user.target.wants/kdump-tools.service", "")
    assert "set kdump_tooling: kdump-tools" in TOOLING.obstacles(host)[0]
    host.put("/etc/NIXOS", "")
    assert "boot.crashDump" in TOOLING.obstacles(host)[0]


IMAGES = [
    (["/boot/vmlinuz-@", "/boot/initrd.img-@"], "/boot/vmlinuz-@", "/boot/initrd.img-@"),
    (["/boot/vmlinuz-@", "/boot/initramfs-@.img"], "/boot/vmlinuz-@", "/boot/initramfs-@.img"),
    (["/boot/vmlinuz-@", "/boot/initrd-@"], "/boot/vmlinuz-@", "/boot/initrd-@"),
    (["/boot/kernel-@", "/boot/initramfs-@.img"], "/boot/kernel-@", "/boot/initramfs-@.img"),
    (["/boot/Image-@", "/boot/initrd-@"], "/boot/Image-@", "/boot/initrd-@"),
    # A kernel of one's own that needs no initrd must not get that of another kernel.
    (
        ["/boot/vmlinuz-@", "/boot/vmlinuz-linux", "/boot/initramfs-linux.img"],
        "/boot/vmlinuz-@",
        "",
    ),
    (
        ["/boot/vmlinuz-linux", "/boot/initramfs-linux.img", "/usr/lib/modules/@/vmlinuz"],
        "/boot/vmlinuz-linux",
        "/boot/initramfs-linux.img",
    ),
    (["/boot/m1/@/linux", "/boot/m1/@/initrd"], "/boot/m1/@/linux", "/boot/m1/@/initrd"),
    (["/boot/vmlinuz-6.0"], "", ""),
]


@pytest.mark.parametrize("there, kernel, initrd", IMAGES)
def test_images(host: FakeHost, there: t.List[str], kernel: str, initrd: str) -> None:
    host.put("/etc/machine-id", "m1\n")
    for path in there:
        host.put(path.replace("@", KERNEL), "x")
    expected = (kernel.replace("@", KERNEL), initrd.replace("@", KERNEL))
    assert images(host, {}, KERNEL) == expected


def test_the_images_of_a_package_go_by_its_name(host: FakeHost) -> None:
    host.put(f"/usr/lib/modules/{KERNEL}/pkgbase", "linux-lts\n")
    for name in ("linux", "linux-lts"):
        host.put(f"/boot/vmlinuz-{name}", "x")
        host.put(f"/boot/initramfs-{name}.img", "x")
    assert images(host, {}, KERNEL) == ("/boot/vmlinuz-linux-lts", "/boot/initramfs-linux-lts.img")


def test_images_that_are_given(host: FakeHost) -> None:
    host.put("/boot/vmlinuz-linux", "x")
    host.put("/boot/initramfs-linux.img", "x")
    host.put("/k", "x")
    assert images(host, {"CAPTURE_KERNEL": "/k"}, KERNEL) == ("/k", "")
    assert images(host, {"CAPTURE_INITRD": "/i"}, KERNEL) == ("/boot/vmlinuz-linux", "/i")
    assert images(host, {"CAPTURE_INITRD": "none"}, KERNEL) == ("/boot/vmlinuz-linux", "")
    assert images(host, {"CAPTURE_KERNEL": "/none"}, KERNEL) == ("", "")


@pytest.fixture
def arch(host: FakeHost) -> FakeHost:
    host.put("/proc/sys/kernel/osrelease", KERNEL + "\n")
    host.put("/boot/vmlinuz-linux", "x", mtime=1000)
    host.put("/boot/initramfs-linux.img", "x", mtime=1000)
    host.put(kexec_files.CONF, 'DUMP_PATH="/var/crash"\n', mtime=1000)
    host.put(kexec_files.LOAD, "x", mtime=1000)
    host.put("/sys/kernel/kexec_crash_loaded", "1\n")
    host.put(kexec_files.STAMP, "kernel=x\n", mtime=2000)
    return host


def test_what_is_loaded_is_fresh(arch: FakeHost) -> None:
    initrd = TOOLING.initrd(arch, KERNEL)
    assert initrd == ("/boot/initramfs-linux.img", KERNEL, True, [])
    assert TOOLING.observed(arch) == {
        "kernel": "/boot/vmlinuz-linux",
        "initrd": "/boot/initramfs-linux.img",
    }


@pytest.mark.parametrize(
    "path", ["/boot/vmlinuz-linux", "/boot/initramfs-linux.img", kexec_files.CONF, kexec_files.LOAD]
)
def test_what_is_newer_than_the_load_makes_it_stale(arch: FakeHost, path: str) -> None:
    arch.put(path, arch.read(path) or "", mtime=3000)
    assert TOOLING.initrd(arch, KERNEL).stale == [f"{path} is newer than what is loaded"]
    # What is not loaded is not old, and neither is the next boot's.
    assert TOOLING.initrd(arch, "6.13").stale == []
    arch.put("/sys/kernel/kexec_crash_loaded", "0\n")
    assert TOOLING.initrd(arch, KERNEL).stale == []


def test_what_another_tooling_loaded_is_stale(arch: FakeHost) -> None:
    arch.remove(kexec_files.STAMP)
    assert "another tooling" in TOOLING.initrd(arch, KERNEL).stale[0]


def test_no_kernel_no_initrd(arch: FakeHost) -> None:
    arch.remove("/boot/vmlinuz-linux")
    found = TOOLING.initrd(arch, KERNEL)
    assert not found.exists
    assert KERNEL in found.stale[0]
    arch.put(kexec_files.CONF, 'CAPTURE_KERNEL="/k"\nCAPTURE_INITRD="/i"\n')
    arch.put("/k", "x")
    assert TOOLING.initrd(arch, KERNEL).stale == ["/i does not exist"]


def test_building_changes_nothing(arch: FakeHost) -> None:
    TOOLING.build(arch, KERNEL)
    TOOLING.confirm(arch, KERNEL)
    assert TOOLING.revert(arch, KERNEL) is False
    assert arch.runner.started == []


def test_load(host: FakeHost) -> None:
    host.runner.answer("systemctl", "daemon-reload")
    host.runner.answer("systemctl", "restart", "kdump-fleet.service")
    TOOLING.load(host)
    assert len(host.runner.started) == 2


@pytest.mark.parametrize("code", [0, 5])
def test_unload_takes_out_what_others_loaded(host: FakeHost, code: int) -> None:
    host.put("/sys/kernel/kexec_crash_loaded", "0\n")
    # 5: the unit is not there, as on a host that another tooling loaded.
    host.runner.answer("systemctl", "stop", "kdump-fleet.service", code=code)
    TOOLING.unload(host)
    assert len(host.runner.started) == 1
    host.put("/sys/kernel/kexec_crash_loaded", "1\n")
    host.runner.answer("kexec", "-p", "-u", code=1, stderr="Operation not permitted")
    with pytest.raises(CommandError):
        TOOLING.unload(host)
    host.runner.answer("kexec", "-s", "-p", "-u")
    TOOLING.unload(host)
    host.runner.answer("systemctl", "stop", "kdump-fleet.service", code=1)
    with pytest.raises(CommandError):
        TOOLING.unload(host)


def test_dumps(host: FakeHost) -> None:
    for path in (
        "/var/crash/kdump-20260102T000000Z/vmcore",
        "/var/crash/kdump-20260102T000000Z/vmcore-dmesg.txt",
        "/var/crash/kdump-20260101T000000Z/vmcore-incomplete",
        "/var/crash/kdump-20260101T000000Z-12/vmcore",
        "/var/crash/kdump-20260101T000000Z-x/vmcore",
        "/var/crash/kdump-mine/vmcore",
        "/var/crash/202601020000/dump.202601020000",
    ):
        host.put(path, "dump", mtime=1000)
    found = {dump.folder[16:]: dump for dump in TOOLING.dumps(host, "/var/crash/")}
    assert sorted(found) == ["-20260101T000000Z", "-20260101T000000Z-12", "-20260102T000000Z"]
    assert found["-20260102T000000Z"].complete
    assert found["-20260102T000000Z"].size == 4
    assert found["-20260102T000000Z"].dmesg.endswith("/vmcore-dmesg.txt")
    assert not found["-20260101T000000Z"].complete
    assert found["-20260101T000000Z"].vmcore == ""


def test_a_link_is_no_dump(host: FakeHost) -> None:
    host.put("/other/vmcore", "x")
    host.put("/var/crash/kdump-20260101T000000Z/vmcore", "dump")
    os.symlink(host.path("/other"), host.path("/var/crash/kdump-99991231T000000Z"))
    assert [dump.folder[-17:] for dump in TOOLING.dumps(host, "/var/crash")] == [
        "-20260101T000000Z"
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a folder to another user")
def test_a_folder_of_somebody_else_is_no_dump(host: FakeHost) -> None:
    host.put("/var/crash/kdump-20260101T000000Z/vmcore", "dump")
    assert len(TOOLING.dumps(host, "/var/crash")) == 1
    os.chown(host.path("/var/crash/kdump-20260101T000000Z"), 65534, 65534)
    assert TOOLING.dumps(host, "/var/crash") == []


@pytest.mark.parametrize(
    "name, expected",
    [
        ("kdump-20260102T000000Z", True),
        ("kdump-20260102T000000Z-1", True),
        ("kdump-20260102T000000Z-", False),
        ("kdump-20260102T000000Z-1x", False),
        ("lost+found", True),
        ("kdump-mine", False),
        ("x", False),
    ],
)
def test_owns(name: str, expected: bool) -> None:
    assert TOOLING.owns(name) is expected


def test_what_the_settings_decide() -> None:
    assert TOOLING.dump_path({}) == "/var/crash"
    assert TOOLING.dump_path({"DUMP_PATH": "/x"}) == "/x"
    assert TOOLING.kernel({}, "1") == "1"
    assert TOOLING.kernel({"CAPTURE_RELEASE": "2"}, "1") == "2"
    several = TOOLING.need({"COMMANDLINE_APPEND": "nr_cpus=4"})
    assert several == {"cpus": 4, "network": False, "elsewhere": ""}
    assert TOOLING.need({"COMMANDLINE_APPEND": "nr-cpus=4"})["cpus"] == 4
    assert TOOLING.need({})["cpus"] == 1


def test_the_units_start_files_that_are_there() -> None:
    files = TOOLING.own_files()
    for path, file in files.items():
        if path.endswith(".service"):
            for line in file.content.splitlines():
                if line.startswith("Exec"):
                    assert line.split()[1] in files
