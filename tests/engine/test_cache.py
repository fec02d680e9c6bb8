"""The model cache: what is found again, and that nothing it meets can hurt.

Oracle: the same program compiled without a cache.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from etcoreml.engine import cache as module
from etcoreml.engine import compile_function
from etcoreml.engine.cache import (
    ENVIRONMENT,
    ModelCache,
    cache_directory,
)
from etcoreml.errors import FeatureTypeError, UsageError
from tests.cases import mil_function, save_converted
from tests.engine.cached import (
    X,
    classifier,
    everything_is_worth_caching,
    network,
    nothing_is_translated,
    program,
    same,
)


@pytest.fixture(autouse=True)
def _worth() -> Iterator[None]:
    with everything_is_worth_caching():
        yield


def entries(directory: Path) -> list[Path]:
    return sorted(directory.glob("*.model"))


@pytest.mark.parametrize("numerics", ["fast", "faithful"])
@pytest.mark.parametrize(
    ("build", "varies"), [(network, False), (network, True), (classifier, False)]
)
def test_found_again(tmp_path: Path, build: Any, varies: bool, numerics: str) -> None:
    made = program(build, varies)
    options: dict[str, Any] = {"numerics": numerics, "cache_dir": tmp_path}
    expected = compile_function(made, numerics=numerics, cache_dir="")
    first = compile_function(made, **options)
    with nothing_is_translated():
        second = compile_function(made, **options)
    for session in (first, second):
        assert same(session.run({"x": X}), expected.run({"x": X}))
        assert (session.inputs, session.outputs) == (expected.inputs, expected.outputs)
        assert (session.function, session.devices) == (expected.function, expected.devices)
    assert len(entries(tmp_path)) == 1
    assert [path.name for path in tmp_path.iterdir()] == [entries(tmp_path)[0].name]


def test_other_threads_find_the_same_entry(tmp_path: Path) -> None:
    made = program()
    compile_function(made, threads=1, cache_dir=tmp_path)
    with nothing_is_translated():
        session = compile_function(made, threads=2, cache_dir=tmp_path)
    assert same(session.run({"x": X}), compile_function(made, threads=2).run({"x": X}))


def test_other_programs_and_numerics_do_not(tmp_path: Path) -> None:
    compile_function(program(), cache_dir=tmp_path)
    compile_function(program(name=b"two"), cache_dir=tmp_path)
    compile_function(program(), numerics="faithful", cache_dir=tmp_path)
    assert len(entries(tmp_path)) == 3


def test_not_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = program()
    compile_function(made, profiling=True, cache_dir=tmp_path)
    compile_function(made, cache_dir="")
    monkeypatch.setattr("etcoreml.engine.compile._CACHED_NODES", 10**6)
    compile_function(made, cache_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["flip", "truncate", "empty", "directory"])
def test_a_damaged_entry_is_built_again(
    tmp_path: Path, damage: str, capfd: pytest.CaptureFixture[str]
) -> None:
    made = program()
    expected = compile_function(made, cache_dir=tmp_path).run({"x": X})
    (path,) = entries(tmp_path)
    content = path.read_bytes()
    if damage == "flip":
        path.write_bytes(content[:1000] + bytes([content[1000] ^ 1]) + content[1001:])
    elif damage == "directory":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(content[: len(content) // 2 if damage == "truncate" else 0])
    session = compile_function(made, cache_dir=tmp_path)
    assert same(session.run({"x": X}), expected)
    if damage != "directory":  # which nothing but its owner can explain
        with nothing_is_translated():
            compile_function(made, cache_dir=tmp_path)
    assert capfd.readouterr() == ("", "")


def test_what_openvino_refuses_is_built_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An intact entry that OpenVINO cannot import, as after an update that keeps its version."""
    made = program()
    monkeypatch.setattr("etcoreml.engine.cache_entry._model_start", lambda _: 77)
    expected = compile_function(made, cache_dir=tmp_path).run({"x": X})
    monkeypatch.undo()
    with everything_is_worth_caching():
        assert same(compile_function(made, cache_dir=tmp_path).run({"x": X}), expected)
        with nothing_is_translated():
            compile_function(made, cache_dir=tmp_path)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """As on a read-only disk; permissions would not stop a test that runs as root."""
    (tmp_path / "file").touch()
    session = compile_function(program(), cache_dir=tmp_path / "file" / "cache")
    assert session.run({"x": X})


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("saved") / "network.mlpackage"
    return save_converted(mil_function({"x": X}, network, "iOS17"), path, target="iOS17")


