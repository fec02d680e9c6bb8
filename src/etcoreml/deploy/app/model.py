"""What an app has to know of a .pte: signatures with names, the systems it needs, what it links.

Enters: the bytes of a .pte. Leaves: `AppModel`. Names of inputs and outputs are those of the Core
ML features they are passed to; a .pte keeps no others.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from etcoreml.deploy.app.identifiers import variables
from etcoreml.errors import ProjectError, UsageError, naming
from etcoreml.runtime.embedded import embedded_functions
from etcoreml.runtime.payload import open_payload
from etcoreml.runtime.pte import (
    CORE_ML,
    PteDelegate,
    PteMethod,
    PteProgram,
    PteTensor,
    parse_pte,
    read_pte_bytes,
)
from etcoreml.targets import TARGETS, Target

CHANNELS_LAST = (0, 2, 3, 1)
_SCALARS = frozenset({"int", "double", "bool"})
_TENSORS = frozenset(
    {"float32", "float16", "float64", "int64", "int32", "int16", "int8", "uint8", "bool"}
)
# As torch.export names what an operator returns, which says nothing to a reader.
_OF_AN_OPERATOR = re.compile(r"(aten|dim_order_ops|quantized_decomposed|torchao)_|var_?\d|getitem")
_WRAPPED = "_wrapped_as_tensor_for_coreml"
_LEAST_PICTURE = 8
"""Pixels of an edge, below which an input of three channels is hardly a picture."""


@dataclass(frozen=True)
class AppValue:
    """An input or output of a method.

    Attributes:
        variable: Its name in Swift and Objective-C.
        feature: Its name in the Core ML model, or None if no delegate takes or returns it.
        tensor: Kind, shape and dtype.
    """

    variable: str
    feature: str | None
    tensor: PteTensor

    @property
    def is_tensor(self) -> bool:
        """Whether it is a tensor, and not a number."""
        return self.tensor.kind == "tensor"


@dataclass(frozen=True)
class AppMethod:
    """A method with named inputs and outputs."""

    name: str
    inputs: tuple[AppValue, ...]
    outputs: tuple[AppValue, ...]


@dataclass(frozen=True)
class AppModel:
    """A program.

    Attributes:
        data: The .pte.
        methods: The one that an app runs first.
        target: The oldest deployment target that all of its Core ML models have.
        backends: Ids of its delegates, sorted.
        operators: Names of the operators outside of delegates, sorted.
    """

    data: bytes
    methods: tuple[AppMethod, ...]
    target: Target
    backends: tuple[str, ...]
    operators: tuple[str, ...]

    @property
    def method(self) -> AppMethod:
        """The method that an app runs."""
        return self.methods[0]

    @property
    def sha256(self) -> str:
        """Digest of the .pte in hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()

    @property
    def picture_size(self) -> tuple[int, int] | None:
        """Height and width in pixels, if the method classifies pictures; None otherwise.

        It does if it takes one float32 ``(1, 3, H, W)`` and returns ``(1, classes)`` or
        ``(classes,)`` first.
        """
        inputs, outputs = self.method.inputs, self.method.outputs
        if len(inputs) != 1 or not outputs:
            return None
        picture, scores = inputs[0].tensor, outputs[0].tensor
        looks = (
            picture.dtype == "float32"
            and not picture.dynamic
            and picture.shape[:2] == (1, 3)
            and len(picture.shape) == 4
            and min(picture.shape[2:]) >= _LEAST_PICTURE
        )
        classifies = (
            scores.dtype == "float32" and not scores.dynamic and self.classes not in (None, 1)
        )
        return (picture.shape[2], picture.shape[3]) if looks and classifies else None

    @property
    def classes(self) -> int | None:
        """How many scores the first output has, if it is ``(1, classes)`` or ``(classes,)``."""
        shape = self.method.outputs[0].tensor.shape if self.method.outputs else ()
        if len(shape) == 1 or (len(shape) == 2 and shape[0] == 1):
            return shape[-1]
        return None


