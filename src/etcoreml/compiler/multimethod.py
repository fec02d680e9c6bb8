"""Several methods in one Core ML model, so that weights they share are stored once.

What enters are the partitions of every method; what leaves is, per method and partition, a
reference to a model in the program's named data. The n-th partitions of all methods become one
model with a function per method; coremltools stores equal constants of the functions once.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping, Sequence

from executorch.exir._serialize._named_data_store import NamedDataStore
from executorch.exir.backend.backend_details import PreprocessResult
from executorch.exir.backend.compile_spec_schema import CompileSpec
from torch.export import ExportedProgram

from etcoreml.blob import Reference, write_blob, write_reference
from etcoreml.compiler.apple_compiler import stored
from etcoreml.compiler.convert import combined, converted
from etcoreml.compiler.package import Handles, kept_handles, package_functions, read_interface
from etcoreml.compiler.partitions import lower_each, unconverted
from etcoreml.compiler.resolution import tell_target
from etcoreml.compiler.specs import (
    COMPILE_SPEC_KEYS,
    MULTIMETHOD_WEIGHT_SHARING_STRATEGY,
    ModelType,
    Options,
    decode,
    decode_options,
)
from etcoreml.errors import CompileSpecError

_LOGGER = logging.getLogger(__name__)


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
    """Lower all methods, the n-th partitions of methods with equally many together.

    A method that no other matches is lowered on its own, which is logged.

    Args:
        edge_programs: Method name to its partitions.
        compile_specs: Method name to the options of each partition.

    Raises:
        CompileSpecError: Partitions to be joined ask for different model types.
        Unconverted: A partition failed to convert.
    """
    methods = {name: programs for name, programs in edge_programs.items() if programs}
    alone: list[str] = []
    results: dict[str, list[PreprocessResult]] = {name: [] for name in edge_programs}
    for count in dict.fromkeys(map(len, methods.values())):
        group = {name: each for name, each in methods.items() if len(each) == count}
        specs = {name: compile_specs[name] for name in group}
        if len(group) == 1:
            alone += group
            results |= lower_each(group, specs)
        else:
            results |= _join(group, specs)
    if alone:
        _LOGGER.warning(
            "POSITIONAL weight sharing joins methods with equally many partitions, and there are "
            "%s: the weights of %s are stored apart",
            ", ".join(f"{len(each)} in {name}" for name, each in methods.items()),
            " and ".join(alone),
        )
    return results


def _join(
    methods: Mapping[str, Sequence[ExportedProgram]],
    compile_specs: Mapping[str, Sequence[Sequence[CompileSpec]]],
) -> dict[str, list[PreprocessResult]]:
    """Lower methods with equally many partitions, the n-th of each together."""
    store = NamedDataStore()
    joined = []
    for index in range(len(next(iter(methods.values())))):
        each = {name: programs[index] for name, programs in methods.items()}
        specs = {name: compile_specs[name][index] for name in methods}
        key, blob, handles = _lower_together(each, specs)
        store.add_named_data(key, blob)
        joined.append((key, handles))
    shared = store.get_named_data_store_output()
    return {
        name: [
            PreprocessResult(
                processed_bytes=write_reference(Reference(key, name)),
                debug_handle_map=dict(handles[name]),
                data_store_output=shared,
            )
            for key, handles in joined
        ]
        for name in methods
    }


def _lower_together(
    programs: Mapping[str, ExportedProgram], compile_specs: Mapping[str, Sequence[CompileSpec]]
) -> tuple[str, bytes, dict[str, Handles]]:
    """Return the named-data key, blob and debug handles of a model with a function per method."""
    options = {name: decode_options(specs) for name, specs in compile_specs.items()}
    model_type = _common_model_type(options)
    with contextlib.ExitStack() as stack:
        models = {}
        handles: dict[str, Handles] = {}
        for name, program in programs.items():
            with unconverted(name, program, options[name]):
                models[name], info = stack.enter_context(converted(program, options[name]))
                handles[name] = info.delegate_map
        interfaces = {
            name: read_interface(model.spec.description) for name, model in models.items()
        }
        model = stack.enter_context(combined(models, options.values()))
        for each in compile_specs.values():
            tell_target(each, model.spec.specificationVersion)
        exact = {name: kept_handles(model, name, each) for name, each in handles.items()}
        package = stack.enter_context(stored(package_functions(model, interfaces), model_type))
        return f"coreml_{package.identifier}", write_blob(package.directory), exact


def _common_model_type(options: Mapping[str, Options]) -> ModelType:
    """Return the model type of methods that become one model."""
    asked = {name: each.model_type for name, each in options.items()}
    if len(set(asked.values())) > 1:
        what = "lowering: methods that share weights ask for different model types"
        raise CompileSpecError(
            what,
            found=", ".join(f"{each.value} for {name}" for name, each in asked.items()),
            expected="one model type for all methods",
        )
    return next(iter(asked.values()))
