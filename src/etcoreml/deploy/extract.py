"""A .pte to the Core ML models in it, as folders that Xcode and its tools open.

Enters: a parsed program. Leaves: one ``.mlpackage`` or ``.mlmodelc`` per model, however many
delegates refer to it, and ``models.json``, which says whose they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from etcoreml.atomic import replace_atomic
from etcoreml.blob import Directory, is_reference, read_reference
from etcoreml.errors import EtCoreMLError, PackageError, ProgramError, UsageError
from etcoreml.runtime.payload import MODELS, open_payload
from etcoreml.runtime.pte import CORE_ML, PteDelegate, PteProgram

INDEX = "models.json"
"""Name of the file that says which model belongs to which delegate."""

_SHARED = "shared"


@dataclass(frozen=True)
class Use:
    """One delegate that refers to a model.

    Attributes:
        method: Name of the ExecuTorch method.
        delegate: Its position among the method's delegates.
        function: Function of the model that it calls; None for the model's default.
        inputs: The model's input names in the order of the delegate's arguments.
        outputs: The model's output names, which follow them.
        compile_specs: What it was lowered with, by key.
    """

    method: str
    delegate: int
    function: str | None
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    compile_specs: Mapping[str, str]


@dataclass(frozen=True)
class EmbeddedModel:
    """A Core ML model inside a .pte.

    Attributes:
        name: Name of the folder to write, with its suffix; no two models have the same.
        directory: Its files, viewed in the program's bytes.
        identifier: Name that the delegate's metadata gives it, its key in caches.
        uses: The delegates that refer to it, in the program's order.
    """

    name: str
    directory: Directory
    identifier: str
    uses: tuple[Use, ...]

    def to_json(self) -> dict[str, Any]:
        """Return what ``models.json`` says of it."""
        return {
            "path": self.name,
            "nbytes": self.directory.nbytes,
            "identifier": self.identifier,
            "delegates": [
                {
                    "method": use.method,
                    "delegate": use.delegate,
                    "function": use.function,
                    "inputs": list(use.inputs),
                    "outputs": list(use.outputs),
                    "compile_specs": dict(use.compile_specs),
                }
                for use in self.uses
            ],
        }


def embedded_models(program: PteProgram) -> tuple[EmbeddedModel, ...]:
    """Find the Core ML models of a program, each once.

    A model that one delegate has is named after its method (``forward``, or ``forward_1`` where the
    method has several delegates); one that several share is ``shared``.

    Raises:
        ProgramError: No delegate is Core ML's.
        BlobError: A payload breaks a rule of docs/blob-format.md, or refers to data that the
            program does not carry.
        PackageError: A payload holds no model, or malformed metadata.
    """
    found: dict[tuple[str, str | bytes], EmbeddedModel] = {}
    for method in program.methods:
        for index, delegate in enumerate(method.delegates):
            if not delegate.is_core_ml:
                continue
            stem = method.name if len(method.delegates) == 1 else f"{method.name}_{index}"
            key = _key(delegate)
            model = _open(delegate, program, method.name, index, stem)
            if key in found:
                model = EmbeddedModel(
                    _SHARED + PurePosixPath(model.name).suffix,
                    model.directory,
                    model.identifier,
                    found[key].uses + model.uses,
                )
            found[key] = model
    if not found:
        raise ProgramError(
            "the program has no Core ML delegate",
            found=", ".join(_backends(program)) or "no delegate at all",
            expected=CORE_ML,
        )
    return tuple(_distinct(found.values()))


def write_models(models: Sequence[EmbeddedModel], folder: Path, *, force: bool = False) -> Path:
    """Write the models and their index into a folder: all of them, or none.

    Args:
        models: From `embedded_models`.
        folder: Where to; made if it is not there. Whatever else is in it stays.
        force: Whether to replace what is there under the same names.

    Returns:
        The path of ``models.json``.

    Raises:
        UsageError: A name is taken, or the folder cannot be written to.
    """
    names = [*(model.name for model in models), INDEX]
    if not force:
        check_free(folder, names)
    made = not folder.exists()
    try:
        folder.mkdir(exist_ok=True)
        with replace_atomic(folder, names) as new:
            for model in models:
                model.directory.extract(new / model.name)
            index = {"models": [model.to_json() for model in models]}
            (new / INDEX).write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write to '{folder}': {error.strerror or error}") from error
    except EtCoreMLError as error:
        error.what = f"'{folder}': {error.what}"
        raise
    finally:
        if made and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    return folder / INDEX


def check_free(folder: Path, names: Iterable[str] = (INDEX,)) -> None:
    """Refuse to write over what is there.

    Raises:
        UsageError: The folder holds something of one of these names.
    """
    taken = [name for name in names if (folder / name).exists()]
    if taken:
        raise UsageError(
            f"'{folder}' already holds {', '.join(taken)}",
            hint="--force replaces what has the same name, and touches nothing else there.",
        )


def _key(delegate: PteDelegate) -> tuple[str, str | bytes]:
    """Return what two delegates have in common if, and only if, their model is the same."""
    if is_reference(delegate.payload):
        return "named data", read_reference(delegate.payload).key
    return "payload", delegate.payload


def _open(
    delegate: PteDelegate, program: PteProgram, method: str, index: int, stem: str
) -> EmbeddedModel:
    try:
        payload = open_payload(delegate.payload, program.named_data)
        if payload.model is None:
            raise PackageError(
                "the blob holds no model",
                found=", ".join(sorted(payload.directory.children)) or "an empty directory",
                expected=f"a directory {' or '.join(MODELS)}",
            )
        names = payload.method
    except EtCoreMLError as error:
        error.what = f"delegate {index} of method '{method}': {error.what}"
        raise
    specs = {key: value.decode("utf-8", "replace") for key, value in delegate.compile_specs.items()}
    use = Use(method, index, payload.function, names.input_names, names.output_names, specs)
    name = stem + PurePosixPath(payload.model.name).suffix
    return EmbeddedModel(name, payload.model, payload.metadata.identifier, (use,))


def _distinct(models: Iterable[EmbeddedModel]) -> Iterable[EmbeddedModel]:
    """Give each model a name of its own that every file system takes.

    Method names are whatever the program's maker chose, and may not leave the folder.
    """
    taken: set[str] = set()
    for model in models:
        stem, _, suffix = model.name.rpartition(".")
        stem = re.sub(r"[^\w.-]", "_", stem).lstrip(".")[:100] or "model"
        name, number = f"{stem}.{suffix}", 1
        while name.lower() in taken:
            name, number = f"{stem}_{number}.{suffix}", number + 1
        taken.add(name.lower())
        yield EmbeddedModel(name, model.directory, model.identifier, model.uses)


def _backends(program: PteProgram) -> list[str]:
    return sorted({each.backend_id for method in program.methods for each in method.delegates})
