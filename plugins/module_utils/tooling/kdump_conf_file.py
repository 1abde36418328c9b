# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""/etc/kdump.conf of kdumpctl (the EL family, Fedora): its grammar and its rules, release by release. Pure.

Source of the rules: the scripts kdumpctl, mkdumprd, kdump-lib.sh and kdump-lib-initramfs.sh of kdump-utils v1.0.61
and of its history since kexec-tools 2.0.15, EL 7.6 to 7.7, 8.8 to 8.9 and 9.2 to 9.3; makedumpfile 1.7.2 to 1.7.9.
What cannot be told from a text (devices, files, users, this host's own addresses) is no matter of this file. Letters
are classed as in the C locale: in others, sed and grep take U+3000 and its like for white space too.
"""

import difflib
import re
import socket
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.tooling.base import ConfigFile

TARGETS = ("raw", "ext2", "ext3", "ext4", "minix", "btrfs", "xfs", "nfs", "ssh", "virtiofs")
# kdumpctl 2.0.15 knows these; later ones are in the histories below.
FIRST_OPTIONS = frozenset(
    (
        *(target for target in TARGETS if target != "virtiofs"),
        *("sshkey", "path", "core_collector", "kdump_post", "kdump_pre", "extra_bins"),
        *("extra_modules", "default", "force_rebuild", "force_no_rebuild", "dracut_args"),
        *("fence_kdump_args", "fence_kdump_nodes"),
    )
)
DEPRECATED = {
    "net": "use nfs or ssh",
    "options": "use module.option=value in KDUMP_COMMANDLINE_APPEND",
    "link_delay": "leave it out: dracut waits for the link",
    "disk_timeout": "leave it out: dracut waits for the disk",
    "debug_mem_level": "use rd.memdebug= in KDUMP_COMMANDLINE_APPEND",
    "blacklist": "use rd.driver.blacklist= in KDUMP_COMMANDLINE_APPEND",
}
# mkdumprd of 2.0.3 to 2.0.28 read it, but no kdumpctl since then has accepted it.
NEVER_ACCEPTED = {"override_resettable": "kdumpctl refuses it in every release; leave it out"}
FAILURE_ACTIONS = ("reboot", "halt", "poweroff", "shell", "dump_to_rootfs")
FINAL_ACTIONS = ("reboot", "halt", "poweroff")
FORMS = (
    "a release such as 1.0.61, v1.0.61, kdump-utils-1.0.61-1.el10, 2.0.26-7 or kexec-tools-2.0.20-14.el8, "
    "or a distribution such as el8, el8.10, rhel9.3 or fedora40"
)


class Rules(t.NamedTuple):
    """How one release reads the file, and what it refuses."""

    options: t.FrozenSet[str] = FIRST_OPTIONS
    reader: str = "plain"  # of _READERS: what splits a line into option and value
    backslashes: bool = True  # they are taken out, and one at a line's end joins it with the next
    by_line: bool = (
        True  # lines are looked at as they are: no leading blanks, and targets and --mount counted
    )
    one_path: bool = False  # of these: path too is counted
    duplicates: bool = True  # an option may be set again
    empty: bool = True  # a file without a setting is accepted
    raw_lookups: bool = True  # actions, force flags and the kind of target are read past the reader
    quotes: bool = False  # one pair around a value is taken off
    mount: str = ""  # what --mount in dracut_args must hold: '' nothing, or as 'squeezed' or 'exact' words read
    ssh: bool = False  # the destination must be what ssh -G gives back
    params: bool = False  # core_collector goes through makedumpfile --check-params
    bare: bool = False  # core_collector may be makedumpfile without arguments
    makedumpfile: t.Tuple[int, int] = (1, 6)  # release of makedumpfile that belongs to it, at least
    all_cpus: bool = False  # the capture adds --num-threads to makedumpfile's command itself
    sysconfig: t.FrozenSet[str] = (
        frozenset()
    )  # those of /etc/sysconfig/kdump that not every release reads
    open: bool = False  # newer than what is known here: an unknown option may be right


Key = t.Tuple[int, int, int, int]  # three numbers of the version and the package's release
History = t.Sequence[t.Tuple[Key, t.Mapping[str, t.Any]]]
ANY_BUILD = 10**9

_ACTIONS = {"options": ("failure_action", "final_action")}
_STRIPPED = {"reader": "stripped"}
_REWORKED = {"by_line": False, "one_path": False, "duplicates": False, "empty": False}
_SED = {"reader": "sed", "raw_lookups": False}
_LOG_LEVELS = ("KDUMP_STDLOGLVL", "KDUMP_SYSLOGLVL", "KDUMP_KMSGLOGLVL")

# Since which release something else holds; options and settings are added to those before. Fedora, and kdump-utils
# anywhere.
UPSTREAM: History = (
    ((2, 0, 17, 10), {"one_path": True}),
    ((2, 0, 18, 3), _ACTIONS),
    ((2, 0, 19, 2), _STRIPPED),
    ((2, 0, 20, 11), {"params": True}),
    ((2, 0, 20, 19), _REWORKED),
    ((2, 0, 20, 20), {"sysconfig": _LOG_LEVELS}),
    ((2, 0, 22, 1), {"backslashes": False, "empty": True}),
    ((2, 0, 22, 8), _SED),
    ((2, 0, 23, 1), {"makedumpfile": (1, 7)}),
    ((2, 0, 23, 2), {"options": ("auto_reset_crashkernel",)}),
    ((2, 0, 24, 1), {"mount": "squeezed", "ssh": True}),
    ((2, 0, 25, 2), {"mount": "exact", "options": ("virtiofs",)}),
)
KDUMP_UTILS: History = (
    *((key, changes) for key, changes in UPSTREAM),
    ((101, 0, 43, 0), {"bare": True}),
    ((101, 0, 45, 0), {"sysconfig": ("VMCORE_CREATION_NOTIFICATION",)}),
    ((101, 0, 50, 0), {"all_cpus": True, "sysconfig": ("FADUMP_COMMANDLINE_APPEND",)}),
    ((101, 0, 60, 0), {"reader": "shell", "quotes": True, "options": ("kdump_emergency",)}),
)
# RHEL's own packages take changes over at other releases.
EL7: History = (((2, 0, 15, 22), _STRIPPED),)
EL8: History = (
    ((2, 0, 19, 3), _ACTIONS),
    ((2, 0, 19, 4), _STRIPPED),
    ((2, 0, 20, 17), {"params": True}),
    ((2, 0, 20, 35), _REWORKED),
    ((2, 0, 20, 46), {"sysconfig": _LOG_LEVELS}),  # EL 8.4; in which build before, is not known
    ((2, 0, 20, 47), {"backslashes": False, "empty": True}),
    ((2, 0, 20, 61), {"makedumpfile": (1, 7)}),
)
EL9: History = (
    ((2, 0, 0, 0), {**_STRIPPED, **_ACTIONS, **_REWORKED}),
    ((2, 0, 0, 0), {"params": True, "backslashes": False, "empty": True}),
    ((2, 0, 0, 0), {"sysconfig": _LOG_LEVELS}),
    ((2, 0, 22, 16), _SED),
    ((2, 0, 23, 1), {"makedumpfile": (1, 7)}),
    ((2, 0, 23, 4), {"options": ("auto_reset_crashkernel",)}),
    ((2, 0, 25, 3), {"options": ("virtiofs",)}),
)
HISTORIES = {"7": EL7, "8": EL8, "9": EL9}
NEWEST = (101, 0, 61, ANY_BUILD)

# What a distribution has, by its minor release; the last one stands for the major release. Dated by the changelogs of
# EL 8.9's and 9.3's packages and by Fedora's releases; where the build is not sure, it is one with the same rules. Of
# EL 9.4 and later nobody has looked at the scripts: they are taken for those of 9.3.
EL_RELEASES: t.Dict[str, t.Tuple[str, ...]] = {
    "7": (*["2.0.15-21"] * 7, "2.0.15-33", "2.0.15-43", "2.0.15-51"),
    "8": (
        *("2.0.17-28", "2.0.19-12", "2.0.20-14", "2.0.20-34", "2.0.20-46", "2.0.20-57"),
        *("2.0.20-68", "2.0.24-6", "2.0.25-5", "2.0.26-8", "2.0.26-14"),
    ),
    "9": ("2.0.23-9", "2.0.24-5", "2.0.25-13", "2.0.26-8"),
    "10": ("1.0.54", "1.0.58", "1.0.61"),
}
FEDORA_RELEASES = {
    29: "2.0.17-11",
    30: "2.0.19-1",
    31: "2.0.20-4",
    32: "2.0.20-11",
    33: "2.0.20-18",
    34: "2.0.21-8",
    35: "2.0.22-8",
    36: "2.0.23-5",
    37: "2.0.25-2",
    38: "2.0.26-3",
    39: "2.0.27-2",
    40: "2.0.28-7",
    41: "1.0.46",
    42: "1.0.52",
    43: "1.0.58",
}

_PACKAGE = re.compile(
    r"(?:(?P<name>kexec-tools|kdump-utils)-)?(?:\d+:)?v?(?P<version>\d+\.\d+\.\d+)(?:-(?P<build>\d+)(?P<rest>\S*))?\Z"
)
_DISTRIBUTION = re.compile(
    r"(?P<name>el|rhel|centos|rocky|alma|almalinux|ol|fedora|fc)[ _-]?(?P<major>\d+)(?:\.(?P<minor>\d+))?\Z"
)


def rules_of(release: t.Optional[str] = None) -> Rules:
    """Return the rules of a release.

    :param release: of the package or the distribution, see FORMS; None for the newest known.
    :raises ValueError: it is none of these.
    """
    key, history = _place_of(release)
    rules = Rules()
    for since, changes in history:
        if key >= since:
            added = {
                "options": rules.options.union(changes.get("options", ())),
                "sysconfig": rules.sysconfig.union(changes.get("sysconfig", ())),
            }
            rules = rules._replace(**{**changes, **added})
    return rules._replace(open=key > NEWEST)


def _place_of(release: t.Optional[str]) -> t.Tuple[Key, History]:
    """Return a release as something that can be compared, and the history that it belongs to."""
    if release is None:
        return NEWEST, KDUMP_UTILS
    word = release.strip().lower()
    distribution = _DISTRIBUTION.match(word)
    if distribution:
        return _place_of_distribution(distribution, release)
    package = _PACKAGE.match(word)
    if package is None:
        raise ValueError(f"release {release!r} is not known; give {FORMS}")
    first, second, third = (int(part) for part in package.group("version").split("."))
    build = package.group("build")
    # A newer package of the same files counts its versions anew.
    if package.group("name") == "kdump-utils" or (package.group("name") is None and first < 2):
        first += 100
    key = (first, second, third, ANY_BUILD if build is None else int(build))
    dist = re.search(r"\.el(\d+)", package.group("rest") or "")
    if first < 100 and dist and dist.group(1) in HISTORIES:
        return key, HISTORIES[dist.group(1)]
    return key, KDUMP_UTILS


def _place_of_distribution(match: t.Match[str], release: str) -> t.Tuple[Key, History]:
    name, major, minor = match.group("name"), match.group("major"), match.group("minor")
    if name in ("fedora", "fc"):
        if int(major) > max(FEDORA_RELEASES):
            return NEWEST, KDUMP_UTILS
        if int(major) in FEDORA_RELEASES:
            return _place_of(FEDORA_RELEASES[int(major)])
    elif major in EL_RELEASES:
        versions = EL_RELEASES[major]
        version = versions[-1 if minor is None else min(int(minor), len(versions) - 1)]
        return _place_of(f"{version}.el{major}" if "-" in version else version)
    raise ValueError(f"release {release!r} is not known; give {FORMS}")


_ARM = re.compile(r"^\s*([A-Za-z][\w\[\] |\t]*)\)\s*(;;)?\s*$")


def options_of_script(text: str) -> t.Set[str]:
    """Return the options that a host's own kdumpctl accepts; empty if that cannot be told.

    :param text: of /usr/bin/kdumpctl.
    """
    body = re.search(r"(?ms)^(?:function\s+)?(?:parse|check)_config\s*\(\)\s*\{(.*?)^\}", text)
    found: t.Set[str] = set()
    arm: t.Set[str] = set()
    for line in body.group(1).split("\n") if body else []:
        match = _ARM.match(line)
        if match:
            arm = {name for word in match.group(1).split("|") for name in _expand(word.strip())}
            found |= arm
        elif "Deprecated" in line:
            found -= arm
    # Without these it was another case statement.
    return found if {"path", "core_collector", "ssh"} <= found else set()


def _expand(pattern: str) -> t.List[str]:
    """Return the words that a shell pattern with at most one [...] stands for."""
    match = re.match(r"(\w*)\[(\w+)\](\w*)\Z", pattern)
    if match is None:
        return [pattern]
    return [match.group(1) + letter + match.group(3) for letter in match.group(2)]


class Setting(t.NamedTuple):
    """What the tooling reads from a line."""

    line: int  # counted from 1
    key: str
    value: str


_BLANKS = " \t"
_SPACES = " \t\n\v\f\r"  # what sed and grep call \s


def _lines(text: str) -> t.List[str]:
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    return lines


def _words(text: str) -> t.List[str]:
    """Return the words that a shell splits a text into with IFS as it is."""
    return [word for word in re.split(r"[ \t\n]+", text) if word]


def _split(line: str) -> t.Tuple[str, str]:
    """Return the first word of a line and the rest, as read of a shell does with IFS as it is."""
    words = re.split(r"[ \t]+", line.strip(_BLANKS), maxsplit=1)
    return words[0], words[1] if len(words) > 1 else ""


def _joined(lines: t.Iterable[t.Tuple[int, str]]) -> t.List[t.Tuple[int, str, str]]:
    """Return option and value of each line as read without -r does: backslashes quote, or join two lines."""
    result: t.List[t.Tuple[int, str, str]] = []
    # A quoted blank separates nothing: it stands as another letter until the line is split.
    quoted = {" ": "\ue000", "\t": "\ue001"}
    open_line: t.Optional[t.Tuple[int, str]] = None
    for number, line in lines:
        first, before = open_line or (number, "")
        parts = re.split(r"\\(.|\Z)", line, flags=re.S)
        ends_open = len(parts) > 1 and parts[-2] == "" and parts[-1] == "" and line.endswith("\\")
        plain = before + "".join(
            quoted.get(part, part) if index % 2 else part for index, part in enumerate(parts)
        )
        if ends_open:
            open_line = (first, plain)
            continue
        open_line = None
        result.append((first, *_unquoted_blanks(_split(plain))))
    # A last line that a backslash leaves open is never seen.
    return result


def _unquoted_blanks(pair: t.Tuple[str, str]) -> t.Tuple[str, str]:
    key, value = (word.replace("\ue000", " ").replace("\ue001", "\t") for word in pair)
    return key, value


def _read_plain(text: str, rules: Rules) -> t.List[Setting]:
    """Read as kdumpctl did up to 2.0.18: the value goes unquoted through echo, and is cut at the last '#'."""
    del rules
    # A last line without its newline is never seen.
    whole = text[: text.rfind("\n") + 1]
    settings = []
    for number, key, rest in _joined(enumerate(_lines(whole), start=1)):
        if not key or key.startswith("#"):
            continue
        words = _words(rest)
        while words and re.match(r"-[neE]+\Z", words[0]):
            del words[0]
        settings.append(Setting(number, key, re.sub(r"(.*)#.*", r"\1", " ".join(words))))
    return settings


def _read_stripped(text: str, rules: Rules) -> t.List[Setting]:
    """Read as kdumpctl did from 2.0.19 on: cut at the first '#'; a line of one letter is not seen."""
    kept = []
    for number, line in enumerate(_lines(text), start=1):
        match = re.match(r"[ \t\v\f\r]*([^# \t][^#]+)", line)
        if match:
            kept.append((number, match.group(1)))
    read = (
        _joined(kept)
        if rules.backslashes
        else [(number, *_split(content)) for number, content in kept]
    )
    return [Setting(*fields) for fields in read]


def _read_sed(text: str, rules: Rules) -> t.List[Setting]:
    """Read as kdumpctl did from 2.0.22-8 on: cut at the first '#', and no white space around what is left."""
    del rules
    settings = []
    for number, line in enumerate(_lines(text), start=1):
        words = re.split(r"[ \t\v\f\r]+", line.split("#", 1)[0].strip(_SPACES), maxsplit=1)
        if words[0]:
            settings.append(Setting(number, words[0], words[1] if len(words) > 1 else ""))
    return settings


def _read_shell(text: str, rules: Rules) -> t.List[Setting]:
    """Read as kdumpctl does since 1.0.60: blanks alone separate, and one pair of quotes is taken off."""
    del rules
    settings = []
    for number, line in enumerate(_lines(text), start=1):
        bare = line.strip(_SPACES)
        if not bare or bare.startswith("#"):
            continue
        key, value = _split(line)
        if "#" in value:
            value = value.split("#", 1)[0].rstrip(_SPACES)
        settings.append(Setting(number, key, _without_quotes(value).strip(_BLANKS)))
    return settings


def _without_quotes(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value


_READERS: t.Dict[str, t.Callable[[str, Rules], t.List[Setting]]] = {
    "plain": _read_plain,
    "stripped": _read_stripped,
    "sed": _read_sed,
    "shell": _read_shell,
}


def _second_words(text: str, key: str) -> str:
    """Return the second word of each line that begins with a word, as awk reads the lines as they are."""
    rows = [
        line.split(" ") for line in (re.sub(r"[ \t]+", " ", x).strip(" ") for x in _lines(text))
    ]
    return "\n".join(row[1] if len(row) > 1 else "" for row in rows if row[0] == key).rstrip("\n")


def _flag(text: str, key: str) -> str:
    """Return what grep ^key and cut make of the lines as they are: the second word of them all."""
    words = _words(" ".join(line for line in _lines(text) if line.startswith(key)))
    return (words[1] if len(words) > 1 else words[0]) if words else ""


def looked_up(text: str, settings: t.Sequence[Setting], key: str, rules: Rules) -> str:
    """Return the value that kdumpctl goes by once it has read the whole file; '' if there is none."""
    if rules.raw_lookups:
        return _flag(text, key) if key.startswith("force_") else _second_words(text, key)
    values = [setting.value for setting in settings if setting.key == key]
    return values[-1] if values else ""


def ssh_problem(destination: str) -> str:
    """Return why ``ssh -G`` would not give back the host of a destination, or ''.

    Of OpenSSH 9.2 with the checks of CVE-2023-51385, which the distributions' releases have too.
    """
    if "@" not in destination:
        return "must be user@host"
    user, host = destination.split("@", 1)
    if host == "":
        return ""  # ssh gives back nothing, and kdumpctl finds that equal
    right = r"[^\s\x00-\x1f\x7f'`\"$\\;&<>|(){},@-][^\s\x00-\x1f\x7f'`\"$\\;&<>|(){},@]*"
    if user.startswith("ssh://"):
        user = _decoded(user[len("ssh://") :].split(";")[0])
        right = r"[A-Za-z0-9](?:\.?[A-Za-z0-9_-])*"
    if not re.match(right + r"\Z", host, re.ASCII):
        return "must be user@host, with a plain name or address of one host"
    if (
        not user
        or user[0] == "-"
        or re.search(r"[\x00-\x1f\x7f'`\";&<>|(){}]|[ \t\n\v\f\r]-|\\\Z", user)
    ):
        return "must be user@host, with the name of a user"
    given_back = _given_back(host)
    if given_back != host:
        return f"must have its host as ssh gives it back: {given_back}"
    return ""


def _decoded(user: str) -> str:
    """Return the user of an ssh:// address; '' if ssh cannot read it."""
    if re.search(r"%(?!(?!00)[0-9A-Fa-f]{2})", user):
        return ""
    return re.sub(r"%(..)", lambda match: chr(int(match.group(1), 16)), user.replace("+", " "))


def _given_back(host: str) -> str:
    """Return a host as ssh writes it: names in lower case, addresses in their shortest form."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        packed = socket.inet_pton(family, host) if ":" in host else socket.inet_aton(host)
        shortest = socket.inet_ntop(family, packed)
    except (OSError, UnicodeError):
        # No address. What looks like one keeps its letters.
        if re.search(r"[%:]", host):
            return host
        return re.sub(r"[A-Z]", lambda match: match.group().lower(), host)
    return host if shortest.lower() == host.lower() else shortest


def mount_words(arguments: str, how: str) -> t.Tuple[str, str]:
    """Return device and file-system type that kdumpctl finds in dracut_args with --mount.

    :param how: 'squeezed' or 'exact', see Rules.mount.
    """
    words = " ".join(_words(arguments)) if how == "squeezed" else arguments
    match = re.match(r".*--mount .(.*)", words, re.S)
    if match is None and how == "exact":
        return "", ""
    fields = (match.group(1) if match else words).split(" ")
    if len(fields) == 1:  # cut gives back a whole line that has nothing to cut at
        return fields[0], fields[0]
    return fields[0], fields[2] if len(fields) > 2 else ""


# makedumpfile's options, of 1.7.2: the short ones as getopt has them, the long ones with whether they take a value.
_SHORT = "b:cDd:eEFfg:hi:lL:pRvXx:z"
_LONG = {
    "split": False,
    "reassemble": False,
    "xen-syms": True,
    "xen-vmcoreinfo": True,
    "xen_phys_start": True,
    "message-level": True,
    "vtop": True,
    "dump-dmesg": False,
    "partial-dmesg": False,
    "config": True,
    "help": False,
    "diskset": True,
    "cyclic-buffer": True,
    "eppic": True,
    "non-mmap": False,
    "mem-usage": False,
    "splitblock-size": True,
    "work-dir": True,
    "num-threads": True,
    "check-params": False,
    "dry-run": False,
    "show-stats": False,
}
_SINCE_1_7 = ("-z", "dry-run", "show-stats")
_ALIASES = {"help": "-h", "xen-vmcoreinfo": "-i"}


class ArgumentError(ValueError):
    """makedumpfile would refuse an argument."""


def _options_of(words: t.Sequence[str], newer: bool) -> t.Tuple[t.List[t.Tuple[str, str]], int]:
    """Return makedumpfile's options with their values, and how many other words there are, as getopt_long does.

    :raises ArgumentError: one is unknown or lacks its value.
    """
    found: t.List[t.Tuple[str, str]] = []
    rest = list(words)
    others = 0
    while rest:
        word = rest.pop(0)
        if word == "--":
            others += len(rest)
            break
        if word == "-" or not word.startswith("-"):
            others += 1
        elif word.startswith("--"):
            found.append(_long_option(word, rest, newer))
        else:
            found += _short_options(word, rest, newer)
    return found, others


def _long_option(word: str, rest: t.List[str], newer: bool) -> t.Tuple[str, str]:
    name, equals, value = word[2:].partition("=")
    known = [long for long in _LONG if newer or long not in _SINCE_1_7]
    matching = [name] if name in known else [long for long in known if long.startswith(name)]
    if len(matching) != 1:
        raise ArgumentError(f"has --{name}, which makedumpfile does not know")
    full = matching[0]
    if not _LONG[full]:
        if equals:
            raise ArgumentError(f"gives --{full} a value, and it takes none")
    elif not equals:
        if not rest:
            raise ArgumentError(f"has --{full} without its value")
        value = rest.pop(0)
    return _ALIASES.get(full, full), value


def _short_options(word: str, rest: t.List[str], newer: bool) -> t.List[t.Tuple[str, str]]:
    found = []
    letters = word[1:]
    while letters:
        letter, letters = letters[0], letters[1:]
        if letter not in _SHORT.replace(":", "") or (letter == "z" and not newer):
            raise ArgumentError(f"has -{letter}, which makedumpfile does not know")
        value = ""
        if letter + ":" in _SHORT:
            if not letters and not rest:
                raise ArgumentError(f"has -{letter} without its value")
            value, letters = letters or rest.pop(0), ""
        found.append(("-" + letter, value))
    return found


def _number(text: str) -> int:
    """Return what atoi of C makes of a text."""
    match = re.match(r"[ \t\n\v\f\r]*([+-]?[0-9]+)", text)
    number = int(match.group(1)) if match else 0
    number = max(-(2**63), min(2**63 - 1, number))
    return (number + 2**31) % 2**32 - 2**31


def _check_size(text: str) -> None:
    match = re.match(
        r"[ \t\n\v\f\r]*[+-]?(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)[EPTGMKeptgmk]?\Z", text
    )
    digits = match.group(1) if match else ""
    if not re.search(r"[1-9a-fA-F]", re.sub(r"^0[xX]", "", digits)):
        raise ArgumentError(f"has a limit of {text!r}; -L takes a size such as 5G")


def _check_levels(text: str) -> int:
    """Return the first of the dump levels, which is the one that other checks go by."""
    levels = [_number(level) for level in text.split(",") if level]
    if len(levels) > 32 or not all(0 <= level <= 31 for level in levels):
        raise ArgumentError(f"has dump level {text!r}; makedumpfile takes 0 to 31")
    return levels[0] if levels else 0


def arguments_problem(
    words: t.Sequence[str], files: int, makedumpfile: t.Tuple[int, int] = (1, 7)
) -> str:
    """Return what ``makedumpfile --check-params`` refuses of its arguments, or ''.

    :param files: how many files mkdumprd adds to them: 1 for a target that takes a stream (ssh, raw), else 2.
    :param makedumpfile: its release.
    """
    # mkdumprd appends the names, so that an option at the end swallows one.
    given = [*words, *("vmcore", "dumpfile")[:files]]
    try:
        options, others = _options_of(given, newer=makedumpfile >= (1, 7))
        level = 0
        for name, value in options:
            if name == "-d":
                level = _check_levels(value)
            elif name == "-L":
                _check_size(value)
            elif name == "message-level" and not 0 <= _number(value) <= 31:
                raise ArgumentError(f"has message level {value!r}; makedumpfile takes 0 to 31")
        return _mode_problem(dict(options), level, others, files)
    except ArgumentError as error:
        return str(error)


def _mode_problem(options: t.Mapping[str, str], level: int, others: int, files: int) -> str:
    """Return what is wrong with options that are each right, or ''."""
    have = set(options)
    if have & {"-h", "-v"}:
        return ""
    compressed = have & {"-c", "-l", "-p", "-z"}
    # What only makes sense where a dump is written, and is refused elsewhere.
    of_dumps = bool(compressed or level or have & {"-E", "-i", "-F", "-X", "-x", "xen-syms"})
    if "-g" in have:
        fit = others == 0 and not (
            compressed or level or have & {"-E", "-i", "-F", "-R", "-X", "dry-run"}
        )
        return "" if fit and have & {"-x", "xen-syms"} else "has -g, which writes no dump"
    if "-R" in have:
        return "" if others == 1 and not of_dumps else "has -R, which writes no dump"
    if "reassemble" in have:
        fit = others > 0 and not of_dumps and not have & {"split", "dry-run"}
        return "" if fit else "has --reassemble, which writes no dump"
    threads = _number(options.get("num-threads", "0")) > 0
    for both, is_so in (
        ("-E with a compression (-c, -l, -p or -z)", bool(compressed) and "-E" in have),
        ("-x with -i", {"-i", "-x"} <= have),
        ("-i with --xen-syms", {"-i", "xen-syms"} <= have),
        ("--dry-run with --dump-dmesg", {"dry-run", "dump-dmesg"} <= have),
        ("-F with --split", {"-F", "split"} <= have),
        ("--num-threads with --split", threads and "split" in have),
        ("--num-threads with -E", threads and "-E" in have),
        ("--split with -E", {"split", "-E"} <= have),
    ):
        if is_so:
            return f"joins {both}, which makedumpfile refuses"
    for name, needed in (("config", "-x"), ("partial-dmesg", "dump-dmesg"), ("-e", "work-dir")):
        if name in have and needed not in have:
            dashes = ["-" * (2 if len(word) > 2 else 0) + word for word in (name, needed)]
            return f"has {dashes[0]} without {dashes[1]}, which makedumpfile refuses"
    return _files_problem(have, others, files)


def _files_problem(have: t.Set[str], others: int, files: int) -> str:
    """Return why the names of files that mkdumprd adds do not fit, or ''."""
    if "split" in have:
        fits = others >= 2 if "diskset" in have else others > 2
    elif "diskset" in have:
        fits = others == 1
    elif others == 2:
        fits = "-F" not in have
    else:
        fits = others == 1 and bool(have & {"-F", "mem-usage"})
    if fits:
        return ""
    if files == 2 and "-F" in have:
        return "has -F, which is for the targets ssh and raw alone; leave it out"
    return (
        "has a word that is no option of makedumpfile, or an option without its value: mkdumprd adds the names "
        "of the files itself"
    )


def collector_problem(value: str, stream: bool, rules: Rules) -> str:
    """Return why mkdumprd refuses a core_collector, or ''.

    :param stream: the target is one that takes a stream: ssh or raw.
    """
    command, blank, arguments = value.partition(" ")
    if command != "makedumpfile":
        return ""
    if not rules.params:
        arguments = value
    elif not blank and not rules.bare:
        # The command itself was taken for an argument.
        arguments = command
    if stream and "-F" not in arguments:
        return "needs -F for the targets ssh and raw: they take a stream"
    if not rules.params:
        return ""
    return arguments_problem(_words(arguments), 1 if stream else 2, rules.makedumpfile)


def _one_of(*choices: str) -> t.Callable[[str], str]:
    def check(value: str) -> str:
        return "" if value in choices else f"must be one of: {', '.join(choices)}"

    return check


# Values that kdumpctl looks at, whatever the release.
VALUES: t.Dict[str, t.Callable[[str], str]] = {
    "failure_action": _one_of(*FAILURE_ACTIONS),
    "default": _one_of(*FAILURE_ACTIONS),
    "final_action": _one_of(*FINAL_ACTIONS),
    "force_rebuild": _one_of("0", "1"),
    "force_no_rebuild": _one_of("0", "1"),
}
# Two names of one setting: kdumpctl refuses both at once.
ALIASES = {"failure_action": "default", "default": "failure_action"}

_LINE = re.compile(
    r"(?P<lead>[ \t\v\f]*)(?P<key>[A-Za-z_][A-Za-z0-9_]*)"
    r"(?P<gap>[ \t\v\f]*=[ \t]*|[ \t\v\f]+|(?=[\r#]|\Z))(?P<value>[^#]*)(?P<comment>#.*)?\Z",
    re.S,
)


class Line(t.NamedTuple):
    """What somebody meant with a line that sets something."""

    key: str
    value: str
    comment: str  # behind the value, with the blanks before it
    accepted: bool  # the newest release reads this meaning
    quoted: bool  # older ones do not, for its quotes
    indented: bool  # or for the blanks before it

    def misread(self, rules: Rules) -> bool:
        return (
            not self.accepted
            or (self.quoted and not rules.quotes)
            or (self.indented and rules.by_line)
        )


def _meaning(line: str) -> t.Optional[Line]:
    """Return what a line sets, also one that kdumpctl misreads; None if it sets nothing."""
    match = _LINE.match(line)
    if match is None:
        return None
    raw, lead, gap = match.group("value"), match.group("lead"), match.group("gap")
    comment = match.group("comment") or ""
    value = raw.strip(_SPACES)
    unquoted = _without_quotes(value).strip(_BLANKS)
    if "=" in gap and len(value) > 1 and value[0] == value[-1] == "'":
        unquoted = value[1:-1].strip(_BLANKS)
    # White space other than blanks is a part of a word, but for that before a comment.
    kept = raw.lstrip(_BLANKS).rstrip(_SPACES if comment else _BLANKS)
    accepted = "=" not in gap and not re.search(r"[\v\f]", lead + gap) and kept == value
    before = raw[len(raw.rstrip(_SPACES)) :].strip("\r\v\f") if comment else ""
    return Line(
        match.group("key"),
        unquoted,
        before + comment.rstrip("\r"),
        accepted,
        unquoted != value,
        lead != "",
    )


# What it reads right is read right by every release.
_OLDEST = Rules()


class KdumpConf(ConfigFile):
    """/etc/kdump.conf."""

    path = "/etc/kdump.conf"
    refused_whole = True

    def __init__(
        self,
        options: t.Optional[t.Collection[str]] = None,
        ssh: t.Optional[bool] = None,
    ) -> None:
        """Take what a host's own kdumpctl says in place of the release's rules.

        :param options: see options_of_script(); None or empty for those of the release.
        :param ssh: see Rules; None for the release's.
        """
        self._options = frozenset(options or ())
        self._ssh = ssh

    def rules(self, release: t.Optional[str] = None) -> Rules:
        """Return the rules to go by; see rules_of()."""
        rules = rules_of(release)
        if self._options:
            rules = rules._replace(options=self._options, open=False)
        return rules if self._ssh is None else rules._replace(ssh=self._ssh)

    def parse(self, text: str) -> t.Dict[str, str]:
        return {line.key: line.value for line in map(_meaning, _lines(text)) if line is not None}

    def render(
        self,
        text: str,
        settings: t.Mapping[str, t.Optional[str]],
        release: t.Optional[str] = None,
    ) -> str:
        """Return the text with these settings; see ConfigFile.

        :param release: whose grammar counts; None for the newest known. Leading blanks and quotes are mended where that
            release does not understand them.
        """
        rules = self.rules(release)
        lines = _lines(text)
        ends = text.endswith("\n") or not text or rules.reader == "plain"
        meant = [_meaning(line) for line in lines]
        if any(
            line is not None and not line.comment and lines[index].endswith("\r")
            for index, line in enumerate(meant)
        ):
            lines = [line.rstrip("\r") for line in lines]
        changes = dict(settings)
        for key, value in settings.items():
            if value is not None and key in ALIASES:
                changes.setdefault(ALIASES[key], None)
        counted = {line.key: index for index, line in enumerate(meant) if line is not None}
        kept: t.List[str] = []
        for index, line in enumerate(meant):
            if line is None:
                kept.append(lines[index])
            elif line.key in changes:
                wanted = changes[line.key]
                if wanted is not None and counted[line.key] == index:
                    same = line.value == wanted and not line.misread(_OLDEST)
                    kept.append(lines[index] if same else f"{line.key} {wanted}{line.comment}")
            elif rules.duplicates or counted[line.key] == index or line.key not in rules.options:
                kept.append(self._mended(lines[index], line, rules))
        new = [(k, v) for k, v in changes.items() if v is not None and k not in counted]
        for key, value in new:
            # Beside the package's own example, where an administrator would look.
            examples = [
                i for i, line in enumerate(kept) if re.match(rf"#{re.escape(key)}[ \t]+\S", line)
            ]
            kept.insert(examples[-1] + 1 if examples else len(kept), f"{key} {value}")
        return "\n".join(kept) + ("\n" if kept and (ends or new) else "")

    def _mended(self, text: str, line: Line, rules: Rules) -> str:
        """Return a line as it should be, if its meaning is plain; else as it is."""
        if not line.misread(rules) or line.key not in rules.options:
            return text
        # What stays in quotes, or has no value, may mean anything.
        if not line.value or _without_quotes(line.value) != line.value:
            return text
        return f"{line.key} {line.value}{line.comment}"

    def problems(self, text: str, release: t.Optional[str] = None) -> t.List[str]:
        rules = self.rules(release)
        if "\0" in text:
            return ["holds a NUL character, which no tool reads; write the file anew"]
        settings = _READERS[rules.reader](text, rules)
        found = [] if settings or rules.empty else ["sets nothing, which this release refuses"]
        if rules.by_line:
            found += _line_problems(text, rules)
        seen: t.Dict[str, int] = {}
        for setting in settings:
            reason = self._option_problem(setting.key, rules) or _setting_problem(setting, rules)
            reason = reason or self._again(setting, seen, rules)
            if reason:
                shown = self.shown(setting.key, setting.value)
                found.append(f"line {setting.line}: {shown} {reason}")
        return (
            found
            + _whole_problems(text, settings, rules)
            + _collector_problems(text, settings, rules)
        )

    def _option_problem(self, key: str, rules: Rules) -> str:
        if key in rules.options:
            return ""
        if key in DEPRECATED:
            return f"is deprecated and refused: {DEPRECATED[key]}"
        if key in NEVER_ACCEPTED:
            return f"is no option of kdumpctl: {NEVER_ACCEPTED[key]}"
        if rules.open and re.match(r"[a-z][a-z0-9_]*\Z", key):
            return ""
        close = difflib.get_close_matches(key, rules.options, 1)
        hint = (
            f"did you mean {close[0]}?"
            if close
            else f"it reads: {', '.join(sorted(rules.options))}"
        )
        name, equals, _value = key.partition("=")
        if equals and name in rules.options:
            hint = f"write '{name} value', without '='"
        return f"is no option of this release of kdumpctl; {hint}"

    def _again(self, setting: Setting, seen: t.Dict[str, int], rules: Rules) -> str:
        """Return why a line is one too many, or ''; note what it sets."""
        if rules.duplicates:
            return ""
        key = _slot(setting, rules)
        first = seen.setdefault(key, setting.line)
        if first == setting.line:
            if key == "_target" and rules.mount and setting.key == "dracut_args":
                # The line sets the target and dracut_args.
                return self._again(setting._replace(value="-"), seen, rules)
            return ""
        if key == "_target":
            return f"is a second target (first in line {first}); leave one"
        if key == "failure_action" and rules.mount:
            return f"sets again what line {first} sets, if under its other name; leave one line"
        return f"is set again (first in line {first}); leave one line"

    def setting_problem(self, key: str, value: str, release: t.Optional[str] = None) -> str:
        rules = self.rules(release)
        reason = self._option_problem(key, rules)
        if reason:
            return reason
        if not value.isprintable():
            return "holds a newline or control character, which ends or spoils the setting; write it in one line"
        if "#" in value:
            return "holds '#', which begins a comment wherever it stands; leave it out"
        if value != value.strip():
            return "begins or ends with a blank, which is not read; leave it out"
        if value.startswith("="):
            return "begins with '=', which is taken for a part of the value; leave it out"
        if _without_quotes(value) != value:
            return "is in double quotes, which releases since 1.0.60 take off and others keep; leave them out"
        if "\\" in value and rules.backslashes:
            return "holds a backslash, which this release takes out; leave it out"
        if key == "dracut_args" and value.count("--mount") > 1:
            return "has more than one --mount; leave one"
        if key == "dracut_args" and "--mount=" in value:
            # dracut understands it; kdumpctl refuses it, or in other releases takes a word of it for the device.
            return 'has --mount=, in which kdumpctl finds no target; write --mount "DEVICE MOUNT-POINT TYPE OPTIONS"'
        reason = _setting_problem(Setting(0, key, value), rules)
        if not reason and key in VALUES:
            reason = VALUES[key](value)
        if not reason and key == "core_collector":
            # Where mkdumprd does not look at the arguments, makedumpfile refuses them when the dump is due.
            looking = rules if rules.params else rules._replace(params=True, bare=True)
            reason = collector_problem(value, "-F" in value, looking)
        return reason

    def setting_warning(self, key: str, value: str, release: t.Optional[str] = None) -> str:
        rules = self.rules(release)
        if rules.open and key not in rules.options:
            return "is an option that is not known here; a newer kdumpctl may know it"
        if key == "default" and "failure_action" in rules.options:
            return "is obsolete; use failure_action"
        if key == "auto_reset_crashkernel" and value not in ("yes", "no"):
            return "is taken for yes; write yes or no"
        check = WARNINGS.get(key)
        return check(value) if check else ""

    def warnings(self, text: str, release: t.Optional[str] = None) -> t.List[str]:
        """Return what is doubtful about a text that the tooling accepts, one sentence each."""
        rules = self.rules(release)
        found = []
        settings = _READERS[rules.reader](text, rules)
        for setting in settings:
            reason = self.setting_warning(setting.key, setting.value, release)
            if setting.value.startswith("="):
                reason = f"has '=' in its value; write '{setting.key} value'"
            elif not rules.quotes and _without_quotes(setting.value) != setting.value:
                reason = "keeps its quotes in this release; leave them out"
            elif setting.value != setting.value.strip(_SPACES):
                reason = (
                    "keeps white space around it that is no blank, such as a carriage return; "
                    "save the file with Unix line ends"
                )
            if reason:
                found.append(
                    f"line {setting.line}: {self.shown(setting.key, setting.value)} {reason}"
                )
        if rules.reader == "plain" and text and not text.endswith("\n"):
            found.append(
                "the last line does not end with a newline, so this release does not read it"
            )
        command = looked_up(text, settings, "core_collector", rules).split(" ")[0]
        if command and command != "makedumpfile" and _kind(text, settings, rules) == "raw":
            found.append(
                f"core_collector={command!r} with a raw target: the dump must be taken from the device by hand"
            )
        return found


def _path_warning(value: str) -> str:
    return "" if value.startswith("/") else "should be an absolute path"


def _collector_warning(value: str) -> str:
    command = value.split()[0] if value.split() else ""
    if command in ("makedumpfile", "cp", "scp"):
        return "" if command != "scp" else "works with an ssh target alone"
    if command.endswith("/makedumpfile"):
        return "goes unchecked by its path; write makedumpfile alone"
    return "goes unchecked, and the capture kernel must have that command; makedumpfile, cp and scp are sure to be there"


def _ssh_warning(value: str) -> str:
    if re.search(r"\[|\]", value):
        return "has brackets; write an IPv6 address without them, as in user@2001:db8::1"
    if value.endswith("@"):
        return "has no host; write user@host"
    if re.search(r"@[^@:]*:\d*\Z", value):
        return "has a port, which is taken for a part of the name; put it into /root/.ssh/config"
    return ""


def _dracut_warning(value: str) -> str:
    quotes = re.sub(r"\\.", "", value)
    for quote in ('"', "'"):
        if quotes.count(quote) % 2:
            return f"has a {quote} that is never closed, so its words are split in other places"
    return ""


# What is accepted and hardly meant.
WARNINGS: t.Dict[str, t.Callable[[str], str]] = {
    "path": _path_warning,
    "sshkey": _path_warning,
    "core_collector": _collector_warning,
    "ssh": _ssh_warning,
    "dracut_args": _dracut_warning,
    "btrfs": lambda value: "is a target that the distributions do not support",
}


def _slot(setting: Setting, rules: Rules) -> str:
    """Return what a line sets, of which there may be one: all targets are one."""
    if setting.key in TARGETS or (setting.key == "dracut_args" and "--mount" in setting.value):
        return "_target"
    if rules.mount and setting.key == "default":
        return "failure_action"
    return setting.key


def _setting_problem(setting: Setting, rules: Rules) -> str:
    """Return what the tooling refuses of one line that sets a known option, or ''."""
    key, value = setting.key, setting.value
    if value == "":
        return "has no value; give it one, or take the line out"
    if key == "ssh":
        return ssh_problem(value) if rules.ssh else "" if "@" in value else "must be user@host"
    if key == "dracut_args" and "--mount" in value and not rules.by_line:
        if value.count("--mount") > 1:
            return "has more than one --mount; leave one"
        device, kind = mount_words(value, rules.mount or "squeezed")
        if rules.mount and not (device and kind):
            return (
                'must have --mount "DEVICE MOUNT-POINT TYPE OPTIONS", with one blank between them'
            )
        if rules.ssh and kind == "ssh":
            return ssh_problem(device)
    return ""


def _line_problems(text: str, rules: Rules) -> t.List[str]:
    """Return what a release that looks at lines as they are refuses."""
    lines = _lines(text)
    mounts = [line for line in lines if re.match(r"dracut_args .*--mount", line)]
    targets = [
        line
        for line in lines
        if re.match(r"raw|ssh[ \t]|nfs|ext[234]|xfs|btrfs|minix|dracut_args .*--mount", line)
    ]
    found = [
        f"line {number}: blanks before an option's name are refused by this release; take them out"
        for number, line in enumerate(lines, start=1)
        if re.match(r"[ \t]+[a-z]", line)
    ]
    if len(targets) > 1:
        found.append(f"{len(targets)} targets are set; leave one")
    if sum(line.count("--mount") for line in mounts) > 1:
        found.append("dracut_args has more than one --mount; leave one")
    if rules.one_path and sum(line.startswith("path ") for line in lines) > 1:
        found.append("path is set more than once; leave one line")
    return found


def _whole_problems(text: str, settings: t.Sequence[Setting], rules: Rules) -> t.List[str]:
    """Return what the tooling refuses of the file's settings together."""
    values = {key: looked_up(text, settings, key, rules) for key in VALUES}
    found = [
        f"{key}={value!r} {check(value)}"
        for key, check in VALUES.items()
        for value in [values[key]]
        if value and key in rules.options and check(value)
    ]
    if values["default"] and values["failure_action"] and "failure_action" in rules.options:
        found.append("default and failure_action are both set; leave failure_action")
    if values["force_rebuild"] == values["force_no_rebuild"] == "1":
        found.append("force_rebuild and force_no_rebuild are both 1; leave one of them")
    return found


def _kind(text: str, settings: t.Sequence[Setting], rules: Rules) -> str:
    """Return which target that takes a stream mkdumprd sees: ssh, raw or ''."""
    if rules.raw_lookups:
        ssh = re.search(r"(?m)^ssh[ \t].*@", text)
        return "ssh" if ssh else "raw" if re.search(r"(?m)^raw", text) else ""
    if "@" in looked_up(text, settings, "ssh", rules):
        return "ssh"
    return "raw" if looked_up(text, settings, "raw", rules) else ""


def _collector_problems(text: str, settings: t.Sequence[Setting], rules: Rules) -> t.List[str]:
    """Return what mkdumprd refuses of core_collector."""
    stream = _kind(text, settings, rules) != ""
    found = []
    for setting in settings:
        if setting.key == "core_collector" and setting.value:
            reason = collector_problem(setting.value, stream, rules)
            if reason:
                found.append(f"line {setting.line}: core_collector={setting.value!r} {reason}")
    return found
