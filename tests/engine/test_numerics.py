"""The numerics modes. Oracle: NumPy's own rounding to fp16, of every op family's results."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import etcoreml.engine.ops
from etcoreml.engine import compile_function
from etcoreml.engine.numerics import precision
from etcoreml.errors import OptionError
from tests.cases import Case, expected, mil_builder, mil_function, normal, run, to_program


def _compiled(build: Any, inputs: dict[str, Any], numerics: str) -> Any:
    program = to_program(mil_function(inputs, build, "iOS17"), "iOS17")
    return compile_function(program, threads=1, numerics=numerics)


def _bits(array: Any) -> Any:
    """The bits of fp16 numbers, all nans being one."""
    return np.where(np.isnan(array), np.float16(np.nan), array).view(np.uint16)


def _probes() -> Any:
    """Every fp16 number, the half-way points between them, what is next to those, and more."""
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    positive = np.sort(every[np.isfinite(every) & (every >= 0)].astype(np.float32))
    halves = (positive[1:] + positive[:-1]) / 2
    halves = np.concatenate([halves, -halves])
    edges = [65519.996, 65520, 65536, 1e10, 1e35, 3e38, -65520, -1e36, 1e-40, -1e-45, -0.0]
    return np.concatenate(
        [
            every.astype(np.float32),
            halves,
            np.nextafter(halves, np.float32(np.inf)),
            np.nextafter(halves, np.float32(-np.inf)),
            np.array(edges, np.float32),
            normal(4096) * 1e-6,
        ]
    )


def test_rounding_is_that_of_numpy() -> None:
    x = _probes()
    session = _compiled(
        lambda v: mil_builder().cast(x=mil_builder().cast(x=v, dtype="fp16"), dtype="fp32"),
        {"x": x},
        "faithful",
    )
    (found,) = session.run({"x": x}).values()
    with np.errstate(over="ignore"):
        truth = x.astype(np.float16)
    np.testing.assert_array_equal(_bits(found.astype(np.float16)), _bits(truth))
    np.testing.assert_array_equal(found, truth.astype(np.float32))


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
