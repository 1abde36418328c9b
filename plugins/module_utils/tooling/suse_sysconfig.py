# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""SUSE's /etc/sysconfig/kdump: its grammar and its rules, by release. Pure.

Source: github.com/openSUSE/kdump, branches SLE-15-SP4 to SP7, SLFO-1.2 (SLES 16) and master (2.1.9). Up to 1.0 kdumptool,
written in C++, had the file expanded by sh and parsed the rest itself; from 1.9 on bash scripts source it
(kdump-read-config.sh, mkdumprd, load.sh), and what they made of it is sourced again in the capture (kdump-save).
"""

import difflib
import re
import shlex
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.tooling import assignments
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.base import (
    SECRET,
)
from ansible_collections.kdump.fleet.plugins.module_utils.wanted import (
    MAKEDUMPFILE_VALUED,
    single_options,
)

Version = t.Tuple[int, ...]
Check = t.Callable[[str, Version], str]

NEWEST: Version = (2, 1, 9)
SCRIPTS: Version = (1, 9)  # bash scripts in place of kdumptool
MANY_CPUS: Version = (2, 0, 7)  # more than one CPU by default
COMMANDLINE: Version = (2, 0, 19)  # kdumptool sets crashkernel= itself
EVALUATES: Version = (2, 1, 1)  # scripts are run by a shell again
AUTOMATIC_KEXEC: Version = (1, 9, 6)  # kexec -a behind all other options
MAIL_AT_BOOT: Version = (1, 9, 1)
# kdump's version in a product's last update; the number behind git is the fourth.
PRODUCTS: t.Dict[str, Version] = {
    "15.4": (1, 0, 2, 23),
    "15.5": (1, 0, 2, 48),
    "15.6": (2, 0, 6, 28),
    "15.7": (2, 0, 18),
}
_FORMS = "2.1.9, 1.9.x, 15.6, SLE-15-SP6, 16.0 or tumbleweed"
_ROLLING = re.compile(r"(opensuse-)?(tumbleweed|slowroll|microos)|master|slfo.*", re.I)
_PRODUCT = re.compile(
    r"(?:(?:sles?|sled|suse|leap|opensuse|opensuse-leap|sle-micro|sles_sap)[-_ ]?)?(15|16)(?:[.-](?:sp)?(\d+))?",
    re.I,
)
_VERSION = re.compile(r"(\d)\.(\d+)(?:\.(\d+|x))?(?:\+git(\d+)\S*)?(?:-\S+)?")


def version_of(release: t.Optional[str]) -> Version:
    """Return kdump's version: of its package, or of the product that has it.

    :param release: None for the newest.
    :raises ValueError: it is neither.
    """
    if release is None or _ROLLING.fullmatch(release):
        return NEWEST
    found = _VERSION.fullmatch(release)
    if found:
        major, minor, micro, commits = found.groups()
        return (int(major), int(minor), 999 if micro == "x" else int(micro or 0), int(commits or 0))
    product = _PRODUCT.fullmatch(release)
    if product and product.group(1) == "16":
        return NEWEST
    if product and f"15.{product.group(2)}" in PRODUCTS:
        return PRODUCTS[f"15.{product.group(2)}"]
    raise ValueError(f"release {release!r} of SUSE's kdump is not known; it looks like {_FORMS}")


def _since(*ranges: t.Tuple[Version, Version]) -> t.Callable[[Version], bool]:
    return lambda version: any(first <= version < end for first, end in ranges)


_END: Version = (999,)
# What came in one release and was taken over into the branch of an older one.
_has_zstd = _since(((1, 0, 2, 26), _END))
_has_negative = _since(((0,), SCRIPTS), ((2, 0, 6, 19), (2, 0, 7)), ((2, 0, 13), _END))


class Target(t.NamedTuple):
    """Where a dump goes, as the scripts take KDUMP_SAVEDIR apart."""

    protocol: str  # file, ftp, sftp, ssh, nfs or cifs
    path: str
    user: str = ""
    password: str = ""
    host: str = ""
    port: str = ""


_ALIASES = {"scp": "sftp", "smb": "cifs"}
_REMOTE = ("ftp", "sftp", "ssh", "nfs", "cifs")
_URL = re.compile(r"([A-Za-z]+)://", re.S)
_HOST = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.%]+\])(?::([0-9]+))?\Z")
# Whatever is between the first : behind :// and the last @ may be a password: some hold / or @ or a quote.
_PASSWORD_IN_URL = re.compile(r"(://[^:]*:).*(?=@)", re.S)
# And this surely is one.
_URL_WITH_PASSWORD = re.compile(r"://[^\s:]*:\S*@")
# What a command may have that logs in somewhere, where it cannot be taken apart.
_PERHAPS_LOGIN = re.compile(r":[^\s@]*@|(^|\s)(-u|--user)|pass|secret|token|login|credential|authorization|bearer", re.I)  # fmt: skip
_CREDENTIAL = re.compile(r"pass|secret|token|login|credential|authorization|bearer|api-?key", re.I)
_FOLDERS = re.compile(r"[@<>]*[~.]?[\w.+-]*(/[\w.+-]*)+\Z")
# To these -u means something else than a user.
_COPIERS = ("cp", "mv", "rsync", "tar", "gzip", "zstd", "xz", "install")
_SAVEDIR_FORMS = (
    "it is a folder such as /var/crash or a URL such as ssh://user@host/folder, with one of: file, ftp, sftp, scp, ssh, "
    "nfs, cifs, smb"
)


def _logs_in(command: str) -> bool:
    """Say whether a command has something to log in with."""
    if re.search(r":[^\s@]*@|://[^:]*:.*@", command, re.S):
        return True
    for part in re.split(r"[;&|\n]", command):
        words = re.split(r"[\s\"']+", part.strip(" \t\"'("))
        name = words[0].rpartition("/")[2]
        user = re.search(r"(^|\s)[\"']*(-[A-Za-z]*u|--user\b)", part)
        if name == "sshpass" or (user and name not in _COPIERS):
            return True
        # The name of a file is no secret.
        if any(_CREDENTIAL.search(word) and not _FOLDERS.match(word) for word in words):
            return True
    return False


def parse_savedir(value: str) -> t.Optional[Target]:
    """Return where dumps go, by a value without problems; None for one that is no target."""
    scheme = _URL.match(value)
    if value.startswith("/"):
        return Target("file", value)
    if scheme is None:
        return None
    protocol = scheme.group(1).lower()
    protocol = _ALIASES.get(protocol, protocol)
    rest = value[scheme.end() :]
    if protocol == "file":
        return Target("file", rest)
    if protocol not in _REMOTE:
        return None
    authority, slash, path = rest.partition("/")
    login, at, where = authority.rpartition("@")
    user, _colon, password = login.partition(":") if at else ("", "", "")
    match = _HOST.match(where)
    host, port = (match.group(1), match.group(2) or "") if match else (where, "")
    return Target(protocol, slash + path, user, password, host, port)


# The scripts hand it to ssh within the user's name, and kdumptool, up to 1.0, not at all.
_PASSWORD = "has a password, with which ssh cannot log in; use a key, see KDUMP_SSH_IDENTITY"


def _savedir(value: str, version: Version) -> str:
    if version < SCRIPTS:
        return _old_savedir(value)
    if not value:
        return ""
    if "://" in value[1:] and (value.startswith("/") or value.count("://") > 1):
        return (
            "names several targets, and only one is left since 1.9"
            if " " in value
            else "holds :// within a folder, and what stands before it would be cut off"
        )
    target = parse_savedir(value)
    if target is None:
        return f"is no target; {_SAVEDIR_FORMS}"
    if target.protocol == "ssh" and target.password:
        return _PASSWORD
    if target.protocol == "file":
        if not target.path.startswith("/"):
            return "would be a folder below the one that the service runs in; write file:///folder"
        if re.search(r"\s/", value):
            return "names several targets, and only one is left since 1.9"
        return ""
    return _remote(value, target)


def _remote(value: str, target: Target) -> str:
    """Return what is wrong with a URL of another host."""
    # What a password is hidden by is no part of it.
    rest = value.partition("://")[2].replace(SECRET, "x")
    authority = rest.partition("/")[0]
    special = re.search(r"[^A-Za-z0-9_@%+=:,./~\[\]^!-]", rest)
    if special:
        return f"holds {special.group()!r}, which its scripts split or give to a shell"
    if authority.count("@") > 1:
        return "has an @ too many: user and password cannot hold one"
    if "@" in authority and not target.user:
        return "has an empty user"
    if not _HOST.match(authority.rpartition("@")[2]):
        return "has no host, or one that is no name, IPv4 address or [IPv6 address]"
    if not target.path:
        return "has no folder, so the host's name would be taken for it; end it with / or a folder"
    if target.protocol == "nfs" and target.user:
        return "has a user, which would be taken for a part of the host; NFS has none"
    if target.protocol in ("nfs", "cifs") and target.port:
        return "has a port, which would be taken for a part of the host"
    if target.protocol == "cifs" and not target.path.strip("/"):
        return "has no share; write cifs://host/share"
    if target.protocol == "cifs" and "," in authority:
        return "has a comma, which divides mount options"
    return ""


_OLD_URL = re.compile(r"(?:([A-Za-z][^:/?#]*):)?(?://([^/?#]*))?(.*)\Z", re.S)


def _old_savedir(value: str) -> str:
    """Do as kdumptool's URLParser did."""
    words = value.split()
    if not words:
        return f"is empty; {_SAVEDIR_FORMS}"
    parsed = [_OLD_URL.match(word) for word in words]
    protocols = set()
    for match in parsed:
        scheme, authority, path = match.groups() if match else (None, None, "")
        if not path.startswith("/"):
            return "has no absolute folder, which kdumptool refuses"
        where = (authority or "").rpartition("@")[2]
        host = re.sub(r":[0-9]*\Z", "", where)
        protocol = (scheme or "").lower()
        protocol = _ALIASES.get(protocol, protocol)
        if not protocol:
            protocol = "file" if host in ("", "localhost") else "nfs"
        if protocol not in ("file", *_REMOTE):
            return f"is no target; {_SAVEDIR_FORMS}"
        if protocol == "file" and host not in ("", "localhost"):
            return "is a folder of another host, which kdumptool refuses; use nfs or ssh"
        if protocol != "file" and not host:
            return "has no host"
        if protocol == "nfs" and "@" in (authority or ""):
            return "has a user, which NFS does not know"
        if protocol == "ssh" and ":" in (authority or "").rpartition("@")[0]:
            return _PASSWORD
        protocols.add(protocol)
    if len(words) > 1 and protocols != {"file"}:
        return "names several targets; that works with folders of this host alone"
    return ""


