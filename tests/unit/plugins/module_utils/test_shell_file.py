# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import random
import shutil
import subprocess
import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.argument import CRASHKERNEL
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.base import BootLoaderError
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.shell_file import (
    UNKNOWN,
    assignments,
    set_argument,
    value_of,
    values_of,
)

NAMES = ("A", "D")  # in their order on the command line

EDITS: t.List[t.Tuple[str, t.List[str], str]] = [
    # Appended, whatever the quotes; comments and other lines stay.
    ('D="quiet"\n', ["1M"], 'D="quiet crashkernel=1M"\n'),
    ("D='quiet' # why\n", ["1M"], "D='quiet crashkernel=1M' # why\n"),
    ("D=quiet\n", ["1M"], 'D="quiet crashkernel=1M"\n'),
    ("D=\n", ["1M"], 'D="crashkernel=1M"\n'),
    ("D=a\\ b\n", ["1M"], 'D=a\\ b" crashkernel=1M"\n'),
    ('D="quiet "\n', ["1M"], 'D="quiet crashkernel=1M"\n'),
    ('D="a -- b"\n', ["1M"], 'D="a crashkernel=1M -- b"\n'),
    ('D="a"$X\n', ["1M"], 'D="a"$X" crashkernel=1M"\n'),
    ("X=y", ["1M"], 'X=y\nD="crashkernel=1M"\n'),
    ("", ["1M"], 'D="crashkernel=1M"\n'),
    ("", [], ""),
    # In the place of the first word; the others go.
    ('D="a crashkernel=1 b"\n', ["1G,high", "2M,low"], 'D="a crashkernel=1G,high crashkernel=2M,low b"\n'),
    ('D="a crashkernel=1 b crashkernel=2"\n', ["3M"], 'D="a crashkernel=3M b"\n'),
    ('D="a crashkernel=1 b crashkernel=2"\n', [], 'D="a b"\n'),
    ('D="crashkernel=1  crashkernel=2"\n', [], 'D=""\n'),
    ('A="x crashkernel=1"\nD="y crashkernel=2"\n', ["3M"], 'A="x crashkernel=3M"\nD="y"\n'),
    ("D=crashkernel=1\n", ["1M", "2M,cma"], 'D="crashkernel=1M crashkernel=2M,cma"\n'),
    ('D="a "crashkernel=1\n', [], 'D="a"\n'),
    ('D="foo.crashkernel=1 nocrashkernel=2"\n', [], 'D="foo.crashkernel=1 nocrashkernel=2"\n'),
    ('D="crashkernel=$SIZE x"\n', ["1M"], 'D="crashkernel=1M x"\n'),
    ('D="dyndbg=\\"file a +p\\" crashkernel=1"\n', ["2M"], 'D="dyndbg=\\"file a +p\\" crashkernel=2M"\n'),
    # The last assignment has the last word; what it overrides stays as it is.
    ('D="crashkernel=1"\nD="x"\n', ["2M"], 'D="crashkernel=1"\nD="x crashkernel=2M"\n'),
    ('D="x"\nD+=" crashkernel=1"\n', ["2M"], 'D="x"\nD+=" crashkernel=2M"\n'),
    ('D="crashkernel=1"\nD="$D x"\n', ["2M"], 'D="crashkernel=2M"\nD="$D x"\n'),
    ('D="x"\nexport D="y"\n', ["2M"], 'D="x"\nexport D="y crashkernel=2M"\n'),
    ('D="x"\nD="y" ls\n', ["2M"], 'D="x crashkernel=2M"\nD="y" ls\n'),
    # Continued lines.
    ('D="a \\\ncrashkernel=1 \\\nb"\n', ["2M"], 'D="a \\\ncrashkernel=2M \\\nb"\n'),
    ('D="a \\\ncrashkernel=1 \\\nb"\n', [], 'D="a \\\nb"\n'),
    # What may not run is cleaned, and the word goes where it holds in any case.
    (
        'D="a"\nif [ -e x ]; then\n\tD="b crashkernel=1"\nfi\n',
        ["2M"],
        'D="a"\nif [ -e x ]; then\n\tD="b"\nfi\nD="${D} crashkernel=2M"\n',
    ),
    ('D="a"\n[ -e x ] && D="b"\n', ["2M"], 'D="a"\n[ -e x ] && D="b"\nD="${D} crashkernel=2M"\n'),
    ('D="a"\n[ -e x ] ||\n  D="b"\nD="${D} crashkernel=2M"\n', [], 'D="a"\n[ -e x ] ||\n  D="b"\n'),
    # Comments and other programs' words are none of ours.
    ('#D="crashkernel=1"\necho D="crashkernel=1"\nD="x"\n', ["2M"], '#D="crashkernel=1"\necho D="crashkernel=1"\nD="x crashkernel=2M"\n'),
    ("f() { D=x; }\ncase $Y in\n a) D=1 ;;\nesac\nD=z >/dev/null\n", ["2M"], 'f() { D=x; }\ncase $Y in\n a) D=1 ;;\nesac\nD="z crashkernel=2M" >/dev/null\n'),
    ("D=\"`cat x` $(echo \"a 'b' )\" ')') ${X:-'} ${Y:-\"}\"}\"\n", ["2M"], "D=\"`cat x` $(echo \"a 'b' )\" ')') ${X:-'} ${Y:-\"}\"} crashkernel=2M\"\n"),
]  # fmt: skip


