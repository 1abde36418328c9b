# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""What the tooling kexec puts on a host: two units, and a script for each. One loads, the other saves.

The scripts are for any POSIX sh, dash and busybox among them. They evaluate no value as code: kexec.conf is KEY="value"
lines whose values hold nothing that a shell would expand, and everything else is a word in quotes. Python runs in neither.

The capture kernel boots the host's own root file system, with the unit that saves in place of the default target.
Whatever goes wrong, that boot must end in a reboot, so each stage has an end of its own:

- the kernel, and initramfs-tools' initrd: ``panic=``; dracut's initrd: ``rd.shell=0 rd.emergency=reboot``;
- PID 1: ``systemd.crash_reboot=1``;
- a job that never comes to its turn: JobTimeoutAction of the unit that saves. It pulls in little, and requires nothing:
  sysinit.target conflicts with emergency.target, which a file system that cannot be mounted starts;
- the script: FailureAction of the same unit.
"""

import re
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils import capture

FOLDER = "/etc/kdump-fleet"
CONF = FOLDER + "/kexec.conf"
LOAD = FOLDER + "/kexec-load"
SAVE = FOLDER + "/kexec-save"
UNITS = "/etc/systemd/system"
LOAD_UNIT = "kdump-fleet.service"
SAVE_UNIT = "kdump-fleet-save.service"
# What was loaded, and by its time when; gone with the boot, as the loaded image is.
STAMP = "/run/kdump-fleet/loaded"
# In the capture kernel: what the program that writes the dump says.
WORDS = "/run/kdump-fleet-save"
# A dump's folder: the time in UTC. Nothing else by such a name is ever removed to make room.
STAMP_GLOB = "kdump-" + "[0-9]" * 8 + "T" + "[0-9]" * 6 + "Z"


class Architecture(t.NamedTuple):
    """How the capture kernel of an architecture is loaded."""

    machine: str  # as uname -m says it; a pattern of sh
    arguments: str  # of the capture kernel
    kind: str = ""  # kexec's --type; '' leaves it to kexec, which looks at the image


# Source: the kernel's Documentation/admin-guide/kdump/kdump.rst, "Load the Dump-capture Kernel". It has no line for
# riscv64 and loongarch64, which boot as arm64 does. irqpoll on ppc64 is what Debian's and Fedora's toolings add there.
ARCHITECTURES = (
    Architecture("x86_64|i?86", "irqpoll nr_cpus=1 reset_devices"),
    Architecture("ppc64|ppc64le", "maxcpus=1 irqpoll noirqdistrib reset_devices"),
    Architecture("s390x", "nr_cpus=1"),
    Architecture("arm*", "maxcpus=1 reset_devices", "zImage"),
    Architecture("aarch64|riscv64|loongarch64", "nr_cpus=1 reset_devices"),
    Architecture("*", "maxcpus=1 reset_devices"),
)

# The arguments of the running kernel that the capture kernel must not have: they take memory that it has not got, let
# it panic where it could go on, stop its initrd for a person, or tell another boot what to do.
REMOVED = (
    *("crashkernel", "fadump", "BOOT_IMAGE", "initrd", "systemd.unit", "rd.systemd.unit"),
    *("hugepages", "hugepagesz", "default_hugepagesz", "hugetlb_cma", "cma", "vmcp_cma", "prot_virt"),
    *("log_buf_len", "slub_debug", "slab_debug", "page_owner", "kmemleak"),
    *("panic", "oops", "panic_on_warn", "panic_on_taint", "softlockup_panic", "hardlockup_panic"),
    *("hung_task_panic", "nmi_watchdog", "maxcpus", "nr_cpus"),
    *("quiet", "splash", "break", "rd.break", "rd.shell", "rd.emergency", "resume", "resume_offset"),
)  # fmt: skip

# In front of what the host's owner appends, so that his words count.
ARGUMENTS = "cgroup_disable=memory udev.children_max=2 panic=10 rd.shell=0 rd.emergency=reboot systemd.crash_reboot=1"

# Every name that a kernel has on the distributions that were looked at, and those of its initrds. @RELEASE@ is its
# release, @BASE@ the name of its package (Arch), @MACHINE@ the machine's id (kernel-install).
IMAGES = (
    (
        "@BOOT@/vmlinuz-@RELEASE@",
        (
            "@BOOT@/initrd.img-@RELEASE@",
            "@BOOT@/initramfs-@RELEASE@.img",
            "@BOOT@/initrd-@RELEASE@",
            "@BOOT@/initramfs-@RELEASE@",
        ),
    ),
    ("@BOOT@/vmlinux-@RELEASE@", ("@BOOT@/initrd.img-@RELEASE@", "@BOOT@/initrd-@RELEASE@")),
    ("@BOOT@/kernel-@RELEASE@", ("@BOOT@/initramfs-@RELEASE@.img", "@BOOT@/initramfs-@RELEASE@")),
    ("@BOOT@/Image-@RELEASE@", ("@BOOT@/initrd-@RELEASE@", "@BOOT@/initramfs-@RELEASE@.img")),
    ("@BOOT@/zImage-@RELEASE@", ("@BOOT@/initrd-@RELEASE@", "@BOOT@/initramfs-@RELEASE@.img")),
    ("@BOOT@/image-@RELEASE@", ("@BOOT@/initrd-@RELEASE@",)),
    ("@BOOT@/@MACHINE@/@RELEASE@/linux", ("@BOOT@/@MACHINE@/@RELEASE@/initrd",)),
    ("/efi/@MACHINE@/@RELEASE@/linux", ("/efi/@MACHINE@/@RELEASE@/initrd",)),
    ("@BOOT@/vmlinuz-@BASE@", ("@BOOT@/initramfs-@BASE@.img",)),
    ("/usr/lib/modules/@RELEASE@/vmlinuz", ("/usr/lib/modules/@RELEASE@/initramfs.img",)),
)

# What counts where kexec.conf has no value.
DEFAULTS = {
    "CAPTURE_RELEASE": "",
    "CAPTURE_KERNEL": "",
    "CAPTURE_INITRD": "",
    "CAPTURE_DTB": "",
    "BOOT_FOLDER": "/boot",
    "COMMANDLINE": "",
    "COMMANDLINE_APPEND": "",
    "COMMANDLINE_REMOVE": "",
    "IMAGE_TYPE": "",
    "KEXEC_ARGS": "",
    "KEXEC_CALL": "auto",
    "CORE_COLLECTOR": "makedumpfile -c --message-level 7 -d 31",
    "DUMP_PATH": "/var/crash",
    "DUMPS_TO_KEEP": "0",
    "EXTRA_MODULES": "",
    "FAILURE_ACTION": "reboot",
    "FINAL_ACTION": "reboot",
    "FREE_SPACE": "64",
}

_MANAGED = "# Managed by Ansible (kdump.fleet): local changes are lost at its next run."


def _settings(*keys: str) -> str:
    """Return the lines that read the configuration."""
    lines = [f"[ ! -e {CONF} ] || . {CONF}"]
    lines += [f': "${{{key}:={DEFAULTS[key]}}}"' for key in keys]
    return "\n".join(lines)


def _architectures() -> str:
    return "\n".join(
        f'    {each.machine}) own="{each.arguments}" kind="{each.kind}" ;;'
        for each in ARCHITECTURES
    )


def _images() -> str:
    lines = ("    try " + " ".join(f'"{path}"' for path in (kernel, *initrds)) for kernel, initrds in IMAGES)  # fmt: skip
    names = {"BOOT": "$BOOT_FOLDER", "RELEASE": "$release", "BASE": "$base", "MACHINE": "$machine_id"}  # fmt: skip
    return _filled("\n".join(lines), names)


def _filled(text: str, values: t.Mapping[str, str]) -> str:
    """Return the text with a value in place of every @NAME@."""
    return re.sub("@([A-Z_]+)@", lambda match: values[match.group(1)], text)


_COMMON = {"MANAGED": _MANAGED, "CONF": CONF, "FOLDER": FOLDER}

LOAD_TEXT = _filled(
    """\
