# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The collection's pure functions as filters: for the role, for templates, and for checks in CI."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping, Sequence

from ansible.errors import AnsibleFilterError
from ansible.module_utils.parsing.convert_bool import boolean

from ansible_collections.kdump.fleet.plugins.module_utils import (
    arrived,
    crashkernel_fleet,
    plan,
    ssh_client,
)
from ansible_collections.kdump.fleet.plugins.module_utils.crashkernel import (
    U64,
    CrashkernelError,
    parse_crashkernel,
)
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.registry import NAMES, by_name
from ansible_collections.kdump.fleet.plugins.module_utils.wanted import Wanted, needs


def crashkernel_parse(
    cmdline: t.Any, system_ram: t.Any, arch: t.Any = "x86_64"
) -> dict[str, t.Any]:
    """Return what a kernel command line reserves; see the filter's documentation."""
    if not isinstance(cmdline, str) or not isinstance(arch, str):
        raise AnsibleFilterError(
            "kdump.fleet.crashkernel_parse needs a kernel command line and an architecture, as strings"
        )
    if not isinstance(system_ram, int) or isinstance(system_ram, bool):
        raise AnsibleFilterError(
            f"kdump.fleet.crashkernel_parse needs the RAM in bytes, as a number, not {type(system_ram).__name__}"
        )
    if not 0 <= system_ram <= U64:
        raise AnsibleFilterError(
            f"kdump.fleet.crashkernel_parse needs the RAM in bytes, from 0 to below 2**64, not {system_ram}"
        )
    try:
        return {"ok": True, "error": "", **parse_crashkernel(cmdline, system_ram, arch)._asdict()}
    except CrashkernelError as exc:
        return {
            "ok": False,
            "error": str(exc),
            "size": 0,
            "offset": 0,
            "low": 0,
            "cma": 0,
            "high": False,
        }


def crashkernel_lint(
    value: t.Any, hosts_ram: t.Any, arch: t.Any = "x86_64", release: t.Any = ""
) -> list[dict[str, t.Any]]:
    """Return what is wrong with a value on a fleet; see the filter's documentation."""
    _strings("crashkernel_lint", arch=arch, release=release)
    try:
        found = crashkernel_fleet.lint(value, hosts_ram, arch, release)
    except crashkernel_fleet.FleetError as exc:
        raise AnsibleFilterError(f"kdump.fleet.crashkernel_lint: {exc}") from exc
    return [finding._asdict() for finding in found]


def crashkernel_for_fleet(hosts: t.Any, arch: t.Any = "x86_64", max_ranges: t.Any = 8) -> str:
    """Return one range list for a fleet; see the filter's documentation."""
    _strings("crashkernel_for_fleet", arch=arch)
    if not isinstance(max_ranges, int) or isinstance(max_ranges, bool):
        raise AnsibleFilterError(
            f"kdump.fleet.crashkernel_for_fleet: max_ranges must be a number, not {type(max_ranges).__name__}"
        )
    try:
        return crashkernel_fleet.for_fleet(crashkernel_fleet.needs(hosts), arch, max_ranges)
    except crashkernel_fleet.FleetError as exc:
        raise AnsibleFilterError(f"kdump.fleet.crashkernel_for_fleet: {exc}") from exc


def _strings(name: str, **options: t.Any) -> None:
    for option, value in options.items():
        if not isinstance(value, str):
            raise AnsibleFilterError(
                f"kdump.fleet.{name}: {option} must be a string, not {type(value).__name__}"
            )


def kdump_conf_problems(
    text: t.Any, tooling: t.Any = "kdumpctl", release: t.Any = None
) -> list[str]:
    """Return what a tooling would refuse in a configuration; see the filter's documentation."""
    if not isinstance(text, str):
        raise AnsibleFilterError(
            f"kdump.fleet.kdump_conf_problems needs a text, not {type(text).__name__}"
        )
    known = by_name(str(tooling))
    if known is None:
        raise AnsibleFilterError(
            f"kdump.fleet.kdump_conf_problems: tooling {tooling!r} must be one of: {', '.join(NAMES)}"
        )
    try:
        return known.config_files[0].problems(text, None if release is None else str(release))
    except ValueError as exc:
        raise AnsibleFilterError(f"kdump.fleet.kdump_conf_problems: release: {exc}") from exc


def kdump_plan(
    facts: t.Any, wanted: t.Any, names: t.Any = (), known: t.Any = ()
) -> dict[str, t.Any]:
    """Return what has to be done on a host; see the filter's documentation."""
    if not isinstance(facts, t.Mapping) or "boot_loader" not in facts:
        raise AnsibleFilterError(
            "kdump.fleet.kdump_plan needs what kdump.fleet.kdump_info returned"
        )
    result = plan.plan(facts, _wanted("kdump_plan", wanted))
    result["errors"] += plan.unknown_variables(list(names), list(known))
    if result["errors"]:
        result.update(steps=[], step_names=[], reboot_required=False)
    return result


