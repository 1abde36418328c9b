# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""Hosts of deployments (Fedora CoreOS, IoT, the Atomic desktops, RHEL for Edge, bootc): rpm-ostree changes the arguments.

A change is a new deployment. It waits in /run until the host shuts down and becomes a boot loader entry only then, so
the entries alone don't tell what the next boot takes. An update takes its arguments from the newest deployment.
Source: rpm-ostree 2026.2 (rpmostree-builtin-kargs.cxx, rpmostreed-transaction-types.cxx) and libostree 2026.4
(ostree-kernel-args.c, ostree-sysroot.c, ostree-bootconfig-parser.c).
"""

import json
import re
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader import bls
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.argument import (
    CRASHKERNEL,
    Argument,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.base import (
    BootLoader,
    BootLoaderError,
    Change,
    Command,
    Entry,
    next_entry,
    release_of,
    with_values,
)
from ansible_collections.kdump.fleet.plugins.module_utils.files import Host

BOOTED = "/run/ostree-booted"
STAGED = "/run/ostree/staged-deployment"
PROGRAM = "rpm-ostree"
QUESTION_TIMEOUT = 60  # seconds; it may have to start its daemon first


class RpmOstree(BootLoader):
    """Whatever boot loader rpm-ostree writes entries for."""

    name = "rpm-ostree"

    def present(self, host: Host) -> bool:
        return host.exists(BOOTED)

    @staticmethod
    def _listed(host: Host) -> t.List[bls.BlsEntry]:
        """Return the entries of the deployments, the newest first: libostree numbers them in ``version``."""
        found = [item for item in bls.read_entries(host) if item.identity.startswith("ostree-")]
        if not found:
            raise BootLoaderError(
                f"no deployment's entry can be read in {bls.FOLDER}; are you root on the host (become: true)?"
            )

        def number(item: bls.BlsEntry) -> int:
            match = re.match(r"\d+\Z", item.first("version"))
            return int(match.group(0)) if match else -1

        return sorted(found, key=number, reverse=True)

    def entries(self, host: Host) -> t.List[Entry]:
        entries = [
            Entry(
                title=item.first("title") or item.identity,
                kernel=item.first("linux"),
                arguments=item.first("options"),
                recovery=False,
                default=index == 0,
                # The others are kept to go back to; nothing changes a deployment that is there.
                own=index == 0,
                release=release_of(item.first("linux")),
            )
            for index, item in enumerate(self._listed(host))
        ]
        if host.exists(STAGED) and host.runner.which(PROGRAM) is not None:
            # Locked or not: a host that reboots into what is staged reboots into it.
            arguments = host.ask([PROGRAM, "kargs"], timeout=QUESTION_TIMEOUT)
            if arguments is None:
                raise BootLoaderError(
                    f"a deployment waits for the next boot ({STAGED}), and '{PROGRAM} kargs' does not tell its arguments; "
                    f"'{PROGRAM} status' says why"
                )
            entries[0] = entries[0]._replace(
                arguments=arguments.strip(),
                release=self._staged_release(host) or entries[0].release,
            )
        return entries

    @staticmethod
    def _staged_release(host: Host) -> str:
        """Return the kernel's release in the deployment that waits, or '' if it cannot be told."""
        answer = host.ask([PROGRAM, "status", "--json"], timeout=QUESTION_TIMEOUT) or "{}"
        try:
            deployments = json.loads(answer).get("deployments", [])
            staged = next(item for item in deployments if item.get("staged"))
            place = "/ostree/deploy/{osname}/deploy/{checksum}.{serial}".format(**staged)
        except (ValueError, AttributeError, KeyError, StopIteration):
            return ""
        kernels = host.glob(f"{place}/usr/lib/modules/*/vmlinuz")
        return kernels[0].split("/")[-2] if len(kernels) == 1 else ""

    def plan(
        self, host: Host, values: t.Sequence[str], argument: Argument = CRASHKERNEL
    ) -> t.List[Change]:
        entries = self.entries(host)
        chosen = next_entry(entries)
        if chosen is None or chosen.values(argument) == list(values):
            return []
        if host.runner.which(PROGRAM) is None:
            raise BootLoaderError(_without_program(host, values, argument))
        rest = with_values(chosen.arguments, [], argument)
        return [
            Command(
                _kargs(chosen.values(argument), values, argument),
                self._undo(host, chosen, values, argument),
                f"{PROGRAM} kargs",
                chosen.arguments + "\n",
                f"{rest} {argument.text(values)}".strip() + "\n",
            )
        ]

    def plan_kernels(
        self,
        host: Host,
        values: t.Sequence[str],
        chosen: t.Sequence[Entry],
        argument: Argument = CRASHKERNEL,
    ) -> t.List[Change]:
        if not all(entry.default for entry in chosen):
            raise BootLoaderError(
                f"{PROGRAM} changes the arguments of the deployment that the next boot takes, and of no other; "
                "use 'kernel: ALL'"
            )
        return self.plan(host, values, argument)

    def _undo(
        self, host: Host, chosen: Entry, values: t.Sequence[str], argument: Argument
    ) -> t.List[str]:
        """Return what brings the present state back.

        Where nothing waits yet, to drop the new deployment is exact; it would drop an update that waits with it.
        """
        place = re.search(r"(?:^|\s)(ostree=\S+)", chosen.arguments)
        running = (host.read("/proc/cmdline") or "").split()
        if not host.exists(STAGED) and place and place.group(1) in running:
            return [PROGRAM, "cleanup", "--pending"]
        return _kargs(values, chosen.values(argument), argument)


def _kargs(before: t.Sequence[str], after: t.Sequence[str], argument: Argument) -> t.List[str]:
    """Return the one transaction that takes these values out and puts those at the end.

    ``--delete`` comes first whatever the order here is, takes one word each, and fails without a change if there
    is none. ``--replace`` cannot stand beside it.
    """
    return [
        PROGRAM,
        "kargs",
        *(f"--delete={argument.word(value)}" for value in before),
        *(f"--append={argument.word(value)}" for value in after),
    ]


def _without_program(host: Host, values: t.Sequence[str], argument: Argument) -> str:
    wanted = argument.text(values) or f"no {argument.label}"
    if host.runner.which("bootc") is None:
        return (
            f"this host boots deployments of ostree, and without {PROGRAM} kdump.fleet cannot change their arguments; "
            f"set {wanted} where its image is built, or install {PROGRAM} in it"
        )
    lines = ", ".join(f'"{argument.word(value)}"' for value in values)
    return (
        f"this host is an image of bootc without {PROGRAM}, whose arguments belong to the image; set {wanted} there, by "
        f"a file in /usr/lib/bootc/kargs.d (kargs = [{lines}]), build it and run 'bootc upgrade', "
        f"or set {argument.variable} to what the image has"
    )
