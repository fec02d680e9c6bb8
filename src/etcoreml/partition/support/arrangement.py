"""Rules about ops that pick, repeat, pad and place values."""

from __future__ import annotations

from torch.fx import Node

from etcoreml.compiler.decompositions.shapes import has_fixed_matrices
from etcoreml.partition.node import argument, is_static, operands
from etcoreml.partition.support.rule import ISSUES, Rule, Setting, always, is_below_ios16


def _has_varying_matrix(node: Node, setting: Setting) -> bool:
    return any(not is_static(each.shape) for each in operands(node))


def _reduces_otherwise(node: Node, setting: Setting) -> bool:
    known = argument(node, "reduce") in ("sum", "prod", "amax", "amin")
    return not known or not argument(node, "include_self")


def _lie_otherwise(node: Node, setting: Setting) -> bool:
    return list(argument(node, "kernel_size")) != list(argument(node, "stride"))


def _crops(node: Node, setting: Setting) -> bool:
    return any(not isinstance(size, int) or size < 0 for size in argument(node, "pad"))


def _pads_otherwise(node: Node, setting: Setting) -> bool:
    return argument(node, "mode") not in (
        "constant",
        "reflect",
        "replicate",
    ) or _crops(node, setting)


def _mirrors_integers(node: Node, setting: Setting) -> bool:
    value = node.meta["val"]
    return not value.dtype.is_floating_point and argument(node, "mode") != "constant"


RULES: tuple[Rule, ...] = (
    Rule(
        ("aten.triu.default", "aten.tril.default"),
        _has_varying_matrix,
        "the triangle of a matrix whose size varies cannot be a constant",
    ),
    Rule(
        ("aten.diagonal.default", "aten.diagonal_copy.default"),
        lambda node, setting: not has_fixed_matrices(node),
        "coremltools gives the diagonal of a matrix whose size varies a wrong shape",
        ISSUES + "2565",
    ),
    Rule(
        ("aten.scatter_reduce.two",),
        _reduces_otherwise,
        "Core ML scatters by sum, prod, amax and amin, and includes what is there",
    ),
    Rule(
        ("aten.col2im.default",),
        _lie_otherwise,
        "coremltools folds windows that lie side by side only",
    ),
    Rule(
        ("aten._upsample_bilinear2d_aa.default",),
        always,
        "coremltools ignores antialias",
    ),
    Rule(
        ("aten.repeat_interleave.self_int", "aten.repeat_interleave.self_Tensor"),
        always,
        "coremltools' translation is slower than the decomposition",
    ),
    Rule(
        ("aten.pixel_unshuffle.default",),
        is_below_ios16,
        "Core ML has the op from iOS16 on",
    ),
    Rule(("aten.constant_pad_nd.default",), _crops, "Core ML pads by sizes of zero or more"),
    Rule(
        ("aten.pad.default",),
        _pads_otherwise,
        "Core ML pads by sizes of zero or more, with constants, by reflection or replication",
    ),
    Rule(
        ("aten.pad.default",),
        _mirrors_integers,
        "Core ML reflects and replicates floating-point numbers only",
    ),
)
