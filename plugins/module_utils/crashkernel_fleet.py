# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""One crashkernel= value for many hosts: what is wrong with it, and how to make one. Pure.

A kernel stops reading a range list at the range that holds its RAM, so a host says nothing of the errors
behind it: lint() reads all of it, for each host and for hosts that nobody has listed.
"""

import re
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.crashkernel import (
    CMA_SINCE,
    DEFAULT_LOW,
    KEYWORD,
    MIB,
    ROUNDING,
    SUFFIXES,
    U64,
    CrashkernelError,
    RangeEntry,
    kind_of,
    knows_cma,
    memparse,
    occurrences,
    parse_as,
    parse_crashkernel,
    range_entries,
    ranges_see,
)

# Where the kernel lets a reservation start (CRASH_ALIGN of arch/*/include/asm/crash_reserve.h), in bytes.
# An architecture that is not here takes 1 MiB: s390x needs just that, ppc64le a page.
ALIGNMENT = {
    "x86_64": 16 * MIB,
    "amd64": 16 * MIB,
    "i386": 16 * MIB,
    "i486": 16 * MIB,
    "i586": 16 * MIB,
    "i686": 16 * MIB,
    "aarch64": 2 * MIB,
    "arm64": 2 * MIB,
    "riscv32": 4 * MIB,
    "riscv64": 2 * MIB,
    "loongarch64": 2 * MIB,
}

# The first release whose architecture code asks the parser for ",cma"; the others read it and drop it.
_CMA_USED = {
    "x86_64": (6, 17),
    "amd64": (6, 17),
    "i386": (6, 17),
    "i486": (6, 17),
    "i586": (6, 17),
    "i686": (6, 17),
    "aarch64": (7, 3),
    "arm64": (7, 3),
    "riscv32": (7, 3),
    "riscv64": (7, 3),
}

# A word that is a value without the keyword. A lone number may be a runlevel.
_BARE = re.compile(
    r"[0-9][0-9A-Za-z]*([KMGkmg]|-[0-9A-Za-z]*:[0-9A-Za-z:,-]*)(@[0-9A-Za-z]*)?(,high|,low|,cma)?\Z"
)

_TOP = U64 // ROUNDING + 1  # above every RAM, in units of ROUNDING

Intervals = t.List[t.Tuple[int, int]]  # [from, to), in units of ROUNDING


class FleetError(ValueError):
    """What was given is no fleet, or no value suits it; str() is for the user."""


class FleetHost(t.NamedTuple):
    """A host that is to live with a value; RAM in bytes, as the kernel counts it."""

    name: t.Optional[str]
    ram: int
    arch: str


class Need(t.NamedTuple):
    """A host and what it needs, in bytes."""

    name: t.Optional[str]
    ram: int
    size: int

    def __str__(self) -> str:
        return f"{self.name or 'a host'} ({_amount(self.ram)} of RAM)"


class Finding(t.NamedTuple):
    """What is wrong with a value; host and RAM are None if it is no listed host's own problem."""

    host: t.Optional[str]
    ram: t.Optional[int]
    severity: str
    message: str
    entry: t.Optional[str]


def error(message: str, entry: t.Optional[str]) -> Finding:
    return Finding(None, None, "error", message, entry)


def warning(message: str, entry: t.Optional[str]) -> Finding:
    return Finding(None, None, "warning", message, entry)


def fleet_hosts(hosts: t.Any, arch: str) -> t.List[FleetHost]:
    """Return the hosts of a list of RAM in bytes, or of a mapping from names to it.

    :param arch: of every host that does not say its own.
    :raises FleetError: it is something else.
    """
    result = []
    for label, name, spec in _named(hosts):
        fields = spec if isinstance(spec, t.Mapping) else {"ram": spec}
        _only(fields, ("name", "ram", "arch"), label)
        host_arch = fields.get("arch", arch)
        if not isinstance(host_arch, str):
            raise FleetError(f"{label}: the architecture must be a string, not {_type(host_arch)}")
        result.append(FleetHost(name, _bytes(fields, "ram", label), host_arch))
    return result


