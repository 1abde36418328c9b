# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""From what a host is to what has to be done. Pure: the observation and the wanted state in, steps out."""

import difflib
import os
import re
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils import checks
from ansible_collections.kdump.fleet.plugins.module_utils.crashkernel import (
    KEYWORD,
    MIB,
    CrashkernelError,
    check_values,
)
from ansible_collections.kdump.fleet.plugins.module_utils.observe import by_settings
from ansible_collections.kdump.fleet.plugins.module_utils.sizing import (
    Additions,
    auto,
    distro_default,
)
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.base import SECRET_RULE
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.kdump_tools import KdumpTools
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.registry import NAMES, by_name

Facts = t.Mapping[str, t.Any]

# Other users of the host may leave files in a folder with the sticky bit (apport does on Ubuntu).
STICKY = 0o1000
# Closing one of these would stop the host.
SHARED_FOLDERS = (
    *(
        "/",
        "/bin",
        "/boot",
        "/dev",
        "/etc",
        "/home",
        "/lib",
        "/lib64",
        "/media",
        "/mnt",
        "/opt",
        "/proc",
    ),
    *("/root", "/run", "/sbin", "/srv", "/sys", "/tmp", "/usr", "/var", "/var/cache", "/var/lib"),
    *("/var/log", "/var/mail", "/var/spool", "/var/tmp", "/var/www", "/usr/local"),
)
# Variables of linux-system-roles/kdump that this role does not have yet. Passing over them in silence
# would leave a host that its inventory thinks dumps elsewhere.
NOT_YET = (
    "kdump_target",
    "kdump_ssh_user",
    "kdump_ssh_server",
    "kdump_sshkey",
    "kdump_dracut_args",
    "kdump_auto_reset_crashkernel",
)
FAIL_COMMANDS = {"reboot": "reboot -f", "halt": "halt -f", "poweroff": "poweroff -f"}
# Set by the role itself or by playbooks of this collection.
OTHER_NAMES = (
    "kdump_reboot_required",
    "kdump_drill_confirm",
    "kdump_drill_timeout",
    "kdump_hosts",
    "kdump_serial",
)


class Step(t.NamedTuple):
    """One thing to do, and why."""

    name: str
    reason: str


class Wanted(t.NamedTuple):
    """The role's variables, without their prefix."""

    tooling: str = "auto"
    crashkernel: str = "auto"
    path: str = "/var/crash"
    core_collector: t.Optional[str] = None
    system_action: str = "reboot"
    dumps_to_keep: t.Optional[int] = None
    options: t.Mapping[str, t.Any] = {}


class Values(t.NamedTuple):
    """What kdump_crashkernel comes to on a host."""

    values: t.List[str]
    problems: t.List[str]
    reasoning: t.List[str]
    too_small: str = ""  # why this host cannot dump at all


def crashkernel_values(
    wanted: Wanted, facts: Facts, options: t.Optional[t.Mapping[str, str]] = None
) -> Values:
    """Return the values that the next boot should have, and what is wrong with the variable.

    :param options: settings that the tooling is going to have.
    """
    text = str(wanted.crashkernel).strip()
    if text == "none":
        return Values([], [], ["none: nothing is to be reserved"])
    if text == "auto":
        tooling = by_name(facts["tooling"]["name"] or "")
        settled = by_settings(tooling, {**facts["tooling"]["settings"], **(options or {})})
        return _auto({**facts, "capture": {**facts["capture"], **settled}})
    reasoning = ["as asked for"]
    if text == "distro":
        distribution, found = facts["distribution"], facts["capture"]
        value = distro_default(
            distribution["id"],
            distribution["version"],
            facts["architecture"],
            distribution["like"],
            Additions(**{name: found[name] for name in Additions._fields}),
        )
        if value is None:
            return Values(
                [],
                [
                    f"kdump_crashkernel: 'distro' has no known value for {distribution['name'] or 'this distribution'} "
                    f"on {facts['architecture']}; use auto, or set a size, such as kdump_crashkernel: 512M"
                ],
                [],
            )
        reasoning = [f"distro: {value} is the default of {distribution['name']}"]
        values = [value]
    else:
        # Blanks divide words; a newline is no blank here, but a value that went wrong.
        values = [word for word in text.split(" ") if word]
    try:
        _check(values, facts)
    except CrashkernelError as exc:
        if text == "distro":
            return Values(
                [],
                [
                    f"kdump_crashkernel: 'distro' does not suit this host: {exc}; "
                    "use auto, or set a size, such as kdump_crashkernel: 192M"
                ],
                [],
            )
        return Values(
            [], [f"kdump_crashkernel: {text!r} would be rejected on this host: {exc}"], []
        )
    return Values(values, [], reasoning)


