# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""What every dump tooling must be able to tell and do. No tooling is asked by a command that can block."""

import abc
import re
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.files import Host

SECRET_RULE = (
    "is a secret, which would show in logs; write it into the file on the host, where it is kept"
)


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


class Tooling(metaclass=abc.ABCMeta):
    """One dump tooling; adding one is a file beside this one and a line in registry.py."""

    name = ""
    service = ""
    config_path = ""
    packages: t.Tuple[str, ...] = ()
    program = ""  # its being there means that the tooling is installed
    secrets: t.Tuple[str, ...] = ()  # settings that must never be shown
    build_timeout = 3600  # seconds; an initrd takes seconds to minutes, an hour under emulation on a busy machine

    def installed(self, host: Host) -> bool:
        return host.runner.which(self.program) is not None

    def own_files(self) -> t.Dict[str, str]:
        """Return the files that this collection adds beside the tooling's configuration, by path."""
        return {}

    @abc.abstractmethod
    def suits(self, distribution: str, like: t.Sequence[str]) -> bool:
        """Say whether this tooling is the distribution's own.

        :param distribution: ID of /etc/os-release.
        :param like: the words of ID_LIKE.
        """

    @abc.abstractmethod
    def parse(self, text: str) -> t.Dict[str, str]:
        """Return the settings of a configuration file."""

    @abc.abstractmethod
    def render(self, text: str, settings: t.Mapping[str, t.Optional[str]]) -> str:
        """Return the text with these settings; None takes one out. Every other line stays as it is."""

    @abc.abstractmethod
    def problems(self, text: str, release: t.Optional[str] = None) -> t.List[str]:
        """Return what the tooling would refuse or silently misread, one sentence each; empty means accepted."""

    @abc.abstractmethod
    def setting_problem(self, key: str, value: str) -> str:
        """Return what is wrong with one setting, or ''."""

    def secret(self, key: str) -> bool:
        return key in self.secrets

    def shown(self, key: str, value: str) -> str:
        """Return a setting as a message may show it; what may be a misspelt secret is none of its business."""
        hidden = self.secret(key) or re.search(r"PASS|SECRET|TOKEN", key, re.I)
        return key if hidden else f"{key}={value!r}"

    def redact(self, text: str) -> str:
        """Return a configuration without its secrets, to be shown; of comments too."""
        shown = []
        hidden = continued = False
        for line in text.split("\n"):
            # A line that goes on in the next takes its secret there.
            hidden = any(key in line for key in self.secrets) or (hidden and continued)
            continued = line.endswith("\\")
            shown.append("******** (a secret)" if hidden else line)
        return "\n".join(shown)

    def obstacles(self, host: Host) -> t.List[str]:
        """Return why this tooling cannot be used on this host, with the way out."""
        return []

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

    def leaves_the_host(self, settings: t.Mapping[str, str]) -> bool:
        """Say whether a dump goes over the network."""
        del settings
        return False

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
