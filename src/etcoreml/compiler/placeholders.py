"""What stands behind the placeholders of a program that holds its parameters and constants."""

from __future__ import annotations

from torch.export import ExportedProgram


def held_tensors(program: ExportedProgram) -> dict[str, str]:
    """Return the placeholders of tensors that the program holds, to the names it has them under."""
    signature = program.graph_signature
    return {
        **signature.inputs_to_parameters,
        **signature.inputs_to_buffers,
        **signature.inputs_to_lifted_tensor_constants,
    }


def constant_names(program: ExportedProgram) -> frozenset[str]:
    """Return the placeholders that hold constants: what is held and not written to."""
    mutable = set(program.graph_signature.buffers_to_mutate.values())
    buffers = program.graph_signature.inputs_to_buffers
    return frozenset(
        name
        for name in held_tensors(program)
        if name not in buffers or buffers[name] not in mutable
    )
