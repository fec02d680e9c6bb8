import ExecuTorch
import ExecuTorchDump
import SwiftUI

/// Records an ETDump of one run into the app's documents, for `etcoreml inspector`.
struct TraceSection: View {
  @State private var status = ""

  var body: some View {
    VStack(alignment: .leading) {
      Button("Record an ETDump") {
        Task.detached {
          let text: String
          do {
            text = "Wrote \(try record().path)"
          } catch {
            text = error.localizedDescription
          }
          await MainActor.run { status = text }
        }
      }
      Text(status).font(.footnote)
    }
  }

  /// Runs the sample input in a program of its own, and writes what was recorded.
  private nonisolated func record() throws -> URL {
    guard Dump.isAvailable else {
      throw ModelError("this runtime was built without event tracing")
    }
    let dump = try Dump(filePath: try ModelRunner.modelPath())
    _ = try dump.module.execute(__METHOD__.name, try __METHOD__.Input.sample.values())
    let folder = FileManager.default.urls(for: .documentDirectory, in: .userDomainMask)[0]
    let url = folder.appendingPathComponent("etdump.etdp")
    try dump.takeData(toFile: url.path)
    return url
  }
}
