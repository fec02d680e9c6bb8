"""Lowers networks with executorch's own Core ML partitioner: ``lower_with_upstream.py DIRECTORY``.

In a process of its own: upstream's backend has the name of ours, and prints while it is imported.
"""

from __future__ import annotations

import sys
from pathlib import Path

import coremltools as ct  # noqa: TID251 - upstream's side
import torch
from executorch.backends.apple.coreml.compiler import CoreMLBackend  # noqa: TID251
from executorch.backends.apple.coreml.partition import CoreMLPartitioner  # noqa: TID251
from executorch.exir import to_edge_transform_and_lower

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.networks import ZOO
from tests.runtime.two_methods import two_methods

NAMES = ("resnet18", "bert", "two_islands")
PRECISIONS = ("float16", "float32")


def lower(programs: object, precision: str, target: object = None) -> bytes:
    """Lower as upstream's documentation does."""
    specs = CoreMLBackend.generate_compile_specs(
        compute_precision=ct.precision(precision), minimum_deployment_target=target
    )
    partitioner = CoreMLPartitioner(compile_specs=specs)
    edge = to_edge_transform_and_lower(programs, partitioner=[partitioner])
    return bytes(edge.to_executorch().buffer)


def main(directory: Path) -> None:
    """Write a .pte per network and precision, and one with two methods."""
    for name in NAMES:
        for precision in PRECISIONS:
            program = torch.export.export(*ZOO[name]())
            (directory / f"{name}.{precision}.pte").write_bytes(lower(program, precision))
    modules, inputs = two_methods()
    programs = {name: torch.export.export(each, inputs[name]) for name, each in modules.items()}
    shared = lower(programs, "float32", ct.target.iOS18)
    (directory / "two_methods.pte").write_bytes(shared)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
