"""A position in MIL text: what is next, and errors that say where.

Enters: the text of a ``model.mil``. Leaves: its words and symbols, in order.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from etcoreml.errors import ModelError

MAX_DEPTH = 64
"""Deepest nesting of types, values and blocks: Python's stack holds it many times over."""

_SPACE = re.compile(r"\s*")
_WORD = re.compile(r"\s*([A-Za-z_][\w.]*)", re.ASCII)
_STRING = re.compile(r'\s*"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", '"': '"', "'": "'", "\\": "\\", "/": "/"}


class Cursor:
    """A reading position.

    Args:
        text: The whole text.
        name: Its file, for messages.

    Attributes:
        text: The whole text.
        position: Index of the next character to read.
    """

    __slots__ = ("_depth", "name", "position", "text")

    def __init__(self, text: str, name: str = "model.mil") -> None:
        self.text = text
        self.name = name
        self.position = 0
        self._depth = 0

    def fail(self, rule: str, *, at: int | None = None, expected: object = None) -> NoReturn:
        """Raise the error that a rule is broken, naming line and column.

        Args:
            rule: The rule, as a sentence about what is wrong.
            at: Index of the character to blame; the next one by default.
            expected: What should have been there.

        Raises:
            ModelError: Always.
        """
        if at is None:
            at = self.skip()
        line = self.text.count("\n", 0, at) + 1
        column = at - (self.text.rfind("\n", 0, at) + 1) + 1
        rest = self.text[at : at + 32].partition("\n")[0]
        raise ModelError(
            f"{self.name}, line {line}, column {column}: {rule}",
            found=ascii(rest) if at < len(self.text) else "the end of the text",
            expected=expected,
        )

    def skip(self) -> int:
        """Step over white space and return the index of what comes next."""
        self.position = _SPACE.match(self.text, self.position).end()  # type: ignore[union-attr]
        return self.position

    def at(self, symbol: str) -> bool:
        """Say whether ``symbol`` comes next, after white space."""
        return self.text.startswith(symbol, self.skip())

    def accept(self, symbol: str) -> bool:
        """Step over ``symbol`` if it comes next."""
        found = self.text.startswith(symbol, self.skip())
        if found:
            self.position += len(symbol)
        return found

    def expect(self, symbol: str, where: str) -> None:
        """Step over ``symbol``.

        Raises:
            ModelError: Something else comes next.
        """
        if not self.accept(symbol):
            self.fail(f"{where} is not written as MIL writes it", expected=repr(symbol))

    def ended(self) -> bool:
        """Say whether only white space is left."""
        return self.skip() == len(self.text)

    def peek_word(self) -> str:
        """Return the name that comes next without stepping over it, or ""."""
        match = _WORD.match(self.text, self.position)
        return match[1] if match else ""

    def word(self, what: str) -> str:
        """Step over a name and return it.

        Raises:
            ModelError: No name comes next.
        """
        match = _WORD.match(self.text, self.position)
        if match is None:
            self.fail(f"{what} has no name", expected="a name")
        self.position = match.end()
        return match[1]

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Step over what a pattern matches right here, if it does."""
        match = pattern.match(self.text, self.position)
        if match is not None:
            self.position = match.end()
        return match

    def string(self) -> str:
        """Step over a quoted string and return what it means.

        Raises:
            ModelError: No string comes next, it is not closed, or has an unknown escape.
        """
        start = self.skip()
        match = self.match(_STRING)
        if match is None:
            self.fail("a string is missing or not closed", expected="a string in double quotes")
        if "\\" not in match[1]:
            return match[1]

        def meaning(escape: re.Match[str]) -> str:
            if escape[3] is None:
                return chr(int(escape[1] or escape[2], 16))
            if escape[3] not in _ESCAPES:
                self.fail("a string has an unknown escape", at=start, expected=sorted(_ESCAPES))
            return _ESCAPES[escape[3]]

        return _ESCAPE.sub(meaning, match[1])

    def items(self, close: str, what: str) -> Iterator[None]:
        """Yield before each item of a comma-separated sequence, up to and over ``close``.

        Raises:
            ModelError: Two items are not separated by a comma.
        """
        if self.accept(close):
            return
        while True:
            yield
            if self.accept(close):
                return
            if not self.accept(","):
                self.fail(f"{what} is not closed", expected=f"',' or {close!r}")

    @contextmanager
    def nested(self) -> Iterator[None]:
        """Count one level of nesting.

        Raises:
            ModelError: It is deeper than ``MAX_DEPTH``.
        """
        if self._depth >= MAX_DEPTH:
            self.fail("the nesting is too deep", expected=f"at most {MAX_DEPTH} levels")
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
