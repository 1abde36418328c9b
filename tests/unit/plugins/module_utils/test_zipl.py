# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.apply import apply
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.base import (
    BootLoaderError,
    Command,
    FileChange,
    select,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.zipl import Zipl, parse
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost
from ansible_collections.kdump.fleet.tests.unit.plugins.module_utils.loaders import zipl as hosts
from ansible_collections.kdump.fleet.tests.unit.plugins.module_utils.loaders.base import build
from ansible_collections.kdump.fleet.tests.unit.plugins.module_utils.test_loaders import settle

NAMED = {scenario.name: scenario for scenario in hosts.SCENARIOS}
LOADER = Zipl()


def made(name: str, tmp_path: t.Any, config: str = "") -> FakeHost:
    host = t.cast("FakeHost", build(NAMED[name], str(tmp_path)))
    if config:
        host.put("/etc/zipl.conf", config)
        host.put("/boot/vmlinuz-1", "")
        host.put("/boot/vmlinuz-2", "")
    return host


def test_a_configuration_is_read_as_zipl_reads_it() -> None:
    text = '[defaultboot]\n defaultauto\ntarget=/boot\n# no\n:m\n1 = a\ndefault = 1\n[a]\n\timage = "/boot/i,0x10000" \n  parameters=\'x "y"\' \n'
    sections = parse(text)
    assert [(section.name, section.menu) for section in sections] == [
        ("defaultboot", False),
        ("m", True),
        ("a", False),
    ]
    assert set(sections[0].values) == {"defaultauto", "target"}
    assert sections[1].numbers == [(1, "a")]
    value = sections[2].values["parameters"]
    assert value.text == 'x "y"' == text[value.start : value.end]
    assert sections[2].values["image"].indent == "\t"


DEFAULTS: t.List[t.Tuple[str, t.List[str], str]] = [
    ("[defaultboot]\ndefault=b\n", ["b"], "b"),
    ("[defaultboot]\ndefault=b\ntarget=/boot\n", ["a", "b"], "b"),
    ("[defaultboot]\ndefaultauto\ntarget=/boot\n", ["a", "b"], "a"),
    ("[defaultboot]\ndefaultmenu=m\n:m\ntarget=/boot\n2=b\n1=a\n", ["b", "a"], "b"),
    ("[defaultboot]\ndefaultmenu=m\n:m\ntarget=/boot\n2=b\n1=a\ndefault=1\n", ["b", "a"], "a"),
]
SECTIONS = (
    "[a]\nimage=/boot/vmlinuz-1\ntarget=/boot\nparameters=x\n"
    "[b]\nimage=/boot/vmlinuz-2\ntarget=/boot\nparameters=y\n[d]\ntarget=/boot\ndumpto=/dev/dasdb1\n"
)


# Each was given to s390-tools' own scan.c, compiled.
@pytest.mark.parametrize("head, menu, default", DEFAULTS)
def test_the_menu_and_its_default_are_zipls(
    head: str, menu: t.List[str], default: str, tmp_path: t.Any
) -> None:
    entries = LOADER.entries(made("ubuntu-zipl", tmp_path, head + SECTIONS))
    assert [entry.title for entry in entries] == menu
    assert [entry.title for entry in entries if entry.default] == [default]


def test_a_section_without_parameters_gets_a_line_and_loses_none(tmp_path: t.Any) -> None:
    config = "[defaultboot]\ndefault=a\n[a]\n  image=/boot/vmlinuz-1\n  target=/boot\n"
    host = made("ubuntu-zipl", tmp_path, config)
    settle(host, LOADER, ["300M"])
    assert host.read("/etc/zipl.conf") == config.replace(
        "vmlinuz-1\n", 'vmlinuz-1\n  parameters="crashkernel=300M"\n'
    )


def test_a_file_of_parameters_is_changed_where_a_section_has_no_other_place(
    tmp_path: t.Any,
) -> None:
    config = (
        "[defaultboot]\ntarget=/boot\n[a]\nimage=/boot/vmlinuz-1\nparmfile=/boot/parm,0x1000\n"
        "[b]\nimage=/boot/vmlinuz-2\nparmfile=/boot/own\nparameters=x\n"
    )
    host = made("ubuntu-zipl", tmp_path, config)
    host.put("/boot/parm", "root=1\n\ncrashkernel=1 ro\n")
    host.put("/boot/own", "root=2 crashkernel=2\n")
    assert [entry.arguments for entry in LOADER.entries(host)] == [
        "root=1 crashkernel=1 ro ",
        "root=2 crashkernel=2 x",
    ]
    settle(host, LOADER, ["300M"])
    assert host.read("/boot/parm") == "root=1\n\ncrashkernel=300M ro\n"
    assert host.read("/boot/own") == "root=2\n"
    assert (host.read("/etc/zipl.conf") or "").endswith("parameters=x crashkernel=300M\n")


def test_rescue_sections_stay(tmp_path: t.Any) -> None:
    config = "[defaultboot]\ntarget=/boot\ndefault=a\n[a]\nimage=/boot/vmlinuz-1\nparameters=x\n[b]\nimage=/boot/vmlinuz-1\nparameters=x single\n"
    host = made("ubuntu-zipl", tmp_path, config)
    settle(host, LOADER, ["300M"])
    assert [entry.crashkernel for entry in LOADER.entries(host)] == [["300M"], []]


def test_a_boot_record_that_is_older_than_its_sources_is_written_again(tmp_path: t.Any) -> None:
    host = made("el9-zipl", tmp_path)
    for change in LOADER.plan(host, ["300M"]):
        if isinstance(change, FileChange):
            host.write(change.path, change.after or "")
    before = t.cast("t.Any", host.runner).started[:]
    changes = LOADER.plan(host, ["300M"])
    assert [isinstance(change, Command) and change.argv for change in changes] == [["zipl"]]
    assert settle(host, LOADER, ["300M"])
    # The command did it; nothing is done twice.
    assert t.cast("t.Any", host.runner).started[len(before) :] == [["zipl"]]
    assert LOADER.plan(host, ["300M"]) == []
    # Touched, with the same content.
    os.utime(host.path("/etc/zipl.conf"))
    assert LOADER.plan(host, ["300M"]) == []


def test_a_missing_boot_record_is_no_reason_to_run_for_ever(tmp_path: t.Any) -> None:
    host = made("el9-zipl", tmp_path)
    settle(host, LOADER, ["300M"])
    host.remove("/boot/bootmap")
    assert LOADER.plan(host, ["300M"]) == []


def test_one_section_alone(tmp_path: t.Any) -> None:
    host = made("ubuntu-zipl", tmp_path)
    changes = LOADER.plan_kernels(host, ["300M"], select(LOADER.entries(host), "6.8.0-30-generic"))
    apply(host, LOADER, changes, ["300M"], "6.8.0-30-generic")
    assert [entry.crashkernel for entry in LOADER.entries(host)] == [["196M"], ["300M"]]
    config = (host.read("/etc/zipl.conf") or "").replace("[old]\n", "[old]\nparmfile=/boot/p\n")
    host.put("/etc/zipl.conf", config.replace("[ubuntu]\n", "[ubuntu]\nparmfile=/boot/p\n"))
    host.put("/boot/p", "crashkernel=1\n")
    with pytest.raises(BootLoaderError, match="share /boot/p, .* use 'kernel: ALL'"):
        LOADER.plan_kernels(host, ["1G"], select(LOADER.entries(host), "DEFAULT"))


def test_what_cannot_be_set_is_refused(tmp_path: t.Any) -> None:
    host = made("ubuntu-zipl", tmp_path)
    host.put("/run/zipl/zipl.conf", hosts.UBUNTU)
    with pytest.raises(BootLoaderError, match="zipl reads /run/zipl/zipl.conf"):
        LOADER.plan(host, ["300M"])
    host.remove("/run/zipl/zipl.conf")
    for config in (
        "[a]\nimage=/b\n",
        "[defaultboot]\ndefault=b\n",
        "[defaultboot]\ndefaultmenu=m\n",
    ):
        host.put("/etc/zipl.conf", config)
        with pytest.raises(BootLoaderError, match="/etc/zipl.conf (has no|boots the)"):
            LOADER.entries(host)
    host.remove("/etc/zipl.conf")
    with pytest.raises(BootLoaderError, match="are you root"):
        LOADER.entries(host)


def test_grub_behind_zipl_is_left_to_others(tmp_path: t.Any) -> None:
    host = made("ubuntu-zipl", tmp_path)
    assert LOADER.present(host)
    host.put("/etc/default/zipl2grub.conf.in", "")
    assert not LOADER.present(host)


def test_the_vendors_own_configuration_will_do_where_there_are_entries(tmp_path: t.Any) -> None:
    host = made("el9-zipl", tmp_path)
    os.renames(host.path("/etc/zipl.conf"), host.path("/lib/s390-tools/zipl.conf"))
    assert LOADER.present(host)
    settle(host, LOADER, ["300M"])
    assert [entry.crashkernel for entry in LOADER.entries(host)][:2] == [["300M"], ["300M"]]
    assert host.read("/lib/s390-tools/zipl.conf") == hosts.EL
