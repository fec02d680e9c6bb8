"""From a decoder to a .pte that generates text.

Core ML gives each loaded method a state of its own, so a prompt that one method has read is
unknown to another. Hence the two forms of a program:

- ``state``: one method, ``forward``, which takes a chunk or a single token (enumerated shapes).
- ``io``: two methods, ``prefill`` and ``decode``, functions of one model that stores the weights
  once; the cache is passed in, and the new keys and values come out.

Enters: a `DecoderConfig` and where its weights are. Leaves: the program of one of the forms.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, get_args

import torch
from torch import Tensor, nn

from etcoreml.choices import CacheForm, ComputeUnit, Precision, WeightFormat
from etcoreml.compiler import CoreMLBackend
from etcoreml.compiler.specs import MULTIMETHOD_WEIGHT_SHARING_STRATEGY
from etcoreml.errors import EtCoreMLError, ExportError, UsageError
from etcoreml.imports import quiet_imports
from etcoreml.llm.checkpoint import load_weights
from etcoreml.llm.config import DecoderConfig
from etcoreml.llm.decoder import Decoder, FunctionalDecoder, StatefulDecoder
from etcoreml.llm.methods import (
    BOS,
    CHUNK,
    CONTEXT,
    DECODE,
    EOS,
    FORWARD,
    PREFILL,
    VOCABULARY,
)
from etcoreml.llm.weights import quantize_weights
from etcoreml.mil.ct import coremltools
from etcoreml.partition import CoreMLPartitioner

with quiet_imports():
    from executorch.exir import ExecutorchBackendConfig, to_edge_transform_and_lower
    from executorch.exir.passes import MemoryPlanningPass

_LOGGER = logging.getLogger(__name__)

_CHOICES = {
    "cache": CacheForm,
    "weights": WeightFormat,
    "precision": Precision,
    "compute_unit": ComputeUnit,
}

# Of random weights; Hugging Face's usual initializer_range.
_DEVIATION = 0.02


@dataclass(frozen=True)
class ExportOptions:
    """What a program is to be.

    Attributes:
        cache: Its form.
        weights: How its matrices are stored.
        context: Positions of the cache.
        chunk: Tokens of a prompt that are computed at once.
        precision: Compute precision.
        compute_unit: Where Core ML may run it.
    """

    cache: CacheForm = "io"
    weights: WeightFormat = "none"
    context: int = 2048
    chunk: int = 64
    precision: Precision = "float16"
    compute_unit: ComputeUnit = "all"

    def check(self, config: DecoderConfig) -> None:
        """Check that each option is one, and that the sizes fit each other and the model.

        Raises:
            UsageError: They do not.
        """
        for name, choices in _CHOICES.items():
            found = getattr(self, name)
            if found not in get_args(choices):
                raise UsageError(
                    f"{name} is none of its choices",
                    found=repr(found),
                    expected=", ".join(get_args(choices)),
                )
        if not 2 <= self.chunk <= self.context:
            raise UsageError(
                "the prefill length does not fit the context",
                found=self.chunk,
                expected=f"2 to {self.context}",
            )
        if self.context > config.max_positions:
            raise UsageError(
                "the model was not made for a context of that length",
                found=self.context,
                expected=f"at most {config.max_positions}, its max_position_embeddings",
            )


def make_decoder(
    config: DecoderConfig, options: ExportOptions, folder: Path | None, seed: int = 0
) -> Decoder:
    """Return a decoder in eager, its weights loaded and stored as asked for.

    Args:
        config: The decoder.
        options: What it is for.
        folder: Holds the weights; None for random ones.
        seed: Of random weights.

    Raises:
        UsageError, CheckpointError: The sizes or the weights do not fit.
    """
    options.check(config)
    decoder = Decoder(config, options.context, guarded=options.precision == "float16")
    decoder.eval().requires_grad_(False)
    if folder is None:
        _fill(decoder, seed)
    else:
        load_weights(decoder, folder)
    quantize_weights(decoder, options.weights)
    return decoder


def _fill(decoder: Decoder, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in decoder.named_parameters():
        if parameter.ndim > 1 and "norm" not in name:
            parameter.normal_(std=_DEVIATION, generator=generator)


def modules(
    decoder: Decoder, options: ExportOptions
) -> dict[str, tuple[nn.Module, tuple[Tensor, ...]]]:
    """Return the module of each method and inputs for it."""
    config, chunk = decoder.config, options.chunk
    tokens = torch.zeros(1, chunk, dtype=torch.int32)
    positions = torch.arange(chunk, dtype=torch.int32)
    last = torch.tensor([chunk - 1], dtype=torch.int32)
    if options.cache == "state":
        return {FORWARD: (StatefulDecoder(decoder).eval(), (tokens, positions, last))}
    shape = (1, config.kv_heads, options.context, config.head_dim)
    caches = [torch.zeros(shape) for _ in range(2 * config.layers)]
    prefill = FunctionalDecoder(decoder, chunked=True).eval()
    decode = FunctionalDecoder(decoder, chunked=False).eval()
    return {
        PREFILL: (prefill, (tokens, positions, last, *caches)),
        DECODE: (decode, (tokens[:, :1], positions[:1], *caches)),
    }


def exported(decoder: Decoder, options: ExportOptions) -> dict[str, Any]:
    """Return the ``torch.export.ExportedProgram`` of each method."""
    programs = {}
    for name, (module, inputs) in modules(decoder, options).items():
        _LOGGER.info("exporting %s", name)
        shapes = None
        if options.cache == "state":
            length = torch.export.Dim("length", min=1, max=options.chunk)
            shapes = {"tokens": {1: length}, "positions": {0: length}, "last": None}
        with torch.no_grad():
            programs[name] = torch.export.export(module, inputs, dynamic_shapes=shapes)
    return programs


def partitioner(programs: Mapping[str, Any], options: ExportOptions) -> CoreMLPartitioner:
    """Return the partitioner that lowers the methods whole."""
    ct = coremltools()
    specs = CoreMLBackend.generate_compile_specs(
        compute_unit=ct.ComputeUnit[options.compute_unit.upper()],
        # States and models with several functions came with it.
        minimum_deployment_target=ct.target.iOS18,
        compute_precision=ct.precision(options.precision),
    )
    if options.cache == "state":
        shapes = {
            "tokens": [[1, options.chunk], [1, 1]],
            "positions": [[options.chunk], [1]],
        }
        specs.append(
            CoreMLBackend.generate_enumerated_shapes_compile_spec(programs[FORWARD], shapes)
        )
    else:
        strategy = MULTIMETHOD_WEIGHT_SHARING_STRATEGY.POSITIONAL
        specs.append(
            CoreMLBackend.generate_multimethod_weight_sharing_strategy_compile_spec(strategy)
        )
    return CoreMLPartitioner(compile_specs=specs, lower_full_graph=True)


def constants(config: DecoderConfig, options: ExportOptions) -> dict[str, Any]:
    """Return what the methods that return constants return."""
    values: dict[str, Any] = {
        CONTEXT: options.context,
        CHUNK: options.chunk,
        VOCABULARY: config.vocab_size,
        EOS: list(config.eos),
    }
    if config.bos is not None:
        values[BOS] = config.bos
    return values


def lowered(
    programs: Mapping[str, Any], partitioners: Any, constant_methods: Mapping[str, Any]
) -> Callable[[BinaryIO], object]:
    """Lower exported methods and return a function that writes the .pte to a file.

    Args:
        programs: Method name to ``ExportedProgram``.
        partitioners: In the order in which they choose nodes.
        constant_methods: Method name to the constant it returns.

    Raises:
        ExportError: ExecuTorch refuses the program.
        EtCoreMLError: Core ML does not take it whole.
    """
    try:
        edge = to_edge_transform_and_lower(
            dict(programs), partitioner=partitioners, constant_methods=dict(constant_methods)
        )
        # Inputs are read where the caller has them: a cache that is copied costs more than a step.
        planning = MemoryPlanningPass(alloc_graph_input=False)
        program = edge.to_executorch(ExecutorchBackendConfig(memory_planning_pass=planning))
    except EtCoreMLError:
        raise
    except Exception as error:  # executorch raises whatever its passes raise
        lines = str(error).strip().splitlines() or [""]
        raise ExportError(
            "ExecuTorch cannot lower the decoder", found=f"{type(error).__name__}: {lines[0]}"
        ) from error
    write: Callable[[BinaryIO], object] = program.write_to_file
    return write


def export_language_model(
    config: DecoderConfig, options: ExportOptions, folder: Path | None, seed: int = 0
) -> Callable[[BinaryIO], object]:
    """Lower a decoder to Core ML and return a function that writes its .pte to a file.

    Args:
        config: The decoder.
        options: What the program is to be.
        folder: Holds the weights; None for random ones.
        seed: Of random weights.

    Raises:
        UsageError, CheckpointError: The sizes or the weights do not fit.
        ExportError, LowerError, PartitionError: The decoder cannot be lowered.
    """
    _LOGGER.info("reading weights")
    programs = exported(make_decoder(config, options, folder, seed), options)
    return lowered(programs, [partitioner(programs, options)], constants(config, options))
