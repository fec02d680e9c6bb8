"""A complete Xcode project for a .pte: every file of it, by its path.

Enters: an `AppModel` and choices. Leaves: `App`, which `write_app` checks and writes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from etcoreml.deploy.app import objc, readme, release, swift
from etcoreml.deploy.app.folder import new_folder, write_files
from etcoreml.deploy.app.model import CHANNELS_LAST, AppModel
from etcoreml.deploy.app.platforms import PLATFORMS, Platform, PlatformName
from etcoreml.deploy.app.privacy import privacy_manifest
from etcoreml.deploy.app.scheme import WORKSPACE, scheme
from etcoreml.deploy.app.templates import filled
from etcoreml.deploy.app.xcode import Built, TargetFiles, XcodeProject, build
from etcoreml.deploy.check.project import require_complete
from etcoreml.errors import UsageError

Language = Literal["swift", "objc"]
"""What ``--language`` may be."""

Normalisation = tuple[float, float, float]
"""Of red, green and blue, in units of 0 to 255."""


@dataclass(frozen=True)
class AppOptions:
    """Choices of an app.

    Attributes:
        name: Of the app, a Swift module's name.
        platform: The system.
        language: Of its sources.
        labels: Names of the classes, or None.
        mean: Subtracted from a picture's pixels.
        std: What they are divided by then.
        profiling: Whether the app records an ETDump.
    """

    name: str
    platform: PlatformName = "ios"
    language: Language = "swift"
    labels: Sequence[str] | None = None
    mean: Normalisation = (0.0, 0.0, 0.0)
    std: Normalisation = (255.0, 255.0, 255.0)
    profiling: bool = False


@dataclass(frozen=True)
class App:
    """A project that is not written yet.

    Attributes:
        options: Its choices.
        model: Its program.
        release: The release of ExecuTorch's Swift package.
        products: What it links of it; of frameworks built from source, their names.
        minimum: The oldest version of the system.
        project: Its targets.
        built: The object graph.
        files: Every file, by its path.
    """

    options: AppOptions
    model: AppModel
    release: release.Release
    products: Sequence[str]
    minimum: str
    project: XcodeProject
    built: Built
    files: Mapping[str, bytes | str]

    @property
    def platform(self) -> Platform:
        """The system."""
        return PLATFORMS[self.options.platform]

    @property
    def document(self) -> dict[str, Any]:
        """The property list of ``project.pbxproj``."""
        return self.built.graph.document(self.built.root)


def make_app(model: AppModel, source: str, options: AppOptions) -> App:
    """Make a project.

    Args:
        model: The program.
        source: Name of its file, for comments.
        options: Choices.

    Raises:
        UsageError: A choice does not go with the program or with another choice.
        ProjectError: ExecuTorch's Swift package cannot run the program.
    """
    _check(model, options)
    platform = PLATFORMS[options.platform]
    found = release.installed_release()
    products = release.products(model.backends, model.operators, options.profiling)
    minimum = platform.minimum(model.target)
    sources = _sources(model, source, options)
    resources: dict[str, bytes | str] = {
        "Resources/model.pte": model.data,
        "Resources/PrivacyInfo.xcprivacy": privacy_manifest(),
    }
    if options.labels is not None:
        resources["Resources/labels.txt"] = "\n".join(options.labels)
    tests = _tests(model, options)
    project = XcodeProject(
        app=TargetFiles(
            *(options.name, options.name, list(sources), list(resources)),
            _app_settings(options, platform),
        ),
        tests=TargetFiles(
            *(f"{options.name}Tests", f"{options.name}Tests", list(tests), ()),
            _test_settings(options),
        ),
        settings={"SDKROOT": platform.sdk, platform.setting: minimum, **platform.settings},
        products=products if platform.package is not None else (),
        remote=(release.URL, found.branch) if platform.package is not None else None,
        frameworks=_frameworks(products) if platform.package is None else (),
        libraries=_LIBRARIES if platform.package is None else (),
        others=("README.md",),
    )
    built = build(project)
    bundle = f"{options.name}.xcodeproj"
    files: dict[str, bytes | str] = {
        f"{bundle}/project.pbxproj": built.graph.text(built.root),
        f"{bundle}/project.xcworkspace/contents.xcworkspacedata": WORKSPACE,
        f"{bundle}/xcshareddata/xcschemes/{options.name}.xcscheme": scheme(project, built),
        **{f"{options.name}/{path}": text for path, text in (sources | resources).items()},
        **{f"{options.name}Tests/{path}": text for path, text in tests.items()},
        ".gitignore": "xcuserdata/\nDerivedData/\n.build/\n*.xcresult\n",
    }
    app = App(options, model, found, products, minimum, project, built, files)
    files["README.md"] = readme.app_readme(app, source)
    return app


def write_app(app: App, path: Path) -> None:
    """Write a project into a new folder, whole or not at all.

    Raises:
        UsageError: The folder exists and is not empty, or cannot be written.
        ProjectError: The project is not complete, which is a defect of etcoreml.
    """
    with new_folder(path) as folder:
        write_files(folder, app.files)
        require_complete(app.document, folder, app.project.products)


def _check(model: AppModel, options: AppOptions) -> None:
    if options.language == "objc" and options.platform != "ios":
        raise UsageError(
            "Objective-C apps are made for iOS",
            found=f"--platform {options.platform}",
            expected="--platform ios, or --language swift",
        )
    if options.language == "objc" and options.profiling:
        raise UsageError("--profiling is for Swift apps", found="--language objc")
    if options.profiling and options.platform == "tvos":
        raise UsageError(
            "--profiling takes frameworks that ExecuTorch publishes",
            found="--platform tvos, for which there are none",
            expected="--platform ios or macos",
        )
    if options.labels is not None:
        if model.picture_size is None:
            raise UsageError(
                "--labels is for a model that classifies pictures",
                found=_signature(model),
                expected="one float32 input (1, 3, height, width), scores (1, classes) first",
            )
        if len(options.labels) != model.classes:
            raise UsageError(
                "--labels does not have a line for each class",
                found=f"{len(options.labels)} lines",
                expected=f"{model.classes}",
            )
    if 0.0 in options.std:
        raise UsageError("--std must not be zero")


def _signature(model: AppModel) -> str:
    inputs, outputs = (
        ", ".join(f"{each.tensor.dtype or each.tensor.kind} {each.tensor}" for each in values)
        for values in (model.method.inputs, model.method.outputs)
    )
    return f"{inputs or 'nothing'} -> {outputs or 'nothing'}"


def _blanks(model: AppModel, options: AppOptions) -> dict[str, str]:
    """Return what fills in the templates."""
    height, width = model.picture_size or (0, 0)
    method = model.method
    picture = method.inputs[0] if model.picture_size else None
    channels_last = picture is not None and picture.tensor.dim_order == CHANNELS_LAST
    return {
        "NAME": options.name,
        "METHOD": swift.method_type(method.name),
        "METHOD_NAME": method.name,
        "HEIGHT": str(height),
        "WIDTH": str(width),
        "MEAN": ", ".join(map(str, options.mean)),
        "STD": ", ".join(map(str, options.std)),
        "CHANNELS_LAST": str(channels_last).lower(),
        "CHANNELS_LAST_FLAG": "YES" if channels_last else "NO",
        "CLASSES": str(model.classes),
        "PICTURE": picture.variable if picture else "",
        "SCORES": method.outputs[0].variable if method.outputs else "",
        "TRACE": "",
    }


def _sources(model: AppModel, source: str, options: AppOptions) -> dict[str, bytes | str]:
    blanks = _blanks(model, options)
    if options.language == "objc":
        return objc.sources(model, source, blanks)
    pictures = model.picture_size is not None
    view = filled(f"swift/{'Picture' if pictures else 'Generic'}View.swift", blanks)
    trace = "      TraceSection()" if options.profiling else None
    names = {"TypedTensor": "TypedTensor", "ModelRunner": "ModelRunner"}
    if pictures:
        picker = "PicturePickerTV" if options.platform == "tvos" else "PicturePicker"
        names |= {"Pictures": "Pictures", "Classes": "Classes", "PicturePicker": picker}
    if options.profiling:
        names["TraceSection"] = "TraceSection"
    return {
        f"{options.name}App.swift": filled("swift/App.swift", blanks),
        "ContentView.swift": _with_trace(view, trace),
        "Model.swift": swift.wrappers(model, source),
        **{
            f"{name}.swift": filled(f"swift/{name_}.swift", blanks) for name, name_ in names.items()
        },
    }


def _with_trace(view: str, trace: str | None) -> str:
    lines = [line if line.strip() != "//" else trace for line in view.splitlines()]
    return "\n".join(line for line in lines if line is not None) + "\n"


def _tests(model: AppModel, options: AppOptions) -> dict[str, bytes | str]:
    blanks = _blanks(model, options)
    if options.language == "objc":
        return objc.tests(model, blanks)
    pictures = filled("swift/PictureTests.swift", blanks) if model.picture_size else ""
    blanks["PICTURE_TESTS"] = pictures
    return {f"{options.name}Tests.swift": filled("swift/Tests.swift", blanks)}


def _frameworks(products: Sequence[str]) -> list[str]:
    names = [*products, "threadpool"] if "kernels_optimized" in products else list(products)
    return [f"Frameworks/{name}.xcframework" for name in names]


# What ExecuTorch's Swift package would link by itself.
_LIBRARIES = ("Accelerate.framework", "CoreML.framework", "libc++.tbd", "libsqlite3.tbd")


def _app_settings(options: AppOptions, platform: Platform) -> dict[str, str | list[str]]:
    settings: dict[str, str | list[str]] = {
        **platform.app_settings,
        # Backends and kernels register themselves when they are loaded: nothing refers to them.
        "OTHER_LDFLAGS": ["$(inherited)", "-all_load"],
        "PRODUCT_BUNDLE_IDENTIFIER": f"com.example.{options.name}",
        "PRODUCT_NAME": "$(TARGET_NAME)",
        "CODE_SIGN_STYLE": "Automatic",
        "DEVELOPMENT_TEAM": "",
    }
    if options.platform == "macos":
        settings["CODE_SIGN_IDENTITY"] = "-"  # to run here needs no team
    if options.language == "swift":
        settings["SWIFT_VERSION"] = "5.0"
    if options.profiling and options.platform == "ios":
        # The ETDump is in the app's documents: Files and Finder can take it from there.
        settings["INFOPLIST_KEY_UIFileSharingEnabled"] = "YES"
        settings["INFOPLIST_KEY_LSSupportsOpeningDocumentsInPlace"] = "YES"
    return settings


def _test_settings(options: AppOptions) -> dict[str, str | list[str]]:
    executable = f"$(BUILT_PRODUCTS_DIR)/{options.name}.app/$(BUNDLE_EXECUTABLE_FOLDER_PATH)"
    settings: dict[str, str | list[str]] = {
        "BUNDLE_LOADER": "$(TEST_HOST)",
        "TEST_HOST": f"{executable}/{options.name}",
        "PRODUCT_BUNDLE_IDENTIFIER": f"com.example.{options.name}Tests",
        "PRODUCT_NAME": "$(TARGET_NAME)",
        "CODE_SIGN_STYLE": "Automatic",
        "DEVELOPMENT_TEAM": "",
    }
    if options.language == "swift":
        settings["SWIFT_VERSION"] = "5.0"
    return settings
