import ImageIO
import PhotosUI
import SwiftUI

/// Buttons that give a picture: one of the photo library, or a drawn one.
struct PicturePicker: View {
  let onPicture: (CGImage) -> Void
  @State private var choice: PhotosPickerItem?
  @State private var problem: String?

  var body: some View {
    HStack(spacing: 16) {
      PhotosPicker("Photo", selection: $choice, matching: .images)
      Button("Sample") {
        if let drawn = Pictures.sample() {
          onPicture(drawn)
        }
      }
    }
    .onChange(of: choice) {
      Task { await open() }
    }
    if let problem {
      Text(problem).foregroundStyle(.red)
    }
  }

  private func open() async {
    do {
      guard let choice, let data = try await choice.loadTransferable(type: Data.self) else {
        return
      }
      guard let image = Pictures.decode(data) else {
        throw ModelError("this file is not a picture")
      }
      problem = nil
      onPicture(image)
    } catch {
      problem = error.localizedDescription
    }
  }
}
