"""Resizing, scans and orders of sizes that vary, as one delegate. The oracle is eager PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own abbreviation
from torch import Tensor
from torch.export import Dim

from etcoreml.mil.ct import coremltools
from tests.call import Call
from tests.compiler.decompositions.test_narrow import check as check_static
from tests.lowering import CoreMLPartitioner, Runtime, lower, specs

ROWS = Dim("rows", min=2, max=20)
IMAGES = [
    torch.randn(1, 2, size, 10, generator=torch.Generator().manual_seed(size))
    for size in (8, 5, 20, 2)
]
TABLES = [
    torch.randn(size, 7, generator=torch.Generator().manual_seed(size)) for size in (4, 9, 20)
]
COUNTS = [(table * 2).to(torch.int64) for table in TABLES]


def check(
    function: Callable[[Tensor], Any],
    inputs: list[Tensor],
    axis: int,
    target: str = "iOS18",
    size: Dim = ROWS,
) -> None:
    chosen = getattr(coremltools().target, target)
    partitioner = CoreMLPartitioner(compile_specs=specs(minimum_deployment_target=chosen))
    shapes = (({axis: size},),)
    program = lower(Call(function), (inputs[0],), dynamic_shapes=shapes, partitioner=partitioner)
    assert not [(each.op, each.reason) for each in partitioner.report.left_out]
    method = Runtime.get().load_program(program).load_method("forward")
    for each in inputs:
        expected = function(each)
        found = [value.clone() for value in method.execute([each])]
        expected = list(expected) if isinstance(expected, tuple) else [expected]
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5, equal_nan=True)


@pytest.mark.parametrize("target", ["iOS15", "iOS18"])
@pytest.mark.parametrize(
    "options",
    [
        {"scale_factor": 2.0},
        {"scale_factor": (1.3, 0.7)},
        {"size": (12, 13)},
        {"size": (7, 1), "align_corners": True},
    ],
    ids=str,
)
def test_bicubic(options: dict[str, Any], target: str) -> None:
    check(lambda x: F.interpolate(x, mode="bicubic", **options), IMAGES, 2, target)


@pytest.mark.parametrize("align", [False, True])
def test_bilinear_to_a_size(align: bool) -> None:
    check(
        lambda x: F.interpolate(x, size=(12, 13), mode="bilinear", align_corners=align), IMAGES, 2
    )


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("align", [False, True])
def test_antialias(mode: str, align: bool) -> None:
    def resized(x: Tensor) -> tuple[Tensor, ...]:
        sizes = ((3, 4), (12, 13))
        options: dict[str, Any] = {"mode": mode, "antialias": True, "align_corners": align}
        return tuple(F.interpolate(x, size=each, **options) for each in sizes)

    check_static(resized, IMAGES[0])


def test_quantiles() -> None:
    def quantiles(x: Tensor) -> tuple[Tensor, ...]:
        several = torch.quantile(x, torch.tensor([0.1, 0.9]), 0, True)
        whole = torch.quantile(x, 0.5, interpolation="nearest")
        rest = torch.nanquantile(x, 0.7, dim=0, keepdim=True)
        return torch.quantile(x, 0.3, dim=0), several, whole, rest

    holes = TABLES[0].clone()
    holes[1, 2] = torch.nan
    check(quantiles, [*TABLES, holes], 0)


@pytest.mark.parametrize("target", ["iOS15", "iOS18"])
@pytest.mark.parametrize("inputs", [TABLES, COUNTS], ids=["numbers", "integers"])
def test_scans(inputs: list[Tensor], target: str) -> None:
    def scans(x: Tensor) -> tuple[Tensor, ...]:
        return *torch.cummax(x, 0), *torch.cummin(x, 0), x.cumprod(0), *torch.cummax(x, 1)

    check(scans, inputs, 0, target)


def test_orders() -> None:
    # PyTorch sorts to find a mode, and promises no place among equals.
    check(lambda x: (torch.mode(x, 0).values, *torch.sort(x, dim=0, stable=True)), COUNTS, 0)
    check(lambda x: tuple(x.median(0)), TABLES, 0)


def test_without_a_bound() -> None:
    """ExecuTorch plans its memory for the example then, and takes nothing larger."""
    largest_first = COUNTS[::-1]

    def function(x: Tensor) -> tuple[Tensor, ...]:
        return (x % 3 - 1).cumprod(0), torch.mode(x, 0).values

    check(function, largest_first, 0, size=Dim("rows", min=2))


def test_long_and_without_dimensions() -> None:
    def scans(x: Tensor) -> tuple[Tensor, ...]:
        return *torch.cummax(x, 0), x.cumprod(0)

    check_static(scans, 1 + torch.linspace(-0.01, 0.01, 700))
    check_static(scans, torch.tensor(3.0))


def test_nan_is_an_extreme() -> None:
    def scans(x: Tensor) -> tuple[Tensor, ...]:
        values, places = torch.cummax(x, 0)
        return values.isnan(), places, torch.cummin(x, 0).indices

    check_static(scans, torch.tensor([1.0, torch.nan, 2.0, -torch.inf, torch.nan]))


@pytest.mark.parametrize("target", ["iOS15", "iOS18"])
def test_triangles(target: str) -> None:
    def triangles(x: Tensor) -> tuple[Tensor, ...]:
        lower, upper = torch.tril_indices(4, 7, 1), torch.triu_indices(4, 7, -1)
        return x[lower[0], lower[1]], x[upper[0], upper[1]] * 2, x.sum() + lower

    check_static(triangles, TABLES[0], target=target)


def test_what_does_not_vary_goes_in_as_before() -> None:
    """Torch takes a bicubic resize of fixed sizes apart; checks of a size go in with it."""
    x = torch.randn(1, 2, 6, 5)
    for function in (
        lambda x: F.interpolate(x, scale_factor=2, mode="bicubic") * 2,
        lambda x: torch.nonzero(x) + 1,
    ):
        partitioner = CoreMLPartitioner(
            compile_specs=specs(minimum_deployment_target=coremltools().target.iOS18)
        )
        program = lower(Call(function), (x,), partitioner=partitioner)
        method = Runtime.get().load_program(program).load_method("forward")
        torch.testing.assert_close(method.execute([x])[0], function(x), rtol=1e-4, atol=1e-5)
        assert not partitioner.report.left_out
