# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""The one place where modules start a process: no shell, C locale, a time limit, the exit code judged."""

import abc
import contextlib
import ctypes
import json
import os
import resource
import select
import shutil
import signal
import subprocess
import time
import typing as t

LONGEST_ANSWER = 1 << 20  # bytes of what apart() gives back
_NO_NEW_PRIVILEGES = 38  # PR_SET_NO_NEW_PRIVS of <linux/prctl.h>
# What a program reads from its standard input: bytes, or an open file.
Input = t.Union[bytes, int]
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class CommandError(Exception):
    """A command could not do its work; str() is the message for the user."""


class Result(t.NamedTuple):
    """What a command left: exit code and both outputs."""

    code: int
    stdout: str
    stderr: str


class User(t.NamedTuple):
    """Whom a process is to be."""

    uid: int
    gid: int


class Limits(t.NamedTuple):
    """What a process may use up, it and each that it starts."""

    memory: int  # bytes of address space
    file: int  # bytes of a file that it writes
    cpu: int  # seconds
    timeout: float  # seconds


class Runner(metaclass=abc.ABCMeta):
    """Runs programs; tests replace it by a table of answers."""

    @abc.abstractmethod
    def start(self, argv: t.Sequence[str], timeout: float, data: Input = b"") -> Result:
        """Run argv without a shell.

        :param timeout: seconds.
        :param data: what it reads from its standard input: bytes, or an open file.
        :raises CommandError: the program is not there or took longer.
        """

    @abc.abstractmethod
    def which(self, program: str) -> t.Optional[str]:
        """Return a program's path, or None."""

    @abc.abstractmethod
    def apart(self, action: t.Callable[[], t.Any], user: User, limits: Limits) -> t.Any:
        """Do something in a process of its own, as another user and within limits, with what strangers have made.

        :param user: 0 stays who runs this; nobody but root can be another.
        :return: what it returns, as JSON carries it.
        :raises CommandError: it failed, was ended, or took too long.
        """

    def run(
        self, argv: t.Sequence[str], ok_codes: t.Sequence[int] = (0,), timeout: float = 60
    ) -> str:
        """Run argv and return its standard output.

        :param ok_codes: the exit codes that mean success.
        :param timeout: seconds.
        :raises CommandError: any other exit code, no such program, or out of time.
        """
        result = self.start(argv, timeout)
        if result.code not in ok_codes:
            said = result.stderr.strip() or result.stdout.strip() or "it said nothing"
            raise CommandError(f"'{' '.join(argv)}' exited with {result.code}: {said[-2000:]}")
        return result.stdout


class SystemRunner(Runner):
    """Runs programs on this host."""

    def which(self, program: str) -> t.Optional[str]:
        return shutil.which(program, path=SYSTEM_PATH)

    def apart(self, action: t.Callable[[], t.Any], user: User, limits: Limits) -> t.Any:
        answer, end = os.pipe()
        pid = os.fork()
        if pid == 0:
            # Nothing of the parent's may run here, whatever happens: no handler, and no end of a with.
            try:
                os.close(answer)
                _reply(end, action, user, limits)
            finally:
                os._exit(0)
        os.close(end)
        try:
            said = _listen(answer, time.monotonic() + limits.timeout)
        finally:
            os.close(answer)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            _pid, status = os.waitpid(pid, 0)
        if said is None:
            raise CommandError(f"it was ended after {limits.timeout:.0f} s without a result")
        return _understood(said, status)

    def start(self, argv: t.Sequence[str], timeout: float, data: Input = b"") -> Result:
        environment = dict(os.environ, LANG="C", LC_ALL="C", LANGUAGE="C", PATH=SYSTEM_PATH)
        stdin, words = (subprocess.PIPE, data) if isinstance(data, bytes) else (data, None)
        try:
            process = subprocess.Popen(
                list(argv),
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                cwd="/",
                # A group of its own, so that a time limit ends the children too.
                start_new_session=True,
            )
        except OSError as exc:
            raise CommandError(f"'{argv[0]}' could not be started: {exc.strerror}") from exc
        try:
            stdout, stderr = process.communicate(words, timeout=timeout)
        except subprocess.TimeoutExpired as exc:
            os.killpg(process.pid, signal.SIGKILL)
            try:
                process.communicate(timeout=5)
            except subprocess.TimeoutExpired:
                # It hangs in the kernel, as on a dead NFS server; nothing can end it.
                pass
            raise CommandError(
                f"'{' '.join(argv)}' was ended after {timeout:.0f} s without a result"
            ) from exc
        return Result(
            process.returncode, stdout.decode("utf-8", "replace"), stderr.decode("utf-8", "replace")
        )


def _confine(user: User, limits: Limits) -> None:
    """Make this process another user's, for good, and give it limits.

    :raises OSError: it cannot be done, and nothing else may be.
    """
    os.setsid()
    null = os.open(os.devnull, os.O_RDWR)
    for handle in (0, 1, 2):
        os.dup2(null, handle)
    os.environ.clear()
    os.umask(0o077)
    for what, most in (
        (resource.RLIMIT_AS, limits.memory),
        (resource.RLIMIT_FSIZE, limits.file),
        (resource.RLIMIT_CPU, limits.cpu),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (most, most))
    # A file that is too long is an error, not the end.
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    if user.uid != 0 and os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(user.gid, user.gid, user.gid)
        os.setresuid(user.uid, user.uid, user.uid)
    if ctypes.CDLL(None, use_errno=True).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no_new_privs")


def _reply(end: int, action: t.Callable[[], t.Any], user: User, limits: Limits) -> None:
    try:
        _confine(user, limits)
        answer = json.dumps({"result": action()})
    except MemoryError:
        answer = json.dumps({"error": "it needs more memory than such a thing is given"})
    except Exception as exc:
        answer = json.dumps({"error": f"{exc.__class__.__name__}: {exc}"})
    with os.fdopen(end, "wb") as stream:
        stream.write(answer.encode("ascii"))


def _listen(answer: int, deadline: float) -> t.Optional[bytes]:
    """Return what the other end says, or None if it does not come to an end in time."""
    said = b""
    while len(said) <= LONGEST_ANSWER:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([answer], [], [], left)[0]:
            return None
        part = os.read(answer, 1 << 16)
        if not part:
            break
        said += part
    return said


def _understood(said: bytes, status: int) -> t.Any:
    """Return the result in an answer. Who gave it may have been taken over by what he read.

    :raises CommandError: there is none.
    """
    if os.WIFSIGNALED(status) and not said:
        raise CommandError(f"it was ended by signal {os.WTERMSIG(status)}")
    try:
        answer = json.loads(said.decode("ascii"))
        if "error" in answer:
            raise CommandError(str(answer["error"]))
        return answer["result"]
    except (ValueError, KeyError, TypeError) as exc:
        raise CommandError("it gave no answer that can be understood") from exc
