# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import json
import random
import re
import typing as t
from pathlib import Path

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.tooling.kdump_conf_file import (
    FIRST_OPTIONS,
    KdumpConf,
    arguments_problem,
    options_of_script,
    rules_of,
    ssh_problem,
)

CONF = KdumpConf()

TEXT = """\
# Our dumps
path /var/crash  # kept here
#raw /dev/vg/lv_kdump
#nfs my.server.com:/export/tmp
#ssh user@my.server.com
#ssh user@2001:db8::1

core_collector makedumpfile -l --message-level 7 -d 31
#failure_action shell
site_own kept
"""

RENDERED: t.List[t.Tuple[t.Dict[str, t.Optional[str]], str]] = [
    ({}, TEXT),
    ({"path": "/var/crash"}, TEXT),
    ({"path": "/dumps"}, TEXT.replace("path /var/crash  #", "path /dumps  #")),
    # Beside the package's last example.
    ({"ssh": "k@h"}, TEXT.replace("db8::1\n", "db8::1\nssh k@h\n")),
    (
        {"failure_action": "halt"},
        TEXT.replace("action shell\n", "action shell\nfailure_action halt\n"),
    ),
    ({"final_action": "halt"}, TEXT + "final_action halt\n"),
    ({"path": None}, TEXT.replace("path /var/crash  # kept here\n", "")),
    ({"nfs": None}, TEXT),
]


@pytest.mark.parametrize("settings, expected", RENDERED)
def test_render(settings: t.Dict[str, t.Optional[str]], expected: str) -> None:
    assert CONF.render(TEXT, settings) == expected
    assert CONF.render(expected, settings) == expected
    read = CONF.parse(expected)
    assert {key: read.get(key) for key in settings} == settings


MENDED = [
    # text, mended for the newest release
    ("path = /var/crash\n", "path /var/crash\n"),
    ("path=/var/crash\n", "path /var/crash\n"),
    ('path = "/var/crash" # why\n', "path /var/crash # why\n"),
    ("failure_action = 'halt'\n", "failure_action halt\n"),
    ("path /a\npath /b\n", "path /b\n"),
    ("path = /a\n# c\npath /b", "# c\npath /b"),
    ("# c\r\n\r\npath /a\r\nnfs h:/x # c\r\n", "# c\n\npath /a\nnfs h:/x # c\n"),
    ("path /a \r\n", "path /a\n"),
    ("path\v/a\n", "path /a\n"),
    # Nobody knows what was meant.
    ("path =\n", "path =\n"),
    ("path\n", "path\n"),
    ('path = ""a""\n', 'path = ""a""\n'),
    ("site_own = x\nsite_own = y\n", "site_own = x\nsite_own = y\n"),
    ("ssh a@b\nnfs c:/d\n", "ssh a@b\nnfs c:/d\n"),
    # The newest release understands these.
    ('  path "/a b"\n', '  path "/a b"\n'),
    ("path /a", "path /a"),
    ("nfs h:/x # c\r\n", "nfs h:/x # c\r\n"),
    ("", ""),
]


@pytest.mark.parametrize("text, expected", MENDED)
def test_render_mends(text: str, expected: str) -> None:
    assert CONF.render(text, {}) == expected
    assert CONF.render(expected, {}) == expected


MENDED_FOR = [
    # release, text, mended for it
    ("el9", 'path "/a"\n', "path /a\n"),
    ("el9", "  path /a\n", "  path /a\n"),
    ("el8.2", '  path "/a" # c\n', "path /a # c\n"),
    ("el8.2", "path /a\npath /b\n", "path /a\npath /b\n"),
    ("el8.0", "path /a", "path /a\n"),
]


@pytest.mark.parametrize("release, text, expected", MENDED_FOR)
def test_render_mends_for_a_release(release: str, text: str, expected: str) -> None:
    assert CONF.render(text, {}, release) == expected


def test_render_writes_one_line_that_every_release_reads() -> None:
    text = 'path /a\n  path "/b"\n'
    assert CONF.render(text, {"path": "/b"}) == "path /b\n"


