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


def _gives_truth(node: Node) -> bool:
    return bool(node.meta["val"].dtype == torch.bool)


def _full_of_truth(fill: Any) -> Callable[..., Tensor]:
    """Return how to fill a tensor with a truth value, or the one given: integers are compared."""

    def filled(size: list[int], fill_value: Any = fill, **_: object) -> Tensor:
        return torch.full(size, int(bool(fill_value)), dtype=torch.int32) != 0

    return filled


for _name, _fill in (("full", None), ("ones", 1), ("zeros", 0)):
    decomposes(
        f"aten.{_name}.default",
        why="coremltools 9.0 makes numbers of truth values",
        applies=_gives_truth,
    )(_full_of_truth(_fill))


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


_LARGEST_TABLE = 1 << 22


def _is_small_triangle(node: Node) -> bool:
    rows, columns = argument(node, "row"), argument(node, "col")
    fixed = isinstance(rows, int) and isinstance(columns, int)
    return fixed and 0 < rows * rows * columns <= _LARGEST_TABLE


_NO_KERNEL = "coremltools 9.0 has no converter for it, and ExecuTorch no kernel"


@decomposes("aten.tril_indices.default", why=_NO_KERNEL, applies=_is_small_triangle)
def tril_indices(
    row: int, col: int, offset: int = 0, dtype: torch.dtype | None = None, **_: object
) -> Tensor:
    """Count through the rows, each of which ends at the diagonal."""
    counts = [min(max(each + offset + 1, 0), col) for each in range(row)]
    ends = torch.clamp(torch.arange(row) + (offset + 1), 0, col)
    return _indices(sum(counts), torch.zeros_like(ends), ends).to(dtype or torch.int64)


@decomposes("aten.triu_indices.default", why=_NO_KERNEL, applies=_is_small_triangle)
def triu_indices(
    row: int, col: int, offset: int = 0, dtype: torch.dtype | None = None, **_: object
) -> Tensor:
    """Count through the rows, each of which begins at the diagonal."""
    counts = [col - min(max(each + offset, 0), col) for each in range(row)]
    starts = torch.clamp(torch.arange(row) + offset, 0, col)
    return _indices(sum(counts), starts, torch.full_like(starts, col)).to(dtype or torch.int64)


def _indices(count: int, starts: Tensor, ends: Tensor) -> Tensor:
    """Return rows and columns, (2, count), of what lies between two columns in each row."""
    so_far = torch.cumsum(ends - starts, 0)
    places = torch.arange(count)
    rows = (so_far <= places.unsqueeze(1)).to(torch.int64).sum(1)
    columns = places - torch.index_select(so_far - ends, 0, rows)
    return torch.stack([rows, columns])
