"""A MIL function to an OpenVINO model.

Enters: :class:`etcoreml.mil.program.Function`. Leaves: ``ov.Model`` whose parameters and results
are in the function's order and of its declared dtypes, and whose nodes are named after the MIL
values they compute: ``<mil name>`` for the last node of an op, ``<mil name>/<kind>`` for the rest.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import openvino as ov
from openvino import Node, Output
from openvino import opset15 as op
from openvino.op.util import Variable, VariableInfo

import etcoreml.engine.ops  # noqa: F401 - fills the registry
from etcoreml.engine import graph
from etcoreml.engine.binding import call
from etcoreml.engine.context import Context
from etcoreml.engine.dtypes import border_type, compute_type
from etcoreml.engine.numerics import EXACT, LIMITS, check_numerics, round_clipped, round_fp16
from etcoreml.engine.registry import TRANSLATORS
from etcoreml.engine.scope import (
    Classification,
    Labels,
    Scope,
    State,
    TensorList,
    Translation,
    Value,
    Weight,
)
from etcoreml.errors import EngineError, EtCoreMLError, UnsupportedOpError
from etcoreml.mil.program import (
    Block,
    Constant,
    Function,
    Operation,
    StateType,
    TensorType,
    ValueType,
)
from etcoreml.mil.program import Output as MilOutput

_OPSET = re.compile(r"CoreML(\d+)$")
TAP = "/Tap"
_IOS_OF_COREML = 10
"""``CoreML5`` is the opset of iOS 15."""


def translate(
    function: Function,
    *,
    numerics: str = "fast",
    uses_kernels: bool = False,
    taps: Iterable[str] = (),
) -> tuple[ov.Model, Mapping[str, Labels]]:
    """Translate a function; returns the model, and the labels of outputs that have some.

    Args:
        function: A checked function of a program.
        numerics: See ``numerics.py``.
        uses_kernels: Whether the CPU plugin, with our kernels, will run the model.
        taps: MIL values of the function's block that become results too, after its outputs and
            named ``<mil name>/Tap``. Those that are no run-time tensors are left out.

    Raises:
        UsageError: The numerics mode does not exist.
        UnsupportedOpError: An op, or one option of it, cannot be built.
        EngineError: A translator contradicts the program's declared types.
    """
    check_numerics(numerics)
    scope = Scope(Translation(_ios(function.opset), numerics, translate_operations, uses_kernels))
    parameters = [_input(value, scope) for value in function.inputs]
    states = [_state(value, scope) for value in function.states]
    translate_operations(function.block, scope)
    results = [_result(value, scope) for value in function.outputs]
    results += [tap for name in taps if (tap := _tap(name, scope)) is not None]
    sinks = _sinks(states, scope)
    labels = {
        value.name: found.labels
        for value in function.outputs
        if isinstance(found := scope.resolve(value.name), Classification)
    }
    if sinks:
        return ov.Model(results, sinks, parameters, function.name), labels
    return ov.Model(results, parameters, function.name), labels


def translate_operations(block: Block, scope: Scope) -> None:
    """Translate the operations of a block, in order, into ``scope``."""
    for operation in block.operations:
        try:
            _operation(operation, scope)
        except EtCoreMLError:
            raise
        except Exception as error:
            what = f"{Context(operation, scope).label} cannot be built by OpenVINO"
            raise EngineError(what, found=_first_line(error)) from error


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _ios(opset: str) -> int:
    match = _OPSET.match(opset)
    if match is None:
        what = "engine: unknown opset"
        raise UnsupportedOpError(what, found=opset, expected="CoreML5 and later")
    return int(match[1]) + _IOS_OF_COREML


def _operation(operation: Operation, scope: Scope) -> None:
    if operation.type == "const":
        scope.values[operation.outputs[0].name] = operation.attributes["val"]
        return
    context = Context(operation, scope)
    translator = TRANSLATORS.get(operation.type)
    if translator is None:
        raise UnsupportedOpError(
            f"{context.label} is not supported by the portable engine",
            hint="docs/ops.md lists the ops that run here.",
        )
    values = _as_values(call(translator, context))
    if len(values) != len(operation.outputs):
        raise EngineError(
            f"{context.label}: translator and program disagree on the number of outputs",
            found=len(values),
            expected=len(operation.outputs),
        )
    for value, declared in zip(values, operation.outputs, strict=True):
        if isinstance(value, Output):
            _check(value, declared.type, context)
    if scope.translation.numerics == "faithful" and operation.type not in EXACT:
        values = [
            _rounded(value, declared.type, scope)
            for value, declared in zip(values, operation.outputs, strict=True)
        ]
    limited = _limited(context)
    if limited is not None:
        values = [limited]
    for value, declared in zip(values, operation.outputs, strict=True):
        scope.values[declared.name] = value
    _name(values, operation)


def _limited(context: Context) -> Output | None:
    """Return the result of an op that limits a rounded value: limited before it is rounded.

    None where that is not the same. Minimum and maximum keep nan if nothing swaps their operands,
    which only kernels for static shapes do not.
    """
    scope, operation = context.scope, context.operation
    if operation.type not in LIMITS or not scope.translation.uses_kernels:
        return None
    (x,) = operation.inputs["x"]
    unrounded = scope.unrounded(scope.resolve(x)) if isinstance(x, str) else None
    if unrounded is None or unrounded.get_partial_shape().is_dynamic:
        return None
    low, high = (_limit(each, context) for each in LIMITS[operation.type])
    return round_clipped(unrounded, low, high) if low <= high else None


def _limit(limit: str | float, context: Context) -> float:
    if isinstance(limit, float):
        return limit
    constant = context.constant(limit)
    return math.nan if constant is None else float(constant.unpack().item())


def _rounded(value: Value, declared: ValueType, scope: Scope) -> Value:
    """Round what the program declares as fp16; weights are of that dtype as they are stored."""
    if (
        isinstance(value, Output)
        and isinstance(declared, TensorType)
        and declared.dtype.name == "fp16"
    ):
        rounded = round_fp16(value)
        scope.keep_unrounded(rounded, value)
        return rounded
    return value


def _as_values(built: Any) -> list[Value]:
    if built is None:
        return []
    if isinstance(built, Sequence):
        return [_as_value(item) for item in built]
    return [_as_value(built)]


def _as_value(item: Any) -> Value:
    kept = (Constant, Weight, TensorList, Classification)
    return item if isinstance(item, kept) else graph.output(item)


def _check(value: Output, declared: ValueType, context: Context) -> None:
    """Hold a translator to the program's types: a wrong shape must not become wrong numbers."""
    if not isinstance(declared, TensorType):
        return
    expected = compute_type(declared.dtype)
    if value.get_element_type() != expected:
        raise EngineError(
            f"{context.label}: translated to another dtype than declared",
            found=value.get_element_type().get_type_name(),
            expected=f"{expected.get_type_name()} for {declared}",
        )
    if not value.get_partial_shape().compatible(graph.partial_shape(declared.shape)):
        raise EngineError(
            f"{context.label}: translated to another shape than declared",
            found=str(value.get_partial_shape()),
            expected=declared,
        )


