# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import contextlib
import os
import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils import deploy
from ansible_collections.kdump.fleet.plugins.module_utils.configuration import (
    HEADER,
    SettingsError,
    edited,
    shown_texts,
)
from ansible_collections.kdump.fleet.plugins.module_utils.observe import observe
from ansible_collections.kdump.fleet.plugins.module_utils.records import (
    ORIGINALS,
    PENDING,
    SYSCTLS,
    SYSCTLS_SET,
)
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.base import Tooling
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.kdump_tools import KdumpTools
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.kexec import Kexec
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.suse import Suse
from ansible_collections.kdump.fleet.plugins.module_utils.wanted import OwnFile, Wanted
from ansible_collections.kdump.fleet.plugins.modules.kdump_conf import shown
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost

TOOLING = KdumpTools()
CONF = "/etc/default/kdump-tools"
HOOK = "/etc/kdump-fleet/pre.d/10-x"
SYSCTL = "/etc/sysctl.d/zz-kdump-fleet.conf"
Settings = t.Mapping[str, t.Optional[str]]


def carry_out(
    host: FakeHost,
    settings: Settings,
    files: t.Optional[t.Mapping[str, OwnFile]] = None,
    exclusive: bool = False,
) -> t.List[str]:
    """Return the paths that were changed."""
    found = deploy.changes(host, TOOLING, settings, files, exclusive)
    deploy.write(host, found)
    assert deploy.changes(host, TOOLING, settings, files, exclusive) == []
    return [change.path for change in found]


def give_back(host: FakeHost) -> t.List[str]:
    """Return the paths that others changed."""
    found, left = deploy.back(host, TOOLING)
    deploy.write(host, found, final=True)
    assert deploy.back(host, TOOLING) == ([], [])
    return left


def test_everything_comes_back(host: FakeHost) -> None:
    host.put(CONF, "# mine\nUSE_KDUMP=0\n")
    os.chmod(host.path(CONF), 0o640)
    carry_out(host, {"USE_KDUMP": "1"}, {HOOK: OwnFile("#!/bin/sh\n", 0o755)})
    carry_out(host, {"USE_KDUMP": "1", "KDUMP_NUM_DUMPS": "3"})
    assert os.stat(host.path(HOOK)).st_mode & 0o777 == 0o755
    assert os.stat(host.path(CONF)).st_mode & 0o777 == 0o640
    assert give_back(host) == []
    assert host.read(CONF) == "# mine\nUSE_KDUMP=0\n"
    assert not os.path.exists(host.path("/etc/kdump-fleet"))
    assert not host.exists(ORIGINALS.path) and not host.exists(PENDING.path)
    assert all(not host.exists(path) for path in TOOLING.own_files())


def test_a_file_that_was_not_there_goes(host: FakeHost) -> None:
    carry_out(host, {"USE_KDUMP": "1"})
    give_back(host)
    assert not host.exists(CONF)


def test_settings_go_back_in_a_file_that_somebody_else_has_edited(host: FakeHost) -> None:
    host.put(CONF, "USE_KDUMP=0\n")
    carry_out(host, {"USE_KDUMP": "1", "KDUMP_NUM_DUMPS": "3"})
    host.put(CONF, (host.read(CONF) or "") + "HOSTTAG=hostname\n")
    assert give_back(host) == []
    assert host.read(CONF) == 'USE_KDUMP="0"\nHOSTTAG=hostname\n'


def test_a_file_of_ours_that_somebody_else_has_edited_stays(host: FakeHost) -> None:
    carry_out(host, {}, {HOOK: OwnFile("#!/bin/sh\n", 0o755)})
    host.put(HOOK, "#!/bin/sh\necho mine\n")
    found, left = deploy.back(host, TOOLING)
    deploy.write(host, found, final=True)
    assert left == [HOOK] and host.read(HOOK) == "#!/bin/sh\necho mine\n"


def test_files_that_nobody_asks_for_any_more_go(host: FakeHost) -> None:
    carry_out(host, {}, {HOOK: OwnFile("#!/bin/sh\n", 0o755)})
    # Without a list of files, all stay.
    assert carry_out(host, {"USE_KDUMP": "1"}) == [CONF]
    assert carry_out(host, {"USE_KDUMP": "1"}, {}) == [HOOK]
    assert not host.exists(HOOK)
    assert HOOK not in ORIGINALS.load(host)


