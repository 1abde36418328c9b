# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Public: parse_crashkernel(), Reservation and CrashkernelError. The rest may change in any release.

"""The kernel's crashkernel= grammar. Pure: text and numbers in, values out.

Source of every rule: kernel/crash_reserve.c, lib/cmdline.c (memparse) and lib/kstrtox.c of Linux 7.2, whose
parser was compiled and compared with this one; docs/crashkernel.md says how. 6.17 differs in two corners of
memparse(): a number above 64 bits wraps around there, and a suffix without a number (``M``) is zero.
"""

import re
import typing as t

KEYWORD = "crashkernel="
SUFFIXES = (",high", ",low", ",cma")
MIB = 1 << 20
ROUNDING = 128 * MIB  # bytes; the kernel rounds RAM up to this before it looks at ranges
U64 = (1 << 64) - 1

# Architectures that have CONFIG_ARCH_HAS_GENERIC_CRASHKERNEL_RESERVATION and read the suffixes, by what uname -m
# or a distribution calls them, and the size that the kernel reserves low when ",high" stands alone
# (DEFAULT_CRASH_KERNEL_LOW_SIZE), in bytes. x86_64 takes more than 256 MiB only with a software I/O TLB above
# 248 MiB (swiotlb=, or guests with encrypted memory), which is for the kernel to know.
DEFAULT_LOW = {
    "x86_64": 256 * MIB,
    "amd64": 256 * MIB,
    "i386": 0,
    "i486": 0,
    "i586": 0,
    "i686": 0,
    "aarch64": 128 * MIB,
    "arm64": 128 * MIB,
    "riscv32": 128 * MIB,
    "riscv64": 128 * MIB,
    "loongarch64": 128 * MIB,
}

CMA_SINCE = (6, 17)  # the kernel release that knows ",cma"; an older one takes it for a plain word

