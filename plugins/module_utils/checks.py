# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""Readiness findings: one small function a check. Pure, over an observation."""

import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils import space

Facts = t.Mapping[str, t.Any]


class Finding(t.NamedTuple):
    """Something about a host that its operator should know."""

    check: str
    severity: str  # error: no dump would be written; warning: one may not
    message: str


def mib(size: t.Optional[int]) -> str:
    """Return a number of bytes as an operator reads it."""
    return "nothing" if not size else f"{size / 2**20:.0f} MiB"


def check_supported(facts: Facts) -> t.Iterator[Finding]:
    for reason in facts["unsupported"]:
        yield Finding("supported", "error", reason)


def check_reserved(facts: Facts) -> t.Iterator[Finding]:
    running = facts["crashkernel"]
    if facts["reserved"] == 0 and running["words"]:
        reason = (
            running["error"]
            or "the kernel found no room for it, see 'journalctl -k -b | grep -i crash'"
        )
        yield Finding(
            "reserved",
            "error",
            f"crashkernel={' '.join(running['words'])} reserved nothing: {reason}",
        )
    elif facts["reserved"] == 0:
        yield Finding(
            "reserved",
            "error",
            "no memory is reserved for a capture kernel; it takes a reboot to do so",
        )


def check_loaded(facts: Facts) -> t.Iterator[Finding]:
    if facts["loaded"] is False and facts["reserved"]:
        yield Finding("loaded", "error", "memory is reserved but no capture kernel is loaded")


def check_reboot_pending(facts: Facts) -> t.Iterator[Finding]:
    following = facts["boot_loader"]["crashkernel"]
    if following is not None and following["words"] != facts["crashkernel"]["words"]:
        yield Finding(
            "reboot_pending",
            "warning",
            f"the next boot has crashkernel={' '.join(following['words']) or '(none)'}, "
            f"the running kernel {' '.join(facts['crashkernel']['words']) or '(none)'}",
        )


def check_kexec_disabled(facts: Facts) -> t.Iterator[Finding]:
    if facts["sysctl"].get("kernel.kexec_load_disabled") == "1" and facts["loaded"] is False:
        yield Finding(
            "kexec_disabled",
            "error",
            "kernel.kexec_load_disabled is 1 (hardening guides set it): no capture kernel can be loaded until "
            "the host is booted without it",
        )


def check_service(facts: Facts) -> t.Iterator[Finding]:
    service = facts["tooling"]["service"]
    if facts["tooling"]["installed"] and service["enabled"] != "enabled":
        yield Finding(
            "service",
            "error",
            f"{service['name']} is {service['enabled'] or 'absent'}, not enabled",
        )


def check_space(facts: Facts) -> t.Iterator[Finding]:
    short = space.shortage(facts)
    if short:
        yield Finding("space", "warning", short)


def check_owners(facts: Facts) -> t.Iterator[Finding]:
    for owner in facts["crashkernel_owners"]:
        yield Finding("crashkernel_owner", "warning", owner["message"])


def check_too_small(facts: Facts) -> t.Iterator[Finding]:
    if facts["sizing"]["too_small"] and not facts["loaded"]:
        yield Finding("too_small", "error", facts["sizing"]["too_small"])


CHECKS = (
    check_supported,
    check_reserved,
    check_loaded,
    check_reboot_pending,
    check_kexec_disabled,
    check_service,
    check_space,
    check_owners,
    check_too_small,
)


def findings(facts: Facts) -> t.List[Finding]:
    """Return what every check finds, in the order of the checks."""
    return [finding for check in CHECKS for finding in check(facts)]
