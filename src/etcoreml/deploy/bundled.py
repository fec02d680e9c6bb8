"""A .pte with test cases in it: ExecuTorch's bundled program, a .bpte.

Enters: a .pte, inputs, and the outputs to expect. Leaves: a .bpte that ExecuTorch's own tools read,
here and, through C++, on a device; and the verdict of those tools on one.

Source: executorch 1.5.1 ``devtools/bundled_program``. Apple's frameworks, and so Swift, have no
reader of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from etcoreml.choices import Numerics
from etcoreml.deploy.bundle_reader import IDENTIFIER, read
from etcoreml.errors import DtypeError, ProgramError, ShapeError, UsageError
from etcoreml.imports import quiet_imports
from etcoreml.runtime import faults
from etcoreml.runtime.load_options import checked_options, handed_over
from etcoreml.runtime.program import Program, in_memory_order, load
from etcoreml.runtime.pte import MethodInfo, PteTensor
from etcoreml.trace.metrics import Distance, distance

_FAILED = "verification failed"
"""What ExecuTorch says where outputs differ; any other message is of a run that failed."""


@dataclass(frozen=True)
class Case:
    """A call of a method, and what it should return.

    Attributes:
        method: Name of the method.
        inputs: Its inputs in order: tensors, or Python numbers.
        expected: Its outputs in order.
    """

    method: str
    inputs: tuple[Any, ...]
    expected: tuple[torch.Tensor, ...]


@dataclass(frozen=True)
class Bundle:
    """What a .bpte holds."""

    pte: bytes
    cases: tuple[Case, ...]


@dataclass(frozen=True)
class Verdict:
    """What became of one case.

    Attributes:
        method: Name of the method.
        index: Position of the case among the method's.
        passed: What ExecuTorch's own comparison says.
        distances: How far each output is from what was expected; None for one of another shape.
    """

    method: str
    index: int
    passed: bool
    distances: tuple[Distance | None, ...]


def expect(program: Program, method: str, inputs: Sequence[Any]) -> Case:
    """Return the case of a method called for the first time, with what it returns here.

    Raises:
        ProgramError, ShapeError, DtypeError, DelegateError: As `Program.run`; also a
            ProgramError if an output is no tensor.
    """
    program.reset(method)
    return case(program, method, inputs, program.run(method, inputs))


def case(program: Program, method: str, inputs: Sequence[Any], expected: Sequence[Any]) -> Case:
    """Return a case whose expected outputs come from elsewhere, such as eager.

    Args:
        program: The program that is to be tested.
        method: Name of its method.
        inputs: Tensors, arrays or Python numbers.
        expected: Tensors or arrays.

    Raises:
        ProgramError: There is no such method, or one of its outputs is no tensor.
        ShapeError, DtypeError: An input or output is not of a shape or dtype that it declares.
    """
    if method not in program.methods:
        raise ProgramError(
            f"the program has no method '{method}'", expected=", ".join(program.methods)
        )
    info = program.methods[method]
    for index, output in enumerate(info.outputs):
        if output.kind != "tensor":
            raise ProgramError(
                f"output {index} of method '{method}' cannot be bundled",
                found=output.kind,
                expected="a tensor",
            )
    return Case(
        method,
        _values("input", info, inputs, info.inputs),
        _values("expected output", info, expected, info.outputs),
    )


def write_bundle(pte: Path, cases: Iterable[Case]) -> bytes:
    """Return a .bpte of a program and its cases; equal arguments give equal bytes.

    Args:
        pte: The program's file.
        cases: At least one; those of a method keep their order.

    Raises:
        UsageError: There is no case.
    """
    with quiet_imports():
        from executorch.devtools.bundled_program.config import MethodTestCase, MethodTestSuite
        from executorch.devtools.bundled_program.core import BundledProgram
        from executorch.devtools.bundled_program.serialize import (
            serialize_from_bundled_program_to_flatbuffer,
        )

    by_method: dict[str, list[Case]] = {}
    for each in cases:
        by_method.setdefault(each.method, []).append(each)
    if not by_method:
        raise UsageError("a bundled program needs a test case")
    suites = [
        MethodTestSuite(name, [MethodTestCase(each.inputs, each.expected) for each in group])
        for name, group in by_method.items()
    ]
    bundled = BundledProgram(None, suites, pte_file_path=str(pte))
    for suite in bundled.serialize_to_schema().method_test_suites:
        for test, each in zip(suite.test_cases, by_method[suite.method_name], strict=True):
            _keep_order(test.inputs, each.inputs)
            _keep_order(test.expected_outputs, each.expected)
    return bytes(serialize_from_bundled_program_to_flatbuffer(bundled))


def _keep_order(stored: Sequence[Any], values: Sequence[Any]) -> None:
    """Store what is not row-major as it lies in memory.

    ExecuTorch 1.5.1 makes it row-major, and the runtime then copies those bytes unseen into tensors
    that are planned channels last.
    """
    for entry, value in zip(stored, values, strict=True):
        if isinstance(value, torch.Tensor) and not value.is_contiguous():
            order = value.dim_order()
            entry.val.dim_order = list(order)
            entry.val.data = _bytes(value.permute(order))


def _bytes(tensor: torch.Tensor) -> bytes:
    """Return the elements in order; NumPy does not know all of torch's dtypes."""
    return bytes(tensor.contiguous().view(torch.uint8).numpy().tobytes())


