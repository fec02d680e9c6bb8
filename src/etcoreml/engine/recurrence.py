"""An LSTM step by step, for the options that OpenVINO's own sequence op lacks.

Enters: gates in MIL's order input, forget, output, cell. Leaves: every step, and the last states.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import openvino as ov
from openvino import Output
from openvino import opset15 as op

from etcoreml.engine import graph
from etcoreml.mil.program import Array

ACTIVATIONS: MappingProxyType[str, Callable[[Output], Any]] = MappingProxyType(
    {
        "sigmoid": op.sigmoid,
        "tanh": op.tanh,
        "relu": op.relu,
        "linear": lambda x: x,
        # MIL gives these two no parameters: Keras's for the one, LeCun's for the other.
        "hard_sigmoid": lambda x: op.hard_sigmoid(x, graph.floats(0.2), graph.floats(0.5)),
        "scaled_tanh": lambda x: op.multiply(
            op.tanh(op.multiply(x, graph.floats(2 / 3))), graph.floats(1.7159)
        ),
    }
)


@dataclass(frozen=True)
class Way:
    """One direction of an LSTM.

    Attributes:
        weight_ih: ``(4 * H, I)``.
        weight_hh: ``(4 * H, H)``.
        bias: ``(4 * H,)``.
        peephole: ``(3 * H,)`` for input, forget and output gate, or None.
        is_reverse: Whether it walks from the last step to the first.
    """

    weight_ih: Array
    weight_hh: Array
    bias: Array
    peephole: Array | None
    is_reverse: bool


def lstm_steps(
    x: Output, h: Output, c: Output, way: Way, activations: tuple[str, str, str], clip: float | None
) -> tuple[Output, Output, Output]:
    """Return all steps ``(s, b, H)`` in the order of the input, and the last states ``(b, H)``.

    Args:
        x: ``(s, b, I)``.
        h: ``(b, H)``.
        c: ``(b, H)``.
        way: Weights and direction.
        activations: Of the gates, of the cell gate, and of the cell state.
        clip: Limits the cell state to ``[-clip, clip]`` in each step.
    """
    gate, cell, final = (ACTIVATIONS[name] for name in activations)
    # The part that needs no earlier step is one product for all steps.
    projected = op.matmul(x, graph.constant(way.weight_ih), False, True)
    inputs = graph.output(op.add(projected, graph.floats(way.bias)))
    step = op.parameter([1, -1, inputs.get_partial_shape()[2]], inputs.get_element_type())
    before = [op.parameter(value.get_partial_shape(), value.get_element_type()) for value in (h, c)]
    hidden, state = (parameter.output(0) for parameter in before)
    recurrent = op.matmul(hidden, graph.constant(way.weight_hh), False, True)
    total = op.add(graph.squeeze(step.output(0), 0), recurrent)
    i, f, o, z = op.split(total, graph.integer(1), 4).outputs()
    looks = [None] * 3 if way.peephole is None else np.split(way.peephole, 3)
    kept = op.multiply(gate(_seen(f, looks[1], state)), state)
    update = op.multiply(gate(_seen(i, looks[0], state)), cell(z))
    following = op.add(kept, update).output(0)
    if clip is not None:
        following = op.clamp(following, -clip, clip).output(0)
    answer = op.multiply(gate(_seen(o, looks[2], following)), final(following)).output(0)
    results = [op.result(value) for value in (answer, following)]
    every = op.result(graph.unsqueeze(answer, 0))
    loop = op.tensor_iterator()
    loop.set_body(ov.Model([*results, every], [step, *before], "step"))
    ends = (-1, 0) if way.is_reverse else (0, -1)
    stride = -1 if way.is_reverse else 1
    loop.set_sliced_input(step, inputs, ends[0], stride, 1, ends[1], 0)
    for parameter, start, result in zip(before, (h, c), results, strict=True):
        loop.set_merged_input(parameter, start, result.input_value(0))
    steps = loop.get_concatenated_slices(every.input_value(0), ends[0], stride, 1, ends[1], 0)
    last = [loop.get_iter_value(result.input_value(0), -1) for result in results]
    return steps, last[0], last[1]


def _seen(gate: Output, peephole: Array | None, state: Output) -> Output:
    if peephole is None:
        return gate
    return graph.output(op.add(gate, op.multiply(graph.floats(peephole), state)))
