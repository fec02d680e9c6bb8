"""Convert one partition to a Core ML model.

What enters is an edge program (a ``torch.export.ExportedProgram``) and the decoded options; what
leaves is a ``MilModel``, whose weights lie in a scratch directory that lives as long as the
``with`` block.
"""

from __future__ import annotations

import contextlib
import copy
import gc
import logging
import re
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.fx import Graph, GraphModule

from etcoreml.compiler.compression import compress, quantize_linearly
from etcoreml.compiler.decompositions import expand
from etcoreml.compiler.enumerated_shapes import Symbol, symbolic_inputs
from etcoreml.compiler.garbage import only_new_garbage
from etcoreml.compiler.lowest_target import (
    lowest_target,
    target_of_compression,
    target_of_weights,
)
from etcoreml.compiler.mil_model import MilModel, convert
from etcoreml.compiler.package import DebugInfo, read_debug_info, read_handles
from etcoreml.compiler.positions import positions
from etcoreml.compiler.quiet import VERBOSE_VARIABLE, quiet
from etcoreml.compiler.rewrites import exchange_as_float32, fill_defaults, store_as_int32
from etcoreml.compiler.scratch import scratch, written_into
from etcoreml.compiler.shortcuts import shortcuts
from etcoreml.compiler.specs import Options
from etcoreml.compiler.torch_ops import own_converters
from etcoreml.errors import CompileSpecError, DeploymentTargetError, EtCoreMLError, LowerError
from etcoreml.mil.ct import coremltools

ct = coremltools()

_LOGGER = logging.getLogger(__name__)

# coremltools keeps names, scopes and converters in process-wide tables.
_CONVERSION = threading.RLock()

MACHINE_FAILURES = (OSError, MemoryError)
"""Causes that any partition would meet, such as a full disk: no node is at fault."""

# Goes through the nodes of a program; where it failed tells which one did.
_CONVERT_NODES = ct.converters.mil.frontend.torch.ops.convert_nodes.__code__

_ENUMERATED_DTYPES = {
    torch.float16: "fp16",
    torch.float32: "fp32",
    torch.int32: "int32",
}


@contextlib.contextmanager
def converted(program: ExportedProgram, options: Options) -> Iterator[tuple[MilModel, DebugInfo]]:
    """Convert a partition and yield its model and debug information.

    Without a deployment target it is converted for the lowest that it needs.

    Args:
        program: The partition in edge dialect.
        options: Decoded compile specs.

    Yields:
        The model, whose weights are gone after the block, and the debug information.

    Raises:
        CompileSpecError: An option cannot be honoured on this machine or for this partition.
        DeploymentTargetError: The partition needs a newer deployment target.
        LowerError: coremltools failed, or the model cannot serve as a delegate.
    """
    raises = options.deployment_target is None
    if raises:
        options = replace(options, deployment_target=lowest_target(program, options))
    with contextlib.ExitStack() as stack:
        while True:
            try:
                made = stack.enter_context(_converted(program, options))
                break
            except DeploymentTargetError as error:
                if not raises or error.needed is None:
                    raise
                options = replace(options, deployment_target=error.needed)
        yield made


@contextlib.contextmanager
def _converted(program: ExportedProgram, options: Options) -> Iterator[tuple[MilModel, DebugInfo]]:
    """Convert a partition for the deployment target of its options."""
    _check_options(program, options)
    calls = sum(node.op == "call_function" for node in program.graph.nodes)
    _LOGGER.info("converting %d node%s", calls, "" if calls == 1 else "s")
    _check_initial_state(program)
    names = {node.name for node in program.graph.nodes}
    keeps_fp32: frozenset[int] = frozenset()
    if options.compute_precision is ct.precision.FLOAT16:
        keeps_fp32 = _handles_of(program.graph, options.float32_nodes | positions(program))
    program = isolated(program)
    if expand(program.graph):
        program.graph.eliminate_dead_code()
    fill_defaults(program)
    store_as_int32(program)
    if options.target < ct.target.iOS16:
        exchange_as_float32(program)
    with scratch() as directory:
        with (
            _converting(directory),
            own_converters(),
            shortcuts(),
            _garbage(),
            _translated(options, program.graph, names),
        ):
            weights = directory / "weights"
            weights.mkdir()
            inputs = _enumerated_inputs(program, options)
            model, mil_program = convert(program, options, inputs, weights, keeps_fp32)
            handles = read_handles(mil_program)
            if options.compresses:
                compressed = _compressed(model.to_coremltools(mil_program), options)
                model, mil_program = MilModel.of(compressed), compressed._mil_program
            debug_info = read_debug_info(mil_program, handles)
            mil_program = None  # a copy of the weights goes with it, before the next is made
        _check_interface(model.spec, options)
        yield model, debug_info


