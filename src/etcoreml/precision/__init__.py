"""Mixed precision: the fewest ops in fp32 that keep a model in fp16 close enough to eager."""

from etcoreml.precision.search import MixedPrecision, choose

__all__ = ["MixedPrecision", "choose"]
