"""Enumerated shapes: the closed list of shapes that dynamic inputs of a model take.

What enters is an exported program with symbolic dimensions and, per input, a list of shapes; what
leaves is a table from *symbolic shape* to those shapes. A lowered partition names its inputs anew
but keeps the symbols, so the symbolic shape is what finds an input again.

JSON, as in the compile spec ``enumerated_shapes``, one entry per distinct symbolic shape::

    [[{"shape": [1, {"key_name": "s0", "low": 1, "high": 8}]}, [[[1, 4], [1, 8]], ["x"]]], ...]
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from etcoreml.errors import CompileSpecError

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Symbol:
    """A symbolic dimension.

    Attributes:
        name: The symbol's name in the exported program, e.g. ``s0``.
        low: Smallest value, or None when unbounded.
        high: Largest value, or None when unbounded.
    """

    name: str
    low: int | None
    high: int | None

    def admits(self, size: int) -> bool:
        """Whether ``size`` lies within the bounds.

        torch.export raises a lower bound of 1 to 2, so 1 is admitted where 2 is the bound.
        """
        if self.low is not None and size < self.low and not (size == 1 and self.low == 2):
            return False
        return self.high is None or size <= self.high


SymbolicShape = tuple["int | Symbol", ...]


@dataclass(frozen=True)
class EnumeratedShapes:
    """Shapes by symbolic shape.

    Attributes:
        shapes: Symbolic shape to the shapes it takes, in the order the user gave them. Entry n of
            every list belongs together: the n-th shapes of all inputs form one call.
        inputs: Symbolic shape to the names of the inputs that have it.
    """

    shapes: Mapping[SymbolicShape, tuple[Shape, ...]]
    inputs: Mapping[SymbolicShape, tuple[str, ...]]

    @classmethod
    def from_exported_program(
        cls, program: Any, shapes: Mapping[str, Sequence[Sequence[int]]]
    ) -> EnumeratedShapes:
        """Match the shapes a user lists per input with the program's symbolic inputs.

        Args:
            program: A ``torch.export.ExportedProgram`` with dynamic shapes.
            shapes: Input name to its shapes. Every dynamic input needs an entry, and all entries
                the same number of shapes (at least two).

        Raises:
            CompileSpecError: An entry is missing, contradicts the program, or another entry.
        """
        dynamic = {
            name: symbols
            for name, symbols in symbolic_inputs(program)
            if any(isinstance(size, Symbol) for size in symbols)
        }
        _check_entries(shapes, dynamic)
        by_symbols: dict[SymbolicShape, tuple[Shape, ...]] = {}
        names: dict[SymbolicShape, tuple[str, ...]] = {}
        for name, symbols in dynamic.items():
            listed = tuple(_check_shape(name, symbols, shape) for shape in shapes[name])
            if by_symbols.setdefault(symbols, listed) != listed:
                what = (
                    f"enumerated shapes of {name}: {names[symbols][0]} has the same symbolic shape"
                )
                raise CompileSpecError(
                    what,
                    found="other shapes for it",
                    hint="Export the two inputs with different symbols.",
                )
            names[symbols] = (*names.get(symbols, ()), name)
        return cls(by_symbols, names)

    def to_json(self) -> str:
        """Return the text of the compile spec."""
        return json.dumps(
            [
                [{"shape": [_size_to_json(size) for size in key]}, [listed, self.inputs[key]]]
                for key, listed in self.shapes.items()
            ]
        )

    @classmethod
    def from_json(cls, text: str) -> EnumeratedShapes:
        """Return the table written by ``to_json``; any exception means another format."""
        shapes: dict[SymbolicShape, tuple[Shape, ...]] = {}
        inputs: dict[SymbolicShape, tuple[str, ...]] = {}
        for entry, (listed, names) in json.loads(text):
            key = tuple(_size_from_json(size) for size in entry["shape"])
            shapes[key] = tuple(tuple(int(size) for size in shape) for shape in listed)
            inputs[key] = tuple(names)
        return cls(shapes, inputs)

    def of(self, symbols: SymbolicShape) -> tuple[Shape, ...]:
        """Return the shapes of an input by its symbolic shape.

        Raises:
            CompileSpecError: No entry has this symbolic shape.
        """
        found = [each for key, each in self.shapes.items() if _raised(key) == _raised(symbols)]
        if not found:
            what = "enumerated shapes: no entry for an input of the delegate"
            raise CompileSpecError(
                what,
                found=str(symbols),
                expected=" or ".join(str(key) for key in self.shapes),
                hint="Generate the compile spec from the program that is lowered.",
            )
        return found[0]


def _raised(symbols: SymbolicShape) -> SymbolicShape:
    """Return a shape whose lower bounds are at least 2, as torch may or may not have them."""
    return tuple(
        Symbol(size.name, max(size.low or 0, 2), size.high) if isinstance(size, Symbol) else size
        for size in symbols
    )


def symbolic_inputs(program: Any) -> Iterator[tuple[str, SymbolicShape]]:
    """Yield the name and symbolic shape of every user input of an exported program."""
    wanted = set(program.graph_signature.user_inputs)
    for node in program.graph.nodes:
        if node.op == "placeholder" and node.name in wanted:
            yield node.name, symbolic_shape(node.meta["val"].shape, program.range_constraints)


def symbolic_shape(shape: Sequence[Any], range_constraints: Mapping[Any, Any]) -> SymbolicShape:
    """Return a shape whose symbolic sizes carry the bounds of ``range_constraints``."""
    bounds = {str(symbol): (each.lower, each.upper) for symbol, each in range_constraints.items()}
    return tuple(
        size
        if isinstance(size, int)
        else Symbol(str(size), *(_bound(value) for value in bounds.get(str(size), (None, None))))
        for size in shape
    )


def _bound(value: Any) -> int | None:
    """Return a bound as int, or None for an infinity in any of sympy's spellings."""
    try:
        return int(value)
    except (TypeError, ValueError, OverflowError):
        return None


