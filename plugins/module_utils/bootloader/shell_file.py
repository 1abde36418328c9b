# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""Settings files that a shell reads, such as /etc/default/grub: the kernel's arguments in them, edited in place.

Only the wanted words change; comments, quotes and every other byte stay. What comes out is read again, and an edit
that would not do exactly what it should is refused. Grammar: POSIX.1-2017, Shell Command Language, with bash's +=.
"""

import re
import typing as t

from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.argument import Argument
from ansible_collections.kdump.fleet.plugins.module_utils.bootloader.base import (
    BootLoaderError,
    with_values,
)

# Stands in a value for what only the shell knows: $name, ${name}, $(command), `command`.
UNKNOWN = "\x00"

_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)(\+?)=")
_REFERENCE = re.compile(r"\$(?:(\w+)|\{(\w+)\})\Z")
_OPENING = frozenset(("if", "while", "until", "for", "case", "select", "{"))
_CLOSING = frozenset(("fi", "done", "esac", "}"))
_BETWEEN = frozenset(("then", "do", "else", "elif", "!"))
_DECLARING = frozenset(("export", "readonly", "declare", "typeset", "local"))
_PLAIN = re.compile(r"[\w./:=,@%+-]*\Z")


class Assignment(t.NamedTuple):
    """One NAME=value or NAME+=value of a file."""

    name: str
    adds: bool  # +=
    start: int  # of the value in the file
    end: int
    value: str  # as the shell sees it, with UNKNOWN for each expansion
    spans: t.Tuple[t.Tuple[int, int], ...]  # where each character of value stands in the file
    quotes: str  # which quote each character of value stands in, a blank for none
    expansions: t.Tuple[str, ...]  # what the UNKNOWNs are, as written
    closing: str  # the quote that ends it, or ''
    conditional: bool  # inside of if, a loop, a function or after && and ||: it may not run
    line: int  # from 1

    @property
    def keeps(self) -> bool:
        """Say whether what the variable had before is part of the new value."""
        return self.adds or self.name in self.references

    @property
    def references(self) -> t.List[str]:
        """Return the names of the variables whose whole value is in it."""
        found = (_REFERENCE.match(text) for text in self.expansions)
        return [match.group(1) or match.group(2) for match in found if match]


class _Word(t.NamedTuple):
    start: int
    end: int
    value: str
    spans: t.List[t.Tuple[int, int]]
    quotes: str
    expansions: t.List[str]
    closing: str


class _Reader:
    """Finds the assignments of a shell file."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.position = 0
        self.found: t.List[Assignment] = []
        self.depth = 0  # of if, loops and functions
        self.parentheses = 0
        self.chained = False  # after && or ||

    def read(self) -> t.List[Assignment]:
        text = self.text
        command: t.List[_Word] = []
        skipping = False  # the next word is a redirection's file
        while self.position < len(text):
            char = text[self.position]
            if text.startswith("\\\n", self.position):
                self.position += 2
            elif char in " \t\r":
                self.position += 1
            elif char == "#":
                end = text.find("\n", self.position)
                self.position = len(text) if end < 0 else end
            elif char == "\n" and self.chained and not command:
                self.position += 1  # what && and || chain may stand on the next line
            elif char in "\n;&|()":
                self._finish(command)
                command = []
                operator = text[self.position : self.position + 2]
                self.position += 2 if operator in ("&&", "||", ";;") else 1
                self.chained = operator in ("&&", "||")
                if char == "(":
                    self.parentheses += 1
                elif char == ")" and self.parentheses:
                    self.parentheses -= 1
            elif char in "<>":
                if text.startswith("<<", self.position) and not text.startswith(
                    "<<<", self.position
                ):
                    raise self._cannot("a here-document")
                self.position += 1
                skipping = True
            else:
                word = self._word()
                if skipping:
                    skipping = False
                else:
                    command.append(word)
        self._finish(command)
        return self.found

    def _cannot(self, what: str) -> BootLoaderError:
        line = self.text.count("\n", 0, self.position) + 1
        return BootLoaderError(f"line {line}: {what} is nothing that can be edited safely")

    def _finish(self, command: t.List[_Word]) -> None:
        """Take the assignments of one simple command."""
        conditional = self.chained or self.depth > 0 or self.parentheses > 0
        while command:
            raw = self.text[command[0].start : command[0].end]
            if raw in _OPENING:
                self.depth += 1
            elif raw in _CLOSING:
                self.depth = max(0, self.depth - 1)
            elif raw not in _BETWEEN:
                break
            conditional = conditional or self.depth > 0
            command = [] if raw in ("for", "case", "select") else command[1:]
        if command and self.text[command[0].start : command[0].end] in _DECLARING:
            command = [word for word in command[1:] if self._assigned(word)]
        # NAME=value before a program's name is for that program alone.
        if all(self._assigned(word) for word in command):
            for word in command:
                self._take(word, conditional)

    def _assigned(self, word: _Word) -> t.Optional["re.Match[str]"]:
        return _ASSIGNMENT.match(self.text, word.start, word.end)

    def _take(self, word: _Word, conditional: bool) -> None:
        match = self._assigned(word)
        if match is None:
            return
        skip = match.end() - word.start  # characters of NAME=, each of which is itself
        self.found.append(
            Assignment(
                match.group(1),
                bool(match.group(2)),
                match.end(),
                word.end,
                word.value[skip:],
                tuple(word.spans[skip:]),
                word.quotes[skip:],
                tuple(word.expansions),
                word.closing,
                conditional,
                self.text.count("\n", 0, word.start) + 1,
            )
        )

    def _word(self) -> _Word:
        text, start = self.text, self.position
        value: t.List[str] = []
        spans: t.List[t.Tuple[int, int]] = []
        quotes: t.List[str] = []
        expansions: t.List[str] = []
        quote = closing = ""

        def add(char: str, length: int) -> None:
            value.append(char)
            quotes.append(quote or " ")
            spans.append((self.position, self.position + length))
            self.position += length

        while True:
            if self.position >= len(text):
                if quote:
                    self.position = start
                    raise self._cannot(f"a value whose {quote} is never closed")
                break
            char = text[self.position]
            if quote == "'":
                if char == "'":
                    quote, closing = "", "'"
                    self.position += 1
                else:
                    add(char, 1)
                continue
            if not quote and char in " \t\r\n;&|()<>":
                break
            if text.startswith("\\\n", self.position):
                self.position += 2
            elif char == "\\" and self.position + 1 < len(text):
                closing = ""
                if quote and text[self.position + 1] not in '$`"\\':
                    add(char, 1)
                else:
                    add(text[self.position + 1], 2)
            elif char == '"':
                quote, closing = ("", '"') if quote else ('"', "")
                self.position += 1
            elif char == "'" and not quote:
                quote = "'"
                self.position += 1
            elif char in "$`":
                length = self._expansion(bool(quote))
                closing = ""
                if length:
                    expansions.append(text[self.position : self.position + length])
                add(UNKNOWN if length else char, length or 1)
            else:
                closing = ""
                add(char, 1)
        return _Word(
            start, self.position, "".join(value), spans, "".join(quotes), expansions, closing
        )

    def _expansion(self, quoted: bool) -> int:
        """Return how long the expansion that begins here is, 0 if it is none."""
        text, start = self.text, self.position
        if text[start] == "`":
            end = re.compile(r"`(?:[^`\\]|\\.)*`", re.DOTALL).match(text, start)
        elif text.startswith("$(", start):
            return self._balanced("(", ")", False)
        elif text.startswith("${", start):
            return self._balanced("{", "}", quoted)
        elif text.startswith("$'", start) and not quoted:
            end = re.compile(r"\$'(?:[^'\\]|\\.)*'", re.DOTALL).match(text, start)
        else:
            name = re.compile(r"\$(?:[A-Za-z_]\w*|[0-9?#$!@*-])").match(text, start)
            return name.end() - start if name else 0
        if end is None:
            raise self._cannot("a substitution that is never closed")
        return end.end() - start

    def _balanced(self, opening: str, closing: str, quoted: bool) -> int:
        """Return how long a substitution is.

        :param quoted: it is a ${...} between double quotes, where a single quote means nothing.
        """
        text, index, depth, double = self.text, self.position + 1, 0, False
        pattern = re.compile(r"'[^']*'|\\.|.", re.DOTALL)
        while index < len(text):
            if text[index] == "'" and (double or quoted):
                index += 1
                continue
            found = pattern.match(text, index)
            token = found.group(0) if found else text[index]
            if token == '"':
                double = not double
            elif token in (opening, closing) and not double:
                depth += 1 if token == opening else -1
                if depth == 0:
                    return index + 1 - self.position
            index += len(token)
        raise self._cannot("a substitution that is never closed")


