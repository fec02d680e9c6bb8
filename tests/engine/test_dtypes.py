"""Every dtype that MIL admits for an operand, beyond the fp32, fp16 and int32 of the families.

Oracle: MIL's value inference, and NumPy where that infers nothing. ``tests/conformance`` holds the
table of cases to coremltools' type domains.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from etcoreml.engine.dtypes import border_type, compute_array, compute_type
from etcoreml.types import BY_NAME, BY_NUMPY
from tests.cases import Case, normal, numbers_of, rng

NARROW = ("int8", "uint8", "int16", "uint16")
MOVED = ("bool", "int32", *NARROW)
"""What ops that only move elements take besides floats."""


def _numbers(dtype: str, *shape: int, seed: int = 0) -> Any:
    """Return numbers over the whole range of a dtype."""
    if dtype == "bool":
        return rng(seed).integers(0, 2, shape).astype(bool)
    limits = np.iinfo(dtype)
    found = rng(seed).integers(limits.min, limits.max, shape, dtype, endpoint=True)
    if found.size > 1:
        found.flat[0], found.flat[-1] = limits.max, limits.min
    return found


def _a(*values: int, dtype: str = "int32") -> Any:
    return np.array(values, dtype)


def _moved(dtype: str) -> tuple[Case, ...]:
    """One case of each op that moves elements of any dtype."""
    x = _numbers(dtype, 2, 3, 4)
    flat = x.reshape(6, 4)

    def case(op_type: str, expect: Any = None, data: Any = x, **params: Any) -> Case:
        return Case(
            op_type, {"x": data}, params, 0, dtype, expect and (lambda x, **_: expect(x)), "iOS17"
        )

    cases = [
        case("expand_dims", axes=_a(0)),
        case("reshape", shape=_a(4, 6)),
        case("reverse", axes=_a(0, 2)),
        case("slice_by_index", begin=_a(0, 1, 0), end=_a(2, 3, 3), stride=_a(1, 1, 2)),
        case("slice_by_size", begin=_a(0, 1, 0), size=_a(2, 2, 3)),
        Case(
            "squeeze",
            {"x": x[:, :1]},
            {"axes": _a(1)},
            0,
            dtype,
            lambda x, axes: x[:, 0],
            "iOS17",
            varies=False,
        ),
        case("transpose", perm=_a(2, 0, 1)),
        Case(
            "reverse_sequence",
            {"x": flat, "lengths": _a(1, 2, 3, 4, 0, 4)},
            {"seq_axis": 1, "batch_axis": 0},
            0,
            dtype,
            _reverse_sequence,
            "iOS17",
        ),
        Case(
            "reshape_like",
            {"x": x},
            {
                "ref_tensors": (np.zeros((4, 6), np.float32),),
                "begins": (np.int32(0),),
                "ends": (np.int32(2),),
                "end_masks": (np.bool_(False),),
            },
            0,
            dtype,
            lambda x, **_: x.reshape(4, 6),
            "iOS17",
            varies=False,
        ),
        Case(
            "slice_update",
            {"x": x, "update": _numbers(dtype, 2, 1, 4, seed=1)},
            {"begin": _a(0, 1, 0), "end": _a(2, 2, 4)},
            0,
            dtype,
            _slice_update,
            "iOS18",
            varies=False,
        ),
    ]
    cases.append(
        Case(
            "sliding_windows",
            {"x": x},
            {"axis": 1, "size": 2},
            0,
            dtype,
            lambda x, **_: np.stack([x[:, :2], x[:, 1:]], 1),
            "iOS17",
        )
    )
    if dtype != "bool":
        # Distinct numbers: of equal ones any may come first.
        ranked = rng(7).permutation(_spread(dtype, 24)).reshape(6, 4)
        cases += [
            Case("topk", {"x": ranked}, {"k": 2, "axis": 0}, 0, dtype, _two_largest, "iOS17"),
            Case("gather", {"x": flat, "indices": _a(1, 0)}, {"axis": 1}, 0, dtype, None, "iOS17"),
            Case(
                "gather_along_axis",
                {"x": flat, "indices": rng(3).integers(0, 6, (2, 4)).astype(np.int32)},
                {"axis": 0},
                0,
                dtype,
                None,
                "iOS17",
                varies=False,
            ),
            Case(
                "gather_nd",
                {"x": flat, "indices": np.array([[5, 0], [1, 3]], np.int32)},
                {},
                0,
                dtype,
                lambda x, indices, **_: x[tuple(indices.T)],
                "iOS17",
                varies=False,
            ),
        ]
    if dtype in ("bool", "int32"):
        cases += [
            case("shape"),
            case("tile", reps=_a(1, 2, 1)),
            case("flatten2d", axis=2),
            Case(
                "split",
                {"x": x},
                {"num_splits": 2, "axis": 2},
                0,
                dtype,
                lambda x, **_: tuple(np.split(x, 2, axis=2)),
                varies=False,
            ),
            Case(
                "fill_like",
                {"ref_tensor": x},
                {"value": np.float32(2)},
                0,
                dtype,
                lambda ref_tensor, value: np.full(ref_tensor.shape, value),
                "iOS16",
            ),
        ]
    return tuple(cases)


def _two_largest(x: Any, **_: Any) -> Any:
    """MIL's value inference negates, which wraps for the least number and for unsigned ones."""
    order = np.argsort(x, axis=0)[::-1][:2]
    return np.take_along_axis(x, order, 0), order


