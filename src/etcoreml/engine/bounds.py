"""The sizes that a function's outputs may have, given those of its inputs.

Enters: :class:`Function` and the range of every input's dimensions. Leaves: the range of every
output's, as OpenVINO infers it from the translated model; nothing is compiled or run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import openvino as ov
from openvino import Dimension, PartialShape

from etcoreml.engine.translate import translate
from etcoreml.errors import EngineError
from etcoreml.mil.program import Function, Range


def output_ranges(
    function: Function, inputs: Mapping[str, Sequence[Range]]
) -> dict[str, tuple[Range, ...] | None]:
    """Return the smallest and the largest size of each dimension of each output, by name.

    Args:
        function: The function.
        inputs: For each of its inputs, the ranges of its dimensions.

    Returns:
        The ranges; their upper bound is None where none is known. None in place of the ranges of
        an output whose rank is not known.

    Raises:
        UnsupportedOpError: The engine does not have an op of the function.
        EngineError: Inputs of these sizes contradict the function.
    """
    model, _ = translate(function)
    try:
        model.reshape({name: _partial(ranges) for name, ranges in inputs.items()})
    except RuntimeError as error:
        raise EngineError(
            f"engine: function {function.name!r} does not take inputs of these sizes",
            found=str(error).strip().splitlines()[-1],
        ) from error
    return {
        value.name: _ranges(result.output(0).get_partial_shape())
        for value, result in zip(function.outputs, model.get_results(), strict=False)
    }


def _partial(ranges: Sequence[Range]) -> PartialShape:
    return PartialShape([Dimension(low, -1 if high is None else high) for low, high in ranges])


def _ranges(shape: ov.PartialShape) -> tuple[Range, ...] | None:
    if shape.rank.is_dynamic:
        return None
    return tuple(_range(dimension) for dimension in shape)


def _range(dimension: ov.Dimension) -> Range:
    # OpenVINO's own sign for no limit is -1.
    high = dimension.get_max_length()
    return dimension.get_min_length(), None if high < 0 else high
