"""MIL family ``states``: tensors that outlive one prediction.

``coreml_update_state`` is written to files as ``write_state`` followed by ``read_state``. A
translation tracks the current value of each state, so that any number of reads and writes become
one OpenVINO ``ReadValue`` and one ``Assign``.

Source: coremltools 9.0 ``iOS18/states.py`` and ``backend/mil/load.py``.
"""

from __future__ import annotations

from typing import Any

from openvino import Output

from etcoreml.engine.context import Context
from etcoreml.engine.registry import translates
from etcoreml.engine.scope import State
from etcoreml.errors import UnsupportedOpError


@translates("read_state", spec="iOS18.read_state")
def read_state(input: str, context: Context) -> Any:
    """Return the current value of the state of that name."""
    return _state(input, context).current


@translates("write_state", spec="coreml_dialect.coreml_update_state")
def write_state(input: str, data: Output, context: Context) -> None:
    """Replace the value of the state of that name by ``data``."""
    state = _state(input, context)
    state.current = data
    state.is_written = True


def _state(name: str, context: Context) -> State:
    states = context.scope.translation.states
    if context.scope.parent is not None:
        raise UnsupportedOpError(f"{context.label}: states cannot be used inside control flow")
    if name not in states:
        raise UnsupportedOpError(
            f"{context.label}: unknown state", found=repr(name), expected=sorted(states)
        )
    return states[name]
