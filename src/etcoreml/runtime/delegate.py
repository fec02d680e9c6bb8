"""The delegate's Python side: from the bytes in a .pte to something the bridge can execute.

Called by the native bridge while ExecuTorch loads a method; never by users.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping

from etcoreml.blob import Directory
from etcoreml.engine import compile_function
from etcoreml.engine.devices import PREFERENCES
from etcoreml.errors import CompileSpecError, EtCoreMLError, PackageError
from etcoreml.mil import load_package
from etcoreml.runtime.binding import BoundMethod
from etcoreml.runtime.load_options import given_options
from etcoreml.runtime.payload import MODELS, NamedData, Payload, open_payload
from etcoreml.runtime.traced import (
    INTERMEDIATES,
    NO_TRACE,
    TracedMethod,
    traced_operations,
    traced_values,
)

COMPUTE_UNITS = tuple(PREFERENCES)


def init(
    processed: memoryview,
    compile_specs: Mapping[str, bytes],
    named_data: NamedData,
    method: str,
    options: Mapping[str, object],
    trace_level: int = NO_TRACE,
) -> BoundMethod:
    """Load one delegate.

    Args:
        processed: The delegate's payload: a blob, or a ``CMJR`` reference to one.
        compile_specs: The specs the model was lowered with, by key.
        named_data: The program's named data; valid during this call only.
        method: Name of the ExecuTorch method that is being loaded.
        options: Run-time backend options, by key. They go before those of `etcoreml.load`.
        trace_level: What an ETDump is to hold, see ``traced.py``.

    Returns:
        The compiled method, ready to bind arguments.

    Raises:
        BlobError: The payload breaks a rule of the format.
        ModelError: The payload holds no ML Program that can be loaded.
        EngineError: The portable engine cannot translate or compile the program.
        OptionError: The numerics mode is unknown.
        CompileSpecError: The compute unit is unknown, or the run-time option ``cache_dir`` no
            string.
    """
    options = {**given_options(), **options}
    with _located(f"method '{method}'"):
        compute_unit = _compute_unit(compile_specs, options)
        numerics = str(options.get("numerics", "fast"))
        payload = open_payload(processed, named_data)
        program = load_package(_model(payload))
        compiled = functools.partial(
            compile_function,
            program,
            function=payload.function,
            compute_unit=compute_unit,
            cache_dir=_cache_dir(options),
            numerics=numerics,
        )
        function = program.function(payload.function)
        signature = program.signatures.get(function.name)
        features = signature.inputs if signature else ()
        if trace_level == NO_TRACE:
            return BoundMethod(compiled(), payload.method, features)
        operations = traced_operations(function)
        shows_values = trace_level == INTERMEDIATES and bool(
            options.get("intermediate_outputs", True)
        )
        values = traced_values(operations, payload.directory) if shows_values else []
        outputs = {each.name for each in function.outputs}
        session = compiled(profiling=True, taps=[name for name in values if name not in outputs])
        return TracedMethod(
            session,
            payload.method,
            features,
            function,
            set(values),
            numerics=numerics,
        )


def _model(payload: Payload) -> Directory:
    if payload.model is not None:
        return payload.model
    raise PackageError(
        "the blob holds no model",
        found=", ".join(sorted(payload.directory.children)) or "an empty directory",
        expected=f"a directory {' or '.join(MODELS)}",
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


def _cache_dir(options: Mapping[str, object]) -> str | None:
    value = options.get("cache_dir")
    if value is None or isinstance(value, str):
        return value
    raise CompileSpecError(
        "the run-time option cache_dir is no path", found=repr(value), expected="a string"
    )


@contextlib.contextmanager
def _located(where: str) -> Iterator[None]:
    """Say in an error's message which method was being loaded."""
    try:
        yield
    except EtCoreMLError as error:
        error.what = f"{where}: {error.what}"
        raise
