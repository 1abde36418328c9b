# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.runner import CommandError
from ansible_collections.kdump.fleet.plugins.module_utils.sizing import kdumptool_values
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.suse import (
    FENCE,
    HOOKS,
    INITRD,
    Suse,
)
from ansible_collections.kdump.fleet.plugins.module_utils.wanted import Configuration, Wanted
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEbyeMMEItdxKGIotyBPQCcrHAN09AqQmXmeWYTNZbnQ"
TOOLING = Suse()
KERNEL = "6.12.0-160000.5-default"
ARGUMENTS = "-i 10 -p 7410 -c 1"


def facts(
    release: t.Optional[str] = "2.1.9",
    arch: str = "x86_64",
    version: str = "16.0",
    rules: t.Optional[t.Dict[str, t.Any]] = None,
    **settings: str,
) -> t.Dict[str, t.Any]:
    """What is observed of a host with these settings in its file."""
    return {
        "architecture": arch,
        "distribution": {"id": "sles", "version": version, "name": "SLES", "like": ["suse"]},
        "tooling": {
            "name": "suse",
            "installed": release is not None,
            "release": release,
            "rules": rules or {},
            "settings": settings,
        },
    }


def configured(wanted: Wanted, **options: t.Any) -> Configuration:
    found = TOOLING.configure(wanted, facts(**options))
    assert found.problems == []
    # What is configured is what the release accepts.
    text = TOOLING.config_files[0].render("", found.settings)
    assert TOOLING.config_files[0].problems(text, options.get("release", "2.1.9")) == []
    return found


ALWAYS: t.Dict[str, t.Optional[str]] = {
    "KDUMP_IMMEDIATE_REBOOT": "true",
    "KDUMP_CONTINUE_ON_ERROR": "true",
    "KDUMP_UPDATE_BOOTLOADER": "false",
    "KDUMP_SAVEDIR": "/var/crash",
}


def test_what_is_always_set() -> None:
    assert configured(Wanted()).settings == ALWAYS


def test_an_older_release_has_no_setting_for_the_boot_loader() -> None:
    assert "KDUMP_UPDATE_BOOTLOADER" not in configured(Wanted(), release="2.0.18").settings


