"""Converters of ops whose translation in coremltools 9.0 gives wrong numbers, or is missing.

They go straight to MIL where a decomposition (``compiler.decompositions``) would need an op that
is wrong itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from etcoreml.mil.ct import coremltools

_mil = coremltools().converters.mil.mil
_mb = _mil.Builder
_types = _mil.types
_get_inputs = coremltools().converters.mil.frontend.torch.ops._get_inputs


def _value(var: Any) -> Any:
    """Return the constant an input holds, or None."""
    return None if var is None else var.val


def _one_like(x: Any) -> Any:
    return _types.nptype_from_builtin(x.dtype)(1)


def reciprocal(context: Any, node: Any) -> None:
    """Divide 1 by x: MIL's ``inverse`` adds 1e-4 to it."""
    (x,) = _get_inputs(context, node, expected=1)
    context.add(_mb.real_div(x=_one_like(x), y=x, name=node.name))


def rsqrt(context: Any, node: Any) -> None:
    """Divide 1 by the root: MIL's ``rsqrt`` adds 1e-12 to x."""
    (x,) = _get_inputs(context, node, expected=1)
    context.add(_mb.real_div(x=_one_like(x), y=_mb.sqrt(x=x), name=node.name))


def gelu(context: Any, node: Any) -> None:
    """Convert gelu with its keyword: coremltools ignores ``approximate`` where it is a keyword."""
    x = _get_inputs(context, node)[0]
    given = [each for each in (*node.inputs[1:], *_keyword(node, "approximate")) if each]
    mode = "TANH_APPROXIMATION" if given == ["tanh"] else "EXACT"
    context.add(_mb.gelu(x=x, mode=mode, name=node.name))


def _keyword(node: Any, name: str) -> tuple[Any, ...]:
    return tuple((node.kwinputs or {}).get(name, ()))


def atan2(context: Any, node: Any) -> None:
    """Compute the angle of (x, y), with IEEE's signs of zeros and of infinities."""
    y, x = _get_inputs(context, node, expected=2)
    one = _one_like(x)
    infinite_x = _mb.equal(x=_mb.abs(x=x), y=one * np.inf)
    infinite_y = _mb.equal(x=_mb.abs(x=y), y=one * np.inf)
    # The ratio of two infinities is that of ones.
    both = _mb.logical_and(x=infinite_x, y=infinite_y)
    ones = _mb.real_div(x=_mb.sign(x=y), y=_mb.sign(x=x))
    ratio = _mb.select(cond=both, a=ones, b=_mb.real_div(x=y, y=x))
    still = _mb.logical_and(x=_mb.equal(x=y, y=one * 0), y=_mb.equal(x=x, y=one * 0))
    angle = _mb.atan(x=_mb.select(cond=still, a=_mb.mul(x=y, y=one * 0), b=ratio))
    sign = _mb.cast(x=_negative(y, one), dtype=_types.builtin_to_string(y.dtype))
    half_turn = _mb.sub(
        x=one * type(one)(math.pi), y=_mb.mul(x=sign, y=one * type(one)(2 * math.pi))
    )
    turned = _mb.add(x=angle, y=half_turn)
    # 0 / -0 and 0 / 0: the zero has y's sign already
    turned = _mb.select(cond=still, a=half_turn, b=turned)
    angle = _mb.select(cond=still, a=y, b=angle)
    context.add(_mb.select(cond=_negative(x, one), a=turned, b=angle, name=node.name))


def _negative(x: Any, one: Any) -> Any:
    """Whether x carries a minus, as negative zeros do."""
    zero = _mb.equal(x=x, y=one * 0)
    below = _mb.less(x=_mb.real_div(x=one, y=x), y=one * 0)
    return _mb.logical_or(x=_mb.less(x=x, y=one * 0), y=_mb.logical_and(x=zero, y=below))


def clamp(context: Any, node: Any) -> None:
    """Bound on one side by a maximum or minimum: coremltools bounds the other side by 3.4e38."""
    inputs = [*_get_inputs(context, node), None, None]
    low, high = (
        bound if bound is not None else _given(context, node, name)
        for bound, name in zip(inputs[1:3], ("min", "max"), strict=True)
    )
    if (low is None) == (high is None):
        _clamp(context, node)
        return
    x, bound, op = inputs[0], low, _mb.maximum
    if low is None:
        bound, op = high, _mb.minimum
    x, bound = _promote([x, bound])
    context.add(op(x=x, y=bound, name=node.name))


def _given(context: Any, node: Any, name: str) -> Any:
    given = _keyword(node, name)
    return context[given[0]] if given and isinstance(given[0], str) else (given or (None,))[0]


_clamp = coremltools().converters.mil.frontend.torch.ops.clamp
_promote = coremltools().converters.mil.frontend.torch.ops.promote_input_dtypes


