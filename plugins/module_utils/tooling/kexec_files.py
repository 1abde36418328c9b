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
- the script: FailureAction of the same unit;
- what the script starts, but for the program that writes the dump: HOOK_TIMEOUT.
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
# A dump's folder: the time in UTC, and -1, -2 and so on where that name was taken. No other name is ever removed.
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
# it panic where it could go on, stop its boot for a person, or tell another boot what to do. Patterns of sh, with _ for -.
# sysctl.: it tunes what runs on the host, of which nothing runs here, and much of it takes memory or lets a kernel panic.
# bootconfig: what it adds from the initrd is in /proc/cmdline already, crashkernel among it.
REMOVED = (
    *("crashkernel", "fadump", "BOOT_IMAGE", "initrd", "bootconfig", "init", "rdinit", "systemd.unit", "rd.systemd.unit"),
    *("hugepages", "hugepagesz", "default_hugepagesz", "hugetlb_cma", "cma", "vmcp_cma", "prot_virt", "swiotlb"),
    *("mem", "memmap", "kernelcore", "movablecore", "log_buf_len", "trace_buf_size"),
    *("slub_debug", "slab_debug", "page_owner", "kmemleak"),
    *("panic", "oops", "panic_on_warn", "panic_on_taint", "softlockup_panic", "hardlockup_panic"),
    *("hung_task_panic", "unknown_nmi_panic", "nmi_watchdog", "maxcpus", "nr_cpus", "sysctl[./]*"),
    *("quiet", "splash", "break", "rd.break", "rd.shell", "rd.emergency", "kgdbwait", "resume", "resume_offset"),
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
    "HOOK_TIMEOUT": "1800",
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

# Leaves in $alike its argument with _ for every -, which a kernel takes for the same in names.
underscored() {
    alike=$1
    while :; do
        case $alike in
            *-*) alike=${alike%%-*}_${alike#*-} ;;
            *) return ;;
        esac
    done
}

# Leaves in $kept the arguments but those that the function named first refuses. It finds their names in $alike. As for a
# kernel, blanks within double quotes part no arguments, and those behind -- are init's: it would not look at what is added
# here. A quote that is never closed would take that in too, so it is left out.
without() {
    refuses=$1
    shift
    kept=
    whole=
    for word; do
        whole=${whole:+$whole }$word
        rest=$whole
        while :; do
            case $rest in
                *\\"*\\"*) rest=${rest#*\\"*\\"} ;;
                *\\"*) continue 2 ;;
                *) break ;;
            esac
        done
        case $whole in
            -- | \\"--\\") return ;;
        esac
        underscored "${whole%%=*}"
        alike=${alike#\\"}
        alike=${alike%\\"}
        "$refuses" "$whole" || kept="$kept $whole"
        whole=
    done
}

# shellcheck disable=SC2317 # without calls it
harmful() {
    case $1 in
        # Where another init is the default, as on Gentoo, the units need it.
        init=*/systemd | rdinit=*/systemd) return 1 ;;
        # It may add memory, which is the crashed kernel's, or take some away. What marks memory as bad or persistent stays.
        memmap=*[@%]*) return 0 ;;
        memmap=*[\\$#!]*) return 1 ;;
    esac
    case $alike in
        @REMOVED@) return 0 ;;
    esac
    return 1
}

underscored "$COMMANDLINE_REMOVE"
unwanted=$alike
# shellcheck disable=SC2317 # without calls it
named() {
    case " $unwanted " in
        *" $alike "*) return 0 ;;
    esac
    return 1
}

# The lists are split at their blanks, which is meant; set -f keeps them from becoming file names.
# shellcheck disable=SC2086
if [ -n "$COMMANDLINE" ]; then
    without false $COMMANDLINE
else
    read -r line < /proc/cmdline
    without harmful $line
fi
# shellcheck disable=SC2086
without named $kept $own
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
        "REMOVED": " | ".join(REMOVED),
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

# Its parts with one slash before each: it is compared with the mount points of /etc/fstab.
path=
while [ -n "$DUMP_PATH" ]; do
    part=${DUMP_PATH%%/*}
    DUMP_PATH=${DUMP_PATH#"$part"}
    DUMP_PATH=${DUMP_PATH#/}
    case $part in
        '' | .) ;;
        *) path=$path/$part ;;
    esac
done
DUMP_PATH=$path

# A kernel without a console must save its dump too.
if (: > /dev/console) 2> /dev/null; then
    exec > /dev/console 2>&1
fi

# The kernel's log is on the console too, and is kept beside the dump.
say() {
    echo "kdump-fleet: $*" >> /dev/kmsg
}

# Runs what might never end, and ends it. One signal may be refused, and the other comes half a minute later: two of them,
# because not every timeout has -k. One that does not take these options at all counts as none.
limited() {
    if ! [ "$HOOK_TIMEOUT" -gt 0 ] || ! timeout -s KILL 60 timeout 60 true > /dev/null 2>&1; then
        "$@"
        return
    fi
    timeout -s KILL $((HOOK_TIMEOUT + 30)) timeout "$HOOK_TIMEOUT" "$@"
    code=$?
    case $code in
        # coreutils' and busybox's.
        124 | 143) say "$* was ended after $HOOK_TIMEOUT seconds" ;;
    esac
    return "$code"
}

# What /etc/fstab mounts above a folder must be there: a dump below the mount point would be out of sight. The outermost
# comes first, whatever the order of the lines: mounted later, it would hide the others. Its last line may have no end.
mount_above() {
    [ -e /etc/fstab ] || return 0
    above=
    rest=${1#/}/
    while [ -n "$rest" ]; do
        above=$above/${rest%%/*}
        rest=${rest#*/}
        while read -r device point _ || [ -n "$device" ]; do
            case $device in
                '#'*) continue ;;
            esac
            if [ "${point%/}" = "$above" ] && ! mountpoint -q "$point"; then
                # systemd may have been faster.
                limited mount "$point" < /dev/null || mountpoint -q "$point" || return 1
            fi
        done < /etc/fstab
    done
}

