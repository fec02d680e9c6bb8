"""Pads in terms of slices and joins: what MIL's own pad does not do."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.fx import Node

from etcoreml.compiler.decompositions.registry import decomposes, gives_integers
from etcoreml.compiler.names import argument


def _sides(x: Tensor, pad: list[int]) -> Iterator[tuple[int, int, int]]:
    """Yield axes from the last on, with what is added before and behind each."""
    for index, (before, after) in enumerate(zip(pad[::2], pad[1::2], strict=True)):
        yield x.dim() - 1 - index, before, after


def _crops(node: Node) -> bool:
    pads = argument(node, "pad")
    return all(isinstance(each, int) for each in pads) and min(pads, default=0) < 0


def _grows(node: Node) -> bool:
    pads = argument(node, "pad")
    return all(isinstance(each, int) for each in pads) and min(pads, default=0) >= 0


@decomposes(
    "aten.constant_pad_nd.default",
    why="MIL pads by zero or more",
    applies=_crops,
)
def cropped(self: Tensor, pad: list[int], value: float = 0) -> Tensor:
    """Slice where the pad is negative, pad where it is positive."""
    x = self
    for axis, before, after in _sides(self, pad):
        if min(before, after) < 0:
            stop = x.shape[axis] + min(after, 0)
            x = torch.ops.aten.slice.Tensor(x, axis, max(-before, 0), stop)
    widths = [max(each, 0) for each in pad]
    return torch.ops.aten.constant_pad_nd.default(x, widths, value) if any(widths) else x.clone()


_FLOATS_ONLY = "MIL pads floating-point tensors only"


@decomposes(
    "aten.constant_pad_nd.default",
    why=_FLOATS_ONLY,
    applies=lambda node: gives_integers(node) and _grows(node),
)
def padded_integers(self: Tensor, pad: list[int], value: float | None = 0) -> Tensor:
    """Join integers with what is added."""
    x = self
    for axis, *widths in _sides(self, pad):
        before, after = ([_filled(x, axis, width, value)] if width else [] for width in widths)
        x = torch.cat([*before, x, *after], axis) if before or after else x
    return x


def _filled(x: Tensor, axis: int, width: int, value: float | None) -> Tensor:
    sizes: list[Any] = list(x.shape)
    sizes[axis] = width
    return torch.full(sizes, int(value or 0), dtype=x.dtype)


def _is_constant(node: Node) -> bool:
    return argument(node, "mode") == "constant" and gives_integers(node) and _grows(node)


@decomposes("aten.pad.default", why=_FLOATS_ONLY, applies=_is_constant)
def padded(
    self: Tensor, pad: list[int], mode: str = "constant", value: float | None = None
) -> Tensor:
    """Join integers with what is added."""
    return padded_integers(self, pad, value)


@decomposes(
    "aten.pad.default",
    why="PyTorch fills an empty tensor in parts, whose size ExecuTorch fixes where it varies",
    applies=lambda node: argument(node, "mode") == "circular" and _grows(node),
)
def circular(
    self: Tensor, pad: list[int], mode: str = "circular", value: float | None = None
) -> Tensor:
    """Put the end before the beginning, and the beginning behind the end."""
    x = self
    for axis, before, after in _sides(self, pad):
        parts = [x]
        if before:
            parts.insert(0, torch.ops.aten.slice.Tensor(x, axis, -before))
        if after:
            parts.append(torch.ops.aten.slice.Tensor(x, axis, 0, after))
        x = torch.cat(parts, axis)
    return x
