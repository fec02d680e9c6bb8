"""Cases: one MIL operation, its operands, what it should return, and why that is worth a test.

A case is written once and used by every test that needs the op: numbers (static and varying
shapes, fp32 and fp16), conformance (no translator without a case) and generated documentation.

Oracles: MIL's own value inference in coremltools, unless the case brings its own (NumPy or torch).
"""

from __future__ import annotations

import contextlib
import gc
import io
import tempfile
import warnings
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union

import numpy as np
import pytest

from etcoreml.blob import Directory
from etcoreml.engine import Session, compile_function
from etcoreml.mil import MilProgram
from etcoreml.mil.ct import coremltools
from etcoreml.mil.decode import decode_model
from etcoreml.mil.validity import check_program
from etcoreml.mil.weights import WeightFile

Array = Any

Varies = Union[bool, Mapping[str, Mapping[int, str]]]  # noqa: UP007 - evaluated by Python 3.10
"""Whether all dimensions vary; or, by input and axis, the labels of those that do. Dimensions of
one label are equal."""

SPEC_VERSIONS = {"iOS15": 6, "iOS16": 7, "iOS17": 8, "iOS18": 9}

_KEEPS_FP32 = {"scale_factor_height", "scale_factor_width", "spatial_scale"}
"""Parameters that MIL defines as fp32 whatever the dtype of the data."""

FP16_TOLERANCE = 2e-3
"""Two units in the last place of fp16: inputs and result are rounded, arithmetic is f32."""


@dataclass(frozen=True, eq=False)
class Case:
    """One call of one op.

    Attributes:
        op: MIL op type.
        inputs: Run-time operands by MIL input name; a tuple for a variadic input.
        params: Compile-time operands.
        tolerance: Absolute and relative, in fp32. 0 demands equality.
        why: What this case would catch.
        expect: Computes the result(s) from the inputs; None trusts MIL's value inference.
        opset: The oldest opset that defines this form of the op.
        fp16: Whether to run it with fp16 operands too.
        varies: Whether to run it with dimensions that vary.
    """

    op: str
    inputs: Mapping[str, Any]
    params: Mapping[str, Any] = field(default_factory=dict)
    tolerance: float = 1e-5
    why: str = ""
    expect: Callable[..., Any] | None = None
    opset: str = "iOS15"
    fp16: bool = True
    varies: bool = True

    def __str__(self) -> str:
        return f"{self.op}-{self.why.replace(' ', '_') or 'plain'}"

    @property
    def has_floats(self) -> bool:
        """Whether any operand is a floating-point array."""
        return any(
            np.issubdtype(np.asarray(v).dtype, np.floating)
            for value in self.inputs.values()
            for v in _many(value)
        )