# Leaves in $unused a name that nothing has, not even a link to nowhere: others may write to the folder of the dumps too.
unused_name() {
    unused=$1
    number=0
    while [ -e "$unused" ] || [ -L "$unused" ]; do
        number=$((number + 1))
        unused=$1-$number
    done
}

# Leaves in $near what there is of the folder's path already.
nearest() {
    near=$DUMP_PATH
    while [ -n "$near" ] && [ ! -e "$near" ] && [ ! -L "$near" ]; do
        near=${near%/*}
    done
}

# Nothing but a write tells: a folder that is there counts as made on a read-only file system too.
writable() {
    mkdir -p "$DUMP_PATH/" || return
    unused_name "$DUMP_PATH/.kdump-fleet"
    mkdir "$unused" && rmdir "$unused"
}

remount() {
    nearest
    point=$(df -P "${near:-/}" | { read -r _; read -r _ _ _ _ _ point; echo "$point"; })
    say "$DUMP_PATH/ takes no file: makes $point writable"
    limited mount -o remount,rw "$point" < /dev/null
}

# The path may lead to another file system by a link.
mount_path() {
    mount_above "$DUMP_PATH" || return
    nearest
    mount_above "$(readlink -f "${near:-/}")${DUMP_PATH#"$near"}" || return
    writable || { remount && writable; }
}

hooks_before() {
    for hook in @FOLDER@/pre.d/*; do
        if [ -x "$hook" ] && ! limited "$hook"; then
            say "$hook failed: no dump is written"
            return 1
        fi
    done
}

hooks_after() {
    for hook in @FOLDER@/post.d/*; do
        [ ! -x "$hook" ] || limited "$hook" "$@" || say "$hook failed"
    done
}

save_log() {
    log=$folder/vmcore-dmesg.txt
    limited makedumpfile --dump-dmesg /proc/vmcore "$log" && return
    limited vmcore-dmesg /proc/vmcore > "$log" && return
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
        limited modprobe "$module" || say "the module $module could not be loaded"
    done
    if [ ! -e /proc/vmcore ]; then
        say "there is no /proc/vmcore: this kernel was built without CONFIG_PROC_VMCORE, or no kernel crashed"
        return 1
    fi
    mount_path || { say "$DUMP_PATH/ is not to be had"; return 1; }
    sh @NOTE@ &
    hooks_before || return 1
    unused_name "$DUMP_PATH/kdump-$(date -u +%Y%m%dT%H%M%SZ)"
    mkdir "$unused" || { say "$unused could not be made"; return 1; }
    folder=$unused
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

# The names of the dumps' folders but the new one, the oldest first. Others may have made such names in a folder that they
# can write to, so only root's own folders count.
earlier() {
    for dump in "$DUMP_PATH"/@STAMP_GLOB@ "$DUMP_PATH"/@STAMP_GLOB@-*; do
        case ${dump#"$DUMP_PATH"/@STAMP_GLOB@} in
            -*[!0-9]* | -) continue ;;
        esac
        # No POSIX, but dash, bash and busybox have it.
        # shellcheck disable=SC3067
        if [ -d "$dump" ] && [ ! -L "$dump" ] && [ -O "$dump" ] && [ "$dump" != "$folder" ]; then
            echo "${dump##*/}"
        fi
    done | sort -t - -k 2,2 -k 3,3n
}

# The new dump is never in question, whatever the clock said. A folder without a dump takes no dump's place, and goes
# together with a dump that is younger.
remove_oldest() {
    [ "$DUMPS_TO_KEEP" -gt 0 ] || return
    # shellcheck disable=SC2046
    set -- $(earlier)
    dumps=0
    for name; do
        [ ! -e "$DUMP_PATH/$name/vmcore" ] || dumps=$((dumps + 1))
    done
    while [ "$dumps" -ge "$DUMPS_TO_KEEP" ]; do
        [ ! -e "$DUMP_PATH/$1/vmcore" ] || dumps=$((dumps - 1))
        say "removes $DUMP_PATH/$1"
        rm -rf "$DUMP_PATH/${1:?}"
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
            *("FAILURE_ACTION", "FINAL_ACTION", "FREE_SPACE", "HOOK_TIMEOUT"),
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
