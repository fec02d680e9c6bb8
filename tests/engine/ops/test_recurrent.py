"""MIL family ``recurrent`` against the formulas of its docstrings, step by step in NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino as ov
import pytest
import torch
from openvino import opset15 as op

from etcoreml.engine.ops import recurrent
from tests.cases import Case, check, normal, numbers_of

STEPS, BATCH, INPUT, H = 5, 2, 3, 4
FUNCTIONS = {
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "linear": lambda x: x,
    "hard_sigmoid": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
    "scaled_tanh": np.tanh,  # scaled by 1 and 1, say coremltools' tests
}
FUNCTIONS["sigmoid_hard"] = FUNCTIONS["hard_sigmoid"]


def _as_walked(steps: Any, direction: str) -> Any:
    """A network that only walks back lists its steps as it took them, say coremltools' tests."""
    return steps[::-1] if direction == "reverse" else steps


def _walk(x: Any, direction: str) -> Any:
    return range(len(x)) if direction == "forward" else reversed(range(len(x)))


def _one_way(
    x: Any,
    h: Any,
    c: Any,
    w: Any,
    r: Any,
    bias: Any,
    direction: str,
    names: Any,
    look: Any = None,
    clip: Any = None,
) -> Any:
    gate, cell, final = (FUNCTIONS[name] for name in names)
    steps = np.zeros((len(x), *h.shape), np.float32)
    for t in _walk(x, direction):
        i, f, o, z = np.split(x[t] @ w.T + h @ r.T + bias, 4, axis=1)
        pi, pf, po = np.zeros((3, 1)) if look is None else np.split(look, 3)
        c = gate(f + pf * c) * c + gate(i + pi * c) * cell(z)
        c = c if clip is None else np.clip(c, -clip, clip)
        o = o + po * c
        h = gate(o) * final(c)
        steps[t] = h
    return steps, h, c


def _lstm(
    x: Any,
    initial_h: Any,
    initial_c: Any,
    weight_ih: Any,
    weight_hh: Any,
    bias: Any = None,
    direction: str = "forward",
    output_sequence: bool = False,
    weight_ih_back: Any = None,
    weight_hh_back: Any = None,
    bias_back: Any = None,
    recurrent_activation: str = "sigmoid",
    cell_activation: str = "tanh",
    activation: str = "tanh",
    peephole: Any = None,
    peephole_back: Any = None,
    clip: Any = None,
) -> Any:
    looks = (peephole, peephole_back)
    names = (recurrent_activation, cell_activation, activation)
    ways = [("reverse" if direction == "reverse" else "forward", weight_ih, weight_hh, bias)]
    if direction == "bidirectional":
        ways.append(("reverse", weight_ih_back, weight_hh_back, bias_back))
    outs = [
        _one_way(
            x,
            initial_h[:, k * H : (k + 1) * H],
            initial_c[:, k * H : (k + 1) * H],
            w,
            r,
            0 if b is None else b,
            way,
            names,
            looks[k],
            clip,
        )
        for k, (way, w, r, b) in enumerate(ways)
    ]
    steps, h, c = (np.concatenate(parts, axis=-1) for parts in zip(*outs, strict=True))
    return (_as_walked(steps, direction) if output_sequence else h[None]), h, c


def _gru(
    x: Any,
    initial_h: Any,
    weight_ih: Any,
    weight_hh: Any,
    bias: Any = None,
    direction: str = "forward",
    output_sequence: bool = False,
    reset_after: bool = False,
    input_bias: Any = None,
    recurrent_activation: str = "sigmoid",
    activation: str = "tanh",
) -> Any:
    gate, final = FUNCTIONS[recurrent_activation], FUNCTIONS[activation]
    inner = np.zeros(3 * H) if bias is None else bias
    outer = np.zeros(3 * H) if input_bias is None else input_bias
    (wr, wo, wz), (rr, ro, rz) = np.split(weight_ih, 3), np.split(weight_hh, 3)
    (br, bo, bz), (ir, io, iz) = np.split(inner, 3), np.split(outer, 3)
    h = initial_h
    steps = np.zeros((len(x), *h.shape), np.float32)
    for t in _walk(x, direction):
        r = gate(x[t] @ wr.T + h @ rr.T + br + ir)
        z = gate(x[t] @ wz.T + h @ rz.T + bz + iz)
        recurrent = r * (h @ ro.T + bo) if reset_after else (r * h) @ ro.T + bo
        h = (1 - z) * final(x[t] @ wo.T + io + recurrent) + z * h
        steps[t] = h
    return (_as_walked(steps, direction) if output_sequence else h[None]), h


def _rnn(
    x: Any,
    initial_h: Any,
    weight_ih: Any,
    weight_hh: Any,
    bias: Any = None,
    direction: str = "forward",
    output_sequence: bool = False,
    activation: str = "tanh",
) -> Any:
    h = initial_h
    steps = np.zeros((len(x), *h.shape), np.float32)
    for t in _walk(x, direction):
        h = FUNCTIONS[activation](
            x[t] @ weight_ih.T + h @ weight_hh.T + (0 if bias is None else bias)
        )
        steps[t] = h
    return (_as_walked(steps, direction) if output_sequence else h[None]), h


