"""Recurrent networks step by step, for the options that OpenVINO's own sequence ops lack.

Enters: weights in MIL's order of gates: input, forget, output, cell of an LSTM; reset, output,
update of a GRU. Leaves: every step, and the last states.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import openvino as ov
from openvino import Output, Type
from openvino import opset15 as op

from etcoreml.engine import graph
from etcoreml.mil.program import Array

ACTIVATIONS: MappingProxyType[str, Callable[[Output], Any]] = MappingProxyType(
    {
        "sigmoid": op.sigmoid,
        "tanh": op.tanh,
        "relu": op.relu,
        "linear": lambda x: x,
        # MIL gives these two no parameters: Keras's for the one; for the other, coremltools' tests
        # say that both factors are 1.
        "hard_sigmoid": lambda x: op.hard_sigmoid(x, graph.floats(0.2), graph.floats(0.5)),
        "scaled_tanh": op.tanh,
        "sigmoid_hard": lambda x: op.hard_sigmoid(x, graph.floats(0.2), graph.floats(0.5)),
    }
)
"""``rnn`` spells ``hard_sigmoid`` the other way round."""


@dataclass(frozen=True)
class Way:
    """One direction of a network of G gates.

    Attributes:
        weight_ih: ``(G * H, I)``.
        weight_hh: ``(G * H, H)``.
        bias: ``(G * H,)``.
        peephole: ``(3 * H,)`` for input, forget and output gate of an LSTM, or None.
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
    looks = [None] * 3 if way.peephole is None else np.split(way.peephole, 3)

    def step(projected: Output, before: Sequence[Output]) -> list[Output]:
        hidden, state = before
        recurrent = op.matmul(hidden, graph.constant(way.weight_hh), False, True)
        i, f, o, z = op.split(op.add(projected, recurrent), graph.integer(1), 4).outputs()
        kept = op.multiply(gate(_seen(f, looks[1], state)), state)
        update = op.multiply(gate(_seen(i, looks[0], state)), cell(z))
        following = op.add(kept, update).output(0)
        if clip is not None:
            following = op.clamp(following, -clip, clip).output(0)
        answer = op.multiply(gate(_seen(o, looks[2], following)), final(following)).output(0)
        return [answer, following]

    steps, last = _walked(x, way, way.bias, (h, c), step)
    return steps, last[0], last[1]


def gru_steps(
    x: Output,
    h: Output,
    way: Way,
    activations: tuple[str, str],
    input_bias: Array,
    reset_after: bool,
) -> tuple[Output, Output]:
    """Return all steps ``(s, b, H)`` in the order of the input, and the last state ``(b, H)``.

    Args:
        x: ``(s, b, I)``.
        h: ``(b, H)``.
        way: Weights and direction; its bias is that of the hidden state.
        activations: Of reset and update gate, and of the output gate.
        input_bias: ``(3 * H,)``.
        reset_after: Whether the reset gate applies after the product with ``weight_hh``.
    """
    gate, final = (ACTIVATIONS[name] for name in activations)
    size = way.weight_hh.shape[1]
    biases, weights = np.split(way.bias, 3), np.split(way.weight_hh, 3)

    def recurrent(value: Any, part: int) -> Any:
        product = op.matmul(value, graph.constant(weights[part]), False, True)
        return op.add(product, graph.floats(biases[part]))

    def step(projected: Output, before: Sequence[Output]) -> list[Output]:
        (hidden,) = before
        parts = op.variadic_split(projected, graph.integer(1), graph.integers(*[size] * 3))
        reset_in, new_in, update_in = parts.outputs()
        reset = gate(graph.output(op.add(reset_in, recurrent(hidden, 0))))
        update = gate(graph.output(op.add(update_in, recurrent(hidden, 2))))
        if reset_after:
            inner = op.multiply(reset, recurrent(hidden, 1))
        else:
            inner = recurrent(op.multiply(reset, hidden), 1)
        new = final(graph.output(op.add(new_in, inner)))
        kept = op.multiply(update, hidden)
        return [op.add(op.multiply(op.subtract(graph.floats(1), update), new), kept).output(0)]

    steps, last = _walked(x, way, input_bias, (h,), step)
    return steps, last[0]


def rnn_steps(x: Output, h: Output, way: Way, activation: str) -> tuple[Output, Output]:
    """Return all steps ``(s, b, H)`` in the order of the input, and the last state ``(b, H)``."""

    def step(projected: Output, before: Sequence[Output]) -> list[Output]:
        recurrent = op.matmul(before[0], graph.constant(way.weight_hh), False, True)
        total = graph.output(op.add(projected, recurrent))
        return [graph.output(ACTIVATIONS[activation](total))]

    steps, last = _walked(x, way, way.bias, (h,), step)
    return steps, last[0]


def _walked(
    x: Output,
    way: Way,
    bias: Array,
    starts: Sequence[Output],
    build: Callable[[Output, Sequence[Output]], list[Output]],
) -> tuple[Output, list[Output]]:
    """Apply a step along the first dimension.

    Args:
        x: ``(s, b, I)``.
        way: Weights and direction.
        bias: ``(G * H,)``, of the product with the input.
        starts: States before the first step, each ``(b, H)``.
        build: From the product of one step, ``(b, G * H)``, and the states before it to those
            after it.

    Returns:
        The first state after every step, ``(s, b, H)`` in the order of ``x``, and the last states.
    """
    count = graph.size_of(x, 0)
    if graph.known_size(x, 0) is None:
        # A loop that does not run has no results of the right shape.
        is_empty = graph.convert(graph.output(op.equal(count, graph.integer(0))), Type.i64)
        more = graph.concat([is_empty, graph.integers(0, 0)], 0)
        x = graph.output(op.pad(x, graph.integers(0, 0, 0), more, "constant", graph.floats(0)))
    step = op.parameter([1, -1, x.get_partial_shape()[2]], x.get_element_type())
    before = [op.parameter(v.get_partial_shape(), v.get_element_type()) for v in starts]
    # One product for all steps would be faster, but OpenVINO 2026.4 then adds to its slice in place
    # and overwrites the state before it is handed on.
    product = op.matmul(
        graph.squeeze(step.output(0), 0), graph.constant(way.weight_ih), False, True
    )
    projected = graph.output(op.add(product, graph.floats(bias)))
    after = build(projected, [value.output(0) for value in before])
    results = [op.result(value) for value in after]
    every = op.result(graph.unsqueeze(after[0], 0))
    loop = op.tensor_iterator()
    loop.set_body(ov.Model([*results, every], [step, *before], "step"))
    ends = (-1, 0) if way.is_reverse else (0, -1)
    stride = -1 if way.is_reverse else 1
    loop.set_sliced_input(step, x, ends[0], stride, 1, ends[1], 0)
    for parameter, start, result in zip(before, starts, results, strict=True):
        loop.set_merged_input(parameter, start, result.input_value(0))
    steps = loop.get_concatenated_slices(every.input_value(0), ends[0], stride, 1, ends[1], 0)
    steps = op.slice(steps, graph.integers(0), count, graph.integers(1), graph.integers(0)).output(
        0
    )
    return steps, [loop.get_iter_value(result.input_value(0), -1) for result in results]


def _seen(gate: Output, peephole: Array | None, state: Output) -> Output:
    if peephole is None:
        return gate
    return graph.output(op.add(gate, op.multiply(graph.floats(peephole), state)))