def _auto(facts: Facts) -> Values:
    """Return what this host needs; what its next boot has already stays if it is enough and no waste."""
    sized = auto(facts)
    reasoning = list(sized["reasoning"])
    if sized["too_small"]:
        return Values([], [], reasoning, sized["too_small"])
    following = facts["boot_loader"]["crashkernel"]
    values = [sized["value"]]
    if following and _stays(facts, sized, following):
        reasoning.append(
            f"there are {following['size'] // MIB} MiB already, which is enough and no waste: they stay"
        )
        values = list(following["words"])
    try:
        _check(values, facts)
    except CrashkernelError as exc:
        return Values([], [f"kdump_crashkernel: 'auto' does not suit this host: {exc}"], reasoning)
    return Values(values, [], reasoning)


def _stays(facts: Facts, sized: Facts, following: Facts) -> bool:
    """Say whether the next boot's value is good enough to be left alone.

    Figures move a little with every kernel and every driver. A reboot for 16 MiB would be no service; but what the
    host has yet to be booted with, as a package's default is, may be put right.
    """
    running = following["words"] == facts["crashkernel"]["words"]
    if not following["ok"] or (running and not facts["reserved"]):
        return False
    try:
        _check(following["words"], facts)
    except CrashkernelError:
        return False
    limit = sized["most"] if running else sized["near"]
    return bool(
        following["size"] >= sized["enough"] and following["size"] + following["low"] <= limit
    )


def _check(values: t.Sequence[str], facts: Facts) -> None:
    check_values(
        values, facts["memory"]["total"], facts["architecture"], facts["boot_loader"]["kernel"]
    )


def settings(wanted: Wanted) -> t.Tuple[t.Dict[str, str], t.List[str]]:
    """Return the settings of kdump-tools for the wanted state, and what is wrong with the variables."""
    problems = []
    result = {"USE_KDUMP": "1", "KDUMP_COREDIR": wanted.path}
    if not re.match(r"/[A-Za-z0-9_@%+=:,./-]*\Z", wanted.path) or ".." in wanted.path.split("/"):
        problems.append(
            f"kdump_path: {wanted.path!r} must be an absolute path of letters, digits and _ @ % + = : , . / - "
            "alone and without '..', such as /var/crash"
        )
        del result["KDUMP_COREDIR"]
    elif os.path.normpath(wanted.path) in SHARED_FOLDERS:
        problems.append(
            f"kdump_path: {wanted.path!r} belongs to the whole host, and a folder for dumps is closed to everybody "
            "but root; use a folder of its own, such as /var/crash"
        )
    if wanted.system_action in FAIL_COMMANDS:
        result["KDUMP_FAIL_CMD"] = FAIL_COMMANDS[wanted.system_action]
    else:
        problems.append(
            f"kdump_system_action: {wanted.system_action!r} is not possible with kdump-tools, which runs a command "
            f"without a console; use one of: {', '.join(FAIL_COMMANDS)}"
        )
    if wanted.core_collector is not None:
        program, _blank, arguments = wanted.core_collector.strip().partition(" ")
        if program != "makedumpfile":
            problems.append(
                f"kdump_core_collector: {wanted.core_collector!r} must begin with 'makedumpfile': "
                "kdump-tools can use no other program"
            )
        elif arguments.strip():
            result["MAKEDUMP_ARGS"] = arguments.strip()
    if wanted.dumps_to_keep is not None:
        result["KDUMP_NUM_DUMPS"] = str(wanted.dumps_to_keep)
        if wanted.dumps_to_keep < 0:
            problems.append(f"kdump_dumps_to_keep: {wanted.dumps_to_keep} must be 0 (all) or more")
    variables = {
        "KDUMP_COREDIR": "kdump_path",
        "KDUMP_FAIL_CMD": "kdump_system_action",
        "MAKEDUMP_ARGS": "kdump_core_collector",
        "KDUMP_NUM_DUMPS": "kdump_dumps_to_keep",
        "USE_KDUMP": "kdump_crashkernel",
    }
    for key, value in wanted.options.items():
        if key in variables:
            problems.append(
                f"kdump_options: {key} has a variable of its own; set {variables[key]} instead"
            )
        elif not isinstance(value, (str, int)) or isinstance(value, bool):
            problems.append(f"kdump_options: {key} must be a string or a number; put it in quotes")
        else:
            result[key] = str(value)
    tooling = KdumpTools()
    for key in [key for key in wanted.options if tooling.secret(key)]:
        problems.append(f"kdump_options: {key} {SECRET_RULE}")
        result.pop(key, None)
    names = {key: variable for key, variable in variables.items() if key not in wanted.options}
    for key, value in result.items():
        reason = tooling.setting_problem(key, value)
        if reason:
            problems.append(
                f"{names.get(key, 'kdump_options')}: {tooling.shown(key, value)} {reason}"
            )
    return result, problems


