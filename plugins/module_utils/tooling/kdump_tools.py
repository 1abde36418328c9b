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
import time
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils import capture
from ansible_collections.kdump.fleet.plugins.module_utils.crashkernel import MIB
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host
from ansible_collections.kdump.fleet.plugins.module_utils.space import collector_level
from ansible_collections.kdump.fleet.plugins.module_utils.ssh_client import OWN_KNOWN_HOSTS
from ansible_collections.kdump.fleet.plugins.module_utils.target import NETWORK as SHARES
from ansible_collections.kdump.fleet.plugins.module_utils.tooling import assignments
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.base import (
    SECRET,
    SECRET_RULE,
    Dump,
    Facts,
    Initrd,
    Place,
    Tooling,
)
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.kdump_conf_file import (
    arguments_problem,
)
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.kdump_tools_files import (
    CONF,
    DUMP_DROPIN_TEXT,
    HOOKS,
    NOTE_UNIT,
    NOTE_UNIT_TEXT,
    SAVE,
    SAVE_DROPIN,
    SAVE_DROPIN_TEXT,
    UNITS,
    save_text,
)
from ansible_collections.kdump.fleet.plugins.module_utils.wanted import (
    Configuration,
    OwnFile,
    Wanted,
    as_text,
    collector,
    hooks,
    own_options,
    ssh_destination,
    unsupported,
)

STATE = "/var/lib/kdump"
SYSCTL = "/etc/kdump/sysctl.conf"
HOOK = "/etc/kernel/postinst.d/kdump-tools"
# A dump's folder: the minute, behind an address or a name if a network target is set too.
STAMP = re.compile(r"(^|-)\d{12}$")
LOADED = "/sys/kernel/kexec_crash_loaded"


def _absolute(value: str) -> str:
    return "" if re.match(r"/[^\s]*$", value) else "must be an absolute path without blanks"


def _natural(value: str) -> str:
    # A shell takes 010 for eight, and 08 for nothing at all.
    if re.match(r"(0|[1-9][0-9]*)\Z", value):
        return ""
    return "must be a whole number, 0 or more, without a zero in front"


def _positive(value: str) -> str:
    # The loops of kdump-config count down to 0 before they try, and NFS refuses a timeout of 0.
    return "" if re.match(r"[1-9][0-9]*\Z", value) else "must be a whole number, 1 or more, without a zero in front"  # fmt: skip


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


# makedumpfile's options with which it does something else than to write one dump.
_OTHER_SHORT = re.compile(r"-[cDeEfFlpRXz]*[ghRv]")
_OTHER_LONG = (
    *("--split", "--reassemble", "--dump-dmesg", "--mem-usage", "--dry-run", "--check-params"),
    "--help",
)


def _makedumpfile(value: str) -> str:
    words = value.split()
    for word in words:
        # Its long options may be cut short.
        name = word.split("=")[0]
        if _OTHER_SHORT.match(word) or (
            name.startswith("--") and any(option.startswith(name) for option in _OTHER_LONG)
        ):
            return f"has {word}, with which makedumpfile writes no dump, or more than one file; leave it out"
    # kdump-config adds -F unless it comes first; so the dump goes to its standard output, and there is one file.
    given = words if value.startswith("-F") else [*words, "-F"]
    return arguments_problem(given, 1).replace("mkdumprd", "kdump-config")


def _ssh(value: str) -> str:
    if "/" in value:
        return "must be user@host, without ssh:// and without a folder, which is KDUMP_COREDIR's"
    if re.match(r"[^@]*:[^@]*@", value):
        return "has a password, which ssh never takes; put the path of a key into SSH_KEY"
    match = re.match(r"[^\s@:-][^\s@:]*@([^\s@-][^\s@]*)\Z", value)
    if match is None:
        return "must be user@host"
    host = match.group(1)
    if "[" in host:
        return "has brackets, which ssh takes for a part of the name; write an IPv6 address without them"
    # Its own scp could not copy to one; save-dump sends the log in the dump's own way.
    if re.match(r"[0-9A-Fa-f:.]+(%[A-Za-z0-9_.-]+)?\Z", host) and host.count(":") > 1:
        return ""
    if ":" in host:
        return "has a port, which kdump-tools cannot honour; put it into /root/.ssh/config, for this host"
    return ""


