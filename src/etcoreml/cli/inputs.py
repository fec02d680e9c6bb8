"""Inputs of ``etcoreml run``: files, or random tensors of a method's declared shapes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from etcoreml.errors import EtCoreMLError, UsageError
from etcoreml.types import BY_EXECUTORCH

IMAGES = (".png", ".jpg", ".jpeg")
"""Suffixes of pictures."""

_NUMPY_DTYPES = frozenset(row.torch for row in BY_EXECUTORCH.values())

Array = np.ndarray[Any, np.dtype[Any]]


# A declared shape, and the name of a torch dtype; None for a number that is not a tensor.
Signature = Sequence[tuple[tuple[int, ...], str | None]]


def check_readable(path: Path) -> None:
    """Check that an input file exists and is of a kind that can be read.

    Raises:
        UsageError: It does not, or is not.
    """
    if path.suffix.lower() not in (".npy", ".pt", *IMAGES):
        raise UsageError(
            f"cannot read '{path}'",
            found=path.suffix or "no suffix",
            expected=".npy, .pt, .png or .jpg",
        )
    if not path.is_file():
        raise UsageError(f"there is no file '{path}'")


def input_files(values: Sequence[str]) -> list[tuple[str | None, Path]]:
    """Return the input's name, if one is given, and the file of each ``[NAME=]FILE``.

    Raises:
        UsageError: A file does not exist, or cannot be read.
    """
    files: list[tuple[str | None, Path]] = []
    for value in values:
        name, separator, file = value.partition("=")
        # A file may have an equals sign in its name.
        named = bool(separator and name) and not Path(value).exists()
        path = Path(file if named else value)
        check_readable(path)
        files.append((name if named else None, path))
    return files


def unnamed_files(files: Sequence[tuple[str | None, Path]]) -> list[Path]:
    """Return the files of inputs that have no names, those of a .pte.

    Raises:
        UsageError: One was given a name.
    """
    for name, path in files:
        if name is not None:
            raise UsageError(
                "the inputs of a .pte have no names",
                found=f"--input {name}={path}",
                expected=f"--input {path}, in order",
            )
    return [path for _, path in files]


def read_inputs(paths: Sequence[Path], signature: Signature, mean: float, std: float) -> list[Any]:
    """Read one input per file.

    Args:
        paths: ``.npy`` and ``.pt`` files hold a tensor; pictures become fp32 ``(1, 3, H, W)`` in
            RGB, resized to the declared H and W and normalised.
        signature: Declared shapes and dtypes.
        mean: Subtracted from pixels, in units of 0 to 255.
        std: Pixels are divided by it, in units of 0 to 255.

    Raises:
        UsageError: A file cannot be read, or there are too many or too few.
    """
    if len(paths) != len(signature):
        raise UsageError(
            "wrong number of --input files",
            found=len(paths),
            expected=f"{len(signature)}, in order",
        )
    return [
        read_file(path, shape, mean, std) if dtype else _number(path)
        for path, (shape, dtype) in zip(paths, signature, strict=True)
    ]


def random_inputs(signature: Signature, seed: int) -> list[Any]:
    """Return one random tensor per input: normal floats, integers and bools of 0 and 1.

    Raises:
        UsageError: An input is not a tensor, or not of a dtype that NumPy has.
    """
    generator = np.random.default_rng(seed)
    values = []
    for i, (shape, dtype) in enumerate(signature):
        if dtype is None:
            raise UsageError(f"input {i} is a number: give every input with --input")
        if dtype not in _NUMPY_DTYPES:
            raise UsageError(f"input {i} is {dtype}: give every input as a .pt with --input")
        if dtype.startswith("float"):
            values.append(generator.standard_normal(shape).astype(dtype))
        else:
            values.append(generator.integers(0, 2, shape).astype(dtype))
    return values


def read_file(path: Path, shape: tuple[int, ...], mean: float, std: float) -> Any:
    """Read one input; arguments as of `read_inputs`.

    Raises:
        UsageError: The file cannot be read, or is a picture and the shape is not one's.
    """
    suffix = path.suffix.lower()
    try:
        if suffix == ".npy":
            return np.load(path, allow_pickle=False)
        if suffix == ".pt":
            return _read_tensor(path)
        return _read_image(path, shape, mean, std)
    except EtCoreMLError:
        raise
    except Exception as error:  # the libraries raise whatever a damaged file makes them meet
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UsageError(f"cannot read '{path}': {reason}") from error


def _read_tensor(path: Path) -> Any:
    import torch

    value = torch.load(path, weights_only=True)
    if not isinstance(value, torch.Tensor):
        raise UsageError(f"'{path}' holds no tensor", found=type(value).__name__)
    return value


def _number(path: Path) -> Any:
    """Read a number: a method may take one where the model was exported with one."""
    value = read_file(path, (), 0.0, 1.0)
    if value.ndim:
        raise UsageError(f"'{path}'", found=tuple(value.shape), expected="a number, of shape ()")
    return value.item()


def _read_image(path: Path, shape: tuple[int, ...], mean: float, std: float) -> Array:
    if len(shape) != 4 or shape[1] != 3:
        raise UsageError(
            f"'{path}' is a picture, but the model's input is not one",
            found=shape,
            expected="(1, 3, height, width)",
        )
    height, width = shape[2:]
    pixels = np.asarray(read_picture(path, "RGB", (width, height)))
    normalised = (pixels.astype(np.float32) - np.float32(mean)) / np.float32(std)
    return np.ascontiguousarray(normalised.transpose(2, 0, 1)[None])


def read_picture(path: Path, mode: str, size: tuple[int, int] | None) -> Any:
    """Return a picture as a PIL image.

    Args:
        path: The file.
        mode: The mode to convert it to.
        size: Width and height to resize it to, in pixels; None leaves it as it is.

    Raises:
        UsageError: Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise UsageError(
            "reading a picture needs the extra 'image'", hint="pip install 'etcoreml[image]'"
        ) from error
    with Image.open(path) as picture:
        converted = picture.convert(mode)
    return converted if size is None else converted.resize(size, Image.Resampling.BICUBIC)
