# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import subprocess
import time
import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.runner import CommandError
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.kdump_tools import (
    HOOK,
    KdumpTools,
)
from ansible_collections.kdump.fleet.plugins.module_utils.wanted import Wanted
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost

TOOLING = KdumpTools()
CONF = TOOLING.config_files[0]
KERNEL = "6.1.0-2-amd64"
INITRD = f"/var/lib/kdump/initrd.img-{KERNEL}"

TEXT = """\
# kdump-tools configuration
USE_KDUMP=1
KDUMP_COREDIR="/var/crash"
#KDUMP_FAIL_CMD="reboot -f"
#KDUMP_NUM_DUMPS=
SITE_OWN="kept"
"""

RENDERED: t.List[t.Tuple[t.Dict[str, t.Optional[str]], str]] = [
    ({}, TEXT),
    ({"USE_KDUMP": "1"}, TEXT),  # the same value in other quotes is no change
    ({"KDUMP_COREDIR": "/srv"}, TEXT.replace('"/var/crash"', '"/srv"')),
    (
        {"KDUMP_NUM_DUMPS": "3"},
        TEXT.replace("#KDUMP_NUM_DUMPS=\n", '#KDUMP_NUM_DUMPS=\nKDUMP_NUM_DUMPS="3"\n'),
    ),
    ({"HOSTTAG": "hostname"}, TEXT + 'HOSTTAG="hostname"\n'),
    ({"USE_KDUMP": None}, TEXT.replace("USE_KDUMP=1\n", "")),
    ({"HOSTTAG": None}, TEXT),
]


@pytest.mark.parametrize("settings, expected", RENDERED)
def test_render(settings: t.Dict[str, t.Optional[str]], expected: str) -> None:
    assert CONF.render(TEXT, settings) == expected
    assert CONF.render(expected, settings) == expected


@pytest.mark.parametrize("settings, _expected", RENDERED)
def test_what_was_rendered_is_read_back(
    settings: t.Dict[str, t.Optional[str]], _expected: str
) -> None:
    read = CONF.parse(CONF.render(TEXT, settings))
    assert {key: read.get(key) for key in settings} == settings


def test_render_leaves_one_of_several_lines() -> None:
    text = CONF.render("A=1\nHOSTTAG=ip\nB=2\nHOSTTAG=ip\n", {"HOSTTAG": "hostname"})
    assert text == 'A=1\nB=2\nHOSTTAG="hostname"\n'


ACCEPTED = [
    "",
    "# only a comment\n\n",
    TEXT.replace("SITE_OWN", "HOSTTAG").replace("kept", "ip"),
    'MAKEDUMP_ARGS="-c -d 31"\n',
    "export NFS=server:/dumps # why\n",
    'SSH="kdump@server"\n',
    "KDUMP_COMPRESSION=\n",
    # -F is added again, which changes nothing.
    'MAKEDUMP_ARGS="-c -F -d 31"\n',
    'MAKEDUMP_ARGS="-Fc -d 31 -x /usr/lib/debug/vmlinux"\n',
    'MAKEDUMP_ARGS="--num-threads 2 -ld17 --message-level=7"\n',
    "FTP=server\n",
    "FTP=server:/dumps\nFTP_USER=kdump\nFTP_PORT=2121\n",
    "NFS_MOUNT_RETRY=1\nSSH_KDUMP_RETRY=10\nNFS_RETRANS=0\n",
    'KDUMP_KEXEC_ARGS="-d -s -t bzImage --reset-vga --console-serial"\n',
    "KDUMP_KERNEL=/boot/vmlinuz\nKDUMP_INITRD=/boot/initrd.img\n",
]


@pytest.mark.parametrize("text", ACCEPTED)
def test_accepted(text: str) -> None:
    assert CONF.problems(text) == []


