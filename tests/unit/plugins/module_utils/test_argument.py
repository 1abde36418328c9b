# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import random
import shutil
import subprocess
import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.argument import (
    CRASHKERNEL,
    Argument,
    problems,
)
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.base import with_values

TAINT, EARLY = Argument("panic_on_taint"), Argument("rd.earlykdump")

VALUES: t.List[t.Tuple[Argument, str, t.List[str]]] = [
    (TAINT, "", []),
    (TAINT, "ro panic_on_taint=0x20 quiet", ["0x20"]),
    (TAINT, "panic_on_taint=1\tpanic_on_taint=2", ["1", "2"]),
    (TAINT, "panic_on_taint=a=b", ["a=b"]),
    (TAINT, 'panic_on_taint="a b" x', ['"a b"']),
    # A word is one as a whole.
    (TAINT, "xpanic_on_taint=1 panic_on_taint2=1 foo.panic_on_taint=1", []),
    (TAINT, 'dyndbg="file panic_on_taint=1 +p" x="a"panic_on_taint=1', []),
    (TAINT, 'x="a b" panic_on_taint=1 y="never closed', ["1"]),
    (EARLY, "rd.earlykdump", [""]),
    (EARLY, "rd.earlykdump=0 rd.earlykdump=", ["0", ""]),
    (EARLY, "rd.earlykdump.x rdxearlykdump rd.earlykdumps -rd.earlykdump", []),
    (CRASHKERNEL, 'crashkernel=1G,high dyndbg="x crashkernel=1M" foo.crashkernel=2', ["1G,high", '1M"']),
    (CRASHKERNEL, "crashkernel", []),
]  # fmt: skip


@pytest.mark.parametrize("argument, line, expected", VALUES)
def test_the_values_in_a_line(argument: Argument, line: str, expected: t.List[str]) -> None:
    assert argument.values(line) == expected


EDITS: t.List[t.Tuple[Argument, str, t.List[str], str]] = [
    (TAINT, "", ["1"], "panic_on_taint=1"),
    (TAINT, "ro quiet ", ["1"], "ro quiet panic_on_taint=1"),
    (TAINT, "ro -- x", ["1"], "ro panic_on_taint=1 -- x"),
    (TAINT, "a  panic_on_taint=2  b panic_on_taint=3 c", ["1"], "a  panic_on_taint=1  b c"),
    (TAINT, "a panic_on_taint=2 panic_on_taint=3", [], "a"),
    (TAINT, 'a="panic_on_taint=2 x" panic_on_taint="4 5" b', ["1"], 'a="panic_on_taint=2 x" panic_on_taint=1 b'),
    (EARLY, "a rd.earlykdump=0 b", [""], "a rd.earlykdump b"),
    (EARLY, "rd.earlykdump b", [], "b"),
    (EARLY, "a rd.earlykdump", [""], "a rd.earlykdump"),
]  # fmt: skip


@pytest.mark.parametrize("argument, line, values, expected", EDITS)
def test_a_change_keeps_the_rest(
    argument: Argument, line: str, values: t.List[str], expected: str
) -> None:
    assert with_values(line, values, argument) == expected


@pytest.mark.parametrize("argument", [TAINT, EARLY])
def test_sed_takes_out_the_same_words(argument: Argument) -> None:
    dice = random.Random(argument.name)
    words = [argument.word("1"), argument.word(""), argument.word('"a b"'), f'x="y {argument.name} z"',
             f'"q r"{argument.name}', f"{argument.name}s", f"-{argument.name}=2", argument.name.replace(".", "_") + "x", "quiet", 'a="b c"']  # fmt: skip
    lines = [
        dice.choice(["", " "])
        + dice.choice([" ", "  ", "\t"]).join(dice.choice(words) for _word in range(length))
        for length in range(10)
        for _line in range(30)
    ]
    done = subprocess.run(
        [shutil.which("sh") or "sh", "-c", argument.sed],
        input="".join(f"{line}\n" for line in lines).encode(),
        stdout=subprocess.PIPE,
        check=True,
    )
    said = done.stdout.decode().split("\n")[:-1]
    assert [line.split() for line in said] == [
        with_values(line, [], argument).split() for line in lines
    ]


def test_a_text_may_set_it() -> None:
    assert EARLY.named_in('X="$(echo rd.earlykdump)"')
    assert not EARLY.named_in("rd.earlykdump.x -rd.earlykdump rd-earlykdump")
    assert CRASHKERNEL.named_in("nocrashkernel=1") and not CRASHKERNEL.named_in("crashkernel")


@pytest.mark.parametrize(
    "argument, values, expected",
    [
        (CRASHKERNEL, ["256M", "1M"], "crashkernel=256M 1M"),
        (CRASHKERNEL, [], "crashkernel=(none)"),
        (TAINT, ["1"], "panic_on_taint=1"),
        (EARLY, [""], "rd.earlykdump"),
    ],
)
def test_what_a_message_says(argument: Argument, values: t.List[str], expected: str) -> None:
    assert argument.shown(values) == expected


@pytest.mark.parametrize(
    "name, values",
    [
        ("panic_on_taint", ["0x1020,nousertaint"]),
        ("rd.earlykdump", [""]),
        ("8250.nr_uarts", []),
        ("console", ["tty0", "ttyS0,115200n8"]),
        ("ip", ["[2001:db8::1]:::56::eth0:none"]),
        ("cio_ignore", ["all,!condev"]),
    ],
)
def test_what_can_be_set(name: str, values: t.List[str]) -> None:
    assert problems(name, values) == []


@pytest.mark.parametrize(
    "name, values, message",
    [
        ("crashkernel", ["1M"], "use the module kdump.fleet.crashkernel"),
        ("crashkernel", [], "use the module kdump.fleet.crashkernel"),
        ("", [], "is no name"),
        ("--", [""], "is no name"),
        ("a=b", [], "what follows its '=' as the value"),
        ("a b", [], "is no name"),
        ("a\n", [], "is no name"),
        ("é", [], "is no name"),
        ("root", ["/dev/sda1"], "the boot loader's own tools"),
        ("single", [""], "the boot loader's own tools"),
        ("x", ["a b"], "would not reach the kernel as it is"),
        ("x", ['"a"'], "would not reach"),
        ("x", ["'a'"], "would not reach"),
        ("x", ["a\n"], "would not reach"),
        ("x", ["$(reboot)"], "would not reach"),
        ("x", ["a;b"], "would not reach"),
        ("x", ["a\\b"], "would not reach"),
        ("x", ["é"], "would not reach"),
        # The kernel finds crashkernel= inside of other words too.
        ("x", ["crashkernel=1M"], "for crashkernel="),
        ("foo.crashkernel", ["1M"], "for crashkernel="),
    ],
)
def test_what_is_refused(name: str, values: t.List[str], message: str) -> None:
    (problem,) = problems(name, values)
    assert message in problem
