# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""kdumpctl of Enterprise Linux 8 to 10 and its clones, Fedora, Amazon Linux and Azure Linux; an initrd made by dracut.

Source of its behaviour: rhkdump/kdump-utils 1.0.61 with its history, and the kexec-tools packages of EL 8.8, 8.9, 9.2
and 9.3.
"""

import os
import re
import shutil
import time
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils import baked, target
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host
from ansible_collections.kdump.fleet.plugins.module_utils.runner import CommandError
from ansible_collections.kdump.fleet.plugins.module_utils.space import collector_level
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.base import (
    ConfigFile,
    Dump,
    Facts,
    Initrd,
    Place,
    Tooling,
)
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.kdump_conf_file import (
    KdumpConf,
    Rules,
    options_of_script,
    rules_of,
)
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.kdump_sysconfig import (
    LATER,
    KdumpSysconfig,
)
from ansible_collections.kdump.fleet.plugins.module_utils.wanted import (
    FILE_SYSTEMS,
    Configuration,
    OwnFile,
    Wanted,
    collector,
    hooks,
    interpreter,
    own_options,
    ssh_destination,
    unsupported,
)

STATE = "/var/lib/kdump"
KEPT = ".kdump-fleet"  # behind the name of an initrd: the one from before the last build
FENCE_SENDER = "/usr/libexec/fence_kdump_send"
CLUSTER = "/var/lib/pacemaker/cib/cib.xml"
OWN_HOOKS = "/etc/kdump-fleet"
LIBRARIES = "/usr/lib/kdump"  # what kdumpctl sources
FADUMP_ARGUMENTS = "/sys/kernel/fadump/bootargs_append"
ZIPL_CONF = "/etc/zipl.conf"
ZIPL_TIMEOUT = 300  # seconds
EARLY = "/etc/dracut.conf.d/kdump-fleet-early.conf"
EARLY_TEXT = """\
# Managed by Ansible (kdump.fleet): local changes are lost at its next run.
add_dracutmodules+=" earlykdump "
"""

IDS = ("rhel", "centos", "fedora", "rocky", "almalinux", "ol", "amzn", "azurelinux", "mariner")
LIKE = ("rhel", "centos", "fedora")
# VERSION_ID from which kdumpctl has a package of its own, kdump-utils; 10 for Enterprise Linux. Not checked on a host:
# Azure Linux 4, which is made from Fedora. Amazon Linux 2 and 2023 have it in kexec-tools (not checked on a host).
SPLIT = {"fedora": 41, "azurelinux": 4, "amzn": 10**6, "mariner": 10**6}
SPLIT_EL = 10

TARGET_KEYS = ("raw", "nfs", "ssh", "virtiofs", *FILE_SYSTEMS)
HOOK_KINDS = ("pre", "post", "emergency")
# What dracut puts into the initrd anyway; of another interpreter only the program itself gets there.
SHELLS = ("/bin/sh", "/usr/bin/sh", "/bin/bash", "/usr/bin/bash")

# The role's variable for each of kdumpctl's settings that has one.
VARIABLES = {
    **dict.fromkeys(TARGET_KEYS, "kdump_target"),
    "path": "kdump_path",
    "sshkey": "kdump_sshkey",
    "core_collector": "kdump_core_collector",
    "failure_action": "kdump_system_action",
    "default": "kdump_system_action",
    "final_action": "kdump_final_action",
    "kdump_pre": "kdump_pre_hooks",
    "kdump_post": "kdump_post_hooks",
    "kdump_emergency": "kdump_emergency_hooks",
    "extra_bins": "kdump_extra_bins",
    "extra_modules": "kdump_extra_modules",
    "dracut_args": "kdump_dracut_args",
    "force_rebuild": "kdump_force_rebuild",
    "force_no_rebuild": "kdump_force_rebuild",
    "fence_kdump_nodes": "kdump_fence_nodes",
    "fence_kdump_args": "kdump_fence_args",
    "auto_reset_crashkernel": "kdump_auto_reset_crashkernel",
    "KDUMP_COMMANDLINE": "kdump_commandline",
    "KDUMP_COMMANDLINE_APPEND": "kdump_commandline_append",
    "FADUMP_COMMANDLINE_APPEND": "kdump_commandline_append",
    "KDUMP_COMMANDLINE_REMOVE": "kdump_commandline_remove",
    "KEXEC_ARGS": "kdump_kexec_args",
    "KDUMP_BOOTDIR": "kdump_bootdir",
    "KDUMP_KERNELVER": "kdump_kernel_version",
}

UNSUPPORTED = {
    "network": "its initrd takes over the host's own network, as NetworkManager has it; set the network up there",
    "notification": "it sends no mail; do so from a script of kdump_post_hooks, or from the server that gets the dumps",
    "capture_kernel": "it looks for its kernel by release; set kdump_kernel_version, and kdump_bootdir for another folder",
    "capture_initrd": "it builds its initrd itself; set kdump_kernel_version for another kernel's",
}

# What the distribution's file has, where it lacks on a host; kdump-utils 1.0.61.
_COMMON_APPEND = "novmcoredd hugetlb_cma=0 kfence.sample_interval=0 initramfs_options=size=90% "
APPEND = {
    "x86_64": _COMMON_APPEND + "irqpoll nr_cpus=1 reset_devices cgroup_disable=memory mce=off numa=off "
    "udev.children-max=2 panic=10 acpi_no_memhotplug transparent_hugepage=never nokaslr hest_disable cma=0 "
    "pcie_ports=compat",
    "aarch64": _COMMON_APPEND + "irqpoll nr_cpus=1 reset_devices cgroup_disable=memory udev.children-max=2 panic=10 "
    "swiotlb=noforce cma=0",
    "ppc64le": _COMMON_APPEND + "irqpoll nr_cpus=16 noirqdistrib reset_devices cgroup_disable=memory numa=off "
    "udev.children-max=2 ehea.use_mcs=0 panic=10 kvm_cma_resv_ratio=0 transparent_hugepage=never",
    "s390x": _COMMON_APPEND + "nr_cpus=1 cgroup_disable=memory numa=off udev.children-max=2 panic=10 "
    "transparent_hugepage=never vmcp_cma=0 cma=0",
}  # fmt: skip
# ppc64le alone has fadump.
FADUMP_APPEND = (
    "nr_cpus=16 numa=off cgroup_disable=memory cma=0 kvm_cma_resv_ratio=0 hugetlb_cma=0 transparent_hugepage=never "
    "novmcoredd udev.children-max=2"
)
APPEND_OTHERS = _COMMON_APPEND + "irqpoll maxcpus=1 reset_devices cma=0"
_COMMON_REMOVE = (
    "hugepages hugepagesz slub_debug quiet log_buf_len swiotlb hugetlb_cma ignition.firstboot"
)
REMOVE = {
    "ppc64le": _COMMON_REMOVE,
    "s390x": _COMMON_REMOVE + " vmcp_cma cma prot_virt zfcp.allow_lun_scan",
}
REMOVE_OTHERS = _COMMON_REMOVE + " cma"
FILE_LOAD = ("x86_64", "aarch64", "ppc64le", "s390x")  # whose kernels are loaded with kexec -s

# A dump's folder: address and second; a raw dump that was recovered at boot; a test of kdumpctl.
STAMP = re.compile(r"(?:\S+-)?\d{4}-\d\d-\d\d-\d\d:\d\d(?::\d\d)?\Z|kdump-test-\d+-\d+\Z")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\Z")
_MOUNT = re.compile(r"--mount(?:[\s=]+(.*))?")


class _Now(t.NamedTuple):
    """What a host has, as far as the settings depend on it."""

    settings: t.Mapping[str, str]
    original: t.Mapping[str, str]  # from before this collection
    edited: bool  # somebody else may have changed /etc/sysconfig/kdump since
    architecture: str
    release: t.Optional[str]  # None for not known
    rules: Rules
    options: t.Optional[t.Sequence[str]]  # that its kdumpctl accepts; None for not known
    later: t.Collection[str]  # settings of LATER that it reads
    folders: t.Sequence[str]  # kinds of hooks that have a folder below /etc/kdump
    hostname: str
    addresses: str  # as 'hostname -I' shows them
    fence: bool  # there is a program that sends fence_kdump's messages
    cluster: bool  # Pacemaker has a fence_kdump device, and so its nodes are told
    ostree: bool
    fadump: bool  # the running kernel has it
    fadump_arguments: bool  # and takes more arguments for it

    @property
    def shown(self) -> str:
        """Return its kdumpctl as a message names it."""
        return f"this host's kdumpctl{f' {self.release}' if self.release else ''}"

    def knows(self, option: str) -> bool:
        return self.options is None or option in self.options


def _now(facts: Facts) -> _Now:
    tooling = facts["tooling"]
    rules, release = tooling["rules"], tooling.get("release")
    sysconfig = KdumpSysconfig(rules.get("sysconfig"))
    # A file that has no record has not been changed by this collection: both are the same.
    record = tooling.get("files", {}).get(sysconfig.path, {"edited": True})
    return _Now(
        tooling["settings"],
        tooling.get("original_settings", tooling["settings"]),
        record["edited"],
        facts["architecture"],
        release,
        rules_of(release),
        rules.get("options"),
        [key for key in LATER if sysconfig.reads(key, release)],
        rules.get("hook_folders", HOOK_KINDS),
        rules.get("hostname", ""),
        rules.get("addresses", ""),
        rules.get("fence", True),
        rules.get("cluster", False),
        rules.get("ostree", False),
        rules.get("fadump", False),
        rules.get("fadump_arguments", True),
    )


class Kdumpctl(Tooling):
    """kdumpctl, which loads the capture kernel, and mkdumprd, which has dracut build its initrd."""

    name = "kdumpctl"
    service = "kdump.service"
    program = "kdumpctl"

    def __init__(
        self,
        options: t.Optional[t.Sequence[str]] = None,
        ssh: t.Optional[bool] = None,
        later: t.Optional[t.Sequence[str]] = None,
    ) -> None:
        """Take what a host's own kdumpctl says, see KdumpConf and KdumpSysconfig; None goes by the release."""
        self._conf = KdumpConf(options, ssh)
        self._sysconfig = KdumpSysconfig(later)
        self.config_files = (self._conf, self._sysconfig)

    def bound(self, rules: Facts) -> "Kdumpctl":
        return Kdumpctl(rules.get("options"), rules.get("ssh_given_back"), rules.get("sysconfig"))

    def suits(self, distribution: str, like: t.Sequence[str]) -> bool:
        return distribution in IDS or any(name in LIKE for name in like)

    def packages(self, distribution: str, version: str) -> t.Tuple[str, ...]:
        number = re.match(r"\d+", version)
        if number and int(number.group()) >= SPLIT.get(distribution, SPLIT_EL):
            return ("kdump-utils", "kexec-tools", "makedumpfile")
        return ("kexec-tools",)

    def file_of(self, key: str) -> ConfigFile:
        return self._sysconfig if key.isupper() else self._conf

    def kernel(self, settings: t.Mapping[str, str], running: str) -> str:
        return settings.get("KDUMP_KERNELVER") or running

    def release(self, host: Host) -> t.Optional[str]:
        """Return version and release of the package that kdumpctl is in: kdump-utils, or kexec-tools before it."""
        answer = host.says(
            ["rpm", "--query", "--queryformat", "%{NAME} %{VERSION}-%{RELEASE}\\n"]
            + ["kdump-utils", "kexec-tools"]
        )
        found = dict(line.split() for line in (answer or "").splitlines() if len(line.split()) == 2)
        version = found.get("kdump-utils") or found.get("kexec-tools")
        try:
            rules_of(version)
        except ValueError:
            # Numbered in a way of its own; see observed() for what is known then.
            return None
        return version

    def observed(self, host: Host) -> t.Dict[str, t.Any]:
        # Releases say little: distributions carry single options into older ones. So the script itself is read.
        program = host.runner.which(self.program)
        script = (host.read(program) if program else None) or ""
        options = sorted(options_of_script(script)) or None
        sourced = "".join(host.read(path) or "" for path in host.glob(f"{LIBRARIES}/*.sh"))
        return {
            # Of a script that is not understood nothing is known.
            "options": options,
            "ssh_given_back": "ssh -G" in script if options else None,
            "sysconfig": sorted(key for key in LATER if key in script + sourced)
            if options
            else None,
            "hook_folders": [
                kind for kind in HOOK_KINDS if not script or f"/etc/kdump/{kind}.d" in script
            ],
            "hostname": host.read_word("/proc/sys/kernel/hostname") or "",
            "addresses": host.ask(["hostname", "-I"]) or "",
            "fence": host.exists(FENCE_SENDER),
            "cluster": 'type="fence_kdump"' in (host.read(CLUSTER) or ""),
            "ostree": host.exists("/run/ostree-booted"),
            "fadump": _fadump(host),
            "fadump_arguments": host.exists(FADUMP_ARGUMENTS),
        }

    def obstacles(self, host: Host) -> t.List[str]:
        if host.exists("/run/ostree-booted") and not self.installed(host):
            return [
                "this host is made of an image (ostree), and kdumpctl is not in it; put kdump-utils (kexec-tools in "
                "older releases) into the image, or layer it with 'rpm-ostree install', and boot into it"
            ]
        return []

    def configure(self, wanted: Wanted, facts: Facts) -> Configuration:
        now = _now(facts)
        made = Configuration({"path": wanted.path}, {}, {}, [], [])
        options, wrong = own_options(wanted, VARIABLES)
        made.problems.extend(wrong)
        made.settings.update(_plain_settings(wanted))
        _set_target(wanted, now, made)
        _set_collector(wanted, now, made)
        _set_rebuilds(wanted, now, made)
        _set_actions(wanted, now, made)
        _set_hooks(wanted, now, made)
        _set_commandline(wanted, now, made)
        _set_fence(wanted, now, made)
        _set_arguments(wanted, now, made)
        if wanted.exclusive:
            # Without these there is no kernel to load, or one that takes all CPUs and all drivers.
            for key, value in _sysconfig_defaults(now).items():
                made.settings.setdefault(key, value)
        made.warnings.extend(_doubts_of_threads(wanted, now, made))
        made.problems.extend(unsupported(wanted, self.name, UNSUPPORTED))
        if wanted.dumps_to_keep:
            made.problems.extend(
                unsupported(
                    wanted,
                    self.name,
                    {
                        "dumps_to_keep": "it never deletes a dump; leave it at 0, and clear old ones where they are kept"
                    },
                )  # fmt: skip
            )
        made.settings.update(options)
        self.bound(facts["tooling"]["rules"])._check(made, now, set(options))
        return made

    def _check(self, made: Configuration, now: _Now, own: t.Set[str]) -> None:
        """Add what is wrong with single settings."""
        for key, value in made.settings.items():
            if value is None:
                continue
            file = self.file_of(key)
            name = "kdump_options" if key in own else VARIABLES.get(key, "kdump_options")
            shown = f"{name}: {file.shown(key, value)}"
            if name != "kdump_options" and file is self._conf and not now.knows(key):
                made.problems.append(
                    f"{shown} is an option that {now.shown} does not have; leave it unset, or update its package"
                )
                continue
            reason = file.setting_problem(key, value, now.release)
            doubt = file.setting_warning(key, value, now.release)
            if reason:
                made.problems.append(f"{shown} {reason}")
            elif doubt:
                made.warnings.append(f"{shown} {doubt}")

    def dump_path(self, settings: t.Mapping[str, str]) -> str:
        return settings.get("path") or "/var/crash"

    def capture_cpus(self, settings: t.Mapping[str, str]) -> int:
        return _cpus(settings.get("KDUMP_COMMANDLINE_APPEND", ""))

    def ssh_key(self, settings: t.Mapping[str, str]) -> str:
        return settings.get("sshkey", "")

    def dump_level(self, settings: t.Mapping[str, str]) -> int:
        return collector_level(settings.get("core_collector", ""), 31)

    def leaves_the_host(self, settings: t.Mapping[str, str]) -> bool:
        return _target_kind(settings) in ("ssh", "nfs", "nfs4")

    def need(self, settings: t.Mapping[str, str]) -> t.Dict[str, t.Any]:
        """Return what the settings decide; ``elsewhere`` is the target, if dumps are not in the host's own file tree."""
        return {**super().need(settings), "elsewhere": _elsewhere(settings)}

    def place(self, wanted: Wanted, settings: t.Mapping[str, str]) -> t.Optional[Place]:
        kind = _target_kind(settings)
        if kind not in TARGET_KEYS or not settings.get(kind):
            # dracut's --mount is checked by nobody; see wanted.dracut_args.
            return Place("path", "", wanted.path) if not kind else None
        if kind == "ssh":
            return None
        # mkdumprd refuses to build while the folder is not there.
        options = "nolock" if kind == "nfs" else ""
        return Place(kind, settings[kind], wanted.path, options, kind != "raw")

    def owns(self, name: str) -> bool:
        return bool(STAMP.match(name)) or name == "lost+found"

    def dumps(self, host: Host, path: str) -> t.List[Dump]:
        found = [
            _dump(host, folder)
            for folder in host.glob(path.rstrip("/") + "/*[0-9]")
            if STAMP.match(os.path.basename(folder))
        ]
        return sorted(found, key=lambda dump: (dump.mtime, dump.folder))

    def initrd(self, host: Host, kernel: str) -> Initrd:
        settings = self._settings(host)
        boot = _boot(host, kernel, settings)
        built = host.mtime(boot.initrd)
        if built is None:
            return Initrd(boot.initrd, boot.kernel, False, [f"{boot.initrd} does not exist"])
        stale = []
        if not host.size(boot.initrd):
            stale.append(f"{boot.initrd} is empty")
        if settings.get("force_no_rebuild") == "1":
            return Initrd(boot.initrd, boot.kernel, True, stale)
        if _fadump(host) and not host.exists(_before_fadump(boot)):
            stale.append(f"{boot.initrd} was not built to save a dump of fadump yet")
        for source in _sources(host, boot, settings):
            changed = host.mtime(source)
            # A time in the future says nothing: no initrd could ever be newer.
            if changed is not None and built < changed <= time.time():
                stale.append(f"{source} is newer than {boot.initrd}")
        stale += baked.changes(host, boot.initrd, built)
        if host.exists(EARLY) and boot.system and (host.mtime(boot.system) or 0) < built:
            stale.append(f"{boot.system} holds an older {boot.initrd} for early kdump, or none")
        return Initrd(boot.initrd, boot.kernel, True, stale)

    def _settings(self, host: Host) -> t.Dict[str, str]:
        return self.settings({file.path: host.read(file.path) or "" for file in self.config_files})

    def build(self, host: Host, kernel: str) -> None:
        settings = self._settings(host)
        boot = _boot(host, kernel, settings)
        path, kept = host.path(boot.initrd), host.path(boot.initrd + KEPT)
        # A build that was cut off has left the last good one under the other name.
        if os.path.exists(kept) and not os.path.exists(path):
            os.replace(kept, path)
        if os.path.exists(path):
            _copy(path, kept)
        try:
            self._rebuild(host, boot, settings)
            # Where releases put it differs; now it is there.
            boot = _boot(host, kernel, settings)
            if not host.size(boot.initrd):
                raise CommandError(f"kdumpctl said that it built an initrd, but there is no {boot.initrd}")  # fmt: skip
            server = baked.server_of(_server(host, settings))
            baked.keep(host, boot.initrd, server, _keeps_resolv_conf(host))
            if host.exists(EARLY):
                _rebuild_for_early(host, boot)
        except BaseException:
            self.revert(host, kernel)
            raise

    def _rebuild(self, host: Host, boot: "_Boot", settings: t.Mapping[str, str]) -> None:
        running = host.read_word("/proc/sys/kernel/osrelease") or ""
        if boot.kernel == _boot(host, self.kernel(settings, running), settings).kernel:
            host.run(["kdumpctl", "rebuild"], timeout=self.build_timeout)
        elif _fadump(host):
            raise CommandError(
                f"the initrd of fadump can be built for the running kernel {running} alone; boot into {boot.kernel}, "
                "whose first start of kdump.service builds it"
            )
        else:
            # kdumpctl itself knows the running kernel and KDUMP_KERNELVER alone.
            os.makedirs(os.path.dirname(host.path(boot.initrd)), exist_ok=True)
            host.run(["mkdumprd", "-f", boot.initrd, boot.kernel], timeout=self.build_timeout)

    def confirm(self, host: Host, kernel: str) -> None:
        host.remove(_boot(host, kernel, self._settings(host)).initrd + KEPT)

    def revert(self, host: Host, kernel: str) -> bool:
        path = host.path(_boot(host, kernel, self._settings(host)).initrd)
        if not os.path.exists(path + KEPT):
            return False
        os.replace(path + KEPT, path)
        return True

    def load(self, host: Host) -> None:
        # "start" ends well without a look at the configuration while something is loaded.
        loaded = _loaded(host)
        # Unloading counts against the limit too.
        _refuse(host, 2 if loaded else 1)
        host.run(["kdumpctl", "restart" if loaded else "start"], timeout=self.build_timeout)

    def unload(self, host: Host) -> None:
        _refuse(host, 1)
        # It waits for another kdumpctl, which may be building.
        host.run(["kdumpctl", "stop"], timeout=self.build_timeout)


