# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""Shows from the host itself that a place for dumps takes a file, and leaves nothing behind there.

What has to be mounted for that is mounted where nobody else sees it, in a mount namespace of this process: however it ends,
the kernel takes the mounts away with it. Every touch of a server is a process with a time limit.
"""

import ctypes
import ftplib
import os
import re
import socket
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils import target
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host
from ansible_collections.kdump.fleet.plugins.module_utils.runner import CommandError
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.base import Place
from ansible_collections.kdump.fleet.plugins.module_utils.wanted import FILE_SYSTEMS, device_of

# Below one of these the private mounts are made, over what is there; the host does not see it.
BASES = ("/mnt", "/media", "/srv", "/tmp")
PROBE = ".kdump-fleet-proof-"  # how the name of the small file begins
BLOCK = 65536  # bytes of it
# Of a noauto entry of /etc/fstab, what says when and how to mount, and not what.
WHEN = re.compile(
    r"(no)?auto|(no)?user|users|owner|group|nofail|ro|rw|defaults|_netdev|x-.*|comment=.*"
)

CLONE_NEWNS = 0x00020000  # linux/sched.h
MS_REC, MS_PRIVATE = 0x4000, 0x40000  # linux/mount.h
PORTS = {"ftp": 21, "sftp": 22}


class ProofError(Exception):
    """The place takes no file; str() names the cause and the remedy."""


class Proof(t.NamedTuple):
    """What was shown."""

    proven: bool
    shown: str  # what was done, in a few words
    created: t.List[str]
    free: t.Optional[int]  # bytes


Isolate = t.Callable[[], None]
Greet = t.Callable[[Place, float], str]


def isolate() -> None:
    """Give this process mounts of its own.

    :raises ProofError: the kernel refuses.
    """
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(CLONE_NEWNS) != 0:
        _refused("unshare(CLONE_NEWNS)")
    # Otherwise systemd's shared mounts would carry ours to everybody.
    if library.mount(b"none", b"/", None, ctypes.c_ulong(MS_REC | MS_PRIVATE), None) != 0:
        _refused("making the mounts private")


def _refused(what: str) -> None:
    raise ProofError(
        f"kdump_target: nothing can be mounted without the host seeing it: {what}: {os.strerror(ctypes.get_errno())}; run this "
        "as root, and not in a container"
    )


# What programs say, the cause of it, and what to do. The first that fits counts.
CAUSES: t.Tuple[t.Tuple[str, str, str], ...] = (
    (
        r"Connection refused",
        "the server refuses the connection: it is up, and no such service listens there, or a firewall rejects it",
        "start the service, and open its port (NFS: 2049)",
    ),
    (
        r"timed out|was ended after|mount error\(11[0-5]\)|Host is down",
        "the server does not answer: it is down, or a firewall drops what is sent to it",
        "bring it up, and open its port (NFS: 2049)",
    ),
    (
        r"No route to host|Network is unreachable|mount error\(101\)",
        "there is no way to the server",
        "look at this host's network and routes",
    ),
    (
        r"Name or service not known|[Nn]ame resolution|[Ff]ailed to resolve|could not resolve|No address associated",
        "the server's name has no address here",
        "look at its name, at /etc/hosts and at the resolver",
    ),
    (
        r"access denied by server",
        "the server exports no such folder to this host",
        "export it ('exportfs -v' on the server shows what it exports to whom), or mend the folder's name",
    ),
    (
        r"reason given by server: No such file|mount error\(2\)|mounting .* failed, reason .*No such file",
        "there is no such folder or share on the server, or it is not exported any more",
        "look there ('exportfs -v' shows what it exports to whom); make or export it, or mend its name in kdump_target",
    ),
    (r"mount error\(13\)", "the server refuses user or password", "mend them in the tooling's file on the host"),
    (
        r"Read-only file system|write-protected",
        "it can only be read",
        "export or mount it with rw",
    ),
    (
        r"Permission denied|Operation not permitted",
        "root of this host may not write there",
        "give root the folder; an NFS server makes nobody of root unless it exports with no_root_squash, or with anonuid of "
        "the folder's owner",
    ),
    (r"No space left|[Qq]uota exceeded", "it is full", "make room, or raise the quota"),
    (
        r"unknown filesystem type|for several filesystems|need a /sbin/mount|not supported|No such device",
        "this host cannot mount it so",
        "install the programs for it (NFS: nfs-common or nfs-utils; CIFS: cifs-utils), or the kernel's module",
    ),
    (
        r"wrong fs type|bad superblock|can't read superblock|Structure needs cleaning|special device",
        "no such file system is on it, or it is damaged",
        "look at it with blkid and fsck",
    ),
    (r"already mounted|busy", "somebody else uses it", "unmount it there"),
    (r"Input/output error", "the device or the server fails", "look at 'journalctl -k'"),
)  # fmt: skip


def cause(said: str) -> t.Tuple[str, str]:
    """Return why something failed and what to do, by what a program said."""
    for pattern, reason, remedy in CAUSES:
        if re.search(pattern, said):
            return reason, remedy
    return "it failed", "see what was said"


def _variable(place: Place) -> str:
    return "kdump_path" if place.type == "path" else "kdump_target"


def _failed(place: Place, doing: str, said: str) -> ProofError:
    reason, remedy = cause(said)
    shown = " ".join(word for word in (place.type, place.location, place.path) if word)
    said = re.sub(r"\s+", " ", said).strip()[-500:]
    return ProofError(f"{_variable(place)}: {shown}: {doing}: {reason}; {remedy} ({said})")


class Prover:
    """Shows one place."""

    def __init__(
        self,
        host: Host,
        place: Place,
        limit: float = 60,
        check: bool = False,
        credentials: t.Tuple[str, str] = ("", ""),
        isolation: Isolate = isolate,
    ) -> None:
        """Take what is to be shown.

        :param limit: seconds that one step may take.
        :param check: write and mount nothing.
        :param credentials: user and password, for a share that wants them.
        """
        self._host, self._place, self._limit, self._check = host, place, limit, check
        self._credentials, self._isolate = credentials, isolation
        self._created: t.List[str] = []

    def prove(self, greet: t.Optional[Greet] = None) -> Proof:
        """Show it.

        :param greet: talks to a server of files (ftp, sftp); says what was shown.
        :raises ProofError: it takes no file.
        """
        place = self._place
        if place.type in PORTS:
            if self._check:
                return self._proof(False, "nothing: this is check mode", None)
            return self._proof(True, (greet or greeting)(place, self._limit), None)
        if place.type == "raw":
            return self._raw()
        if place.type == "path":
            return self._folder(place.path)
        where = target.observe_target(self._host, place.type, place.location)
        mounted = where["mounts"] if place.type in (*FILE_SYSTEMS, "virtiofs") else []
        if mounted:
            return self._folder(_below(mounted[0]["mount"], place.path), mounted[0]["read_only"])
        if self._check:
            return self._proof(False, "nothing: this is check mode, and it is not mounted", None)
        return self._mounted(where)

    def _proof(self, proven: bool, shown: str, free: t.Optional[int]) -> Proof:
        return Proof(proven, shown, self._created, free)

    def _ask(self, argv: t.Sequence[str], doing: str) -> str:
        try:
            result = self._host.runner.start(argv, self._limit)
        except CommandError as exc:
            raise _failed(self._place, doing, str(exc)) from exc
        if result.code != 0:
            raise _failed(self._place, doing, result.stderr or result.stdout)
        return result.stdout

    def _raw(self) -> Proof:
        device = device_of(self._place.location)
        self._ask(
            ["dd", f"if={device}", "of=/dev/null", "bs=512", "count=1", "status=none"], "reading it"
        )
        try:
            # The kernel gives a device with O_EXCL to nobody else while it is mounted or a part of another.
            os.close(os.open(self._host.path(device), os.O_RDONLY | os.O_EXCL))
        except OSError as exc:
            raise _failed(self._place, "opening it", str(exc.strerror)) from exc
        size = target.observe_target(self._host, "raw", self._place.location)["size"]
        return self._proof(True, "it was read and is nobody else's; nothing was written", size)

    def _mounted(self, where: t.Mapping[str, t.Any]) -> Proof:
        place = self._place
        base = self._base()
        self._isolate()
        self._ask(["mount", "-t", "tmpfs", "-o", "mode=0700,size=256k", "tmpfs", base], "making room to mount it")  # fmt: skip
        point = f"{base}/target"
        self._ask(["mkdir", "-m", "0700", point], "making room to mount it")
        argv = ["mount", "-t", place.type]
        options = self._options(where, base)
        if options:
            argv += ["-o", options]
        source = device_of(place.location) if place.type in FILE_SYSTEMS else place.location
        self._ask([*argv, source, point], "mounting it")
        try:
            return self._folder(_below(point, place.path), False, point)
        finally:
            # With the process it would go anyway.
            self._host.says(["umount", point], (0,), self._limit)

    def _base(self) -> str:
        """Return a folder to mount over that no server holds."""
        found = target.mounts(self._host.read("/proc/self/mountinfo") or "")
        for base in BASES:
            mount = target.covering(found, base)
            if not (mount and mount.network) and os.path.isdir(self._host.path(base)):
                return base
        raise ProofError(
            f"kdump_target: none of {', '.join(BASES)} is a folder to mount over; make one"
        )

    def _options(self, where: t.Mapping[str, t.Any], base: str) -> str:
        """Return what to mount it with: as the tooling does, and so that a dead server is given up."""
        place = self._place
        words = [word for word in place.options.split(",") if word]
        if where["fstab"]:
            words += [word for word in where["fstab"]["options"].split(",") if word and not WHEN.fullmatch(word)]  # fmt: skip
        if place.type == "nfs":
            # The version of a mount that is there already works; mount.nfs would try two minutes.
            there = ",".join(mount["options"] for mount in where["mounts"])
            words += [word for word in there.split(",") if re.match(r"vers=", word)][:1]
            words += [word for word in ("soft", "timeo=100", "retrans=2", "retry=0") if not any(_name(each) == _name(word) for each in words)]  # fmt: skip
        if place.type == "cifs":
            words += self._login(base)
        return ",".join(dict.fromkeys(words))

    def _login(self, base: str) -> t.List[str]:
        """Return the option that has mount.cifs log in; a password is on no command line, and in no file of the host."""
        user, password = self._credentials
        user = self._place.user or user
        if not user:
            return ["guest"]
        if not password:
            return [f"username={user}"]
        path = f"{base}/login"
        descriptor = os.open(self._host.path(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as handle:
            handle.write(f"username={user}\npassword={password}\n")
        return [f"credentials={path}"]

    def _folder(self, folder: str, read_only: bool = False, point: str = "") -> Proof:
        """Show that a folder takes a file.

        :param read_only: it is there already and mounted so.
        :param point: where it was mounted for this; it is in no message.
        """
        shown = folder[len(point) :] or "/" if point else folder
        try:
            result = self._host.runner.start(["stat", "--format=%F", folder], self._limit)
        except CommandError as exc:
            raise _failed(self._place, f"looking at {shown}", str(exc)) from exc
        if result.code == 0 and result.stdout.strip() != "directory":
            raise _failed(self._place, f"looking at {shown}", "it is no folder")
        if result.code != 0 and "Permission denied" in result.stderr:
            raise _failed(self._place, f"looking at {shown}", result.stderr)
        if self._check or read_only:
            if result.code != 0 and read_only:
                raise _failed(self._place, f"making {shown}", "Read-only file system")
            why = "it is mounted read-only" if read_only else "this is check mode"
            return self._proof(False, f"the folder alone: {why}", None)
        if result.code != 0:
            self._make(folder, shown, result.stderr)
        self._write(folder, shown)
        return self._proof(True, "it took a file, which was removed again", self._free(folder))

    def _make(self, folder: str, shown: str, said: str) -> None:
        if not self._place.create:
            if "No such file" not in said:
                raise _failed(self._place, f"looking at {shown}", said)
            there = f"{self._place.type} {self._place.location}: " if self._place.location else ""
            raise ProofError(
                f"{_variable(self._place)}: {there}there is no folder {shown}, and nobody makes it in a crash; make it"
            )
        self._ask(["mkdir", "-p", "-m", "0700", folder], f"making the folder {shown}")
        self._created.append(shown)

    def _write(self, folder: str, shown: str) -> None:
        host = self._host.read_word("/proc/sys/kernel/hostname") or "host"
        mine = PROBE + re.sub(r"[^A-Za-z0-9_.-]", "_", host) + "-"
        # What a run that was killed between the next two commands has left.
        self._host.says(
            ["find", folder, "-maxdepth", "1", "-type", "f", "-name", f"{mine}*", "-delete"], (0, 1), self._limit
        )  # fmt: skip
        # A new name, and never through a link: others may write to the folder.
        path = f"{folder}/{mine}{os.urandom(8).hex()}"
        try:
            self._ask(
                ["dd", "if=/dev/zero", f"of={path}", f"bs={BLOCK}", "count=1", "conv=excl,fsync", "status=none"],
                f"writing a file to {shown}",
            )  # fmt: skip
        except BaseException:
            self._host.says(["rm", "-f", path], (0,), self._limit)
            raise
        self._ask(["rm", path], f"removing a file from {shown}")

    def _free(self, folder: str) -> t.Optional[int]:
        answer = self._host.ask(["stat", "--file-system", "--format=%a %S", folder], self._limit)
        match = re.match(r"([0-9]+) ([0-9]+)\Z", answer or "")
        return int(match.group(1)) * int(match.group(2)) if match else None


def _name(option: str) -> str:
    """Return what an option is about: a soft mount is the other of a hard one."""
    name = option.partition("=")[0]
    return "soft" if name == "hard" else name


def _below(point: str, path: str) -> str:
    return os.path.normpath(f"{point.rstrip('/')}/{path.lstrip('/')}")


def greeting(place: Place, limit: float) -> str:
    """Talk to a server of files as far as that takes no secret; return what was shown.

    :param limit: seconds.
    :raises ProofError: it does not answer, or takes no file.
    """
    port = int(place.port or PORTS[place.type])
    try:
        if place.type == "sftp":
            return _banner(place, port, limit)
        return _ftp(place, port, limit)
    except (OSError, EOFError) + ftplib.all_errors as exc:
        raise _failed(place, "talking to it", str(exc) or "it hung up") from exc


def _banner(place: Place, port: int, limit: float) -> str:
    with socket.create_connection((place.location.strip("[]"), port), limit) as connection:
        said = connection.recv(64)
    if not said.startswith(b"SSH-"):
        raise _failed(place, "talking to it", f"what answers is no ssh: {said[:32]!r}")
    return "it answers; no file was written, for that takes a secret"


def _ftp(place: Place, port: int, limit: float) -> str:
    client = ftplib.FTP(timeout=limit)
    client.connect(place.location.strip("[]"), port)
    try:
        if place.user not in ("", "anonymous", "ftp"):
            return "it answers; no file was written, for that takes a secret"
        client.login()
        client.cwd(place.path)
        name = PROBE + os.urandom(8).hex()
        with open(os.devnull, "rb") as nothing:
            client.storbinary(f"STOR {name}", nothing)
        try:
            client.delete(name)
        except ftplib.error_perm:
            return f"it took an empty file, {name}, and does not let it be removed again"
        return "it took a file, which was removed again"
    finally:
        client.close()
