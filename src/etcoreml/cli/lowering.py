"""ExecuTorch's part of an export, with its failures as errors of ours."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from etcoreml.atomic import write_atomic
from etcoreml.cli.model_source import export_error
from etcoreml.errors import EtCoreMLError
from etcoreml.imports import quiet_imports
from etcoreml.trace.record import restore_constants

with quiet_imports():
    from executorch.exir import to_edge_transform_and_lower


def lower(model: str, program: Any, partitioner: Any, *, records: bool = False) -> Any:
    """Return the edge program manager of a lowered program.

    Args:
        model: What to call the model in an error.
        program: The ExportedProgram.
        partitioner: Our partitioner.
        records: Whether to keep what an ETRecord needs, a copy of the graph among it.

    Raises:
        ExportError: ExecuTorch refuses the program.
        EtCoreMLError: Core ML does, as the partitioner was told to have it.
    """
    try:
        return to_edge_transform_and_lower(
            program, partitioner=[partitioner], generate_etrecord=records
        )
    except EtCoreMLError:
        raise
    except Exception as error:  # executorch raises whatever its passes raise
        raise export_error(f"ExecuTorch cannot lower '{model}'", error) from error


def serialised(model: str, lowered: Any) -> tuple[Callable[[BinaryIO], object], Any]:
    """Return a function that writes a lowered program to a file, and its ETRecord or None.

    Args:
        model: What to call the model in an error.
        lowered: The edge program manager.

    Raises:
        ExportError: ExecuTorch cannot plan or serialise the program.
    """
    try:
        program = lowered.to_executorch()
    except Exception as error:  # executorch raises whatever its passes raise
        raise export_error(f"ExecuTorch cannot write '{model}'", error) from error
    write: Callable[[BinaryIO], object] = program.write_to_file
    return write, program._etrecord


def write_record(record: Any, program: Any, path: Path) -> None:
    """Write an ETRecord with the example inputs that the program was exported with.

    Args:
        record: From `serialised`.
        program: The ExportedProgram.
        path: The file.

    Raises:
        UsageError: It cannot be written.
    """
    restore_constants(record)
    inputs = program.example_inputs
    if inputs is not None and not inputs[1]:
        record.update_representative_inputs(inputs[0])
    with tempfile.TemporaryDirectory(prefix="etcoreml-etrecord-") as folder:
        made = Path(folder, "record")
        record.save(str(made))
        data = made.read_bytes()
    write_atomic(path, lambda file: file.write(data))
