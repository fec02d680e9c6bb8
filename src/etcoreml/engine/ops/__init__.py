"""Translators, one file per MIL op family; importing this package fills the registry."""

from etcoreml.engine.ops import (
    activation,
    compression,
    control_flow,
    conv,
    elementwise_binary,
    elementwise_unary,
    image_resizing,
    linear,
    normalization,
    pool,
    reduction,
    scatter_gather,
    states,
    tensor_operation,
    tensor_transformation,
    transformers,
)

__all__ = [
    "activation",
    "compression",
    "control_flow",
    "conv",
    "elementwise_binary",
    "elementwise_unary",
    "image_resizing",
    "linear",
    "normalization",
    "pool",
    "reduction",
    "scatter_gather",
    "states",
    "tensor_operation",
    "tensor_transformation",
    "transformers",
]
