"""Ops whose converter exists and raises for what torch.export writes."""

from __future__ import annotations

from etcoreml.partition.support.rule import Rule, always

_UNCONVERTED = (
    "aten.affine_grid_generator.default",
    "aten.cosine_similarity.default",
    "aten.hann_window.default",
    "aten.hardshrink.default",
    "aten.linalg_inv.default",
    "aten.linalg_inv_ex.default",
    "aten.mse_loss.default",
    "aten.nll_loss_nd.default",
)


RULES: tuple[Rule, ...] = (
    Rule(
        _UNCONVERTED,
        always,
        "coremltools does not convert the op as torch.export writes it",
    ),
)
