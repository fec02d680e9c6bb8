"""Converters from edge ops to MIL that coremltools lacks, or has under another name only.

coremltools keeps its converters in one process-wide table. Ours enter it for the duration of a
call and leave it again, so that neither coremltools' users nor another backend in the process
meet them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any

from etcoreml.compiler.attention_ops import ATTENTION_CONVERTERS
from etcoreml.compiler.elementwise_ops import ELEMENTWISE_CONVERTERS
from etcoreml.compiler.quantized_ops import QUANTIZED_CONVERTERS
from etcoreml.mil.ct import coremltools

_torch = coremltools().converters.mil.frontend.torch
_TABLE: dict[str, Callable[[Any, Any], None]] = (
    _torch.torch_op_registry._TORCH_OPS_REGISTRY.name_to_func_mapping
)


def _in_order(converter: Callable[[Any, Any], None]) -> Callable[[Any, Any], None]:
    """Return a converter of an op that may ask for an order of the dimensions in memory.

    Core ML's tensors have none: where one leaves a delegate, the runtime writes it in the order
    that the program wants.
    """

    def convert(context: Any, node: Any) -> None:
        node.kwinputs.pop("dim_order", None)
        node.kwinputs.pop("memory_format", None)
        converter(context, node)

    return convert


_clone_dim_order = _in_order(_torch.ops.noop)


def _with_results(converter: Callable[[Any, Any], None], count: int) -> Callable[[Any, Any], None]:
    """Return a converter that enters its results as one tuple, as exported programs have them."""

    def convert(context: Any, node: Any) -> None:
        node.outputs = [f"{node.name}_{index}" for index in range(count)]
        converter(context, node)
        context.add(tuple(context[name] for name in node.outputs), torch_name=node.name)

    return convert


# Op name in coremltools' spelling (lower case, without ``aten`` and ``default``) to converter.
# An op of another namespace is converted by its name with ``::`` and looked up with a dot.
# split_copy: https://github.com/apple/coremltools/pull/2563, after 9.0.
# dim_order_ops: coremltools 9.0 lacks the clone, and the names with a dot.
OWN_CONVERTERS: Mapping[str, Callable[[Any, Any], None]] = MappingProxyType(
    {
        "split_copy": _torch.ops.split,
        # Under the name of the overload that torch.export writes, else they are unrolled.
        "lstm.input": _with_results(_torch.ops.lstm, 3),
        "gru.input": _with_results(_torch.ops.gru, 2),
        "dim_order_ops._to_dim_order_copy": _in_order(_torch.dim_order_ops._to_dim_order_copy),
        "dim_order_ops._empty_dim_order": _torch.dim_order_ops._empty_dim_order,
        "dim_order_ops._clone_dim_order": _clone_dim_order,
        "dim_order_ops::_clone_dim_order": _clone_dim_order,
        **ATTENTION_CONVERTERS,
        **ELEMENTWISE_CONVERTERS,
        **QUANTIZED_CONVERTERS,
    }
)


def canonical_name(op_name: str) -> str:
    """Return the name under which coremltools looks a converter up.

    Args:
        op_name: Name of an overload, e.g. ``aten.mm.default``.
    """
    return str(_torch.utils.sanitize_op_kind(op_name))


def has_converter(op_name: str) -> bool:
    """Whether a converter exists for an overload such as ``aten.mm.default``."""
    name = canonical_name(op_name)
    return name in OWN_CONVERTERS or name in _TABLE


@contextlib.contextmanager
def own_converters() -> Iterator[None]:
    """Put our converters into coremltools' table for the duration of the block."""
    before = {name: _TABLE[name] for name in OWN_CONVERTERS if name in _TABLE}
    _TABLE.update(OWN_CONVERTERS)
    try:
        yield
    finally:
        for name in OWN_CONVERTERS:
            del _TABLE[name]
        _TABLE.update(before)
