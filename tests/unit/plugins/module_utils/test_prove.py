# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import socketserver
import threading
import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.prove import (
    CAUSES,
    Proof,
    ProofError,
    Prover,
    cause,
    greeting,
)
from ansible_collections.kdump.fleet.plugins.module_utils.runner import CommandError, Input, Result
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.base import Place
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost, ScriptedRunner


class Server(ScriptedRunner):
    """Answers what a mount and a folder on it would, and fails where a test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.fails: t.Dict[str, str] = {}  # what a program says that fails, by its first words
        self.there = True  # the folder

    def start(self, argv: t.Sequence[str], timeout: float, data: Input = b"") -> Result:
        del timeout, data
        self.started.append(tuple(argv))
        line = " ".join(argv)
        for begin, said in self.fails.items():
            if line.startswith(begin):
                if said == "hangs":
                    raise CommandError(f"'{line}' was ended after 60 s without a result")
                return Result(32, "", said)
        if argv[0] == "stat" and argv[1] == "--format=%F":
            if self.there:
                return Result(0, "directory\n", "")
            return Result(1, "", f"stat: cannot statx '{argv[2]}': No such file or directory")
        if argv[0] == "stat":
            return Result(0, "10 4096\n", "")
        if argv[0] == "blkid":
            return Result(0, "TYPE=ext4\n", "")
        return Result(0, "", "")


class Box:
    """A host, whether it was isolated, and what it started."""

    def __init__(self, root: str) -> None:
        self.server = Server()
        self.host = FakeHost(self.server, root)
        self.host.put("/proc/sys/kernel/hostname", "node1\n")
        self.host.put("/proc/self/mountinfo", "22 1 0:1 / / rw - ext4 /dev/vda rw\n")
        os.makedirs(self.host.path("/mnt"))
        self.isolated = 0

    def isolate(self) -> None:
        # Before anything is mounted.
        assert not [argv for argv in self.server.started if argv[0] == "mount"]
        self.isolated += 1

    def prove(self, place: Place, **more: t.Any) -> Proof:
        return Prover(self.host, place, isolation=self.isolate, **more).prove()

    def refusal(self, place: Place, **more: t.Any) -> str:
        with pytest.raises(ProofError) as caught:
            self.prove(place, **more)
        return str(caught.value)

    def programs(self, name: str) -> t.List[t.Tuple[str, ...]]:
        return [argv for argv in self.server.started if argv[0] == name]


@pytest.fixture
def box(tmp_path: t.Any) -> Box:
    return Box(str(tmp_path))


NFS = Place("nfs", "server:/export", "/var/crash", "nolock", True)


def test_a_share_is_mounted_where_nobody_sees_it(box: Box) -> None:
    proof = box.prove(NFS)
    assert box.isolated == 1 and proof.proven and proof.free == 40960 and proof.created == []
    room, share = box.programs("mount")
    assert room == ("mount", "-t", "tmpfs", "-o", "mode=0700,size=256k", "tmpfs", "/mnt")
    assert share == (
        "mount", "-t", "nfs", "-o", "nolock,soft,timeo=100,retrans=2,retry=0", "server:/export", "/mnt/target",
    )  # fmt: skip
    (written,) = box.programs("dd")
    assert written[2].startswith("of=/mnt/target/var/crash/.kdump-fleet-proof-node1-")
    assert "conv=excl,fsync" in written
    assert box.programs("rm") == [("rm", written[2][3:])]
    assert box.server.started[-1] == ("umount", "/mnt/target")


OPTIONS: t.List[t.Tuple[Place, str, str]] = [
    # kdump-tools says itself when it gives up.
    (Place("nfs", "s:/x", "/", "nolock,tcp,soft,timeo=600,retrans=3"), "", "nolock,tcp,soft,timeo=600,retrans=3,retry=0"),
    (Place("nfs", "s:/x", "/", "hard"), "", "hard,timeo=100,retrans=2,retry=0"),
    (Place("nfs", "s:/x", "/"), "30 22 0:9 / /net rw - nfs4 s:/x rw,vers=4.1,addr=1\n", "vers=4.1,soft,timeo=100,retrans=2,retry=0"),
    (Place("cifs", "//s/x", "/"), "", "guest"),
    (Place("cifs", "//s/x", "/", user="u"), "", "username=u"),
]  # fmt: skip


@pytest.mark.parametrize("place, mounted, options", OPTIONS)
def test_options(box: Box, place: Place, mounted: str, options: str) -> None:
    box.host.put("/proc/self/mountinfo", "22 1 0:1 / / rw - ext4 /dev/vda rw\n" + mounted)
    box.prove(place)
    assert box.programs("mount")[1][4] == options


def test_what_fstab_says_of_a_device_counts(box: Box) -> None:
    box.host.put("/dev/vdb", "")
    box.host.put(
        "/etc/fstab", "/dev/vdb /d ext4 noauto,nofail,ro,x-systemd.automount,data=journal 0 2\n"
    )
    box.prove(Place("ext4", "/dev/vdb", "/"))
    assert box.programs("mount")[1] == (
        "mount",
        "-t",
        "ext4",
        "-o",
        "data=journal",
        "/dev/vdb",
        "/mnt/target",
    )


def test_a_password_is_in_no_command(box: Box) -> None:
    box.prove(Place("cifs", "//s/x", "/", user="u"), credentials=("u", "s3cret"))
    assert "s3cret" not in str(box.server.started)
    assert box.programs("mount")[1][4] == "credentials=/mnt/login"
    path = box.host.path("/mnt/login")
    assert os.stat(path).st_mode & 0o777 == 0o600
    with open(path, encoding="utf-8") as handle:
        assert handle.read() == "username=u\npassword=s3cret\n"


def test_what_is_mounted_is_shown_in_place(box: Box) -> None:
    box.host.put("/dev/vdb", "")
    box.host.put(
        "/proc/self/mountinfo",
        "22 1 0:1 / / rw - ext4 /dev/vda rw\n23 22 0:2 / /dumps rw - ext4 /dev/vdb rw\n",
    )
    assert box.prove(Place("ext4", "/dev/vdb", "/var/crash")).proven
    assert box.isolated == 0 and box.programs("mount") == []
    assert box.programs("dd")[0][2].startswith("of=/dumps/var/crash/.kdump-fleet-proof-")
    box.host.put(
        "/proc/self/mountinfo",
        "22 1 0:1 / / rw - ext4 /dev/vda rw\n23 22 0:2 / /dumps ro - ext4 /dev/vdb rw\n",
    )
    proof = box.prove(Place("ext4", "/dev/vdb", "/var/crash"))
    assert not proof.proven and "read-only" in proof.shown and len(box.programs("dd")) == 1


def test_a_folder_that_is_missing(box: Box) -> None:
    box.server.there = False
    assert box.prove(NFS).created == ["/var/crash"]
    assert ("mkdir", "-p", "-m", "0700", "/mnt/target/var/crash") in box.server.started
    box.server.started.clear()
    message = box.refusal(NFS._replace(create=False))
    assert (
        message
        == "kdump_target: nfs server:/export: there is no folder /var/crash, and nobody makes it in a crash; make it"
    )
    assert box.refusal(Place("path", "", "/x")).startswith("kdump_path: there is no folder /x")


def test_check_mode_writes_and_mounts_nothing(box: Box) -> None:
    assert not box.prove(NFS, check=True).proven
    assert not box.prove(Place("path", "", "/var/crash"), check=True).proven
    assert not box.prove(Place("ftp", "server", "/"), check=True).proven
    assert box.isolated == 0
    assert {argv[0] for argv in box.server.started} <= {"stat"}


# What fails, what it says, and what the message has; the texts are those of nfs-utils 2.6, cifs-utils 7 and coreutils 9.
FAILURES: t.List[t.Tuple[Place, str, str, t.List[str]]] = [
    (NFS, "mount -t nfs", "mount.nfs: Connection refused", ["mounting it: the server refuses the connection", "start the service"]),
    (NFS, "mount -t nfs", "mount.nfs: Connection timed out", ["the server does not answer", "firewall"]),
    (NFS, "mount -t nfs", "hangs", ["the server does not answer"]),
    (NFS, "mount -t nfs", "mount.nfs: No route to host", ["no way to the server"]),
    (NFS, "mount -t nfs", "mount.nfs: Failed to resolve server srv: Name or service not known", ["name has no address"]),
    (NFS, "mount -t nfs", "mount.nfs: access denied by server while mounting server:/export", ["exports no such folder to this host", "exportfs -v"]),
    (NFS, "mount -t nfs", "mount.nfs: mounting server:/export failed, reason given by server: No such file or directory", ["no such folder or share"]),
    (
        NFS, "mount -t nfs",
        "mount: /mnt/target: bad option; for several filesystems (e.g. nfs, cifs) you might need a /sbin/mount.<type> helper program.",
        ["nfs-common or nfs-utils"],
    ),
    (NFS, "mount -t nfs", "mount.nfs: Protocol not supported", ["this host cannot mount it so"]),
    (NFS, "mount -t nfs", "mount: /mnt/target: unknown filesystem type 'nfs'.", ["this host cannot mount it so"]),
    (
        NFS, "dd", "dd: failed to open '/mnt/x': Permission denied",
        ["writing a file to /var/crash: root of this host may not write there", "no_root_squash", "anonuid"],
    ),
    (NFS, "dd", "dd: failed to open '/mnt/x': Read-only file system", ["it can only be read", "rw"]),
    (NFS, "dd", "dd: fsync failed for '/mnt/x': No space left on device", ["it is full"]),
    (NFS, "dd", "dd: fsync failed for '/mnt/x': Disk quota exceeded", ["it is full", "quota"]),
    (NFS, "dd", "hangs", ["writing a file to /var/crash: the server does not answer"]),
    (NFS, "stat --format=%F", "stat: cannot statx '/mnt/target/var/crash': Permission denied", ["looking at /var/crash", "may not write"]),
    (NFS, "rm", "rm: cannot remove 'x': Operation not permitted", ["removing a file from /var/crash"]),
    (Place("cifs", "//s/x", "/"), "mount -t cifs", "mount error(13): Permission denied", ["refuses user or password"]),
    (Place("cifs", "//s/x", "/"), "mount -t cifs", "mount error(2): No such file or directory", ["no such folder or share"]),
    (Place("cifs", "//s/x", "/"), "mount -t cifs", "mount error(112): Host is down", ["does not answer"]),
    (Place("cifs", "//s/x", "/"), "mount -t cifs", "mount error(111): could not connect", ["does not answer"]),
    (
        Place("ext4", "/dev/vdb", "/"), "mount -t ext4",
        "mount: /mnt/target: wrong fs type, bad option, bad superblock on /dev/vdb, missing codepage or helper program, or other error.",
        ["no such file system is on it"],
    ),
    (Place("raw", "/dev/vdb", "/"), "dd", "dd: error reading '/dev/vdb': Input/output error", ["reading it: the device or the server fails"]),
    (Place("path", "", "/var/crash"), "dd", "dd: failed to open 'x': Stale file handle", ["writing a file to /var/crash: it failed; see what was said (dd:"]),
]  # fmt: skip


@pytest.mark.parametrize("place, program, said, parts", FAILURES)
def test_failures(box: Box, place: Place, program: str, said: str, parts: t.List[str]) -> None:
    box.server.fails[program] = said
    message = box.refusal(place)
    begin = (
        "kdump_path: path "
        if place.type == "path"
        else f"kdump_target: {place.type} {place.location} "
    )
    assert message.startswith(begin), message
    for part in parts:
        assert part in message, message
    # Where the target was mounted for the proof is nobody's business, but in what was said.
    assert "/mnt" not in message.partition("(")[0]
    if "mount" not in program and place.type == "nfs":
        assert box.server.started[-1] == ("umount", "/mnt/target")
    if program == "dd" and place.type != "raw":
        assert box.programs("rm")


def test_each_cause_is_met_by_a_failure() -> None:
    met = {cause(said) for _place, _program, said, _parts in FAILURES} | {
        cause("was ended after 60 s")
    }
    missing = [reason for _pattern, reason, remedy in CAUSES if (reason, remedy) not in met]
    # A device that is in use is met by the integration tests.
    assert missing == ["somebody else uses it"]


def test_a_host_without_leave_to_isolate_says_so(box: Box) -> None:
    def refuse() -> None:
        raise ProofError("kdump_target: nothing can be mounted")

    with pytest.raises(ProofError):
        Prover(box.host, NFS, isolation=refuse).prove()
    assert box.programs("mount") == []


class Ftp(socketserver.StreamRequestHandler):
    """A server of files that keeps what it is told in its server's lists."""

    def handle(self) -> None:
        server: t.Any = self.server
        self.say("220 ready" if server.greeting else "")
        for raw in self.rfile:
            word, _blank, rest = raw.decode().strip().partition(" ")
            server.said.append(word if not rest else f"{word} {rest}")
            if word in ("PASV", "EPSV"):
                port = server.data.getsockname()[1]
                self.say(
                    f"229 Entering (|||{port}|)"
                    if word == "EPSV"
                    else f"227 ok (127,0,0,1,{port >> 8},{port & 255})"
                )
            elif word == "STOR":
                self.say("150 go" if server.takes else "553 no")
                if server.takes:
                    connection, _peer = server.data.accept()
                    connection.recv(1)
                    connection.close()
                    self.say("226 done")
            else:
                self.say(
                    {"USER": "331 password", "CWD": "250 ok", "DELE": "250 gone"}.get(
                        word, "230 ok" if word == "PASS" else "200 ok"
                    )
                )

    def say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())


