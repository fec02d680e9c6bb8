"""MIL family ``conv`` against torch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own spelling

from etcoreml.engine import compile_function
from tests.cases import (
    Case,
    mil_builder,
    mil_function,
    normal,
    numbers_of,
    rng,
    to_program,
    uniform,
)

CONV = (F.conv1d, F.conv2d, F.conv3d)
TRANSPOSED = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)


def _same(size: int, kernel: int, stride: int, dilation: int, lower: bool) -> tuple[int, int]:
    """Padding that makes the output ``ceil(size / stride)``; an odd element goes to one side."""
    total = max(0, (-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size)
    small, large = total // 2, total - total // 2
    return (large, small) if lower else (small, large)


def _conv(
    x: Any,
    weight: Any,
    bias: Any = None,
    strides: Any = None,
    pad_type: str = "valid",
    pad: Any = None,
    dilations: Any = None,
    groups: int = 1,
) -> Any:
    spatial = x.ndim - 2
    steps = [1] * spatial if strides is None else [int(s) for s in strides]
    spread = [1] * spatial if dilations is None else [int(d) for d in dilations]
    pairs = [(0, 0)] * spatial
    if pad_type == "custom":
        pairs = [(int(pad[2 * i]), int(pad[2 * i + 1])) for i in range(spatial)]
    elif pad_type.startswith("same"):
        pairs = [
            _same(
                x.shape[i + 2], weight.shape[i + 2], steps[i], spread[i], pad_type == "same_lower"
            )
            for i in range(spatial)
        ]
    padded = np.pad(x, [(0, 0), (0, 0), *pairs])
    biased = None if bias is None else torch.from_numpy(bias)
    return CONV[spatial - 1](
        torch.from_numpy(padded),
        torch.from_numpy(weight),
        biased,
        stride=steps,
        dilation=spread,
        groups=int(groups),
    ).numpy()


def _transposed(
    x: Any,
    weight: Any,
    bias: Any = None,
    pad: Any = None,
    output_shape: Any = None,
    pad_type: str = "valid",
    strides: Any = None,
    dilations: Any = None,
    groups: int = 1,
) -> Any:
    """Everything torch computes without padding, then cropped to what MIL's docstring says."""
    spatial = x.ndim - 2
    steps = [1] * spatial if strides is None else [int(s) for s in strides]
    spread = [1] * spatial if dilations is None else [int(d) for d in dilations]
    y = TRANSPOSED[spatial - 1](
        torch.from_numpy(x),
        torch.from_numpy(weight),
        None if bias is None else torch.from_numpy(bias),
        stride=steps,
        dilation=spread,
        groups=int(groups),
    ).numpy()
    for i in range(spatial):
        size = y.shape[i + 2]
        before, after = (int(pad[2 * i]), int(pad[2 * i + 1])) if pad_type == "custom" else (0, 0)
        if pad_type == "same":
            wanted = x.shape[i + 2] * steps[i] if output_shape is None else int(output_shape[i + 2])
            before = max(0, size - wanted) // 2
            after = size - wanted - before
        y = np.take(y, range(before, size - after), axis=i + 2)
    return y


W4, BIAS = normal(6, 4, 3, 3, seed=1) / 4, normal(6, seed=2)
X4 = normal(2, 4, 9, 8)


def _conv_case(why: str, x: Any = X4, weight: Any = W4, **params: Any) -> Case:
    arrays = {k: np.array(v, np.int32) if isinstance(v, list) else v for k, v in params.items()}
    return Case("conv", {"x": x}, {"weight": weight, **arrays}, 1e-4, why, _conv)


def _transposed_case(why: str, x: Any, weight: Any, **params: Any) -> Case:
    arrays = {k: np.array(v, np.int32) if isinstance(v, list) else v for k, v in params.items()}
    return Case("conv_transpose", {"x": x}, {"weight": weight, **arrays}, 1e-4, why, _transposed)


def _quantized(x: Any, weight: Any, quant_scale: Any, quant_bias: Any, **params: Any) -> Any:
    dense = weight * quant_scale.reshape(-1, 1, 1, 1) + quant_bias.reshape(-1, 1, 1, 1)
    rest = {k: v for k, v in params.items() if k not in ("quantization_type", "nbits")}
    return _conv(x, dense.astype(np.float32), **rest)


QUANTIZED = {"quantization_type": "linear", "nbits": np.int32(4)}

