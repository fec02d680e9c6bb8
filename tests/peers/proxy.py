"""What coremltools finds where it expects Apple's framework: its predictions, by our engine.

coremltools' ``MLModel`` hands a saved model to a class that macOS' build of it brings as native
code. This is that class over etcoreml. Models are compiled when they first predict, so that tests
which only look at a program cost nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import etcoreml
from etcoreml.errors import EngineError

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
        optimization_hints: Without meaning here.
        asset: Likewise.
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
        self._model: etcoreml.MLModel | None = None

    @staticmethod
    def maximum_supported_specification_version() -> int:
        return NEWEST_SPEC_VERSION

    def predict(self, data: dict[str, Any], state: Any = None) -> dict[str, Any]:
        Calls.count += 1
        model = self._load()
        try:
            result: dict[str, Any] = model.predict(data, state)
        except EngineError as error:  # in the words of Apple's, which their tests look for
            raise RuntimeError(
                f"Unable to compute the prediction using ML Program: {error}"
            ) from error
        return result

    def batchPredict(self, data: list[dict[str, Any]]) -> list[dict[str, Any]]:  # noqa: N802
        Calls.count += 1
        results: list[dict[str, Any]] = self._load().predict(data)
        return results

    def newState(self) -> Any:  # noqa: N802 - the name they call
        Calls.count += 1
        return self._load().make_state()

    def _load(self) -> etcoreml.MLModel:
        if not self._path.is_dir():
            pytest.skip("peers: not an ML Program")
        if self._model is None:
            self._model = etcoreml.MLModel(
                str(self._path),
                compute_units="CPU_ONLY",
                function_name=self._function_name,
                threads=1,
                cache_dir="",
            )
        return self._model