@pytest.fixture
def ftp() -> t.Iterator[t.Any]:
    import socket

    server: t.Any = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Ftp)
    server.daemon_threads = True
    server.said, server.takes, server.greeting = [], True, True
    server.data = socket.socket()
    server.data.bind(("127.0.0.1", 0))
    server.data.listen(1)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        server.data.close()


def place_of(server: t.Any, kind: str = "ftp", user: str = "") -> Place:
    return Place(kind, "127.0.0.1", "/crash", port=str(server.server_address[1]), user=user)


def test_ftp_without_a_secret_takes_a_file(ftp: t.Any) -> None:
    assert greeting(place_of(ftp), 30) == "it took a file, which was removed again"
    stored = [said for said in ftp.said if said.startswith("STOR")]
    assert "CWD /crash" in ftp.said and len(stored) == 1
    assert stored[0].replace("STOR", "DELE") in ftp.said


def test_ftp_with_a_secret_is_only_greeted(ftp: t.Any) -> None:
    assert "no file was written" in greeting(place_of(ftp, user="dumper"), 30)
    assert ftp.said == []


def test_ftp_that_takes_no_file(ftp: t.Any) -> None:
    ftp.takes = False
    with pytest.raises(
        ProofError, match="kdump_target: ftp 127.0.0.1 /crash: talking to it: .*553 no"
    ):
        greeting(place_of(ftp), 30)


def test_what_answers_is_no_ssh(ftp: t.Any) -> None:
    with pytest.raises(ProofError, match="what answers is no ssh"):
        greeting(place_of(ftp, "sftp"), 30)


def test_nobody_listens(ftp: t.Any) -> None:
    place = place_of(ftp)
    ftp.shutdown()
    ftp.server_close()
    with pytest.raises(ProofError, match="the server refuses the connection"):
        greeting(place, 30)
