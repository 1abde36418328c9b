# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""What every dump tooling must be able to tell and do. No tooling is asked by a command that can block."""

import abc
import re
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.files import Host
from ansible_collections.kdump.fleet.plugins.module_utils.wanted import (
    Configuration,
    OwnFile,
    Wanted,
)

Facts = t.Mapping[str, t.Any]

SECRET_RULE = (
    "is a secret, which would show in logs; write it into the file on the host, where it is kept"
)

SECRET = "********"
REDACTED = "# ******** (a secret)"  # a line that facts and diffs show in place of one with a secret


class Initrd(t.NamedTuple):
    """The initrd that the capture kernel gets."""

    path: str
    kernel: str  # release it is for
    exists: bool
    stale: t.List[str]  # why it should be built again; empty if it is good


class Dump(t.NamedTuple):
    """One dump below the dump path: a folder with what the capture kernel wrote."""

    folder: str
    vmcore: str  # '' if there is none
    dmesg: str  # '' if there is none
    size: int  # bytes of vmcore
    mtime: float  # seconds since 1970
    complete: bool  # by its name: no part of it is marked incomplete


class Place(t.NamedTuple):
    """Where a capture would write, as module kdump_target can show that it takes a file."""

    type: str  # of wanted.TARGETS, or path for a folder in the host's own file tree
    location: str  # '' for a path
    path: str  # the folder on it
    options: str = ""  # that the tooling mounts it with
    create: bool = False  # the folder has to be there, and nobody else makes it
    port: str = ""
    user: str = ""


class ConfigFile(metaclass=abc.ABCMeta):
    """The grammar and the rules of one file of a tooling's configuration. Pure."""

    path = ""
    secrets: t.Tuple[str, ...] = ()  # settings that must never be shown
    refused_whole = False  # one bad line, and the tooling loads no capture kernel

    @abc.abstractmethod
    def parse(self, text: str) -> t.Dict[str, str]:
        """Return the settings of a file, also of lines that the tooling itself would misread (``KEY = value``)."""

    @abc.abstractmethod
    def render(
        self,
        text: str,
        settings: t.Mapping[str, t.Optional[str]],
        release: t.Optional[str] = None,
    ) -> str:
        """Return the text with these settings; None takes one out. Every other line stays as it is.

        But a line that sets something in a way that the tooling misreads or refuses, and whose meaning is plain, is
        written as it should be: ``render(text, {})`` is the mended file.
        """

    @abc.abstractmethod
    def problems(self, text: str, release: t.Optional[str] = None) -> t.List[str]:
        """Return what the tooling would refuse or silently misread, one sentence each; empty means accepted.

        :param release: of the tooling; None for the newest known.
        """

    @abc.abstractmethod
    def setting_problem(self, key: str, value: str, release: t.Optional[str] = None) -> str:
        """Return what is wrong with one setting, or ''. An unknown but plausible key is no problem; see warning()."""

    def setting_warning(self, key: str, value: str, release: t.Optional[str] = None) -> str:
        """Return what is doubtful about one setting, or ''."""
        del key, value, release
        return ""

    def spoils(self, text: str) -> str:
        """Return why the tooling may not get to the lines behind one of the text, or ''."""
        del text
        return ""

    def unsure(self, text: str, settings: t.Mapping[str, t.Optional[str]]) -> t.List[str]:
        """Return which of the settings, as the text has them, may be another to the tooling, by what comes behind."""
        del text, settings
        return []

    def alone(self, text: str, but: t.Collection[str] = ()) -> str:
        """Return the lines alone that set something with a secret, which nobody but the file has.

        :param but: settings that are none of them.
        """
        del text, but
        return ""

    def secret(self, key: str) -> bool:
        return key in self.secrets

    def masked(self, key: str, value: str) -> str:
        """Return a value as facts may hold it: without its secret."""
        return SECRET if self.secret(key) else value

    def shown(self, key: str, value: str) -> str:
        """Return a setting as a message may show it; what may be a misspelt secret is none of its business."""
        hidden = self.secret(key) or re.search(r"PASS|SECRET|TOKEN", key, re.I)
        return key if hidden else f"{key}={value!r}"

    def redact(self, text: str) -> str:
        """Return a configuration without its secrets, to be shown; of comments too."""
        shown = []
        hidden = False
        value = ""  # what began with a secret and goes on
        for line in text.split("\n"):
            if any(key in line for key in self.secrets):
                hidden, value = True, ""
            value += line + "\n"
            shown.append(REDACTED if hidden else line)
            # It goes on behind a backslash, and as long as a quote is open.
            hidden = hidden and (line.endswith("\\") or open_quote(value))
        return "\n".join(shown)


