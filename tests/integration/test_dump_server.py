# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A dump server with a real sshd and real clients: what arrives, what is refused, and what goes wrong."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import socket
import struct
import subprocess
import sys
import time
import typing as t
from concurrent.futures import ThreadPoolExecutor

import pytest
from server_host import BASE, MIB, Client, Done, ServerHost

IDLE = 10  # seconds
MANY = 16  # hosts that crash at the same moment
DAY = "2026-11-25-11:16:28"
STAMP = "202611251116"
CONFIG = "/etc/kdump-fleet/receive/kdump.json"


class Lab(t.NamedTuple):
    """A server, and hosts that may send to it."""

    server: ServerHost
    clients: dict[str, Client]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> t.Iterator[Lab]:
    folder = tmp_path_factory.mktemp("server") / "light"
    folder.mkdir()
    server = ServerHost(folder)
    try:
        # A site that accepts everything from everybody.
        server.write(
            "/etc/ssh/sshd_config.d/90-site.conf",
            "AcceptEnv *\nPermitTunnel yes\nAllowTcpForwarding yes\nGatewayPorts yes\nPermitUserRC yes\n",
        )
        play = server.server(
            {
                "kdump_server_install": False,
                "kdump_server_idle": IDLE,
                "kdump_server_keep_free": "4M",
                "kdump_server_max_bytes": "48M",
                "kdump_server_max_dumps": 40,
            }
        )
        assert play.code == 0, play.output
        names = ["db1", "db2", "full", "cut", "mute", "links", "spare", "bad"]
        names += [f"many{number}" for number in range(MANY)]
        clients = {name: server.client(name) for name in names}
        server.allow(*clients.values())
        server.start_sshd("-o", "LoginGraceTime=10")
        yield Lab(server, clients)
    finally:
        server.close()


@pytest.fixture
def server(lab: Lab) -> ServerHost:
    return lab.server


@pytest.fixture
def db1(lab: Lab) -> Client:
    return lab.clients["db1"]


@pytest.fixture
def db2(lab: Lab) -> Client:
    return lab.clients["db2"]


def flattened(seed: int, size: int) -> tuple[bytes, bytes]:
    """Return a dump as makedumpfile -F sends it, and as it is in order.

    Records of odd sizes come out of order and leave holes, and the header comes again at the end, as it really does.
    """
    source = random.Random(seed)
    plain = bytearray(size)
    stream = [b"makedumpfile".ljust(16, b"\0") + struct.pack(">qq", 1, 1)]
    stream[0] = stream[0].ljust(4096, b"\0")
    head = b"KDUMP   " + source.randbytes(4088)
    pieces = [(0, head)]
    at = 4096
    while at < size:
        length = min(source.randint(1, 150_000), size - at)
        # Every fifth stays a hole, but not the last.
        if source.randrange(5) or at + length == size:
            pieces.append((at, source.randbytes(length)))
        at += length
    rest = pieces[1:]
    source.shuffle(rest)
    final = b"KDUMP   " + source.randbytes(4088)
    for offset, data in [pieces[0], *rest, (0, final)]:
        stream.append(struct.pack(">qq", offset, len(data)) + data)
        plain[offset : offset + len(data)] = data
    stream.append(struct.pack(">qq", -1, -1))
    return b"".join(stream), bytes(plain)


def good(done: Done) -> Done:
    assert done.code == 0, done
    return done


def kdumpctl(client: Client, day: str, dump: bytes) -> str:
    """Send as the capture kernel of kdumpctl does; return the dump's folder."""
    folder = f"/var/crash/{client.name}-{day}"
    good(client.ssh("mkdir", "-p", folder))
    good(client.ssh(f"umask 0077 && dd of='{folder}/vmcore-dmesg-incomplete.txt'", stdin=b"log\n"))
    good(client.ssh(f"mv '{folder}/vmcore-dmesg-incomplete.txt' '{folder}/vmcore-dmesg.txt'"))
    good(client.ssh(f"umask 0077 && dd bs=512 of='{folder}/vmcore-incomplete'", stdin=dump))
    good(client.ssh(f"mv '{folder}/vmcore-incomplete' '{folder}/vmcore.flat'"))
    return folder.rpartition("/")[2]


@contextlib.contextmanager
def configured(server: ServerHost, **changes: t.Any) -> t.Iterator[None]:
    """Give the receiver another configuration for a while."""
    text = server.read(CONFIG) or ""
    server.write(CONFIG, json.dumps({**json.loads(text), **changes}))
    try:
        yield
    finally:
        server.write(CONFIG, text)


