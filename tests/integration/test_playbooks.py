# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which hosts the playbooks take, by the real ansible-playbook; nothing is run on them."""

from __future__ import annotations

import os
import re
import subprocess
import typing as t
from pathlib import Path

import pytest
from light_host import ROOT

USUAL = "web1\nweb2\n[kdump_servers]\ndumps\n"
OTHER = "web1\nweb2\n[east]\ndumps\n[west]\ndumps2\n"
NONE = "web1\nweb2\n"
WEBS = ["web1", "web2"]

# The inventory, extra variables, and the hosts of each play of site, drill and server.
HOSTS: list[tuple[str, list[str], list[list[str]], list[list[str]], list[list[str]]]] = [
    (NONE, [], [[], WEBS], [WEBS], [[]]),
    (USUAL, [], [["dumps"], WEBS], [WEBS], [["dumps"]]),
    (USUAL, ["kdump_hosts=web1"], [["dumps"], ["web1"]], [["web1"]], [["dumps"]]),
    (OTHER, ["kdump_servers=east"], [["dumps"], ["dumps2", *WEBS]], [["dumps2", *WEBS]], [["dumps"]]),
    (OTHER, ["kdump_servers=east:west"], [["dumps", "dumps2"], WEBS], [WEBS], [["dumps", "dumps2"]]),
    (OTHER, ["kdump_servers=east,west"], [["dumps", "dumps2"], WEBS], [WEBS], [["dumps", "dumps2"]]),
    (OTHER, ["kdump_servers=dumps2"], [["dumps2"], ["dumps", *WEBS]], [["dumps", *WEBS]], [["dumps2"]]),
    (OTHER, ["kdump_servers=east", "kdump_hosts=web2"], [["dumps"], ["web2"]], [["web2"]], [["dumps"]]),
]  # fmt: skip


@pytest.mark.parametrize("inventory, variables, site, drill, server", HOSTS)
def test_dump_servers_are_the_same_ones_for_every_playbook(
    tmp_path: Path, inventory: str, variables: list[str], site: t.Any, drill: t.Any, server: t.Any
) -> None:
    (tmp_path / "inventory").write_text(inventory)
    given = [word for variable in variables for word in ("-e", variable)]
    playbooks = [f"kdump.fleet.{name}" for name in ("site", "drill", "server")]
    done = subprocess.run(
        ["ansible-playbook", "--list-hosts", "-i", str(tmp_path / "inventory"), *given, *playbooks],
        capture_output=True, text=True, cwd=ROOT, check=False,
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"), "ANSIBLE_NOCOLOR": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    plays = re.split(r"^  play #", done.stdout, flags=re.M)[1:]
    found = [sorted(re.findall(r"^      (\S+)$", play, re.M)) for play in plays]
    assert found == [*site, *drill, *server]
