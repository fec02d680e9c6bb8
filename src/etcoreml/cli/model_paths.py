"""What MODEL may be where a model is run or inspected."""

from __future__ import annotations

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
