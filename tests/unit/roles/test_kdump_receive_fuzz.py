# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The receiver against what no capture environment sends: no crash, and nothing outside of the host's folder."""

import os
import posixpath
import struct
import tempfile
import typing as t
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.kdump.fleet.tests.unit.roles.fleet_host import (
    HOST,
    KDUMPCTL,
    elf,
    flattened,
    in_order,
    receive,
)
from ansible_collections.kdump.fleet.tests.unit.roles.test_kdump_receive import (
    COMMANDS,
    DENIED,
    INIT,
    REFUSED,
    Disk,
    feed,
    put,
    scp_file,
)

# The example decides, never the machine's speed; and nothing is kept beside the tests.
FUZZ = settings(
    max_examples=400, deadline=None, database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large],
)  # fmt: skip
KNOWN = [row[0] for row in COMMANDS] + [row[0] for row in REFUSED if len(row[0]) < 500]
WORDS = sorted({word for text in KNOWN for word in text.split(" ")})
PIECES = st.one_of(
    st.sampled_from(WORDS),
    st.sampled_from(["/", "..", ".", "//", "'", '"', ";", "&&", ">", "|", "$(id)", "\0", "\n", "-", "=", " "]),
    st.text(max_size=12),
)  # fmt: skip


def mutate(text: str, edits: t.Sequence[t.Tuple[int, int, str]]) -> str:
    for at, size, piece in edits:
        place = at % (len(text) + 1)
        text = text[:place] + piece + text[place + size :]
    return text


EDITS = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 12), PIECES), min_size=1, max_size=6)
STRINGS = st.one_of(
    st.text(),
    st.lists(PIECES, max_size=10).map(" ".join),
    st.lists(PIECES, max_size=20).map("".join),
    st.builds(mutate, st.sampled_from(KNOWN), EDITS),
)


def check(place: t.Any, verb: str) -> None:
    """See that a place lies in the host's folder, at most a folder and a file deep."""
    base = "/srv/dumps/web1"
    path = posixpath.join(base, place.folder, place.name)
    assert posixpath.normpath(path) == path.rstrip("/")
    assert path.startswith(base + "/")
    assert path.rstrip("/").count("/") <= base.count("/") + 2
    assert len(place.folder) <= 250 and len(place.name) <= 255
    assert not place.folder.startswith(".") and not place.name.startswith(".")
    assert place.name != "receipt.json" or verb in ("df", "dfp")
    if verb in ("dd", "cat", "mv"):
        assert place.folder and place.name


@FUZZ
@given(STRINGS)
def test_any_command_is_refused_or_lies_below(text: str) -> None:
    try:
        request = receive.parse_command(text)
    except receive.Refused:
        return
    check(request.place, request.verb)
    if request.target is not None:
        check(request.target, request.verb)
        assert request.target.folder == request.place.folder


@pytest.mark.parametrize("text", [row[0] for row in COMMANDS])
def test_the_known_commands_pass_the_check(text: str) -> None:
    """Else the fuzz run could look at refusals alone."""
    request = receive.parse_command(text)
    check(request.place, request.verb)


@FUZZ
@given(st.lists(st.text(max_size=20), max_size=5))
def test_any_arguments(argv: t.List[str]) -> None:
    try:
        path, host = receive.parse_argv(argv)
    except receive.Refused:
        return
    assert path and "/" not in host


@FUZZ
@given(st.binary(max_size=200))
def test_any_first_bytes(head: bytes) -> None:
    sink = receive.sink_for(head[:64], Disk().write, 1 << 20)
    try:
        feed(sink, head, 17)
        sink.finish()
    except receive.Incomplete:
        pass


NUMBERS = st.one_of(
    st.integers(-(1 << 63), (1 << 63) - 1), st.integers(-2, 70_000), st.just(-1), st.just(1 << 62)
)
RECORDS = st.lists(st.tuples(NUMBERS, NUMBERS, st.binary(max_size=100)), max_size=8)
LIMIT = 100_000


@FUZZ
@given(RECORDS, st.integers(1, 5000), st.booleans())
def test_any_records(records: t.Any, step: int, honest: bool) -> None:
    stream = flattened([], end=False)
    for offset, size, content in records:
        stream += struct.pack(">qq", offset, len(content) if honest else size) + content
    disk = Disk()
    sink = receive.Flattened(disk.write, LIMIT)
    try:
        feed(sink, stream, step)
        sink.finish()
    except receive.Incomplete:
        pass
    assert len(disk.content) <= LIMIT
    assert sink.size <= LIMIT


@FUZZ
@given(
    st.lists(st.tuples(st.integers(0, 3000), st.binary(min_size=1, max_size=300)), min_size=1, max_size=12),
    st.integers(1, 6000),
)  # fmt: skip
def test_good_records_are_put_in_order(records: t.Any, step: int) -> None:
    disk = Disk()
    sink = receive.Flattened(disk.write, LIMIT)
    feed(sink, flattened(records), step)
    sink.finish()
    assert bytes(disk.content) == in_order(records)
    assert sink.size == len(in_order(records))


