"""What a compiled model depends on, as one digest.

Enters: a program's files, the options it is compiled with, this machine. Leaves: a key that is
equal only where the compiled model would be.
"""

from __future__ import annotations

import functools
import hashlib
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import openvino as ov

from etcoreml.engine.fork import core
from etcoreml.mapped import Identity, MappedFile
from etcoreml.mil.program import MilProgram

_SETTLED_NS = 2_000_000_000
"""A file changed more recently than this could change again without its times showing it."""

Remembered = Callable[[str, Callable[[], str]], str]
"""(name, compute) -> the digest stored under ``name``, or the computed one, stored."""


def cache_key(program: MilProgram, options: Sequence[object], remembered: Remembered) -> str:
    """Return the key of a program compiled with ``options`` on this machine.

    Args:
        program: A program that has sources.
        options: Whatever else decides about the result, JSON values.
        remembered: Keeps digests of files that do not change.
    """
    parts = {
        "sources": {
            name: _digest(data, remembered) for name, data in sorted(program.sources.items())
        },
        "options": options,
        "openvino": ov.get_version(),
        "device": core().get_property("CPU", "FULL_DEVICE_NAME"),
        "capabilities": sorted(core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")),
        "code": _code(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _digest(data: memoryview, remembered: Remembered) -> str:
    mapped = data.obj
    if (
        isinstance(mapped, MappedFile)
        and len(mapped) == data.nbytes
        and _is_settled(mapped.identity)
    ):
        name = hashlib.sha256(repr(mapped.identity).encode()).hexdigest()
        return remembered(name, lambda: _sha256(data))
    return _sha256(data)


def _is_settled(identity: Identity) -> bool:
    return max(identity[-2:]) + _SETTLED_NS < time.time_ns()


def _sha256(data: memoryview) -> str:
    # The fastest of hashlib's where the CPU has instructions for it: 217 MB in 0.13 s.
    return hashlib.sha256(data).hexdigest()


@functools.cache
def _code() -> str:
    """Return a digest of this package's files: another version may compile another model."""
    files = []
    # An editable install has its libraries in another place than its sources.
    for folder in map(Path, sys.modules[__name__.partition(".")[0]].__path__):
        for path in (*folder.rglob("*.py"), *folder.rglob("*.so")):
            status = path.stat()
            name = path.relative_to(folder).as_posix()
            files.append(f"{name} {status.st_size} {status.st_mtime_ns}")
    return hashlib.sha256("\n".join(sorted(files)).encode()).hexdigest()
