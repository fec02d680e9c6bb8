"""The shortcuts through coremltools: what they must not change, and that they end.

Oracle: coremltools without them.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from etcoreml.compiler.shortcuts import shortcuts
from etcoreml.mil.ct import coremltools

ct = coremltools()
mb = ct.converters.mil.mil.Builder
Block, Function = ct.converters.mil.mil.block.Block, ct.converters.mil.mil.block.Function


def upstream(function: Any) -> list[int]:
    """Return how many constexpr variables each variable of a program comes from."""
    return [
        len(output.nonreplaceable_vars_upstream)
        for op in function.operations
        for output in op.outputs
    ]


def compressed() -> Any:
    return mb.constexpr_cast(source_val=np.ones(2, np.float16), output_dtype="fp32")


def branches(x: Any) -> Any:
    return mb.cond(
        pred=mb.squeeze(x=mb.greater(x=mb.reduce_sum(x=x), y=0.0)),
        _true_fn=lambda: mb.add(x=x, y=1.0),
        _false_fn=lambda: mb.add(x=x, y=compressed()),
    )


def built(body: Callable[[Any], Any]) -> Any:
    specs = [mb.TensorSpec(shape=(2,))]
    program = mb.program(input_specs=specs, opset_version=ct.target.iOS16)(lambda x: body(x))
    return program.functions["main"]


@pytest.mark.parametrize(
    "body",
    [
        lambda x: mb.relu(x=mb.add(x=x, y=1.0)),
        lambda x: mb.relu(x=mb.add(x=x, y=compressed())),
        branches,
    ],
    ids=["nothing", "constexpr", "a branch"],
)
def test_variables_know_what_they_come_from(body: Callable[[Any], Any]) -> None:
    expected = upstream(built(body))
    with shortcuts():
        function = built(body)
        with function:
            pass
    assert upstream(function) == expected


def test_what_is_gone_is_forgotten() -> None:
    function = built(lambda x: mb.add(x=x, y=compressed()))
    assert any(upstream(function))
    with shortcuts():
        with function:
            (op,) = function.find_ops(op_type="constexpr_cast")
            plain = mb.const(val=np.ones(2, np.float32), before_op=op)
            function.replace_uses_of_var_after_op(
                anchor_op=op, old_var=op.outputs[0], new_var=plain, force_replace=True
            )
            function.remove_ops([op])
        assert not any(upstream(function))


CONSTANTS = (
    *(np.ones((2, 3), np.float32), np.ones(2, np.float16), np.array(3, np.int32), np.float32(2)),
    *(True, 1, 2.5, "text", np.array([1, 2**40]), np.array([True, False]), np.ones(2, np.float64)),
)


@pytest.mark.parametrize("value", CONSTANTS, ids=str)
def test_constants_stay_what_they_are(value: Any) -> None:
    told = []
    for block in (contextlib.nullcontext(), shortcuts()):
        function = built(lambda x: mb.add(x=x, y=1.0))
        with function:
            made = mb.const(val=value, before_op=function.operations[-1])
        with block:
            made.op.type_value_inference(overwrite_output=True)
        told.append((made.sym_type, type(made.val), repr(made.val)))
    assert told[0] == told[1]


def test_a_constant_that_was_replaced_is_inferred() -> None:
    function = built(lambda x: mb.add(x=x, y=np.ones(2, np.float32)))
    (op,) = (each for each in function.operations if each.op_type == "const")
    op.outputs[0]._sym_val.val = np.zeros(2, np.float32)
    with shortcuts():
        op.type_value_inference(overwrite_output=True)
    np.testing.assert_array_equal(op.outputs[0].val, np.ones(2, np.float32))


def test_they_end() -> None:
    methods = Block._propagate_nonreplaceable_vars, Function.__str__
    with contextlib.suppress(KeyError), shortcuts():
        assert Block._propagate_nonreplaceable_vars is not methods[0]
        raise KeyError
    assert (Block._propagate_nonreplaceable_vars, Function.__str__) == methods


def test_programs_are_text_for_who_reads_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger(ct.__name__), "level", logging.DEBUG)
    logging.getLogger(ct.__name__).manager._clear_cache()  # type: ignore[attr-defined] # private
    method = Function.__str__
    with shortcuts():
        assert Function.__str__ is method
