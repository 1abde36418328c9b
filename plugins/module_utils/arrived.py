# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""Dumps where they were sent to: on a dump server, in an export, on a device. Whatever tooling sent them."""

import ctypes
import errno
import json
import os
import re
import shutil
import tempfile
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils import ssh_client
from ansible_collections.kdump.fleet.plugins.module_utils.dmesg import panic_line
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host
from ansible_collections.kdump.fleet.plugins.module_utils.runner import CommandError
from ansible_collections.kdump.fleet.plugins.module_utils.vmcore import VmcoreError, inspect

Facts = t.Dict[str, t.Any]

RECEIVER = "/etc/kdump-fleet/receive"
ACCOUNT = re.compile(r"[a-z_][a-z0-9_-]*\Z")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}\Z")
# What kdumpctl, kdump-tools and SUSE's kdump call a dump and its kernel log, on their way and at their end.
CORE = re.compile(r"(vmcore|dump)(\.(?!dmesg).*|-incomplete.*)?\Z")
LOG = re.compile(r"(vmcore-dmesg\.txt|dmesg\.txt|dmesg\.\d{12})\Z")
ENCRYPTED = re.compile(r".*\.(age|gpg)\Z")
DEPTH = 6  # folders
LARGEST_LOG = (
    64 << 20
)  # bytes; the kernel's own buffer has 32 MiB at most unless log_buf_len says more
_NEW_NAMESPACE = 0x00020000  # CLONE_NEWNS of <sched.h>
DUMP_DMESG_TIMEOUT = 600  # seconds; it reads the whole of a flattened dump


class ArrivedError(Exception):
    """There is nowhere to look; str() is the message for the user."""


def arrival(
    target: t.Mapping[str, t.Any], host: str, inventory: t.Sequence[str], **given: str
) -> Facts:
    """Return where a dump that leaves a host can be looked for: ``server`` and ``place``, the options of kdump_dumps.

    :param target: kdump_target.
    :param host: the inventory's name of the one that dumps.
    :param inventory: the names of all hosts.
    :param given: what the variables say: server, account, path, ssh_user and ssh_server; '' for nothing.
    :return: an empty server if it is none of the inventory's, or the dump stays on the host.
    """
    kind, location = target.get("type") or "", target.get("location") or ""
    address, user, folder = given.get("ssh_server", ""), given.get("ssh_user", ""), ""
    if kind in ("ssh", "sftp") and location:
        found = ssh_client.login(location)
        address, user = found.host, found.user or user
    elif kind == "nfs":
        match = re.match(r"(\[[^\]]*\]|[^:]*):(/.*)\Z", location)
        address, folder = (match.group(1).strip("[]"), match.group(2)) if match else ("", "")
    server = given.get("server", "")
    if not server and kind in ("ssh", "sftp", "nfs"):
        candidates = [name for name in (given.get("ssh_server", ""), address) if name in inventory]
        server = candidates[0] if candidates else ""
    folder = given.get("path", "") or folder
    if folder:
        return {"server": server, "place": {"path": folder}}
    return {
        "server": server,
        "place": {"account": given.get("account", "") or user or "kdump", "host": host},
    }


class Found(t.NamedTuple):
    """A folder with a dump, or with what came of one."""

    folder: str
    vmcore: str  # '' if there is none
    dmesg: str  # '' if there is none
    size: int  # bytes of vmcore
    finished: bool  # by its names


def folder_of(host: Host, account: str, name: str) -> str:
    """Return where the receiver of an account keeps a host's dumps.

    :raises ArrivedError: there is no such account.
    """
    if not ACCOUNT.match(account) or not NAME.match(name):
        raise ArrivedError(f"{account!r} and {name!r} are no names of an account and of a host")
    path = f"{RECEIVER}/{account}.json"
    text = host.read(path)
    if text is None:
        raise ArrivedError(
            f"{path} does not exist, so no dumps arrive by ssh for {account} on this server; is it the right one, and has the "
            "role kdump_server run there?"
        )
    try:
        base = json.loads(text)["base"]
    except (ValueError, KeyError, TypeError) as exc:
        raise ArrivedError(
            f"{path} does not say where dumps go; run the role kdump_server"
        ) from exc
    return os.path.join(base, name)


def mounted(host: Host, device: str, fstype: str) -> str:
    """Return where a device's file system is; it is mounted for this process alone where it is not yet.

    :raises ArrivedError: it cannot be mounted.
    """
    there = host.ask(
        ["findmnt", "--noheadings", "--first-only", "--output", "TARGET", "--source", device]
    )
    if there and there.strip():
        return there.strip()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_NEW_NAMESPACE) != 0:
        raise ArrivedError(
            f"{device} cannot be mounted out of sight: {os.strerror(ctypes.get_errno())}"
        )
    place = tempfile.mkdtemp(prefix="kdump-fleet-", dir=host.path("/run"))
    try:
        host.run(["mount", "--make-rprivate", "/"])
        host.run(["mount", "--read-only", "--types", fstype, device, place])
    except CommandError as exc:
        os.rmdir(place)
        raise ArrivedError(f"{device} cannot be mounted: {exc}") from exc
    return place


def release(host: Host, place: str) -> None:
    """Take back what mounted() has mounted."""
    if os.path.basename(place).startswith("kdump-fleet-"):
        host.run(["umount", place])
        os.rmdir(place)


