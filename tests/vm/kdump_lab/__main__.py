# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab on the command line: python3 -m kdump_lab image|up|down|list|console|ssh."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import typing as t
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from . import common, image, machine


def main() -> int:
    parser = argparse.ArgumentParser(prog="kdump_lab", description=__doc__)
    parser.add_argument(
        "--machines",
        type=Path,
        default=Path(os.environ.get("KDUMP_LAB_MACHINES") or common.cache_dir() / "machines"),
        help="the folder that holds this run's machines, one folder each",
    )
    actions = parser.add_subparsers(dest="action", required=True)
    build = actions.add_parser("image", help="build an image if it is not cached")
    build.add_argument("suite", choices=image.SUITES)
    up = actions.add_parser(
        "up",
        help="create and boot a machine; prints its connection variables as JSON. With --and between them several at once, "
        "one line each",
    )
    up.add_argument("name")
    up.add_argument("--suite", choices=image.SUITES, default="bookworm")
    for parser_of_one in (build, up):
        parser_of_one.add_argument(
            "--boot",
            choices=tuple(image.BOOTS),
            default="bios",
            help="GRUB by BIOS, GRUB by UEFI, or systemd-boot",
        )
    up.add_argument(
        "--memory", type=int, default=machine.Spec._field_defaults["memory"], help="MiB"
    )
    up.add_argument("--cpus", type=int, default=2)
    up.add_argument("--disk", type=int, action="append", default=[], help="MiB of one more disk")
    up.add_argument("--network", default="", help="machines of the same network reach each other")
    up.add_argument(
        "--address", default="", help=f"on that network, such as {machine.NETWORK_PREFIX}.11"
    )
    for action, text in (
        ("down", "stop and remove a machine"),
        ("console", "print its serial console"),
    ):
        actions.add_parser(action, help=text).add_argument("name")
    ssh = actions.add_parser("ssh", help="log in as root")
    ssh.add_argument("name")
    ssh.add_argument("command", nargs=argparse.REMAINDER)
    actions.add_parser("list", help="list the machines")
    each = [parser.parse_args(argv) for argv in commands(sys.argv[1:])]
    try:
        return boot(each) if each[0].action == "up" else act(each[0])
    except common.LabError as exc:
        common.say(f"[lab] {exc}")
        return 1
    except KeyboardInterrupt:
        common.say("[lab] interrupted; what this command started is gone")
        return 130


def commands(argv: t.Sequence[str]) -> list[list[str]]:
    """Return the command lines of several machines; what precedes 'up' is for each of them."""
    parts = [
        list(words) for split, words in itertools.groupby(argv, "--and".__eq__) if not split
    ] or [[]]
    shared = parts[0][: parts[0].index("up") + 1] if "up" in parts[0] else []
    return [parts[0], *([*shared, *part] for part in parts[1:])]


def boot(each: t.Sequence[argparse.Namespace]) -> int:
    """Boot machines side by side: one that waits for its disk leaves the processor to the others."""
    if any(bool(args.network) != bool(args.address) for args in each):
        raise common.LabError("--network and --address go together")

    def one(args: argparse.Namespace) -> machine.Machine:
        spec = machine.Spec(
            args.name, args.memory, args.cpus, tuple(args.disk), args.network, args.address
        )
        return machine.create(spec, image.ensure(args.suite, args.boot), args.machines / args.name)

    with ThreadPoolExecutor() as pool:
        booting = [pool.submit(one, args) for args in each]
        try:
            made = [future.result() for future in booting]
        except BaseException:
            # Without their QEMU the others end too. One that was there before is not this command's to remove.
            for args, future in zip(each, booting):
                if future.cancel() or (future.done() and future.exception()):
                    continue
                machine.Machine(args.machines / args.name).remove()
            raise
    for found in made:
        print(json.dumps(found.inventory_vars()))
    return 0


def act(args: argparse.Namespace) -> int:
    if args.action == "image":
        print(image.ensure(args.suite, args.boot).folder)
    elif args.action == "down":
        machine.Machine(args.machines / args.name).remove()
    elif args.action == "console":
        sys.stdout.write(
            machine.Machine(args.machines / args.name).console.read_text(errors="replace")
        )
    elif args.action == "ssh":
        target = machine.Machine(args.machines / args.name)
        port = str(target.state["port"])
        os.execvp(
            "ssh", ["ssh", *target.ssh_options(), "-p", port, "root@127.0.0.1", *args.command]
        )
    elif args.action == "list":
        for folder in sorted(args.machines.glob("*/machine.json")):
            found = machine.Machine(folder.parent)
            state = found.state
            print(
                f"{found.name}\t{state['suite']}\t{state['boot']}\tport {state['port']}\t{'up' if found.running() else 'down'}"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
