"""Crops of the pictures that scikit-image carries, as EfficientNet-Lite0 wants them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import skimage
import torch
from PIL import Image

SIZE = 224  # pixels
NAMES = (
    *("astronaut.png", "brick.png", "camera.png", "chelsea.png", "coffee.png", "coins.png"),
    *("grass.png", "gravel.png", "horse.png", "hubble_deep_field.jpg", "ihc.png", "moon.png"),
    *("motorcycle_left.png", "page.png", "retina.jpg", "rocket.jpg"),
)


def crops(each: int, seed: int) -> torch.Tensor:
    """Return ``(16 * each, 3, 224, 224)`` fp32: random crops, half of them mirrored.

    Args:
        each: Crops of a picture.
        seed: Of the random choice; crops of another seed are other crops.
    """
    chance = np.random.default_rng(seed)
    folder = Path(skimage.data.__file__).parent
    pixels = []
    for name in NAMES:
        with Image.open(folder / name) as file:
            picture = file.convert("RGB")
        for _ in range(each):
            pixels.append(_crop(picture, chance))
    return torch.from_numpy((np.stack(pixels) - 127) / 128).permute(0, 3, 1, 2).contiguous()


def _crop(picture: Image.Image, chance: np.random.Generator) -> np.ndarray:
    side = int(min(picture.size) * chance.uniform(0.4, 1))
    left, top = (int(chance.integers(0, length - side + 1)) for length in picture.size)
    box = (left, top, left + side, top + side)
    cropped = picture.resize((SIZE, SIZE), Image.Resampling.BICUBIC, box=box)
    if chance.random() < 0.5:
        cropped = cropped.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return np.asarray(cropped, np.float32)
