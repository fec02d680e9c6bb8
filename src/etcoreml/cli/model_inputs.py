"""Inputs of a Core ML model for ``etcoreml run``: files, or random values of each feature."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from etcoreml.cli import render
from etcoreml.cli.inputs import IMAGES, read_file, read_picture
from etcoreml.errors import EtCoreMLError, UsageError
from etcoreml.mil import Feature, ImageFormat
from etcoreml.runtime.images import MODES


def read_values(
    files: Sequence[tuple[str | None, Path]],
    features: Sequence[Feature],
    mean: float,
    std: float,
) -> dict[str, Any]:
    """Read a value for each input.

    Args:
        files: Name, None for the next input in order, and file.
        features: The model's inputs.
        mean: Subtracted from the pixels of a picture for a tensor, in units of 0 to 255.
        std: Such pixels are divided by it.

    Raises:
        UsageError: An input is unknown, given twice or missing, or a file cannot be read.
    """
    inputs = {feature.name: feature for feature in features}
    values: dict[str, Any] = {}
    unnamed = iter([name for name in inputs if name not in {given for given, _ in files}])
    for given, path in files:
        name = next(unnamed, None) if given is None else given
        if name is None or name not in inputs or name in values:
            raise UsageError(
                f"there is no input for '{path}'"
                if name not in inputs
                else f"input '{name}' is given twice",
                found=f"--input {path if given is None else f'{given}={path}'}",
                expected=f"inputs {', '.join(inputs)}",
            )
        values[name] = _read(path, inputs[name], mean, std)
    missing = [each.name for each in features if each.name not in values and not each.optional]
    if missing:
        raise UsageError(
            f"input '{missing[0]}' is missing",
            found=", ".join(values) or "none",
            expected=f"--input {missing[0]}=FILE",
        )
    return values


def random_values(features: Sequence[Feature], seed: int) -> dict[str, Any]:
    """Return a random value for each input that is not optional, in its default shape.

    Floats are normal, integers 0 and 1, pixels whole numbers from 0 to 255.

    Raises:
        UsageError: An input is neither an array nor an image.
    """
    generator = np.random.default_rng(seed)
    return {each.name: _random(each, generator) for each in features if not each.optional}


def _random(feature: Feature, generator: np.random.Generator) -> Any:
    image = feature.image
    if image is not None:
        channels = () if image.color_space.startswith("GRAY") else (3,)
        shape = (image.height, image.width, *channels)
        return generator.integers(0, 256, shape).astype(np.uint8)
    if feature.shape is None or feature.dtype is None:
        raise UsageError(
            f"input '{feature.name}' has no shape to draw numbers for",
            found=feature.kind,
            hint="Give every input with --input.",
        )
    if feature.dtype.is_float:
        return generator.standard_normal(feature.shape).astype(feature.dtype.storage)
    return generator.integers(0, 2, feature.shape).astype(feature.dtype.storage)


def _read(path: Path, feature: Feature, mean: float, std: float) -> Any:
    if feature.image is None or path.suffix.lower() not in IMAGES:
        return read_file(path, feature.shape or (), mean, std)
    try:
        picture = read_picture(path, MODES[feature.image.color_space], None)
    except EtCoreMLError:
        raise
    except Exception as error:  # Pillow raises whatever a damaged file makes it meet
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UsageError(f"cannot read '{path}': {reason}") from error
    return _fitted(picture, feature.image, path)


def _fitted(picture: Any, image: ImageFormat, path: Path) -> Any:
    """Resize a picture to the declared size, unless the model takes several."""
    size = (image.width, image.height)
    if picture.size == size or image.sizes or image.height_range or image.width_range:
        return picture
    given = f"{picture.width} x {picture.height}"
    render.print_note(f"'{path}' is resized from {given} to {image.width} x {image.height} pixels")
    return picture.resize(size, 3)  # bicubic
