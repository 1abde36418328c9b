# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""make demo: a bare Debian host gets kdump by ansible-playbook site.yml, crashes, and comes back with a dump."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path

from kdump_lab import common, image, machine

ROOT = Path(__file__).resolve().parents[2]


def playbook(work: Path, title: str, *arguments: str) -> None:
    """Run one playbook on the demo's host, its output straight to the terminal.

    :raises LabError: it failed.
    """
    with common.step(title, every=60):
        done = subprocess.run(
            ["ansible-playbook", "-i", str(work / "inventory.json"), *arguments],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    if done.returncode != 0:
        raise common.LabError(f"{title}: ansible-playbook exited with {done.returncode}")


def table(rows: list[tuple[str, ...]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows
    ]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def demo(work: Path, suite: str) -> list[tuple[str, ...]]:
    """Build, boot, deploy, crash; return the table's rows."""
    base = image.ensure(suite)
    host = machine.create(machine.Spec(f"demo-{suite}", memory=1024), base, work / f"demo-{suite}")
    try:
        inventory = {"all": {"hosts": {host.name: host.inventory_vars()}}}
        (work / "inventory.json").write_text(json.dumps(inventory))
        playbook(
            work,
            "ansible-playbook site.yml",
            "site.yml",
            "-e",
            "kdump_reboot_ok=true",
            "-e",
            "kdump_reboot_timeout=3600",
        )
        result = work / "drill.json"
        playbook(work, "crashing the host", "tests/vm/demo.yml", "-e", f"demo_result={result}")
        drill: dict[str, t.Any] = json.loads(result.read_text())
    except BaseException:
        # What the host itself said, before its folder goes.
        common.say(f"[lab] {host.name}: {host.failure()}")
        raise
    finally:
        host.remove()
    return [
        ("host", "kernel", "reserved", "armed", "dump", "panic", "seconds"),
        (
            host.name,
            drill["kernel"],
            f"{drill['reserved'] >> 20} MiB",
            "yes" if drill["armed"] else "NO",
            f"{drill['path']} ({drill['size'] / 2**20:.1f} MiB, complete)",
            drill["panic"],
            str(drill["seconds"]),
        ),
    ]


def main() -> int:
    suite = os.environ.get("SUITE", "bookworm")
    start = time.monotonic()
    # A terminated demo leaves no machine behind, as an interrupted one does not.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # One folder a run: two demos at once do not meet.
    work = Path(tempfile.mkdtemp(prefix="kdump-demo-"))
    try:
        rows = demo(work, suite)
    except common.LabError as exc:
        common.say(f"\nThe demo failed: {exc}")
        return 1
    except KeyboardInterrupt:
        common.say("\nInterrupted; the demo's machine is gone.")
        return 130
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(f"\n{table(rows)}\n\nDone in {time.monotonic() - start:.0f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
