"""``etcoreml export``: every kind of MODEL, every option read back from the .pte, every refusal.

Oracles: torch eager for numbers, ``parse_pte`` for what the file holds.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

import etcoreml
from etcoreml.runtime.pte import PteMethod, parse_pte
from tests.cli import models
from tests.cli.conftest import Cli
from tests.lowering import snr_db
from tests.runtime.processes import run_python

NET = "tests.cli.models:net"


def method(path: Path) -> PteMethod:
    (only,) = parse_pte(path.read_bytes()).methods
    return only


def specs(path: Path) -> dict[str, str]:
    (delegate,) = method(path).delegates
    return {key: value.decode() for key, value in delegate.compile_specs.items()}


def assert_agrees(path: Path, floor_db: float) -> None:
    """Hold a lowered ``net`` to eager."""
    module, inputs = models.net()
    with torch.no_grad():
        assert snr_db(etcoreml.load(path).forward(*inputs)[0], module(*inputs)) > floor_db


def test_callable_with_every_default(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = cli("export", NET)
    assert outcome.code == 0
    path = tmp_path / "net.pte"  # named after the callable
    assert specs(path) == {
        "compute_units": "all",
        "min_deployment_target": "",
        "model_compute_precision": "float16",
        "model_type": "model",
    }
    assert_agrees(path, 48)
    assert outcome.stdout.splitlines() == [
        f"written    net.pte ({path.stat().st_size / 1e3:.3g} kB)",
        "delegated  4 of 4 nodes (100.0 %) to Core ML, in 1 delegate",
        "runs on    iOS15, macOS12, watchOS8, tvOS15 or later",
        "",
        "Next: etcoreml run net.pte",
    ]
    stages = [re.sub(r" +[\d.]+ s$", "", line) for line in outcome.stderr.splitlines()]
    assert stages == [
        "Loading torch, executorch and coremltools",
        f"Exporting {NET}",
        "Lowering to Core ML",
        "Writing net.pte",
    ]
    assert [each.name for each in tmp_path.iterdir()] == ["net.pte"]


def test_zoo_name(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "classifier.pte"
    outcome = cli("export", "efficientnet_lite0", "-o", path, "--json")
    assert outcome.code == 0, outcome.stderr
    document = json.loads(outcome.stdout)
    assert document["nbytes"] == path.stat().st_size
    assert document["nodes"] == document["nodes_delegated"] > 50
    assert document["left_out"] == []
    assert set(document["seconds"]) == {"import", "export", "lower", "write"}
    assert [each.shape for each in method(path).inputs] == [(1, 3, 224, 224)]
    assert not method(path).operators


def test_pt2(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    module, inputs = models.net()
    torch.export.save(torch.export.export(module, inputs), tmp_path / "saved.pt2")
    assert cli("export", "saved.pt2", "--precision", "float32").code == 0
    assert_agrees(tmp_path / "saved.pte", 100)


def test_dynamic_shapes(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "dynamic.pte"
    assert cli("export", "tests.cli.models:dynamic", "-o", path).code == 0
    x = torch.arange(-9.0, 9.0).reshape(6, 3)
    assert torch.equal(etcoreml.load(path).forward(x)[0], x.relu())


@pytest.mark.parametrize(
    ("options", "key", "value"),
    [
        (("--compute-unit", "cpu_only"), "compute_units", "cpu_only"),
        (("--compute-unit", "cpu_and_ne"), "compute_units", "cpu_and_ne"),
        (("--precision", "float32"), "model_compute_precision", "float32"),
        (("--deployment-target", "iOS17"), "min_deployment_target", "8"),
        (("--deployment-target", "macOS13"), "min_deployment_target", "7"),
        (("--model-type", "model"), "model_type", "model"),
    ],
)
def test_compile_specs(
    cli: Cli, tmp_path: Path, options: tuple[str, ...], key: str, value: str
) -> None:
    path = tmp_path / "net.pte"
    assert cli("export", NET, "-o", path, *options).code == 0
    assert specs(path)[key] == value


def test_compiled_models_need_a_compiler(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "net.pte"
    outcome = cli("export", NET, "-o", path, "--model-type", "compiled_model")
    assert outcome.code == 1
    assert "needs Apple's coremlcompiler" in outcome.stderr
    assert "ETCOREML_COMPILER" in outcome.stderr
    assert not path.exists()


def test_skipped_op_stays_outside(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "net.pte"
    outcome = cli("export", NET, "-o", path, "--skip-op", "aten.relu.default", "--json")
    assert outcome.code == 0
    assert dict(method(path).operators) == {"aten::relu.out": 1}
    assert len(method(path).delegates) == 2
    (left_out,) = json.loads(outcome.stdout)["left_out"]
    assert left_out["op"] == "aten.relu.default"
    assert_agrees(path, 48)


def test_skipping_nothing_is_an_error(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "net.pte"
    outcome = cli("export", NET, "-o", path, "--skip-op", "aten.rleu.default")
    assert outcome.code == 2
    assert "names no op of the model; found aten.rleu.default" in outcome.stderr
    assert "aten.relu.default" in outcome.stderr
    assert not path.exists()


def test_skipping_a_composite_op_says_what_happens(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "net.pte"
    outcome = cli("export", NET, "-o", path, "--skip-op", "aten.conv2d.default")
    assert outcome.code == 0
    assert "note: ExecuTorch took aten.conv2d.default apart" in outcome.stderr


def test_left_out_nodes_are_listed(cli: Cli, tmp_path: Path) -> None:
    outcome = cli("export", "tests.cli.models:acosh", "-o", tmp_path / "a.pte")
    assert outcome.code == 0
    assert "Left out of Core ML" in outcome.stdout
    (row,) = (line for line in outcome.stdout.splitlines() if line.startswith("aten.acosh"))
    assert "coremltools does not implement the op" in row


def test_full_graph(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "out.pte"
    outcome = cli("export", "tests.cli.models:acosh", "-o", path, "--lower-full-graph")
    assert outcome.code == 1
    assert outcome.stdout == ""
    assert "aten.acosh.default (aten_acosh_default)" in outcome.stderr
    assert list(tmp_path.iterdir()) == []
    assert cli("export", NET, "-o", path, "--lower-full-graph").code == 0
    assert not method(path).operators


def test_contradictory_options(cli: Cli, tmp_path: Path) -> None:
    outcome = cli(
        *("export", NET, "-o", tmp_path / "out.pte"),
        *("--lower-full-graph", "--skip-op", "aten.relu.default"),
    )
    assert outcome.code == 1
    assert "contradicts skip_ops_for_coreml_delegation" in outcome.stderr


@pytest.mark.parametrize("taken", [True, False])
def test_constant_data(cli: Cli, tmp_path: Path, taken: bool) -> None:
    path = tmp_path / "scale.pte"
    flag = "--take-over-constant-data" if taken else "--no-take-over-constant-data"
    model = "tests.cli.models:scale"
    assert cli("export", model, "-o", path, flag, "--precision", "float32").code == 0
    (delegate,) = json.loads(cli("inspect", path, "--json").stdout)["methods"][0]["delegates"]
    assert len(delegate["inputs"]) == (1 if taken else 3)  # two parameters
    module, inputs = models.scale()
    with torch.no_grad():
        torch.testing.assert_close(etcoreml.load(path).forward(*inputs)[0], module(*inputs))


@pytest.mark.filterwarnings("ignore:Mutation on a buffer:UserWarning")  # by executorch's emitter
@pytest.mark.parametrize("taken", [True, False])
def test_mutable_buffer(cli: Cli, tmp_path: Path, taken: bool) -> None:
    path = tmp_path / "counter.pte"
    flag = "--take-over-mutable-buffer" if taken else "--no-take-over-mutable-buffer"
    model = "tests.cli.models:counter"
    outcome = cli("export", model, "-o", path, flag, "--deployment-target", "iOS18")
    assert outcome.code == 0, outcome.stderr
    (delegate,) = json.loads(cli("inspect", path, "--json").stdout)["methods"][0]["delegates"]
    assert ("read_state" in delegate["mil_ops"]) == taken
    program = etcoreml.load(path)
    assert [program.forward(torch.ones(3))[0].tolist() for _ in range(2)] == [[2.0] * 3, [4.0] * 3]


@pytest.mark.parametrize(
    ("model", "code", "message"),
    [
        ("resnet", 2, "unknown MODEL 'resnet'; expected a .pt2 file, package.module:callable, or"),
        ("tests.cli.models:", 2, "unknown MODEL"),
        ("missing.pt2", 2, "there is no file 'missing.pt2'"),
        ("no_such_module:net", 2, "No module named 'no_such_module'"),
        ("tests.cli.models:missing", 2, "has no callable 'missing'"),
        ("tests.cli.models:not_callable", 2, "has no callable 'not_callable'"),
        ("tests.cli.models:nothing", 2, "found int; expected (module, example_inputs)"),
        ("tests.cli.models:half", 2, "found a tuple of ReLU, Tensor; expected"),
        ("tests.cli.models:failing", 1, "cannot be built; found ValueError: no such weights"),
    ],
)
def test_models_that_cannot_be_had(
    cli: Cli, tmp_path: Path, model: str, code: int, message: str
) -> None:
    outcome = cli("export", model, "-o", tmp_path / "out.pte")
    assert outcome.code == code
    assert message in outcome.stderr
    assert outcome.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_torch_export_refuses_in_one_line(cli: Cli, tmp_path: Path) -> None:
    outcome = cli("export", "tests.cli.models:branching", "-o", tmp_path / "out.pte")
    assert outcome.code == 1
    _, error, hint = outcome.stderr.splitlines()
    assert error.startswith("error: torch.export refuses 'tests.cli.models:branching'; found Guard")
    assert "--traceback" in hint


def test_damaged_pt2(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "bad.pt2").write_bytes(b"PK\x03\x04 and no more")
    outcome = cli("export", tmp_path / "bad.pt2", "-o", tmp_path / "out.pte")
    assert outcome.code == 1
    assert "bad.pt2'; found" in outcome.stderr


@pytest.mark.parametrize(
    ("model", "package", "extra"),
    [
        ("mv2", "torchvision", "torchvision"),
        ("vit", "torchvision", "torchvision"),
        ("efficientnet_lite0", "efficientnet_lite_pytorch", "demo"),
    ],
)
def test_missing_package_names_its_extra(
    cli: Cli,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    package: str,
    extra: str,
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    outcome = cli("export", model, "-o", tmp_path / "out.pte")
    assert outcome.code == 1
    assert f"the model '{model}' needs the extra '{extra}'" in outcome.stderr
    assert f"no package {package}" in outcome.stderr
    assert f"pip install 'etcoreml[{extra}]'" in outcome.stderr


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("missing/out.pte", "there is no directory"),
        (".", "it is a directory"),
        ("out.onnx", "found .onnx; expected a .pte file"),
        ("out", "found no suffix"),
    ],
)
def test_output_is_checked_first(cli: Cli, tmp_path: Path, output: str, message: str) -> None:
    outcome = cli("export", NET, "-o", tmp_path / output)
    assert outcome.code == 2
    assert message in outcome.stderr
    assert "Loading" not in outcome.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("--deployment-target", "iOS14"),
        ("--deployment-target", "ios17"),
        ("--compute-unit", "gpu"),
        ("--precision", "float8"),
        ("--model-type", "onnx"),
        ("--frobnicate",),
    ],
)
def test_values_outside_their_domain(cli: Cli, tmp_path: Path, options: tuple[str, ...]) -> None:
    outcome = cli("export", NET, "-o", tmp_path / "out.pte", *options)
    assert outcome.code == 2
    assert options[-1] in outcome.stderr
    assert "Loading" not in outcome.stderr


def test_failed_write_leaves_the_old_file(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from executorch.exir import ExecutorchProgramManager

    def fail(self: Any, file: Any) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ExecutorchProgramManager, "write_to_file", fail)
    path = tmp_path / "out.pte"
    path.write_bytes(b"the old program")
    outcome = cli("export", NET, "-o", path)
    assert outcome.code == 2
    assert "No space left on device" in outcome.stderr
    assert path.read_bytes() == b"the old program"
    assert list(tmp_path.iterdir()) == [path]


def test_prints_of_the_model_do_not_spoil_json(cli: Cli, tmp_path: Path) -> None:
    outcome = cli("export", "tests.cli.models:talkative", "-o", tmp_path / "t.pte", "--json")
    assert json.loads(outcome.stdout)["nodes"] == 4
    assert "loading weights\n" in outcome.stderr
    assert "a remark\n" in outcome.stderr


def test_libraries_are_silent_in_a_process_of_its_own(tmp_path: Path) -> None:
    outcome = run_python(
        """
        import sys
        from etcoreml.cli import main
        sys.argv = ["etcoreml", "export", "tests.cli.models:net", "-o", sys.argv[1]]
        main()
        """,
        tmp_path / "net.pte",
    )
    assert outcome.code == 0
    assert len(outcome.stderr.splitlines()) == 4, outcome.stderr
    assert outcome.stdout.startswith("written ")
