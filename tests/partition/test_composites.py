"""Programs that are quick to decompose: the same programs as torch's, and shortcuts that end.

Oracle: torch without them.
"""

from __future__ import annotations

import gc
import threading

import pytest
import torch
from torch._export.utils import _collect_all_valid_cia_ops
from torch._ops import OperatorBase
from torch.export import ExportedProgram, decomp_utils, default_decompositions, exported_program
from torch.fx import Node
from torch.fx.traceback import NodeSource

from etcoreml.imports import quiet_imports
from etcoreml.partition.composites import hurried
from tests.call import Call

with quiet_imports():
    from executorch.exir.backend import backend_api

torch.library.define("etcoreml_test::twice", "(Tensor x) -> Tensor")
torch.library.impl("etcoreml_test::twice", "CompositeImplicitAutograd", lambda x: x + x)


@pytest.fixture
def program() -> ExportedProgram:
    def function(x: torch.Tensor) -> torch.Tensor:
        y = torch.nn.functional.gelu(x.clone().mul_(2).reshape(2, 8).flatten())
        return torch.einsum("ij,jk->ik", y.view(4, 4), x) + torch.ops.etcoreml_test.twice(x)

    return torch.export.export(Call(function), (torch.randn(4, 4),))


def replaced() -> bool:
    methods = (
        decomp_utils._collect_all_valid_cia_ops,
        exported_program._collect_all_valid_cia_ops,
        OperatorBase.py_impl,
        exported_program._populate_param_buffer_metadata_to_new_gm,
        backend_api.is_param,
    )
    ours = {each.__module__ == "etcoreml.partition.composites" for each in methods}
    ours |= {hasattr(NodeSource, "__deepcopy__"), gc.get_freeze_count() > 0}
    assert len(ours) == 1
    return ours.pop()


def kernels() -> dict[str, dict[object, object]]:
    """Return the kernels that torch's own composite ops have in Python."""
    return {str(op): dict(op.py_kernels) for op in _collect_all_valid_cia_ops()}


def history(sources: list[NodeSource]) -> list[object]:
    return [(each.name, each.target, each.action, history(each.from_node)) for each in sources]


def histories(program: ExportedProgram) -> list[object]:
    def told(node: Node) -> list[object]:
        return history(node.meta.get("from_node", []))

    return [told(node) for node in program.graph.nodes]


@pytest.mark.parametrize("table", [dict, default_decompositions])
def test_decomposes_as_torch_does(program: ExportedProgram, table: type) -> None:
    expected = program.run_decompositions(table())
    before = kernels()
    found = hurried(program).run_decompositions(table())
    assert kernels() == before
    assert histories(found) == histories(expected)
    assert str(found.graph) == str(expected.graph)
    assert found.graph_signature == expected.graph_signature


def test_the_composite_ops_are_torchs(program: ExportedProgram) -> None:
    lowered = hurried(program)
    assert exported_program._collect_all_valid_cia_ops() == _collect_all_valid_cia_ops()
    assert torch.ops.etcoreml_test.twice.default in decomp_utils._collect_all_valid_cia_ops()
    del lowered


def test_kernels_are_entered_as_torch_does(program: ExportedProgram) -> None:
    lowered = hurried(program)
    op = torch.ops.aten.einsum.default
    before = dict(op.py_kernels)
    try:
        op.py_impl(torch._C.DispatchKey.AutogradMeta)(print)
        assert op.py_kernels[torch._C.DispatchKey.AutogradMeta] is print
        with pytest.raises(RuntimeError, match="override"):
            op.py_impl(torch._C.DispatchKey.AutogradMeta)(print)
        with pytest.raises(AssertionError, match="register a mode"):
            op.py_impl(torch._C.DispatchKey.Python)(print)
    finally:
        op.py_kernels.clear()
        op.py_kernels.update(before)
        op._dispatch_cache.clear()
    del lowered


def test_they_hold_as_long_as_a_program(program: ExportedProgram) -> None:
    gc.collect()
    assert not replaced()
    first = hurried(program)
    second = first.run_decompositions({})
    del first
    gc.collect()
    assert replaced()
    del second
    gc.collect()
    assert not replaced()


def test_a_program_that_only_the_search_for_garbage_finds(program: ExportedProgram) -> None:
    gc.collect()
    kept = [hurried(program)]
    kept[0].ring = kept[0]
    gc.collect()
    assert replaced()
    kept.clear()
    gc.collect()
    assert not replaced()


def test_programs_of_several_threads(program: ExportedProgram) -> None:
    gc.collect()

    def make() -> None:
        for _ in range(50):
            hurried(program)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gc.collect()
    assert not replaced()


def test_other_kinds_of_programs_stay(program: ExportedProgram) -> None:
    kept = hurried(program)
    assert hurried(kept) is kept
    assert isinstance(kept, ExportedProgram)


def test_what_others_replace_meanwhile_stays(program: ExportedProgram) -> None:
    gc.collect()
    before = OperatorBase.py_impl
    kept = hurried(program)

    def theirs(*args: object) -> object:
        return before(*args)

    OperatorBase.py_impl = theirs
    del kept
    gc.collect()
    stays = OperatorBase.py_impl is theirs
    OperatorBase.py_impl = before
    assert stays


def test_parameters_are_torchs() -> None:
    program = torch.export.export(torch.nn.Linear(2, 3), (torch.randn(1, 2),))
    expected = [backend_api.is_param(program, node) for node in program.graph.nodes]
    kept = hurried(program)
    found = [backend_api.is_param(program, node) for node in program.graph.nodes]
    assert kept is not program
    assert found == expected
    assert sum(found) == 2
