"""Random ops: their shapes and dtypes are compared, never their values."""

from __future__ import annotations

from functools import partial

import torch
from torch.nn import functional

from tests.coverage.case import case, floats

_random = partial(case, random=True)
_X = floats(3, 4)

CASES = (
    _random("rand", lambda x: torch.rand(3, 4) + x, _X),
    _random("randn", lambda x: torch.randn(3, 4) + x, _X),
    _random("randint", lambda x: torch.randint(0, 9, (3, 4)) + x, _X),
    _random("rand_like", lambda x: torch.rand_like(x) + x, _X),
    _random("bernoulli", lambda x: torch.bernoulli(x.sigmoid()), _X),
    _random("dropout_train", lambda x: functional.dropout(x, 0.5, training=True), _X),
    _random("normal", lambda x: torch.normal(x, 1.0), _X),
    _random("multinomial", lambda x: torch.multinomial(x.softmax(1), 2), _X),
    _random("randperm", lambda x: x[:, torch.randperm(4)], _X),
)
