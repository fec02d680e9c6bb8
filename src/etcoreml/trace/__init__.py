"""What a run did: time by MIL op, intermediate values, and where both come from."""

from etcoreml.trace.attribution import Attribution, attribute
from etcoreml.trace.counters import RunTimes
from etcoreml.trace.events import UNATTRIBUTED, Event, EventWriter
from etcoreml.trace.inspection import delegate_time_to_ms, parse_delegate_metadata

__all__ = [
    "UNATTRIBUTED",
    "Attribution",
    "Event",
    "EventWriter",
    "RunTimes",
    "attribute",
    "delegate_time_to_ms",
    "parse_delegate_metadata",
]
