// swift-tools-version:5.9
import PackageDescription

// Backends and kernels register themselves when they are loaded: without this, the linker leaves
// them out.
let forceLoad: [LinkerSetting] = [.unsafeFlags(["-Xlinker", "-all_load"])]

let package = Package(
  name: "DeviceCheck",
  platforms: [.iOS("__IOS__"), .macOS("__MACOS__")],
  products: [
    .library(name: "DeviceCheck", targets: ["DeviceCheck"]),
    .executable(name: "device-check", targets: ["device-check"]),
  ],
  dependencies: [
    .package(url: "__URL__", branch: "__RELEASE__")
  ],
  targets: [
    .target(
      name: "DeviceCheck",
      dependencies: [
__PRODUCTS__
      ],
      resources: [.copy("Reference")]
    ),
    .executableTarget(
      name: "device-check",
      dependencies: ["DeviceCheck"],
      linkerSettings: forceLoad
    ),
    .testTarget(
      name: "DeviceCheckTests",
      dependencies: ["DeviceCheck"],
      linkerSettings: forceLoad
    ),
  ]
)
