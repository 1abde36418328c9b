# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""Public ssh keys, and the file of a dump server's account that says which key belongs to which host. Pure."""

import base64
import binascii
import hashlib
import re
import struct
import typing as t

# The account's shell and this file agree on it: the name is a folder's name too.
HOST_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}\Z")
HOST_RULE = "must be letters, digits, '.', '_' and '-', begin with a letter or digit, have no '..' and at most 253 characters"
ED25519_BYTES = 32  # RFC 8709, section 4
# RFC 5656, section 3.1, and SEC 1, section 2.3.3: an uncompressed point is 4 and two coordinates.
CURVES = {"nistp256": 65, "nistp384": 97, "nistp521": 133}
RSA_BITS = (2048, 16384)  # less is weak, and sshd takes no more (OPENSSL_RSA_MAX_MODULUS_BITS)
MARK = "kdump-fleet:"  # how the comment of a line of ours begins
TYPES = ("ssh-ed25519", *("ecdsa-sha2-" + curve for curve in CURVES), "ssh-rsa")


class SshKeyError(Exception):
    """A key, a host's name or the keys of a fleet cannot be used; str() is the message for the user."""


class PublicKey(t.NamedTuple):
    """A public key as two words of a line."""

    type: str
    base64: str

    @property
    def words(self) -> str:
        return f"{self.type} {self.base64}"

    @property
    def fingerprint(self) -> str:
        """Return what 'ssh-keygen -l' shows."""
        digest = hashlib.sha256(base64.b64decode(self.base64)).digest()
        return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def host_name(name: str) -> str:
    """Return a host's name if it can be a folder's name and a word of a forced command.

    :raises SshKeyError: it cannot.
    """
    if not HOST_NAME.match(name) or ".." in name:
        raise SshKeyError(f"the host name {name!r} {HOST_RULE}")
    return name


def parse_public_key(text: str) -> PublicKey:
    """Return the key of a line as in a file ID.pub; its comment is not kept.

    :raises SshKeyError: it is none that a host may use to send dumps.
    """
    line = text.strip(" \n")
    if any(ord(char) < 32 or ord(char) == 127 for char in line):
        raise SshKeyError("a public key is one line without control characters")
    words = line.split() or [""]
    if "PRIVATE KEY" in line:
        raise SshKeyError("this is a private key, which must not leave its host; give the .pub")
    if words[0].startswith("sk-"):
        raise SshKeyError(
            f"{words[0]} needs somebody who touches the token, and a capture kernel is alone"
        )
    if words[0] not in TYPES:
        raise SshKeyError(
            f"{words[0][:40]!r} is no key type that can be used; a line begins with one of"
            f" {', '.join(TYPES)}, without options before it"
        )
    if len(words) < 2:
        raise SshKeyError(f"the {words[0]} key has no second word")
    problem = _blob_problem(words[0], words[1])
    if problem:
        raise SshKeyError(f"the {words[0]} key {problem}")
    return PublicKey(words[0], words[1])


def _blob_problem(kind: str, encoded: str) -> t.Optional[str]:
    """Say what is wrong with a key's second word, or None."""
    try:
        blob = base64.b64decode(encoded.encode("ascii"), validate=True)
    except (ValueError, binascii.Error):
        return "is not base64"
    # Two spellings of one key would pass as two keys.
    if base64.b64encode(blob).decode() != encoded:
        return "is not base64 as ssh-keygen writes it"
    try:
        fields = _fields(blob)
    except ValueError:
        return "is cut off, or has something behind its end"
    inner = fields[0].decode("ascii", "replace") if fields else ""
    if inner != kind:
        return f"has the type {inner[:40]!r} inside"
    if kind == "ssh-rsa":
        return _rsa_problem(fields)
    if kind == "ssh-ed25519":
        return None if [len(field) for field in fields[1:]] == [ED25519_BYTES] else "is damaged"
    curve = kind.rpartition("-")[2]
    good = len(fields) == 3 and fields[1] == curve.encode() and len(fields[2]) == CURVES[curve]
    return None if good and fields[2][:1] == b"\4" else "is damaged"


