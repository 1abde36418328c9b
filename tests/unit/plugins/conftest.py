# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Shared by the unit tests: a host made of a folder and a table of answers."""

import gzip
import io
import json
import os
import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils import panic
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host
from ansible_collections.kdump.fleet.plugins.module_utils.runner import (
    CommandError,
    Input,
    Limits,
    Result,
    Runner,
    SystemRunner,
    User,
)
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.kdump_tools import KdumpTools


class ScriptedRunner(Runner):
    """Answers each argv from a table and notes it; any other argv fails, as on a host without the program."""

    def __init__(self) -> None:
        self.answers: t.Dict[t.Tuple[str, ...], t.Union[Result, t.Callable[[], Result]]] = {}
        self.started: t.List[t.Tuple[str, ...]] = []
        self.programs: t.Set[str] = set()
        self.given: t.List[Input] = []  # on standard input, of each
        self.users: t.List[User] = []  # of what is done apart

    def answer(self, *argv: str, stdout: str = "", code: int = 0, stderr: str = "") -> None:
        self.answers[argv] = Result(code, stdout, stderr)
        self.programs.add(argv[0])

    def does(
        self, *argv: str, action: t.Callable[[], None], code: int = 0, stderr: str = ""
    ) -> None:
        """Let a command have an effect on the folder."""

        def act() -> Result:
            action()
            return Result(code, "", stderr)

        self.answers[argv] = act
        self.programs.add(argv[0])

    def apart(self, action: t.Callable[[], t.Any], user: User, limits: Limits) -> t.Any:
        """Do it here, and note as whom it would have been done."""
        self.users.append(user)
        return json.loads(json.dumps(action()))

    def start(self, argv: t.Sequence[str], timeout: float, data: Input = b"") -> Result:
        key = tuple(argv)
        self.started.append(key)
        self.given.append(data)
        if key not in self.answers:
            raise CommandError(f"not scripted: {key}")
        found = self.answers[key]
        return found if isinstance(found, Result) else found()

    def which(self, program: str) -> t.Optional[str]:
        return f"/usr/bin/{program}" if program in self.programs else None


class FakeHost(Host):
    """A Host whose files lie in a temporary folder."""

    runner: ScriptedRunner

    def put(self, path: str, text: str, mtime: t.Optional[float] = None) -> None:
        target = self.path(path)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "w", encoding="utf-8") as handle:
            handle.write(text)
        if mtime is not None:
            os.utime(target, (mtime, mtime))


def gzipped(data: bytes) -> bytes:
    """Do as gzip.compress, with no time in it: pytest-xdist compares the names of tests, which have the data in them."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as stream:
        stream.write(data)
    return buffer.getvalue()


@pytest.fixture(autouse=True)
def no_real_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """A unit test that starts a real program is wrong."""

    def refuse(_self: t.Any, argv: t.Sequence[str], *_options: t.Any) -> Result:
        raise AssertionError(f"a unit test started {argv}")

    monkeypatch.setattr(SystemRunner, "start", refuse)
    monkeypatch.setattr(SystemRunner, "apart", refuse)


@pytest.fixture
def host(tmp_path: t.Any) -> FakeHost:
    return FakeHost(ScriptedRunner(), str(tmp_path))


GRUB_CFG = """\
if [ -s $prefix/grubenv ]; then
  load_env
fi
if [ "${next_entry}" ] ; then
   set default="${next_entry}"
   set next_entry=
   save_env next_entry
   set boot_once=true
else
   set default="0"
fi

if [ x"${feature_menuentry_id}" = xy ]; then
  menuentry_id_option="--id"
else
  menuentry_id_option=""
