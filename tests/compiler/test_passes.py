"""Passes are run as coremltools' own manager runs them; the oracle is that manager."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from torch import nn

from etcoreml.imports import quiet_imports
from tests.lowering import Runtime, lower

with quiet_imports():
    from etcoreml.compiler import passes
    from etcoreml.compiler.quiet import quiet
    from etcoreml.mil.ct import coremltools

ct = coremltools()
mb = ct.converters.mil.Builder
manager = ct.converters.mil.mil.passes.pass_pipeline.PassPipelineManager

CONSTANTS = {
    "small": np.linspace(-3, 3, 12, dtype=np.float32),
    "largest fp16": np.full(12, 65504, np.float32),
    "beyond fp16": np.array([1, -65520] * 6, np.float32),
    "infinity": np.array([1, -np.inf] * 6, np.float32),
    "NaN and large": np.array([np.nan, 1e6] * 6, np.float32),
    "subnormal": np.full(12, 1e-7, np.float32),
    "large array": np.linspace(-1, 1, 12 * 4096, dtype=np.float32).reshape(4096, 12),
}


def program(constant: np.ndarray) -> object:
    """A program that uses a constant twice."""

    @mb.program(input_specs=[mb.TensorSpec(shape=(12,))])
    def build(x: object) -> object:
        weight = mb.const(val=constant, name="weight")
        return mb.add(x=mb.mul(x=x, y=weight), y=weight)

    return build


@pytest.mark.parametrize("constant", CONSTANTS.values(), ids=CONSTANTS)
def test_programs_become_what_coremltools_makes_of_them(constant: np.ndarray) -> None:
    texts = []
    for run in (passes.run, manager.apply_pipeline):
        ct.converters.mil.converter._reset_conversion_state()
        built = program(constant)
        with np.errstate(over="ignore", invalid="ignore"), quiet():
            run(built, ct.PassPipeline.DEFAULT)
        texts.append(re.sub(r"block\d+", "block", built.functions["main"].indented_str()))
    ours, theirs = texts
    assert ours == theirs


MASK = np.array([1, -3.4e38, -np.inf] * 4, np.float32)


@pytest.mark.parametrize("constant", [*CONSTANTS.values(), MASK], ids=[*CONSTANTS, "mask"])
def test_the_overflow_check_agrees_with_coremltools(constant: np.ndarray) -> None:
    op = program(constant).functions["main"].find_ops(op_type="mul")[0]
    theirs = passes.quantization.add_fp16_cast.fp16_overflow(op)
    assert passes.Fp16Cast.fp16_overflow(op) == theirs


EPSILONS = {
    "both signs": np.array([1e-12, -1e-12, 0, -0.0] * 3, np.float32),
    "of fp16's smallest": np.array([2.9e-8, 3.1e-8, -6e-8, 1e-7] * 3, np.float32),
    "none": np.zeros(12, np.float32),
    "beside NaN and infinity": np.array([np.nan, 1e-12, np.inf, 1] * 3, np.float32),
    "a number": np.float32(1e-12),
    "a matrix": np.full((2, 12), -1e-12, np.float32),
    "among many": np.full((40, 12), 1e-12, np.float32),
}


@pytest.mark.parametrize("constant", EPSILONS.values(), ids=EPSILONS)
def test_few_numbers_become_zero(constant: np.ndarray) -> None:
    """The oracle is coremltools' pass."""
    values = []
    for fp16_cast in (passes.Fp16Cast, passes.quantization.add_fp16_cast):
        built = program(constant)
        with np.errstate(all="ignore"), quiet():
            fp16_cast()(built)
        values.append(built.functions["main"].find_ops(op_type="mul")[0].y.val)
    ours, theirs = values
    assert type(ours) is type(theirs)
    assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(np.signbit(ours), np.signbit(theirs))