_SHIFTS = {letter: 10 * (at // 2 + 1) for at, letter in enumerate("kKmMgGtTpPeE")}
_NUMBER = re.compile(r"0[xX]([0-9a-fA-F]+)|0([0-7]*)|([1-9][0-9]*)")


class CrashkernelError(ValueError):
    """The kernel would reserve nothing; str() says what it would reject and why."""


class Reservation(t.NamedTuple):
    """What the kernel would try to reserve, in bytes."""

    size: int
    offset: int = 0
    low: int = 0
    cma: int = 0
    high: bool = False


class RangeEntry(t.NamedTuple):
    """One ``START-[END]:SIZE`` of a range list, in bytes; an open end is U64."""

    start: int
    end: int
    size: int
    text: str
    after: int  # where in the value the entry ends

    def holds(self, ram: int) -> bool:
        """Say whether a host with this RAM takes the entry.

        :param ram: bytes, as ranges_see() returns them.
        """
        return self.start <= ram < self.end


def memparse(text: str, start: int = 0) -> t.Tuple[int, int]:
    """Read a size as the kernel's memparse() does: any C prefix, one suffix of K M G T P E in either case.

    :returns: the value in bytes, at most 2**64 - 1, and the index after it; that index is ``start`` if there
        is no number.
    """
    match = _NUMBER.match(text, start)
    if match is None:
        return 0, start
    if match.group(1):
        value = int(match.group(1), 16)
    elif match.group(3):
        value = _decimal(match.group(3))
    else:
        value = int(match.group(2) or "0", 8)
    end = match.end()
    shift = _SHIFTS.get(text[end : end + 1])
    if shift is not None:
        value <<= shift
        end += 1
    return min(value, U64), end


def _decimal(digits: str) -> int:
    # Newer Pythons refuse to convert thousands of digits, and the kernel's answer is known long before.
    return int(digits) if len(digits) <= len(str(U64)) else U64


def words(cmdline: str) -> t.List[str]:
    """Return the values of all ``crashkernel=`` words of a command line, in order."""
    return [word[len(KEYWORD) :] for word in cmdline.split() if word.startswith(KEYWORD)]


def occurrences(cmdline: str) -> t.List[str]:
    """Return every value that the kernel finds, in order: it takes ``crashkernel=`` for a word wherever it stands."""
    found = []
    # A C string ends at the first NUL.
    cmdline = cmdline.split("\0", 1)[0]
    start = cmdline.find(KEYWORD)
    while start >= 0:
        found.append(cmdline[start + len(KEYWORD) :].split(" ", 1)[0])
        start = cmdline.find(KEYWORD, start + 1)
    return found


def kind_of(value: str, suffixes: t.Tuple[str, ...] = SUFFIXES) -> str:
    """Return the suffix that a value ends in, or '' for a plain one."""
    return next((suffix for suffix in suffixes if value.endswith(suffix)), "")


def knows_cma(release: str) -> bool:
    """Say whether a kernel takes ``,cma`` for a suffix.

    :param release: as ``uname -r`` prints it; '' takes the newest rules.
    """
    version = re.match(r"(\d+)\.(\d+)", release)
    return version is None or (int(version.group(1)), int(version.group(2))) >= CMA_SINCE


def ranges_see(system_ram: int) -> int:
    """Return the RAM that ranges are compared with: rounded up, in 64 bits. All in bytes."""
    return ((system_ram + ROUNDING - 1) & U64) // ROUNDING * ROUNDING


def parse_crashkernel(cmdline: str, system_ram: int, arch: str = "x86_64") -> Reservation:
    """Return what a kernel with this command line would try to reserve.

    :param cmdline: a whole kernel command line.
    :param system_ram: bytes.
    :param arch: as ``uname -m`` prints it.
    :raises CrashkernelError: the kernel would reserve nothing, for want of the word or because it rejects it.
    :raises ValueError: no host can have this RAM.
    """
    return parse_as(cmdline, system_ram, arch, SUFFIXES)


def parse_as(cmdline: str, system_ram: int, arch: str, suffixes: t.Tuple[str, ...]) -> Reservation:
    """Do what parse_crashkernel() does for a kernel that knows these suffixes alone."""
    if not 0 <= system_ram <= U64:
        raise ValueError(f"the RAM must be a number of bytes from 0 to 2**64 - 1, not {system_ram}")
    generic = arch in DEFAULT_LOW
    # Of each kind the last one counts.
    last = {kind_of(value, suffixes): value for value in occurrences(cmdline)}
    asked = last.get("")
    offset = low = cma = 0
    high = False
    if asked is not None:
        if ":" in asked:
            size, offset = _ranges(asked, system_ram)
        else:
            size, offset = _simple(asked)
    else:
        asked = last.get(",high") if generic else None
        if asked is None:
            raise CrashkernelError(_nothing(cmdline, arch))
        size, low = _high(asked, last.get(",low"), arch)
        high = True
    wanted_cma = last.get(",cma") if generic else None
    if wanted_cma is not None:
        # The kernel warns of what follows the number, but does not look at its own verdict.
        cma = memparse(wanted_cma)[0]
    if size == 0:
        raise CrashkernelError(
            f"{_word(asked)}: no memory is asked for on a host with {_mib(system_ram)} of RAM; "
            + ("add a range that holds it" if ":" in asked else "write a size above zero")
        )
    if size >= system_ram:
        raise CrashkernelError(_too_large(asked, size, system_ram))
    return Reservation(size, offset, low, cma, high)


def check_values(values: t.Sequence[str], ram: int, arch: str, release: str = "") -> Reservation:
    """Check ``crashkernel=`` values that are to be set, and return what they would reserve.

    :param ram: bytes.
    :param release: of the kernel that will read them; '' takes the newest rules.
    :raises CrashkernelError: a boot loader's file could not hold them, or the kernel would reject them.
    """
    for value in values:
        if not re.match(r"[0-9A-Za-z@:,-]+\Z", value):
            raise CrashkernelError(
                f"{value!r} must hold a size or ranges alone, such as 256M or 2G-:256M (without {KEYWORD!r})"
                + _hint(value, next((at for at, char in enumerate(value) if char in "\"'.\t"), 0))
            )
    if not knows_cma(release):
        # The kernel takes it for a plain word, the last one, and rejects it.
        for value in values:
            if value.endswith(",cma"):
                raise CrashkernelError(
                    f"{value!r}: the kernel {release} does not know ',cma', which came with 6.17, "
                    "and would reserve nothing"
                )
    return parse_crashkernel(" ".join(KEYWORD + value for value in values), ram, arch)


def range_entries(value: str) -> t.Iterator[RangeEntry]:
    """Read ``START-[END]:SIZE[,...]`` entry by entry, as far as the caller goes on asking.

    What follows the last entry is left: the kernel looks for an ``@`` in it, and reads nothing else.

    :raises CrashkernelError: the next entry has an error.
    """

    def number(at: int) -> t.Tuple[int, int]:
        result, after = memparse(value, at)
        if after == at:
            raise CrashkernelError(
                f"{_word(value)}: a size is expected at {_rest(value, at)}{_hint(value, at)}{_FORM}"
            )
        return result, after

    def literal(char: str, at: int) -> int:
        if value[at : at + 1] != char:
            raise CrashkernelError(
                f"{_word(value)}: {char!r} is expected at {_rest(value, at)}{_hint(value, at)}{_FORM}"
            )
        return at + 1

    after = -1
    while after < 0 or value[after : after + 1] == ",":
        first = after + 1
        start, at = number(first)
        at = literal("-", at)
        end = U64
        if value[at : at + 1] != ":":
            end, at = number(at)
            if end <= start:
                raise CrashkernelError(
                    f"{_word(value)}: the range {value[first:at]} ends at or before its start; "
                    "swap its bounds, or leave the end out"
                )
        size, after = number(literal(":", at))
        yield RangeEntry(start, end, size, value[first:after], after)


_FORM = "; ranges are written START-[END]:SIZE, such as 2G-8G:256M,8G-:512M"
_SIZE = "; write a size such as 256M, or ranges such as 2G-8G:256M,8G-:512M"


def _mib(size: int) -> str:
    return f"{size // MIB} MiB" if size % MIB == 0 else f"{size} bytes"


def _word(value: str) -> str:
    """Return the word for a message, in one line whatever it holds."""
    word = KEYWORD + value
    return word if word.isprintable() else ascii(word)


def _rest(value: str, at: int) -> str:
    return ascii(value[at:]) if at < len(value) else "its end"


def _hint(value: str, at: int) -> str:
    """Return what people usually mean who write this character at this place."""
    char = value[at : at + 1]
    if value == "auto":
        return " ('auto' is for kernels of EL 8 and older alone)"
    if char == ".":
        return " (the kernel reads no fractions: 1536M, not 1.5G)"
    if char and char in "\"'":
        return " (the kernel does not take quotes away)"
    if char and char in "bBiI" and value[at - 1 : at] in _SHIFTS:
        return " (the unit is one letter: 256M, not 256MB)"
    if char and char in "89":
        return " (a leading 0 makes a number octal)"
    if char == "-" and value.endswith(SUFFIXES):
        return " (ranges take no suffix)"
    if char == "," and value.count(",") > 1 and value.endswith(SUFFIXES):
        return " (a word takes one suffix)"
    if char in ("\t", "\n"):
        return " (only a blank ends a word here)"
    return ""


def _too_large(value: str, size: int, system_ram: int) -> str:
    return (
        f"{_word(value)}: {_mib(size)} is not less than the host's RAM ({_mib(system_ram)}); "
        "ask for less, or start the range above this host"
    )


def _nothing(cmdline: str, arch: str) -> str:
    """Say why there is nothing that the kernel would look at."""
    if KEYWORD not in cmdline:
        return f"there is no {KEYWORD} on the kernel command line; add one, such as {KEYWORD}256M"
    if arch in DEFAULT_LOW:
        return (
            f"no {KEYWORD}SIZE or {KEYWORD}SIZE,high is on the kernel command line: ',low' needs ',high' beside it, "
            "and ',cma' needs either"
        )
    return (
        f"no {KEYWORD}SIZE without a suffix is on the kernel command line: the architecture {arch} does not read "
        "',high' and ',low', only x86, arm64, riscv and loongarch do; write the size alone"
    )


def _simple(value: str) -> t.Tuple[int, int]:
    """Read SIZE[@OFFSET]."""
    size, end = memparse(value)
    if end == 0:
        raise CrashkernelError(
            f"{_word(value)}: a size is expected{_hint(value, 0)}, the kernel reserves nothing{_SIZE}"
        )
    if value[end : end + 1] == "@":
        # The kernel does not look at what follows the offset, nor whether there is one.
        return size, memparse(value, end + 1)[0]
    if end != len(value):
        raise CrashkernelError(
            f"{_word(value)}: unrecognized character {value[end]!a} after the size{_hint(value, end)}, "
            f"the kernel reserves nothing{_SIZE}"
        )
    return size, 0


def _high(value: str, low: t.Optional[str], arch: str) -> t.Tuple[int, int]:
    """Read SIZE,high and the SIZE,low beside it, if there is one."""
    size = _suffixed(value, ",high")
    if size == 0:
        raise CrashkernelError(f"{_word(value)}: the size is zero; write a size above it")
    return size, DEFAULT_LOW[arch] if low is None else _suffixed(low, ",low")


def _suffixed(value: str, suffix: str) -> int:
    """Read SIZE,high or SIZE,low."""
    size, end = memparse(value)
    if end == 0:
        raise CrashkernelError(
            f"{_word(value)}: a size is expected before {suffix!r}{_hint(value, 0)}, "
            f"the kernel reserves nothing; write a size such as 256M{suffix}"
        )
    if value[end:] != suffix:
        raise CrashkernelError(
            f"{_word(value)}: unrecognized character {value[end]!a} before {suffix!r}{_hint(value, end)}, "
            f"the kernel reserves nothing; write a size such as 256M{suffix}"
        )
    return size


def _ranges(value: str, system_ram: int) -> t.Tuple[int, int]:
    """Read ranges and the offset; the first range that holds the RAM wins, the rest is not read."""
    ram = ranges_see(system_ram)
    for entry in range_entries(value):
        if entry.size >= ram:
            raise CrashkernelError(_too_large(value, entry.size, system_ram))
        if entry.holds(ram):
            break
    else:
        return 0, 0
    separator = value.find("@", entry.after)
    if entry.size == 0 or separator < 0:
        return entry.size, 0
    offset, end = memparse(value, separator + 1)
    if end == separator + 1:
        raise CrashkernelError(
            f"{_word(value)}: a size is expected after '@', at {_rest(value, end)}; "
            "write an address such as @64M, or leave the '@' out"
        )
    return entry.size, offset
