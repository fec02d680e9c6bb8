"""The program facade: a .pte loaded by the stock ExecuTorch runtime, with errors that say why.

``executorch.runtime.Runtime`` runs the same file unchanged; this facade adds what it leaves out:
the delegate's own exceptions, checked inputs, NumPy arrays, and a lock.
"""

from __future__ import annotations

import io
import os
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

import etcoreml
from etcoreml.choices import Numerics
from etcoreml.errors import DtypeError, ProgramError, ShapeError, UsageError
from etcoreml.imports import quiet_imports
from etcoreml.runtime import faults
from etcoreml.runtime.etdump import checked_etdump, write_etdump
from etcoreml.runtime.load_options import checked_options, handed_over
from etcoreml.runtime.pte import MethodInfo, PteTensor, parse_signatures

with quiet_imports():
    from executorch.runtime import Runtime

_programs: weakref.WeakSet[Program] = weakref.WeakSet()


def _after_fork() -> None:
    """Make the inherited programs usable in a forked child."""
    # torch's OpenMP threads do not survive a fork, and the runtime copies large outputs with torch:
    # the child would wait for them forever. torch's own DataLoader does the same in its workers.
    torch.set_num_threads(1)
    for program in _programs:
        program._renew_lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


class Program:
    """A loaded .pte. Made by `load`.

    Threads may share a program: calls wait for one another, since the methods of an ExecuTorch
    program share memory. For parallel calls, load the program once per thread.
    """

    def __init__(
        self,
        open_program: Callable[[], Any],
        source: str,
        methods: Sequence[MethodInfo],
        options: Mapping[str, object],
    ) -> None:
        self._open = open_program
        self._source = source
        self._options = options
        self._methods: dict[str, Any] = {}
        self._infos = MappingProxyType({method.name: method for method in methods})
        # One that no method is of any more goes, and the methods that were loaded from it.
        self._programs = dict.fromkeys(self._infos, open_program())
        self._renew_lock()
        _programs.add(self)

    def _renew_lock(self) -> None:
        # A lock that another thread of the parent held would stay locked in the child.
        self._lock = threading.RLock()

    def __repr__(self) -> str:
        return f"<etcoreml.Program {self._source}: {', '.join(self.methods)}>"

    @property
    def methods(self) -> Mapping[str, MethodInfo]:
        """The methods by name, with the shapes and dtypes they take and return."""
        return self._infos

    def forward(self, *inputs: Any) -> list[Any]:
        """Run the method ``forward``; see `run`."""
        return self.run("forward", inputs)

    def run(self, name: str, inputs: Sequence[Any]) -> list[Any]:
        """Run one method.

        Args:
            name: The method.
            inputs: Its inputs in order: torch tensors, NumPy arrays, or Python numbers where the
                model was exported with numbers.

        Returns:
            The outputs in order, as torch tensors that own their memory.

        Raises:
            ProgramError: There is no such method, or the runtime refuses to run it.
            ShapeError: An input does not have the declared shape.
            DtypeError: An input does not have the declared dtype.
            EtCoreMLError: Whatever else the delegate raised, with its own message.
        """
        with self._lock:
            method = self._load(name)
            values = _check_inputs(self._infos[name], inputs)
            with _surfaced(f"method '{name}' of {self._source} failed"):
                return list(method.execute(values))

    def reset(self, *names: str) -> None:
        """Forget what methods remember between calls: they start again as they were exported.

        Core ML state and mutable buffers live as long as the loaded method, which is loaded anew at
        its next call. ExecuTorch keeps a method as long as its program: it is opened once more, and
        the old one is let go when all of its methods were reset.

        Args:
            names: The methods; all of them if none is named.

        Raises:
            ProgramError: There is no such method.
        """
        with self._lock:
            for name in names:
                self._check(name)
            with _surfaced(f"{self._source} cannot be loaded", _DAMAGED):
                program = self._open()
            for name in names or self._infos:
                self._methods.pop(name, None)
                self._programs[name] = program

    def write_etdump_result_to_file(
        self,
        etdump_path: str | os.PathLike[str],
        debug_buffer_path: str | os.PathLike[str] | None = None,
    ) -> None:
        """Write what the runs since then left in the ETDump, and begin a new one.

        Args:
            etdump_path: For the events; see docs/profiling.md.
            debug_buffer_path: For the values; None leaves them out.

        Raises:
            ProgramError: The program was loaded without ``enable_etdump``, or nothing ran.
            UsageError: A file cannot be written. Neither is changed then.
        """
        with self._lock:
            # A reset program begins a new ETDump; that of methods which were not reset is older.
            program = next(reversed(self._programs.values()))
            write_etdump(program, etdump_path, debug_buffer_path, self._source)

    def load(self, name: str) -> None:
        """Load a method now rather than at its first call.

        Raises:
            ProgramError: There is no such method, or the runtime cannot load it.
            EtCoreMLError: Whatever else the delegate raised, with its own message.
        """
        with self._lock:
            self._load(name)

    def _check(self, name: str) -> None:
        if name not in self._infos:
            raise ProgramError(
                f"{self._source} has no method '{name}'", expected=", ".join(self._infos)
            )

    def _load(self, name: str) -> Any:
        self._check(name)
        if name not in self._methods:
            with (
                _surfaced(f"method '{name}' of {self._source} cannot be loaded"),
                handed_over(self._options),
            ):
                self._methods[name] = self._programs[name].load_method(name)
        return self._methods[name]


