"""What MODEL may be where a model is run or inspected."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

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


def check_pte(model: Path) -> None:
    """Check, before anything is imported, that there is a .pte.

    Raises:
        UsageError: There is none, or it is something else.
    """
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
