# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A light host that is a dump server: a real sshd on loopback, a log, and clients with keys."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import time
import typing as t
from pathlib import Path

from light_host import ROOT, LightHost, Play

BASE = "/srv/kdump/kdump"
MIB = 1 << 20
PROGRAMS = {
    "systemctl": "/usr/local/sbin/systemctl",
    "exportfs": "/usr/local/sbin/exportfs",
    "syslog": "/usr/local/sbin/light-syslog",
}


class ServerHost(LightHost):
    """A light host without the dump tooling of its own, and with a disk for dumps."""

    def __init__(self, folder: Path, disk: int = 256 * MIB) -> None:
        super().__init__(folder)
        self.keys = folder.parent / "keys"
        self.keys.mkdir()
        self._processes: list[subprocess.Popen[bytes]] = []
        self.port = 0
        for name, path in PROGRAMS.items():
            self.write(path, (ROOT / "tests/integration/light/server" / name).read_text())
            self.run("chmod", "0755", path)
        self.must("rm", "-f", "/usr/local/sbin/dpkg-query")
        self.must("sh", "-c", f"mkdir -p {BASE} && mount -t tmpfs -o size={disk} tmpfs {BASE}")
        # The log's socket must not appear in this computer's own /dev.
        self.must(
            "sh", "-c",
            "mkdir /tmp/dev && mount -t tmpfs -o mode=0755 tmpfs /tmp/dev"
            " && cp -a /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty /tmp/dev/"
            " && ln -s /proc/self/fd /tmp/dev/fd && mkdir /tmp/dev/shm && mount --move /tmp/dev /dev",
        )  # fmt: skip
        self._start("/usr/bin/python3", "/usr/local/sbin/light-syslog")
        self._wait(lambda: self.run("test", "-S", "/dev/log").returncode == 0, "the log")

    def close(self) -> None:
        for process in self._processes:
            process.terminate()
            process.wait(timeout=30)
        # What sshd has started for connections that are still open.
        for pid in self.sessions():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        super().close()

    def sessions(self) -> list[int]:
        """Return the processes that live in this host's own mounts, but for the host itself."""
        mine = os.readlink(f"/proc/{self.process.pid}/ns/mnt")
        found = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{name}/ns/mnt") == mine:
                    # The shell that holds the namespace, and its cat.
                    parent = int(
                        Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()[1]
                    )
                    if self.process.pid not in (int(name), parent):
                        found.append(int(name))
        return found

    def must(self, *argv: str) -> str:
        done = self.run(*argv)
        assert done.returncode == 0, f"{argv}: {done.stderr}"
        return done.stdout

    def _start(self, *argv: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [
                "nsenter", f"--target={self.process.pid}", "--mount", "--root",
                "chroot", str(self.folder / "root"), *argv,
            ],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        self._processes.append(process)
        return process

    @staticmethod
    def _wait(done: t.Callable[[], bool], what: str, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < end, f"{what} did not come within {seconds} s"
            time.sleep(0.1)

    # What the server does

    def server(self, variables: dict[str, t.Any] | None = None, *options: str) -> Play:
        return self._playbook(
            {"roles": [{"role": "kdump.fleet.kdump_server", "vars": variables or {}}]}, *options
        )

    def refusals(self, cases: t.Sequence[dict[str, t.Any]]) -> tuple[Play, list[str]]:
        """Run the role with each of the variables, all in one play; return it, and what each was refused with."""
        tasks = [
            {
                "block": [
                    {
                        "ansible.builtin.include_role": {"name": "kdump.fleet.kdump_server"},
                        "vars": variables,
                    }
                ],
                "rescue": [
                    {
                        "ansible.builtin.set_fact": {
                            "said": "{{ said | default([]) + [ansible_failed_result | to_json] }}"
                        }
                    }
                ],
            }
            for variables in cases
        ]
        result = {
            "ansible.builtin.copy": {"content": "{{ said | to_json }}", "dest": "/tmp/said.json"}
        }
        play = self._playbook({"tasks": [*tasks, result]})
        return play, json.loads(self.read("/tmp/said.json") or "[]")

    def start_sshd(self, *options: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._start(
            "/usr/sbin/sshd", "-D", "-p", str(self.port), "-o", "ListenAddress=127.0.0.1",
            "-o", "PidFile=/run/light-sshd.pid", *options,
        )  # fmt: skip
        self._wait(self._listens, "sshd")

    def _listens(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 5):
            return True
        return False

    def log(self) -> str:
        return self.read("/var/log/light-syslog") or ""

    def logged(self, pattern: str, since: int = 0) -> bool:
        """Tell whether a line came to the log, at once or soon."""
        end = time.monotonic() + 20
        while time.monotonic() < end:
            if re.search(pattern, self.log()[since:]):
                return True
            time.sleep(0.1)
        return False

    def stored(self, path: str) -> bytes | None:
        """Return a file below the folder for dumps."""
        try:
            return (self.folder / "root" / BASE.lstrip("/") / path).read_bytes()
        except OSError:
            return self._stored(path)

    def _stored(self, path: str) -> bytes | None:
        # The disk is mounted in the host's own namespace alone.
        try:
            place = f"/proc/{self.process.pid}/root{self.folder}/root{BASE}/{path}"
            return Path(place).read_bytes()
        except OSError:
            return None

    def tree(self) -> list[str]:
        """Return all files below the folder for dumps, without the receiver's own notes."""
        found = self.must("find", BASE, "-mindepth", "1", "-type", "f", "-printf", "%P\\n")
        return sorted(line for line in found.splitlines() if "/." not in line)

    # What its clients do

    def client(self, name: str) -> Client:
        return Client(self, name)

    def allow(self, *clients: Client) -> dict[str, t.Any]:
        hosts = [{"name": client.name, "keys": [client.public]} for client in clients]
        result = self.module("kdump_authorized_keys", {"account": "kdump", "hosts": hosts})
        assert not result.get("failed"), result
        return result


class Done(t.NamedTuple):
    """What a client's program left."""

    code: int
    stdout: bytes
    stderr: str


class Client:
    """A host that sends: a key, the server's host keys, and the real OpenSSH clients."""

    def __init__(self, server: ServerHost, name: str) -> None:
        self.server = server
        self.name = name
        self.key = server.keys / name
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(self.key)],
            check=True,
        )
        self.public = Path(f"{self.key}.pub").read_text()

    def options(self, port: str = "-p") -> list[str]:
        known = self.server.keys / "known_hosts"
        if not known.exists():
            keys = self.server.must("sh", "-c", "cat /etc/ssh/ssh_host_*_key.pub").splitlines()
            known.write_text("".join(f"[127.0.0.1]:{self.server.port} {key}\n" for key in keys))
        return [
            "-F", "none", port, str(self.server.port), "-i", str(self.key),
            "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=yes",
            "-o", f"UserKnownHostsFile={known}", "-o", "GlobalKnownHostsFile=none",
        ]  # fmt: skip

    def argv(self, *words: str, options: t.Sequence[str] = ()) -> list[str]:
        return ["ssh", *self.options(), *options, "kdump@127.0.0.1", *words]

    def ssh(self, *words: str, stdin: bytes = b"", options: t.Sequence[str] = ()) -> Done:
        """Run a command on the server, as a capture kernel does."""
        return self._run(self.argv(*words, options=options), stdin)

    def scp(self, source: str, target: str, *options: str) -> Done:
        return self._run(["scp", *self.options("-P"), *options, source, target])

    def sftp(self, batch: str) -> Done:
        return self._run(
            ["sftp", *self.options("-P"), "-b", "-", "kdump@127.0.0.1"], batch.encode()
        )

    @staticmethod
    def _run(argv: t.Sequence[str], stdin: bytes = b"") -> Done:
        # Sessions that hang are a failure of the server's.
        done = subprocess.run(argv, input=stdin, capture_output=True, check=False, timeout=120)
        return Done(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"))