def unknown_variables(names: t.Sequence[str], known: t.Sequence[str]) -> t.List[str]:
    """Return a problem for every kdump_ variable that looks like a misspelt one of the role's."""
    problems = [
        f"{name}: this version of the role cannot honour it: dumps stay on the host's own disk; take it out"
        for name in sorted(set(names) & set(NOT_YET))
    ]
    for name in sorted(set(names) - {*known, *OTHER_NAMES, *NOT_YET}):
        close = difflib.get_close_matches(name, known, 1, 0.8)
        if close:
            problems.append(
                f"{name}: the role kdump has no such variable; did you mean {close[0]}?"
            )
    return problems


def plan(facts: Facts, wanted: Wanted) -> t.Dict[str, t.Any]:
    """Return what has to be done on a host, as data.

    The keys: ``errors`` (nothing may be done while there are any), ``steps`` (name and reason, in order),
    ``reboot_required``, ``armed``, ``findings``, and what the steps need: ``crashkernel``, ``settings``,
    ``packages``, ``service``, ``tooling``, ``path``.
    """
    problems = list(facts["unsupported"]) + list(facts["tooling"]["obstacles"])
    tooling = by_name(facts["tooling"]["name"] or "")
    if wanted.tooling not in ("auto", *NAMES):
        problems.append(
            f"kdump_tooling: {wanted.tooling!r} must be one of: auto, {', '.join(NAMES)}"
        )
    elif tooling is None:
        problems.append(
            f"no dump tooling is known for {facts['distribution']['name'] or 'this distribution'}; "
            f"set kdump_tooling to one of: {', '.join(NAMES)}"
        )
    options, setting_problems = settings(wanted)
    chosen_values = crashkernel_values(wanted, facts, options)
    values = chosen_values.values
    problems += chosen_values.problems + setting_problems
    if facts["boot_loader"]["crashkernel"] is None:
        problems.append(f"crashkernel= cannot be set: {facts['boot_loader']['error']}")
    chosen = next((entry for entry in facts["boot_loader"]["entries"] if entry["default"]), None)
    if chosen is not None and not chosen["own"]:
        problems.append(
            f"crashkernel= cannot be set for the next boot: {facts['boot_loader']['name']} boots {chosen['title']!r}, "
            "which its defaults do not decide (/etc/grub.d, or another system); choose an entry of this host's kernels"
        )
    problems += _path_problems(facts["target"], wanted)
    result: t.Dict[str, t.Any] = {
        "errors": problems,
        "steps": [],
        "step_names": [],
        "reboot_required": False,
        "armed": bool(facts["loaded"]),
        "findings": [dict(finding._asdict()) for finding in checks.findings(facts)],
        "crashkernel": values,
        "reasoning": chosen_values.reasoning,
        "too_small": chosen_values.too_small,
        "settings": options,
        "path": wanted.path,
        "tooling": facts["tooling"]["name"],
        "packages": list(tooling.packages) if tooling else [],
        "service": tooling.service if tooling else "",
    }
    # A host that can never dump is left as it is, and its operator is told.
    if problems or chosen_values.too_small:
        return result
    steps = _steps(facts, wanted, chosen_values, options)
    result["steps"] = [dict(step._asdict()) for step in steps]
    result["step_names"] = [step.name for step in steps]
    result["reboot_required"] = "reboot" in result["step_names"]
    return result


