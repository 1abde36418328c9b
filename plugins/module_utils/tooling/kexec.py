# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""Hosts without a tooling of their distribution's: kexec-tools, makedumpfile, and two small units of ours.

What the units do is in kexec_files.py; this is how /etc/kdump-fleet/kexec.conf, which they read, comes about.
"""

import difflib
import os
import re
import stat
import time
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils import capture
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host
from ansible_collections.kdump.fleet.plugins.module_utils.runner import CommandError
from ansible_collections.kdump.fleet.plugins.module_utils.space import collector_level
from ansible_collections.kdump.fleet.plugins.module_utils.tooling import assignments, kexec_files
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.base import (
    Dump,
    Facts,
    Initrd,
    Tooling,
)
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.kdump_conf_file import (
    arguments_problem,
)
from ansible_collections.kdump.fleet.plugins.module_utils.wanted import (
    FINAL_ACTIONS,
    Configuration,
    OwnFile,
    Wanted,
    collector,
    hooks,
    own_options,
    unsupported,
)

LOADED = ("/sys/kernel/kexec/crash_loaded", "/sys/kernel/kexec_crash_loaded")
STAMP = re.compile(r"kdump-[0-9]{8}T[0-9]{6}Z(-[0-9]+)?\Z")
ACTIONS = (*FINAL_ACTIONS, "shell")
CALLS = ("auto", "kexec_file_load", "kexec_load")
# What keeps makedumpfile from writing the one file that becomes the dump.
NO_DUMP = ("-R", "-g", "-h", "-v", "--split", "--reassemble", "--dump-dmesg", "--mem-usage", "--dry-run", "--check-params", "--help")  # fmt: skip
NO_INITRD = "none"  # CAPTURE_INITRD of a kernel that boots without one
# Services that load a capture kernel of their own.
RIVALS = {"kdump-tools.service": "kdump-tools", "kdump.service": "auto"}
NETWORK_FILE_SYSTEMS = re.compile(r"nfs|cifs|smb|ceph|gluster|9p|virtiofs|fuse\.")
# Distributions whose packages are named differently, or that have no makedumpfile of its own.
PACKAGES = {
    "gentoo": ("sys-apps/kexec-tools", "sys-apps/makedumpfile"),
    "azurelinux": ("kexec-tools",),
    "mariner": ("kexec-tools",),
    "amzn": ("kexec-tools",),
}
# Distributions without a tooling; on the last three, something is in the way, and obstacles() says what.
DISTRIBUTIONS = ("arch", "archarm", "gentoo", "void", "alpine", "nixos")


def _absolute(value: str) -> str:
    if re.match(r"/[A-Za-z0-9_@%+=:,./-]*\Z", value):
        return ""
    return "must be an absolute path of letters, digits and _ @ % + = : , . / - alone"


def _path(value: str) -> str:
    if ".." in value.split("/"):
        return "must be a path without '..'"
    return _absolute(value)


def _initrd(value: str) -> str:
    return "" if value == NO_INITRD else _absolute(value)


def _natural(value: str) -> str:
    # A shell reads more digits as another number.
    return "" if re.match(r"(0|[1-9][0-9]{0,8})\Z", value) else "must be a whole number, 0 or more"


def _one_of(*choices: str) -> t.Callable[[str], str]:
    def check(value: str) -> str:
        return "" if value in choices else f"must be one of: {', '.join(choices)}"

    return check


def _release(value: str) -> str:
    if re.match(r"[A-Za-z0-9][A-Za-z0-9_.+~-]*\Z", value):
        return ""
    return "must be the release of a kernel, as 'uname -r' says it"


def _type(value: str) -> str:
    if re.match(r"[A-Za-z0-9][A-Za-z0-9-]*\Z", value):
        return ""
    return "must be a kind of image, as 'kexec --help' lists them"


def _names(value: str) -> str:
    bad = [word for word in value.split() if not re.match(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z", word)]
    return f"holds {bad[0]!r}, which is no name" if bad else ""


# What is split into words is never more than that.
_WORDS = re.compile(r"[A-Za-z0-9_@%+=:,./ -]*\Z")
_WORDS_RULE = "is split into words, which may hold only letters, digits and _ @ % + = : , . / -"
# What kexec-load itself gives to kexec. Source: kexec/kexec.h of kexec-tools 2.0.33.
_KEXEC_OWN = re.compile(
    r"-[lpuesca]\Z|--(load|load-panic|unload|exec|append|command-line|reuse-cmdline|initrd|ramdisk|dtb|type|args-linux"
    r"|kexec-file-syscall|kexec-syscall|kexec-syscall-auto)(=|\Z)|-t\Z"
)


def _kexec_args(value: str) -> str:
    if not _WORDS.match(value):
        return _WORDS_RULE
    for word in value.split():
        if not word.startswith("-"):
            return f"holds {word!r}, which kexec would take for a kernel; write --option=value"
        if _KEXEC_OWN.match(word):
            return f"holds {word!r}, which kexec-load gives to kexec itself; leave it out"
    return ""


def _collector(value: str) -> str:
    """Return what is wrong with a command that gets /proc/vmcore and the name of a file behind it."""
    if not _WORDS.match(value):
        return _WORDS_RULE
    words = value.split()
    program = os.path.basename(words[0]) if words else ""
    if program not in ("makedumpfile", "cp"):
        return "must begin with 'makedumpfile' or 'cp': the dump is written to a file of this host"
    if program == "cp":
        return ""
    for word in words[1:]:
        if word.split("=")[0] in NO_DUMP:
            return f"has {word}, with which makedumpfile writes no dump, or more than one file; leave it out"
    return arguments_problem(words[1:], 2)


def _arguments(value: str) -> str:
    if "--" in value.split():
        return "holds '--', and a kernel takes nothing that is behind it; leave it out"
    return ""


# Every setting that the scripts read, and what its value must look like.
SETTINGS: t.Dict[str, t.Callable[[str], str]] = {
    "CAPTURE_RELEASE": _release,
    "CAPTURE_KERNEL": _absolute,
    "CAPTURE_INITRD": _initrd,
    "CAPTURE_DTB": _absolute,
    "BOOT_FOLDER": _absolute,
    "COMMANDLINE": _arguments,
    "COMMANDLINE_APPEND": _arguments,
    "COMMANDLINE_REMOVE": _names,
    "IMAGE_TYPE": _type,
    "KEXEC_ARGS": _kexec_args,
    "KEXEC_CALL": _one_of(*CALLS),
    "CORE_COLLECTOR": _collector,
    "DUMP_PATH": _path,
    "DUMPS_TO_KEEP": _natural,
    "EXTRA_MODULES": _names,
    "FAILURE_ACTION": _one_of(*ACTIONS),
    "FINAL_ACTION": _one_of(*FINAL_ACTIONS),
    "FREE_SPACE": _natural,
    "HOOK_TIMEOUT": _natural,
}
# The settings that a variable of the role stands for.
VARIABLES = {
    "CAPTURE_RELEASE": "kdump_kernel_version",
    "CAPTURE_KERNEL": "kdump_capture_kernel",
    "CAPTURE_INITRD": "kdump_capture_initrd",
    "BOOT_FOLDER": "kdump_bootdir",
    "COMMANDLINE": "kdump_commandline",
    "COMMANDLINE_APPEND": "kdump_commandline_append",
    "COMMANDLINE_REMOVE": "kdump_commandline_remove",
    "KEXEC_ARGS": "kdump_kexec_args",
    "CORE_COLLECTOR": "kdump_core_collector",
    "DUMP_PATH": "kdump_path",
    "DUMPS_TO_KEEP": "kdump_dumps_to_keep",
    "EXTRA_MODULES": "kdump_extra_modules",
    "FAILURE_ACTION": "kdump_system_action",
    "FINAL_ACTION": "kdump_final_action",
}


class KexecConf(assignments.ShellFile):
    """/etc/kdump-fleet/kexec.conf: read by the scripts of this collection, with sh."""

    path = kexec_files.CONF
    bash = False

    def problems(self, text: str, release: t.Optional[str] = None) -> t.List[str]:
        found = []
        seen: t.Dict[str, int] = {}
        for line in assignments.lines(text):
            reason = line.reason and f"{line.key or repr(line.text.strip())} {line.reason}"
            if line.adds:
                reason = f"{line.key} is added to with +=, which only bash understands"
            elif line.key and not reason:
                reason = self.setting_problem(line.key, line.value, release)
                reason = reason and f"{self.shown(line.key, line.value)} {reason}"
            if line.key in seen:
                found.append(
                    f"line {line.number}: {line.key} is set again (first in line {seen[line.key]}); the last one counts"
                )
            elif line.key:
                seen[line.key] = line.number
            if reason:
                found.append(f"line {line.number}: {reason}")
        return found

    def setting_problem(self, key: str, value: str, release: t.Optional[str] = None) -> str:
        """Return what is wrong with one setting, or ''. An empty value means the default."""
        del release
        if key not in SETTINGS:
            close = difflib.get_close_matches(key, SETTINGS, 1, 0.6)
            hint = f"did you mean {close[0]}?" if close else f"there are: {', '.join(SETTINGS)}"
            return f"is no setting of {self.path}; {hint}"
        if not value.isprintable():
            return (
                "holds a newline or control character, which ends the setting; write it in one line"
            )
        special = re.search(r"[\"\\$`]", value)
        if special:
            return f"holds {special.group()!r}, which sh does not take as it stands; leave it out"
        return SETTINGS[key](value) if value else ""


class Kexec(Tooling):
    """Our own units around kexec and makedumpfile; the capture kernel boots with the host's ordinary initrd."""

    name = "kexec"
    service = kexec_files.LOAD_UNIT
    config_files = (KexecConf(),)
    program = "kexec"
    generic = True

    def deployed(self, host: Host) -> bool:
        return host.exists(f"{kexec_files.UNITS}/{kexec_files.LOAD_UNIT}")

    def suits(self, distribution: str, like: t.Sequence[str]) -> bool:
        return any(name in DISTRIBUTIONS for name in (distribution, *like))

    def packages(self, distribution: str, version: str) -> t.Tuple[str, ...]:
        del version
        return PACKAGES.get(distribution, ("kexec-tools", "makedumpfile"))

    def kernel(self, settings: t.Mapping[str, str], running: str) -> str:
        return settings.get("CAPTURE_RELEASE") or running

    def observed(self, host: Host) -> t.Dict[str, t.Any]:
        settings = self._settings(host)
        running = host.read_word("/proc/sys/kernel/osrelease") or ""
        image, initrd = images(host, settings, self.kernel(settings, running))
        return {"kernel": image, "initrd": initrd}

    def own_files(self) -> t.Dict[str, OwnFile]:
        return {
            capture.SCRIPT: OwnFile(capture.SCRIPT_TEXT),
            kexec_files.LOAD: OwnFile(kexec_files.LOAD_TEXT, 0o755),
            kexec_files.SAVE: OwnFile(kexec_files.SAVE_TEXT, 0o755),
            f"{kexec_files.UNITS}/{kexec_files.LOAD_UNIT}": OwnFile(kexec_files.LOAD_UNIT_TEXT),
            f"{kexec_files.UNITS}/{kexec_files.SAVE_UNIT}": OwnFile(kexec_files.SAVE_UNIT_TEXT),
        }

    def configure(self, wanted: Wanted, facts: Facts) -> Configuration:
        settings: t.Dict[str, t.Optional[str]] = {
            "DUMP_PATH": wanted.path,
            "FAILURE_ACTION": wanted.system_action,
        }
        for key, value in (
            ("CAPTURE_RELEASE", wanted.kernel_version),
            ("CAPTURE_KERNEL", wanted.capture_kernel),
            ("CAPTURE_INITRD", wanted.capture_initrd),
            ("BOOT_FOLDER", wanted.bootdir),
            ("COMMANDLINE", wanted.commandline),
            ("COMMANDLINE_APPEND", wanted.commandline_append),
            ("KEXEC_ARGS", wanted.kexec_args),
            ("DUMPS_TO_KEEP", wanted.dumps_to_keep),
            ("FINAL_ACTION", wanted.final_action),
        ):
            if value is not None:
                settings[key] = str(value)
        if wanted.commandline_remove:
            names = [name.rstrip("=") for name in wanted.commandline_remove]
            settings["COMMANDLINE_REMOVE"] = " ".join(names)
        if wanted.extra_modules:
            settings["EXTRA_MODULES"] = " ".join(wanted.extra_modules)
        words, _wrong = collector(wanted, kexec_files.DEFAULTS["CORE_COLLECTOR"])
        if words is not None:
            settings["CORE_COLLECTOR"] = " ".join(words)
        options, problems = own_options(wanted, VARIABLES)
        settings.update(options)
        problems += unsupported(wanted, self.name, _unsupported(wanted))
        problems += self._setting_problems(settings)
        problems += _host_problems(wanted, facts)
        files = {
            f"{kexec_files.FOLDER}/{kind}.d/{name}": OwnFile(content, 0o755)
            for kind in ("pre", "post")
            for name, content in hooks(wanted, kind)
        }
        return Configuration(settings, files, {}, problems, _warnings(wanted, facts))

    def _setting_problems(self, settings: t.Mapping[str, t.Optional[str]]) -> t.List[str]:
        found = []
        conf = self.config_files[0]
        for key, value in settings.items():
            # Why an action or the command for the dump is refused, _unsupported() or wanted.problems() said better.
            reason = conf.setting_problem(key, value) if value else ""
            if reason and not (key == "FAILURE_ACTION" and value == "dump_to_rootfs"):
                found.append(
                    f"{VARIABLES.get(key, 'kdump_options')}: {conf.shown(key, value or '')} {reason}"
                )
        return found

    def obstacles(self, host: Host) -> t.List[str]:
        found = []
        if host.exists("/etc/NIXOS"):
            found.append(
                "NixOS writes its units itself; set boot.crashDump.enable in its own configuration instead"
            )
        elif not host.exists("/run/systemd/system"):
            found.append(
                "kexec's units need systemd, and this host was booted by another init; load a capture kernel by a "
                "script of that init's own"
            )
        for service, tooling in RIVALS.items():
            if host.glob(f"/etc/systemd/system/*.wants/{service}"):
                found.append(
                    f"{service} is enabled and loads a capture kernel too, so the two would fight; set kdump_tooling: "
                    f"{tooling}, or disable it: systemctl disable --now {service}"
                )
        return found

    def owns(self, name: str) -> bool:
        return bool(STAMP.match(name)) or name == "lost+found"

    def dump_path(self, settings: t.Mapping[str, str]) -> str:
        return settings.get("DUMP_PATH") or kexec_files.DEFAULTS["DUMP_PATH"]

    def capture_cpus(self, settings: t.Mapping[str, str]) -> int:
        line = f"{settings.get('COMMANDLINE', '')} {settings.get('COMMANDLINE_APPEND', '')}"
        found = re.findall(r"(?:^|\s)(?:nr[_-]cpus|maxcpus)=([0-9]+)", line)
        return int(found[-1]) if found else 1

    def dump_level(self, settings: t.Mapping[str, str]) -> int:
        default = kexec_files.DEFAULTS["CORE_COLLECTOR"]
        return collector_level(settings.get("CORE_COLLECTOR") or default, 31)

    def initrd(self, host: Host, kernel: str) -> Initrd:
        """Look at what the capture kernel boots with; the distribution builds it, and here it is only loaded.

        What is loaded does not follow the files that it came from, so it is stale when they are newer.
        """
        settings = self._settings(host)
        image, initrd = images(host, settings, kernel)
        if not image:
            return Initrd(initrd, kernel, False, [f"there is no kernel {kernel} to load"])
        if initrd and not host.exists(initrd):
            return Initrd(initrd, kernel, False, [f"{initrd} does not exist"])
        running = host.read_word("/proc/sys/kernel/osrelease") or ""
        if not _loaded(host) or kernel != self.kernel(settings, running):
            return Initrd(initrd, kernel, True, [])
        loaded = host.mtime(kexec_files.STAMP)
        if loaded is None:
            return Initrd(initrd, kernel, True, ["what is loaded was loaded by another tooling"])
        stale = []
        for source in (image, initrd, kexec_files.CONF, kexec_files.LOAD):
            changed = host.mtime(source) if source else None
            # A time in the future says nothing: no load could ever be newer.
            if changed is not None and loaded < changed <= time.time():
                stale.append(f"{source} is newer than what is loaded")
        return Initrd(initrd, kernel, True, stale)

    def _settings(self, host: Host) -> t.Dict[str, str]:
        return self.config_files[0].parse(host.read(kexec_files.CONF) or "")

    def build(self, host: Host, kernel: str) -> None:
        # The ordinary initrd is the distribution's; to load it again is what there is to do.
        del host, kernel

    def confirm(self, host: Host, kernel: str) -> None:
        del host, kernel

    def revert(self, host: Host, kernel: str) -> bool:
        del host, kernel
        return False

    def load(self, host: Host) -> None:
        host.run(["systemctl", "daemon-reload"])
        host.run(["systemctl", "restart", self.service], timeout=self.build_timeout)

    def unload(self, host: Host) -> None:
        # 5: there is no such unit, which says nothing about what is loaded.
        host.run(["systemctl", "stop", self.service], (0, 5))
        if _loaded(host):
            # Somebody else has loaded it. Under lockdown, only the second call may take it out.
            try:
                host.run(["kexec", "-p", "-u"])
            except CommandError:
                host.run(["kexec", "-s", "-p", "-u"])

    def dumps(self, host: Host, path: str) -> t.List[Dump]:
        found = []
        for folder in host.glob(path.rstrip("/") + "/kdump-*Z*"):
            if not STAMP.match(os.path.basename(folder)) or not _is_own(host, folder):
                continue
            vmcore, log = f"{folder}/vmcore", f"{folder}/vmcore-dmesg.txt"
            complete = host.exists(vmcore)
            found.append(
                Dump(
                    folder,
                    vmcore if complete else "",
                    log if host.exists(log) else "",
                    (host.size(vmcore) or 0) if complete else 0,
                    host.mtime(vmcore if complete else folder) or 0.0,
                    complete,
                )
            )
        return sorted(found, key=lambda dump: (dump.mtime, dump.folder))


