# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""How much memory to reserve. Pure: figures in, a crashkernel= value out.

Two answers: what a distribution sets by itself (a table), and what a host needs (a sum of parts, each with a name).

Sources of the table: the GRUB snippets of kdump-tools 1.6.8 to 1.10.9 (Debian) and 1.6.7 to 1.10.7ubuntu3 (Ubuntu);
kdump-lib.sh of kexec-tools and kdump-utils from 2021-02 to v1.0.61 (Enterprise Linux, Fedora). Sources of the parts
are beside each of them.
"""

import re
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.crashkernel import (
    MIB,
    CrashkernelError,
    parse_crashkernel,
)

Facts = t.Mapping[str, t.Any]


class Additions(t.NamedTuple):
    """What makes a distribution's default larger on some hosts."""

    page_64k: bool = False  # the kernel has pages of 64 KiB (arm64)
    encrypted: bool = (
        False  # AMD's memory encryption is active, of the host (SME) or of a guest (SEV)
    )
    mlx5: bool = False  # the driver of Mellanox's network cards is loaded
    smmu: bool = False  # an Arm system MMU is there
    fadump: bool = False  # firmware-assisted dump (ppc64le)


Version = t.Tuple[int, int]

_DEBIAN_LONG = "2G-4G:320M,4G-32G:512M,32G-64G:1024M,64G-128G:2048M,128G-:4096M"
_PPC = "2G-4G:384M,4G-16G:512M,16G-64G:1G,64G-128G:2G,128G-:4G"
_FADUMP = (
    "4G-16G:768M,16G-64G:1G,64G-128G:2G,128G-1T:4G,1T-2T:6G,2T-4T:12G,"
    "4T-8T:20G,8T-16T:36G,16T-32T:64G,32T-64T:128G,64T-:180G"
)
_ROLLING: Version = (10**6, 0)  # no VERSION_ID: Debian testing and sid

# (family, first release with it, architecture, value): the newest first for each architecture.
_DISTRO: t.List[t.Tuple[str, Version, str, str]] = [
    ("debian", (13, 0), "x86_64", "512M-:192M"),
    ("debian", (13, 0), "s390x", "512M-:192M"),
    ("debian", (11, 0), "x86_64", "384M-:128M"),
    ("debian", (11, 0), "s390x", "384M-:128M"),
    ("debian", (12, 0), "aarch64", _DEBIAN_LONG),
    ("debian", (12, 0), "ppc64le", _DEBIAN_LONG),
    ("ubuntu", (24, 4), "x86_64", _DEBIAN_LONG),
    ("ubuntu", (24, 4), "aarch64", _DEBIAN_LONG),
    ("ubuntu", (24, 4), "ppc64le", _DEBIAN_LONG),
    ("ubuntu", (24, 4), "s390x", _DEBIAN_LONG),
    ("ubuntu", (24, 4), "riscv64", _DEBIAN_LONG),
    ("ubuntu", (20, 4), "x86_64", "512M-:192M"),
    ("ubuntu", (22, 4), "s390x", _DEBIAN_LONG),
]

# The same for Enterprise Linux and Fedora, whose kdumpctl computes it: (what, first EL release, first Fedora release,
# value). An EL 8 kernel has the values inside and takes 'auto' for them; written out they mean the same.
_EL: t.List[t.Tuple[str, Version, t.Optional[int], str]] = [
    ("x86_64", (10, 0), 42, "2G-64G:256M,64G-:512M"),
    ("x86_64", (9, 0), 36, "1G-4G:192M,4G-64G:256M,64G-:512M"),
    ("x86_64", (8, 4), 34, "1G-4G:160M,4G-64G:192M,64G-1T:256M,1T-:512M"),
    ("x86_64", (8, 0), None, "1G-64G:160M,64G-1T:256M,1T-:512M"),
    ("aarch64", (10, 0), 42, "2G-4G:256M,4G-64G:320M,64G-:576M"),
    ("aarch64", (9, 1), 37, "1G-4G:256M,4G-64G:320M,64G-:576M"),
    ("aarch64", (8, 0), 34, "2G-:448M"),
    ("aarch64+64k", (10, 0), 42, "2G-4G:356M,4G-64G:420M,64G-:676M"),
    ("aarch64+64k", (9, 3), 39, "1G-4G:356M,4G-64G:420M,64G-:676M"),
    ("aarch64+64k", (8, 0), 34, "2G-:448M"),
    ("ppc64le", (8, 0), 34, _PPC),
    ("ppc64le+fadump", (8, 0), 34, _FADUMP),
]
# What the code beside that table adds, in MiB, and from which releases on.
_EL_PPC_CPUS: t.Tuple[Version, int] = ((10, 2), 44)  # 1 MiB for each of nr_cpus=16
_EL_ENCRYPTED: t.Tuple[Version, int] = ((9, 4), 40)
_EL_DEVICES: t.Tuple[Version, int] = ((9, 3), 39)