# The wanted state


def _plain_settings(wanted: Wanted) -> t.Dict[str, t.Optional[str]]:
    """Return the settings that are a variable's value as it is."""
    given = {
        "sshkey": wanted.sshkey,
        "final_action": wanted.final_action,
        "extra_bins": " ".join(wanted.extra_bins),
        "extra_modules": " ".join(wanted.extra_modules),
        "dracut_args": wanted.dracut_args,
        "fence_kdump_args": wanted.fence_args,
        "KDUMP_COMMANDLINE": wanted.commandline,
        "KEXEC_ARGS": wanted.kexec_args,
        "KDUMP_BOOTDIR": wanted.bootdir,
        "KDUMP_KERNELVER": wanted.kernel_version,
    }
    return {key: value for key, value in given.items() if value}


def mount_of(dracut_args: str) -> t.Optional[t.List[str]]:
    """Return the words behind --mount (device, folder, file system, options); None if there is no --mount."""
    match = _MOUNT.search(dracut_args)
    return re.sub(r"[\"']", "", match.group(1) or "").split() if match else None


def _target_kind(settings: t.Mapping[str, t.Optional[str]]) -> str:
    """Return where the settings send a dump: one of TARGET_KEYS, another file system of --mount, or '' for local."""
    for key in TARGET_KEYS:
        if settings.get(key):
            return key
    mount = mount_of(settings.get("dracut_args") or "")
    return mount[2] if mount and len(mount) > 2 else ""


