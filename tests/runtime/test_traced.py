"""ETDumps of the delegate, read by the stock Inspector.

Oracles: torch eager for intermediate values; the runtime's own events for times.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from etcoreml.errors import DebugBufferError
from etcoreml.imports import quiet_imports
from etcoreml.trace import UNATTRIBUTED
from tests.lowering import CoreMLBackend, Runtime, snr_db, specs
from tests.runtime.processes import run_python

with quiet_imports():
    from executorch.devtools import Inspector
    from executorch.exir import to_edge_transform_and_lower

    import etcoreml
    from etcoreml.compiler.specs import MULTIMETHOD_WEIGHT_SHARING_STRATEGY
    from etcoreml.mil.ct import coremltools
    from etcoreml.partition import CoreMLPartitioner

# What the Inspector says of dumps without values, and torch of memory that it reads.
pytestmark = pytest.mark.filterwarnings(
    "ignore:Output Buffer not found",
    "ignore:The given buffer",
    "ignore:Unsupported kwarg",
    "ignore:Mutation on a buffer",
)

ROOM = 1 << 20


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.linear = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.norm(self.conv(x)))
        return torch.softmax(self.linear(y.mean((2, 3))), -1)


class Counter(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.full((3,), 7.0))

    def forward(self, x: Tensor) -> Tensor:
        self.count.add_(x)
        return self.count * 2


@dataclass
class Lowered:
    """A program, its record, the network and its inputs."""

    pte: Path
    record: Path
    network: nn.Module
    inputs: tuple[Tensor, ...]


@pytest.fixture(scope="module")
def lowered(tmp_path_factory: pytest.TempPathFactory) -> Lowered:
    folder = tmp_path_factory.mktemp("traced")
    torch.manual_seed(0)
    network, inputs = Net().eval(), (torch.randn(1, 3, 16, 16),)
    partitioner = CoreMLPartitioner(compile_specs=specs("float32"))
    edge = to_edge_transform_and_lower(
        torch.export.export(network, inputs), partitioner=[partitioner], generate_etrecord=True
    )
    program = edge.to_executorch()
    record = program.get_etrecord()
    record.update_representative_inputs(inputs)
    record.save(str(folder / "net.etrecord"))
    (folder / "net.pte").write_bytes(program.buffer)
    return Lowered(folder / "net.pte", folder / "net.etrecord", network, inputs)


def run(
    pte: Path, inputs: tuple[Tensor, ...], folder: Path, *, room: int = 0, runs: int = 1
) -> tuple[str, str]:
    """Run and write the ETDump and its debug buffer; returns their paths."""
    program = Runtime.get().load_program(pte, enable_etdump=True, debug_buffer_size=room)
    method = program.load_method("forward")
    for _ in range(runs):
        method.execute(inputs)
    paths = str(folder / "run.etdp"), str(folder / "run.bin")
    program.write_etdump_result_to_file(*paths)
    return paths


def executed(inspector: Any) -> list[Any]:
    return [
        each for block in inspector.event_blocks if block.name == "Execute" for each in block.events
    ]


def test_events_add_up_to_the_call(lowered: Lowered, tmp_path: Path) -> None:
    etdump, _ = run(lowered.pte, lowered.inputs, tmp_path, runs=5)
    events = executed(Inspector(etdump_path=etdump))
    (call,) = (each for each in events if each.name == "DELEGATE_CALL")
    ours = [each for each in events if each.is_delegated_op]
    assert {each.name for each in ours} > {UNATTRIBUTED, "aten_mean_dim:reduce_mean"}
    for run_index, whole in enumerate(call.perf_data.raw):
        parts = [each.perf_data.raw[run_index] for each in ours]
        assert all(part >= 0 for part in parts)
        assert sum(parts) <= whole


def test_each_event_leads_to_nodes_and_lines(lowered: Lowered, tmp_path: Path) -> None:
    etdump, _ = run(lowered.pte, lowered.inputs, tmp_path)
    inspector = Inspector(etdump_path=etdump, etrecord=str(lowered.record))
    named = [e for e in executed(inspector) if e.is_delegated_op and e.name != UNATTRIBUTED]
    assert {name for each in named for name in each.op_types} >= {
        "aten.mean.dim",
        "aten.linear.default",
        "aten.softmax.int",
    }
    for each in named:
        assert each.op_types, each.name
        assert each.delegate_backend_name == "CoreMLBackend"
        assert any("test_traced.py" in line for line in each.stack_traces.values()), each.name


def test_events_of_functions_of_one_model_lead_to_nodes(tmp_path: Path) -> None:
    strategy = MULTIMETHOD_WEIGHT_SHARING_STRATEGY.POSITIONAL
    spec = CoreMLBackend.generate_multimethod_weight_sharing_strategy_compile_spec(strategy)
    target = coremltools().target.iOS18
    compile_specs = [*specs("float16", minimum_deployment_target=target), spec]
    network, sizes = Net().eval(), {"small": 8, "large": 16}
    exported = {
        name: torch.export.export(network, (torch.randn(1, 3, size, size),))
        for name, size in sizes.items()
    }
    edge = to_edge_transform_and_lower(
        exported,
        partitioner=[CoreMLPartitioner(compile_specs=compile_specs)],
        generate_etrecord=True,
    )
    program = edge.to_executorch()
    maps = program.get_etrecord()._delegate_map
    runtime = Runtime.get().load_program(bytes(program.buffer), enable_etdump=True)
    for name, size in sizes.items():
        runtime.load_method(name).execute((torch.randn(1, 3, size, size),))
    runtime.write_etdump_result_to_file(str(tmp_path / "run.etdp"), str(tmp_path / "run.bin"))
    events = executed(Inspector(etdump_path=str(tmp_path / "run.etdp")))
    found = {each.name for each in events if each.is_delegated_op} - {UNATTRIBUTED}
    assert found
    for name in sizes:
        (delegate,) = maps[name].values()
        assert found <= set(delegate["delegate_map"])


def test_metadata_has_upstreams_keys(lowered: Lowered, tmp_path: Path) -> None:
    def parse(rows: list[bytes]) -> dict[str, Any]:
        return {"seen": [json.loads(row) for row in rows]}

    etdump, _ = run(lowered.pte, lowered.inputs, tmp_path)
    events = executed(Inspector(etdump_path=etdump, delegate_metadata_parser=parse))
    seen = [row for e in events if e.is_delegated_op for row in e.delegate_debug_metadatas["seen"]]
    assert seen
    for row in seen[:-1]:
        assert row["preferredComputeUnit"] in row["supportedComputeUnits"]
        assert row["operatorName"]
        assert row["outputNames"]
    assert sum(row["estimatedCost"] for row in seen) == pytest.approx(1, abs=1e-3)
    (conv,) = (row for row in seen if row["operatorName"] == "conv")
    assert conv["fusedWith"] == ["aten_relu_default:relu"]


def test_no_name_leads_astray(lowered: Lowered, tmp_path: Path) -> None:
    """The Inspector takes a name that is not in the record for any that is a part of it."""
    etdump, _ = run(lowered.pte, lowered.inputs, tmp_path)
    inspector = Inspector(etdump_path=etdump, etrecord=str(lowered.record))
    (record,) = inspector._etrecord._delegate_map["forward"].values()
    names = {each.name for each in executed(inspector) if each.is_delegated_op}
    assert names - {UNATTRIBUTED} <= set(record["delegate_map"])
    assert not any(name in UNATTRIBUTED for name in record["delegate_map"])


def test_intermediate_values_are_eagers(lowered: Lowered, tmp_path: Path) -> None:
    etdump, buffer = run(lowered.pte, lowered.inputs, tmp_path, room=ROOM)
    inspector = Inspector(
        etdump_path=etdump, debug_buffer_path=buffer, etrecord=str(lowered.record)
    )
    values = {each.name: each.debug_data[-1] for each in executed(inspector) if each.debug_data}
    network, (x,) = lowered.network, lowered.inputs
    assert isinstance(network, Net)
    with torch.no_grad():
        relu = torch.relu(network.norm(network.conv(x)))
    assert snr_db(values["aten_relu_default:relu"], relu) > 90
    assert snr_db(values["aten_mean_dim:reduce_mean"], relu.mean((2, 3))) > 90


def test_executorch_compares_with_eager_by_itself(lowered: Lowered, tmp_path: Path) -> None:
    etdump, buffer = run(lowered.pte, lowered.inputs, tmp_path, room=ROOM)
    inspector = Inspector(
        etdump_path=etdump, debug_buffer_path=buffer, etrecord=str(lowered.record)
    )
    gaps = inspector.calculate_numeric_gap("SNR")
    assert len(gaps) >= 4
    assert all(float(gap[0]) > 90 for gap in gaps["gap"])


def test_too_small_a_buffer_is_an_error_and_no_abort(lowered: Lowered, tmp_path: Path) -> None:
    program = Runtime.get().load_program(lowered.pte, enable_etdump=True, debug_buffer_size=2000)
    method = program.load_method("forward")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="0x12"):
            method.execute(lowered.inputs)
        error = etcoreml.last_error()
        assert isinstance(error, DebugBufferError)
        assert "at least" in str(error)


def test_a_buffer_for_one_run_is_too_small_for_many(lowered: Lowered) -> None:
    room = 28_000  # a run takes about 18 kB
    program = Runtime.get().load_program(lowered.pte, enable_etdump=True, debug_buffer_size=room)
    method = program.load_method("forward")
    method.execute(lowered.inputs)
    with pytest.raises(RuntimeError, match="0x12"):
        method.execute(lowered.inputs)
    assert isinstance(etcoreml.last_error(), DebugBufferError)


@pytest.mark.parametrize("room", [0, ROOM])
def test_tracing_changes_no_state(room: int, tmp_path: Path) -> None:
    """Upstream runs a model twice to show its values, so that state moves twice."""
    x = torch.ones(3)
    partitioner = CoreMLPartitioner(take_over_mutable_buffer=True)
    edge = to_edge_transform_and_lower(
        torch.export.export(Counter(), (x,)), partitioner=[partitioner]
    )
    program = Runtime.get().load_program(
        bytes(edge.to_executorch().buffer), enable_etdump=True, debug_buffer_size=room
    )
    method = program.load_method("forward")
    assert [float(method.execute((x,))[0][0]) for _ in range(3)] == [16.0, 18.0, 20.0]


def test_values_whose_shape_varies(tmp_path: Path) -> None:
    class Varying(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.softmax(x * 3 - 1, 0).sum(0)

    n = torch.export.Dim("n", min=2, max=64)
    exported = torch.export.export(Varying(), (torch.randn(8, 4),), dynamic_shapes=({0: n},))
    edge = to_edge_transform_and_lower(exported, partitioner=[CoreMLPartitioner()])
    pte = tmp_path / "varying.pte"
    pte.write_bytes(edge.to_executorch().buffer)
    x = torch.randn(5, 4)
    etdump, buffer = run(pte, (x,), tmp_path, room=ROOM)
    inspector = Inspector(etdump_path=etdump, debug_buffer_path=buffer)
    shapes = {
        each.name: tuple(each.debug_data[-1].shape)
        for each in executed(inspector)
        if each.debug_data
    }
    assert (5, 4) in shapes.values()
    assert (4,) in shapes.values()


def test_executorch_alone_reads_it(lowered: Lowered, tmp_path: Path) -> None:
    etdump, _ = run(lowered.pte, lowered.inputs, tmp_path)
    code = f"""
import sys
from executorch.devtools import Inspector
inspector = Inspector(etdump_path={etdump!r}, etrecord={str(lowered.record)!r})
inspector.print_data_tabular()
assert not any(name.split(".")[0] == "etcoreml" for name in sys.modules)
"""
    outcome = run_python(code)
    assert "aten_mean_dim:reduce_mean" in outcome.stdout, outcome.stderr
    assert "aten.linear.default" in outcome.stdout
