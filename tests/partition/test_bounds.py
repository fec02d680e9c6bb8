"""Lower bounds of sizes, of the methods of one program. Oracle: what the user wrote."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.export import Dim, ExportedProgram

from etcoreml.imports import quiet_imports
from etcoreml.partition.bounds import GivenBounds

with quiet_imports():
    from executorch.exir import to_edge


def exported(low: int, high: int) -> ExportedProgram:
    batch = Dim("batch", min=low, max=high)
    return torch.export.export(nn.ReLU(), (torch.ones(5, 3),), dynamic_shapes=({0: batch},))


def bounds(program: ExportedProgram) -> tuple[str, int, int]:
    ((symbol, found),) = program.range_constraints.items()
    return str(symbol), int(found.lower), int(found.upper)


@pytest.mark.parametrize(
    "ranges",
    [[(1, 8)], [(1, 8), (4, 8)], [(4, 8), (1, 8)], [(1, 8), (2, 16)], [(1, 8), (2, 8)]],
    ids=str,
)
def test_each_method_keeps_its_own(ranges: list[tuple[int, int]]) -> None:
    given, programs = GivenBounds(), [exported(*each) for each in ranges]
    for program in programs:
        given.remember(program)
    edges = [to_edge(program).exported_program() for program in programs]
    assert bounds(edges[0])[1] == max(ranges[0][0], 2)
    assert len({bounds(edge)[0] for edge in edges}) == 1
    for edge in edges:
        given.restore(edge)
    # From 2 on is declared as from 1 on, where another method with equal sizes is.
    expected = [(1, 8) if each == (2, 8) else each for each in ranges]
    assert [bounds(edge)[1:] for edge in edges] == expected


def test_core_ml_has_no_empty_tensors() -> None:
    given, program = GivenBounds(), exported(0, 8)
    given.remember(program)
    edge = to_edge(program).exported_program()
    given.restore(edge)
    assert bounds(edge)[1:] == (1, 8)
