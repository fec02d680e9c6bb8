"""Fourier transforms as products with matrices, and complex numbers as pairs of real ones.

Each function takes complex tensors apart with ``view_as_real`` and joins its result with
``view_as_complex``; ``join_complex`` removes what cancels, which leaves real tensors only.
"""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor
from torch.fx import Graph, Node

from etcoreml.compiler.decompositions.calls import call
from etcoreml.compiler.decompositions.registry import decomposes, tensors
from etcoreml.compiler.names import argument, op_name

_COMPLEX = "ExecuTorch and Core ML have real tensors only"
_LONGEST = 4096


def _reads_complex(node: Node) -> bool:
    return any(each.dtype.is_complex for each in tensors(node))


def _is_short(node: Node) -> bool:
    sizes = (tensors(node)[0].shape[axis] for axis in argument(node, "dim"))
    return all(isinstance(size, int) and size <= _LONGEST for size in sizes)


@decomposes("aten._fft_r2c.default", why=_COMPLEX, applies=_is_short)
def fft_r2c(self: Tensor, dim: list[int], normalization: int, onesided: bool) -> Tensor:
    """Multiply with cosines and sines, (n, n / 2 + 1) each where one side is asked for.

    That is the last dimension; along the others, what it gives is transformed as complex numbers.
    """
    x = self.movedim(dim[-1], -1)
    size = x.shape[-1]
    count = size // 2 + 1 if onesided else size
    cosines, sines = _waves(size, count, x.dtype)
    scale = _scale(size, normalization)
    parts = torch.matmul(x, cosines * scale), torch.matmul(x, sines * -scale)
    pair = torch.stack([each.movedim(-1, dim[-1]) for each in parts], -1)
    line = torch.view_as_complex(pair)
    if len(dim) == 1:
        return line
    return torch.ops.aten._fft_c2c.default(line, dim[:-1], normalization, True)


@decomposes("aten._fft_c2c.default", why=_COMPLEX, applies=_is_short)
def fft_c2c(self: Tensor, dim: list[int], normalization: int, forward: bool) -> Tensor:
    """Multiply with cosines and sines along one dimension after the other."""
    pair = torch.view_as_real(self)
    real, imaginary = pair.select(-1, 0), pair.select(-1, 1)
    for axis in dim:
        size = self.shape[axis]
        cosines, sines = _waves(size, size, real.dtype)
        sines = sines if forward else -sines
        a, b = real.movedim(axis, -1), imaginary.movedim(axis, -1)
        turned = torch.matmul(a, cosines) + torch.matmul(b, sines)
        imaginary = (torch.matmul(b, cosines) - torch.matmul(a, sines)).movedim(-1, axis)
        real = turned.movedim(-1, axis)
    scale = _scale(math.prod(self.shape[axis] for axis in dim), normalization)
    return torch.view_as_complex(torch.stack([real * scale, imaginary * scale], -1))


def _waves(size: int, count: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return cosines and sines of the first ``count`` frequencies, ``(size, count)`` each."""
    # k n mod N as integers: the angle of a large product would be inexact.
    turns = (torch.arange(size).unsqueeze(1) * torch.arange(count)) % size
    angles = turns.to(dtype) * (2 * math.pi / size)
    return torch.cos(angles), torch.sin(angles)


def _scale(size: int, normalization: int) -> float:
    """Return what PyTorch's code of a normalisation multiplies by: nothing, the root, the size."""
    return {0: 1.0, 1: 1 / math.sqrt(size), 2: 1 / size}[normalization]


def _becomes_complex(node: Node) -> bool:
    return node.meta["val"].dtype.is_complex and not _reads_complex(node)


@decomposes("aten._to_copy.default", why=_COMPLEX, applies=_becomes_complex)
def to_complex(self: Tensor, dtype: torch.dtype, **_: object) -> Tensor:
    """Pair every number with zero."""
    real = self.to(dtype.to_real())
    return torch.view_as_complex(torch.stack([real, torch.zeros_like(real)], -1))


def _enter_composites() -> None:
    for op in (
        torch.ops.aten.fft_rfft.default,
        torch.ops.aten.fft_rfft2.default,
        torch.ops.aten.fft_rfftn.default,
        torch.ops.aten.fft_fft.default,
        torch.ops.aten.fft_fft2.default,
        torch.ops.aten.fft_fftn.default,
        torch.ops.aten.fft_ifft.default,
        torch.ops.aten.fft_ifft2.default,
        torch.ops.aten.fft_ifftn.default,
        torch.ops.aten.linalg_inv.default,
        torch.ops.aten.stft.default,
        torch.ops.aten.stft.center,
    ):
        decomposes(str(op), why="coremltools 9.0 wants the arguments torch.export leaves out")(op)


_enter_composites()


@decomposes("aten.abs.default", why=_COMPLEX, applies=_reads_complex)
def absolute(self: Tensor) -> Tensor:
    """Compute the magnitude of numbers divided by their larger part: squares would overflow."""
    pair = torch.view_as_real(self)
    larger = pair.abs().amax(-1)
    scale = torch.where((larger > 0) & (larger < math.inf), larger, 1.0)
    scaled = pair / scale.unsqueeze(-1)
    return torch.sqrt((scaled * scaled).sum(-1)) * scale


def join_complex(graph: Graph) -> None:
    """Remove what takes complex numbers apart right after they were joined, in place.

    Input graph::

        view_as_real(view_as_complex(x))

    Output graph::

        x
    """
    for node in list(graph.nodes):
        if op_name(node) != "aten.view_as_real.default":
            continue
        source = node.all_input_nodes[0]
        moves: list[Node] = []
        while op_name(source) in _MOVES:
            moves.append(source)
            source = source.all_input_nodes[0]
        if op_name(source) != "aten.view_as_complex.default":
            continue
        value = source.all_input_nodes[0]
        with graph.inserting_before(node):
            for each in reversed(moves):
                value = _move_pair(graph, each, value)
            if value.op == "placeholder":
                value = call(graph, torch.ops.aten.clone.default, value)
        name = node.name
        node.replace_all_uses_with(value)
        graph.erase_node(node)
        if any(user.op == "output" for user in value.users):
            value.name = name


_TRANSPOSES = ("aten.transpose.int", "aten.transpose_.default")
_MOVES = (*_TRANSPOSES, "aten.permute.default", "aten.clone.default")


def _move_pair(graph: Graph, move: Node, value: Node) -> Node:
    """Repeat a move of complex numbers on pairs, whose last dimension stays."""
    rank = value.meta["val"].dim() - 1
    if op_name(move) in _TRANSPOSES:
        axes = [each % rank for each in cast(tuple[int, ...], move.args[1:])]
        return call(graph, torch.ops.aten.transpose.int, value, *axes)
    if op_name(move) == "aten.permute.default":
        order = [axis % rank for axis in cast(list[int], move.args[1])]
        return call(graph, torch.ops.aten.permute.default, value, [*order, rank])
    return call(graph, torch.ops.aten.clone.default, value)
