"""A compiled function, and requests that run it.

Enters: NumPy arrays bound to inputs and outputs. Leaves: the outputs, written in place or viewed.

A session may be shared by threads; a request belongs to one thread at a time. Both survive
``os.fork()``, see ``fork.py``. State variables live in the request.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import openvino as ov

from etcoreml.engine.fork import is_child, protect
from etcoreml.engine.graph import writable_alias
from etcoreml.engine.scope import Labels
from etcoreml.errors import DtypeError, EngineError, ShapeError, UsageError
from etcoreml.mil.program import Array, Shape
from etcoreml.types import BY_NUMPY, DType

_OUT_OF_MEMORY = ("bad_alloc", "Failed to allocate", "not enough memory")


@dataclass(frozen=True)
class Port:
    """An input or output of a function.

    Attributes:
        name: MIL name.
        dtype: Element type at the border.
        shape: Sizes, None where they vary between calls.
        labels: Of a classifier's outputs: the array holds the number of one of these, if its
            shape is ``()``, or a probability for each.
    """

    name: str
    dtype: DType
    shape: Shape
    labels: Labels | None = None

    @property
    def is_static(self) -> bool:
        """Whether every dimension has one size."""
        return None not in self.shape

    def accepts(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of this shape fits."""
        return len(shape) == len(self.shape) and all(
            size is None or size == given for size, given in zip(self.shape, shape, strict=True)
        )

    def labelled(self, array: Array) -> Any:
        """Return what the array stands for: a label, a dictionary, or a copy of the array.

        Raises:
            ShapeError: A classifier of varying shape got another number of probabilities.
        """
        if self.labels is None:
            return array.copy()
        if array.ndim == 0 and int(array) < len(self.labels):
            return self.labels[int(array)]
        if array.shape != (len(self.labels),):
            raise ShapeError(
                f"the probabilities of {self.name!r} are not one for each label",
                found=f"label number {array}" if array.ndim == 0 else f"{array.size} of them",
                expected=f"{len(self.labels)} labels",
                hint="A classifier takes one sample at a time.",
            )
        return dict(zip(self.labels, array.tolist(), strict=True))

    def check(self, array: Array, what: str) -> None:
        """Refuse an array that does not fit.

        Raises:
            DtypeError, ShapeError: Naming the port, what was found and what was expected.
        """
        if array.dtype != self.dtype.storage:
            found = BY_NUMPY.get(array.dtype, array.dtype)
            raise DtypeError(f"{what} {self.name!r}", found=found, expected=self.dtype)
        if not self.accepts(array.shape):
            expected = tuple("?" if size is None else size for size in self.shape)
            raise ShapeError(
                f"{what} {self.name!r}",
                found=_shape_text(array.shape),
                expected=_shape_text(expected),
            )


def _shape_text(shape: tuple[object, ...]) -> str:
    return f"shape ({', '.join(map(str, shape))})"


class NodeTime(NamedTuple):
    """Time of one executed kernel; a tuple, as hundreds are made in each run that is followed.

    Attributes:
        name: MIL name, possibly with ``/<kind>``; key of ``Session.fused``.
        kind: OpenVINO's op type.
        kernel: The kernel that ran, e.g. ``brgconv_avx512_f32``.
        duration_ns: Time in nanoseconds (OpenVINO measures microseconds).
    """

    name: str
    kind: str
    kernel: str
    duration_ns: int


@dataclass(frozen=True)
class Kernel:
    """One node of the graph that OpenVINO executes.

    Attributes:
        name: As in ``NodeTime``.
        originals: Names of the translated nodes in it, as far as OpenVINO says.
        inputs: Names of the kernels whose results it reads.
    """

    name: str
    originals: tuple[str, ...]
    inputs: tuple[str, ...]


