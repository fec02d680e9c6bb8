import ExecuTorch
import Foundation

/// Loads the program once, and runs it off the main thread.
actor ModelRunner {
  private var module: Module?

  /// The program in the app's bundle.
  static func modelPath() throws -> String {
    guard let path = Bundle.main.path(forResource: "model", ofType: "pte") else {
      throw ModelError("model.pte is not in the app: see Build Phases, Copy Bundle Resources")
    }
    return path
  }

  /// Loads the program. The first time on a device, Core ML compiles the model, which takes longer.
  private func loaded() throws -> Module {
    if let module {
      return module
    }
    let loaded = Module(filePath: try Self.modelPath(), loadMode: .mmap)
    try loaded.load(__METHOD__.name)
    module = loaded
    return loaded
  }

  /// Runs the method once, and returns what came out and the seconds it took.
  func run(_ input: __METHOD__.Input) throws -> (output: __METHOD__.Output, seconds: Double) {
    let module = try loaded()
    let values = try input.values()
    let clock = ContinuousClock()
    let start = clock.now
    let results = try module.execute(__METHOD__.name, values)
    let elapsed = start.duration(to: clock.now).components
    let seconds = Double(elapsed.seconds) + Double(elapsed.attoseconds) * 1e-18
    return (try __METHOD__.Output(results), seconds)
  }
}