def test_what_the_capture_kernel_does_not_confirm_is_taken_back(host: FakeHost) -> None:
    host.put(CONF, "USE_KDUMP=0\n")
    carry_out(
        host, {"USE_KDUMP": "1"}, {HOOK: OwnFile("#!/bin/sh\n", 0o755), SYSCTL: OwnFile("a = 1\n")}
    )
    restored, left = deploy.take_back(host, TOOLING)
    assert CONF in restored and HOOK in restored and left == []
    # The panic policy has nothing to do with it.
    assert SYSCTL not in restored and host.exists(SYSCTL)
    assert host.read(CONF) == "USE_KDUMP=0\n"


def test_what_was_there_comes_back_with_its_mode(host: FakeHost) -> None:
    host.put(HOOK, "#!/bin/sh\n# token\n")
    os.chmod(host.path(HOOK), 0o700)
    carry_out(host, {}, {HOOK: OwnFile("#!/bin/sh\n", 0o755)})
    assert os.stat(host.path(HOOK)).st_mode & 0o777 == 0o755
    deploy.take_back(host, TOOLING)
    assert os.stat(host.path(HOOK)).st_mode & 0o777 == 0o700
    assert HOOK not in ORIGINALS.load(host)


def test_what_others_edit_between_two_runs_stays(host: FakeHost) -> None:
    host.put(CONF, "USE_KDUMP=0\n")
    carry_out(host, {"USE_KDUMP": "1"})
    host.put(CONF, (host.read(CONF) or "") + "HOSTTAG=hostname\n")
    carry_out(host, {"USE_KDUMP": "1", "KDUMP_NUM_DUMPS": "3"})
    assert give_back(host) == []
    assert host.read(CONF) == 'USE_KDUMP="0"\nHOSTTAG=hostname\n'


def test_what_others_edit_stays_when_the_change_is_not_confirmed(host: FakeHost) -> None:
    host.put(CONF, "USE_KDUMP=0\n")
    carry_out(host, {"USE_KDUMP": "1"})
    host.put(CONF, (host.read(CONF) or "") + "HOSTTAG=hostname\n")
    carry_out(host, {"USE_KDUMP": "1", "KDUMP_NUM_DUMPS": "3"})
    assert deploy.take_back(host, TOOLING)[1] == []
    assert host.read(CONF) == 'USE_KDUMP="0"\nHOSTTAG=hostname\n'


def test_a_package_that_replaces_the_file_between_two_runs_keeps_its_own(host: FakeHost) -> None:
    host.put(CONF, "# 1.8\nUSE_KDUMP=0\n")
    carry_out(host, {"USE_KDUMP": "1"})
    host.put(CONF, "# 1.10\nUSE_KDUMP=0\nSSH_KEY=/new\n")
    carry_out(host, {"USE_KDUMP": "1"})
    give_back(host)
    assert host.read(CONF) == '# 1.10\nUSE_KDUMP="0"\nSSH_KEY=/new\n'


class Killed(BaseException):
    """The run is over."""


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("writes", range(9))
def test_a_run_that_is_killed_at_any_write_is_taken_back_whole(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch, writes: int, exclusive: bool
) -> None:
    text = "# mine\nUSE_KDUMP = 0\nHOSTTAG=ip\n"
    host.put(CONF, text)
    carry_out(host, {"USE_KDUMP": "1"}, {HOOK: OwnFile("#!/bin/sh\n# v1\n", 0o755)}, exclusive)
    real, left = host.write, [writes]

    def write(path: str, *rest: t.Any, **options: t.Any) -> None:
        if not left[0]:
            raise Killed
        left[0] -= 1
        real(path, *rest, **options)

    monkeypatch.setattr(host, "write", write)
    second = {HOOK: OwnFile("#!/bin/sh\n# v2\n", 0o755)}
    found = deploy.changes(host, TOOLING, {"USE_KDUMP": "1", "KDUMP_NUM_DUMPS": "3"}, second, exclusive)  # fmt: skip
    with contextlib.suppress(Killed):
        deploy.write(host, found)
    monkeypatch.setattr(host, "write", real)
    assert give_back(host) == []
    assert host.read(CONF) == text
    assert not host.exists(HOOK) and not host.exists(ORIGINALS.path)


