"""Every support rule, on a module it is about: the node stays outside with the rule's reason, what
is left lowers, and a neighbour within the limit goes in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F  # noqa: N812 - torch's own abbreviation
from torch import Tensor, nn

from etcoreml.compiler import CoreMLBackend
from etcoreml.imports import quiet_imports
from etcoreml.mil.ct import coremltools
from etcoreml.partition import CoreMLPartitioner, support
from etcoreml.partition.support import FAMILIES, GENERAL_RULES, OP_RULES
from tests.call import Call

with quiet_imports():
    from executorch.exir import to_edge_transform_and_lower

ct = coremltools()
generator = torch.Generator().manual_seed(0)


def normal(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=generator)


def whole(*shape: int) -> Tensor:
    return torch.randint(1, 5, shape, generator=generator)


@dataclass(frozen=True)
class Case:
    """A function and its inputs; ``reason`` is part of the report's, None when all goes in."""

    name: str
    function: Callable[..., Any]
    inputs: tuple[Tensor, ...]
    reason: str | None = None
    target: Any = None


def attention(**options: Any) -> Callable[..., Tensor]:
    return lambda q, k, v: F.scaled_dot_product_attention(q, k, v, **options)


DTYPE = "bool, float16, float32 and int32"
RANK = "rank 5"
FLOATS = ("acos", "atan", "ceil", "cos", "erf", "exp", "floor", "log2", "relu", "rsqrt", "sigmoid")
IMAGE = normal(1, 3, 8, 8)