def _nfs(value: str) -> str:
    return (
        ""
        if re.match(r"(\[[0-9a-fA-F:]+\]|[^\s:\[\]/-][^\s:]*):/[^\s]*\Z", value)
        else "must be host:/export"
    )


def _ftp(value: str) -> str:
    if "@" in value:
        return (
            "has a user; set FTP_USER. A password is a secret: write FTP_PASSWORD into /etc/default/kdump-tools on the "
            "host, where it is kept"
        )
    if "://" in value:
        return "is a URL; write host:/folder"
    # kdump-config cuts it at the first colon.
    if not re.match(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*(:/[A-Za-z0-9_%+=:,./-]*)?\Z", value):
        return "must be host or host:/folder; a port goes into FTP_PORT, and an IPv6 address needs a name in /etc/hosts"
    return ""


def _one_word(value: str) -> str:
    # kdump-config hands it to ftpput without quotes.
    return "must be one word without any of * ? [" if re.search(r"[\s*?\[]", value) else ""


_KEXEC_OTHER = re.compile(
    r"-[a-z]*[ehluvS]|--(load|exec|unload|help|version|status|append|command-line|reuse-cmdline|initrd|ramdisk)(=|\Z)"
)


def _kexec(value: str) -> str:
    for word in value.split():
        if _KEXEC_OTHER.match(word):
            return f"has {word}, with which kexec loads no capture kernel, or which kdump-config sets behind it; leave it out"
    return ""


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
    "KDUMP_KEXEC_ARGS": _kexec,
    "KDUMP_CMDLINE": _anything,
    "KDUMP_CMDLINE_APPEND": _anything,
    "HOSTTAG": _one_of("ip", "hostname"),
    "NFS": _nfs,
    "NFS_TIMEO": _positive,
    "NFS_RETRANS": _natural,
    "NFS_MOUNT_RETRY": _positive,
    "SSH": _ssh,
    "SSH_KEY": _absolute,
    "SSH_KDUMP_RETRY": _positive,
    "FTP": _ftp,
    "FTP_USER": _one_word,
    "FTP_PASSWORD": _one_word,
    "FTP_PORT": _positive,
}


# What a later release may come to read.
PLAUSIBLE = re.compile(r"(?:KDUMP|MAKEDUMP|NFS|SSH|FTP)_[A-Z0-9_]+\Z")
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
# The quotes around these are lost when the words that kdump-config evaluates are split.
GLOBBED = ("KDUMP_CMDLINE", "KDUMP_CMDLINE_APPEND")
# Of the package's file: links that it keeps to the running kernel and to its own initrd.
IMAGES = {"KDUMP_KERNEL": f"{STATE}/vmlinuz", "KDUMP_INITRD": f"{STATE}/initrd.img"}

# dump_to_rootfs is our script's; what ends the capture behind it is a reboot.
ACTIONS = {
    "reboot": "reboot -f",
    "halt": "halt -f",
    "poweroff": "poweroff -f",
    "dump_to_rootfs": "reboot -f",
}
NETWORK = ("SSH", "NFS", "FTP")
# The settings that a variable of the role stands for.
VARIABLES = {
    "USE_KDUMP": "kdump_crashkernel",
    "KDUMP_COREDIR": "kdump_path",
    "KDUMP_FAIL_CMD": "kdump_system_action",
    "MAKEDUMP_ARGS": "kdump_core_collector",
    "KDUMP_NUM_DUMPS": "kdump_dumps_to_keep",
    "SSH": "kdump_target",
    "SSH_KEY": "kdump_sshkey",
    "NFS": "kdump_target",
    "FTP": "kdump_target",
    "KDUMP_CMDLINE": "kdump_commandline",
    "KDUMP_KEXEC_ARGS": "kdump_kexec_args",
    "KDUMP_KERNEL": "kdump_capture_kernel",
    "KDUMP_INITRD": "kdump_capture_initrd",
    "HOSTTAG": "kdump_network",
    "NFS_TIMEO": "kdump_network",
    "NFS_MOUNT_RETRY": "kdump_network",
    "SSH_KDUMP_RETRY": "kdump_network",
}
# Of 1.8.1 and later on amd64, for a plan before the package is there.
_COMMANDLINE_APPEND = (
    "reset_devices systemd.unit=kdump-tools-dump.service nr_cpus=1 irqpoll usbcore.nousb"
)
# A capture kernel that panics would hang for ever.
_PANIC = "panic=10"


