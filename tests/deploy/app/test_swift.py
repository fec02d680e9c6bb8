"""Typed inputs and outputs in Swift. Oracles: tree-sitter's grammar; the text, by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from etcoreml.deploy.app.swift import wrappers
from tests.deploy.app.values import EVERY_DTYPE, NUMBERS, program, tensor
from tests.deploy.parsers import syntax_errors


def parsed(text: str, folder: Path) -> str:
    path = folder / "Model.swift"
    path.write_text(text)
    assert syntax_errors(path) == []
    return text


def test_every_dtype_and_numbers(tmp_path: Path) -> None:
    text = parsed(wrappers(program([*EVERY_DTYPE, *NUMBERS], EVERY_DTYPE), "m.pte"), tmp_path)
    for expected in (
        "var float16: TypedTensor<Float16>",
        "var bool: TypedTensor<Bool>",
        "var steps: Int\n",
        "var scale: Double\n",
        "var flag: Bool\n",
        "steps: 1, scale: 1.0, flag: true",
        "guard values.count == 9",
    ):
        assert expected in text


def test_numbers_as_outputs(tmp_path: Path) -> None:
    text = parsed(wrappers(program([], NUMBERS), "m.pte"), tmp_path)
    assert "steps = try Int(values[0])" in text
    assert '"flag \\(flag)"' in text


def test_scalars_and_memory_order(tmp_path: Path) -> None:
    image = tensor("image", "float32", 1, 3, 4, 5, dim_order=(0, 2, 3, 1))
    text = parsed(wrappers(program([image], [tensor("y", "float32")]), "m.pte"), tmp_path)
    assert "Memory order [0, 2, 3, 1]." in text
    assert "dimensionOrder: [0, 2, 3, 1]" in text
    assert '("y", y.shape, [])' in text


@pytest.mark.parametrize("dim_order", [(0, 1, 2, 3), (0, 2, 3, 1)])
def test_pixels_are_laid_out_as_the_program_takes_them(dim_order: tuple[int, ...]) -> None:
    from etcoreml.deploy.app.project import AppOptions, make_app

    image = tensor("image", "float32", 1, 3, 16, 16, dim_order=dim_order)
    model = program([image], [tensor("scores", "float32", 1, 4)])
    pictures = make_app(model, "m.pte", AppOptions("Sample")).files["Sample/Pictures.swift"]
    assert f"channelsLast = {'true' if dim_order[-1] == 1 else 'false'}" in str(pictures)