REFUSED = [
    ("USE_KDUMP = 1\n", "line 1: USE_KDUMP has blanks around '='"),
    ("USE_KDUMP= 1\n", "blanks around '='"),
    ("USE_KDUMP=yes\n", "line 1: USE_KDUMP='yes' must be one of: 0, 1"),
    ("KDUMP_CORDIR=/x\n", "did you mean KDUMP_COREDIR?"),
    ("KDUMP_COREDIR=var/crash\n", "must be an absolute path"),
    ("KDUMP_NUM_DUMPS=-1\n", "whole number"),
    ("KDUMP_COMPRESSION=zstd\n", "bzip2, gzip, lz4, xz"),
    ('MAKEDUMP_ARGS="-c -d 32"\n', "0 to 31"),
    ('MAKEDUMP_ARGS="-E -c"\n', "refuses"),
    # As makedumpfile 1.7.2 says of them, with the -F that is added.
    ('MAKEDUMP_ARGS="-c -d"\n', "an option without its value: kdump-config adds the names"),
    ("MAKEDUMP_ARGS=-cd99\n", "0 to 31"),
    ('MAKEDUMP_ARGS="-d 31 -d 99"\n', "0 to 31"),
    ('MAKEDUMP_ARGS="-E --num-threads 2"\n', "joins --num-threads with -E"),
    ('MAKEDUMP_ARGS="--dump-level 31"\n', "has --dump-level, which makedumpfile does not know"),
    ("MAKEDUMP_ARGS=--foo\n", "has --foo, which makedumpfile does not know"),
    ("MAKEDUMP_ARGS=/x\n", "a word that is no option"),
    # What it takes, and writes no dump with.
    ("MAKEDUMP_ARGS=--dump-dmesg\n", "has --dump-dmesg, with which makedumpfile writes no dump"),
    ("MAKEDUMP_ARGS=--dry\n", "has --dry, with which makedumpfile writes no dump"),
    ('MAKEDUMP_ARGS="-c --mem-usage"\n', "has --mem-usage, with which makedumpfile writes no dump"),
    ('MAKEDUMP_ARGS="-cv -d 31"\n', "has -cv, with which makedumpfile writes no dump"),
    ("NFS_MOUNT_RETRY=0\n", "must be a whole number, 1 or more"),
    ("SSH_KDUMP_RETRY=0\n", "must be a whole number, 1 or more"),
    ("NFS_TIMEO=0\n", "must be a whole number, 1 or more"),
    ("KDUMP_NUM_DUMPS=010\n", "without a zero in front"),
    ("NFS_MOUNT_RETRY=08\n", "without a zero in front"),
    ('MAKEDUMP_ARGS+=" -l"\n', "line 1: MAKEDUMP_ARGS is added to with +=, which only bash"),
    ("FTP=kdump@server\n", "has a user; set FTP_USER"),
    ("FTP=ftp://server/dumps\n", "is a URL; write host:/folder"),
    ("FTP=server/dumps\n", "must be host or host:/folder"),
    ("FTP=server:2121\n", "a port goes into FTP_PORT"),
    ("FTP=2001:db8::1\n", "an IPv6 address needs a name"),
    ('FTP_USER="a b"\n', "must be one word"),
    ("FTP_PASSWORD='s3*'\n", "FTP_PASSWORD must be one word"),
    ('FTP_PASSWORD="s3 cret"\n', "FTP_PASSWORD must be one word"),
    ("SSH=u@host/srv\n", "without ssh:// and without a folder"),
    (
        "SSH=ssh://u@host\n",
        "SSH='ssh://u@host' must be user@host, without ssh:// and without a folder",
    ),
    ("SSH=ssh://u:pw@host\n", "SSH='ssh://u:********@host' must be user@host"),
    ("KDUMP_KEXEC_ARGS=-u\n", "has -u, with which kexec loads no capture kernel"),
    ("KDUMP_KEXEC_ARGS=--initrd=/x\n", "has --initrd=/x, with which kexec loads no capture kernel"),
    ('KDUMP_KEXEC_ARGS="-d --append=x"\n', "has --append=x, with which kexec loads no"),
    ("SSH=u:pw@host\n", "SSH='u:********@host' has a password, which ssh never takes"),
    ('SSH="kdump@[2001:db8::1]"\n', "has brackets"),
    ('KDUMP_CMDLINE="a=*"\n', "holds '*', for which kdump-config may put the names of files"),
    ('KDUMP_CMDLINE_APPEND="a=?"\n', "holds '?', for which kdump-config may put"),
    ('KDUMP_CMDLINE_APPEND="a[0]"\n', "holds '[', for which kdump-config may put"),
    ("KDUMP_KERNEL=/boot/vmlinuz\n", "KDUMP_INITRD is not set, and KDUMP_KERNEL is"),
    ("KDUMP_INITRD=/boot/initrd.img\n", "KDUMP_KERNEL is not set, and KDUMP_INITRD is ignored"),
    ("return 0\n", "a shell may not get to the lines behind it"),
    ("\u00a0USE_KDUMP=1\n", "is no KEY"),
    ("\r\n", "is no KEY"),
    ('KDUMP_FAIL_CMD="echo x; reboot -f"\n', "without a shell"),
    ('KDUMP_CMDLINE_APPEND="$X"\n', "sh and systemd read differently"),
    ("MAKEDUMP_ARGS=-c -d 31\n", "blanks outside of quotes"),
    ('SSH="server"\n', "user@host"),
    ('NFS="server"\n', "host:/export"),
    ("HOSTTAG=ip\nHOSTTAG=hostname\n", "line 2: HOSTTAG is set again (first in line 1)"),
    ('HOSTTAG="ip\n', "never closed"),
    ("nonsense\n", "is no KEY"),
]


@pytest.mark.parametrize("text, message", REFUSED)
def test_refused(text: str, message: str) -> None:
    (problem,) = CONF.problems(text)
    assert message in problem


def test_a_password_is_never_shown() -> None:
    assert "s3cret" not in CONF.redact('FTP_PASSWORD="s3cret"\n')
    assert all("s3cret" not in problem for problem in CONF.problems('FTP_PASSWORD="s3cret`"\n'))


SECRETS = [
    '#FTP_PASSWORD="s3cret"\n',
    "USE_KDUMP=1; FTP_PASSWORD=s3cret\n",
    'FTP_PASSWORD="a\\\ns3cret"\n',
    "FTP=me:s3cret@server:/x\n",
    "FTP=ftp://me@corp.com:s3cret@server\n",
    "# SSH=me:s3cret@server\n",
    'SSH="ssh://me:a:s3cret@server"\n',
    "FTP_PASSWORD : s3cret\n",
    # Everything that was hidden while a whole line was still is.
    'FTP_PASSWORD=abc # "s3cret"\n',
    "FTP=me:a#s3cret@server # why\n",
    "FTP=srv:/x # me:s3cret@server\n",
    "FTP=me:a #s3cret@server\n",
    "export FTP='me:it s3cret@server'\n",
    'FTP="me:to\ns3cret@server"\n',
    'FTP="me:a\\\ns3cret@server"\n',
    "FTP='me:'\"s3cret\"'@server'\n",
    'FTP+="me:s3cret@server"\n',
    'FTP = "me:s3cret@server"\n',
    "FTP=me:s3cret@server x\n",
    'SSH="me:a\\\\s3cret@server" x\n',
    '#FTP="me:top\n#s3cret@server"\n',
    "#FTP_PASSWORD='top\n# s3cret'\n",
    'FTP_PASSWORD="s3cret\nUSE_KDUMP=1\n',
    'FTP_PASSWORD+="s3cret"\n',
    "export FTP_PASSWORD='s3cret'\n",
    "FTP_PASSWORD = s3cret\n",
    "FTP_PASSWORD=a s3cret\n",
    'KDUMP_FAIL_CMD="FTP_PASSWORD=s3cret x"\n',
    "FTP_PASSWD=s3cret\n",
    "if x; then\n  FTP_PASSWORD=s3cret\nfi\n",
    'if x; then FTP_PASSWORD="top\ns3cret"; fi\n',
    "[ x = y ] && FTP=me:s3cret@server\n",
    'FTP_PASSWORD="a\n#FTP_PASSWORD="top\n#s3cret"\n',
    'FTP_PASSWORD="a\nexport FTP_PASSWORD="top\ns3cret" # "x\n',
]


@pytest.mark.parametrize("text", SECRETS)
def test_no_line_shows_a_password(text: str) -> None:
    assert "s3cret" not in CONF.redact(text)
    assert "s3cret" not in str(CONF.problems(text))
    assert "s3cret" not in str({key: CONF.masked(key, value) for key, value in CONF.parse(text).items()})  # fmt: skip


