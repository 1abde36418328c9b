# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""What a host should become: the role's variables, and the rules for them that hold for every tooling. Pure."""

import os
import re
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils import ssh_client

Facts = t.Mapping[str, t.Any]

STATES = ("present", "absent", "unmanaged")
FAILURE_ACTIONS = ("reboot", "halt", "poweroff", "shell", "dump_to_rootfs")
FINAL_ACTIONS = ("reboot", "halt", "poweroff")
COMPRESSIONS = {"none": "", "zlib": "-c", "lzo": "-l", "snappy": "-p", "zstd": "-z"}
SSH_KEY_TYPES = ("auto", "ed25519", "ecdsa", "rsa")
SPACE = ("warn", "refuse", "ignore")  # what a place with less room than a dump may take means
REBUILDS = ("auto", "always", "never")
FADUMP = ("off", "on", "nocma")
# Arguments of the running kernel, beside crashkernel=, that a variable can ask for.
ARGUMENTS = ("fadump", "panic_on_taint", "rd.earlykdump")
FILE_SYSTEMS = ("ext2", "ext3", "ext4", "xfs", "btrfs", "minix")
TARGETS = (*FILE_SYSTEMS, "raw", "nfs", "ssh", "virtiofs", "ftp", "sftp", "cifs")
# A dump goes over the network to these.
REMOTE = ("nfs", "ssh", "ftp", "sftp", "cifs")

# Closing one of these would stop the host.
SHARED_FOLDERS = (
    *(
        "/",
        "/bin",
        "/boot",
        "/dev",
        "/etc",
        "/home",
        "/lib",
        "/lib64",
        "/media",
        "/mnt",
        "/opt",
        "/proc",
    ),
    *("/root", "/run", "/sbin", "/srv", "/sys", "/tmp", "/usr", "/var", "/var/cache", "/var/lib"),
    *("/var/log", "/var/mail", "/var/spool", "/var/tmp", "/var/www", "/usr/local"),
)


class Wanted(t.NamedTuple):
    """The role's variables without their prefix ``kdump_``; None leaves a thing to the tooling and its file."""

    state: str = "present"
    tooling: str = "auto"
    crashkernel: str = "auto"
    # Where dumps go.
    target: t.Optional[t.Mapping[str, t.Any]] = None  # type and location; force, of a raw one
    path: str = "/var/crash"
    ssh_user: t.Optional[str] = None
    ssh_server: t.Optional[str] = None
    sshkey: t.Optional[str] = None  # path of the private key
    ssh_key_type: str = "auto"  # of one that is made: of SSH_KEY_TYPES
    ssh_host_keys: t.Sequence[str] = ()  # the server's
    space: str = "warn"  # of SPACE
    dumps_to_keep: t.Optional[int] = None
    # What writes them: one command, or its parts.
    core_collector: t.Optional[str] = None
    dump_level: t.Optional[int] = None  # makedumpfile's -d, 0 to 31
    compression: t.Optional[str] = None  # of COMPRESSIONS
    message_level: t.Optional[int] = None  # makedumpfile's, 0 to 31
    threads: t.Optional[int] = None
    # What the capture kernel does then.
    system_action: str = "reboot"  # if the dump fails; of FAILURE_ACTIONS
    final_action: t.Optional[str] = None  # of FINAL_ACTIONS
    pre_hooks: t.Sequence[t.Mapping[str, str]] = ()  # name and content
    post_hooks: t.Sequence[t.Mapping[str, str]] = ()
    emergency_hooks: t.Sequence[t.Mapping[str, str]] = ()
    # What it is made of.
    extra_bins: t.Sequence[str] = ()  # absolute paths
    extra_modules: t.Sequence[str] = ()
    commandline: t.Optional[str] = None  # in place of the running kernel's
    commandline_append: t.Optional[str] = None
    commandline_remove: t.Sequence[str] = ()  # names of kernel arguments
    kexec_args: t.Optional[str] = None
    bootdir: t.Optional[str] = None
    kernel_version: t.Optional[str] = None  # release of the capture kernel
    capture_kernel: t.Optional[str] = None  # path of its image
    capture_initrd: t.Optional[str] = None
    dracut_args: t.Optional[str] = None
    force_rebuild: t.Optional[str] = None  # of REBUILDS
    early: t.Optional[bool] = None
    fadump: t.Optional[str] = None  # of FADUMP
    # Who is told, and over what.
    fence_nodes: t.Sequence[str] = ()
    fence_args: t.Optional[str] = None
    network: t.Mapping[str, t.Any] = {}  # config, timeout (s), retries, host_tag
    notification: t.Mapping[str, str] = {}  # smtp_server, smtp_user, to, cc
    auto_reset_crashkernel: t.Optional[bool] = None
    # The tooling's own settings, and what becomes of the rest of its files.
    options: t.Mapping[str, t.Any] = {}
    kdump_tools: t.Mapping[
        str, t.Any
    ] = {}  # those of kdump-tools alone, as linux-system-roles has them
    exclusive: bool = False
    # When the kernel panics.
    panic_on: t.Sequence[str] = ("oops",)
    panic_timeout: t.Optional[int] = None  # seconds; negative: at once
    sysrq: t.Optional[int] = None
    nmi_watchdog: t.Optional[bool] = None