def kdump_needs(wanted: t.Any) -> list[str]:
    """Return the paths that must be on a host for the wanted state; see the filter's documentation."""
    found = needs(_wanted("kdump_needs", wanted))
    return sorted({need.path for need in found if need.path.startswith("/")})


def kdump_logins(logins: t.Any) -> list[dict[str, t.Any]]:
    """Return what each server has to know, of all hosts at once; see the filter's documentation."""
    found: dict[tuple[str, str], list[dict[str, t.Any]]] = {}
    for login in logins:
        if not isinstance(login, Mapping):
            raise AnsibleFilterError(
                f"kdump.fleet.kdump_logins needs dictionaries, not {type(login).__name__}"
            )
        if login.get("server"):
            entry: dict[str, t.Any] = {"name": login["host"]}
            # In check mode a host may have none yet.
            if login["public"]:
                entry["keys"] = list(login["public"])
            found.setdefault((login["server"], login["account"]), []).append(entry)
    return [
        {"server": server, "account": account, "hosts": hosts}
        for (server, account), hosts in sorted(found.items())
    ]


def kdump_arrival(target: t.Any, host: t.Any, inventory: t.Any, **given: t.Any) -> dict[str, t.Any]:
    """Return where a dump that leaves a host can be looked for; see the filter's documentation."""
    if not isinstance(target, Mapping):
        raise AnsibleFilterError(
            f"kdump.fleet.kdump_arrival needs kdump_target, a dictionary, not {type(target).__name__}"
        )
    _strings("kdump_arrival", host=host, **given)
    try:
        return arrived.arrival(target, host, list(inventory), **given)
    except ssh_client.SshError as exc:
        raise AnsibleFilterError(f"kdump.fleet.kdump_arrival: {exc}") from exc


def _wanted(name: str, given: t.Any) -> Wanted:
    """Return the wanted state with the types that it had before it was templated.

    Up to ansible-core 2.18 a template gives back text: '3' for 3 and '' for none.
    """
    if not isinstance(given, t.Mapping):
        raise AnsibleFilterError(
            f"kdump.fleet.{name} needs the wanted state as a dict, not {type(given).__name__}"
        )
    unknown = set(given) - set(Wanted._fields)
    if unknown:
        raise AnsibleFilterError(f"kdump.fleet.{name} does not know: {', '.join(sorted(unknown))}")
    hints = t.get_type_hints(Wanted)
    return Wanted(
        **{
            key: _typed(key, value, hints[key])
            for key, value in given.items()
            # The default stands for what is not set.
            if value is not None and value not in ("", "None")
        }
    )


def _typed(key: str, value: t.Any, hint: t.Any) -> t.Any:
    """Return a variable's value as the type that its field has.

    The role's argument specification checks the variables and does not convert them: 'no' from -e is still text.
    """
    origin = t.get_origin(hint)
    kinds = t.get_args(hint) if origin is t.Union else (hint,)
    if origin is Sequence:
        return _list(key, value, t.get_args(hint)[0])
    if any(t.get_origin(kind) is Mapping for kind in kinds):
        if not isinstance(value, Mapping):
            raise AnsibleFilterError(f"kdump_{key}: {value!r} must be a dictionary")
        return value
    if bool in kinds:
        try:
            return boolean(value)
        except TypeError as exc:
            raise AnsibleFilterError(f"kdump_{key}: {value!r} must be true or false") from exc
    if int in kinds:
        try:
            return int("x" if isinstance(value, bool) else value)
        except (TypeError, ValueError) as exc:
            raise AnsibleFilterError(f"kdump_{key}: {value!r} must be a whole number") from exc
    if isinstance(value, (Mapping, list, tuple)):
        raise AnsibleFilterError(f"kdump_{key}: {value!r} must be a string")
    if isinstance(value, bool) and key == "fadump":
        # YAML's word for it without quotes.
        return "on" if value else "off"
    return str(value)


def _list(key: str, value: t.Any, kind: t.Any) -> list[t.Any]:
    """Return a list as Ansible's own argument specifications read it: a string is split at its commas."""
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        value = [part.strip() for part in str(value).split(",")]
    wrong = dict if kind is str else str
    if not isinstance(value, (list, tuple)) or any(
        isinstance(each, (wrong, bool, type(None))) for each in value
    ):
        what = "strings" if kind is str else "dictionaries"
        raise AnsibleFilterError(f"kdump_{key}: {value!r} must be a list of {what}")
    return [str(each) if kind is str else each for each in value]


class FilterModule:
    """Ansible's entry point."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        return {
            "crashkernel_for_fleet": crashkernel_for_fleet,
            "crashkernel_lint": crashkernel_lint,
            "crashkernel_parse": crashkernel_parse,
            "kdump_arrival": kdump_arrival,
            "kdump_conf_problems": kdump_conf_problems,
            "kdump_logins": kdump_logins,
            "kdump_needs": kdump_needs,
            "kdump_plan": kdump_plan,
        }
