"""Plans to build frameworks, and a Mac that is made up: none of this was run on one.

Oracle: ExecuTorch 1.5's build script and Package.swift, read.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from etcoreml.deploy.doctor import Status
from etcoreml.deploy.frameworks import (
    BUILD_SCRIPT,
    KERNELS,
    Plan,
    check_prerequisites,
    plan_build,
    run_plan,
)
from etcoreml.errors import FrameworkError, UsageError

ANSWERS = {
    "xcodebuild -version": "Xcode 16.2\nBuild version 16C5032a\n",
    "python3 -c import sys; print(*sys.version_info[:2])": "3 12\n",
}


def answers(command: Sequence[str]) -> str | None:
    return ANSWERS.get(" ".join(command))


def test_the_plan(tmp_path: Path) -> None:
    plan = plan_build(tmp_path / "et")
    assert plan.tag == f"v{version('executorch').partition('+')[0]}"
    clone, *rest = plan.steps
    assert clone.command[:4] == ("git", "clone", "--branch", plan.tag)
    assert clone.command[-1] == str(tmp_path / "et")
    assert not clone.in_source
    assert all(step.in_source for step in rest)
    assert plan.steps[-1].line == f"./{BUILD_SCRIPT} --Release --Debug --coreml --optimized"
    assert plan.made == tuple(
        f"cmake-out/{name}{suffix}.xcframework"
        for suffix in ("", "_debug")
        for name in (
            "executorch",
            "executorch_llm",
            "threadpool",
            "backend_coreml",
            "kernels_optimized",
        )
    )
    phases = dict(plan.build_phases)
    (linked,) = (entries for place, entries in phases.items() if "Link Binary" in place)
    assert {"backend_coreml.xcframework", "CoreML.framework", "libsqlite3.tbd"} <= set(linked)
    assert "threadpool.xcframework" in linked
    assert "executorch_llm.xcframework" not in linked
    assert ("$(inherited) -all_load",) in phases.values()


def test_variants_and_kernels(tmp_path: Path) -> None:
    debug = plan_build(tmp_path, ["quantized", "llm"], "debug", tag="v1.6.0")
    assert debug.steps[-1].command[1:] == ("--Debug", "--coreml", "--quantized", "--llm")
    assert all(path.endswith("_debug.xcframework") for path in debug.made)
    assert "executorch_llm_debug.xcframework" in debug.linked
    # Nothing that was asked for needs it.
    assert "threadpool_debug.xcframework" not in debug.linked
    assert debug.tag == "v1.6.0"
    release = plan_build(tmp_path, [], "release")
    assert release.steps[-1].command[1:] == ("--Release", "--coreml")
    assert set(plan_build(tmp_path, KERNELS).steps[-1].command[4:]) == {f"--{k}" for k in KERNELS}
    with pytest.raises(UsageError, match="no such kernels; found portable"):
        plan_build(tmp_path, ["portable"])


def test_prerequisites() -> None:
    def which(name: str) -> str | None:
        return None if name == "cmake" else f"/usr/bin/{name}"

    checks = {
        each.name: each
        for each in check_prerequisites(system="darwin", macos="15.1", run=answers, which=which)
    }
    assert {name for name, each in checks.items() if each.fails} == {"cmake"}
    assert "cmake.org" in str(checks["cmake"].remedy)
    bare = check_prerequisites(
        system="darwin", macos="15.1", run=lambda _: None, which=lambda _: None
    )
    assert {each.name for each in bare if each.fails} == {
        *("Xcode", "python3", "cmake", "git", "rsync", "libtool")
    }
    (elsewhere,) = check_prerequisites(system="linux")
    assert elsewhere.status is Status.MISSING


def test_it_is_refused_elsewhere(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot be built here.*expected macOS"):
        run_plan(plan_build(tmp_path), print, system="linux")


@pytest.mark.parametrize("tag", ["--upload-pack=evil", "-b", ""])
def test_a_tag_is_no_option_of_git(tmp_path: Path, tag: str) -> None:
    with pytest.raises(UsageError, match="--tag is no version of ExecuTorch"):
        plan_build(tmp_path, tag=tag)


def test_a_folder_is_no_option_of_git() -> None:
    command = plan_build(Path("-folder")).steps[0].command
    assert command.index("--") < command.index("-folder")


class Mac:
    """Runs commands as a Mac would, as far as their results go."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.ran: list[tuple[str, object, str]] = []
        self.fails = ""
        self.makes = plan.made

    def run(self, command: Sequence[str], **options: Any) -> Any:
        self.ran.append((command[0], options["cwd"], options["env"]["PATH"].split(":")[0]))
        source = self.plan.source
        if command[0] == "git":
            (source / "scripts").mkdir(parents=True)
            (source / BUILD_SCRIPT).touch()
        elif command[0] == "python3":
            (source / ".venv" / "bin").mkdir(parents=True)
            (source / ".venv" / "bin" / "python3").touch()
        elif command[0] == f"./{BUILD_SCRIPT}":
            for path in self.makes:
                (source / path).mkdir(parents=True, exist_ok=True)
        return subprocess.CompletedProcess(command, 1 if command[0] == self.fails else 0)


@pytest.fixture
def mac(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mac:
    made = Mac(plan_build(tmp_path / "et", configuration="release"))
    monkeypatch.setattr(subprocess, "run", made.run)
    return made


def build(mac: Mac) -> list[str]:
    said: list[str] = []
    run_plan(mac.plan, said.append, system="darwin", run=answers, which=lambda name: name)
    return said


def test_every_step_in_its_place(mac: Mac) -> None:
    assert build(mac) == [step.what for step in mac.plan.steps]
    assert [name for name, _, _ in mac.ran] == [step.command[0] for step in mac.plan.steps]
    assert [folder for _, folder, _ in mac.ran] == [None, *[mac.plan.source] * 4]
    # With the environment of the sources active.
    assert mac.ran[-1][2] == str(mac.plan.source / ".venv" / "bin")
    # Again: what is there is not made anew.
    mac.ran.clear()
    build(mac)
    assert mac.ran[0][0] == "./install_requirements.sh"


def test_a_step_that_fails(mac: Mac) -> None:
    mac.fails = "./install_requirements.sh"
    with pytest.raises(FrameworkError, match="install what the build needs failed with exit code"):
        build(mac)
    assert mac.ran[-1][0] == "./install_requirements.sh"


def test_the_scripts_own_tests_may_fail(mac: Mac) -> None:
    """Its last act wants frameworks that were not asked for."""
    mac.fails = f"./{BUILD_SCRIPT}"
    build(mac)


def test_a_build_that_makes_less(mac: Mac) -> None:
    mac.makes = mac.plan.made[:-1]
    with pytest.raises(FrameworkError, match=r"no cmake-out/kernels_optimized\.xcframework"):
        build(mac)
    mac.fails = f"./{BUILD_SCRIPT}"
    with pytest.raises(FrameworkError, match="build failed"):
        build(mac)


def test_what_is_missing_is_said_before_anything_runs(mac: Mac) -> None:
    with pytest.raises(FrameworkError, match="Xcode missing") as caught:
        run_plan(mac.plan, print, system="darwin", run=lambda _: None)
    assert "App Store" in str(caught.value)
    assert mac.ran == []
