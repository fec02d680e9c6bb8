#import <UIKit/UIKit.h>

/// Makes the window of each scene.
@interface AppDelegate : UIResponder <UIApplicationDelegate>
@end

/// Shows the one view of the app.
@interface SceneDelegate : UIResponder <UIWindowSceneDelegate>
@property (nonatomic, strong) UIWindow *window;
@end
