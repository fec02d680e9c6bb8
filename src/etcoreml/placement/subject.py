"""What a rule sees of an operation: types, constants, and the model around it.

Enters: a function and its described interface. Leaves: one :class:`Subject` for each operation
that is not a constant, those of nested blocks after the one that owns them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from etcoreml.mil.program import (
    Block,
    Constant,
    Feature,
    Function,
    Operation,
    Signature,
    TensorType,
    ValueType,
)
from etcoreml.trace.attribution import symbol
from etcoreml.trace.cost import Cost, costs

Flexibility = Literal["fixed", "range", "enumerated"]
_UNKNOWN = Cost(None, None)


@dataclass(frozen=True)
class Subject:
    """One operation in its surroundings.

    Attributes:
        operation: It.
        operands: Types of the values it reads that are known only at run time.
        results: Types of what it defines.
        types: Type of each operand that is one value, constants included, by input name.
        parameters: Operands that are constants in the program, by input name.
        computed: Names of inputs whose operands are known only at run time.
        inside: MIL op whose block it is in; "" at the top.
        flexibility: Of the shapes of the model's inputs.
        weights_nbytes: Of all constants of the function, as they are stored.
        cost: What it computes and moves.
    """

    operation: Operation
    operands: tuple[ValueType, ...]
    results: tuple[ValueType, ...]
    types: Mapping[str, ValueType]
    parameters: Mapping[str, Constant]
    computed: frozenset[str]
    inside: str
    flexibility: Flexibility
    weights_nbytes: int
    cost: Cost

    @property
    def type(self) -> str:
        """Its MIL op."""
        return self.operation.type

    @property
    def tensors(self) -> tuple[TensorType, ...]:
        """The tensors it reads at run time and those it writes."""
        return tuple(
            each for each in (*self.operands, *self.results) if isinstance(each, TensorType)
        )

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The sizes of those tensors; of those whose sizes vary, none."""
        return tuple(shape for each in self.tensors if (shape := _sizes(each)) is not None)

    @property
    def varies(self) -> bool:
        """Whether a size is known only at run time."""
        return len(self.shapes) < len(self.tensors)

    @property
    def rank(self) -> int:
        """The largest rank."""
        return max((len(each.shape or ()) for each in self.tensors), default=0)

    def shape(self, name: str) -> tuple[int, ...] | None:
        """Return the sizes of an operand; None if it is absent or they vary."""
        found = self.types.get(name)
        return _sizes(found) if isinstance(found, TensorType) else None

    def numbers(self, name: str) -> tuple[float, ...] | None:
        """Return the elements of a constant operand; None if it is absent or not constant."""
        found = self.parameters.get(name)
        if found is None or not isinstance(found.data, np.ndarray):
            return None
        return tuple(float(each) for each in found.unpack().ravel())

    def text(self, name: str) -> str | None:
        """Return a constant operand that is a string; None if there is none."""
        found = self.parameters.get(name)
        return found.data if found is not None and isinstance(found.data, str) else None


def subjects(function: Function, signature: Signature | None) -> Iterator[Subject]:
    """Yield each operation that is not a ``const``, in execution order."""
    types: dict[str, ValueType] = {
        value.name: value.type for value in (*function.inputs, *function.states)
    }
    constants: dict[str, Constant] = {}
    fixed: set[str] = set()
    for operation in function.block.walk():
        for nested in operation.blocks:
            types.update((value.name, value.type) for value in nested.inputs)
        for value in operation.outputs:
            types[value.name] = value.type
            if operation.type == "const":
                constants[value.name] = operation.attributes["val"]
            if operation.type == "const" or operation.type.startswith("constexpr_"):
                fixed.add(value.name)
    weights = sum(_nbytes(each) for each in constants.values())
    weights += sum(
        _nbytes(each)
        for operation in function.block.walk()
        if operation.type.startswith("constexpr_")
        for each in operation.attributes.values()
    )
    flexibility = _flexibility(signature)
    known = costs(function)

    def walk(block: Block, inside: str) -> Iterator[Subject]:
        for operation in block.operations:
            if operation.type == "const":
                continue
            cost = known.get(symbol(operation), _UNKNOWN) if operation.outputs else _UNKNOWN
            run_time = list(_run_time(operation, types, fixed))
            yield Subject(
                operation,
                tuple(type_ for _, type_ in run_time),
                tuple(value.type for value in operation.outputs),
                _named(operation, types),
                _parameters(operation, constants),
                frozenset(name for name, _ in run_time),
                inside,
                flexibility,
                weights,
                _UNKNOWN if inside else cost,
            )
            for nested in operation.blocks:
                yield from walk(nested, operation.type)

    yield from walk(function.block, "")


def _run_time(
    operation: Operation, types: Mapping[str, ValueType], fixed: set[str]
) -> Iterator[tuple[str, ValueType]]:
    for name, arguments in operation.inputs.items():
        for argument in arguments:
            if isinstance(argument, str) and argument not in fixed and argument in types:
                yield name, types[argument]


def _named(operation: Operation, types: Mapping[str, ValueType]) -> dict[str, ValueType]:
    found: dict[str, ValueType] = {}
    for name, arguments in operation.inputs.items():
        if len(arguments) == 1:
            (argument,) = arguments
            if isinstance(argument, Constant):
                found[name] = argument.type
            elif argument in types:
                found[name] = types[argument]
    return found


def _parameters(operation: Operation, constants: Mapping[str, Constant]) -> dict[str, Constant]:
    found: dict[str, Constant] = {}
    for name, arguments in operation.inputs.items():
        if len(arguments) == 1:
            (argument,) = arguments
            constant = argument if isinstance(argument, Constant) else constants.get(argument)
            if constant is not None:
                found[name] = constant
    return found


def _sizes(type_: TensorType) -> tuple[int, ...] | None:
    if type_.shape is None or None in type_.shape:
        return None
    return tuple(int(size or 0) for size in type_.shape)


def _nbytes(constant: Constant) -> int:
    if not isinstance(constant.type, TensorType):
        return 0
    return constant.type.dtype.nbytes(math.prod(_sizes(constant.type) or (0,)))


def _flexibility(signature: Signature | None) -> Flexibility:
    features = () if signature is None else signature.inputs
    if any(map(_is_range, features)):
        return "range"
    return "enumerated" if any(map(_is_enumerated, features)) else "fixed"


def _is_range(feature: Feature) -> bool:
    image = feature.image
    return bool(feature.ranges) or (
        image is not None and (image.height_range is not None or image.width_range is not None)
    )


def _is_enumerated(feature: Feature) -> bool:
    return bool(feature.enumerated) or (feature.image is not None and bool(feature.image.sizes))
