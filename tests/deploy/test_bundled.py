"""Bundled programs. Oracles: ExecuTorch's own reader and verification, and eager."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import etcoreml
from etcoreml.deploy.bundled import case, expect, read_bundle, verify_bundle, write_bundle
from etcoreml.deploy.wrap import wrap_model
from etcoreml.errors import DtypeError, ProgramError, ShapeError, UsageError
from tests.lowering import lower
from tests.networks import two_islands
from tests.runtime.two_methods import two_methods


def saved(pte: bytes, folder: Path) -> tuple[Path, Any]:
    path = folder / "model.pte"
    path.write_bytes(pte)
    return path, etcoreml.load(path)


def test_it_passes_executorchs_own_tools(tmp_path: Path) -> None:
    """Two delegates and a portable op, several cases; eager is what is expected."""
    module, inputs = two_islands()
    path, program = saved(lower(module, inputs), tmp_path)
    calls = [tuple(x * scale for x in inputs) for scale in (1.0, -2.0, 0.1)]
    cases = [case(program, "forward", each, [module(*each)]) for each in calls]
    data = write_bundle(path, cases)
    assert data == write_bundle(path, cases)
    verdicts = verify_bundle(data, "it", rtol=1e-4, atol=1e-4)
    assert [(each.method, each.index, each.passed) for each in verdicts] == [
        ("forward", i, True) for i in range(3)
    ]
    for each in verdicts:
        (distance,) = each.distances
        assert distance is not None
        assert distance.snr_db > 80

    # As ExecuTorch's users do it.
    from executorch.extension.pybindings.portable_lib import _load_bundled_program_from_buffer

    module_ = _load_bundled_program_from_buffer(data)
    (output,) = module_.verify_result_with_bundled_expected_output("forward", 1, 1e-4, 1e-4)
    torch.testing.assert_close(output, module(*calls[1]), rtol=1e-4, atol=1e-4)


def test_a_corrupted_expectation_fails(tmp_path: Path) -> None:
    module, inputs = two_islands()
    path, program = saved(lower(module, inputs), tmp_path)
    good = expect(program, "forward", inputs)
    data = bytearray(write_bundle(path, [good, good]))
    assert all(each.passed for each in verify_bundle(bytes(data), "it", rtol=0, atol=0))
    stored = good.expected[0].numpy().tobytes()
    assert data.count(stored) == 2
    last = data.rfind(stored) + len(stored) - 1
    data[last] ^= 0x40  # the exponent of the last element
    verdicts = verify_bundle(bytes(data), "it")
    assert sorted(each.passed for each in verdicts) == [False, True]
    (wrong,) = (each for each in verdicts if not each.passed)
    assert wrong.distances[0] is not None
    assert wrong.distances[0].max_abs > 1e-2


def test_executorch_reads_the_same(tmp_path: Path) -> None:
    """Oracle: ExecuTorch's Python reader, which goes through JSON."""
    from executorch.devtools.bundled_program.serialize import (
        deserialize_from_flatbuffer_to_bundled_program,
    )

    modules, inputs = two_methods()
    path, program = saved(lower(modules, inputs), tmp_path)
    cases = [expect(program, name, each) for name, each in inputs.items() for _ in range(2)]
    data = write_bundle(path, cases)
    theirs = deserialize_from_flatbuffer_to_bundled_program(data)
    ours = read_bundle(data, "it")
    assert ours.pte == bytes(theirs.program) == path.read_bytes()
    listed = [
        (suite.method_name, test)
        for suite in theirs.method_test_suites
        for test in suite.test_cases
    ]
    assert [each.method for each in ours.cases] == [name for name, _ in listed]
    for each, (_, test) in zip(ours.cases, listed, strict=True):
        for tensor, value in zip(each.inputs, test.inputs, strict=True):
            assert list(tensor.shape) == value.val.sizes
            assert tensor.numpy().tobytes() == bytes(value.val.data)
    assert {each.method for each in ours.cases} == set(modules)
    for each in ours.cases:
        assert torch.equal(each.inputs[0], inputs[each.method][0])


def test_every_case_meets_a_fresh_program(counter_package: Path, tmp_path: Path) -> None:
    """What a method remembers between calls is not carried from one case to the next."""
    path, program = saved(wrap_model(counter_package).pte, tmp_path)
    calls = [torch.full((2, 3), x, dtype=torch.float16) for x in (1.0, 2.0)]
    cases = [expect(program, "forward", (x,)) for x in calls]
    assert [float(each.expected[0][0, 0]) for each in cases] == [1.0, 2.0]
    assert all(each.passed for each in verify_bundle(write_bundle(path, cases), "it"))


