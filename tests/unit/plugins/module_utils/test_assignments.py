# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import shutil
import subprocess
import time
import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.module_utils.tooling import assignments

# As a shell reads them.
VALUES = [
    ("A=b", "b"),
    ("A=", ""),
    ("  export A=b", "b"),
    ("A=b # why", "b"),
    ("A=#b", "#b"),
    ("A=b#c", "b#c"),
    ('A="b # c"', "b # c"),
    ("A='b \"c\"'", 'b "c"'),
    ("A=\"b\"c'd'", "bcd"),
    ("A=b\\ c", "b c"),
    ('A="b\\"c"', 'b"c'),
    ('A="b\\n"', "b\\n"),
    ('A="b;c"', "b;c"),
    ('A="b\nc"', "b\nc"),
    ('A="b\\\nc"', "bc"),
    ("A='b\\\nc'", "b\\\nc"),
    ("A=$((1+2))", "$((1+2))"),
    ("A=b\\\nc", "bc"),
]


@pytest.mark.parametrize("text, value", VALUES)
def test_values(text: str, value: str) -> None:
    assert assignments.parse(text + "\n") == {"A": value}
    assert assignments.line_problems(text + "\n") == []
    assert assignments.render(text + "\n", {"A": value}) == text + "\n"


BAD = [
    ("A = b", "A", "b", "has blanks around '='"),
    ("A= b c", "A", "b c", "has blanks around '='"),
    ("A=b c", "A", "b", "outside of quotes; write A="),
    ("A=b; C=d", "A", "b;", "has ';' outside of quotes"),
    ("A=b|c", "A", "b|c", "has '|' outside of quotes"),
    ('A="b', "A", '"b', "never closed"),
    ("A=b\\", "A", "b\\", "never closed"),
    ("if x; then", "", "", "is no KEY="),
    ("A=$(b", "A", "$(b", "substitution that is never closed"),
    ('A="${b"', "A", "${b", "substitution that is never closed"),
    ("\xa0A=b", "", "", "is no KEY="),
    ("\x0cA=b", "", "", "is no KEY="),
    ("\x0bA=b", "", "", "is no KEY="),
    ("\x1cA=b", "", "", "is no KEY="),
    ("A\xa0=b", "", "", "is no KEY="),
    ("\r", "", "", "is no KEY="),
    ("\xa0# b", "", "", "is no KEY="),
]


@pytest.mark.parametrize("text, key, value, message", BAD)
def test_line_problems(text: str, key: str, value: str, message: str) -> None:
    ((number, found_key, found_value, reason),) = assignments.line_problems("# x\n" + text + "\n")
    assert (number, found_key, found_value) == (2, key, value)
    assert message in reason


def test_a_quote_that_is_never_closed_takes_no_other_line_along() -> None:
    assert assignments.parse('A="b\nC=d\n')["C"] == "d"


