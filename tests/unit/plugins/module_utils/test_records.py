# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import os

from ansible_collections.kdump.fleet.plugins.module_utils.records import (
    PENDING,
    SYSCTLS,
    others,
)
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost


def test_whose_a_text_is(host: FakeHost) -> None:
    host.put("/etc/a", "one")
    PENDING.keep(host, {"/etc/a": "two"})
    # A run that was cut off before it wrote.
    PENDING.keep(host, {"/etc/a": "three"}, merged=["/etc/a"])
    entry = PENDING.load(host)["/etc/a"]
    assert [others(entry, text) for text in ("one", "two", "three", "four", None)] == [
        *(False, False, False),
        *(True, True),
    ]


def test_what_others_changed_between_two_runs_is_remembered(host: FakeHost) -> None:
    host.put("/etc/a", "one")
    PENDING.keep(host, {"/etc/a": "two"}, merged=["/etc/a"])
    host.put("/etc/a", "two and theirs")
    PENDING.keep(host, {"/etc/a": "three and theirs"}, merged=["/etc/a"])
    assert others(PENDING.load(host)["/etc/a"], "three and theirs")
    # A file that is written whole holds nothing of others.
    PENDING.keep(host, {"/etc/a": "four"})
    assert not others(PENDING.load(host)["/etc/a"], "four")


def test_it_is_for_root_alone(host: FakeHost) -> None:
    PENDING.keep(host, {"/etc/a": "new"})
    assert os.stat(host.path(PENDING.path)).st_mode & 0o777 == 0o600


def test_a_record_that_somebody_broke_holds_nothing(host: FakeHost) -> None:
    for text in ("{", "[]"):
        host.put(PENDING.path, text)
        host.put(SYSCTLS.path, text)
        assert PENDING.load(host) == {}
        assert SYSCTLS.load(host) == {}
    host.put(PENDING.path, '{"/etc/a": {"before": "one", "after": "0"}, "/etc/b": 1}')
    assert PENDING.load(host) == {}


def test_values_from_before_the_first_change_stay(host: FakeHost) -> None:
    SYSCTLS.keep(host, {"kernel.panic": "0"})
    SYSCTLS.keep(host, {"kernel.panic": "10", "kernel.sysrq": "438"})
    assert SYSCTLS.load(host) == {"kernel.panic": "0", "kernel.sysrq": "438"}
    SYSCTLS.forget(host, ["kernel.panic"])
    assert SYSCTLS.load(host) == {"kernel.sysrq": "438"}
    SYSCTLS.forget(host, ["kernel.sysrq"])
    assert not host.exists(SYSCTLS.path)
