"""Sizes that vary in the program of the user and no longer do when it is partitioned.

torch and ExecuTorch fix a size where something asks for its value, and say nothing: the program
that comes out refuses every other size at run time. What enters is the program before; what leaves
is a sentence for each size that was fixed since.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch.export import ExportedProgram


@dataclass(frozen=True)
class _Size:
    name: str
    axis: int
    shape_env: Any
    expression: Any
    text: str


class VaryingSizes:
    """Remembers the sizes of inputs that vary."""

    def __init__(self) -> None:
        self._sizes: list[_Size] = []

    def remember(self, program: ExportedProgram) -> None:
        """Keep the sizes that vary in a program in ATen dialect."""
        wanted = set(program.graph_signature.user_inputs)
        for node in program.graph.find_nodes(op="placeholder"):
            shape = getattr(node.meta.get("val"), "shape", ()) if node.name in wanted else ()
            for axis, size in enumerate(shape):
                if not isinstance(size, int):
                    inner = size.node
                    self._sizes.append(
                        _Size(node.name, axis, inner.shape_env, inner.expr, str(size))
                    )

    def fixed(self) -> Iterator[str]:
        """Yield a sentence for each size that was fixed since it was remembered, once."""
        sizes, self._sizes = self._sizes, []
        for size in sizes:
            value = size.shape_env.replace(size.expression)
            if value.is_number:
                yield (
                    f"dimension {size.axis} of input {size.name!r} varies ({size.text}), but was "
                    f"fixed to {value} while the program was decomposed: the lowered program takes "
                    "no other size. An op that returns a list of tensors whose first size varies "
                    "does that; slices in its place do not"
                )
            else:
                self._sizes.append(size)