def _elsewhere(settings: t.Mapping[str, t.Optional[str]]) -> str:
    """Return the target's type and place, such as 'ext4 /dev/vdb1'; '' if dumps go into the host's own file tree.

    Of a device that the host has mounted too, the dumps are below its mount point and not below ``path``. A raw dump gets
    into the tree at the next boot, but without its kernel log, and only from a device without a file system.
    """
    kind = _target_kind(settings)
    mount = mount_of(settings.get("dracut_args") or "") or [""]
    return f"{kind} {settings.get(kind) or mount[0]}" if kind else ""


def _set_target(wanted: Wanted, now: _Now, made: Configuration) -> None:
    mount = mount_of(wanted.dracut_args or "") is not None
    if wanted.target is None:
        staying = "" if wanted.exclusive else _elsewhere({**now.settings, **made.settings})
        if mount:
            made.settings.update(dict.fromkeys(TARGET_KEYS))
        elif staying:
            made.warnings.append(
                f"kdump_target: is not set, so /etc/kdump.conf keeps its own target, {staying}, and dumps go to kdump_path on "
                "that; to have them on this host, take that line out of it, or set kdump_exclusive"
            )
        return
    kept = wanted.dracut_args is None and not wanted.exclusive
    if mount or (kept and mount_of(now.settings.get("dracut_args", "")) is not None):
        made.problems.append(
            "kdump_dracut_args: --mount is a target for kdumpctl, and there is kdump_target too; take it out of "
            f"{'kdump_dracut_args' if mount else '/etc/kdump.conf, with kdump_dracut_args'}, or leave kdump_target unset"
        )
    kind = wanted.target.get("type", "")
    made.settings.update(dict.fromkeys(TARGET_KEYS))
    if kind not in TARGET_KEYS:
        made.problems.append(
            f"kdump_target: kdumpctl cannot honour type {kind!r}; it can write to {', '.join(TARGET_KEYS)}"
        )
        return
    location, reason = _LOCATIONS.get(kind, _device)(wanted)
    if reason:
        made.problems.append(f"kdump_target: location {location!r} {reason}")
    else:
        made.settings[kind] = location


