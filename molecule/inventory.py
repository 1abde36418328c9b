#!/usr/bin/env python
# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The inventory of a scenario: this computer, and the machines that its create playbook has booted."""

import json
import os
import sys
from pathlib import Path


def main() -> None:
    lab = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"]) / "lab.json"
    # Before "create" and after "destroy" there are none.
    machines = json.loads(lab.read_text()) if lab.exists() else {}
    hostvars = {
        "localhost": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    }
    hostvars.update(machines)
    inventory = {
        "_meta": {"hostvars": hostvars},
        "all": {"hosts": ["localhost"], "children": ["molecule"]},
        "molecule": {"hosts": sorted(machines)},
    }
    print(json.dumps(inventory))


if __name__ == "__main__":
    main()