# Wanted, and what it adds to ALWAYS.
SETTINGS: t.List[t.Tuple[Wanted, t.Dict[str, t.Optional[str]]]] = [
    (Wanted(path="/srv/crash"), {"KDUMP_SAVEDIR": "/srv/crash"}),
    (Wanted(system_action="shell"), {"KDUMP_CONTINUE_ON_ERROR": "false"}),
    (Wanted(final_action="reboot", force_rebuild="auto", early=True), {}),
    (Wanted(auto_reset_crashkernel=False), {}),
    (
        Wanted(target={"type": "ssh", "location": "kdump@server"}),
        {"KDUMP_SAVEDIR": "ssh://kdump@server/var/crash"},
    ),
    (
        Wanted(target={"type": "ssh"}, ssh_user="u", ssh_server="s", path="/"),
        {"KDUMP_SAVEDIR": "ssh://u@s/"},
    ),
    (
        Wanted(target={"type": "nfs", "location": "server:/export"}),
        {"KDUMP_SAVEDIR": "nfs://server/export"},
    ),
    (
        Wanted(target={"type": "nfs", "location": "[fe80::1]:/export"}, path="/dumps"),
        {"KDUMP_SAVEDIR": "nfs://[fe80::1]/export/dumps"},
    ),
    (
        Wanted(target={"type": "cifs", "location": "//server/share"}),
        {"KDUMP_SAVEDIR": "cifs://server/share"},
    ),
    (
        Wanted(target={"type": "ftp", "location": "ftp://server"}),
        {"KDUMP_SAVEDIR": "ftp://server/var/crash"},
    ),
    (
        Wanted(target={"type": "sftp", "location": "u@server"}, sshkey="/root/.ssh/k"),
        {"KDUMP_SAVEDIR": "sftp://u@server/var/crash", "KDUMP_SSH_IDENTITY": "/root/.ssh/k"},
    ),
    (
        Wanted(
            target={"type": "ssh", "location": "u@server"},
            ssh_host_keys=[f"{HOST_KEY} root@server"],
        ),
        {"KDUMP_SAVEDIR": "ssh://u@server/var/crash", "KDUMP_HOST_KEY": HOST_KEY},
    ),
    # Without a login there is nobody whose key it would be.
    (Wanted(ssh_host_keys=[HOST_KEY]), {}),
    (Wanted(dump_level=17), {"KDUMP_DUMPLEVEL": "17"}),
    (Wanted(compression="zstd"), {"KDUMP_DUMPFORMAT": "zstd"}),
    (Wanted(compression="zlib"), {"KDUMP_DUMPFORMAT": "compressed"}),
    (Wanted(compression="none"), {"KDUMP_DUMPFORMAT": "ELF"}),
    (Wanted(message_level=7), {"MAKEDUMPFILE_OPTIONS": "--message-level 7"}),
    (Wanted(threads=4), {"KDUMP_CPUS": "4"}),
    (
        Wanted(core_collector="makedumpfile -l --message-level 7 -d 31"),
        {
            "KDUMP_DUMPFORMAT": "lzo",
            "KDUMP_DUMPLEVEL": "31",
            "MAKEDUMPFILE_OPTIONS": "--message-level 7",
        },
    ),
    (
        Wanted(core_collector="makedumpfile -F -d17 --num-threads=2 -X"),
        {
            "KDUMP_DUMPFORMAT": "ELF",
            "KDUMP_DUMPLEVEL": "17",
            "MAKEDUMPFILE_OPTIONS": "-X",
            "KDUMP_CPUS": "2",
        },
    ),
    (Wanted(core_collector="cp"), {"KDUMP_DUMPFORMAT": "raw", "KDUMP_DUMPLEVEL": "0"}),
    (
        Wanted(core_collector="makedumpfile -Fcd31"),
        {"KDUMP_DUMPFORMAT": "compressed", "KDUMP_DUMPLEVEL": "31"},
    ),
    (
        Wanted(core_collector="makedumpfile -Xld 17 -x vmlinux"),
        {
            "KDUMP_DUMPFORMAT": "lzo",
            "KDUMP_DUMPLEVEL": "17",
            "MAKEDUMPFILE_OPTIONS": "-X -x vmlinux",
        },
    ),
    (Wanted(dumps_to_keep=0), {"KDUMP_KEEP_OLD_DUMPS": "0"}),
    (Wanted(dumps_to_keep=1), {"KDUMP_KEEP_OLD_DUMPS": "-1"}),
    (Wanted(dumps_to_keep=5), {"KDUMP_KEEP_OLD_DUMPS": "4"}),
    (Wanted(extra_bins=["/usr/bin/strace"]), {"KDUMP_REQUIRED_PROGRAMS": "/usr/bin/strace"}),
    (
        Wanted(commandline="root=kdump reset_devices", kexec_args="--debug"),
        {"KDUMP_COMMANDLINE": "root=kdump reset_devices", "KEXEC_OPTIONS": "--debug"},
    ),
    (Wanted(commandline_append="net_delay=9"), {"KDUMP_COMMANDLINE_APPEND": "net_delay=9"}),
    (Wanted(kernel_version="6.4.0-1-default"), {"KDUMP_KERNELVER": "6.4.0-1-default"}),
    (Wanted(capture_kernel="/boot/vmlinuz-small"), {"KDUMP_KERNELVER": "/boot/vmlinuz-small"}),
    (
        Wanted(network={"config": "eth0:dhcp", "timeout": 60}),
        {"KDUMP_NETCONFIG": "eth0:dhcp", "KDUMP_NET_TIMEOUT": "60"},
    ),
    (
        Wanted(notification={"to": "root@example.org", "smtp_server": "mail"}),
        {"KDUMP_NOTIFICATION_TO": "root@example.org", "KDUMP_SMTP_SERVER": "mail"},
    ),
    (
        Wanted(fence_nodes=["fe80::1%eth0"]),
        {"KDUMP_POSTSCRIPT": f"{FENCE} {ARGUMENTS} fe80::1%eth0"},
    ),
    (Wanted(fence_nodes=["n1", "n2"]), {"KDUMP_POSTSCRIPT": f"{FENCE} {ARGUMENTS} n1 n2"}),
    (Wanted(options={"KDUMP_FREE_DISK_SIZE": 128}), {"KDUMP_FREE_DISK_SIZE": "128"}),
]


@pytest.mark.parametrize("wanted, expected", SETTINGS)
def test_settings(wanted: Wanted, expected: t.Dict[str, t.Optional[str]]) -> None:
    found = configured(wanted).settings
    assert {key: value for key, value in found.items() if value is not None} == {
        **ALWAYS,
        **expected,
    }


# Settings that mean it already, wanted.
ALREADY = [
    ("file:///var/crash", Wanted()),
    ("scp://u@server/var/crash", Wanted(target={"type": "sftp", "location": "u@server"})),
    ("cifs://u:********@s/share", Wanted(target={"type": "cifs", "location": "//s/share"})),
    ("sftp://u:********@s/var/crash", Wanted(target={"type": "sftp", "location": "u@s"})),
    # Without a kdump_target, another one's stays, which is told.
    ("ssh://u@s/dumps", Wanted()),
    ("nfs://s/dumps", Wanted(path="/srv/crash")),
]


@pytest.mark.parametrize("current, wanted", ALREADY)
def test_a_target_that_means_the_same_stays(current: str, wanted: Wanted) -> None:
    found = TOOLING.configure(wanted, facts(KDUMP_SAVEDIR=current))
    assert "KDUMP_SAVEDIR" not in found.settings
    assert found.problems == []


