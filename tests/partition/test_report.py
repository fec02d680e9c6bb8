"""The report: counting decisions, and the document.

Oracle: sums by hand of hand-made records; the partitioner's own are in ``test_record.py``.
"""

from __future__ import annotations

import json

from etcoreml.partition import Decision, DelegationReport
from etcoreml.partition.breaks import Break, Delegate
from etcoreml.partition.cost import Value
from etcoreml.partition.report import SCHEMA, SCHEMA_VERSION, ProgramReport, Size, Totals
from etcoreml.partition.source import Source

VALUE = Value("x", "float32", ("s0", 3), (2, 3))
INSIDE = Decision(
    0, "mm", "aten.mm.default", True, None, 0, (VALUE,), (VALUE,), flops=90, nbytes=48
)
OUTSIDE = Decision(
    0,
    "acosh",
    "aten.acosh.default",
    False,
    "no converter",
    flops=10,
    nbytes=48,
    source=Source("net.py", 3, "forward", "y = torch.acosh(x)"),
    module="head",
    advice="write it with log",
)
UNKNOWN = Decision(
    1, "unique", "aten._unique2.default", False, "no", flops=None, nbytes=None, lacks_kernel=True
)


def two_programs() -> DelegationReport:
    report = DelegationReport(options={"compute_precision": "float16"})
    delegate = Delegate(0, 1, 90, 24, (VALUE,), (VALUE,))
    gap = Break((0,), (1,), ("acosh",), (VALUE,), (VALUE,))
    sizes = {"s0": Size(2, 1, 8)}
    report.add_program(ProgramReport(0, "forward", (delegate,), (gap,), sizes), [INSIDE, OUTSIDE])
    report.add_program(ProgramReport(1, None, (), (), {}), [UNKNOWN])
    return report


def test_groups() -> None:
    report = DelegationReport([INSIDE, OUTSIDE])
    report.add(UNKNOWN)
    assert len(report) == 3
    assert report.delegated == [INSIDE]
    assert report.left_out == [OUTSIDE, UNKNOWN]
    assert report.without_kernel == [UNKNOWN]
    assert list(report) == [INSIDE, OUTSIDE, UNKNOWN]


def test_totals_of_all_and_of_one_program() -> None:
    report = two_programs()
    assert report.totals() == Totals(3, 1, 100, 90, 96, 48, 1, 1, 48)
    assert report.totals(1) == Totals(1, 0, 0, 0, 0, 0, 1, 0, 0)


def test_a_break_counts_each_crossing_and_each_call() -> None:
    gap = Break((0, 1), (2,), ("acosh",), (VALUE, VALUE), (VALUE,))
    assert gap.nbytes == 72
    assert gap.calls == 2


def test_document() -> None:
    report = two_programs()
    document = json.loads(report.to_json())
    assert document == report.to_dict()
    assert (document["schema"], document["version"]) == (SCHEMA, SCHEMA_VERSION)
    assert document["options"] == {"compute_precision": "float16"}
    assert document["totals"]["flops_delegated"] == 90
    first, second = document["programs"]
    assert first["sizes"] == {"s0": {"example": 2, "low": 1, "high": 8}}
    assert [each["node"] for each in first["nodes"]] == ["mm", "acosh"]
    assert first["nodes"][0]["inputs"] == [
        {
            "name": "x",
            "dtype": "float32",
            "shape": ["s0", 3],
            "sizes": [2, 3],
            "nbytes": 24,
            "constant": False,
        }
    ]
    assert first["nodes"][1]["source"] == {
        "file": "net.py",
        "line": 3,
        "function": "forward",
        "code": "y = torch.acosh(x)",
    }
    assert first["breaks"][0]["calls"] == 1
    assert first["delegates"][0]["weight_nbytes"] == 24
    assert second["nodes"][0]["lacks_kernel"]


def test_a_program_that_is_lowered_again_is_forgotten() -> None:
    report = two_programs()
    report.forget(1)
    assert list(report) == [INSIDE, OUTSIDE]
    assert [each.index for each in report.programs] == [0]


def test_empty() -> None:
    report = DelegationReport()
    assert report.summary() == "0 of 0 nodes to Core ML"
    assert str(report) == "Delegated: 0 of 0 nodes to Core ML"
    assert json.loads(report.to_json())["programs"] == []