def _ssh(wanted: Wanted) -> t.Tuple[str, str]:
    location = ssh_destination(wanted)
    user, at, host = location.partition("@")
    if not (user and at and host) or "/" in location or "@" in host:
        return location, "must be user@host"
    bracketed = re.match(r"\[([^\[\]]*)\](:.*)?\Z", host)
    if host.count(":") == 1 or (bracketed and bracketed.group(2)):
        return (
            location,
            "has a port, and kdumpctl has no word for one; put it into /root/.ssh/config (Host, Port), which gets into "
            "the capture initrd, and leave it out here",
        )
    # kdumpctl wants an IPv6 address bare.
    return (f"{user}@{bracketed.group(1)}" if bracketed else location), ""


def _nfs(wanted: Wanted) -> t.Tuple[str, str]:
    location = (wanted.target or {}).get("location") or ""
    match = re.match(r"(\[[0-9A-Fa-f:.%]+\]|[^\[\]/]+):(/.*)\Z", location)
    if match is None:
        return location, "must be host:/export, or [2001:db8::1]:/export for an IPv6 address"
    host = match.group(1)
    return (location if ":" not in host or host[0] == "[" else f"[{host}]:{match.group(2)}"), ""


def _device(wanted: Wanted) -> t.Tuple[str, str]:
    location = (wanted.target or {}).get("location") or ""
    if _UUID.match(location):
        # As linux-system-roles/kdump has it in its manual.
        location = "UUID=" + location
    raw = (wanted.target or {}).get("type") == "raw"
    if location.startswith("/dev/") or (not raw and re.match(r"(?:UUID|LABEL)=.", location)):
        return location, ""
    known = "a device such as /dev/vdb1 or one below /dev/disk" + ("" if raw else ", UUID=... or LABEL=...")  # fmt: skip
    return location, f"must be {known}: kdumpctl finds no other"


