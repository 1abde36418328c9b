# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Debian 12 with GRUB; update-grub is played by a real shell that reads the same files in the same order."""

import os
import shutil
import subprocess
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.grub import Grub
from ansible_collections.kdump.fleet.plugins.module_utils.runner import Result
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import GRUB_CFG, FakeHost
from ansible_collections.kdump.fleet.tests.unit.plugins.module_utils.loaders.base import Scenario

_READ = """\
. "$1/etc/default/grub"
for file in "$1"/etc/default/grub.d/*.cfg; do [ -e "$file" ] && . "$file"; done
printf '%s\\n%s\\n' "${GRUB_CMDLINE_LINUX:-}" "${GRUB_CMDLINE_LINUX_DEFAULT:-}"
"""


def sourced(host: FakeHost) -> t.List[str]:
    """Return GRUB_CMDLINE_LINUX and GRUB_CMDLINE_LINUX_DEFAULT as grub-mkconfig would see them."""
    shell = shutil.which("sh") or "sh"
    done = subprocess.run([shell, "-c", _READ, "sh", host.root], stdout=subprocess.PIPE, check=True)
    return done.stdout.decode().split("\n")[:2]


def update_grub(host: FakeHost, argv: t.List[str]) -> Result:
    always, default = sourced(host)
    words = " ".join(f"{always} {default}".split())
    text = GRUB_CFG.replace("root=UUID=1 ro quiet@NEXT@", f"root=UUID=1 ro {words}")
    text = text.replace("ro single", f"ro single {always}".rstrip())
    if host.exists("/boot/vmlinuz-6.1.0-3-amd64"):
        end = "### END "
        text = text.replace(
            end,
            f"menuentry 'Debian, with Linux 6.1.0-3-amd64' {{\n  linux /boot/vmlinuz-6.1.0-3-amd64 root=UUID=1 ro {words}\n}}\n"
            + end,
        )
    # As grub-mkconfig does: beside it, then in its place.
    host.put("/boot/grub/grub.cfg.new", text)
    os.replace(host.path("/boot/grub/grub.cfg.new"), host.path("/boot/grub/grub.cfg"))
    return Result(0, "", "")


def add_kernel(host: FakeHost) -> None:
    host.put("/boot/vmlinuz-6.1.0-3-amd64", "")
    update_grub(host, ["update-grub"])


SCENARIOS = [
    Scenario(
        name="debian-grub",
        loader=Grub,
        files={
            "/etc/default/grub": 'GRUB_CMDLINE_LINUX_DEFAULT="quiet"\nGRUB_CMDLINE_LINUX="console=ttyS0,115200"\n',
            "/etc/default/grub.d/kdump-tools.cfg": 'GRUB_CMDLINE_LINUX_DEFAULT="$GRUB_CMDLINE_LINUX_DEFAULT crashkernel=384M-:128M"\n',
        },
        tools={"update-grub": update_grub},
        add_kernel=add_kernel,
        kernels=3,
        prepare=lambda host: t.cast("None", update_grub(host, ["update-grub"])),
        verified="the files of kdump-tools 1.8.1 and grub2-common 2.06 of Debian 12",
    )
]
