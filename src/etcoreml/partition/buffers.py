"""Mutable buffers: which become Core ML state, and which stay inputs and outputs of a delegate.

Core ML has state from iOS18 on. It is stored as float16 and starts at zero, so a buffer of another
kind would silently hold something else.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.fx import Node

from etcoreml.compiler.specs import Options
from etcoreml.mil.ct import coremltools

ct = coremltools()

_STATE_DTYPES = (torch.float16, torch.float32)


def initial_values(program: ExportedProgram) -> frozenset[str]:
    """Return the names of the mutable buffers that do not start as zeros.

    Args:
        program: A program with real tensors.
    """
    names = set(program.graph_signature.buffers_to_mutate.values())
    values = {name: program.state_dict.get(name, program.constants.get(name)) for name in names}
    return frozenset(
        name
        for name, value in values.items()
        if isinstance(value, torch.Tensor) and bool(torch.count_nonzero(value))
    )


def claim_buffers(
    program: ExportedProgram, options: Options, not_zero: Collection[str], take_over: bool
) -> dict[Node, str | None]:
    """Tag the mutable buffers that become state.

    Args:
        program: The program; its other nodes are tagged already.
        options: The compile specs.
        not_zero: Names of buffers known not to start as zeros.
        take_over: Whether the user wants state at all.

    Returns:
        Every mutable buffer's placeholder with the reason why it stays outside, or None.
    """
    signature = program.graph_signature
    writers = {buffer: name for name, buffer in signature.buffers_to_mutate.items()}
    nodes = {node.name: node for node in program.graph.nodes}
    decisions: dict[Node, str | None] = {}
    for name, buffer in signature.inputs_to_buffers.items():
        if buffer not in writers:
            continue
        node, writer = nodes[name], nodes[writers[buffer]]
        reason = _why_not_state(node, options, buffer in not_zero, take_over)
        tags = {
            each.meta.get("delegation_tag") for each in (*node.users, writer) if _computes(each)
        }
        if reason is None and (len(tags) != 1 or None in tags):
            reason = "the buffer is read or written outside of one single delegate"
        if reason is None:
            node.meta["delegation_tag"] = tags.pop()
        elif buffer in not_zero:
            # ExecuTorch stores the value of a mutable buffer only where it is told to.
            node.meta["et_init_buffer"] = True
        decisions[node] = reason
    return decisions


def _computes(node: Node) -> bool:
    return str(node.op) != "output"


def _why_not_state(node: Node, options: Options, not_zero: bool, take_over: bool) -> str | None:
    value: Any = node.meta["val"]
    if not take_over:
        return "the user asked to keep buffers outside (take_over_mutable_buffer=False)"
    if options.newest_target < ct.target.iOS18:
        return "Core ML state needs minimum_deployment_target iOS18 or later"
    if value.dtype not in _STATE_DTYPES:
        return "Core ML state is float16, which does not hold every value of this dtype"
    if options.compute_precision == ct.precision.FLOAT32 and value.dtype == torch.float32:
        return "Core ML state is float16, and compute_precision is float32"
    if not_zero:
        return "Core ML state starts as zeros, and the buffer does not"
    return None