def test_what_holds_no_secret_is_shown() -> None:
    text = 'SSH="u@2001:db8::1"\nFTP=server:/x\nNFS=server:/x@y\n'
    assert CONF.redact(text) == text
    assert CONF.masked("NFS", "server:/x@y") == "server:/x@y"


# As a file is shown: every line and every setting is there, and what holds no secret is as it was.
SHOWN = [
    ('FTP="srv:/x" # ask a@corp\n', 'FTP="srv:/x" # ask a@corp\n'),
    ('FTP="me:s3cret@srv" # ask a@corp\n', 'FTP="me:********@srv" # ask a@corp\n'),
    ("FTP=me:s3cret@srv\n", "FTP=me:********@srv\n"),
    ("export SSH='ssh://me:s3cret@srv'\n", "export SSH='ssh://me:********@srv'\n"),
    ("FTP = 'me:s3cret@srv'\n", 'FTP = ******** "$"\n'),
    ("FTP_PASSWORD=s3cret # why\n", 'FTP_PASSWORD="********" # ******** (a secret)\n'),
    ("FTP_PASSWORD = s3cret\n", 'FTP_PASSWORD = "********"\n'),
    ("FTP_PASSWORD=a;b\n", "FTP_PASSWORD=******** ; ********\n"),
    ('FTP_PASSWORD="a\nb"\nHOSTTAG=ip\n', 'FTP_PASSWORD=\\\n"********"\nHOSTTAG=ip\n'),
    ("FTP_PASSWORD=a\nFTP_PASSWORD=b\n", 'FTP_PASSWORD="********"\nFTP_PASSWORD="********"\n'),
    (
        "if grep -q FTP_PASSWORD /x; then\n  HOSTTAG=ip\nfi\n",
        "if ******** -q ******** ******** ; then\n  HOSTTAG=ip\nfi\n",
    ),
    ("#FTP=me:s3cret@srv\n", "#FTP=me:********@srv\n"),
    ("# the FTP_PASSWORD\n", "# ******** (a secret)\n"),
]


@pytest.mark.parametrize("text, shown", SHOWN)
def test_what_is_shown_of_a_file(text: str, shown: str) -> None:
    assert CONF.redact(text) == shown
    assert CONF.redact(shown) == shown


def test_sh_does_not_add() -> None:
    text = 'MAKEDUMP_ARGS="-c"\nMAKEDUMP_ARGS+=" -l"\n'
    assert CONF.parse(text) == {"MAKEDUMP_ARGS": "-c"}
    assert CONF.render(text, {"MAKEDUMP_ARGS": "-c -d 1"}) == 'MAKEDUMP_ARGS="-c -d 1"\n'


def test_what_spoils_the_whole_file_is_told() -> None:
    assert CONF.spoils('USE_KDUMP=1\nHOSTTAG="ip\n').startswith("line 2: HOSTTAG has a quote that is never")  # fmt: skip
    assert "ends" in CONF.spoils('export MAKEDUMP_ARGS+=" -l"\n')
    assert CONF.spoils('nonsense\nMAKEDUMP_ARGS+=" -l"\n') == ""


INJECTED = [
    ("KDUMP_CMDLINE_APPEND", "a\nUSE_KDUMP=0", "newline"),
    ("KDUMP_CMDLINE_APPEND", "a\u2028b", "newline"),
    ("KDUMP_KEXEC_ARGS", "; touch /tmp/x #", "evaluates"),
    ("KDUMP_INITRD", "/x;reboot", "evaluates"),
    ("KDUMP_CMDLINE", "$(reboot)", "read differently"),
]


@pytest.mark.parametrize("key, value, message", INJECTED)
def test_what_a_shell_would_take_for_more_is_refused(key: str, value: str, message: str) -> None:
    assert message in CONF.setting_problem(key, value)


def test_a_good_initrd(debian: FakeHost) -> None:
    assert TOOLING.initrd(debian, KERNEL).stale == []


STALE = [
    ("/etc/initramfs-tools/initramfs.conf", "x", "is newer than"),
    ("/etc/initramfs-tools/conf.d/drivers", "x", "is newer than"),
    (f"/lib/modules/{KERNEL}/modules.dep", "x", "is newer than"),
    ("/etc/kdump/sysctl.conf", "other\n", "differs from what"),
    (INITRD, "", "is empty"),
]


@pytest.mark.parametrize("path, text, message", STALE)
def test_a_stale_initrd(debian: FakeHost, path: str, text: str, message: str) -> None:
    debian.put(path, text)
    stale = TOOLING.initrd(debian, KERNEL).stale
    assert any(message in reason for reason in stale)


def test_no_initrd(debian: FakeHost) -> None:
    debian.remove(INITRD)
    found = TOOLING.initrd(debian, KERNEL)
    assert (found.exists, found.stale) == (False, [f"{INITRD} does not exist"])


def test_build_leaves_a_good_initrd(debian: FakeHost) -> None:
    debian.put("/etc/kdump/sysctl.conf", "other\n")
    debian.runner.does(HOOK, KERNEL, action=lambda: debian.put(INITRD, "new"))
    TOOLING.build(debian, KERNEL)
    assert debian.read(INITRD) == "new"
    assert TOOLING.initrd(debian, KERNEL).stale == []
    TOOLING.confirm(debian, KERNEL)
    assert debian.glob("/var/lib/kdump/*.kdump-fleet") == []


def test_a_build_that_was_cut_off_does_not_cost_the_last_good_initrd(debian: FakeHost) -> None:
    os.rename(debian.path(INITRD), debian.path(INITRD + ".kdump-fleet"))
    debian.runner.does(
        HOOK, KERNEL, action=lambda: debian.remove(INITRD), code=1, stderr="no space"
    )
    with pytest.raises(CommandError, match="no space"):
        TOOLING.build(debian, KERNEL)
    assert debian.read(INITRD) == "initrd"