def test_render_takes_out_the_other_name_of_a_setting() -> None:
    assert CONF.render("default halt\n", {"failure_action": "halt"}) == "failure_action halt\n"
    assert CONF.render("failure_action halt\n", {"default": "shell"}) == "default shell\n"
    assert CONF.render("default halt\n", {"failure_action": None}) == "default halt\n"


PARSED = [
    (TEXT, {"path": "/var/crash", "core_collector": "makedumpfile -l --message-level 7 -d 31", "site_own": "kept"}),
    ("path = /a\nssh=k@h\r\n", {"path": "/a", "ssh": "k@h"}),
    ('path "/a" # b\n\tnfs h:/x\n', {"path": "/a", "nfs": "h:/x"}),
    ("path /a\npath /b\n", {"path": "/b"}),
    ('dracut_args --add "a b" --x\n', {"dracut_args": '--add "a b" --x'}),
    ("nothing else\n#path /a\n= x\n/a\n", {"nothing": "else"}),
    ("path\n", {"path": ""}),
]  # fmt: skip


@pytest.mark.parametrize("text, expected", PARSED)
def test_parse(text: str, expected: t.Dict[str, str]) -> None:
    assert CONF.parse(text) == expected


REFUSED = [
    # release, text, in the problem
    (None, "path\n", "line 1: path='' has no value"),
    (None, "path # why\n", "line 1: path='' has no value"),
    (None, "paht /a\n", "did you mean path?"),
    (None, "path=/a\n", "write 'path value', without '='"),
    (None, "link_delay 60\n", "is deprecated and refused: leave it out"),
    (None, "override_resettable 1\n", "kdumpctl refuses it in every release"),
    (None, "path /a\npath /b\n", "line 2: path='/b' is set again (first in line 1)"),
    (None, "nfs h:/x\nssh k@h\n", "line 2: ssh='k@h' is a second target (first in line 1)"),
    (None, 'ext4 /dev/a\ndracut_args --mount "/dev/a /b ext4 rw"\n', "is a second target"),
    (None, 'dracut_args --mount "/a /b ext4"\ndracut_args --x\n', "is set again"),
    (None, 'dracut_args --mount "a b c" --mount "d e f"\n', "has more than one --mount"),
    (None, 'dracut_args --mount="/a /b ext4"\n', "must have --mount"),
    (None, "failure_action restart\n", "must be one of: reboot, halt, poweroff, shell"),
    (None, "final_action shell\n", "final_action='shell' must be one of: reboot, halt, poweroff"),
    (None, "default halt\nfailure_action halt\n", "sets again what line 1 sets"),
    (None, "force_rebuild yes\n", "must be one of: 0, 1"),
    (None, "force_rebuild 1\nforce_no_rebuild 1\n", "are both 1"),
    (None, "ssh host\n", "must be user@host"),
    (None, "ssh k@Host\n", "must have its host as ssh gives it back: host"),
    (None, "failure_action halt\r\n", "must be one of"),
    (None, "ssh k@h\ncore_collector makedumpfile -l\n", "needs -F for the targets ssh and raw"),
    (None, "nfs h:/x\ncore_collector makedumpfile -F -l\n", "has -F, which is for the targets"),
    (None, "path /a\0\n", "NUL"),
    ("1.0.59", "kdump_emergency /a\n", "is no option of this release of kdumpctl"),
    ("1.0.59", 'failure_action "halt"\n', "must be one of"),
    ("2.0.25-1", "virtiofs fs\n", "is no option of this release of kdumpctl"),
    ("el8.10", "auto_reset_crashkernel yes\n", "is no option of this release of kdumpctl"),
    ("el8.2", "  path /a\n", "line 1: blanks before an option's name are refused"),
    ("el8.2", "ssh k@h\nnfs h:/x\n", "2 targets are set"),
    ("el8.2", 'dracut_args --mount "a b c" --mount "d e f"\n', "more than one --mount"),
    ("2.0.20-14", "path /a\npath /b\n", "path is set more than once"),
    ("2.0.20-14", "default halt\nfailure_action halt\n", "are both set"),
    ("2.0.20-19", "", "sets nothing"),
    ("1.0.42", "core_collector makedumpfile\n", "has a word that is no option of makedumpfile"),
]  # fmt: skip


