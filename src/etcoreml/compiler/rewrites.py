"""Rewrites of a partition before coremltools converts it."""

from __future__ import annotations

from torch.export import ExportedProgram

# Converters that count arguments, where torch.export leaves trailing defaults out. coremltools 9.0.
_COUNTED = frozenset(
    {
        "aten::max_pool1d",
        "aten::max_pool2d",
        "aten::max_pool3d",
        "aten::max_pool2d_with_indices",
        "aten::max_pool3d_with_indices",
    }
)


def fill_defaults(program: ExportedProgram) -> None:
    """Write out the default arguments that torch.export left out, in place.

    Input graph::

        max_pool2d(x, [2, 2])

    Output graph::

        max_pool2d(x, [2, 2], [], [0, 0], [1, 1], False)

    Args:
        program: A partition; only ops whose converter counts arguments are changed.
    """
    for node in program.graph.nodes:
        schema = getattr(node.target, "_schema", None)
        if schema is not None and schema.name in _COUNTED:
            missing = schema.arguments[len(node.args) :]
            node.args = (*node.args, *(each.default_value for each in missing))
