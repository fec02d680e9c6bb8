import SwiftUI

/// Runs the model on a sample input.
struct ContentView: View {
  @State private var runner = ModelRunner()
  @State private var lines: [String] = []
  @State private var status = "Ready"
  @State private var running = false

  var body: some View {
    VStack(alignment: .leading, spacing: 12) {
      Text("__NAME__").font(.title)
      Button("Run the sample input") {
        Task { await run() }
      }
      .disabled(running)
      Text(status).foregroundStyle(.secondary)
      //__TRACE__
      ScrollView {
        VStack(alignment: .leading, spacing: 6) {
          ForEach(lines, id: \.self) { line in
            Text(line).font(.body.monospaced())
          }
        }
        .frame(maxWidth: .infinity, alignment: .leading)
      }
    }
    .padding()
    .frame(minWidth: 320, minHeight: 400)
  }

  private func run() async {
    running = true
    status = "Running ..."
    do {
      let result = try await runner.run(.sample)
      lines = result.output.summary
      status = String(format: "%.2f ms", result.seconds * 1000)
    } catch {
      status = error.localizedDescription
    }
    running = false
  }
}
