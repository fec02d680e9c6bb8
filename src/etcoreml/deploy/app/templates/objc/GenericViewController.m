#import "ViewController.h"

#import "ModelRunner.h"

@implementation ViewController {
  ModelRunner *_runner;
  dispatch_queue_t _queue;
  UIButton *_button;
  UITextView *_text;
}

- (void)viewDidLoad {
  [super viewDidLoad];
  self.view.backgroundColor = UIColor.systemBackgroundColor;
  _runner = [[ModelRunner alloc] init];
  _queue = dispatch_queue_create("model", DISPATCH_QUEUE_SERIAL);
  _button = [UIButton buttonWithType:UIButtonTypeSystem];
  [_button setTitle:@"Run the sample input" forState:UIControlStateNormal];
  [_button addTarget:self action:@selector(run) forControlEvents:UIControlEventTouchUpInside];
  _text = [[UITextView alloc] init];
  _text.editable = NO;
  _text.font = [UIFont monospacedSystemFontOfSize:14 weight:UIFontWeightRegular];
  UIStackView *stack = [[UIStackView alloc] initWithArrangedSubviews:@[ _button, _text ]];
  stack.axis = UILayoutConstraintAxisVertical;
  stack.spacing = 12;
  stack.translatesAutoresizingMaskIntoConstraints = NO;
  [self.view addSubview:stack];
  UILayoutGuide *guide = self.view.layoutMarginsGuide;
  [NSLayoutConstraint activateConstraints:@[
    [stack.topAnchor constraintEqualToAnchor:guide.topAnchor],
    [stack.bottomAnchor constraintEqualToAnchor:guide.bottomAnchor],
    [stack.leadingAnchor constraintEqualToAnchor:guide.leadingAnchor],
    [stack.trailingAnchor constraintEqualToAnchor:guide.trailingAnchor],
  ]];
}

- (void)run {
  _button.enabled = NO;
  _text.text = @"Running ...";
  dispatch_async(_queue, ^{
    double seconds = 0;
    NSError *error = nil;
    __METHOD__Output *output = [self->_runner run:[__METHOD__Input sampleInput]
                                          seconds:&seconds
                                            error:&error];
    NSString *time = [NSString stringWithFormat:@"%.2f ms", 1000 * seconds];
    NSString *lines = [[output summary] componentsJoinedByString:@"\n"];
    dispatch_async(dispatch_get_main_queue(), ^{
      self->_text.text = output ? [NSString stringWithFormat:@"%@\n%@", time, lines]
                                : error.localizedDescription;
      self->_button.enabled = YES;
    });
  });
}

@end
