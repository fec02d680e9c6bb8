"""MIL family ``control_flow``, lists: one tensor with a dimension in front, see ``TensorList``.

Lists are values: a write returns another list.

Source: coremltools 9.0 ``iOS15/control_flow.py``.
"""

from __future__ import annotations

from typing import Any

from openvino import Output, Type
from openvino import opset15 as op

from etcoreml.engine import graph
from etcoreml.engine.context import Context
from etcoreml.engine.dtypes import compute_type
from etcoreml.engine.ops.scatter_gather import in_range
from etcoreml.engine.registry import translates
from etcoreml.engine.scope import TensorList
from etcoreml.mil.program import Array
from etcoreml.types import BY_NAME

_DTYPES = ("fp32", "fp16", "int32", "bool")


@translates("make_list", spec="iOS15.make_list")
def make_list(
    elem_shape: tuple[Array, ...],
    context: Context,
    init_length: Output | None = None,
    dynamic_length: bool = True,
    dtype: str = "fp32",
) -> TensorList:
    """Return a list of zeros.

    Args:
        elem_shape: Sizes of an element; a string is a size that the first write decides.
        context: The translation.
        init_length: int32.
        dynamic_length: Whether writing past the end makes the list longer.
        dtype: ``fp16``, ``fp32``, ``int32`` or ``bool``.
    """
    type_ = compute_type(BY_NAME[context.one_of("dtype", dtype, _DTYPES)])
    sizes = [0 if isinstance(size, str) else int(size) for size in elem_shape]
    length = graph.integers(1) if init_length is None else _index(init_length)
    shape = graph.concat([length, *([graph.integers(*sizes)] if sizes else [])], 0)
    zero = graph.convert(graph.integer(0), type_)
    return TensorList(graph.output(op.broadcast(zero, shape)), dynamic_length)


@translates("list_length", spec="iOS15.list_length")
def list_length(ls: TensorList) -> Any:
    """Return the length, int32."""
    return op.convert(graph.scalar(graph.size_of(ls.data, 0)), Type.i32)


@translates("list_read", spec="iOS15.list_read")
def list_read(ls: TensorList, index: Output, context: Context) -> Any:
    """Return the element at an int32 index; one out of range stands for the nearest in range."""
    place = in_range(ls.data, graph.scalar(index), (0,), context, False)
    return op.gather(ls.data, place, graph.integer(0))


@translates("list_gather", spec="iOS15.list_gather")
def list_gather(ls: TensorList, indices: Output, context: Context) -> Any:
    """Return the elements at ``(K,)`` int32 indices, as of ``list_read``, stacked in front."""
    places = in_range(ls.data, indices, (0,), context, False)
    return op.gather(ls.data, places, graph.integer(0))


@translates("list_write", spec="iOS15.list_write")
def list_write(ls: TensorList, index: Output, value: Output) -> TensorList:
    """Return the list with another element at an int32 index."""
    where = _index(index)
    return _written(ls, where, graph.unsqueeze(value, 0), where)


@translates("list_scatter", spec="iOS15.list_scatter")
def list_scatter(ls: TensorList, indices: Output, value: Output) -> TensorList:
    """Return the list with other elements at ``(K,)`` int32 indices.

    Args:
        ls: The list.
        indices: Where.
        value: ``(K, *element)``.
    """
    last = op.reduce_max(indices, graph.integers(0), True)
    return _written(ls, indices, value, _index(graph.output(last)))


def _index(value: Output) -> Output:
    return graph.reshape(graph.convert(value, Type.i64), (1,))


def _written(ls: TensorList, indices: Output, values: Output, last: Output) -> TensorList:
    """Write, after making room up to ``last`` and for elements of the values' shape."""
    data = graph.convert(ls.data, values.get_element_type())
    element = op.slice(
        op.shape_of(values, "i64"), graph.integers(1), graph.integers(9), graph.integers(1)
    )
    length = graph.size_of(data, 0)
    if ls.is_dynamic:
        length = graph.output(op.maximum(length, op.add(last, graph.integers(1))))
    target = graph.concat([length, graph.output(element)], 0)
    room = op.subtract(target, op.shape_of(data, "i64"))
    zero = graph.scalar_like(data, 0)
    none = graph.integers(*[0] * graph.rank(data))
    larger = op.pad(data, none, op.maximum(room, none), "constant", zero)
    return ls.with_data(graph.output(op.scatter_update(larger, indices, values, graph.integer(0))))
