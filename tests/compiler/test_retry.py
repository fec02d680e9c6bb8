"""A partition that fails to convert: the node at fault stays outside and the rest is lowered.

Oracle: eager PyTorch, for programs that run through the engine.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import etcoreml
from etcoreml.compiler import CoreMLBackend, blame, passes, torch_ops, trial
from etcoreml.errors import LowerError
from etcoreml.imports import quiet_imports
from etcoreml.mil.ct import coremltools
from etcoreml.partition import CoreMLPartitioner
from tests.call import Call
from tests.lowering import to_edge_transform_and_lower

with quiet_imports():
    from executorch.exir import to_edge

ct = coremltools()
Breaks = Callable[..., None]


@pytest.fixture
def breaks(monkeypatch: pytest.MonkeyPatch) -> Breaks:
    """Let the converter of an op fail when a condition on the context and the node holds."""

    def broken(name: str, fails: Callable[[Any, Any], bool] = lambda context, node: True) -> None:
        table = {**torch_ops._TABLE, **torch_ops.OWN_CONVERTERS}

        def convert(context: Any, node: Any) -> None:
            if fails(context, node):
                what = "not today"
                raise ValueError(what)
            table[name](context, node)

        converters = {**torch_ops.OWN_CONVERTERS, name: convert}
        monkeypatch.setattr(torch_ops, "OWN_CONVERTERS", converters)
        monkeypatch.setattr(trial, "_VERDICTS", {})

    return broken


def follows_an_op(context: Any, node: Any) -> bool:
    return context[node.inputs[0]].op is not None


def lowered(
    function: Callable[..., Any], *inputs: Tensor, **options: Any
) -> tuple[Any, CoreMLPartitioner]:
    partitioner = CoreMLPartitioner(**options)
    program = torch.export.export(Call(function), inputs)
    return to_edge_transform_and_lower(program, partitioner=[partitioner]), partitioner


def left_out(partitioner: CoreMLPartitioner) -> list[str]:
    return [each.op for each in partitioner.report.left_out]


def forward(edge: Any, *inputs: Tensor) -> list[Tensor]:
    return list(etcoreml.load(edge.to_executorch().buffer).forward(*inputs))


def test_a_converter_that_raises(breaks: Breaks) -> None:
    breaks("relu")

    def function(x: Tensor) -> Tensor:
        return torch.relu(x * 2 - 1) + 3

    x = torch.linspace(-2, 2, 7)
    edge, partitioner = lowered(function, x)
    (told,) = partitioner.report.left_out
    assert told.op == "aten.relu.default"
    assert str(told.reason).endswith("does not convert with it: ValueError: not today")
    delegated = [each.op for each in partitioner.report.delegated]
    assert {"aten.mul.Tensor", "aten.sub.Tensor", "aten.add.Tensor"} <= set(delegated)
    torch.testing.assert_close(forward(edge, x)[0], function(x), atol=1e-2, rtol=1e-3)


def test_a_node_that_converts_alone_but_not_where_it_stands(breaks: Breaks) -> None:
    breaks("cumsum", follows_an_op)

    def function(x: Tensor) -> Tensor:
        return torch.cumsum(torch.exp(torch.cumsum(x, 0)), 0) + 1

    x = torch.tensor([0.0, -1.0, 0.5])
    edge, partitioner = lowered(function, x)
    assert left_out(partitioner) == ["aten.cumsum.default"]
    assert trial._VERDICTS  # tried, and found to convert
    assert not any(trial._VERDICTS.values())
    assert partitioner.report.left_out[0].node == "aten_cumsum_default_1"
    torch.testing.assert_close(forward(edge, x)[0], function(x), atol=1e-2, rtol=1e-3)


def test_a_failure_after_conversion_is_found_by_prefixes(monkeypatch: pytest.MonkeyPatch) -> None:
    original = passes.run
    monkeypatch.setattr(passes, "run", lambda *given: fails_at_erf(original, *given))
    monkeypatch.setattr(trial, "_VERDICTS", {})
    monkeypatch.setattr(trial, "_try", lambda *given: None)

    def function(x: Tensor) -> Tensor:
        y = x * 3
        for _ in range(10):
            y = torch.sin(y)
        return torch.erf(y) + torch.cos(y)

    edge, partitioner = lowered(function, torch.randn(4))
    assert left_out(partitioner) == ["aten.erf.default"]
    assert "a pass stumbled" in str(partitioner.report.left_out[0].reason)
    edge.to_executorch()


def fails_at_erf(run: Callable[[Any, Any], None], program: Any, pipeline: Any) -> None:
    if any(op.op_type == "erf" for op in program.functions["main"].operations):
        what = "a pass stumbled"
        raise RuntimeError(what)
    run(program, pipeline)


def test_many_nodes_of_one_op_take_few_rounds(
    breaks: Breaks, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaks("relu")
    rounds: list[Any] = []
    converted = blame.converted
    monkeypatch.setattr("etcoreml.compiler.partitions.converted", note(rounds, converted))

    def function(x: Tensor) -> Tensor:
        for _ in range(8):
            x = torch.relu(x * 2 - 1)
        return x

    _, partitioner = lowered(function, torch.randn(4))
    assert left_out(partitioner) == 8 * ["aten.relu.default"]
    nodes = [each.node for each in partitioner.report]
    assert len(nodes) == len(set(nodes))  # what failed attempts decided is gone
    # three that fail, and then eight delegates of one kind, the first of them once already
    assert len(rounds) <= 8


def note(calls: list[Any], function: Callable[..., Any]) -> Callable[..., Any]:
    def noted(*args: Any) -> Any:
        calls.append(args)
        return function(*args)

    return noted


def test_other_methods_are_lowered_as_before(breaks: Breaks) -> None:
    breaks("relu")
    programs = {
        "relu": torch.export.export(Call(lambda x: torch.relu(x + 1) * 2), (torch.randn(3),)),
        "sin": torch.export.export(Call(lambda x: torch.sin(x) * 2), (torch.randn(3),)),
    }
    partitioner = CoreMLPartitioner()
    edge = to_edge_transform_and_lower(programs, partitioner=[partitioner])
    assert [(each.program, each.op) for each in partitioner.report.left_out] == [
        (0, "aten.relu.default")
    ]
    nodes = [(each.program, each.node) for each in partitioner.report]
    assert len(nodes) == len(set(nodes))
    assert {each.op for each in partitioner.report if each.program == 1} >= {"aten.sin.default"}
    loaded = etcoreml.load(edge.to_executorch().buffer)
    x = torch.tensor([-2.0, 0.0, 3.0])
    for name, expected in (("relu", torch.relu(x + 1) * 2), ("sin", torch.sin(x) * 2)):
        torch.testing.assert_close(loaded.run(name, [x])[0], expected, atol=1e-2, rtol=1e-3)


def test_methods_that_share_weights(breaks: Breaks) -> None:
    breaks("relu")
    linear = torch.nn.Linear(8, 8).eval()
    specs = [
        *CoreMLBackend.generate_compile_specs(minimum_deployment_target=ct.target.iOS18),
        CoreMLBackend.generate_multimethod_weight_sharing_strategy_compile_spec(
            etcoreml.compiler.MULTIMETHOD_WEIGHT_SHARING_STRATEGY.POSITIONAL
        ),
    ]
    programs = {
        "a": torch.export.export(Call(lambda x: torch.relu(linear(x))), (torch.randn(2, 8),)),
        "b": torch.export.export(Call(lambda x: linear(x) * 2), (torch.randn(3, 8),)),
    }
    partitioner = CoreMLPartitioner(compile_specs=specs)
    edge = to_edge_transform_and_lower(programs, partitioner=[partitioner])
    assert left_out(partitioner) == ["aten.relu.default"]
    edge.to_executorch()


def test_a_node_that_executorch_cannot_run_is_named(breaks: Breaks) -> None:
    """conv2d was kept whole, has no kernel, and cannot be taken apart any more."""
    breaks("conv2d")
    with pytest.raises(LowerError, match="at node aten_conv2d_default") as caught:
        lowered(torch.nn.Conv2d(2, 2, 1), torch.randn(1, 2, 3, 3))
    assert "skip_ops_for_coreml_delegation" in str(caught.value)


def test_the_whole_graph_or_an_error(breaks: Breaks) -> None:
    breaks("relu")
    with pytest.raises(LowerError, match="not today") as caught:
        lowered(torch.relu, torch.randn(3), lower_full_graph=True)
    assert caught.value.node == "aten_relu_default"


def test_a_failure_that_cannot_be_mended_names_the_node(breaks: Breaks) -> None:
    """A partition that is not lowered by ``to_edge_transform_and_lower`` cannot start again."""
    breaks("relu")
    program = to_edge(torch.export.export(Call(torch.relu), (torch.randn(3),)))
    with pytest.raises(LowerError, match="at node aten_relu_default") as caught:
        CoreMLBackend.preprocess(program.exported_program(), [])
    assert caught.value.node == "aten_relu_default"


@pytest.mark.parametrize(
    "failure",
    [OSError(28, "No space left on device"), MemoryError(), RuntimeError("not enough memory")],
    ids=lambda failure: type(failure).__name__,
)
def test_a_machine_that_fails_is_no_nodes_fault(
    failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else each node in turn would be left outside, and the program hold no delegate."""

    def fails(program: Any, pipeline: Any) -> None:
        raise failure

    monkeypatch.setattr(passes, "run", fails)
    with pytest.raises(LowerError, match=type(failure).__name__) as caught:
        lowered(lambda x: torch.relu(x * 2), torch.randn(3))
    assert caught.value.__cause__ is failure
