# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one test of real processes: time limits, and what is done as somebody else."""

import contextlib
import os
import pathlib
import resource
import signal
import tempfile
import time
import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.runner import (
    CommandError,
    Limits,
    SystemRunner,
    User,
)

START, APART = SystemRunner.start, SystemRunner.apart
NOBODY = User(65534, 65534)
LIMITS = Limits(memory=2 << 30, file=1 << 20, cpu=60, timeout=60)


@pytest.fixture(autouse=True)
def real(monkeypatch: pytest.MonkeyPatch, no_real_process: t.Any) -> None:
    monkeypatch.setattr(SystemRunner, "start", START)
    monkeypatch.setattr(SystemRunner, "apart", APART)


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


def who() -> t.Dict[str, t.Any]:
    return {
        "user": [list(os.getresuid()), list(os.getresgid()), os.getgroups()],
        "limits": [resource.getrlimit(what)[1] for what in (resource.RLIMIT_AS, resource.RLIMIT_FSIZE, resource.RLIMIT_CPU, resource.RLIMIT_CORE)],
        "environment": dict(os.environ),
        "program": SystemRunner().run(["sh", "-c", "id -u; grep NoNewPrivs /proc/self/status"]),
    }  # fmt: skip


@contextlib.contextmanager
def in_groups(groups: t.List[int]) -> t.Iterator[None]:
    """Be in other groups, which root can: a runner of tests is often in none."""
    before = os.getgroups()
    if os.geteuid() == 0:
        os.setgroups(groups)
    try:
        yield
    finally:
        if os.geteuid() == 0:
            os.setgroups(before)


def test_somebody_else_does_it_within_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_SECRET", "x")
    user = NOBODY if os.geteuid() == 0 else User(os.geteuid(), os.getegid())
    with in_groups([4, 6]):
        found = SystemRunner().apart(who, user, LIMITS)
    assert found["user"][:2] == [[user.uid] * 3, [user.gid] * 3]
    if os.geteuid() == 0:
        assert found["user"][2] == []
        with pytest.raises(CommandError, match="PermissionError"):
            SystemRunner().apart(lambda: os.setuid(0), user, LIMITS)
    assert found["limits"] == [LIMITS.memory, LIMITS.file, LIMITS.cpu, 0]
    assert found["environment"] == {}
    assert found["program"].split() == [str(user.uid), "NoNewPrivs:", "1"]


def test_an_open_file_is_a_program_s_input(tmp_path: t.Any) -> None:
    """As the account that owns it, by the file and not by its name."""
    path = tmp_path / "dump"
    path.write_text("dump")
    user = NOBODY if os.geteuid() == 0 else User(os.geteuid(), os.getegid())
    if os.geteuid() == 0:
        os.chown(str(path), user.uid, user.gid)
        os.chmod(str(tmp_path), 0o700)
    with path.open() as handle:
        path.unlink()
        argv = ["sh", "-c", "exec cat /dev/stdin"]
        said = SystemRunner().apart(
            lambda: SystemRunner().start(argv, 10, handle.fileno()).stdout, user, LIMITS
        )
    assert said == "dump"


def forever() -> None:
    while True:
        pass


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def fill() -> None:
    with tempfile.TemporaryFile() as handle:
        handle.write(b"x" * (LIMITS.file + 1))


FAILURES = [
    (lambda: bytearray(3 << 30), LIMITS, "needs more memory"),
    (forever, LIMITS._replace(cpu=1), "ended by signal"),
    (lambda: time.sleep(600), LIMITS._replace(timeout=0.5), "ended after 0 s without a result"),
    (fill, LIMITS, "File too large"),
    (kill, LIMITS, "ended by signal 9"),
    (lambda: os._exit(0), LIMITS, "no answer that can be understood"),
    (lambda: "x" * (2 << 20), LIMITS, "no answer that can be understood"),
    (lambda: 1 / 0, LIMITS, "ZeroDivisionError"),
    (object, LIMITS, "TypeError"),
]


@pytest.mark.parametrize("action, limits, message", FAILURES, ids=[case[2] for case in FAILURES])
def test_what_goes_wrong_apart_is_an_error_here(
    action: t.Callable[[], t.Any], limits: Limits, message: str
) -> None:
    with pytest.raises(CommandError, match=message):
        SystemRunner().apart(action, User(0, 0), limits)