def test_a_target_in_the_file_stays_without_another_one_and_is_told() -> None:
    (warning,) = TOOLING.configure(Wanted(), facts(KDUMP_SAVEDIR="ftp://u:********@s/x")).warnings
    assert "KDUMP_SAVEDIR='ftp://u:********@s/x' stays, and dumps leave this host" in warning
    # A host's name, up to 1.0.
    old = facts("1.0.2+git48", KDUMP_SAVEDIR="//server/share")
    assert "KDUMP_SAVEDIR" not in TOOLING.configure(Wanted(), old).settings
    found = TOOLING.configure(Wanted(), facts(KDUMP_SAVEDIR="//server/share"))
    assert (found.settings["KDUMP_SAVEDIR"], found.warnings) == ("/var/crash", [])


def test_an_exclusive_configuration_keeps_no_target_that_is_not_asked_for() -> None:
    found = TOOLING.configure(Wanted(exclusive=True), facts(KDUMP_SAVEDIR="ssh://u@s/x"))
    assert (found.settings["KDUMP_SAVEDIR"], found.warnings) == ("/var/crash", [])


def test_a_password_that_ssh_cannot_use_goes() -> None:
    wanted = Wanted(target={"type": "ssh", "location": "u@s"})
    found = TOOLING.configure(wanted, facts(KDUMP_SAVEDIR="ssh://u:********@s/var/crash"))
    assert found.settings["KDUMP_SAVEDIR"] == "ssh://u@s/var/crash"


def test_parts_keep_the_rest_of_the_files_collector() -> None:
    found = configured(
        Wanted(message_level=7), MAKEDUMPFILE_OPTIONS="-X --message-level 1", KDUMP_DUMPLEVEL="1"
    )
    assert found.settings["MAKEDUMPFILE_OPTIONS"] == "-X --message-level 7"
    assert "KDUMP_DUMPLEVEL" not in found.settings


def test_threads_up_to_1_0_leave_one_cpu_for_the_writing() -> None:
    assert configured(Wanted(threads=4), release="1.0.2+git48").settings["KDUMP_CPUS"] == "5"


def test_raw_up_to_1_0_is_elf_with_every_page() -> None:
    found = configured(Wanted(core_collector="cp"), release="1.0.2+git48").settings
    assert (found["KDUMP_DUMPFORMAT"], found["KDUMP_DUMPLEVEL"]) == ("ELF", "0")


# As kdump-tools and others write it, and as a URL.
FTP = [
    ("server:/dumps", "server/dumps"),
    ("server:/", "server"),
    ("server:2121:/dumps", "server:2121/dumps"),
    ("me@server:/dumps", "me@server/dumps"),
    ("me@[fe80::1]:/dumps", "me@[fe80::1]/dumps"),
    ("fe80::1:/dumps", "[fe80::1]/dumps"),
    ("server/dumps", "server/dumps"),
    ("ftp://server:2121/dumps", "server:2121/dumps"),
    ("ftp://server:/dumps", "server/dumps"),
]


@pytest.mark.parametrize("location, url", FTP)
def test_ftp_in_every_form(location: str, url: str) -> None:
    found = configured(Wanted(target={"type": "ftp", "location": location}, path="/crash"))
    assert found.settings["KDUMP_SAVEDIR"] == f"ftp://{url}/crash"


HOOK = {"name": "10-note", "content": "#!/bin/sh\necho x\n"}


def test_hooks() -> None:
    found = configured(
        Wanted(pre_hooks=[HOOK], post_hooks=[HOOK], fence_nodes=["n1"]),
        KDUMP_REQUIRED_PROGRAMS=f"/opt/mine {HOOKS}/pre.d/old",
    )
    assert found.settings["KDUMP_PRESCRIPT"] == f"{HOOKS}/pre"
    assert found.settings["KDUMP_POSTSCRIPT"] == f"{HOOKS}/post {FENCE} {ARGUMENTS} n1"
    assert found.settings["KDUMP_REQUIRED_PROGRAMS"] == (
        f"/opt/mine {HOOKS}/pre {HOOKS}/pre.d/10-note {HOOKS}/post {HOOKS}/post.d/10-note"
    )
    assert sorted(found.files) == [
        f"{HOOKS}/post",
        f"{HOOKS}/post.d/10-note",
        f"{HOOKS}/pre",
        f"{HOOKS}/pre.d/10-note",
    ]
    assert all(file.mode == 0o755 for file in found.files.values())


def test_hooks_that_are_not_wanted_any_more_go() -> None:
    found = configured(
        Wanted(),
        KDUMP_PRESCRIPT=f"{HOOKS}/pre",
        KDUMP_POSTSCRIPT="/opt/mine",
        KDUMP_REQUIRED_PROGRAMS=f"/opt/mine {HOOKS}/pre {HOOKS}/pre.d/x",
    )
    assert found.settings["KDUMP_PRESCRIPT"] is None
    assert found.settings["KDUMP_REQUIRED_PROGRAMS"] == "/opt/mine"
    assert "KDUMP_POSTSCRIPT" not in found.settings


