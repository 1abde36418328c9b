# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""Dumps where they were sent to: on a dump server, in an export, on a device. Whatever tooling sent them."""

import contextlib
import ctypes
import errno
import json
import os
import pwd
import re
import shutil
import stat
import tempfile
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils import ssh_client
from ansible_collections.kdump.fleet.plugins.module_utils.dmesg import panic_line
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host
from ansible_collections.kdump.fleet.plugins.module_utils.runner import CommandError, Limits, User
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
RECEIPT = "receipt.json"  # the receiver's, which it gives no client's file as a name
LARGEST_RECEIPT = 64 << 10  # bytes
EXPORTS = ("/etc/exports", "/etc/exports.d/*.exports")
NOBODY = 65534
LARGEST_LOG = (
    64 << 20
)  # bytes; the kernel's own buffer has 32 MiB at most unless log_buf_len says more
_NEW_NAMESPACE = 0x00020000  # CLONE_NEWNS of <sched.h>
DUMP_DMESG_TIMEOUT = 600  # seconds; it reads the whole of a flattened dump
# A bitmap of 12 TiB in pages of 4 KiB has 384 MiB.
READER = Limits(4 << 30, 4 * LARGEST_LOG, DUMP_DMESG_TIMEOUT, 2 * DUMP_DMESG_TIMEOUT)


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


class Place(t.NamedTuple):
    """Where dumps were looked for."""

    path: str
    receipts: str  # why a receipt there proves nothing; '' if it does


def prove(
    host: Host, place: Place, found: t.Sequence[Found], mark: str
) -> t.Tuple[t.Optional[Facts], str]:
    """Return the one of these dumps whose kernel log has a mark, or why there is none.

    :param found: dumps that were not there before.
    """
    reasons = []
    for dump in found:
        proof, reason = _prove(host, place, dump, mark)
        if proof is not None:
            return proof, ""
        reasons.append(reason)
    return None, "; ".join(reasons) or "no dump has come since"


def _prove(host: Host, place: Place, dump: Found, mark: str) -> t.Tuple[t.Optional[Facts], str]:
    if not dump.finished:
        return None, f"the dump in {dump.folder} was never finished"
    try:
        if ENCRYPTED.match(dump.vmcore):
            reason = place.receipts or _receipt_problem(place.path, dump)
            if reason:
                return (
                    None,
                    f"{dump.vmcore} is encrypted, so that nobody can read it here, and {reason}",
                )
            return _proof(dump, "receipt", None, ""), ""
        header, panic, problem = _read_apart(host, place.path, dump, mark)
    except (OSError, CommandError) as exc:
        return None, f"{dump.vmcore} cannot be read: {exc}"
    if problem:
        return None, f"{dump.vmcore} {problem}"
    return _proof(dump, "log", header, panic), ""


def _proof(dump: Found, by: str, header: t.Optional[Facts], panic: str) -> Facts:
    return {
        "path": dump.vmcore,
        "dmesg": dump.dmesg,
        "size": dump.size,
        "header": header,
        "panic": panic,
        "proven_by": by,
    }


