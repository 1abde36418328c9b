# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""Which packages a host has, by whatever package manager it has."""

import re
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.files import Host

# Program, its arguments before the names of packages. Each prints a line "name version" for one that is installed; all
# of them exit with 1 as soon as one name is unknown, and still print the others.
_QUERIES: t.Tuple[t.Tuple[str, ...], ...] = (
    ("dpkg-query", "--show", "--showformat", "${Package} ${Version} ${db:Status-Status}\\n"),
    ("rpm", "--query", "--queryformat", "%{NAME} %{VERSION}-%{RELEASE}\\n"),
    ("pacman", "--query"),
)
_LINE = re.compile(r"(\S+) (\S+)(?: (\S+))?")


def versions(host: Host, names: t.Sequence[str]) -> t.Optional[t.Dict[str, str]]:
    """Return the versions of those packages that are installed; None without a package manager that is known."""
    for query in _QUERIES:
        if not host.runner.which(query[0]):
            continue
        # rpm exits with the number of packages that it does not know.
        answer = host.says([*query, *names], range(len(names) + 1))
        matches = [_LINE.match(line) for line in (answer or "").splitlines()]
        return {
            match.group(1): match.group(2)
            for match in matches
            if match and match.group(1) in names and match.group(3) in (None, "installed")
        }
    return None


# A program and the module that installs with it, the one that replaces another first.
_MANAGERS = (
    ("apt-get", "apt"),
    ("dnf5", "ansible.builtin.dnf5"),
    ("dnf", "ansible.builtin.dnf"),
    ("yum", "ansible.builtin.yum"),
    ("zypper", "community.general.zypper"),
    ("pacman", "community.general.pacman"),
    ("emerge", "community.general.portage"),
)


def manager(host: Host) -> str:
    """Return the module that installs packages on a host, or '' if none is known."""
    for program, module in _MANAGERS:
        if host.runner.which(program):
            return module
    return ""
