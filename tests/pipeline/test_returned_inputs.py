"""Programs that return what they were given; the oracle is eager PyTorch."""

from __future__ import annotations

import pytest
import torch

from etcoreml.blob import read_blob
from tests.call import Call
from tests.lowering import (
    CoreMLPartitioner,
    Runtime,
    coremltools,
    specs,
    to_edge_transform_and_lower,
)

FUNCTIONS = {
    "copy": lambda x: x.clone(),
    "copies": lambda x: (x.clone(), x.clone()),
    "copy beside a result": lambda x: (x + x, x.clone()),
    "copy of a result": lambda x: ((y := x + x), y.clone()),
    "there and back": lambda x: x.transpose(0, 1).transpose(0, 1),
    "reshaped and back": lambda x: x.reshape(3, 2).reshape(2, 3),
}
INPUTS = {
    "float32": torch.arange(6.0).reshape(2, 3) + 1,
    "float16": (torch.arange(6.0).reshape(2, 3) + 1).half(),
    "int64": torch.arange(6).reshape(2, 3) + 1,
}


@pytest.mark.parametrize("precision", ["float16", "float32"])
@pytest.mark.parametrize("dtype", INPUTS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_input_that_is_returned(name: str, dtype: str, precision: str) -> None:
    module, x = Call(FUNCTIONS[name]), INPUTS[dtype]
    partitioner = CoreMLPartitioner(
        compile_specs=specs(precision, minimum_deployment_target=coremltools().target.iOS18),
        lower_full_graph=True,
    )
    edge = to_edge_transform_and_lower(torch.export.export(module, (x,)), partitioner=[partitioner])
    for name_, each in edge.exported_program().graph_module.named_children():
        if name_.startswith("lowered_module"):
            metadata = bytes(read_blob(each.processed_bytes).read("metadata.json"))
            assert b'"outputNames": ["x"' not in metadata
    program = bytes(edge.to_executorch().buffer)
    method = Runtime.get().load_program(program).load_method("forward")
    expected = module(x)
    for found, wanted in zip(
        method.execute([x]), expected if isinstance(expected, tuple) else (expected,), strict=True
    ):
        assert found.dtype == wanted.dtype
        assert torch.equal(found, wanted)
