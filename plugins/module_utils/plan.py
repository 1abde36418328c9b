# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""From what a host is to what has to be done. Pure: the observation and the wanted state in, steps out."""

import difflib
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils import (
    checks,
    configuration,
    panic,
    space,
    ssh_client,
    target_rules,
)
from ansible_collections.kdump.fleet.plugins.module_utils import wanted as rules
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.base import undecided
from ansible_collections.kdump.fleet.plugins.module_utils.crashkernel import (
    KEYWORD,
    MIB,
    CrashkernelError,
    check_values,
)
from ansible_collections.kdump.fleet.plugins.module_utils.records import fingerprint
from ansible_collections.kdump.fleet.plugins.module_utils.sizing import (
    auto,
    distro_value,
    kdumptool_values,
)
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.base import Place, Tooling
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.registry import NAMES, by_name
from ansible_collections.kdump.fleet.plugins.module_utils.wanted import (
    Configuration,
    OwnFile,
    Wanted,
)

Facts = t.Mapping[str, t.Any]

# Other users of the host may leave files in a folder with the sticky bit (apport does on Ubuntu).
STICKY = 0o1000
# Set by the role itself or by playbooks of this collection.
OTHER_NAMES = (
    "kdump_reboot_required",
    "kdump_drill",
    "kdump_drill_accept_local",
    "kdump_drill_account",
    "kdump_drill_confirm",
    "kdump_drill_path",
    "kdump_drill_server",
    "kdump_drill_timeout",
    "kdump_hosts",
    "kdump_serial",
    "kdump_servers",
    "kdump_ssh_public_key",
)


class Step(t.NamedTuple):
    """One thing to do, and why."""

    name: str
    reason: str


class Values(t.NamedTuple):
    """What kdump_crashkernel comes to on a host."""

    values: t.List[str]
    problems: t.List[str]
    reasoning: t.List[str]
    too_small: str = ""  # why this host cannot dump at all


def crashkernel_values(
    wanted: Wanted, facts: Facts, options: t.Optional[t.Mapping[str, t.Optional[str]]] = None
) -> Values:
    """Return the values that the next boot should have, and what is wrong with the variable.

    :param options: settings that the tooling is going to have.
    """
    text = str(wanted.crashkernel).strip()
    if text == "none":
        return Values([], [], ["none: nothing is to be reserved"])
    if text == "auto":
        tooling = by_name(facts["tooling"]["name"] or "")
        known = {**facts["tooling"]["settings"], **(options or {})}
        settled = (
            tooling.need({key: value for key, value in known.items() if value is not None})
            if tooling
            else {}
        )
        capture = {**facts["capture"], **settled}
        if wanted.target is None and facts["target"]["derived"]["network"]:
            # A share that the path lies on is mounted over the network, too.
            capture["network"] = True
        return _auto({**facts, "capture": capture})
    reasoning = ["as asked for"]
    if text == "distro":
        distribution = facts["distribution"]
        values = _distro_values(wanted, facts)
        if not values:
            return Values(
                [],
                [
                    f"kdump_crashkernel: 'distro' has no known value for {distribution['name'] or 'this distribution'} "
                    f"on {facts['architecture']}; use auto, or set a size, such as kdump_crashkernel: 512M"
                ],
                [],
            )
        reasoning = [f"distro: {' '.join(values)} is the default of {distribution['name']}"]
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


def _distro_values(wanted: Wanted, facts: Facts) -> t.List[str]:
    """Return what the distribution itself would set; none where that is not known."""
    if facts["tooling"]["name"] == "suse":
        # Its own tool works it out on the host, once it is installed.
        proposed = facts["tooling"]["rules"].get("calibrate", {})
        return kdumptool_values(proposed, wanted.fadump in ("on", "nocma"))
    value = distro_value(facts)
    return [] if value is None else [value]


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


def unknown_variables(names: t.Sequence[str], known: t.Sequence[str]) -> t.List[str]:
    """Return a problem for every kdump_ variable that looks like a misspelt one of the role's."""
    problems = []
    for name in sorted(set(names) - {*known, *OTHER_NAMES}):
        close = difflib.get_close_matches(name, known, 1, 0.88)
        if close:
            problems.append(
                f"{name}: the role kdump has no such variable; did you mean {close[0]}?"
            )
    return problems


