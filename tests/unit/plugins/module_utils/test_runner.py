# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one test of real processes: that a time limit ends children too."""

import pathlib
import time
import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.runner import CommandError, SystemRunner

START = SystemRunner.start


@pytest.fixture(autouse=True)
def real(monkeypatch: pytest.MonkeyPatch, no_real_process: t.Any) -> None:
    monkeypatch.setattr(SystemRunner, "start", START)


def test_a_time_limit_ends_children_too(tmp_path: t.Any) -> None:
    child = tmp_path / "child"
    script = 'sleep 600 & echo $! > "$1"; wait'
    with pytest.raises(CommandError, match="ended after 1 s"):
        SystemRunner().start(["sh", "-c", script, "sh", str(child)], 1)
    status = pathlib.Path(f"/proc/{child.read_text().strip()}/status")
    for _attempt in range(100):
        # Its end takes a moment to show; a zombie has ended.
        try:
            if "State:\tZ" in status.read_text():
                return
        except (FileNotFoundError, ProcessLookupError):
            return
        time.sleep(0.1)
    raise AssertionError("the child outlived the time limit")


def test_an_exit_code_is_judged() -> None:
    runner = SystemRunner()
    assert runner.run(["sh", "-c", "echo out"]) == "out\n"
    assert runner.run(["false"], ok_codes=(1,)) == ""
    with pytest.raises(CommandError, match="exited with 3: why"):
        runner.run(["sh", "-c", "echo why >&2; exit 3"])
    with pytest.raises(CommandError, match="could not be started"):
        runner.run(["no-such-program"])
