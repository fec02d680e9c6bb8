"""MIL family ``random``.

The numbers come from OpenVINO's Philox generator: they have the distribution MIL defines, and are
not Core ML's numbers. A seed creates "a reproducible sequence of values across multiple invokes"
(coremltools): one that is not negative, zero included, gives a loaded model the same sequence in
every session and process and with any number of threads. Each call of the model gives the next
numbers of it, whichever request makes the call; two ops of one seed give the same numbers.

Source: coremltools 9.0 ``iOS15/random.py``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from openvino import Output, Type
from openvino import opset15 as op

from etcoreml.engine import graph
from etcoreml.engine.context import Context
from etcoreml.engine.registry import translates

_GLOBAL_SEED = 0xC0DE
"""OpenVINO reads a pair of zeros as "any seed": this one makes seed 0 a seed like any other."""


@translates("random_uniform", spec="iOS15.random_uniform")
def random_uniform(shape: Output, low: float = 0.0, high: float = 1.0, seed: int = -1) -> Any:
    """Return numbers uniform over ``[low, high)``, or ``low`` if that is empty.

    Args:
        shape: ``(K,)`` int32 sizes of the result.
        low: fp16 | fp32.
        high: Of the same dtype.
        seed: Negative for other numbers in each process.
    """
    if low == high:  # OpenVINO would make these the ends of its own range, and refuse it
        return op.broadcast(graph.floats(low), shape)
    unit = _unit(shape, seed)
    return op.add(op.multiply(unit, graph.floats(high - low)), graph.floats(low))


@translates("random_normal", spec="iOS15.random_normal")
def random_normal(shape: Output, mean: float = 0.0, stddev: float = 1.0, seed: int = -1) -> Any:
    """Return normally distributed numbers, by the method of Box and Muller.

    Args:
        shape: ``(K,)`` int32 sizes of the result.
        mean: fp16 | fp32.
        stddev: Of the same dtype.
        seed: Negative for other numbers in each process.
    """
    pair = _unit(graph.concat([graph.integers(2), graph.convert(shape, Type.i64)], 0), seed)
    first, second = (
        graph.squeeze(half, 0) for half in op.split(pair, graph.integer(0), 2).outputs()
    )
    # 1 - u lies in (0, 1], so that the logarithm is finite.
    logarithm = op.log(op.subtract(graph.floats(1), first))
    radius = op.sqrt(op.multiply(logarithm, graph.floats(-2)))
    wave = op.cos(op.multiply(second, graph.floats(2 * np.pi)))
    return op.add(op.multiply(op.multiply(radius, wave), graph.floats(stddev)), graph.floats(mean))


@translates("random_bernoulli", spec="iOS15.random_bernoulli")
def random_bernoulli(shape: Output, prob: float = 0.5, seed: int = -1) -> Any:
    """Return ones with probability ``prob`` and zeros otherwise.

    Args:
        shape: ``(K,)`` int32 sizes of the result.
        prob: fp16 | fp32.
        seed: Negative for other numbers in each process.
    """
    return op.convert(op.less(_unit(shape, seed), graph.floats(prob)), Type.f32)


@translates("random_categorical", spec="iOS15.random_categorical")
def random_categorical(
    x: Output, context: Context, mode: str = "logits", size: int = 1, seed: int = -1
) -> Any:
    """Draw class numbers, with replacement.

    A number drawn from ``[0, 1)`` falls into one class's share of the cumulated probabilities.

    Args:
        x: ``(*D, C)`` fp16 | fp32.
        context: The translation.
        mode: Whether ``x`` holds ``logits`` or ``probs``.
        size: How many numbers per distribution.
        seed: Negative for other numbers in each process.

    Returns:
        ``(*D, size)`` dtype of x.
    """
    context.one_of("mode", mode, ("logits", "probs"))
    last = graph.rank(x) - 1
    weights = graph.output(op.softmax(x, last)) if mode == "logits" else x
    cumulated = graph.output(op.cumsum(weights, graph.integer(last)))
    total = op.reduce_sum(weights, graph.integers(last), True)
    lead = [graph.size_of(x, axis) for axis in range(last)]
    unit = _unit(graph.concat([*lead, graph.integers(size)], 0), seed)
    drawn = graph.unsqueeze(op.multiply(unit, total).output(0), last + 1)
    # Rounding may leave a number above the last share, which therefore has no upper end.
    ends = op.slice(
        cumulated, graph.integers(0), graph.integers(-1), graph.integers(1), graph.integers(last)
    )
    passed = op.greater_equal(drawn, graph.unsqueeze(graph.output(ends), last))
    return op.reduce_sum(op.convert(passed, Type.f32), graph.integers(last + 1), False)


def _unit(shape: Output, seed: int) -> Output:
    """Return f32 numbers uniform over ``[0, 1)``."""
    seeds = (0, 0) if seed < 0 else (_GLOBAL_SEED, seed)
    sizes = graph.convert(shape, Type.i64)
    return graph.output(op.random_uniform(sizes, graph.floats(0), graph.floats(1), "f32", *seeds))
