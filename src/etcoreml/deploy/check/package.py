"""A Swift package that checks a .pte on a device, and an app for its tests to run in.

Enters: a `Reference`. Leaves: `CheckPackage`, which `write_check` checks and writes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from etcoreml.deploy.app import release
from etcoreml.deploy.app.folder import new_folder, write_files
from etcoreml.deploy.app.platforms import PLATFORMS
from etcoreml.deploy.app.privacy import privacy_manifest
from etcoreml.deploy.app.scheme import WORKSPACE, scheme
from etcoreml.deploy.app.templates import filled
from etcoreml.deploy.app.xcode import Built, TargetFiles, XcodeProject, build
from etcoreml.deploy.check.project import require_complete
from etcoreml.deploy.check.reference import Reference

APP = "DeviceCheckApp"
PRODUCT = "DeviceCheck"
_SOURCES = ("Check", "Machine", "Metrics", "Reference", "Report")


@dataclass(frozen=True)
class CheckPackage:
    """A package that is not written yet.

    Attributes:
        files: Every file, by its path.
        built: The object graph of the app's project.
        products: What the package links of ExecuTorch's.
        branch: The release of that.
    """

    files: Mapping[str, bytes | str]
    built: Built
    products: Sequence[str]
    branch: str


BUNDLE = "cases.bpte"
"""The same cases for C++: Apple's frameworks, and so Swift, do not read it."""


def make_check(reference: Reference, bundle: bytes | None = None) -> CheckPackage:
    """Make a package.

    Args:
        reference: The program, its inputs and what to compare with.
        bundle: The same as ExecuTorch's bundled program, if it can be one.

    Raises:
        ProjectError: ExecuTorch's Swift package cannot run the program, or an output does not have
            the shape that the method declares.
    """
    model = reference.model
    found = release.installed_release()
    products = release.products(model.backends, model.operators, profiling=False)
    products.append("executorch_dump")
    ios, macos = (PLATFORMS[name].minimum(model.target) for name in ("ios", "macos"))
    values = {
        "SOURCE": reference.source,
        "SHA256": model.sha256,
        "METHOD": model.method.name,
        "IOS": ios,
        "MACOS": macos,
        "URL": release.URL,
        "RELEASE": found.branch,
        "EXECUTORCH": found.executorch,
        "PRODUCTS": "\n".join(
            f'        .product(name: "{each}", package: "executorch"),' for each in products
        ),
        "REFERENCES": _enumerated([_TITLES[name] for name in reference.outputs]),
        "INPUTS": _counted(len(reference.inputs)),
        "ITERATIONS": str(reference.iterations),
        "MIN_SNR": repr(float(reference.min_snr_db)),
        "BUNDLE": "" if bundle is None else _BUNDLED,
    }
    project = _host(ios)
    built = build(project)
    xcode = f"App/{APP}.xcodeproj"
    app_files: dict[str, bytes | str] = {
        f"App/{APP}/{APP}.swift": filled("check/HostApp.swift", values),
        f"App/{APP}/PrivacyInfo.xcprivacy": privacy_manifest(),
        f"App/{APP}Tests/{APP}Tests.swift": filled("check/HostTests.swift", values),
        f"{xcode}/project.pbxproj": built.graph.text(built.root),
        f"{xcode}/project.xcworkspace/contents.xcworkspacedata": WORKSPACE,
        f"{xcode}/xcshareddata/xcschemes/{APP}.xcscheme": scheme(project, built),
    }
    files: dict[str, bytes | str] = {
        "Package.swift": filled("check/Package.swift", values),
        "README.md": filled("check/README.md", values),
        ".gitignore": ".build/\n.swiftpm/\nxcuserdata/\nDerivedData/\n*.xcresult\n",
        "Sources/device-check/main.swift": filled("check/main.swift", values),
        "Tests/DeviceCheckTests/DeviceCheckTests.swift": filled("check/PackageTests.swift", values),
        **{
            f"Sources/{PRODUCT}/{name}.swift": filled(f"check/{name}.swift", values)
            for name in _SOURCES
        },
        **{
            f"Sources/{PRODUCT}/Reference/{name}": content
            for name, content in reference.files().items()
        },
        **({} if bundle is None else {BUNDLE: bundle}),
        **app_files,
    }
    return CheckPackage(files, built, products, found.branch)


def write_check(package: CheckPackage, path: Path) -> None:
    """Write a package into a new folder, whole or not at all.

    Raises:
        UsageError: The folder exists and is not empty, or cannot be written.
        ProjectError: The app's project is not complete, which is a defect of etcoreml.
    """
    with new_folder(path) as folder:
        write_files(folder, package.files)
        document = package.built.graph.document(package.built.root)
        require_complete(document, folder / "App", [PRODUCT])


_BUNDLED = f"""
`{BUNDLE}` holds the program and the same cases for C++: ExecuTorch's bundled program, which
Apple's frameworks do not read. Here, `etcoreml bundle {BUNDLE}` checks it.
"""

_TITLES = {
    "faithful": "those of etcoreml's engine with every fp16 value rounded (`faithful`)",
    "fast": "those of its engine with fp16 weights and fp32 arithmetic (`fast`)",
    "core_ml": "those of Core ML on the Mac that made this check (`core_ml`)",
    "eager": "those of PyTorch eager in fp32 (`eager`)",
}


def _enumerated(items: Sequence[str]) -> str:
    *others, last = items
    return f"{', '.join(others)} and {last}" if others else last


def _counted(inputs: int) -> str:
    return {0: "it without inputs", 1: "it on one input"}.get(inputs, f"it on {inputs} inputs")


def _host(minimum: str) -> XcodeProject:
    """Return the project of the app that the tests run in on a device."""
    ios = PLATFORMS["ios"]
    signing = {"CODE_SIGN_STYLE": "Automatic", "DEVELOPMENT_TEAM": "", "SWIFT_VERSION": "5.0"}
    return XcodeProject(
        app=TargetFiles(
            *(APP, APP, [f"{APP}.swift"], ["PrivacyInfo.xcprivacy"]),
            {
                **ios.app_settings,
                **signing,
                "INFOPLIST_KEY_LSSupportsOpeningDocumentsInPlace": "YES",
                "INFOPLIST_KEY_UIFileSharingEnabled": "YES",
                "OTHER_LDFLAGS": ["$(inherited)", "-all_load"],
                "PRODUCT_BUNDLE_IDENTIFIER": f"com.example.{APP}",
                "PRODUCT_NAME": "$(TARGET_NAME)",
            },
        ),
        tests=TargetFiles(
            *(f"{APP}Tests", f"{APP}Tests", [f"{APP}Tests.swift"], ()),
            {
                **signing,
                "BUNDLE_LOADER": "$(TEST_HOST)",
                "TEST_HOST": (
                    f"$(BUILT_PRODUCTS_DIR)/{APP}.app/$(BUNDLE_EXECUTABLE_FOLDER_PATH)/{APP}"
                ),
                "PRODUCT_BUNDLE_IDENTIFIER": f"com.example.{APP}Tests",
                "PRODUCT_NAME": "$(TARGET_NAME)",
            },
        ),
        settings={"SDKROOT": ios.sdk, ios.setting: minimum, **ios.settings},
        products=(PRODUCT,),
        local="..",
    )
