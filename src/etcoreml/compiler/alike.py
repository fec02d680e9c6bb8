"""Partitions that are alike are converted once.

What enters is a partition and what was lowered before it; what leaves is its delegate, when a
partition with the same ops, shapes, options and constants was lowered: layers that repeat between
ops that stay outside, or the unchanged parts of a program that is lowered again. Names may differ:
a delegate is called by position. The debug handles are each partition's own.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from executorch.exir.backend.backend_details import PreprocessResult
from executorch.exir.backend.compile_spec_schema import CompileSpec
from torch import Tensor
from torch.export import ExportedProgram
from torch.fx import Node
from torch.fx.node import map_arg

from etcoreml.blob import Directory, read_blob, write_blob
from etcoreml.compiler.package import DEBUG_INFO_NAME, DebugInfo, encode_json
from etcoreml.compiler.placeholders import held_tensors
from etcoreml.compiler.specs import COMPILE_SPEC_KEYS

_SPLIT_KEYS = frozenset(
    {COMPILE_SPEC_KEYS.ENUMERATED_SHAPES.value, COMPILE_SPEC_KEYS.FLOAT32_NODES.value}
)
"""Options that name inputs or nodes."""


@dataclass(frozen=True, eq=False)
class Lowered:
    """A partition and its delegate.

    Attributes:
        program: The partition in edge dialect.
        compile_specs: Its options.
        result: What ExecuTorch was given for it.
        spec_version: The specification version of its model.
    """

    program: ExportedProgram
    compile_specs: Sequence[CompileSpec]
    result: PreprocessResult
    spec_version: int

    @functools.cached_property
    def structure(self) -> tuple[object, ...] | None:
        """What decides about the model, except for the constants' values."""
        return _structure(self.program, self.compile_specs)


def reused(
    program: ExportedProgram, compile_specs: Sequence[CompileSpec], before: Iterable[Lowered]
) -> Lowered | None:
    """Return a partition with the delegate of the one of ``before`` that it is like, or None."""
    before = list(before)
    structure = _structure(program, compile_specs) if before else None
    if structure is None:
        return None
    for each in before:
        if each.structure == structure and _have_equal_constants(program, each.program):
            result = _with_handles(each, program)
            return Lowered(program, compile_specs, result, each.spec_version)
    return None


def _structure(
    program: ExportedProgram, compile_specs: Sequence[CompileSpec]
) -> tuple[object, ...] | None:
    """Describe a partition without names, or return None when it is to be converted on its own."""
    signature = program.graph_signature
    if signature.buffers_to_mutate or any(each.key in _SPLIT_KEYS for each in compile_specs):
        return None
    constants = _constants(program)
    numbers: dict[Node, str] = {}
    handles: dict[object, int] = {None: -1}
    parts: list[object] = [
        tuple((each.key, bytes(each.value)) for each in compile_specs),
        sorted(f"{symbol}: {bounds}" for symbol, bounds in program.range_constraints.items()),
    ]
    for node in program.graph.nodes:
        if node.op not in ("placeholder", "call_function", "output"):
            return None
        numbers[node] = f"%{len(numbers)}"
        handle = handles.setdefault(_handle(node), len(handles))
        arguments = map_arg((node.args, node.kwargs), numbers.__getitem__)
        constant = constants.get(node.name)
        parts.append(
            (
                node.op,
                "" if node.op == "placeholder" else str(node.target),
                "" if node.op == "placeholder" else str(arguments),
                "" if node.op == "output" else _described(node.meta.get("val")),
                handle,
                None if constant is None else _described(constant),
            )
        )
    return tuple(map(str, parts))


def _handle(node: Node) -> Any:
    """Return the debug handle of a call; what is passed in belongs to other delegates."""
    return node.meta.get("debug_handle") if node.op == "call_function" else None


def _described(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{value.dtype} {list(value.shape)} {list(value.stride())}"
    if isinstance(value, (list, tuple)):
        return str([_described(each) for each in value])
    return f"{type(value).__name__} {value}"


def _constants(program: ExportedProgram) -> dict[str, Tensor]:
    """Return the tensors behind placeholders, by the placeholder's name."""
    found = {
        name: program.state_dict.get(target, program.constants.get(target))
        for name, target in held_tensors(program).items()
    }
    return {name: each for name, each in found.items() if isinstance(each, Tensor)}


def _have_equal_constants(one: ExportedProgram, other: ExportedProgram) -> bool:
    """Whether two partitions of one structure have the same constants, bit for bit."""
    pairs = zip(_ordered_constants(one), _ordered_constants(other), strict=True)
    return all(_equal_bits(a, b) for a, b in pairs)


def _ordered_constants(program: ExportedProgram) -> Iterator[Tensor]:
    constants = _constants(program)
    return (constants[each.name] for each in program.graph.nodes if each.name in constants)


def _equal_bits(one: Tensor, other: Tensor) -> bool:
    if one is other:
        return True
    if not all(type(each) in (Tensor, torch.nn.Parameter) for each in (one, other)):
        return False  # what a subclass holds besides is not known
    bits = [each.detach().contiguous().reshape(-1).view(torch.uint8) for each in (one, other)]
    return bool(torch.equal(*bits))


def _with_handles(lowered: Lowered, program: ExportedProgram) -> PreprocessResult:
    """Return a result with the debug handles of another partition of the same structure."""
    pairs = zip(lowered.program.graph.nodes, program.graph.nodes, strict=True)
    ours = {_handle(a): _handle(b) for a, b in pairs}
    result = lowered.result
    if result.debug_handle_map is None or all(a == b for a, b in ours.items()):
        return result
    handles = {
        symbol: tuple(sorted(ours[each] for each in found))
        for symbol, found in result.debug_handle_map.items()
    }
    tree = read_blob(result.processed_bytes)
    noted = json.loads(bytes(tree.read(DEBUG_INFO_NAME)))
    own = {symbol: handles[symbol] for symbol in noted["debugSymbolToHandles"]}
    info = DebugInfo(noted["debugSymbolToOperationPath"], own, noted["versionInfo"])
    files = {**tree.children, DEBUG_INFO_NAME: encode_json(info.to_json())}
    blob = write_blob(Directory.from_mapping(tree.name, files))
    return PreprocessResult(processed_bytes=blob, debug_handle_map=handles)
