"""Several methods in one Core ML model, so that weights they share are stored once.

What enters are the partitions of every method; what leaves is, per method and partition, a
reference to a model in the program's named data. The n-th partitions of all methods become one
model with a function per method; coremltools stores equal constants of the functions once.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence

from executorch.exir._serialize._named_data_store import NamedDataStore
from executorch.exir.backend.backend_details import PreprocessResult
from executorch.exir.backend.compile_spec_schema import CompileSpec
from torch.export import ExportedProgram

from etcoreml.blob import Reference, write_blob, write_reference
from etcoreml.compiler.convert import combined, converted
from etcoreml.compiler.package import package_functions, read_interface
from etcoreml.compiler.partitions import unconverted
from etcoreml.compiler.specs import (
    COMPILE_SPEC_KEYS,
    MULTIMETHOD_WEIGHT_SHARING_STRATEGY,
    decode,
    decode_options,
)
from etcoreml.errors import CompileSpecError, LowerError


def shares_weights(compile_specs: Mapping[str, Sequence[Sequence[CompileSpec]]]) -> bool:
    """Whether the methods of a program are to be joined.

    Args:
        compile_specs: Method name to the options of each of its partitions.

    Raises:
        CompileSpecError: The partitions ask for different strategies.
    """
    strategies: set[MULTIMETHOD_WEIGHT_SHARING_STRATEGY] = {
        decode(COMPILE_SPEC_KEYS.MULTIMETHOD_WEIGHT_SHARING_STRATEGY, specs)
        for each in compile_specs.values()
        for specs in each
    }
    if len(strategies) > 1:
        what = "lowering: the methods ask for different weight sharing"
        raise CompileSpecError(
            what,
            found=", ".join(sorted(str(strategy.value) for strategy in strategies)),
            expected="one strategy for all methods",
        )
    methods = [name for name, each in compile_specs.items() if each]
    return len(methods) > 1 and strategies == {MULTIMETHOD_WEIGHT_SHARING_STRATEGY.POSITIONAL}


def preprocess_shared(
    edge_programs: Mapping[str, Sequence[ExportedProgram]],
    compile_specs: Mapping[str, Sequence[Sequence[CompileSpec]]],
) -> dict[str, list[PreprocessResult]]:
    """Lower all methods, the n-th partitions together.

    Args:
        edge_programs: Method name to its partitions.
        compile_specs: Method name to the options of each partition.

    Raises:
        LowerError: The methods have different numbers of partitions.
        Unconverted: A partition failed to convert.
    """
    methods = {name: programs for name, programs in edge_programs.items() if programs}
    counts = {name: len(programs) for name, programs in methods.items()}
    if len(set(counts.values())) > 1:
        what = "lowering: POSITIONAL weight sharing needs the same number of partitions per method"
        raise LowerError(
            what,
            found=", ".join(f"{name}: {count}" for name, count in counts.items()),
            hint="Use MULTIMETHOD_WEIGHT_SHARING_STRATEGY.DISABLED to lower each on its own.",
        )
    store = NamedDataStore()
    keys = []
    for index in range(next(iter(counts.values()))):
        each = {name: programs[index] for name, programs in methods.items()}
        specs = {name: compile_specs[name][index] for name in methods}
        key, blob = _lower_together(each, specs)
        store.add_named_data(key, blob)
        keys.append(key)
    shared = store.get_named_data_store_output()
    results: dict[str, list[PreprocessResult]] = {name: [] for name in edge_programs}
    for name in methods:
        results[name] = [_reference(key, name, shared) for key in keys]
    return results


def _lower_together(
    programs: Mapping[str, ExportedProgram], compile_specs: Mapping[str, Sequence[CompileSpec]]
) -> tuple[str, bytes]:
    """Return the named-data key and the blob of a model with a function per method."""
    with contextlib.ExitStack() as stack:
        options = {name: decode_options(specs) for name, specs in compile_specs.items()}
        models = {}
        for name, program in programs.items():
            with unconverted(name, program, options[name]):
                models[name], _ = stack.enter_context(converted(program, options[name]))
        interfaces = {
            name: read_interface(model.spec.description) for name, model in models.items()
        }
        model = stack.enter_context(combined(models, options.values()))
        package = package_functions(model, interfaces)
        return f"coreml_{package.identifier}", write_blob(package.directory)


def _reference(key: str, method: str, shared: object) -> PreprocessResult:
    """Return a delegate that stands for one function of a stored model."""
    return PreprocessResult(
        processed_bytes=write_reference(Reference(key, method)), data_store_output=shared
    )
