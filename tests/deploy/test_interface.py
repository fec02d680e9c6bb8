"""Features as tensors of a method, and those that cannot be. Oracle: how the models were made."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import etcoreml
from etcoreml.deploy.interface import method_slots
from etcoreml.deploy.wrap import wrap_model
from etcoreml.errors import ProgramError
from etcoreml.mil import Feature, Function, MilProgram, Output, Signature, TensorType, open_model
from etcoreml.mil.ct import coremltools
from etcoreml.mil.program import Block
from etcoreml.types import BY_NAME, FP32
from tests import mlmodels


def slots(path: Path) -> Any:
    program = open_model(path)
    assert isinstance(program, MilProgram)
    return method_slots(program, "main", {})


def test_order_and_names_are_the_descriptions(linear_package: Path) -> None:
    (x,), (y, z) = slots(linear_package)
    assert [(each.name, each.shape, each.dynamic) for each in (x, y, z)] == [
        ("x", (2, 24), False),
        ("y", (2, 32), False),
        ("z", (2, 32), False),
    ]


def test_pictures(tmp_path: Path) -> None:
    given = mlmodels.picture(tmp_path / "given.mlpackage", "RGB", as_image=False)
    with pytest.raises(ProgramError, match=r"input .image. cannot be a tensor.*takes a picture"):
        slots(given)
    ct = coremltools()
    returned = mlmodels.convert(
        tmp_path / "returned.mlpackage",
        mlmodels.Threshold(),
        [(1, 3, 5, 4)],
        inputs=[ct.TensorType("image", (1, 3, 5, 4), np.float32)],
        outputs=[ct.ImageType("out", color_layout=ct.colorlayout.RGB)],
    )
    with pytest.raises(ProgramError, match=r"output 'out' cannot be a tensor") as caught:
        slots(returned)
    assert "ct.TensorType" in str(caught.value)


def test_classifiers(tmp_path: Path) -> None:
    path = mlmodels.classifier(tmp_path / "classifier.mlpackage", ["a", "b", "c"])
    with pytest.raises(ProgramError, match=r"cannot be a tensor.*no dictionaries") as caught:
        slots(path)
    assert "classifier_config" in str(caught.value)


def _program(feature: Feature, *, output: Output | None = None) -> MilProgram:
    given = Output(feature.name, TensorType(feature.dtype or FP32, feature.shape))
    result = output or given
    function = Function("main", "CoreML7", (given,), (), Block((), (), (result.name,)))
    answer = Feature(result.name, "multiArray", FP32, ())
    return MilProgram({"main": function}, "main", 8, {"main": Signature((feature,), (answer,))})


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        (
            Feature("x", "multiArray", FP32, (1, 3), ranges=((1, None), (3, 3))),
            r"may have any size.*\(1 or more, 3\).*--max-shape x=N,3",
        ),
        (
            Feature("x", "multiArray", FP32, (1, 3), enumerated=((1, 3), (3,))),
            "several ranks",
        ),
        (Feature("x", "multiArray", BY_NAME["int8"], (3,)), "dtype.*found int8"),
        (Feature("x", "multiArray", None, (3,)), "dtype.*found none"),
    ],
)
def test_arrays_that_cannot_be(feature: Feature, message: str) -> None:
    with pytest.raises(ProgramError) as caught:
        method_slots(_program(feature), "main", {})
    assert re.search(message, str(caught.value).replace("\n", " "))


class _NonZero(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.nonzero(x)


def test_sizes_that_the_values_decide(tmp_path: Path) -> None:
    """At most as many rows as there are elements; oracle: what ``nonzero`` means."""
    path = mlmodels.convert(
        tmp_path / "nonzero.mlpackage",
        _NonZero(),
        [(2, 3)],
        inputs=[coremltools().TensorType("x", (2, 3), np.float32)],
    )
    _, (found,) = slots(path)
    assert (found.shape, found.dynamic, found.dtype.name) == ((6, 2), True, "int32")
    program = etcoreml.load(wrap_model(path).pte)
    x = torch.tensor([[0.0, 1.0, 0.0], [2.0, 0.0, 3.0]])
    assert program.forward(x)[0].tolist() == torch.nonzero(x).tolist()
