"""Operations that ran, and the nodes of the graph that each of them computes."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from etcoreml.report.document import Node, Operation, Time
from etcoreml.report.graph import short_source
from etcoreml.trace.profile import Profile, Profiled
from etcoreml.trace.roofline import Roofline

_RUNTIME = "native_call_"
"""What ExecuTorch puts before the name of a kernel that it calls itself."""


def time_of(profile: Profile, limits: Roofline, snr_db: Mapping[str, float], inputs: str) -> Time:
    """Return a profile as the report has it.

    Args:
        profile: What was measured.
        limits: Of this machine.
        snr_db: Of results, by debug symbol in order of the graph, the finite ones.
        inputs: Where the inputs come from.
    """
    whole = profile.median_ms
    lost = statistics.median(profile.unattributed_ms)
    operations = tuple(_operation(each, whole, limits, snr_db) for each in profile.operations)
    known = sum(each.median_ms for each in operations)
    return Time(
        run_ms=whole,
        min_ms=min(profile.whole_ms),
        max_ms=max(profile.whole_ms),
        iterations=len(profile.whole_ms),
        load_s=profile.details["load_s"],
        unattributed_ms=lost,
        other_ms=max(0.0, whole - known - lost),
        gflops_limit=limits.gflops,
        gb_per_s_limit=limits.gb_per_s,
        inputs=inputs,
        operations=operations,
    )


def _operation(
    each: Profiled, whole: float, limits: Roofline, snr_db: Mapping[str, float]
) -> Operation:
    # The result of what is fused is that of the last of it, in order of the graph.
    fused = {each.name, *each.fused_with}
    found = [snr for name, snr in snr_db.items() if name in fused]
    inside = each.type != "ExecuTorch"
    return Operation(
        name=each.name if inside else each.name.removeprefix(_RUNTIME),
        type=each.type,
        inside=inside,
        path=tuple(each.module.split(".")) if each.module else (),
        median_ms=each.median_ms,
        min_ms=min(each.times_ms),
        max_ms=max(each.times_ms),
        share=each.median_ms / whole if whole else 0.0,
        flops=each.cost.flops,
        nbytes=each.cost.nbytes,
        gflops_per_s=each.gflops_per_s,
        roofline_share=each.roofline_share(limits),
        snr_db=found[-1] if found else None,
        kernel=each.kernel,
        fused_with=each.fused_with,
        aten_ops=each.aten_ops,
        source=tuple(map(short_source, each.source)),
    )


def nodes_by_handle(
    symbols: Mapping[str, Sequence[int]], handles: Mapping[str, frozenset[int]]
) -> dict[str, tuple[str, ...]]:
    """Return the debug symbols of each node that shares a debug handle with some.

    Args:
        symbols: Handles by debug symbol, of all delegates.
        handles: By node.
    """
    owners: dict[int, list[str]] = {}
    for symbol, of_symbol in symbols.items():
        for handle in of_symbol:
            owners.setdefault(handle, []).append(symbol)
    return {
        node: tuple(symbol for handle in sorted(found) for symbol in owners.get(handle, ()))
        for node, found in handles.items()
    }


def nodes_by_name(nodes: Iterable[Node]) -> dict[str, tuple[str, ...]]:
    """Return the debug symbol of each MIL operation: ``<output>:<op>``."""
    return {each.id: (f"{each.id.rpartition('/')[2]}:{each.op}",) for each in nodes}


def joined(nodes: Sequence[Node], time: Time, symbols: Mapping[str, Sequence[str]]) -> list[Node]:
    """Return the nodes with the operations that compute them.

    A node of Core ML that became no operation of its own, such as a convolution before the batch
    norm that was folded into it, goes with the one operation that all its readers go with. The
    time is shown with the node that has the most FLOPs, or else the operation's name.

    Args:
        nodes: In order of execution.
        time: The operations.
        symbols: Debug symbols by node.
    """
    places = {
        name: i
        for i, each in enumerate(time.operations)
        for name in (*each.fused_with, each.name)
        if each.inside
    }
    found: dict[str, int | None] = {
        each.id: next((places[s] for s in symbols.get(each.id, ()) if s in places), None)
        for each in nodes
    }
    found.update(_runtime_places(nodes, time))
    readers: dict[str, list[Node]] = {}
    for each in nodes:
        for read in each.inputs:
            readers.setdefault(read, []).append(each)
    for each in reversed(nodes):
        after = readers.get(each.id, [])
        together = all(one.kind == "core_ml" and one.delegate == each.delegate for one in after)
        if each.kind == "core_ml" and found[each.id] is None and together:
            places_after = {found[one.id] for one in after}
            if len(places_after) == 1:
                found[each.id] = places_after.pop()

    def weight(node: Node) -> tuple[int, bool]:
        place = found[node.id]
        named = place is not None and time.operations[place].name in symbols.get(node.id, ())
        return node.flops or 0, named

    leaders: dict[int, Node] = {}
    for each in nodes:
        place = found[each.id]
        if place is not None and (place not in leaders or weight(each) > weight(leaders[place])):
            leaders[place] = each
    return [
        replace(
            each,
            operation=found[each.id],
            leads=found[each.id] is not None and leaders[found[each.id]] is each,  # type: ignore[index]
        )
        for each in nodes
    ]


def in_modules(nodes: Sequence[Node], time: Time) -> list[Node]:
    """Return MIL nodes in the modules of the operations that compute them, where those are known.

    Args:
        nodes: Of `joined`, in their delegates.
        time: The operations.
    """
    return [
        each
        if each.operation is None
        else replace(each, path=(*each.path, *time.operations[each.operation].path))
        for each in nodes
    ]


def placed(time: Time, nodes: Iterable[Node]) -> Time:
    """Return the times with each operation in the modules of the node it is shown with."""
    paths = {each.operation: each.path for each in nodes if each.leads}
    operations = tuple(
        replace(each, path=paths.get(i, each.path)) for i, each in enumerate(time.operations)
    )
    return replace(time, operations=operations)


def _runtime_places(nodes: Sequence[Node], time: Time) -> dict[str, int]:
    """Return the operations of nodes outside, where an operator is called once."""
    outside: dict[str, list[int]] = {}
    for i, each in enumerate(time.operations):
        if not each.inside:
            outside.setdefault(_plain(each.name), []).append(i)
    waiting: dict[str, list[str]] = {}
    for node in nodes:
        if node.kind in ("outside", "bookkeeping"):
            waiting.setdefault(_plain(node.op), []).append(node.id)
    return {
        names[0]: outside[op][0]
        for op, names in waiting.items()
        if len(names) == 1 and len(outside.get(op, ())) == 1
    }


def _plain(operator: str) -> str:
    """Return an operator's name without namespace and overload."""
    return operator.rpartition("::")[2].removeprefix("aten.").partition(".")[0]
