"""MIL family ``recurrent``.

Sequences are ``(s, b, I)`` in MIL and ``(b, s, I)`` in OpenVINO; gates come in another order. What
a ``reverse`` network returns is in the order of its steps, the last input first; the way back of a
``bidirectional`` one is in the order of its inputs. MIL does not say so, coremltools' tests do.

Source: coremltools 9.0 ``recurrent.py`` of iOS15, iOS17 and iOS18.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from openvino import Output
from openvino import opset15 as op

from etcoreml.engine import graph, kernels
from etcoreml.engine.context import Context
from etcoreml.engine.recurrence import ACTIVATIONS, Way, gru_steps, lstm_steps, rnn_steps
from etcoreml.engine.registry import translates
from etcoreml.mil.program import Array

_ACTIVATIONS = ("sigmoid", "tanh", "relu")
_LSTM_GATES = (1, 0, 3, 2)
"""MIL's input, forget, output, cell to OpenVINO's forget, input, cell, output."""
_GRU_GATES = (2, 0, 1)
"""MIL's reset, output, update to OpenVINO's update, reset, output."""


@translates("lstm", spec="iOS15.lstm, iOS17.lstm")
def lstm(
    x: Output,
    initial_h: Output,
    initial_c: Output,
    weight_ih: Array,
    weight_hh: Array,
    context: Context,
    bias: Array | None = None,
    peephole: Array | None = None,
    weight_ih_back: Array | None = None,
    weight_hh_back: Array | None = None,
    bias_back: Array | None = None,
    peephole_back: Array | None = None,
    direction: str = "forward",
    output_sequence: bool = False,
    recurrent_activation: str = "sigmoid",
    cell_activation: str = "tanh",
    activation: str = "tanh",
    clip: float | None = None,
) -> Any:
    """Long short-term memory over a sequence; D is 2 for ``bidirectional``, else 1.

    Args:
        x: ``(s, b, I)`` fp16 | fp32.
        initial_h: ``(b, D * H)``.
        initial_c: ``(b, D * H)``.
        weight_ih: ``(4 * H, I)``.
        weight_hh: ``(4 * H, H)``.
        context: The translation.
        bias: ``(4 * H,)``; zeros if absent.
        peephole: ``(3 * H,)`` weights of the cell state in the input, forget and output gates.
        weight_ih_back: ``(4 * H, I)``, for the way back if bidirectional.
        weight_hh_back: ``(4 * H, H)``, likewise.
        bias_back: ``(4 * H,)``, likewise.
        peephole_back: ``(3 * H,)``, likewise.
        direction: ``forward``, ``reverse`` or ``bidirectional``.
        output_sequence: Whether every step is wanted, or the last.
        recurrent_activation: ``sigmoid``, ``tanh``, ``relu``, ``linear``, ``hard_sigmoid``
            (slope 0.2, offset 0.5) or ``scaled_tanh``, which is ``tanh`` here.
        cell_activation: Likewise.
        activation: Likewise.
        clip: Bound of the cell state; MIL says "cell gate", but fills this from TensorFlow's
            ``cell_clip``, which bounds the state.

    Returns:
        ``(s or 1, b, D * H)``, and the last hidden and cell states ``(b, D * H)``.
    """
    context.one_of("direction", direction, ("forward", "reverse", "bidirectional"))
    initial_h, initial_c = _for_batch(initial_h, x), _for_batch(initial_c, x)
    chosen = (
        _activation(context, "recurrent_activation", recurrent_activation),
        _activation(context, "cell_activation", cell_activation),
        _activation(context, "activation", activation),
    )
    ways = [(weight_ih, weight_hh, bias)]
    if direction == "bidirectional":
        ways.append(
            (
                _present(context, "weight_ih_back", weight_ih_back),
                _present(context, "weight_hh_back", weight_hh_back),
                bias_back,
            )
        )
    hidden = weight_hh.shape[1]
    peepholes = [peephole, peephole_back][: len(ways)]
    has_own = clip is None and all(item is None for item in peepholes)
    if not has_own or not set(chosen) <= set(_ACTIVATIONS):
        walks = [
            Way(w, r, _bias(b, 4 * hidden), look, direction == "reverse" or number == 1)
            for number, ((w, r, b), look) in enumerate(zip(ways, peepholes, strict=True))
        ]
        return _by_steps(x, initial_h, initial_c, walks, chosen, clip, direction, output_sequence)
    biases = [_bias(b, 4 * hidden) for _, _, b in ways]
    packed = _packed([r for _, r, _ in ways], x, chosen, context)
    if packed is not None:
        projected = _projected(x, np.concatenate([w for w, _, _ in ways]), np.concatenate(biases))
        steps, h, c = kernels.lstm(
            projected, initial_h, initial_c, packed, is_reverse=direction == "reverse"
        )
        return _results(x, steps, (h, c), (initial_h, initial_c), direction, output_sequence)
    sequence = op.lstm_sequence(
        graph.transpose(x, (1, 0, 2)),
        _state_in(initial_h, len(ways), hidden),
        _state_in(initial_c, len(ways), hidden),
        _lengths(x),
        _stacked([_gates(w, _LSTM_GATES) for w, _, _ in ways]),
        _stacked([_gates(w, _LSTM_GATES) for _, w, _ in ways]),
        _stacked([_gates(b, _LSTM_GATES) for b in biases]),
        hidden,
        direction,
        list(chosen),
    )
    size = len(ways) * hidden
    h, c = _state_out(sequence.output(1), size), _state_out(sequence.output(2), size)
    steps = _steps(sequence.output(0), size)
    return _results(x, steps, (h, c), (initial_h, initial_c), direction, output_sequence)


@translates("gru", spec="iOS15.gru, iOS17.gru, iOS18.gru")
def gru(
    x: Output,
    initial_h: Output,
    weight_ih: Array,
    weight_hh: Array,
    context: Context,
    bias: Array | None = None,
    direction: str = "forward",
    output_sequence: bool = False,
    recurrent_activation: str = "sigmoid",
    activation: str = "tanh",
    reset_after: bool = False,
    input_bias: Array | None = None,
) -> Any:
    """Gated recurrent unit over a sequence.

    Args:
        x: ``(s, b, I)`` fp16 | fp32.
        initial_h: ``(b, H)``.
        weight_ih: ``(3 * H, I)``.
        weight_hh: ``(3 * H, H)``.
        context: The translation.
        bias: ``(3 * H,)``; zeros if absent.
        direction: ``forward`` or ``reverse``.
        output_sequence: Whether every step is wanted, or the last.
        recurrent_activation: As for ``lstm``.
        activation: Likewise.
        reset_after: Whether the reset gate applies after the product with ``weight_hh``.
        input_bias: ``(3 * H,)``; zeros if absent.

    Returns:
        ``(s or 1, b, H)`` and the last hidden state ``(b, H)``.
    """
    context.one_of("direction", direction, ("forward", "reverse"))
    names = (
        _activation(context, "recurrent_activation", recurrent_activation),
        _activation(context, "activation", activation),
    )
    hidden = weight_hh.shape[1]
    if not set(names) <= set(_ACTIVATIONS):
        way = Way(weight_ih, weight_hh, _bias(bias, 3 * hidden), None, direction == "reverse")
        outer = _bias(input_bias, 3 * hidden)
        steps, h = gru_steps(x, initial_h, way, names, outer, reset_after)
        return _results(x, steps, (h,), (initial_h,), direction, output_sequence)
    inner = _gates(_bias(bias, 3 * hidden), _GRU_GATES)
    outer = _gates(_bias(input_bias, 3 * hidden), _GRU_GATES)
    total = np.add(inner, outer, dtype=np.float32)
    if reset_after:
        # The output gate's two biases are on either side of the reset gate.
        total = np.concatenate([total[: 2 * hidden], outer[2 * hidden :], inner[2 * hidden :]])
    sequence = op.gru_sequence(
        graph.transpose(x, (1, 0, 2)),
        _state_in(initial_h, 1, hidden),
        _lengths(x),
        _stacked([_gates(weight_ih, _GRU_GATES)]),
        _stacked([_gates(weight_hh, _GRU_GATES)]),
        _stacked([total]),
        hidden,
        direction,
        list(names),
        linear_before_reset=reset_after,
    )
    steps, h = _steps(sequence.output(0), hidden), _state_out(sequence.output(1), hidden)
    return _results(x, steps, (h,), (initial_h,), direction, output_sequence)


@translates("rnn", spec="iOS15.rnn, iOS17.rnn")
def rnn(
    x: Output,
    initial_h: Output,
    weight_ih: Array,
    weight_hh: Array,
    context: Context,
    bias: Array | None = None,
    direction: str = "forward",
    output_sequence: bool = False,
    activation: str = "tanh",
) -> Any:
    """Recurrent network over a sequence.

    Args:
        x: ``(s, b, I)`` fp16 | fp32.
        initial_h: ``(b, H)``.
        weight_ih: ``(H, I)``.
        weight_hh: ``(H, H)``.
        context: The translation.
        bias: ``(H,)``; zeros if absent.
        direction: ``forward`` or ``reverse``.
        output_sequence: Whether every step is wanted, or the last.
        activation: As for ``lstm``; ``sigmoid_hard`` is ``hard_sigmoid``.

    Returns:
        ``(s or 1, b, H)`` and the last hidden state ``(b, H)``.
    """
    context.one_of("direction", direction, ("forward", "reverse"))
    hidden = weight_hh.shape[1]
    name = _activation(context, "activation", activation)
    if name not in _ACTIVATIONS:
        way = Way(weight_ih, weight_hh, _bias(bias, hidden), None, direction == "reverse")
        steps, h = rnn_steps(x, initial_h, way, name)
        return _results(x, steps, (h,), (initial_h,), direction, output_sequence)
    sequence = op.rnn_sequence(
        graph.transpose(x, (1, 0, 2)),
        _state_in(initial_h, 1, hidden),
        _lengths(x),
        _stacked([weight_ih]),
        _stacked([weight_hh]),
        _stacked([_bias(bias, hidden)]),
        hidden,
        direction,
        [name],
    )
    steps, h = _steps(sequence.output(0), hidden), _state_out(sequence.output(1), hidden)
    return _results(x, steps, (h,), (initial_h,), direction, output_sequence)


def _packed(
    weights: Sequence[Array], x: Output, activations: Sequence[str], context: Context
) -> list[kernels.Packed] | None:
    """Return the recurrent weights for our own kernels; None if these do not compute the LSTM."""
    batch = graph.known_size(x, 1)
    is_fit = batch is not None and batch <= kernels.LARGEST_LSTM_BATCH
    if not is_fit or tuple(activations) != ("sigmoid", "tanh", "tanh"):
        return None
    if not context.scope.translation.uses_kernels:
        return None
    found = [kernels.pack_half(weight) for weight in weights]
    packed = [weight for weight in found if weight is not None]
    return packed if len(packed) == len(weights) else None


def _projected(x: Output, weight: Array, bias: Array) -> Output:
    """Multiply all steps with the weights of the inputs: ``(s, b, I)`` to ``(s, b, D * G * H)``."""
    packed = kernels.pack_half(weight)
    if packed is not None:
        return graph.output(kernels.linear(x, packed, graph.floats(bias)))
    product = op.matmul(x, graph.constant(weight), False, True)
    return graph.output(op.add(product, graph.floats(bias)))


def _by_steps(
    x: Output,
    initial_h: Output,
    initial_c: Output,
    ways: Sequence[Way],
    activations: tuple[str, str, str],
    clip: float | None,
    direction: str,
    output_sequence: bool,
) -> list[Output]:
    count = len(ways)
    starts = [
        [value] if count == 1 else op.split(value, graph.integer(1), count).outputs()
        for value in (initial_h, initial_c)
    ]
    found = [
        lstm_steps(x, h, c, way, activations, clip) for h, c, way in zip(*starts, ways, strict=True)
    ]
    steps, h, c = (
        graph.concat(values, graph.rank(values[0]) - 1) for values in zip(*found, strict=True)
    )
    return _results(x, steps, (h, c), (initial_h, initial_c), direction, output_sequence)


def _activation(context: Context, parameter: str, name: str) -> str:
    """Return the name as the tables have it; MIL's case does not matter."""
    known = context.one_of(parameter, name.lower(), tuple(ACTIVATIONS))
    return "tanh" if known == "scaled_tanh" else known


