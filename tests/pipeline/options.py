"""Small programs that together use every option of the lowering; a script of the tests, too.

Usage: python options.py NAME... prints each name with the SHA-256 of its .pte.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch
from torch import Tensor, nn

from etcoreml.compiler import MULTIMETHOD_WEIGHT_SHARING_STRATEGY, CoreMLBackend, torch_ops
from etcoreml.imports import quiet_imports
from etcoreml.mil.ct import coremltools
from etcoreml.partition import CoreMLPartitioner
from tests.call import Call

with quiet_imports():
    from executorch.exir import to_edge_transform_and_lower
    from torchao.quantization import IntxWeightOnlyConfig, PerAxis, quantize_

ct = coremltools()
Program = tuple[Any, CoreMLPartitioner]
LINEAR = {"mode": "linear_symmetric", "dtype": "int4", "weight_threshold": 64}
PALETTES = {"mode": "kmeans", "nbits": 4, "weight_threshold": 64}
PRUNED = {"target_sparsity": 0.5, "weight_threshold": 64}
COMPRESSION = [
    {"config_type": "OpMagnitudePrunerConfig", "global_config": PRUNED},
    {"config_type": "OpPalettizerConfig", "global_config": PALETTES},
]


class Counter(nn.Module):
    """A module with states."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(2, 16))
        self.register_buffer("count", torch.zeros(2, 16))
        self.linear = nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        self.total.add_(x)
        self.count.add_(1)
        return self.linear(self.total / self.count)


class Islands(nn.Module):
    """Several partitions, some of them alike, with constants that several of them read."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(16, 16), nn.Linear(16, 16)
        self.register_buffer("shift", torch.linspace(0, 1, 16))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        for layer in (self.a, self.b, self.a):
            x = torch.acosh(torch.nn.functional.gelu(layer(x) + self.shift).abs() + 2)
        return x * self.shift, torch.relu(x)


def _network() -> nn.Module:
    return nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 16), nn.Softmax(-1))


def _specs(target: str | None = None, **options: Any) -> list[Any]:
    found = None if target is None else ct.target[target]
    return CoreMLBackend.generate_compile_specs(minimum_deployment_target=found, **options)


def _program(module: nn.Module, *inputs: Tensor, dynamic_shapes: Any = None) -> Any:
    given = inputs or (torch.randn(2, 16),)
    return torch.export.export(module.eval(), given, dynamic_shapes=dynamic_shapes)


def _plain(specs: list[Any] | None = None, **options: Any) -> Callable[[], Program]:
    def make() -> Program:
        return _program(_network()), CoreMLPartitioner(compile_specs=specs or _specs(), **options)

    return make


def _with(module: Callable[[], nn.Module], **options: Any) -> Callable[[], Program]:
    def make() -> Program:
        return _program(module()), CoreMLPartitioner(**options)

    return make


def _enumerated() -> Program:
    sizes = {0: torch.export.Dim("rows", min=1, max=8)}
    program = _program(_network(), dynamic_shapes=({0: sizes[0]},))
    name = program.graph_signature.user_inputs[0]
    spec = CoreMLBackend.generate_enumerated_shapes_compile_spec(
        program, {name: [[2, 16], [1, 16], [8, 16]]}
    )
    specs = [*_specs("iOS18"), spec]
    return program, CoreMLPartitioner(compile_specs=specs, lower_full_graph=True)


def _dynamic() -> Program:
    rows = torch.export.Dim("rows", min=1, max=8)
    return _program(Islands(), dynamic_shapes=({0: rows},)), CoreMLPartitioner()


def _methods(sharing: bool) -> Callable[[], Program]:
    def make() -> Program:
        strategy = MULTIMETHOD_WEIGHT_SHARING_STRATEGY
        chosen = strategy.POSITIONAL if sharing else strategy.DISABLED
        spec = CoreMLBackend.generate_multimethod_weight_sharing_strategy_compile_spec(chosen)
        module = Islands()
        programs = {
            "prefill": _program(module, torch.randn(8, 16)),
            "decode": _program(module, torch.randn(1, 16)),
        }
        return programs, CoreMLPartitioner(compile_specs=[*_specs("iOS18"), spec])

    return make


def _torchao() -> Program:
    module = _network()
    quantize_(module, IntxWeightOnlyConfig(weight_dtype=torch.int4, granularity=PerAxis(0)))
    return _program(module), CoreMLPartitioner(compile_specs=_specs("iOS18"))


def _compressed() -> Program:
    """Pruned, and palettised by k-means, which starts at random."""
    spec = CoreMLBackend.generate_weight_compression_compile_spec(COMPRESSION)
    return _program(_network()), CoreMLPartitioner(compile_specs=[*_specs("iOS18"), spec])


def _bytes() -> Program:
    """Pictures in and out."""
    module = Call(lambda x: (torch.relu(x.float() / 255 - 0.5) * 255).to(torch.uint8))
    return _program(module, torch.ones(2, 16, dtype=torch.uint8)), CoreMLPartitioner()


def _of(dtype: torch.dtype, target: str) -> Callable[[], Program]:
    def make() -> Program:
        program = _program(_network().to(dtype), torch.randn(2, 16).to(dtype))
        return program, CoreMLPartitioner(compile_specs=_specs(target))

    return make


def _failing() -> Program:
    """Gelu fails to convert, so that the program is lowered several times."""

    def fails(context: Any, node: Any) -> None:
        what = "not today"
        raise ValueError(what)

    torch_ops.OWN_CONVERTERS = {**torch_ops.OWN_CONVERTERS, "gelu": fails}
    return _program(Islands()), CoreMLPartitioner()


PROGRAMS: dict[str, Callable[[], Program]] = {
    "default": _plain(),
    "float32": _plain(_specs(compute_precision=ct.precision.FLOAT32)),
    **{unit.name: _plain(_specs(compute_unit=unit)) for unit in ct.ComputeUnit},
    **{target: _plain(_specs(target)) for target in ("iOS15", "iOS16", "iOS17", "iOS18")},
    "quantiser": _plain(_specs("iOS18", op_linear_quantizer_config=LINEAR)),
    "compressed": _compressed,
    "mixed precision": _plain(_specs(float32_nodes=["aten_gelu_default"])),
    "passes": _plain(_specs(pass_names=["common::const_elimination"])),
    "torchao": _torchao,
    "bytes": _bytes,
    "halves": _of(torch.float16, "iOS15"),
    "bfloat16": _of(torch.bfloat16, "iOS18"),
    "skipped": _plain(skip_ops_for_coreml_delegation=["aten.gelu.default"]),
    "constants outside": _plain(take_over_constant_data=False),
    "whole graph": _plain(lower_full_graph=True),
    "islands": _with(Islands),
    "states": _with(Counter, compile_specs=_specs("iOS18")),
    "buffers outside": _with(
        Counter, compile_specs=_specs("iOS18"), take_over_mutable_buffer=False
    ),
    "enumerated": _enumerated,
    "dynamic": _dynamic,
    "methods": _methods(sharing=False),
    "shared methods": _methods(sharing=True),
    "failing": _failing,  # the last: no gelu converts after it
}


def lowered(name: str) -> bytes:
    """Lower one of the programs."""
    torch.manual_seed(0)
    program, partitioner = PROGRAMS[name]()
    edge = to_edge_transform_and_lower(program, partitioner=[partitioner])
    return bytes(edge.to_executorch().buffer)


if __name__ == "__main__":
    for each in sys.argv[1:]:
        print(f"{each}: {hashlib.sha256(lowered(each)).hexdigest()}", flush=True)
