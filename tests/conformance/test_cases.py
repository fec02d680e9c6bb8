"""Cases reach as far as coremltools' definitions: every dtype of every operand, varying shapes."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import etcoreml.engine.ops
from etcoreml.engine.registry import TRANSLATORS
from etcoreml.mil.ct import coremltools
from tests.cases import Case
from tests.engine.test_varying_shapes import VARYING

FILE_FORMAT_ONLY = {"write_state"}
"""Ops that coremltools has no class for."""

WHOLE_PROGRAMS = {
    "classify": "its labels need a model around it: tests/engine/ops/test_classify.py",
    "cond": "has blocks: test_control_flow.py runs it with a bool, the only dtype it takes",
    "while_loop": "has blocks: test_control_flow.py carries fp32 and int32, and varying shapes",
    "make_list": "lists are no inputs of a program: test_lists.py",
    "list_gather": "as make_list",
    "list_length": "as make_list",
    "list_read": "as make_list",
    "list_scatter": "as make_list",
    "list_write": "as make_list",
    "read_state": "states are no inputs of a case: test_states.py",
}
"""Ops that are tested as whole programs, and why."""

NO_CASE: dict[tuple[str, str, str], str] = {}
"""Operands and dtypes without a case: (op, input, dtype) to the reason."""

SAME_SHAPE = {
    "constexpr_affine_dequantize": "made of constants",
    "constexpr_blockwise_shift_scale": "made of constants",
    "constexpr_cast": "made of constants",
    "constexpr_lut_to_dense": "made of constants",
    "constexpr_lut_to_sparse": "made of constants",
    "constexpr_sparse_blockwise_shift_scale": "made of constants",
    "constexpr_sparse_to_dense": "made of constants",
    "fill": "with a shape of any length the rank of its result is not known",
}
"""Ops without operands whose shape could vary, and why."""


def _cases() -> Iterator[Case]:
    for module in pkgutil.iter_modules(etcoreml.engine.ops.__path__):
        yield from importlib.import_module(f"tests.engine.ops.test_{module.name}").CASES
    yield from importlib.import_module("tests.engine.test_dtypes").CASES


def _definitions(op_type: str) -> list[Any]:
    coremltools()
    from coremltools.converters.mil.mil.ops.registry import (  # noqa: TID251 - the definitions
        SSAOpRegistry,
    )

    return list(SSAOpRegistry.core_ops[op_type].values())


def _admitted(op_type: str) -> set[tuple[str, str]]:
    """Return (input, dtype) of everything any version of an op takes at run time."""
    definitions = _definitions(op_type)
    from coremltools.converters.mil.mil import types  # noqa: TID251 - the names of dtypes

    found = set()
    for definition in definitions:
        for name, kind in definition.input_spec.input_types.items():
            domain = getattr(kind, "type_domain", ())
            if getattr(kind, "type_domain_id", None):
                domain = definition.type_domains[kind.type_domain_id]
            if not kind.const:
                found.update((name, types.builtin_to_string(item)) for item in domain)
    return found


def _tried(op_type: str) -> set[tuple[str, str]]:
    """Return (input, dtype) of everything the cases of an op give it; fp32 ones run in fp16 too."""
    names = {"float32": "fp32", "float64": "fp32", "float16": "fp16", "int64": "int32"}
    found = set()
    for case in _cases():
        if case.op != op_type:
            continue
        for name, value in {**case.inputs, **case.params}.items():
            for item in value if isinstance(value, tuple) else (value,):
                dtype = np.asarray(item).dtype.name
                found.add((name, names.get(dtype, dtype)))
                if names.get(dtype) == "fp32" and case.fp16:
                    found.add((name, "fp16"))
    return found


TESTED_BY_CASE = sorted(TRANSLATORS.keys() - FILE_FORMAT_ONLY - WHOLE_PROGRAMS.keys())


@pytest.mark.parametrize("op_type", TESTED_BY_CASE)
def test_every_dtype_of_every_operand_has_a_case(op_type: str) -> None:
    missing = {(op_type, *pair) for pair in _admitted(op_type) - _tried(op_type)}
    assert sorted(missing - NO_CASE.keys()) == []


def test_no_exemption_is_idle() -> None:
    for op_type, name, dtype in NO_CASE:
        assert (name, dtype) in _admitted(op_type) - _tried(op_type)
    assert TRANSLATORS.keys() >= WHOLE_PROGRAMS.keys() | SAME_SHAPE.keys()


def test_every_op_has_a_case_of_varying_shape() -> None:
    varying = {case.op for case in _cases() if case.varies and case.inputs} | VARYING.keys()
    assert sorted(set(TESTED_BY_CASE) - varying - SAME_SHAPE.keys()) == []
    assert sorted(varying & SAME_SHAPE.keys()) == []
