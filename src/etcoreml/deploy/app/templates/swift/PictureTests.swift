
  func testAPictureBecomesAnInput() throws {
    let drawn = try XCTUnwrap(Pictures.sample())
    let input = try Pictures.input(drawn)
    XCTAssertEqual(input.__PICTURE__.shape, [1, 3, Pictures.height, Pictures.width])
  }

  func testPixelsAreNormalised() {
    let scalars = Pictures.normalised([255, 0, 127, 255])
    XCTAssertEqual(scalars[0], (255 - Pictures.mean[0]) / Pictures.std[0])
    XCTAssertEqual(scalars[1], (0 - Pictures.mean[1]) / Pictures.std[1])
    XCTAssertEqual(scalars[2], (127 - Pictures.mean[2]) / Pictures.std[2])
  }

  func testEveryClassHasALabel() {
    XCTAssertEqual(Classes.labels.count, Classes.count)
  }