def _handles_of(graph: Graph, names: Collection[str]) -> frozenset[int]:
    """Return the debug handles of the nodes with some names, where the graph has them."""
    found = (node.meta.get("debug_handle") for node in graph.nodes if node.name in names)
    return frozenset(each for each in found if each is not None)


def isolated(program: ExportedProgram) -> ExportedProgram:
    """Return a copy whose graph can be changed; its tensors are the original's."""
    copied = copy.copy(program)
    module = program.graph_module
    copied._graph_module = GraphModule(module, copy.deepcopy(module.graph))
    return copied


@contextlib.contextmanager
def combined(models: Mapping[str, MilModel], options: Iterable[Options]) -> Iterator[MilModel]:
    """Join models into one with a function each and yield it.

    Args:
        models: Function name to model; the first becomes the default function.
        options: The options the models were converted with.

    Raises:
        DeploymentTargetError: A model was asked to run on a system without functions.
        LowerError: coremltools failed.
    """
    for each in options:
        if each.deployment_target is not None and each.target < ct.target.iOS18:
            what = "lowering: a model with several functions needs a newer deployment target"
            raise _target_error(what, each.target.name, ct.target.iOS18)
    with scratch() as directory:
        with _converting(directory), _translated():
            functions = ct.utils.MultiFunctionDescriptor()
            for name, model in models.items():
                functions.add_function(model.to_coremltools().package_path, "main", name)
            functions.default_function_name = next(iter(models))
            path = str(directory / "combined.mlpackage")
            ct.utils.save_multifunction(functions, path)
            joined = MilModel.of(ct.models.MLModel(path, skip_model_load=True))
        yield joined


@contextlib.contextmanager
def _converting(directory: Path) -> Iterator[None]:
    """Let coremltools work for one thread, silently, and put its files into a directory.

    What follows the conversion, such as Apple's compiler at the other end of a network, may take
    minutes: other threads convert meanwhile.
    """
    with _CONVERSION, written_into(directory), quiet():
        yield


@contextlib.contextmanager
def _garbage() -> Iterator[None]:
    """Collect the body's garbage at its end: a MIL program is full of cycles and holds weights.

    What exists at the beginning, all of torch, is not looked at: the cost follows the body.
    """
    with only_new_garbage():
        try:
            yield
        finally:
            gc.collect()


@contextlib.contextmanager
def _translated(
    options: Options | None = None, graph: Graph | None = None, names: Collection[str] = ()
) -> Iterator[None]:
    """Turn coremltools' exceptions into ours, and leave it fit for the next conversion.

    Args:
        options: The options of a conversion.
        graph: The graph that is converted.
        names: Names of its nodes before rewrites.
    """
    try:
        yield
    except EtCoreMLError:
        raise
    except Exception as error:
        # A failure leaves names of the broken program behind, and the next one would differ.
        ct.converters.mil.converter._reset_conversion_state()
        node = None if graph is None else _node_at(error, graph, names)
        raise _lower_error(error, options, node) from error


def _node_at(error: BaseException, graph: Graph, names: Collection[str]) -> str | None:
    """Return the name of the node that was being converted when coremltools failed.

    A node that a rewrite made stands for the first node of ``names`` that is computed from it.
    """
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code is not _CONVERT_NODES:
        trace = trace.tb_next
    if trace is None or "node" not in trace.tb_frame.f_locals:
        return None
    name = trace.tb_frame.f_locals["node"].name
    reached = [each for each in graph.nodes if each.name == name]
    for node in reached:  # grows
        if node.name in names:
            return str(node.name)
        reached.extend(node.users)
    return None


def _check_options(program: ExportedProgram, options: Options) -> None:
    """Refuse what this version cannot honour."""
    if options.quantizer_config is not None and options.weight_compression is not None:
        what = "lowering: op_linear_quantizer_config and weight_compression exclude each other"
        raise CompileSpecError(
            what, hint="Make the quantiser a step of weight_compression: OpLinearQuantizerConfig."
        )
    if options.float32_nodes and options.compute_precision is not ct.precision.FLOAT16:
        what = "lowering: float32_nodes are the exceptions of a model in fp16"
        raise CompileSpecError(
            what, found="compute_precision=FLOAT32", expected="compute_precision=FLOAT16"
        )
    needed = max(target_of_compression(options), target_of_weights(program))
    if options.target < needed:
        what = "lowering: weights compressed in this way need a newer deployment target"
        raise _target_error(what, options.target.name, needed)


