# Copyright (c) 2026 The kdump.fleet authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Private to kdump.fleet: may change in any release.

"""Whether a shell that sources a file gets to its end, and what in it may set a variable. Pure.

Grammar: POSIX.1-2017, Shell Command Language, as far as it can be judged without running it: simple commands, && and ||,
pipelines, if ... fi, and expansions. At all else a shell may stop, skip the rest or wait: functions, loops, case, groups,
here-documents, and the builtins of STEERING. Where dash and bash differ, dash counts, which ends at an error of a special
builtin; bash alone knows more kinds of ${...}.
"""

import re
import typing as t

# Words of the grammar, where a command begins; what they belong to is not read here.
_RESERVED = frozenset(
    (
        *("[[", "case", "coproc", "do", "done", "elif", "else", "esac", "fi", "for", "function", "select", "then"),
        *("time", "until", "while", "{", "}"),
    )
)  # fmt: skip
_CLOSING = ("do", "done", "elif", "else", "esac", "fi", "then", "}")
# Commands after which a shell may skip, end, wait or read otherwise what comes next.
STEERING = frozenset(
    (
        *("alias", "break", "builtin", "command", "continue", "declare", "eval", "exec", "exit", "getopts", "kill"),
        *("local", "mapfile", "read", "readarray", "readonly", "return", "shift", "shopt", "source", "trap"),
        *("typeset", "wait"),
    )
)  # fmt: skip
ANY = "*"  # in place of a name: a file that is read may set any

_OPERATORS = ("<<", "&&", "||", ";;", ">>", ">&", "<&", ">|", "<>", ";", "&", "|", "(", ")", "<", ">")  # fmt: skip
_REDIRECTIONS = (">>", ">&", "<&", ">|", "<>", "<", ">")
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\+?)=")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_EXPORTED = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?:(\+?)=|\Z)")
_PARAMETER = re.compile(r"\$\{(?:(#?[A-Za-z_][A-Za-z0-9_]*)|[0-9@*#?$!-])")
_CHANGED = re.compile(r":?[-+=]|%%?|##?")
_SUM = re.compile(r"\$\(\([ ]*(?:0|[1-9][0-9]*)(?:[ ]*[-+*][ ]*(?:0|[1-9][0-9]*))*[ ]*\)\)")
_STATIC = re.compile(r"\"([^\"$`\\]*)\"\Z|'([^']*)'\Z")
_TESTS = ("-e", "-f", "-r", "-s")
_SPECIAL = (".", ":", "export", "set", "times", "unset")
_SETS = (["-a"], ["+a"], ["-o", "allexport"], ["+o", "allexport"])


class Reading(t.NamedTuple):
    """What a shell makes of a file."""

    stop: int  # the first line at which it may stop, from 1; 0 for none
    blocks: t.List[t.Tuple[int, int]]  # first and last line of each command that takes several
    sets: t.List[t.Tuple[int, str]]  # line and name of all that may be set or unset; ANY for all
    sure: bool  # it does stop there, or may by what a variable is; not only because this reads no more of the grammar


class Token(t.NamedTuple):
    """A word, an operator, a newline or the end."""

    kind: str  # word, number (before a redirection), operator, newline or end
    text: str  # as it stands
    line: int
    plain: bool = True  # nothing in it is quoted or expanded
    splits: bool = False  # it has an expansion outside of quotes
    expands: bool = False  # or anywhere
    end: int = 0  # its last line


class Stop(Exception):
    """A shell may not get beyond a line."""

    def __init__(self, line: int, sure: bool = False) -> None:
        super().__init__(line)
        self.line = line
        self.sure = sure


