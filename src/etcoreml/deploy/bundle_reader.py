"""The bytes of a .bpte to its program and test cases, every offset checked.

ExecuTorch 1.5.1 reads a .bpte in C++, which trusts the file, and in Python through a JSON text of
the whole program; the accessors it generates for the format cannot be called, since its classes and
modules have the same names. Hence this reader, on FlatBuffers' own tables.

Source: executorch 1.5.1 ``devtools/bundled_program/schema/bundled_program_schema.fbs``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from flatbuffers import number_types
from flatbuffers.table import Table

from etcoreml.imports import quiet_imports

IDENTIFIER = b"BP08"

# Positions of the fields of each table, in the order of the schema.
_SUITES, _PROGRAM = 1, 2
_METHOD_NAME, _CASES = 0, 1
_INPUTS, _EXPECTED = 0, 1
_KIND, _VALUE = 0, 1
_SCALAR_TYPE, _SIZES, _DATA, _DIM_ORDER = 0, 1, 2, 3
_TENSOR, _INT, _BOOL, _DOUBLE = 1, 2, 3, 4

_OFFSET_NBYTES = 4

RawCase = tuple[str, tuple[Any, ...], tuple[Any, ...]]
"""Method, inputs, expected outputs."""


def read(data: bytes) -> tuple[bytes, list[RawCase]]:
    """Return the program and the cases.

    Args:
        data: The file, which begins as a .bpte does.

    Raises:
        Exception: Of any kind, where the file is damaged.
    """
    root = Table(data, _number(data, 0))
    cases = [
        (_string(suite, _METHOD_NAME), _values(case, _INPUTS), _values(case, _EXPECTED))
        for suite in _tables(root, _SUITES)
        for case in _tables(suite, _CASES)
    ]
    return _vector(root, _PROGRAM, number_types.Uint8Flags).tobytes(), cases


def _values(case: Table, field: int) -> tuple[Any, ...]:
    return tuple(_value(each) for each in _tables(case, field))


def _value(value: Table) -> Any:
    kind = _scalar(value, _KIND, number_types.Uint8Flags)
    table = _table(value, _at(value, _VALUE))
    numbers: dict[int, Callable[[], Any]] = {
        _INT: lambda: _scalar(table, 0, number_types.Int64Flags),
        _BOOL: lambda: bool(_scalar(table, 0, number_types.BoolFlags)),
        _DOUBLE: lambda: float(_scalar(table, 0, number_types.Float64Flags)),
    }
    return _tensor(table) if kind == _TENSOR else numbers[kind]()


def _tensor(table: Table) -> torch.Tensor:
    with quiet_imports():
        from executorch.exir.scalar_type import ScalarType
        from executorch.exir.tensor import get_scalar_type

    dtype = get_scalar_type(ScalarType(_scalar(table, _SCALAR_TYPE, number_types.Int8Flags)))
    sizes = _vector(table, _SIZES, number_types.Int32Flags).tolist()
    order = _vector(table, _DIM_ORDER, number_types.Uint8Flags).tolist()
    if sorted(order) != list(range(len(sizes))):
        msg = f"a tensor of {len(sizes)} dimensions in the order {order}"
        raise ValueError(msg)
    data = bytearray(_vector(table, _DATA, number_types.Uint8Flags))
    flat = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
    inverse = sorted(range(len(order)), key=order.__getitem__)
    return flat.reshape([sizes[axis] for axis in order]).permute(inverse)


def _tables(table: Table, field: int) -> Iterator[Table]:
    """Yield the tables of a vector; none if it is not there."""
    offset = table.Offset(_slot(field))
    if offset:
        start = table.Vector(offset)
        for index in range(table.VectorLen(offset)):
            yield _table(table, start + index * _OFFSET_NBYTES)


def _table(table: Table, at: int) -> Table:
    """Return the table that the offset at a position leads to."""
    return Table(table.Bytes, at + _number(table.Bytes, at))


def _vector(table: Table, field: int, flags: Any) -> Any:
    """Return a vector of numbers as an array; empty if it is not there."""
    offset = table.Offset(_slot(field))
    if not offset:
        return number_types.np.empty(0, number_types.to_numpy_type(flags))
    return table.GetVectorAsNumpy(flags, offset)


def _string(table: Table, field: int) -> str:
    return bytes(table.String(_at(table, field))).decode()


def _scalar(table: Table, field: int, flags: Any) -> Any:
    return table.GetSlot(_slot(field), flags.py_type(0), flags)


def _at(table: Table, field: int) -> int:
    offset = table.Offset(_slot(field))
    if not offset:
        msg = f"field {field} is missing"
        raise ValueError(msg)
    return int(table.Pos + offset)


def _number(data: bytes, at: int) -> int:
    number = int.from_bytes(data[at : at + _OFFSET_NBYTES], "little")
    if at < 0 or at + _OFFSET_NBYTES > len(data) or not number:
        msg = f"an offset at {at} of {len(data)} bytes leads nowhere"
        raise ValueError(msg)
    return number


def _slot(field: int) -> int:
    """Return the position of a field in a table's own table of fields."""
    return 4 + 2 * field