def assignments(text: str) -> t.List[Assignment]:
    """Return the assignments of a shell file, in order.

    :raises BootLoaderError: it holds something that is not understood here; the message names the line.
    """
    return _Reader(text).read()


def _chain(found: t.Sequence[Assignment], name: str) -> t.List[Assignment]:
    """Return the assignments that make up a variable's value at the end of the file."""
    own = [item for item in found if item.name == name]
    for index in range(len(own) - 1, -1, -1):
        if not own[index].keeps and not own[index].conditional:
            return own[index:]
    return own


def value_of(text: str, name: str) -> t.Optional[str]:
    """Return what a file sets a variable to, with UNKNOWN for what only the shell knows; None if it does not."""
    found = assignments(text)
    return _joined(found, name, frozenset()) if _chain(found, name) else None


def _joined(found: t.Sequence[Assignment], name: str, seen: t.FrozenSet[str]) -> str:
    """Return a variable's value with plain references to others in the same file filled in."""
    value = ""
    for item in _chain(found, name):
        pieces = item.value.split(UNKNOWN)
        text = pieces[0]
        for expansion, piece in zip(item.expansions, pieces[1:]):
            match = _REFERENCE.match(expansion)
            other = (match.group(1) or match.group(2)) if match else ""
            if other == name:
                text += value
            elif other and other not in seen and any(it.name == other for it in found):
                text += _joined(found, other, seen | {name})
            else:
                text += UNKNOWN
            text += piece
        value = value + text if item.adds else text
    return value


