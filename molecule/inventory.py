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
    known = json.loads(lab.read_text()) if lab.exists() else {}
    machines = {name: machine["vars"] for name, machine in known.items()}
    hostvars = {
        "localhost": {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
    }
    hostvars.update(machines)
    groups = {"molecule", *(group for machine in known.values() for group in machine["groups"])}
    inventory: dict[str, object] = {
        "_meta": {"hostvars": hostvars},
        "all": {"hosts": ["localhost"], "children": sorted(groups)},
    }
    for group in groups:
        members = [
            name for name, machine in known.items() if group in ("molecule", *machine["groups"])
        ]
        inventory[group] = {"hosts": sorted(members)}
    print(json.dumps(inventory))


if __name__ == "__main__":
    main()