def _spread(dtype: str, count: int) -> Any:
    limits = np.iinfo(dtype)
    return np.linspace(limits.min, limits.max, count).astype(dtype)


def _reverse_sequence(x: Any, lengths: Any, **_: Any) -> Any:
    y = x.copy()
    for row, length in enumerate(lengths):
        y[row, :length] = x[row, :length][::-1]
    return y


def _slice_update(x: Any, update: Any, **_: Any) -> Any:
    y = x.copy()
    y[:, 1:2] = update
    return y


INT = normal(3, 4) * 9
INT = INT.astype(np.int32)
GRID = np.stack(np.meshgrid(np.arange(3), np.arange(2)), -1)[None]
RESAMPLE = {
    "sampling_mode": "nearest",
    "padding_mode": "border",
    "padding_value": 0.0,
    "coordinates_mode": "unnormalized",
    "align_corners": True,
}
QUARTERS = np.array([-7.25, -3.0, -0.5, 0.25, 2.0, 7.75], np.float32)
DIVISORS = np.array([2.0, -1.5, 0.25, -2.0, 4.0, -0.5], np.float32)

_INTEGERS_OF_FLOATS = (
    *(
        Case(op_type, {"x": INT}, {"axes": _a(1), "keep_dims": False}, 0, "int32")
        for op_type in ("reduce_l1_norm", "reduce_l2_norm", "reduce_mean", "reduce_prod")
    ),
    *(
        Case(op_type, {"x": abs(INT) + 1}, {"axes": _a(1), "keep_dims": False}, 0, "int32")
        for op_type in ("reduce_log_sum", "reduce_log_sum_exp")
    ),
    *(
        Case(op_type, {"x": _spread("int32", 9)[::-1].copy()}, {"axis": 0}, 0, "int32")
        for op_type in ("reduce_argmax", "reduce_argmin")
    ),
    Case(
        "argsort",
        {"x": _spread("int32", 9)},
        {"axis": 0},
        0,
        "int32",
        lambda x, **_: np.argsort(x)[::-1],
    ),
    Case("cumsum", {"x": INT}, {"axis": 1}, 0, "int32"),
    Case("band_part", {"x": INT > 0}, {"lower": 0, "upper": 1}, 0, "bool"),
    Case("non_zero", {"x": normal(3, 4) * (INT > 0)}, {}, 0, "floats", varies=False),
    *(
        Case(
            "select",
            {"cond": INT > 0, "a": _numbers(dtype, 3, 4), "b": _numbers(dtype, 3, 4, seed=1)},
            {},
            0,
            dtype,
            lambda cond, a, b: np.where(cond, a, b),
        )
        for dtype in ("bool", "int32")
    ),
    *(
        Case(
            op_type,
            {"data": INT[:, 0], "indices": indices, "updates": _a(5, -7)},
            {"mode": "add", **axis},
            0,
            "int32",
            lambda data, **_: data + _a(0, -7, 5),
            varies=False,
        )
        for op_type, indices, axis in (
            ("scatter", _a(2, 1), {"axis": 0}),
            ("scatter_along_axis", _a(2, 1), {"axis": 0}),
            ("scatter_nd", np.array([[2], [1]], np.int32), {}),
        )
    ),
    *(
        Case(op_type, {"x": QUARTERS, "y": DIVISORS}, {}, 0, "quarters")
        for op_type in ("floor_div", "mod")
    ),
    Case(
        "range_1d",
        {},
        {"start": np.float32(-1.5), "end": np.float32(2.0), "step": np.float32(0.5)},
        0,
        "quarters",
        lambda start, end, step: np.arange(start, end, step),
    ),
    *(
        Case("matmul", {"x": INT, "y": INT.T.copy()}, {}, 0, "int32", lambda x, y: x @ y)
        for _ in range(1)
    ),
    Case(
        "linear",
        {"x": INT},
        {"weight": _a(*range(8)).reshape(2, 4), "bias": _a(1, -2)},
        0,
        "int32",
        lambda x, weight, bias: x @ weight.T + bias,
    ),
)


