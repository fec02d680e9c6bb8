"""Questions the support rules ask about a node of an edge or ATen program."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch


def op_name(node: torch.fx.Node) -> str:
    """Return the name of a node's op with its overload, e.g. ``aten.mm.default``.

    ATen and edge overloads of one op have the same name here; Python functions such as
    ``getitem`` have theirs, and other nodes the kind of node.
    """
    if node.op != "call_function":
        return str(node.op)
    schema = getattr(node.target, "_schema", None)
    if schema is None:
        return str(getattr(node.target, "__name__", node.target))
    return f"{schema.name.replace('::', '.')}.{schema.overload_name or 'default'}"


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


def argument(node: torch.fx.Node, name: str) -> Any:
    """Return an argument by its name in the op's schema, or its default when it is left out.

    Raises:
        KeyError: The schema has no such argument.
    """
    if name in node.kwargs:
        return node.kwargs[name]
    for index, each in enumerate(node.target._schema.arguments):
        if each.name == name:
            return node.args[index] if index < len(node.args) else each.default_value
    raise KeyError(name)


def is_static(shape: Sequence[Any]) -> bool:
    """Whether every size of a shape is a plain integer."""
    return all(isinstance(size, int) for size in shape)


def _tensors(value: object) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _tensors(each)