# A password before a host's name, where none belongs; whatever is between the first colon and the last @.
_LOGIN = re.compile(r"\A((?:\w+://)?[^:]*:(?!//)).*(?=@)", re.S)
# The same where it is no good assignment, such as one in a comment.
_LOGIN_LINE = re.compile(r"\b(?:SSH|FTP)[ \t]*\+?=.*:(?!//).*@")


class KdumpToolsConf(assignments.ShellFile):
    """/etc/default/kdump-tools: read by sh, and by systemd as an EnvironmentFile."""

    path = CONF
    secrets = ("FTP_PASSWORD",)
    bash = False

    def problems(self, text: str, release: t.Optional[str] = None) -> t.List[str]:
        found = []
        seen: t.Dict[str, int] = {}
        shown = self.redact(text).split("\n")
        for line in assignments.lines(text, bash=False):
            reason = line.reason
            if line.adds and not reason:
                reason = "is added to with +=, which only bash understands; write the whole value"
            if line.key and line.key in seen:
                found.append(
                    f"line {line.number}: {line.key} is set again (first in line {seen[line.key]}); the last one counts"
                )
            if line.key and not reason:
                seen.setdefault(line.key, line.number)
                reason = self.setting_problem(line.key, line.value, release)
                if reason:
                    reason = f"{self.shown(line.key, line.value)} {reason}"
            elif reason:
                reason = f"{line.key or repr(shown[line.number - 1].strip())} {reason}"
            if reason:
                found.append(f"line {line.number}: {reason}")
        return found + [f"{key} {reason}" for key, reason in _half(self.parse(text))]

    def setting_problem(self, key: str, value: str, release: t.Optional[str] = None) -> str:
        """Return what is wrong with one setting, or ''. An empty value means unset to kdump-tools."""
        del release
        if key not in SETTINGS:
            close = difflib.get_close_matches(key, SETTINGS, 1, 0.8)
            if close:
                return f"is no setting of kdump-tools; did you mean {close[0]}?"
            if not PLAUSIBLE.match(key):
                return f"is no setting of kdump-tools; it reads: {', '.join(sorted(SETTINGS))}"
        if self.secret(key) and value == SECRET:
            # It stands for one that cannot be looked at.
            return ""
        if not value.isprintable():
            return (
                "holds a newline or control character, which ends the setting; write it in one line"
            )
        special = re.search(r"[\"\\$`]", value)
        if special:
            # The file is read by sh and, as EnvironmentFile=, by systemd.
            what = "a quote, $, ` or backslash" if self.secret(key) else repr(special.group())
            return f"holds {what}, which sh and systemd read differently; leave it out"
        globbed = re.search(r"[*?\[]", value) if key in GLOBBED else None
        if globbed:
            return f"holds {globbed.group()!r}, for which kdump-config may put the names of files; leave it out"
        if key in EVALUATED and not re.match(r"[A-Za-z0-9_@%+=:,./ -]*\Z", value):
            return (
                "goes into a command that kdump-config evaluates, so it may hold only letters, digits, blanks "
                "and _ @ % + = : , . / -"
            )
        return SETTINGS[key](value) if value and key in SETTINGS else ""

    def setting_warning(self, key: str, value: str, release: t.Optional[str] = None) -> str:
        del value, release
        if key == "KDUMP_SYSCTL":
            return "is read by kdump-tools 1.6.7 (Ubuntu 20.04) alone; set kdump_panic_on"
        return "" if key in SETTINGS else "is no setting that kdump-tools 1.6.7 to 1.10.9 reads"

    def masked(self, key: str, value: str) -> str:
        """Return a value as facts may hold it: without its secret, also one that has no place there."""
        value = super().masked(key, value)
        return _LOGIN.sub(rf"\g<1>{SECRET}", value) if key in ("SSH", "FTP") else value

    def suspicious(self, text: str) -> bool:
        return super().suspicious(text) or bool(_LOGIN_LINE.search(text))

    def shown(self, key: str, value: str) -> str:
        return super().shown(key, self.masked(key, value))


