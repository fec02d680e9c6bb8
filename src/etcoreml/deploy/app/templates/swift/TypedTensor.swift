import ExecuTorch
import Foundation

/// A number that a tensor can hold.
protocol TensorElement {
  static var dataType: DataType { get }

  /// A value for sample inputs: a slow wave of floating point; 0 and 1 of the rest.
  static func sample(at index: Int) -> Self
}

extension Float: TensorElement {
  static var dataType: DataType { .float }
  static func sample(at index: Int) -> Float { Float(sin(Double(index) * 0.1)) }
}

extension Double: TensorElement {
  static var dataType: DataType { .double }
  static func sample(at index: Int) -> Double { sin(Double(index) * 0.1) }
}

extension Float16: TensorElement {
  static var dataType: DataType { .half }
  static func sample(at index: Int) -> Float16 { Float16(sin(Double(index) * 0.1)) }
}

extension Int64: TensorElement {
  static var dataType: DataType { .long }
  static func sample(at index: Int) -> Int64 { Int64(index % 2) }
}

extension Int32: TensorElement {
  static var dataType: DataType { .int }
  static func sample(at index: Int) -> Int32 { Int32(index % 2) }
}

extension Int16: TensorElement {
  static var dataType: DataType { .short }
  static func sample(at index: Int) -> Int16 { Int16(index % 2) }
}

extension Int8: TensorElement {
  static var dataType: DataType { .char }
  static func sample(at index: Int) -> Int8 { Int8(index % 2) }
}

extension UInt8: TensorElement {
  static var dataType: DataType { .byte }
  static func sample(at index: Int) -> UInt8 { UInt8(index % 2) }
}

extension Bool: TensorElement {
  static var dataType: DataType { .bool }
  static func sample(at index: Int) -> Bool { index % 2 == 1 }
}

/// What is wrong with an input or an output.
struct ModelError: LocalizedError {
  let errorDescription: String?

  init(_ description: String) {
    errorDescription = description
  }
}

/// Numbers and their shape.
struct TypedTensor<Element: TensorElement> {
  /// In the order of memory.
  var scalars: [Element]
  var shape: [Int]

  init(_ scalars: [Element], shape: [Int]) {
    self.scalars = scalars
    self.shape = shape
  }

  /// Sample numbers of a shape.
  static func sample(shape: [Int]) -> TypedTensor {
    let count = shape.reduce(1, *)
    return TypedTensor((0..<count).map { Element.sample(at: $0) }, shape: shape)
  }

  /// Copies the numbers of an output.
  init(_ value: Value, name: String) throws {
    guard let tensor = value.anyTensor else {
      throw ModelError("output '\(name)' is not a tensor")
    }
    guard tensor.dataType == Element.dataType else {
      throw ModelError("output '\(name)' is not of \(Element.self)")
    }
    var copied: [Element] = []
    tensor.bytes { pointer, count, _ in
      let start = pointer.assumingMemoryBound(to: Element.self)
      copied = Array(UnsafeBufferPointer(start: start, count: count))
    }
    scalars = copied
    shape = tensor.shape
  }

  /// Returns a tensor with a copy of the numbers.
  ///
  /// - Parameters:
  ///   - name: For errors.
  ///   - declared: The model's shape.
  ///   - varies: Whether each size may be less than declared.
  ///   - dimensionOrder: Dimensions from the outermost in memory to the innermost.
  func tensor(
    name: String, declared: [Int], varies: Bool, dimensionOrder: [Int]
  ) throws -> AnyTensor {
    let sizes = zip(shape, declared)
    let fits = varies ? sizes.allSatisfy { $0 <= $1 } : sizes.allSatisfy { $0 == $1 }
    guard fits, shape.count == declared.count else {
      throw ModelError("input '\(name)' is \(shape); the model takes \(declared)")
    }
    guard scalars.count == shape.reduce(1, *) else {
      throw ModelError("input '\(name)' of shape \(shape) has \(scalars.count) numbers")
    }
    guard !scalars.isEmpty else {
      throw ModelError("input '\(name)' is empty, which Core ML does not take")
    }
    return scalars.withUnsafeBytes { bytes in
      AnyTensor(
        bytes: bytes.baseAddress!,
        shape: shape,
        dimensionOrder: dimensionOrder,
        dataType: Element.dataType
      )
    }
  }

  /// The shape and the first numbers, for people.
  var summary: String {
    let first = scalars.prefix(8).map { "\($0)" }.joined(separator: ", ")
    let rest = scalars.count > 8 ? ", ..." : ""
    return "\(shape): \(first)\(rest)"
  }
}
