import CoreGraphics
import Foundation
import ImageIO

/// Pictures as the model's input.
enum Pictures {
  static let height = __HEIGHT__
  static let width = __WIDTH__
  /// Subtracted from red, green and blue, of 0 to 255.
  static let mean: [Float] = [__MEAN__]
  /// What they are divided by then.
  static let std: [Float] = [__STD__]
  /// Whether the three channels of a pixel lie side by side in memory.
  static let channelsLast = __CHANNELS_LAST__

  /// Decodes a file, upright as its orientation says.
  static func decode(_ data: Data) -> CGImage? {
    guard let source = CGImageSourceCreateWithData(data as CFData, nil) else {
      return nil
    }
    let options: [CFString: Any] = [
      kCGImageSourceCreateThumbnailFromImageAlways: true,
      kCGImageSourceCreateThumbnailWithTransform: true,
      kCGImageSourceThumbnailMaxPixelSize: 1024,
    ]
    return CGImageSourceCreateThumbnailAtIndex(source, 0, options as CFDictionary)
  }

  /// Resizes a picture to the model's size and normalises its pixels.
  static func input(_ image: CGImage) throws -> __METHOD__.Input {
    var pixels = [UInt8](repeating: 0, count: height * width * 4)
    let drawn = pixels.withUnsafeMutableBytes { bytes -> Bool in
      guard let context = canvas(bytes.baseAddress, width: width, height: height) else {
        return false
      }
      context.interpolationQuality = .high
      context.draw(image, in: CGRect(x: 0, y: 0, width: width, height: height))
      return true
    }
    guard drawn else {
      throw ModelError("the picture cannot be drawn")
    }
    return __METHOD__.Input(__PICTURE__: TypedTensor(normalised(pixels), shape: [1, 3, height, width]))
  }

  /// Turns pixels, four bytes each, into the numbers of a tensor.
  static func normalised(_ pixels: [UInt8]) -> [Float] {
    let area = pixels.count / 4
    var scalars = [Float](repeating: 0, count: 3 * area)
    for pixel in 0..<area {
      for channel in 0..<3 {
        let index = channelsLast ? 3 * pixel + channel : channel * area + pixel
        scalars[index] = (Float(pixels[4 * pixel + channel]) - mean[channel]) / std[channel]
      }
    }
    return scalars
  }

  /// Draws a picture: a disc on a ground that becomes lighter.
  static func sample() -> CGImage? {
    guard let context = canvas(nil, width: 256, height: 256) else {
      return nil
    }
    for row in 0..<256 {
      context.setFillColor(CGColor(red: 0.2, green: CGFloat(row) / 255, blue: 0.6, alpha: 1))
      context.fill(CGRect(x: 0, y: row, width: 256, height: 1))
    }
    context.setFillColor(CGColor(red: 0.9, green: 0.5, blue: 0.1, alpha: 1))
    context.fillEllipse(in: CGRect(x: 64, y: 64, width: 128, height: 128))
    return context.makeImage()
  }

  private static func canvas(
    _ memory: UnsafeMutableRawPointer?, width: Int, height: Int
  ) -> CGContext? {
    CGContext(
      data: memory,
      width: width,
      height: height,
      bitsPerComponent: 8,
      bytesPerRow: 4 * width,
      space: CGColorSpace(name: CGColorSpace.sRGB)!,
      bitmapInfo: CGImageAlphaInfo.noneSkipLast.rawValue
    )
  }
}