def _rsa_problem(fields: t.Sequence[bytes]) -> t.Optional[str]:
    """Say what is wrong with an RSA key's fields: type, exponent, modulus."""
    if len(fields) != 3:
        return "is damaged"
    exponent, modulus = (int.from_bytes(field, "big", signed=True) for field in fields[1:])
    bits = modulus.bit_length()
    if exponent < 3 or exponent % 2 == 0 or modulus <= 0 or modulus % 2 == 0:
        return "is damaged"
    if not RSA_BITS[0] <= bits <= RSA_BITS[1]:
        return f"has {bits} bits; it needs {RSA_BITS[0]} to {RSA_BITS[1]}"
    return None


def _fields(blob: bytes) -> t.List[bytes]:
    """Return the strings of RFC 4251, section 5, that a key is made of.

    :raises ValueError: they do not fill it.
    """
    fields = []
    at = 0
    while at < len(blob):
        if at + 4 > len(blob):
            raise ValueError
        (length,) = struct.unpack_from(">I", blob, at)
        at += 4 + length
        if at > len(blob):
            raise ValueError
        fields.append(blob[at - length : at])
    return fields


class Line(t.NamedTuple):
    """A line of the keys file: whose it is (None: not ours), and the key in it, if there is one."""

    text: str
    host: t.Optional[str]
    key: t.Optional[PublicKey]

    @property
    def shown(self) -> str:
        """Return it as a diff shows it: a fingerprint says more than 400 characters of base64."""
        if self.key is None:
            return self.text
        return f"{self.host or '(not ours)'} {self.key.type} {self.key.fingerprint}"


def render(host: str, key: PublicKey) -> str:
    """Return the line that lets a key do one thing: speak to the receiver as this host."""
    return f'restrict,command="host {host}" {key.words} {MARK}{host}'


def parse_line(text: str) -> Line:
    """Return what is known about a line of a keys file."""
    words = text.split()
    if not words or words[0].startswith("#"):
        return Line(text, None, None)
    key = None
    for at, word in enumerate(words):
        # Options before a key may be anything, sk- keys and weak ones of others too.
        if word in TYPES:
            try:
                key = parse_public_key(" ".join(words[at : at + 2]))
            except SshKeyError:
                pass
            break
    owner = words[-1][len(MARK) :] if words[-1].startswith(MARK) else ""
    ours = bool(HOST_NAME.match(owner)) and ".." not in owner
    return Line(text, owner if ours else None, key)


def parse_file(text: str) -> t.List[Line]:
    """Return a keys file's lines."""
    # Not splitlines(): sshd knows no other end of a line than this.
    lines = text.split("\n")
    return [parse_line(line) for line in (lines if lines[-1] else lines[:-1])]


Wanted = t.Mapping[str, t.Optional[t.Sequence[PublicKey]]]


class Update(t.NamedTuple):
    """What a keys file becomes."""

    lines: t.List[Line]
    changed: t.List[str]  # hosts that got their first key, or other keys
    removed: t.List[str]  # hosts that have none any more
    dropped: int  # lines that were not ours
    refused: t.Mapping[str, str] = {}  # why a host keeps what it has, by its name


def wanted_hosts(
    given: t.Sequence[t.Mapping[str, t.Any]], present: bool
) -> t.Tuple[Wanted, t.Dict[str, str]]:
    """Return the keys by host, None where a host keeps those that it has, and what is wrong with single hosts.

    :param given: dicts with name and keys, as a task has them.
    :raises SshKeyError: a host is there twice.
    """
    result: t.Dict[str, t.Optional[t.Sequence[PublicKey]]] = {}
    refused = {}
    for entry in given:
        name = entry["name"]
        if name in result:
            raise SshKeyError(f"the host {name} is named twice; give all its keys in one entry")
        result[name] = None
        try:
            host_name(name)
            result[name] = _keys_of(name, entry.get("keys")) if present else None
        except SshKeyError as exc:
            refused[name] = str(exc)
    return result, refused


