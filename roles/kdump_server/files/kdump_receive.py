# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The dump account's login shell: takes what capture kernels send by ssh, and does nothing else.

sshd starts it as `kdump-receive -c 'host NAME'`; the client's words are in SSH_ORIGINAL_COMMAND and are matched
against a table, word by word. Dumps lie in BASE/NAME/FOLDER[.GENERATION]/FILE. A folder's generations are crashes
that gave it the same name, because a clock was off. Every file is written as NAME-incomplete and renamed at its end.

What clients send was read in kdump-utils 1.0.61 (dracut/99kdumpbase/kdump.sh, mkdumprd, kdumpctl), kdump-tools
1.8.1 (kdump-config) and SUSE's kdump 2.1 (dracut/kdump-save); the flattened format in makedumpfile 1.7.2
(makedumpfile.h); SFTP in draft-ietf-secsh-filexfer-02.
"""

import errno
import fcntl
import json
import os
import pwd
import re
import select
import signal
import stat
import struct
import sys
import syslog
import time
import typing as t

VERSION = "1.0"
IDENT = "kdump-receive"
CONFIG_DIR = "/etc/kdump-fleet/receive"

MIB = 1 << 20  # bytes
BUFFER = 4 * MIB  # bytes of input held at once
BATCH = MIB  # bytes that are worth a write
CHECK_EVERY = 64 * MIB  # bytes between two looks at the quota and the file system
WRITE_BACK_EVERY = 16 * MIB  # bytes; so that the last fsync has little left to do
PIECES = 1000  # buffers in one writev(); Linux takes 1024
LONGEST_COMPONENT = 255  # bytes
LONGEST_PATH = 4096  # bytes
# Room for what the receiver itself adds: '.', '-incomplete', '.age', '.state'; and a generation behind a folder.
LONGEST_FILE = 225
LONGEST_FOLDER = 245
LARGEST_OFFSET = 1 << 62
PROOF = "kdump-fleet-proof"  # the file by which the role shows that a host's key works
PROOF_SIZE = 64 << 10  # bytes
STATUS = "vmcore-creation.status"
RECEIPT = "receipt.json"
README = "README.txt"
README_FIRST = b"This file will be overwritten when the dump is finished."
SESSIONS = ".sessions"
FILES = 100  # in a dump's folder; a capture sends fewer than ten, and empty ones cost no quota
SPARE_INODES = 100  # one in so many of the file system's stays free, as keep_free of its bytes
TEMPORARY_FOLDERS = 64  # per host at once
TEMPORARY_AGE = 3600  # seconds until one that was left behind goes
UNFINISHED = 256  # folders per host and kind without a whole dump, where max_dumps sets no limit
TEST_AGE = 7 * 86400  # seconds until a test's status may go; the keeper has the same
PIPE_SIZE = MIB  # bytes; an unprivileged process gets no more by default


class Refused(Exception):
    """Nothing was done; str() says why."""


class Incomplete(Exception):
    """What was stored is not whole and is marked so; str() says why."""


# --- what a client may ask -------------------------------------------------------------------------------------


class Place(t.NamedTuple):
    """Where a client's path lies in the host's own folder."""

    path: str  # as the client named it, without doubled slashes
    kind: str  # '' for the host's folder itself, or dump, test, tmp
    folder: str
    name: str  # of a file in that folder; '' for the folder


class Request(t.NamedTuple):
    """A client's command, understood."""

    verb: str  # mkdir mktemp rmdir rm df dfp dd cat mv status put get sftp
    place: Place
    target: t.Optional[Place] = None  # of mv
    status: str = ""


HERE = Place("/", "", "", "")
_COMPONENT = re.compile(r"[A-Za-z0-9._:@%+=,-]+\Z")
_FOLDERS = (
    ("dump", re.compile(r".+-\d{4}-\d\d-\d\d-\d\d:\d\d:\d\d\Z", re.ASCII)),  # kdumpctl
    ("dump", re.compile(r".+-\d{4}-\d\d-\d\d-\d\d-\d\d\Z", re.ASCII)),  # SUSE
    ("dump", re.compile(r"(.+-)?\d{12}\Z", re.ASCII)),  # kdump-tools
    ("test", re.compile(r"kdump-test-[A-Za-z0-9_-]+\Z")),
    ("tmp", re.compile(r"tmp\.[A-Za-z0-9]{10}\Z")),
)
_GENERATION = re.compile(r"(.+?)(?:\.([1-9][0-9]{0,8}))?\Z")
_INCOMPLETE = re.compile(r"(.+)-incomplete((?:\.[A-Za-z0-9]+)?)\Z")
_DUMP = re.compile(r"(vmcore|dump)(\..*)?\Z")
_SFTP = re.compile(r"(/[A-Za-z0-9._/-]*/sftp-server|internal-sftp)( [A-Za-z0-9._:@,/= -]*)?\Z")
_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}\Z")

# '@' stands for a path, '#' for dd's block size. What may have a umask before it is marked with '~'.
_COMMANDS = tuple(
    (verb, pattern.lstrip("~").split(), pattern.startswith("~"))
    for verb, pattern in (
        ("mkdir", "mkdir -p @"),
        ("mktemp", "mktemp -dqp @"),
        ("rmdir", "rmdir @"),
        ("rm", "rm -f @"),
        ("df", "df --output=avail @"),
        ("dfp", "df -P @"),
        ("dd", "~dd of=@"),
        ("dd", "~dd bs=# of=@"),
        ("cat", "~cat > @"),
        ("cat", "~mkdir -p @ && cat > @"),
        ("mv", "mv @ @"),
        ("success", "echo success kdump_test_id=@ > @"),
        ("fail", "echo fail kdump_test_id=@ > @"),
    )
)


def kind_of(component: str) -> str:
    """Return which kind of folder has such a name; '' for none."""
    for kind, grammar in _FOLDERS:
        if grammar.match(component):
            return kind
    return ""


def parse_place(path: str) -> Place:
    """Find the dump's folder in a client's path; what precedes it is the client's own kdump_path.

    :raises Refused: it is no path that a capture environment names.
    """
    if not path.startswith("/"):
        raise Refused("the path is not absolute")
    if len(path) > LONGEST_PATH:
        raise Refused(f"the path is longer than {LONGEST_PATH} bytes")
    parts = [part for part in path.split("/") if part]
    for part in parts:
        if part in (".", ".."):
            raise Refused(f"'{part}' in a path")
        if len(part) > LONGEST_COMPONENT:
            raise Refused(f"a part of the path is longer than {LONGEST_COMPONENT} bytes")
        if not _COMPONENT.match(part):
            raise Refused("the path has a character that is not allowed")
    whole = "/" + "/".join(parts)
    for index in range(len(parts) - 1, -1, -1):
        kind = kind_of(parts[index])
        if kind:
            rest = parts[index + 1 :]
            if len(rest) > 1:
                raise Refused("more than a file's name behind the dump's folder")
            if parts[index].startswith(".") or len(parts[index]) > LONGEST_FOLDER:
                raise Refused("that is no name for a dump's folder")
            return Place(whole, kind, parts[index], rest[0] if rest else "")
    return Place(whole, "", "", "")


def check_file(place: Place) -> None:
    """See that a client may write a file there.

    :raises Refused: it may not.
    """
    if place.kind not in ("dump", "test"):
        raise Refused("no dump's folder in the path, such as HOST-2026-11-25-11:16:28")
    name = place.name
    if not name:
        raise Refused("a file's name is missing behind the dump's folder")
    # What is put in order loses '.flat' once.
    if (
        name.startswith(".")
        or {name, _unflat(name)} & {RECEIPT, STATUS}
        or len(name) > LONGEST_FILE
    ):
        raise Refused("that is no name for a client's file")


def parse_command(text: str) -> Request:
    """Understand what a client sent in place of a command line.

    :raises Refused: it is nothing that a capture environment sends.
    """
    if len(text) > 2 * LONGEST_PATH + 128:
        raise Refused("the command is too long")
    if not re.match(r"[ -~]+\Z", text):
        raise Refused("the command is empty, or has a character that is not printable ASCII")
    if _SFTP.match(text):
        return Request("sftp", HERE)
    words = re.sub(r"(&&|;|>)", r" \1 ", text).split(" ")
    words = [_unquote(word) for word in words if word]
    if words[:1] == ["scp"]:
        return _parse_scp(words[1:])
    mask = words[:1] == ["umask"]
    if mask:
        if len(words) < 3 or words[1] not in ("077", "0077") or words[2] not in ("&&", ";"):
            raise Refused("only 'umask 077' may stand before another command")
        words = words[3:]
    for verb, pattern, may_mask in _COMMANDS:
        found = _match(words, pattern) if may_mask or not mask else None
        if found is not None:
            return _request(verb, found)
    raise Refused("not a command that a capture environment sends")


