"""Which of coremltools' tests run, and how large a part of them."""

from __future__ import annotations

from dataclasses import dataclass

MIL = "converters/mil/mil/ops/tests"
TORCH = "converters/mil/frontend/torch/test/test_torch_ops.py"


@dataclass(frozen=True)
class Suite:
    """Tests that are run and counted together.

    Attributes:
        name: As the table has it.
        targets: What pytest is given, relative to the package of coremltools.
        sample: The part of the cases that is run, chosen by their names.
        leave_out: An expression of pytest's ``-k`` for what another suite has.
    """

    name: str
    targets: tuple[str, ...]
    sample: float = 1.0
    leave_out: str = ""


_TORCH_FAMILIES = {
    "activation": ("Activation", "Glu", "Hardswish"),
    "convolution": ("Conv", "ConvTranspose", "DynamicConv"),
    "normalisation": ("BatchNorm", "GroupNorm", "InstanceNorm", "LayerNorm", "WeightNorm"),
    "pooling": ("AdaptiveAvgPool", "AdaptiveMaxPool", "AvgPool", "MaxPool"),
    "recurrent": ("GRU", "LSTM", "LSTMWithPackedSequence", "RNN", "StackedBLSTM"),
    "indexing and scatter": (
        *("Embedding", "Gather", "Index", "IndexPut", "IndexSelect", "MaskedFill", "Narrow"),
        *("Scatter", "Select", "SelectScatter", "Slice", "SliceScatter", "TensorAssign", "Where"),
    ),
    "resize": ("AffineGrid", "GridSample", "Upsample"),
    "attention": ("ScaledDotProductAttention", "Transformer"),
}


def _torch(classes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(f"{TORCH}::Test{name}" for name in classes)


SUITES = (
    *(
        Suite(f"MIL {opset}", (f"{MIL}/{opset}",))
        for opset in ("iOS14", "iOS15", "iOS16", "iOS17", "iOS18")
    ),
    *(Suite(f"torch {family}", _torch(names)) for family, names in _TORCH_FAMILIES.items()),
    # 11664 combinations of one op, each of them a program of hundreds of ops.
    Suite("torch STFT", _torch(("STFT",)), sample=0.005),
    Suite(
        "torch, all others",
        (TORCH,),
        sample=0.1,
        leave_out=" and ".join(
            f"not Test{name}" for names in (*_TORCH_FAMILIES.values(), ("STFT",)) for name in names
        ),
    ),
)
