"""Makes one workload's files for every contestant: ``python -m benchmarks.prepare NAME FOLDER``.

Leaves in the folder: ``model.mlpackage`` (ours), ``model.xml`` (OpenVINO from torch),
``model.onnx``, ``model.pte`` (XNNPACK), ``inputs.npz``, ``expected.npz`` (eager, fp32) and
``about.json``. What a peer cannot convert is missing, and its reason is in ``about.json``.
"""

from __future__ import annotations

import json
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.networks import NETWORKS
from benchmarks.workloads import WORKLOADS, Workload
from etcoreml.blob import Directory
from etcoreml.mil.ct import coremltools

DONE = "about.json"

_Names = tuple[list[str], list[str]]
"""Of the inputs and of the outputs, in the order of the module's."""


def prepare(name: str, folder: Path) -> None:
    """Make the files of a workload; ``about.json`` is written last."""
    warnings.simplefilter("ignore")
    workload = WORKLOADS[name]
    module, inputs = NETWORKS[workload.network]()
    folder.mkdir(parents=True, exist_ok=True)
    with torch.inference_mode():
        expected = _tuple(module(*inputs))
    np.savez(folder / "inputs.npz", *(each.numpy() for each in inputs))
    np.savez(folder / "expected.npz", *(each.numpy() for each in expected))
    convert = _lowered if workload.is_lowered else _converted
    ins, outs = convert(workload, module, inputs, folder)
    missing = {}
    if workload.weights == "float16":
        peers: dict[str, Callable[[torch.nn.Module, tuple[Any, ...], Path], None]] = {
            "OpenVINO": _openvino,
            "ONNX Runtime": _onnx,
            "XNNPACK": _xnnpack,
        }
        for peer, convert in peers.items():
            try:
                convert(module, inputs, folder)
            except Exception as error:
                missing[peer] = f"{type(error).__name__}: {str(error).splitlines()[0][:200]}"
    about = {
        "flops": _flops(module, inputs),
        "weight_nbytes": _weight_nbytes(folder),
        "inputs": ins,
        "outputs": outs,
        "missing": missing,
    }
    (folder / DONE).write_text(json.dumps(about, indent=2) + "\n")


def _tuple(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def _lowered(workload: Workload, module: Any, inputs: tuple[Any, ...], folder: Path) -> _Names:
    """Lower with ExecuTorch and take the package out of the .pte."""
    from etcoreml.runtime.payload import open_payload
    from etcoreml.runtime.pte import parse_pte
    from tests.lowering import lower

    program = parse_pte(lower(module, inputs, precision=workload.precision.lower()))
    (delegate,) = program.methods[0].delegates
    payload = open_payload(delegate.payload, program.named_data)
    package = payload.directory.find("model.mlpackage")
    assert isinstance(package, Directory)
    package.extract(folder / "model.mlpackage")
    return list(payload.method.input_names), list(payload.method.output_names)


def _converted(workload: Workload, module: Any, inputs: tuple[Any, ...], folder: Path) -> _Names:
    """Convert with coremltools, as the makers of a package do."""
    ct = coremltools()
    traced = torch.jit.trace(module, inputs, check_trace=False)
    model = ct.convert(
        traced,
        inputs=[
            ct.TensorType(
                name=f"input_{i}",
                shape=tuple(each.shape),
                dtype=np.float32 if each.is_floating_point() else np.int32,
            )
            for i, each in enumerate(inputs)
        ],
        # fp32 at the border, for all contestants get the same arrays.
        outputs=[
            ct.TensorType(name=f"output_{i}", dtype=np.float32)
            for i in range(len(_tuple(module(*inputs))))
        ],
        minimum_deployment_target=ct.target.iOS18,
        compute_precision=getattr(ct.precision, workload.precision),
        skip_model_load=True,
    )
    if workload.weights != "float16":
        from coremltools.optimize import coreml as optimize  # noqa: TID251 - loaded above

        granularity = {} if workload.weights == "int8" else {"granularity": "per_block"}
        config = optimize.OpLinearQuantizerConfig(
            mode="linear_symmetric", dtype=workload.weights, block_size=32, **granularity
        )
        model = optimize.linear_quantize_weights(
            model, optimize.OptimizationConfig(global_config=config)
        )
    model.save(str(folder / "model.mlpackage"))
    interface = model.get_spec().description
    return [each.name for each in interface.input], [each.name for each in interface.output]


def _openvino(module: Any, inputs: tuple[Any, ...], folder: Path) -> None:
    import openvino as ov

    model = ov.convert_model(module, example_input=inputs)
    model.reshape(dict(enumerate([list(each.shape) for each in inputs])))
    # As by default: weights stored in fp16.
    ov.save_model(model, folder / "model.xml")


def _onnx(module: Any, inputs: tuple[Any, ...], folder: Path) -> None:
    torch.onnx.export(module, inputs, folder / "model.onnx", dynamo=True, verbose=False)


def _xnnpack(module: Any, inputs: tuple[Any, ...], folder: Path) -> None:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    exported = torch.export.export(module, inputs)
    edge = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()])
    (folder / "model.pte").write_bytes(edge.to_executorch().buffer)


def _flops(module: Any, inputs: tuple[Any, ...]) -> int:
    """Count what matrix products and convolutions cost, a multiply-add as two."""
    from torch.utils.flop_counter import FlopCounterMode

    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(*inputs)
    # The counter does not know LSTMs.
    lstms = sum(
        2 * each.weight_ih_l0.numel() + 2 * each.weight_hh_l0.numel()
        for each in module.modules()
        if isinstance(each, torch.nn.LSTM)
    )
    steps = inputs[0].shape[1] if lstms else 0
    return int(counter.get_total_flops()) + 2 * lstms * steps


def _weight_nbytes(folder: Path) -> int:
    files = (folder / "model.mlpackage").rglob("*.bin")
    return sum(path.stat().st_size for path in files)


if __name__ == "__main__":
    prepare(sys.argv[1], Path(sys.argv[2]))