class _Lexer:
    """Takes a text apart; what is in $( ) and ` ` is read by the parser below."""

    def __init__(self, text: str, bash: bool, line: int = 1) -> None:
        self.text = text
        self.bash = bash
        self.line = line
        self.position = 0
        self.sets: t.List[t.Tuple[int, str]] = []
        self.expanded = False  # there was an expansion in the word that is being read

    def token(self) -> Token:
        char = self._skip_blanks()
        if not char:
            return Token("end", "", self.line)
        if char == "\n":
            self._pass(1)
            return Token("newline", char, self.line - 1, end=self.line - 1)
        for operator in _OPERATORS:
            if self.text.startswith(operator, self.position):
                self._pass(len(operator))
                return Token("operator", operator, self.line, end=self.line)
        return self._word()

    def _char(self) -> str:
        return self.text[self.position : self.position + 1]

    def _pass(self, count: int) -> None:
        self.line += self.text.count("\n", self.position, self.position + count)
        self.position += count

    def _skip_blanks(self) -> str:
        while True:
            char = self._char()
            if char in (" ", "\t"):
                self._pass(1)
            elif self.text.startswith("\\\n", self.position):
                self._pass(2)
            elif char == "#":
                end = self.text.find("\n", self.position)
                self.position = len(self.text) if end < 0 else end
            else:
                return char

    def _word(self) -> Token:
        start, line, splits, plain = self.position, self.line, False, True
        outer, self.expanded = self.expanded, False
        while self._char() and self._char() not in " \t\n;&|<>()":
            char = self._char()
            plain = plain and char not in "\\'\"$`"
            splits = splits or char in "$`"
            self._part(char, False)
        text = self.text[start : self.position]
        number = text.isdigit() and self._char() in ("<", ">")
        expands, self.expanded = self.expanded, outer
        return Token("number" if number else "word", text, line, plain, splits, expands, self.line)

    def _part(self, char: str, quoted: bool) -> None:
        """Take one character of a word, or all of a quote or an expansion.

        :param quoted: it is in double quotes, where a single one is nothing special.
        """
        if char == "\\":
            self._escaped(self.line)
        elif char == "$":
            self._expansion(quoted)
            self.expanded = True
        elif char == "`":
            self._backquoted(quoted)
            self.expanded = True
        elif char == '"' and not quoted:
            self._double()
        elif char == "'" and not quoted:
            end = self.text.find("'", self.position + 1)
            if end < 0:
                raise Stop(self.line)
            self._pass(end + 1 - self.position)
        else:
            self._pass(1)

    def _escaped(self, opened: int) -> None:
        if self.position + 1 >= len(self.text):
            raise Stop(opened)
        self._pass(2)

    def _double(self) -> None:
        opened = self.line
        self._pass(1)
        while self._char() != '"':
            if not self._char():
                raise Stop(opened)
            if self._char() == "\\":
                self._escaped(opened)
            else:
                self._part(self._char(), True)
        self._pass(1)

    def _expansion(self, quoted: bool) -> None:
        if self.text.startswith("$((", self.position):
            found = _SUM.match(self.text, self.position)
            if found is None:
                raise Stop(self.line)
            self._pass(len(found.group()))
        elif self.text.startswith("$(", self.position):
            self._pass(2)
            self.substitution()
        elif self.text.startswith("${", self.position):
            self._parameter(quoted)
        else:
            self._pass(1)

    def substitution(self) -> None:
        """Take what is behind $( and the ) at its end."""
        raise Stop(self.line)

    def _parameter(self, quoted: bool) -> None:
        found, opened = _PARAMETER.match(self.text, self.position), self.line
        if found is None:
            raise Stop(opened)
        self._pass(len(found.group()))
        change = _CHANGED.match(self.text, self.position)
        if change and change.group().endswith("="):
            if not found.group(1):
                raise Stop(opened, True)
            self.sets.append((opened, found.group(1)))
        if self._char() != "}" and (self.text.startswith((":?", "?"), self.position) or not (change or self.bash)):  # fmt: skip
            # It ends the shell if the variable is not set, or is an error in sh.
            raise Stop(opened, True)
        while self._char() != "}":
            if not self._char() or (quoted and self._char() in "\"'"):
                raise Stop(opened)
            self._part(self._char(), quoted)
        self._pass(1)

    def _backquoted(self, quoted: bool) -> None:
        opened, start = self.line, self.position + 1
        self._pass(1)
        while self._char() != "`":
            if not self._char():
                raise Stop(opened)
            if self._char() == "\\":
                self._escaped(opened)
            else:
                self._pass(1)
        inside = self.text[start : self.position]
        self._pass(1)
        _Reader(re.sub(r"\\([\\`$\"])" if quoted else r"\\([\\`$])", r"\1", inside), self.bash, opened, 1).read()  # fmt: skip


