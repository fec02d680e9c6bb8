"""Views, joins, pads and other ops that move values about."""

from __future__ import annotations

import torch
from torch.nn import functional

from tests.coverage.case import ISLAND_WHY, bools, case, edges, floats, ints

_X, _Y, _I = floats(2, 3, 4), floats(2, 3, 4, seed=1), ints(2, 3)
_IMAGE = floats(1, 4, 6, 6)


def _rank6(x: torch.Tensor) -> torch.Tensor:
    """Window partition, as Swin does it."""
    return x.view(1, 4, 2, 3, 2, 3).permute(0, 2, 4, 3, 5, 1).reshape(-1, 9, 4)


CASES = (
    case("reshape", lambda x: x.reshape(3, 8) + 1, _X),
    case("view_neg1", lambda x: x.view(2, -1) + 1, _X),
    case("permute", lambda x: x.permute(2, 0, 1) + 1, _X),
    case("transpose", lambda x: x.transpose(0, 2) + 1, _X),
    case("t", lambda x: x.t() + 1, floats(2, 3)),
    case("movedim", lambda x: x.movedim(0, 2) + 1, _X),
    case("squeeze", lambda x: x.squeeze(1) + 1, floats(2, 1, 3)),
    case("squeeze_all", lambda x: x.squeeze() + 1, floats(1, 2, 1, 3)),
    case("squeeze_dims", lambda x: x.squeeze((0, 2)) + 1, floats(1, 2, 1, 3)),
    case("unsqueeze", lambda x: x.unsqueeze(1) + 1, _X),
    case("expand", lambda x: x.expand(2, 4, 3) + 1, floats(2, 1, 3)),
    case("flatten", lambda x: x.flatten(1) + 1, _X),
    case("unflatten", lambda x: x.unflatten(2, (2, 2)) + 1, _X),
    case("cat", lambda x, y: torch.cat((x, y), 1), _X, _Y),
    case("cat_bool", lambda x, y: torch.cat((x, y), 1), bools(2, 3), bools(2, 2, seed=1)),
    case("cat_i64", lambda x, y: torch.cat((x, y)), _I, _I + 7),
    case("stack", lambda x, y: torch.stack((x, y), 1), _X, _Y),
    case("split", lambda x: [each + 1 for each in x.split(2, 2)], _X),
    case("split_sizes", lambda x: [each + 1 for each in x.split((1, 3), 2)], _X),
    case("chunk", lambda x: [each + 1 for each in x.chunk(3, 1)], _X),
    case("tensor_split", lambda x: [each + 1 for each in x.tensor_split(3, 2)], _X),
    case("unbind", lambda x: [each + 1 for each in x.unbind(1)], _X),
    case("slice", lambda x: x[:, 1:3, ::2] + 1, _X),
    case("slice_neg", lambda x: x[:, -2:] + 1, _X),
    case("select", lambda x: x.select(1, 1) + 1, _X),
    case("select_neg", lambda x: x[:, -1] + 1, _X),
    case("narrow", lambda x: x.narrow(2, 1, 2) + 1, _X),
    case("flip", lambda x: x.flip((0, 2)), _X),
    case("roll", lambda x: x.roll(1, 2), _X),
    case("roll_neg", lambda x: x.roll((-1, 2), (1, 2)), _X),
    case("repeat", lambda x: x.repeat(2, 1, 3), _X),
    case("tile", lambda x: x.tile((2, 2)), _X),
    case(
        "repeat_interleave",
        lambda x: x.repeat_interleave(2, 1),
        _X,
        expect="outside",
        why=ISLAND_WHY,
    ),
    case("tril", torch.tril, edges().reshape(4, 6)),
    case("tril_b", lambda x: x.tril(-1), floats(2, 4, 4)),
    case("triu_1", lambda x: x.triu(1), torch.full((4, 4), float("-inf"))),
    case("diagonal", lambda x: x.diagonal(0, 1, 2) + 1, _X),
    case("diag", torch.diag, floats(4)),
    case("diag_embed", torch.diag_embed, floats(2, 3)),
    case("trace", torch.trace, floats(4, 4)),
    case(
        "meshgrid",
        lambda x, y: torch.meshgrid(x, y, indexing="ij"),
        floats(3),
        floats(4),
        expect="outside",
        why=ISLAND_WHY,
    ),
    case("as_strided", lambda x: x.as_strided((2, 2), (3, 1), 1) + 1, _X),
    case("unfold_t", lambda x: x.unfold(2, 2, 1) + 1, _X),
    case("rot90", torch.rot90, floats(3, 4)),
    case("rank6", _rank6, _IMAGE, expect="outside", why=ISLAND_WHY),
    case(
        "rank6_mul",
        lambda x: x.view(1, 2, 2, 2, 3, 6) * 2.5,
        _IMAGE,
        expect="partly",
        why="Core ML takes tensors up to rank 5, and a delegate gives them",
    ),
    case("pixel_shuffle", lambda x: functional.pixel_shuffle(x, 2), _IMAGE),
    case(
        "pixel_unshuffle",
        lambda x: functional.pixel_unshuffle(x, 2),
        _IMAGE,
        expect={"iOS15": "outside", "iOS16": "full"},
        why=ISLAND_WHY,
    ),
    case(
        "channel_shuffle",
        lambda x: functional.channel_shuffle(x, 2),
        _IMAGE,
        expect="outside",
        why=ISLAND_WHY,
    ),
    case("pad_const", lambda x: functional.pad(x, (1, 2)), _X),
    case("pad_const_2d", lambda x: functional.pad(x, (1, 2, 0, 3), value=1.5), _IMAGE),
    case("pad_neg", lambda x: functional.pad(x, (-1, 2)), _X),
    case("pad_reflect1d", lambda x: functional.pad(x, (1, 2), mode="reflect"), _X),
    case("pad_reflect2d", lambda x: functional.pad(x, (1, 2, 3, 0), mode="reflect"), _IMAGE),
    case(
        "pad_reflect3d",
        lambda x: functional.pad(x, (1,) * 6, mode="reflect"),
        floats(1, 2, 3, 3, 3),
    ),
    case("pad_replicate2d", lambda x: functional.pad(x, (1, 2, 3, 4), mode="replicate"), _IMAGE),
    case("pad_circular", lambda x: functional.pad(x, (1, 2, 2, 1), mode="circular"), _IMAGE),
    case("pad_i64", lambda x: functional.pad(x, (1, 2), value=-3), _I),
    case("zeros_like", lambda x: torch.zeros_like(x) + x, _X),
    case("ones_like", lambda x: torch.ones_like(x) + x, _X),
    case("full_like", lambda x: torch.full_like(x, 2.5) * x, _X),
    case("full_like_i64", lambda x: torch.full_like(x, 7) * x, _I),
    case("empty_like0", lambda x: torch.empty_like(x) * 0 + x, _X, random=True),
    case("new_zeros", lambda x: x.new_zeros((3,)) + x.sum(), _X),
    case("eye", lambda x: torch.eye(3) @ x, floats(3, 4)),
    case("arange_like", lambda x: torch.arange(x.shape[1]) + x, floats(2, 5)),
    case("linspace", lambda x: torch.linspace(-1, 1, 5) * x, floats(2, 5)),
    case("contig", lambda x: x.transpose(1, 2).contiguous() * 2, _X),
    case("clone", lambda x: x.clone() * 2, _X),
)
