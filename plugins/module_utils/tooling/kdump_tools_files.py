# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""What goes on a host beside kdump-tools: a script that saves the dump in place of the package's own, and units.

The script is for any POSIX sh, dash and busybox among them, and evaluates no value as code. It is there for what
kdump-tools 1.8.1 to 1.10.9 cannot do: hooks, another end than a reboot, and a dump over the network whose failure counts.
``kdump-config savecore`` ends with 0 after an ssh or ftp dump that failed, does not look at what became of the ``mv`` that gives
a dump its final name, and sees nothing of a makedumpfile that ends early, because it stands before a pipe.
"""

from ansible_collections.kdump.fleet.plugins.module_utils import capture
from ansible_collections.kdump.fleet.plugins.module_utils.ssh_client import OWN_KNOWN_HOSTS

UNITS = "/etc/systemd/system"
CONF = "/etc/default/kdump-tools"
HOOKS = "/etc/kdump-fleet"
SAVE = HOOKS + "/save-dump"
SAVE_DROPIN = UNITS + "/kdump-tools-dump.service.d/kdump-fleet-save.conf"
# In the capture kernel: what kdump-config reads, and what it says.
RUN = "/run/kdump-fleet-save"
# What does no work for so long is ended: a hook, and a dump that stands still.
LIMIT = 1800  # seconds
# Of one connection, its key exchange and the first answer included; kdump-config tries SSH_KDUMP_RETRY times, 16 unless set.
CONNECT_TIMEOUT = 20  # seconds
# A server that is silent for so long is given up. kdump-config sets none of these, so that ssh would wait for ever.
ALIVE_INTERVAL, ALIVE_COUNT = 15, 8  # seconds, times

# The capture kernel boots the host's own root file system with kdump-tools-dump.service as its target, so a
# unit that this one wants runs beside the dump, and at no other time.
NOTE_UNIT = "kdump-fleet-note.service"
NOTE_UNIT_TEXT = f"""\
# Managed by Ansible (kdump.fleet): local changes are lost at its next run.
[Unit]
Description=Note how much memory the capture kernel uses
DefaultDependencies=no
After=local-fs.target systemd-sysctl.service
Before=kdump-tools-dump.service
ConditionPathExists=/proc/vmcore

[Service]
# The capture has just set the panic sysctls of the host.
ExecStartPre=-/bin/sh {capture.CALM}
ExecStart=/bin/sh {capture.SCRIPT}
OOMScoreAdjust=-1000
"""
DUMP_DROPIN_TEXT = f"""\
# Managed by Ansible (kdump.fleet): local changes are lost at its next run.
[Unit]
Wants={NOTE_UNIT}
"""

_SAVE_TEXT = f"""\
#!/bin/sh
# Managed by Ansible (kdump.fleet): local changes are lost at its next run.
# In a capture kernel: hooks, kdump-tools' own dump, hooks, and the end. A hook before the dump that fails prevents it.
conf={CONF}
run={RUN}
dump_to_rootfs=@LOCAL@
umask 077
mkdir -p "$run"
cp "$conf" "$run/own"
result=0
# A hook that never ends would keep the host from coming back.
limit=
if command -v timeout > /dev/null; then
    limit="timeout -k 60 {LIMIT}"
fi

# As sh reads it, which is what counts for kdump-config too; systemd, which has set the environment, differs in
# comments and in export. A file that ends the shell which reads it must not keep the host from rebooting.
setting() (
    unset SSH NFS FTP KDUMP_COREDIR KDUMP_FAIL_CMD
    . "$run/own" > /dev/null 2>&1
    case $1 in
        SSH) printf '%s' "$SSH" ;;
        NFS) printf '%s' "$NFS" ;;
        FTP) printf '%s' "$FTP" ;;
        KDUMP_COREDIR) printf '%s' "$KDUMP_COREDIR" ;;
        KDUMP_FAIL_CMD) printf '%s' "$KDUMP_FAIL_CMD" ;;
    esac
)
network="$(setting SSH)$(setting FTP)$(setting NFS)"

# kdump-config reads one path, so that what it is to read is bound over that, for this boot alone. Its functions ssh and scp
# stand in for the programs: no question that nobody answers, no wait without an end, and the exit code of a mv. A log goes the
# dump's way, for which a server needs no sftp, and an IPv6 address no brackets.
cat > "$run/target" << 'END'
. {RUN}/own
ssh() {{
    __word=$4
    if [ -s {OWN_KNOWN_HOSTS} ]; then
        set -- -o UserKnownHostsFile={OWN_KNOWN_HOSTS} -o GlobalKnownHostsFile=/dev/null "$@"
    fi
    command ssh -o BatchMode=yes -o StrictHostKeyChecking=yes -o ConnectTimeout={CONNECT_TIMEOUT} \\
        -o ServerAliveInterval={ALIVE_INTERVAL} -o ServerAliveCountMax={ALIVE_COUNT} "$@"
    set -- "$?"
    if [ "$1" != 0 ] && [ "$__word" = mv ]; then
        echo "kdump-fleet: the server did not take the dump's final name: mv ended with $1"
    fi
    return "$1"
}}
scp() {{
    ssh -i "$2" "$SSH_REMOTE_HOST" dd "of=${{4#"$SSH_REMOTE_HOST":}}" < "$3"
}}
END
printf '. %s\\nSSH=\\nNFS=\\nFTP=\\n' "$run/own" > "$run/rootfs"

