"""Several methods in one model. Oracle: coremltools' reading of it, and eager when run."""

from __future__ import annotations

import json
import shlex
import sys
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import etcoreml
from etcoreml.blob import Directory, read_blob, read_reference
from etcoreml.compiler import MULTIMETHOD_WEIGHT_SHARING_STRATEGY, CoreMLBackend
from etcoreml.errors import CompileSpecError, DeploymentTargetError
from etcoreml.imports import quiet_imports
from etcoreml.mil.ct import coremltools
from etcoreml.partition import CoreMLPartitioner

with quiet_imports():
    from executorch.exir import to_edge_transform_and_lower

ct = coremltools()
Sharing = MULTIMETHOD_WEIGHT_SHARING_STRATEGY


class Shared(nn.Module):
    def __init__(self, linear: nn.Linear, factor: float, islands: bool = False) -> None:
        super().__init__()
        self.linear, self.factor, self.islands = linear, factor, islands

    def forward(self, x: Tensor) -> Tensor:
        y = self.linear(x) * self.factor
        return torch.acosh(y.abs() + 2) + 1 if self.islands else y


def partitioner(
    strategy: Sharing | None, target: Any = None, model_type: Any = CoreMLBackend.MODEL_TYPE.MODEL
) -> CoreMLPartitioner:
    specs = CoreMLBackend.generate_compile_specs(
        minimum_deployment_target=target,
        compute_precision=ct.precision.FLOAT32,
        model_type=model_type,
    )
    if strategy is not None:
        specs.append(
            CoreMLBackend.generate_multimethod_weight_sharing_strategy_compile_spec(strategy)
        )
    return CoreMLPartitioner(compile_specs=specs)


def lowered(partitioners: Any, *, islands: bool = False) -> Any:
    torch.manual_seed(0)
    linear = nn.Linear(64, 64)
    programs = {
        "prefill": torch.export.export(Shared(linear, 2.0), (torch.randn(5, 64),)),
        "decode": torch.export.export(Shared(linear, 3.0, islands), (torch.randn(1, 64),)),
    }
    return linear, to_edge_transform_and_lower(programs, partitioner=partitioners)


def delegate(edge: Any, method: str) -> Any:
    return edge.exported_program(method).graph_module.lowered_module_0


def nbytes(tree: Directory) -> int:
    return tree.read("model.mlpackage/Data/com.apple.CoreML/weights/weight.bin").nbytes


def test_positional_stores_the_weights_once() -> None:
    _, edge = lowered([partitioner(Sharing.POSITIONAL)])
    references = {
        method: read_reference(delegate(edge, method).processed_bytes)
        for method in ("prefill", "decode")
    }
    assert references["prefill"].key == references["decode"].key
    assert {method: each.function_name for method, each in references.items()} == {
        "prefill": "prefill",
        "decode": "decode",
    }
    store = delegate(edge, "prefill").named_data_store_output
    entry = store.pte_data[references["prefill"].key]
    tree = read_blob(store.buffers[entry.buffer_index])
    metadata = json.loads(bytes(tree.read("metadata.json")))
    assert references["prefill"].key == f"coreml_{metadata['identifier']}"
    assert set(metadata) == {"identifier", "methods"}
    assert set(metadata["methods"]) == {"prefill", "decode"}
    assert metadata["methods"]["decode"]["inputNames"] == ["x"]
    model = ct.proto.Model_pb2.Model.FromString(
        bytes(tree.read("model.mlpackage/Data/com.apple.CoreML/model.mlmodel"))
    )
    assert [each.name for each in model.description.functions] == ["prefill", "decode"]
    assert model.description.defaultFunctionName == "prefill"
    assert nbytes(tree) < 1.2 * 64 * 64 * 4


@pytest.mark.parametrize("strategy", [None, *Sharing])
def test_both_methods_compute(strategy: Sharing | None) -> None:
    linear, edge = lowered([partitioner(strategy)])
    program = etcoreml.load(bytes(edge.to_executorch().buffer))
    for method, rows, factor in (("prefill", 5, 2.0), ("decode", 1, 3.0)):
        x = torch.randn(rows, 64)
        (y,) = program.run(method, (x,))
        torch.testing.assert_close(y, linear(x) * factor)


