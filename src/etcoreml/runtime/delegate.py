"""The delegate's Python side: from the bytes in a .pte to something the bridge can execute.

Called by the native bridge while ExecuTorch loads a method; never by users.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Protocol

from etcoreml.blob import Directory, is_reference, read_blob, read_reference
from etcoreml.engine import compile_function
from etcoreml.errors import BlobReferenceError, CompileSpecError, EtCoreMLError, PackageError
from etcoreml.mil import load_package
from etcoreml.runtime.binding import BoundMethod
from etcoreml.runtime.metadata import parse_metadata

COMPUTE_UNITS = ("all", "cpu_only", "cpu_and_gpu", "cpu_and_ne")


class NamedData(Protocol):
    """The program's named data, as the bridge lends it during `init`."""

    def keys(self) -> list[str]:
        """Return the keys."""

    def get(self, key: str) -> memoryview | None:
        """Return the bytes under ``key``, or None."""


def init(
    processed: memoryview,
    compile_specs: Mapping[str, bytes],
    named_data: NamedData,
    method: str,
    options: Mapping[str, object],
) -> BoundMethod:
    """Load one delegate.

    Args:
        processed: The delegate's payload: a blob, or a ``CMJR`` reference to one.
        compile_specs: The specs the model was lowered with, by key.
        named_data: The program's named data; valid during this call only.
        method: Name of the ExecuTorch method that is being loaded.
        options: Run-time backend options, by key.

    Returns:
        The compiled method, ready to bind arguments.

    Raises:
        BlobError: The payload breaks a rule of the format.
        ModelError: The payload holds no ML Program that can be loaded.
        EngineError: The portable engine cannot translate or compile the program.
        CompileSpecError: The compute unit is unknown.
    """
    with _located(f"method '{method}'"):
        compute_unit = _compute_unit(compile_specs, options)
        function = None
        if is_reference(processed):
            reference = read_reference(processed)
            function = reference.function_name
            processed = _resolve(reference.key, named_data)
        directory = read_blob(processed)
        metadata = parse_metadata(directory.read("metadata.json"))
        program = load_package(_package(directory))
        session = compile_function(program, function=function, compute_unit=compute_unit)
        return BoundMethod(session, metadata.method(function))


def _resolve(key: str, named_data: NamedData) -> memoryview:
    data = named_data.get(key)
    if data is None:
        raise BlobReferenceError(
            f"the CMJR reference names data '{key}', which the program does not carry",
            found=", ".join(named_data.keys()) or "no named data",
        )
    return data


def _package(directory: Directory) -> Directory:
    package = directory.find("model.mlpackage")
    if isinstance(package, Directory):
        return package
    if directory.find("model.mlmodelc") is not None:
        raise PackageError(
            "the blob holds a compiled model (model.mlmodelc), which the portable engine "
            "cannot read yet",
            hint="Lower with model_type=CoreMLBackend.MODEL_TYPE.MODEL to run it here.",
        )
    raise PackageError(
        "the blob holds no model",
        found=", ".join(sorted(directory.children)) or "an empty directory",
        expected="a directory model.mlpackage",
    )


def _compute_unit(compile_specs: Mapping[str, bytes], options: Mapping[str, object]) -> str:
    """Return the compute unit; a run-time option goes before the compile spec."""
    value = options.get("compute_unit")
    if value is None:
        value = bytes(compile_specs.get("compute_units", b"all")).decode("utf-8", "replace")
    if value not in COMPUTE_UNITS:
        raise CompileSpecError(
            "unknown compute unit", found=repr(value), expected=", ".join(COMPUTE_UNITS)
        )
    return str(value)


@contextlib.contextmanager
def _located(where: str) -> Iterator[None]:
    """Say in an error's message which method was being loaded."""
    try:
        yield
    except EtCoreMLError as error:
        error.what = f"{where}: {error.what}"
        raise