class OwnFile(t.NamedTuple):
    """A file that this collection adds to a host."""

    content: str
    mode: int = 0o644


class Need(t.NamedTuple):
    """A path that must be on the host for a variable's value to work."""

    variable: str
    path: str
    kind: str  # file, executable or device


class Configuration(t.NamedTuple):
    """What the wanted state comes to with one tooling, on one host."""

    settings: t.Dict[str, t.Optional[str]]  # of all its files, by key; None takes one out
    files: t.Dict[str, OwnFile]  # beside them: hooks, units, scripts; by path
    arguments: t.Dict[str, t.List[str]]  # of the running kernel, beside crashkernel=; by name
    problems: t.List[
        str
    ]  # variable, value, rule and remedy; nothing may be done while there is one
    warnings: t.List[str]


# As Ansible reads a boolean that is still a text.
YES = (True, "true", "True", "yes", "1", "on")
NO = (False, "false", "False", "no", "0", "off")


def forced(wanted: Wanted) -> bool:
    """Say whether what is on a raw target's device may be written over."""
    return (wanted.target or {}).get("force") in YES


def target_problems(wanted: Wanted) -> t.List[str]:
    """Return what is wrong with kdump_target whatever the tooling."""
    target = wanted.target
    if target is None:
        return []
    kind, location = target.get("type"), target.get("location")
    unknown = sorted(set(target) - {"type", "location", "force"})
    if unknown:
        return [f"kdump_target: has no {', '.join(unknown)}; it is type, location and, for raw, force"]  # fmt: skip
    if target.get("force") not in (None, *YES, *NO):
        return [f"kdump_target: force {target.get('force')!r} must be true or false"]
    if forced(wanted) and kind != "raw":
        return [
            f"kdump_target: force is for type raw, whose device is written over as a whole; leave it out for type {kind!r}"
        ]
    if kind not in TARGETS:
        return [f"kdump_target: type {kind!r} must be one of: {', '.join(TARGETS)}"]
    if kind == "ssh" and not location and wanted.ssh_user and wanted.ssh_server:
        return []
    if not location:
        return [
            f"kdump_target: needs a location, such as {'kdump@server' if kind == 'ssh' else '/dev/vdb'}"
        ]
    if re.match(r"(?:[a-z]+://)?[^@/]*:[^@/]*@", location):
        return [
            "kdump_target: location has a password, which would show in logs; leave it out, and write what the tooling needs "
            "into its file on the host, where it stays"
        ]
    if not re.match(r"[^\s#\"'\\$`]+\Z", location):
        return [
            f"kdump_target: location {location!r} may hold no blanks, quotes or any of # $ ` and backslash"
        ]
    return []


_BY = {"LABEL": "label", "UUID": "uuid", "PARTUUID": "partuuid", "PARTLABEL": "partlabel"}
UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\Z")


