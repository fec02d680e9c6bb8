"""``etcoreml inspect``: what it says of a .pte.

Oracles: how the model was made, and ``parse_pte``.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from etcoreml.cli import inspect_program as command
from etcoreml.errors import BlobReferenceError
from etcoreml.runtime.pte import PteDelegate, PteProgram, parse_pte
from tests.cli.conftest import Cli
from tests.lowering import CoreMLBackend, CoreMLPartitioner, lower, specs
from tests.runtime.processes import run_python


def test_json(cli: Cli, acosh_path: Path) -> None:
    outcome = cli("inspect", acosh_path, "--json")
    assert outcome.code == 0
    document = json.loads(outcome.stdout)
    assert document["program"] == str(acosh_path)
    assert document["nbytes"] == acosh_path.stat().st_size
    assert document["named_data"] == {}
    (method,) = document["methods"]
    assert method["name"] == "forward"
    assert method["inputs"] == [{"shape": [2, 3], "dtype": "float32", "dynamic": False}]
    assert [each["dtype"] for each in method["outputs"]] == ["float32", "int32"]
    assert method["operators_outside"] == {"aten::acosh.out": 1}
    assert method["nodes_outside"] == 1
    assert method["nodes_delegated"] >= 4  # abs, add, mul, mul
    parsed = parse_pte(acosh_path.read_bytes()).methods[0].delegates
    for delegate, each in zip(method["delegates"], parsed, strict=True):
        assert delegate["backend"] == "CoreMLBackend"
        assert delegate["calls"] == 1
        assert delegate["nbytes"] == len(each.payload)
        assert delegate["compile_specs"]["model_compute_precision"] == "float32"
        assert delegate["identifier"].startswith("executorch_")
        # Regions may be aligned: the files need not fill the blob.
        assert sum(delegate["files"].values()) <= delegate["nbytes"]
        assert {"metadata.json", "debug_info.json"} < set(delegate["files"])
    ops = [op for delegate in method["delegates"] for op in delegate["mil_ops"]]
    assert {"abs", "add", "mul"} <= set(ops)
    assert "const" not in ops
    assert not any(delegate["mil_ops_not_here"] for delegate in method["delegates"])


def test_text(cli: Cli, acosh_path: Path) -> None:
    outcome = cli("inspect", acosh_path)
    assert outcome.code == 0
    document = json.loads(cli("inspect", acosh_path, "--json").stdout)
    (method,) = document["methods"]
    lines = outcome.stdout.splitlines()
    assert lines[0] == f"{acosh_path}: {acosh_path.stat().st_size / 1e3:.3g} kB"
    assert outcome.stdout.count("  run here       all of them\n") == len(method["delegates"])
    for i, delegate in enumerate(method["delegates"]):
        assert f"Delegate {i}" in lines
        assert f"  identifier     {delegate['identifier']}" in lines
    total = method["nodes_delegated"] + 1
    share = f"{100 * method['nodes_delegated'] / total:.1f} %"
    count = len(method["delegates"])
    assert f"{total - 1} of {total} nodes ({share}) in {count} delegates" in outcome.stdout
    assert any(line.split() == ["aten::acosh.out", "1"] for line in lines)


def test_dynamic_sizes_are_marked(cli: Cli, programs: Path) -> None:
    path = programs / "dynamic.pte"
    (method,) = json.loads(cli("inspect", path, "--json").stdout)["methods"]
    assert method["inputs"] == [{"shape": [8, 3], "dtype": "float32", "dynamic": True}]
    assert "<=8" in cli("inspect", path).stdout


def test_ops_that_do_not_run_here_are_named(
    cli: Cli, acosh_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from etcoreml.engine.registry import TRANSLATORS

    monkeypatch.delitem(TRANSLATORS, "abs")
    (method,) = json.loads(cli("inspect", acosh_path, "--json").stdout)["methods"]
    assert ["abs"] in [each["mil_ops_not_here"] for each in method["delegates"]]
    assert "  run here       all but abs\n" in cli("inspect", acosh_path).stdout


def test_program_without_delegates(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "portable.pte"
    partitioner = CoreMLPartitioner(skip_ops_for_coreml_delegation=["aten.relu.default"])
    path.write_bytes(lower(nn.ReLU(), (torch.ones(2),), partitioner=partitioner))
    (method,) = json.loads(cli("inspect", path, "--json").stdout)["methods"]
    assert method["delegates"] == []
    assert method["nodes_delegated"] == 0
    assert method["operators_outside"] == {"aten::relu.out": 1}
    assert "0 of 1 nodes (0.0 %) in 0 delegates" in cli("inspect", path).stdout


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two methods in one model: their delegates are CMJR references into the named data."""
    torch.manual_seed(0)
    strategy = CoreMLBackend.generate_multimethod_weight_sharing_strategy_compile_spec
    sharing = [*specs("float32", minimum_deployment_target=_ios18()), strategy(_positional())]
    linear = nn.Linear(4, 4)
    modules = {"encode": linear, "decode": nn.Sequential(linear, nn.ReLU())}
    inputs = {name: (torch.ones(1, 4),) for name in modules}
    path = tmp_path_factory.mktemp("shared") / "shared.pte"
    partitioner = CoreMLPartitioner(compile_specs=sharing)
    path.write_bytes(lower(modules, inputs, partitioner=partitioner))
    return path


