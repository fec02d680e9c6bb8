"""What MODEL may be on the command line, ahead of time."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

from etcoreml.cli.zoo import ZOO
from etcoreml.errors import ExportError, UsageError


def exported_program(model: str) -> Any:
    """Return the ExportedProgram that MODEL names.

    Args:
        model: A .pt2 file, a zoo name, or ``package.module:callable`` where the callable returns
            ``(module, example_inputs)`` or ``(module, example_inputs, dynamic_shapes)``.

    Raises:
        UsageError: MODEL is none of these.
        ExportError: The model cannot be built or exported.
    """
    import torch

    if model.endswith(".pt2"):
        try:
            return torch.export.load(model)
        except Exception as error:  # torch.export.load raises whatever its unpickling meets
            raise ExportError(
                f"cannot load '{model}'", found=f"{type(error).__name__}: {error}"
            ) from error
    module, inputs, dynamic_shapes = _build(model)
    try:
        return torch.export.export(module.eval(), inputs, dynamic_shapes=dynamic_shapes)
    except Exception as error:  # torch.export raises whatever the model's code raises
        raise ExportError(
            f"torch.export refuses '{model}'",
            found=f"{type(error).__name__}: {error}",
            hint="Run again with --traceback before the command to see where.",
        ) from error


def _build(model: str) -> tuple[Any, tuple[Any, ...], Any]:
    if model in ZOO:
        return (*ZOO[model](), None)
    name, _, attribute = model.partition(":")
    if not attribute:
        raise UsageError(
            f"unknown MODEL '{model}'",
            expected=f"a .pt2 file, package.module:callable, or one of {', '.join(ZOO)}",
        )
    # As `python -m` does: a user's own module is found from the working directory.
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        function = getattr(importlib.import_module(name), attribute)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"cannot import '{model}': {error}") from error
    result = function()
    if not isinstance(result, tuple) or len(result) not in (2, 3):
        raise UsageError(
            f"'{model}' must return (module, example_inputs) or "
            "(module, example_inputs, dynamic_shapes)",
            found=type(result).__name__,
        )
    module, inputs = result[:2]
    return module, tuple(inputs), result[2] if len(result) == 3 else None
