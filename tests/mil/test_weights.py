"""Weight files against coremltools' own writer, and hostile ones."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from etcoreml.errors import WeightError
from etcoreml.mil.ct import coremltools
from etcoreml.mil.program import Constant, TensorType
from etcoreml.mil.weights import WeightFile
from etcoreml.types import BY_NAME

VALUES = {
    "fp16": np.array([1.5, -2, 65504], np.float16),
    "fp32": np.array([1.5, -2, 3e38], np.float32),
    "uint8": np.array([0, 7, 255], np.uint8),
    "int8": np.array([-128, 7, 127], np.int8),
    "int16": np.array([-32768, 7, 32767], np.int16),
    "uint16": np.array([0, 7, 65535], np.uint16),
    "int32": np.array([-(2**31), 7, 2**31 - 1], np.int32),
    "uint32": np.array([0, 7, 2**32 - 1], np.uint32),
    "int4": np.array([-8, 7, -1, 0, 3], np.int8),
    "uint4": np.array([0, 15, 7, 8, 3], np.uint8),
    "uint1": np.array([1, 0, 1, 1, 0, 0, 1, 0, 1], np.uint8),
    "uint2": np.array([0, 3, 2, 1, 3], np.uint8),
    "uint3": np.array([0, 7, 5, 2, 6, 1, 4], np.uint8),
    "uint6": np.array([0, 63, 33, 12, 5], np.uint8),
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[memoryview, dict[str, int]]:
    """One entry of each dtype, written by coremltools; the file and the entries' offsets."""
    coremltools()
    from coremltools.libmilstoragepython import (  # noqa: TID251 - the format's own writer
        _BlobStorageWriter,
    )

    path = tmp_path_factory.mktemp("weights") / "weight.bin"
    writer = _BlobStorageWriter(str(path))
    offsets = {}
    for name, values in VALUES.items():
        method = {"fp32": "float"}.get(name, name)
        data = values.view(np.uint16) if name == "fp16" else values
        offsets[name] = getattr(writer, f"write_{method}_data")(data)
    del writer
    return memoryview(path.read_bytes()), offsets


@pytest.mark.parametrize("name", list(VALUES))
def test_every_dtype_reads_back(written: Any, name: str) -> None:
    data, offsets = written
    dtype, values = BY_NAME[name], VALUES[name]
    array = WeightFile("w", data).read(offsets[name], dtype, values.shape, "value")
    assert not array.flags.writeable
    constant = Constant(TensorType(dtype, values.shape), array)
    found = constant.unpack()
    assert found.dtype == dtype.storage
    np.testing.assert_array_equal(found, values)


def _record(number: int = 2, nbytes: int = 8, start: int = 128, sentinel: int = 0xDEADBEEF) -> Any:
    file = bytearray(136)
    struct.pack_into("<II", file, 0, 1, 2)
    struct.pack_into("<IIQQQ", file, 64, sentinel, number, nbytes, start, 0)
    return memoryview(file)


@pytest.mark.parametrize(
    ("data", "offset", "words"),
    [
        (_record(), 73, "out of bounds"),
        (_record(), 2**63, "out of bounds"),
        (_record(sentinel=0), 64, "no record"),
        (_record(number=99), 64, "unknown number 99"),
        (_record(number=1), 64, "found fp16; expected fp32"),
        (_record(nbytes=12), 64, "found 12 bytes; expected 8 bytes"),
        (_record(start=129), 64, "data is out of bounds"),
        (_record(start=2**64 - 8), 64, "data is out of bounds"),
    ],
)
def test_entries_that_lie_are_refused(data: memoryview, offset: int, words: str) -> None:
    with pytest.raises(WeightError, match=words):
        WeightFile("w", data).read(offset, BY_NAME["fp32"], (2,), "value")


def test_files_that_are_none_are_refused() -> None:
    with pytest.raises(WeightError, match="too short"):
        WeightFile("w", memoryview(b"\0" * 63))
    with pytest.raises(WeightError, match="unknown version; found 3; expected 2"):
        WeightFile("w", memoryview(struct.pack("<II", 1, 3) + b"\0" * 64))


def test_paths_stay_out_of_messages_of_the_format(tmp_path: Path) -> None:
    with pytest.raises(WeightError) as caught:
        WeightFile("weights/weight.bin", memoryview(b""))
    assert str(tmp_path) not in str(caught.value)
