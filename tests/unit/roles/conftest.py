# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures for the receiver's tests."""

import os
import signal
import subprocess
import typing as t
from pathlib import Path

import pytest

from ansible_collections.kdump.fleet.tests.unit.roles.fleet_host import Client, receive


@pytest.fixture(autouse=True)
def as_before(monkeypatch: pytest.MonkeyPatch) -> t.Iterator[None]:
    """A unit test starts no process, and leaves umask and signals as they were."""

    def refuse(*argv: t.Any, **_options: t.Any) -> t.Any:
        raise AssertionError(f"a unit test started {argv}")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    handlers = {
        one: signal.getsignal(one) for one in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)
    }
    mask = os.umask(0o022)
    yield
    os.umask(mask)
    for one, handler in handlers.items():
        signal.signal(one, handler)


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> t.List[str]:
    """The lines of the log."""
    lines = []  # type: t.List[str]
    monkeypatch.setattr(receive.syslog, "syslog", lambda _priority, text: lines.append(text))
    return lines


@pytest.fixture
def client(tmp_path: Path, logged: t.List[str], capfdbinary: t.Any) -> Client:
    return Client(tmp_path, logged, capfdbinary)