def _name(values: Sequence[Value], operation: Operation) -> None:
    """Name what an op built. A node that still has its automatic name is new."""
    pending: list[Node] = []
    for value, declared in zip(values, operation.outputs, strict=True):
        data = value.data if isinstance(value, (TensorList, Classification)) else value
        if isinstance(data, Output):
            node = data.get_node()
            if _is_new(node):
                node.set_friendly_name(declared.name)
                pending.append(node)
    if not pending:
        return
    prefix = operation.outputs[0].name
    counts: dict[str, int] = {}
    while pending:
        for source in pending.pop().input_values():
            node = source.get_node()
            if _is_new(node):
                kind = node.get_type_name()
                counts[kind] = counts.get(kind, 0) + 1
                number = f"_{counts[kind]}" if counts[kind] > 1 else ""
                node.set_friendly_name(f"{prefix}/{kind}{number}")
                pending.append(node)


def _is_new(node: Node) -> bool:
    return bool(node.get_friendly_name() == node.get_name())


def _tensor_type(value: MilOutput, what: str) -> TensorType:
    if isinstance(value.type, TensorType):
        return value.type
    raise UnsupportedOpError(
        f"engine: {what} {value.name!r} is no tensor", found=value.type, expected="a tensor"
    )


def _input(value: MilOutput, scope: Scope) -> Node:
    declared = _tensor_type(value, "input")
    type_ = border_type(declared.dtype)
    parameter = op.parameter(graph.partial_shape(declared.shape), type_)
    parameter.set_friendly_name(value.name)
    parameter.output(0).get_tensor().set_names({value.name})
    inside = graph.convert(parameter.output(0), compute_type(declared.dtype))
    if inside.get_node().get_type_name() == "Convert":
        inside.get_node().set_friendly_name(f"{value.name}/Convert")
    scope.values[value.name] = inside
    return parameter


