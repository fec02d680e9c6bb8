"""Tokenizers, and text that grows. Oracle: the whole text decoded at once."""

from __future__ import annotations

from pathlib import Path

import pytest
import tokenizers

from etcoreml.errors import UsageError
from etcoreml.llm.tokenizer import TextStream, Tokenizer
from tests.llm.folders import VOCABULARY, tokenizer_file


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Tokenizer:
    folder = tmp_path_factory.mktemp("tokenizer")
    tokenizer_file(folder / "tokenizer.json")
    return Tokenizer(folder)


def test_round_trip(tokenizer: Tokenizer) -> None:
    assert tokenizer.vocab_size <= VOCABULARY
    tokens = tokenizer.encode("hello, world")
    assert len(tokens) == 12
    assert tokenizer.decode([1, *tokens, 2]) == "hello, world"


def test_pieces_join_to_the_text(tokenizer: Tokenizer) -> None:
    tokens = tokenizer.encode("né à é")
    stream = TextStream(tokenizer)
    pieces = [stream.add(token) for token in tokens]
    assert "".join([*pieces, stream.finish()]) == tokenizer.decode(tokens)
    # The two bytes of a character come out together.
    assert "" in pieces
    assert "\N{REPLACEMENT CHARACTER}" not in "".join(pieces)


def test_what_stays_incomplete_comes_last(tokenizer: Tokenizer) -> None:
    (first, _) = tokenizer.encode("é")
    stream = TextStream(tokenizer)
    assert stream.add(first) == ""
    assert stream.finish() == "\N{REPLACEMENT CHARACTER}"
    assert stream.finish() == ""


def test_a_prompt_is_neither_cut_nor_padded(tmp_path: Path) -> None:
    """Which a tokenizer.json may ask for, as sentence-transformers' do."""
    path = tokenizer_file(tmp_path / "tokenizer.json")
    library = tokenizers.Tokenizer.from_file(str(path))
    library.enable_truncation(4)
    library.enable_padding(length=32)
    library.save(str(path))
    assert len(Tokenizer(path).encode("hello, world")) == 12


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no tokenizer"):
        Tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(UsageError, match="is no tokenizer"):
        Tokenizer(tmp_path)
