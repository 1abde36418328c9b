# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils import sshd_rules
from ansible_collections.kdump.fleet.plugins.module_utils.runner import CommandError
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost

LOCAL: t.Dict[str, str] = {}
CLIENTS = ["192.0.2.7", "db1.example.com", "2001:db8::7", "no,name"]
ALL = [{"addr": "192.0.2.7"}, {"host": "db1.example.com"}, {"addr": "2001:db8::7"}]
SPECS: t.List[t.Tuple[str, t.List[t.Dict[str, str]]]] = [
    # Nothing looks at where a client comes from.
    ("PermitTTY yes", []),
    ("Match User *\n  PermitTTY yes\nMatch Group adm\nMatch all\n# Match Address 10.0.0.1", []),
    ("Match Address 10.0.0.0/8", [{"addr": "10.0.0.1"}, *ALL]),
    ("  match  address=10.0.0.5", [{"addr": "10.0.0.5"}, *ALL]),
    ('Match User kdump Address "10.0.0.?,!192.168.*"', [{"addr": "10.0.0.1"}, {"addr": "192.168.1"}, *ALL]),
    ("Match Address 2001:db8::/32", [{"addr": "2001:db8::1"}, *ALL]),
    ("Match Address 10.0.0.1/32", [{"addr": "10.0.0.1"}, *ALL]),
    ("Match Address 127.0.0.1", ALL),
    ("Match Host *.example.com Address 10.0.0.5", [{"host": "1.example.com", "addr": "10.0.0.5"}, *ALL]),
    # Of these no client says more.
    ("Match LocalPort 2222", [{"lport": "2222"}]),
    ("Match LocalAddress 10.0.0.9", [{"laddr": "10.0.0.9"}]),
]  # fmt: skip


@pytest.mark.parametrize("text, wanted", SPECS)
def test_who_sshd_is_asked_about(text: str, wanted: t.List[t.Dict[str, str]]) -> None:
    found = sshd_rules.specs([text], CLIENTS)
    assert found == [sshd_rules.spec(one) for one in [LOCAL, *wanted]]


def test_files_that_are_included_count(host: FakeHost) -> None:
    host.put("/etc/ssh/sshd_config", 'Include /etc/ssh/sshd_config.d/*.conf\nInclude more "and"\n')
    host.put("/etc/ssh/sshd_config.d/1.conf", "one")
    host.put("/etc/ssh/more", "Include /etc/ssh/sshd_config.d/1.conf /etc/ssh/more\n")
    host.put("/etc/ssh/and", "two")
    found = sshd_rules.texts(host, "/etc/ssh/sshd_config")
    assert found[1] == "one" and found[2].startswith("Include") and found[-1] == "two"
    assert sshd_rules.texts(host, "/none") == []


RULES = ["PermitTTY no", "AuthorizedKeysFile /etc/Keys", "AcceptEnv NONE"]
GOOD = "permittty no\nauthorizedkeysfile /etc/Keys\nacceptenv NONE\n"
A, B, C = (sshd_rules.spec(one) for one in ({}, {"addr": "10.0.0.1"}, {"host": "db1"}))
JUDGED: t.List[t.Tuple[t.Dict[sshd_rules.Spec, str], t.List[str]]] = [
    ({A: GOOD}, []),
    ({A: GOOD + "allowusers bob\n"}, []),
    ({A: GOOD.replace("tty no", "tty yes")}, ["permittty yes in place of no (for everybody)"]),
    ({A: GOOD, B: GOOD.replace("tty no", "tty yes")}, ["permittty yes in place of no (for addr=10.0.0.1)"]),
    (
        {A: GOOD, B: GOOD.replace("tty no", "tty yes"), C: GOOD.replace("tty no", "tty yes")},
        ["permittty yes in place of no (for addr=10.0.0.1 and 1 more)"],
    ),
    ({A: GOOD + "acceptenv LC_*\n"}, ["acceptenv lc_* in place of none (for everybody)"]),
    ({A: GOOD.replace("acceptenv NONE", "")}, ["acceptenv nothing in place of none (for everybody)"]),
    (
        {A: GOOD, C: GOOD.replace("/etc/Keys", "none")},
        ["authorizedkeysfile none in place of /etc/keys (for host=db1)"],
    ),
    (
        {A: "", B: GOOD},
        [
            "permittty nothing in place of no (for addr=127.0.0.1)",
            "authorizedkeysfile nothing in place of /etc/keys (for addr=127.0.0.1)",
            "acceptenv nothing in place of none (for addr=127.0.0.1)",
        ],
    ),
]  # fmt: skip


@pytest.mark.parametrize("answers, problems", JUDGED)
def test_what_is_another_value(
    answers: t.Dict[sshd_rules.Spec, str], problems: t.List[str]
) -> None:
    assert sshd_rules.problems(RULES, answers) == problems


def test_sshd_is_asked(host: FakeHost) -> None:
    host.put("/c", "Match Address 10.0.0.5\n")
    for addr, said in (("127.0.0.1", "permittty no\n"), ("10.0.0.5", "permittty yes\n")):
        given = f"user=kdump,host=localhost,addr={addr},laddr=127.0.0.1,lport=22"
        host.runner.answer("/s", "-T", "-C", given, stdout=said)
    wanted = {"account": "kdump", "config": "/c", "sshd": "/s", "rules": ["PermitTTY no"]}
    found = sshd_rules.look(host, {**wanted, "clients": ["10.0.0.5"]})
    assert found["problems"] == ["permittty yes in place of no (for addr=10.0.0.5)"]
    assert len(found["asked"]) == 2
    with pytest.raises(CommandError):
        sshd_rules.look(host, {**wanted, "clients": ["10.0.0.6"]})
