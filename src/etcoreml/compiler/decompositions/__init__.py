"""Own decompositions: one function of PyTorch for each op that Core ML takes in parts."""

from etcoreml.compiler.decompositions import (
    adaptive,
    arithmetic,
    cumulative,
    elementwise,
    experts,
    filling,
    narrow,
    padding,
    quantiles,
    reductions,
    resizing,
    samples,
    shapes,
    shifts,
    transforms,
    windows,
)
from etcoreml.compiler.decompositions.expansion import expand, expansion
from etcoreml.compiler.decompositions.narrow import CASTS, NARROW, is_filled_in_range
from etcoreml.compiler.decompositions.ranks import lower_ranks
from etcoreml.compiler.decompositions.registry import MAX_RANK, find, is_taken_whole
from etcoreml.compiler.decompositions.shapes import has_varying_parts
from etcoreml.compiler.decompositions.transforms import join_complex
from etcoreml.compiler.decompositions.transposes import merge_axes

FAMILIES = (
    adaptive,
    arithmetic,
    cumulative,
    elementwise,
    experts,
    filling,
    narrow,
    padding,
    quantiles,
    reductions,
    resizing,
    samples,
    shapes,
    shifts,
    transforms,
    windows,
)
"""The modules; importing them enters their functions."""

__all__ = [
    "CASTS",
    "FAMILIES",
    "MAX_RANK",
    "NARROW",
    "expand",
    "expansion",
    "find",
    "has_varying_parts",
    "is_filled_in_range",
    "is_taken_whole",
    "join_complex",
    "lower_ranks",
    "merge_axes",
]
