"""Weights of a Hugging Face folder, under this package's names.

Enters: ``model.safetensors``, or the files that ``model.safetensors.index.json`` lists. Leaves:
float32 parameters in a `Decoder`. Tensors are read one at a time.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from etcoreml.errors import CheckpointError, UsageError
from etcoreml.llm.config import DecoderConfig
from etcoreml.llm.decoder import Decoder

_SINGLE = "model.safetensors"
_INDEX = "model.safetensors.index.json"

# Computed from the configuration; older checkpoints carry it.
_COMPUTED = re.compile(r"\.rotary_emb\.inv_freq$")
_NAMES_SHOWN = 5


def load_weights(decoder: Decoder, folder: Path) -> None:
    """Fill a decoder with the weights of a folder.

    Args:
        decoder: Its parameters are overwritten.
        folder: Holds ``model.safetensors`` or its index.

    Raises:
        UsageError: The folder holds neither, or safetensors is not installed.
        CheckpointError: A tensor is missing, unexpected, or has another shape.
    """
    files = _files(folder)
    wanted = dict(_wanted(decoder.config))
    unexpected = [
        name for name in files if name not in wanted and not _is_needless(name, decoder.config)
    ]
    missing = [name for name in wanted if name not in files]
    for names, what in ((missing, "missing"), (unexpected, "unexpected")):
        if names:
            raise CheckpointError(
                f"'{folder}': {len(names)} tensor{'s are' if names[1:] else ' is'} {what}",
                found=_some(names),
                hint="config.json and the weights are of different models." if files else None,
            )
    parameters = dict(decoder.named_parameters())
    with contextlib.ExitStack() as stack, torch.no_grad():
        opened: dict[Path, Any] = {}
        for name, (parameter, rows) in wanted.items():
            path = files[name]
            if path not in opened:
                opened[path] = stack.enter_context(_open(path))
            tensor = opened[path].get_tensor(name)
            _copy(tensor, parameters[parameter], rows, f"'{path}': tensor {name}")


Rows = slice | None
"""Which rows of a parameter a tensor fills; None for all."""


def _wanted(config: DecoderConfig) -> Iterator[tuple[str, tuple[str, Rows]]]:
    """Yield each tensor's name, and the parameter and rows that it fills."""
    yield "model.embed_tokens.weight", ("embedding.weight", None)
    yield "model.norm.weight", ("norm.weight", None)
    if not config.tied:
        yield "lm_head.weight", ("head.weight", None)
    query, key = config.heads * config.head_dim, config.kv_heads * config.head_dim
    inner = config.intermediate_size
    linears: list[tuple[str, str, Rows, bool]] = [
        ("self_attn.q_proj", "qkv", slice(0, query), config.qkv_bias),
        ("self_attn.k_proj", "qkv", slice(query, query + key), config.qkv_bias),
        ("self_attn.v_proj", "qkv", slice(query + key, query + 2 * key), config.qkv_bias),
        ("self_attn.o_proj", "output", None, config.output_bias),
        ("mlp.gate_proj", "mlp.gate_up", slice(0, inner), config.mlp_bias),
        ("mlp.up_proj", "mlp.gate_up", slice(inner, 2 * inner), config.mlp_bias),
        ("mlp.down_proj", "mlp.down", None, config.mlp_bias),
    ]
    norms: list[tuple[str, str, Rows]] = [
        ("input_layernorm", "attention_norm", None),
        ("post_attention_layernorm", "mlp_norm", None),
    ]
    if config.qk_norm:
        norms.append(("self_attn.q_norm", "qk_norm", slice(0, config.heads)))
        norms.append(("self_attn.k_norm", "qk_norm", slice(config.heads, None)))
    for layer in range(config.layers):
        theirs, ours = f"model.layers.{layer}", f"blocks.{layer}"
        for module, parameter, rows, has_bias in linears:
            for kind in ("weight", "bias") if has_bias else ("weight",):
                yield f"{theirs}.{module}.{kind}", (f"{ours}.{parameter}.{kind}", rows)
        for module, parameter, rows in norms:
            yield f"{theirs}.{module}.weight", (f"{ours}.{parameter}.weight", rows)


def _is_needless(name: str, config: DecoderConfig) -> bool:
    return bool(_COMPUTED.search(name)) or (config.tied and name == "lm_head.weight")


def _copy(tensor: Tensor, parameter: Tensor, rows: Rows, what: str) -> None:
    target = parameter if rows is None else parameter[rows]
    # One norm serves all heads; here each head has a row.
    is_norm_of_heads = rows is not None and tensor.ndim == 1 and target.ndim > 1
    expected = tuple(target.shape[1:] if is_norm_of_heads else target.shape)
    if tuple(tensor.shape) != expected:
        raise CheckpointError(
            f"{what} has another shape than config.json says",
            found=tuple(tensor.shape),
            expected=expected,
        )
    if not tensor.dtype.is_floating_point:
        raise CheckpointError(
            f"{what} is not of a floating-point dtype",
            found=str(tensor.dtype).removeprefix("torch."),
            hint="export-llm quantises weights itself: give it those of the original model.",
        )
    target.copy_(tensor)


def _files(folder: Path) -> Mapping[str, Path]:
    """Return the file of each tensor in a folder."""
    single, index = folder / _SINGLE, folder / _INDEX
    if single.is_file():
        with _open(single) as file:
            return dict.fromkeys(file.keys(), single)
    if not index.is_file():
        raise UsageError(f"'{folder}' holds no weights", expected=f"{_SINGLE} or {_INDEX}")
    try:
        table = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        names = {str(name): str(file) for name, file in table.items()}
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise CheckpointError(
            f"'{index}' is no index of weights", found=f"{type(error).__name__}: {error}"
        ) from error
    for file in sorted(set(names.values())):
        # Links are followed: Hugging Face's cache keeps what its folders show elsewhere.
        if Path(file).name != file or not (folder / file).is_file():
            raise CheckpointError(f"'{index}' names a file that is not beside it", found=file)
    return {name: folder / file for name, file in names.items()}


@contextlib.contextmanager
def _open(path: Path) -> Iterator[Any]:
    try:
        from safetensors import SafetensorError, safe_open
    except ImportError as error:
        raise UsageError(
            "reading weights needs safetensors", hint="pip install 'etcoreml[llm]'"
        ) from error
    try:
        with safe_open(str(path), framework="pt") as file:
            yield file
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"'{path}' cannot be read", found=str(error)) from error


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:_NAMES_SHOWN])
    return f"{shown} and {len(names) - _NAMES_SHOWN} more" if names[_NAMES_SHOWN:] else shown
