import DeviceCheck
import Foundation

/// The value of an option, or nil if it is not given.
func option(_ name: String) -> String? {
  let arguments = CommandLine.arguments
  guard let index = arguments.firstIndex(of: name), index + 1 < arguments.count else {
    return nil
  }
  return arguments[index + 1]
}

let known = ["--output", "--etdumps", "--units", "--iterations"]
for argument in CommandLine.arguments.dropFirst() where argument.hasPrefix("-") {
  if !known.contains(argument) {
    print("usage: device-check [--output FILE] [--etdumps FOLDER] [--units LIST] [--iterations N]")
    exit(argument == "--help" ? 0 : 2)
  }
}
let output = URL(fileURLWithPath: option("--output") ?? "report.json")
let etdumps = option("--etdumps").map { URL(fileURLWithPath: $0) }
let units = option("--units").map { $0.split(separator: ",").map(String.init) } ?? computeUnits
if let etdumps {
  try FileManager.default.createDirectory(at: etdumps, withIntermediateDirectories: true)
}
let report = try runCheck(
  units: units, etdumps: etdumps, iterations: option("--iterations").flatMap { Int($0) })
try report.json().write(to: output)
for line in report.lines {
  print(line)
}
print("wrote \(output.path)")
