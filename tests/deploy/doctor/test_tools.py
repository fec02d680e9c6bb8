"""Compilers and Apple's tools. Oracle: what the tools print, as recorded from their makers.

The Macs here are made up: none of this was run on one.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from etcoreml.deploy.doctor import Check, Status
from etcoreml.deploy.doctor.tools import (
    COMPILER_VARIABLE,
    Run,
    check_apple_tools,
    check_build_tools,
    run_command,
)

GCC = "g++ (Debian 12.2.0-14) 12.2.0\nCopyright (C) 2022 Free Software Foundation, Inc."
OLD_GCC = "c++ (GCC) 4.8.5 20150623 (Red Hat 4.8.5-44)"
CLANG = "Debian clang version 14.0.6\nTarget: x86_64-pc-linux-gnu"
APPLE_CLANG = "Apple clang version 15.0.0 (clang-1500.3.9.4)\nTarget: arm64-apple-darwin23.4.0"
MAC = {
    "xcodebuild -version": "Xcode 15.3\nBuild version 15E204a\n",
    "xcrun --find coremlcompiler": "/Applications/Xcode.app/usr/bin/coremlcompiler\n",
    "xcrun --find devicectl": "/Applications/Xcode.app/usr/bin/devicectl\n",
}


def answering(answers: dict[str, str]) -> Run:
    def run(command: Sequence[str]) -> str | None:
        return answers.get(" ".join(command))

    return run


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CXX", COMPILER_VARIABLE):
        monkeypatch.delenv(name, raising=False)


def compiler(answers: dict[str, str], *, needed: bool = True) -> Check:
    return check_build_tools(needed=needed, run=answering(answers))[0]


@pytest.mark.parametrize(
    ("answers", "status"),
    [
        ({"c++ --version": GCC}, Status.OK),
        ({"g++ --version": GCC}, Status.OK),
        ({"clang++ --version": CLANG}, Status.OK),
        ({"c++ --version": APPLE_CLANG}, Status.OK),
        ({"c++ --version": OLD_GCC}, Status.TOO_OLD),
        ({}, Status.MISSING),
    ],
)
def test_compilers(answers: dict[str, str], status: Status) -> None:
    check = compiler(answers)
    assert check.status is status
    assert (check.remedy is None) is (status is Status.OK)
    assert check.fails is (status is not Status.OK)
    assert not compiler(answers, needed=False).fails


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("c++", "c++ (Debian 12.2.0-14) 12.2.0"),
        ("/usr/bin/g++", "g++ (Debian 12.2.0-14) 12.2.0"),
        ("clang++", "Debian clang version 14.0.6"),
    ],
)
def test_a_compiler_is_named_once(command: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", command)
    name = command.rpartition("/")[2]
    found = compiler({f"{command} --version": f"{said}\nCopyright"}).found
    assert found.count(name) == 1
    assert found.startswith(command)
    assert found.endswith(said.removeprefix(name))


def test_the_compiler_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "ccache clang++-14")
    assert compiler({"ccache clang++-14 --version": CLANG}).status is Status.OK
    check = compiler({"c++ --version": GCC})
    assert check.status is Status.MISSING
    assert "CXX=ccache clang++-14 does not run" in check.found


def test_cmake_and_ninja_of_this_environment() -> None:
    _, cmake, ninja = check_build_tools(needed=False)
    assert cmake.status is ninja.status is Status.OK
    assert cmake.found[0].isdigit()


def test_commands() -> None:
    assert run_command(["/nowhere/at/all"]) is None
    assert run_command(["false"]) is None
    assert run_command(["echo", "said"]) == "said\n"


def apple(answers: dict[str, str], macos: str = "14.4.1") -> dict[str, Check]:
    checks = check_apple_tools(system="darwin", macos=macos, run=answering(answers))
    return {each.name: each for each in checks}


def test_a_mac_with_everything() -> None:
    checks = apple(MAC)
    assert {each.status for each in checks.values()} == {Status.OK}
    assert checks["Xcode"].found == "Xcode 15.3"
    assert checks["macOS"].found == "14.4.1; runs models for macOS14 (iOS17) and older"
    newest = apple(MAC, "26.0")["macOS"].found
    assert "macOS26 (iOS26)" in newest


def test_macs_with_less() -> None:
    old = apple({**MAC, "xcodebuild -version": "Xcode 14.2\nBuild version 14C18"}, "12.7")
    assert old["Xcode"].status is old["macOS"].status is Status.TOO_OLD
    bare = apple({})
    for name in ("Xcode", "coremlcompiler", "devicectl"):
        assert bare[name].status is Status.MISSING
        assert bare[name].remedy
        # Lowering works without.
        assert not bare[name].fails


def test_elsewhere_a_compiler_of_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    (check,) = check_apple_tools(system="linux")
    assert (check.status, check.needed) == (Status.MISSING, False)
    assert COMPILER_VARIABLE in check.found
    monkeypatch.setenv(COMPILER_VARIABLE, "env mac.sh")
    (check,) = check_apple_tools(system="linux")
    assert check.status is Status.OK
    for wrong in ("/nowhere/mac.sh x", "'unclosed"):
        monkeypatch.setenv(COMPILER_VARIABLE, wrong)
        (check,) = check_apple_tools(system="linux")
        assert check.status is Status.MISSING
        # It was asked for.
        assert check.fails
