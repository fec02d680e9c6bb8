import XCTest

@testable import DeviceCheck

final class DeviceCheckTests: XCTestCase {
  func testMetrics() {
    XCTAssertEqual(distance([1, 2], [1, 2]).snr, Double.infinity)
    XCTAssertEqual(distance([1.1], [1]).snr, 20, accuracy: 1e-9)
    XCTAssertEqual(distance([Double.infinity], [1]).notFinite, 1)
    XCTAssertEqual(quantile([4, 1, 3, 2], 0.5), 2.5)
  }

  func testEveryUnitGivesTheNumbersOfTheReference() throws {
    let least = try Reference.load().minSnrDb
    let report = try runCheck(iterations: 5)
    for line in report.lines {
      print(line)
    }
    for unit in computeUnits {
      let worst = try XCTUnwrap(report.worstSnr(unit), unit)
      XCTAssertGreaterThanOrEqual(worst, least, unit)
    }
  }
}
