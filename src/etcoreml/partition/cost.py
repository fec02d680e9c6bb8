"""What a node computes and moves: an estimate from shapes and dtypes, before anything runs.

FLOPs: matrix products, convolutions and attention by torch's own formulas
(``torch.utils.flop_counter``; a multiplication and an addition are two), recurrent layers by their
weights. Ops that only move values count none. Every other op counts one for each element of its
largest operand or result, which is a lower bound for norms, softmax and pooling.

Bytes: the tensors a node reads, constants included, and those it writes, each once. An op that
picks elements, such as an embedding, reads as much as it writes.

A size that varies counts as in the example inputs. One that depends on data has no such value,
and its node counts nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.fx import Node
from torch.fx.node import map_arg
from torch.utils.flop_counter import conv_flop_count, flop_registry, sdpa_flop_count

from etcoreml.compiler.names import argument, op_name
from etcoreml.partition.interface import TRIVIAL
from etcoreml.partition.node import overload, results

_MOVES = frozenset(
    {
        *(name.split(".")[1] for name in TRIVIAL if "." in name),
        *("alias", "cat", "clone", "constant_pad_nd", "contiguous", "detach", "diagonal_copy"),
        *("embedding", "empty", "expand", "expand_as", "flatten", "flip", "full_like", "gather"),
        *("index", "index_put", "index_select", "lift_fresh_copy", "masked_select", "narrow"),
        *("new_empty", "new_full", "new_ones", "new_zeros", "ones", "ones_like", "pad", "permute"),
        *("pixel_shuffle", "pixel_unshuffle", "repeat", "reshape", "roll", "scatter", "select"),
        *("select_scatter", "slice", "slice_scatter", "split", "split_copy", "split_with_sizes"),
        *("squeeze", "stack", "t", "t_copy", "to", "transpose", "unbind", "unflatten", "unfold"),
        *("unfold_copy", "unsqueeze", "unsafe_split", "view", "view_as", "zeros", "zeros_like"),
        *("_unsafe_view", "_unsafe_index", "copy", "tile", "movedim", "channel_shuffle"),
    }
)
"""Ops that compute nothing, without namespace and overload."""

_PICKS = frozenset(
    {
        *("embedding", "gather", "index", "index_select", "masked_select", "narrow", "select"),
        *("select_copy", "slice", "slice_copy", "_unsafe_index"),
    }
)
"""Ops that read as much of their first tensor as they write."""


@dataclass(frozen=True)
class Value:
    """A tensor that a node reads or writes.

    Attributes:
        name: Name of the node that makes it.
        dtype: Name of its torch dtype.
        shape: Sizes; those that vary by their symbol, e.g. ``s0``.
        sizes: The same sizes in the example inputs; None when one depends on data.
        constant: Whether it is a parameter or another constant of the model.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    sizes: tuple[int, ...] | None
    constant: bool = False

    @property
    def nbytes(self) -> int | None:
        """Size in bytes with the sizes of the example inputs; None where they are not known."""
        if self.sizes is None:
            return None
        return math.prod(self.sizes) * int(getattr(torch, self.dtype).itemsize)

    def __str__(self) -> str:
        pairs = zip(self.shape, self.sizes or self.shape, strict=True)
        sizes = [str(size) if size == here else f"{size}={here}" for size, here in pairs]
        return f"{self.dtype} ({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"


@dataclass(frozen=True)
class Cost:
    """What one call of a node costs.

    Attributes:
        flops: Floating-point operations, an estimate; None when a size is not known.
        nbytes: Bytes read and written; None when a size is not known.
    """

    flops: int | None
    nbytes: int | None


def values_of(node: Node, constant: bool = False) -> tuple[Value, ...]:
    """Return the tensors a node makes.

    Args:
        node: A node with ``meta["val"]``.
        constant: Whether they are constants of the model.
    """
    return tuple(
        Value(
            node.name,
            str(each.dtype).removeprefix("torch."),
            tuple(size if isinstance(size, int) else str(size) for size in each.shape),
            sizes_of(each),
            constant,
        )
        for each in results(node)
    )


def sizes_of(tensor: torch.Tensor) -> tuple[int, ...] | None:
    """Return the sizes of a tensor, those that vary as in the example inputs, or None."""
    sizes = tuple(_example(size) for size in tensor.shape)
    return None if None in sizes else sizes  # type: ignore[return-value] # just checked


