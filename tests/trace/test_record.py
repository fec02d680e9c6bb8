"""ETRecords completed. Oracle: the exported program before it was lowered."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from executorch.devtools.etrecord import parse_etrecord

from etcoreml.trace.record import restore_constants
from tests.cli import models
from tests.lowering import CoreMLPartitioner, to_edge_transform_and_lower


def test_buffers_that_are_not_persistent(tmp_path: Path) -> None:
    module, inputs = models.blocks()
    expected = module(*inputs)
    lowered = to_edge_transform_and_lower(
        torch.export.export(module, inputs),
        partitioner=[CoreMLPartitioner()],
        generate_etrecord=True,
    )
    path = tmp_path / "record"
    lowered.to_executorch().get_etrecord().save(str(path))
    record = parse_etrecord(str(path))
    with pytest.raises(KeyError, match="scale"):
        record.exported_program.module()  # what executorch forgets; if not, this module can go
    assert restore_constants(record)
    torch.testing.assert_close(record.exported_program.module()(*inputs), expected)
    assert not restore_constants(record)


def test_a_record_without_a_program() -> None:
    assert not restore_constants(SimpleNamespace(exported_program=None, edge_dialect_program=None))
