# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is systemd-boot's own, beyond the contract of every boot loader."""

import itertools
import os
import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader import pe
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.apply import apply
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.argument import Argument
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.base import (
    BootLoaderError,
    Entry,
    FileChange,
    next_entry,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.systemd_boot import (
    ADDON,
    ADDON_SOURCE,
    SystemdBoot,
    compare_versions,
)
from ansible_collections.kdump.fleet.plugins.module_utils.runner import Result
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost
from ansible_collections.kdump.fleet.tests.unit.plugins.module_utils.loaders.base import (
    Scenario,
    build,
)
from ansible_collections.kdump.fleet.tests.unit.plugins.module_utils.loaders.systemd_boot import (
    COUNTED,
    DEBIAN,
    GUID,
    IMAGES,
    LOADER_INFO,
    MACHINE,
    VARIABLES,
    entry_file,
    image,
    kernels,
    mounts,
    program,
    put_program,
    ukify,
    variable,
)

SECURE_BOOT = f"{VARIABLES}/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
LOADER = SystemdBoot()


@pytest.fixture
def make(tmp_path: t.Any) -> t.Callable[..., FakeHost]:
    """Make a scenario's host, with some files changed."""

    def maker(scenario: Scenario, **changes: t.Any) -> FakeHost:
        tools = changes.pop("tools", scenario.tools)
        host = build(scenario._replace(tools=tools), str(tmp_path))
        return t.cast("FakeHost", host)

    return maker


def set_values(host: FakeHost, *values: str) -> t.List[FileChange]:
    changes = LOADER.plan(host, values)
    apply(host, LOADER, changes, values)
    return t.cast("t.List[FileChange]", changes)


def chosen(host: FakeHost) -> Entry:
    entry = next_entry(LOADER.entries(host))
    assert entry is not None
    return entry


# The Version Format Specification's own example of an order, the lowest first, and more from its rules.
ORDER = (
    "122.1", "123~rc1-1", "123", "123-a", "123-a.1", "123-1", "123-1.1", "123^post1", "123.a-1", "123.1-1", "123a-1", "124-1",
)  # fmt: skip


@pytest.mark.parametrize("low, high", list(itertools.combinations(ORDER, 2)))
def test_versions_have_the_order_of_the_specification(low: str, high: str) -> None:
    assert compare_versions(low, high) < 0 < compare_versions(high, low)


@pytest.mark.parametrize(
    "one, two, expected",
    [
        ("6.9", "6.10", -1),
        ("", "", 0),
        ("", "1", -1),
        ("1.0", "1.00", 0),
        ("1_0", "10", -1),
        ("6.12.1-amd64", "6.12.1-cloud-amd64", -1),
        ("1~", "1", -1),
    ],
)
def test_versions(one: str, two: str, expected: int) -> None:
    assert compare_versions(one, two) == expected


@pytest.mark.parametrize(
    "info, present",
    [
        (variable("systemd-boot 257"), True),
        (variable("GRUB 2.12"), False),
        (None, False),
    ],
)
def test_the_loader_that_ran_is_asked(make: t.Any, info: t.Optional[str], present: bool) -> None:
    host = make(DEBIAN)
    host.remove(LOADER_INFO)
    host.put("/boot/efi/EFI/systemd/systemd-bootx64.efi", "boot")
    host.put(f"{VARIABLES}/BootOrder-8be4df61-93ca-11d2-aa0d-00e098032b8c", "x")
    if info:
        host.put(LOADER_INFO, info)
    assert LOADER.present(host) is present


def test_without_the_firmwares_variables_files_tell(make: t.Any) -> None:
    """A real-time kernel runs without them."""
    host = make(DEBIAN)
    host.remove(LOADER_INFO)
    assert not LOADER.present(host)
    host.put("/boot/efi/EFI/systemd/systemd-bootx64.efi", "boot")
    assert LOADER.present(host)
    host.put("/boot/grub/grub.cfg", "")
    assert LOADER.present(host), "GRUB is left over"
    host.put("/proc/cmdline", "BOOT_IMAGE=/vmlinuz root=UUID=1\n")
    assert not LOADER.present(host)


def test_what_runs_is_ours_after_the_machine_id_was_reset(make: t.Any) -> None:
    host = make(DEBIAN)
    for path in host.glob("/boot/efi/loader/entries/*.conf"):
        host.put(path, (host.read(path) or "") + "machine-id 0123\n")
    assert not any(entry.counts for entry in LOADER.entries(host))
    host.put(f"{VARIABLES}/LoaderEntrySelected-{GUID}", variable("debian-6.12.10-amd64.conf"))
    counting = [entry.kernel_release for entry in LOADER.entries(host) if entry.counts]
    assert counting == ["6.12.10-amd64"]


def test_a_kernel_with_a_nul_in_its_name_is_passed_over(make: t.Any) -> None:
    host = make(DEBIAN)
    before = LOADER.entries(host)
    host.put("/boot/efi/loader/entries/zero.conf", "title x\nlinux /x\0y\noptions root=UUID=1\n")
    assert LOADER.entries(host) == before


def test_proxmox_keeps_its_partitions_to_itself(make: t.Any) -> None:
    host = make(DEBIAN)
    host.put("/etc/kernel/proxmox-boot-uuids", "1234-ABCD\n")
    with pytest.raises(BootLoaderError, match="proxmox-boot-tool refresh"):
        LOADER.entries(host)


def test_the_order_of_the_menu(make: t.Any) -> None:
    host = make(COUNTED)
    assert [entry.kernel for entry in LOADER.entries(host)] == [
        # With a sort key: this machine's ID is the lower one; the newest first.
        f"/boot/{MACHINE}/6.1.0-3-amd64/linux",
        f"/boot/{MACHINE}/6.1.0-2-amd64/linux",
        "/boot/fedcba9876543210fedcba9876543210/6.11.0/linux",
        # Without one: by name, the highest first.
        "/boot/EFI/shell.efi",
        "/boot/rescue/linux",
        "/boot/hand/linux",
        # No attempts are left.
        f"/boot/{MACHINE}/6.1.0-1-amd64/linux",
    ]


@pytest.mark.parametrize(
    "files, title_or_release",
    [
        ({}, "6.1.0-2-amd64"),  # @saved
        ({"/efi/loader/loader.conf": ""}, "6.1.0-3-amd64"),
        ({"/efi/loader/loader.conf": f"default {MACHINE}-6.1.0-1-amd64.conf\n"}, "6.1.0-1-amd64"),
        ({"/efi/loader/loader.conf": "default\tHAND*\n"}, "By hand"),
        ({"/efi/loader/loader.conf": "default nothing-*\n"}, "6.1.0-3-amd64"),
        ({f"{VARIABLES}/LoaderEntryDefault-{GUID}": variable("hand.conf")}, "By hand"),
        (
            {
                f"{VARIABLES}/LoaderEntryDefault-{GUID}": variable("hand.conf"),
                f"{VARIABLES}/LoaderEntryOneShot-{GUID}": variable(
                    f"{MACHINE}-6.1.0-1-amd64+0-3.conf"
                ),
            },
            "6.1.0-1-amd64",
        ),
        ({f"{VARIABLES}/LoaderEntryOneShot-{GUID}": variable("shell.conf")}, "Shell"),
        (
            {f"{VARIABLES}/LoaderEntryOneShot-{GUID}": variable("auto-reboot-to-firmware-setup")},
            "auto-reboot-to-firmware-setup",
        ),
        ({"/efi/loader/loader.conf": "default auto-windows\n"}, "6.1.0-3-amd64"),
        (
            {
                "/efi/loader/loader.conf": "default auto-windows\n",
                "/efi/EFI/Microsoft/Boot/bootmgfw.efi": "MZ",
            },
            "auto-windows",
        ),
        (
            {
                "/efi/loader/loader.conf": "default auto-windows\nauto-entries no\n",
                "/efi/EFI/Microsoft/Boot/bootmgfw.efi": "MZ",
            },
            "6.1.0-3-amd64",
        ),
    ],
)
def test_what_the_next_boot_takes(
    make: t.Any, files: t.Dict[str, str], title_or_release: str
) -> None:
    host = make(COUNTED)
    for path, text in files.items():
        host.put(path, text)
    entry = chosen(host)
    assert title_or_release in (entry.title, entry.release)
    # The plan refuses what the host's own kernels do not decide.
    assert entry.own is (entry.title not in ("Shell", title_or_release) or "hand" in entry.title)


def test_several_options_lines_keep_their_places(make: t.Any) -> None:
    host = make(COUNTED)
    set_values(host, "1G,high", "128M,low")
    assert host.read("/boot/loader/entries/hand.conf") == (
        "title By hand\nlinux\t/hand/linux\noptions root=UUID=1\n"
        "options\tro crashkernel=1G,high crashkernel=128M,low quiet\n"
    )
    assert host.read("/etc/kernel/cmdline") == (
        "root=UUID=1 ro\nquiet splash crashkernel=1G,high crashkernel=128M,low -- init\n"
    )


def test_other_systems_and_rescue_entries_stay(make: t.Any) -> None:
    host = make(COUNTED)
    changed = [change.path for change in set_values(host, "300M")]
    assert not [path for path in changed if "rescue" in path or "fedcba" in path]
    assert len(changed) == 5


def test_a_new_cmdline_file_has_what_the_next_boot_has(make: t.Any) -> None:
    """Without it kernel-install would take the running kernel's arguments, whatever these are by chance."""
    host = make(DEBIAN)
    host.put("/proc/cmdline", "root=UUID=1 ro single\n")
    set_values(host, "300M")
    assert host.read("/etc/kernel/cmdline") == "root=UUID=1 ro console=ttyS0 quiet crashkernel=300M\n"  # fmt: skip


def test_a_new_cmdline_file_does_not_pass_on_the_machines_identity(make: t.Any) -> None:
    host = make(COUNTED)
    host.remove("/etc/kernel/cmdline")
    set_values(host, "300M")
    text = host.read("/etc/kernel/cmdline") or ""
    assert "systemd.machine_id" not in text and "crashkernel=300M" in text


@pytest.mark.parametrize(
    "before, after",
    [
        ("ro\n# last\n", "ro crashkernel=300M\n# last\n"),
        ("# was crashkernel=1M\nro\n", "# was crashkernel=1M\nro crashkernel=300M\n"),
        ("# all", "# all\ncrashkernel=300M\n"),
        ("ro -- init\nquiet\n", "ro crashkernel=300M -- init\nquiet\n"),
        ("ro\ncrashkernel=1M crashkernel=2M,low quiet\n", "ro\ncrashkernel=300M quiet\n"),
    ],
)
def test_comments_in_the_cmdline_file_stay_comments(make: t.Any, before: str, after: str) -> None:
    host = make(DEBIAN)
    host.put("/etc/kernel/cmdline", before)
    set_values(host, "300M")
    assert host.read("/etc/kernel/cmdline") == after
    assert LOADER.plan(host, ["300M"]) == []


def test_a_vendors_cmdline_is_the_base(make: t.Any) -> None:
    host = make(DEBIAN)
    host.put("/usr/lib/kernel/cmdline", "root=LABEL=vendor\n")
    set_values(host, "300M")
    assert host.read("/etc/kernel/cmdline") == "root=LABEL=vendor crashkernel=300M\n"


def test_entries_made_by_hand_get_no_cmdline_file(make: t.Any) -> None:
    """As on Arch, whose kernels keep their file's name."""
    host = make(DEBIAN)
    for path in host.glob("/boot/efi/loader/entries/*"):
        host.remove(path)
    host.put(
        "/boot/efi/loader/entries/arch.conf",
        "title Arch Linux\nlinux /vmlinuz-linux\ninitrd /initramfs-linux.img\n",
    )
    host.put("/boot/efi/vmlinuz-linux", "kernel")
    set_values(host, "300M")
    assert not host.exists("/etc/kernel/cmdline")
    assert (host.read("/boot/efi/loader/entries/arch.conf") or "").endswith(
        "options crashkernel=300M\n"
    )
    set_values(host)
    assert "options" not in (host.read("/boot/efi/loader/entries/arch.conf") or "")


def test_another_root_is_another_system(make: t.Any) -> None:
    host = make(DEBIAN)
    for token, root in (("b", "UUID=2"), ("c", "/dev/sda2"), ("d", "/dev/mapper/x")):
        for path, text in kernels("/boot/efi", token, f"root={root}", "", {"1": f"{token}-1.conf"}).items():  # fmt: skip
            host.put(path, text)
    own = {entry.kernel: entry.own for entry in LOADER.entries(host)}
    assert own["/boot/efi/b/1/linux"] is False
    # The same device may go by another name.
    assert own["/boot/efi/c/1/linux"] is own["/boot/efi/d/1/linux"] is True


def test_partitions_elsewhere_are_asked_for(make: t.Any) -> None:
    def bootctl(_host: FakeHost, argv: t.List[str]) -> Result:
        answers = {"--print-esp-path": "/boot/efi\n"}
        return Result(0, answers[argv[1]], "") if argv[1] in answers else Result(1, "", "none")

    host = make(DEBIAN, tools={**DEBIAN.tools, "bootctl": bootctl})
    host.put("/proc/self/mounts", mounts())
    assert len(LOADER.entries(host)) == 2


def test_a_partition_that_is_not_mounted_is_named(make: t.Any) -> None:
    host = make(DEBIAN)
    host.put("/proc/self/mounts", mounts())
    with pytest.raises(BootLoaderError, match="mount the EFI system partition"):
        LOADER.entries(host)


def one(host: FakeHost, *values: str) -> t.List[str]:
    """Set the values of the next boot's kernel alone; return the files that changed."""
    changes = LOADER.plan_kernels(host, values, [chosen(host)])
    apply(host, LOADER, changes, values, "DEFAULT")
    return [change.path for change in changes if isinstance(change, FileChange)]


def test_one_kernel_alone(make: t.Any) -> None:
    host = make(COUNTED)
    assert one(host, "300M") == [f"/boot/loader/entries/{MACHINE}-6.1.0-2-amd64.conf"]
    assert one(host, "300M") == []


def test_one_kernel_alone_where_its_entry_is_written_again(make: t.Any) -> None:
    host = make(DEBIAN)
    host.put("/etc/initramfs/post-update.d/systemd-boot", "")
    with pytest.raises(BootLoaderError, match="would not last; use 'kernel: ALL'"):
        one(host, "300M")


def test_one_image_alone(make: t.Any) -> None:
    with pytest.raises(BootLoaderError, match="have one add-on"):
        one(make(IMAGES), "300M")


# Unified kernel images


def addon(host: FakeHost) -> t.Optional[str]:
    found = pe.read(host.path("/efi" + ADDON), [".cmdline"])
    return found.texts[".cmdline"] if found else None


def test_images_get_an_addon(make: t.Any) -> None:
    host = make(IMAGES)
    assert [(entry.release, entry.own) for entry in LOADER.entries(host)] == [
        ("6.12.10-amd64", True),
        ("6.12.1-amd64", True),
        ("6.11.0", False),
    ]
    changes = set_values(host, "1G,high", "128M,low")
    assert [change.path for change in changes] == [ADDON_SOURCE]
    assert addon(host) == "crashkernel=1G,high crashkernel=128M,low"
    assert chosen(host).arguments == "root=UUID=1 ro quiet crashkernel=1G,high crashkernel=128M,low"
    set_values(host)
    assert not host.exists("/efi" + ADDON) and not host.exists(ADDON_SOURCE)


TAINT, EARLY = Argument("panic_on_taint"), Argument("rd.earlykdump")


def test_one_addon_has_all_arguments(make: t.Any) -> None:
    host = make(IMAGES)
    set_values(host, "300M")
    for argument, values in ((TAINT, ["0x20"]), (EARLY, [""])):
        apply(host, LOADER, LOADER.plan(host, values, argument), values, argument=argument)
    assert addon(host) == "crashkernel=300M panic_on_taint=0x20 rd.earlykdump"
    set_values(host, "1G,high", "128M,low")
    apply(host, LOADER, LOADER.plan(host, [], TAINT), [], argument=TAINT)
    assert addon(host) == "crashkernel=1G,high crashkernel=128M,low rd.earlykdump"
    set_values(host)
    apply(host, LOADER, LOADER.plan(host, [], EARLY), [], argument=EARLY)
    assert not host.exists("/efi" + ADDON) and not host.exists(ADDON_SOURCE)


def test_what_the_addon_brings_is_not_built_into_a_later_image(make: t.Any) -> None:
    host = make(IMAGES)
    set_values(host, "300M")
    host.remove("/etc/kernel/cmdline")
    change = LOADER.plan(host, ["0x20"], TAINT)[0]
    assert isinstance(change, FileChange) and change.path == "/etc/kernel/cmdline"
    assert change.after == "root=UUID=1 ro quiet\n"


def test_an_addon_is_not_built_anew_without_its_signature(make: t.Any) -> None:
    """It would take crashkernel= away with the argument that goes."""
    host = make(IMAGES)
    host.put(SECURE_BOOT, "\x06\0\0\0\x01")
    host.put("/etc/kernel/uki.conf", "[UKI]\nSecureBootPrivateKey=/k.pem\n")
    set_values(host, "300M")
    apply(host, LOADER, LOADER.plan(host, ["0x20"], TAINT), ["0x20"], argument=TAINT)
    host.remove("/etc/kernel/uki.conf")
    with pytest.raises(BootLoaderError, match="Secure Boot is on"):
        LOADER.plan(host, [], TAINT)
    assert chosen(host).crashkernel == ["300M"]


def test_another_argument_that_is_built_in(make: t.Any) -> None:
    host = make(IMAGES)
    path = "/efi/EFI/Linux/debian-6.12.1-amd64.efi"
    put_program(host, path, image("6.12.1-amd64", "root=UUID=1 rd.earlykdump"))
    put_program(host, f"{path}.extra.d/a.addon.efi", {".cmdline": "panic_on_taint=1"})
    assert LOADER.plan(host, ["300M"])
    with pytest.raises(BootLoaderError, match=f"rd.earlykdump is built into {path}, where"):
        LOADER.plan(host, [], EARLY)
    with pytest.raises(BootLoaderError, match=f"panic_on_taint=1 is built into {path}.extra.d/"):
        LOADER.plan(host, ["0x20"], TAINT)


def test_a_later_image_has_nothing_twice(make: t.Any) -> None:
    """Without the file kernel-install would build in what the add-on brought to the running kernel."""
    host = make(IMAGES)
    host.remove("/etc/kernel/cmdline")
    changes = {change.path: change.after for change in set_values(host, "300M")}
    assert changes["/etc/kernel/cmdline"] == "root=UUID=1 ro quiet\n"
    host.put("/proc/cmdline", "root=UUID=1 ro quiet crashkernel=300M\n")
    IMAGES.add_kernel(host)
    assert all(e.crashkernel == ["300M"] for e in LOADER.entries(host) if e.counts)


def test_what_is_built_in_and_right_needs_nothing(make: t.Any) -> None:
    host = make(IMAGES)
    host.put("/etc/kernel/cmdline", "root=UUID=1 crashkernel=300M\n")
    for release in ("6.12.1-amd64", "6.12.10-amd64", "6.12.20-amd64"):
        put_program(host, f"/efi/EFI/Linux/debian-{release}.efi", image(release, "root=UUID=1 crashkernel=300M"))  # fmt: skip
    assert LOADER.plan(host, ["300M"]) == []


def test_what_is_built_in_and_wrong_is_refused(make: t.Any) -> None:
    host = make(IMAGES)
    IMAGES.add_kernel(host)
    put_program(host, "/efi/EFI/Linux/debian-6.12.1-amd64.efi", image("6.12.1-amd64", "root=UUID=1 crashkernel=64M"))  # fmt: skip
    said = r"crashkernel=64M is built into /efi/EFI/Linux/debian-6\.12\.1-amd64\.efi"
    with pytest.raises(BootLoaderError, match=said + r".*kernel-install add 6\.12\.1-amd64 "):
        LOADER.plan(host, ["300M"])


def test_an_addon_of_somebody_else_is_named(make: t.Any) -> None:
    host = make(IMAGES)
    path = "/efi/EFI/Linux/debian-6.12.1-amd64.efi.extra.d/a.addon.efi"
    put_program(host, path, {".cmdline": "crashkernel=64M"})
    with pytest.raises(BootLoaderError, match=f"crashkernel=64M is built into {path}"):
        LOADER.plan(host, ["300M"])


def test_an_addon_needs_its_tools(make: t.Any) -> None:
    host = make(IMAGES, tools={})
    with pytest.raises(
        BootLoaderError, match="takes ukify and .*systemd-ukify and systemd-boot-efi"
    ):
        LOADER.plan(host, ["300M"])
    assert LOADER.plan(host, []) == []


def test_an_old_stub_takes_no_addon(make: t.Any) -> None:
    host = make(IMAGES)
    path = "/efi/EFI/Linux/debian-6.12.1-amd64.efi"
    put_program(host, path, {**image("6.12.1-amd64", ""), ".sdmagic": "#### LoaderInfo: systemd-stub 252.4 ####"})  # fmt: skip
    with pytest.raises(BootLoaderError, match=r"systemd 252\) takes no add-on"):
        LOADER.plan(host, ["300M"])
    sections = {**image("6.12.1-amd64", ""), ".sbat": "sbat,1\nsystemd-stub,1,The systemd Developers,systemd-stub,255.4-1,url\n"}  # fmt: skip
    del sections[".sdmagic"]
    put_program(host, path, sections)
    assert LOADER.plan(host, ["300M"])
    del sections[".sbat"]
    put_program(host, path, sections)
    with pytest.raises(BootLoaderError, match="not of systemd"):
        LOADER.plan(host, ["300M"])


def test_secure_boot_wants_a_signature(make: t.Any) -> None:
    host = make(IMAGES)
    host.put(SECURE_BOOT, "\x06\0\0\0\x01")
    with pytest.raises(BootLoaderError, match="Secure Boot is on.*SecureBootPrivateKey"):
        LOADER.plan(host, ["300M"])
    # One that is not signed counts for nothing.
    put_program(host, "/efi" + ADDON, {".cmdline": "crashkernel=300M"})
    assert chosen(host).crashkernel == []
    host.put(
        "/etc/kernel/uki.conf",
        "[UKI]\nCmdline=@/x\nSecureBootPrivateKey=/k.pem\nSecureBootCertificate=/c.pem\n[PCRSignature:a]\nPhases=x\n",
    )
    (change,) = set_values(host, "300M")
    assert (change.after or "").endswith(
        "[UKI]\nCmdline=crashkernel=300M\nSecureBootPrivateKey=/k.pem\nSecureBootCertificate=/c.pem\n"
    )
    assert chosen(host).crashkernel == ["300M"]


def test_a_configuration_that_cannot_be_read_is_named(make: t.Any) -> None:
    host = make(IMAGES)
    host.put("/etc/kernel/uki.conf", "no section\n")
    with pytest.raises(BootLoaderError, match=r"uki\.conf"):
        LOADER.plan(host, ["300M"])


def test_half_an_addon_is_built_again(make: t.Any) -> None:
    host = make(IMAGES)
    set_values(host, "300M")
    with open(host.path("/efi" + ADDON), "wb") as handle:
        handle.write(program({".cmdline": "crashkernel=300M"}, whole=False))
    assert chosen(host).crashkernel == []
    set_values(host, "300M")
    assert chosen(host).crashkernel == ["300M"]


def test_a_build_that_fails_leaves_nothing(make: t.Any) -> None:
    def fails(host: FakeHost, argv: t.List[str]) -> Result:
        ukify(host, argv)
        return Result(1, "", "no space left")

    host = make(IMAGES, tools={**IMAGES.tools, "ukify": fails})
    with pytest.raises(BootLoaderError, match="no space left; the boot loader is back as it was"):
        set_values(host, "300M")
    assert os.listdir(host.path("/efi/loader/addons")) == []


@pytest.mark.parametrize("secure", [False, True])
def test_an_image_by_an_entry_file(make: t.Any, secure: bool) -> None:
    """The stub takes an entry's options only if nobody vouches for those that are built in."""
    host = make(IMAGES)
    for path in host.glob("/efi/EFI/Linux/*"):
        host.remove(path)
    put_program(host, "/efi/x.efi", image("6.12.1-amd64", "root=UUID=1 builtin"))
    host.put("/efi/loader/entries/debian-x.conf", "title X\nefi \\x.efi\noptions root=UUID=1 given\n")  # fmt: skip
    host.put(SECURE_BOOT, "\x06\0\0\0" + "\0\x01"[secure])
    host.put("/etc/kernel/uki.conf", "[UKI]\nSecureBootPrivateKey=/k.pem\n")
    assert chosen(host).arguments == f"root=UUID=1 {'builtin' if secure else 'given'}"
    assert chosen(host).release == "6.12.1-amd64"
    set_values(host, "300M")
    assert chosen(host).crashkernel == ["300M"]
    assert host.exists(ADDON_SOURCE) is secure


@pytest.mark.parametrize(
    "data",
    [b"", b"MZ", b"MZ" + bytes(100), b"\x7fELF", program({".cmdline": "x"})[:200]],
)
def test_what_is_no_efi_program(tmp_path: t.Any, data: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(data)
    assert pe.read(str(path), [".cmdline"]) is None
    assert pe.read(str(tmp_path / "none"), [".cmdline"]) is None


def test_the_first_section_of_a_name_counts(tmp_path: t.Any) -> None:
    """The others belong to further profiles."""
    data = program({".cmdline": "first", ".cmdlinX": "second"}).replace(b".cmdlinX", b".cmdline")
    (tmp_path / "x").write_bytes(data)
    found = pe.read(str(tmp_path / "x"), [".cmdline"])
    assert found is not None and found.texts == {".cmdline": "first"} and not found.signed


def test_entry_files_of_this_test_are_those_of_debian() -> None:
    """As read in a virtual machine."""
    assert entry_file("1", "debian", "ro").splitlines()[2:] == [
        "title      Debian GNU/Linux 13 (trixie)",
        "version    1",
        "sort-key   debian",
        "options    ro",
        "linux      /debian/1/linux",
        "initrd     /debian/1/initrd.img-1",
    ]
