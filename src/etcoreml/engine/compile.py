"""A program's function to a session.

Enters: :class:`MilProgram`. Leaves: :class:`Session`, compiled for the devices of this machine.
"""

from __future__ import annotations

import math
from typing import Any

import openvino as ov

from etcoreml.engine.devices import choose_devices, device_string
from etcoreml.engine.fork import core, is_child
from etcoreml.engine.graph import partial_sizes
from etcoreml.engine.kernels import instruction_set
from etcoreml.engine.numerics import precision
from etcoreml.engine.scope import Labels
from etcoreml.engine.session import Port, Session
from etcoreml.engine.translate import translate
from etcoreml.errors import EngineError, ModelError, UsageError
from etcoreml.mil.program import DictionaryType, Function, MilProgram, StateType, TensorType
from etcoreml.mil.program import Output as MilOutput
from etcoreml.types import BY_NAME

# Elements of all constants and intermediate values together.
_TINY_ELEMENTS = 1024


def compile_function(
    program: MilProgram,
    *,
    function: str | None = None,
    compute_unit: str = "all",
    numerics: str = "fast",
    threads: int | None = None,
    profiling: bool = False,
) -> Session:
    """Compile one function.

    Args:
        program: The program.
        function: Its name; the program's default function if None.
        compute_unit: ``all``, ``cpu_only``, ``cpu_and_gpu`` or ``cpu_and_ne``.
        numerics: See ``numerics.py``.
        threads: CPU threads per inference; None leaves the choice to OpenVINO.
        profiling: Whether to time every op; costs about 1 %.

    Raises:
        ModelError: The program has no such function.
        UsageError: ``threads`` is not positive, or the numerics mode does not exist.
        UnsupportedOpError: An op, or one option of it, cannot be run.
        DeviceError: The compute unit is unknown.
        EngineError: OpenVINO cannot compile the model.
    """
    if threads is not None and threads < 1:
        raise UsageError("engine: threads must be positive", found=threads)
    chosen = _function(program, function)
    devices = choose_devices(compute_unit, core().available_devices)
    model, labels = translate(
        chosen, numerics=numerics, uses_kernels=_uses_kernels(devices, numerics)
    )
    outputs = tuple(
        _output_port(value, result, labels.get(value.name))
        for value, result in zip(chosen.outputs, model.get_results(), strict=True)
    )
    try:
        compiled = core().compile_model(
            model,
            device_string(devices),
            _properties(numerics, threads, profiling, _is_tiny(model)),
        )
    except RuntimeError as error:
        raise EngineError(
            f"engine: OpenVINO cannot compile function {chosen.name!r} for {', '.join(devices)}",
            found=str(error).strip().splitlines()[-1],
        ) from error
    return Session(
        compiled,
        function=chosen.name,
        devices=devices,
        inputs=tuple(_input_port(value) for value in chosen.inputs),
        outputs=outputs,
        states=tuple(_state_port(value) for value in chosen.states),
        profiling=profiling,
    )


def _uses_kernels(devices: tuple[str, ...], numerics: str) -> bool:
    """Whether to compute with our own kernels: on the CPU, in f32."""
    is_f32 = precision(numerics, core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")) == "f32"
    return devices == ("CPU",) and is_f32 and instruction_set() is not None


def _function(program: MilProgram, name: str | None) -> Function:
    name = program.default_function if name is None else name
    if name in program.functions:
        return program.functions[name]
    raise ModelError(
        "the program has no such function",
        found=repr(name),
        expected=f"one of {list(program.functions)}",
    )


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
