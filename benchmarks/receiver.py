# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""make bench-receiver: the dump server's receiver next to `ssh dd of=` and internal-sftp, over loopback, in one run.

A sshd of its own runs on a high port with keys of its own (root; nothing outside of a temporary folder is touched).
Each round sends the same dump by every way, in turns, so that what else the machine does falls on all of them; a ratio
compares two ways within one round, and the table shows the median over the rounds.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import json
import os
import platform
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RECEIVER = ROOT / "roles" / "kdump_server" / "files" / "kdump_receive.py"
MIB = 1 << 20  # bytes
BAR = 0.9  # of plain dd's throughput
MEMORY_BAR = 64  # MiB
PAGES = 64 << 10  # bytes of a record; makedumpfile collects that much before it writes
DESCRIPTORS_AFTER = 54  # records of pages until 64 KiB of page descriptors (24 bytes each) are full
TIMEOUT = 1800  # seconds
DATE = "2026-11-25-11:16:28"
SUFFIX = "-incomplete"


class Way(t.NamedTuple):
    """One way to send a dump."""

    name: str
    key: str  # shell, receiver
    flattened: bool
    sftp: bool = False
    command: str = "umask 0077 && dd bs=512 of='{}'"  # as kdumpctl has it


WAYS = (
    Way("ssh dd of=", "shell", True),
    Way("receiver, flattened", "receiver", True),
    Way("receiver, plain", "receiver", False),
    Way("ssh dd of= conv=fsync", "shell", True, command="dd bs=512 conv=fsync of={}"),
    Way("ssh cat >", "shell", True, command="cat > {}"),
    Way("internal-sftp", "shell", True, sftp=True),
    Way("receiver, sftp", "receiver", True, sftp=True),
)
# What a way is compared with.
BASES = {"receiver, sftp": "internal-sftp"}
MANY = ("ssh dd of=", "receiver, flattened")


def make_stream(path: Path, size: int, flattened: bool) -> None:
    """Write a dump of so many bytes, with records as makedumpfile's if it is flattened."""
    block = os.urandom(16 * MIB)
    with path.open("wb") as handle:
        if not flattened:
            for _part in range(size // len(block)):
                handle.write(block)
            return
        header = b"makedumpfile\0\0\0\0" + struct.pack(">qq", 1, 1)
        handle.write(header.ljust(4096, b"\0"))
        handle.write(struct.pack(">qq", 0, 4096) + b"KDUMP   ".ljust(4096, b"\0"))
        count = size // PAGES
        descriptors, pages = 4096, 4096 + PAGES * (count // DESCRIPTORS_AFTER + 1)
        for number in range(count):
            at = number * PAGES % len(block)
            handle.write(struct.pack(">qq", pages, PAGES) + block[at : at + PAGES])
            pages += PAGES
            if number % DESCRIPTORS_AFTER == DESCRIPTORS_AFTER - 1:
                handle.write(struct.pack(">qq", descriptors, PAGES) + block[:PAGES])
                descriptors += PAGES
        handle.write(struct.pack(">qq", -1, -1))


class Server:
    """A sshd on a high port of this machine."""

    def __init__(self, folder: Path, writers: int) -> None:
        self.folder = folder
        self.base = folder / "base"
        self.base.mkdir()
        self.port = free_port()
        self.config = folder / "receiver.json"
        self.config.write_text(json.dumps({"base": str(self.base), "idle": 600}))
        self.config.chmod(0o600)
        keys = []
        for name in ("hostkey", "shell", *(f"receiver{number}" for number in range(writers))):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)],
                check=True, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            public = (folder / f"{name}.pub").read_text()
            if name == "shell":
                keys.append(public)
            elif name != "hostkey":
                command = f"/usr/bin/python3 -IS {RECEIVER} --config {self.config} -c 'host {name}'"
                keys.append(f'restrict,command="{command}" {public}')
        (folder / "keys").write_text("".join(keys))
        (folder / "known_hosts").write_text(
            f"[127.0.0.1]:{self.port} " + (folder / "hostkey.pub").read_text()
        )
        (folder / "sshd_config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {folder}/hostkey\nPidFile none\n"
            f"AuthorizedKeysFile {folder}/keys\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n"
            "PasswordAuthentication no\nMaxStartups 200\nSubsystem sftp internal-sftp\nLogLevel ERROR\n"
        )
        os.makedirs("/run/sshd", exist_ok=True)
        self.log = (folder / "sshd.log").open("wb")
        self.process = subprocess.Popen(
            ["/usr/sbin/sshd", "-D", "-e", "-f", str(folder / "sshd_config")],
            stdin=subprocess.DEVNULL,
            stderr=self.log,
        )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 5).close()
                return
            except OSError:
                time.sleep(0.1)
        self.stop()
        raise SystemExit(f"sshd did not start: {(folder / 'sshd.log').read_text()}")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()
        self.log.close()

    def options(self, key: str, port_flag: str) -> list[str]:
        return [
            "-F", "none", "-i", str(self.folder / key), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
            "-o", f"UserKnownHostsFile={self.folder}/known_hosts", "-o", "LogLevel=ERROR",
            port_flag, str(self.port),
        ]  # fmt: skip


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def send(server: Server, way: Way, source: Path, number: int) -> float:
    """Send a dump; return the seconds that it took.

    :raises SystemExit: it did not arrive.
    """
    key = way.key if way.key == "shell" else f"receiver{number}"
    folder = f"{server.base}/plain{number}-{DATE}"
    os.makedirs(folder, exist_ok=True)
    target = f"{folder}/vmcore{SUFFIX}"
    begin = time.monotonic()
    if way.sftp:
        argv = ["sftp", "-q", "-b", "-", *server.options(key, "-P"), "root@127.0.0.1"]
        done = subprocess.run(
            argv, input=f"put {source} {target}\n".encode(), capture_output=True, timeout=TIMEOUT, check=False,
        )  # fmt: skip
    else:
        command = way.command.format(target)
        argv = ["ssh", *server.options(key, "-p"), "root@127.0.0.1", command]
        with source.open("rb") as handle:
            done = subprocess.run(
                argv, stdin=handle, capture_output=True, timeout=TIMEOUT, check=False,
            )  # fmt: skip
    seconds = time.monotonic() - begin
    if done.returncode:
        raise SystemExit(f"{way.name} failed: {done.stderr.decode(errors='replace')}")
    return seconds