@pytest.mark.parametrize("release, text, expected", REFUSED)
def test_refused(release: t.Optional[str], text: str, expected: str) -> None:
    assert expected in "\n".join(CONF.problems(text, release))


ACCEPTED = [
    (None, TEXT.replace("site_own kept\n", "")),
    (None, ""),
    (None, "core_collector makedumpfile\n"),
    (None, "core_collector makedumpfil -l\n"),
    (None, "ssh k@2001:db8::1\ncore_collector makedumpfile -F -z -d 31\n"),
    (None, 'failure_action "halt"\n'),
    (None, "kdump_emergency /a\n"),
    ("1.0.62", "kdump_new_thing /a\n"),
    ("1.0.58", "failure_action halt\r\n"),
    ("el9.3", "ssh k@Host\n"),
    ("el8.0", "path /a\npath /b\n"),
    ("el8.0", "failure_action"),  # a last line without its newline is not read
    ("el8.2", "x\n"),
    ("el8.2", "path /a\\\n/b\npaht\\\n"),  # joined, and a last line that stays open is not read
]


@pytest.mark.parametrize("release, text", ACCEPTED)
def test_accepted(release: t.Optional[str], text: str) -> None:
    assert CONF.problems(text, release) == []


VECTORS: t.Any = json.loads(
    (Path(__file__).parent / "data" / "kdump_conf_vectors.json").read_text("utf-8")
)["vectors"]


def test_problems_agree_with_the_real_scripts() -> None:
    wrong = [
        vector
        for vector in VECTORS
        if (CONF.problems(vector["text"], vector["release"]) == []) != vector["accepted"]
    ]
    assert wrong == []
    assert len(VECTORS) > 600


def _as_read(text: str) -> t.Dict[str, str]:
    return {key: value for key, value in CONF.parse(text).items() if value}


@pytest.mark.parametrize("vector", [VECTORS[index] for index in range(0, len(VECTORS), 2)])
def test_what_is_mended_stays_as_it_is(vector: t.Mapping[str, str]) -> None:
    mended = CONF.render(vector["text"], {})
    assert CONF.render(mended, {}) == mended
    assert _as_read(mended) == _as_read(vector["text"])
    if not CONF.problems(vector["text"]) and not CONF.warnings(vector["text"]):
        assert mended == vector["text"]
    # What mending can solve is solved.
    known = "|".join(rules_of().options)
    assert not re.search(rf"(?m)^({known})[ \t]*=[ \t]*[^\s#\"'=]", mended)
    assert not any(
        "is set again" in problem and "default" not in problem and "failure_action" not in problem
        for problem in CONF.problems(mended)
    )


VALUES = {
    "path": ["/var/crash", "/a b", "/ä"],
    "core_collector": ["makedumpfile -l -d 31", "cp --sparse=always"],
    "nfs": ["server:/export", "[2001:db8::1]:/x"],
    "failure_action": ["halt", "shell"],
    "dracut_args": ['--add "a b" --gzip', "--x=y"],
    "fence_kdump_nodes": ["a b"],
    "kdump_pre": ["/usr/local/sbin/pre"],
}


def test_what_was_rendered_is_read_back() -> None:
    choice = random.Random(4)
    for vector in VECTORS:
        keys = choice.sample(sorted(VALUES), choice.randrange(1, 4))
        settings: t.Dict[str, t.Optional[str]] = {
            key: choice.choice([*VALUES[key], None]) for key in keys
        }
        text = CONF.render(vector["text"], settings)
        read = CONF.parse(text)
        assert {key: read.get(key) for key in settings} == settings
        assert CONF.render(text, settings) == text
        others = set(CONF.parse(vector["text"])) - set(settings) - {"default"}
        assert others == set(read) - set(settings) - {"default"}


