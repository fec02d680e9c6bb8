"""What a .pte says of itself. Oracle: how the program was made."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from etcoreml.errors import ProgramError, UsageError
from etcoreml.runtime.pte import PteTensor, parse_pte, read_pte
from tests.lowering import CoreMLPartitioner, lower, to_edge_transform_and_lower
from tests.networks import two_islands


def test_affine(affine_pte: bytes) -> None:
    program = parse_pte(affine_pte)
    assert program.nbytes == len(affine_pte)
    assert dict(program.named_data) == {}
    (method,) = program.methods
    assert method.name == "forward"
    tensor = PteTensor("tensor", (2, 3), "float32", dynamic=False, dim_order=(0, 1))
    assert method.inputs == method.outputs == (tensor,)
    (delegate,) = method.delegates
    assert delegate.backend_id == "CoreMLBackend"
    assert delegate.calls == 1
    assert delegate.payload in affine_pte
    assert delegate.compile_specs["model_compute_precision"] == b"float32"
    assert dict(method.operators) == {}


def test_operators_between_delegates() -> None:
    (method,) = parse_pte(lower(*two_islands())).methods
    assert [each.calls for each in method.delegates] == [1, 1]
    assert dict(method.operators) == {"aten::acosh.out": 1}
    # What a delegate takes comes before what it returns.
    assert method.delegates[0].arguments[0] == method.inputs[0].value
    assert method.delegates[1].arguments[-1] == method.outputs[0].value
    first, outside, second = method.calls
    assert [each.delegate for each in method.calls] == [0, None, 1]
    assert first.reads == method.input_values
    assert outside.operator == "aten::acosh.out"
    assert (outside.reads, outside.writes) == (first.writes, second.reads)
    assert len(second.writes) == 1


def test_methods_and_dynamic_shapes() -> None:
    modules = {"encode": nn.ReLU(), "decode": nn.Sigmoid()}
    inputs = {"encode": (torch.ones(3),), "decode": (torch.ones(2, 2),)}
    program = parse_pte(lower(modules, inputs))
    shapes = {each.name: each.inputs[0].shape for each in program.methods}
    assert shapes == {"encode": (3,), "decode": (2, 2)}
    sizes = ({0: torch.export.Dim("batch", min=1, max=8)},)
    (method,) = parse_pte(lower(nn.ReLU(), (torch.ones(2, 3),), dynamic_shapes=sizes)).methods
    assert method.inputs == (
        PteTensor("tensor", (8, 3), "float32", dynamic=True, dim_order=(0, 1)),
    )


class _Power(nn.Module):
    def forward(self, x: Tensor, exponent: int) -> Tensor:
        return x + exponent


def test_numbers_are_no_tensors() -> None:
    exported = torch.export.export(_Power(), (torch.ones(2), 3))
    data = bytes(to_edge_transform_and_lower(exported).to_executorch().buffer)
    (method,) = parse_pte(data).methods
    assert method.inputs[0].dtype == "float32"
    assert method.inputs[1] == PteTensor("int")


def test_dtypes_outside_the_table() -> None:
    module, inputs = nn.ReLU(), (torch.ones(2, dtype=torch.bfloat16),)
    partitioner = CoreMLPartitioner(skip_ops_for_coreml_delegation=["aten.relu.default"])
    (method,) = parse_pte(lower(module, inputs, partitioner=partitioner)).methods
    assert method.inputs[0].dtype == "bfloat16"


@pytest.mark.parametrize("data", [b"", b"ET", b"PK\x03\x04ET12", b"\0" * 100])
def test_other_files(data: bytes) -> None:
    with pytest.raises(ProgramError):
        parse_pte(data)


def test_a_file_is_named(affine_path: Path, tmp_path: Path) -> None:
    assert [each.name for each in read_pte(affine_path).methods] == ["forward"]
    cut = tmp_path / "cut.pte"
    cut.write_bytes(affine_path.read_bytes()[:500])
    with pytest.raises(ProgramError, match=r"cut\.pte': the \.pte is damaged"):
        read_pte(cut)
    with pytest.raises(UsageError, match=r"cannot read '.*absent\.pte'"):
        read_pte(tmp_path / "absent.pte")


def test_truncated(affine_pte: bytes) -> None:
    for length in range(8, len(affine_pte) - 64, 251):
        with pytest.raises(ProgramError, match=r"the \.pte is damaged") as caught:
            parse_pte(affine_pte[:length])
        assert caught.value.__cause__ is not None
