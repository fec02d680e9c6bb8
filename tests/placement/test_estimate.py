"""Units and shares of the work. Oracle: the meaning of the settings, and sums made by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from etcoreml.placement import estimate
from tests.placement.placed import f16, function_of, place


def _build(mb: Any, x: Any) -> Any:
    return mb.relu(x=x), mb.tan(x=x), mb.sin(x=x)


@pytest.mark.parametrize(
    ("unit", "able", "unable", "unsure"),
    [
        ("all", ("NE", "GPU"), ("CPU", "GPU"), ("NE", "GPU", "CPU")),
        ("cpu_and_ne", ("NE",), ("CPU",), ("NE", "CPU")),
        ("cpu_and_gpu", ("GPU",), ("GPU",), ("GPU",)),
        ("cpu_only", ("CPU",), ("CPU",), ("CPU",)),
    ],
)
def test_preferred_units(unit: Any, able: Any, unable: Any, unsure: Any) -> None:
    found = place({"x": f16(4, 4)}, _build, compute_unit=unit)
    assert found["relu"].preferred == able
    assert found["tan"].preferred == unable
    assert found["sin"].preferred == unsure


@pytest.mark.parametrize(
    ("unit", "able", "unable"),
    [
        ("all", ("CPU", "GPU", "NE"), ("CPU", "GPU")),
        ("cpu_and_ne", ("CPU", "NE"), ("CPU",)),
        ("cpu_and_gpu", ("CPU", "GPU"), ("CPU", "GPU")),
        ("cpu_only", ("CPU",), ("CPU",)),
    ],
)
def test_supported_units(unit: Any, able: Any, unable: Any) -> None:
    found = place({"x": f16(4, 4)}, _build, compute_unit=unit)
    assert found["relu"].supported == able
    assert found["tan"].supported == unable


def test_constants_are_left_out_and_constant_expressions_have_no_device() -> None:
    def build(mb: Any, x: Any) -> Any:
        weight = mb.constexpr_blockwise_shift_scale(
            data=np.zeros((8, 16), np.int8), scale=np.ones((8, 1), np.float16)
        )
        return mb.linear(x=x, weight=weight)

    found = estimate(function_of({"x": f16(32, 16)}, build))
    assert [each.type for each in found] == ["constexpr_blockwise_shift_scale", "linear"]
    expression, linear = found
    assert (expression.verdict, expression.supported, expression.preferred) == (
        "no_device",
        (),
        (),
    )
    assert expression.work_share == 0
    assert linear.verdict == "capable"
    assert linear.work_share == 1


def test_work_is_the_larger_of_bytes_and_flops() -> None:
    def build(mb: Any, x: Any) -> Any:
        return mb.relu(x=mb.linear(x=x, weight=f16(64, 64)))

    flops, weights, moved = 2 * 64**3, 2 * 64 * 64, 2 * 2 * 64 * 64
    bias = 2 * 64
    work = [max(flops / 10, weights + moved + bias), moved]
    found = place({"x": f16(64, 64)}, build, flops_per_byte=10.0)
    assert found["linear"].work_share == pytest.approx(work[0] / sum(work))
    assert found["relu"].work_share == pytest.approx(work[1] / sum(work))
