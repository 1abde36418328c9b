# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of packages of the role kdump_server, by the expression that the role itself has."""

from __future__ import annotations

import typing as t
from pathlib import Path

import pytest
import yaml
from ansible.plugins.filter.core import FilterModule
from jinja2.nativetypes import NativeEnvironment

VARS = Path(__file__).resolve().parents[4] / "roles/kdump_server/vars/main.yml"
GPG, AGE = {"program": "gpg", "recipients": ["x"]}, {"program": "age", "recipients": ["x"]}
FULL = [
    (
        "Debian",
        "Debian",
        "13",
        GPG,
        ["openssh-server", "makedumpfile", "gnupg", "nfs-kernel-server"],
    ),
    ("Debian", "Ubuntu", "24", AGE, ["openssh-server", "makedumpfile", "age", "nfs-kernel-server"]),
    ("RedHat", "Rocky", "9", GPG, ["openssh-server", "kexec-tools", "gnupg2", "nfs-utils"]),
    ("RedHat", "RedHat", "10", AGE, ["openssh-server", "makedumpfile", "age", "nfs-utils"]),
    ("RedHat", "Fedora", "9", GPG, ["openssh-server", "makedumpfile", "gnupg2", "nfs-utils"]),
    ("Suse", "SLES", "15", GPG, ["openssh-server", "makedumpfile", "gpg2", "nfs-kernel-server"]),
    ("Archlinux", "Archlinux", "NA", GPG, ["openssh", "gnupg", "nfs-utils"]),
    ("Gentoo", "Gentoo", "2", AGE, ["net-misc/openssh", "app-crypt/age", "net-fs/nfs-utils"]),
    ("Other", "Other", "1", GPG, ["openssh-server", "gnupg", "nfs-kernel-server"]),
]


@pytest.mark.parametrize("family, name, version, encrypt, wanted", FULL)
def test_every_family_has_its_packages(
    family: str, name: str, version: str, encrypt: dict[str, t.Any], wanted: list[str]
) -> None:
    assert packages(family, name, version, encrypt, [{"path": "/srv/x"}]) == wanted
    # Nothing is installed for what is not asked for.
    assert packages(family, name, version, None, []) == [
        each for each in wanted if "ssh" in each or each in ("makedumpfile", "kexec-tools")
    ]


def packages(
    family: str,
    name: str,
    version: str,
    encrypt: dict[str, t.Any] | None,
    exports: list[dict[str, t.Any]],
) -> list[str]:
    table = yaml.safe_load(VARS.read_text())
    environment = NativeEnvironment()
    environment.filters.update(FilterModule().filters())
    found: t.Any = environment.from_string(table["__kdump_server_packages"]).render(
        table,
        ansible_facts={
            "os_family": family,
            "distribution": name,
            "distribution_major_version": version,
        },
        kdump_server_encrypt=encrypt,
        kdump_server_exports=exports,
    )
    assert isinstance(found, list)
    return found
