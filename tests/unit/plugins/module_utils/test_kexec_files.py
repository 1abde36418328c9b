# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The scripts of the tooling kexec, run by every sh that is here, in a folder, with programs that only take notes."""

import os
import re
import shutil
import subprocess
import time
import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.tooling import kexec_files
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.kexec import images
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost

SHELLS = [
    [path, *more]
    for path, *more in (
        [shutil.which(name) or "", *more]
        for name, *more in (["sh"], ["dash"], ["bash", "--posix"], ["busybox", "sh"])
    )
    if path
]
# The real ones behind programs of the sandbox, and for its hooks.
DATE, MKDIR, SLEEP, TIMEOUT = (shutil.which(name) or "" for name in ("date", "mkdir", "sleep", "timeout"))  # fmt: skip
BUSYBOX = shutil.which("busybox")
TIMEOUTS = [TIMEOUT, *([f"{BUSYBOX} timeout"] if BUSYBOX else [])]
NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="gives a folder to another user")
KERNEL = "6.1.0-9-test"
CMDLINE = (
    "BOOT_IMAGE=/vmlinuz root=/dev/vda1 ro quiet crashkernel=256M hugepages=64 oops=panic "
    "console=ttyS0 pattern=* panic=30 systemd.unit=rescue.target\n"
)
OURS = kexec_files.ARGUMENTS + " systemd.unit=kdump-fleet-save.service"
# What a program does besides noting its arguments.
PROGRAMS = {
    "uname": 'if [ "$1" = -m ]; then cat "@/machine"; else echo ' + KERNEL + "; fi",
    "kexec": 'if [ -e "@/kexec-refuses" ] && grep -qxe "$1" "@/kexec-refuses"; then exit 1; fi',
    "makedumpfile": 'if [ "$1" != --dump-dmesg ] && [ -e "@/fails" ]; then echo why; exit 1; fi\n'
    'for file; do :; done; echo dump > "$file"',
    "vmcore-dmesg": "echo log",
    "mountpoint": 'grep -qxe "$2" "@/mounted"',
    "mount": 'if [ "$1" = -o ]; then rm -f "@/read-only"; exit; fi\n'
    'if [ "$1" = /gone ]; then exit 1; fi; echo "$1" >> "@/mounted"; [ ! -e "@/mounted-already" ]',
    "df": 'echo "Filesystem blocks used free use% on"; echo "/dev/x 9 9 $(cat "@/free") 9% /a b"',
    "date": f'if [ -e "@/date" ]; then cat "@/date"; else exec {DATE} "$@"; fi',
    "mkdir": 'if [ -e "@/read-only" ] && { [ "$1" != -p ] || [ ! -d "$2" ]; }; then exit 1; fi\n'
    f'exec {MKDIR} "$@"',
    "timeout": f'exec {TIMEOUT} "$@"',
    "dmesg": "cat @/dev/kmsg",
    "modprobe": "",
    "sulogin": "",
    "sync": "",
    "sleep": "exit 1",
    "systemctl": "",
}


