# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.owners import owners
from ansible_collections.kdump.fleet.plugins.module_utils.checks import findings
from ansible_collections.kdump.fleet.plugins.module_utils.observe import observe
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost

KDUMPCTL = "#!/bin/bash\n# auto_reset_crashkernel\n"
OWNERS: t.List[t.Tuple[str, t.Dict[str, str], str]] = [
    ("tuned", {"/etc/tuned/bootcmdline": 'TUNED_BOOT_CMDLINE="isolcpus=1 crashkernel=1G"\n'}, "/etc/tuned/bootcmdline"),
    (
        "tuned",
        {"/etc/tuned/active_profile": "mine\n", "/etc/tuned/mine/tuned.conf": "[bootloader]\ncmdline_mine=+crashkernel=1G\n"},
        "/etc/tuned/mine/tuned.conf",
    ),
    (
        "tuned",
        {
            "/etc/tuned/active_profile": "mine\n",
            "/etc/tuned/mine/tuned.conf": "[main]\ninclude=mine, base\n",
            "/usr/lib/tuned/base/tuned.conf": "[bootloader]\ncmdline=crashkernel=1G\n",
        },
        "/usr/lib/tuned/base/tuned.conf",
    ),
    ("auto_reset_crashkernel", {"/etc/kdump.conf": "path /var/crash\n", "/usr/bin/kdumpctl": KDUMPCTL}, "/etc/kdump.conf"),
    ("auto_reset_crashkernel", {"/etc/kdump.conf": "auto_reset_crashkernel yes\n", "/usr/bin/kdumpctl": KDUMPCTL}, "/etc/kdump.conf"),
    ("KDUMP_UPDATE_BOOTLOADER", {"/etc/sysconfig/kdump": 'KDUMP_CRASHKERNEL="auto"\n'}, "/etc/sysconfig/kdump"),
    ("grub.d", {"/etc/default/grub.d/99-mine.cfg": 'GRUB_CMDLINE_LINUX="crashkernel=1G"\n'}, "/etc/default/grub.d/99-mine.cfg"),
    ("cloud-init", {"/etc/cloud/cloud.cfg.d/90.cfg": "bootcmd: [grubby --args crashkernel=1G]\n"}, "/etc/cloud/cloud.cfg.d/90.cfg"),
]  # fmt: skip
NOBODY: t.List[t.Dict[str, str]] = [
    {"/etc/tuned/bootcmdline": "# TUNED_BOOT_CMDLINE=crashkernel=1G\nTUNED_BOOT_CMDLINE=isolcpus=1\n"},
    {"/etc/tuned/active_profile": "../../x\n", "/etc/x/tuned.conf": "cmdline=crashkernel=1G\n"},
    {"/etc/kdump.conf": "auto_reset_crashkernel no\n", "/usr/bin/kdumpctl": KDUMPCTL},
    {"/etc/kdump.conf": "path /var/crash\n", "/usr/bin/kdumpctl": "#!/bin/bash\n"},
    {"/etc/sysconfig/kdump": 'KDUMP_CRASHKERNEL="auto"\nKDUMP_UPDATE_BOOTLOADER="false"\n'},
    {"/etc/sysconfig/kdump": 'KDUMP_SAVEDIR="/var/crash"\n'},
    {"/etc/default/grub.d/50-cloudimg-settings.cfg": 'GRUB_CMDLINE_LINUX_DEFAULT="console=ttyS0"\n'},
]  # fmt: skip


@pytest.mark.parametrize("name, files, path", OWNERS)
def test_who_else_sets_it_is_reported(
    debian: FakeHost, name: str, files: t.Dict[str, str], path: str
) -> None:
    for place, text in files.items():
        debian.put(place, text)
    (owner,) = owners(debian, ["256M"])
    assert (owner.name, owner.path) == (name, path)
    found = [finding for finding in findings(observe(debian)) if finding.check == "crashkernel_owner"]  # fmt: skip
    assert [finding.severity for finding in found] == ["warning"]


@pytest.mark.parametrize("files", NOBODY)
def test_who_does_not_is_not(debian: FakeHost, files: t.Dict[str, str]) -> None:
    for place, text in files.items():
        debian.put(place, text)
    assert owners(debian, ["256M"]) == []


@pytest.mark.parametrize(
    "values, competing",
    [
        (["256M"], False),
        (["1G,high", "128M,low"], False),
        (["256M", "1G,cma"], False),
        (["256M", "512M"], True),
        (["256M", "1G,high"], True),
        ([], False),
    ],
)
def test_a_second_word_is_somebody_elses(
    debian: FakeHost, values: t.List[str], competing: bool
) -> None:
    assert bool(owners(debian, values)) is competing
