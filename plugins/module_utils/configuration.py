# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""A tooling's whole configuration, from the files as they are to the files as they should be. Pure.

The plan works with it on the controller, kdump_conf on the host; so what is planned is what is written.
"""

import re
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.tooling.base import (
    ConfigFile,
    Tooling,
)

HEADER = (
    "# Managed by Ansible (kdump.fleet, kdump_exclusive): local changes are lost at its next run.\n"
)
Settings = t.Mapping[str, t.Optional[str]]
Texts = t.Mapping[str, str]


class SettingsError(ValueError):
    """A configuration that the tooling would refuse; str() names it, the rule and the way out."""


def edited(
    tooling: Tooling,
    before: Texts,
    settings: Settings,
    release: t.Optional[str] = None,
    exclusive: bool = False,
) -> t.Dict[str, str]:
    """Return the texts with the settings, read back and found good; by path.

    :param before: the files that are there.
    :param exclusive: nothing else stays in them but secrets.
    :raises SettingsError: the text around them would spoil it.
    """
    after = {}
    for file in tooling.config_files:
        own = {key: value for key, value in settings.items() if tooling.file_of(key) is file}
        text = before.get(file.path, "")
        # The plan has the same lines, with their secrets hidden.
        start = HEADER + file.alone(text, own) if exclusive else text
        result = file.render(start, own, release)
        _check(file, text, result, own, release)
        after[file.path] = result
    return after


def _check(
    file: ConfigFile,
    before: str,
    after: str,
    settings: Settings,
    release: t.Optional[str],
) -> None:
    # What was wrong before is its owner's, as long as it spoils nothing else; what would be wrong because of us is refused.
    found = problems(file, after, release)
    new = found if file.refused_whole else found - problems(file, before, release)
    if new:
        raise SettingsError(
            f"{file.path} would not be accepted ({'; '.join(sorted(new))}); repair it by hand, or set kdump_exclusive"
        )
    reason = file.spoils(after)
    if reason:
        raise SettingsError(f"{file.path}: {reason}; repair it by hand, or set kdump_exclusive")
    read = file.parse(after)
    unsure = file.unsure(after, settings)
    differing = sorted(key for key, value in settings.items() if read.get(key) != value or key in unsure)  # fmt: skip
    if differing:
        raise SettingsError(
            f"{file.path} would be read differently than it is meant ({', '.join(differing)}); repair it by hand, "
            "or set kdump_exclusive"
        )


def problems(file: ConfigFile, text: str, release: t.Optional[str] = None) -> t.Set[str]:
    """Return what is wrong with a text, without the numbers of lines."""
    return {
        re.sub(r"\Aline \d+: | \(first in line \d+\)", "", problem)
        for problem in file.problems(text, release)
    }


def shown_texts(tooling: Tooling, texts: Texts) -> t.Dict[str, str]:
    """Return the files as facts may show them: without the lines that hold a secret."""
    return {file.path: file.redact(texts[file.path]) for file in tooling.config_files if file.path in texts}  # fmt: skip
