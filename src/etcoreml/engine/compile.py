"""A program's function to a session.

Enters: :class:`MilProgram`. Leaves: :class:`Session`, compiled for the devices of this machine.
"""

from __future__ import annotations

import contextlib
import functools
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import openvino as ov

from etcoreml.engine.cache import ModelCache, cache_directory
from etcoreml.engine.cache_entry import Description
from etcoreml.engine.cache_key import cache_key
from etcoreml.engine.devices import choose_devices, device_string
from etcoreml.engine.fork import core, is_child
from etcoreml.engine.graph import partial_sizes, writable_alias
from etcoreml.engine.kernels import instruction_set
from etcoreml.engine.numerics import check_numerics, precision
from etcoreml.engine.scope import Labels
from etcoreml.engine.session import Port, Session
from etcoreml.engine.translate import TAP, translate
from etcoreml.errors import EngineError, OptionError
from etcoreml.mapped import MappedFile
from etcoreml.mil.program import DictionaryType, MilProgram, StateType, TensorType
from etcoreml.mil.program import Output as MilOutput
from etcoreml.types import BY_NAME, BY_OPENVINO

# Elements of all constants and intermediate values together.
_TINY_ELEMENTS = 1024

# Kernels that check their indices, and those with graphs inside.
_FALLIBLE = {"GatherElements", "If", "Loop", "TensorIterator"}

_MOST_THREADS = 2**31 - 1  # OpenVINO takes an int32

_SHORTCUT = ("NUM_STREAMS", "INFERENCE_NUM_THREADS")

# A model with fewer nodes and fewer bytes of weights is compiled within 20 ms.
_CACHED_NODES = 64
_CACHED_NBYTES = 4 << 20


def compile_function(
    program: MilProgram,
    *,
    function: str | None = None,
    compute_unit: str = "all",
    numerics: str = "fast",
    threads: int | None = None,
    profiling: bool = False,
    cache_dir: str | os.PathLike[str] | None = None,
    taps: Sequence[str] = (),
) -> Session:
    """Compile one function, or take it from the cache, see ``cache.py``.

    Args:
        program: The program.
        function: Its name; the program's default function if None.
        compute_unit: ``all``, ``cpu_only``, ``cpu_and_gpu`` or ``cpu_and_ne``.
        numerics: See ``numerics.py``.
        threads: CPU threads per inference; None leaves the choice to OpenVINO.
        profiling: Whether to time every op; costs about 1 %.
        cache_dir: Folder of the cache, ``""`` for none; None leaves it to the environment.
        taps: Names of MIL values to give as ``Session.taps``, where they are run-time tensors.
            A model with taps is not cached.

    Raises:
        ModelError: The program has no such function.
        OptionError: ``threads`` is no positive integer, or the numerics mode does not exist.
        FeatureTypeError: ``cache_dir`` is no path.
        UnsupportedOpError: An op, or one option of it, cannot be run.
        DeviceError: The compute unit is unknown.
        EngineError: OpenVINO cannot compile the model.
    """
    threads = _threads(threads)
    chosen = program.function(function)
    devices = choose_devices(compute_unit, core().available_devices)
    check_numerics(numerics)
    properties = functools.partial(_properties, numerics, threads, profiling)
    uses_kernels = _uses_kernels(devices, numerics)
    cache = _cache(program, devices, profiling or bool(taps), cache_dir)
    key, made = "", None
    tapped: tuple[Port, ...] = ()
    if cache is not None:
        options = [chosen.name, numerics, instruction_set() if uses_kernels else None]
        key = cache_key(program, options, cache.remembered)
        made = _import(cache, key, properties)
    if made is None:
        model, labels = translate(chosen, numerics=numerics, uses_kernels=uses_kernels, taps=taps)
        results = model.get_results()
        count = len(chosen.outputs)
        outputs = tuple(
            _output_port(value, result, labels.get(value.name))
            for value, result in zip(chosen.outputs, results[:count], strict=True)
        )
        tapped = tuple(_tap_port(result) for result in results[count:])
        description = Description(outputs, _is_tiny(model), _is_fallible(model))
        if not _is_worth_caching(model):
            cache = None
        try:
            compiled = _compile(model, devices, properties, description, cache, key)
            made = _Made(compiled, description)
            _release(program)
        except RuntimeError as error:
            where = f"function {chosen.name!r} for {', '.join(devices)}"
            raise EngineError(
                f"engine: OpenVINO cannot compile {where}",
                found=str(error).strip().splitlines()[-1],
            ) from error
    return Session(
        made.compiled,
        function=chosen.name,
        devices=devices,
        inputs=tuple(_input_port(value) for value in chosen.inputs),
        outputs=made.description.outputs,
        states=tuple(_state_port(value) for value in chosen.states),
        taps=tapped,
        profiling=profiling,
        hides_failures=made.description.is_fallible and _hides_failures(made.compiled, devices),
        memory=made.memory,
    )


