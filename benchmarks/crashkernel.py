# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""make bench-crashkernel: the distribution's default, `auto` and the smallest reservation that captures, side by side.

Each figure is a virtual machine that crashed. A suite is prepared once, by the role itself; each trial then boots an
overlay of that disk with another amount of RAM and another crashkernel=, crashes it, and reads the dump off the disk.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import typing as t
from pathlib import Path

from kdump_lab import common, image, machine

from ansible_collections.kdump.fleet.plugins.module_utils import capture, sizing, vmcore
from ansible_collections.kdump.fleet.plugins.module_utils.crashkernel import parse_crashkernel

ROOT = Path(__file__).resolve().parents[1]
STEP = 16  # MiB
SUITES = ("bookworm", "trixie", "forky")
MEMORIES = (1024, 2048, 4096, 8192)  # MiB
FLOOR = 48  # MiB; no distribution's kernel unpacks itself in less
BAR = 1.5  # auto may be at most so many times the smallest size that captures
HOSTS = 1000
OBSERVED_WITH = 2048  # MiB of RAM
BEGIN, END = "<!-- table -->\n", "<!-- end of table -->"
BOOT_TIMEOUT = 1200  # seconds, for a machine that is three times slower than this one was
CAPTURE_TIMEOUT = 1800  # seconds
# What the console shows once a capture can only fail; waiting for more would be waiting for nothing.
LOST = (
    r"makedumpfile failed",
    r"System is deadlocked on memory",
    r"Initramfs unpacking failed",
    r"\(initramfs\)",
    r"Kernel panic - not syncing: (?!sysrq triggered)",
    r"You are in emergency mode",
)


class Prepared(t.NamedTuple):
    """A suite's disk with kdump set up on it, what boots it, and what kdump_info said of it."""

    suite: str
    folder: Path

    @property
    def facts(self) -> dict[str, t.Any]:
        return t.cast("dict[str, t.Any]", json.loads((self.folder / "facts.json").read_text()))


class Trial(t.NamedTuple):
    """One crash."""

    suite: str
    memory: int  # MiB of RAM
    size: int  # MiB reserved
    captured: bool
    reason: str  # why not
    seconds: int
    used: int | None  # bytes, by the note of the capture kernel
    dump: int | None  # bytes
    kernel: str


def prepare(suite: str) -> Prepared:
    """Have the role set kdump up on a new machine, once for each image and state of the role.

    :raises LabError: it failed.
    """
    base = image.ensure(suite)
    digest = hashlib.sha256(f"{base.folder.name} {capture.SCRIPT_TEXT}".encode()).hexdigest()[:12]
    result = Prepared(suite, common.cache_dir() / "bench" / f"{suite}-{digest}")
    result.folder.parent.mkdir(exist_ok=True)
    if result.folder.exists():
        return result
    work = Path(tempfile.mkdtemp(prefix=f".{suite}-", dir=result.folder.parent))
    host = machine.create(machine.Spec(f"bench-{suite}", memory=1536), base, work / "machine")
    try:
        inventory = work / "inventory.json"
        inventory.write_text(json.dumps({"all": {"hosts": {host.name: host.inventory_vars()}}}))
        with common.step(f"setting kdump up on {host.name}", every=60):
            common.run(
                ["ansible-playbook", "-i", str(inventory), "site.yml", "-e", "kdump_crashkernel=256M"],
                log=work / "role.log", cwd=ROOT,
            )  # fmt: skip
            common.run(
                ["ansible", "-i", str(inventory), "all", "-m", "kdump.fleet.kdump_info", "--tree", str(work / "tree")],
                log=work / "facts.log", cwd=ROOT,
            )  # fmt: skip
        (work / "facts.json").write_text((work / "tree" / host.name).read_text())
        kernel = json.loads((work / "facts.json").read_text())["kernel"]["release"]
        for name in ("vmlinuz", "initrd.img"):
            path = f"/boot/{name}-{kernel}"
            with (work / name).open("wb") as handle:
                argv = [
                    "ssh",
                    *host.ssh_options(),
                    "-p",
                    str(host.state["port"]),
                    "root@127.0.0.1",
                    "cat",
                    path,
                ]
                subprocess.run(argv, stdout=handle, check=True, timeout=600)  # fmt: skip
        host.ssh("systemctl poweroff")
        deadline = time.monotonic() + 600
        while host.running() and time.monotonic() < deadline:
            time.sleep(1)
        if host.running():
            raise common.LabError(f"{host.name} did not power off: {host.failure()}")
        shutil.move(str(work / "machine" / "disk.qcow2"), str(work / "disk.qcow2"))
        host.remove()
        work.rename(result.folder)
    except BaseException:
        host.remove()
        raise
    return result


