"""Elementwise ops in terms of others.

Written so that every value fp32 can hold goes in, and so that differences of nearly equal numbers
are avoided: 1e-4 relative is what the tests hold them to, wherever the result is finite.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from etcoreml.compiler.decompositions.registry import (
    decomposes,
    gives_integers,
    has_integers,
    tensors,
)
from etcoreml.compiler.names import argument

_MISSING = "coremltools 9.0 has no converter for it"
_INEXACT = "coremltools 9.0 computes it as a difference, which small results do not survive"


@decomposes("aten.expm1.default", why=_INEXACT)
def expm1(self: Tensor) -> Tensor:
    """Compute exp(x) - 1 as tanh(x / 2) (exp(x) + 1)."""
    x = _float(self)
    return torch.where(x > 1, torch.exp(x) - 1, torch.tanh(x * 0.5) * (torch.exp(x) + 1))


@decomposes("aten.log1p.default", why=_INEXACT)
def log1p(self: Tensor) -> Tensor:
    """Compute log(1 + x); near zero from the series of atanh(x / (2 + x))."""
    x = _float(self)
    z = x / (x + 2)
    square = z * z
    series = 2 * z * (1 + square * (1 / 3 + square * (1 / 5 + square * (1 / 7 + square / 9))))
    return torch.where(x.abs() < 0.3, series, torch.log(x + 1))


@decomposes("aten.asinh.default", why=_MISSING)
def asinh(self: Tensor) -> Tensor:
    """Compute the inverse of sinh."""
    x = _float(self)
    magnitude = x.abs()
    small = magnitude.clamp(max=1e4)
    near = log1p(small + small * small / (torch.sqrt(small * small + 1) + 1))
    far = torch.log(magnitude.clamp(min=1.0)) + math.log(2)
    return torch.sign(x) * torch.where(magnitude < 1e4, near, far)


@decomposes("aten.trunc.default", "aten.fix.default", why=_MISSING)
def trunc(self: Tensor) -> Tensor:
    """Drop the fraction."""
    if not self.is_floating_point():
        return self.clone()
    return torch.where(self < 0, torch.ceil(self), torch.floor(self))


@decomposes("aten.isinf.default", why=_MISSING)
def isinf(self: Tensor) -> Tensor:
    """Find infinities."""
    if not self.is_floating_point():
        return torch.zeros_like(self, dtype=torch.bool)
    return self.abs() == math.inf


@decomposes("aten.isnan.default", why="coremltools 9.0 compares in the dtype it finds")
def isnan(self: Tensor) -> Tensor:
    """Find NaN."""
    if not self.is_floating_point():
        return torch.zeros_like(self, dtype=torch.bool)
    return self != self


@decomposes("aten.logit.default", why=_MISSING)
def logit(self: Tensor, eps: float | None = None) -> Tensor:
    """Compute log(x / (1 - x))."""
    x = _float(self)
    if eps is not None:
        x = x.clamp(eps, 1 - eps)
    return torch.log(x / (1 - x))


_ERFC = (
    *(-1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806),
    *(0.27886807, -1.13520398, 1.48851587, -0.82215223, 0.17087277),
)


@decomposes("aten.erfc.default", why=_MISSING)
def erfc(self: Tensor) -> Tensor:
    """Compute 1 - erf(x), accurate where it is small.

    Source: Press et al., Numerical Recipes, erfcc: a fractional error below 1.2e-7 everywhere.
    """
    x = _float(self)
    magnitude = x.abs().clamp(max=20.0)
    t = 1 / (1 + 0.5 * magnitude)
    tail = t * torch.exp(-magnitude * magnitude + _polynomial(t, _ERFC))
    tail = torch.where(magnitude < 0.5, 1 - torch.erf(magnitude), tail)
    return torch.where(x != x, x, torch.where(x < 0, 2 - tail, tail))


@decomposes(
    "aten.softplus.default",
    why="coremltools 9.0 ignores the threshold",
    applies=lambda node: argument(node, "beta") * argument(node, "threshold") != 20,
)
def softplus(self: Tensor, beta: float = 1, threshold: float = 20) -> Tensor:
    """Compute log(1 + exp(beta x)) / beta, which is x above the threshold."""
    scaled = self * beta
    curve = log1p(torch.exp(scaled.clamp(max=threshold))) / beta
    return torch.where(scaled > threshold, self, curve)


@decomposes("aten.exp2.default", why="ExecuTorch's edge dialect has no exp2")
def exp2(self: Tensor) -> Tensor:
    """Compute 2 to the power of x."""
    return torch.pow(2.0, _float(self))


@decomposes("aten.signbit.default", why=_MISSING)
def signbit(self: Tensor) -> Tensor:
    """Find what carries a minus, negative zeros among it."""
    if not self.is_floating_point():
        return self < 0
    return (self < 0) | ((self == 0) & (1 / self < 0))


@decomposes("aten.copysign.Tensor", why=_MISSING)
def copysign(self: Tensor, other: Tensor) -> Tensor:
    """Give magnitudes the signs of others."""
    return torch.where(signbit(other), -_float(self).abs(), _float(self).abs())


@decomposes("aten.fmax.default", why=_MISSING)
def fmax(self: Tensor, other: Tensor) -> Tensor:
    """Return the larger, and of NaN and a number the number."""
    both = torch.maximum(self, other)
    return torch.where(isnan(self), other, torch.where(isnan(other), self, both))


@decomposes("aten.fmin.default", why=_MISSING)
def fmin(self: Tensor, other: Tensor) -> Tensor:
    """Return the smaller, and of NaN and a number the number."""
    both = torch.minimum(self, other)
    return torch.where(isnan(self), other, torch.where(isnan(other), self, both))


@decomposes("aten.hypot.default", why=_MISSING)
def hypot(self: Tensor, other: Tensor) -> Tensor:
    """Compute sqrt(x^2 + y^2) without overflow between."""
    x, y = self.abs(), other.abs()
    large, small = torch.maximum(x, y), torch.minimum(x, y)
    ratio = torch.where(large == 0, 0.0, small / large)
    root = large * torch.sqrt(1 + ratio * ratio)
    return torch.where((x == math.inf) | (y == math.inf), math.inf, root)


@decomposes("aten.xlogy.Tensor", why="coremltools 9.0 gives NaN for 0 log 0")
def xlogy(self: Tensor, other: Tensor) -> Tensor:
    """Compute x log(y), which is zero where x is."""
    zero = (self == 0) & ~isnan(other)
    return torch.where(zero, 0.0, self * torch.log(_float(other)))


@decomposes("aten.logaddexp.default", why="coremltools 9.0 overflows")
def logaddexp(self: Tensor, other: Tensor) -> Tensor:
    """Compute log(exp(x) + exp(y)) without overflow between."""
    high = torch.maximum(self, other)
    gap = -(self - other).abs()
    return torch.where(self == other, high + math.log(2), high + log1p(torch.exp(gap)))


@decomposes("aten.fmod.Tensor", "aten.fmod.Scalar", why=_MISSING)
def fmod(self: Tensor, other: Tensor | float) -> Tensor:
    """Compute the remainder that has the sign of the dividend."""
    magnitude = abs(other) if isinstance(other, (int, float)) else other.abs()
    rest = torch.remainder(self.abs(), magnitude)
    return torch.where(self < 0, -rest, rest)


@decomposes(
    "aten.bitwise_not.default",
    why="coremltools 9.0 converts it for bool only",
    applies=lambda node: gives_integers(node) and tensors(node)[0].dtype != torch.bool,
)
def bitwise_not(self: Tensor) -> Tensor:
    """Flip the bits of two's complement."""
    return -self - 1


