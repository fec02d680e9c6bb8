"""What follows an operation is the same whether or not OpenVINO computes both in one kernel.

The oracle is NumPy, applied to what the engine returns for the first operation alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from etcoreml.engine import compile_function
from tests.cases import Array, mil_builder, mil_function, normal, to_program

SHAPES = {rank: (6, 5, 4, 3, 7)[:rank] for rank in range(2, 6)}
Build = Callable[[Any], Any]


def reduction(op: str, axes: tuple[int, ...], keep_dims: bool) -> Build:
    return lambda x: getattr(mil_builder(), op)(x=x, axes=axes, keep_dims=keep_dims)


def weights(*shape: int) -> Array:
    return normal(*shape, seed=1)


PRODUCERS: dict[str, tuple[int, Build]] = {
    **{
        f"{op} of rank {rank} over {axes} {'kept' if keep_dims else ''}": (
            rank,
            reduction(op, axes, keep_dims),
        )
        for op, ranks in (("reduce_sum", (2, 3, 4, 5)), ("reduce_mean", (3,)), ("reduce_max", (3,)))
        for rank in ranks
        for axes in (*((axis,) for axis in range(rank)), *((0, axis) for axis in range(2, rank)))
        for keep_dims in (False, True)
    },
    "reduce_l2_norm": (3, reduction("reduce_l2_norm", (2,), False)),
    "reduce_log_sum_exp": (3, reduction("reduce_log_sum_exp", (2,), False)),
    **{
        f"softmax of rank {rank}": (rank, lambda x: mil_builder().softmax(x=x, axis=-1))
        for rank in (2, 3, 4)
    },
    **{
        f"layer_norm of rank {rank}": (rank, lambda x: mil_builder().layer_norm(x=x, axes=[-1]))
        for rank in (2, 3, 4, 5)
    },
    "instance_norm of rank 3": (3, lambda x: mil_builder().instance_norm(x=x)),
    "instance_norm of rank 4": (4, lambda x: mil_builder().instance_norm(x=x)),
    "l2_norm": (4, lambda x: mil_builder().l2_norm(x=x)),
    **{
        f"matmul of rank {rank}": (
            rank,
            lambda x, rank=rank: mil_builder().matmul(x=x, y=weights(SHAPES[rank][-1], 8)),
        )
        for rank in (2, 3, 4)
    },
    "linear of rank 3": (3, lambda x: mil_builder().linear(x=x, weight=weights(8, 4))),
    "conv of rank 3": (3, lambda x: mil_builder().conv(x=x, weight=weights(8, 5, 2))),
    "conv of rank 4": (4, lambda x: mil_builder().conv(x=x, weight=weights(8, 5, 2, 2))),
    "conv of rank 5": (5, lambda x: mil_builder().conv(x=x, weight=weights(8, 5, 2, 2, 2))),
    "conv_transpose of rank 3": (
        3,
        lambda x: mil_builder().conv_transpose(x=x, weight=weights(5, 8, 2)),
    ),
    "conv_transpose of rank 4": (
        4,
        lambda x: mil_builder().conv_transpose(x=x, weight=weights(5, 8, 2, 2)),
    ),
    "avg_pool of rank 3": (
        3,
        lambda x: mil_builder().avg_pool(x=x, kernel_sizes=[2], pad_type="valid"),
    ),
    "avg_pool of rank 4": (
        4,
        lambda x: mil_builder().avg_pool(x=x, kernel_sizes=[2, 2], pad_type="valid"),
    ),
    "upsample_bilinear": (
        4,
        lambda x: mil_builder().upsample_bilinear(
            x=x, scale_factor_height=2.0, scale_factor_width=2.0
        ),
    ),
    "upsample_nearest_neighbor": (
        4,
        lambda x: mil_builder().upsample_nearest_neighbor(
            x=x, scale_factor_height=2.0, scale_factor_width=2.0
        ),
    ),
    "transpose": (3, lambda x: mil_builder().transpose(x=x, perm=[2, 0, 1])),
    "concat": (3, lambda x: mil_builder().concat(values=[x, x], axis=1)),
    "add": (3, lambda x: mil_builder().add(x=x, y=weights(1, 5, 1))),
}


def computed(x: Array, build: Build) -> Array:
    """Run a function of one input on the engine."""
    program = to_program(mil_function({"x": x}, build, "iOS15"), "iOS15")
    session = compile_function(program, compute_unit="cpu_only", threads=1)
    (found,) = session.run({"x": x}).values()
    return np.array(found)


def followed(build: Build, scale: Array, shift: Array | None) -> Build:
    """Return a function that multiplies what another one builds, and may add to it."""

    def chain(x: Any) -> Any:
        scaled = mil_builder().mul(x=build(x), y=scale)
        return scaled if shift is None else mil_builder().add(x=scaled, y=shift)

    return chain


@pytest.mark.parametrize("name", PRODUCERS)
def test_a_constant_for_each_place_of_an_axis(name: str) -> None:
    rank, build = PRODUCERS[name]
    x = normal(*SHAPES[rank])
    alone = computed(x, build)
    for axis in range(alone.ndim):
        shape = [1] * alone.ndim
        shape[axis] = alone.shape[axis]
        scale, shift = weights(*shape) + 2, weights(*shape)
        for add in (None, shift):
            found = computed(x, followed(build, scale, add))
            expected = alone * scale + (0 if add is None else add)
            where = f"axis {axis}"
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4, err_msg=where)