# --- what arrives ----------------------------------------------------------------------------------------------


def test_kdumpctl(server: ServerHost, db1: Client) -> None:
    flat, plain = flattened(1, 3 * MIB)
    assert int(good(db1.ssh("df --output=avail /var/crash")).stdout.split()[-1]) > 1024
    made = good(db1.ssh("mktemp -dqp /var/crash")).stdout.decode().strip()
    good(db1.ssh(f"rmdir {made}"))
    folder = kdumpctl(db1, DAY, flat)
    assert server.stored(f"db1/{folder}/vmcore") == plain
    assert server.stored(f"db1/{folder}/vmcore-dmesg.txt") == b"log\n"
    receipt = json.loads(server.stored(f"db1/{folder}/receipt.json") or b"")
    assert (receipt["received"], receipt["complete"]) == (len(flat), True)
    assert server.must("find", f"{BASE}/db1", "-perm", "/077") == ""
    assert server.logged(rf"host=db1 verb=dd file={folder}/vmcore-incomplete bytes={len(flat)} ")


def test_kdump_tools(server: ServerHost, db1: Client) -> None:
    flat, plain = flattened(2, 2 * MIB)
    folder = f"/var/crash/db1-{STAMP}"
    good(db1.ssh("mkdir", "-p", folder))
    good(db1.ssh(f"dd of={folder}/dmesg.{STAMP}", stdin=b"log\n"))
    good(db1.ssh(f"dd of={folder}/dump.{STAMP}", stdin=flat))
    assert server.stored(f"db1/db1-{STAMP}/dump.{STAMP}") == plain


def test_suse(server: ServerHost, db1: Client) -> None:
    flat, plain = flattened(3, MIB)
    folder = "/srv/dumps/db1-2026-11-25-11-16"
    good(db1.ssh(f"mkdir -p '{folder}' && cat > '{folder}/vmcore'", stdin=flat))
    good(db1.ssh(f"mkdir -p '{folder}' && cat > '{folder}/README.txt'", stdin=b"done\n"))
    assert server.stored("db1/db1-2026-11-25-11-16/vmcore") == plain


@pytest.mark.parametrize("protocol, day", [("-O", "2026-01-01-01:01:01"), ("-s", "2026-01-01-01:01:02")])  # fmt: skip
def test_both_protocols_of_scp(
    server: ServerHost, db1: Client, tmp_path: t.Any, protocol: str, day: str
) -> None:
    content = random.Random(4).randbytes(3 * MIB + 17)
    (tmp_path / "vmcore").write_bytes(content)
    folder = f"/var/crash/db1-{day}"
    good(db1.ssh("mkdir", "-p", folder))
    target = f"kdump@127.0.0.1:{folder}/vmcore-incomplete"
    good(db1.scp(str(tmp_path / "vmcore"), target, protocol))
    good(db1.ssh(f"mv {folder}/vmcore-incomplete {folder}/vmcore"))
    assert server.stored(f"db1/db1-{day}/vmcore") == content


def test_the_status_of_kdumpctl_s_test(server: ServerHost, db1: Client, tmp_path: t.Any) -> None:
    path = "/var/crash/kdump-test-1764069388-5/vmcore-creation.status"
    good(db1.ssh("mkdir", "-p", path.rpartition("/")[0]))
    good(db1.ssh(f"echo success kdump_test_id=1764069388-5 > {path}"))
    for protocol in ("-O", "-s"):
        good(db1.scp(f"kdump@127.0.0.1:{path}", str(tmp_path / "status"), protocol))
        assert (tmp_path / "status").read_text() == "success kdump_test_id=1764069388-5\n"