@decomposes(
    *(f"aten.bitwise_or.{each}" for each in ("Tensor", "Scalar")),
    why=_MISSING,
    applies=lambda node: node.meta["val"].dtype == torch.bool,
)
def bitwise_or(self: Tensor, other: Tensor | bool) -> Tensor:
    """Join truth values."""
    return torch.logical_or(self, _truth(self, other))


@decomposes(
    *(f"aten.bitwise_xor.{each}" for each in ("Tensor", "Scalar")),
    why=_MISSING,
    applies=lambda node: node.meta["val"].dtype == torch.bool,
)
def bitwise_xor(self: Tensor, other: Tensor | bool) -> Tensor:
    """Compare truth values."""
    return torch.logical_xor(self, _truth(self, other))


def _truth(like: Tensor, value: Tensor | bool) -> Tensor:
    return value if isinstance(value, Tensor) else torch.full_like(like, value)


@decomposes("aten.lgamma.default", why=_MISSING)
def lgamma(self: Tensor) -> Tensor:
    """Compute log |gamma(x)|: Stirling's series after a shift, reflection below 1/2.

    Source: Abramowitz and Stegun 6.1.40 and 6.1.17.
    """
    x = _float(self)
    magnitude = torch.where(x < 0.5, 1 - x, x)
    shifted, product = magnitude, torch.ones_like(magnitude)
    for _ in range(7):
        small = shifted < 7
        product = product * torch.where(small, shifted, 1.0)
        shifted = shifted + small.to(shifted.dtype)
    inverse = 1 / shifted
    square = inverse * inverse
    series = inverse * (1 / 12 - square * (1 / 360 - square * (1 / 1260)))
    stirling = (shifted - 0.5) * torch.log(shifted) - shifted + (0.5 * math.log(2 * math.pi))
    # Next to 1 and 2 the logarithms cancel, where a Taylor polynomial does not.
    near = _near_one(magnitude)
    value = torch.where(near[0], near[1], stirling + series - torch.log(product))
    fraction = x.abs() - torch.floor(x.abs())
    sine = torch.sin(math.pi * torch.minimum(fraction, 1 - fraction))
    reflected = math.log(math.pi) - torch.log(sine) - value
    result = torch.where(x < 0.5, reflected, value)
    return torch.where((x == math.inf) | (x == -math.inf), math.inf, result)


