#import "ModelRunner.h"

#import <ExecuTorch/ExecuTorch.h>

#import "TensorData.h"

@implementation ModelRunner {
  ExecuTorchModule *_module;
}

- (nullable ExecuTorchModule *)loadedModule:(NSError **)error {
  if (_module) {
    return _module;
  }
  NSString *path = [[NSBundle mainBundle] pathForResource:@"model" ofType:@"pte"];
  if (!path) {
    ETCFail(error, @"model.pte is not in the app: see Build Phases, Copy Bundle Resources");
    return nil;
  }
  ExecuTorchModule *module =
      [[ExecuTorchModule alloc] initWithFilePath:path loadMode:ExecuTorchModuleLoadModeMmap];
  if (![module loadMethod:@"__METHOD_NAME__" error:error]) {
    return nil;
  }
  _module = module;
  return module;
}

- (nullable __METHOD__Output *)run:(__METHOD__Input *)input
                           seconds:(double *)seconds
                             error:(NSError **)error {
  ExecuTorchModule *module = [self loadedModule:error];
  NSArray<ExecuTorchValue *> *values = module ? [input valuesWithError:error] : nil;
  if (!values) {
    return nil;
  }
  NSTimeInterval start = NSProcessInfo.processInfo.systemUptime;
  NSArray<ExecuTorchValue *> *results =
      [module executeMethod:@"__METHOD_NAME__" withInputs:values error:error];
  *seconds = NSProcessInfo.processInfo.systemUptime - start;
  if (!results) {
    return nil;
  }
  return [[__METHOD__Output alloc] initWithValues:results error:error];
}

@end
