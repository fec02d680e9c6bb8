#import <Foundation/Foundation.h>

#import "Model.h"

NS_ASSUME_NONNULL_BEGIN

/// Loads the program once. One thread at a time may use it.
@interface ModelRunner : NSObject

/// Runs the method once.
///
/// The first time on a device, Core ML compiles the model while it is loaded, which takes longer.
///
/// @param input What it takes.
/// @param seconds Set to the time that it took, without loading.
/// @param error Set on failure.
/// @return What came out, or nil.
- (nullable __METHOD__Output *)run:(__METHOD__Input *)input
                           seconds:(double *)seconds
                             error:(NSError **)error;

@end

NS_ASSUME_NONNULL_END