def device_of(location: str) -> str:
    """Return the path of a device that may be given by what is on it; a bare UUID is one too."""
    if UUID.match(location):
        location = "UUID=" + location
    name, equals, value = location.partition("=")
    if not equals or name not in _BY:
        return location
    # As udev names its links: letters, digits and these as they are, everything else by its number.
    escaped = re.sub(
        r"[^A-Za-z0-9#+.:=@_-]",
        lambda match: "".join(f"\\x{byte:02x}" for byte in match.group().encode()),
        value,
    )
    return f"/dev/disk/by-{_BY[name]}/{escaped}"


def ssh_destination(wanted: Wanted) -> str:
    """Return user@host of an ssh target; kdump_ssh_user and kdump_ssh_server stand in for a location."""
    location = (wanted.target or {}).get("location") or ""
    return location or f"{wanted.ssh_user}@{wanted.ssh_server}"


def ssh_location(wanted: Wanted) -> str:
    """Return where a target is that ssh logs in to; '' for any other target."""
    kind = (wanted.target or {}).get("type")
    if kind == "ssh":
        return ssh_destination(wanted)
    return (wanted.target or {}).get("location") or "" if kind == "sftp" else ""


def collector(wanted: Wanted, default: str = "") -> t.Tuple[t.Optional[t.List[str]], t.List[str]]:
    """Return the words of the command that writes the dump, and what is wrong with the variables.

    :param default: the tooling's own command; parts that are not set keep what it has.
    :return: None for the words where nothing is set.
    """
    parts = {
        "kdump_dump_level": wanted.dump_level,
        "kdump_compression": wanted.compression,
        "kdump_message_level": wanted.message_level,
        "kdump_threads": wanted.threads,
    }
    given = [name for name, value in parts.items() if value is not None]
    if wanted.core_collector is not None:
        if given:
            return None, [
                f"kdump_core_collector: is the whole command, and {', '.join(given)} are parts of it; set one or the other"
            ]
        return wanted.core_collector.split(), []
    if not given:
        return None, []
    problems = [
        f"{name}: {value} must be from 0 to 31"
        for name, value in list(parts.items())
        if name in ("kdump_dump_level", "kdump_message_level")
        and value is not None
        and not 0 <= t.cast(int, value) <= 31
    ]
    if wanted.compression is not None and wanted.compression not in COMPRESSIONS:
        problems.append(
            f"kdump_compression: {wanted.compression!r} must be one of: {', '.join(COMPRESSIONS)}"
        )
    if wanted.threads is not None and wanted.threads < 1:
        problems.append(f"kdump_threads: {wanted.threads} must be 1 or more")
    return (None, problems) if problems else (_with_parts(wanted, default.split()), [])


# The short options of makedumpfile that take a value.
MAKEDUMPFILE_VALUED = "bdgiLx"


def single_options(words: t.Sequence[str], valued: str) -> t.List[str]:
    """Return words with joined short options apart, as getopt reads them: -cd31 is -c -d31.

    :param valued: the letters of the options that take a value; it may be the next word, which stays as it is.
    """
    result: t.List[str] = []
    of_option = False
    for word in words:
        if of_option or not re.match(r"-[A-Za-z]", word):
            result.append(word)
            of_option = False
            continue
        letters = word[1:]
        while letters:
            takes = letters[0] in valued
            result.append("-" + (letters if takes else letters[0]))
            of_option = takes and len(letters) == 1
            letters = "" if takes else letters[1:]
    return result


def _with_parts(wanted: Wanted, words: t.Sequence[str]) -> t.List[str]:
    """Return makedumpfile's words with the parts that are set in place of the default's."""
    result = list(words) or ["makedumpfile"]
    if os.path.basename(result[0]) == "makedumpfile":
        result[1:] = single_options(result[1:], MAKEDUMPFILE_VALUED)
    if wanted.compression is not None:
        result = [word for word in result if word not in COMPRESSIONS.values()]
        result += [COMPRESSIONS[wanted.compression]] if COMPRESSIONS[wanted.compression] else []
    for names, value in (
        (("--message-level",), wanted.message_level),
        (("-d", "--dump-level"), wanted.dump_level),
        (("--num-threads",), wanted.threads),
    ):
        if value is not None:
            result = _without_option(result, names)
            result += [names[0], str(value)] if names[0] != "--num-threads" else [
                f"--num-threads={value}"
            ]  # fmt: skip
    return result


