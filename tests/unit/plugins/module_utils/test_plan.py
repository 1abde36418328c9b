# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.grub import DROPIN
from ansible_collections.kdump.fleet.plugins.module_utils.observe import observe
from ansible_collections.kdump.fleet.plugins.module_utils.plan import plan, unknown_variables
from ansible_collections.kdump.fleet.plugins.module_utils.records import (
    ARGUMENTS,
    ORIGINALS,
    SYSCTLS,
)
from ansible_collections.kdump.fleet.plugins.module_utils.wanted import Wanted
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import GRUB_CFG, FakeHost


def steps(host: FakeHost, **wanted: t.Any) -> t.List[str]:
    result = plan(observe(host), Wanted(**wanted))
    assert result["errors"] == []
    # Whatever the place for dumps takes part in has to show it first; see test_target_rules.
    return [name for name in result["step_names"] if name != "target"]


def test_a_host_that_is_right_needs_nothing(debian: FakeHost) -> None:
    assert steps(debian) == []


def test_a_bare_host_needs_everything(debian: FakeHost) -> None:
    debian.put("/proc/cmdline", "root=UUID=1 ro\n")
    debian.put("/sys/kernel/kexec_crash_loaded", "0\n")
    debian.put("/sys/kernel/kexec_crash_size", "0\n")
    debian.put("/boot/grub/grub.cfg", GRUB_CFG.replace("@NEXT@", ""))
    for path in (
        "/etc/default/kdump-tools",
        "/etc/default/grub.d/kdump-tools.cfg",
        "/var/lib/kdump/initrd.img-6.1.0-2-amd64",
    ):
        debian.remove(path)
    os.rmdir(debian.path("/var/crash"))
    debian.runner.answers = {}
    assert steps(debian) == [
        "packages",
        "path",
        "conf",
        "crashkernel",
        "service",
        "initrd",
        "reboot",
    ]


def test_a_new_value_needs_the_boot_loader_and_a_reboot(debian: FakeHost) -> None:
    assert steps(debian, crashkernel="256M") == ["crashkernel", "reboot"]


def test_one_boot_entry_with_another_value_is_seen(debian: FakeHost) -> None:
    text = (debian.read("/boot/grub/grub.cfg") or "").replace(
        "vmlinuz-6.1.0-1-amd64 root=UUID=1 ro quiet crashkernel=384M-:128M",
        "vmlinuz-6.1.0-1-amd64 root=UUID=1 ro",
    )
    debian.put("/boot/grub/grub.cfg", text)
    assert steps(debian) == ["crashkernel"]


def test_a_reboot_that_is_pending(debian: FakeHost) -> None:
    debian.put("/proc/cmdline", "root=UUID=1 ro\n")
    debian.put("/sys/kernel/kexec_crash_size", "0\n")
    debian.put("/sys/kernel/kexec_crash_loaded", "0\n")
    assert steps(debian) == ["reboot"]


def test_none_takes_the_reservation_away(debian: FakeHost) -> None:
    assert steps(debian, crashkernel="none") == ["crashkernel", "reboot"]
    assert not debian.exists(DROPIN)


def test_an_unloaded_kernel_is_loaded(debian: FakeHost) -> None:
    debian.put("/sys/kernel/kexec_crash_loaded", "0\n")
    assert steps(debian) == ["load"]


def test_a_new_configuration_is_loaded(debian: FakeHost) -> None:
    assert steps(debian, dumps_to_keep=3) == ["conf", "load"]


def test_a_stale_initrd_is_built(debian: FakeHost) -> None:
    debian.put("/etc/initramfs-tools/initramfs.conf", "MODULES=dep\n")
    assert steps(debian) == ["load"]


def test_a_configuration_that_was_never_confirmed_is(debian: FakeHost) -> None:
    debian.put("/var/lib/kdump-fleet/pending.json", "{}")
    assert steps(debian) == ["load"]


