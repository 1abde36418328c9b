# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

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
    ("A = 1 2\n", {}, 'A="1 2"\n'),
    ("A = 1 2\n", {"A": "1 2"}, 'A="1 2"\n'),
    ("A=1 2\n", {"A": "1"}, 'A="1"\n'),
    ('A="1\n2"\nB=3\n', {"A": "4"}, 'A="4"\nB=3\n'),
    ("if x\n\n  B=1\n", {"A": "b"}, 'if x\n\n  B=1\nA="b"\n'),
]


@pytest.mark.parametrize("text, settings, expected", RENDERED)
def test_render(text: str, settings: t.Dict[str, t.Optional[str]], expected: str) -> None:
    found = assignments.render(text, settings)
    assert found == expected
    assert assignments.render(found, settings) == found


def test_render_at_the_end() -> None:
    assert assignments.render("#A=1\nB=1\n", {"A": "2"}, commented=False) == '#A=1\nB=1\nA="2"\n'
