"""The README of a generated app: what is in it, and the exact steps to run it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etcoreml.deploy.app.release import URL
from etcoreml.deploy.app.templates import filled
from etcoreml.units import megabytes

if TYPE_CHECKING:
    from etcoreml.deploy.app.project import App


def app_readme(app: App, source: str) -> str:
    """Return the README.

    Args:
        app: The project.
        source: Name of the model's file.
    """
    options, platform = app.options, app.platform
    name = options.name
    values = {
        "NAME": name,
        "SOURCE": source,
        "SIZE": megabytes(len(app.model.data)),
        "SHA256": app.model.sha256,
        "PLATFORM": platform.title,
        "MINIMUM": f"{platform.title} {app.minimum}",
        "VERSION": app.minimum,
        "WHY": _why(app),
        "RELEASE": app.release.branch,
        "EXECUTORCH": app.release.executorch,
        "PRODUCTS": ", ".join(f"`{each}`" for each in app.products),
        "URL": URL,
        "INPUTS": _table(app),
        "WHAT": _what(app),
        "DESTINATION": platform.destination,
        "SOURCES": "Objective-C" if options.language == "objc" else "Swift",
        "MODEL_FILE": "Model.h" if options.language == "objc" else "Model.swift",
    }
    parts = ["head"]
    parts.append("frameworks" if platform.package is None else "package")
    parts.append({"ios": "run-ios", "macos": "run-macos", "tvos": "run-tvos"}[options.platform])
    if options.profiling:
        parts.append("profiling")
    parts.append("foot")
    return "\n".join(filled(f"readme/{part}.md", values) for part in parts)


def _why(app: App) -> str:
    platform, target = app.platform, app.model.target
    model = target.macos if platform.name == "macos" else target.ios
    asks = [f"the model {model}", f"ExecuTorch's Core ML delegate {platform.delegate}"]
    if platform.package is not None:
        asks.append(f"ExecuTorch's Swift package {platform.package}")
    return f"{', '.join(asks[:-1])} and {asks[-1]}"


def _what(app: App) -> str:
    size = app.model.picture_size
    if size is None:
        return (
            "It runs the method on a sample input, numbers of no meaning, and shows what comes out."
        )
    mean, std = (", ".join(f"{each:g}" for each in v) for v in (app.options.mean, app.options.std))
    height, width = size
    named = "with the names in `labels.txt`" if app.options.labels else "by their numbers"
    return (
        f"It classifies a picture: resized to {width} x {height} (stretched), red, green and blue "
        f"of 0 to 255 minus ({mean}), divided by ({std}); then the five likeliest classes {named}. "
        "Where the model was trained with other numbers, make the app again with `--mean` and "
        "`--std`."
    )


def _table(app: App) -> str:
    method = app.model.method
    lines = [f"| `{method.name}` | name | shape | dtype |", "|---|---|---|---|"]
    for kind, values in (("input", method.inputs), ("output", method.outputs)):
        for each in values:
            dtype = each.tensor.dtype or "-"
            lines.append(f"| {kind} | `{each.variable}` | {each.tensor} | {dtype} |")
    return "\n".join(lines)
