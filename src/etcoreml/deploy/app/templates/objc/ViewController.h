#import <UIKit/UIKit.h>

/// The app's view: buttons, and what the model returned.
@interface ViewController : UIViewController
@end
