import Foundation

/// What the check found, for `etcoreml compare MODEL.pte --device-report FILE`.
public struct Report: Encodable {
  struct Program: Encodable {
    let file: String
    let sha256: String
    let method: String
  }

  struct Machine: Encodable {
    let model: String
    let system: String
  }

  struct Load: Encodable {
    var coldMs: Double?
    var warmMs: Double?
  }

  struct Latency: Encodable {
    let medianMs: Double
    let p95Ms: Double
    let count: Int
  }

  struct Memory: Encodable {
    let beforeBytes: Int
    let loadedBytes: Int
    let peakBytes: Int
  }

  struct OutputDistance: Encodable {
    let reference: String
    let output: Int
    let snrDb: Double
    let maxAbs: Double
    let notFinite: Int
  }

  struct Unit: Encodable {
    let computeUnit: String
    var error: String?
    var load = Load()
    var latency: Latency?
    var memory: Memory?
    var distances: [OutputDistance] = []
    var etdump: String?
  }

  let format = "etcoreml-device-report"
  let version = 1
  let simulated = false
  let model: Program
  let executorch: String
  let device: Machine
  let here: [HereDistance]
  var units: [Unit]

  /// The least signal-to-noise ratio of a unit's outputs in dB; nil if it failed.
  public func worstSnr(_ computeUnit: String) -> Double? {
    units.first { $0.computeUnit == computeUnit && $0.error == nil }?.distances.map(\.snrDb).min()
  }

  /// The report as JSON.
  public func json() throws -> Data {
    let encoder = JSONEncoder()
    encoder.keyEncodingStrategy = .convertToSnakeCase
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
    encoder.nonConformingFloatEncodingStrategy = .convertToString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    return try encoder.encode(self)
  }

  /// Lines for people.
  public var lines: [String] {
    var lines = ["\(device.model), \(device.system), executorch \(executorch)"]
    for unit in units {
      guard unit.error == nil, let latency = unit.latency, let memory = unit.memory else {
        lines.append("\(unit.computeUnit): failed, \(unit.error ?? "for an unknown reason")")
        continue
      }
      let load = String(
        format: "load %.0f ms cold, %.0f ms warm", unit.load.coldMs ?? 0, unit.load.warmMs ?? 0)
      let run = String(
        format: "run %.2f ms median, %.2f ms p95", latency.medianMs, latency.p95Ms)
      let megabytes = Double(memory.peakBytes - memory.beforeBytes) / 1e6
      let room = String(format: "%.0f MB more", megabytes)
      lines.append("\(unit.computeUnit): \(load); \(run); \(room)")
      for each in unit.distances {
        let ratio = String(format: "%.1f dB, max abs %.3g", each.snrDb, each.maxAbs)
        lines.append("  output \(each.output) beside \(each.reference): SNR \(ratio)")
      }
    }
    return lines
  }
}
