"""MIL family ``control_flow``. Source: coremltools 9.0 ``iOS15/control_flow.py``."""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino as ov
from openvino import Node, Output
from openvino import opset15 as op

from etcoreml.engine import graph
from etcoreml.engine.context import Context
from etcoreml.engine.dtypes import compute_type
from etcoreml.engine.registry import translates
from etcoreml.engine.scope import Scope
from etcoreml.errors import UnsupportedOpError
from etcoreml.mil.program import TensorType, ValueType


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
    return op.select(cond, graph.convert(a, type_), graph.convert(b, type_))


@translates("cond", spec="iOS15.cond")
def cond(pred: Output, context: Context) -> Any:
    """Run one of two blocks.

    Args:
        pred: ``()`` bool.
        context: The translation; its operation holds the blocks, the true one first.
    """
    branches = [Scope(context.scope.translation, context.scope) for _ in range(2)]
    results = [
        [op.result(value) for value in branch.inline(block, (), context.label)]
        for branch, block in zip(branches, context.operation.blocks, strict=True)
    ]
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
    return [node.set_output(yes, no) for yes, no in zip(*results, strict=True)]


@translates("while_loop", spec="iOS15.while_loop")
def while_loop(loop_vars: tuple[Output, ...], context: Context) -> Any:
    """Run a block as long as another one returns true.

    OpenVINO decides after an iteration whether there is a next one, so the condition is built
    twice: outside, for the first, and at the end of the body.

    Args:
        loop_vars: Values carried from one iteration to the next.
        context: The translation; its operation holds condition and body.
    """
    condition, body = context.operation.blocks
    (starts,) = context.scope.inline(condition, loop_vars, context.label)
    inner = Scope(context.scope.translation, context.scope)
    parameters = [_carried(value.type, context) for value in body.inputs]
    following = inner.inline(body, [p.output(0) for p in parameters], context.label)
    (continues,) = inner.inline(condition, following, context.label)
    captured = list(inner.captures.values())
    model = ov.Model(
        [op.result(value) for value in (graph.scalar(continues), *following)],
        [*parameters, *(parameter for _, parameter in captured)],
        "body",
    )
    loop = op.loop(op.constant(np.array(-1, np.int64)), graph.node(graph.scalar(starts)))
    loop.set_function(model)
    loop.set_special_body_ports([-1, 0])
    results = model.get_results()
    for parameter, start, result in zip(parameters, loop_vars, results[1:], strict=True):
        loop.set_merged_input(parameter, start, result.input_value(0))
    for value, parameter in captured:
        loop.set_invariant_input(parameter, value)
    return [loop.get_iter_value(result.input_value(0), -1) for result in results[1:]]


def _carried(type_: ValueType, context: Context) -> Node:
    if isinstance(type_, TensorType):
        return op.parameter(graph.partial_shape(type_.shape), compute_type(type_.dtype))
    raise UnsupportedOpError(f"{context.label} carries a value that is no tensor", found=type_)