def family(distribution: str, like: t.Sequence[str]) -> str:
    """Return whose rules a distribution follows: debian, ubuntu, el, fedora or ''.

    :param distribution: ID of /etc/os-release.
    :param like: the words of ID_LIKE.
    """
    if distribution in ("debian", "ubuntu", "fedora"):
        return distribution
    if distribution in ("rhel", "centos", "rocky", "almalinux", "ol") or "rhel" in like:
        return "el"
    return next((name for name in ("ubuntu", "debian") if name in like), "")


def distro_default(
    distribution: str,
    version: str,
    arch: str,
    like: t.Sequence[str] = (),
    additions: t.Optional[Additions] = None,
) -> t.Optional[str]:
    """Return the crashkernel= value that a distribution's own package would set, or None if it is not known here.

    :param distribution: ID of /etc/os-release.
    :param version: VERSION_ID of /etc/os-release, '' for a rolling release.
    :param arch: as ``uname -m`` prints it.
    :param like: the words of ID_LIKE; a derivative with a version scheme of its own has no known value.
    """
    found = additions or Additions()
    rules = family(distribution, like)
    if rules in ("el", "fedora"):
        return _el_default(rules, version, arch, found)
    if rules != distribution:
        return None
    release = _version(version) or _ROLLING
    for name, first, machine, value in _DISTRO:
        if (name, machine) == (distribution, arch) and release >= first:
            return value
    return None


def distro_value(facts: Facts) -> t.Optional[str]:
    """Return the crashkernel= value that a host's own distribution would set, or None if it is not known here."""
    distribution, found = facts["distribution"], facts["capture"]
    return distro_default(
        distribution["id"],
        distribution["version"],
        facts["architecture"],
        distribution["like"],
        Additions(**{name: found[name] for name in Additions._fields}),
    )


def kdumptool_values(proposed: t.Mapping[str, int], assisted: bool = False) -> t.List[str]:
    """Return the crashkernel= values that SUSE's kdump sets for itself, or none if it proposes nothing.

    Source: kdumptool's "commandline" (kdump 2.0.19 and later); before, YaST did the same.

    :param proposed: the sizes of ``kdumptool calibrate`` in MiB, by its own names.
    :param assisted: a firmware-assisted dump is wanted (ppc64le).
    """
    if assisted:
        return [f"{proposed['Fadump']}M"] if proposed.get("Fadump") else []
    low, high = proposed.get("Low", 0), proposed.get("High", 0)
    # Only x86_64 divides it, and only if something is left for High.
    if high:
        return [*([f"{low}M,low"] if low else []), f"{high}M,high"]
    return [f"{low}M"] if low else []


def _version(text: str) -> t.Optional[Version]:
    """Return (major, minor) of a VERSION_ID; CentOS Stream, which has no minor, is ahead of every minor."""
    match = re.match(r"(\d+)(?:\.(\d+))?", text)
    return (int(match.group(1)), int(match.group(2) or 99)) if match else None


def _el_default(rules: str, version: str, arch: str, additions: Additions) -> t.Optional[str]:
    release = _version(version)
    if release is None:
        return None

    def has(el: Version, fedora: t.Optional[int]) -> bool:
        return release >= el if rules == "el" else fedora is not None and release >= (fedora, 0)

    # s390x has x86_64's table, without what is x86's own.
    key = "x86_64" if arch == "s390x" else arch
    if arch == "aarch64" and additions.page_64k:
        key += "+64k"
    if arch == "ppc64le" and additions.fadump:
        key += "+fadump"
    value = next((row[3] for row in _EL if row[0] == key and has(row[1], row[2])), None)
    extra = 0
    if arch == "x86_64" and additions.encrypted and has(*_EL_ENCRYPTED):
        extra = 64
    elif arch == "ppc64le" and has(*_EL_PPC_CPUS):
        extra = 16
    elif arch == "aarch64" and has(*_EL_DEVICES):
        extra += (200 if additions.page_64k else 150) if additions.mlx5 else 0
        extra += 384 if additions.smmu and additions.page_64k else 0
    return _enlarged(value, extra) if value and extra else value


