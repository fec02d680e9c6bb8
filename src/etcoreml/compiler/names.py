"""What a node of an ATen or edge program calls, and with which arguments."""

from __future__ import annotations

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


def has_out_variant(op: torch._ops.OpOverload) -> bool:
    """Whether ExecuTorch can run an op as it is."""
    return any(name.endswith("out") for name in op.overloadpacket.overloads())
