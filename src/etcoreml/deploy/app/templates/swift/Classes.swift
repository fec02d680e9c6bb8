import Foundation

/// One class and how likely the model finds it.
struct Guess: Identifiable {
  let id: Int
  let label: String
  let probability: Double
}

/// The classes that the model tells apart.
enum Classes {
  /// How many there are.
  static let count = __CLASSES__

  /// Their names, one a line of labels.txt; numbers where there is no such file.
  static let labels: [String] = {
    guard
      let url = Bundle.main.url(forResource: "labels", withExtension: "txt"),
      let text = try? String(contentsOf: url, encoding: .utf8)
    else {
      return (0..<count).map { "class \($0)" }
    }
    return text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
  }()

  /// Returns the likeliest classes, best first; scores become probabilities by softmax.
  static func best(_ scores: [Float], limit: Int = 5) throws -> [Guess] {
    guard scores.count == count, let greatest = scores.max() else {
      throw ModelError("\(scores.count) scores for \(count) classes")
    }
    let weights = scores.map { exp(Double($0 - greatest)) }
    let sum = weights.reduce(0, +)
    let order = weights.indices.sorted { weights[$0] > weights[$1] }
    return order.prefix(limit).map { index in
      let label = index < labels.count ? labels[index] : "class \(index)"
      return Guess(id: index, label: label, probability: weights[index] / sum)
    }
  }
}