# Wanted, observed beside the defaults, and what the problem says.
REFUSED: t.List[t.Tuple[Wanted, t.Dict[str, t.Any], str]] = [
    (Wanted(target={"type": "raw", "location": "/dev/vdb"}), {}, "writes to file systems alone"),
    (Wanted(target={"type": "xfs", "location": "/dev/vdb"}), {}, "mount it by /etc/fstab"),
    (Wanted(target={"type": "virtiofs", "location": "x"}), {}, "mount it by /etc/fstab"),
    (
        Wanted(target={"type": "ftp", "location": "ftp://u:pw@server"}),
        {},
        "kdump_target: the password in ftp:// is a secret",
    ),
    (
        Wanted(target={"type": "ftp", "location": "me@corp.com:s3cret@server"}),
        {},
        "kdump_target: the password in ftp:// is a secret",
    ),
    (
        Wanted(target={"type": "ftp", "location": "me:/s3cret@server"}),
        {},
        "kdump_target: the password in ftp:// is a secret",
    ),
    (
        Wanted(target={"type": "cifs", "location": "//u:s3/cret@server/x"}),
        {},
        "kdump_target: the password in cifs:// is a secret",
    ),
    (
        Wanted(target={"type": "ssh", "location": "u:s3cret@server"}),
        {},
        "kdump_target: ssh cannot log in with a password; leave it out, and set kdump_sshkey",
    ),
    (Wanted(target={"type": "nfs", "location": "server"}), {}, "has no folder"),
    (Wanted(target={"type": "cifs", "location": "//server/"}), {}, "has no share"),
    (Wanted(target={"type": "nfs", "location": "u@server:/x"}), {}, "has a user"),
    (
        Wanted(target={"type": "ssh", "location": "u@server:2222"}),
        {},
        "kdump_target: KDUMP_SAVEDIR='ssh://u@server:2222/var/crash' has a port",
    ),
    (Wanted(target={"type": "ssh", "location": "u@2001:db8::1"}), {}, "has an IPv6 address"),
    (Wanted(core_collector="dd"), {}, "must begin with 'makedumpfile'"),
    (Wanted(core_collector="makedumpfile -d 99"), {}, "kdump_dump_level: KDUMP_DUMPLEVEL='99'"),
    (Wanted(core_collector="makedumpfile -cd99"), {}, "kdump_dump_level: KDUMP_DUMPLEVEL='99'"),
    (Wanted(core_collector="makedumpfile -cd"), {}, "has -d without its value"),
    (Wanted(core_collector="makedumpfile --split"), {}, "write one dump"),
    (Wanted(core_collector="makedumpfile -cv"), {}, "write one dump"),
    (
        Wanted(dump_level=17),
        {"KDUMP_DUMPFORMAT": "raw"},
        "kdump_dump_level: KDUMP_DUMPLEVEL='17' is ignored with KDUMP_DUMPFORMAT=raw",
    ),
    (Wanted(compression="zstd"), {"release": "1.0.2+git20.g1"}, "must be one of: none, elf"),
    (Wanted(dumps_to_keep=1), {"release": "1.9.8"}, "is negative"),
    (
        Wanted(target={"type": "ssh", "location": "u@s"}, dumps_to_keep=3),
        {},
        "deletes nothing on another host",
    ),
    (Wanted(system_action="halt"), {}, "use one of: reboot, shell"),
    (Wanted(system_action="dump_to_rootfs"), {}, "use one of: reboot, shell"),
    (Wanted(final_action="poweroff"), {}, "run 'poweroff -f'"),
    (Wanted(emergency_hooks=[HOOK]), {}, "no hook for that"),
    (
        Wanted(pre_hooks=[{"name": "a", "content": "#!/usr/bin/env python3\n"}]),
        {},
        "name the interpreter itself",
    ),
    (Wanted(extra_modules=["nvme"]), {}, "add_drivers"),
    (Wanted(dracut_args="--lz4"), {}, "/etc/dracut.conf.d"),
    (Wanted(commandline_remove=["quiet"]), {}, "set kdump_commandline"),
    (Wanted(commandline='a="b c"'), {}, "special to the shells"),
    (Wanted(kexec_args="-l"), {}, "makes kexec do something else"),
    (Wanted(capture_initrd="/x"), {}, "builds its own"),
    (Wanted(kernel_version="1", capture_kernel="/x"), {}, "set one of them"),
    (Wanted(capture_kernel="/boot/x"), {"release": "1.0.2"}, "not a path"),
    (Wanted(bootdir="/efi"), {}, "set kdump_capture_kernel"),
    (Wanted(force_rebuild="always"), {}, "set auto"),
    (Wanted(auto_reset_crashkernel=True), {}, "would both set crashkernel="),
    (Wanted(fadump="on"), {}, "ppc64le alone"),
    (
        Wanted(fadump="nocma"),
        {"arch": "ppc64le", "release": "2.0.18"},
        "sets fadump=on by itself",
    ),
    (Wanted(fence_args="-c 1"), {}, "set both"),
    (Wanted(fence_nodes=["n1"], fence_args="-i 5"), {}, "add -c 1"),
    (Wanted(fence_nodes=["n1"]), {"rules": {"fence": False}}, "install fence-agents"),
    (Wanted(network={"retries": 3}), {}, "cannot honour 'retries'"),
    (Wanted(network={"config": "eth0"}), {}, "must be auto or DEVICE:MODE"),
    (Wanted(notification={"smtp_server": "mail"}), {}, "has no 'to'"),
    (
        Wanted(notification={"cc": "a@b"}),
        {},
        "kdump_notification: KDUMP_NOTIFICATION_CC='a@b' is ignored without KDUMP_NOTIFICATION_TO",
    ),
    (
        Wanted(notification={"to": "a@b", "smtp_user": "u"}),
        {"KDUMP_SMTP_PASSWORD": "********"},
        "kdump_notification: KDUMP_SMTP_USER='u' is ignored without KDUMP_SMTP_SERVER",
    ),
    (
        Wanted(fadump="on", commandline="reset_devices"),
        {"arch": "ppc64le"},
        "kdump_commandline: KDUMP_COMMANDLINE='reset_devices' is ignored with KDUMP_FADUMP",
    ),
    (
        Wanted(fadump="on", kexec_args="--debug"),
        {"arch": "ppc64le"},
        "kdump_kexec_args: KEXEC_OPTIONS='--debug' is ignored with KDUMP_FADUMP",
    ),
    (Wanted(sshkey="~/.ssh/k"), {}, "kdump_sshkey: KDUMP_SSH_IDENTITY='~/.ssh/k' holds '~'"),
    (
        Wanted(options={"KDUMP_TRANSFER": "curl -u me:s3cret ftp://h"}),
        {},
        "KDUMP_TRANSFER='********' is a secret",
    ),
    (
        Wanted(notification={"to": "a@b", "smtp_password": "s3cret"}),
        {},
        "kdump_notification: a password is a secret",
    ),
    (Wanted(notification={"to": "a@b"}), {"rules": {"mail": False}}, "mailx is not on this host"),
    (
        Wanted(notification={"to": "a@b"}, target={"type": "ssh", "location": "u@s"}),
        {},
        "kdump_notification: KDUMP_NOTIFICATION_TO='a@b' is ignored for a dump that leaves",
    ),
    (Wanted(options={"KDUMP_SMTP_PASSWORD": "s3cret"}), {}, "is a secret"),
    (Wanted(options={"KDUMP_SAVEDIR": "/x"}), {}, "set kdump_target instead"),
    (Wanted(options={"KDUMP_VERBOSE": "x"}), {}, "kdump_options: KDUMP_VERBOSE='x'"),
    (Wanted(options={"KDUMP_TRANSFR": "x"}), {}, "did you mean KDUMP_TRANSFER"),
]