def test_without_a_sysctl_file_the_initrd_gets_fresh(debian: FakeHost) -> None:
    debian.remove("/etc/kdump/sysctl.conf")
    debian.runner.does(HOOK, KERNEL, action=lambda: debian.put(INITRD, "new"))
    TOOLING.build(debian, KERNEL)
    assert TOOLING.initrd(debian, KERNEL).stale == []


def test_a_time_in_the_future_is_no_reason_to_build(debian: FakeHost) -> None:
    debian.put("/etc/initramfs-tools/initramfs.conf", "x", mtime=4e9)
    assert TOOLING.initrd(debian, KERNEL).stale == []


def test_dracut_alone_is_an_obstacle(debian: FakeHost) -> None:
    assert TOOLING.obstacles(debian) == []
    debian.runner.programs.add("dracut")
    assert "dracut" in TOOLING.obstacles(debian)[0]
    debian.runner.programs.add("mkinitramfs")
    assert TOOLING.obstacles(debian) == []


def test_the_old_initrd_is_back_when_a_build_fails(debian: FakeHost) -> None:
    debian.runner.does(
        HOOK, KERNEL, action=lambda: debian.remove(INITRD), code=1, stderr="no space"
    )
    with pytest.raises(CommandError, match="no space"):
        TOOLING.build(debian, KERNEL)
    assert debian.read(INITRD) == "initrd"


def test_dumps(debian: FakeHost) -> None:
    debian.put("/var/crash/202611210558/dump.202611210558", "x" * 10, mtime=10)
    debian.put("/var/crash/202611210558/dmesg.202611210558", "log")
    debian.put("/var/crash/10.0.2.15-202611210600/dump-incomplete", "x", mtime=20)
    debian.put("/var/crash/202611210610/vmcore.202611210610", "x", mtime=30)
    debian.put("/var/crash/202611210610/dump-incomplete", "x", mtime=30)
    debian.put("/var/crash/kexec_cmd", "")
    os.makedirs(debian.path("/var/crash/lost+found"))
    dumps = TOOLING.dumps(debian, "/var/crash")
    by_folder = {os.path.basename(dump.folder): dump for dump in dumps}
    assert len(by_folder) == 3
    whole = by_folder["202611210558"]
    assert (whole.complete, whole.size) == (True, 10)
    assert whole.dmesg == "/var/crash/202611210558/dmesg.202611210558"
    assert [by_folder[name].complete for name in ("10.0.2.15-202611210600", "202611210610")] == [
        False,
        False,
    ]


FACTS: t.Dict[str, t.Any] = {
    "architecture": "x86_64",
    "target": {"path": "/var/crash", "fstype": "ext4", "source": "/dev/vda1"},
    "tooling": {
        "installed": True,
        "settings": {},
        "rules": {"commandline_append": "reset_devices nr_cpus=1"},
    },
}
CONFIGURED: t.List[t.Tuple[t.Dict[str, t.Any], t.Dict[str, t.Optional[str]]]] = [
    ({}, {"USE_KDUMP": "1", "KDUMP_COREDIR": "/var/crash", "KDUMP_FAIL_CMD": "reboot -f"}),
    ({"system_action": "poweroff"}, {"KDUMP_FAIL_CMD": "poweroff -f"}),
    (
        {"target": {"type": "ssh", "location": "a@b"}, "sshkey": "/root/key"},
        {"SSH": "a@b", "SSH_KEY": "/root/key", "NFS": None, "FTP": None},
    ),
    ({"target": {"type": "ssh"}, "ssh_user": "a", "ssh_server": "b"}, {"SSH": "a@b"}),
    ({"target": {"type": "ssh", "location": "a@[2001:db8::1]"}}, {"SSH": "a@2001:db8::1"}),
    ({"target": {"type": "ssh", "location": "a@fe80::1%eth0"}}, {"SSH": "a@fe80::1%eth0"}),
    ({"core_collector": "makedumpfile -l -d 17"}, {"MAKEDUMP_ARGS": "-l -d 17"}),
    ({"compression": "zstd"}, {"MAKEDUMP_ARGS": "-d 31 -z"}),
    ({"dump_level": 17, "message_level": 7}, {"MAKEDUMP_ARGS": "-c --message-level 7 -d 17"}),
    ({"compression": "none"}, {"MAKEDUMP_ARGS": "-d 31"}),
    ({"core_collector": "makedumpfile"}, {"MAKEDUMP_ARGS": "-d 0"}),
    (
        {"commandline_append": "a=1"},
        {"KDUMP_CMDLINE_APPEND": "reset_devices nr_cpus=1 a=1 panic=10"},
    ),
    (
        {"commandline_append": "panic=30 a=1"},
        {"KDUMP_CMDLINE_APPEND": "reset_devices nr_cpus=1 panic=30 a=1"},
    ),
    ({}, {"KDUMP_CMDLINE_APPEND": "reset_devices nr_cpus=1 panic=10"}),
    ({"commandline": "root=/dev/vda1 panic=5"}, {"KDUMP_CMDLINE_APPEND": "unset"}),
    ({"options": {"KDUMP_CMDLINE_APPEND": "nr_cpus=2"}}, {"KDUMP_CMDLINE_APPEND": "nr_cpus=2"}),
    (
        {"extra_modules": ["nvme", "xfs"]},
        {"KDUMP_CMDLINE_APPEND": "reset_devices nr_cpus=1 modules_load=nvme,xfs panic=10"},
    ),
    ({"target": {"type": "ftp", "location": "ftp://srv/dumps"}}, {"FTP": "srv:/dumps"}),
    ({"target": {"type": "ftp", "location": "srv/dumps"}}, {"FTP": "srv:/dumps"}),
    ({"target": {"type": "ftp", "location": "srv:/dumps/"}}, {"FTP": "srv:/dumps/"}),
    ({"target": {"type": "ftp", "location": "srv"}}, {"FTP": "srv", "SSH": None, "NFS": None}),
    ({}, {"KDUMP_KERNEL": "unset", "KDUMP_INITRD": "unset"}),
    (
        {"exclusive": True},
        {"KDUMP_KERNEL": "/var/lib/kdump/vmlinuz", "KDUMP_INITRD": "/var/lib/kdump/initrd.img"},
    ),
    (
        {"exclusive": True, "capture_kernel": "/boot/k", "capture_initrd": "/boot/i"},
        {"KDUMP_KERNEL": "/boot/k", "KDUMP_INITRD": "/boot/i"},
    ),
    (
        {"kernel_version": "6.1.0"},
        {
            "KDUMP_KERNEL": "/boot/vmlinuz-6.1.0",
            "KDUMP_INITRD": "/var/lib/kdump/initrd.img-6.1.0",
        },
    ),
    (
        {"network": {"timeout": 60, "retries": 5, "host_tag": "hostname"}},
        {
            "NFS_TIMEO": "600",
            "NFS_MOUNT_RETRY": "5",
            "SSH_KDUMP_RETRY": "5",
            "HOSTTAG": "hostname",
        },
    ),
    ({"options": {"KDUMP_COMPRESSION": "xz"}}, {"KDUMP_COMPRESSION": "xz"}),
]


