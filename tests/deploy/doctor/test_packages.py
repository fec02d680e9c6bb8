"""Versions and files of packages. Oracle: metadata written here, as pip writes it."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from pathlib import Path

import pytest

from etcoreml.deploy.doctor import Check, Status
from etcoreml.deploy.doctor.packages import Distributions, check_packages, version_of

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path) -> Install:
    """Writes what pip would: ``install(name, version, requires, files)``."""

    def write(
        name: str, version: str, requires: tuple[str, ...] = (), files: tuple[str, ...] = ()
    ) -> None:
        folder = tmp_path / f"{name}-{version}.dist-info"
        folder.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
        lines += [f"Requires-Dist: {each}" for each in requires]
        if name == "etcoreml":
            lines.append("Requires-Python: >=3.10,<3.14")
        (folder / "METADATA").write_text("\n".join(lines) + "\n")
        (folder / "RECORD").write_text("".join(f"{each},,\n" for each in files))

    return write


@pytest.fixture
def find(tmp_path: Path) -> Distributions:
    def find_in_folder(name: str) -> importlib.metadata.Distribution:
        found = importlib.metadata.Distribution.discover(name=name, path=[str(tmp_path)])
        for each in found:
            return each
        raise importlib.metadata.PackageNotFoundError(name)

    return find_in_folder


def by_name(checks: list[Check]) -> dict[str, Check]:
    return {each.name: each for each in checks}


def test_versions(install: Install, find: Distributions) -> None:
    wanted = ("fits>=1.2,<2", "old>=1.2,<2", "young>=1.2,<2", "absent>=1", "pinned==1.5.*")
    install("etcoreml", "0.1", (*wanted, 'elsewhere>=1; sys_platform == "plan9"'))
    for name, version in (
        ("fits", "1.9+cpu"),
        ("old", "1.1.9"),
        ("young", "2.0"),
        ("pinned", "1.4.2"),
    ):
        install(name, version)
    checks = by_name(check_packages(find))
    found = {name: checks[name].status for name in ("fits", "old", "young", "absent", "pinned")}
    assert found == {
        "fits": Status.OK,
        "old": Status.TOO_OLD,
        "young": Status.TOO_NEW,
        "absent": Status.MISSING,
        "pinned": Status.TOO_OLD,
    }
    assert checks["Python"].status is Status.OK
    assert "elsewhere" not in checks
    assert checks["old"].remedy == 'pip install "old<2,>=1.2"'
    assert checks["old"].found == "1.1.9"
    assert checks["fits"].remedy is None
    assert checks["absent"].fails
    assert not checks["fits"].fails


def test_files_that_are_gone(install: Install, find: Distributions, tmp_path: Path) -> None:
    install("etcoreml", "0.1", ("half>=1", "whole>=1"))
    install("half", "1.0", files=("half/__init__.py", "half/lib.so.1", "half/data.txt"))
    install("whole", "1.0", files=("whole/__init__.py", "whole/lib.so", "whole/gone.txt"))
    for name in ("half/__init__.py", "whole/__init__.py", "whole/lib.so"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    checks = by_name(check_packages(find))
    assert checks["half"].status is Status.BROKEN
    assert checks["half"].found == "1.0, but without half/lib.so.1"
    assert checks["half"].remedy == 'pip install --force-reinstall --no-deps "half>=1"'
    # Only what has to be there for the package to be imported is looked for.
    assert checks["whole"].status is Status.OK


def test_damaged_metadata(install: Install, find: Distributions, tmp_path: Path) -> None:
    install("etcoreml", "0.1", ("damaged>=1", "strange>=1"))
    install("damaged", "1.0")
    (tmp_path / "damaged-1.0.dist-info" / "METADATA").unlink()
    install("strange", "no-version")
    checks = by_name(check_packages(find))
    assert checks["damaged"].status is checks["strange"].status is Status.BROKEN
    assert version_of("damaged", find) is None


def test_what_packages_want_of_one_another(install: Install, find: Distributions) -> None:
    install("etcoreml", "0.1", ("host>=1", "array>=1"))
    install("host", "1.0", ("array>=2", "other<1; extra == 'more'", "Not A Requirement", "plain"))
    install("array", "1.26")
    install("other", "3.0")
    checks = check_packages(find)
    (conflict,) = (each for each in checks if each.status is Status.MISMATCH)
    assert conflict.name == "array for host"
    assert (conflict.found, conflict.expected) == ("1.26", ">=2")
    assert conflict.fails


def test_extras_are_not_needed(install: Install, find: Distributions) -> None:
    install(
        "etcoreml",
        "0.1",
        ('pillow>=10; extra == "image"', 'a>=1; extra == "llm"', 'b>=1; extra == "llm"'),
    )
    install("pillow", "11.0")
    checks = by_name(check_packages(find))
    assert checks["image"].status is Status.OK
    assert checks["llm"].status is Status.MISSING
    assert checks["llm"].found == "export-llm and generate: a and b are missing"
    assert checks["llm"].remedy == "pip install 'etcoreml[llm]'"
    assert not checks["llm"].fails


def test_not_installed_at_all(find: Distributions) -> None:
    (check,) = check_packages(find)
    assert (check.name, check.status) == ("etcoreml", Status.MISSING)
    assert check.fails
