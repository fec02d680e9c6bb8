"""Programs by hand, with what lowering a small model does not give: numbers, memory orders."""

from __future__ import annotations

from etcoreml.deploy.app.model import AppMethod, AppModel, AppValue
from etcoreml.runtime.pte import PteTensor
from etcoreml.targets import TARGETS


def tensor(
    name: str, dtype: str, *shape: int, dim_order: tuple[int, ...] | None = None
) -> AppValue:
    order = tuple(range(len(shape))) if dim_order is None else dim_order
    return AppValue(name, name, PteTensor("tensor", shape, dtype, dim_order=order))


def number(name: str, kind: str) -> AppValue:
    return AppValue(name, None, PteTensor(kind))


def program(inputs: list[AppValue], outputs: list[AppValue]) -> AppModel:
    method = AppMethod("forward", tuple(inputs), tuple(outputs))
    return AppModel(b"a program", (method,), TARGETS[0], ("CoreMLBackend",), ())


EVERY_DTYPE = [
    tensor(dtype, dtype, 2, 3)
    for dtype in (
        *("float32", "float16", "float64", "int64", "int32", "int16", "int8", "uint8", "bool"),
    )
]
NUMBERS = [number("steps", "int"), number("scale", "double"), number("flag", "bool")]
