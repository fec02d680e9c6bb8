"""Text to tokens and back, through the ``tokenizers`` library's ``tokenizer.json``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from etcoreml.errors import UsageError

# What a decoder puts for bytes that are no character, or not yet.
_INCOMPLETE = "\N{REPLACEMENT CHARACTER}"


class Tokenizer:
    """A tokenizer.

    Args:
        path: A ``tokenizer.json``, or a folder that holds one.

    Raises:
        UsageError: There is no such file, it is of another format, or ``tokenizers`` is not
            installed.
    """

    def __init__(self, path: Path) -> None:
        try:
            from tokenizers import Tokenizer as Library
        except ImportError as error:
            raise UsageError(
                "reading a tokenizer needs tokenizers", hint="pip install 'etcoreml[llm]'"
            ) from error
        if path.is_dir():
            path = path / "tokenizer.json"
        if not path.is_file():
            raise UsageError(f"there is no tokenizer '{path}'", expected="a tokenizer.json")
        try:
            self._library: Any = Library.from_file(str(path))
        except Exception as error:  # the library raises Exception itself
            raise UsageError(f"'{path}' is no tokenizer.json", found=str(error)) from error
        # The file may ask for them: a prompt would lose its end, or grow by padding.
        self._library.no_truncation()
        self._library.no_padding()

    @property
    def vocab_size(self) -> int:
        """Number of tokens, added ones included."""
        return int(self._library.get_vocab_size(with_added_tokens=True))

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text, with those that the tokenizer puts around it."""
        return list(self._library.encode(text).ids)

    def decode(self, tokens: list[int]) -> str:
        """Return the text of tokens, without special ones."""
        return str(self._library.decode(tokens, skip_special_tokens=True))


class TextStream:
    """Text that grows with its tokens.

    A character may be spread over tokens, and a token's text depend on the one before it. So each
    piece is what the text of the tokens since the last complete piece has more than before.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._tokens: list[int] = []
        self._start = self._end = 0

    def add(self, token: int) -> str:
        """Return what a token adds; nothing while its last character is incomplete."""
        self._tokens.append(token)
        return self._piece(final=False)

    def finish(self) -> str:
        """Return what was held back as incomplete."""
        return self._piece(final=True)

    def _piece(self, *, final: bool) -> str:
        known = self._tokenizer.decode(self._tokens[self._start : self._end])
        text = self._tokenizer.decode(self._tokens[self._start :])
        if text.endswith(_INCOMPLETE) and not final:
            return ""
        self._start, self._end = self._end, len(self._tokens)
        return text[len(known) :]