def trial(prepared: Prepared, memory: int, size: int) -> Trial:
    """Boot, crash, and look for the dump.

    :param memory: MiB of RAM.
    :param size: MiB to reserve.
    :raises LabError: the machine itself did not come up, so that nothing was measured.
    """
    folder = Path(tempfile.mkdtemp(prefix="kdump-bench-"))
    kernel = prepared.facts["kernel"]["release"]
    begin = time.monotonic()
    host = machine.Machine(folder)
    try:
        _start(host, prepared, memory, size)
        host.wait_for_ssh(BOOT_TIMEOUT)
        _wait_until_armed(host)
        host.ssh(
            "sync; echo 1 > /proc/sys/kernel/sysrq; (sleep 1; echo c > /proc/sysrq-trigger) > /dev/null 2>&1 &"
        )
        reason = _wait_for_the_end(host)
        host.stop()
        dump, used = _read_disk(host, folder)
        if dump is None and not reason:
            reason = "no complete dump on the disk"
        if reason:
            kept = common.cache_dir() / "consoles" / f"bench-{prepared.suite}-{memory}-{size}.log"
            kept.parent.mkdir(exist_ok=True)
            shutil.copyfile(host.console, kept)
        seconds = round(time.monotonic() - begin)
        return Trial(prepared.suite, memory, size, not reason, reason, seconds, used, dump, kernel)
    finally:
        host.remove()


def _start(host: machine.Machine, prepared: Prepared, memory: int, size: int) -> None:
    disk = machine.overlay(host, prepared.folder / "disk.qcow2", "qcow2")
    port = machine.free_port()
    words = f"root=UUID={image.ROOT_UUID} ro console=ttyS0,115200 panic=5 crashkernel={size}M"
    argv = [
        "qemu-system-x86_64", "-machine", "q35", "-accel", "tcg,thread=multi",
        "-cpu", machine.EMULATED_CPU,
        "-smp", "2", "-m", str(memory), "-display", "none", "-nodefaults", "-no-user-config",
        # The capture's reboot is the end of the trial.
        "-no-reboot",
        "-chardev", f"file,id=console,path={host.console}", "-serial", "chardev:console",
        "-netdev", f"user,id=user0,hostfwd=tcp:127.0.0.1:{port}-:22",
        "-device", "virtio-net-pci,netdev=user0", "-device", "virtio-rng-pci",
        "-drive", f"file={disk},format=qcow2,if=none,id=disk0,cache=unsafe",
        "-device", "virtio-blk-pci,drive=disk0",
        "-kernel", str(prepared.folder / "vmlinuz"), "-initrd", str(prepared.folder / "initrd.img"),
        "-append", words,
    ]  # fmt: skip
    machine.launch(host, argv, port, {})


def _wait_until_armed(host: machine.Machine) -> None:
    deadline = time.monotonic() + BOOT_TIMEOUT
    while time.monotonic() < deadline:
        said = host.ssh(
            "cat /sys/kernel/kexec_crash_loaded; systemctl is-active basic.target"
        ).stdout.split()
        if said[:1] == ["1"]:
            return
        time.sleep(2)
    raise common.LabError(f"no capture kernel was loaded: {host.failure()}")


