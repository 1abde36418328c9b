# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.crashkernel import parse_crashkernel
from ansible_collections.kdump.fleet.plugins.module_utils.sizing import (
    Additions,
    auto,
    boot_parts,
    distro_default,
    parts,
)

GIB = 1 << 30
LONG = "2G-4G:320M,4G-32G:512M,32G-64G:1024M,64G-128G:2048M,128G-:4096M"
PPC = "2G-4G:384M,4G-16G:512M,16G-64G:1G,64G-128G:2G,128G-:4G"
EL8 = "1G-4G:160M,4G-64G:192M,64G-1T:256M,1T-:512M"
EL9 = "1G-4G:192M,4G-64G:256M,64G-:512M"
EL10 = "2G-64G:256M,64G-:512M"
TABLE: t.List[t.Tuple[str, str, str, t.Optional[str]]] = [
    ("debian", "12", "x86_64", "384M-:128M"),
    ("debian", "13", "x86_64", "512M-:192M"),
    ("debian", "13", "s390x", "512M-:192M"),
    ("debian", "", "x86_64", "512M-:192M"),
    ("debian", "12", "aarch64", LONG),
    ("debian", "13", "ppc64le", LONG),
    ("debian", "12", "m68k", None),
    ("ubuntu", "20.04", "x86_64", "512M-:192M"),
    ("ubuntu", "22.04", "x86_64", "512M-:192M"),
    ("ubuntu", "23.10", "x86_64", "512M-:192M"),
    ("ubuntu", "24.04", "x86_64", LONG),
    ("ubuntu", "26.04", "aarch64", LONG),
    ("ubuntu", "22.04", "s390x", LONG),
    ("ubuntu", "18.04", "x86_64", None),
    ("rhel", "7.9", "x86_64", None),
    ("rhel", "8.2", "x86_64", "1G-64G:160M,64G-1T:256M,1T-:512M"),
    ("rhel", "8.10", "x86_64", EL8),
    ("rhel", "8.10", "aarch64", "2G-:448M"),
    ("rhel", "9.0", "x86_64", EL9),
    ("rhel", "9.0", "aarch64", "2G-:448M"),
    ("rhel", "9.2", "aarch64", "1G-4G:256M,4G-64G:320M,64G-:576M"),
    ("rhel", "9.6", "s390x", EL9),
    ("rhel", "9.6", "ppc64le", PPC),
    ("rhel", "10.0", "x86_64", EL10),
    ("rhel", "10.0", "s390x", EL10),
    ("rhel", "10.0", "aarch64", "2G-4G:256M,4G-64G:320M,64G-:576M"),
    ("rhel", "10.1", "ppc64le", PPC),
    ("rhel", "10.2", "ppc64le", "2G-4G:400M,4G-16G:528M,16G-64G:1040M,64G-128G:2064M,128G-:4112M"),
    # The clones follow the release whose number they bear; a Stream is ahead of its minors.
    ("rocky", "9.4", "x86_64", EL9),
    ("almalinux", "8.9", "x86_64", EL8),
    ("ol", "9.4", "x86_64", EL9),
    ("ol", "10.0", "x86_64", EL10),
    ("centos", "9", "aarch64", "1G-4G:256M,4G-64G:320M,64G-:576M"),
    ("centos", "10", "x86_64", EL10),
    ("fedora", "36", "x86_64", EL9),
    ("fedora", "42", "x86_64", EL10),
    ("fedora", "40", "riscv64", None),
    ("unheard-of", "1", "x86_64", None),
]  # fmt: skip


@pytest.mark.parametrize("distribution, version, arch, expected", TABLE)
def test_distro_default(
    distribution: str, version: str, arch: str, expected: t.Optional[str]
) -> None:
    assert distro_default(distribution, version, arch) == expected


