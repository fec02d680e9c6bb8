"""coremltools' quantiser settings as torchao's: one module's configuration in, its specs out."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch

from etcoreml.errors import QuantizerConfigError
from etcoreml.imports import quiet_imports
from etcoreml.mil.ct import coremltools

with quiet_imports():
    from torchao.quantization.pt2e import (
        FakeQuantize,
        MinMaxObserver,
        MovingAverageMinMaxObserver,
        MovingAveragePerChannelMinMaxObserver,
        PerChannelMinMaxObserver,
    )
    from torchao.quantization.pt2e.quantizer import QuantizationSpec

_settings = coremltools().optimize.torch.quantization

LinearQuantizerConfig = _settings.LinearQuantizerConfig
ModuleLinearQuantizerConfig = _settings.ModuleLinearQuantizerConfig
ObserverType = _settings.ObserverType
QuantizationScheme = _settings.QuantizationScheme

# A new value counts a tenth, as in coremltools' observer of this name.
_EMA: Mapping[str, float] = MappingProxyType({"averaging_constant": 0.1})
_OBSERVERS: Mapping[tuple[Any, bool], tuple[Any, Mapping[str, float]]] = MappingProxyType(
    {
        (ObserverType.min_max, False): (MinMaxObserver, {}),
        (ObserverType.min_max, True): (PerChannelMinMaxObserver, {}),
        (ObserverType.moving_average_min_max, False): (MovingAverageMinMaxObserver, {}),
        (ObserverType.moving_average_min_max, True): (MovingAveragePerChannelMinMaxObserver, {}),
        (ObserverType.ema_min_max, False): (MovingAverageMinMaxObserver, _EMA),
        (ObserverType.ema_min_max, True): (MovingAveragePerChannelMinMaxObserver, _EMA),
    }
)
_DTYPES = MappingProxyType({torch.quint8: torch.uint8, torch.qint8: torch.int8})


@dataclass(frozen=True, eq=False)
class Specs:
    """How the tensors around an op are quantised.

    Attributes:
        activation: Of inputs and outputs; None leaves them in floating point.
        non_negative: The same of values that are never negative, which need no sign.
        config: coremltools' settings they follow.
    """

    activation: QuantizationSpec | None
    non_negative: QuantizationSpec | None
    config: Any

    @functools.lru_cache  # noqa: B019 - a few axes; equal specs have to be one object
    def weight(self, axis: int | None) -> QuantizationSpec:
        """Return the spec of a weight whose channels lie along ``axis``; None for along none."""
        config = self.config
        dtype = _DTYPES[config.weight_dtype]
        bounds = _weight_range(dtype, config.weight_n_bits, config.quantization_scheme)
        per_channel = config.weight_per_channel and axis is not None
        scheme = _scheme(config.quantization_scheme, per_channel)
        if axis is not None and per_channel:
            bounds["ch_axis"] = axis
        return _spec(scheme, config.weight_observer, dtype, bounds)


def specs_of(config: Any) -> Specs | None:
    """Return the specs of a module's settings, or None when they ask for no quantisation.

    Args:
        config: ``ModuleLinearQuantizerConfig``, or None.

    Raises:
        QuantizerConfigError: The settings ask for what PT2E has not.
    """
    if config is None or config.weight_dtype == torch.float32:
        return None
    if config.algorithm != "vanilla":
        raise QuantizerConfigError(
            "quantiser: the algorithm is not available in PT2E",
            found=config.algorithm,
            expected="vanilla",
        )
    if config.activation_dtype == torch.float32:
        return Specs(None, None, config)
    dtype = _DTYPES[config.activation_dtype]
    observer = config.activation_observer
    activation = _spec(_scheme(config.quantization_scheme), observer, dtype, {})
    # A symmetric range would leave its lower half unused; an affine one starts at 0.
    non_negative = _spec(_scheme(QuantizationScheme.affine), observer, dtype, {})
    return Specs(activation, non_negative, config)


def _weight_range(dtype: torch.dtype, bits: int, scheme: Any) -> dict[str, int]:
    """Return the integers that a weight may become.

    A symmetric range has as many below its zero as above: it leaves out the lowest of signed
    integers, the highest of the others, whose range has to begin with 0. Otherwise the scale would
    make the largest weight of each channel one that lies half a step beyond the range.
    """
    is_unsigned, most = dtype is torch.uint8, 2**bits - 1
    low = 0 if is_unsigned else -(2 ** (bits - 1))
    is_symmetric = scheme == QuantizationScheme.symmetric
    return {
        "quant_min": low + (is_symmetric and not is_unsigned),
        "quant_max": low + most - (is_symmetric and is_unsigned),
    }


def _scheme(scheme: Any, per_channel: bool = False) -> torch.qscheme:
    return QuantizationScheme.get_qscheme(scheme, is_per_channel=per_channel)


def _spec(
    scheme: torch.qscheme, observer: Any, dtype: torch.dtype, more: dict[str, int]
) -> QuantizationSpec:
    observer_class, options = _OBSERVERS[observer, "ch_axis" in more]
    constructor = FakeQuantize.with_args(
        observer=observer_class, dtype=dtype, qscheme=scheme, **options, **more
    )
    return QuantizationSpec(
        dtype=dtype, observer_or_fake_quant_ctr=constructor, qscheme=scheme, **more
    )
