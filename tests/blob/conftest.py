"""Trees shared by the blob tests."""

import random
from collections.abc import Callable

import pytest

from etcoreml.blob import ROOT_NAME, Directory

RandomTree = Callable[[int], Directory]


@pytest.fixture
def model_tree() -> Directory:
    """A tree shaped like a lowered model, with names and contents that are awkward to encode."""
    return Directory.from_mapping(
        ROOT_NAME,
        {
            "metadata.json": b'{"inputNames": ["x"], "outputNames": ["y"], "identifier": "i"}',
            "model.mlpackage": {
                "Manifest.json": b"{}",
                "Data": {
                    "com.apple.CoreML": {
                        "model.mlmodel": bytes(range(256)),
                        "weights": {"weight.bin": b'}]}"{[:"sedon"{' * 7},
                    }
                },
            },
            "empty directory": {},
            'quote " brace { caf\u00e9 \U0001f600.txt': b"CMJR",
        },
    )


@pytest.fixture
def random_tree() -> RandomTree:
    """Make a tree of files that are not empty from a seed."""

    def directory(rng: random.Random, level: int) -> dict[str, object]:
        content: dict[str, object] = {}
        for _ in range(rng.randrange(5)):
            name = "".join(
                rng.choices('ab."{}[]:, \t\n\u00e9\u4e2d\U0001f600', k=rng.randint(1, 9))
            )
            if name not in (".", ".."):
                nested = level < 5 and rng.random() < 0.4
                nbytes = rng.choice([1, 2, 63, 64, 65, 500, 70_000])
                content[name] = directory(rng, level + 1) if nested else rng.randbytes(nbytes)
        return content

    def make(seed: int) -> Directory:
        rng = random.Random(seed)
        return Directory.from_mapping(ROOT_NAME, {"first": b"\0", **directory(rng, 1)})

    return make
