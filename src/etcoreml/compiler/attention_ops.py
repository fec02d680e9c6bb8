"""Attention with fewer key heads than query heads, which coremltools 9.0 does not convert."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from etcoreml.mil.ct import coremltools

_mb = coremltools().converters.mil.mil.Builder
_frontend = coremltools().converters.mil.frontend
_HEADS = -3


def scaled_dot_product_attention(context: Any, node: Any) -> None:
    """Repeat key and value heads until there are as many as query heads, then attend.

    Query head ``i`` attends to key head ``i // (query heads / key heads)``, as PyTorch's
    ``enable_gqa`` defines it.
    """
    groups = (node.kwinputs or {}).pop("enable_gqa", (False,))[0]
    if groups:
        query, *others = (context[name] for name in node.inputs[:3])
        names = [f"{node.name}_{each}" for each in ("key", "value")]
        for name, operand in zip(names, others, strict=True):
            count = query.shape[_HEADS] // operand.shape[_HEADS]
            context.add(_repeat_heads(operand, count), torch_name=name)
        node.inputs = [node.inputs[0], *names, *node.inputs[3:]]
    _frontend.torch.ops.scaled_dot_product_attention(context, node)


def _repeat_heads(x: Any, count: int) -> Any:
    """Return (B, H, S, D) as (B, count * H, S, D), each head ``count`` times in a row."""
    if count == 1:
        return x
    batch, heads, length, depth = x.shape
    apart = _mb.expand_dims(x=x, axes=[2])
    tiled = _mb.tile(x=apart, reps=[1, 1, count, 1, 1])
    sizes = [batch, heads * count, length, depth]
    varying = [axis for axis, size in enumerate(sizes) if not isinstance(size, int)]
    if len(varying) > 1:
        shape = _mb.shape(x=x)
        for axis in varying:
            sizes[axis] = _frontend._utils.pymil_value_at(shape, axis)
        return _mb.reshape(x=tiled, shape=_mb.concat(values=sizes, axis=0))
    return _mb.reshape(x=tiled, shape=[-1 if i in varying else n for i, n in enumerate(sizes)])


ATTENTION_CONVERTERS: Mapping[str, Callable[[Any, Any], None]] = MappingProxyType(
    {"scaled_dot_product_attention": scaled_dot_product_attention}
)
"""Op name in coremltools' spelling to converter."""