def _virtiofs(wanted: Wanted) -> t.Tuple[str, str]:
    return (wanted.target or {}).get("location") or "", ""


_LOCATIONS: t.Dict[str, t.Callable[[Wanted], t.Tuple[str, str]]] = {
    "ssh": _ssh,
    "nfs": _nfs,
    "virtiofs": _virtiofs,
}


def _set_collector(wanted: Wanted, now: _Now, made: Configuration) -> None:
    """Set core_collector; makedumpfile must have -F where the dump goes through a pipe, and must not elsewhere."""
    before = "" if wanted.exclusive else now.settings.get("core_collector", "")
    default = (
        f"makedumpfile {'-c' if now.architecture == 's390x' else '-l'} --message-level 7 -d 31"
    )
    kind = _target_kind({**({} if wanted.exclusive else now.settings), **made.settings})
    flat = kind in ("ssh", "raw")
    words, wrong = collector(wanted, before if _makedumpfile(before.split()) else default)
    if wanted.compression == "zstd" and now.rules.makedumpfile < (1, 7):
        wrong = [
            "kdump_compression: 'zstd' is there from makedumpfile 1.7 on, and the one that goes with "
            f"{now.shown} is older; use zlib or lzo"
        ]
        made.problems.extend(wrong)
    if wrong:
        return
    if wanted.core_collector is not None:
        made.settings["core_collector"] = wanted.core_collector
        if words and _makedumpfile(words) and ("-F" in wanted.core_collector) != flat:
            must = "must have" if flat else "must not have"
            made.problems.append(
                f"kdump_core_collector: {wanted.core_collector!r}: makedumpfile {must} -F with a target of type "
                f"{kind or 'local'}, or mkdumprd refuses to build; {'add it' if flat else 'leave it out'}"
            )
        return
    if words is None:
        # A new target takes the file's command along.
        words = before.split()
        if wanted.target is None or not _makedumpfile(words):
            return
    elif before and not _makedumpfile(before.split()):
        made.warnings.append(
            f"kdump_dump_level, kdump_compression, kdump_message_level and kdump_threads are makedumpfile's, which takes "
            f"the place of {before!r} in /etc/kdump.conf"
        )
    bare = [word for word in words[1:] if word != "-F"]
    made.settings["core_collector"] = " ".join([words[0], *(["-F"] if flat else []), *bare])


def _makedumpfile(words: t.Sequence[str]) -> bool:
    return list(words[:1]) == ["makedumpfile"]


def _doubts_of_threads(wanted: Wanted, now: _Now, made: Configuration) -> t.List[str]:
    """Return why the threads that are asked for are not those that will run, if so."""
    if wanted.threads is None and wanted.core_collector is None:
        return []
    variable = "kdump_core_collector" if wanted.threads is None else "kdump_threads"
    command = made.settings.get("core_collector") or ""
    asked = re.findall(r"--num-threads[= ]+([0-9]+)", command)
    told = asked and now.release is not None and now.rules.all_cpus
    # Where one of these is in the command, it is left alone.
    if not told or re.search("-[FE]", command):
        return []
    key = "FADUMP_COMMANDLINE_APPEND" if _assisted(wanted, now) else "KDUMP_COMMANDLINE_APPEND"
    cpus = _cpus(made.settings.get(key) or now.settings.get(key, ""))
    if cpus in (1, int(asked[-1])):
        return []
    return [
        f"{variable}: {asked[-1]} threads are asked for, and {now.shown} starts as many as its capture has CPUs (nr_cpus is "
        f"{cpus}) whatever it is told; set nr_cpus= in kdump_commandline_append for another number, or leave it unset"
    ]


def _cpus(commandline: str) -> int:
    """Return how many CPUs a capture kernel uses."""
    # Every distribution's own file says it; without a word the kernel would take all CPUs.
    found = re.findall(r"(?:nr_cpus|maxcpus)=([0-9]+)", commandline)
    return int(found[-1]) if found else 1


def _set_rebuilds(wanted: Wanted, now: _Now, made: Configuration) -> None:
    if wanted.force_rebuild is not None:
        made.settings["force_rebuild"] = "1" if wanted.force_rebuild == "always" else None
        made.settings["force_no_rebuild"] = "1" if wanted.force_rebuild == "never" else None
    if wanted.force_rebuild == "never":
        made.warnings.append(
            "kdump_force_rebuild: with 'never', no change of /etc/kdump.conf, of hooks or of keys gets into the capture initrd "
            "that is there until somebody runs 'kdumpctl rebuild'"
        )
    settings = {**({} if wanted.exclusive else now.settings), **made.settings}
    if wanted.early and settings.get("force_rebuild") == "1":
        made.problems.append(
            "kdump_early: does not go with kdump_force_rebuild: always (force_rebuild 1 in /etc/kdump.conf), which builds the "
            "capture initrd at every start: the host's initramfs, which holds it, would always have an old one; set "
            "kdump_force_rebuild: auto, or leave kdump_early unset"
        )


def _set_actions(wanted: Wanted, now: _Now, made: Configuration) -> None:
    # 'default' is the older name; a file with both is refused.
    name, other = ("failure_action", "default") if now.knows("failure_action") else ("default", "failure_action")  # fmt: skip
    made.settings.update({name: wanted.system_action, other: None})
    reset = wanted.auto_reset_crashkernel
    if reset is None and wanted.crashkernel != "none":
        # Two that set crashkernel= would undo each other at every update of the package.
        reset = False
    # A release that does not know the option resets nothing.
    if reset is not None and (reset or now.knows("auto_reset_crashkernel")):
        made.settings["auto_reset_crashkernel"] = "yes" if reset else "no"