def _threads(threads: object) -> int | None:
    if threads is None:
        return None
    if isinstance(threads, Integral) and not isinstance(threads, bool):
        count = int(threads)
        if 1 <= count <= _MOST_THREADS:
            return count
    raise OptionError(
        "engine: threads must be positive",
        found=repr(threads),
        expected=f"None or an integer from 1 to {_MOST_THREADS}",
    )


@dataclass(frozen=True, eq=False)
class _Made:
    """A compiled model, what a session needs besides, and the memory that it reads."""

    compiled: ov.CompiledModel
    description: Description
    memory: object = None


_Properties = Callable[[bool], dict[str, Any]]
"""Whether the model is tiny -> OpenVINO's properties."""


def _cache(
    program: MilProgram,
    devices: tuple[str, ...],
    is_traced: bool,
    directory: str | os.PathLike[str] | None,
) -> ModelCache | None:
    """Return the cache, if this program can be in it.

    OpenVINO's export forgets which ops it fused, so that a profile would name fewer of them; other
    devices than the CPU have caches of their own; and in a forked child its import waits now and
    then for threads that do not exist there (5 times of 40 measured; compiling: 0 of 30).
    """
    folder = cache_directory(directory)
    if folder is None or is_traced or devices != ("CPU",) or not program.sources or is_child():
        return None
    return ModelCache(folder)


def _import(cache: ModelCache, key: str, properties: _Properties) -> _Made | None:
    entry = cache.find(key)
    if entry is None:
        return None
    model = np.frombuffer(entry.model, np.uint8)
    try:
        compiled = core().import_model(
            ov.Tensor(writable_alias(model), shared_memory=True),
            "CPU",
            properties(entry.description.is_tiny),
        )
    except RuntimeError:
        cache.discard(key)
        return None
    entry.file.release()
    return _Made(compiled, entry.description, model)


def _compile(
    model: ov.Model,
    devices: tuple[str, ...],
    properties: _Properties,
    description: Description,
    cache: ModelCache | None,
    key: str,
) -> ov.CompiledModel:
    """Compile, and store the result if there is a cache.

    OpenVINO's own cache does the writing, straight to the disk: exporting to memory takes a second
    for BERT-base, and as much memory as the weights.
    """
    given, where = properties(description.is_tiny), device_string(devices)
    if cache is not None:
        with cache.scratch() as scratch, contextlib.suppress(RuntimeError):
            if scratch is not None:
                compiled = core().compile_model(model, where, {**given, "CACHE_DIR": str(scratch)})
                cache.store(key, scratch, description)
                return compiled
    return core().compile_model(model, where, given)


def _release(program: MilProgram) -> None:
    """Give back the pages of weight files, most of which the compiled model has in its own form."""
    for data in program.sources.values():
        if isinstance(data.obj, MappedFile):
            data.obj.release()


