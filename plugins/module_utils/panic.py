# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""What makes a kernel panic, and so dump: from the role's variables to sysctls and kernel arguments. Pure.

Facts from the kernel's sources of 6.12 and 7.3: kernel/panic.c, kernel/watchdog.c, kernel/hung_task.c,
arch/x86/kernel/nmi.c, mm/oom_kill.c, drivers/tty/sysrq.c, Documentation/admin-guide/tainted-kernels.rst.
"""

import difflib
import os.path
import re
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.wanted import Facts, Wanted

# Late in the order, so that it has the last word.
DROPIN = "/etc/sysctl.d/zz-kdump-fleet.conf"

NMI = "only x86 has it; on ppc64le and s390x a reset from outside dumps without it"


class Trigger(t.NamedTuple):
    """One entry of kdump_panic_on."""

    sysctl: str  # 1 makes it panic
    absent: str  # why a kernel may not have it


TRIGGERS = {
    "oops": Trigger("kernel.panic_on_oops", "it was built without it"),
    "warn": Trigger("kernel.panic_on_warn", "it came with Linux 3.19"),
    "unrecovered_nmi": Trigger("kernel.panic_on_unrecovered_nmi", NMI),
    "unknown_nmi": Trigger("kernel.unknown_nmi_panic", NMI),
    "io_nmi": Trigger("kernel.panic_on_io_nmi", NMI),
    "hardlockup": Trigger("kernel.hardlockup_panic", "it was built without a hard-lockup detector"),
    "softlockup": Trigger("kernel.softlockup_panic", "it was built without a soft-lockup detector"),
    "hung_task": Trigger("kernel.hung_task_panic", "it was built without CONFIG_DETECT_HUNG_TASK"),
    "rcu_stall": Trigger("kernel.panic_on_rcu_stall", "it came with Linux 4.8"),
    "out_of_memory": Trigger("vm.panic_on_oom", "it was built without it"),
}
NMI_WATCHDOG = "kernel.nmi_watchdog"
# A detector that is off never fires: entry, sysctl, and the value that turns it off.
DETECTORS = (
    ("softlockup", "kernel.soft_watchdog", "0"),
    ("softlockup", "kernel.watchdog_thresh", "0"),
    ("hardlockup", "kernel.watchdog_thresh", "0"),
    ("hung_task", "kernel.hung_task_timeout_secs", "0"),
)
# What observe() reads.
SYSCTLS = (
    *(trigger.sysctl for trigger in TRIGGERS.values()),
    "kernel.panic",
    "kernel.sysrq",
    NMI_WATCHDOG,
    "kernel.soft_watchdog",
    "kernel.watchdog_thresh",
    "kernel.hung_task_timeout_secs",
    "kernel.tainted",
)

# Letters as the kernel prints them; their place is the bit.
TAINTS = "PFSRMBUDAWCIOELKXTNJ"
# Linux releases that brought a bit which is younger than panic_on_taint itself.
TAINT_SINCE = {"N": (6, 0), "J": (6, 15)}
PANIC_ON_TAINT_SINCE = (5, 8)
# The toolings whose capture kernel does not inherit it.
KEEP_TAINTS_OUT = ("kexec",)

WARN_CAUTION = (
    "every warning of the kernel takes the host down, those of drivers at boot and of harmless kinds too; "
    "meant for tests, not for production"
)
SYSRQ_ALL, SYSRQ_DUMP, SYSRQ_MAX = 1, 8, 511
INT_MIN = -(2**31)
# The kernel counts the milliseconds of kernel.panic in 32 bits.
TIMEOUT_MAX = (2**31 - 1) // 1000

# Of what systemd-sysctl reads, a file hides those of its name in the folders behind it.
FOLDERS = ("/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d")  # fmt: skip
LEGACY = "/etc/sysctl.conf"


class Policy(t.NamedTuple):
    """When a host panics, and what happens then."""

    sysctls: t.Dict[str, str]  # wanted values, live and at every boot
    arguments: t.Dict[str, t.List[str]]  # of the running kernel, by name
    problems: t.List[str]
    warnings: t.List[str]


def policy(wanted: Wanted, facts: Facts) -> Policy:
    """Return what the wanted policy comes to on a host.

    What is not asked for is left alone: no entry of kdump_panic_on is ever set to 0.

    :param facts: of observe(); ``sysctl`` has a value, or None where the kernel has no such file, for each of SYSCTLS.
    """
    result = Policy({}, {}, [], [])
    _triggers(wanted, facts["sysctl"], result)
    _taints(wanted, facts, result)
    _nmi_watchdog(wanted, facts, result)
    _timeout(wanted, result)
    _sysrq(wanted, facts["sysctl"], result)
    return result


def dropin(sysctls: t.Mapping[str, str]) -> str:
    """Return the text of the drop-in for systemd-sysctl and procps."""
    return (
        "# Managed by kdump.fleet: when the kernel panics (kdump_panic_on and others).\n"
        + "".join(f"{name} = {value}\n" for name, value in sorted(sysctls.items()))
    )


def overridden(files: t.Mapping[str, str], sysctls: t.Mapping[str, str]) -> t.List[str]:
    """Return a warning for every setting that another file takes back, at boot or by ``sysctl --system``.

    Globs need no look: an exact name, as in our drop-in, goes before them.

    :param files: texts of files for sysctl by path, the drop-in among them or not.
    """
    found = []
    for path in sorted(files):
        folder, name = os.path.split(path)
        if path == LEGACY:
            when = "'sysctl --system' reads it last"
        elif folder in FOLDERS and name > os.path.basename(DROPIN) and not _hidden(path, files):
            when = f"it is read after {DROPIN}"
        else:
            continue
        values = settings(files[path])
        found += [
            f"{path}: sets {key} to {values[key]}, and {when}; take that line out, or the host will not keep {value}"
            for key, value in sorted(sysctls.items())
            if values.get(key, value) != value
        ]
    return found


def settings(text: str) -> t.Dict[str, str]:
    """Return what a file for sysctl sets, by name with dots; the last line of a name counts."""
    result = {}
    for line in text.splitlines():
        key, separator, value = line.strip().partition("=")
        # "-" before a name only says that an error does not matter.
        key = key.strip().lstrip("-")
        if separator and key and key[0] not in "#;":
            result[_dotted(key)] = value.strip()
    return result


def _dotted(key: str) -> str:
    """Return a name as ``kernel.panic``; where the first separator is a slash, dots and slashes change places."""
    first = re.search(r"[./]", key)
    if first and first.group() == "/":
        return key.translate(str.maketrans("./", "/."))
    return key


def _hidden(path: str, files: t.Mapping[str, str]) -> bool:
    folder, name = os.path.split(path)
    before = FOLDERS[: FOLDERS.index(folder)]
    return any(f"{other}/{name}" in files for other in before)


def _triggers(wanted: Wanted, live: t.Mapping[str, t.Optional[str]], result: Policy) -> None:
    for entry in wanted.panic_on:
        trigger = TRIGGERS.get(entry)
        if trigger is None:
            if not entry.startswith("taint:"):
                result.problems.append(_unknown(entry))
        elif live.get(trigger.sysctl) is None:
            result.problems.append(
                f"kdump_panic_on: this host's kernel has no {trigger.sysctl} for {entry!r} ({trigger.absent}); "
                "take it out of the list for this host"
            )
        else:
            result.sysctls[trigger.sysctl] = "1"
    if "warn" in wanted.panic_on:
        result.warnings.append(f"kdump_panic_on: warn: {WARN_CAUTION}")
    for entry, name, off in DETECTORS:
        if entry in wanted.panic_on and live.get(name) == off:
            result.warnings.append(
                f"kdump_panic_on: {entry} never fires while {name} is {off}; whoever turned it off must set it again"
            )


def _unknown(entry: str) -> str:
    by_sysctl = {
        name: own
        for own, trigger in TRIGGERS.items()
        for name in (trigger.sysctl, trigger.sysctl.partition(".")[2])
    }
    close = [by_sysctl[entry]] if entry in by_sysctl else []
    close = close or difflib.get_close_matches(entry, TRIGGERS, 1, 0.6)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"kdump_panic_on: {entry!r} must be one of: {', '.join(TRIGGERS)} or taint:LETTER{hint}"


def taint_bit(text: str) -> t.Optional[int]:
    """Return the bit of a taint by its letter, as the kernel prints it, or by its number; None if there is none such."""
    if len(text) == 1 and text in TAINTS:
        return TAINTS.index(text)
    if re.match(r"[0-9]{1,2}\Z", text) and int(text) < len(TAINTS):
        return int(text)
    return None


def _taints(wanted: Wanted, facts: Facts, result: Policy) -> None:
    entries = [entry for entry in wanted.panic_on if entry.startswith("taint:")]
    if not entries:
        return
    release = _version(facts["kernel"]["release"])
    tainted = int(facts["sysctl"].get("kernel.tainted") or 0)
    mask = 0
    for entry in entries:
        bit = taint_bit(entry[len("taint:") :])
        if bit is None:
            capital = entry.upper()[len("taint:") :]
            hint = f"; did you mean 'taint:{capital}'?" if taint_bit(capital) is not None else ""
            result.problems.append(
                f"kdump_panic_on: {entry!r} must be taint: and one of the kernel's letters {' '.join(TAINTS)}, or a bit "
                f"from 0 to {len(TAINTS) - 1}{hint}"
            )
            continue
        mask |= 1 << bit
        since = TAINT_SINCE.get(TAINTS[bit], PANIC_ON_TAINT_SINCE)
        if release < since:
            result.warnings.append(
                f"kdump_panic_on: {entry} came with Linux {since[0]}.{since[1]}; {facts['kernel']['release']} ignores it "
                "unless its distribution added it"
            )
        if tainted & 1 << bit:
            # The kernel looks at it each time that any taint is set: it would die at boot, before it can dump.
            result.problems.append(
                f"kdump_panic_on: {entry}: this kernel has that taint already (kernel.tainted is {tainted}), so that the "
                "next boot may panic before a dump is possible, and each boot after it; take it out of the list, or "
                "find what sets it ('dmesg | grep -i taint') and reboot without that"
            )
        if TAINTS[bit] == "W":
            result.warnings.append(f"kdump_panic_on: {entry}: {WARN_CAUTION}")
    if not mask:
        return
    result.arguments["panic_on_taint"] = [f"{mask:#x}"]
    removed = [name.rstrip("=") for name in wanted.commandline_remove]
    kept_out = wanted.commandline is not None or "panic_on_taint" in removed
    if not kept_out and facts["tooling"]["name"] not in KEEP_TAINTS_OUT:
        result.warnings.append(
            "kdump_panic_on: the capture kernel inherits panic_on_taint, and a taint there costs the dump; keep it out with "
            "kdump_commandline_remove: [panic_on_taint], or with kdump_commandline where the tooling can remove nothing"
        )


def _version(release: str) -> t.Tuple[int, ...]:
    """Return the first two numbers of a kernel release."""
    return tuple(int(number) for number in re.findall(r"\d+", release)[:2])


def _nmi_watchdog(wanted: Wanted, facts: Facts, result: Policy) -> None:
    live = facts["sysctl"].get(NMI_WATCHDOG)
    # What lacks the sysctl for the panic was told already.
    hardlockup = TRIGGERS["hardlockup"].sysctl in result.sysctls
    if wanted.nmi_watchdog is None:
        if hardlockup and live != "1":
            result.problems.append(
                f"kdump_panic_on: 'hardlockup' needs the detector, which is off ({NMI_WATCHDOG} is {live}); "
                "set kdump_nmi_watchdog: true, or take it out of the list"
            )
        return
    if live is None:
        result.problems.append(
            f"kdump_nmi_watchdog: this host's kernel has no {NMI_WATCHDOG} (it was built without a hard-lockup "
            "detector); leave it unset for this host"
        )
        return
    result.sysctls[NMI_WATCHDOG] = str(int(wanted.nmi_watchdog))
    if hardlockup and not wanted.nmi_watchdog:
        result.problems.append(
            "kdump_nmi_watchdog: false turns off the detector that 'hardlockup' of kdump_panic_on needs; "
            "set it to true, or take 'hardlockup' out of the list"
        )
    if wanted.nmi_watchdog and live == "0" and facts["virtualization"]["kind"] == "vm":
        result.warnings.append(
            "kdump_nmi_watchdog: a virtual machine has no hard-lockup detector unless its hypervisor gives it "
            "performance counters; the kernel refuses the value then"
        )


def _timeout(wanted: Wanted, result: Policy) -> None:
    value = wanted.panic_timeout
    if value is None:
        return
    if not INT_MIN <= value <= TIMEOUT_MAX:
        result.problems.append(
            f"kdump_panic_timeout: {value} must be up to {TIMEOUT_MAX} seconds; 0 never reboots, a negative number at once"
        )
        return
    result.sysctls["kernel.panic"] = str(value)


def _sysrq(wanted: Wanted, live: t.Mapping[str, t.Optional[str]], result: Policy) -> None:
    value = wanted.sysrq
    if value is None:
        return
    if not 0 <= value <= SYSRQ_MAX:
        result.problems.append(
            f"kdump_sysrq: {value} must be from 0 to {SYSRQ_MAX}: 0 is off, 1 allows everything, and more is the sum of "
            "what is allowed (8 has the crash in it)"
        )
        return
    if live.get("kernel.sysrq") is None:
        result.problems.append(
            "kdump_sysrq: this host's kernel has no kernel.sysrq (built without CONFIG_MAGIC_SYSRQ); leave it unset"
        )
        return
    result.sysctls["kernel.sysrq"] = str(value)
    if value not in (0, SYSRQ_ALL) and not value & SYSRQ_DUMP:
        result.warnings.append(
            f"kdump_sysrq: {value} does not allow a crash from the keyboard or the serial console; add {SYSRQ_DUMP} to it "
            "for that. Root's /proc/sysrq-trigger works whatever the value"
        )
