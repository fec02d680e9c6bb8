"""Generated apps. Oracles: tree-sitter's grammars, openstep-plist, plistlib, and the checker."""

from __future__ import annotations

import plistlib
import re
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from etcoreml.deploy.app.model import read_app_model
from etcoreml.deploy.app.project import App, AppOptions, make_app, write_app
from etcoreml.errors import ProjectError, UsageError
from tests.deploy.parsers import problems, read_pbxproj

KINDS = {
    "ios": {},
    "macos": {"platform": "macos"},
    "tvos": {"platform": "tvos"},
    "objc": {"language": "objc"},
    "profiling": {"profiling": True},
}


def made(pte: Path, **options: Any) -> App:
    return make_app(read_app_model(pte), pte.name, AppOptions("Sample", **options))


@pytest.fixture(scope="module", params=[(k, p) for k in KINDS for p in ("picture", "generic")])
def written(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[App, Path]:
    """Every kind of app, of a model that classifies pictures and of one that does not."""
    kind, program = request.param
    pte = request.getfixturevalue(f"{program}_pte")
    labels = ["cat", "dog", "bird"] if program == "picture" else None
    app = made(pte, labels=labels, **KINDS[kind])
    folder = tmp_path_factory.mktemp("app") / f"{kind}-{program}"
    write_app(app, folder)
    return app, folder


def test_is_complete(written: tuple[App, Path]) -> None:
    app, folder = written
    assert problems(folder, products=tuple(app.project.products)) == []


def test_has_what_it_needs(written: tuple[App, Path]) -> None:
    app, folder = written
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {"README.md", "Sample/Resources/model.pte"} <= files
    assert (folder / "Sample/Resources/model.pte").read_bytes() == app.model.data
    with (folder / "Sample/Resources/PrivacyInfo.xcprivacy").open("rb") as file:
        manifest = plistlib.load(file)
    assert manifest["NSPrivacyTracking"] is False
    assert manifest["NSPrivacyCollectedDataTypes"] == []
    assert any(path.startswith("SampleTests/SampleTests.") for path in files)
    readme = (folder / "README.md").read_text()
    assert "did not build it or run it on Core ML" in readme
    assert app.model.sha256 in readme
    for path in files:
        if path.endswith((".swift", ".m", ".h", ".md")):
            assert re.findall(r"__[A-Z]+__", (folder / path).read_text()) == [], path


def test_links_the_release_of_the_installed_executorch(written: tuple[App, Path]) -> None:
    app, folder = written
    document = read_pbxproj(next(folder.glob("*.xcodeproj/project.pbxproj")))
    packages = [
        each
        for each in document["objects"].values()
        if each["isa"] == "XCRemoteSwiftPackageReference"
    ]
    if app.options.platform == "tvos":
        assert packages == []
        return
    (package,) = packages
    assert package["repositoryURL"] == "https://github.com/pytorch/executorch"
    series = ".".join(version("executorch").split(".")[:2])
    assert package["requirement"] == {"branch": f"swiftpm-{series}.0", "kind": "branch"}
    suffix = "_debug" if app.options.profiling else ""
    expected = ["executorch", "backend_coreml"]
    expected += ["kernels_optimized"] if app.model.operators else []
    expected += ["executorch_dump"] if app.options.profiling else []
    assert list(app.products) == [f"{each}{suffix}" for each in expected]


def test_forces_every_backend_and_kernel_in(written: tuple[App, Path]) -> None:
    _, folder = written
    document = read_pbxproj(next(folder.glob("*.xcodeproj/project.pbxproj")))
    flags = [
        each["buildSettings"]["OTHER_LDFLAGS"]
        for each in document["objects"].values()
        if "OTHER_LDFLAGS" in each.get("buildSettings", {})
    ]
    assert flags == [["$(inherited)", "-all_load"]] * 2  # of the app, debug and release


def test_same_bytes_twice(picture_pte: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_app(made(picture_pte), tmp_path / name)
    one, two = (
        {
            path.relative_to(folder): path.read_bytes()
            for path in folder.rglob("*")
            if path.is_file()
        }
        for folder in (tmp_path / "one", tmp_path / "two")
    )
    assert one == two


@pytest.mark.parametrize(
    ("platform", "setting", "expected"),
    [
        ("ios", "IPHONEOS_DEPLOYMENT_TARGET", "17.0"),  # what the package asks for
        ("macos", "MACOSX_DEPLOYMENT_TARGET", "14.0"),
        ("tvos", "TVOS_DEPLOYMENT_TARGET", "16.0"),  # what the delegate asks for
    ],
)
def test_oldest_system_of_an_old_model(
    generic_pte: Path, platform: str, setting: str, expected: str
) -> None:
    app = made(generic_pte, platform=platform)
    assert app.minimum == expected
    settings = [each.get("buildSettings", {}) for each in app.document["objects"].values()]
    assert [each[setting] for each in settings if setting in each] == [expected] * 2


@pytest.mark.parametrize(("platform", "expected"), [("ios", "18.0"), ("macos", "15.0")])
def test_oldest_system_of_a_newer_model(tmp_path: Path, platform: str, expected: str) -> None:
    from etcoreml.mil.ct import coremltools
    from etcoreml.partition import CoreMLPartitioner
    from tests.cli import models
    from tests.lowering import lower, specs

    target = coremltools().target.iOS18
    partitioner = CoreMLPartitioner(compile_specs=specs(minimum_deployment_target=target))
    path = tmp_path / "new.pte"
    path.write_bytes(lower(*models.net(), partitioner=partitioner))
    assert made(path, platform=platform).minimum == expected


def _dangle(folder: Path) -> None:
    project = next(folder.glob("*.xcodeproj/project.pbxproj"))
    text = project.read_text()
    key = next(
        key
        for key, each in read_pbxproj(project)["objects"].items()
        if each["isa"] == "PBXSourcesBuildPhase"
    )
    project.write_text(text.replace(f"{key} /* Sources */,", "0123456789ABCDEF01234567,"))


def _missing_file(folder: Path) -> None:
    next(folder.glob("Sample/Model.*")).unlink()


def _missing_resource(folder: Path) -> None:
    (folder / "Sample/Resources/extra.bin").write_bytes(b"1")


def _syntax(folder: Path) -> None:
    path = next(folder.glob("Sample/Model.[sm]*"))
    path.write_text(path.read_text().replace("{", "", 1))


def _unquoted(folder: Path) -> None:
    project = next(folder.glob("*.xcodeproj/project.pbxproj"))
    text = project.read_text()
    project.write_text(text.replace('"$(TARGET_NAME)"', "$(TARGET_NAME)"))


def _unquoted_bracket(folder: Path) -> None:
    project = next(folder.glob("*.xcodeproj/project.pbxproj"))
    project.write_text(
        project.read_text().replace('sourceTree = "<group>"', "sourceTree = <group>")
    )


def _missing_product(folder: Path) -> None:
    project = next(folder.glob("*.xcodeproj/project.pbxproj"))
    lines = project.read_text().splitlines(keepends=True)
    # Out of the build phase alone.
    kept = [each for each in lines if not each.rstrip().endswith("in Frameworks */,")]
    assert len(kept) < len(lines)
    project.write_text("".join(kept))


def _plist(folder: Path) -> None:
    path = folder / "Sample/Resources/PrivacyInfo.xcprivacy"
    path.write_bytes(path.read_bytes().replace(b"</dict>", b"", 1))


def _scheme(folder: Path) -> None:
    path = next(folder.glob("*.xcodeproj/xcshareddata/xcschemes/*.xcscheme"))
    path.write_text(path.read_text().replace("</Scheme>", ""))


DAMAGES = {
    "dangling reference": (_dangle, "does not exist"),
    "missing file": (_missing_file, "there is no file 'Sample/Model"),
    "resource in no phase": (_missing_resource, "extra.bin is not in Resources"),
    "syntax error": (_syntax, "Model."),
    "unquoted variable": (_unquoted, "project.pbxproj"),
    "unquoted bracket": (_unquoted_bracket, "project.pbxproj"),
    "missing product": (_missing_product, "used|not both"),
    "damaged manifest": (_plist, "is no property list"),
    "damaged scheme": (_scheme, "is no XML"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_copy_is_found(written: tuple[App, Path], damage: str, tmp_path: Path) -> None:
    app, folder = written
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    spoil, expected = DAMAGES[damage]
    spoil(copy)
    found = problems(copy, products=tuple(app.project.products))
    assert any(re.search(expected, each) for each in found), found


def test_an_unquoted_bracket_is_found(generic_pte: Path, tmp_path: Path) -> None:
    app = made(generic_pte)
    write_app(app, tmp_path / "app")
    project = tmp_path / "app/Sample.xcodeproj/project.pbxproj"
    url = "https://github.com/pytorch/executorch"
    text = project.read_text()
    assert f'"{url}"' in text
    project.write_text(text.replace(f'"{url}"', url))
    assert problems(tmp_path / "app", products=tuple(app.project.products))


def test_a_failure_leaves_nothing(
    generic_pte: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ProjectError("spoilt")

    monkeypatch.setattr("etcoreml.deploy.app.project.require_complete", fail)
    with pytest.raises(ProjectError, match="spoilt"):
        write_app(made(generic_pte), tmp_path / "app")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"language": "objc", "platform": "macos"}, "Objective-C apps are made for iOS"),
        ({"language": "objc", "profiling": True}, "--profiling is for Swift"),
        ({"platform": "tvos", "profiling": True}, "frameworks that ExecuTorch publishes"),
        ({"labels": ["a", "b"]}, "--labels does not have a line for each class"),
        ({"std": (1.0, 0.0, 1.0)}, "--std must not be zero"),
    ],
)
def test_options_that_contradict(picture_pte: Path, options: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        made(picture_pte, **options)


def test_labels_of_a_model_without_classes(generic_pte: Path) -> None:
    with pytest.raises(UsageError, match="for a model that classifies pictures"):
        made(generic_pte, labels=["a"])


def test_names_of_several_inputs_and_methods(several_pte: Path, tmp_path: Path) -> None:
    app = made(several_pte)
    write_app(app, tmp_path / "app")
    text = (tmp_path / "app/Sample/Model.swift").read_text()
    assert "enum ForwardMethod" in text
    assert "enum DecodeStepMethod" in text
    assert "var inputIds: TypedTensor<Int64>" in text
    assert "var default_: TypedTensor<Int32>" in text
    assert "var valueNewState: TypedTensor<Float>" in text
    assert problems(tmp_path / "app", products=tuple(app.project.products)) == []
    objc = made(several_pte, language="objc")
    write_app(objc, tmp_path / "objc")
    assert problems(tmp_path / "objc", products=tuple(objc.project.products)) == []


def test_sizes_that_vary(dynamic_pte: Path) -> None:
    text = made(dynamic_pte).files["Sample/Model.swift"]
    assert isinstance(text, str)
    assert "varies: true" in text
    assert "(<=8, <=3)" in text
