"""MIL family ``tensor_operation`` against MIL's value inference, or NumPy where it has none."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.cases import Case, integers, normal, numbers_of

X = normal(3, 4, 5)
COUNTS = integers(-9, 9, 3, 4)
TRUTH = integers(0, 2, 3, 4).astype(bool)
RANKED = np.stack([np.random.default_rng(i).permutation(6) for i in range(4)]).astype(np.float32)


def _one_hot(
    indices: Any, one_hot_vector_size: Any, axis: int = -1, on_value: Any = 1, off_value: Any = 0
) -> Any:
    hot = np.arange(int(one_hot_vector_size)) == np.asarray(indices)[..., None]
    values = np.where(hot, on_value, off_value)
    return np.moveaxis(values, -1, axis).astype(np.asarray(on_value).dtype)


def _argsort(x: Any, axis: int, ascending: bool) -> Any:
    """MIL's value inference sorts equals in any order; the engine keeps theirs."""
    return np.argsort(x if ascending else -x, axis=axis, kind="stable")


def _topk(x: Any, k: int, axis: int = -1, ascending: bool = False, **rest: Any) -> Any:
    order = np.argsort(x if ascending else -x, axis=axis, kind="stable")
    order = np.take(order, range(int(k)), axis=axis)
    values = np.take_along_axis(x, order, axis)
    return (values, order) if rest.get("return_indices", True) else values


def _interleaved(values: Any, axis: int, interleave: bool) -> Any:
    assert interleave
    return np.stack(values, axis + 1).reshape(
        [n * len(values) if i == axis else n for i, n in enumerate(values[0].shape)]
    )


def _split(x: Any, axis: int, num_splits: Any = None, split_sizes: Any = None) -> Any:
    where = num_splits if split_sizes is None else np.cumsum(split_sizes)[:-1]
    return np.split(x, where, axis)


def _fill(shape: Any, value: Any = 0.0) -> Any:
    return np.full(tuple(shape), value)


def _cumsum(x: Any, axis: int = 0, exclusive: bool = False, reverse: bool = False) -> Any:
    y = np.flip(x, axis) if reverse else x
    total = np.cumsum(y, axis)
    total = total - y if exclusive else total
    return np.flip(total, axis) if reverse else total


