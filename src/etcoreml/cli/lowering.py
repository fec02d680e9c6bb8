"""ExecuTorch's part of an export, with its failures as errors of ours."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, BinaryIO

from etcoreml.cli.model_source import export_error
from etcoreml.errors import EtCoreMLError
from etcoreml.imports import quiet_imports

with quiet_imports():
    from executorch.exir import to_edge_transform_and_lower


def lower(model: str, program: Any, partitioner: Any) -> Any:
    """Return the edge program manager of a lowered program.

    Args:
        model: What to call the model in an error.
        program: The ExportedProgram.
        partitioner: Our partitioner.

    Raises:
        ExportError: ExecuTorch refuses the program.
        EtCoreMLError: Core ML does, as the partitioner was told to have it.
    """
    try:
        return to_edge_transform_and_lower(program, partitioner=[partitioner])
    except EtCoreMLError:
        raise
    except Exception as error:  # executorch raises whatever its passes raise
        raise export_error(f"ExecuTorch cannot lower '{model}'", error) from error


def serialised(model: str, lowered: Any) -> Callable[[BinaryIO], object]:
    """Return a function that writes a lowered program to a file.

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
    return write
