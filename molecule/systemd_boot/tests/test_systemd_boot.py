# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host with systemd-boot whose kernel was updated: the update kept the value."""

import json
import typing as t

VALUE = "crashkernel=256M"


def test_systemd_boot_booted_it(host: t.Any) -> None:
    assert "Product: systemd-boot" in host.run("bootctl status --no-pager").stdout


def test_both_kernels_have_the_value(host: t.Any) -> None:
    """Those that were there got it from the module, the new one from kernel-install."""
    lines = host.check_output("cat /boot/efi/loader/entries/*.conf").splitlines()
    options = [line.split() for line in lines if line.startswith("options")]
    assert len(options) == 2
    for words in options:
        assert [word for word in words if word.startswith("crashkernel=")] == [VALUE]


def test_systemd_itself_reads_the_entries_so(host: t.Any) -> None:
    entries = json.loads(host.check_output("bootctl list --json=short"))
    (default,) = [entry for entry in entries if entry.get("isDefault")]
    assert VALUE in default["options"].split()
    assert default["version"] == host.check_output("uname -r")