def _enlarged(value: str, extra: int) -> str:
    """Return ranges with every size enlarged.

    :param extra: MiB.
    """

    def enlarge(match: t.Match[str]) -> str:
        size = int(match.group(1)) * {"M": 1, "G": 1024}[match.group(2)] + extra
        return f":{size // 1024}G" if size % 1024 == 0 else f":{size}M"

    return re.sub(r":(\d+)([MG])", enlarge, value)


# What a host needs: parts, and a sum. Sizes are in bytes.

# The kernel rounds crashkernel= up to this itself (CRASH_ALIGN, arch/*/include/asm/crash_reserve.h).
ALIGNMENT = {"x86_64": 16 * MIB, "aarch64": 2 * MIB, "riscv64": 2 * MIB}
OTHER_ALIGNMENT = 16 * MIB

# What is left over at the tightest moment of a capture, so that a kernel that has grown a little still captures.
MARGIN = 1.15
# A reservation that is there stays from this much above the need, up to this much above what 'auto' would set. Less
# would have a fleet reboot for every driver update; the upper bound is what the benchmark holds 'auto' to.
ENOUGH = 1.05
MOST = 1.5

# How much larger than packed an initrd is, where neither it nor the tooling says; by compression. The lower one is
# for kernels whose module files are compressed themselves.
_RATIO = {"gzip": 3.0, "zstd": 3.2, "xz": 4.0, "lzma": 4.0, "lz4": 2.4, "lzo": 2.4, "bzip2": 3.2}
_RATIO_COMPRESSED = 3.2
# An initrd that is not there yet, with the drivers of one host: the middle of Debian 12, 13 and testing.
_INITRD_PACKED = 10 * MIB
_INITRD_UNPACKED = 30 * MIB

# What the kernel allocates for itself on a small machine with one CPU: slabs, page tables, the CPU's own area, stacks,
# buffers of devices. While it boots its init sections are there too, and nothing can be reclaimed yet. Measured with
# Linux 6.1, 6.12 and 7.2 of Debian by the benchmark: docs/crashkernel-sizes.md.
_KERNEL_DATA = 18 * MIB
_KERNEL_BOOTING = 38 * MIB
_EACH_CPU = 1 * MIB  # beyond the first; source: kdump-lib.sh of kdump-utils v1.0.60, for ppc64le
_USER_ROOT = 30 * MIB  # systemd, udev, journald and the network of the host's own root file system
_USER_INITRD = 16 * MIB  # a dracut initrd; source: kdumpctl estimate of v1.0.57
_NETWORK = 16 * MIB  # an allowance for sockets, ssh or an NFS mount

# Source of the next five: kdump-lib.sh and kdumpctl of kdump-utils v1.0.61, which had them measured.
_ENCRYPTED = 64 * MIB  # bounce buffers
_PAGE_64K = 100 * MIB
_MLX5 = 150 * MIB
_SMMU = 384 * MIB  # with pages of 64 KiB only
_LUKS_TOOL = {"aarch64": 50 * MIB}
_OTHER_LUKS_TOOL = 20 * MIB

# makedumpfile: two bits a page, but never more than 32 MiB at a time, and itself. Source: calibrate.cc of SUSE's kdump.
_BITMAP_MOST = 32 * MIB
_DUMP_TOOL = 4 * MIB

# A host that would give up more of its RAM than this for the capture kernel is too small for both.
_SHARE_OF_RAM = 0.5


class Part(t.NamedTuple):
    """One thing that takes memory in the capture kernel."""

    name: str
    size: int  # bytes
    why: str