def test_an_open_folder_is_closed_but_not_one_that_others_use(debian: FakeHost) -> None:
    os.chmod(debian.path("/var/crash"), 0o755)
    assert steps(debian) == ["path"]
    os.chmod(debian.path("/var/crash"), 0o3777)
    assert steps(debian) == []


WRONG: t.List[t.Tuple[t.Dict[str, t.Any], str, str]] = [
    (
        {"crashkernel": "2G"},
        "kdump_crashkernel: '2G' would be rejected",
        "not less than the host's RAM (1073",
    ),
    ({"crashkernel": "automatic"}, "kdump_crashkernel: 'automatic'", "a size is expected"),
    ({"crashkernel": "256M;reboot"}, "kdump_crashkernel: '256M;reboot'", "size or ranges alone"),
    ({"crashkernel": "crashkernel=256M"}, "kdump_crashkernel", "without 'crashkernel='"),
    ({"crashkernel": ""}, "kdump_crashkernel", "there is no crashkernel="),
    ({"path": "var/crash"}, "kdump_path: 'var/crash'", "absolute path"),
    ({"path": "/srv/$HOSTNAME"}, "kdump_path: '/srv/$HOSTNAME'", "absolute path"),
    ({"path": "/"}, "kdump_path: '/'", "belongs to the whole host"),
    ({"path": "/var//"}, "kdump_path: '/var//'", "belongs to the whole host"),
    ({"crashkernel": "256M\n512M"}, "kdump_crashkernel", "size or ranges alone"),
    ({"crashkernel": "256M 1G,cma"}, "kdump_crashkernel", "came with 6.17"),
    ({"kexec_args": ";reboot"}, "kdump_kexec_args: KDUMP_KEXEC_ARGS", "evaluates"),
    (
        {"options": {"FTP_PASSWD": "s3cret"}},
        "kdump_options: FTP_PASSWD",
        "did you mean FTP_PASSWORD?",
    ),
    ({"path": "/var/../etc"}, "kdump_path: '/var/../etc'", "without '..'"),
    ({"path": "/var/crash\nUSE_KDUMP=0"}, "kdump_path", "absolute path"),
    (
        {"system_action": "shell"},
        "kdump_system_action: 'shell'",
        "use one of: reboot, halt, poweroff",
    ),
    ({"core_collector": "cp"}, "kdump_core_collector: 'cp'", "must begin with 'makedumpfile'"),
    (
        {"core_collector": "makedumpfile -d 99"},
        "kdump_core_collector: MAKEDUMP_ARGS='-d 99'",
        "0 to 31",
    ),
    ({"core_collector": "makedumpfile -c\n-d 31"}, "kdump_core_collector", "newline"),
    ({"dumps_to_keep": -1}, "kdump_dumps_to_keep: -1", "0 (all) or more"),
    (
        {"options": {"KDUMP_COMPRESION": "xz"}},
        "kdump_options: KDUMP_COMPRESION='xz'",
        "did you mean KDUMP_COMPRESSION?",
    ),
    (
        {"options": {"KDUMP_COREDIR": "/x"}},
        "kdump_options: KDUMP_COREDIR",
        "set kdump_path instead",
    ),
    (
        {"options": {"KDUMP_COMPRESSION": "xz\nUSE_KDUMP=0"}},
        "kdump_options: KDUMP_COMPRESSION",
        "newline",
    ),
    (
        {"options": {"KDUMP_COMPRESSION": ["xz"]}},
        "kdump_options: KDUMP_COMPRESSION",
        "must be a string or a whole number",
    ),
    ({"options": {"FTP_PASSWORD": "s3cret"}}, "kdump_options: FTP_PASSWORD", "secret"),
    ({"tooling": "nonsense"}, "kdump_tooling: 'nonsense'", "auto, kdump-tools"),
]


