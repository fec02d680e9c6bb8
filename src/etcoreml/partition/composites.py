"""Programs that torch decomposes without looking for its composite ops over and over.

torch lets no functional composite op (one with a CompositeImplicitAutograd kernel) be taken apart
that was not asked for. To that end it collects those ops of every namespace each time, going
through all of torch's once for each namespace, and enters some ten thousand kernels into their
tables, through a method that writes out its own type with every call. For a program of one op that
takes longer than all the rest of lowering. Here the same ops get the same kernels.

Besides, whoever runs a program on fake tensors, some twenty times in a lowering, copies the whole
history of every node, which grows by a ``NodeSource`` each time. Nothing changes these, so that a
copy may be the source itself. The tables of a program's inputs are made once, not for each input.
And what exists already is not searched for garbage (``compiler.garbage``).

ExecuTorch decomposes the program that ``transform_for_pre_decomposition`` returns, and looks into
its own table of decompositions in between; so the shortcuts hold as long as a program does that
was made here. What they do is the same for every caller, so that other threads notice nothing.

Source: torch 2.13 ``export/exported_program.py``, ``export/decomp_utils.py``, ``_export/utils.py``,
``_ops.py``, ``fx/traceback.py``.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from executorch.exir.backend import backend_api
from torch._C import DispatchKey
from torch._export import utils
from torch._ops import OperatorBase
from torch.export import ExportedProgram, decomp_utils, exported_program
from torch.export.graph_signature import InputKind, TensorArgument
from torch.fx import GraphModule, Node
from torch.fx.traceback import NodeSource

from etcoreml.compiler.garbage import only_new_garbage

_LOCK = threading.RLock()
_POPULATE = utils._populate_param_buffer_metadata_to_new_gm
_users = 0
_ends = contextlib.ExitStack()
_py_impl = OperatorBase.py_impl
# To compare two keys takes as long as all of the rest.
_KEYS = frozenset(
    map(
        id,
        (
            *exported_program._AUTOGRAD_ALIAS_BACKEND_KEYS_TO_OVERRIDE,
            *exported_program._BACKEND_KEYS_TO_OVERRIDE,
            DispatchKey.CompositeImplicitAutograd,
        ),
    )
)


def hurried(program: ExportedProgram) -> ExportedProgram:
    """Return a program like another that is quick to decompose; its graph is the same object.

    Args:
        program: An ATen program.
    """
    if type(program) is not ExportedProgram:
        return program  # which may decompose itself otherwise
    _begin()  # first: what exists now is never found to be garbage until the end
    copied = _Hurried.__new__(_Hurried)
    weakref.finalize(copied, _end)
    copied.__dict__.update(program.__dict__)
    return copied


class _Hurried(ExportedProgram):  # type: ignore[misc] # torch is untyped here
    """A program during whose life the shortcuts hold, as during that of what comes out of it."""

    def run_decompositions(
        self,
        decomp_table: dict[OperatorBase, Callable[..., Any]] | None = None,
        decompose_custom_triton_ops: bool = False,
    ) -> ExportedProgram:
        """Do as ``ExportedProgram`` does."""
        return hurried(super().run_decompositions(decomp_table, decompose_custom_triton_ops))


def _begin() -> None:
    global _users
    with _LOCK:
        _users += 1
        if _users == 1:
            for module in (decomp_utils, exported_program):
                _replace(module, "_collect_all_valid_cia_ops", _functional_composites)
            _replace(OperatorBase, "py_impl", _quick_py_impl)
            _replace(exported_program, _POPULATE.__name__, _quick_populate)
            _replace(backend_api, "is_param", _quick_is_param)
            if not hasattr(NodeSource, "__deepcopy__"):
                _replace(NodeSource, "__deepcopy__", _itself)
            _ends.enter_context(only_new_garbage())


def _end() -> None:
    global _users
    with _LOCK:
        _users -= 1
        if _users == 0:
            _ends.close()


def _replace(owner: Any, name: str, value: object) -> None:
    _ends.callback(_restore, owner, name, value, getattr(owner, name, None))
    setattr(owner, name, value)


def _restore(owner: Any, name: str, ours: object, before: object) -> None:
    """Put a value back, unless somebody else replaced ours: theirs may well call it."""
    if getattr(owner, name) is ours:
        if before is None:
            delattr(owner, name)
        else:
            setattr(owner, name, before)


def _quick_populate(metadata: dict[str, Any], module: GraphModule, signature: Any) -> None:
    """Do as torch does, which makes both tables of a signature anew for each input."""
    tables = SimpleNamespace(
        inputs_to_parameters=signature.inputs_to_parameters,
        inputs_to_buffers=signature.inputs_to_buffers,
    )
    _POPULATE(metadata, module, tables)


def _quick_is_param(program: ExportedProgram, node: Node) -> bool:
    """Whether a node is a parameter, without a table of all."""
    return any(
        each.arg.name == node.name
        and each.kind is InputKind.PARAMETER
        and isinstance(each.arg, TensorArgument)
        and isinstance(each.target, str)
        for each in program.graph_signature.input_specs
    )


def _itself(source: NodeSource, memo: Any) -> NodeSource:
    """Return what stands for a copy: nothing changes a source once it is made."""
    return source


def _functional_composites() -> set[OperatorBase]:
    """Return the functional composite ops of all namespaces; those of torch are asked for once."""
    utils._materialize_cpp_cia_ops()
    found = set(utils._collect_all_valid_cia_ops_for_aten_namespace())
    for name in torch.ops._dir:
        namespace = getattr(torch.ops, name)
        if name != "aten" and isinstance(namespace, torch._ops._OpNamespace):
            for packet in namespace:
                overloads = getattr(namespace, packet).op_overloads()
                found.update(filter(utils._is_preservable_cia_op, overloads))
    return found


def _quick_py_impl(op: OperatorBase, key: Any) -> Callable[[Any], Any]:
    """Return what enters a kernel into an op's table, without writing out its type."""

    def enter(kernel: Any) -> Any:
        if id(key) not in _KEYS or key in op.py_kernels:
            return _py_impl(op, key)(kernel)
        op.py_kernels[key] = kernel
        op._dispatch_cache.clear()
        return kernel

    return enter