XT, WT = normal(2, 4, 5, 6), normal(4, 6, 3, 3, seed=1) / 4

CASES = (
    _conv_case("plain"),
    _conv_case("bias", bias=BIAS),
    _conv_case("custom padding", pad_type="custom", pad=[1, 2, 0, 3]),
    _conv_case("same", pad_type="same", strides=[2, 1], bias=BIAS),
    _conv_case("same, even kernel", weight=normal(6, 4, 2, 4) / 4, pad_type="same", strides=[2, 3]),
    _conv_case("strides and dilations", strides=[2, 1], dilations=[1, 2]),
    _conv_case("groups", weight=normal(6, 2, 3, 3) / 4, groups=2, bias=BIAS),
    _conv_case("depthwise", weight=normal(8, 1, 3, 3) / 4, groups=4, pad_type="same"),
    _conv_case("one dimension", x=normal(2, 4, 11), weight=normal(6, 4, 3) / 4, strides=[2]),
    _conv_case(
        "three dimensions",
        x=normal(1, 4, 4, 5, 6),
        weight=normal(6, 4, 2, 3, 2) / 4,
        pad_type="custom",
        pad=[1, 1, 0, 1, 1, 0],
    ),
    Case(
        "conv",
        {"x": X4},
        {"weight": W4, "pad_type": "same_lower", "strides": np.array([2, 2], np.int32)},
        1e-4,
        "same_lower",
        _conv,
        "iOS16",
    ),
    Case("conv", {"x": X4, "weight": W4}, {}, 1e-4, "weight computed", _conv, varies=False),
    Case(
        "conv",
        {"x": X4, "weight": normal(6, 2, 3, 3) / 4},
        {"groups": 2},
        1e-4,
        "grouped weight computed",
        _conv,
        varies=False,
    ),
    *(
        Case(
            "conv_quantized",
            {"x": X4},
            {
                "weight": rng(3).integers(0, 16, (6, 4, 3, 3)).astype(np.uint8),
                "quant_scale": uniform(0.01, 0.05, channels, seed=1),
                "quant_bias": uniform(-0.3, 0.3, channels, seed=2),
                **QUANTIZED,
                **params,
            },
            1e-4,
            why,
            _quantized,
        )
        for why, channels, params in (
            ("one scale", 1, {}),
            ("a scale per channel", 6, {"strides": np.array([2, 1], np.int32)}),
        )
    ),
    _transposed_case("plain", XT, WT),
    _transposed_case("bias and strides", XT, WT, bias=BIAS, strides=[2, 3]),
    _transposed_case("custom", XT, WT, pad_type="custom", pad=[1, 0, 1, 2], strides=[2, 2]),
    _transposed_case("same", XT, WT, pad_type="same", strides=[2, 2]),
    _transposed_case("same, odd surplus", XT, normal(4, 6, 4, 3) / 4, pad_type="same"),
    _transposed_case("dilations", XT, WT, dilations=[2, 1]),
    _transposed_case("groups", XT, normal(4, 3, 3, 3) / 4, groups=2, strides=[2, 1]),
    _transposed_case("one dimension", normal(2, 4, 7), normal(4, 6, 3) / 4, strides=[2]),
    _transposed_case("three dimensions", normal(1, 4, 3, 4, 2), normal(4, 2, 2, 3, 2) / 4),
)

test_numbers = numbers_of(CASES)


@pytest.mark.parametrize("varies", [False, True])
def test_an_input_that_was_padded_before(varies: bool) -> None:
    """OpenVINO 2026.4 fuses the padding and gets the size, or the numbers, wrong."""
    x, weight = normal(1, 4, 5), normal(4, 6, 3)

    def build(x: Any) -> Any:
        mil = mil_builder()
        padded = mil.pad(x=x, pad=np.int32([0, 0, 1, 2]), constant_val=np.float32(0))
        return mil.conv_transpose(
            x=padded, weight=weight, strides=[3], pad_type="custom", pad=[0, 1]
        )

    program = to_program(mil_function({"x": x}, build, "iOS15", varies), "iOS15")
    request = compile_function(program).create_request()
    request.set_input(0, x)
    request.infer()
    expected = F.conv_transpose1d(F.pad(torch.tensor(x), (1, 2)), torch.tensor(weight), stride=3)
    np.testing.assert_allclose(request.output(0), expected[..., :-1].numpy(), rtol=1e-5, atol=1e-5)