CASES = [
    Case("alpha", lambda x, y: torch.add(x, y, alpha=2), (normal(2), normal(2))),
    Case("alpha of sub", lambda x, y: torch.sub(x, y, alpha=3), (normal(2), normal(2))),
    Case("add", torch.add, (normal(2), normal(2))),
    Case("alpha of rsub", lambda x: torch.rsub(x, 1, alpha=2), (normal(2),)),
    Case("rsub", lambda x: 1 - x, (normal(2),)),
    Case("diagonal", lambda x: torch.diagonal(x) * 2, (normal(3, 3),)),
    Case("atan2", torch.atan2, (normal(3), normal(3))),
    Case("triu is decomposed", torch.triu, (normal(3, 3),)),
    Case("rms_norm is decomposed", lambda x: F.rms_norm(x, (8,)), (normal(2, 8),)),
    Case("argmax of all", torch.argmax, (normal(2, 3),)),
    Case("argmin of all", torch.argmin, (normal(2, 3),)),
    Case("argmax", lambda x: torch.argmax(x, 1), (normal(2, 3),)),
    Case("acosh", torch.acosh, (normal(2) + 3,), "does not implement"),
    Case("rand", lambda x: torch.rand(x.shape) + x, (normal(2),)),
    Case("randn", lambda x: torch.randn(x.shape) + x, (normal(2),)),
    Case(
        "scaled addmm",
        lambda a, b, c: torch.addmm(a, b, c, beta=2, alpha=3),
        (normal(3, 5), normal(3, 4), normal(4, 5)),
    ),
    Case("addmm", torch.addmm, (normal(3, 5), normal(3, 4), normal(4, 5))),
    *(Case(f"int {name}", getattr(torch, name), (whole(2, 3),)) for name in FLOATS),
    *(Case(f"float {name}", getattr(torch, name), (normal(2, 3),)) for name in FLOATS),
    Case("int and", lambda x: x & 3, (whole(2, 3),), "bool tensors only"),
    Case("int not", torch.bitwise_not, (whole(2, 3),)),
    Case("bool and", lambda x, y: (x > 0) & (y > 0), (normal(3), normal(3))),
    Case("hardshrink is decomposed", F.hardshrink, (normal(3),)),
    Case("mse is decomposed", F.mse_loss, (normal(2, 8), normal(2, 8))),
    Case("cosine similarity is decomposed", F.cosine_similarity, (normal(2, 8), normal(2, 8))),
    Case(
        "lerp",
        lambda x, y: torch.lerp(x, y, 0.3),
        (normal(3), normal(3)),
        None,
        ct.target.iOS18,
    ),
    Case("unbatched", F.conv2d, (normal(3, 8, 8), normal(4, 3, 3, 3))),
    Case("vector", torch.matmul, (normal(3, 4), normal(4))),
    Case("pool indices", lambda x: F.max_pool2d(x, 2, return_indices=True), (IMAGE,)),
    Case("dilated pool", lambda x: F.max_pool2d(x, 2, dilation=2), (IMAGE,)),
    Case("pool with default stride", lambda x: F.max_pool2d(x, 2), (IMAGE,)),
    Case("pool", nn.MaxPool2d(3, 2, 1), (IMAGE,)),
    Case("pool of 1 dimension", lambda x: F.max_pool1d(x, 2), (normal(1, 3, 8),)),
    Case("divisor", lambda x: F.avg_pool2d(x, 2, divisor_override=3), (IMAGE,)),
    Case("average", lambda x: F.avg_pool2d(x, 2), (IMAGE,)),
    Case("crop", lambda x: F.pad(x, (-1, 1)), (normal(1, 3, 8),)),
    Case("circular is decomposed", lambda x: F.pad(x, (1, 1), mode="circular"), (normal(1, 3, 8),)),
    Case("reflect", lambda x: F.pad(x, (1, 1), mode="reflect"), (normal(1, 3, 8),)),
    Case("attention", attention(), tuple(normal(1, 4, 5, 8) for _ in range(3))),
    Case(
        "grouped attention",
        attention(enable_gqa=True),
        (normal(1, 4, 5, 8), normal(1, 2, 5, 8), normal(1, 2, 5, 8)),
    ),
    Case("pixel_unshuffle", lambda x: F.pixel_unshuffle(x, 2), (IMAGE,), None, ct.target.iOS16),
    Case("pixel_unshuffle is decomposed", lambda x: F.pixel_unshuffle(x, 2) * 2, (IMAGE,)),
    # Every op -----------------------------------------------------------------------------------
    Case("uint8 in", lambda x: x.float() / 255, (torch.ones(2, 3, dtype=torch.uint8),)),
    Case("uint8 wraps", torch.neg, (torch.ones(2, 3, dtype=torch.uint8),), "does not wrap"),
    Case("int8 in", lambda x: x + 1, (torch.ones(2, 3, dtype=torch.int8),), "gives int8"),
    Case("bfloat16 in", lambda x: x * 2, (normal(2, 3).bfloat16(),), DTYPE),
    Case("bfloat16 within", lambda x: x.bfloat16() + 1, (normal(2, 3),), DTYPE),
    Case("int8 out", lambda x: (x * 2).to(torch.int8), (normal(2, 3),), "gives int8"),
    Case("int8 within", lambda x: (x * 2).to(torch.int8).float() + 1, (normal(2, 3),)),
    Case("int16 out", lambda x: (x * 2).to(torch.int16), (normal(2, 3),)),
    Case("float64 in", lambda x: x * 2, (normal(2, 3).double(),)),
    Case("int32 in", lambda x: x * 2, (whole(2, 3).int(),)),
    Case("bool in", lambda x: ~x, (normal(2, 3) > 0,)),
    Case("float16 in", lambda x: x * 2, (normal(2, 3).half(),), None, ct.target.iOS15),
    Case("float16 at iOS16", lambda x: x * 2, (normal(2, 3).half(),), None, ct.target.iOS16),
    Case("rank 6 out", lambda x: x.view(1, 2, 1, 2, 1, 3), (normal(2, 2, 3),), RANK),
    Case("rank 6 in", lambda x: x.sum(0), (normal(1, 2, 1, 2, 1, 3),), RANK),
    Case(
        "window partition",
        lambda x: x.view(1, 2, 4, 2, 4, 3).permute(0, 1, 3, 2, 4, 5).reshape(-1, 4, 4, 3) + 1,
        (normal(1, 8, 8, 3),),
    ),
    Case(
        "rank 6 between other ops",
        lambda x: (x.view(1, 2, 4, 2, 4, 3) * 2).permute(0, 1, 3, 2, 4, 5).reshape(-1, 4, 4, 3),
        (normal(1, 8, 8, 3),),
    ),
    Case(
        "to channels_last",
        lambda x: F.relu(x.to(memory_format=torch.channels_last)),
        (IMAGE,),
    ),
    Case("rank 0", lambda x: x * 2, (torch.tensor(3.0),)),
    Case("no converter", lambda x: torch.nextafter(x, x), (normal(2),), "no converter"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case) -> None:
    module = case.function if isinstance(case.function, nn.Module) else Call(case.function)
    partitioner = CoreMLPartitioner(
        compile_specs=CoreMLBackend.generate_compile_specs(minimum_deployment_target=case.target)
    )
    program = torch.export.export(module.eval(), case.inputs)
    edge = to_edge_transform_and_lower(program, partitioner=[partitioner])
    reasons = [str(each.reason) for each in partitioner.report.left_out]
    if case.reason is None:
        assert not reasons
        assert partitioner.report.delegated
    else:
        assert any(case.reason in reason for reason in reasons), reasons
    assert edge.to_executorch().buffer


def test_what_makes_no_value_stays_outside() -> None:
    exported = torch.export.export(Call(lambda x: x.to(torch.float16)), (normal(2),))
    checks = [
        support.why_not(node, support.Setting(ct.target.iOS18))
        for node in exported.run_decompositions({}).graph.nodes
        if node.op == "call_function" and "_assert_tensor_metadata" in str(node.target)
    ]
    assert checks == ["the op makes no value: Core ML checks nothing while it runs"]


def test_no_family_is_left_out() -> None:
    folder = Path(support.__file__).parent
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__", "general", "rule"}
    assert modules == {family.__name__.rpartition(".")[2] for family in FAMILIES}


@pytest.mark.parametrize("rule", [*GENERAL_RULES, *OP_RULES], ids=lambda rule: rule.reason)
def test_rules_say_why_and_where(rule: Any) -> None:
    assert rule.reason
    assert not rule.reason.endswith(".")
    assert rule.link
    assert rule.verified == f"coremltools {ct.__version__}"


@pytest.mark.parametrize("name", sorted({name for rule in OP_RULES for name in rule.ops}))
def test_rules_are_about_ops_that_exist(name: str) -> None:
    namespace, op, overload = name.split(".")
    assert getattr(getattr(getattr(torch.ops, namespace), op), overload)
