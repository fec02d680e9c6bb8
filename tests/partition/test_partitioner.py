"""The partitioner as a drop-in: what it takes, leaves, refuses and reports.

Where upstream's own tests pin a behaviour, the same is pinned here, in this project's words.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import etcoreml
from etcoreml.compiler import CoreMLBackend
from etcoreml.errors import (
    CompileSpecError,
    FullGraphError,
    PartitionError,
    PartitionOptionError,
)
from etcoreml.imports import quiet_imports
from etcoreml.mil.ct import coremltools
from etcoreml.partition import CoreMLPartitioner
from tests.call import Call
from tests.networks import ZOO

with quiet_imports():
    from executorch.exir import to_edge, to_edge_transform_and_lower
    from executorch.exir.backend.compile_spec_schema import CompileSpec
    from executorch.exir.backend.utils import format_delegated_graph

ct = coremltools()
DELEGATE = ["executorch_call_delegate", "getitem"]
IOS18 = CoreMLBackend.generate_compile_specs(minimum_deployment_target=ct.target.iOS18)


@torch.library.custom_op("etcoreml_tests::linear", mutates_args=())
def foreign_linear(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    return torch.nn.functional.linear(x, w, b)


@foreign_linear.register_fake
def _(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
    return torch.nn.functional.linear(x, w, b)


def calls(program: Any) -> list[str]:
    """Names of the functions called at the top level of an edge program."""
    graph = program.exported_program().graph
    return [node.target.__name__ for node in graph.nodes if node.op == "call_function"]


def lowered(
    function: Any,
    inputs: tuple[Tensor, ...],
    partitioner: CoreMLPartitioner | None = None,
    **how: Any,
) -> Any:
    module = function if isinstance(function, nn.Module) else Call(function)
    program = torch.export.export(module.eval(), inputs, **how)
    return to_edge_transform_and_lower(program, partitioner=[partitioner or CoreMLPartitioner()])


@pytest.mark.parametrize("name", sorted(set(ZOO) - {"two_islands"}))
def test_a_real_network_is_one_delegate(name: str) -> None:
    partitioner = CoreMLPartitioner()
    edge = lowered(*ZOO[name](), partitioner)
    assert calls(edge) == DELEGATE
    assert not partitioner.report.left_out
    edge.to_executorch()


def test_a_portable_op_between_two_delegates() -> None:
    partitioner = CoreMLPartitioner()
    edge = lowered(*ZOO["two_islands"](), partitioner)
    assert calls(edge) == [*DELEGATE, "aten.acosh.default", *DELEGATE]
    (decision,) = partitioner.report.left_out
    assert (decision.op, decision.node) == ("aten.acosh.default", "aten_acosh_default")
    assert decision.reason == "coremltools does not implement the op"
    edge.to_executorch()


def test_skipped_ops_stay_outside() -> None:
    def function(a: Tensor, x: Tensor, b: Tensor) -> Tensor:
        y = torch.mm(a, x) + b
        return torch.mm(y - a, x) + b

    program = torch.export.export(Call(function), tuple(torch.randn(3, 2, 2)))
    partitioner = CoreMLPartitioner(skip_ops_for_coreml_delegation=["Aten.MM.default"])
    edge = to_edge(program).to_backend(partitioner)
    assert calls(edge) == 2 * ["aten.mm.default", *DELEGATE]
    reasons = {each.op: each.reason for each in partitioner.report.left_out}
    assert list(reasons) == ["aten.mm.default"]
    assert "skip_ops_for_coreml_delegation" in str(reasons["aten.mm.default"])
    edge.to_executorch()


def test_a_skipped_op_executorch_can_run_is_not_decomposed() -> None:
    partitioner = CoreMLPartitioner(skip_ops_for_coreml_delegation=["aten.linear.default"])
    edge = lowered(nn.Sequential(nn.Linear(3, 3), nn.ReLU()), (torch.randn(2, 3),), partitioner)
    assert calls(edge) == ["aten.linear.default", *DELEGATE]
    edge.to_executorch()


def test_attention_is_kept_whole() -> None:
    inputs = tuple(torch.randn(1, 2, 4, 8) for _ in range(3))
    function = torch.nn.functional.scaled_dot_product_attention
    edge = lowered(function, inputs)
    assert "scaled_dot_product_attention.default" in format_delegated_graph(
        edge.exported_program().graph_module
    )


def test_in_place_ops_and_views_are_left_to_executorch() -> None:
    def function(x: Tensor) -> Tensor:
        y = (torch.triu(x) + torch.tril(x)).transpose(0, 1).unsqueeze(0)
        return y.mul(2.0).add_(1.0).select(0, 0)

    program = torch.export.export(Call(function), (torch.randn(3, 3),))
    kept, only = CoreMLPartitioner().ops_to_not_decompose(program)
    assert only is None
    names = {str(op) for op in kept}
    assert not names & {"aten.view.default", "aten.transpose.int", "aten.select.int"}
    assert "aten.add_.Tensor" not in names
    assert names >= {"aten.mul.Tensor", "aten.triu.default", "aten.tril.default"}
    assert calls(lowered(function, (torch.randn(3, 3),))) == DELEGATE


def test_constant_data_can_stay_outside() -> None:
    partitioner = CoreMLPartitioner(take_over_constant_data=False)
    edge = lowered(nn.Linear(50, 100), (torch.randn(2, 50),), partitioner)
    (call,) = (
        node
        for node in edge.exported_program().graph.nodes
        if node.op == "call_function" and node.target.__name__ == DELEGATE[0]
    )
    assert len(call.args) == 4  # the lowered module, x, weight and bias
    edge.to_executorch()


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Conv1d(3, 4, 2), (1, 3, 8)),
        (nn.Conv2d(3, 4, 2), (1, 3, 8, 8)),
        (nn.Conv2d(3, 4, 2, bias=False), (1, 3, 8, 8)),
        (nn.ConvTranspose2d(3, 4, 2), (1, 3, 8, 8)),
        (nn.LayerNorm(8), (2, 8)),
        (nn.PReLU(3), (2, 3, 4)),
    ],
)
def test_constants_outside_of_ops_that_need_them(module: nn.Module, shape: Any) -> None:
    """Oracle: eager. Where Core ML needs constants the op runs outside, decomposed if need be."""
    partitioner = CoreMLPartitioner(
        take_over_constant_data=False,
        compile_specs=CoreMLBackend.generate_compile_specs(compute_precision=ct.precision.FLOAT32),
    )
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    network = nn.Sequential(module, nn.Tanh()).eval()
    edge = lowered(network, (x,), partitioner)
    assert "aten.tanh.default" in [each.op for each in partitioner.report.delegated]
    (result,) = etcoreml.load(edge.to_executorch().buffer).forward(x)
    torch.testing.assert_close(result, network(x), atol=1e-5, rtol=1e-5)


def test_a_weight_computed_from_constants_is_one() -> None:
    conv = nn.utils.parametrizations.weight_norm(nn.Conv2d(2, 3, 1))
    partitioner = CoreMLPartitioner()
    assert calls(lowered(conv, (torch.randn(1, 2, 3, 3),), partitioner)) == DELEGATE


@pytest.mark.parametrize(
    ("module", "shape", "skipped"),
    [
        (nn.Conv2d(3, 4, 2), (1, 3, 8, 8), "aten.conv2d.default"),
        (nn.LayerNorm(8), (2, 8), "aten.layer_norm.default"),
    ],
)
def test_what_a_skipped_op_becomes_stays_outside(
    module: nn.Module, shape: Any, skipped: str
) -> None:
    """ExecuTorch has no kernel for these, so they are decomposed; the parts are not delegated."""
    partitioner = CoreMLPartitioner(skip_ops_for_coreml_delegation=[skipped])
    x = torch.randn(shape)
    network = nn.Sequential(module, nn.Tanh()).eval()
    edge = lowered(network, (x,), partitioner)
    assert [each.op for each in partitioner.report.delegated] == ["aten.tanh.default"]
    reasons = {str(each.reason) for each in partitioner.report.left_out}
    assert reasons == {"the user asked to leave the op out (skip_ops_for_coreml_delegation)"}
    (result,) = etcoreml.load(edge.to_executorch().buffer).forward(x)
    torch.testing.assert_close(result, network(x), atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize(
    ("function", "skipped"),
    [
        (torch.exp2, "aten.exp2.default"),
        (lambda x: torch.cummax(x, 1).values, "aten.cummax.default"),
        (lambda x: x.view(1, 1, 1, 1, 2, 4) + 1, "aten.add.Tensor"),
    ],
)
def test_what_a_skipped_op_is_rewritten_to_stays_outside(function: Any, skipped: str) -> None:
    partitioner = CoreMLPartitioner(skip_ops_for_coreml_delegation=[skipped])
    x = torch.randn(2, 4)
    edge = lowered(Call(lambda x: torch.tanh(function(x))), (x,), partitioner)
    assert {each.op for each in partitioner.report.delegated} <= {"aten.tanh.default"}
    assert any("the user asked" in str(each.reason) for each in partitioner.report.left_out)
    (result,) = etcoreml.load(edge.to_executorch().buffer).forward(x)
    torch.testing.assert_close(result, torch.tanh(function(x)), atol=2e-3, rtol=2e-3)


def test_full_graph_or_an_error() -> None:
    def function(x: Tensor, w: Tensor, b: Tensor) -> Tensor:
        return foreign_linear(torch.relu(x), w, b)

    inputs = tuple(torch.randn(3, 2, 2))
    edge = to_edge(torch.export.export(Call(function), inputs))
    partial = CoreMLPartitioner()
    assert calls(edge.to_backend(partial)) == [*DELEGATE, "etcoreml_tests.linear.default"]
    with pytest.raises(NotImplementedError, match="lower_full_graph=False") as caught:
        to_edge(torch.export.export(Call(function), inputs)).to_backend(
            CoreMLPartitioner(lower_full_graph=True)
        )
    assert isinstance(caught.value, FullGraphError)
    assert "etcoreml_tests.linear.default" in str(caught.value)
    full = lowered(lambda x: x + 1, (torch.randn(2),), CoreMLPartitioner(lower_full_graph=True))
    assert calls(full) == DELEGATE


@pytest.mark.parametrize(
    "contradiction",
    [
        {"skip_ops_for_coreml_delegation": ["aten.mm.default"]},
        {"take_over_constant_data": False},
        {"take_over_mutable_buffer": False},
    ],
)
def test_full_graph_contradicts(contradiction: dict[str, Any]) -> None:
    with pytest.raises(PartitionOptionError, match=next(iter(contradiction))) as caught:
        CoreMLPartitioner(lower_full_graph=True, **contradiction)
    assert isinstance(caught.value, PartitionError)
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("name", [7, None, "", "aten mm", "aten.mm.", "7.mm"])
def test_a_skip_that_is_no_op_name(name: Any) -> None:
    with pytest.raises(PartitionOptionError, match=r"aten\.mm\.default"):
        CoreMLPartitioner(skip_ops_for_coreml_delegation=[name])


def test_unknown_compile_specs_are_refused_at_once() -> None:
    with pytest.raises(CompileSpecError, match="compute_unitz"):
        CoreMLPartitioner(compile_specs=[CompileSpec("compute_unitz", b"all")])


def test_options_are_keyword_only() -> None:
    with pytest.raises(TypeError):
        CoreMLPartitioner([])


def test_decomposed_workflow_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    program = torch.export.export(nn.Linear(3, 2), (torch.randn(1, 3),))
    to_edge_transform_and_lower(program, partitioner=[CoreMLPartitioner()])
    assert "DEPRECATION WARNING" not in caplog.text
    to_edge(program).to_backend(CoreMLPartitioner())
    for word in (
        "DEPRECATION WARNING",
        "to_edge() + to_backend()",
        "to_edge_transform_and_lower()",
    ):
        assert word in caplog.text


def test_compile_specs_travel_in_the_program() -> None:
    edge = lowered(nn.ReLU(), (torch.randn(2),), CoreMLPartitioner(compile_specs=IOS18))
    module = edge.exported_program().graph_module.lowered_module_0
    assert [(each.key, each.value) for each in module.compile_specs] == [
        (each.key, each.value) for each in IOS18
    ]
    plain = lowered(nn.ReLU(), (torch.randn(2),))
    assert not plain.exported_program().graph_module.lowered_module_0.compile_specs
    assert (
        edge.to_executorch().executorch_program.execution_plan[0].delegates[0].id == "CoreMLBackend"
    )


def test_int64_inputs() -> None:
    table = nn.Embedding(10, 4)
    edge = lowered(lambda ids: table(ids) * 2, (torch.tensor([[1, 2], [3, 9]]),))
    assert calls(edge) == DELEGATE
    edge.to_executorch()


def test_two_methods_share_a_partitioner() -> None:
    partitioner = CoreMLPartitioner()
    programs = {
        "double": torch.export.export(Call(lambda x: x * 2), (torch.randn(3),)),
        "acosh": torch.export.export(Call(torch.acosh), (torch.randn(3),)),
    }
    edge = to_edge_transform_and_lower(programs, partitioner=[partitioner])
    assert {(each.program, each.op, each.delegated) for each in partitioner.report} >= {
        (1, "aten.acosh.default", False),
        (0, "aten.mul.Tensor", True),
    }
    assert len(partitioner.report.left_out) == 1
    edge.to_executorch()


DIM = torch.export.Dim


def test_dynamic_batch() -> None:
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(6, 4)

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x.view(x.shape[0], -1))

    batch = DIM("batch", min=1, max=8)
    partitioner = CoreMLPartitioner()
    edge = lowered(Flat(), (torch.randn(2, 2, 3),), partitioner, dynamic_shapes=({0: batch},))
    assert calls(edge) == DELEGATE
    edge.to_executorch()


def test_sizes_do_not_cross_the_border_of_a_delegate() -> None:
    """A delegate's arguments are tensors: an op that would need a size from outside stays out."""

    def function(x: Tensor) -> Tensor:
        rows = x.shape[0]
        return torch.acosh((x * 2).view(rows, 2, 3)).view(rows * 2, 3) + 1

    batch = DIM("batch", min=1, max=8)
    partitioner = CoreMLPartitioner()
    edge = lowered(function, (torch.randn(2, 6),), partitioner, dynamic_shapes=(({0: batch},),))
    for node in edge.exported_program().graph.nodes:
        if node.op == "call_function" and node.target.__name__ == DELEGATE[0]:
            assert all(isinstance(each.meta["val"], Tensor) for each in node.args[1:])
    edge.to_executorch()


