import SwiftUI

@main
struct __NAME__App: App {
  var body: some Scene {
    WindowGroup {
      ContentView()
    }
  }
}
