# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.runner import CommandError
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.kdump_tools import (
    HOOK,
    KdumpTools,
)
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost

TOOLING = KdumpTools()
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
    assert TOOLING.render(TEXT, settings) == expected
    assert TOOLING.render(expected, settings) == expected


@pytest.mark.parametrize("settings, _expected", RENDERED)
def test_what_was_rendered_is_read_back(
    settings: t.Dict[str, t.Optional[str]], _expected: str
) -> None:
    read = TOOLING.parse(TOOLING.render(TEXT, settings))
    assert {key: read.get(key) for key in settings} == settings


def test_render_leaves_one_of_several_lines() -> None:
    text = TOOLING.render("A=1\nHOSTTAG=ip\nB=2\nHOSTTAG=ip\n", {"HOSTTAG": "hostname"})
    assert text == 'A=1\nB=2\nHOSTTAG="hostname"\n'


ACCEPTED = [
    "",
    "# only a comment\n\n",
    TEXT.replace("SITE_OWN", "HOSTTAG").replace("kept", "ip"),
    'MAKEDUMP_ARGS="-c -d 31"\n',
    "export NFS=server:/dumps # why\n",
    'SSH="kdump@2001:db8::1"\n',
    "KDUMP_COMPRESSION=\n",
]


@pytest.mark.parametrize("text", ACCEPTED)
def test_accepted(text: str) -> None:
    assert TOOLING.problems(text) == []


REFUSED = [
    ("USE_KDUMP = 1\n", "line 1: 'USE_KDUMP = 1' has blanks around '='"),
    ("USE_KDUMP= 1\n", "blanks around '='"),
    ("USE_KDUMP=yes\n", "line 1: USE_KDUMP='yes' must be one of: 0, 1"),
    ("KDUMP_CORDIR=/x\n", "did you mean KDUMP_COREDIR?"),
    ("KDUMP_COREDIR=var/crash\n", "must be an absolute path"),
    ("KDUMP_NUM_DUMPS=-1\n", "whole number"),
    ("KDUMP_COMPRESSION=zstd\n", "bzip2, gzip, lz4, xz"),
    ('MAKEDUMP_ARGS="-c -d 31 -F"\n', "adds itself"),
    ('MAKEDUMP_ARGS="-c -d 32"\n', "0 to 31"),
    ('MAKEDUMP_ARGS="-E -c"\n', "refuses"),
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
    (problem,) = TOOLING.problems(text)
    assert message in problem


def test_a_password_is_never_shown() -> None:
    assert "s3cret" not in TOOLING.redact('FTP_PASSWORD="s3cret"\n')
    assert all("s3cret" not in problem for problem in TOOLING.problems('FTP_PASSWORD="s3cret`"\n'))


SECRETS = [
    '#FTP_PASSWORD="s3cret"\n',
    "USE_KDUMP=1; FTP_PASSWORD=s3cret\n",
    'FTP_PASSWORD="a\\\ns3cret"\n',
]


@pytest.mark.parametrize("text", SECRETS)
def test_no_line_shows_a_password(text: str) -> None:
    assert "s3cret" not in TOOLING.redact(text)


INJECTED = [
    ("KDUMP_CMDLINE_APPEND", "a\nUSE_KDUMP=0", "newline"),
    ("KDUMP_CMDLINE_APPEND", "a\u2028b", "newline"),
    ("KDUMP_KEXEC_ARGS", "; touch /tmp/x #", "evaluates"),
    ("KDUMP_INITRD", "/x;reboot", "evaluates"),
    ("KDUMP_CMDLINE", "$(reboot)", "read differently"),
]


@pytest.mark.parametrize("key, value, message", INJECTED)
def test_what_a_shell_would_take_for_more_is_refused(key: str, value: str, message: str) -> None:
    assert message in TOOLING.setting_problem(key, value)


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