def values_of(text: str, names: t.Sequence[str], argument: Argument) -> t.List[str]:
    """Return an argument's values in the named variables, in their order on the command line."""
    found = assignments(text)
    return [value for name in names for value in argument.values(_joined(found, name, frozenset()))]


def set_argument(
    path: str,
    text: str,
    names: t.Sequence[str],
    values: t.Sequence[str],
    argument: Argument,
    unset: str = "",
) -> str:
    """Return a shell file's text in which the named variables have exactly these values of an argument.

    :param path: of the file, for messages.
    :param names: in their order on the command line; the last one takes the words where there are none yet.
    :param unset: what the last one stands for while the file does not set it.
    :raises BootLoaderError: the file cannot be edited safely.
    """
    try:
        before = assignments(text)
        if values_of(text, names, argument) == list(values):
            return text
        _refuse_what_is_made_elsewhere(before, names, argument)
        after = _edited(text, before, names, values, argument, unset)
        _check(before, after, names, values, argument, unset)
    except BootLoaderError as exc:
        raise BootLoaderError(
            f"{path} {exc}; write {names[-1]} there as one quoted string without substitutions, "
            f"with {argument.text(values)} in it"
            if values
            else f"{path} {exc}; take {argument.label} out of it by hand"
        ) from exc
    return after


def _refuse_what_is_made_elsewhere(
    found: t.Sequence[Assignment], names: t.Sequence[str], argument: Argument
) -> None:
    for name in names:
        for item in _chain(found, name):
            for expansion in item.expansions:
                if argument.named_in(expansion):
                    raise BootLoaderError(
                        f"line {item.line}: {name} takes {argument.label} out of a substitution, which cannot be edited safely"
                    )
            for other in item.references:
                if other not in names and argument.named_in(_joined(found, other, frozenset())):
                    raise BootLoaderError(
                        f"line {item.line}: {name} takes {argument.label} from {other}, which others may use too"
                    )