def _set_hooks(wanted: Wanted, now: _Now, made: Configuration) -> None:
    for kind in HOOK_KINDS:
        given = hooks(wanted, kind)
        variable = f"kdump_{kind}_hooks"
        made.warnings.extend(
            f"{variable}: {name} is run by {interpreter(content)}, of which nothing but the program itself gets into the "
            "capture initrd; use /bin/sh"
            for name, content in given
            if interpreter(content) and interpreter(content) not in SHELLS
        )
        if kind in now.folders:
            made.files.update({f"/etc/kdump/{kind}.d/{name}": OwnFile(content, 0o755) for name, content in given})  # fmt: skip
        elif len(given) > 1:
            made.problems.append(
                f"{variable}: this host's kdumpctl runs one such script alone; make one of {', '.join(name for name, _content in given)}"
            )
        elif given:
            path = f"{OWN_HOOKS}/{kind}.d/{given[0][0]}"
            made.files[path] = OwnFile(given[0][1], 0o755)
            made.settings[f"kdump_{kind}"] = path
        if f"kdump_{kind}" not in made.settings and _is_ours(now.settings.get(f"kdump_{kind}")):
            # That script goes, and kdumpctl loads nothing while a line names one that is not there.
            before = None if wanted.exclusive else now.original.get(f"kdump_{kind}")
            made.settings[f"kdump_{kind}"] = None if _is_ours(before) else before


def _is_ours(hook: t.Optional[str]) -> bool:
    return (hook or "").startswith(OWN_HOOKS + "/")


def _assisted(wanted: Wanted, now: _Now) -> bool:
    """Say whether the firmware starts the kernel that dumps (fadump), and not kexec."""
    asked = now.fadump if wanted.fadump is None else wanted.fadump in ("on", "nocma")
    return asked and now.architecture == "ppc64le"


def _set_commandline(wanted: Wanted, now: _Now, made: Configuration) -> None:
    if _assisted(wanted, now):
        _set_fadump_commandline(wanted, now, made)
        return
    defaults = _sysconfig_defaults(now)
    more = (wanted.commandline_append or "").split()
    if more:
        made.settings["KDUMP_COMMANDLINE_APPEND"] = with_words(
            defaults["KDUMP_COMMANDLINE_APPEND"].split(), more
        )
    if wanted.commandline_remove:
        names = defaults["KDUMP_COMMANDLINE_REMOVE"].split()
        there = {name.rstrip("=") for name in names}
        names += [name for name in wanted.commandline_remove if name.rstrip("=") not in there]
        made.settings["KDUMP_COMMANDLINE_REMOVE"] = " ".join(names)


def _set_fadump_commandline(wanted: Wanted, now: _Now, made: Configuration) -> None:
    """Set what the firmware's boot after a crash is told beside the host's own command line."""
    for variable, value in (
        ("kdump_commandline", wanted.commandline),
        ("kdump_commandline_remove", " ".join(wanted.commandline_remove)),
        ("kdump_kexec_args", wanted.kexec_args),
    ):
        if value:
            made.problems.append(
                f"{variable}: {value!r}: with fadump the firmware boots the host's own kernel with its own command line, to "
                "which kdump_commandline_append alone can add; leave it unset, or set kdump_fadump: 'off'"
            )
    if not wanted.commandline_append:
        return
    shown = f"kdump_commandline_append: {wanted.commandline_append!r}"
    if "FADUMP_COMMANDLINE_APPEND" not in now.later:
        made.problems.append(
            f"{shown}: {now.shown} has nothing that adds to the command line of fadump (FADUMP_COMMANDLINE_APPEND); leave it "
            "unset, or update its package"
        )
        return
    made.settings["FADUMP_COMMANDLINE_APPEND"] = with_words(
        _sysconfig_defaults(now)["FADUMP_COMMANDLINE_APPEND"].split(),
        wanted.commandline_append.split(),
    )
    if now.fadump and not now.fadump_arguments:
        made.warnings.append(
            f"{shown}: the running kernel takes no more arguments for fadump (it has no {FADUMP_ARGUMENTS}), so a dump is made "
            "without them; boot a newer kernel, or leave it unset"
        )


def with_words(words: t.Sequence[str], more: t.Sequence[str]) -> str:
    """Return a command line with more words, in place of those that set the same; as it is if it has them already."""
    names = {word.split("=")[0] for word in more}
    same = [word for word in words if word.split("=")[0] in names]
    if same == list(more):
        return " ".join(words)
    return " ".join([word for word in words if word not in same] + list(dict.fromkeys(more)))


def _sysconfig_defaults(now: _Now) -> t.Dict[str, str]:
    """Return what the settings that no host does without are to be, before a variable adds to them.

    That is what was there before this collection, so that what an earlier run added and nobody asks for any more goes. If
    somebody else has changed the file since, it is what is there now: their words stay, and so do those of earlier runs,
    for nothing tells which are whose. What the file does not have comes from the distribution's.
    """
    arch = now.architecture
    defaults = {
        "KDUMP_COMMANDLINE_REMOVE": REMOVE.get(arch, REMOVE_OTHERS),
        "KDUMP_COMMANDLINE_APPEND": APPEND.get(arch, APPEND_OTHERS),
        "KEXEC_ARGS": "-s" if arch in FILE_LOAD else "",
        "KDUMP_IMG": "vmlinuz",
    }
    before = now.settings if now.edited else now.original
    if "FADUMP_COMMANDLINE_APPEND" in before or (
        arch == "ppc64le" and "FADUMP_COMMANDLINE_APPEND" in now.later
    ):
        defaults["FADUMP_COMMANDLINE_APPEND"] = FADUMP_APPEND
    return {key: before.get(key, value) for key, value in defaults.items()}


def _set_fence(wanted: Wanted, now: _Now, made: Configuration) -> None:
    there = None if wanted.exclusive else now.settings.get("fence_kdump_nodes")
    if wanted.fence_args and not wanted.fence_nodes and not there and not now.cluster:
        made.warnings.append(
            "kdump_fence_args: says how to tell nodes, and neither kdump_fence_nodes nor the host's kdump.conf nor Pacemaker "
            "names any, so nobody will be told; set kdump_fence_nodes"
        )
    if not wanted.fence_nodes:
        return
    made.settings["fence_kdump_nodes"] = " ".join(wanted.fence_nodes)
    for node in wanted.fence_nodes:
        if "%" in node:
            # kdumpctl takes it, but dracut's module looks for the way there with "ip route get", which knows no scope.
            made.problems.append(
                f"kdump_fence_nodes: {node!r} has a scope, with which mkdumprd finds no way there and builds no initrd; use "
                "another address, or a name for it"
            )
        # As kdumpctl does it with grep: an address that only ends like the node's counts as the host's own.
        pattern = re.escape(node).replace(r"\.", ".") + " "
        if node == now.hostname or re.search(pattern, now.addresses + " "):
            made.problems.append(
                f"kdump_fence_nodes: {node!r} is this host itself, which kdumpctl refuses; name the other nodes alone"
            )
    if not now.fence:
        made.warnings.append(
            f"kdump_fence_nodes: nobody will be told, for there is no {FENCE_SENDER}; install fence-agents-kdump"
        )


