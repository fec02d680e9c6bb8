"""The scratch directory: coremltools writes there, others do not, and it goes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from etcoreml.compiler.scratch import scratch, written_into
from etcoreml.mil.ct import coremltools

ct = coremltools()


def test_coremltools_writes_into_it_and_nobody_else() -> None:
    utils = ct.models.utils
    before = utils._tempfile
    with scratch() as directory, written_into(directory):
        made = Path(utils._tempfile.mkdtemp(suffix=".mlpackage"))
        weights = Path(ct.converters.mil.converter._tempfile.TemporaryDirectory().name)
        with utils._tempfile.NamedTemporaryFile(suffix=".mlmodel") as file:
            assert Path(file.name).parent == directory
        assert {made.parent, weights.parent} == {directory}
        assert made.suffix == ".mlpackage"
        with tempfile.TemporaryDirectory() as elsewhere:
            assert Path(elsewhere).parent != directory
    assert not directory.exists()
    assert utils._tempfile is before


def test_it_goes_after_an_exception() -> None:
    with pytest.raises(IsADirectoryError), scratch() as directory:
        directory.read_bytes()
    assert not directory.exists()


def test_nesting_restores_the_outer_one() -> None:
    with scratch() as outer, written_into(outer):
        with scratch() as inner, written_into(inner):
            assert inner != outer
        assert Path(ct.models.utils._tempfile.mkdtemp()).parent == outer
