"""The lowest deployment target of a partition, where the user asked for none.

What enters is a partition and its options; what leaves is the target that its interface and the
options certainly need. What its ops need beyond that, coremltools says when it converts them.
"""

from __future__ import annotations

from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

import torch
from torch.export import ExportedProgram

from etcoreml.compiler.enumerated_shapes import Symbol, symbolic_inputs
from etcoreml.compiler.placeholders import held_tensors
from etcoreml.compiler.specs import Options
from etcoreml.mil.ct import coremltools

ct = coremltools()
target = ct.target

_STEPS_OF_4_BITS = 16
_RANGES = MappingProxyType(
    {
        "quantized_decomposed.dequantize_per_tensor.default": (3, 4),
        "quantized_decomposed.dequantize_per_channel.default": (4, 5),
    }
)
"""Name of an op to the arguments that say the lowest and the highest integer."""


def lowest_target(program: ExportedProgram, options: Options) -> Any:
    """Return the oldest ``coremltools.target`` that takes a partition without conversions.

    A float16 input or output asks for iOS16. Models for iOS15, where it is asked for, exchange
    float32 in its place.

    Args:
        program: The partition in edge dialect.
        options: Its options; their deployment target is not looked at.
    """
    return max(_needs(program, options))


def target_of_compression(options: Options) -> Any:
    """Return the oldest target that has weights as the options compress them.

    Args:
        options: Their ``quantizer_config`` and ``weight_compression`` are looked at.
    """
    if not options.compresses:
        return target.iOS15
    steps = options.weight_compression or ()
    configs = [options.quantizer_config, *(each for step in steps for each in step.configs)]
    newer = len(steps) > 1 or any(map(_needs_ios18, configs))
    return target.iOS18 if newer else target.iOS16


def _needs_ios18(config: Any) -> bool:
    """Whether older targets have no op for weights that one configuration of ops makes."""
    coreml = ct.optimize.coreml
    granularity = coreml._config.CompressionGranularity
    if isinstance(config, coreml.OpLinearQuantizerConfig):
        return bool(config.nbits < 8 or config.granularity == granularity.PER_BLOCK)
    if isinstance(config, coreml.OpPalettizerConfig):
        return bool(
            config.granularity == granularity.PER_GROUPED_CHANNEL
            or config.cluster_dim > 1
            or config.enable_per_channel_scale
        )
    return False


def target_of_weights(program: ExportedProgram) -> Any:
    """Return the oldest target that has stored weights as PT2E quantised them.

    coremltools would store those of 4 bits in 8 below iOS18, and fails on others below iOS17.

    Args:
        program: The partition in edge dialect.
    """
    stored = held_tensors(program)
    needed = target.iOS15
    for node in program.graph.nodes:
        name = str(getattr(node.target, "_op", node.target))
        if name in _RANGES and node.args[0].name in stored:
            low, high = (node.args[at] for at in _RANGES[name])
            needed = max(needed, target.iOS18 if high - low < _STEPS_OF_4_BITS else target.iOS17)
    return needed


def _needs(program: ExportedProgram, options: Options) -> Iterator[Any]:
    yield target.iOS15
    signature = program.graph_signature
    if signature.buffers_to_mutate or not signature.user_inputs:
        yield target.iOS18
    yield target_of_compression(options)
    yield target_of_weights(program)
    if options.enumerated_shapes is not None:
        varying = [
            name
            for name, sizes in symbolic_inputs(program)
            if any(isinstance(size, Symbol) for size in sizes)
        ]
        if len(varying) > 1:
            yield target.iOS18
    names = {*signature.user_inputs, *signature.user_outputs}
    values = (node.meta.get("val") for node in program.graph.nodes if node.name in names)
    if any(isinstance(each, torch.Tensor) and each.dtype == torch.float16 for each in values):
        # At iOS15 each would be converted at the border, at twice the bytes.
        yield target.iOS16
