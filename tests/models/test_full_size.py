"""Networks at full size, through the facade. Oracle: torch eager in fp32."""

from __future__ import annotations

import pytest
import torch

import etcoreml
from etcoreml.runtime.pte import parse_pte
from tests.lowering import lower, snr_db
from tests.models.full_size import FULL_SIZE

# The floors of the small networks: depth costs little, since every layer is rounded on its own.
FLOORS_DB = {"float16": 48, "float32": 100}


@pytest.mark.slow
@pytest.mark.parametrize("precision", FLOORS_DB)
@pytest.mark.parametrize("name", FULL_SIZE)
def test_network_agrees_with_eager(name: str, precision: str) -> None:
    module, inputs = FULL_SIZE[name]()
    with torch.inference_mode():
        expected = module(*inputs)
    data = lower(module, inputs, precision=precision)
    (method,) = parse_pte(data).methods
    assert dict(method.operators) == {}
    assert len(method.delegates) == 1
    (actual,) = etcoreml.load(data).forward(*inputs)
    assert actual.shape == expected.shape
    print(f"{name}, {precision}: {snr_db(actual, expected):.1f} dB")
    assert snr_db(actual, expected) >= FLOORS_DB[precision]
