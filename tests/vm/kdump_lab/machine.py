# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One QEMU process per machine, found again by its folder and ended by its own pid."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import typing as t
import zlib
from pathlib import Path

from . import common
from .image import Image

BOOT_TIMEOUT = 600  # seconds; 25 to 90 on an idle machine under emulation
# UEFI firmware of Debian's package ovmf: its code, and the variables that a new machine starts with.
FIRMWARE = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
VARIABLES = Path("/usr/share/OVMF/OVMF_VARS_4M.fd")
PROBE_TIMEOUT = (
    20  # seconds for a kernel's first line under KVM; it takes less than one where it works
)
# Five-level page tables cost emulation time and give a guest of this size nothing. With cmpxchg16b emulated, kernels of
# trixie died twice in their own boot, once in the allocator that uses it; without, none has in the runs since.
EMULATED_CPU = "max,la57=off,cx16=off"
START_ATTEMPTS = 5
NETWORK_PREFIX = "10.77.0"


class Spec(t.NamedTuple):
    """What a machine is made of."""

    name: str
    memory: int = 1536  # MiB
    cpus: int = 2
    disks: tuple[int, ...] = ()  # MiB each, besides the system's
    network: str = ""  # machines that name the same network reach each other on it
    address: str = ""  # on that network


class Machine:
    """A machine in its folder: ``disk.qcow2``, ``console.log``, ``machine.json``; ``variables.fd`` with UEFI."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def console(self) -> Path:
        return self.folder / "console.log"

    @property
    def state(self) -> dict[str, t.Any]:
        try:
            return t.cast(
                "dict[str, t.Any]", json.loads((self.folder / "machine.json").read_text())
            )
        except FileNotFoundError as exc:
            raise common.LabError(f"No machine {self.name!r} below {self.folder.parent}") from exc

    def running(self) -> bool:
        """Say whether the QEMU process that this folder started is still there, and is that very process."""
        state = self.state
        return state["pid"] > 0 and _start_time(state["pid"]) == state["start_time"]

    def ssh_options(self) -> list[str]:
        return [
            "-F", "none",
            "-o", f"UserKnownHostsFile={self.folder / 'known_hosts'}",
            "-o", "StrictHostKeyChecking=yes",
            "-o", "BatchMode=yes",
            "-o", "IdentitiesOnly=yes",
            # A guest that is reset says nothing to its connections; one that is busy may take its time.
            "-o", "ServerAliveInterval=15",
            "-o", "ServerAliveCountMax=8",
            "-i", str(common.keys().client),
        ]  # fmt: skip

    def ssh(
        self, *command: str, stdin: str = "", timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as root in the machine; words are joined by blanks, as ssh does.

        :param timeout: seconds.
        """
        argv = [
            "ssh",
            *self.ssh_options(),
            "-o",
            "ConnectTimeout=10",
            "-p",
            str(self.state["port"]),
        ]
        return subprocess.run(
            [*argv, "root@127.0.0.1", *command],
            input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=timeout, check=False,
        )  # fmt: skip

    def inventory_vars(self) -> dict[str, t.Any]:
        """Return the Ansible connection variables that reach this machine."""
        options = [
            word for word in self.ssh_options() if word not in ("-i", str(common.keys().client))
        ]
        return {
            "ansible_host": "127.0.0.1",
            "ansible_port": self.state["port"],
            "ansible_user": "root",
            # An emulated guest on a busy machine takes its time to say hello.
            "ansible_timeout": 60,
            "ansible_ssh_private_key_file": str(common.keys().client),
            "ansible_ssh_common_args": " ".join(options),
            "ansible_python_interpreter": "/usr/bin/python3",
        }

    def wait_for_ssh(self, timeout: float = BOOT_TIMEOUT) -> None:
        """Wait until the machine takes commands.

        :param timeout: seconds.
        :raises LabError: it does not, or QEMU ended; the message has the end of the console.
        """
        deadline = time.monotonic() + timeout
        said = ""
        while time.monotonic() < deadline:
            if not self.running():
                raise common.LabError(f"QEMU of {self.name} ended: {self.failure()}")
            try:
                done = self.ssh("true", timeout=30)
                if done.returncode == 0:
                    return
                said = done.stdout.strip()
            except subprocess.TimeoutExpired:
                said = "no answer within 30 s"
            time.sleep(2)
        raise common.LabError(
            f"{self.name} took no SSH connection within {timeout:.0f} s (last: {said}): {self.failure()}"
        )

    def failure(self) -> str:
        """Return what there is to see when something failed, and keep the whole console."""
        kept = common.cache_dir() / "consoles" / f"{self.name}-{time.strftime('%Y%m%d-%H%M%S')}.log"
        if self.console.exists():
            kept.parent.mkdir(exist_ok=True)
            shutil.copyfile(self.console, kept)
        return (
            f"\n--- QEMU\n{common.tail(self.folder / 'qemu.log', 10)}"
            f"\n--- serial console, its end; all of it is kept in {kept}\n{common.tail(self.console, 40)}"
        )

    def stop(self) -> None:
        """End the QEMU process, by its own pid and only if it is still the process that we started."""
        if not self.running():
            return
        pid = self.state["pid"]
        os.kill(pid, signal.SIGTERM)
        for _attempt in range(50):
            if not self.running():
                return
            time.sleep(0.1)
        os.kill(pid, signal.SIGKILL)

    def remove(self) -> None:
        """Stop the machine and delete its folder."""
        if (self.folder / "machine.json").exists():
            self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def create(spec: Spec, image: Image, folder: Path) -> Machine:
    """Start a machine in a new folder and wait until it takes commands; nothing is left if it does not.

    :raises LabError: the folder is taken, QEMU did not start or the guest did not come up.
    """
    common.need("qemu-system-x86_64", "qemu-img", "ssh")
    machine = Machine(folder)
    try:
        folder.mkdir(mode=0o700, parents=True)
    except FileExistsError as exc:
        raise common.LabError(
            f"A machine {spec.name!r} exists already in {folder}; remove it first"
        ) from exc
    try:
        with common.step(
            f"booting {spec.name} ({image.suite}, {image.boot}, {spec.memory} MiB, {accelerator(image)})"
        ):
            _start(machine, spec, image)
            machine.wait_for_ssh()
            _settle(machine, spec)
    except BaseException:
        # The console goes into the error's text before the folder goes.
        machine.remove()
        raise
    return machine


