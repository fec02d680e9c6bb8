"""Values of a run beside eager's, operation by operation.

Enters: an ETDump with values, and the ETRecord with the graph and its inputs. Leaves: for each
operation whose value is known on both sides, how far they are apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from etcoreml.errors import UsageError
from etcoreml.imports import quiet_imports
from etcoreml.trace.metrics import Distance, distance
from etcoreml.trace.source import source_line

with quiet_imports():
    import torch
    from executorch.devtools import Inspector
    from executorch.devtools.inspector.numerical_comparator import NumericalComparatorBase

_JUMP_DB = 20.0
_EXACT_DB = 200.0
"""Stands for equality, which is infinitely many dB."""


@dataclass(frozen=True)
class Compared:
    """One operation.

    Attributes:
        name: The delegate's debug symbols, or the runtime's own operator.
        nodes: Nodes of the exported graph.
        source: ``file:line`` of each.
        distance: From eager's value.
    """

    name: str
    nodes: tuple[str, ...]
    source: tuple[str, ...]
    distance: Distance


class _Pairs(NumericalComparatorBase):  # type: ignore[misc]
    """Lets executorch pair values without comparing them: its own metrics refuse the whole run.

    They do where one pair has two shapes, such as an expanded value beside the one that it views.
    """

    def element_compare(self, a: Any, b: Any) -> float:
        """Return nothing of interest."""
        return math.nan


def compare_values(etdump: Path, debug_buffer: Path, etrecord: Path) -> list[Compared]:
    """Return the operations in order of the graph.

    Args:
        etdump: Of one run.
        debug_buffer: Its values.
        etrecord: With representative inputs, those of the run.

    Raises:
        UsageError: executorch cannot compare them.
    """
    try:
        inspector = Inspector(
            etdump_path=str(etdump), etrecord=str(etrecord), debug_buffer_path=str(debug_buffer)
        )
        table = inspector.calculate_numeric_gap(_Pairs())
    except Exception as error:  # whatever executorch raises of records it cannot join
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UsageError("executorch cannot compare the run with eager", found=reason) from error
    found = []
    for row in table.to_dict("records"):
        actual, expected = (
            _array(row[f"{side}_intermediate_output"]) for side in ("runtime", "aot")
        )
        if actual is None or expected is None or _sizes(actual) != _sizes(expected):
            continue  # of another shape, the one is a rearrangement of the other
        lines = filter(None, map(source_line, (row.get("stacktraces") or {}).values()))
        found.append(
            Compared(
                name=", ".join(_names(row["runtime_ops"])),
                nodes=tuple(_names(row["aot_ops"])),
                source=tuple(dict.fromkeys(lines)),
                distance=distance(actual.reshape(expected.shape), expected),
            )
        )
    return found


def compare_outputs(actual: Sequence[Any], expected: Sequence[Any]) -> list[Distance]:
    """Return how far the outputs of a method are from eager's, in order.

    Raises:
        UsageError: Their numbers or shapes differ.
    """
    if len(actual) != len(expected):
        raise UsageError(
            "the method has other outputs than eager", found=len(actual), expected=len(expected)
        )
    pairs = zip(map(_array, actual), map(_array, expected), strict=True)
    return [distance(a.reshape(e.shape), e) for a, e in pairs if a is not None and e is not None]


def first_jump(compared: Sequence[Compared]) -> Compared | None:
    """Return the first operation that is at least 20 dB worse than all before it, if any."""
    worst = _EXACT_DB
    for each in compared:
        snr = min(each.distance.snr_db, _EXACT_DB)
        if worst < _EXACT_DB and worst - snr >= _JUMP_DB:
            return each
        if math.isinf(snr) and snr < 0:
            return each
        worst = min(worst, snr)
    return None


def _sizes(value: Any) -> list[int]:
    """Return the sizes that are not one."""
    return [size for size in value.shape if size != 1]


def _array(value: Any) -> Any:
    """Return a value as an array; the last of several, as the Inspector has it; None of none."""
    if isinstance(value, (list, tuple)):
        return _array(value[-1]) if value else None
    if isinstance(value, torch.Tensor):
        value = value.detach().float() if value.dtype == torch.bfloat16 else value.detach()
        return value.numpy()
    return np.asarray(value) if isinstance(value, (int, float, bool)) else None


def _names(value: Any) -> list[str]:
    return [str(each) for each in value] if isinstance(value, (list, tuple, set)) else [str(value)]
