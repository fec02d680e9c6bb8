"""What a run did: time by MIL op, intermediate values, and where both come from."""

from etcoreml.trace.attribution import Attribution, attribute
from etcoreml.trace.counters import RunTimes
from etcoreml.trace.events import UNATTRIBUTED, Event, EventWriter

__all__ = ["UNATTRIBUTED", "Attribution", "Event", "EventWriter", "RunTimes", "attribute"]
