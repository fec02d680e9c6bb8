"""Compile specs: every pair of writer and reader, and what each refuses.

Oracle for keys and texts: the table of executorch 1.5.1's backend (upstream compatibility).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from etcoreml.compiler import (
    COMPILE_SPEC_KEYS,
    MULTIMETHOD_WEIGHT_SHARING_STRATEGY,
    CoreMLBackend,
)
from etcoreml.compiler.specs import decode_options
from etcoreml.errors import CompileSpecError
from etcoreml.imports import quiet_imports
from etcoreml.mil.ct import coremltools

with quiet_imports():
    from executorch.exir.backend.compile_spec_schema import CompileSpec

ct = coremltools()
Backend = CoreMLBackend
Sharing = MULTIMETHOD_WEIGHT_SHARING_STRATEGY

PAIRS: list[tuple[Callable[..., Any], Callable[..., Any], Any, str, bytes]] = [
    *(
        (
            Backend.generate_compute_unit_compile_spec,
            Backend.compute_unit_from_compile_specs,
            unit,
            "compute_units",
            unit.name.lower().encode(),
        )
        for unit in ct.ComputeUnit
    ),
    *(
        (
            Backend.generate_minimum_deployment_target_compile_spec,
            Backend.min_deployment_target_from_compile_specs,
            target,
            "min_deployment_target",
            text,
        )
        for target, text in [
            (None, b""),
            (ct.target.iOS15, b"6"),
            (ct.target.iOS18, b"9"),
            (ct.target.macOS15, b"9"),
        ]
    ),
    *(
        (
            Backend.generate_compute_precision_compile_spec,
            Backend.model_compute_precision_from_compile_specs,
            precision,
            "model_compute_precision",
            precision.value.encode(),
        )
        for precision in ct.precision
    ),
    *(
        (
            Backend.generate_model_type_compile_spec,
            Backend.model_type_from_compile_specs,
            kind,
            "model_type",
            kind.value.encode(),
        )
        for kind in Backend.MODEL_TYPE
    ),
    *(
        (
            Backend.generate_multimethod_weight_sharing_strategy_compile_spec,
            Backend.multimethod_weight_sharing_strategy_from_compile_specs,
            strategy,
            "multimethod_weight_sharing_strategy",
            strategy.value.encode(),
        )
        for strategy in Sharing
    ),
]


@pytest.mark.parametrize(("write", "read", "value", "key", "text"), PAIRS)
def test_pair(
    write: Callable[..., Any], read: Callable[..., Any], value: Any, key: str, text: bytes
) -> None:
    spec = write(value)
    assert (spec.key, spec.value) == (key, text)
    assert read([spec]) == value


def test_pass_pipeline_pair() -> None:
    names = ["common::const_elimination", "common::add_fp16_cast"]
    spec = Backend.generate_pass_pipeline_compile_spec(names)
    assert spec.key == "pass_pipeline"
    assert spec.value == b'["common::const_elimination", "common::add_fp16_cast"]'
    assert Backend.pass_pipeline_from_compile_specs([spec]).passes == names


def test_quantizer_pair() -> None:
    config = {"mode": "linear_symmetric", "dtype": "int8", "granularity": "per_channel"}
    spec = Backend.generate_op_linear_quantizer_config_compile_spec(config)
    assert spec.key == "op_linear_quantizer_config"
    read = Backend.op_linear_quantizer_config_from_compile_specs([spec])
    assert (read.mode, str(read.granularity)) == (
        "LINEAR_SYMMETRIC",
        "CompressionGranularity.PER_CHANNEL",
    )


def test_defaults() -> None:
    options = decode_options([])
    assert options.compute_unit == ct.ComputeUnit.ALL
    assert options.deployment_target is None
    assert options.target == ct.target.iOS15
    assert options.compute_precision == ct.precision.FLOAT16
    assert options.model_type is Backend.MODEL_TYPE.MODEL
    assert options.quantizer_config is None
    assert options.enumerated_shapes is None
    assert options.pass_pipeline.passes == ct.PassPipeline().passes
    assert options.weight_sharing is Sharing.DISABLED


def test_generate_compile_specs_emits_four_keys_and_the_optional_two() -> None:
    assert [(spec.key, spec.value) for spec in Backend.generate_compile_specs()] == [
        ("compute_units", b"all"),
        ("min_deployment_target", b""),
        ("model_compute_precision", b"float16"),
        ("model_type", b"model"),
    ]
    more = Backend.generate_compile_specs(
        ct.ComputeUnit.CPU_ONLY,
        ct.target.iOS17,
        ct.precision.FLOAT32,
        Backend.MODEL_TYPE.COMPILED_MODEL,
        {"mode": "linear"},
        ["common::dead_code_elimination"],
    )
    assert [(spec.key, spec.value) for spec in more] == [
        ("compute_units", b"cpu_only"),
        ("min_deployment_target", b"8"),
        ("model_compute_precision", b"float32"),
        ("model_type", b"compiled_model"),
        ("op_linear_quantizer_config", b'{"mode": "linear"}'),
        ("pass_pipeline", b'["common::dead_code_elimination"]'),
    ]


def test_keys_are_upstreams_and_two_of_ours() -> None:
    assert {key.name: key.value for key in COMPILE_SPEC_KEYS} == {
        name: name.lower()
        for name in (
            "WEIGHT_COMPRESSION",
            "FLOAT32_NODES",
            "COMPUTE_UNITS",
            "MODEL_TYPE",
            "MIN_DEPLOYMENT_TARGET",
            "MODEL_COMPUTE_PRECISION",
            "OP_LINEAR_QUANTIZER_CONFIG",
            "ENUMERATED_SHAPES",
            "PASS_PIPELINE",
            "MULTIMETHOD_WEIGHT_SHARING_STRATEGY",
        )
    }


@pytest.mark.parametrize(
    ("write", "value", "named"),
    [
        (Backend.generate_compute_unit_compile_spec, "all", "ALL, CPU"),
        (Backend.generate_compute_unit_compile_spec, None, "ALL, CPU"),
        (Backend.generate_minimum_deployment_target_compile_spec, 9, "iOS18"),
        (Backend.generate_minimum_deployment_target_compile_spec, ct.target.iOS14, "iOS15"),
        (Backend.generate_compute_precision_compile_spec, "float16", "FLOAT16"),
        (Backend.generate_model_type_compile_spec, "model", "MODEL"),
        (Backend.generate_pass_pipeline_compile_spec, ["common::nonsense"], "common::nonsense"),
        (Backend.generate_pass_pipeline_compile_spec, "common::add_fp16_cast", "list"),
        (Backend.generate_pass_pipeline_compile_spec, None, "list"),
        (Backend.generate_op_linear_quantizer_config_compile_spec, {"mode": "cubic"}, "cubic"),
        (Backend.generate_op_linear_quantizer_config_compile_spec, {"nonsense": 1}, "nonsense"),
        (Backend.generate_op_linear_quantizer_config_compile_spec, 7, "dict"),
        (Backend.generate_multimethod_weight_sharing_strategy_compile_spec, "disabled", "DISABLED"),
    ],
)
def test_writer_refuses(write: Callable[..., Any], value: Any, named: str) -> None:
    with pytest.raises(CompileSpecError, match=named):
        write(value)


@pytest.mark.parametrize(
    ("key", "text", "named"),
    [
        ("compute_units", b"gpu", "cpu_and_gpu"),
        ("compute_units", b"ALL", "all"),
        ("min_deployment_target", b"iOS18", "9 .iOS18."),
        ("min_deployment_target", b"4", "6 .iOS15."),
        ("model_compute_precision", b"float8", "float16, float32"),
        ("model_type", b"", "compiled_model"),
        ("op_linear_quantizer_config", b"{", "JSON"),
        ("op_linear_quantizer_config", b"[]", "JSON"),
        ("enumerated_shapes", b"{}x", "JSON"),
        ("pass_pipeline", b'["common::nonsense"]', "registered"),
        ("pass_pipeline", b"7", "JSON list"),
        ("multimethod_weight_sharing_strategy", b"always", "positional"),
        ("compute_units", b"\xff", "UTF-8"),
        ("compute_unit", b"all", "compute_units"),
    ],
)
def test_reader_refuses(key: str, text: bytes, named: str) -> None:
    with pytest.raises(CompileSpecError, match=named):
        decode_options([CompileSpec(key, text)])


def test_an_unknown_key_is_refused_by_every_reader() -> None:
    with pytest.raises(CompileSpecError, match="nonsense"):
        Backend.compute_unit_from_compile_specs([CompileSpec("nonsense", b"")])


def test_a_key_set_twice() -> None:
    once = Backend.generate_compute_unit_compile_spec(ct.ComputeUnit.ALL)
    other = Backend.generate_compute_unit_compile_spec(ct.ComputeUnit.CPU_ONLY)
    assert Backend.compute_unit_from_compile_specs([once, once]) == ct.ComputeUnit.ALL
    with pytest.raises(CompileSpecError, match="twice"):
        Backend.compute_unit_from_compile_specs([once, other])


def test_pass_pipeline_is_fresh_for_every_call() -> None:
    # coremltools removes passes from the pipeline it is given.
    first = decode_options([]).pass_pipeline
    first.remove_passes({"common::add_fp16_cast"})
    assert "common::add_fp16_cast" in decode_options([]).pass_pipeline.passes


def test_errors_are_value_errors() -> None:
    # What upstream raises for a bad text is a ValueError; code that catches it keeps working.
    assert issubclass(CompileSpecError, ValueError)
