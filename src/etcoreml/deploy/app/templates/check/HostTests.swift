import XCTest

@testable import DeviceCheckApp

final class DeviceCheckAppTests: XCTestCase {
  func testEveryUnitGivesTheNumbersOfTheReference() throws {
    let (report, json) = try HostedCheck.run()
    let attachment = XCTAttachment(data: json, uniformTypeIdentifier: "public.json")
    attachment.name = "report.json"
    attachment.lifetime = .keepAlways
    add(attachment)
    for line in report.lines {
      print(line)
    }
    for unit in ["cpu_only", "cpu_and_gpu", "cpu_and_ne", "all"] {
      let worst = try XCTUnwrap(report.worstSnr(unit), unit)
      XCTAssertGreaterThanOrEqual(worst, __MIN_SNR__, unit)
    }
  }
}