def _half(settings: t.Mapping[str, str]) -> t.Iterator[t.Tuple[str, str]]:
    """Yield the one of KDUMP_KERNEL and KDUMP_INITRD that is missing beside the other, and what comes of it."""
    kernel, initrd = settings.get("KDUMP_KERNEL"), settings.get("KDUMP_INITRD")
    if kernel and not initrd:
        yield (
            "KDUMP_INITRD",
            "is not set, and KDUMP_KERNEL is: it would boot without an initrd; set both, or neither",
        )
    if initrd and not kernel:
        yield (
            "KDUMP_KERNEL",
            "is not set, and KDUMP_INITRD is ignored without it; set both, or neither",
        )


class KdumpTools(Tooling):
    """kdump-tools with an initrd made by initramfs-tools."""

    name = "kdump-tools"
    service = "kdump-tools.service"
    config_files = (KdumpToolsConf(),)
    program = "kdump-config"
    known_hosts = OWN_KNOWN_HOSTS  # by the script that saves the dump

    def suits(self, distribution: str, like: t.Sequence[str]) -> bool:
        return distribution in ("debian", "ubuntu") or "debian" in like

    def packages(self, distribution: str, version: str) -> t.Tuple[str, ...]:
        del distribution, version
        # makedumpfile and initramfs-tools-core are only recommended, so a host that installs no recommended
        # packages would have a kdump-tools that can write no dump.
        return ("kdump-tools", "makedumpfile", "kexec-tools", "initramfs-tools-core")

    def kernel(self, settings: t.Mapping[str, str], running: str) -> str:
        match = re.match(r"/boot/vmlinuz-(.+)\Z", settings.get("KDUMP_KERNEL", ""))
        return match.group(1) if match else running

    def own_files(self) -> t.Dict[str, OwnFile]:
        return {
            capture.SCRIPT: OwnFile(capture.SCRIPT_TEXT),
            capture.CALM: OwnFile(capture.CALM_TEXT),
            f"{UNITS}/{NOTE_UNIT}": OwnFile(NOTE_UNIT_TEXT),
            f"{UNITS}/kdump-tools-dump.service.d/kdump-fleet.conf": OwnFile(DUMP_DROPIN_TEXT),
        }

    def observed(self, host: Host) -> t.Dict[str, t.Any]:
        # What it appends to the capture kernel's command line unless it is told otherwise, by release and architecture.
        match = re.search(
            r"^KDUMP_CMDLINE_APPEND=\$\{KDUMP_CMDLINE_APPEND:=\"([^\"$`]*)\"\}",
            host.read("/usr/sbin/kdump-config") or "",
            re.M,
        )
        return {"commandline_append": match.group(1) if match else None}

    def wanted(self, wanted: Wanted) -> Wanted:
        path = wanted.kdump_tools.get("KDUMP_COREDIR")
        return wanted._replace(path=path) if isinstance(path, str) and path else wanted

    def configure(self, wanted: Wanted, facts: Facts) -> Configuration:
        settings: t.Dict[str, t.Optional[str]] = {
            "USE_KDUMP": "1",
            "KDUMP_COREDIR": wanted.path,
            "KDUMP_FAIL_CMD": ACTIONS.get(wanted.system_action),
            **_target_settings(wanted),
        }
        options, problems = own_options(wanted, VARIABLES)
        words, _wrong = collector(wanted, "makedumpfile -c -d 31")
        if words is not None and words[:1] != ["makedumpfile"]:
            problems.append(
                f"kdump_core_collector: {wanted.core_collector!r} must begin with 'makedumpfile': "
                "kdump-tools can use no other program"
            )
        elif words:
            # Unset means -c -d 31, and a bare makedumpfile does nothing of the kind.
            settings["MAKEDUMP_ARGS"] = " ".join(words[1:]) or "-d 0"
        for key, value in (
            ("KDUMP_NUM_DUMPS", wanted.dumps_to_keep),
            ("SSH_KEY", wanted.sshkey),
            ("KDUMP_CMDLINE", wanted.commandline),
            ("KDUMP_KEXEC_ARGS", wanted.kexec_args),
            ("KDUMP_KERNEL", wanted.capture_kernel),
            ("KDUMP_INITRD", wanted.capture_initrd),
        ):
            if value is not None:
                settings[key] = str(value)
        if wanted.kernel_version:
            settings["KDUMP_KERNEL"] = f"/boot/vmlinuz-{wanted.kernel_version}"
            settings["KDUMP_INITRD"] = f"{STATE}/initrd.img-{wanted.kernel_version}"
        append, wrong = _commandline_append(wanted, facts)
        problems += wrong
        if append is not None:
            settings["KDUMP_CMDLINE_APPEND"] = append
        network, wrong = _network_settings(wanted)
        settings.update(network)
        problems += wrong
        given, wrong = as_text("kdump_kdump_tools", wanted.kdump_tools)
        problems += wrong
        if given.get("USE_KDUMP", "1") != "1":
            problems.append(
                f"kdump_kdump_tools: USE_KDUMP={given['USE_KDUMP']!r} asks for a host without dumps; set kdump_state: absent"
            )
        names = {
            **VARIABLES,
            **dict.fromkeys(options, "kdump_options"),
            **dict.fromkeys(given, "kdump_kdump_tools"),
        }
        settings.update({**options, **given})
        if wanted.exclusive and not set(IMAGES) & set(settings):
            # The package's file sets them; without, the host's own big initrd would be loaded.
            settings.update(IMAGES)
        problems += _dropped(wanted) + self._problems(settings, names)
        kept = {} if wanted.exclusive else facts["tooling"]["settings"]
        merged = {key: value for key, value in {**kept, **settings}.items() if value}
        leaves = self.leaves_the_host(merged)
        problems += unsupported(wanted, self.name, _unsupported(wanted, facts, leaves))
        problems += [] if leaves else _on_a_share(wanted, facts)
        if set(IMAGES) & set(settings):
            problems += [f"{VARIABLES[key]}: {key} {reason}" for key, reason in _half(merged)]
        arguments = {} if wanted.fadump is None else {"fadump": _fadump(wanted)}
        return Configuration(settings, _capture_files(wanted, leaves), arguments, problems, [])

    def _problems(
        self, settings: t.Mapping[str, t.Optional[str]], names: t.Mapping[str, str]
    ) -> t.List[str]:
        """Return what is wrong with single settings.

        :param names: of the variables that they come from.
        """
        found = []
        conf = self.config_files[0]
        for key, value in list(settings.items()):
            if value is None:
                continue
            reason = SECRET_RULE if conf.secret(key) else conf.setting_problem(key, value)
            if reason:
                name = names.get(key, "kdump_options")
                found.append(f"{name}: {conf.shown(key, value)} {reason}")
        return found

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

    def ssh_key(self, settings: t.Mapping[str, str]) -> str:
        return settings.get("SSH_KEY", "")

    def dump_level(self, settings: t.Mapping[str, str]) -> int:
        return collector_level(f"makedumpfile {settings.get('MAKEDUMP_ARGS') or '-c -d 31'}", 31)

    def leaves_the_host(self, settings: t.Mapping[str, str]) -> bool:
        return any(settings.get(key) for key in NETWORK)

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

    def place(self, wanted: Wanted, settings: t.Mapping[str, str]) -> t.Optional[Place]:
        if settings.get("FTP"):
            server, _colon, folder = settings["FTP"].partition(":")
            port, user = settings.get("FTP_PORT", ""), settings.get("FTP_USER", "")
            return Place("ftp", server, folder or "/", "", False, port, user)
        if settings.get("SSH"):
            return None
        if settings.get("NFS"):
            # Source: kdump-config, which mounts the share on KDUMP_COREDIR and makes a folder in it.
            times = f"timeo={settings.get('NFS_TIMEO') or 600},retrans={settings.get('NFS_RETRANS') or 3}"
            return Place("nfs", settings["NFS"], "/", f"nolock,tcp,soft,{times}")
        return Place("path", "", wanted.path)

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


