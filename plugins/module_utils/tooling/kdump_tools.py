# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""Debian's and Ubuntu's kdump-tools: /etc/default/kdump-tools, kdump-config, an initramfs-tools initrd.

Source of its behaviour: the packages kdump-tools 1.8.1 (bookworm) and 1.10.7 (trixie).
"""

import difflib
import os
import re
import shlex
import time
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils import capture
from ansible_collections.kdump.fleet.plugins.module_utils.crashkernel import MIB
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.base import Dump, Initrd, Tooling

STATE = "/var/lib/kdump"
SYSCTL = "/etc/kdump/sysctl.conf"
HOOK = "/etc/kernel/postinst.d/kdump-tools"
# A dump's folder: the minute, behind an address or a name if a network target is set too.
STAMP = re.compile(r"(^|-)\d{12}$")
LOADED = "/sys/kernel/kexec_crash_loaded"
UNITS = "/etc/systemd/system"

_ASSIGNMENT = re.compile(r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$")
_COMMENTED = r"^\s*#\s*%s="


def _absolute(value: str) -> str:
    return "" if re.match(r"/[^\s]*$", value) else "must be an absolute path without blanks"


def _natural(value: str) -> str:
    return "" if re.match(r"[0-9]+$", value) else "must be a whole number, 0 or more"


def _one_of(*choices: str) -> t.Callable[[str], str]:
    def check(value: str) -> str:
        return "" if value in choices else f"must be one of: {', '.join(choices)}"

    return check


def _command(value: str) -> str:
    # kdump-config runs $KDUMP_FAIL_CMD unquoted: the words are split, and nothing else is understood.
    if not value.strip():
        return "must be a command"
    found = re.search(r"[;&|<>()'*?\[]", value)
    if found:
        return f"is split into words and run without a shell, so {found.group()!r} does not do what it looks like"
    return ""


def _makedumpfile(value: str) -> str:
    words = value.split()
    if "-F" in words and words[0] != "-F":
        return "has -F, which kdump-tools adds itself; leave it out"
    if "-E" in words and any(word in words for word in ("-c", "-l", "-p", "-z")):
        return "joins -E with a compression (-c, -l, -p or -z), which makedumpfile refuses"
    if "-x" in words and "-i" in words:
        return "joins -x with -i, which makedumpfile refuses"
    level = re.search(r"(?:^|\s)-d\s*([^\s]+)", value)
    if level and not all(part.isdigit() and int(part) <= 31 for part in level.group(1).split(",")):
        return f"has dump level {level.group(1)!r}; makedumpfile takes 0 to 31"
    return ""


def _ssh(value: str) -> str:
    return "" if re.match(r"[^\s@:/-][^\s@]*@[^\s@-][^\s@]*$", value) else "must be user@host"


def _nfs(value: str) -> str:
    return (
        ""
        if re.match(r"(\[[0-9a-fA-F:]+\]|[^\s:\[\]/-][^\s:]*):/[^\s]*$", value)
        else "must be host:/export"
    )


def _anything(_value: str) -> str:
    return ""


# Every setting that kdump-tools 1.8.1 to 1.10.9 reads, and what its value must look like.
SETTINGS: t.Dict[str, t.Callable[[str], str]] = {
    "USE_KDUMP": _one_of("0", "1"),
    "KDUMP_KERNEL": _absolute,
    "KDUMP_INITRD": _absolute,
    "KDUMP_COREDIR": _absolute,
    "KDUMP_FAIL_CMD": _command,
    "KDUMP_DUMP_DMESG": _one_of("0", "1"),
    "KDUMP_NUM_DUMPS": _natural,
    "KDUMP_COMPRESSION": _one_of("bzip2", "gzip", "lz4", "xz"),
    "MAKEDUMP_ARGS": _makedumpfile,
    "KDUMP_KEXEC_ARGS": _anything,
    "KDUMP_CMDLINE": _anything,
    "KDUMP_CMDLINE_APPEND": _anything,
    "HOSTTAG": _one_of("ip", "hostname"),
    "NFS": _nfs,
    "NFS_TIMEO": _natural,
    "NFS_RETRANS": _natural,
    "NFS_MOUNT_RETRY": _natural,
    "SSH": _ssh,
    "SSH_KEY": _absolute,
    "SSH_KDUMP_RETRY": _natural,
    "FTP": _anything,
    "FTP_USER": _anything,
    "FTP_PASSWORD": _anything,
    "FTP_PORT": _natural,
}


# kdump-config pastes these unquoted into what it hands to eval, mount or ftpput.
EVALUATED = (
    "KDUMP_KERNEL",
    "KDUMP_INITRD",
    "KDUMP_COREDIR",
    "KDUMP_KEXEC_ARGS",
    "MAKEDUMP_ARGS",
    "NFS_TIMEO",
    "NFS_RETRANS",
    "SSH_KEY",
    "FTP_USER",
)

# The capture kernel boots the host's own root file system with kdump-tools-dump.service as its target, so a
# unit that this one wants runs beside the dump, and at no other time.
NOTE_UNIT = "kdump-fleet-note.service"
_NOTE_UNIT_TEXT = f"""\
# Managed by Ansible (kdump.fleet): local changes are lost at its next run.
[Unit]
Description=Note how much memory the capture kernel uses
DefaultDependencies=no
After=local-fs.target
Before=kdump-tools-dump.service
ConditionPathExists=/proc/vmcore

