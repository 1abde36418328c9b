# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.apply import apply
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.argument import Argument
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.base import (
    BootLoaderError,
    Command,
    FileChange,
    next_entry,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.pbl import CONFIG, Pbl
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.sdbootutil import (
    FRAGMENTS,
    ONCE,
    Sdbootutil,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.snapshots import running
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.transactional_update import (
    TransactionalUpdate,
)
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost
from ansible_collections.kdump.fleet.tests.unit.plugins.module_utils.loaders import (
    pbl,
    sdbootutil,
    transactional_update,
)
from ansible_collections.kdump.fleet.tests.unit.plugins.module_utils.loaders.base import build

BY_NAME = {
    scenario.name: scenario
    for module in (pbl, sdbootutil, transactional_update)
    for scenario in module.SCENARIOS
}
DEFAULT = "/simulated-default-subvolume"


def host_of(name: str, tmp_path: t.Any) -> FakeHost:
    return t.cast("FakeHost", build(BY_NAME[name], str(tmp_path)))


# pbl


def test_a_rollback_that_waits_is_what_the_next_boot_takes(tmp_path: t.Any) -> None:
    host, loader = host_of("sles15-on-btrfs", tmp_path), Pbl()
    menu = "menuentry 'before' {\n linux /boot/vmlinuz-6.4.0-1-default crashkernel=1M\n}\n"
    host.put(f"/.snapshots/5/snapshot{CONFIG}", menu)
    host.put(DEFAULT, "5")
    assert [entry.title for entry in loader.entries(host)] == ["before"]
    assert loader.plan(host, ["1M"]) == []
    with pytest.raises(BootLoaderError, match="snapshot 5, a rollback that waits for a reboot"):
        loader.plan(host, ["300M"])


def test_with_a_boot_partition_there_is_one_menu_for_all_snapshots(tmp_path: t.Any) -> None:
    host, loader = host_of("sles15-on-btrfs", tmp_path), Pbl()
    host.put(DEFAULT, "5")
    (change,) = loader.plan(host, ["300M"])
    assert isinstance(change, FileChange) and change.path == "/etc/default/grub"


def test_two_words_are_edited_in_place(tmp_path: t.Any) -> None:
    (change,) = Pbl().plan(host_of("sles15-on-btrfs", tmp_path), ["1G,high", "128M,low"])
    assert (change.after or "") == pbl.DEFAULTS.replace("298M,high", "1G,high").replace("72M,low", "128M,low")  # fmt: skip


# transactional-update


def test_a_new_menu_is_made_of_the_snapshot_that_the_next_boot_takes(tmp_path: t.Any) -> None:
    host = host_of("microos-grub-with-an-update-waiting", tmp_path)
    edit, command = TransactionalUpdate().plan(host, ["300M"])
    assert isinstance(edit, FileChange) and edit.path == "/etc/default/grub"
    assert isinstance(command, Command)
    assert command.argv[1:] == ["--non-interactive", "--no-selfupdate", "--continue", "4", "grub.cfg"]  # fmt: skip
    assert command.undo[-2:] == ["rollback", "4"]


def test_what_waits_keeps_what_it_has(tmp_path: t.Any) -> None:
    host, loader = host_of("microos-grub-with-an-update-waiting", tmp_path), TransactionalUpdate()
    apply(host, loader, loader.plan(host, ["300M"]), ["300M"])
    assert host.read(DEFAULT) == "5"
    assert host.exists("/.snapshots/5/snapshot/etc/some-package.conf")


@pytest.mark.parametrize(
    "name", ["microos-grub-with-an-update-waiting", "sle-micro-5-with-an-overlay"]
)
def test_a_file_that_was_changed_in_the_snapshot_that_waits_is_not_overwritten(
    name: str, tmp_path: t.Any
) -> None:
    host, loader = host_of(name, tmp_path), TransactionalUpdate()
    if "overlay" in name:
        apply(host, loader, loader.plan(host, ["256M"]), ["256M"])
        host.put("/var/lib/overlay/4/etc/default/grub", "GRUB_CMDLINE_LINUX=security=selinux\n")
    else:
        host.put("/.snapshots/4/snapshot/etc/default/grub", "GRUB_CMDLINE_LINUX=security=selinux\n")
    with pytest.raises(BootLoaderError, match="snapshot 4 waits for a reboot"):
        loader.plan(host, ["300M"])


def test_a_default_that_is_no_snapshot(tmp_path: t.Any) -> None:
    host = host_of("microos-grub", tmp_path)
    host.runner.tools["btrfs"] = lambda _host, _argv: pbl.Result(0, "ID 5 (FS_TREE)\n", "")  # type: ignore[attr-defined]
    with pytest.raises(BootLoaderError, match="rollback NUMBER"):
        TransactionalUpdate().entries(host)


def test_btrfs_does_not_tell(tmp_path: t.Any) -> None:
    host = host_of("microos-grub", tmp_path)
    del host.runner.tools["btrfs"]  # type: ignore[attr-defined]
    with pytest.raises(BootLoaderError, match="cannot be told"):
        TransactionalUpdate().entries(host)


def test_after_apply_usr_tells_the_snapshot(host: FakeHost) -> None:
    host.put(
        "/proc/self/mountinfo",
        pbl.mountinfo("3", "ro,relatime")
        + "90 62 0:33 /@/.snapshots/4/snapshot/usr /usr ro,relatime shared:9 - btrfs /dev/vda3 ro\n",
    )
    root = running(host)
    assert root is not None and (root.snapshot, root.read_only) == ("4", True)


def test_a_root_that_is_no_snapshot(host: FakeHost) -> None:
    assert running(host) is None
    host.put("/proc/self/mountinfo", "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n")
    assert running(host) is None


# sdbootutil


def test_only_this_hosts_and_this_snapshots_entries_count(tmp_path: t.Any) -> None:
    entries = Sdbootutil().entries(host_of("tumbleweed-grub2-bls", tmp_path))
    assert [(entry.title.split("(")[1][:6], entry.counts) for entry in entries] == [
        ("other-", False),
        ("snappe", False),
        ("system", True),
        ("system", True),
    ]
    assert [entry.kernel_release for entry in entries if entry.counts] == [
        "6.16.8-1-default",
        "6.17.1-1-default",
    ]


def test_a_one_time_entry_goes_before_the_default(tmp_path: t.Any) -> None:
    host = host_of("tumbleweed-grub2-bls", tmp_path)
    name = "system-opensuse-tumbleweed-6.16.8-1-default-1.conf"
    host.put(ONCE, "")
    with open(host.path(ONCE), "wb") as handle:
        handle.write(b"\7\0\0\0" + (name + "\0").encode("utf-16-le"))
    chosen = next_entry(Sdbootutil().entries(host))
    assert chosen is not None and chosen.kernel_release == "6.16.8-1-default"


def test_without_a_default_the_newest_entry_is_the_next_one(tmp_path: t.Any) -> None:
    host = host_of("tumbleweed-grub2-bls", tmp_path)
    host.put(sdbootutil.DEFAULT_ENTRY, "\n")
    chosen = next_entry(Sdbootutil().entries(host))
    assert chosen is not None and chosen.kernel_release == "6.17.1-1-default"


def test_the_count_of_tries_is_no_part_of_an_entrys_name(tmp_path: t.Any) -> None:
    host = host_of("tumbleweed-grub2-bls", tmp_path)
    text = host.read(f"{sdbootutil.ENTRIES}/other-system.conf") or ""
    host.put(f"{sdbootutil.ENTRIES}/counted+3-1.conf", text)
    host.put(sdbootutil.DEFAULT_ENTRY, "counted.conf\n")
    chosen = next_entry(Sdbootutil().entries(host))
    assert chosen is not None and chosen.title == "Arch (counted)"


def test_a_fragment_loses_the_word_and_keeps_the_rest(tmp_path: t.Any) -> None:
    host = host_of("tumbleweed-grub2-bls", tmp_path)
    path = f"{FRAGMENTS}/50-kdump.conf"
    host.put(path, "# not crashkernel=1 here\ncrashkernel=256M,high printk.time=1\n")
    changes = {change.path: change.after for change in Sdbootutil().plan(host, ["300M"]) if isinstance(change, FileChange)}  # fmt: skip
    assert changes[path] == "# not crashkernel=1 here\nprintk.time=1\n"
    assert len(changes) == 4


def test_a_vendors_fragment_is_refused_until_it_is_hidden(tmp_path: t.Any) -> None:
    host = host_of("tumbleweed-grub2-bls", tmp_path)
    host.put("/usr/kernel/cmdline.d/50-kdump.conf", "crashkernel=256M\n")
    with pytest.raises(BootLoaderError, match="hide it with an empty file"):
        Sdbootutil().plan(host, ["300M"])
    host.put(f"{FRAGMENTS}/50-kdump.conf", "")
    assert Sdbootutil().plan(host, ["300M"])


def test_where_a_tpm_knows_the_arguments_the_tool_writes_them(tmp_path: t.Any) -> None:
    host, loader = host_of("microos-systemd-boot-with-a-tpm", tmp_path), Sdbootutil()
    changes = loader.plan(host, ["300M"])
    assert [change.path for change in changes if isinstance(change, FileChange)] == [
        "/etc/kernel/cmdline"
    ]
    apply(host, loader, changes, ["300M"])
    assert ["sdbootutil", "update-all-entries", "3"] in [list(argv) for argv in host.runner.started]


def test_the_tool_does_not_take_an_entrys_own_arguments_away(tmp_path: t.Any) -> None:
    host, loader = host_of("microos-systemd-boot-with-a-tpm", tmp_path), Sdbootutil()
    (path,) = host.glob(f"{sdbootutil.ENTRIES}/*-3.conf")
    host.put(path, (host.read(path) or "").replace("quiet", "quiet nomodeset"))
    with pytest.raises(BootLoaderError, match="differ in nomodeset"):
        loader.plan(host, ["300M"])


def test_nor_another_argument_of_ours(tmp_path: t.Any) -> None:
    host, loader = host_of("microos-systemd-boot-with-a-tpm", tmp_path), Sdbootutil()
    (path,) = host.glob(f"{sdbootutil.ENTRIES}/*-3.conf")
    host.put(path, (host.read(path) or "").replace("quiet", "quiet crashkernel=1M"))
    with pytest.raises(BootLoaderError, match="differ in crashkernel=1M"):
        loader.plan(host, ["0x20"], Argument("panic_on_taint"))


def test_the_snapshot_that_waits_has_its_own_arguments(tmp_path: t.Any) -> None:
    scenario = BY_NAME["microos-systemd-boot-with-a-tpm"]
    host, loader = host_of(scenario.name, tmp_path), Sdbootutil()
    scenario.add_kernel(host)
    changes = loader.plan(host, ["300M"])
    assert [change.path for change in changes if isinstance(change, FileChange)] == [
        "/etc/kernel/cmdline",
        "/.snapshots/4/snapshot/etc/kernel/cmdline",
    ]
    apply(host, loader, changes, ["300M"])
    assert [entry.crashkernel for entry in loader.entries(host) if entry.counts] == [["300M"]] * 2


def test_no_entries_can_be_read(tmp_path: t.Any) -> None:
    host = host_of("leap-grub2-bls-on-xfs", tmp_path)
    for path in host.glob(f"{sdbootutil.ENTRIES}/*"):
        host.remove(path)
    assert not Sdbootutil().present(host)
    with pytest.raises(BootLoaderError, match="are you root"):
        Sdbootutil().entries(host)
