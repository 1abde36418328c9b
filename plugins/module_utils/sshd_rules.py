# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""What sshd would do for an account, whoever the client is: in sshd_config the first value counts, also of another's Match block."""

import ipaddress
import itertools
import re
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.files import Host

# The keywords of Match that say who connects, and what 'sshd -T -C' calls it (sshd_config(5), sshd(8)).
FIELDS = {"host": "host", "address": "addr", "localaddress": "laddr", "localport": "lport"}
DEFAULTS = {"host": "localhost", "addr": "127.0.0.1", "laddr": "127.0.0.1", "lport": "22"}
_LINE = re.compile(r"^[ \t]*(match|include)[ \t=]+(.*)$", re.IGNORECASE | re.MULTILINE)
_VALUE = re.compile(r"[A-Za-z0-9.:%_-]+\Z")
DEEPEST = 16  # files that include each other, as many as sshd follows
TIMEOUT = 20  # seconds

Spec = t.Tuple[t.Tuple[str, str], ...]


def texts(host: Host, path: str, depth: int = 0) -> t.List[str]:
    """Return what is in sshd's configuration, and in all that it includes."""
    text = host.read(path)
    if text is None:
        return []
    found = [text]
    for word, rest in _LINE.findall(text):
        if word.lower() == "include" and depth < DEEPEST:
            for pattern in rest.replace('"', " ").split():
                pattern = pattern if pattern.startswith("/") else "/etc/ssh/" + pattern
                for name in host.glob(pattern):
                    found += texts(host, name, depth + 1)
    return found


def specs(config: t.Sequence[str], clients: t.Sequence[str]) -> t.List[Spec]:
    """Return the connections that sshd has to be asked about: one for each client that a Match block can mean.

    Where no block looks at where a client comes from, one is enough for all.

    :param clients: addresses and names of those that will connect.
    """
    found = [spec({})]
    blocks = [
        block
        for text in config
        for word, rest in _LINE.findall(text)
        if word.lower() == "match"
        for block in [_block(rest)]
        if block
    ]
    for block in blocks:
        found += [spec(dict(zip(block, values))) for values in itertools.product(*block.values())]
    if any({"host", "addr"} & set(block) for block in blocks):
        found += [spec(_client(client)) for client in clients if _VALUE.match(client)]
    return list(dict.fromkeys(found))


def spec(given: t.Mapping[str, str]) -> Spec:
    return tuple((key, given.get(key, DEFAULTS[key])) for key in DEFAULTS)


def _client(client: str) -> t.Dict[str, str]:
    try:
        ipaddress.ip_address(client)
    except ValueError:
        return {"host": client}
    return {"addr": client}


def _block(conditions: str) -> t.Dict[str, t.List[str]]:
    """Return values that a Match block's conditions are true for, and of what it excludes, by 'sshd -T's names."""
    words = re.sub(r"[ \t=]+", " ", conditions.partition("#")[0]).replace('"', "").split(" ")
    found: t.Dict[str, t.List[str]] = {}
    for word, patterns in zip(words, words[1:]):
        field = FIELDS.get(word.lower())
        values = [_example(pattern) for pattern in patterns.split(",")] if field else []
        values = [value for value in values if _VALUE.match(value)]
        if field and values:
            found[field] = values
    return found


def _example(pattern: str) -> str:
    """Return something that a pattern is true for."""
    pattern = pattern.lstrip("!")
    try:
        network = ipaddress.ip_network(pattern, strict=False)
    except ValueError:
        return pattern.replace("*", "1").replace("?", "1")
    first = network.network_address
    return str(first + 1 if network.num_addresses > 2 else first)


def problems(rules: t.Sequence[str], answers: t.Mapping[Spec, str]) -> t.List[str]:
    """Return which options have another value than the rules say, and for whom.

    :param rules: lines as sshd_config has them.
    :param answers: what 'sshd -T' says for each connection.
    """
    found: t.Dict[str, t.List[Spec]] = {}
    for who, answer in answers.items():
        lines = answer.lower().splitlines()
        for rule in rules:
            option, _blank, value = rule.lower().partition(" ")
            there = [line.partition(" ")[2] for line in lines if line.partition(" ")[0] == option]
            # Variables are added up, so that one more is one too many.
            wrong = [each for each in there if each != value] if option == "acceptenv" else there
            if value not in there or (option == "acceptenv" and wrong):
                said = f"{option} {' '.join(wrong) or 'nothing'} in place of {value}"
                found.setdefault(said, []).append(who)
    return [f"{said} ({_shown(whose, len(answers))})" for said, whose in found.items()]


def _shown(whose: t.Sequence[Spec], all_of_them: int) -> str:
    if len(whose) == all_of_them:
        return "for everybody"
    special = [f"{key}={value}" for key, value in whose[0] if DEFAULTS[key] != value]
    more = f" and {len(whose) - 1} more" if len(whose) > 1 else ""
    return f"for {' '.join(special) or 'addr=127.0.0.1'}{more}"


def look(host: Host, wanted: t.Mapping[str, t.Any]) -> t.Dict[str, t.Any]:
    """Ask sshd, and judge what it says.

    :raises CommandError: it does not answer.
    """
    answers = {}
    for who in specs(texts(host, wanted["config"]), wanted["clients"]):
        given = ",".join(f"{key}={value}" for key, value in (("user", wanted["account"]), *who))
        answers[who] = host.run([wanted["sshd"], "-T", "-C", given], timeout=TIMEOUT)
    return {
        "problems": problems(wanted["rules"], answers),
        "asked": [" ".join(f"{key}={value}" for key, value in who) for who in answers],
    }
