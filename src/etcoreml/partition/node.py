"""Questions the support rules ask about a node of an edge or ATen program."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch

from etcoreml.compiler.names import argument as argument
from etcoreml.compiler.names import op_name as op_name


def results(node: torch.fx.Node) -> list[torch.Tensor]:
    """Return the (fake) tensors a node produces."""
    return list(_tensors(node.meta.get("val")))


def operands(node: torch.fx.Node) -> list[torch.Tensor]:
    """Return the (fake) tensors a node reads, in argument order."""
    return [tensor for each in node.all_input_nodes for tensor in _tensors(each.meta.get("val"))]


def operand(node: torch.fx.Node, name: str) -> torch.Tensor | None:
    """Return the (fake) tensor passed as argument ``name``, or None when it is no tensor."""
    value = argument(node, name)
    found = value.meta.get("val") if isinstance(value, torch.fx.Node) else None
    return found if isinstance(found, torch.Tensor) else None


def overload(node: torch.fx.Node) -> torch._ops.OpOverload | None:
    """Return the ATen (or other registered) op that a node calls, in either dialect, or None."""
    target = node.target
    found = target if isinstance(target, torch._ops.OpOverload) else getattr(target, "_op", None)
    return found if isinstance(found, torch._ops.OpOverload) else None


def origins(node: torch.fx.Node) -> frozenset[str]:
    """Return the names of the ops that a node was decomposed from, and of its own before that.

    torch keeps them in the metadata, a source in each step of decomposition.
    """
    found = set()
    sources = list(node.meta.get("from_node") or ())
    while sources:
        source = sources.pop()
        found.add(str(source.target))
        sources.extend(source.from_node or ())
    return frozenset(found)


def is_static(shape: Sequence[Any]) -> bool:
    """Whether every size of a shape is a plain integer."""
    return all(isinstance(size, int) for size in shape)


def _tensors(value: object) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _tensors(each)