def _unquote(word: str) -> str:
    """Take off one pair of quotes, around the word or behind 'of='.

    :raises Refused: there are other quotes, or what a shell would replace.
    """
    found = re.match(r"""((?:of=)?)(['"]?)([^'"]*)\2\Z""", word)
    if not found:
        raise Refused("quotes that do not enclose one word")
    return found.group(1) + found.group(3)


def _match(words: t.Sequence[str], pattern: t.Sequence[str]) -> t.Optional[t.List[str]]:
    """Return what stands in the places of '@', or None if the words are others."""
    if len(words) != len(pattern):
        return None
    found = []
    for word, wanted in zip(words, pattern):
        if wanted[-1] == "@" and word.startswith(wanted[:-1]):
            found.append(word[len(wanted) - 1 :])
        elif wanted[-1] == "#" and re.match(re.escape(wanted[:-1]) + r"[0-9]{1,9}[kKMG]?\Z", word):
            continue
        elif word != wanted:
            return None
    return found


def _request(verb: str, found: t.Sequence[str]) -> Request:
    """Check the paths of a command.

    :raises Refused: the command may not name them.
    """
    place = parse_place(found[-1])
    if verb in ("mktemp", "df", "dfp"):
        if verb == "mktemp" and place.folder:
            raise Refused("mktemp only in the host's own folder")
        return Request(verb, place)
    if verb == "mkdir":
        if place.kind == "tmp" or place.name:
            raise Refused("mkdir only of a dump's folder")
        return Request(verb, place)
    if verb in ("rmdir", "rm"):
        if place.kind != "tmp" or place.name != ("" if verb == "rmdir" else PROOF):
            raise Refused(f"{verb} only of what 'mktemp -dqp' and its proof made")
        return Request(verb, place)
    if verb in ("success", "fail"):
        if place.kind != "test" or place.name != STATUS or place.folder != f"kdump-test-{found[0]}":
            raise Refused("a test's status belongs into kdump-test-ID/" + STATUS)
        return Request("status", place, status=f"{verb} kdump_test_id={found[0]}\n")
    if verb == "dd" and place.kind == "tmp" and place.name == PROOF:
        return Request(verb, place)
    check_file(place)
    if len(found) == 1:
        return Request(verb, place)
    other = parse_place(found[0])
    if verb == "cat":
        if other.name or other.path != place.path.rpartition("/")[0]:
            raise Refused("the file does not belong into the folder that mkdir named")
        return Request(verb, place)
    return _move(other, place)


def _move(source: Place, target: Place) -> Request:
    """Check a rename.

    :raises Refused: it is not from an incomplete dump to its final name.
    """
    check_file(source)
    if source.path.rpartition("/")[0] != target.path.rpartition("/")[0]:
        raise Refused("mv only inside of one folder")
    found = _INCOMPLETE.match(source.name)
    if not found or _INCOMPLETE.match(target.name):
        raise Refused("mv only from an -incomplete name to a final one")
    if not _is_result(target.name, found):
        raise Refused("mv to a name that does not begin as the incomplete one's")
    return Request("mv", source, target=target)


def _is_result(name: str, incomplete: t.Match[str]) -> bool:
    """Tell whether that is a name which such an incomplete file gets: vmcore.flat, dump.202611251116.gz."""
    stem, extension = incomplete.groups()
    return name == stem + extension or name.startswith(stem + ".")


def _parse_scp(words: t.List[str]) -> Request:
    """Understand what scp starts on the other side (its older protocol).

    :raises Refused: it is not scp -t, or scp -f of a test's status.
    """
    letters = ""
    while words and re.match(r"-[a-z]+\Z", words[0]):
        letters += words.pop(0)[1:]
    if words[:1] == ["--"]:
        words.pop(0)
    if len(words) != 1 or not re.match(r"[qvdp]*[tf][qvdp]*\Z", letters):
        raise Refused("scp only with -t")
    place = parse_place(words[0])
    if "f" in letters:
        if place.kind != "test" or place.name != STATUS:
            raise Refused("nothing can be fetched from here but a test's own status")
        return Request("get", place)
    if place.name:
        check_file(place)
    elif place.kind not in ("dump", "test"):
        raise Refused("no dump's folder in the path, such as HOST-2026-11-25-11:16:28")
    return Request("put", place)


# --- what a stream is ------------------------------------------------------------------------------------------

Write = t.Callable[[int, t.List[t.Any]], None]


class Plain:
    """Stores what comes as it comes. feed() may keep its views until flush()."""

    format = "unknown"
    rearranged = False
    knows_its_end = False

    def __init__(self, write: Write) -> None:
        self._write = write
        self._views = []  # type: t.List[t.Any]
        self._place = 0  # where the first of the views belongs
        self._waiting = 0  # bytes in the views
        self.size = 0  # bytes of the file, once flushed

    def feed(self, data: t.Any) -> None:
        self._views.append(data)
        self._waiting += len(data)
        if len(self._views) >= PIECES:
            self.flush()

    def flush(self) -> None:
        if self._views:
            views, self._views = self._views, []
            waiting, self._waiting = self._waiting, 0
            self._write(self._place, views)
            self._place += waiting
            self.size = max(self.size, self._place)

    def finish(self) -> None:
        """See that all of it came.

        :raises Incomplete: it did not.
        """
        self.flush()


class Elf(Plain):
    """An ELF core: its program headers say how long it must be."""

    format = "elf"
    knows_its_end = True
    MOST = 4 * MIB  # bytes of headers that are looked at

    def __init__(self, write: Write) -> None:
        Plain.__init__(self, write)
        self._head = bytearray()
        self._want = 64  # bytes of the head; an ELF header's, then up to the end of the table

    def feed(self, data: t.Any) -> None:
        at = 0
        while len(self._head) < self._want and at < len(data):
            part = data[at : at + self._want - len(self._head)]
            self._head += part
            at += len(part)
            if self._want == 64 == len(self._head):
                _wide, _order, table, entry, count = elf_header(bytes(self._head))
                self._want = min(max(64, table + entry * count), self.MOST)
        Plain.feed(self, data)

    def finish(self) -> None:
        self.flush()
        end = elf_end(bytes(self._head))
        if self.size < end:
            raise Incomplete(f"the ELF dump is cut off: {self.size} bytes of {end}")


def elf_header(head: bytes) -> t.Tuple[bool, str, int, int, int]:
    """Return word size, byte order, and place, entry size and count of the program headers; zeros if there are none."""
    wide, order = head[4:5] == b"\2", ">" if head[5:6] == b"\2" else "<"
    if len(head) < 64:
        return wide, order, 0, 0, 0
    if wide:
        table = struct.unpack_from(order + "Q", head, 32)[0]
        entry, count = struct.unpack_from(order + "HH", head, 54)
    else:
        table = struct.unpack_from(order + "I", head, 28)[0]
        entry, count = struct.unpack_from(order + "HH", head, 42)
    if entry != (56 if wide else 32):
        return wide, order, 0, 0, 0
    return wide, order, table, entry, count


def elf_end(head: bytes) -> int:
    """Return how many bytes an ELF core must have at least, by its headers."""
    wide, order, table, entry, count = elf_header(head)
    end = table + entry * count
    for index in range(count):
        at = table + index * entry
        if at + entry > len(head):
            break
        if wide:
            offset, stored = struct.unpack_from(order + "Q16xQ", head, at + 8)
        else:
            offset, stored = struct.unpack_from(order + "I8xI", head, at + 4)
        end = max(end, offset + stored)
    return end


