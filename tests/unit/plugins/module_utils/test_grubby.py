# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.apply import apply
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.argument import Argument
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.base import (
    BootLoaderError,
    Command,
    FileChange,
    next_entry,
    select,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.grubby import Grubby
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost
from ansible_collections.kdump.fleet.tests.unit.plugins.module_utils.loaders import grubby as hosts
from ansible_collections.kdump.fleet.tests.unit.plugins.module_utils.loaders.base import build
from ansible_collections.kdump.fleet.tests.unit.plugins.module_utils.test_loaders import settle

NAMED = {scenario.name: scenario for scenario in hosts.SCENARIOS}
LOADER = Grubby()


def made(name: str, tmp_path: t.Any) -> FakeHost:
    return t.cast("FakeHost", build(NAMED[name], str(tmp_path)))


def path_of(version: str) -> str:
    return f"{hosts.ENTRIES}/{hosts.MACHINE}-{version}.conf"


DEFAULTS: t.List[t.Tuple[t.Dict[str, str], str, str]] = [
    ({}, "${saved_entry}", f"/vmlinuz-{hosts.EL8}.x86_64"),
    ({"saved_entry": f"{hosts.MACHINE}-4.18.0-513.el8_9.x86_64"}, "${saved_entry}", "/vmlinuz-4.18.0-513.el8_9.x86_64"),
    ({"saved_entry": "Linux (4.18.0-513.el8_9.x86_64) 9.4"}, "${saved_entry}", "/vmlinuz-4.18.0-513.el8_9.x86_64"),
    ({"saved_entry": "3"}, "${saved_entry}", f"/vmlinuz-0-rescue-{hosts.MACHINE}"),
    ({"saved_entry": "gone"}, "${saved_entry}", f"/vmlinuz-{hosts.EL8}.x86_64"),
    ({"saved_entry": "0", "next_entry": "2"}, "${saved_entry}", "/vmlinuz-4.18.0-513.el8_9.x86_64"),
    ({"saved_entry": "2"}, "0", f"/vmlinuz-{hosts.EL8}.x86_64"),
]  # fmt: skip


@pytest.mark.parametrize("variables, default, kernel", DEFAULTS)
def test_the_next_boot_is_what_grub_takes(
    variables: t.Dict[str, str], default: str, kernel: str, tmp_path: t.Any
) -> None:
    host = made("el8-grubby", tmp_path)
    host.put("/boot/grub2/grubenv", hosts.block(**{"kernelopts": hosts.ROOT, **variables}))
    host.put("/boot/grub2/grub.cfg", hosts.EL8_CONFIG.replace("${saved_entry}", default))
    chosen = next_entry(LOADER.entries(host))
    assert chosen is not None and chosen.kernel == kernel


def test_an_entry_of_its_own_keeps_its_arguments_and_shared_ones_stay_shared(
    tmp_path: t.Any,
) -> None:
    host = made("el8-grubby", tmp_path)
    settle(host, LOADER, ["300M"])
    assert "\noptions $kernelopts $tuned_params\n" in (
        host.read(path_of(f"{hosts.EL8}.x86_64")) or ""
    )
    own = host.read(path_of("4.18.0-513.el8_9.x86_64")) or ""
    assert f"\noptions {hosts.ROOT} crashkernel=300M rhgb quiet audit=1 $tuned_params\n" in own
    assert len(host.read("/boot/grub2/grubenv") or "") == 1024


def test_a_word_beside_kernelopts_goes_into_it(tmp_path: t.Any) -> None:
    host = made("el8-grubby", tmp_path)
    path = path_of(f"{hosts.EL8}.x86_64")
    host.put(path, hosts.entry(hosts.EL8, "crashkernel=1 $kernelopts crashkernel=2 x"))
    settle(host, LOADER, ["300M"])
    assert "\noptions $kernelopts x\n" in (host.read(path) or "")


def test_tuned_with_another_value_is_not_fought(tmp_path: t.Any) -> None:
    host = made("el8-grubby", tmp_path)
    block = hosts.block(kernelopts=hosts.ROOT, tuned_params="crashkernel=1G")
    host.put("/boot/grub2/grubenv", block)
    with pytest.raises(
        BootLoaderError, match=r"tuned adds crashkernel= .*tuned_params=crashkernel=1G"
    ):
        LOADER.plan(host, ["300M"])
    host.put("/boot/grub2/grub.cfg", hosts.EL8_CONFIG + 'set other="crashkernel=2"\n')
    host.put(path_of("x-1"), hosts.entry("1-1", "root=1 $other"))
    with pytest.raises(BootLoaderError, match="grub2-editenv .* set NAME"):
        LOADER.plan(host, ["300M"])


def test_tuned_with_a_word_of_another_argument_is_no_obstacle(tmp_path: t.Any) -> None:
    host = made("el8-grubby", tmp_path)
    block = hosts.block(kernelopts=hosts.ROOT, tuned_params="panic_on_taint=1")
    host.put("/boot/grub2/grubenv", block)
    assert LOADER.plan(host, ["300M"])
    with pytest.raises(BootLoaderError, match="tuned adds panic_on_taint to every boot entry"):
        LOADER.plan(host, ["0x20"], Argument("panic_on_taint"))


def test_tuned_with_the_wanted_value_is_left_to_it(tmp_path: t.Any) -> None:
    host = made("el8-grubby", tmp_path)
    os.unlink(host.path(path_of("4.18.0-513.el8_9.x86_64")))
    os.unlink(host.path(path_of(f"{hosts.EL8}.x86_64~debug")))
    block = hosts.block(kernelopts=hosts.ROOT, tuned_params="crashkernel=1G")
    host.put("/boot/grub2/grubenv", block)
    assert LOADER.plan(host, ["1G"]) == []
    # What tuned writes into grub.cfg is read after grubenv.
    host.put("/boot/grub2/grub.cfg", hosts.EL8_CONFIG + 'set tuned_params="crashkernel=2G"\n')
    assert LOADER.plan(host, ["2G"]) == []


def test_kernelopts_that_nothing_sets_is_refused(tmp_path: t.Any) -> None:
    host = made("el8-grubby", tmp_path)
    host.put("/boot/grub2/grubenv", hosts.block())
    host.put("/boot/grub2/grub.cfg", "insmod blscfg\nblscfg\n")
    with pytest.raises(
        BootLoaderError, match=r"\$kernelopts, which neither /boot/grub2/grubenv nor"
    ):
        LOADER.plan(host, ["300M"])


def test_an_entry_without_options_takes_the_default_ones_along(tmp_path: t.Any) -> None:
    host = made("el9-grubby", tmp_path)
    host.put("/boot/grub2/grubenv", hosts.block(default_kernelopts=hosts.ROOT))
    path = path_of(f"{hosts.EL9}.el9.x86_64")
    host.put(path, "title A\nlinux /vmlinuz-1.el9.x86_64\n")
    settle(host, LOADER, ["300M"])
    assert (
        host.read(path)
        == f"title A\nlinux /vmlinuz-1.el9.x86_64\noptions {hosts.ROOT} crashkernel=300M\n"
    )
    host.put(path, "title A\nlinux /vmlinuz-1.el9.x86_64\n")
    settle(host, LOADER, [])
    assert host.read(path) == "title A\nlinux /vmlinuz-1.el9.x86_64\n"


def test_grub_reads_the_first_line_of_options_and_other_tools_all_of_them(tmp_path: t.Any) -> None:
    host = made("el9-grubby", tmp_path)
    path = path_of(f"{hosts.EL9}.el9.x86_64")
    host.put(path, "title A\nlinux /vmlinuz-1.el9.x86_64\noptions root=1\noptions crashkernel=1\n")
    entry = next(entry for entry in LOADER.entries(host) if entry.title == "A")
    assert entry.crashkernel == [] and entry.arguments == "root=1"
    settle(host, LOADER, ["300M"])
    assert (host.read(path) or "").endswith("\noptions root=1 crashkernel=300M\n")


def test_a_memory_test_is_not_ours_and_a_unified_image_by_default_is_refused(
    tmp_path: t.Any,
) -> None:
    host = made("el9-grubby", tmp_path)
    host.put(path_of("9-memtest"), "title Memory test\nlinux /memtest86+x64.bin\n")
    host.put(path_of("8-uki"), "title UKI\nversion 8\nefi /EFI/Linux/8.efi\n")
    listed = {entry.title: entry for entry in LOADER.entries(host)}
    assert not listed["Memory test"].counts and not listed["UKI"].counts
    settle(host, LOADER, ["300M"])
    assert "crashkernel" not in (host.read(path_of("9-memtest")) or "")
    host.put("/boot/grub2/grubenv", hosts.block(saved_entry="UKI"))
    with pytest.raises(BootLoaderError, match="a unified kernel image"):
        LOADER.plan(host, ["1G"])


def test_a_younger_default_file_stays_the_younger_one(tmp_path: t.Any) -> None:
    """Else the next kernel's installation would write every entry anew, or no longer take an edit over."""
    for pending in (False, True):
        for keep_cmdline in (False, True):
            host = made("el9-grubby", tmp_path / f"{pending}-{keep_cmdline}")
            cmdline, defaults = (host.path(p) for p in ("/etc/kernel/cmdline", "/etc/default/grub"))
            if keep_cmdline:
                host.put("/etc/kernel/cmdline", f"{hosts.ROOT} crashkernel=300M\n")
            os.utime(cmdline, (1, 1 + (not pending)))
            os.utime(defaults, (1, 1 + pending))
            paths = [c.path for c in LOADER.plan(host, ["300M"]) if isinstance(c, FileChange)]
            last = [path for path in paths if path.startswith("/etc")][-1]
            assert last == ("/etc/default/grub" if pending else "/etc/kernel/cmdline")


def test_the_other_entries_stay_when_fedora_adds_a_kernel(tmp_path: t.Any) -> None:
    host = made("fedora-cloud-grubby", tmp_path)
    path = f"{hosts.ENTRIES}/ffffffffffffffffffffffffffffffff-{hosts.FEDORA}.x86_64.conf"
    host.put(path, (host.read(path) or "").replace("no_timer_check", "no_timer_check audit=1"))
    settle(host, LOADER, ["300M"])
    # What somebody typed at the last boot is not taken over for all kernels to come.
    assert (
        host.read("/etc/kernel/cmdline")
        == f"{hosts.ROOT} no_timer_check audit=1 crashkernel=300M\n"
    )
    NAMED["fedora-cloud-grubby"].add_kernel(host)
    assert "audit=1 crashkernel=300M" in (host.read(path) or "")


def test_variables_of_others_do_not_get_into_the_arguments_of_later_kernels(
    tmp_path: t.Any,
) -> None:
    host = made("el9-grubby", tmp_path)
    os.unlink(host.path("/etc/kernel/cmdline"))
    host.put("/boot/grub2/grubenv", hosts.block(tuned_params="isolcpus=1"))
    host.put(path_of("6.0-1.el9.x86_64"), hosts.entry("6.0-1.el9", "root=1 $tuned_params quiet"))
    settle(host, LOADER, ["300M"])
    assert host.read("/etc/kernel/cmdline") == "root=1 quiet crashkernel=300M\n"


def test_a_written_menu_that_is_older_than_the_entries_is_written_again(tmp_path: t.Any) -> None:
    host = made("el8-ppc64le-grubby", tmp_path)
    path = path_of("4.18.0-513.el8_9.ppc64le")
    for change in LOADER.plan(host, ["300M"]):
        if isinstance(change, FileChange):
            host.write(change.path, change.after or "")
    assert "crashkernel=300M" in (host.read(path) or "")
    changes = LOADER.plan(host, ["300M"])
    assert [isinstance(change, Command) and change.argv[0] for change in changes] == [
        "grub2-mkconfig"
    ]
    assert settle(host, LOADER, ["300M"])
    assert LOADER.plan(host, ["300M"]) == []


def test_one_entry_that_shares_its_arguments_gets_its_own(tmp_path: t.Any) -> None:
    host = made("el8-grubby", tmp_path)
    block = host.read("/boot/grub2/grubenv")
    before = LOADER.entries(host)
    chosen = select(before, "DEFAULT")
    assert [entry.path for entry in before[:3]] == ["", "", path_of("4.18.0-513.el8_9.x86_64")]
    changes = LOADER.plan_kernels(host, ["300M"], chosen)
    apply(host, LOADER, changes, ["300M"], "DEFAULT")
    assert (
        f"\noptions {hosts.ROOT} crashkernel=300M rd.lvm.lv=sys/root rhgb quiet $tuned_params\n"
        in (host.read(path_of(f"{hosts.EL8}.x86_64")) or "")
    )
    assert host.read("/boot/grub2/grubenv") == block
    assert [entry.crashkernel for entry in LOADER.entries(host)[1:]] == [
        e.crashkernel for e in before[1:]
    ]
    assert LOADER.plan_kernels(host, ["300M"], select(LOADER.entries(host), "DEFAULT")) == []
    host.put("/boot/grub2/grubenv", hosts.block())
    host.put("/boot/grub2/grub.cfg", "insmod blscfg\nblscfg\n")
    with pytest.raises(BootLoaderError, match="which neither"):
        LOADER.plan_kernels(host, ["300M"], LOADER.entries(host)[1:2])


def test_hosts_without_entries_are_left_to_others(tmp_path: t.Any) -> None:
    host = made("el9-grubby", tmp_path)
    host.put("/run/ostree-booted", "")
    assert not LOADER.present(host)
    host.remove("/run/ostree-booted")
    assert LOADER.present(host)
    host.put("/boot/grub2/grub.cfg", "menuentry 'Linux' {\n linux /vmlinuz-1 root=1\n}\n")
    assert not LOADER.present(host)


def test_entries_that_cannot_be_read(tmp_path: t.Any) -> None:
    host = made("el9-grubby", tmp_path)
    for path in host.glob(f"{hosts.ENTRIES}/*.conf"):
        host.remove(path)
    with pytest.raises(BootLoaderError, match="are you root"):
        LOADER.entries(host)


def test_a_menu_that_another_system_left_on_the_efi_partition_is_passed_over(
    tmp_path: t.Any,
) -> None:
    host = made("el8-uefi-grubby", tmp_path)
    host.put("/boot/efi/EFI/centos/grub.cfg", "blscfg\n")
    host.put("/boot/efi/EFI/centos/grubenv", hosts.block(kernelopts="root=old"))
    assert settle(host, LOADER, ["300M"])
    assert "300M" not in (host.read("/boot/efi/EFI/centos/grubenv") or "")
    assert "300M" in (host.read("/boot/efi/EFI/redhat/grubenv") or "")
    os.unlink(host.path("/etc/grub2-efi.cfg"))
    assert not LOADER.present(host)


def test_a_default_file_that_cannot_be_edited_is_refused_until_the_entries_are_right(
    tmp_path: t.Any,
) -> None:
    host = made("el9-grubby", tmp_path)
    settle(host, LOADER, ["300M"])
    text = (host.read("/etc/default/grub") or "").replace("crashkernel=300M ", "")
    host.put("/etc/default/grub", text + "cat >/dev/null <<X\nX\n")
    assert LOADER.plan(host, ["300M"]) == []
    with pytest.raises(BootLoaderError, match="/etc/default/grub"):
        LOADER.plan(host, ["1M"])


def test_what_was_younger_is_so_after_it_was_put_back(
    tmp_path: t.Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = made("el9-grubby", tmp_path)
    os.utime(host.path("/etc/kernel/cmdline"), (1000, 1000))
    os.utime(host.path("/etc/default/grub"), (2000, 2000))

    failures = [BootLoaderError("no")]

    def fail(_self: Grubby, _host: FakeHost) -> None:
        if failures:
            raise failures.pop()

    monkeypatch.setattr(Grubby, "regenerate", fail)
    with pytest.raises(BootLoaderError):
        settle(host, LOADER, ["300M"])
    assert host.mtime("/etc/kernel/cmdline") == 1000
    assert host.mtime("/etc/default/grub") == 2000


def test_without_root_it_says_so(tmp_path: t.Any, monkeypatch: pytest.MonkeyPatch) -> None:
    host = made("el9-grubby", tmp_path)
    os.unlink(host.path("/boot/grub2/grub.cfg"))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert not LOADER.present(host)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert LOADER.present(host), "it is in a folder that only root may look into"
    # A folder stands for a file that cannot be read, for tests may run as root.
    os.mkdir(host.path("/boot/grub2/grub.cfg"))
    assert LOADER.present(host)
    with pytest.raises(BootLoaderError, match="are you root"):
        LOADER.entries(host)
