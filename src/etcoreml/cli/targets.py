"""``etcoreml targets``: the systems that a model can be lowered for."""

from __future__ import annotations

from typing import Any

from etcoreml.cli import render
from etcoreml.cli.options import Json
from etcoreml.targets import TARGETS, Target


def targets(
    json: Json = False,
) -> None:
    """List the systems a model can be lowered for, and what each of them brought.

    A model made for one runs on every later one.
    """
    if json:
        render.print_json({"targets": [_document(each) for each in TARGETS]})
        return
    render.print_table(
        "Deployment targets",
        ("iOS, iPadOS, tvOS>", "macOS>", "watchOS>", "spec>", "opset", "adds"),
        [(t.ios, t.macos, t.watchos, t.spec_version, t.opset, "; ".join(t.adds)) for t in TARGETS],
    )


def _document(target: Target) -> dict[str, Any]:
    return {
        "iOS": target.ios,
        "iPadOS": target.ios,
        "macOS": target.macos,
        "tvOS": target.ios,
        "watchOS": target.watchos,
        "names": list(target.names),
        "spec_version": target.spec_version,
        "opset": target.opset,
        "adds": list(target.adds),
        "mil_ops": list(target.ops),
    }
