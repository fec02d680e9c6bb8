"""What a machine could do at best. Oracle: arithmetic, and the calls that are counted."""

from __future__ import annotations

import threading
import time

import pytest

from etcoreml.trace import roofline
from etcoreml.trace.roofline import Roofline, best_s, together_s

LIMITS = Roofline(gflops=4.0, gb_per_s=10.0)


@pytest.mark.parametrize(
    ("flops", "nbytes", "share", "beaten"),
    [
        (4_000_000, 1_000_000, 0.5, set()),
        (16_000_000, 1_000_000, 2.0, {"compute"}),
        (4_000_000, 30_000_000, 1.5, {"memory"}),
        (16_000_000, 30_000_000, 2.0, {"compute", "memory"}),
    ],
)
def test_share_and_limits_that_were_beaten(
    flops: int, nbytes: int, share: float, beaten: set[str]
) -> None:
    assert LIMITS.share(flops, nbytes, 2e-3) == pytest.approx(share)
    assert LIMITS.beaten(flops, nbytes, 2e-3) == beaten


def test_what_took_no_time_beats_nothing() -> None:
    assert LIMITS.share(1, 1, 0.0) == 0.0
    assert LIMITS.beaten(1, 1, 0.0) == set()


def test_all_calls_are_under_way_at_once() -> None:
    barrier = threading.Barrier(3, timeout=10)  # breaks unless three threads wait at it
    together_s(lambda _: barrier.wait(), range(3))


def test_the_best_of_enough_tries_and_time() -> None:
    pauses = iter([0.02, 0.0, 0.02])
    assert best_s(lambda: time.sleep(next(pauses)), 3) < 0.02
    calls: list[int] = []
    best_s(lambda: (calls.append(0), time.sleep(0.005)), 1, seconds=0.02)
    assert len(calls) > 1


def test_every_core_measures(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []

    def together(call: object, arguments: list[object]) -> float:
        given.append(len(arguments))
        return 1.0

    monkeypatch.setattr(roofline, "available_cores", lambda: 3)
    monkeypatch.setattr(roofline, "together_s", together)
    monkeypatch.setattr(roofline, "_NBYTES", 1 << 20)
    found = roofline.measure()
    assert given == [3, 3]
    assert found.gb_per_s == pytest.approx((1 << 20) / 1e9)
    assert found.gflops == pytest.approx(3 * 256 * 2 * 64**3 / 1e9)
