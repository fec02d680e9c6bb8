"""Our own estimate of an operation's share of the work: a roofline of one constant.

An operation costs the larger of its bytes and of its FLOPs over a constant. The constant was fitted
to the weights of five compute plans of an M4 Pro (docs/placement.md says how well). The result is
not Core ML's estimated cost, which follows rules of its own: there a linear layer costs the same
whatever its number of outputs.
"""

from __future__ import annotations

from collections.abc import Sequence

from etcoreml.trace.cost import Cost

FLOPS_PER_BYTE = 95.0
"""FLOPs that take as long as moving one byte, fitted."""


def work_shares(costs: Sequence[Cost], flops_per_byte: float) -> list[float | None]:
    """Return each operation's share of the work of all whose sizes are known.

    >>> work_shares([Cost(800, 10), Cost(0, 30), Cost(None, None)], 80)
    [0.25, 0.75, None]
    """
    work = [
        None
        if cost.flops is None or cost.nbytes is None
        else max(cost.nbytes, cost.flops / flops_per_byte)
        for cost in costs
    ]
    whole = sum(each or 0 for each in work)
    return [None if each is None else each / whole if whole else 0.0 for each in work]
