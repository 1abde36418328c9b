# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""What of a host's network was built into a capture initrd, where no file's time tells that it has changed since.

The initrd has the drivers of the network cards on the way to the dump server, and finds the cards by their MAC addresses. A
card that was replaced leaves no newer file behind. So they are kept at a build, and compared as long as that build is there.
"""

import os
import re
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.files import Host
from ansible_collections.kdump.fleet.plugins.module_utils.records import BAKED

NET = "/sys/class/net"
LOOKUP = 10  # seconds for the server's address


def keep(host: Host, initrd: str, server: str, resolver: bool = False) -> None:
    """Keep what an initrd was just built with; of one without a server for its dumps, nothing.

    :param server: name or address.
    :param resolver: the initrd has the name servers of this host in it.
    """
    address = _address(host, server) if server else ""
    if not address:
        BAKED.forget(host, [initrd])
        return
    found: t.Dict[str, t.Any] = {
        "mtime": host.mtime(initrd),
        "address": address,
        "cards": _cards(host, address),
        "resolver": _resolver(host) if resolver else None,
    }
    BAKED.replace(host, {initrd: found})


def changes(host: Host, initrd: str, built: float) -> t.List[str]:
    """Return what has changed since an initrd was built; nothing of one that somebody else has built.

    :param built: its time of modification, in seconds since 1970.
    """
    kept = BAKED.load(host).get(initrd)
    if not isinstance(kept, dict) or kept.get("mtime") != built or not kept.get("address"):
        return []
    found = []
    cards = _cards(host, kept["address"])
    # Where there is no way to the server now, there is nothing to compare.
    if cards and kept.get("cards") and cards != kept["cards"]:
        found.append(
            f"the way to {kept['address']} is over {_shown(cards)}, and {initrd} was built for {_shown(kept['cards'])}"
        )
    if kept.get("resolver") is not None and kept["resolver"] != _resolver(host):
        found.append(f"/etc/resolv.conf names other servers than {initrd} was built with")
    return found


def server_of(location: str) -> str:
    """Return the server of user@host, host:/export or [2001:db8::1]:/export, without brackets."""
    place = location.rpartition("@")[2] if "/" not in location.partition("@")[0] else location
    match = re.match(r"\[([^\]]+)\]", place) or re.match(r"([^/]*?)(?::/.*)?\Z", place)
    return match.group(1) if match else ""


def _address(host: Host, server: str) -> str:
    if re.match(r"[0-9.]+\Z|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(%\S+)?\Z", server):
        return server
    # This may ask a name server; so may the capture that is being built.
    answer = host.ask(["getent", "ahosts", server], LOOKUP) or ""
    return (answer.split() or [""])[0]


def _cards(host: Host, address: str) -> t.List[t.List[str]]:
    """Return name, driver and MAC address of the device on the way to an address, and of those below it."""
    # It asks the kernel's own table, and nothing goes out.
    answer = host.ask(["ip", "-oneline", "route", "get", address.partition("%")[0]]) or ""
    match = re.search(r"\bdev (\S+)", answer)
    names = [match.group(1)] if match else []
    for name in names:
        below = host.glob(f"{NET}/{name}/lower_*")
        names += [lower for lower in (os.path.basename(path)[6:] for path in below) if lower not in names]  # fmt: skip
    return sorted([name, _driver(host, name), host.read_word(f"{NET}/{name}/address") or ""] for name in names)  # fmt: skip


def _driver(host: Host, name: str) -> str:
    try:
        return os.path.basename(os.readlink(host.path(f"{NET}/{name}/device/driver")))
    except OSError:
        return ""


def _resolver(host: Host) -> t.List[str]:
    """Return what resolv.conf says: who rewrites it at every boot mostly says the same again."""
    lines = (host.read("/etc/resolv.conf") or "").splitlines()
    return [" ".join(line.split()) for line in lines if re.match(r"\s*[a-z]", line)]


def _shown(cards: t.Sequence[t.Sequence[str]]) -> str:
    return ", ".join(
        f"{name} ({' '.join(part for part in rest if part) or 'no card'})" for name, *rest in cards
    )
