# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The receiver as a module, and a client that talks to it in this process."""

import importlib.util
import json
import os
import struct
import typing as t
from pathlib import Path

PATH = Path(__file__).resolve().parents[3] / "roles" / "kdump_server" / "files" / "kdump_receive.py"
HOST = "web1"
KDUMPCTL = "/var/crash/10.0.0.1-2026-11-25-11:16:28"
SUSE = "/srv/dumps/web1-2026-11-25-11-16"
KDUMP_TOOLS = "/var/crash/10.0.0.1-202611251116"


def load() -> t.Any:
    spec = importlib.util.spec_from_file_location("kdump_receive", str(PATH))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


receive = load()

Record = t.Tuple[int, bytes]
RECORDS = (
    (0, b"KDUMP   " + b"h" * 4088),
    (4096, b"a" * 5000),
    (9096, b"b" * 3000),
    (20000, b"c" * 17),
    (12096, b"d" * 100),
    (0, b"KDUMP   second header"),
)  # type: t.Tuple[Record, ...]


def flattened(records: t.Sequence[Record] = RECORDS, end: bool = True) -> bytes:
    """Return a dump in makedumpfile's flattened format."""
    text = (b"makedumpfile\0\0\0\0" + struct.pack(">qq", 1, 1)).ljust(4096, b"\0")
    for offset, content in records:
        text += struct.pack(">qq", offset, len(content)) + content
    return text + (struct.pack(">qq", -1, -1) if end else b"")


def in_order(records: t.Sequence[Record] = RECORDS) -> bytes:
    """Return what makedumpfile -R makes of it."""
    dump = bytearray()
    for offset, content in records:
        dump.extend(bytes(max(0, offset + len(content) - len(dump))))
        dump[offset : offset + len(content)] = content
    return bytes(dump)


def elf(size: int, segments: int = 2, wide: bool = True, order: str = "<") -> bytes:
    """Return an ELF core of so many bytes, whose segments end with the file."""
    ident = b"\x7fELF" + bytes([2 if wide else 1, 1 if order == "<" else 2, 1]) + b"\0" * 9
    if wide:
        head = ident + struct.pack(
            order + "HHIQQQIHHHHHH", 4, 62, 1, 0, 64, 0, 0, 64, 56, segments, 0, 0, 0
        )
        row = struct.Struct(order + "IIQQQQQQ")
    else:
        head = ident + struct.pack(
            order + "HHIIIIIHHHHHH", 4, 3, 1, 0, 52, 0, 0, 52, 32, segments, 0, 0, 0
        )
        row = struct.Struct(order + "8I")
    start = len(head) + segments * row.size
    each = (size - start) // segments
    for index in range(segments):
        offset = start + index * each
        length = size - offset if index == segments - 1 else each
        if wide:
            head += row.pack(1, 4, offset, 0, 0, length, length, 0)
        else:
            head += row.pack(1, offset, 0, 0, length, length, 4, 0)
    return head + b"m" * (size - len(head))


class Answer(t.NamedTuple):
    """What a client got."""

    code: int
    out: bytes
    err: str


class Client:
    """A host of the fleet; each call is a connection."""

    def __init__(self, folder: Path, logged: t.List[str], capfd: t.Any) -> None:
        self.base = folder / "base"
        self.base.mkdir()
        self.logged = logged
        self._folder = folder
        self._capfd = capfd
        self.configure()

    def configure(self, **settings: t.Any) -> None:
        path = self._folder / "config.json"
        path.write_text(json.dumps(dict({"base": str(self.base), "idle": 20}, **settings)))
        path.chmod(0o600)

    def argv(self, host: str = HOST) -> t.List[str]:
        return ["--config", str(self._folder / "config.json"), "-c", f"host {host}"]

    def __call__(self, command: str, stdin: t.Union[bytes, int] = b"", host: str = HOST) -> Answer:
        """:param stdin: what the client sends, or a handle to read it from."""
        if isinstance(stdin, int):
            return self.connect(self.argv(host), command.encode(), stdin)
        path = self._folder / "stdin"
        path.write_bytes(stdin)
        with path.open("rb") as handle:
            return self.connect(self.argv(host), command.encode(), handle.fileno())

    def connect(self, argv: t.List[str], command: t.Optional[bytes], stdin: int) -> Answer:
        self._capfd.readouterr()
        kept = os.dup(0)
        os.dup2(stdin, 0)
        environ = {} if command is None else {b"SSH_ORIGINAL_COMMAND": command}
        try:
            code = receive.main(argv, environ)
        finally:
            os.dup2(kept, 0)
            os.close(kept)
        # Bytes of a protocol are no text.
        out, err = self._capfd.readouterr()
        return Answer(code, out, err.decode())

    def ok(self, command: str, stdin: bytes = b"", host: str = HOST) -> bytes:
        answer = self(command, stdin, host)
        assert answer.code == 0, (answer.err, self.logged)
        return answer.out

    def refused(self, command: str, stdin: bytes = b"", host: str = HOST) -> str:
        """Return why; a refusal is one line, and is logged."""
        self.logged.clear()
        answer = self(command, stdin, host)
        assert answer.code == 1
        assert answer.err.startswith("kdump-receive: ")
        assert answer.err.count("\n") == 1
        cause = answer.err.strip()[len("kdump-receive: ") :]
        assert any(cause in line for line in self.logged)
        return cause

    @property
    def files(self) -> t.Dict[str, bytes]:
        """What the host has on the server, without the receiver's own notes."""
        root = self.base / HOST
        return {
            str(path.relative_to(root)): path.read_bytes()
            for path in sorted(root.glob("*/*"), key=str)
            if path.is_file() and "/." not in str(path.relative_to(self.base))
        }

    @property
    def names(self) -> t.List[str]:
        return list(self.files)

    @property
    def folders(self) -> t.List[str]:
        return sorted(path.name for path in (self.base / HOST).iterdir() if path.name[0] != ".")
