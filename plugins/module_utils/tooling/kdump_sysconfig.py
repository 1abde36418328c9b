# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""/etc/sysconfig/kdump of the Enterprise Linux family: what kdumpctl, mkdumprd and early kdump source with bash. Pure.

Source of its behaviour: rhkdump/kdump-utils 1.0.61 and the kexec-tools of EL 8 and 9 (kdumpctl, kdump-lib.sh,
kdump-logger.sh, gen-kdump-sysconfig.sh).
"""

import difflib
import re
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.tooling import assignments
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.kdump_conf_file import rules_of

Check = t.Callable[[str], str]


def _matching(pattern: str, rule: str) -> Check:
    def check(value: str) -> str:
        return "" if re.match(pattern + r"\Z", value) else rule

    return check


def _command_line(value: str) -> str:
    # What is taken from it word by word goes through xargs, which fails at a quote that is never closed.
    return (
        "holds a quote, which kdumpctl loses on the way to the kernel; leave it out"
        if "'" in value
        else ""
    )


_IMAGE = _matching(r"[A-Za-z0-9._-]*", "may hold only letters, digits and . _ -")
# Another value, and the logger refuses to start, which is the end of every kdumpctl.
_LEVEL = _matching(r"[0-4]", "must be from 0 (nothing) to 4 (debug)")

# Every setting that kdump-utils up to 1.0.61 and kexec-tools of EL 8 and 9 read, and what its value must look like. Not
# every release reads those of LATER.
SETTINGS: t.Dict[str, Check] = {
    "KDUMP_KERNELVER": _matching(
        r"[A-Za-z0-9._+~^-]*", "must be a kernel's release, as 'uname -r' shows it"
    ),
    "KDUMP_COMMANDLINE": _command_line,
    "KDUMP_COMMANDLINE_REMOVE": _matching(
        r"\s*(?:[A-Za-z0-9_.-]+=?(?:\s+|\Z))*",
        "must be names of kernel arguments, such as 'quiet hugepages'",
    ),
    "KDUMP_COMMANDLINE_APPEND": _command_line,
    "FADUMP_COMMANDLINE_APPEND": _command_line,
    "KEXEC_ARGS": _matching(
        r"[A-Za-z0-9_@%+=:,./ -]*",
        "is split into words, so it may hold only letters, digits, blanks and _ @ % + = : , . / -",
    ),
    "KDUMP_BOOTDIR": _matching(
        r"\s*(?:/[A-Za-z0-9_@%+=:,./-]*(?:\s+|\Z))*",
        "must be an absolute path of letters, digits and _ @ % + = : , . / - alone",
    ),
    "KDUMP_IMG": _IMAGE,
    "KDUMP_IMG_EXT": _IMAGE,
    "VMCORE_CREATION_NOTIFICATION": _matching(
        r"(?i)yes|no", "must be 'yes' or 'no'; empty is no too"
    ),
    "KDUMP_STDLOGLVL": _LEVEL,
    "KDUMP_SYSLOGLVL": _LEVEL,
    "KDUMP_KMSGLOGLVL": _LEVEL,
}

LATER = rules_of().sysconfig

# What a later release may come to read; and MKDUMPRD_ARGS, which EL 7 read.
PLAUSIBLE = re.compile(r"(?:KDUMP|FADUMP|KEXEC|MKDUMPRD|VMCORE)_[A-Z0-9_]+\Z")


class KdumpSysconfig(assignments.ShellFile):
    """Bash assignments, KEY="value"."""

    path = "/etc/sysconfig/kdump"

    def __init__(self, later: t.Optional[t.Collection[str]] = None) -> None:
        """Take which settings of LATER a host's own scripts read; None goes by the release."""
        self._later = later

    def reads(self, key: str, release: t.Optional[str] = None) -> bool:
        """Say whether a release reads a setting of SETTINGS."""
        later = rules_of(release).sysconfig if self._later is None else self._later
        return key not in LATER or key in later

    def problems(self, text: str, release: t.Optional[str] = None) -> t.List[str]:
        found = []
        for line in assignments.lines(text):
            if line.reason:
                found.append(f"line {line.number}: {line.text.strip()!r} {line.reason}")
            elif line.key:
                reason = self.setting_problem(line.key, line.value, release)
                if reason:
                    found.append(f"line {line.number}: {line.key}={line.value!r} {reason}")
        return found

    def setting_problem(self, key: str, value: str, release: t.Optional[str] = None) -> str:
        """Return what is wrong with one setting, or ''. An empty value means unset."""
        del release
        if not value.isprintable():
            return "holds a newline or control character; write it in one line"
        special = re.search(r"[\"\\$`]", value)
        if special:
            return f"holds {special.group()!r}, which bash takes for something else; leave it out"
        if key in SETTINGS:
            return SETTINGS[key](value) if value else ""
        return "" if PLAUSIBLE.match(key) else "is no setting of kdumpctl" + _hint(key)

    def setting_warning(self, key: str, value: str, release: t.Optional[str] = None) -> str:
        del value
        if not self.reads(key, release):
            return "is not read by this host's kdumpctl, so it does nothing; leave it out, or update the package"
        if key in SETTINGS or not PLAUSIBLE.match(key):
            return ""
        return "is no setting that kdump.fleet knows; kdumpctl may ignore it" + _hint(key)


def _hint(key: str) -> str:
    close = difflib.get_close_matches(key, SETTINGS, 1)
    return f"; did you mean {close[0]}?" if close else f"; it reads: {', '.join(sorted(SETTINGS))}"