def parts(facts: Facts) -> t.List[Part]:
    """Return what takes memory while the dump is written."""
    found, ram = facts["capture"], facts["memory"]["total"]
    result = _always(facts)
    result.append(Part("kernel's own data", _KERNEL_DATA, "slabs, page tables, buffers"))
    result.append(Part("modules", found["modules"], "all that are loaded now"))
    if _runs_from_initrd(facts):
        result.append(Part("user space", _USER_INITRD, "a capture that runs from its initrd"))
        result.append(Part("initrd", _unpacked(found), "its files stay in memory"))
    else:
        result.append(Part("user space", _USER_ROOT, "the host's own root file system is booted"))
    bitmap = min(ram // facts["memory"]["page_size"] // 4, _BITMAP_MOST)
    result.append(
        Part("dump tool", _DUMP_TOOL + bitmap, f"makedumpfile with {ram // MIB} MiB to read")
    )
    if found["network"]:
        result.append(Part("network", _NETWORK, "the dump leaves the host"))
    if found["page_64k"] and found["smmu"]:
        result.append(Part("system MMU", _SMMU, "its queues, with 64 KiB pages"))
    if found["mlx5"]:
        result.append(Part("mlx5", _MLX5, "the network card's driver"))
    return _with_debugging(result, found)


def boot_parts(facts: Facts) -> t.List[Part]:
    """Return what takes memory when the initrd has just been unpacked: the tightest moment of most captures."""
    found = facts["capture"]
    initrd = found["initrd"]
    result = _always(facts)
    result += [
        Part("booting kernel's data", _KERNEL_BOOTING, "slabs, page tables, buffers, init sections"),
        Part("initrd, packed", initrd["packed"] if initrd else _INITRD_PACKED, "freed a moment later"),
        Part("initrd, unpacked", _unpacked(found), "before anything is taken out of it"),
    ]  # fmt: skip
    return _with_debugging(result, found)


def _always(facts: Facts) -> t.List[Part]:
    """Return what takes memory from the first moment to the last."""
    found = facts["capture"]
    result = [_image(found)]
    more = max(0, found["cpus"] - 1)
    if more:
        result.append(Part("CPUs", more * _EACH_CPU, f"{more} more than one in the capture kernel"))
    if found["encrypted"]:
        result.append(Part("memory encryption", _ENCRYPTED, "bounce buffers"))
    if found["page_64k"]:
        result.append(Part("64 KiB pages", _PAGE_64K, "everything small takes a whole page"))
    if found["luks"]:
        # It is opened out of the initrd, whose files are still there.
        tool = _LUKS_TOOL.get(facts["architecture"], _OTHER_LUKS_TOOL)
        result.append(Part("LUKS", found["luks"] + tool, "what its key derivation takes"))
    return result


def _with_debugging(result: t.List[Part], found: Facts) -> t.List[Part]:
    if found["debug_kernel"]:
        total = sum(part.size for part in result)
        result.append(Part("debug kernel", total // 2, "checks that keep copies and shadows"))
    return result


def _runs_from_initrd(facts: Facts) -> bool:
    """Say whether the capture has no root file system. kdump-tools is the one that boots the host's own."""
    return bool(facts["tooling"]["name"] != "kdump-tools")


def _image(found: Facts) -> Part:
    if found["image"]:
        return Part("kernel image", found["image"], "code and data, by /proc/iomem")
    # Source: the estimator of kdump-tools 1.10, which takes the same factor.
    return Part("kernel image", (found["vmlinuz"] or 10 * MIB) * 6, "six times its compressed file")


def _unpacked(found: Facts) -> int:
    initrd = found["initrd"]
    if not initrd:
        return _INITRD_UNPACKED
    if initrd["unpacked"]:
        return int(initrd["unpacked"])
    ratio = _RATIO_COMPRESSED if found["modules_compressed"] else _RATIO.get(initrd["compression"], 4.0)  # fmt: skip
    return int(initrd["plain"] + (initrd["packed"] - initrd["plain"]) * ratio)


def auto(facts: Facts) -> t.Dict[str, t.Any]:
    """Return the size that a host needs, and how it comes about.

    The keys: ``value`` for crashkernel=, ``size`` and ``needed`` in bytes, ``enough`` and ``most`` (a reservation
    between them may stay; ``near`` is the upper bound for one that the host was not booted with yet), ``basis``
    (estimate or measured), ``parts`` in MiB, ``reasoning`` in sentences, ``too_small`` (why the host cannot dump at
    all, or '').
    """
    page = facts["memory"]["page_size"]
    ram = facts["memory"]["total"]
    alignment = ALIGNMENT.get(facts["architecture"], OTHER_ALIGNMENT)
    booting, running = (_mapped(side, page) for side in (boot_parts(facts), parts(facts)))
    chosen = max(booting, running, key=_sum)
    estimate = _sum(chosen)
    used = facts["capture"]["used"]
    basis, needed, spare = "estimate", estimate, estimate
    if used:
        # What unpacking the initrd takes the note does not see; that it worked in its reservation it does.
        unpacking = min(_sum(booting), int(used["ram"] // alignment * alignment / MARGIN))
        same = used["kernel"] == facts["capture"]["kernel"] and not used["changed"]
        if same:
            # A reservation like the one that was measured is enough, whatever the estimate says.
            spare = max(used["used"], unpacking)
        if same and used["proven"]:
            basis, needed = "measured", spare
        else:
            # Of another kernel or another initrd, or it went wrong, perhaps for want of memory: so much at least.
            needed = max(estimate, used["used"])
            spare = spare if same else needed
    size = _round_up(int(needed * MARGIN), alignment)
    reasoning = [_sentence(basis, size, needed, chosen, facts["capture"])]
    floor = _floor(facts, alignment) if basis == "estimate" else 0
    if floor > size:
        size = floor
        reasoning.append(
            f"raised to {floor // MIB} MiB, the distribution's default: no capture was measured on this host yet"
        )
    too_small = ""
    if size > ram * _SHARE_OF_RAM:
        too_small = (
            f"this host has {ram // MIB} MiB of RAM and its capture kernel needs {size // MIB}: too small to dump at all; "
            "give it more RAM, or set kdump_crashkernel to none, or to a size that you have tried"
        )
    return {
        "value": f"{size // MIB}M",
        "size": size,
        "needed": needed,
        "enough": min(size, int(spare * ENOUGH)),
        "near": size + alignment,
        "most": int(size * MOST),
        "basis": basis,
        "parts": [
            {"name": part.name, "mib": round(part.size / MIB, 1), "why": part.why}
            for part in chosen
        ],
        "reasoning": reasoning,
        "too_small": too_small,
    }


def _floor(facts: Facts, alignment: int) -> int:
    """Return what an estimate may not go below: where only the distribution has measured captures, its default.

    The constants above were measured with kdump-tools on x86_64.
    """
    if facts["tooling"]["name"] == "kdump-tools" and facts["architecture"] == "x86_64":
        return 0
    value = distro_value(facts)
    if value is None:
        return 0
    try:
        found_size = parse_crashkernel(
            f"crashkernel={value}", facts["memory"]["total"], facts["architecture"]
        ).size
    except CrashkernelError:
        return 0
    return _round_up(found_size, alignment)


def _sum(side: t.Sequence[Part]) -> int:
    return sum(part.size for part in side)


def _mapped(side: t.Sequence[Part], page: int) -> t.List[Part]:
    """Add the memory map: each page of the reservation has a descriptor of 64 bytes in it.

    :param page: bytes.
    """
    return [*side, Part("memory map", _sum(side) * 64 // (page - 64), "64 bytes a page")]


def _round_up(size: int, step: int) -> int:
    return (size + step - 1) // step * step


def _sentence(basis: str, size: int, needed: int, chosen: t.Sequence[Part], found: Facts) -> str:
    listed = ", ".join(f"{part.name} {part.size / MIB:.0f}" for part in chosen)
    estimate = f"an estimate of {_sum(chosen) // MIB} MiB ({listed})"
    used = found["used"]
    if basis == "measured" and needed == used["used"]:
        reason = f"the last capture on this host used {needed // MIB} MiB (in place of {estimate})"
    elif basis == "measured":
        reason = (
            f"the last capture on this host used {used['used'] // MIB} MiB while it dumped; unpacking its initrd "
            f"takes {needed // MIB} MiB, by {estimate} and what that capture had"
        )
    elif needed > _sum(chosen):
        reason = f"a capture on this host used {needed // MIB} MiB, more than {estimate}"
    else:
        reason = estimate
    if not found["initrd"]:
        reason += ", a guess until the capture initrd is there"
    return f"auto: {size // MIB} MiB; {reason}, and {MARGIN - 1:.0%} to spare"
