# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.base import (
    BootLoaderError,
    differing,
    next_entry,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.grub import (
    Grub,
    in_system_language,
    parse_config,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.grub_mkconfig import (
    DEFAULTS,
    GrubMkconfig,
    loader_type,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.registry import detect
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost
from ansible_collections.kdump.fleet.tests.unit.plugins.module_utils.loaders import (
    grub_mkconfig as recorded,
)
from ansible_collections.kdump.fleet.tests.unit.plugins.module_utils.loaders import pbl as suse
from ansible_collections.kdump.fleet.tests.unit.plugins.module_utils.loaders.base import build

BY_NAME = {scenario.name: scenario for scenario in recorded.SCENARIOS + suse.SCENARIOS}


def host_of(name: str, tmp_path: t.Any) -> FakeHost:
    return t.cast("FakeHost", build(BY_NAME[name], str(tmp_path)))


def test_the_entry_that_grubenv_names_is_the_next_one(tmp_path: t.Any) -> None:
    chosen = next_entry(GrubMkconfig().entries(host_of("gentoo-saved-entry", tmp_path)))
    assert chosen is not None and chosen.kernel == "/boot/kernel-6.6.47-gentoo-dist"


def test_on_btrfs_suse_keeps_the_choice_where_its_own_tool_finds_it(tmp_path: t.Any) -> None:
    chosen = next_entry(BY_NAME["sles15-on-btrfs"].loader().entries(host_of("sles15-on-btrfs", tmp_path)))  # fmt: skip
    assert chosen is not None and chosen.kernel == "/boot/vmlinuz-6.4.0-150600.21-default"


def test_a_one_time_entry_goes_before_the_saved_one() -> None:
    text = 'if [ "${next_entry}" ] ; then\n   set default="${next_entry}"\nelse\n   set default="${saved_entry}"\nfi\n'
    for number in range(3):
        text += f"menuentry 'Linux {number}' {{\n\tlinux16 /vmlinuz-{number} a\n}}\n"
    for environment, expected in (
        ({"saved_entry": "1", "next_entry": "2"}, "/vmlinuz-2"),
        ({"saved_entry": "1"}, "/vmlinuz-1"),
        ({}, "/vmlinuz-0"),
    ):
        chosen = next_entry(parse_config(text, environment))
        assert chosen is not None and chosen.kernel == expected


SECTION = "### BEGIN /etc/grub.d/10_linux ###\n{}### END /etc/grub.d/10_linux ###\n"


def _entry(title: str, kernel: str, arguments: str = "ro", identity: str = "") -> str:
    return f"menuentry '{title}' $menuentry_id_option '{identity or title}' {{\n\tlinux {kernel} {arguments}\n}}\n"


COUNTED = [
    ("Arch Linux", "/boot/vmlinuz-linux", "ro", "", True),
    ("Arch Linux, with Linux linux (fallback initramfs)", "/boot/vmlinuz-linux", "ro", "", True),
    ("Gentoo", "/kernel-genkernel-x86_64-6.6.58-gentoo", "ro", "", True),
    ("SLES on s390x", "/boot/image-6.4.0-150600.23-default", "ro", "", True),
    ("SLES on arm64", "/boot/Image-6.4.0-150600.23-64kb", "ro", "", True),
    ("Linux (recovery mode)", "/vmlinuz-6.1", "ro", "", False),
    ("Linux (Wiederherstellungsmodus)", "/vmlinuz-6.1", "ro recovery", "gnulinux-6.1-recovery-u", False),
    ("Linux", "/vmlinuz-6.1", "ro single", "", False),
    ("CentOS Linux (0-rescue-aa) 7", "/vmlinuz-0-rescue-aa", "ro", "", False),
]  # fmt: skip


@pytest.mark.parametrize("title, kernel, arguments, identity, counts", COUNTED)
def test_which_entries_of_10_linux_count(
    title: str, kernel: str, arguments: str, identity: str, counts: bool
) -> None:
    (entry,) = parse_config(SECTION.format(_entry(title, kernel, arguments, identity)), {})
    assert entry.counts is counts


def test_other_scripts_entries_do_not_count_and_ubuntus_for_zfs_do() -> None:
    text = SECTION.format("") + (
        "### BEGIN /etc/grub.d/10_linux_zfs ###\n"
        "menuentry 'Ubuntu' {\n\tlinux \"/BOOT/ubuntu_1@/vmlinuz-6.8.0-31-generic\" root=ZFS=rpool ro\n}\n"
        "### END /etc/grub.d/10_linux_zfs ###\n### BEGIN /etc/grub.d/30_os-prober ###\n"
        + _entry("Void", "/vmlinuz-6.6.30_1")
        + "### END /etc/grub.d/30_os-prober ###\n"
    )
    assert [(entry.kernel, entry.own) for entry in parse_config(text, {})] == [
        ("/BOOT/ubuntu_1@/vmlinuz-6.8.0-31-generic", True),
        ("/vmlinuz-6.6.30_1", False),
    ]


def test_a_default_that_is_no_linux_is_not_called_the_next_entry() -> None:
    text = (
        'set default="1"\n' + _entry("Linux", "/vmlinuz-1") + "menuentry 'Setup' {\n\tfwsetup\n}\n"
    )
    assert next_entry(parse_config(text, {})) is None


def test_a_submenu_as_default_stands_for_its_first_entry() -> None:
    text = 'set default="1"\n' + _entry("Linux", "/vmlinuz-2")
    text += (
        "submenu 'More' {\n" + _entry("One", "/vmlinuz-1") + _entry("Zero", "/vmlinuz-0") + "}\n"
    )
    chosen = next_entry(parse_config(text, {}))
    assert chosen is not None and chosen.title == "One"


def test_on_xen_the_hypervisor_has_the_word_and_the_entry_is_none_of_ours() -> None:
    text = (
        "set default=\"0\"\nmenuentry 'Xen' {\n\tmultiboot2 /boot/xen-4.18.gz placeholder crashkernel=512M\n"
        "\tmodule2 /boot/vmlinuz-6.4 placeholder ro\n\tmodule2 --nounzip /boot/initrd-6.4\n}\n"
    )
    (entry,) = parse_config(text, {})
    assert (entry.kernel, entry.crashkernel, entry.own, entry.default) == ("/boot/vmlinuz-6.4", ["512M"], False, True)  # fmt: skip


def test_the_variables_that_a_menu_sets_are_filled_in() -> None:
    text = 'set tuned_params="crashkernel=1M isolcpus=2"\nset other="x"\n'
    text += _entry("Linux", "/vmlinuz-1", "ro $tuned_params ${other} $tuned_params_too")
    (entry,) = parse_config(text, {})
    assert entry.arguments == "ro crashkernel=1M isolcpus=2 x $tuned_params_too"


def test_titles_with_an_arrow_are_named_with_two() -> None:
    text = 'set default="a>>b>1"\n' + _entry("Linux", "/vmlinuz-9")
    text += "submenu 'a>b' {\n" + _entry("One", "/vmlinuz-1") + _entry("Two", "/vmlinuz-2") + "}\n"
    chosen = next_entry(parse_config(text, {}))
    assert chosen is not None and chosen.title == "Two"


def test_the_release_of_a_kernel_that_is_named_after_its_package(tmp_path: t.Any) -> None:
    assert {entry.kernel_release for entry in GrubMkconfig().entries(host_of("arch", tmp_path)) if entry.own} == {"6.17.1-arch1-1"}  # fmt: skip


def test_the_release_of_alpines_kernel(tmp_path: t.Any) -> None:
    host = host_of("arch", tmp_path)
    host.put("/boot/grub/grub.cfg", _entry("Alpine", "/boot/vmlinuz-lts"))
    host.put("/usr/share/kernel/lts/kernel.release", "6.12.40-0-lts\n")
    (entry,) = GrubMkconfig().entries(host)
    assert (entry.kernel_release, entry.own) == ("6.12.40-0-lts", True)


def test_void_has_an_update_grub_and_no_drop_ins(tmp_path: t.Any) -> None:
    host = host_of("arch", tmp_path)
    host.runner.tools["update-grub"] = host.runner.tools["grub-mkconfig"]  # type: ignore[attr-defined]
    assert not Grub().present(host) and GrubMkconfig().present(host)
    host.put("/usr/bin/grub-mkconfig", recorded.DROPIN_SCRIPT)
    assert Grub().present(host) and not GrubMkconfig().present(host)


def test_a_menu_of_boot_entries_is_not_ours(tmp_path: t.Any) -> None:
    host = host_of("arch", tmp_path)
    host.put("/boot/grub/grub.cfg", "insmod blscfg\nblscfg\n")
    assert not GrubMkconfig().present(host)


def test_a_menu_that_another_system_left_on_the_efi_partition_is_passed_over(
    tmp_path: t.Any,
) -> None:
    host = host_of("arch", tmp_path)
    host.put("/sys/firmware/efi/fw_platform_size", "64\n")
    host.put(
        "/boot/efi/EFI/centos/grub.cfg", SECTION.format(_entry("old", "/vmlinuz-3", "root=old"))
    )
    assert "old" not in [entry.title for entry in GrubMkconfig().entries(host)]


def test_a_menu_written_by_hand_is_not_replaced(tmp_path: t.Any) -> None:
    host = host_of("arch", tmp_path)
    host.put("/boot/grub/grub.cfg", _entry("mine", "/vmlinuz-1", "root=special crashkernel=1M"))
    assert GrubMkconfig().plan(host, ["1M"]) == []
    with pytest.raises(BootLoaderError, match="written by hand"):
        GrubMkconfig().plan(host, ["2M"])


def test_grub_that_did_not_start_the_kernel_leaves_it_to_another_loader(tmp_path: t.Any) -> None:
    host = host_of("arch", tmp_path)
    host.put("/boot/extlinux/extlinux.conf", "label a\n linux /vmlinuz-1\n append root=x\n")
    names = []
    for cmdline in ("BOOT_IMAGE=/vmlinuz root=x", "root=x"):
        host.put("/proc/cmdline", cmdline)
        names.append(getattr(detect(host), "name", None))
    host.remove("/boot/extlinux/extlinux.conf")
    names.append(getattr(detect(host), "name", None))
    assert names == ["grub-mkconfig", "extlinux", "grub-mkconfig"]


def test_suse_without_pbl_and_with_loader_type_none(tmp_path: t.Any) -> None:
    host = host_of("sles16-on-xfs-and-efi", tmp_path)
    assert not GrubMkconfig().present(host)
    host.put("/etc/sysconfig/bootloader", "LOADER_TYPE='none'\n")
    found = detect(host)
    assert loader_type(host) == "none" and found is not None and found.name == "grub-mkconfig"


def test_what_cannot_be_edited_is_refused_until_it_is_right(tmp_path: t.Any) -> None:
    host, loader = host_of("arch", tmp_path), GrubMkconfig()
    host.put(DEFAULTS, "cat <<EOF\nEOF\nGRUB_CMDLINE_LINUX_DEFAULT=quiet\n")
    with pytest.raises(BootLoaderError, match=r"/etc/default/grub line 1: a here-document"):
        loader.plan(host, ["300M"])
    host.put(DEFAULTS, "cat <<EOF\nEOF\nGRUB_CMDLINE_LINUX_DEFAULT='quiet crashkernel=300M'\n")
    loader.regenerate(host)
    assert loader.plan(host, ["300M"]) == [] and not differing(loader.entries(host), ["300M"])


def test_nothing_to_read(tmp_path: t.Any) -> None:
    host = host_of("arch", tmp_path)
    host.remove("/boot/grub/grub.cfg")
    assert not GrubMkconfig().present(host)
    with pytest.raises(BootLoaderError, match="grub-mkconfig -o"):
        GrubMkconfig().entries(host)


LANGUAGES = [
    ("/etc/default/locale", 'LANG="de_DE.UTF-8"\n', ["env", "-u", "LC_ALL", "-u", "LANGUAGE", "LANG=de_DE.UTF-8", "x"]),
    ("/etc/sysconfig/language", 'RC_LANG="fr_FR.UTF-8"\n', ["env", "-u", "LC_ALL", "-u", "LANGUAGE", "LANG=fr_FR.UTF-8", "x"]),
    ("/etc/locale.conf", "LANG=en_US.UTF-8\n", ["x"]),
    ("/etc/locale.conf", "LANG=C.UTF-8\n", ["x"]),
    ("/etc/locale.conf", "LANG=$(rm)\n", ["x"]),
]  # fmt: skip


@pytest.mark.parametrize("path, text, expected", LANGUAGES)
def test_the_menu_is_written_in_the_language_of_the_host(
    host: FakeHost, path: str, text: str, expected: t.List[str]
) -> None:
    host.put(path, text)
    assert in_system_language(host, ["x"]) == expected
