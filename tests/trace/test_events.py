"""Times to the events of an ETDump."""

from __future__ import annotations

import json

from etcoreml.engine import Kernel, NodeTime
from etcoreml.trace import UNATTRIBUTED, EventWriter, attribute
from tests.trace.operations import FLOPS, OPERATIONS

KERNELS = [
    Kernel("x_abcd_acdb_y", (), ()),
    Kernel("y", ("y", "z"), ("x_abcd_acdb_y",)),
    Kernel("q", (), ("y",)),
    Kernel("stray", (), ()),
]
TIMES = [
    NodeTime("x_abcd_acdb_y", "Reorder", "reorder", 10),
    NodeTime("y", "Convolution", "brgconv", 60),
    NodeTime("q", "Split", "split", 20),
    NodeTime("stray", "Add", "add", 5),
]


def writer() -> EventWriter:
    return EventWriter(attribute(KERNELS, OPERATIONS, FLOPS), ("CPU",), "fast")


def test_one_event_for_each_operation_end_to_end() -> None:
    events = writer().events(TIMES, 1000, 1100)
    assert [(each.name, each.start_ns, each.end_ns) for each in events] == [
        ("y:conv", 1000, 1070),
        ("p:split", 1070, 1090),
        (UNATTRIBUTED, 1090, 1100),
    ]


def test_metadata() -> None:
    conv, split, rest = (json.loads(each.metadata) for each in writer().events(TIMES, 0, 100))
    assert conv == {
        "operatorName": "conv",
        "outputNames": ["y"],
        "preferredComputeUnit": "CPU",
        "supportedComputeUnits": ["CPU"],
        "fusedWith": ["z:relu"],
        "kernel": "brgconv",
        "device": "CPU",
        "numerics": "fast",
        "estimatedCost": 0.7,
    }
    assert split["outputNames"] == ["p", "q"]
    assert rest["estimatedCost"] == 0.1
    assert rest["kernelsMs"] == 5e-6  # of the stray one


def test_compute_units_have_apples_names() -> None:
    made = EventWriter(attribute(KERNELS, OPERATIONS, FLOPS), ("NPU", "GPU.0", "CPU"), "fast")
    metadata = json.loads(made.events(TIMES, 0, 100)[0].metadata)
    assert metadata["supportedComputeUnits"] == ["NE", "GPU", "CPU"]


def test_clocks_that_disagree_make_no_negative_time() -> None:
    rest = writer().events(TIMES, 0, 50)[-1]
    assert (rest.start_ns, rest.end_ns) == (90, 90)


def test_what_rests_in_a_run_keeps_its_event() -> None:
    made = writer()
    names = [each.name for each in made.events(TIMES, 0, 100)]
    events = made.events(TIMES[:2], 0, 100)
    assert [each.name for each in events] == names
    assert [each.end_ns - each.start_ns for each in events] == [70, 0, 30]
