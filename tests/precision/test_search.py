"""The fewest nodes in fp32. Oracle: eager in fp32; what a choice gives is run on the engine."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from etcoreml.errors import CompileSpecError, PrecisionError
from etcoreml.precision import MixedPrecision, choose
from tests import networks
from tests.call import Call
from tests.lowering import CoreMLPartitioner, Runtime, lower, snr_db, specs

WIDTH, HEADS, LENGTH = 64, 4, 16


class Attention(nn.Module):
    """Scores grow beyond fp16 before they are scaled back."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        parts = self.qkv(x).view(LENGTH, 3, HEADS, WIDTH // HEADS).permute(1, 2, 0, 3)
        query, key, value = parts
        scores = torch.matmul(query, key.transpose(-1, -2)) * self.factor
        weights = torch.softmax(scores / (self.factor * 4), -1)
        return self.out(torch.matmul(weights, value).transpose(0, 1).reshape(LENGTH, WIDTH))


class RMSNorm(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor
        self.weight = nn.Parameter(torch.ones(WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        x = x * self.factor
        return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * self.weight


class Block(nn.Module):
    def __init__(self, scores: float, squares: float) -> None:
        super().__init__()
        self.norms = nn.ModuleList([RMSNorm(squares), RMSNorm(1.0)])
        self.attention = Attention(scores)
        self.up, self.down = nn.Linear(WIDTH, 2 * WIDTH), nn.Linear(2 * WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norms[0](x))
        return x + self.down(torch.relu(self.up(self.norms[1](x))))


def network(*blocks: tuple[float, float]) -> torch.export.ExportedProgram:
    torch.manual_seed(0)
    module = nn.Sequential(*(Block(*each) for each in blocks)).eval()
    return torch.export.export(module, (torch.randn(LENGTH, WIDTH),))


def measured(program: torch.export.ExportedProgram, choice: MixedPrecision, x: Tensor) -> float:
    """What a user gets who lowers with the compile spec."""
    options = [*specs("float16"), choice.compile_spec()]
    pte = lower(program.module(), (x,), partitioner=CoreMLPartitioner(compile_specs=options))
    (found,) = Runtime.get().load_program(pte).load_method("forward").execute([x])
    return snr_db(found, program.module()(x).detach())


@pytest.mark.parametrize(
    ("fault", "nodes"),
    [
        ((20000.0, 1.0), {"aten_mul_tensor_17", "aten_div_tensor_2", "aten_softmax_int_2"}),
        ((1.0, 1000.0), {"aten_square_default_4", "aten_mean_dim_4", "aten_rsqrt_default_4"}),
    ],
    ids=["scores", "squares"],
)
def test_overflow_takes_few_nodes(fault: tuple[float, float], nodes: set[str]) -> None:
    """The third of six blocks is at fault."""
    program = network(*[(1.0, 1.0)] * 2, fault, *[(1.0, 1.0)] * 3)
    x = torch.randn(LENGTH, WIDTH)
    choice = choose(program, [(x,)], min_snr_db=60)
    assert choice.snr_db_float16 < 20
    assert choice.snr_db >= 60
    assert nodes <= set(choice.nodes)
    assert len(choice.nodes) <= 0.1 * choice.delegated
    assert measured(program, choice, x) >= 60


def test_a_network_that_needs_none() -> None:
    x = torch.randn(LENGTH, WIDTH)
    choice = choose(network((1.0, 1.0)), [(x,)], min_snr_db=40)
    assert choice.nodes == ()
    assert choice.snr_db == choice.snr_db_float16 >= 40
    assert choice.lowerings == 1


def test_efficientnet_needs_none_for_40_db() -> None:
    module, inputs = networks.efficientnet_lite0()
    choice = choose(torch.export.export(module, inputs), [inputs], min_snr_db=40)
    assert choice.nodes == ()
    assert choice.snr_db >= 40


def test_the_worst_of_several_inputs_decides() -> None:
    program = torch.export.export(Call(lambda x: (x * 100).square() / 1e4), (torch.ones(8),))
    small, large = torch.rand(8), torch.rand(8) * 9
    assert choose(program, [(small,)]).nodes == ()
    choice = choose(program, [(small,), (large,)])
    assert math.isinf(choice.snr_db_float16)
    assert choice.nodes
    assert measured(program, choice, large) >= 60


def test_what_cannot_be_reached() -> None:
    program = network((1.0, 1.0))
    with pytest.raises(PrecisionError, match=r"fp32 throughout.*500\.0 dB"):
        choose(program, [(torch.randn(LENGTH, WIDTH),)], min_snr_db=500)
    with pytest.raises(PrecisionError, match="at least one calibration input"):
        choose(program, [])


def test_exceptions_of_a_model_in_fp32_are_refused() -> None:
    options = specs("float32", float32_nodes=["aten_relu_default"])
    with pytest.raises(CompileSpecError, match="exceptions of a model in fp16"):
        lower(nn.ReLU(), (torch.ones(3),), partitioner=CoreMLPartitioner(compile_specs=options))
