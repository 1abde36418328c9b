# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.tooling.kdump_sysconfig import (
    LATER,
    SETTINGS,
    KdumpSysconfig,
)

FILE = KdumpSysconfig()

TEXT = """\
# Kernel Version string for the -kdump kernel
KDUMP_KERNELVER=""

#KDUMP_BOOTDIR="/boot"
KDUMP_COMMANDLINE_REMOVE="hugepages quiet"
KDUMP_COMMANDLINE_APPEND="irqpoll nr_cpus=1"  # ours
KDUMP_IMG='vmlinuz'
KDUMP_SITE_OWN=kept
"""

RENDERED: t.List[t.Tuple[t.Dict[str, t.Optional[str]], str]] = [
    ({}, TEXT),
    ({"KDUMP_IMG": "vmlinuz"}, TEXT),  # the same value in other quotes is no change
    ({"KDUMP_KERNELVER": "5.14.0"}, TEXT.replace('KERNELVER=""', 'KERNELVER="5.14.0"')),
    (
        {"KDUMP_BOOTDIR": "/efi"},
        TEXT.replace('"/boot"\n', '"/boot"\nKDUMP_BOOTDIR="/efi"\n'),
    ),
    ({"KEXEC_ARGS": "-s"}, TEXT + 'KEXEC_ARGS="-s"\n'),
    (
        {"KDUMP_COMMANDLINE_APPEND": "nr_cpus=2"},
        TEXT.replace("irqpoll nr_cpus=1", "nr_cpus=2"),
    ),
    ({"KDUMP_IMG": None}, TEXT.replace("KDUMP_IMG='vmlinuz'\n", "")),
    ({"KEXEC_ARGS": None}, TEXT),
]


@pytest.mark.parametrize("settings, expected", RENDERED)
def test_render(settings: t.Dict[str, t.Optional[str]], expected: str) -> None:
    assert FILE.render(TEXT, settings) == expected
    assert FILE.render(expected, settings) == expected


@pytest.mark.parametrize("settings, _expected", RENDERED)
def test_what_was_rendered_is_read_back(
    settings: t.Dict[str, t.Optional[str]], _expected: str
) -> None:
    read = FILE.parse(FILE.render(TEXT, settings))
    assert {key: read.get(key) for key in settings} == settings
    assert FILE.problems(FILE.render(TEXT, settings)) == []


MENDED = [
    ("KEXEC_ARGS = -s\n", 'KEXEC_ARGS="-s"\n'),
    ('KEXEC_ARGS= "-s"\n', 'KEXEC_ARGS="-s"\n'),
    ("KDUMP_COMMANDLINE_APPEND = irqpoll nr_cpus=1 # why\n", 'KDUMP_COMMANDLINE_APPEND="irqpoll nr_cpus=1" # why\n'),
    ("KDUMP_IMG=a\n#\nKDUMP_IMG=b\n", "#\nKDUMP_IMG=b\n"),
]  # fmt: skip


@pytest.mark.parametrize("text, expected", MENDED)
def test_what_bash_would_misread_is_mended(text: str, expected: str) -> None:
    assert FILE.render(text, {}) == expected
    assert FILE.parse(text) == FILE.parse(expected)
    assert FILE.problems(expected) == []


KEPT = [
    'KEXEC_ARGS="-s"\nKEXEC_ARGS+=" --x"\n',
    'KEXEC_ARGS="a\\\nb"\n',
    'KDUMP_COMMANDLINE_APPEND = "$OTHER"\n',
    'KEXEC_ARGS="never closed\nKDUMP_IMG=vmlinuz\n',
]


@pytest.mark.parametrize("text", KEPT)
def test_what_is_not_plain_stays(text: str) -> None:
    assert FILE.render(text, {}) == text


def test_plus_adds() -> None:
    assert FILE.parse('KEXEC_ARGS="-s"\nKEXEC_ARGS+=" --x"\n') == {"KEXEC_ARGS": "-s --x"}


ACCEPTED = [
    "",
    TEXT,
    'KDUMP_COMMANDLINE_REMOVE="hugepages hugepagesz= zfcp.allow_lun_scan"\n',
    'KDUMP_COMMANDLINE_APPEND="irqpoll initramfs_options=size=90% console=ttyS0,115200n8"\n',
    'KDUMP_BOOTDIR="/boot /efi"\nVMCORE_CREATION_NOTIFICATION=""\nKDUMP_STDLOGLVL=4\n',
    "export KEXEC_ARGS=-s\n",
    "KDUMP_KERNELVER=5.14.0-427.el9.x86_64+debug\n",
    "KDUMP_LATER_KEY=x\n",
    'KEXEC_ARGS="-s \\\n--reuse-cmdline"\n',
]


