import Foundation

// The formulas of etcoreml's trace/metrics.py. Its tests run this file's arithmetic beside that.

/// How far an output is from what it should be.
struct Distance {
  /// Signal-to-noise ratio in dB, 10 log10(sum e^2 / sum (a - e)^2).
  let snr: Double
  /// The largest absolute difference.
  let maxAbs: Double
  /// Elements that are inf or nan although the expected ones are finite.
  let notFinite: Int
}

/// Measures an output over the elements that are finite in both.
func distance(_ actual: [Double], _ expected: [Double]) -> Distance {
  var noise = 0.0
  var signal = 0.0
  var maxAbs = 0.0
  var notFinite = 0
  var strange = false
  for i in 0..<expected.count {
    let a = actual[i]
    let e = expected[i]
    if a.isFinite && e.isFinite {
      noise += (a - e) * (a - e)
      signal += e * e
      maxAbs = max(maxAbs, abs(a - e))
    } else if !(a == e || (a.isNaN && e.isNaN)) {
      strange = true
    }
    if e.isFinite && !a.isFinite {
      notFinite += 1
    }
  }
  if strange {
    noise = Double.infinity
    maxAbs = Double.infinity
  }
  return Distance(snr: decibels(signal, noise), maxAbs: maxAbs, notFinite: notFinite)
}

/// Returns a ratio in dB; infinite without noise, and negative infinite without signal.
func decibels(_ signal: Double, _ noise: Double) -> Double {
  if noise == 0 {
    return Double.infinity
  }
  if signal == 0 || noise.isInfinite {
    return -Double.infinity
  }
  return 10 * log10(signal / noise)
}

/// Returns a quantile, from 0 to 1, with linear interpolation between ranks.
func quantile(_ values: [Double], _ fraction: Double) -> Double {
  let ordered = values.sorted()
  let position = Double(ordered.count - 1) * fraction
  let lower = Int(position)
  let upper = min(lower + 1, ordered.count - 1)
  return ordered[lower] + (ordered[upper] - ordered[lower]) * (position - Double(lower))
}
