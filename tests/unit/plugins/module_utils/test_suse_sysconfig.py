# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import typing as t
from pathlib import Path

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.tooling.suse_sysconfig import (
    NEWEST,
    SuseSysconfig,
    Target,
    parse_savedir,
    version_of,
)

CONF = SuseSysconfig()

TEXT = """\
## Type:        string
## Default:     "file:///var/crash"
# KDUMP_SAVEDIR="ssh://example" would be a comment
KDUMP_SAVEDIR="file:///var/crash"

KDUMP_CPUS=32
KDUMP_IMMEDIATE_REBOOT='yes'
SITE_OWN="kept"
"""

RENDERED: t.List[t.Tuple[t.Dict[str, t.Optional[str]], str]] = [
    ({}, TEXT),
    ({"KDUMP_CPUS": "32", "KDUMP_IMMEDIATE_REBOOT": "yes"}, TEXT),
    ({"KDUMP_CPUS": "4"}, TEXT.replace("KDUMP_CPUS=32", 'KDUMP_CPUS="4"')),
    ({"KDUMP_CPUS": None}, TEXT.replace("KDUMP_CPUS=32\n", "")),
    ({"KDUMP_KEEP_OLD_DUMPS": "3"}, TEXT + 'KDUMP_KEEP_OLD_DUMPS="3"\n'),
]


@pytest.mark.parametrize("settings, expected", RENDERED)
def test_render(settings: t.Dict[str, t.Optional[str]], expected: str) -> None:
    assert CONF.render(TEXT, settings) == expected
    assert CONF.render(expected, settings) == expected
    read = CONF.parse(expected)
    assert {key: read.get(key) for key in settings} == settings


def test_what_was_written_by_hand_is_mended() -> None:
    text = "KDUMP_CPUS = 4\nKDUMP_SAVEDIR= /srv/crash # why\n"
    assert CONF.parse(text) == {"KDUMP_CPUS": "4", "KDUMP_SAVEDIR": "/srv/crash"}
    mended = CONF.render(text, {})
    assert mended == 'KDUMP_CPUS="4"\nKDUMP_SAVEDIR="/srv/crash" # why\n'
    assert CONF.problems(mended) == []


RELEASES = [
    (None, NEWEST),
    ("2.1.9", (2, 1, 9, 0)),
    ("1.0.2+git26.gc6fab38", (1, 0, 2, 26)),
    ("2.0.6+git28.g9e9a829-150600.3.1", (2, 0, 6, 28)),
    ("1.9.x", (1, 9, 999, 0)),
    ("sles15.4", (1, 0, 2, 23)),
    ("SLE-15-SP6", (2, 0, 6, 28)),
    ("leap15.5", (1, 0, 2, 48)),
    ("15.7", (2, 0, 18)),
    ("16.0", NEWEST),
    ("SLFO-1.2", NEWEST),
    ("opensuse-tumbleweed", NEWEST),
]


@pytest.mark.parametrize("release, expected", RELEASES)
def test_releases(release: t.Optional[str], expected: t.Tuple[int, ...]) -> None:
    assert version_of(release) == expected


@pytest.mark.parametrize("release", ["", "12.5", "15.3", "el9", "20261101"])
def test_a_release_that_is_not_known(release: str) -> None:
    with pytest.raises(ValueError, match="looks like 2.1.9, 1.9.x"):
        CONF.problems("", release)


TARGETS = [
    ("/var/crash", Target("file", "/var/crash")),
    ("FILE:///var/crash", Target("file", "/var/crash")),
    ("ssh://kdump@server/dumps", Target("ssh", "/dumps", "kdump", "", "server")),
    ("scp://server:22/", Target("sftp", "/", "", "", "server", "22")),
    ("smb://a:b@server/s/x", Target("cifs", "/s/x", "a", "b", "server")),
    ("nfs://[fe80::1]/x", Target("nfs", "/x", "", "", "[fe80::1]")),
    ("var/crash", None),
    ("http://server/x", None),
]


@pytest.mark.parametrize("value, expected", TARGETS)
def test_savedir(value: str, expected: t.Optional[Target]) -> None:
    assert parse_savedir(value) == expected


