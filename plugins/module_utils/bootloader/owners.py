# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""Who else sets crashkernel= on a host. They are reported, not fought: two tools that undo each other help nobody."""

import re
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.grub import DROPIN, DROPINS
from ansible_collections.kdump.fleet.plugins.module_utils.crashkernel import KEYWORD
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host

TUNED_FOLDERS = ("/etc/tuned/profiles", "/etc/tuned", "/usr/lib/tuned/profiles", "/usr/lib/tuned")


class Owner(t.NamedTuple):
    """Something that sets crashkernel= by itself."""

    name: str
    path: str
    message: str  # what it does, and how to end the competition


def _lines(host: Host, path: str) -> t.List[str]:
    """Return a file's lines without comments and blanks around."""
    lines = (line.strip() for line in (host.read(path) or "").splitlines())
    return [line for line in lines if line and not line.startswith(("#", ";"))]


def _tuned_profiles(host: Host) -> t.List[str]:
    """Return the files of tuned's active profiles and of those that they include."""
    names = (host.read_word("/etc/tuned/active_profile") or "").split()
    found: t.List[str] = []
    for name in names:  # grows while it is read
        for base in TUNED_FOLDERS:
            path = f"{base}/{name}/tuned.conf"
            if not re.match(r"[\w.-]+\Z", name) or not host.exists(path) or path in found:
                continue
            found.append(path)
            for line in _lines(host, path):
                said = re.match(r"include\s*=\s*(.*)", line)
                names += re.split(r"[,\s]+", said.group(1)) if said else []
            break
    return found


def _tuned(host: Host) -> t.Iterator[Owner]:
    # Source: tuned's bootloader plugin, which puts its words into grubenv and into every BLS entry.
    for path in ["/etc/tuned/bootcmdline", *_tuned_profiles(host)]:
        if any("cmdline" in line.lower() and KEYWORD in line for line in _lines(host, path)):
            yield Owner(
                "tuned",
                path,
                f"tuned sets {KEYWORD} by the [bootloader] section of its profile ({path}), after every change of the profile; "
                "take the word out there",
            )
            return


def _kdumpctl(host: Host) -> t.Iterator[Owner]:
    # Source: kdumpctl since kexec-tools 2.0.23-2; anything but a literal "no" means yes, and yes is the default.
    path = "/etc/kdump.conf"
    program = host.read("/usr/bin/kdumpctl") or ""
    if not host.exists(path) or "auto_reset_crashkernel" not in program:
        return
    said = [line.split()[1:] for line in _lines(host, path) if line.split()[0] == "auto_reset_crashkernel"]  # fmt: skip
    if not said or said[-1] != ["no"]:
        yield Owner(
            "auto_reset_crashkernel",
            path,
            "kdumpctl puts its default in the place of any other value when its package or a kernel is updated; "
            f"set 'auto_reset_crashkernel no' in {path}",
        )


def _suse(host: Host) -> t.Iterator[Owner]:
    # Source: kdump 2.x of SLE 16, kdump-commandline.service; the default is true.
    path = "/etc/sysconfig/kdump"
    lines = _lines(host, path)
    if not any(line.startswith("KDUMP_CRASHKERNEL=") for line in lines):
        return
    said = [line.split("=", 1)[1].strip("\"' ") for line in lines if line.startswith("KDUMP_UPDATE_BOOTLOADER=")]  # fmt: skip
    if not said or said[-1] != "false":
        yield Owner(
            "KDUMP_UPDATE_BOOTLOADER",
            path,
            "kdump-commandline.service sets the value of KDUMP_CRASHKERNEL at every boot; "
            f'set KDUMP_UPDATE_BOOTLOADER="false" in {path}',
        )


def _dropins(host: Host) -> t.Iterator[Owner]:
    for path in host.glob(f"{DROPINS}/*.cfg"):
        # kdump-tools' own is the distribution's default, which ours is read after.
        if path == DROPIN or path.endswith("/kdump-tools.cfg"):
            continue
        if any(KEYWORD in line for line in _lines(host, path)):
            late = path > DROPIN
            yield Owner(
                "grub.d",
                path,
                f"{path} sets {KEYWORD} too, "
                + ("and is read after ours, so it wins" if late else "ours is read after it and wins")
                + "; take the word out there",
            )  # fmt: skip


def _cloud_init(host: Host) -> t.Iterator[Owner]:
    paths = ["/etc/cloud/cloud.cfg", *host.glob("/etc/cloud/cloud.cfg.d/*.cfg")]
    for path in paths:
        if any(KEYWORD in line for line in _lines(host, path)):
            yield Owner(
                "cloud-init",
                path,
                f"cloud-init sets {KEYWORD} when it runs its configuration anew ({path}); take the word out there",
            )


def _running(values: t.Sequence[str]) -> t.Iterator[Owner]:
    plain = [value for value in values if not value.endswith((",high", ",low", ",cma"))]
    if len(plain) > 1 or (plain and any(value.endswith((",high", ",low")) for value in values)):
        yield Owner(
            "several words",
            "/proc/cmdline",
            f"the running kernel has several: {' '.join(KEYWORD + value for value in values)}; the last one without a "
            f"suffix counts ({plain[-1]}). Somebody adds a word without taking the other out",
        )


def owners(host: Host, running: t.Sequence[str]) -> t.List[Owner]:
    """Return everything that competes for crashkernel= on this host.

    :param running: the values of the running kernel's command line.
    """
    found: t.List[Owner] = []
    for source in (_tuned, _kdumpctl, _suse, _dropins, _cloud_init):
        found += source(host)
    return found + list(_running(running))
