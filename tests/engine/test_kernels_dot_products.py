"""Products of a few rows with many, in each instruction set of this CPU. Oracle: NumPy, float64."""

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


def compute(x: Array, *ys: Array, threads: int = 2) -> list[Array]:
    """Compute ``x @ y.T`` with one compiled model, whose outputs vary if there are several."""
    shape = list(ys[0].shape)
    if len(ys) > 1:
        shape[-2] = -1
    inputs = [op.parameter(list(x.shape), ov.Type.f32), op.parameter(shape, ov.Type.f32)]
    node = kernels.dot_products(*(each.output(0) for each in inputs))
    properties = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": threads}
    model = ov.Model([op.result(node)], inputs, "products")
    request = core().compile_model(model, "CPU", properties).create_infer_request()
    found = []
    for y in ys:
        request.infer([x, y])
        found.append(np.array(request.get_output_tensor(0).data))
    return found


def check(found: Array, x: Array, y: Array) -> None:
    """Compare with float64, within the rounding of sums in f32."""
    wide = [each.astype(np.float64) for each in (x, np.swapaxes(y, -1, -2))]
    largest = np.abs(wide[0]) @ np.abs(wide[1])
    assert found.shape == largest.shape
    assert np.all(np.abs(found - wide[0] @ wide[1]) <= 2e-6 * largest)


@pytest.mark.parametrize("rows", [0, 1, 2, 3, 4])
@pytest.mark.parametrize(
    ("batch", "outputs", "columns"),
    [((), 1, 1), ((), 7, 16), ((3,), 33, 40), ((2, 3), 64, 64), ((1, 4), 5, 0), ((0,), 4, 8)],
    ids=str,
)
@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.usefixtures("any_set")
def test_shapes(
    batch: tuple[int, ...], rows: int, outputs: int, columns: int, threads: int
) -> None:
    x, y = normal(*batch, rows, columns), normal(*batch, outputs, columns, seed=1)
    (found,) = compute(x, y, threads=threads)
    check(found, x, y)


@pytest.mark.parametrize(("batch", "outputs"), [(4, 512), (1, 3001), (33, 40)])
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.usefixtures("any_set")
def test_work_is_divided_among_threads(batch: int, outputs: int, threads: int) -> None:
    x, y = normal(batch, 3, 64), normal(batch, outputs, 64, seed=1)
    (found,) = compute(x, y, threads=threads)
    check(found, x, y)


@pytest.mark.usefixtures("any_set")
def test_outputs_vary() -> None:
    x = normal(2, 3, 24)
    ys = [normal(2, count, 24, seed=count) for count in (9, 1, 0, 700)]
    for found, y in zip(compute(x, *ys), ys, strict=True):
        check(found, x, y)


@pytest.mark.usefixtures("any_set")
def test_what_is_not_finite_stays_in_its_row() -> None:
    x, y = np.ones((2, 20), np.float32), np.ones((6, 20), np.float32)
    y[1, 3], y[2, 19], y[4, 0] = np.nan, np.inf, -np.inf
    (found,) = compute(x, y)
    np.testing.assert_array_equal(found, [[20, np.nan, np.inf, 20, -np.inf, 20]] * 2)


def run(
    shapes: tuple[tuple[int, ...], tuple[int, ...]],
    dtype: Any = np.float16,
    constant: bool = False,
    numerics: str = "fast",
    **options: Any,
) -> tuple[Array, set[str]]:
    """Run a matmul of MIL; returns the product, and the kinds of kernels that computed it."""
    x, y = normal(*shapes[0]).astype(dtype), normal(*shapes[1], seed=1).astype(dtype)
    inputs = {"x": x} if constant else {"x": x, "y": y}
    builder = mil_builder()
    flags = {"transpose_y": True, **options}
    function = mil_function(
        inputs, lambda x, y=y: builder.matmul(x=x, y=y, name="product", **flags), "iOS17"
    )
    session = compile_function(
        to_program(function, "iOS17"), compute_unit="cpu_only", numerics=numerics, profiling=True
    )
    request = session.create_request()
    for index, value in enumerate(inputs.values()):
        request.set_input(index, value)
    request.infer()
    (product,) = session.run(inputs).values()
    return product, {each.kind for each in request.profile()}


KEYS = ((1, 4, 3, 64), (1, 4, 512, 64))


@pytest.mark.parametrize("numerics", ["fast", "faithful"])
def test_with_and_without_kernels(numerics: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, kinds = run(KEYS, numerics=numerics)
    assert "Reference" in kinds
    monkeypatch.setattr(compiling, "instruction_set", lambda: None)
    theirs, kinds = run(KEYS, numerics=numerics)
    assert "Reference" not in kinds
    np.testing.assert_allclose(mine, theirs, 2.0**-10, 2.0**-7)


@pytest.mark.parametrize(
    ("shapes", "options"),
    [
        (((1, 4, 5, 64), KEYS[1]), {}),
        (((1, 1, 3, 64), KEYS[1]), {}),
        (((3, 64), KEYS[1]), {}),
        (((4, 3, 64), (4, 16, 64)), {}),
        (((1, 4, 3, 64), (1, 4, 64, 512)), {"transpose_y": False}),
        (((1, 4, 64, 3), KEYS[1]), {"transpose_x": True}),
        (KEYS, {"constant": True}),
        (((64,), (512, 64)), {}),
    ],
    ids=["rows", "batch", "ranks", "small", "y as it is", "x transposed", "constant", "vector"],
)
def test_what_the_kernels_leave_to_openvino(shapes: Any, options: dict[str, Any]) -> None:
    _, kinds = run(shapes, **options)
    assert "Reference" not in kinds
