"""MIL family ``tensor_transformation`` against NumPy and torch, or MIL's value inference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from etcoreml.errors import EngineError
from tests.cases import Case, integers, normal, numbers_of, run

X = normal(3, 4, 5)
IMAGE = normal(2, 8, 4, 6)


def _a(*values: int) -> Any:
    return np.array(values, np.int32)


def _m(*values: int) -> Any:
    return np.array(values, bool)


def _depth_to_space(x: Any, block_size: int) -> Any:
    """As TensorFlow: the block varies slowest among channels."""
    b = int(block_size)
    n, c, h, w = x.shape
    blocks = x.reshape(n, b, b, c // (b * b), h, w)
    return blocks.transpose(0, 3, 4, 1, 5, 2).reshape(n, c // (b * b), h * b, w * b)


def _space_to_depth(x: Any, block_size: int) -> Any:
    b = int(block_size)
    n, c, h, w = x.shape
    blocks = x.reshape(n, c, h // b, b, w // b, b)
    return blocks.transpose(0, 3, 5, 1, 2, 4).reshape(n, c * b * b, h // b, w // b)


def _space_to_batch(x: Any, block_shape: Any, paddings: Any) -> Any:
    x = np.pad(x, [(0, 0), (0, 0), *[tuple(int(p) for p in row) for row in paddings]])
    n, c, h, w = x.shape
    p, q = (int(b) for b in block_shape)
    blocks = x.reshape(n, c, h // p, p, w // q, q)
    return blocks.transpose(3, 5, 0, 1, 2, 4).reshape(n * p * q, c, h // p, w // q)


def _batch_to_space(x: Any, block_shape: Any, crops: Any) -> Any:
    n, c, h, w = x.shape
    p, q = (int(b) for b in block_shape)
    blocks = x.reshape(p, q, n // (p * q), c, h, w)
    y = blocks.transpose(2, 3, 4, 0, 5, 1).reshape(n // (p * q), c, h * p, w * q)
    (top, bottom), (left, right) = crops
    return y[:, :, top : y.shape[2] - bottom, left : y.shape[3] - right]


def _windows(x: Any, axis: int, size: int, stride: int = 1) -> Any:
    axis %= x.ndim
    view = np.lib.stride_tricks.sliding_window_view(x, int(size), axis)
    view = np.take(view, range(0, view.shape[axis], int(stride)), axis)
    return np.moveaxis(view, -1, axis + 1)


def _reverse_sequence(x: Any, lengths: Any, seq_axis: int, batch_axis: int) -> Any:
    y = np.moveaxis(x, (batch_axis, seq_axis), (0, 1)).copy()
    for row, length in zip(y, lengths, strict=True):
        row[:length] = row[:length][::-1]
    return np.moveaxis(y, (0, 1), (batch_axis, seq_axis))


def _slice(
    x: Any,
    begin: Any,
    end: Any,
    stride: Any = None,
    begin_mask: Any = None,
    end_mask: Any = None,
    squeeze_mask: Any = None,
) -> Any:
    no = [False] * x.ndim
    steps = [1] * x.ndim if stride is None else stride
    index: list[Any] = []
    for i in range(x.ndim):
        if (no if squeeze_mask is None else squeeze_mask)[i]:
            index.append(int(begin[i]))
            continue
        first = None if (no if begin_mask is None else begin_mask)[i] else int(begin[i])
        last = None if (no if end_mask is None else end_mask)[i] else int(end[i])
        index.append(slice(first, last, int(steps[i])))
    return x[tuple(index)]


def _slice_update(x: Any, update: Any, **where: Any) -> Any:
    """Write into the view that slicing returns."""
    y = x.copy()
    positions = np.arange(x.size).reshape(x.shape)
    y.ravel()[_slice(positions, **where).ravel()] = update.ravel()
    return y


def _by_size(x: Any, begin: Any, size: Any) -> Any:
    starts = [b + n if b < 0 else b for b, n in zip(begin, x.shape, strict=True)]
    index = (slice(b, None if s == -1 else b + s) for b, s in zip(starts, size, strict=True))
    return x[tuple(index)]


SLICES = (
    ("plain", {"begin": _a(0, 1, 2), "end": _a(2, 4, 4)}),
    ("negative", {"begin": _a(-2, -3, 0), "end": _a(3, -1, 5)}),
    ("stride", {"begin": _a(0, 3, 4), "end": _a(3, 0, 0), "stride": _a(2, -1, -2)}),
    (
        "masks",
        {
            "begin": _a(0, 3, 1),
            "end": _a(1, 0, 1),
            "stride": _a(1, -1, 1),
            "begin_mask": _m(0, 1, 0),
            "end_mask": _m(1, 1, 1),
        },
    ),
    (
        "squeeze",
        {"begin": _a(-1, 0, 2), "end": _a(0, 3, 0), "squeeze_mask": _m(1, 0, 1)},
    ),
)

CASES = (
    Case("depth_to_space", {"x": IMAGE}, {"block_size": 2}, expect=_depth_to_space, varies=False),
    Case("space_to_depth", {"x": IMAGE}, {"block_size": 2}, expect=_space_to_depth, varies=False),
    Case(
        "pixel_shuffle",
        {"x": IMAGE},
        {"upscale_factor": 2},
        expect=lambda x, upscale_factor: torch.pixel_shuffle(torch.from_numpy(x), 2).numpy(),
        varies=False,
    ),
    Case(
        "pixel_unshuffle",
        {"x": IMAGE},
        {"downscale_factor": np.uint32(2)},
        expect=lambda x, downscale_factor: torch.pixel_unshuffle(torch.from_numpy(x), 2).numpy(),
        opset="iOS16",
        varies=False,
    ),
    Case(
        "space_to_batch",
        {"x": IMAGE},
        {"block_shape": _a(2, 3), "paddings": np.array([[1, 1], [2, 1]], np.int32)},
        expect=_space_to_batch,
        varies=False,
    ),
    Case(
        "batch_to_space",
        {"x": normal(12, 2, 3, 4)},
        {"block_shape": _a(2, 3), "crops": np.array([[1, 0], [2, 1]], np.int32)},
        expect=_batch_to_space,
        varies=False,
    ),
    Case("expand_dims", {"x": X}, {"axes": _a(0, -1, 2)}),
    Case("squeeze", {"x": normal(1, 3, 1, 4)}, {"axes": _a(-2)}, why="one axis", varies=False),
    Case("squeeze", {"x": normal(1, 3, 1, 4)}, why="all axes", varies=False),
    Case("reshape", {"x": X}, {"shape": _a(5, -1, 2)}, why="inferred", varies=False),
    Case("reshape", {"x": X}, {"shape": _a(0, 2, 10)}, why="zero keeps", varies=False),
    Case("reshape", {"x": normal(1, 1)}, {"shape": _a()}, why="to rank 0", varies=False),
    *(
        Case("reshape", {"x": X}, {"shape": shape}, why=why, opset="iOS17", varies=False)
        for why, shape in (
            ("zeros beyond the rank", _a(1, 0, -1, 4, 0)),
            ("zero from the right", _a(-1, 0)),
        )
    ),
    Case(
        "reshape",
        {"x": X, "shape": _a(4, 15)},
        why="computed shape",
        expect=lambda x, shape: x.reshape(shape),
        varies=False,
    ),
    Case(
        "reshape_like",
        {"x": X, "ref_tensors": (normal(2, 5, 7), normal(6, 1))},
        {"begins": (0, -2), "ends": (2, 0), "end_masks": (False, True)},
        expect=lambda x, **_: x.reshape(2, 5, 6, 1),
        opset="iOS16",
        varies=False,
    ),
    Case("reverse", {"x": X}, {"axes": _a(0, -1)}, why="two axes"),
    Case("reverse", {"x": X}, why="all axes"),
    Case(
        "reverse_sequence",
        {"x": normal(4, 6, 2), "lengths": _a(2, 6, 0, 3)},
        {"seq_axis": 1, "batch_axis": 0},
        expect=_reverse_sequence,
    ),
    *(Case("slice_by_index", {"x": X}, p, why=why, expect=_slice) for why, p in SLICES),
    Case(
        "slice_by_index",
        {"x": integers(0, 9, 4, 5)},
        {"begin": _a(1, 0), "end": _a(3, 5)},
        why="int32",
        expect=_slice,
    ),
    Case(
        "slice_by_index",
        {"x": X, "begin": _a(0, 1, 2), "end": _a(2, 3, 5)},
        why="computed bounds",
        expect=_slice,
        varies=False,
    ),
    Case(
        "slice_by_size",
        {"x": X},
        {"begin": _a(0, -3, 1), "size": _a(2, 2, -1)},
        expect=_by_size,
    ),
    Case(
        "slice_by_size",
        {"x": X, "begin": _a(1, 0, 2)},
        {"size": _a(2, 3, 1)},
        why="computed begin",
        expect=_by_size,
        varies=False,
    ),
    *(
        Case(
            "slice_update",
            {"x": X, "update": normal(*_slice(X, **p).shape, seed=1)},
            p,
            why=why,
            expect=_slice_update,
            opset="iOS18",
            varies=False,
        )
        for why, p in SLICES
    ),
    *(
        Case(
            "slice_update",
            {
                "x": X,
                "update": normal(*_slice(X, **p).shape, seed=1),
                **{name: p[name] for name in ("begin", "end")},
            },
            {name: value for name, value in p.items() if name not in ("begin", "end")},
            why=f"{why}, computed",
            expect=_slice_update,
            opset="iOS18",
            varies=False,
        )
        for why, p in SLICES
    ),
    *(
        Case("sliding_windows", {"x": X}, p, why=why, expect=_windows, varies=False)
        for why, p in (
            ("plain", {"axis": 1, "size": 2}),
            ("stride", {"axis": -1, "size": 3, "stride": 2}),
        )
    ),
    Case("transpose", {"x": X}, {"perm": _a(2, 0, 1)}),
    Case("transpose", {"x": X}, {"perm": _a(-1, 0, -2)}, why="negative"),
    Case("transpose", {"x": integers(0, 2, 3, 4).astype(bool)}, {"perm": _a(1, 0)}, why="bool"),
)

test_numbers = numbers_of(CASES)


def _update(begin: Any, end: Any, shape: tuple[int, ...], **params: Any) -> Case:
    """Write ones at computed bounds."""
    inputs = {"x": X, "update": np.ones(shape, np.float32), "begin": begin, "end": end}
    return Case("slice_update", inputs, params, opset="iOS18")


@pytest.mark.parametrize("varies", [False, True])
@pytest.mark.parametrize(
    "case",
    [
        pytest.param(_update(_a(0, 3, 0), _a(1, 5, 5), (1, 2, 5)), id="past the end"),
        pytest.param(_update(_a(0, 4, 0), _a(1, 5, 5), (1, 1, 5)), id="after the end"),
        pytest.param(_update(_a(2, 3, 0), _a(3, 5, 5), (1, 2, 5)), id="past the whole tensor"),
        pytest.param(_update(_a(0, 1, 0), _a(1, 2, 5), (1, 2, 5)), id="end too early"),
        pytest.param(_update(_a(0, 1, 0), _a(1, 4, 5), (1, 2, 5)), id="end too late"),
        pytest.param(_update(_a(0, 2, 0), _a(1, 1, 5), (1, 1, 5)), id="end before begin"),
        pytest.param(
            _update(_a(0, 0, 0), _a(1, 4, 5), (1, 3, 5), stride=_a(1, 2, 1)), id="too few steps"
        ),
        pytest.param(
            _update(_a(0, 1, 4), _a(1, 2, 0), (1, 1, 5), stride=_a(1, 1, -1)), id="backwards"
        ),
        pytest.param(
            _update(_a(0, 3, 0), _a(1, 0, 5), (1, 2, 5), end_mask=_m(0, 1, 0)), id="masked end"
        ),
        *(
            pytest.param(
                _update(_a(0, at, 0), _a(1, 0, 5), (1, 5), squeeze_mask=_m(0, 1, 0)),
                id=f"squeezed {at}",
            )
            for at in (4, -5)
        ),
    ],
)
def test_an_update_that_does_not_fit_its_computed_slice_fails(case: Case, varies: bool) -> None:
    """As an assignment in NumPy would, or an index out of range; it must not go elsewhere."""
    labels: Any = {"update": {1: "rows"}, "x": {0: "n"}} if varies else False
    if "squeeze_mask" in case.params and varies:
        labels = {"x": {0: "n"}}
    with pytest.raises(EngineError, match=r"Node slice_update_\d+/slice_update_bounds"):
        run(case, varies=labels)


@pytest.mark.parametrize(
    ("begin", "end", "shape"),
    [
        (_a(0, 2, 0), _a(1, 2**31 - 1, 5), (1, 2, 5)),
        (_a(0, -9, 0), _a(1, 2, 9), (1, 2, 5)),
        (_a(0, -2, -(2**31)), _a(1, -1, 5), (1, 1, 5)),
        (_a(0, 4, 0), _a(1, 9, 5), (1, 0, 5)),
    ],
)
def test_computed_bounds_beyond_an_edge_mean_the_edge(begin: Any, end: Any, shape: Any) -> None:
    """Oracle: assignment to a NumPy slice."""
    (found,), _ = run(_update(begin, end, shape), varies={"update": {1: "rows"}})
    truth = X.copy()
    truth[tuple(slice(*bounds) for bounds in zip(begin.tolist(), end.tolist(), strict=True))] = 1
    np.testing.assert_array_equal(found, truth)


@pytest.mark.parametrize("place", [-3, 0, 2])
def test_one_element_at_a_computed_place(place: int) -> None:
    inputs = {"x": normal(3), "begin": _a(place), "end": _a(0)}
    (found,), _ = run(Case("slice_by_index", inputs, {"squeeze_mask": _m(1)}))
    assert found.shape == ()
    assert found == inputs["x"][place]


def test_squeeze_keeps_a_named_size_that_varies_if_mil_declares_it() -> None:
    case = Case("squeeze", {"x": normal(1, 3, 1)}, {"axes": _a(0, 2)})
    (found,), _ = run(case, varies={"x": {0: "batch"}})
    assert found.shape == (1, 3)