_IMAGES = (
    Case(
        "affine",
        {"x": normal(1, 2, 3, 4), "transform_matrix": np.array([[1, 0, 0, 0, 1, 0]], np.float32)},
        {
            "output_height": 3,
            "output_width": 4,
            "sampling_mode": "bilinear",
            "padding_mode": "constant",
            "padding_value": np.float32(0),
            "coordinates_mode": "normalized_minus_one_to_one",
            "align_corners": True,
        },
        1e-5,
        "identity",
        lambda x, **_: x,
    ),
    Case(
        "crop_resize",
        {
            "x": normal(2, 2, 5, 6),
            "boxes": _a(1, 1, 3, 4, 0, 2, 2, 5, dtype="uint16").reshape(2, 4),
            "box_indices": _a(1, 0, dtype="uint16"),
        },
        {
            "target_height": 3,
            "target_width": 4,
            "normalized_coordinates": False,
            "box_coordinate_mode": "CORNERS_HEIGHT_FIRST",
            "sampling_mode": "STRICT_ALIGN_CORNERS",
        },
        1e-5,
        "uint16 boxes",
        lambda x, **_: np.stack([x[1, :, 1:4, 1:5], x[0, :, 0:3, 2:6]]),
        "iOS17",
        fp16=False,
        varies=False,
    ),
    *(
        Case(
            "resize",
            {"x": normal(2, 3, 4), "shape": _a(6, 8, dtype=dtype)},
            {
                "resized_dims": np.uint32(2),
                "interpolation_mode": "NEAREST_NEIGHBOR",
                "sampling_mode": "UNALIGN_CORNERS",
            },
            0,
            f"{dtype} shape",
            lambda x, **_: x.repeat(2, 1).repeat(2, 2),
            "iOS17",
            fp16=False,
        )
        for dtype in ("int16", "uint16", "uint32")
    ),
)


def _indexed(dtype: str) -> tuple[Case, ...]:
    """Indices, lengths, positions and shapes of a narrow dtype."""
    x = normal(3, 4)

    def index(*values: int) -> Any:
        return np.array(values, dtype)

    cases = [
        Case("gather", {"x": x, "indices": index(2, 0)}, {"axis": 1}, 0, f"{dtype} indices"),
        Case(
            "gather_along_axis",
            {"x": x, "indices": np.array([[2, 0, 1, 2]], dtype)},
            {"axis": 0},
            0,
            f"{dtype} indices",
            varies=False,
        ),
        Case(
            "gather_nd",
            {"x": x, "indices": np.array([[2, 0], [1, 3]], dtype)},
            {},
            0,
            f"{dtype} indices",
            lambda x, indices: x[tuple(indices.T)],
            varies=False,
        ),
        Case(
            "resample",
            {"x": normal(1, 2, 3, 4), "coordinates": GRID.astype(dtype)},
            RESAMPLE,
            0,
            f"{dtype} places",
            lambda x, **_: x[:, :, :2, :3],
            varies=False,
        ),
        *(
            Case("cast", {"x": _numbers(dtype, 9)}, {"dtype": to}, 0, f"{dtype} to {to}")
            for to in ("fp32", "int32", "bool")
        ),
    ]
    if dtype in ("int8", "int16"):
        cases += [
            Case("reshape", {"x": x}, {"shape": index(2, 6)}, 0, f"{dtype} shape"),
            Case(
                "slice_by_index",
                {"x": x, "begin": index(0, 1), "end": index(2, 3)},
                {},
                0,
                f"{dtype} ends",
                lambda x, **_: x[0:2, 1:3],
                varies=False,
            ),
            Case(
                "slice_by_size",
                {"x": x, "begin": index(0, 1)},
                {"size": index(2, 3)},
                0,
                f"{dtype} ends",
                lambda x, **_: x[0:2, 1:4],
                varies=False,
            ),
            Case(
                "slice_update",
                {"x": x, "update": normal(2, 2), "begin": index(0, 1), "end": index(2, 3)},
                {},
                0,
                f"{dtype} ends",
                _corner_update,
                "iOS18",
                varies=False,
            ),
            Case(
                "reverse_sequence",
                {"x": x, "lengths": index(1, 4, 2)},
                {"seq_axis": 1, "batch_axis": 0},
                0,
                f"{dtype} lengths",
                _reverse_sequence,
            ),
        ]
    return tuple(
        Case(
            c.op,
            c.inputs,
            c.params,
            c.tolerance,
            c.why,
            c.expect,
            max(c.opset, "iOS17"),
            False,
            c.varies,
        )
        for c in cases
    )


def _corner_update(x: Any, update: Any, **_: Any) -> Any:
    y = x.copy()
    y[0:2, 1:3] = update
    return y


CASES = (
    *(case for dtype in MOVED for case in _moved(dtype)),
    *_INTEGERS_OF_FLOATS,
    *_IMAGES,
    *(case for dtype in NARROW for case in _indexed(dtype)),
)

test_numbers = numbers_of(CASES)


def test_dtypes_inside_hold_those_at_the_border() -> None:
    for name in (*MOVED, "fp32"):
        dtype = BY_NAME[name]
        inside = BY_NUMPY[compute_array(np.zeros(1, dtype.storage), dtype).dtype]
        assert np.can_cast(dtype.storage, inside.storage)
        assert compute_type(inside) == compute_type(dtype)
        assert border_type(dtype).get_size() == dtype.storage.itemsize
