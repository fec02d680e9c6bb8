"""ETRecords as executorch leaves them, completed."""

from __future__ import annotations

from typing import Any


def restore_constants(record: Any) -> bool:
    """Put back the constants that lowering moved out of a record's exported program.

    executorch 1.5.1 moves buffers that are not persistent from the program it lowers to the edge
    program, and records the former, which then cannot be run: BERT's position ids, for one.

    Args:
        record: An ETRecord; its exported program is completed in place.

    Returns:
        Whether something was missing.
    """
    program, edge = record.exported_program, record.edge_dialect_program
    if program is None or edge is None:
        return False
    wanted = {each.target for each in program.graph_signature.input_specs if each.target}
    missing = {
        name: value
        for name, value in edge.constants.items()
        if name in wanted and name not in program.constants and name not in program.state_dict
    }
    program.constants.update(missing)
    return bool(missing)
