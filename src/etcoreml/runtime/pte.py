"""What a .pte says of itself: methods, tensors, operators and delegates.

Read with executorch's own deserialiser (executorch 1.5.1 ``exir._serialize``), nothing is run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

from etcoreml.errors import ProgramError, UsageError, naming
from etcoreml.imports import quiet_imports
from etcoreml.types import BY_EXECUTORCH

CORE_ML = "CoreMLBackend"
"""Name under which the runtime looks for Core ML's delegate."""


@dataclass(frozen=True)
class PteTensor:
    """One input or output of a method.

    Attributes:
        kind: ``tensor``, or the kind of another value (``int``, ``double``, ``bool``, ...).
        shape: Sizes in elements; for a dynamic tensor, upper bounds.
        dtype: Name of the torch dtype, or None for a value that is not a tensor.
        dynamic: Whether the shape may change up to its bounds.
        dim_order: Dimensions from the outermost in memory to the innermost.
        value: Index among the method's values, as a delegate's ``arguments`` name it.
    """

    kind: str
    shape: tuple[int, ...] = ()
    dtype: str | None = None
    dynamic: bool = False
    dim_order: tuple[int, ...] = ()
    value: int | None = field(default=None, compare=False)

    def __str__(self) -> str:
        if self.kind != "tensor":
            return self.kind
        sign = "<=" if self.dynamic else ""
        return f"({', '.join(f'{sign}{size}' for size in self.shape)})"


@dataclass(frozen=True)
class PteDelegate:
    """One delegate of a method.

    Attributes:
        backend_id: Name under which the runtime looks for the backend.
        payload: The backend's bytes, or a reference into `PteProgram.named_data`.
        compile_specs: Specs by key.
        calls: Number of call instructions in the method.
        arguments: Values of its first call, inputs before outputs.
    """

    backend_id: str
    payload: bytes
    compile_specs: Mapping[str, bytes]
    calls: int
    arguments: tuple[int, ...] = ()

    @property
    def is_core_ml(self) -> bool:
        """Whether it is for Core ML."""
        return self.backend_id == CORE_ML


@dataclass(frozen=True)
class PteCall:
    """One call of a method's plan, in order of execution.

    Attributes:
        operator: Of a kernel, e.g. ``aten::add.out``; None for a delegate.
        delegate: Index of a delegate; None for a kernel.
        reads: Numbers of the values it reads.
        writes: Numbers of the values it writes.
        arguments: Numbers of its arguments as they stand: of a delegate, inputs and outputs.
    """

    operator: str | None
    delegate: int | None
    reads: tuple[int, ...]
    writes: tuple[int, ...]
    arguments: tuple[int, ...]


@dataclass(frozen=True)
class MethodInfo:
    """The signature of a method."""

    name: str
    inputs: tuple[PteTensor, ...]
    outputs: tuple[PteTensor, ...]


@dataclass(frozen=True)
class PteMethod(MethodInfo):
    """One method.

    Attributes:
        delegates: Its delegates.
        operators: Kernel calls outside delegates, counted by name.
        calls: Of kernels and delegates, in order.
        input_values: The numbers of the inputs, as ``PteCall.reads`` has them.
    """

    delegates: tuple[PteDelegate, ...]
    operators: Mapping[str, int]
    calls: tuple[PteCall, ...]
    input_values: tuple[int, ...]


@dataclass(frozen=True)
class PteProgram:
    """A parsed .pte."""

    methods: tuple[PteMethod, ...]
    named_data: Mapping[str, bytes]
    nbytes: int


def check_identifier(head: bytes, name: str) -> None:
    """Refuse what is not a .pte: a FlatBuffer's identifier stands at bytes 4 to 8.

    Source: executorch 1.5.1 ``schema/program.fbs``, ``file_identifier "ET12"``.

    Raises:
        ProgramError: The first bytes are another format's.
    """
    if head[4:6] != b"ET":
        raise ProgramError(
            f"{name} is not a .pte",
            found=f"file identifier {head[4:8]!r}",
            expected="an ExecuTorch program, with b'ET12' at bytes 4 to 8",
        )


def parse_signatures(file: BinaryIO, name: str) -> tuple[MethodInfo, ...]:
    """Read the methods' signatures, and nothing of the weights (6 ms for a real network).

    Args:
        file: The .pte, from its first byte.
        name: What to call it in an error.

    Raises:
        ProgramError: It is not an ExecuTorch program that this executorch reads.
    """
    with quiet_imports():
        from executorch.exir._serialize._program import (
            _flatbuffer_to_program,
            _get_extended_header,
        )

    head = file.read(_HEADER_NBYTES)
    check_identifier(head, name)
    try:
        header = _get_extended_header(head)
        if header is not None and header.is_valid():
            flatbuffer = head + file.read(header.program_size - len(head))
        else:
            flatbuffer = head + file.read()
        plans = _flatbuffer_to_program(flatbuffer).execution_plan
        return tuple(MethodInfo(plan.name, *_signature(plan)) for plan in plans)
    except Exception as error:  # the deserialiser raises whatever its parser meets
        raise _damaged(name, error) from error


