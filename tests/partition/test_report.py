"""The report: counting and printing decisions."""

from __future__ import annotations

from etcoreml.partition import Decision, DelegationReport

INSIDE = Decision(0, "mm", "aten.mm.default", True)
OUTSIDE = Decision(0, "acosh", "aten.acosh.default", False, "no converter")


def test_groups() -> None:
    report = DelegationReport([INSIDE, OUTSIDE])
    report.add(OUTSIDE)
    assert len(report) == 3
    assert report.delegated == [INSIDE]
    assert report.left_out == [OUTSIDE, OUTSIDE]
    assert list(report) == [INSIDE, OUTSIDE, OUTSIDE]


def test_text_counts_equal_reasons_once() -> None:
    assert str(DelegationReport([INSIDE, OUTSIDE, OUTSIDE])).splitlines() == [
        "1 of 3 nodes delegated to Core ML",
        "    2 x aten.acosh.default: no converter",
    ]


def test_empty() -> None:
    assert str(DelegationReport()) == "0 of 0 nodes delegated to Core ML"
