"""Can Core ML take this node? The rules, as data.

What enters is a node and the settings of the lowering; what leaves is the reason why the node has
to stay outside of the delegate, or None. A rule states the ops it is about, the condition, the
reason a user reads, where the limit is discussed, and the version it was verified with. Rules
about every op come first; the first that applies gives the reason.

The rules describe coremltools' conversion and Core ML's semantics, never what the portable engine
of this package can run.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.fx import Node

from etcoreml.compiler.decompositions import MAX_RANK, expansion
from etcoreml.compiler.torch_ops import has_converter
from etcoreml.mil.ct import coremltools
from etcoreml.partition.node import argument, is_static, op_name, operand, operands, results

ct = coremltools()

_FACTS = "measured, see the tests of this file"
_ISSUES = "https://github.com/apple/coremltools/issues/"
_EXECUTORCH = "https://github.com/pytorch/executorch/issues/"

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


@dataclass(frozen=True)
class Setting:
    """What the rules may ask about the lowering.

    Attributes:
        target: ``coremltools.target`` the model must run on.
        constants: Names of the placeholders whose values go into the model.
        wide: Names of the placeholders of int64 constants that int32 does not hold.
        whole: Whether the program has to go in as a whole.
    """

    target: Any
    constants: frozenset[str] = frozenset()
    wide: frozenset[str] = frozenset()
    whole: bool = False


@dataclass(frozen=True)
class Rule:
    """One limit of Core ML or of its converter.

    Attributes:
        ops: The ops it is about, e.g. ``aten.add.Tensor``; empty for every op.
        applies: Whether a node is beyond the limit.
        reason: What the user is told, a sentence without a full stop.
        link: Where the limit is discussed.
        verified: The version it was last seen with.
    """

    ops: Collection[str]
    applies: Callable[[Node, Setting], bool]
    reason: str
    link: str = _FACTS
    verified: str = field(default="coremltools 9.0")


def why_not(node: Node, setting: Setting) -> str | None:
    """Return why a call node has to stay outside of Core ML, or None when it need not.

    Args:
        node: A ``call_function`` node of an edge or ATen program, with ``meta["val"]``.
        setting: The lowering it is for.
    """
    traced = expansion(node)
    if traced is not None:
        parts = (each for each in traced.graph.nodes if each.op == "call_function")
        return next(filter(None, (why_not(each, setting) for each in parts)), None)
    name = op_name(node)
    for rule in (*GENERAL_RULES, *_RULES_BY_OP.get(name, ())):
        if rule.applies(node, setting):
            return rule.reason
    return None


# Conditions ------------------------------------------------------------------------------------


def _always(node: Node, setting: Setting) -> bool:
    return True


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


def _has_integer_result(node: Node, setting: Setting) -> bool:
    return any(each.dtype != torch.bool for each in results(node))


def _is_unbatched(node: Node, setting: Setting) -> bool:
    x, weight = operand(node, "input"), operand(node, "weight")
    return x is None or weight is None or x.dim() < weight.dim()


def _is_known(value: object, setting: Setting) -> bool:
    """Whether a value is there when the model is written: a constant, or computed from those."""
    if not isinstance(value, Node):
        return True
    if value.op == "call_function":
        return all(_is_known(each, setting) for each in value.all_input_nodes)
    return value.op == "get_attr" or value.name in setting.constants


def _has_varying_bias(node: Node, setting: Setting) -> bool:
    return not _is_known(argument(node, "bias"), setting)


def _has_varying_scale(node: Node, setting: Setting) -> bool:
    return not all(_is_known(argument(node, name), setting) for name in ("weight", "bias"))


def _has_varying_transposed_weight(node: Node, setting: Setting) -> bool:
    is_transposed = "transpose" in op_name(node) or argument(node, "transposed")
    return is_transposed and not _is_known(argument(node, "weight"), setting)


def _uses_indices(node: Node, setting: Setting) -> bool:
    return any(op_name(user) == "getitem" and user.args[1] == 1 for user in node.users)


def _is_below_ios16(node: Node, setting: Setting) -> bool:
    return bool(setting.target < ct.target.iOS16)


def _is_dilated(node: Node, setting: Setting) -> bool:
    return any(step != 1 for step in argument(node, "dilation"))


def _is_dilated_or_indexed(node: Node, setting: Setting) -> bool:
    return _is_dilated(node, setting) or _uses_indices(node, setting)


def _overrides_divisor(node: Node, setting: Setting) -> bool:
    return argument(node, "divisor_override") is not None


def _crops(node: Node, setting: Setting) -> bool:
    return any(not isinstance(size, int) or size < 0 for size in argument(node, "pad"))


def _pads_otherwise(node: Node, setting: Setting) -> bool:
    return argument(node, "mode") not in (
        "constant",
        "reflect",
        "replicate",
    ) or _crops(node, setting)


def _has_varying_matrix(node: Node, setting: Setting) -> bool:
    return any(not is_static(each.shape) for each in operands(node))


def _reduces_otherwise(node: Node, setting: Setting) -> bool:
    known = argument(node, "reduce") in ("sum", "prod", "amax", "amin")
    return not known or not argument(node, "include_self")


def _overlaps(node: Node, setting: Setting) -> bool:
    sizes, steps = argument(node, "kernel_size"), argument(node, "stride")
    return any(step < size for size, step in zip(sizes, steps, strict=True))


def _groups_heads_otherwise(node: Node, setting: Setting) -> bool:
    query, key, value = (operand(node, name) for name in ("query", "key", "value"))
    if query is None or key is None or value is None:
        return True
    if all(each.shape[:-2] == query.shape[:-2] for each in (key, value)):
        return False
    grouped = bool(argument(node, "enable_gqa")) and query.dim() == _BATCHED_HEADS
    return not grouped or any(
        each.dim() != query.dim()
        or each.shape[0] != query.shape[0]
        or not is_static((query.shape[1], each.shape[1]))
        for each in (key, value)
    )


_BATCHED_HEADS = 4

_BITWISE = (
    "aten.bitwise_not.default",
    *(
        f"aten.bitwise_{name}.{overload}"
        for name in ("and", "or", "xor")
        for overload in ("Tensor", "Scalar")
    ),
)
_CONVOLUTIONS = ("aten.convolution.default", *(f"aten.conv{n}d.default" for n in (1, 2, 3)))
_TRANSPOSED = (
    "aten.conv_transpose1d.default",
    "aten.conv_transpose2d.input",
    "aten.conv_transpose3d.input",
)
_UNCONVERTED = (
    "aten.affine_grid_generator.default",
    "aten.cosine_similarity.default",
    "aten.hann_window.default",
    "aten.hardshrink.default",
    "aten.linalg_inv.default",
    "aten.linalg_inv_ex.default",
    "aten.mse_loss.default",
    "aten.nll_loss_nd.default",
)

# Rules -----------------------------------------------------------------------------------------

GENERAL_RULES: tuple[Rule, ...] = (
    Rule((), _is_control_flow, "control flow runs outside of delegates"),
    Rule((), _is_in_place, "an op in place is converted only after it was made functional"),
    Rule((), _has_no_converter, "coremltools has no converter for the op"),
    Rule(
        (),
        _has_foreign_dtype,
        "Core ML takes bool, float16, float32 and int32 tensors only",
        _EXECUTORCH + "11686",
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
    Rule((), _has_high_rank, "Core ML takes tensors up to rank 5", _ISSUES + "1723"),
)

OP_RULES: tuple[Rule, ...] = (
    # Wrong numbers: the conversion succeeds and the model computes something else.
    Rule(
        ("aten.acosh.default",),
        _always,
        "coremltools does not implement the op",
        _ISSUES + "2569",
    ),
    Rule(
        ("aten.triu.default", "aten.tril.default"),
        _has_varying_matrix,
        "the triangle of a matrix whose size varies cannot be a constant",
    ),
    Rule(
        ("aten.scatter_reduce.two",),
        _reduces_otherwise,
        "Core ML scatters by sum, prod, amax and amin, and includes what is there",
    ),
    Rule(
        ("aten.col2im.default",),
        _overlaps,
        "coremltools folds windows that do not overlap only",
    ),
    Rule(
        ("aten._upsample_bilinear2d_aa.default",),
        _always,
        "coremltools ignores antialias",
    ),
    Rule(
        ("aten.rms_norm.default",),
        _always,
        "coremltools' rms_norm is inaccurate for small values and NaN for zeros",
        _ISSUES + "2821",
    ),
    # Slow: the converter's translation is worse than the decomposition.
    Rule(
        ("aten.repeat_interleave.self_int", "aten.repeat_interleave.self_Tensor"),
        _always,
        "coremltools' translation is slower than the decomposition",
    ),
    # Failures: the converter exists and raises, which would abort the whole lowering.
    Rule(
        _BITWISE,
        _has_integer_result,
        "Core ML has the op for bool tensors only",
    ),
    Rule(
        _UNCONVERTED,
        _always,
        "coremltools does not convert the op as torch.export writes it",
    ),
    Rule(
        ("aten.pixel_unshuffle.default",),
        _is_below_ios16,
        "Core ML has the op from iOS16 on",
    ),
    Rule(
        _CONVOLUTIONS,
        _is_unbatched,
        "Core ML's convolution takes batched tensors",
    ),
    Rule(
        (*_CONVOLUTIONS, *_TRANSPOSED),
        _has_varying_bias,
        "Core ML's convolution takes a constant bias only",
    ),
    Rule(
        ("aten.convolution.default", *_TRANSPOSED),
        _has_varying_transposed_weight,
        "Core ML's transposed convolution takes a constant weight only",
    ),
    Rule(
        ("aten.layer_norm.default", "aten.native_layer_norm.default"),
        _has_varying_scale,
        "Core ML's layer norm takes a constant weight and bias only",
    ),
    Rule(
        ("aten.max_pool2d_with_indices.default", "aten.max_pool3d_with_indices.default"),
        _is_dilated_or_indexed,
        "Core ML's max pooling has neither dilation nor indices",
    ),
    Rule(
        tuple(f"aten.max_pool{n}d.default" for n in (1, 2, 3)),
        _is_dilated,
        "Core ML's max pooling has no dilation",
    ),
    Rule(
        tuple(f"aten.avg_pool{n}d.default" for n in (2, 3)),
        _overrides_divisor,
        "Core ML's average pooling has no divisor",
    ),
    Rule(("aten.constant_pad_nd.default",), _crops, "Core ML pads by sizes of zero or more"),
    Rule(
        ("aten.pad.default",),
        _pads_otherwise,
        "Core ML pads by sizes of zero or more, with constants, by reflection or replication",
    ),
    Rule(
        ("aten.scaled_dot_product_attention.default",),
        _groups_heads_otherwise,
        "Core ML's attention takes (batch, heads, length, depth) with enable_gqa, and otherwise "
        "operands of the same batch and heads",
    ),
)


def _by_op() -> dict[str, tuple[Rule, ...]]:
    table: dict[str, tuple[Rule, ...]] = {}
    for rule in OP_RULES:
        for name in rule.ops:
            table[name] = (*table.get(name, ()), rule)
    return table


_RULES_BY_OP = _by_op()
