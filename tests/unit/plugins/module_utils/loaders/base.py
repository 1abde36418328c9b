# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a boot loader's recorded host must bring, so that every loader is held to the same contract."""

import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.base import BootLoader
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host
from ansible_collections.kdump.fleet.plugins.module_utils.runner import (
    CommandError,
    Input,
    Limits,
    Result,
    Runner,
    User,
)
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost

Tool = t.Callable[[FakeHost, t.List[str]], Result]


class ToolRunner(Runner):
    """Plays a host's programs. What they do, they do to the host's folder, as a second process would see it."""

    def __init__(self, tools: t.Mapping[str, Tool]) -> None:
        self.tools = dict(tools)
        self.host: t.Optional[FakeHost] = None
        self.started: t.List[t.List[str]] = []

    def start(self, argv: t.Sequence[str], timeout: float, data: Input = b"") -> Result:
        self.started.append(list(argv))
        if argv[0] not in self.tools or self.host is None:
            raise CommandError(f"'{argv[0]}' could not be started: No such file or directory")
        return self.tools[argv[0]](self.host, list(argv))

    def apart(self, action: t.Callable[[], t.Any], user: User, limits: Limits) -> t.Any:
        raise AssertionError("no boot loader has anything to do apart")

    def which(self, program: str) -> t.Optional[str]:
        return f"/usr/bin/{program}" if program in self.tools else None


class Scenario(t.NamedTuple):
    """One recorded host.

    ``files`` is its tree, ``tools`` its programs by name. ``add_kernel`` does what the distribution's own package
    scripts do when a kernel is installed, with those programs and files. ``kernels`` counts the entries that must
    have the value. ``verified`` says where the records are from.
    """

    name: str
    loader: t.Callable[[], BootLoader]
    files: t.Mapping[str, str]
    tools: t.Mapping[str, Tool]
    add_kernel: t.Callable[[FakeHost], None]
    kernels: int
    verified: str
    prepare: t.Optional[t.Callable[[FakeHost], None]] = (
        None  # where the tree needs more than text files
    )


def build(scenario: Scenario, folder: str, tools: t.Optional[t.Mapping[str, Tool]] = None) -> Host:
    """Make the host in a folder.

    :param tools: programs in place of the scenario's own.
    """
    runner = ToolRunner({**scenario.tools, **(tools or {})})
    host = FakeHost(t.cast("t.Any", runner), folder)
    runner.host = host
    for path, text in scenario.files.items():
        host.put(path, text)
    if scenario.prepare:
        scenario.prepare(host)
    return host
