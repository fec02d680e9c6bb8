"""Products of ExecuTorch's Swift package. Oracle: its Package.swift, by hand."""

from __future__ import annotations

import pytest

from etcoreml.deploy.app import release
from etcoreml.errors import ProjectError


def test_products_of_backends_and_operators() -> None:
    operators = ["aten::add.out", "executorch_prim::et_view", "quantized_decomposed::add.out"]
    assert release.products(["CoreMLBackend", "XnnpackBackend"], operators, False) == [
        "executorch",
        "backend_coreml",
        "backend_xnnpack",
        "kernels_optimized",
        "kernels_quantized",
    ]


def test_variants_for_profiling() -> None:
    assert release.products(["CoreMLBackend"], [], True) == [
        "executorch_debug",
        "backend_coreml_debug",
        "executorch_dump_debug",
    ]


@pytest.mark.parametrize(
    ("backends", "operators"), [(["QnnBackend"], []), (["CoreMLBackend"], ["mine::op.out"])]
)
def test_what_no_product_has(backends: list[str], operators: list[str]) -> None:
    with pytest.raises(ProjectError, match="no product of ExecuTorch's Swift package"):
        release.products(backends, operators, False)


def test_an_executorch_of_an_unknown_series(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(release, "version", lambda _: "9.1.0")
    with pytest.raises(ProjectError, match=r"9\.1\.0"):
        release.installed_release()
