"""The dtypes of the four vocabularies that meet here: MIL, NumPy, torch and ExecuTorch, OpenVINO.

One table, one row per MIL dtype. Sub-byte dtypes have no NumPy twin: their values are packed
least significant bits first, and unpack into ``storage``.

Sources: coremltools 9.0 ``mlmodel/format/MIL.proto`` (enum DataType) and ``FeatureTypes.proto``;
executorch 1.5.1 ``runtime/core/portable_type/scalar_type.h``; OpenVINO 2026.4 ``element::Type``.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

import numpy as np


@dataclass(frozen=True)
class DType:
    """One element type under each of its names.

    Attributes:
        name: MIL's spelling in op parameters, e.g. ``fp16``.
        bits: Width of one element in bits.
        mil: Value of ``MIL.Specification.DataType``.
        storage: NumPy dtype that holds one element (unpacked, for sub-byte types).
        torch: Name of the torch dtype, or None.
        openvino: Name of the OpenVINO element type, or None.
        executorch: Value of ExecuTorch's ``ScalarType``, or None.
    """

    name: str
    bits: int
    mil: int
    storage: np.dtype[np.generic]
    torch: str | None
    openvino: str | None
    executorch: int | None

    @property
    def is_float(self) -> bool:
        """Whether the type is a floating-point type."""
        return self.name.startswith("fp")

    @property
    def is_packed(self) -> bool:
        """Whether several elements share a byte in storage."""
        return self.bits < 8 and self.name != "bool"

    def nbytes(self, elements: int) -> int:
        """Return the size in bytes of ``elements`` packed elements."""
        return (elements * self.bits + 7) // 8

    def __str__(self) -> str:
        return self.name


def _row(
    name: str,
    bits: int,
    mil: int,
    storage: str,
    torch: str | None,
    openvino: str | None,
    executorch: int | None,
) -> DType:
    return DType(name, bits, mil, np.dtype(storage), torch, openvino, executorch)


_ROWS = (
    #    MIL       bits mil storage    torch      OpenVINO   ExecuTorch
    _row("bool", 8, 1, "bool", "bool", "boolean", 11),
    _row("fp16", 16, 10, "float16", "float16", "f16", 5),
    _row("fp32", 32, 11, "float32", "float32", "f32", 6),
    _row("fp64", 64, 12, "float64", "float64", "f64", 7),
    _row("int4", 4, 25, "int8", None, "i4", None),
    _row("int8", 8, 21, "int8", "int8", "i8", 1),
    _row("int16", 16, 22, "int16", "int16", "i16", 2),
    _row("int32", 32, 23, "int32", "int32", "i32", 3),
    _row("int64", 64, 24, "int64", "int64", "i64", 4),
    _row("uint1", 1, 37, "uint8", None, "u1", None),
    _row("uint2", 2, 36, "uint8", None, "u2", None),
    _row("uint3", 3, 39, "uint8", None, "u3", None),
    _row("uint4", 4, 35, "uint8", None, "u4", None),
    _row("uint6", 6, 38, "uint8", None, "u6", None),
    _row("uint8", 8, 31, "uint8", "uint8", "u8", 0),
    _row("uint16", 16, 32, "uint16", "uint16", "u16", 27),
    _row("uint32", 32, 33, "uint32", "uint32", "u32", 28),
    _row("uint64", 64, 34, "uint64", "uint64", "u64", 29),
)

BY_NAME = MappingProxyType({row.name: row for row in _ROWS})
BY_MIL = MappingProxyType({row.mil: row for row in _ROWS})
BY_EXECUTORCH = MappingProxyType(
    {row.executorch: row for row in _ROWS if row.executorch is not None}
)
BY_OPENVINO = MappingProxyType({row.openvino: row for row in _ROWS if row.openvino is not None})
BY_NUMPY = MappingProxyType({row.storage: row for row in _ROWS if not row.is_packed})

BOOL = BY_NAME["bool"]
FP16 = BY_NAME["fp16"]
FP32 = BY_NAME["fp32"]
INT32 = BY_NAME["int32"]
INT64 = BY_NAME["int64"]
