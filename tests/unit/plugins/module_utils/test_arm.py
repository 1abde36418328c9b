# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils import arm
from ansible_collections.kdump.fleet.plugins.module_utils.observe import observe
from ansible_collections.kdump.fleet.plugins.module_utils.records import PENDING
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.kdump_tools import HOOK
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost

LOADED = "/sys/kernel/kexec_crash_loaded"
CONF = "/etc/default/kdump-tools"
INITRD = "/var/lib/kdump/initrd.img-6.1.0-2-amd64"


def commands(host: FakeHost) -> t.List[t.Tuple[str, ...]]:
    return [argv for argv in host.runner.started if argv[0] in ("kdump-config", HOOK)]


def replaced(host: FakeHost, before: str, after: str) -> None:
    """Keep what was in the configuration before a change that is there now."""
    now = host.read(CONF) or ""
    host.put(CONF, before)
    PENDING.keep(host, {CONF: after})
    host.put(CONF, now)


def carry_out(host: FakeHost, state: str = "loaded") -> arm.Outcome:
    facts = observe(host)
    return arm.apply(host, facts, arm.plan(facts, state))


def test_an_armed_host_is_left_alone(debian: FakeHost) -> None:
    assert not arm.plan(observe(debian), "loaded").changed


def test_load(debian: FakeHost) -> None:
    debian.put(LOADED, "0\n")
    debian.runner.does("kdump-config", "load", action=lambda: debian.put(LOADED, "1\n"))
    outcome = carry_out(debian)
    assert outcome.loaded and commands(debian) == [("kdump-config", "load")]


def test_a_stale_initrd_is_built_and_loaded_anew(debian: FakeHost) -> None:
    debian.put("/etc/kdump/sysctl.conf", "other\n")
    debian.runner.does(HOOK, "6.1.0-2-amd64", action=lambda: debian.put(INITRD, "new"))
    debian.runner.answer("kdump-config", "reload")
    outcome = carry_out(debian)
    assert outcome.built and commands(debian) == [
        (HOOK, "6.1.0-2-amd64"),
        ("kdump-config", "reload"),
    ]


def test_without_a_reservation_the_cause_is_told(debian: FakeHost) -> None:
    debian.put("/sys/kernel/kexec_crash_size", "0\n")
    debian.put(LOADED, "0\n")
    with pytest.raises(arm.ArmError, match="crashkernel=384M-:128M reserved nothing"):
        arm.plan(observe(debian), "loaded")


def test_a_container_is_refused(debian: FakeHost) -> None:
    debian.runner.answer("systemd-detect-virt", "--container", stdout="lxc\n")
    with pytest.raises(arm.ArmError, match="container"):
        arm.plan(observe(debian), "loaded")


def test_a_command_that_lies_is_not_believed(debian: FakeHost) -> None:
    """kdump-config can end with success and have loaded nothing."""
    debian.put(LOADED, "0\n")
    debian.runner.answer("kdump-config", "load")
    with pytest.raises(arm.ArmError, match="the kernel says that nothing is loaded") as caught:
        carry_out(debian)
    assert "NOT armed" in str(caught.value)
    assert not caught.value.outcome.loaded


def test_a_configuration_that_does_not_load_is_taken_back(debian: FakeHost) -> None:
    good = debian.read(CONF) or ""
    bad = "KDUMP_KERNEL=/none\n"
    replaced(debian, good, bad)
    debian.put(CONF, bad)

    def reload() -> None:
        debian.put(LOADED, "0\n")

    def load() -> None:
        debian.put(LOADED, "1\n" if debian.read(CONF) == good else "0\n")

    debian.runner.does(
        "kdump-config", "reload", action=reload, code=1, stderr="KDUMP_KERNEL does not exist"
    )
    debian.runner.does("kdump-config", "load", action=load)
    with pytest.raises(arm.ArmError) as caught:
        carry_out(debian)
    message = str(caught.value)
    assert "KDUMP_KERNEL does not exist" in message
    assert f"the previous {CONF} is back" in message
    assert message.endswith("the host is armed")
    assert debian.read(CONF) == good
    assert caught.value.outcome.restored == [CONF]
    assert not debian.exists(PENDING.path)