def _ios18() -> object:
    from etcoreml.mil.ct import coremltools

    return coremltools().target.iOS18


def _positional() -> object:
    from etcoreml.compiler import MULTIMETHOD_WEIGHT_SHARING_STRATEGY

    return MULTIMETHOD_WEIGHT_SHARING_STRATEGY.POSITIONAL


def test_references(cli: Cli, shared: Path) -> None:
    document = json.loads(cli("inspect", shared, "--json").stdout)
    assert {each["name"] for each in document["methods"]} == {"encode", "decode"}
    ((key, nbytes),) = document["named_data"].items()
    delegates = {each["name"]: each["delegates"][0] for each in document["methods"]}
    assert delegates["encode"]["nbytes"] == delegates["decode"]["nbytes"] == nbytes
    assert delegates["encode"]["identifier"] == delegates["decode"]["identifier"]
    assert "relu" in delegates["decode"]["mil_ops"]
    assert "relu" not in delegates["encode"]["mil_ops"]
    text = cli("inspect", shared).stdout
    assert "Named data" in text
    assert key in text


def test_dangling_reference() -> None:
    delegate = PteDelegate("CoreMLBackend", b'CMJR{"version":1,"key":"gone"}', {}, 1)
    with pytest.raises(BlobReferenceError, match="'gone'"):
        command._delegate(delegate, PteProgram((), {}, 0))


def test_other_backends_are_opaque() -> None:
    delegate = PteDelegate("XnnpackBackend", b"anything", {}, 2)
    assert command._delegate(delegate, PteProgram((), {}, 0)) == {
        "backend": "XnnpackBackend",
        "calls": 2,
        "nbytes": 8,
    }


@pytest.mark.parametrize(
    ("name", "content", "code", "message"),
    [
        ("missing.pte", None, 2, "there is no file"),
        ("model.onnx", b"", 2, "found .onnx; expected a .pte, .mlpackage"),
        ("model.bpte", b"", 2, "found a bundled program"),
        ("model", b"", 2, "found no suffix; expected a .pte, .mlpackage"),
        ("empty.pte", b"", 1, "not a .pte"),
        ("other.pte", b"PK\x03\x04 something", 1, "not a .pte"),
    ],
)
def test_files_that_cannot_be_read(
    cli: Cli, tmp_path: Path, name: str, content: bytes | None, code: int, message: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    outcome = cli("inspect", tmp_path / name)
    assert outcome.code == code
    assert message in outcome.stderr
    assert name in outcome.stderr
    assert outcome.stdout == ""


def test_truncated(cli: Cli, acosh_path: Path, tmp_path: Path) -> None:
    data = acosh_path.read_bytes()
    path = tmp_path / "cut.pte"
    for length in (len(data) // 4, len(data) // 2, len(data) - 100):
        path.write_bytes(data[:length])
        outcome = cli("inspect", path)
        assert outcome.code == 1
        assert "cut.pte': the .pte is damaged" in outcome.stderr


def test_silence_in_a_process_of_its_own(acosh_path: Path) -> None:
    outcome = run_python(
        """
        import sys
        from etcoreml.cli import main
        sys.argv = ["etcoreml", "inspect", sys.argv[1], "--json"]
        main()
        """,
        acosh_path,
    )
    assert outcome.code == 0
    json.loads(outcome.stdout)
    assert [line.split("  ")[0] for line in outcome.stderr.splitlines()] == [
        "Loading executorch",
        "Reading acosh.pte",
    ]
