"""Weights and what reads them. Oracle: the model that was converted."""

from __future__ import annotations

from pathlib import Path

from etcoreml.mil import MilProgram, open_model
from etcoreml.report.times import time_of
from etcoreml.report.weights import weights_of
from etcoreml.trace.profile import Profile, Profiled
from etcoreml.trace.roofline import Roofline


def test_a_linear_layer(linear_package: Path) -> None:
    model = open_model(linear_package)
    assert isinstance(model, MilProgram)
    function = model.function()
    (layer,) = (each for each in function.block.operations if each.type == "linear")
    symbol = f"{layer.outputs[0].name}:linear"
    profile = Profile(
        (Profiled(symbol, "linear", (1.0,), module="encoder.0"),), (1.0,), (0.0,), {"load_s": 0.0}
    )
    found = weights_of([function, function], time_of(profile, Roofline(1.0, 1.0), {}, ""))
    weight, bias = found.tensors
    assert (weight.shape, weight.dtype, weight.nbytes) == ((32, 24), "fp32", 4 * 32 * 24)
    assert (weight.role, weight.used_by, weight.path) == ("weight", symbol, ("encoder", "0"))
    assert (bias.shape, bias.role) == ((32,), "bias")
    assert found.nbytes == weight.nbytes + bias.nbytes
    (total,) = found.dtypes
    assert (total.dtype, total.tensors, total.elements) == ("fp32", 2, 32 * 25)
