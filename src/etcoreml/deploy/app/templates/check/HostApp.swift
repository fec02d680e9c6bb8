import DeviceCheck
import SwiftUI

/// Runs the check, and keeps the report in the app's documents.
enum HostedCheck {
  static func run() throws -> (report: Report, json: Data) {
    let folder = FileManager.default.urls(for: .documentDirectory, in: .userDomainMask)[0]
    let report = try runCheck(etdumps: folder)
    let json = try report.json()
    try json.write(to: folder.appendingPathComponent("report.json"))
    return (report, json)
  }
}

@main
struct DeviceCheckAppApp: App {
  var body: some Scene {
    WindowGroup {
      CheckView()
    }
  }
}

struct CheckView: View {
  @State private var lines = ["Runs the model on every compute unit; takes a minute or so."]
  @State private var running = false

  var body: some View {
    VStack(alignment: .leading, spacing: 12) {
      Button("Run the check") {
        running = true
        Task.detached {
          let found: [String]
          do {
            found = try HostedCheck.run().report.lines + ["report.json is in the documents"]
          } catch {
            found = [error.localizedDescription]
          }
          await MainActor.run {
            lines = found
            running = false
          }
        }
      }
      .disabled(running)
      ScrollView {
        Text(lines.joined(separator: "\n"))
          .font(.footnote.monospaced())
          .frame(maxWidth: .infinity, alignment: .leading)
      }
    }
    .padding()
  }
}
