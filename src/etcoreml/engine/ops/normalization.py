"""MIL family ``normalization``.

Source: coremltools 9.0 ``iOS15/normalization.py``, ``iOS17/normalization.py``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from openvino import Output
from openvino import opset15 as op

from etcoreml.engine import graph
from etcoreml.engine.ops.activation import per_channel
from etcoreml.engine.registry import translates
from etcoreml.mil.program import Array


@translates("batch_norm", spec="iOS15.batch_norm, iOS17.batch_norm")
def batch_norm(
    x: Output,
    mean: Array,
    variance: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    epsilon: float = 1e-5,
) -> Any:
    """Return ``gamma * (x - mean) / sqrt(variance + epsilon) + beta`` per channel.

    Args:
        x: ``(n, C, *D)`` fp16 | fp32.
        mean: ``(C,)``.
        variance: ``(C,)``.
        gamma: ``(C,)``; ones if absent.
        beta: ``(C,)``; zeros if absent.
        epsilon: Added to the variance.
    """
    # Folded in f64: one multiplication and one addition remain, which fuse into a convolution.
    scale = 1.0 / np.sqrt(np.asarray(variance, np.float64) + epsilon)
    scale = scale if gamma is None else scale * np.asarray(gamma, np.float64)
    shift = -np.asarray(mean, np.float64) * scale
    shift = shift if beta is None else shift + np.asarray(beta, np.float64)
    rank = graph.rank(x)
    scaled = op.multiply(x, graph.floats(per_channel(scale, rank)))
    return op.add(scaled, graph.floats(per_channel(shift, rank)))


@translates("instance_norm", spec="iOS15.instance_norm, iOS17.instance_norm")
def instance_norm(
    x: Output, gamma: Array | None = None, beta: Array | None = None, epsilon: float = 1e-5
) -> Any:
    """Normalise each channel of each sample over its spatial dimensions.

    Args:
        x: ``(n, C, *D)`` fp16 | fp32.
        gamma: ``(C,)``; ones if absent.
        beta: ``(C,)``; zeros if absent.
        epsilon: Added to the variance.
    """
    rank = graph.rank(x)
    y = _standardise(x, range(2, rank), epsilon)
    if gamma is not None:
        y = op.multiply(y, graph.floats(per_channel(gamma, rank)))
    return y if beta is None else op.add(y, graph.floats(per_channel(beta, rank)))


@translates("layer_norm", spec="iOS15.layer_norm, iOS17.layer_norm")
def layer_norm(
    x: Output,
    axes: tuple[int, ...] | None = None,
    gamma: Array | None = None,
    beta: Array | None = None,
    epsilon: float = 1e-5,
) -> Any:
    """Normalise over ``axes`` and apply an affine map of the shape of those dimensions.

    Args:
        x: ``(*)`` fp16 | fp32.
        axes: Dimensions to normalise over; all if absent.
        gamma: ``x.shape[axes]``; ones if absent.
        beta: ``x.shape[axes]``; zeros if absent.
        epsilon: Added to the variance.
    """
    rank = graph.rank(x)
    over = sorted(graph.axes_of(range(rank) if axes is None else axes, rank))
    y = _standardise(x, over, epsilon)
    if gamma is not None:
        y = op.multiply(y, graph.floats(_along(gamma, over, rank)))
    return y if beta is None else op.add(y, graph.floats(_along(beta, over, rank)))


@translates("l2_norm", spec="iOS15.l2_norm, iOS17.l2_norm")
def l2_norm(x: Output, epsilon: float = 1e-6) -> Any:
    """Divide by the root of the sum of squares over the last three dimensions, plus epsilon."""
    rank = graph.rank(x)
    total = op.reduce_sum(op.multiply(x, x), graph.integers(*range(rank - 3, rank)), True)
    return op.divide(x, op.sqrt(op.add(total, graph.scalar_like(x, epsilon))))


@translates("local_response_norm", spec="iOS15.local_response_norm, iOS17.local_response_norm")
def local_response_norm(
    x: Output, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Any:
    """Divide by ``(k + alpha / size * sum of squares of `size` neighbouring channels) ** beta``.

    Of an even number, one more is before the channel than after it, as torch has it.
    """
    if size % 2:
        return op.lrn(x, graph.integers(1), alpha=alpha, beta=beta, bias=k, size=size)
    # The kernel takes one channel less.
    lead = graph.concat([graph.size_of(x, 0), graph.integers(1), graph.size_of(x, 1)], 0)
    rows = graph.reshape(op.multiply(x, x).output(0), graph.concat([lead, graph.integers(-1)], 0))
    before, after = [size // 2, 0], [size // 2 - 1, 0]
    means = op.avg_pool(rows, [1, 1], before, after, [size, 1], False, "floor", "explicit")
    mean = graph.reshape(graph.output(means), graph.shape_of(x))
    base = op.add(op.multiply(mean, graph.floats(alpha)), graph.floats(k))
    return op.divide(x, op.power(base, graph.floats(beta)))


def _standardise(x: Output, axes: Any, epsilon: float) -> Any:
    return op.mvn(x, graph.integers(*axes), True, epsilon, "inside_sqrt")


def _along(values: Array, axes: list[int], rank: int) -> Array:
    """Reshape an array over ``axes`` (ascending) so that it broadcasts against the whole tensor."""
    shape = [1] * rank
    for axis, size in zip(axes, values.shape, strict=True):
        shape[axis] = size
    return np.reshape(values, shape)
