# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""A host's files: reading, and replacing whole files so that a reader sees the old or the new, never half."""

import contextlib
import glob as globbing
import os
import shutil
import tempfile
import time
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.runner import CommandError, Runner

TEMPORARY = ".kdump-fleet-"  # how the name of a file that is being written begins


class Host:
    """A host as modules see it: a file tree and a runner. Tests give a folder and a table of answers."""

    def __init__(self, runner: Runner, root: str = "/") -> None:
        self.runner = runner
        self.root = root

    def path(self, path: str) -> str:
        """Return where an absolute path of the host lies for this process."""
        return os.path.join(self.root, path.lstrip("/"))

    def read(self, path: str) -> t.Optional[str]:
        """Return a text file's content as it is, or None if it cannot be read: absent, no permission, not a file."""
        try:
            with open(
                self.path(path), encoding="utf-8", errors="surrogateescape", newline=""
            ) as handle:
                return handle.read()
        except OSError:
            return None

    def read_word(self, path: str) -> t.Optional[str]:
        """Return a file's content without surrounding blanks, as /proc and /sys need it, or None."""
        text = self.read(path)
        return None if text is None else text.strip()

    def read_head(self, path: str, length: int) -> bytes:
        """Return a file's first bytes, or none if it cannot be read."""
        try:
            with open(self.path(path), "rb") as handle:
                return handle.read(length)
        except OSError:
            return b""

    def read_tail(self, path: str, length: int) -> bytes:
        """Return a file's last bytes, or none if it cannot be read or is shorter."""
        try:
            with open(self.path(path), "rb") as handle:
                handle.seek(-length, os.SEEK_END)
                return handle.read(length)
        except OSError:
            return b""

    def exists(self, path: str) -> bool:
        return os.path.exists(self.path(path))

    def mtime(self, path: str) -> t.Optional[float]:
        """Return the modification time in seconds since 1970, or None if there is no such file."""
        try:
            return os.stat(self.path(path)).st_mtime
        except OSError:
            return None

    def size(self, path: str) -> t.Optional[int]:
        """Return a file's size in bytes, or None if there is no such file."""
        try:
            return os.stat(self.path(path)).st_size
        except OSError:
            return None

    def glob(self, pattern: str) -> t.List[str]:
        """Return the host's paths that match, sorted."""
        prefix = self.root.rstrip("/")
        return sorted(found[len(prefix) :] for found in globbing.glob(self.path(pattern)))

    def run(
        self, argv: t.Sequence[str], ok_codes: t.Sequence[int] = (0,), timeout: float = 60
    ) -> str:
        return self.runner.run(argv, ok_codes, timeout)

    def ask(self, argv: t.Sequence[str], timeout: float = 15) -> t.Optional[str]:
        """Return what a command says, or None when it is missing, fails or takes too long: facts may lack."""
        return self.says(argv, (0,), timeout)

    def says(
        self, argv: t.Sequence[str], ok_codes: t.Sequence[int] = (0, 1), timeout: float = 15
    ) -> t.Optional[str]:
        """Do as ask() for a command that says no with an exit code."""
        try:
            result = self.runner.start(argv, timeout)
        except CommandError:
            return None
        return result.stdout.strip() if result.code in ok_codes else None

    def write(self, path: str, text: str, mode: int = 0o644, keep_mode: bool = True) -> None:
        """Replace a file atomically. An existing file keeps its owner, mode and security label.

        :param mode: of a new file.
        :param keep_mode: False gives an existing file that mode too, before it has the text.
        :raises OSError: nothing was changed.
        """
        # A link's target is replaced, not the link: an administrator put it there.
        target = os.path.realpath(self.path(path))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        _remove_left_over(os.path.dirname(target))
        descriptor, temporary = tempfile.mkstemp(prefix=TEMPORARY, dir=os.path.dirname(target))
        try:
            with os.fdopen(
                descriptor, "w", encoding="utf-8", errors="surrogateescape", newline=""
            ) as handle:
                handle.write(text)
                handle.flush()
                os.fsync(handle.fileno())
            if os.path.exists(target):
                before = os.stat(target)
                # copystat takes extended attributes along, the SELinux label among them.
                shutil.copystat(target, temporary)
                os.utime(temporary)
                os.chown(temporary, before.st_uid, before.st_gid)
            if not keep_mode or not os.path.exists(target):
                os.chmod(temporary, mode)
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
        _sync_directory(os.path.dirname(target))

    def remove(self, path: str) -> None:
        """Delete a file; no error if there is none."""
        try:
            os.unlink(self.path(path))
        except FileNotFoundError:
            return
        _sync_directory(os.path.dirname(self.path(path)))


def _remove_left_over(folder: str) -> None:
    """Remove what writes that were killed have left in a folder; a write under way is younger."""
    for path in globbing.glob(os.path.join(globbing.escape(folder), TEMPORARY + "*")):
        with contextlib.suppress(OSError):
            if time.time() - os.stat(path).st_mtime > 60:
                os.unlink(path)


def _sync_directory(path: str) -> None:
    """Make a rename in a directory survive a crash, which is what this collection provokes."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
