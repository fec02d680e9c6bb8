"""From an exported program to the parts of a Core ML model: specification and weight file.

What enters is an edge program and its options; what leaves is a ``MilModel``. The same steps as
``coremltools.convert``, without the copies of a package, the collections of garbage and the checks
between passes that make up half of its time.

Source: coremltools 9.0 ``converters/_converters_entry.py``, ``converters/mil/converter.py``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.export import ExportedProgram

from etcoreml.compiler import passes
from etcoreml.compiler.specs import Options
from etcoreml.mil.ct import coremltools

ct = coremltools()
converter = ct.converters.mil.converter
check_deployment_compatibility = (
    ct.converters.mil._deployment_compatibility.check_deployment_compatibility
)

BUILD_PREFIX = "com.github.apple.coremltools"
"""Of the metadata that say what made a model."""

_FP16_CAST = "common::add_fp16_cast"
_FP16_PASSES = frozenset((_FP16_CAST, "common::add_int16_cast"))
_SOURCE = "pytorch"
_TARGET = "mlprogram"


@dataclass(frozen=True, eq=False)
class MilModel:
    """A converted model.

    Attributes:
        spec: Its ``Model`` protobuf.
        weights: Directory of its weight files.
    """

    spec: Any
    weights: Path

    @classmethod
    def of(cls, model: Any) -> MilModel:
        """Return the parts of a ``coremltools.models.MLModel``, which must outlive them."""
        return cls(model.get_spec(), Path(model.weights_dir))

    def to_coremltools(self, program: Any = None) -> Any:
        """Return ``coremltools.models.MLModel``, whose package is a copy of this model.

        Args:
            program: ``coremltools.converters.mil.Program`` the model was made of, if it is needed.
        """
        return ct.models.MLModel(
            self.spec,
            weights_dir=str(self.weights),
            mil_program=program,
            skip_model_load=True,
        )


def convert(
    program: ExportedProgram,
    options: Options,
    inputs: list[Any] | None,
    weights: Path,
    keeps_fp32: Collection[int] = (),
) -> tuple[MilModel, Any]:
    """Convert an edge program.

    Args:
        program: The partition in edge dialect.
        options: Decoded compile specs.
        inputs: coremltools input types, or None to derive them from the program.
        weights: An empty directory that gets the weight files.
        keeps_fp32: Debug handles of the nodes that are computed in fp32 in any case.

    Returns:
        The model, and the ``coremltools.converters.mil.Program`` it was made of, which holds
        another copy of the weights.

    Raises:
        Exception: Whatever coremltools raises.
    """
    is_fp16 = options.compute_precision is ct.precision.FLOAT16
    pipeline = options.pass_pipeline
    if not is_fp16:
        pipeline.remove_passes(_FP16_PASSES)
    elif keeps_fp32 and _FP16_CAST in pipeline.passes:
        pipeline.set_options(_FP16_CAST, {"op_selector": _outside_of(keeps_fp32)})
    version = options.target.value
    # Names are numbered per process: what was built before must not show in these.
    converter._reset_conversion_state()
    frontend, backend = converter._construct_other_pipelines(pipeline, _SOURCE, _TARGET)
    mil_program = converter.ConverterRegistry.frontends[_SOURCE]()(
        program,
        inputs=inputs,
        specification_version=version,
        use_default_fp16_io=is_fp16 and options.target >= ct.target.iOS16,
        states=[],
        convert_from=_SOURCE,
        convert_to=_TARGET,
    )
    for each in (frontend, pipeline):
        passes.run(mil_program, each)
    passes.CopyOutputs()(mil_program)
    passes.run(mil_program, backend)
    mil_program._check_early_error_out_for_invalid_program()
    spec = converter.ConverterRegistry.backends[_TARGET]()(
        mil_program,
        weights_dir=str(weights),
        specification_version=version,
        convert_from=_SOURCE,
        convert_to=_TARGET,
    )
    converter._reset_conversion_state()
    _check_ranges(spec)
    if options.deployment_target is not None:
        check_deployment_compatibility(
            spec=spec, representation=_TARGET, deployment_target=options.deployment_target
        )
    _describe_build(spec, f"TorchExport::{program.dialect}")
    return MilModel(spec, weights), mil_program


def _outside_of(handles: Collection[int]) -> Callable[[Any], bool]:
    """Return whether a MIL operation comes from none of some nodes."""
    source = ct.converters.mil.mil.scope.ScopeSource.EXIR_DEBUG_HANDLE
    return lambda operation: set(handles).isdisjoint(operation.scopes.get(source) or ())


def _check_ranges(spec: Any) -> None:
    for feature in spec.description.input:
        for size in feature.type.multiArrayType.shapeRange.sizeRanges:
            if size.upperBound == -1:
                msg = f"input {feature.name} has a dimension without an upper bound"
                raise ValueError(msg)


def _describe_build(spec: Any, dialect: str) -> None:
    """Note what made the model, under the keys that Apple's tools show."""
    component, version = "torch", torch.__version__
    user_defined = spec.description.metadata.userDefined
    user_defined[f"{BUILD_PREFIX}.source"] = f"{component}=={version}"
    user_defined[f"{BUILD_PREFIX}.version"] = ct.__version__
    user_defined[f"{BUILD_PREFIX}.source_dialect"] = dialect
    build = {
        "coremltools-version": ct.__version__,
        f"coremltools-component-{component}": version,
        "coremltools-source-dialect": dialect,
    }
    string = ct.proto.MIL_pb2.ValueType()
    string.tensorType.dataType = ct.proto.MIL_pb2.DataType.STRING
    info = spec.mlProgram.attributes["buildInfo"]
    info.type.dictionaryType.keyType.CopyFrom(string)
    info.type.dictionaryType.valueType.CopyFrom(string)
    for key, value in build.items():
        pair = info.immediateValue.dictionary.values.add()
        pair.key.type.CopyFrom(string)
        pair.key.immediateValue.tensor.strings.values.append(key)
        pair.value.type.CopyFrom(string)
        pair.value.immediateValue.tensor.strings.values.append(value)
