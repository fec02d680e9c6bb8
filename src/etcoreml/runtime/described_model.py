"""The half of ``MLModel`` that describes: metadata, features, specification, saving.

Enters: a model's files, and the model if it was opened. Leaves: `DescribedModel`, whose changes
go into the specification and are written by `save`.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping, Sequence
from typing import Any

from etcoreml.errors import ModelError, OptionError, UsageError
from etcoreml.mil import MilProgram, Model
from etcoreml.mil.program import Feature, Signature
from etcoreml.runtime import model_saving
from etcoreml.runtime.descriptions import FeatureDescriptions, checked_text
from etcoreml.runtime.features import feature_text
from etcoreml.runtime.model_files import ModelFiles

MAIN = "main"
"""The function of a model that has one only."""
_WORDS = {
    "shortDescription": "the short description",
    "author": "the author",
    "license": "the license",
    "versionString": "the version",
}


class DescribedModel:
    """A model that can be described and saved.

    The specification is read when it is first asked for. A ``.mlmodelc`` has none: it is described
    by what it was compiled with, and cannot be changed.

    Args:
        files: Where the model is.
        opened: The model; None leaves it to the specification to describe it.
        function_name: Function of a multifunction model; its default function if None.

    Raises:
        OptionError: There is no such function.
        ModelError: The specification cannot be read.

    Attributes:
        function_name: The function described; None if the model has one only and none was named.
    """

    def __init__(self, files: ModelFiles, opened: Model | None, function_name: str | None) -> None:
        self._files = files
        self._opened = opened
        self._read_spec: Any = None
        self.function_name = self._chosen(function_name)

    @property
    def type(self) -> str:
        """What the model is, e.g. ``mlProgram`` or ``pipeline``."""
        if self._opened is not None:
            return "mlProgram" if isinstance(self._opened, MilProgram) else "pipeline"
        return str(self._spec.WhichOneof("Type"))

    @property
    def signature(self) -> Signature | None:
        """Inputs, outputs and states as the engine sees them; None if the model is not open."""
        if isinstance(self._opened, MilProgram):
            name = self.function_name or self._opened.default_function
            return self._opened.signatures.get(name, self._opened.signature)
        return None if self._opened is None else self._opened.signature

    @property
    def input_description(self) -> FeatureDescriptions:
        """What the author says of each input; assign to change it."""
        return FeatureDescriptions(self._features("input"))

    @property
    def output_description(self) -> FeatureDescriptions:
        """What the author says of each output; assign to change it."""
        return FeatureDescriptions(self._features("output"))

    @property
    def short_description(self) -> str:
        """What the model does, in the author's words."""
        return self._metadata("shortDescription", "description")

    @short_description.setter
    def short_description(self, text: str) -> None:
        self._set_metadata("shortDescription", text)

    @property
    def author(self) -> str:
        """Who made the model."""
        return self._metadata("author", "author")

    @author.setter
    def author(self, text: str) -> None:
        self._set_metadata("author", text)

    @property
    def license(self) -> str:
        """Its licence."""
        return self._metadata("license", "license")

    @license.setter
    def license(self, text: str) -> None:
        self._set_metadata("license", text)

    @property
    def version(self) -> str:
        """Its version, as the author counts."""
        return self._metadata("versionString", "version")

    @version.setter
    def version(self, text: str) -> None:
        self._set_metadata("versionString", text)

    @property
    def user_defined_metadata(self) -> MutableMapping[str, str]:
        """The author's own keys and values; a copy, if the model is compiled."""
        if self._files.is_compiled:
            return dict(self._open_model.user_defined)
        metadata: MutableMapping[str, str] = self._spec.description.metadata.userDefined
        return metadata

    @property
    def package_path(self) -> str | None:
        """Path of the ``.mlpackage``; None if the model is no package."""
        return str(self._files.path) if self._files.is_package else None

    @property
    def weights_dir(self) -> str | None:
        """Folder of the package's weight files; None if there is none."""
        folder = self._files.weights_dir
        return None if folder is None else str(folder)

    @property
    def is_package(self) -> bool:
        """Whether the model is a ``.mlpackage``."""
        return self._files.is_package

    @property
    def is_temp_package(self) -> bool:
        """Whether the package is deleted when the model is closed."""
        return self._files.is_package and self._files.is_temporary

    def get_spec(self) -> Any:
        """Return a copy of the specification, a ``Model`` message.

        Raises:
            ModelError: A compiled model has none.
        """
        spec = type(self._spec)()
        spec.CopyFrom(self._spec)
        return spec

    def get_compiled_model_path(self) -> str:
        """Return the path of a model that was opened as a ``.mlmodelc``.

        Raises:
            ModelError: It was not: Core ML's compiler is part of macOS.
        """
        if self._files.is_compiled:
            return str(self._files.path)
        raise ModelError(
            "there is no compiled model on disk",
            found="a model that OpenVINO compiled in memory",
            hint="On macOS: xcrun coremlcompiler compile MODEL FOLDER",
        )

    def save(self, save_path: str | os.PathLike[str]) -> None:
        """Save the model with its description as it is now; coremltools opens the result.

        Args:
            save_path: A ``.mlpackage``, whose suffix may be left out; a ``.mlmodel`` if the model
                came as one. What is there is replaced, or left as it was in case of an error.

        Raises:
            ModelError: A compiled model cannot be saved.
            OptionError: The suffix is another format's.
            FeatureTypeError: ``save_path`` is no path.
            UsageError: The path cannot be written to, or the model's files are gone.
        """
        spec = self._spec
        if not self._files.path.exists():
            raise UsageError("the model's files are gone", found=str(self._files.path))
        model_saving.save(self._files, spec, save_path)

    def __repr__(self) -> str:
        name = self._files.path.name if not self._files.is_temporary else self.type
        function = f", function {self.function_name!r}" if self.function_name else ""
        lines = [f"{type(self).__name__}({name!r}{function})"]
        signature = self.signature
        for kind in ("input", "output", "state"):
            features = self._features(kind) if signature is None else _features(signature, kind)
            lines += [
                f"  {kind:<6}  {each.name}"
                + ("" if signature is None else f"  {feature_text(each)}")
                for each in features
            ]
        return "\n".join(lines)

    @property
    def _spec(self) -> Any:
        if self._read_spec is None:
            self._read_spec = self._files.read_spec()
        return self._read_spec

    @property
    def _open_model(self) -> Model:
        if self._opened is None:
            self._opened = self._files.open()
        return self._opened

    def _chosen(self, name: str | None) -> str | None:
        """Return the function to use, by coremltools' rules.

        Raises:
            OptionError: There is no such function.
        """
        if isinstance(self._opened, MilProgram):
            default, functions = self._opened.default_function, list(self._opened.functions)
        elif self._opened is not None:
            default, functions = MAIN, [MAIN]
        else:
            description = self._spec.description
            default = description.defaultFunctionName or MAIN
            functions = [each.name for each in description.functions] or [MAIN]
        if name is None:
            return default if len(functions) > 1 or default != MAIN else None
        if name not in functions:
            raise OptionError(
                f"the model has no function {name!r}", expected=f"one of {', '.join(functions)}"
            )
        return name

    def _features(self, kind: str) -> Sequence[Any]:
        if self._files.is_compiled:
            signature = self.signature or self._open_model.signature
            return _features(signature, kind)
        description = self._spec.description
        for function in description.functions:
            if function.name == self.function_name:
                description = function
        features: Sequence[Any] = getattr(description, kind)
        return features

    def _metadata(self, field: str, attribute: str) -> str:
        if self._files.is_compiled:
            return str(getattr(self._open_model, attribute))
        return str(getattr(self._spec.description.metadata, field))

    def _set_metadata(self, field: str, text: str) -> None:
        setattr(self._spec.description.metadata, field, checked_text(text, _WORDS[field]))


def _features(signature: Signature, kind: str) -> tuple[Feature, ...]:
    features: tuple[Feature, ...] = getattr(signature, f"{kind}s")
    return features
