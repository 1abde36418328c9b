# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The contract of every boot loader, against its recorded hosts: loaders/*.py each have a list SCENARIOS."""

import importlib
import os
import pkgutil
import signal
import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.apply import apply
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.argument import (
    CRASHKERNEL,
    Argument,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.base import (
    BootLoader,
    BootLoaderError,
    Command,
    Entry,
    differing,
    next_entry,
    select,
    with_values,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.registry import LOADERS
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host
from ansible_collections.kdump.fleet.plugins.module_utils.runner import CommandError, Result
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost
from ansible_collections.kdump.fleet.tests.unit.plugins.module_utils import loaders
from ansible_collections.kdump.fleet.tests.unit.plugins.module_utils.loaders.base import (
    Scenario,
    Tool,
    build,
)

SCENARIOS: t.List[Scenario] = [
    scenario
    for found in pkgutil.iter_modules(loaders.__path__)
    if found.name != "base"
    for scenario in importlib.import_module(f"{loaders.__name__}.{found.name}").SCENARIOS
]
each = pytest.mark.parametrize("scenario", SCENARIOS, ids=[item.name for item in SCENARIOS])
TAINT, EARLY = Argument("panic_on_taint"), Argument("rd.earlykdump")
Setting = t.Tuple[Argument, t.List[str]]
PLAIN: Setting = (CRASHKERNEL, ["256M"])
TWO_WORDS: Setting = (CRASHKERNEL, ["1G,high", "128M,low"])
VALUE: Setting = (TAINT, ["0x20"])
FLAG: Setting = (EARLY, [""])
PRESENT = dict([PLAIN, VALUE, FLAG])


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that is killed, unlike a host, loses nothing that it wrote; this takes half of the time."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


def settings(*found: Setting) -> t.Any:
    """Return what gives a test each of these."""
    ids = [f"{argument.name}-{'+'.join(values) or len(values)}" for argument, values in found]
    return pytest.mark.parametrize("argument, values", found, ids=ids)


def settle(
    host: Host, loader: BootLoader, values: t.Sequence[str], argument: Argument = CRASHKERNEL
) -> bool:
    """Do what the module does; say whether there was anything to do."""
    changes = loader.plan(host, values, argument)
    if changes or differing(loader.entries(host), values, argument):
        apply(host, loader, changes, values, argument=argument)
        return True
    return False


def have(loader: BootLoader, host: Host, argument: Argument) -> t.Set[t.Tuple[str, ...]]:
    """Return the values of all entries that must have the same."""
    return {tuple(entry.values(argument)) for entry in loader.entries(host) if entry.counts}


def others(
    entries: t.Sequence[Entry], argument: Argument = CRASHKERNEL
) -> t.List[t.Tuple[str, str, t.List[str]]]:
    """Return the entries without what is changed."""
    return [
        (entry.title, entry.kernel, with_values(entry.arguments, [], argument).split())
        for entry in entries
    ]


def tree(folder: str) -> t.Dict[str, t.Union[bytes, str]]:
    """Return every file below a folder with its content, and every link with its target."""
    found: t.Dict[str, t.Union[bytes, str]] = {}
    for base, _folders, names in os.walk(folder):
        for name in names:
            path = os.path.join(base, name)
            if os.path.islink(path):
                found[path] = os.readlink(path)
            else:
                with open(path, "rb") as handle:
                    found[path] = handle.read()
    return found


@each
def test_it_is_recognised(scenario: Scenario, tmp_path: t.Any) -> None:
    host = build(scenario, str(tmp_path))
    present = [loader.name for loader in LOADERS if loader.present(host)]
    assert present[:1] == [scenario.loader().name]


@each
def test_the_entries_and_the_next_one_are_found(scenario: Scenario, tmp_path: t.Any) -> None:
    entries = scenario.loader().entries(build(scenario, str(tmp_path)))
    assert len([entry for entry in entries if entry.counts]) == scenario.kernels
    chosen = next_entry(entries)
    assert chosen is not None and chosen.counts and chosen.arguments
    assert [entry.default for entry in entries].count(True) == 1


@each
@settings(
    PLAIN,
    TWO_WORDS,
    (CRASHKERNEL, ["2G-4G:256M,4G-:512M"]),
    (CRASHKERNEL, []),
    VALUE,
    (TAINT, []),
    FLAG,
)
def test_set_keeps_the_rest_and_is_done_once(
    scenario: Scenario, argument: Argument, values: t.List[str], tmp_path: t.Any
) -> None:
    host, loader = build(scenario, str(tmp_path)), scenario.loader()
    before = others(loader.entries(host), argument)
    settle(host, loader, values, argument)
    assert have(loader, host, argument) == {tuple(values)}
    assert others(loader.entries(host), argument) == before
    assert settle(host, loader, values, argument) is False


@each
@pytest.mark.parametrize(
    "argument, steps",
    [
        (CRASHKERNEL, [["1G,high", "128M,low"], ["300M"], []]),
        (TAINT, [["0x20"], ["0x1020,nousertaint"], []]),
        (EARLY, [[""], ["0"], [""], []]),
    ],
    ids=["crashkernel", "value", "flag"],
)
def test_change_and_remove(
    scenario: Scenario, argument: Argument, steps: t.List[t.List[str]], tmp_path: t.Any
) -> None:
    host, loader = build(scenario, str(tmp_path)), scenario.loader()
    before = others(loader.entries(host), argument)
    for values in steps:
        assert settle(host, loader, values, argument)
        assert have(loader, host, argument) == {tuple(values)}
    assert others(loader.entries(host), argument) == before


@each
@pytest.mark.parametrize("order", [1, -1], ids=["crashkernel-first", "crashkernel-last"])
def test_arguments_do_not_undo_each_other(scenario: Scenario, order: int, tmp_path: t.Any) -> None:
    host, loader = build(scenario, str(tmp_path)), scenario.loader()
    wanted: t.Dict[Argument, t.List[str]] = {}
    first = [TWO_WORDS, VALUE, FLAG][::order]
    then: t.List[Setting] = [(CRASHKERNEL, ["300M"]), (TAINT, []), VALUE, (CRASHKERNEL, []), (EARLY, [])]  # fmt: skip
    for argument, values in [*first, *then]:
        assert settle(host, loader, values, argument)
        wanted[argument] = values
        for known, expected in wanted.items():
            assert have(loader, host, known) == {tuple(expected)}
            assert settle(host, loader, expected, known) is False


@each
@pytest.mark.parametrize(
    "wanted",
    [[PLAIN], [TWO_WORDS], [VALUE], [FLAG], [VALUE, PLAIN, FLAG]],
    ids=["plain", "two-words", "value", "flag", "all"],
)
def test_a_kernel_that_comes_later_has_the_value(
    scenario: Scenario, wanted: t.List[Setting], tmp_path: t.Any
) -> None:
    host, loader = build(scenario, str(tmp_path)), scenario.loader()
    for argument, values in wanted:
        settle(host, loader, values, argument)
    known = {(entry.title, entry.kernel) for entry in loader.entries(host)}
    scenario.add_kernel(t.cast("FakeHost", host))
    new = [e for e in loader.entries(host) if (e.title, e.kernel) not in known and e.counts]
    assert new, "the scenario adds no kernel"
    for argument, values in wanted:
        assert all(entry.values(argument) == values for entry in new)
        assert settle(host, loader, values, argument) is False


@each
@settings((CRASHKERNEL, ["300M"]), VALUE, FLAG)
def test_what_is_shown_is_what_is_done(
    scenario: Scenario, argument: Argument, values: t.List[str], tmp_path: t.Any
) -> None:
    host, loader = build(scenario, str(tmp_path)), scenario.loader()
    before = tree(str(tmp_path))
    changes = loader.plan(host, values, argument)
    assert changes
    assert tree(str(tmp_path)) == before, "plan() must change nothing"
    for change in changes:
        assert change.before != change.after
        assert argument.text(values) in (change.after or "")
    apply(host, loader, changes, values, argument=argument)
    for change in changes:
        if not isinstance(change, Command):
            assert host.read(change.path) == change.after


@each
@settings((CRASHKERNEL, ["300M"]), FLAG)
def test_what_does_not_take_is_put_back(
    scenario: Scenario, argument: Argument, values: t.List[str], tmp_path: t.Any
) -> None:
    probe = build(scenario, str(tmp_path / "probe"))
    settle(probe, scenario.loader(), values, argument)
    ran = [argv[0] for argv in t.cast("t.Any", probe.runner).started]
    for program in sorted(set(ran) & set(scenario.tools)):
        for count in range(1, ran.count(program) + 1):
            folder = tmp_path / f"{program}-{count}"
            tool = FailsOnce(scenario.tools[program], count)
            host, loader = build(scenario, str(folder), {program: tool}), scenario.loader()
            before = tree(str(folder))
            entries = loader.entries(host)
            tool.armed = True
            try:
                settle(host, loader, values, argument)
                failed = False
            except (BootLoaderError, CommandError):
                failed = True
            tool.armed = False
            if failed:
                assert loader.entries(host) == entries
                assert tree(str(folder)) == before
            else:
                # A question that fails may be answered by other means.
                assert have(loader, host, argument) == {tuple(values)}


class FailsOnce:
    """A program that does its work and yet fails, at its n-th call."""

    def __init__(self, tool: Tool, count: int) -> None:
        self.tool, self.count, self.armed = tool, count, False

    def __call__(self, host: FakeHost, argv: t.List[str]) -> Result:
        result = self.tool(host, argv)
        self.count -= self.armed
        return Result(1, "", "no space left") if self.armed and self.count == 0 else result


class KilledHost(FakeHost):
    """A host on which this process dies at the n-th thing that it does: before it, after it, or half-way."""

    deadline = -1
    half = False
    count = 0

    def _step(self) -> None:
        if self.count == self.deadline:
            os.kill(os.getpid(), signal.SIGKILL)
        self.count += 1

    def write(self, path: str, text: str, mode: int = 0o644, keep_mode: bool = True) -> None:
        if self.half and self.count == self.deadline:
            # What an atomic replacement leaves when it is interrupted: a file beside.
            self.put(
                os.path.join(os.path.dirname(path), ".kdump-fleet-half"), text[: len(text) // 2]
            )
        self._step()
        super().write(path, text, mode, keep_mode)

    def remove(self, path: str) -> None:
        self._step()
        super().remove(path)

    def run(
        self, argv: t.Sequence[str], ok_codes: t.Sequence[int] = (0,), timeout: float = 60
    ) -> str:
        self._step()
        return super().run(argv, ok_codes, timeout)


@each
@settings((CRASHKERNEL, ["300M"]), (CRASHKERNEL, []), VALUE, (TAINT, []), FLAG, (EARLY, []))
def test_killed_at_every_write_the_host_boots_and_the_next_run_finishes(
    scenario: Scenario, argument: Argument, values: t.List[str], tmp_path: t.Any
) -> None:
    steps = 0
    ended_by_kill = True
    while ended_by_kill:
        for half in (False, True):
            folder = str(tmp_path / f"{steps}-{half}")
            host, loader = build(scenario, folder), scenario.loader()
            if not values:
                settle(host, loader, PRESENT[argument], argument)
            before = others(loader.entries(host), argument)
            child = os.fork()
            if child == 0:
                try:
                    killed = KilledHost(host.runner, folder)
                    t.cast("t.Any", host.runner).host = killed
                    killed.deadline, killed.half = steps, half
                    settle(killed, loader, values, argument)
                finally:
                    os._exit(0)
            status = os.waitpid(child, 0)[1]
            ended_by_kill = os.WIFSIGNALED(status)
            entries = loader.entries(host)
            assert others(entries, argument) == before, "an entry was lost or damaged"
            assert next_entry(entries) is not None
            settle(host, loader, values, argument)
            assert have(loader, host, argument) == {tuple(values)}
            assert loader.plan(host, values, argument) == []
        steps += 1
    assert steps > 1, "nothing was killed"


@each
@settings((CRASHKERNEL, ["300M"]), VALUE, FLAG)
def test_one_kernel_alone_or_a_clear_refusal(
    scenario: Scenario, argument: Argument, values: t.List[str], tmp_path: t.Any
) -> None:
    host, loader = build(scenario, str(tmp_path)), scenario.loader()
    before = loader.entries(host)
    chosen = select(before, "DEFAULT")
    try:
        changes = loader.plan_kernels(host, values, chosen, argument)
    except BootLoaderError as exc:
        assert "use 'kernel: ALL'" in str(exc)
        return
    apply(host, loader, changes, values, "DEFAULT", argument)
    after = loader.entries(host)
    for old, new in zip(before, after):
        assert new.values(argument) == (values if old in chosen else old.values(argument))
    assert others(after, argument) == others(before, argument)