class Session:
    """A compiled function.

    Attributes:
        function: Its name in the program.
        devices: OpenVINO devices it runs on, the most preferred first.
        inputs: In the function's order.
        outputs: In the function's order.
        states: In the function's order.
        taps: Further outputs, after those of the function: MIL values asked for by name.
        profiling: Whether requests take times.
        hides_failures: Whether OpenVINO's synchronous run would not report a failure.
    """

    def __init__(
        self,
        compiled: ov.CompiledModel,
        *,
        function: str,
        devices: tuple[str, ...],
        inputs: tuple[Port, ...],
        outputs: tuple[Port, ...],
        states: tuple[Port, ...] = (),
        taps: tuple[Port, ...] = (),
        profiling: bool = False,
        hides_failures: bool = False,
        memory: object = None,
    ) -> None:
        self._compiled = compiled
        self._memory = memory
        self.profiling = profiling
        self.hides_failures = hides_failures
        self.function = function
        self.devices = devices
        self.inputs = inputs
        self.outputs = outputs
        self.states = states
        self.taps = taps
        self._lock = threading.Lock()
        self._own_request: Request | None = None
        protect(self)

    def create_request(self) -> Request:
        """Return a new request, with buffers and states of its own (about 0.3 ms)."""
        return Request(self._compiled, self)

    @functools.cached_property
    def kernels(self) -> tuple[Kernel, ...]:
        """What OpenVINO executes, in order. A fused kernel does not always name all it computes."""
        return tuple(
            Kernel(
                node.get_friendly_name(),
                _original_names(node),
                tuple(source.get_node().get_friendly_name() for source in node.input_values()),
            )
            for node in self._compiled.get_runtime_model().get_ordered_ops()
        )

    @functools.cached_property
    def fused(self) -> Mapping[str, tuple[str, ...]]:
        """Names of the translated nodes behind each executed kernel."""
        return {kernel.name: kernel.originals for kernel in self.kernels}

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Any]:
        """Run once with inputs by name; calls from several threads take turns.

        Args:
            inputs: One array for each input, of its exact dtype.

        Returns:
            Copies of the outputs by name; of a classifier, the label and the probabilities by
            label.

        Raises:
            UsageError: An input is missing or unknown.
            DtypeError, ShapeError: An input does not fit.
            EngineError: The run failed.
        """
        names = [port.name for port in self.inputs]
        if inputs.keys() != set(names):
            what = f"function {self.function!r} was called with other inputs than it has"
            raise UsageError(what, found=sorted(inputs), expected=names)
        with self._lock:
            if self._own_request is None:
                self._own_request = self.create_request()
            request = self._own_request
            for index, port in enumerate(self.inputs):
                array = np.asarray(inputs[port.name])
                port.check(array, "input")
                request.set_input(index, np.require(array, requirements="C"))
            try:
                request.infer()
            except RuntimeError as error:
                raise self.failure(error) from error
            return {
                port.name: port.labelled(request.output(index))
                for index, port in enumerate(self.outputs)
            }

    def failure(self, error: RuntimeError) -> EngineError:
        """Return what to raise instead of an exception of ``Request.infer``."""
        return run_failure(f"engine: function {self.function!r} failed while it ran", error)


def is_run_failure(error: BaseException) -> bool:
    """Whether an exception is OpenVINO's own: of a run, not of a defect in Python."""
    return isinstance(error, RuntimeError) and str(error).startswith("Exception from ")


