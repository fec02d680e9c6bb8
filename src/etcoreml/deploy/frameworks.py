"""ExecuTorch's frameworks from source: what to type, what has to be there, and what comes out.

Enters: which kernels an app needs beside Core ML. Leaves: a `Plan`, which a person types or, on a
Mac, `run_plan` executes. Most apps take the ready-made Swift package instead.

Sources: executorch 1.5 ``scripts/build_apple_frameworks.sh``, ``scripts/create_frameworks.sh``,
``Package.swift`` and ``docs/source/using-executorch-ios.md``. Nothing here was run on a Mac.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from etcoreml.deploy.doctor.check import Check, Status
from etcoreml.deploy.doctor.tools import Run, check_xcode, run_command
from etcoreml.errors import FrameworkError, UsageError

REPOSITORY = "https://github.com/pytorch/executorch.git"
BUILD_SCRIPT = "scripts/build_apple_frameworks.sh"
OUTPUT = "cmake-out"

KERNELS = ("optimized", "quantized", "llm", "torchao", "xnnpack")
"""What can be built beside Core ML, as the script's options are called."""

Configuration = Literal["both", "release", "debug"]
"""Which variants: those for the App Store, those that log, or both."""

GROUP = "What the build needs"
_LEAST_PYTHON = (3, 10)


@dataclass(frozen=True)
class Framework:
    """One library that the build makes.

    Attributes:
        name: Its name, without ``_debug`` and ``.xcframework``.
        option: The option that makes it; None if it is always made.
        links: What of the system an app links along with it.
        needs: Other frameworks that it does not work without.
    """

    name: str
    option: str | None
    links: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()


FRAMEWORKS = (
    Framework(
        "executorch",
        None,
        (
            "Accelerate.framework",
            "CoreGraphics.framework",
            "CoreImage.framework",
            "CoreVideo.framework",
            "Foundation.framework",
            "libc++.tbd",
        ),
    ),
    Framework("executorch_llm", None),
    Framework("threadpool", None),
    Framework(
        "backend_coreml",
        "coreml",
        ("Accelerate.framework", "CoreML.framework", "libsqlite3.tbd"),
    ),
    Framework("backend_xnnpack", "xnnpack", needs=("threadpool",)),
    Framework("kernels_optimized", "optimized", ("Accelerate.framework",), ("threadpool",)),
    Framework("kernels_quantized", "quantized"),
    Framework("kernels_llm", "llm", needs=("executorch_llm",)),
    Framework("kernels_torchao", "torchao", needs=("threadpool",)),
)
"""All that a build with Core ML may make."""

_SUFFIXES: Mapping[Configuration, tuple[str, ...]] = MappingProxyType(
    {"both": ("", "_debug"), "release": ("",), "debug": ("_debug",)}
)


@dataclass(frozen=True)
class Step:
    """One thing to do.

    Attributes:
        what: What for, in a few words.
        command: The command.
        in_source: Whether it is typed in the source's folder, with its environment active.
    """

    what: str
    command: tuple[str, ...]
    in_source: bool = True

    @property
    def line(self) -> str:
        """The command as a shell takes it."""
        return shlex.join(self.command)


