"""Times of kernels to the events that an ETDump holds.

Enters: one run's kernels and their times. Leaves: one event per MIL operation, named by its debug
symbol, with metadata of the keys that upstream's delegate writes
(``backends/apple/coreml/scripts/inspector_utils.py``, executorch 1.5.1) and our own.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from etcoreml.engine import NodeTime
from etcoreml.trace.attribution import Attribution, symbol

UNATTRIBUTED = "(unattributed)"
"""Name of the event for the time that no kernel took: overhead, and kernels of unknown origin."""

_UNITS = {"CPU": "CPU", "GPU": "GPU", "NPU": "NE"}


class Event(NamedTuple):
    """Part of a run; a tuple, as the bridge takes it.

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


class _Plan(NamedTuple):
    """What is the same in every run of the same kernels.

    Attributes:
        kernels: Their names in order of execution.
        events: Name, beginning of the metadata, and places of the kernels that belong to it.
        nameless: Places of the kernels that no operation is known for.
    """

    kernels: tuple[str, ...]
    events: tuple[tuple[str, str, tuple[int, ...]], ...]
    nameless: tuple[int, ...]


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
        self._plan = _Plan((), (), ())

    def events(self, times: Iterable[NodeTime], start_ns: int, end_ns: int) -> list[Event]:
        """Return the events of one run, in order of execution; the last is ``UNATTRIBUTED``.

        ``estimatedCost`` is each event's share of the whole time, measured here; on Apple's side
        it is the compiler's estimate.

        Args:
            times: Of the run's kernels.
            start_ns: When it began.
            end_ns: When it ended, with what is to be accounted for after it.
        """
        times = list(times)
        names = tuple(time.name for time in times)
        if names != self._plan.kernels:
            self._plan = self._planned(names, times)
        durations = [time.duration_ns for time in times]
        whole = max(end_ns - start_ns, 1)
        events, at = [], start_ns
        for name, head, members in self._plan.events:
            duration = sum([durations[index] for index in members])
            metadata = f'{head}"estimatedCost": {duration / whole:.6g}}}'.encode()
            events.append(Event(name, at, at + duration, metadata))
            at += duration
        rest = {
            "operatorName": "",
            # of kernels that no operation is known for
            "kernelsMs": sum([durations[index] for index in self._plan.nameless]) / 1e6,
            "estimatedCost": max(end_ns - at, 0) / whole,
        }
        events.append(Event(UNATTRIBUTED, at, max(at, end_ns), json.dumps(rest).encode()))
        return events

    def _planned(self, names: tuple[str, ...], times: Sequence[NodeTime]) -> _Plan:
        """Return which kernels belong to which event."""
        # What ran before and rests now has an event too: the Inspector joins runs of equal events.
        members: dict[str, list[int]] = {name: [] for name in self._heads}
        nameless = []
        for index, name in enumerate(names):
            known = self._symbols.get(name)
            if known is None:
                nameless.append(index)
            else:
                members.setdefault(known, []).append(index)
        events = []
        for name, indices in members.items():
            longest = max(indices, key=lambda index: times[index].duration_ns, default=None)
            head = self._head(name, None if longest is None else times[longest])
            events.append((name, head, tuple(indices)))
        return _Plan(names, tuple(events), tuple(nameless))

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
