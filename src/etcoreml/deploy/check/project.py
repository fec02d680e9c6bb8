"""Whether an Xcode project is complete: its object graph, its folder and its scheme.

Enters: the property list of a ``project.pbxproj``, by whichever parser, and the project's folder.
Leaves: what is wrong, a sentence for each.
"""

from __future__ import annotations

import plistlib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree import ElementTree

from etcoreml.errors import ProjectError

_ID = re.compile(r"[0-9A-F]{24}")
_SOURCES = frozenset({".swift", ".m"})
_NOT_COMPILED = frozenset({".h"})
_HIDDEN = re.compile(r"(^|/)\.")
# What each class of object must say, and which of it names another object of which class.
_REQUIRED: Mapping[str, Mapping[str, str | None]] = {
    "PBXBuildFile": {},
    "PBXContainerItemProxy": {"containerPortal": "PBXProject", "remoteGlobalIDString": None},
    "PBXFileReference": {"path": None, "sourceTree": None},
    "PBXFrameworksBuildPhase": {"files": "PBXBuildFile"},
    "PBXGroup": {"children": "PBXGroup|PBXFileReference", "sourceTree": None},
    "PBXNativeTarget": {
        "buildConfigurationList": "XCConfigurationList",
        "buildPhases": "PBX(Sources|Frameworks|Resources)BuildPhase",
        "dependencies": "PBXTargetDependency",
        "name": None,
        "productReference": "PBXFileReference",
        "productType": None,
    },
    "PBXProject": {
        "buildConfigurationList": "XCConfigurationList",
        "mainGroup": "PBXGroup",
        "productRefGroup": "PBXGroup",
        "targets": "PBXNativeTarget",
    },
    "PBXResourcesBuildPhase": {"files": "PBXBuildFile"},
    "PBXSourcesBuildPhase": {"files": "PBXBuildFile"},
    "PBXTargetDependency": {"target": "PBXNativeTarget", "targetProxy": "PBXContainerItemProxy"},
    "XCBuildConfiguration": {"buildSettings": None, "name": None},
    "XCConfigurationList": {
        "buildConfigurations": "XCBuildConfiguration",
        "defaultConfigurationName": None,
    },
    "XCLocalSwiftPackageReference": {"relativePath": None},
    "XCRemoteSwiftPackageReference": {"repositoryURL": None, "requirement": None},
    "XCSwiftPackageProductDependency": {"productName": None},
}


def check_project(
    document: Mapping[str, Any], folder: Path, *, products: Sequence[str] = ()
) -> list[str]:
    """Return what is wrong with a project.

    Checked are: every id names an object of the right class, and every object is reached; every
    file that is referred to exists, but for frameworks that are built later; every source and
    resource in the targets' folders is in a build phase; every product of a package is linked and
    its package is there; property lists, the scheme and the workspace parse, and the scheme's
    targets exist.

    Args:
        document: The property list.
        folder: That of the ``.xcodeproj``.
        products: Products of Swift packages that the app has to link, and no others.
    """
    graph = _Graph(document)
    problems = list(graph.problems())
    if problems:
        return problems  # what follows walks the graph
    problems += _files(graph, folder)
    problems += _phases(graph, folder)
    problems += _packages(graph, products)
    problems += _documents(graph, folder)
    return problems


class _Graph:
    def __init__(self, document: Mapping[str, Any]) -> None:
        objects = document.get("objects")
        self.objects: Mapping[str, Any] = objects if isinstance(objects, Mapping) else {}
        self.root = str(document.get("rootObject"))

    def of(self, isa: str) -> dict[str, Mapping[str, Any]]:
        return {key: each for key, each in self.objects.items() if each["isa"] == isa}

    def problems(self) -> Iterator[str]:
        """Yield what is wrong with ids and classes."""
        if self.objects.get(self.root, {}).get("isa") != "PBXProject":
            yield f"rootObject {self.root} is not a PBXProject"
            return
        for key, each in self.objects.items():
            yield from self._object(key, each)
        reached: set[str] = set()
        self._reach(self.root, reached)
        for key in sorted(set(self.objects) - reached):
            yield f"{self.objects[key].get('isa')} {key} is not used"

    def _object(self, key: str, value: Mapping[str, Any]) -> Iterator[str]:
        isa = str(value.get("isa"))
        if isa not in _REQUIRED:
            yield f"object {key} is of the unknown class {isa}"
            return
        for field, kind in _REQUIRED[isa].items():
            if field not in value:
                yield f"{isa} {key} has no {field}"
            elif kind is not None:
                for reference in _listed(value[field]):
                    found = self.objects.get(reference, {}).get("isa")
                    if found is None or not re.fullmatch(kind, found):
                        yield f"{isa} {key}: {field} {reference} is {found}, not a {kind}"
        for reference in _ids(value):
            if reference not in self.objects:
                yield f"{isa} {key} refers to {reference}, which does not exist"
        if isa == "PBXBuildFile" and not {"fileRef", "productRef"} & set(value):
            yield f"PBXBuildFile {key} has neither fileRef nor productRef"

    def _reach(self, key: str, reached: set[str]) -> None:
        if key in self.objects and key not in reached:
            reached.add(key)
            for reference in _ids(self.objects[key]):
                self._reach(reference, reached)

    def paths(self) -> dict[str, PurePosixPath]:
        """Return the path of each file of the project's folder, by its reference."""
        found: dict[str, PurePosixPath] = {}

        def walk(group: Mapping[str, Any], at: PurePosixPath) -> None:
            for key in group["children"]:
                child = self.objects[key]
                path = at / child.get("path", "")
                if child["isa"] == "PBXGroup":
                    walk(child, path)
                elif child["sourceTree"] == "<group>":
                    found[key] = path

        walk(self.objects[self.objects[self.root]["mainGroup"]], PurePosixPath())
        return found

    def phase(self, target: Mapping[str, Any], isa: str) -> list[Mapping[str, Any]]:
        """Return the entries of a target's build phase."""
        return [
            self.objects[entry]
            for key in target["buildPhases"]
            if self.objects[key]["isa"] == isa
            for entry in self.objects[key]["files"]
        ]