def plan(facts: Facts, wanted: Wanted) -> t.Dict[str, t.Any]:
    """Return what has to be done on a host, as data.

    The keys: ``errors`` (nothing may be done while there are any), ``warnings``, ``steps`` (name and reason, in order),
    ``reboot_required``, ``armed``, ``findings``, and what the steps need: ``crashkernel``, ``settings``, ``files``,
    ``sysctls``, ``arguments``, ``packages``, ``service``, ``tooling``, ``path``, ``ssh`` (empty without such a target); and
    ``proof``, what kdump_target is to show of the place for dumps, and whether it is ``due`` on a host that needs nothing else too.
    """
    tooling = by_name(facts["tooling"]["name"] or "")
    if tooling is not None:
        wanted = tooling.wanted(wanted)
    if rules.ssh_location(wanted) and facts["ssh"]:
        # The tooling must be told which key there is, or will be.
        wanted = wanted._replace(sshkey=facts["ssh"]["key"])
    result: t.Dict[str, t.Any] = {
        "errors": [],
        "warnings": [],
        "steps": [],
        "step_names": [],
        "reboot_required": False,
        "armed": bool(facts["loaded"]),
        "findings": _findings(facts, wanted),
        "proof": None,
        "state": wanted.state,
        "crashkernel": [],
        "reasoning": [],
        "too_small": "",
        "settings": {},
        "files": {},
        "sysctls": {},
        "arguments": {},
        "exclusive": wanted.exclusive,
        "path": wanted.path,
        "tooling": facts["tooling"]["name"],
        "packages": [*facts["tooling"]["missing_packages"], *_client_packages(facts, wanted)],
        "ssh": _ssh(facts, wanted),
        "service": tooling.service if tooling else "",
    }
    if wanted.state == "unmanaged":
        return result
    if wanted.state == "absent":
        return _with_steps(result, _steps_back(facts, result["ssh"]))
    result["errors"] = _obstacles(facts, wanted, tooling) + rules.problems(wanted)
    if result["errors"] or tooling is None:
        return result
    tooling = tooling.bound(facts["tooling"]["rules"])
    config = tooling.configure(wanted, facts)
    settled = _settled(facts, wanted, config)
    facts = {
        **facts,
        "dump_need": space.at_level(facts["dump_need"], tooling.dump_level(settled)),
    }
    policy = panic.policy(wanted, facts)
    values = crashkernel_values(wanted, facts, config.settings)
    files = {**tooling.own_files(), **config.files}
    if policy.sysctls:
        files[panic.DROPIN] = OwnFile(panic.dropin(policy.sysctls))
    result.update(
        errors=[
            *config.problems,
            *policy.problems,
            *values.problems,
            *rules.unmet(wanted, facts["paths"]),
            *_target_problems(facts, wanted),
            *_ssh_problems(facts, wanted),
            *target_rules.problems(facts, wanted),
        ],
        warnings=[
            *config.warnings,
            *rules.warnings(wanted, tooling.name),
            *target_rules.warnings(facts, wanted),
            *_edited(facts, files),
            *policy.warnings,
            *panic.overridden(facts["sysctl_files"], policy.sysctls),
        ],
        findings=_findings(facts, wanted),
        proof=_proof(facts, wanted, tooling.place(wanted, settled), settled, tooling),
        crashkernel=values.values,
        reasoning=values.reasoning,
        too_small=values.too_small,
        settings=config.settings,
        files={path: dict(file._asdict()) for path, file in files.items()},
        sysctls=policy.sysctls,
        arguments=_arguments(facts, {**config.arguments, **policy.arguments}),
    )
    # Of a value that is refused, the text around it would only be refused once more.
    if result["errors"]:
        return result
    try:
        texts = configuration.edited(
            tooling,
            facts["tooling"]["config"],
            config.settings,
            facts["tooling"]["release"],
            wanted.exclusive,
        )
    except configuration.SettingsError as exc:
        result["errors"].append(str(exc))
    # A host that can never dump is left as it is, and its operator is told.
    if result["errors"] or values.too_small:
        return result
    return _with_steps(result, _steps(facts, wanted, values, config, texts, result))


def _findings(facts: Facts, wanted: Wanted) -> t.List[t.Dict[str, t.Any]]:
    return [
        dict(finding._asdict())
        for finding in checks.findings(facts)
        if finding.check != "space" or wanted.space != "ignore"
    ]


def _settled(facts: Facts, wanted: Wanted, config: Configuration) -> t.Dict[str, str]:
    """Return the tooling's settings as they are going to be."""
    kept = {} if wanted.exclusive else facts["tooling"]["settings"]
    return {key: value for key, value in {**kept, **config.settings}.items() if value is not None}


