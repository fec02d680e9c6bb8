"""Compress the weights of a converted model with coremltools' own passes.

What enters is coremltools' model and steps; what leaves is another model. A step is written as
coremltools writes an ``OptimizationConfig`` in YAML::

    {"config_type": "OpPalettizerConfig", "global_config": {"mode": "kmeans", "nbits": 4},
     "op_type_configs": {"gather": None}, "op_name_configs": {}}

Several steps compress jointly: pruned weights are palettised without their zeros, tables are
quantised.

Source: coremltools 9.0 ``optimize/coreml``.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from etcoreml.mil.ct import coremltools

_optimize = coremltools().optimize.coreml

_PASSES: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {
        "OpLinearQuantizerConfig": _optimize.linear_quantize_weights,
        "OpPalettizerConfig": _optimize.palettize_weights,
        "OpThresholdPrunerConfig": _optimize.prune_weights,
        "OpMagnitudePrunerConfig": _optimize.prune_weights,
    }
)
KINDS = tuple(_PASSES)
"""The types of configuration a step may have."""


@dataclass(frozen=True)
class Step:
    """One compression of all weights.

    Attributes:
        kind: Type of the configuration, one of ``KINDS``.
        config: ``coremltools.optimize.coreml.OptimizationConfig``.
    """

    kind: str
    config: Any

    @property
    def configs(self) -> list[Any]:
        """The configuration of all ops, and those of types of ops and of single ops."""
        config = self.config
        return [
            config.global_config,
            *config.op_type_configs.values(),
            *config.op_name_configs.values(),
        ]


def read_steps(written: object) -> list[Step]:
    """Return the steps of a list of dicts.

    Raises:
        TypeError: Not a list of dicts.
        ValueError: A type, field or value that coremltools does not know, or no step.
    """
    if not isinstance(written, Sequence) or not all(isinstance(each, dict) for each in written):
        raise TypeError(type(written).__name__)
    if not written:
        msg = "no step"
        raise ValueError(msg)
    return [_read_step(each) for each in written]


def _read_step(written: dict[str, Any]) -> Step:
    kind = written.get("config_type")
    if not isinstance(kind, str) or kind not in _PASSES:
        msg = f"config_type {kind!r}"
        raise ValueError(msg)
    # Reading takes keys out of the dicts.
    return Step(kind, _optimize.OptimizationConfig.from_dict(copy.deepcopy(written)))


def compress(model: Any, steps: Sequence[Step]) -> Any:
    """Return ``coremltools.models.MLModel`` with compressed weights.

    Args:
        model: ``coremltools.models.MLModel`` that knows its MIL program.
        steps: In the order they are done.

    Raises:
        Exception: Whatever coremltools raises.
    """
    for index, step in enumerate(steps):
        model = _PASSES[step.kind](model, config=step.config, joint_compression=index > 0)
    return model


def quantize_linearly(model: Any, config: Any) -> Any:
    """Quantise the weights of a converted model.

    Embedding tables (gathers) stay as they are, unless another op reads the same table: one
    constant cannot be both quantised and not.

    Args:
        model: As for ``compress``.
        config: ``coremltools.optimize.coreml.OpLinearQuantizerConfig``.
    """
    shared = [
        op.name
        for function in model._mil_program.functions.values()
        for op in function.operations
        if op.op_type == "gather" and any(user.op_type != "gather" for user in op.x.child_ops)
    ]
    return _optimize.linear_quantize_weights(
        model,
        config=_optimize.OptimizationConfig(
            global_config=config,
            op_type_configs={"gather": None},
            op_name_configs=dict.fromkeys(shared, config),
        ),
    )
