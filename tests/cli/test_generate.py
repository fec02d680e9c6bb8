"""``etcoreml generate``. Oracle: transformers' greedy tokens of the same weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from etcoreml.llm.tokenizer import Tokenizer
from tests.cli.conftest import Cli
from tests.llm.folders import model, tokenizer_file

PROMPT = "The quick brown fox jumps"


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tokenizer_file(tmp_path_factory.mktemp("tokenizer") / "tokenizer.json")


@pytest.fixture(scope="module")
def expected(tokenizer: Path) -> list[int]:
    ids = torch.tensor([Tokenizer(tokenizer).encode(PROMPT)])
    network = model("llama")
    with torch.no_grad():
        found = network.generate(
            ids, max_new_tokens=8, do_sample=False, eos_token_id=None, pad_token_id=0
        )
    return found[0, ids.shape[1] :].tolist()


def test_text(
    cli: Cli, language_model: tuple[Path, str], tokenizer: Path, expected: list[int]
) -> None:
    arguments = ["--tokenizer", tokenizer, "--prompt", PROMPT, "--max-new-tokens", 8]
    outcome = cli("generate", language_model[0], *arguments, "--ignore-eos")
    assert outcome.code == 0, outcome.stderr
    assert outcome.stdout == Tokenizer(tokenizer).decode(expected) + "\n"
    assert "25 tokens of the prompt at" in outcome.stderr
    assert "7 more at" in outcome.stderr


def test_json(
    cli: Cli, language_model: tuple[Path, str], tokenizer: Path, expected: list[int]
) -> None:
    arguments = ["--tokenizer", tokenizer.parent, "--prompt", PROMPT, "--max-new-tokens", 8]
    outcome = cli("generate", language_model[0], *arguments, "--ignore-eos", "--json")
    found = json.loads(outcome.stdout)
    assert found["tokens"] == expected
    assert found["text"] == Tokenizer(tokenizer).decode(expected)
    assert found["stopped"] == "length"
    assert min(found["prefill_tokens_per_s"], found["decode_tokens_per_s"]) > 0


def test_seeds(cli: Cli, language_model: tuple[Path, str], tokenizer: Path) -> None:
    arguments = ["--tokenizer", tokenizer, "--prompt", PROMPT, "--max-new-tokens", 12, "--json"]
    drawn = ["--temperature", 2, "--top-k", 50, "--ignore-eos", "--seed"]
    texts = [
        json.loads(cli("generate", language_model[0], *arguments, *drawn, seed).stdout)["tokens"]
        for seed in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--prompt", "x" * 600], "do not fit the model's context; found 600 + 128"),
        (["--prompt", "a", "--top-k", 3], "--top-k and --seed are of drawing"),
        (["--prompt", ""], "the prompt has no tokens"),
    ],
)
def test_refusals(
    arguments: list[object],
    message: str,
    cli: Cli,
    language_model: tuple[Path, str],
    tokenizer: Path,
) -> None:
    outcome = cli("generate", language_model[0], "--tokenizer", tokenizer, *arguments)
    assert outcome.code == 2
    assert message in outcome.stderr