def _proof(
    facts: Facts,
    wanted: Wanted,
    place: t.Optional[Place],
    settled: t.Mapping[str, str],
    tooling: Tooling,
) -> t.Optional[t.Dict[str, t.Any]]:
    """Return what is to be shown of the place for dumps; None if nothing can be, or if another module does it (ssh)."""
    if place is None:
        return None
    derived = facts["target"]["derived"]
    return {
        **place._asdict(),
        "tooling": tooling.name,
        "need": facts["dump_need"]["bytes"],
        "level": tooling.dump_level(settled),
        "space": wanted.space,
        # A server may have changed its mind since the last run.
        "due": wanted.crashkernel != "none"
        and (place.type in rules.REMOTE or (place.type == "path" and derived["network"])),
    }


def _with_steps(result: t.Dict[str, t.Any], steps: t.Sequence[Step]) -> t.Dict[str, t.Any]:
    result["steps"] = [dict(step._asdict()) for step in steps]
    result["step_names"] = [step.name for step in steps]
    result["reboot_required"] = "reboot" in result["step_names"]
    return result


def _obstacles(facts: Facts, wanted: Wanted, tooling: t.Optional[Tooling]) -> t.List[str]:
    """Return why this host cannot dump, whatever the variables."""
    problems = list(facts["unsupported"]) + list(facts["tooling"]["obstacles"])
    if wanted.tooling not in ("auto", *NAMES):
        problems.append(
            f"kdump_tooling: {wanted.tooling!r} must be one of: auto, {', '.join(NAMES)}"
        )
    elif tooling is None:
        problems.append(
            f"no dump tooling is known for {facts['distribution']['name'] or 'this distribution'}; "
            f"set kdump_tooling to one of: {', '.join(NAMES)}"
        )
    missing = [*facts["tooling"]["missing_packages"], *_client_packages(facts, wanted)]
    if missing and not facts["distribution"]["manager"]:
        problems.append(
            f"not installed: {', '.join(missing)}, and no package manager that Ansible drives was found; install them first"
        )
    loader = facts["boot_loader"]
    if loader["crashkernel"] is None:
        problems.append(f"crashkernel= cannot be set: {loader['error']}")
    chosen = next((entry for entry in loader["entries"] if entry["default"]), None)
    if chosen is not None and not chosen["own"]:
        problems.append(undecided(loader["name"], chosen["title"]))
    return problems


class Client(t.NamedTuple):
    """What a target takes on the host beside the tooling: a program, and the packages that have it."""

    program: str
    package: str
    others: t.Mapping[str, str] = {}  # by package manager


CLIENTS = {
    "ssh": [Client("ssh", "openssh-clients", {"apt": "openssh-client", "pacman": "openssh"})],
    "nfs": [Client("mount.nfs", "nfs-utils", {"apt": "nfs-common", "zypper": "nfs-client"})],
    "cifs": [Client("mount.cifs", "cifs-utils")],
}
# SUSE's kdump alone has these, and sends by lftp.
LFTP = {"sftp": [*CLIENTS["ssh"], Client("lftp", "lftp")], "ftp": [Client("lftp", "lftp")]}


def _client_packages(facts: Facts, wanted: Wanted) -> t.List[str]:
    """Return the packages that the target takes on the host, and that it lacks."""
    kind = (wanted.target or {}).get("type", "")
    clients = {**CLIENTS, **(LFTP if facts["tooling"]["name"] == "suse" else {})}
    manager = facts["distribution"]["manager"]
    return [
        client.others.get(manager, client.package)
        for client in clients.get(kind, [])
        if facts["programs"].get(client.program) is False
    ]


def _ssh(facts: Facts, wanted: Wanted) -> t.Dict[str, t.Any]:
    """Return what the role needs to set up an ssh target at both ends; nothing for any other."""
    found = facts["ssh"]
    if not found or not rules.ssh_location(wanted) or found["error"]:
        return {}
    target = ssh_client.login(rules.ssh_location(wanted))
    place = f"[{target.host}]" if ":" in target.host else target.host
    port = "" if target.port is None else f":{target.port}"
    user = target.user or "root"  # who logs in
    return {
        "destination": f"ssh://{user}@{place}{port}",
        "user": user,
        "host": target.host,
        "key": found["key"],
        "key_type": wanted.ssh_key_type,
        "known_hosts": found["known_hosts"],
        "public_key": found["public"],
        "pinned": list(found["pinned"]),
        "path": wanted.path,
    }


def _ssh_problems(facts: Facts, wanted: Wanted) -> t.List[str]:
    """Return why ssh cannot be used as the variables say."""
    found = facts["ssh"]
    if not found:
        return []
    problems = [f"kdump_target: {found['error']}"] if found["error"] else []
    if found["fips"] and wanted.ssh_key_type == "ed25519":
        problems.append(
            "kdump_ssh_key_type: 'ed25519': this host is in FIPS mode, which refuses it; leave it auto, or use ecdsa"
        )
    return problems


