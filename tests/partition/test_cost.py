"""FLOPs and bytes of single ops.

Oracle: counts by hand; torch's own counter where it has a formula for the whole op.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from etcoreml.partition.cost import Cost, Value, cost_of, values_of
from tests.call import Call

DIM = torch.export.Dim


def costs(
    function: Callable[..., Any], *inputs: Any, dynamic_shapes: Any = None, decompose: bool = False
) -> list[Cost]:
    """Return the cost of each op that a function calls."""
    program = torch.export.export(
        Call(function), inputs, dynamic_shapes=dynamic_shapes, strict=False
    )
    if decompose:
        program = program.run_decompositions()
    found = []
    for node in program.graph.nodes:
        if node.op == "call_function" and isinstance(node.target, torch._ops.OpOverload):
            read = tuple(value for each in node.all_input_nodes for value in values_of(each))
            found.append(cost_of(node, read, values_of(node)))
    return found


def flops(function: Callable[..., Any], *inputs: Any, **options: Any) -> int:
    (cost,) = costs(function, *inputs, **options)
    assert cost.flops is not None
    return cost.flops


def x(*sizes: int) -> Tensor:
    return torch.zeros(sizes)


@pytest.mark.parametrize("decompose", [False, True])
@pytest.mark.parametrize(
    ("function", "inputs"),
    [
        (torch.mm, (x(2, 3), x(3, 4))),
        (torch.bmm, (x(5, 2, 3), x(5, 3, 4))),
        (torch.matmul, (x(2, 3), x(3, 4))),
        (functional.conv1d, (x(2, 3, 8), x(4, 3, 3))),
        (functional.conv2d, (x(2, 4, 8, 8), x(6, 2, 3, 3), None, 2, 1, 1, 2)),
        (functional.conv_transpose2d, (x(2, 4, 8, 8), x(4, 6, 3, 3))),
    ],
)
def test_as_torch_counts(function: Any, inputs: Any, decompose: bool) -> None:
    tensors = [each for each in inputs if isinstance(each, Tensor)]

    def call(*given: Tensor) -> Any:
        return function(*given, *inputs[len(tensors) :])

    with FlopCounterMode(display=False) as counter:
        call(*tensors)
    found = costs(call, *tensors, decompose=decompose)
    assert sum(each.flops or 0 for each in found) == counter.get_total_flops() > 0


@pytest.mark.parametrize(
    ("function", "inputs", "expected"),
    [
        (functional.linear, (x(2, 7, 3), x(4, 3)), 2 * 2 * 7 * 3 * 4),
        (functional.linear, (x(3), x(4, 3)), 2 * 3 * 4),
        (torch.mv, (x(4, 3), x(3)), 2 * 4 * 3),
        (torch.dot, (x(3), x(3)), 2 * 3),
        (torch.addmv, (x(4), x(4, 3), x(3)), 2 * 4 * 3),
        (torch.addbmm, (x(2, 4), x(5, 2, 3), x(5, 3, 4)), 2 * 5 * 2 * 3 * 4),
        (functional.conv2d, (x(3, 8, 8), x(4, 3, 3, 3)), 2 * 36 * 4 * 27),
        (torch.add, (x(2, 3), x(3)), 6),
        (torch.sum, (x(2, 3),), 6),
        (torch.relu, (x(),), 1),
        (torch.relu, (x(0, 3),), 0),
        (lambda a: a.view(6), (x(2, 3),), 0),
        (lambda a: torch.cat([a, a]), (x(2, 3),), 0),
        (lambda a: torch.ops.aten._to_copy(a, dtype=torch.float16), (x(2, 3),), 0),
    ],
)
def test_by_hand(function: Any, inputs: Any, expected: int) -> None:
    assert flops(function, *inputs) == expected


@pytest.mark.parametrize(
    ("query", "key"),
    [((2, 4, 5, 8), (2, 4, 7, 8)), ((2, 4, 5, 8), (2, 2, 7, 8)), ((4, 5, 8), (4, 7, 8))],
)
def test_attention(query: tuple[int, ...], key: tuple[int, ...]) -> None:
    grouped = len(query) == 4 and query[1] != key[1]

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return functional.scaled_dot_product_attention(q, k, v, enable_gqa=grouped)

    heads = query[0] * (query[1] if len(query) == 4 else 1)
    assert flops(attend, x(*query), x(*key), x(*key)) == 2 * heads * 5 * 7 * (8 + 8)


def test_recurrent_layers_use_every_weight_at_each_step() -> None:
    weights = [x(20, 3), x(20, 5), x(20), x(20)]

    def lstm(sequence: Tensor, state: Tensor, *params: Tensor) -> Any:
        options = (True, 1, 0.0, False, False, False)
        return torch.ops.aten.lstm.input(sequence, [state, state], list(params), *options)

    counted = flops(lstm, x(7, 2, 3), x(1, 2, 5), *weights)
    assert counted == 2 * 7 * 2 * (20 * 3 + 20 * 5)


def test_bytes_are_what_is_read_and_written() -> None:
    (cost,) = costs(torch.add, x(2, 3), x(3))
    assert cost.nbytes == (6 + 3 + 6) * 4
    (cost,) = costs(lambda a: a > 0, x(2, 3))
    assert cost.nbytes == 6 * 4 + 6


def test_an_operand_that_is_read_twice_counts_once() -> None:
    (cost,) = costs(lambda a: a + a, x(4))
    assert cost.nbytes == 2 * 4 * 4


def test_embeddings_read_what_they_write() -> None:
    (cost,) = costs(functional.embedding, torch.zeros(5, dtype=torch.int64), x(1000, 8))
    # The weight comes first among the inputs.
    assert cost.nbytes == 5 * 8 * 4 * 2 + 5 * 8
    assert cost.flops == 0


def test_sizes_that_vary_count_as_in_the_example() -> None:
    batch = ({0: DIM("batch", min=1, max=8)},)
    program = torch.export.export(nn.ReLU(), (x(2, 3),), dynamic_shapes=batch)
    (node,) = (each for each in program.graph.nodes if each.op == "call_function")
    (value,) = values_of(node)
    assert value.sizes == (2, 3)
    assert isinstance(value.shape[0], str)
    assert str(value) == f"float32 ({value.shape[0]}=2, 3)"
    assert cost_of(node, (value,), (value,)) == Cost(6, 48)


def test_sizes_that_depend_on_data_count_nothing() -> None:
    unique, *_ = costs(lambda a: torch.unique(a), torch.tensor([1, 2, 2]))
    assert unique == Cost(None, None)
    value = Value("x", "float32", ("u0",), None)
    assert value.nbytes is None
    assert str(value) == "float32 (u0,)"


def test_scalars_and_vectors_read_as_in_python() -> None:
    assert str(Value("x", "bool", (), ())) == "bool ()"
    assert str(Value("x", "bool", (3,), (3,))) == "bool (3,)"