def _enumerated_inputs(program: ExportedProgram, options: Options) -> list[Any] | None:
    """Return coremltools input types for enumerated shapes, or None to derive them."""
    table = options.enumerated_shapes
    if table is None:
        return None
    dtypes = {
        node.name: node.meta["val"].dtype
        for node in program.graph.nodes
        if "val" in node.meta and hasattr(node.meta["val"], "dtype")
    }
    inputs, enumerated = [], []
    for name, symbols in symbolic_inputs(program):
        if dtypes[name] not in _ENUMERATED_DTYPES:
            what = f"lowering: input {name} cannot take part in enumerated shapes"
            raise CompileSpecError(what, found=dtypes[name], expected="float16, float32 or int32")
        dtype = getattr(ct.converters.mil.mil.types, _ENUMERATED_DTYPES[dtypes[name]])
        shape: Any = symbols
        if any(isinstance(size, Symbol) for size in symbols):
            enumerated.append(name)
            shape = ct.EnumeratedShapes(shapes=table.of(symbols))
        inputs.append(ct.TensorType(name=name, shape=shape, dtype=dtype))
    if len(enumerated) > 1 and options.target < ct.target.iOS18:
        what = "lowering: several inputs with enumerated shapes need a newer deployment target"
        found = f"{options.target.name} and the inputs {', '.join(enumerated)}"
        raise _target_error(what, found, ct.target.iOS18)
    return inputs


def _compressed(model: Any, options: Options) -> Any:
    try:
        with _translated(options):
            if options.quantizer_config is not None:
                return quantize_linearly(model, options.quantizer_config)
            return compress(model, options.weight_compression or ())
    except LowerError as error:
        error.by_option = True
        raise


def _check_initial_state(program: ExportedProgram) -> None:
    """Refuse a mutable buffer whose initial value Core ML would replace by zeros."""
    for name in program.graph_signature.buffers_to_mutate.values():
        buffer = program.state_dict.get(name, program.constants.get(name))
        if isinstance(buffer, torch.Tensor) and bool(torch.count_nonzero(buffer)):
            what = f"lowering: the initial value of mutable buffer {name} would be lost"
            raise LowerError(
                what,
                found="values other than zero",
                expected="zeros, which is how Core ML starts every state",
                hint="Pass take_over_mutable_buffer=False to CoreMLPartitioner.",
            )


def _check_interface(spec: Any, options: Options) -> None:
    """Refuse a model that the runtime cannot call."""
    description = spec.description
    if not description.output:
        what = "lowering: the partition has no outputs"
        raise LowerError(what, expected="at least one output: Core ML has no model without")
    if not description.input and options.target < ct.target.iOS18:
        what = "lowering: a model without inputs needs a newer deployment target"
        raise _target_error(what, options.target.name, ct.target.iOS18)


def _target_error(what: str, found: str, needed: Any) -> DeploymentTargetError:
    """Return the error of a deployment target that is too old, with the remedy."""
    error = DeploymentTargetError(
        what,
        found=found,
        expected=needed.name,
        hint="Pass CoreMLPartitioner(compile_specs=CoreMLBackend.generate_compile_specs("
        f"minimum_deployment_target=ct.target.{needed.name})).",
    )
    error.needed = needed
    return error


def _lower_error(error: Exception, options: Options | None, node: str | None) -> LowerError:
    """Return our error for one of coremltools; one that names a newer target gets the remedy."""
    translated = _without_node(error, options, "" if node is None else f", at node {node}")
    translated.node = node
    return translated


def _without_node(error: Exception, options: Options | None, where: str) -> LowerError:
    found = f"{type(error).__name__}: {error}".strip()
    if options is not None:
        named = set(map(int, re.findall(r"iOS\s?(\d+)", str(error))))
        newer = [t for t in ct.target if t > options.target and int(t.name[3:]) in named]
        if newer:
            what = f"lowering: the partition needs a newer deployment target{where}"
            return _target_error(what, f"{options.target.name} ({found})", newer[-1])
    what = f"lowering: coremltools could not convert the partition{where}"
    return LowerError(
        what,
        found=found,
        hint="Leave the op at fault outside with CoreMLPartitioner(skip_ops_for_coreml_delegation="
        f'["aten.name.overload"]); {VERBOSE_VARIABLE}=1 shows what coremltools says.',
    )
