"""The Python packages: present, whole, and of versions that go together.

Nothing is imported: all of it stands in the packages' metadata (PEP 376 ``RECORD``, core metadata).
"""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Callable, Iterator
from typing import Any

from etcoreml.deploy.doctor.check import Check, Status

GROUP = "Packages"
EXTRAS = "Extras"

_OURS = "etcoreml"
_EXTRAS = {
    "torchvision": "zoo names mv2, mv3, resnet18, resnet50, vit",
    "image": "pictures as inputs",
    "llm": "export-llm and generate",
    "demo": "zoo name efficientnet_lite0, make demo",
}
"""The extras that users install, and what they are for."""

_LOWEST = frozenset((">=", ">", "==", "~="))
_NAMED = 3
"""As many missing files as a check names."""

Distributions = Callable[[str], importlib.metadata.Distribution]
"""Finds an installed distribution by name, as `importlib.metadata.distribution` does."""


def check_packages(find: Distributions = importlib.metadata.distribution) -> list[Check]:
    """Look at Python, at every package that etcoreml needs, and at its extras.

    Args:
        find: Where to look.
    """
    try:
        ours = find(_OURS)
        requirements = [_requirement(text) for text in ours.requires or ()]
        python = str(ours.metadata["Requires-Python"] or "")
    except importlib.metadata.PackageNotFoundError:
        remedy = "pip install --no-build-isolation ."
        return [Check(GROUP, _OURS, Status.MISSING, "not installed", "installed", remedy)]
    except ImportError:
        remedy = "pip install packaging"
        return [Check(GROUP, "packaging", Status.MISSING, "not installed", "installed", remedy)]
    checks = [_python(python)]
    checks += [_package(each, find) for each in requirements if _applies(each)]
    checks += _conflicts(requirements, find)
    checks += [_extra(name, requirements, find) for name in _EXTRAS]
    return checks


def version_of(name: str, find: Distributions = importlib.metadata.distribution) -> str | None:
    """Return the installed version of a package; None if there is none or it cannot be told."""
    try:
        return find(name).version or None
    except (importlib.metadata.PackageNotFoundError, KeyError):  # or its metadata is damaged
        return None


def _python(wanted: str) -> Check:
    from packaging.specifiers import SpecifierSet

    found = platform.python_version()
    status = _compared(found, SpecifierSet(wanted))
    remedy = f"Make the environment anew with a Python {wanted}"
    return _check(GROUP, "Python", status, found, wanted, remedy)


def _package(
    requirement: Any, find: Distributions, group: str = GROUP, needed: bool = True
) -> Check:
    name, wanted = requirement.name, str(requirement.specifier)
    remedy = f'pip install "{name}{wanted}"'
    version = version_of(name, find)
    if version is None:
        if _is_there(name, find):
            status, found = Status.BROKEN, "its metadata is damaged"
            remedy = f'pip install --force-reinstall --no-deps "{name}{wanted}"'
        else:
            status, found = Status.MISSING, "not installed"
        return Check(group, name, status, found, wanted, remedy, needed)
    gone = _missing_files(find(name))
    if gone:
        found = f"{version}, but without {', '.join(gone[:_NAMED])}"
        remedy = f'pip install --force-reinstall --no-deps "{name}{wanted}"'
        return Check(group, name, Status.BROKEN, found, "all of its files", remedy, needed)
    status = _compared(version, requirement.specifier)
    return _check(group, name, status, version, wanted, remedy, needed)


def _is_there(name: str, find: Distributions) -> bool:
    try:
        find(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _check(
    group: str,
    name: str,
    status: Status,
    found: str,
    wanted: str,
    remedy: str,
    needed: bool = True,
) -> Check:
    if status is Status.OK:
        return Check(group, name, status, found, needed=needed)
    return Check(group, name, status, found, wanted, remedy, needed)


def _missing_files(distribution: importlib.metadata.Distribution) -> list[str]:
    """Return the native libraries and top-level modules that are recorded and not there.

    Not all files: torch has fifteen thousand.
    """
    return [
        str(file)
        for file in distribution.files or ()
        if ((file.name == "__init__.py" and len(file.parts) == 2) or ".so" in file.suffixes)
        and not distribution.locate_file(file).exists()  # type: ignore[attr-defined]
    ]


def _compared(version: str, specifiers: Any) -> Status:
    from packaging.version import InvalidVersion, Version

    try:
        found = Version(version)
    except InvalidVersion:
        return Status.BROKEN
    if specifiers.contains(found, prereleases=True):
        return Status.OK
    lowest = (each for each in specifiers if each.operator in _LOWEST)
    if any(found < Version(each.version.removesuffix(".*")) for each in lowest):
        return Status.TOO_OLD
    return Status.TOO_NEW


def _conflicts(requirements: list[Any], find: Distributions) -> Iterator[Check]:
    """Yield what our dependencies want of packages and do not have."""
    from packaging.requirements import InvalidRequirement

    for requirement in requirements:
        if not _applies(requirement) or not _is_there(requirement.name, find):
            continue
        for text in find(requirement.name).requires or ():
            try:
                wanted = _requirement(text)
            except InvalidRequirement:  # not ours to mend
                continue
            version = version_of(wanted.name, find)
            if version is None or not _applies(wanted) or not str(wanted.specifier):
                continue
            if _compared(version, wanted.specifier) is not Status.OK:
                yield Check(
                    GROUP,
                    f"{wanted.name} for {requirement.name}",
                    Status.MISMATCH,
                    version,
                    str(wanted.specifier),
                    f'pip install "{wanted.name}{wanted.specifier}"',
                )


def _extra(name: str, requirements: list[Any], find: Distributions) -> Check:
    """Return the worst state of an extra's packages."""
    packages = [
        _package(each, find, EXTRAS, needed=False)
        for each in requirements
        if not _applies(each) and _applies(each, name)
    ]
    bad = [each for each in packages if not each.is_ok]
    what = _EXTRAS[name]
    if not bad:
        return Check(EXTRAS, name, Status.OK, what, needed=False)
    names = " and ".join(each.name for each in bad)
    found = f"{what}: {names} {'is' if len(bad) == 1 else 'are'} {bad[0].status.value}"
    remedy = f"pip install 'etcoreml[{name}]'"
    return Check(EXTRAS, name, bad[0].status, found, None, remedy, needed=False)


def _requirement(text: str) -> Any:
    from packaging.requirements import Requirement

    return Requirement(text)


def _applies(requirement: Any, extra: str = "") -> bool:
    return requirement.marker is None or bool(requirement.marker.evaluate({"extra": extra}))