class Sandbox:
    """A folder in which a script finds everything that it names."""

    def __init__(self, root: str, shell: t.List[str]) -> None:
        self.root = root
        self.shell = shell
        for name, text in PROGRAMS.items():
            note = f'echo "{name} $*" >> "{root}/notes"\n'
            self.put(
                f"/programs/{name}", "#!/bin/sh\n" + note + text.replace("@/", root + "/"), 0o755
            )
        self.put("/machine", "x86_64\n")
        self.put("/mounted", "/\n")
        self.put("/free", "1000000\n")
        self.put("/dev/kmsg", "")
        self.put("/dev/console", "")
        self.put("/notes", "")
        self.put("/proc/cmdline", CMDLINE)
        self.put("/proc/vmcore", "core")
        self.put("/sys/kernel/kexec_crash_size", "268435456\n")
        self.put("/etc/fstab", "# <what> / </where>\n\n/dev/vda1 / ext4 defaults 0 1\n/swap none swap sw 0 0\n")  # fmt: skip
        self.put(f"{kexec_files.UNITS}/{kexec_files.SAVE_UNIT}", "")
        self.put(f"/boot/vmlinuz-{KERNEL}", "kernel")
        self.put(f"/boot/initrd.img-{KERNEL}", "initrd")
        self.put("/etc/kdump-fleet/note-capture-memory", "")
        self.put("/run/x", "")
        self.conf("")

    def put(self, path: str, text: str, mode: int = 0o644) -> None:
        os.makedirs(os.path.dirname(self.root + path), exist_ok=True)
        with open(self.root + path, "w", encoding="utf-8") as handle:
            handle.write(text)
        os.chmod(self.root + path, mode)

    def read(self, path: str) -> str:
        with open(self.root + path, encoding="utf-8") as handle:
            return handle.read()

    def conf(self, text: str) -> None:
        self.put(kexec_files.CONF, f'DUMP_PATH="{self.root}/crash"\n' + text)

    def run(self, text: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run a script with the paths that it names below this folder."""
        names = r"(?<![\w$}/])/(?=(?:etc|proc|sys|run|boot|efi|usr|dev/kmsg|dev/console)\b)"
        script = self.root + "/script"
        # busybox takes its own programs before those of PATH, but not before functions.
        first = "".join(f'{name}() {{ command {self.root}/programs/{name} "$@"; }}\n' for name in PROGRAMS if name.isalpha())  # fmt: skip
        self.put("/script", first + re.sub(names, self.root + "/", text))
        environment = {"PATH": f"{self.root}/programs:/usr/bin:/bin"}
        return subprocess.run(
            [*self.shell, script, *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, universal_newlines=True, check=False, timeout=60,
        )  # fmt: skip

    def load(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return self.run(kexec_files.LOAD_TEXT.replace("/boot}", self.root + "/boot}"), *arguments)

    def save(self) -> "subprocess.CompletedProcess[str]":
        return self.run(kexec_files.SAVE_TEXT)

    def notes(self, program: str) -> t.List[str]:
        """Return the arguments of every call of a program, without this folder."""
        lines = self.read("/notes").replace(self.root, "").splitlines()
        return [line[len(program) + 1 :] for line in lines if line.startswith(program + " ")]

    def dumps(self) -> t.Dict[str, t.List[str]]:
        path = self.root + "/crash"
        names = os.listdir(path) if os.path.isdir(path) else []
        return {name: sorted(os.listdir(f"{path}/{name}")) for name in sorted(names)}


@pytest.fixture(params=SHELLS, ids=[os.path.basename(shell[0]) for shell in SHELLS])
def box(tmp_path: t.Any, request: t.Any) -> Sandbox:
    return Sandbox(str(tmp_path), request.param)


# kexec-load


def test_load(box: Sandbox) -> None:
    done = box.load()
    assert done.returncode == 0, done.stdout
    arguments = f"root=/dev/vda1 ro console=ttyS0 pattern=* irqpoll nr_cpus=1 reset_devices {OURS}"
    kernel, initrd = f"/boot/vmlinuz-{KERNEL}", f"/boot/initrd.img-{KERNEL}"
    assert box.notes("kexec") == [f"-s -p {kernel} --append={arguments} --initrd={initrd}"]
    assert box.read(kexec_files.STAMP).replace(box.root, "") == (
        f"kernel={kernel}\ninitrd={initrd}\narguments={arguments}\n"
    )


@pytest.mark.parametrize(
    "machine, own, options",
    [
        ("x86_64", "irqpoll nr_cpus=1 reset_devices", ""),
        ("i686", "irqpoll nr_cpus=1 reset_devices", ""),
        ("ppc64le", "maxcpus=1 irqpoll noirqdistrib reset_devices", ""),
        ("s390x", "nr_cpus=1", ""),
        ("armv7l", "maxcpus=1 reset_devices", " --dtb=/b.dtb --type=zImage"),
        ("aarch64", "nr_cpus=1 reset_devices", ""),
        ("riscv64", "nr_cpus=1 reset_devices", ""),
        ("mips64", "maxcpus=1 reset_devices", ""),
    ],
)
def test_load_by_architecture(box: Sandbox, machine: str, own: str, options: str) -> None:
    box.put("/machine", machine + "\n")
    box.conf('CAPTURE_INITRD="none"\nCAPTURE_DTB="/b.dtb"\n' if "dtb" in options else 'CAPTURE_INITRD="none"\n')  # fmt: skip
    assert box.load().returncode == 0
    assert box.notes("kexec")[0].endswith(f" pattern=* {own} {OURS}{options}")


def test_load_a_kernel_that_is_not_compressed(box: Sandbox) -> None:
    box.put("/usr/vmlinux", "kernel")
    box.conf(f'CAPTURE_KERNEL="{box.root}/usr/vmlinux"\nIMAGE_TYPE="elf-x86_64"\n')
    assert box.load().returncode == 0
    assert box.notes("kexec")[0].endswith(f"{OURS} --type=elf-x86_64 --args-linux")


LINES = [
    ('COMMANDLINE="root=/dev/vdb quiet"', f"root=/dev/vdb quiet irqpoll nr_cpus=1 reset_devices {OURS}"),
    (
        'COMMANDLINE_REMOVE="irqpoll console ro"',
        f"root=/dev/vda1 pattern=* nr_cpus=1 reset_devices {OURS}",
    ),
    (
        'COMMANDLINE_APPEND="nr_cpus=2 a=b"',
        "root=/dev/vda1 ro console=ttyS0 pattern=* irqpoll nr_cpus=1 reset_devices "
        f"{kexec_files.ARGUMENTS} nr_cpus=2 a=b systemd.unit=kdump-fleet-save.service",
    ),
]  # fmt: skip


@pytest.mark.parametrize("setting, expected", LINES)
def test_load_with_another_command_line(box: Sandbox, setting: str, expected: str) -> None:
    box.conf(setting + "\n")
    assert box.load().returncode == 0
    assert f" --append={expected} --initrd" in box.notes("kexec")[0]


# What is inherited of the running kernel's command line, '' for nothing.
INHERITED = [
    ("nr-cpus=8 log-buf-len=64M softlockup-panic=1 slub-debug=FZ systemd.unit=x sysctl.kernel.panic_on_warn=1", ""),
    ("mem=4G kernelcore=1G movablecore=1G sysctl.vm.nr_hugepages=64 sysctl/kernel/panic=1 swiotlb=65536", ""),
    ("init=/bin/sh rdinit=/bin/sh bootconfig kgdbwait", ""),
    ("init=/usr/lib/systemd/systemd initcall_debug members=1 x.mem=1", "all"),
    ("memmap=64K$0x18690000 memmap=1G!4G memmap=1M#2G memory=1", "all"),
    ("memmap=1G@4G memmap=exactmap memmap=3G memmap=64K$1M,1G@2G memmap=1M%1G-2+1", ""),
    ('dyndbg="module foo +p; module quiet +p" "b.c=d e" f"g', 'dyndbg="module foo +p; module quiet +p" "b.c=d e"'),
    ('log-buf-len="1 M" "nr_cpus=8" "quiet" a="b"', 'a="b"'),
    ("a --b c=-- -- quiet d", "a --b c=--"),
    ('a="b -- c" --', 'a="b -- c"'),
    ('a "--" b', "a"),
    ('a="b quiet', ""),
]  # fmt: skip


@pytest.mark.parametrize("line, left", INHERITED)
def test_what_is_inherited(box: Sandbox, line: str, left: str) -> None:
    box.put("/proc/cmdline", f"root=/dev/vda1 {line}\n")
    assert box.load().returncode == 0
    left = " ".join(["root=/dev/vda1", *([line if left == "all" else left] if left else [])])
    assert f" --append={left} irqpoll nr_cpus=1 reset_devices {OURS} --initrd" in box.notes("kexec")[0]  # fmt: skip


def test_names_are_compared_as_a_kernel_compares_them(box: Sandbox) -> None:
    box.put("/proc/cmdline", 'a-b=1 a_c d.e-f="g h" init=/lib/systemd/systemd i-j\n')
    box.conf('COMMANDLINE_REMOVE="a_b a-c d.e-f reset-devices init i"\n')
    assert box.load().returncode == 0
    assert f" --append=i-j irqpoll nr_cpus=1 {OURS} --initrd" in box.notes("kexec")[0]


def test_a_command_line_of_ones_own_does_not_end_ours(box: Sandbox) -> None:
    box.conf('COMMANDLINE="mem=1G -- a"\n')
    assert box.load().returncode == 0
    assert f" --append=mem=1G irqpoll nr_cpus=1 reset_devices {OURS} --initrd" in box.notes("kexec")[0]  # fmt: skip


@pytest.mark.parametrize(
    "setting, refused, tried, code",
    [
        ("", "", ["-s"], 0),
        ("", "-s\n", ["-s", "-c"], 0),
        ("", "-s\n-c\n", ["-s", "-c"], 1),
        ('KEXEC_CALL="kexec_load"\n', "", ["-c"], 0),
        ('KEXEC_CALL="kexec_file_load"\n', "-s\n", ["-s"], 1),
        ('KEXEC_ARGS="--no-checks --debug"\n', "", ["-s --no-checks --debug"], 0),
    ],
)
def test_load_by_the_call_that_the_kernel_takes(
    box: Sandbox, setting: str, refused: str, tried: t.List[str], code: int
) -> None:
    box.conf(setting)
    box.put("/kexec-refuses", refused)
    assert box.load().returncode == code
    assert [call.split(" -p ")[0] for call in box.notes("kexec")] == tried
    assert os.path.exists(box.root + kexec_files.STAMP) is (code == 0)


def test_load_says_what_is_missing(box: Sandbox) -> None:
    box.put("/sys/kernel/kexec_crash_size", "0\n")
    assert "crashkernel=" in box.load().stdout
    box.put("/sys/kernel/kexec_crash_size", "1\n")
    box.conf('CAPTURE_KERNEL="/none"\n')
    assert "/none is not there" in box.load().stdout
    box.conf('CAPTURE_INITRD="/none"\n')
    assert "/none is not there" in box.load().stdout
    box.conf('CAPTURE_RELEASE="5.0"\n')
    assert "no kernel 5.0 in" in box.load().stdout
    os.unlink(f"{box.root}{kexec_files.UNITS}/{kexec_files.SAVE_UNIT}")
    assert "would save nothing" in box.load().stdout
    assert box.notes("kexec") == []


@pytest.mark.parametrize(
    "there",
    [
        [],
        ["/boot/vmlinuz-@"],
        ["/boot/vmlinuz-@", "/boot/initramfs-@.img", "/boot/initrd-@"],
        ["/boot/kernel-@", "/boot/initramfs-@.img"],
        ["/boot/vmlinuz-linux", "/boot/initramfs-linux.img", "/usr/lib/modules/@/vmlinuz"],
        ["/boot/vmlinuz-lts", "/boot/vmlinuz-linux", "/boot/initramfs-lts.img", "pkgbase"],
        ["/boot/m1/@/linux", "/boot/m1/@/initrd"],
        ["/efi/m1/@/linux"],
        ["/usr/lib/modules/@/vmlinuz"],
    ],
)
def test_load_finds_what_the_plan_finds(
    tmp_path: t.Any, host: FakeHost, there: t.List[str]
) -> None:
    box = Sandbox(str(tmp_path), SHELLS[0])
    for name in ("vmlinuz", "initrd.img"):
        os.unlink(f"{box.root}/boot/{name}-{KERNEL}")
    box.put("/etc/machine-id", "m1\n")
    for path in there:
        if path == "pkgbase":
            box.put(f"/usr/lib/modules/{KERNEL}/pkgbase", "lts\n")
        else:
            box.put(path.replace("@", KERNEL), "x")
    done = box.load()
    kernel, initrd = images(host, {}, KERNEL)
    assert bool(kernel) is (done.returncode == 0)
    if kernel:
        assert box.read(kexec_files.STAMP).replace(box.root, "").splitlines()[:2] == [
            f"kernel={kernel}",
            f"initrd={initrd}",
        ]


def test_unload(box: Sandbox) -> None:
    assert box.load().returncode == 0
    assert box.load("unload").returncode == 0
    assert box.notes("kexec")[1:] == ["-p -u"]
    assert not os.path.exists(box.root + kexec_files.STAMP)
    box.put("/kexec-refuses", "-p\n")
    assert box.load("unload").returncode == 0
    assert box.notes("kexec")[2:] == ["-p -u", "-s -p -u"]


# kexec-save


def only(dumps: t.Dict[str, t.List[str]]) -> t.List[str]:
    """Return the files of the one dump."""
    ((name, files),) = dumps.items()
    assert re.match(r"kdump-\d{8}T\d{6}Z\Z", name)
    return files


def test_save(box: Sandbox) -> None:
    done = box.save()
    assert done.returncode == 0, box.read("/dev/console")
    assert only(box.dumps()) == ["kexec-dmesg.log", "vmcore", "vmcore-dmesg.txt"]
    assert "the dump is complete" in box.read("/dev/kmsg")
    assert box.notes("systemctl") == ["--force reboot"]
    collected = box.notes("makedumpfile")[1]
    assert re.match(r"-c --message-level 7 -d 31 /proc/vmcore /crash/\S+/vmcore-incomplete\Z", collected)  # fmt: skip
    assert os.stat(box.root + "/crash").st_mode & 0o777 == 0o700
    for name in os.listdir(box.root + "/crash"):
        assert os.stat(f"{box.root}/crash/{name}").st_mode & 0o777 == 0o700
        assert os.stat(f"{box.root}/crash/{name}/vmcore").st_mode & 0o777 == 0o600


@pytest.mark.parametrize("free, left", [("1000000", True), ("65536", True), ("65535", False)])
def test_save_that_fails(box: Sandbox, free: str, left: bool) -> None:
    box.put("/fails", "")
    box.put("/free", free + "\n")
    box.conf('FAILURE_ACTION="halt"\nFINAL_ACTION="poweroff"\n')
    # The writer leaves what it wrote.
    box.put("/programs/makedumpfile", box.read("/programs/makedumpfile").replace("exit 1", 'for file; do :; done; : > "$file"; exit 1'), 0o755)  # fmt: skip
    box.save()
    expected = ["kexec-dmesg.log", "vmcore-dmesg.txt", *(["vmcore-incomplete"] if left else [])]
    assert only(box.dumps()) == expected
    assert box.notes("systemctl") == ["--force halt"]
    assert "kdump-fleet: why\n" in box.read("/dev/kmsg")


def test_save_without_a_dump_to_save(box: Sandbox) -> None:
    os.unlink(box.root + "/proc/vmcore")
    box.save()
    assert box.dumps() == {}
    assert "CONFIG_PROC_VMCORE" in box.read("/dev/kmsg")
    assert box.notes("systemctl") == ["--force reboot"]


def test_save_with_other_programs(box: Sandbox) -> None:
    box.conf('CORE_COLLECTOR="cp"\nEXTRA_MODULES="a b"\nFINAL_ACTION="poweroff"\n')
    os.unlink(box.root + "/programs/makedumpfile")
    box.put("/programs/makedumpfile", "#!/bin/sh\nexit 127\n", 0o755)
    box.save()
    (name,) = box.dumps()
    assert box.read(f"/crash/{name}/vmcore") == "core"
    assert box.read(f"/crash/{name}/vmcore-dmesg.txt") == "log\n"
    assert box.notes("modprobe") == ["a", "b"]
    assert "-s KILL 1830 timeout 1800 vmcore-dmesg /proc/vmcore" in box.notes("timeout")
    assert box.notes("systemctl") == ["--force poweroff"]


def test_hooks(box: Sandbox) -> None:
    box.put("/etc/kdump-fleet/pre.d/10-a", "#!/bin/sh\necho pre >> " + box.root + "/notes\n", 0o755)
    box.put("/etc/kdump-fleet/pre.d/20-b", "#!/bin/sh\nexit 1\n", 0o644)  # not executable
    box.put("/etc/kdump-fleet/post.d/10-a", '#!/bin/sh\necho "post $*" >> ' + box.root + "/notes; exit 3\n", 0o755)  # fmt: skip
    box.save()
    (name,) = box.dumps()
    assert "pre" in box.read("/notes").splitlines()
    assert box.notes("post") == [f"0 /crash/{name}"]
    assert "post.d/10-a failed" in box.read("/dev/kmsg")
    assert box.notes("systemctl") == ["--force reboot"]


def test_a_hook_that_fails_prevents_the_dump(box: Sandbox) -> None:
    box.put("/etc/kdump-fleet/pre.d/10-a", "#!/bin/sh\nexit 1\n", 0o755)
    box.put("/etc/kdump-fleet/pre.d/20-b", "#!/bin/sh\necho never >> " + box.root + "/notes\n", 0o755)  # fmt: skip
    box.put("/etc/kdump-fleet/post.d/10-a", '#!/bin/sh\necho "post $*" >> ' + box.root + "/notes\n", 0o755)  # fmt: skip
    box.conf('FAILURE_ACTION="poweroff"\n')
    box.save()
    assert box.dumps() == {}
    assert "never" not in box.read("/notes").splitlines()
    assert box.notes("post") == ["1 "]
    assert box.notes("systemctl") == ["--force poweroff"]


@pytest.mark.parametrize("program", TIMEOUTS)
def test_what_never_ends_is_ended(box: Sandbox, program: str) -> None:
    box.put("/programs/timeout", f'#!/bin/sh\necho "timeout $*" >> {box.root}/notes\nexec {program} "$@"\n', 0o755)  # fmt: skip
    late = f"#!/bin/sh\n{SLEEP} 30\necho late >> {box.root}/notes\n"
    box.put("/etc/kdump-fleet/post.d/10-a", late, 0o755)
    box.put("/etc/kdump-fleet/post.d/20-b", '#!/bin/sh\necho "post $*" >> ' + box.root + "/notes\n", 0o755)  # fmt: skip
    box.put("/etc/fstab", f"/dev/vdb {box.root} ext4 noauto 0 0\n")
    box.conf('EXTRA_MODULES="a"\nHOOK_TIMEOUT="1"\n')
    started = time.monotonic()
    box.save()
    assert time.monotonic() - started < 25
    (name,) = box.dumps()
    said = box.read("/dev/kmsg").replace(box.root, "")
    assert f"/etc/kdump-fleet/post.d/10-a 0 /crash/{name} was ended after 1 seconds\n" in said
    assert "post.d/10-a failed" in said
    assert box.notes("post") == [f"0 /crash/{name}"]
    assert "late" not in box.read("/notes").splitlines()
    assert box.notes("systemctl") == ["--force reboot"]
    limited = {call for call in box.notes("timeout") if call.startswith("-s KILL 31 ")}
    for command in ("modprobe a", "mount ", f"makedumpfile --dump-dmesg /proc/vmcore /crash/{name}/vmcore-dmesg.txt"):  # fmt: skip
        assert f"-s KILL 31 timeout 1 {command}" in limited
    assert not [call for call in limited if "vmcore-incomplete" in call]


@pytest.mark.parametrize("program", TIMEOUTS)
def test_what_refuses_to_end_is_ended(tmp_path: t.Any, program: str) -> None:
    box = Sandbox(str(tmp_path), SHELLS[0])
    box.put("/programs/timeout", f'#!/bin/sh\nexec {program} "$@"\n', 0o755)
    box.put("/etc/kdump-fleet/pre.d/10-a", f"#!/bin/sh\ntrap '' TERM\n{SLEEP} 9\necho late >> {box.root}/notes\n", 0o755)  # fmt: skip
    box.conf('HOOK_TIMEOUT="1"\n')
    box.run(kexec_files.SAVE_TEXT.replace("HOOK_TIMEOUT + 30", "HOOK_TIMEOUT + 2"))
    assert "late" not in box.read("/notes").splitlines()
    assert "pre.d/10-a failed: no dump is written" in box.read("/dev/kmsg")
    assert box.notes("systemctl") == ["--force reboot"]


@pytest.mark.parametrize(
    "limit, program", [("0", "exit 0"), ("9", "exit 1"), ("9", "exit 127"), ("x", "exit 0")]
)
def test_without_a_limit_everything_runs(box: Sandbox, limit: str, program: str) -> None:
    """A timeout that does not take the options, as an old busybox's, must not cost the dump."""
    box.put("/programs/timeout", f"#!/bin/sh\n{program}\n", 0o755)
    box.put("/etc/kdump-fleet/pre.d/10-a", "#!/bin/sh\necho pre >> " + box.root + "/notes\n", 0o755)  # fmt: skip
    box.put("/etc/fstab", f"/dev/vdb {box.root} ext4 noauto 0 0\n")
    box.conf(f'HOOK_TIMEOUT="{limit}"\nEXTRA_MODULES="a"\n')
    box.save()
    assert "pre" in box.read("/notes").splitlines()
    assert box.notes("mount") == [""]
    assert box.notes("modprobe") == ["a"]
    assert only(box.dumps()) == ["kexec-dmesg.log", "vmcore", "vmcore-dmesg.txt"]


@pytest.mark.parametrize("keep, left", [("0", 5), ("1", 1), ("3", 3), ("9", 5)])
def test_oldest_dumps_go(box: Sandbox, keep: str, left: int) -> None:
    for day in range(1, 5):
        box.put(f"/crash/kdump-2020010{day}T000000Z/vmcore", "old")
    box.put("/crash/kdump-20200101T000000Z.keep/vmcore", "kept")
    box.put("/crash/202001010000/dump.202001010000", "another tool's")
    box.conf(f'DUMPS_TO_KEEP="{keep}"\n')
    box.save()
    names = list(box.dumps())
    assert {"kdump-20200101T000000Z.keep", "202001010000"} < set(names)
    own = [name for name in names if re.match(r"kdump-\d+T\d+Z\Z", name)]
    assert len(own) == left
    assert not own[-1].startswith("kdump-2020")
    assert own[:-1] == [f"kdump-2020010{day}T000000Z" for day in range(6 - left, 5)]


def test_the_new_dump_stays_when_the_clock_is_behind(box: Sandbox) -> None:
    box.put("/date", "19700101T000000Z\n")
    box.put("/crash/kdump-20260101T000000Z/vmcore", "old")
    box.conf('DUMPS_TO_KEEP="1"\n')
    box.save()
    assert box.dumps() == {
        "kdump-19700101T000000Z": ["kexec-dmesg.log", "vmcore", "vmcore-dmesg.txt"]
    }


def test_a_name_that_is_taken_costs_no_dump(box: Sandbox) -> None:
    """A machine without a clock starts each boot at the same time, and others may write to the folder."""
    box.put("/date", "19700101T000000Z\n")
    box.put("/crash/kdump-19700101T000000Z/vmcore", "old")
    box.put("/other/x", "")
    os.symlink(box.root + "/other", box.root + "/crash/kdump-19700101T000000Z-1")
    os.symlink(box.root + "/nowhere", box.root + "/crash/kdump-19700101T000000Z-2")
    os.symlink(box.root + "/nowhere", box.root + "/crash/.kdump-fleet")
    box.save()
    assert sorted(os.listdir(box.root + "/crash/kdump-19700101T000000Z-3")) == [
        *("kexec-dmesg.log", "vmcore", "vmcore-dmesg.txt")
    ]
    assert box.read("/crash/kdump-19700101T000000Z/vmcore") == "old"
    assert os.listdir(box.root + "/other") == ["x"]
    assert not os.path.exists(box.root + "/nowhere")
    assert box.notes("systemctl") == ["--force reboot"]


def test_the_dumps_of_one_second_go_in_their_order(box: Sandbox) -> None:
    stamp = "kdump-20200101T000000Z"
    for name in (stamp, *(f"{stamp}-{number}" for number in (1, 2, 9, 10, 11))):
        box.put(f"/crash/{name}/vmcore", "old")
    for name in (f"{stamp}-x", f"{stamp}-1-2", f"{stamp}-", f"{stamp}1"):
        box.put(f"/crash/{name}/vmcore", "no name of ours")
    box.put("/crash/kdump-20200102T000000Z/vmcore", "old")
    box.conf('DUMPS_TO_KEEP="4"\n')
    box.save()
    names = list(box.dumps())
    assert sorted(names[:-1]) == sorted(
        [
            *(f"{stamp}-", f"{stamp}-1-2", f"{stamp}-10", f"{stamp}-11", f"{stamp}-x", f"{stamp}1"),
            "kdump-20200102T000000Z",
        ]
    )


@NEEDS_ROOT
def test_folders_of_others_are_neither_counted_nor_removed(box: Sandbox) -> None:
    """Ubuntu's /var/crash is for everybody to write to."""
    for name in ("kdump-20200101T000000Z", "kdump-99991231T000000Z", "kdump-99991231T000000Z-1"):
        box.put(f"/crash/{name}/vmcore", "a trap")
        os.chown(f"{box.root}/crash/{name}", 65534, 65534)
    box.put("/crash/kdump-20200102T000000Z/vmcore", "old")
    box.put("/crash/kdump-20200103T000000Z/vmcore", "old")
    box.put("/other/vmcore", "root's")
    os.symlink(box.root + "/other", box.root + "/crash/kdump-20200101T000001Z")
    box.conf('DUMPS_TO_KEEP="2"\n')
    box.save()
    names = list(box.dumps())
    assert names[:3] + names[4:] == [
        *("kdump-20200101T000000Z", "kdump-20200101T000001Z", "kdump-20200103T000000Z"),
        *("kdump-99991231T000000Z", "kdump-99991231T000000Z-1"),
    ]
    assert box.read("/other/vmcore") == "root's"


@pytest.mark.parametrize("keep, left", [("1", [4]), ("2", [2, 3, 4]), ("3", [0, 1, 2, 3, 4])])
def test_a_folder_without_a_dump_takes_no_dumps_place(
    box: Sandbox, keep: str, left: t.List[int]
) -> None:
    files = ("vmcore-dmesg.txt", "vmcore", "vmcore-incomplete", "vmcore", "vmcore-dmesg.txt")
    for number, name in enumerate(files):
        box.put(f"/crash/kdump-2020010{number}T000000Z/{name}", "old")
    box.conf(f'DUMPS_TO_KEEP="{keep}"\n')
    box.save()
    assert list(box.dumps())[:-1] == [f"kdump-2020010{number}T000000Z" for number in left]


def test_a_dump_that_failed_removes_none(box: Sandbox) -> None:
    box.put("/crash/kdump-20200101T000000Z/vmcore", "old")
    box.put("/fails", "")
    box.conf('DUMPS_TO_KEEP="1"\n')
    box.save()
    assert len(box.dumps()) == 2


def test_what_fstab_mounts_above_the_folder_is_mounted(box: Sandbox) -> None:
    box.put("/etc/fstab", f"/dev/vdb {box.root} ext4 noauto 0 0\n/dev/vdc /other ext4 noauto 0 0\n")
    box.save()
    assert box.notes("mount") == [""]
    assert only(box.dumps())


@pytest.mark.parametrize("path", ["/srv/a/crash/", "//srv/./a//crash", "/srv/a"])
def test_the_outermost_mount_comes_first(box: Sandbox, path: str) -> None:
    box.conf(f'DUMP_PATH="{path.replace("/srv", box.root + "/srv", 1)}"\n')
    fstab = ("/dev/vdd @/srv/a/ ext4", "#/dev/vda @/srv/a/crash", "/dev/vde @/srv/a/b x", "\t/dev/vdc\t@/srv\text4")  # fmt: skip
    box.put("/etc/fstab", "\n".join(fstab).replace("@", box.root))  # the last line has no end
    box.save()
    assert box.notes("mount") == ["/srv", "/srv/a/"]
    assert box.dumps() == {}
    folder = "/srv/a" + "/crash" * ("crash" in path)
    (name,) = os.listdir(box.root + folder)
    assert f"writes {box.root}{folder}/{name}/vmcore\n" in box.read("/dev/kmsg")


def test_without_fstab_nothing_is_mounted(box: Sandbox) -> None:
    os.unlink(box.root + "/etc/fstab")
    box.save()
    assert box.notes("mount") == []
    assert only(box.dumps())


def test_what_a_link_leads_to_is_mounted(box: Sandbox) -> None:
    box.put("/data/x", "")
    os.symlink(box.root + "/data", box.root + "/crash")
    box.conf(f'DUMP_PATH="{box.root}/crash/new/deep"\n')
    box.put("/etc/fstab", f"/dev/vdb {box.root}/data ext4 noauto 0 0\n/dev/vdc {box.root}/data/new ext4\n")  # fmt: skip
    box.save()
    assert box.notes("mount") == ["/data", "/data/new"]
    assert len(os.listdir(box.root + "/data/new/deep")) == 1


def test_a_mount_that_systemd_made_meanwhile_is_one(box: Sandbox) -> None:
    box.put("/etc/fstab", f"/dev/vdb {box.root} ext4 nofail 0 0\n")
    box.put("/mounted-already", "")
    box.save()
    assert box.notes("mount") == [""]
    assert only(box.dumps())


@pytest.mark.parametrize("there", [True, False])
def test_a_read_only_file_system_is_made_writable(box: Sandbox, there: bool) -> None:
    if there:
        os.mkdir(box.root + "/crash")
    box.put("/read-only", "")
    box.save()
    assert box.notes("df")[0] == f"-P {'/crash' if there else ''}"
    assert box.notes("mount") == ["-o remount,rw /a b"]
    assert "-s KILL 1830 timeout 1800 mount -o remount,rw /a b" in box.notes("timeout")
    assert only(box.dumps())


def test_a_file_system_that_stays_read_only_has_no_dump(box: Sandbox) -> None:
    box.put("/read-only", "")
    box.put("/programs/mount", "#!/bin/sh\nexit 0\n", 0o755)
    box.save()
    assert box.dumps() == {}
    assert "/crash/ is not to be had" in box.read("/dev/kmsg")
    assert box.notes("systemctl") == ["--force reboot"]


def test_nothing_is_dumped_below_a_mount_that_failed(box: Sandbox) -> None:
    box.put("/etc/fstab", "/dev/vdb /gone ext4 noauto 0 0\n")
    box.conf('DUMP_PATH="/gone/crash"\n')
    box.save()
    assert box.dumps() == {}
    assert "/gone/crash/ is not to be had" in box.read("/dev/kmsg")
    assert box.notes("systemctl") == ["--force reboot"]


def test_a_shell_ends_with_the_final_action(box: Sandbox) -> None:
    box.put("/fails", "")
    box.conf('FAILURE_ACTION="shell"\nFINAL_ACTION="halt"\n')
    box.save()
    assert box.notes("sulogin") == [""]
    assert box.notes("systemctl") == ["--force halt"]


def test_without_pid_1_it_ends_too(box: Sandbox) -> None:
    box.put("/programs/systemctl", f'#!/bin/sh\necho "systemctl $*" >> {box.root}/notes\n[ "$2" = --force ]\n', 0o755)  # fmt: skip
    assert box.save().returncode == 0
    assert box.notes("systemctl") == ["--force reboot", "--force --force reboot"]
    box.put("/programs/systemctl", "#!/bin/sh\nexit 1\n", 0o755)
    # The unit's FailureAction is what is left.
    assert box.save().returncode != 0
