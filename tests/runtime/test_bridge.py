"""Importing etcoreml: what it loads, what it registers, and how it refuses. In child processes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import etcoreml
from etcoreml.errors import BridgeError
from etcoreml.runtime import bridge
from tests.runtime.processes import run_python


def test_import_is_light() -> None:
    outcome = run_python("""
        import sys
        before = set(sys.modules)
        import etcoreml
        heavy = {"torch", "coremltools", "openvino", "numpy", "executorch.exir"}
        print(etcoreml.bridge.registered, sorted(heavy & set(sys.modules)))
    """)
    assert outcome.stdout == "True []\n"
    assert outcome.stderr == ""


def test_running_does_not_import_coremltools(affine_path: Path) -> None:
    outcome = run_python(
        """
        import sys
        import etcoreml
        import torch
        print(etcoreml.load(sys.argv[1]).forward(torch.ones(2, 3))[0].tolist())
        print("coremltools" in sys.modules)
        """,
        affine_path,
    )
    assert outcome.stdout == "[[3.0, 3.0, 3.0], [3.0, 3.0, 3.0]]\nFalse\n"
    assert outcome.stderr == ""


def test_stock_runtime_needs_only_the_import(affine_path: Path) -> None:
    outcome = run_python(
        """
        import sys
        import torch
        from executorch.runtime import Runtime
        import etcoreml
        runtime = Runtime.get()
        print(runtime.backend_registry.is_available("CoreMLBackend"))
        method = runtime.load_program(sys.argv[1]).load_method("forward")
        print(method.execute((torch.ones(2, 3),))[0].tolist())
        """,
        affine_path,
    )
    assert outcome.stdout == "True\n[[3.0, 3.0, 3.0], [3.0, 3.0, 3.0]]\n"


def test_other_executorch_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("executorch.version.__version__", "1.9.0+cpu")
    status = bridge.register()
    assert not status.registered
    assert isinstance(status.error, BridgeError)
    assert "found executorch 1.9.0+cpu; expected executorch 1.5.1" in str(status.error)
    assert "--no-build-isolation" in str(status.error)


def test_second_registration_is_refused() -> None:
    status = bridge.register()
    assert not status.registered
    assert "already registered" in status.reason


def test_load_raises_the_bridge_error(affine_pte: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    error = BridgeError("the native bridge is not built")
    monkeypatch.setattr(etcoreml, "bridge", bridge.BridgeStatus(False, error.message, error))
    with pytest.raises(BridgeError, match="not built"):
        etcoreml.load(affine_pte)


def test_apple_delegate_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    status = bridge.register()
    assert not status.registered
    assert status.error is None


def test_public_names_exist() -> None:
    for name in etcoreml.__all__:
        assert getattr(etcoreml, name) is not None
    assert set(etcoreml.__all__) <= set(dir(etcoreml))
    with pytest.raises(AttributeError, match="no attribute 'predict'"):
        etcoreml.predict  # noqa: B018
