"""Lower one network in this process and print the SHA-256 of the .pte; a script of the tests.

Usage: python lower_in_process.py NETWORK OPTIONS_JSON
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch

from etcoreml.compiler import MULTIMETHOD_WEIGHT_SHARING_STRATEGY, CoreMLBackend
from etcoreml.imports import quiet_imports
from etcoreml.mil.ct import coremltools
from etcoreml.partition import CoreMLPartitioner
from tests.networks import ZOO

with quiet_imports():
    from executorch.exir import to_edge_transform_and_lower


def main(network: str, options: dict[str, Any]) -> None:
    """Lower ``network`` with the options and print the digest."""
    ct = coremltools()
    module, inputs = ZOO[network]()
    shapes = None
    if options.get("dynamic"):
        batch = torch.export.Dim("batch", min=1, max=8)
        shapes = (tuple({0: batch} for _ in inputs),)  # the wrapper takes *inputs
    target = options.get("target")
    specs = CoreMLBackend.generate_compile_specs(
        minimum_deployment_target=None if target is None else ct.target[target],
        compute_precision=ct.precision(options.get("precision", "float16")),
        op_linear_quantizer_config=options.get("quantizer"),
    )
    program: Any = torch.export.export(module, inputs, dynamic_shapes=shapes)
    if options.get("methods"):
        program = dict.fromkeys(options["methods"], program)
        specs.append(
            CoreMLBackend.generate_multimethod_weight_sharing_strategy_compile_spec(
                MULTIMETHOD_WEIGHT_SHARING_STRATEGY.POSITIONAL
            )
        )
    edge = to_edge_transform_and_lower(
        program, partitioner=[CoreMLPartitioner(compile_specs=specs)]
    )
    print(hashlib.sha256(edge.to_executorch().buffer).hexdigest())


if __name__ == "__main__":
    main(sys.argv[1], json.loads(sys.argv[2]))