def test_finite_constants_stay_finite() -> None:
    """coremltools makes infinities of them."""
    built = program(MASK)
    with quiet():
        passes.run(built, ct.PassPipeline.DEFAULT)
    ops = built.functions["main"].find_ops(op_type="mul") + built.functions["main"].find_ops(
        op_type="add"
    )
    for op in ops:
        np.testing.assert_array_equal(op.y.val, np.array([1, -65504, -np.inf] * 4, np.float16))
    assert ops[0].y is ops[1].y


class Masked(nn.Module):
    """Two ways to mask scores, as encoders do it."""

    def forward(self, scores: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, ...]:
        least = torch.finfo(torch.float32).min
        added = scores + (1 - mask.to(torch.float32)) * least
        return scores.masked_fill(mask == 0, least).softmax(-1), added.softmax(-1)


def test_a_row_that_is_masked_throughout_is_uniform() -> None:
    scores = torch.tensor([[1.0, 2.0, 3.0, 4.0], [1.0, 1.0, 1.0, 1.0]])
    mask = torch.tensor([[1, 1, 0, 0], [0, 0, 0, 0]])
    method = Runtime.get().load_program(lower(Masked(), (scores, mask), precision="float16"))
    for found, truth in zip(
        method.load_method("forward").execute([scores, mask]), Masked()(scores, mask), strict=True
    ):
        torch.testing.assert_close(found, truth, atol=1e-3, rtol=1e-3)


def test_an_empty_constant_fits() -> None:
    assert not passes.overflows_fp16(np.zeros((0, 3), np.float32))


def test_a_pass_that_breaks_the_program_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(built: object) -> None:
        main = built.functions["main"]
        main.find_ops(op_type="mul")[0].x._child_ops.clear()

    pipeline = ct.PassPipeline(pass_names=["common::noop_elimination"])
    monkeypatch.setattr(
        type(passes.registry["common::noop_elimination"]), "apply", lambda _, built: breaks(built)
    )
    with pytest.raises(Exception, match="should be consumed by op"):
        passes.run(program(CONSTANTS["small"]), pipeline)


def test_a_scalar_may_be_a_python_number() -> None:
    """Passes leave such constants in BERT."""

    @mb.program(input_specs=[mb.TensorSpec(shape=(12,))])
    def build(x: object) -> object:
        return mb.mul(x=x, y=np.float32(0.5))

    (const,) = (op for op in build.functions["main"].operations if op.op_type == "const")
    const.val._sym_val.val = 0.5
    with quiet():
        passes.Fp16Cast()(build)
    (mul,) = build.functions["main"].find_ops(op_type="mul")
    assert mul.y.val.dtype == np.float16


@pytest.mark.parametrize(
    ("op", "size", "cast"),
    [
        ("gather", 100, {"indices"}),
        ("gather", 40_000, set()),
        ("gather", None, set()),
        ("gather_along_axis", 100, {"indices"}),
        ("topk", 100, set()),
    ],
)
def test_only_indices_that_fit_become_int16(op: str, size: int | None, cast: set[str]) -> None:
    """What is gathered or sorted may be any number: coremltools cuts it to 16 bits."""
    length = ct.converters.mil.mil.get_new_symbol() if size is None else size
    types = ct.converters.mil.mil.types
    specs = [
        mb.TensorSpec(shape=(length,), dtype=types.int32),
        mb.TensorSpec(shape=(3,), dtype=types.int32),
    ]

    @mb.program(input_specs=specs, opset_version=ct.target.iOS17)
    def built(x: object, indices: object) -> object:
        if op == "topk":
            return mb.topk(x=x, k=2, axis=0)[0]
        return getattr(mb, op)(x=x, indices=indices, axis=0)

    passes.Int16Cast()(built)
    (found,) = (each for each in built.functions["main"].operations if each.op_type == op)
    short = {
        name
        for name, value in found.inputs.items()
        if value is not None and value.dtype in (types.int16, types.uint16)
    }
    assert short == cast
