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

from ansible_collections.kdump.fleet.plugins.module_utils.tooling import shell_reader
from ansible_collections.kdump.fleet.plugins.module_utils.tooling.base import (
    REDACTED,
    SECRET,
    ConfigFile,
    open_quote,
)

BLANKS = "has blanks around '=', which a shell takes for a command"
SPOILT = "a shell may not get to the lines behind it"
STOPS = "has what a shell fails at, or may"
INSIDE = "is a part of a longer command, so that it may not count"

_HEAD = re.compile(r"([ \t]*(?:export[ \t]+)?)([A-Za-z_][A-Za-z0-9_]*)([ \t]*)(\+?=)")
_QUOTED = re.compile(r"'[^']*'|\"((?:\\.|[^\"\\])*)\"|\\.", re.S)
_CLOSED = re.compile(r"\$?\([^()`]*\)|\$?\{[^{}`]*\}|`[^`]*`", re.S)
# How often a file is read again without a line that is good for itself.
_ATTEMPTS = 20


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
    inside: bool = (
        False  # of a command over several lines: it sets nothing for sure, and so has no key
    )

    @property
    def good(self) -> bool:
        """Say whether the line sets its key to its value, or would once it is mended."""
        return bool(self.key) and (not self.reason or bool(self.mended))


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


def lines(text: str, bash: bool = True) -> t.List[Line]:
    """Return the lines of a file, blank ones and comments too.

    :param bash: see parse().
    """
    return _read(text, bash)[0]


def _read(text: str, bash: bool) -> t.Tuple[t.List[Line], t.Dict[str, int]]:
    """Return the lines, and the last one that sets or unsets a name in a way that may or may not count."""
    apart = _apart(text)
    reading = _reading(apart, bash)
    found = [_judged(line, reading) for line in apart]
    sure = {(line.number, line.key) for line in found if line.good}
    return found, {
        name: number for number, name in sorted(reading.sets) if (number, name) not in sure
    }


def _apart(text: str) -> t.List[Line]:
    """Return the lines of a file, each by itself."""
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
        return Line(number, text, "", "", False, reason, "", "", "", False)
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
    spoils = "never closed" in reason
    if spoils:
        reason = f"{reason}, and {SPOILT}"
    return Line(
        *(number, text, key, value, operator == "+=", reason, mended),
        *(prefix, found.comment, spoils),
    )


def _reading(found: t.Sequence[Line], bash: bool) -> shell_reader.Reading:
    """Return what a shell makes of all lines together."""
    # One that has a plain meaning is read with that: it is mended before anything depends on it.
    texts = [line.text for line in found]
    for index, line in enumerate(found):
        if line.mended:
            texts[index] = line.mended + "\n" * (line.text.count("\n") - line.mended.count("\n"))
    for _attempt in range(_ATTEMPTS):
        reading = shell_reader.read("".join(text + "\n" for text in texts), bash)
        if not reading.stop:
            break
        # What waits for more at the end stops at no line.
        at = max(index for index, line in enumerate(found) if line.number <= reading.stop)
        reading = reading._replace(stop=found[at].number)
        if reading.sure or not found[at].good:
            break
        # What it has is more than is read there, but it is closed, and so it is no more than a value.
        texts[at] = "\n" * texts[at].count("\n")
    return reading


def _judged(line: Line, reading: shell_reader.Reading) -> Line:
    """Return a line with what it is among the others."""
    span = (line.number, line.number + line.text.count("\n"))
    for first, end in reading.blocks:
        own = first == line.number and (line.spoils or end == span[1])
        if first <= line.number <= end and not own:
            reason = "" if not line.key and not line.reason else line.reason or INSIDE
            stops = line.number == reading.stop
            if stops and not line.spoils:
                reason = f"{reason or STOPS}, and {SPOILT}"
            return Line(line.number, line.text, "", "", False, reason, "", "", "", stops or span[1] > end, True)  # fmt: skip
    if line.spoils or line.number != reading.stop:
        return line
    return line._replace(reason=f"{line.reason or STOPS}, and {SPOILT}", spoils=True)


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
    for line in lines(text, bash):
        if line.key and (bash or not line.adds):
            settings[line.key] = (settings.get(line.key, "") if line.adds else "") + line.value
    return settings