#!/bin/sh
@MANAGED@
# Loads the capture kernel that @CONF@ describes. With the argument "unload", takes it out again.
set -fu

die() {
    echo "kdump-fleet: cannot load a capture kernel: $*" >&2
    exit 1
}

if [ "${1:-}" = unload ]; then
    rm -f @STAMP@
    # Under lockdown, only the call that takes files takes them out too.
    kexec -p -u || kexec -s -p -u
    exit
fi

# shellcheck source=/dev/null
@SETTINGS@

[ -e @SAVE_UNIT@ ] || die "@SAVE_UNIT@ is missing, so a capture kernel would save nothing; run the role again"
reserved=
for file in /sys/kernel/kexec/crash_size /sys/kernel/kexec_crash_size; do
    [ ! -e "$file" ] || read -r reserved < "$file"
done
[ "$reserved" != 0 ] || die "no memory is reserved; boot with crashkernel= on the command line"

release=${CAPTURE_RELEASE:-$(uname -r)}
base=linux
[ ! -e "/usr/lib/modules/$release/pkgbase" ] || read -r base < "/usr/lib/modules/$release/pkgbase"
machine_id=none
[ ! -e /etc/machine-id ] || read -r machine_id < /etc/machine-id

# Takes the first kernel that is there, and the first of its initrds. A kernel may do without one.
kernel=
initrd=
try() {
    if [ -n "$kernel" ] || [ ! -e "$1" ]; then
        return
    fi
    kernel=$1
    shift
    for candidate; do
        if [ -e "$candidate" ]; then
            initrd=$candidate
            return
        fi
    done
}
if [ -n "$CAPTURE_KERNEL" ]; then
    try "$CAPTURE_KERNEL"
    [ -n "$kernel" ] || die "$CAPTURE_KERNEL is not there; mend CAPTURE_KERNEL in @CONF@"
