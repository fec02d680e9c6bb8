"""ETDumps of a program of the stock runtime: asked for, and written."""

from __future__ import annotations

import os
import shutil
import tempfile
from numbers import Integral
from pathlib import Path
from typing import Any

from etcoreml.atomic import write_atomic
from etcoreml.errors import OptionError, ProgramError, UsageError


def checked_etdump(enable: bool, debug_buffer_size: object) -> dict[str, Any]:
    """Return what ``Runtime.load_program`` takes for an ETDump.

    Args:
        enable: Whether there is to be one.
        debug_buffer_size: In bytes.

    Raises:
        OptionError: The size is no number of bytes, or of a buffer without an ETDump.
    """
    is_number = isinstance(debug_buffer_size, Integral) and not isinstance(debug_buffer_size, bool)
    if not is_number or int(debug_buffer_size) < 0:  # type: ignore[call-overload]
        raise OptionError(
            "debug_buffer_size is no number of bytes",
            found=repr(debug_buffer_size),
            expected="0 or more",
        )
    if debug_buffer_size and not enable:
        raise OptionError(
            "debug_buffer_size has no meaning without enable_etdump",
            found=repr(debug_buffer_size),
            hint="Give enable_etdump=True.",
        )
    return {"enable_etdump": enable, "debug_buffer_size": debug_buffer_size} if enable else {}


def write_etdump(
    program: Any,
    etdump_path: str | os.PathLike[str],
    debug_buffer_path: str | os.PathLike[str] | None,
    source: str,
) -> None:
    """Write a program's ETDump, and its debug buffer, each whole or not at all.

    Args:
        program: Of ``executorch.runtime``.
        etdump_path: For the events.
        debug_buffer_path: For the values; None leaves them out.
        source: What the program is called in an error.

    Raises:
        ProgramError: It has no ETDump, or an empty one.
        UsageError: A file cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="etcoreml-etdump-") as folder:
        etdump, buffer = Path(folder, "etdump"), Path(folder, "buffer")
        try:
            program.write_etdump_result_to_file(str(etdump), str(buffer))
        except RuntimeError as error:
            raise _nothing(source, str(error)) from error
        if not etdump.is_file() or etdump.stat().st_size == 0:
            raise _nothing(source, "an empty one")
        buffer.touch()
        _check_parent(Path(etdump_path), debug_buffer_path)
        if debug_buffer_path is not None:
            _copy(buffer, Path(debug_buffer_path))
        _copy(etdump, Path(etdump_path))


def _check_parent(*paths: str | os.PathLike[str] | None) -> None:
    for path in paths:
        if path is not None and not os.access(Path(path).parent, os.W_OK):
            raise UsageError(f"cannot write '{os.fspath(path)}': its folder is not writable")


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as file:
        write_atomic(target, lambda out: shutil.copyfileobj(file, out))


def _nothing(source: str, found: str) -> ProgramError:
    return ProgramError(
        f"{source} has no ETDump to write",
        found=found,
        hint="Load it with enable_etdump=True, and run it first.",
    )