@pytest.mark.parametrize("wanted, observed, message", REFUSED)
def test_refused(wanted: Wanted, observed: t.Dict[str, t.Any], message: str) -> None:
    (problem,) = TOOLING.configure(wanted, facts(**observed)).problems
    assert message in problem
    assert "s3cret" not in problem and "pw@" not in problem


WARNED: t.List[t.Tuple[Wanted, str]] = [
    (Wanted(target={"type": "nfs", "location": "s:/x"}), "must be there before a crash"),
    (Wanted(options={"SITE": "x"}), "is no setting that kdump"),
    (
        Wanted(notification={"to": "a@b", "smtp_user": "u", "smtp_server": "mail"}),
        "KDUMP_SMTP_PASSWORD",
    ),
    (Wanted(early=False), "kdump_early: false: has no effect on this host"),
    (Wanted(commandline="quiet"), "kdump_commandline: KDUMP_COMMANDLINE='quiet' replaces"),
]


@pytest.mark.parametrize("wanted, message", WARNED)
def test_warned(wanted: Wanted, message: str) -> None:
    (warning,) = configured(wanted).warnings
    assert message in warning


ASSISTED = [
    (Wanted(fadump="on"), {}, "true", ["on"]),
    (Wanted(fadump="on", dump_level=1), {}, "true", ["nocma"]),
    (Wanted(fadump="on"), {"KDUMP_DUMPFORMAT": "raw"}, "true", ["nocma"]),
    (Wanted(fadump="nocma"), {}, "true", ["nocma"]),
    (Wanted(fadump="off"), {}, "false", []),
]


@pytest.mark.parametrize("wanted, settings, setting, argument", ASSISTED)
def test_fadump(
    wanted: Wanted, settings: t.Dict[str, str], setting: str, argument: t.List[str]
) -> None:
    found = configured(wanted, arch="ppc64le", **settings)
    assert found.settings["KDUMP_FADUMP"] == setting
    assert found.arguments == {"fadump": argument}


def test_fadump_takes_more_arguments_behind_its_default() -> None:
    found = configured(Wanted(fadump="on", commandline_append="net_delay=9"), arch="ppc64le")
    assert (found.settings["FADUMP_COMMANDLINE_APPEND"] or "").endswith(
        "children-max=2 net_delay=9"
    )


