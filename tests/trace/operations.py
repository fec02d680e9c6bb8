"""A few operations, for tests of what leads to them."""

from __future__ import annotations

from etcoreml.mil.program import Operation, Output, TensorType
from etcoreml.types import FP32


def _operation(kind: str, *outputs: str) -> Operation:
    values = tuple(Output(name, TensorType(FP32, (1,))) for name in outputs)
    return Operation(kind, outputs[0], {}, values)


CONV = _operation("conv", "y")
RELU = _operation("relu", "z")
SPLIT = _operation("split", "p", "q")
OPERATIONS = (CONV, RELU, SPLIT)
FLOPS = {"y:conv": 9, "z:relu": 1, "p:split": 0}
ATTENTION = (
    _operation("matmul", "scores"),
    _operation("softmax", "weights"),
    _operation("matmul", "attention"),
    _operation("transpose", "t"),
)
