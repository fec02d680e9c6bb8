"""Integers that are made or added: what coremltools makes in floating point, which rounds them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.fx import Node

from etcoreml.compiler.decompositions.registry import decomposes, gives_integers
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


for _name, _fill in (("full_like", None), ("ones_like", 1), ("zeros_like", 0)):
    decomposes(f"aten.{_name}.default", why=_IN_FLOATS, applies=gives_integers)(_like(_fill))


def _grows(node: Node) -> bool:
    """Whether integers are padded with constants by fixed sizes."""
    pads = argument(node, "pad")
    by_constants = "mode" not in _parameters(node) or argument(node, "mode") == "constant"
    fixed = all(isinstance(each, int) and each >= 0 for each in pads)
    return gives_integers(node) and by_constants and fixed


def _parameters(node: Node) -> set[str]:
    target: Any = node.target
    return {each.name for each in target._schema.arguments}


def _grown(x: Tensor, pad: list[int], value: float | None) -> Tensor:
    """Put what is added before and behind each dimension, from the last on."""
    for index in range(len(pad) // 2):
        axis = x.dim() - 1 - index
        before, after = (
            [torch.full(_resized(x, axis, size), int(value or 0), dtype=x.dtype)] if size else []
            for size in pad[2 * index : 2 * index + 2]
        )
        x = torch.cat([*before, x, *after], axis) if before or after else x
    return x


def _resized(x: Tensor, axis: int, size: int) -> list[int]:
    return [size if index == axis else each for index, each in enumerate(x.shape)]


_FLOATS_ONLY = "MIL pads floating-point tensors only"


@decomposes("aten.constant_pad_nd.default", why=_FLOATS_ONLY, applies=_grows)
def constant_pad_nd(self: Tensor, pad: list[int], value: float = 0) -> Tensor:
    """Join integers with what is added."""
    return _grown(self, pad, value)


@decomposes("aten.pad.default", why=_FLOATS_ONLY, applies=_grows)
def pad(self: Tensor, pad: list[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """Join integers with what is added."""
    return _grown(self, pad, value)
