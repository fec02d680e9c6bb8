#import <UIKit/UIKit.h>

#import "Model.h"

NS_ASSUME_NONNULL_BEGIN

/// Pictures as the model's input, and its scores as classes.
@interface Pictures : NSObject

/// Draws a picture: a disc on a plain ground.
+ (UIImage *)samplePicture;

/// Resizes a picture to the model's size and normalises its pixels; nil if it cannot be drawn.
+ (nullable __METHOD__Input *)inputOfPicture:(UIImage *)picture;

/// The likeliest classes, best first, a line each; scores become probabilities by softmax.
+ (NSArray<NSString *> *)bestOfScores:(NSData *)scores limit:(NSInteger)limit;

@end

NS_ASSUME_NONNULL_END
