"""Whether a newer deployment target helps.

Oracle: lowering for that target.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from etcoreml.imports import quiet_imports

with quiet_imports():
    from executorch.exir import to_edge_transform_and_lower

    from etcoreml.mil.ct import coremltools
    from etcoreml.partition import CoreMLPartitioner
    from tests.lowering import specs

ct = coremltools()


class Halves(nn.Module):
    """An op of iOS16 and later for its dtype, and one that no target has."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.acosh(x * x)


def advice(target: str, skipped: list[str]) -> dict[str, str | None]:
    """Return the advice about each op that stayed outside."""
    partitioner = CoreMLPartitioner(
        compile_specs=specs(minimum_deployment_target=getattr(ct.target, target)),
        skip_ops_for_coreml_delegation=skipped,
    )
    program = torch.export.export(Halves(), (torch.ones(4, dtype=torch.float16),))
    to_edge_transform_and_lower(program, partitioner=[partitioner])
    return {each.op: each.advice for each in partitioner.report.left_out}


def test_the_oldest_target_that_takes_a_node_is_named() -> None:
    old = advice("iOS15", [])
    product, acosh = old["aten.mul.Tensor"], old["aten.acosh.default"]
    assert product is not None
    assert acosh is not None
    assert "--deployment-target iOS16" in product
    assert "torch.log" in acosh  # no target takes it
    assert list(advice("iOS16", [])) == ["aten.acosh.default"]


def test_what_the_user_asked_for_is_not_the_target_s_doing() -> None:
    product = advice("iOS15", ["aten.mul.tensor"])["aten.mul.Tensor"]
    assert product == "drop the op from skip_ops_for_coreml_delegation"
