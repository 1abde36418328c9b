# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import os
import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils import ssh_client
from ansible_collections.kdump.fleet.plugins.module_utils.ssh_client import Login, SshError
from ansible_collections.kdump.fleet.tests.unit.plugins.conftest import FakeHost

ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEbyeMMEItdxKGIotyBPQCcrHAN09AqQmXmeWYTNZbnQ"
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF6QBMv4uRWaDUHUdfuLdZ6PFAXVVhlzSPXLwUjBZpVN"
KEY = "/root/.ssh/kdump_id_ed25519"

LOGINS: t.List[t.Tuple[str, Login, str]] = [
    ("kdump@server", Login("kdump", "server", None), "server"),
    ("server", Login("", "server", None), "server"),
    ("kdump@192.0.2.1", Login("kdump", "192.0.2.1", None), "192.0.2.1"),
    ("kdump@2001:db8::1", Login("kdump", "2001:db8::1", None), "2001:db8::1"),
    ("kdump@[2001:db8::1]", Login("kdump", "2001:db8::1", None), "2001:db8::1"),
    ("kdump@[2001:db8::1]:2222", Login("kdump", "2001:db8::1", 2222), "[2001:db8::1]:2222"),
    ("kdump@fe80::1%eth0", Login("kdump", "fe80::1%eth0", None), "fe80::1%eth0"),
    ("ssh://kdump@server:2222", Login("kdump", "server", 2222), "[server]:2222"),
    ("ssh://kdump@server:22/srv/x", Login("kdump", "server", 22), "server"),
    ("kdump@server/srv/x", Login("kdump", "server", None), "server"),
    ("sftp://server/srv", Login("", "server", None), "server"),
    ("a@b@server", Login("a@b", "server", None), "server"),
]


@pytest.mark.parametrize("location, expected, name", LOGINS)
def test_where_a_target_is(location: str, expected: Login, name: str) -> None:
    found = ssh_client.login(location)
    assert found == expected
    assert ssh_client.known_name(found.host, found.port) == name


@pytest.mark.parametrize(
    "location", ["", "kdump@", "kdump@-oProxyCommand=x", "-x@server", "kdump@[]", "ssh:///srv"]
)
def test_a_location_without_a_host(location: str) -> None:
    with pytest.raises(SshError, match="names no host"):
        ssh_client.login(location)


PINS: t.List[t.Tuple[str, str, t.List[str], str]] = [
    ("", "s", [ED25519], f"s {ED25519} kdump-fleet\n"),
    (f"s {ED25519} kdump-fleet\n", "s", [ED25519], f"s {ED25519} kdump-fleet\n"),
    # A key that the server has no more goes; what others wrote stays, for that server too.
    (
        f"# mine\ns {OTHER}\ns {OTHER} kdump-fleet\n|1|abc= {ED25519}\n",
        "s",
        [ED25519],
        f"# mine\ns {OTHER}\n|1|abc= {ED25519}\ns {ED25519} kdump-fleet\n",
    ),
    # Another server's, and one on another port.
    (
        f"t {OTHER} kdump-fleet\n[s]:2222 {OTHER} kdump-fleet\n",
        "s",
        [ED25519],
        f"t {OTHER} kdump-fleet\n[s]:2222 {OTHER} kdump-fleet\ns {ED25519} kdump-fleet\n",
    ),
    (f"s {OTHER} mine\ns {ED25519} kdump-fleet\n", "s", [], f"s {OTHER} mine\n"),
    # A last line without an end keeps its own.
    (f"s {OTHER}", "s", [ED25519], f"s {OTHER}\ns {ED25519} kdump-fleet\n"),
    (f"s {OTHER}", "s", [], f"s {OTHER}"),
]


@pytest.mark.parametrize("text, name, keys, expected", PINS)
def test_pinning(text: str, name: str, keys: t.List[str], expected: str) -> None:
    after = ssh_client.pin(text, name, keys)
    assert after == expected
    assert ssh_client.pinned(after, name) == keys
    assert ssh_client.pin(after, name, keys) == after


@pytest.mark.parametrize(
    "text, expected",
    [
        (ED25519, ED25519),
        (ED25519 + " root@server", ED25519),
        ("server " + ED25519, ED25519),
        ("server,192.0.2.1 " + ED25519 + "  x", ED25519),
    ],
)
def test_a_host_key(text: str, expected: str) -> None:
    assert ssh_client.host_key(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ssh-ed25519",
        "ssh-dss AAAAB3NzaC1kc3MAAACBAOeAUxNnZMZ8hyJwPlqLqTbYLqSbGXCGKyRkMHcYBl2y",
        f"{ED25519}\nserver {OTHER}",
        f"@cert-authority * {ED25519}",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
    ],
)
def test_what_is_no_host_key(text: str) -> None:
    with pytest.raises(SshError, match="is no host key"):
        ssh_client.host_key(text)


