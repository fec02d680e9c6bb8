"""Which nodes are tried alone before they are delegated.

The ops of ordinary networks on ordinary tensors are converted in every test run, and trying each of
them would make lowering slow. The rest is tried: an op that is rare, or a common one on dtypes or
ranks it rarely meets.
"""

from __future__ import annotations

import torch
from torch.fx import Node

from etcoreml.compiler.names import op_name
from etcoreml.partition.node import operands

_COMMON_DTYPES = frozenset({torch.float32, torch.int64, torch.bool})

_VIEWS = (
    *("alias_copy", "detach_copy", "expand_copy", "permute_copy", "split_with_sizes_copy"),
    *("squeeze_copy", "unsqueeze_copy", "view_copy", "_unsafe_view", "clone"),
    *("permute", "expand", "view", "reshape", "unsqueeze", "split_with_sizes", "contiguous"),
)
_NETWORK = (
    *(
        "addmm",
        "bmm",
        "mm",
        "linear",
        "matmul",
        "convolution",
        "conv1d",
        "conv2d",
        "conv_transpose2d",
    ),
    *("_native_batch_norm_legit_no_training", "batch_norm", "layer_norm", "native_layer_norm"),
    *(
        "group_norm",
        "native_group_norm",
        "scaled_dot_product_attention",
        "embedding",
        "cat",
        "stack",
    ),
    *("relu", "gelu", "sigmoid", "silu", "tanh", "hardtanh", "hardswish", "hardsigmoid", "softmax"),
    *("_softmax", "_log_softmax", "leaky_relu", "exp", "sqrt", "rsqrt", "reciprocal", "sin", "cos"),
    *("neg", "abs", "full", "full_like", "avg_pool2d", "max_pool2d", "_adaptive_avg_pool2d"),
    *("adaptive_avg_pool2d", "index_select", "dropout", "logical_not", "logical_and", "clamp"),
)
_KINDS = ("Tensor", "Scalar")
_SIZE = "aten.sym_size.int"
COMMON = frozenset(
    {
        "getitem",
        *(f"aten.{name}.default" for name in (*_VIEWS, *_NETWORK)),
        *(f"aten.{name}.{kind}" for name in ("add", "sub", "mul", "div") for kind in _KINDS),
        *(
            f"aten.{name}.{kind}"
            for name in ("eq", "ne", "lt", "le", "gt", "ge")
            for kind in _KINDS
        ),
        *("aten.mean.dim", "aten.sum.dim_IntList", "aten.where.self", "aten.softmax.int"),
        *("aten.slice_copy.Tensor", "aten.slice.Tensor", "aten.select_copy.int", "aten.select.int"),
        *("aten.transpose_copy.int", "aten.transpose.int", "aten.squeeze_copy.dims"),
        *("aten.pow.Tensor_Scalar", "aten.arange.start_step"),
        *("aten.upsample_nearest2d.vec", "aten.unbind_copy.int", "aten.split_copy.Tensor"),
        *("dim_order_ops._clone_dim_order.default", "dim_order_ops._to_dim_order_copy.default"),
    }
)
"""Ops that are not tried on common dtypes."""


def is_doubtful(node: Node) -> bool:
    """Whether the rules alone do not settle that a node converts.

    Nodes whose operands or results are sizes cannot be tried alone and are not doubtful; nor are
    those that quantise, which the converter understands by their neighbours.
    """
    tensors = operands(node)
    if (
        op_name(node) == _SIZE
        or not tensors
        or not op_name(node).startswith(("aten.", "dim_order_ops."))
    ):
        return False
    return op_name(node) not in COMMON or any(each.dtype not in _COMMON_DTYPES for each in tensors)