def _weights(gates: int, seed: int = 1) -> dict[str, Any]:
    return {
        "weight_ih": normal(gates * H, INPUT, seed=seed) / 2,
        "weight_hh": normal(gates * H, H, seed=seed + 1) / 2,
        "bias": normal(gates * H, seed=seed + 2) / 2,
    }


def _back() -> dict[str, Any]:
    return {f"{name}_back": value for name, value in _weights(4, 11).items()}


X, HIDDEN = normal(STEPS, BATCH, INPUT), normal(BATCH, H, seed=21)
STATES = {"x": X, "initial_h": HIDDEN, "initial_c": normal(BATCH, H, seed=22)}
TWO_WAY = {"x": X, "initial_h": normal(BATCH, 2 * H), "initial_c": normal(BATCH, 2 * H, seed=22)}
NO_BIAS = {name: value for name, value in _weights(4).items() if name != "bias"}
SEQUENCE = {"output_sequence": True}

CASES = (
    *(
        Case("lstm", inputs, params, 1e-5, why, _lstm, "iOS17")
        for why, inputs, params in (
            ("last step", STATES, _weights(4)),
            ("sequence", STATES, {**_weights(4), **SEQUENCE}),
            ("no bias", STATES, {**NO_BIAS, **SEQUENCE}),
            ("reverse", STATES, {**_weights(4), **SEQUENCE, "direction": "reverse"}),
            (
                "bidirectional",
                TWO_WAY,
                {**_weights(4), **_back(), **SEQUENCE, "direction": "bidirectional"},
            ),
            (
                "bidirectional last step",
                TWO_WAY,
                {**_weights(4), **_back(), "direction": "bidirectional"},
            ),
            (
                "activations",
                STATES,
                {**_weights(4), "cell_activation": "relu", "activation": "sigmoid"},
            ),
            ("peephole", STATES, {**_weights(4), **SEQUENCE, "peephole": normal(3 * H, seed=5)}),
            (
                "peephole reverse",
                STATES,
                {**_weights(4), **SEQUENCE, "direction": "reverse", "peephole": normal(3 * H)},
            ),
            (
                "peepholes and clip both ways",
                TWO_WAY,
                {
                    **_weights(4),
                    **_back(),
                    **SEQUENCE,
                    "direction": "bidirectional",
                    "peephole": normal(3 * H, seed=5),
                    "peephole_back": normal(3 * H, seed=6),
                    "clip": np.float32(0.3),
                },
            ),
            ("clip", STATES, {**_weights(4), "clip": np.float32(0.2)}),
            (
                "other activations",
                STATES,
                {
                    **_weights(4),
                    "recurrent_activation": "hard_sigmoid",
                    "cell_activation": "scaled_tanh",
                    "activation": "linear",
                },
            ),
        )
    ),
    *(
        Case("gru", {"x": X, "initial_h": HIDDEN}, params, 1e-5, why, _gru, opset)
        for why, params, opset in (
            ("last step", _weights(3), "iOS17"),
            ("sequence", {**_weights(3), **SEQUENCE}, "iOS17"),
            ("reverse", {**_weights(3), **SEQUENCE, "direction": "reverse"}, "iOS17"),
            (
                "reset after",
                {
                    **_weights(3),
                    **SEQUENCE,
                    "reset_after": True,
                    "input_bias": normal(3 * H, seed=31) / 2,
                },
                "iOS18",
            ),
            *(
                (
                    f"{outer} of {inner} {'after' if after else 'before'} {direction}",
                    {
                        **_weights(3),
                        **SEQUENCE,
                        "recurrent_activation": inner,
                        "activation": outer,
                        "direction": direction,
                        "reset_after": after,
                        "input_bias": normal(3 * H, seed=31) / 2,
                    },
                    "iOS18",
                )
                for inner, outer, after, direction in (
                    ("hard_sigmoid", "scaled_tanh", True, "forward"),
                    ("sigmoid", "linear", False, "reverse"),
                    ("tanh", "relu", True, "reverse"),
                )
            ),
        )
    ),
    *(
        Case("rnn", {"x": X, "initial_h": HIDDEN}, params, 1e-5, why, _rnn, "iOS17")
        for why, params in (
            ("last step", _weights(1)),
            ("sequence", {**_weights(1), **SEQUENCE}),
            (
                "reverse relu",
                {**_weights(1), **SEQUENCE, "direction": "reverse", "activation": "relu"},
            ),
            ("linear", {**_weights(1), **SEQUENCE, "activation": "linear"}),
            ("scaled tanh", {**_weights(1), "direction": "reverse", "activation": "scaled_tanh"}),
            ("sigmoid hard", {**_weights(1), **SEQUENCE, "activation": "sigmoid_hard"}),
        )
    ),
)

