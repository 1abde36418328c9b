# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""make test: run every gate, say how long each took, end with one line of counts.

A gate is a nox session. One that runs tests leaves a JUnit file whose tests count; any other counts as one.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
import typing as t
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[2]

# Cheap ones first: they fail soonest.
FAST = (
    "formatters",
    "codeqa",
    "yamllint",
    "oldest_python",
    "units",
    "typing",
    "extra-checks",
    "license-check",
    "ansible-lint",
    "docs-check",
    "build-import-check",
    "integration",
    "ansible-test-sanity",
)
SLOW = ("scenarios",)


class Count(t.NamedTuple):
    passed: int
    failed: int


def count(report: Path, name: str, code: int) -> Count:
    """Count a gate's tests.

    :param report: its JUnit file, if it writes one.
    :param code: of the session; a session that failed has failed at least once.
    """
    if not report.exists():
        return Count(int(code == 0), int(code != 0))
    total = bad = skipped = 0
    for suite in ElementTree.parse(report).getroot().iter("testsuite"):
        total += int(suite.get("tests", 0))
        bad += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped += int(suite.get("skipped", 0))
    # A test that was skipped has shown nothing; nothing here may skip.
    if skipped or not total:
        print(
            f"[gates] {name}: {skipped} of {total} tests were skipped, which counts as failed",
            flush=True,
        )
    bad += skipped
    return Count(total - bad, max(bad, int(code != 0 or not total)))


def run(name: str, results: Path) -> Count:
    print(f"[gates] {name} ...", flush=True)
    start = time.monotonic()
    done = subprocess.run(
        ["nox", "--non-interactive", "--reuse-existing-virtualenvs", "--session", name],
        cwd=ROOT,
        # The formatters check in CI, and write elsewhere.
        env={**os.environ, "CI": "true", "KDUMP_RESULTS": str(results)},
        stdin=subprocess.DEVNULL,
        check=False,
    )
    result = count(results / f"{name}.xml", name, done.returncode)
    verdict = "FAILED" if result.failed else "ok"
    print(
        f"[gates] {name}: {verdict}, {result.passed} passed, {time.monotonic() - start:.0f} s",
        flush=True,
    )
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--all", action="store_true", help="the virtual machines too")
    args = parser.parse_args()
    if os.geteuid() != 0:
        print(
            "The integration tests mount and the lab builds images: run this as root.",
            file=sys.stderr,
        )
        return 1
    start = time.monotonic()
    # One folder a run: two runs at once do not meet.
    with tempfile.TemporaryDirectory(prefix="kdump-gates-") as folder:
        results = {name: run(name, Path(folder)) for name in (*FAST, *(SLOW if args.all else ()))}
    failed = [name for name, result in results.items() if result.failed]
    if failed:
        print(f"[gates] failed: {', '.join(failed)}")
    print(f"[gates] {len(results)} gates in {time.monotonic() - start:.0f} s")
    passed = sum(result.passed for result in results.values())
    print(f"{passed} passed, {sum(result.failed for result in results.values())} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
