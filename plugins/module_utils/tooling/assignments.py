# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""Files of KEY="value" lines that a shell reads: /etc/default/kdump-tools, /etc/sysconfig/kdump. Pure.

Every line that is not changed stays as it is. Grammar: POSIX.1-2017, Shell Command Language, of one assignment a
line; a value may go on over several lines in quotes or with a backslash. bash's += is read too, where bash reads the
file. A shell's blanks are the space and the tab alone, unlike Python's.
"""

import re
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.tooling.base import ConfigFile

BLANKS = "has blanks around '=', which a shell takes for a command"
SPOILT = "a shell may not get to the lines behind it"

_HEAD = re.compile(r"([ \t]*(?:export[ \t]+)?)([A-Za-z_][A-Za-z0-9_]*)([ \t]*)(\+?=)")
_ASSIGNED = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\+?=")
_QUOTED = re.compile(r"'[^']*'|\"((?:\\.|[^\"\\])*)\"|\\.", re.S)
_CLOSED = re.compile(r"\$?\([^()`]*\)|\$?\{[^{}`]*\}|`[^`]*`", re.S)
# Commands and keywords after which a shell may skip, end or read otherwise what comes next.
_STEERING = frozenset(
    (
        *("!", ".", "[[", "alias", "break", "case", "continue", "declare", "do", "done", "elif", "else"),
        *("esac", "eval", "exec", "exit", "export", "fi", "for", "function", "if", "local", "readonly"),
        *("return", "select", "set", "shift", "shopt", "source", "then", "time", "trap", "typeset"),
        *("unset", "until", "while", "{", "}"),
    )
)  # fmt: skip
# With one of these, what a shell makes of a line takes a shell to tell.
_WILD = re.compile(r"['\"\\$`<>()&|\n]")


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
    spoils: bool  # a shell may not get to the lines behind it


class _Value:
    """What stands behind the =, as a shell sees it; it takes one line after the other until it ends."""

    def __init__(self) -> None:
        self.words: t.List[str] = []
        self.comment = ""  # from the blank before its #
        self.operator = ""  # of the shell, the first outside of quotes: it ends the value
        self._quote = ""
        self._word: t.Optional[t.List[str]] = None
        self._fresh = True  # nothing but the = stands before
        self._command = False  # it begins with $(, in which operators are right

    @property
    def state(self) -> t.Tuple[str, bool]:
        """Return all that decides how the next line is read."""
        return self._quote, self._word is None

    def _add(self, text: str) -> None:
        self._word = [] if self._word is None else self._word
        self._word.append(text)

    def feed(self, line: str) -> bool:
        """Take a line; say whether the value ends with it: no quote and no backslash waits for the next."""
        self._command = self._command or (self._fresh and line.startswith("$("))
        position = 0
        while position < len(line):
            char, following = line[position], line[position + 1 : position + 2]
            position += 1
            fresh, self._fresh = self._fresh, False
            if self._quote and char == self._quote:
                self._quote = ""
            elif self._quote == "'":
                self._add(char)
            elif char == "\\" and (not self._quote or following in ("", '"', "\\", "$", "`")):
                if not following:
                    return False
                position += 1
                # What a backslash takes the meaning from keeps it in sight: it is nothing for a plain value.
                self._add((char if following in "$`" else "") + following)
            elif not self._quote and char in "\"'":
                self._quote = char
                self._add("")
            elif not self._quote and char in " \t":
                self._end_word()
            elif not self._quote and char == "#" and self._word is None and not fresh:
                self.comment = line[len(line[: position - 1].rstrip(" \t")) :]
                return True
            else:
                self._add(char)
                if not self._quote and char in ";&|<>()" and not self._command:
                    self.operator = self.operator or char
        if self._quote:
            self._add("\n")
            return False
        self._end_word()
        return True

    def _end_word(self) -> None:
        if self._word is not None:
            self.words.append("".join(self._word))
        self._word = None


def lines(text: str) -> t.List[Line]:
    """Return the lines of a file, blank ones and comments too."""
    physical = text.split("\n")
    if physical[-1] == "":
        physical.pop()
    result = []
    endless: t.Set[t.Tuple[int, str, bool]] = set()
    index = 0
    while index < len(physical):
        count = _length(physical, index, endless)
        result.append(_line(index + 1, "\n".join(physical[index : index + count])))
        index += count
    return result


def _length(physical: t.Sequence[str], index: int, endless: t.Set[t.Tuple[int, str, bool]]) -> int:
    """Return how many lines a value takes; 1 if it never ends, or there is none.

    :param endless: where a value never ends: the line, and the state that it is in; what is found is added.
    """
    head = _HEAD.match(physical[index])
    if head is None:
        return 1
    value = _Value()
    passed = []
    for number in range(index, len(physical)):
        if value.feed(physical[number][head.end() if number == index else 0 :]):
            return number - index + 1
        passed.append((number + 1, *value.state))
        if passed[-1] in endless:
            break
    endless.update(passed)
    return 1


def _line(number: int, text: str) -> Line:
    head = _HEAD.match(text)
    if head is None:
        plain = not text.strip(" \t") or text.lstrip(" \t").startswith("#")
        reason = "" if plain else 'is no KEY="value" line'
        return _judged(Line(number, text, "", "", False, reason, "", "", "", False))
    prefix, key, gap, operator = head.groups()
    raw = text[head.end() :]
    found = _Value()
    # All but the last of its lines go on.
    closed = [found.feed(part) for part in raw.split("\n")][-1]
    value = found.words[0] if found.words else ""
    spaced = bool(gap) or (bool(found.words) and raw[:1] in (" ", "\t"))
    reason = mended = ""
    if not closed:
        reason, value = "has a quote that is never closed", raw.strip(" \t")
    elif _open_substitution(raw[: len(raw) - len(found.comment)]):
        reason = "has a substitution that is never closed"
    elif found.operator:
        reason = f"has {found.operator!r} outside of quotes, where a shell takes it for the end of the value"
    elif spaced:
        reason = BLANKS
        # Nobody would have written one word for each of several settings like this.
        value = " ".join(found.words)
        if operator == "=" and _plain(value):
            mended = _assigned(prefix, key, value, found.comment)
    elif len(found.words) > 1:
        reason = f'has a value with blanks outside of quotes; write {key}="..."'
    return _judged(
        Line(
            *(number, text, key, value, operator == "+=", reason, mended),
            *(prefix, found.comment, "never closed" in reason),
        )
    )


def _judged(line: Line) -> Line:
    """Return a line with what it does to the ones behind it, where it is no good one."""
    if not line.reason or line.mended or not (line.spoils or _steers(line.text)):
        return line
    return line._replace(reason=f"{line.reason}, and {SPOILT}", spoils=True)


def _steers(text: str) -> bool:
    """Say whether a line that a shell runs may do more than to fail."""
    commands = text.split(";")
    for command in commands:
        words = command.split()
        while words and _ASSIGNED.match(words[0]):
            words.pop(0)
        if _WILD.search(command) or (words and words[0] in _STEERING):
            return True
    return any(not command.strip() for command in commands[:-1])


def _open_substitution(raw: str) -> bool:
    """Say whether a value has a $(, ${ or ` that is never closed."""
    rest = _QUOTED.sub(lambda found: re.sub(r"\\.", "", found.group(1) or "", flags=re.S), raw)
    before = ""
    while rest != before:
        before, rest = rest, _CLOSED.sub("", rest)
    return bool(re.search(r"\$[({]|`", rest))


def _plain(value: str) -> bool:
    return value.isprintable() and not re.search(r"[\"\\$`]", value)


def assignment(key: str, value: str) -> str:
    """Return the line that sets a value without characters that are special in double quotes."""
    return f'{key}="{value}"'


def _assigned(prefix: str, key: str, value: str, comment: str) -> str:
    # On a line of its own, behind a backslash, a comment has no blank before it.
    return prefix + assignment(key, value) + (" " if comment.startswith("#") else "") + comment


def parse(text: str, bash: bool = True) -> t.Dict[str, str]:
    """Return the settings; the last one of a key counts, and += adds to it.

    :param bash: it reads the file; any other shell takes KEY+=value for a command.
    """
    settings: t.Dict[str, str] = {}
    for line in lines(text):
        if line.key and (bash or not line.adds):
            settings[line.key] = (settings.get(line.key, "") if line.adds else "") + line.value
    return settings


def spoils(text: str, bash: bool = True) -> str:
    """Return why a shell may not read a file to its end, or ''. It may then lack what is set anywhere in it.

    :param bash: see parse().
    """
    for line in lines(text):
        if line.spoils:
            return f"line {line.number}: {line.key or 'it'} {line.reason}"
        if line.adds and not bash and line.prefix.strip():
            return f"line {line.number}: {line.key} is added to behind 'export', at which sh ends"
    return ""


def render(
    text: str,
    settings: t.Mapping[str, t.Optional[str]],
    commented: bool = True,
    bash: bool = True,
) -> str:
    """Return the text with these settings; None takes one out.

    ``render(text, {})`` is the mended file: ``KEY = value`` becomes ``KEY="value"``, and of several lines for one
    key the last one stays, which is the one that counts.

    :param commented: put a new setting below the comment that shows it (``#KEY=``), if there is one.
    :param bash: see parse().
    """
    before = parse(text, bash)
    result = lines(text)
    keys = list(dict.fromkeys(line.key for line in result if line.key))
    for key in keys:
        value = settings[key] if key in settings else before.get(key, "")
        result = _with_setting(result, key, value, key in settings)
    for key, value in settings.items():
        if key not in keys and value is not None:
            place = len(result)
            for index, line in enumerate(result):
                if commented and re.match(rf"[ \t]*#[ \t]*{re.escape(key)}[ \t]*=", line.text):
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
    if not wanted and last.reason and not last.mended:
        # A shell takes nothing from the last line, so an earlier one counts.
        return list(found)
    good = not last.reason and not last.adds and last.value == value
    new = last
    if wanted and not good:
        new = _line(last.number, _assigned(last.prefix, key, value, last.comment))
    elif last.mended:
        new = _line(last.number, last.mended)
    return [new if line is last else line for line in found if line.key != key or line is last]


def line_problems(text: str) -> t.List[t.Tuple[int, str, str, str]]:
    """Return line number, key ('' if there is none), value and reason of every line that a shell would misread."""
    return [(line.number, line.key, line.value, line.reason) for line in lines(text) if line.reason]


class ShellFile(ConfigFile):
    """A tooling's configuration that is such a file; the rules for its settings are the tooling's."""

    bash = True  # it reads the file; see parse()
    commented = True  # comments show settings as they would be set; see render()

    def parse(self, text: str) -> t.Dict[str, str]:
        return parse(text, self.bash)

    def render(
        self,
        text: str,
        settings: t.Mapping[str, t.Optional[str]],
        release: t.Optional[str] = None,
    ) -> str:
        del release
        return render(text, settings, self.commented, self.bash)

    def spoils(self, text: str) -> str:
        return spoils(text, self.bash)