@FUZZ
@given(st.binary(max_size=300), st.integers(0, 200), st.integers(1, 500))
def test_any_elf(noise: bytes, at: int, step: int) -> None:
    core = bytearray(elf(1000))
    core[at : at + len(noise)] = noise
    core[:4] = b"\x7fELF"
    sink = receive.Elf(Disk().write)
    try:
        feed(sink, bytes(core), step)
        sink.finish()
    except receive.Incomplete:
        pass


class Place:
    """A host's folder on a disk, and something precious beside it."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self.root = Path(self._folder.name)
        (self.root / "base").mkdir()
        self.precious = self.root / "precious"
        self.precious.write_bytes(b"precious")

    def __enter__(self) -> "Place":
        return self

    def __exit__(self, *_exc: t.Any) -> None:
        self._folder.cleanup()

    def serve(self, stream: bytes, action: t.Callable[[t.Any, t.Any, t.Any], None]) -> None:
        """Let a protocol's reader have a stream; only the two defined exceptions may come out."""
        path = self.root / "stdin"
        path.write_bytes(stream)
        config = receive.Config(base=str(self.root / "base"), max_bytes=200_000, idle=20)
        session = receive.Session(HOST)
        store = receive.Store(config, HOST)
        handle = os.open(str(path), os.O_RDONLY)
        try:
            action(session, store, receive.Input(handle, 20))
        except (receive.Refused, receive.Incomplete):
            pass
        finally:
            os.close(handle)
            store.close()
        self.check()

    def check(self) -> None:
        assert self.precious.read_bytes() == b"precious"
        assert sorted(path.name for path in self.root.iterdir()) == ["base", "precious", "stdin"]
        assert [path.name for path in (self.root / "base").iterdir()] == [HOST]
        size = 0
        for path in (self.root / "base" / HOST).glob("**/*"):
            assert not path.is_symlink()
            assert len(path.relative_to(self.root / "base" / HOST).parts) <= 2
            if path.is_file():
                size += path.stat().st_size
        assert size <= 210_000  # the quota, and the receiver's own notes


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> t.Dict[str, bytearray]:
    """No line in the computer's log, and answers in memory."""
    monkeypatch.setattr(receive.syslog, "syslog", lambda _priority, text: None)
    said = {"out": bytearray()}
    monkeypatch.setattr(receive, "reply", said["out"].extend)
    return said


def sftp(session: t.Any, store: t.Any, source: t.Any) -> None:
    receive.Sftp(session, store, source).run()


PACKETS = [
    *DENIED,
    put(KDUMPCTL + "/vmcore", flattened(), 5000),
    put(KDUMPCTL + "/log", b"text", 2),
]
NOISE = st.lists(
    st.tuples(st.integers(0, 60_000), st.integers(0, 8), st.binary(max_size=8)), max_size=4
)


def disturb(stream: bytes, noise: t.Sequence[t.Tuple[int, int, bytes]]) -> bytes:
    for at, size, piece in noise:
        place = at % (len(stream) + 1)
        stream = stream[:place] + piece + stream[place + size :]
    return stream


@FUZZ
@given(st.one_of(
    st.binary(max_size=400),
    st.builds(
        lambda parts, noise: disturb(INIT + b"".join(parts), noise),
        st.lists(st.sampled_from(PACKETS), max_size=5), NOISE,
    ),
    st.lists(
        st.tuples(st.integers(0, 255), st.binary(max_size=60)).map(
            lambda row: struct.pack(">IB", len(row[1]) + 1, row[0]) + row[1]
        ),
        max_size=8,
    ).map(b"".join),
))  # fmt: skip
def test_any_sftp(quiet: t.Any, stream: bytes) -> None:
    with Place() as place:
        place.serve(stream, sftp)


@FUZZ
@given(st.one_of(
    st.binary(max_size=400),
    st.builds(
        lambda parts, noise: disturb(b"".join(parts), noise),
        st.lists(st.sampled_from([
            scp_file("vmcore", flattened()), scp_file("log", b"x"), b"T1 0 1 0\n", b"D0700 0 d\n", b"E\n", b"\1no\n",
        ]), max_size=5),
        NOISE,
    ),
    st.text(max_size=60).map(lambda name: scp_file(name, b"content")),
))  # fmt: skip
def test_any_scp(quiet: t.Any, stream: bytes) -> None:
    target = receive.parse_place(KDUMPCTL)
    with Place() as place:
        place.serve(stream, lambda *handles: receive.scp_sink(*handles, target))


@FUZZ
@given(
    st.sampled_from(["vmcore-incomplete", "vmcore", "dump.1", "README.txt", "dmesg"]),
    st.builds(disturb, st.sampled_from([flattened(), elf(3000), b"text"]), NOISE),
)
def test_any_stream(quiet: t.Any, name: str, stream: bytes) -> None:
    target = receive.parse_place(f"{KDUMPCTL}/{name}")
    with Place() as place:
        place.serve(stream, lambda *handles: receive.store_stream(*handles, target))
