"""MIL family ``activation`` against MIL's value inference (NumPy where MIL has none)."""

from __future__ import annotations

import numpy as np

from tests.cases import Case, normal, numbers_of, uniform

X = normal(2, 3, 4, 5) * 3
EDGES = np.array([0.0, -0.0, 1e-7, -1e-7, 8.0, -8.0, 60.0, -60.0], np.float32)
SLOPES = np.array([0.1, -0.5, 2.0], np.float32)


def _silu(x: np.ndarray) -> np.ndarray:
    return x / (1 + np.exp(-x))


CASES = (
    *(
        Case(op, {"x": x}, why=why)
        for op in ("relu", "relu6", "sigmoid", "softplus", "softsign")
        for why, x in (("plain", X), ("edges", EDGES), ("rank 0", np.float32(1.5)))
    ),
    Case("silu", {"x": X}, expect=_silu),
    Case("clamped_relu", {"x": X}, {"alpha": 0.2, "beta": 1.5}),
    Case("elu", {"x": X}, {"alpha": 0.7}),
    Case("gelu", {"x": X}, {"mode": "EXACT"}, why="exact"),
    Case("gelu", {"x": X}, why="the default mode"),
    Case("gelu", {"x": X}, {"mode": "TANH_APPROXIMATION"}, why="tanh"),
    Case("gelu", {"x": X}, {"mode": "SIGMOID_APPROXIMATION"}, why="sigmoid"),
    Case("leaky_relu", {"x": X}, {"alpha": 0.1}),
    Case("linear_activation", {"x": X}, {"alpha": 2.0, "beta": -1.0}),
    Case("prelu", {"x": X}, {"alpha": SLOPES}, why="rank 4", varies=False),
    Case(
        "prelu",
        {"x": normal(2, 3, 3)},
        {"alpha": np.full(3, 0.3, np.float32)},
        why="rank 3",
        varies=False,
    ),
    Case("scaled_tanh", {"x": X}, {"alpha": 1.2, "beta": 0.4}),
    Case("sigmoid_hard", {"x": X}, {"alpha": 0.2, "beta": 0.5}),
    Case("softmax", {"x": X}, why="the default axis"),
    Case("softmax", {"x": X}, {"axis": 1}, why="axis 1"),
    Case("softmax", {"x": X * 100}, {"axis": -2}, why="large values"),
    Case("softplus_parametric", {"x": X}, {"alpha": SLOPES, "beta": np.abs(SLOPES)}, varies=False),
    Case("thresholded_relu", {"x": uniform(-2, 2, 4, 5)}, {"alpha": 0.5}),
)


test_numbers = numbers_of(CASES)