ADDED: t.List[t.Tuple[str, str, str, Additions, str]] = [
    ("rhel", "10.0", "x86_64", Additions(encrypted=True), "2G-64G:320M,64G-:576M"),
    ("rhel", "9.3", "x86_64", Additions(encrypted=True), EL9),
    ("rhel", "9.4", "x86_64", Additions(encrypted=True), "1G-4G:256M,4G-64G:320M,64G-:576M"),
    ("rhel", "10.0", "s390x", Additions(encrypted=True, mlx5=True), EL10),
    ("rhel", "10.0", "x86_64", Additions(mlx5=True), EL10),
    ("rhel", "10.0", "aarch64", Additions(mlx5=True), "2G-4G:406M,4G-64G:470M,64G-:726M"),
    ("rhel", "10.0", "aarch64", Additions(smmu=True), "2G-4G:256M,4G-64G:320M,64G-:576M"),
    ("rhel", "10.0", "aarch64", Additions(page_64k=True), "2G-4G:356M,4G-64G:420M,64G-:676M"),
    ("rhel", "9.3", "aarch64", Additions(page_64k=True), "1G-4G:356M,4G-64G:420M,64G-:676M"),
    ("rhel", "10.0", "aarch64", Additions(page_64k=True, smmu=True), "2G-4G:740M,4G-64G:804M,64G-:1060M"),
    ("rhel", "10.0", "aarch64", Additions(page_64k=True, smmu=True, mlx5=True), "2G-4G:940M,4G-64G:1004M,64G-:1260M"),
    ("rhel", "9.2", "aarch64", Additions(mlx5=True), "1G-4G:256M,4G-64G:320M,64G-:576M"),
    (
        "rhel", "10.2", "ppc64le", Additions(fadump=True),
        "4G-16G:784M,16G-64G:1040M,64G-128G:2064M,128G-1T:4112M,1T-2T:6160M,2T-4T:12304M,"
        "4T-8T:20496M,8T-16T:36880M,16T-32T:65552M,32T-64T:131088M,64T-:184336M",
    ),
]  # fmt: skip


@pytest.mark.parametrize("distribution, version, arch, additions, expected", ADDED)
def test_what_is_on_the_host_enlarges_the_default(
    distribution: str, version: str, arch: str, additions: Additions, expected: str
) -> None:
    assert distro_default(distribution, version, arch, (), additions) == expected


def test_a_clone_that_nobody_listed_is_known_by_what_it_is_like() -> None:
    assert distro_default("eurolinux", "9.3", "x86_64", ["rhel", "centos", "fedora"]) == EL9
    # Its version number is its own, so Debian's table would be a guess.
    assert distro_default("linuxmint", "21", "x86_64", ["ubuntu", "debian"]) is None
    assert distro_default("amzn", "2023", "x86_64", ["fedora"]) is None


def test_every_default_is_one_that_the_kernel_takes() -> None:
    for distribution, version, arch, value in TABLE:
        if value is not None:
            found = parse_crashkernel(f"crashkernel={value}", 256 * GIB, arch)
            assert found.size >= 128 << 20, (distribution, version)


MIB = 1 << 20


def facts(**changes: t.Any) -> t.Dict[str, t.Any]:
    """Return what kdump_info says of a small Debian 12 host; names in ``capture`` can be changed."""
    capture: t.Dict[str, t.Any] = {
        "kernel": "6.1.0-2-amd64",
        "image": 43 * MIB,
        "vmlinuz": 8 * MIB,
        "initrd": {"packed": 7 * MIB, "plain": 0, "compression": "zstd", "unpacked": 20 * MIB},
        "modules": 7 * MIB,
        "modules_compressed": False,
        "cpus": 1,
        "network": False,
        "luks": 0,
        "used": None,
        **dict.fromkeys(("page_64k", "debug_kernel", "encrypted", "mlx5", "smmu", "fadump"), False),
    }
    result = {
        "architecture": "x86_64",
        "memory": {"total": 2 * GIB, "page_size": 4096},
        "distribution": {"id": "debian", "version": "12", "like": []},
        "tooling": {"name": "kdump-tools"},
    }
    for key, value in changes.items():
        (capture if key in capture else result)[key] = value
    result["capture"] = capture
    return result


def used(mib: int, **changes: t.Any) -> t.Dict[str, t.Any]:
    plain = {"kernel": "6.1.0-2-amd64", "used": mib * MIB, "ram": 256 * MIB, "proven": True}
    plain["changed"] = False
    return {**plain, **changes}


def test_auto_is_a_sum_that_it_explains() -> None:
    sized = auto(facts())
    assert sized["basis"] == "estimate" and sized["too_small"] == ""
    total = sum(part["mib"] for part in sized["parts"])
    assert total == pytest.approx(sized["needed"] / MIB, abs=1)
    assert sized["size"] % (16 * MIB) == 0
    assert sized["needed"] < sized["size"] <= 128 * MIB
    assert sized["value"] == f"{sized['size'] // MIB}M"
    for part in sized["parts"]:
        assert part["name"] in sized["reasoning"][0] and part["why"]


# What is on the host, and by how many MiB the need grows at least.
GROWS: t.List[t.Tuple[t.Dict[str, t.Any], int]] = [
    ({"image": 83 * MIB}, 40),
    ({"modules": 47 * MIB}, 40),
    ({"initrd": {"packed": 60 * MIB, "plain": 0, "compression": "gzip", "unpacked": 180 * MIB}}, 150),
    ({"cpus": 33}, 32),
    ({"network": True}, 8),
    ({"luks": 1024 * MIB}, 1044),
    ({"encrypted": True}, 64),
    ({"mlx5": True}, 124),
    ({"page_64k": True}, 82),
    ({"page_64k": True, "smmu": True}, 466),
    ({"debug_kernel": True}, 40),
    ({"memory": {"total": 1024 * GIB, "page_size": 4096}}, 31),
]  # fmt: skip


