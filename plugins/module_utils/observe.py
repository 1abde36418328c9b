# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""What is read from a host: facts, no opinions. Changes nothing and calls nothing that can block."""

import os
import re
import stat
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils import (
    configuration,
    deploy,
    packages,
    panic,
    space,
    ssh_client,
    target,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.argument import Argument
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.base import (
    BootLoaderError,
    next_entry,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.owners import owners
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.registry import (
    detect as detect_boot_loader,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.registry import (
    known as known_boot_loaders,
)
from ansible_collections.kdump.fleet.plugins.module_utils.crashkernel import (
    CrashkernelError,
    parse_crashkernel,
    words,
)
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host
from ansible_collections.kdump.fleet.plugins.module_utils.footprint import footprint
from ansible_collections.kdump.fleet.plugins.module_utils.records import (
    ARGUMENTS as ARGUMENTS_BEFORE,
)
from ansible_collections.kdump.fleet.plugins.module_utils.records import (
    ORIGINALS,
    PENDING,
    Entry,
    fingerprint,
    others,
)
from ansible_collections.kdump.fleet.plugins.module_utils.records import (
    SYSCTLS as SYSCTLS_BEFORE,
)
from ansible_collections.kdump.fleet.plugins.module_utils.sizing import auto
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.base import Dump, Tooling
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.registry import (
    detect as detect_tooling,
)
from ansible_collections.kdump.fleet.plugins.module_utils.wanted import ARGUMENTS

Facts = t.Dict[str, t.Any]

# From Linux 6.19 on the first of each pair; the second is deprecated there (Documentation/ABI).
LOADED = ("/sys/kernel/kexec/crash_loaded", "/sys/kernel/kexec_crash_loaded")
RESERVED = ("/sys/kernel/kexec/crash_size", "/sys/kernel/kexec_crash_size")

# Firmware-assisted dumps, on ppc64le; in this place from Linux 5.10 on. Source: Documentation/ABI/testing/sysfs-kernel-fadump.
FADUMP = "/sys/kernel/fadump"

# What the running kernel was built with; one of each group is enough.
KERNEL_OPTIONS = (
    ("KEXEC", "KEXEC_FILE"),
    ("CRASH_DUMP",),
    ("PROC_VMCORE",),
    ("RELOCATABLE",),
    ("SYSFS",),
    ("DEBUG_INFO", "DEBUG_INFO_BTF"),
)
# Clients of targets that are elsewhere.
PROGRAMS = ("ssh", "mount.nfs", "mount.cifs", "lftp")
KEXEC_DISABLED = "kernel.kexec_load_disabled"


def loaded(host: Host) -> t.Optional[bool]:
    """Say whether a capture kernel is loaded, or the firmware's dump registered; None if this kernel has no kexec."""
    if host.read_word(FADUMP + "/enabled") == "1":
        return host.read_word(FADUMP + "/registered") == "1"
    for path in LOADED:
        word = host.read_word(path)
        if word is not None:
            return word == "1"
    return None


def reserved(host: Host) -> t.Optional[int]:
    """Return the bytes reserved for the capture kernel; None if this kernel has no kexec."""
    if host.read_word(FADUMP + "/enabled") == "1":
        word = host.read_word(FADUMP + "/mem_reserved")
        return int(word) if word and word.isdigit() else 0
    for path in RESERVED:
        word = host.read_word(path)
        if word is not None and word.isdigit():
            return int(word)
    return None


def os_release(host: Host) -> t.Dict[str, str]:
    """Return the fields of /etc/os-release."""
    text = host.read("/etc/os-release") or host.read("/usr/lib/os-release") or ""
    return {
        key: value.strip("\"'")
        for key, value in re.findall(r"^([A-Z_]+)=(.*)$", text, re.MULTILINE)
    }


def system_ram(host: Host) -> int:
    """Return the RAM that the kernel measures crashkernel= ranges with, in bytes.

    That is all memory the firmware gave it, reserved or not: the sum of /proc/iomem's System RAM. Without
    root that file shows zeros, and MemTotal, a few percent less, has to do.
    """
    total = 0
    for start, end in re.findall(
        r"^([0-9a-f]+)-([0-9a-f]+) : System RAM", host.read("/proc/iomem") or "", re.M
    ):
        if int(end, 16):
            total += int(end, 16) - int(start, 16) + 1
    if total:
        return total
    match = re.search(r"^MemTotal:\s*(\d+) kB", host.read("/proc/meminfo") or "", re.M)
    return int(match.group(1)) * 1024 if match else 0


def crashkernel_facts(values: t.Sequence[str], cmdline: str, ram: int, arch: str) -> Facts:
    """Return what crashkernel= words mean to the kernel.

    :param ram: bytes.
    """
    facts: Facts = {"words": list(values), "ok": False, "error": "", "size": 0, "low": 0, "cma": 0}
    try:
        meant = parse_crashkernel(cmdline, ram, arch)
    except CrashkernelError as exc:
        facts["error"] = str(exc)
        return facts
    facts.update(ok=True, size=meant.size, low=meant.low, cma=meant.cma)
    return facts


def observe(
    host: Host,
    tooling_name: str = "auto",
    dump_path: t.Optional[str] = None,
    paths: t.Sequence[str] = (),
    tooling_paths: t.Optional[t.Mapping[str, str]] = None,
    ssh: t.Optional[t.Mapping[str, str]] = None,
    where: t.Optional[t.Mapping[str, t.Any]] = None,
    measure: bool = False,
) -> Facts:
    """Return everything that the plan needs to know of a host.

    :param tooling_name: auto or the name of a tooling.
    :param dump_path: where to look for dumps; None takes the configuration's.
    :param paths: whose presence the plan wants to know.
    :param tooling_paths: in place of dump_path, by the tooling's name.
    :param ssh: location and key of a target that ssh logs in to.
    :param where: the target of a plan, as in kdump_target.
    :param measure: have makedumpfile count the pages that a dump would have, which may take seconds.
    """
    arch = os.uname().machine if host.root == "/" else (host.read_word("/arch") or "x86_64")
    kernel = (host.read_word("/proc/sys/kernel/osrelease") or "").strip()
    cmdline = (host.read("/proc/cmdline") or "").strip()
    ram = system_ram(host)
    release = os_release(host)
    virtualization = _virtualization(host)
    is_loaded = loaded(host)
    facts: Facts = {
        "architecture": arch,
        "boot_id": host.read_word("/proc/sys/kernel/random/boot_id") or "",
        "distribution": {
            "id": release.get("ID", ""),
            "version": release.get("VERSION_ID", ""),
            "name": release.get("PRETTY_NAME", ""),
            "like": release.get("ID_LIKE", "").split(),
            "manager": packages.manager(host),
        },
        "memory": {"total": ram, "page_size": os.sysconf("SC_PAGE_SIZE")},
        "kernel": {
            "release": kernel,
            "cmdline": cmdline,
            "options": _kernel_options(host, kernel),
            "arguments": {name: Argument(name).values(cmdline) for name in ARGUMENTS},
        },
        "crashkernel": crashkernel_facts(words(cmdline), cmdline, ram, arch),
        "reserved": reserved(host),
        "loaded": is_loaded,
        "virtualization": virtualization,
        "boot_loader": _boot_loader(host, ram, arch),
        "sysctl": {
            name: host.read_word("/proc/sys/" + name.replace(".", "/"))
            for name in (KEXEC_DISABLED, *panic.SYSCTLS)
        },
    }
    facts["sysctl_files"] = _sysctl_files(host)
    facts["unsupported"] = _unsupported(facts)
    facts["originals"] = sorted(ORIGINALS.load(host))
    kept = SYSCTLS_BEFORE.load(host)
    facts["own_sysctls"] = {name: kept[name] for name in kept if deploy.has_sysctl(host, name)}
    facts["paths"] = {path: _look(host, path) for path in paths}
    tooling = detect_tooling(host, release, tooling_name)
    facts["tooling"] = _tooling(host, tooling, facts)
    path = dump_path or "/var/crash"
    if tooling is not None:
        path = (
            (tooling_paths or {}).get(tooling.name)
            or dump_path
            or tooling.dump_path(facts["tooling"]["settings"])
        )
    facts["target"] = _target(host, path, tooling)
    if where and where.get("type") and isinstance(where.get("location"), str):
        facts["target"]["where"] = target.observe_target(host, where["type"], where["location"])
    dumps = tooling.dumps(host, path) if tooling and facts["target"]["answers"] else []
    facts["dumps"] = [dict(dump._asdict()) for dump in dumps]
    facts["programs"] = {name: host.runner.which(name) is not None for name in PROGRAMS}
    facts["ssh"] = _ssh(host, tooling, facts["tooling"]["settings"], ssh or {})
    facts["crashkernel_owners"] = [
        dict(owner._asdict()) for owner in owners(host, facts["crashkernel"]["words"])
    ]
    facts["capture"] = _capture(host, tooling, facts, dumps)
    facts["sizing"] = auto(facts)
    level = tooling.dump_level(facts["tooling"]["settings"]) if tooling else 31
    facts["dump_need"] = space.observed(host, ram, facts["reserved"] or 0, level, measure)
    return facts


def _ssh(
    host: Host,
    tooling: t.Optional[Tooling],
    settings: t.Mapping[str, str],
    target: t.Mapping[str, str],
) -> Facts:
    """Return what of an ssh target is there; nothing where there is none."""
    location = target.get("location")
    if not location:
        return {}
    key = target.get("key") or (tooling.ssh_key(settings) if tooling else "")
    known_hosts = tooling.known_hosts if tooling else ssh_client.KNOWN_HOSTS
    return ssh_client.observe(host, location, key, known_hosts)


def _sysctl_files(host: Host) -> t.Dict[str, str]:
    """Return what files for sysctl say of the settings that this collection sets, by path."""
    paths = [path for folder in panic.FOLDERS for path in host.glob(folder + "/*.conf")]
    result = {}
    for path in [*paths, panic.LEGACY]:
        found = {
            name: value
            for name, value in panic.settings(host.read(path) or "").items()
            if name in panic.SYSCTLS
        }
        # An empty file counts too: it hides one of its name.
        result[path] = "".join(f"{name} = {value}\n" for name, value in found.items())
    return result


def _virtualization(host: Host) -> Facts:
    # It exits with 1 for "none". Where it can be asked its word counts, because a machine made out of
    # a container image keeps that image's marks.
    container = host.says(["systemd-detect-virt", "--container"])
    if container is None and host.exists("/.dockerenv"):
        container = "docker"
    elif container is None and host.exists("/run/.containerenv"):
        container = "podman"
    if container not in (None, "", "none"):
        return {"kind": "container", "name": container}
    machine = host.says(["systemd-detect-virt", "--vm"])
    if machine not in (None, "", "none"):
        return {"kind": "vm", "name": machine}
    return {"kind": "none", "name": ""}


def _kernel_options(host: Host, kernel: str) -> t.Dict[str, t.Optional[bool]]:
    """Return whether each option is built in; None where the kernel's configuration is not to be read."""
    text = host.read(f"/boot/config-{kernel}") or host.read(f"/lib/modules/{kernel}/config")
    result: t.Dict[str, t.Optional[bool]] = {}
    for group in KERNEL_OPTIONS:
        for name in group:
            result[name] = None if text is None else f"\nCONFIG_{name}=y\n" in f"\n{text}\n"
    return result


def _boot_loader(host: Host, ram: int, arch: str) -> Facts:
    facts: Facts = {
        "name": None,
        "error": "",
        "kernel": "",
        "crashkernel": None,
        "entries": [],
        "own_arguments": ARGUMENTS_BEFORE.load(host),
    }
    loader = detect_boot_loader(host)
    if loader is None:
        facts["error"] = (
            f"no boot loader that kdump.fleet can drive was found (it knows {known_boot_loaders()})"
        )
        return facts
    facts["name"] = loader.name
    try:
        entries = loader.entries(host)
    except BootLoaderError as exc:
        facts["error"] = str(exc)
        return facts
    chosen = next_entry(entries)
    facts["entries"] = [
        {
            "title": entry.title,
            "kernel": entry.kernel,
            "recovery": entry.recovery,
            "own": entry.own,
            "counts": entry.counts,
            "default": entry.default,
            "crashkernel": entry.crashkernel,
            "arguments": {name: Argument(name).values(entry.arguments) for name in ARGUMENTS},
        }
        for entry in entries
    ]
    if chosen is None:
        facts["error"] = f"{loader.name} has no entry that boots a Linux kernel"
        return facts
    facts["kernel"] = chosen.kernel_release
    facts["crashkernel"] = crashkernel_facts(chosen.crashkernel, chosen.arguments, ram, arch)
    return facts


def _unsupported(facts: Facts) -> t.List[str]:
    """Return why this host can never dump, if so."""
    reasons = []
    if facts["virtualization"]["kind"] == "container":
        reasons.append(
            f"this is a container ({facts['virtualization']['name']}): its kernel is the host's, "
            "so kdump is set up on the host"
        )
    elif facts["loaded"] is None:
        reasons.append(
            "the running kernel has no kexec (neither /sys/kernel/kexec_crash_loaded nor its new name)"
        )
    options = facts["kernel"]["options"]
    for group in KERNEL_OPTIONS[:3]:
        if all(options[name] is False for name in group):
            reasons.append(
                f"the kernel {facts['kernel']['release']} was built without "
                + " or ".join(f"CONFIG_{name}" for name in group)
            )
    return reasons


def _look(host: Host, path: str) -> Facts:
    """Return whether there is such a file, and what it is."""
    try:
        mode = os.stat(host.path(path)).st_mode
    except OSError:
        return {"exists": False, "kind": "", "executable": False}
    kind = next(
        (
            name
            for name, test in (
                ("file", stat.S_ISREG),
                ("folder", stat.S_ISDIR),
                ("device", stat.S_ISBLK),
            )
            if test(mode)
        ),
        "other",
    )
    return {"exists": True, "kind": kind, "executable": bool(mode & 0o111)}


def _tooling(host: Host, tooling: t.Optional[Tooling], facts: Facts) -> Facts:
    result: Facts = {
        "name": None,
        "installed": False,
        "release": None,
        "rules": {},
        "packages": [],
        "missing_packages": [],
        "service": {"name": "", "enabled": "", "active": ""},
        "config_path": "",
        "config": {},
        "settings": {},
        "original_settings": {},
        "files": {},
        "initrd": None,
        "next_initrd": None,
        "obstacles": [],
        "pending": False,
        "pending_since_boot": False,
    }
    if tooling is None:
        return result
    wanted = tooling.packages(facts["distribution"]["id"], facts["distribution"]["version"])
    versions = packages.versions(host, wanted)
    installed = tooling.installed(host)
    texts = config_texts(host, tooling)
    settings = tooling.settings(texts)
    originals = ORIGINALS.load(host)
    # A reservation that is there belongs to the running kernel; without one only the next boot's can arm.
    following = facts["boot_loader"]["kernel"] or facts["kernel"]["release"]
    running = facts["kernel"]["release"] if facts["reserved"] else following
    initrd = tooling.initrd(host, tooling.kernel(settings, running))
    result.update(
        name=tooling.name,
        installed=installed,
        release=tooling.release(host) if installed else None,
        rules=tooling.observed(host),
        packages=[
            {"name": name, "version": version} for name, version in sorted((versions or {}).items())
        ],
        # Where no package manager is known, the program is what there is to go by.
        missing_packages=[name for name in wanted if name not in versions]
        if versions is not None
        else ([] if installed else list(wanted)),
        service=_service(host, tooling.service),
        config_path=tooling.config_files[0].path,
        config=configuration.shown_texts(tooling, texts),
        settings=_shown(tooling, settings),
        original_settings=_shown(
            tooling,
            tooling.settings(
                {
                    path: (originals[path]["before"] or "") if path in originals else text
                    for path, text in texts.items()
                }
            ),
        ),
        files=_files(host, tooling, originals),
        initrd=dict(initrd._asdict()),
        next_initrd=dict(tooling.initrd(host, tooling.kernel(settings, following))._asdict()),
        obstacles=tooling.obstacles(host),
        pending=host.exists(PENDING.path),
        # A service that loaded at a later boot has used the new configuration already.
        pending_since_boot=(host.mtime(PENDING.path) or 0.0) > _boot_time(host),
    )
    return result


def config_texts(host: Host, tooling: Tooling) -> t.Dict[str, str]:
    """Return the tooling's configuration files that are there and can be read, by path."""
    found = {file.path: host.read(file.path) for file in tooling.config_files}
    return {path: text for path, text in found.items() if text is not None}


def _shown(tooling: Tooling, settings: t.Mapping[str, str]) -> t.Dict[str, str]:
    return {key: tooling.file_of(key).masked(key, value) for key, value in settings.items()}


def _files(host: Host, tooling: Tooling, originals: t.Mapping[str, Entry]) -> t.Dict[str, Facts]:
    """Return what the collection's own files on the host are recognised by.

    ``edited`` says that somebody else has changed it since, ``stays`` that nothing would take it away.
    """
    returning = {change.path for change in deploy.back(host, tooling)[0]}
    result = {}
    for path in sorted({*originals, *tooling.own_files(), panic.DROPIN}):
        text = host.read(path)
        if text is not None:
            result[path] = {
                "fingerprint": fingerprint(text),
                "mode": os.stat(host.path(path)).st_mode & 0o7777,
                "edited": path in originals and others(originals[path], text),
                "stays": path in originals and path not in returning,
            }
    return result


def _capture(
    host: Host, tooling: t.Optional[Tooling], facts: Facts, dumps: t.Sequence[Dump]
) -> Facts:
    """Return what decides how much memory the next boot's capture kernel needs."""
    initrd = facts["tooling"]["next_initrd"]
    kernel = initrd["kernel"] if initrd else facts["kernel"]["release"]
    path = initrd["path"] if initrd else ""
    found = footprint(
        host,
        kernel,
        path,
        facts["tooling"]["config_path"],
        facts["architecture"],
        facts["target"]["source"],
        dumps,
    )
    found.update(
        tooling.need(facts["tooling"]["settings"])
        if tooling
        else {"cpus": 1, "network": False, "elsewhere": ""}
    )
    if tooling and found["initrd"]:
        known = tooling.unpacked_size(host, kernel)
        found["initrd"]["unpacked"] = known or found["initrd"]["unpacked"]
    return found


def _boot_time(host: Host) -> float:
    """Return when the running kernel started, in seconds since 1970."""
    match = re.search(r"^btime (\d+)$", host.read("/proc/stat") or "", re.M)
    return float(match.group(1)) if match else 0.0


def _service(host: Host, name: str) -> Facts:
    text = (
        host.ask(["systemctl", "show", "--property=UnitFileState,ActiveState,Result", name]) or ""
    )
    fields = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    return {
        "name": name,
        "enabled": fields.get("UnitFileState", ""),
        "active": fields.get("ActiveState", ""),
        "result": fields.get("Result", ""),
    }


def _target(host: Host, path: str, tooling: t.Optional[Tooling]) -> Facts:
    """Return the file system that a dump would go to; of the nearest folder that exists."""
    found = target.mounts(host.read("/proc/self/mountinfo") or "")
    real, mount = target.resolved(host, found, path)
    reachable = target.answers(host, real, mount)
    if mount is not None and mount.fstype == "autofs":
        # Having been asked for, it is mounted now.
        found = target.mounts(host.read("/proc/self/mountinfo") or "")
        mount = target.covering(found, real)
    facts: Facts = {
        "path": path,
        "answers": reachable,
        "exists": False,
        "directory": False,
        "mode": "",
        "owner": None,
        "others": [],
        "source": mount.source if mount else "",
        "mount": mount.mount if mount else "",
        "fstype": mount.fstype if mount else "",
        "size": None,
        "free": None,
        "derived": target.derived(host, real, found, mount),
        "where": None,
    }
    if not facts["answers"]:
        return facts
    existing = path
    while not host.exists(existing) and existing not in ("/", ""):
        existing = os.path.dirname(existing)
    facts.update(exists=existing == path, directory=os.path.isdir(host.path(path)))
    try:
        if facts["exists"]:
            status = os.stat(host.path(path))
            facts.update(mode=f"{status.st_mode & 0o7777:04o}", owner=status.st_uid)
        if facts["directory"]:
            names = sorted(os.listdir(host.path(path)))
            facts["others"] = [name for name in names if not (tooling and tooling.owns(name))][:20]
        left = os.statvfs(host.path(existing))
        facts.update(size=left.f_blocks * left.f_frsize, free=left.f_bavail * left.f_frsize)
    except OSError:
        pass
    return facts
