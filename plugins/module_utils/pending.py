# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""The configuration that was there before a change that the kernel has not confirmed yet.

kdump_conf keeps it here, kdump_load forgets it once the kernel says loaded, or puts it back. It lies on the
host's disk, so that a run that is cut off in between is finished, or undone, by the next one.
"""

import hashlib
import json
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.files import Host

PENDING = "/var/lib/kdump-fleet/pending.json"


def _fingerprint(text: t.Optional[str]) -> str:
    return hashlib.sha256((text or "").encode("utf-8", "surrogateescape")).hexdigest()


def keep(host: Host, path: str, before: t.Optional[str], after: str) -> None:
    """Keep a file's content from before a change; the oldest one counts if a change is pending already."""
    kept = load(host)
    entry = kept.setdefault(path, {"before": before})
    entry["after"] = _fingerprint(after)
    host.write(PENDING, json.dumps(kept), mode=0o600)


def load(host: Host) -> t.Dict[str, t.Dict[str, t.Optional[str]]]:
    """Return what is kept, by path: ``before`` (None for a file that was not there) and what ``after`` hashes to."""
    try:
        kept = json.loads(host.read(PENDING) or "{}")
    except ValueError:
        # Half a file cannot be: it is replaced atomically. Somebody edited it; it holds nothing for us.
        return {}
    return kept if isinstance(kept, dict) else {}


def forget(host: Host) -> None:
    """The kernel confirmed the change."""
    host.remove(PENDING)


def restore(host: Host) -> t.List[str]:
    """Put back what is kept, but not over a file that somebody else has changed since; return the paths."""
    restored = []
    for path, entry in sorted(load(host).items()):
        if _fingerprint(host.read(path)) != entry["after"]:
            continue
        before = entry["before"]
        if before is None:
            host.remove(path)
        else:
            host.write(path, before)
        restored.append(path)
    forget(host)
    return restored
