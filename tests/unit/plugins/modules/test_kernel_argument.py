# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

import typing as t

import pytest

from ansible_collections.kdump.fleet.plugins.modules.kernel_argument import option_problems


@pytest.mark.parametrize(
    "value, message",
    [
        ([], "leave the option out"),
        ([""], "leave the option out"),
        (["a", ""], "leave the option out"),
        # What an unquoted on comes to.
        (["True"], "put the word that is meant in quotes"),
        (["False"], "put the word that is meant in quotes"),
    ],
)
def test_what_yaml_makes_of_a_value_is_caught(value: t.List[str], message: str) -> None:
    (problem,) = option_problems(value)
    assert message in problem


@pytest.mark.parametrize("value", [None, ["on"], ["0x20"], ["tty0", "ttyS0"]])
def test_values(value: t.Optional[t.List[str]]) -> None:
    assert option_problems(value) == []
