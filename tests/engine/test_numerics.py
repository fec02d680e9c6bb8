"""The numerics modes. Oracle: NumPy's own rounding to fp16, of every op family's results."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import etcoreml.engine.ops
from etcoreml.engine import compile as compile_module
from etcoreml.engine import compile_function
from etcoreml.engine.numerics import precision
from etcoreml.errors import OptionError
from tests.cases import Case, expected, mil_builder, mil_function, normal, rng, run, to_program


def _compiled(build: Any, inputs: dict[str, Any], numerics: str, varies: bool = False) -> Any:
    program = to_program(mil_function(inputs, build, "iOS17", varies), "iOS17")
    return compile_function(program, threads=1, numerics=numerics)


def _bits(array: Any) -> Any:
    """The bits of fp16 numbers, all nans being one."""
    return np.where(np.isnan(array), np.float16(np.nan), array).view(np.uint16)


def _probes() -> Any:
    """Every fp16 number, the half-way points between them, what is next to both, and more."""
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16).astype(np.float32)
    finite = np.sort(every[np.isfinite(every)])
    # The last ones are half-way to what would be the next power of two.
    halves = np.concatenate([(finite[1:] + finite[:-1]) / 2, np.float32([65520, -65520])])
    points = np.concatenate([finite, halves])
    edges = [65536, 1e10, 1e35, 3.4028235e38, 1e-40, 1e-45, 0.0]
    return np.concatenate(
        [
            every,
            points,
            np.nextafter(points, np.float32(np.inf)),
            np.nextafter(points, np.float32(-np.inf)),
            np.array(edges, np.float32),
            -np.array(edges, np.float32),
            rng().integers(0, 1 << 32, 1 << 18, dtype=np.uint32).view(np.float32),
        ]
    )


PROBES = _probes()
with np.errstate(over="ignore", invalid="ignore"):
    ROUNDED = PROBES.astype(np.float16)


@pytest.mark.parametrize("varies", [False, True])
def test_rounding_is_that_of_numpy(varies: bool) -> None:
    session = _compiled(
        lambda v: mil_builder().cast(x=mil_builder().cast(x=v, dtype="fp16"), dtype="fp32"),
        {"x": PROBES},
        "faithful",
        varies,
    )
    (found,) = session.run({"x": PROBES}).values()
    np.testing.assert_array_equal(_bits(found.astype(np.float16)), _bits(ROUNDED))
    np.testing.assert_array_equal(found, ROUNDED.astype(np.float32))


@pytest.mark.parametrize("uses_kernels", [True, False])
@pytest.mark.parametrize(
    ("op_type", "low", "high"),
    [
        ("relu", 0, np.inf),
        ("relu6", 0, 6),
        ("threshold", -0.5, np.inf),
        ("threshold", 6e-8, np.inf),
        *(
            ("clip", low, high)
            for low, high in [
                (-1, 2),
                (0, 6),
                (-0.0, 6),
                (0.1, 0.7),
                (-2, -1),
                (3e-5, 7e-5),
                (0, 6e-8),
                (0, 65504),
                (-65504, 65504),
                (-np.inf, 3),
                (0.25, np.inf),
                (-np.inf, np.inf),
            ]
        ),
    ],
)
def test_limits_of_what_was_rounded(
    monkeypatch: Any, op_type: str, low: float, high: float, uses_kernels: bool
) -> None:
    """Nan stays; a maximum of two zeros may be either. Other kernels than x86's drop no nan."""
    if not uses_kernels:
        monkeypatch.setattr(compile_module, "_uses_kernels", lambda *_: False)
    low, high = (np.float16(limit) for limit in (low, high))
    params = {"threshold": {"alpha": low}, "clip": {"alpha": low, "beta": high}}.get(op_type, {})
    x = np.pad(PROBES, (0, -PROBES.size % 8)).reshape(-1, 2, 4)

    def build(x: Any) -> Any:
        mil = mil_builder()
        y = getattr(mil, op_type)(x=mil.cast(x=x, dtype="fp16"), **params)
        return mil.cast(x=y, dtype="fp32")

    for varies in (False, True):
        (found,) = _compiled(build, {"x": x}, "faithful", varies).run({"x": x}).values()
        with np.errstate(over="ignore", invalid="ignore"):
            truth = np.minimum(np.maximum(x.astype(np.float16), low), high).astype(np.float32)
        np.testing.assert_array_equal(found, truth)


@pytest.mark.parametrize("shape", [(), (0,), (1,), (3,), (1, 7), (2, 3, 5), (1, 2, 1, 3, 2)])
def test_limits_of_shapes(shape: tuple[int, ...]) -> None:
    x = np.full(shape, np.nan, np.float32)
    x.ravel()[1:] = normal(max(0, x.size - 1))

    def build(x: Any) -> Any:
        mil = mil_builder()
        y = mil.cast(x=x, dtype="fp16")
        return tuple(mil.cast(x=each, dtype="fp32") for each in (mil.relu(x=y), mil.relu6(x=y)))

    for found in _compiled(build, {"x": x}, "faithful").run({"x": x}).values():
        truth = np.maximum(x.astype(np.float16).astype(np.float32), 0)
        np.testing.assert_array_equal(found, truth)


