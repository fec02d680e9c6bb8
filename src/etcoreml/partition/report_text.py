"""A delegation report as text: what a person needs to know, in moderate length.

Nodes that stayed outside are grouped by op and reason, with the first places in the model; the
whole list is in the document.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from etcoreml.partition.breaks import Break, Delegate
from etcoreml.partition.cost import Value
from etcoreml.units import megabytes, percent, scaled

if TYPE_CHECKING:
    from etcoreml.partition.report import Decision, DelegationReport, ProgramReport, Totals

_MOST_GROUPS = 20
_MOST_PLACES = 3
_MOST_DELEGATES = 8
_MOST_BREAKS = 8
_MOST_NAMES = 4
_MOST_VALUES = 3
_CODE_WIDTH = 70


def summary(totals: Totals) -> str:
    """Return the shares in one line."""
    text = f"{totals.nodes_delegated} of {_count(totals.nodes, 'node')}"
    if totals.nodes:
        text += f" ({percent(totals.nodes_delegated, totals.nodes)})"
    text += " to Core ML"
    if totals.nodes_delegated not in (0, totals.nodes):
        if totals.flops:
            text += f", {percent(totals.flops_delegated, totals.flops)} of the FLOPs"
        if totals.nbytes:
            text += f", {percent(totals.nbytes_delegated, totals.nbytes)} of the bytes"
    if totals.delegates:
        text += f", in {_count(totals.delegates, 'delegate')}"
    return text


def as_text(report: DelegationReport) -> str:
    """Return a report as lines; headings have no indentation."""
    lines = [f"Delegated: {report.summary()}"]
    for program in report.programs:
        nodes = [each for each in report if each.program == program.index]
        if len(report.programs) > 1:
            name = f"method {program.method}" if program.method else f"program {program.index}"
            lines += ["", f"{name}: {summary(report.totals(program.index))}"]
        lines += _program(program, nodes)
    if not report.programs:
        lines += _left_out(list(report))
    return "\n".join(lines)


def _program(program: ProgramReport, nodes: Sequence[Decision]) -> Iterator[str]:
    yield from _left_out(nodes)
    yield from _delegates(program.delegates)
    yield from _breaks(program.breaks, {each.node: each for each in nodes})
    if program.sizes:
        sizes = (
            f"{name} = {'unknown' if size.example is None else size.example}"
            for name, size in program.sizes.items()
        )
        yield from ("", "Sizes that vary, as they are counted")
        yield f"  {', '.join(sizes)}"
    unknown = sum(each.flops is None or each.nbytes is None for each in nodes)
    if unknown:
        yield from ("", "Not counted")
        yield f"  {_count(unknown, 'node')} whose sizes depend on data"


def _left_out(nodes: Sequence[Decision]) -> Iterator[str]:
    groups: dict[tuple[str, str | None], list[Decision]] = {}
    bookkeeping = 0
    for each in nodes:
        if each.delegated:
            continue
        if each.bookkeeping:
            bookkeeping += 1
        else:
            groups.setdefault((each.op, each.reason), []).append(each)
    if not groups and not bookkeeping:
        return
    yield from ("", "Left out of Core ML")
    flops = sum(each.flops or 0 for each in nodes)
    ordered = sorted(groups.values(), key=_weight, reverse=True)
    for group in ordered[:_MOST_GROUPS]:
        yield from _group(group, flops)
    if len(ordered) > _MOST_GROUPS:
        rest = sum(map(len, ordered[_MOST_GROUPS:]))
        yield f"  and {_count(rest, 'node')} more, for which see the JSON report"
    if bookkeeping:
        yield f"  {_count(bookkeeping, 'node')} that only compute or check sizes"


def _weight(group: Sequence[Decision]) -> tuple[bool, int, int]:
    return (
        any(each.lacks_kernel for each in group),
        sum(each.flops or 0 for each in group),
        len(group),
    )


def _group(group: Sequence[Decision], flops: int) -> Iterator[str]:
    first = group[0]
    share = sum(each.flops or 0 for each in group)
    cost = f", {percent(share, flops)} of the FLOPs" if share else ""
    yield f"  {first.op}: {_count(len(group), 'node')}{cost}"
    if any(each.lacks_kernel for each in group):
        yield "    ExecuTorch has no kernel for it: the program will not load as it is"
    yield f"    why   {first.reason}"
    places = list(dict.fromkeys(map(place, group)))
    for index, each in enumerate(places[:_MOST_PLACES]):
        yield f"    {'where' if index == 0 else '     '} {each}"
    if len(places) > _MOST_PLACES:
        yield f"          and {_count(len(places) - _MOST_PLACES, 'place')} more"
    if first.advice:
        yield f"    try   {first.advice}"


def place(decision: Decision, *, short: bool = False) -> str:
    """Return where in the model a node comes from.

    Args:
        decision: The node; its name is all that is known of one without a source line.
        short: Whether the line's number will do.
    """
    module = f"module {decision.module}" if decision.module else ""
    if decision.source is None:
        return module or f"node {decision.node}"
    if short:
        return str(decision.source)
    code = decision.source.code
    if len(code) > _CODE_WIDTH:
        code = f"{code[: _CODE_WIDTH - 3]}..."
    text = f"{decision.source}: {code}" if code else str(decision.source)
    return f"{text} ({module})" if module else text


def _delegates(delegates: Sequence[Delegate]) -> Iterator[str]:
    if not delegates:
        return
    yield from ("", "Delegates")
    for each in delegates[:_MOST_DELEGATES]:
        facts = [_count(each.nodes, "node")]
        if each.flops:
            facts.append(scaled(each.flops, "FLOPs"))
        if each.weight_nbytes:
            facts.append(f"{megabytes(each.weight_nbytes)} of weights")
        yield f"  {each.index}  {', '.join(facts)}"
        yield f"     in   {_values(each.inputs)}"
        yield f"     out  {_values(each.outputs)}"
    if len(delegates) > _MOST_DELEGATES:
        yield f"  and {len(delegates) - _MOST_DELEGATES} more"


def _breaks(breaks: Sequence[Break], nodes: dict[str, Decision]) -> Iterator[str]:
    if not breaks:
        return
    yield from ("", "Where delegates break")
    # The most expensive ones say where to begin.
    ordered = sorted(breaks, key=lambda each: each.nbytes, reverse=True)
    for each in ordered[:_MOST_BREAKS]:
        yield f"  from {_numbers(each.before)} to {_numbers(each.after)}, {_between(each, nodes)}"
        yield f"    out   {_values(each.leaving)}"
        yield f"    back  {_values(each.entering)}"
        calls = f"{each.calls} more call{'s' if each.calls > 1 else ''} of a delegate"
        yield f"    cost  {megabytes(each.nbytes)} over the border in every call, at most {calls}"
    if len(ordered) > _MOST_BREAKS:
        rest = ordered[_MOST_BREAKS:]
        nbytes = megabytes(sum(each.nbytes for each in rest))
        yield f"  and {len(rest)} more, {nbytes} in every call"


def _between(each: Break, nodes: dict[str, Decision]) -> str:
    if not each.nodes:
        return "directly: as one delegate they would wait for their own result"
    ops: dict[str, int] = {}
    for name in each.nodes:
        if name in nodes:
            ops[nodes[name].op] = ops.get(nodes[name].op, 0) + 1
    return f"through {_listed(f'{op} x {n}' if n > 1 else op for op, n in ops.items())}"


def _numbers(indices: Sequence[int]) -> str:
    return f"{_listed(map(str, indices))}"


def _values(values: Sequence[Value]) -> str:
    texts = [f"{value}, {_size(value)}" for value in values[:_MOST_VALUES]]
    if len(values) > _MOST_VALUES:
        nbytes = sum(value.nbytes or 0 for value in values)
        texts.append(f"and {len(values) - _MOST_VALUES} more, {megabytes(nbytes)} in all")
    return "; ".join(texts) or "nothing"


def _size(value: Value) -> str:
    return "size unknown" if value.nbytes is None else megabytes(value.nbytes)


def _listed(names: Iterable[str]) -> str:
    every = list(names)
    shown = every[:_MOST_NAMES]
    return ", ".join(shown) + (f" and {len(every) - len(shown)} more" if every != shown else "")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
