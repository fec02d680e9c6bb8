"""Mutable buffers from export to the second call. Oracle: eager."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import etcoreml
from etcoreml.errors import ProgramError
from etcoreml.imports import quiet_imports
from tests.lowering import CoreMLPartitioner, coremltools, specs, to_edge_transform_and_lower

with quiet_imports():
    from executorch.runtime import Runtime

ct = coremltools()
# ExecuTorch says that it does not store the zeros a buffer starts with.
pytestmark = pytest.mark.filterwarnings("ignore:Mutation on a buffer:UserWarning")


class Counter(nn.Module):
    def __init__(self, start: float, dtype: torch.dtype = torch.float32) -> None:
        super().__init__()
        self.register_buffer("count", torch.full((4,), start, dtype=dtype))

    def forward(self, x: Tensor) -> Tensor:
        self.count.add_(x)
        return self.count * 1


class Mixed(nn.Module):
    """One buffer is read by an op outside, the other starts at three."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("zero", torch.zeros(4))
        self.register_buffer("three", torch.full((4,), 3.0))

    def forward(self, x: Tensor) -> Tensor:
        y = torch.acosh(self.zero + x + 2)
        self.zero.add_(x)
        self.three.mul_(2)
        return y + self.zero + self.three


def lowered(
    module: nn.Module,
    x: Tensor,
    precision: str = "float16",
    *,
    target: str | None = "iOS18",
    as_state: bool = True,
    strict: bool = False,
) -> tuple[bytes, CoreMLPartitioner]:
    partitioner = CoreMLPartitioner(
        compile_specs=specs(
            precision, minimum_deployment_target=None if target is None else ct.target[target]
        ),
        take_over_mutable_buffer=as_state,
    )
    program = torch.export.export(module, (x,), strict=strict)
    edge = to_edge_transform_and_lower(program, partitioner=[partitioner])
    return bytes(edge.to_executorch().buffer), partitioner


def first(outputs: list[Any]) -> float:
    return float(outputs[0][0])


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("as_state", [True, False])
@pytest.mark.parametrize(
    ("dtype", "precision"),
    [(torch.float32, "float32"), (torch.float32, "float16"), (torch.float16, "float16")],
)
def test_seven_and_one_are_eight(
    dtype: torch.dtype, precision: str, as_state: bool, strict: bool, tmp_path: Path
) -> None:
    """Core ML starts state at zero, so that a buffer that does not is no state; and it says so."""
    ones = torch.ones(4, dtype=dtype)
    pte, partitioner = lowered(Counter(7, dtype), ones, precision, as_state=as_state, strict=strict)
    (buffer,) = [each for each in partitioner.report if each.op == "buffer"]
    assert buffer.reason is not None
    path = tmp_path / "counter.pte"
    path.write_bytes(pte)
    program = etcoreml.load(path)
    assert [first(program.forward(ones)) for _ in range(3)] == [8, 9, 10]
    assert first(etcoreml.load(path).forward(ones)) == 8


@pytest.mark.parametrize("target", ["iOS15", "iOS16", "iOS18", None])
@pytest.mark.parametrize("as_state", [True, False])
def test_zeros_count_at_any_target(target: str | None, as_state: bool) -> None:
    pte, partitioner = lowered(Counter(0), torch.ones(4), target=target, as_state=as_state)
    (buffer,) = [each for each in partitioner.report if each.op == "buffer"]
    assert buffer.delegated == (as_state and target in ("iOS18", None))
    program = etcoreml.load(pte)
    assert [first(program.forward(torch.ones(4))) for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize("start", [0, 7])
def test_a_reset_starts_anew(start: float) -> None:
    program = etcoreml.load(lowered(Counter(start), torch.ones(4))[0])
    for _ in range(2):
        assert [first(program.forward(torch.ones(4))) for _ in range(2)] == [start + 1, start + 2]
        program.reset()
    with pytest.raises(ProgramError, match="no method 'backward'"):
        program.reset("backward")


def test_a_reset_lets_go_of_what_was_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    load_program = Runtime.load_program

    def noted(*args: Any, **options: Any) -> Any:
        program = load_program(*args, **options)
        opened.append(weakref.ref(program))
        return program

    monkeypatch.setattr(Runtime, "load_program", noted)
    program = etcoreml.load(lowered(Counter(0), torch.ones(4))[0])
    for _ in range(2):
        program.forward(torch.ones(4))
        program.reset("forward")
    gc.collect()
    assert [each() is None for each in opened] == [True, True, False]


def test_a_reset_finds_the_file_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "counter.pte").write_bytes(lowered(Counter(0), torch.ones(4))[0])
    monkeypatch.chdir(tmp_path)
    program = etcoreml.load("counter.pte")
    monkeypatch.chdir("/")
    program.reset()
    assert first(program.forward(torch.ones(4))) == 1


def test_each_method_has_its_own_state() -> None:
    module, ones = Counter(0), torch.ones(4)
    programs = {name: torch.export.export(module, (ones,)) for name in ("one", "two")}
    partitioner = CoreMLPartitioner(
        compile_specs=specs("float16", minimum_deployment_target=ct.target.iOS18)
    )
    edge = to_edge_transform_and_lower(programs, partitioner=[partitioner])
    program = etcoreml.load(bytes(edge.to_executorch().buffer))
    assert [first(program.run(name, [ones])) for name in ("one", "one", "two", "one")] == [
        *(1, 2, 1, 3)
    ]
    program.reset("one")
    assert [first(program.run(name, [ones])) for name in ("one", "two")] == [1, 2]


@pytest.mark.parametrize("as_state", [True, False])
@pytest.mark.parametrize(("precision", "atol"), [("float32", 1e-6), ("float16", 2e-2)])
def test_a_mutation_that_is_half_outside_is_right(
    precision: str, atol: float, as_state: bool
) -> None:
    """fp16: values up to 60, whose spacing is 2 ** -5."""
    pte, _ = lowered(Mixed(), torch.ones(4), precision, as_state=as_state)
    program, eager = etcoreml.load(pte), Mixed()
    for step in range(1, 5):
        x = torch.full((4,), float(step))
        torch.testing.assert_close(program.forward(x)[0], eager(x), atol=atol, rtol=0)
