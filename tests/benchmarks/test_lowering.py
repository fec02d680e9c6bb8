"""The page on what lowering costs, from made-up figures. Oracle: the figures, by hand."""

from __future__ import annotations

from benchmarks.lowering import LIMITS, NETWORKS, render


def cost(total: float, core_ml: float, peak: float, weights: float = 1e8) -> dict[str, float]:
    return {
        "total_s": total,
        "core_ml_s": core_ml,
        "peak_nbytes": peak * weights,
        "weights_nbytes": weights,
    }


def page() -> str:
    networks = {
        "ResNet-50": {"ours": cost(6.0, 2.5, 2.0), "upstream": cost(10.0, 5.0, 3.5)},
        "one op": {"ours": cost(0.4, 0.1, 9, 0), "upstream": cost(0.8, 0.2, 9, 0)},
    }
    about = {"processor": "A", "cores": 2, "python": "3.11", "versions": {"torch": "2.13"}}
    return render({"machine": about, "load": 0.25, "rounds": 5, "networks": networks})


def test_figures_and_goals() -> None:
    rows = page().splitlines()
    assert (
        "| ResNet-50 | 6.00 / 10.00 = 0.60 (<= 0.7x) | 2.50 / 5.00 = 0.50 (<= 0.4x, missed) "
        "| 2.00 / 3.50 (<= 2.2x) |"
    ) in rows
    assert "| one op | 0.40 / 0.80 = 0.50 (<= 0.35 s, missed) | 0.10 / 0.20 = 0.50 | - |" in rows


def test_it_says_where_it_ran() -> None:
    assert "A, 2 cores, Python 3.11;\ntorch 2.13.\nLoad average before: 0.2." in page()
    assert "medians\nof 5 processes" in page()


def test_goals_are_of_networks() -> None:
    assert {name for name, _ in LIMITS} <= set(NETWORKS)
