# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Public: parse_crashkernel(), Reservation and CrashkernelError. The rest may change in any release.

"""The kernel's crashkernel= grammar. Pure: text and numbers in, values out.

Source of every rule: kernel/crash_reserve.c and lib/cmdline.c (memparse) of Linux 6.17.
"""

import re
import typing as t

KEYWORD = "crashkernel="
SUFFIXES = (",high", ",low", ",cma")
MIB = 1 << 20
ROUNDING = 128 * MIB  # bytes; the kernel rounds RAM up to this before it looks at ranges
U64 = (1 << 64) - 1

# Architectures with CONFIG_ARCH_HAS_GENERIC_CRASHKERNEL_RESERVATION, and the size that the kernel
# reserves low when ",high" stands alone (DEFAULT_CRASH_KERNEL_LOW_SIZE), in bytes. x86_64 takes more
# than 256 MiB only with a software I/O TLB above 248 MiB, which its command line would have to ask for.
DEFAULT_LOW = {
    "x86_64": 256 * MIB,
    "i386": 0,
    "i486": 0,
    "i586": 0,
    "i686": 0,
    "aarch64": 128 * MIB,
    "arm64": 128 * MIB,
    "riscv64": 128 * MIB,
    "loongarch64": 128 * MIB,
}

_SHIFTS = {"k": 10, "m": 20, "g": 30, "t": 40, "p": 50, "e": 60}


class CrashkernelError(ValueError):
    """The kernel would reserve nothing; str() says what it would reject and why."""


class Reservation(t.NamedTuple):
    """What the kernel would try to reserve, in bytes."""

    size: int
    offset: int = 0
    low: int = 0
    cma: int = 0
    high: bool = False


def memparse(text: str, start: int = 0) -> t.Tuple[int, int]:
    """Read a size as the kernel's memparse() does: any C prefix, one suffix of K M G T P E in either case.

    :returns: the value in bytes and the index after it; that index is ``start`` if there is no number.
    """
    match = re.compile(r"0[xX]([0-9a-fA-F]+)|0([0-7]*)|([1-9][0-9]*)").match(text, start)
    if match is None:
        return 0, start
    if match.group(1):
        value = int(match.group(1), 16)
    elif match.group(3):
        value = int(match.group(3))
    else:
        value = int(match.group(2) or "0", 8)
    end = match.end()
    shift = _SHIFTS.get(text[end : end + 1].lower())
    if shift is not None:
        value <<= shift
        end += 1
    return value & U64, end


def words(cmdline: str) -> t.List[str]:
    """Return the values of all ``crashkernel=`` words of a command line, in order."""
    return [word[len(KEYWORD) :] for word in cmdline.split() if word.startswith(KEYWORD)]


def parse_crashkernel(cmdline: str, system_ram: int, arch: str = "x86_64") -> Reservation:
    """Return what a kernel with this command line would try to reserve.

    :param cmdline: a whole kernel command line.
    :param system_ram: bytes.
    :param arch: as ``uname -m`` prints it.
    :raises CrashkernelError: the kernel would reserve nothing, for want of the word or because it rejects it.
    """
    generic = arch in DEFAULT_LOW
    plain = _last(cmdline, None)
    offset = low = cma = 0
    high = False
    if plain is not None:
        if ":" in plain:
            size, offset = _ranges(plain, system_ram)
        else:
            size, offset = _simple(plain)
    else:
        wanted_high = _last(cmdline, ",high") if generic else None
        if wanted_high is None:
            if _last(cmdline, ",low") is not None or KEYWORD in cmdline:
                raise CrashkernelError(
                    f"no {KEYWORD}SIZE that this architecture ({arch}) reads: ',low' needs ',high' beside it, "
                    "',cma' needs a plain SIZE, and only x86, arm64, riscv and loongarch know the suffixes"
                )
            raise CrashkernelError(f"there is no {KEYWORD} on the kernel command line")
        size = _suffixed(wanted_high, ",high")
        if size == 0:
            raise CrashkernelError(f"{KEYWORD}{wanted_high}: the size is zero")
        wanted_low = _last(cmdline, ",low")
        low = DEFAULT_LOW[arch] if wanted_low is None else _suffixed(wanted_low, ",low")
        high = True
    if generic:
        wanted_cma = _last(cmdline, ",cma")
        if wanted_cma is not None:
            try:
                cma = _suffixed(wanted_cma, ",cma")
            except CrashkernelError:
                # The kernel warns and goes on without; the plain reservation holds.
                cma = 0
    if size == 0:
        raise CrashkernelError(
            f"{KEYWORD}{plain}: no memory is asked for on a host with {_mib(system_ram)} of RAM"
        )
    if size >= system_ram:
        raise CrashkernelError(
            f"{KEYWORD}{plain if plain is not None else wanted_high}: {_mib(size)} is not less than the host's RAM"
            f" ({_mib(system_ram)})"
        )
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
            )
    version = re.match(r"(\d+)\.(\d+)", release)
    if version and (int(version.group(1)), int(version.group(2))) < (6, 17):
        # Before 6.17 (which added the suffix) the kernel takes it for a plain word, the last one, and rejects it.
        for value in values:
            if value.endswith(",cma"):
                raise CrashkernelError(
                    f"{value!r}: the kernel {release} does not know ',cma', which came with 6.17, "
                    "and would reserve nothing"
                )
    return parse_crashkernel(" ".join(KEYWORD + value for value in values), ram, arch)