def read_app_model(path: Path, method: str | None = None) -> AppModel:
    """Read a .pte.

    Args:
        path: The file.
        method: The method to run; None for ``forward``, or the first where there is none.

    Raises:
        UsageError: The file cannot be read, or has no such method.
        ProgramError, BlobError, ModelError: It, or a Core ML delegate in it, is damaged.
        ProjectError: It has no Core ML delegate, or takes what no app can pass.
    """
    data = read_pte_bytes(path)
    with naming(path):
        return _app_model(path, data, parse_pte(data), method)


def _app_model(path: Path, data: bytes, program: PteProgram, method: str | None) -> AppModel:
    backends = {each.backend_id for method_ in program.methods for each in method_.delegates}
    if CORE_ML not in backends:
        raise ProjectError(
            f"'{path}' has nothing for Core ML",
            found=", ".join(sorted(backends)) or "no delegate",
            expected=CORE_ML,
            hint="Lower it with etcoreml: `etcoreml export MODEL -o model.pte`.",
        )
    methods = sorted(program.methods, key=lambda each: each.name != (method or "forward"))
    if method is not None and methods[0].name != method:
        names = ", ".join(each.name for each in program.methods)
        raise UsageError(f"'{path}' has no method '{method}'", expected=names)
    return AppModel(
        data,
        tuple(_method(each, program) for each in methods),
        _target(program),
        tuple(sorted(backends)),
        tuple(sorted({name for each in program.methods for name in each.operators})),
    )


def _target(program: PteProgram) -> Target:
    """Return the oldest target that reads every Core ML model of a program.

    Raises:
        ProjectError: No target reads one of them.
    """
    needed = TARGETS[0].spec_version
    for _, _, each in embedded_functions(program):
        needed = max(needed, each.model.spec_version)
    for target in TARGETS:
        if target.spec_version >= needed:
            return target
    raise ProjectError(
        "no known system reads this Core ML model",
        found=f"specification version {needed}",
        expected=f"{TARGETS[-1].spec_version} at most",
    )


def _method(method: PteMethod, program: PteProgram) -> AppMethod:
    features = _features(method, program)
    named = []
    for kind, tensors in (("input", method.inputs), ("output", method.outputs)):
        for i, tensor in enumerate(tensors):
            _check(tensor, f"{kind} {i} of method '{method.name}'")
        names = [features.get(each.value) for each in tensors]
        several = len(tensors) > 1
        plain = [
            name if name and not _OF_AN_OPERATOR.match(name) else f"{kind}{i}" if several else kind
            for i, name in enumerate(names)
        ]
        named.append(
            tuple(map(AppValue, variables(plain), names, tensors)),
        )
    return AppMethod(method.name, *named)


def _check(tensor: PteTensor, what: str) -> None:
    if tensor.kind == "tensor" and tensor.dtype not in _TENSORS:
        raise ProjectError(
            f"{what} is of a dtype that Swift has no type for",
            found=tensor.dtype,
            expected=", ".join(sorted(_TENSORS)),
        )
    if tensor.kind not in ("tensor", *_SCALARS):
        raise ProjectError(
            f"{what} is neither a tensor nor a number",
            found=tensor.kind,
            expected=f"tensor, {', '.join(sorted(_SCALARS))}",
        )


def _features(method: PteMethod, program: PteProgram) -> dict[int | None, str]:
    """Return the Core ML feature of each value that a delegate takes or returns."""
    features: dict[int | None, str] = {}
    for delegate in method.delegates:
        if delegate.is_core_ml:
            for value, name in zip(delegate.arguments, _names(delegate, program), strict=False):
                features.setdefault(value, name.removesuffix(_WRAPPED))
    return features


def _names(delegate: PteDelegate, program: PteProgram) -> tuple[str, ...]:
    method = open_payload(delegate.payload, program.named_data).method
    return method.input_names + method.output_names