@pytest.mark.parametrize("text, values, expected", EDITS)
def test_edits_keep_the_rest(text: str, values: t.List[str], expected: str) -> None:
    after = set_argument("/etc/x", text, NAMES, values, CRASHKERNEL)
    assert after == expected
    assert values_of(after, NAMES, CRASHKERNEL) == values
    assert set_argument("/etc/x", after, NAMES, values, CRASHKERNEL) == after


REFUSED = [
    ('A="$(cat x; echo crashkernel=1)"\n', "line 1: A takes crashkernel= out of a substitution"),
    ('K="crashkernel=1"\nD="$K"\n', "line 2: D takes crashkernel= from K"),
    ("X=1\ncat <<EOF\nD=x\nEOF\n", "line 2: a here-document"),
    ('D="x\n', 'line 1: a value whose " is never closed'),
    ("D=$(x\n", "line 1: a substitution that is never closed"),
    ("D=`x\n", "line 1: a substitution that is never closed"),
]


@pytest.mark.parametrize("text, message", REFUSED)
def test_what_cannot_be_edited_safely_is_refused(text: str, message: str) -> None:
    with pytest.raises(BootLoaderError) as caught:
        set_argument("/etc/x", text, NAMES, ["2M"], CRASHKERNEL)
    assert str(caught.value).startswith(f"/etc/x {message}")
    assert "crashkernel=2M" in str(caught.value)


def test_what_is_right_already_is_not_refused() -> None:
    text = 'K="crashkernel=1"\nD="$K x"\n'
    assert set_argument("/etc/x", text, NAMES, ["1"], CRASHKERNEL) == text


def test_the_value_that_stands_for_a_missing_setting_comes_along() -> None:
    after = set_argument("/etc/x", "#D=x\n", ("D",), ["1M"], CRASHKERNEL, "ro quiet")
    assert after == '#D=x\nD="ro quiet crashkernel=1M"\n'
    assert (
        set_argument("/etc/x", after, ("D",), [], CRASHKERNEL, "ro quiet") == '#D=x\nD="ro quiet"\n'
    )


def test_a_value_is_read_as_the_shell_would() -> None:
    text = 'Y=b\nX="a $Y ${Z}" # c\nX+=\' d"e\'\n'
    assert value_of(text, "X") == f'a b {UNKNOWN} d"e'
    assert value_of(text, "Q") is None
    assert [(item.name, item.line) for item in assignments(text)] == [("Y", 1), ("X", 2), ("X", 3)]


def _random_file(dice: random.Random) -> str:
    words = ["quiet", "crashkernel=1M", "a.b=c", "crashkernel=2G-4G:1M,4G-:2M", "splash=silent", "crashkernel=9,high"]  # fmt: skip
    lines = ["# crashkernel=7 in a comment", "OTHER='crashkernel=8'"]
    for _line in range(dice.randrange(1, 6)):
        name, chosen = dice.choice(NAMES), dice.sample(words, dice.randrange(4))
        value = dice.choice([" ", "  ", " \\\n "]).join(chosen)
        form = dice.choice(["{n}=\"{v}\"", "{n}='{s}'", "{n}=\"${n} {v}\"", "{n}+=\" {v}\"", "if true; then {n}=\"{v}\"; fi",
                            "false && {n}=\"{v}\"", "export {n}=\"{v}\" # end"])  # fmt: skip
        lines.append(form.replace("{n}", name).replace("{v}", value).replace("{s}", " ".join(chosen)))  # fmt: skip
    dice.shuffle(lines)
    return "\n".join(lines) + dice.choice(["", "\n"])


@pytest.mark.parametrize("seed", range(60))
def test_a_shell_agrees(seed: int, tmp_path: t.Any) -> None:
    dice = random.Random(seed)
    text = _random_file(dice)
    values = dice.choice([["300M"], ["1G,high", "72M,low"], []])
    (tmp_path / "before").write_text(text)
    (tmp_path / "after").write_text(set_argument("x", text, NAMES, values, CRASHKERNEL))
    script = '. "$1"; printf "%s\\n" "$A" | tr "\\n" " "; printf "\\n%s\\n" "$D"; printf "%s\\n" "$OTHER"'
    said = []
    for name in ("before", "after"):
        done = subprocess.run(
            [shutil.which("bash") or "bash", "-c", script, "bash", str(tmp_path / name)],
            stdout=subprocess.PIPE,
            check=True,
        )
        said.append(done.stdout.decode())

    def others(output: str) -> t.List[str]:
        return [word for word in output.split() if not word.startswith("crashkernel=")]

    lines = said[1].splitlines()
    assert [w for w in " ".join(lines[:2]).split() if w.startswith("crashkernel=")] == [
        f"crashkernel={value}" for value in values
    ]
    assert others(said[0]) == others(said[1])
    assert lines[2] == "crashkernel=8"
