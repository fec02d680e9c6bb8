"""ExecuTorch's Swift package: which release goes with a .pte, and which products it needs.

Source: ``Package.swift`` of pytorch/executorch, branch ``swiftpm-1.5.0``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version

from etcoreml.errors import ProjectError
from etcoreml.runtime.pte import CORE_ML

URL = "https://github.com/pytorch/executorch"
"""Where the package lives; each release is a branch."""

_BRANCHES = {"1.5": "swiftpm-1.5.0"}
"""By series: patch releases of Python's package do not always have one of Swift's."""

_BACKENDS = {CORE_ML: "backend_coreml", "XnnpackBackend": "backend_xnnpack"}
_KERNELS = {
    "aten": "kernels_optimized",
    "dim_order_ops": "kernels_optimized",
    "quantized_decomposed": "kernels_quantized",
    "llama": "kernels_llm",
    "torchao": "kernels_torchao",
}
# What the runtime itself brings.
_BUILT_IN = "executorch_prim"


@dataclass(frozen=True)
class Release:
    """A release of the Swift package.

    Attributes:
        executorch: Version of the Python package it goes with.
        branch: Where SwiftPM finds it.
    """

    executorch: str
    branch: str


def installed_release() -> Release:
    """Return the release that matches the installed executorch.

    Raises:
        ProjectError: None is known.
    """
    installed = version("executorch")
    series = ".".join(installed.split(".")[:2])
    if series not in _BRANCHES:
        raise ProjectError(
            "no release of ExecuTorch's Swift package is known for the installed executorch",
            found=installed,
            expected=", ".join(f"{each}.x" for each in _BRANCHES),
        )
    return Release(installed, _BRANCHES[series])


def products(backends: Iterable[str], operators: Iterable[str], profiling: bool) -> list[str]:
    """Return the products an app links, the runtime first.

    Args:
        backends: Ids of the program's delegates.
        operators: Names of the operators outside of them, as ``aten::add.out``.
        profiling: Whether to take the variants that keep symbols and log, and the one that
            records an ETDump.

    Raises:
        ProjectError: No product has such a backend, or such operators.
    """
    found = {_product("backend", each, _BACKENDS) for each in backends}
    for operator in operators:
        namespace = operator.partition("::")[0]
        if namespace != _BUILT_IN:
            found.add(_product("operator", operator, _KERNELS, namespace))
    names = ["executorch", *sorted(found), *(["executorch_dump"] if profiling else [])]
    return [f"{name}_debug" if profiling else name for name in names]


def _product(what: str, name: str, known: dict[str, str], key: str | None = None) -> str:
    product = known.get(key or name)
    if product is None:
        raise ProjectError(
            f"no product of ExecuTorch's Swift package has the {what} '{name}'",
            found=key or name,
            expected=", ".join(known),
            hint="Build the frameworks from source with it: `etcoreml app frameworks`.",
        )
    return product