def _choice(default: str) -> Check:
    """Return the check of a boolean.

    :param default: of the releases that take it for an empty one.
    """

    def check(value: str, version: Version) -> str:
        if version < SCRIPTS:
            known = value.lower() in ("yes", "true", "1", "no", "false", "0")
            if not value and default == "false":
                return "is empty, which kdumptool takes for true; write false"
            return "" if known or not value else "is taken for true by kdumptool; write true or false"  # fmt: skip
        if value in ("", "yes", "true", "1", "no", "false", "0"):
            return ""
        return f"is no boolean, and the default {default} counts; write true or false"

    return check


def _number(lowest: int, highest: int = 2**31 - 1, off: bool = False) -> Check:
    """Return the check of a number.

    :param off: any negative one does the same, in the scripts.
    """

    def check(value: str, version: Version) -> str:
        if not value:
            return ""
        form = r"\s*[+-]?\d+\s*\Z" if version < SCRIPTS else r"-?(0|[1-9]\d*)\Z"
        if not re.match(form, value, re.A):
            return "is no whole number such as 3, and another one would be taken for it"
        least = -highest if off and version >= SCRIPTS else lowest
        if not least <= int(value) <= highest:
            return f"must be from {lowest} to {highest}"
        if int(value) < 0 and not _has_negative(version):
            return "is negative, and the default counts in this release; write 0 or more"
        return ""

    return check