def _wait_for_the_end(host: machine.Machine) -> str:
    """Wait until the machine has gone down after its crash; return why there will be no dump, or ''.

    :raises LabError: it ended in another way, or not at all, so that nothing was measured.
    """
    deadline = time.monotonic() + CAPTURE_TIMEOUT
    while True:
        running = host.running()
        text = host.console.read_text(errors="replace")
        _before, _mark, after = text.partition("sysrq: Trigger a crash")
        for pattern in LOST:
            found = re.search(pattern, after)
            if found:
                return found.group()
        if not running:
            break
        if time.monotonic() > deadline:
            raise common.LabError(f"no end after {CAPTURE_TIMEOUT} s: {host.failure()}")
        time.sleep(1)
    if "reboot: " not in after:
        raise common.LabError(f"the machine ended without the capture's reboot: {host.failure()}")
    return ""


def _read_disk(host: machine.Machine, folder: Path) -> tuple[int | None, int | None]:
    """Return the size of a complete dump on the machine's disk, and what its capture kernel used, in bytes."""
    raw = folder / "disk.raw"
    common.run(["qemu-img", "convert", "-O", "raw", str(folder / "disk.qcow2"), str(raw)])
    device = f"{raw}?offset={image.PARTITION_OFFSET}"
    env = {**os.environ, "PATH": common.search_path()}
    # The journal holds what the last seconds wrote; 1 says that something was repaired.
    subprocess.run(["e2fsck", "-p", device], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)  # fmt: skip
    out = folder / "out"
    out.mkdir()
    for path in ("/var/crash", capture.RECORD):
        subprocess.run(
            ["debugfs", "-R", f"rdump {path} {out}", device], env=env,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    raw.unlink()
    record = out / Path(capture.RECORD).name
    note = capture.parse_record(record.read_text()) if record.exists() else None
    size = None
    for core in out.glob("crash/*/dump.[0-9]*"):
        try:
            vmcore.inspect(str(core))
        except vmcore.VmcoreError:
            continue
        size = core.stat().st_size
    return size, note.used if note else None


class Book:
    """What was measured, on disk after each trial: an interrupted run goes on where it was."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = threading.Lock()
        self.trials = (
            [Trial(**row) for row in json.loads(path.read_text())] if path.exists() else []
        )

    def find(self, prepared: Prepared, memory: int, size: int) -> Trial | None:
        kernel = prepared.facts["kernel"]["release"]
        for found in self.trials:
            if found[:3] == (prepared.suite, memory, size) and found.kernel == kernel:
                return found
        return None

    def captures(self, prepared: Prepared, memory: int, size: int) -> bool:
        found = self.find(prepared, memory, size)
        if found is None:
            found = trial(prepared, memory, size)
            with self.lock:
                self.trials.append(found)
                self.path.write_text(
                    json.dumps([row._asdict() for row in self.trials], indent=1) + "\n"
                )
            used = f", {found.used >> 20} MiB used" if found.used else ""
            common.say(
                f"[bench] {found.suite} {memory} MiB, crashkernel={size}M: "
                f"{'captured' if found.captured else 'FAILED: ' + found.reason}{used} ({found.seconds} s)"
            )
        return found.captured

    def smallest(self, prepared: Prepared, memory: int) -> int:
        """Find by bisection the smallest size in steps that captures, beginning where a neighbour's was."""
        near = [
            row.size
            for row in self.trials
            if row.suite == prepared.suite and row.captured and row.size % STEP == 0
        ]
        high = min(near, default=128)
        width = STEP
        while not self.captures(prepared, memory, high):
            low = high
            high, width = high + width, width * 2
        if "low" not in locals():
            width, low = STEP, high - STEP
            while low > FLOOR and self.captures(prepared, memory, low):
                high, low, width = low, low - width * 2, width * 2
            low = max(low, FLOOR)
        while high - low > STEP:
            middle = (low + high) // 2 // STEP * STEP
            if self.captures(prepared, memory, middle):
                high = middle
            else:
                low = middle
        return high


class Cell(t.NamedTuple):
    """One line of the table; sizes in MiB."""

    suite: str
    kernel: str
    memory: int
    distro: int
    auto: int
    smallest: int
    captured: bool  # with auto
    distro_fails: bool

    @property
    def ratio(self) -> float:
        return self.auto / self.smallest

    @property
    def good(self) -> bool:
        return (
            self.captured and self.ratio <= BAR and (self.auto <= self.distro or self.distro_fails)
        )


def observe(prepared: Prepared) -> dict[str, t.Any]:
    """Boot the prepared disk once, and return what kdump_info of this checkout says of it.

    :raises LabError: it failed.
    """
    folder = Path(tempfile.mkdtemp(prefix="kdump-bench-"))
    host = machine.Machine(folder)
    try:
        with common.step(f"observing {prepared.suite}", every=60):
            _start(host, prepared, OBSERVED_WITH, 256)
            host.wait_for_ssh(BOOT_TIMEOUT)
            _wait_until_armed(host)
            inventory = folder / "inventory.json"
            inventory.write_text(json.dumps({"all": {"hosts": {"host": host.inventory_vars()}}}))
            common.run(
                ["ansible", "-i", str(inventory), "all", "-m", "kdump.fleet.kdump_info", "--tree", str(folder / "tree")],
                log=folder / "facts.log", cwd=ROOT,
            )  # fmt: skip
        return t.cast("dict[str, t.Any]", json.loads((folder / "tree" / "host").read_text()))
    finally:
        host.remove()


def with_memory(facts: dict[str, t.Any], memory: int) -> dict[str, t.Any]:
    """Return an observation as it would be with another amount of RAM; nothing else depends on it.

    :param memory: MiB.
    """
    total = facts["memory"]["total"] + (memory - OBSERVED_WITH) * sizing.MIB
    return {**facts, "memory": {**facts["memory"], "total": total}}


def distro_size(facts: dict[str, t.Any]) -> int:
    """Return what the distribution's default reserves, in MiB."""
    value = sizing.distro_value(facts)
    return parse_crashkernel(f"crashkernel={value}", facts["memory"]["total"]).size // sizing.MIB


def measure(book: Book, prepared: Prepared, facts: dict[str, t.Any], memory: int) -> Cell:
    own = with_memory(facts, memory)
    smallest = book.smallest(prepared, memory)
    auto = sizing.auto(own)["size"] // sizing.MIB
    distro = distro_size(own)
    captured = book.captures(prepared, memory, auto)
    distro_fails = auto > distro and not book.captures(prepared, memory, distro)
    cell = Cell(prepared.suite, facts["kernel"]["release"], memory, distro, auto, smallest, captured, distro_fails)  # fmt: skip
    common.say(
        f"[bench] {cell.suite} {memory} MiB: distro {distro}, auto {auto}, smallest {smallest}, ratio {cell.ratio:.2f}"
        f"{'' if cell.good else ' - NOT GOOD'}"
    )
    return cell


def table(cells: t.Sequence[Cell]) -> str:
    lines = [
        "| suite | kernel | RAM | distro | auto | smallest | auto / smallest | auto captures | 1,000 hosts save |",
        "| --- | --- | --: | --: | --: | --: | --: | --- | --: |",
    ]
    for cell in cells:
        saved = (cell.distro - cell.auto) * HOSTS / 1024
        lines.append(
            f"| {cell.suite} | {cell.kernel} | {cell.memory // 1024} GiB | {cell.distro} MiB | {cell.auto} MiB "
            f"| {cell.smallest} MiB | {cell.ratio:.2f} | {'yes' if cell.captured else 'NO'} | {saved:.0f} GiB |"
        )
    return "\n".join(lines) + "\n"


def plot(cells: t.Sequence[Cell]) -> str:
    """Return the table as a bar chart (SVG), which needs no library."""
    colours = {"distro": "#9aa5b1", "auto": "#2f7ed8", "smallest": "#3fa34d"}
    left, thick, gap, scale = 130, 12, 14, 2.0
    rows = []
    top = 40
    for cell in cells:
        rows.append(f'<text x="8" y="{top + 22}">{cell.suite}, {cell.memory // 1024} GiB</text>')
        for name, colour in colours.items():
            size = getattr(cell, name)
            rows.append(
                f'<rect x="{left}" y="{top}" width="{size * scale:.0f}" height="{thick - 2}" fill="{colour}"/>'
                f'<text x="{left + size * scale + 4:.0f}" y="{top + 9}" font-size="10">{size}</text>'
            )
            top += thick
        top += gap
    legend = "".join(
        f'<rect x="{left + index * 110}" y="12" width="10" height="10" fill="{colour}"/>'
        f'<text x="{left + 14 + index * 110}" y="21">{name}</text>'
        for index, (name, colour) in enumerate(colours.items())
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="640" height="{top}" font-family="sans-serif" font-size="12">\n'
        "<title>MiB reserved for the capture kernel: the distribution's default, auto, and the smallest that captures</title>\n"
        '<rect width="100%" height="100%" fill="white"/>\n'
        f"{legend}\n" + "\n".join(rows) + "\n</svg>\n"
    )


def write(cells: t.Sequence[Cell], trials: t.Sequence[Trial]) -> None:
    """Put the table and the plot into docs/, and every single crash beside this file."""
    page = ROOT / "docs" / "crashkernel-sizes.md"
    text = page.read_text()
    begin, end = text.index(BEGIN) + len(BEGIN), text.index(END)
    page.write_text(f"{text[:begin]}\n{table(cells)}{text[end:]}")
    (ROOT / "docs" / "crashkernel-sizes.svg").write_text(plot(cells))
    rows = sorted(trials, key=lambda row: (row.suite, row.memory, row.size))
    lines = ",\n".join(json.dumps(row._asdict()) for row in rows)
    (ROOT / "benchmarks" / "crashkernel.json").write_text(f"[\n{lines}\n]\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suites", nargs="+", default=list(SUITES), choices=SUITES)
    parser.add_argument("--memories", nargs="+", type=int, default=list(MEMORIES), help="MiB")
    parser.add_argument("--jobs", type=int, default=2, help="machines at a time")
    parser.add_argument(
        "--book", type=Path, default=ROOT / ".cache" / "bench-crashkernel.json",
        help="what was measured so far; an interrupted run goes on from it",
    )  # fmt: skip
    options = parser.parse_args()
    options.book.parent.mkdir(exist_ok=True)
    book = Book(options.book)
    common.need("qemu-system-x86_64", "debugfs")
    cells = [(suite, memory) for suite in options.suites for memory in options.memories]
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        prepared = dict(zip(options.suites, pool.map(prepare, options.suites)))
        facts = dict(zip(options.suites, pool.map(observe, prepared.values())))
        jobs = [pool.submit(measure, book, prepared[suite], facts[suite], memory) for suite, memory in cells]  # fmt: skip
        # The first failure ends the run at once; what was measured is kept.
        done, _left = concurrent.futures.wait(jobs, return_when=concurrent.futures.FIRST_EXCEPTION)
        if any(job.exception() for job in done):
            pool.shutdown(cancel_futures=True)
    found = [job.result() for job in jobs]
    print(f"\n{table(found)}")
    if options.suites == list(SUITES) and options.memories == list(MEMORIES):
        write(found, book.trials)
    return 0 if all(cell.good for cell in found) else 1


if __name__ == "__main__":
    sys.exit(main())