def load(
    source: str | os.PathLike[str] | bytes | bytearray | memoryview,
    *,
    compute_unit: object = None,
    cache_dir: str | os.PathLike[str] | None = None,
    numerics: Numerics | None = None,
    enable_etdump: bool = False,
    debug_buffer_size: int = 0,
    intermediate_outputs: bool = True,
) -> Program:
    """Load a .pte into the stock ExecuTorch runtime.

    Args:
        source: Path of the file, or its bytes.
        compute_unit: Where its delegates run, in place of what they were lowered with: a
            `ComputeUnit`, coremltools' own, or ``all``, ``cpu_only``, ``cpu_and_gpu``,
            ``cpu_and_ne``.
        cache_dir: Where compiled models are kept, in place of what ``ETCOREML_CACHE_DIR`` says;
            ``""`` for nowhere.
        numerics: How delegates compute here: ``fast`` (fp16 weights, f32 arithmetic), the default;
            ``faithful`` (every fp16 value is rounded) or ``turbo`` (bf16 where the CPU has it).
        enable_etdump: Whether runs are recorded, for `Program.write_etdump_result_to_file`.
        debug_buffer_size: Bytes for the values of all runs until they are written; 0 keeps none.
        intermediate_outputs: Whether the values of a delegate's operations are among them.

    Returns:
        The program. Its methods are compiled when they are first run, or by `Program.load`.

    Raises:
        ProgramError: The file does not exist or is not a .pte that this runtime reads.
        BridgeError: The delegate could not be registered in this process.
        FeatureTypeError, OptionError: An option has no such value, or cannot be had here.
    """
    if etcoreml.bridge.error is not None:
        raise etcoreml.bridge.error
    options = dict(checked_options(compute_unit, cache_dir, numerics))
    etdump = checked_etdump(enable_etdump, debug_buffer_size)
    if enable_etdump:
        options["intermediate_outputs"] = intermediate_outputs
    if isinstance(source, (bytes, bytearray, memoryview)):
        data: bytes | Path = bytes(source)
        name = f"a program of {len(source)} bytes"
        methods = parse_signatures(io.BytesIO(source), name)
    elif isinstance(source, (str, os.PathLike)):
        path = Path(source)
        data = path.absolute()  # it is opened again, maybe from another working directory
        name = f"'{path}'"
        try:
            with path.open("rb") as file:
                methods = parse_signatures(file, name)
        except OSError as error:
            raise ProgramError(f"cannot read {name}: {error.strerror}") from error
    else:
        raise UsageError(
            "load() takes a path or bytes", found=type(source).__name__, expected="str or bytes"
        )
    with _surfaced(f"{name} cannot be loaded", _DAMAGED):
        return Program(lambda: Runtime.get().load_program(data, **etdump), name, methods, options)


_LOGGED = "The runtime logs its reason to standard error."
_DAMAGED = f"{_LOGGED} A truncated or damaged file is the usual one: export it again."


class _surfaced:  # noqa: N801 -- reads as a verb where it is used
    """Replace the runtime's error number by the delegate's exception, if it raised one."""

    def __init__(self, what: str, hint: str = _LOGGED) -> None:
        self._what = what
        self._hint = hint

    def __enter__(self) -> None:
        faults.take()

    def __exit__(self, kind: Any, error: BaseException | None, traceback: Any) -> None:
        if isinstance(error, RuntimeError):
            fault = faults.take()
            if fault is not None:
                raise fault from fault.__cause__
            raise ProgramError(
                self._what,
                found=str(error),
                hint=self._hint,
            ) from error


def _check_inputs(method: MethodInfo, inputs: Sequence[Any]) -> list[Any]:
    if len(inputs) != len(method.inputs):
        raise ShapeError(
            f"method '{method.name}' was called with the wrong number of inputs",
            found=len(inputs),
            expected=len(method.inputs),
        )
    return [
        _check_input(f"input {i} of method '{method.name}'", value, info)
        for i, (value, info) in enumerate(zip(inputs, method.inputs, strict=True))
    ]


def _check_input(what: str, value: Any, info: PteTensor) -> Any:
    if isinstance(value, (np.ndarray, np.generic)):
        value = torch.from_numpy(np.array(value, order="C"))
    if isinstance(value, torch.Tensor) != (info.kind == "tensor"):
        raise DtypeError(
            f"{what} has the wrong type",
            found=f"{type(value).__name__}",
            expected="a tensor" if info.kind == "tensor" else f"a Python {info.kind}",
        )
    if not isinstance(value, torch.Tensor):
        return value
    dtype = str(value.dtype).removeprefix("torch.")
    if dtype != info.dtype:
        raise DtypeError(f"{what} has the wrong dtype", found=dtype, expected=info.dtype)
    shape = tuple(value.shape)
    fits = len(shape) == len(info.shape) and all(
        given <= size if info.dynamic else given == size
        for given, size in zip(shape, info.shape, strict=True)
    )
    if not fits:
        raise ShapeError(f"{what} has the wrong shape", found=shape, expected=info)
    return in_memory_order(value, info.dim_order)


def in_memory_order(value: torch.Tensor, dim_order: tuple[int, ...]) -> torch.Tensor:
    """Lay the elements out as the program was planned: the runtime copies bytes unseen."""
    if dim_order == (0, 2, 3, 1):
        return value.contiguous(memory_format=torch.channels_last)
    return value.contiguous()
