"""``etcoreml inspect``: what a .pte holds."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from etcoreml.cli import render
from etcoreml.imports import quiet_imports

if TYPE_CHECKING:
    from etcoreml.runtime.pte import PteDelegate, PteMethod, PteProgram, PteTensor


def program_document(model: Path) -> dict[str, Any]:
    """Return what a .pte holds, as JSON shows it.

    Raises:
        UsageError: The file cannot be read.
        ProgramError, BlobError, ModelError: It, or a Core ML delegate in it, is damaged.
    """
    with render.stage("Loading executorch"), quiet_imports():
        import executorch.exir._serialize._program  # noqa: F401

        from etcoreml.runtime.pte import read_pte
    with render.stage(f"Reading {model.name}"):
        return _document(model, read_pte(model))


def _document(model: Path, program: PteProgram) -> dict[str, Any]:
    return {
        "program": str(model),
        "nbytes": program.nbytes,
        "methods": [_method(method, program) for method in program.methods],
        "named_data": {key: len(value) for key, value in program.named_data.items()},
    }


def _method(method: PteMethod, program: PteProgram) -> dict[str, Any]:
    delegates = [_delegate(delegate, program) for delegate in method.delegates]
    # Debug info is optional, and other backends have none.
    inside = (
        sum(each["aten_nodes"] for each in delegates)
        if all("aten_nodes" in each for each in delegates)
        else None
    )
    outside = sum(method.operators.values())
    return {
        "name": method.name,
        "inputs": [_tensor(each) for each in method.inputs],
        "outputs": [_tensor(each) for each in method.outputs],
        "nodes_delegated": inside,
        "nodes_outside": outside,
        "operators_outside": dict(method.operators),
        "delegates": delegates,
    }


def _tensor(tensor: PteTensor) -> dict[str, Any]:
    if tensor.kind != "tensor":
        return {"kind": tensor.kind}
    return {"shape": list(tensor.shape), "dtype": tensor.dtype, "dynamic": tensor.dynamic}


def _delegate(delegate: PteDelegate, program: PteProgram) -> dict[str, Any]:
    document: dict[str, Any] = {
        "backend": delegate.backend_id,
        "calls": delegate.calls,
        "nbytes": len(delegate.payload),
    }
    if delegate.is_core_ml:
        document |= _core_ml(delegate, program)
    return document


def _core_ml(delegate: PteDelegate, program: PteProgram) -> dict[str, Any]:
    from etcoreml.mil import load_package
    from etcoreml.runtime.metadata import parse_debug_handles
    from etcoreml.runtime.operations import count_operations
    from etcoreml.runtime.payload import open_payload

    payload = open_payload(delegate.payload, program.named_data)
    directory = payload.directory
    document: dict[str, Any] = {
        "nbytes": payload.nbytes,
        "identifier": payload.metadata.identifier,
        "compile_specs": {
            key: value.decode("utf-8", "replace") for key, value in delegate.compile_specs.items()
        },
        "inputs": list(payload.method.input_names),
        "outputs": list(payload.method.output_names),
        "files": {path: len(file.data) for path, file in directory.walk()},
    }
    if directory.find("debug_info.json") is not None:
        document["aten_nodes"] = len(parse_debug_handles(directory.read("debug_info.json")))
    if payload.model is not None:
        model = load_package(payload.model)
        entry = model.functions[payload.function or model.default_function]
        operations = count_operations(entry)
        document |= {
            "specification_version": model.spec_version,
            "opset": entry.opset,
            "mil_ops": {each.type: each.count for each in operations},
            "mil_ops_not_here": [each.type for each in operations if not each.runs_here],
        }
    return document


def print_program(document: dict[str, Any]) -> None:
    """Print it for people."""
    typer.echo(f"{document['program']}: {render.megabytes(document['nbytes'])}")
    for method in document["methods"]:
        _print_method(method)
    if document["named_data"]:
        render.print_table(
            "Named data",
            ("key", "size>"),
            [(key, render.megabytes(size)) for key, size in document["named_data"].items()],
        )


def _print_method(method: dict[str, Any]) -> None:
    render.print_table(
        f"Method {method['name']}",
        ("", "position>", "shape", "dtype"),
        [
            (kind, i, _shape(each), each.get("dtype", each.get("kind")))
            for kind in ("inputs", "outputs")
            for i, each in enumerate(method[kind])
        ],
    )
    inside, outside = method["nodes_delegated"], method["nodes_outside"]
    count = len(method["delegates"])
    if inside is not None and inside + outside:
        typer.echo(
            f"{inside} of {inside + outside} nodes ({100 * inside / (inside + outside):.1f} %) in "
            f"{count} {'delegate' if count == 1 else 'delegates'}, by the debug info"
        )
    for i, delegate in enumerate(method["delegates"]):
        _print_delegate(i, delegate)
    if method["operators_outside"]:
        render.print_table(
            "Operators outside the delegates",
            ("operator", "calls>"),
            Counter(method["operators_outside"]).most_common(),
        )


def _print_delegate(index: int, delegate: dict[str, Any]) -> None:
    facts: list[tuple[str, object]] = [
        ("backend", delegate["backend"]),
        ("size", render.megabytes(delegate["nbytes"])),
    ]
    if "identifier" in delegate:
        facts += [
            ("identifier", delegate["identifier"]),
            ("inputs", ", ".join(delegate["inputs"]) or "none"),
            ("outputs", ", ".join(delegate["outputs"])),
            (
                "compile specs",
                ", ".join(f"{k}={v or 'lowest'}" for k, v in delegate["compile_specs"].items())
                or "none",
            ),
        ]
    if "opset" in delegate:
        version = delegate["specification_version"]
        facts.append(("Core ML", f"specification {version}, opset {delegate['opset']}"))
        ops = ", ".join(f"{count} {op}" for op, count in delegate["mil_ops"].items())
        facts.append(("MIL ops", ops))
        facts.append(("run here", render.runs_here(delegate["mil_ops_not_here"])))
    typer.echo(f"\nDelegate {index}")
    render.print_facts([(f"  {name}", value) for name, value in facts])
    for path, size in delegate.get("files", {}).items():
        typer.echo(f"    {render.megabytes(size):>8}  {path}")


def _shape(tensor: dict[str, Any]) -> str:
    if "shape" not in tensor:
        return "-"
    sign = "<=" if tensor["dynamic"] else ""
    return "(" + ", ".join(f"{sign}{size}" for size in tensor["shape"]) + ")"
