"""Own converters: which exist, and that coremltools' table is left as it was."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from etcoreml.compiler.torch_ops import (
    OWN_CONVERTERS,
    canonical_name,
    has_converter,
    own_converters,
)
from etcoreml.mil.ct import coremltools
from tests.compiler.conftest import Lower

_torch = coremltools().converters.mil.frontend.torch
TABLE = _torch.torch_op_registry._TORCH_OPS_REGISTRY.name_to_func_mapping


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("aten.mm.default", "mm"),
        ("aten.add.Tensor", "add"),
        ("aten.sym_size.int", "sym_size"),
        ("dim_order_ops._clone_dim_order.default", "dim_order_ops._clone_dim_order"),
        ("getitem", "getitem"),
    ],
)
def test_names(name: str, canonical: str) -> None:
    assert canonical_name(name) == canonical
    assert has_converter(name)


@pytest.mark.parametrize("name", ["aten.isinf.default", "aten.nonsense.default", "mine.mm.default"])
def test_names_without_converter(name: str) -> None:
    assert not has_converter(name)


def test_table_is_restored() -> None:
    before = dict(TABLE)
    with own_converters():
        assert TABLE.items() >= OWN_CONVERTERS.items()
        with own_converters():
            pass
        assert TABLE.items() >= OWN_CONVERTERS.items()
    assert before == TABLE


def test_table_is_restored_after_an_exception() -> None:
    before = dict(TABLE)
    with pytest.raises(KeyError), own_converters():
        TABLE["nonsense"]
    assert before == TABLE


def test_split_goes_in(lower: Lower) -> None:
    class Split(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            a, b = torch.split(x, [2, 4], 1)
            return a.sum(1) + b.sum(1)

    assert len(lower(Split(), (torch.randn(3, 6),), lower_full_graph=True)) == 1
