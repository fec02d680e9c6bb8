"""Lowering a small decoder in both forms and generating with it.

Oracle: the same modules in eager, whose logits test_decoder holds against transformers.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

import etcoreml
from etcoreml.llm.config import read_config
from etcoreml.llm.export import ExportOptions, constants, exported, lowered, make_decoder, modules
from etcoreml.llm.export import partitioner as made_partitioner
from etcoreml.llm.generator import Generator
from etcoreml.runtime.pte import parse_pte
from tests.llm.folders import folder
from tests.lowering import snr_db

CONTEXT, CHUNK = 512, 16
PROMPT = [5, 9, 77, 40, 3, 3, 101, 64, 12, 30, 31, 32, 33, 90, 8, 7, 21, 60, 59]
STEPS = 64


def options(name: str) -> ExportOptions:
    cache, weights, precision = name.split()
    return ExportOptions(cache, weights, CONTEXT, CHUNK, precision)  # type: ignore[arg-type]


CASES = ("io none float32", "state none float32")


class Made:
    """A decoder of each case, in eager and as a .pte."""

    def __init__(self, path: Path, case: str) -> None:
        self.options = options(case)
        config = read_config(folder(path, "qwen3" if "state" in case else "llama") / "config.json")
        self.decoder = make_decoder(config, self.options, path)
        programs = exported(self.decoder, self.options)
        self.partitioner = made_partitioner(programs, self.options)
        file = io.BytesIO()
        lowered(programs, [self.partitioner], constants(config, self.options))(file)
        self.pte = file.getvalue()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Any:
    cases: dict[str, Made] = {}

    def get(case: str) -> Made:
        if case not in cases:
            cases[case] = Made(tmp_path_factory.mktemp("model"), case)
        return cases[case]

    return get


class Eager:
    """What `Generator` runs, as PyTorch modules."""

    def __init__(self, made: Made) -> None:
        config = made.decoder.config
        each = modules(made.decoder, made.options)
        self.runs = {name: module for name, (module, _) in each.items()}
        shape = (1, config.kv_heads, CONTEXT, config.head_dim)
        self.caches = [torch.zeros(shape) for _ in range(2 * config.layers)]

    @torch.no_grad()
    def __call__(self, tokens: list[int], start: int) -> NDArray[np.float32]:
        ids = torch.tensor([tokens], dtype=torch.int32)
        positions = torch.arange(start, start + len(tokens), dtype=torch.int32)
        last = torch.tensor([len(tokens) - 1], dtype=torch.int32)
        if "forward" in self.runs:
            return self.runs["forward"](ids, positions, last).numpy().ravel()
        if len(tokens) > 1:
            outputs = self.runs["prefill"](ids, positions, last, *self.caches)
        else:
            outputs = self.runs["decode"](ids, positions, *self.caches)
        for cache, new in zip(self.caches, outputs[1:], strict=True):
            cache[:, :, start : start + len(tokens)] = new
        return outputs[0].numpy().ravel()


@pytest.mark.parametrize("case", CASES)
def test_one_delegate_a_method(case: str, made: Any) -> None:
    program = parse_pte(made(case).pte)
    found = {each.name: len(each.delegates) for each in program.methods if each.inputs}
    names = ("forward",) if "state" in case else ("decode", "prefill")
    assert found == dict.fromkeys(names, 1)
    assert not any(each.operators for each in program.methods)


@pytest.mark.parametrize("case", ["state none float32"])
def test_tokens_and_logits(case: str, made: Any) -> None:
    """Greedy tokens are eager's, logits close; tests/cli/test_generate.py has ``io``."""
    generator, eager = Generator(etcoreml.load(made(case).pte)), Eager(made(case))
    logits = [generator.prefill(PROMPT)]
    expected = [eager(PROMPT[:CHUNK], 0), eager(PROMPT[CHUNK:], CHUNK)][1:]
    tokens = []
    for position in range(len(PROMPT), len(PROMPT) + STEPS):
        tokens.append(int(expected[-1].argmax()))
        logits.append(generator.decode(tokens[-1], position))
        expected.append(eager([tokens[-1]], position))
    assert [int(each.argmax()) for each in logits[:-1]] == tokens
    generator.eos = ()
    greedy = generator.generate(PROMPT, lambda each: int(each.argmax()), STEPS)
    assert list(greedy) == tokens
    actual, truth = (torch.from_numpy(np.stack(each)) for each in (logits, expected))
    assert snr_db(actual, truth) > 50
