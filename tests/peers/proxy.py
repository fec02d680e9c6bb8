"""What coremltools finds where it expects Apple's framework: its predictions, by our engine.

coremltools' ``MLModel`` hands a saved model to a class that macOS' build of it brings as native
code. This is that class over etcoreml. Models are compiled when they first predict, so that tests
which only look at a program cost nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from etcoreml.blob import Directory
from etcoreml.engine import Session, compile_function
from etcoreml.mil import load_package

NEWEST_SPEC_VERSION = 10


class Calls:
    """How many predictions the running test has asked for."""

    count = 0


class ModelProxy:
    """A saved model, compiled on first use.

    Args:
        path: The ``.mlpackage`` folder, or the file of another kind of model.
        compute_unit: Name of a ``coremltools.ComputeUnit``; the CPU runs everything here.
        function_name: Of a multifunction model, or "" for the default.
    """

    def __init__(
        self,
        path: str,
        compute_unit: str,
        function_name: str = "",
        optimization_hints: object = None,
        asset: object = None,
    ) -> None:
        self._path = Path(path)
        self._function_name = function_name or None
        self._session: Session | None = None

    @staticmethod
    def maximum_supported_specification_version() -> int:
        return NEWEST_SPEC_VERSION

    def predict(self, data: dict[str, Any], state: Any = None) -> dict[str, Any]:
        """Run once; outputs of rank 0 come back as ``(1,)``, as Core ML's do."""
        session = self._load()
        Calls.count += 1
        inputs = {
            port.name: np.asarray(data[port.name]).astype(port.dtype.storage)
            for port in session.inputs
        }
        for port in session.inputs:
            if port.shape == ():
                inputs[port.name] = inputs[port.name].reshape(())
        outputs = session.run(inputs)
        return {
            name: value.reshape(1) if isinstance(value, np.ndarray) and value.ndim == 0 else value
            for name, value in outputs.items()
        }

    def batchPredict(self, data: list[dict[str, Any]]) -> list[dict[str, Any]]:  # noqa: N802
        return [self.predict(one) for one in data]

    def _load(self) -> Session:
        if not self._path.is_dir():
            pytest.skip("peers: not an ML Program")
        if self._session is None:
            Calls.count += 1  # a model that does not load has been asked to predict as well
            program = load_package(Directory.from_path(self._path))
            self._session = compile_function(
                program, function=self._function_name, compute_unit="cpu_only", threads=1
            )
            Calls.count -= 1
        return self._session