else
@IMAGES@
    [ -n "$kernel" ] || die "no kernel $release in $BOOT_FOLDER; set CAPTURE_KERNEL in @CONF@"
fi
case $CAPTURE_INITRD in
    '') ;;
    none) initrd= ;;
    *)
        initrd=$CAPTURE_INITRD
        [ -e "$initrd" ] || die "$initrd is not there; mend CAPTURE_INITRD in @CONF@"
        ;;
esac

case $(uname -m) in
@ARCHITECTURES@
esac

# Leaves in $kept the words but those of the names in its first argument.
without() {
    names=$1
    shift
    kept=
    for word; do
        case " $names " in
            *" ${word%%=*} "*) ;;
            *) kept="$kept $word" ;;
        esac
    done
}
# The lists are split at their blanks, which is meant; set -f keeps them from becoming file names.
# shellcheck disable=SC2086
if [ -n "$COMMANDLINE" ]; then
    kept=$COMMANDLINE
else
    read -r line < /proc/cmdline
    without "@REMOVED@" $line
fi
# shellcheck disable=SC2086
without "$COMMANDLINE_REMOVE" $kept $own
arguments="${kept# } @ARGUMENTS@ ${COMMANDLINE_APPEND:+$COMMANDLINE_APPEND }systemd.unit=@SAVE_NAME@"

kind=${IMAGE_TYPE:-$kind}
set -- -p "$kernel" --append="$arguments"
[ -z "$initrd" ] || set -- "$@" --initrd="$initrd"
[ -z "$CAPTURE_DTB" ] || set -- "$@" --dtb="$CAPTURE_DTB"
[ -z "$kind" ] || set -- "$@" --type="$kind"
case $(uname -m)/${kernel##*/} in
    x86_64/vmlinux* | i?86/vmlinux*) set -- "$@" --args-linux ;;
esac

