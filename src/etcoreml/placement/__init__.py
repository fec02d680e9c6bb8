"""An estimate of which of Apple's compute units can, and probably will, run each MIL op."""

from etcoreml.placement.estimate import Estimate, estimate
from etcoreml.placement.rule import Rule
from etcoreml.placement.summary import Departure, Summary, summarise

__all__ = ["Departure", "Estimate", "Rule", "Summary", "estimate", "summarise"]