def clean(server: Server) -> None:
    """Remove what was sent, and have the disk at rest before the next way."""
    for entry in server.base.iterdir():
        shutil.rmtree(entry)
    os.sync()


class Memory:
    """Looks at the receivers' high-water marks while they run."""

    def __init__(self, config: Path) -> None:
        self.config = str(config).encode()
        self.highest = 0  # KiB
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while not self._stop.wait(0.05):
            for entry in os.listdir("/proc"):
                if entry.isdigit():
                    self._look(Path("/proc") / entry)

    def _look(self, process: Path) -> None:
        try:
            argv = (process / "cmdline").read_bytes().split(b"\0")
            # The shell between sshd and the receiver has all of it in one argument.
            if self.config not in argv:
                return
            for line in (process / "status").read_text().splitlines():
                if line.startswith("VmHWM:"):
                    self.highest = max(self.highest, int(line.split()[1]))
        except OSError:
            pass

    def end(self) -> int:
        self._stop.set()
        self._thread.join()
        return self.highest


def one_writer(server: Server, streams: dict[bool, Path], rounds: int) -> dict[str, list[float]]:
    """Return each way's MB/s, round by round."""
    found: dict[str, list[float]] = {way.name: [] for way in WAYS}
    for number in range(rounds):
        # The order turns, so that no way always comes behind the same other.
        for way in (*WAYS[number % len(WAYS) :], *WAYS[: number % len(WAYS)]):
            source = streams[way.flattened]
            seconds = send(server, way, source, 0)
            clean(server)
            found[way.name].append(source.stat().st_size / seconds / 1e6)
        say(f"round {number + 1}: " + ", ".join(f"{n} {v[-1]:.0f}" for n, v in found.items()))
    return found


class Many(t.NamedTuple):
    """A round of writers at once."""

    rate: float  # MB/s of all together
    fairness: float  # the slowest writer's MB/s by the fastest's


def many_writers(server: Server, source: Path, rounds: int, writers: int) -> dict[str, list[Many]]:
    ways = [way for way in WAYS if way.name in MANY]
    found: dict[str, list[Many]] = {way.name: [] for way in ways}
    for number in range(rounds):
        for way in ways if number % 2 == 0 else reversed(ways):
            begin = time.monotonic()
            with concurrent.futures.ThreadPoolExecutor(writers) as pool:
                jobs = [pool.submit(send, server, way, source, one) for one in range(writers)]
                seconds = [job.result() for job in jobs]
            rate = source.stat().st_size * writers / (time.monotonic() - begin) / 1e6
            found[way.name].append(Many(rate, min(seconds) / max(seconds)))
            clean(server)
        say(f"{writers} writers, round {number + 1}: " + ", ".join(
            f"{n} {v[-1].rate:.0f} (fairness {v[-1].fairness:.2f})" for n, v in found.items()
        ))  # fmt: skip
    return found


