"""Lowering through the backend: what the delegate carries, for every option.

Oracles: the formats of executorch 1.5.1's backend, and coremltools' own reading of the model.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from etcoreml.blob import Directory
from etcoreml.compiler import CoreMLBackend
from etcoreml.errors import DeploymentTargetError, LowerError
from etcoreml.imports import quiet_imports
from etcoreml.mil.ct import coremltools
from tests.compiler.conftest import Lower

with quiet_imports():
    from executorch.exir import to_edge

ct = coremltools()
Network = tuple[nn.Module, tuple[Tensor, ...]]
MODEL = "model.mlpackage/Data/com.apple.CoreML/model.mlmodel"
WEIGHTS = "model.mlpackage/Data/com.apple.CoreML/weights/weight.bin"


def model_of(tree: Directory) -> Any:
    return ct.proto.Model_pb2.Model.FromString(bytes(tree.read(MODEL)))


def operations(tree: Directory) -> list[Any]:
    (function,) = model_of(tree).mlProgram.functions.values()
    (block,) = function.block_specializations.values()
    return list(block.operations)


def options(**values: Any) -> dict[str, Any]:
    return {"compile_specs": CoreMLBackend.generate_compile_specs(**values)}


def test_tree(affine: Network, lower: Lower) -> None:
    (tree,) = lower(*affine)
    assert sorted(path for path, _ in tree.walk()) == [
        "debug_info.json",
        "metadata.json",
        MODEL,
        WEIGHTS,
        "model.mlpackage/Manifest.json",
    ]
    metadata = json.loads(bytes(tree.read("metadata.json")))
    assert metadata["inputNames"] == ["input_1"]
    assert len(metadata["outputNames"]) == 1
    assert metadata["identifier"].startswith("executorch_")


def test_names_are_those_of_the_model_in_its_order(lower: Lower) -> None:
    class Two(nn.Module):
        def forward(self, b: Tensor, a: Tensor) -> tuple[Tensor, Tensor]:
            return a - b, a @ b

    (tree,) = lower(Two(), (torch.randn(2, 2), torch.randn(2, 2)))
    metadata = json.loads(bytes(tree.read("metadata.json")))
    description = model_of(tree).description
    assert metadata["inputNames"] == [each.name for each in description.input]
    assert metadata["outputNames"] == [each.name for each in description.output]
    # The delegate is called with the partition's inputs in the order of their first use.
    assert set(metadata["inputNames"]) == {"a", "b"}


def test_manifest_is_a_valid_package(affine: Network, lower: Lower, tmp_path: Any) -> None:
    """Oracle: coremltools opens the extracted package and finds spec and weights."""
    (tree,) = lower(*affine)
    tree.extract(tmp_path / "tree")
    model = ct.models.MLModel(str(tmp_path / "tree" / "model.mlpackage"), skip_model_load=True)
    assert model.get_spec() == model_of(tree)
    assert model.weights_dir is not None


def test_the_identifier_follows_from_the_content(affine: Network, lower: Lower) -> None:
    def identifier(module: nn.Module) -> str:
        (tree,) = lower(module, affine[1])
        return str(json.loads(bytes(tree.read("metadata.json")))["identifier"])

    first = identifier(affine[0])
    assert identifier(affine[0]) == first
    with torch.no_grad():
        affine[0][2].weight[0, 0] += 1
    assert identifier(affine[0]) != first


def test_nothing_tells_the_day(affine: Network, lower: Lower) -> None:
    (tree,) = lower(*affine)
    model = model_of(tree)
    notes = dict(model.description.metadata.userDefined)
    assert notes["com.github.apple.coremltools.version"] == ct.__version__
    assert not [key for key in notes if "date" in key]
    assert b"date" not in bytes(tree.read(MODEL))


def test_debug_info_leads_back_to_the_edge_nodes(affine: Network, lower: Lower) -> None:
    (tree,) = lower(*affine)
    info = json.loads(bytes(tree.read("debug_info.json")))
    symbols = {f"{op.outputs[0].name}:{op.type}" for op in operations(tree) if op.outputs}
    assert info["versionInfo"] == ct.__version__
    assert set(info["debugSymbolToHandles"]) <= symbols
    assert set(info["debugSymbolToHandles"]) == set(info["debugSymbolToOperationPath"])
    linear = [symbol for symbol in symbols if symbol.endswith(":linear")]
    handles = [info["debugSymbolToHandles"][symbol] for symbol in linear]
    assert len({tuple(each) for each in handles}) == 2  # two linear layers, two edge nodes
    path = info["debugSymbolToOperationPath"][linear[0]]
    assert [each["Type"] for each in path] == ["Program", "Function", "Block", "Operation"]


@pytest.mark.parametrize(
    ("target", "version"), [(None, 6), (ct.target.iOS17, 8), (ct.target.iOS18, 9)]
)
def test_deployment_target(affine: Network, lower: Lower, target: Any, version: int) -> None:
    (tree,) = lower(*affine, **options(minimum_deployment_target=target))
    assert model_of(tree).specificationVersion == version


@pytest.mark.parametrize(("precision", "nbytes"), [("float16", 2), ("float32", 4)])
def test_compute_precision(affine: Network, lower: Lower, precision: str, nbytes: int) -> None:
    (tree,) = lower(*affine, **options(compute_precision=ct.precision(precision)))
    weights = sum(
        parameter.numel() for parameter in affine[0].parameters() if parameter.numel() >= 10
    )
    assert weights * nbytes <= tree.read(WEIGHTS).nbytes < weights * nbytes + 512
    assert any(op.type == "cast" for op in operations(tree)) == (precision == "float16")


def test_pass_pipeline_is_honoured(affine: Network, lower: Lower) -> None:
    """Without the pass that casts to fp16, an fp16 lowering stays in fp32."""
    (tree,) = lower(*affine, **options(pass_names=["common::const_elimination"]))
    assert not any(op.type == "cast" for op in operations(tree))


@pytest.mark.parametrize("target", [None, ct.target.iOS18])
def test_linear_quantizer(affine: Network, lower: Lower, target: Any) -> None:
    (tree,) = lower(
        *affine,
        **options(
            minimum_deployment_target=target,
            op_linear_quantizer_config={
                "mode": "linear_symmetric",
                "dtype": "int8",
                "weight_threshold": 16,
            },
        ),
    )
    weights = affine[0][0].weight.numel() + affine[0][2].weight.numel()
    constexprs = [op for op in operations(tree) if op.type.startswith("constexpr_")]
    assert len(constexprs) == 2
    assert tree.read(WEIGHTS).nbytes < weights * 2 + 512
    info = json.loads(bytes(tree.read("debug_info.json")))
    assert any(symbol.endswith(":linear") for symbol in info["debugSymbolToHandles"])


def test_linear_quantizer_needs_ios16(affine: Network, lower: Lower) -> None:
    with pytest.raises(DeploymentTargetError, match="iOS16"):
        lower(
            *affine,
            **options(
                minimum_deployment_target=ct.target.iOS15,
                op_linear_quantizer_config={"mode": "linear_symmetric"},
            ),
        )


@pytest.mark.parametrize("tied", [True, False])
def test_quantizer_and_embedding(lower: Lower, tied: bool) -> None:
    """An embedding stays as it is, except where its table is a linear layer's weight too."""

    class Words(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table, self.out = nn.Embedding(64, 32), nn.Linear(32, 64, bias=False)
            if tied:
                self.out.weight = self.table.weight

        def forward(self, ids: Tensor) -> Tensor:
            return self.out(self.table(ids))

    (tree,) = lower(
        Words(),
        (torch.zeros(1, 4, dtype=torch.int64),),
        **options(
            minimum_deployment_target=ct.target.iOS18,
            op_linear_quantizer_config={
                "mode": "linear_symmetric",
                "dtype": "int4",
                "granularity": "per_channel",
                "weight_threshold": 16,
            },
        ),
    )
    fp16_table = 64 * 32 * 2
    assert (tree.read(WEIGHTS).nbytes < fp16_table) == tied


def test_a_tied_weight_is_stored_once(lower: Lower) -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(64, 64, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            return self.a(torch.relu(self.a(x)))

    (tree,) = lower(Twice(), (torch.randn(2, 64),))
    assert tree.read(WEIGHTS).nbytes < 1.2 * 64 * 64 * 2


def test_a_model_without_large_constants_has_no_weight_file(lower: Lower) -> None:
    class Double(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x * 2

    (tree,) = lower(Double(), (torch.randn(2),))
    assert tree.find(WEIGHTS) is None
    assert tree.find("model.mlpackage/Data/com.apple.CoreML/weights") is not None


def test_a_lost_initial_state_is_refused(lower: Lower) -> None:
    """The partitioner leaves such a buffer outside; the backend holds when it could not know."""
    with pytest.raises(LowerError, match="initial value of mutable buffer count"):
        _preprocess_with_state(7.0)
    assert _preprocess_with_state(0.0)


def _preprocess_with_state(start: float) -> bytes:
    class Counter(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("count", torch.full((4,), start))

        def forward(self, x: Tensor) -> Tensor:
            self.count.add_(x)
            return self.count * 2

    edge = to_edge(torch.export.export(Counter(), (torch.randn(4),)))
    specs = options(minimum_deployment_target=ct.target.iOS18)["compile_specs"]
    return bytes(CoreMLBackend.preprocess(edge.exported_program(), specs).processed_bytes)


def test_a_failing_conversion_names_the_cause_and_spoils_nothing(lower: Lower) -> None:
    class Mean(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mean(0)

    (before,) = lower(Mean(), (torch.randn(2, 3),))
    program = torch.export.export(Mean(), (torch.randn(2, 3),))
    with pytest.raises(LowerError, match="could not convert the partition") as caught:
        CoreMLBackend.preprocess(_broken(program), [])
    assert isinstance(caught.value.__cause__, Exception)
    (after,) = lower(Mean(), (torch.randn(2, 3),))
    assert digest(before) == digest(after)


def _broken(program: Any) -> Any:
    edge = to_edge(program).exported_program()
    for node in edge.graph.nodes:
        if node.op == "call_function":
            node.args = (node.args[0], ["nonsense"])
    return edge


def digest(tree: Directory) -> str:
    return hashlib.sha256(b"".join(file.data for _, file in tree.walk())).hexdigest()


def test_debug_handle_map_of_the_result() -> None:
    edge = to_edge(torch.export.export(nn.ReLU(), (torch.randn(3),))).exported_program()
    for handle, node in enumerate(edge.graph.nodes):
        node.meta["debug_handle"] = handle
    result = CoreMLBackend.preprocess(edge, [])
    handles = result.debug_handle_map
    assert handles is not None
    assert {symbol: each for symbol, each in handles.items() if symbol.endswith(":relu")} == {
        next(symbol for symbol in handles if symbol.endswith(":relu")): (1,)
    }
