# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""GRUB's environment block: variables in a file of a fixed size, which GRUB itself overwrites in place.

Source of the format: grub-core/lib/envblk.c of GRUB 2.02 to 2.14.
"""

import re
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.base import BootLoaderError

SIGNATURE = "# GRUB Environment Block\n"
SIZE = 1024  # bytes of a new block

# A backslash keeps the next character from its meaning, a newline's too.
_VARIABLE = re.compile(r"^([^#=\n][^=\n]*)=((?:\\.|[^\\\n])*)\n", re.MULTILINE | re.DOTALL)


def variables(text: str) -> t.Dict[str, str]:
    """Return what an environment block sets."""
    return {
        match.group(1): re.sub(r"\\(.)", r"\1", match.group(2), flags=re.DOTALL)
        for match in _VARIABLE.finditer(text)
    }


def with_variable(text: t.Optional[str], name: str, value: str, path: str) -> str:
    """Return a block of the same size in which a variable has this value; the others stay as they are.

    :param text: the block as it is, None for a new one.
    :param path: for the message.
    :raises BootLoaderError: the block is not one, or has no room.
    """
    if text is None:
        text = SIGNATURE + "#" * (SIZE - len(SIGNATURE))
    used = text.rstrip("#")
    if not text.startswith(SIGNATURE) or not used.endswith("\n"):
        raise BootLoaderError(
            f"{path} is not an environment block that GRUB can read; make it anew with 'grub2-editenv {path} create' "
            "and set its variables again"
        )
    line = "{}={}\n".format(name, value.replace("\\", "\\\\").replace("\n", "\\\n"))
    size = _size(text)
    for match in _VARIABLE.finditer(used):
        if match.group(1) == name:
            used = used[: match.start()] + line + used[match.end() :]
            break
    else:
        used += line
    if _size(used) > size:
        raise BootLoaderError(
            f"{path} has no room for {name}: it has {size} bytes and would need {_size(used)}; "
            f"take arguments out of {name} that no kernel needs any more, or variables that nothing reads"
        )
    return used + "#" * (size - _size(used))


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogateescape"))
