"""Every decomposition is PyTorch's own op: the traced graph gives what the op gives."""

from __future__ import annotations

import pytest
import torch
from torch.utils import _pytree as pytree

from etcoreml.compiler.decompositions import expand
from tests.coverage.case import Case
from tests.coverage.harness import difference
from tests.coverage.matrix import CASES

_NUMBERS = (
    *("expm1", "log1p", "asinh", "trunc", "isinf", "isnan", "logit", "erfc", "exp2", "signbit"),
    *("copysign", "fmax", "fmin", "hypot", "xlogy", "logaddexp", "fmod", "fmod_i64", "lgamma"),
    *("digamma", "erfinv", "i0", "bitwise_left_shift", "bitwise_right_shift", "remainder"),
    *("floor_divide", "add_alpha", "addmm", "lerp", "matvec", "cdist", "bilinear"),
    *("var_mean", "cumprod", "cummax", "kthvalue", "median", "mode", "histc", "bucketize"),
    *("searchsorted", "sort_stable", "argmax_flat", "diagonal", "as_strided", "unfold_t"),
    *("masked_select", "masked_scatter", "embedding_bag", "maxpool2d_dil"),
    *("maxpool2d_idx", "avgpool2d_ceil", "avgpool2d_divisor", "adaptive_avg3d", "adaptive_max"),
    *("up_antialias", "F_softplus", "softplus_beta", "exp_i64", "sqrt_i64"),
)


@pytest.mark.parametrize("case", [CASES[name] for name in _NUMBERS], ids=str)
def test_numbers(case: Case) -> None:
    program = torch.export.export(case.module, case.inputs, strict=False).run_decompositions({})
    ops = {str(node.target) for node in program.graph.nodes}
    changed = expand(program.graph)
    program.graph.eliminate_dead_code()
    program.graph.lint()
    program.graph_module.recompile()
    assert changed or case.name in ("F_softplus", "searchsorted"), ops
    found = program.module()(*case.inputs)
    wanted = case.module(*case.inputs)
    assert not difference(pytree.tree_leaves(found), pytree.tree_leaves(wanted), case, "float32")
