"""MIL family ``normalization`` against torch, or MIL's value inference where it has one."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own spelling

from tests.cases import Case, normal, numbers_of, uniform

MEAN, VARIANCE = normal(3, seed=1), uniform(0.5, 2, 3, seed=2)
GAMMA, BETA = uniform(0.5, 2, 3, seed=3), normal(3, seed=4)


def _tensor(value: Any) -> Any:
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value


def _batch_norm(
    x: Any, mean: Any, variance: Any, gamma: Any = None, beta: Any = None, epsilon: float = 1e-5
) -> Any:
    parts = [_tensor(v) for v in (x, mean, variance, gamma, beta)]
    return F.batch_norm(*parts, eps=float(epsilon)).numpy()


def _instance_norm(x: Any, gamma: Any = None, beta: Any = None, epsilon: float = 1e-5) -> Any:
    weight, bias = _tensor(gamma), _tensor(beta)
    return F.instance_norm(_tensor(x), weight=weight, bias=bias, eps=float(epsilon)).numpy()


def _lrn(x: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Any:
    return F.local_response_norm(_tensor(x), int(size), float(alpha), float(beta), float(k)).numpy()


STATISTICS = {"mean": MEAN, "variance": VARIANCE}
AFFINE = {"gamma": GAMMA, "beta": BETA}
AXES = np.array([1, 2], np.int32)

CASES = (
    *(
        Case("batch_norm", {"x": x}, {**STATISTICS, **AFFINE}, expect=_batch_norm, why=why)
        for x, why in (
            (normal(2, 3, 4), "rank 3"),
            (normal(2, 3, 4, 5), "rank 4"),
            (normal(2, 3, 2, 2, 2), "rank 5"),
        )
    ),
    Case(
        "batch_norm",
        {"x": normal(2, 3, 4, 5)},
        {**STATISTICS, "epsilon": 0.1},
        expect=_batch_norm,
        why="no affine map",
    ),
    *(
        Case("instance_norm", {"x": x}, {**AFFINE, "epsilon": 1e-3}, expect=_instance_norm, why=why)
        for x, why in ((normal(2, 3, 8), "rank 3"), (normal(2, 3, 4, 5) + 3, "rank 4"))
    ),
    Case("instance_norm", {"x": normal(2, 3, 4, 5)}, expect=_instance_norm, why="no affine map"),
    Case(
        "layer_norm", {"x": normal(2, 3, 4)}, {"axes": np.arange(3, dtype=np.int32)}, why="all axes"
    ),
    Case(
        "layer_norm",
        {"x": normal(2, 4, 3) + 5},
        {"axes": np.array([-1], np.int32), **AFFINE, "epsilon": 1e-3},
        tolerance=1e-4,
        why="last axis",
        fp16=False,
    ),
    Case(
        "layer_norm",
        {"x": normal(2, 3, 4, 5)},
        {"axes": AXES, "gamma": uniform(0.5, 2, 3, 4), "beta": normal(3, 4), "epsilon": 1e-5},
        why="inner axes",
    ),
    Case("l2_norm", {"x": normal(3, 4, 5)}, {"epsilon": 1e-6}, why="rank 3"),
    Case("l2_norm", {"x": normal(2, 3, 4, 5)}, {"epsilon": 0.1}, why="rank 4", varies=False),
    Case(
        "local_response_norm", {"x": normal(2, 6, 4, 5)}, {"size": 3}, expect=_lrn, why="defaults"
    ),
    Case(
        "local_response_norm",
        {"x": normal(2, 6, 4)},
        {"size": 5, "alpha": 0.5, "beta": 0.6, "k": 2.0},
        expect=_lrn,
        why="rank 3",
    ),
    *(
        Case(
            "local_response_norm",
            {"x": normal(*shape)},
            {"size": size, "alpha": 0.5},
            expect=_lrn,
            why=f"{size} channels of rank {len(shape)}",
        )
        for shape, size in (((2, 6, 4, 5), 2), ((2, 6, 4), 4))
    ),
)

test_numbers = numbers_of(CASES)
