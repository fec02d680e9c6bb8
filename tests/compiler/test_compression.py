"""Weights compressed after the conversion. Oracle: eager, and what the model stores."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import etcoreml
from etcoreml.blob import read_blob
from etcoreml.compiler import CoreMLBackend, convert
from etcoreml.compiler.compression import KINDS, read_steps
from etcoreml.compiler.lowest_target import target_of_compression
from etcoreml.compiler.specs import decode_options
from etcoreml.errors import CompileSpecError, DeploymentTargetError, LowerError
from etcoreml.mil.ct import coremltools
from etcoreml.partition import CoreMLPartitioner
from tests.lowering import snr_db, specs, to_edge_transform_and_lower

ct = coremltools()
PALETTE: dict[str, Any] = {
    "config_type": "OpPalettizerConfig",
    "global_config": {"mode": "kmeans", "nbits": 4, "weight_threshold": 64},
}
SPARSE = {
    "config_type": "OpMagnitudePrunerConfig",
    "global_config": {"target_sparsity": 0.75, "weight_threshold": 64},
}
INT4 = {
    "config_type": "OpLinearQuantizerConfig",
    "global_config": {
        "dtype": "int4",
        "granularity": "per_block",
        "block_size": 16,
        "weight_threshold": 64,
    },
}
INT8 = {
    "config_type": "OpLinearQuantizerConfig",
    "global_config": {"granularity": "per_tensor", "weight_threshold": 8},
}
PALETTE_OF_4 = PALETTE["global_config"]
VECTORS = {**PALETTE_OF_4, "cluster_dim": 2}
FIRST_ONLY = {**PALETTE, "op_type_configs": {"linear": None}}


@pytest.fixture(scope="module")
def network() -> tuple[nn.Module, tuple[Tensor, ...]]:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(32, 128, 1), nn.ReLU(), nn.Flatten(), nn.Linear(512, 32))
    return module.eval(), (torch.randn(2, 32, 2, 2),)


def lowered(
    network: Any, steps: list[Any], target: Any, *, full: bool = True, **options: Any
) -> tuple[int, Tensor]:
    """Return the bytes of the weights, and the output of the program."""
    module, inputs = network
    compile_specs = specs(minimum_deployment_target=target, **options)
    if steps:
        compile_specs.append(CoreMLBackend.generate_weight_compression_compile_spec(steps))
    partitioner = CoreMLPartitioner(compile_specs=compile_specs, lower_full_graph=full)
    edge = to_edge_transform_and_lower(
        torch.export.export(module, inputs), partitioner=[partitioner]
    )
    tree = read_blob(edge.exported_program().graph_module.lowered_module_0.processed_bytes)
    nbytes = tree.read("model.mlpackage/Data/com.apple.CoreML/weights/weight.bin").nbytes
    return nbytes, etcoreml.load(bytes(edge.to_executorch().buffer)).forward(*inputs)[0]


def pruned(module: nn.Module) -> nn.Module:
    """Return a copy without three quarters of each weight, the smallest ones."""
    copied = copy.deepcopy(module)
    for weight in (copied[0].weight, copied[3].weight):
        limit = weight.abs().flatten().sort().values[weight.numel() * 3 // 4]
        with torch.no_grad():
            weight[weight.abs() < limit] = 0
    return copied


# Bits of a weight, of the 20480 in fp32; what is left over are tables, scales, biases and padding.
@pytest.mark.parametrize(
    ("steps", "target", "bits", "decibel"),
    [
        ([PALETTE], "iOS16", 4, 15),
        ([INT4], "iOS18", 4 + 32 / 16, 15),
        ([SPARSE], "iOS16", 0.25 * 32 + 1, 60),
        ([SPARSE, PALETTE], "iOS18", 0.25 * 4 + 1, 15),
        ([PALETTE, INT8], "iOS18", 4, 15),
        ([FIRST_ONLY], "iOS16", (4096 * 4 + 16384 * 32) / 20480, 20),
    ],
    ids=["palette", "int4 blocks", "sparse", "sparse palette", "int8 palette", "one op type"],
)
def test_steps(network: Any, steps: Any, target: str, bits: float, decibel: float) -> None:
    nbytes, actual = lowered(network, steps, ct.target[target])
    expected_nbytes = 20480 * bits / 8
    assert expected_nbytes <= nbytes < expected_nbytes + 2048
    module, inputs = network
    expected = pruned(module) if SPARSE in steps else module
    with torch.inference_mode():
        assert snr_db(actual, expected(*inputs)) > decibel


def test_palettised_values(network: Any) -> None:
    """A weight of 16 values is what a palette of 4 bits holds exactly."""
    module = nn.Sequential(nn.Linear(64, 32, bias=False)).eval()
    levels = torch.linspace(-1, 1, 16)
    with torch.no_grad():
        module[0].weight.copy_(levels[torch.arange(64 * 32).reshape(32, 64) % 16])
    inputs = (torch.eye(64),)
    _, actual = lowered((module, inputs), [PALETTE], ct.target.iOS16)
    np.testing.assert_allclose(actual.numpy(), module[0].weight.detach().numpy().T, atol=1e-6)


def test_joint_compression_needs_ios18(network: Any) -> None:
    with pytest.raises(DeploymentTargetError, match="iOS18"):
        lowered(network, [SPARSE, PALETTE], ct.target.iOS17)


def test_compression_needs_ios16(network: Any) -> None:
    with pytest.raises(DeploymentTargetError, match="iOS16"):
        lowered(network, [PALETTE], ct.target.iOS15)


@pytest.mark.parametrize(
    "where",
    [
        lambda config: {"global_config": config},
        lambda config: {"op_type_configs": {"linear": config}},
        lambda config: {"op_name_configs": {"op_1": config}},
    ],
    ids=["global", "type", "name"],
)
@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("OpLinearQuantizerConfig", {"dtype": "int4"}),
        ("OpLinearQuantizerConfig", {"granularity": "per_block"}),
        ("OpPalettizerConfig", {**PALETTE_OF_4, "granularity": "per_grouped_channel"}),
        ("OpPalettizerConfig", {**PALETTE_OF_4, "cluster_dim": 2}),
        ("OpPalettizerConfig", {**PALETTE_OF_4, "enable_per_channel_scale": True}),
    ],
    ids=["int4", "blocks", "groups", "vectors", "scales"],
)
def test_what_one_step_needs_of_the_target(kind: str, config: Any, where: Any) -> None:
    (step,) = read_steps([{"config_type": kind, **where(config)}])
    options = replace(decode_options(()), weight_compression=[step])
    assert target_of_compression(options) == ct.target.iOS18


@pytest.mark.parametrize("step", [INT4, {**PALETTE, "global_config": VECTORS}])
def test_one_step_may_need_ios18(network: Any, step: Any) -> None:
    """Also where nodes may stay outside: the layers used to, without a word."""
    with pytest.raises(DeploymentTargetError, match="found iOS17; expected iOS18"):
        lowered(network, [step], ct.target.iOS17, full=False)


def test_no_node_is_at_fault_where_compression_fails(
    network: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*args: Any) -> None:
        what = "not today"
        raise ValueError(what)

    monkeypatch.setattr(convert, "compress", fails)
    with pytest.raises(LowerError, match="not today"):
        lowered(network, [PALETTE], ct.target.iOS16, full=False)


def test_two_ways_exclude_each_other(network: Any) -> None:
    with pytest.raises(CompileSpecError, match="exclude each other"):
        lowered(network, [PALETTE], ct.target.iOS18, op_linear_quantizer_config={})


@pytest.mark.parametrize(
    "steps",
    [
        None,
        [],
        "OpPalettizerConfig",
        [{"global_config": {"nbits": 4}}],
        [{"config_type": "OpHuffmanConfig"}],
        [{"config_type": "OpPalettizerConfig", "global_config": {"bits": 4}}],
        [{"config_type": "OpPalettizerConfig", "global_config": {"mode": "kmeans", "nbits": 5}}],
    ],
)
def test_what_is_refused(steps: Any) -> None:
    with pytest.raises(CompileSpecError, match="config_type, one of OpLinearQuantizerConfig"):
        CoreMLBackend.generate_weight_compression_compile_spec(steps)


def test_reading_leaves_the_dicts_alone() -> None:
    written = {
        "config_type": "OpThresholdPrunerConfig",
        "global_config": {"threshold": 0.01},
        "op_type_configs": {
            "conv": {"config_type": "OpMagnitudePrunerConfig", "n_m_ratio": [3, 4]}
        },
    }
    (step,) = read_steps([written])
    assert step.kind in KINDS
    assert step.config.op_type_configs["conv"].n_m_ratio == (3, 4)
    assert written["op_type_configs"]["conv"]["config_type"] == "OpMagnitudePrunerConfig"
