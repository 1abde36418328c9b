# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""What the capture kernel really used: a small script notes it during a dump, and later runs read the note.

The script runs in the capture kernel beside the dump tool, and keeps the lowest MemAvailable that it has seen in
a file of a few lines. Each tooling starts it in its own way. A second script is for captures that boot with the host's
own sysctls: it takes the panic triggers back.
"""

import re
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.files import Host

FOLDER = "/var/lib/kdump-fleet"
RECORD = FOLDER + "/capture-memory"
SCRIPT = "/etc/kdump-fleet/note-capture-memory"

# A loop of shell built-ins: the one process that it starts is sleep. The record is replaced when a new low is
# 1 MiB below the last one, so a dump of hours writes it some dozens of times. It is synced by the reboot.
SCRIPT_TEXT = """\
#!/bin/sh
# Managed by Ansible (kdump.fleet): local changes are lost at its next run.
# In a capture kernel, notes the lowest MemAvailable while the dump is written, for the next sizing of crashkernel=.
[ -e /proc/vmcore ] || exit 0
record=@RECORD@
ram=0
while read -r range colon kind rest; do
    if [ "$kind $rest" = "System RAM" ]; then
        ram=$((ram + 0x${range#*-} - 0x${range%-*} + 1))
    fi
done < /proc/iomem
read -r kernel < /proc/sys/kernel/osrelease
started=$(date +%s)
low=
mkdir -p "${record%/*}"
while :; do
    while read -r key value unit; do
        case $key in
            MemTotal:) total=$value ;;
            MemAvailable:) available=$value; break ;;
        esac
    done < /proc/meminfo
    if [ -z "$low" ] || [ "$available" -lt $((low - 1024)) ]; then
        low=$available
        printf 'kernel=%s\\nstarted=%s\\nram=%s\\ntotal=%s\\nlowest=%s\\n' \\
            "$kernel" "$started" "$ram" "$((total * 1024))" "$((low * 1024))" > "$record.new" &&
            mv "$record.new" "$record"
    fi
    sleep 0.3
done
""".replace("@RECORD@", RECORD)

CALM = "/etc/kdump-fleet/calm-capture"
# What makes a kernel panic where it could go on; see panic.py for those that the role sets.
TRIGGERS = (
    *("kernel/panic_on_oops", "kernel/panic_on_warn", "kernel/panic_on_unrecovered_nmi"),
    *("kernel/unknown_nmi_panic", "kernel/panic_on_io_nmi", "kernel/hardlockup_panic"),
    *("kernel/softlockup_panic", "kernel/hung_task_panic", "kernel/panic_on_rcu_stall"),
    "vm/panic_on_oom",
)
CALM_TEXT = f"""\
#!/bin/sh
# Managed by Ansible (kdump.fleet): local changes are lost at its next run.
# In a capture kernel, takes back the panic sysctls of the crashed host: a panic there ends the dump, and without
# kernel.panic the host hangs for ever.
[ -e /proc/vmcore ] || exit 0
for trigger in {" ".join(TRIGGERS)}; do
    if [ -e "/proc/sys/$trigger" ]; then
        echo 0 > "/proc/sys/$trigger" || continue
    fi
done
echo 10 > /proc/sys/kernel/panic
exit 0
"""


class Used(t.NamedTuple):
    """What the last capture kernel of a host had and used."""

    kernel: str  # release
    started: int  # seconds since 1970
    ram: int  # bytes: what the reservation gave it
    total: int  # bytes: of that, what its kernel left to it (MemTotal)
    lowest: int  # bytes: the lowest MemAvailable

    @property
    def used(self) -> int:
        """Return the bytes of the reservation that were in use at the tightest moment."""
        return self.ram - self.lowest


def parse_record(text: str) -> t.Optional[Used]:
    """Return what a record says, or None if it is not one."""
    fields = dict(re.findall(r"^(\w+)=(\S+)$", text, re.M))
    try:
        numbers = [int(fields[name]) for name in ("started", "ram", "total", "lowest")]
    except (KeyError, ValueError):
        return None
    found = Used(fields.get("kernel", ""), *numbers)
    return found if 0 <= found.lowest <= found.total <= found.ram else None


def read_record(host: Host) -> t.Optional[Used]:
    """Return what the last capture on this host noted, or None."""
    return parse_record(host.read(RECORD) or "")
