"""A scratch directory for everything coremltools writes while it converts.

coremltools puts every model into a temporary directory that it removes when the process ends, and
leaves more behind when it fails. ``scratch`` makes one directory and removes it at the end of the
block, in success, failure and interruption; ``written_into`` makes coremltools write there.
"""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

from etcoreml.mil.ct import coremltools

ct = coremltools()

# The modules that make temporary files on the way from torch to a package; coremltools 9.0.
_MODULES = (ct.models.model, ct.models.utils, ct.converters.mil.converter)


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """Yield a directory that is then removed. It may outlive what is written into it."""
    with tempfile.TemporaryDirectory(prefix="etcoreml_") as directory:
        yield Path(directory)


@contextlib.contextmanager
def written_into(directory: Path) -> Iterator[None]:
    """Let a directory receive coremltools' temporary files.

    Only coremltools' own view of ``tempfile`` changes, for one thread at a time: temporary files
    of others stay where they are.
    """
    with contextlib.ExitStack() as stack:
        redirected = SimpleNamespace(
            NamedTemporaryFile=functools.partial(tempfile.NamedTemporaryFile, dir=directory),
            TemporaryDirectory=functools.partial(_directory, str(directory)),
            mkdtemp=functools.partial(tempfile.mkdtemp, dir=directory),
        )
        for module in _MODULES:
            stack.callback(setattr, module, "_tempfile", module._tempfile)
            module._tempfile = redirected
        yield


def _directory(parent: str) -> SimpleNamespace:
    """Return what ``TemporaryDirectory`` would, without its removal: ``parent`` goes as a whole."""
    return SimpleNamespace(name=tempfile.mkdtemp(dir=parent))
