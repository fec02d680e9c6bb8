"""Cases that reach a prediction and do not pass, and why: the table of docs/peers.md.

A row that no longer describes a failure is an error of the run, and so is a failure without a row.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Known:
    """Some cases that fail for one reason.

    Attributes:
        pattern: Regular expression, searched in the node id.
        reason: A sentence for the table.
        always: Whether every case that matches fails; else at least one of them does.
    """

    pattern: str
    reason: str
    always: bool = True

    def matches(self, test: str) -> bool:
        """Whether the row speaks of this test."""
        return re.search(self.pattern, test) is not None


KNOWN: tuple[Known, ...] = ()