def _format(value: str, version: Version) -> str:
    if version < SCRIPTS:
        known = ["none", "elf", "compressed", "lzo", "snappy"]
        known += ["zstd"] if _has_zstd(version) else []
        good = value.lower() in known
    else:
        known = ["none", "ELF", "compressed", "lzo", "snappy", "zstd", "raw"]
        good = value in ("", *known)
    return "" if good else f"must be one of: {', '.join(known)}"


def _open_quote(value: str) -> bool:
    try:
        shlex.split(value)
    except ValueError:
        return True
    return False


def _words(value: str) -> str:
    """Check what becomes a part of a command that a shell evaluates."""
    found = re.search(r"[;&|<>()`$]|(^|\s)#", value)
    if found:
        return f"goes into a command that a shell evaluates, and holds {found.group().strip()!r}; leave it out"
    return "has a quote that is never closed" if _open_quote(value) else ""


_KEXEC_VALUED = "t"  # the short options of kexec that take a value


def _conflict(value: str, reasons: t.Mapping[t.Tuple[str, ...], str], valued: str) -> str:
    """Return why a word does not do what it looks like.

    :param reasons: by options; one of a single letter may have its value behind it without a blank.
    :param valued: see single_options().
    """
    for word in single_options(value.split(), valued):
        name = word.split("=")[0] if word.startswith("--") else word[:2]
        for options, reason in reasons.items():
            if name in options:
                return f"has {name}, {reason}"
    return ""