# The CPU time of what saves the dump. What waits takes none; ssh takes some to find out whether the server is still there.
worked() {{
    work=0
    for stat in /proc/[0-9]*/stat; do
        {{ read -r pid name state fields < "$stat"; }} 2> /dev/null || continue
        [ "$name" != "(ssh)" ] || continue
        set -- $fields
        if [ "$3" = "$session" ]; then
            work=$((work + ${{11}} + ${{12}}))
        fi
    done
}}

# Run kdump-config with a configuration; its words go to the console, and into a file.
save() {{
    mount --bind "$1" "$conf" || echo "kdump-fleet: kdump-config reads its own configuration"
    : > "$run/words"
    : > "$run/session"
    {{
        setsid sh -c 'echo $$ > "$1/session"; exec kdump-config savecore' sh "$run"
        echo "kdump-fleet: kdump-config ended with $?"
    }} < /dev/null 2>&1 | tee "$run/words" &
    still=0
    before=
    until grep -q '^kdump-fleet: kdump-config ended with' "$run/words"; do
        sleep 2
        session=
        read -r session < "$run/session"
        worked
        still=$((still + 2))
        if [ "$work" != "$before" ]; then
            still=0
            before=$work
        fi
        if [ "$still" -ge {LIMIT} ]; then
            echo "kdump-fleet: nothing of the dump has moved for {LIMIT} s: it is given up"
            [ -z "$session" ] || kill -KILL "-$session"
            break
        fi
    done
    umount "$conf"
    result=1
    [ "$still" -ge {LIMIT} ] || judge
}}

# Tell from its words whether the dump is there: set result to 0, or to something else.
judge() {{
    saved=no
    whole=yes
    code=1
    while read -r line; do
        case $line in
            # What is told to say less does not say that it has come to its end.
            *"sending makedumpfile "*--message-level*|*"running makedumpfile "*--message-level*) ;;
            *"sending makedumpfile "*|*"running makedumpfile "*" | compress"*) whole=no ;;
            *"makedumpfile Completed."*) whole=yes ;;
            *"makedumpfile Failed."*) whole=no ;;
            # All of the memory in its place.
            *"falling back to "*|*"retrying with full vmcore"*) whole=yes ;;
            *"kdump-fleet: the server did not take"*) saved=refused ;;
            *"saved vmcore in "*|*"saved vmcore via FTP in "*) [ "$saved" = refused ] || saved=yes ;;
            "kdump-fleet: kdump-config ended with "*) code=${{line##* }} ;;
        esac
    done < "$run/words"
    if [ "$code" != 0 ]; then
        result=$code
    elif [ -n "$network" ] && [ "$saved" != yes ]; then
        echo "kdump-fleet: kdump-config did not save the dump"
    elif [ "$whole" != yes ]; then
        echo "kdump-fleet: makedumpfile did not come to its end: the dump is not complete"
    else
        result=0
    fi
}}

# What is mounted of a server that has failed must not be taken for this host's own disk.
release() {{
    coredir=$(setting KDUMP_COREDIR)
    while read -r source place type options; do
        case $type in
            nfs|nfs4) [ "$place" != "${{coredir:-/var/crash}}" ] || $limit umount -f -l "$place" ;;
        esac
    done < /proc/mounts
}}

for hook in {HOOKS}/pre.d/*; do
    if [ -x "$hook" ] && ! $limit "$hook"; then
        echo "kdump-fleet: $hook failed: no dump is written"
        result=1
        dump_to_rootfs=no
        break
    fi
done
if [ "$result" = 0 ]; then
    save "$run/target"
fi
failed=$result
if [ "$failed" != 0 ] && [ "$dump_to_rootfs" = yes ] && [ -n "$network" ]; then
    echo "kdump-fleet: the target did not get the dump: it is written to this host's own disk"
    if [ -n "$(setting NFS)" ]; then
        release
    fi
    save "$run/rootfs"
fi
for hook in {HOOKS}/post.d/*; do
    if [ -x "$hook" ]; then
        $limit "$hook" "$failed" || echo "kdump-fleet: $hook failed"
    fi
done
sync
if [ "$failed" = 0 ]; then
    @FINAL@
else
    action=$(setting KDUMP_FAIL_CMD)
    ${{action:-reboot -f}}
fi
"""
# Without systemd-resolved a host whose resolv.conf names its stub could reach no server by name. 1.10 and later want it too.
SAVE_DROPIN_TEXT = f"""\
# Managed by Ansible (kdump.fleet): local changes are lost at its next run.
[Unit]
Wants=network-online.target systemd-resolved.service
After=network-online.target systemd-resolved.service

[Service]
ExecStart=
ExecStart=/bin/sh {SAVE}
"""


def save_text(final: str, dump_to_rootfs: bool) -> str:
    """Return the script.

    :param final: the command that ends the capture after a dump.
    :param dump_to_rootfs: write a dump that did not leave the host to its own disk.
    """
    return _SAVE_TEXT.replace("@FINAL@", final).replace(
        "@LOCAL@", "yes" if dump_to_rootfs else "no"
    )