def _target_settings(wanted: Wanted) -> t.Dict[str, t.Optional[str]]:
    """Return what kdump_target comes to; a new one takes the others out, which kdump-tools would all serve."""
    if wanted.target is None:
        return {}
    kind = wanted.target["type"].upper()
    location = ssh_destination(wanted) if kind == "SSH" else wanted.target["location"]
    if kind == "SSH":
        location = re.sub(r"@\[([^\]]*)\]\Z", r"@\1", location)
    if kind == "FTP":
        # Other toolings take a URL.
        location = re.sub(r"\A([^:/@]+)/", r"\1:/", re.sub(r"\Aftp://", "", location))
    return {key: location if key == kind else None for key in NETWORK}


def _commandline_append(wanted: Wanted, facts: Facts) -> t.Tuple[t.Optional[str], t.List[str]]:
    """Return KDUMP_CMDLINE_APPEND: the package's own words, the wanted ones behind them, and what ends a panic.

    Without any that are wanted, the file's own words stay.
    """
    more = (wanted.commandline_append or "").split()
    if wanted.extra_modules:
        # systemd-modules-load reads it, once the root file system is there.
        more.append("modules_load=" + ",".join(wanted.extra_modules))
    tooling = facts["tooling"]
    default = tooling["rules"].get("commandline_append")
    if default is None and not tooling.get("installed"):
        default = _COMMANDLINE_APPEND
    own = "" if wanted.exclusive else tooling["settings"].get("KDUMP_CMDLINE_APPEND", "")
    if more and default is None:
        return None, [
            "kdump_commandline_append: what this host's kdump-config appends by itself depends on the machine, so nothing can "
            "be added to it; set the whole of it, kdump_options: {KDUMP_CMDLINE_APPEND: ...}"
        ]
    text = " ".join([default, *more]) if more else own or default
    ended = re.search(r"(^|\s)panic=", f"{wanted.commandline or ''} {text}")
    if text is None or (ended and not more):
        return None, []
    if text == own and KdumpToolsConf().setting_problem("KDUMP_CMDLINE_APPEND", own):
        # It is its owner's to repair.
        return None, []
    return (text if ended else f"{text} {_PANIC}"), []