def test_a_configuration_that_loads_is_confirmed(debian: FakeHost) -> None:
    replaced(debian, "old", "new")
    debian.runner.answer("kdump-config", "reload")
    carry_out(debian)
    assert not debian.exists(PENDING.path)
    assert commands(debian) == [("kdump-config", "reload")]


def test_a_boot_since_the_change_has_loaded_it(debian: FakeHost) -> None:
    replaced(debian, "old", "new")
    debian.put("/proc/stat", "btime 99999999999\n")
    carry_out(debian)
    assert commands(debian) == []
    assert not debian.exists(PENDING.path)


def test_the_journal_is_quoted(debian: FakeHost) -> None:
    debian.put(LOADED, "0\n")
    debian.runner.answer("kdump-config", "load", code=1, stderr="failed")
    debian.runner.answer(
        "journalctl", "--boot", "--no-pager", "--output=cat", "--unit=kdump-tools.service", "--lines=15",
        stdout="Starting\nKDUMP_INITRD does not exist: /x\n",
    )  # fmt: skip
    with pytest.raises(arm.ArmError, match="journal: KDUMP_INITRD does not exist: /x"):
        carry_out(debian)


def test_built_does_not_load(debian: FakeHost) -> None:
    debian.put(LOADED, "0\n")
    assert not arm.plan(observe(debian), "built").changed
    debian.remove(INITRD)
    debian.runner.does(HOOK, "6.1.0-2-amd64", action=lambda: debian.put(INITRD, "new"))
    outcome = carry_out(debian, "built")
    assert not outcome.loaded and commands(debian) == [(HOOK, "6.1.0-2-amd64")]


def test_unload(debian: FakeHost) -> None:
    debian.runner.does("kdump-config", "unload", action=lambda: debian.put(LOADED, "0\n"))
    assert not carry_out(debian, "unloaded").loaded
    assert not arm.plan(observe(debian), "unloaded").changed


def test_an_initrd_that_does_not_load_is_taken_back(debian: FakeHost) -> None:
    debian.put("/etc/kdump/sysctl.conf", "other\n")

    def build() -> None:
        debian.remove(INITRD)
        debian.put(INITRD, "too big")

    debian.runner.does(HOOK, "6.1.0-2-amd64", action=build)

    def load() -> None:
        debian.put(LOADED, "1\n" if debian.read(INITRD) == "initrd" else "0\n")

    debian.runner.does(
        "kdump-config", "reload", action=load, code=1, stderr="Cannot allocate memory"
    )
    debian.runner.does("kdump-config", "load", action=load)
    with pytest.raises(arm.ArmError) as caught:
        carry_out(debian)
    assert "the previous initrd is back" in str(caught.value)
    assert caught.value.outcome.loaded and debian.read(INITRD) == "initrd"


def test_an_edit_by_somebody_else_is_not_taken_back(debian: FakeHost) -> None:
    replaced(debian, "old", "new")
    debian.put(CONF, "# edited by hand\n")
    debian.runner.does("kdump-config", "reload", action=lambda: debian.put(LOADED, "0\n"))
    with pytest.raises(arm.ArmError):
        carry_out(debian)
    assert debian.read(CONF) == "# edited by hand\n"


def test_a_full_disk_is_told_like_any_other_failure(
    debian: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    debian.put("/etc/kdump/sysctl.conf", "other\n")
    debian.runner.does(HOOK, "6.1.0-2-amd64", action=lambda: None)

    def refuse(*_args: t.Any, **_options: t.Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(debian, "write", refuse)
    with pytest.raises(arm.ArmError, match="No space left on device.*the host is armed"):
        carry_out(debian)
