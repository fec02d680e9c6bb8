"""``etcoreml export --precision auto``: what is said, stored and refused. Oracle: torch eager."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import etcoreml
from tests.cli import models
from tests.cli.conftest import Cli
from tests.cli.test_export import method, specs
from tests.lowering import snr_db

SQUARES = "tests.cli.models:large_squares"


def test_what_overflows_is_kept_in_float32(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "model.pte"
    outcome = cli("export", SQUARES, "--precision", "auto", "--min-snr", "55", "-o", str(path))
    assert outcome.code == 0
    assert "nodes in float32" in outcome.stdout
    assert "(float16 throughout: overflow)" in outcome.stdout
    assert "Computed in float32" in outcome.stdout
    assert "aten_square_default" in json.loads(specs(path)["float32_nodes"])
    assert specs(path)["model_compute_precision"] == "float16"
    module, inputs = models.large_squares()
    with torch.no_grad():
        (found,) = etcoreml.load(path, numerics="faithful").forward(*inputs)
        assert snr_db(found, module(*inputs)) >= 55


def test_calibration_files_as_json(cli: Cli, tmp_path: Path) -> None:
    path, small = tmp_path / "model.pte", tmp_path / "small.npy"
    np.save(small, np.full((4, 16), 1e-3, np.float32))
    arguments = ("--compute-precision", "auto", "--calibration", str(small), "--min-snr", "30")
    outcome = cli("export", SQUARES, *arguments, "-o", str(path), "--json")
    found = json.loads(outcome.stdout)["float32"]
    assert found["nodes"] == []
    assert found["snr_db"] == found["snr_db_float16"] >= 30
    assert json.loads(specs(path)["float32_nodes"]) == []
    assert method(path).name == "forward"


def test_a_pictures_size_is_said_where_sizes_vary(cli: Cli, tmp_path: Path) -> None:
    path, picture, array = (tmp_path / name for name in ("model.pte", "photo.png", "x.npy"))
    Image.new("RGB", (20, 30)).save(picture)
    np.save(array, np.ones((1, 3, 30, 20), np.float32))
    arguments = ("--precision", "auto", "--min-snr", "30", "--calibration", str(picture))
    given = (*arguments, "--calibration", str(array), "-o", str(path))
    outcome = cli("export", "tests.cli.models:any_size", *given)
    assert outcome.code == 0, outcome.stderr
    assert "photo.png is resized to 8 x 8, the size of the example" in outcome.stderr
    assert "x.npy is resized" not in outcome.stderr
    fixed = cli("export", "tests.cli.models:net", *arguments, "-o", str(path))
    assert "is resized" not in fixed.stderr


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (("--min-snr", "50"), "--min-snr is of --precision auto; found --precision float16", 2),
        (("--calibration", "x.npy"), "--calibration is of --precision auto", 2),
        (("--precision", "auto", "--calibration", "none.npy"), "there is no file 'none.npy'", 2),
        (("--precision", "auto", "--min-snr", "400"), "fp32 throughout does not reach", 1),
    ],
)
def test_refusals(
    arguments: tuple[str, ...], message: str, code: int, cli: Cli, tmp_path: Path
) -> None:
    path = tmp_path / "model.pte"
    outcome = cli("export", SQUARES, *arguments, "-o", str(path))
    assert outcome.code == code
    assert message in outcome.stderr
    assert not path.exists()