def _state(value: MilOutput, scope: Scope) -> tuple[State, Output]:
    """Enter a state into the scope; return it, and what it holds at first."""
    if not isinstance(value.type, StateType):
        msg = f"{value.name} is not a state"
        raise TypeError(msg)
    tensor = value.type.tensor
    shape = tuple(int(size or 0) for size in tensor.shape or ())
    info = VariableInfo()
    info.data_shape = graph.partial_shape(shape)
    info.data_type = compute_type(tensor.dtype)
    info.variable_id = value.name
    variable = Variable(info)
    zero = op.constant(np.zeros(shape), dtype=info.data_type)
    zero.set_friendly_name(f"{value.name}/Constant")
    read = op.read_value(zero, variable)
    read.set_friendly_name(f"{value.name}/ReadValue")
    state = State(value.name, variable)
    scope.values[value.name] = state
    scope.state_values[value.name] = read.output(0)
    return state, read.output(0)


def _sinks(states: Sequence[tuple[State, Output]], scope: Scope) -> list[Node]:
    """Return what keeps the states for the next run.

    OpenVINO takes a variable that is read and assigned, and fails or returns memory as it finds it
    if one of the two is missing.
    """
    sinks = []
    for state, first in states:
        value = scope.read_state(state)
        is_written = state.name in scope.written_states
        if is_written and not first.get_target_inputs():
            both = [graph.unsqueeze(each, 0) for each in (first, value)]
            value = graph.output(
                op.gather(graph.concat(both, 0), graph.integer(1), graph.integer(0))
            )
        if is_written or first.get_target_inputs():
            sinks.append(op.assign(graph.node(value), state.variable))
    return sinks


def _result(value: MilOutput, scope: Scope) -> Node:
    found = scope.resolve(value.name)
    if isinstance(found, Classification):
        inside = border = found.data
    else:
        declared = _tensor_type(value, "output")
        inside = scope.output(found, f"engine: output {value.name!r}")
        border = graph.convert(inside, border_type(declared.dtype))
        if _is_moved_input(border):
            border = graph.apart(border)
    if border is not inside:
        border.get_node().set_friendly_name(f"{value.name}/Convert")
    result = op.result(border)
    result.set_friendly_name(f"{value.name}/Result")
    result.output(0).get_tensor().set_names({value.name})
    return result


def _tap(name: str, scope: Scope) -> Node | None:
    """Return a result with a value as it is computed, fp16 as f32; None of what is no tensor."""
    found = scope.resolve(name)
    if not isinstance(found, Output) or found.get_partial_shape().rank.is_dynamic:
        return None
    # A copy of its own: OpenVINO may compute a value in the memory of another that is a result.
    result = op.result(graph.apart(found))
    result.set_friendly_name(f"{name}{TAP}")
    return result


_MOVES = frozenset(
    ("Convert", "Concat", "Reshape", "Squeeze", "Tile", "Transpose", "Unsqueeze", "Broadcast")
)


def _is_moved_input(x: Output) -> bool:
    """Whether OpenVINO may find that an output is an input, whose memory it does not copy then."""
    node = x.get_node()
    while node.get_type_name() in _MOVES:
        node = node.input_value(0).get_node()
    return bool(node.get_type_name() == "Parameter")
