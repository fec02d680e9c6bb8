"""One thing that was looked at."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Status(str, Enum):
    """How a thing is."""

    OK = "ok"
    MISSING = "missing"
    TOO_OLD = "too old"
    TOO_NEW = "too new"
    MISMATCH = "mismatch"
    """Of another version than what was built against it, or than a package wants."""
    BROKEN = "broken"
    """There, and not usable."""


@dataclass(frozen=True)
class Check:
    """What was found of one thing.

    Attributes:
        group: Heading it belongs under.
        name: What was looked at.
        status: How it is.
        found: What was found, for people.
        expected: What is needed instead; None if that is what was found.
        remedy: A command, or an instruction, that mends it; None where there is nothing to mend.
        needed: Whether something that etcoreml promises does not work without it.
    """

    group: str
    name: str
    status: Status
    found: str
    expected: str | None = None
    remedy: str | None = None
    needed: bool = True

    @property
    def is_ok(self) -> bool:
        """Whether it is as it should be."""
        return self.status is Status.OK

    @property
    def fails(self) -> bool:
        """Whether it is needed and not as it should be."""
        return self.needed and not self.is_ok
