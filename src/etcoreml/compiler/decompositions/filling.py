"""Tensors filled with a number.

coremltools makes integers in floating point, which rounds them, and others in the dtype of the
tensor that they are like, whatever is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.fx import Node

from etcoreml.compiler.decompositions.registry import decomposes, gives_integers, tensors
from etcoreml.compiler.names import argument

_IN_FLOATS = "coremltools 9.0 makes them in fp32, which is fp16 in most models"


def _has_no_dtype(node: Node) -> bool:
    return gives_integers(node) and argument(node, "dtype") is None


@decomposes("aten.full.default", why=_IN_FLOATS, applies=_has_no_dtype)
def full(size: list[int], fill_value: Any, dtype: None = None, **_: object) -> Tensor:
    """Say which dtype the number has."""
    dtype = torch.bool if isinstance(fill_value, bool) else torch.int64
    return torch.full(size, fill_value, dtype=dtype)


def _like(fill: Any) -> Callable[..., Tensor]:
    """Return how to fill a tensor of the shape of another, with a number or the one given."""

    def filled(
        self: Tensor, fill_value: Any = fill, dtype: torch.dtype | None = None, **_: object
    ) -> Tensor:
        return torch.full(self.shape, fill_value, dtype=dtype or self.dtype)

    return filled


def _needs_its_dtype(node: Node) -> bool:
    return gives_integers(node) or node.meta["val"].dtype != tensors(node)[0].dtype


for _name, _fill in (("full_like", None), ("ones_like", 1), ("zeros_like", 0)):
    decomposes(f"aten.{_name}.default", why=_IN_FLOATS, applies=_needs_its_dtype)(_like(_fill))