# Compiles a package whose path is given, with the cache in a folder that is given too.
PREAMBLE = """
import os, sys
import numpy as np
from etcoreml.engine import cache_key, compile
from etcoreml.mil.open import open_model
compile._CACHED_NODES = 1
cache_key._code = lambda: "whatever is edited while this runs"
def run(cache_dir=sys.argv[2]):
    session = compile.compile_function(open_model(sys.argv[1]), cache_dir=cache_dir)
    return sum(each.sum() for each in session.run({"x": np.ones((2, 256), np.float32)}).values())
"""
RUN = "print(run())"


def start(script: str, *arguments: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PREAMBLE + script, *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)


def test_a_full_disk(package: Path, tmp_path: Path) -> None:
    """The limit on the size of a file stands in for it: writes fail halfway."""
    limit = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
"""
    with start(limit + RUN, package, tmp_path) as limited, start(RUN, package, tmp_path) as free:
        assert limited.communicate(timeout=120) == free.communicate(timeout=120)
        assert limited.returncode == 0
    assert len(entries(tmp_path)) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")
def test_processes_share_it(package: Path, tmp_path: Path) -> None:
    """Three compile at once; a forked child, which could wait for ever, does not read it."""
    running = [start(RUN, package, tmp_path) for _ in range(3)]
    results = {process.communicate(timeout=120) for process in running}
    assert len(results) == 1, results
    assert len(entries(tmp_path)) == 1
    fork = """
expected = run("")
pid = os.fork()
if pid == 0:
    compile.core().import_model = None
    sys.exit(0 if np.isclose(run(), expected) else 3)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""
    with start(fork, package, tmp_path) as process:
        assert process.communicate(timeout=120) == ("", "")
        assert process.returncode == 0


def test_the_least_recently_used_go_first(tmp_path: Path) -> None:
    names = [b"one", b"two", b"three"]
    for age, name in enumerate(reversed(names)):
        compile_function(program(name=name), cache_dir=tmp_path)
        (path,) = set(entries(tmp_path)) - {e for e in entries(tmp_path) if e.stat().st_mtime < 1e9}
        os.utime(path, (1000 - age, 1000 - age))
    with nothing_is_translated():  # a hit is a use
        compile_function(program(name=b"one"), cache_dir=tmp_path)
    kept = max(entries(tmp_path), key=lambda path: path.stat().st_mtime)
    abandoned = tmp_path / ".etcoreml-building-abandone"
    abandoned.mkdir()
    os.utime(abandoned, (1000, 1000))
    size = kept.stat().st_size
    cache = ModelCache(tmp_path, limit_nbytes=int(2.5 * size))
    with cache.scratch() as scratch:
        assert scratch is not None
        fresh = scratch.name
        cache._evict(keep=tmp_path / "new")
        assert fresh in os.listdir(tmp_path)  # noqa: PTH208
    assert kept in entries(tmp_path)
    assert len(entries(tmp_path)) == 2
    assert not abandoned.exists()


FOREIGN = (
    "tokenizer.model",
    f"{'0' * 63}.model",
    f"{'A' * 64}.model",
    f"{'0' * 64}.model.bak",
    f"a{'0' * 64}.digest",
    "sha256.digest",
    f"{'0' * 64}.model\n",
)
FOREIGN_FOLDERS = (
    "building-site",
    ".etcoreml-building-plan",
    "x.etcoreml-building-abcdefgh",
    f"{'1' * 64}.model",
)


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder in which the cache is not alone."""
    for name in FOREIGN:
        (tmp_path / name).write_bytes(b"x" * 1000)
    (tmp_path / f"{'2' * 64}.model").symlink_to(tmp_path / "tokenizer.model")
    for name in FOREIGN_FOLDERS:
        (tmp_path / name).mkdir()
        (tmp_path / name / "content").touch()
    for path in tmp_path.iterdir():
        os.utime(path, (1000, 1000))
    return tmp_path


@pytest.mark.parametrize("remove", ["purge", "evict"])
def test_what_is_not_the_cache_s_is_left(shared: Path, remove: str) -> None:
    before = sorted(shared.rglob("*"))
    for name in (f"{'a1' * 32}.model", f"{'b2' * 32}.digest"):
        (shared / name).write_bytes(b"y" * 1000)
        os.utime(shared / name, (2000, 2000))
    cache = ModelCache(shared, limit_nbytes=1)
    if remove == "purge":
        assert cache.purge() == 2000
    else:
        cache._evict(keep=shared / "none")
    assert sorted(shared.rglob("*")) == before


def test_what_is_not_the_cache_s_does_not_count(shared: Path) -> None:
    kept = shared / f"{'a1' * 32}.model"
    kept.write_bytes(b"y" * 1000)
    ModelCache(shared, limit_nbytes=1000)._evict(keep=shared / "none")
    assert kept.exists()


@pytest.mark.parametrize("when", ["before it is stored", "while it is sealed"])
def test_a_scratch_folder_that_vanishes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Another process, of another version perhaps, deletes it."""
    owner: Any = ModelCache if when == "before it is stored" else module
    name = "store" if when == "before it is stored" else "seal"
    original = getattr(owner, name)

    def after_removal(*arguments: Any) -> None:
        shutil.rmtree(next(tmp_path.glob(".etcoreml-building-*")))
        original(*arguments)

    monkeypatch.setattr(owner, name, after_removal)
    made = program()
    session = compile_function(made, cache_dir=tmp_path)
    assert same(session.run({"x": X}), compile_function(made, cache_dir="").run({"x": X}))
    assert list(tmp_path.iterdir()) == []


