"""What the quantiser annotates, and what becomes of it here.

Oracles: the ops of the converted graph, by hand; for numbers, the converted module in eager.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import etcoreml
from etcoreml.errors import QuantizerConfigError
from etcoreml.mil.ct import coremltools
from etcoreml.partition import CoreMLPartitioner
from etcoreml.quantizer import CoreMLQuantizer, LinearQuantizerConfig
from tests.lowering import lower, snr_db, specs
from tests.quantizer.pt2e import WEIGHT_ONLY, calls, convert_pt2e, prepared, quantized

ct = coremltools()


class Network(nn.Module):
    """Every kind of pattern but embeddings."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 8, 3, padding="same", groups=8, bias=False)
        self.up = nn.ConvTranspose2d(8, 6, 2, 2)
        self.head = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.relu6(self.norm(self.conv(x)))
        x = x + self.depthwise(x)
        x = nn.functional.max_pool2d(self.up(x * x).relu(), 2)
        x = nn.functional.adaptive_avg_pool2d(x, 1).flatten(1)
        return self.head(x)


class Words(nn.Module):
    """An embedding and a product of computed matrices."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.linear = nn.Embedding(20, 16), nn.Linear(16, 16)

    def forward(self, ids: Tensor) -> Tensor:
        x = self.table(ids)
        return torch.matmul(self.linear(x), x.transpose(1, 2)).relu()


class Twice(nn.Module):
    """Two convolutions with activations."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = (
            nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU()),
            nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU()),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))


PICTURE = (torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0)),)
IDS = (torch.tensor([[0, 5, 19], [7, 7, 1]]),)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def lowered_and_run(module: Any, inputs: tuple[Tensor, ...], target: str) -> Tensor:
    partitioner = CoreMLPartitioner(
        compile_specs=specs(minimum_deployment_target=ct.target[target]), lower_full_graph=True
    )
    data = lower(module, inputs, partitioner=partitioner)
    return etcoreml.load(data).forward(*inputs)[0]


def eager(module: Any, inputs: tuple[Tensor, ...]) -> Tensor:
    with torch.no_grad():
        return module(*inputs)


def test_patterns_of_a_network() -> None:
    module = quantized(Network().eval(), PICTURE, {})
    weights = ["dq"] * 4
    assert calls(module) == [
        *weights,
        *("q", "dq", "conv2d", "relu6", "q", "dq", "dq"),
        *("conv2d", "q", "dq", "add", "q", "dq", "mul", "q", "dq", "conv_transpose2d", "relu"),
        *("q", "dq", "max_pool2d", "q", "dq", "adaptive_avg_pool2d", "q", "dq", "flatten", "q"),
        *("dq", "linear", "q", "dq"),
    ]
    scales = [node.args[1] for node in module.graph.nodes if "quantize_per_t" in str(node.target)]
    assert len(set(scales[-10:-2])) == 1, "pools and flatten keep the scale of their input"


def test_only_weights() -> None:
    module = quantized(Network().eval(), PICTURE, {"global_config": WEIGHT_ONLY})
    assert [each for each in calls(module) if each in ("q", "dq")] == ["dq"] * 4


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("dtype", ["qint8", "quint8", "qint4", "quint4"])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_largest_weight_is_exact(dtype: str, per_channel: bool, sign: int) -> None:
    layer = nn.Linear(4, 2, bias=False).eval()
    layer.weight.data = sign * torch.tensor([[1.0, 0.25, 0, -0.5], [1.0, -0.5, 0.125, 0]])
    settings = {**WEIGHT_ONLY, "weight_dtype": dtype, "weight_per_channel": per_channel}
    module = quantized(layer, (torch.eye(4),), {"global_config": settings})
    torch.testing.assert_close(eager(module, (torch.eye(4),))[0], layer.weight.data[:, 0])