_KEXEC: t.Dict[t.Tuple[str, ...], str] = {
    (
        *("-l", "--load", "-e", "--exec", "-u", "--unload", "-p", "--load-panic"),
        *("-h", "--help", "-v", "--version", "-S", "--status"),
    ): "which makes kexec do something else than to load the capture kernel",
    (
        *("--append", "--command-line", "--reuse-cmdline"),
    ): "which replaces the whole command line; set KDUMP_COMMANDLINE_APPEND or KDUMP_COMMANDLINE",
    ("--initrd", "--ramdisk"): "which replaces the initrd that saves the dump",
}
_KEXEC_UNDONE: t.Dict[t.Tuple[str, ...], str] = {
    (
        *("-s", "--kexec-file-syscall", "-c", "--kexec-syscall"),
    ): "which -a undoes, that this release puts behind it; leave it out",
}
_MAKEDUMPFILE: t.Dict[t.Tuple[str, ...], str] = {
    ("-c", "-l", "-p", "-z", "-E"): "which is KDUMP_DUMPFORMAT's",
    ("-d", "--dump-level"): "which is KDUMP_DUMPLEVEL's",
    ("-F",): "which is added where it is needed; leave it out",
    ("--split", "--reassemble", "-R", "--dump-dmesg", "--help", "-h", "-v", "-f"): (
        "which makes makedumpfile do something else than to write one dump"
    ),
}
_THREADS: t.Dict[t.Tuple[str, ...], str] = {("--num-threads",): "which is KDUMP_CPUS'"}


def _kexec(value: str, version: Version) -> str:
    undone = _KEXEC_UNDONE if version >= AUTOMATIC_KEXEC else {}
    return _words(value) or _conflict(value, {**_KEXEC, **undone}, _KEXEC_VALUED)


def _makedumpfile(value: str, version: Version) -> str:
    threads = _THREADS if version >= MANY_CPUS else {}
    words = value.split()
    if "-x" in words and "-i" in words:
        return "joins -x with -i, which makedumpfile refuses"
    return _words(value) or _conflict(value, {**_MAKEDUMPFILE, **threads}, MAKEDUMPFILE_VALUED)


def _commandline(value: str, version: Version) -> str:
    del version
    found = re.search(r"[\"$`]|\\\\", value)
    if found:
        return (
            f"goes into a command that a shell evaluates, and holds {found.group()!r}; leave it out"
        )
    return ""


