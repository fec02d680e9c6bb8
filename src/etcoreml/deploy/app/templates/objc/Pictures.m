#import "Pictures.h"

static const NSInteger kHeight = __HEIGHT__;
static const NSInteger kWidth = __WIDTH__;
/// Subtracted from red, green and blue, of 0 to 255, which are then divided by kStd.
static const float kMean[3] = {__MEAN__};
static const float kStd[3] = {__STD__};
/// Whether the three channels of a pixel lie side by side in memory.
static const BOOL kChannelsLast = __CHANNELS_LAST_FLAG__;

@implementation Pictures

+ (UIImage *)samplePicture {
  UIGraphicsImageRenderer *renderer =
      [[UIGraphicsImageRenderer alloc] initWithSize:CGSizeMake(256, 256)];
  return [renderer imageWithActions:^(UIGraphicsImageRendererContext *context) {
    [[UIColor colorWithRed:0.2 green:0.5 blue:0.6 alpha:1] setFill];
    [context fillRect:CGRectMake(0, 0, 256, 256)];
    [[UIColor colorWithRed:0.9 green:0.5 blue:0.1 alpha:1] setFill];
    [[UIBezierPath bezierPathWithOvalInRect:CGRectMake(64, 64, 128, 128)] fill];
  }];
}

+ (nullable __METHOD__Input *)inputOfPicture:(UIImage *)picture {
  NSMutableData *pixels = [NSMutableData dataWithLength:4 * kHeight * kWidth];
  CGColorSpaceRef space = CGColorSpaceCreateWithName(kCGColorSpaceSRGB);
  CGContextRef context =
      CGBitmapContextCreate(pixels.mutableBytes, kWidth, kHeight, 8, 4 * kWidth, space,
                            (CGBitmapInfo)kCGImageAlphaNoneSkipLast);
  CGColorSpaceRelease(space);
  if (!context) {
    return nil;
  }
  CGContextSetInterpolationQuality(context, kCGInterpolationHigh);
  // UIKit draws upright, as the picture's orientation says; its origin is at the top.
  CGContextTranslateCTM(context, 0, kHeight);
  CGContextScaleCTM(context, 1, -1);
  UIGraphicsPushContext(context);
  [picture drawInRect:CGRectMake(0, 0, kWidth, kHeight)];
  UIGraphicsPopContext();
  CGContextRelease(context);
  __METHOD__Input *input = [[__METHOD__Input alloc] init];
  input.__PICTURE__Shape = @[ @1, @3, @(kHeight), @(kWidth) ];
  input.__PICTURE__ = [self normalised:pixels];
  return input;
}

+ (NSData *)normalised:(NSData *)pixels {
  NSInteger area = pixels.length / 4;
  NSMutableData *data = [NSMutableData dataWithLength:3 * area * sizeof(float)];
  const uint8_t *bytes = pixels.bytes;
  float *scalars = data.mutableBytes;
  for (NSInteger pixel = 0; pixel < area; pixel++) {
    for (NSInteger channel = 0; channel < 3; channel++) {
      NSInteger index = kChannelsLast ? 3 * pixel + channel : channel * area + pixel;
      scalars[index] = (bytes[4 * pixel + channel] - kMean[channel]) / kStd[channel];
    }
  }
  return data;
}

+ (NSArray<NSString *> *)labels {
  NSString *path = [[NSBundle mainBundle] pathForResource:@"labels" ofType:@"txt"];
  NSString *text = path ? [NSString stringWithContentsOfFile:path
                                                    encoding:NSUTF8StringEncoding
                                                       error:nil]
                        : nil;
  return [text componentsSeparatedByString:@"\n"] ?: @[];
}

+ (NSArray<NSString *> *)bestOfScores:(NSData *)scores limit:(NSInteger)limit {
  NSArray<NSString *> *labels = [self labels];
  NSInteger count = scores.length / sizeof(float);
  const float *values = scores.bytes;
  double greatest = -INFINITY, sum = 0;
  NSMutableArray<NSNumber *> *order = [NSMutableArray array];
  for (NSInteger i = 0; i < count; i++) {
    greatest = MAX(greatest, values[i]);
    [order addObject:@(i)];
  }
  for (NSInteger i = 0; i < count; i++) {
    sum += exp(values[i] - greatest);
  }
  [order sortUsingComparator:^NSComparisonResult(NSNumber *a, NSNumber *b) {
    return [@(values[b.integerValue]) compare:@(values[a.integerValue])];
  }];
  NSMutableArray<NSString *> *lines = [NSMutableArray array];
  for (NSInteger rank = 0; rank < MIN(limit, count); rank++) {
    NSInteger i = order[rank].integerValue;
    NSString *label = i < (NSInteger)labels.count
                          ? labels[i]
                          : [NSString stringWithFormat:@"class %ld", (long)i];
    double percent = 100 * exp(values[i] - greatest) / sum;
    [lines addObject:[NSString stringWithFormat:@"%5.1f %%  %@", percent, label]];
  }
  return lines;
}

@end
