"""Constants and packed elements. Oracle: arithmetic on Python integers."""

from __future__ import annotations

import numpy as np
import pytest

from etcoreml.mil.program import (
    Constant,
    DictionaryType,
    ListType,
    StringType,
    TensorType,
    unpack_bits,
)
from etcoreml.types import BY_NAME, INT32


@pytest.mark.parametrize("name", ["uint1", "uint2", "uint3", "uint4", "uint6", "int4"])
@pytest.mark.parametrize("count", [0, 1, 7, 8, 33])
def test_elements_follow_each_other_low_bits_first(name: str, count: int) -> None:
    dtype = BY_NAME[name]
    values = np.random.default_rng(count).integers(0, 2**dtype.bits, count)
    number = sum(int(value) << (i * dtype.bits) for i, value in enumerate(values))
    packed = np.frombuffer(number.to_bytes(dtype.nbytes(count), "little"), np.uint8)
    wanted = np.where(values >= 8, values - 16, values) if name == "int4" else values
    found = unpack_bits(packed, dtype, (count,))
    assert found.dtype == dtype.storage
    np.testing.assert_array_equal(found, wanted)


def test_python_values() -> None:
    text = Constant(StringType(), "valid")
    one = Constant(TensorType(INT32, ()), np.array(1, np.int32))
    pair = Constant(ListType(StringType(), 2), (text, Constant(StringType(), "same")))
    table = Constant(DictionaryType(StringType(), TensorType(INT32, ())), ((text, one),))
    assert text.python() == "valid"
    assert one.python() == 1
    assert pair.python() == ("valid", "same")
    assert table.python() == {"valid": 1}
    with pytest.raises(TypeError, match="string"):
        text.unpack()


def test_types_read_as_mil_writes_them() -> None:
    assert str(TensorType(BY_NAME["fp16"], (1, None))) == "fp16[1, ?]"
    assert str(ListType(StringType(), None)) == "list<string, ?>"
