# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import shutil
import subprocess
import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.apply import apply
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.argument import (
    CRASHKERNEL,
    Argument,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.base import (
    BootLoaderError,
    Command,
    FileChange,
    differing,
    next_entry,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.grub import (
    DROPIN,
    Grub,
    parse_config,
    render_dropin,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.owners import owners
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host
from ansible_collections.kdump.fleet.plugins.module_utils.runner import CommandError
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import GRUB_CFG, FakeHost

TEXT = GRUB_CFG.replace("@NEXT@", " crashkernel=256M")


def test_every_linux_entry_is_found() -> None:
    entries = parse_config(TEXT, {})
    assert [(entry.kernel, entry.recovery, entry.crashkernel) for entry in entries] == [
        ("/boot/vmlinuz-6.1.0-2-amd64", False, ["256M"]),
        ("/boot/vmlinuz-6.1.0-2-amd64", False, ["256M"]),
        ("/boot/vmlinuz-6.1.0-2-amd64", True, []),
        ("/boot/vmlinuz-6.1.0-1-amd64", False, ["256M"]),
    ]


DEFAULTS: t.List[t.Tuple[str, t.Dict[str, str], int]] = [
    ("0", {}, 0),
    ("1>0", {}, 1),
    ("1>2", {}, 3),
    ("gnulinux-advanced-1>gnulinux-1", {}, 3),
    ("Advanced options for Debian GNU/Linux>Debian GNU/Linux, with Linux 6.1.0-1-amd64", {}, 3),
    ("${saved_entry}", {"saved_entry": "gnulinux-advanced-1>gnulinux-1"}, 3),
    ("${saved_entry}", {}, 0),
    ("nonsense", {}, 0),
]


@pytest.mark.parametrize("default, environment, expected", DEFAULTS)
def test_the_default_is_the_one_that_grub_takes(
    default: str, environment: t.Dict[str, str], expected: int
) -> None:
    text = TEXT.replace('set default="0"', f'set default="{default}"')
    entries = parse_config(text, environment)
    assert [entry.default for entry in entries].index(True) == expected


def test_a_one_time_entry_goes_before_the_default() -> None:
    found = next_entry(parse_config(TEXT, {"next_entry": "1>2"}))
    assert found is not None and found.kernel == "/boot/vmlinuz-6.1.0-1-amd64"


def test_only_this_hosts_own_entries_count() -> None:
    text = f"### BEGIN /etc/grub.d/10_linux ###\n{TEXT}### END /etc/grub.d/10_linux ###\n"
    text += "### BEGIN /etc/grub.d/20_memtest86+ ###\nmenuentry 'Memory test' {\n linux /boot/memtest\n}\n"
    entries = parse_config(text, {})
    assert len(entries) == 5
    assert differing(entries, ["256M"]) == []
    assert [entry.title for entry in differing(entries, ["1M"])] == [
        entry.title for entry in entries if not entry.recovery and entry.title != "Memory test"
    ]


def test_no_entry() -> None:
    assert next_entry(parse_config("set default=0\n", {})) is None


TAINT, EARLY = Argument("panic_on_taint"), Argument("rd.earlykdump")
SOURCED = [
    (TAINT, ["0x20"], "quiet crashkernel=1M", "", "quiet crashkernel=1M panic_on_taint=0x20|"),
    (TAINT, ["0x20"], "panic_on_taint=1 panic_on_taint=2 a", "panic_on_taint b", "a panic_on_taint=0x20|b"),
    (TAINT, [], 'x="panic_on_taint=1 y" panic_on_taint="1 2"', "", 'x="panic_on_taint=1 y" |'),
    (EARLY, [""], "quiet rd.earlykdump=0", "rd.earlykdump.x", "quiet  rd.earlykdump|rd.earlykdump.x"),
    (EARLY, [], "rd.earlykdump rd-earlykdump", "", "rd-earlykdump|"),
    (CRASHKERNEL, ["1M"], 'foo="x crashkernel=2M" root=/dev/a', "", 'foo="x" root=/dev/a crashkernel=1M|'),
    (CRASHKERNEL, [], "quiet crashkernel=384M-:128M", "console=ttyS0", "quiet|console=ttyS0"),
    (CRASHKERNEL, ["256M"], "quiet crashkernel=384M-:128M", "", "quiet crashkernel=256M|"),
    (CRASHKERNEL, ["256M"], "", "crashkernel=1 a=b crashkernel=2 c", " crashkernel=256M| a=b c"),
    (CRASHKERNEL, ["1G,high", "72M,low"], "x", "", "x crashkernel=1G,high crashkernel=72M,low|"),
    (
        CRASHKERNEL,
        ["2G-4G:256M"],
        'a="b c"',
        "nocrashkernel=1",
        'a="b c" crashkernel=2G-4G:256M|nocrashkernel=1',
    ),
]  # fmt: skip


@pytest.mark.parametrize("argument, values, default, always, expected", SOURCED)
def test_the_dropin_does_in_a_shell_what_it_says(
    tmp_path: t.Any,
    argument: Argument,
    values: t.List[str],
    default: str,
    always: str,
    expected: str,
) -> None:
    (tmp_path / "dropin").write_text(render_dropin(values, argument))
    script = '. "$1"; printf "%s|%s" "$GRUB_CMDLINE_LINUX_DEFAULT" "$GRUB_CMDLINE_LINUX"'
    shell = shutil.which("sh")
    assert shell is not None
    done = subprocess.run(
        [shell, "-eu", "-c", script, "sh", str(tmp_path / "dropin")],
        env=dict(os.environ, GRUB_CMDLINE_LINUX_DEFAULT=default, GRUB_CMDLINE_LINUX=always),
        stdout=subprocess.PIPE,
        check=True,
    )
    assert done.stdout.decode() == expected


def test_a_menu_written_by_hand_is_not_replaced(debian: FakeHost) -> None:
    entry = "menuentry 'mine' {\n linux /boot/vmlinuz-6.1 root=x crashkernel=1M\n}\n"
    debian.put("/boot/grub/grub.cfg", entry)
    assert Grub().plan(debian, ["1M"]) == []
    with pytest.raises(BootLoaderError, match="written by hand"):
        Grub().plan(debian, ["2M"])


def test_a_next_boot_that_the_defaults_do_not_decide_is_refused(debian: FakeHost) -> None:
    debian.put(
        "/boot/grub/grub.cfg",
        "### BEGIN /etc/grub.d/09_custom ###\nmenuentry 'mine' {\n linux /boot/vmlinuz-6.1 root=x\n}\n"
        + TEXT,
    )
    loader = Still()
    with pytest.raises(BootLoaderError, match="boots 'mine', which its defaults do not decide"):
        apply(debian, loader, [], ["256M"])
    apply(debian, loader, [], ["256M"], "6.1.0-1-amd64")


class Still(Grub):
    """It leaves the menu as it is."""

    def regenerate(self, host: Host) -> None:
        del host


@pytest.mark.parametrize("works", [False, True])
def test_a_command_that_failed_is_undone_where_it_did_something(
    debian: FakeHost, works: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: t.List[str] = []

    def run(argv: t.Sequence[str], *_rest: t.Any, **_named: t.Any) -> str:
        ran.append(argv[0])
        if works and argv[0] == "do":
            debian.put("/boot/grub/grub.cfg", TEXT.replace("256M", "1M"))
        raise CommandError("no")

    monkeypatch.setattr(debian, "run", run)
    with pytest.raises(BootLoaderError):
        apply(debian, Still(), [Command(["do"], ["undo"], "", "", "")], ["2M"])
    assert ran == (["do", "undo"] if works else ["do"])


def test_plan_writes_a_dropin_once(debian: FakeHost) -> None:
    loader = Grub()
    (change,) = loader.plan(debian, ["256M"])
    assert isinstance(change, FileChange)
    assert (change.path, change.before) == (DROPIN, None)
    assert change.after is not None
    debian.write(DROPIN, change.after)
    assert loader.plan(debian, ["256M"]) == []


def test_plan_for_none_strips_what_others_set(debian: FakeHost) -> None:
    (change,) = Grub().plan(debian, [])
    assert change.after is not None and "crashkernel=384M" not in change.after


def test_plan_for_none_takes_the_dropin_away_when_nobody_else_sets_it(debian: FakeHost) -> None:
    debian.remove("/etc/default/grub.d/kdump-tools.cfg")
    assert Grub().plan(debian, []) == []
    debian.put(DROPIN, render_dropin(["256M"], CRASHKERNEL))
    (change,) = Grub().plan(debian, [])
    assert change.after is None


def test_every_argument_has_a_dropin_of_its_own(debian: FakeHost) -> None:
    loader = Grub()
    paths = []
    for argument, values in ((CRASHKERNEL, ["256M"]), (TAINT, ["0x20"]), (EARLY, [""])):
        (change,) = loader.plan(debian, values, argument)
        assert isinstance(change, FileChange) and change.after is not None
        paths.append(os.path.basename(change.path))
        debian.write(change.path, change.after)
    assert paths == [
        "zz-kdump-fleet.cfg",
        "zz-kdump-fleet-panic_on_taint.cfg",
        "zz-kdump-fleet-rd.earlykdump.cfg",
    ]
    assert loader.plan(debian, ["256M"]) == [] and owners(debian, ["256M"]) == []
    (change,) = loader.plan(debian, [], TAINT)
    assert isinstance(change, FileChange) and change.after is None
    # Somebody else's word is taken out, and ours does it.
    debian.put("/etc/default/grub.d/50-site.cfg", 'GRUB_CMDLINE_LINUX="panic_on_taint=1"\n')
    (change,) = loader.plan(debian, [], TAINT)
    assert change.after is not None and "panic_on_taint=" not in change.after.split("| sed")[0]