def read_bundle(data: bytes, name: str) -> Bundle:
    """Read a .bpte. All of it is checked: ExecuTorch's own reader trusts what it is given.

    Args:
        data: The file's bytes.
        name: What to call it in an error.

    Raises:
        ProgramError: It is not a bundled program, or damaged.
    """
    if data[4:8] != IDENTIFIER:
        raise ProgramError(
            f"{name} is not a .bpte",
            found=f"file identifier {data[4:8]!r}",
            expected=f"an ExecuTorch bundled program, with {IDENTIFIER!r} at bytes 4 to 8",
        )
    try:
        pte, cases = read(data)
        return Bundle(pte, tuple(Case(*each) for each in cases))
    except Exception as error:  # the reader raises whatever a damaged file makes it meet
        raise ProgramError(
            f"{name} is damaged",
            found=f"{type(error).__name__}: {error}",
            hint="Write it again; a file cut short is the usual cause.",
        ) from error


def verify_bundle(
    data: bytes,
    name: str,
    *,
    numerics: Numerics | None = None,
    rtol: float = 1e-2,
    atol: float = 1e-2,
) -> list[Verdict]:
    """Run every case of a .bpte through ExecuTorch's own tools, each on a fresh program.

    Args:
        data: The file's bytes.
        name: What to call it in an error.
        numerics: How delegates compute, as of `etcoreml.load`.
        rtol: Relative tolerance of ExecuTorch's comparison.
        atol: Absolute tolerance of it.

    Raises:
        ProgramError: It is not a bundled program, it is damaged or without cases, or a case does
            not run.
        EtCoreMLError: Whatever else a delegate raised.
    """
    bundle = read_bundle(data, name)
    if not bundle.cases:
        raise ProgramError(f"{name} holds no test case")
    program = load(bundle.pte, numerics=numerics)
    verdicts, seen = [], dict.fromkeys(program.methods, 0)
    for each in bundle.cases:
        checked = case(program, each.method, each.inputs, each.expected)
        index = seen[each.method]
        seen[each.method] = index + 1
        passed = _verify(data, each.method, index, numerics, rtol, atol)
        program.reset(each.method)
        outputs = program.run(each.method, each.inputs)
        distances = tuple(map(_distance, outputs, checked.expected))
        verdicts.append(Verdict(each.method, index, passed, distances))
    return verdicts


def _verify(
    data: bytes, method: str, index: int, numerics: Numerics | None, rtol: float, atol: float
) -> bool:
    with quiet_imports():
        from executorch.extension.pybindings.portable_lib import _load_bundled_program_from_buffer

    faults.take()
    try:
        with handed_over(checked_options(None, None, numerics)):
            module = _load_bundled_program_from_buffer(data)
            module.verify_result_with_bundled_expected_output(method, index, rtol, atol)
    except RuntimeError as error:
        fault = faults.take()
        if fault is not None:
            raise fault from fault.__cause__
        if _FAILED in str(error):
            return False
        what = f"case {index} of method '{method}' does not run"
        raise ProgramError(what, found=str(error)) from error
    return True


def _distance(actual: Any, expected: torch.Tensor) -> Distance | None:
    if actual.shape != expected.shape:
        return None
    return distance(actual.double().numpy(), expected.double().numpy())


def _values(
    what: str, info: MethodInfo, values: Sequence[Any], declared: Sequence[PteTensor]
) -> tuple[Any, ...]:
    if len(values) != len(declared):
        raise ShapeError(
            f"a case of method '{info.name}' has the wrong number of {what}s",
            found=len(values),
            expected=len(declared),
        )
    return tuple(
        _value(f"{what} {index} of method '{info.name}'", value, tensor)
        for index, (value, tensor) in enumerate(zip(values, declared, strict=True))
    )


def _value(what: str, value: Any, declared: PteTensor) -> Any:
    if declared.kind != "tensor":
        if isinstance(value, (int, float)):
            return value
        raise DtypeError(f"{what} is not a number", found=type(value).__name__)
    tensor = torch.as_tensor(value)
    dtype = str(tensor.dtype).removeprefix("torch.")
    if dtype != declared.dtype:
        raise DtypeError(f"{what} has the wrong dtype", found=dtype, expected=declared.dtype)
    shape = tuple(tensor.shape)
    if len(shape) != len(declared.shape) or not all(
        given <= size if declared.dynamic else given == size
        for given, size in zip(shape, declared.shape, strict=True)
    ):
        raise ShapeError(f"{what} has the wrong shape", found=shape, expected=declared)
    # What is stored is the whole storage, in the order of the memory.
    return in_memory_order(tensor.detach(), declared.dim_order).clone()
