"""MIL family ``transformers``. Source: coremltools 9.0 ``iOS18/transformers.py``."""

from __future__ import annotations

from typing import Any

from openvino import Output
from openvino import opset15 as op

from etcoreml.engine.registry import translates


@translates("scaled_dot_product_attention", spec="iOS18.scaled_dot_product_attention")
def scaled_dot_product_attention(
    query: Output, key: Output, value: Output, attn_mask: Output | None = None
) -> Any:
    """Return ``softmax(query @ key.T / sqrt(E) + attn_mask) @ value``.

    Args:
        query: ``(B, *H, L, E)`` fp16 | fp32.
        key: ``(B, *H, S, E)``.
        value: ``(B, *H, S, EV)``.
        attn_mask: Broadcastable to ``(B, *H, L, S)``: bool (true takes part) or added.

    Returns:
        ``(B, *H, L, EV)``.
    """
    return op.scaled_dot_product_attention(query, key, value, attn_mask)
