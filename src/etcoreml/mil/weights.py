"""Weight files: validated views of their entries.

Enters: the bytes of a ``weight.bin``. Leaves: NumPy views, nothing copied unless misaligned.

Layout (MILBlob storage format 2, little-endian), verified against coremltools 9.0's writer:

* at 0, a header of 64 bytes: entry count (u32), version 2 (u32), zeros;
* at each entry's offset, which a ``BlobFileValue`` names, a record of 64 bytes: 0xDEADBEEF (u32),
  dtype (u32, own numbering), size in bytes (u64), offset of the data (u64), bits of padding in
  the last byte (u64, packed dtypes only), zeros;
* data at multiples of 64.
"""

from __future__ import annotations

import math
import struct
from types import MappingProxyType

import numpy as np

from etcoreml.errors import WeightError
from etcoreml.mil.program import Array
from etcoreml.types import BY_NAME, DType

_HEADER = struct.Struct("<II")
_RECORD = struct.Struct("<IIQQQ")
_RECORD_NBYTES = 64
_VERSION = 2
_SENTINEL = 0xDEADBEEF

_DTYPES = MappingProxyType(
    {
        1: "fp16",
        2: "fp32",
        3: "uint8",
        4: "int8",
        6: "int16",
        7: "uint16",
        8: "int4",
        9: "uint1",
        10: "uint2",
        11: "uint4",
        12: "uint3",
        13: "uint6",
        14: "int32",
        15: "uint32",
    }
)


class WeightFile:
    """One weight file.

    Args:
        name: Path inside the package, for messages.
        data: Its bytes.

    Raises:
        WeightError: The file is too short for its header or of another version.
    """

    def __init__(self, name: str, data: memoryview) -> None:
        self.name = name
        self.data = data
        if data.nbytes < _RECORD_NBYTES:
            msg = f"weights {name!r} are too short for a header"
            raise WeightError(
                msg,
                found=f"{data.nbytes} bytes",
                expected=f"at least {_RECORD_NBYTES}",
            )
        _, version = _HEADER.unpack_from(data)
        if version != _VERSION:
            msg = f"weights {name!r} are of an unknown version"
            raise WeightError(msg, found=version, expected=_VERSION)

    def read(self, offset_bytes: int, dtype: DType, shape: tuple[int, ...], what: str) -> Array:
        """View one entry.

        Args:
            offset_bytes: Where its record starts.
            dtype: Expected element type.
            shape: Expected shape.
            what: Name of the value, for messages.

        Returns:
            Read-only: ``shape`` of the storage dtype, or ``(nbytes,)`` uint8 for packed dtypes.

        Raises:
            WeightError: The record or its data is out of bounds, has no sentinel, or differs
                from the expected dtype or size.
        """
        where = f"weights {self.name!r}, entry at {offset_bytes} ({what})"
        if offset_bytes < 0 or offset_bytes + _RECORD_NBYTES > self.data.nbytes:
            msg = f"{where}: the record is out of bounds"
            raise WeightError(
                msg,
                expected=f"at most {self.data.nbytes - _RECORD_NBYTES}",
            )
        sentinel, number, nbytes, start, _ = _RECORD.unpack_from(self.data, offset_bytes)
        if sentinel != _SENTINEL:
            msg = f"{where}: no record starts here"
            raise WeightError(
                msg,
                found=f"{sentinel:#010x}",
                expected=f"{_SENTINEL:#010x}",
            )
        if _DTYPES.get(number) != dtype.name:
            found = _DTYPES.get(number, f"unknown number {number}")
            msg = f"{where}: wrong dtype"
            raise WeightError(msg, found=found, expected=dtype)
        count = math.prod(shape)
        if nbytes != dtype.nbytes(count):
            msg = f"{where}: wrong size for {dtype}{list(shape)}"
            raise WeightError(
                msg,
                found=f"{nbytes} bytes",
                expected=f"{dtype.nbytes(count)} bytes",
            )
        if start + nbytes > self.data.nbytes:
            msg = f"{where}: the data is out of bounds"
            raise WeightError(
                msg,
                found=f"bytes {start} to {start + nbytes}",
                expected=f"at most {self.data.nbytes}",
            )
        return view(self.data[start : start + nbytes], dtype, shape)


def view(data: memoryview | bytes, dtype: DType, shape: tuple[int, ...]) -> Array:
    """View bytes as an array of ``shape``, or as uint8 bytes for packed dtypes; read-only.

    Bytes inside a .pte may start anywhere; misaligned ones are copied, because OpenVINO's
    kernels may assume natural alignment.

    Raises:
        WeightError: NumPy cannot represent ``shape``.
    """
    storage = BY_NAME["uint8"].storage if dtype.is_packed else dtype.storage
    array: Array = np.frombuffer(data, storage)
    if not array.flags.aligned:
        array = array.copy()
    try:
        array = array if dtype.is_packed else array.reshape(shape)
    except ValueError as error:  # an empty array of dimensions past what an address can hold
        msg = f"a tensor of shape {list(shape)} cannot exist"
        raise WeightError(msg, found=error) from error
    array.flags.writeable = False
    return array
