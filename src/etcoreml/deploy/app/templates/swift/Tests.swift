import XCTest

@testable import __NAME__

final class __NAME__Tests: XCTestCase {
  func testTheSampleRunsAndGivesWhatTheModelDeclares() async throws {
    let result = try await ModelRunner().run(.sample)
    for (name, shape, declared) in result.output.shapes {
      XCTAssertEqual(shape.count, declared.count, name)
      for (size, bound) in zip(shape, declared) {
        XCTAssertLessThanOrEqual(size, bound, name)
      }
    }
    XCTAssertFalse(result.output.summary.isEmpty)
  }

  func testTwoRunnersAgree() async throws {
    let first = try await ModelRunner().run(.sample)
    let second = try await ModelRunner().run(.sample)
    XCTAssertEqual(first.output.summary, second.output.summary)
  }
__PICTURE_TESTS__}
