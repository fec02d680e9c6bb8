"""Executed kernels to MIL operations.

Enters: the kernels of a session with the names OpenVINO knows them by, and the operations of its
function. Leaves: for each kernel, the operation its time belongs to and those fused with it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from etcoreml.engine import Kernel
from etcoreml.mil.program import Operation


def symbol(operation: Operation) -> str:
    """Return upstream's debug symbol of an operation: ``<first output>:<op>``."""
    return f"{operation.outputs[0].name}:{operation.type}"


@dataclass(frozen=True)
class Attribution:
    """What a kernel computes.

    Attributes:
        operation: The operation that has its time.
        members: Every operation known to be computed in the kernel, in order of the function.
        by_name: Whether OpenVINO's names lead to it; otherwise it is a neighbour's, such as of a
            change of layout before a convolution.
    """

    operation: Operation
    members: tuple[Operation, ...]
    by_name: bool


def attribute(
    kernels: Sequence[Kernel],
    operations: Iterable[Operation],
    flops: Mapping[str, int | None],
) -> Mapping[str, Attribution]:
    """Attribute kernels to operations.

    A kernel computes the operation it is named after, and those that OpenVINO says are fused into
    it; if there are none, the one whose name ends its own (OpenVINO names changes of layout so). It
    goes to that of them with the most FLOPs: OpenVINO names attention after the transpose at its
    end. Of several, to the one it is named after, else the last. A kernel without any goes to the
    operation of the nearest kernel that reads its result or, at the end of the graph, makes its
    input.

    Args:
        kernels: Of ``Session.kernels``.
        operations: The top-level operations of the function, in order.
        flops: Of the operations, by debug symbol; None, for what depends on a size that varies,
            counts as the most.

    Returns:
        By the kernel's name. A kernel that nothing leads to is left out.
    """
    given = list(operations)
    places = {symbol(each): i for i, each in enumerate(given)}
    owners = {out.name: each for each in given for out in each.outputs}
    found: dict[str, Attribution] = {}
    for kernel in kernels:
        names = (kernel.name, *kernel.originals)
        members = dict.fromkeys(name for each in names if (name := _owned(each, owners)))
        if not members and (name := _ending(kernel.name, owners)):
            members = {name: None}
        if members:
            unique = {symbol(owners[name]): owners[name] for name in members}
            made = tuple(unique[name] for name in sorted(unique, key=places.__getitem__))
            own = owners.get(_owned(kernel.name, owners) or "")
            found[kernel.name] = Attribution(_heaviest(made, own, flops), made, by_name=True)
    by_name = {kernel.name: kernel for kernel in kernels}
    readers = _readers(kernels)
    named = frozenset(found)
    for kernel in kernels:
        if kernel.name not in found:
            near = _nearest(kernel.name, readers, named) or _nearest(
                kernel.name, {name: each.inputs for name, each in by_name.items()}, named
            )
            if near is not None:
                operation = found[near].operation
                found[kernel.name] = Attribution(operation, (operation,), by_name=False)
    return found


def _heaviest(
    members: Sequence[Operation], own: Operation | None, flops: Mapping[str, int | None]
) -> Operation:
    """Return the member with the most FLOPs; of several ``own`` if it is one, else the last."""

    def weight(place: int) -> tuple[float, bool, int]:
        count = flops.get(symbol(members[place]), 0)
        return math.inf if count is None else count, members[place] is own, place

    return members[max(range(len(members)), key=weight)]


def _owned(name: str, owners: Mapping[str, Operation]) -> str | None:
    """Return the MIL value a node is named after, if it is one of an operation."""
    value = name.partition("/")[0]
    return value if value in owners else None


def _ending(name: str, owners: Mapping[str, Operation]) -> str | None:
    """Return the longest value that follows an underscore, and is the rest of the name."""
    rest = name.partition("/")[0]
    while rest:
        rest = rest.partition("_")[2]
        if rest in owners:
            return rest
    return None


def _readers(kernels: Sequence[Kernel]) -> Mapping[str, Sequence[str]]:
    readers: dict[str, list[str]] = {}
    for kernel in kernels:
        for source in kernel.inputs:
            readers.setdefault(source, []).append(kernel.name)
    return readers


def _nearest(start: str, edges: Mapping[str, Sequence[str]], wanted: frozenset[str]) -> str | None:
    """Return the first of ``wanted`` on a breadth-first walk from a kernel."""
    seen, waiting = {start}, deque(edges.get(start, ()))
    while waiting:
        name = waiting.popleft()
        if name in wanted:
            return name
        if name not in seen:
            seen.add(name)
            waiting.extend(edges.get(name, ()))
    return None
