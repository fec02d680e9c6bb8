"""``etcoreml inspect``: what a Core ML model holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from etcoreml.cli import render
from etcoreml.mil import (
    Feature,
    Function,
    MilProgram,
    NonMaximumSuppression,
    Pipeline,
    Signature,
    open_model,
)


def model_document(path: Path) -> dict[str, Any]:
    """Return what a Core ML model holds, as JSON shows it.

    Raises:
        ModelError: It cannot be read, or is of a type that does not run here.
    """
    with render.stage(f"Reading {path.name}"):
        model = open_model(path)
        document: dict[str, Any] = {
            "model": str(path),
            "nbytes": _nbytes(path),
            "type": "pipeline" if isinstance(model, Pipeline) else "mlProgram",
            "specification_version": model.spec_version,
            "metadata": {
                "description": model.description,
                "author": model.author,
                "license": model.license,
                "version": model.version,
                "user_defined": dict(model.user_defined),
            },
        }
        if isinstance(model, Pipeline):
            document |= _interface(model.signature)
            document["stages"] = [
                {"name": stage.name, **_stage(stage.model)} for stage in model.stages
            ]
        else:
            document |= _program(model)
    return document


def _nbytes(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())


def _stage(model: MilProgram | NonMaximumSuppression) -> dict[str, Any]:
    if isinstance(model, MilProgram):
        return {"type": "mlProgram", **_program(model)}
    return {
        "type": "nonMaximumSuppression",
        "iou_threshold": model.iou_threshold,
        "confidence_threshold": model.confidence_threshold,
        "per_class": model.per_class,
        "labels": list(model.labels),
        **_interface(model.signature),
    }


def _program(model: MilProgram) -> dict[str, Any]:
    from etcoreml.runtime.operations import count_weights

    return {
        "default_function": model.default_function,
        "functions": [
            _function(function, model.signatures.get(name))
            for name, function in model.functions.items()
        ],
        "weights": [vars(each) for each in count_weights(model.functions.values())],
    }


def _function(function: Function, signature: Signature | None) -> dict[str, Any]:
    from etcoreml.runtime.operations import count_operations

    operations = count_operations(function)
    document: dict[str, Any] = {"name": function.name, "opset": function.opset}
    if signature is not None:
        document |= _interface(signature)
        if signature.predicted_feature:
            document["labels"] = list(function.class_labels)
    document["mil_ops"] = {each.type: each.count for each in operations}
    document["mil_ops_not_here"] = [each.type for each in operations if not each.runs_here]
    return document


def _interface(signature: Signature) -> dict[str, Any]:
    return {
        "inputs": [_feature(each) for each in signature.inputs],
        "outputs": [_feature(each) for each in signature.outputs],
        "states": [_feature(each) for each in signature.states],
    }


def _feature(feature: Feature) -> dict[str, Any]:
    from etcoreml.runtime.features import feature_text

    document: dict[str, Any] = {"name": feature.name, "kind": feature.kind}
    if feature.dtype is not None:
        document["dtype"] = feature.dtype.name
    if feature.shape is not None:
        document["shape"] = list(feature.shape)
    if feature.ranges:
        document["ranges"] = [list(each) for each in feature.ranges]
    if feature.enumerated:
        document["shapes"] = [list(each) for each in feature.enumerated]
    if feature.image is not None:
        image = feature.image
        document |= {
            "color_space": image.color_space,
            "height": image.height,
            "width": image.width,
        }
        if image.sizes:
            document["sizes"] = [list(each) for each in image.sizes]
        if image.height_range or image.width_range:
            document["height_range"] = list(image.height_range or (image.height,) * 2)
            document["width_range"] = list(image.width_range or (image.width,) * 2)
    if feature.optional:
        document |= {"optional": True, "default": feature.default}
    return document | {"description": feature.description, "text": feature_text(feature)}


def print_model(document: dict[str, Any]) -> None:
    """Print it for people."""
    kind = {"mlProgram": "an ML Program", "pipeline": "a pipeline"}[document["type"]]
    typer.echo(f"{document['model']}: {kind}, {render.megabytes(document['nbytes'])}")
    metadata = document["metadata"]
    facts = [(name, metadata[name]) for name in ("description", "author", "license", "version")]
    facts += [("specification", document["specification_version"])]
    facts += sorted(metadata["user_defined"].items())
    render.print_facts([(name, _one_line(value)) for name, value in facts if value])
    if document["type"] == "mlProgram":
        _print_program(document)
        return
    _print_interface("Pipeline", document)
    for i, stage in enumerate(document["stages"]):
        typer.echo(f"\nStage {i}, {stage['name']}: {_kind(stage)}")
        if stage["type"] == "mlProgram":
            _print_program(stage)
        else:
            _print_suppression(stage)


def _kind(stage: dict[str, Any]) -> str:
    kinds = {"mlProgram": "an ML Program", "nonMaximumSuppression": "non-maximum suppression"}
    return kinds[stage["type"]]


def _print_program(document: dict[str, Any]) -> None:
    for function in document["functions"]:
        several = len(document["functions"]) > 1
        default = several and function["name"] == document["default_function"]
        title = f"Function {function['name']}{' (the default)' if default else ''}"
        _print_interface(title, function)
        if function.get("labels"):
            typer.echo(f"\nlabels: {_some(function['labels'])}")
        missing = function["mil_ops_not_here"]
        operations = function["mil_ops"]
        render.print_table(
            f"{sum(operations.values())} MIL operations of {function['name']}, "
            f"opset {function['opset']}",
            ("operation", "count>", "runs here"),
            [(op, count, "no" if op in missing else "yes") for op, count in operations.items()],
        )
    if document["weights"]:
        render.print_table(
            "Weights",
            ("dtype", "tensors>", "elements>", "size>"),
            [
                (each["dtype"], each["tensors"], each["elements"], render.megabytes(each["nbytes"]))
                for each in document["weights"]
            ],
        )


def _print_suppression(stage: dict[str, Any]) -> None:
    facts = [
        ("overlap above", stage["iou_threshold"]),
        ("confidence from", stage["confidence_threshold"]),
        ("among", "boxes of one label" if stage["per_class"] else "all boxes"),
        ("labels", _some(stage["labels"]) if stage["labels"] else "none"),
    ]
    render.print_facts(facts)
    _print_interface("Interface", stage)


def _print_interface(title: str, document: dict[str, Any]) -> None:
    described = any(
        each["description"] for kind in ("inputs", "outputs", "states") for each in document[kind]
    )
    render.print_table(
        title,
        ("", "name", "type", *(("description",) if described else ())),
        [
            (
                kind.removesuffix("s"),
                each["name"],
                each["text"],
                *((_one_line(each["description"]),) if described else ()),
            )
            for kind in ("inputs", "outputs", "states")
            for each in document[kind]
        ],
    )


def _some(labels: Sequence[Any], limit: int = 6) -> str:
    shown = ", ".join(map(str, labels[:limit]))
    return shown if len(labels) <= limit else f"{shown} ... ({len(labels)} in all)"


def _one_line(text: object) -> str:
    return " ".join(str(text).split())
