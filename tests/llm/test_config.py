"""Reading a configuration. Oracle: transformers' classes write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import transformers

from etcoreml.errors import CheckpointError, UsageError
from etcoreml.llm.config import DecoderConfig, read_config
from tests.llm.folders import SMALL


def fields(**changed: Any) -> dict[str, Any]:
    return {**transformers.LlamaConfig(**SMALL).to_dict(), **changed}


def test_sizes() -> None:
    config = DecoderConfig.from_dict(fields())
    assert (config.heads, config.kv_heads, config.head_dim, config.layers) == (4, 2, 16, 2)
    assert (config.bos, config.eos, config.tied, config.qkv_bias) == (1, (2,), False, False)


def test_families_differ_in_what_their_files_do_not_say() -> None:
    qwen2 = DecoderConfig.from_dict(transformers.Qwen2Config(**SMALL).to_dict())
    qwen3 = DecoderConfig.from_dict(transformers.Qwen3Config(**SMALL).to_dict())
    assert (qwen2.qkv_bias, qwen2.output_bias, qwen2.qk_norm) == (True, False, False)
    assert (qwen3.qkv_bias, qwen3.qk_norm, qwen3.head_dim) == (False, True, 128)


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"model_type": "gpt2"}, "model_type .* found 'gpt2'; expected llama, qwen2, qwen3"),
        ({"hidden_act": "gelu"}, "hidden_act asks for .* found 'gelu'; expected 'silu'"),
        ({"use_sliding_window": True}, "use_sliding_window asks for"),
        ({"layer_types": ["full_attention", "sliding_attention"]}, "found sliding_attention"),
        ({"quantization_config": {"bits": 4}}, "quantization_config asks for"),
        ({"vocab_size": None}, "vocab_size is missing or no size"),
        ({"num_key_value_heads": 3}, "the heads do not fit together"),
        ({"eos_token_id": [2, "</s>"]}, r"eos_token_id is no token; found \[2, '</s>'\]"),
        ({"bos_token_id": True}, "bos_token_id is no token; found True"),
    ],
)
def test_what_is_not_computed_is_refused(changed: dict[str, Any], found: str) -> None:
    with pytest.raises(CheckpointError, match=found):
        DecoderConfig.from_dict(fields(**changed))


def test_end_tokens_of_a_chat_model(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text(json.dumps(fields()))
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [2, 5]}')
    assert read_config(path).eos == (2, 5)
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": null}')
    assert read_config(path).eos == (2,)


def test_files_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    with pytest.raises(UsageError, match="cannot read"):
        read_config(path)
    for text, message in (("{", "is no JSON"), ("[]", "is no JSON object")):
        path.write_text(text)
        with pytest.raises(CheckpointError, match=message):
            read_config(path)