# What a shell takes for more than a word.
_SHELL = re.compile(r"[;&|<>()$`\"'\\]|^\s*\w+=")


def _command(value: str, version: Version) -> str:
    if SCRIPTS <= version < EVALUATES:
        found = _SHELL.search(value)
        if found:
            return (
                f"is split into words and run without a shell by this release, so {found.group().strip()!r} does not do "
                "what it looks like; put the command into a script"
            )
        return ""
    return "has a quote that is never closed" if _open_quote(value) else ""


_DEVICE = r"[A-Za-z0-9_.@-]{1,15}"
_NETCONFIG = re.compile(rf"(auto|{_DEVICE}:(static|dhcp|dhcp4|dhcp6|auto6|auto))(:force)?\Z")


def _netconfig(value: str, version: Version) -> str:
    del version
    if not value or _NETCONFIG.match(value):
        return ""
    return (
        "must be auto or DEVICE:MODE with a mode of static, dhcp, dhcp4, dhcp6, auto6 or auto, and :force behind it for a "
        "network that is always there"
    )


def _host_key(value: str, version: Version) -> str:
    if version < SCRIPTS or value in ("", "*"):
        return ""
    if re.match(r"[a-z0-9@.-]+ [A-Za-z0-9+/]+=*( |\Z)", value):
        return ""
    return "must be '*', or type and key as in known_hosts, such as 'ssh-ed25519 AAAA...'"


def _kernel(value: str, version: Version) -> str:
    if version < SCRIPTS and "/" in value:
        return "must be a kernel's release such as 5.14.21-150400.24.100-default, not a path"
    if value.startswith("/") or "/" not in value:
        return ""
    return "must be a kernel's release, or an absolute path"


def _crashkernel(value: str, version: Version) -> str:
    del version
    words = value.split()
    if words in ([], ["auto"]):
        return ""
    other = [word for word in words if not re.match(r"crashkernel=.", word)]
    if other:
        return f"has {other[0]!r}, which is ignored; it is 'auto' or words such as crashkernel=256M"
    return ""


def _update(value: str, version: Version) -> str:
    del version
    # kdumptool runs the value as a command: yes would be yes(1), which never ends.
    return "" if value in ("", "true", "false") else "is run as a command; write true or false"


def _identity(value: str, version: Version) -> str:
    del version
    found = re.search(r"[~,'\"*?\[\]{}]", value)
    if found:
        return (
            f"holds {found.group()!r}, which no shell takes away or expands here as it looks; name files of /root/.ssh, or "
            "absolute paths, with blanks between them"
        )
    return ""


def _anything(value: str, version: Version) -> str:
    del value, version
    return ""


SETTINGS: t.Dict[str, Check] = {
    "KDUMP_CRASHKERNEL": _crashkernel,
    "KDUMP_UPDATE_BOOTLOADER": _update,
    "KDUMP_KERNELVER": _kernel,
    "KDUMP_CPUS": _number(0),
    "KDUMP_COMMANDLINE": _commandline,
    "KDUMP_COMMANDLINE_APPEND": _commandline,
    "KDUMP_AUTO_RESIZE": _choice("false"),
    "KDUMP_FADUMP": _choice("false"),
    "KDUMP_FADUMP_SHELL": _choice("false"),
    "FADUMP_COMMANDLINE_APPEND": _anything,
    "KEXEC_OPTIONS": _kexec,
    "MAKEDUMPFILE_OPTIONS": _makedumpfile,
    "KDUMP_IMMEDIATE_REBOOT": _choice("true"),
    "KDUMP_TRANSFER": _command,
    "KDUMP_SAVEDIR": _savedir,
    "KDUMP_KEEP_OLD_DUMPS": _number(-1, off=True),
    "KDUMP_FREE_DISK_SIZE": _number(0, off=True),
    "KDUMP_VERBOSE": _number(0, off=True),
    "KDUMP_DUMPLEVEL": _number(0, 31),
    "KDUMP_DUMPFORMAT": _format,
    "KDUMP_CONTINUE_ON_ERROR": _choice("true"),
    "KDUMP_REQUIRED_PROGRAMS": _anything,
    "KDUMP_PRESCRIPT": _command,
    "KDUMP_POSTSCRIPT": _command,
    "KDUMP_COPY_KERNEL": _choice("true"),
    "KDUMPTOOL_FLAGS": _anything,
    "KDUMP_NETCONFIG": _netconfig,
    "KDUMP_NET_TIMEOUT": _number(0, off=True),
    "KDUMP_SMTP_SERVER": _anything,
    "KDUMP_SMTP_USER": _anything,
    "KDUMP_SMTP_PASSWORD": _anything,
    "KDUMP_SMTP_TIMEOUT": _number(0),
    "KDUMP_NOTIFICATION_TO": _anything,
    "KDUMP_NOTIFICATION_CC": _anything,
    "KDUMP_HOST_KEY": _host_key,
    "KDUMP_SSH_IDENTITY": _identity,
}
_EMPTY_COUNTS = ("KDUMP_SAVEDIR", "KDUMP_DUMPFORMAT")  # up to 1.0, where the others have a meaning

