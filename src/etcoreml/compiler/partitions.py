"""Lower the partitions of one call of ExecuTorch.

What enters are the partitions of every method; what leaves is a delegate for each. Partitions that
are alike are converted once, also when the programs are lowered again because one of them failed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar

from executorch.exir.backend.backend_details import PreprocessResult
from executorch.exir.backend.compile_spec_schema import CompileSpec
from torch.export import ExportedProgram

from etcoreml.blob import write_blob
from etcoreml.compiler.alike import Lowered, reused
from etcoreml.compiler.apple_compiler import stored
from etcoreml.compiler.blame import Culprit, culprit
from etcoreml.compiler.convert import converted
from etcoreml.compiler.package import package_model
from etcoreml.compiler.resolution import tell_target
from etcoreml.compiler.specs import Options, decode_options
from etcoreml.errors import LowerError

_RESULTS: ContextVar[list[Lowered] | None] = ContextVar("_RESULTS", default=None)
"""What was lowered in the outermost call under way."""


class Unconverted(Exception):  # noqa: N818 - a signal between functions here, no error of a user
    """Partitions failed to convert, and the nodes at fault can be found.

    Attributes:
        error: The first failure.
    """

    def __init__(self, error: LowerError, find: Mapping[str, Callable[[], Culprit | None]]) -> None:
        super().__init__(str(error))
        self.error = error
        self._find = find

    def culprits(self) -> dict[str, Culprit]:
        """Return the node at fault of each method; takes conversions where it is not known."""
        found = {method: find() for method, find in self._find.items()}
        return {method: each for method, each in found.items() if each is not None}


@contextlib.contextmanager
def results_kept() -> Iterator[None]:
    """Keep results for partitions that are alike, until the end of the outermost block."""
    if _RESULTS.get() is not None:
        yield
        return
    token = _RESULTS.set([])
    try:
        yield
    finally:
        _RESULTS.reset(token)


@contextlib.contextmanager
def unconverted(method: str, program: ExportedProgram, options: Options) -> Iterator[None]:
    """Turn the failure of a conversion into ``Unconverted``."""
    try:
        yield
    except LowerError as error:
        failure = error
        raise Unconverted(
            failure, {method: lambda: culprit(program, options, failure)}
        ) from failure


def lower(program: ExportedProgram, compile_specs: Sequence[CompileSpec]) -> PreprocessResult:
    """Lower one partition.

    Args:
        program: The partition in edge dialect.
        compile_specs: Its options.

    Returns:
        The blob, and debug symbol to debug handles.

    Raises:
        CompileSpecError: An option is unknown, or cannot be honoured here.
        CompilerError: A compiled model was asked for, and Apple's compiler is missing or failed.
        LowerError: The partition could not be converted.
    """
    results = _RESULTS.get()
    known = None if results is None else reused(program, compile_specs, results)
    if known is not None:
        tell_target(compile_specs, known.spec_version)
        return known.result
    options = decode_options(compile_specs)
    with converted(program, options) as (model, debug_info):
        spec_version = model.spec.specificationVersion
        tell_target(compile_specs, spec_version)
        with stored(package_model(model, debug_info), options.model_type) as package:
            blob = write_blob(package.directory)
    result = PreprocessResult(
        processed_bytes=blob,
        debug_handle_map=None if package.handles is None else dict(package.handles),
    )
    if results is not None:
        results.append(Lowered(program, compile_specs, result, spec_version))
    return result


def lower_each(
    edge_programs: Mapping[str, Sequence[ExportedProgram]],
    compile_specs: Mapping[str, Sequence[Sequence[CompileSpec]]],
) -> dict[str, list[PreprocessResult]]:
    """Lower the partitions of all methods, each on its own.

    Args:
        edge_programs: Method name to its partitions.
        compile_specs: Method name to the options of each partition.

    Raises:
        CompileSpecError: As ``lower``.
        Unconverted: A partition failed to convert.
    """
    results: dict[str, list[PreprocessResult]] = {}
    for method, programs in edge_programs.items():
        results[method] = []
        for program, specs in zip(programs, compile_specs[method], strict=True):
            with unconverted(method, program, decode_options(specs)):
                results[method].append(lower(program, specs))
    return results
