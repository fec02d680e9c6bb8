import SwiftUI

/// Classifies a picture.
struct ContentView: View {
  @State private var runner = ModelRunner()
  @State private var picture: CGImage?
  @State private var guesses: [Guess] = []
  @State private var status = "Choose a picture"
  @State private var running = false

  var body: some View {
    VStack(spacing: 12) {
      Text("__NAME__").font(.title)
      if let picture {
        Image(decorative: picture, scale: 1)
          .resizable()
          .scaledToFit()
          .frame(maxHeight: 280)
      }
      PicturePicker(onPicture: { image in Task { await classify(image) } })
        .disabled(running)
      Text(status).foregroundStyle(.secondary)
      ForEach(guesses) { guess in
        HStack {
          Text(guess.label)
          Spacer()
          Text(String(format: "%.1f %%", guess.probability * 100))
        }
      }
      //__TRACE__
      Spacer()
    }
    .padding()
    .frame(minWidth: 320, minHeight: 480)
  }

  private func classify(_ image: CGImage) async {
    running = true
    picture = image
    status = "Running ..."
    do {
      let result = try await runner.run(try Pictures.input(image))
      guesses = try Classes.best(result.output.__SCORES__.scalars)
      status = String(format: "%.2f ms", result.seconds * 1000)
    } catch {
      guesses = []
      status = error.localizedDescription
    }
    running = false
  }
}