def test_which_key_a_host_takes(debian: FakeHost) -> None:
    assert ssh_client.observe(debian, "kdump@s", "")["key"] == KEY
    debian.put("/proc/sys/crypto/fips_enabled", "1\n")
    assert ssh_client.observe(debian, "kdump@s", "")["key"] == "/root/.ssh/kdump_id_ecdsa"
    debian.put("/root/.ssh/kdump_id_rsa", "private")
    assert ssh_client.observe(debian, "kdump@s", "")["key"] == "/root/.ssh/kdump_id_rsa"
    assert ssh_client.observe(debian, "kdump@s", "/k")["key"] == "/k"


@pytest.mark.parametrize(
    "wanted, fips, expected",
    [("auto", False, "ed25519"), ("auto", True, "ecdsa"), ("rsa", True, "rsa")],
)
def test_which_kind_of_key(wanted: str, fips: bool, expected: str) -> None:
    assert ssh_client.key_type(wanted, fips) == expected


def test_what_is_observed_of_a_login(debian: FakeHost) -> None:
    debian.put(KEY, "private")
    debian.put(KEY + ".pub", ED25519 + " kdump-fleet\n")
    debian.put("/root/.ssh/known_hosts", f"[s.example]:2222 {OTHER} kdump-fleet\n")
    debian.runner.answer(
        "ssh", "-G", "--", "kdump@s", stdout="host s\nhostname s.example\nport 2222\n"
    )
    found = ssh_client.observe(debian, "kdump@s", "")
    assert found == {
        "fips": False,
        "key": KEY,
        "exists": True,
        "public": ED25519,
        "made_here": True,
        "known_hosts": "/root/.ssh/known_hosts",
        "name": "[s.example]:2222",
        "pinned": [OTHER],
        "error": "",
    }


def test_an_alias_for_host_keys_has_no_port(debian: FakeHost) -> None:
    debian.runner.answer(
        "ssh",
        "-p",
        "2222",
        "-G",
        "--",
        "kdump@s",
        stdout="hostname s\nport 2222\nhostkeyalias dumps\n",
    )
    assert ssh_client.observe(debian, "kdump@s:2222", "")["name"] == "dumps"


def test_what_has_to_be_done_about_a_key(debian: FakeHost) -> None:
    assert ssh_client.key_changes(debian, KEY, "ed25519", False) == ["a new ed25519 key"]
    debian.put(KEY, "private")
    os.chmod(debian.path(KEY), 0o640)
    assert ssh_client.key_changes(debian, KEY, "ed25519", False) == ["its mode", "its public half"]
    debian.put(KEY + ".pub", ED25519 + "\n")
    os.chmod(debian.path(KEY), 0o600)
    assert ssh_client.key_changes(debian, KEY, "ed25519", False) == []
    assert ssh_client.key_changes(debian, KEY, "ed25519", True) == ["a new ed25519 key"]
    debian.put("/proc/sys/crypto/fips_enabled", "1\n")
    with pytest.raises(SshError, match="FIPS mode refuses"):
        ssh_client.key_changes(debian, KEY, "ecdsa", False)