def run_failure(what: str, error: BaseException) -> EngineError:
    """Return the error that says where in the program a run failed.

    Args:
        what: Failed, as a sentence.
        error: What ``Request.infer`` raised.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    place = next((line for line in lines if line.startswith("Node ")), "")
    hint = "An index may be out of range, or inputs may differ in a size they must share."
    if any(sign in str(error) for sign in _OUT_OF_MEMORY):
        hint = "This machine has too little memory for inputs of these sizes."
    found = ": ".join(filter(None, (place, lines[-1] if lines else type(error).__name__)))
    return EngineError(what, found=found, hint=hint)


class Request:
    """One execution context of a session.

    Attributes:
        infer: Runs with what is bound. Takes nothing, returns nothing of use; an attribute, not
            a method, so that a call costs no Python frame. A caller turns its RuntimeError into
            that of ``Session.failure``.
    """

    infer: Callable[[], object]

    def __init__(self, compiled: ov.CompiledModel, session: Session) -> None:
        self._session = session
        self._inputs = session.inputs
        self._outputs = session.outputs
        self._raw: Any = compiled.create_infer_request()
        self._kernels: list[tuple[str, str, str] | None] = []
        self._own_inputs: dict[int, ov.Tensor] = {}
        self._own_outputs: dict[int, ov.Tensor] = {}
        self._bound: dict[tuple[str, int], ov.Tensor] = {}
        # The base class's infer skips the wrapper's dispatch over forms of input (8 us, not 13).
        base: Any = super(ov.InferRequest, self._raw)
        run = functools.partial(base.infer, {}, True, False)
        self.infer = _reported(run, base) if session.hides_failures else run
        # Kept without this request, it still needs the session's memory, and the arrays.
        vars(self.infer).update(session=session, bound=self._bound)
        protect(self)

    def set_input(self, index: int, array: Array) -> None:
        """Read an input from ``array`` from now on, without a copy.

        Args:
            index: Position among the session's inputs.
            array: C-contiguous, of the port's exact dtype and a shape it accepts. It may be
                read-only. The request keeps it alive; its contents are read by each ``infer``.

        Raises:
            DtypeError, ShapeError: The array does not fit or is not C-contiguous.
        """
        tensor = self._tensor(self._inputs[index], array, "input", index)
        if index not in self._own_inputs:
            self._own_inputs[index] = self._raw.get_input_tensor(index)
        self._raw.set_input_tensor(index, tensor)

    def release_inputs(self) -> None:
        """Let go of all arrays that inputs are read from; the next ``infer`` needs new ones."""
        for index, own in self._own_inputs.items():
            if self._bound.pop(("input", index), None) is not None:
                self._raw.set_input_tensor(index, own)

    def set_output(self, index: int, array: Array) -> None:
        """Write an output to ``array`` from now on, without a copy.

        Args:
            index: Position among the session's outputs, whose shape must be static.
            array: C-contiguous, writable, of the port's exact dtype and shape. The request keeps
                it alive.

        Raises:
            DtypeError, ShapeError: The array does not fit, is not C-contiguous, or the output's
                shape varies.
        """
        port = self._outputs[index]
        if not port.is_static:
            what = f"output {port.name!r} varies in shape and cannot be bound"
            raise ShapeError(what, found=port.shape, hint="Read it with output(index) instead.")
        if not array.flags.writeable:
            what = f"output {port.name!r} cannot be bound to a read-only array"
            raise UsageError(what)
        tensor = self._tensor(port, array, "output", index)
        if index not in self._own_outputs:
            self._own_outputs[index] = self._raw.get_output_tensor(index)
        self._raw.set_output_tensor(index, tensor)

    def release_output(self, index: int) -> None:
        """Write an output to memory of the request's own again."""
        own = self._own_outputs.pop(index, None)
        if own is not None:
            self._raw.set_output_tensor(index, own)
            self._bound.pop(("output", index), None)

    def output(self, index: int) -> Array:
        """Return a view of an output; the next ``infer`` overwrites it or moves it elsewhere."""
        array: Array = self._raw.get_output_tensor(index).data
        return array

    def reset_states(self) -> None:
        """Set every state variable to zeros."""
        self._raw.reset_state()

    def read_state(self, index: int) -> Array:
        """Return a copy of a state, of the port's dtype; zeros before the first write."""
        port = self._session.states[index]
        variable = self._variable(port.name)
        if variable is None:
            return np.zeros([size or 0 for size in port.shape], port.dtype.storage)
        with np.errstate(over="ignore"):
            return np.array(variable.state.data, port.dtype.storage)

    def write_state(self, index: int, array: Array) -> None:
        """Set a state to a copy of ``array``.

        Args:
            index: Position among the session's states.
            array: Of the port's exact dtype and shape.

        Raises:
            DtypeError, ShapeError: The array does not fit.
        """
        port = self._session.states[index]
        port.check(array, "state")
        variable = self._variable(port.name)
        if variable is not None:
            carried = np.array(array, variable.state.data.dtype, order="C")
            variable.state = ov.Tensor(carried)

    def _variable(self, name: str) -> Any:
        """Return OpenVINO's variable; None of a state that no operation reads."""
        return next((each for each in self._raw.query_state() if each.name == name), None)

    def profile(self) -> tuple[NodeTime, ...]:
        """Return the times of the last run, in execution order.

        Raises:
            EngineError: The function was compiled without ``profiling``.
        """
        if not self._session.profiling:
            what = "engine: no times were taken"
            raise EngineError(what, hint="Compile with profiling=True.")
        # To ask OpenVINO for names and states takes longer than to ask for times.
        rows = self._raw.profiling_info
        if len(self._kernels) != len(rows):
            self._kernels = [None] * len(rows)
        times = []
        for index, row in enumerate(rows):
            kernel = self._kernels[index]
            if kernel is None:
                if row.status != ov.ProfilingInfo.Status.EXECUTED:
                    continue
                kernel = self._kernels[index] = (row.node_name, row.node_type, row.exec_type)
            times.append(NodeTime(*kernel, round(row.real_time.total_seconds() * 1e9)))
        return tuple(times)

    def _tensor(self, port: Port, array: Array, kind: str, index: int) -> ov.Tensor:
        port.check(array, kind)
        if not array.flags.c_contiguous:
            raise ShapeError(f"{kind} {port.name!r} is not C-contiguous", found=array.strides)
        tensor = ov.Tensor(writable_alias(array), shared_memory=True)
        self._bound[kind, index] = tensor
        return tensor


def _reported(run: Callable[[], object], base: Any) -> Callable[[], object]:
    """Return a run that reports its failures, at 3 us; a forked child has only the other."""
    start, wait = functools.partial(base.start_async, {}, None), base.wait

    def infer() -> None:
        if is_child():
            run()
        else:
            start()
            wait()

    return infer


def _original_names(node: ov.Node) -> tuple[str, ...]:
    info = node.get_rt_info()
    names = str(info["originalLayersNames"].value) if "originalLayersNames" in info else ""
    return tuple(name for name in names.split(",") if name)
