"""What a translator may ask about the operation it builds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openvino import Type

from etcoreml.engine.dtypes import compute_type
from etcoreml.errors import UnsupportedOpError
from etcoreml.mil.program import Constant, Operation, TensorType

if TYPE_CHECKING:
    from etcoreml.engine.scope import Scope


class Context:
    """One operation being translated.

    Attributes:
        operation: The MIL operation.
        scope: The values visible to it.
    """

    def __init__(self, operation: Operation, scope: Scope) -> None:
        self.operation = operation
        self.scope = scope

    @property
    def label(self) -> str:
        """The operation by name, for messages."""
        name = self.operation.outputs[0].name if self.operation.outputs else self.operation.name
        return f"engine: MIL op {self.operation.type!r} ({name})"

    @property
    def ios(self) -> int:
        """The opset as a release of iOS: 15 for ``CoreML5`` to 18 for ``CoreML8``."""
        return self.scope.translation.ios

    def constant(self, name: str) -> Constant | None:
        """Return an operand as the program stores it; None if it is computed or absent."""
        operands = self.operation.inputs.get(name, ())
        if len(operands) != 1:
            return None
        (operand,) = operands
        value = self.scope.resolve(operand) if isinstance(operand, str) else operand
        return value if isinstance(value, Constant) else None

    @property
    def is_faithful(self) -> bool:
        """Whether fp16 results must be those of exact arithmetic, rounded."""
        return (
            self.scope.translation.numerics == "faithful" and self.declared().dtype.name == "fp16"
        )

    def declared(self, index: int = 0) -> TensorType:
        """Return the declared type of an output.

        Raises:
            UnsupportedOpError: It is not a tensor.
        """
        type_ = self.operation.outputs[index].type
        if isinstance(type_, TensorType):
            return type_
        raise UnsupportedOpError(f"{self.label} returns no tensor", found=type_)

    def element_type(self, index: int = 0) -> Type:
        """Return the OpenVINO type in which an output is computed."""
        return compute_type(self.declared(index).dtype)

    def unsupported(self, parameter: str, value: object, accepted: object) -> UnsupportedOpError:
        """Return the error for a parameter value that this translator cannot build."""
        return UnsupportedOpError(
            f"{self.label}: parameter {parameter!r} has a value the portable engine cannot run",
            found=value,
            expected=accepted,
        )

    def one_of(self, parameter: str, value: str, accepted: tuple[str, ...]) -> str:
        """Return ``value`` if it is accepted.

        Raises:
            UnsupportedOpError: It is not.
        """
        if value in accepted:
            return value
        raise self.unsupported(parameter, value, accepted)