RENDERED: t.List[t.Tuple[str, t.Dict[str, t.Optional[str]], str]] = [
    ("", {"A": "b"}, 'A="b"\n'),
    ("# A=\n", {"A": "b"}, '# A=\nA="b"\n'),
    ("#A=1\n#A=2\n\nB=1\n", {"A": "b"}, '#A=1\n#A=2\nA="b"\n\nB=1\n'),
    ("A=1", {"A": "2"}, 'A="2"\n'),
    ("export A=1 # why\n", {"A": "2"}, 'export A="2" # why\n'),
    ("A=1\nB=1\nA=2\n", {"A": "3"}, 'B=1\nA="3"\n'),
    ("A=1\nB=1\nA=2\n", {}, "B=1\nA=2\n"),
    ("A=1\nB=1\nA=2\n", {"A": None}, "B=1\n"),
    ("A=1\nA+=2\n", {}, "A=1\nA+=2\n"),
    ("A=1\nA+=2\n", {"A": "12"}, 'A="12"\n'),
    # The last line counts for a shell only if it is a good one.
    ("A=1\nA=2 x\n", {}, "A=1\nA=2 x\n"),
    ('A=1\nA="2\n', {"B": "3"}, 'A=1\nA="2\nB="3"\n'),
    ("A=1\nA = 2\n", {}, 'A="2"\n'),
    ("A=1 \\\n# why\n", {"A": "2"}, 'A="2" # why\n'),
    ("A = 1 2\n", {}, 'A="1 2"\n'),
    ("A = 1 2\n", {"A": "1 2"}, 'A="1 2"\n'),
    ("A=1 2\n", {"A": "1"}, 'A="1"\n'),
    ('A="1\n2"\nB=3\n', {"A": "4"}, 'A="4"\nB=3\n'),
    ("if x\n\n  B=1\n", {"A": "b"}, 'if x\n\n  B=1\nA="b"\n'),
    # What may or may not count is no setting, and what it may undo comes behind it.
    ("if x; then\n  A=1\nfi\n", {"A": "b"}, 'if x; then\n  A=1\nfi\nA="b"\n'),
    ("if x; then\n  A=1\nfi\n", {}, "if x; then\n  A=1\nfi\n"),
    ("A=1\nif x; then A=2; fi\n", {"A": "b"}, 'if x; then A=2; fi\nA="b"\n'),
    ("A=1 # why\n[ -f /x ] && . /x\n", {"A": "b"}, '[ -f /x ] && . /x\nA="b"\n'),
    ("#A=1\nunset A\nB=1\n", {"A": "b"}, '#A=1\nunset A\nB=1\nA="b"\n'),
    ("if x; then\n  #A=1\n  y\nfi\n", {"A": "b"}, 'if x; then\n  #A=1\n  y\nfi\nA="b"\n'),
    ("x &&\nA=1\nB=2\n", {"A": "b"}, 'x &&\nA=1\nB=2\nA="b"\n'),
    ("x \\\nA=1\n", {"A": "b"}, 'x \\\nA=1\nA="b"\n'),
]


@pytest.mark.parametrize("text, settings, expected", RENDERED)
def test_render(text: str, settings: t.Dict[str, t.Optional[str]], expected: str) -> None:
    found = assignments.render(text, settings)
    assert found == expected
    assert assignments.render(found, settings) == found


def test_render_at_the_end() -> None:
    assert assignments.render("#A=1\nB=1\n", {"A": "2"}, commented=False) == '#A=1\nB=1\nA="2"\n'


def test_only_bash_adds() -> None:
    text = "A=1\nA+=2\nB+=3\n"
    assert assignments.parse(text) == {"A": "12", "B": "3"}
    assert assignments.parse(text, bash=False) == {"A": "1"}
    assert assignments.render(text, {"B": "4"}, bash=False) == 'A=1\nA+=2\nB="4"\n'
    assert assignments.render(text, {"A": "1"}, bash=False) == 'A="1"\nB+=3\n'


# What dash makes of a file with A=1 behind these lines: whether it gets to it.
SPOILT = [
    ('B="x', True),
    ("B='x", True),
    ("if true; then", True),
    ("return 0", True),
    ("B=1 return 0", True),
    ("B=1; exit", True),
    ("; B=1", True),
    ("B=1;;C=2", True),
    ("cat > /dev/null <<X", True),
    ("B=(1 2)", True),
    ("B=$(echo", True),
    ("B=`echo", True),
    ("B=${C", True),
    ("export B=1 c-d", True),
    ("}", True),
    ("nonsense", False),
    ("B = 1", False),
    ("B=1 no-such-command", False),
    ("B=1; C=2", False),
    ('B="$(echo x)"', False),
    ("B='$('", False),
    ("B=\"it's\" # it's", False),
    ("# if (", False),
    ("B=`echo x`", False),
    ("B=a$(echo y)b", False),
    ('B="`echo \\"x\\"`"', False),
    ("B=${C:-x}", False),
    ("B=${C?x}", True),
    ("B=$(if)", True),
    ("B=1;", False),
    ("B=1; C=2 # why", False),
    ("export B", False),
    ("export B=1 C", False),
    ("export a-b", True),
    ("unset B C", False),
    ("set -a", False),
    ("set -e; false", True),
    ("if true; then\n  export B+=1\nfi", True),
    ("if true; then\n  export B+=1\n  C=~\nfi", True),
    ("\\exit", True),
    ('"exit"', True),
    ('B= "x y"', False),
    ("exec true", True),
    ("[ -f /etc/os-release ] && . /etc/os-release", False),
    ("[ -r /no/file ] && . /no/file", False),
    ('if [ -r "/no/file" ]; then\n  . /no/file\nfi', False),
    ("[ -r /no/file ] || . /no/file", True),
    (". /no/file", True),
    ("no-such-command 2> /dev/null || true", False),
    ("times > /no/file", True),
    ("if true; then B=1; fi", False),
    ("if false\nthen\n  B=1\nelif true; then\n  B=2\nelse\n  B=3\nfi # why", False),
    ("if true; then\n  exit\nfi", True),
    ("if true; then fi", True),
    ("if true; then\nB=1", True),
    ("fi", True),
    ("true &&", False),
    ("true |\n  cat && B=1", False),
    ("B=1 &&", False),
    ("true &&\ntrue; fi", True),
    ("true &&\nB=(1 2)", True),
]


