"""The contestants: how each loads a prepared workload and binds its inputs.

Every function imports its runtime, reads the workload's file and returns a `Loaded`, whose call
takes nothing and returns nothing: inputs and, where the runtime can, outputs are bound beforehand.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Loaded:
    """A model that is ready.

    Attributes:
        call: Runs it once on the workload's inputs.
        outputs: Returns what the last call computed.
    """

    call: Callable[[], object]
    outputs: Callable[[], Sequence[Any]]


@dataclass(frozen=True)
class Runtime:
    """A contestant.

    Attributes:
        start: Imports what it needs and settles the number of threads; not part of loading.
        load: Loads the workload in a folder for a number of threads.
        file: What it reads; None where it needs nothing that could be missing.
        caches: Whether a second process can load faster; told by a folder.
    """

    start: Callable[[int], None]
    load: Callable[[Path, int, Path | None], Loaded]
    file: str | None
    caches: bool = False


def inputs_of(folder: Path) -> list[Any]:
    """Return the workload's inputs."""
    with np.load(folder / "inputs.npz") as arrays:
        return [arrays[name] for name in arrays.files]


def _start_ours(threads: int) -> None:
    import openvino  # noqa: F401

    import etcoreml

    _ = etcoreml.MLModel


def _ours(numerics: str, folder: Path, threads: int, cache: Path | None) -> Loaded:
    import etcoreml

    model = etcoreml.MLModel(
        folder / "model.mlpackage",
        compute_units=etcoreml.ComputeUnit.CPU_ONLY,
        numerics=numerics,
        threads=threads,
        cache_dir="" if cache is None else cache,
    )
    about = json.loads((folder / "about.json").read_text())
    given = zip(about["inputs"], inputs_of(folder), strict=True)
    bound = model.bind(
        {name: each.astype(np.int32) if each.dtype.kind == "i" else each for name, each in given}
    )
    return Loaded(bound, lambda: [bound.read(name) for name in about["outputs"]])


def _start_openvino(threads: int) -> None:
    import openvino  # noqa: F401


def _openvino(folder: Path, threads: int, cache: Path | None) -> Loaded:
    import openvino as ov

    core = ov.Core()
    options: dict[str, Any] = {
        "INFERENCE_PRECISION_HINT": "f32",
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "NUM_STREAMS": 1,
    }
    if cache is not None:
        options["CACHE_DIR"] = str(cache)
    compiled = core.compile_model(folder / "model.xml", "CPU", options)
    request = compiled.create_infer_request()
    for i, (port, array) in enumerate(zip(compiled.inputs, inputs_of(folder), strict=True)):
        fitting = np.ascontiguousarray(array, port.get_element_type().to_dtype())
        request.set_input_tensor(i, ov.Tensor(fitting))
    count = len(compiled.outputs)
    return Loaded(request.infer, lambda: [request.get_output_tensor(i).data for i in range(count)])


def _start_onnx(threads: int) -> None:
    import onnxruntime  # noqa: F401


def _onnx(folder: Path, threads: int, cache: Path | None) -> Loaded:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = ort.InferenceSession(folder / "model.onnx", options, ["CPUExecutionProvider"])
    binding = session.io_binding()
    for port, array in zip(session.get_inputs(), inputs_of(folder), strict=True):
        binding.bind_cpu_input(port.name, array)
    for port in session.get_outputs():
        binding.bind_output(port.name)
    return Loaded(
        functools.partial(session.run_with_iobinding, binding), binding.copy_outputs_to_cpu
    )


def _start_xnnpack(threads: int) -> None:
    import torch
    from executorch.extension.pybindings import portable_lib
    from executorch.runtime import Runtime as Stock

    torch.set_num_threads(threads)
    portable_lib._unsafe_reset_threadpool(threads)
    Stock.get()


def _xnnpack(folder: Path, threads: int, cache: Path | None) -> Loaded:
    import torch
    from executorch.runtime import Runtime as Stock

    program = Stock.get().load_program(folder / "model.pte")
    method = program.load_method("forward")
    given = [torch.from_numpy(each) for each in inputs_of(folder)]
    last: list[Any] = []

    def call(program: Any = program) -> None:  # a method does not keep its program
        last[:] = method.execute(given)

    return Loaded(call, lambda: [each.numpy() for each in last])


def _start_eager(threads: int) -> None:
    import torch

    torch.set_num_threads(threads)


def _eager(folder: Path, threads: int, cache: Path | None) -> Loaded:
    import torch

    from benchmarks.networks import NETWORKS
    from benchmarks.workloads import WORKLOADS

    module, inputs = NETWORKS[WORKLOADS[folder.name].network]()
    last: list[Any] = []

    def call() -> None:
        with torch.inference_mode():
            result = module(*inputs)
        last[:] = result if isinstance(result, tuple) else (result,)

    return Loaded(call, lambda: [each.numpy() for each in last])


RUNTIMES = {
    **{
        f"ours, {numerics}": Runtime(
            _start_ours, functools.partial(_ours, numerics), "model.mlpackage", caches=True
        )
        for numerics in ("fast", "faithful", "turbo")
    },
    "OpenVINO": Runtime(_start_openvino, _openvino, "model.xml", caches=True),
    "ONNX Runtime": Runtime(_start_onnx, _onnx, "model.onnx"),
    "XNNPACK": Runtime(_start_xnnpack, _xnnpack, "model.pte"),
    "torch eager": Runtime(_start_eager, _eager, None),
}
PEERS = ("OpenVINO", "ONNX Runtime", "XNNPACK")
"""Those that ``fast`` is held to."""
