"""What a conversion leaves to the block that uses its model: the files, and nothing else."""

from __future__ import annotations

import warnings
from concurrent.futures import ThreadPoolExecutor

import torch

from etcoreml.compiler import convert
from etcoreml.compiler.specs import decode_options
from etcoreml.mil.ct import coremltools
from tests.call import Call

ct = coremltools()
Function = ct.converters.mil.mil.Function


def test_other_threads_are_free_while_a_model_is_used() -> None:
    """The block may wait for a compiler for minutes."""
    program = torch.export.export(Call(torch.neg), (torch.ones(2),)).run_decompositions({})
    before = ct.models.utils._tempfile, Function.__str__, warnings.filters
    with (
        convert.converted(program, decode_options(())) as (model, _),
        ThreadPoolExecutor(1) as other,
    ):
        assert (ct.models.utils._tempfile, Function.__str__, warnings.filters) == before
        assert other.submit(convert._CONVERSION.acquire, blocking=False).result()
        other.submit(convert._CONVERSION.release).result()
        assert model.weights.exists()
    assert not model.weights.exists()