def test_dumps_that_the_server_cannot_read(
    server: ServerHost, db1: Client, tmp_path: t.Any
) -> None:
    flat, _plain = flattened(10, 2 * MIB)
    identity = str(tmp_path / "age.key")
    made = subprocess.run(
        ["age-keygen", "-o", identity], capture_output=True, text=True, check=True
    )
    public = made.stderr.split()[-1]
    home = {**os.environ, "GNUPGHOME": str(tmp_path)}
    gpg = ["gpg", "--batch", "--no-tty", "--quiet"]
    key = ["--passphrase", "", "--quick-generate-key", "dumps@example.com", "rsa2048", "encr", "never"]  # fmt: skip
    subprocess.run([*gpg, *key], check=True, env=home, capture_output=True)
    armoured = subprocess.run([*gpg, "--armor", "--export"], check=True, env=home, capture_output=True)  # fmt: skip
    server.write("/etc/kdump-fleet/receive/kdump-0.asc", armoured.stdout.decode())
    decrypts = {
        "age": (public, ["age", "-d", "-i", identity]),
        "gpg": (
            "/etc/kdump-fleet/receive/kdump-0.asc",
            [*gpg, "--pinentry-mode", "loopback", "-d"],
        ),
    }
    try:
        for number, (program, (recipient, decrypt)) in enumerate(decrypts.items()):
            with configured(server, encrypt={"program": program, "recipients": [recipient]}):
                folder = kdumpctl(db1, f"2026-06-06-06:06:0{number}", flat)
            stored = server.stored(f"db1/{folder}/vmcore.flat.{program}")
            assert stored is not None and flat[4096:8192] not in stored
            clear = subprocess.run(decrypt, input=stored, env=home, check=True, capture_output=True)
            assert clear.stdout == flat
            # A drill believes the receiver.
            known = [f"{BASE}/db1/{name}" for name in server.must("ls", f"{BASE}/db1").split()]
            known.remove(f"{BASE}/db1/{folder}")
            wanted = {"account": "kdump", "host": "db1", "known": known, "contains": "mark"}
            found = server.module("kdump_dumps", wanted)
            assert found["proof"]["proven_by"] == "receipt", found
            assert found["proof"]["path"] == f"{BASE}/db1/{folder}/vmcore.flat.{program}"
    finally:
        subprocess.run(["gpgconf", "--kill", "all"], env=home, check=False)


READER = """\
#!/bin/sh
{
    echo "[1.0] the mark"
    printf '[2.0] Kernel panic - not syncing: uid=%s groups=%s ' "$(id -u)" "$(id -G)"
    printf 'begins=%s memory=%s ' "$(head -c 4 "$2" | tail -c 3)" "$(ulimit -v)"
    cat /etc/shadow >/dev/null 2>&1 || printf 'no shadow'
    echo
} >"$3"
"""


def test_whoever_reads_a_dump_is_the_account(server: ServerHost, lab: Lab) -> None:
    """A host can make a dump so that makedumpfile errs; root's memory is not the place for that."""
    bad, program = lab.clients["bad"], "/usr/local/sbin/makedumpfile"
    # A whole ELF core without segments.
    core = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 0, 0, 0, 64, 56, 0, 0, 0, 0)  # fmt: skip
    good(bad.ssh(f"dd of=/var/crash/bad-{DAY}/vmcore", stdin=core + bytes(64)))
    server.write(program, READER)
    server.must("chmod", "0755", program)
    try:
        wanted = {"account": "kdump", "host": "bad", "contains": "the mark"}
        found = server.module("kdump_dumps", wanted)
    finally:
        server.remove(program)
    assert found["proof"], found
    uid, gid = server.must("getent", "passwd", "kdump").split(":")[2:4]
    said = f"uid={uid} groups={gid} begins=ELF memory={4 << 20} no shadow"
    assert found["proof"]["panic"].endswith(said) and found["proof"]["proven_by"] == "log"


# --- attacks ---------------------------------------------------------------------------------------------------

DIR = f"/var/crash/db1-{DAY}"
COMMANDS = [
    "",  # a shell
    "id",
    "sh -c id",
    "/bin/sh",
    "host db2",
    "cat /etc/passwd",
    f"cat {DIR}/vmcore",
    f"dd if={DIR}/vmcore",
    f"ls {DIR}",
    f"rm -rf {DIR}",
    f"rm -f {DIR}/vmcore",
    f"mv {DIR}/vmcore {DIR}/vmcore-incomplete",
    f"mkdir -p {DIR}; id",
    f"mkdir -p {DIR} && id",
    f"mkdir -p $(id)/db1-{DAY}",
    f"mkdir -p `id`/db1-{DAY}",
    f"mkdir -p {DIR} | tee /tmp/x",
    f"umask 0000 && dd of='{DIR}/vmcore-incomplete'",
    f"scp -f {DIR}/vmcore",
    f"scp -r -t {DIR}",
    f"scp -S /bin/sh -t {DIR}",
    "rsync --server . /",
    "/usr/lib/openssh/sftp-server -e; id",
    # Out of the folder.
    "dd of=/etc/passwd",
    "dd of=../../db2/x",
    f"dd of=/var/crash/../../../../tmp/db1-{DAY}/vmcore",
    f"dd of=/var/crash/db1-{DAY}/../../db2/vmcore",
    f"mkdir -p /var/crash/db2/../db1-{DAY}",
    f"dd of={DIR}/.ssh",
    f"dd of={DIR}/.pinned",
    f"dd of={DIR}/receipt.json",
    f"dd of={DIR}/{'x' * 300}",
    f"dd of=/{'x' * 5000}/db1-{DAY}/vmcore",
    f"dd of={'/x' * 9000}/db1-{DAY}/vmcore",
    f"dd of={DIR}/vmcore\nid",
    f"dd of={DIR}/vm\tcore",
    f"dd of={DIR}/vm\x1b[2Jcore",
    f"dd of={DIR}/vm\u00e4core",
    "mkdir -p " + "a " * 2000,
]


