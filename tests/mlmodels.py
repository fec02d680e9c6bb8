"""Core ML models that the tests of ``MLModel`` open; coremltools converts each from torch once."""

from __future__ import annotations

import contextlib
import gc
import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from etcoreml.mil.ct import coremltools
from tests.cases import save_converted


class Linear(nn.Module):
    """``x @ W.T + b`` and its negative; weights large enough for a weight file."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.layer = nn.Linear(24, 32)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.layer(x)
        return y, -y


class Threshold(nn.Module):
    """One more than a picture, so that which channel is which stays visible."""

    def forward(self, image: Tensor) -> Tensor:
        return image + 1


class Sum(nn.Module):
    """Two inputs, the second of which may be optional."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + 2 * y


class Counter(nn.Module):
    """What it was given so far, in a state."""

    total: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", torch.zeros(2, 3))

    def forward(self, x: Tensor) -> Tensor:
        self.total.add_(x)
        return self.total * 1


def convert(
    path: Path,
    module: nn.Module,
    examples: list[Any],
    *,
    target: str = "iOS17",
    precision: str = "FLOAT32",
    prepare: Callable[[Any], None] = lambda model: None,
    **options: Any,
) -> Path:
    """Trace a module with zeros of the examples' shapes, convert it and save it at ``path``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # coremltools wants a traced module
        traced = torch.jit.trace(module.eval(), tuple(torch.zeros(shape) for shape in examples))
    return save_converted(
        traced, path, target=target, precision=precision, prepare=prepare, **options
    )


def linear(path: Path, **options: Any) -> Path:
    """``x`` fp32 ``(2, 24)`` to ``y`` and ``z`` fp32 ``(2, 32)``, with an author."""
    ct = coremltools()

    def describe(model: Any) -> None:
        model.author = "Ada"
        model.license = "BSD"
        model.version = "1.2"
        model.short_description = "A linear layer."
        model.user_defined_metadata["colour"] = "blue"
        model.input_description["x"] = "What goes in."

    return convert(
        path,
        Linear(),
        [(2, 24)],
        prepare=describe,
        inputs=[ct.TensorType("x", (2, 24), np.float32)],
        outputs=[ct.TensorType("y", dtype=np.float32), ct.TensorType("z", dtype=np.float32)],
        **options,
    )


def total(path: Path, x: Any, y: Any, **options: Any) -> Path:
    """``x + 2 y``, declared as the given types, to ``sum``."""
    ct = coremltools()
    outputs = options.pop("outputs", [ct.TensorType("sum")])
    return convert(path, Sum(), [(2, 3), (2, 3)], inputs=[x, y], outputs=outputs, **options)


def optional_total(path: Path) -> Path:
    """``x`` int32 ``(2, 3)`` + 2 ``y``, fp32 ``(2, 3)``, which is 0.5 if it is left out."""
    ct = coremltools()
    half = np.full((2, 3), 0.5, np.float32)
    return total(
        path,
        ct.TensorType("x", (2, 3), np.int32),
        ct.TensorType("y", (2, 3), np.float32, default_value=half),
        outputs=[ct.TensorType("sum", dtype=np.float32)],
    )


def flexible_total(path: Path) -> Path:
    """``x`` of 2 to 6 rows + 2 ``y`` of one row and 2, 3 or 5 columns, those of ``x`` too."""
    ct = coremltools()
    columns = ct.EnumeratedShapes([(1, 2), (1, 3), (1, 5)], default=(1, 3))
    return total(
        path,
        ct.TensorType("x", (ct.RangeDim(2, 6, default=4), 1), np.float32),
        ct.TensorType("y", columns, np.float32),
        outputs=[ct.TensorType("sum", dtype=np.float32)],
    )


def counter(path: Path) -> Path:
    """``x`` fp16 ``(2, 3)`` added to the state ``total``, and the sum."""
    ct = coremltools()
    return convert(
        path,
        Counter(),
        [(2, 3)],
        target="iOS18",
        precision="FLOAT16",
        inputs=[ct.TensorType("x", (2, 3), np.float16)],
        outputs=[ct.TensorType("sum", dtype=np.float16)],
        states=[ct.StateType(ct.TensorType(shape=(2, 3), dtype=np.float16), "total")],
    )


def picture(
    path: Path,
    layout: str,
    *,
    as_image: bool = True,
    image: dict[str, Any] | None = None,
    **options: Any,
) -> Path:
    """An image of 4 x 5 pixels (width x height) plus 1, as an image or as a tensor ``out``.

    Args:
        path: The package to write.
        layout: A colour layout of coremltools.
        as_image: Whether the output is an image.
        image: Further options of the input's ``ImageType``.
        options: Of ``convert``.
    """
    ct = coremltools()
    channels = 1 if layout.startswith("GRAY") else 3
    colour = ct.colorlayout[layout]
    shape = options.pop("shape", (1, channels, 5, 4))
    given = ct.ImageType("image", shape, color_layout=colour, **(image or {}))
    result = ct.ImageType("out", color_layout=colour) if as_image else ct.TensorType("out")
    return convert(
        path,
        Threshold(),
        [(1, channels, 5, 4)],
        inputs=[given],
        outputs=[result],
        **options,
    )


def classifier(path: Path, labels: list[Any]) -> Path:
    """``x`` fp32 ``(1, 3)`` as the probabilities of three labels."""
    ct = coremltools()
    return convert(
        path,
        nn.Softmax(dim=1),
        [(1, 3)],
        inputs=[ct.TensorType("x", (1, 3), np.float32)],
        classifier_config=ct.ClassifierConfig(labels),
    )


def two_functions(path: Path, first: Path, second: Path) -> Path:
    """The mains of two packages as the functions ``one`` and ``two``; the default is ``two``."""
    ct = coremltools()
    descriptor = ct.utils.MultiFunctionDescriptor()
    descriptor.add_function(str(first), "main", "one")
    descriptor.add_function(str(second), "main", "two")
    descriptor.default_function_name = "two"
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ct.utils.save_multifunction(descriptor, str(path))
        gc.collect()  # temporary folders, which warn when they are removed
    return path


class Boxes(nn.Module):
    """A detector's end: 6 boxes and 2 classes from an array that holds both."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x[:, :2] * 0.5, x[:, 2:]


