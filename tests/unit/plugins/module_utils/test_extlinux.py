# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import shutil
import subprocess
import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.argument import (
    CRASHKERNEL,
    Argument,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.base import (
    BootLoaderError,
    FileChange,
    next_entry,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.extlinux import (
    DROPIN,
    Extlinux,
    edit,
    parse_config,
    render_dropin,
)
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost
from ansible_collections.kdump.fleet.tests.unit.plugins.module_utils.loaders import extlinux
from ansible_collections.kdump.fleet.tests.unit.plugins.module_utils.loaders.base import build

BY_NAME = {scenario.name: scenario for scenario in extlinux.SCENARIOS}


def host_of(name: str, tmp_path: t.Any) -> FakeHost:
    return t.cast("FakeHost", build(BY_NAME[name], str(tmp_path)))


MENU = "LABEL a\n  LINUX /Image\n  APPEND x\n\nlabel b\n\tkernel /Image\n\tappend y\n"
DEFAULTS = [
    ("", "a"),
    ("DEFAULT b\n", "b"),
    ("default menu.c32\n", "a"),
    ("DEFAULT b\nONTIMEOUT a\n", "a"),
    ("default nothing\n", "a"),
]


@pytest.mark.parametrize("header, expected", DEFAULTS)
def test_the_entry_that_is_taken(header: str, expected: str) -> None:
    assert parse_config(header + MENU)[1] == expected


COMMON = "DEFAULT a\nAPPEND root=x ro\nLABEL a\n  KERNEL /vmlinuz-1\n  INITRD /i\nLABEL b\n  KERNEL /vmlinuz-2\n  APPEND -\n"


def test_what_syslinux_appends_to_every_entry_is_kept() -> None:
    assert [label.append for label in parse_config(COMMON, True)[0]] == ["root=x ro", ""]
    after = edit(COMMON, ["1M"], CRASHKERNEL, True)
    assert after == COMMON.replace("nuz-1\n", "nuz-1\n  append root=x ro crashkernel=1M\n").replace(
        "APPEND -", "APPEND crashkernel=1M"
    )
    labels = parse_config(edit(after, [], CRASHKERNEL, True), True)[0]
    assert [label.append for label in labels] == ["root=x ro", ""]


def test_a_kernel_whose_release_ends_in_zero_is_linux() -> None:
    text = "label a\n kernel /vmlinuz-6.0\n append x\nlabel b\n kernel pxelinux.0\n append y\n"
    assert edit(text, ["1M"], CRASHKERNEL) == text.replace(" x", " x crashkernel=1M")


def test_u_boot_passes_over_what_stands_above_the_entries() -> None:
    assert [label.append for label in parse_config(COMMON)[0]] == ["", "-"]


def test_a_mark_inside_of_an_entry_counts_for_a_menu() -> None:
    text = "DEFAULT menu.c32\n" + MENU.replace(
        "\tkernel", "\tmenu default\n\tMENU LABEL ^Bee\n\tkernel"
    )
    labels, default = parse_config(text)
    assert (default, labels[1].title) == ("b", "Bee")


EDITS: t.List[t.Tuple[str, t.List[str], str]] = [
    (MENU, ["1M"], MENU.replace("APPEND x", "APPEND x crashkernel=1M").replace("append y", "append y crashkernel=1M")),
    ("label a\n\tlinux /Image\n\tappend x \n", ["1M"], "label a\n\tlinux /Image\n\tappend x crashkernel=1M \n"),
    ("label a\n\tlinux /Image\n\tfdt /x\n", ["1M"], "label a\n\tlinux /Image\n\tappend crashkernel=1M\n\tfdt /x\n"),
    ("label a\n append x crashkernel=1 y\n linux /Image", [], "label a\n append x y\n linux /Image"),
    ("label a\n linux /Image\n append x single\n", ["1M"], "label a\n linux /Image\n append x single\n"),
    ("label m\n kernel memtest\n append x\n", ["1M"], "label m\n kernel memtest\n append x\n"),
    ("label r\n com32 reboot.c32\n", ["1M"], "label r\n com32 reboot.c32\n"),
    ("# label a\n# append x\n" + MENU, ["1M"], "# label a\n# append x\n" + MENU.replace("D x", "D x crashkernel=1M").replace("d y", "d y crashkernel=1M")),
]  # fmt: skip


@pytest.mark.parametrize("text, values, expected", EDITS)
def test_edits_keep_the_rest(text: str, values: t.List[str], expected: str) -> None:
    assert edit(text, values, CRASHKERNEL) == expected
    assert edit(expected, values, CRASHKERNEL) == expected


EARLY = Argument("rd.earlykdump")
SOURCED = [
    (CRASHKERNEL, ["256M"], "rw quiet crashkernel=1", False, "rw quiet crashkernel=256M"),
    (CRASHKERNEL, ["1G,high", "72M,low"], "", False, "ro quiet crashkernel=1G,high crashkernel=72M,low"),
    (CRASHKERNEL, [], "rw crashkernel=1", True, "rw"),
    # Then u-boot-update takes that file, and root= out of it.
    (CRASHKERNEL, ["256M"], "", True, ""),
    (EARLY, [""], "rw rd.earlykdump=0 crashkernel=1", False, "rw crashkernel=1 rd.earlykdump"),
    (EARLY, [""], "", False, "ro quiet rd.earlykdump"),
    (EARLY, [], "rd.earlykdump rw", True, "rw"),
]  # fmt: skip


@pytest.mark.parametrize("argument, values, before, cmdline, expected", SOURCED)
def test_the_dropin_does_in_a_shell_what_it_says(
    tmp_path: t.Any,
    argument: Argument,
    values: t.List[str],
    before: str,
    cmdline: bool,
    expected: str,
) -> None:
    text = render_dropin(values, argument).replace("/etc/kernel/cmdline", str(tmp_path / "cmdline"))
    (tmp_path / "dropin").write_text(text)
    if cmdline:
        (tmp_path / "cmdline").write_text("root=x y\n")
    done = subprocess.run(
        [shutil.which("sh") or "sh", "-eu", "-c", '. "$1"; printf %s "$U_BOOT_PARAMETERS"', "sh", str(tmp_path / "dropin")],
        env=dict(os.environ, U_BOOT_PARAMETERS=before),
        stdout=subprocess.PIPE,
        check=True,
    )  # fmt: skip
    assert done.stdout.decode() == expected


def test_the_dropin_goes_when_nobody_else_has_the_word(tmp_path: t.Any) -> None:
    host, loader = host_of("u-boot-menu-unset", tmp_path), Extlinux()
    host.put(DROPIN, render_dropin(["256M"], CRASHKERNEL))
    (change,) = loader.plan(host, [])
    assert isinstance(change, FileChange) and (change.path, change.after) == (DROPIN, None)


def test_a_tool_that_is_switched_off_leaves_the_menu_to_us(tmp_path: t.Any) -> None:
    host, loader = host_of("u-boot-menu", tmp_path), Extlinux()
    host.put("/etc/u-boot-menu/conf.d/off.conf", "U_BOOT_UPDATE=false\n")
    (change,) = loader.plan(host, ["300M"])
    assert isinstance(change, FileChange) and change.path == extlinux.CONFIG
    loader.regenerate(host)
    assert host.runner.started == []


def test_a_setting_that_is_not_understood_does_not_hide_the_tool(tmp_path: t.Any) -> None:
    host = host_of("u-boot-menu", tmp_path)
    host.put("/etc/u-boot-menu/conf.d/odd.conf", "cat <<E\nE\n")
    Extlinux().regenerate(host)
    assert [list(argv) for argv in host.runner.started] == [["u-boot-update"]]


def test_releases(tmp_path: t.Any) -> None:
    for name, expected in (
        ("alpine-extlinux", "6.12.40-0-lts"),
        ("l4t", "5.15.148-tegra"),
        ("u-boot-menu", "6.12.41+deb13-arm64"),
    ):
        chosen = next_entry(Extlinux().entries(host_of(name, tmp_path / name)))
        assert chosen is not None and chosen.kernel_release == expected


def test_suses_old_menu_for_u_boot_is_refused(tmp_path: t.Any) -> None:
    host = host_of("l4t", tmp_path)
    host.put("/etc/sysconfig/bootloader", 'LOADER_TYPE="u-boot"\n')
    with pytest.raises(BootLoaderError, match="U_BOOT_CMDLINE_LINUX_DEFAULT"):
        Extlinux().plan(host, ["300M"])


def test_alpines_settings_that_cannot_be_edited(tmp_path: t.Any) -> None:
    host, loader = host_of("alpine-extlinux", tmp_path), Extlinux()
    path = "/etc/update-extlinux.conf"
    host.put(path, (host.read(path) or "") + 'default_kernel_opts="$(echo crashkernel=1M)"\n')
    with pytest.raises(BootLoaderError, match=f"{path} line"):
        loader.plan(host, ["300M"])
    loader.regenerate(host)
    assert loader.plan(host, ["1M"]) == []


def test_nothing_there(host: FakeHost) -> None:
    assert not Extlinux().present(host)
    with pytest.raises(BootLoaderError, match="are you root"):
        Extlinux().entries(host)
    host.put(extlinux.CONFIG, "DEFAULT x\n")
    assert not Extlinux().present(host)