def images(host: Host, settings: t.Mapping[str, str], kernel: str) -> t.Tuple[str, str]:
    """Return the paths of the capture kernel and its initrd as kexec-load finds them; '' for one that there is not."""
    names = {
        "@BOOT@": settings.get("BOOT_FOLDER") or kexec_files.DEFAULTS["BOOT_FOLDER"],
        "@RELEASE@": kernel,
        "@BASE@": host.read_word(f"/usr/lib/modules/{kernel}/pkgbase") or "linux",
        "@MACHINE@": host.read_word("/etc/machine-id") or "none",
    }
    image = initrd = ""
    table: t.Sequence[t.Tuple[str, t.Sequence[str]]] = kexec_files.IMAGES
    if settings.get("CAPTURE_KERNEL"):
        table = [(settings["CAPTURE_KERNEL"], ())]
    for path, initrds in table:
        if host.exists(_named(path, names)):
            image = _named(path, names)
            found = [_named(name, names) for name in initrds]
            initrd = next((name for name in found if host.exists(name)), "")
            break
    given = settings.get("CAPTURE_INITRD", "")
    return image, ("" if given == NO_INITRD else given or initrd)


def _named(path: str, names: t.Mapping[str, str]) -> str:
    for mark, name in names.items():
        path = path.replace(mark, name)
    return path


