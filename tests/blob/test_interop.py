"""Blobs against executorch's own binary helper, which is the oracle.

The helper is loaded from its file in a child process: it prints, it can crash, and importing its
package would import all of upstream's backend.
"""

import importlib.util
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from etcoreml.blob import ROOT_NAME, Directory, read_blob, write_blob

_CHILD = """
import importlib.util, pathlib, sys
library, verb, source, destination = sys.argv[1:]
spec = importlib.util.spec_from_file_location("executorchcoreml", library)
helper = importlib.util.module_from_spec(spec)
spec.loader.exec_module(helper)
if verb == "unflatten":
    blob = pathlib.Path(source).read_bytes()
    sys.exit(not helper.unflatten_directory_contents(blob, destination))
with open(destination, "wb") as stream:
    stream.write(helper.flatten_directory_contents(source))
"""


@pytest.fixture(scope="module")
def helper() -> Path:
    """Path of the helper's library; its absence fails the test where executorch ships it."""
    spec = importlib.util.find_spec("executorch")
    assert spec is not None, "executorch is a dependency"
    for root in spec.submodule_search_locations or ():
        for library in Path(root, "backends/apple/coreml").glob("executorchcoreml*.so"):
            return library
    if (platform.system(), platform.machine()) == ("Linux", "x86_64"):
        pytest.fail("executorch's wheel for Linux x86_64 has no executorchcoreml library")
    pytest.skip("executorch has no executorchcoreml library for this platform")


def call(helper: Path, verb: str, source: Path, destination: Path) -> None:
    command = [sys.executable, "-c", _CHILD, str(helper), verb, str(source), str(destination)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert result.returncode == 0, result.stderr


def unflatten(helper: Path, blob: bytes, scratch: Path) -> Directory:
    """Return the tree upstream writes to disk for a blob."""
    (scratch / "blob").write_bytes(blob)
    (scratch / "out").mkdir()
    call(helper, "unflatten", scratch / "blob", scratch / "out")
    assert [path.name for path in (scratch / "out").iterdir()] == [ROOT_NAME]
    return Directory.from_path(scratch / "out" / ROOT_NAME)


@pytest.mark.parametrize("alignment", [1, 64, 4096])
@pytest.mark.parametrize("padding", [0, 33])
def test_upstream_reads_our_blob(
    helper: Path, tmp_path: Path, model_tree: Directory, alignment: int, padding: int
) -> None:
    blob = write_blob(model_tree, alignment=alignment) + bytes(padding)
    assert unflatten(helper, blob, tmp_path) == model_tree


@pytest.mark.parametrize("seed", range(5))
def test_upstream_reads_random_trees(helper: Path, tmp_path: Path, random_tree, seed: int) -> None:
    tree = random_tree(seed)
    assert unflatten(helper, write_blob(tree), tmp_path) == tree


def test_upstream_reads_a_name_full_of_quotes(helper: Path, tmp_path: Path) -> None:
    # Upstream's writer puts a backslash before each quote; its reader then miscounts the braces.
    names = ("x" * index + '"{' * 60 for index in range(30))
    tree = Directory.from_mapping(ROOT_NAME, dict.fromkeys(names, b"1"))
    assert unflatten(helper, write_blob(tree), tmp_path) == tree


@pytest.mark.parametrize("seed", range(3))
def test_we_read_what_upstream_writes(
    helper: Path, tmp_path: Path, model_tree: Directory, random_tree, seed: int
) -> None:
    tree = random_tree(seed) if seed else model_tree
    tree.extract(tmp_path / ROOT_NAME)
    call(helper, "flatten", tmp_path / ROOT_NAME, tmp_path / "blob")
    blob = (tmp_path / "blob").read_bytes()
    assert read_blob(blob) == tree


@pytest.mark.slow
def test_we_read_what_upstream_writes_above_1_gib(helper: Path, tmp_path: Path) -> None:
    source = tmp_path / ROOT_NAME
    source.mkdir()
    with (source / "weight.bin").open("wb") as stream:
        stream.seek((1 << 30) + 12_345)
        stream.write(b"end")
    (source / "metadata.json").write_bytes(b"{}")
    call(helper, "flatten", source, tmp_path / "blob")
    blob = Directory.from_path(tmp_path, "scratch").read("blob")
    assert blob[-64:] == bytes(64)
    tree = read_blob(blob)
    assert tree.read("metadata.json") == b"{}"
    assert tree.read("weight.bin").nbytes == (1 << 30) + 12_348
    assert tree.read("weight.bin")[-3:] == b"end"
