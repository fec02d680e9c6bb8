"""Tensors that are not stored row by row, within programs and at their borders; oracle: eager."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own spelling
from torch import Tensor, nn

from tests.call import Call
from tests.lowering import CoreMLPartitioner, Runtime, specs, to_edge_transform_and_lower

LAST = torch.channels_last


def image() -> Tensor:
    return torch.randn(2, 3, 8, 6, generator=torch.Generator().manual_seed(0))


def convolution() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()


def resized_and_flat(x: Tensor) -> Tensor:
    """Resize the channels of a transposed tensor, as YOLOS does with its positions."""
    planes = x.flatten(2).transpose(1, 2).reshape(2, 48, 3).transpose(1, 2).view(2, 3, 8, 6)
    wide = F.interpolate(planes, size=(5, 7), mode="bicubic", align_corners=False)
    return wide.flatten(2).transpose(1, 2)


def positions(x: Tensor) -> Tensor:
    table = torch.linspace(-1, 1, 2 * 48 * 3).reshape(2, 48, 3).transpose(1, 2).view(2, 3, 8, 6)
    wide = F.interpolate(table + x, size=(8, 6), mode="bicubic", align_corners=False)
    return wide.flatten(2).transpose(1, 2).contiguous().view(1, 2, 48, 3)


FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "to channels last": lambda x: F.relu(x.to(memory_format=LAST)),
    "returned in channels last": lambda x: (x * 2).to(memory_format=LAST),
    "copied in channels last": lambda x: (x + 1).clone(memory_format=LAST) * 2,
    "flattened": lambda x: (x.to(memory_format=LAST) * 2).flatten(1) + 1,
    "permuted": lambda x: x.permute(0, 2, 3, 1) * 2,
    "resized": resized_and_flat,
    "positions": positions,
    "left outside between": lambda x: (
        torch.acosh(x.to(memory_format=LAST).abs() + 1).flatten(1) * 2
    ),
}


def check(module: nn.Module, x: Tensor) -> CoreMLPartitioner:
    partitioner = CoreMLPartitioner(compile_specs=specs())
    exported = torch.export.export(module, (x,))
    edge = to_edge_transform_and_lower(exported, partitioner=[partitioner])
    program = bytes(edge.to_executorch().buffer)
    (found,) = Runtime.get().load_program(program).load_method("forward").execute([x])
    torch.testing.assert_close(found, module(x), rtol=1e-4, atol=1e-4)
    return partitioner


@pytest.mark.parametrize("format_", [torch.contiguous_format, LAST], ids=["rows", "channels"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name: str, format_: torch.memory_format) -> None:
    if name in ("resized", "positions") and format_ == LAST:
        pytest.skip("eager views of it need rows")
    check(Call(FUNCTIONS[name]), image().to(memory_format=format_))


def test_a_network_in_channels_last_goes_in() -> None:
    partitioner = check(convolution().to(memory_format=LAST), image().to(memory_format=LAST))
    assert [each.op for each in partitioner.report.left_out] == [
        "dim_order_ops._clone_dim_order.default"
    ]
