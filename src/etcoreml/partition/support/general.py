"""Rules about every op."""

from __future__ import annotations

import torch
from torch.fx import Node

from etcoreml.compiler.decompositions import CASTS, MAX_RANK, NARROW, is_filled_in_range
from etcoreml.compiler.torch_ops import has_converter
from etcoreml.partition.node import is_static, op_name, operands, results
from etcoreml.partition.support.rule import EXECUTORCH, ISSUES, Rule, Setting

# Core ML computes int64 as int32 and float64 as float32.
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
_COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
# What may be done in int32 to integers of fewer bits: their values stay in range, or are numbers
# in the result. Other ops would have to wrap, or mean more by the dtype, as an index of uint8 does.
_TAKES_NARROW = frozenset(
    {
        *CASTS,
        "dim_order_ops._clone_dim_order.default",
        *(
            f"aten.{name}"
            for name in (
                *("view.default", "view_copy.default", "_unsafe_view.default", "clone.default"),
                *("permute.default", "permute_copy.default", "transpose.int", "transpose_copy.int"),
                *("unsqueeze.default", "unsqueeze_copy.default", "squeeze.dims"),
                *("squeeze_copy.dims", "expand.default", "expand_copy.default"),
                *("alias_copy.default", "slice.Tensor", "slice_copy.Tensor", "select.int"),
                *("select_copy.int", "cat.default", "flip.default", "where.self"),
                *("maximum.default", "minimum.default", "sum.dim_IntList", "sum.default"),
                *(f"{name}.{kind}" for name in _COMPARISONS for kind in ("Tensor", "Scalar")),
            )
        ),
    }
)

WIDE = "Core ML computes int64 as int32, which does not hold the constant"
"""Why a node stays outside that reads a constant, or a value computed from one, beyond int32."""

# Results of these need not be as large as what they read.
_SHRINK = ("clamp", "minimum", "remainder", "fmod", "div", "floor_divide", "sign", "bitwise_and")

# Ops of quantised programs read and write integers of few bits on purpose.
_QUANTISATION_NAMESPACES = ("quantized_decomposed.", "torchao.", "quant.")


def _is_control_flow(node: Node, setting: Setting) -> bool:
    return isinstance(node.target, torch._ops.HigherOrderOperator)


def _is_in_place(node: Node, setting: Setting) -> bool:
    name = op_name(node)
    return name.startswith("aten.") and name.split(".")[1].endswith("_")


def _has_no_converter(node: Node, setting: Setting) -> bool:
    return not has_converter(op_name(node))


# Not ``_assert_scalar``: a check of a size goes in with the size, and is left out there.
_CHECKS = frozenset(
    {
        "aten._assert_async.msg",
        "aten._assert_tensor_metadata.default",
        "aten.sym_constrain_range.default",
        "aten.sym_constrain_range_for_size.default",
    }
)


def _makes_nothing(node: Node, setting: Setting) -> bool:
    return op_name(node) in _CHECKS


def _has_foreign_dtype(node: Node, setting: Setting) -> bool:
    given, made = _dtypes(node)
    if _is_folded_cast(node, setting):
        return not (given <= _DTYPES | NARROW and made <= _DTYPES | {torch.int16})
    return not _quantises(node) and not given | made <= _DTYPES | NARROW


def _wraps(node: Node, setting: Setting) -> bool:
    given, made = _dtypes(node)
    if _quantises(node) or _is_folded_cast(node, setting) or NARROW.isdisjoint(given | made):
        return False
    if is_filled_in_range(node):
        return False
    return op_name(node) not in _TAKES_NARROW or any(
        each.name in setting.constants and each.meta["val"].dtype in NARROW
        for each in node.all_input_nodes
    )


def _dtypes(node: Node) -> tuple[set[torch.dtype], set[torch.dtype]]:
    return {each.dtype for each in operands(node)}, {each.dtype for each in results(node)}


def _quantises(node: Node) -> bool:
    return op_name(node).startswith(_QUANTISATION_NAMESPACES)


def _is_folded_cast(node: Node, setting: Setting) -> bool:
    """Whether a node converts a constant, which is done before the model is written."""
    return op_name(node) in CASTS and node.all_input_nodes[0].name in setting.constants


def _has_wide_integer(node: Node, setting: Setting) -> bool:
    if any(each.name in setting.wide for each in node.all_input_nodes):
        return True
    # the end of a slice means: to the end
    return not op_name(node).startswith("aten.slice") and any(
        isinstance(each, int) and not -(2**31) <= each < 2**31 for each in node.args
    )


def stays_wide(node: Node) -> bool:
    """Whether the result of a node that reads what int32 does not hold is of that kind, too."""
    parts = op_name(node).split(".")
    whole = all(each.dtype == torch.int64 for each in results(node))
    return whole and not (parts[0] == "aten" and parts[1] in _SHRINK)


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
    Rule((), _makes_nothing, "the op makes no value: Core ML checks nothing while it runs"),
    Rule(
        (),
        _has_foreign_dtype,
        "Core ML takes bool, float16, float32 and int32 tensors only",
        EXECUTORCH + "11686",
    ),
    Rule(
        (),
        _wraps,
        "Core ML computes int32, which does not wrap as integers of fewer bits do in the op",
    ),
    Rule(
        (),
        _has_wide_integer,
        WIDE,
    ),
    Rule((), _has_high_rank, "Core ML takes tensors up to rank 5", ISSUES + "1723"),
)
