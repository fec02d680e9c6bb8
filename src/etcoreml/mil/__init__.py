"""Core ML's Model Intermediate Language: the frozen program, its loaders and its validity rules."""

from etcoreml.mil.open import load_model, load_package, open_model
from etcoreml.mil.pipeline import NonMaximumSuppression, Pipeline, Stage
from etcoreml.mil.program import (
    Block,
    Constant,
    Feature,
    Function,
    ImageFormat,
    MilProgram,
    Operation,
    Output,
    Signature,
    StateType,
    TensorType,
)
from etcoreml.mil.specification import Model

__all__ = [
    "Block",
    "Constant",
    "Feature",
    "Function",
    "ImageFormat",
    "MilProgram",
    "Model",
    "NonMaximumSuppression",
    "Operation",
    "Output",
    "Pipeline",
    "Signature",
    "Stage",
    "StateType",
    "TensorType",
    "load_model",
    "load_package",
    "open_model",
]
