"""Which class ExecuTorch resolves the backend id ``CoreMLBackend`` to.

ExecuTorch looks a backend up by the ``__name__`` of the direct subclasses of ``BackendDetails``,
in one of two ways. ``to_backend(id, ...)``, and ``to_backend(program, partitioner)`` through it,
take the *first* class of that name; ``EdgeProgramManager.to_backend`` and
``to_edge_transform_and_lower`` take the *last*. executorch's own backend has the same name, since
the .pte names the delegate by it, so when both are imported one of them would be used for the
partitions of the other, silently.

Two measures prevent that:

* ``claim`` runs when our partitioner partitions. It moves our class to the end, where the second
  way finds it, and refuses when the first way is under way and would find another class.
* Our compile specs are ``OwnedSpecs``. When our class is handed others while another class of the
  name exists, the request came from another partitioner, and is refused.

Source: executorch 1.5.1 ``exir/backend/backend_api.py``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from types import FrameType

from executorch.exir import ExportedProgram
from executorch.exir.backend import backend_api
from executorch.exir.backend.backend_details import BackendDetails
from executorch.exir.backend.compile_spec_schema import CompileSpec

from etcoreml.errors import BackendConflictError


class OwnedSpecs(list[CompileSpec]):
    """Compile specs that came through our partitioner.

    Attributes:
        tell_target: Called with the specification version of each model that is made with them. A
            function, which is not copied where ExecuTorch copies the specs.
    """

    tell_target: Callable[[int], None] | None = None


def tell_target(compile_specs: object, spec_version: int) -> None:
    """Tell the partitioner, if there is one, for which systems a model was made."""
    if isinstance(compile_specs, OwnedSpecs) and compile_specs.tell_target is not None:
        compile_specs.tell_target(spec_version)


def candidates(name: str) -> list[type]:
    """Return the classes ExecuTorch may resolve ``name`` to, in its order."""
    return [each for each in BackendDetails.__subclasses__() if each.__name__ == name]


def claim(backend: type) -> None:
    """Make sure that the lowering under way resolves to ``backend``.

    Raises:
        BackendConflictError: Another class of the same name would be used.
    """
    rivals = candidates(backend.__name__)
    if rivals == [backend]:
        return
    first_wins = backend_api.to_backend.dispatch(ExportedProgram).__code__
    if any(frame.f_code is first_wins for frame in frames()):
        if rivals[0] is not backend:
            what = "to_backend(program, partitioner) takes the first class"
            raise _conflict(what, rivals)
        return
    # Assigning the bases enters the class into BackendDetails' list anew, at the end.
    backend.__bases__ = (BackendDetails,)
    rivals = candidates(backend.__name__)
    if rivals[-1] is not backend:
        what = "the class could not be moved to the end of the list"
        raise _conflict(what, rivals)


def check_owned(backend: type, compile_specs: Iterable[object]) -> None:
    """Refuse compile specs of another partitioner when another class may be meant.

    A caller who names the class itself, rather than ExecuTorch's search for it, means ours.

    Raises:
        BackendConflictError: As above.
    """
    rivals = candidates(backend.__name__)
    if len(rivals) == 1 or not any(
        frame.f_globals.get("__name__") == backend_api.__name__ for frame in frames()
    ):
        return
    if not all(isinstance(each, OwnedSpecs) for each in compile_specs):
        what = "a partitioner other than etcoreml.partition's asked for it"
        raise _conflict(what, rivals)


def frames() -> Iterator[FrameType]:
    """Yield the calls under way in this thread, the innermost first."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back


def _conflict(why: str, rivals: Iterable[type]) -> BackendConflictError:
    names = ", ".join(f"{each.__module__}.{each.__qualname__}" for each in rivals)
    what = f"lowering: several backend classes are named CoreMLBackend, and {why}"
    return BackendConflictError(
        what,
        found=names,
        expected="one class",
        hint="Lower with one backend per process, or use to_edge_transform_and_lower with "
        "etcoreml.partition.CoreMLPartitioner alone.",
    )
