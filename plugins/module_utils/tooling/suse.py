# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""SUSE's kdump: /etc/sysconfig/kdump, mkdumprd, a dracut initrd that saves the dump by itself.

Source of its behaviour: github.com/openSUSE/kdump, branches SLE-15-SP4 to SP7, SLFO-1.2 (SLES 16) and master (2.1.9).
"""

import os
import re
import shutil
import time
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils import baked, ssh_client
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host
from ansible_collections.kdump.fleet.plugins.module_utils.runner import CommandError
from ansible_collections.kdump.fleet.plugins.module_utils.tooling import assignments
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.base import (
    SECRET_RULE,
    Dump,
    Facts,
    Initrd,
    Place,
    Tooling,
)
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.suse_sysconfig import (
    COMMANDLINE,
    MAIL_AT_BOOT,
    SCRIPTS,
    SuseSysconfig,
    Version,
    parse_savedir,
    together,
    version_of,
)
from ansible_collections.kdump.fleet.plugins.module_utils.wanted import (
    FILE_SYSTEMS,
    MAKEDUMPFILE_VALUED,
    Configuration,
    OwnFile,
    Wanted,
    collector,
    hooks,
    interpreter,
    own_options,
    single_options,
    ssh_destination,
    ssh_location,
    unsupported,
)

STATE = "/var/lib/kdump"
INITRD = STATE + "/initrd"
KERNEL_LINK = STATE + "/kernel"
KERNEL_NOTE = STATE + "/kernel-version"
LOAD = "/usr/lib/kdump/load.sh"
UNLOAD = "/usr/lib/kdump/unload.sh"
READ_CONFIG = "/usr/lib/kdump/kdump-read-config.sh"  # there since 1.9
FENCE = "/usr/lib/fence_kdump_send"
HOOKS = "/etc/kdump-fleet/hooks"
KEPT = ".kdump-fleet"  # behind the name of a file from before the last build
# A dump's folder: of this host, or behind the name of another one.
STAMP = re.compile(r"(?:^|-)\d{4}-\d\d-\d\d-\d\d[-:]\d\d\Z")
_IMAGE = re.compile(r"/lib/modules/([^/]+)/|/(?:vmlinuz|vmlinux|image|Image)-([^/]+?)(?:\.gz)?\Z")
_KEYS = ("id_rsa", "id_dsa", "id_ecdsa", "id_ed25519")
_FADUMP_APPEND = (
    "numa=off cgroup_disable=memory cma=0 kvm_cma_resv_ratio=0 hugetlb_cma=0 transparent_hugepage=never "
    "novmcoredd udev.children-max=2"
)

# The settings that a variable of the role stands for.
VARIABLES = {
    "KDUMP_CRASHKERNEL": "kdump_crashkernel",
    "KDUMP_UPDATE_BOOTLOADER": "kdump_crashkernel",
    "KDUMP_KERNELVER": "kdump_kernel_version",
    "KDUMP_CPUS": "kdump_threads",
    "KDUMP_COMMANDLINE": "kdump_commandline",
    "KDUMP_COMMANDLINE_APPEND": "kdump_commandline_append",
    "FADUMP_COMMANDLINE_APPEND": "kdump_commandline_append",
    "KDUMP_FADUMP": "kdump_fadump",
    "KEXEC_OPTIONS": "kdump_kexec_args",
    "MAKEDUMPFILE_OPTIONS": "kdump_core_collector",
    "KDUMP_DUMPLEVEL": "kdump_dump_level",
    "KDUMP_DUMPFORMAT": "kdump_compression",
    "KDUMP_IMMEDIATE_REBOOT": "kdump_system_action",
    "KDUMP_CONTINUE_ON_ERROR": "kdump_system_action",
    "KDUMP_SAVEDIR": "kdump_target",
    "KDUMP_KEEP_OLD_DUMPS": "kdump_dumps_to_keep",
    "KDUMP_REQUIRED_PROGRAMS": "kdump_extra_bins",
    "KDUMP_PRESCRIPT": "kdump_pre_hooks",
    "KDUMP_POSTSCRIPT": "kdump_post_hooks",
    "KDUMP_NETCONFIG": "kdump_network",
    "KDUMP_NET_TIMEOUT": "kdump_network",
    "KDUMP_SMTP_SERVER": "kdump_notification",
    "KDUMP_SMTP_USER": "kdump_notification",
    "KDUMP_NOTIFICATION_TO": "kdump_notification",
    "KDUMP_NOTIFICATION_CC": "kdump_notification",
    "KDUMP_SSH_IDENTITY": "kdump_sshkey",
}
_NETWORK = {"config": "KDUMP_NETCONFIG", "timeout": "KDUMP_NET_TIMEOUT"}
_NOTIFICATION = {
    "smtp_server": "KDUMP_SMTP_SERVER",
    "smtp_user": "KDUMP_SMTP_USER",
    "to": "KDUMP_NOTIFICATION_TO",
    "cc": "KDUMP_NOTIFICATION_CC",
}
# makedumpfile's options for the formats; without one it writes its own format, which SUSE has no name for, and ELF
# is the other one that is not compressed.
_FORMATS = {"-E": "ELF", "-c": "compressed", "-l": "lzo", "-p": "snappy", "-z": "zstd"}
_OPTIONS = {name: option for option, name in _FORMATS.items()}

# kdump-save runs one command, and before 2.1.1 without a shell, so the hooks need a script that runs them. What
# stands behind the script is run last: mkdumprd looks for fence_kdump_send in the setting.
_HOOKS_TEXT = f"""\
#!/bin/bash
# Managed by Ansible (kdump.fleet): local changes are lost at its next run.
# In a capture kernel: runs the hooks one after the other, and the command that it is given.
result=0
for hook in {HOOKS}/@KIND@.d/*; do
    if [ -x "$hook" ] && ! "$hook"; then
        echo "kdump-fleet: $hook failed"
        result=1
    fi
done
if [ $# -gt 0 ] && ! "$@"; then
    result=1
fi
exit "$result"
"""


class Suse(Tooling):
    """SUSE's kdump, on SLES, SLE Micro, Leap, Tumbleweed and MicroOS."""

    name = "suse"
    service = "kdump.service"
    config_files = (SuseSysconfig(),)
    program = "kdumptool"
    load_timeout = 300  # seconds; it reads two files and asks the kernel

    def suits(self, distribution: str, like: t.Sequence[str]) -> bool:
        names = [distribution, *like]
        return any(re.match(r"(sles|sled|sle-micro|sl-micro|opensuse|suse)", name) for name in names)  # fmt: skip

    def packages(self, distribution: str, version: str) -> t.Tuple[str, ...]:
        del distribution, version
        return ("kdump", "kexec-tools", "makedumpfile")

    def kernel(self, settings: t.Mapping[str, str], running: str) -> str:
        wanted = settings.get("KDUMP_KERNELVER", "")
        return _release_of(wanted) if wanted.startswith("/") else wanted or running

    def release(self, host: Host) -> t.Optional[str]:
        answer = host.ask(["rpm", "--query", "--queryformat", "%{VERSION}", "kdump"]) or ""
        return answer if re.match(r"\d\.\d", answer) else None

    def observed(self, host: Host) -> t.Dict[str, t.Any]:
        return {
            "calibrate": _calibrated(host),
            "fence": host.exists(FENCE),
            "mail": host.runner.which("mailx") is not None,
        }

    def configure(self, wanted: Wanted, facts: Facts) -> Configuration:
        version = _version(facts)
        settings: t.Dict[str, t.Optional[str]] = {
            "KDUMP_IMMEDIATE_REBOOT": "true",
            # Otherwise a failure opens a shell.
            "KDUMP_CONTINUE_ON_ERROR": "false" if wanted.system_action == "shell" else "true",
        }
        if version >= COMMANDLINE:
            # kdump-commandline.service would undo what the plan sets, at every boot.
            settings["KDUMP_UPDATE_BOOTLOADER"] = "false"
        for key, value in (
            ("KDUMP_SSH_IDENTITY", wanted.sshkey),
            ("KDUMP_COMMANDLINE", wanted.commandline),
            ("KEXEC_OPTIONS", wanted.kexec_args),
            ("KDUMP_KERNELVER", wanted.kernel_version or wanted.capture_kernel),
        ):
            if value is not None:
                settings[key] = value
        problems: t.List[str] = []
        warnings: t.List[str] = []
        if wanted.ssh_host_keys and ssh_location(wanted):
            # Its own place for what the initrd is to trust; it has room for one key.
            settings["KDUMP_HOST_KEY"] = ssh_client.host_key(wanted.ssh_host_keys[0])
        for part in (_target, _collected, _kept_dumps, _scripts, _network, _notified, _arguments):
            found = part(wanted, facts, version)
            settings.update(found.settings)
            problems += found.problems
            warnings += found.warnings
        options, wrong = own_options(wanted, VARIABLES)
        settings.update(options)
        problems += wrong + unsupported(wanted, "SUSE's kdump", _unsupported(wanted, facts))
        problems += self._setting_problems(settings, set(options), version)
        problems += _combined(settings, _settings(facts), version)
        if wanted.early is False:
            warnings.append(
                "kdump_early: false: has no effect on this host: kdump-early.service comes with SUSE's kdump.service, and loads "
                "the capture kernel as soon as the local file systems are there"
            )
        warnings += self._setting_warnings(settings, set(options), version)
        arguments = {}
        if wanted.fadump is not None:
            arguments["fadump"] = _fadump(wanted, {**_settings(facts), **settings})
        return Configuration(settings, _hook_files(wanted), arguments, problems, warnings)

    def _setting_problems(
        self, settings: t.Mapping[str, t.Optional[str]], own: t.Set[str], version: Version
    ) -> t.List[str]:
        conf, found = self.config_files[0], []
        for key, value in settings.items():
            if value is None:
                continue
            reason = conf.setting_problem(key, value, _text(version))
            if key in own and conf.masked(key, value) != value:
                reason = SECRET_RULE
            if reason:
                name = "kdump_options" if key in own else VARIABLES[key]
                found.append(f"{name}: {conf.shown(key, value)} {reason}")
        return found

    def _setting_warnings(
        self, settings: t.Mapping[str, t.Optional[str]], own: t.Set[str], version: Version
    ) -> t.List[str]:
        conf, found = self.config_files[0], []
        for key, value in settings.items():
            reason = conf.setting_warning(key, value, _text(version)) if value is not None else ""
            if reason:
                name = "kdump_options" if key in own else VARIABLES[key]
                found.append(f"{name}: {conf.shown(key, value or '')} {reason}")
        return found

    def obstacles(self, host: Host) -> t.List[str]:
        if self.installed(host) or not host.runner.which("transactional-update"):
            return []
        if not re.search(r"^\S+ / \S+ (\S+,)?ro[, ]", host.read("/proc/mounts") or "", re.M):
            return []
        return [
            "this host's root file system changes by snapshots alone, and no module can install kdump into it; run "
            f"'transactional-update pkg install {' '.join(self.packages('', ''))}', reboot, and run this again"
        ]

    def place(self, wanted: Wanted, settings: t.Mapping[str, str]) -> t.Optional[Place]:
        target = parse_savedir(settings.get("KDUMP_SAVEDIR") or "/var/crash")
        if target is None or target.protocol == "ssh":
            return None
        if target.protocol == "file":
            return Place("path", "", wanted.path)
        host, path = target.host, target.path or "/"
        if target.protocol == "nfs":
            return Place("nfs", f"{host}:{path}", "/", "nolock")
        if target.protocol == "cifs":
            return Place("cifs", f"//{host}{path}", "/", "", False, "", target.user)
        return Place(target.protocol, host, path, "", False, target.port, target.user)

    def credentials(self, host: Host) -> t.Tuple[str, str]:
        settings = self.config_files[0].parse(host.read(self.config_files[0].path) or "")
        target = parse_savedir(settings.get("KDUMP_SAVEDIR", ""))
        return (target.user, target.password) if target else ("", "")

    def owns(self, name: str) -> bool:
        return bool(STAMP.search(name)) or name == "lost+found"

    def dump_path(self, settings: t.Mapping[str, str]) -> str:
        # Up to 1.0 there may be several; the first is looked at.
        first = (settings.get("KDUMP_SAVEDIR", "").split(" file:") or [""])[0]
        target = parse_savedir(first)
        return target.path if target and target.protocol == "file" else "/var/crash"

    def capture_cpus(self, settings: t.Mapping[str, str]) -> int:
        most = os.cpu_count() or 1
        word = settings.get("KDUMP_CPUS", "")
        # 32 is the default since 2.0.18; 0 stands for all.
        return min(int(word) if re.match(r"[0-9]+\Z", word) else 32, most) or most

    def ssh_key(self, settings: t.Mapping[str, str]) -> str:
        keys = settings.get("KDUMP_SSH_IDENTITY", "").split()
        return os.path.join("/root/.ssh", keys[0]) if keys else ""

    def dump_level(self, settings: t.Mapping[str, str]) -> int:
        if settings.get("KDUMP_DUMPFORMAT") in ("raw", "none"):
            return 0
        level = settings.get("KDUMP_DUMPLEVEL") or "31"
        # What is out of range is 0 in its capture.
        return int(level) if re.match(r"[0-9]+\Z", level) and int(level) <= 31 else 0

    def leaves_the_host(self, settings: t.Mapping[str, str]) -> bool:
        return _leaves_the_host(settings.get("KDUMP_SAVEDIR", ""))

    def initrd(self, host: Host, kernel: str) -> Initrd:
        settings = self.config_files[0].parse(host.read(self.config_files[0].path) or "")
        path = _initrd_path(host, settings, kernel)
        built = host.mtime(path)
        if built is None:
            return Initrd(path, kernel, False, [f"{path} does not exist"])
        stale = [] if host.size(path) else [f"{path} is empty"]
        for source in _sources(host, settings, kernel):
            changed = host.mtime(source)
            # A time in the future says nothing: no initrd could ever be newer.
            if changed is not None and built < changed <= time.time():
                stale.append(f"{source} is newer than {path}")
        stale += baked.changes(host, path, built)
        if path == INITRD:
            stale += _other_kernel(host, settings, kernel)
        return Initrd(path, kernel, True, stale)

    def build(self, host: Host, kernel: str) -> None:
        settings = self.config_files[0].parse(host.read(self.config_files[0].path) or "")
        path = _initrd_path(host, settings, kernel)
        self.confirm(host, kernel)
        os.makedirs(host.path(STATE), exist_ok=True)
        for source in (path, KERNEL_LINK, KERNEL_NOTE):
            if os.path.lexists(host.path(source)):
                # A copy: dracut writes into the file that is there.
                shutil.copy2(host.path(source), _kept(host, source), follow_symlinks=False)
        before = _identity(host, path)
        try:
            said = host.run(["mkdumprd", "-f"], timeout=self.build_timeout)
            if _identity(host, path) in (None, before):
                # It ends with success where it may not write, too.
                raise CommandError(f"mkdumprd has not built {path}: {said.strip() or 'it said nothing'}")  # fmt: skip
            target = parse_savedir(settings.get("KDUMP_SAVEDIR") or "/var/crash")
            # Its capture's command line has the name servers of this host.
            baked.keep(host, path, target.host.strip("[]") if target else "", True)
        except BaseException:
            self.revert(host, kernel)
            raise

    def confirm(self, host: Host, kernel: str) -> None:
        del kernel
        for kept in host.glob(f"{STATE}/*{KEPT}"):
            os.unlink(host.path(kept))

    def revert(self, host: Host, kernel: str) -> bool:
        settings = self.config_files[0].parse(host.read(self.config_files[0].path) or "")
        path = _initrd_path(host, settings, kernel)
        if not os.path.exists(_kept(host, path)):
            return False
        for source in (path, KERNEL_LINK, KERNEL_NOTE):
            if os.path.lexists(_kept(host, source)):
                # The one that matters at a boot may lie on another file system.
                temporary = host.path(source) + KEPT
                if _kept(host, source) != temporary:
                    shutil.copy2(_kept(host, source), temporary, follow_symlinks=False)
                    os.unlink(_kept(host, source))
                os.replace(temporary, host.path(source))
        return True

    def load(self, host: Host) -> None:
        # Without --update it builds nothing; kexec -p puts the new one in the place of the old one.
        host.run([LOAD], timeout=self.load_timeout)

    def unload(self, host: Host) -> None:
        host.run([UNLOAD], timeout=self.load_timeout)

    def dumps(self, host: Host, path: str) -> t.List[Dump]:
        found = []
        for folder in host.glob(path.rstrip("/") + "/*[0-9]"):
            if not STAMP.search(os.path.basename(folder)):
                continue
            vmcore = f"{folder}/vmcore" if host.exists(f"{folder}/vmcore") else ""
            logs = [name for name in ("dmesg", "dmesg.txt") if host.exists(f"{folder}/{name}")]
            found.append(
                Dump(
                    folder,
                    vmcore,
                    f"{folder}/{logs[0]}" if logs else "",
                    (host.size(vmcore) or 0) if vmcore else 0,
                    host.mtime(vmcore or folder) or 0.0,
                    bool(vmcore) and _finished(host.read(f"{folder}/README.txt") or ""),
                )
            )
        return sorted(found, key=lambda dump: (dump.mtime, dump.folder))


def _finished(readme: str) -> bool:
    """Say whether a dump's README.txt says that all was saved; it is written twice, first as a warning."""
    status = re.search(r"^\s*vmcore status: (.*)$", readme, re.M)
    if status:
        return status.group(1).startswith("saved")
    return "Kernel crashdump" in readme


def _combined(
    settings: t.Mapping[str, t.Optional[str]], current: t.Mapping[str, str], version: Version
) -> t.List[str]:
    """Return what is wrong with settings beside each other, and beside the file's own."""
    merged = {key: value for key, value in {**current, **settings}.items() if value is not None}
    return [
        f"{VARIABLES.get(key, 'kdump_options')}: {Suse.config_files[0].shown(key, merged[key])} {reason}"
        for key, reason in together(merged, version)
        if key in settings
    ]


class _Part(t.NamedTuple):
    """What a few variables come to."""

    settings: t.Dict[str, t.Optional[str]]
    problems: t.Sequence[str] = ()
    warnings: t.Sequence[str] = ()


def _settings(facts: Facts) -> t.Dict[str, t.Any]:
    return dict(facts["tooling"]["settings"])


def _version(facts: Facts) -> Version:
    """Return the version of the package, or the one that the product has."""
    distribution = facts["distribution"]
    for release in (facts["tooling"]["release"], distribution["version"]):
        try:
            if release:
                return version_of(release)
        except ValueError:
            continue
    return version_of(None)


def _text(version: Version) -> str:
    """Return a version as version_of() reads it."""
    dotted = ".".join(str(part) for part in version[:3])
    return dotted + (f"+git{version[3]}" if version[3:] else "")


def _leaves_the_host(savedir: str) -> bool:
    target = parse_savedir(savedir)
    return target is not None and target.protocol != "file"


def _target(wanted: Wanted, facts: Facts, version: Version) -> _Part:
    """Return KDUMP_SAVEDIR. What the file has already stays if it means the same, with a password in it too.

    With kdump_exclusive, only a line with a secret stays; any other must be set again.
    """
    current = _settings(facts).get("KDUMP_SAVEDIR", "")
    there = parse_savedir(current)
    if wanted.target is None:
        same = there and (there.protocol, there.path) == ("file", wanted.path)
        if same and not wanted.exclusive:
            return _Part({})
        # Up to 1.0, // begins the name of a host.
        remote = (there and there.protocol != "file") or (
            version < SCRIPTS and current.startswith("//")
        )
        if not remote or wanted.exclusive:
            return _Part({"KDUMP_SAVEDIR": wanted.path})
        shown = SuseSysconfig().shown("KDUMP_SAVEDIR", current)
        return _Part(
            {},
            [],
            [
                f"kdump_target: is not set, so {shown} stays, and dumps leave this host; for dumps in kdump_path take that "
                f"line out of {SuseSysconfig.path}, or set kdump_exclusive"
            ],
        )
    kind = wanted.target["type"]
    if kind not in ("ssh", "sftp", "ftp", "nfs", "cifs"):
        # unsupported() says why not.
        return _Part({})
    url, problem = _url(wanted, kind)
    if problem:
        return _Part({}, [problem])
    meant = parse_savedir(url)
    # A password that ssh cannot use is none that stays.
    password = there.password if there and kind == "ssh" else ""
    if (
        meant
        and there
        and meant == there._replace(password=password, user=meant.user and there.user)
        and (there.password or not wanted.exclusive)
    ):
        return _Part({})
    warnings = []
    if kind in ("nfs", "cifs"):
        warnings.append(
            f"kdump_target: SUSE's kdump makes no folder on another host's share; {url} must be there before a crash"
        )
    return _Part({"KDUMP_SAVEDIR": url}, [], warnings)


def _url(wanted: Wanted, kind: str) -> t.Tuple[str, str]:
    """Return the target as a URL, or what is wrong with it."""
    target = wanted.target or {}
    location = ssh_destination(wanted) if kind == "ssh" else target["location"]
    location = re.sub(rf"\A{kind}://", "", location)
    # A share or a folder of NFS begins with the first colon.
    secret = r"[^/@]*:[^/@]*@" if kind == "nfs" else r"(//)?[^:]*:.*@"
    if re.match(secret, location) and kind == "ssh":
        return (
            "",
            "kdump_target: ssh cannot log in with a password; leave it out, and set kdump_sshkey",
        )
    if re.match(secret, location):
        return "", (
            f"kdump_target: the password in {kind}:// {SECRET_RULE}: KDUMP_SAVEDIR in /etc/sysconfig/kdump, whose "
            "password stays while the rest of it is as in kdump_target"
        )
    if kind in ("nfs", "ftp"):
        # As mount and kdump-tools write it: server:/folder.
        location = re.sub(r"\A((?:[^/\[\]@]*@)?(?:[^/\[\]]+|\[[^\]]*\])):/", r"\1/", location)
    elif kind == "cifs":
        location = re.sub(r"\A//", "", location)
    host, slash, folder = location.partition("/")
    user, at, name = host.rpartition("@")
    if name.count(":") > 1 and not name.startswith("["):
        host = f"{user}{at}[{name}]"
    if kind in ("nfs", "cifs") and wanted.path == Wanted().path:
        # A share is a place of its own, and below it nothing is made.
        return f"{kind}://{host}/{folder}" if slash else f"{kind}://{host}", ""
    return f"{kind}://{host}{slash}{folder}".rstrip("/") + wanted.path, ""


def _collected(wanted: Wanted, facts: Facts, version: Version) -> _Part:
    """Return what writes the dump: SUSE puts makedumpfile's command together from settings of its own."""
    words, _wrong = collector(wanted, _current_collector(facts))
    if words is None:
        return _Part({})
    if words in (["cp"], ["scp"]):
        whole = "raw" if version >= SCRIPTS else "ELF"
        return _Part({"KDUMP_DUMPFORMAT": whole, "KDUMP_DUMPLEVEL": "0"})
    if words[:1] != ["makedumpfile"]:
        return _Part(
            {},
            [
                f"kdump_core_collector: {wanted.core_collector!r} must begin with 'makedumpfile', or be 'cp': "
                "SUSE's kdump can use no other program but by kdump_options: {KDUMP_TRANSFER: ...}"
            ],
        )
    found = _split_collector(single_options(words[1:], MAKEDUMPFILE_VALUED))
    for option, key in (("-d", "KDUMP_DUMPLEVEL"), ("--num-threads", "KDUMP_CPUS")):
        if found[key] == "":
            return _Part(
                {},
                [f"kdump_core_collector: {wanted.core_collector!r} has {option} without its value"],
            )
    threads = found.pop("KDUMP_CPUS")
    if threads is not None and re.match(r"[0-9]+\Z", threads):
        # They are the CPUs of the capture kernel; up to 1.0 one of them is left for the writing.
        found["KDUMP_CPUS"] = str(int(threads) + (version < SCRIPTS))
    if wanted.core_collector is not None:
        return _Part(found)
    given = {
        "KDUMP_DUMPLEVEL": wanted.dump_level,
        "KDUMP_DUMPFORMAT": wanted.compression,
        "MAKEDUMPFILE_OPTIONS": wanted.message_level,
        "KDUMP_CPUS": wanted.threads,
    }
    return _Part({key: found[key] for key, value in given.items() if value is not None})


def _current_collector(facts: Facts) -> str:
    """Return the command that the file's settings come to."""
    settings = _settings(facts)
    option = _OPTIONS.get(settings.get("KDUMP_DUMPFORMAT", ""), "-c")
    level = settings.get("KDUMP_DUMPLEVEL") or "31"
    return f"makedumpfile {option} -d {level} {settings.get('MAKEDUMPFILE_OPTIONS', '')}"


def _split_collector(words: t.Sequence[str]) -> t.Dict[str, t.Optional[str]]:
    """Return SUSE's settings for makedumpfile's options; the ones without a setting of their own stay together.

    :param words: no joined options; see single_options().
    """
    found: t.Dict[str, t.Optional[str]] = {"KDUMP_DUMPFORMAT": "ELF", "KDUMP_DUMPLEVEL": "0"}
    found["KDUMP_CPUS"] = None
    rest = []
    position = 0
    while position < len(words):
        word = words[position]
        following = words[position + 1] if position + 1 < len(words) else ""
        position += 1
        level = re.match(r"-d(.+)|--dump-level=(.*)", word)
        if word in _FORMATS:
            found["KDUMP_DUMPFORMAT"] = _FORMATS[word]
        elif word in ("-d", "--dump-level"):
            found["KDUMP_DUMPLEVEL"] = following
            position += 1
        elif level:
            found["KDUMP_DUMPLEVEL"] = level.group(1) or level.group(2) or ""
        elif word == "--num-threads":
            found["KDUMP_CPUS"] = following
            position += 1
        elif word.startswith("--num-threads="):
            found["KDUMP_CPUS"] = word.partition("=")[2]
        elif word != "-F":
            rest.append(word)
    found["MAKEDUMPFILE_OPTIONS"] = " ".join(rest) or None
    return found


def _kept_dumps(wanted: Wanted, facts: Facts, version: Version) -> _Part:
    """Return how many dumps stay. SUSE counts the old ones, before the new one is written."""
    del facts, version
    if wanted.dumps_to_keep is None:
        return _Part({})
    if wanted.dumps_to_keep and wanted.target is not None:
        return _Part(
            {},
            [
                "kdump_dumps_to_keep: SUSE's kdump deletes nothing on another host; leave it out, and let that host "
                "do it"
            ],
        )
    # Without any old ones is -1; 0 keeps all.
    old = {0: 0, 1: -1}.get(wanted.dumps_to_keep, wanted.dumps_to_keep - 1)
    return _Part({"KDUMP_KEEP_OLD_DUMPS": str(old)})


def _scripts(wanted: Wanted, facts: Facts, version: Version) -> _Part:
    """Return what runs before and after the dump, and what the initrd needs for it."""
    del version
    current = _settings(facts)
    settings: t.Dict[str, t.Optional[str]] = {}
    problems = []
    programs: t.List[str] = []
    fence = ""
    if wanted.fence_nodes:
        arguments = wanted.fence_args or "-i 10 -p 7410 -c 1"
        fence = " ".join([FENCE, arguments, *wanted.fence_nodes])
        if not re.search(r"(^|\s)(-c\s*|--count[= ])[1-9]", arguments):
            problems.append(
                f"kdump_fence_args: {arguments!r} has no -c, so fence_kdump_send would never end and the host never "
                "reboot; add -c 1"
            )
        if facts["tooling"]["installed"] and facts["tooling"]["rules"].get("fence") is False:
            problems.append(f"kdump_fence_nodes: {FENCE} is not on this host; install fence-agents")
    elif wanted.fence_args:
        problems.append("kdump_fence_args: is for kdump_fence_nodes, which is empty; set both")
    for kind, key in (("pre", "KDUMP_PRESCRIPT"), ("post", "KDUMP_POSTSCRIPT")):
        found = hooks(wanted, kind)
        script = f"{HOOKS}/{kind}"
        problems += _interpreter_problems(kind, found)
        programs += [script, *(f"{HOOKS}/{kind}.d/{name}" for name, _content in found)] if found else []  # fmt: skip
        command = " ".join(([script] if found else []) + ([fence] if fence and kind == "post" else []))  # fmt: skip
        if command:
            settings[key] = command
        elif _ours(current.get(key, "")):
            settings[key] = None
    listed = current.get("KDUMP_REQUIRED_PROGRAMS", "").split()
    others = wanted.extra_bins or [word for word in listed if not _ours(word)]
    if programs or wanted.extra_bins or any(_ours(word) for word in listed):
        settings["KDUMP_REQUIRED_PROGRAMS"] = " ".join([*others, *programs]) or None
    return _Part(settings, problems)


def _ours(command: str) -> bool:
    return command.startswith(HOOKS + "/")


def _interpreter_problems(kind: str, found: t.Sequence[t.Tuple[str, str]]) -> t.List[str]:
    """Return why a hook would not run in the initrd, which gets the program of its first line and no more."""
    return [
        f"kdump_{kind}_hooks: {name} begins with {interpreter(content)}, which looks for its program, and the initrd "
        "gets only what that line names; name the interpreter itself, such as #!/bin/sh"
        for name, content in found
        if os.path.basename(interpreter(content)) == "env"
    ]


def _hook_files(wanted: Wanted) -> t.Dict[str, OwnFile]:
    files = {}
    for kind in ("pre", "post"):
        found = hooks(wanted, kind)
        if found:
            files[f"{HOOKS}/{kind}"] = OwnFile(_HOOKS_TEXT.replace("@KIND@", kind), 0o755)
        for name, content in found:
            files[f"{HOOKS}/{kind}.d/{name}"] = OwnFile(content, 0o755)
    return files


def _network(wanted: Wanted, facts: Facts, version: Version) -> _Part:
    del facts, version
    return _named("network", wanted.network, _NETWORK)


def _named(variable: str, values: t.Mapping[str, t.Any], names: t.Mapping[str, str]) -> _Part:
    """Return the settings of a variable that is a dictionary.

    :param names: the setting for each of its keys.
    """
    settings: t.Dict[str, t.Optional[str]] = {
        names[name]: str(value) for name, value in values.items() if name in names
    }
    problems = [
        f"kdump_{variable}: SUSE's kdump cannot honour {name!r}; it has {', '.join(names)}"
        for name in values
        if name not in names and "password" not in name
    ]
    if any("password" in name for name in values):
        problems.append(
            f"kdump_{variable}: a password {SECRET_RULE}: KDUMP_SMTP_PASSWORD in /etc/sysconfig/kdump"
        )
    return _Part(settings, problems)


def _notified(wanted: Wanted, facts: Facts, version: Version) -> _Part:
    found = _named("notification", wanted.notification, _NOTIFICATION)
    problems, warnings = list(found.problems), []
    # Of copies together() says so.
    if found.settings and not {"KDUMP_NOTIFICATION_TO", "KDUMP_NOTIFICATION_CC"} & set(
        found.settings
    ):
        problems.append("kdump_notification: has no 'to', and without it nobody is told")
    missing = facts["tooling"]["installed"] and facts["tooling"]["rules"].get("mail") is False
    if found.settings and missing and version >= MAIL_AT_BOOT:
        problems.append("kdump_notification: mailx is not on this host; install it")
    if found.settings.get("KDUMP_SMTP_USER") and not _settings(facts).get("KDUMP_SMTP_PASSWORD"):
        warnings.append(
            "kdump_notification: smtp_user is ignored until KDUMP_SMTP_PASSWORD is in /etc/sysconfig/kdump"
        )
    return _Part(found.settings, problems, warnings)


def _arguments(wanted: Wanted, facts: Facts, version: Version) -> _Part:
    """Return what concerns the capture kernel's command line, and a firmware-assisted dump's."""
    settings: t.Dict[str, t.Optional[str]] = {}
    problems = []
    assisted = wanted.fadump not in (None, "off")
    if wanted.fadump is not None and facts["architecture"] == "ppc64le":
        settings["KDUMP_FADUMP"] = "true" if assisted else "false"
    if wanted.commandline_append is not None and not assisted:
        settings["KDUMP_COMMANDLINE_APPEND"] = wanted.commandline_append
    elif wanted.commandline_append is not None:
        settings["FADUMP_COMMANDLINE_APPEND"] = f"{_FADUMP_APPEND} {wanted.commandline_append}"
    if wanted.kernel_version and wanted.capture_kernel:
        problems.append(
            "kdump_capture_kernel: and kdump_kernel_version both name the capture kernel; set one of them"
        )
    if assisted and version < COMMANDLINE:
        known = {**_settings(facts), **_collected(wanted, facts, version).settings}
        value = _computed_fadump(known) if version >= (2, 0, 6) else "on"
        if value != wanted.fadump:
            problems.append(
                f"kdump_fadump: this release sets fadump={value} by itself at every boot, by KDUMP_DUMPLEVEL and "
                f"KDUMP_DUMPFORMAT; set kdump_fadump: {value}"
            )
    return _Part(settings, problems)


def _computed_fadump(settings: t.Mapping[str, t.Any]) -> str:
    """Return the value of fadump= that the dump level asks for: pages of programs lie in that memory."""
    level = settings.get("KDUMP_DUMPLEVEL") or "31"
    keeps = level.isdigit() and not int(level) & 8
    return "nocma" if keeps or settings.get("KDUMP_DUMPFORMAT") == "raw" else "on"


def _fadump(wanted: Wanted, settings: t.Mapping[str, t.Any]) -> t.List[str]:
    if wanted.fadump == "on":
        return [_computed_fadump(settings)]
    return [] if wanted.fadump == "off" else [str(wanted.fadump)]


def _unsupported(wanted: Wanted, facts: Facts) -> t.Dict[str, str]:
    """Return why SUSE's kdump cannot honour a variable, by its name."""
    reasons = {
        "bootdir": "it looks in /boot and /usr/lib/modules; set kdump_capture_kernel",
        "capture_initrd": "it builds its own; leave it out",
        "commandline_remove": "it can only replace the whole line; set kdump_commandline",
        "dracut_args": "mkdumprd calls dracut with arguments of its own; put options into /etc/dracut.conf.d",
        "emergency_hooks": "its capture has no hook for that; set kdump_system_action: shell",
        "extra_modules": "its initrd has the drivers of this host and no list for more; name them as add_drivers in "
        "/etc/dracut.conf.d, for all initrds",
    }  # fmt: skip
    if wanted.force_rebuild != "auto":
        reasons["force_rebuild"] = (
            "mkdumprd builds the initrd when its sources have changed; set auto"
        )
    if wanted.auto_reset_crashkernel:
        reasons["auto_reset_crashkernel"] = (
            "it and this role would both set crashkernel=; leave it out, or set false"
        )
    if wanted.system_action not in ("reboot", "shell"):
        reasons["system_action"] = "its capture can reboot or open a shell; use one of: reboot, shell"  # fmt: skip
    if wanted.final_action not in (None, "reboot"):
        reasons["final_action"] = (
            f"its capture ends with a reboot; if it may happen after a failed dump too, run '{wanted.final_action} -f' "
            "in the last of kdump_post_hooks"
        )
    kind = (wanted.target or {}).get("type")
    if kind == "raw":
        reasons["target"] = "it writes to file systems alone; use one of them, or ssh, nfs, cifs, sftp or ftp"  # fmt: skip
    elif kind in (*FILE_SYSTEMS, "virtiofs"):
        reasons["target"] = (
            "it takes no device; mount it by /etc/fstab and set kdump_path to a folder on it"
        )
    if wanted.fadump not in (None, "off") and facts["architecture"] != "ppc64le":
        reasons["fadump"] = "it is there on ppc64le alone"
    return reasons


def _calibrated(host: Host) -> t.Dict[str, int]:
    """Return what kdumptool proposes to reserve, in MiB by its own names; empty if it cannot be asked."""
    text = host.read(SuseSysconfig.path) or ""
    settings = assignments.parse(text)
    target = parse_savedir(settings.get("KDUMP_SAVEDIR") or "/var/crash")
    # It makes the folder for dumps, and runs what stands in the file: "KEY= yes" would be yes(1).
    if assignments.line_problems(text) or target is None:
        return {}
    if target.protocol == "file" and not host.exists(target.path):
        return {}
    answer = host.ask(["kdumptool", "calibrate"], timeout=15) or ""
    return {name: int(size) for name, size in re.findall(r"^(\w+):\s*(\d+)\s*$", answer, re.M)}


def _release_of(image: str) -> str:
    """Return the release of a kernel by the path of its image, or ''."""
    match = _IMAGE.search(image)
    return (match.group(1) or match.group(2)) if match else ""


def _read_link(host: Host, path: str) -> str:
    try:
        return os.readlink(host.path(path))
    except OSError:
        return ""


def _initrd_path(host: Host, settings: t.Mapping[str, str], kernel: str) -> str:
    if settings.get("KDUMP_FADUMP", "").lower() in ("yes", "true", "1"):
        # The host's own one has the capture in it.
        return f"/boot/initrd-{kernel}"
    return INITRD if host.exists(READ_CONFIG) else f"/boot/initrd-{kernel}-kdump"


def _other_kernel(host: Host, settings: t.Mapping[str, str], kernel: str) -> t.List[str]:
    """Return that the initrd was built for another kernel than mkdumprd would take now, if so."""
    have = (host.read_word(KERNEL_NOTE) or "") or _release_of("/" + _read_link(host, KERNEL_LINK))
    if not _read_link(host, KERNEL_LINK):
        return [f"{KERNEL_LINK} does not exist"]
    wanted = kernel
    if not settings.get("KDUMP_KERNELVER"):
        # The default of the boot loader, which need not be the running one.
        wanted = _default_kernel(host) or kernel
    return [f"{INITRD} was built for {have or 'another kernel'}, not for {wanted}"] if have != wanted else []  # fmt: skip


def _default_kernel(host: Host) -> str:
    if "--default-settings" in (host.read("/usr/sbin/mkdumprd") or ""):
        answer = host.ask(["pbl", "--default-settings"]) or ""
        images = re.findall(r"^kernel=(\S+)", answer, re.M)
    else:
        images = [f"/boot/{name}" for name in ("vmlinuz", "image", "Image", "vmlinux")]
    for image in images:
        found = _release_of(image) or _release_of("/" + _read_link(host, image))
        if found:
            return found
    return ""


def _sources(host: Host, settings: t.Mapping[str, str], kernel: str) -> t.List[str]:
    """Return the files that go into the initrd: those that mkdumprd looks at, and those that it does not."""
    result = [
        SuseSysconfig.path,
        "/etc/dracut.conf",
        *host.glob("/etc/dracut.conf.d/*"),
        f"/lib/modules/{kernel}/modules.dep",
        *(word for word in settings.get("KDUMP_REQUIRED_PROGRAMS", "").split() if word[0] == "/"),
    ]
    target = parse_savedir(settings.get("KDUMP_SAVEDIR") or "/var/crash")
    if target is None or target.protocol == "file":
        return [*result, "/etc/fstab"]
    result += [
        "/etc/hosts",
        "/etc/nsswitch.conf",
        *host.glob("/etc/sysconfig/network/ifcfg-*"),
        *host.glob("/etc/NetworkManager/system-connections/*"),
    ]
    if target.protocol in ("ssh", "sftp"):
        keys = settings.get("KDUMP_SSH_IDENTITY", "").split() or _KEYS
        for path in (os.path.join("/root/.ssh", key) for key in keys):
            result += [path, path + ".pub"]
        if not settings.get("KDUMP_HOST_KEY"):
            result += ["/root/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts"]
    return result


def _kept(host: Host, path: str) -> str:
    """Return where a file from before the last build lies for this process."""
    return host.path(f"{STATE}/{os.path.basename(path)}{KEPT}")


def _identity(host: Host, path: str) -> t.Optional[t.Tuple[int, int]]:
    """Return what tells a file that was written again from the one before, or None if there is none."""
    try:
        status = os.stat(host.path(path))
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns
