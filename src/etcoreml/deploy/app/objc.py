"""Typed inputs and outputs in Objective-C, and the sources of an app in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from etcoreml.deploy.app.model import AppMethod, AppModel, AppValue
from etcoreml.deploy.app.swift import method_type
from etcoreml.deploy.app.templates import filled, generated_from

_DTYPES = {
    "float32": "Float",
    "float16": "Half",
    "float64": "Double",
    "int64": "Long",
    "int32": "Int",
    "int16": "Short",
    "int8": "Char",
    "uint8": "Byte",
    "bool": "Bool",
}
_SCALARS = {
    "int": ("NSInteger", "1", "valueWithInteger", "intValue"),
    "double": ("double", "1.0", "valueWithDouble", "doubleValue"),
    "bool": ("BOOL", "YES", "valueWithBoolean", "boolValue"),
}
_FIXED = ("main.m", "AppDelegate.h", "AppDelegate.m", "TensorData.h", "TensorData.m")


def sources(model: AppModel, source: str, blanks: Mapping[str, str]) -> dict[str, bytes | str]:
    """Return the files of an app, by name.

    Args:
        model: The program.
        source: Name of its file, for comments.
        blanks: What fills in the templates.
    """
    pictures = model.picture_size is not None
    names = [*_FIXED, "ModelRunner.h", "ModelRunner.m", "ViewController.h"]
    files: dict[str, bytes | str] = {name: filled(f"objc/{name}", blanks) for name in names}
    controller = "PictureViewController.m" if pictures else "GenericViewController.m"
    files["ViewController.m"] = filled(f"objc/{controller}", blanks)
    if pictures:
        for name in ("Pictures.h", "Pictures.m"):
            files[name] = filled(f"objc/{name}", blanks)
    files["Model.h"], files["Model.m"] = _header(model, source), _implementation(model, source)
    return files


def tests(model: AppModel, blanks: Mapping[str, str]) -> dict[str, bytes | str]:
    """Return the files of its unit tests, by name."""
    del model
    return {f"{blanks['NAME']}Tests.m": filled("objc/Tests.m", blanks)}


def _header(model: AppModel, source: str) -> str:
    lines = [
        generated_from(source),
        "",
        "#import <ExecuTorch/ExecuTorch.h>",
        "#import <Foundation/Foundation.h>",
        "",
        "NS_ASSUME_NONNULL_BEGIN",
    ]
    for method in model.methods:
        name = method_type(method.name)
        lines += [
            "",
            f"/// What the method `{method.name}` takes.",
            f"@interface {name}Input : NSObject",
            *_properties(method.inputs, "nonatomic"),
            "/// Numbers of no meaning, to see it run.",
            "+ (instancetype)sampleInput;",
            "/// The arguments of a call, or nil and an error.",
            "- (nullable NSArray<ExecuTorchValue *> *)valuesWithError:(NSError **)error;",
            "@end",
            "",
            f"/// What the method `{method.name}` returns.",
            f"@interface {name}Output : NSObject",
            *_properties(method.outputs, "nonatomic, readonly"),
            "- (nullable instancetype)initWithValues:(NSArray<ExecuTorchValue *> *)values",
            "                                  error:(NSError **)error;",
            "/// A line for each output.",
            "- (NSArray<NSString *> *)summary;",
            "@end",
        ]
    return "\n".join([*lines, "", "NS_ASSUME_NONNULL_END", ""])


def _properties(values: Sequence[AppValue], attributes: str) -> list[str]:
    lines = []
    for each in values:
        feature = each.feature or "of no Core ML model"
        if each.is_tensor:
            lines += [
                f"/// {feature}: {each.tensor.dtype} numbers in the order of memory.",
                f"@property ({attributes}, copy) NSData *{each.variable};",
                f"/// Sizes, as declared {each.tensor}.",
                f"@property ({attributes}, copy) NSArray<NSNumber *> *{each.variable}Shape;",
            ]
        else:
            kind = _SCALARS[each.tensor.kind][0]
            lines += [f"/// {feature}.", f"@property ({attributes}) {kind} {each.variable};"]
    return lines


def _implementation(model: AppModel, source: str) -> str:
    lines = [
        generated_from(source),
        "",
        '#import "Model.h"',
        "",
        '#import "TensorData.h"',
    ]
    for method in model.methods:
        lines += [*_input(method), *_output(method)]
    return "\n".join([*lines, ""])


def _input(method: AppMethod) -> list[str]:
    name = f"{method_type(method.name)}Input"
    lines = ["", f"@implementation {name}", "", "+ (instancetype)sampleInput {"]
    lines.append(f"  {name} *input = [[{name} alloc] init];")
    for each in method.inputs:
        if each.is_tensor:
            lines += [
                f"  input.{each.variable}Shape = {_shape(each.tensor.shape)};",
                f"  input.{each.variable} =",
                f"      ETCSampleData(input.{each.variable}Shape, {_dtype(each)});",
            ]
        else:
            lines.append(f"  input.{each.variable} = {_SCALARS[each.tensor.kind][1]};")
    lines += [
        "  return input;",
        "}",
        "",
        "- (nullable NSArray<ExecuTorchValue *> *)valuesWithError:(NSError **)error {",
        "  NSMutableArray<ExecuTorchValue *> *values = [NSMutableArray array];",
    ]
    for each in method.inputs:
        if each.is_tensor:
            lines += [
                f"  ExecuTorchValue *{each.variable}Value = ETCTensorValue(",
                f'      @"{each.variable}", self.{each.variable}, self.{each.variable}Shape,',
                f"      {_shape(each.tensor.shape)}, {_flag(each.tensor.dynamic)},",
                f"      {_shape(each.tensor.dim_order)}, {_dtype(each)}, error);",
                f"  if (!{each.variable}Value) {{",
                "    return nil;",
                "  }",
                f"  [values addObject:{each.variable}Value];",
            ]
        else:
            maker = _SCALARS[each.tensor.kind][2]
            lines.append(f"  [values addObject:[ExecuTorchValue {maker}:self.{each.variable}]];")
    return [*lines, "  return values;", "}", "", "@end"]


def _output(method: AppMethod) -> list[str]:
    count = len(method.outputs)
    lines = [
        "",
        f"@implementation {method_type(method.name)}Output",
        "",
        "- (nullable instancetype)initWithValues:(NSArray<ExecuTorchValue *> *)values",
        "                                  error:(NSError **)error {",
        "  self = [super init];",
        "  if (!self) {",
        "    return nil;",
        "  }",
        f"  if (values.count != {count}) {{",
        f'    ETCFail(error, @"%lu outputs, where {count} are declared",',
        "            (unsigned long)values.count);",
        "    return nil;",
        "  }",
    ]
    for i, each in enumerate(method.outputs):
        if each.is_tensor:
            lines += [
                f"  NSArray<NSNumber *> *{each.variable}Shape = nil;",
                f"  NSData *{each.variable} = ETCReadTensor(",
                f'      values[{i}], @"{each.variable}", {_dtype(each)},',
                f"      &{each.variable}Shape, error);",
                f"  if (!{each.variable}) {{",
                "    return nil;",
                "  }",
                f"  _{each.variable} = {each.variable};",
                f"  _{each.variable}Shape = {each.variable}Shape;",
            ]
        else:
            getter = _SCALARS[each.tensor.kind][3]
            lines.append(f"  _{each.variable} = values[{i}].{getter};")
    lines += ["  return self;", "}", "", "- (NSArray<NSString *> *)summary {", "  return @["]
    for each in method.outputs:
        if each.is_tensor:
            lines.append(
                f'    ETCSummary(@"{each.variable}", self.{each.variable}, '
                f"self.{each.variable}Shape, {_dtype(each)}),"
            )
        else:
            lines.append(
                f'    [NSString stringWithFormat:@"{each.variable} %@", @(self.{each.variable})],'
            )
    return [*lines, "  ];", "}", "", "@end"]


def _dtype(value: AppValue) -> str:
    return f"ExecuTorchDataType{_DTYPES[value.tensor.dtype or '']}"


def _flag(value: bool) -> str:
    return "YES" if value else "NO"


def _shape(sizes: Sequence[int]) -> str:
    return f"@[ {', '.join(f'@{size}' for size in sizes)} ]" if sizes else "@[]"