# zeta(k) / k with alternating signs: the Taylor series of log gamma(1 + d).
_LGAMMA = (
    *(-0.5772156649015329, 0.8224670334241132, -0.4006856343865314, 0.27058080842778454),
    *(-0.20738555102867398, 0.1695571769974082, -0.1440498967688461, 0.12550966952474304),
    *(-0.11133426586956469, 0.1000994575127818, -0.09095401714582904, 0.083353840546109),
)


def _near_one(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return where x is within 0.3 of 1 or 2, and log gamma there."""
    one, two = (x - 1).clamp(-0.5, 0.5), (x - 2).clamp(-0.5, 0.5)
    is_one, is_two = (x - 1).abs() < 0.3, (x - 2).abs() < 0.3
    d = torch.where(is_one, one, two)
    series = d * _polynomial(d, _LGAMMA)
    return is_one | is_two, torch.where(is_one, series, series + log1p(d))


@decomposes("aten.digamma.default", why=_MISSING)
def digamma(self: Tensor) -> Tensor:
    """Compute the derivative of log gamma: a shift, then the asymptotic series.

    Source: Abramowitz and Stegun 6.3.5, 6.3.7 and 6.3.18.
    """
    x = _float(self)
    shifted = torch.where(x < 0.5, 1 - x, x)
    total = torch.zeros_like(shifted)
    for _ in range(7):
        small = shifted < 7
        total = total - torch.where(small, 1 / shifted, 0.0)
        shifted = shifted + small.to(shifted.dtype)
    inverse = 1 / shifted
    square = inverse * inverse
    series = square * (1 / 12 - square * (1 / 120 - square * (1 / 252)))
    value = total + torch.log(shifted) - 0.5 * inverse - series
    fraction = x - torch.round(x)
    value = torch.where(x < 0.5, value - math.pi / torch.tan(math.pi * fraction), value)
    value = torch.where((x < 0) & (fraction == 0), math.nan, value)
    return torch.where(x == 0, -1 / x, value)


_ERFINV_CENTRE = (
    *(1.50140941, 0.246640727, -0.00417768164, -0.00125372503, 0.00021858087),
    *(-4.39150654e-06, -3.5233877e-06, 3.43273939e-07, 2.81022636e-08),
)
_ERFINV_TAIL = (
    *(2.83297682, 1.00167406, 0.00943887047, -0.0076224613, 0.00573950773),
    *(-0.00367342844, 0.00134934322, 0.000100950558, -0.000200214257),
)


@decomposes("aten.erfinv.default", why=_MISSING)
def erfinv(self: Tensor) -> Tensor:
    """Compute the inverse of erf.

    Source: Giles, Approximating the erfinv function (2010), single precision.
    """
    x = _float(self)
    w = -torch.log((1 - x) * (1 + x))
    centre = _polynomial(w - 2.5, _ERFINV_CENTRE)
    tail = _polynomial(torch.sqrt(w.clamp(min=5.0)) - 3, _ERFINV_TAIL)
    value = x * torch.where(w < 5, centre, tail)
    value = torch.where(x.abs() > 1, math.nan, value)
    return torch.where(x.abs() == 1, x * math.inf, value)


_I0_SMALL = (1.0, 3.5156229, 3.0899424, 1.2067492, 0.2659732, 0.0360768, 0.0045813)
_I0_LARGE = (
    *(0.39894228, 0.01328592, 0.00225319, -0.00157565, 0.00916281),
    *(-0.02057706, 0.02635537, -0.01647633, 0.00392377),
)


@decomposes("aten.i0.default", why=_MISSING)
def i0(self: Tensor) -> Tensor:
    """Compute the modified Bessel function of order zero.

    Source: Abramowitz and Stegun 9.8.1 and 9.8.2, absolute error below 2e-7.
    """
    x = _float(self).abs()
    near = x.clamp(max=3.75) / 3.75
    far = x.clamp(min=3.75)
    large = torch.exp(far) / torch.sqrt(far) * _polynomial(3.75 / far, _I0_LARGE)
    return torch.where(x < 3.75, _polynomial(near * near, _I0_SMALL), large)


def _polynomial(x: Tensor, coefficients: tuple[float, ...]) -> Tensor:
    """Evaluate a polynomial, coefficients from the constant upwards."""
    value = x * coefficients[-1]
    for each in reversed(coefficients[1:-1]):
        value = (value + each) * x
    return value + coefficients[0]


def _float(x: Tensor) -> Tensor:
    return x if x.is_floating_point() else x.to(torch.float32)


_FLOAT_ONLY = (
    *("acos", "asin", "atan", "atanh", "ceil", "cos", "cosh", "erf", "exp", "floor", "log"),
    *("log10", "log2", "reciprocal", "round", "rsqrt", "sigmoid", "sin", "sinh", "sqrt"),
    *("tan", "tanh"),
)
_SAME_FOR_INTEGERS = ("ceil", "floor", "round")


@decomposes(
    "aten.relu.default",
    why="MIL has the op for floating-point tensors only",
    applies=has_integers,
)
def relu(self: Tensor) -> Tensor:
    """Take the larger of each integer and zero."""
    return torch.clamp(self, min=0)


def _enter_float_only() -> None:
    for name in _FLOAT_ONLY:
        op = getattr(torch, name)

        def promoted(self: Tensor, op: object = op, name: str = name) -> Tensor:
            if name in _SAME_FOR_INTEGERS:
                return self.clone()
            value: Tensor = op(self.to(torch.float32))  # type: ignore[operator]
            return value

        decomposes(
            f"aten.{name}.default",
            why="MIL has the op for floating-point tensors only",
            applies=has_integers,
        )(promoted)


_enter_float_only()
