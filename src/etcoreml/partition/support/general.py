"""Rules about every op."""

from __future__ import annotations

import torch
from torch.fx import Node

from etcoreml.compiler.decompositions import MAX_RANK
from etcoreml.compiler.torch_ops import has_converter
from etcoreml.mil.ct import coremltools
from etcoreml.partition.node import is_static, op_name, operands, results
from etcoreml.partition.support.rule import EXECUTORCH, ISSUES, Rule, Setting

ct = coremltools()

# Dtypes a delegate can take in or hand out. Core ML computes int64 as int32 and float64 as float32.
_DTYPES = frozenset(
    {
        torch.bool,
        torch.float16,
        torch.float32,
        torch.float64,
        torch.int32,
        torch.int64,
    }
)
_OPERAND_DTYPES = _DTYPES | {torch.int16}
_CONSTANT_DTYPES = {torch.int8, torch.uint8}
_CASTS = ("aten._to_copy.default", "dim_order_ops._to_dim_order_copy.default")

# Ops of quantised programs read and write integers of few bits on purpose.
_QUANTISATION_NAMESPACES = ("quantized_decomposed.", "torchao.", "quant.")


def _is_control_flow(node: Node, setting: Setting) -> bool:
    return isinstance(node.target, torch._ops.HigherOrderOperator)


def _is_in_place(node: Node, setting: Setting) -> bool:
    name = op_name(node)
    return name.startswith("aten.") and name.split(".")[1].endswith("_")


def _has_no_converter(node: Node, setting: Setting) -> bool:
    return not has_converter(op_name(node))


def _has_foreign_dtype(node: Node, setting: Setting) -> bool:
    name = op_name(node)
    if name.startswith(_QUANTISATION_NAMESPACES):
        return False
    if name in _CASTS and node.all_input_nodes[0].name in setting.constants:
        # Folded before the model is written.
        return operands(node)[0].dtype not in _OPERAND_DTYPES | _CONSTANT_DTYPES or any(
            each.dtype not in _OPERAND_DTYPES for each in results(node)
        )
    return any(each.dtype not in _OPERAND_DTYPES for each in operands(node)) or any(
        each.dtype not in _DTYPES for each in results(node)
    )


def _has_wide_integer(node: Node, setting: Setting) -> bool:
    if any(each.name in setting.wide for each in node.all_input_nodes):
        return True
    # the end of a slice means: to the end
    return not op_name(node).startswith("aten.slice") and any(
        isinstance(each, int) and not -(2**31) <= each < 2**31 for each in node.args
    )


def _needs_fp16_interface(node: Node, setting: Setting) -> bool:
    tensors = operands(node) + results(node)
    return setting.target < ct.target.iOS16 and any(t.dtype == torch.float16 for t in tensors)


def _has_high_rank(node: Node, setting: Setting) -> bool:
    tensors = operands(node) + results(node)
    return any(each.dim() > MAX_RANK for each in tensors) and not _is_reshaped_transpose(node)


def _is_reshaped_transpose(node: Node) -> bool:
    """Whether a node is part of reshape (rank > 5), transpose, reshape (rank <= 5).

    coremltools rewrites that chain with tensors of rank 4 when the shapes are static
    (pass ``expand_high_rank_reshape_and_transpose``) and nothing else reads what lies between.
    """
    head = node
    while operands(head) and operands(head)[0].dim() > MAX_RANK:
        head = head.all_input_nodes[0]
    chain = [head]
    while results(chain[-1]) and results(chain[-1])[0].dim() > MAX_RANK:
        if len(chain[-1].users) != 1 or not is_static(results(chain[-1])[0].shape):
            return False
        chain.append(next(iter(chain[-1].users)))
    kinds = [_CHAIN_KINDS.get(op_name(each)) for each in chain]
    return node in chain and [kind for kind in kinds if kind != "copy"] == [
        "reshape",
        "transpose",
        "reshape",
    ]


_CHAIN_KINDS = {
    "aten.view.default": "reshape",
    "aten.view_copy.default": "reshape",
    "aten.reshape.default": "reshape",
    "aten._unsafe_view.default": "reshape",
    "aten.permute.default": "transpose",
    "aten.permute_copy.default": "transpose",
    "aten.transpose.int": "transpose",
    "aten.transpose_copy.int": "transpose",
    "aten.clone.default": "copy",
    "aten.contiguous.default": "copy",
    "dim_order_ops._clone_dim_order.default": "copy",
}


GENERAL_RULES: tuple[Rule, ...] = (
    Rule((), _is_control_flow, "control flow runs outside of delegates"),
    Rule((), _is_in_place, "an op in place is converted only after it was made functional"),
    Rule((), _has_no_converter, "coremltools has no converter for the op"),
    Rule(
        (),
        _has_foreign_dtype,
        "Core ML takes bool, float16, float32 and int32 tensors only",
        EXECUTORCH + "11686",
    ),
    Rule(
        (),
        _needs_fp16_interface,
        "float16 tensors need minimum_deployment_target iOS16 or later",
    ),
    Rule(
        (),
        _has_wide_integer,
        "Core ML computes int64 as int32, which does not hold the constant",
    ),
    Rule((), _has_high_rank, "Core ML takes tensors up to rank 5", ISSUES + "1723"),
)