def _path_problems(target: Facts, wanted: Wanted) -> t.List[str]:
    """Return why the folder for dumps cannot be had."""
    if not target["exists"]:
        return []
    if not target["directory"]:
        return [f"kdump_path: {wanted.path!r} is on this host and is no folder; use another one"]
    others = ", ".join(target["others"])
    if others and _open(target):
        return [
            f"kdump_path: {wanted.path!r} is open to others and holds other things ({others}), which closing it would "
            "cut off; use a folder of its own"
        ]
    if wanted.dumps_to_keep and any(name.startswith("2") for name in target["others"]):
        # Source: kdump-config removes the oldest of 2*, whatever they are.
        return [
            f"kdump_dumps_to_keep: kdump-tools would delete what begins with '2' in {wanted.path!r}, and there is more "
            f"than dumps ({others}); use a folder of its own"
        ]
    return []


def _open(target: Facts) -> bool:
    """Say whether others than root may look into the folder for dumps, unless it is one that they share."""
    mode = int(target["mode"] or "0", 8)
    return bool((mode & 0o077 or target["owner"] != 0) and not mode & STICKY)


def _steps(
    facts: Facts, wanted: Wanted, chosen: Values, options: t.Mapping[str, str]
) -> t.List[Step]:
    values = chosen.values
    tooling = facts["tooling"]
    loader = facts["boot_loader"]
    running = facts["crashkernel"]["words"]
    steps = []
    if tooling["missing_packages"]:
        steps.append(Step("packages", f"not installed: {', '.join(tooling['missing_packages'])}"))
    if not facts["target"]["exists"]:
        steps.append(Step("path", f"{wanted.path} does not exist"))
    elif _open(facts["target"]):
        reason = f"mode {facts['target']['mode']}, owner {facts['target']['owner']}"
        steps.append(
            Step("path", f"{wanted.path} is open to others ({reason}), and dumps hold secrets")
        )
    different = sorted(
        key for key, value in options.items() if tooling["settings"].get(key) != value
    )
    if different:
        steps.append(Step("conf", f"{tooling['config_path']}: {', '.join(different)}"))
    elif tooling["own_files"] and values:
        steps.append(Step("conf", f"not as this release writes it: {tooling['own_files'][0]}"))
    reboot = list(values) != running
    # What is reserved now can be armed now, whatever the next boot will have.
    if values and (facts["reserved"] or not reboot):
        reasons = [
            *(["no capture kernel is loaded"] if facts["loaded"] is False else []),
            *tooling["initrd"]["stale"][:2],
            *(["the configuration is new"] if different or tooling["pending"] else []),
        ]
        if reasons:
            steps.append(Step("load", "; ".join(reasons)))
    other = [
        entry["crashkernel"]
        for entry in loader["entries"]
        if entry["counts"] and entry["crashkernel"] != list(values)
    ]
    if other:
        words = " ".join(KEYWORD + value for value in values) or "none"
        steps.append(
            Step(
                "crashkernel",
                f"the next boot has {_shown(other[0])}, wanted is {words} ({'; '.join(chosen.reasoning)})",
            )
        )
    if tooling["service"]["enabled"] != "enabled":
        steps.append(Step("service", f"{tooling['service']['name']} is not enabled"))
    if reboot and values and (tooling["next_initrd"]["stale"] or tooling["missing_packages"]):
        reason = "; ".join(tooling["next_initrd"]["stale"][:2])
        steps.append(Step("initrd", reason or "the packages are new"))
    if reboot:
        steps.append(Step("reboot", f"the running kernel has {_shown(running)}"))
    return steps


def _shown(values: t.Sequence[str]) -> str:
    return " ".join(KEYWORD + value for value in values) or f"no {KEYWORD[:-1]}"
