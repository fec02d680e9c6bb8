"""What estimates come to. Oracle: counted by hand."""

from __future__ import annotations

from typing import Any

import pytest

from etcoreml.placement import estimate, summarise
from tests.placement.placed import f16, function_of


def test_departures_are_grouped_by_rule() -> None:
    def build(mb: Any, x: Any) -> Any:
        return mb.relu(x=x), mb.tan(x=x), mb.tan(x=x), mb.mod(x=x, y=x), mb.sin(x=x)

    found = summarise(estimate(function_of({"x": f16(8, 8)}, build)))
    assert found.counts == {"capable": 1, "not_capable": 3, "uncertain": 1}
    assert found.operations == 5
    assert sum(found.work_shares.values()) == pytest.approx(1)
    engine, chip = found.departures
    assert engine.rule.name == "no path to the engine"
    assert engine.types == {"tan": 2, "mod": 1}
    assert len(engine.names) == 3
    assert engine.work_share == pytest.approx(found.work_shares["not_capable"])
    assert chip.rule.name == "by chip"


def test_shares_that_are_not_known() -> None:
    found = summarise(
        estimate(function_of({"x": f16(8, 8)}, lambda mb, x: mb.tan(x=x), varies=True))
    )
    assert found.without_share == 1
    assert found.work_shares == {}
    assert found.departures[0].work_share is None
