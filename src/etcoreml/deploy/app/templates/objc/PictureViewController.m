#import "ViewController.h"

#import <PhotosUI/PhotosUI.h>

#import "ModelRunner.h"
#import "Pictures.h"

@interface ViewController () <PHPickerViewControllerDelegate>
@end

@implementation ViewController {
  ModelRunner *_runner;
  dispatch_queue_t _queue;
  UIImageView *_picture;
  UILabel *_text;
}

- (void)viewDidLoad {
  [super viewDidLoad];
  self.view.backgroundColor = UIColor.systemBackgroundColor;
  _runner = [[ModelRunner alloc] init];
  _queue = dispatch_queue_create("model", DISPATCH_QUEUE_SERIAL);
  _picture = [[UIImageView alloc] init];
  _picture.contentMode = UIViewContentModeScaleAspectFit;
  _text = [[UILabel alloc] init];
  _text.numberOfLines = 0;
  _text.font = [UIFont monospacedSystemFontOfSize:14 weight:UIFontWeightRegular];
  _text.text = @"Choose a picture";
  UIStackView *stack = [[UIStackView alloc] initWithArrangedSubviews:@[
    _picture,
    [self buttonWithTitle:@"Photo" action:@selector(choose)],
    [self buttonWithTitle:@"Sample" action:@selector(classifySample)],
    _text,
  ]];
  stack.axis = UILayoutConstraintAxisVertical;
  stack.spacing = 12;
  stack.translatesAutoresizingMaskIntoConstraints = NO;
  [self.view addSubview:stack];
  UILayoutGuide *guide = self.view.layoutMarginsGuide;
  [NSLayoutConstraint activateConstraints:@[
    [stack.topAnchor constraintEqualToAnchor:guide.topAnchor],
    [stack.leadingAnchor constraintEqualToAnchor:guide.leadingAnchor],
    [stack.trailingAnchor constraintEqualToAnchor:guide.trailingAnchor],
    [_picture.heightAnchor constraintEqualToConstant:280],
  ]];
}

- (UIButton *)buttonWithTitle:(NSString *)title action:(SEL)action {
  UIButton *button = [UIButton buttonWithType:UIButtonTypeSystem];
  [button setTitle:title forState:UIControlStateNormal];
  [button addTarget:self action:action forControlEvents:UIControlEventTouchUpInside];
  return button;
}

- (void)choose {
  PHPickerConfiguration *configuration = [[PHPickerConfiguration alloc] init];
  configuration.filter = [PHPickerFilter imagesFilter];
  PHPickerViewController *picker =
      [[PHPickerViewController alloc] initWithConfiguration:configuration];
  picker.delegate = self;
  [self presentViewController:picker animated:YES completion:nil];
}

- (void)classifySample {
  [self classify:[Pictures samplePicture]];
}

- (void)picker:(PHPickerViewController *)picker
    didFinishPicking:(NSArray<PHPickerResult *> *)results {
  [picker dismissViewControllerAnimated:YES completion:nil];
  NSItemProvider *provider = results.firstObject.itemProvider;
  if (![provider canLoadObjectOfClass:[UIImage class]]) {
    return;
  }
  [provider loadObjectOfClass:[UIImage class]
            completionHandler:^(id<NSItemProviderReading> object, NSError *error) {
              dispatch_async(dispatch_get_main_queue(), ^{
                if ([(id)object isKindOfClass:[UIImage class]]) {
                  [self classify:(UIImage *)object];
                } else {
                  self->_text.text = error.localizedDescription;
                }
              });
            }];
}

- (void)classify:(UIImage *)picture {
  _picture.image = picture;
  __METHOD__Input *input = [Pictures inputOfPicture:picture];
  if (!input) {
    _text.text = @"The picture cannot be drawn";
    return;
  }
  _text.text = @"Running ...";
  dispatch_async(_queue, ^{
    double seconds = 0;
    NSError *error = nil;
    __METHOD__Output *output = [self->_runner run:input seconds:&seconds error:&error];
    NSArray<NSString *> *lines =
        output ? [Pictures bestOfScores:output.__SCORES__ limit:5] : @[];
    NSString *time = [NSString stringWithFormat:@"%.2f ms", 1000 * seconds];
    dispatch_async(dispatch_get_main_queue(), ^{
      self->_text.text =
          output ? [[lines arrayByAddingObject:time] componentsJoinedByString:@"\n"]
                 : error.localizedDescription;
    });
  });
}

@end
