"""The Core ML protobufs, without the cost of ``import coremltools``.

Enters: nothing. Leaves: the modules ``Model_pb2``, ``MIL_pb2`` and ``FeatureTypes_pb2``.

``import coremltools`` takes seconds and prints; the generated protobuf modules it carries need
none of that. Their folder is mounted as a private package of ours, so that their relative imports
resolve. Both copies describe the same files to protobuf's one pool, which accepts identical
descriptions twice, so either may come first; a copy that is already imported is reused.
"""

from __future__ import annotations

import functools
import importlib
import importlib.machinery
import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from etcoreml.errors import ModelError

_PRIVATE = "etcoreml.mil._coremltools_proto"


@functools.cache
def module(name: str) -> Any:
    """Return a generated protobuf module of coremltools.

    Args:
        name: ``Model_pb2``, ``MIL_pb2`` or ``FeatureTypes_pb2``.

    Raises:
        ModelError: coremltools is not installed.
    """
    loaded = sys.modules.get(f"coremltools.proto.{name}")
    if loaded is not None:
        return loaded
    _mount()
    return importlib.import_module(f"{_PRIVATE}.{name}")


def _mount() -> None:
    if _PRIVATE in sys.modules:
        return
    found = importlib.util.find_spec("coremltools")
    if found is None or not found.submodule_search_locations:
        msg = "the Core ML protobufs cannot be loaded: coremltools is not installed"
        raise ModelError(msg, hint="pip install 'coremltools>=9.0,<9.1'")
    folder = Path(next(iter(found.submodule_search_locations))) / "proto"
    package = ModuleType(_PRIVATE)
    package.__path__ = [str(folder)]
    package.__spec__ = importlib.machinery.ModuleSpec(_PRIVATE, None, is_package=True)
    sys.modules[_PRIVATE] = package