def test_an_input_with_a_derived_size_stays_outside() -> None:
    """coremltools has no input of size 2 * batch, so what needs one cannot open a delegate."""

    def function(x: Tensor) -> Tensor:
        return torch.acosh(torch.cat([x, x]) + 2) * 3

    batch = DIM("batch", min=1, max=8)
    partitioner = CoreMLPartitioner()
    edge = lowered(function, (torch.randn(2, 6),), partitioner, dynamic_shapes=(({0: batch},),))
    assert calls(edge)[-2:] == ["aten.acosh.default", "aten.mul.Tensor"]
    assert "expression of other sizes" in str(partitioner.report.left_out[-1].reason)
    edge.to_executorch()


def test_branches_stay_outside() -> None:
    def function(x: Tensor) -> Tensor:
        return torch.cond(x.sum() > 0, lambda x: x + 1, lambda x: x - 1, (x * 3,))

    partitioner = CoreMLPartitioner()
    edge = lowered(function, (torch.randn(3),), partitioner)
    assert "cond" in calls(edge)
    assert DELEGATE[0] in calls(edge)
    edge.to_executorch()


def test_a_delegate_without_inputs_needs_ios18() -> None:
    def function(x: Tensor) -> tuple[Tensor, Tensor]:
        return torch.acosh(x), torch.arange(4) * 2

    old, new = CoreMLPartitioner(), CoreMLPartitioner(compile_specs=IOS18)
    assert "aten.arange.start_step" in calls(lowered(function, (torch.randn(3),), old))
    assert "iOS18" in str(old.report.left_out[-1].reason)
    assert DELEGATE[0] in calls(lowered(function, (torch.randn(3),), new))
    assert [each.op for each in new.report.left_out] == ["aten.acosh.default"]


def test_a_program_with_sizes_of_data_is_lowered_twice() -> None:
    """torch counted the sizes of the first lowering as missing from the second."""
    program = torch.export.export(Call(lambda x: x.bincount(minlength=7)), (torch.arange(5),))
    for _ in range(2):
        edge = to_edge_transform_and_lower(program, partitioner=[CoreMLPartitioner()])
        assert "bincount" in str(edge.exported_program().graph)