def weight_scales(module: Any) -> dict[str, tuple[str, Any, tuple[int, ...]]]:
    """Return the op that restores the weight of each layer, its axis, and the shape of its scales.

    Without an axis, the shape is empty.
    """
    found = {}
    for node in module.graph.nodes:
        for weight in node.all_input_nodes[1:2]:
            if "dequantize" in str(weight.target) and "dequantize" not in str(node.target):
                name = weight.target._schema.name.partition("::")[2]
                channels = "channel" in name
                axis = weight.args[3] if channels else None
                scale = getattr(module, weight.args[1].target).shape if channels else ()
                layer = node.target._schema.name.partition("::")[2]
                found[f"{layer} {tuple(getattr(module, weight.args[0].target).shape)}"] = (
                    name,
                    axis,
                    tuple(scale),
                )
    return found


class Weights(nn.Module):
    """Weights whose output channels lie along several axes."""

    def __init__(self) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(6, 6, 3, groups=6)
        self.up = nn.ConvTranspose2d(6, 4, 2)
        self.spread = nn.ConvTranspose2d(4, 4, 3, groups=4)
        self.grouped = nn.ConvTranspose2d(4, 6, 1, groups=2)
        self.head = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.grouped(self.spread(self.up(self.depthwise(x))))
        return self.head(x.mean((2, 3)))


def test_axes_of_weights() -> None:
    inputs = (torch.randn(1, 6, 5, 5),)
    settings = {"global_config": WEIGHT_ONLY}
    module = quantized(Weights().eval(), inputs, settings)
    channel, tensor = "dequantize_per_channel", "dequantize_per_tensor"
    assert weight_scales(module) == {
        "conv2d (6, 1, 3, 3)": (channel, 0, (6,)),
        "conv_transpose2d (6, 4, 2, 2)": (channel, 1, (4,)),
        "conv_transpose2d (4, 1, 3, 3)": (channel, 0, (4,)),
        # Each index of (in, out / groups) belongs to several output channels, or to none whole.
        "conv_transpose2d (4, 3, 1, 1)": (tensor, None, ()),
        "linear (5, 6)": (channel, 0, (5,)),
    }
    assert snr_db(lowered_and_run(module, inputs, "iOS17"), eager(module, inputs)) > 50


def test_weights_alone_need_no_data() -> None:
    network = Twice().eval()
    ready = prepared(network, PICTURE, {"global_config": WEIGHT_ONLY})
    assert snr_db(eager(convert_pt2e(ready), PICTURE), eager(network, PICTURE)) > 30


@pytest.mark.parametrize(
    ("activation", "low"),
    [
        (nn.ReLU(), 0),
        (nn.ReLU6(), 0),
        (nn.Hardtanh(0, 6), 0),
        (nn.Sigmoid(), 0),
        (nn.Hardtanh(), 128),
        (nn.Tanh(), 128),
    ],
    ids=str,
)
def test_what_is_never_negative_needs_no_sign(activation: nn.Module, low: int) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), activation).eval()
    module = quantized(network, PICTURE, {})
    output = [node for node in module.graph.nodes if ".quantize_per_tensor" in str(node.target)][-1]
    highest = float(eager(network, PICTURE).max())
    scale, zero_point = output.args[1:3]
    assert zero_point == low
    if low == 0:
        # Observed after rounded weights; a sign would take half of the steps.
        assert scale == pytest.approx(highest / 255, rel=0.02)


