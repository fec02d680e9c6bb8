"""Times of kernels to the events that an ETDump holds.

Enters: one run's kernels and their times. Leaves: one event per MIL operation, named by its debug
symbol, with metadata of the keys that upstream's delegate writes
(``backends/apple/coreml/scripts/inspector_utils.py``, executorch 1.5.1) and our own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from etcoreml.engine import NodeTime
from etcoreml.trace.attribution import Attribution, symbol

UNATTRIBUTED = "(unattributed)"
"""Name of the event for the time that no kernel took: overhead, and kernels of unknown origin."""

_UNITS = {"CPU": "CPU", "GPU": "GPU", "NPU": "NE"}


@dataclass(frozen=True)
class Event:
    """Part of a run.

    Attributes:
        name: Debug symbol ``<output>:<op>``, or ``UNATTRIBUTED``.
        start_ns: On the runtime's clock. Events lie end to end in order of execution.
        end_ns: On the runtime's clock.
        metadata: JSON, UTF-8.
    """

    name: str
    start_ns: int
    end_ns: int
    metadata: bytes

    @property
    def details(self) -> dict[str, Any]:
        """The metadata as a dictionary."""
        decoded: dict[str, Any] = json.loads(self.metadata)
        return decoded


class EventWriter:
    """Makes the events of each run of one compiled function.

    Args:
        attributions: By the kernel's name.
        devices: OpenVINO devices of the session, the most preferred first.
        numerics: The numerics mode, see ``engine/numerics.py``.
    """

    def __init__(
        self, attributions: Mapping[str, Attribution], devices: Sequence[str], numerics: str
    ) -> None:
        self._attributions = attributions
        self._devices = devices
        self._numerics = numerics
        self._symbols = {name: symbol(each.operation) for name, each in attributions.items()}
        # What of the metadata does not change, by symbol: cut before the closing brace.
        self._heads: dict[str, str] = {}

    def events(self, times: Iterable[NodeTime], start_ns: int, end_ns: int) -> list[Event]:
        """Return the events of one run, in order of execution; the last is ``UNATTRIBUTED``.

        ``estimatedCost`` is each event's share of the whole time, measured here; on Apple's side
        it is the compiler's estimate.

        Args:
            times: Of the run's kernels.
            start_ns: When it began.
            end_ns: When it ended, with what is to be accounted for after it.
        """
        # What ran before and rests now has an event too: the Inspector joins runs of equal events.
        durations = dict.fromkeys(self._heads, 0)
        kernels: dict[str, NodeTime] = {}
        nameless = 0
        for time in times:
            name = self._symbols.get(time.name)
            if name is None:
                nameless += time.duration_ns
            else:
                durations[name] = durations.get(name, 0) + time.duration_ns
                if name not in kernels or time.duration_ns > kernels[name].duration_ns:
                    kernels[name] = time
        whole = max(end_ns - start_ns, 1)
        events, at = [], start_ns
        for name, duration in durations.items():
            head = self._head(name, kernels.get(name))
            metadata = f'{head}"estimatedCost": {duration / whole:.6g}}}'.encode()
            events.append(Event(name, at, at + duration, metadata))
            at += duration
        rest = {
            "operatorName": "",
            "kernelsMs": nameless / 1e6,  # of kernels that no operation is known for
            "estimatedCost": max(end_ns - at, 0) / whole,
        }
        events.append(Event(UNATTRIBUTED, at, max(at, end_ns), json.dumps(rest).encode()))
        return events

    def _head(self, name: str, kernel: NodeTime | None) -> str:
        if name not in self._heads and kernel is not None:
            self._heads[name] = json.dumps(self._constant(name, kernel))[:-1] + ", "
        return self._heads[name]

    def _constant(self, name: str, kernel: NodeTime) -> dict[str, Any]:
        alike = [each for key, each in self._attributions.items() if self._symbols[key] == name]
        operation = alike[0].operation
        fused = {symbol(member): None for each in alike for member in each.members}
        fused.pop(name, None)
        units = [_UNITS.get(device.partition(".")[0], device) for device in self._devices]
        return {
            "operatorName": operation.type,
            "outputNames": [out.name for out in operation.outputs],
            "preferredComputeUnit": units[0],
            "supportedComputeUnits": units,
            "fusedWith": list(fused),
            "kernel": kernel.kernel,
            "device": self._devices[0],
            "numerics": self._numerics,
        }
