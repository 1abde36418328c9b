# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""Files of KEY="value" lines that a shell reads: /etc/default/kdump-tools, /etc/sysconfig/kdump. Pure.

Every line that is not changed stays as it is. Grammar: POSIX.1-2017, Shell Command Language, of one assignment a
line; a value may go on over several lines in quotes or with a backslash. bash's += is read too.
"""

import re
import typing as t

BLANKS = "has blanks around '=', which a shell takes for a command"

_HEAD = re.compile(r"(\s*(?:export\s+)?)([A-Za-z_][A-Za-z0-9_]*)(\s*)(\+?=)")


class Line(t.NamedTuple):
    """One line of a file; with a value that goes on over several, all of them."""

    number: int  # of its first line, from 1
    text: str  # as it stands, without the newline at its end
    key: str  # '' where nothing is set
    value: str  # as a shell sees it, but $ and ` are not expanded
    adds: bool  # +=, which only bash has
    reason: str  # why the line does not do what it looks like, or ''
    mended: str  # the line as it should be, where its meaning is plain; else ''
    prefix: str  # what stands before the key
    comment: str  # what stands behind the value


class _Words(t.NamedTuple):
    words: t.List[str]
    comment: str  # from the blank before its #
    closed: bool  # no quote and no backslash waits for the next line
    operator: str  # of the shell, the first outside of quotes: it ends the value; or ''


def lines(text: str) -> t.List[Line]:
    """Return the lines of a file, blank ones and comments too."""
    physical = text.split("\n")
    if physical[-1] == "":
        physical.pop()
    result = []
    index = 0
    while index < len(physical):
        count = 1
        if _HEAD.match(physical[index]):
            count = _length(physical, index)
        result.append(_line(index + 1, "\n".join(physical[index : index + count])))
        index += count
    return result


def _length(physical: t.Sequence[str], index: int) -> int:
    """Return how many lines a value takes; 1 if it never ends."""
    for end in range(index + 1, len(physical) + 1):
        text = "\n".join(physical[index:end])
        head = _HEAD.match(text)
        if head and _split(text[head.end() :]).closed:
            return end - index
    return 1


def _line(number: int, text: str) -> Line:
    head = _HEAD.match(text)
    if head is None:
        plain = not text.strip() or text.lstrip().startswith("#")
        reason = "" if plain else 'is no KEY="value" line'
        return Line(number, text, "", "", False, reason, "", "", "")
    prefix, key, gap, operator = head.groups()
    raw = text[head.end() :]
    found = _split(raw)
    value = found.words[0] if found.words else ""
    spaced = bool(gap) or (bool(found.words) and raw[:1].isspace())
    reason = mended = ""
    if not found.closed:
        reason, value = "has a quote that is never closed", raw.strip()
    elif found.operator:
        reason = f"has {found.operator!r} outside of quotes, where a shell takes it for the end of the value"
    elif spaced:
        reason = BLANKS
        # Nobody would have written one word for each of several settings like this.
        value = " ".join(found.words)
        if operator == "=" and _plain(value):
            mended = f"{prefix}{assignment(key, value)}{found.comment}"
    elif len(found.words) > 1:
        reason = f'has a value with blanks outside of quotes; write {key}="..."'
    return Line(
        *(number, text, key, value, operator == "+=", reason, mended, prefix, found.comment)
    )


def _split(raw: str) -> _Words:
    """Return the words of what stands behind the =, as a shell sees them."""
    words: t.List[str] = []
    word: t.Optional[str] = None
    quote = operator = ""
    position = 0
    while position < len(raw):
        char, following = raw[position], raw[position + 1 : position + 2]
        position += 1
        if quote == "'" or (quote and char == quote):
            quote, word = ("", word or "") if char == quote else (quote, (word or "") + char)
        elif char == "\\" and (not quote or following in ('"', "\\", "$", "`", "\n")):
            if not following:
                return _Words(words, "", False, operator)
            position += 1
            if following != "\n":
                # What a backslash takes the meaning from keeps it in sight: it is nothing for a plain value.
                word = (word or "") + (char if following in "$`" else "") + following
        elif not quote and char in "\"'":
            quote, word = char, word or ""
        elif not quote and char in " \t\n":
            words += [] if word is None else [word]
            word = None
        elif not quote and char == "#" and word is None and position > 1:
            start = len(raw[: position - 1].rstrip(" \t"))
            return _Words(words, raw[start:], True, operator)
        else:
            word = (word or "") + char
            if not quote and char in ";&|<>()" and not raw.startswith("$("):
                operator = operator or char
    words += [] if word is None else [word]
    return _Words(words, "", not quote, operator)


def _plain(value: str) -> bool:
    return value.isprintable() and not re.search(r"[\"\\$`]", value)


def assignment(key: str, value: str) -> str:
    """Return the line that sets a value without characters that are special in double quotes."""
    return f'{key}="{value}"'


def parse(text: str) -> t.Dict[str, str]:
    """Return the settings; the last one of a key counts, and += adds to it."""
    settings: t.Dict[str, str] = {}
    for line in lines(text):
        if line.key:
            settings[line.key] = (settings.get(line.key, "") if line.adds else "") + line.value
    return settings


def render(text: str, settings: t.Mapping[str, t.Optional[str]], commented: bool = True) -> str:
    """Return the text with these settings; None takes one out.

    ``render(text, {})`` is the mended file: ``KEY = value`` becomes ``KEY="value"``, and of several lines for one
    key the last one stays, which is the one that counts.

    :param commented: put a new setting below the comment that shows it (``#KEY=``), if there is one.
    """
    before = parse(text)
    result = lines(text)
    keys = list(dict.fromkeys(line.key for line in result if line.key))
    for key in keys:
        value = settings[key] if key in settings else before[key]
        result = _with_setting(result, key, value, key in settings)
    for key, value in settings.items():
        if key not in before and value is not None:
            place = len(result)
            for index, line in enumerate(result):
                if commented and re.match(rf"\s*#\s*{re.escape(key)}\s*=", line.text):
                    place = index + 1
            result.insert(place, _line(0, assignment(key, value)))
    return "".join(line.text + "\n" for line in result)


def _with_setting(
    found: t.Sequence[Line], key: str, value: t.Optional[str], wanted: bool
) -> t.List[Line]:
    """Return the lines with one for a key that is there; none for None.

    :param wanted: it is to be set; otherwise it is only mended.
    """
    own = [line for line in found if line.key == key]
    last = own[-1]
    if value is None:
        return [line for line in found if line.key != key]
    if not wanted and any(line.adds or "$" in line.value or "`" in line.value for line in own):
        # They build upon each other.
        return list(found)
    good = not last.reason and not last.adds and last.value == value
    new = last
    if wanted and not good:
        new = _line(last.number, f"{last.prefix}{assignment(key, value)}{last.comment}")
    elif last.mended:
        new = _line(last.number, last.mended)
    return [new if line is last else line for line in found if line.key != key or line is last]


def line_problems(text: str) -> t.List[t.Tuple[int, str, str, str]]:
    """Return line number, key ('' if there is none), value and reason of every line that a shell would misread."""
    return [(line.number, line.key, line.value, line.reason) for line in lines(text) if line.reason]
