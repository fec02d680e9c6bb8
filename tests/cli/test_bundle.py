"""``etcoreml bundle``. Oracles: eager, and ExecuTorch's own verification."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch

from tests.cli import models
from tests.cli.conftest import Cli


def test_written_then_checked(cli: Cli, net_path: Path, tmp_path: Path) -> None:
    bundle = tmp_path / "net.bpte"
    outcome = cli("bundle", net_path, "-o", bundle, "--cases", 3, "--seed", 5)
    assert outcome.code == 0, outcome.stderr
    assert outcome.stdout.count(" pass ") == 3
    assert "not run on Core ML" in outcome.stdout
    assert net_path.read_bytes() in bundle.read_bytes()
    document = json.loads(cli("bundle", bundle, "--json", "--rtol", 0, "--atol", 0).stdout)
    assert document["passed"] is True
    assert [(each["method"], each["case"]) for each in document["cases"]] == [
        ("forward", i) for i in range(3)
    ]


def test_eager_is_expected(cli: Cli, net_path: Path, tmp_path: Path) -> None:
    module, _ = models.net()
    files: list[object] = []
    wrong: list[object] = []
    for i in range(2):
        x = torch.randn(1, 3, 8, 8)
        y = module(x).detach().numpy()
        np.save(tmp_path / f"x{i}.npy", x.numpy())
        np.save(tmp_path / f"y{i}.npy", y)
        np.save(tmp_path / f"z{i}.npy", y + np.float32(i))
        files += ["--input", tmp_path / f"x{i}.npy", "--expected", tmp_path / f"y{i}.npy"]
        wrong += ["--input", tmp_path / f"x{i}.npy", "--expected", tmp_path / f"z{i}.npy"]
    bundle = tmp_path / "net.bpte"
    outcome = cli("bundle", net_path, "-o", bundle, *files)
    assert outcome.code == 0, outcome.stderr
    outcome = cli("bundle", net_path, "-o", bundle, *wrong)
    assert outcome.code == 3
    assert (outcome.stdout.count(" pass "), outcome.stdout.count(" FAIL ")) == (1, 1)
    assert cli("bundle", bundle, "--atol", 2).code == 0
    outcome = cli("bundle", bundle, "--json")
    assert outcome.code == 3
    document = json.loads(outcome.stdout)
    assert [each["passed"] for each in document["cases"]] == [True, False]
    assert abs(document["cases"][1]["outputs"][0]["max_abs"] - 1) < 1e-3


def test_what_cannot_be(cli: Cli, net_path: Path, tmp_path: Path) -> None:
    x, y, bundle = tmp_path / "x.npy", tmp_path / "y.npy", tmp_path / "net.bpte"
    np.save(x, np.zeros((1, 3, 8, 8), np.float32))
    np.save(y, np.zeros((1, 3), np.float32))
    damaged = tmp_path / "damaged.bpte"
    damaged.write_bytes(b"\0" * 4 + b"BP08" + b"\xff" * 40)
    output = ("-o", bundle)
    for arguments, code, message in (
        (("absent.pte", *output), 2, "there is no file 'absent.pte'"),
        (("model.onnx", *output), 2, "expected a .pte, or a .bpte to check"),
        ((net_path,), 2, "where to write"),
        ((net_path, "-o", tmp_path / "net.pte"), 2, "expected a .bpte"),
        ((net_path, *output, "--method", "other"), 2, "no method 'other'"),
        ((net_path, *output, "--input", x, "--cases", 2), 2, "--cases is of random inputs"),
        ((net_path, *output, "--expected", y), 2, "--expected needs the inputs"),
        (
            (net_path, *output, "--input", x, "--expected", y, "--expected", y),
            2,
            "numbers of cases",
        ),
        ((net_path, *output, "--input", x, "--expected", x), 1, "expected output 0"),
        ((damaged,), 1, "is damaged"),
        ((damaged, *output), 2, "--output does not apply to a .bpte"),
        ((damaged, "--seed", 0), 2, "--seed does not apply to a .bpte"),
    ):
        outcome = cli("bundle", *arguments)
        assert outcome.code == code, (arguments, outcome.stderr)
        assert message in outcome.stderr
        assert not bundle.exists()