def _check_entries(
    shapes: Mapping[str, Sequence[Sequence[int]]], dynamic: Mapping[str, Any]
) -> None:
    """Refuse missing or needless entries and entries of different lengths."""
    if set(shapes) != set(dynamic):
        what = "enumerated shapes: an entry per dynamic input is needed"
        raise CompileSpecError(
            what,
            found=", ".join(sorted(shapes)) or "none",
            expected=", ".join(sorted(dynamic)) or "none, as no input is dynamic",
        )
    counts = {name: len(listed) for name, listed in shapes.items()}
    if len(set(counts.values())) > 1 or min(counts.values(), default=2) < 2:
        what = "enumerated shapes: every input needs the same number of shapes, at least two"
        raise CompileSpecError(
            what,
            found=", ".join(f"{name}: {count}" for name, count in sorted(counts.items())),
        )


def _check_shape(name: str, symbols: SymbolicShape, shape: Sequence[int]) -> Shape:
    """Return one listed shape as a tuple, refusing what the symbolic shape does not admit."""
    fits = len(shape) == len(symbols) and all(
        isinstance(size, int)
        and size >= 1
        and (symbol.admits(size) if isinstance(symbol, Symbol) else symbol == size)
        for size, symbol in zip(shape, symbols, strict=True)
    )
    if not fits:
        what = f"enumerated shapes of {name}: not a shape of this input"
        raise CompileSpecError(
            what,
            found=list(shape),
            expected=[
                f"{size.name} in [{size.low}, {size.high}]" if isinstance(size, Symbol) else size
                for size in symbols
            ],
        )
    return tuple(shape)


def _size_to_json(size: int | Symbol) -> int | dict[str, Any]:
    if isinstance(size, int):
        return size
    return {"key_name": size.name, "low": size.low, "high": size.high}


def _size_from_json(size: int | dict[str, Any]) -> int | Symbol:
    if isinstance(size, int):
        return size
    return Symbol(size["key_name"], size["low"], size["high"])