# Release, text, and a part of the one problem.
REFUSED = [
    (None, "KDUMP_CPUS = 4\n", "line 1: KDUMP_CPUS has blanks around '='"),
    (None, 'KDUMP_FADUMP="on"\n', "line 1: KDUMP_FADUMP='on' is no boolean"),
    ("15.5", 'KDUMP_FADUMP="off"\n', "is taken for true"),
    ("15.5", "KDUMP_FADUMP=\n", "is empty, which kdumptool takes for true"),
    (None, "KDUMP_UPDATE_BOOTLOADER=yes\n", "is run as a command; write true or false"),
    ("15.7", "KDUMP_UPDATE_BOOTLOADER=true\n", "it came with 2.0.19"),
    (None, "KDUMP_DUMPLEVEL=32\n", "must be from 0 to 31"),
    (None, "KDUMP_CPUS=08\n", "is no whole number"),
    (None, "KDUMP_CPUS=4x\n", "is no whole number"),
    ("1.9.x", "KDUMP_KEEP_OLD_DUMPS=-1\n", "is negative"),
    (None, "KDUMP_DUMPFORMAT=elf\n", "must be one of: none, ELF"),
    ("15.4", "KDUMP_DUMPFORMAT=zstd\n", "must be one of: none, elf"),
    (None, "KDUMP_SAVEDIR=var/crash\n", "is no target; it is a folder"),
    (None, "KDUMP_SAVEDIR=file://var/crash\n", "write file:///folder"),
    (None, 'KDUMP_SAVEDIR="file:///a file:///b"\n', "only one is left since 1.9"),
    ("15.5", 'KDUMP_SAVEDIR="file:///a ssh://h/b"\n', "folders of this host alone"),
    (None, "KDUMP_SAVEDIR=ssh://server\n", "has no folder"),
    (None, "KDUMP_SAVEDIR=nfs://u@server/x\n", "NFS has none"),
    (None, "KDUMP_SAVEDIR=cifs://server/\n", "has no share"),
    (None, "KDUMP_SAVEDIR=ssh://server:2222/x\n", "KDUMP_SAVEDIR='ssh://server:2222/x' has a port"),
    (None, 'KDUMP_SAVEDIR="ssh://server/a;b"\n', "holds ';'"),
    (None, "KDUMP_NETCONFIG=eth0\n", "must be auto or DEVICE:MODE"),
    (None, "KDUMP_NETCONFIG=:force\n", "must be auto or DEVICE:MODE"),
    (None, "KDUMP_HOST_KEY=AAAA\n", "type and key"),
    (None, 'KDUMP_CRASHKERNEL="256M"\n', "which is ignored"),
    (None, "KDUMP_COPY_KERNEL=yes\n", "is ignored since 1.9"),
    (None, 'KEXEC_OPTIONS="-s"\n', "which -a undoes"),
    (None, 'KEXEC_OPTIONS="--debug; reboot"\n', "holds ';'"),
    (None, 'MAKEDUMPFILE_OPTIONS="-d 1"\n', "which is KDUMP_DUMPLEVEL's"),
    (None, 'MAKEDUMPFILE_OPTIONS="-Xd1"\n', "has -d, which is KDUMP_DUMPLEVEL's"),
    (None, 'MAKEDUMPFILE_OPTIONS="-XlD"\n', "has -l, which is KDUMP_DUMPFORMAT's"),
    (None, 'KEXEC_OPTIONS="-du"\n', "has -u, which makes kexec do something else"),
    (None, 'MAKEDUMPFILE_OPTIONS="-x a -i b"\n', "joins -x with -i"),
    (None, "KDUMP_COMMANDLINE_APPEND='a=\"b c\"'\n", "holds '\"'"),
    ("15.6", "KDUMP_PRESCRIPT='logger a; logger b'\n", "without a shell"),
    (None, "KDUMP_PRESCRIPT=\"logger 'a\"\n", "never closed"),
    (None, "KDUMP_PRESCRIPT=/opt/hook\n", "name it in KDUMP_REQUIRED_PROGRAMS too"),
    (None, "KDUMP_TRANSFER=logger\nKDUMP_PRESCRIPT=logger\n", "while KDUMP_TRANSFER is set"),
    (None, "KDUMP_SAVEDIR=nfs://h/x\nKDUMP_NOTIFICATION_TO=a@b\n", "is ignored for a dump"),
    (None, "KDUMP_CPUS=1\nKDUMP_CPUS=1\n", "line 2: KDUMP_CPUS is set again (first in line 1)"),
    (None, 'KDUMP_COMMANDLINE="$X"\n', "is expanded by every shell"),
    (None, "KDUMP_CPUS=1;reboot\n", "has ';' outside of quotes"),
    (None, "KDUMP_SAVEDRI=/x\n", "did you mean KDUMP_SAVEDIR?"),
    (None, "nonsense\n", "is no KEY"),
    (None, "return 0\n", "a shell may not get to the lines behind it"),
    (None, "KDUMP_SAVEDIR=ssh://u:pw@server/x\n", "has a password, with which ssh cannot log in"),
    ("15.5", "KDUMP_SAVEDIR=ssh://u:pw@server/x\n", "has a password, with which ssh cannot log in"),
    (None, 'KDUMP_SSH_IDENTITY="~/.ssh/id_rsa"\n', "holds '~'"),
    (None, 'KDUMP_SSH_IDENTITY="id_rsa,id_dsa"\n', "holds ','"),
    (None, "KDUMP_SSH_IDENTITY='\"id_rsa\"'\n", "holds '\"'"),
    (None, 'KDUMP_SSH_IDENTITY="id_*"\n', "holds '*'"),
    (None, "KDUMP_NOTIFICATION_CC=a@b\n", "is ignored without KDUMP_NOTIFICATION_TO"),
    ("15.5", "KDUMP_SMTP_USER=u\n", "is ignored without KDUMP_SMTP_SERVER"),
    (None, "KDUMP_DUMPFORMAT=raw\nKDUMP_DUMPLEVEL=31\n", "which copies every page; set 0"),
    (None, "KDUMP_FADUMP=yes\nKDUMP_COMMANDLINE=a\n", "KDUMP_COMMANDLINE='a' is ignored with KDUMP_FADUMP"),
    (None, "KDUMP_FADUMP=1\nKEXEC_OPTIONS=-d\n", "KEXEC_OPTIONS='-d' is ignored with KDUMP_FADUMP"),
    ("15.5", 'KDUMP_COMMANDLINE_APPEND="a *"\n', "the names of files"),
    ("15.5", "KDUMP_KERNELVER=/boot/x\n", "not a path"),
]  # fmt: skip