# The extended header ends well before this.
_HEADER_NBYTES = 128


def _damaged(name: str, error: Exception) -> ProgramError:
    return ProgramError(
        f"{name} is damaged",
        found=f"{type(error).__name__}: {error}",
        hint="Export it again; a file cut short is the usual cause.",
    )


def read_pte_bytes(path: Path) -> bytes:
    """Return the bytes of a file.

    Raises:
        UsageError: It cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read '{path}': {error.strerror}") from error


def read_pte(path: Path) -> PteProgram:
    """Read and parse a .pte.

    Raises:
        UsageError: The file cannot be read.
        ProgramError: It is not an ExecuTorch program that this executorch reads.
    """
    data = read_pte_bytes(path)
    with naming(path):
        return parse_pte(data)


def parse_pte(data: bytes) -> PteProgram:
    """Parse the bytes of a .pte.

    Raises:
        ProgramError: They are not an ExecuTorch program that this executorch reads.
    """
    with quiet_imports():
        from executorch.exir._serialize._program import deserialize_pte_binary

    check_identifier(data[:8], "the file")
    try:
        file = deserialize_pte_binary(data)
    except Exception as error:  # the deserialiser raises whatever its parser meets
        raise _damaged("the .pte", error) from error
    program = file.program
    methods = tuple(_method(plan, program) for plan in program.execution_plan)
    return PteProgram(methods, MappingProxyType(_named_data(file.named_data)), len(data))


def _method(plan: Any, program: Any) -> PteMethod:
    made = _calls(plan)
    calls = Counter(each.delegate for each in made)
    passed = {each.delegate: each.arguments for each in reversed(made)}  # of the first call
    delegates = tuple(
        PteDelegate(
            delegate.id,
            bytes(program.backend_delegate_data[delegate.processed.index].data),
            MappingProxyType({spec.key: bytes(spec.value) for spec in delegate.compile_specs}),
            calls[index],
            passed.get(index, ()),
        )
        for index, delegate in enumerate(plan.delegates)
    )
    return PteMethod(
        plan.name,
        *_signature(plan),
        delegates,
        MappingProxyType(dict(Counter(each.operator for each in made if each.operator))),
        made,
        tuple(plan.inputs),
    )


def _calls(plan: Any) -> tuple[PteCall, ...]:
    """Return the calls; a value is read by one that comes after the one that wrote it.

    Arguments of a kernel end with what it writes, which is named a second time as its result; those
    of a delegate are its inputs and its outputs, and only the latter are new.
    """
    found = []
    written = set(plan.inputs)
    for chain in plan.chains:
        for instruction in chain.instructions:
            arguments = instruction.instr_args
            kind = type(arguments).__name__
            if kind not in ("KernelCall", "DelegateCall"):
                continue
            values = [each for value in arguments.args for each in _values(plan, value)]
            if kind == "KernelCall":
                operator = plan.operators[arguments.op_index]
                name = ".".join(filter(None, (operator.name, operator.overload)))
                writes = dict.fromkeys(_values(plan, arguments.args[-1]) if arguments.args else ())
            else:
                name = None
                writes = dict.fromkeys(
                    each for each in values if each not in written and not _stored(plan, each)
                )
            reads = tuple(each for each in dict.fromkeys(values) if each not in writes)
            index = None if name else arguments.delegate_index
            found.append(PteCall(name, index, reads, tuple(writes), tuple(arguments.args)))
            written.update(writes)
    return tuple(found)


def _values(plan: Any, index: int) -> tuple[int, ...]:
    """Return a value's number; those of its elements if it is a list of tensors."""
    value = plan.values[index].val
    return tuple(value.items) if type(value).__name__ == "TensorList" else (index,)


def _stored(plan: Any, index: int) -> bool:
    """Whether a value is a tensor that the file holds: nothing writes it."""
    value = plan.values[index].val
    return type(value).__name__ != "Tensor" or value.data_buffer_idx != 0


def _signature(plan: Any) -> tuple[tuple[PteTensor, ...], tuple[PteTensor, ...]]:
    inputs, outputs = (
        tuple(_tensor(plan.values[index].val, index) for index in indices)
        for indices in (plan.inputs, plan.outputs)
    )
    return inputs, outputs


def _tensor(value: Any, index: int) -> PteTensor:
    kind = type(value).__name__.lower()
    if kind != "tensor":
        return PteTensor(kind, value=index)
    dtype = BY_EXECUTORCH.get(int(value.scalar_type))
    return PteTensor(
        kind,
        tuple(value.sizes),
        dtype.torch if dtype else value.scalar_type.name.lower(),
        value.shape_dynamism.name != "STATIC",
        tuple(value.dim_order),
        index,
    )


def _named_data(named: Any) -> dict[str, bytes]:
    if named is None:
        return {}
    return {key: bytes(named.buffers[entry.buffer_index]) for key, entry in named.pte_data.items()}