test_numbers = numbers_of(CASES)


def _empty(inputs: dict[str, Any]) -> dict[str, Any]:
    return {**inputs, "x": inputs["x"][:0]}


ONE_STATE = {"x": X, "initial_h": HIDDEN}


@pytest.mark.parametrize("varies", [False, True])
@pytest.mark.parametrize(
    "case",
    [
        Case("lstm", _empty(STATES), {**_weights(4), **SEQUENCE}, 0, "no steps", _lstm, "iOS17"),
        Case(
            "lstm", _empty(STATES), {**_weights(4), "clip": np.float32(9)}, 0, "c", _lstm, "iOS17"
        ),
        Case("gru", _empty(ONE_STATE), {**_weights(3)}, 0, "no steps", _gru, "iOS17"),
        Case("rnn", _empty(ONE_STATE), {**_weights(1), **SEQUENCE}, 0, "no steps", _rnn, "iOS17"),
    ],
    ids=str,
)
def test_no_steps_leave_the_states(case: Case, varies: bool) -> None:
    check(case, varies=varies)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    ("op_type", "gates", "params", "formula"),
    [
        ("lstm", 4, {"clip": np.float32(0.5)}, _lstm),
        ("gru", 3, {"activation": "linear"}, _gru),
        ("gru", 3, {"activation": "linear", "reset_after": True}, _gru),
        ("rnn", 1, {"activation": "scaled_tanh"}, _rnn),
    ],
)
def test_steps_of_any_batch(
    op_type: str, gates: int, params: dict[str, Any], formula: Any, batch: int
) -> None:
    """Without a bias, so that nothing stands between the products."""
    weights = {name: value for name, value in _weights(gates).items() if name != "bias"}
    inputs = {"x": normal(STEPS, batch, INPUT), "initial_h": normal(batch, H, seed=21)}
    if op_type == "lstm":
        inputs["initial_c"] = normal(batch, H, seed=22)
    params = {**weights, **params, **SEQUENCE}
    check(Case(op_type, inputs, params, 1e-5, "batch", formula, "iOS18"))


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_lstm_agrees_with_torch(direction: str) -> None:
    """torch has no reverse LSTM: it is the second half of its bidirectional one."""
    params = {**_weights(4), **_back(), **SEQUENCE, "direction": "bidirectional"}
    lstm = torch.nn.LSTM(INPUT, H, bidirectional=True)
    with torch.no_grad():
        for suffix, end in (("", ""), ("_reverse", "_back")):
            for name, source in (("ih", "weight_ih"), ("hh", "weight_hh")):
                target = getattr(lstm, f"weight_{name}_l0{suffix}")
                target.copy_(torch.from_numpy(_torch_gates(params[f"{source}{end}"])))
            getattr(lstm, f"bias_ih_l0{suffix}").copy_(
                torch.from_numpy(_torch_gates(params[f"bias{end}"]))
            )
            getattr(lstm, f"bias_hh_l0{suffix}").zero_()
        state = [
            torch.from_numpy(np.stack(np.split(TWO_WAY[name], 2, axis=1)))
            for name in ("initial_h", "initial_c")
        ]
        steps, last = lstm(torch.from_numpy(X), tuple(state))
    truth = [steps.numpy(), *(np.concatenate(list(v.numpy()), axis=1) for v in last)]
    inputs = TWO_WAY
    if direction != "bidirectional":
        half = slice(H, None) if direction == "reverse" else slice(H)
        names = ("weight_ih", "weight_hh", "bias")
        end = "_back" if direction == "reverse" else ""
        params = {**{n: params[n + end] for n in names}, **SEQUENCE, "direction": direction}
        inputs = {**TWO_WAY, **{n: TWO_WAY[n][:, half] for n in ("initial_h", "initial_c")}}
        truth = [value[..., half] for value in truth]
        truth[0] = _as_walked(truth[0], direction)
    check(Case("lstm", inputs, params, 1e-5, expect=lambda **_: truth, opset="iOS17"))


def _torch_gates(values: Any) -> Any:
    """MIL's input, forget, output, cell to torch's input, forget, cell, output."""
    i, f, o, z = np.split(values, 4)
    return np.concatenate([i, f, z, o])


@pytest.mark.parametrize("rows", [1, 2, 4])
def test_a_state_of_another_batch_is_cut_or_its_last_row_repeated(rows: int) -> None:
    """Programs of packed torch LSTMs have one; OpenVINO would write beyond its memory."""
    state, x = op.parameter([-1, H], np.float32), op.parameter([STEPS, BATCH, INPUT], np.float32)
    fitting = recurrent._for_batch(state.output(0), x.output(0))
    model = ov.Core().compile_model(ov.Model([fitting], [state]), "CPU")
    given = normal(rows, H)
    found = model([given])[0]
    np.testing.assert_array_equal(found, given[[0, min(1, rows - 1)]])
