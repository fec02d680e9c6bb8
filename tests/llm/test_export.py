"""What an export refuses, and what it makes of a configuration; test_generator runs programs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from etcoreml.errors import UsageError
from etcoreml.llm.config import DecoderConfig
from etcoreml.llm.export import ExportOptions, constants, make_decoder
from tests.llm.folders import folder, model


def config(name: str = "llama") -> DecoderConfig:
    return DecoderConfig.from_dict(model(name).config.to_dict())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ExportOptions(context=2048),
            "a context of that length; found 2048; expected at most 1024",
        ),
        (ExportOptions(context=512, chunk=513), "prefill length .* found 513; expected 2 to 512"),
        (ExportOptions(context=512, chunk=1), "prefill length .* found 1; expected 2 to 512"),
    ],
)
def test_sizes_that_do_not_fit(options: ExportOptions, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make_decoder(config(), options, None)


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("weights", "int2", "none, int8, int4"),
        ("cache", "State", "io, state"),
        ("precision", "fp16", "float16, float32"),
        ("compute_unit", "gpu", "all, cpu_only, cpu_and_gpu, cpu_and_ne"),
    ],
)
def test_options_that_are_none(option: str, value: str, expected: str) -> None:
    options = replace(ExportOptions(context=512), **{option: value})  # type: ignore[arg-type]
    message = f"{option} is none of its choices; found '{value}'; expected {expected}"
    with pytest.raises(UsageError, match=message):
        make_decoder(config(), options, None)


def test_random_weights_are_those_of_the_seed() -> None:
    options = ExportOptions(context=512)
    first, second, other = (make_decoder(config(), options, None, seed) for seed in (0, 0, 1))
    assert torch.equal(first.embedding.weight, second.embedding.weight)
    assert not torch.equal(first.embedding.weight, other.embedding.weight)
    assert torch.equal(first.norm.weight, torch.ones(64))


def test_norms_are_guarded_in_fp16_only(tmp_path: Path) -> None:
    folder(tmp_path, "qwen3")
    for precision, guarded in (("float16", True), ("float32", False)):
        options = ExportOptions(context=512, precision=precision)  # type: ignore[arg-type]
        decoder = make_decoder(config("qwen3"), options, tmp_path)
        assert {m.guarded for m in decoder.modules() if hasattr(m, "guarded")} == {guarded}


def test_constants() -> None:
    options = ExportOptions(context=512, chunk=32)
    values = constants(config(), options)
    assert values == {
        "get_max_context_len": 512,
        "get_max_seq_len": 32,
        "get_vocab_size": 128,
        "get_eos_ids": [2],
        "get_bos_id": 1,
    }
    assert "get_bos_id" not in constants(replace(config(), bos=None), options)
