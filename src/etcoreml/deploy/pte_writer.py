"""A .pte of methods that are one delegate call each, written without a graph.

Enters: per method its tensors, a delegate's payload and compile specs. Leaves: the bytes of a .pte,
laid out as ExecuTorch's own emitter lays out a method that is delegated whole (executorch 1.5.1
``exir/emit`` and ``exir/schema.py``).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from etcoreml.imports import quiet_imports
from etcoreml.types import DType

_ARENA = 1
"""Memory 0 is for constants."""

_ALIGNMENT = 16
"""ExecuTorch's memory planning places every tensor at a multiple of this many bytes."""


@dataclass(frozen=True)
class TensorSlot:
    """One input or output of a method.

    Attributes:
        name: The name it has in the model.
        dtype: Its element type.
        shape: Sizes in elements; upper bounds if it is dynamic.
        dynamic: Whether a call may have smaller sizes.
    """

    name: str
    dtype: DType
    shape: tuple[int, ...]
    dynamic: bool = False

    @property
    def nbytes(self) -> int:
        """The memory planned for it."""
        return self.dtype.nbytes(math.prod(self.shape))


@dataclass(frozen=True)
class DelegateMethod:
    """A method that calls one delegate and nothing else.

    Attributes:
        name: The method's name.
        inputs: The delegate's first arguments.
        outputs: Its other arguments.
        payload: The delegate's bytes, or a reference into the named data.
    """

    name: str
    inputs: tuple[TensorSlot, ...]
    outputs: tuple[TensorSlot, ...]
    payload: bytes


def write_pte(
    methods: Sequence[DelegateMethod],
    backend_id: str,
    compile_specs: Mapping[str, bytes],
    named_data: Mapping[str, bytes],
) -> bytes:
    """Return a .pte; equal arguments give equal bytes.

    Args:
        methods: The methods, each with a name of its own.
        backend_id: Under which the runtime looks for the backend.
        compile_specs: Of every delegate.
        named_data: What payloads refer to, stored once.
    """
    with quiet_imports():
        from executorch.exir import schema
        from executorch.exir._serialize._named_data_store import NamedDataStore
        from executorch.exir._serialize._program import PTEFile, serialize_pte_binary
        from executorch.exir.version import EXECUTORCH_SCHEMA_VERSION

    store = NamedDataStore()
    for key, data in named_data.items():
        store.add_named_data(key, data)
    program = schema.Program(
        version=EXECUTORCH_SCHEMA_VERSION,
        execution_plan=[
            _plan(schema, method, index, backend_id, compile_specs)
            for index, method in enumerate(methods)
        ],
        constant_buffer=[schema.Buffer(storage=b"")],
        backend_delegate_data=[
            schema.BackendDelegateInlineData(data=method.payload) for method in methods
        ],
        segments=[],
        constant_segment=schema.SubsegmentOffsets(segment_index=0, offsets=[]),
    )
    file = PTEFile(
        program=program,
        mutable_data=None,
        named_data=store.get_named_data_store_output() if named_data else None,
    )
    return bytes(serialize_pte_binary(file, extract_delegate_segments=True))


def _plan(
    schema: Any,
    method: DelegateMethod,
    index: int,
    backend_id: str,
    compile_specs: Mapping[str, bytes],
) -> Any:
    from executorch.exir.backend.compile_spec_schema import CompileSpec

    values, end = [], 0
    for slot in (*method.inputs, *method.outputs):
        values.append(schema.EValue(_tensor(schema, slot, end)))
        end += slot.nbytes + -slot.nbytes % _ALIGNMENT
    arguments = list(range(len(values)))
    inputs, outputs = arguments[: len(method.inputs)], arguments[len(method.inputs) :]
    call = schema.DelegateCall(delegate_index=0, args=arguments)
    return schema.ExecutionPlan(
        name=method.name,
        container_meta_type=_containers(schema, len(inputs), len(outputs)),
        values=values,
        inputs=inputs,
        outputs=outputs,
        chains=[
            schema.Chain(
                inputs=[],
                outputs=[],
                instructions=[schema.Instruction(instr_args=call)],
                stacktrace=None,
            )
        ],
        operators=[],
        delegates=[
            schema.BackendDelegate(
                id=backend_id,
                processed=schema.BackendDelegateDataReference(
                    location=schema.DataLocation.INLINE, index=index
                ),
                compile_specs=[CompileSpec(key, value) for key, value in compile_specs.items()],
            )
        ],
        non_const_buffer_sizes=[0, end],
    )


def _tensor(schema: Any, slot: TensorSlot, offset: int) -> Any:
    from executorch.exir.scalar_type import ScalarType

    dynamism = schema.TensorShapeDynamism
    return schema.Tensor(
        scalar_type=ScalarType(slot.dtype.executorch),
        storage_offset=0,
        sizes=list(slot.shape),
        dim_order=list(range(len(slot.shape))),
        requires_grad=False,
        layout=0,
        data_buffer_idx=0,
        allocation_info=schema.AllocationDetails(
            memory_id=_ARENA,
            memory_offset_low=offset & 0xFFFFFFFF,
            memory_offset_high=offset >> 32,
        ),
        shape_dynamism=dynamism.DYNAMIC_BOUND if slot.dynamic else dynamism.STATIC,
    )


def _containers(schema: Any, inputs: int, outputs: int) -> Any:
    """Return how arguments and results nest: as of a Python function with that many of each."""
    from torch.utils import _pytree as pytree

    arguments: Any = ((0,) * inputs, {})
    results: Any = 0 if outputs == 1 else (0,) * outputs
    return schema.ContainerMetadata(
        encoded_inp_str=pytree.treespec_dumps(pytree.tree_structure(arguments)),
        encoded_out_str=pytree.treespec_dumps(pytree.tree_structure(results)),
    )