def _dropped(wanted: Wanted) -> t.List[str]:
    """Return what is set and would come to nothing beside something else that is set."""
    kind = (wanted.target or {}).get("type")
    found = []
    images = [name for name in ("capture_kernel", "capture_initrd") if getattr(wanted, name)]
    if wanted.kernel_version and images:
        found.append(
            f"kdump_kernel_version: chooses kernel and initrd, and so does kdump_{images[0]}; set one or the other"
        )
    appended = [name for name in ("commandline_append", "extra_modules") if getattr(wanted, name)]
    if "KDUMP_CMDLINE_APPEND" in wanted.options and appended:
        found.append(
            f"kdump_options: KDUMP_CMDLINE_APPEND is all that is appended, so that kdump_{appended[0]} would come to "
            "nothing; set one or the other"
        )
    if kind == "ftp" and wanted.path != Wanted().path:
        found.append(
            f"kdump_path: {wanted.path!r} is not where an ftp target's dumps go; name the folder in its location, such as "
            f"server:{wanted.path}, and leave kdump_path out"
        )
    if (
        wanted.target is not None
        and wanted.dumps_to_keep
        and wanted.system_action != "dump_to_rootfs"
    ):
        found.append(
            "kdump_dumps_to_keep: kdump-tools deletes nothing on another host; leave it out, and let that host do it"
        )
    for name, kinds in (("timeout", ("nfs",)), ("retries", ("nfs", "ssh"))):
        if name in wanted.network and kind is not None and kind not in kinds:
            found.append(
                f"kdump_network: {name!r} is for a target of type {' or '.join(kinds)} with kdump-tools; leave it out"
            )
    return found