def needs(hosts: t.Any) -> t.List[Need]:
    """Return the hosts of a list of ``{ram, size}`` in bytes, or of a mapping from names to that.

    :raises FleetError: it is something else.
    """
    result = []
    for label, name, spec in _named(hosts):
        if not isinstance(spec, t.Mapping):
            raise FleetError(
                f"{label}: a mapping with 'ram' and 'size' is needed, not {_type(spec)}"
            )
        _only(spec, ("name", "ram", "size"), label)
        result.append(Need(name, _bytes(spec, "ram", label), _bytes(spec, "size", label)))
    return result


def _named(hosts: t.Any) -> t.List[t.Tuple[str, t.Optional[str], t.Any]]:
    """Return a label for messages, the name if there is one, and the rest, for each host."""
    if isinstance(hosts, t.Mapping):
        return [(str(name), str(name), spec) for name, spec in hosts.items()]
    if not isinstance(hosts, (list, tuple)):
        raise FleetError(f"the hosts must be a list or a mapping, not {_type(hosts)}")
    result: t.List[t.Tuple[str, t.Optional[str], t.Any]] = []
    for number, spec in enumerate(hosts, 1):
        name = spec.get("name") if isinstance(spec, t.Mapping) else None
        if name is not None and not isinstance(name, str):
            raise FleetError(f"host {number}: the name must be a string, not {_type(name)}")
        result.append((name or f"host {number}", name, spec))
    return result


def _only(fields: t.Mapping[t.Any, t.Any], known: t.Sequence[str], label: str) -> None:
    unknown = sorted(str(key) for key in fields if key not in known)
    if unknown:
        raise FleetError(
            f"{label}: {', '.join(unknown)} is not known here; known are {', '.join(known)}"
        )


def _bytes(fields: t.Mapping[t.Any, t.Any], key: str, label: str) -> int:
    value = fields.get(key)
    if isinstance(value, bool) or not isinstance(value, int):
        raise FleetError(
            f"{label}: '{key}' must be a number of bytes, not {_type(value)} (a text becomes one with the filter int)"
        )
    if not 0 < value <= U64:
        raise FleetError(f"{label}: '{key}' must be above 0 and below 2**64 bytes, not {value}")
    return int(value)


def _type(value: t.Any) -> str:
    return "nothing" if value is None else type(value).__name__


def command_line(value: t.Any) -> str:
    """Return the kernel command line that a value stands for.

    :param value: values or words, or a whole command line, as one string or as a list. If ``crashkernel=``
        stands nowhere, each word is meant to follow one.
    :raises FleetError: it is something else.
    """
    given = [value] if isinstance(value, str) else value
    if not isinstance(given, (list, tuple)) or not all(isinstance(word, str) for word in given):
        raise FleetError(
            f"a crashkernel= value is needed, as a string or as a list of strings, not {_type(value)}"
        )
    text = " ".join(given)
    if KEYWORD in text:
        return text
    return " ".join(KEYWORD + word for word in text.split(" ") if word)


class Value(t.NamedTuple):
    """A value as a kernel release sees it."""

    cmdline: str
    release: str
    suffixes: t.Tuple[str, ...]
    last: t.Dict[str, str]  # of each kind ('' is the plain one) the value that counts

    @property
    def ranges(self) -> t.Optional[str]:
        plain = self.last.get("")
        return plain if plain is not None and ":" in plain else None


