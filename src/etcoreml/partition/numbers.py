"""Numbers in the place of tensors, which get the dtype that PyTorch computes them in.

torch.export writes ``x + 1`` as an op of two tensors. ExecuTorch makes a tensor of the number, of
int64 or float32, and promotes: next to a tensor without dimensions, that changes the dtype of the
result, and ``x // 3`` it does not promote at all, and refuses.
"""

from __future__ import annotations

import torch
from torch.export import ExportedProgram
from torch.fx import Node

from etcoreml.compiler.decompositions import NARROW
from etcoreml.compiler.decompositions.narrow import brought_into
from etcoreml.compiler.names import op_name

_NOT_PROMOTED = ("aten.floor_divide.default",)
_OWN = (torch.bool, torch.int64, torch.float32)
"""What ExecuTorch makes of a number is of one of these."""


def give_dtypes(program: ExportedProgram) -> bool:
    """Make tensors of numbers where ExecuTorch would make some of another dtype, in place.

    Input graph::

        add(x, 1)  # x: an int32 without dimensions

    Output graph::

        add(x, full([], 1, dtype=int32))

    Args:
        program: A functional ATen program.

    Returns:
        Whether anything was changed.
    """
    changed = False
    for node in list(program.graph.nodes):
        for index in _numbers(node):
            value, dtype = node.args[index], _dtype(node, index)
            if dtype is None:
                continue
            with program.graph.inserting_before(node):
                number = program.graph.call_function(
                    torch.ops.aten.full.default,
                    ([], brought_into(value, dtype) if dtype in NARROW else value),
                    {"dtype": dtype},
                )
            fake = node.all_input_nodes[0].meta["val"]
            number.meta = dict(node.meta) | {"val": fake.new_empty((), dtype=dtype)}
            node.update_arg(index, number)
            changed = True
    return changed


def _numbers(node: Node) -> list[int]:
    """Return which arguments of a node are numbers where its op wants tensors."""
    schema = getattr(node.target, "_schema", None)
    if node.op != "call_function" or schema is None:
        return []
    return [
        index
        for index, (given, wanted) in enumerate(zip(node.args, schema.arguments, strict=False))
        if str(wanted.type) == "Tensor"
        and isinstance(given, (int, float))
        and not isinstance(given, bool)
    ]


def _dtype(node: Node, index: int) -> torch.dtype | None:
    """Return the dtype that a number needs, or None where ExecuTorch finds it."""
    tensors = [each.meta.get("val") for each in node.all_input_nodes]
    if not tensors or not all(isinstance(each, torch.Tensor) for each in tensors):
        return None
    dtype = torch.result_type(tensors[0], node.args[index])
    if op_name(node) in _NOT_PROMOTED:
        return dtype
    lost = all(each.dim() == 0 for each in tensors) and dtype not in _OWN
    return dtype if lost else None