@pytest.mark.parametrize("strategy", [None, Sharing.DISABLED])
def test_disabled_is_the_default(strategy: Sharing | None) -> None:
    _, edge = lowered([partitioner(strategy)])
    for method in ("prefill", "decode"):
        tree = read_blob(delegate(edge, method).processed_bytes)
        assert "inputNames" in json.loads(bytes(tree.read("metadata.json")))


def test_different_numbers_of_partitions_fall_back(caplog: pytest.LogCaptureFixture) -> None:
    """Oracle: eager."""
    linear, edge = lowered([partitioner(Sharing.POSITIONAL)], islands=True)
    assert "1 in prefill, 2 in decode: the weights of prefill and decode" in caplog.text
    program = etcoreml.load(bytes(edge.to_executorch().buffer))
    x = torch.randn(1, 64)
    torch.testing.assert_close(
        program.run("decode", (x,))[0], torch.acosh((linear(x) * 3).abs() + 2) + 1
    )
    x = torch.randn(5, 64)
    torch.testing.assert_close(program.run("prefill", (x,))[0], linear(x) * 2)


def test_methods_with_equally_many_partitions_still_share(
    caplog: pytest.LogCaptureFixture,
) -> None:
    linear = nn.Linear(64, 64)
    programs = {
        "first": torch.export.export(Shared(linear, 2.0), (torch.randn(5, 64),)),
        "islands": torch.export.export(Shared(linear, 3.0, True), (torch.randn(1, 64),)),
        "last": torch.export.export(Shared(linear, 4.0), (torch.randn(2, 64),)),
    }
    edge = to_edge_transform_and_lower(programs, partitioner=[partitioner(Sharing.POSITIONAL)])
    keys = [read_reference(delegate(edge, each).processed_bytes).key for each in ("first", "last")]
    assert keys[0] == keys[1]
    assert "the weights of islands are stored apart" in caplog.text
    program = etcoreml.load(bytes(edge.to_executorch().buffer))
    x = torch.randn(2, 64)
    torch.testing.assert_close(program.run("last", (x,))[0], linear(x) * 4)


def test_debug_handles_are_those_of_each_method_alone() -> None:
    """Oracle: the methods lowered apart."""
    _, joined = lowered([partitioner(Sharing.POSITIONAL)])
    _, apart = lowered([partitioner(Sharing.DISABLED)])
    for method in ("prefill", "decode"):
        handles = delegate(joined, method).meta["debug_handle_map"]
        assert handles
        assert handles == delegate(apart, method).meta["debug_handle_map"]


def test_functions_need_ios18() -> None:
    with pytest.raises(DeploymentTargetError, match="iOS18"):
        lowered([partitioner(Sharing.POSITIONAL, ct.target.iOS17)])


def test_methods_have_to_agree() -> None:
    with pytest.raises(CompileSpecError, match="disabled, positional"):
        lowered(
            {
                "prefill": [partitioner(Sharing.POSITIONAL)],
                "decode": [partitioner(Sharing.DISABLED)],
            }
        )


def test_one_method_needs_no_sharing() -> None:
    edge = to_edge_transform_and_lower(
        torch.export.export(nn.ReLU(), (torch.randn(2),)),
        partitioner=[partitioner(Sharing.POSITIONAL)],
    )
    assert read_blob(edge.exported_program().graph_module.lowered_module_0.processed_bytes)


def test_one_model_has_one_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETCOREML_COMPILER", shlex.quote(sys.executable))
    compiled = CoreMLBackend.MODEL_TYPE.COMPILED_MODEL
    partitioners = {
        "prefill": [partitioner(Sharing.POSITIONAL)],
        "decode": [partitioner(Sharing.POSITIONAL, model_type=compiled)],
    }
    with pytest.raises(CompileSpecError, match=r"found .* for prefill, .* for decode"):
        lowered(partitioners)
