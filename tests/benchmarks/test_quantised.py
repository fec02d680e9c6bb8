"""The table of quantised networks, from made-up figures. Oracle: the figures, by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from benchmarks.page import END, START, write
from benchmarks.pictures import crops
from benchmarks.quantised import WAYS, figures, small_in_int8, table


def document() -> dict[str, Any]:
    ways = {
        "fp32": {"target": "iOS17", "nbytes": 10_000_000, "agreement": 1.0, "snr_db": 110.04},
        "int8": {"target": "iOS18", "nbytes": 2_500_000, "agreement": 0.955, "snr_db": 25.0},
    }
    for row, seconds in zip(ways.values(), (0.02, 0.03), strict=True):
        row["latency_s"] = seconds
    machine = {"processor": "P", "cores": 2, "versions": {"torch": "2"}}
    return {"machine": machine, "pictures": 208, "ways": ways}


def test_table() -> None:
    assert table(document()).splitlines()[2:] == [
        "| fp32 | iOS17 | 100.0% | 110.0 | 10.00 | 1.000 | 1.00 |",
        "| int8 | iOS18 | 95.5% | 25.0 | 2.50 | 0.250 | 1.50 |",
    ]


def test_publishing_replaces_what_was_there(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{START}old\n{END}after\n")
    output = tmp_path / "out" / "quantised.json"
    write(document(), output, figures(document()), page)
    assert json.loads(output.read_text()) == document()
    text = page.read_text()
    assert text.startswith(f"before\n{START}208 pictures; P, 2 cores; torch 2. Not run on Core ML.")
    assert "old" not in text
    assert text.endswith(f"{END}after\n")
    page.write_text("no marks")
    with pytest.raises(ValueError, match="marks"):
        write(document(), output, figures(document()), page)


def test_pictures_are_the_same_each_time() -> None:
    first = crops(1, seed=0)
    assert first.shape == (16, 3, 224, 224)
    assert first.equal(crops(1, seed=0))
    assert not first.equal(crops(1, seed=1))


def test_small_weights_keep_8_bits() -> None:
    module = nn.Sequential(nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(256, 256, 1))
    assert list(small_in_int8(module)["module_name_configs"]) == ["0"]
    assert next(iter(WAYS)) == "fp32"
