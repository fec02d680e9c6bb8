"""The text of a report: every line of a small one, and that a large one stays moderate.

Oracle: the lines a reader is meant to see.
"""

from __future__ import annotations

from dataclasses import replace

from etcoreml.partition import Decision, DelegationReport
from etcoreml.partition.report_text import place
from etcoreml.partition.source import Source
from tests.partition.test_report import INSIDE, OUTSIDE, two_programs


def test_every_line() -> None:
    shares = "90.0 % of the FLOPs, 50.0 % of the bytes, in 1 delegate"
    assert str(two_programs()).splitlines() == [
        f"Delegated: 1 of 3 nodes (33.3 %) to Core ML, {shares}",
        "",
        f"method forward: 1 of 2 nodes (50.0 %) to Core ML, {shares}",
        "",
        "Left out of Core ML",
        "  aten.acosh.default: 1 node, 10.0 % of the FLOPs",
        "    why   no converter",
        "    where net.py:3: y = torch.acosh(x) (module head)",
        "    try   write it with log",
        "",
        "Delegates",
        "  0  1 node, 90 FLOPs, 24 B of weights",
        "     in   float32 (s0=2, 3), 24 B",
        "     out  float32 (s0=2, 3), 24 B",
        "",
        "Where delegates break",
        "  from 0 to 1, through aten.acosh.default",
        "    out   float32 (s0=2, 3), 24 B",
        "    back  float32 (s0=2, 3), 24 B",
        "    cost  48 B over the border in every call, at most 1 more call of a delegate",
        "",
        "Sizes that vary, as they are counted",
        "  s0 = 2",
        "",
        "program 1: 0 of 1 node (0.0 %) to Core ML",
        "",
        "Left out of Core ML",
        "  aten._unique2.default: 1 node",
        "    ExecuTorch has no kernel for it: the program will not load as it is",
        "    why   no",
        "    where node unique",
        "",
        "Not counted",
        "  1 node whose sizes depend on data",
    ]


def test_equal_reasons_are_one_group() -> None:
    places = [
        replace(OUTSIDE, node=f"n{i}", source=Source("net.py", i, "forward")) for i in range(5)
    ]
    text = str(DelegationReport([INSIDE, *places]))
    assert text.count("aten.acosh.default") == 1
    assert "aten.acosh.default: 5 nodes" in text
    assert "          and 2 places more" in text


def test_the_costly_groups_come_first_and_the_rest_is_counted() -> None:
    nodes = [
        Decision(0, f"n{i}", f"aten.op{i:02}.default", False, "no", flops=i) for i in range(30)
    ]
    lines = str(DelegationReport(nodes)).splitlines()
    assert lines[3].startswith("  aten.op29.default: 1 node, 6.7 % of the FLOPs")
    assert lines[-1] == "  and 10 nodes more, for which see the JSON report"


def test_sizes_alone_are_one_line() -> None:
    size = Decision(0, "sym_size", "aten.sym_size.int", False, "no", bookkeeping=True)
    assert str(DelegationReport([INSIDE, size, size])).splitlines()[2:] == [
        "Left out of Core ML",
        "  2 nodes that only compute or check sizes",
    ]


def test_place_of_a_node() -> None:
    nothing = Decision(0, "mm", "aten.mm.default", False, "no")
    assert place(nothing) == "node mm"
    assert place(replace(nothing, module="layers.0")) == "module layers.0"
    long = replace(nothing, source=Source("net.py", 1, "forward", "x" * 200))
    assert len(place(long)) < 100
