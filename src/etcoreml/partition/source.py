"""Where in the user's model a node comes from.

What enters is a node with the metadata that torch.export leaves (``stack_trace``,
``nn_module_stack``); what leaves is a line of the model's source and the path of its module.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from torch.fx import Node

_FRAME = re.compile(r'^ *File "(?P<file>.*)", line (?P<line>\d+), in (?P<function>.*)$')
_PACKAGES = ("torch", "executorch", "coremltools", "torchao", "etcoreml")
_LIBRARIES = tuple(
    f"{folder}{os.sep}{package}{os.sep}"
    for folder in ("site-packages", "dist-packages")
    for package in _PACKAGES
)
_OWN = f"{Path(__file__).parent.parent}{os.sep}"


@dataclass(frozen=True)
class Source:
    """A line of the model's source.

    Attributes:
        file: Path as Python knows it.
        line: Line number, from 1.
        function: The function the line is in.
        code: The line, without indentation; empty when it could not be read.
    """

    file: str
    line: int
    function: str
    code: str = ""

    def __str__(self) -> str:
        return f"{_shortened(self.file)}:{self.line}"


def source_of(node: Node) -> Source | None:
    """Return the innermost line that is neither torch's nor ours, or None when there is none.

    A model that is made of torch's own modules alone has no such line; `module_of` tells more.
    """
    trace = node.meta.get("stack_trace")
    if not isinstance(trace, str):
        return None
    return next((each for each in _frames(trace) if not _is_library(each.file)), None)


def module_of(node: Node) -> str:
    """Return the path of the module a node comes from, e.g. ``encoder.layers.0``, or ``""``.

    The module itself has the path ``""``.
    """
    stack = node.meta.get("nn_module_stack")
    if not isinstance(stack, dict) or not stack:
        return ""
    path = str(next(reversed(stack.values()))[0])
    # What torch inserts itself has a stand-in for a module.
    return "" if path.startswith("_empty_nn_module_stack") else path.removeprefix("L['self'].")


def _frames(trace: str) -> Iterator[Source]:
    """Yield the frames of a trace, the innermost first."""
    code: list[str] = []
    for line in reversed(trace.splitlines()):
        match = _FRAME.match(line)
        if match is None:
            code.append(line)
            continue
        # Markers under the code (^^^^) come after it.
        text = code[-1].strip() if code else ""
        yield Source(match["file"], int(match["line"]), match["function"], text)
        code = []


def _is_library(file: str) -> bool:
    # torch writes its own paths without the folder they are installed in at times.
    return file.startswith((_OWN, "<", f"torch{os.sep}")) or any(
        each in file for each in _LIBRARIES
    )


def _shortened(file: str) -> str:
    """Return a path relative to the working directory or to where packages are installed."""
    here = f"{Path.cwd()}{os.sep}"
    if "-packages" + os.sep in file:
        return file.rpartition("-packages" + os.sep)[2]
    return file.removeprefix(here)