@pytest.mark.parametrize("wanted, where, rule", WRONG)
def test_bad_input_is_named_and_nothing_is_planned(
    debian: FakeHost, wanted: t.Dict[str, t.Any], where: str, rule: str
) -> None:
    result = plan(observe(debian), Wanted(**wanted))
    assert any(where in problem and rule in problem for problem in result["errors"]), result[
        "errors"
    ]
    assert result["steps"] == []
    assert "s3cret" not in str(result["errors"])


def test_every_error_is_told_at_once(debian: FakeHost) -> None:
    result = plan(observe(debian), Wanted(path="x", sshkey="y", dumps_to_keep=-1))
    assert len(result["errors"]) == 3


def test_a_misspelt_variable_is_found() -> None:
    known = ["kdump_path", "kdump_crashkernel"]
    (problem,) = unknown_variables(
        ["kdump_path", "kdump_crashkernal", "kdump_path_of_site", "kdump_reboot_required"], known
    )
    assert problem.startswith("kdump_crashkernal:") and "kdump_crashkernel" in problem


def test_a_number_is_a_size_too(debian: FakeHost) -> None:
    assert steps(debian, crashkernel=268435456) == ["crashkernel", "reboot"]


def test_what_is_reserved_is_armed_before_the_reboot(debian: FakeHost) -> None:
    debian.put("/sys/kernel/kexec_crash_loaded", "0\n")
    assert steps(debian, crashkernel="256M") == ["load", "crashkernel", "reboot"]


def test_a_new_configuration_is_tried_before_the_reboot(debian: FakeHost) -> None:
    assert steps(debian, crashkernel="256M", dumps_to_keep=2) == [
        "conf",
        "load",
        "crashkernel",
        "reboot",
    ]


def test_other_systems_and_memory_tests_do_not_count(debian: FakeHost) -> None:
    text = debian.read("/boot/grub/grub.cfg") or ""
    text = "### BEGIN /etc/grub.d/10_linux ###\n" + text + "### END /etc/grub.d/10_linux ###\n"
    text += "### BEGIN /etc/grub.d/20_memtest86+ ###\nmenuentry 'Memory test' {\n    linux /boot/memtest86+x64.bin\n}\n"
    text += "### END /etc/grub.d/20_memtest86+ ###\n### BEGIN /etc/grub.d/30_os-prober ###\n"
    text += "menuentry 'Other' {\n    linux /boot/vmlinuz-5 ro\n}\n### END /etc/grub.d/30_os-prober ###\n"
    debian.put("/boot/grub/grub.cfg", text)
    assert steps(debian) == []


def test_a_default_that_is_not_ours_is_an_error(debian: FakeHost) -> None:
    text = "### BEGIN /etc/grub.d/40_custom ###\nset default=\"0\"\nmenuentry 'Own' {\n    linux /boot/vmlinuz-5 ro\n}\n"
    debian.put("/boot/grub/grub.cfg", text)
    (problem,) = plan(observe(debian), Wanted())["errors"]
    assert "grub boots 'Own'" in problem


def test_a_folder_that_others_use_is_refused(debian: FakeHost) -> None:
    debian.put("/var/crash/backup.tar", "x")
    assert steps(debian) == []
    os.chmod(debian.path("/var/crash"), 0o755)
    (problem,) = plan(observe(debian), Wanted())["errors"]
    assert "holds other things (backup.tar)" in problem


def test_what_kdump_tools_would_delete_is_refused(debian: FakeHost) -> None:
    debian.put("/var/crash/2024-01/backup.tar", "x")
    (problem,) = plan(observe(debian), Wanted(dumps_to_keep=3))["errors"]
    assert problem.startswith("kdump_dumps_to_keep:")


def test_a_file_is_no_folder(debian: FakeHost) -> None:
    debian.put("/srv/file", "x")
    (problem,) = plan(observe(debian, dump_path="/srv/file"), Wanted(path="/srv/file"))["errors"]
    assert "is no folder" in problem


