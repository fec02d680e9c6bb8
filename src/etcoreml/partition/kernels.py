"""Which nodes ExecuTorch cannot run: it has no kernel for them.

What enters is a node outside of every delegate; what leaves is whether the stock runtime of the
installed executorch registers a kernel for it. An app may link kernels of its own.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from executorch.exir.operator.convert import to_out_variant
from executorch.exir.passes.executorch_prim_ops_registry import is_sym_op
from torch.fx import Node

from etcoreml.compiler.names import op_name
from etcoreml.imports import quiet_imports
from etcoreml.partition.node import overload
from etcoreml.partition.report_text import place

if TYPE_CHECKING:
    from etcoreml.partition.report import Decision

# Removed from a program before it is written.
_CHECKS = frozenset(
    {
        "aten._assert_scalar.default",
        "aten._assert_async.default",
        "aten._assert_async.msg",
        "aten._assert_tensor_metadata.default",
    }
)


def lacks_kernel(node: Node) -> bool:
    """Whether ExecuTorch's stock runtime cannot run a node.

    Args:
        node: A call node of an edge program. What only computes or checks sizes needs no kernel,
            nor does control flow itself.
    """
    op = overload(node)
    if op is None or is_bookkeeping(node):
        return False
    known = _registered()
    return bool(known) and _kernel_name(op) not in known


def missing_kernels(decisions: Iterable[Decision]) -> str | None:
    """Say which nodes ExecuTorch cannot run, where they come from, and what to do.

    Args:
        decisions: Those about a program; others than ``lacks_kernel`` are passed over.

    Returns:
        Lines, or None when there is no such node.
    """
    lines: dict[str, None] = {}
    for each in decisions:
        if each.lacks_kernel:
            lines[f"  {each.op} at {place(each)}"] = None
            lines[f"    {each.advice}"] = None
    if not lines:
        return None
    what = "Core ML does not take these ops, and ExecuTorch has no kernel to run them outside:"
    return "\n".join((what, *lines))


def is_bookkeeping(node: Node) -> bool:
    """Whether a node computes or checks sizes, which ExecuTorch does without a kernel."""
    return op_name(node) in _CHECKS or bool(is_sym_op(node.target))


def _kernel_name(op: torch._ops.OpOverload) -> str | None:
    """Return the name of the kernel that ExecuTorch asks for, or None when it can ask for none."""
    try:
        out, _ = to_out_variant(op)
    except (RuntimeError, AssertionError):  # as executorch says that there is none
        return None
    name = out._schema.name
    return f"{name}.{out._schema.overload_name}" if out._schema.overload_name else name


@functools.cache
def _registered() -> frozenset[str]:
    """Return the kernels of the stock runtime; none where there is no runtime to ask."""
    try:
        with quiet_imports():
            from executorch.runtime import Runtime
        return frozenset(Runtime.get().operator_registry.operator_names)
    except (ImportError, OSError):
        return frozenset()
