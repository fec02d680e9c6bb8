"""LSTMs on stored weights, in each instruction set of this CPU. Oracle: NumPy, float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset15 as op

from etcoreml.engine import compile as compiling
from etcoreml.engine import compile_function, kernels
from etcoreml.engine.fork import core
from etcoreml.mil.program import Array
from tests.cases import mil_builder, mil_function, normal, to_program

pytestmark = pytest.mark.skipif(
    kernels.instruction_set() is None, reason="no kernels for this OpenVINO or this CPU"
)

# The errors of some ten functions of f32, each within 2 units of the last place, in every step.
TOLERANCE = 2e-6


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def walked(
    projected: Array, h: Array, c: Array, weights: Array, reverse: bool
) -> tuple[Array, Array, Array]:
    """Compute what ``kernels.lstm`` does; ``weights`` are ``(D, 4 * H, H)``."""
    s, b, _ = projected.shape
    ways, width = len(weights), weights.shape[2]
    gates = projected.astype(np.float64).reshape(s, b, ways, 4, width)
    states = [value.astype(np.float64).reshape(b, ways, width) for value in (h, c)]
    steps = np.zeros((s, b, ways, width))
    with np.errstate(over="ignore"):
        for d, weight in enumerate(weights.astype(np.float64)):
            hidden, cell = (value[:, d] for value in states)
            for t in range(s)[:: -1 if reverse or d else 1]:
                total = gates[t, :, d] + (hidden @ weight.T).reshape(b, 4, width)
                i, f, o, z = np.moveaxis(total, 1, 0)
                cell = _sigmoid(f) * cell + _sigmoid(i) * np.tanh(z)
                hidden = _sigmoid(o) * np.tanh(cell)
                steps[t, :, d] = hidden
            states[0][:, d], states[1][:, d] = hidden, cell
    last = (value.reshape(b, ways * width) for value in states)
    return steps.reshape(s, b, ways * width), *last


def compute(
    operands: tuple[Array, Array, Array],
    weights: Array,
    reverse: bool = False,
    varies: bool = False,
    threads: int = 2,
) -> list[Array]:
    """Compute the recurrence of ``(D, 4 * H, H)`` fp16 weights."""
    shapes = [list(operand.shape) for operand in operands]
    if varies:
        shapes[0][0] = -1
    inputs = [op.parameter(shape, ov.Type.f32) for shape in shapes]
    packed = [kernels.pack_half(weight) for weight in weights]
    results = kernels.lstm(
        *(node.output(0) for node in inputs),
        [each for each in packed if each is not None],
        is_reverse=reverse,
    )
    model = ov.Model([op.result(value) for value in results], inputs, "lstm")
    properties = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
    request = core().compile_model(model, "CPU", properties).create_infer_request()
    request.infer(list(operands))
    return [np.array(request.get_output_tensor(i).data) for i in range(3)]


def operands(s: int, b: int, ways: int, width: int) -> tuple[Array, Array, Array]:
    """Return products, and states to start from."""
    return (
        normal(s, b, ways * 4 * width),
        normal(b, ways * width, seed=1),
        normal(b, ways * width, seed=2),
    )


@pytest.mark.parametrize("way", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize(
    ("steps", "batch", "width"),
    [(1, 1, 1), (5, 1, 64), (4, 2, 33), (3, 4, 8), (0, 1, 16), (2, 0, 16)],
)
@pytest.mark.usefixtures("any_set")
def test_recurrence(way: str, steps: int, batch: int, width: int) -> None:
    ways = 2 if way == "bidirectional" else 1
    given = operands(steps, batch, ways, width)
    weights = (normal(ways, 4 * width, width, seed=3) / np.sqrt(width)).astype(np.float16)
    found = compute(given, weights, way == "reverse")
    for mine, exact in zip(found, walked(*given, weights, way == "reverse"), strict=True):
        np.testing.assert_allclose(mine, exact, TOLERANCE, TOLERANCE)


@pytest.mark.usefixtures("any_set")
def test_functions() -> None:
    """Each gate over its whole range, subnormal and infinite numbers included; nan stays."""
    numbers = np.concatenate(
        [np.geomspace(1e-42, 3e38, 100), np.linspace(0, 20, 100), [0, np.inf]]
    ).astype(np.float32)
    numbers = np.concatenate([numbers, -numbers, [np.nan]]).astype(np.float32)
    width = len(numbers)
    weights = np.zeros((1, 4 * width, width), np.float16)
    zeros = np.zeros((1, width), np.float32)
    for gate in range(4):
        products = np.full((4, width), 20, np.float32)
        products[gate] = numbers
        cell = np.full((1, width), 0.3 if gate == 1 else 0, np.float32)
        given = (products.reshape(1, 1, -1), zeros, cell)
        exact_results = walked(*given, weights, False)
        for mine, exact in zip(compute(given, weights), exact_results, strict=True):
            np.testing.assert_allclose(mine, exact, 1e-6, 1e-37)
            assert np.isnan(mine[..., -1]).all() == np.isnan(exact[..., -1]).all()


@pytest.mark.parametrize("threads", [1, 4])
def test_products_divided_among_threads(threads: int) -> None:
    """Weights of more than a megabyte: every thread takes a part of each product."""
    given = operands(3, 1, 1, 400)
    weights = (normal(1, 1600, 400, seed=3) / 20).astype(np.float16)
    found = compute(given, weights, threads=threads)
    for mine, exact in zip(found, walked(*given, weights, False), strict=True):
        np.testing.assert_allclose(mine, exact, TOLERANCE, TOLERANCE)


def test_steps_vary() -> None:
    given = operands(6, 1, 2, 64)
    weights = (normal(2, 256, 64, seed=3) / 8).astype(np.float16)
    fixed_results = compute(given, weights)
    for mine, fixed in zip(compute(given, weights, varies=True), fixed_results, strict=True):
        np.testing.assert_array_equal(mine, fixed)


def program(dtype: Any, batch: int, **options: Any) -> tuple[Any, dict[str, Array]]:
    """Return a program of one bidirectional LSTM of 64 units, and its inputs."""
    inputs = {
        "x": normal(7, batch, 20).astype(dtype),
        "h": normal(batch, 128, seed=1).astype(dtype),
        "c": normal(batch, 128, seed=2).astype(dtype),
    }
    weights = {
        f"{name}{end}": (normal(*shape, seed=seed) / 6).astype(dtype)
        for end, first in (("", 3), ("_back", 6))
        for seed, (name, shape) in enumerate(
            {"weight_ih": (256, 20), "weight_hh": (256, 64), "bias": (256,)}.items(), first
        )
    }

    def build(x: Any, h: Any, c: Any) -> Any:
        return mil_builder().lstm(
            x=x,
            initial_h=h,
            initial_c=c,
            direction="bidirectional",
            output_sequence=True,
            name="layer",
            **weights,
            **options,
        )

    return to_program(mil_function(inputs, build, "iOS17"), "iOS17"), inputs


def run(
    program_: Any, inputs: dict[str, Array], numerics: str = "fast"
) -> tuple[list[Array], set[str]]:
    """Run it; returns the outputs, and the kinds of kernels that computed them."""
    session = compile_function(
        program_, compute_unit="cpu_only", threads=1, numerics=numerics, profiling=True
    )
    request = session.create_request()
    for index, value in enumerate(inputs.values()):
        request.set_input(index, value)
    request.infer()
    kinds = {each.kind for each in request.profile()}
    return list(session.run(inputs).values()), kinds


@pytest.mark.parametrize("numerics", ["fast", "faithful"])
def test_with_and_without_kernels(numerics: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways agree to a unit in the last place of fp16."""
    made, inputs = program(np.float16, 2)
    mine, kinds = run(made, inputs, numerics)
    assert "Reference" in kinds
    monkeypatch.setattr(compiling, "instruction_set", lambda: None)
    theirs, kinds = run(made, inputs, numerics)
    assert "Reference" not in kinds
    for one, other in zip(mine, theirs, strict=True):
        np.testing.assert_allclose(one, other, 2.0**-10, 2.0**-20)


@pytest.mark.parametrize(
    ("dtype", "batch", "options"),
    [
        (np.float32, 1, {}),
        (np.float16, 5, {}),
        (np.float16, 1, {"activation": "relu"}),
        (np.float16, 1, {"clip": np.float16(1)}),
    ],
    ids=["fp32", "batch", "activation", "clip"],
)
def test_what_the_kernels_leave_to_openvino(dtype: Any, batch: int, options: Any) -> None:
    _, kinds = run(*program(dtype, batch, **options))
    assert "Reference" not in kinds
