# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""How much room a dump of this host takes at most: the pages that its dump level keeps, as they are now, uncompressed.

makedumpfile counts them where it can: it takes a kernel that has memory reserved for a capture, and /proc/kcore. Else
/proc/meminfo gives an estimate. What is written is mostly less: compression makes a third of it on many hosts.
"""

import re
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.files import Host

Facts = t.Mapping[str, t.Any]
Kinds = t.Dict[str, int]

# The kinds of pages, and the levels that leave them out; see makedumpfile(8), whose 4 covers what 2 does.
LEVELS = {"zero": 1, "cache": 2 | 4, "private_cache": 4, "user": 8, "free": 16}
NAMES = {
    "ZERO": "zero",
    "NON_PRI_CACHE": "cache",
    "PRI_CACHE": "private_cache",
    "USER": "user",
    "FREE": "free",
    "KERN_DATA": "kernel",
}
MEASURE = ("makedumpfile", "--mem-usage", "/proc/kcore")
TIME = 20  # seconds; it reads the record of every page, of which a TiB of RAM has 268 million


def mem_usage(text: str) -> t.Optional[Kinds]:
    """Return the bytes of each kind of page by what ``makedumpfile --mem-usage`` printed; None if that is no such table.

    Pages of a kind that this collection does not know count as the kernel's own, which every level keeps.
    """
    size = re.search(r"^page size:\s*([0-9]+)", text, re.M)
    rows = re.findall(r"^([A-Z][A-Z_]+)\s+([0-9]+)\s+(?:yes|no)\b", text, re.M)
    if not size or "KERN_DATA" not in dict(rows):
        return None
    found: Kinds = dict.fromkeys(NAMES.values(), 0)
    for name, pages in rows:
        found[NAMES.get(name, "kernel")] += int(pages) * int(size.group(1))
    return found


def estimate(meminfo: str, total: int) -> t.Optional[Kinds]:
    """Return about the bytes of each kind of page by /proc/meminfo; None if it says nothing, or does not add up.

    No page is known to hold zeros alone, and of cache nobody knows which has a private flag: all of it counts as such, so
    that no level leaves out more than it would.

    :param total: bytes of RAM that a dump covers. MemTotal lacks the kernel's image and its records of pages.
    """
    known = {name: int(size) << 10 for name, size in re.findall(r"^(\w+):\s*([0-9]+) kB", meminfo, re.M)}  # fmt: skip
    if "MemFree" not in known:
        return None
    found: Kinds = dict.fromkeys(NAMES.values(), 0)
    found["free"] = known["MemFree"]
    found["private_cache"] = sum(known.get(name, 0) for name in ("Cached", "Buffers", "SwapCached"))
    found["user"] = known.get("AnonPages", 0) + known.get("Hugetlb", 0)
    found["kernel"] = total - sum(found.values())
    return found if found["kernel"] >= 0 else None


def kept(kinds: t.Mapping[str, int], level: int) -> int:
    """Return the bytes that a dump level keeps."""
    return sum(size for kind, size in kinds.items() if not level & LEVELS.get(kind, 0))


def observed(host: Host, ram: int, reserved: int, level: int, measure: bool) -> t.Dict[str, t.Any]:
    """Return what a dump of this host needs.

    :param ram: bytes, all of it.
    :param reserved: bytes of it that the capture kernel has; they are in no dump.
    :param level: makedumpfile's dump level.
    :param measure: let makedumpfile count; within 20 s, or there is an estimate.
    """
    total = max(0, ram - reserved)
    kinds, basis = None, "ram"
    if measure and host.runner.which(MEASURE[0]):
        kinds, basis = mem_usage(host.ask(MEASURE, TIME) or ""), "measured"
    if kinds is None:
        kinds = estimate(host.read("/proc/meminfo") or "", total)
        basis = "ram" if kinds is None else "estimate"
    return at_level({"kinds": kinds or {"kernel": total}, "basis": basis, "total": total}, level)


def at_level(need: Facts, level: int) -> t.Dict[str, t.Any]:
    """Return what a dump needs with another dump level; at level 0, and with cp, that is all RAM."""
    size = min(kept(need["kinds"], level), need["total"]) if level else need["total"]
    return {**need, "level": level, "bytes": size, "basis": need["basis"] if level else "ram"}


def collector_level(command: str, default: int) -> int:
    """Return the dump level of a command that writes dumps: 0 for another program than makedumpfile.

    :param default: of one without -d.
    """
    words = command.split()
    if not words:
        return default
    if words[0].rpartition("/")[2] != "makedumpfile":
        return 0
    found = re.findall(r"(?:^|\s)(?:-[A-Za-z]*d\s*|--dump-level[= ]\s*)([0-9]+)", command)
    return int(found[-1]) & 31 if found else 0


def room(facts: Facts) -> t.Tuple[str, t.Optional[int]]:
    """Return the place that a dump would go to, as it is called, and the bytes free there; None if nobody here can tell."""
    target, capture = facts["target"], facts["capture"]
    where = target["where"]
    if where:
        # Of a device that is not mounted, all of it is the most that there can be.
        free = where["size"] if where["free"] is None else where["free"]
        return f"{where['type']} {where['location']}", free
    elsewhere = capture["elsewhere"] or (capture["network"] and not target["derived"]["network"])
    return target["path"], None if elsewhere else target["free"]


def shortage(facts: Facts) -> str:
    """Return why a dump may not fit, or ''."""
    need = facts["dump_need"]
    place, free = room(facts)
    if free is None or free >= need["bytes"]:
        return ""
    return too_little(place, free, need["bytes"], need["level"], need["basis"])


def too_little(place: str, free: int, size: int, level: int, basis: str) -> str:
    """Return the sentence for it."""
    origin = {
        "measured": "counted by makedumpfile",
        "estimate": "an estimate from /proc/meminfo",
        "ram": "all of its RAM",
    }[basis]
    return (
        f"{place} has room for {free >> 20} MiB, and a dump of this host at level {level} takes up to {size >> 20} MiB before "
        f"compression ({origin})"
    )