@pytest.mark.parametrize("wanted, expected", CONFIGURED)
def test_configure(wanted: t.Dict[str, t.Any], expected: t.Dict[str, t.Optional[str]]) -> None:
    result = TOOLING.configure(Wanted(**wanted), FACTS)
    assert result.problems == []
    assert {key: result.settings.get(key, "unset") for key in expected} == expected


NOT_HONOURED: t.List[t.Tuple[t.Dict[str, t.Any], str]] = [
    ({"system_action": "shell"}, "kdump_system_action: 'shell': kdump-tools cannot honour"),
    (
        {"target": {"type": "raw", "location": "/dev/vdb"}},
        "kdump_target: kdump-tools cannot honour",
    ),
    ({"target": {"type": "ssh", "location": "a@b:22"}}, "kdump_target: SSH='a@b:22' has a port"),
    ({"target": {"type": "ssh", "location": "a@[::1]:22"}}, "has brackets"),
    (
        {"target": {"type": "ftp", "location": "ftp://a:s3cret@srv/dumps"}},
        "kdump_target: FTP='a:********@srv/dumps' has a user; set FTP_USER",
    ),
    ({"target": {"type": "ftp", "location": "srv"}, "path": "/srv/x"}, "such as server:/srv/x"),
    (
        {"target": {"type": "nfs", "location": "s:/x"}, "dumps_to_keep": 3},
        "kdump_dumps_to_keep: kdump-tools deletes nothing on another host",
    ),
    (
        {"target": {"type": "ssh", "location": "a@b"}, "network": {"timeout": 9}},
        "kdump_network: 'timeout' is for a target of type nfs",
    ),
    (
        {"target": {"type": "ftp", "location": "b"}, "network": {"retries": 9}},
        "kdump_network: 'retries' is for a target of type nfs or ssh",
    ),
    (
        {"network": {"retries": 0}},
        "kdump_network: NFS_MOUNT_RETRY='0' must be a whole number, 1 or more",
    ),
    (
        {"network": {"timeout": "007"}},
        "kdump_network: NFS_TIMEO='0070' must be a whole number, 1 or more",
    ),
    (
        {"kernel_version": "6.1.0", "capture_kernel": "/k"},
        "and so does kdump_capture_kernel; set one or the other",
    ),
    (
        {"kernel_version": "6.1.0", "capture_initrd": "/i"},
        "and so does kdump_capture_initrd; set one or the other",
    ),
    ({"capture_kernel": "/boot/k"}, "kdump_capture_initrd: KDUMP_INITRD is not set"),
    ({"capture_initrd": "/boot/i"}, "kdump_capture_kernel: KDUMP_KERNEL is not set"),
    (
        {"capture_initrd": "/boot/i", "exclusive": True},
        "kdump_capture_kernel: KDUMP_KERNEL is not set",
    ),
    (
        {"options": {"KDUMP_CMDLINE_APPEND": "b"}, "commandline_append": "a"},
        "kdump_commandline_append would come to nothing",
    ),
    (
        {"options": {"KDUMP_CMDLINE_APPEND": "b"}, "extra_modules": ["a"]},
        "kdump_extra_modules would come to nothing",
    ),
    (
        {"core_collector": "makedumpfile --split"},
        "kdump_core_collector: MAKEDUMP_ARGS='--split' has --split, with which",
    ),
    ({"core_collector": "cp"}, "kdump_core_collector: 'cp' must begin with 'makedumpfile'"),
    ({"dracut_args": "--x"}, "kdump_dracut_args"),
    ({"early": True}, "kdump_early"),
    ({"fadump": "on"}, "kdump_fadump"),
    ({"fence_nodes": ["a"]}, "kdump_fence_nodes"),
    ({"commandline_remove": ["quiet"]}, "set kdump_commandline"),
    ({"auto_reset_crashkernel": True}, "kdump_auto_reset_crashkernel"),
    ({"network": {"config": "auto"}}, "kdump_network: kdump-tools cannot honour 'config'"),
    ({"notification": {"to": "a@b"}}, "kdump_notification"),
    ({"options": {"KDUMP_KERNEL": "/x"}}, "set kdump_capture_kernel instead"),
    ({"kexec_args": "$(reboot)"}, "kdump_kexec_args: KDUMP_KEXEC_ARGS"),
]


@pytest.mark.parametrize("wanted, message", NOT_HONOURED)
def test_what_cannot_be_honoured_is_told(wanted: t.Dict[str, t.Any], message: str) -> None:
    problems = TOOLING.configure(Wanted(**wanted), FACTS).problems
    assert any(message in problem for problem in problems), problems
    assert "s3cret" not in str(problems)


# The path's file system, what else is set, and whether it is refused.
SHARES: t.List[t.Tuple[str, t.Dict[str, t.Any], bool]] = [
    ("nfs4", {}, True),
    ("cifs", {}, True),
    ("fuse.sshfs", {}, True),
    ("ext4", {}, False),
    # virtiofs is mounted with the local ones.
    ("virtiofs", {}, False),
    # The share is of another path than the one that counts, or none of the dump's.
    ("nfs4", {"path": "/srv/d"}, False),
    ("nfs4", {"target": {"type": "nfs", "location": "s:/d"}}, False),
]