def _results(
    x: Output,
    steps: Output,
    last: Sequence[Output],
    starts: Sequence[Output],
    direction: str,
    output_sequence: bool,
) -> list[Output]:
    """Return every step or the last hidden state, and the last states.

    OpenVINO leaves the states of a sequence of no steps unset: they are those it starts with.
    """
    count = graph.known_size(x, 0)
    if count == 0:
        last = starts
        sizes = [graph.integers(0), graph.size_of(x, 1), graph.size_of(last[0], 1)]
        steps = graph.output(op.broadcast(graph.floats(0), graph.concat(sizes, 0)))
    elif count is None:
        is_empty = op.equal(graph.scalar(graph.size_of(x, 0)), graph.integer(0))
        last = [
            graph.output(op.select(is_empty, start, value))
            for start, value in zip(starts, last, strict=True)
        ]
    if not output_sequence:
        steps = graph.unsqueeze(last[0], 0)
    elif direction == "reverse":
        end, back = graph.integers(-(2**31)), graph.integers(-1)
        steps = graph.output(op.slice(steps, back, end, back, graph.integers(0)))
    return [steps, *last]


def _for_batch(state: Output, x: Output) -> Output:
    """Return a state of as many rows as ``x`` has sequences, its last one repeated.

    coremltools makes the zeros that a packed torch LSTM starts from of another number of rows.
    Core ML overlooks it; OpenVINO would write beyond its memory.
    """
    rows, batch = graph.known_size(state, 0), graph.known_size(x, 1)
    if batch is None or rows is not None:
        return state
    numbers = graph.integers(*range(batch))
    last = op.subtract(graph.size_of(state, 0), graph.integer(1))
    return graph.output(op.gather(state, op.minimum(numbers, last), graph.integer(0)))


