import Foundation

/// Returns the bytes of memory that the system counts as this process's.
func footprint() -> Int {
  var info = task_vm_info_data_t()
  let size = MemoryLayout<task_vm_info_data_t>.size / MemoryLayout<natural_t>.size
  var count = mach_msg_type_number_t(size)
  let status = withUnsafeMutablePointer(to: &info) { pointer in
    pointer.withMemoryRebound(to: integer_t.self, capacity: size) { rebound in
      task_info(mach_task_self_, task_flavor_t(TASK_VM_INFO), rebound, &count)
    }
  }
  return status == KERN_SUCCESS ? Int(info.phys_footprint) : 0
}

/// Returns the hardware's name, as iPhone17,1 or Mac15,3.
func hardware() -> String {
  #if os(macOS)
    let name = "hw.model"
  #else
    let name = "hw.machine"
  #endif
  var size = 0
  sysctlbyname(name, nil, &size, nil, 0)
  var buffer = [CChar](repeating: 0, count: size + 1)
  sysctlbyname(name, &buffer, &size, nil, 0)
  return String(cString: buffer)
}

/// Returns the system's name and version.
func system() -> String {
  #if os(macOS)
    let name = "macOS"
  #else
    let name = "iOS"
  #endif
  let version = ProcessInfo.processInfo.operatingSystemVersion
  return "\(name) \(version.majorVersion).\(version.minorVersion).\(version.patchVersion)"
}

/// Runs a block, and returns what it returned and the milliseconds it took.
func timed<T>(_ body: () throws -> T) rethrows -> (T, Double) {
  let clock = ContinuousClock()
  let start = clock.now
  let result = try body()
  let elapsed = start.duration(to: clock.now).components
  return (result, Double(elapsed.seconds) * 1e3 + Double(elapsed.attoseconds) * 1e-15)
}
