"""A model lowered on the way to something else, with its ETRecord; and what is in a .pte."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from etcoreml.atomic import write_atomic
from etcoreml.choices import Precision
from etcoreml.cli import render
from etcoreml.mil.program import Function

if TYPE_CHECKING:
    from etcoreml.partition import DelegationReport


@dataclass(frozen=True)
class Recorded:
    """A lowered model.

    Attributes:
        pte: The program.
        etrecord: Its ETRecord, with the example inputs.
        report: What became of each node.
    """

    pte: Path
    etrecord: Path
    report: DelegationReport


def lowered_with_record(
    model: str, folder: Path, precision: Precision = "float16"
) -> tuple[Path, Path]:
    """Lower a model; returns the .pte and the ETRecord. As `recorded`."""
    found = recorded(model, folder, precision)
    return found.pte, found.etrecord


def recorded(model: str, folder: Path, precision: Precision = "float16") -> Recorded:
    """Lower a model.

    Args:
        model: What ``etcoreml export`` takes.
        folder: Where to write both.
        precision: Compute precision.

    Raises:
        UsageError, ExportError: The model is none, or cannot be exported.
        EtCoreMLError: It cannot be lowered.
    """
    from etcoreml.cli.model_source import check_model, exported_program

    check_model(model)
    with render.stage("Loading torch, executorch and coremltools"):
        from etcoreml.cli.lowering import lower, serialised, write_record
        from etcoreml.compiler import CoreMLBackend
        from etcoreml.mil.ct import coremltools
        from etcoreml.partition import CoreMLPartitioner

        specs = CoreMLBackend.generate_compile_specs(
            compute_precision=coremltools().precision(precision)
        )
    with render.stage(f"Exporting {model}"):
        program = exported_program(model)
    with render.stage("Lowering to Core ML"):
        partitioner = CoreMLPartitioner(compile_specs=specs)
        lowered = lower(model, program, partitioner, records=True)
        write, record = serialised(model, lowered)
        pte, etrecord = folder / "model.pte", folder / "model.etrecord"
        write_atomic(pte, write)
        write_record(record, program, etrecord)
    return Recorded(pte, etrecord, partitioner.report)


def core_ml_functions(pte: Path, method: str | None = None) -> list[Function]:
    """Return the functions of the Core ML delegates of a method, or of all methods."""
    from etcoreml.runtime.embedded import embedded_functions
    from etcoreml.runtime.pte import read_pte

    return [
        each.function
        for found, _, each in embedded_functions(read_pte(pte))
        if method in (None, found.name)
    ]