def _is_worth_caching(model: ov.Model) -> bool:
    """Whether loading the model from the cache would save enough to notice.

    Measured: an op costs 0.5 ms to translate and compile, 0.1 ms to import; a megabyte of
    weights 5 ms and 1 ms.
    """
    nodes = model.get_ops()
    if len(nodes) >= _CACHED_NODES:
        return True
    weights = sum(node.get_byte_size() for node in nodes if node.get_type_name() == "Constant")
    return bool(weights >= _CACHED_NBYTES)


def _uses_kernels(devices: tuple[str, ...], numerics: str) -> bool:
    """Whether to compute with our own kernels: on the CPU, in f32."""
    is_f32 = precision(numerics, core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")) == "f32"
    return devices == ("CPU",) and is_f32 and instruction_set() is not None


def _is_tiny(model: ov.Model) -> bool:
    """Whether handing the work to other threads costs more than it saves.

    Measured with a 16-float add: 7.3 us in the caller's thread, 8.9 us through the stream's.
    """
    elements = 0
    for node in model.get_ops():
        for value in node.outputs():
            sizes = value.get_partial_shape()
            if sizes.is_dynamic:
                return False
            elements += math.prod(sizes.to_shape())
            if elements > _TINY_ELEMENTS:
                return False
    return True


def _is_fallible(model: ov.Model) -> bool:
    """Whether a run may fail: sizes are then not what an op needs, or an index is out of range."""
    return any(
        node.get_type_name() in _FALLIBLE
        or any(value.get_partial_shape().is_dynamic for value in node.outputs())
        for node in model.get_ops()
    )


def _hides_failures(compiled: ov.CompiledModel, devices: tuple[str, ...]) -> bool:
    """Whether a run that fails returns as if it had not, with the outputs of the one before.

    OpenVINO 2026.4's CPU plugin has a shortcut for one stream of one thread, which does that.
    """
    if devices != ("CPU",):
        return False
    return all(int(compiled.get_property(name)) == 1 for name in _SHORTCUT)


def _properties(numerics: str, threads: int | None, profiling: bool, tiny: bool) -> dict[str, Any]:
    properties: dict[str, Any] = {
        # Left alone, OpenVINO computes in bf16 where the CPU has it, and quantises activations.
        "INFERENCE_PRECISION_HINT": precision(
            numerics, core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        ),
        "DYNAMIC_QUANTIZATION_GROUP_SIZE": 0,
        "PERFORMANCE_HINT": "LATENCY",
        # No stream at all means that the calling thread computes. A forked child has no other: a
        # stream that the parent has left idle would be reused without its threads.
        "NUM_STREAMS": 0 if tiny or is_child() else 1,
    }
    if threads is not None:
        properties["INFERENCE_NUM_THREADS"] = threads
    if profiling:
        properties["PERF_COUNT"] = True
    return properties


def _input_port(value: MilOutput) -> Port:
    assert isinstance(value.type, TensorType)
    return Port(value.name, value.type.dtype, value.type.shape or ())


def _state_port(value: MilOutput) -> Port:
    assert isinstance(value.type, StateType)
    return Port(value.name, value.type.tensor.dtype, value.type.tensor.shape or ())


def _output_port(value: MilOutput, result: ov.Node, labels: Labels | None) -> Port:
    """Describe an output. OpenVINO may know a dimension that the program leaves open."""
    inferred = result.output(0).get_partial_shape()
    if inferred.rank.is_dynamic:
        what = f"engine: the rank of output {value.name!r} is not known"
        raise EngineError(what)
    if labels is not None:
        dtype = BY_NAME["fp32" if isinstance(value.type, DictionaryType) else "int64"]
        return Port(value.name, dtype, partial_sizes(inferred), labels)
    assert isinstance(value.type, TensorType)
    return Port(value.name, value.type.dtype, partial_sizes(inferred))


def _tap_port(result: ov.Node) -> Port:
    value = result.output(0)
    dtype = BY_OPENVINO[value.get_element_type().get_type_name()]
    name = result.get_friendly_name().removesuffix(TAP)
    return Port(name, dtype, partial_sizes(value.get_partial_shape()))