def test_another_tooling_takes_back_the_files_of_the_one_before(host: FakeHost) -> None:
    host.put(CONF, "USE_KDUMP=0\n")
    carry_out(host, {"USE_KDUMP": "1"}, {})
    host.put(CONF, (host.read(CONF) or "") + "HOSTTAG=hostname\n")
    found = deploy.changes(host, Kexec(), {"DUMP_PATH": "/srv"}, {}, False)
    deploy.write(host, found)
    assert host.read(CONF) == 'USE_KDUMP="0"\nHOSTTAG=hostname\n'
    assert deploy.changes(host, Kexec(), {"DUMP_PATH": "/srv"}, {}, False) == []
    # And its unit goes with its link.
    host.runner.answer("systemctl", "disable", "kdump-fleet.service")
    carry_out(host, {"USE_KDUMP": "1"}, {})
    assert ("systemctl", "disable", "kdump-fleet.service") in host.runner.started
    give_back(host)
    assert host.read(CONF) == 'USE_KDUMP="0"\nHOSTTAG=hostname\n'


def test_a_file_for_nobody_stays_so(host: FakeHost) -> None:
    carry_out(host, {}, {HOOK: OwnFile("#!/bin/sh\n", 0)})
    assert os.stat(host.path(HOOK)).st_mode & 0o777 == 0


def test_another_mode_is_a_change(host: FakeHost) -> None:
    files = {HOOK: OwnFile("#!/bin/sh\n", 0o755)}
    carry_out(host, {}, files)
    os.chmod(host.path(HOOK), 0o644)
    assert carry_out(host, {}, files) == [HOOK]


def test_units_are_read_again(host: FakeHost) -> None:
    host.runner.answer("systemctl", "daemon-reload")
    carry_out(host, {}, {})
    assert ("systemctl", "daemon-reload") in host.runner.started
    host.runner.started.clear()
    carry_out(host, {"USE_KDUMP": "1"}, {})
    assert host.runner.started == []


EXCLUSIVE = [
    ("nonsense\nHOSTTAG=ip\n", {"USE_KDUMP": "1"}, 'USE_KDUMP="1"\n'),
    ('FTP_PASSWORD="x"\n', {"USE_KDUMP": "1"}, 'FTP_PASSWORD="x"\nUSE_KDUMP="1"\n'),
    ("", {}, ""),
]


@pytest.mark.parametrize("text, settings, expected", EXCLUSIVE)
def test_exclusive_leaves_what_was_asked_for_and_secrets(
    host: FakeHost, text: str, settings: Settings, expected: str
) -> None:
    host.put(CONF, text)
    carry_out(host, settings, exclusive=True)
    lines = (host.read(CONF) or "").splitlines(keepends=True)
    assert lines[0].startswith("# Managed by Ansible")
    assert "".join(lines[1:]) == expected


SECRET_LINES = [
    'FTP_PASSWORD="top\ns3cret"\nUSE_KDUMP=1\n',
    "FTP_PASSWORD='top\ns3cret'\nUSE_KDUMP=1\n",
    'FTP_PASSWORD="a\\"\ns3cret"\nUSE_KDUMP=1\n',
    "FTP_PASSWORD=a\\\ns3cret\nUSE_KDUMP=1\n",
    'FTP_PASSWORD="a # b\ns3cret"\nUSE_KDUMP=1\n',
]


@pytest.mark.parametrize("text", SECRET_LINES)
def test_a_secret_that_goes_on_over_lines_is_hidden_whole(text: str) -> None:
    shown = TOOLING.config_files[0].redact(text)
    assert "s3cret" not in shown and shown.endswith("\nUSE_KDUMP=1\n")


COMMENTS = [
    "# the server's FTP_PASSWORD\n",
    "FTP_PASSWORD=abc # the admin's\n",
    'FTP_PASSWORD="a # b"\n',
]


@pytest.mark.parametrize("line", COMMENTS)
def test_an_apostrophe_in_a_comment_hides_nothing_else(line: str) -> None:
    assert TOOLING.config_files[0].redact(line + "USE_KDUMP=1\n").endswith("\nUSE_KDUMP=1\n")


def test_the_plan_keeps_the_secrets_that_the_host_keeps(host: FakeHost) -> None:
    """The controller sees a setting with its secret masked, and a line without its text."""
    text = 'FTP_PASSWORD="top\ns3cret"\nUSE_KDUMP=1\nHOSTTAG=ip\n'
    host.put(CONF, text)
    carry_out(host, {"USE_KDUMP": "1"}, exclusive=True)
    now = {CONF: host.read(CONF) or ""}
    assert "s3cret" in now[CONF] and "HOSTTAG" not in now[CONF]
    shown = shown_texts(TOOLING, now)
    assert edited(TOOLING, shown, {"USE_KDUMP": "1"}, None, True) == shown


