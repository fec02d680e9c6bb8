"""What the table says of operations that sources speak of. Oracle: those sources, by the row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks.placement import plans
from etcoreml.mil.program import Feature, Signature
from etcoreml.placement.rule import CONFIDENCE, MEANINGS
from etcoreml.placement.rules import RULES, SEEN
from etcoreml.placement.sources import SOURCES
from etcoreml.types import FP16
from tests.placement.placed import f16, place

PICTURE = {"x": f16(1, 8, 16, 16)}
ROWS = {"x": f16(4, 32)}
INTEGERS = {"i": np.zeros((4, 8), np.int32)}


def _pad(amounts: list[int], mode: str = "constant") -> Any:
    return lambda mb, x: mb.pad(x=x, pad=amounts, mode=mode)


def _conv(*weight: int, **options: Any) -> Any:
    return lambda mb, x: mb.conv(x=x, weight=f16(*weight), pad_type="valid", **options)


def _loop(mb: Any, i: Any) -> Any:
    return mb.while_loop(
        _cond=lambda i: mb.less(x=i, y=3), _body=lambda i: mb.add(x=i, y=1), loop_vars=(i,)
    )


CASES: list[tuple[str, dict[str, Any], Any, str, str]] = [
    ("conv", PICTURE, _conv(4, 8, 3, 3), "capable", "seen in the five plans"),
    ("conv", {"x": f16(1, 3, 32, 32)}, _conv(4, 3, 16, 16), "capable", "seen in the five plans"),
    ("conv", {"x": f16(1, 3, 32, 32)}, _conv(4, 3, 1, 17), "uncertain", "kernel wider than 16"),
    ("conv", {"x": f16(1, 3, 64, 64)}, _conv(4, 3, 33, 1), "not_capable", "kernel above 32"),
    ("conv", {"x": f16(1, 1, 2000)}, _conv(4, 1, 400), "cpu_only", "STFT"),
    ("conv", {"x": f16(1, 3, 8, 8, 8)}, _conv(4, 3, 3, 3, 3), "not_capable", "convolution in 3-D"),
    (
        "conv",
        {"x": f16(2, 3, 8, 8), "w": f16(4, 3, 3, 3)},
        lambda mb, x, w: mb.conv(x=x, weight=w, pad_type="valid"),
        "not_capable",
        "convolution with computed weights, batch above 1",
    ),
    (
        "conv",
        {"x": f16(1, 3, 8, 8), "w": f16(4, 3, 3, 3)},
        lambda mb, x, w: mb.conv(x=x, weight=w, pad_type="valid"),
        "uncertain",
        "convolution with computed weights",
    ),
    ("pad", PICTURE, _pad([1, 1, 1, 1]), "capable", "seen in the five plans"),
    ("pad", PICTURE, _pad([0, 2, 1, 1, 1, 1]), "not_capable", "padded channels"),
    ("pad", PICTURE, _pad([0, 0, 0, 0, 1, 1, 1, 1]), "capable", "seen in the five plans"),
    ("pad", PICTURE, _pad([1, 1, 1, 1], "reflect"), "uncertain", "mirrored border"),
    ("pad", {"x": f16(1, 1, 400)}, _pad([1, 1], "reflect"), "cpu_only", "mirrored waveform"),
    ("silu", ROWS, lambda mb, x: mb.silu(x=x), "capable", "seen in other plans"),
    ("erf", ROWS, lambda mb, x: mb.erf(x=x), "capable", "native"),
    ("sin", ROWS, lambda mb, x: mb.sin(x=x), "uncertain", "by chip"),
    ("cumsum", ROWS, lambda mb, x: mb.cumsum(x=x), "not_capable", "cumulative sum"),
    ("topk", ROWS, lambda mb, x: mb.topk(x=x, k=2), "not_capable", "sorting"),
    ("reduce_argmax", ROWS, lambda mb, x: mb.reduce_argmax(x=x), "not_capable", "argmax"),
    ("tan", ROWS, lambda mb, x: mb.tan(x=x), "not_capable", "no path to the engine"),
    ("greater", ROWS, lambda mb, x: mb.greater(x=x, y=np.float16(1)), "uncertain", "bool"),
    ("add", INTEGERS, lambda mb, i: mb.add(x=i, y=1), "not_capable", "int32"),
    ("cast", INTEGERS, lambda mb, i: mb.cast(x=i, dtype="fp16"), "not_capable", "cast of integers"),
    ("cast", ROWS, lambda mb, x: mb.cast(x=x, dtype="fp32"), "capable", "cast of floats"),
    (
        "relu",
        {"x": np.zeros((2, 3), np.float32)},
        lambda mb, x: mb.relu(x=x),
        "not_capable",
        "fp32",
    ),
    (
        "gather",
        INTEGERS,
        lambda mb, i: mb.gather(x=f16(100, 16), indices=i, axis=0, validate_indices=False),
        "not_capable",
        "gather",
    ),
    ("add", {"x": f16(1, 1, 1, 1, 2, 2)}, lambda mb, x: mb.add(x=x, y=x), "not_capable", "rank 6"),
    (
        "linear",
        {"x": f16(1, 1, 2, 4, 8)},
        lambda mb, x: mb.linear(x=x, weight=f16(4, 8)),
        "not_capable",
        "linear of rank 5",
    ),
    (
        "matmul",
        {"x": f16(1, 1, 8, 16, 16)},
        lambda mb, x: mb.matmul(x=x, y=x),
        "unlikely",
        "matmul of rank 5",
    ),
    ("matmul", {"x": f16(4, 4)}, lambda mb, x: mb.matmul(x=x, y=x), "unlikely", "tiny product"),
    (
        "linear",
        {"x": f16(1, 64)},
        lambda mb, x: mb.linear(x=x, weight=f16(4, 64)),
        "unlikely",
        "linear of one row",
    ),
    (
        "linear",
        {"x": f16(1, 4992)},
        lambda mb, x: mb.linear(x=x, weight=f16(4, 4992)),
        "capable",
        "seen in the five plans",
    ),
    ("relu", {"x": f16(2, 16384)}, lambda mb, x: mb.relu(x=x), "capable", "seen in the five plans"),
    ("relu", {"x": f16(2, 16385)}, lambda mb, x: mb.relu(x=x), "uncertain", "size above 16384"),
    ("relu", {"x": f16(2, 65537)}, lambda mb, x: mb.relu(x=x), "not_capable", "size above 65536"),
    (
        "relu",
        {"x": f16(1, 20000, 2, 2)},
        lambda mb, x: mb.relu(x=x),
        "capable",
        "seen in the five plans",
    ),
    (
        "scaled_dot_product_attention",
        {"x": f16(1, 8, 16)},
        lambda mb, x: mb.scaled_dot_product_attention(query=x, key=x, value=x),
        "uncertain",
        "fused attention",
    ),
    ("while_loop", {"i": np.zeros((1,), np.int32)}, _loop, "not_capable", "control flow"),
    ("less", {"i": np.zeros((1,), np.int32)}, _loop, "not_capable", "body of control flow"),
]


@pytest.mark.parametrize(
    ("op", "inputs", "build", "verdict", "rule"),
    CASES,
    ids=[f"{case[0]}-{case[4]}-{i}" for i, case in enumerate(CASES)],
)
def test_verdicts(op: str, inputs: dict[str, Any], build: Any, verdict: str, rule: str) -> None:
    found = place(inputs, build)[op]
    assert (found.verdict, found.rule.name) == (verdict, rule)


def test_shapes_that_vary() -> None:
    def signature(**options: Any) -> Signature:
        return Signature((Feature("x", "multiArray", FP16, (2, 4), **options),), ())

    def relu(mb: Any, x: Any) -> Any:
        return mb.relu(x=mb.tan(x=x))

    x = {"x": f16(2, 4)}
    assert place(x, lambda mb, x: mb.tan(x=x), True)["tan"].also[0].name == "range of shapes"
    ranged = place(x, relu, True, signature(ranges=((1, 8), (4, 4))))
    assert ranged["relu"].rule.name == "range of shapes"
    assert ranged["relu"].work_share is None
    # What the engine cannot do is not merely unlikely.
    assert ranged["tan"].verdict == "not_capable"
    listed = place(x, relu, True, signature(enumerated=((2, 4), (3, 4))))
    assert listed["relu"].rule.name == "enumerated shapes"


def test_an_unlikely_op_of_which_nothing_is_known_is_unknown() -> None:
    def build(mb: Any, x: Any) -> Any:
        return mb.gather_nd(x=x, indices=np.zeros((1, 1), np.int32))

    assert place({"x": f16(2, 4)}, build)["gather_nd"].rule.name == "unknown"
    assert place({"x": f16(2, 4)}, build, True)["gather_nd"].rule.name == "unknown"


def test_the_table_is_whole() -> None:
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)
    for rule in RULES:
        assert rule.confidence in CONFIDENCE
        assert set(rule.sources) <= SOURCES.keys()
        assert rule.sources or rule.confidence == "-"
        able = rule.verdict in ("capable", "no_device")
        assert able or rule.change or rule.name in ("unknown", "tiny product")
        assert not rule.reason.endswith(".")
    assert {key for rule in RULES for key in rule.sources} == SOURCES.keys()
    assert {rule.verdict for rule in RULES} == MEANINGS.keys()


def test_the_plans_show_what_is_said_of_them() -> None:
    """Oracle: the plans."""
    shown: dict[str, set[str]] = {}
    for name, plan in plans()["plans"].items():
        for op, _, supported, _ in plan["operations"]:
            if "NE" in supported:
                shown.setdefault(op, set()).add(name)
    del shown["cast"]  # a rule of its own
    assert {op: frozenset(names) for op, names in shown.items()} == SEEN


def test_a_rule_without_a_plan() -> None:
    (seen,) = (rule for rule in RULES if rule.name == "seen in the five plans")
    left = seen.without("resnet50")
    assert left is not None
    assert seen.ops - left.ops == {"max_pool", "relu"}
    assert seen.without("no plan of ours") == seen