class _Reader(_Lexer):
    """The parser. What is inside of a substitution can end nothing but itself, so only its grammar is looked at."""

    def __init__(self, text: str, bash: bool, line: int = 1, inside: int = 0) -> None:
        super().__init__(text, bash, line)
        self.inside = inside  # of how many substitutions
        self.blocks: t.List[t.Tuple[int, int]] = []
        self._next: t.Optional[Token] = None
        self._tested: t.FrozenSet[str] = frozenset()  # files that are there, by the last test
        self._end = 0  # the last line of the last token that was taken

    def read(self) -> None:
        self._list((), 0)

    def _peek(self) -> Token:
        if self._next is None:
            self._next = self.token()
        return self._next

    def _take(self) -> Token:
        token = self._peek()
        self._next = None
        self._end = token.end
        return token

    def _skip_newlines(self) -> None:
        while self._peek().kind == "newline":
            self._take()

    def substitution(self) -> None:
        self.inside += 1
        self._list((")",), self.line)
        self.inside -= 1

    def _list(
        self, ends: t.Sequence[str], opened: int, there: t.FrozenSet[str] = frozenset()
    ) -> str:
        """Take commands up to one of these words, and return it.

        :param ends: () for the end of the text.
        :param opened: the line of what waits for them.
        :param there: files that are there.
        """
        count = 0
        while True:
            self._skip_newlines()
            token = self._peek()
            if token.kind == "end":
                if ends:
                    raise Stop(opened, True)
                return ""
            if token.plain and token.text in ends:
                if not count and token.text != ")":
                    raise Stop(token.line, True)
                return self._take().text
            self._tested = self._chain(there)
            if self._end > token.line and not ends and not self.inside:
                self.blocks.append((token.line, self._end))
            count += 1
            token = self._peek()
            if token.kind == "operator" and token.text == ";":
                self._take()
            elif token.kind == "operator" and token.text not in ends or token.kind == "word":
                raise Stop(token.line)

    def _chain(self, there: t.FrozenSet[str]) -> t.FrozenSet[str]:
        """Take commands with && and || between them; return the files that are there if all went well."""
        tested = self._pipeline(there)
        either = False
        while self._peek().kind == "operator" and self._peek().text in ("&&", "||"):
            # Behind || a test may not have been made.
            either = self._take().text == "||" or either
            self._skip_newlines()
            more = self._pipeline(there if either else there | tested)
            tested = frozenset() if either else tested | more
        return tested

    def _pipeline(self, there: t.FrozenSet[str]) -> t.FrozenSet[str]:
        alone = True
        while self._peek().plain and self._peek().text == "!":
            self._take()
            alone = False
        tested = self._command(there)
        while self._peek().kind == "operator" and self._peek().text == "|":
            self._take()
            self._skip_newlines()
            self._command(frozenset())
            alone = False
        return tested if alone else frozenset()

    def _command(self, there: t.FrozenSet[str]) -> t.FrozenSet[str]:
        token = self._peek()
        if token.kind == "word" and token.text == "if":
            self._if(there)
            return frozenset()
        if token.kind in ("newline", "end") or (token.kind == "word" and token.text in _RESERVED):
            raise Stop(token.line, token.text in _CLOSING)
        return self._simple(there)

    def _if(self, there: t.FrozenSet[str]) -> None:
        opened = self._take().line
        end = "elif"
        while end == "elif":
            self._list(("then",), opened, there)
            end = self._list(("elif", "else", "fi"), opened, there | self._tested)
        if end == "else":
            self._list(("fi",), opened, there)

    def _simple(self, there: t.FrozenSet[str]) -> t.FrozenSet[str]:
        first = self._peek()
        assigned: t.List[str] = []
        words: t.List[Token] = []
        redirected = False
        while True:
            token = self._peek()
            if token.kind == "number" or (token.kind == "operator" and token.text in _REDIRECTIONS):
                self._redirection()
                redirected = True
                continue
            if token.kind != "word":
                break
            self._take()
            found = None if words else _ASSIGNMENT.match(token.text)
            if found and (self.bash or not found.group(2)):
                assigned.append(found.group(1))
            else:
                words.append(token)
        if not words and (redirected or not assigned):
            raise Stop(first.line, first.text in (";", ";;", "&", "&&", "|", "||", ")"))
        if self.inside:
            return frozenset()
        if not words:
            self.sets += [(first.line, name) for name in assigned]
            return frozenset()
        return self._judged(words, redirected or bool(assigned), there)

    def _redirection(self) -> None:
        if self._peek().kind == "number":
            self._take()
        operator, target = self._take(), self._take()
        if operator.text not in _REDIRECTIONS or target.kind not in ("word", "number"):
            raise Stop(operator.line)

    def _judged(
        self, words: t.Sequence[Token], dressed: bool, there: t.FrozenSet[str]
    ) -> t.FrozenSet[str]:
        """Judge a command; return the files that are there if it went well.

        :param dressed: it has redirections, or assignments before it.
        """
        name, texts = words[0].text, [word.text for word in words[1:]]
        # In quotes a word is no keyword, but a command still.
        meant = re.sub(r"\\\n|['\"]", "", name).replace("\\", "")
        good = (
            not words[0].expands
            and meant not in STEERING
            and (words[0].plain or meant not in _SPECIAL)
        )
        if name in _SPECIAL:
            # At an error of these dash ends.
            good = good and not dressed
        if name == "export":
            good = good and self._exports(words[1:])
        elif name == "unset":
            names = texts[1:] if texts[:1] == ["-v"] else texts
            good = good and all(_NAME.match(text) for text in names)
            self.sets += [(words[0].line, text) for text in names]
        elif name == "set":
            good = good and texts in _SETS
        elif name == ".":
            good = good and len(texts) == 1 and _static(words[1]) in there
            self.sets.append((words[0].line, ANY))
        if not good:
            raise Stop(words[0].line)
        if name in ("[", "test"):
            test = words[1:-1] if name == "[" and texts[-1:] == ["]"] else words[1:]
            if len(test) == 2 and test[0].text in _TESTS and _static(test[1]):
                return frozenset((_static(test[1]),))
        return frozenset()

    def _exports(self, words: t.Sequence[Token]) -> bool:
        for word in words:
            found = _EXPORTED.match(word.text)
            if found is None or (not self.bash and word.splits):
                return False
            if found.group(2) and not self.bash:
                raise Stop(word.line, True)
            if found.group(2) is not None:
                self.sets.append((word.line, found.group(1)))
        return True