@pytest.mark.parametrize("line, spoilt", SPOILT)
def test_what_spoils_the_whole_file(line: str, spoilt: bool) -> None:
    assert bool(assignments.spoils(f"{line}\nA=1\n", bash=False)) == spoilt


# bash, as sh, knows arrays and goes on behind some errors.
@pytest.mark.skipif(shutil.which("dash") is None, reason="no dash")
@pytest.mark.parametrize("line, spoilt", SPOILT)
def test_a_shell_agrees(tmp_path: t.Any, line: str, spoilt: bool) -> None:
    (tmp_path / "file").write_text(f"{line}\nA=1\n")
    script = '. "$1"; if [ "$A" = 1 ]; then echo good; fi'
    done = subprocess.run(
        ["dash", "-c", script, "dash", str(tmp_path / "file")],
        check=False, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, universal_newlines=True,
    )  # fmt: skip
    assert (done.stdout != "good\n") == spoilt


UNSURE: t.List[t.Tuple[str, t.Dict[str, t.Optional[str]], t.List[str]]] = [
    ("A=1\n", {"A": "1", "B": None}, []),
    ("A=1\nif x; then A=2; fi\n", {"A": "1"}, ["A"]),
    ("if x; then A=2; fi\nA=1\n", {"A": "1"}, []),
    ("if x; then A=2; fi\n", {"A": None, "B": None}, ["A"]),
    ("A=1\nB=2; A=3\n", {"A": "1"}, ["A"]),
    ("A=1\n: ${A:=2}\n", {"A": "1"}, ["A"]),
    ("A=1\nA=2 no-such-command\n", {"B": "1"}, []),
    ("A=1\n[ -f /x ] && . /x\n", {"A": "1", "B": None}, ["A"]),
    ("A=1\nx() { A=2; }\n", {"A": "1"}, []),
]


@pytest.mark.parametrize("text, settings, expected", UNSURE)
def test_what_may_be_undone_is_told(
    text: str, settings: t.Dict[str, t.Optional[str]], expected: t.List[str]
) -> None:
    assert assignments.unsure(text, settings) == expected


def test_bash_knows_more_expansions() -> None:
    text = "B=${C/x/y}\nA=1\n"
    assert assignments.spoils(text) == ""
    assert assignments.spoils(text, bash=False).startswith("line 1: B has what a shell fails at")


def test_behind_export_sh_takes_adding_for_the_end() -> None:
    text = "export A+=1\n"
    assert "at which sh ends" in assignments.spoils(text, bash=False)
    assert assignments.spoils(text) == ""


ENDLESS = ["A=b\\\n" * 5000, 'A="b\n' * 5001, 'A="b\n' + "# why\nB=1\n" * 5000]


@pytest.mark.parametrize("text", ENDLESS, ids=["backslashes", "quotes", "one-quote"])
def test_a_value_that_never_ends_costs_no_more_than_a_look_at_each_line(text: str) -> None:
    started = time.process_time()
    found = assignments.lines(text)
    assert time.process_time() - started < 10
    assert "".join(line.text + "\n" for line in found) == text
