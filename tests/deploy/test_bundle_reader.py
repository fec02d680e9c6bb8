"""Damaged bundled programs: an error of ours, never a crash. Oracle: the intact file."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import etcoreml
from etcoreml.deploy.bundle_reader import read
from etcoreml.deploy.bundled import case, read_bundle, write_bundle
from etcoreml.errors import ProgramError
from tests.lowering import lower


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("bundle") / "relu.pte"
    path.write_bytes(lower(nn.ReLU(), (torch.ones(2, 3),)))
    x = torch.arange(6.0).reshape(2, 3) - 3
    return write_bundle(path, [case(etcoreml.load(path), "forward", (x,), [x.relu()])])


def test_what_was_written(bundle: bytes) -> None:
    pte, ((method, inputs, expected),) = read(bundle)
    assert pte[4:8] == b"ET12"
    assert method == "forward"
    assert inputs[0].tolist() == [[-3.0, -2.0, -1.0], [0.0, 1.0, 2.0]]
    assert expected[0].tolist() == [[0.0, 0.0, 0.0], [0.0, 1.0, 2.0]]


@pytest.mark.parametrize("data", [b"", b"BP08", b"PK\x03\x04BP07", b"\0\0\0\0ET12" + b"\0" * 100])
def test_other_files(data: bytes) -> None:
    with pytest.raises(ProgramError, match=r"it is not a \.bpte"):
        read_bundle(data, "it")


def test_truncated(bundle: bytes) -> None:
    for length in range(8, len(bundle) - 64, 97):
        with pytest.raises(ProgramError, match="it is damaged"):
            read_bundle(bundle[:length], "it")


def test_random_damage(bundle: bytes) -> None:
    """Every offset is followed with care: whatever is read, nothing but our error comes out."""
    generator = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        data = bytearray(bundle)
        for at in generator.integers(8, len(data), 3):
            data[at] = generator.integers(256)
        # Where the tables are.
        at = int.from_bytes(bundle[:4], "little") + int(generator.integers(0, 40))
        data[at] = generator.integers(256)
        try:
            read_bundle(bytes(data), "it")
        except ProgramError:
            refused += 1
    assert refused > 30
