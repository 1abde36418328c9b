# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""What files held before this collection changed them, so that a change can be taken back.

There are two such records on a host's disk, where a run that is cut off finds them again. PENDING has what was there
before a change that the kernel has not confirmed yet: kdump_conf keeps it, kdump_load forgets it once the kernel says
loaded, or puts it back. ORIGINALS has what was there before the first change of all: ``kdump_state: absent`` gives it back.
"""

import hashlib
import json
import os
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.files import Host

FOLDER = "/var/lib/kdump-fleet"
Entry = t.Dict[str, t.Any]


def fingerprint(text: t.Optional[str]) -> str:
    """Return what a file's text is recognised by; of no file, as of an empty one."""
    return hashlib.sha256((text or "").encode("utf-8", "surrogateescape")).hexdigest()


class Record:
    """Files from before a change, by path.

    Of each: ``before`` (None: there was none) and ``mode``; ``ours``, what every text that was written over it hashes to;
    ``keys``, the settings in it that were ever set; and ``edited``, whether somebody else's change is in it.
    """

    def __init__(self, name: str) -> None:
        self.path = f"{FOLDER}/{name}"

    def load(self, host: Host) -> t.Dict[str, Entry]:
        try:
            kept = json.loads(host.read(self.path) or "{}")
        except ValueError:
            # Half a file cannot be: it is replaced atomically. Somebody edited it; it holds nothing for us.
            return {}
        if not isinstance(kept, dict):
            return {}
        # What another version of this collection kept in another form may not be ours to read.
        return {
            path: entry
            for path, entry in kept.items()
            if isinstance(entry, dict) and {"before", "mode", "ours", "edited"} <= set(entry)
        }

    def keep(
        self,
        host: Host,
        changes: t.Mapping[str, t.Optional[str]],
        keys: t.Optional[t.Mapping[str, t.Iterable[str]]] = None,
        merged: t.Collection[str] = (),
    ) -> None:
        """Keep what files hold that are about to change; what is kept of a file already stays.

        :param changes: what each file will hold, by path; None: it will be removed.
        :param keys: the settings that are about to be set, by path.
        :param merged: the paths of files in which everything else stays, and so the changes of others.
        """
        kept = self.load(host)
        for path, after in changes.items():
            now = host.read(path)
            entry = kept.setdefault(
                path, {"before": now, "mode": _mode(host, path), "ours": [], "edited": False}
            )
            entry["edited"] = path in merged and others(entry, now)
            entry["ours"] = list(dict.fromkeys([*entry["ours"], fingerprint(after)]))
            entry["keys"] = sorted({*entry.get("keys", ()), *(keys or {}).get(path, ())})
        self._store(host, kept)

    def forget(self, host: Host, paths: t.Optional[t.Sequence[str]] = None) -> None:
        """Forget what is kept, all of it or of these files."""
        kept = self.load(host)
        self._store(
            host,
            {}
            if paths is None
            else {path: entry for path, entry in kept.items() if path not in paths},
        )

    def _store(self, host: Host, kept: t.Mapping[str, Entry]) -> None:
        if kept:
            host.write(self.path, json.dumps(kept), mode=0o600)
        else:
            host.remove(self.path)


def others(entry: Entry, now: t.Optional[str]) -> bool:
    """Say whether a file that is kept holds what somebody else has changed since.

    A run that was cut off before it wrote leaves what an earlier one wrote, or what was there before.
    """
    if now == entry["before"]:
        return False
    return bool(entry["edited"]) or fingerprint(now) not in entry["ours"]


PENDING = Record("pending.json")
ORIGINALS = Record("originals.json")


def _mode(host: Host, path: str) -> t.Optional[int]:
    try:
        return os.stat(host.path(path)).st_mode & 0o7777
    except OSError:
        return None


class ValuesBefore:
    """Values that a host had before this collection set them, by name; of what is no file."""

    def __init__(self, name: str) -> None:
        self.path = f"{FOLDER}/{name}"

    def load(self, host: Host) -> t.Dict[str, t.Any]:
        try:
            kept = json.loads(host.read(self.path) or "{}")
        except ValueError:
            return {}
        return kept if isinstance(kept, dict) else {}

    def keep(self, host: Host, values: t.Mapping[str, t.Any]) -> None:
        """Keep values that are about to change; what is kept already stays."""
        self.replace(host, {**values, **self.load(host)})

    def replace(self, host: Host, values: t.Mapping[str, t.Any]) -> None:
        """Keep values in place of what is kept of them."""
        host.write(self.path, json.dumps({**self.load(host), **values}))

    def forget(self, host: Host, names: t.Iterable[str]) -> None:
        gone = set(names)
        kept = {name: value for name, value in self.load(host).items() if name not in gone}
        if kept:
            host.write(self.path, json.dumps(kept))
        else:
            host.remove(self.path)


SYSCTLS = ValuesBefore("sysctls.json")
# And what was set in their place: another value there is somebody else's.
SYSCTLS_SET = ValuesBefore("sysctls-set.json")
ARGUMENTS = ValuesBefore("arguments.json")
# What of the network a capture initrd was built with, by the initrd's path; see baked.py.
BAKED = ValuesBefore("baked.json")
