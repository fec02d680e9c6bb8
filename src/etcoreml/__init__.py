"""A Core ML backend for ExecuTorch that lowers on any machine and runs the result there too.

Importing etcoreml registers the delegate ``CoreMLBackend`` with the stock ExecuTorch runtime where
Apple's own is absent, and imports neither torch nor coremltools.

- ``etcoreml.load(path_or_bytes)`` loads a .pte; ``executorch.runtime.Runtime`` works as well.
- ``etcoreml.MLModel(path)`` predicts with a .mlpackage, .mlmodel or .mlmodelc.
- ``etcoreml.partition.CoreMLPartitioner`` and ``etcoreml.compiler.CoreMLBackend`` lower a model.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from etcoreml.runtime.bridge import BridgeStatus, register

if TYPE_CHECKING:
    from etcoreml.runtime.compute_unit import ComputeUnit
    from etcoreml.runtime.faults import last_error
    from etcoreml.runtime.ml_model import MLModel
    from etcoreml.runtime.model_cache import purge_models_cache
    from etcoreml.runtime.program import Program, load
    from etcoreml.runtime.state import MLState

__version__ = "0.1.0"

__all__ = [
    "BridgeStatus",
    "ComputeUnit",
    "MLModel",
    "MLState",
    "Program",
    "__version__",
    "bridge",
    "last_error",
    "load",
    "purge_models_cache",
]

bridge: BridgeStatus = register()

# Imported when first used: a program needs torch and executorch, which take seconds, a model
# OpenVINO.
_LAZY = {
    "ComputeUnit": ("etcoreml.runtime.compute_unit", "ComputeUnit"),
    "MLModel": ("etcoreml.runtime.ml_model", "MLModel"),
    "MLState": ("etcoreml.runtime.state", "MLState"),
    "Program": ("etcoreml.runtime.program", "Program"),
    "load": ("etcoreml.runtime.program", "load"),
    "last_error": ("etcoreml.runtime.faults", "last_error"),
    "purge_models_cache": ("etcoreml.runtime.model_cache", "purge_models_cache"),
}


def __getattr__(name: str) -> object:
    if name not in _LAZY:
        message = f"module 'etcoreml' has no attribute '{name}'"
        raise AttributeError(message)
    import importlib

    module, attribute = _LAZY[name]
    value = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))
