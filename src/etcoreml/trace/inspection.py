"""For ``executorch.devtools.Inspector``: what our delegate's events hold, and their unit of time.

Inspector(
    etdump_path="etdump.etdp",
    delegate_metadata_parser=parse_delegate_metadata,
    delegate_time_scale_converter=delegate_time_to_ms,
)
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any


def parse_delegate_metadata(rows: Sequence[bytes | str]) -> dict[str, Any]:
    """Return the metadata of an event as a dictionary.

    Args:
        rows: The metadata of its runs, as the Inspector hands them over. They differ in
            ``estimatedCost`` only, of which the mean is returned.

    Returns:
        See docs/profiling.md; empty if there is none, or it is not ours.
    """
    found = []
    for row in rows:
        try:
            decoded = json.loads(row)
        except ValueError:
            continue
        if isinstance(decoded, dict):
            found.append(decoded)
    if not found:
        return {}
    costs = [each["estimatedCost"] for each in found if "estimatedCost" in each]
    return {**found[0], **({"estimatedCost": sum(costs) / len(costs)} if costs else {})}


def delegate_time_to_ms(event: int | str, time: float) -> float:
    """Return a delegate's time in milliseconds.

    Args:
        event: The event's name; of no influence.
        time: In nanoseconds, as our delegate and Apple's write them.
    """
    return time / 1e6