def test_commands_that_are_refused(server: ServerHost, db1: Client) -> None:
    before, size = server.tree(), len(server.log())
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda command: db1.ssh(*([command] if command else []), stdin=b"x"), COMMANDS))  # fmt: skip
    for command, done in zip(COMMANDS, results):
        assert done.code != 0 and done.stdout == b"", (command, done)
        assert "kdump-receive: refused: " in done.stderr, (command, done)
        assert "\x1b" not in done.stderr and done.stderr.count("kdump-receive:") == 1
    assert server.tree() == before
    last = "host=db1 verb=.*outcome=refused"
    assert server.logged(last, size)
    log = server.log()[size:]
    assert len(re.findall(last, log)) == len(COMMANDS)
    # Nothing that a client sends begins a line of its own.
    assert not re.search(r"^(id|core)", log, re.MULTILINE) and "\x1b" not in log


def packet(kind: int, *fields: bytes | int) -> bytes:
    """Return a packet of SFTP 3: strings and numbers of 32 bits."""
    body = bytes([kind])
    for field in fields:
        body += struct.pack(">I", field if isinstance(field, int) else len(field))
        body += b"" if isinstance(field, int) else field
    return struct.pack(">I", len(body)) + body


HOSTILE = [
    DIR.encode() + b"/vm\0core",
    DIR.encode() + b"/vm\ncore",
    b"/etc/passwd\0" + DIR.encode() + b"/vmcore",
    DIR.encode() + b"/../../db2/x",
    DIR.encode() + b"/" + b"x" * 300,
    b"/x" * 3000 + b"/vmcore",
    b"\xff\xfe",
    b"",
]


def test_paths_that_no_client_program_would_send(server: ServerHost, db1: Client) -> None:
    """sshd does not take a NUL in a command; in SFTP it comes through, so the packets are our own."""
    before, size = server.tree(), len(server.log())
    for path in HOSTILE:
        # INIT, then OPEN for writing, MKDIR and STAT.
        stream = packet(1, 3) + packet(3, 7, path, 0x1A, 0) + packet(14, 8, path, 0)
        done = db1.ssh("sftp", stdin=stream, options=["-s"])
        # VERSION, then STATUS of both: a code that is not 0.
        answers = []
        rest = done.stdout
        while len(rest) >= 4:
            length = struct.unpack(">I", rest[:4])[0]
            answers.append(rest[4 : 4 + length])
            rest = rest[4 + length :]
        assert [answer[0] for answer in answers] == [2, 101, 101], (path, done)
        for answer in answers[1:]:
            assert struct.unpack(">I", answer[5:9])[0] != 0, (path, answer)
    assert server.tree() == before
    assert len(re.findall("host=db1 verb=sftp .*outcome=refused", server.log()[size:])) >= len(HOSTILE)  # fmt: skip
    # Half a packet, and one that is longer than any.
    for stream in (
        packet(1, 3) + b"\0\0",
        b"\x7f\xff\xff\xff" + b"x" * 100,
        b"GET / HTTP/1.0\r\n\r\n",
    ):
        assert db1.ssh("sftp", stdin=stream, options=["-s"]).code != 0
    assert "Traceback" not in server.log()


SFTP = [
    f"get {DIR}/vmcore /tmp/none",
    f"ls {DIR}",
    "ls /",
    f"rename {DIR}/vmcore {DIR}/other",
    f"rm {DIR}/vmcore",
    f"rmdir {DIR}",
    f"symlink /etc/passwd {DIR}/link",
    f"ln {DIR}/vmcore {DIR}/link",
    "get /etc/passwd /tmp/none",
    f"get {DIR}/../../../etc/passwd /tmp/none",
    f"put /etc/hostname {DIR}/../db2",
    "put /etc/hostname /etc/passwd",
    "mkdir /etc/x/../y",
]