def open_quote(text: str) -> bool:
    """Say whether a quote is open at the end of a shell's text."""
    quote = ""
    skip = comment = False
    before = "\n"
    for letter in text:
        # A quote in a comment opens nothing.
        comment = letter != "\n" and (
            comment or (letter == "#" and not quote and not skip and before in " \t\n")
        )
        before = letter
        if comment:
            continue
        if skip:
            skip = False
        elif letter == "\\" and quote != "'":
            skip = True
        elif quote:
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
    return bool(quote)


class Tooling(metaclass=abc.ABCMeta):
    """One dump tooling; adding one is a file beside this one and a line in registry.py."""

    name = ""
    service = ""
    config_files: t.Tuple[ConfigFile, ...] = ()  # the main one first
    program = ""  # its being there means that the tooling is installed
    generic = False  # for hosts whose distribution has no tooling of its own
    known_hosts = "/root/.ssh/known_hosts"  # what its ssh trusts in the capture kernel
    build_timeout = 3600  # seconds; an initrd takes seconds to minutes, an hour under emulation on a busy machine

    def installed(self, host: Host) -> bool:
        return host.runner.which(self.program) is not None

    def deployed(self, host: Host) -> bool:
        """Say whether this collection has put a tooling of its own on the host, which a run that is told nothing takes."""
        del host
        return False

    @abc.abstractmethod
    def suits(self, distribution: str, like: t.Sequence[str]) -> bool:
        """Say whether this tooling is the distribution's own.

        :param distribution: ID of /etc/os-release.
        :param like: the words of ID_LIKE.
        """

    @abc.abstractmethod
    def packages(self, distribution: str, version: str) -> t.Tuple[str, ...]:
        """Return the names of the packages that it takes.

        :param distribution: ID of /etc/os-release.
        :param version: VERSION_ID of it.
        """

    def kernel(self, settings: t.Mapping[str, str], running: str) -> str:
        """Return the release of the kernel that the settings load after a boot into this one."""
        del settings
        return running

    def release(self, host: Host) -> t.Optional[str]:
        """Return the tooling's release on a host, as its rules are told apart by; None where it does not matter."""
        del host
        return None

    def observed(self, host: Host) -> t.Dict[str, t.Any]:
        """Return what else of a host the tooling's rules go by; it comes back in the facts as tooling.rules."""
        del host
        return {}

    def bound(self, rules: Facts) -> "Tooling":
        """Return this tooling with the rules of one host; see observed()."""
        del rules
        return self

    def file_of(self, key: str) -> ConfigFile:
        """Return the file that a setting belongs to."""
        del key
        return self.config_files[0]

    def wanted(self, wanted: Wanted) -> Wanted:
        """Return the wanted state with what a variable for this tooling alone says of the others."""
        return wanted

    def own_files(self) -> t.Dict[str, OwnFile]:
        """Return the files that this collection always adds beside the tooling's configuration, by path."""
        return {}

    @abc.abstractmethod
    def configure(self, wanted: Wanted, facts: Facts) -> Configuration:
        """Return what the wanted state comes to on a host. Pure; the rules for every tooling were checked already.

        A variable that this tooling cannot honour on this host is a problem, never dropped.
        """

    def obstacles(self, host: Host) -> t.List[str]:
        """Return why this tooling cannot be used on this host, with the way out."""
        del host
        return []

    def place(self, wanted: Wanted, settings: t.Mapping[str, str]) -> t.Optional[Place]:
        """Return where the settings send dumps; None for what cannot be shown here, as ssh.

        :param settings: of the tooling, as they are going to be.
        """
        del settings
        return Place("path", "", wanted.path) if wanted.target is None else None

    def credentials(self, host: Host) -> t.Tuple[str, str]:
        """Return the user and the password that the tooling logs in to a server with; they never leave the host."""
        del host
        return "", ""

    @abc.abstractmethod
    def owns(self, name: str) -> bool:
        """Say whether a name in the folder for dumps is one that the tooling itself makes."""

    @abc.abstractmethod
    def dump_path(self, settings: t.Mapping[str, str]) -> str:
        """Return where dumps go on this host."""

    @abc.abstractmethod
    def initrd(self, host: Host, kernel: str) -> Initrd:
        """Look at the capture initrd for a kernel release."""

    def unpacked_size(self, host: Host, kernel: str) -> t.Optional[int]:
        """Return the bytes that the capture initrd takes unpacked, where the tooling keeps that figure."""
        del host, kernel
        return None

    def capture_cpus(self, settings: t.Mapping[str, str]) -> int:
        """Return how many CPUs the capture kernel uses."""
        del settings
        return 1

    def ssh_key(self, settings: t.Mapping[str, str]) -> str:
        """Return the path of the private key that the settings name for an ssh target; '' if they name none."""
        del settings
        return ""

    @abc.abstractmethod
    def dump_level(self, settings: t.Mapping[str, str]) -> int:
        """Return the dump level of makedumpfile that the settings come to; 0 (all pages) for another program."""

    def leaves_the_host(self, settings: t.Mapping[str, str]) -> bool:
        """Say whether a dump goes over the network."""
        del settings
        return False

    def need(self, settings: t.Mapping[str, str]) -> t.Dict[str, t.Any]:
        """Return what the settings decide of a capture: its CPUs, whether it takes a network, and where else it writes to.

        ``elsewhere`` names a target that is not in this host's own file tree, such as 'ext4 /dev/vdb1'; '' for none.
        """
        network = self.leaves_the_host(settings)
        return {"cpus": self.capture_cpus(settings), "network": network, "elsewhere": ""}

    @abc.abstractmethod
    def build(self, host: Host, kernel: str) -> None:
        """Build that initrd, and keep the one before until it is confirmed; if it fails, that one is back.

        :raises CommandError: it failed.
        """

    @abc.abstractmethod
    def confirm(self, host: Host, kernel: str) -> None:
        """Throw away the initrd from before the last build: the new one works."""

    @abc.abstractmethod
    def revert(self, host: Host, kernel: str) -> bool:
        """Put back the initrd from before the last build; say whether there was one."""

    @abc.abstractmethod
    def load(self, host: Host) -> None:
        """Load the capture kernel, in place of one that is loaded.

        :raises CommandError: it failed.
        """

    @abc.abstractmethod
    def unload(self, host: Host) -> None:
        """Unload the capture kernel.

        :raises CommandError: it failed.
        """

    @abc.abstractmethod
    def dumps(self, host: Host, path: str) -> t.List[Dump]:
        """Return the dumps below a path, oldest first."""

    # Of all its files together; what belongs to one of them is the ConfigFile's.

    def settings(self, texts: t.Mapping[str, str]) -> t.Dict[str, str]:
        """Return the settings of all its files.

        :param texts: by path.
        """
        result: t.Dict[str, str] = {}
        for file in self.config_files:
            result.update(file.parse(texts.get(file.path, "")))
        return result
