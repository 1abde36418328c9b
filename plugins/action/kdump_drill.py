# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Crash a host and prove the dump. On the controller, because only it outlives the crash."""

from __future__ import annotations

import re
import secrets
import time
import typing as t

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.kdump.fleet.plugins.module_utils.checks import findings

ARGUMENT_SPEC = {
    "confirm": {"type": "bool", "required": True},
    "timeout": {"type": "int", "default": 1800},
    "tooling": {
        "type": "str",
        "choices": ["auto", "kdumpctl", "kdump-tools", "suse", "kexec"],
        "default": "auto",
    },
    "elsewhere": {"type": "bool", "default": False},
}
BOOT_ID = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")
POLL = 3  # seconds between two looks at a host that is away
CONNECT_TIMEOUT = 10  # seconds for each look; longer would blur the time that the host was away
PROGRESS = 30  # seconds between two lines that say so

Facts = dict[str, t.Any]
display = Display()


class DrillError(Exception):
    """The drill did not prove a dump; str() says why and what is there."""


def _aside(facts: Facts) -> Facts:
    """Return where on this host a dump is that is not in its file tree, as kdump_dumps takes it; nothing if it is in it."""
    kind, _blank, location = facts["capture"]["elsewhere"].partition(" ")
    path = facts["target"]["path"]
    if not kind or facts["capture"]["network"]:
        return {}
    # kdumpctl's service moves a raw dump into the path, where it has no kernel log beside it.
    return {"path": path} if kind == "raw" else {"path": path, "device": location, "fstype": kind}


