"""Enumerated shapes: the table, its JSON (upstream's format), and lowering with it."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from etcoreml.blob import read_blob
from etcoreml.compiler import CoreMLBackend
from etcoreml.compiler.enumerated_shapes import EnumeratedShapes
from etcoreml.errors import CompileSpecError, DeploymentTargetError, PartitionOptionError
from etcoreml.mil.ct import coremltools
from etcoreml.partition import CoreMLPartitioner
from tests.lowering import to_edge_transform_and_lower

ct = coremltools()


class Rows(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(10, 5), nn.Linear(11, 5)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return self.a(x).sum() + self.b(y)


X, Y = [[1, 5, 10], [4, 6, 10]], [[3, 11], [5, 11]]


def exported(*, second: bool = True) -> Any:
    auto = torch.export.Dim.AUTO
    shapes = ({0: auto(min=1, max=4), 1: auto(min=5, max=6)}, {0: auto(min=3, max=5)})
    return torch.export.export(
        Rows().eval(),
        (torch.randn(4, 6, 10), torch.randn(5, 11)),
        dynamic_shapes=(shapes[0], shapes[1] if second else None),
    )


def test_json_has_one_entry_per_symbolic_shape() -> None:
    spec = CoreMLBackend.generate_enumerated_shapes_compile_spec(exported(), {"x": X, "y": Y})
    first, second = json.loads(spec.value)
    assert spec.key == "enumerated_shapes"
    assert [size["high"] for size in first[0]["shape"][:2]] == [4, 6]
    assert first[0]["shape"][2] == 10
    assert (first[1], second[1]) == ([X, ["x"]], [Y, ["y"]])
    table = CoreMLBackend.enumerated_shapes_from_compile_specs([spec])
    assert table is not None
    assert table == EnumeratedShapes.from_json(table.to_json())


@pytest.mark.parametrize(
    ("shapes", "named"),
    [
        ({"x": X}, "expected x, y"),
        ({"x": X, "y": Y, "z": Y}, "x, y, z"),
        ({"x": X, "y": [*Y, [4, 11]]}, "same number"),
        ({"x": X[:1], "y": Y[:1]}, "at least two"),
        ({"x": [[1, 5], [4, 6]], "y": Y}, "not a shape"),
        ({"x": [[1, 5, 9], [4, 6, 9]], "y": Y}, "not a shape"),
        ({"x": [[1, 5, 10], [4, 7, 10]], "y": Y}, "not a shape"),
        ({"x": [[0, 5, 10], [4, 6, 10]], "y": Y}, "not a shape"),
        ({"x": [[1, 5, 10], [4, "6", 10]], "y": Y}, "not a shape"),
    ],
)
def test_table_refuses(shapes: Any, named: str) -> None:
    with pytest.raises(CompileSpecError, match=named):
        EnumeratedShapes.from_exported_program(exported(), shapes)


def lowered(program: Any, target: Any, shapes: dict[str, Any]) -> Any:
    specs = CoreMLBackend.generate_compile_specs(minimum_deployment_target=target)
    specs.append(CoreMLBackend.generate_enumerated_shapes_compile_spec(program, shapes))
    partitioner = CoreMLPartitioner(compile_specs=specs, lower_full_graph=True)
    edge = to_edge_transform_and_lower(program, partitioner=[partitioner])
    blob = edge.exported_program().graph_module.lowered_module_0.processed_bytes
    model = read_blob(blob).read("model.mlpackage/Data/com.apple.CoreML/model.mlmodel")
    return ct.proto.Model_pb2.Model.FromString(bytes(model)).description


def test_lowered_inputs_list_the_shapes() -> None:
    description = lowered(exported(), ct.target.iOS18, {"x": X, "y": Y})
    found = {
        feature.name: [
            list(each.shape) for each in feature.type.multiArrayType.enumeratedShapes.shapes
        ]
        for feature in description.input
    }
    assert found == {"x": X, "y": Y}


def test_one_input_needs_no_new_target() -> None:
    description = lowered(exported(second=False), None, {"x": X})
    x, y = description.input
    assert len(x.type.multiArrayType.enumeratedShapes.shapes) == 2
    assert list(y.type.multiArrayType.shape) == [5, 11]


def test_two_inputs_need_ios18() -> None:
    with pytest.raises(DeploymentTargetError, match=r"x, y.*\n.*iOS18"):
        lowered(exported(), ct.target.iOS17, {"x": X, "y": Y})


def test_full_graph_is_needed() -> None:
    spec = CoreMLBackend.generate_enumerated_shapes_compile_spec(exported(), {"x": X, "y": Y})
    with pytest.raises(PartitionOptionError, match="lower_full_graph=True"):
        CoreMLPartitioner(compile_specs=[spec])


def test_a_lower_bound_that_torch_raises_later() -> None:
    """Decomposition turns [1, 8] into [2, 8]; the compile spec was made before."""
    module = nn.Sequential(nn.Linear(4, 4), nn.GELU()).eval()
    rows = torch.export.Dim("rows", min=1, max=8)
    program = torch.export.export(module, (torch.randn(2, 4),), dynamic_shapes=({0: rows},))
    shapes = {"input": [[2, 4], [1, 4], [8, 4]]}
    spec = CoreMLBackend.generate_enumerated_shapes_compile_spec(program, shapes)
    specs = [*CoreMLBackend.generate_compile_specs(minimum_deployment_target=ct.target.iOS18), spec]
    partitioner = CoreMLPartitioner(compile_specs=specs, lower_full_graph=True)
    edge = to_edge_transform_and_lower(program, partitioner=[partitioner])
    tree = read_blob(edge.exported_program().graph_module.lowered_module_0.processed_bytes)
    path = "model.mlpackage/Data/com.apple.CoreML/model.mlmodel"
    model = ct.proto.Model_pb2.Model.FromString(bytes(tree.read(path)))
    (feature,) = model.description.input
    listed = feature.type.multiArrayType.enumeratedShapes.shapes
    assert sorted(list(each.shape) for each in listed) == [[1, 4], [2, 4], [8, 4]]