def _target_problems(facts: Facts, wanted: Wanted) -> t.List[str]:
    """Return why the folder for dumps cannot be had; of a target of its own the tooling's rules say so."""
    target = facts["target"]
    if wanted.target is not None or not target["exists"]:
        return []
    if not target["directory"]:
        return [f"kdump_path: {wanted.path!r} is on this host and is no folder; use another one"]
    others = ", ".join(target["others"])
    if others and _open(target):
        return [
            f"kdump_path: {wanted.path!r} is open to others and holds other things ({others}), which closing it would "
            "cut off; use a folder of its own"
        ]
    if (
        wanted.dumps_to_keep
        and facts["tooling"]["name"] == "kdump-tools"
        and any(name.startswith("2") for name in target["others"])
    ):
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


def _arguments(facts: Facts, wanted: t.Mapping[str, t.Sequence[str]]) -> t.Dict[str, t.List[str]]:
    """Return the values of the running kernel's other arguments that are ours to set; [] takes one out.

    What an earlier run has set and nobody asks for any more gets what was there before.
    """
    own = {name: list(before) for name, before in facts["boot_loader"]["own_arguments"].items()}
    return {**own, **{name: list(values) for name, values in wanted.items()}}


def _steps(
    facts: Facts,
    wanted: Wanted,
    chosen: Values,
    config: Configuration,
    texts: t.Mapping[str, str],
    result: Facts,
) -> t.List[Step]:
    values = chosen.values
    tooling = facts["tooling"]
    running = facts["crashkernel"]["words"]
    steps = []
    if result["packages"]:
        steps.append(Step("packages", f"not installed: {', '.join(result['packages'])}"))
    if result["ssh"] and not facts["ssh"]["exists"]:
        steps.append(Step("key", f"{facts['ssh']['key']} does not exist"))
    if wanted.target is None and not facts["target"]["exists"]:
        steps.append(Step("path", f"{wanted.path} does not exist"))
    elif wanted.target is None and _open(facts["target"]):
        reason = f"mode {facts['target']['mode']}, owner {facts['target']['owner']}"
        steps.append(
            Step("path", f"{wanted.path} is open to others ({reason}), and dumps hold secrets")
        )
    before_proof = len(steps)
    changes = _changes(facts, config, texts, result["files"])
    if changes:
        steps.append(Step("conf", "; ".join(changes)))
    live = _live(facts, result["sysctls"], result["files"])
    if live:
        steps.append(Step("panic", live))
    reboot = list(values) != running
    # What is reserved now can be armed now, whatever the next boot will have.
    if values and (facts["reserved"] or not reboot):
        reasons = [
            *(["no capture kernel is loaded"] if facts["loaded"] is False else []),
            *tooling["initrd"]["stale"][:2],
            *(["the configuration is new"] if changes or tooling["pending"] else []),
        ]
        if reasons:
            steps.append(Step("load", "; ".join(reasons)))
    if result["proof"] and any(step.name in ("path", "conf", "load") for step in steps):
        proof = result["proof"]
        shown = proof["location"] or proof["path"]
        reason = f"{proof['type']} {shown} has to take a file, as a dump would have to be"
        steps.insert(before_proof, Step("target", reason))
    steps += _boot_steps(facts, values, "; ".join(chosen.reasoning), result["arguments"])
    if tooling["service"]["enabled"] != "enabled":
        steps.append(Step("service", f"{tooling['service']['name']} is not enabled"))
    if reboot and values and (tooling["next_initrd"]["stale"] or tooling["missing_packages"]):
        reason = "; ".join(tooling["next_initrd"]["stale"][:2])
        steps.append(Step("initrd", reason or "the packages are new"))
    return steps + _reboot_step(facts, values, result["arguments"])


def _changes(
    facts: Facts,
    config: Configuration,
    texts: t.Mapping[str, str],
    files: t.Mapping[str, t.Mapping[str, t.Any]],
) -> t.List[str]:
    """Return what is to change in the tooling's files, and in ours beside them."""
    tooling = facts["tooling"]
    found = []
    different = sorted(
        key for key, value in config.settings.items() if tooling["settings"].get(key) != value
    )
    for path, text in texts.items():
        if text != tooling["config"].get(path, ""):
            found.append(f"{path}: {', '.join(different) or 'lines that would be misread'}")
    for path, file in files.items():
        if path != panic.DROPIN and _differs(tooling["files"].get(path), file):
            found.append(f"not as this release writes it: {path}")
    for path, file in tooling["files"].items():
        if path not in files and path not in texts and path != panic.DROPIN and not file["stays"]:
            found.append(f"no longer asked for: {path}")
    return found


