# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What images and machines share: folders, processes, progress lines, keys."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import threading
import time
import typing as t
from pathlib import Path


class LabError(Exception):
    """The lab cannot go on; str() says what happened and what to do."""


def cache_dir() -> Path:
    """Return the folder that outlives a checkout: images and keys. KDUMP_LAB_CACHE overrides it."""
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kdump-fleet"
    path = Path(os.environ.get("KDUMP_LAB_CACHE") or default)
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


@contextlib.contextmanager
def step(text: str, *, every: float = 15.0) -> t.Iterator[None]:
    """Print a line when a long step begins, one every so many seconds, and one when it ends.

    :param every: seconds between the lines in between.
    """
    start = time.monotonic()
    done = threading.Event()

    def elapsed() -> str:
        return f"{time.monotonic() - start:5.0f} s"

    def tick() -> None:
        while not done.wait(every):
            say(f"[lab {elapsed()}] {text} ...")

    say(f"[lab     0 s] {text}")
    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    outcome = "failed"
    try:
        yield
        outcome = "done"
    finally:
        done.set()
        thread.join()
        say(f"[lab {elapsed()}] {text}: {outcome}")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def run(argv: t.Sequence[str], *, log: Path | None = None, **kwargs: t.Any) -> str:
    """Run a program and return its output; its whole output is in the error if it fails.

    :param log: a file that gets the output as it comes instead.
    :raises LabError: the program is missing or its exit code is not 0.
    """
    try:
        if log is not None:
            with log.open("ab") as handle:
                done = subprocess.run(
                    argv,
                    stdout=handle,
                    stderr=subprocess.STDOUT,
                    stdin=subprocess.DEVNULL,
                    check=False,
                    **kwargs,
                )
            output = tail(log, 40)
        else:
            done = subprocess.run(
                argv,
                capture_output=True,
                stdin=subprocess.DEVNULL,
                encoding="utf-8",
                errors="replace",
                check=False,
                **kwargs,
            )
            output = done.stdout
    except FileNotFoundError as exc:
        raise LabError(
            f"{argv[0]} is not installed; run 'make prerequisites' as root to install what the lab needs."
        ) from exc
    if done.returncode != 0:
        shown = output if log is not None else done.stdout + done.stderr
        raise LabError(f"{' '.join(argv[:4])} ... exited with {done.returncode}:\n{shown.strip()}")
    return output


def tail(path: Path, lines: int) -> str:
    """Return the last lines of a log, readable on a terminal: no escape sequences, no carriage returns."""
    try:
        text = path.read_bytes()[-200_000:].decode("utf-8", "replace")
    except FileNotFoundError:
        return ""
    clean = "".join(char for char in text if char == "\n" or char.isprintable())
    return "\n".join(clean.splitlines()[-lines:])


@contextlib.contextmanager
def locked(path: Path, waiting: str) -> t.Iterator[None]:
    """Hold a lock file; say once what is being waited for when another run holds it."""
    with path.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"[lab] waiting: {waiting}")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


class Keys(t.NamedTuple):
    """The lab's own SSH keys. They open nothing but machines on this computer's loopback."""

    client: Path
    host: Path

    def public(self, key: Path) -> str:
        return key.with_suffix(".pub").read_text().strip()


def keys() -> Keys:
    """Return the lab's keys, made at the first use."""
    folder = cache_dir() / "keys"
    folder.mkdir(mode=0o700, exist_ok=True)
    pair = Keys(folder / "client", folder / "host")
    with locked(folder / "lock", "another run makes the lab's SSH keys"):
        for key in pair:
            if not key.exists():
                run(
                    [
                        "ssh-keygen",
                        "-q",
                        "-t",
                        "ed25519",
                        "-N",
                        "",
                        "-C",
                        f"kdump-lab-{key.name}",
                        "-f",
                        str(key),
                    ]
                )
    return pair


def need(*programs: str) -> None:
    """Check that programs are installed.

    :raises LabError: names those that are missing.
    """
    missing = [program for program in programs if shutil.which(program, path=search_path()) is None]
    if missing:
        raise LabError(
            f"Not installed: {', '.join(missing)}. Run 'make prerequisites' as root to install what the lab needs."
        )


def search_path() -> str:
    """Return PATH with the system folders that a user's PATH may lack on Debian."""
    return os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