def div(context: Any, node: Any) -> None:
    """Divide integers with rounding as integers: coremltools' fp32 becomes fp16 in most models."""
    x, y, *rest = _get_inputs(context, node)
    given = _keyword(node, "rounding_mode")
    mode = given[0] if given else _value(rest[0] if rest else None)
    if mode is None or not _are_integers(x, y):
        _div(context, node)
        return
    x, y = _promote([x, y])
    down = _mb.floor_div(x=x, y=y)
    if mode == "trunc":
        left_over = _mb.not_equal(x=_mb.mul(x=down, y=y), y=x)
        is_negative = _mb.logical_xor(x=_mb.less(x=x, y=0), y=_mb.less(x=y, y=0))
        too_low = _mb.logical_and(x=left_over, y=is_negative)
        down = _mb.add(x=down, y=_mb.cast(x=too_low, dtype="int32"))
    context.add(_mb.identity(x=down, name=node.name))


def floor_divide(context: Any, node: Any) -> None:
    """Divide integers as integers, like ``div``."""
    x, y = _get_inputs(context, node, expected=2)
    if not _are_integers(x, y):
        _floor_divide(context, node)
        return
    x, y = _promote([x, y])
    context.add(_mb.floor_div(x=x, y=y, name=node.name))


def _are_integers(*values: Any) -> bool:
    return all(_types.is_int(each.dtype) for each in values)


_div = coremltools().converters.mil.frontend.torch.ops.div
_floor_divide = coremltools().converters.mil.frontend.torch.ops.floor_divide


def prod(context: Any, node: Any) -> None:
    """Multiply over one dimension or all."""
    inputs = _get_inputs(context, node)
    x, axis = inputs[0], _value(inputs[1]) if len(inputs) > 1 else None
    keep = bool(_value(inputs[2])) if len(inputs) > 2 else False
    if x.dtype == _types.bool:
        x = _mb.cast(x=x, dtype="int32")
    axes = None if axis is None else [int(axis)]
    context.add(_mb.reduce_prod(x=x, axes=axes, keep_dims=keep, name=node.name))


def rand(context: Any, node: Any) -> None:
    """Draw uniform numbers; MIL's seed of -1 draws others each time."""
    size = _get_inputs(context, node)[0]
    shape = size.val if not isinstance(size, list) else [int(each.val) for each in size]
    dtype = _keyword(node, "dtype")
    drawn = _mb.random_uniform(shape=np.asarray(shape, np.int32), low=0.0, high=1.0, name=node.name)
    if dtype and dtype[0] == _HALF:
        drawn = _mb.cast(x=drawn, dtype="fp16", name=node.name)
    context.add(drawn, node.name)


_HALF = 5
"""torch.float16, in coremltools' numbers for dtypes."""

_REDUCE_MODES = {"sum": "add", "prod": "mul", "amax": "max", "amin": "min"}


def scatter_reduce(context: Any, node: Any) -> None:
    """Convert scatter_reduce with the elements that are there already.

    Raises:
        ValueError: The reduction or its start is not MIL's.
    """
    inputs = _get_inputs(context, node)
    x, axis, indices, updates = inputs[:4]
    reduce = node.inputs[4]
    include = (*node.inputs[5:6], *_keyword(node, "include_self"))
    if reduce not in _REDUCE_MODES or False in include:
        what = f"{node.name}: MIL does not scatter by {reduce} without what is there"
        raise ValueError(what)
    context.add(
        _mb.scatter_along_axis(
            data=x,
            indices=indices,
            updates=updates,
            axis=int(axis.val),
            mode=_REDUCE_MODES[reduce],
            name=node.name,
        )
    )


def triangle(lower: bool) -> Callable[[Any, Any], None]:
    """Return the converter of tril or triu: a selection, so that infinities stay outside."""

    def convert(context: Any, node: Any) -> None:
        inputs = _get_inputs(context, node)
        x = inputs[0]
        shift = int(_value(inputs[1])) if len(inputs) > 1 and inputs[1] is not None else 0
        rows, columns = x.shape[-2:]
        if not _is_static(x):
            what = f"{node.name}: the triangle of a matrix whose size varies"
            raise ValueError(what)
        below = np.arange(columns) <= np.arange(rows)[:, None] + (shift if lower else shift - 1)
        keep = np.broadcast_to(below if lower else ~below, tuple(x.shape))
        # MIL's select wants operands of one shape.
        zeros = np.zeros(keep.shape, _types.nptype_from_builtin(x.dtype))
        context.add(_mb.select(cond=np.array(keep), a=x, b=zeros, name=node.name))

    return convert


def _is_static(x: Any) -> bool:
    return all(isinstance(size, (int, np.integer)) for size in x.shape)


ELEMENTWISE_CONVERTERS: Mapping[str, Callable[[Any, Any], None]] = MappingProxyType(
    {
        "reciprocal": reciprocal,
        "rsqrt": rsqrt,
        "clamp": clamp,
        "gelu": gelu,
        "atan2": atan2,
        "div": div,
        "floor_divide": floor_divide,
        "floordiv": floor_divide,  # of sizes
        "rand": rand,
        "prod": prod,
        "prod.dim_int": prod,
        "scatter_reduce.two": scatter_reduce,
        "tril": triangle(lower=True),
        "triu": triangle(lower=False),
    }
)
"""Op name in coremltools' spelling to converter."""