@pytest.mark.parametrize(
    "version, known", [("16.0", True), ("15.7", False), ("20261121", True)]
)  # fmt: skip
def test_before_it_is_installed_the_product_tells_the_release(version: str, known: bool) -> None:
    found = TOOLING.configure(Wanted(), facts(release=None, version=version))
    assert ("KDUMP_UPDATE_BOOTLOADER" in found.settings) == known


@pytest.mark.parametrize(
    "distribution, like, expected",
    [
        ("sles", ["suse"], True),
        ("sle-micro", ["suse"], True),
        ("opensuse-tumbleweed", ["opensuse", "suse"], True),
        ("opensuse-microos", [], True),
        ("derived", ["suse"], True),
        ("debian", [], False),
        ("fedora", ["rhel"], False),
    ],
)
def test_suits(distribution: str, like: t.List[str], expected: bool) -> None:
    assert TOOLING.suits(distribution, like) == expected


@pytest.fixture
def sles(host: FakeHost) -> FakeHost:
    """A SLES 16 host with an initrd as it should be."""
    host.put("/usr/lib/kdump/kdump-read-config.sh", "")
    host.put("/usr/sbin/mkdumprd", "pbl --default-settings\n")
    host.put("/etc/sysconfig/kdump", 'KDUMP_SAVEDIR="/var/crash"\n', mtime=1000)
    host.put("/etc/fstab", "", mtime=1000)
    host.put(f"/lib/modules/{KERNEL}/modules.dep", "", mtime=1000)
    host.put(INITRD, "initrd", mtime=2000)
    host.put(INITRD + "-note", "", mtime=1000)
    host.put("/var/lib/kdump/kernel-version", KERNEL + "\n", mtime=2000)
    os.symlink(f"/usr/lib/modules/{KERNEL}/vmlinuz", host.path("/var/lib/kdump/kernel"))
    host.runner.programs.add("kdumptool")
    default_kernel(host, KERNEL)
    return host


def default_kernel(host: FakeHost, kernel: str) -> None:
    host.runner.answer("pbl", "--default-settings", stdout=f"kernel=/boot/vmlinuz-{kernel}\n")


def test_a_good_initrd(sles: FakeHost) -> None:
    found = TOOLING.initrd(sles, KERNEL)
    assert (found.path, found.kernel, found.exists, found.stale) == (INITRD, KERNEL, True, [])


REMOTE = 'KDUMP_SAVEDIR="ssh://u@s/x"\nKDUMP_SSH_IDENTITY="/etc/k id_x"\n'
STALE = [
    ("", "/etc/sysconfig/kdump"),
    ("", "/etc/fstab"),
    ("", "/etc/dracut.conf.d/x.conf"),
    ("", f"/lib/modules/{KERNEL}/modules.dep"),
    ('KDUMP_REQUIRED_PROGRAMS="/opt/hook"\n', "/opt/hook"),
    (REMOTE, "/etc/hosts"),
    (REMOTE, "/root/.ssh/known_hosts"),
    (REMOTE, "/root/.ssh/id_x.pub"),
    (REMOTE, "/etc/k"),
    (REMOTE, "/etc/NetworkManager/system-connections/a.nmconnection"),
]


@pytest.mark.parametrize("conf, path", STALE)
def test_a_stale_initrd(sles: FakeHost, conf: str, path: str) -> None:
    sles.put("/etc/sysconfig/kdump", conf, mtime=1000)
    assert TOOLING.initrd(sles, KERNEL).stale == []
    sles.put(path, conf)
    assert TOOLING.initrd(sles, KERNEL).stale == [f"{path} is newer than {INITRD}"]


def test_an_initrd_for_another_kernel(sles: FakeHost) -> None:
    # The boot loader's default is what counts, whatever runs.
    assert TOOLING.initrd(sles, "older").stale == []
    default_kernel(sles, "newer")
    assert TOOLING.initrd(sles, KERNEL).stale == [
        f"{INITRD} was built for {KERNEL}, not for newer"
    ]  # fmt: skip
    sles.put("/etc/sysconfig/kdump", f"KDUMP_KERNELVER={KERNEL}\n", mtime=1000)
    assert TOOLING.initrd(sles, KERNEL).stale == []


def test_without_pbl_the_link_in_boot_is_the_default(sles: FakeHost) -> None:
    sles.put("/usr/sbin/mkdumprd", "")
    sles.remove("/var/lib/kdump/kernel-version")
    os.makedirs(sles.path("/boot"))
    os.symlink("vmlinuz-newer", sles.path("/boot/vmlinuz"))
    assert TOOLING.initrd(sles, KERNEL).stale == [
        f"{INITRD} was built for {KERNEL}, not for newer"
    ]  # fmt: skip


PATHS = [
    ("", True, INITRD),
    ("", False, f"/boot/initrd-{KERNEL}-kdump"),
    ("KDUMP_FADUMP=true\n", True, f"/boot/initrd-{KERNEL}"),
]