def lint(value: t.Any, hosts: t.Any, arch: str = "x86_64", release: str = "") -> t.List[Finding]:
    """Return what is wrong with a ``crashkernel=`` value on a fleet, errors first.

    :param value: as command_line() takes it.
    :param hosts: as fleet_hosts() takes it; without any, only what is wrong everywhere is found.
    :param release: the oldest kernel that will read the value; '' takes the newest rules.
    :raises FleetError: an argument is of the wrong type.
    """
    cmdline = command_line(value)
    suffixes = SUFFIXES if knows_cma(release) else (",high", ",low")
    last = {kind_of(found, suffixes): found for found in occurrences(cmdline)}
    seen = Value(cmdline, release, suffixes, last)
    listed = fleet_hosts(hosts, arch)
    archs = sorted({host.arch for host in listed}) or [arch]
    findings = []
    for host in dict.fromkeys(listed):
        findings += _host_findings(seen, host)
    if seen.ranges is not None:
        findings += _range_findings(seen.ranges, findings, listed)
    elif not listed:
        findings += _host_findings(seen, FleetHost(None, U64, arch))
    findings += _word_findings(seen)
    for value_text, number, text in _sizes(seen):
        findings += _number_findings(value_text, number, text)
    for known in archs:
        findings += _arch_findings(seen, known)
    if not listed:
        findings = [finding._replace(host=None, ram=None) for finding in findings]
    return sorted(dict.fromkeys(findings), key=lambda finding: finding.severity)


def _host_findings(seen: Value, host: FleetHost) -> t.List[Finding]:
    """Return what is wrong on one host."""
    word = seen.last.get("", seen.last.get(",high"))
    entry, fate = (word, "") if seen.ranges is None else _fate(seen.ranges, host.ram)
    severity = "error"
    try:
        meant = parse_as(seen.cmdline, host.ram, host.arch, seen.suffixes)
    except CrashkernelError as exc:
        message = str(exc)
        if fate == "hole":
            severity = "warning"
            message = f"no range holds the {_amount(host.ram)} of this host, so its kernel reserves nothing; add one"
        elif fate == "zero":
            severity = "warning"
            message = f"{entry} asks for no memory, so the kernel of this host reserves nothing"
    else:
        step = ALIGNMENT.get(host.arch, 1)
        if host.arch not in DEFAULT_LOW or meant.offset % step == 0:
            return []
        message = (
            f"the offset {_amount(meant.offset)} is no multiple of {_amount(step)}, and a kernel for {host.arch} finds "
            "no place there; leave the offset out, or round it"
        )
    return [Finding(host.name, host.ram, severity, message, entry)]


def _fate(value: str, system_ram: int) -> t.Tuple[t.Optional[str], str]:
    """Return the entry of a range list that decides a host's fate, and how.

    The fate is 'taken' (what follows decides), 'zero', 'size' (an entry asks for too much), 'syntax' or
    'hole' (no entry holds the host).

    :param system_ram: bytes.
    """
    ram = ranges_see(system_ram)
    at = 0
    too_large = None
    try:
        for entry in range_entries(value):
            at = entry.after + 1
            if entry.size >= ram:
                too_large = too_large or entry.text
            if entry.holds(ram):
                if too_large:
                    return too_large, "size"
                return entry.text, "taken" if entry.size else "zero"
    except CrashkernelError:
        return (too_large, "size") if too_large else (_broken(value, at), "syntax")
    return None, "hole"


def _broken(value: str, at: int) -> str:
    return value[at:].split(",", 1)[0]


def _range_findings(
    value: str, found: t.Sequence[Finding], hosts: t.Sequence[FleetHost]
) -> t.List[Finding]:
    """Return what is wrong with a range list on hosts that are not listed, and what looks unintended.

    :param found: what the listed hosts hit already.
    """
    hit = {finding.entry for finding in found if finding.severity == "error"}
    entries: t.List[RangeEntry] = []
    findings = []
    try:
        for entry in range_entries(value):
            entries.append(entry)
    except CrashkernelError as exc:
        broken = _broken(value, entries[-1].after + 1 if entries else 0)
        if broken not in hit:
            findings.append(error(f"{exc} (no listed host reads as far as this)", broken))
        return findings + _entry_findings(entries, hit)
    end = entries[-1].after
    if _lacks_offset(value, end) and not any(
        _fate(value, host.ram)[1] == "taken" for host in hosts
    ):
        message = "a size is expected after '@', such as @64M (no listed host reads as far as this)"
        findings.append(error(f"{KEYWORD}{value}: {message}", value))
    findings += _tail_findings(value, end)
    findings += _entry_findings(entries, hit)
    return findings + _hole_findings(entries, hosts)


