"""Inputs of ``etcoreml run``: files, or random tensors of the declared shapes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from etcoreml.errors import UsageError

_IMAGES = (".png", ".jpg", ".jpeg")

Array = np.ndarray[Any, np.dtype[Any]]


def read_inputs(
    paths: Sequence[Path], shapes: Sequence[tuple[int, ...]], mean: float, std: float
) -> list[Any]:
    """Read one input per file.

    Args:
        paths: ``.npy`` and ``.pt`` files hold a tensor; pictures become fp32 ``(1, 3, H, W)`` in
            RGB, resized to the declared H and W and normalised.
        shapes: Declared shapes, in elements.
        mean: Subtracted from pixels, in units of 0 to 255.
        std: Pixels are divided by it, in units of 0 to 255.

    Raises:
        UsageError: A file cannot be read, or there are too many or too few.
    """
    if len(paths) != len(shapes):
        raise UsageError(
            "wrong number of --input files", found=len(paths), expected=f"{len(shapes)}, in order"
        )
    return [_read(path, shape, mean, std) for path, shape in zip(paths, shapes, strict=True)]


def random_inputs(signature: Sequence[tuple[tuple[int, ...], str | None]], seed: int) -> list[Any]:
    """Return one random tensor per input: normal floats, integers and bools of 0 and 1.

    Raises:
        UsageError: An input is not a tensor, so its value cannot be guessed.
    """
    generator = np.random.default_rng(seed)
    values = []
    for i, (shape, dtype) in enumerate(signature):
        if dtype is None:
            raise UsageError(f"input {i} is not a tensor: give every input with --input")
        if dtype.startswith("float"):
            values.append(generator.standard_normal(shape).astype(dtype))
        else:
            values.append(generator.integers(0, 2, shape).astype(dtype))
    return values


def _read(path: Path, shape: tuple[int, ...], mean: float, std: float) -> Any:
    suffix = path.suffix.lower()
    if suffix not in (".npy", ".pt", *_IMAGES):
        raise UsageError(
            f"cannot read '{path}'", found=suffix or "no suffix", expected=".npy, .pt, .png or .jpg"
        )
    try:
        if suffix == ".npy":
            return np.load(path, allow_pickle=False)
        if suffix == ".pt":
            import torch

            return torch.load(path, weights_only=True)
        return _read_image(path, shape, mean, std)
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(f"cannot read '{path}': {error}") from error


def _read_image(path: Path, shape: tuple[int, ...], mean: float, std: float) -> Array:
    try:
        from PIL import Image
    except ImportError as error:
        raise UsageError(
            "reading a picture needs the extra 'image'", hint="pip install 'etcoreml[image]'"
        ) from error
    if len(shape) != 4 or shape[1] != 3:
        raise UsageError(
            f"'{path}' is a picture, but the model's input is not one",
            found=shape,
            expected="(1, 3, height, width)",
        )
    height, width = shape[2:]
    with Image.open(path) as picture:
        pixels = np.asarray(
            picture.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
        )
    normalised = (pixels.astype(np.float32) - np.float32(mean)) / np.float32(std)
    return np.ascontiguousarray(normalised.transpose(2, 0, 1)[None])