def _present(context: Context, name: str, value: Array | None) -> Array:
    if value is None:
        raise context.unsupported(name, None, "weights, because the direction is bidirectional")
    return value


def _gates(values: Array, order: Sequence[int]) -> Array:
    """Bring the gates, equal parts of the first dimension, into another order."""
    parts = np.split(values, len(order))
    return np.concatenate([parts[i] for i in order])


def _bias(values: Array | None, size: int) -> Array:
    return np.zeros(size, np.float32) if values is None else values


def _stacked(ways: Sequence[Array]) -> Output:
    return graph.floats(np.stack(ways))


def _lengths(x: Output) -> Output:
    """Return the length of each sequence of the batch: all of it."""
    return graph.output(op.broadcast(graph.scalar(graph.size_of(x, 0)), graph.size_of(x, 1)))


def _state_in(state: Output, ways: int, hidden: int) -> Output:
    return graph.reshape(state, (-1, ways, hidden))


def _state_out(state: Output, size: int) -> Output:
    """``(b, D, H)`` to ``(b, D * H)``."""
    return graph.reshape(state, (-1, size))


def _steps(steps: Output, size: int) -> Output:
    """``(b, D, s, H)`` to ``(s, b, D * H)``."""
    ordered = graph.transpose(steps, (2, 0, 1, 3))
    lead = graph.concat([graph.size_of(ordered, 0), graph.size_of(ordered, 1)], 0)
    return graph.reshape(ordered, graph.concat([lead, graph.integers(size)], 0))