def test_sftp_that_is_refused(server: ServerHost, db1: Client) -> None:
    before, size = server.tree(), len(server.log())
    with ThreadPoolExecutor(4) as pool:
        for command, done in zip(SFTP, pool.map(db1.sftp, SFTP)):
            assert done.code != 0, (command, done)
    assert server.tree() == before
    assert not os.path.exists("/tmp/none")
    assert server.logged(r"host=db1 verb=sftp outcome=refused: packet type", size)


def test_forwarding_is_refused(server: ServerHost, db1: Client) -> None:
    size = len(server.log())
    # The server's own ssh port, from its own address.
    inner = f"127.0.0.1:{server.port}"
    direct = db1.ssh(options=["-W", inner])
    assert direct.code != 0 and b"SSH-2.0" not in direct.stdout
    assert re.search("administratively prohibited|Forwarding disabled", direct.stderr), direct
    assert server.logged("refused local port forward", size)
    strict = ["-o", "ExitOnForwardFailure=yes"]
    for forward in (["-R", f"0:{inner}"], ["-R", f"/tmp/sock:{inner}"]):
        done = db1.ssh("df --output=avail /", options=[*strict, *forward])
        assert done.code != 0 and "remote port forwarding failed" in done.stderr.lower(), done
    assert server.run("test", "-e", "/tmp/sock").returncode == 1


def test_agent_x11_and_pty_are_refused(server: ServerHost, db1: Client, tmp_path: t.Any) -> None:
    agent = str(tmp_path / "agent")
    process = subprocess.Popen(["ssh-agent", "-D", "-a", agent], stdout=subprocess.DEVNULL)
    try:
        done = db1.ssh("df --output=avail /", options=["-A", "-v", "-o", f"IdentityAgent={agent}"])
    finally:
        process.terminate()
        process.wait(timeout=30)
    good(done)
    # sshd makes a socket in /tmp for an agent that it forwards.
    assert server.must("find", "/tmp", "-maxdepth", "1", "-name", "ssh-*") == ""
    pty = db1.ssh("df --output=avail /", options=["-tt"])
    assert "PTY allocation request failed" in pty.stderr, pty
    shell = db1.ssh(options=["-tt"])
    assert shell.code != 0 and shell.stdout == b"", shell
    environment = {"DISPLAY": "127.0.0.1:9", "XAUTHLOCALHOSTNAME": "x"}
    done_x11 = subprocess.run(
        db1.argv("df --output=avail /", options=["-X", "-v", "-o", "ForwardX11Trusted=yes"]),
        capture_output=True, check=False, timeout=60, env={**os.environ, **environment},
    )  # fmt: skip
    assert b"X11 forwarding request failed" in done_x11.stderr, done_x11
    assert server.logged("Accepted publickey for kdump")


