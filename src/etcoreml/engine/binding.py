"""The operands of a MIL operation, in the form a translator's signature asks for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from openvino import Node, Output

from etcoreml.engine.context import Context
from etcoreml.engine.registry import Parameter, Translator
from etcoreml.engine.scope import Classification, State, TensorList, Value, Weight
from etcoreml.errors import UnsupportedOpError
from etcoreml.mil.program import Argument, Constant

_SCALARS = (bool, int, float, str)


def call(translator: Translator, context: Context) -> Any:
    """Call a translator with the operands of the context's operation.

    Raises:
        UnsupportedOpError: An input is unknown, missing, or not known when loading although the
            translator needs it to be.
    """
    operands = _operands(context)
    arguments: dict[str, Any] = {}
    if translator.context_name is not None:
        arguments[translator.context_name] = context
    known = {parameter.name for parameter in translator.parameters}
    unknown = sorted(operands.keys() - known)
    if unknown:
        raise UnsupportedOpError(
            f"{context.label} has inputs the portable engine does not know",
            found=unknown,
            expected=f"some of {sorted(known)}",
        )
    for parameter in translator.parameters:
        if operands.get(parameter.name):
            arguments[parameter.name] = _bind(parameter, operands[parameter.name], context)
        elif parameter.required:
            raise UnsupportedOpError(f"{context.label} lacks its input {parameter.name!r}")
    return translator.function(**arguments)


def _operands(context: Context) -> Mapping[str, tuple[Argument, ...]]:
    operation = context.operation
    if operation.inputs or not operation.type.startswith("constexpr_"):
        return operation.inputs
    # Up to iOS17 the operands of constexpr ops are written as attributes.
    attributes = operation.attributes.items()
    return {name: (value,) for name, value in attributes if name != "name"}


def _bind(parameter: Parameter, operands: tuple[Argument, ...], context: Context) -> Any:
    what = f"{context.label}: input {parameter.name!r}"
    scope = context.scope
    values = [scope.resolve(item) if isinstance(item, str) else item for item in operands]
    if parameter.many == "variadic":
        return tuple(_one(parameter, value, context, what) for value in values)
    if len(values) != 1:
        raise UnsupportedOpError(f"{what} has several operands", found=len(values), expected=1)
    return _one(parameter, values[0], context, what)


def _one(parameter: Parameter, value: Value, context: Context, what: str) -> Any:
    kinds = parameter.kinds
    if State in kinds:
        if isinstance(value, State):
            return value
        raise UnsupportedOpError(f"{what} must be a state")
    if isinstance(value, TensorList) and TensorList in kinds:
        return value
    if isinstance(value, (State, TensorList, Classification)):
        raise UnsupportedOpError(f"{what} must be a tensor", found=type(value).__name__)
    if kinds == (TensorList,):
        raise UnsupportedOpError(f"{what} must be a list")
    if isinstance(value, Output) and not isinstance(value, (Constant, Weight)):
        if Output in kinds:
            return value
        return _python(parameter, _folded(value, what), what)
    if isinstance(value, Weight) and Weight in kinds:
        return value
    takes_arrays = np.ndarray in kinds
    if Output in kinds and (not takes_arrays or isinstance(value, Weight)):
        return context.scope.output(value, what)
    if isinstance(value, Weight):
        return _python(parameter, value.expand(), what)
    return _python(parameter, value.python(), what)


def _folded(value: Output, what: str) -> Any:
    node: Node = value.get_node()
    if node.get_type_name() == "Constant":
        return node.get_data()
    raise UnsupportedOpError(
        f"{what} must be known when the program is loaded", found="a value computed at run time"
    )


def _python(parameter: Parameter, value: Any, what: str) -> Any:
    """Turn an array, string or tuple into the kind the parameter asks for."""
    scalar = next((kind for kind in parameter.kinds if kind in _SCALARS), None)
    if scalar is None:
        return value
    if parameter.many == "vector":
        items = value if isinstance(value, tuple) else np.ravel(value).tolist()
        return tuple(scalar(item) for item in items)
    if scalar is str:
        if isinstance(value, str):
            return value
        raise UnsupportedOpError(f"{what} must be a string", found=value)
    if isinstance(value, (str, tuple)) or np.size(value) != 1:
        raise UnsupportedOpError(f"{what} must be a single number", found=value)
    return scalar(np.ravel(value)[0])
