"""What MODEL may be on the command line, ahead of time."""

from __future__ import annotations

import contextlib
import importlib
import io
import sys
from pathlib import Path
from typing import Any

from etcoreml.cli.zoo import ZOO, check_installed
from etcoreml.errors import EtCoreMLError, ExportError, UsageError

_TRACEBACK = "'etcoreml --traceback export ...' shows where."


def check_model(model: str, also: str = "") -> None:
    """Check what can be known of MODEL before torch is imported, which takes seconds.

    Args:
        model: What was given.
        also: What else it may be, for the error.

    Raises:
        UsageError: MODEL is none of what it may be.
        ExportError: It is a name whose packages are not installed.
    """
    if model in ZOO:
        check_installed(model)
    elif model.endswith(".pt2"):
        if not Path(model).is_file():
            raise UsageError(f"there is no file '{model}'")
    elif not all(model.partition(":")[::2]):
        raise UsageError(
            f"unknown MODEL '{model}'",
            expected=f"{also}a .pt2 file, package.module:callable, or one of {', '.join(ZOO)}",
        )


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

    check_model(model)
    if model.endswith(".pt2"):
        try:
            return torch.export.load(model)
        except Exception as error:  # torch.export.load raises whatever its unpickling meets
            raise export_error(f"cannot load '{model}'", error) from error
    module, inputs, dynamic_shapes = _build(model)
    printed = io.StringIO()
    try:
        # torch prints the graph so far when it fails; the error says what matters of it.
        with contextlib.redirect_stderr(printed):
            program = torch.export.export(module.eval(), inputs, dynamic_shapes=dynamic_shapes)
    except Exception as error:  # torch.export raises whatever the model's code raises
        raise export_error(f"torch.export refuses '{model}'", error) from error
    sys.stderr.write(printed.getvalue())
    return program


def _build(model: str) -> tuple[Any, tuple[Any, ...], Any]:
    """Return the module, its inputs and its dynamic shapes."""
    import torch

    function: Any = ZOO[model] if model in ZOO else _imported(model)
    try:
        result = function()
    except EtCoreMLError:
        raise
    except Exception as error:  # the user's code raises whatever it likes
        raise export_error(f"'{model}' cannot be built", error) from error
    if (
        not isinstance(result, tuple)
        or len(result) not in (2, 3)
        or not isinstance(result[0], torch.nn.Module)
        or not isinstance(result[1], (tuple, list))
    ):
        raise UsageError(
            f"'{model}' returns something else than a model",
            found=_described(result),
            expected="(module, example_inputs) or (module, example_inputs, dynamic_shapes), "
            "where example_inputs is a tuple",
        )
    module, inputs = result[:2]
    return module, tuple(inputs), result[2] if len(result) == 3 else None


def _imported(model: str) -> Any:
    """Return the callable that ``package.module:callable`` names."""
    name, _, attribute = model.partition(":")
    # As `python -m` does: a user's own module is found from the working directory.
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise UsageError(f"cannot import '{model}': {error}") from error
    except Exception as error:  # a module runs any code while it is imported
        raise export_error(f"'{name}' cannot be imported", error) from error
    function = getattr(module, attribute, None)
    if not callable(function):
        raise UsageError(f"module '{name}' has no callable '{attribute}'")
    return function


def _described(result: Any) -> str:
    if isinstance(result, tuple):
        return f"a tuple of {', '.join(type(each).__name__ for each in result) or 'nothing'}"
    return type(result).__name__


def export_error(what: str, error: Exception) -> ExportError:
    """Return an error with the first line of ``error``: torch's own go on for pages."""
    lines = str(error).strip().splitlines()
    first = f": {lines[0].rstrip()}" if lines else ""
    return ExportError(what, found=f"{type(error).__name__}{first}", hint=_TRACEBACK)