def dumps(path: str) -> t.List[Found]:
    """Return the dumps below a path, by their folders' names; none if the path is not there.

    kdumpctl puts its own path below an export, so they may lie deeper.
    """
    found = []
    for folder, names, _files in os.walk(path):
        depth = folder[len(path) :].count("/")
        # Hidden ones are the receiver's own. Links are not followed.
        names[:] = (
            sorted(name for name in names if not name.startswith(".")) if depth < DEPTH else []
        )
        dump = _dump(folder) if folder != path else None
        if dump is not None:
            found.append(dump)
    return found


def _dump(folder: str) -> t.Optional[Found]:
    try:
        files = {
            entry.name: entry
            for entry in os.scandir(folder)
            if entry.is_file(follow_symlinks=False)
        }
    except (FileNotFoundError, NotADirectoryError):
        # It went in between.
        return None
    cores = sorted(
        (name for name in files if CORE.match(name)), key=lambda name: "-incomplete" in name
    )
    logs = sorted(name for name in files if LOG.match(ENCRYPTED.sub("", name) or name))
    if not cores and not logs:
        return None
    vmcore = cores[0] if cores else ""
    return Found(
        folder,
        os.path.join(folder, vmcore) if vmcore else "",
        os.path.join(folder, logs[0]) if logs else "",
        files[vmcore].stat(follow_symlinks=False).st_size if vmcore else 0,
        bool(vmcore) and "-incomplete" not in vmcore,
    )


def prove(host: Host, found: t.Sequence[Found], mark: str) -> t.Tuple[t.Optional[Facts], str]:
    """Return the one of these dumps whose kernel log has a mark, or why there is none.

    :param found: dumps that were not there before.
    """
    reasons = []
    for dump in found:
        proof, reason = _prove(host, dump, mark)
        if proof is not None:
            return proof, ""
        reasons.append(reason)
    return None, "; ".join(reasons) or "no dump has come since"


def _prove(host: Host, dump: Found, mark: str) -> t.Tuple[t.Optional[Facts], str]:
    if not dump.finished:
        return None, f"the dump in {dump.folder} was never finished"
    if ENCRYPTED.match(dump.vmcore):
        return None, f"{dump.vmcore} is encrypted, so that nobody can read it here"
    try:
        header = dict(inspect(dump.vmcore)._asdict())
        log = _log(host, dump)
    except VmcoreError as exc:
        return None, f"{dump.vmcore} is no complete dump: {exc}"
    except (OSError, CommandError) as exc:
        return None, f"{dump.vmcore} cannot be read: {exc}"
    if mark not in log:
        return None, f"{dump.vmcore} is of another crash: its kernel log has no {mark!r}"
    return {
        "path": dump.vmcore,
        "dmesg": dump.dmesg,
        "size": dump.size,
        "header": header,
        "panic": panic_line(log),
    }, ""


def _log(host: Host, dump: Found) -> str:
    """Return the kernel log of a dump: what lies beside it, else what makedumpfile finds in it.

    :raises CommandError: it finds none.
    """
    if dump.dmesg:
        return _text(dump.dmesg)
    folder = tempfile.mkdtemp(prefix="kdump-fleet-")
    try:
        log = os.path.join(folder, "log")
        host.run(["makedumpfile", "--dump-dmesg", dump.vmcore, log], timeout=DUMP_DMESG_TIMEOUT)
        return _text(log)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _text(path: str) -> str:
    """Return a kernel log that a host has sent, which may be anything: root reads it, into memory.

    :raises OSError: it is none.
    """
    # It was a file when the folder was read; a host with an export can have put another thing there since.
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(handle, encoding="utf-8", errors="replace") as stream:
        if os.fstat(handle).st_size > LARGEST_LOG:
            raise OSError(errno.EFBIG, f"its kernel log has more than {LARGEST_LOG} bytes")
        return stream.read(LARGEST_LOG)


def look(host: Host, wanted: t.Mapping[str, t.Any]) -> Facts:
    """Return what there is, by the options of the module kdump_dumps.

    :raises ArrivedError: there is nowhere to look.
    :raises CommandError: what was mounted cannot be unmounted.
    :raises OSError: a folder cannot be read.
    """
    path = wanted["path"] or folder_of(host, wanted["account"], wanted["host"])
    path = path.rstrip("/")
    if not wanted["device"]:
        return _look(host, path, host.path(path or "/").rstrip("/"), wanted)
    place = mounted(host, wanted["device"], wanted["fstype"])
    try:
        return _look(host, path, place.rstrip("/") + path, wanted)
    finally:
        release(host, place)


def _look(host: Host, path: str, where: str, wanted: t.Mapping[str, t.Any]) -> Facts:
    """Look in a folder; neither name ends with a slash.

    :param path: as the result names it.
    :param where: where it is now.
    """
    found = dumps(where)
    proof, reason = None, ""
    if wanted["contains"]:
        # A device may be mounted in another place each time.
        new = [dump for dump in found if named(dump.folder, where, path) not in wanted["known"]]
        proof, reason = prove(host, new, wanted["contains"])
    shown = [
        {
            key: named(value, where, path) if key in ("folder", "vmcore", "dmesg") else value
            for key, value in dump._asdict().items()
        }
        for dump in found
    ]
    if proof is not None:
        proof.update({key: named(proof[key], where, path) for key in ("path", "dmesg")})
    return {"path": path, "dumps": shown, "proof": proof, "reason": reason.replace(where, path)}


def named(place: str, where: str, path: str) -> str:
    """Return a path below one folder as one below another."""
    return path + place[len(where) :] if place else ""