@pytest.mark.parametrize("fstype, wanted, refused", SHARES)
def test_a_path_on_a_share_is_refused(
    fstype: str, wanted: t.Dict[str, t.Any], refused: bool
) -> None:
    facts = {**FACTS, "target": {"path": "/var/crash", "fstype": fstype, "source": "s:/d"}}
    found = [
        each for each in TOOLING.configure(Wanted(**wanted), facts).problems if "on a share" in each
    ]
    assert [each.startswith("kdump_path: '/var/crash' is on a share") for each in found] == (
        [True] if refused else []
    )


def on_host(installed: bool = True, default: t.Optional[str] = None, **settings: str) -> t.Dict[str, t.Any]:  # fmt: skip
    tooling = {
        "installed": installed,
        "settings": settings,
        "rules": {"commandline_append": default},
    }
    return {**FACTS, "tooling": tooling}


APPENDED: t.List[t.Tuple[t.Dict[str, t.Any], t.Dict[str, t.Any], t.Optional[str]]] = [
    # The file's own words stay, and a second run changes nothing.
    ({"default": "a", "KDUMP_CMDLINE_APPEND": "b"}, {}, "b panic=10"),
    ({"KDUMP_CMDLINE_APPEND": "b"}, {}, "b panic=10"),
    ({"default": "a", "KDUMP_CMDLINE_APPEND": "b panic=10"}, {}, None),
    ({"default": "a", "KDUMP_CMDLINE_APPEND": "a c panic=10"}, {"commandline_append": "c"}, "a c panic=10"),
    ({"default": "a", "KDUMP_CMDLINE_APPEND": "b"}, {"exclusive": True}, "a panic=10"),
    # What is not known, or its owner's to repair, stays.
    ({}, {}, None),
    ({"default": "a", "KDUMP_CMDLINE_APPEND": "$B"}, {}, None),
    ({"default": "a panic=1"}, {}, None),
    ({"installed": False}, {}, "reset_devices systemd.unit=kdump-tools-dump.service nr_cpus=1 irqpoll usbcore.nousb panic=10"),
]  # fmt: skip


@pytest.mark.parametrize("host, wanted, expected", APPENDED)
def test_a_capture_that_panics_does_not_hang(
    host: t.Dict[str, t.Any], wanted: t.Dict[str, t.Any], expected: t.Optional[str]
) -> None:
    result = TOOLING.configure(Wanted(**wanted), on_host(**host))
    assert result.problems == []
    assert result.settings.get("KDUMP_CMDLINE_APPEND") == expected


def test_an_initrd_of_the_file_goes_with_a_kernel_of_ours() -> None:
    facts = on_host(KDUMP_INITRD="/var/lib/kdump/initrd.img")
    assert TOOLING.configure(Wanted(capture_kernel="/boot/k"), facts).problems == []


def test_in_the_capture_the_panic_triggers_are_taken_back_before_the_dump() -> None:
    unit = TOOLING.own_files()["/etc/systemd/system/kdump-fleet-note.service"].content
    assert "\nExecStartPre=-/bin/sh /etc/kdump-fleet/calm-capture\nExecStart=" in unit
    assert "After=local-fs.target systemd-sysctl.service\nBefore=kdump-tools-dump.service\n" in unit  # fmt: skip
    assert "/etc/kdump-fleet/calm-capture" in TOOLING.own_files()


def test_fadump_is_the_running_kernel_s_argument() -> None:
    facts = {**FACTS, "architecture": "ppc64le"}
    assert TOOLING.configure(Wanted(fadump="on"), facts).arguments == {"fadump": ["on"]}
    assert TOOLING.configure(Wanted(fadump="off"), facts).arguments == {"fadump": []}


def test_hooks_and_another_end_take_a_script_of_ours() -> None:
    hook = {"name": "10-x", "content": "#!/bin/sh\n"}
    files = TOOLING.configure(Wanted(post_hooks=[hook], final_action="halt"), FACTS).files
    assert files["/etc/kdump-fleet/post.d/10-x"] == ("#!/bin/sh\n", 0o755)
    assert "    halt -f\n" in files["/etc/kdump-fleet/save-dump"].content
    assert TOOLING.configure(Wanted(final_action="reboot"), FACTS).files == {}


def run_save(
    folder: t.Any,
    savecore: str,
    hook: str = "exit 0",
    conf: str = "",
    limit: int = 1800,
    target: str = "",
    action: str = "reboot",
    mounts: str = "",
    shell: str = "/bin/sh",
) -> t.Tuple[t.List[str], str]:
    """Run the script that takes the place of kdump-tools' own, and return what ran.

    :param savecore: what kdump-config does, in sh.
    :param hook: the last lines of the one before the dump.
    :param conf: /etc/default/kdump-tools.
    :param limit: seconds for a hook, and for a dump that stands still.
    :param target: type of kdump_target.
    :param action: kdump_system_action.
    :param mounts: /proc/mounts.
    """
    files = TOOLING.configure(
        Wanted(
            pre_hooks=[{"name": "1", "content": f"#!/bin/sh\necho pre >> {folder}/log\n{hook}\n"}],
            post_hooks=[{"name": "1", "content": f"#!/bin/sh\necho post $1 >> {folder}/log\n"}],
            final_action="poweroff",
            target={"type": target, "location": LOCATIONS[target]} if target else None,
            system_action=action,
        ),
        FACTS,
    ).files  # fmt: skip
    for path, file in files.items():
        where = f"{folder}{path}"
        os.makedirs(os.path.dirname(where), exist_ok=True)
        text = file.content.replace("/etc/kdump-fleet/", f"{folder}/etc/kdump-fleet/")
        text = text.replace("/etc/default/kdump-tools", f"{folder}/conf").replace("1800", str(limit))  # fmt: skip
        text = text.replace("/run/", f"{folder}/run/").replace("/proc/mounts", f"{folder}/mounts")
        with open(where, "w", encoding="utf-8") as handle:
            handle.write(text)
        os.chmod(where, file.mode)
    if target and not conf:
        conf = f'{target.upper()}="{LOCATIONS[target]}"\n'
    for name, text in (("conf", conf), ("mounts", mounts), ("log", "")):
        with open(f"{folder}/{name}", "w", encoding="utf-8") as handle:
            handle.write(text)
    note = f'echo "${{0##*/}}" "$@" >> {folder}/log\n'
    programs = dict.fromkeys(("reboot", "poweroff", "halt", "sync"), note)
    # What is bound over the configuration is copied there, and taken back.
    programs["mount"] = f'cp "$2" {folder}/bound\n'
    programs["umount"] = f'[ "$1" = {folder}/conf ] || {note}rm -f {folder}/bound\n'
    programs["ssh"] = (
        f'echo ssh "$@" >> {folder}/log\ncase " $* " in *" ${{FAILS:-nothing}} "*) exit 255 ;; esac\n'
    )
    programs["kdump-config"] = (
        f'{note}conf={folder}/bound\n[ -e "$conf" ] || conf={folder}/conf\n. "$conf"\n{savecore}\n'
    )
    for name, text in programs.items():
        with open(f"{folder}/{name}", "w", encoding="utf-8") as handle:
            handle.write("#!/bin/sh\n" + text)
        os.chmod(f"{folder}/{name}", 0o755)
    done = subprocess.run(
        [*shell.split(), f"{folder}/etc/kdump-fleet/save-dump"], check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True,
        # As systemd would set it from another reading of the file.
        env={"PATH": f"{folder}:/usr/bin:/bin", "KDUMP_FAIL_CMD": "wrong"},
    )  # fmt: skip
    with open(f"{folder}/log", encoding="utf-8") as handle:
        return handle.read().splitlines(), done.stdout