def test_a_host_with_dracut_is_refused(debian: FakeHost) -> None:
    debian.runner.programs.add("dracut")
    (problem,) = plan(observe(debian), Wanted())["errors"]
    assert "dracut" in problem


def reserve(host: FakeHost, running: str, following: str) -> None:
    """Have the host booted with one value, and its boot loader give another one."""
    host.put("/proc/cmdline", f"root=UUID=1 ro quiet {running}\n")
    host.put("/boot/grub/grub.cfg", GRUB_CFG.replace("@NEXT@", f" {following}"))


def chosen(host: FakeHost) -> t.List[str]:
    result = plan(observe(host), Wanted())
    assert result["errors"] == []
    return t.cast(t.List[str], result["crashkernel"])


def test_auto_keeps_what_the_host_was_booted_with_if_it_is_enough_and_no_waste(
    debian: FakeHost,
) -> None:
    assert observe(debian)["sizing"]["value"] == "128M"
    for value in ("384M-:128M", "192M", "120M"):
        reserve(debian, f"crashkernel={value}", f"crashkernel={value}")
        assert chosen(debian) == [value]
    for value in ("96M", "208M", "512M", "1G"):
        reserve(debian, f"crashkernel={value}", f"crashkernel={value}")
        assert chosen(debian) == ["128M"]
    # What it takes below 4 GiB counts too.
    reserve(debian, "crashkernel=160M,high", "crashkernel=160M,high")
    assert chosen(debian) == ["128M"]
    reserve(debian, "crashkernel=144M", "crashkernel=144M")
    debian.put("/sys/kernel/kexec_crash_size", "0\n")
    assert chosen(debian) == ["128M"], "the kernel could not reserve it"


def test_auto_replaces_what_the_next_kernel_would_reject(debian: FakeHost) -> None:
    reserve(debian, "", "crashkernel=128M crashkernel=64M,cma")
    assert chosen(debian) == ["128M"]


def test_settings_that_are_yet_to_be_written_count(debian: FakeHost) -> None:
    result = plan(observe(debian), Wanted(options={"KDUMP_CMDLINE_APPEND": "nr_cpus=48"}))
    assert result["errors"] == [] and "CPUs 47" in result["reasoning"][0]


def test_auto_puts_right_what_the_host_was_not_booted_with_yet(debian: FakeHost) -> None:
    reserve(debian, "", "crashkernel=512M-:192M")
    assert chosen(debian) == ["128M"]
    # Not by one step, or every run would have something to do while a reboot is pending.
    reserve(debian, "", "crashkernel=144M")
    assert chosen(debian) == ["144M"]


def test_auto_explains_itself_in_the_plan(debian: FakeHost) -> None:
    reserve(debian, "", "")
    result = plan(observe(debian), Wanted())
    (step,) = [step for step in result["steps"] if step["name"] == "crashkernel"]
    assert "auto: 128 MiB; an estimate of" in step["reason"] and "kernel image 42" in step["reason"]
    assert result["reasoning"] == observe(debian)["sizing"]["reasoning"]


def test_a_host_that_is_too_small_is_left_as_it_is_and_told(debian: FakeHost) -> None:
    debian.put("/proc/iomem", "00100000-0bffffff : System RAM\n")
    result = plan(observe(debian), Wanted())
    assert result["steps"] == [] and result["errors"] == [] and not result["reboot_required"]
    assert "too small to dump at all" in result["too_small"]


def test_a_measured_capture_decides(debian: FakeHost) -> None:
    record = "kernel=6.1.0-2-amd64\nstarted=5000\nram=268000000\ntotal=200000000\nlowest=30000000\n"
    debian.put("/var/lib/kdump-fleet/capture-memory", record)
    debian.put("/var/crash/202611210837/dump.202611210837", "x")
    os.utime(debian.path("/etc/default/kdump-tools"), (1000, 1000))
    result = plan(observe(debian), Wanted())
    assert "the last capture on this host used 226 MiB" in result["reasoning"][0]
    assert result["crashkernel"] == ["272M"] and "crashkernel" in result["step_names"]


