"""Numbers far apart: what is computed through exponentials does not underflow. Oracle: eager."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own abbreviation
from torch import Tensor

import etcoreml
from tests.call import Call
from tests.lowering import lower

APART = torch.tensor([[0.0, -20.0, -90.0, -200.0, 3.0], [150.0, -150.0, 0.0, 30.0, -30.0]])

FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "log_softmax": lambda x: F.log_softmax(x, 1),
    "log_softmax of columns": lambda x: F.log_softmax(x, 0, dtype=torch.float32),
    "log_softmax of a number": lambda x: F.log_softmax(x[0, 3], 0),
    "log_softmax of infinities": lambda x: F.log_softmax(x.masked_fill(x < -25, float("-inf")), 1),
    "cross_entropy": lambda x: F.cross_entropy(x, torch.tensor([3, 1]), reduction="none"),
    "logsumexp": lambda x: x.logsumexp(1),
    "logsigmoid": F.logsigmoid,
    "softplus": F.softplus,
    "softmin": lambda x: F.softmin(x, 1),
    "logaddexp": lambda x: torch.logaddexp(x, x.flip(1)),
    "logcumsumexp": lambda x: x.logcumsumexp(1),
    "binary cross-entropy": lambda x: F.binary_cross_entropy_with_logits(
        x, (x > 0).float(), reduction="none"
    ),
    "mish": F.mish,
    "gelu": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "elu": F.elu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "hypot": lambda x: torch.hypot(x, x * 0.5),
}


@pytest.mark.parametrize(
    ("precision", "numerics", "tolerance"),
    [("float32", "fast", 1e-5), ("float16", "faithful", 4e-3)],
)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_results(name: str, precision: str, numerics: str, tolerance: float) -> None:
    """In fp16, too, as ``faithful`` rounds every value on the way."""
    program = lower(Call(FUNCTIONS[name]), (APART,), precision=precision)
    (found,) = etcoreml.load(program, numerics=numerics).forward(APART)
    torch.testing.assert_close(found, FUNCTIONS[name](APART), rtol=tolerance, atol=tolerance)
