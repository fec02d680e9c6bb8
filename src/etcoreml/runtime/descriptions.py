"""What a model's author says of its features, to read and, where there is a specification, write.

Enters: the feature messages of a specification, or the features of a compiled model. Leaves: a
mapping of names to sentences, as ``input_description`` of coremltools is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from etcoreml.errors import FeatureNameError, FeatureTypeError, ModelError
from etcoreml.mil.program import Feature


class FeatureDescriptions(Mapping[str, str]):
    """Descriptions by name of the feature, in the model's order.

    Args:
        features: Messages, which an assignment changes; or frozen features.
    """

    def __init__(self, features: Sequence[Any]) -> None:
        self._features = features

    def __getitem__(self, name: str) -> str:
        feature = self._feature(name)
        return str(
            feature.description if isinstance(feature, Feature) else feature.shortDescription
        )

    def __setitem__(self, name: str, description: str) -> None:
        feature = self._feature(name)
        if isinstance(feature, Feature):
            raise ModelError(
                "the descriptions of a compiled model cannot be changed",
                found=f"a new one for {name!r}",
            )
        feature.shortDescription = checked_text(description, f"the description of {name!r}")

    def __iter__(self) -> Iterator[str]:
        return (feature.name for feature in self._features)

    def __len__(self) -> int:
        return len(self._features)

    def __repr__(self) -> str:
        return f"Features({', '.join(self)})"

    def _feature(self, name: str) -> Any:
        for feature in self._features:
            if feature.name == name:
                return feature
        raise FeatureNameError(f"there is no feature {name!r}", expected=f"one of {list(self)}")


def checked_text(text: object, what: str) -> str:
    """Return a text as it is.

    Raises:
        FeatureTypeError: It is no string.
    """
    if isinstance(text, str):
        return text
    raise FeatureTypeError(f"{what} is no text", found=type(text).__name__, expected="str")