@pytest.mark.parametrize("release, text, message", REFUSED)
def test_refused(release: t.Optional[str], text: str, message: str) -> None:
    (problem,) = CONF.problems(text, release)
    assert message in problem


# Release and text.
ACCEPTED = [
    (None, TEXT),
    (None, ""),
    ("15.4", TEXT),
    ("15.5", 'KDUMP_SAVEDIR="file:///a file:///b"\n'),
    ("15.6", "KDUMP_KEEP_OLD_DUMPS=-1\n"),
    (None, 'KDUMP_SAVEDIR="ssh://u@server:2222/x"\nKDUMP_HOST_KEY="*"\n'),
    (None, "KDUMP_PRESCRIPT='echo $HOSTNAME'\n"),
    (None, 'KDUMP_PRESCRIPT=/opt/hook\nKDUMP_REQUIRED_PROGRAMS="/opt/hook"\n'),
    (None, 'KDUMP_COMMANDLINE_APPEND="a"\nKDUMP_COMMANDLINE_APPEND+=" b"\n'),
    (None, "SITE_OWN=x\n"),
    (None, "KDUMP_DUMPFORMAT=raw\nKDUMP_DUMPLEVEL=0\n"),
    (None, 'MAKEDUMPFILE_OPTIONS="-Xx vmlinux --message-level 1"\n'),
    (None, "KDUMP_FADUMP=no\nKEXEC_OPTIONS=-d\n"),
    ("15.7", "KDUMP_CRASHKERNEL=\n"),
]


@pytest.mark.parametrize("release, text", ACCEPTED)
def test_accepted(release: t.Optional[str], text: str) -> None:
    assert CONF.problems(text, release) == []


VECTORS = json.loads((Path(__file__).parent / "data" / "suse_kdump_vectors.json").read_text())[
    "vectors"
]


# What the scripts take, and what comes to nothing in the capture or at the next boot.
LET_THROUGH = ("has a password, with which ssh cannot log in", "is ignored without KDUMP_")


@pytest.mark.parametrize("release, text, accepted", VECTORS)
def test_suses_own_scripts_agree(release: str, text: str, accepted: bool) -> None:
    found = CONF.problems(text, release)
    refused = [problem for problem in found if not any(words in problem for words in LET_THROUGH)]
    assert (refused == []) == accepted


