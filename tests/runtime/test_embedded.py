"""The functions that a .pte's delegates call. Oracle: what the networks were lowered from."""

from __future__ import annotations

import dataclasses

from etcoreml.blob import read_blob, write_blob
from etcoreml.runtime.embedded import embedded_function, embedded_functions
from etcoreml.runtime.pte import parse_pte
from tests.lowering import lower
from tests.networks import two_islands


def test_each_delegate_has_one() -> None:
    program = parse_pte(lower(*two_islands()))
    found = list(embedded_functions(program))
    assert [(method.name, index) for method, index, _ in found] == [("forward", 0), ("forward", 1)]
    for _, _, each in found:
        assert each.signature is not None
        names = [feature.name for feature in each.signature.inputs]
        assert names == [value.name for value in each.function.inputs]


def test_a_payload_without_a_model() -> None:
    program = parse_pte(lower(*two_islands()))
    (method,) = program.methods
    tree = read_blob(method.delegates[0].payload)
    children = {name: each for name, each in tree.children.items() if name != "model.mlpackage"}
    empty = dataclasses.replace(
        method.delegates[0], payload=bytes(write_blob(dataclasses.replace(tree, children=children)))
    )
    assert embedded_function(empty, program) is None
    made = dataclasses.replace(
        program, methods=(dataclasses.replace(method, delegates=(empty, method.delegates[1])),)
    )
    assert [index for _, index, _ in embedded_functions(made)] == [1]
