"""Checks on a whole partition: what enters and leaves a delegate has to be a tensor Core ML takes.

What enters are proposed partitions; what leaves are the nodes that have to come out, with reasons.
The caller proposes again without them, until nothing is left to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch._subclasses import FakeTensor
from torch.export import ExportedProgram
from torch.fx import Node
from torch.utils._python_dispatch import _disable_current_modes

from etcoreml.compiler.names import op_name
from etcoreml.compiler.placeholders import held_tensors
from etcoreml.mil.ct import coremltools
from etcoreml.partition.grouping import Partition
from etcoreml.partition.node import results
from etcoreml.partition.support import Setting

ct = coremltools()

_SIZE_IN = "a size computed outside of the delegate would have to enter it, and only tensors can"
_SIZE_OUT = "a size it computes is used outside of the delegate, and only tensors leave one"
_DERIVED = "a delegate would have an input whose size is an expression of other sizes"
_NO_INPUT = "a delegate without inputs needs minimum_deployment_target iOS18 or later"
_UNUSED = "nothing outside of the delegate would read what it computes"
_ISLAND = "a delegate that only moves values about is not worth a call"
_INT8 = "ExecuTorch's delegate for Core ML neither takes nor gives int8 tensors"
_PERMUTED = "a delegate would have an input that is not contiguous"


def offences(
    program: ExportedProgram,
    partitions: Iterable[Partition],
    setting: Setting,
) -> Iterator[tuple[Node, str]]:
    """Yield the nodes that cannot be where they were proposed, each with the reason.

    Args:
        program: The program the partitions are of.
        partitions: Disjoint groups of nodes.
        setting: The lowering.
    """
    symbols = frozenset(map(str, program.range_constraints))
    for partition in partitions:
        members = set(partition.nodes)
        inputs = 0
        for node in members:
            for each in node.all_input_nodes:
                if each in members or each.name in setting.constants or each.op == "get_attr":
                    continue
                inputs += 1
                reason = _why_not_input(each.meta.get("val"), symbols)
                if reason is not None:
                    yield node, reason
            if not members.issuperset(node.users):
                if _is_size(node.meta.get("val")):
                    yield node, _SIZE_OUT
                if any(each.dtype == torch.int8 for each in results(node)):
                    yield node, _INT8
        if all(members.issuperset(node.users) for node in members):
            yield from ((node, _UNUSED) for node in members)
        elif not setting.whole and all(op_name(node) in TRIVIAL for node in members):
            yield from ((node, _ISLAND) for node in members)
        # To compute what depends on no input, the program need not give up older systems.
        spares = setting.lowest and not setting.whole
        if inputs == 0 and (setting.target < ct.target.iOS18 or spares):
            yield from ((node, _NO_INPUT) for node in members)


TRIVIAL = frozenset(
    {
        "get_attr",
        "getitem",
        *(
            f"aten.{name}"
            for name in (
                *(
                    "alias_copy.default",
                    "clone.default",
                    "detach_copy.default",
                    "view_copy.default",
                ),
                *("squeeze_copy.dim", "squeeze_copy.dims", "squeeze_copy.default"),
                *("unsqueeze_copy.default", "expand_copy.default", "full.default"),
                *("slice_copy.Tensor", "select_copy.int", "permute_copy.default"),
                *("transpose_copy.int", "split_with_sizes_copy.default", "unbind_copy.int"),
                *("_to_copy.default", "arange.start_step", "scalar_tensor.default"),
            )
        ),
        "dim_order_ops._clone_dim_order.default",
        "dim_order_ops._to_dim_order_copy.default",
    }
)
"""Ops that compute nothing: views, casts, copies and constants."""


def wide_constants(program: ExportedProgram) -> frozenset[str]:
    """Return the names of the placeholders of int64 constants that int32 does not hold."""
    found = set()
    for placeholder, name in held_tensors(program).items():
        value = program.state_dict.get(name, program.constants.get(name))
        if isinstance(value, torch.Tensor) and value.dtype == torch.int64 and _is_wide(value):
            found.add(placeholder)
    return frozenset(found)


def _is_wide(value: torch.Tensor) -> bool:
    """Whether int32 does not hold a tensor; ExecuTorch may ask while it computes with fake ones."""
    if isinstance(value, FakeTensor):
        # ExecuTorch keeps a scalar that it made a tensor of there.
        if value.constant is None:
            return False
        value = value.constant
    with _disable_current_modes():
        if not value.numel():
            return False
        low, high = value.aminmax()
        return int(low) < -(2**31) or int(high) >= 2**31


def _why_not_input(value: Any, symbols: frozenset[str]) -> str | None:
    """Return why a value cannot be an input of a delegate, or None."""
    if _is_size(value):
        return _SIZE_IN
    if not isinstance(value, torch.Tensor):
        return None
    if value.dtype == torch.int8:
        return _INT8
    if tuple(value.dim_order()) != tuple(range(value.dim())):
        return _PERMUTED
    if any(not isinstance(size, int) and str(size) not in symbols for size in value.shape):
        return _DERIVED
    return None


def _is_size(value: object) -> bool:
    return isinstance(value, (torch.SymInt, torch.SymFloat, torch.SymBool))