INJECTED = [
    ("KDUMP_POSTSCRIPT", "echo $(reboot)", "special to the shells"),
    ("KDUMP_POSTSCRIPT", "a\nKDUMP_FADUMP=true", "newline"),
    ("KDUMP_SAVEDIR", '/x"; reboot; "', "special to the shells"),
    ("KDUMP_CPUS", "1\u2028", "newline"),
]


@pytest.mark.parametrize("key, value, message", INJECTED)
def test_what_a_shell_would_take_for_more_is_refused(key: str, value: str, message: str) -> None:
    assert message in CONF.setting_problem(key, value)


WARNED = [
    (None, "SITE_OWN", "x", "is no setting that kdump"),
    (None, "KDUMP_PRESCRIPT", "a | b", "evaluated by a shell"),
    (None, "KDUMP_NETCONFIG", "", "means auto"),
    (None, "KDUMP_SAVEDIR", "//server/share", "a folder of this host"),
    (None, "KDUMP_COMMANDLINE", "quiet", "lacks reset_devices"),
    (None, "KDUMP_COMMANDLINE_APPEND", "crashkernel=1M", "has crashkernel="),
    ("15.5", "KDUMP_NETCONFIG", "", ""),
    (None, "KDUMP_CPUS", "1", ""),
]


@pytest.mark.parametrize("release, key, value, message", WARNED)
def test_warnings(release: t.Optional[str], key: str, value: str, message: str) -> None:
    warning = CONF.setting_warning(key, value, release)
    assert message in warning
    assert bool(message) == bool(warning)


SECRETS = [
    'KDUMP_SMTP_PASSWORD="s3cret"\n',
    '#KDUMP_SMTP_PASSWORD="s3cret"\n',
    'KDUMP_SAVEDIR="cifs://user:s3cret@server/share"\n',
    "# once: ftp://user:s3cret@server/x\n",
    'KDUMP_SAVEDIR="nfs://user:s3cret@server/x"\n',
    'KDUMP_SAVEDIR="ftp://me@corp.com:s3cret@h/d"\n',
    'KDUMP_SAVEDIR="ftp://u:a/s3cret@h/d"\n',
    'KDUMP_SAVEDIR="ftp://u:it\'s3cret@h/d"\n',
    'KDUMP_SAVEDIR="ftp://u:a:b@s3cret@h/d"\n',
    'KDUMP_TRANSFER="curl -T - ftp://me:s3cret@h"\n',
    'KDUMP_TRANSFER="curl --user me:s3cret ftp://h"\n',
    'KDUMP_TRANSFER="push --password s3cret\nmore"\n',
    'KDUMP_TRANSFER="push \ns3cret --token"\n',
    "#KDUMP_TRANSFER='push -u s3cret'\n",
    # Everything that was hidden while a whole line was still is.
    'KDUMP_SAVEDIR="ftp://u:s3cret@h/d" # "\n',
    'KDUMP_SAVEDIR="/x" # once ftp://u:s3cret@h/d\n',
    "KDUMP_SAVEDIR=ftp://u:a #s3cret@h/d\n",
    "KDUMP_SAVEDIR='ftp://u:a b s3cret@h/d'\n",
    'KDUMP_SAVEDIR="ftp://u:top\ns3cret@h/d"\n',
    'KDUMP_SAVEDIR="ftp://u:\\\ns3cret@h/d"\n',
    'KDUMP_SAVEDIR="ftp://u:"\nKDUMP_SAVEDIR+="s3cret@h/d"\n',
    'KDUMP_SAVEDIR="ftp://u:s3"\nKDUMP_SAVEDIR+="cret@h/d"\n',
    "export KDUMP_SAVEDIR=ftp://u:s3cret@h/d\n",
    "KDUMP_SAVEDIR = 'cifs://u:$s3cret@h/d'\n",
    "KDUMP_SAVEDIR=ftp://u:s3cret@h x\n",
    'KDUMP_COMMANDLINE_APPEND="a=ftp://u:s3cret@h"\n',
    'KDUMP_COMMANDLINE_APPEND="a=ftp://u:b s3cret@h"\n',
    '# KDUMP_SAVEDIR="ftp://u:top\n# s3cret@h/d"\n',
    "if x; then\n  KDUMP_SAVEDIR=ftp://u:s3cret@h/d\nfi\n",
    'KDUMP_TRANSFER="curl -sSums3cret ftp://h"\n',
    'KDUMP_TRANSFER="cp -u a /b; curl -u s3cret ftp://h"\n',
    "KDUMP_TRANSFER=\"curl -H 'Authorization: Bearer s3cret' h\"\n",
    'KDUMP_TRANSFER="/usr/bin/sshpass -p s3cret scp a h:"\n',
    'KDUMP_TRANSFER="API_TOKEN=s3cret push"\n',
    "KDUMP_TRANSFER = 'push -u s3cret'\n",
    'KDUMP_SMTP_PASSWORD="a\nKDUMP_SAVEDIR="ftp://u:top\ns3cret@h" # "\n',
]