def _network_settings(wanted: Wanted) -> t.Tuple[t.Dict[str, t.Optional[str]], t.List[str]]:
    settings: t.Dict[str, t.Optional[str]] = {}
    problems = []
    for name, value in wanted.network.items():
        if name == "timeout":
            settings["NFS_TIMEO"] = f"{value}0"  # tenths of a second
        elif name == "retries":
            settings.update(NFS_MOUNT_RETRY=str(value), SSH_KDUMP_RETRY=str(value))
        elif name == "host_tag":
            settings["HOSTTAG"] = str(value)
        else:
            problems.append(
                f"kdump_network: kdump-tools cannot honour {name!r}: its capture boots the host's own network; "
                "it has timeout, retries and host_tag"
            )
    return settings, problems


def _fadump(wanted: Wanted) -> t.List[str]:
    return [] if wanted.fadump == "off" else [str(wanted.fadump)]


def _unsupported(wanted: Wanted, facts: Facts, leaves: bool) -> t.Dict[str, str]:
    """Return why kdump-tools cannot honour a variable, by its name.

    :param leaves: dumps go over the network.
    """
    reasons = {
        "bootdir": "it looks in /boot alone; set kdump_capture_kernel and kdump_capture_initrd",
        "commandline_remove": "it can only replace the whole line; set kdump_commandline",
        "dracut_args": "its initrd is made by initramfs-tools",
        "early": "it has no capture before the root file system is mounted",
        "emergency_hooks": "its capture has no emergency shell; set kdump_system_action",
        "fence_nodes": "it knows no cluster; run fence_kdump_send in one of kdump_pre_hooks",
        "fence_args": "it knows no cluster; run fence_kdump_send in one of kdump_pre_hooks",
        "notification": "it tells nobody; do so in one of kdump_post_hooks",
    }
    if wanted.auto_reset_crashkernel:
        reasons["auto_reset_crashkernel"] = "nothing of it changes crashkernel="
    if wanted.force_rebuild != "auto":
        reasons["force_rebuild"] = (
            "it builds its initrd with every kernel, and kdump_load builds one that is stale"
        )
    if wanted.system_action not in ACTIONS:
        reasons["system_action"] = (
            f"it runs a command without a console; use one of: {', '.join(ACTIONS)}"
        )
    elif wanted.system_action == "dump_to_rootfs" and not leaves:
        reasons["system_action"] = (
            "its dumps are on this host's own file systems anyway; use reboot, halt or poweroff, or set a kdump_target"
        )
    kind = (wanted.target or {}).get("type")
    if kind is not None and kind not in ("ssh", "nfs", "ftp"):
        reasons["target"] = (
            f"it has no target {kind!r}, only ssh, nfs and ftp; mount the device and set kdump_path to a folder on it"
        )
    if wanted.fadump is not None and facts["architecture"] != "ppc64le":
        reasons["fadump"] = "it is there on ppc64le alone"
    return reasons


def _on_a_share(wanted: Wanted, facts: Facts) -> t.List[str]:
    """Return why no dump would get to a path that a server holds.

    Source: kdump-tools-dump.service, the target of the capture's boot. It pulls in local file systems, and no remote-fs.target: the
    dump would lie on the disk below the mount point, where the host does not see it.
    """
    target = facts["target"]
    if target["path"] != wanted.path or not SHARES.match(target["fstype"]):
        return []
    return [
        f"kdump_path: {wanted.path!r} is on a share ({target['fstype']}, {target['source']}), which kdump-tools' capture does not "
        "mount; set kdump_target to it if it is of NFS, or use a folder on a disk"
    ]


def _capture_files(wanted: Wanted, leaves: bool) -> t.Dict[str, OwnFile]:
    """Return the files for what kdump-tools itself does not have: hooks, another end, a network dump whose failure counts.

    :param leaves: dumps go over the network.
    """
    final = wanted.final_action or "reboot"
    if not wanted.pre_hooks and not wanted.post_hooks and final == "reboot" and not leaves:
        return {}
    files = {
        f"{HOOKS}/{kind}.d/{name}": OwnFile(content, 0o755)
        for kind in ("pre", "post")
        for name, content in hooks(wanted, kind)
    }
    rootfs = wanted.system_action == "dump_to_rootfs"
    files[SAVE] = OwnFile(save_text(ACTIONS[final], rootfs), 0o755)
    files[SAVE_DROPIN] = OwnFile(SAVE_DROPIN_TEXT)
    return files