def test_a_host_without_kdump_needs_nothing_for_absent(debian: FakeHost) -> None:
    debian.put("/proc/cmdline", "root=UUID=1 ro\n")
    debian.put("/sys/kernel/kexec_crash_loaded", "0\n")
    debian.put("/boot/grub/grub.cfg", GRUB_CFG.replace("@NEXT@", ""))
    debian.runner.answer(
        *(
            "systemctl",
            "show",
            "--property=UnitFileState,ActiveState,Result",
            "kdump-tools.service",
        ),
        stdout="UnitFileState=disabled\nActiveState=inactive\nResult=success\n",
    )
    assert steps(debian, state="absent") == []


def test_absent_takes_everything_back(debian: FakeHost) -> None:
    assert steps(debian, state="absent") == ["unload", "disable", "crashkernel", "reboot"]
    ORIGINALS.keep(debian, {"/etc/default/kdump-tools": "x"})
    ARGUMENTS.keep(debian, {"panic_on_taint": []})
    assert steps(debian, state="absent") == [
        *("unload", "disable", "crashkernel", "arguments", "restore", "reboot")
    ]


def test_unmanaged_asks_for_nothing_even_where_kdump_cannot_be(debian: FakeHost) -> None:
    debian.put("/boot/grub/grub.cfg", "")
    result = plan(observe(debian), Wanted(state="unmanaged", crashkernel="nonsense"))
    assert result["errors"] == [] and result["steps"] == []


def test_a_trigger_that_nobody_asks_for_any_more_goes(debian: FakeHost) -> None:
    debian.put("/proc/sys/kernel/softlockup_panic", "0\n")
    assert steps(debian, panic_on=["oops", "softlockup"]) == ["panic"]
    SYSCTLS.keep(debian, {"kernel.softlockup_panic": "0"})
    assert steps(debian) == ["panic"]


def test_a_taint_needs_the_boot_loader_and_a_reboot(debian: FakeHost) -> None:
    debian.put("/proc/sys/kernel/tainted", "0\n")
    result = plan(observe(debian), Wanted(panic_on=["oops", "taint:B"]))
    assert result["step_names"] == ["arguments", "reboot"]
    assert result["arguments"] == {"panic_on_taint": ["0x20"]}


def test_an_argument_that_nobody_asks_for_any_more_gets_its_value_from_before(
    debian: FakeHost,
) -> None:
    ARGUMENTS.keep(debian, {"panic_on_taint": ["0x10"]})
    result = plan(observe(debian), Wanted())
    assert result["arguments"] == {"panic_on_taint": ["0x10"]}
    assert result["step_names"] == ["arguments", "reboot"]


def test_a_line_that_a_shell_would_misread_is_mended(debian: FakeHost) -> None:
    text = debian.read("/etc/default/kdump-tools") or ""
    debian.put("/etc/default/kdump-tools", text.replace("USE_KDUMP=1", "USE_KDUMP = 1"))
    assert steps(debian) == ["conf", "load"]


def test_with_a_target_of_its_own_no_folder_is_made(debian: FakeHost) -> None:
    os.rmdir(debian.path("/var/crash"))
    debian.runner.programs.add("mount.nfs")
    target = {"type": "nfs", "location": "server:/dumps"}
    result = plan(observe(debian), Wanted(target=target, path="/srv/hosts"))
    assert result["step_names"] == ["target", "conf", "load"]
    assert (result["settings"]["NFS"], result["settings"]["SSH"]) == ("server:/dumps", None)


def test_what_a_device_target_needs_is_looked_at(debian: FakeHost) -> None:
    wanted = Wanted(extra_bins=["/usr/bin/none"])
    result = plan(observe(debian, paths=["/usr/bin/none"]), wanted)
    assert any("kdump_extra_bins: /usr/bin/none is not on" in error for error in result["errors"])