def detector(path: Path, *, least: int | None = None) -> Path:
    """``x`` fp32 ``(6, 6)`` through an ML Program, then non-maximum suppression.

    Args:
        path: The package to write.
        least: Number of rows that ``kept`` declares; None for any.
    """
    ct = coremltools()
    program = convert(
        path.with_name("boxes.mlpackage"),
        Boxes(),
        [(6, 6)],
        inputs=[ct.TensorType("x", (6, 6), np.float32)],
        outputs=[ct.TensorType(name, dtype=np.float32) for name in ("scores", "places")],
    )
    first = ct.models.MLModel(str(program), skip_model_load=True)
    second = ct.proto.Model_pb2.Model(specificationVersion=first.get_spec().specificationVersion)
    suppression = second.nonMaximumSuppression
    suppression.iouThreshold, suppression.confidenceThreshold = 0.5, 0.2
    suppression.pickTop.perClass = False
    suppression.stringClassLabels.vector.extend(["cat", "dog"])
    suppression.confidenceInputFeatureName = "scores"
    suppression.coordinatesInputFeatureName = "places"
    suppression.confidenceOutputFeatureName = "kept"
    suppression.coordinatesOutputFeatureName = "where"
    suppression.iouThresholdInputFeatureName = "iou"
    for kind, names in (("input", ("scores", "places")), ("output", ("kept", "where"))):
        for name in names:
            feature = getattr(second.description, kind).add(name=name)
            feature.type.multiArrayType.dataType = 65568  # FLOAT32
            if least is not None and name == "kept":
                feature.type.multiArrayType.shape.extend((least, 2))
    threshold = second.description.input.add(name="iou")
    threshold.type.doubleType.SetInParent()
    threshold.type.isOptional = True

    whole = ct.proto.Model_pb2.Model(specificationVersion=second.specificationVersion)
    for each in (first.get_spec(), second):
        whole.pipeline.models.add().CopyFrom(each)
    whole.pipeline.names.extend(("boxes", "suppression"))
    whole.description.input.extend([first.get_spec().description.input[0], threshold])
    whole.description.output.extend(second.description.output)
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ct.models.MLModel(whole, weights_dir=first.weights_dir, skip_model_load=True).save(
            str(path)
        )
        del first
        gc.collect()
    return path
