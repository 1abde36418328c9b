# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import base64
import struct
import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils import ssh_keys
from ansible_collections.kdump.fleet.plugins.module_utils.ssh_keys import PublicKey, SshKeyError


def encoded(*fields: bytes) -> str:
    blob = b"".join(struct.pack(">I", len(field)) + field for field in fields)
    return base64.b64encode(blob).decode()


def number(value: int) -> bytes:
    """Return an mpint of RFC 4251."""
    return value.to_bytes(value.bit_length() // 8 + 1, "big")


def ed25519(seed: int) -> str:
    return "ssh-ed25519 " + encoded(b"ssh-ed25519", bytes([seed]) * 32)


def rsa(bits: int, exponent: int = 65537) -> str:
    return "ssh-rsa " + encoded(b"ssh-rsa", number(exponent), number((1 << (bits - 1)) + 1))


def ecdsa(curve: str, length: int, kind: bytes = b"\4", inner: str = "") -> str:
    name = "ecdsa-sha2-" + curve
    return f"{name} " + encoded(name.encode(), (inner or curve).encode(), kind + b"x" * length)


A, B, C, D = (ed25519(seed) for seed in (1, 2, 3, 4))
KEY_A, KEY_B, KEY_C = (PublicKey(*text.split()) for text in (A, B, C))

GOOD = [
    A,
    A + "\n",
    "  " + A + " root@db1 and more words",
    "ssh-ed25519  " + A.split()[1],
    A + ' restrict,command="x"',
    rsa(2048),
    rsa(4096),
    rsa(16384),
    ecdsa("nistp256", 64),
    ecdsa("nistp384", 96),
    ecdsa("nistp521", 132),
]


@pytest.mark.parametrize("text", GOOD)
def test_a_key_keeps_two_words(text: str) -> None:
    assert ssh_keys.parse_public_key(text).words == " ".join(text.split()[:2])


BAD = [
    ("", "'' is no key type"),
    ("ssh-dss AAAA", "'ssh-dss' is no key type"),
    ('restrict,command="x" ' + A, "without options before it"),
    ('command="x",no-pty ' + B, "without options before it"),
    ("sk-ssh-ed25519@openssh.com AAAA", "a capture kernel is alone"),
    ("sk-ecdsa-sha2-nistp256@openssh.com AAAA", "a capture kernel is alone"),
    ("ssh-ed25519-cert-v01@openssh.com AAAA", "is no key type"),
    ("-----BEGIN OPENSSH PRIVATE KEY-----", "a private key"),
    ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA", "without control characters"),
    ("ssh-ed25519", "has no second word"),
    ("ssh-ed25519 !!!!", "is not base64"),
    ("ssh-ed25519 \u00e4\u00f6\u00fc\u00e4", "is not base64"),
    (A[:-4], "is cut off"),
    (A[:-2], "is not base64"),
    (A + "AAAA", "is cut off, or has something behind its end"),
    ("ssh-rsa " + A.split()[1], "has the type 'ssh-ed25519' inside"),
    ("ssh-ed25519 " + rsa(2048).split()[1], "has the type 'ssh-rsa' inside"),
    ("ssh-ed25519 " + encoded(b"ssh-ed25519", b"x" * 31), "is damaged"),
    ("ssh-ed25519 " + encoded(b"ssh-ed25519", b"x" * 32, b""), "is damaged"),
    ("ssh-ed25519 " + encoded(b"ssh-ed25519"), "is damaged"),
    (rsa(2047), "has 2047 bits; it needs 2048 to 16384"),
    (rsa(1024), "has 1024 bits"),
    (rsa(16385), "has 16385 bits"),
    (rsa(2048, exponent=1), "is damaged"),
    (rsa(2048, exponent=4), "is damaged"),
    ("ssh-rsa " + encoded(b"ssh-rsa", b"\3", b"\x80" + b"\1" * 255), "is damaged"),
    ("ssh-rsa " + encoded(b"ssh-rsa", b"\3"), "is damaged"),
    (ecdsa("nistp256", 96), "is damaged"),
    (ecdsa("nistp256", 64, kind=b"\2"), "is damaged"),
    (ecdsa("nistp256", 64, inner="nistp384"), "is damaged"),
    ("ecdsa-sha2-nistp256 " + encoded(b"ecdsa-sha2-nistp384"), "has the type"),
    (A + "\nssh-ed25519 AAAA", "without control characters"),
    (A + "\t", "without control characters"),
    (A + "\0", "without control characters"),
    (A + " comment\x7f", "without control characters"),
]


@pytest.mark.parametrize("text, message", BAD)
def test_what_is_no_key_is_refused(text: str, message: str) -> None:
    with pytest.raises(SshKeyError) as caught:
        ssh_keys.parse_public_key(text)
    assert message in str(caught.value)


def test_a_second_spelling_of_a_key_is_refused() -> None:
    text = ecdsa("nistp256", 64)
    other = text[:-2] + chr(ord(text[-2]) + 1) + "="
    assert base64.b64decode(other.split()[1]) == base64.b64decode(text.split()[1])
    with pytest.raises(SshKeyError, match="not base64 as ssh-keygen writes it"):
        ssh_keys.parse_public_key(other)


def test_the_fingerprint_is_what_ssh_keygen_shows() -> None:
    # Of ssh-keygen -lf, OpenSSH 9.2.
    line = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEB"
    assert line == A
    assert KEY_A.fingerprint == "SHA256:RXm/ruZ0eTzRXKwi1AQEDynB0VgHQ2ac9KPSFdf/YnA"


@pytest.mark.parametrize("name", ["a", "db1.example.com", "A-1_b", "0", "x" * 253, "a.", "a.b.c"])
def test_a_host_name(name: str) -> None:
    assert ssh_keys.host_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        ".a",
        "-a",
        "_a",
        "a..b",
        "a/b",
        "a b",
        'a"',
        "a\n",
        "\u00e4",
        "x" * 254,
        "a:b",
        "a\0",
    ],
)
def test_what_is_no_host_name_is_refused(name: str) -> None:
    with pytest.raises(SshKeyError, match="host name"):
        ssh_keys.host_name(name)


