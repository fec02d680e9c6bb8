"""Core ML's Model Intermediate Language: the frozen program, its loaders and its validity rules."""

from etcoreml.mil.package import load_package
from etcoreml.mil.program import (
    Block,
    Constant,
    Feature,
    Function,
    MilProgram,
    Operation,
    Output,
    Signature,
    StateType,
    TensorType,
)

__all__ = [
    "Block",
    "Constant",
    "Feature",
    "Function",
    "MilProgram",
    "Operation",
    "Output",
    "Signature",
    "StateType",
    "TensorType",
    "load_package",
]
