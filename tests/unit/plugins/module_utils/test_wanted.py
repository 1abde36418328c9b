# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.wanted import (
    Wanted,
    collector,
    problems,
)

HOOK = {"name": "10-x", "content": "#!/bin/sh\nexit 0\n"}

ACCEPTED: t.List[t.Dict[str, t.Any]] = [
    {},
    {"path": "/srv/dumps"},
    {"path": "//srv/dumps"},
    {"pre_hooks": [HOOK]},
    {"fence_nodes": ["node2", "10.0.0.2", "2001:db8::1", "node-3.example.com"], "fence_args": "-p 7410 -f auto -c 5"},
    {"fence_nodes": ["fe80::1%eth0", "n3%eth0.7"]},
    {"fence_args": "-p 7410"},
    {"kernel_version": "6.12.0-55.el10.x86_64+64k"},
    {"target": {"type": "nfs", "location": "[2001:db8::1]:/dumps"}},
    {"target": {"type": "nfs", "location": "nas:/vol@1"}},
    {"target": {"type": "ssh", "location": "kdump@2001:db8::1"}},
    {"target": {"type": "ftp", "location": "user@host:/dumps"}},
]  # fmt: skip


@pytest.mark.parametrize("variables", ACCEPTED)
def test_accepted(variables: t.Dict[str, t.Any]) -> None:
    assert problems(Wanted(**variables)) == []


def hook(**changes: str) -> t.List[t.Dict[str, str]]:
    return [{**HOOK, **changes}]


REFUSED: t.List[t.Tuple[t.Dict[str, t.Any], str]] = [
    ({"path": "//mnt"}, "kdump_path: '//mnt' belongs to the whole host"),
    ({"path": "/mnt/."}, "kdump_path: '/mnt/.' belongs to the whole host"),
    ({"pre_hooks": hook(content="#!/bin/sh\r\nexit 0\r\n")}, "kdump_pre_hooks: 10-x has carriage returns"),
    ({"pre_hooks": hook(content="#!\n/bin/sh\n")}, "kdump_pre_hooks: 10-x has no interpreter"),
    ({"post_hooks": hook(name="../x")}, "kdump_post_hooks: name '../x' must be a file name"),
    ({"fence_nodes": ["node2; touch /tmp/x"]}, "kdump_fence_nodes: 'node2; touch /tmp/x' must be the name"),
    ({"fence_nodes": ["-x"]}, "kdump_fence_nodes: '-x' must be the name"),
    ({"fence_nodes": ["n*"]}, "kdump_fence_nodes: 'n*' must be the name"),
    ({"fence_nodes": ["n"], "fence_args": "-p `id`"}, "kdump_fence_args: '-p `id`' may hold only"),
    ({"fence_nodes": ["fe80::1%"]}, "kdump_fence_nodes: 'fe80::1%' must be the name"),
    ({"fence_nodes": ["n%e%f"]}, "kdump_fence_nodes: 'n%e%f' must be the name"),
    ({"fence_nodes": ["n%-x"]}, "kdump_fence_nodes: 'n%-x' must be the name"),
    ({"kernel_version": "../../tmp/x"}, "kdump_kernel_version: '../../tmp/x' must be the release"),
    ({"kernel_version": "-h"}, "kdump_kernel_version: '-h' must be the release"),
    ({"target": {"type": "ftp", "location": "user:s3cret@host/dir"}}, "kdump_target: location has a password"),
    ({"target": {"type": "cifs", "location": "cifs://u:s3cret@host/share"}}, "kdump_target: location has a password"),
]  # fmt: skip


@pytest.mark.parametrize("variables, problem", REFUSED)
def test_refused(variables: t.Dict[str, t.Any], problem: str) -> None:
    found = problems(Wanted(**variables))
    assert len(found) == 1 and found[0].startswith(problem)
    assert "s3cret" not in found[0]


# The tooling's own command, what is set, and what comes of both.
COLLECTORS: t.List[t.Tuple[str, t.Dict[str, t.Any], str]] = [
    ("makedumpfile -l -d 31", {"dump_level": 1}, "makedumpfile -l -d 1"),
    ("makedumpfile -d31 -l", {"dump_level": 1}, "makedumpfile -l -d 1"),
    ("makedumpfile -ld31", {"dump_level": 1}, "makedumpfile -l -d 1"),
    ("makedumpfile -cld 31 -F", {"dump_level": 1}, "makedumpfile -c -l -F -d 1"),
    ("makedumpfile -lFd31", {"compression": "zstd"}, "makedumpfile -F -d31 -z"),
    ("makedumpfile --dump-level=31", {"dump_level": 1}, "makedumpfile -d 1"),
    ("makedumpfile -x -d31 -D", {"dump_level": 1}, "makedumpfile -x -d31 -D -d 1"),
    ("makedumpfile --message-level=7 --dry-run", {"message_level": 1}, "makedumpfile --dry-run --message-level 1"),
    ("scp -dx", {"threads": 2}, "scp -dx --num-threads=2"),
]  # fmt: skip


@pytest.mark.parametrize("default, parts, expected", COLLECTORS)
def test_parts_take_the_place_of_the_default_s(
    default: str, parts: t.Dict[str, t.Any], expected: str
) -> None:
    words, wrong = collector(Wanted(**parts), default)
    assert (" ".join(words or []), wrong) == (expected, [])
