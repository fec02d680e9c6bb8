"""What a decoder is: the fields of a Hugging Face ``config.json`` that its computation depends on.

Enters: the parsed JSON. Leaves: a frozen `DecoderConfig`, or an error that names the field which
asks for something that `decoder.Decoder` does not compute.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etcoreml.errors import CheckpointError, UsageError
from etcoreml.llm.rope import Rope

FAMILIES = ("llama", "qwen2", "qwen3")
"""Values of ``model_type``. SmolLM and SmolLM2 are ``llama``."""

# Field -> the values it may have: others would compute something else.
_FIXED: Mapping[str, tuple[object, ...]] = {
    "hidden_act": ("silu", "swish"),
    "use_sliding_window": (False,),
    "sliding_window_pattern": (None,),
    "pretraining_tp": (1,),
    "partial_rotary_factor": (1, None),
    "quantization_config": (None,),
}


@dataclass(frozen=True)
class DecoderConfig:
    """The shape of a decoder.

    Attributes:
        family: One of `FAMILIES`.
        vocab_size: Rows of the embedding.
        hidden_size: Width of the residual stream.
        intermediate_size: Width inside the feed-forward block.
        layers: Number of blocks.
        heads: Query heads.
        kv_heads: Key and value heads; divides ``heads``.
        head_dim: Width of a head, even.
        rms_norm_eps: Added to the mean square.
        rope: Rotary position embedding.
        max_positions: Longest context the model was made for.
        tied: Whether the embedding serves as the output layer.
        qkv_bias, output_bias: Whether the attention's projections have biases.
        mlp_bias: Whether those of the feed-forward block have.
        qk_norm: Whether queries and keys are normalised per head.
        bos: Token that starts a text, or None.
        eos: Tokens that end one.
    """

    family: str
    vocab_size: int
    hidden_size: int
    intermediate_size: int
    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    rms_norm_eps: float
    rope: Rope
    max_positions: int
    tied: bool
    qkv_bias: bool
    output_bias: bool
    mlp_bias: bool
    qk_norm: bool
    bos: int | None
    eos: tuple[int, ...]

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any], name: str = "config.json") -> DecoderConfig:
        """Read the fields of a ``config.json``.

        Args:
            fields: The parsed JSON.
            name: What to call it in an error.

        Raises:
            CheckpointError: A field is missing, or asks for what is not computed here.
        """
        family = fields.get("model_type")
        if family not in FAMILIES:
            raise CheckpointError(
                f"{name}: model_type is not one that export-llm knows",
                found=repr(family),
                expected=", ".join(FAMILIES),
            )
        for field, values in _FIXED.items():
            found = fields.get(field, values[0])
            if found not in values:
                raise CheckpointError(
                    f"{name}: {field} asks for what is not supported",
                    found=repr(found),
                    expected=repr(values[0]),
                )
        layer_types = set(fields.get("layer_types") or ()) - {"full_attention"}
        if layer_types:
            raise CheckpointError(
                f"{name}: layer_types asks for what is not supported",
                found=", ".join(sorted(layer_types)),
                expected="full_attention",
            )
        heads = _size(fields, "num_attention_heads", name)
        hidden = _size(fields, "hidden_size", name)
        has_bias = bool(fields.get("attention_bias", False))
        config = cls(
            family=family,
            vocab_size=_size(fields, "vocab_size", name),
            hidden_size=hidden,
            intermediate_size=_size(fields, "intermediate_size", name),
            layers=_size(fields, "num_hidden_layers", name),
            heads=heads,
            kv_heads=int(fields.get("num_key_value_heads") or heads),
            head_dim=int(fields.get("head_dim") or hidden // heads),
            rms_norm_eps=float(fields.get("rms_norm_eps", 1e-6)),
            rope=Rope.from_dict(fields, name),
            max_positions=_size(fields, "max_position_embeddings", name),
            tied=bool(fields.get("tie_word_embeddings", False)),
            qkv_bias=family == "qwen2" or has_bias,
            output_bias=family != "qwen2" and has_bias,
            mlp_bias=family == "llama" and bool(fields.get("mlp_bias", False)),
            qk_norm=family == "qwen3",
            bos=next(iter(_tokens(fields, "bos_token_id", name)), None),
            eos=_tokens(fields, "eos_token_id", name),
        )
        if heads % config.kv_heads or config.head_dim % 2:
            raise CheckpointError(
                f"{name}: the heads do not fit together",
                found=f"{heads} query heads, {config.kv_heads} key heads of {config.head_dim}",
                expected="key heads that divide the query heads, of an even size",
            )
        return config


def read_config(path: Path) -> DecoderConfig:
    """Read a ``config.json``, and the end tokens of a ``generation_config.json`` beside it.

    Raises:
        UsageError: There is no such file.
        CheckpointError: It is no JSON object, or describes no decoder that is computed here.
    """
    fields = _json(path)
    beside = path.with_name("generation_config.json")
    if beside.is_file():
        # A chat model ends its turns with tokens that only this file names.
        eos = _json(beside).get("eos_token_id")
        fields = fields if eos is None else {**fields, "eos_token_id": eos}
    return DecoderConfig.from_dict(fields, f"'{path}'")


def _json(path: Path) -> dict[str, Any]:
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read '{path}': {error.strerror}") from error
    except ValueError as error:
        raise CheckpointError(f"'{path}' is no JSON", found=str(error)) from error
    if not isinstance(fields, dict):
        raise CheckpointError(f"'{path}' is no JSON object", found=type(fields).__name__)
    return fields


def _size(fields: Mapping[str, Any], field: str, name: str) -> int:
    value = fields.get(field)
    if not isinstance(value, int) or value < 1:
        raise CheckpointError(
            f"{name}: {field} is missing or no size", found=repr(value), expected="an integer >= 1"
        )
    return value


def _tokens(fields: Mapping[str, Any], field: str, name: str) -> tuple[int, ...]:
    value = fields.get(field)
    tokens = value if isinstance(value, list) else [] if value is None else [value]
    # JSON's true is an int in Python.
    if not all(type(token) is int and token >= 0 for token in tokens):
        raise CheckpointError(
            f"{name}: {field} is no token", found=repr(value), expected="integers >= 0, or null"
        )
    return tuple(tokens)
