"""Calls that rewrites put into a graph, with what they compute and where they come from."""

from __future__ import annotations

from typing import Any

from torch.fx import Graph, Node
from torch.fx.node import map_arg
from torch.fx.traceback import NodeSource, NodeSourceAction

_PASS = "etcoreml"


def call(graph: Graph, op: Any, *args: Any, origin: Node | None = None, **kwargs: Any) -> Node:
    """Insert a call of an op, and compute its (fake) result.

    Args:
        graph: Where it is inserted, at the graph's insertion point.
        op: The op.
        args: Its arguments, nodes with ``meta["val"]`` among them.
        origin: The node that it takes part in the place of; its metadata is kept.
        kwargs: Arguments by name.
    """
    made = graph.call_function(op, args, kwargs)
    if origin is not None:
        made.meta = dict(origin.meta) | came_from(origin)
    value = op(*map_arg(args, _value), **map_arg(kwargs, _value))
    made.meta["val"] = value
    return made


def came_from(origin: Node) -> dict[str, Any]:
    """Return metadata that says which node another was made of, as torch's own passes do."""
    return {"from_node": [NodeSource(origin, _PASS, NodeSourceAction.REPLACE)]}


def _value(node: Node) -> Any:
    return node.meta["val"]
