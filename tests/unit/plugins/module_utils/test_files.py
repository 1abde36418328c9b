# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import typing as t

import pytest

from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost


def test_write_keeps_the_mode(host: FakeHost) -> None:
    host.put("/etc/x", "old")
    os.chmod(host.path("/etc/x"), 0o640)
    host.write("/etc/x", "new", mode=0o644)
    assert host.read("/etc/x") == "new"
    assert os.stat(host.path("/etc/x")).st_mode & 0o777 == 0o640


def test_a_new_file_has_the_mode_asked_for(host: FakeHost) -> None:
    host.write("/etc/new/x", "text", mode=0o600)
    assert os.stat(host.path("/etc/new/x")).st_mode & 0o777 == 0o600


def test_write_follows_a_link(host: FakeHost) -> None:
    host.put("/etc/real", "old")
    os.symlink("real", host.path("/etc/link"))
    host.write("/etc/link", "new")
    assert os.path.islink(host.path("/etc/link"))
    assert host.read("/etc/real") == "new"


def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.put("/etc/x", "old")

    def refuse(*_args: t.Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="No space"):
        host.write("/etc/x", "new")
    assert host.read("/etc/x") == "old"
    assert os.listdir(host.path("/etc")) == ["x"]


def test_what_a_killed_write_left_goes_with_the_next_one(host: FakeHost) -> None:
    host.put("/etc/.kdump-fleet-old", "half", mtime=1000)
    host.put("/etc/.kdump-fleet-young", "half")
    host.write("/etc/x", "new")
    assert sorted(os.listdir(host.path("/etc"))) == [".kdump-fleet-young", "x"]


def test_lines_may_end_as_on_windows(host: FakeHost) -> None:
    host.write("/x", "a\r\nb\n")
    with open(host.path("/x"), "rb") as handle:
        assert handle.read() == b"a\r\nb\n"
    assert host.read("/x") == "a\r\nb\n"


def test_a_failed_write_whose_new_file_is_gone_says_why(
    host: FakeHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(path: str, _target: str) -> None:
        os.unlink(path)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "replace", lose)
    with pytest.raises(OSError, match="Input/output"):
        host.write("/x", "new")