TOOLINGS: t.Dict[str, Tooling] = {"kdump-tools": TOOLING, "suse": Suse()}
# What is there, what is wanted, and whether the file is to be ours alone.
PLANNED: t.List[t.Tuple[str, str, Settings, bool]] = [
    ("kdump-tools", 'FTP="srv:/x" # ask a@corp\n', {"USE_KDUMP": "1"}, False),
    ("kdump-tools", 'FTP="srv:/x" # ask a@corp\nSSH=u:s3cret@h\n', {"NFS": "h:/x"}, True),
    ("kdump-tools", "FTP_PASSWORD=s3cret\nFTP_PASSWORD=top\n", {"USE_KDUMP": "1"}, False),
    ("kdump-tools", "HOSTTAG=ip\nFTP_PASSWORD=s3cret\nFTP_PASSWORD=top\n", {}, True),
    ("kdump-tools", "FTP_PASSWORD=s3cret$x\nFTP_PASSWORD=top\n", {"USE_KDUMP": "1"}, False),
    ("kdump-tools", "FTP_PASSWORD=\"s3\ncret\"\nFTP_PASSWORD='s3\\\ncret'\n", {}, False),
    ("kdump-tools", "FTP_PASSWORD = s3cret\n", {"HOSTTAG": "ip"}, False),
    ("kdump-tools", "FTP_PASSWORD = s3cret$x\n", {"HOSTTAG": "ip"}, False),
    ("kdump-tools", "FTP_PASSWORD=a s3cret\nX=1\n", {"HOSTTAG": "ip"}, True),
    ("kdump-tools", "if grep -q FTP_PASSWORD /x; then\n  X=1\nfi\n", {"HOSTTAG": "ip"}, False),
    ("kdump-tools", "# FTP_PASSWORD=s3cret\nFTP_PASSWORD=x # was s3cret\n", {}, True),
    (
        "kdump-tools",
        'if x; then\n  X=1\nfi\nKDUMP_X="FTP_PASS\\\nWORD=s3cret"\nif y; then\n  z\nfi\n',
        {},
        False,
    ),
    ("suse", 'KDUMP_SAVEDIR="ssh://u@h:22/d" # ask a@corp\n', {"KDUMP_VERBOSE": "1"}, False),
    ("suse", 'KDUMP_SAVEDIR="ssh://u@h:22/d" # ask a@corp\n', {"KDUMP_SAVEDIR": "/x"}, True),
    ("suse", "KDUMP_SAVEDIR=ftp://u:s3cret@h/d # a@b\n", {"KDUMP_SAVEDIR": "/x"}, True),
    ("suse", "KDUMP_SAVEDIR=ftp://u:s3cret@h/d\nKDUMP_SAVEDIR=/x\n", {}, True),
    ("suse", "KDUMP_SAVEDIR=ftp://u:\nKDUMP_SAVEDIR+=s3cret@h/d\n", {}, True),
    ("suse", "KDUMP_SAVEDIR = cifs://u:s3cret@h/d\n", {"KDUMP_VERBOSE": "1"}, False),
    ("suse", 'KDUMP_TRANSFER="cp -u a b"\nKDUMP_SMTP_PASSWORD=s3cret\n', {}, True),
    ("suse", 'KDUMP_TRANSFER="curl -u a:s3cret h"\n', {"KDUMP_VERBOSE": "1"}, True),
    ("suse", 'KDUMP_COMMANDLINE_APPEND="root=nfs://s:/x a=b@c"\n', {}, True),
    ("suse", 'KDUMP_COMMANDLINE_APPEND="a=ftp://u:s3cret@h b"\n', {}, True),
]


@pytest.mark.parametrize("name, text, settings, exclusive", PLANNED)
def test_the_plan_comes_to_what_the_host_has(
    name: str, text: str, settings: Settings, exclusive: bool
) -> None:
    """And what is written is not planned once more, on either side."""
    tooling = TOOLINGS[name]
    path = tooling.config_files[0].path
    planned = edited(tooling, shown_texts(tooling, {path: text}), settings, None, exclusive)
    written = edited(tooling, {path: text}, settings, None, exclusive)
    assert shown_texts(tooling, written) == planned
    assert "s3cret" not in planned[path]
    assert edited(tooling, written, settings, None, exclusive) == written
    assert edited(tooling, planned, settings, None, exclusive) == planned


