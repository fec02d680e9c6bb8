"""The benchmark's report, from made-up figures. Oracle: the figures, by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest

from benchmarks.report import goals, render
from benchmarks.workloads import ADD, BERT, COMPRESSED, LINEARS, WORKLOADS, names


def result(median: float, **more: Any) -> dict[str, Any]:
    latency = {"first_quartile": median * 0.9, "median": median, "third_quartile": median * 1.1}
    return {
        "latency_s": latency,
        "load_s": 1.5,
        "warm_load_s": None,
        "rss_nbytes": 300_000_000,
        "rss_before_nbytes": 100_000_000,
        "snr_db": 66.4,
        **more,
    }


def document() -> dict[str, Any]:
    ours = {
        "ours, fast": result(0.1, warm_load_s=0.25),
        "ours, faithful": result(0.14),
        "OpenVINO": result(0.2),
        "XNNPACK": result(0.08, snr_db=math.inf),
        "ONNX Runtime": {"error": "out of luck"},
    }
    about = {"flops": 2 * 10**9, "weight_nbytes": 10**8, "missing": {"XNNPACK": "no such op"}}
    tiny = {"ours, fast": result(8e-6)}
    return {
        "machine": {"processor": "P", "cores": 2, "python": "3", "versions": {"torch": "2"}},
        "load_average_before": 0.1,
        "seconds": 120.0,
        "quick": True,
        "peaks": {"1": {"gflops": 100.0, "read_gb_per_s": 10.0}},
        "workloads": {
            ADD: {"about": {**about, "flops": 0}, "threads": {"1": tiny}},
            BERT: {"about": about, "threads": {"1": ours}},
            LINEARS: {"about": about, "threads": {"1": ours}},
            COMPRESSED[0]: {"about": about, "threads": {"1": {"ours, fast": result(0.05)}}},
        },
    }


def test_goals() -> None:
    found = {what: (value, limit) for what, value, limit in goals(document())}
    assert found == {
        f"fast / fastest peer, {BERT}, 1": (pytest.approx(1.25), 1.05),
        f"fast / fastest peer, {LINEARS}, 1": (pytest.approx(1.25), 0.75),
        f"{COMPRESSED[0]} / fp16 expanded (OpenVINO), 1": (pytest.approx(0.25), 0.35),
        f"faithful / fast, {BERT}, 1": (pytest.approx(1.4), 1.3),
        f"faithful / fast, {LINEARS}, 1": (pytest.approx(1.4), 1.3),
        f"warm load of {BERT}, s, 1": (0.25, 0.5),
        f"resident memory / model file, {BERT}, 1": (pytest.approx(3), 2.0),
        f"one {ADD}, us, 1": (pytest.approx(8), 15.0),
    }


def test_tables() -> None:
    text = render(document())
    assert f"| {BERT} | 100 ±10 % | 140 ±10 % | - | 200 ±10 % | - | 80.0 ±10 % | - |" in text
    assert f"| {BERT} | 1.50 / 0.25 | 1.50 |" in text
    assert f"| {BERT} | 300 (200) |" in text
    assert f"| {BERT} | 66 | 66 | - | 66 | - | exact | - |" in text
    # 2 GFLOP in 0.1 s of 100 GFLOP/s; 0.1 GB in 0.1 s of 10 GB/s.
    assert f"| {BERT}, 1 | 2 | 20 % | 100 | 10 % |" in text
    assert f"- ONNX Runtime on {BERT}, 1 threads: out of luck" in text
    assert f"- XNNPACK on {BERT}: no such op" in text
    assert "| **missed** by 19 % |" in text
    assert "quick run" in text


def test_networks_are_picked_by_parts_of_their_names() -> None:
    assert names([]) == list(WORKLOADS)
    assert names(["bert", "LINEAR"]) == [BERT, LINEARS, *COMPRESSED]
    with pytest.raises(SystemExit, match="no workload is named like 'alexnet'"):
        names(["alexnet"])
