"""Trace the decomposition of a node, and put the trace in its place."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, TypeAlias, cast

import torch
from torch._dispatch.python import enable_python_dispatcher
from torch._subclasses import FakeTensor, FakeTensorMode
from torch.fx import Graph, GraphModule, Node
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.node import map_arg
from torch.utils import _pytree as pytree

from etcoreml.compiler.decompositions.calls import came_from
from etcoreml.compiler.decompositions.registry import ORIGINS, always, find
from etcoreml.compiler.names import op_name

_KEPT_META = ("debug_handle", "stack_trace", "nn_module_stack", "source_fn_stack", "torch_fn")
_MAX_DEPTH = 6
_Context: TypeAlias = contextlib.AbstractContextManager[Any]


def expansion(node: Node) -> GraphModule | None:
    """Return what a node is rewritten to, or None when it is converted as it is.

    Args:
        node: A call node of an ATen or edge program, with ``meta["val"]`` on its inputs.

    Returns:
        A graph of ATen ops with a placeholder for each of ``node.all_input_nodes``, in order.
        ``meta["val"]`` is set in it. Ops in it may have decompositions themselves.
    """
    decomposition = find(node)
    if decomposition is None:
        return None
    inputs = node.all_input_nodes

    def call(*values: Any) -> Any:
        given = dict(zip(inputs, values, strict=True))
        args = map_arg(node.args, given.__getitem__)
        kwargs = map_arg(node.kwargs, given.__getitem__)
        return decomposition.function(*args, **kwargs)

    values = [each.meta["val"] for each in inputs]
    # Without Python's dispatcher, some ops of C++ take a size that varies for its example.
    with enable_python_dispatcher(), _fake_mode(node), torch.no_grad():
        # torch's tracer is typed loosely
        traced = cast(GraphModule, make_fx(call)(*values))
    traced.graph.eliminate_dead_code()
    origins = node.meta.get(ORIGINS, frozenset()) | {op_name(node)}
    for each in traced.graph.nodes:
        each.meta[ORIGINS] = origins
    return traced


def expand(graph: Graph, chosen: Callable[[Node], bool] = always) -> bool:
    """Rewrite the nodes of a graph that have a decomposition, in place.

    Input graph::

        erfc(x)

    Output graph::

        rsub(erf(x), 1)

    Args:
        graph: The graph of an ATen or edge program.
        chosen: Which nodes to rewrite; every one that can be, unless told otherwise.

    Returns:
        Whether anything was rewritten.
    """
    changed = False
    for node in list(graph.nodes):
        changed |= _expand_node(graph, node, chosen, 0)
    return changed


def _expand_node(graph: Graph, node: Node, chosen: Callable[[Node], bool], depth: int) -> bool:
    if depth == _MAX_DEPTH or not chosen(node):
        return False
    traced = expansion(node)
    if traced is None:
        return False
    for each in _inline(graph, node, traced):
        _expand_node(graph, each, chosen, depth + 1)
    return True


def _inline(graph: Graph, node: Node, traced: GraphModule) -> list[Node]:
    """Replace a node by a traced graph, and return what was added. Results keep their names."""
    made: dict[Node, Node] = {}
    inputs = iter(node.all_input_nodes)
    added: list[Node] = []
    results: Any = None
    with graph.inserting_before(node):
        for each in traced.graph.nodes:
            if each.op == "placeholder":
                made[each] = next(inputs)
            elif each.op == "output":
                results = map_arg(each.args[0], made.__getitem__)
            else:
                made[each] = _copy(graph, each, made, node)
                added.append(made[each])
        if isinstance(results, (list, tuple)):
            replaced = [(user, results[cast(int, user.args[1])]) for user in list(node.users)]
        else:
            replaced = [(node, results)]
        named: set[Node] = set()
        for old, new in replaced:
            if new not in added or new in named:
                # an input, or a result that is returned twice
                value = new.meta.get("val")
                new = graph.call_function(torch.ops.aten.clone.default, (new,))
                new.meta["val"] = value
                added.append(new)
            named.add(new)
            _rename(graph, old, new)
        if node not in (old for old, _ in replaced):
            graph.erase_node(node)
    return added


def _copy(graph: Graph, each: Node, made: dict[Node, Node], origin: Node) -> Node:
    if each.op != "call_function":
        what = f"a decomposition of {origin.target} makes a {each.op}, where only calls can be"
        raise AssertionError(what)
    copied = graph.node_copy(each, made.__getitem__)
    copied.meta = {key: origin.meta[key] for key in _KEPT_META if key in origin.meta}
    copied.meta |= came_from(origin)
    copied.meta |= {key: each.meta[key] for key in ("val", ORIGINS) if key in each.meta}
    return copied


def _rename(graph: Graph, old: Node, new: Node) -> None:
    """Let what reads ``old`` read ``new``, under the old name: signatures go by names."""
    name = old.name
    old.replace_all_uses_with(new)
    graph.erase_node(old)
    new.name = name


def _fake_mode(node: Node) -> _Context:
    """Return the mode that the (fake) tensors around a node belong to."""
    metas = [node.meta.get("val"), *(each.meta.get("val") for each in node.all_input_nodes)]
    for each in pytree.tree_leaves(metas):
        if isinstance(each, FakeTensor):
            return cast(_Context, each.fake_mode)
    return cast(_Context, FakeTensorMode())
