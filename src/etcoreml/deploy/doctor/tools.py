"""Programs of the system: what builds the bridge, and on a Mac Apple's tools."""

from __future__ import annotations

import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence

from etcoreml.deploy.doctor.check import Check, Status
from etcoreml.targets import TARGETS

BUILD = "Building the bridge"
APPLE = "Apple's tools"

COMPILER_VARIABLE = "ETCOREML_COMPILER"

_LEAST = {"gcc": 8, "clang": 7, "Apple clang": 11}
"""Compilers with the parts of C++17 that the bridge uses."""

_LEAST_XCODE = 15
_LEAST_MACOS = 13
"""The oldest that ExecuTorch's Core ML delegate runs on (executorch 1.5.1)."""

_TIMEOUT_S = 60

Run = Callable[[Sequence[str]], str | None]
"""Runs a command; returns what it printed, or None if it is not there or failed."""


def run_command(command: Sequence[str]) -> str | None:
    """Run a command; see `Run`."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return (done.stdout or done.stderr) if done.returncode == 0 else None


def check_build_tools(*, needed: bool, run: Run = run_command) -> list[Check]:
    """Look at what builds the bridge.

    Args:
        needed: Whether it has to be built.
        run: How to run a command.
    """
    return [_compiler(needed, run), *(_program(name, needed, run) for name in ("cmake", "ninja"))]


def _compiler(needed: bool, run: Run) -> Check:
    name = "C++ compiler"
    given = os.environ.get("CXX", "").strip()
    for command in [shlex.split(given)] if given else [["c++"], ["g++"], ["clang++"]]:
        said = run([*command, "--version"])
        if said is not None:
            return _judged(name, shlex.join(command), said, needed)
    found = f"CXX={given} does not run" if given else "no c++, g++ or clang++"
    return Check(BUILD, name, Status.MISSING, found, "C++17", _compiler_remedy(), needed)


def _judged(name: str, command: str, said: str, needed: bool) -> Check:
    first = (said.splitlines() or [""])[0]
    family = next((each for each in ("Apple clang", "clang") if each in first), "gcc")
    version = re.search(r"(\d+)\.\d+", first)
    program, _, rest = first.partition(" ")
    # GNU's compilers begin with the name they were called by.
    found = f"{command} {rest}" if command.endswith(program) else f"{command}: {first}"
    if version is not None and int(version[1]) < _LEAST[family]:
        wanted = f"{family} {_LEAST[family]} or later, for C++17"
        return Check(BUILD, name, Status.TOO_OLD, found, wanted, _compiler_remedy(), needed)
    return Check(BUILD, name, Status.OK, found, needed=needed)


def _compiler_remedy() -> str:
    if sys.platform == "darwin":
        return "xcode-select --install"
    return "apt install g++ (Debian, Ubuntu), dnf install gcc-c++ (Fedora)"


def _program(name: str, needed: bool, run: Run) -> Check:
    # pip puts them beside Python, which need not be on the path.
    beside = shutil.which(name, path=os.path.dirname(sys.executable))  # noqa: PTH120
    said = run([beside or name, "--version"])
    if said is None:
        remedy = f"pip install {name}"
        return Check(BUILD, name, Status.MISSING, "not found", None, remedy, needed)
    found = re.search(r"\d+(\.\d+)+", said)
    return Check(BUILD, name, Status.OK, found[0] if found else said.strip(), needed=needed)


def check_apple_tools(
    *,
    system: str = sys.platform,
    macos: str | None = None,
    run: Run = run_command,
) -> list[Check]:
    """Look at what compiles and runs Core ML models: on a Mac, or through a command of the user's.

    None of it is needed to lower a model or to run it here.

    Args:
        system: As ``sys.platform``.
        macos: Version of macOS; None asks the system.
        run: How to run a command.
    """
    checks = [] if system != "darwin" else _mac(macos or platform.mac_ver()[0], run)
    given = os.environ.get(COMPILER_VARIABLE, "").strip()
    if given:
        checks.append(_own_compiler(given))
    elif system != "darwin":
        found = f"not on this system; {COMPILER_VARIABLE} may name a script that uses a Mac's"
        checks.append(Check(APPLE, "coremlcompiler", Status.MISSING, found, needed=False))
    return checks


def _own_compiler(given: str) -> Check:
    try:
        command = shlex.split(given)[0]
    except (ValueError, IndexError):
        command = given
    if shutil.which(command) is None:
        found, remedy = f"{command} does not exist", f"unset {COMPILER_VARIABLE}, or correct it"
        return Check(APPLE, COMPILER_VARIABLE, Status.MISSING, found, "a command", remedy)
    return Check(APPLE, COMPILER_VARIABLE, Status.OK, given)


def _mac(macos: str, run: Run) -> list[Check]:
    return [
        _system(macos),
        check_xcode(run, APPLE, needed=False),
        _found(run, "coremlcompiler", "compiles models ahead of time"),
        _found(run, "devicectl", "runs on a device from the command line"),
    ]


def _system(macos: str) -> Check:
    major = int(macos.partition(".")[0] or 0)
    able = [target for target in TARGETS if target.macos <= major]
    if not able or major < _LEAST_MACOS:
        wanted = f"macOS {_LEAST_MACOS} or later"
        remedy = "Update macOS"
        return Check(APPLE, "macOS", Status.TOO_OLD, macos, wanted, remedy, needed=False)
    found = f"{macos}; runs models for {able[-1].names[1]} ({able[-1].names[0]}) and older"
    return Check(APPLE, "macOS", Status.OK, found, needed=False)


def check_xcode(run: Run, group: str, *, needed: bool = True) -> Check:
    """Look at Xcode.

    Args:
        run: How to run a command.
        group: Heading of the check.
        needed: Whether what is asked for needs it.
    """
    said = run(["xcodebuild", "-version"])
    version = None if said is None else re.search(r"Xcode (\d+)\S*", said)
    wanted = f"Xcode {_LEAST_XCODE} or later"
    if version is None:
        # `xcodebuild` of the command line tools alone fails.
        found = "not found, or the command line tools alone"
        remedy = (
            "Install Xcode from the App Store, then: "
            "sudo xcode-select -s /Applications/Xcode.app/Contents/Developer"
        )
        return Check(group, "Xcode", Status.MISSING, found, wanted, remedy, needed)
    if int(version[1]) < _LEAST_XCODE:
        remedy = "Update Xcode in the App Store"
        return Check(group, "Xcode", Status.TOO_OLD, version[0], wanted, remedy, needed)
    return Check(group, "Xcode", Status.OK, version[0], needed=needed)


def _found(run: Run, tool: str, what: str) -> Check:
    path = run(["xcrun", "--find", tool])
    if path is None:
        remedy = "Install Xcode; the command line tools alone do not have it"
        return Check(APPLE, tool, Status.MISSING, f"not found; it {what}", None, remedy, False)
    return Check(APPLE, tool, Status.OK, path.strip(), needed=False)