@dataclass(frozen=True)
class Plan:
    """A build.

    Attributes:
        source: Folder that ExecuTorch's sources are, or will be, in.
        tag: The version to build.
        steps: What to do, in order.
        made: Paths of the frameworks, in the source's folder.
        linked: The frameworks that an app links, of one variant.
        system: What it links of the system.
    """

    source: Path
    tag: str
    steps: tuple[Step, ...]
    made: tuple[str, ...]
    linked: tuple[str, ...]
    system: tuple[str, ...]

    @property
    def build_phases(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """Where an Xcode target names what: place, and entries."""
        return (
            (
                "Build Phases > Link Binary With Libraries (Do Not Embed: they are static)",
                (*self.linked, *self.system),
            ),
            ("Build Phases > Copy Bundle Resources", ("the .pte",)),
            (
                "Build Settings > Other Linker Flags (OTHER_LDFLAGS)",
                # Backends and kernels register themselves when they are loaded, and nothing
                # refers to them.
                ("$(inherited) -all_load",),
            ),
        )


def plan_build(
    source: Path,
    kernels: Iterable[str] = ("optimized",),
    configuration: Configuration = "both",
    *,
    tag: str | None = None,
) -> Plan:
    """Return how to build the frameworks.

    Args:
        source: Folder for ExecuTorch's sources; cloned into if there is none.
        kernels: What to build beside Core ML: some of `KERNELS`.
        configuration: Which variants.
        tag: The version; None for that of the installed executorch, which a .pte was made with.

    Raises:
        UsageError: There are no such kernels; the tag can be none; or there is no tag, and no
            executorch whose version it could be.
    """
    if tag is not None and (not tag or tag.startswith("-")):
        raise UsageError(
            "--tag is no version of ExecuTorch", found=repr(tag), expected="a tag such as v1.5.1"
        )
    tag = tag or _installed_tag()
    wanted = {"coreml", *kernels}
    unknown = sorted(wanted.difference(KERNELS, ["coreml"]))
    if unknown:
        raise UsageError(
            "ExecuTorch has no such kernels", found=", ".join(unknown), expected=", ".join(KERNELS)
        )
    frameworks = [each for each in FRAMEWORKS if each.option is None or each.option in wanted]
    modes = {"both": ("--Release", "--Debug"), "release": ("--Release",), "debug": ("--Debug",)}
    options = [f"--{each.option}" for each in frameworks if each.option is not None]
    suffixes = _SUFFIXES[configuration]
    needed = {name for each in frameworks if each.option for name in each.needs}
    linked = [
        each
        for each in frameworks
        if each.option or each.name == "executorch" or each.name in needed
    ]
    clone = ("git", "clone", "--branch", tag, "--depth", "1")
    submodules = ("--recurse-submodules", "--shallow-submodules")
    get = (*clone, *submodules, "--", REPOSITORY, str(source))
    steps = (
        Step("Get the sources", get, in_source=False),
        Step("Make an environment", ("python3", "-m", "venv", ".venv")),
        Step("Install what the build needs", ("./install_requirements.sh",)),
        Step(
            "Install what Core ML needs",
            ("./backends/apple/coreml/scripts/install_requirements.sh",),
        ),
        Step("Build", (f"./{BUILD_SCRIPT}", *modes[configuration], *options)),
    )
    return Plan(
        source,
        tag,
        steps,
        tuple(
            f"{OUTPUT}/{each.name}{suffix}.xcframework"
            for suffix in suffixes
            for each in frameworks
        ),
        tuple(f"{each.name}{suffixes[0]}.xcframework" for each in linked),
        tuple(sorted({name for each in linked for name in each.links})),
    )


def _installed_tag() -> str:
    try:
        return f"v{version('executorch').partition('+')[0]}"
    except PackageNotFoundError as error:
        raise UsageError(
            "which version of ExecuTorch to build is not said, and none is installed",
            hint="--tag v1.5.1",
        ) from error


def check_prerequisites(
    *,
    system: str = sys.platform,
    macos: str | None = None,
    run: Run = run_command,
    which: Callable[[str], str | None] = shutil.which,
) -> list[Check]:
    """Look at what the build needs.

    Args:
        system: As ``sys.platform``.
        macos: Version of macOS; None asks the system.
        run: How to run a command.
        which: Finds a program, as `shutil.which` does.
    """
    if system != "darwin":
        found = platform.system() or system
        remedy = "Use a Mac, or the ready-made Swift package in an app that a Mac builds"
        return [Check(GROUP, "macOS", Status.MISSING, found, "macOS with Xcode", remedy)]
    found = macos or platform.mac_ver()[0]
    checks = [Check(GROUP, "macOS", Status.OK, found), check_xcode(run, GROUP)]
    python = run(["python3", "-c", "import sys; print(*sys.version_info[:2])"])
    checks.append(_python(python))
    for name, remedy in (
        ("cmake", "brew install cmake, or https://cmake.org/download"),
        ("git", "xcode-select --install"),
        ("rsync", "xcode-select --install"),
        ("libtool", "xcode-select --install"),
    ):
        path = which(name)
        if path is None:
            checks.append(Check(GROUP, name, Status.MISSING, "not found", None, remedy))
        else:
            checks.append(Check(GROUP, name, Status.OK, path))
    return checks


def _python(printed: str | None) -> Check:
    least = ".".join(map(str, _LEAST_PYTHON))
    remedy = "https://www.python.org/downloads/macos"
    if printed is None:
        return Check(GROUP, "python3", Status.MISSING, "not found", f"{least} or later", remedy)
    found = printed.strip().replace(" ", ".")
    if tuple(map(int, printed.split())) < _LEAST_PYTHON:
        return Check(GROUP, "python3", Status.TOO_OLD, found, f"{least} or later", remedy)
    return Check(GROUP, "python3", Status.OK, found)


def run_plan(
    plan: Plan,
    say: Callable[[str], None],
    *,
    system: str = sys.platform,
    run: Run = run_command,
    which: Callable[[str], str | None] = shutil.which,
) -> None:
    """Build the frameworks.

    Args:
        plan: What to do. A step that has been done, to judge by its result, is left out.
        say: Receives each step's description.
        system: As ``sys.platform``.
        run: As of `check_prerequisites`.
        which: As of `check_prerequisites`.

    Raises:
        UsageError: This is no Mac.
        FrameworkError: Something that is needed is missing, a step failed, or a framework did not
            come out.
    """
    if system != "darwin":
        raise UsageError(
            "the frameworks cannot be built here: Apple's compilers and SDKs are on macOS alone",
            found=platform.system() or system,
            expected="macOS with Xcode",
            hint="Without --run, the commands are printed, to be typed on a Mac.",
        )
    checks = check_prerequisites(system=system, run=run, which=which)
    failing = [each for each in checks if each.fails]
    if failing:
        raise FrameworkError(
            "the frameworks cannot be built yet",
            found=", ".join(f"{each.name} {each.status.value}" for each in failing),
            hint="; ".join(dict.fromkeys(each.remedy for each in failing if each.remedy)),
        )
    for step in plan.steps:
        if _is_done(step, plan):
            continue
        say(step.what)
        code = _execute(step, plan.source)
        is_build = step is plan.steps[-1]
        # Its last act is `swift test`, which wants all of the frameworks, also those not asked for.
        if code and not (is_build and not _absent(plan)):
            raise FrameworkError(
                f"{step.what.lower()} failed with exit code {code}", found=step.line
            )
    absent = _absent(plan)
    if absent:
        raise FrameworkError(
            "the build ended, and not all frameworks are there", found=f"no {', '.join(absent)}"
        )


def _is_done(step: Step, plan: Plan) -> bool:
    if not step.in_source:
        return (plan.source / BUILD_SCRIPT).is_file()
    return step.command[-1] == ".venv" and (plan.source / ".venv" / "bin" / "python3").exists()


def _execute(step: Step, source: Path) -> int:
    environment = dict(os.environ)
    if step.in_source:
        folder = source.absolute() / ".venv"
        environment["VIRTUAL_ENV"] = str(folder)
        environment["PATH"] = os.pathsep.join((str(folder / "bin"), environment.get("PATH", "")))
    done = subprocess.run(
        step.command,
        check=False,
        cwd=source if step.in_source else None,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
    )
    return done.returncode


def _absent(plan: Plan) -> list[str]:
    return [path for path in plan.made if not (plan.source / path).is_dir()]