def _static(word: Token) -> str:
    """Return the absolute path that a word is in every shell, or ''."""
    found = _STATIC.match(word.text)
    text = (found.group(1) or found.group(2) or "") if found else word.text if word.plain else ""
    return text if text.startswith("/") and not re.search(r"[*?\[~{]", text) else ""


def read(text: str, bash: bool = True) -> Reading:
    """Return what a shell makes of a file.

    :param bash: it reads the file, and no other shell.
    """
    reader = _Reader(text, bash)
    stop, sure = 0, False
    try:
        reader.read()
    except Stop as exc:
        stop, sure = exc.line, exc.sure
    except RecursionError:
        stop = 1
    return Reading(stop, reader.blocks, reader.sets, sure)


# What may be shown of a command that has a secret in it: that which decides how a shell reads on.
_SHOWN = _RESERVED | STEERING | {"!", ".", ":", "[", "]", "export", "if", "set", "test", "unset"}


def skeleton(text: str, hidden: str) -> str:
    """Return what a shell's lines are made of, with each of their words hidden; '' for what cannot be taken apart.

    :param hidden: what stands for a word.
    """
    reader = _Reader(text, True)
    result: t.List[str] = []
    try:
        while True:
            token = reader.token()
            if token.kind == "end":
                return " ".join(result).replace(" \n ", "\n")
            found = _ASSIGNMENT.match(token.text)
            if token.kind == "word" and found:
                result.append(found.group() + hidden)
            elif token.kind != "word" or (token.plain and (token.text in _SHOWN or re.match(r"[-+][a-z]\Z", token.text))):  # fmt: skip
                result.append(token.text)
            else:
                result.append(hidden)
    except (Stop, RecursionError):
        return ""
