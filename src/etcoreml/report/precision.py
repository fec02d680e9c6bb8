"""Distances from eager as the report has them: numbers that JSON has."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from etcoreml.report.document import Compared, Precision
from etcoreml.report.graph import short_source
from etcoreml.trace.metrics import Distance

if TYPE_CHECKING:
    from etcoreml.trace import comparison


def precision_of(
    operations: Sequence[comparison.Compared],
    outputs: Sequence[Distance],
    numerics: str | None,
    first_jump: str | None,
) -> Precision:
    """Return what `etcoreml compare` finds as the report has it.

    Args:
        operations: In order of the graph.
        outputs: Of the method.
        numerics: How it was computed; None if Apple's delegate did.
        first_jump: The operation at which the error jumps, or None.
    """
    return Precision(
        numerics=numerics,
        outputs=tuple(_compared(f"output {i}", each) for i, each in enumerate(outputs)),
        operations=tuple(
            _compared(each.name, each.distance, each.nodes, tuple(map(short_source, each.source)))
            for each in operations
        ),
        first_jump=first_jump,
    )


def snr_by_symbol(precision: Precision | None) -> dict[str, float]:
    """Return the finite signal-to-noise ratios in dB by debug symbol, in order of the graph."""
    return {
        symbol: each.snr_db
        for each in (precision.operations if precision else ())
        if each.snr_db is not None
        for symbol in each.name.split(", ")
    }


def _compared(
    name: str, found: Distance, nodes: tuple[str, ...] = (), source: tuple[str, ...] = ()
) -> Compared:
    return Compared(
        name=name,
        snr_db=_finite(found.snr_db),
        psnr_db=_finite(found.psnr_db),
        exact=found.snr_db == math.inf,
        cosine=found.cosine,
        max_abs=_finite(found.max_abs),
        not_finite=found.not_finite,
        vanished=found.vanished,
        size=found.size,
        nodes=nodes,
        source=source,
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