def _mib(size: int) -> str:
    return f"{size / MIB:g} MiB" if size % MIB == 0 else f"{size} bytes"


def _last(cmdline: str, suffix: t.Optional[str]) -> t.Optional[str]:
    """Return the value that get_last_crashkernel() picks: the last of its kind, found as a substring."""
    found = None
    start = cmdline.find(KEYWORD)
    while start >= 0:
        end = cmdline.find(" ", start)
        value = cmdline[start : len(cmdline) if end < 0 else end]
        if value.endswith(SUFFIXES) if suffix is None else value.endswith(suffix):
            if suffix is not None:
                found = value[len(KEYWORD) :]
        elif suffix is None:
            found = value[len(KEYWORD) :]
        start = cmdline.find(KEYWORD, start + 1)
    return found


def _simple(value: str) -> t.Tuple[int, int]:
    """Read SIZE[@OFFSET]."""
    size, end = memparse(value)
    if end == 0:
        raise CrashkernelError(
            f"{KEYWORD}{value}: a size is expected, such as 256M; the kernel reserves nothing"
        )
    if value[end : end + 1] == "@":
        # The kernel does not look at what follows the offset.
        return size, memparse(value, end + 1)[0]
    if end != len(value):
        raise CrashkernelError(
            f"{KEYWORD}{value}: unrecognized character {value[end]!r} after the size; the kernel reserves nothing"
        )
    return size, 0


def _suffixed(value: str, suffix: str) -> int:
    """Read SIZE,high or SIZE,low or SIZE,cma."""
    size, end = memparse(value)
    if end == 0:
        raise CrashkernelError(f"{KEYWORD}{value}: a size is expected before {suffix!r}")
    if value[end:] != suffix:
        raise CrashkernelError(
            f"{KEYWORD}{value}: unrecognized character {value[end]!r} before {suffix!r}"
        )
    return size


def _ranges(value: str, system_ram: int) -> t.Tuple[int, int]:
    """Read START-[END]:SIZE[,...][@OFFSET]; the first range that holds the RAM wins, the rest is not read."""
    total = (system_ram + ROUNDING - 1) // ROUNDING * ROUNDING

    def number(at: int) -> t.Tuple[int, int]:
        result, after = memparse(value, at)
        if after == at:
            raise CrashkernelError(
                f"{KEYWORD}{value}: a size is expected at {value[at:] or 'the end'!r}"
            )
        return result, after

    def literal(char: str, at: int) -> int:
        if value[at : at + 1] != char:
            raise CrashkernelError(
                f"{KEYWORD}{value}: {char!r} is expected at {value[at:] or 'the end'!r}"
            )
        return at + 1

    at = 0
    size = 0
    while True:
        start, at = number(at)
        at = literal("-", at)
        end = U64
        if value[at : at + 1] != ":":
            end, at = number(at)
            if end <= start:
                raise CrashkernelError(f"{KEYWORD}{value}: a range ends at or before its start")
        at = literal(":", at)
        entry, at = number(at)
        if entry >= total:
            raise CrashkernelError(
                f"{KEYWORD}{value}: {_mib(entry)} is not less than the host's RAM ({_mib(system_ram)})"
            )
        if start <= total < end:
            size = entry
            break
        if value[at : at + 1] != ",":
            break
        at += 1
    if size == 0:
        return 0, 0
    separator = value.find("@", at)
    if separator < 0:
        return size, 0
    return size, number(separator + 1)[0]
