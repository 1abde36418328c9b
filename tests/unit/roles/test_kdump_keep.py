# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import fcntl
import importlib.util
import json
import os
import time
import typing as t
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parents[3] / "roles/kdump_server/files/kdump_keep.py"


def load() -> t.Any:
    spec = importlib.util.spec_from_file_location("kdump_keep", str(PROGRAM))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


keep: t.Any = load()
NOW = 1_700_000_000.0
DAY = 86400


def dump(name: str, days: float, size: int = 10, **more: bool) -> t.Any:
    """Return a dump that last changed that many days ago."""
    flags = {"complete": True, "pinned": False, "test": False}
    flags.update(more)
    return keep.Dump(name, size, NOW - days * DAY, **flags)


OLD = [dump("a", 40), dump("b", 30), dump("c", 20), dump("d", 10)]
CHOICES: t.List[t.Tuple[str, t.List[t.Any], t.Dict[str, t.Any], t.List[str]]] = [
    ("no limit", OLD, {}, []),
    ("by age", OLD, {"days": 15}, ["a", "b", "c"]),
    ("never the newest", OLD, {"days": 1}, ["a", "b", "c"]),
    ("never the only one", [dump("a", 4000)], {"days": 1, "dumps": 1, "bytes": 1}, []),
    ("by count", OLD, {"dumps": 3}, ["a"]),
    ("by size", OLD, {"bytes": 25}, ["a", "b"]),
    ("by size, exactly", OLD, {"bytes": 40}, []),
    ("one huge newest dump does not stay alone for nothing", [dump("a", 9), dump("b", 1, 99)], {"bytes": 50}, ["a"]),
    ("pinned", [dump("a", 40, pinned=True), *OLD[1:]], {"days": 1}, ["b", "c"]),
    ("a pinned one counts", [dump("a", 40, pinned=True), *OLD[1:]], {"dumps": 3}, ["b"]),
    ("within the hour", [dump("a", 0.04), dump("b", 0.03)], {"dumps": 1}, []),
    ("after the hour", [dump("a", 0.05), dump("b", 0.03)], {"dumps": 1}, ["a"]),
    ("half dumps first", [dump("a", 40), dump("b", 30, complete=False), dump("c", 20)], {"dumps": 2}, ["b"]),
    ("but not for a day", [dump("a", 40), dump("b", 0.9, complete=False), dump("c", 0.5)], {"dumps": 2}, ["a"]),
    ("the newest is half: the newest whole one stays too", [dump("a", 40), dump("b", 30), dump("c", 20, complete=False)], {"dumps": 1}, ["a"]),
    ("only half ones", [dump("a", 40, complete=False), dump("b", 30, complete=False)], {"days": 1}, ["a"]),
    # A server whose clock was off must not keep all that came then, nor take it for the oldest.
    ("from the future", [dump("a", -4000), dump("b", -3000), dump("c", 1)], {"dumps": 1}, ["c", "b"]),
    ("a test is no dump", [dump("a", 40), dump("kdump-test-1", 1, test=True)], {"days": 1}, []),
    ("a test does not count", [dump("a", 40), dump("kdump-test-1", 1, test=True)], {"dumps": 1, "bytes": 10}, []),
    ("an old test goes", [dump("a", 40), dump("kdump-test-1", 8, test=True)], {"dumps": 9}, ["kdump-test-1"]),
]  # fmt: skip


@pytest.mark.parametrize("case, dumps, limits, gone", CHOICES, ids=[case[0] for case in CHOICES])
def test_what_goes(
    case: str, dumps: t.List[t.Any], limits: t.Dict[str, t.Any], gone: t.List[str]
) -> None:
    for given in (dumps, dumps[::-1]):
        plans = keep.choose(given, keep.Limits(**limits), NOW)
        assert [plan.dump.name for plan in plans] == gone
        assert all(plan.reason for plan in plans)


def make(base: Path, place: str, days: float, files: t.Sequence[str] = ("vmcore",)) -> Path:
    """Make a dump's folder with files of ten bytes, last changed that many days ago."""
    folder = base / place
    folder.mkdir(parents=True)
    when = time.time() - days * DAY
    for name in files:
        (folder / name).write_text("0123456789")
        os.utime(str(folder / name), (when, when))
    os.utime(str(folder), (when, when))
    return folder