_MAIL = (
    *("KDUMP_SMTP_SERVER", "KDUMP_SMTP_USER", "KDUMP_SMTP_PASSWORD"),
    *("KDUMP_NOTIFICATION_TO", "KDUMP_NOTIFICATION_CC"),
)
# The releases that do not have a setting: from the first on, before the second.
_NOTHING: Version = (0,)
LACKING: t.Dict[str, t.Tuple[Version, Version]] = {
    "KDUMP_CRASHKERNEL": (_NOTHING, COMMANDLINE),
    "KDUMP_UPDATE_BOOTLOADER": (_NOTHING, COMMANDLINE),
    "FADUMP_COMMANDLINE_APPEND": (_NOTHING, (2, 0, 12)),
    "KDUMP_SMTP_TIMEOUT": (_NOTHING, (1, 9, 2)),
    "KDUMP_COPY_KERNEL": (SCRIPTS, _END),
    "KDUMPTOOL_FLAGS": (SCRIPTS, _END),
    **dict.fromkeys(_MAIL, (SCRIPTS, MAIL_AT_BOOT)),
}
_COMMANDS = ("KDUMP_TRANSFER", "KDUMP_PRESCRIPT", "KDUMP_POSTSCRIPT")
# Folders whose programs may be in an initrd anyway.
_USUAL = re.compile(r"/(usr/)?s?bin/|/usr/lib/fence_kdump_send\Z")


def value_problem(key: str, value: str, version: Version) -> str:
    """Return what is wrong with the value of a setting of kdump's, or ''."""
    if not value.isprintable():
        return "holds a newline or control character; write it in one line"
    first, end = LACKING.get(key, (_END, _NOTHING))
    if first <= version < end:
        if not value:
            return ""
        if end == _END:
            return "is ignored since 1.9; take it out"
        return f"is no setting of this release; it came with {'.'.join(map(str, end))}"
    if version < SCRIPTS:
        for word in value.split()[1:]:
            # kdumptool's sh prints the values without quotes.
            if re.match(r"[^=]*[*?\[]", word):
                return f"has {word!r}, for which this release may put the names of files"
        if not value and key in _EMPTY_COUNTS:
            return "is empty, which this release takes for a value; take the line out"
    return SETTINGS[key](value, version)


