# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""/etc/kernel/cmdline: the arguments that kernel-install's scripts give to a kernel that comes later."""

import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader import bls
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.argument import Argument
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.base import (
    FileChange,
    with_values,
)
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host

PATH = "/etc/kernel/cmdline"
VENDOR = "/usr/lib/kernel/cmdline"
RUNNING = "/proc/cmdline"


def in_text(text: str, values: t.Sequence[str], argument: Argument) -> str:
    """Return a file of arguments with exactly these values of one of them; comments and the end of line stay."""
    body = text.rstrip()
    lines = body.split("\n")
    # kernel-install passes over such lines since systemd 253.
    places = [at for at, line in enumerate(lines) if not line.lstrip().startswith("#")]
    after = bls.set_values([lines[at] for at in places], values, argument)
    for at, line in zip(places, after):
        lines[at] = line
    return "\n".join(lines + after[len(places) :]) + (text[len(body) :] or "\n")


def change(
    host: Host,
    values: t.Sequence[str],
    argument: Argument,
    model: str,
    create: bool = True,
    vendor: bool = True,
) -> t.Optional[FileChange]:
    """Return what gives later kernels these values of an argument, or None if they have them already.

    Without the file, the scripts take the vendor's, and without that one the running kernel's arguments. Those may
    be of a boot that somebody changed by hand, so a new file begins with a boot entry's arguments.

    :param model: the arguments of the entry that the next boot takes.
    :param create: whether to make the file if there is none.
    :param vendor: whether this host's script reads the vendor's file.
    """
    text = host.read(PATH)
    if text is not None and text.strip():
        after = in_text(text, values, argument)
        return None if after == text else FileChange(PATH, text, after)
    given = (host.read(VENDOR) or "").strip() if vendor else ""
    if not create or not (given or model):
        return None
    if argument.values(given or host.read(RUNNING) or "") == list(values):
        return None
    return FileChange(PATH, text, with_values(given or model, values, argument) + "\n")