def run(base: Path, capsys: t.Any, code: int = 0, **limits: int) -> str:
    config = base.parent / "keep.json"
    settings: t.Dict[str, t.Any] = {"days": 0, "dumps": 0, "bytes": 0}
    settings.update(limits, base=str(base), metrics=str(base.parent / "kdump.prom"))
    config.write_text(json.dumps(settings))
    assert keep.main([str(config)]) == code
    return str(capsys.readouterr().out)


def left(base: Path, host: str) -> t.List[str]:
    return sorted(os.listdir(str(base / host)))


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "base"
    folder.mkdir()
    return folder


def test_a_run_removes_and_counts(base: Path, capsys: t.Any) -> None:
    make(base, "db1/a", 40, ["vmcore", "vmcore-dmesg.txt", "receipt.json"])
    make(base, "db1/b", 30, ["vmcore-incomplete", "vmcore-dmesg.txt"])
    make(base, "db1/c", 20, ["dump.202611251116", "dmesg.202611251116"])
    make(base, "db2/a", 50)
    (base / "db3").mkdir()
    said = run(base, capsys, dumps=2)
    assert said == "removed db1/b, 20 bytes: more than 2 dumps\n"
    assert left(base, "db1") == ["a", "c"] and left(base, "db2") == ["a"]
    text = (base.parent / "kdump.prom").read_text()
    assert 'kdump_server_dumps{host="db1"} 2\n' in text
    assert 'kdump_server_bytes{host="db1"} 50\n' in text
    assert 'kdump_server_incomplete{host="db1"} 0\n' in text
    assert 'kdump_server_dumps{host="db3"} 0\n' in text
    arrival = f"{int(time.time() - 20 * DAY)}"[:7]
    assert f'kdump_server_last_arrival_timestamp_seconds{{host="db1"}} {arrival}' in text
    assert 'last_arrival_timestamp_seconds{host="db3"}' not in text
    assert "kdump_server_keep_failures 0\n" in text
    assert os.stat(str(base.parent / "kdump.prom")).st_mode & 0o777 == 0o644
    assert run(base, capsys, dumps=2) == ""


HALVES = [
    (["vmcore"], 0),
    (["vmcore.flat.age"], 0),
    (["dump.202611251116"], 0),
    (["vmcore-dmesg.txt"], 1),
    ([], 1),
    (["vmcore-incomplete.age"], 1),
    (["vmcore", "vmcore-dmesg-incomplete.txt"], 1),
    (["README.txt"], 1),
    # kdump-tools: makedumpfile failed, and all of the memory came in its place.
    (["dump-incomplete.gz", "dmesg.202611251116", "vmcore.202611251116"], 0),
    (["dump-incomplete.gz.age", "vmcore.202611251116.age"], 0),
    (["dump-incomplete.gz", "vmcore-incomplete"], 1),
    (["vmcore.age", "vmcore-dmesg-incomplete.txt.age"], 1),
]


@pytest.mark.parametrize("files, incomplete", HALVES)
def test_what_counts_as_incomplete(
    base: Path, capsys: t.Any, files: t.List[str], incomplete: int
) -> None:
    make(base, "db1/202611251116", 1, files)
    run(base, capsys)
    text = (base.parent / "kdump.prom").read_text()
    assert f'kdump_server_incomplete{{host="db1"}} {incomplete}\n' in text


D1, D2, D3 = (f"10.0.0.5-2026-11-{day}-11:16:28" for day in (23, 24, 25))
# What lies below a host's folder: days since it changed. What goes with dumps=1, and what is counted then.
PATHS: t.List[t.Tuple[str, t.Dict[str, float], t.List[str], int]] = [
    ("kdumpctl's own path", {f"var/crash/{D1}": 9, f"var/crash/{D2}": 8, f"var/crash/{D3}": 7}, [f"var/crash/{D1}", f"var/crash/{D2}"], 1),
    ("beside others", {f"var/crash/{D1}": 9, D2: 8, "202611251116.1": 7}, [f"var/crash/{D1}", D2], 1),
    ("the newest lies deeper", {f"var/crash/{D1}": 7, D2: 8, D3: 9}, [D3, D2], 1),
    ("a path of one part", {f"dumps/{D1}": 9, f"dumps/{D2}": 8}, [f"dumps/{D1}"], 1),
    ("the path, and no dump yet", {"var/crash": 90}, [], 0),
    ("SUSE", {"kdump/2026-11-24-11:16": 9, "kdump/2026-11-25-11:16": 8}, ["kdump/2026-11-24-11:16"], 1),
    ("a dump's folder that has folders alone", {f"{D1}/a/b": 9, f"{D2}/a/b": 8}, [D1], 1),
    ("too deep for a path: all of it is one dump", {f"a/b/c/d/e/f/g/{D1}": 9, f"a/b/c/d/e/f/g/{D2}": 8, "202611251116": 10}, [], 2),
]  # fmt: skip


