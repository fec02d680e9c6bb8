#import <XCTest/XCTest.h>

// The test bundle is loaded into the app and finds its classes there; only their declarations are
// needed, not their sources.
#import "../__NAME__/ModelRunner.h"

@interface __NAME__Tests : XCTestCase
@end

@implementation __NAME__Tests

- (void)testTheSampleRunsAndTwoRunnersAgree {
  NSError *error = nil;
  double seconds = 0;
  __METHOD__Output *first = [[[ModelRunner alloc] init] run:[__METHOD__Input sampleInput]
                                                    seconds:&seconds
                                                      error:&error];
  XCTAssertNotNil(first, @"%@", error);
  __METHOD__Output *second = [[[ModelRunner alloc] init] run:[__METHOD__Input sampleInput]
                                                     seconds:&seconds
                                                       error:&error];
  XCTAssertNotNil(second, @"%@", error);
  XCTAssertEqualObjects([first summary], [second summary]);
  XCTAssertGreaterThan(seconds, 0);
}

@end