def _loaded(host: Host) -> bool:
    return any(host.read_word(path) == "1" for path in LOADED)


def _is_own(host: Host, folder: str) -> bool:
    """Say whether a folder is root's: others may write to Ubuntu's /var/crash, and kexec-save counts no folder of theirs."""
    try:
        status = os.lstat(host.path(folder))
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid in (0, os.geteuid())


def _unsupported(wanted: Wanted) -> t.Dict[str, str]:
    """Return why this tooling cannot honour a variable, by its name."""
    no_network = "its capture brings no network up"
    reasons = {
        "target": "its dumps stay on this host, and ones that leave it come with another tooling; mount a device by "
        "/etc/fstab, and set kdump_path to a folder on it",
        "ssh_user": f"{no_network}, so it has no target ssh; leave it out",
        "ssh_server": f"{no_network}, so it has no target ssh; leave it out",
        "sshkey": f"{no_network}, so it has no target ssh; leave it out",
        "ssh_key_type": f"{no_network}, so it has no target ssh; leave it out",
        "ssh_host_keys": f"{no_network}, so it has no target ssh; leave it out",
        "network": f"{no_network}; leave it out",
        "notification": f"{no_network}; look for new dumps once the host is back",
        "fence_nodes": f"{no_network}; give the cluster's fence a longer delay",
        "fence_args": f"{no_network}; give the cluster's fence a longer delay",
        "dracut_args": "it boots the host's ordinary initrd; put them into /etc/dracut.conf.d, or set kdump_capture_initrd",
        "emergency_hooks": "it has no emergency mode; a hook of kdump_post_hooks gets 1 as its argument if the dump failed",
    }
    if wanted.force_rebuild == "always":
        reasons["force_rebuild"] = "it builds no initrd; leave it out"
    if wanted.early:
        reasons["early"] = "its unit loads once the local file systems are mounted; leave it out"
    if wanted.fadump not in (None, "off"):
        reasons["fadump"] = (
            "its capture kernel is loaded by kexec; leave it out, or use another tooling"
        )
    if wanted.auto_reset_crashkernel:
        reasons["auto_reset_crashkernel"] = "nothing of it changes crashkernel=; leave it out"
    if wanted.system_action == "dump_to_rootfs":
        reasons["system_action"] = (
            f"its dumps are on this host's file systems anyway; use one of: {', '.join(ACTIONS)}"
        )
    return reasons


