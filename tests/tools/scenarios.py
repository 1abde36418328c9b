# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run molecule's scenarios, each with a state folder of its own, and leave no machine behind, whatever happens.

Without names it runs all of them, one after the other: a machine that only waits takes its share of a small computer
too. Two runs at once do not meet: molecule keeps its state, and the scenarios their machines, below ANSIBLE_HOME.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from xml.etree import ElementTree

from kdump_lab import common
from kdump_lab.machine import Machine

ROOT = Path(__file__).resolve().parents[2]


def run(name: str, report: Path) -> int:
    """Run a scenario; return molecule's exit code.

    :param report: the JUnit file for its tests.
    """
    # Its name goes into QEMU's socket and log paths, which may not be long.
    home = Path(tempfile.mkdtemp(prefix="kdump-molecule-"))
    environment = {
        **os.environ,
        "ANSIBLE_HOME": str(home),
        "MOLECULE_GLOB": "molecule/*/molecule.yml",
        "PYTEST_ADDOPTS": f"--junitxml={report}",
    }
    code = 1
    # A session of its own, so that whatever molecule has started ends with it: a boot that goes on
    # after the clean-up would leave a machine behind.
    molecule = subprocess.Popen(
        ["molecule", "test", "--destroy=never", "--scenario-name", name],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        code = molecule.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(molecule.pid, signal.SIGKILL)
        molecule.wait()
        # All of them first: removing a machine takes folders away under the search.
        for state in list(home.rglob("machine.json")):
            machine = Machine(state.parent)
            if code:
                common.say(f"[lab] {machine.name}: {machine.failure()}")
            machine.remove()
        shutil.rmtree(home, ignore_errors=True)
    return code


def merge(reports: list[Path], target: Path) -> None:
    """Put the test suites of several JUnit files into one."""
    whole = ElementTree.Element("testsuites")
    for report in reports:
        if report.exists():
            whole.extend(ElementTree.parse(report).getroot().iter("testsuite"))
    ElementTree.ElementTree(whole).write(target)


def main() -> int:
    known = sorted(path.parent.name for path in ROOT.glob("molecule/*/molecule.yml"))
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}")
    names = parser.parse_args().names or known
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    wanted = re.search(r"--junitxml=(\S+)", os.environ.get("PYTEST_ADDOPTS", ""))
    code = 0
    with tempfile.TemporaryDirectory(prefix="kdump-scenarios-") as folder:
        reports = [Path(folder) / f"{name}.xml" for name in names]
        try:
            for name, report in zip(names, reports):
                start = time.monotonic()
                result = run(name, report)
                verdict = "FAILED" if result else "ok"
                common.say(f"[scenarios] {name}: {verdict}, {time.monotonic() - start:.0f} s")
                code = code or result
        except KeyboardInterrupt:
            code = 130
        finally:
            if wanted:
                merge(reports, Path(wanted[1]))
    return code


if __name__ == "__main__":
    sys.exit(main())