# Of lines like these, what stays in a file that is ours alone.
ALONE = [
    ("kdump-tools", "FTP_PASSWORD=s3cret\n", True),
    ("kdump-tools", "export FTP_PASSWORD='s3\ncret' # why\n", True),
    ("kdump-tools", "#FTP_PASSWORD=s3cret\n", False),
    ("kdump-tools", 'FTP="srv:/x" # ask a@corp\n', False),
    ("kdump-tools", "FTP=u:s3cret@h\n", False),
    ("suse", 'KDUMP_SMTP_PASSWORD="s3cret"\n', True),
    ("suse", "KDUMP_SAVEDIR=ftp://u:s3cret@h/d\n", True),
    ("suse", 'KDUMP_SAVEDIR="ssh://u@h:22/d" # ask admin@corp\n', False),
    ("suse", 'KDUMP_SAVEDIR="/x" # once ftp://u:s3cret@h\n', False),
    ("suse", 'KDUMP_TRANSFER="cp -u /a /b/token"\n', False),
    ("suse", 'KDUMP_TRANSFER="curl -u u:s3cret ftp://h"\n', True),
    ("suse", 'KDUMP_COMMANDLINE_APPEND="root=nfs://s:/x a=b@c"\n', False),
    ("suse", 'KDUMP_COMMANDLINE_APPEND="a=ftp://u:s3cret@h"\n', True),
]


@pytest.mark.parametrize("name, line, stays", ALONE)
def test_a_file_of_ours_alone_keeps_no_more_than_secrets(name: str, line: str, stays: bool) -> None:
    tooling = TOOLINGS[name]
    path = tooling.config_files[0].path
    assert edited(tooling, {path: line}, {}, None, True)[path] == HEADER + (line if stays else "")
    shown = shown_texts(tooling, {path: line})
    assert (edited(tooling, shown, {}, None, True)[path] != HEADER) is stays


def test_a_masked_url_stays_in_an_exclusive_file() -> None:
    suse = Suse()
    path = suse.config_files[0].path
    text = HEADER + 'KDUMP_SAVEDIR="ftp://u:s3cret@h/d"\n'
    shown = shown_texts(suse, {path: text})
    assert "s3cret" not in shown[path]
    assert edited(suse, shown, {}, None, True) == shown


SUSE_TARGETS: t.List[t.Tuple[str, t.Optional[t.Dict[str, str]]]] = [
    ("", None),
    ("/var/crash", None),
    ("ssh://u@h/var/crash", {"type": "ssh", "location": "u@h"}),
    ("ftp://u:s3cret@h/var/crash", {"type": "ftp", "location": "u@h"}),
]


@pytest.mark.parametrize("savedir, target", SUSE_TARGETS)
def test_an_exclusive_file_keeps_its_target_in_every_run(
    host: FakeHost, savedir: str, target: t.Optional[t.Dict[str, str]]
) -> None:
    suse = Suse()
    path = suse.config_files[0].path
    host.put(path, f'KDUMP_SAVEDIR="{savedir}"\nKDUMP_VERBOSE="3"\n')
    texts = []
    for _run in range(3):
        settings = suse.config_files[0].parse(host.read(path) or "")
        facts = {
            "architecture": "x86_64",
            "distribution": {"id": "", "version": "", "name": "", "like": []},
            "kernel": {"release": "6.12.0", "cmdline": "", "options": {}},
            "target": {"path": "/var/crash", "fstype": "ext4", "source": "/dev/vda1"},
            "tooling": {"installed": True, "release": None, "rules": {}, "settings": settings},
        }
        made = suse.configure(Wanted(exclusive=True, target=target), facts)
        assert made.problems == []
        deploy.write(host, deploy.changes(host, suse, made.settings, {}, True))
        texts.append(host.read(path) or "")
    assert texts[0] == texts[1] == texts[2] and "KDUMP_VERBOSE" not in texts[0]
    assert f'KDUMP_SAVEDIR="{savedir or "/var/crash"}"\n' in texts[0]


def test_a_diff_has_no_secret_of_the_tooling_from_before(host: FakeHost) -> None:
    host.put(CONF, "USE_KDUMP=0\nFTP_PASSWORD=s3cret\n")
    carry_out(host, {"USE_KDUMP": "1"}, {})
    found = deploy.changes(host, Kexec(), {"DUMP_PATH": "/srv"}, {}, False)
    assert CONF in [change.path for change in found]
    assert "s3cret" not in str([shown(Kexec(), change) for change in found])


def test_nothing_is_written_that_would_be_misread(host: FakeHost) -> None:
    text = "USE_KDUMP=1\nX='\n"
    host.put(CONF, text)
    with pytest.raises(SettingsError, match="repair it by hand, or set kdump_exclusive"):
        deploy.changes(host, TOOLING, {"KDUMP_NUM_DUMPS": "a b"}, None, False)
    assert host.read(CONF) == text