def overlay(machine: Machine, base: Path, form: str) -> Path:
    """Make the machine's own disk over a base that stays as it is.

    :param form: the base's format, raw or qcow2.
    """
    disk = machine.folder / "disk.qcow2"
    command = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", form, "-b", str(base), str(disk)]
    common.run(command)
    return disk


def launch(
    machine: Machine, argv: t.Sequence[str], port: int, notes: t.Mapping[str, t.Any]
) -> subprocess.Popen[bytes]:
    """Start QEMU, and note what is needed to find the machine again: its process, its port, its host key.

    :param port: of this computer, that leads to the machine's ssh.
    """
    folder = machine.folder
    with (folder / "qemu.log").open("ab") as log:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    found = {**notes, "pid": process.pid, "start_time": _start_time(process.pid), "port": port}
    (folder / "machine.json").write_text(json.dumps(found))
    host_key = " ".join(common.keys().public(common.keys().host).split()[:2])
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}\n")
    return process


def _start(machine: Machine, spec: Spec, image: Image) -> None:
    folder = machine.folder
    disks = [overlay(machine, image.disk, "raw")]
    for number, size in enumerate(spec.disks):
        disks.append(folder / f"data{number}.qcow2")
        common.run(["qemu-img", "create", "-q", "-f", "qcow2", str(disks[-1]), f"{size}M"])
    variables = None
    if image.boot != "bios":
        if not FIRMWARE.exists():
            raise common.LabError(
                f"{FIRMWARE} is not there; run 'make prerequisites' as root to install what the lab needs."
            )
        variables = folder / "variables.fd"
        shutil.copyfile(VARIABLES, variables)
    # The port is free now and may be taken a moment later by another run: QEMU says so, and we try again.
    for _attempt in range(START_ATTEMPTS):
        port = free_port()
        argv = _argv(machine, spec, disks, port, accelerator(image), variables)
        process = launch(
            machine,
            argv,
            port,
            {"name": spec.name, "suite": image.suite, "boot": image.boot, "argv": argv},
        )
        time.sleep(1)
        if process.poll() is None:
            return
    raise common.LabError(f"QEMU did not start in {START_ATTEMPTS} attempts: {machine.failure()}")