@pytest.mark.parametrize("conf, scripts, path", PATHS)
def test_no_initrd(host: FakeHost, conf: str, scripts: bool, path: str) -> None:
    host.put("/etc/sysconfig/kdump", conf)
    if scripts:
        host.put("/usr/lib/kdump/kdump-read-config.sh", "")
    found = TOOLING.initrd(host, KERNEL)
    assert (found.path, found.exists, found.stale) == (path, False, [f"{path} does not exist"])


def test_build(sles: FakeHost) -> None:
    sles.runner.does("mkdumprd", "-f", action=lambda: sles.put(INITRD, "new"))
    TOOLING.build(sles, KERNEL)
    assert sles.read(INITRD) == "new"
    assert TOOLING.revert(sles, KERNEL)
    assert sles.read(INITRD) == "initrd"
    assert os.readlink(sles.path("/var/lib/kdump/kernel")).endswith("/vmlinuz")
    assert not TOOLING.revert(sles, KERNEL)
    TOOLING.build(sles, KERNEL)
    TOOLING.confirm(sles, KERNEL)
    assert sles.glob("/var/lib/kdump/*.kdump-fleet") == []


def test_a_resolver_or_a_card_that_changed(sles: FakeHost) -> None:
    sles.put("/etc/sysconfig/kdump", 'KDUMP_SAVEDIR="nfs://192.0.2.1/x"\n', mtime=1000)
    sles.put("/etc/resolv.conf", "nameserver 192.0.2.53\n")
    sles.put("/sys/class/net/eth0/address", "52:54:00:00:00:01\n")
    sles.runner.answer("ip", "-oneline", "route", "get", "192.0.2.1", stdout="192.0.2.1 dev eth0 src 192.0.2.9\n")  # fmt: skip
    sles.runner.does("mkdumprd", "-f", action=lambda: sles.put(INITRD, "new"))
    TOOLING.build(sles, KERNEL)
    assert TOOLING.initrd(sles, KERNEL).stale == []
    sles.put("/etc/resolv.conf", "nameserver 192.0.2.54\n")
    sles.put("/sys/class/net/eth0/address", "52:54:00:00:00:02\n")
    stale = TOOLING.initrd(sles, KERNEL).stale
    assert ["192.0.2.1 is over eth0" in stale[0], "resolv.conf" in stale[1]] == [True, True]


def test_a_build_that_fails_leaves_what_was_there(sles: FakeHost) -> None:
    def spoil() -> None:
        sles.put(INITRD, "half")
        sles.remove("/var/lib/kdump/kernel")

    sles.runner.does("mkdumprd", "-f", action=spoil, code=1, stderr="no space")
    with pytest.raises(CommandError, match="no space"):
        TOOLING.build(sles, KERNEL)
    assert sles.read(INITRD) == "initrd"
    assert os.path.islink(sles.path("/var/lib/kdump/kernel"))


def test_a_build_that_did_nothing_is_no_success(sles: FakeHost) -> None:
    sles.runner.answer("mkdumprd", "-f", stdout="/var/lib/kdump not writable\n")
    with pytest.raises(CommandError, match="has not built .* not writable"):
        TOOLING.build(sles, KERNEL)


def test_the_old_layout_keeps_its_last_initrd_beside_the_state(host: FakeHost) -> None:
    path = f"/boot/initrd-{KERNEL}-kdump"
    host.put(path, "initrd", mtime=2000)
    host.runner.does(
        "mkdumprd", "-f", action=lambda: host.put(path, "half"), code=1, stderr="no space"
    )
    with pytest.raises(CommandError, match="no space"):
        TOOLING.build(host, KERNEL)
    assert host.read(path) == "initrd"
    assert host.glob("/boot/*") == [path]


def test_load_and_unload(sles: FakeHost) -> None:
    sles.runner.answer("/usr/lib/kdump/load.sh")
    sles.runner.answer("/usr/lib/kdump/unload.sh")
    TOOLING.load(sles)
    TOOLING.unload(sles)
    assert sles.runner.started == [("/usr/lib/kdump/load.sh",), ("/usr/lib/kdump/unload.sh",)]


@pytest.mark.parametrize("said, expected", [("2.1.6", "2.1.6"), ("1.0.2+git26.gc6fab38",) * 2, ("package kdump is not installed", None)])  # fmt: skip
def test_release(host: FakeHost, said: str, expected: t.Optional[str]) -> None:
    host.runner.answer("rpm", "--query", "--queryformat", "%{VERSION}", "kdump", stdout=said)
    assert TOOLING.release(host) == expected


PROPOSED = "Total: 16011\nLow: 72\nHigh: 341\nMinLow: 72\nMaxLow: 3072\nMinHigh: 0\nMaxHigh: 12939\n"  # fmt: skip


def test_observed(sles: FakeHost) -> None:
    os.makedirs(sles.path("/var/crash"))
    sles.runner.answer("kdumptool", "calibrate", stdout=PROPOSED)
    found = TOOLING.observed(sles)
    assert (found["calibrate"]["Low"], found["calibrate"]["High"]) == (72, 341)
    assert (found["fence"], found["mail"]) == (False, False)


