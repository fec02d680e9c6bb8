"""The arithmetic of a plain Swift file, run as Python: there is no Swift compiler here.

It knows functions over numbers and arrays of them, ``let`` and ``var``, ``if``, ``for`` over a
range, and struct literals; whatever else is in the file is an error.
"""

from __future__ import annotations

import math
import re
from types import SimpleNamespace
from typing import Any

_RULES = (
    (r"//.*", ""),
    (r"\bfunc (\w+)\((.*)\) -> .*\{$", r"def \1(\2):"),
    (r"for (\w+) in 0\.\.<(.+) \{$", r"for \1 in range(\2):"),
    (r"^\} else if (.+) \{$", r"elif \1:"),
    (r"^\} else \{$", "else:"),
    (r"^if (.+) \{$", r"if \1:"),
    (r"^(?:let|var) (\w+) = ", r"\1 = "),
    (r"Double\.infinity", "math.inf"),
    (r"\b([ae]|noise)\.isFinite", r"math.isfinite(\1)"),
    (r"\b([ae])\.isNaN", r"math.isnan(\1)"),
    (r"\b(\w+)\.isInfinite", r"math.isinf(\1)"),
    (r"\b(\w+)\.count", r"len(\1)"),
    (r"\b(\w+)\.sorted\(\)", r"sorted(\1)"),
    (r"&&", "and"),
    (r"\|\|", "or"),
    (r"!(?=[\w(])", "not "),
    (r"\bDouble\(", "float("),
    (r"\bInt\(", "int("),
    (r"\blog10\(", "math.log10("),
    (r"(\w+): (?=[\w.(-])", r"\1="),
)


def run(text: str) -> dict[str, Any]:
    """Return the functions of a file."""
    lines: list[str] = []
    depth = 0
    inside_struct = False
    for raw in text.splitlines():
        line = raw.strip()
        if line.startswith(("import ", "///", "//")) or not line:
            continue
        if line.startswith("struct "):
            inside_struct = True
        if inside_struct:
            inside_struct = line != "}"
            continue
        if line.startswith("func "):
            # (_ a: [Double], _ b: Double)
            line = re.sub(r"_ (\w+): [\[\]\w]+", r"\1", line)
        for pattern, replacement in _RULES:
            line = re.sub(pattern, replacement, line)
        if line == "}":
            depth -= 1
            continue
        if line.startswith(("elif", "else")):
            depth -= 1
        lines.append("    " * depth + line)
        depth += line.endswith(":")
    assert depth == 0
    names: dict[str, Any] = {
        "math": math,
        "Distance": SimpleNamespace,
        "true": True,
        "false": False,
    }
    exec(compile("\n".join(lines), "Metrics.swift", "exec"), names)
    return names
