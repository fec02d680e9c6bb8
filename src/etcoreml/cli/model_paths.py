"""What MODEL may be where a model is run or inspected."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from etcoreml.cli.model_source import check_model
from etcoreml.errors import UsageError

CORE_ML = (".mlpackage", ".mlmodel", ".mlmodelc")
"""Suffixes of Core ML's own files."""


def check_model_path(model: Path, verb: str) -> None:
    """Check, before anything is imported, that there is a model that can be opened.

    Args:
        model: A .pte or one of ``CORE_ML``.
        verb: What is to be done with it, for the error.

    Raises:
        UsageError: There is none, or it is of another kind.
    """
    refuse_bundle(model, verb)
    if model.suffix not in (".pte", *CORE_ML):
        raise UsageError(
            f"cannot {verb} '{model}'",
            found=model.suffix or "no suffix",
            expected=f"a .pte, {', '.join(CORE_ML[:-1])} or {CORE_ML[-1]}",
        )
    if not model.exists():
        raise UsageError(f"there is no file '{model}'")
    if model.suffix in (".pte", ".mlmodel") and model.is_dir():
        raise UsageError(f"cannot {verb} '{model}': it is a directory")


def check_any_model(model: str, verb: str) -> None:
    """Check a model where one that is lowered first will do, too; see `check_model_path`.

    Raises:
        UsageError: There is none, or it is of another kind.
        ExportError: It is a name whose packages are not installed.
    """
    refuse_bundle(model, verb)
    if Path(model).suffix in (".pte", *CORE_ML):
        check_model_path(Path(model), verb)
    else:
        check_model(model, also=f"a .pte, {', '.join(CORE_ML)}, ")


def refuse_bundle(model: str | Path, verb: str, *, or_core_ml: bool = True) -> None:
    """Refuse ExecuTorch's bundled programs, which `etcoreml bundle` alone opens.

    Args:
        model: What was given.
        verb: What is to be done with it, for the error.
        or_core_ml: Whether a Core ML model would do as well as a .pte.

    Raises:
        UsageError: It is one.
    """
    if Path(model).suffix == ".bpte":
        raise UsageError(
            f"cannot {verb} '{model}'",
            found="a bundled program, which holds test cases beside a program",
            expected=f"the .pte it was made of{f', or a {CORE_ML[0]}' if or_core_ml else ''}",
            hint=f"`etcoreml bundle {shlex.quote(str(model))}` checks its cases.",
        )


def check_pte(model: Path) -> None:
    """Check, before anything is imported, that there is a .pte.

    Raises:
        UsageError: There is none, or it is something else.
    """
    refuse_bundle(model, "read", or_core_ml=False)
    if model.suffix != ".pte":
        raise UsageError(
            f"'{model}' is no .pte",
            found=model.suffix or "no suffix",
            expected="a .pte",
            hint="`etcoreml export` makes one of a model.",
        )
    check_model_path(model, "read")


def check_applicable(
    model: str | Path, *, of_a_pte: Mapping[str, object], of_core_ml: Mapping[str, object]
) -> None:
    """Refuse options of the other kind of model: they would change nothing.

    Args:
        model: A Core ML model, a .pte, or what is lowered to one.
        of_a_pte: What is given of options that Core ML models do not have, by option.
        of_core_ml: The same of those that only they have.

    Raises:
        UsageError: One of them is given.
    """
    suffix = Path(model).suffix
    if suffix in CORE_ML:
        found, expected, given = "a Core ML model", "a .pte", of_a_pte
    else:
        found = "a .pte" if suffix == ".pte" else "a model that is lowered to a .pte"
        expected, given = "a Core ML model", of_core_ml
    hint = "What a .pte asks for was set when it was exported." if suffix == ".pte" else None
    for name, value in given.items():
        if value is not None:
            raise UsageError(
                f"{name} does not apply to '{model}'", found=found, expected=expected, hint=hint
            )