def _set_arguments(wanted: Wanted, now: _Now, made: Configuration) -> None:
    """Set what the running kernel must be told at its boot."""
    if wanted.fadump in ("on", "nocma") and now.architecture != "ppc64le":
        made.problems.append(
            f"kdump_fadump: {wanted.fadump!r} is there on ppc64le alone, and this host is {now.architecture}; leave it unset"
        )
    elif wanted.fadump is not None:
        made.arguments["fadump"] = [] if wanted.fadump == "off" else [wanted.fadump]
    if wanted.early is None:
        return
    made.arguments["rd.earlykdump"] = [""] if wanted.early else []
    if not wanted.early:
        return
    made.files[EARLY] = OwnFile(EARLY_TEXT)
    if _assisted(wanted, now):
        made.problems.append(
            "kdump_early: does not go with fadump, which is there from the first instruction on; leave it unset"
        )
    if wanted.kernel_version:
        made.problems.append(
            "kdump_early: puts the capture kernel into the initramfs of the kernel that boots, which must be the same; leave "
            "kdump_kernel_version unset"
        )
    if now.ostree:
        made.problems.append(
            "kdump_early: this host's initramfs comes with its image (ostree), so dracut cannot add early kdump to it; "
            "build it into the image, and set the kernel argument rd.earlykdump there"
        )
    if wanted.system_action == "reboot" or wanted.final_action in (None, "reboot"):
        made.warnings.append(
            "kdump_early: a host that crashes early in every boot will dump and boot without end; set kdump_system_action "
            "and kdump_final_action to poweroff where that matters"
        )


# The host


class _Boot(t.NamedTuple):
    """The capture kernel and the initrds of it."""

    kernel: str  # release
    image: str  # '' if there is none
    system: str  # the initrd that the host boots with, beside it; '' if there is none
    initrd: str  # the one that dumps


def _fadump(host: Host) -> bool:
    return "1" in (
        host.read_word("/sys/kernel/fadump/enabled"),
        host.read_word("/sys/kernel/fadump_enabled"),
    )


def _loaded(host: Host) -> bool:
    names = ("fadump/registered", "fadump_registered") if _fadump(host) else ("kexec_crash_loaded", "kexec/crash_loaded")  # fmt: skip
    return any(host.read_word(f"/sys/kernel/{name}") == "1" for name in names)


def _refuse(host: Host, times: int) -> None:
    """Refuse what the kernel would not do, and what would leave the host unarmed half-way.

    :param times: how often a capture kernel is loaded or unloaded.
    :raises CommandError: the kernel allows it less often.
    """
    if _fadump(host):
        return
    if host.read_word("/proc/sys/kernel/kexec_load_disabled") == "1":
        raise CommandError(
            "kernel.kexec_load_disabled is 1, so the kernel takes and gives up no capture kernel before the next boot"
        )
    limit = host.read_word("/proc/sys/kernel/kexec_load_limit_panic") or "-1"
    if limit.isdigit() and int(limit) < times:
        raise CommandError(
            f"kernel.kexec_load_limit_panic allows {limit} more, and this takes {times}; boot the host, which loads it anew"
        )


def _boot(host: Host, kernel: str, settings: t.Mapping[str, str]) -> _Boot:
    """Return where kdumpctl looks for a kernel and its initrd (prepare_kdump_bootinfo)."""
    release = kernel
    twin = re.sub(r"[+-]debug\Z", "", kernel)
    if twin != kernel and not settings.get("KDUMP_KERNELVER") and not _fadump(host):
        # A debug kernel takes too much memory.
        release = twin if _image(host, twin, settings) else kernel
    image = _image(host, release, settings)
    library = host.read(f"{LIBRARIES}/kdump-lib.sh")
    # Since 1.0.59 (48dd252 "spec: drop dependency for binutils") the initrd of a kernel that has none beside it goes into
    # STATE. Before, it went into the kernel's folder, and a unified image's into /boot.
    newer = None if library is None else "-z $DEFAULT_INITRD" in library
    older_unified = newer is False and image.endswith(".efi")
    folder = "/boot" if older_unified else os.path.dirname(image) or "/boot"
    names = (f"{folder}/initramfs-{release}.img", f"{folder}/initrd")
    system = next((name for name in names if host.exists(name)), "")
    if _fadump(host):
        return _Boot(release, image, system, system or names[0])
    name = f"initramfs-{release}kdump.img"
    if not os.access(host.path(folder), os.W_OK):
        return _Boot(release, image, system, f"{STATE}/{name}")
    if system:
        beside = f"{system}kdump" if system == names[1] else f"{folder}/{name}"
        return _Boot(release, image, system, beside)
    places = [f"{STATE}/{name}", f"{'/boot' if image.endswith('.efi') else folder}/{name}"]
    if newer is None:
        found = [place for place in places if host.exists(place)]
        return _Boot(release, image, system, (found or places)[0])
    return _Boot(release, image, system, places[0 if newer else 1])


def _image(host: Host, release: str, settings: t.Mapping[str, str]) -> str:
    """Return the kernel's image that kdumpctl takes for a release (prepare_kdump_kernel), or ''."""
    machine = host.read_word("/etc/machine-id") or ""
    kind = settings.get("KDUMP_IMG") or "vmlinuz"
    stub = host.read_head(
        "/sys/firmware/efi/efivars/StubImageIdentifier-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f", 4096
    )
    unified = "".join(chr(byte) for byte in stub if 32 <= byte < 127).replace("\\", "/")
    names = [
        f"{kind}-{release}{settings.get('KDUMP_IMG_EXT', '')}",
        f"{machine}/{release}/{kind}",
        unified or f"EFI/Linux/{machine}-{release}.efi",
    ]
    booted = re.match(r"BOOT_IMAGE=(?:\(\S*\))?(\S*)", host.read("/proc/cmdline") or "")
    if booted and booted.group(1).endswith(release):
        names.insert(0, booted.group(1))
    folders = (settings.get("KDUMP_BOOTDIR") or "/boot /boot/efi /efi /").split()
    if host.exists("/run/ostree-booted"):
        folders = host.glob("/boot/ostree/*") + folders
    for folder in folders:
        for name in names:
            path = re.sub("/+", "/", f"{folder}/{name}")
            if os.path.isfile(host.path(path)):
                return path
    return ""


