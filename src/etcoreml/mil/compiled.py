"""A ``.mlmodelc`` folder, on disk or inside a blob, to a model.

Enters: :class:`etcoreml.blob.Directory`. Leaves: a program or pipeline whose weights are views of
the folder's bytes.

Layout: ``model.mil`` is the program as text, its weight files beside it; ``metadata.json``
describes the interface. Compiling on a device leaves ``metadata.json`` out, and then the interface
follows from the program. A pipeline holds its stages in ``model0``, ``model1``..., whose weights
may lie in the pipeline's own folder. ``coremldata.bin`` is Apple's own and not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any

from etcoreml.blob import Directory
from etcoreml.errors import ModelError, ModelTypeError, PackageError
from etcoreml.mil.compiled_features import described, of_function
from etcoreml.mil.contents import WeightReader, read_file, read_json
from etcoreml.mil.pipeline import Pipeline, Stage
from etcoreml.mil.program import Feature, Function, MilProgram, Signature
from etcoreml.mil.specification import PIPELINES, Model, wrong_kind
from etcoreml.mil.text import MilText, parse_text
from etcoreml.mil.validity import check_pipeline, check_program

PROGRAM = "model.mil"
METADATA = "metadata.json"
PRIVATE = "coremldata.bin"
NEURAL_NETWORK = "model.espresso.net"
_ROOT = PurePosixPath()
_TYPE_PREFIX = "MLModelType_"


def load_compiled(directory: Directory) -> Model:
    """Load a compiled model.

    Args:
        directory: The ``.mlmodelc`` folder. Its bytes must outlive the model.

    Raises:
        PackageError: A file is missing or malformed, or ``metadata.json`` contradicts the program.
        ModelTypeError: The model is neither an ML Program nor a pipeline of them.
        WeightError: A weight entry is out of bounds or of another dtype or size.
        ModelError: The text breaks a rule of MIL; the message names line and column.
    """
    metadata = _metadata(directory, _ROOT)
    kind = _kind(metadata.get("modelType"))
    if kind in PIPELINES or (not kind and directory.find("model0") is not None):
        pipeline = _pipeline(directory, metadata)
        check_pipeline(pipeline)
        return pipeline
    if kind not in ("", "mlProgram"):
        raise wrong_kind(kind)
    if directory.find(PROGRAM) is None and directory.find(NEURAL_NETWORK) is not None:
        raise wrong_kind("neuralNetwork")
    return _program(directory, metadata, _ROOT)


def _metadata(directory: Directory, folder: PurePosixPath) -> Mapping[str, Any]:
    path = folder / METADATA
    if directory.find(str(path)) is None:
        return {}
    value = read_json(directory, path)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, dict):
        msg = f"{path} does not describe one model"
        raise PackageError(msg, found=type(value).__name__, expected="an array of one object")
    return value


def _kind(model_type: object) -> str:
    name = model_type.get("name") if isinstance(model_type, dict) else None
    return name.removeprefix(_TYPE_PREFIX) if isinstance(name, str) else ""


def _program(
    directory: Directory, metadata: Mapping[str, Any], folder: PurePosixPath
) -> MilProgram:
    path = folder / PROGRAM
    try:
        data = read_file(directory, path)
        text = str(data, "utf-8")
    except UnicodeDecodeError as error:
        msg = f"{path} is not text in UTF-8"
        raise ModelError(msg, found=error) from error
    reader = WeightReader(directory, folder, _ROOT)
    parsed = parse_text(text, reader, str(path))
    default = _default_function(metadata, parsed.functions)
    program = MilProgram(
        functions=parsed.functions,
        default_function=default,
        spec_version=_spec_version(metadata, parsed.functions),
        signatures=MappingProxyType(_signatures(metadata, parsed, default)),
        sources=reader.sources(data),
        **_about(metadata),
    )
    check_program(program)
    return program


def _about(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the author's words about the model."""
    user_defined = metadata.get("userDefinedMetadata")
    pairs = user_defined.items() if isinstance(user_defined, dict) else ()
    return {
        "user_defined": MappingProxyType({key: str(value) for key, value in sorted(pairs)}),
        "author": _text(metadata, "author"),
        "license": _text(metadata, "license"),
        "version": _text(metadata, "version"),
        "description": _text(metadata, "shortDescription"),
    }


def _text(metadata: Mapping[str, Any], key: str) -> str:
    value = metadata.get(key, "")
    return value if isinstance(value, str) else ""