def _listed(value: Any) -> list[str]:
    return [str(each) for each in value] if isinstance(value, (list, tuple)) else [str(value)]


def _ids(value: Any) -> Iterator[str]:
    """Yield every id in a value."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            yield from _ids(key)
            yield from _ids(each)
    elif isinstance(value, (list, tuple)):
        for each in value:
            yield from _ids(each)
    elif isinstance(value, str) and _ID.fullmatch(value):
        yield value


def _files(graph: _Graph, folder: Path) -> Iterator[str]:
    for key, path in graph.paths().items():
        # Frameworks from source are built by the user, as the README says.
        if path.suffix != ".xcframework" and not (folder / path).is_file():
            yield f"PBXFileReference {key}: there is no file '{path}'"


def _phases(graph: _Graph, folder: Path) -> Iterator[str]:
    paths = graph.paths()
    for target in graph.of("PBXNativeTarget").values():
        name = target["name"]
        for phase, wanted in (("Sources", True), ("Resources", False)):
            entries = graph.phase(target, f"PBX{phase}BuildPhase")
            listed = [str(paths.get(entry.get("fileRef", ""), "")) for entry in entries]
            yield from (
                f"target {name}: {path} is twice in {phase}"
                for path in sorted({each for each in listed if listed.count(each) > 1})
            )
            on_disk = {
                path.relative_to(folder).as_posix()
                for path in (folder / name).rglob("*")
                if path.is_file()
                and (path.suffix in _SOURCES) is wanted
                and path.suffix not in _NOT_COMPILED
            }
            missing = sorted(each for each in on_disk - set(listed) if not _HIDDEN.search(each))
            yield from (f"target {name}: {path} is not in {phase}" for path in missing)
            yield from (
                f"target {name}: {path} does not belong in {phase}"
                for path in sorted(set(listed) - on_disk)
            )
        if not graph.phase(target, "PBXSourcesBuildPhase"):
            yield f"target {name} compiles nothing"
        for setting in ("PRODUCT_NAME", "PRODUCT_BUNDLE_IDENTIFIER"):
            for key in graph.objects[target["buildConfigurationList"]]["buildConfigurations"]:
                configuration = graph.objects[key]
                if not configuration["buildSettings"].get(setting):
                    yield f"target {name}, {configuration['name']}: {setting} is not set"


def _packages(graph: _Graph, products: Sequence[str]) -> Iterator[str]:
    project = graph.objects[graph.root]
    remote, local = (graph.of(f"XC{kind}SwiftPackageReference") for kind in ("Remote", "Local"))
    for key in {**remote, **local}:
        if key not in project.get("packageReferences", ()):
            yield f"package {key} is not among the project's"
    for package in remote.values():
        if not str(package["repositoryURL"]).startswith("https://"):
            yield f"package {package['repositoryURL']} is not an https URL"
        requirement = package["requirement"]
        if not isinstance(requirement, Mapping) or not requirement.get("branch"):
            yield f"package {package['repositoryURL']} is bound to no branch"
    linked = set()
    for target in graph.of("PBXNativeTarget").values():
        entries = {
            entry["productRef"]
            for entry in graph.phase(target, "PBXFrameworksBuildPhase")
            if "productRef" in entry
        }
        depends = set(target.get("packageProductDependencies", ()))
        for key in sorted(entries ^ depends):
            product = graph.objects[key]["productName"]
            yield f"target {target['name']}: {product} is linked or depended on, and not both"
        linked |= {graph.objects[key]["productName"] for key in entries & depends}
    for dependency in graph.of("XCSwiftPackageProductDependency").values():
        if dependency.get("package") not in remote and not local:
            yield f"product {dependency['productName']} is of no package"
    for product in sorted(linked ^ set(products)):
        how = "not linked" if product in products else "linked, and not needed"
        yield f"product {product} is {how}"


def _documents(graph: _Graph, folder: Path) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".plist", ".xcprivacy", ".entitlements"):
            try:
                plistlib.loads(path.read_bytes())
            except Exception as error:  # plistlib raises whatever its parser meets
                yield f"{path.relative_to(folder)} is no property list: {error}"
        elif path.suffix in (".xcscheme", ".xcworkspacedata"):
            try:
                document = ElementTree.fromstring(path.read_bytes())
            except ElementTree.ParseError as error:
                yield f"{path.relative_to(folder)} is no XML: {error}"
                continue
            yield from _scheme(graph, document, path.relative_to(folder))
    if not any(folder.glob("*.xcodeproj/xcshareddata/xcschemes/*.xcscheme")):
        yield "there is no shared scheme"


def _scheme(graph: _Graph, document: ElementTree.Element, path: Path) -> Iterator[str]:
    targets = graph.of("PBXNativeTarget")
    for reference in document.iter("BuildableReference"):
        target = targets.get(reference.get("BlueprintIdentifier", ""))
        if target is None or target["name"] != reference.get("BlueprintName"):
            yield f"{path}: there is no target {reference.get('BlueprintName')}"


def require_complete(document: Mapping[str, Any], folder: Path, products: Sequence[str]) -> None:
    """Refuse a project that is not complete.

    Raises:
        ProjectError: It is not; a defect of etcoreml.
    """
    problems = check_project(document, folder, products=products)
    if problems:
        raise ProjectError("the project is not complete", found="; ".join(problems))
