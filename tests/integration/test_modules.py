# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every changing module four times: check, do, again, check again."""

from __future__ import annotations

import typing as t

import pytest
from light_host import LightHost

CONF = "/etc/default/kdump-tools"
DROPIN = "/etc/default/grub.d/zz-kdump-fleet.cfg"
INITRD = "/var/lib/kdump/initrd.img-6.1.0-2-amd64"


def four_steps(light: LightHost, name: str, arguments: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    before = light.snapshot()
    would = light.module(name, arguments, "--check", "--diff")
    assert light.snapshot() == before, "check mode changed the host"
    did = light.module(name, arguments, "--diff")
    after = light.snapshot()
    again = light.module(name, arguments)
    would_again = light.module(name, arguments, "--check")
    assert light.snapshot() == after
    results = [would, did, again, would_again]
    assert [result.get("changed") for result in results] == [True, True, False, False], results
    assert would["diff"] == did["diff"]
    return results


def test_kdump_conf(light: LightHost) -> None:
    _would, did, *_rest = four_steps(
        light, "kdump_conf", {"settings": {"KDUMP_NUM_DUMPS": 3, "USE_KDUMP": 1}}
    )
    assert did["path"] == CONF
    assert light.read(CONF) == (
        '# site\nUSE_KDUMP=1\nKDUMP_COREDIR="/var/crash"\n#KDUMP_NUM_DUMPS=\nKDUMP_NUM_DUMPS="3"\nSITE_OWN="kept"\n'
    )


def test_kdump_conf_takes_a_setting_out(light: LightHost) -> None:
    four_steps(light, "kdump_conf", {"settings": {"USE_KDUMP": None}})
    assert "USE_KDUMP" not in (light.read(CONF) or "")


def test_crashkernel(light: LightHost) -> None:
    _would, did, *_rest = four_steps(light, "crashkernel", {"value": ["256M"]})
    assert did["reboot_required"] is True and did["running"] == ["384M-:128M"]
    grub = light.read("/boot/grub/grub.cfg") or ""
    assert grub.count("crashkernel=256M") == 2 and "384M" not in grub
    assert grub.count("root=UUID=1 ro") == 4 and grub.count("console=ttyS0") == 4
    facts = light.module("kdump_info", {})
    assert facts["boot_loader"]["crashkernel"]["words"] == ["256M"]


def test_crashkernel_of_several_words(light: LightHost) -> None:
    four_steps(light, "crashkernel", {"value": ["512M,high", "128M,low"]})
    assert (light.read("/boot/grub/grub.cfg") or "").count(
        "crashkernel=512M,high crashkernel=128M,low"
    ) == 2


def test_crashkernel_auto_says_how_it_came_to_its_figure(light: LightHost) -> None:
    light.module("crashkernel", {"value": ["16M"]})
    _would, did, again, _would_again = four_steps(light, "crashkernel", {"value": ["auto"]})
    assert did["before"] == ["16M"] and did["after"] == did["value"]
    size = did["next_boot"]["size"]
    assert size % (16 << 20) == 0 and did["after"] == [f"{size >> 20}M"]
    assert did["bytes_reserved"] == 128 << 20
    assert did["reasoning"][0].startswith(f"auto: {size >> 20} MiB; an estimate of")
    assert "they stay" in again["reasoning"][-1]


def test_crashkernel_distro(light: LightHost) -> None:
    light.module("crashkernel", {"value": ["256M"]})
    _would, did, *_rest = four_steps(light, "crashkernel", {"value": ["distro"]})
    assert did["after"] == ["384M-:128M"] and did["next_boot"]["size"] == 128 << 20


def test_crashkernel_for_one_kernel_alone_is_refused_by_grub(light: LightHost) -> None:
    before = light.snapshot()
    result = light.module("crashkernel", {"value": ["256M"], "kernel": "DEFAULT"})
    assert result["failed"] and "use 'kernel: ALL'" in result["msg"]
    result = light.module("crashkernel", {"value": ["256M"], "kernel": "9.9"})
    assert (
        result["failed"] and "there is no kernel '9.9' to boot; there are: 6.1.0-" in result["msg"]
    )
    assert light.snapshot() == before


def test_crashkernel_refuses_a_next_boot_that_it_cannot_decide(light: LightHost) -> None:
    light.write(
        "/boot/grub/grub.cfg",
        "### BEGIN /etc/grub.d/09_custom ###\nmenuentry 'mine' {\n\tlinux /boot/vmlinuz-6.1 root=x\n}\n"
        "### END /etc/grub.d/09_custom ###\n" + (light.read("/boot/grub/grub.cfg") or ""),
    )
    before = light.snapshot()
    result = light.module("crashkernel", {"value": ["256M"]})
    assert result["failed"] and "boots 'mine', which its defaults do not decide" in result["msg"]
    assert "back as it was" not in result["msg"] and light.snapshot() == before


def test_crashkernel_absent(light: LightHost) -> None:
    four_steps(light, "crashkernel", {"state": "absent"})
    assert "crashkernel=" not in (light.read("/boot/grub/grub.cfg") or "")


def test_crashkernel_takes_back_what_update_grub_cannot_do(light: LightHost) -> None:
    before = light.snapshot()
    light.write("/etc/test-update-grub-fails", "")
    result = light.module("crashkernel", {"value": ["256M"]})
    assert result["failed"] and "grub-probe: error: no device" in result["msg"]
    light.remove("/etc/test-update-grub-fails")
    assert light.snapshot() == before


def test_crashkernel_takes_back_what_has_no_effect(light: LightHost) -> None:
    before = light.snapshot()
    light.write("/etc/test-grub-stubborn", " crashkernel=1M")
    result = light.module("crashkernel", {"value": ["256M"]})
    assert result["failed"] and "still has crashkernel=256M 1M" in result["msg"]
    assert light.read(DROPIN) is None
    light.remove("/etc/test-grub-stubborn")
    light.run("update-grub")
    assert light.snapshot() == before


@pytest.mark.parametrize(
    "value, message",
    [
        (["2G"], "not less than the host's RAM (1023 MiB)"),
        (["automatic"], "a size is expected"),
        (["256M\nx"], "must hold a size or ranges alone"),
        (["256M$(reboot)"], "must hold a size or ranges alone"),
        ([], "there is no crashkernel="),
    ],
)
def test_crashkernel_refuses(light: LightHost, value: list[str], message: str) -> None:
    before = light.snapshot()
    result = light.module("crashkernel", {"value": value})
    assert result["failed"] and message in result["msg"], result
    assert light.snapshot() == before


def test_kdump_load(light: LightHost) -> None:
    light.write("/sys/kernel/kexec_crash_loaded", "0\n")
    _would, did, *_rest = four_steps(light, "kdump_load", {})
    assert did["loaded"] is True and did["built"] == []


def test_kdump_load_builds_a_missing_initrd(light: LightHost) -> None:
    light.remove(INITRD)
    _would, did, *_rest = four_steps(light, "kdump_load", {})
    assert did["built"] == [f"{INITRD} does not exist"]
    assert light.read(INITRD)


def test_kdump_load_keeps_the_old_initrd_when_the_build_fails(light: LightHost) -> None:
    light.write("/etc/kdump/sysctl.conf", "vm.nr_hugepages=1\n")
    light.write("/etc/test-mkinitramfs-fails", "")
    result = light.module("kdump_load", {})
    assert result["failed"] and "no space left on device" in result["msg"]
    assert result["msg"].endswith("the host is armed")
    assert light.read(INITRD) == "initrd\n"


def test_a_configuration_that_does_not_load_is_taken_back(light: LightHost) -> None:
    before = light.read(CONF)
    both = {"KDUMP_KERNEL": "/boot/none", "KDUMP_INITRD": "/boot/none.img"}
    light.module("kdump_conf", {"settings": both})
    assert light.read(CONF) != before
    result = light.module("kdump_load", {})
    assert result["failed"] and "KDUMP_KERNEL does not exist: /boot/none" in result["msg"]
    assert f"the previous {CONF}, " in result["msg"] and "is back" in result["msg"]
    assert light.read(CONF) == before
    assert light.read("/sys/kernel/kexec_crash_loaded") == "1\n"


def test_kdump_info_changes_nothing_and_names_everything(light: LightHost) -> None:
    before = light.snapshot()
    facts = light.module("kdump_info", {})
    assert light.snapshot() == before
    assert facts["changed"] is False
    assert facts["loaded"] is True and facts["reserved"] == 128 << 20
    assert facts["crashkernel"]["size"] == 128 << 20
    assert facts["memory"]["total"] == 1023 << 20
    assert facts["unsupported"] == []


def test_kdump_info_on_a_container(light: LightHost) -> None:
    light.write("/etc/test-container", "lxc\n")
    facts = light.module("kdump_info", {})
    assert not facts.get("failed") and "container (lxc)" in facts["unsupported"][0]


def test_vmcore_info_tells_what_is_wrong(light: LightHost) -> None:
    light.write("/var/crash/dump", "half a dump")
    result = light.module("vmcore_info", {"path": "/var/crash/dump"})
    assert result["complete"] is False and "neither" in result["problem"]
    result = light.module("vmcore_info", {"path": "/var/crash/none"})
    assert result["failed"] and "cannot be read" in result["msg"]