def argv(words: str) -> t.Tuple[str, ...]:
    return (
        *("ssh", "-i", "@KEY@", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"),
        *("-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "ConnectTimeout=20"),
        *("--", "kdump@s", words),
    )


def answer(host: FakeHost, words: str, **result: t.Any) -> None:
    key = host.path(KEY)
    host.runner.answer(*(word.replace("@KEY@", key) for word in argv(words)), **result)


def test_a_proof_writes_a_file_and_takes_it_away(debian: FakeHost) -> None:
    folder = "/var/crash/tmp.Ab12"
    answer(debian, "mkdir -p /var/crash")
    answer(debian, "mktemp -dqp /var/crash", stdout=folder + "\n")
    for words in (
        f"dd of={folder}/kdump-fleet-proof",
        f"rm -f {folder}/kdump-fleet-proof",
        f"rmdir {folder}",
    ):
        answer(debian, words)
    ssh_client.prove(debian, Login("kdump", "s", None), KEY, ssh_client.KNOWN_HOSTS, "/var/crash")
    assert [given for given in debian.runner.given if given] == [b"kdump-fleet-proof\n"]
    assert debian.runner.started[-1][-1] == f"rmdir {folder}"


CAUSES: t.List[t.Tuple[str, str]] = [
    (
        "@@@@@@@@@@@@@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n@@@@@@@\nHost key verification failed.\r\n",
        "its host key is not one that this host trusts",
    ),
    ("No ED25519 host key is known for s and you have requested strict checking.\n", "kdump_ssh_host_keys"),
    ("kdump@s: Permission denied (publickey).\r\n", "it does not take this host's key (" + KEY),
    ("mkdir: cannot create directory '/var/crash': Permission denied\n", "it refuses 'mkdir -p /var/crash' (it said: mkdir"),
    ("ssh: Could not resolve hostname s: Name or service not known\n", "its name has no address"),
    ("ssh: connect to host s port 22: Connection refused\n", "nothing listens there"),
    ("ssh: connect to host s port 22: Connection timed out\n", "cannot be reached"),
    ("kex_exchange_identification: Connection closed by remote host\n", "hangs up"),
    ("dd: error writing 'x': No space left on device\n", "no room for dumps"),
    ("kdump-receive: refused: 'dd' of a finished dump\n", "it refuses 'mkdir -p /var/crash'"),
    ("", "it said: nothing"),
]  # fmt: skip


@pytest.mark.parametrize("said, expected", CAUSES)
def test_why_a_server_took_no_file(debian: FakeHost, said: str, expected: str) -> None:
    answer(debian, "mkdir -p /var/crash", code=255, stderr=said)
    with pytest.raises(SshError) as caught:
        ssh_client.prove(
            debian, Login("kdump", "s", None), KEY, ssh_client.KNOWN_HOSTS, "/var/crash"
        )
    assert expected in str(caught.value) and str(caught.value).startswith("kdump@s: ")
    # Somebody has to hand over the key in this case alone.
    refused = isinstance(caught.value, ssh_client.KeyRefused)
    assert refused == ("does not take this host's key" in expected)


def test_a_server_that_says_other_things(debian: FakeHost) -> None:
    answer(debian, "mkdir -p /var/crash")
    answer(debian, "mktemp -dqp /var/crash", stdout="Welcome!\n/var/crash/tmp.x\n")
    with pytest.raises(SshError, match="something of its login shell's start-up files"):
        ssh_client.prove(
            debian, Login("kdump", "s", None), KEY, ssh_client.KNOWN_HOSTS, "/var/crash"
        )


def test_check_mode_only_logs_in(debian: FakeHost) -> None:
    target = Login("kdump", "s", None)
    answer(debian, "df --output=avail /var/crash", code=1, stderr="no such folder")
    ssh_client.reach(debian, target, KEY, ssh_client.KNOWN_HOSTS, "/var/crash")
    answer(
        debian, "df --output=avail /var/crash", code=255, stderr="Permission denied (publickey)."
    )
    with pytest.raises(SshError, match="does not take this host's key"):
        ssh_client.reach(debian, target, KEY, ssh_client.KNOWN_HOSTS, "/var/crash")


def test_a_file_of_kdump_s_own_counts_alone(debian: FakeHost) -> None:
    own, target = ssh_client.OWN_KNOWN_HOSTS, Login("kdump", "s", 2222)
    assert "UserKnownHostsFile" not in str(ssh_client.command(debian, target, KEY, own, "df"))
    debian.put(own, f"[s]:2222 {ED25519} kdump-fleet\n")
    words = ssh_client.command(debian, target, KEY, own, "df")
    assert f"UserKnownHostsFile={debian.path(own)}" in words
    assert "GlobalKnownHostsFile=/dev/null" in words
    assert words[-5:] == ["-p", "2222", "--", "kdump@s", "df"]


@pytest.mark.parametrize(
    "path", ["var/crash", "/var/crash; reboot", "/var/$HOME", "/var/crash\nid", "/a'b", ""]
)
def test_a_path_that_a_shell_would_read_is_refused(debian: FakeHost, path: str) -> None:
    for action in (ssh_client.prove, ssh_client.reach):
        with pytest.raises(SshError, match="path: .* must be absolute"):
            action(debian, Login("kdump", "s", None), KEY, ssh_client.KNOWN_HOSTS, path)
    assert debian.runner.started == []


def test_a_public_half_that_does_not_fit_is_made_again(debian: FakeHost) -> None:
    """A run that was cut off between the two renames leaves such a pair."""
    debian.put(KEY, "private")
    debian.put(KEY + ".pub", OTHER + " kdump-fleet\n")
    debian.runner.answer(
        "ssh-keygen", "-y", "-P", "", "-f", debian.path(KEY), stdout=ED25519 + " c\n"
    )
    assert not ssh_client.fits(debian, KEY)
    ssh_client.make_key(debian, KEY, "ed25519", ["its public half"])
    assert debian.read(KEY + ".pub") == ED25519 + " kdump-fleet\n"
    assert ssh_client.fits(debian, KEY)


def test_a_key_with_a_passphrase_is_refused(debian: FakeHost) -> None:
    debian.put(KEY, "private")
    debian.runner.answer(
        "ssh-keygen",
        "-y",
        "-P",
        "",
        "-f",
        debian.path(KEY),
        code=255,
        stderr="incorrect passphrase",
    )
    with pytest.raises(SshError, match="has a passphrase or is no private key"):
        ssh_client.fits(debian, KEY)
