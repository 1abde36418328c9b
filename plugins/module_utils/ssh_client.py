# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""The host's side of an ssh target: its key, the server's host keys that it trusts, and the proof that a dump gets in."""

import os
import re
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils import ssh_keys
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host
from ansible_collections.kdump.fleet.plugins.module_utils.runner import CommandError

Facts = t.Dict[str, t.Any]

FOLDER = "/root/.ssh"
KNOWN_HOSTS = FOLDER + "/known_hosts"
# For toolings whose ssh can be told so. Once it has a line, nothing else counts.
OWN_KNOWN_HOSTS = "/etc/kdump-fleet/known_hosts"
# What the toolings take where they are told nothing. A host that has it may be in use with it, so it stays.
USUAL_KEY = FOLDER + "/kdump_id_rsa"
# What a key or a line of known_hosts of ours is told by: the comment behind it.
MARK = "kdump-fleet"
FIPS = "/proc/sys/crypto/fips_enabled"

# What ssh-keygen makes of each, and the type that the key itself names.
KEY_TYPES = {
    "ed25519": (["-t", "ed25519"], "ssh-ed25519"),
    "ecdsa": (["-t", "ecdsa", "-b", "384"], "ecdsa-sha2-nistp384"),
    "rsa": (["-t", "rsa", "-b", "4096"], "ssh-rsa"),
}
PUBLIC_KEY = re.compile(
    r"(ssh-ed25519|ecdsa-sha2-nistp(?:256|384|521)|ssh-rsa) ([A-Za-z0-9+/]{40,}={0,3})(?=\s|\Z)"
)

# Of one answer of the server. A server that is there answers in a second; a busy one may take its time.
TIMEOUT = 60  # seconds
CONNECT_TIMEOUT = 20  # seconds
PROOF = "kdump-fleet-proof"
# A server that is not kdump_server's gives these words to a shell.
PLAIN_PATH = re.compile(r"/[A-Za-z0-9_@%+=:,./-]*\Z")


class SshError(Exception):
    """The target cannot be used as it is; str() is the message for the user."""


class KeyRefused(SshError):
    """The server is the right one, and does not know this host's key."""

    def __init__(self, message: str, key: str) -> None:
        super().__init__(message)
        self.key = key  # path of the private half


class Login(t.NamedTuple):
    """Where an ssh target is."""

    user: str
    host: str  # an IPv6 address without brackets
    port: t.Optional[int]  # None: what ssh's own configuration says

    @property
    def destination(self) -> str:
        """Return it as the command ssh takes it."""
        return f"{self.user}@{self.host}" if self.user else self.host


def login(location: str) -> Login:
    """Return what a location says: ``user@host``, an IPv6 address bare or in brackets, or a URL with a port and a folder.

    :raises SshError: there is no host in it.
    """
    rest = re.sub(r"\A(?:ssh|sftp|scp)://", "", location)
    user, _at, place = rest.rpartition("@")
    match = re.match(r"\[([^\]/]+)\](?::(\d+))?(?:[:/].*)?\Z", place)
    if match is None and place.count(":") < 2:
        match = re.match(r"([^:/\[\]]+)(?::(\d+))?(?:[:/].*)?\Z", place)
    if match is None:
        match = re.match(r"([0-9A-Fa-f:.]+(?:%[A-Za-z0-9_.-]+)?)()(?:/.*)?\Z", place)
    if match is None or match.group(1).startswith("-") or user.startswith("-"):
        raise SshError(f"{location!r} names no host; an ssh target is user@host")
    return Login(user, match.group(1), int(match.group(2)) if match.group(2) else None)


def default_key(fips: bool) -> str:
    """Return where a new key goes. FIPS mode has no ed25519 (FIPS 186-5 has, OpenSSL's modules up to 3.0 have not)."""
    return f"{FOLDER}/kdump_id_{'ecdsa' if fips else 'ed25519'}"


def key_type(wanted: str, fips: bool) -> str:
    """Return which of KEY_TYPES a new key gets.

    :param wanted: one of them, or auto.
    """
    return ("ecdsa" if fips else "ed25519") if wanted == "auto" else wanted


