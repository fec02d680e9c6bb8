"""What a function is made of: operations and whether they run here, weights and their sizes.

Enters: functions of a program. Leaves: counts, for `etcoreml inspect`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

import etcoreml.engine.ops  # noqa: F401 - fills the registry
from etcoreml.engine.registry import TRANSLATORS
from etcoreml.mil.program import Array, Constant, Function, TensorType

_VALUE = "const"
_SMALL_ELEMENTS = 10
"""Tensors up to this size are parameters, not weights: coremltools keeps them out of the file."""


@dataclass(frozen=True)
class OperationCount:
    """How often an operation occurs.

    Attributes:
        type: MIL op type.
        count: Occurrences, those in nested blocks included.
        runs_here: Whether the portable engine has a translator for it. One option of an op may
            still be out of its reach, which loading the model finds out.
    """

    type: str
    count: int
    runs_here: bool


@dataclass(frozen=True)
class WeightCount:
    """The weights of one dtype.

    Attributes:
        dtype: MIL's name of it, e.g. ``fp16`` or ``int4``.
        tensors: How many there are.
        elements: Of all of them together.
        nbytes: As they are stored.
    """

    dtype: str
    tensors: int
    elements: int
    nbytes: int


def count_operations(function: Function) -> tuple[OperationCount, ...]:
    """Return the operations of a function, the most frequent first; constants are none."""
    counts = Counter(each.type for each in function.block.walk() if each.type != _VALUE)
    return tuple(
        OperationCount(type_, count, type_ in TRANSLATORS) for type_, count in counts.most_common()
    )


def count_weights(functions: Iterable[Function]) -> tuple[WeightCount, ...]:
    """Return the weights of some functions by dtype, the largest first; shared ones count once."""
    tensors: Counter[str] = Counter()
    elements: Counter[str] = Counter()
    nbytes: Counter[str] = Counter()
    seen: set[tuple[int, int, str]] = set()
    for function in functions:
        for type_, data in _tensors(function):
            size = int(np.prod([each or 0 for each in type_.shape or ()], dtype=np.int64))
            place = (data.__array_interface__["data"][0], data.nbytes, type_.dtype.name)
            if size > _SMALL_ELEMENTS and place not in seen:
                seen.add(place)
                tensors[type_.dtype.name] += 1
                elements[type_.dtype.name] += size
                nbytes[type_.dtype.name] += data.nbytes
    return tuple(
        WeightCount(dtype, tensors[dtype], elements[dtype], size)
        for dtype, size in nbytes.most_common()
    )


def _tensors(function: Function) -> Iterator[tuple[TensorType, Array]]:
    for operation in function.block.walk():
        arguments = (each for operands in operation.inputs.values() for each in operands)
        for value in (*operation.attributes.values(), *arguments):
            if (
                isinstance(value, Constant)
                and isinstance(value.type, TensorType)
                and isinstance(value.data, np.ndarray)
            ):
                yield value.type, value.data