RELEASES = [
    # as users write it, an option that it has, one that it lacks
    (None, "kdump_emergency", "net"),
    ("1.0.61", "kdump_emergency", "net"),
    ("v1.0.61", "kdump_emergency", "net"),
    ("kdump-utils-1.0.61-1.el10", "kdump_emergency", "net"),
    ("kdump-utils-0:1.0.54-5.el10.x86_64", "virtiofs", "kdump_emergency"),
    ("2.0.26-7", "virtiofs", "kdump_emergency"),
    ("2.0.25-1", "auto_reset_crashkernel", "virtiofs"),
    ("2.0.20-14", "final_action", "auto_reset_crashkernel"),
    ("kexec-tools-2.0.20-14.el8", "final_action", "auto_reset_crashkernel"),
    ("kexec-tools-2.0.26-14.el8_10.2.x86_64", "final_action", "auto_reset_crashkernel"),
    ("2.0.29-5.el9", "virtiofs", "kdump_emergency"),
    ("el7", "fence_kdump_nodes", "failure_action"),
    ("el8", "failure_action", "auto_reset_crashkernel"),
    ("el8.0", "default", "failure_action"),
    ("el8.10", "failure_action", "virtiofs"),
    ("rhel9.3", "virtiofs", "kdump_emergency"),
    ("Rocky 9.0", "auto_reset_crashkernel", "virtiofs"),
    ("el10.0", "virtiofs", "kdump_emergency"),
    ("fedora40", "virtiofs", "kdump_emergency"),
    ("fedora44", "kdump_emergency", "net"),
]


@pytest.mark.parametrize("release, has, lacks", RELEASES)
def test_rules_of(release: t.Optional[str], has: str, lacks: str) -> None:
    options = rules_of(release).options
    assert has in options
    assert lacks not in options


@pytest.mark.parametrize("release", ["", "newest", "el6", "el11", "fedora20", "2.0", "debian12"])
def test_a_release_that_is_none(release: str) -> None:
    with pytest.raises(ValueError, match=r"give a release such as 1\.0\.61.*fedora40"):
        rules_of(release)


def test_a_newer_release_may_have_options_that_are_not_known() -> None:
    assert CONF.setting_problem("kdump_new", "1", "1.0.62") == ""
    assert "not known here" in CONF.setting_warning("kdump_new", "1", "1.0.62")
    assert CONF.setting_problem("kdump_new", "1") != ""
    assert "deprecated" in CONF.setting_problem("net", "1", "1.0.62")


# With tabs, as the real one; no file of ours may hold them.
SCRIPT = """\
#!/bin/bash
other() {
    case "$1" in
    wrong) ;;
    esac
}
parse_config()
{
    while read -r config_opt config_val; do
        case "$config_opt" in
        dracut_args)
            if [[ $config_val == *--mount* ]]; then
                echo one
            fi
            ;;
        ext[234] | nfs|ssh)
            ;;
        path | core_collector | site_own) ;;

        net | options)
            derror "Deprecated kdump config option: $config_opt."
            return 1
            ;;
        '')
            continue
            ;;
        *)
            return 1
            ;;
        esac
    done <<< "$(kdump_read_conf)"
}
""".replace("    ", "\t")


def test_options_of_script() -> None:
    own = {"dracut_args", "ext2", "ext3", "ext4", "nfs", "ssh", "path"} | {
        "core_collector",
        "site_own",
    }
    assert options_of_script(SCRIPT) == own
    assert options_of_script(SCRIPT.replace("parse_config()\n{", "check_config() {")) == own
    assert options_of_script("echo hello\n") == set()
    assert options_of_script("parse_config() {\n\tcase $x in\n\ta) ;;\n\tesac\n}\n") == set()


def test_the_hosts_own_options_come_first() -> None:
    own = KdumpConf(FIRST_OPTIONS | {"site_own"})
    assert own.problems(TEXT, "el9") == []
    assert "no option" in own.setting_problem("virtiofs", "fs")
    assert KdumpConf([]).problems("virtiofs fs\n") == []


# What the host's script says, the release, whether a name that ssh does not give back is refused.
SSH_RULES = [
    (None, "el9.3", False),
    (None, "1.0.61", True),
    (True, "el9.3", True),
    (False, "1.0.61", False),
]


@pytest.mark.parametrize("ssh, release, refused", SSH_RULES)
def test_the_hosts_own_ssh_rule_comes_first(
    ssh: t.Optional[bool], release: str, refused: bool
) -> None:
    own = KdumpConf(ssh=ssh)
    assert bool(own.problems("ssh k@HOST\n", release)) is refused
    assert bool(own.setting_problem("ssh", "k@HOST", release)) is refused