LOCATIONS = {"ssh": "kdump@srv", "nfs": "srv:/export", "ftp": "srv"}


@pytest.mark.parametrize(
    "savecore, hook, expected",
    [
        ("exit 0", "exit 0", ["pre", "kdump-config savecore", "post 0", "sync", "poweroff -f"]),
        ("exit 3", "exit 0", ["pre", "kdump-config savecore", "post 3", "sync", "reboot -f"]),
        ("exit 0", "exit 9", ["pre", "post 1", "sync", "reboot -f"]),
    ],
)
def test_the_script_runs_hooks_and_ends_as_told(
    tmp_path: t.Any, savecore: str, hook: str, expected: t.List[str]
) -> None:
    log, said = run_save(tmp_path, savecore, hook)
    assert log == expected
    assert ("no dump is written" in said) == (hook != "exit 0")


@pytest.mark.parametrize(
    "conf, action",
    [
        ('KDUMP_FAIL_CMD="halt -f" # why\n', "halt -f"),
        ('export KDUMP_FAIL_CMD="halt -f"\n', "halt -f"),
        ("USE_KDUMP=1\n", "reboot -f"),
        ("KDUMP_FAIL_CMD = halt\n", "reboot -f"),
        # A file that ends the shell that reads it.
        ('KDUMP_FAIL_CMD="halt -f\n', "reboot -f"),
        ("exit 1\n", "reboot -f"),
    ],
)
def test_after_a_failure_the_script_does_what_sh_reads_in_the_file(
    tmp_path: t.Any, conf: str, action: str
) -> None:
    assert run_save(tmp_path, "exit 1", conf=conf)[0][-1] == action


def test_a_hook_that_never_ends_does_not_keep_the_host(tmp_path: t.Any) -> None:
    log, said = run_save(tmp_path, "exit 0", "exec sleep 600", limit=1)
    assert log == ["pre", "post 1", "sync", "reboot -f"]
    assert "no dump is written" in said


# What kdump-config of 1.8.1 and 1.10.7 says and does in turn, as far as its end is told from it.
SENDING = (
    'echo "sending makedumpfile $MAKEDUMP_ARGS /proc/vmcore to kdump@srv : x/dump-incomplete"\n'
)
ENDED = "printf 'Copying data : [ 12.0 %%]\\rCopying data : [100.0 %%]\\n'; echo 'makedumpfile Completed.' >&2\n"
MOVE = "ssh -i key kdump@srv mv x/dump-incomplete x/dump.1\n"
SAVED = "echo 'kdump-config: saved vmcore in kdump@srv:x'\n"
LOST = "echo 'kdump-config: Unable to reach remote server kdump@srv; can not continue'\n"
OVER_SSH = SENDING + ENDED + MOVE + SAVED
OVER_FTP = "echo 'sending makedumpfile -F /proc/vmcore via FTP to srv:/x'\n" + ENDED
MOUNTED = "echo 'running makedumpfile -F /proc/vmcore | compress > x'\n" + ENDED + "echo 'saved vmcore in x'\n"  # fmt: skip
ENDS = [
    ("ssh", OVER_SSH, ""),
    ("ssh", LOST, "kdump-config did not save the dump"),
    # Its exit code is that of the last of its targets.
    ("ssh", OVER_SSH + "exit 1\n", ""),
    ("ssh", SENDING + ENDED + "FAILS=mv; export FAILS\n" + MOVE + SAVED, "mv ended with 255"),
    ("ssh", SENDING + MOVE + SAVED, "the dump is not complete"),
    ("ssh", SENDING + "echo 'makedumpfile Failed.'\n" + MOVE + SAVED, "the dump is not complete"),
    ("ssh", SENDING + "echo \"makedumpfile failed, falling back to 'scp'\"\n" + MOVE + SAVED, ""),
    ("ssh", "MAKEDUMP_ARGS='-F --message-level 1'\n" + SENDING + MOVE + SAVED, ""),
    ("ftp", OVER_FTP + "echo 'kdump-config: saved vmcore via FTP in srv:/x'\n", ""),
    ("ftp", OVER_FTP + "echo 'kdump-config: failed to save vmcore via FTP in srv:/x'\n", "did not save"),
    ("nfs", MOUNTED, ""),
    ("nfs", "echo 'Unable to mount remote NFS directory srv:/export.'\nexit 1\n", ""),
    ("nfs", MOUNTED.replace(ENDED, ""), "the dump is not complete"),
]  # fmt: skip


