"""The weights of Core ML models, and what they weigh."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np

from etcoreml.mil.program import Constant, Function, Operation, TensorType
from etcoreml.report.document import Weight, Weights, WeightTotal
from etcoreml.runtime.operations import count_weights


def weights_of(functions: Iterable[Function]) -> Weights:
    """Return the weights of some functions; one that several share counts once."""
    given = list(functions)
    totals = tuple(
        WeightTotal(each.dtype, each.tensors, each.elements, each.nbytes)
        for each in count_weights(given)
    )
    found = {place: weight for one in given for place, weight in _weights(one)}
    tensors = sorted(found.values(), key=lambda each: -each.nbytes)
    return Weights(sum(each.nbytes for each in totals), totals, tuple(tensors))


def _weights(function: Function) -> Iterator[tuple[tuple[int, int], Weight]]:
    for operation in function.block.walk():
        for role, value in _constants(operation):
            shape = tuple(int(size or 0) for size in value.type.shape or ())  # type: ignore[union-attr]
            # As `count_weights` has it: what is smaller is a parameter of an operation.
            if isinstance(value.data, np.ndarray) and np.prod(shape, dtype=np.int64) > 10:
                place = (value.data.__array_interface__["data"][0], value.data.nbytes)
                name = operation.outputs[0].name if operation.outputs else operation.name
                dtype = value.type.dtype.name  # type: ignore[union-attr]
                yield place, Weight(f"{name}{role}", dtype, shape, value.data.nbytes)


def _constants(operation: Operation) -> Iterator[tuple[str, Constant]]:
    """Yield tensors in place of an operation; with what it calls them, where it has several."""
    found = [(name, value) for name, value in operation.attributes.items()]
    found += [
        (name, value)
        for name, operands in operation.inputs.items()
        for value in operands
        if isinstance(value, Constant)
    ]
    roles = Counter(name for name, _ in found)
    for name, value in found:
        if isinstance(value.type, TensorType):
            yield "" if name == "val" and roles[name] == 1 else f" ({name})", value