def _many(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


def rng(seed: int = 0) -> np.random.Generator:
    """Return a seeded generator; every array of a case comes from one."""
    return np.random.default_rng(seed)


def normal(*shape: int, seed: int = 0) -> Array:
    """Return standard normal fp32 numbers."""
    return rng(seed).standard_normal(shape).astype(np.float32)


def uniform(low: float, high: float, *shape: int, seed: int = 0) -> Array:
    """Return uniform fp32 numbers."""
    return rng(seed).uniform(low, high, shape).astype(np.float32)


def integers(low: int, high: int, *shape: int, seed: int = 0) -> Array:
    """Return int32 numbers in [low, high)."""
    return rng(seed).integers(low, high, shape).astype(np.int32)


def _cast(value: Any, dtype: Any) -> Any:
    """Give floating-point values a dtype; leave everything else."""
    if isinstance(value, tuple):
        return tuple(_cast(item, dtype) for item in value)
    if isinstance(value, (float, np.floating)):
        return dtype(value)
    if isinstance(value, np.ndarray) and np.issubdtype(value.dtype, np.floating):
        return value.astype(dtype)
    return value


def _params(case: Case, dtype: Any) -> dict[str, Any]:
    return {
        name: _cast(value, np.float32 if name in _KEEPS_FP32 else dtype)
        for name, value in case.params.items()
    }


def _mil() -> Any:
    coremltools()
    from coremltools.converters.mil import mil  # noqa: TID251 - tests build programs with it

    return mil


def mil_builder() -> Any:
    """Return coremltools' builder of MIL operations."""
    return _mil().Builder


def mil_list(items: list[Any]) -> Any:
    """Give a list the type that constants of lists have in coremltools."""
    return _mil().mil_list(items)


def packed(dtype: str, values: Any) -> Any:
    """Give integers one of coremltools' sub-byte dtypes, e.g. ``uint4``."""
    types = _mil().types
    return np.asarray(values).astype(types.nptype_from_builtin(types.string_to_builtin(dtype)))


def state_placeholder(shape: tuple[int, ...]) -> Any:
    """Return a placeholder for an fp16 state."""
    return _mil().Builder.state_tensor_placeholder(shape, dtype=_mil().types.fp16)


def _builtin(array: Array) -> Any:
    return _mil().types.numpy_type_to_builtin_type(np.asarray(array).dtype)


def mil_function(
    inputs: Mapping[str, Array],
    build: Callable[..., Any],
    opset: str,
    varies: Varies = False,
    states: Mapping[str, Any] | None = None,
) -> Any:
    """Build a coremltools program of one function.

    Args:
        inputs: An example of each input; its dtype and shape become the declared ones.
        build: Called with a Var for each input, returns a Var or a sequence of them.
        opset: ``iOS15`` to ``iOS18``.
        varies: Whether every dimension is declared as varying, or which ones.
        states: Placeholders of states, given to ``build`` after the inputs.
    """
    mil, target = _mil(), getattr(coremltools().target, opset)
    symbols: dict[str, Any] = defaultdict(mil.get_new_symbol)

    def size(name: str, axis: int, fixed: int) -> Any:
        if isinstance(varies, bool):
            return mil.get_new_symbol() if varies else fixed
        label = varies.get(name, {}).get(axis)
        return fixed if label is None else symbols[label]

    placeholders = {
        name: mil.Builder.placeholder(
            tuple(size(name, axis, fixed) for axis, fixed in enumerate(array.shape)),
            dtype=_builtin(array),
            allow_rank0_input=True,
        )
        for name, array in inputs.items()
    } | dict(states or {})
    program = mil.Program()
    with mil.Function(placeholders, opset_version=target) as function:
        outputs = build(*(function.inputs[name] for name in placeholders))
        function.set_outputs(list(outputs) if isinstance(outputs, (list, tuple)) else [outputs])
        program.add_function("main", function)
    return program


def to_program(mil_program: Any, opset: str) -> MilProgram:
    """Serialise a coremltools program, without any pass, and load it as a package would be."""
    from coremltools.converters.mil.backend.mil.load import (  # noqa: TID251 - as above
        MILProtoExporter,
    )

    from etcoreml.mil.proto import module

    with tempfile.TemporaryDirectory() as folder:
        message = MILProtoExporter(mil_program, folder, SPEC_VERSIONS[opset]).export()
        tree = Directory.from_path(Path(folder))
        files = {name: WeightFile(name, tree.read(name)) for name in tree.children}
        model = module("Model_pb2").Model(specificationVersion=SPEC_VERSIONS[opset])
        model.mlProgram.ParseFromString(message.SerializeToString())

        def read(name: str, *rest: Any) -> Array:
            return files[name.rpartition("/")[2]].read(*rest).copy()

        program = decode_model(model, read)
    check_program(program)
    return program


def save_converted(
    source: Any,
    path: Path,
    *,
    target: str,
    precision: str = "FLOAT32",
    prepare: Callable[[Any], None] = lambda model: None,
    **options: Any,
) -> Path:
    """Convert with coremltools, quietly, and save as a package.

    The model deletes a temporary folder when it is collected, and warns that it does: that
    happens in here.

    Args:
        source: What ``coremltools.convert`` takes.
        path: The package to write.
        target: ``iOS15`` to ``iOS18``.
        precision: ``FLOAT16`` or ``FLOAT32``.
        prepare: Called with the model before it is saved.
        options: Further ones of ``coremltools.convert``.
    """
    ct = coremltools()
    with contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = ct.convert(
            source,
            minimum_deployment_target=getattr(ct.target, target),
            compute_precision=getattr(ct.precision, precision),
            skip_model_load=True,
            **options,
        )
        prepare(model)
        model.save(str(path))
        del model
        gc.collect()
    return path


def _flatten(inputs: Mapping[str, Any]) -> dict[str, Array]:
    """Name every run-time operand: ``x``, or ``values_0``, ``values_1`` of a variadic input."""
    flat = {}
    for name, value in inputs.items():
        if isinstance(value, tuple):
            flat.update({f"{name}_{i}": np.asarray(item) for i, item in enumerate(value)})
        else:
            flat[name] = np.asarray(value)
    return flat


def _regroup(inputs: Mapping[str, Any], flat: list[Any]) -> dict[str, Any]:
    rest = iter(flat)
    return {
        name: tuple(next(rest) for _ in value) if isinstance(value, tuple) else next(rest)
        for name, value in inputs.items()
    }


def run(
    case: Case, dtype: Any = np.float32, varies: Varies = False, numerics: str = "fast"
) -> tuple[list[Array], Session]:
    """Run a case on the engine; returns its outputs in order, and the session."""
    inputs = {name: _cast(value, dtype) for name, value in case.inputs.items()}
    flat = _flatten(inputs)
    params = _params(case, dtype)

    def build(*operands: Any) -> Any:
        op = getattr(_mil().Builder, case.op)
        return op(**_regroup(inputs, list(operands)), **params)

    program = to_program(mil_function(flat, build, case.opset, varies), case.opset)
    session = compile_function(program, compute_unit="cpu_only", threads=1, numerics=numerics)
    results = session.run(flat)
    return [results[port.name] for port in session.outputs], session


def expected(case: Case, dtype: Any = np.float32) -> list[Array]:
    """Return what the case's oracle says, computed in fp32 from operands rounded to ``dtype``."""
    inputs = {name: _cast(_cast(value, dtype), np.float32) for name, value in case.inputs.items()}
    params = {name: _cast(value, np.float32) for name, value in _params(case, dtype).items()}
    if case.expect is not None:
        found = case.expect(**inputs, **params)
    else:
        found = _value_inference(case, inputs, params)
    return [np.asarray(item) for item in (found if isinstance(found, (list, tuple)) else [found])]


def _value_inference(case: Case, inputs: dict[str, Any], params: dict[str, Any]) -> Any:
    builder = _mil().Builder

    def build(anchor: Any) -> Any:
        operands = {
            name: tuple(builder.const(val=item) for item in value)
            if isinstance(value, tuple)
            else builder.const(val=value)
            for name, value in inputs.items()
        }
        outputs = getattr(builder, case.op)(**operands, **params)
        values = [v.val for v in (outputs if isinstance(outputs, (list, tuple)) else [outputs])]
        if any(value is None for value in values):
            msg = f"MIL infers no value for {case}: the case needs an oracle of its own"
            raise AssertionError(msg)
        found.extend(values)
        return builder.identity(x=anchor)

    found: list[Any] = []
    mil_function({"anchor": np.zeros(1, np.float32)}, build, case.opset)
    return found


def check(case: Case, dtype: Any = np.float32, varies: Varies = False) -> None:
    """Hold the engine to the oracle: shape, dtype and numbers."""
    found, session = run(case, dtype, varies)
    wanted = expected(case, dtype)
    assert len(found) == len(wanted)
    for port, value, truth in zip(session.outputs, found, wanted, strict=True):
        assert value.dtype == port.dtype.storage
        assert value.shape == truth.shape, f"{case}: shape {value.shape} for {truth.shape}"
        if np.issubdtype(value.dtype, np.floating):
            tolerance = (
                max(case.tolerance, FP16_TOLERANCE) if dtype == np.float16 else case.tolerance
            )
            np.testing.assert_allclose(
                value.astype(np.float64), truth.astype(np.float64), tolerance, tolerance
            )
        else:
            np.testing.assert_array_equal(value, truth.astype(value.dtype))


def numbers_of(cases: Sequence[Case]) -> Callable[..., None]:
    """Return a test of every case: in fp32, with fp16 operands, and with varying shapes."""
    runs = [pytest.param(case, np.float32, False, id=f"{case}-fp32") for case in cases]
    for case in cases:
        if case.fp16 and case.has_floats:
            runs.append(pytest.param(case, np.float16, False, id=f"{case}-fp16"))
        if case.varies and any(np.ndim(v) for v in _flatten(case.inputs).values()):
            runs.append(pytest.param(case, np.float32, True, id=f"{case}-varying"))

    @pytest.mark.parametrize(("case", "dtype", "varies"), runs)
    def test_numbers(case: Case, dtype: Any, varies: bool) -> None:
        check(case, dtype, varies)

    return test_numbers
