import SwiftUI

/// A button that gives a drawn picture: tvOS has no photo picker.
struct PicturePicker: View {
  let onPicture: (CGImage) -> Void

  var body: some View {
    Button("Sample") {
      if let drawn = Pictures.sample() {
        onPicture(drawn)
      }
    }
  }
}