def known_name(host: str, port: t.Optional[int]) -> str:
    """Return the name under which known_hosts has a server."""
    return host if port in (None, 22) else f"[{host}]:{port}"


def pinned(text: str, name: str) -> t.List[str]:
    """Return the keys, as 'type base64', that lines of ours in a known_hosts file have for a server."""
    return [line.split()[1] + " " + line.split()[2] for line in _ours(text, name)]


def pin(text: str, name: str, keys: t.Sequence[str]) -> str:
    """Return a known_hosts file that has these keys for a server, and none that an earlier run pinned.

    Lines of others stay, for that server too.

    :param keys: 'type base64' each.
    """
    wanted = [f"{name} {key} {MARK}" for key in keys]
    ours = _ours(text, name)
    if sorted(ours) == sorted(wanted):
        return text
    kept = [line for line in text.splitlines() if line not in ours]
    return "".join(f"{line}\n" for line in [*kept, *wanted])


def _ours(text: str, name: str) -> t.List[str]:
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) == 4 and words[0] == name and words[3] == MARK:
            found.append(line)
    return found


def host_key(text: str) -> str:
    """Return a host key as 'type base64'; a comment behind it and a host's name before it go.

    :raises SshError: it is none.
    """
    text = text.strip()
    rule = "it is a line of /etc/ssh/ssh_host_ed25519_key.pub, such as 'ssh-ed25519 AAAA...'"
    match = PUBLIC_KEY.search(text)
    if match is None or not text.isprintable() or text.lstrip().startswith("@"):
        raise SshError(f"{text[:80]!r} is no host key; {rule}")
    try:
        return ssh_keys.parse_public_key(match.group()).words
    except ssh_keys.SshKeyError as exc:
        raise SshError(f"{text[:80]!r} is no host key: {exc}; {rule}") from exc


def resolved(host: Host, target: Login) -> Login:
    """Return the login with what ssh's own configuration makes of it: another name, a port."""
    answer = host.ask(["ssh", *_port(target), "-G", "--", target.destination])
    said = dict(re.findall(r"^(hostname|port|hostkeyalias) (\S+)$", answer or "", re.M))
    if "hostname" not in said:
        return target
    port = said.get("port", "")
    alias = said.get("hostkeyalias")
    if alias:
        # Then the port is no part of the name.
        return Login(target.user, alias, None)
    return Login(target.user, said["hostname"], int(port) if port.isdigit() else target.port)


def _port(target: Login) -> t.List[str]:
    return [] if target.port is None else ["-p", str(target.port)]


def observe(host: Host, location: str, key: str, known_hosts: str = KNOWN_HOSTS) -> Facts:
    """Return what of an ssh target is there on this host. Connects to nothing.

    :param location: of the target.
    :param key: the private key's path; '' for the one that a run would take.
    :param known_hosts: the file with the server's keys.
    """
    fips = host.read_word(FIPS) == "1"
    if not key:
        key = USUAL_KEY if host.exists(USUAL_KEY) else default_key(fips)
    facts: Facts = {
        "fips": fips,
        "key": key,
        "exists": host.exists(key),
        "public": public_key(host, key),
        "made_here": made_here(host, key),
        "known_hosts": known_hosts,
        "name": "",
        "pinned": [],
        "error": "",
    }
    try:
        target = resolved(host, login(location))
    except SshError as exc:
        facts["error"] = str(exc)
        return facts
    facts["name"] = known_name(target.host, target.port)
    facts["pinned"] = pinned(host.read(known_hosts) or "", facts["name"])
    return facts


def public_key(host: Host, key: str) -> str:
    """Return the public half of a private key as 'type base64', from the file beside it; '' if there is none."""
    match = PUBLIC_KEY.match(host.read(key + ".pub") or "")
    return f"{match.group(1)} {match.group(2)}" if match else ""


