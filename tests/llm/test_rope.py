"""Rotary embeddings. Oracle: transformers' frequencies."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import transformers
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

from etcoreml.errors import CheckpointError
from etcoreml.llm.rope import Rope
from tests.llm.folders import LINEAR, LLAMA3, SMALL


@pytest.mark.parametrize("scaling", [None, LINEAR, LLAMA3])
def test_frequencies(scaling: dict[str, Any] | None) -> None:
    config = transformers.LlamaConfig(**SMALL, rope_parameters=scaling)
    expected = LlamaRotaryEmbedding(config).inv_freq
    actual = Rope.from_dict(config.to_dict(), "config").frequencies(16)
    torch.testing.assert_close(actual.float(), expected, rtol=1e-6, atol=0)


def test_both_spellings_are_read() -> None:
    older = {"rope_theta": 5e5, "rope_scaling": {"type": "linear", "factor": 2.0}}
    newer = {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 5e5}}
    assert Rope.from_dict(older, "old") == Rope.from_dict(newer, "new") == Rope(5e5, "linear", 2.0)
    assert Rope.from_dict({}, "none") == Rope()


@pytest.mark.parametrize("variant", ["yarn", "dynamic", "longrope"])
def test_other_variants_are_refused(variant: str) -> None:
    with pytest.raises(CheckpointError, match=f"found '{variant}'; expected default, linear"):
        Rope.from_dict({"rope_scaling": {"rope_type": variant, "factor": 2.0}}, "config")


@pytest.mark.parametrize(
    ("scaling", "found"),
    [
        ({"rope_type": "default", "partial_rotary_factor": 0.5}, "partial_rotary_factor: 0.5"),
        ({"full_attention": {"rope_type": "default"}}, "full_attention: "),
        ({"rope_type": "llama3", "mscale": 1.0}, "mscale: 1.0"),
    ],
)
def test_fields_that_are_not_read_are_refused(scaling: dict[str, Any], found: str) -> None:
    with pytest.raises(CheckpointError, match=f"fields that are not supported; found {found}"):
        Rope.from_dict({"rope_parameters": scaling}, "config")
    with pytest.raises(CheckpointError, match="is no object; found 'linear'"):
        Rope.from_dict({"rope_scaling": "linear"}, "config")


def test_fields_that_change_nothing_are_taken() -> None:
    neutral = {"rope_theta": 5e5, "partial_rotary_factor": 1.0, "beta_fast": None}
    assert Rope.from_dict({"rope_parameters": neutral}, "config") == Rope(5e5)


def test_a_missing_number_is_named() -> None:
    with pytest.raises(CheckpointError, match="lacks 'low_freq_factor'"):
        Rope.from_dict({"rope_scaling": {"rope_type": "llama3", "factor": 2.0}}, "config")


def test_tables_are_exact_far_out() -> None:
    cosines, sines = Rope(1e6).tables(8, 4096)
    angle = 4095 * 1e6 ** (-2 / 8)
    torch.testing.assert_close(cosines[4095, 1], torch.tensor(angle).double().cos().float())
    torch.testing.assert_close(sines[4095, 1], -torch.tensor(angle).double().sin().float())
    assert torch.equal(sines[:, :4], -sines[:, 4:])
