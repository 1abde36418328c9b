# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""The dump toolings that the collection can drive."""

import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.files import Host
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.base import ConfigFile, Tooling
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.kdump_tools import KdumpTools
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.kdumpctl import Kdumpctl
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.kexec import Kexec
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.suse import Suse

TOOLINGS: t.Tuple[Tooling, ...] = (KdumpTools(), Kdumpctl(), Suse(), Kexec())
NAMES = tuple(tooling.name for tooling in TOOLINGS)


def by_name(name: str) -> t.Optional[Tooling]:
    """Return a tooling by its name, or None."""
    for tooling in TOOLINGS:
        if tooling.name == name:
            return tooling
    return None


def config_file(path: str, tooling: t.Optional[Tooling] = None) -> t.Optional[ConfigFile]:
    """Return what knows a configuration file by its path, or None.

    :param tooling: whose file it is if more than one has that path.
    """
    for each in (*((tooling,) if tooling else ()), *TOOLINGS):
        for file in each.config_files:
            if file.path == path:
                return file
    return None


def detect(host: Host, release: t.Mapping[str, str], wanted: str = "auto") -> t.Optional[Tooling]:
    """Return the tooling of a host: the one asked for, else the one deployed or installed, else its distribution's own.

    :param release: the fields of /etc/os-release.
    """
    if wanted != "auto":
        return by_name(wanted)
    for tooling in TOOLINGS:
        if tooling.deployed(host):
            return tooling
    for tooling in TOOLINGS:
        # kexec alone tells nothing: it is there for fast reboots too.
        if not tooling.generic and tooling.installed(host):
            return tooling
    for tooling in TOOLINGS:
        if tooling.suits(release.get("ID", ""), release.get("ID_LIKE", "").split()):
            return tooling
    return None
