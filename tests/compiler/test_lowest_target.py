"""Lowering without a deployment target. Oracle: the specification version of the model."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import etcoreml
from etcoreml.errors import DeploymentTargetError
from etcoreml.runtime.payload import open_payload
from etcoreml.runtime.pte import parse_pte
from tests.lowering import CoreMLPartitioner, coremltools, lower, specs
from tests.quantizer.pt2e import quantized

ct = coremltools()
iOS15, iOS16, iOS17, iOS18 = (ct.target[f"iOS{n}"] for n in (15, 16, 17, 18))  # noqa: N816


class Count(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(4))

    def forward(self, x: Tensor) -> Tensor:
        self.count.add_(x)
        return self.count * 1


class Quantised(nn.Module):
    """Through 8-bit activations and back, as PT2E writes it."""

    def forward(self, x: Tensor) -> Tensor:
        x = torch.ops.quantized_decomposed.quantize_per_tensor.default(
            x, 0.1, 0, -128, 127, torch.int8
        )
        x = torch.ops.quantized_decomposed.dequantize_per_tensor.default(
            x, 0.1, 0, -128, 127, torch.int8
        )
        return torch.relu(x)


FLOATS = torch.tensor([-1.0, 0.5, 2.0, 3.0])
INT8 = {"mode": "linear_symmetric", "dtype": "int8"}
INT4 = {"mode": "linear_symmetric", "dtype": "int4", "granularity": "per_block", "block_size": 32}
CASES: dict[str, tuple[nn.Module, Tensor, dict[str, Any], Any]] = {
    "nothing": (nn.ReLU(), FLOATS, {}, iOS15),
    "float16 inputs": (nn.ReLU(), FLOATS.half(), {}, iOS16),
    "activations of 8 bits": (Quantised(), FLOATS, {}, iOS17),
    "state": (Count(), FLOATS, {}, iOS18),
    "weights of 8 bits": (
        nn.Linear(64, 64),
        torch.ones(1, 64),
        {"op_linear_quantizer_config": INT8},
        iOS16,
    ),
    "weights of 4 bits": (
        nn.Linear(64, 64),
        torch.ones(1, 64),
        {"op_linear_quantizer_config": INT4},
        iOS18,
    ),
}


def spec_versions(pte: bytes) -> set[int]:
    parsed = parse_pte(pte)
    delegates = [each for method in parsed.methods for each in method.delegates]
    versions = set()
    for each in delegates:
        tree = open_payload(each.payload, parsed.named_data).directory
        data = bytes(tree.read("model.mlpackage/Data/com.apple.CoreML/model.mlmodel"))
        versions.add(ct.proto.Model_pb2.Model.FromString(data).specificationVersion)
    return versions


# ExecuTorch says that it does not store the zeros a buffer starts with.
@pytest.mark.filterwarnings("ignore:Mutation on a buffer:UserWarning")
@pytest.mark.parametrize("name", CASES)
def test_the_lowest_that_is_needed(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", logger="etcoreml")
    module, x, options, needed = CASES[name]
    partitioner = CoreMLPartitioner(compile_specs=specs("float16", **options))
    pte = lower(module, (x,), partitioner=partitioner)
    assert spec_versions(pte) == {needed.value}
    assert not partitioner.report.left_out
    assert partitioner.report.options["minimum_deployment_target"] == needed.name
    said = f"no minimum_deployment_target was given, and the model needs {needed.name}, macOS"
    assert (said in caplog.text) == (needed > iOS15)
    assert len(etcoreml.load(pte).forward(x)[0]) == len(x)


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("dtype", ["qint4", "quint4", "qint8"])
def test_weights_of_pt2e(dtype: str, per_channel: bool) -> None:
    """coremltools stores those of 4 bits in 8 below iOS18, and does not say so."""
    x = torch.ones(1, 64)
    settings = {
        "activation_dtype": "float32",
        "weight_dtype": dtype,
        "weight_per_channel": per_channel,
    }
    module = quantized(nn.Linear(64, 64).eval(), (x,), {"global_config": settings})
    partitioner = CoreMLPartitioner(lower_full_graph=True)
    versions = spec_versions(lower(module, (x,), partitioner=partitioner))
    older = CoreMLPartitioner(compile_specs=specs(minimum_deployment_target=iOS17))
    if dtype == "qint8":
        assert versions == {iOS17.value}
        assert spec_versions(lower(module, (x,), partitioner=older)) == {iOS17.value}
    else:
        assert versions == {iOS18.value}
        with pytest.raises(DeploymentTargetError, match="found iOS17; expected iOS18"):
            lower(module, (x,), partitioner=older)


@pytest.mark.parametrize("config", [INT8, INT4], ids=["int8", "int4"])
def test_a_quantiser_is_not_ignored(config: dict[str, Any]) -> None:
    """Oracle: coremltools, which leaves the weights alone and says so in a log."""
    options = specs(minimum_deployment_target=iOS15, op_linear_quantizer_config=config)
    needed = "iOS16" if config is INT8 else "iOS18"
    with pytest.raises(DeploymentTargetError, match=f"found iOS15; expected {needed}"):
        lower(
            nn.Linear(64, 64),
            (torch.ones(1, 64),),
            partitioner=CoreMLPartitioner(compile_specs=options),
        )


def test_the_target_that_was_given_stays() -> None:
    options = specs("float16", minimum_deployment_target=iOS17)
    partitioner = CoreMLPartitioner(compile_specs=options)
    assert spec_versions(lower(nn.ReLU(), (FLOATS,), partitioner=partitioner)) == {iOS17.value}
    assert partitioner.report.options["minimum_deployment_target"] == "iOS17"


def test_constants_alone_raise_nothing() -> None:
    """What depends on no input is computed outside rather than at iOS18. Oracle: eager."""

    class Steps(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.acosh(torch.arange(4) * 0.5 + 2) + torch.acosh(x)

    partitioner = CoreMLPartitioner()
    pte = lower(Steps(), (FLOATS.abs() + 1,), partitioner=partitioner)
    assert partitioner.report.options["minimum_deployment_target"] == "iOS15"
    torch.testing.assert_close(
        etcoreml.load(pte).forward(FLOATS.abs() + 1)[0],
        Steps()(FLOATS.abs() + 1),
        atol=1e-2,
        rtol=1e-2,
    )


def test_methods_that_share_weights() -> None:
    from etcoreml.compiler import MULTIMETHOD_WEIGHT_SHARING_STRATEGY, CoreMLBackend

    sharing = CoreMLBackend.generate_multimethod_weight_sharing_strategy_compile_spec(
        MULTIMETHOD_WEIGHT_SHARING_STRATEGY.POSITIONAL
    )
    partitioner = CoreMLPartitioner(compile_specs=[*specs(), sharing])
    modules = {"one": nn.ReLU(), "two": nn.Tanh()}
    pte = lower(modules, {"one": (FLOATS,), "two": (FLOATS,)}, partitioner=partitioner)
    assert spec_versions(pte) == {iOS18.value}
    assert partitioner.report.options["minimum_deployment_target"] == "iOS18"
