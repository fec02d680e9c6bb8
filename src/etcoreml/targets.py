"""Deployment targets: the systems with ML Programs, oldest first, and what each brought.

One row per year; the systems of a row read the same models, so their names mean one target.

Sources: coremltools 9.0 ``converters/mil/_deployment_compatibility.py`` (names and versions),
``converters/mil/mil/ops/defs`` (ops), and the checks of its converters (the rest).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """The systems of one year.

    Attributes:
        ios: Version of iOS; that of iPadOS and tvOS is the same.
        macos: Version of macOS.
        watchos: Version of watchOS.
        spec_version: Version of the Core ML model specification.
        opset: Name of the set of MIL ops.
        adds: What models may do from here on.
        ops: MIL ops that no older target has.
    """

    ios: int
    macos: int
    watchos: int
    spec_version: int
    opset: str
    adds: tuple[str, ...]
    ops: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The names that ``coremltools.target`` and ``--deployment-target`` know it by."""
        return (
            f"iOS{self.ios}",
            f"macOS{self.macos}",
            f"watchOS{self.watchos}",
            f"tvOS{self.ios}",
        )

    def __str__(self) -> str:
        """Return the systems, oldest versions, for people."""
        return f"{', '.join(self.names)} or later"


TARGETS = (
    Target(15, 12, 8, 6, "CoreML5", ("ML Programs, float16 and float32 arithmetic",)),
    Target(
        *(16, 13, 9, 7, "CoreML6"),
        ("float16 inputs and outputs", "8-bit, palettised and sparse weights"),
        (
            "constexpr_affine_dequantize",
            "constexpr_cast",
            "constexpr_lut_to_dense",
            "constexpr_sparse_to_dense",
            "fill_like",
            "pixel_unshuffle",
            "reshape_like",
        ),
    ),
    Target(
        *(17, 14, 10, 8, "CoreML7"),
        ("8-bit activations", "8- and 16-bit integers in gather, reshape and the like"),
        ("dequantize", "quantize", "resize"),
    ),
    Target(
        *(18, 15, 11, 9, "CoreML8"),
        (
            "state",
            "several functions in one model",
            "attention as one op",
            "blockwise 4-bit weights",
            "several inputs with enumerated shapes",
            "models without inputs",
        ),
        (
            "constexpr_blockwise_shift_scale",
            "constexpr_lut_to_sparse",
            "constexpr_sparse_blockwise_shift_scale",
            "read_state",
            "scaled_dot_product_attention",
            "slice_update",
        ),
    ),
    Target(26, 26, 26, 10, "CoreML9", ("int8 inputs and outputs",)),
)
"""Oldest first."""

NAMES = tuple(name for system in range(4) for name in (each.names[system] for each in TARGETS))
"""Every name of a target, by system."""
