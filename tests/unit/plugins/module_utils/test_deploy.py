# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils import deploy
from ansible_collections.kdump.fleet.plugins.module_utils.configuration import SettingsError
from ansible_collections.kdump.fleet.plugins.module_utils.records import ORIGINALS, PENDING
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.kdump_tools import KdumpTools
from ansible_collections.kdump.fleet.plugins.module_utils.wanted import OwnFile
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
    restored, left = PENDING.restore(host)
    assert CONF in restored and HOOK in restored and left == []
    # The panic policy has nothing to do with it.
    assert SYSCTL not in restored and host.exists(SYSCTL)
    assert host.read(CONF) == "USE_KDUMP=0\n"


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


def test_nothing_is_written_that_would_be_misread(host: FakeHost) -> None:
    text = "USE_KDUMP=1\nX='\n"
    host.put(CONF, text)
    with pytest.raises(SettingsError, match="repair it by hand, or set kdump_exclusive"):
        deploy.changes(host, TOOLING, {"KDUMP_NUM_DUMPS": "a b"}, None, False)
    assert host.read(CONF) == text


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


def test_a_value_that_the_kernel_ignores_is_no_success(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.put("/proc/sys/kernel/nmi_watchdog", "0\n")
    monkeypatch.setattr(host, "read_word", lambda _path: "0")
    found = deploy.sysctl_changes(host, {"kernel.nmi_watchdog": "1"})
    with pytest.raises(SettingsError, match="does not take kernel.nmi_watchdog = 1"):
        deploy.set_sysctls(host, found, {"kernel.nmi_watchdog": "1"})
