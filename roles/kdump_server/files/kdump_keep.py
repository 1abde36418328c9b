# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keeps a dump server's folder within its limits, and says in a Prometheus textfile what is there.

A timer starts it with the path of its configuration. Dumps lie in BASE/HOST/FOLDER, and a whole FOLDER goes or stays.
A host that comes by NFS may have a path of its own in between, as kdumpctl has: BASE/HOST/var/crash/FOLDER.
What never goes: a host's newest dump and its newest complete one, a dump with a file .pinned in it, one that a session
writes, and one that changed within the last hour. Nothing goes where no limit is set.
"""

import contextlib
import errno
import fcntl
import json
import os
import re
import stat
import sys
import time
import typing as t

HOUR, DAY = 3600, 86400  # seconds
HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}\Z")  # as the receiver names a host's folder
# 'kdumpctl test' leaves its status, and no dump. A host's own name may begin so, before a date.
TEST = re.compile(
    r"kdump-test-(?!.*(-\d{4}-\d\d-\d\d-\d\d[-:]\d\d(:\d\d)?|-\d{12})(\.\d+)?\Z)", re.ASCII
)
# A folder's name by which a tooling, or the receiver behind it, says that it is a dump's.
DATED = re.compile(
    r"(.*\D)?(\d{4}-\d\d-\d\d-\d\d[-:]\d\d([-:]\d\d)?|\d{12})(\.\d+)?\Z", re.ASCII | re.DOTALL
)
TEMPORARY = re.compile(r"tmp\.[A-Za-z0-9]{10}\Z")  # the receiver's own, which it sweeps
INCOMPLETE = re.compile(r"-incomplete(\.[A-Za-z0-9]+)*\Z")
# makedumpfile's, where kdump-tools has sent all of the memory after it.
GIVEN_UP = re.compile(r"dump-incomplete(\.[A-Za-z0-9]+)*\Z")
MEMORY = re.compile(r"(vmcore|dump)(\..*)?\Z")  # the dump itself; a kernel log alone is none
PINNED = ".pinned"
REMOVED = ".removed-"  # how the name of a dump begins that is being removed
SESSION_LOCK = ".sessions/lock"  # in a host's folder; the receiver holds it to begin a file
TEST_DAYS = 7  # a test's status is of no use later
DEEPEST = 32  # folders within folders, which only an NFS client can have made
LONGEST_PATH = (
    6  # folders between a host's own and a dump's; what is deeper is one dump with what is above it
)


class Limits(t.NamedTuple):
    """What a host may keep; 0 is no limit."""

    days: float = 0
    dumps: int = 0
    bytes: int = 0

    @property
    def any(self) -> bool:
        return bool(self.days or self.dumps or self.bytes)


class Dump(t.NamedTuple):
    """A dump's folder."""

    name: str  # below the host's folder, with the path that the host has put before it
    size: int  # bytes of all its files, as the receiver's quota counts them
    changed: float  # seconds since 1970, of the newest thing in it, by the server's clock
    complete: bool
    pinned: bool
    test: bool


class Plan(t.NamedTuple):
    """A dump that is to go, and why."""

    dump: Dump
    reason: str


def choose(dumps: t.Sequence[Dump], limits: Limits, now: float) -> t.List[Plan]:
    """Return what is to go, in that order. Pure.

    :param now: seconds since 1970.
    """
    if not limits.any:
        return []
    going: t.List[Plan] = []
    safe = protected(dumps)
    line = [dump for dump in dumps if dump.name not in safe and not is_fresh(dump, now)]
    # Half dumps go before whole ones, and the oldest first.
    line.sort(key=lambda dump: (_is_whole(dump, now), dump.changed, dump.name))
    left = [dump for dump in dumps if not dump.test]
    count, size = len(left), sum(dump.size for dump in left)
    for dump in line:
        reason = ""
        age = (now - dump.changed) / DAY
        if dump.test:
            reason = f"a test of {age:.0f} days ago" if age > TEST_DAYS else ""
        elif limits.days and age > limits.days:
            reason = f"older than {limits.days:g} days"
        elif limits.dumps and count > limits.dumps:
            reason = f"more than {limits.dumps} dumps"
        elif limits.bytes and size > limits.bytes:
            reason = f"more than {limits.bytes} bytes"
        if reason:
            going.append(Plan(dump, reason))
            if not dump.test:
                count, size = count - 1, size - dump.size
    return going