def _without_option(words: t.Sequence[str], names: t.Sequence[str]) -> t.List[str]:
    """Return single options without these.

    :param names: of one letter with their dash, to which a value may be joined, or long with both dashes.
    """
    result: t.List[str] = []
    joined = tuple(name if len(name) == 2 else name + "=" for name in names)
    skip = keep = False
    for word in words:
        if not skip and (keep or not (word in names or word.startswith(joined))):
            result.append(word)
            # The next word is its value, whatever it looks like.
            keep = not keep and bool(re.match(rf"-[{MAKEDUMPFILE_VALUED}]\Z", word))
            continue
        skip, keep = not skip and word in names, False
    return result


HOOK_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*\Z")


def interpreter(content: str) -> str:
    """Return the program that a script's first line names, or ''."""
    match = re.match(r"#![ \t]*(/\S+)", content)
    return match.group(1) if match else ""


def hooks(wanted: Wanted, kind: str) -> t.List[t.Tuple[str, str]]:
    """Return name and content of the hooks of one kind (pre, post, emergency), in the order that they run: by name."""
    given: t.Sequence[t.Mapping[str, str]] = getattr(wanted, kind + "_hooks")
    return sorted((hook.get("name", ""), hook.get("content", "")) for hook in given)


def hook_problems(wanted: Wanted) -> t.List[str]:
    problems = []
    for kind in ("pre", "post", "emergency"):
        variable = f"kdump_{kind}_hooks"
        seen = set()
        for name, content in hooks(wanted, kind):
            if not HOOK_NAME.match(name):
                problems.append(
                    f"{variable}: name {name!r} must be a file name of letters, digits and _ . -"
                )
            elif name in seen:
                problems.append(f"{variable}: name {name!r} is there twice; give each its own")
            elif "\r" in content:
                # The kernel would look for an interpreter whose name ends with it.
                problems.append(
                    f"{variable}: {name} has carriage returns, with which no script runs; save it with Unix line ends"
                )
            elif not content.strip():
                problems.append(f"{variable}: {name} is empty; give it 'content'")
            elif not interpreter(content):
                problems.append(
                    f"{variable}: {name} has no interpreter; begin it with a line such as #!/bin/sh"
                )
            seen.add(name)
    return problems


def needs(wanted: Wanted) -> t.List[Need]:
    """Return what must be on the host, whatever the tooling."""
    result = []
    for kind in ("pre", "post", "emergency"):
        for _name, content in hooks(wanted, kind):
            if interpreter(content):
                result.append(Need(f"kdump_{kind}_hooks", interpreter(content), "executable"))
    result += [Need("kdump_extra_bins", path, "executable") for path in wanted.extra_bins]
    for variable, path in (
        ("kdump_capture_kernel", wanted.capture_kernel),
        ("kdump_capture_initrd", wanted.capture_initrd),
    ):
        if path:
            result.append(Need(variable, path, "file"))
    target = wanted.target or {}
    location = target.get("location") or ""
    if target.get("type") in ("raw", *FILE_SYSTEMS):
        result.append(Need("kdump_target", device_of(location), "device"))
    return result


def unmet(wanted: Wanted, paths: t.Mapping[str, t.Mapping[str, t.Any]]) -> t.List[str]:
    """Return a problem for every path that the host does not have as it is needed.

    :param paths: what kdump_info found of each: exists, kind (file, folder, device, other) and executable.
    """
    problems = []
    for need in needs(wanted):
        found = paths.get(need.path)
        if found is None or not need.path.startswith("/"):
            continue
        if not found["exists"]:
            problems.append(
                f"{need.variable}: {need.path} is not on this host; install or create it first"
            )
        elif need.kind == "device" and found["kind"] != "device":
            problems.append(
                f"{need.variable}: {need.path} is no block device; name one, as 'lsblk -f' shows it"
            )
        elif need.kind != "device" and found["kind"] != "file":
            problems.append(f"{need.variable}: {need.path} is no file")
        elif need.kind == "executable" and not found["executable"]:
            problems.append(
                f"{need.variable}: {need.path} is not executable; chmod +x it, or name another"
            )
    return problems


