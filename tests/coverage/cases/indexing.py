"""Gathers, scatters, lookups."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from tests.coverage.case import bools, case, floats, ints

_X = floats(4, 5, 6)
_ROWS = torch.tensor([2, 0, 3])
_SOURCE = floats(3, 5, 6, seed=1)
_AT = torch.tensor([[0, 1, 2, 1, 0], [3, 3, 0, 2, 1]])
_PLANE, _VALUES = floats(4, 5), floats(2, 5, seed=1)


def _set_item(x: Tensor) -> Tensor:
    y = x.clone()
    y[:, 1] = 0.5
    y[0] = x[1] * 2
    return y


def _embedding(layer: Any, *inputs: Tensor, name: str) -> Any:
    torch.manual_seed(0)
    return case(name, layer(10, 4, **({"padding_idx": 1} if "pad" in name else {})), *inputs)


CASES = (
    _embedding(nn.Embedding, ints(2, 5, low=0, high=10), name="embedding"),
    _embedding(nn.Embedding, ints(2, 5, low=0, high=10), name="embedding_pad"),
    _embedding(nn.EmbeddingBag, ints(3, 5, low=0, high=10), name="embedding_bag"),
    case("gather", lambda x, i: x.gather(0, i), _PLANE, _AT),
    case("index_select", lambda x, i: x.index_select(0, i), _X, _ROWS),
    case("index_tensor", lambda x, i: x[i], _X, _ROWS),
    case("index_two", lambda x, i, j: x[i, j], _X, _ROWS, _ROWS + 1),
    case("index_mixed", lambda x, i: x[i, :, 1:3], _X, _ROWS),
    case("index_bool_mask", lambda x, m: x[m], _PLANE, bools(4, 5)),
    case("index_put", lambda x, i, v: x.index_put((i,), v), _X, _ROWS, _SOURCE),
    case(
        "index_put_acc",
        lambda x, i, v: x.index_put((i,), v, accumulate=True),
        _X,
        torch.tensor([2, 0, 2]),
        _SOURCE,
    ),
    case("index_copy", lambda x, i, v: x.index_copy(0, i, v), _X, _ROWS, _SOURCE),
    case("index_add", lambda x, i, v: x.index_add(0, i, v), _X, torch.tensor([1, 1, 0]), _SOURCE),
    case("index_fill", lambda x, i: x.index_fill(0, i, 1.5), _X, _ROWS),
    case("scatter", lambda x, i, v: x.scatter(0, i, v), _PLANE, _AT, _VALUES),
    case("scatter_value", lambda x, i: x.scatter(0, i, 1.5), _PLANE, _AT),
    case("scatter_add", lambda x, i, v: x.scatter_add(0, i, v), _PLANE, _AT, _VALUES),
    case(
        "scatter_reduce_amax",
        lambda x, i, v: x.scatter_reduce(0, i, v, "amax"),
        _PLANE,
        _AT,
        _VALUES,
    ),
    case("select_scatter", lambda x, v: x.select_scatter(v, 1, 2), _X, floats(4, 6)),
    case("slice_scatter", lambda x, v: x.slice_scatter(v, 1, 1, 3), _X, floats(4, 2, 6)),
    case("take_along", lambda x: torch.take_along_dim(x, x.argsort(1), 1), _PLANE),
    case("take", torch.take, _PLANE, torch.tensor([0, 19, 7])),
    case("one_hot", lambda i: torch.nn.functional.one_hot(i, 6), ints(4, low=0, high=6)),
    case("searchsorted", torch.searchsorted, floats(8).sort().values, floats(5, seed=1)),
    case("bucketize", torch.bucketize, floats(2, 5), floats(8, seed=1).sort().values),
    case("isin", torch.isin, ints(3, 4), torch.tensor([1, 3, -2])),
    case("masked_select", torch.masked_select, _PLANE, bools(4, 5)),
    case("masked_scatter", torch.masked_scatter, _PLANE, bools(4, 5), floats(20, seed=1)),
    case("inplace_setitem", _set_item, _X),
    case("scalar_i64_index", lambda x, i: x.index_select(0, i), _X, torch.tensor([2])),
)