LINE_A = f'restrict,command="host a" {A} kdump-fleet:a'
LINE_B = f'restrict,command="host b" {B} kdump-fleet:b'
EDITED_A = f"{A} kdump-fleet:a"
OTHERS = f"# by hand\n\nssh-ed25519-cert-v01@openssh.com AAAA\n{C} admin\n"

Hosts = t.List[t.Dict[str, t.Any]]
# The file before, hosts, present, exclusive; the file after, changed hosts, removed hosts.
UPDATES: t.List[t.Tuple[str, Hosts, bool, bool, str, t.List[str], t.List[str]]] = [
    ("", [], True, False, "", [], []),
    ("", [{"name": "a", "keys": [A]}], True, False, LINE_A + "\n", ["a"], []),
    (LINE_A + "\n", [{"name": "a", "keys": [A + " comment"]}], True, False, LINE_A + "\n", [], []),
    ("", [{"name": "a", "keys": [A, A]}], True, False, LINE_A + "\n", ["a"], []),
    # What is there twice, or without our options, is written anew.
    (f"{LINE_A}\n{LINE_A}\n", [{"name": "a", "keys": [A]}], True, False, LINE_A + "\n", ["a"], []),
    (EDITED_A + "\n", [{"name": "a", "keys": [A]}], True, False, LINE_A + "\n", ["a"], []),
    # A rotation takes the old key out, and two keys may overlap.
    (
        f"{LINE_A}\n{LINE_B}\n",
        [{"name": "a", "keys": [C]}],
        True,
        False,
        f'{LINE_B}\nrestrict,command="host a" {C} kdump-fleet:a\n',
        ["a"],
        [],
    ),
    (
        LINE_A + "\n",
        [{"name": "a", "keys": [A, C]}],
        True,
        False,
        f'{LINE_A}\nrestrict,command="host a" {C} kdump-fleet:a\n',
        ["a"],
        [],
    ),
    # Two hosts that change their keys for each other's.
    (
        f"{LINE_A}\n{LINE_B}\n",
        [{"name": "a", "keys": [B]}, {"name": "b", "keys": [A]}],
        True,
        False,
        f'restrict,command="host a" {B} kdump-fleet:a\nrestrict,command="host b" {A} kdump-fleet:b\n',
        ["a", "b"],
        [],
    ),
    # Others' lines stay, comments and empty ones too.
    (OTHERS, [{"name": "a", "keys": [A]}], True, False, f"{OTHERS}{LINE_A}\n", ["a"], []),
    (OTHERS, [{"name": "a", "keys": [A]}], True, True, LINE_A + "\n", ["a"], []),
    (f"{LINE_A}\n{LINE_B}\n", [{"name": "a", "keys": [A]}], True, True, LINE_A + "\n", [], ["b"]),
    # A name alone keeps the keys that are there.
    (f"{LINE_A}\n{LINE_B}\n", [{"name": "a"}], True, True, LINE_A + "\n", [], ["b"]),
    (f"{LINE_A}\n{LINE_B}\n", [{"name": "c"}], True, False, f"{LINE_A}\n{LINE_B}\n", [], []),
    (LINE_A + "\n", [], True, True, "", [], ["a"]),
    (f"{OTHERS}{LINE_A}\n{LINE_B}\n", [{"name": "a"}], False, False, f"{OTHERS}{LINE_B}\n", [], ["a"]),
    (LINE_A + "\n", [{"name": "b", "keys": ["anything"]}], False, False, LINE_A + "\n", [], []),
    # A name that begins like another's.
    (
        LINE_A.replace("host a", "host ab").replace("fleet:a", "fleet:ab") + "\n",
        [{"name": "a"}],
        False,
        False,
        LINE_A.replace("host a", "host ab").replace("fleet:a", "fleet:ab") + "\n",
        [],
        [],
    ),
    # A file whose last line has no end.
    (LINE_B, [{"name": "a", "keys": [A]}], True, False, f"{LINE_B}\n{LINE_A}\n", ["a"], []),
    # A comment of ours behind a name that none can have is somebody else's.
    (f"{A} kdump-fleet:../x\n", [{"name": "x"}], False, False, f"{A} kdump-fleet:../x\n", [], []),
]  # fmt: skip


