"""The table of what profiling covers and costs. Oracle: figures made up for the purpose."""

from __future__ import annotations

from benchmarks.profiling import table


def test_rows() -> None:
    row = {"attributed": 0.995, "sum": 0.98, "led": 1.0, "events": 51.0, "cost": 0.02}
    about = {"processor": "P", "cores": 2, "versions": {"torch": "2"}}
    text = table({"machine": about, "networks": {"a network": row}})
    assert "| a network | 99.5% | 98.0% | 100% of 51 | 1.020 |" in text
    assert text.startswith("P, 2 cores; torch 2. Medians.\n")
