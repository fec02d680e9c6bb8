"""The object graph of an Xcode project: an app, its hosted unit tests, packages and frameworks.

Enters: `XcodeProject`, a description. Leaves: `Graph` and the id of its root.

Source: projects that Xcode 15 and 16 make; Xcode's build setting reference.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from etcoreml.deploy.app.pbxproj import Graph, object_id

_FILE_TYPES = {
    ".swift": "sourcecode.swift",
    ".m": "sourcecode.c.objc",
    ".h": "sourcecode.c.h",
    ".md": "net.daringfireball.markdown",
    ".txt": "text",
    ".json": "text.json",
    ".xcprivacy": "text.xml",
    ".xcframework": "wrapper.xcframework",
    ".pte": "file",
}
_SOURCES = (".swift", ".m")
_MASK = "2147483647"
_TOOLS = "16.0"
_UPGRADE = "1600"

_ROOT = "root"

Settings = Mapping[str, "str | list[str]"]

_COMMON: Settings = {
    "ALWAYS_SEARCH_USER_PATHS": "NO",
    "CLANG_ENABLE_MODULES": "YES",
    "CLANG_ENABLE_OBJC_ARC": "YES",
    "CLANG_WARN_DOCUMENTATION_COMMENTS": "YES",
    "COPY_PHASE_STRIP": "NO",
    "CURRENT_PROJECT_VERSION": "1",
    "ENABLE_USER_SCRIPT_SANDBOXING": "YES",
    "GCC_C_LANGUAGE_STANDARD": "gnu17",
    "GENERATE_INFOPLIST_FILE": "YES",
    "MARKETING_VERSION": "1.0",
}
_DEBUG: Settings = {
    "DEBUG_INFORMATION_FORMAT": "dwarf",
    "ENABLE_TESTABILITY": "YES",
    "GCC_OPTIMIZATION_LEVEL": "0",
    "GCC_PREPROCESSOR_DEFINITIONS": ["DEBUG=1", "$(inherited)"],
    "ONLY_ACTIVE_ARCH": "YES",
    "SWIFT_ACTIVE_COMPILATION_CONDITIONS": "DEBUG $(inherited)",
    "SWIFT_OPTIMIZATION_LEVEL": "-Onone",
}
_RELEASE: Settings = {
    "DEBUG_INFORMATION_FORMAT": "dwarf-with-dsym",
    "ENABLE_NS_ASSERTIONS": "NO",
    "SWIFT_COMPILATION_MODE": "wholemodule",
    "VALIDATE_PRODUCT": "YES",
}


@dataclass(frozen=True)
class TargetFiles:
    """A target.

    Attributes:
        name: Its name and its product's.
        folder: Where its files are, in the project's folder.
        sources: Files to compile, and headers, relative to ``folder``.
        resources: Files to bundle, relative to ``folder``.
        settings: Build settings of both configurations.
    """

    name: str
    folder: str
    sources: Sequence[str]
    resources: Sequence[str] = ()
    settings: Settings = field(default_factory=dict)


@dataclass(frozen=True)
class XcodeProject:
    """A project.

    Attributes:
        app: The app's target.
        tests: The target of its unit tests, which run inside the app.
        settings: Build settings of the whole project.
        products: Products of Swift packages that the app links.
        remote: URL and branch of their package, or None.
        local: Folder of their package, relative to the project's, or None.
        frameworks: Paths of XCFrameworks that the app links.
        libraries: System frameworks and libraries that it links besides, as ``CoreML.framework``.
        others: Further files to show, relative to the project's folder.
    """

    app: TargetFiles
    tests: TargetFiles
    settings: Settings
    products: Sequence[str] = ()
    remote: tuple[str, str] | None = None
    local: str | None = None
    frameworks: Sequence[str] = ()
    libraries: Sequence[str] = ()
    others: Sequence[str] = ()


@dataclass(frozen=True)
class Built:
    """A graph, and the ids that a scheme names."""

    graph: Graph
    root: str
    app: str
    tests: str


def build(project: XcodeProject) -> Built:
    """Return the object graph of a project."""
    return _Builder(project).build()


class _Builder:
    def __init__(self, project: XcodeProject) -> None:
        self.project = project
        self.graph = Graph()

    def build(self) -> Built:
        app, tests = self.project.app, self.project.tests
        root = object_id("PBXProject", _ROOT)
        app_product = self._product(f"{app.name}.app", "wrapper.application")
        tests_product = self._product(f"{tests.name}.xctest", "wrapper.cfbundle")
        app_files, tests_files = self._folder(app), self._folder(tests)
        packages = self._packages()
        frameworks, linked = self._linked(packages)
        products = self._group("Products", [app_product, tests_product], name="Products")
        children = [self._file("other", path) for path in self.project.others]
        children += [app_files.group, tests_files.group]
        if frameworks:
            children.append(self._group("Frameworks", frameworks, name="Frameworks"))
        main = self._group("main", [*children, products])
        app_target = self._target(app, app_product, app_files, linked, packages, [])
        dependency = self._dependency(root, app_target)
        tests_target = self._target(tests, tests_product, tests_files, [], {}, [dependency])
        self._root(main, products, app_target, tests_target)
        return Built(self.graph, root, app_target, tests_target)

    def _file(self, kind: str, path: str) -> str:
        name = PurePosixPath(path).name
        fields = {"lastKnownFileType": _FILE_TYPES[PurePosixPath(path).suffix], "path": path}
        if name != path:
            fields["name"] = name
        return self.graph.add(
            "PBXFileReference", kind, path, label=name, sourceTree="<group>", **fields
        )

    def _product(self, name: str, kind: str) -> str:
        return self.graph.add(
            *("PBXFileReference", "product", name),
            label=name,
            explicitFileType=kind,
            includeInIndex="0",
            path=name,
            sourceTree="BUILT_PRODUCTS_DIR",
        )

    def _group(self, key: str, children: Sequence[str], **fields: str) -> str:
        label = fields.get("name", fields.get("path"))
        return self.graph.add(
            "PBXGroup", key, label=label, children=list(children), sourceTree="<group>", **fields
        )

    def _folder(self, target: TargetFiles) -> _Files:
        """Add a target's files, in groups as they are in folders."""
        references = {
            path: self.graph.add(
                *("PBXFileReference", target.folder, path),
                label=PurePosixPath(path).name,
                lastKnownFileType=_FILE_TYPES[PurePosixPath(path).suffix],
                path=PurePosixPath(path).name,
                sourceTree="<group>",
            )
            for path in sorted([*target.sources, *target.resources])
        }
        children = [key for path, key in references.items() if "/" not in path]
        for folder in sorted({str(PurePosixPath(path).parent) for path in references} - {"."}):
            inside = [key for path, key in references.items() if path.startswith(f"{folder}/")]
            children.append(self._group(f"{target.folder}/{folder}", inside, path=folder))
        return _Files(self._group(target.folder, children, path=target.folder), references)

    def _packages(self) -> dict[str, str]:
        """Add the package, and return the dependency on each product of it."""
        fields: dict[str, str] = {}
        if self.project.remote is not None:
            url, branch = self.project.remote
            fields["package"] = self.graph.add(
                *("XCRemoteSwiftPackageReference", url),
                label=f'XCRemoteSwiftPackageReference "{PurePosixPath(url).name}"',
                repositoryURL=url,
                requirement={"branch": branch, "kind": "branch"},
            )
        elif self.project.local is not None:
            self.graph.add(
                *("XCLocalSwiftPackageReference", self.project.local),
                label=f'XCLocalSwiftPackageReference "{self.project.local}"',
                relativePath=self.project.local,
            )
        return {
            product: self.graph.add(
                *("XCSwiftPackageProductDependency", product),
                label=product,
                productName=product,
                **fields,
            )
            for product in self.project.products
        }

    def _linked(self, packages: Mapping[str, str]) -> tuple[list[str], list[str]]:
        """Return the file references of what is linked, and the entries of the phase."""
        references, entries = [], []
        for product, key in packages.items():
            entries.append(self._entry("Frameworks", product, "app", productRef=key))
        for path in self.project.frameworks:
            references.append(self._file("framework", path))
            name = PurePosixPath(path).name
            entries.append(self._entry("Frameworks", name, "app", fileRef=references[-1]))
        for name in self.project.libraries:
            framework = name.endswith(".framework")
            folder = "System/Library/Frameworks" if framework else "usr/lib"
            kind = "wrapper.framework" if framework else "sourcecode.text-based-dylib-definition"
            references.append(
                self.graph.add(
                    *("PBXFileReference", "system", name),
                    label=name,
                    lastKnownFileType=kind,
                    name=name,
                    path=f"{folder}/{name}",
                    sourceTree="SDKROOT",
                )
            )
            entries.append(self._entry("Frameworks", name, "app", fileRef=references[-1]))
        return references, entries

    def _entry(self, phase: str, name: str, target: str, **reference: str) -> str:
        """Add one entry of a build phase."""
        return self.graph.add(
            *("PBXBuildFile", target, phase, name), label=f"{name} in {phase}", **reference
        )

    def _target(
        self,
        target: TargetFiles,
        product: str,
        files: _Files,
        linked: Sequence[str],
        packages: Mapping[str, str],
        dependencies: Sequence[str],
    ) -> str:
        compiled = [path for path in target.sources if PurePosixPath(path).suffix in _SOURCES]
        listed = {
            "Sources": sorted(compiled),
            "Frameworks": [],
            "Resources": sorted(target.resources),
        }
        phases = []
        for phase, paths in listed.items():
            entries = [
                self._entry(phase, PurePosixPath(path).name, target.name, fileRef=files.ids[path])
                for path in paths
            ]
            phases.append(
                self.graph.add(
                    *(f"PBX{phase}BuildPhase", target.name),
                    label=phase,
                    buildActionMask=_MASK,
                    files=[*entries, *(linked if phase == "Frameworks" else ())],
                    runOnlyForDeploymentPostprocessing="0",
                )
            )
        is_app = target is self.project.app
        kind = "application" if is_app else "bundle.unit-test"
        fields: dict[str, Any] = {}
        if packages:
            fields["packageProductDependencies"] = list(packages.values())
        return self.graph.add(
            *("PBXNativeTarget", target.name),
            label=target.name,
            buildConfigurationList=self._configurations(
                f'PBXNativeTarget "{target.name}"', target.settings, {}, {}
            ),
            buildPhases=phases,
            buildRules=[],
            dependencies=list(dependencies),
            name=target.name,
            productName=target.name,
            productReference=product,
            productType=f"com.apple.product-type.{kind}",
            **fields,
        )

    def _dependency(self, root: str, app: str) -> str:
        name = self.project.app.name
        proxy = self.graph.add(
            *("PBXContainerItemProxy", name),
            label="PBXContainerItemProxy",
            containerPortal=root,
            proxyType="1",
            remoteGlobalIDString=app,
            remoteInfo=name,
        )
        return self.graph.add(
            *("PBXTargetDependency", name),
            label="PBXTargetDependency",
            target=app,
            targetProxy=proxy,
        )

    def _configurations(
        self, owner: str, common: Settings, debug: Settings, release: Settings
    ) -> str:
        keys = [
            self.graph.add(
                *("XCBuildConfiguration", owner, name),
                label=name,
                buildSettings={**common, **own},
                name=name,
            )
            for name, own in (("Debug", debug), ("Release", release))
        ]
        return self.graph.add(
            *("XCConfigurationList", owner),
            label=f"Build configuration list for {owner}",
            buildConfigurations=keys,
            defaultConfigurationIsVisible="0",
            defaultConfigurationName="Release",
        )

    def _root(self, main: str, products: str, app: str, tests: str) -> None:
        name = self.project.app.name
        references = [
            key
            for key, each in self.graph.objects.items()
            if each["isa"] in ("XCRemoteSwiftPackageReference", "XCLocalSwiftPackageReference")
        ]
        fields: dict[str, Any] = {"packageReferences": references} if references else {}
        self.graph.add(
            *("PBXProject", _ROOT),
            label="Project object",
            attributes={
                "BuildIndependentTargetsInParallel": "1",
                "LastUpgradeCheck": _UPGRADE,
                "TargetAttributes": {
                    app: {"CreatedOnToolsVersion": _TOOLS},
                    tests: {"CreatedOnToolsVersion": _TOOLS, "TestTargetID": app},
                },
            },
            buildConfigurationList=self._configurations(
                f'PBXProject "{name}"', {**_COMMON, **self.project.settings}, _DEBUG, _RELEASE
            ),
            compatibilityVersion="Xcode 15.0",
            developmentRegion="en",
            hasScannedForEncodings="0",
            knownRegions=["en", "Base"],
            mainGroup=main,
            productRefGroup=products,
            projectDirPath="",
            projectRoot="",
            targets=[app, tests],
            **fields,
        )


@dataclass(frozen=True)
class _Files:
    """A folder's group, and the references of its files by their paths."""

    group: str
    ids: Mapping[str, str]
