"""The lowest deployment target of a partition, where the user asked for none.

What enters is a partition and its options; what leaves is the target that its interface and the
options certainly need. What its ops need beyond that, coremltools says when it converts them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.export import ExportedProgram

from etcoreml.compiler.enumerated_shapes import Symbol, symbolic_inputs
from etcoreml.compiler.specs import Options
from etcoreml.mil.ct import coremltools

ct = coremltools()
target = ct.target


def lowest_target(program: ExportedProgram, options: Options) -> Any:
    """Return the oldest ``coremltools.target`` that a partition may be converted for.

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
    config, steps = options.quantizer_config, options.weight_compression
    if config is not None:
        blocks = ct.optimize.coreml._config.CompressionGranularity.PER_BLOCK
        newer = config.nbits < 8 or config.granularity == blocks
        return target.iOS18 if newer else target.iOS16
    if steps is not None:
        return target.iOS18 if len(steps) > 1 else target.iOS16
    return target.iOS15


def _needs(program: ExportedProgram, options: Options) -> Iterator[Any]:
    yield target.iOS15
    signature = program.graph_signature
    if signature.buffers_to_mutate or not signature.user_inputs:
        yield target.iOS18
    yield target_of_compression(options)
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
        # iOS15 has no float16 inputs and outputs: models for it exchange float32.
        yield target.iOS16
