# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Light hosts, and the real ansible-playbook inside of them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import typing as t
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class LightHost:
    """A host in a mount namespace of its own; nothing it writes reaches this computer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [
                "unshare", "--mount", "--propagation", "unchanged",
                str(ROOT / "tests/integration/light/light-host"), str(folder), str(ROOT),
            ],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None and self.process.stderr is not None
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError(
                f"no light host: {self.process.stderr.read()}(it needs root and overlayfs)"
            )

    def close(self) -> None:
        self.process.communicate(timeout=60)

    def run(self, *argv: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run a program inside of the host."""
        environment = dict(
            os.environ,
            HOME="/root",
            ANSIBLE_LOCAL_TEMP="/tmp/ansible",
            ANSIBLE_REMOTE_TEMP="/tmp/remote",
        )
        return subprocess.run(
            # --root: inside of a chroot the namespace's own root is another one.
            [
                "nsenter", f"--target={self.process.pid}", "--mount", "--root",
                "chroot", str(self.folder / "root"), *argv,
            ],
            input=stdin, capture_output=True, text=True, env=environment, check=False,
        )  # fmt: skip

    def read(self, path: str) -> str | None:
        done = self.run("cat", path)
        return done.stdout if done.returncode == 0 else None

    def write(self, path: str, text: str) -> None:
        done = self.run("tee", path, stdin=text)
        assert done.returncode == 0, done.stderr

    def remove(self, path: str) -> None:
        self.run("rm", "-f", path)

    def snapshot(self) -> str:
        """Return every file that decides about kdump, with its content's hash."""
        return self.run(
            "sh", "-c",
            "find /boot /etc/default /etc/kdump /var/crash /var/lib/kdump /var/lib/kdump-fleet /sys -type f"
            " -exec sha256sum {} + 2>/dev/null | sort; stat -c '%a %n' /var/crash; cat /var/log/kdump-config.log 2>/dev/null",
        ).stdout  # fmt: skip

    def module(self, name: str, arguments: dict[str, t.Any], *options: str) -> dict[str, t.Any]:
        """Run one module of the collection and return its result."""
        result = "/tmp/result.json"
        self.remove(result)
        tasks: list[dict[str, t.Any]] = [
            {f"kdump.fleet.{name}": arguments, "register": "result", "ignore_errors": True},
            {
                "ansible.builtin.copy": {"content": "{{ result | to_json }}", "dest": result},
                "check_mode": False,
                "diff": False,
            },
        ]
        done = self._playbook({"tasks": tasks}, *options)
        text = self.read(result)
        assert text, done.output
        return t.cast("dict[str, t.Any]", json.loads(text))

    def role(self, variables: dict[str, t.Any] | None = None, *options: str) -> Play:
        """Run the role; what it said is what counts."""
        return self._playbook(
            {"roles": [{"role": "kdump.fleet.kdump", "vars": variables or {}}]}, *options
        )

    def tasks(
        self, tasks: list[dict[str, t.Any]], variables: dict[str, t.Any], *options: str
    ) -> Play:
        """Run tasks of one's own."""
        return self._playbook({"tasks": tasks, "vars": variables}, *options)

    def _playbook(self, play: dict[str, t.Any], *options: str) -> Play:
        self.write("/tmp/play.json", json.dumps([{"hosts": "all", "gather_facts": False, **play}]))
        done = self.run(
            "env", "ANSIBLE_PYTHON_INTERPRETER=/usr/bin/python3", "ANSIBLE_NOCOLOR=1",
            "ANSIBLE_PIPELINING=1",
            "ansible-playbook", "-i", "light,", "-c", "local", *options, "/tmp/play.json",
        )  # fmt: skip
        return Play(done.returncode, done.stdout + done.stderr)


class Play(t.NamedTuple):
    """What a playbook said."""

    code: int
    output: str

    @property
    def changed(self) -> int:
        """The number of tasks that changed something."""
        match = re.search(r"\bchanged=(\d+)", self.output)
        assert match, self.output
        return int(match[1])
