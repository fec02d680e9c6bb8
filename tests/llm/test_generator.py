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
from etcoreml.blob import read_blob
from etcoreml.errors import ProgramError, UsageError
from etcoreml.llm.config import read_config
from etcoreml.llm.export import ExportOptions, constants, exported, lowered, make_decoder, modules
from etcoreml.llm.export import partitioner as made_partitioner
from etcoreml.llm.generator import Generator, Times
from etcoreml.runtime.pte import parse_pte
from tests.llm.folders import folder
from tests.lowering import lower, snr_db

# The last chunk would go beyond the cache.
CONTEXT, CHUNK = 120, 16
PROMPT = [5, 9, 77, 40, 3, 3, 101, 64, 12, 30, 31, 32, 33, 90, 8, 7, 21, 60, 59]
STEPS = 64


def options(name: str) -> ExportOptions:
    cache, weights, precision = name.split()
    return ExportOptions(cache, weights, CONTEXT, CHUNK, precision)  # type: ignore[arg-type]


QUICK = "io int4 float16"
CASES = (
    pytest.param("io none float32", marks=pytest.mark.slow),
    pytest.param("state none float32", marks=pytest.mark.slow),
    QUICK,
    "state int8 float16",
)


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


@pytest.mark.parametrize("case", CASES)
def test_tokens_and_logits(case: str, made: Any) -> None:
    """In fp32 the greedy tokens are eager's; in fp16 the logits after the same tokens are close."""
    generator, eager = Generator(etcoreml.load(made(case).pte)), Eager(made(case))
    logits = [generator.prefill(PROMPT)]
    expected = [eager(PROMPT[:CHUNK], 0), eager(PROMPT[CHUNK:], CHUNK)][1:]
    tokens = []
    for position in range(len(PROMPT), len(PROMPT) + STEPS):
        tokens.append(int(expected[-1].argmax()))
        logits.append(generator.decode(tokens[-1], position))
        expected.append(eager([tokens[-1]], position))
    if "float32" in case:
        assert [int(each.argmax()) for each in logits[:-1]] == tokens
        generator.eos = ()
        greedy = generator.generate(PROMPT, lambda each: int(each.argmax()), STEPS)
        assert list(greedy) == tokens
    actual, truth = (torch.from_numpy(np.stack(each)) for each in (logits, expected))
    assert snr_db(actual, truth) > (80 if "io none" in case else 50)


def test_weights_are_stored_once(made: Any) -> None:
    """Two methods of one model; the matrices are all of the weights that grow with it."""
    decoder = made(QUICK).decoder
    matrices = sum(m.weight.numel() for m in decoder.modules() if hasattr(m, "in_features"))
    program = parse_pte(made(QUICK).pte)
    (blob,) = program.named_data.values()
    files = read_blob(blob).walk()
    nbytes = sum(file.nbytes for path, file in files if path.endswith("weight.bin"))
    assert matrices // 2 < nbytes < 2 * (matrices // 2)


@pytest.fixture(scope="module")
def loaded(made: Any) -> Generator:
    return Generator(etcoreml.load(made(QUICK).pte))


@pytest.fixture
def generator(loaded: Generator) -> Generator:
    loaded.eos = ()
    return loaded


def greedy(logits: NDArray[np.float32]) -> int:
    return int(logits.argmax())


def test_it_stops_at_the_end_token(generator: Generator) -> None:
    free = list(generator.generate(PROMPT, greedy, 8))
    generator.eos = (free[3],)
    times = Times()
    assert list(generator.generate(PROMPT, greedy, 8, times)) == free[: free.index(free[3])]
    assert times.prompt_tokens == len(PROMPT)
    assert times.steps == free.index(free[3])
    assert times.prefill_rate is not None
    assert times.prefill_rate > 0


@pytest.mark.slow
def test_the_context_can_be_filled(made: Any) -> None:
    """The last tokens of a prompt go in one by one where a chunk would go beyond the cache."""
    case = made("io none float32")
    generator, eager = Generator(etcoreml.load(case.pte)), Eager(case)
    generator.eos = ()
    prompt = [3 + i % 120 for i in range(CONTEXT - 3)]
    assert CONTEXT - CHUNK < len(prompt) // CHUNK * CHUNK < len(prompt) - 1
    tokens, logits = [], eager(prompt, 0)
    np.testing.assert_allclose(generator.prefill(prompt), logits, rtol=1e-3, atol=1e-3)
    for position in range(len(prompt), CONTEXT):
        tokens.append(int(logits.argmax()))
        logits = eager(tokens[-1:], position)
    assert list(generator.generate(prompt, greedy, 3)) == tokens


def test_positions_stay_within_the_context(generator: Generator) -> None:
    for position in (-1, CONTEXT):
        with pytest.raises(UsageError, match=f"found {position}; expected 0 to {CONTEXT - 1}"):
            generator.decode(3, position)
    with pytest.raises(UsageError, match=f"found {CONTEXT}; expected 0 to {CONTEXT - 1}"):
        generator.prefill([3] * (CONTEXT + 1))
    with pytest.raises(UsageError, match="tokens that the model does not know; found -1"):
        generator.decode(-1, 0)


@pytest.mark.parametrize(
    ("prompt", "count", "message"),
    [
        ([], 1, "the prompt has no tokens"),
        ([3], 0, "no tokens are asked for"),
        ([3] * 110, 11, r"do not fit the model's context; found 110 \+ 11; expected at most 120"),
        ([3, 128], 1, "tokens that the model does not know; found 128; expected 0 to 127"),
    ],
)
def test_prompts_that_do_not_fit(
    prompt: list[int], count: int, message: str, generator: Generator
) -> None:
    with pytest.raises(UsageError, match=message):
        next(generator.generate(prompt, greedy, count))


def test_other_programs_are_refused() -> None:
    pte = lower(torch.nn.ReLU(), (torch.randn(4),))
    with pytest.raises(ProgramError, match="no language model; found no method get_eos_ids, "):
        Generator(etcoreml.load(pte))