def problems(wanted: Wanted) -> t.List[str]:
    """Return what is wrong with the variables whatever the tooling; its own rules come on top."""
    found = [*target_problems(wanted), *hook_problems(wanted), *_path_problems(wanted)]
    for variable, value, allowed in (
        ("kdump_state", wanted.state, STATES),
        ("kdump_system_action", wanted.system_action, FAILURE_ACTIONS),
        ("kdump_final_action", wanted.final_action, FINAL_ACTIONS),
        ("kdump_force_rebuild", wanted.force_rebuild, REBUILDS),
        ("kdump_ssh_key_type", wanted.ssh_key_type, SSH_KEY_TYPES),
        ("kdump_fadump", wanted.fadump, FADUMP),
        ("kdump_space", wanted.space, SPACE),
    ):
        if value is not None and value not in allowed:
            found.append(f"{variable}: {value!r} must be one of: {', '.join(allowed)}")
    found += collector(wanted)[1]
    for variable, paths in (
        ("kdump_extra_bins", wanted.extra_bins),
        ("kdump_sshkey", [wanted.sshkey] if wanted.sshkey else []),
        ("kdump_bootdir", [wanted.bootdir] if wanted.bootdir else []),
        ("kdump_capture_kernel", [wanted.capture_kernel] if wanted.capture_kernel else []),
        ("kdump_capture_initrd", [wanted.capture_initrd] if wanted.capture_initrd else []),
    ):
        found += [
            f"{variable}: {path!r} must be an absolute path of letters, digits and _ @ % + = : , . / - alone"
            for path in paths
            if not re.match(r"/[A-Za-z0-9_@%+=:,./-]*\Z", path)
        ]
    for line in wanted.ssh_host_keys:
        try:
            ssh_client.host_key(line)
        except ssh_client.SshError as exc:
            found.append(f"kdump_ssh_host_keys: {exc}")
    found += [
        f"kdump_extra_modules: {name!r} is no name of a kernel module, such as 'nvme'"
        for name in wanted.extra_modules
        if not re.match(r"[A-Za-z0-9_-]+\Z", name)
    ]
    found += [
        f"kdump_fence_nodes: {node!r} must be the name or the address of a node, such as 'node2'"
        for node in wanted.fence_nodes
        # An IPv6 address of one link may have the device of it: fe80::1%eth0.
        if not re.match(r"[A-Za-z0-9][A-Za-z0-9.:_-]*(%[A-Za-z0-9][A-Za-z0-9._-]*)?\Z", node)
    ]
    if wanted.fence_args and not re.match(r"[A-Za-z0-9_@%+=:,./ -]*\Z", wanted.fence_args):
        found.append(
            f"kdump_fence_args: {wanted.fence_args!r} may hold only letters, digits, blanks and _ @ % + = : , . / -"
        )
    if wanted.kernel_version and not re.match(
        r"[A-Za-z0-9][A-Za-z0-9_.+~-]*\Z", wanted.kernel_version
    ):
        found.append(
            f"kdump_kernel_version: {wanted.kernel_version!r} must be the release of a kernel, as 'uname -r' says it"
        )
    found += [
        f"kdump_commandline_remove: {name!r} must be the name of a kernel argument, such as 'quiet'"
        for name in wanted.commandline_remove
        if not re.match(r"[A-Za-z0-9_.-]+=?\Z", name)
    ]
    for variable, text in (
        ("kdump_commandline", wanted.commandline),
        ("kdump_commandline_append", wanted.commandline_append),
        ("kdump_kexec_args", wanted.kexec_args),
        ("kdump_dracut_args", wanted.dracut_args),
        ("kdump_core_collector", wanted.core_collector),
        ("kdump_fence_args", wanted.fence_args),
    ):
        if text is not None and not text.isprintable():
            found.append(f"{variable}: holds a newline or control character; write it in one line")
    if wanted.commandline is not None and wanted.commandline_remove:
        found.append(
            "kdump_commandline_remove: takes arguments out of the running kernel's, and kdump_commandline replaces all of "
            "them; set one or the other"
        )
    if wanted.dumps_to_keep is not None and wanted.dumps_to_keep < 0:
        found.append(f"kdump_dumps_to_keep: {wanted.dumps_to_keep} must be 0 (all) or more")
    return found


