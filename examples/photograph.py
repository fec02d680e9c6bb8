"""A real photograph, as EfficientNet-Lite0 wants it."""

from __future__ import annotations

import numpy as np
import skimage
import torch
from PIL import Image

SIZE = 224  # pixels


def photograph() -> torch.Tensor:
    """Return Chelsea the cat: ``(1, 3, 224, 224)`` fp32, pixels as ``(x - 127) / 128``."""
    picture = Image.fromarray(skimage.data.chelsea())
    # The network's authors resize so that the centre crop keeps 87.5 % of the shorter side.
    scale = SIZE / 0.875 / min(picture.size)
    width, height = (round(side * scale) for side in picture.size)
    picture = picture.resize((width, height), Image.Resampling.BICUBIC)
    left, top = (width - SIZE) // 2, (height - SIZE) // 2
    pixels = np.asarray(picture.crop((left, top, left + SIZE, top + SIZE)), np.float32)
    return torch.from_numpy((pixels - 127) / 128).permute(2, 0, 1)[None].contiguous()