fi
function load_video {
  if [ x$feature_all_video_module = xy ]; then
    insmod all_video
  fi
}
### BEGIN /etc/grub.d/10_linux ###
menuentry 'Debian GNU/Linux' --class debian $menuentry_id_option 'gnulinux-simple-1' {
    load_video
    if [ x$grub_platform = xxen ]; then insmod xzio; insmod lzopio; fi
    linux    /boot/vmlinuz-6.1.0-2-amd64 root=UUID=1 ro quiet@NEXT@
    initrd    /boot/initrd.img-6.1.0-2-amd64
}
submenu 'Advanced options for Debian GNU/Linux' $menuentry_id_option 'gnulinux-advanced-1' {
    menuentry 'Debian GNU/Linux, with Linux 6.1.0-2-amd64' --class debian $menuentry_id_option 'gnulinux-2' {
        linux    /boot/vmlinuz-6.1.0-2-amd64 root=UUID=1 ro quiet@NEXT@
    }
    menuentry 'Debian GNU/Linux, with Linux 6.1.0-2-amd64 (recovery mode)' --class debian $menuentry_id_option 'gnulinux-2r' {
        linux    /boot/vmlinuz-6.1.0-2-amd64 root=UUID=1 ro single
    }
    menuentry 'Debian GNU/Linux, with Linux 6.1.0-1-amd64' --class debian $menuentry_id_option 'gnulinux-1' {
        linux    /boot/vmlinuz-6.1.0-1-amd64 root=UUID=1 ro quiet@NEXT@
    }
}
### END /etc/grub.d/10_linux ###
"""


@pytest.fixture
def debian(host: FakeHost) -> FakeHost:
    """A Debian 12 host with 1 GiB, kdump-tools installed and armed with 128 MiB."""
    kernel = "6.1.0-2-amd64"
    host.put("/proc/sys/kernel/osrelease", kernel + "\n")
    host.put("/proc/sys/kernel/random/boot_id", "11111111-2222-3333-4444-555555555555\n")
    host.put(
        "/proc/cmdline",
        f"BOOT_IMAGE=/boot/vmlinuz-{kernel} root=UUID=1 ro quiet crashkernel=384M-:128M\n",
    )
    host.put(
        "/proc/iomem",
        "00001000-0009fbff : System RAM\n00100000-3ffdcfff : System RAM\n"
        "  22800000-23601d31 : Kernel code\n  23800000-240eafff : Kernel rodata\n"
        "  24200000-2444897f : Kernel data\n  24b10000-25bfffff : Kernel bss\n"
        "  28000000-2fffffff : Crash kernel\n",
    )
    host.put(
        "/proc/modules",
        "ext4 983040 1 - Live 0x0\nkvm 1146880 1 kvm_amd, Live 0x0\ncfg80211 5226496 0 - Live 0x0\n",
    )
    host.put("/proc/stat", "cpu 1 2 3\nbtime 1000000\n")
    host.put("/proc/sys/kernel/kexec_load_disabled", "0\n")
    host.put("/sys/kernel/kexec_crash_loaded", "1\n")
    host.put("/sys/kernel/kexec_crash_size", f"{128 << 20}\n")
    host.put(
        "/etc/os-release",
        'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
    )
    host.put(
        f"/boot/config-{kernel}",
        "CONFIG_KEXEC=y\nCONFIG_CRASH_DUMP=y\nCONFIG_PROC_VMCORE=y\nCONFIG_RELOCATABLE=y\nCONFIG_SYSFS=y\n",
    )
    host.put("/boot/grub/grub.cfg", GRUB_CFG.replace("@NEXT@", " crashkernel=384M-:128M"))
    host.put("/etc/default/grub", 'GRUB_CMDLINE_LINUX_DEFAULT="quiet"\n')
    host.put(
        "/etc/default/grub.d/kdump-tools.cfg",
        'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT crashkernel=384M-:128M"\n',
    )
    host.put(
        "/etc/default/kdump-tools",
        'USE_KDUMP=1\nKDUMP_COREDIR="/var/crash"\nKDUMP_FAIL_CMD="reboot -f"\n',
    )
    host.put("/etc/kdump/sysctl.conf", "vm.nr_hugepages=0\n")
    host.put(f"/var/lib/kdump/latest_sysctls-{kernel}", "vm.nr_hugepages=0\n")
    host.put("/etc/initramfs-tools/initramfs.conf", "MODULES=most\n", mtime=1000)
    host.put(f"/lib/modules/{kernel}/modules.dep", "x\n", mtime=1000)
    host.put(f"/var/lib/kdump/initrd.img-{kernel}", "initrd", mtime=2000)
    os.makedirs(host.path("/var/crash"))
    os.chmod(host.path("/var/crash"), 0o700)
    for path, file in KdumpTools().own_files().items():
        host.put(path, file.content)
        os.chmod(host.path(path), file.mode)
    host.put("/proc/sys/kernel/panic_on_oops", "1\n")
    host.put(panic.DROPIN, panic.dropin({"kernel.panic_on_oops": "1"}))
    for program in ("update-grub", "kdump-config", "apt-get"):
        host.runner.programs.add(program)
    host.runner.answer("systemd-detect-virt", "--container", stdout="none\n", code=1)
    host.runner.answer("systemd-detect-virt", "--vm", stdout="kvm\n")
    host.runner.answer(
        "dpkg-query", "--show", "--showformat", "${Package} ${Version} ${db:Status-Status}\\n",
        "kdump-tools", "makedumpfile", "kexec-tools", "initramfs-tools-core",
        stdout="kdump-tools 1:1.8.1 installed\nmakedumpfile 1.7.2 installed\nkexec-tools 2.0.25 installed\ninitramfs-tools-core 0.142 installed\n",
    )  # fmt: skip
    host.runner.answer(
        "systemctl", "show", "--property=UnitFileState,ActiveState,Result", "kdump-tools.service",
        stdout="UnitFileState=enabled\nActiveState=active\nResult=success\n",
    )  # fmt: skip
    return host
