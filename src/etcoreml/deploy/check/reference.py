"""Inputs and outputs that a device is compared with: plain files and a JSON index.

Enters: values in order of the method's signature. Leaves: files by name, ``index.json`` among them.
A tensor's file is its elements, little-endian, in the order of memory that the program declares;
docs/deployment.md has the index's fields.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from etcoreml.deploy.app.model import AppModel, AppValue
from etcoreml.errors import ProjectError
from etcoreml.trace.metrics import distance

FORMAT = "etcoreml-device-check"
VERSION = 1

Values = Sequence[Any]
"""A NumPy array or a number for each input or output."""


@dataclass(frozen=True)
class Reference:
    """What a device is compared with.

    Attributes:
        model: The program.
        source: Its file's name.
        executorch: Version of the package that lowered and ran it.
        inputs: Of the method that it runs first.
        outputs: By the way they were computed: ``faithful``, ``fast``, ``eager``;
            ``core_ml`` on a Mac.
        min_snr_db: Least signal-to-noise ratio that the generated tests accept, in dB.
        iterations: Timed runs on each compute unit.
    """

    model: AppModel
    source: str
    executorch: str
    inputs: Values
    outputs: Mapping[str, Values]
    min_snr_db: float
    iterations: int

    def files(self) -> dict[str, bytes | str]:
        """Return every file by its name.

        Raises:
            ProjectError: An output does not have the shape that the method declares.
        """
        method = self.model.method
        files: dict[str, bytes | str] = {"model.pte": self.model.data}
        inputs = [
            _stored(files, f"input_{i}.bin", each, value)
            for i, (each, value) in enumerate(zip(method.inputs, self.inputs, strict=True))
        ]
        references = [
            {
                "name": name,
                "outputs": [
                    _stored(files, f"{name}_{i}.bin", each, value)
                    for i, (each, value) in enumerate(zip(method.outputs, values, strict=True))
                ],
            }
            for name, values in self.outputs.items()
        ]
        index = {
            "format": FORMAT,
            "version": VERSION,
            "model": {
                "file": "model.pte",
                "sha256": self.model.sha256,
                "method": method.name,
            },
            "executorch": self.executorch,
            "inputs": inputs,
            "references": references,
            "here": self.here(),
            "min_snr_db": self.min_snr_db,
            "iterations": self.iterations,
        }
        files["index.json"] = json.dumps(index, indent=1) + "\n"
        return files

    def here(self) -> list[dict[str, Any]]:
        """Return how far each way of computing is from those that come after it."""
        names = list(self.outputs)
        found = []
        for i, name in enumerate(names):
            for reference in names[i + 1 :]:
                pairs = zip(self.outputs[name], self.outputs[reference], strict=True)
                for output, (actual, expected) in enumerate(pairs):
                    far = distance(np.asarray(actual), np.asarray(expected))
                    found.append(
                        {
                            "name": name,
                            "reference": reference,
                            "output": output,
                            "snr_db": _number(far.snr_db),
                            "max_abs": _number(far.max_abs),
                        }
                    )
        return found


def _number(value: float) -> float | str:
    """Return a number as JSON has it; what JSON lacks becomes text that Swift's decoder knows."""
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return value


def _stored(
    files: dict[str, bytes | str], name: str, declared: AppValue, value: Any
) -> dict[str, Any]:
    """Put a value into a file, or a number into its entry of the index."""
    tensor = declared.tensor
    if not declared.is_tensor:
        return {"kind": tensor.kind, "number": float(value)}
    array = np.asarray(value)
    if array.dtype.name != tensor.dtype or array.ndim != len(tensor.shape):
        raise ProjectError(
            f"'{declared.variable}' is not what the program declares",
            found=f"{array.dtype.name} {array.shape}",
            expected=f"{tensor.dtype} {tensor}",
        )
    ordered = np.ascontiguousarray(array.transpose(tensor.dim_order))
    files[name] = ordered.astype(ordered.dtype.newbyteorder("<")).tobytes()
    return {
        "kind": "tensor",
        "file": name,
        "dtype": array.dtype.name,
        "shape": list(array.shape),
        "dim_order": list(tensor.dim_order),
    }
