"""Pipelines: models that feed each other, as plain data.

Enters: nothing; ``mil/specification.py`` and ``mil/compiled.py`` build it. Leaves:
:class:`Pipeline`, which ``runtime/`` executes stage by stage.

Source: coremltools 9.0 ``Model.proto`` (Pipeline) and ``NonMaximumSuppression.proto``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from etcoreml.mil.program import MilProgram, Signature


@dataclass(frozen=True)
class NonMaximumSuppression:
    """Of boxes that overlap, keep the most confident.

    With ``N`` boxes and ``C`` classes, inputs are ``confidence`` ``(N, C)``, not negative, and
    ``coordinates`` ``(N, 4)``: centre x, centre y, width, height. The result does not depend on
    the unit of the coordinates.

    1. A box's confidence is the largest of its row; its label is the first class that has it.
       Boxes whose confidence is below ``confidence_threshold`` are dropped.
    2. Boxes are taken in descending order of confidence, ties in the order they came.
    3. A box is kept unless it overlaps a kept one by more than ``iou_threshold``; where
       ``per_class``, only kept ones of the same label count. Overlap is the area of the
       intersection divided by the area of the union (IoU), 0 where the union is empty.
    4. Outputs are the rows of both inputs of the boxes kept, ``(M, C)`` and ``(M, 4)``, in the
       order of step 2.
    5. If the signature gives an output's rows a fixed number, or a range (in either output's
       ``shape`` or ``ranges``), surplus rows are cut from the end and missing ones are zeros.

    The specification leaves open: ties (step 2), whether a bound counts itself (``below``,
    ``more than``), and empty unions. It was not run on Core ML.

    Attributes:
        iou_threshold: 0 to 1, dimensionless; 1 suppresses nothing.
        confidence_threshold: Unit of the confidences.
        per_class: Whether boxes of other labels are spared.
        confidence_input, coordinates_input: Names of the inputs.
        confidence_output, coordinates_output: Names of the outputs.
        iou_threshold_input, confidence_threshold_input: Names of inputs, scalar doubles, that
            replace the thresholds where they are given; "" if there is none.
        labels: Names of the C classes, strings or int64; empty if there are none.
        signature: The described interface.
    """

    iou_threshold: float
    confidence_threshold: float
    per_class: bool
    confidence_input: str
    coordinates_input: str
    confidence_output: str
    coordinates_output: str
    iou_threshold_input: str = ""
    confidence_threshold_input: str = ""
    labels: tuple[str | int, ...] = ()
    signature: Signature = field(default_factory=lambda: Signature((), ()))


@dataclass(frozen=True, eq=False)
class Stage:
    """One model of a pipeline.

    Attributes:
        name: The author's name for it, or ``model0``, ``model1``...
        model: What it computes.
    """

    name: str
    model: MilProgram | NonMaximumSuppression

    @property
    def signature(self) -> Signature:
        """The features it takes and gives."""
        return self.model.signature


@dataclass(frozen=True, eq=False)
class Pipeline:
    """Models executed in order over one set of named features.

    The set starts as the pipeline's inputs. Each stage takes the features it names and adds what
    it gives, replacing a feature of the same name. The pipeline's outputs are read off the set at
    the end.

    Attributes:
        stages: In order of execution; each feature a stage takes is an input of the pipeline, or
            given by an earlier stage, or optional.
        signature: The described interface.
        spec_version: Core ML specification version.
        author, license, version, description: The model's metadata.
        user_defined: The author's key-value metadata.
    """

    stages: tuple[Stage, ...]
    signature: Signature
    spec_version: int
    user_defined: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    author: str = ""
    license: str = ""
    version: str = ""
    description: str = ""
