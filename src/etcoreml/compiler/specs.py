"""Compile specs: the options of a lowering as the key and bytes pairs that travel in a .pte.

What enters is a list of ExecuTorch ``CompileSpec``; what leaves is typed values, or the reverse.
Keys and encodings are the contract with Apple's delegate and with the upstream backend:

=====================================  ==========================================================
key                                    value (UTF-8)
=====================================  ==========================================================
``compute_units``                      ``all``, ``cpu_only``, ``cpu_and_gpu``, ``cpu_and_ne``
``min_deployment_target``              decimal value of ``coremltools.target``, or empty: lowest
``model_compute_precision``            ``float16``, ``float32``
``model_type``                         ``model``, ``compiled_model``
``op_linear_quantizer_config``         JSON object, fields of ``OpLinearQuantizerConfig``
``enumerated_shapes``                  JSON, see ``etcoreml.compiler.enumerated_shapes``
``pass_pipeline``                      JSON list of MIL pass names
``multimethod_weight_sharing_strategy``  ``positional``, ``disabled``
``weight_compression``                 JSON list, see ``etcoreml.compiler.compression``
``float32_nodes``                      JSON list of names of edge nodes
=====================================  ==========================================================

Only ``compute_units`` is read again at run time; the last two are our own. A key or value
outside this table is a ``CompileSpecError``: an option that is spelt wrong is never ignored.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from executorch.exir.backend.compile_spec_schema import CompileSpec

from etcoreml.compiler.compression import KINDS, Step, read_steps
from etcoreml.compiler.enumerated_shapes import EnumeratedShapes
from etcoreml.errors import CompileSpecError
from etcoreml.mil.ct import coremltools

ct = coremltools()


class COMPILE_SPEC_KEYS(Enum):  # noqa: N801 - the spelling user code imports
    """The keys a compile spec may have."""

    COMPUTE_UNITS = "compute_units"
    ENUMERATED_SHAPES = "enumerated_shapes"
    FLOAT32_NODES = "float32_nodes"
    MIN_DEPLOYMENT_TARGET = "min_deployment_target"
    MODEL_COMPUTE_PRECISION = "model_compute_precision"
    MODEL_TYPE = "model_type"
    MULTIMETHOD_WEIGHT_SHARING_STRATEGY = "multimethod_weight_sharing_strategy"
    OP_LINEAR_QUANTIZER_CONFIG = "op_linear_quantizer_config"
    PASS_PIPELINE = "pass_pipeline"
    WEIGHT_COMPRESSION = "weight_compression"


class MULTIMETHOD_WEIGHT_SHARING_STRATEGY(Enum):  # noqa: N801 - the spelling user code imports
    """What happens to the weights of a program with several methods.

    POSITIONAL joins the n-th partition of every method into one Core ML model with a function per
    method, so that equal weights are stored once. DISABLED lowers each method on its own.
    """

    POSITIONAL = "positional"
    DISABLED = "disabled"


class ModelType(Enum):
    """Whether the delegate carries an .mlpackage, or an .mlmodelc compiled ahead of time."""

    MODEL = "model"
    COMPILED_MODEL = "compiled_model"


@dataclass(frozen=True)
class Codec:
    """How one option is written and read.

    Attributes:
        encode: Value to text; raises ``CompileSpecError``.
        decode: Text to value; any exception means that the text is outside the domain.
        default: Makes the value of an absent key.
        domain: The accepted texts, for error messages.
    """

    encode: Callable[[Any], str]
    decode: Callable[[str], Any]
    default: Callable[[], Any]
    domain: str


def _member_encoder(enum: type[Enum], text: Callable[[Enum], str]) -> Callable[[Any], str]:
    """Return an encoder that accepts the members of ``enum`` only."""

    def encode(member: Any) -> str:
        if not isinstance(member, enum):
            what = f"compile spec: a member of {enum.__name__} is needed"
            raise CompileSpecError(
                what,
                found=repr(member),
                expected=", ".join(each.name for each in enum),
            )
        return text(member)

    return encode


def _encode_target(target: Any) -> str:
    if target is None:
        return ""
    text = _member_encoder(ct.target, lambda member: str(member.value))(target)
    if target < ct.target.iOS15:
        what = "compile spec: an ML Program needs a newer deployment target"
        raise CompileSpecError(
            what,
            found=target.name,
            expected="iOS15 or later",
        )
    return text


def _decode_target(text: str) -> Any:
    target = ct.target(int(text)) if text else None
    _encode_target(target)
    return target


def _encode_quantizer(config: Any) -> str:
    try:
        _quantizer_config(config)
        return json.dumps(config)
    except Exception as error:
        what = "compile spec: not a linear quantiser configuration"
        raise CompileSpecError(
            what,
            found=repr(config),
            expected="a dict of the fields of coremltools.optimize.coreml.OpLinearQuantizerConfig",
        ) from error


def _quantizer_config(config: Any) -> Any:
    """Return coremltools' configuration object for a dict of its fields."""
    if not isinstance(config, dict):
        raise TypeError(type(config).__name__)
    return ct.optimize.coreml.OpLinearQuantizerConfig._from_dict(dict(config))