def test_a_mean_has_a_scale_of_its_own() -> None:
    class Mean(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.mean((2, 3))

    module = quantized(Mean().eval(), PICTURE, {})
    assert calls(module) == ["q", "dq", "mean", "q", "dq"]
    scales = [node.args[1] for node in module.graph.nodes if ".quantize_p" in str(node.target)]
    largest = eager(Mean(), PICTURE).abs().max()
    assert scales[1] == pytest.approx(float(largest) / 127.5, rel=0.02)


def test_float_weights_are_no_quantisation() -> None:
    settings = {"global_config": {"weight_dtype": "float32", "activation_dtype": "float32"}}
    assert {"q", "dq"}.isdisjoint(calls(quantized(Twice().eval(), PICTURE, settings)))


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"module_name_configs": {"first": {}}}, "dq q dq conv2d relu q dq conv2d relu"),
        (
            {"global_config": {}, "module_name_configs": {"first": None}},
            "dq conv2d relu q dq conv2d relu q dq",
        ),
        (
            {"module_name_configs": {"first": None, "first.0": WEIGHT_ONLY}},
            "dq conv2d relu conv2d relu",
        ),
        (
            {"global_config": {}, "module_type_configs": {"Conv2d": WEIGHT_ONLY}},
            "dq dq conv2d relu conv2d relu",
        ),
        (
            {"global_config": {}, "module_type_configs": {"ReLU": None}},
            "dq dq q dq conv2d q dq relu q dq conv2d q dq relu",
        ),
    ],
)
@pytest.mark.parametrize("strict", [False, True])
def test_settings_of_a_module(settings: Any, expected: str, strict: bool) -> None:
    module = quantized(Twice().eval(), PICTURE, settings, strict=strict)
    assert calls(module) == expected.split()


def test_a_name_without_a_module_is_told() -> None:
    with pytest.warns(UserWarning, match="in a module third"):
        prepared(Twice().eval(), PICTURE, {"module_name_configs": {"third": {}}})


def test_integers_stay() -> None:
    class Counting(nn.Module):
        def forward(self, ids: Tensor) -> Tensor:
            return ids + ids

    assert calls(quantized(Counting(), IDS, {})) == ["add"]


@pytest.mark.parametrize(
    ("settings", "target"),
    [
        ({}, "iOS17"),
        (
            {
                "quantization_scheme": "affine",
                "weight_per_channel": False,
                "weight_dtype": "quint8",
                "activation_observer": "min_max",
                "weight_observer": "ema_min_max",
            },
            "iOS17",
        ),
        ({**WEIGHT_ONLY, "weight_dtype": "qint4"}, "iOS18"),
    ],
)
def test_network_runs(settings: Any, target: str) -> None:
    module = quantized(Network().eval(), PICTURE, {"global_config": settings})
    actual = lowered_and_run(module, PICTURE, target)
    # Rounding is the same, and what is computed in between nearly so.
    assert snr_db(actual, eager(module, PICTURE)) > 50


@pytest.mark.parametrize("dtype", ["qint8", "qint4"])
def test_embedding_runs(dtype: str) -> None:
    settings = {"global_config": {"weight_dtype": dtype}}
    module = quantized(Words().eval(), IDS, settings)
    assert calls(module)[:3] == ["dq", "dq", "embedding"]
    actual = lowered_and_run(module, IDS, "iOS18")
    assert snr_db(actual, eager(module, IDS)) > 50


def test_quantisation_aware_training() -> None:
    ready = prepared(Twice().train(), PICTURE, {}, qat=True)
    optimizer = torch.optim.SGD(ready.parameters(), lr=0.01)
    losses = []
    for _ in range(5):
        optimizer.zero_grad()
        loss = ready(*PICTURE).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach().item())
    assert losses[-1] < losses[0]
    module = convert_pt2e(ready)
    assert calls(module) == calls(quantized(Twice().eval(), PICTURE, {}))
    assert snr_db(lowered_and_run(module, PICTURE, "iOS17"), eager(module, PICTURE)) > 50


def test_what_is_no_configuration() -> None:
    with pytest.raises(QuantizerConfigError, match="LinearQuantizerConfig"):
        CoreMLQuantizer({"global_config": {}})


def test_an_algorithm_that_pt2e_has_not() -> None:
    config = LinearQuantizerConfig.from_dict({"global_config": {"algorithm": "learnable"}})
    with pytest.raises(QuantizerConfigError, match="learnable"):
        CoreMLQuantizer(config)


def test_no_configuration_is_the_default_one() -> None:
    exported = torch.export.export(Twice().eval(), PICTURE).module()
    annotated = CoreMLQuantizer().annotate(exported)
    assert sum("quantization_annotation" in node.meta for node in annotated.graph.nodes) == 4