def _default_function(metadata: Mapping[str, Any], functions: Mapping[str, Function]) -> str:
    names = list(functions)
    default = metadata.get("defaultFunctionName") or (names[0] if len(names) == 1 else "main")
    if default not in functions:
        msg = "the model's default function does not exist"
        raise ModelError(msg, found=repr(default), expected=f"one of {sorted(names)}")
    return str(default)


def _spec_version(metadata: Mapping[str, Any], functions: Mapping[str, Function]) -> int:
    version = metadata.get("specificationVersion")
    if isinstance(version, int):
        return version
    # An opset came with the specification version one above its number.
    return 1 + max(int(f.opset.removeprefix("CoreML")) for f in functions.values())


def _signatures(metadata: Mapping[str, Any], parsed: MilText, default: str) -> dict[str, Signature]:
    listed = metadata.get("functions")
    entries = {default: metadata} if "inputSchema" in metadata else {}
    if isinstance(listed, list):
        entries |= {
            item["name"]: item
            for item in listed
            if isinstance(item, dict) and isinstance(item.get("name"), str)
        }
    result = {}
    for name, function in parsed.functions.items():
        derived = of_function(function, parsed.attributes[name])
        signature = described(entries[name], derived) if name in entries else derived
        _check_against(signature, function)
        result[name] = signature
    return result


def _check_against(signature: Signature, function: Function) -> None:
    pairs = (
        ("input", signature.inputs, {value.name for value in function.inputs}),
        ("state", signature.states, {value.name for value in function.states}),
        ("output", signature.outputs, set(function.block.outputs)),
    )
    for what, features, known in pairs:
        for feature in features:
            if feature.name not in known:
                msg = f"{METADATA} describes an {what} that function {function.name!r} lacks"
                raise PackageError(msg, found=repr(feature.name), expected=sorted(known))


def _pipeline(directory: Directory, metadata: Mapping[str, Any]) -> Pipeline:
    model_type = metadata.get("modelType")
    structure = model_type.get("structure") if isinstance(model_type, dict) else None
    kinds = [_kind(item) for item in structure] if isinstance(structure, list) else []
    count = sum(name.removeprefix("model").isdecimal() for name in directory.children)
    stages = []
    for index in range(max(count, len(kinds))):
        kind = kinds[index] if index < len(kinds) else "mlProgram"
        stages.append(_stage(directory, PurePosixPath(f"model{index}"), kind))
    empty = Signature((), ())
    signature = described(metadata, empty) if "inputSchema" in metadata else _outline(stages)
    return Pipeline(
        stages=tuple(_as_outside(stage, signature) for stage in stages),
        signature=signature,
        spec_version=_pipeline_version(metadata, stages),
        **_about(metadata),
    )


def _stage(directory: Directory, folder: PurePosixPath, kind: str) -> Stage:
    what = f"stage {folder.name!r} of the pipeline"
    if kind == "nonMaximumSuppression":
        msg = f"{what} is a compiled non-maximum suppression"
        raise ModelTypeError(
            msg,
            found=f"its parameters in {PRIVATE}, a format of Apple's own",
            hint="Load the .mlpackage or .mlmodel that it was compiled from.",
        )
    if kind != "mlProgram":
        raise wrong_kind(kind, what)
    return Stage(folder.name, _program(directory, _metadata(directory, folder), folder))


def _outline(stages: list[Stage]) -> Signature:
    """Return what the stages take from outside, and what the last one gives."""
    given: set[str] = set()
    inputs: dict[str, Feature] = {}
    for stage in stages:
        for feature in stage.signature.inputs:
            if feature.name not in given:
                inputs.setdefault(feature.name, feature)
        given.update(feature.name for feature in stage.signature.outputs)
    outputs = stages[-1].signature.outputs if stages else ()
    return Signature(tuple(inputs.values()), outputs)


def _as_outside(stage: Stage, outside: Signature) -> Stage:
    """Describe a stage's inputs, where they are the pipeline's own, as the pipeline does.

    A stage's own description is in ``coremldata.bin``; its program does not say, for one, which
    inputs are images.
    """
    own = {feature.name: feature for feature in outside.inputs}
    inputs = tuple(own.get(feature.name, feature) for feature in stage.signature.inputs)
    program = stage.model
    if not isinstance(program, MilProgram):
        return stage
    signature = replace(stage.signature, inputs=inputs)
    signatures = MappingProxyType({**program.signatures, program.default_function: signature})
    return Stage(stage.name, replace(program, signatures=signatures))


def _pipeline_version(metadata: Mapping[str, Any], stages: list[Stage]) -> int:
    version = metadata.get("specificationVersion")
    if isinstance(version, int):
        return version
    programs = (stage.model for stage in stages)
    return max((p.spec_version for p in programs if isinstance(p, MilProgram)), default=0)