class ActionModule(ActionBase):
    """kdump_drill: refuse, crash, wait, prove."""

    TRANSFERS_FILES = False
    _requires_connection = True
    _supports_check_mode = True

    def run(self, tmp: str | None = None, task_vars: Facts | None = None) -> Facts:
        result: Facts = super().run(tmp, task_vars)
        self._task_vars = task_vars or {}
        _validation, arguments = self.validate_argument_spec(argument_spec=ARGUMENT_SPEC)
        try:
            result.update(self._drill(arguments))
        except DrillError as exc:
            result.update(failed=True, msg=str(exc))
        return result

    def _drill(self, arguments: Facts) -> Facts:
        if not arguments["confirm"]:
            raise DrillError(
                "confirm: false; a drill crashes the host and everything that runs on it. "
                "Set confirm: true (kdump_drill_confirm=true for the playbook) to do so. Nothing was done."
            )
        tooling = {"tooling": arguments["tooling"]}
        before = self._module("kdump_info", tooling)
        self._refuse_unarmed(before)
        self._refuse_unprovable(before, arguments["elsewhere"])
        aside = _aside(before)
        known = self._known(before, aside)
        token = secrets.token_hex(8)
        if self._task.check_mode:
            return {"changed": True, "msg": "would crash this host and wait for its dump"}
        mark = self._module("kdump_crash", {"confirm": True, "token": token})["mark"]
        start = time.monotonic()
        self._say("crashed; waiting for it to come back with a dump")
        seconds = self._wait_for_boot(before["boot_id"], start, arguments["timeout"])
        self._say(f"back online after {seconds} s; looking for the dump")
        after = self._module("kdump_info", tooling)
        result = {
            "changed": True,
            "kernel": before["kernel"]["release"],
            "reserved": before["reserved"],
            "mark": mark,
            "token": token,
            "seconds": seconds,
            "boot_id": after["boot_id"],
            "armed": True,
        }
        if arguments["elsewhere"] or aside:
            # What kdumpctl finds on a raw device it puts into a folder before it arms the host.
            self._wait_until_armed(after, tooling, start + arguments["timeout"])
            place = aside or {"path": after["target"]["path"]}
            folders = [dump["folder"] for dump in known]
            found = self._module("kdump_dumps", {**place, "known": folders, "contains": mark})
            if arguments["elsewhere"]:
                return {**result, "kept": found["proof"], "reason": found["reason"]}
            if not found["proof"]:
                raise DrillError(
                    f"the host is back, but {before['capture']['elsewhere']} has no dump of this crash: {found['reason']}. "
                    "Look at the host's console."
                )
            return {**result, **found["proof"]}
        proof = self._proof(before, after, mark)
        self._wait_until_armed(after, tooling, start + arguments["timeout"])
        return {**result, **proof}

    def _known(self, before: Facts, aside: Facts) -> list[Facts]:
        """Return the dumps from before the crash."""
        try:
            found: list[Facts] = (
                self._module("kdump_dumps", aside)["dumps"] if aside else before["dumps"]
            )
        except DrillError as exc:
            raise DrillError(
                f"{before['tooling']['config_path']} sends dumps to {before['capture']['elsewhere']}, where they cannot be "
                f"looked for: {exc}. Nothing was done."
            ) from exc
        return found

    def _proof(self, before: Facts, after: Facts, mark: str) -> Facts:
        dump = self._new_dump(before, after)
        core = self._module(
            "vmcore_info", {"path": dump["vmcore"], "dmesg": dump["dmesg"], "contains": mark}
        )
        if not core["complete"]:
            raise DrillError(f"{dump['vmcore']} is no complete dump: {core['problem']}")
        if not core["found"]:
            raise DrillError(
                f"{dump['vmcore']} is not of this crash: its kernel log {dump['dmesg']} has no {mark!r}"
            )
        return {
            "path": dump["vmcore"],
            "dmesg": dump["dmesg"],
            "size": core["size"],
            "panic": core["panic"],
            "header": core["header"],
            "proven_by": "log",
        }

    def _refuse_unarmed(self, facts: Facts) -> None:
        if facts["loaded"]:
            return
        reasons = [finding.message for finding in findings(facts) if finding.severity == "error"]
        raise DrillError(
            "this host is not armed, a crash would leave no dump: "
            f"{'; '.join(reasons) or 'the kernel says that no capture kernel is loaded'}. "
            "Run the role kdump on it first. Nothing was done."
        )

    def _refuse_unprovable(self, facts: Facts, elsewhere: bool) -> None:
        """Refuse what is known to leave no proof before the host is crashed for nothing.

        :param elsewhere: somebody else looks for the dump.
        """
        settings = facts["tooling"]["settings"]
        if facts["capture"]["network"] and not elsewhere:
            raise DrillError(
                f"{facts['tooling']['config_path']} sends dumps to another machine, and nobody has said where they can be "
                "looked for: set kdump_drill_server to the inventory's name of that server. Nothing was done."
            )
        if elsewhere and not facts["capture"]["network"]:
            raise DrillError(
                f"{facts['tooling']['config_path']} keeps dumps on this host, so none would come to the server; leave "
                "kdump_drill_server out. Nothing was done."
            )
        if settings.get("KDUMP_DUMP_DMESG") == "0":
            raise DrillError(
                "KDUMP_DUMP_DMESG is 0: without the kernel log there is no proof. Nothing was done."
            )
        if settings.get("KDUMP_COMPRESSION") == "lz4":
            raise DrillError(
                "KDUMP_COMPRESSION is lz4, which the drill cannot read; use xz or gzip. Nothing was done."
            )

    def _wait_for_boot(self, boot_id: str, start: float, timeout: int) -> int:
        """Wait for a normal boot other than the one that crashed; return the seconds that it took."""
        said = 0.0
        last = "no connection"
        patience = self._connect_timeout(CONNECT_TIMEOUT)
        while time.monotonic() - start < timeout:
            time.sleep(POLL)
            elapsed = time.monotonic() - start
            if elapsed - said >= PROGRESS:
                said = elapsed
                self._say(f"away for {elapsed:.0f} s ({last})")
            try:
                self._connection.reset()
                # The capture kernel may answer too; it alone has /proc/vmcore.
                answer = self._low_level_execute_command(
                    "cat /proc/sys/kernel/random/boot_id; test -e /proc/vmcore && echo capture",
                    sudoable=False,
                )
            except AnsibleConnectionFailure as exc:
                last = (
                    str(exc).strip().splitlines()[-1][:120] if str(exc).strip() else "no connection"
                )
                continue
            said_now = answer.get("stdout", "")
            # A login may print other things too.
            found = BOOT_ID.search(said_now)
            if found is None:
                last = (answer.get("stderr", "").strip().splitlines() or ["no answer"])[-1][:120]
            elif found.group() == boot_id:
                last = "it has not crashed yet"
            elif "capture" in said_now.split():
                last = "the capture kernel is running"
            else:
                # A temporary folder from before the crash may be gone.
                self._connection._shell.tmpdir = None
                self._connect_timeout(patience)
                return round(time.monotonic() - start)
        raise DrillError(
            f"the host did not come back within {timeout} s of the crash ({last}). Look at its console: the capture "
            "kernel may have run out of memory, or may be waiting for its root file system."
        )

    def _connect_timeout(self, seconds: int | None) -> int | None:
        """Set how long a connection may take, where it has such an option, and return what it was."""
        try:
            before: int | None = self._connection.get_option("timeout")
        except (AnsibleError, KeyError):
            return None
        if seconds is not None:
            self._connection.set_option("timeout", seconds)
        return before

    def _new_dump(self, before: Facts, after: Facts) -> Facts:
        known = {(dump["folder"], dump["vmcore"]) for dump in before["dumps"]}
        new = [dump for dump in after["dumps"] if (dump["folder"], dump["vmcore"]) not in known]
        whole = [dump for dump in new if dump["complete"]]
        if whole:
            dump: Facts = whole[-1]
            if not dump["dmesg"]:
                raise DrillError(
                    f"{dump['vmcore']} has no kernel log beside it; is KDUMP_DUMP_DMESG=0 set?"
                )
            return dump
        if new:
            raise DrillError(
                f"the host is back, but its dump in {new[-1]['folder']} was never finished; "
                f"{after['target']['path']} has {(after['target']['free'] or 0) >> 20} MiB free"
            )
        raise DrillError(
            f"the host is back, but there is no new dump below {after['target']['path']}: "
            "the capture kernel did not start, or could not write. Look at the host's console."
        )

    def _wait_until_armed(self, facts: Facts, tooling: Facts, deadline: float) -> None:
        while not facts["loaded"]:
            if time.monotonic() > deadline:
                raise DrillError(
                    "the dump is complete, but the host is not armed again: "
                    + "; ".join(
                        finding.message
                        for finding in findings(facts)
                        if finding.severity == "error"
                    )
                )
            time.sleep(POLL)
            facts = self._module("kdump_info", tooling)

    def _module(self, name: str, arguments: Facts) -> Facts:
        result: Facts = self._execute_module(
            module_name=f"kdump.fleet.{name}", module_args=arguments, task_vars=self._task_vars
        )
        if result.get("failed"):
            raise DrillError(result.get("msg") or f"{name} failed")
        return result

    def _say(self, text: str) -> None:
        display.display(f"kdump_drill [{self._task_vars.get('inventory_hostname', '?')}]: {text}")
