"""The whole of it in environments that this one is not. Oracle: how they were made."""

from __future__ import annotations

from pathlib import Path

from tests.deploy.doctor.environments import environment


def test_this_machine(tmp_path: Path) -> None:
    here = environment(tmp_path / "site")
    code, checks = here.report()
    assert code == 0
    needed = [each["name"] for each in checks.values() if each["needed"]]
    assert {"Python", "torch", "executorch", "coremltools", "openvino", "bridge", "engine"} <= set(
        needed
    )
    assert all(checks[name]["status"] == "ok" for name in needed)
    assert "CPU" in checks["engine"]["found"]
    printed = here.doctor()
    assert printed.returncode == 0
    assert "All that is needed is ok." in printed.stdout
    assert printed.stderr == ""


def test_without_openvino(tmp_path: Path) -> None:
    there = environment(tmp_path / "site", without=["openvino"])
    code, checks = there.report()
    assert code == 1
    failing = {name for name, each in checks.items() if each["needed"] and each["status"] != "ok"}
    assert failing == {"openvino", "engine"}
    assert checks["openvino"]["status"] == checks["engine"]["status"] == "missing"
    assert checks["openvino"]["remedy"].startswith('pip install "openvino')
    assert checks["bridge"]["status"] == "ok"
    assert "Needed, and not ok: openvino, engine" in there.doctor().stdout


def test_a_bridge_for_another_executorch(tmp_path: Path) -> None:
    there = environment(tmp_path / "site", build_info={"EXECUTORCH_VERSION": "1.4.0+cpu"})
    code, checks = there.report()
    assert code == 1
    bridge = checks["bridge"]
    assert bridge["status"] == "mismatch"
    assert bridge["found"] == "built for executorch 1.4.0+cpu"
    assert bridge["expected"].startswith("executorch 1.5")
    assert "--no-build-isolation" in bridge["remedy"]
    # What rebuilds it is needed now.
    assert checks["C++ compiler"]["needed"]


def test_a_bridge_that_was_not_built_and_no_compiler(tmp_path: Path) -> None:
    there = environment(tmp_path / "site", bridge=False)
    code, checks = there.report(PATH="/nowhere", CXX="")
    assert code == 1
    assert checks["bridge"]["status"] == checks["C++ compiler"]["status"] == "missing"
    assert checks["C++ compiler"]["needed"]
    assert "g++" in checks["C++ compiler"]["remedy"]


def test_no_compiler_where_none_is_needed(tmp_path: Path) -> None:
    code, checks = environment(tmp_path / "site").report(PATH="/nowhere", CXX="")
    assert code == 0
    assert checks["C++ compiler"]["status"] == "missing"
    assert not checks["C++ compiler"]["needed"]


def test_kernels_for_another_openvino_are_not_needed(tmp_path: Path) -> None:
    there = environment(tmp_path / "site", build_info={"OPENVINO_VERSION": "2026.1.0"})
    _, checks = there.report()
    # The library itself still fits, so that it says so.
    assert not checks["kernels"]["needed"]


def test_hardly_anything_is_installed(tmp_path: Path) -> None:
    """No torch, no executorch, no NumPy, no rich: the command still says what is missing."""
    there = environment(tmp_path / "site", only=["typer", "packaging"], without=["rich"])
    code, checks = there.report()
    assert code == 1
    missing = {name for name, each in checks.items() if each["needed"] and each["status"] != "ok"}
    assert {"torch", "executorch", "coremltools", "openvino", "numpy", "rich"} <= missing
    assert checks["bridge"]["status"] != "ok"
    assert "Traceback" not in there.doctor().stderr


def test_a_broken_openvino(tmp_path: Path) -> None:
    """Its metadata is there, and its library ends the process that loads it."""
    there = environment(tmp_path / "site", without=["openvino"])
    (there.site / "openvino").mkdir()
    (there.site / "openvino" / "__init__.py").write_text("import os; os.abort()\n")
    metadata = there.site / "openvino-2026.4.1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: openvino\nVersion: 2026.4.1\n")
    code, checks = there.report()
    assert code == 1
    assert checks["engine"]["status"] == "broken"
    assert "its process ended with" in checks["engine"]["found"]


def test_nothing_heavy_is_imported(tmp_path: Path) -> None:
    from tests.runtime.processes import run_python

    outcome = run_python("""
        import sys
        from etcoreml.deploy.doctor import examine
        examine()
        heavy = {"torch", "executorch.exir", "coremltools", "openvino", "numpy", "rich"}
        print(sorted(heavy & set(sys.modules)))
    """)
    assert outcome.stdout == "[]\n", outcome.stderr
