"""Adaptive pools in terms of slices, or of masks where the sizes vary."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.fx import Node

from etcoreml.compiler.decompositions.registry import (
    LARGEST_WINDOW,
    MAX_RANK,
    decomposes,
    is_static,
)
from etcoreml.compiler.names import argument, op_name


def _pooled_sizes(node: Node) -> Sequence[int | torch.SymInt]:
    """Return the sizes of the dimensions that a node pools."""
    shape: Sequence[int | torch.SymInt] = node.all_input_nodes[0].meta["val"].shape
    return shape[len(shape) - len(argument(node, "output_size")) :]


def _has_static_windows(node: Node) -> bool:
    static = all(isinstance(size, int) for size in _pooled_sizes(node))
    return static and sum(argument(node, "output_size")) <= LARGEST_WINDOW


def _edges(size: int, parts: int) -> list[tuple[int, int]]:
    """Return where each part of an adaptive pool begins and ends."""
    return [(i * size // parts, -(-(i + 1) * size // parts)) for i in range(parts)]


@decomposes(
    "aten._adaptive_avg_pool2d.default",
    "aten._adaptive_avg_pool3d.default",
    "aten.adaptive_avg_pool3d.default",
    why="coremltools 9.0 has none of rank 3, and takes unequal windows of rank 2 for equal",
    applies=lambda node: _has_static_windows(node) and not _is_even(node),
)
def adaptive_avg_pool(self: Tensor, output_size: list[int]) -> Tensor:
    """Average along one dimension after the other."""
    x = self
    for index, parts in enumerate(output_size):
        axis = index - len(output_size)
        edges = _edges(x.shape[axis], parts)
        means = [
            torch.ops.aten.slice.Tensor(x, axis, a, b).mean(axis, keepdim=True) for a, b in edges
        ]
        x = torch.cat(means, axis)
    return x


@decomposes(
    "aten._adaptive_avg_pool2d.default",
    "aten.adaptive_avg_pool2d.default",
    why="coremltools 9.0 takes the sizes for constants, and fails where the batch varies",
    applies=lambda node: not is_static(node) and _has_static_windows(node),
)
def adaptive_avg_pool2d(self: Tensor, output_size: list[int]) -> Tensor:
    """Average equal windows, or along one dimension after the other."""
    sizes = self.shape[-2:]
    if any(size % parts for size, parts in zip(sizes, output_size, strict=True)):
        return adaptive_avg_pool(self, output_size)
    window = [size // parts for size, parts in zip(sizes, output_size, strict=True)]
    return torch.nn.functional.avg_pool2d(self, window, window)


@decomposes(
    "aten.adaptive_avg_pool1d.default",
    why="coremltools 9.0 takes the sizes for constants, and fails where the batch varies",
    applies=lambda node: not is_static(node) and _has_static_windows(node),
)
def adaptive_avg_pool1d(self: Tensor, output_size: list[int]) -> Tensor:
    """Average each part."""
    return adaptive_avg_pool(self, output_size)


@decomposes(
    "aten.adaptive_avg_pool1d.default",
    why="coremltools 9.0 takes the sizes for constants, and fails where the length varies",
    applies=lambda node: not is_static(node) and list(argument(node, "output_size")) == [1],
)
def global_avg_pool1d(self: Tensor, output_size: list[int]) -> Tensor:
    """Average all."""
    return self.mean(-1, keepdim=True)


def _is_even(node: Node) -> bool:
    output, sizes = argument(node, "output_size"), _pooled_sizes(node)
    return len(output) == 2 and all(s % p == 0 for s, p in zip(sizes, output, strict=True))


@decomposes(
    "aten.adaptive_max_pool2d.default",
    why="coremltools 9.0 converts it by name of another overload, without indices",
    applies=_has_static_windows,
)
def adaptive_max_pool2d(self: Tensor, output_size: list[int]) -> tuple[Tensor, Tensor]:
    """Take the largest of each window, and where it is."""
    height, width = self.shape[-2:]
    rows, columns = _edges(height, output_size[0]), _edges(width, output_size[1])
    values, places = [], []
    for (top, bottom), (left, right) in itertools.product(rows, columns):
        window = self[..., top:bottom, left:right].flatten(-2)
        values.append(window.amax(-1))
        at = window.argmax(-1)
        line = torch.div(at, right - left, rounding_mode="floor")
        places.append((line + top) * width + (at - line * (right - left)) + left)
    shape = (*self.shape[:-2], *output_size)
    return torch.stack(values, -1).reshape(shape), torch.stack(places, -1).reshape(shape)


_VARIES = "coremltools 9.0 takes the sizes for constants"


def _has_varying_windows(node: Node) -> bool:
    output = argument(node, "output_size")
    fixed = all(isinstance(parts, int) for parts in output)
    return fixed and sum(output) <= LARGEST_WINDOW and not _has_static_windows(node)


@decomposes(
    "aten.adaptive_avg_pool1d.default",
    "aten.adaptive_avg_pool2d.default",
    "aten._adaptive_avg_pool2d.default",
    "aten.adaptive_avg_pool3d.default",
    "aten._adaptive_avg_pool3d.default",
    why=_VARIES,
    applies=_has_varying_windows,
)
def adaptive_avg_pool_of_varying_size(self: Tensor, output_size: list[int]) -> Tensor:
    """Average what each part holds."""
    return _pooled(
        self, output_size, 0.0, lambda held, inside: held.sum(-1) / inside.to(held.dtype).sum(-1)
    )


def _reads_values_only(node: Node) -> bool:
    indexed = any(op_name(user) == "getitem" and user.args[1] == 1 for user in node.users)
    return not indexed and _has_varying_windows(node)


@decomposes(
    "aten.adaptive_max_pool1d.default",
    "aten.adaptive_max_pool2d.default",
    "aten.adaptive_max_pool3d.default",
    why=_VARIES,
    applies=_reads_values_only,
)
def adaptive_max_pool_of_varying_size(
    self: Tensor, output_size: list[int]
) -> tuple[Tensor, Tensor]:
    """Take the largest of what each part holds."""
    x = _pooled(self, output_size, -math.inf, lambda held, inside: held.amax(-1))
    return x, torch.zeros_like(x, dtype=torch.int64)  # which nothing reads


def _pooled(
    x: Tensor,
    output_size: list[int],
    other: float,
    reduce: Callable[[Tensor, Tensor], Tensor],
) -> Tensor:
    """Pool along one dimension after the other.

    Args:
        x: What is pooled.
        output_size: The number of parts of each of the last dimensions.
        other: What takes the place of the elements of other parts.
        reduce: From (..., parts, size), and which elements are of the part, to (..., parts).
    """
    for index, parts in enumerate(output_size):
        axis = index - len(output_size)
        moved = x.movedim(axis, -1)
        inside = _membership(moved.shape[-1], parts)
        pooled = reduce(_each_part(moved, inside, other), inside)
        x = pooled.reshape(*moved.shape[:-1], parts).movedim(-1, axis)
    return x


def _membership(size: int, parts: int) -> Tensor:
    """Return which elements are in which part, (parts, size).

    Part i begins at floor(i * size / parts) and ends before ceil((i + 1) * size / parts).
    """
    part, place = torch.arange(parts).unsqueeze(1), torch.arange(size)
    return (part * size < (place + 1) * parts) & (place * parts < (part + 1) * size)


def _each_part(x: Tensor, inside: Tensor, other: float) -> Tensor:
    """Return x once for each part, (..., parts, size), and ``other`` outside of it.

    Not a product with zeros and ones: an infinite element would make every part NaN.
    """
    if x.dim() == MAX_RANK:
        x = x.flatten(0, -2)
    return torch.where(inside, x.unsqueeze(-2), other)