@pytest.mark.parametrize("_case, folders, gone, count", PATHS, ids=[case[0] for case in PATHS])
def test_a_path_of_the_host_s_own_is_no_dump(
    base: Path,
    capsys: t.Any,
    _case: str,
    folders: t.Dict[str, float],
    gone: t.List[str],
    count: int,
) -> None:
    for place, days in folders.items():
        make(base, f"db1/{place}", days, [] if place == "var/crash" else ["vmcore"])
    said = run(base, capsys, dumps=1)
    assert said.splitlines() == [
        f"removed db1/{place}, 10 bytes: more than 1 dumps" for place in gone
    ]
    for place in folders:
        assert (base / "db1" / place).exists() == all(place.find(one) != 0 for one in gone)
    text = (base.parent / "kdump.prom").read_text()
    assert f'kdump_server_dumps{{host="db1"}} {count}\n' in text
    assert run(base, capsys, dumps=1) == ""


def test_a_pin_counts_in_a_path_and_on_a_path(base: Path, capsys: t.Any) -> None:
    for day, place in ((9, D1), (8, D2), (7, D3)):
        make(base, f"db1/var/crash/{place}", day)
    (base / "db1/var/crash" / D1 / ".pinned").write_text("")
    assert f"removed db1/var/crash/{D2}," in run(base, capsys, dumps=1)
    assert left(base, "db1/var/crash") == [D1, D3]
    # As before paths were looked into: it keeps all that is below.
    (base / "db1/var/.pinned").write_text("")
    make(base, "db1/202611251116", 1)
    assert run(base, capsys, days=1) == ""
    assert left(base, "db1/var/crash") == [D1, D3]


def test_links_in_a_path_lead_nowhere(base: Path, capsys: t.Any) -> None:
    elsewhere = base.parent / "elsewhere"
    make(elsewhere, D1, 40)
    make(elsewhere, D2, 30)
    make(base, f"db1/var/{D3}", 1)
    os.symlink(str(elsewhere), str(base / "db1/link"))
    with keep.opened(str(base / "db1")) as host, pytest.raises(OSError):
        keep.remove(f"link/{D1}", host, time.time())
    said = run(base, capsys, 1, days=2)
    assert said == "db1/link: is a link or no folder, and is left alone\n"
    assert sorted(os.listdir(str(elsewhere))) == [D1, D2]


def test_a_removal_in_a_path_that_was_cut_off_is_finished(base: Path, capsys: t.Any) -> None:
    make(base, "db1/var/.removed-a", 0)
    make(base, f"db1/var/{D1}", 1)
    assert run(base, capsys) == ""
    assert left(base, "db1/var") == [D1]


@pytest.mark.parametrize(
    "folder, test",
    [
        ("kdump-test-1764069388-123456789", True),
        ("kdump-test-1764069388-123456789.2", True),
        # Of hosts with such names.
        ("kdump-test-7-2026-11-25-11:16:28", False),
        ("kdump-test-7-2026-11-25-11-16", False),
        ("kdump-test-7-202611251116.1", False),
    ],
)
def test_the_dump_of_a_host_that_is_called_as_a_test_is_one(
    base: Path, capsys: t.Any, folder: str, test: bool
) -> None:
    make(base, f"db1/{folder}", 40)
    run(base, capsys, days=90)
    assert (left(base, "db1") == []) == test


def test_what_a_session_writes_stays(base: Path, capsys: t.Any) -> None:
    folder = make(base, "db1/a", 40, ["vmcore-incomplete"])
    make(base, "db1/b", 1)
    with open(str(folder / "vmcore-incomplete"), "r+b") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        assert "kept db1/a: it is being written" in run(base, capsys, days=2)
        assert left(base, "db1") == ["a", "b"]
    assert "removed db1/a" in run(base, capsys, days=2)


