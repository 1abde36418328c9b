# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import os

from ansible_collections.kdump.fleet.plugins.module_utils.records import PENDING, SYSCTLS
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost


def test_what_was_there_first_comes_back(host: FakeHost) -> None:
    host.put("/etc/a", "one")
    os.chmod(host.path("/etc/a"), 0o640)
    PENDING.keep(host, {"/etc/a": "two", "/etc/b": "new"})
    host.put("/etc/a", "two")
    PENDING.keep(host, {"/etc/a": "three"})
    host.put("/etc/a", "three")
    host.put("/etc/b", "new")
    assert PENDING.restore(host) == (["/etc/a", "/etc/b"], [])
    assert host.read("/etc/a") == "one"
    assert not host.exists("/etc/b")
    assert not host.exists(PENDING.path)


def test_a_file_that_was_deleted_comes_back_with_its_mode(host: FakeHost) -> None:
    host.put("/etc/a", "one")
    os.chmod(host.path("/etc/a"), 0o640)
    PENDING.keep(host, {"/etc/a": None})
    os.unlink(host.path("/etc/a"))
    PENDING.restore(host)
    assert os.stat(host.path("/etc/a")).st_mode & 0o777 == 0o640


def test_what_somebody_else_has_changed_since_is_left_alone(host: FakeHost) -> None:
    host.put("/etc/a", "one")
    PENDING.keep(host, {"/etc/a": "two"})
    host.put("/etc/a", "by hand")
    assert PENDING.restore(host) == ([], ["/etc/a"])
    assert host.read("/etc/a") == "by hand"


def test_only_some_are_restored(host: FakeHost) -> None:
    PENDING.keep(host, {"/etc/a": "new", "/etc/b": "new"})
    host.put("/etc/a", "new")
    host.put("/etc/b", "new")
    assert PENDING.restore(host, ["/etc/a"]) == (["/etc/a"], [])
    assert list(PENDING.load(host)) == ["/etc/b"]


def test_it_is_for_root_alone(host: FakeHost) -> None:
    PENDING.keep(host, {"/etc/a": "new"})
    assert os.stat(host.path(PENDING.path)).st_mode & 0o777 == 0o600


def test_a_record_that_somebody_broke_holds_nothing(host: FakeHost) -> None:
    for text in ("{", "[]"):
        host.put(PENDING.path, text)
        host.put(SYSCTLS.path, text)
        assert PENDING.load(host) == {}
        assert SYSCTLS.load(host) == {}


def test_values_from_before_the_first_change_stay(host: FakeHost) -> None:
    SYSCTLS.keep(host, {"kernel.panic": "0"})
    SYSCTLS.keep(host, {"kernel.panic": "10", "kernel.sysrq": "438"})
    assert SYSCTLS.load(host) == {"kernel.panic": "0", "kernel.sysrq": "438"}
    SYSCTLS.forget(host, ["kernel.panic"])
    assert SYSCTLS.load(host) == {"kernel.sysrq": "438"}
    SYSCTLS.forget(host, ["kernel.sysrq"])
    assert not host.exists(SYSCTLS.path)