@pytest.mark.parametrize("before, hosts, present, exclusive, after, changed, removed", UPDATES)
def test_update(
    before: str,
    hosts: Hosts,
    present: bool,
    exclusive: bool,
    after: str,
    changed: t.List[str],
    removed: t.List[str],
) -> None:
    result = ssh_keys.update(ssh_keys.parse_file(before), hosts, present, exclusive)
    assert result.refused == {}
    assert ssh_keys.file_text(result.lines) == after
    assert (result.changed, result.removed) == (changed, removed)
    again = ssh_keys.update(ssh_keys.parse_file(after), hosts, present, exclusive)
    assert ssh_keys.file_text(again.lines) == after
    assert (again.changed, again.removed, again.dropped) == ([], [], 0)


REFUSED: t.List[t.Tuple[str, Hosts, t.List[str]]] = [
    ("", [{"name": "a", "keys": [A]}, {"name": "b", "keys": [A]}], ["the hosts a and b have the same key", KEY_A.fingerprint, "clones"]),
    (LINE_A + "\n", [{"name": "b", "keys": [A]}], ["the hosts a and b have the same key", "state: absent"]),
    (EDITED_A + "\n", [{"name": "b", "keys": [A]}], ["the hosts a and b"]),
    (OTHERS, [{"name": "b", "keys": [C]}], ["of the host b stands in a line that is not kdump.fleet's", "exclusive: true"]),
    (f'no-pty,command="a b" {C}\n', [{"name": "b", "keys": [C]}], ["not kdump.fleet's"]),
    ("", [{"name": "a", "keys": []}], ["the host a has an empty list", "state: absent"]),
    ("", [{"name": "../a", "keys": [A]}], ["the host name '../a'"]),
    ("", [{"name": "a", "keys": [A, "ssh-rsa AAAA"]}], ["key 2 of the host a: the ssh-rsa key is cut off"]),
]  # fmt: skip


@pytest.mark.parametrize("before, hosts, messages", REFUSED)
def test_a_host_that_is_refused_keeps_what_it_has_and_others_are_served(
    before: str, hosts: Hosts, messages: t.List[str]
) -> None:
    result = ssh_keys.update(
        ssh_keys.parse_file(before), [*hosts, {"name": "d", "keys": [D]}], True, False
    )
    assert set(result.refused) == {host["name"] for host in hosts}
    for message in messages:
        assert all(message in reason for reason in result.refused.values())
    assert (
        ssh_keys.file_text(result.lines) == f'{before}restrict,command="host d" {D} kdump-fleet:d\n'
    )


def test_a_host_that_is_there_twice_is_refused_whole() -> None:
    with pytest.raises(SshKeyError, match="the host a is named twice"):
        ssh_keys.update([], [{"name": "a", "keys": [A]}, {"name": "a", "keys": [B]}], True, False)


def test_a_refused_host_is_not_purged() -> None:
    result = ssh_keys.update(
        ssh_keys.parse_file(LINE_A + "\n"), [{"name": "a", "keys": ["ssh-rsa AAAA"]}], True, True
    )
    assert "a" in result.refused and ssh_keys.file_text(result.lines) == LINE_A + "\n"


def test_trouble_of_others_is_not_this_runs() -> None:
    before = f"{LINE_A}\n{LINE_A.replace('host a', 'host z').replace('fleet:a', 'fleet:z')}\n"
    hosts: Hosts = [{"name": "b", "keys": [B]}]
    result = ssh_keys.update(ssh_keys.parse_file(before), hosts, True, False)
    assert (result.changed, result.refused) == (["b"], {})


def test_a_diff_shows_fingerprints() -> None:
    text = ssh_keys.shown(ssh_keys.parse_file(f"{OTHERS}{LINE_A}\n"))
    assert f"a ssh-ed25519 {KEY_A.fingerprint}\n" in text
    assert f"(not ours) ssh-ed25519 {KEY_C.fingerprint}\n" in text
    assert A.split()[1] not in text and "# by hand\n" in text
