"""The weights of Core ML models: what they weigh, and what reads them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from etcoreml.mil.program import Constant, Function, Operation, TensorType
from etcoreml.report.document import Time, Weight, Weights, WeightTotal
from etcoreml.runtime.operations import count_weights

_SMALL_ELEMENTS = 10
"""As ``count_weights`` has it: up to this size they are parameters of an operation."""


class _Use(NamedTuple):
    """Where a value is read."""

    operation: Operation
    role: str


def weights_of(functions: Iterable[Function], time: Time) -> Weights:
    """Return the weights of some functions; one that several share counts once.

    Args:
        functions: Of Core ML models.
        time: Operations that ran, with their modules.
    """
    given = list(functions)
    totals = tuple(
        WeightTotal(each.dtype, each.tensors, each.elements, each.nbytes)
        for each in count_weights(given)
    )
    paths = {
        symbol: each.path for each in time.operations for symbol in (*each.fused_with, each.name)
    }
    found: dict[tuple[int, int, str], Weight] = {}
    for function in given:
        for place, weight in _weights(function, paths):
            found.setdefault(place, weight)
    tensors = sorted(found.values(), key=lambda each: -each.nbytes)
    return Weights(sum(each.nbytes for each in totals), totals, tuple(tensors))


def _weights(
    function: Function, paths: Mapping[str, tuple[str, ...]]
) -> Iterator[tuple[tuple[int, int, str], Weight]]:
    """Yield weights with what tells one from another: where its bytes are."""
    uses = _uses(function)
    for operation in function.block.walk():
        for role, value in _constants(operation):
            if not isinstance(value.type, TensorType) or not isinstance(value.data, np.ndarray):
                continue
            shape = tuple(size or 0 for size in value.type.shape or ())
            if math.prod(shape) <= _SMALL_ELEMENTS:
                continue
            dtype = value.type.dtype.name
            use = _use(operation, role, uses)
            symbol = f"{use.operation.outputs[0].name}:{use.operation.type}" if use else ""
            yield (
                (value.data.__array_interface__["data"][0], value.data.nbytes, dtype),
                Weight(
                    name=operation.outputs[0].name if operation.outputs else operation.name,
                    dtype=dtype,
                    shape=shape,
                    nbytes=value.data.nbytes,
                    used_by=symbol,
                    role=use.role if use else "",
                    path=paths.get(symbol, ()),
                ),
            )


def _constants(operation: Operation) -> Iterator[tuple[str, Constant]]:
    """Yield what an operation holds in place, by what it calls it."""
    yield from operation.attributes.items()
    for role, operands in operation.inputs.items():
        yield from ((role, each) for each in operands if isinstance(each, Constant))


def _uses(function: Function) -> dict[str, _Use]:
    """Return the first use of each value."""
    found: dict[str, _Use] = {}
    for operation in function.block.walk():
        for role, operands in operation.inputs.items():
            for each in operands:
                if isinstance(each, str) and operation.outputs:
                    found.setdefault(each, _Use(operation, role))
    return found


def _use(operation: Operation, role: str, uses: Mapping[str, _Use]) -> _Use | None:
    """Follow a weight through what only unpacks it to the operation that computes with it."""
    use: _Use | None = _Use(operation, role)
    while use is not None and use.operation.type.startswith(("const", "constexpr_")):
        use = uses.get(use.operation.outputs[0].name) if use.operation.outputs else None
    return use