@contextlib.contextmanager
def opened(top: str, path: str) -> t.Iterator[int]:
    """Open a file below a folder that a host can write to: no link is followed on the way.

    :raises OSError: it is no regular file, or there is a link.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC
    *parts, name = path[len(top) :].strip("/").split("/")
    with contextlib.ExitStack() as stack:
        folder = os.open(top or "/", flags | os.O_DIRECTORY)
        stack.callback(os.close, folder)
        for part in parts:
            folder = os.open(part, flags | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=folder)
            stack.callback(os.close, folder)
        # A pipe in its place must not hold us.
        handle = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        stack.callback(os.close, handle)
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, f"{name} is no regular file")
        yield handle


def _receipt_problem(top: str, dump: Found) -> str:
    """Return why the receiver's receipt does not prove that a dump came whole; '' if it does.

    :raises OSError: the dump cannot be opened.
    """
    try:
        with opened(top, os.path.join(dump.folder, RECEIPT)) as handle:
            receipt = json.loads(os.read(handle, LARGEST_RECEIPT).decode("utf-8"))
    except FileNotFoundError:
        return f"there is no {RECEIPT} beside it"
    except ValueError:
        return f"its {RECEIPT} is damaged"
    with opened(top, dump.vmcore) as handle:
        size = os.fstat(handle).st_size
    wanted = {"file": os.path.basename(dump.vmcore), "complete": True, "stored": size}
    if not isinstance(receipt, dict) or any(receipt.get(key) != wanted[key] for key in wanted):
        return f"its {RECEIPT} is of another file"
    return ""


def exported(host: Host, folder: str) -> str:
    """Return what is exported by NFS of a folder, or of what it lies in; '' for nothing."""
    for path in [name for pattern in EXPORTS for name in host.glob(pattern)]:
        for line in (host.read(path) or "").splitlines():
            share = (line.split() or ["#"])[0].strip('"')
            if share.startswith("/") and (
                (folder + "/").startswith(share.rstrip("/") + "/") or share.startswith(folder + "/")
            ):
                return share
    return ""


def _read_apart(
    host: Host, top: str, dump: Found, mark: str
) -> t.Tuple[t.Optional[Facts], str, str]:
    """Return a dump's header, its panic, and what is wrong with it.

    What reads it is no longer root: a host has made the file, and can have made it so that a reader errs.

    :raises OSError: it cannot be opened.
    :raises CommandError: who read it was ended.
    """
    with contextlib.ExitStack() as stack:
        core = stack.enter_context(opened(top, dump.vmcore))
        user = owner(core)
        log, scratch = None, ""
        if dump.dmesg:
            log = stack.enter_context(opened(top, dump.dmesg))
        else:
            scratch = tempfile.mkdtemp(prefix="kdump-fleet-")
            stack.callback(shutil.rmtree, scratch, ignore_errors=True)
            if os.geteuid() == 0:
                os.chown(scratch, user.uid, user.gid)
        header, panic, problem = host.runner.apart(
            lambda: _read(host, core, log, scratch, mark), user, READER
        )
    return header, str(panic), str(problem)


def owner(handle: int) -> User:
    """Return the account that a file belongs to; root's own stay root's to read."""
    uid = os.fstat(handle).st_uid
    try:
        # Not the file's group: whoever owns a file may give it one of his own.
        return User(uid, pwd.getpwuid(uid).pw_gid)
    except KeyError:
        return User(uid, NOBODY)


def _read(
    host: Host, core: int, log: t.Optional[int], scratch: str, mark: str
) -> t.Tuple[t.Optional[Facts], str, str]:
    """Do the work of _read_apart(), with files that are open.

    :raises OSError: something cannot be read.
    :raises CommandError: makedumpfile finds no kernel log.
    """
    try:
        header = dict(inspect(os.dup(core))._asdict())
    except VmcoreError as exc:
        return None, "", f"is no complete dump: {exc}"
    text = _text(log) if log is not None else _dumped_log(host, core, scratch)
    if mark not in text:
        return None, "", f"is of another crash: its kernel log has no {mark!r}"
    return header, panic_line(text) or "", ""


def _dumped_log(host: Host, core: int, scratch: str) -> str:
    """Return the kernel log that makedumpfile finds in a dump.

    :raises CommandError: it finds none.
    """
    path = os.path.join(scratch, "log")
    # By its standard input, and not by a name that may lead to another file by now.
    argv = ["makedumpfile", "--dump-dmesg", "/proc/self/fd/0", path]
    result = host.runner.start(argv, DUMP_DMESG_TIMEOUT, core)
    if result.code != 0:
        said = result.stderr.strip() or result.stdout.strip() or "it said nothing"
        raise CommandError(f"makedumpfile exited with {result.code}: {said[-2000:]}")
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return _text(handle)
    finally:
        os.close(handle)


def _text(handle: int) -> str:
    """Return a kernel log that a host has sent, which may be anything.

    :raises OSError: it is none.
    """
    if os.fstat(handle).st_size > LARGEST_LOG:
        raise OSError(errno.EFBIG, f"its kernel log has more than {LARGEST_LOG} bytes")
    with os.fdopen(os.dup(handle), encoding="utf-8", errors="replace") as stream:
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
        place = Place(where, _receipts(host, path, wanted))
        proof, reason = prove(host, place, new, wanted["contains"])
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


def _receipts(host: Host, path: str, wanted: t.Mapping[str, t.Any]) -> str:
    """Return why a receipt proves nothing in a folder; '' if only the receiver can have written it."""
    if not wanted["account"]:
        return f"a {RECEIPT} is believed in the folder of an account alone (kdump_drill_account)"
    share = exported(host, path)
    if share:
        return f"its {RECEIPT} is not believed, because {share} is exported by NFS and a client could have written it"
    return ""


def named(place: str, where: str, path: str) -> str:
    """Return a path below one folder as one below another."""
    return path + place[len(where) :] if place else ""