@pytest.mark.parametrize("text", ACCEPTED)
def test_accepted(text: str) -> None:
    assert FILE.problems(text) == []


REFUSED = [
    ("KEXEC_ARGS = -s\n", "line 1: 'KEXEC_ARGS = -s' has blanks around '='"),
    ("#\nKEXEC_ARGS=-s -d\n", "line 2: 'KEXEC_ARGS=-s -d' has a value with blanks outside"),
    ('KEXEC_ARGS="-s\n', "never closed"),
    ('KEXEC_ARGS="$(reboot)"\n', "holds '$'"),
    ('KEXEC_ARGS="`reboot`"\n', "holds '`'"),
    ('KDUMP_COMMANDLINE_APPEND="a\\\\b"\n', "holds '\\\\'"),
    ("KDUMP_COMMANDLINE_APPEND='foo=\"a b\"'\n", "holds '\"'"),
    ("KDUMP_COMMANDLINE=\"foo='a b'\"\n", "loses on the way"),
    ('KEXEC_ARGS="-s; reboot"\n', "is split into words"),
    ('KDUMP_KERNELVER="5.14 x"\n', "kernel's release"),
    ('KDUMP_COMMANDLINE_REMOVE="quiet=1"\n', "names of kernel arguments"),
    ('KDUMP_BOOTDIR="boot"\n', "absolute path"),
    ("KDUMP_STDLOGLVL=5\n", "from 0"),
    ("VMCORE_CREATION_NOTIFICATION=maybe\n", "'yes' or 'no'"),
    ("KEXECARGS=-s\n", "did you mean KEXEC_ARGS?"),
    ("if true; then\n", 'is no KEY="value" line'),
]


@pytest.mark.parametrize("text, message", REFUSED)
def test_refused(text: str, message: str) -> None:
    (problem,) = FILE.problems(text)
    assert message in problem


def test_an_unknown_but_plausible_key_is_a_warning() -> None:
    assert FILE.setting_problem("KDUMP_COMANDLINE", "x") == ""
    assert "did you mean KDUMP_COMMANDLINE?" in FILE.setting_warning("KDUMP_COMANDLINE", "x")
    assert FILE.setting_warning("KDUMP_IMG", "x") == ""


LEVELS = ["KDUMP_KMSGLOGLVL", "KDUMP_STDLOGLVL", "KDUMP_SYSLOGLVL"]
# Of kdump-utils and kexec-tools: 41b3da3 and 0098b5d (2.0.20-20), 88525eb (1.0.45), 77b80ce (1.0.50).
READ = [
    ("2.0.20-19.fc34", []),
    ("2.0.20-20.fc34", LEVELS),
    ("2.0.20-34.el8", []),
    ("2.0.20-46.el8", LEVELS),
    ("2.0.23-9.el9", LEVELS),
    ("2.0.28-7.fc40", LEVELS),
    ("1.0.44-1.fc41", LEVELS),
    ("1.0.45-1.fc41", [*LEVELS, "VMCORE_CREATION_NOTIFICATION"]),
    ("1.0.50-1.fc42", ["FADUMP_COMMANDLINE_APPEND", *LEVELS, "VMCORE_CREATION_NOTIFICATION"]),
    (None, ["FADUMP_COMMANDLINE_APPEND", *LEVELS, "VMCORE_CREATION_NOTIFICATION"]),
]


@pytest.mark.parametrize("release, read", READ)
def test_what_a_release_does_not_read_is_a_warning(
    release: t.Optional[str], read: t.List[str]
) -> None:
    silent = [key for key in SETTINGS if not FILE.setting_warning(key, "1", release)]
    assert sorted(set(silent) & LATER) == read
    assert sorted(set(SETTINGS) - set(silent)) == sorted(LATER - set(read))


def test_a_hosts_own_scripts_say_what_is_read() -> None:
    own = KdumpSysconfig(["KDUMP_STDLOGLVL"])
    assert own.setting_warning("KDUMP_STDLOGLVL", "4", "2.0.20-14.el8") == ""
    assert "is not read" in own.setting_warning("KDUMP_SYSLOGLVL", "4", "1.0.61")


@pytest.mark.parametrize("value", ["a\nKDUMP_IMG=x", "a\u2028b", "a\x00b"])
def test_a_value_stays_in_its_line(value: str) -> None:
    assert "newline" in FILE.setting_problem("KDUMP_COMMANDLINE", value)