def spoils(text: str, bash: bool = True) -> str:
    """Return why a shell may not read a file to its end, or ''. It may then lack what is set anywhere in it.

    :param bash: see parse().
    """
    for line in lines(text, bash):
        if line.adds and not bash and line.prefix.strip():
            return f"line {line.number}: {line.key} is added to behind 'export', at which sh ends"
        if line.spoils:
            return f"line {line.number}: {line.key or 'it'} {line.reason}"
    return ""


def render(
    text: str,
    settings: t.Mapping[str, t.Optional[str]],
    commented: bool = True,
    bash: bool = True,
    hiding: t.Callable[[Line], t.Optional[str]] = lambda line: None,
) -> str:
    """Return the text with these settings; None takes one out.

    ``render(text, {})`` is the mended file: ``KEY = value`` becomes ``KEY="value"``, and of several lines for one
    key the last one stays, which is the one that counts.

    :param commented: put a new setting below the comment that shows it (``#KEY=``), if there is one.
    :param bash: see parse().
    :param hiding: returns of a line with a secret what becomes of it, None of any other; none of them goes, so that nothing
        depends on what the secret is.
    """
    before = parse(text, bash)
    result, unsure = _read(text, bash)
    behind = {
        line.key: line.number for line in result if line.key
    }  # the place of each that is there
    for key in list(behind):
        if settings.get(key) is not None and behind[key] < _last(unsure, key):
            # What comes behind it may set something else.
            result = [line for line in result if line.key != key]
            del behind[key]
            continue
        value = settings[key] if key in settings else before.get(key, "")
        result = _with_setting(result, key, value, key in settings, hiding)
    for key, value in settings.items():
        if key not in behind and value is not None:
            place = len(result)
            for index, line in enumerate(result):
                shows = re.match(rf"[ \t]*#[ \t]*{re.escape(key)}[ \t]*=", line.text)
                if commented and shows and not line.inside and line.number > _last(unsure, key):
                    place = index + 1
            result.insert(place, _line(10**9, assignment(key, value)))
    return "".join(line.text + "\n" for line in result)


def _last(unsure: t.Mapping[str, int], key: str) -> int:
    return max(unsure.get(key, 0), unsure.get(shell_reader.ANY, 0))


def unsure(text: str, settings: t.Mapping[str, t.Optional[str]], bash: bool = True) -> t.List[str]:
    """Return which of the settings, as the text has them, may be another when a shell is through with it."""
    found, others = _read(text, bash)
    behind = {line.key: line.number for line in found if line.key}
    return [
        key
        for key, value in settings.items()
        # What is read from another file is its owner's, unless it undoes what is set here.
        if (_last(others, key) if value is not None else others.get(key, 0)) > behind.get(key, 0)
    ]


def _with_setting(
    found: t.Sequence[Line],
    key: str,
    value: t.Optional[str],
    wanted: bool,
    hiding: t.Callable[[Line], t.Optional[str]],
) -> t.List[Line]:
    """Return the lines with one for a key that is there; none for None.

    :param wanted: it is to be set; otherwise it is only mended.
    :param hiding: see render().
    """
    own = [line for line in found if line.key == key]
    last = own[-1]
    if value is None:
        return [line for line in found if line.key != key]
    if not wanted and any(hiding(line) is not None for line in own):
        return [_line(line.number, hiding(line) or line.text) if line in own else line for line in found]  # fmt: skip
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


def with_value(line: Line, value: str, comment: str) -> str:
    """Return the text of a good line with another value and another comment, on as many lines.

    :param value: no longer than the one that is there, in lines.
    """
    head = _HEAD.match(line.text)
    if head is None or value == line.value:
        return line.text[: len(line.text) - len(line.comment)] + comment
    raw = line.text[head.end() :]
    start = raw.lstrip(" \t")
    quote = '"' if value == SECRET else start[:1]
    body = _quoted(value, quote)
    more = line.text.count("\n") - body.count("\n")
    blank = " " if comment.startswith("#") else ""
    return head.group() + raw[: len(raw) - len(start)] + "\\\n" * more + body + blank + comment


