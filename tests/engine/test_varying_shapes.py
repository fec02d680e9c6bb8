"""Varying shapes of the ops that cannot have all of their dimensions vary at once.

The oracle is that of the case; which dimensions MIL lets vary was found with its type inference.
"""

from __future__ import annotations

import dataclasses
import importlib
from typing import Any

import pytest

from etcoreml.engine.registry import TRANSLATORS
from tests.cases import Varies, check

SPATIAL: Varies = {"x": {0: "n", 2: "h", 3: "w"}}

VARYING: dict[str, Varies] = {
    "affine": True,
    "batch_to_space": True,
    "concat": True,
    "depth_to_space": True,
    "einsum": {
        "values_0": {0: "n", 1: "c", 2: "h", 3: "w"},
        "values_1": {0: "n", 1: "w", 2: "h", 3: "u"},
    },
    "gather_along_axis": True,
    "gather_nd": {"x": {0: "a", 1: "b", 2: "c"}, "indices": {0: "k"}},
    "non_zero": True,
    "pixel_shuffle": True,
    "pixel_unshuffle": True,
    "prelu": SPATIAL,
    "reshape_like": {"x": {0: "a", 1: "b"}},
    "scaled_dot_product_attention": True,
    "scatter": True,
    "scatter_along_axis": {"data": {0: "a"}},
    "scatter_nd": {"data": {0: "a", 1: "b"}},
    "slice_update": True,
    "sliding_windows": True,
    "softplus_parametric": SPATIAL,
    "space_to_batch": True,
    "space_to_depth": True,
    "split": True,
    "squeeze": {"x": {1: "a", 3: "b"}},
    "stack": True,
    "upsample_bilinear": True,
    "upsample_nearest_neighbor": True,
}
"""Op to what varies in the first case of its family; the axes are those of that case."""


def _first_case(op_type: str) -> Any:
    family = TRANSLATORS[op_type].function.__module__.rpartition(".")[2]
    cases = importlib.import_module(f"tests.engine.ops.test_{family}").CASES
    return next(case for case in cases if case.op == op_type)


@pytest.mark.parametrize("op_type", VARYING)
def test_numbers(op_type: str) -> None:
    case = _first_case(op_type)
    check(dataclasses.replace(case, why=f"{case.why} varying"), varies=VARYING[op_type])