def _before_fadump(boot: _Boot) -> str:
    """Return where kdumpctl keeps the initrd from before it was built anew for fadump."""
    return os.path.join(os.path.dirname(boot.initrd), f".{os.path.basename(boot.initrd)}.default")


def _sources(host: Host, boot: _Boot, settings: t.Mapping[str, str]) -> t.List[str]:
    """Return the files that go into the capture initrd."""
    words = settings.get("core_collector", "").split()
    program = host.runner.which(words[0]) if words else None
    result = [
        # These kdumpctl looks at itself, when it starts;
        *("/etc/kdump.conf", "/etc/fstab", boot.image),
        *settings.get("extra_bins", "").split(),
        *(settings.get(f"kdump_{kind}", "") for kind in HOOK_KINDS),
        *(path for kind in HOOK_KINDS for path in host.glob(f"/etc/kdump/{kind}.d/*")),
        *([program] if program else []),
        *([f"/lib/modules/{boot.kernel}/modules.dep"] if settings.get("extra_modules") else []),
        *(["/etc/sysconfig/fence_kdump"] if host.exists(FENCE_SENDER) else []),
        # and these it does not. A hook that is gone shows in its folder.
        *("/etc/sysconfig/kdump", "/etc/dracut.conf"),
        *host.glob("/etc/dracut.conf.d/*.conf"),
        *(f"/etc/kdump/{kind}.d" for kind in HOOK_KINDS),
    ]
    kind = _target_kind(settings)
    if kind == "ssh":
        result += [
            settings.get("sshkey") or "/root/.ssh/kdump_id_rsa",
            *("/root/.ssh/known_hosts", "/root/.ssh/config"),
            *("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_config"),
            *host.glob("/etc/ssh/ssh_config.d/*.conf"),
        ]
    if _server(host, settings):
        result += ["/etc/hosts", "/etc/nsswitch.conf", "/etc/NetworkManager/system-connections"]
        result += host.glob("/etc/NetworkManager/system-connections/*")
        result += host.glob("/etc/sysconfig/network-scripts/ifcfg-*")
        if _keeps_resolv_conf(host):
            result.append("/etc/resolv.conf")
    return [path for path in dict.fromkeys(result) if path]


def _server(host: Host, settings: t.Mapping[str, str]) -> str:
    """Return where dumps go over the network, as the settings or /proc/mounts name it; '' if they stay on the host."""
    kind = _target_kind(settings)
    if kind == "ssh" or kind.startswith("nfs"):
        return settings.get(kind) or (mount_of(settings.get("dracut_args", "")) or [""])[0]
    if kind:
        return ""
    # Without a target, kdumpctl takes the share that the path lies on.
    found = target.mounts(host.read("/proc/self/mountinfo") or "")
    _path, mount = target.resolved(host, found, settings.get("path") or "/var/crash")
    return mount.source if mount is not None and mount.fstype.startswith("nfs") else ""


def _keeps_resolv_conf(host: Host) -> bool:
    """Say whether the capture kernel uses the copy of resolv.conf; otherwise NetworkManager writes one there.

    It writes none over a link, either, but for its own and that of systemd-resolved.
    """
    try:
        link = os.readlink(host.path("/etc/resolv.conf"))
    except OSError:
        link = ""
    if link and not re.search(r"run/(systemd|NetworkManager)/", link):
        return True
    files = ["/etc/NetworkManager/NetworkManager.conf", *host.glob("/etc/NetworkManager/conf.d/*.conf")]  # fmt: skip
    return any(re.search(r"^\s*dns\s*=\s*none\s*$", host.read(path) or "", re.M) for path in files)


def _rebuild_for_early(host: Host, boot: _Boot) -> None:
    """Build the initrd that the host boots with, which holds the capture kernel's for early kdump."""
    if not boot.system:
        raise CommandError(
            f"early kdump needs an initramfs of its own for {boot.kernel}, and there is none beside {boot.image}; "
            "leave kdump_early unset on a host with unified kernel images"
        )
    # dracut writes in place, and without this file the host does not boot.
    new = boot.system + KEPT
    try:
        host.run(["dracut", "--force", new, boot.kernel], timeout=Kdumpctl.build_timeout)
        _replace_initramfs(host, new, boot.system)
    finally:
        host.remove(new)


def _replace_initramfs(host: Host, new: str, path: str) -> None:
    """Put a new file in the place of the one that the host boots with, or fail and leave the host with the old one.

    zipl's bootmap knows the blocks of the initramfs and not its name: they must not be given up before there is a new map,
    or the host does not boot. So the old file keeps a second name until zipl is done.
    """
    if not host.exists(ZIPL_CONF):
        os.replace(host.path(new), host.path(path))
        return
    old = path + KEPT + "-booted"
    if host.exists(old):
        # A run was cut off here; the map may know either file.
        host.run(["zipl"], timeout=ZIPL_TIMEOUT)
        host.remove(old)
    os.link(host.path(path), host.path(old))
    os.replace(host.path(new), host.path(path))
    try:
        host.run(["zipl"], timeout=ZIPL_TIMEOUT)
    except BaseException:
        os.replace(host.path(old), host.path(path))
        raise
    host.remove(old)


def _copy(path: str, copy: str) -> None:
    """Copy a file with its time and label; the copy is whole or is not there.

    A second name for the same file would be of no use: dracut writes in place.
    """
    part = copy + ".part"
    try:
        shutil.copy2(path, part)
        os.replace(part, copy)
    finally:
        if os.path.exists(part):
            os.unlink(part)


def _dump(host: Host, folder: str) -> Dump:
    names = [os.path.basename(entry) for entry in host.glob(folder + "/*")]
    cores = [name for name in ("vmcore", "vmcore.flat") if name in names]
    vmcore = f"{folder}/{cores[0]}" if cores else ""
    return Dump(
        folder,
        vmcore,
        f"{folder}/vmcore-dmesg.txt" if "vmcore-dmesg.txt" in names else "",
        (host.size(vmcore) or 0) if vmcore else 0,
        host.mtime(vmcore or folder) or 0.0,
        bool(cores) and not any("incomplete" in name for name in names),
    )
