"""All architectures, by family, and the modes each is lowered in."""

from __future__ import annotations

from collections.abc import Mapping

from tests.architectures.audio import AUDIO
from tests.architectures.cached import CACHED
from tests.architectures.dense import DENSE
from tests.architectures.model import Builder, Family
from tests.architectures.multimodal import MULTIMODAL
from tests.architectures.text import DECODERS, ENCODERS
from tests.architectures.vision import IMAGES

FAMILIES: Mapping[str, Family] = {
    "Images": IMAGES,
    "Pixels and objects": DENSE,
    "Text, encoders": ENCODERS,
    "Text, decoders": DECODERS,
    "Audio and recurrent": AUDIO,
    "Several kinds of input": MULTIMODAL,
    "With a cache": CACHED,
}

ARCHITECTURES: Mapping[str, Builder] = {
    name: each for family in FAMILIES.values() for name, each in family.items()
}