def _is_whole(dump: Dump, now: float) -> bool:
    """Say whether a dump has to be treated as one that somebody may read: also half of it, for a day."""
    return dump.complete or now - dump.changed < DAY


def is_fresh(dump: Dump, now: float) -> bool:
    """Say whether a dump changed within the last hour; one from the future is not, the clock was off."""
    return abs(now - dump.changed) < HOUR


def protected(dumps: t.Sequence[Dump]) -> t.Set[str]:
    """Return the names of dumps that stay whatever the limits are."""
    names = {dump.name for dump in dumps if dump.pinned}
    real = sorted((dump.changed, dump.name) for dump in dumps if not dump.test)
    whole = sorted((dump.changed, dump.name) for dump in dumps if dump.complete and not dump.test)
    names.update(line[-1][1] for line in (real, whole) if line)
    return names


def open_folder(name: str, parent: t.Optional[int] = None) -> int:
    """Open a folder; a link in its place is an error.

    :raises OSError: it is none.
    """
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    return os.open(name, flags | (0 if parent is None else os.O_NOFOLLOW), dir_fd=parent)


@contextlib.contextmanager
def opened(name: str, parent: t.Optional[int] = None) -> t.Iterator[int]:
    handle = open_folder(name, parent)
    try:
        yield handle
    finally:
        os.close(handle)


def read_dump(name: str, parent: int) -> Dump:
    """Look at a dump's folder.

    :raises OSError: it cannot be read, or is a link.
    """
    with opened(name, parent) as folder:
        size, changed, names = _measure(folder, 0)
    halves = [name for name in names if INCOMPLETE.search(name) and not GIVEN_UP.match(name)]
    complete = any(map(MEMORY.match, names)) and not halves
    return Dump(name, size, changed, complete, PINNED in names, bool(TEST.match(name)))


def is_path(name: str, parent: int) -> bool:
    """Say whether a folder is a part of a host's path to its dumps, and none itself.

    It is if it has nothing but folders in it. A file, also one that pins it, makes it a dump; so does its name.

    :raises OSError: it cannot be read, or is a link.
    """
    with opened(name, parent) as folder:
        if DATED.match(name) or TEST.match(name):
            return False
        states = [_mode(entry, folder) for entry in os.listdir(folder)]
    return all(mode is None or stat.S_ISDIR(mode) for mode in states)


def _mode(name: str, folder: int) -> t.Optional[int]:
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return None


@contextlib.contextmanager
def parent_of(path: str, host: int) -> t.Iterator[t.Tuple[str, int]]:
    """Open the folder that a dump of a host lies in, without following links; give the dump's own name and that."""
    with contextlib.ExitStack() as stack:
        *above, name = path.split("/")
        for part in above:
            host = stack.enter_context(opened(part, host))
        yield name, host


def _measure(folder: int, depth: int) -> t.Tuple[int, float, t.List[str]]:
    """Return a folder's bytes, its newest change, and the names in it."""
    size, changes = 0, []
    names = os.listdir(folder)
    for name in names:
        try:
            state = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            continue
        if stat.S_ISDIR(state.st_mode) and depth < DEEPEST:
            with opened(name, folder) as inner:
                more, newest, _names = _measure(inner, depth + 1)
            size += more
            changes.append(newest)
        elif name != PINNED:
            size += state.st_size if stat.S_ISREG(state.st_mode) else 0
            changes.append(state.st_mtime)
    # The folder's own time is also that of setting a pin.
    return size, max(changes) if changes else os.fstat(folder).st_mtime, names