def _quoted(value: str, quote: str) -> str:
    """Return a value as parse() reads it, in this quote if it can be."""
    if quote not in ("'", '"') and re.match(r"[A-Za-z0-9_@%+=:,./*-]*\Z", value):
        return value
    if "'" not in value and (quote == "'" or re.search(r"[\"\\$`]", value)):
        return f"'{value}'"
    return '"' + re.sub(r"([\"\\])", r"\\\1", value) + '"'


# A password in a comment, which can have any form: what stands between a colon and the last @.
_IN_COMMENT = re.compile(r"(://[^:\n]*:|:(?!//|\s))[^\n]*(?=@)")
# Behind a value, also what stands in one word with the #, which may be meant as a part of a password.
_BEHIND = re.compile(r"(?<=#)[^\s#][^\n]*(?=@)")
# A value with what looks like lines of their own.
_SWALLOWED = re.compile(r"(?<!\\)\n[ \t]*(#|(export[ \t]+)?[A-Za-z_]\w*[ \t]*\+?=)")
# A key that is a secret's or looks like a misspelt one.
_SECRETIVE = re.compile(r"PASS|SECRET|TOKEN", re.I)


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
        return render(text, settings, self.commented, self.bash, self._hiding)

    def spoils(self, text: str) -> str:
        return spoils(text, self.bash)

    def unsure(self, text: str, settings: t.Mapping[str, t.Optional[str]]) -> t.List[str]:
        return unsure(text, settings, self.bash)

    # What may be shown

    def masked(self, key: str, value: str) -> str:
        hidden = self.secret(key) or any(name in value for name in self.secrets)
        return SECRET if hidden or (self.secrets and _SECRETIVE.search(key)) else value

    def suspicious(self, text: str) -> bool:
        """Say whether text that is no good assignment, all on one line, may have a secret in it."""
        return any(name in text for name in self.secrets)

    def keeps(self, key: str, value: str) -> bool:
        """Say whether a value has a secret that only the file on the host has, by the value as masked() shows it too."""
        del value
        return self.secret(key)

    def _hiding(self, line: Line) -> t.Optional[str]:
        if SECRET not in line.value and self.masked(line.key, line.value) == line.value:
            return None
        return line.mended if self._whole(line) and line.mended else line.text

    def _whole(self, line: Line) -> bool:
        """Say whether a line is good, or can be mended without that what it has would be refused then."""
        return line.good and not (line.mended and self.setting_problem(line.key, line.value))

    def alone(self, text: str, but: t.Collection[str] = ()) -> str:
        kept: t.List[str] = []
        runs = _runs(lines(text, self.bash))
        counts = {run[0].key: run for run in runs}
        for run in runs:
            key, value = run[0].key, "".join(line.value for line in run)
            # What another line has overruled must not come into force.
            good = self._whole(run[0]) and self.keeps(key, value) and counts[key] is run
            if key not in but and (good or (self.secret(key) and not run[0].spoils)):
                kept += [line.text + "\n" for line in run]
        return "".join(kept)

    def redact(self, text: str) -> str:
        """Return the text without secrets, on as many lines, and with each setting where it is."""
        found = lines(text, self.bash)
        values = self._shown_values(found)
        old = self._old_settings(found)
        # A quote is open somewhere, so that nothing is what it looks like.
        torn = any(line.spoils and open_quote(line.text) for line in found)
        shown: t.List[str] = []
        hidden = ""  # what began with a secret and goes on
        for line in found:
            result = self._shown_line(line, values.get(line.number, line.value))
            if hidden and not (line.good and hidden.lstrip(" \t").startswith("#")):
                hidden += line.text + "\n"
                result = _redacted(line)
            elif line.number in old or (torn and SECRET in "".join(shown) and self._obscure(line)):
                result = _redacted(line)
                # A shell stops there, which must not be hidden.
                result = result.replace(REDACTED, f'"{SECRET}', 1) if line.spoils else result
            elif result != line.text and not line.good:
                hidden = line.text + "\n"
            else:
                hidden = ""
            if not line.text.endswith("\\") and not open_quote(hidden):
                hidden = ""
            torn = torn or bool(line.key and _SWALLOWED.search(line.text))
            shown.append(result)
        return "\n".join(shown) + ("\n" if text.endswith("\n") else "")

    def _obscure(self, line: Line) -> bool:
        """Say whether a line may be a part of anything, where a quote is open."""
        return bool(line.text.strip()) and not line.good and not self.masked(line.key, "")

    def _shown_values(self, found: t.Sequence[Line]) -> t.Dict[int, str]:
        """Return the values as they may be shown, by their lines' numbers; of one that others add to, with the whole in sight."""
        result = {}
        for run in _runs(found):
            whole = "".join(line.value for line in run)
            masked = self.masked(run[0].key, whole)
            for index, line in enumerate(run):
                shown = "" if index and self.bash else SECRET if index or not self.bash else masked
                result[line.number] = line.value if masked == whole else masked if len(run) == 1 else shown  # fmt: skip
        return result

    def _shown_line(self, line: Line, value: str) -> str:
        """Return a line without secrets.

        :param value: its own, without them.
        """
        if self._whole(line) or (line.good and value == line.value):
            return with_value(line, value, self._shown_behind(line))
        if line.text.lstrip(" \t").startswith("#"):
            return self._shown_comment(line.text)
        joined = line.text.replace("\\\n", "").replace("\n", " ")
        secret = line.good or self.masked(line.key, "") or self.suspicious(joined)
        if not secret:
            return line.text
        head = _HEAD.match(line.text)
        if head and (head.group(3) or line.text[head.end() :][:1] in (" ", "\t")):
            # So it is not mended, which what it stands for cannot be.
            goes_on = "\\\n" * line.text.count("\n")
            # A command of which nobody knows what it is stays one.
            words = f'"$" {SECRET}' if line.spoils else f'{SECRET} "$"'
            shown = f"{head.group()} {goes_on}{words}{self._shown_behind(line)}"
        else:
            blanks = line.text[: len(line.text) - len(line.text.lstrip(" \t"))]
            shown = blanks + shell_reader.skeleton(line.text, SECRET)
            if not shown.strip():
                shown = f'{head.group()}"{SECRET}' if head else REDACTED
        missing = line.text.count("\n") - shown.count("\n")
        if not head:
            return shown + f"\n{REDACTED}" * missing
        start, sign, rest = shown.partition("=")
        return start + sign + "\\\n" * missing + rest

    def _shown_comment(self, text: str) -> str:
        shown = _IN_COMMENT.sub(rf"\g<1>{SECRET}", text)
        if self.suspicious(shown.replace(f":{SECRET}@", "@")):
            return text[: len(text) - len(text.lstrip(" \t"))] + REDACTED
        return shown

    def _shown_behind(self, line: Line) -> str:
        comment = line.comment
        if comment and self.masked(line.key, ""):
            # Behind a secret it may be one from before.
            return comment[: len(comment) - len(comment.lstrip(" \t"))] + REDACTED
        return self._shown_comment(_BEHIND.sub(SECRET, comment))

    def _old_settings(self, found: t.Sequence[Line]) -> t.Set[int]:
        """Return the numbers of comments that are a setting with a secret together, which goes on over several."""
        result: t.Set[int] = set()
        block: t.List[Line] = []
        for line in [*found, _line(0, "")]:
            if line.text.lstrip(" \t").startswith("#"):
                block.append(line)
                continue
            text = "\n".join(re.sub(r"\A[ \t]*#+[ \t]?", "", each.text) for each in block)
            for setting in _apart(text) if len(block) > 1 else ():
                count = setting.text.count("\n")
                if count and self._shown_line(setting, self.masked(setting.key, setting.value)) != setting.text:  # fmt: skip
                    first = setting.number - 1
                    result.update(each.number for each in block[first : first + count + 1])
            block = []
        return result


def _redacted(line: Line) -> str:
    return "\n".join([REDACTED] * (line.text.count("\n") + 1))


def _runs(found: t.Sequence[Line]) -> t.List[t.List[Line]]:
    """Return the lines with a key, each with those that add to it, in the order of the first ones."""
    result: t.List[t.List[Line]] = []
    last: t.Dict[str, t.List[Line]] = {}
    for line in found:
        if line.key and line.adds and line.good and line.key in last:
            last[line.key].append(line)
        elif line.key:
            last[line.key] = [line]
            result.append(last[line.key])
    return result