SPOILT = [
    (TOOLING, "if true; then\n", "line 1"),
    (TOOLING, "USE_KDUMP=1\ncat <<X\n", "line 2"),
    (Kexec(), "DUMP_PATH=/srv\nFREE_SPACE='64\n", "line 2"),
    (Suse(), 'KDUMP_VERBOSE="1\n', "line 1"),
]


@pytest.mark.parametrize("tooling, text, line", SPOILT)
def test_a_file_that_a_shell_may_not_read_to_its_end_is_refused(
    tooling: t.Any, text: str, line: str
) -> None:
    path = tooling.config_files[0].path
    with pytest.raises(SettingsError, match=f"{path}.*{line}.*repair it by hand"):
        edited(tooling, {path: text}, {})
    assert edited(tooling, {path: text}, {}, None, True)[path] == HEADER


def test_sysctls_are_set_and_go_back(host: FakeHost) -> None:
    panic, oops = "/proc/sys/kernel/panic", "/proc/sys/kernel/panic_on_oops"
    host.put(panic, "0\n")
    host.put(oops, "0\n")

    def settle(wanted: t.Mapping[str, str]) -> int:
        found = deploy.sysctl_changes(host, wanted)
        deploy.set_sysctls(host, found, wanted)
        assert deploy.sysctl_changes(host, wanted) == []
        return len(found)

    assert settle({"kernel.panic": "10", "kernel.panic_on_oops": "1"}) == 2
    assert settle({"kernel.panic": "20", "kernel.panic_on_oops": "1"}) == 1
    assert (host.read(panic), host.read(oops)) == ("20\n", "1\n")
    assert settle({"kernel.panic": "20"}) == 1
    assert host.read(oops) == "0\n"
    assert settle({}) == 1
    assert host.read(panic) == "0\n"
    # What somebody else has set since is theirs.
    assert settle({"kernel.panic": "10"}) == 1
    host.put(panic, "30\n")
    assert settle({}) == 1
    assert host.read(panic) == "30\n" and not host.exists(SYSCTLS.path)
    assert not host.exists(SYSCTLS_SET.path)


def test_a_setting_that_the_kernel_has_no_more_is_forgotten(host: FakeHost) -> None:
    panic, oops = "/proc/sys/kernel/panic", "/proc/sys/kernel/panic_on_oops"
    host.put(panic, "0\n")
    host.put(oops, "0\n")
    wanted = {"kernel.panic": "10", "kernel.panic_on_oops": "1"}
    deploy.set_sysctls(host, deploy.sysctl_changes(host, wanted), wanted)
    assert observe(host)["own_sysctls"] == {"kernel.panic": "0", "kernel.panic_on_oops": "0"}
    os.unlink(host.path(oops))
    # What is not there is not planned, and goes with the next run.
    assert observe(host)["own_sysctls"] == {"kernel.panic": "0"}
    deploy.set_sysctls(host, [], {"kernel.panic": "10"})
    assert (SYSCTLS.load(host), SYSCTLS_SET.load(host)) == (
        {"kernel.panic": "0"},
        {"kernel.panic": "10"},
    )
    os.unlink(host.path(panic))
    deploy.set_sysctls(host, [], {})
    assert not host.exists(SYSCTLS.path) and not host.exists(SYSCTLS_SET.path)


def test_a_value_that_the_kernel_ignores_is_no_success(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.put("/proc/sys/kernel/nmi_watchdog", "0\n")
    read = host.read_word
    monkeypatch.setattr(host, "read_word", lambda path: "0" if "nmi" in path else read(path))
    host.put("/proc/sys/kernel/panic", "0\n")
    wanted = {"kernel.panic": "10", "kernel.nmi_watchdog": "1"}
    found = deploy.sysctl_changes(host, wanted)
    with pytest.raises(SettingsError, match="does not take kernel.nmi_watchdog = 1"):
        deploy.set_sysctls(host, found, wanted)
    # All of them, or none.
    assert host.read("/proc/sys/kernel/panic") == "0\n" and not host.exists(SYSCTLS.path)


def test_a_setting_that_the_kernel_does_not_have_is_refused(host: FakeHost) -> None:
    with pytest.raises(SettingsError, match="kernel.no_such is no setting"):
        deploy.sysctl_changes(host, {"kernel.no_such": "1"})