def is_written(name: str, parent: int) -> bool:
    """Say whether a session has a file of that dump locked, as the receiver does while it writes."""
    with opened(name, parent) as folder:
        for file in os.listdir(folder):
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            try:
                handle = os.open(file, flags, dir_fd=folder)
            except OSError:
                continue
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return True
            finally:
                os.close(handle)
    return False


@contextlib.contextmanager
def sessions_held(host: int) -> t.Iterator[None]:
    """Keep the receiver from beginning a file in a host's folder."""
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        handle = os.open(SESSION_LOCK, flags, dir_fd=host)
    except OSError as exc:
        if exc.errno not in (errno.ENOENT, errno.ENOTDIR):
            raise
        # A host that comes by NFS alone.
        yield
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def remove(path: str, host: int, now: float) -> bool:
    """Remove a dump of a host; False if it is in use, pinned, or was written since it was looked at."""
    with parent_of(path, host) as (name, parent):
        return _remove(name, parent, host, now)


def _remove(name: str, parent: int, host: int, now: float) -> bool:
    hidden = REMOVED + name[:200]
    with sessions_held(host):
        dump = read_dump(name, parent)
        if dump.pinned or is_fresh(dump, now) or is_written(name, parent):
            return False
        # From here on the receiver does not see it, and a run that is cut off is finished by the next.
        os.rename(name, hidden, src_dir_fd=parent, dst_dir_fd=parent)
    remove_tree(hidden, parent)
    return True


