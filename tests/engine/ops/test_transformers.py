"""MIL family ``transformers`` against torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own spelling

from tests.cases import Case, integers, normal, numbers_of


def _attention(query: Any, key: Any, value: Any, attn_mask: Any = None) -> Any:
    tensors = [None if v is None else torch.from_numpy(v) for v in (query, key, value, attn_mask)]
    return F.scaled_dot_product_attention(*tensors).numpy()


MASK = integers(0, 2, 4, 6).astype(bool)
MASK[:, 0] = True  # a row without any key is undefined


def _qkv(*lead: int) -> dict[str, Any]:
    return {
        "query": normal(*lead, 4, 8),
        "key": normal(*lead, 6, 8, seed=1),
        "value": normal(*lead, 6, 5, seed=2),
    }


CASES = tuple(
    Case(
        "scaled_dot_product_attention",
        {**_qkv(*lead), **mask},
        why=why,
        expect=_attention,
        opset="iOS18",
        varies=False,
    )
    for why, lead, mask in (
        ("rank 3", (2,), {}),
        ("rank 4", (2, 3), {}),
        ("rank 5", (2, 3, 2), {}),
        ("added mask", (2, 3), {"attn_mask": normal(2, 1, 4, 6, seed=3)}),
        ("boolean mask", (2, 3), {"attn_mask": np.broadcast_to(MASK, (2, 3, 4, 6)).copy()}),
    )
)

test_numbers = numbers_of(CASES)
