"""Where in the user's model an event comes from: a line of a stack trace of torch.export."""

from __future__ import annotations

import os
import re

_FRAME = re.compile(r'File "([^"]+)", line (\d+)')
_LIBRARIES = tuple(
    f"{os.sep}{folder}{os.sep}{package}{os.sep}"
    for folder in ("site-packages", "dist-packages")
    for package in ("torch", "torchao", "executorch", "coremltools", "etcoreml")
)


def source_line(trace: str | None) -> str:
    """Return ``file:line`` of the innermost frame outside of torch, or an empty string.

    A model that is made of torch's own modules alone, such as an ``nn.Sequential``, has none.
    """
    frames: list[tuple[str, str]] = _FRAME.findall(trace or "")
    return next((":".join(each) for each in reversed(frames) if not _is_library(each[0])), "")


def _is_library(file: str) -> bool:
    # torch writes its own paths without the folder they are installed in at times.
    return file.startswith(("<", f"torch{os.sep}")) or any(each in file for each in _LIBRARIES)
