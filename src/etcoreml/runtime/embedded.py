"""The functions of Core ML models that a .pte's delegates call.

Enters: a parsed .pte. Leaves: for each Core ML delegate with a model in it, the function it means.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from etcoreml.blob import Directory
from etcoreml.mil import load_package
from etcoreml.mil.program import Function, MilProgram, Signature
from etcoreml.runtime.payload import open_payload
from etcoreml.runtime.pte import PteDelegate, PteMethod, PteProgram


@dataclass(frozen=True, eq=False)
class EmbeddedFunction:
    """What a delegate calls.

    Attributes:
        directory: The model's folder.
        model: The model.
        function: Its function.
    """

    directory: Directory
    model: MilProgram
    function: Function

    @property
    def signature(self) -> Signature | None:
        """The function's interface, as the model describes it."""
        return self.model.signatures.get(self.function.name)


def embedded_function(delegate: PteDelegate, program: PteProgram) -> EmbeddedFunction | None:
    """Return what a Core ML delegate calls; None if its payload holds no model.

    Raises:
        BlobError, ModelError: The payload or its model is damaged.
    """
    payload = open_payload(delegate.payload, program.named_data)
    if payload.model is None:
        return None
    model = load_package(payload.model)
    return EmbeddedFunction(payload.model, model, model.function(payload.function))


def embedded_functions(program: PteProgram) -> Iterator[tuple[PteMethod, int, EmbeddedFunction]]:
    """Yield the methods, the numbers of their Core ML delegates, and what these call.

    Raises:
        BlobError, ModelError: As `embedded_function`.
    """
    for method in program.methods:
        for index, delegate in enumerate(method.delegates):
            found = embedded_function(delegate, program) if delegate.is_core_ml else None
            if found is not None:
                yield method, index, found