def test_sizes_that_vary_and_integers(tmp_path: Path) -> None:
    sizes = ({0: torch.export.Dim("rows", min=1, max=8)},)
    x = torch.arange(6).reshape(2, 3)
    pte = lower(nn.Embedding(8, 4), (x,), dynamic_shapes=sizes)
    path, program = saved(pte, tmp_path)
    cases = [expect(program, "forward", (x[:rows],)) for rows in (1, 2)]
    assert [tuple(each.expected[0].shape) for each in cases] == [(1, 3, 4), (2, 3, 4)]
    assert all(each.passed for each in verify_bundle(write_bundle(path, cases), "it"))


def test_memory_formats(tmp_path: Path) -> None:
    """A view of a larger tensor, for a method whose tensors are channels last."""
    module = nn.Conv2d(3, 4, 1)
    x = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    path, program = saved(lower(module, (x,)), tmp_path)
    made = expect(program, "forward", (torch.cat([x, x])[2:],))
    (read,) = read_bundle(write_bundle(path, [made]), "it").cases
    assert torch.equal(read.inputs[0], x)
    torch.testing.assert_close(read.expected[0], module(x).detach())
    assert all(each.passed for each in verify_bundle(write_bundle(path, [made]), "it"))


class _Power(nn.Module):
    def forward(self, x: Tensor, exponent: int, scale: float, flip: bool) -> Tensor:
        return x**exponent * (-scale if flip else scale)


def test_numbers(tmp_path: Path) -> None:
    pte = lower(_Power(), (torch.ones(2), 3, 0.5, True))  # type: ignore[arg-type]
    path, program = saved(pte, tmp_path)
    x = torch.tensor([1.0, 2.0])
    made = case(program, "forward", (x, 3, 0.5, True), [torch.tensor([-0.5, -4.0])])
    (read,) = read_bundle(write_bundle(path, [made]), "it").cases
    assert read.inputs[1:] == (3, 0.5, True)
    assert [type(each) for each in read.inputs[1:]] == [int, float, bool]


def test_numerics(tmp_path: Path) -> None:
    module = nn.Sequential(nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 16))
    x = torch.randn(4, 16)
    pte = lower(module, (x,), precision="float16")
    path, _ = saved(pte, tmp_path)
    made = expect(etcoreml.load(path, numerics="faithful"), "forward", (x,))
    data = write_bundle(path, [made])
    exact: dict[str, Any] = {"rtol": 0.0, "atol": 0.0}
    assert verify_bundle(data, "it", numerics="faithful", **exact)[0].passed
    assert not verify_bundle(data, "it", numerics="fast", **exact)[0].passed


def test_cases_that_do_not_fit(tmp_path: Path) -> None:
    path, program = saved(lower(nn.ReLU(), (torch.ones(2, 3),)), tmp_path)
    x = torch.ones(2, 3)
    for inputs, expected, error, words in (
        ((), [x], ShapeError, "wrong number of inputs"),
        ((x,), [], ShapeError, "wrong number of expected outputs"),
        ((x.double(),), [x], DtypeError, "input 0 of method 'forward'"),
        ((x,), [x.half()], DtypeError, "expected output 0"),
        ((x[:1],), [x], ShapeError, r"input 0.*expected \(2, 3\)"),
        ((x,), [x[:1]], ShapeError, "expected output 0"),
    ):
        with pytest.raises(error, match=words):
            case(program, "forward", inputs, expected)
    with pytest.raises(ProgramError, match="no method 'other'; expected forward"):
        case(program, "other", (x,), [x])
    with pytest.raises(UsageError, match="needs a test case"):
        write_bundle(path, [])


def test_an_error_of_the_delegate_is_raised_as_it_is(tmp_path: Path) -> None:
    """The stock runtime gives a number; the delegate's exception says more."""
    path, program = saved(lower(nn.Embedding(8, 4), (torch.zeros(2, dtype=torch.long),)), tmp_path)
    index = torch.tensor([1, 2**40])
    made = case(program, "forward", (index,), [torch.zeros(2, 4)])
    with pytest.raises(DtypeError, match="int32"):
        verify_bundle(write_bundle(path, [made]), "it")
