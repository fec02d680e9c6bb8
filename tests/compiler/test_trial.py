"""What the rules do not know is tried, so that one failing op never aborts a lowering."""

from __future__ import annotations

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