class Flattened:
    """makedumpfile's flattened format: puts its records where they belong while they arrive.

    A header of 4096 bytes (signature of 16, then type and version, both 1), then records of two 64-bit numbers in
    big endian, offset and size, and as many bytes. The last record has -1 and -1. A later record may write over an
    earlier one (makedumpfile writes its header twice), so the order is kept, and only neighbours are joined.
    """

    SIGNATURE = b"makedumpfile\0\0\0\0"
    HEADER = 4096  # bytes
    format = "flattened"
    rearranged = True
    knows_its_end = True
    _RECORD = struct.Struct(">qq")

    def __init__(self, write: Write, limit: int = LARGEST_OFFSET) -> None:
        """:param limit: bytes that the file may have."""
        self._write = write
        self._limit = limit
        self._views = []  # type: t.List[t.Any]
        self._place = 0  # where the first of the views belongs
        self._end = 0  # where the last of the views ends
        self._partial = bytearray()  # of the header, or of a record's own 16 bytes
        self._left = 0  # bytes of the record that are still to come
        self._begun = False
        self.done = False
        self.head = bytearray()  # the dump's own signature
        self.size = 0  # bytes of the file

    def feed(self, data: t.Any) -> None:
        """Take the next bytes; they must not change until flush().

        :raises Incomplete: no makedumpfile wrote that.
        """
        view = memoryview(data)
        at, length = 0, len(view)
        if not self._begun:
            at = self._header(view)
        unpack, views = self._RECORD.unpack_from, self._views
        left = self._left
        while at < length:
            if left:
                take = min(left, length - at)
                views.append(view[at : at + take])
                self._end += take
                left -= take
                at += take
                continue
            if self.done:
                raise Incomplete("there is something behind the end mark of the flattened format")
            if self._partial or length - at < 16:
                take = min(16 - len(self._partial), length - at)
                self._partial += view[at : at + take]
                at += take
                if len(self._partial) < 16:
                    break
                offset, left = unpack(self._partial, 0)
                del self._partial[:]
            else:
                offset, left = unpack(view, at)
                at += 16
            if offset != self._end or len(views) >= PIECES:
                if offset == -1 == left:
                    left = 0
                    self.done = True
                    continue
                self.flush()
                self._place = self._end = offset
            if left <= 0 or offset < 0 or offset > self._limit - left:
                self._complain(offset, left)
            if offset + left > self.size:
                self.size = offset + left
        self._left = left

    def _header(self, view: memoryview) -> int:
        """Take the header; return how many of the bytes belong to it."""
        take = min(self.HEADER - len(self._partial), len(view))
        self._partial += view[:take]
        if len(self._partial) == self.HEADER:
            if self._RECORD.unpack_from(self._partial, 16) != (1, 1):
                raise Incomplete("the flattened header has a type and version other than 1")
            del self._partial[:]
            self._begun = True
        return take

    def _complain(self, offset: int, size: int) -> None:
        if size > 0 and 0 <= offset <= LARGEST_OFFSET - size:
            raise Incomplete(
                f"a record of the flattened format ends at {offset + size}, "
                f"and this host's max_bytes leaves {self._limit}"
            )
        raise Incomplete(
            f"a record of the flattened format has {size} bytes for the offset {offset}"
        )

    def flush(self) -> None:
        """Write what feed() kept."""
        if self._views:
            if self._place < 8:
                self.head[self._place : 8] = b"".join(bytes(v[:8]) for v in self._views)[
                    : 8 - self._place
                ]
            self._write(self._place, self._views)
            self._views.clear()
        self._place = self._end

    def finish(self) -> None:
        """See that all of it came.

        :raises Incomplete: it did not.
        """
        self.flush()
        if not self.done:
            raise Incomplete("the flattened format's end mark never came: the stream was cut off")


_MAGICS = (
    (b"KDUMP   ", "kdump"),
    (b"DISKDUMP", "kdump"),
    (b"\x7fELF", "elf"),
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
)


def format_of(head: bytes) -> str:
    """Name a dump's format by its first bytes."""
    for magic, name in _MAGICS:
        if head.startswith(magic):
            return name
    return "unknown"


def sink_for(head: bytes, write: Write, limit: int) -> t.Union[Plain, Flattened]:
    """Return what stores a stream that begins so (64 bytes, or all of it)."""
    if head.startswith(Flattened.SIGNATURE):
        return Flattened(write, limit)
    if head.startswith(b"\x7fELF") and head[16:18] in (b"\4\0", b"\0\4"):
        return Elf(write)
    plain = Plain(write)
    plain.format = format_of(head)
    return plain


# --- where it goes ---------------------------------------------------------------------------------------------


class Config(t.NamedTuple):
    """The account's limits; docs/server.md explains them."""

    base: str
    max_bytes: int = 0
    max_dumps: int = 0
    keep_free: int = 0
    max_sessions: int = 0
    idle: float = 1800
    encrypt: t.Optional[t.Dict[str, t.Any]] = None


def load_config(path: str) -> Config:
    """Read a configuration that only root, or who runs this, can have written.

    :raises Refused: there is none, or it is not to be trusted.
    """
    try:
        with open(path, "rb") as handle:
            state = os.fstat(handle.fileno())
            text = handle.read(MIB)
        if state.st_uid not in (0, os.getuid()) or state.st_mode & 0o022:
            raise Refused("the receiver's configuration can be written by others")
        found = json.loads(text.decode("utf-8"))
        return Config(**{key: found[key] for key in Config._fields if key in found})
    except (OSError, ValueError, TypeError) as exc:
        log(syslog.LOG_ERR, f"configuration {path}: {exc}")
        raise Refused("the dump server's receiver is not configured") from None


def open_folder(name: str, parent: t.Optional[int] = None) -> int:
    """Open a folder; a symbolic link in its place is refused.

    :raises Refused: it is none.
    :raises FileNotFoundError: it is not there.
    """
    try:
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
        return os.open(name, flags | (0 if parent is None else os.O_NOFOLLOW), dir_fd=parent)
    except OSError as exc:
        if exc.errno in (errno.ELOOP, errno.ENOTDIR):
            raise Refused("a folder on the dump server is a symbolic link or a file") from None
        raise


def make_folder(name: str, parent: int) -> int:
    """Make a folder if it is not there, and open it."""
    try:
        os.mkdir(name, 0o700, dir_fd=parent)
        os.fsync(parent)
    except FileExistsError:
        pass
    return open_folder(name, parent)


def exists(name: str, folder: int) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def in_use(name: str, folder: int) -> bool:
    """Tell whether another session is writing that file."""
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        handle = os.open(name, flags, dir_fd=folder)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def create(name: str, folder: int) -> int:
    """Make a new file, and open it for writing; what is there already stays."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.open(name, flags, 0o600, dir_fd=folder)


def write_all(handle: int, views: t.List[t.Any]) -> None:
    """Write all of the buffers, however often the kernel takes a part."""
    views = [memoryview(view) for view in views]
    while views:
        done = os.writev(handle, views[:PIECES])
        index = 0
        while index < len(views) and done >= len(views[index]):
            done -= len(views[index])
            index += 1
        del views[:index]
        if done:
            views[0] = views[0][done:]


def replace(name: str, folder: int, content: bytes) -> None:
    """Put a small file in its place, whole or not at all."""
    new = f".{name}.new"
    try:
        os.unlink(new, dir_fd=folder)
    except FileNotFoundError:
        pass
    handle = create(new, folder)
    try:
        write_all(handle, [content])
        os.fsync(handle)
    finally:
        os.close(handle)
    os.rename(new, name, src_dir_fd=folder, dst_dir_fd=folder)
    os.fsync(folder)


def read_small(name: str, folder: int) -> bytes:
    """Return a small file's content; b'' if there is no such regular file."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        handle = os.open(name, flags, dir_fd=folder)
    except OSError:
        return b""
    try:
        return os.read(handle, 64 << 10) if stat.S_ISREG(os.fstat(handle).st_mode) else b""
    finally:
        os.close(handle)


def visible(folder: int) -> t.List[str]:
    """Return a folder's files but the receiver's own notes."""
    return [name for name in os.listdir(folder) if not name.startswith(".")]


class Lock:
    """Holds a host's sessions off each other while one looks and makes or renames."""

    def __init__(self, folder: int) -> None:
        self._folder = folder
        self._handle = -1

    def __enter__(self) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._handle = os.open("lock", flags, 0o600, dir_fd=self._folder)
        fcntl.flock(self._handle, fcntl.LOCK_EX)

    def __exit__(self, *_exc: t.Any) -> None:
        os.close(self._handle)