def _edited(
    text: str,
    found: t.Sequence[Assignment],
    names: t.Sequence[str],
    values: t.Sequence[str],
    argument: Argument,
    unset: str,
) -> str:
    wanted = argument.text(values)
    changes: t.List[t.Tuple[int, int, str]] = []
    for name in names:
        chain = _chain(found, name)
        sure = not any(item.conditional and not item.keeps for item in chain)
        for item in chain:
            places = _places(item.value, argument)
            if not places:
                continue
            here = wanted if sure and not item.conditional else ""
            if not here and _is_leftover(text, item, argument):
                start = text.rfind("\n", 0, item.start) + 1
                changes.append((start, text.find("\n", item.end) + 1 or len(text), ""))
                continue
            if here:
                wanted = ""
            changes += _replaced(text, item, places, here)
    if wanted:
        changes.append(_added(text, _chain(found, names[-1]), names[-1], wanted, unset))
    for start, end, new in sorted(changes, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _places(value: str, argument: Argument) -> t.List[t.Tuple[int, int]]:
    """Return where an argument's words begin and end, up to the next blank.

    So a quote of another word goes with it, which _check() then refuses.
    """
    found = []
    for start, end in argument.places(value):
        while end < len(value) and not value[end].isspace():
            end += 1
        found.append((start, end))
    return found


def _is_leftover(text: str, item: Assignment, argument: Argument) -> bool:
    """Say whether a line holds nothing but words that were added after a value that could not be edited."""
    line = text[text.rfind("\n", 0, item.start) + 1 : item.end]
    found = re.match(item.name + r'="\$\{' + item.name + r'\}((?: \S+)+)"\Z', line)
    return found is not None and all(map(argument.values, found.group(1).split()))


def _replaced(
    text: str, item: Assignment, places: t.Sequence[t.Tuple[int, int]], wanted: str
) -> t.List[t.Tuple[int, int, str]]:
    """Return the changes that put wanted in the place of the first word and take the others out."""
    gone: t.Set[int] = set()  # indices of value
    value = item.value
    for index, (start, end) in enumerate(places):
        if not (wanted and index == 0):
            while end < len(value) and value[end].isspace():
                end += 1
        gone.update(range(start, end))
    kept = places[0][1] if wanted else 0
    index = len(value) - 1
    if index in gone:
        while index >= kept and (index in gone or value[index].isspace()):
            gone.add(index)
            index -= 1
    # Character by character, so that quotes between them stay.
    changes: t.List[t.Tuple[int, int, str]] = []
    for index in sorted(gone):
        start, end = item.spans[index]
        if changes and changes[-1][1] == start:
            changes[-1] = (changes[-1][0], end, changes[-1][2])
        else:
            changes.append((start, end, ""))
    first = item.spans[places[0][0]][0]
    if " " in wanted and item.quotes[places[0][0]] == " ":
        wanted = f'"{wanted}"'
    for index, (start, end, _new) in enumerate(changes):
        if wanted and start == first:
            changes[index] = (start, end, wanted)
        elif text[start - 1] == "\n" and text.startswith("\\\n", end):
            # A continued line that held nothing else goes as a whole.
            changes[index] = (start, end + 2, "")
    return changes


def _added(
    text: str, chain: t.Sequence[Assignment], name: str, wanted: str, unset: str
) -> t.Tuple[int, int, str]:
    """Return the change that puts words where there were none."""
    ending = "" if not text or text.endswith("\n") else "\n"
    if not chain:
        together = f"{unset} {wanted}".strip()
        return len(text), len(text), f'{ending}{name}="{together}"\n'
    item = chain[-1]
    if any(other.conditional for other in chain):
        return len(text), len(text), f'{ending}{name}="${{{name}}} {wanted}"\n'
    separator = "" if not item.value or item.value[-1].isspace() else " "
    own = re.search(r"(?:^|\s)--(?:\s|\Z)", item.value)
    if own:
        at = item.spans[own.start()][0]
        return at, at, wanted + " " if own.start() == 0 else " " + wanted
    if item.closing:
        return item.end - 1, item.end - 1, separator + wanted
    raw = text[item.start : item.end]
    if _PLAIN.match(raw):
        return item.start, item.end, f'"{raw}{separator}{wanted}"'
    return item.end, item.end, f'"{separator}{wanted}"'


def _check(
    before: t.Sequence[Assignment],
    text: str,
    names: t.Sequence[str],
    values: t.Sequence[str],
    argument: Argument,
    unset: str,
) -> None:
    """Read the edited text again and see that it does what it should, and nothing else."""
    after = assignments(text)

    def others(found: t.Sequence[Assignment]) -> t.List[t.Tuple[str, bool, t.List[str]]]:
        """Return the assignments without the words that are ours, and without those that then do nothing."""
        kept = []
        for item in found:
            rest = (
                with_values(item.value, [], argument).split()
                if item.name in names
                else [item.value]
            )
            if item.name not in names or rest not in ([], [UNKNOWN]):
                kept.append((item.name, item.adds, rest))
        return kept

    right = others(before)
    if unset and not _chain(before, names[-1]):
        right = [*right, (names[-1], False, unset.split())]
    if values_of(text, names, argument) != list(values) or others(after) != right:
        raise BootLoaderError(f"holds {argument.label} in a way that cannot be edited safely")