class SuseSysconfig(assignments.ShellFile):
    """/etc/sysconfig/kdump: shell assignments, read by kdumptool or by bash scripts."""

    path = "/etc/sysconfig/kdump"
    secrets = ("KDUMP_SMTP_PASSWORD",)
    commented = False  # the package shows defaults in a way of its own

    def problems(self, text: str, release: t.Optional[str] = None) -> t.List[str]:
        version = version_of(release)
        found = []
        seen: t.Dict[str, int] = {}
        settings: t.Dict[str, str] = {}
        shown = self.redact(text).split("\n")
        for line in assignments.lines(text, self.bash):
            reason = line.reason or _misread(line)
            if line.key and not line.adds and line.key in seen:
                found.append(
                    f"line {line.number}: {line.key} is set again (first in line {seen[line.key]}); the last one counts"
                )
            if line.key and not line.reason:
                seen.setdefault(line.key, line.number)
            if reason:
                found.append(f"line {line.number}: {line.key or repr(shown[line.number - 1].strip())} {reason}")  # fmt: skip
                settings.pop(line.key, None)
            elif line.key:
                before = settings.get(line.key, "") if line.adds else ""
                settings[line.key] = before + line.value
        for key, value in settings.items():
            reason = _known(key, value, version)
            if reason:
                found.append(f"line {seen[key]}: {self.shown(key, value)} {reason}")
        return found + [
            f"{self.shown(key, settings[key])} {reason}" for key, reason in together(settings, version)
        ]  # fmt: skip

    def setting_problem(self, key: str, value: str, release: t.Optional[str] = None) -> str:
        special = re.search(r"[\"\\$`]", value)
        if special and value.isprintable():
            return (
                f"holds {special.group()!r}, which is special to the shells that read it; leave it out, "
                "or put the command into a script"
            )
        return _known(key, value, version_of(release))

    def setting_warning(self, key: str, value: str, release: t.Optional[str] = None) -> str:
        version = version_of(release)
        if key not in SETTINGS:
            return f"is no setting that kdump {'.'.join(map(str, NEWEST))} or an older one reads"
        if key in _COMMANDS and _SHELL.search(value):
            return "is evaluated by a shell in the capture, where only what the initrd has can run"
        if key == "KDUMP_NETCONFIG" and not value and version >= SCRIPTS:
            return "is empty, which means auto in this release, not that there is no network"
        if key == "KDUMP_SAVEDIR" and value.startswith("//") and version >= SCRIPTS:
            return "is a folder of this host; write cifs://host/share for another one's"
        if key == "KDUMP_COMMANDLINE" and value and "reset_devices" not in value.split():
            return "replaces the whole command line and lacks reset_devices, which drivers need in a capture"
        if key.startswith("KDUMP_COMMANDLINE") and "crashkernel=" in value:
            return "has crashkernel=, so the capture kernel reserves memory that it needs itself"
        return ""

    def masked(self, key: str, value: str) -> str:
        """Return a value as facts may hold it: without its secret."""
        value = super().masked(key, value)
        if key == "KDUMP_TRANSFER":
            return SECRET if _logs_in(value) else value
        found = _PASSWORD_IN_URL.search(value)
        if found is None:
            return value
        if not self._in_url(key, value):
            # Perhaps it is none; what is left of it says that it is not kept for its sake.
            return SECRET
        return value[: found.end(1)] + SECRET + value[found.end() :]

    def _in_url(self, key: str, value: str) -> bool:
        """Say whether a value has a password in a URL, and not only what looks like a part of one."""
        found, surely = _PASSWORD_IN_URL.search(value), _URL_WITH_PASSWORD.search(value)
        if found is None or key == "KDUMP_SAVEDIR":
            return found is not None
        return surely is not None and surely.start() == found.start()

    def keeps(self, key: str, value: str) -> bool:
        if key == "KDUMP_TRANSFER":
            return value == SECRET or _logs_in(value)
        return super().keeps(key, value) or self._in_url(key, value)

    def suspicious(self, text: str) -> bool:
        transfer = "KDUMP_TRANSFER" in text and _PERHAPS_LOGIN.search(text)
        return bool(super().suspicious(text) or transfer or _PASSWORD_IN_URL.search(text))

    def shown(self, key: str, value: str) -> str:
        return super().shown(key, self.masked(key, value))


def _known(key: str, value: str, version: Version) -> str:
    """Return what is wrong with a setting, of kdump or not."""
    if key in SETTINGS:
        return value_problem(key, value, version)
    close = difflib.get_close_matches(key, SETTINGS, 1, 0.85)
    if close:
        return f"is no setting of kdump; did you mean {close[0]}?"
    return ""


