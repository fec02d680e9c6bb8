"""One small program, built and estimated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etcoreml.mil.program import Function, Signature
from etcoreml.placement import Estimate, estimate
from tests.cases import mil_builder, mil_function, to_program

Array = NDArray[Any]


def f16(*shape: int) -> Array:
    return np.zeros(shape, np.float16)


def function_of(
    inputs: Mapping[str, Array], build: Callable[..., Any], varies: Any = False
) -> Function:
    """Return the function that ``build`` makes with coremltools' builder."""
    program = mil_function(inputs, lambda *x: build(mil_builder(), *x), "iOS18", varies)
    return to_program(program, "iOS18").functions["main"]


def place(
    inputs: Mapping[str, Array],
    build: Callable[..., Any],
    varies: Any = False,
    signature: Signature | None = None,
    **options: Any,
) -> dict[str, Estimate]:
    """Return the last estimate of each MIL op."""
    found = estimate(function_of(inputs, build, varies), signature, **options)
    return {each.type: each for each in found}