def _encode_compression(steps: Any) -> str:
    try:
        read_steps(steps)
        return json.dumps(list(steps))
    except Exception as error:
        what = "compile spec: not the steps of a compression"
        raise CompileSpecError(
            what,
            found=f"{steps!r} ({error})",
            expected=f"{_COMPRESSION}, and JSON values only",
        ) from error


def _encode_pass_names(names: Any) -> str:
    known = ct.converters.mil.mil.passes.pass_registry.PASS_REGISTRY
    if not isinstance(names, (list, tuple)) or not all(isinstance(name, str) for name in names):
        what = "compile spec: pass names are a list of strings"
        raise CompileSpecError(
            what,
            found=repr(names),
            expected="list[str]",
        )
    unknown = [name for name in names if name not in known]
    if unknown:
        what = "compile spec: unknown MIL passes"
        raise CompileSpecError(
            what,
            found=", ".join(unknown),
            expected="names such as common::add_fp16_cast, see coremltools.PassPipeline",
        )
    return json.dumps(list(names))


def _decode_pass_names(text: str) -> Any:
    names = json.loads(text)
    _encode_pass_names(names)
    return ct.PassPipeline(names, pipeline_name="etcoreml_compile_spec")


def _encode_nodes(names: Any) -> str:
    if isinstance(names, str) or not all(isinstance(each, str) for each in names):
        what = "compile spec: names of nodes are strings"
        raise CompileSpecError(what, found=repr(names), expected="a list of str")
    return json.dumps(sorted(set(names)))


def _decode_nodes(text: str) -> frozenset[str]:
    names = json.loads(text)
    _encode_nodes(names)
    return frozenset(names)


def _encode_shapes(shapes: Any) -> str:
    if not isinstance(shapes, EnumeratedShapes):
        what = "compile spec: EnumeratedShapes are needed"
        raise CompileSpecError(what, found=repr(shapes))
    return shapes.to_json()


_KEY = COMPILE_SPEC_KEYS
_COMPRESSION = (
    "a list of coremltools.optimize.coreml.OptimizationConfig as dicts with config_type, one of "
    + ", ".join(KINDS)
)

CODECS: dict[COMPILE_SPEC_KEYS, Codec] = {
    _KEY.COMPUTE_UNITS: Codec(
        _member_encoder(ct.ComputeUnit, lambda unit: unit.name.lower()),
        # Lower case only, as Apple's delegate compares the text as it is.
        lambda text: {unit.name.lower(): unit for unit in ct.ComputeUnit}[text],
        lambda: ct.ComputeUnit.ALL,
        ", ".join(unit.name.lower() for unit in ct.ComputeUnit),
    ),
    _KEY.MIN_DEPLOYMENT_TARGET: Codec(
        _encode_target,
        _decode_target,
        lambda: None,
        "empty, " + ", ".join(f"{t.value} ({t.name})" for t in ct.target if t >= ct.target.iOS15),
    ),
    _KEY.MODEL_COMPUTE_PRECISION: Codec(
        _member_encoder(ct.precision, lambda precision: str(precision.value)),
        ct.precision,
        lambda: ct.precision.FLOAT16,
        ", ".join(str(precision.value) for precision in ct.precision),
    ),
    _KEY.MODEL_TYPE: Codec(
        _member_encoder(ModelType, lambda kind: str(kind.value)),
        ModelType,
        lambda: ModelType.MODEL,
        ", ".join(str(kind.value) for kind in ModelType),
    ),
    _KEY.OP_LINEAR_QUANTIZER_CONFIG: Codec(
        _encode_quantizer,
        lambda text: _quantizer_config(json.loads(text)),
        lambda: None,
        "a JSON object of OpLinearQuantizerConfig fields",
    ),
    _KEY.ENUMERATED_SHAPES: Codec(
        _encode_shapes,
        EnumeratedShapes.from_json,
        lambda: None,
        "JSON written by generate_enumerated_shapes_compile_spec",
    ),
    _KEY.PASS_PIPELINE: Codec(
        _encode_pass_names,
        _decode_pass_names,
        lambda: ct.PassPipeline(),
        "a JSON list of registered MIL pass names",
    ),
    _KEY.MULTIMETHOD_WEIGHT_SHARING_STRATEGY: Codec(
        _member_encoder(MULTIMETHOD_WEIGHT_SHARING_STRATEGY, lambda way: str(way.value)),
        MULTIMETHOD_WEIGHT_SHARING_STRATEGY,
        lambda: MULTIMETHOD_WEIGHT_SHARING_STRATEGY.DISABLED,
        ", ".join(str(way.value) for way in MULTIMETHOD_WEIGHT_SHARING_STRATEGY),
    ),
    _KEY.WEIGHT_COMPRESSION: Codec(
        _encode_compression,
        lambda text: read_steps(json.loads(text)),
        lambda: None,
        _COMPRESSION,
    ),
    _KEY.FLOAT32_NODES: Codec(
        _encode_nodes,
        _decode_nodes,
        lambda: frozenset[str](),
        "a JSON list of names of edge nodes",
    ),
}