[Service]
ExecStart=/bin/sh {capture.SCRIPT}
OOMScoreAdjust=-1000
"""
_DUMP_DROPIN_TEXT = f"""\
# Managed by Ansible (kdump.fleet): local changes are lost at its next run.
[Unit]
Wants={NOTE_UNIT}
"""


class KdumpTools(Tooling):
    """kdump-tools with an initrd made by initramfs-tools."""

    name = "kdump-tools"
    service = "kdump-tools.service"
    config_path = "/etc/default/kdump-tools"
    # makedumpfile and initramfs-tools-core are only recommended, so a host that installs no recommended
    # packages would have a kdump-tools that can write no dump.
    packages = ("kdump-tools", "makedumpfile", "kexec-tools", "initramfs-tools-core")
    program = "kdump-config"
    secrets = ("FTP_PASSWORD",)

    def suits(self, distribution: str, like: t.Sequence[str]) -> bool:
        return distribution in ("debian", "ubuntu") or "debian" in like

    def own_files(self) -> t.Dict[str, str]:
        return {
            capture.SCRIPT: capture.SCRIPT_TEXT,
            f"{UNITS}/{NOTE_UNIT}": _NOTE_UNIT_TEXT,
            f"{UNITS}/kdump-tools-dump.service.d/kdump-fleet.conf": _DUMP_DROPIN_TEXT,
        }

    def parse(self, text: str) -> t.Dict[str, str]:
        settings = {}
        for line in text.split("\n"):
            match = _ASSIGNMENT.match(line)
            if match:
                settings[match.group(1)] = _unquote(match.group(2))
        return settings

    def render(self, text: str, settings: t.Mapping[str, t.Optional[str]]) -> str:
        lines = text.split("\n")
        if lines[-1] == "":
            lines.pop()
        for key, value in settings.items():
            new = None if value is None else f'{key}="{value}"'
            places = [index for index, line in enumerate(lines) if _is_assignment(line, key)]
            if places and new is not None:
                # The last one counts for a shell; it alone stays.
                if self.parse(lines[places[-1]]).get(key) != value:
                    lines[places[-1]] = new
                places = places[:-1]
            elif new is not None:
                # Beside the package's own explanation, where an administrator would look.
                comments = [i for i, line in enumerate(lines) if re.match(_COMMENTED % key, line)]
                lines.insert(comments[-1] + 1 if comments else len(lines), new)
            for index in reversed(places):
                del lines[index]
        return "".join(line + "\n" for line in lines)

    def problems(self, text: str, release: t.Optional[str] = None) -> t.List[str]:
        found = []
        seen: t.Dict[str, int] = {}
        for number, line in enumerate(text.split("\n"), start=1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            match = _ASSIGNMENT.match(line)
            if match is None:
                reason = 'is no KEY="value" line'
                if re.match(
                    r"^\s*[A-Za-z_][A-Za-z0-9_]*\s+=|^\s*[A-Za-z_][A-Za-z0-9_]*=\s+\S", line
                ):
                    reason = "has blanks around '=', which a shell takes for a command"
                found.append(f"line {number}: {line.strip()!r} {reason}")
                continue
            key, raw = match.groups()
            if re.match(r"\s+\S", raw) and not raw.lstrip().startswith("#"):
                found.append(
                    f"line {number}: {key} has blanks around '=', which a shell takes for a command"
                )
                continue
            try:
                words = shlex.split(raw, comments=True)
            except ValueError:
                found.append(f"line {number}: {key} has a quote that is never closed")
                continue
            if len(words) > 1:
                found.append(
                    f'line {number}: {key} has a value with blanks outside of quotes; write {key}="..."'
                )
                continue
            if key in seen:
                found.append(
                    f"line {number}: {key} is set again (first in line {seen[key]}); the last one counts"
                )
            seen.setdefault(key, number)
            value = words[0] if words else ""
            reason = self.setting_problem(key, value)
            if reason:
                found.append(f"line {number}: {self.shown(key, value)} {reason}")
        return found

    def setting_problem(self, key: str, value: str) -> str:
        """Return what is wrong with one setting, or ''. An empty value means unset to kdump-tools."""
        if key not in SETTINGS:
            close = difflib.get_close_matches(key, SETTINGS, 1)
            hint = (
                f"; did you mean {close[0]}?"
                if close
                else f"; it reads: {', '.join(sorted(SETTINGS))}"
            )
            return f"is no setting of kdump-tools{hint}"
        if not value.isprintable():
            return (
                "holds a newline or control character, which ends the setting; write it in one line"
            )
        special = re.search(r"[\"\\$`]", value)
        if special:
            # The file is read by sh and, as EnvironmentFile=, by systemd.
            return f"holds {special.group()!r}, which sh and systemd read differently; leave it out"
        if key in EVALUATED and not re.match(r"[A-Za-z0-9_@%+=:,./ -]*\Z", value):
            return (
                "goes into a command that kdump-config evaluates, so it may hold only letters, digits, blanks "
                "and _ @ % + = : , . / -"
            )
        return SETTINGS[key](value) if value else ""

    def dump_path(self, settings: t.Mapping[str, str]) -> str:
        return settings.get("KDUMP_COREDIR") or "/var/crash"

    def initrd(self, host: Host, kernel: str) -> Initrd:
        path = f"{STATE}/initrd.img-{kernel}"
        built = host.mtime(path)
        if built is None:
            return Initrd(path, kernel, False, [f"{path} does not exist"])
        stale = []
        if not host.size(path):
            stale.append(f"{path} is empty")
        for source in self._sources(host, kernel):
            changed = host.mtime(source)
            # A time in the future says nothing: no initrd could ever be newer.
            if changed is not None and built < changed <= time.time():
                stale.append(f"{source} is newer than {path}")
        if (host.read(SYSCTL) or "") != (host.read(f"{STATE}/latest_sysctls-{kernel}") or ""):
            # kdump-config compares the two and throws the initrd away at its next load.
            stale.append(f"{SYSCTL} differs from what {path} was built with")
        return Initrd(path, kernel, True, stale)

    def _sources(self, host: Host, kernel: str) -> t.List[str]:
        return [
            *host.glob("/etc/initramfs-tools/*"),
            *host.glob("/etc/initramfs-tools/*/*"),
            f"/lib/modules/{kernel}/modules.dep",
            "/usr/share/initramfs-tools/hooks/kdump-tools",
        ]

    def capture_cpus(self, settings: t.Mapping[str, str]) -> int:
        # Its own default is one.
        found = re.findall(
            r"(?:nr_cpus|maxcpus)=([0-9]+)", settings.get("KDUMP_CMDLINE_APPEND", "")
        )
        return int(found[-1]) if found else 1

    def leaves_the_host(self, settings: t.Mapping[str, str]) -> bool:
        return any(settings.get(key) for key in ("SSH", "NFS", "FTP"))

    def unpacked_size(self, host: Host, kernel: str) -> t.Optional[int]:
        # Since 1.9; whole MiB. Older than the initrd it tells nothing of it.
        path = f"{STATE}/size_initrd.img-{kernel}"
        word = host.read_word(path) or ""
        built, noted = host.mtime(f"{STATE}/initrd.img-{kernel}"), host.mtime(path)
        if not word.isdigit() or built is None or noted is None or noted < built - 60:
            return None
        return int(word) * MIB

    def build(self, host: Host, kernel: str) -> None:
        path, kept = self._initrd_paths(host, kernel)
        # A build that was cut off has left the last good one under the other name.
        if os.path.exists(kept) and not os.path.exists(path):
            os.replace(kept, path)
        if os.path.exists(kept):
            os.unlink(kept)
        if os.path.exists(path):
            # The hook deletes the initrd before it builds the next one.
            os.link(path, kept)
        try:
            host.run([HOOK, kernel], timeout=self.build_timeout)
            if not os.path.exists(path):
                # It ends with success when the kernel is not dpkg's.
                name = f"{STATE}/initrd.img-{kernel}"
                host.run(["mkinitramfs", "-o", name, kernel], timeout=self.build_timeout)
        except BaseException:
            self.revert(host, kernel)
            raise
        # Otherwise kdump-config would find no record, and build the initrd again during the next boot.
        host.write(f"{STATE}/latest_sysctls-{kernel}", host.read(SYSCTL) or "")

    def confirm(self, host: Host, kernel: str) -> None:
        kept = self._initrd_paths(host, kernel)[1]
        if os.path.exists(kept):
            os.unlink(kept)

    def revert(self, host: Host, kernel: str) -> bool:
        path, kept = self._initrd_paths(host, kernel)
        if not os.path.exists(kept):
            return False
        os.replace(kept, path)
        return True

    def _initrd_paths(self, host: Host, kernel: str) -> t.Tuple[str, str]:
        path = host.path(f"{STATE}/initrd.img-{kernel}")
        return path, path + ".kdump-fleet"

    def obstacles(self, host: Host) -> t.List[str]:
        if host.runner.which("dracut") and not host.runner.which("mkinitramfs"):
            return [
                "kdump-tools builds its initrd with initramfs-tools, and this host has dracut, which cannot be "
                "installed beside it; replace dracut by initramfs-tools yourself if that suits the host"
            ]
        return []

    def owns(self, name: str) -> bool:
        return bool(STAMP.search(name)) or name in ("kdump_lock", "kexec_cmd", "lost+found")

    def load(self, host: Host) -> None:
        # "load" refuses while a capture kernel is loaded.
        action = "reload" if host.read_word(LOADED) == "1" else "load"
        host.run(["kdump-config", action], timeout=self.build_timeout)

    def unload(self, host: Host) -> None:
        host.run(["kdump-config", "unload"])

    def dumps(self, host: Host, path: str) -> t.List[Dump]:
        found = []
        for folder in host.glob(path.rstrip("/") + "/*[0-9]"):
            if not STAMP.search(os.path.basename(folder)):
                continue
            names = [os.path.basename(entry) for entry in host.glob(folder + "/*")]
            incomplete = [name for name in names if "-incomplete" in name]
            cores = [name for name in names if re.match(r"(dump|vmcore)\.\d{12}(\.\w+)?$", name)]
            logs = [name for name in names if re.match(r"dmesg\.\d{12}$", name)]
            vmcore = f"{folder}/{cores[0]}" if cores else ""
            found.append(
                Dump(
                    folder,
                    vmcore,
                    f"{folder}/{logs[0]}" if logs else "",
                    (host.size(vmcore) or 0) if vmcore else 0,
                    host.mtime(vmcore or folder) or 0.0,
                    bool(cores) and not incomplete,
                )
            )
        return sorted(found, key=lambda dump: (dump.mtime, dump.folder))


def _is_assignment(line: str, key: str) -> bool:
    match = _ASSIGNMENT.match(line)
    return match is not None and match.group(1) == key


def _unquote(raw: str) -> str:
    """Return a value as the shell would see it; the raw text where it is no simple value."""
    try:
        return "".join(shlex.split(raw, comments=True)[:1])
    except ValueError:
        return raw.strip()
