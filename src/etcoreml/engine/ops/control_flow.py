"""MIL family ``control_flow``. Source: coremltools 9.0 ``iOS15/control_flow.py``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import openvino as ov
from openvino import Node, Output, Type
from openvino import opset15 as op

from etcoreml.engine import graph, integers
from etcoreml.engine.context import Context
from etcoreml.engine.dtypes import compute_type
from etcoreml.engine.registry import translates
from etcoreml.engine.scope import Scope, State, TensorList
from etcoreml.errors import UnsupportedOpError
from etcoreml.mil.program import Block, TensorType, ValueType


@translates("select", spec="iOS15.select")
def select(cond: Output, a: Output, b: Output, context: Context) -> Any:
    """Return ``a`` where ``cond`` and ``b`` elsewhere, with broadcasting.

    Args:
        cond: ``(*)`` bool.
        a: ``(*)`` of any dtype.
        b: ``(*)`` of the dtype of ``a``.
        context: The translation.
    """
    type_ = context.element_type()
    yes, no = graph.convert(a, type_), graph.convert(b, type_)
    return integers.select(cond, yes, no) if type_ == Type.i32 else op.select(cond, yes, no)


@translates("cond", spec="iOS15.cond")
def cond(pred: Output, context: Context) -> Any:
    """Run one of two blocks.

    Args:
        pred: ``()`` bool.
        context: The translation; its operation holds the blocks, the true one first.
    """
    branches = [Scope(context.scope.translation, context.scope) for _ in range(2)]
    found = [
        branch.inline(block, (), context.label)
        for branch, block in zip(branches, context.operation.blocks, strict=True)
    ]
    states = {**branches[0].written_states, **branches[1].written_states}
    for branch, values in zip(branches, found, strict=True):
        values.extend(branch.read_state(state) for state in states.values())
    results = [[op.result(_data(value)) for value in values] for values in found]
    node = op.if_op(graph.scalar(pred))
    bodies = [
        ov.Model(branch_results, [parameter for _, parameter in branch.captures.values()], name)
        for branch_results, branch, name in zip(results, branches, ("true", "false"), strict=True)
    ]
    node.set_then_body(bodies[0])
    node.set_else_body(bodies[1])
    for name in {**branches[0].captures, **branches[1].captures}:
        held = [branch.captures.get(name) for branch in branches]
        value = next(item[0] for item in held if item is not None)
        node.set_input(value, *[None if item is None else item[1] for item in held])
    outputs = [node.set_output(yes, no) for yes, no in zip(*results, strict=True)]
    return _without_states(_like(found[0], outputs), states, context)


@translates("while_loop", spec="iOS15.while_loop")
def while_loop(loop_vars: tuple[Output, ...] | tuple[TensorList, ...], context: Context) -> Any:
    """Run a block as long as another one returns true.

    OpenVINO decides after an iteration whether there is a next one, so the condition is built
    twice: outside, for the first, and at the end of the body.

    Args:
        loop_vars: Tensors and lists carried from one iteration to the next.
        context: The translation; its operation holds condition and body.
    """
    condition, body = context.operation.blocks
    (starts,) = context.scope.inline(condition, loop_vars, context.label)
    inner = Scope(context.scope.translation, context.scope)
    states = _written_states(body, context)
    beginnings = [*loop_vars, *(context.scope.read_state(state) for state in states.values())]
    types = [*(value.type for value in body.inputs), *[None] * len(states)]
    parameters = [
        _carried(type_, start, context) for type_, start in zip(types, beginnings, strict=True)
    ]
    carried = _like(beginnings, [parameter.output(0) for parameter in parameters])
    for state, value in zip(states.values(), carried[len(loop_vars) :], strict=True):
        inner.write_state(state, value)
    following = inner.inline(body, carried[: len(loop_vars)], context.label)
    (continues,) = inner.inline(condition, following, context.label)
    following.extend(inner.read_state(state) for state in states.values())
    captured = list(inner.captures.values())
    model = ov.Model(
        [op.result(value) for value in (graph.scalar(_data(continues)), *map(_data, following))],
        [*parameters, *(parameter for _, parameter in captured)],
        "body",
    )
    loop = op.loop(op.constant(np.array(-1, np.int64)), graph.node(graph.scalar(_data(starts))))
    loop.set_function(model)
    loop.set_special_body_ports([-1, 0])
    results = model.get_results()
    for parameter, start, result in zip(parameters, beginnings, results[1:], strict=True):
        loop.set_merged_input(parameter, _data(start), result.input_value(0))
    for value, parameter in captured:
        loop.set_invariant_input(parameter, value)
    ends = [loop.get_iter_value(result.input_value(0), -1) for result in results[1:]]
    return _without_states(_like(beginnings, ends), states, context)


def _written_states(block: Block, context: Context) -> dict[str, State]:
    """Return the states that a block, or a block in it, writes: a loop must carry them."""
    found = {}
    for operation in block.operations:
        if operation.type == "write_state":
            state = context.scope.resolve(str(operation.inputs["input"][0]))
            assert isinstance(state, State)
            found[state.name] = state
        for inner in operation.blocks:
            found.update(_written_states(inner, context))
    return found


def _without_states(values: list[Any], states: dict[str, State], context: Context) -> list[Any]:
    """Give the states the last of the values, and return the others."""
    count = len(values) - len(states)
    for state, value in zip(states.values(), values[count:], strict=True):
        context.scope.write_state(state, value)
    return values[:count]


def _data(value: Output | TensorList) -> Output:
    return value.data if isinstance(value, TensorList) else value


def _like(values: Sequence[Output | TensorList], data: Sequence[Output]) -> list[Any]:
    """Make lists of the tensors that stand for lists in ``values``."""
    return [
        value.with_data(item) if isinstance(value, TensorList) else item
        for value, item in zip(values, data, strict=True)
    ]


def _carried(type_: ValueType | None, start: Output | TensorList, context: Context) -> Node:
    if isinstance(start, TensorList):
        return op.parameter(graph.growing(start.data), start.data.get_element_type())
    if type_ is None:
        return op.parameter(start.get_partial_shape(), start.get_element_type())
    if isinstance(type_, TensorType):
        return op.parameter(graph.partial_shape(type_.shape), compute_type(type_.dtype))
    raise UnsupportedOpError(f"{context.label} carries a value that is no tensor", found=type_)