# The call that takes files is the only one under lockdown, and lets the kernel follow CPUs and memory that come and go.
case $KEXEC_CALL in
    kexec_file_load) calls=-s ;;
    kexec_load) calls=-c ;;
    *) calls='-s -c' ;;
esac
mkdir -p @STAMP_FOLDER@
printf 'kernel=%s\\ninitrd=%s\\narguments=%s\\n' "$kernel" "$initrd" "$arguments" > @STAMP@.new
# shellcheck disable=SC2086
for call in $calls; do
    if kexec "$call" $KEXEC_ARGS "$@"; then
        mv @STAMP@.new @STAMP@
        echo "kdump-fleet: loaded $kernel (kexec $call)"
        exit 0
    fi
done
rm -f @STAMP@ @STAMP@.new
die "kexec refused $kernel"
""",
    {
        **_COMMON,
        "SETTINGS": _settings(
            *("CAPTURE_RELEASE", "CAPTURE_KERNEL", "CAPTURE_INITRD", "CAPTURE_DTB", "BOOT_FOLDER"),
            *("COMMANDLINE", "COMMANDLINE_APPEND", "COMMANDLINE_REMOVE"),
            *("IMAGE_TYPE", "KEXEC_ARGS", "KEXEC_CALL"),
        ),
        "ARCHITECTURES": _architectures(),
        "IMAGES": _images(),
        "REMOVED": " ".join(REMOVED),
        "ARGUMENTS": ARGUMENTS,
        "SAVE_UNIT": f"{UNITS}/{SAVE_UNIT}",
        "SAVE_NAME": SAVE_UNIT,
        "STAMP_FOLDER": STAMP.rsplit("/", 1)[0],
        "STAMP": STAMP,
    },
)

SAVE_TEXT = _filled(
    """\
#!/bin/sh
@MANAGED@
# In the capture kernel: saves the dump as @CONF@ says, and ends this boot.
set -u
umask 077

# shellcheck source=/dev/null
@SETTINGS@

# A kernel without a console must save its dump too.
if (: > /dev/console) 2> /dev/null; then
    exec > /dev/console 2>&1
fi

# The kernel's log is on the console too, and is kept beside the dump.
say() {
    echo "kdump-fleet: $*" >> /dev/kmsg
}

