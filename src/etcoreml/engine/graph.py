"""Small vocabulary for building OpenVINO graphs, used by every translator.

Enters and leaves: ``Output``, the OpenVINO handle of one run-time value. Shapes are static
integers wherever OpenVINO's own inference knows them, None elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from openvino import Dimension, Node, Output, PartialShape, Type
from openvino import opset15 as op

from etcoreml.mil.program import Array, Shape


def output(value: Node | Output) -> Output:
    """Return the first output of a node, or the output itself."""
    return value.output(0) if isinstance(value, Node) else value


def node(x: Output) -> Node:
    """Return a node whose first output is ``x``, which some of OpenVINO's functions insist on."""
    return x.get_node() if x.get_index() == 0 else op.broadcast(x, shape_of(x))


def constant(array: Any) -> Output:
    """Return a constant that shares the array's memory; fp16 is converted to f32 when computing.

    The weights of a large model would otherwise exist twice while it is compiled.
    """
    array = np.ascontiguousarray(array) if np.ndim(array) else np.asarray(array)
    # OpenVINO copies empty and scalar arrays anyway.
    is_shared = array.size > 1
    stored = op.constant(writable_alias(array) if is_shared else array, shared_memory=is_shared)
    return output(op.convert(stored, Type.f32) if array.dtype == np.float16 else stored)


class _Alias:
    def __init__(self, array: Array) -> None:
        self.array = array
        interface = dict(array.__array_interface__)
        interface["data"] = (interface["data"][0], False)
        self.__array_interface__ = interface


def writable_alias(array: Array) -> Array:
    """View a read-only array through a writable one; OpenVINO insists on it but only reads.

    The alias keeps the array alive.
    """
    return array if array.flags.writeable else np.asarray(_Alias(array))


def integers(*values: int) -> Output:
    """Return a rank-1 i64 constant, the form in which OpenVINO takes axes and shapes."""
    return output(op.constant(np.array(values, np.int64)))


def integer(value: int) -> Output:
    """Return a rank-0 i64 constant."""
    return output(op.constant(np.array(value, np.int64)))


def scalar_like(x: Output, value: float) -> Output:
    """Return a rank-0 constant of the element type of ``x``."""
    return output(op.constant(np.array(value), dtype=x.get_element_type()))


def floats(values: Any) -> Output:
    """Return an f32 constant of any shape."""
    return output(op.constant(np.asarray(values, np.float32)))


def rank(x: Output) -> int:
    """Return the rank of ``x``; every MIL value that can be translated has one."""
    return int(x.get_partial_shape().rank.get_length())


def sizes(x: Output) -> Shape:
    """Return the sizes of the dimensions, None where they vary."""
    return partial_sizes(x.get_partial_shape())


def partial_sizes(shape: PartialShape) -> Shape:
    """Return the sizes of a partial shape of known rank."""
    return tuple(d.get_length() if d.is_static else None for d in shape)


def partial_shape(sizes: Shape | None) -> PartialShape:
    """Return sizes as OpenVINO takes them; None as a whole leaves the rank open."""
    if sizes is None:
        return PartialShape.dynamic()
    return PartialShape([Dimension(-1 if size is None else size) for size in sizes])


def known_size(x: Output, axis: int) -> int | None:
    """Return the size of one dimension, None if it varies; ``axis`` may be negative."""
    return sizes(x)[axis]


def axis_of(axis: int, rank: int) -> int:
    """Return ``axis`` counted from the front."""
    return axis + rank if axis < 0 else axis


def axes_of(axes: Iterable[int], rank: int) -> tuple[int, ...]:
    """Return ``axes`` counted from the front."""
    return tuple(axis_of(int(axis), rank) for axis in axes)


def growing(x: Output) -> PartialShape:
    """Return the shape of ``x`` with all sizes open: that of a list that may grow."""
    return PartialShape([Dimension(-1)] * rank(x))


def is_float(x: Output) -> bool:
    """Whether the elements are floating-point numbers."""
    return bool(x.get_element_type().is_real())


def is_constant(x: Output) -> bool:
    """Whether the value is known when the model is loaded."""
    return bool(x.get_node().get_type_name() == "Constant")


def is_type(x: Output, type_: Type) -> bool:
    """Whether the elements are of this type."""
    return bool(x.get_element_type() == type_)


def convert(x: Output, type_: Type) -> Output:
    """Convert the elements unless they are of that type."""
    return x if is_type(x, type_) else output(op.convert(x, type_))


def apart(x: Output) -> Output:
    """Return the values of ``x`` in other memory, by an op that OpenVINO does not remove."""
    if is_type(x, Type.boolean):
        return output(op.logical_or(x, x))
    return output(op.maximum(x, x))


def shape_of(x: Output) -> Output:
    """Return the shape as i64: a constant where it is known."""
    known = sizes(x)
    if None not in known:
        return integers(*(int(size or 0) for size in known))
    return output(op.shape_of(x, "i64"))


def size_of(x: Output, axis: int) -> Output:
    """Return the size of one dimension, ``[1]`` i64."""
    size = known_size(x, axis)
    if size is not None:
        return integers(size)
    return output(op.gather(op.shape_of(x, "i64"), integers(axis_of(axis, rank(x))), integer(0)))


def reshape(x: Output, shape: Output | Sequence[int]) -> Output:
    """Reshape; -1 is inferred, 0 is a dimension of no elements."""
    target = shape if isinstance(shape, Output) else integers(*shape)
    return output(op.reshape(x, target, False))


def scalar(x: Output) -> Output:
    """Return a value of one element as rank 0."""
    return x if rank(x) == 0 else reshape(x, ())


def transpose(x: Output, order: Sequence[int]) -> Output:
    """Permute the dimensions; ``order`` counts from the front."""
    return output(op.transpose(x, integers(*order)))


def concat(values: Sequence[Output], axis: int) -> Output:
    """Concatenate; a single value is returned as it is."""
    return values[0] if len(values) == 1 else output(op.concat(list(values), axis))


def unsqueeze(x: Output, *axes: int) -> Output:
    """Insert dimensions of size one at ``axes`` of the result."""
    return output(op.unsqueeze(x, integers(*axes))) if axes else x


def squeeze(x: Output, *axes: int) -> Output:
    """Remove dimensions of size one."""
    return output(op.squeeze(x, integers(*axes))) if axes else x