def cost_of(node: Node, inputs: tuple[Value, ...], outputs: tuple[Value, ...]) -> Cost:
    """Return what a node costs.

    Args:
        node: A call of an op.
        inputs: The tensors it reads, each once.
        outputs: The tensors it writes.
    """
    if not outputs:
        return Cost(0, 0)
    read = [each.nbytes for each in inputs]
    written = [each.nbytes for each in outputs]
    if None in read or None in written:
        return Cost(None, None)
    into, out_of = [*filter(None, read)], sum(filter(None, written))
    name = _base_name(node)
    if name in _PICKS and into:
        into[0] = min(into[0], out_of)
    return Cost(_flops(node, name, inputs, outputs), sum(into) + out_of)


def _flops(
    node: Node, name: str, inputs: tuple[Value, ...], outputs: tuple[Value, ...]
) -> int | None:
    if isinstance(node.target, torch._ops.HigherOrderOperator) or name in _MOVES:
        return 0  # what a branch computes is counted there
    formula = _FORMULAS.get(name)
    try:
        if formula is not None:
            return formula(node)
        packet = getattr(overload(node), "overloadpacket", None)
        if packet in flop_registry:
            args, kwargs = map_arg((node.args, node.kwargs), _shape)
            return int(flop_registry[packet](*args, **kwargs, out_val=_sizes(node)))
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, AssertionError):
        pass  # shapes that the formulas do not know, e.g. without a batch
    return max(math.prod(each.sizes or ()) for each in (*inputs, *outputs) if not each.constant)


def _base_name(node: Node) -> str:
    """Return the name of an op without namespace and overload."""
    parts = op_name(node).split(".")
    return parts[1] if len(parts) > 1 else parts[0]


def _example(size: Any) -> int | None:
    if isinstance(size, int):
        return size
    hint = size.node.hint if size.node.has_hint() else None
    return None if hint is None else int(hint)


def _shape(node: Node) -> Any:
    value = node.meta.get("val")
    return sizes_of(value) if isinstance(value, torch.Tensor) else value


def _sizes(node: Node) -> tuple[int, ...]:
    """Return the sizes of a node's first result.

    Raises:
        IndexError: It has none.
        TypeError: They depend on data.
    """
    sizes = sizes_of(results(node)[0])
    if sizes is None:
        raise TypeError
    return sizes


def _operand(node: Node, *names: str) -> tuple[int, ...]:
    """Return the sizes of the first argument of these names that the op has."""
    for name in names:
        try:
            return _sizes(argument(node, name))
        except KeyError:
            continue
    raise KeyError(names)


def _product(node: Node) -> int:
    """Count ``(..., k) @ (k, ...)`` with any batch: linear, matmul, mv, dot."""
    depth = _operand(node, "input", "self")[-1]
    return 2 * math.prod(_sizes(node)) * depth


def _summed_products(node: Node) -> int:
    return 2 * math.prod(_operand(node, "batch1")) * _sizes(node)[-1]


def _matrix_vector(node: Node) -> int:
    return 2 * math.prod(_operand(node, "mat"))


def _convolution(node: Node, *, transposed: bool = False) -> int:
    x, weight, result = _operand(node, "input"), _operand(node, "weight"), _sizes(node)
    if len(x) < len(weight):
        x, result = (1, *x), (1, *result)
    return int(conv_flop_count(x, weight, result, transposed=transposed))


def _transposed_convolution(node: Node) -> int:
    return _convolution(node, transposed=True)


def _attention(node: Node) -> int:
    query, key, value = (_operand(node, name) for name in ("query", "key", "value"))
    shapes = ((math.prod(x[:-3]), *((1, *x)[-3:])) for x in (query, key, value))
    return int(sdpa_flop_count(*shapes))


def _recurrent(node: Node) -> int:
    """Count a use of every weight matrix for each element of the sequences."""
    x = _operand(node, "input", "data")
    matrices = [_sizes(each) for each in argument(node, "params")]
    return 2 * math.prod(x[:-1]) * sum(math.prod(each) for each in matrices if len(each) == 2)


_FORMULAS: dict[str, Callable[[Node], int]] = {
    **dict.fromkeys(("linear", "matmul", "mv", "dot", "vdot", "inner"), _product),
    "addmv": _matrix_vector,
    "addbmm": _summed_products,
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), _convolution),
    **dict.fromkeys(
        ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), _transposed_convolution
    ),
    "scaled_dot_product_attention": _attention,
    **dict.fromkeys(("lstm", "gru", "rnn_tanh", "rnn_relu"), _recurrent),
}