def remove_tree(name: str, parent: int, depth: int = 0) -> None:
    """Remove a folder and all in it; links are removed and not followed."""
    if depth > DEEPEST:
        raise OSError(errno.ELOOP, f"more than {DEEPEST} folders within each other")
    with opened(name, parent) as folder:
        # A folder that an NFS client made unreadable was refused above; one without 'w' can be mended.
        os.fchmod(folder, 0o700)
        for entry in os.listdir(folder):
            state = os.stat(entry, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISDIR(state.st_mode):
                remove_tree(entry, folder, depth + 1)
            else:
                os.unlink(entry, dir_fd=folder)
    os.rmdir(name, dir_fd=parent)


class Figures(t.NamedTuple):
    """What the textfile says about a host."""

    dumps: int
    bytes: int
    incomplete: int
    last_arrival: t.Optional[float]


def figures(dumps: t.Sequence[Dump]) -> Figures:
    real = [dump for dump in dumps if not dump.test]
    return Figures(
        len(real),
        sum(dump.size for dump in dumps),
        sum(not dump.complete for dump in real),
        max((dump.changed for dump in real), default=None),
    )


METRICS = (
    ("kdump_server_dumps", "Dumps of a host on this server.", "dumps"),
    ("kdump_server_bytes", "Bytes of a host's dumps.", "bytes"),
    ("kdump_server_incomplete", "Dumps of a host that did not arrive whole.", "incomplete"),
    (
        "kdump_server_last_arrival_timestamp_seconds",
        "When a host's newest dump was last written.",
        "last_arrival",
    ),
)


def exposition(hosts: t.Mapping[str, Figures], now: float, failures: int) -> str:
    """Return the textfile, as Prometheus' text-based exposition format 0.0.4 wants it."""
    lines = []
    for metric, text, field in METRICS:
        lines += [f"# HELP {metric} {text}", f"# TYPE {metric} gauge"]
        for host in sorted(hosts):
            value = getattr(hosts[host], field)
            if value is not None:
                lines.append(f'{metric}{{host="{escaped(host)}"}} {_number(value)}')
    for metric, text, value in (
        ("kdump_server_keep_last_run_timestamp_seconds", "When this file was written.", now),
        ("kdump_server_keep_failures", "Folders that the last run could not handle.", failures),
    ):
        lines += [f"# HELP {metric} {text}", f"# TYPE {metric} gauge", f"{metric} {_number(value)}"]
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return str(int(value))


def escaped(text: str) -> str:
    """Return a label's value as it stands between quotes."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def write_whole(path: str, text: str) -> None:
    """Replace a file so that a reader sees the old or the new."""
    # Not a name with .prom: node_exporter would read it too.
    new = path + ".new"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(new)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(new, flags, 0o644)
    with os.fdopen(handle, "w", encoding="ascii") as stream:
        # The umask is for dumps; this is for whoever collects metrics.
        os.fchmod(handle, 0o644)
        stream.write(text)
    os.replace(new, path)


class Keeper:
    """One run over all hosts."""

    def __init__(self, base: str, limits: Limits, now: float) -> None:
        self.base = base
        self.limits = limits
        self.now = now
        self.failures = 0
        self.hosts: t.Dict[str, Figures] = {}

    def say(self, text: str) -> None:
        # A name that an NFS client made may have anything in it.
        print(text.encode("ascii", "backslashreplace").decode().replace("\n", "\\n"), flush=True)

    def run(self) -> None:
        with opened(self.base) as base:
            for name in sorted(os.listdir(base)):
                if HOST.match(name):
                    self._guarded(name, self._host, name, base)

    def _guarded(self, what: str, action: t.Callable[..., None], *arguments: t.Any) -> None:
        """Do something; one host's trouble is not the others'."""
        try:
            action(*arguments)
        except OSError as exc:
            if exc.errno in (errno.ELOOP, errno.ENOTDIR):
                self.say(f"{what}: is a link or no folder, and is left alone")
            else:
                self.say(f"{what}: {exc.strerror}")
            self.failures += 1

    def _host(self, host: str, base: int) -> None:
        dumps: t.Dict[str, Dump] = {}
        with opened(host, base) as folder:
            self._look_into(dumps, host, "", folder)
            for plan in choose(list(dumps.values()), self.limits, self.now):
                what = f"{host}/{plan.dump.name}"
                self._guarded(what, self._remove, what, plan, dumps, folder)
        self.hosts[host] = figures(list(dumps.values()))

    def _look_into(self, dumps: t.Dict[str, Dump], host: str, path: str, folder: int) -> None:
        """Look at all that is in a folder.

        :param path: the folder, below the host's own; '' for that, or with a slash at its end.
        """
        for name in sorted(os.listdir(folder)):
            what = f"{host}/{path}{name}"
            self._guarded(what, self._look, dumps, host, path + name, folder)

    def _look(self, dumps: t.Dict[str, Dump], host: str, path: str, folder: int) -> None:
        name = path.rpartition("/")[2]
        if name.startswith(REMOVED):
            remove_tree(name, folder)
        elif name.startswith(".") or TEMPORARY.match(name):
            pass
        elif path.count("/") < LONGEST_PATH and is_path(name, folder):
            with opened(name, folder) as inner:
                self._look_into(dumps, host, path + "/", inner)
        else:
            dumps[path] = read_dump(name, folder)._replace(name=path)

    def _remove(self, what: str, plan: Plan, dumps: t.Dict[str, Dump], folder: int) -> None:
        if remove(plan.dump.name, folder, self.now):
            del dumps[plan.dump.name]
            self.say(f"removed {what}, {plan.dump.size} bytes: {plan.reason}")
        else:
            self.say(f"kept {what}: it is being written")


def main(argv: t.Sequence[str]) -> int:
    os.umask(0o077)
    with open(argv[0], encoding="utf-8") as handle:
        config = json.load(handle)
    limits = Limits(config["days"], config["dumps"], config["bytes"])
    keeper = Keeper(config["base"], limits, time.time())
    try:
        keeper.run()
        write_whole(config["metrics"], exposition(keeper.hosts, keeper.now, keeper.failures))
    except OSError as exc:
        keeper.say(f"{exc.filename or config['base']}: {exc.strerror}")
        return 1
    return 1 if keeper.failures else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
