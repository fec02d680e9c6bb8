"""The shared scheme of a project, which `xcodebuild` and a CI find without opening Xcode."""

from __future__ import annotations

from xml.etree import ElementTree

from etcoreml.deploy.app.xcode import Built, XcodeProject


def scheme(project: XcodeProject, built: Built) -> str:
    """Return the ``.xcscheme`` that builds, runs and tests the app.

    Args:
        project: The project.
        built: Its objects.
    """
    app, tests = project.app, project.tests
    root = ElementTree.Element("Scheme", LastUpgradeVersion="1600", version="1.7")

    def buildable(parent: ElementTree.Element, target: str, product: str, name: str) -> None:
        ElementTree.SubElement(
            parent,
            "BuildableReference",
            BuildableIdentifier="primary",
            BlueprintIdentifier=target,
            BuildableName=product,
            BlueprintName=name,
            ReferencedContainer=f"container:{app.name}.xcodeproj",
        )

    def runnable(parent: ElementTree.Element) -> None:
        product = ElementTree.SubElement(
            parent, "BuildableProductRunnable", runnableDebuggingMode="0"
        )
        buildable(product, built.app, f"{app.name}.app", app.name)

    build = ElementTree.SubElement(
        root, "BuildAction", parallelizeBuildables="YES", buildImplicitDependencies="YES"
    )
    entry = ElementTree.SubElement(
        ElementTree.SubElement(build, "BuildActionEntries"),
        "BuildActionEntry",
        {f"buildFor{what}": "YES" for what in _ACTIONS},
    )
    buildable(entry, built.app, f"{app.name}.app", app.name)
    test = ElementTree.SubElement(
        root,
        "TestAction",
        _DEBUGGER,
        buildConfiguration="Debug",  # @testable needs ENABLE_TESTABILITY
        shouldUseLaunchSchemeArgsEnv="YES",
    )
    testable = ElementTree.SubElement(
        ElementTree.SubElement(test, "Testables"), "TestableReference", skipped="NO"
    )
    buildable(testable, built.tests, f"{tests.name}.xctest", tests.name)
    launch = ElementTree.SubElement(
        root,
        "LaunchAction",
        _DEBUGGER,
        buildConfiguration="Release",  # so that times mean something
        launchStyle="0",
        useCustomWorkingDirectory="NO",
        ignoresPersistentStateOnLaunch="NO",
        debugDocumentVersioning="YES",
        allowLocationSimulation="YES",
    )
    runnable(launch)
    profile = ElementTree.SubElement(
        root,
        "ProfileAction",
        buildConfiguration="Release",
        shouldUseLaunchSchemeArgsEnv="YES",
        savedToolIdentifier="",
        useCustomWorkingDirectory="NO",
        debugDocumentVersioning="YES",
    )
    runnable(profile)
    ElementTree.SubElement(root, "AnalyzeAction", buildConfiguration="Debug")
    ElementTree.SubElement(
        root, "ArchiveAction", buildConfiguration="Release", revealArchiveInOrganizer="YES"
    )
    ElementTree.indent(root, "   ")
    text = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


_DEBUGGER = {
    "selectedDebuggerIdentifier": "Xcode.DebuggerFoundation.Debugger.LLDB",
    "selectedLauncherIdentifier": "Xcode.DebuggerFoundation.Launcher.LLDB",
}
_ACTIONS = ("Testing", "Running", "Profiling", "Archiving", "Analyzing")

WORKSPACE = """<?xml version="1.0" encoding="UTF-8"?>
<Workspace version="1.0">
   <FileRef location="self:"></FileRef>
</Workspace>
"""
"""``project.xcworkspace/contents.xcworkspacedata`` of every project."""
