import ExecuTorch
import Foundation

/// What is wrong with the reference, or with what the device returned.
struct CheckError: LocalizedError {
  let errorDescription: String?

  init(_ description: String) {
    errorDescription = description
  }
}

/// A tensor in a file, little-endian, in the order of memory; or a number.
struct StoredValue: Decodable {
  let kind: String
  let file: String?
  let dtype: String?
  let shape: [Int]?
  let dimOrder: [Int]?
  let number: Double?
}

/// Outputs that one way of computing gave.
struct ReferenceOutputs: Decodable {
  let name: String
  let outputs: [StoredValue]
}

/// The index of the reference, Reference/index.json.
public struct Reference: Decodable {
  struct Program: Decodable {
    let file: String
    let sha256: String
    let method: String
  }

  let format: String
  let version: Int
  let model: Program
  let executorch: String
  let inputs: [StoredValue]
  let references: [ReferenceOutputs]
  let here: [HereDistance]
  let minSnrDb: Double
  let iterations: Int

  /// Folder of the files.
  static var folder: URL {
    Bundle.module.bundleURL.appendingPathComponent("Reference")
  }

  /// Reads the index.
  public static func load() throws -> Reference {
    let url = Bundle.module.url(forResource: "Reference/index", withExtension: "json")
    let data = try Data(contentsOf: url ?? folder.appendingPathComponent("index.json"))
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    decoder.nonConformingFloatDecodingStrategy = .convertFromString(
      positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
    let reference = try decoder.decode(Reference.self, from: data)
    guard reference.format == "etcoreml-device-check", reference.version == 1 else {
      throw CheckError("index.json is of version \(reference.version); this reads version 1")
    }
    return reference
  }

  /// Path of a file beside the index.
  static func path(_ file: String) throws -> String {
    if let url = Bundle.module.url(forResource: "Reference/\(file)", withExtension: nil) {
      return url.path
    }
    throw CheckError("\(file) is not in the bundle")
  }
}

/// A distance between two references, measured where they were made.
struct HereDistance: Codable {
  let name: String
  let reference: String
  let output: Int
  let snrDb: Double
  let maxAbs: Double
}

extension StoredValue {
  /// The argument of a call.
  func argument() throws -> ValueConvertible {
    guard kind == "tensor" else {
      guard let number else {
        throw CheckError("an input of kind \(kind) has no number")
      }
      switch kind {
      case "int": return Int(number)
      case "double": return number
      case "bool": return number != 0
      default: throw CheckError("an input is of the unknown kind \(kind)")
      }
    }
    guard let dtype, let shape, let dimOrder, let file else {
      throw CheckError("an input lacks its dtype, shape, order or file")
    }
    let data = try Data(contentsOf: URL(fileURLWithPath: try Reference.path(file)))
    return AnyTensor(
      data: data,
      shape: shape,
      dimensionOrder: dimOrder,
      dataType: try dataType(named: dtype)
    )
  }

  /// The numbers that are expected of an output.
  func numbers() throws -> [Double] {
    guard kind == "tensor" else {
      return [number ?? Double.nan]
    }
    guard let dtype, let file else {
      throw CheckError("an output lacks its dtype or file")
    }
    let data = try Data(contentsOf: URL(fileURLWithPath: try Reference.path(file)))
    let type = try dataType(named: dtype)
    return try data.withUnsafeBytes { bytes in
      guard let start = bytes.baseAddress else {
        return []
      }
      return try doubles(start, count: data.count / size(ofDataType: type), type)
    }
  }
}

/// The numbers that the device returned.
func numbers(_ value: Value) throws -> [Double] {
  guard let tensor = value.anyTensor else {
    if let number = value.scalar {
      return [number.doubleValue]
    }
    if value.isBoolean {
      return [value.boolean ? 1 : 0]
    }
    throw CheckError("an output is neither a tensor nor a number")
  }
  var result: Result<[Double], Swift.Error> = .success([])
  tensor.bytes { pointer, count, type in
    result = Result { try doubles(pointer, count: count, type) }
  }
  return try result.get()
}

private func dataType(named name: String) throws -> DataType {
  switch name {
  case "float32": return .float
  case "float16": return .half
  case "float64": return .double
  case "int64": return .long
  case "int32": return .int
  case "int16": return .short
  case "int8": return .char
  case "uint8": return .byte
  case "bool": return .bool
  default: throw CheckError("unknown dtype \(name)")
  }
}

private func doubles(
  _ pointer: UnsafeRawPointer, count: Int, _ type: DataType
) throws -> [Double] {
  func read<T>(_: T.Type, _ convert: (T) -> Double) -> [Double] {
    let stride = MemoryLayout<T>.stride
    return (0..<count).map { convert(pointer.loadUnaligned(fromByteOffset: $0 * stride, as: T.self)) }
  }
  switch type {
  case .float: return read(Float.self) { Double($0) }
  case .half: return read(Float16.self) { Double($0) }
  case .double: return read(Double.self) { $0 }
  case .long: return read(Int64.self) { Double($0) }
  case .int: return read(Int32.self) { Double($0) }
  case .short: return read(Int16.self) { Double($0) }
  case .char: return read(Int8.self) { Double($0) }
  case .byte: return read(UInt8.self) { Double($0) }
  case .bool: return read(UInt8.self) { $0 == 0 ? 0 : 1 }
  default: throw CheckError("an output is of a dtype that cannot be compared")
  }
}