@pytest.mark.parametrize("text", SECRETS)
def test_no_secret_is_shown(text: str) -> None:
    assert "s3cret" not in CONF.redact("A=1\n" + text)
    assert "s3cret" not in CONF.redact(text)
    assert "s3cret" not in str(CONF.problems(text))
    assert "s3cret" not in str({key: CONF.masked(key, value) for key, value in CONF.parse(text).items()})  # fmt: skip


def test_what_holds_no_secret_is_shown() -> None:
    text = TEXT + 'KDUMP_TRANSFER="cp /proc/vmcore /mnt"\nKDUMP_HOST_KEY="*"\n'
    assert CONF.redact(text) == text
    assert CONF.masked("KDUMP_TRANSFER", "cp /proc/vmcore /mnt") == "cp /proc/vmcore /mnt"


SHOWN = [
    ('KDUMP_SAVEDIR="ssh://u@h:22/d" # ask admin@corp\n', 'KDUMP_SAVEDIR="ssh://u@h:22/d" # ask admin@corp\n'),
    ('KDUMP_SAVEDIR="ftp://u:s3cret@h/d" # ask a@corp\n', 'KDUMP_SAVEDIR="ftp://u:********@h/d" # ask a@corp\n'),
    ("KDUMP_SAVEDIR='ftp://u:a\"s3cret@h/d'\n", "KDUMP_SAVEDIR='ftp://u:********@h/d'\n"),
    ("KDUMP_SAVEDIR = cifs://u:s3cret@h/d\n", "KDUMP_SAVEDIR = cifs://u:********@h/d\n"),
    ('KDUMP_SAVEDIR="ftp://u:"\nKDUMP_SAVEDIR+=s3cret@h\n', 'KDUMP_SAVEDIR="ftp://u:********@h"\nKDUMP_SAVEDIR+=\n'),
    ('KDUMP_TRANSFER="cp -u /proc/vmcore /mnt"\n', 'KDUMP_TRANSFER="cp -u /proc/vmcore /mnt"\n'),
    ("KDUMP_TRANSFER='/opt/passage/token /secret/x'\n", "KDUMP_TRANSFER='/opt/passage/token /secret/x'\n"),
    ("KDUMP_TRANSFER='curl -u a:b h' # why\n", 'KDUMP_TRANSFER="********" # why\n'),
    ("KDUMP_COMMANDLINE_APPEND='root=nfs://s:/x a=b@c'\n", 'KDUMP_COMMANDLINE_APPEND="********"\n'),
    ("# once: ftp://u:s3cret@h/x\n", "# once: ftp://u:********@h/x\n"),
]  # fmt: skip


@pytest.mark.parametrize("text, shown", SHOWN)
def test_what_is_shown_of_a_file(text: str, shown: str) -> None:
    assert CONF.redact(text) == shown
    assert CONF.redact(shown) == shown


SPOILT = [
    ('KDUMP_VERBOSE="1\n', "line 1: KDUMP_VERBOSE has a quote that is never closed, and a shell may not"),
    ("A=1\nif false; then\n", "line 2: it is no KEY"),
    ("return 0\n", "line 1: it is no KEY"),
    ("cat > /dev/null <<X\n", "line 1: it is no KEY"),
    ("nonsense\n", ""),
    (TEXT + 'KDUMP_CPUS+=" 1"\n', ""),
]  # fmt: skip


@pytest.mark.parametrize("text, message", SPOILT)
def test_what_spoils_the_whole_file(text: str, message: str) -> None:
    found = CONF.spoils(text)
    assert message in found
    assert bool(message) == bool(found)