def warnings(wanted: Wanted, tooling: str) -> t.List[str]:
    """Return what is set and has no meaning here, as it has none in linux-system-roles/kdump.

    :param tooling: the name of the host's.
    """
    found = []
    if wanted.kdump_tools and tooling != "kdump-tools":
        found.append(f"kdump_kdump_tools: is for kdump-tools alone, and this host has {tooling}")
    if (wanted.target or {}).get("type") != "ssh":
        found += [
            f"{name}: is for a kdump_target of type ssh alone, and this host has none"
            for name, value in (
                ("kdump_ssh_user", wanted.ssh_user),
                ("kdump_ssh_server", wanted.ssh_server),
            )
            if value
        ]
    return found


def _path_problems(wanted: Wanted) -> t.List[str]:
    if (
        not re.match(r"/[A-Za-z0-9_@%+=:,./-]*\Z", wanted.path)
        or ".." in wanted.path.split("/")
        or any(part.startswith("-") for part in wanted.path.split("/"))
    ):
        return [
            f"kdump_path: {wanted.path!r} must be an absolute path of letters, digits and _ @ % + = : , . / - "
            "alone and without '..', such as /var/crash"
        ]
    # normpath keeps two slashes at the beginning.
    if wanted.target is None and os.path.normpath("/" + wanted.path.lstrip("/")) in SHARED_FOLDERS:
        return [
            f"kdump_path: {wanted.path!r} belongs to the whole host, and a folder for dumps is closed to everybody "
            "but root; use a folder of its own, such as /var/crash"
        ]
    return []


def unsupported(wanted: Wanted, tooling: str, reasons: t.Mapping[str, str]) -> t.List[str]:
    """Return a problem for every variable that is set and that a tooling cannot honour.

    :param reasons: why not and what to do instead, by the field's name.
    """
    untouched = Wanted()
    found = []
    for name, reason in reasons.items():
        value = getattr(wanted, name)
        # An empty list, as a variable of the role, is not set either.
        if value and value != getattr(untouched, name):
            shown = f"{value!r}: " if isinstance(value, (str, int)) else ""
            found.append(f"kdump_{name}: {shown}{tooling} cannot honour it on this host: {reason}")
    return found


def own_options(
    wanted: Wanted, variables: t.Mapping[str, str]
) -> t.Tuple[t.Dict[str, str], t.List[str]]:
    """Return kdump_options as text, and what is wrong with them.

    :param variables: the role's variable for each of the tooling's settings that has one.
    """
    taken = [key for key in wanted.options if key in variables]
    result, found = as_text(
        "kdump_options", {key: value for key, value in wanted.options.items() if key not in taken}
    )
    return result, [
        f"kdump_options: {key} has a variable of its own; set {variables[key]} instead"
        for key in taken
    ] + found


def as_text(
    variable: str, settings: t.Mapping[str, t.Any]
) -> t.Tuple[t.Dict[str, str], t.List[str]]:
    """Return a tooling's own settings as text, and what is wrong with their types.

    :param variable: that has them.
    """
    result: t.Dict[str, str] = {}
    found = []
    for key, value in settings.items():
        if not isinstance(value, (str, int)) or isinstance(value, bool):
            found.append(f"{variable}: {key} must be a string or a whole number; put it in quotes")
        else:
            result[key] = str(value)
    return result, found