def say(text: str) -> None:
    print(f"[bench] {text}", flush=True)


def ratios(found: dict[str, list[float]]) -> dict[str, float]:
    """Return the median over the rounds of each way's throughput by that of what it is compared with."""
    return {
        name: statistics.median(
            own / base
            for own, base in zip(rates, found[BASES.get(name, WAYS[0].name)], strict=True)
        )
        for name, rates in found.items()
    }


def table(result: dict[str, t.Any]) -> str:
    lines = [
        "| way | writers | MB/s | ratio | slowest / fastest writer |",
        "| --- | --: | --: | --: | --: |",
    ]
    for name, row in result["one"].items():
        versus = f" of {BASES[name]}" if name in BASES else ""
        lines.append(f"| {name} | 1 | {row['rate']:.0f} | {row['ratio']:.2f}{versus} | |")
    for name, row in result["many"].items():
        lines.append(
            f"| {name} | {result['writers']} | {row['rate']:.0f} | {row['ratio']:.2f} | {row['fairness']:.2f} |"
        )
    lines.append(f"\nReceiver: {result['memory']:.1f} MiB of memory at most (VmHWM).")
    return "\n".join(lines) + "\n"


def measure(folder: Path, options: argparse.Namespace) -> dict[str, t.Any]:
    streams = {True: folder / "flattened", False: folder / "plain"}
    for flattened, path in streams.items():
        make_stream(path, options.size * MIB, flattened)
    small = folder / "small"
    make_stream(small, options.small * MIB, True)
    server = Server(folder, options.writers)
    try:
        memory = Memory(server.config)
        try:
            one = one_writer(server, streams, options.rounds)
            many = many_writers(server, small, options.rounds, options.writers)
        finally:
            highest = memory.end()
    finally:
        server.stop()
    compared = ratios(one)
    rates = {name: [row.rate for row in rows] for name, rows in many.items()}
    together = ratios(rates)
    version = subprocess.run(["ssh", "-V"], stderr=subprocess.PIPE, check=True).stderr.decode()
    return {
        "size": options.size, "small": options.small, "rounds": options.rounds, "writers": options.writers,
        "ssh": version.strip(), "cpus": os.cpu_count(), "kernel": platform.release(), "memory": highest / 1024,
        "one": {
            name: {"rate": statistics.median(rows), "ratio": compared[name], "rounds": [round(row, 1) for row in rows]}
            for name, rows in one.items()
        },
        "many": {
            name: {
                "rate": statistics.median(rates[name]), "ratio": together[name],
                "fairness": statistics.median(row.fairness for row in rows),
                "rounds": [[round(row.rate, 1), round(row.fairness, 3)] for row in rows],
            }
            for name, rows in many.items()
        },
    }  # fmt: skip


def good(result: dict[str, t.Any]) -> bool:
    own = [*result["one"].items(), *result["many"].items()]
    return result["memory"] < MEMORY_BAR and all(
        row["ratio"] >= BAR for name, row in own if name.startswith("receiver, f")
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--size", type=int, default=1024, help="MiB of the dump that one writer sends"
    )
    parser.add_argument("--small", type=int, default=96, help="MiB that each of the many sends")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--writers", type=int, default=16)
    parser.add_argument(
        "--folder", type=Path, help="where the dumps go; a folder for temporary files otherwise"
    )
    options = parser.parse_args()
    if os.getuid() != 0:
        raise SystemExit("make bench-receiver needs root: it starts a sshd")
    folder = Path(tempfile.mkdtemp(prefix="kdump-bench-receiver-", dir=options.folder))
    try:
        result = measure(folder, options)
    finally:
        shutil.rmtree(folder)
    print(f"\n{table(result)}")
    defaults = {name: parser.get_default(name) for name in ("size", "small", "rounds", "writers")}
    if all(getattr(options, name) == value for name, value in defaults.items()):
        (ROOT / "benchmarks" / "receiver.json").write_text(json.dumps(result, indent=1) + "\n")
    return 0 if good(result) else 1


if __name__ == "__main__":
    sys.exit(main())