def _keys_of(name: str, keys: t.Optional[t.Sequence[str]]) -> t.Optional[t.Sequence[PublicKey]]:
    """Return a host's keys, each once.

    :raises SshKeyError: there is none, or one is wrong.
    """
    if keys is None:
        return None
    if not keys:
        raise SshKeyError(
            f"the host {name} has an empty list of keys; remove a host with 'state: absent'"
        )
    parsed: t.List[PublicKey] = []
    for number, text in enumerate(keys, 1):
        try:
            key = parse_public_key(text)
        except SshKeyError as exc:
            raise SshKeyError(f"key {number} of the host {name}: {exc}") from exc
        if key not in parsed:
            parsed.append(key)
    return parsed


def update(
    lines: t.Sequence[Line],
    given: t.Sequence[t.Mapping[str, t.Any]],
    present: bool,
    exclusive: bool,
) -> Update:
    """Return the file that is wanted.

    A host whose keys cannot be had, because they are wrong or another's, keeps what it has, and the others are served.

    :param given: dicts with name and, with present, the keys that each has afterwards.
    :param exclusive: only with present: nothing else stays.
    :raises SshKeyError: a host is there twice.
    """
    wanted, refused = wanted_hosts(given, present)
    while True:
        result = _updated(lines, wanted, present, exclusive)
        asked = {host for host, keys in wanted.items() if keys is not None}
        shared = _shared(result.lines, asked) if present else {}
        if not shared:
            return result._replace(refused=refused)
        refused.update(shared)
        wanted = {**wanted, **dict.fromkeys(shared)}


def _updated(lines: t.Sequence[Line], wanted: Wanted, present: bool, exclusive: bool) -> Update:
    renew = {
        host: keys
        for host, keys in wanted.items()
        if keys is not None and not _has_exactly(lines, host, keys)
    }
    kept = [line for line in lines if _stays(line, wanted, renew, present, exclusive)]
    new = [Line(render(host, key), host, key) for host, keys in renew.items() for key in keys or ()]
    result = kept + new
    foreign = sum(line.host is None for line in lines) - sum(line.host is None for line in result)
    return Update(result, sorted(renew), sorted(_hosts(lines) - _hosts(result)), foreign)


def _hosts(lines: t.Sequence[Line]) -> t.Set[str]:
    """Return the hosts that have a line."""
    return {line.host for line in lines if line.host is not None}


def _has_exactly(lines: t.Sequence[Line], host: str, keys: t.Sequence[PublicKey]) -> bool:
    """Say whether a host's lines are those that would be written for it, in any order."""
    have = sorted(line.text for line in lines if line.host == host)
    return have == sorted(render(host, key) for key in keys)


def _stays(line: Line, wanted: Wanted, renew: Wanted, present: bool, exclusive: bool) -> bool:
    """Say whether a line is in the new file too."""
    if not present:
        return line.host is None or line.host not in wanted
    if line.host in renew:
        return False
    return not exclusive or line.host in wanted


def _shared(lines: t.Sequence[Line], asked: t.Set[str]) -> t.Dict[str, str]:
    """Return why hosts cannot have their keys, which would speak for another too.

    :param asked: the hosts whose keys this run decides; others' trouble is not this run's.
    """
    owners: t.Dict[str, t.List[Line]] = {}
    for line in lines:
        if line.key is not None:
            owners.setdefault(line.key.base64, []).append(line)
    found = {}
    for shared in owners.values():
        hosts = sorted({line.host for line in shared if line.host is not None})
        key = t.cast(PublicKey, shared[0].key)
        reason = ""
        if len(hosts) > 1:
            reason = (
                f"the hosts {' and '.join(hosts)} have the same key {key.fingerprint}, so the server could not"
                " tell them apart. They are clones of one machine, or one was renamed: make a new key on one of"
                " them (kdump_ssh_rotate_key), or remove the old name with 'state: absent'"
            )
        elif any(line.host is None for line in shared):
            reason = (
                f"the key {key.fingerprint} of the host {''.join(hosts)} stands in a line that is not kdump.fleet's too,"
                " and sshd takes the first line that fits. Remove that line, or set 'exclusive: true'"
            )
        if reason:
            found.update(dict.fromkeys(asked.intersection(hosts), reason))
    return found


def file_text(lines: t.Sequence[Line]) -> str:
    """Return a keys file."""
    return "".join(line.text + "\n" for line in lines)


def shown(lines: t.Sequence[Line]) -> str:
    """Return a keys file as a diff shows it."""
    return "".join(line.shown + "\n" for line in lines)
