"""What a compiled model says of its interface. Oracle: descriptions written out by hand, in the
form of published ``metadata.json`` files and function attributes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from etcoreml.mil.compiled_features import described, of_function
from etcoreml.mil.program import Feature, ImageFormat, Signature
from etcoreml.mil.text import parse_text
from etcoreml.types import FP16, FP32

EMPTY = Signature((), ())
DEFAULTS = "tuple<string, dict<string, tensor<int32, [?]>>>"
RANGES = "tuple<string, dict<string, list<tensor<int32, [2]>, ?>>>"
LISTED = "tuple<string, dict<string, dict<string, tensor<int32, [?]>>>>"


def signature(parameters: str, flexible: str = "", body: str = "") -> Signature:
    """Return what a function of these parameters, of which it returns ``x``, says."""
    attributes = f"[FlexibleShapeInformation = {flexible}]" if flexible else ""
    text = f"program(1.3)\n{{ func main<ios17>({parameters}) {attributes} {{ {body} }} -> (x); }}"

    def no_weights(*_: Any) -> Any:
        raise AssertionError("no weights here")

    parsed = parse_text(text, no_weights)
    return of_function(parsed.functions["main"], parsed.attributes["main"])


def entry(**more: Any) -> Mapping[str, Any]:
    return {"inputSchema": [{"name": "x", "isOptional": "0", **more}]}


def test_types_describe_an_interface() -> None:
    found = signature("tensor<fp16, [2, 3]> x, state<tensor<fp16, [4]>> s")
    assert found.inputs == (Feature("x", "multiArray", FP16, (2, 3)),)
    assert found.states == (Feature("s", "state", FP16, (4,)),)
    assert found.outputs == found.inputs


def test_sizes_that_vary_without_a_word() -> None:
    (x,) = signature("tensor<fp32, [2, ?]> x").inputs
    assert (x.shape, x.ranges) == ((2, 1), ((2, 2), (1, None)))


def test_ranges() -> None:
    value = '((("DefaultShapes", {{"x", [1, 4]}}), ("RangeDims", {{"x", [[1, 1], [2, -1]]}})))'
    (x,) = signature("tensor<fp32, [1, ?]> x", f"tuple<{DEFAULTS}, {RANGES}>{value}").inputs
    assert x == Feature("x", "multiArray", FP32, (1, 4), ((1, 1), (2, None)))


def test_enumerated_shapes() -> None:
    value = (
        '((("DefaultShapes", {{"x", [1, 4]}}), ("EnumeratedShapes",'
        ' {{"a1", {{"x", [1, 4]}}}, {"b2", {{"x", [1, 8]}}}})))'
    )
    (x,) = signature("tensor<fp32, [1, ?]> x", f"tuple<{DEFAULTS}, {LISTED}>{value}").inputs
    assert x == Feature("x", "multiArray", FP32, (1, 4), (), ((1, 4), (1, 8)))


def test_a_classifier_is_recognised() -> None:
    body = (
        "string label, dict<string, fp32> odds = classify(probabilities = x,"
        ' classes = list<string, 2>(["cat", "dog"]));'
    )
    found = signature("tensor<fp32, [2]> x", body=body)
    assert (found.predicted_feature, found.predicted_probabilities) == ("label", "odds")
    text = f"program(1.3)\n{{ func f<ios17>(tensor<fp32, [2]> x) {{ {body} }} -> (label, odds); }}"
    parsed = parse_text(text, lambda *_: None)  # type: ignore[arg-type, return-value]
    function = parsed.functions["f"]
    assert function.class_labels == ("cat", "dog")
    label, odds = of_function(function, parsed.attributes["f"]).outputs
    assert (label.kind, odds.kind, odds.item) == ("string", "dictionary", "string")


@pytest.mark.parametrize(
    ("name", "dtype"), [("Float16", "fp16"), ("Float32", "fp32"), ("Int32", "int32")]
)
def test_arrays(name: str, dtype: str) -> None:
    more = {"dataType": name, "shape": "[1, 2]", "isOptional": "1", "shortDescription": "words"}
    (x,) = described(entry(type="MultiArray", **more), EMPTY).inputs
    assert (x.kind, str(x.dtype), x.shape) == ("multiArray", dtype, (1, 2))
    assert (x.optional, x.description) == (True, "words")


def test_shapes_that_vary() -> None:
    more = {"type": "MultiArray", "dataType": "Float32", "shape": "[1, 4]"}
    (x,) = described(entry(shapeRange="[[1, 1], [0, -1]]", **more), EMPTY).inputs
    assert x.ranges == ((1, 1), (0, None))
    (x,) = described(entry(enumeratedShapes="[[1, 4], [1, 8]]", **more), EMPTY).inputs
    assert x.enumerated == ((1, 4), (1, 8))


@pytest.mark.parametrize(
    ("color", "wanted"), [("RGB", "RGB"), ("BGR", "BGR"), ("Grayscale", "GRAYSCALE")]
)
def test_images(color: str, wanted: str) -> None:
    image = entry(type="Image", height="4", width="6", colorspace=color)
    (x,) = described(image, EMPTY).inputs
    assert (x.kind, x.image) == ("image", ImageFormat(4, 6, wanted))


def test_images_whose_size_varies_are_completed_by_the_program() -> None:
    image = entry(type="Image", height="4", width="6", colorspace="RGB")
    shape = (1, 3, 4, 6)
    ranges = ((1, 1), (3, 3), (4, 8), (6, None))
    derived = Signature((Feature("x", "multiArray", FP32, shape, ranges),), ())
    (x,) = described(image, derived).inputs
    assert x.image == ImageFormat(4, 6, "RGB", (), (4, 8), (6, None))
    listed = Feature("x", "multiArray", FP32, shape, (), (shape, (1, 3, 8, 12)))
    (x,) = described(image, Signature((listed,), ())).inputs
    assert x.image == ImageFormat(4, 6, "RGB", ((4, 6), (8, 12)))


@pytest.mark.parametrize(
    ("type_", "more", "kind", "item"),
    [
        ("Dictionary", {"keyType": "String"}, "dictionary", "string"),
        ("Dictionary", {"keyType": "Int64"}, "dictionary", "int64"),
        ("String", {}, "string", ""),
        ("Int64", {}, "int64", ""),
        ("Double", {}, "double", ""),
    ],
)
def test_other_kinds(type_: str, more: dict[str, str], kind: str, item: str) -> None:
    (x,) = described(entry(type=type_, **more), EMPTY).inputs
    assert (x.kind, x.item) == (kind, item)


def test_states() -> None:
    schema = {"name": "s", "type": "State", "dataType": "Float16", "shape": "[4]"}
    found = described({"stateSchema": [schema]}, EMPTY)
    assert found.states == (Feature("s", "state", FP16, (4,)),)