def test_a_tunnel_is_refused(server: ServerHost, db1: Client) -> None:
    """The client makes its device in a network namespace of its own, and reaches the server from there by a proxy."""
    relay = (
        "import socket,sys,threading,os\n"
        f"s=socket.create_connection(('127.0.0.1',{server.port}))\n"
        "def up():\n"
        "  while True:\n"
        "    data=os.read(0,65536)\n"
        "    if not data: break\n"
        "    s.sendall(data)\n"
        "threading.Thread(target=up,daemon=True).start()\n"
        "while True:\n"
        "  data=s.recv(65536)\n"
        "  if not data: break\n"
        "  os.write(1,data)\n"
    )
    script = server.keys / "relay.py"
    script.write_text(relay)
    proxy = f"nsenter --net=/proc/{os.getpid()}/ns/net {sys.executable} {script}"
    done = subprocess.run(
        [
            "unshare", "--net",
            *db1.argv("df --output=avail /", options=["-w", "0:0", "-o", f"ProxyCommand={proxy}", "-o", "ExitOnForwardFailure=yes"]),
        ],
        capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode != 0 and b"unnel" in done.stderr, done


def test_environment_variables_do_not_come_in(server: ServerHost, db1: Client) -> None:
    sets = ["LD_PRELOAD=/none.so", "PYTHONPATH=/tmp", "PYTHONSTARTUP=/tmp/x", "BASH_ENV=/tmp/x"]
    done = good(
        db1.ssh("df --output=avail /", options=[f"-oSetEnv={' '.join(sets)}", "-oSendEnv=*"])
    )
    # The loader would complain about a library that is not there.
    assert "none.so" not in done.stderr
    before = server.tree()
    wanted = f'SSH_ORIGINAL_COMMAND="mkdir -p /x/db1-{DAY}"'
    shell = db1.ssh(options=["-oSetEnv=" + wanted])
    assert shell.code != 0 and "there is no shell here" in shell.stderr, shell
    assert server.tree() == before


def test_what_a_site_accepts_holds_for_others_alone(server: ServerHost) -> None:
    """Or else the tests above could not fail; a terminal and a tunnel this host could not have anyway."""
    rules = {}
    for user in ("root", "kdump"):
        spec = f"user={user},host=x,addr=127.0.0.1"
        rules[user] = server.must("/usr/sbin/sshd", "-T", "-C", spec).splitlines()
    for line in ("acceptenv *", "permittunnel yes", "permittty yes", "allowtcpforwarding yes"):
        assert line in rules["root"] and line not in rules["kdump"], line
    assert {"permittunnel no", "permittty no", "permituserrc no"} <= set(rules["kdump"])


def test_a_finished_dump_stays_and_another_crash_of_that_name_goes_beside_it(
    server: ServerHost, db1: Client
) -> None:
    """The clock was years off, or stands still: the same name comes again."""
    kept = server.stored(f"db1/db1-{DAY}/vmcore")
    assert kept is not None
    flat, plain = flattened(5, MIB)
    for number in range(1, 9):
        if server.run("test", "-e", f"{BASE}/db1/db1-{DAY}.{number}").returncode:
            break
    kdumpctl(db1, DAY, flat)
    assert server.stored(f"db1/db1-{DAY}/vmcore") == kept
    assert server.stored(f"db1/db1-{DAY}.{number}/vmcore") == plain
    # SFTP opens a file to write over it; that too is another crash.
    done = db1.sftp(f"put /etc/hostname {DIR}/vmcore\n")
    assert done.code == 0 and server.stored(f"db1/db1-{DAY}/vmcore") == kept
    for year in ("1970-01-01-00:00:05", "2106-02-07-06:28:15"):
        assert server.stored(f"db1/{kdumpctl(db1, year, flat)}/vmcore") == plain


def test_hosts_do_not_reach_each_other(server: ServerHost, db1: Client, db2: Client) -> None:
    first = server.stored(f"db1/db1-{DAY}/vmcore")
    flat, plain = flattened(6, MIB)
    # The very paths of the other one.
    good(db2.ssh("mkdir", "-p", DIR))
    good(db2.ssh(f"dd of={DIR}/vmcore", stdin=flat))
    assert server.stored(f"db1/db1-{DAY}/vmcore") == first
    assert server.stored(f"db2/db1-{DAY}/vmcore") == plain
    for path in (f"{BASE}/db1/db1-{DAY}", f"/var/crash/db1/db1-{DAY}"):
        good(db2.ssh(f"dd of={path}/x", stdin=b"x"))
        assert server.stored(f"db1/db1-{DAY}/x") is None
    assert server.stored(f"db2/db1-{DAY}/x") is not None


def test_links_that_were_planted_are_not_followed(lab: Lab) -> None:
    server, client = lab.server, lab.clients["links"]
    folder = f"/var/crash/links-{DAY}"
    good(client.ssh("mkdir", "-p", folder))
    server.must(
        "sh",
        "-c",
        "mkdir -m 0777 /tmp/target && : > /tmp/target/file && chmod 666 /tmp/target/file",
    )
    plant = (
        f"ln -s /tmp/target {BASE}/links/links-2026-02-02-02:02:02;"
        f"ln -s /tmp/target/file {BASE}/links/links-{DAY}/vmcore-incomplete;"
        f"ln -s /tmp/target/file {BASE}/links/links-{DAY}/.receipt.json.new"
    )
    server.must("setpriv", "--reuid=kdump", "--regid=kdump", "--clear-groups", "sh", "-c", plant)
    size = len(server.log())
    done = client.ssh("dd of=/var/crash/links-2026-02-02-02:02:02/vmcore", stdin=b"evil")
    assert done.code != 0 and "refused" in done.stderr, done
    client.ssh(f"dd of={folder}/vmcore-incomplete", stdin=b"evil")
    client.ssh(f"dd of={folder}/vmcore", stdin=b"evil")
    assert server.must("sh", "-c", "ls -A /tmp/target; cat /tmp/target/file") == "file\n"
    assert server.logged("host=links .*outcome=refused", size)
    # A whole host's folder that is a link.
    server.must("ln", "-s", "/tmp/target", f"{BASE}/spare")
    done = lab.clients["spare"].ssh("mkdir", "-p", f"/var/crash/spare-{DAY}")
    assert done.code != 0 and "refused" in done.stderr, done
    assert server.must("ls", "-A", "/tmp/target") == "file\n"
    server.must("rm", f"{BASE}/spare")
    # The keeper reports such a link, and leaves it.
    done_keep = server.run(
        "setpriv", "--reuid=kdump", "--regid=kdump", "--clear-groups",
        "/usr/local/libexec/kdump-fleet/kdump-keep", "/etc/kdump-fleet/keep/kdump.json",
    )  # fmt: skip
    assert "links-2026-02-02-02:02:02: is a link or no folder" in done_keep.stdout


def test_keys_elsewhere_are_no_way_in(server: ServerHost) -> None:
    stranger = server.client("stranger")
    server.must("sh", "-c", f"mkdir -p {BASE}/.ssh /root/.ssh")
    server.write(f"{BASE}/.ssh/authorized_keys", stranger.public)
    server.must("chown", "-R", "kdump:kdump", f"{BASE}/.ssh")
    size = len(server.log())
    done = stranger.ssh("id")
    assert done.code == 255 and "Permission denied (publickey)" in done.stderr, done
    assert server.logged("Connection (closed|reset) by authenticating user kdump", size)
    # In the right file, but without a forced command: the client's words are the shell's argument.
    keys = server.read("/etc/kdump-fleet/keys/kdump") or ""
    server.write("/etc/kdump-fleet/keys/kdump", keys + stranger.public)
    size = len(server.log())
    for command in ("id", "host db1", "x --config /tmp/x -c host", ""):
        done = stranger.ssh(*([command] if command else []))
        assert done.code != 0 and "there is no shell here" in done.stderr, (command, done)
    assert server.logged("outcome=refused: there is no shell here", size)
    server.write("/etc/kdump-fleet/keys/kdump", keys)
    server.must("rm", "-r", f"{BASE}/.ssh")


# --- what goes wrong -------------------------------------------------------------------------------------------


FULL: list[tuple[str, dict[str, t.Any], str]] = [
    ("quota", {}, "this host's quota of 50331648 bytes"),
    ("free", {"max_bytes": 0}, "disk is full; 4194304 bytes stay free"),
    ("disk", {"max_bytes": 0, "keep_free": 0}, "disk is full; 0 bytes stay free"),
]


@pytest.mark.parametrize("what, changes, cause", FULL, ids=[case[0] for case in FULL])
def test_a_dump_that_does_not_fit(lab: Lab, what: str, changes: dict[str, t.Any], cause: str) -> None:  # fmt: skip
    server, client = lab.server, lab.clients["full"]
    folder = f"/var/crash/full-2026-03-03-03:03:0{[case[0] for case in FULL].index(what)}"
    label = folder.rpartition("/")[2]
    others = {name: server.stored(name) for name in server.tree() if not name.startswith("full/")}
    size = len(server.log())
    try:
        with configured(server, **changes):
            good(client.ssh("mkdir", "-p", folder))
            done = client.ssh(f"dd of={folder}/vmcore-incomplete", stdin=bytes(260 * MIB))
            assert done.code != 0 and cause in done.stderr, done
        # The dump is not taken for whole, and the cause is named again.
        kept = len(server.stored(f"full/{label}/vmcore-incomplete") or b"")
        moved = client.ssh(f"mv {folder}/vmcore-incomplete {folder}/vmcore")
        assert moved.code != 0 and cause in moved.stderr, moved
        assert server.stored(f"full/{label}/vmcore") is None and kept > 8 * MIB
        assert server.logged(f"host=full verb=dd .*outcome=incomplete: .*{cause}", size)
        assert {name: server.stored(name) for name in others} == others
    finally:
        server.must("sh", "-c", f"rm -rf {BASE}/full/*")


def start(client: Client, command: str, head: bytes) -> subprocess.Popen[bytes]:
    """Begin to send, and do not end."""
    process = subprocess.Popen(
        client.argv(command), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(head)
    process.stdin.flush()
    return process


def test_a_network_that_is_cut(lab: Lab) -> None:
    server, client = lab.server, lab.clients["cut"]
    flat, plain = flattened(7, 4 * MIB)
    folder = f"/var/crash/cut-{DAY}"
    good(client.ssh("mkdir", "-p", folder))
    size = len(server.log())
    process = start(client, f"dd of={folder}/vmcore-incomplete", flat[: 2 * MIB])
    server._wait(lambda: bool(server.stored(f"cut/cut-{DAY}/vmcore-incomplete")), "the beginning")
    # While it is being written nobody else writes there.
    refused = client.ssh(f"dd of={folder}/vmcore-incomplete", stdin=b"x")
    assert refused.code != 0 and "another session is writing" in refused.stderr, refused
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert server.logged("host=cut verb=dd .*outcome=incomplete: ", size)
    moved = client.ssh(f"mv {folder}/vmcore-incomplete {folder}/vmcore")
    assert moved.code != 0 and "vmcore-incomplete is incomplete" in moved.stderr, moved
    # The host tries again, and nothing of the first try is lost.
    again = kdumpctl(client, DAY, flat)
    assert server.stored(f"cut/{again}.1/vmcore") == plain
    assert server.stored(f"cut/cut-{DAY}/vmcore-incomplete")


def test_a_client_that_falls_silent(lab: Lab) -> None:
    server, client = lab.server, lab.clients["mute"]
    folder = f"/var/crash/mute-{DAY}"
    good(client.ssh("mkdir", "-p", folder))
    size = len(server.log())
    process = start(client, f"dd of={folder}/vmcore", flattened(8, MIB)[0][: MIB // 2])
    process.send_signal(signal.SIGSTOP)
    try:
        end = time.monotonic() + 6 * IDLE
        while "host=mute verb=dd" not in server.log()[size:]:
            assert time.monotonic() < end, "a silent session was not ended"
            time.sleep(0.5)
        assert re.search("host=mute verb=dd .*outcome=incomplete: ", server.log()[size:])
    finally:
        process.kill()
        process.communicate(timeout=60)
    assert server.tree().count(f"mute/mute-{DAY}/vmcore-incomplete") == 1


def test_sixteen_hosts_at_the_same_moment(lab: Lab) -> None:
    clients = [lab.clients[f"many{number}"] for number in range(MANY)]
    dumps = [flattened(100 + number, 2 * MIB + number) for number in range(MANY)]

    def send(number: int) -> str:
        return kdumpctl(clients[number], DAY, dumps[number][0])

    with ThreadPoolExecutor(MANY) as pool:
        folders = list(pool.map(send, range(MANY)))
    for number, folder in enumerate(folders):
        assert lab.server.stored(f"many{number}/{folder}/vmcore") == dumps[number][1], number
    assert len({plain for _flat, plain in dumps}) == MANY


def test_a_host_has_so_many_sessions_and_no_more(lab: Lab) -> None:
    server, client = lab.server, lab.clients["many0"]
    open_ones = []
    try:
        for number in range(4):
            folder = f"/var/crash/many0-2026-04-04-04:04:0{number}"
            open_ones.append(start(client, f"mkdir -p {folder} && cat > {folder}/vmcore", b"x" * 70_000))  # fmt: skip
        server._wait(
            lambda: sum("2026-04-04" in name for name in server.tree()) == 4, "four sessions"
        )
        done = client.ssh("df --output=avail /")
        assert done.code != 0 and "sessions" in done.stderr, done
        good(lab.clients["many1"].ssh("df --output=avail /"))
    finally:
        for process in open_ones:
            process.kill()
            process.communicate(timeout=60)


def test_a_thousand_connections_and_half_open_ones(server: ServerHost, db1: Client) -> None:
    for _number in range(1000):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", server.port), 30):
            pass
    silent = []
    try:
        for _number in range(100):
            with contextlib.suppress(OSError):
                silent.append(socket.create_connection(("127.0.0.1", server.port), 30))
        # A capture kernel tries again too. sshd lets go of the silent ones by itself.
        end = time.monotonic() + 120
        while (done := db1.ssh("df --output=avail /")).code != 0:
            assert time.monotonic() < end, done
            time.sleep(1)
    finally:
        for connection in silent:
            connection.close()
    flat, plain = flattened(9, MIB)
    folder = kdumpctl(db1, "2026-05-05-05:05:05", flat)
    assert server.stored(f"db1/{folder}/vmcore") == plain