def _host_problems(wanted: Wanted, facts: Facts) -> t.List[str]:
    """Return what on this host is in the way of a variable's value."""
    found = []
    target = facts["target"]
    if target["path"] == wanted.path and NETWORK_FILE_SYSTEMS.match(target["fstype"]):
        found.append(
            f"kdump_path: {wanted.path!r} is on a file system of the network ({target['fstype']}, {target['source']}), and "
            "kexec's capture brings no network up; use a folder on a disk"
        )
    if wanted.capture_kernel and wanted.kernel_version:
        found.append(
            "kdump_kernel_version: is the release of the kernel to look for, and kdump_capture_kernel names one; set one of them"
        )
    chosen = wanted.capture_kernel or wanted.kernel_version or wanted.bootdir
    if not chosen and not facts["tooling"]["rules"].get("kernel", "-"):
        found.append(
            f"kdump_capture_kernel: no kernel {facts['kernel']['release']} was found in /boot by a name that kexec knows; set "
            "kdump_capture_kernel and kdump_capture_initrd"
        )
    return found


def _warnings(wanted: Wanted, facts: Facts) -> t.List[str]:
    found = []
    if wanted.capture_kernel and not wanted.capture_initrd:
        found.append(
            "kdump_capture_kernel: is loaded without an initrd; if it needs one for its root file system, set "
            "kdump_capture_initrd"
        )
    if wanted.commandline is not None and not re.search(r"(?:^|\s)root=", wanted.commandline):
        found.append("kdump_commandline: has no root=, without which most initrds find no system")
    if facts.get("capture", {}).get("luks"):
        found.append(
            "the root file system is encrypted, and the capture kernel's initrd asks for the passphrase as every boot does: "
            "unless a key is in the machine, a crash ends there"
        )
    return found
