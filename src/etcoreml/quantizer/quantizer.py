"""Annotate an exported module: which tensors are quantised, and how."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from operator import attrgetter
from typing import Any

import torch
from torch.fx import GraphModule, Node

from etcoreml.errors import QuantizerConfigError
from etcoreml.imports import quiet_imports
from etcoreml.quantizer.config import LinearQuantizerConfig, Specs
from etcoreml.quantizer.milestones import Milestones
from etcoreml.quantizer.operators import (
    ACTIVATIONS,
    BATCH_NORMS,
    BINARY,
    EMBEDDINGS,
    MOVES,
    POOLS,
    REDUCTIONS,
    WEIGHTED,
    is_non_negative,
    weight_axis,
)
from etcoreml.quantizer.selection import Selection

with quiet_imports():
    from torchao.quantization.pt2e.quantizer import (
        QuantizationAnnotation,
        Quantizer,
        SharedQuantizationSpec,
    )
    from torchao.quantization.pt2e.quantizer.quantizer import Q_ANNOTATION_KEY


class CoreMLQuantizer(Quantizer):  # type: ignore[misc] # torchao is untyped
    """Quantise for Core ML, after training (PTQ) and during it (QAT).

    Quantised are convolutions and linear layers with their batch norm and activation, additions,
    products, matrix products, poolings and embeddings (see ``quantizer.operators``). Scales of
    activations are per tensor, those of weights per channel or per tensor. Weights are observed
    when the module is prepared, unless milestones say when.

    ``milestones`` of the configuration take effect through ``step``. Its
    ``non_traceable_module_names`` and ``preserved_attributes`` are about ``torch.fx`` tracing and
    have no meaning for a module that was exported.

    Args:
        config: coremltools' ``LinearQuantizerConfig``; None for its defaults.

    Raises:
        QuantizerConfigError: No such configuration, or one that PT2E cannot follow.
    """

    def __init__(self, config: Any = None) -> None:
        super().__init__()
        config = LinearQuantizerConfig() if config is None else config
        if not isinstance(config, LinearQuantizerConfig):
            raise QuantizerConfigError(
                "quantiser: not a configuration",
                found=type(config).__name__,
                expected="coremltools.optimize.torch.quantization.LinearQuantizerConfig",
            )
        self._config = config
        Selection(config)  # raises here, not when a model is prepared
        self._milestones = Milestones(config)

    def annotate(self, model: GraphModule) -> GraphModule:
        """Write annotations into the nodes' ``meta``; what has one keeps it.

        Args:
            model: An exported module, ``torch.export.export(...).module()``.
        """
        selection = Selection(self._config)
        for node in list(model.graph.nodes):
            specs = selection.specs(node)
            if specs is not None and not _is_annotated(node):
                _annotate(node, specs, selection)
        for name in selection.unmet_names():
            warnings.warn(f"quantiser: no op of the model is in a module {name}", stacklevel=2)
        return model

    def validate(self, model: GraphModule) -> None:
        """Accept every annotation: those of other quantisers are theirs to check."""

    def prepare_obs_or_fq_callback(
        self, model: GraphModule, edge_or_node_to_obs_or_fq: dict[Any, Any]
    ) -> None:
        """Observe the weights, or turn all off that milestones will turn on.

        Args:
            model: The module that is prepared.
            edge_or_node_to_obs_or_fq: Its fake quantisers, by node or ``(node, user)``.
        """
        self._milestones.start(edge_or_node_to_obs_or_fq.values())
        if self._milestones.are_set:
            return
        for edge, observe in edge_or_node_to_obs_or_fq.items():
            if isinstance(edge, tuple) and edge[0].op == "get_attr":
                observe(attrgetter(edge[0].target)(model))

    def step(self, model: GraphModule) -> None:
        """Count a training step, and do what a milestone of the configuration asks for.

        Args:
            model: The module that ``prepare_qat_pt2e`` returned; changed in place.
        """
        self._milestones.step(model)


def _annotate(node: Node, specs: Specs, selection: Selection) -> None:
    if node.target in WEIGHTED:
        weight = _parameter(node, 1)
        if weight is not None:
            # In this order: torchao tells the input from the weight by it when it fuses for QAT.
            inputs = {node.args[0]: _input_spec(node.args[0], specs)}
            inputs[weight] = specs.weight(weight_axis(node))
            _annotate_pattern(node, inputs, specs, selection)
    elif node.target in EMBEDDINGS:
        weight = _parameter(node, 0)
        if weight is not None:
            node.meta[Q_ANNOTATION_KEY] = QuantizationAnnotation(
                input_qspec_map={weight: specs.weight(0)}, _annotated=True
            )
    elif specs.activation is None or not _is_float(node):
        return
    elif node.target in BINARY:
        inputs = {each: _input_spec(each, specs) for each in node.args[:2] if _is_float(each)}
        _annotate_pattern(node, inputs, specs, selection)
    elif node.target in REDUCTIONS:
        inputs = {node.args[0]: _input_spec(node.args[0], specs)}
        _annotate_pattern(node, inputs, specs, selection)
    elif node.target in POOLS or (
        node.target in MOVES and node.args and _is_quantized(node.args[0])
    ):
        _annotate_shared(node, specs)


def _input_spec(value: object, specs: Specs) -> Any:
    """Return the spec of an operand; None for what needs none, or was quantised as an output."""
    is_unmet = isinstance(value, Node) and _is_float(value) and not _is_quantized(value)
    return _activation_spec(value, specs) if is_unmet else None


def _activation_spec(node: Node, specs: Specs) -> Any:
    return specs.non_negative if is_non_negative(node) else specs.activation


def _annotate_pattern(
    head: Node, inputs: dict[Node, Any], specs: Specs, selection: Selection
) -> None:
    """Annotate an op with the batch norm and the activation that follow it."""
    pattern = [head, *_followers(head, selection)]
    for each in pattern:
        each.meta[Q_ANNOTATION_KEY] = QuantizationAnnotation(_annotated=True)
    head.meta[Q_ANNOTATION_KEY].input_qspec_map = inputs
    pattern[-1].meta[Q_ANNOTATION_KEY].output_qspec = _activation_spec(pattern[-1], specs)


def _annotate_shared(node: Node, specs: Specs) -> None:
    """Let the output of ``node`` have the scale of its input."""
    source = node.args[0]
    if not _is_float(source):
        return
    inputs: dict[Node, Any] = {}
    shared = SharedQuantizationSpec(source)
    if not _is_quantized(source):
        inputs = {source: _activation_spec(source, specs)}
        shared = SharedQuantizationSpec((source, node))
    node.meta[Q_ANNOTATION_KEY] = QuantizationAnnotation(
        input_qspec_map=inputs, output_qspec=shared, _annotated=True
    )


def _followers(node: Node, selection: Selection) -> Iterator[Node]:
    """Yield the batch norm and the activation that are computed with ``node``, where they are."""
    kinds = [BATCH_NORMS, ACTIVATIONS] if node.target in WEIGHTED else [ACTIVATIONS]
    for kind in kinds:
        user = next(iter(node.users), None)
        if (
            user is not None
            and len(node.users) == 1
            and user.target in kind
            and user.args[0] is node
            and not _is_annotated(user)
            and not selection.is_left_out(user)
        ):
            yield user
            node = user


def _is_annotated(node: Node) -> bool:
    annotation = node.meta.get(Q_ANNOTATION_KEY)
    return annotation is not None and bool(annotation._annotated)


def _is_quantized(value: object) -> bool:
    """Whether the output of a node is annotated."""
    if not isinstance(value, Node):
        return False
    annotation = value.meta.get(Q_ANNOTATION_KEY)
    return annotation is not None and annotation.output_qspec is not None


def _is_float(value: object) -> bool:
    """Whether a value is a tensor computed in floating point; a stored constant is none."""
    if not isinstance(value, Node) or value.op == "get_attr":
        return False
    tensor = value.meta.get("val")
    return isinstance(tensor, torch.Tensor) and bool(tensor.is_floating_point())


def _parameter(node: Node, index: int) -> Node | None:
    """Return an argument that is a stored tensor, else None."""
    value = node.args[index]
    return value if isinstance(value, Node) and value.op == "get_attr" else None
