"""The systems an app can be made for, and the oldest version that it runs on.

Sources: ``platforms`` in ExecuTorch's ``Package.swift`` (swiftpm-1.5.0); ``@available`` in its Core
ML delegate; Xcode's build settings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from etcoreml.targets import Target

PlatformName = Literal["ios", "macos", "tvos"]
"""What ``--platform`` may be."""


@dataclass(frozen=True)
class Platform:
    """A system.

    Attributes:
        name: For the command line.
        title: For people.
        sdk: ``SDKROOT``.
        setting: The build setting of the oldest version.
        delegate: Oldest major version that ExecuTorch's Core ML delegate supports in full.
        package: Oldest that ExecuTorch's Swift package supports; None if it has no binaries.
        settings: Build settings of the project.
        app_settings: Those of an app.
        destination: For ``xcodebuild test``.
    """

    name: PlatformName
    title: str
    sdk: str
    setting: str
    delegate: int
    package: int | None
    settings: Mapping[str, str]
    app_settings: Mapping[str, str]
    destination: str

    def minimum(self, target: Target) -> str:
        """Return the oldest version that runs a model of a target, the delegate and the package."""
        model = target.macos if self.name == "macos" else target.ios
        return f"{max(model, self.delegate, self.package or 0)}.0"


PLATFORMS: Mapping[str, Platform] = MappingProxyType(
    {
        "ios": Platform(
            *("ios", "iOS", "iphoneos", "IPHONEOS_DEPLOYMENT_TARGET", 16, 17),
            {
                "TARGETED_DEVICE_FAMILY": "1,2",
                # ExecuTorch's frameworks have no slice for simulators on Intel.
                "EXCLUDED_ARCHS[sdk=iphonesimulator*]": "x86_64",
            },
            {
                "INFOPLIST_KEY_UIApplicationSceneManifest_Generation": "YES",
                "INFOPLIST_KEY_UILaunchScreen_Generation": "YES",
                "INFOPLIST_KEY_UISupportedInterfaceOrientations": (
                    "UIInterfaceOrientationPortrait UIInterfaceOrientationLandscapeLeft "
                    "UIInterfaceOrientationLandscapeRight "
                    "UIInterfaceOrientationPortraitUpsideDown"
                ),
                "LD_RUNPATH_SEARCH_PATHS": "$(inherited) @executable_path/Frameworks",
            },
            "platform=iOS Simulator,name=iPhone 16",
        ),
        "macos": Platform(
            *("macos", "macOS", "macosx", "MACOSX_DEPLOYMENT_TARGET", 13, 14),
            {"ARCHS": "arm64"},  # the frameworks have no other slice
            {"LD_RUNPATH_SEARCH_PATHS": "$(inherited) @executable_path/../Frameworks"},
            "platform=macOS",
        ),
        "tvos": Platform(
            *("tvos", "tvOS", "appletvos", "TVOS_DEPLOYMENT_TARGET", 16, None),
            {"TARGETED_DEVICE_FAMILY": "3", "EXCLUDED_ARCHS[sdk=appletvsimulator*]": "x86_64"},
            {
                "INFOPLIST_KEY_UILaunchScreen_Generation": "YES",
                "LD_RUNPATH_SEARCH_PATHS": "$(inherited) @executable_path/Frameworks",
            },
            "platform=tvOS,name=Apple TV",
        ),
    }
)
"""Every system by its name."""
