"""MIL family ``states``: tensors that outlive one prediction.

``coreml_update_state`` is written to files as ``write_state`` followed by ``read_state``. A
scope tracks the current value of each state, so that any number of reads and writes become one
OpenVINO ``ReadValue`` and one ``Assign``; blocks of control flow return what they wrote.

Source: coremltools 9.0 ``iOS18/states.py`` and ``backend/mil/load.py``.
"""

from __future__ import annotations

from typing import Any

from openvino import Output

from etcoreml.engine.context import Context
from etcoreml.engine.registry import translates
from etcoreml.engine.scope import State


@translates("read_state", spec="iOS18.read_state")
def read_state(input: State, context: Context) -> Any:
    """Return the current value of a state."""
    return context.scope.read_state(input)


@translates("write_state", spec="coreml_dialect.coreml_update_state")
def write_state(input: State, data: Output, context: Context) -> None:
    """Replace the value of a state by ``data``."""
    context.scope.write_state(input, data)
