"""What the rules do not know is tried, so that one failing op never aborts a lowering."""

from __future__ import annotations

import operator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from etcoreml.compiler import CoreMLBackend, passes, torch_ops, trial
from etcoreml.compiler.specs import Options, decode_options
from etcoreml.errors import LowerError
from etcoreml.partition import CoreMLPartitioner
from tests.call import Call
from tests.lowering import coremltools, specs, to_edge_transform_and_lower

ct = coremltools()


def _left_out(tries: pytest.MonkeyPatch, fails: bool) -> list[str]:
    """Lower cumsum(x) * 3 with a converter of cumsum that fails or not."""

    def convert(context: Any, node: Any) -> None:
        if fails:
            what = "not today"
            raise ValueError(what)
        torch_ops._torch.ops.cumsum(context, node)

    converters = {**torch_ops.OWN_CONVERTERS, "cumsum": convert}
    tries.setattr(torch_ops, "OWN_CONVERTERS", converters)
    tries.setattr(trial, "_VERDICTS", {})

    def function(x: Tensor) -> Tensor:
        return torch.cumsum(x, 0) * 3

    partitioner = CoreMLPartitioner()
    program = torch.export.export(Call(function), (torch.randn(3),))
    edge = to_edge_transform_and_lower(program, partitioner=[partitioner])
    edge.to_executorch()
    assert "aten.mul.Tensor" in [each.op for each in partitioner.report.delegated]
    return [f"{each.op}: {each.reason}" for each in partitioner.report.left_out]


def test_a_node_that_fails_stays_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    (told,) = _left_out(monkeypatch, fails=True)
    assert told.startswith("aten.cumsum.default: coremltools does not convert it: ValueError")
    assert len(trial._VERDICTS) == 4  # the target asked for, and newer ones for the report's advice


def test_a_node_that_converts_goes_in(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not _left_out(monkeypatch, fails=False)


def test_a_full_disk_is_no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(program: Any, pipeline: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(passes, "run", fails)
    with pytest.raises(LowerError, match="No space left"):
        _left_out(monkeypatch, fails=False)
    assert not trial._VERDICTS


VARIES = torch.export.export(
    nn.ReLU(), (torch.ones(2),), dynamic_shapes={"input": {0: torch.export.Dim("n", min=1, max=2)}}
)


def _reason(options: Options) -> str | None:
    program = torch.export.export(Call(torch.logical_not), (torch.tensor([True]),))
    (node,) = (each for each in program.graph.nodes if each.op == "call_function")
    return trial.why_not_convertible(node, options, ())


@pytest.mark.parametrize(
    "compile_specs",
    [
        specs(minimum_deployment_target=ct.target.iOS15, op_linear_quantizer_config={}),
        [CoreMLBackend.generate_enumerated_shapes_compile_spec(VARIES, {"input": [[1], [2]]})],
    ],
    ids=["a quantiser that the target lacks", "shapes of inputs that are not bool"],
)
def test_options_of_whole_models_are_no_node_s_fault(
    compile_specs: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "_VERDICTS", {})
    assert _reason(decode_options(compile_specs)) is None


def test_a_verdict_holds_for_the_same_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    run, few = passes.run, ["common::const_elimination"]

    def breaks(program: Any, pipeline: Any) -> None:
        if pipeline.passes == few:
            what = "too few"
            raise ValueError(what)
        run(program, pipeline)

    monkeypatch.setattr(passes, "run", breaks)
    monkeypatch.setattr(trial, "_VERDICTS", {})
    assert "too few" in str(_reason(decode_options(specs(pass_names=few))))
    options = decode_options(specs())
    assert _reason(options) is None
    assert _reason(options) is None
    assert len(trial._VERDICTS) == 2


def _calls(program: torch.export.ExportedProgram) -> list[torch.fx.Node]:
    return [each for each in program.graph.nodes if each.op == "call_function"]


ALONE = [
    (lambda x: torch.cumsum(x, 0) + 1, ()),
    (lambda x: torch.cat([x, x, x.abs()], 1), ()),
    (lambda x: torch.max(x, 1), ()),
    (lambda x: torch.max(x, 1).indices, ()),
    (lambda x: torch.split(x, [1, 3], 1)[1], ()),
    (lambda x: x.gather(0, torch.zeros(1, 4, dtype=torch.int64, device=x.device)), ()),
    (lambda x: torch.addcmul(x, x, x, value=2), ("x",)),
]


@pytest.mark.parametrize(("function", "constants"), ALONE)
def test_a_program_is_written_as_torch_exports_it(
    function: Any, constants: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    program = torch.export.export(Call(function), (torch.randn(3, 4),)).run_decompositions({})
    given = [each.name for each in program.graph.nodes if each.op == "placeholder"][-1:]
    for node in _calls(program):
        if node.target is operator.getitem:
            continue
        fixed = given if constants else []
        written = trial._alone(node, fixed)
        with monkeypatch.context() as patch:
            patch.setattr(trial, "_written", trial._exported)
            exported = trial._alone(node, fixed)
        for one, other in zip(_calls(written), _calls(exported), strict=True):
            assert one.target == other.target
            assert _shapes(one) == _shapes(other)
            assert [_shapes(each) for each in one.all_input_nodes] == [
                _shapes(each) for each in other.all_input_nodes
            ]
        assert written.dialect == exported.dialect
        assert len(written.graph_signature.user_inputs) == len(exported.graph_signature.user_inputs)
        assert len(written.graph_signature.buffers) == len(exported.graph_signature.buffers)
        assert len(written.graph_signature.user_outputs) == len(
            exported.graph_signature.user_outputs
        )
        assert [*map(torch.equal, written.buffers(), exported.buffers())] == [True] * len(fixed)


def _shapes(node: torch.fx.Node) -> list[Any]:
    value = node.meta["val"]
    values = [value] if isinstance(value, Tensor) else value
    return [(each.shape, each.dtype) for each in values]


def test_only_what_varies_is_exported(monkeypatch: pytest.MonkeyPatch) -> None:
    exported = []
    real = trial._exported
    monkeypatch.setattr(trial, "_exported", lambda *a: exported.append(a) or real(*a))
    shapes = {"inputs": ({0: torch.export.Dim("n", max=8)},)}
    for dynamic, expected in ((None, 0), (shapes, 1)):
        program = torch.export.export(
            Call(lambda x: torch.cumsum(x, 0)), (torch.randn(3),), dynamic_shapes=dynamic
        )
        (node,) = (each for each in _calls(program) if "cumsum" in str(each.target))
        trial._alone(node, ())
        assert len(exported) == expected


def test_orders_of_dimensions_are_not_tried() -> None:
    """A partition takes and gives tensors in any order, see tests/pipeline/test_memory_formats."""
    x = torch.randn(1, 2, 4, 4).to(memory_format=torch.channels_last)
    program = torch.export.export(
        Call(lambda x: torch.nn.functional.interpolate(x, (9, 9), mode="bilinear")), (x,)
    )
    (node,) = _calls(program)
    options = decode_options(specs(minimum_deployment_target=ct.target.iOS18))
    assert trial.why_not_convertible(node, options, ()) is None
