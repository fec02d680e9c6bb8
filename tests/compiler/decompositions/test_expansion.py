"""Every decomposition is PyTorch's own op: the traced graph gives what the op gives."""

from __future__ import annotations

import importlib

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils import _pytree as pytree

from etcoreml.compiler.decompositions import expand
from tests.coverage.case import Case, floats
from tests.coverage.harness import difference
from tests.coverage.matrix import CASES
from tests.lowering import CoreMLPartitioner, Runtime, lower, snr_db, specs

_NUMBERS = (
    *("expm1", "log1p", "asinh", "trunc", "isinf", "isnan", "logit", "erfc", "exp2", "signbit"),
    *("copysign", "fmax", "fmin", "hypot", "xlogy", "logaddexp", "fmod", "fmod_i64", "lgamma"),
    *("digamma", "erfinv", "i0", "bitwise_left_shift", "bitwise_right_shift", "remainder"),
    *("floor_divide", "add_alpha", "addmm", "lerp", "matvec", "cdist", "bilinear"),
    *("var_mean", "cumprod", "cummax", "kthvalue", "median", "mode", "histc", "bucketize"),
    *("searchsorted", "sort_stable", "argmax_flat", "diagonal", "as_strided", "unfold_t"),
    *("masked_select", "masked_scatter", "embedding_bag", "maxpool2d_dil", "fold"),
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


@pytest.mark.parametrize("dimension", [0, 2])
@pytest.mark.parametrize("layer", [nn.GroupNorm(3, 6), nn.GroupNorm(2, 6, affine=False)], ids=str)
def test_group_norm_of_a_size_that_varies(layer: nn.Module, dimension: int) -> None:
    x = floats(2, 6, 4, 5)
    dim = torch.export.Dim("size", min=2, max=8)
    program = lower(layer, (x,), dynamic_shapes={"input": {dimension: dim}})
    method = Runtime.get().load_program(program).load_method("forward")
    assert b"CoreMLBackend" in program
    assert method is not None
    for size in (2, 3, 7):
        shape = [size if axis == dimension else each for axis, each in enumerate(x.shape)]
        each = floats(*shape, seed=size)
        assert snr_db(method.execute([each])[0], layer(each).detach()) > 100


class Windows(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        parts = x.view(x.shape[0], 2, 4, 3, 4, 5).permute(0, 1, 3, 2, 4, 5)
        return parts.contiguous().view(-1, 16, 5) * 2


class Swapped(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        parts = x.view(x.shape[0], 2, 4, 3, 4, 5).transpose(2, 3)
        return parts.contiguous().view(-1, 16, 5) * 2


class Pool(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return functional.adaptive_avg_pool1d(x.flatten(2), 1) * 2


class Parts(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        first, second = x.split([3, 5], 1)
        third, fourth, fifth = x.split(3, 1)
        halves, slices = x.chunk(2, 1), x.unbind(1)
        sums = [each.sum(1) for each in (first, second, third, fourth, fifth, *halves)]
        return torch.stack([*sums, slices[2] * slices[5]], 1)


@pytest.mark.parametrize(
    ("module", "x"),
    [
        (Windows(), floats(2, 8, 12, 5)),
        (Swapped(), floats(2, 8, 12, 5)),
        (Parts(), floats(2, 8)),
        (Pool(), floats(2, 8, 12, 5)),
        (nn.Unfold((2, 3), dilation=(2, 1), padding=1, stride=2), floats(2, 3, 6, 8)),
        (nn.AvgPool2d(9, ceil_mode=True), floats(2, 3, 4, 5)),
        (nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False), floats(2, 3, 6, 5)),
    ],
    ids=["windows", "swapped", "parts", "adaptive", "unfold", "larger", "ceil"],
)
def test_a_batch_that_varies(module: nn.Module, x: Tensor) -> None:
    shapes = ({0: torch.export.Dim("batch", min=1, max=8)},)
    partitioner = CoreMLPartitioner(compile_specs=specs("float32"))
    program = lower(module, (x,), dynamic_shapes=shapes, partitioner=partitioner)
    assert not partitioner.report.left_out
    method = Runtime.get().load_program(program).load_method("forward")
    assert method is not None
    for batch in (2, 1, 5):
        each = floats(batch, *x.shape[1:], seed=batch)
        assert snr_db(method.execute([each])[0], module(each)) > 100


class Experts(nn.Module):
    """What transformers makes of a mixture of experts, with a row that no expert takes."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(floats(3, 4, 6))

    def forward(self, rows: Tensor, ends: Tensor) -> Tensor:
        shuffled = torch.empty_like(rows)
        shuffled[torch.arange(rows.shape[0]).flip(0)] = rows
        return torch.ops.transformers.grouped_mm_fallback(shuffled, self.weight, ends)


def test_experts_of_rows_that_vary() -> None:
    importlib.import_module("transformers.integrations.moe")  # has the op
    module, ends = Experts(), torch.tensor([2, 2, 4], dtype=torch.int32)
    shapes = ({0: torch.export.Dim("rows", min=2, max=16)}, None)
    partitioner = CoreMLPartitioner(compile_specs=specs("float32"))
    program = lower(module, (floats(5, 4), ends), dynamic_shapes=shapes, partitioner=partitioner)
    assert not partitioner.report.left_out
    method = Runtime.get().load_program(program).load_method("forward")
    assert method is not None
    for ends, rows in (([2, 2, 4], 5), ([0, 7, 9], 9), ([1, 1, 2], 2)):
        inputs = [floats(rows, 4, seed=rows), torch.tensor(ends, dtype=torch.int32)]
        assert snr_db(method.execute(inputs)[0], module(*inputs).detach()) > 100


class Spectra(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        plane = torch.fft.fftn(x, dim=(1, 2)).real  # as FNet mixes its tokens
        sides = torch.fft.rfftn(x, dim=(0, 2), norm="ortho").imag
        return plane, sides, torch.fft.ifftn(torch.fft.fft(x)).real


def test_transforms_along_several_dimensions() -> None:
    partitioner = CoreMLPartitioner(compile_specs=specs("float32"))
    program = lower(Spectra(), (floats(2, 6, 8),), partitioner=partitioner)
    assert not partitioner.report.left_out
    method = Runtime.get().load_program(program).load_method("forward")
    assert method is not None
    x = floats(2, 6, 8, seed=1)
    for found, truth in zip(method.execute([x]), Spectra()(x), strict=True):
        assert snr_db(found, truth) > 100


class Halves(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        # PyTorch exports the first with a number for a tensor.
        return torch.ops.aten.floor_divide.default(x, 2) + torch.ops.aten.remainder.Scalar(x, 3)


def test_a_number_as_the_divisor() -> None:
    x = floats(3, 4) * 10
    method = Runtime.get().load_program(lower(Halves(), (x,))).load_method("forward")
    assert method is not None
    torch.testing.assert_close(method.execute([x])[0], Halves()(x))
