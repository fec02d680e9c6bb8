"""An existing Core ML model to a .pte that consists of it: no PyTorch source is needed.

Enters: a ``.mlpackage`` or ``.mlmodelc`` with an ML Program. Leaves: a .pte with a method for each
function of the model, whose inputs and outputs are the function's, in the order of the model's
description. Apple's delegate hands Core ML arrays by name, so that what is not an array (a picture,
a class label) is refused; states are kept by the delegate and are no arguments.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etcoreml.blob import Directory, Reference, write_blob, write_reference
from etcoreml.blob.layout import ROOT_NAME
from etcoreml.choices import ComputeUnit
from etcoreml.deploy.interface import MaxShapes, method_slots
from etcoreml.deploy.pte_writer import DelegateMethod, TensorSlot, write_pte
from etcoreml.errors import EtCoreMLError, UsageError
from etcoreml.mil import MilProgram, load_package
from etcoreml.mil.files import open_directory
from etcoreml.mil.open import is_compiled
from etcoreml.runtime.pte import CORE_ML

_PACKAGE, _COMPILED = "model.mlpackage", "model.mlmodelc"
_MAIN, _FORWARD = "main", "forward"


@dataclass(frozen=True)
class WrappedMethod:
    """A method of the .pte.

    Attributes:
        name: Its name.
        function: The function of the model that it calls.
        inputs: Its inputs, in order.
        outputs: Its outputs, in order.
    """

    name: str
    function: str
    inputs: tuple[TensorSlot, ...]
    outputs: tuple[TensorSlot, ...]


@dataclass(frozen=True)
class Wrapped:
    """A model as a .pte.

    Attributes:
        pte: The file's bytes.
        methods: Its methods.
        identifier: The model's name in caches: equal models share it.
        program: The model.
    """

    pte: bytes
    methods: tuple[WrappedMethod, ...]
    identifier: str
    program: MilProgram


def wrap_model(
    path: Path, *, compute_unit: ComputeUnit = "all", max_shapes: MaxShapes | None = None
) -> Wrapped:
    """Make a .pte of a Core ML model.

    A function ``main`` becomes the method ``forward``; others keep their names. A dimension that
    may vary becomes a dynamic one with the largest size as its bound.

    Args:
        path: A ``.mlpackage`` or ``.mlmodelc`` folder.
        compute_unit: Where Core ML may run it.
        max_shapes: The largest shape of inputs, by name, where the model sets no limit or a lower
            one is enough.

    Raises:
        ModelError: It is not a model that can be read, or not an ML Program.
        UsageError: ``max_shapes`` names no input, or a shape that the model does not allow.
        ProgramError: An input or output cannot be that of a .pte; the message says why.
        BlobError: The folder holds something that a delegate cannot carry, e.g. an empty file.
    """
    directory = open_directory(path)
    compiled = is_compiled(path)
    program = load_package(directory)
    _check_names(program, max_shapes or {})
    methods = []
    for name in program.functions:
        try:
            inputs, outputs = method_slots(program, name, max_shapes or {})
        except EtCoreMLError as error:
            if len(program.functions) > 1:
                error.what = f"function '{name}': {error.what}"
            raise
        methods.append(WrappedMethod(_method_name(name, program), name, inputs, outputs))
    folder = _COMPILED if compiled else _PACKAGE
    tree = Directory.from_mapping(folder, directory.children)
    identifier = f"executorch_{tree.digest()}"
    blob = write_blob(
        Directory.from_mapping(
            ROOT_NAME, {folder: tree, "metadata.json": _metadata(identifier, methods)}
        )
    )
    specs = {
        "compute_units": compute_unit.encode(),
        "min_deployment_target": str(program.spec_version).encode(),
        "model_type": b"compiled_model" if compiled else b"model",
    }
    key = f"coreml_{identifier}"
    shared = len(methods) > 1
    delegates = [
        DelegateMethod(
            method.name,
            method.inputs,
            method.outputs,
            write_reference(Reference(key, method.function)) if shared else blob,
        )
        for method in methods
    ]
    pte = write_pte(delegates, CORE_ML, specs, {key: blob} if shared else {})
    return Wrapped(pte, tuple(methods), identifier, program)


def _method_name(function: str, program: MilProgram) -> str:
    return _FORWARD if function == _MAIN and _FORWARD not in program.functions else function


def _check_names(program: MilProgram, max_shapes: Mapping[str, object]) -> None:
    known = {each.name for signature in program.signatures.values() for each in signature.inputs}
    for name in max_shapes:
        if name not in known:
            raise UsageError(
                f"the model has no input '{name}'", expected=", ".join(sorted(known)) or "none"
            )


def _metadata(identifier: str, methods: list[WrappedMethod]) -> bytes:
    """Return metadata.json, as a lowering writes it: the names in the order of the arguments."""
    names = {
        method.function: {
            "inputNames": [slot.name for slot in method.inputs],
            "outputNames": [slot.name for slot in method.outputs],
        }
        for method in methods
    }
    rest: dict[str, Any] = {"methods": names} if len(names) > 1 else next(iter(names.values()))
    return json.dumps(
        {"identifier": identifier, **rest}, sort_keys=True, ensure_ascii=False
    ).encode()