_QUOTED = re.compile(r"'[^']*'|\"((?:\\.|[^\"\\])*)\"|\\.", re.S)


def _misread(line: assignments.Line) -> str:
    """Return what a shell makes of a value beside what stands there, or ''."""
    if not line.key:
        return ""
    raw = line.text[: len(line.text) - len(line.comment)].partition("=")[2]
    bare = _QUOTED.sub("", raw)
    expanded = bare + "".join(match.group(1) or "" for match in _QUOTED.finditer(raw))
    found = re.search(r"[;&|<>()]", bare)
    if found:
        return f"has {found.group()!r} outside of quotes, which ends the value"
    if re.search(r"[$`]", re.sub(r"\\.", "", expanded, flags=re.S)) or raw.startswith("~"):
        return "is expanded by every shell that reads it, also in the capture's initrd; write what it should be"
    return ""


def together(settings: t.Mapping[str, str], version: Version) -> t.Iterator[t.Tuple[str, str]]:
    """Yield settings that are good for themselves and not beside the others, and the reason."""
    target = parse_savedir(settings.get("KDUMP_SAVEDIR") or "/var/crash")
    if target and target.protocol in ("ssh", "sftp"):
        reason = _host_key_lookup(target, settings.get("KDUMP_HOST_KEY", ""), version)
        if reason:
            yield "KDUMP_SAVEDIR", reason
    if target and target.protocol != "file" and version >= SCRIPTS and settings.get("KDUMP_NOTIFICATION_TO"):  # fmt: skip
        yield "KDUMP_NOTIFICATION_TO", "is ignored for a dump that leaves this host"
    for key, needed in (
        ("KDUMP_NOTIFICATION_CC", "KDUMP_NOTIFICATION_TO"),
        ("KDUMP_SMTP_USER", "KDUMP_SMTP_SERVER"),
    ):
        if settings.get(key) and not settings.get(needed):
            yield key, f"is ignored without {needed}; set both, or neither"
    raw = settings.get("KDUMP_DUMPFORMAT") == "raw"
    if raw and settings.get("KDUMP_DUMPLEVEL", "0") not in ("", "0"):
        yield (
            "KDUMP_DUMPLEVEL",
            "is ignored with KDUMP_DUMPFORMAT=raw, which copies every page; set 0",
        )
    if settings.get("KDUMP_FADUMP", "").lower() in ("yes", "true", "1"):
        for key in ("KDUMP_COMMANDLINE", "KEXEC_OPTIONS"):
            if settings.get(key):
                yield (
                    key,
                    "is ignored with KDUMP_FADUMP, which loads nothing by kexec; leave it out",
                )
    programs = settings.get("KDUMP_REQUIRED_PROGRAMS", "").split()
    for key in _COMMANDS:
        words = settings.get(key, "").split()
        if words and settings.get("KDUMP_TRANSFER") and key != "KDUMP_TRANSFER":
            yield key, "is ignored while KDUMP_TRANSFER is set"
        elif words and words[0].startswith("/") and not _USUAL.match(words[0]) and words[0] not in programs:  # fmt: skip
            yield key, "would not be in the initrd; name it in KDUMP_REQUIRED_PROGRAMS too"


def _host_key_lookup(target: Target, host_key: str, version: Version) -> str:
    """Return why ssh would not find the host's key in the initrd, or ''."""
    if host_key == "*" and version >= SCRIPTS:
        return ""
    # The scripts ask for, and write down, HOST:PORT and [ADDRESS]; ssh looks for [HOST]:PORT and ADDRESS.
    if target.port and not (version < SCRIPTS and target.port == "22"):
        return (
            "has a port, and the host's key would not be found under that name; give the host a name for ssh in "
            "/etc/hosts and let it listen on port 22, or set KDUMP_HOST_KEY='*', which checks no key"
        )
    if target.host.startswith("["):
        return (
            "has an IPv6 address, under which the host's key would not be found; use its name, or set "
            "KDUMP_HOST_KEY='*', which checks no key"
        )
    return ""
