"""A scratch directory for everything coremltools writes while it converts.

coremltools puts every model into a temporary directory that it removes when the process ends, and
leaves more behind when it fails. ``scratch`` hands it one directory and removes that at the end of
the block, in success, failure and interruption.
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
    """Yield a directory that receives coremltools' temporary files and is then removed.

    Only coremltools' own view of ``tempfile`` changes: temporary files of other threads stay
    where they are.
    """
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="etcoreml_"))
        redirected = SimpleNamespace(
            NamedTemporaryFile=functools.partial(tempfile.NamedTemporaryFile, dir=directory),
            TemporaryDirectory=functools.partial(_directory, directory),
            mkdtemp=functools.partial(tempfile.mkdtemp, dir=directory),
        )
        for module in _MODULES:
            stack.callback(setattr, module, "_tempfile", module._tempfile)
            module._tempfile = redirected
        yield Path(directory)


def _directory(parent: str) -> SimpleNamespace:
    """Return what ``TemporaryDirectory`` would, without its removal: ``parent`` goes as a whole."""
    return SimpleNamespace(name=tempfile.mkdtemp(dir=parent))
