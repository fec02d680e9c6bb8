"""What keeps nan. Oracle: NumPy, which keeps it everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own spelling
from openvino import Output, Type
from openvino import opset15 as op

from etcoreml.engine import nans
from tests.cases import Case, check, normal

SIZES = (1, 7, 16, 100)
"""Fewer elements than a vector register holds, as many, and more."""


def _numbers(size: int) -> Any:
    """Numbers, infinities, and nan in every third place."""
    x = normal(size) * 9
    x[1::4], x[2::4] = np.inf, -np.inf
    x[::3] = np.nan
    return x


def _clamped_relu(x: Any, alpha: Any, beta: Any) -> Any:
    return np.minimum(np.where(x < 0, alpha * x, x), beta)


UNARY = (
    ("exp", {}, None),
    ("exp2", {}, None),
    ("relu", {}, None),
    ("relu6", {}, None),
    ("threshold", {"alpha": 0.5}, None),
    ("clip", {"alpha": -0.5, "beta": 2.0}, None),
    ("clip", {"alpha": -np.inf, "beta": 2.0}, None),
    ("clip", {"alpha": 2.0, "beta": -1.0}, None),
    ("clamped_relu", {"alpha": 0.25, "beta": 2.0}, _clamped_relu),
    ("sigmoid_hard", {"alpha": 0.25, "beta": 0.5}, None),
    ("thresholded_relu", {"alpha": 0.5}, lambda x, alpha: np.where(x < alpha, 0, x)),
    ("leaky_relu", {"alpha": 0.5}, None),
    ("elu", {"alpha": 0.5}, lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(x))),
    ("sigmoid", {}, None),
    ("tanh", {}, None),
)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("varies", [False, True])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("name", "params", "expect"), UNARY)
def test_elements(name: str, params: Any, expect: Any, size: int, varies: bool) -> None:
    check(Case(name, {"x": _numbers(size)}, params, expect=expect), varies=varies)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "name", ["maximum", "minimum", "greater", "less_equal", "add", "not_equal"]
)
def test_either_operand(name: str, size: int) -> None:
    x, y = _numbers(size), np.roll(_numbers(size), 1)
    check(Case(name, {"x": x, "y": y}))
    check(Case(name, {"x": x}, {"y": np.float32(0.5)}))
    check(Case(name, {"x": x[:1], "y": y}))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("place", range(5))
@pytest.mark.parametrize(
    "name", ["reduce_max", "reduce_min", "reduce_sum", "reduce_log_sum_exp", "reduce_l2_norm"]
)
def test_reductions(name: str, place: int) -> None:
    x = abs(normal(2, 5, 3))
    x[0, place, 1] = np.nan
    for axes in ([1], [0, 1, 2]):
        params = {"axes": np.array(axes, np.int32), "keep_dims": False}
        check(Case(name, {"x": x}, params))


@pytest.mark.parametrize("place", range(9))
def test_windows(place: int) -> None:
    x = normal(1, 2, 3, 3)
    x[0, 0, place // 3, place % 3] = np.nan
    params = {"kernel_sizes": np.array([2, 2], np.int32), "pad_type": "valid"}
    check(
        Case(
            "max_pool",
            {"x": x},
            params,
            expect=lambda x, **_: F.max_pool2d(torch.from_numpy(x), 2, 1).numpy(),
        )
    )


def _convolved() -> Output:
    x = op.parameter([1, 2, 4, 4], Type.f32)
    weight = op.constant(np.ones((2, 2, 1, 1), np.float32))
    return op.convolution(x, weight, [1, 1], [0, 0], [0, 0], [1, 1]).output(0)


def test_a_product_takes_in_the_limit_of_its_biased_sum() -> None:
    product = _convolved()
    residual = op.parameter([1, 2, 4, 4], Type.f32)
    total = op.add(residual, op.add(product, np.float32(3))).output(0)
    assert nans.takes_in(product)
    assert nans.takes_in(total)
    assert not nans.takes_in(residual.output(0))
    assert not nans.takes_in(op.tanh(product).output(0))
    assert nans.limited(total, 0, 6).get_node().get_type_name() == "Clamp"


def test_what_was_limited_with_a_product_has_no_nan() -> None:
    limited = nans.limited(_convolved(), 0, np.inf)
    assert nans.has_none(limited)
    assert nans.has_none(op.concat([limited, limited], 1).output(0))
    assert not nans.has_none(op.concat([limited, _convolved()], 1).output(0))
    assert not nans.has_none(op.sqrt(limited).output(0))