def test_a_final_name_that_was_refused_is_seen_with_host_keys_of_kdump_s_own(
    tmp_path: t.Any,
) -> None:
    (tmp_path / "etc/kdump-fleet").mkdir(parents=True)
    (tmp_path / "etc/kdump-fleet/known_hosts").write_text("srv ssh-ed25519 AAAA\n")
    savecore = SENDING + ENDED + "FAILS=mv; export FAILS\n" + MOVE + SAVED
    log, said = run_save(tmp_path, savecore, target="ssh")
    assert f" -o UserKnownHostsFile={tmp_path}/etc/kdump-fleet/known_hosts " in log[2]
    assert "mv ended with 255" in said
    assert log[-1] == "reboot -f"


@pytest.mark.parametrize("target, savecore, reason", ENDS)
def test_what_became_of_a_dump_over_the_network_is_told_from_the_words(
    tmp_path: t.Any, target: str, savecore: str, reason: str
) -> None:
    log, said = run_save(tmp_path, savecore, target=target)
    good = not reason and "exit 1" not in savecore
    assert reason in said
    assert [line for line in log if not line.startswith("ssh ")] == [
        *("pre", "kdump-config savecore"),
        *(["post 0", "sync", "poweroff -f"] if good else ["post 1", "sync", "reboot -f"]),
    ]


@pytest.mark.parametrize("shell", ["dash", "bash --posix", "busybox sh"])
def test_a_dump_that_the_server_did_not_get_goes_to_the_host_s_own_disk(
    tmp_path: t.Any, shell: str
) -> None:
    savecore = f'if [ -n "$SSH" ]; then\n{LOST}exit 0\nfi\n[ -z "$NFS$FTP" ] || exit 1\n{MOUNTED}umask >> {tmp_path}/log\n'
    conf = 'SSH="kdump@srv"\nKDUMP_FAIL_CMD="reboot -f"\n'
    log, said = run_save(
        tmp_path, savecore, conf=conf, target="ssh", action="dump_to_rootfs", shell=shell
    )
    assert log == [
        *("pre", "kdump-config savecore", "kdump-config savecore", "0077", "post 1", "sync", "reboot -f"),
    ]  # fmt: skip
    assert "it is written to this host's own disk" in said


def test_a_dump_that_arrived_is_not_written_twice(tmp_path: t.Any) -> None:
    log, _said = run_save(tmp_path, OVER_SSH, target="ssh", action="dump_to_rootfs")
    assert log.count("kdump-config savecore") == 1


def test_no_dump_is_written_anywhere_after_a_hook_that_failed(tmp_path: t.Any) -> None:
    conf = 'SSH="kdump@srv"\n'
    log, _said = run_save(tmp_path, OVER_SSH, "exit 1", conf, target="ssh", action="dump_to_rootfs")
    assert log == ["pre", "post 1", "sync", "reboot -f"]


def test_an_nfs_that_is_still_mounted_is_taken_away_first(tmp_path: t.Any) -> None:
    mounts = (
        "/dev/vda1 / ext4 rw 0 0\nsrv:/export /srv/dumps nfs4 rw,soft 0 0\nsrv:/x /mnt nfs rw 0 0\n"
    )
    conf = 'NFS="srv:/export"\nKDUMP_COREDIR="/srv/dumps"\n'
    savecore = f'[ -z "$NFS" ] || exit 1\n{MOUNTED}'
    log, _said = run_save(
        tmp_path, savecore, conf=conf, target="nfs", action="dump_to_rootfs", mounts=mounts
    )
    assert log[1:4] == ["kdump-config savecore", "umount -f -l /srv/dumps", "kdump-config savecore"]


def gone(pid: int) -> bool:
    """Say whether a process has ended, if nobody has asked how yet."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as handle:
            return handle.read().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.parametrize("shell", ["dash", "bash --posix", "busybox sh"])
def test_a_dump_that_stands_still_is_given_up(tmp_path: t.Any, shell: str) -> None:
    savecore = f"sleep 600 &\necho $! > {tmp_path}/sleeping\nwait\n"
    log, said = run_save(tmp_path, savecore, limit=3, target="ssh", shell=shell)
    assert log[1:] == ["kdump-config savecore", "post 1", "sync", "reboot -f"]
    assert "has moved for 3 s" in said
    # Nothing of it stays behind.
    pid = int((tmp_path / "sleeping").read_text())
    deadline = time.monotonic() + 30
    while not gone(pid):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_a_log_goes_the_dump_s_way_and_no_ssh_waits_for_ever(tmp_path: t.Any) -> None:
    savecore = (
        "SSH_REMOTE_HOST=kdump@2001:db8::1\nscp -i key /dev/null kdump@2001:db8::1:/a/dmesg.1\n"
    )
    log, _said = run_save(tmp_path, savecore, target="ssh")
    assert log[2].startswith("ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout=20 ")  # fmt: skip
    assert log[2].endswith(" -o ServerAliveCountMax=8 -i key kdump@2001:db8::1 dd of=/a/dmesg.1")


SAVED_BY_US = [
    ({"target": {"type": "ssh", "location": "a@b"}}, {}, True),
    ({"target": {"type": "ftp", "location": "b"}}, {}, True),
    ({}, {"NFS": "s:/x"}, True),
    ({"exclusive": True}, {"NFS": "s:/x"}, False),
    ({"kdump_tools": {"SSH": "a@b"}}, {}, True),
    ({}, {}, False),
]


@pytest.mark.parametrize("wanted, host, expected", SAVED_BY_US)
def test_a_dump_that_leaves_the_host_takes_the_script(
    wanted: t.Dict[str, t.Any], host: t.Dict[str, t.Any], expected: bool
) -> None:
    files = TOOLING.configure(Wanted(**wanted), on_host(**host)).files
    assert ("/etc/kdump-fleet/save-dump" in files) == expected


def test_dump_to_rootfs_is_for_dumps_that_leave_the_host() -> None:
    wanted = Wanted(system_action="dump_to_rootfs")
    assert "kdump_system_action" in TOOLING.configure(wanted, FACTS).problems[0]
    wanted = wanted._replace(target={"type": "ssh", "location": "a@b"}, dumps_to_keep=2)
    result = TOOLING.configure(wanted, FACTS)
    assert result.problems == []
    assert result.settings["KDUMP_FAIL_CMD"] == "reboot -f"
    assert result.settings["KDUMP_NUM_DUMPS"] == "2"
    assert "\ndump_to_rootfs=yes\n" in result.files["/etc/kdump-fleet/save-dump"].content
