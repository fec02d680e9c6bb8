"""Several threads: programs of their own work side by side, shared ones never answer wrongly."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

import etcoreml
from etcoreml.errors import OverlapError
from etcoreml.runtime import faults
from etcoreml.runtime.binding import BoundMethod
from tests.lowering import Runtime


def test_four_threads_with_a_program_each(convolution_pte: bytes) -> None:
    x = torch.randn(1, 8, 64, 64)
    expected = etcoreml.load(convolution_pte).forward(x)[0]

    def work(scale: int) -> float:
        program = etcoreml.load(convolution_pte)
        worst = 0.0
        reference = etcoreml.load(convolution_pte).forward(x * scale)[0]
        for _ in range(50):
            (actual,) = program.forward(x * scale)
            worst = max(worst, float((actual - reference).abs().max()))
        return worst

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, (1, 2, 3, 4))) == [0.0] * 4
    assert torch.equal(etcoreml.load(convolution_pte).forward(x)[0], expected)


def test_threads_sharing_one_program_take_turns(affine_pte: bytes) -> None:
    program = etcoreml.load(affine_pte)

    def work(value: float) -> bool:
        x = torch.full((2, 3), value)
        return all(torch.equal(program.forward(x)[0], 2 * x + 1) for _ in range(100))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, (1.0, 2.0, 3.0, 4.0)))


class _Gate:
    """Holds the first execution inside the delegate until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.inside, self.open = threading.Event(), threading.Event()
        run = BoundMethod.run.fget

        def gated(method: BoundMethod) -> Callable[[], None]:
            def wait_and_run() -> None:
                self.inside.set()
                assert self.open.wait(30)
                run(method)()

            return wait_and_run

        monkeypatch.setattr(BoundMethod, "run", property(gated))


def test_overlap_on_one_method_is_an_error_on_both_sides(
    affine_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = _Gate(monkeypatch)
    method = Runtime.get().load_program(affine_path).load_method("forward")

    def execute() -> BaseException | None:
        with pytest.raises(RuntimeError, match="execute"):
            method.execute((torch.ones(2, 3),))
        return faults.take()

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(execute)
        assert gate.inside.wait(30)
        second = execute()
        gate.open.set()
        assert isinstance(second, OverlapError)
        assert "one program per thread" in str(second)
        disturbed = first.result(30)
    assert isinstance(disturbed, OverlapError)
    assert "disturbed by another thread" in str(disturbed)


def test_no_overlap_between_programs(affine_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = _Gate(monkeypatch)
    methods = [Runtime.get().load_program(affine_path).load_method("forward") for _ in range(2)]
    with ThreadPoolExecutor(2) as pool:
        results = [pool.submit(m.execute, (torch.full((2, 3), 2.0),)) for m in methods]
        assert gate.inside.wait(30)
        gate.open.set()
        for result in results:
            assert result.result(30)[0].tolist() == [[5.0] * 3] * 2
