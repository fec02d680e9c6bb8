"""Lowering: partitions of an edge program become Core ML models inside a .pte."""

from etcoreml.imports import quiet_imports

with quiet_imports():
    from etcoreml.compiler.backend import CoreMLBackend
    from etcoreml.compiler.specs import COMPILE_SPEC_KEYS, MULTIMETHOD_WEIGHT_SHARING_STRATEGY

__all__ = ["COMPILE_SPEC_KEYS", "MULTIMETHOD_WEIGHT_SHARING_STRATEGY", "CoreMLBackend"]