CASES = (
    *(
        Case("argsort", {"x": RANKED}, {"axis": axis, "ascending": up}, 0, f"{axis} {up}", _argsort)
        for axis, up in ((0, False), (-1, True), (1, False))
    ),
    Case("band_part", {"x": normal(2, 4, 5)}, {"lower": 1, "upper": 0}, why="lower"),
    Case("band_part", {"x": normal(4, 3)}, {"lower": 0, "upper": -1}, why="upper triangle"),
    Case("band_part", {"x": COUNTS}, {"lower": -1, "upper": 1}, why="int32"),
    *(
        Case(
            "concat",
            {"values": (X, normal(3, 4, 2, seed=1))},
            {"axis": axis},
            why=f"axis {axis}",
            expect=lambda values, axis: np.concatenate(values, axis),
            varies=False,
        )
        for axis in (2, -1)
    ),
    Case(
        "concat",
        {"values": (X, X + 1)},
        {"axis": 1, "interleave": True},
        why="interleaved",
        expect=_interleaved,
        varies=False,
    ),
    *(
        Case("cumsum", {"x": X}, {"axis": a, "exclusive": e, "reverse": r}, 1e-5, w, _cumsum)
        for a, e, r, w in (
            (0, False, False, "plain"),
            (-1, True, False, "exclusive"),
            (1, False, True, "reverse"),
            (2, True, True, "both"),
        )
    ),
    Case("fill", {"shape": np.array([2, 3], np.int32)}, {"value": 1.5}, expect=_fill, varies=False),
    Case(
        "fill",
        {"shape": np.array([2, 3], np.int32)},
        {"value": np.int32(7)},
        why="int32",
        expect=_fill,
        varies=False,
    ),
    Case(
        "fill_like",
        {"ref_tensor": X},
        {"value": 1.5},
        expect=lambda ref_tensor, value: np.full(ref_tensor.shape, value),
        opset="iOS16",
    ),
    *(
        Case(
            "flatten2d",
            {"x": X},
            {"axis": axis},
            why=f"axis {axis}",
            expect=lambda x, axis: x.reshape(int(np.prod(x.shape[:axis])), -1),
        )
        for axis in (1, -1, 2)
    ),
    *(
        Case(
            "flatten2d",
            {"x": np.zeros((2, 0, 3), np.float32)},
            {"axis": axis},
            why=f"empty, axis {axis}",
            expect=lambda x, axis: x.reshape(np.prod(x.shape[:axis]), np.prod(x.shape[axis:])),
        )
        for axis in (1, 2)
    ),
    Case("identity", {"x": X}),
    Case("non_zero", {"x": COUNTS}, why="int32", varies=False),
    Case("non_zero", {"x": TRUTH}, why="bool", varies=False),
    Case(
        "one_hot",
        {"indices": np.array([0, 2, 1], np.int32)},
        {"one_hot_vector_size": np.int32(4)},
        expect=_one_hot,
        why="defaults",
    ),
    Case(
        "one_hot",
        {"indices": integers(0, 3, 2, 5)},
        {"one_hot_vector_size": np.int32(3), "axis": 1, "on_value": 2.5, "off_value": -1.0},
        expect=_one_hot,
        why="values and axis",
    ),
    Case("pad", {"x": X}, {"pad": np.array([1, 2, 0, 3], np.int32)}, why="last dimensions"),
    Case(
        "pad",
        {"x": X},
        {"pad": np.array([1, 0, 0, 1, 2, 2], np.int32), "mode": "constant", "constant_val": 2.5},
        why="constant",
    ),
    *(
        Case("pad", {"x": X}, {"pad": np.array([1, 2, 0, 3], np.int32), "mode": mode}, why=mode)
        for mode in ("reflect", "replicate")
    ),
    Case(
        "pad",
        {"x": X, "pad": np.array([1, 2, 0, 3, 1, 1], np.int32)},
        why="computed amounts",
        varies=False,
        expect=lambda x, pad: np.pad(x, np.reshape(pad, (3, 2))),
    ),
    Case(
        "range_1d",
        {"start": np.int32(2), "end": np.int32(11), "step": np.int32(3)},
        why="int32",
        expect=lambda start, end, step: np.arange(start, end, step),
    ),
    Case(
        "range_1d",
        {"start": np.float32(2), "end": np.float32(0.6), "step": np.float32(-0.5)},
        why="fp32 downwards",
        expect=lambda start, end, step: np.arange(start, end, step),
        fp16=False,
    ),
    Case("shape", {"x": X}, expect=lambda x: np.array(x.shape)),
    *(
        Case("split", {"x": X}, params, why=why, expect=_split, varies=False)
        for why, params in (
            ("equal", {"num_splits": 2, "axis": 1}),
            ("sizes", {"split_sizes": np.array([1, 3], np.int32), "axis": -2}),
        )
    ),
    *(
        Case(
            "stack",
            {"values": (X, X + 1, X + 2)},
            {"axis": axis},
            why=f"axis {axis}",
            expect=lambda values, axis: np.stack(values, axis),
            varies=False,
        )
        for axis in (0, 2, -1)
    ),
    Case("tile", {"x": X}, {"reps": np.array([2, 1, 3], np.int32)}, varies=False),
    *(
        Case("topk", {"x": RANKED}, params, why=why, expect=_topk, opset=opset)
        for why, params, opset in (
            ("largest", {"k": 3, "axis": -1}, "iOS15"),
            ("smallest", {"k": 2, "axis": 0, "ascending": True}, "iOS15"),
            ("values only", {"k": 2, "axis": 1, "return_indices": False}, "iOS16"),
            ("uint16 indices", {"k": 2, "axis": 1, "output_indices_dtype": "uint16"}, "iOS17"),
        )
    ),
    Case("topk", {"x": COUNTS}, {"k": 2, "axis": -1}, why="int32 ties", expect=_topk),
)

test_numbers = numbers_of(CASES)
