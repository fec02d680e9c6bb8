"""Numbers that follow from integers alone, and have to be exact: positions.

A model in fp16 would find the bucket of a distance by a logarithm of three digits, and turn the
2049th token by the angle of the 2048th. PyTorch computes such numbers in fp32 in a model in fp16,
too; so they are computed in fp32 here, up to where they are an integer again, a truth value, a sine
or a cosine. What meets activations on the way, e.g. a mask, is left as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum, auto

from torch import Tensor
from torch.export import ExportedProgram
from torch.fx import Node

from etcoreml.compiler.decompositions import CASTS
from etcoreml.compiler.names import op_name
from etcoreml.compiler.placeholders import constant_names


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SINKS = _names("sin cos tan floor ceil round trunc frac")
_COMPARISONS = _names("eq ne lt le gt ge")
_ARITHMETIC = _names(
    "abs neg add sub rsub mul div pow square sqrt rsqrt reciprocal exp exp2 log log2 log10 log1p "
    "minimum maximum clamp clamp_min clamp_max where remainder fmod"
)
_MADE = _names("arange full full_like zeros ones zeros_like ones_like scalar_tensor")
_MOVED = _names(
    "view view_copy reshape expand expand_copy unsqueeze unsqueeze_copy squeeze squeeze_copy "
    "permute permute_copy transpose transpose_copy t_copy cat stack slice slice_copy select "
    "select_copy clone alias alias_copy lift_fresh_copy"
)
_PRODUCTS = _names("mm bmm matmul")
_THROUGH = _SINKS | _ARITHMETIC | _MADE | _MOVED


class _Kind(Enum):
    INTEGER = auto()
    CONSTANT = auto()
    POSITION = auto()
    OTHER = auto()


def positions(program: ExportedProgram) -> frozenset[str]:
    """Return the names of the nodes that compute floats from integers, and for what is exact.

    Args:
        program: A partition, or any program in ATen or edge dialect.
    """
    constants = constant_names(program)
    kinds: dict[Node, _Kind] = {}
    found: set[Node] = set()
    for node in program.graph.nodes:
        kinds[node] = _kind(node, kinds, constants)
        if _is_exact(node, kinds[node]):
            reached = [each for each in node.all_input_nodes if kinds[each] is _Kind.POSITION]
            if reached or kinds[node] is _Kind.POSITION:
                found.add(node)
                _walk(reached, kinds, found)
    return frozenset(node.name for node in found)


def _base(node: Node) -> str:
    """Return the name of a node's op without namespace and overload."""
    name = op_name(node)
    return "to" if name in CASTS else name.split(".")[1] if name.count(".") > 1 else name


def _kind(node: Node, kinds: dict[Node, _Kind], constants: frozenset[str]) -> _Kind:
    value = node.meta.get("val")
    if not isinstance(value, Tensor) or not value.dtype.is_floating_point:
        return _Kind.INTEGER if not isinstance(value, (list, tuple)) else _Kind.OTHER
    if node.op != "call_function":
        return _Kind.CONSTANT if node.name in constants else _Kind.OTHER
    base = _base(node)
    if not (base in _THROUGH or base == "to" or (base in _PRODUCTS and _is_outer(node))):
        return _Kind.OTHER
    given = {kinds[each] for each in node.all_input_nodes}
    if _Kind.OTHER in given:
        return _Kind.OTHER
    return _Kind.POSITION if given - {_Kind.CONSTANT} else _Kind.CONSTANT


def _is_outer(node: Node) -> bool:
    """Whether a product of matrices adds nothing up, as of positions and frequencies."""
    return bool(node.args[0].meta["val"].shape[-1] == 1)


def _is_exact(node: Node, kind: _Kind) -> bool:
    """Whether a small error of what a node reads would be a large one of its result."""
    if node.op != "call_function":
        return False
    base = _base(node)
    return base in _SINKS or base in _COMPARISONS or (base == "to" and kind is _Kind.INTEGER)


def _walk(nodes: Iterable[Node], kinds: dict[Node, _Kind], found: set[Node]) -> None:
    """Add nodes and the positions that they are computed from."""
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += (each for each in node.all_input_nodes if kinds[each] is _Kind.POSITION)
