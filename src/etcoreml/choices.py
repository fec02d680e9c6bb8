"""What options may be: the names that the command line and the calls behind it share."""

from __future__ import annotations

from typing import Literal

ComputeUnit = Literal["all", "cpu_only", "cpu_and_gpu", "cpu_and_ne"]
"""Where Core ML may run a model, as ``coremltools.ComputeUnit`` names it in lower case."""

Numerics = Literal["fast", "faithful", "turbo"]
"""How the engine computes, see ``engine/numerics.py``."""

Precision = Literal["float16", "float32"]
"""Compute precision."""

ChosenPrecision = Literal["float16", "float32", "auto"]
"""Compute precision, or fp16 with the fewest exceptions that a ratio takes."""

CacheForm = Literal["io", "state"]
"""Who keeps a language model's keys and values: the caller, or Core ML."""

WeightFormat = Literal["none", "int8", "int4"]
"""How a language model's matrices are stored: as they are, or as integers."""