def _edited(facts: Facts, files: t.Collection[str]) -> t.List[str]:
    """Return a warning for every file of ours that nobody asks for any more, and that stays for somebody's sake."""
    return [
        f"{path}: was changed since kdump.fleet wrote it, and nobody asks for it any more; it stays, so remove it by hand"
        for path, file in facts["tooling"]["files"].items()
        if file["edited"] and file["stays"] and path not in files
    ]


def _differs(found: t.Optional[Facts], file: t.Mapping[str, t.Any]) -> bool:
    return found is None or (found["fingerprint"], found["mode"]) != (
        fingerprint(file["content"]),
        file["mode"],
    )


def _live(
    facts: Facts, sysctls: t.Mapping[str, str], files: t.Mapping[str, t.Mapping[str, t.Any]]
) -> str:
    """Return why the panic policy has to be set, or ''."""
    different = sorted(
        f"{name} is {facts['sysctl'].get(name)}, wanted is {value}"
        for name, value in sysctls.items()
        if facts["sysctl"].get(name) != value
    )
    given_up = sorted(set(facts["own_sysctls"]) - set(sysctls))
    found = facts["tooling"]["files"].get(panic.DROPIN)
    if different:
        return "; ".join(different)
    if given_up:
        return f"no longer asked for: {', '.join(given_up)}"
    wrong = found is not None and not found["stays"]
    if panic.DROPIN in files:
        wrong = _differs(found, files[panic.DROPIN])
    if wrong:
        return f"{panic.DROPIN} does not say so for the next boot"
    return ""


def _boot_steps(
    facts: Facts,
    values: t.Sequence[str],
    reasoning: str,
    arguments: t.Mapping[str, t.Sequence[str]],
) -> t.List[Step]:
    """Return the steps that change what the next boot's kernel is told."""
    entries = [entry for entry in facts["boot_loader"]["entries"] if entry["counts"]]
    steps = []
    other = [entry["crashkernel"] for entry in entries if entry["crashkernel"] != list(values)]
    if other:
        words = " ".join(KEYWORD + value for value in values) or "none"
        reason = f"the next boot has {_shown(other[0])}, wanted is {words}"
        steps.append(Step("crashkernel", f"{reason} ({reasoning})" if reasoning else reason))
    different = [
        name
        for name, wanted in arguments.items()
        if any(entry["arguments"].get(name, []) != list(wanted) for entry in entries)
        or (name in facts["boot_loader"]["own_arguments"] and not wanted)
    ]
    if different:
        steps.append(Step("arguments", f"the next boot's kernel: {', '.join(sorted(different))}"))
    return steps


def _reboot_step(
    facts: Facts, values: t.Sequence[str], arguments: t.Mapping[str, t.Sequence[str]]
) -> t.List[Step]:
    reasons = []
    if list(values) != facts["crashkernel"]["words"]:
        reasons.append(f"the running kernel has {_shown(facts['crashkernel']['words'])}")
    running = facts["kernel"]["arguments"]
    reasons += [
        f"the running kernel has not {name} as wanted"
        for name, wanted in sorted(arguments.items())
        if running.get(name, []) != list(wanted)
    ]
    return [Step("reboot", "; ".join(reasons))] if reasons else []


def _steps_back(facts: Facts, login: Facts) -> t.List[Step]:
    """Return the steps to a host without kdump, with the configuration that was there before this collection.

    :param login: to the dump server, if there is one.
    """
    tooling = facts["tooling"]
    arguments = _arguments(facts, {})
    steps = []
    if facts["loaded"]:
        steps.append(Step("unload", "a capture kernel is loaded"))
    if tooling["service"]["enabled"] == "enabled":
        steps.append(Step("disable", f"{tooling['service']['name']} is enabled"))
    steps += _boot_steps(facts, [], "", arguments)
    if facts["originals"] or facts["own_sysctls"]:
        steps.append(
            Step(
                "restore",
                "changed by kdump.fleet: "
                + ", ".join([*facts["originals"], *facts["own_sysctls"]]),
            )
        )
    if login and (facts["ssh"]["made_here"] or facts["ssh"]["pinned"]):
        steps.append(Step("logout", f"{login['host']} lets this host in"))
    return steps + _reboot_step(facts, [], arguments)


def _shown(values: t.Sequence[str]) -> str:
    return " ".join(KEYWORD + value for value in values) or f"no {KEYWORD[:-1]}"
