import ExecuTorch
import ExecuTorchDump
import Foundation

/// The compute units that Core ML knows.
public let computeUnits = ["cpu_only", "cpu_and_gpu", "cpu_and_ne", "all"]

private let warmUp = 3

/// Runs the program on compute units and compares what comes out with the reference.
///
/// - Parameters:
///   - units: Some of `computeUnits`.
///   - etdumps: Folder for an ETDump of each unit, or nil for none.
///   - iterations: Timed runs; nil for as many as the reference says.
public func runCheck(
  units: [String] = computeUnits, etdumps: URL? = nil, iterations: Int? = nil
) throws -> Report {
  let reference = try Reference.load()
  let program = reference.model
  var report = Report(
    model: .init(file: program.file, sha256: program.sha256, method: program.method),
    executorch: reference.executorch,
    device: .init(model: hardware(), system: system()),
    here: reference.here,
    units: []
  )
  for unit in units {
    report.units.append(
      check(unit, reference, etdumps: etdumps, iterations: iterations ?? reference.iterations))
  }
  return report
}

/// Checks one unit; what goes wrong is in the result.
private func check(
  _ unit: String, _ reference: Reference, etdumps: URL?, iterations: Int
) -> Report.Unit {
  var found = Report.Unit(computeUnit: unit)
  do {
    try measure(&found, reference, iterations: iterations)
    if let etdumps {
      found.etdump = try record(unit, reference, into: etdumps)
    }
  } catch {
    found.error = error.localizedDescription
  }
  return found
}

private func measure(
  _ found: inout Report.Unit, _ reference: Reference, iterations: Int
) throws {
  // A cache of its own: the first load compiles the model, the second finds it.
  let cache = FileManager.default.temporaryDirectory
    .appendingPathComponent("check-\(UUID().uuidString)")
  try FileManager.default.createDirectory(at: cache, withIntermediateDirectories: true)
  defer { try? FileManager.default.removeItem(at: cache) }
  let options = try BackendOptionsMap(options: [
    "CoreMLBackend": [
      BackendOption("compute_unit", found.computeUnit),
      BackendOption("cache_dir", cache.path),
    ]
  ])
  let path = try Reference.path(reference.model.file)
  let method = reference.model.method

  func load() throws -> Module {
    let module = Module(filePath: path, loadMode: .mmap)
    try module.load(method, options: options)
    return module
  }

  let before = footprint()
  found.load.coldMs = try autoreleasepool { try timed(load).1 }
  let (module, warm) = try timed(load)
  found.load.warmMs = warm
  let loaded = footprint()
  let inputs = try reference.inputs.map { try $0.argument() }
  // The first call after loading: of a model with state, the reference is of that one too.
  let outputs = try module.execute(method, inputs)
  found.distances = try distances(outputs, reference)
  var peak = footprint()
  var times: [Double] = []
  for run in 0..<(warmUp + iterations) {
    let time = try autoreleasepool { try timed { try module.execute(method, inputs) }.1 }
    if run >= warmUp {
      times.append(time)
    }
    peak = max(peak, footprint())
  }
  found.latency = .init(
    medianMs: quantile(times, 0.5), p95Ms: quantile(times, 0.95), count: times.count)
  found.memory = .init(beforeBytes: before, loadedBytes: loaded, peakBytes: peak)
}

private func distances(
  _ outputs: [Value], _ reference: Reference
) throws -> [Report.OutputDistance] {
  var found: [Report.OutputDistance] = []
  for each in reference.references {
    guard each.outputs.count == outputs.count else {
      throw CheckError("\(outputs.count) outputs, where \(each.outputs.count) are expected")
    }
    for index in outputs.indices {
      let actual = try numbers(outputs[index])
      let expected = try each.outputs[index].numbers()
      guard actual.count == expected.count else {
        throw CheckError(
          "output \(index) has \(actual.count) numbers, where \(expected.count) are expected")
      }
      let far = distance(actual, expected)
      found.append(
        .init(
          reference: each.name,
          output: index,
          snrDb: far.snr,
          maxAbs: far.maxAbs,
          notFinite: far.notFinite
        ))
    }
  }
  return found
}

/// Writes an ETDump of one run, and returns the file's name.
private func record(_ unit: String, _ reference: Reference, into folder: URL) throws -> String {
  guard Dump.isAvailable else {
    throw CheckError("this ExecuTorch was built without event tracing")
  }
  // Without a cache folder: the delegate profiles with its older cache alone.
  let options = try BackendOptionsMap(options: [
    "CoreMLBackend": [BackendOption("compute_unit", unit)]
  ])
  let dump = try Dump(filePath: try Reference.path(reference.model.file))
  try dump.module.load(options: options)
  let inputs = try reference.inputs.map { try $0.argument() }
  _ = try dump.module.execute(reference.model.method, inputs)
  let name = "etdump_\(unit).etdp"
  try dump.takeData(toFile: folder.appendingPathComponent(name).path)
  return name
}