def test_a_pin_set_meanwhile_counts(base: Path) -> None:
    folder = make(base, "db1/a", 40)
    (folder / ".pinned").write_text("")
    with keep.opened(str(base / "db1")) as host:
        assert not keep.remove("a", host, time.time())
    assert left(base, "db1") == ["a"]


def test_setting_a_pin_is_no_arrival(base: Path) -> None:
    folder = make(base, "db1/a", 40)
    (folder / ".pinned").write_text("")
    with keep.opened(str(base / "db1")) as host:
        found = keep.read_dump("a", host)
    assert found.pinned and time.time() - found.changed > 39 * DAY


def test_links_are_left_alone_and_reported(base: Path, capsys: t.Any) -> None:
    elsewhere = base.parent / "elsewhere"
    make(elsewhere, "a", 40)
    make(elsewhere, "b", 30)
    make(base, "db1/x", 1)
    os.symlink(str(elsewhere), str(base / "db2"))
    os.symlink(str(elsewhere / "a"), str(base / "db1" / "a"))
    (base / "db1" / "file").write_text("")
    said = run(base, capsys, 1, days=2)
    for name in ("db1/a", "db1/file", "db2"):
        assert f"{name}: is a link or no folder, and is left alone\n" in said
    assert sorted(os.listdir(str(elsewhere))) == ["a", "b"]
    text = (base.parent / "kdump.prom").read_text()
    assert "kdump_server_keep_failures 3\n" in text and 'host="db2"' not in text


def test_a_link_inside_of_a_dump_goes_and_its_target_stays(base: Path, capsys: t.Any) -> None:
    elsewhere = make(base.parent, "elsewhere", 40)
    folder = make(base, "db1/a", 40)
    (folder / "inner").mkdir()
    os.symlink(str(elsewhere), str(folder / "inner" / "link"))
    os.symlink(str(elsewhere / "vmcore"), str(folder / "vmcore2"))
    for name in ("inner/link", "inner", "."):
        os.utime(str(folder / name), (1, 1), follow_symlinks=False)
    os.utime(str(folder / "vmcore2"), (1, 1), follow_symlinks=False)
    make(base, "db1/b", 1)
    assert "removed db1/a" in run(base, capsys, days=2)
    assert left(base, "db1") == ["b"] and os.listdir(str(elsewhere)) == ["vmcore"]


def test_a_removal_that_was_cut_off_is_finished(base: Path, capsys: t.Any) -> None:
    make(base, "db1/.removed-a", 0)
    make(base, "db1/.sessions", 0, ["lock"])
    make(base, "db1/tmp.abcdefghij", 90)
    make(base, "db1/b", 1)
    assert run(base, capsys) == ""
    assert left(base, "db1") == [".sessions", "b", "tmp.abcdefghij"]


def test_the_receivers_lock_is_held_while_one_is_removed(base: Path) -> None:
    make(base, "db1/.sessions", 0, ["lock"])
    lock = str(base / "db1/.sessions/lock")
    with keep.opened(str(base / "db1")) as host, open(lock, "r+b") as handle:
        with keep.sessions_held(host), pytest.raises(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_what_cannot_be_read_is_no_traceback(base: Path, capsys: t.Any) -> None:
    base.rmdir()
    assert "No such file" in run(base, capsys, 1)


@pytest.mark.parametrize(
    "text, expected", [("a", "a"), ('a"b', 'a\\"b'), ("a\\b", "a\\\\b"), ("a\nb", "a\\nb")]
)
def test_a_label_is_escaped(text: str, expected: str) -> None:
    assert keep.escaped(text) == expected


def test_every_metric_has_help_and_type() -> None:
    text = keep.exposition({'a"b': keep.Figures(1, 2, 3, 4.5)}, NOW, 0)
    for line in text.splitlines():
        if not line.startswith("#"):
            name = line.partition("{")[0].partition(" ")[0]
            assert f"# HELP {name} " in text and f"# TYPE {name} gauge\n" in text
    assert 'kdump_server_last_arrival_timestamp_seconds{host="a\\"b"} 4\n' in text
    assert text.endswith("\n") and "kdump_server_keep_last_run_timestamp_seconds 1700000000" in text
