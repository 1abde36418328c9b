# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of variables in docs/configuration.md says what the toolings do."""

import pathlib
import re
import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils import panic
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.base import Tooling
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.registry import TOOLINGS
from ansible_collections.kdump.fleet.plugins.module_utils.wanted import Wanted

DOCS = pathlib.Path(__file__).parents[4] / "docs"


def cells(line: str) -> t.List[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def table() -> t.Dict[str, t.Dict[str, str]]:
    """Return the cells by the variable and by the tooling."""
    lines = (DOCS / "configuration.md").read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("| variable |"))
    toolings = cells(lines[start])[1:]
    result: t.Dict[str, t.Dict[str, str]] = {}
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        variable, *rest = cells(line)
        result[variable.strip("`")] = dict(zip(toolings, rest))
    return result


TABLE = table()
FACTS: t.Dict[str, t.Any] = {
    "architecture": "x86_64",
    "distribution": {"id": "", "version": "", "name": "", "like": []},
    "kernel": {"release": "6.12.0", "cmdline": "", "options": {}},
    "target": {"path": "/var/crash", "fstype": "ext4", "source": "/dev/vda1"},
    "tooling": {
        "installed": True,
        "release": None,
        "rules": {"commandline_append": "nr_cpus=1"},
        "settings": {},
    },
}
# A value of each variable that a tooling may have no word for, whatever its value.
SAMPLES: t.Dict[str, t.Any] = {
    "emergency_hooks": [{"name": "a", "content": "#!/bin/sh\n"}],
    "commandline_remove": ["quiet"],
    "bootdir": "/boot",
    "capture_kernel": "/boot/vmlinuz",
    "capture_initrd": "/boot/initrd",
    "dracut_args": "--add debug",
    "fence_nodes": ["node2"],
    "notification": {"to": "root"},
    "extra_bins": ["/usr/bin/strace"],
    "extra_modules": ["nvme"],
    "commandline": "root=/dev/vda1",
    "commandline_append": "debug",
    "kernel_version": "6.12.0",
    "dump_level": 31,
}


def test_every_variable_is_there() -> None:
    assert [f"kdump_{field}" for field in Wanted._fields if f"kdump_{field}" not in TABLE] == []


def test_no_other_variable_is_there() -> None:
    fields = {f"kdump_{field}" for field in Wanted._fields}
    assert [variable for variable in TABLE if variable not in fields] == []


def test_every_cell_says_something() -> None:
    empty = [
        (variable, tooling)
        for variable, row in TABLE.items()
        for tooling in ("kdumpctl", "kdump-tools", "suse", "kexec")
        if not row.get(tooling)
    ]
    assert empty == []


@pytest.mark.parametrize("tooling", TOOLINGS, ids=lambda tooling: tooling.name)
@pytest.mark.parametrize("field", SAMPLES)
def test_what_is_refused_is_refused(tooling: Tooling, field: str) -> None:
    wanted = Wanted(**{field: SAMPLES[field]})
    problems = tooling.configure(wanted, FACTS).problems
    refused = any(problem.startswith(f"kdump_{field}: ") for problem in problems)
    assert refused == TABLE[f"kdump_{field}"][tooling.name].startswith("refused:"), problems


def test_every_trigger_is_explained() -> None:
    text = (DOCS / "triggers.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\|[^|]*\| `([a-z_]+)`[^|]*\| `([a-z_.]+)`", text, re.M))
    assert rows == {entry: trigger.sysctl for entry, trigger in panic.TRIGGERS.items()}