SSH: t.Dict[str, t.Any] = {
    "target": {"type": "ssh", "location": "kdump@s"},
    "system_action": "reboot",
}
KEY = "/root/.ssh/kdump_id_ed25519"
PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEbyeMMEItdxKGIotyBPQCcrHAN09AqQmXmeWYTNZbnQ"


def planned(host: FakeHost, key: str = "", **wanted: t.Any) -> t.Dict[str, t.Any]:
    location = wanted["target"]["location"]
    return plan(observe(host, ssh={"location": location, "key": key}), Wanted(**wanted))


def test_an_ssh_target_needs_a_client_and_a_key(debian: FakeHost) -> None:
    result = planned(debian, **SSH)
    assert result["errors"] == []
    assert result["step_names"][:3] == ["packages", "key", "conf"]
    assert result["packages"] == ["openssh-client"]
    assert result["settings"]["SSH_KEY"] == KEY
    assert result["ssh"] == {
        "destination": "ssh://kdump@s",
        "user": "kdump",
        "host": "s",
        "key": KEY,
        "key_type": "auto",
        "known_hosts": "/etc/kdump-fleet/known_hosts",
        "public_key": "",
        "pinned": [],
        "path": "/var/crash",
    }


def test_an_ssh_target_with_all_that_it_needs(debian: FakeHost) -> None:
    debian.runner.programs.add("ssh")
    debian.put(KEY, "private")
    debian.put(KEY + ".pub", PUBLIC + " kdump-fleet\n")
    debian.put("/etc/kdump-fleet/known_hosts", f"s {PUBLIC} kdump-fleet\n")
    result = planned(debian, **SSH)
    assert "packages" not in result["step_names"] and "key" not in result["step_names"]
    assert (result["ssh"]["public_key"], result["ssh"]["pinned"]) == (PUBLIC, [PUBLIC])


@pytest.mark.parametrize(
    "kind, location, package",
    [("nfs", "s:/x", "nfs-common"), ("ssh", "kdump@s", "openssh-client")],
)
def test_a_target_brings_its_client(
    debian: FakeHost, kind: str, location: str, package: str
) -> None:
    wanted = Wanted(target={"type": kind, "location": location})
    assert plan(observe(debian), wanted)["packages"] == [package]
    debian.runner.programs.update({"ssh", "mount.nfs"})
    assert plan(observe(debian), wanted)["packages"] == []


def test_the_key_that_the_tooling_has_stays(debian: FakeHost) -> None:
    debian.put("/etc/default/kdump-tools", 'SSH="kdump@s"\nSSH_KEY="/root/.ssh/site"\n')
    assert planned(debian, **SSH)["settings"]["SSH_KEY"] == "/root/.ssh/site"
    assert planned(debian, key="/k", **SSH)["settings"]["SSH_KEY"] == "/k"


def test_fips_refuses_ed25519(debian: FakeHost) -> None:
    debian.put("/proc/sys/crypto/fips_enabled", "1\n")
    assert planned(debian, **SSH)["settings"]["SSH_KEY"] == "/root/.ssh/kdump_id_ecdsa"
    (problem,) = planned(debian, ssh_key_type="ed25519", **SSH)["errors"]
    assert problem.startswith("kdump_ssh_key_type: 'ed25519'") and "ecdsa" in problem


def test_a_host_that_is_given_up_logs_out(debian: FakeHost) -> None:
    debian.put(KEY, "private")
    debian.put(KEY + ".pub", PUBLIC + " kdump-fleet\n")
    assert "logout" in planned(debian, state="absent", **SSH)["step_names"]
    debian.put(KEY + ".pub", PUBLIC + " somebody's own\n")
    assert "logout" not in planned(debian, state="absent", **SSH)["step_names"]