def key_changes(host: Host, key: str, kind: str, rotate: bool) -> t.List[str]:
    """Return what has to be done about the host's key, in words.

    :param kind: of KEY_TYPES.
    :raises SshError: the key that is there cannot be used.
    """
    if not host.exists(key) or rotate:
        return [f"a new {kind} key"]
    found = []
    if os.stat(host.path(key)).st_mode & 0o077:
        # ssh refuses a private key that others can read.
        found.append("its mode")
    if not public_key(host, key):
        found.append("its public half")
    elif host.read_word(FIPS) == "1" and public_key(host, key).startswith("ssh-ed25519"):
        raise SshError(
            f"{key} is an ed25519 key, which this host's FIPS mode refuses; set kdump_sshkey to a path without a key, where "
            "an ECDSA key is made"
        )
    return found


def make_key(host: Host, key: str, kind: str, changes: t.Sequence[str]) -> None:
    """Make the host's key, or put right what is wrong with it. The private half never leaves the host.

    :raises SshError: it has a passphrase, which nobody is there to type.
    :raises CommandError: ssh-keygen failed.
    """
    folder = os.path.dirname(host.path(key))
    if not os.path.isdir(folder):
        os.makedirs(folder, 0o700)
    if f"a new {kind} key" in changes:
        _new_key(host, key, kind)
        return
    os.chmod(host.path(key), 0o600)
    if "its public half" in changes:
        host.write(key + ".pub", f"{_public_half(host, key)} {MARK}\n")


def _new_key(host: Host, key: str, kind: str) -> None:
    new = key + ".kdump-fleet-new"
    for path in (new, new + ".pub"):
        host.remove(path)
    host.run(
        ["ssh-keygen", "-q", *KEY_TYPES[kind][0], "-N", "", "-C", MARK, "-f", host.path(new)],
        timeout=300,  # an RSA key under emulation takes minutes
    )
    # The public half first: what is authorised is read from there, and the next run finds a pair that does not fit.
    os.replace(host.path(new + ".pub"), host.path(key + ".pub"))
    os.replace(host.path(new), host.path(key))


def made_here(host: Host, key: str) -> bool:
    """Say whether a key is one that make_key() has made."""
    return (host.read(key + ".pub") or "").split()[2:] == [MARK]


def fits(host: Host, key: str) -> bool:
    """Say whether the file beside a private key has its public half; a run that was cut off may have left two that do not fit.

    :raises SshError: the private key has a passphrase.
    """
    return _public_half(host, key) == public_key(host, key)


def _public_half(host: Host, key: str) -> str:
    """Return what ssh-keygen makes of the private half, as 'type base64'.

    :raises SshError: it has a passphrase.
    """
    try:
        said = host.run(["ssh-keygen", "-y", "-P", "", "-f", host.path(key)])
    except CommandError as exc:
        raise SshError(
            f"{key} has a passphrase or is no private key, and nobody is there to type one when the host crashes; set "
            f"kdump_sshkey to another path ({exc})"
        ) from exc
    return " ".join(said.split()[:2])


def command(host: Host, target: Login, key: str, known_hosts: str, words: str) -> t.List[str]:
    """Return the argv that runs words on the server as a capture kernel does: with this key, these host keys, and nobody to ask.

    :param words: in the server's own grammar, without anything to expand.
    """
    known: t.List[str] = []
    if known_hosts != KNOWN_HOSTS and host.read(known_hosts):
        only = host.path(known_hosts)
        known = ["-o", f"UserKnownHostsFile={only}", "-o", "GlobalKnownHostsFile=/dev/null"]
    return [
        *("ssh", "-i", host.path(key), "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes"),
        # No other key, as of an agent that whoever runs this has, may stand in for the host's own.
        *("-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"),
        *("-o", f"ConnectTimeout={CONNECT_TIMEOUT}", *known, *_port(target)),
        *("--", target.destination, words),
    ]


