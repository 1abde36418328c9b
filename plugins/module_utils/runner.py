# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""The one place where modules start a process: no shell, C locale, a time limit, the exit code judged."""

import abc
import os
import shutil
import signal
import subprocess
import typing as t

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class CommandError(Exception):
    """A command could not do its work; str() is the message for the user."""


class Result(t.NamedTuple):
    """What a command left: exit code and both outputs."""

    code: int
    stdout: str
    stderr: str


class Runner(metaclass=abc.ABCMeta):
    """Runs programs; tests replace it by a table of answers."""

    @abc.abstractmethod
    def start(self, argv: t.Sequence[str], timeout: float, data: bytes = b"") -> Result:
        """Run argv without a shell.

        :param timeout: seconds.
        :param data: what it reads from its standard input.
        :raises CommandError: the program is not there or took longer.
        """

    @abc.abstractmethod
    def which(self, program: str) -> t.Optional[str]:
        """Return a program's path, or None."""

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

    def start(self, argv: t.Sequence[str], timeout: float, data: bytes = b"") -> Result:
        environment = dict(os.environ, LANG="C", LC_ALL="C", LANGUAGE="C", PATH=SYSTEM_PATH)
        try:
            process = subprocess.Popen(
                list(argv),
                stdin=subprocess.PIPE if data else subprocess.DEVNULL,
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
            stdout, stderr = process.communicate(data or None, timeout=timeout)
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