def test_purging_leaves_models_being_built(tmp_path: Path) -> None:
    cache = ModelCache(tmp_path)
    with cache.scratch() as scratch:
        assert scratch is not None
        (scratch / "1.blob").touch()
        assert cache.purge() == 0
        assert (scratch / "1.blob").exists()
        os.utime(scratch, (1000, 1000))
        assert cache.purge() == 0
        assert not scratch.exists()


def test_purging_goes_on_after_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of four entries one has gone meanwhile, and one cannot be deleted."""
    paths = [tmp_path / f"{letter * 64}.model" for letter in "abcd"]
    for age, path in enumerate(paths):
        path.write_bytes(b"x" * 10)
        os.utime(path, (1000 + age, 1000 + age))
    unlink = Path.unlink

    def failing(path: Path, missing_ok: bool = False) -> None:
        if path == paths[0]:
            unlink(path)
            raise FileNotFoundError
        if path == paths[1]:
            raise PermissionError(1, "Operation not permitted")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", failing)
    with pytest.raises(UsageError, match=r"cannot purge.*b\.model'; found Operation not permitted"):
        ModelCache(tmp_path).purge()
    assert entries(tmp_path) == [paths[1]]
    ModelCache(tmp_path, limit_nbytes=0)._evict(keep=paths[0])  # silent
    paths[1].replace(tmp_path / "other")
    assert ModelCache(tmp_path).purge() == 0


def test_a_model_larger_than_the_limit_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = ModelCache(tmp_path, limit_nbytes=1000)
    monkeypatch.setattr("etcoreml.engine.compile.ModelCache", lambda _: cache)
    assert compile_function(program(), cache_dir=tmp_path).run({"x": X})
    assert entries(tmp_path) == []


def test_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_directory() is None  # tests/conftest.py
    for value, expected in (("0", None), ("", None), ("/x", Path("/x"))):
        monkeypatch.setenv(ENVIRONMENT, value)
        assert cache_directory() == expected
    assert cache_directory("/y") == Path("/y")
    assert cache_directory("") is None
    monkeypatch.setenv("HOME", "/home/somebody")
    assert cache_directory("~/y") == Path("/home/somebody/y")
    assert cache_directory(Path("$HOME/~")) == Path("$HOME/~")
    monkeypatch.setenv(ENVIRONMENT, "~/z")
    assert cache_directory() == Path("/home/somebody/z")
    monkeypatch.delenv(ENVIRONMENT)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_directory() == tmp_path / "etcoreml"
    monkeypatch.setenv("HOME", "/home/somebody")
    for relative in ("", "relative"):
        monkeypatch.setenv("XDG_CACHE_HOME", relative)
        assert cache_directory() == Path("/home/somebody/.cache/etcoreml")


@pytest.mark.parametrize("choice", [3, True, b"/x", ["x"]])
def test_what_is_no_path(choice: Any) -> None:
    with pytest.raises(FeatureTypeError, match="cache_dir is no path; found"):
        compile_function(program(), cache_dir=choice)


def test_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        msg = "Could not determine home directory."
        raise RuntimeError(msg)

    monkeypatch.delenv(ENVIRONMENT)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert cache_directory() is None
    assert compile_function(program()).run({"x": X})


def test_digests_are_remembered(tmp_path: Path) -> None:
    cache = ModelCache(tmp_path / "made")
    digest = "0123456789abcdef" * 4
    assert cache.remembered("name", lambda: digest) == digest
    assert cache.remembered("name", lambda: pytest.fail("computed again")) == digest
    (tmp_path / "made" / "name.digest").write_text("short")
    assert cache.remembered("name", lambda: digest) == digest
    assert time.time() - (tmp_path / "made" / "name.digest").stat().st_mtime < 60