def prove(host: Host, target: Login, key: str, known_hosts: str, path: str) -> None:
    """Write a small file on the server and take it away again, with what the capture kernel is going to use.

    :param path: the folder for dumps there; an absolute path of plain letters.
    :raises SshError: it did not work, with the cause and the way out.
    """

    _check_path(path)

    def say(words: str, data: bytes = b"") -> str:
        argv = command(host, target, key, known_hosts, words)
        try:
            result = host.runner.start(argv, TIMEOUT, data)
        except CommandError as exc:
            raise SshError(f"{target.destination} does not answer: {exc}") from exc
        if result.code != 0:
            raise refusal(result.stderr, target, key, words)
        return result.stdout.strip()

    # As kdumpctl does at each start; then a folder of its own, so that nothing of anybody's is in the way.
    say(f"mkdir -p {path}")
    folder = say(f"mktemp -dqp {path}")
    if not re.match(re.escape(path.rstrip("/")) + r"/tmp\.[A-Za-z0-9]+\Z", folder):
        raise SshError(
            f"{target.destination}: the server answers {folder[:80]!r} to 'mktemp -dqp {path}', which is no new folder there; "
            "something of its login shell's start-up files speaks in between"
        )
    say(f"dd of={folder}/{PROOF}", f"{PROOF}\n".encode())
    say(f"rm -f {folder}/{PROOF}")
    say(f"rmdir {folder}")


def _check_path(path: str) -> None:
    """:raises SshError: a shell would make something else of it."""
    if not PLAIN_PATH.match(path):
        raise SshError(
            f"path: {path!r} must be absolute, of letters, digits and _ @ % + = : , . / - alone"
        )


def reach(host: Host, target: Login, key: str, known_hosts: str, path: str) -> None:
    """See that the server lets the host in, and write nothing there.

    :raises SshError: it does not.
    """
    _check_path(path)
    words = f"df --output=avail {path}"
    argv = command(host, target, key, known_hosts, words)
    try:
        result = host.runner.start(argv, TIMEOUT)
    except CommandError as exc:
        raise SshError(f"{target.destination} does not answer: {exc}") from exc
    # What the server itself says to it is another matter: a folder that is not there yet is made.
    if result.code == 255:
        raise refusal(result.stderr, target, key, words)


# How ssh says it, with the methods that are left behind it; a program on the server has nothing behind these words.
KEY_REFUSED = r"Permission denied \("
# Of what ssh says, by its own words (OpenSSH 7.4 to 10): the cause and the way out.
CAUSES = (
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed|No \S+ host key is known",
        "its host key is not one that this host trusts: it was changed, or somebody else answers. If the server was set up anew, "
        "run the role with that server in the inventory, or set kdump_ssh_host_keys to its keys",
    ),
    (
        KEY_REFUSED,
        "it does not take this host's key ({key}). Run the role kdump_server there and this role with that server in the "
        "inventory, or let its administrator add the key that kdump_ssh_public_key has",
    ),
    (r"Could not resolve hostname", "its name has no address here; mend DNS, or use an address"),
    (r"Connection refused", "nothing listens there; start sshd, or mend the port"),
    (
        r"timed out|No route to host|Network is unreachable|Connection closed|Connection reset|kex_exchange_identification",
        "it cannot be reached, or hangs up; start it, or mend the network or the firewall between",
    ),
    (r"no matching|not supported|FIPS", "the two have no algorithm in common"),
    (r"No space left|quota|is full|free space", "it has no room for dumps; make some, or raise the limit of this host there"),
)  # fmt: skip


def refusal(said: str, target: Login, key: str, words: str) -> SshError:
    """Return the error for what ssh said."""
    message = cause(said, target, key, words)
    return KeyRefused(message, key) if re.search(KEY_REFUSED, said, re.I) else SshError(message)


def cause(said: str, target: Login, key: str, words: str) -> str:
    """Return why the server did not take a file, and what to do, from what ssh said."""
    lines = [line for line in said.strip().splitlines() if line.strip("@ \r")]
    shown = "; ".join(line.strip() for line in lines[-3:])[-400:]
    known = next((text for pattern, text in CAUSES if re.search(pattern, said, re.I)), "")
    reason = known.format(key=key) if known else f"it refuses '{words}'"
    return f"{target.destination}: {reason} (it said: {shown or 'nothing'})"
