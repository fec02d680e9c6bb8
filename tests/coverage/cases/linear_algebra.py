"""Products, decompositions and transforms."""

from __future__ import annotations

import torch
from torch import nn

from tests.coverage.case import case, floats, ints, outside

_A, _B, _V = floats(3, 4), floats(4, 5, seed=1), floats(4, seed=2)
_BATCH, _OTHER = floats(2, 3, 4), floats(2, 4, 5, seed=1)
_SQUARE = floats(3, 3) + 4 * torch.eye(3)
_SPD = _SQUARE @ _SQUARE.T
_LINALG = "Core ML has no matrix decompositions, and ExecuTorch has no kernel for it"


def _layer(layer: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    for each in layer.parameters():
        nn.init.normal_(each, std=0.3, generator=generator)
    return layer.eval()


CASES = (
    case("matmul", torch.matmul, _BATCH, _OTHER),
    case("matmul_bcast", torch.matmul, floats(2, 1, 3, 4), floats(5, 4, 2)),
    case("matvec", torch.matmul, _A, _V),
    case("mm", torch.mm, _A, _B),
    case("mm_i64", torch.mm, ints(3, 4), ints(4, 2)),
    case("bmm", torch.bmm, _BATCH, _OTHER),
    case("dot", torch.dot, _V, floats(4, seed=3)),
    case("addmm", lambda x, a, b: torch.addmm(x, a, b, beta=0.5, alpha=2), floats(5), _A, _B),
    case(
        "baddbmm",
        lambda x, a, b: torch.baddbmm(x, a, b, beta=0.5, alpha=2),
        floats(2, 3, 5),
        _BATCH,
        _OTHER,
    ),
    case("linear", _layer(nn.Linear(4, 6)), _A),
    case("linear_nobias", _layer(nn.Linear(4, 6, bias=False)), _A),
    case("bilinear", _layer(nn.Bilinear(4, 5, 3)), floats(2, 4), floats(2, 5, seed=1)),
    case("einsum", lambda a, b: torch.einsum("bij,bjk->bik", a, b), _BATCH, _OTHER),
    case("einsum2", lambda a, b: torch.einsum("bij,jk->bki", a, b), _BATCH, _B),
    case("outer", torch.outer, _V, floats(3)),
    case("cross", lambda a, b: torch.linalg.cross(a, b), floats(2, 3), floats(2, 3, seed=1)),
    case("cdist", torch.cdist, _A, floats(6, 4, seed=1)),
    case("kron", torch.kron, floats(2, 2), floats(3, 2)),
    outside("inverse", torch.linalg.inv, _SQUARE, why=_LINALG, runs=False),
    outside("cholesky", torch.linalg.cholesky, _SPD, why=_LINALG, runs=False),
    outside("qr", lambda x: tuple(torch.linalg.qr(x)), _SQUARE, why=_LINALG, runs=False),
    outside("det", torch.linalg.det, _SQUARE, why=_LINALG, runs=False),
    outside("svd", lambda x: torch.linalg.svd(x)[1], _SQUARE, why=_LINALG, runs=False),
    outside("solve", torch.linalg.solve, _SQUARE, floats(3), why=_LINALG, runs=False),
    case(
        "matrix_exp",
        torch.linalg.matrix_exp,
        _A[:, :3] * 0.3,
        expect="outside",
        why=_LINALG,
        runs=False,
    ),
    case("fft_rfft", lambda x: torch.view_as_real(torch.fft.rfft(x)), floats(2, 8)),
    case("fft_abs", lambda x: torch.fft.rfft(x).abs(), floats(2, 8)),
    case(
        "stft",
        lambda x: torch.view_as_real(
            torch.stft(x, 8, 4, window=torch.hann_window(8), return_complex=True)
        ),
        floats(1, 32),
    ),
    case("complex_abs", lambda x: torch.view_as_complex(x).abs(), floats(3, 4, 2)),
    case("weight_norm", nn.utils.parametrizations.weight_norm(_layer(nn.Linear(4, 6))), _A),
)