def test_what_is_limited_and_used_otherwise_is_rounded() -> None:
    """Also where the limit is in an inner block, to which the value is handed over."""
    x = PROBES[:1000]

    def build(x: Any, is_first: Any) -> Any:
        mil = mil_builder()
        y = mil.cast(x=x, dtype="fp16")
        inner = mil.cond(
            pred=is_first, _true_fn=lambda: mil.relu(x=y), _false_fn=lambda: mil.relu6(x=y)
        )
        return tuple(mil.cast(x=each, dtype="fp32") for each in (y, mil.relu(x=y), inner))

    for is_first in (False, True):
        inputs = {"x": x, "is_first": np.array(is_first)}
        found = list(_compiled(build, inputs, "faithful").run(inputs).values())
        y = x.astype(np.float16).astype(np.float32)
        relu = np.maximum(y, 0)
        for value, truth in zip(
            found, (y, relu, relu if is_first else np.minimum(relu, 6)), strict=True
        ):
            np.testing.assert_array_equal(value, truth)


@pytest.mark.parametrize("op_type", ["identity", "relu", "relu6"])
@pytest.mark.parametrize("product", ["conv", "matmul"])
def test_weights_after_a_rounded_value_stay_as_they_are(product: str, op_type: str) -> None:
    """OpenVINO multiplies weights by factors of the input, and f32 flushes what is too small.

    Whole multiples of fp16's smallest number times ones: the sums are exact.
    """
    weight = (rng(1).integers(-64, 65, (8, 3)) * 2.0**-24).astype(np.float16)
    x = np.ones((1, 3, 4), np.float32)

    def build(x: Any) -> Any:
        mil = mil_builder()
        y = getattr(mil, op_type)(x=mil.cast(x=x, dtype="fp16"))
        if product == "conv":
            y = mil.conv(x=y, weight=weight[:, :, None])
        else:
            y = mil.matmul(x=weight, y=y)
        return mil.cast(x=y, dtype="fp32")

    (found,) = _compiled(build, {"x": x}, "faithful").run({"x": x}).values()
    sums = weight.astype(np.float32).sum(1, keepdims=True)
    np.testing.assert_array_equal(found[0], np.broadcast_to(sums, (8, 4)))


def test_each_value_of_a_chain_is_rounded() -> None:
    """1 + 2^-11 is 1 in fp16; a sum past 65504 is infinite even if less is added back later."""
    x = np.array([1, 60000, 3, 2**-24], np.float16)
    y = np.array([2**-11, 20000, 2, 2**-24], np.float16)

    def build(x: Any, y: Any) -> Any:
        mil = mil_builder()
        total = mil.add(x=x, y=y)
        return mil.sub(x=total, y=y), mil.mul(x=total, y=np.float16(0.5))

    session = _compiled(build, {"x": x, "y": y}, "faithful")
    difference, half = session.run({"x": x, "y": y}).values()
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(_bits(difference), _bits((x + y) - y))
        np.testing.assert_array_equal(_bits(half), _bits((x + y) * np.float16(0.5)))
    # The test can fail: f32 arithmetic gives another answer.
    other = next(iter(_compiled(build, {"x": x, "y": y}, "fast").run({"x": x, "y": y}).values()))
    assert (_bits(other) != _bits(difference)).any()


def test_fp32_programs_are_not_rounded() -> None:
    x = normal(64)
    session = _compiled(lambda v: mil_builder().mul(x=v, y=v), {"x": x}, "faithful")
    (found,) = session.run({"x": x}).values()
    np.testing.assert_array_equal(found, x * x)


def _fp16_cases() -> Iterator[Any]:
    for module in pkgutil.iter_modules(etcoreml.engine.ops.__path__):
        family = importlib.import_module(f"tests.engine.ops.test_{module.name}")
        for case in getattr(family, "NUMBERS", family.CASES):
            if case.fp16 and case.has_floats and case.inputs:
                yield pytest.param(case, id=f"{module.name}-{case}")


@pytest.mark.parametrize("case", list(_fp16_cases()))
def test_results_are_rounded_bit_for_bit(case: Case) -> None:
    """What NumPy rounds the oracle's f32 result to; both neighbours if that is a tie or nearly."""
    found, session = run(case, np.float16, numerics="faithful")
    for port, value, truth in zip(session.outputs, found, expected(case, np.float16), strict=True):
        if port.dtype.name != "fp16":
            continue
        exact = np.asarray(truth, np.float64)
        slack = case.tolerance * (1 + np.abs(exact))
        with np.errstate(over="ignore", invalid="ignore"):
            low, high = (exact - slack).astype(np.float16), (exact + slack).astype(np.float16)
        same = (value == exact) | (np.isnan(value) & np.isnan(exact))
        inside = same | (low <= value) & (value <= high)
        assert inside.all(), (value[~inside], exact[~inside])


def test_turbo_is_bf16_where_the_cpu_has_it() -> None:
    assert precision("turbo", ["FP32", "BF16"]) == "bf16"
    assert precision("turbo", ["FP32", "INT8"]) == "f32"
    assert precision("fast", ["FP32", "BF16"]) == "f32"
    assert precision("faithful", ["FP32", "BF16"]) == "f32"


def test_turbo_runs() -> None:
    """bf16 has 8 bits: relative error below 2^-8 per factor, and random signs over the sum."""
    x, weight = normal(4, 256), normal(32, 256, seed=1)
    session = _compiled(lambda v: mil_builder().linear(x=v, weight=weight), {"x": x}, "turbo")
    (found,) = session.run({"x": x}).values()
    np.testing.assert_allclose(found, x @ weight.T, atol=2**-7 * np.sqrt(256) * 4)


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(OptionError, match="'exact' does not exist"):
        _compiled(lambda v: mil_builder().relu(x=v), {"x": normal(2)}, "exact")
