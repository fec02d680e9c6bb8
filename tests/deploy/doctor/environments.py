"""Python environments that this one is not, and ``etcoreml doctor`` in them.

An environment is a folder of links to what is installed here, less some packages, with etcoreml's
own files among them. Python is started without its own site-packages and with that folder.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

import etcoreml

SITE = Path(sysconfig.get_paths()["purelib"])
_MAIN = "import sys; sys.argv[0] = 'etcoreml'; from etcoreml.cli import main; main()"


@dataclass(frozen=True)
class Environment:
    """A folder of packages."""

    site: Path

    def doctor(self, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run the command in it."""
        return subprocess.run(
            [sys.executable, "-S", "-c", _MAIN, "doctor", *options],
            capture_output=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(self.site), **variables},
            text=True,
            timeout=120,
        )

    def report(self, **variables: str) -> tuple[int, dict[str, dict[str, Any]]]:
        """Return the exit code, and the checks by name."""
        done = self.doctor("--json", **variables)
        assert done.stdout, done.stderr
        document = json.loads(done.stdout)
        assert document["ok"] is (done.returncode == 0)
        return done.returncode, {each["name"]: each for each in document["checks"]}


def environment(
    folder: Path,
    *,
    without: Iterable[str] = (),
    only: Iterable[str] | None = None,
    build_info: dict[str, str] | None = None,
    bridge: bool = True,
) -> Environment:
    """Make an environment.

    Args:
        folder: Where to.
        without: Packages that are not installed in it.
        only: The packages that are installed in it, with what they need, besides etcoreml; None
            for those of here.
        build_info: What the bridge says it was built for; None for the truth.
        bridge: Whether the bridge was built.
    """
    folder.mkdir()
    if only is None:
        entries = {each.name for each in SITE.iterdir()}
    else:
        entries = {entry for name in _needed(only) for entry in _entries(name)}
    for entry in entries - {entry for name in without for entry in _entries(name)}:
        if "etcoreml" not in entry and (SITE / entry).exists():
            (folder / entry).symlink_to(SITE / entry)
    _ours(folder, build_info, bridge)
    return Environment(folder)


def _entries(package: str) -> set[str]:
    """Return the first parts of the paths of a package's files."""
    files = importlib.metadata.distribution(package).files or ()
    return {file.parts[0] for file in files if file.parts[0] not in ("..", "__pycache__")}


def _needed(packages: Iterable[str]) -> set[str]:
    pending, found = list(packages), set[str]()
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            wanted = map(Requirement, importlib.metadata.requires(name) or ())
            pending += [
                each.name
                for each in wanted
                if not each.marker or each.marker.evaluate({"extra": ""})
            ]
    return found


def _ours(folder: Path, build_info: dict[str, str] | None, bridge: bool) -> None:
    package = folder / "etcoreml"
    package.mkdir()
    for source in Path(etcoreml.__file__).parent.iterdir():
        if source.name not in ("_build_info.py", "__pycache__"):
            (package / source.name).symlink_to(source)
    (installed,) = SITE.glob("etcoreml-*.dist-info")
    (folder / installed.name).symlink_to(installed)
    if not bridge:
        return
    from etcoreml import _build_info, _native

    info = {
        "EXECUTORCH_VERSION": _build_info.EXECUTORCH_VERSION,
        "OPENVINO_VERSION": _build_info.OPENVINO_VERSION,
        **(build_info or {}),
    }
    (package / "_build_info.py").write_text("".join(f"{k} = {v!r}\n" for k, v in info.items()))
    # Copied in full where it is linked relative to its own place.
    native = Path(_native.__file__)
    for library in (native, *native.parent.glob("libetcoreml_kernels.so")):
        if not (package / library.name).exists():
            (package / library.name).symlink_to(library)