@dataclass(frozen=True)
class Options:
    """Every compile spec of one partition, decoded.

    Attributes:
        compute_unit: ``coremltools.ComputeUnit``.
        deployment_target: ``coremltools.target``, or None for the lowest that is needed.
        compute_precision: ``coremltools.precision``.
        model_type: What the delegate carries.
        quantizer_config: ``OpLinearQuantizerConfig``, or None.
        enumerated_shapes: The only shapes the inputs take, or None.
        pass_pipeline: ``coremltools.PassPipeline``, fresh for this call.
        weight_sharing: What happens to the weights of several methods.
        weight_compression: The steps that compress the weights, or None.
        float32_nodes: Names of the edge nodes that are computed in fp32 where the rest is in fp16.
    """

    compute_unit: Any
    deployment_target: Any
    compute_precision: Any
    model_type: ModelType
    quantizer_config: Any
    enumerated_shapes: EnumeratedShapes | None
    pass_pipeline: Any
    weight_sharing: MULTIMETHOD_WEIGHT_SHARING_STRATEGY
    weight_compression: list[Step] | None = None
    float32_nodes: frozenset[str] = frozenset()

    @property
    def compresses(self) -> bool:
        """Whether the weights are compressed after the conversion."""
        return self.quantizer_config is not None or self.weight_compression is not None

    @property
    def target(self) -> Any:
        """The deployment target that coremltools applies: iOS15 when none was asked for."""
        return self.deployment_target or ct.target.iOS15

    @property
    def newest_target(self) -> Any:
        """The newest target that may be applied: any when none was asked for."""
        return self.deployment_target or list(ct.target)[-1]


def encode(key: COMPILE_SPEC_KEYS, value: object) -> CompileSpec:
    """Return the compile spec that stores ``value`` under ``key``.

    Raises:
        CompileSpecError: The value is outside the option's domain.
    """
    return CompileSpec(key.value, CODECS[key].encode(value).encode("utf-8"))


def decode(key: COMPILE_SPEC_KEYS, compile_specs: Sequence[CompileSpec]) -> Any:
    """Return the value of one option, or its default when no spec has the key.

    Raises:
        CompileSpecError: A key of the list is unknown or set twice, or this option's text is
            outside its domain.
    """
    texts = _texts(compile_specs)
    codec = CODECS[key]
    if key not in texts:
        return codec.default()
    text = texts[key]
    try:
        return codec.decode(text)
    except Exception as error:
        what = f"compile spec {key.value}: value outside its domain"
        raise CompileSpecError(
            what,
            found=repr(text),
            expected=codec.domain,
        ) from error


def decode_options(compile_specs: Sequence[CompileSpec]) -> Options:
    """Return every option of a list of compile specs.

    Raises:
        CompileSpecError: As ``decode``.
    """
    return Options(
        compute_unit=decode(_KEY.COMPUTE_UNITS, compile_specs),
        deployment_target=decode(_KEY.MIN_DEPLOYMENT_TARGET, compile_specs),
        compute_precision=decode(_KEY.MODEL_COMPUTE_PRECISION, compile_specs),
        model_type=decode(_KEY.MODEL_TYPE, compile_specs),
        quantizer_config=decode(_KEY.OP_LINEAR_QUANTIZER_CONFIG, compile_specs),
        enumerated_shapes=decode(_KEY.ENUMERATED_SHAPES, compile_specs),
        pass_pipeline=decode(_KEY.PASS_PIPELINE, compile_specs),
        weight_sharing=decode(_KEY.MULTIMETHOD_WEIGHT_SHARING_STRATEGY, compile_specs),
        weight_compression=decode(_KEY.WEIGHT_COMPRESSION, compile_specs),
        float32_nodes=decode(_KEY.FLOAT32_NODES, compile_specs),
    )


def _texts(compile_specs: Sequence[CompileSpec]) -> dict[COMPILE_SPEC_KEYS, str]:
    """Return key to text, refusing unknown keys, repeated keys and bytes that are no text."""
    texts: dict[COMPILE_SPEC_KEYS, str] = {}
    for spec in compile_specs:
        try:
            key = COMPILE_SPEC_KEYS(spec.key)
        except ValueError as error:
            what = "compile spec: unknown key"
            raise CompileSpecError(
                what,
                found=repr(spec.key),
                expected=", ".join(each.value for each in COMPILE_SPEC_KEYS),
            ) from error
        try:
            text = bytes(spec.value).decode("utf-8")
        except (TypeError, UnicodeDecodeError) as error:
            what = f"compile spec {spec.key}: value is not UTF-8 text"
            raise CompileSpecError(what, found=repr(spec.value)) from error
        if texts.setdefault(key, text) != text:
            what = f"compile spec {spec.key}: set twice"
            raise CompileSpecError(
                what,
                found=f"{texts[key]!r} and {text!r}",
                hint="Keep one of them.",
            )
    return texts
