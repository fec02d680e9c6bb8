"""The steps from an exported program to a model; the oracle is ``coremltools.convert``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from etcoreml.imports import quiet_imports

with quiet_imports():
    from executorch.exir import to_edge

    from etcoreml.compiler import mil_model
    from etcoreml.compiler.quiet import quiet
    from etcoreml.compiler.specs import decode_options
    from etcoreml.mil.ct import coremltools
    from tests.lowering import specs

ct = coremltools()


def edge_program() -> Any:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()).eval()
    exported = torch.export.export(module, (torch.ones(1, 3, 8, 8),))
    return to_edge(exported).exported_program()


def without_date(spec: Any) -> bytes:
    spec.description.metadata.userDefined.pop(mil_model.BUILD_PREFIX + ".conversion_date")
    return bytes(spec.SerializeToString(deterministic=True))


@pytest.mark.parametrize("precision", ["float16", "float32"])
@pytest.mark.parametrize("target", [None, "iOS17"])
def test_the_model_is_the_one_of_coremltools(
    precision: str, target: str | None, tmp_path: Path
) -> None:
    deployment_target = None if target is None else ct.target[target]
    options = decode_options(specs(precision, minimum_deployment_target=deployment_target))
    weights = tmp_path / "weights"
    weights.mkdir()
    with quiet():
        ours, _ = mil_model.convert(edge_program(), options, None, weights)
        mil_model.converter._reset_conversion_state()
        theirs = ct.convert(
            edge_program(),
            compute_precision=options.compute_precision,
            minimum_deployment_target=deployment_target,
            skip_model_load=True,
        )
    expected = theirs.get_spec()
    assert ours.spec.SerializeToString(deterministic=True) == without_date(expected)
    (file,) = weights.iterdir()
    assert file.read_bytes() == (Path(theirs.weights_dir) / file.name).read_bytes()


def test_a_dimension_without_bound_is_refused(tmp_path: Path) -> None:
    spec = ct.proto.Model_pb2.Model()
    feature = spec.description.input.add(name="x")
    feature.type.multiArrayType.shapeRange.sizeRanges.add(lowerBound=1, upperBound=-1)
    with pytest.raises(ValueError, match="input x has a dimension without an upper bound"):
        mil_model._check_ranges(spec)
