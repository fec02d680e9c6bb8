"""MIL family ``linear`` against MIL's value inference, i.e. NumPy."""

from __future__ import annotations

import numpy as np

from tests.cases import Case, integers, normal, numbers_of

WHOLE = integers(-9, 9, 4, 5)
LARGE = integers(-(2**31), 2**31, 2, 3, 4, seed=5)
W, BIAS = normal(6, 4, seed=1) / 2, normal(6, seed=2)

CASES = (
    Case("linear", {"x": normal(3, 4)}, {"weight": W, "bias": BIAS}),
    Case("linear", {"x": normal(2, 3, 4)}, {"weight": W, "bias": BIAS}, why="rank 3"),
    Case("linear", {"x": normal(4)}, {"weight": W, "bias": BIAS}, why="rank 1"),
    Case("linear", {"x": normal(3, 4)}, {"weight": W}, why="no bias"),
    Case(
        "linear",
        {"x": normal(3, 4)},
        {"weight": WHOLE.T, "bias": np.arange(5, dtype=np.int32)},
        why="int32 weights",
        expect=lambda x, weight, bias: x @ weight.T + bias,
        opset="iOS17",
    ),
    Case("matmul", {"x": normal(3, 4), "y": normal(4, 5, seed=1)}),
    Case(
        "matmul",
        {"x": normal(3, 4)},
        {"y": WHOLE},
        why="int32 weights",
        expect=lambda x, y: x @ y,
        opset="iOS17",
    ),
    Case("matmul", {"x": LARGE, "y": LARGE[0].T}, why="int32", expect=lambda x, y: x @ y),
    Case(
        "matmul",
        {"x": LARGE, "y": LARGE[:1]},
        {"transpose_y": True},
        why="int32 transposed",
        expect=lambda x, y, transpose_y: x @ np.swapaxes(y, -1, -2),
        varies=False,
    ),
    Case(
        "linear",
        {"x": LARGE},
        {"weight": LARGE[1], "bias": LARGE[0, :, 0]},
        why="int32",
        expect=lambda x, weight, bias: x @ weight.T + bias,
        opset="iOS17",
    ),
    Case("matmul", {"x": normal(2, 3, 4), "y": normal(4, 5, seed=1)}, why="broadcast batch"),
    Case(
        "matmul",
        {"x": normal(5, 1, 4, 3), "y": normal(2, 5, 4, seed=1)},
        {"transpose_x": True, "transpose_y": True},
        why="transposed and broadcast",
        varies=False,
    ),
    Case(
        "einsum",
        {"values": (normal(2, 3, 4, 5), normal(2, 5, 4, 6, seed=1))},
        {"equation": "nchw,nwhu->nchu"},
        why="rank 4",
        varies=False,
    ),
    Case(
        "einsum",
        {"values": (normal(1, 3, 4, 5), normal(2, 5, 1, 6, seed=1))},
        {"equation": "nchw,nwhu->nchu"},
        why="broadcast",
        varies=False,
    ),
    Case(
        "einsum",
        {"values": (normal(3, 4, 5), normal(5, 4, 6, seed=1))},
        {"equation": "abc,cbd->abd"},
        why="rank 3",
        varies=False,
    ),
)

test_numbers = numbers_of(CASES)
