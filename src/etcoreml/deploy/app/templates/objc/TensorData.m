#import "TensorData.h"

void ETCFail(NSError **error, NSString *format, ...) {
  if (!error) {
    return;
  }
  va_list arguments;
  va_start(arguments, format);
  NSString *message = [[NSString alloc] initWithFormat:format arguments:arguments];
  va_end(arguments);
  *error = [NSError errorWithDomain:@"ModelError"
                               code:1
                           userInfo:@{NSLocalizedDescriptionKey : message}];
}

static NSInteger ETCCount(NSArray<NSNumber *> *shape) {
  NSInteger count = 1;
  for (NSNumber *size in shape) {
    count *= size.integerValue;
  }
  return count;
}

NSData *ETCSampleData(NSArray<NSNumber *> *shape, ExecuTorchDataType dataType) {
  NSInteger count = ETCCount(shape);
  NSMutableData *data =
      [NSMutableData dataWithLength:count * ExecuTorchSizeOfDataType(dataType)];
  void *bytes = data.mutableBytes;
  for (NSInteger i = 0; i < count; i++) {
    double wave = sin(0.1 * i);
    switch (dataType) {
      case ExecuTorchDataTypeFloat: ((float *)bytes)[i] = (float)wave; break;
      case ExecuTorchDataTypeHalf: ((_Float16 *)bytes)[i] = (_Float16)wave; break;
      case ExecuTorchDataTypeDouble: ((double *)bytes)[i] = wave; break;
      case ExecuTorchDataTypeLong: ((int64_t *)bytes)[i] = i % 2; break;
      case ExecuTorchDataTypeInt: ((int32_t *)bytes)[i] = i % 2; break;
      case ExecuTorchDataTypeShort: ((int16_t *)bytes)[i] = i % 2; break;
      default: ((uint8_t *)bytes)[i] = i % 2; break;
    }
  }
  return data;
}

ExecuTorchValue *ETCTensorValue(
    NSString *name, NSData *data, NSArray<NSNumber *> *shape, NSArray<NSNumber *> *declared,
    BOOL dynamic, NSArray<NSNumber *> *dimensionOrder, ExecuTorchDataType dataType,
    NSError **error) {
  BOOL fits = shape.count == declared.count;
  for (NSUInteger i = 0; fits && i < shape.count; i++) {
    NSInteger size = shape[i].integerValue, bound = declared[i].integerValue;
    fits = dynamic ? size <= bound : size == bound;
  }
  if (!fits) {
    ETCFail(error, @"input '%@' is %@; the model takes %@", name, shape, declared);
    return nil;
  }
  NSUInteger expected = ETCCount(shape) * ExecuTorchSizeOfDataType(dataType);
  if (data.length != expected) {
    ETCFail(error, @"input '%@' has %lu bytes; its shape takes %lu", name,
            (unsigned long)data.length, (unsigned long)expected);
    return nil;
  }
  ExecuTorchTensor *tensor =
      [[ExecuTorchTensor alloc] initWithBytes:data.bytes
                                        shape:shape
                                      strides:@[]
                               dimensionOrder:dimensionOrder
                                     dataType:dataType
                                shapeDynamism:ExecuTorchShapeDynamismDynamicBound];
  return [ExecuTorchValue valueWithTensor:tensor];
}

NSData *ETCReadTensor(
    ExecuTorchValue *value, NSString *name, ExecuTorchDataType dataType,
    NSArray<NSNumber *> **shape, NSError **error) {
  ExecuTorchTensor *tensor = value.tensorValue;
  if (!tensor || tensor.dataType != dataType) {
    ETCFail(error, @"output '%@' is not of the dtype that the model declares", name);
    return nil;
  }
  __block NSData *data = nil;
  [tensor bytesWithHandler:^(const void *bytes, NSInteger count, ExecuTorchDataType type) {
    data = [NSData dataWithBytes:bytes length:count * ExecuTorchSizeOfDataType(type)];
  }];
  *shape = tensor.shape;
  return data;
}

NSString *ETCSummary(
    NSString *name, NSData *data, NSArray<NSNumber *> *shape, ExecuTorchDataType dataType) {
  NSMutableArray<NSString *> *numbers = [NSMutableArray array];
  NSInteger count = MIN(8, ETCCount(shape));
  const void *bytes = data.bytes;
  for (NSInteger i = 0; i < count; i++) {
    double number = 0;
    switch (dataType) {
      case ExecuTorchDataTypeFloat: number = ((const float *)bytes)[i]; break;
      case ExecuTorchDataTypeHalf: number = (double)((const _Float16 *)bytes)[i]; break;
      case ExecuTorchDataTypeDouble: number = ((const double *)bytes)[i]; break;
      case ExecuTorchDataTypeLong: number = (double)((const int64_t *)bytes)[i]; break;
      case ExecuTorchDataTypeInt: number = ((const int32_t *)bytes)[i]; break;
      case ExecuTorchDataTypeShort: number = ((const int16_t *)bytes)[i]; break;
      case ExecuTorchDataTypeChar: number = ((const int8_t *)bytes)[i]; break;
      default: number = ((const uint8_t *)bytes)[i]; break;
    }
    [numbers addObject:[NSString stringWithFormat:@"%g", number]];
  }
  return [NSString stringWithFormat:@"%@ (%@): %@", name,
                                    [shape componentsJoinedByString:@", "],
                                    [numbers componentsJoinedByString:@", "]];
}