# What /etc/fstab mounts above the folder must be there: a dump below the mount point would be out of sight.
mount_path() {
    while read -r device point _; do
        case $device in
            '' | '#'*) continue ;;
        esac
        case $DUMP_PATH/ in
            "${point%/}"/*) mountpoint -q "$point" || mount "$point" < /dev/null || return 1 ;;
        esac
    done < /etc/fstab
    mkdir -p "$DUMP_PATH" || { mount -o remount,rw / && mkdir -p "$DUMP_PATH"; }
}

hooks_before() {
    for hook in @FOLDER@/pre.d/*; do
        if [ -x "$hook" ] && ! "$hook"; then
            say "$hook failed: no dump is written"
            return 1
        fi
    done
}

hooks_after() {
    for hook in @FOLDER@/post.d/*; do
        [ ! -x "$hook" ] || "$hook" "$@" || say "$hook failed"
    done
}

save_log() {
    log=$folder/vmcore-dmesg.txt
    makedumpfile --dump-dmesg /proc/vmcore "$log" && return
    vmcore-dmesg /proc/vmcore > "$log" && return
    rm -f "$log"
    say "the log of the crashed kernel could not be saved"
}

# A dump that filled the file system would keep the host from working. Its log stays.
make_room() {
    free=$(df -Pk "$folder" | { read -r _; read -r _ _ _ free _; echo "$free"; })
    if [ "$free" -lt $((FREE_SPACE * 1024)) ]; then
        say "removes what was written of the dump: $((free / 1024)) MiB are free, and $FREE_SPACE should be"
        rm -f "$folder/vmcore-incomplete"
    fi
}

save() {
    for module in $EXTRA_MODULES; do
        modprobe "$module" || say "the module $module could not be loaded"
    done
    if [ ! -e /proc/vmcore ]; then
        say "there is no /proc/vmcore: this kernel was built without CONFIG_PROC_VMCORE, or no kernel crashed"
        return 1
    fi
    mount_path || { say "$DUMP_PATH is not to be had"; return 1; }
    sh @NOTE@ &
    hooks_before || return 1
    folder=$DUMP_PATH/kdump-$(date -u +%Y%m%dT%H%M%SZ)
    mkdir "$folder" || { say "$folder could not be made"; folder=; return 1; }
    save_log
    sync
    say "writes $folder/vmcore"
    # A command and its arguments, split at their blanks. makedumpfile tells its progress to the other output.
    # shellcheck disable=SC2086
    if ! $CORE_COLLECTOR /proc/vmcore "$folder/vmcore-incomplete" > @WORDS@; then
        say "'$CORE_COLLECTOR' failed"
        tail -n 5 @WORDS@ | while read -r line; do
            say "$line"
        done
        make_room
        return 1
    fi
    sync
    mv "$folder/vmcore-incomplete" "$folder/vmcore" || return 1
    say "the dump is complete"
}

# The names sort by time, and no other name is looked at.
remove_oldest() {
    [ "$DUMPS_TO_KEEP" -gt 0 ] || return
    set -- "$DUMP_PATH"/@STAMP_GLOB@
    while [ $# -gt "$DUMPS_TO_KEEP" ]; do
        say "removes $1"
        rm -rf "$1"
        shift
    done
}

folder=
result=0
save || result=1
hooks_after "$result" "$folder"
if [ "$result" = 0 ]; then
    remove_oldest
    action=$FINAL_ACTION
else
    action=$FAILURE_ACTION
fi
[ -z "$folder" ] || dmesg > "$folder/kexec-dmesg.log"
say "$action"
sync
if [ "$action" = shell ]; then
    # It asks for root's password, as the host's own emergency mode does.
    sulogin < /dev/console
    action=$FINAL_ACTION
fi
# With PID 1, or without.
systemctl --force "$action" || systemctl --force --force "$action"
""",
    {
        **_COMMON,
        "SETTINGS": _settings(
            *("CORE_COLLECTOR", "DUMP_PATH", "DUMPS_TO_KEEP", "EXTRA_MODULES"),
            *("FAILURE_ACTION", "FINAL_ACTION", "FREE_SPACE"),
        ),
        "STAMP_GLOB": STAMP_GLOB,
        "NOTE": capture.SCRIPT,
        "WORDS": WORDS,
    },
)

# Without the default dependencies it is not stopped at a shutdown, during which kernels crash too.
LOAD_UNIT_TEXT = f"""\
{_MANAGED}
[Unit]
Description=Load the capture kernel (kdump.fleet)
DefaultDependencies=no
After=local-fs.target
ConditionPathExists=!/proc/vmcore
StartLimitIntervalSec=0

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh {LOAD}
ExecStop=/bin/sh {LOAD} unload

[Install]
WantedBy=multi-user.target
"""

# Type=simple: the job is done when the script has started, and the time limit of the job ends there. A dump may take hours.
SAVE_UNIT_TEXT = f"""\
{_MANAGED}
[Unit]
Description=Save the dump of the crashed kernel (kdump.fleet)
DefaultDependencies=no
Wants=kmod-static-nodes.service systemd-tmpfiles-setup-dev.service systemd-modules-load.service
Wants=systemd-udevd.service systemd-udev-trigger.service local-fs.target
After=systemd-tmpfiles-setup-dev.service systemd-modules-load.service systemd-udev-trigger.service local-fs.target
ConditionKernelCommandLine=systemd.unit={SAVE_UNIT}
JobTimeoutSec=30min
JobTimeoutAction=reboot-force
FailureAction=reboot-force

[Service]
Type=simple
ExecStart=/bin/sh {SAVE}
StandardOutput=null
"""