def _argv(
    machine: Machine,
    spec: Spec,
    disks: list[Path],
    port: int,
    accel: str,
    variables: Path | None = None,
) -> list[str]:
    """Return QEMU's command line.

    :param variables: the machine's own file of UEFI variables; None boots by BIOS.
    """
    argv = [
        "qemu-system-x86_64",
        "-name", spec.name,
        "-machine", "q35",
        *(["-accel", "kvm", "-cpu", "host"] if accel == "kvm" else
          ["-accel", "tcg,thread=multi", "-cpu", EMULATED_CPU]),
        "-smp", str(spec.cpus),
        "-m", str(spec.memory),
        "-display", "none", "-nodefaults", "-no-user-config",
        "-chardev", f"file,id=console,path={machine.console},append=on", "-serial", "chardev:console",
        "-netdev", f"user,id=user0,hostname={spec.name},hostfwd=tcp:127.0.0.1:{port}-:22",
        "-device", f"virtio-net-pci,netdev=user0,mac={mac(spec.name, 0)}",
        "-device", "virtio-rng-pci",
    ]  # fmt: skip
    if variables:
        argv += [
            "-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={FIRMWARE}",
            "-drive", f"if=pflash,format=raw,unit=1,file={variables}",
        ]  # fmt: skip
    for number, disk in enumerate(disks):
        argv += [
            "-drive", f"file={disk},format=qcow2,if=none,id=disk{number},discard=unmap,cache=unsafe",
            # The firmware starts from the first disk, without a look at the network.
            "-device", f"virtio-blk-pci,drive=disk{number},bootindex={number}",
        ]  # fmt: skip
    if spec.network:
        # A multicast group that never leaves the loopback: any number of machines, no privileges.
        argv += [
            "-netdev", f"socket,id=lan0,mcast=239.77.0.1:{network_port(spec.network)},localaddr=127.0.0.1",
            "-device", f"virtio-net-pci,netdev=lan0,mac={mac(spec.name, 1)}",
        ]  # fmt: skip
    return argv


def _settle(machine: Machine, spec: Spec) -> None:
    """Give the machine its name and its address on the shared network; on disk, to survive a crash."""
    files = {"/etc/hostname": f"{spec.name}\n"}
    if spec.network:
        files["/etc/systemd/network/20-lan.network"] = (
            f"[Match]\nMACAddress={mac(spec.name, 1)}\n[Network]\nAddress={spec.address}/24\n"
        )
    for path, text in files.items():
        done = machine.ssh("cat", ">", path, stdin=text)
        if done.returncode != 0:
            raise common.LabError(f"{path} could not be written in {machine.name}: {done.stdout}")
    # Synced, because a crash that follows soon would lose them.
    machine.ssh(f"hostname {spec.name} && networkctl reload && sync")


def mac(name: str, card: int) -> str:
    """Return a locally administered address that depends on the machine's name alone."""
    digest = zlib.crc32(f"{name}/{card}".encode())
    return f"52:54:{digest >> 24:02x}:{digest >> 16 & 255:02x}:{digest >> 8 & 255:02x}:{digest & 255:02x}"


def network_port(network: str) -> int:
    """Return the UDP port of a network's multicast group; names include the run, so runs do not meet."""
    return 20000 + zlib.crc32(network.encode()) % 20000


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _start_time(pid: int) -> str:
    """Return when a process began, in the kernel's ticks, or '' if there is none: pids are reused."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return "" if fields[0] == "Z" else fields[19]


def accelerator(image: Image) -> str:
    """Return 'kvm' where a guest kernel was seen to come up under it, else 'tcg'; KDUMP_LAB_ACCEL decides.

    A machine can have /dev/kvm, open it, and still hang at the kernel's first instruction, so only a
    kernel's own first line on the console counts. The answer holds until this computer boots again.
    """
    chosen = os.environ.get("KDUMP_LAB_ACCEL", "")
    if chosen in ("tcg", "kvm"):
        return chosen
    if chosen:
        raise common.LabError(f"KDUMP_LAB_ACCEL={chosen}: it takes 'tcg' or 'kvm'")
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "tcg"
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    answer = common.cache_dir() / "accelerator.json"
    with common.locked(common.cache_dir() / "accelerator.lock", "another run probes KVM"):
        try:
            known = json.loads(answer.read_text())
        except (FileNotFoundError, ValueError):
            known = {}
        if known.get("boot_id") != boot_id:
            with common.step("probing whether a kernel boots under KVM"):
                known = {"boot_id": boot_id, "accelerator": "kvm" if _kvm_boots(image) else "tcg"}
            answer.write_text(json.dumps(known))
    common.say(f"[lab] accelerator: {known['accelerator']}")
    return str(known["accelerator"])


def _kvm_boots(image: Image) -> bool:
    process = subprocess.Popen(
        [
            "qemu-system-x86_64", "-accel", "kvm", "-cpu", "host", "-m", "512",
            "-display", "none", "-nodefaults", "-no-user-config", "-no-reboot",
            "-serial", "stdio", "-kernel", str(image.kernel),
            "-append", "console=ttyS0 earlyprintk=serial panic=-1",
        ],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    seen = b""
    deadline = time.monotonic() + PROBE_TIMEOUT
    try:
        while time.monotonic() < deadline and process.poll() is None:
            seen += process.stdout.read() or b""
            # The panic for want of a root file system is the proof that the kernel ran to its end.
            if b"Kernel panic" in seen:
                return True
            time.sleep(0.2)
        return b"Kernel panic" in seen + (process.stdout.read() or b"")
    finally:
        process.kill()
        process.wait()
