"""What an ETDump of the delegate holds, and what it costs: ``python -m benchmarks profiling``.

For EfficientNet-Lite0 and a BERT encoder: the share of the kernels' time that is attributed to
operations by name, the sum of the events beside the delegate's call, the events that lead to a
node and a source line, and the latency with an ETDump beside that without. It writes
``bench-out/profiling.json``; ``--publish`` puts the table into docs/profiling.md.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.measure import interleaved, machine
from benchmarks.page import write
from etcoreml.cli.zoo import efficientnet_lite0
from etcoreml.imports import quiet_imports
from etcoreml.trace import UNATTRIBUTED
from etcoreml.trace.table import read_rows

with quiet_imports():
    import torch
    from executorch.exir import to_edge_transform_and_lower
    from torch import Tensor, nn

    from etcoreml.partition import CoreMLPartitioner
    from tests.lowering import Runtime

OUTPUT = Path("bench-out/profiling.json")
PAGE = Path("docs/profiling.md")
RUNS, ROUNDS = 10, 60
ATTRIBUTED, SUM, COST = 0.98, 0.05, 0.05


class _Encoder(nn.Module):  # type: ignore[misc] # torch is untyped here
    def __init__(self) -> None:
        super().__init__()
        from transformers import BertConfig, BertModel

        torch.manual_seed(0)
        config = BertConfig(num_hidden_layers=4, attn_implementation="sdpa")
        self.bert = BertModel(config, add_pooling_layer=False)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        return self.bert(input_ids=ids, attention_mask=mask).last_hidden_state


def _bert() -> tuple[nn.Module, tuple[Tensor, ...]]:
    ids = torch.randint(0, 30522, (1, 128), generator=torch.Generator().manual_seed(0))
    return _Encoder().eval(), (ids, torch.ones_like(ids))


NETWORKS: Mapping[str, Callable[[], tuple[nn.Module, tuple[Tensor, ...]]]] = {
    "EfficientNet-Lite0": efficientnet_lite0,
    "BERT encoder, 4 layers": _bert,
}


def measure(module: nn.Module, inputs: tuple[Tensor, ...], rounds: int) -> dict[str, float]:
    """Lower a network and follow its runs."""
    exported = torch.export.export(module, inputs)
    edge = to_edge_transform_and_lower(
        exported, partitioner=[CoreMLPartitioner()], generate_etrecord=True
    )
    program = edge.to_executorch()
    with tempfile.TemporaryDirectory() as name:
        record, dump = Path(name, "model.etrecord"), Path(name, "run.etdp")
        program.get_etrecord().save(str(record))
        data = bytes(program.buffer)
        followed = Runtime.get().load_program(data, enable_etdump=True)
        method = followed.load_method("forward")
        for _ in range(RUNS):
            method.execute(inputs)
        followed.write_etdump_result_to_file(str(dump), str(Path(name, "run.bin")))
        found = _figures(dump, record)
        followed = Runtime.get().load_program(data, enable_etdump=True)
        plain = Runtime.get().load_program(data)
        calls: dict[str, Callable[[], object]] = {}
        for key, each in (("with", followed), ("without", plain)):
            loaded = each.load_method("forward")
            calls[key] = lambda loaded=loaded: loaded.execute(inputs)
        times = interleaved(calls, rounds=rounds, batch=1)
    ratio = times["with"]["median"] / times["without"]["median"]
    return {**found, "cost": ratio - 1, "latency_s": times["without"]["median"]}


def _figures(dump: Path, record: Path) -> dict[str, float]:
    rows = [row for row in read_rows(dump, record, warmup=2) if row.delegate or _is_call(row.event)]
    (call,) = (row for row in rows if _is_call(row.event))
    events = [row for row in rows if not _is_call(row.event)]
    lost = next(row for row in events if row.event == UNATTRIBUTED)
    named = [row for row in events if row.event != UNATTRIBUTED]
    kernels = sum(row.median_ms for row in named)
    sums = [
        sum(row.times_ms[run] for row in events) / call.times_ms[run]
        for run in range(len(call.times_ms))
    ]
    led = [row for row in named if row.aten_ops and row.source]
    return {
        "attributed": kernels / (kernels + lost.metadata.get("kernelsMs", 0.0)),
        "sum": statistics.median(sums),
        "unattributed": lost.median_ms / call.median_ms,
        "events": len(named),
        "led": len(led) / len(named),
    }


def _is_call(event: str) -> bool:
    return event == "DELEGATE_CALL"


def table(document: Mapping[str, Any]) -> str:
    """Return the figures as Markdown, with how far the goals are met."""
    about = document["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    lines = [
        f"{about['processor']}, {about['cores']} cores; {versions}. Medians.",
        "",
        (
            "| network | attributed to operations (>= 98 %) | events / call (95 to 100 %) "
            "| events that lead to nodes and lines | latency with / without an ETDump (<= 1.05) |"
        ),
        "|---|---:|---:|---:|---:|",
    ]
    for name, row in document["networks"].items():
        lines.append(
            f"| {name} | {row['attributed']:.1%} | {row['sum']:.1%} "
            f"| {row['led']:.0%} of {row['events']:.0f} | {1 + row['cost']:.3f} |"
        )
    return "\n".join(lines) + "\n"


def main(*, quick: bool = False, publish: bool = False) -> None:
    """Measure, print and write."""
    rounds = 10 if quick else ROUNDS
    networks = {name: measure(*build(), rounds) for name, build in NETWORKS.items()}
    document = {"machine": machine(), "networks": networks}
    text = table(document)
    print(text)
    write(document, OUTPUT, text, PAGE if publish else None)
