"""A model's described features to the ports of a compiled function, and back.

Enters: values as users give them. Leaves: arrays that a request binds; and, after a run, the
values that coremltools' ``predict`` would return.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from etcoreml.engine import Port
from etcoreml.errors import ShapeError
from etcoreml.mil.program import Array, Feature, Function, TensorType
from etcoreml.runtime.arrays import coerce, to_array
from etcoreml.runtime.images import image_to_tensor, range_text, size_text, tensor_to_image


def described(port: Port, features: tuple[Feature, ...]) -> Feature:
    """Return a port's feature; one made of the port alone where the model describes none."""
    for feature in features:
        if feature.name == port.name:
            return feature
    shape = tuple(size or 1 for size in port.shape)
    return Feature(port.name, "multiArray", dtype=port.dtype, shape=shape)


def input_array(feature: Feature, port: Port, value: Any) -> Array:
    """Return what a request binds for an input.

    Args:
        feature: As the model describes the input.
        port: As the compiled function takes it.
        value: An array, number, list, tensor or image, see ``arrays.py`` and ``images.py``. A
            number fits wherever every dimension may be 1.

    Returns:
        C-contiguous, of the port's dtype. The value's own memory where it is already so.

    Raises:
        FeatureTypeError: The value is of the wrong kind.
        ShapeError: It is not of a shape the model declares.
        DtypeError: A number in it is not representable.
    """
    what = f"input {feature.name!r}"
    if feature.image is not None:
        return image_to_tensor(value, feature.image, port.dtype, port.shape, what)
    array = to_array(value, what)
    if array.ndim == 0 and port.shape:
        array = array.reshape((1,) * len(port.shape))
    check_shape(feature, port, array.shape)
    return np.require(coerce(array, port.dtype, what), requirements="C")


def default_array(feature: Feature, port: Port) -> Array | None:
    """Return what an input is when it is left out; None if it must not be."""
    if not feature.optional:
        return None
    shape = feature.shape or tuple(size or 1 for size in port.shape)
    return np.full(shape, feature.default or 0, port.dtype.storage)


def output_value(feature: Feature, port: Port, array: Array) -> Any:
    """Return an output as coremltools' ``predict`` does.

    Args:
        feature: As the model describes the output.
        port: As the compiled function gives it.
        array: Its value; copied.

    Returns:
        A PIL image; a classifier's label, or its probabilities by label; or an array of the
        declared dtype, except that fp16 becomes float32 and rank 0 ``(1,)``, as in coremltools 9.0.
    """
    if port.labels is not None:
        return port.labelled(array)
    if feature.image is not None:
        return tensor_to_image(array, feature.image, f"output {feature.name!r}")
    dtype = feature.dtype or port.dtype
    return np.array(array, np.float32 if dtype.name == "fp16" else dtype.storage, ndmin=1)


def check_shapes(
    values: Mapping[str, Any], features: Sequence[Feature], function: Function
) -> None:
    """Refuse arrays of other shapes than a function declares, before it is compiled.

    Args:
        values: By the name of the input; what is no array of numbers is left to `input_array`.
        features: The inputs as the model describes them.
        function: What would be compiled.

    Raises:
        ShapeError: Naming the first.
    """
    types = {each.name: each.type for each in function.inputs}
    for feature in features:
        type_, value = types.get(feature.name), values.get(feature.name)
        if value is None or feature.image is not None or not isinstance(type_, TensorType):
            continue
        is_text = isinstance(value, np.ndarray) and value.dtype.kind not in "biuf"
        if type_.shape is not None and not is_text:
            port = Port(feature.name, type_.dtype, type_.shape)
            check_shape(feature, port, tuple(np.shape(value)))


def check_shape(feature: Feature, port: Port, shape: tuple[int, ...]) -> None:
    """Refuse a shape of an array input that the model does not declare; a number fits anywhere.

    Raises:
        ShapeError: Naming the input, the shape, and those that are declared.
    """
    if shape and not accepts(feature, port, shape):
        raise ShapeError(
            f"input {feature.name!r}",
            found=f"shape {shape}",
            expected=f"shape {shape_text(feature, port)}",
        )


def check_together(features: Iterable[Feature], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse shapes that are enumerated, but not for one call.

    The n-th shapes of all inputs whose shapes are enumerated belong together, for which reason
    Core ML wants equally many of each.

    Args:
        features: The inputs as the model describes them.
        shapes: By name, each one that its input may have.

    Raises:
        ShapeError: Naming the inputs, their shapes, and those that are declared.
    """
    listed = {each.name: each.enumerated for each in features if each.enumerated}
    if len(listed) < 2:
        return
    calls = list(zip(*listed.values(), strict=False))
    given = tuple(shapes[name] for name in listed)
    if given not in calls:
        raise ShapeError(
            f"inputs {', '.join(map(repr, listed))}: their enumerated shapes go in step",
            found=", ".join(map(str, given)),
            expected=" or ".join(", ".join(map(str, call)) for call in calls),
        )


def accepts(feature: Feature, port: Port, shape: tuple[int, ...]) -> bool:
    """Whether the model declares that an input may have this shape."""
    if not port.accepts(shape):
        return False
    if feature.enumerated:
        return shape in feature.enumerated
    return len(feature.ranges) != len(shape) or all(
        low <= size and (high is None or size <= high)
        for size, (low, high) in zip(shape, feature.ranges, strict=True)
    )


def shape_text(feature: Feature, port: Port | None = None) -> str:
    """Return the shapes a feature may have, for people.

    >>> from etcoreml.types import FP32
    >>> shape_text(Feature("x", "multiArray", FP32, (1, 3)))
    '(1, 3)'
    >>> shape_text(Feature("x", "multiArray", FP32, (1, 3), ranges=((1, 8), (3, 3))))
    '(1 to 8, 3)'
    >>> shape_text(Feature("x", "multiArray", FP32, (1, 3), enumerated=((1, 3), (2, 3))))
    '(1, 3) or (2, 3)'
    """
    if feature.image is not None:
        return size_text(feature.image)
    if feature.enumerated:
        return " or ".join(map(str, feature.enumerated))
    if feature.ranges:
        return f"({', '.join(map(range_text, feature.ranges))})"
    if port is not None:
        return str(tuple("any" if size is None else size for size in port.shape)).replace("'", "")
    return str(feature.shape) if feature.shape is not None else "-"


def feature_text(feature: Feature) -> str:
    """Return dtype, shape and what else is declared of a feature, for people.

    >>> from etcoreml.mil import ImageFormat
    >>> from etcoreml.types import FP32
    >>> feature_text(Feature("x", "multiArray", FP32, (1, 3), optional=True, default=0.5))
    'fp32 (1, 3), 0.5 if left out'
    >>> feature_text(Feature("y", "image", image=ImageFormat(2, 3, "RGB")))
    'RGB image 3 x 2'
    >>> feature_text(Feature("z", "multiArray", FP32, ()))
    'fp32, any shape'
    """
    if feature.image is not None:
        text = f"{feature.image.color_space} image {size_text(feature.image)}"
    elif feature.kind in ("multiArray", "state"):
        text = f"{feature.dtype or 'any dtype'}"
        # Core ML has no arrays of rank 0: an empty shape is one that the author did not give.
        known = feature.shape or feature.ranges or feature.enumerated
        text += f" {shape_text(feature)}" if known else ", any shape"
    else:
        text = feature.kind + (f" of {feature.item}" if feature.item else "")
    if not feature.optional:
        return text
    return (
        f"{text}, optional" if feature.default is None else f"{text}, {feature.default} if left out"
    )
