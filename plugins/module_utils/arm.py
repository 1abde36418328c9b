# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""Arm a host: build, load, see that the kernel agrees, and undo what did not arm it."""

import re
import time
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils import deploy
from ansible_collections.kdump.fleet.plugins.module_utils.checks import findings
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host
from ansible_collections.kdump.fleet.plugins.module_utils.observe import Facts, loaded
from ansible_collections.kdump.fleet.plugins.module_utils.records import PENDING
from ansible_collections.kdump.fleet.plugins.module_utils.runner import CommandError
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.base import Tooling
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.registry import by_name

SERVICE_TIMEOUT = 1800  # seconds for a service that is still loading after the boot
JOURNAL_LINES = 15


class Plan(t.NamedTuple):
    """What is to be done."""

    build: t.List[str]  # why; empty for no
    load: bool
    unload: bool

    @property
    def changed(self) -> bool:
        return bool(self.build or self.load or self.unload)


class Outcome(t.NamedTuple):
    """What came of it; the module's result."""

    loaded: bool
    reserved: int  # bytes
    initrd: str
    built: t.List[str]
    restored: t.List[str]


class ArmError(Exception):
    """The host is not as wanted; str() says why and what is there now."""

    def __init__(self, message: str, outcome: Outcome) -> None:
        super().__init__(message)
        self.outcome = outcome


def _outcome(
    facts: Facts, is_loaded: bool, built: t.List[str], restored: t.Sequence[str] = ()
) -> Outcome:
    initrd = facts["tooling"]["initrd"] or {"path": ""}
    return Outcome(is_loaded, facts["reserved"] or 0, initrd["path"], built, list(restored))


def plan(facts: Facts, state: str) -> Plan:
    """Return what it takes to reach a state (loaded, built or unloaded). Pure.

    :raises ArmError: it cannot be reached on this host.
    """
    tooling = facts["tooling"]
    is_loaded = bool(facts["loaded"])
    if state == "unloaded":
        return Plan([], False, is_loaded)
    if facts["unsupported"]:
        raise ArmError(facts["unsupported"][0], _outcome(facts, is_loaded, []))
    if not tooling["installed"]:
        raise ArmError(
            f"{tooling['name'] or 'no dump tooling'} is not installed; install "
            f"{', '.join(tooling['missing_packages']) or 'one'} first",
            _outcome(facts, is_loaded, []),
        )
    if state == "built":
        return Plan(list(tooling["next_initrd"]["stale"]), False, False)
    stale = list(tooling["initrd"]["stale"])
    if not facts["reserved"]:
        reasons = [finding.message for finding in findings(facts) if finding.check == "reserved"]
        raise ArmError(
            "; ".join(reasons) or "no memory is reserved", _outcome(facts, is_loaded, [])
        )
    return Plan(stale, not is_loaded or bool(stale) or tooling["pending"], False)


def planned(facts: Facts, chosen: Plan) -> Outcome:
    """Return what a plan would lead to; for check mode, and for a plan with nothing to do."""
    now = bool(facts["loaded"]) and not chosen.unload
    return _outcome(facts, now or chosen.load, chosen.build)


def apply(host: Host, facts: Facts, chosen: Plan) -> Outcome:
    """Carry a plan out.

    :raises ArmError: it failed; what was there before is back, as far as the message says.
    """
    tooling = by_name(facts["tooling"]["name"])
    if tooling is None:
        raise AssertionError("plan() refuses a host without tooling")
    # Only what is loaded now needs the running kernel's initrd.
    kernel = facts["tooling"]["initrd" if chosen.load else "next_initrd"]["kernel"]
    try:
        if chosen.unload:
            tooling.unload(host)
        if chosen.build:
            tooling.build(host, kernel)
        if chosen.load:
            _wait_for_service(host, tooling)
            if facts["tooling"]["pending_since_boot"] or chosen.build or not loaded(host):
                tooling.load(host)
    except (CommandError, OSError) as exc:
        raise _failed(host, facts, tooling, chosen, str(exc)) from exc
    is_loaded = bool(loaded(host))
    if chosen.load and not is_loaded:
        raise _failed(
            host,
            facts,
            tooling,
            chosen,
            "every command succeeded, but the kernel says that nothing is loaded",
        )
    if chosen.unload and is_loaded:
        raise ArmError("the capture kernel is still loaded", _outcome(facts, True, []))
    tooling.confirm(host, kernel)
    if chosen.load:
        PENDING.forget(host)
    return _outcome(facts, is_loaded, chosen.build)


def _wait_for_service(host: Host, tooling: Tooling) -> None:
    """Let the tooling's service finish when it is loading just now, as it does after a boot."""
    deadline = time.monotonic() + SERVICE_TIMEOUT
    while time.monotonic() < deadline:
        state = host.ask(
            ["systemctl", "show", "--property=ActiveState", "--value", tooling.service]
        )
        if state != "activating":
            return
        time.sleep(3)


def _failed(host: Host, facts: Facts, tooling: Tooling, chosen: Plan, reason: str) -> ArmError:
    """Put back what was there before, arm it again if it was armed, and return the error that says all of it."""
    message = [reason, *causes(host, facts, tooling)]
    kernel = facts["tooling"]["initrd"]["kernel"]
    if chosen.load and chosen.build and tooling.revert(host, kernel):
        message.append("the previous initrd is back")
    restored, left = deploy.take_back(host, tooling) if chosen.load or chosen.build else ([], [])
    if restored:
        message.append(f"the previous {', '.join(restored)} is back")
    if left:
        message.append(f"{', '.join(left)} stays, because somebody has changed it since")
    # What was bad may have kept the last boot from loading too.
    if chosen.load and (facts["loaded"] or restored) and not loaded(host):
        try:
            tooling.load(host)
        except CommandError as exc:
            message.append(f"and could not be loaded again: {exc}")
    is_loaded = bool(loaded(host))
    message.append(
        "the host is armed" if is_loaded else "the host is NOT armed: a crash would leave no dump"
    )
    return ArmError("; ".join(message), _outcome(facts, is_loaded, [], restored))


def causes(host: Host, facts: Facts, tooling: Tooling) -> t.List[str]:
    """Return what speaks for a cause: the tooling's and the kernel's own last words."""
    found = [
        finding.message
        for finding in findings(facts)
        if finding.check in ("reserved", "kexec_disabled")
    ]
    initrd = tooling.initrd(host, facts["tooling"]["initrd"]["kernel"])
    found += initrd.stale
    for argv in (
        [
            "journalctl",
            "--boot",
            "--no-pager",
            "--output=cat",
            f"--unit={tooling.service}",
            f"--lines={JOURNAL_LINES}",
        ],
        [
            "journalctl",
            "--boot",
            "--no-pager",
            "--output=cat",
            "--dmesg",
            "--grep=crash|kexec",
            f"--lines={JOURNAL_LINES}",
        ],
    ):
        lines = [line.strip() for line in (host.ask(argv) or "").splitlines()]
        telling = [
            line
            for line in lines
            if re.search(r"fail|error|cannot|invalid|not |refus|denied", line, re.I)
        ]
        if telling:
            found.append("journal: " + " | ".join(telling[-5:]))
    return found
