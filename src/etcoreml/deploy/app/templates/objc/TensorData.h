#import <ExecuTorch/ExecuTorch.h>
#import <Foundation/Foundation.h>

NS_ASSUME_NONNULL_BEGIN

/// Sets an error with a message.
void ETCFail(NSError *_Nullable *_Nullable error, NSString *format, ...) NS_FORMAT_FUNCTION(2, 3);

/// Returns sample numbers of a shape: a slow wave of floating point; 0 and 1 of the rest.
NSData *ETCSampleData(NSArray<NSNumber *> *shape, ExecuTorchDataType dataType);

/// Returns a tensor with a copy of the numbers, or nil and an error.
ExecuTorchValue *_Nullable ETCTensorValue(
    NSString *name, NSData *data, NSArray<NSNumber *> *shape, NSArray<NSNumber *> *declared,
    BOOL dynamic, NSArray<NSNumber *> *dimensionOrder, ExecuTorchDataType dataType,
    NSError *_Nullable *_Nullable error);

/// Copies the numbers of an output, or returns nil and an error.
NSData *_Nullable ETCReadTensor(
    ExecuTorchValue *value, NSString *name, ExecuTorchDataType dataType,
    NSArray<NSNumber *> *_Nullable *_Nonnull shape, NSError *_Nullable *_Nullable error);

/// Returns the shape and the first numbers, for people.
NSString *ETCSummary(
    NSString *name, NSData *data, NSArray<NSNumber *> *shape, ExecuTorchDataType dataType);

NS_ASSUME_NONNULL_END