@pytest.mark.parametrize("changes, least", GROWS)
def test_what_is_on_the_host_makes_it_larger(changes: t.Dict[str, t.Any], least: int) -> None:
    growth = [
        sum(part.size for part in side(facts(**changes))) - sum(part.size for part in side(facts()))
        for side in (parts, boot_parts)
    ]
    assert max(growth) >= least * MIB
    for side in (parts, boot_parts):
        assert auto(facts(**changes))["size"] > sum(part.size for part in side(facts(**changes)))


def test_without_an_initrd_yet_the_figure_is_near_to_the_one_with_it() -> None:
    assert abs(auto(facts(initrd=None))["size"] - auto(facts())["size"]) <= 32 * MIB


def test_without_root_the_image_is_taken_from_its_file() -> None:
    assert abs(auto(facts(image=None))["needed"] - auto(facts())["needed"]) < 16 * MIB


def test_a_capture_that_was_measured_replaces_the_estimate() -> None:
    sized = auto(facts(used=used(150)))
    assert (sized["basis"], sized["needed"], sized["value"]) == ("measured", 150 * MIB, "176M")
    assert "the last capture on this host used 150 MiB" in sized["reasoning"][0]
    # It does not see the initrd being unpacked: there the estimate counts, but not beyond what is proven to do.
    assert auto(facts(used=used(60)))["needed"] == auto(facts())["needed"]
    small = auto(facts(used=used(60, ram=96 * MIB)))
    assert (small["basis"], small["value"]) == ("measured", "96M")


def test_what_was_measured_to_be_needed_is_not_forgotten() -> None:
    for change in ({"kernel": "6.1.0-1-amd64"}, {"changed": True}, {"proven": False}):
        larger = auto(facts(used=used(200, **change)))
        assert (larger["basis"], larger["needed"]) == ("estimate", 200 * MIB)
        assert "used 200 MiB, more than an estimate" in larger["reasoning"][0]
        # But a small figure is no reason to take less.
        assert auto(facts(used=used(60, **change)))["needed"] == auto(facts())["needed"]


def test_a_larger_initrd_since_is_not_what_was_measured() -> None:
    initrd = {"packed": 60 * MIB, "plain": 0, "compression": "gzip", "unpacked": 180 * MIB}
    estimate = auto(facts(initrd=initrd))["size"]
    note = used(60, ram=128 * MIB, changed=True)
    assert auto(facts(initrd=initrd, used=note))["size"] == estimate > 300 * MIB


def test_a_reservation_that_has_captured_is_enough() -> None:
    # With the low memory that x86 gives a capture kernel besides.
    ram = 96 * MIB + 636 * 1024
    assert auto(facts(used=used(60, ram=ram)))["value"] == "96M"
    # Its dump is gone: the estimate is back, but what runs may stay.
    gone = auto(facts(used=used(60, ram=ram, proven=False)))
    assert gone["value"] == "128M" and gone["enough"] <= 96 * MIB


def test_where_only_the_distribution_has_measured_its_default_is_the_least() -> None:
    rhel = {"id": "rhel", "version": "9.4", "like": ["fedora"]}
    sized = auto(facts(distribution=rhel, tooling={"name": "kdumpctl"}))
    assert sized["size"] == 192 * MIB
    assert "distribution's default" in sized["reasoning"][-1]
    measured = auto(facts(distribution=rhel, tooling={"name": "kdumpctl"}, used=used(120)))
    assert measured["size"] == 144 * MIB
    arm = auto(facts(architecture="aarch64"))
    assert arm["size"] == 320 * MIB


def test_the_architecture_decides_the_step() -> None:
    arm = auto(facts(architecture="aarch64", distribution={"id": "x", "version": "", "like": []}))
    assert arm["size"] % (2 * MIB) == 0 and arm["size"] < 1.2 * arm["needed"]


@pytest.mark.parametrize("ram, small", [(192, True), (512, False)])
def test_a_host_that_is_too_small_is_told(ram: int, small: bool) -> None:
    sized = auto(facts(memory={"total": ram * MIB, "page_size": 4096}))
    assert bool(sized["too_small"]) is small
    if small:
        assert f"{ram} MiB of RAM" in sized["too_small"] and "none" in sized["too_small"]
