"""Weights quantised by torchao, lowered and run. Oracle: the quantised module in eager."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import etcoreml
from etcoreml.blob import read_blob
from etcoreml.errors import DeploymentTargetError
from etcoreml.imports import quiet_imports
from etcoreml.mil.ct import coremltools
from etcoreml.partition import CoreMLPartitioner
from tests.lowering import specs, to_edge_transform_and_lower

with quiet_imports():
    from torchao.prototype.quantization.codebook_coreml import CodebookWeightOnlyConfig
    from torchao.quantization import IntxWeightOnlyConfig, PerAxis, PerGroup, quantize_

ct = coremltools()
int4, int8 = (
    {
        granularity: IntxWeightOnlyConfig(weight_dtype=dtype, granularity=each)
        for granularity, each in (("row", PerAxis(0)), ("group", PerGroup(32)))
    }
    for dtype in (torch.int4, torch.int8)
)


def lowered(module: nn.Module, inputs: tuple[Tensor, ...], target: Any) -> Any:
    partitioner = CoreMLPartitioner(
        compile_specs=specs(minimum_deployment_target=target), lower_full_graph=True
    )
    return to_edge_transform_and_lower(
        torch.export.export(module.eval(), inputs), partitioner=[partitioner]
    )


def weight_nbytes(edge: Any) -> int:
    tree = read_blob(edge.exported_program().graph_module.lowered_module_0.processed_bytes)
    return tree.read("model.mlpackage/Data/com.apple.CoreML/weights/weight.bin").nbytes


@pytest.mark.parametrize(
    ("config", "target", "bits"),
    [
        (int8["row"], ct.target.iOS16, 8),
        (int8["row"], ct.target.iOS18, 8),
        (int8["group"], ct.target.iOS18, 8),
        (int4["row"], ct.target.iOS18, 4),
        (int4["group"], ct.target.iOS18, 4),
        (CodebookWeightOnlyConfig(dtype=torch.uint2, block_size=[16, -1]), ct.target.iOS18, 2),
        (CodebookWeightOnlyConfig(dtype=torch.uint3, block_size=[-1, 16]), ct.target.iOS18, 3),
    ],
)
@pytest.mark.parametrize("square", [True, False])
def test_linear(config: Any, target: Any, bits: int, square: bool) -> None:
    """A square weight does not tell rows from columns: only the numbers do."""
    torch.manual_seed(0)
    module = nn.Linear(64, 64 if square else 96)
    with torch.no_grad():
        module.weight *= torch.linspace(0.1, 10, module.out_features)[:, None]
    quantize_(module, config)
    x = torch.randn(5, 64)
    edge = lowered(module, (x,), target)
    assert weight_nbytes(edge) < module.out_features * 64 * bits / 8 + 2048
    (actual,) = etcoreml.load(bytes(edge.to_executorch().buffer)).forward(x)
    with torch.inference_mode():
        torch.testing.assert_close(actual, module(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("config", [int8["row"], int4["group"]])
def test_embedding(config: Any) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Embedding(64, 64))
    quantize_(module, config, lambda each, name: isinstance(each, nn.Embedding))
    ids = torch.tensor([[0, 5, 63]])
    edge = lowered(module, (ids,), ct.target.iOS18)
    (actual,) = etcoreml.load(bytes(edge.to_executorch().buffer)).forward(ids)
    with torch.inference_mode():
        torch.testing.assert_close(actual, module(ids), rtol=1e-4, atol=1e-4)


def test_groups_need_ios18() -> None:
    module = nn.Linear(64, 64)
    quantize_(module, int4["group"])
    with pytest.raises(ValueError, match="iOS18") as caught:
        lowered(module, (torch.randn(1, 64),), ct.target.iOS17)
    assert isinstance(caught.value, DeploymentTargetError)
    assert "generate_compile_specs(minimum_deployment_target=ct.target.iOS18)" in str(caught.value)


def test_groups_get_ios18_where_no_target_is_asked_for() -> None:
    """Oracle: the model lowered for it."""
    module, inputs = nn.Linear(64, 64), (torch.randn(1, 64),)
    quantize_(module, int4["group"])
    found, wanted = (
        lowered(module, inputs, target).exported_program().graph_module.lowered_module_0
        for target in (None, ct.target.iOS18)
    )
    assert found.processed_bytes == wanted.processed_bytes