def test_observed_runs_no_file_with_commands_in_it(sles: FakeHost) -> None:
    os.makedirs(sles.path("/var/crash"))
    sles.put("/etc/sysconfig/kdump", "KDUMP_FADUMP= yes\n")
    assert TOOLING.observed(sles)["calibrate"] == {}
    assert sles.runner.started == []


def test_observed_makes_no_folder(sles: FakeHost) -> None:
    # kdumptool would make the one for dumps.
    assert TOOLING.observed(sles)["calibrate"] == {}
    assert sles.runner.started == []


@pytest.mark.parametrize(
    "proposed, assisted, expected",
    [
        ({"Low": 72, "High": 341}, False, ["72M,low", "341M,high"]),
        ({"Low": 0, "High": 300}, False, ["300M,high"]),
        ({"Low": 448, "High": 0}, False, ["448M"]),
        ({"Low": 448, "High": 0, "Fadump": 819}, True, ["819M"]),
        ({"Low": 448, "High": 0}, True, []),
        ({"Low": 0, "High": 0}, False, []),  # a Xen guest
        ({}, False, []),
    ],
)
def test_what_kdumptool_would_set(
    proposed: t.Dict[str, int], assisted: bool, expected: t.List[str]
) -> None:
    assert kdumptool_values(proposed, assisted) == expected


def test_a_transactional_host_without_kdump(host: FakeHost) -> None:
    host.put("/proc/mounts", "/dev/vda2 / btrfs ro,relatime 0 0\n")
    assert TOOLING.obstacles(host) == []
    host.runner.programs.add("transactional-update")
    (obstacle,) = TOOLING.obstacles(host)
    assert "transactional-update pkg install kdump kexec-tools makedumpfile" in obstacle
    host.runner.programs.add("kdumptool")
    assert TOOLING.obstacles(host) == []


@pytest.mark.parametrize(
    "settings, cpus, network, path",
    [
        ({}, 8, False, "/var/crash"),
        ({"KDUMP_CPUS": "4", "KDUMP_SAVEDIR": "file:///a"}, 4, False, "/a"),
        ({"KDUMP_CPUS": "0", "KDUMP_SAVEDIR": "file:///a file:///b"}, 8, False, "/a"),
        ({"KDUMP_SAVEDIR": "ssh://h/x"}, 8, True, "/var/crash"),
    ],
)
def test_what_a_capture_needs(
    monkeypatch: pytest.MonkeyPatch,
    settings: t.Dict[str, str],
    cpus: int,
    network: bool,
    path: str,
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    assert TOOLING.need(settings) == {"cpus": cpus, "network": network, "elsewhere": ""}
    assert TOOLING.dump_path(settings) == path


@pytest.mark.parametrize(
    "version, expected",
    [
        ("", KERNEL),
        ("6.4.0-1-default", "6.4.0-1-default"),
        ("/boot/vmlinuz-6.4.0-1-default", "6.4.0-1-default"),
        ("/usr/lib/modules/6.4.0-1-default/vmlinuz", "6.4.0-1-default"),
    ],
)
def test_kernel(version: str, expected: str) -> None:
    assert TOOLING.kernel({"KDUMP_KERNELVER": version}, KERNEL) == expected


SAVED = "Kernel crashdump\n----------------\ndmesg status: saved successfully\nvmcore status: saved successfully\n"  # fmt: skip
UNFINISHED = (
    "This file will be overwritten when the dump is finished.\nthe crash dump is likely incomplete"
)


def test_dumps(host: FakeHost) -> None:
    for minute, readme in (("00", SAVED), ("01", UNFINISHED), ("02", SAVED.replace("vmcore status: saved", "vmcore status: error while saving"))):  # fmt: skip
        host.put(f"/var/crash/2026-11-21-10-{minute}/vmcore", "x" * 10, mtime=10.0 + int(minute))
        host.put(f"/var/crash/2026-11-21-10-{minute}/README.txt", readme)
    host.put("/var/crash/2025-01-01-10:00/vmcore", "x", mtime=5)
    host.put("/var/crash/2025-01-01-10:00/dmesg.txt", "log")
    host.put("/var/crash/2025-01-01-10:00/README.txt", "Kernel crashdump\n")
    host.put("/var/crash/notes1", "")
    dumps = TOOLING.dumps(host, "/var/crash")
    assert [(os.path.basename(dump.folder), dump.complete) for dump in dumps] == [
        ("2025-01-01-10:00", True),
        ("2026-11-21-10-00", True),
        ("2026-11-21-10-01", False),
        ("2026-11-21-10-02", False),
    ]
    assert dumps[0].dmesg == "/var/crash/2025-01-01-10:00/dmesg.txt"
    assert dumps[1].size == 10


@pytest.mark.parametrize(
    "name, expected",
    [
        ("2026-11-21-10-00", True),
        ("2026-11-21-10:00", True),
        ("host1-2026-11-21-10-00", True),
        ("lost+found", True),
        ("notes", False),
    ],
)
def test_owns(name: str, expected: bool) -> None:
    assert TOOLING.owns(name) == expected
