"""Activations and losses."""

from __future__ import annotations

from torch import nn
from torch.nn import functional

from tests.coverage.case import ISLAND_WHY, case, edges, finite, floats, ints

_PLAIN = (
    *("relu", "leaky_relu", "selu", "gelu", "mish", "hardsigmoid", "softplus", "logsigmoid"),
    *("hardshrink", "relu6", "elu", "celu", "silu", "hardswish", "hardtanh", "softsign"),
    *("tanhshrink", "softshrink"),
)
_X, _Y = floats(4, 6), floats(4, 6, seed=1)


def _prelu(channels: int) -> nn.Module:
    layer = nn.PReLU(channels)
    nn.init.uniform_(layer.weight)
    return layer.eval()


CASES = (
    *(case(f"F_{name}", getattr(functional, name), finite()) for name in _PLAIN),
    case("gelu_tanh", lambda x: functional.gelu(x, approximate="tanh"), finite()),
    case("threshold", lambda x: functional.threshold(x, 0.3, -2.0), edges()),
    case("softplus_beta", lambda x: functional.softplus(x, beta=2, threshold=5), finite()),
    case("prelu", _prelu(1), finite()),
    case("prelu_2d", _prelu(3), floats(2, 3, 4, 4)),
    case("glu", lambda x: functional.glu(x, 1), _X),
    case("rrelu", lambda x: functional.rrelu(x), _X),
    case("elu_alpha", lambda x: functional.elu(x, alpha=0.7), finite()),
    case("dropout_eval", nn.Dropout(0.5).eval(), _X, expect="outside", why=ISLAND_WHY),
    case("mse", functional.mse_loss, _X, _Y),
    case("l1", functional.l1_loss, _X, _Y),
    case("smooth_l1", functional.smooth_l1_loss, _X, _Y),
    case("huber", lambda x, y: functional.huber_loss(x, y, delta=0.7), _X, _Y),
    case(
        "bce_logits",
        lambda x, y: functional.binary_cross_entropy_with_logits(x, y),
        _X,
        _Y.sigmoid(),
    ),
    case("cross_entropy", functional.cross_entropy, _X, ints(4, low=0, high=6)),
    case("nll", functional.nll_loss, _X.log_softmax(1), ints(4, low=0, high=6)),
    case(
        "kl",
        lambda x, y: functional.kl_div(x, y, reduction="sum"),
        _X.log_softmax(1),
        _Y.softmax(1),
    ),
    case("cosine_sim", functional.cosine_similarity, _X, _Y),
    case("pairwise_dist", functional.pairwise_distance, _X, _Y),
)