def _entry_findings(
    entries: t.Sequence[RangeEntry], hit: t.Set[t.Optional[str]]
) -> t.List[Finding]:
    """Return what is wrong with entries that are written well.

    :param hit: the entries that a listed host has an error with already.
    """
    findings = []
    taken: Intervals = []
    for at, entry in enumerate(entries):
        largest = max(entries[: at + 1], key=lambda one: one.size)
        held = _held(entry)
        free = _free(held, taken)
        if not free:
            findings.append(_unreachable(entry, held))
            continue
        if free != [held]:
            findings.append(_overlap(entry, _free(held, free)))
        taken.append(held)
        too_large = [] if largest.text in hit else _size_findings(entry, largest, free)
        # Once for each size is enough.
        hit.update(finding.entry for finding in too_large)
        findings += too_large
    return findings


def _held(entry: RangeEntry) -> t.Tuple[int, int]:
    return _units(entry.start), _units(entry.end)


def _units(ram: int) -> int:
    """Return the first RAM, as ranges see it, that is not below this bound, in units of ROUNDING."""
    # No host is smaller than one unit.
    return max(1, (ram + ROUNDING - 1) // ROUNDING)


def _free(held: t.Tuple[int, int], taken: Intervals) -> Intervals:
    """Return the parts of an interval that no other one has."""
    at, end = held
    parts = []
    for first, last in sorted(taken):
        if first >= end:
            break
        if first > at:
            parts.append((at, first))
        at = max(at, last)
    if at < end:
        parts.append((at, end))
    return parts


def _unreachable(entry: RangeEntry, held: t.Tuple[int, int]) -> Finding:
    if held[0] >= held[1]:
        return warning(
            f"{entry.text} holds no host: the kernel rounds RAM up to a multiple of {_amount(ROUNDING)} first; "
            "widen the range or leave it out",
            entry.text,
        )
    return warning(
        f"{entry.text} is never reached: the ranges before it hold all of its hosts, and the first match wins; "
        "leave it out, or put it first",
        entry.text,
    )


def _overlap(entry: RangeEntry, shared: Intervals) -> Finding:
    return warning(
        f"{entry.text} overlaps a range before it, which wins on hosts with {_spans(shared)}; make the ranges meet",
        entry.text,
    )


def _size_findings(entry: RangeEntry, largest: RangeEntry, free: Intervals) -> t.List[Finding]:
    """Return whether hosts that take an entry fail, for its own size or for a larger one that they read before it."""
    smallest, biggest = free[0][0] * ROUNDING, (free[-1][1] - 1) * ROUNDING
    if smallest > largest.size:
        return []
    reads = "takes it" if largest is entry else f"reads it on the way to {entry.text}"
    if biggest <= largest.size:
        make, who = error, f"no host that {reads} has more RAM than that"
    else:
        make, who = warning, f"a host with {_amount(smallest)} of RAM {reads} too"
    return [
        make(
            f"{largest.text} asks for {_amount(largest.size)}, but {who}: such a kernel would reserve nothing (no listed "
            "host is concerned); ask for less, or start the range above such hosts",
            largest.text,
        )
    ]


def _hole_findings(
    entries: t.Sequence[RangeEntry], hosts: t.Sequence[FleetHost]
) -> t.List[Finding]:
    """Return the RAM between and above the ranges that none of them holds, if no listed host has it."""
    taken = [_held(entry) for entry in entries]
    holes = _free((min(taken)[0], _TOP), taken)
    seen = [ranges_see(host.ram) // ROUNDING for host in hosts]
    return [
        warning(
            f"no range holds hosts with {_spans([hole])}, so they would reserve nothing; let the ranges meet, and "
            "leave the end of the last one open",
            None,
        )
        for hole in holes
        if not any(hole[0] <= unit < hole[1] for unit in seen)
    ]


def _tail_findings(value: str, at: int) -> t.List[Finding]:
    """Return what stands behind the last size of a plain value and is no offset: the kernel skips it."""
    junk, separator, rest = value[at:].partition("@")
    if separator:
        rest = rest[memparse(rest)[1] :]
    return [
        warning(
            f"the kernel does not read {text!r} in {KEYWORD}{value}; correct it or leave it out",
            value,
        )
        for text in (junk, rest)
        if text
    ]


def _lacks_offset(value: str, at: int) -> bool:
    """Say whether an ``@`` stands behind the last size without a number, which a range list may not have."""
    junk, separator, rest = value[at:].partition("@")
    return bool(separator) and memparse(rest)[1] == 0


def _word_findings(seen: Value) -> t.List[Finding]:
    """Return what looks unintended about the words."""
    findings = []
    plain = seen.last.get("")
    for found in occurrences(seen.cmdline):
        kind = kind_of(found, seen.suffixes)
        winner = seen.last[kind]
        if found != winner and KEYWORD not in found:
            message = f"of several {kind or 'plain'} words the last one counts ({winner}); keep one"
            findings.append(warning(f"{found} is not read: {message}", found))
        if kind in (",high", ",low") and plain is not None:
            message = f"is not read beside {plain}, which has no suffix; keep either"
            findings.append(warning(f"{found} {message}", found))
        if found.endswith(",cma") and kind != ",cma":
            message = (
                f"the kernel {seen.release} takes it for a plain word, as ',cma' came with "
                f"{CMA_SINCE[0]}.{CMA_SINCE[1]}; leave it out, unless the distribution has brought it back"
            )
            findings.append(warning(f"{found}: {message}", found))
    if plain is not None and seen.ranges is None:
        end = memparse(plain)[1]
        # Anything else but an offset is an error, which the hosts tell.
        if plain[end : end + 1] == "@":
            findings += _tail_findings(plain, end)
            if _lacks_offset(plain, end):
                findings.append(
                    warning(f"{plain}: no address follows the '@'; leave it out", plain)
                )
    for word in seen.cmdline.split(" "):
        if word.rfind(KEYWORD) > 0:
            message = (
                f"the kernel takes {KEYWORD} inside of other words for its own; correct the word"
            )
            findings.append(warning(f"{word}: {message}", word))
        elif KEYWORD not in word and _BARE.match(word):
            message = f"is not read: put {KEYWORD} before it too, as before the others"
            findings.append(warning(f"{word} {message}", word))
    return findings


def _sizes(seen: Value) -> t.List[t.Tuple[str, int, str]]:
    """Return the words that count, and each number in them, with its text."""
    result = []
    for value in seen.last.values():
        # A number after "@" is an address.
        for match in re.finditer(r"(?<![0-9A-Za-z@])[0-9][0-9A-Za-z]*", value):
            result.append((value, memparse(match.group())[0], match.group()))
    return result


def _number_findings(value: str, number: int, text: str) -> t.List[Finding]:
    """Return what looks unintended about a number."""
    if number == U64:
        return [
            warning(
                f"{text} in {KEYWORD}{value} does not fit into 64 bits: newer kernels take the largest number, older "
                "ones what is left over; write a smaller one",
                value,
            )
        ]
    if re.match(r"0[0-9]", text) and number:
        return [
            warning(
                f"{text} in {KEYWORD}{value} is octal for its leading 0, and means {_amount(number)}; leave the 0 out",
                value,
            )
        ]
    if 0 < number < MIB:
        return [
            warning(
                f"{text} in {KEYWORD}{value} means {_amount(number)}; add a unit such as M", value
            )
        ]
    return []


def _arch_findings(seen: Value, arch: str) -> t.List[Finding]:
    """Return what an architecture makes of the words."""
    findings = []
    for kind, value in seen.last.items():
        if kind == ",cma" and arch in ("ppc64", "ppc64le"):
            message = "reserved by newer kernels alone (7.2 does), and never with fadump; do not count on it"
            findings.append(warning(f"{value}: on {arch} this is {message}", value))
        elif kind and arch not in DEFAULT_LOW:
            findings.append(
                warning(
                    f"{value} is not read on {arch}, which knows no {kind}; leave it out", value
                )
            )
        elif kind == ",cma":
            findings += _cma_findings(value, seen.release, arch)
        elif kind != ",low":
            findings += _alignment_findings(value, arch)
    return findings


def _cma_findings(value: str, release: str, arch: str) -> t.List[Finding]:
    size, end = memparse(value)
    findings = []
    if value[end:] != ",cma" or not size:
        what = f"and takes {_amount(size)}" if size else "and reserves nothing for it"
        findings.append(
            warning(f"{value}: the kernel warns of it {what}; write a size such as 512M,cma", value)
        )
    since = _CMA_USED.get(arch)
    version = re.match(r"(\d+)\.(\d+)", release)
    if since is None:
        findings.append(
            warning(f"{value}: kernels for {arch} read ',cma' and reserve nothing for it", value)
        )
    elif since > CMA_SINCE and (
        version is None or (int(version.group(1)), int(version.group(2))) < since
    ):
        findings.append(
            warning(
                f"{value}: kernels for {arch} before {since[0]}.{since[1]} read ',cma' and reserve nothing for it",
                value,
            )
        )
    return findings


def _alignment_findings(value: str, arch: str) -> t.List[Finding]:
    """Return the sizes that leave a gap before the next place where a reservation may start."""
    step = ALIGNMENT.get(arch, MIB)
    sizes = [] if ":" in value else [(memparse(value)[0], value)]
    try:
        for entry in range_entries(value) if ":" in value else ():
            sizes.append((entry.size, entry.text))
    except CrashkernelError:
        # Told elsewhere.
        pass
    return [
        warning(
            f"{text}: a kernel for {arch} starts the reservation at a multiple of {_amount(step)}; "
            f"{_short(_up(size, step))} fits into the same place",
            text,
        )
        for size, text in sizes
        if size >= MIB and size % step and size < U64 - step
    ]


class Level(t.NamedTuple):
    """Hosts that the same range would serve, all in bytes."""

    first: int  # the smallest RAM, as ranges see it
    size: int
    hosts: int  # how many
    host: Need  # the one with the least RAM


def for_fleet(hosts: t.Sequence[Need], arch: str = "x86_64", max_ranges: int = 8) -> str:
    """Return a range list that gives each host at least what it needs, and little more.

    Sizes never fall as RAM grows, so that a host that is not listed gets what smaller ones need. Where more than
    ``max_ranges`` would be needed, those ranges become one that cost the fleet the least memory.

    :raises FleetError: no range list can do that.
    """
    if not hosts:
        raise FleetError("there is no host to find a value for; list one at least")
    if max_ranges < 1:
        raise FleetError(f"max_ranges must be 1 or more, not {max_ranges}")
    levels = _levels(hosts, ALIGNMENT.get(arch, MIB))
    groups = _merge(levels, max_ranges)
    entries = []
    for at, (first, size) in enumerate(groups):
        end = _short(groups[at + 1][0]) if at + 1 < len(groups) else ""
        entries.append(f"{_short(first)}-{end}:{_short(size)}")
    value = ",".join(entries)
    for host in hosts:
        # The parser has the last word.
        if parse_crashkernel(KEYWORD + value, host.ram, arch).size < host.size:
            raise FleetError(f"{host} would get less than {_amount(host.size)} from {value}")
    return value


def _levels(hosts: t.Sequence[Need], step: int) -> t.List[Level]:
    """Return the fewest ranges that give every host no more than it and its smaller neighbours need."""
    levels: t.List[Level] = []
    size = 0
    for host in sorted(hosts, key=lambda host: (ranges_see(host.ram), -host.size)):
        needed = _up(host.size, step)
        if needed >= host.ram:
            rounded = (
                f", {_amount(needed)} when rounded for the architecture,"
                if needed != host.size
                else ""
            )
            raise FleetError(
                f"{host}: {_amount(host.size)}{rounded} is not less than its RAM, and the kernel would "
                "reserve nothing; ask for less, or leave the host out"
            )
        size = max(size, needed)
        if size >= host.ram:
            raise FleetError(
                f"{host} cannot live with {_amount(size)}, which a host needs that the kernel cannot tell from it: it "
                f"rounds RAM up to a multiple of {_amount(ROUNDING)}; leave one of them out"
            )
        if levels and levels[-1].size == size:
            level = levels.pop()
            least = min(level.host, host, key=lambda one: one.ram)
            levels.append(Level(level.first, size, level.hosts + 1, least))
        else:
            levels.append(Level(ranges_see(host.ram), size, 1, host))
    return levels


def _merge(levels: t.Sequence[Level], most: int) -> t.List[t.Tuple[int, int]]:
    """Return the start and the size of at most so many ranges, those that reserve the least in all."""
    # best[n] for the first levels so far: the memory reserved by n ranges, and where the last of them begins.
    ends: t.List[t.Dict[int, t.Tuple[int, int]]] = [{0: (0, 0)}]
    for end in range(1, len(levels) + 1):
        best: t.Dict[int, t.Tuple[int, int]] = {}
        size = levels[end - 1].size
        count = 0
        for begin in range(end - 1, -1, -1):
            level = levels[begin]
            if size >= level.host.ram:
                # Nor could a smaller host live with it.
                break
            count += level.hosts
            for used, (spent, _where) in ends[begin].items():
                cost = spent + size * count
                if used < most and (used + 1 not in best or cost < best[used + 1][0]):
                    best[used + 1] = cost, begin
        ends.append(best)
    if not ends[-1]:
        raise FleetError(
            f"max_ranges {most} is too few: with fewer ranges than {_fewest(levels)}, a host would be asked for all "
            "of its RAM"
        )
    used = min(ends[-1], key=lambda number: (ends[-1][number][0], number))
    groups = []
    end = len(levels)
    while end:
        begin = ends[end][used][1]
        groups.append((levels[begin].first, levels[end - 1].size))
        end, used = begin, used - 1
    return groups[::-1]


def _fewest(levels: t.Sequence[Level]) -> int:
    """Return how few ranges could do: from the top, each as wide as its smallest host allows."""
    ranges = 0
    size = 0
    for level in reversed(levels):
        if not size or size >= level.host.ram:
            ranges += 1
            size = level.size
    return ranges


def _up(number: int, step: int) -> int:
    return (number + step - 1) // step * step


def _short(size: int) -> str:
    """Return a number of bytes as the kernel reads it."""
    for letter, shift in (("T", 40), ("G", 30), ("M", 20), ("K", 10)):
        if size and size % (1 << shift) == 0:
            return f"{size >> shift}{letter}"
    return str(size)


def _amount(size: int) -> str:
    """Return a number of bytes for a person."""
    for unit, shift in (("TiB", 40), ("GiB", 30), ("MiB", 20)):
        if size >= 1 << shift and size % (1 << shift) == 0:
            return f"{size >> shift} {unit}"
    return f"{size} bytes"


def _spans(parts: Intervals) -> str:
    """Return what RAM, in units of ROUNDING, lies in these intervals."""
    return " and ".join(
        f"{_amount(first * ROUNDING)} of RAM or more"
        if end == _TOP
        else f"{_amount(first * ROUNDING)} of RAM or more but less than {_amount(end * ROUNDING)}"
        for first, end in parts
    )
