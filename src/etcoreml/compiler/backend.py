"""The backend class ExecuTorch calls: a partition in, the bytes of its delegate out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias, final

from executorch.exir.backend.backend_details import BackendDetails, PreprocessResult
from executorch.exir.backend.compile_spec_schema import CompileSpec
from torch.export import ExportedProgram

from etcoreml.compiler import multimethod
from etcoreml.compiler.compression import Step
from etcoreml.compiler.enumerated_shapes import EnumeratedShapes
from etcoreml.compiler.garbage import only_new_garbage
from etcoreml.compiler.partitions import Unconverted, lower, lower_each, results_kept
from etcoreml.compiler.resolution import check_owned
from etcoreml.compiler.retry import lowered_without
from etcoreml.compiler.rewrites import tell_constants_apart
from etcoreml.compiler.specs import (
    COMPILE_SPEC_KEYS,
    MULTIMETHOD_WEIGHT_SHARING_STRATEGY,
    ModelType,
    decode,
    encode,
)
from etcoreml.mil.ct import coremltools

ct = coremltools()

_Specs: TypeAlias = Sequence[CompileSpec]


@final
class CoreMLBackend(BackendDetails):  # type: ignore[misc] # executorch is untyped
    """Lower partitions to Core ML.

    The name is the delegate id in the .pte and may not change; ExecuTorch finds the class by it.
    The ``generate_*`` functions make the compile specs that ``CoreMLPartitioner`` takes, the
    ``*_from_compile_specs`` functions read them; see ``etcoreml.compiler.specs`` for the table.
    """

    MODEL_TYPE = ModelType

    @staticmethod
    def generate_compile_specs(
        compute_unit: Any = ct.ComputeUnit.ALL,
        minimum_deployment_target: Any = None,
        compute_precision: Any = ct.precision.FLOAT16,
        model_type: ModelType = ModelType.MODEL,
        op_linear_quantizer_config: dict[str, Any] | None = None,
        pass_names: list[str] | None = None,
        float32_nodes: Iterable[str] | None = None,
    ) -> list[CompileSpec]:
        """Return the compile specs of a lowering.

        Args:
            compute_unit: ``coremltools.ComputeUnit`` the model may run on.
            minimum_deployment_target: ``coremltools.target`` the model must run on, iOS15 or
                later; None asks for the lowest.
            compute_precision: ``coremltools.precision`` of the arithmetic.
            model_type: Whether Apple's runtime gets a package to compile, or a compiled model.
            op_linear_quantizer_config: Fields of
                ``coremltools.optimize.coreml.OpLinearQuantizerConfig``, to quantise weights.
            pass_names: MIL passes to run in place of coremltools' default pipeline.
            float32_nodes: Names of edge nodes to compute in fp32 where the rest is in fp16;
                ``etcoreml.precision.choose`` finds the ones that matter.

        Raises:
            CompileSpecError: A value is outside its domain.
        """
        specs = [
            CoreMLBackend.generate_compute_unit_compile_spec(compute_unit),
            CoreMLBackend.generate_minimum_deployment_target_compile_spec(
                minimum_deployment_target
            ),
            CoreMLBackend.generate_compute_precision_compile_spec(compute_precision),
            CoreMLBackend.generate_model_type_compile_spec(model_type),
        ]
        if op_linear_quantizer_config is not None:
            specs.append(
                CoreMLBackend.generate_op_linear_quantizer_config_compile_spec(
                    op_linear_quantizer_config
                )
            )
        if pass_names is not None:
            specs.append(CoreMLBackend.generate_pass_pipeline_compile_spec(pass_names))
        if float32_nodes is not None:
            specs.append(CoreMLBackend.generate_float32_nodes_compile_spec(float32_nodes))
        return specs

    @staticmethod
    def generate_compute_unit_compile_spec(compute_unit: Any) -> CompileSpec:
        """Return the spec of the compute units, a ``coremltools.ComputeUnit``."""
        return encode(COMPILE_SPEC_KEYS.COMPUTE_UNITS, compute_unit)

    @staticmethod
    def compute_unit_from_compile_specs(compile_specs: _Specs) -> Any:
        """Return the ``coremltools.ComputeUnit``; ALL when absent."""
        return decode(COMPILE_SPEC_KEYS.COMPUTE_UNITS, compile_specs)

    @staticmethod
    def generate_minimum_deployment_target_compile_spec(min_deployment_target: Any) -> CompileSpec:
        """Return the spec of the oldest OS, a ``coremltools.target`` or None for the lowest."""
        return encode(COMPILE_SPEC_KEYS.MIN_DEPLOYMENT_TARGET, min_deployment_target)

    @staticmethod
    def min_deployment_target_from_compile_specs(compile_specs: _Specs) -> Any:
        """Return the ``coremltools.target``, or None when absent."""
        return decode(COMPILE_SPEC_KEYS.MIN_DEPLOYMENT_TARGET, compile_specs)

    @staticmethod
    def generate_compute_precision_compile_spec(compute_precision: Any) -> CompileSpec:
        """Return the spec of the arithmetic's precision, a ``coremltools.precision``."""
        return encode(COMPILE_SPEC_KEYS.MODEL_COMPUTE_PRECISION, compute_precision)

    @staticmethod
    def model_compute_precision_from_compile_specs(compile_specs: _Specs) -> Any:
        """Return the ``coremltools.precision``; FLOAT16 when absent."""
        return decode(COMPILE_SPEC_KEYS.MODEL_COMPUTE_PRECISION, compile_specs)

    @staticmethod
    def generate_model_type_compile_spec(model_type: ModelType) -> CompileSpec:
        """Return the spec of what the delegate carries."""
        return encode(COMPILE_SPEC_KEYS.MODEL_TYPE, model_type)

    @staticmethod
    def model_type_from_compile_specs(compile_specs: _Specs) -> ModelType:
        """Return what the delegate carries; MODEL when absent."""
        kind: ModelType = decode(COMPILE_SPEC_KEYS.MODEL_TYPE, compile_specs)
        return kind

    @staticmethod
    def generate_op_linear_quantizer_config_compile_spec(
        op_linear_quantizer_config: dict[str, Any],
    ) -> CompileSpec:
        """Return the spec of the weight quantiser, a dict of its fields."""
        return encode(COMPILE_SPEC_KEYS.OP_LINEAR_QUANTIZER_CONFIG, op_linear_quantizer_config)

    @staticmethod
    def op_linear_quantizer_config_from_compile_specs(compile_specs: _Specs) -> Any:
        """Return the ``OpLinearQuantizerConfig``, or None when absent."""
        return decode(COMPILE_SPEC_KEYS.OP_LINEAR_QUANTIZER_CONFIG, compile_specs)

    @staticmethod
    def generate_weight_compression_compile_spec(steps: list[dict[str, Any]]) -> CompileSpec:
        """Return the spec of how weights are compressed after the conversion.

        Args:
            steps: Each a ``coremltools.optimize.coreml.OptimizationConfig`` as the dict that its
                ``from_dict`` takes: ``config_type`` ``OpPalettizerConfig``,
                ``OpLinearQuantizerConfig``, ``OpMagnitudePrunerConfig`` or
                ``OpThresholdPrunerConfig``. Several compress jointly, which needs iOS18.
        """
        return encode(COMPILE_SPEC_KEYS.WEIGHT_COMPRESSION, steps)

    @staticmethod
    def weight_compression_from_compile_specs(compile_specs: _Specs) -> list[Step] | None:
        """Return the steps, or None when absent."""
        steps: list[Step] | None = decode(COMPILE_SPEC_KEYS.WEIGHT_COMPRESSION, compile_specs)
        return steps

    @staticmethod
    def generate_pass_pipeline_compile_spec(pass_names: list[str]) -> CompileSpec:
        """Return the spec of the MIL passes, a list of their registered names."""
        return encode(COMPILE_SPEC_KEYS.PASS_PIPELINE, pass_names)

    @staticmethod
    def pass_pipeline_from_compile_specs(compile_specs: _Specs) -> Any:
        """Return the ``coremltools.PassPipeline``; the default one when absent."""
        return decode(COMPILE_SPEC_KEYS.PASS_PIPELINE, compile_specs)

    @staticmethod
    def generate_float32_nodes_compile_spec(names: Iterable[str]) -> CompileSpec:
        """Return the spec of the nodes that are computed in fp32 where the rest is in fp16.

        Args:
            names: Names of nodes of the edge program, e.g. ``aten_bmm_default_3``, as
                ``partitioner.report`` has them. What other programs name so is meant, too.
        """
        return encode(COMPILE_SPEC_KEYS.FLOAT32_NODES, names)

    @staticmethod
    def float32_nodes_from_compile_specs(compile_specs: _Specs) -> frozenset[str]:
        """Return the names; none when absent."""
        names: frozenset[str] = decode(COMPILE_SPEC_KEYS.FLOAT32_NODES, compile_specs)
        return names

    @staticmethod
    def generate_multimethod_weight_sharing_strategy_compile_spec(
        strategy: MULTIMETHOD_WEIGHT_SHARING_STRATEGY,
    ) -> CompileSpec:
        """Return the spec of how several methods share weights."""
        return encode(COMPILE_SPEC_KEYS.MULTIMETHOD_WEIGHT_SHARING_STRATEGY, strategy)

    @staticmethod
    def multimethod_weight_sharing_strategy_from_compile_specs(
        compile_specs: _Specs,
    ) -> MULTIMETHOD_WEIGHT_SHARING_STRATEGY:
        """Return how several methods share weights; DISABLED when absent."""
        strategy: MULTIMETHOD_WEIGHT_SHARING_STRATEGY = decode(
            COMPILE_SPEC_KEYS.MULTIMETHOD_WEIGHT_SHARING_STRATEGY, compile_specs
        )
        return strategy

    @staticmethod
    def generate_enumerated_shapes_compile_spec(
        ep: ExportedProgram, enumerated_shapes: Mapping[str, Sequence[Sequence[int]]]
    ) -> CompileSpec:
        """Return the spec of the only shapes the dynamic inputs take.

        Args:
            ep: The exported program, with symbolic shapes.
            enumerated_shapes: Input name to its shapes; the n-th shapes of all inputs form one
                call. More than one dynamic input needs iOS18.
        """
        table = EnumeratedShapes.from_exported_program(ep, enumerated_shapes)
        return encode(COMPILE_SPEC_KEYS.ENUMERATED_SHAPES, table)

    @staticmethod
    def enumerated_shapes_from_compile_specs(compile_specs: _Specs) -> EnumeratedShapes | None:
        """Return the table of shapes, or None when absent."""
        table: EnumeratedShapes | None = decode(COMPILE_SPEC_KEYS.ENUMERATED_SHAPES, compile_specs)
        return table

    @staticmethod
    def preprocess(edge_program: ExportedProgram, compile_specs: _Specs) -> PreprocessResult:
        """Lower one partition.

        Args:
            edge_program: The partition in edge dialect; it is not changed.
            compile_specs: Options, see ``etcoreml.compiler.specs``.

        Returns:
            The blob, and debug symbol to debug handles.

        Raises:
            BackendConflictError: Another backend of this name may be meant.
            CompileSpecError: An option is unknown, or cannot be honoured here.
            LowerError: The partition could not be converted.
        """
        check_owned(CoreMLBackend, [compile_specs])
        return lower(edge_program, compile_specs)

    @classmethod
    def copy_exported_program_for_preprocess(
        cls, edge_program: ExportedProgram, compile_specs: _Specs
    ) -> ExportedProgram:
        """Return the program itself: it is not changed here, and its weights need no copy."""
        return edge_program

    @classmethod
    def preprocess_multimethod(
        cls,
        edge_programs: dict[str, list[ExportedProgram]],
        compile_specs: dict[str, list[list[CompileSpec]]],
    ) -> dict[str, list[PreprocessResult]]:
        """Lower the partitions of all methods, on their own or with shared weights.

        Args:
            edge_programs: Method name to its partitions.
            compile_specs: Method name to the options of each partition.

        Returns:
            Method name to the result of each partition. Nothing when a partition failed and the
            programs were lowered again without the nodes at fault, see ``compiler.retry``.

        Raises:
            BackendConflictError, LowerError: As ``preprocess``.
            CompileSpecError: The methods ask for different weight sharing, or as ``preprocess``.
        """
        check_owned(cls, (specs for each in compile_specs.values() for specs in each))
        for program in (program for each in edge_programs.values() for program in each):
            tell_constants_apart(program)
        lower_all = lower_each
        if multimethod.shares_weights(compile_specs):
            lower_all = multimethod.preprocess_shared
        with results_kept(), only_new_garbage():
            try:
                return lower_all(edge_programs, compile_specs)
            except Unconverted as failure:
                if lowered_without(failure.culprits()):
                    return {}
                raise failure.error from failure.error.__cause__
