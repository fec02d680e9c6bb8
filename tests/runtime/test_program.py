"""The facade and the stock runtime on programs of every kind. Oracle: torch eager."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import etcoreml
from etcoreml.errors import DtypeError, ProgramError, ShapeError, UsageError
from tests.lowering import Runtime, lower, snr_db
from tests.networks import ZOO

# Decibels against fp32 eager: fp16 weights and the rounding of constants cost the most.
FLOORS = {"float16": 48, "float32": 100}


@pytest.mark.parametrize("precision", FLOORS)
@pytest.mark.parametrize("name", ZOO)
def test_network_agrees_with_eager(name: str, precision: str) -> None:
    module, inputs = ZOO[name]()
    program = etcoreml.load(lower(module, inputs, precision=precision))
    with torch.inference_mode():
        expected = module(*inputs)
    (actual,) = program.forward(*inputs)
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    assert snr_db(actual, expected) >= FLOORS[precision]


def test_second_call_does_not_see_the_first(affine_pte: bytes) -> None:
    program = etcoreml.load(affine_pte)
    first = program.forward(torch.ones(2, 3))[0]
    second = program.forward(torch.full((2, 3), 5.0))[0]
    assert first.tolist() == [[3.0] * 3] * 2
    assert second.tolist() == [[11.0] * 3] * 2


def test_stock_runtime_gives_the_same(affine_pte: bytes, affine_path: Path) -> None:
    x = torch.randn(2, 3)
    method = Runtime.get().load_program(affine_path).load_method("forward")
    assert torch.equal(method.execute((x,))[0], etcoreml.load(affine_pte).forward(x)[0])


def test_numpy_inputs(affine_pte: bytes) -> None:
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    (y,) = etcoreml.load(affine_pte).forward(x.T.copy().T)
    np.testing.assert_array_equal(y.numpy(), 2 * x + 1)


def test_non_contiguous_input(affine_pte: bytes) -> None:
    x = torch.randn(3, 2).T
    (y,) = etcoreml.load(affine_pte).forward(x)
    torch.testing.assert_close(y, 2 * x + 1)


class _Embed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(50, 8)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        return self.table(ids), ids + 1


def test_int64_in_and_out() -> None:
    module, ids = _Embed(), torch.tensor([[3, 0, 49]])
    rows, following = etcoreml.load(lower(module, (ids,))).forward(ids)
    torch.testing.assert_close(rows, module(ids)[0], rtol=0, atol=0)
    assert following.dtype == torch.int64
    assert following.tolist() == [[4, 1, 50]]


def test_int64_beyond_int32_is_refused() -> None:
    program = etcoreml.load(lower(_Embed(), (torch.tensor([[1, 2, 3]]),)))
    with pytest.raises(DtypeError, match=r"2147483648") as caught:
        program.forward(torch.tensor([[1, 2**31, 3]]))
    assert "int32" in str(caught.value)
    assert program.forward(torch.tensor([[1, 2, 3]]))[1].tolist() == [[2, 3, 4]]


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_dynamic_batch(batch: int) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(4, 5), nn.ReLU())
    sizes = ({0: torch.export.Dim("batch", min=1, max=8)},)
    program = etcoreml.load(lower(module, (torch.randn(2, 4),), dynamic_shapes=sizes))
    for rows in (batch, 2, batch):
        x = torch.randn(rows, 4)
        (y,) = program.forward(x)
        assert y.shape == (rows, 5)
        torch.testing.assert_close(y, module(x))


def test_dynamic_batch_beyond_its_bound() -> None:
    sizes = ({0: torch.export.Dim("batch", min=1, max=8)},)
    program = etcoreml.load(lower(nn.ReLU(), (torch.randn(2, 4),), dynamic_shapes=sizes))
    with pytest.raises(ShapeError, match="input 0 of method 'forward'"):
        program.forward(torch.randn(9, 4))


def test_two_methods() -> None:
    torch.manual_seed(0)
    modules = {"encode": nn.Linear(4, 3), "decode": nn.Linear(3, 4)}
    inputs = {"encode": (torch.randn(1, 4),), "decode": (torch.randn(1, 3),)}
    program = etcoreml.load(lower(modules, inputs))
    assert set(program.methods) == {"decode", "encode"}
    for _ in range(2):
        for name, module in modules.items():
            (actual,) = program.run(name, inputs[name])
            torch.testing.assert_close(actual, module(*inputs[name]))


class _Scalars(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.sum(), x > 0


def test_rank_0_and_bool_outputs() -> None:
    x = torch.tensor([[1.0, -2.0], [3.0, 0.0]])
    total, positive = etcoreml.load(lower(_Scalars(), (x,))).forward(x)
    assert total.shape == ()
    assert total.item() == 2.0
    assert positive.dtype == torch.bool
    assert positive.tolist() == [[True, False], [True, False]]


def test_wrong_shape(affine_pte: bytes) -> None:
    program = etcoreml.load(affine_pte)
    with pytest.raises(ShapeError, match=r"input 0 of method 'forward'.*\(3, 2\).*\(2, 3\)"):
        program.forward(torch.zeros(3, 2))
    assert program.forward(torch.zeros(2, 3))[0].tolist() == [[1.0] * 3] * 2


def test_too_small_is_a_wrong_shape(affine_pte: bytes) -> None:
    with pytest.raises(ShapeError, match=r"wrong shape; found \(1, 3\); expected \(2, 3\)"):
        etcoreml.load(affine_pte).forward(torch.zeros(1, 3))


@pytest.mark.parametrize("value", ["x", [1.0], None, 3.0])
def test_not_a_tensor(affine_pte: bytes, value: object) -> None:
    with pytest.raises(DtypeError, match=f"found {type(value).__name__}; expected a tensor"):
        etcoreml.load(affine_pte).forward(value)


def test_channels_last_input() -> None:
    module = nn.Conv2d(3, 4, 3)
    x = torch.randn(1, 3, 8, 8)
    program = etcoreml.load(lower(module, (x,)))
    (y,) = program.forward(x.contiguous(memory_format=torch.channels_last))
    torch.testing.assert_close(y, module(x))


class _Double(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + x


def test_program_of_channels_last_input() -> None:
    x = torch.randn(1, 3, 8, 8)
    program = etcoreml.load(lower(_Double(), (x.contiguous(memory_format=torch.channels_last),)))
    (y,) = program.forward(x)
    torch.testing.assert_close(y, 2 * x)


def test_bfloat16_stays_outside_and_runs() -> None:
    x = torch.randn(2, 3).bfloat16()
    (y,) = etcoreml.load(lower(_Double(), (x,))).forward(x)
    assert y.dtype == torch.bfloat16
    assert torch.equal(y, 2 * x)


def test_last_error_stays_readable(affine_path: Path) -> None:
    pte = lower(_Embed(), (torch.tensor([[1, 2, 3]]),))
    method = Runtime.get().load_program(pte).load_method("forward")
    with pytest.raises(RuntimeError):
        method.execute((torch.tensor([[1, 2**31, 3]]),))
    for _ in range(2):
        assert isinstance(etcoreml.last_error(), DtypeError)


def test_wrong_dtype(affine_pte: bytes) -> None:
    with pytest.raises(DtypeError, match=r"input 0 .*found int64; expected float32"):
        etcoreml.load(affine_pte).forward(torch.zeros(2, 3, dtype=torch.int64))


def test_wrong_number_of_inputs(affine_pte: bytes) -> None:
    with pytest.raises(ShapeError, match="found 2; expected 1"):
        etcoreml.load(affine_pte).forward(torch.zeros(2, 3), torch.zeros(2, 3))


def test_no_such_method(affine_pte: bytes) -> None:
    with pytest.raises(ProgramError, match="no method 'decode'; expected forward"):
        etcoreml.load(affine_pte).run("decode", ())


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match="No such file"):
        etcoreml.load(tmp_path / "missing.pte")


def test_not_a_pte() -> None:
    with pytest.raises(ProgramError, match="is not a"):
        etcoreml.load(b"PK\x03\x04 not a program")
    with pytest.raises(UsageError, match="path or bytes"):
        etcoreml.load(3)  # type: ignore[arg-type]


def test_truncated_pte(affine_pte: bytes) -> None:
    with pytest.raises(ProgramError):
        etcoreml.load(affine_pte[: len(affine_pte) // 4]).forward(torch.zeros(2, 3))


def test_method_infos(affine_pte: bytes) -> None:
    info = etcoreml.load(affine_pte).methods["forward"]
    assert [(each.shape, each.dtype) for each in info.inputs] == [((2, 3), "float32")]
    assert [(each.shape, each.dtype) for each in info.outputs] == [((2, 3), "float32")]
