"""The recipes as data: what each does to the model, the oldest target it needs, its options."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch

from etcoreml.imports import quiet_imports
from etcoreml.mil.ct import coremltools
from etcoreml.quantizer import CoreMLQuantizer, LinearQuantizerConfig, ModuleLinearQuantizerConfig
from etcoreml.recipes.types import CoreMLRecipeType

with quiet_imports():
    from executorch.export import AOQuantizationConfig, QuantizationRecipe
    from torchao.prototype.quantization.codebook_coreml import CodebookWeightOnlyConfig
    from torchao.quantization import IntxWeightOnlyConfig, PerAxis, PerGroup

ct = coremltools()

GROUP_SIZE = 32

COMMON_OPTIONS = frozenset(
    {
        "minimum_deployment_target",
        "compute_unit",
        "skip_ops_for_coreml_delegation",
        "lower_full_graph",
        "take_over_constant_data",
    }
)
"""What every recipe takes."""


@dataclass(frozen=True)
class Entry:
    """One type of recipe.

    Attributes:
        quantize: Options to ``QuantizationRecipe``, or None for a model that stays as it is.
        method: What quantises, in error messages.
        target: The oldest deployment target Core ML runs the result on, None for any.
        precision: ``coremltools.precision`` of the arithmetic.
        options: What it takes besides ``COMMON_OPTIONS``.
        required: Those of them that have no default.
    """

    quantize: Callable[[Mapping[str, Any]], Any] | None = None
    method: str = ""
    target: Any = None
    precision: Any = ct.precision.FLOAT16
    options: frozenset[str] = frozenset()
    required: tuple[str, ...] = ()


def _pt2e(activation_dtype: torch.dtype) -> Callable[[Mapping[str, Any]], Any]:
    def quantize(options: Mapping[str, Any]) -> Any:
        config = ModuleLinearQuantizerConfig(
            quantization_scheme="symmetric",
            activation_dtype=activation_dtype,
            weight_dtype=torch.qint8,
            weight_per_channel=True,
        )
        quantizer = CoreMLQuantizer(LinearQuantizerConfig(global_config=config))
        return QuantizationRecipe(quantizers=[quantizer])

    return quantize


def _torchao(dtype: torch.dtype, per_group: bool) -> Callable[[Mapping[str, Any]], Any]:
    def quantize(options: Mapping[str, Any]) -> Any:
        size = options.get("group_size", GROUP_SIZE)
        config = IntxWeightOnlyConfig(
            weight_dtype=dtype, granularity=PerGroup(size) if per_group else PerAxis(0)
        )
        return _source_transform(config, options.get("filter_fn"))

    return quantize


def _codebook(options: Mapping[str, Any]) -> Any:
    config = CodebookWeightOnlyConfig(
        dtype=getattr(torch, f"uint{options['bits']}"), block_size=options["block_size"]
    )
    return _source_transform(config, options.get("filter_fn", _has_table))


def _source_transform(config: Any, filter_fn: Any) -> Any:
    return QuantizationRecipe(
        quantizers=None, ao_quantization_configs=[AOQuantizationConfig(config, filter_fn)]
    )


def _has_table(module: torch.nn.Module, name: str) -> bool:
    """Whether a codebook serves a module: linear layers and embeddings."""
    return isinstance(module, (torch.nn.Linear, torch.nn.Embedding))


_TYPE: Any = CoreMLRecipeType
_TARGET = ct.target
_CHOSEN = frozenset({"filter_fn"})
_GROUPED = frozenset({"filter_fn", "group_size"})

RECIPES: Mapping[Any, Entry] = MappingProxyType(
    {
        _TYPE.FP32: Entry(precision=ct.precision.FLOAT32),
        _TYPE.FP16: Entry(),
        _TYPE.PT2E_INT8_STATIC: Entry(_pt2e(torch.quint8), "pt2e", _TARGET.iOS17),
        _TYPE.PT2E_INT8_WEIGHT_ONLY: Entry(_pt2e(torch.float32), "pt2e", _TARGET.iOS17),
        _TYPE.TORCHAO_INT4_WEIGHT_ONLY_PER_CHANNEL: Entry(
            _torchao(torch.int4, False), "torchao", _TARGET.iOS18, options=_CHOSEN
        ),
        _TYPE.TORCHAO_INT4_WEIGHT_ONLY_PER_GROUP: Entry(
            _torchao(torch.int4, True), "torchao", _TARGET.iOS18, options=_GROUPED
        ),
        _TYPE.TORCHAO_INT8_WEIGHT_ONLY_PER_CHANNEL: Entry(
            _torchao(torch.int8, False), "torchao", _TARGET.iOS16, options=_CHOSEN
        ),
        _TYPE.TORCHAO_INT8_WEIGHT_ONLY_PER_GROUP: Entry(
            _torchao(torch.int8, True), "torchao", _TARGET.iOS18, options=_GROUPED
        ),
        _TYPE.CODEBOOK_WEIGHT_ONLY: Entry(
            _codebook,
            "codebook",
            _TARGET.iOS18,
            options=_CHOSEN | {"bits", "block_size"},
            required=("bits", "block_size"),
        ),
    }
)
"""Every ``CoreMLRecipeType``."""
