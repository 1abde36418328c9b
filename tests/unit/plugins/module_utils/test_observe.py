# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later


import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.checks import findings
from ansible_collections.kdump.fleet.plugins.module_utils.observe import observe
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost

RAM = 0x9FBFF - 0x1000 + 1 + 0x3FFDCFFF - 0x100000 + 1


def test_an_armed_host(debian: FakeHost) -> None:
    facts = observe(debian)
    assert facts["loaded"] is True
    assert facts["reserved"] == 128 << 20
    assert facts["memory"]["total"] == RAM
    assert facts["crashkernel"]["size"] == 128 << 20
    assert facts["boot_loader"]["crashkernel"]["words"] == ["384M-:128M"]
    assert facts["boot_loader"]["kernel"] == "6.1.0-2-amd64"
    assert facts["tooling"]["name"] == "kdump-tools"
    assert facts["tooling"]["initrd"]["stale"] == []
    assert facts["tooling"]["service"]["enabled"] == "enabled"
    assert facts["target"]["free"] > 0
    assert facts["unsupported"] == []
    assert facts["kernel"]["options"]["KEXEC"] is True
    assert facts["kernel"]["options"]["KEXEC_FILE"] is False
    assert findings(facts) == []


def test_the_new_names_in_sysfs_go_first(debian: FakeHost) -> None:
    debian.put("/sys/kernel/kexec/crash_loaded", "0\n")
    debian.put("/sys/kernel/kexec/crash_size", "1048576\n")
    facts = observe(debian)
    assert (facts["loaded"], facts["reserved"]) == (False, 1 << 20)


def test_without_root_the_ram_comes_from_meminfo(debian: FakeHost) -> None:
    debian.put("/proc/iomem", "00000000-00000000 : System RAM\n")
    debian.put("/proc/meminfo", "MemTotal:         983040 kB\n")
    assert observe(debian)["memory"]["total"] == 983040 * 1024


def test_a_container_says_so(debian: FakeHost) -> None:
    debian.runner.answer("systemd-detect-virt", "--container", stdout="lxc\n")
    (reason,) = observe(debian)["unsupported"]
    assert reason.startswith("this is a container (lxc)")


def test_a_kernel_without_kexec_says_so(debian: FakeHost) -> None:
    debian.remove("/sys/kernel/kexec_crash_loaded")
    debian.remove("/sys/kernel/kexec_crash_size")
    debian.put(
        "/boot/config-6.1.0-2-amd64",
        "# CONFIG_KEXEC is not set\nCONFIG_CRASH_DUMP=y\nCONFIG_PROC_VMCORE=y\n",
    )
    facts = observe(debian)
    assert (facts["loaded"], facts["reserved"]) == (None, None)
    assert "no kexec" in facts["unsupported"][0]
    assert "CONFIG_KEXEC or CONFIG_KEXEC_FILE" in facts["unsupported"][1]


def test_an_empty_folder_is_a_host_too(host: FakeHost) -> None:
    facts = observe(host)
    assert facts["tooling"]["name"] is None
    assert facts["boot_loader"]["name"] is None


def test_secrets_stay_on_the_host(debian: FakeHost) -> None:
    debian.put("/etc/default/kdump-tools", 'FTP_PASSWORD="s3cret"\n')
    assert "s3cret" not in str(observe(debian))


CHANGES: t.List[t.Tuple[str, str, str]] = [
    ("/sys/kernel/kexec_crash_loaded", "0\n", "loaded"),
    ("/sys/kernel/kexec_crash_size", "0\n", "reserved"),
    ("/boot/grub/grub.cfg", "menuentry 'x' {\n\tlinux /boot/vmlinuz-1 ro\n}\n", "reboot_pending"),
]


@pytest.mark.parametrize("path, text, check", CHANGES)
def test_findings(debian: FakeHost, path: str, text: str, check: str) -> None:
    debian.put(path, text)
    assert check in [finding.check for finding in findings(observe(debian))]


def test_a_hardened_host_that_cannot_load(debian: FakeHost) -> None:
    debian.put("/sys/kernel/kexec_crash_loaded", "0\n")
    debian.put("/proc/sys/kernel/kexec_load_disabled", "1\n")
    assert "kexec_disabled" in [finding.check for finding in findings(observe(debian))]