# Release, whether a capture with several CPUs adds --num-threads: d428557 "Use all available CPUs to collect dump".
ALL_CPUS = [("1.0.49", False), ("1.0.50", True), ("2.0.28-7.fc40", False), ("2.0.26-8.el9", False)]


@pytest.mark.parametrize("release, expected", ALL_CPUS)
def test_who_adds_threads(release: str, expected: bool) -> None:
    assert rules_of(release).all_cpus is expected


def test_what_only_makedumpfile_would_refuse_is_refused_before() -> None:
    text = "core_collector makedumpfile -z\n"
    assert CONF.problems(text, "el8.2") == []
    assert "has -z" in CONF.setting_problem("core_collector", "makedumpfile -z", "el8.2")
    assert CONF.setting_problem("core_collector", "makedumpfile", "el8.2") == ""
    assert "option" in CONF.setting_problem("core_collector", "makedumpfile", "el9")


BAD_VALUES = [
    ("path", "", "has no value"),
    ("path", "/a#b", "holds '#'"),
    ("path", "/a\npath /b", "newline or control character"),
    ("path", "/a ", "begins or ends with a blank"),
    ("path", "= /a", "begins with '='"),
    ("path", '"/a"', "double quotes"),
    ("ssh", "host", "must be user@host"),
    ("failure_action", "no", "must be one of"),
    ("force_rebuild", "2", "must be one of: 0, 1"),
    ("dracut_args", "--mount x", "must have --mount"),
    ("dracut_args", "--mount a --mount b", "more than one --mount"),
    ("dracut_args", '--mount="/dev/a /b ext4 c"', "has --mount=, in which"),
    ("core_collector", "makedumpfile -F -E -c", "joins -E with a compression"),
    ("core_collector", "makedumpfile -d 32", "has dump level '32'"),
    ("blacklist", "x", "is deprecated"),
    ("vmfs", "x", "is no option"),
]


@pytest.mark.parametrize("key, value, expected", BAD_VALUES)
def test_setting_problem(key: str, value: str, expected: str) -> None:
    assert expected in CONF.setting_problem(key, value)


@pytest.mark.parametrize("key", sorted(VALUES))
def test_setting_without_a_problem(key: str) -> None:
    assert [CONF.setting_problem(key, value) for value in VALUES[key]] == [""] * len(VALUES[key])


def test_backslashes_by_release() -> None:
    assert CONF.setting_problem("path", "/a\\b") == ""
    assert "backslash" in CONF.setting_problem("path", "/a\\b", "el8.2")


DOUBTFUL = [
    ("default", "halt", "is obsolete; use failure_action"),
    ("auto_reset_crashkernel", "false", "is taken for yes"),
    ("btrfs", "/dev/a", "do not support"),
    ("path", "crash", "absolute path"),
    ("sshkey", "key", "absolute path"),
    ("core_collector", "scp", "ssh target alone"),
    ("core_collector", "/usr/sbin/makedumpfile -l", "write makedumpfile alone"),
    ("core_collector", "mkdumpfile -l", "goes unchecked"),
    ("ssh", "k@[::1]", "has brackets"),
    ("ssh", "k@", "has no host"),
    ("ssh", "k@host:22", "has a port"),
    ("dracut_args", '--add "a', "never closed"),
    ("dracut_args", '--add "a b"', ""),
    ("ssh", "k@2001:db8::1", ""),
    ("core_collector", "makedumpfile -l", ""),
    ("nfs", "h:/x", ""),
]


@pytest.mark.parametrize("key, value, expected", DOUBTFUL)
def test_setting_warning(key: str, value: str, expected: str) -> None:
    warning = CONF.setting_warning(key, value)
    assert (expected in warning) if expected else warning == ""


DOUBTFUL_TEXTS = [
    (None, "path = /a\n", "line 1: path='= /a' has '=' in its value; write 'path value'"),
    (None, "path /a\r\n", "such as a carriage return"),
    ("el9", 'path "/a"\n', "keeps its quotes"),
    ("el8.0", "path /a", "does not end with a newline"),
    (None, "raw /dev/a\ncore_collector cp\n", "by hand"),
    (None, "default halt\n", "is obsolete"),
]


