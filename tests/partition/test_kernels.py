"""Which nodes ExecuTorch cannot run.

Oracle: the stock runtime, which loads a program or names the operator it misses.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from etcoreml.errors import LowerError
from etcoreml.imports import quiet_imports
from tests.call import Call

with quiet_imports():
    from executorch.exir import to_edge, to_edge_transform_and_lower
    from executorch.runtime import Runtime

    from etcoreml.partition import CoreMLPartitioner, Decision
    from etcoreml.partition.dialect import _twin
    from etcoreml.partition.kernels import is_bookkeeping, lacks_kernel, missing_kernels

X = torch.eye(3) + 1


def edge(function: Callable[..., Any], **options: Any) -> Any:
    return to_edge(torch.export.export(Call(function), (X,), strict=False, **options))


def missing(manager: Any) -> list[str]:
    nodes = manager.exported_program().graph.nodes
    return [n.name for n in nodes if n.op == "call_function" and lacks_kernel(n)]


@pytest.mark.parametrize(
    "function",
    [
        torch.acosh,
        lambda x: x.view(9).unsqueeze(0).expand(2, 9),
        lambda x: torch.cat(torch.split(x, 2)),
        lambda x: x.to(torch.float64),
        lambda x: tuple(x.max(dim=0)),
        lambda x: tuple(torch.sort(x)),
        lambda x: torch.nn.functional.avg_pool1d(x[None], 2),
        lambda x: x.cumsum(0),
        lambda x: torch.randperm(4),
    ],
)
def test_the_runtime_agrees(function: Callable[..., Any]) -> None:
    manager = edge(function)
    found = missing(manager)
    program = Runtime.get().load_program(manager.to_executorch().buffer)
    try:
        program.load_method("forward")
    except RuntimeError:
        assert found
    else:
        assert not found


def test_sizes_need_no_kernel() -> None:
    manager = edge(
        lambda x: x.view(x.shape[0] * 3) + x.shape[0],
        dynamic_shapes=(({0: torch.export.Dim("n", min=1, max=8)},),),
    )
    nodes = [n for n in manager.exported_program().graph.nodes if n.op == "call_function"]
    assert any(is_bookkeeping(each) for each in nodes)
    assert missing(manager) == []


def test_instruction() -> None:
    fine = Decision(0, "acosh", "aten.acosh.default", False, "no converter")
    lost = Decision(
        0,
        "qr",
        "aten.linalg_qr.default",
        False,
        "no",
        module="head",
        advice="go",
        lacks_kernel=True,
    )
    assert missing_kernels([fine]) is None
    text = missing_kernels([fine, lost, lost])
    assert text is not None
    assert text.splitlines()[1:] == ["  aten.linalg_qr.default at module head", "    go"]


def test_fractions_of_sizes_that_vary() -> None:
    """29 % of 100 is 28 for PyTorch, as 0.29 is a little less. ExecuTorch has no message."""
    size = torch.export.Dim("size", min=50, max=200)
    program = torch.export.export(
        Call(lambda x: torch.nn.functional.interpolate(x, scale_factor=0.29, mode="bicubic")),
        (torch.ones(1, 2, 100, 4),),
        dynamic_shapes=(({2: size},),),
    )
    with pytest.raises(LowerError, match=r"cannot take aten\.upsample_bicubic2d\.vec apart"):
        to_edge_transform_and_lower(program, partitioner=[CoreMLPartitioner()])


def test_overloads_that_share_an_out_variant() -> None:
    """Oracle: the registration, which raises for a variant that is there."""
    op = torch.ops.aten.quantile
    assert [str(_twin(each)) for each in (op.default, op.scalar)] == [
        "etcoreml.quantile.default",
        "etcoreml.quantile.scalar",
    ]