class Store:
    """A host's own folder on the server. Everything is opened relative to it, and no link is followed."""

    def __init__(self, config: Config, host: str) -> None:
        """:raises Refused: too many sessions are open."""
        self.config = config
        base = open_folder(config.base)
        try:
            self.root = make_folder(host, base)
        finally:
            os.close(base)
        self.sessions = make_folder(SESSIONS, self.root)
        self.lock = Lock(self.sessions)
        self._slot = self._take_slot()

    def _take_slot(self) -> int:
        for number in range(self.config.max_sessions):
            flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
            slot = os.open(f"slot-{number}", flags, 0o600, dir_fd=self.sessions)
            try:
                fcntl.flock(slot, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return slot
            except OSError:
                os.close(slot)
        if self.config.max_sessions:
            raise Refused(f"this host has {self.config.max_sessions} sessions (max_sessions) open")
        return -1

    def close(self) -> None:
        for handle in (self.root, self.sessions, self._slot):
            if handle >= 0:
                os.close(handle)

    # What is there

    def generations(self, folder: str) -> t.List[int]:
        """Return the numbers of a folder's generations, the oldest first."""
        found = []
        for name in os.listdir(self.root):
            match = _GENERATION.match(name)
            if match and match.group(1) == folder:
                found.append(int(match.group(2) or 0))
        return sorted(found)

    def usage(self, kind: str = "dump") -> t.Tuple[int, int]:
        """Return the bytes that the host has here, and its folders of a kind."""
        size = count = 0
        for name in os.listdir(self.root):
            try:
                folder = open_folder(name, self.root)
            except (Refused, OSError):
                continue
            try:
                match = _GENERATION.match(name)
                if match and kind_of(match.group(1)) == kind:
                    count += 1
                for file in os.listdir(folder):
                    try:
                        size += os.stat(file, dir_fd=folder, follow_symlinks=False).st_size
                    except FileNotFoundError:
                        pass
            finally:
                os.close(folder)
        return size, count

    def quota_left(self) -> int:
        """Return how many bytes max_bytes leaves."""
        if not self.config.max_bytes:
            return LARGEST_OFFSET
        return self.config.max_bytes - self.usage()[0]

    def space_left(self) -> int:
        """Return how many bytes the file system has beyond keep_free."""
        found = os.fstatvfs(self.root)
        return found.f_bavail * found.f_frsize - self.config.keep_free

    def available(self) -> int:
        """Return how many bytes the host may write."""
        if self.config.max_dumps and self.usage()[1] >= self.config.max_dumps:
            return 0
        return max(0, min(self.quota_left(), self.space_left()))

    def check_room(self) -> None:
        """:raises Refused: there is none."""
        if self.quota_left() <= 0:
            raise Refused(
                f"this host's quota of {self.config.max_bytes} bytes (max_bytes) is used up"
            )
        if self.space_left() <= 0:
            raise Refused(
                f"the dump server's disk is full; {self.config.keep_free} bytes stay free (keep_free)"
            )
        found = os.fstatvfs(self.root)
        # Some file systems have no such number, and say 0.
        if self.config.keep_free and found.f_favail < found.f_files // SPARE_INODES:
            raise Refused("the dump server's disk is full; it takes no more files (inodes)")

    # Folders

    def new_generation(self, folder: str, number: int) -> t.Tuple[str, int]:
        """Make a folder for a dump; return its name and handle.

        :raises Refused: a quota is used up.
        """
        limit = self.config.max_dumps
        # Tests have a limit of their own: they must not keep a crash out.
        kind = kind_of(folder)
        if limit and self.usage(kind)[1] >= limit:
            raise Refused(f"this host has {limit} {kind}s (max_dumps) on the server already")
        # Empty folders cost no bytes, so that no other quota ends a client that makes them for ever.
        if not limit and self._unfinished(kind) >= UNFINISHED:
            raise Refused(
                f"this host has {UNFINISHED} {kind}s on the server that did not arrive whole"
            )
        self.check_room()
        label = f"{folder}.{number}" if number else folder
        return label, make_folder(label, self.root)

    def _unfinished(self, kind: str) -> int:
        """Return how many folders of a kind have no whole dump; at the limit those go that nobody misses."""
        found = [name for name in os.listdir(self.root) if self._is_unfinished(name, kind)]
        if len(found) >= UNFINISHED:
            found = [name for name in found if not self._forget(name, kind)]
        return len(found)

    def _is_unfinished(self, label: str, kind: str) -> bool:
        match = _GENERATION.match(label)
        if not match or kind_of(match.group(1)) != kind:
            return False
        try:
            folder = open_folder(label, self.root)
        except (Refused, OSError):
            return False
        try:
            names = map(_strip, os.listdir(folder))
            return not any(_DUMP.match(name) and not _INCOMPLETE.match(name) for name in names)
        finally:
            os.close(folder)

    def _forget(self, label: str, kind: str) -> bool:
        """Remove a folder that is empty for an hour, or has a test's old status alone; tell whether it is gone."""
        try:
            folder = open_folder(label, self.root)
        except (Refused, OSError):
            return False
        try:
            names = os.listdir(folder)
            age = time.time() - os.fstat(folder).st_mtime
            if kind == "test" and names == [STATUS] and age > TEST_AGE:
                os.unlink(STATUS, dir_fd=folder)
            elif names or age <= TEMPORARY_AGE:
                return False
            os.rmdir(label, dir_fd=self.root)
            return True
        except OSError:
            return False
        finally:
            os.close(folder)

    def newest(self, folder: str) -> t.Optional[t.Tuple[str, int]]:
        """Return name and handle of a folder's newest generation, or None."""
        numbers = self.generations(folder)
        if not numbers:
            return None
        label = f"{folder}.{numbers[-1]}" if numbers[-1] else folder
        return label, open_folder(label, self.root)

    def _next(self, folder: str) -> t.Tuple[str, int]:
        numbers = self.generations(folder)
        return self.new_generation(folder, numbers[-1] + 1 if numbers else 0)

    def mkdir(self, place: Place) -> str:
        """Make a dump's folder; a crash whose name is taken by an earlier one gets a generation of its own."""
        if not place.folder:
            return ""
        with self.lock:
            found = self.newest(place.folder)
            if found is None or (place.kind == "dump" and visible(found[1])):
                if found is not None:
                    os.close(found[1])
                found = self._next(place.folder)
            os.close(found[1])
            return found[0]

    def mktemp(self) -> str:
        """Make a temporary folder; return its name."""
        with self.lock:
            self.check_room()
            if self._sweep() >= TEMPORARY_FOLDERS:
                raise Refused(f"this host has {TEMPORARY_FOLDERS} temporary folders already")
            letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
            name = "tmp." + "".join(letters[byte % len(letters)] for byte in os.urandom(10))
            os.mkdir(name, 0o700, dir_fd=self.root)
            return name

    def _sweep(self) -> int:
        """Remove temporary folders that were left behind; return how many there are."""
        count = 0
        for name in os.listdir(self.root):
            if kind_of(name) != "tmp":
                continue
            try:
                state = os.stat(name, dir_fd=self.root, follow_symlinks=False)
                if state.st_mtime < time.time() - TEMPORARY_AGE:
                    self.remove_proof(name)
                    os.rmdir(name, dir_fd=self.root)
                    continue
            except (OSError, Refused):
                pass
            count += 1
        return count

    def rmdir(self, name: str) -> None:
        """Remove an empty temporary folder.

        :raises Refused: it is not there, or not empty.
        """
        try:
            os.rmdir(name, dir_fd=self.root)
        except OSError as exc:
            raise Refused(f"rmdir: {os.strerror(exc.errno or 0)}") from None

    def remove_proof(self, name: str) -> None:
        """Remove the proof from a temporary folder."""
        try:
            folder = open_folder(name, self.root)
        except FileNotFoundError:
            return
        try:
            for extension in ("", ".age", ".gpg"):
                try:
                    os.unlink(PROOF + extension, dir_fd=folder)
                except FileNotFoundError:
                    pass
        finally:
            os.close(folder)

    # Files

    def suffix(self) -> str:
        """Return what the name of an encrypted file ends with."""
        return "." + self.config.encrypt["program"] if self.config.encrypt else ""

    def begin(self, place: Place, first: bool = False) -> t.Tuple[str, int, str, int]:
        """Make the file that a stream goes into.

        :param first: it is the README that SUSE writes before the dump.
        :returns: the folder's name and handle, the file's name and handle.
        :raises Refused: another session writes it, or there is no room.
        """
        with self.lock:
            self.check_room()
            if place.kind == "tmp":
                return self._begin_proof(place)
            found = _INCOMPLETE.match(place.name)
            disk = (place.name if found else place.name + "-incomplete") + self.suffix()
            newest = self.newest(place.folder)
            if newest is not None and self._taken(newest[1], place.name, disk, first):
                os.close(newest[1])
                newest = None
            label, folder = newest or self._next(place.folder)
            if len(visible(folder)) >= FILES:
                os.close(folder)
                raise Refused(f"this dump has {FILES} files already")
            handle = create(disk, folder)
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return label, folder, disk, handle

    def _begin_proof(self, place: Place) -> t.Tuple[str, int, str, int]:
        try:
            folder = open_folder(place.folder, self.root)
            disk = place.name + self.suffix()
            return place.folder, folder, disk, create(disk, folder)
        except FileNotFoundError:
            raise Refused("no such temporary folder") from None
        except FileExistsError:
            raise Refused("that file is there already") from None

    def _taken(self, folder: int, name: str, disk: str, first: bool) -> bool:
        """Tell whether an earlier crash wrote that file here.

        :raises Refused: a session writes it now.
        """
        names = visible(folder)
        if disk in names:
            if in_use(disk, folder):
                raise Refused("another session is writing that file")
            return True
        final = _strip(name)
        if name == README:
            if first:
                return bool(names)
            return README in map(_strip, names) and not read_state(README, folder).get("first")
        found = _INCOMPLETE.match(name)
        for other in map(_strip, names):
            if _INCOMPLETE.match(other):
                continue
            if _unflat(other) == _unflat(final) or (found and _is_result(other, found)):
                return True
        return False

    def finish(self, folder: int, disk: str, name: str) -> None:
        """Give a file its final name; a finished one is never replaced, but SUSE's first README.

        :raises Incomplete: there is one.
        """
        with self.lock:
            if exists(name, folder):
                if _strip(name) != README or not read_state(README, folder).get("first"):
                    raise Incomplete(f"there is a finished {name} already")
                # Before the rename: killed in between, the first one counts as the last, and nothing is lost.
                forget_state(README, folder)
            os.rename(disk, name, src_dir_fd=folder, dst_dir_fd=folder)
            os.fsync(folder)

    def move(self, source: Place, target: Place) -> t.Tuple[str, str]:
        """Give an incomplete file its final name, if all of it came; return the folder's and the file's name.

        :raises Refused: it did not come whole, or is not there.
        """
        disk = source.name + self.suffix()
        with self.lock:
            newest = self.newest(source.folder)
            if newest is None or not exists(disk, newest[1]):
                raise Refused(f"there is no {source.name} in the newest dump of that name")
            label, folder = newest
            if in_use(disk, folder):
                raise Refused("another session is still writing that file")
            state = read_state(disk, folder)
            if not state.get("complete"):
                cause = state.get("cause") or "its session was cut off"
                raise Refused(f"{source.name} is incomplete: {cause}")
            name = target.name
            if state.get("rearranged"):
                name = _unflat(name)
            name += self.suffix()
            if exists(name, folder):
                raise Refused(f"there is a finished {name} already")
            os.rename(disk, name, src_dir_fd=folder, dst_dir_fd=folder)
            os.fsync(folder)
        # From here on the dump is final, and whatever fails must not tell the client otherwise.
        if _DUMP.match(target.name):
            leave_receipt(folder, name, state, f"{label}/{name}")
        forget_state(disk, folder)
        os.close(folder)
        return label, name

    def set_status(self, place: Place, content: bytes) -> str:
        """Write a test's status; return the folder's name. A success is final, as every finished file."""
        with self.lock:
            found = self.newest(place.folder)
            if found is not None:
                there = read_small(STATUS, found[1])
                if there.startswith(b"success") and there != content:
                    os.close(found[1])
                    found = None
            label, folder = found or self._next(place.folder)
            replace(STATUS, folder, content)
            os.close(folder)
            return label

    def get_status(self, place: Place) -> bytes:
        """Return a test's status; b'' if there is none."""
        found = self.newest(place.folder)
        if found is None:
            return b""
        try:
            return read_small(STATUS, found[1])
        finally:
            os.close(found[1])


def _unflat(name: str) -> str:
    """Return the name of a dump that was put in order."""
    return name[: -len(".flat")] if name.endswith(".flat") else name


def _strip(name: str) -> str:
    """Return a file's name without what encryption added."""
    return name[:-4] if name.endswith((".age", ".gpg")) else name


def read_state(name: str, folder: int) -> t.Dict[str, t.Any]:
    """Return what the session that wrote a file noted of it; nothing if it was cut off."""
    try:
        found = json.loads(read_small(f".{name}.state", folder).decode("utf-8"))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def write_state(name: str, folder: int, state: t.Dict[str, t.Any]) -> None:
    replace(f".{name}.state", folder, json.dumps(state).encode("utf-8"))


def forget_state(name: str, folder: int) -> None:
    try:
        os.unlink(f".{name}.state", dir_fd=folder)
    except OSError:
        pass


def write_receipt(folder: int, name: str, state: t.Dict[str, t.Any]) -> None:
    """Say in the dump's folder what arrived."""
    receipt = {
        "file": name,
        "received": state["received"],
        "stored": state["stored"],
        "seconds": state["seconds"],
        "format": state["format"],
        "rearranged": state["rearranged"],
        "complete": True,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "receiver": VERSION,
    }
    replace(RECEIPT, folder, json.dumps(receipt, indent=1).encode("utf-8") + b"\n")


def leave_receipt(folder: int, name: str, state: t.Dict[str, t.Any], where: str) -> None:
    """Write the receipt of a dump that has its final name; a disk without room for it is only logged.

    A client that was told of a failure would keep or send the dump a second time, and this one is whole.
    """
    try:
        write_receipt(folder, name, state)
    except OSError as exc:
        log(syslog.LOG_ERR, f"{where}: the dump is whole, but its receipt cannot be written: {exc}")


class Cipher:
    """age or gpg between the stream and the disk."""

    def __init__(self, encrypt: t.Dict[str, t.Any], output: int) -> None:
        import subprocess  # only here: it takes long to load

        self._ended = False
        self.program = str(encrypt["program"])
        argv = cipher_argv(self.program, [str(one) for one in encrypt["recipients"]])
        home = pwd.getpwuid(os.getuid()).pw_dir
        env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": home, "LC_ALL": "C"}
        try:
            self._process = subprocess.Popen(
                argv, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.PIPE, env=env
            )
        except OSError as exc:
            raise Incomplete(f"{self.program} does not start: {exc.strerror}") from None
        assert self._process.stdin is not None
        self._pipe = self._process.stdin.fileno()
        try:
            fcntl.fcntl(self._pipe, getattr(fcntl, "F_SETPIPE_SZ", 1031), PIPE_SIZE)
        except OSError:
            pass

    def write(self, views: t.List[t.Any]) -> None:
        """:raises Incomplete: the program has ended."""
        try:
            write_all(self._pipe, views)
        except BrokenPipeError:
            self.finish()
            raise Incomplete(f"{self.program} ended early") from None

    def finish(self) -> None:
        """Wait for the last of it.

        :raises Incomplete: the program failed.
        """
        if self._ended:
            return
        self._ended = True
        _out, said = self._process.communicate()
        if self._process.returncode:
            log(syslog.LOG_ERR, f"{self.program}: {said.decode('utf-8', 'replace')}")
            raise Incomplete(f"{self.program} failed with {self._process.returncode}")


def cipher_argv(program: str, recipients: t.Sequence[str]) -> t.List[str]:
    """Return the command that encrypts stdin to stdout; a recipient that is a path is a file with keys."""
    if program == "age":
        argv, one, file = ["age"], "-r", "-R"
    elif program == "gpg":
        argv, one, file = ["gpg"], "--recipient", "--recipient-file"
        argv += ["--encrypt", "--batch", "--no-tty", "--trust-model", "always"]
        argv += ["--compress-algo", "none", "--output", "-"]
    else:
        raise Refused(f"encrypt: the program is {program!r}, neither age nor gpg")
    for recipient in recipients:
        argv += [file if recipient.startswith("/") else one, recipient]
    return argv


class Upload:
    """A file that arrives: feed() and flush() its bytes, then finish(), or fail()."""

    HEAD = 64  # bytes that tell what it is

    def __init__(self, store: Store, place: Place, limit: int = 0) -> None:
        """:param limit: bytes that may come; 0 for no limit but the quota.

        :raises Refused: it may not be written now.
        """
        self._store = store
        self._place = place
        self._limit = limit
        self._head = bytearray()
        self._sink = None  # type: t.Union[Plain, Flattened, None]
        self._cipher = None  # type: t.Optional[Cipher]
        self._room = 0  # bytes until the next look at quota and file system
        self._extent = 0  # bytes of the file
        self._unsynced = 0
        self._first = False
        self._begun = time.monotonic()
        self._handle = self._folder = -1
        self.label = place.folder
        self.disk = place.name
        self.received = 0  # bytes
        self.stored = 0  # bytes
        self.closed = False
        if place.name != README:
            self._open()

    def _open(self) -> None:
        self.label, self._folder, self.disk, self._handle = self._store.begin(
            self._place, self._first
        )
        if self._store.config.encrypt:
            self._cipher = Cipher(self._store.config.encrypt, self._handle)

    def _start(self) -> None:
        """Choose what stores the stream, by its first bytes."""
        head = bytes(self._head)
        if self._place.name == README:
            self._first = head.startswith(README_FIRST)
            self._open()
        # What is encrypted lies there as it came, and not where its records belong.
        limit = LARGEST_OFFSET if self._cipher else self._store.quota_left()
        self._sink = sink_for(head, self._check if self._cipher else self._write, limit)
        self._sink.feed(head)

    def feed(self, data: t.Any) -> None:
        """Take the next bytes; they must not change until flush().

        :raises Incomplete: it cannot be stored whole.
        :raises Refused: it may not be stored at all.
        """
        self.received += len(data)
        if self._limit and self.received > self._limit:
            raise Incomplete(f"more than {self._limit} bytes came")
        if self._sink is None:
            take = self.HEAD - len(self._head)
            self._head += data[:take]
            if len(self._head) < self.HEAD:
                return
            self._start()
            data = data[take:]
        if self._sink is not None and len(data):
            self._sink.feed(data)
        if self._cipher:
            self._encrypt(data)

    def flush(self) -> None:
        """Write what feed() kept."""
        if self._sink is not None:
            self._sink.flush()

    def _check(self, offset: int, views: t.List[t.Any]) -> None:
        """Stands for the disk where the stream is encrypted as it came."""

    def _encrypt(self, data: t.Any) -> None:
        assert self._cipher is not None
        if self._head:
            data_list = [bytes(self._head), data] if len(data) else [bytes(self._head)]
            del self._head[:]
        else:
            data_list = [data] if len(data) else []
        size = sum(map(len, data_list))
        self._spend(size, size)
        self._cipher.write(data_list)

    def _write(self, offset: int, views: t.List[t.Any]) -> None:
        size = sum(map(len, views))
        self._spend(size, max(0, offset + size - self._extent))
        self._extent = max(self._extent, offset + size)
        try:
            os.lseek(self._handle, offset, os.SEEK_SET)
            write_all(self._handle, views)
        except OSError as exc:
            raise Incomplete(_cause(exc)) from None
        self._unsynced += size
        if self._unsynced >= WRITE_BACK_EVERY:
            self._unsynced = 0
            os.posix_fadvise(self._handle, 0, 0, os.POSIX_FADV_DONTNEED)

    def _spend(self, size: int, growth: int) -> None:
        """Count bytes that go to the disk, and look now and then whether there is room.

        :param growth: bytes by which the file becomes longer; what fills a hole counts already.
        :raises Incomplete: there is none.
        """
        if size > self._room:
            config = self._store.config
            quota, space = self._store.quota_left(), self._store.space_left()
            if quota < growth:
                raise Incomplete(
                    f"this host's quota of {config.max_bytes} bytes (max_bytes) is used up"
                )
            if space < size:
                raise Incomplete(
                    f"the dump server's disk is full; {config.keep_free} bytes stay free (keep_free)"
                )
            # Other sessions write too: the less is left, the more often it is looked at.
            self._room = max(size, min(CHECK_EVERY, quota // 8, space // 8))
        self._room -= size

    def finish(self, until_closed: bool = False) -> str:
        """See that all of it is there and on the disk, and give it its name; return that.

        :param until_closed: nothing but the end of the input says that this is all of it.
        :raises Incomplete: it is not whole.
        """
        if self._sink is None:
            self._start()
            if self._cipher:
                self._encrypt(b"")
        assert self._sink is not None
        self._sink.finish()
        name = _strip(self.disk) if self._place.kind == "tmp" else self._place.name
        found = _INCOMPLETE.match(name)
        stem = found.group(1) if found else name
        if not self.received and _DUMP.match(stem):
            raise Incomplete("not one byte came")
        if self._cipher:
            self._cipher.finish()
        os.fsync(self._handle)
        os.fsync(self._folder)
        # A stream without an end of its own ends in the same way when the network is cut.
        if until_closed and not self._sink.knows_its_end and hung_up():
            raise Incomplete("the connection was cut, and nothing shows that this is all of it")
        self.stored = os.fstat(self._handle).st_size
        if self._place.kind != "tmp":
            name = self._settle(name, bool(found))
        self.close()
        return name

    def _settle(self, name: str, awaits_mv: bool) -> str:
        sink = self._sink
        rearranged = bool(sink and sink.rearranged and not self._cipher)
        kind = sink.format if sink else "unknown"
        if rearranged and isinstance(sink, Flattened):
            kind = format_of(bytes(sink.head))
        state = {
            "complete": True,
            "received": self.received,
            "stored": self.stored,
            "seconds": round(time.monotonic() - self._begun, 3),
            "format": kind,
            "rearranged": rearranged,
        }
        if awaits_mv:
            write_state(self.disk, self._folder, state)
            return self.disk
        if rearranged:
            name = _unflat(name)
        final = name + self._store.suffix()
        self._store.finish(self._folder, self.disk, final)
        self.disk = final
        # From here on the file is final, and whatever fails must not tell the client otherwise.
        if self._first:
            try:
                write_state(README, self._folder, {"first": True})
            except OSError as exc:
                # The last README then goes into a generation of its own.
                log(syslog.LOG_ERR, f"{self.label}/{final}: it cannot be noted as the first: {exc}")
        if _DUMP.match(name):
            leave_receipt(self._folder, final, state, f"{self.label}/{final}")
        return final

    def fail(self, cause: str) -> None:
        """Keep what came, and note why it is not whole."""
        if self.closed or self._handle < 0:
            return
        for last in (self.flush, self._cipher.finish if self._cipher else self.flush):
            try:
                last()
            except (Incomplete, OSError):
                pass
        try:
            self.stored = os.fstat(self._handle).st_size
            os.fsync(self._handle)
            if self._place.kind != "tmp":
                write_state(self.disk, self._folder, {"complete": False, "cause": cause})
        except OSError as exc:
            log(syslog.LOG_ERR, f"{self.label}/{self.disk}: {exc}")
        self.close()

    def close(self) -> None:
        self.closed = True
        for handle in (self._handle, self._folder):
            if handle >= 0:
                os.close(handle)
        self._handle = self._folder = -1


def _cause(exc: OSError) -> str:
    if exc.errno == errno.ENOSPC:
        return "the dump server's disk is full"
    if exc.errno == errno.EDQUOT:
        return "the dump account's disk quota is used up"
    return f"the dump server cannot write: {os.strerror(exc.errno or 0)}"


# --- how it comes ----------------------------------------------------------------------------------------------


class Input:
    """Reads into one buffer that is never copied, and gives up when nothing comes for long."""

    def __init__(self, handle: int, idle: float) -> None:
        """:param idle: seconds; 0 for no limit."""
        self._handle = handle
        self._idle = int(idle * 1000) if idle else None
        self._memory = memoryview(bytearray(BUFFER))
        self._start = self._end = 0
        self._poll = select.poll()
        self._poll.register(handle, select.POLLIN)
        try:
            fcntl.fcntl(handle, getattr(fcntl, "F_SETPIPE_SZ", 1031), PIPE_SIZE)
        except OSError:
            pass  # a socket

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return self._end - self._start

    def view(self) -> memoryview:
        """Return what is there."""
        return self._memory[self._start : self._end]

    def skip(self, size: int) -> None:
        """Be done with the first bytes."""
        self._start += size

    def more(self, least: int) -> bool:
        """Wait until so many bytes are there; tell whether they came. Views from before are void.

        :raises Incomplete: nothing came for too long.
        """
        if self._start == self._end:
            self._start = self._end = 0
        elif self._start + least > BUFFER:
            rest = bytes(self.view())
            self._memory[: len(rest)] = rest
            self._start, self._end = 0, len(rest)
        while self.size < least:
            if not self._poll.poll(self._idle):
                raise Incomplete(f"no byte came for {(self._idle or 0) / 1000:g} seconds (idle)")
            count = os.readv(self._handle, [self._memory[self._end :]])
            if not count:
                return False
            self._end += count
        return True


def receive(source: Input, upload: Upload) -> None:
    """Take all of a stream.

    :raises Incomplete: not all of it can be stored.
    """
    more = True
    while more:
        try:
            more = source.more(BATCH)
        finally:
            # What came before a connection went quiet is kept too.
            if source.size:
                upload.feed(source.view())
                upload.flush()
                source.skip(source.size)


def reply(content: bytes) -> None:
    """Answer the client."""
    write_all(1, [content])


def hung_up() -> bool:
    """Tell whether nobody is there any more to take an answer.

    A client that has sent all waits for the exit code, and sshd with it, so that only the input is closed. Where a
    connection is cut, sshd closes all of a session.
    """
    poll = select.poll()
    poll.register(1, 0)
    return any(event & (select.POLLHUP | select.POLLERR) for _handle, event in poll.poll(0))


class Session:
    """One connection: who, what, since when; and its lines in the log."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.verb = "-"
        self.begun = time.monotonic()

    def note(self, outcome: str, where: str = "-", received: int = 0, stored: int = 0) -> None:
        """:param outcome: ok, or 'refused: ...', 'incomplete: ...', 'failed: ...'."""
        seconds = time.monotonic() - self.begun
        log(
            syslog.LOG_INFO if outcome == "ok" else syslog.LOG_WARNING,
            f"host={self.host} verb={self.verb} file={where} bytes={received} stored={stored} "
            f"seconds={seconds:.2f} outcome={outcome}",
        )

    def note_file(self, upload: Upload, outcome: str) -> None:
        self.note(outcome, f"{upload.label}/{upload.disk}", upload.received, upload.stored)


def clean(text: str) -> str:
    """Return a text of which nothing can forge a line of a log or move a cursor."""
    return "".join(one if " " <= one <= "~" else "?" for one in text)[:600]


def log(priority: int, text: str) -> None:
    syslog.syslog(priority, clean(text))


def say(text: str) -> None:
    """Tell the client's console."""
    try:
        write_all(2, [f"{IDENT}: {clean(text)}\n".encode("ascii")])
    except OSError:
        pass


def store_stream(session: Session, store: Store, source: Input, place: Place) -> None:
    """Do as dd of= and cat > do."""
    upload = Upload(store, place, PROOF_SIZE if place.kind == "tmp" else 0)
    try:
        receive(source, upload)
        upload.finish(until_closed=True)
    except BaseException as exc:
        _give_up(session, upload, exc)
        raise
    session.note_file(upload, "ok")


def _give_up(session: Session, upload: Upload, exc: BaseException) -> None:
    """Keep what came of a file, marked incomplete, with the cause."""
    expected = isinstance(exc, (Incomplete, Refused))
    cause = str(exc) if expected else "the receiver failed"
    if isinstance(exc, OSError):
        cause = _cause(exc)
    upload.fail(cause)
    kind = "refused" if isinstance(exc, Refused) else "incomplete"
    session.note_file(upload, f"{kind}: {cause}")
    exc.noted = True  # type: ignore[attr-defined]


# scp's older protocol: lines 'C0600 SIZE NAME' with the file's bytes and a zero behind them, each answered with a
# zero, or with 1 and a message (openssh-portable, scp.c: sink() and source()).

_SCP_FILE = re.compile(rb"C0?[0-7]{3,4} ([0-9]{1,18}) ([ -~]+)\Z")


def scp_sink(session: Session, store: Store, source: Input, place: Place) -> None:
    """Be the other side of `scp FILE HOST:PATH`."""
    reply(b"\0")
    while True:
        line = _scp_line(source)
        if line is None:
            return
        if line[:1] == b"T":  # times
            reply(b"\0")
            continue
        if line[:1] in (b"\1", b"\2"):  # the client could not read a file
            raise Incomplete("scp says: " + line[1:].decode("ascii", "replace"))
        found = _SCP_FILE.match(line)
        if not found:
            raise Refused("scp of anything but a file")
        target = place
        if not place.name:
            target = parse_place(place.path + "/" + found.group(2).decode("ascii"))
        check_file(target)
        _scp_file(session, store, source, target, int(found.group(1)))


def _scp_line(source: Input) -> t.Optional[bytes]:
    """Return the next line, or None at the end.

    :raises Refused: it is none.
    """
    wanted = 1
    while source.more(wanted):
        text = bytes(source.view()[: LONGEST_PATH + 64])
        end = text.find(b"\n")
        if end >= 0:
            source.skip(end + 1)
            return text[:end]
        wanted = source.size + 1
        if wanted > LONGEST_PATH:
            break
    if source.size:
        raise Refused("that is not scp's protocol")
    return None


def _scp_file(session: Session, store: Store, source: Input, place: Place, size: int) -> None:
    upload = Upload(store, place)
    try:
        reply(b"\0")
        left = size
        while left:
            if not source.more(min(left, BATCH)) and not source.size:
                raise Incomplete(f"the connection ended after {size - left} bytes of {size}")
            take = min(left, source.size)
            upload.feed(source.view()[:take])
            upload.flush()
            source.skip(take)
            left -= take
        if not source.more(1) or bytes(source.view()[:1]) != b"\0":
            raise Incomplete("scp could not read all of the file")
        source.skip(1)
        upload.finish()
        reply(b"\0")
    except BaseException as exc:
        _give_up(session, upload, exc)
        raise
    session.note_file(upload, "ok")


def scp_source(store: Store, source: Input, place: Place) -> None:
    """Be the other side of `scp HOST:.../vmcore-creation.status FILE`."""
    content = store.get_status(place)
    if not content:
        reply(f"\1scp: {place.path}: No such file or directory\n".encode("ascii"))
        raise Refused("there is no status of that test")
    for part in (f"C0600 {len(content)} {STATUS}\n".encode("ascii"), content + b"\0"):
        _scp_ack(source)
        reply(part)
    _scp_ack(source)


def _scp_ack(source: Input) -> None:
    if not source.more(1) or bytes(source.view()[:1]) != b"\0":
        raise Incomplete("scp did not take the file")
    source.skip(1)


class Sftp:
    """SFTP version 3, to write. Of what is there a client sees folders, its own files, and a test's status."""

    LONGEST = 256 << 10  # bytes of a packet; what OpenSSH takes
    OK, EOF, NO_FILE, DENIED, FAILURE = 0, 1, 2, 3, 4
    _TEXTS = ("Success", "End of file", "No such file", "Permission denied", "Failure")
    _WRITE, _CREATE = 2, 8  # flags of OPEN
    _OPEN_FILES = 4

    def __init__(self, session: Session, store: Store, source: Input) -> None:
        self._session = session
        self._store = store
        self._source = source
        self._out = bytearray()
        self._files = {}  # type: t.Dict[bytes, t.Any]
        self._done = {}  # type: t.Dict[t.Tuple[str, str], int]
        self._pending = []  # type: t.List[t.Tuple[bytes, int]]
        self._count = 0
        self.incomplete = ""  # why a file is not whole
        self._verbs = {
            3: self._open, 4: self._close, 5: self._read, 6: self._write, 7: self._stat, 8: self._fstat,
            9: self._setstat, 10: self._setstat, 14: self._mkdir, 16: self._realpath, 17: self._stat,
        }  # fmt: skip

    def run(self) -> None:
        """Serve until the client is done.

        :raises Refused: that is not the protocol.
        :raises Incomplete: a file is not whole.
        """
        try:
            while self._packet():
                pass
        except BaseException as exc:
            self._abandon(exc)
            raise
        self._abandon(Incomplete("the connection ended before the file was closed"))
        if self.incomplete:
            raise Incomplete(self.incomplete)

    def _abandon(self, exc: BaseException) -> None:
        """Mark what is still open as incomplete."""
        for name, file in list(self._files.items()):
            del self._files[name]
            if isinstance(file.upload, Upload) and not file.cause:
                _give_up(self._session, file.upload, exc)
                self.incomplete = self.incomplete or str(exc)

    def _packet(self) -> bool:
        """Serve one packet; tell whether there was one."""
        source = self._source
        for wanted in (4, 0):
            if not wanted:
                size = struct.unpack(">I", source.view()[:4])[0]
                if not 1 <= size <= self.LONGEST:
                    raise Refused("that is not the SFTP protocol")
                wanted = 4 + size
            if source.size < wanted:
                # The buffer moves, and the client waits for its answers.
                self._settle()
                if not source.more(wanted):
                    if source.size:
                        raise Incomplete("the connection ended within a packet")
                    return False
        packet = source.view()[4:wanted]
        source.skip(wanted)
        try:
            self._serve(packet)
        except (struct.error, IndexError, UnicodeError):
            raise Refused("a malformed SFTP packet") from None
        return True

    def _serve(self, packet: memoryview) -> None:
        if packet[0] == 1:
            self._out += struct.pack(">IBI", 5, 2, 3)
            return
        number = struct.unpack_from(">I", packet, 1)[0]
        verb = self._verbs.get(packet[0])
        if packet[0] != 6:
            self._settle_writes()
        if verb is None:
            self._status(number, self.DENIED, "this server only takes dumps")
            log(
                syslog.LOG_WARNING,
                f"host={self._session.host} verb=sftp outcome=refused: packet type {packet[0]}",
            )
            return
        try:
            verb(number, packet[5:])
        except Refused as exc:
            self._session.note(f"refused: {exc}")
            self._status(number, self.DENIED, f"{IDENT}: refused: {exc}")
        except FileNotFoundError:
            self._status(number, self.NO_FILE)

    # Answers

    def _settle(self) -> None:
        """Write what came, and send the answers."""
        self._settle_writes()
        if self._out:
            out, self._out = bytes(self._out), bytearray()
            reply(out)

    def _settle_writes(self) -> None:
        pending, self._pending = self._pending, []
        for name in {name for name, _number in pending}:
            file = self._files[name]
            if not file.cause:
                self._try(file, file.upload.flush)
        for name, number in pending:
            cause = self._files[name].cause
            self._status(number, self.FAILURE if cause else self.OK, cause)

    def _try(self, file: t.Any, action: t.Callable[[], t.Any]) -> None:
        """Do something with a file; if it fails, its cause is noted and the file marked incomplete."""
        try:
            action()
        except (Incomplete, Refused, OSError) as exc:
            _give_up(self._session, file.upload, exc)
            file.cause = _cause(exc) if isinstance(exc, OSError) else str(exc)
            self.incomplete = self.incomplete or file.cause

    def _status(self, number: int, code: int, text: str = "") -> None:
        message = clean(text or self._TEXTS[code]).encode("ascii")
        body = struct.pack(">BIII", 101, number, code, len(message)) + message + b"\0\0\0\0"
        self._out += struct.pack(">I", len(body)) + body

    def _answer(self, kind: int, number: int, body: bytes) -> None:
        self._out += struct.pack(">IBI", 5 + len(body), kind, number) + body

    @staticmethod
    def _attributes(folder: bool, size: int = 0) -> bytes:
        # size and permissions
        return struct.pack(">IQI", 1 | 4, size, 0o40700 if folder else 0o100600)

    # What a packet has

    @staticmethod
    def _string(body: memoryview) -> t.Tuple[bytes, memoryview]:
        size = struct.unpack_from(">I", body, 0)[0]
        if size > len(body) - 4:
            raise Refused("a malformed SFTP packet")
        return bytes(body[4 : 4 + size]), body[4 + size :]

    def _place(self, body: memoryview) -> t.Tuple[Place, memoryview]:
        text, rest = self._string(body)
        try:
            path = text.decode("ascii")
        except UnicodeError:
            raise Refused("the path has a character that is not allowed") from None
        return parse_place("/" if path == "." else path), rest

    def _file(self, body: memoryview) -> t.Tuple[t.Any, memoryview]:
        name, rest = self._string(body)
        if name not in self._files:
            raise Refused("no such file is open")
        return self._files[name], rest

    # Requests

    def _realpath(self, number: int, body: memoryview) -> None:
        path = self._place(body)[0].path.encode("ascii")
        name = struct.pack(">I", len(path)) + path
        self._answer(104, number, struct.pack(">I", 1) + name + name + self._attributes(True))

    def _stat(self, number: int, body: memoryview) -> None:
        place = self._place(body)[0]
        if not place.name:
            if place.kind == "tmp" or (place.folder and not self._store.generations(place.folder)):
                raise FileNotFoundError
            self._answer(105, number, self._attributes(True))
            return
        size = self._done.get((place.folder, place.name))
        for file in self._files.values():
            if file.place == place and file.upload:
                size = file.upload.received
        if size is None and place.kind == "test" and place.name == STATUS:
            size = len(self._store.get_status(place)) or None
        if size is None:
            raise FileNotFoundError
        self._answer(105, number, self._attributes(False, size))

    def _fstat(self, number: int, body: memoryview) -> None:
        file = self._file(body)[0]
        size = file.upload.received if file.upload else len(file.content)
        self._answer(105, number, self._attributes(False, size))

    def _setstat(self, number: int, _body: memoryview) -> None:
        """Modes and times are the server's own."""
        self._status(number, self.OK)

    def _mkdir(self, number: int, body: memoryview) -> None:
        place = self._place(body)[0]
        if place.kind == "tmp" or place.name:
            raise Refused("mkdir only of a dump's folder")
        # lftp does this before each of a dump's files, so it begins no generation.
        if place.folder and not self._store.generations(place.folder):
            self._store.mkdir(place)
        self._status(number, self.OK)

    def _open(self, number: int, body: memoryview) -> None:
        place, rest = self._place(body)
        flags = struct.unpack_from(">I", rest, 0)[0]
        if len(self._files) >= self._OPEN_FILES:
            raise Refused("too many open files")
        if flags & self._WRITE:
            check_file(place)
            file = _OpenFile(place, Upload(self._store, place))
        elif place.kind == "test" and place.name == STATUS:
            file = _OpenFile(place, None, self._store.get_status(place))
            if not file.content:
                raise FileNotFoundError
        else:
            raise Refused("nothing can be fetched from here but a test's own status")
        self._count += 1
        name = b"%d" % self._count
        self._files[name] = file
        self._answer(102, number, struct.pack(">I", len(name)) + name)

    def _read(self, number: int, body: memoryview) -> None:
        file, rest = self._file(body)
        offset, size = struct.unpack_from(">QI", rest, 0)
        content = file.content[offset : offset + size]
        if content:
            self._answer(103, number, struct.pack(">I", len(content)) + content)
        else:
            self._status(number, self.EOF)

    def _write(self, number: int, body: memoryview) -> None:
        name, rest = self._string(body)
        file = self._files.get(name)
        if file is None or not file.upload:
            raise Refused("no such file is open for writing")
        offset, size = struct.unpack_from(">QI", rest, 0)
        data = rest[12:]
        if size != len(data):
            raise Refused("a malformed SFTP packet")
        if not file.cause:
            self._try(file, lambda: self._feed(file.upload, offset, data))
        self._pending.append((name, number))

    @staticmethod
    def _feed(upload: Upload, offset: int, data: memoryview) -> None:
        if offset != upload.received:
            raise Incomplete("the file was not written from its beginning to its end")
        upload.feed(data)

    def _close(self, number: int, body: memoryview) -> None:
        name, _rest = self._string(body)
        file = self._files.pop(name, None)
        if file is None:
            raise Refused("no such file is open")
        if file.upload and not file.cause:
            self._try(file, file.upload.finish)
            if not file.cause:
                self._done[(file.place.folder, file.place.name)] = file.upload.received
                self._session.note_file(file.upload, "ok")
        self._status(number, self.FAILURE if file.cause else self.OK, file.cause)


class _OpenFile:
    """A file that a client has open."""

    def __init__(self, place: Place, upload: t.Optional[Upload], content: bytes = b"") -> None:
        self.place = place
        self.upload = upload
        self.content = content
        self.cause = ""  # why it is incomplete


# --- the program -----------------------------------------------------------------------------------------------


def parse_argv(argv: t.Sequence[str]) -> t.Tuple[str, str]:
    """Return the configuration's path and the host's name.

    sshd gives a login shell exactly two arguments, so no client can bring in --config, which is for tests.

    :raises Refused: sshd did not start this with a key's forced command.
    """
    path = ""
    if len(argv) == 4 and argv[0] == "--config":
        path, argv = argv[1], argv[2:]
    if len(argv) != 2 or argv[0] != "-c" or not argv[1].startswith("host "):
        raise Refused("there is no shell here; this account only takes kernel crash dumps")
    host = argv[1][len("host ") :]
    if not _HOST.match(host) or ".." in host:
        raise Refused("the key's entry on the dump server has no valid host name")
    if not path:
        if os.getuid() == 0:
            raise Refused("the dump account must not be root")
        path = os.path.join(CONFIG_DIR, pwd.getpwuid(os.getuid()).pw_name + ".json")
    return path, host


def serve(session: Session, request: Request, store: Store) -> None:
    """Do what a client asks.

    :raises Refused: it cannot have that.
    :raises Incomplete: what came is not whole.
    """
    place = request.place
    if request.verb in ("dd", "cat"):
        store_stream(session, store, Input(0, store.config.idle), place)
        return
    if request.verb == "put":
        scp_sink(session, store, Input(0, store.config.idle), place)
        return
    where = place.folder or "-"
    if request.verb == "sftp":
        Sftp(session, store, Input(0, store.config.idle)).run()
    elif request.verb == "get":
        scp_source(store, Input(0, store.config.idle), place)
    elif request.verb == "mkdir":
        where = store.mkdir(place) or "-"
    elif request.verb == "mktemp":
        where = store.mktemp()
        reply(f"{place.path.rstrip('/')}/{where}\n".encode("ascii"))
    elif request.verb == "rmdir":
        store.rmdir(where)
    elif request.verb == "rm":
        store.remove_proof(where)
    elif request.verb in ("df", "dfp"):
        reply(df_text(store, place.path, request.verb == "dfp").encode("ascii"))
    elif request.verb == "status":
        where = f"{store.set_status(place, request.status.encode('ascii'))}/{STATUS}"
    elif request.verb == "mv" and request.target is not None:
        where = "/".join(store.move(place, request.target))
    session.note("ok", where)


def df_text(store: Store, path: str, posix: bool) -> str:
    """Return what df prints, in KiB, with the host's own limits in place of the file system's."""
    available = store.available() >> 10
    if not posix:
        return f"{'Avail':>10}\n{available:>10}\n"
    used = store.usage()[0] >> 10
    share = -(-100 * used // (used + available)) if used + available else 100
    title = "Filesystem     1024-blocks      Used Available Capacity Mounted on"
    return (
        f"{title}\n{IDENT:<14} {used + available:>11} {used:>9} {available:>9} {share:>7}% {path}\n"
    )


def _interrupt(number: int, _frame: t.Any) -> None:
    raise Incomplete(f"the session was ended by signal {number}")


def run(argv: t.Sequence[str], command: t.Optional[bytes], session: Session) -> None:
    """Serve one connection.

    :param command: the client's words.
    :raises Refused: it asks for something else.
    :raises Incomplete: what came is not whole.
    """
    path, session.host = parse_argv(argv)
    if command is None:
        raise Refused("there is no shell here; this account only takes kernel crash dumps")
    config = load_config(path)
    try:
        request = parse_command(command.decode("ascii"))
    except UnicodeError:
        raise Refused("the command has a character that is not printable ASCII") from None
    except Refused as exc:
        session.verb = repr(command[:200])
        raise exc
    session.verb = request.verb
    store = Store(config, session.host)
    try:
        serve(session, request, store)
    finally:
        store.close()


def main(argv: t.Sequence[str], environ: t.Mapping[bytes, bytes]) -> int:
    """Return the exit code; whatever happens, the client gets one line and no traceback."""
    os.umask(0o077)
    syslog.openlog(IDENT, syslog.LOG_PID, syslog.LOG_AUTH)
    for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt)
    session = Session("-")
    noted = None  # type: t.Optional[Exception]
    try:
        run(argv, environ.get(b"SSH_ORIGINAL_COMMAND"), session)
        return 0
    except Refused as exc:
        text, noted = f"refused: {exc}", exc
    except Incomplete as exc:
        text, noted = f"incomplete: {exc}", exc
    except OSError as exc:
        text, noted = f"failed: {_cause(exc)}", exc
    except Exception as exc:
        # A mistake in this program.
        text, noted = "failed: an error in the receiver; the dump server's log has more", exc
    if not isinstance(noted, (Refused, Incomplete)):
        log(syslog.LOG_ERR, f"host={session.host} {noted!r} at {_lines(noted)}")
    # A file that was begun has a line of its own.
    if not getattr(noted, "noted", False):
        session.note(text)
    say(text)
    return 1


def _lines(exc: BaseException) -> str:
    """Return where in this program something went wrong."""
    found, trace = [], exc.__traceback__
    while trace:
        found.append(str(trace.tb_lineno))
        trace = trace.tb_next
    return "lines " + " ".join(found)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environb))
