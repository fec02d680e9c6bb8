"""Reductions, scans, sorting and counting."""

from __future__ import annotations

import torch
from torch.nn import functional

from tests.coverage.case import bools, case, floats, ints, outside

_X, _I, _B = floats(3, 4, 5), ints(3, 4), bools(3, 4)

CASES = (
    case("sum_all", torch.sum, _X),
    case("sum_dim", lambda x: x.sum(1, keepdim=True), _X),
    case("sum_i64", lambda x: x.sum(1), _I),
    case("mean_all", torch.mean, _X),
    case("mean_dim", lambda x: x.mean((0, 2)), _X),
    case("amax_all", torch.amax, _X),
    case("amin_all", torch.amin, _X),
    case("amax_dim", lambda x: x.amax(1), _X),
    case("amin_dim", lambda x: x.amin((1, 2), keepdim=True), _X),
    case("amax_i64", lambda x: x.amax(1), _I),
    case("amin_i64", lambda x: x.amin(1), _I),
    case("prod_all", torch.prod, floats(2, 3)),
    case("prod_dim", lambda x: x.prod(1), _X),
    case("prod_i64", lambda x: x.prod(1), _I),
    case("min_dim", lambda x: x.min(1), _X),
    case("max_dim", lambda x: x.max(-1, keepdim=True), _X),
    case("argmax", lambda x: x.argmax(1), _X),
    case("argmax_flat", torch.argmax, _X),
    case("argmin_keep", lambda x: x.argmin(2, keepdim=True), _X),
    case("var", lambda x: x.var(1), _X),
    case("var_corr0", lambda x: x.var((0, 1), correction=0), _X),
    case("var_mean", lambda x: torch.var_mean(x, 1), _X),
    case("std", lambda x: x.std(1), _X),
    case("norm_1", lambda x: torch.norm(x, p=1, dim=1), _X),
    case("norm_2", lambda x: torch.norm(x, p=2, dim=1), _X),
    case("norm_inf", lambda x: torch.linalg.vector_norm(x, float("inf"), 1), _X),
    case("all_dim", lambda x: x.all(1), _B),
    case("any_dim", lambda x: x.any(1), _B),
    case("any", torch.any, _B),
    case("logsumexp", lambda x: torch.logsumexp(x, 1), _X),
    case("cumsum", lambda x: x.cumsum(1), _X),
    case("cumsum_i64", lambda x: x.cumsum(1), _I),
    case("cumprod", lambda x: x.cumprod(1), _X),
    case("cummax", lambda x: torch.cummax(x, 1), _X),
    case("median", lambda x: x.median(1), _X),
    case("mode", lambda x: torch.mode(x, 1), _I),
    case("kthvalue", lambda x: torch.kthvalue(x, 2, 1), _X),
    case("nansum", torch.nansum, torch.tensor([[1.0, float("nan")], [2.0, 3.0]])),
    case("count_nonzero", lambda x: torch.count_nonzero(x, 1), _I),
    case("topk", lambda x: x.topk(2, 1), _X),
    case("sort", lambda x: x.sort(1), _X),
    case("sort_stable", lambda x: torch.sort(x, stable=True, dim=1), ints(3, 8, low=0, high=3)),
    case("argsort", lambda x: x.argsort(1, descending=True), _X),
    case("nonzero", torch.nonzero, _I),
    outside(
        "unique",
        torch.unique,
        ints(7, low=0, high=4),
        why="Core ML has no op for it, and the size of its result depends on the values",
        runs=False,
    ),
    outside(
        "bincount",
        torch.bincount,
        ints(7, low=0, high=4),
        why="Core ML has no op for it, and the size of its result depends on the values",
        runs=False,
    ),
    case("histc", lambda x: torch.histc(x, 5, -2, 2), floats(30)),
    case("F_normalize", lambda x: functional.normalize(x, dim=1), _X),
    case("softmax", lambda x: x.softmax(1), _X),
    case("softmin", lambda x: functional.softmin(x, 1), _X),
    case("log_softmax", lambda x: x.log_softmax(-1), _X),
)
