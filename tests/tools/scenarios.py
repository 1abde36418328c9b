# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run molecule with a state folder of its own, and leave no machine behind, whatever happens.

Two runs at once do not meet: molecule keeps its state, and the scenarios their machines, below ANSIBLE_HOME.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from kdump_lab import common
from kdump_lab.machine import Machine

ROOT = Path(__file__).resolve().parents[2]


def main() -> int:
    # Its name goes into QEMU's socket and log paths, which may not be long.
    home = Path(tempfile.mkdtemp(prefix="kdump-molecule-"))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    environment = {
        **os.environ,
        "ANSIBLE_HOME": str(home),
        "MOLECULE_GLOB": "molecule/*/molecule.yml",
    }
    code = 1
    # A session of its own, so that whatever molecule has started ends with it: a boot that goes on
    # after the clean-up would leave a machine behind.
    molecule = subprocess.Popen(
        ["molecule", "test", "--destroy=never", *(sys.argv[1:] or ["--all"])],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        code = molecule.wait()
    except KeyboardInterrupt:
        code = 130
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


if __name__ == "__main__":
    sys.exit(main())
