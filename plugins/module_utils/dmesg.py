# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""A kernel log's tell-tale lines. Pure."""

import re
import typing as t

# Level, time, and the task or CPU that wrote the line, as CONFIG_PRINTK_CALLER adds it.
_STAMP = re.compile(r"^(?:<\d+>)?\[\s*\d+\.\d+(?:@\w+)?\](?:\s?\[\s*[CT]\d+\])?\s?")
# Best first: the line that names the panic, else what usually comes before one.
_PANICS = (
    r"Kernel panic - not syncing: .*",
    r"sysrq: Trigger a crash.*",
    r"(?:BUG|Oops|Unable to handle kernel|general protection fault|kernel BUG at)\b.*",
)


def panic_line(text: str) -> t.Optional[str]:
    """Return the line of a kernel log that names the panic, without its time stamp; None if there is none."""
    lines = [_STAMP.sub("", line).strip() for line in text.splitlines()]
    for pattern in _PANICS:
        for line in reversed(lines):
            match = re.match(pattern, line)
            if match:
                return match.group()
    return None
