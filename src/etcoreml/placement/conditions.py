"""The conditions that rules name."""

from __future__ import annotations

import math

from etcoreml.mil.program import DictionaryType, StringType, TensorType
from etcoreml.placement.rule import Condition
from etcoreml.placement.subject import Subject

_DIMENSION_LIMIT = 16384
_NEWER_DIMENSION_LIMIT = 65536
_WIDEST_KERNEL, _HIGHEST_KERNEL = 16, 32
_LARGE_PROGRAM_NBYTES = 1_400_000_000
_LEAST_DEPTH = 4992


def _dtypes(subject: Subject) -> set[str]:
    return {each.dtype.name for each in subject.tensors}


def _spatial(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return the sizes Core ML's message calls W, H and D; the others are C and N."""
    return shape[-max(1, len(shape) - 2) :] if shape else ()


def _largest_spatial(subject: Subject) -> int:
    return max((size for shape in subject.shapes for size in _spatial(shape)), default=0)


def _beyond_all(subject: Subject) -> bool:
    return max((size for shape in subject.shapes for size in shape), default=0) > (
        _NEWER_DIMENSION_LIMIT
    )


def _kernel(subject: Subject) -> tuple[int, ...]:
    return (subject.shape("weight") or ())[2:]


def _is_waveform_convolution(subject: Subject) -> bool:
    weight = subject.shape("weight") or ()
    return len(weight) == 3 and weight[1] == 1 and weight[2] > _HIGHEST_KERNEL


def _has_large_kernel(subject: Subject) -> bool:
    return max(_kernel(subject), default=0) > _HIGHEST_KERNEL


def _has_wide_kernel(subject: Subject) -> bool:
    return (_kernel(subject) or (0,))[-1] > _WIDEST_KERNEL


def _has_run_time_weight(subject: Subject) -> bool:
    return "weight" in subject.computed


def _batch(subject: Subject) -> int:
    return (subject.shape("x") or (1,))[0]


def _pads_channels(subject: Subject) -> bool:
    amounts, shape = subject.numbers("pad"), subject.shape("x")
    if amounts is None or shape is None or len(shape) < 3:
        return False
    # Pairs of the last axes; the channels are the second.
    from_the_end = len(shape) - 1
    return len(amounts) >= 2 * from_the_end and any(amounts[-2 * from_the_end :][:2])


def _mode(subject: Subject) -> str:
    return subject.text("mode") or "constant"


def _is_single_row(subject: Subject) -> bool:
    shape = subject.shape("x")
    return shape is not None and math.prod(shape[:-1]) == 1 and shape[-1] < _LEAST_DEPTH


def _is_tiny_product(subject: Subject) -> bool:
    return subject.cost.flops is not None and subject.cost.flops <= 2 * 4**3


def _input_rank(subject: Subject, name: str = "x") -> int:
    found = subject.types.get(name)
    return len(found.shape or ()) if isinstance(found, TensorType) else 0


NESTED = Condition("it is in the body of another op", lambda s: bool(s.inside))
NOT_A_TENSOR = Condition(
    "it reads or writes strings or dictionaries",
    lambda s: any(
        isinstance(each, StringType | DictionaryType) for each in (*s.operands, *s.results)
    ),
)
WIDE_INTEGERS = Condition(
    "it reads or writes int32 at run time",
    lambda s: bool({"int32", "uint32", "int64", "uint64"} & _dtypes(s)),
)
FP32 = Condition(
    "it is no cast, and reads or writes fp32",
    lambda s: s.type != "cast" and bool({"fp32", "fp64"} & _dtypes(s)),
)
BOOLEANS = Condition("it reads or writes bool", lambda s: "bool" in _dtypes(s))
RANK_ABOVE_5 = Condition("a tensor has rank 6 or more", lambda s: s.rank > 5)
INPUT_RANK_5 = Condition("its input has rank 5 or more", lambda s: _input_rank(s) >= 5)
BEYOND_65536 = Condition("a size is above 65536", _beyond_all)
BEYOND_16384 = Condition(
    "one of the last sizes (width, height, depth) is above 16384",
    lambda s: _largest_spatial(s) > _DIMENSION_LIMIT,
)
VARIES_BY_LIST = Condition(
    "a size varies, among enumerated shapes",
    lambda s: s.varies and s.flexibility == "enumerated",
)
VARIES = Condition("a size varies", lambda s: s.varies)
LARGE_PROGRAM = Condition(
    "the weights of the function take more than 1.4 GB",
    lambda s: s.weights_nbytes > _LARGE_PROGRAM_NBYTES,
)
WAVEFORM_CONVOLUTION = Condition(
    "it is 1-D, of one channel, with a kernel above 32 (an STFT)", _is_waveform_convolution
)
LARGE_KERNEL = Condition("a side of the kernel is above 32", _has_large_kernel)
WIDE_KERNEL = Condition("the kernel is wider than 16", _has_wide_kernel)
CONVOLUTION_3D = Condition("it is 3-D", lambda s: _input_rank(s) == 5)
RUN_TIME_WEIGHT_BATCH = Condition(
    "its weight is computed, and the batch is above 1",
    lambda s: _has_run_time_weight(s) and _batch(s) > 1,
)
RUN_TIME_WEIGHT = Condition("its weight is computed", _has_run_time_weight)
PADS_WAVEFORM = Condition(
    "it mirrors, and its input has at most rank 3",
    lambda s: _mode(s) != "constant" and _input_rank(s) <= 3,
)
PADS_BY_MIRROR = Condition("it mirrors or repeats", lambda s: _mode(s) != "constant")
PADS_CHANNELS = Condition("it pads channels", _pads_channels)
SINGLE_ROW = Condition("it has one row, of less than 4992 elements", _is_single_row)
TINY_PRODUCT = Condition("it is of at most 64 multiplications", _is_tiny_product)
INTEGER_CAST = Condition(
    "a type is not floating-point", lambda s: not _dtypes(s) <= {"fp16", "fp32"}
)