@pytest.mark.parametrize("release, text, expected", DOUBTFUL_TEXTS)
def test_warnings(release: t.Optional[str], text: str, expected: str) -> None:
    assert expected in "\n".join(CONF.warnings(text, release))


SSH = [
    # destination, whether kdumpctl gets its host back from ssh
    ("k@host", True),
    ("k@host.example.com", True),
    ("K@host", True),
    ("k@HOST", False),
    ("k@2001:db8::1", True),
    ("k@2001:DB8::1", True),  # addresses keep their letters
    ("k@2001:db8:0::1", False),
    ("k@1.2", False),
    ("k@host:22", True),
    ("host", False),
    ("@host", False),
    ("k@", True),
    ("a@b@c", False),
    ("-k@host", False),
    ("k@-host", False),
    ("k;x@host", False),
    ("k@ho st", False),
    ("ssh://k@host", True),
    ("ssh://k@host:22", False),
    ("ssh://%zz@host", False),
]


@pytest.mark.parametrize("destination, fine", SSH)
def test_ssh_destination(destination: str, fine: bool) -> None:
    assert (ssh_problem(destination) == "") is fine


ARGUMENTS = [
    # arguments, files that mkdumprd adds, in the problem
    ("-l --message-level 7 -d 31", 2, ""),
    ("-F -l --message-level 7 -d 31", 1, ""),
    ("-F", 2, "has -F, which is for the targets ssh and raw alone"),
    ("-l", 1, "no option of makedumpfile"),
    ("-E -c", 2, "joins -E with a compression"),
    ("-x vmlinux -i info", 2, "joins -x with -i"),
    ("-i info --xen-syms x", 2, "joins -i with --xen-syms"),
    ("-F --split", 1, "joins -F with --split"),
    ("--num-threads 2 -E", 2, "joins --num-threads with -E"),
    ("--num-threads 2 --split", 2, "joins --num-threads with --split"),
    ("--num-threads 0 -E", 2, ""),
    ("--dry-run --dump-dmesg", 2, "joins --dry-run with --dump-dmesg"),
    ("--partial-dmesg", 2, "has --partial-dmesg without --dump-dmesg"),
    ("-e", 2, "has -e without --work-dir"),
    ("--config f", 2, "has --config without -x"),
    ("-d 32", 2, "has dump level '32'"),
    ("-d 1,31", 2, ""),
    ("-d x", 2, ""),  # it is taken for 0
    ("-L 5x", 2, "has a limit of '5x'"),
    ("--message-level 32", 2, "has message level '32'"),
    ("--mess 7", 2, ""),
    ("--xen x", 2, "has --xen, which makedumpfile does not know"),
    ("--split=1", 2, "gives --split a value"),
    ("-q", 2, "has -q, which makedumpfile does not know"),
    ("-R", 2, "has -R, which writes no dump"),
    ("-g out", 2, "has -g, which writes no dump"),
    ("--reassemble -l", 2, "has --reassemble, which writes no dump"),
    ("-h", 2, ""),
    ("-l -d", 2, "no option of makedumpfile"),
    ("--diskset=a", 2, "no option of makedumpfile"),
    ("--diskset=a vmcore -d 3 --split", 1, ""),
    ("--mem-usage", 1, ""),
    ("-- x y", 1, "no option of makedumpfile"),
    ("-F --num-threads", 0, "has --num-threads without its value"),
    ("-b", 0, "has -b without its value"),
]


@pytest.mark.parametrize("arguments, files, expected", ARGUMENTS)
def test_arguments(arguments: str, files: int, expected: str) -> None:
    problem = arguments_problem(arguments.split(), files)
    assert (expected in problem) if expected else problem == ""


def test_arguments_of_an_older_makedumpfile() -> None:
    assert arguments_problem(["-z"], 2) == ""
    assert arguments_problem(["-z"], 2, (1, 6)) == "has -z, which makedumpfile does not know"
    assert "--dry-run" in arguments_problem(["--dry-run"], 2, (1, 6))
