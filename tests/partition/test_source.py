"""Lines of the model's source: from torch's traces, real and hand-made.

Oracle: this file's own lines.
"""

from __future__ import annotations

import inspect
import os
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.fx import Graph, Node

from etcoreml.partition.source import Source, module_of, source_of


class Block(nn.Module):
    """A module with a line of its own around one of torch's."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x)


class Net(nn.Module):
    """Two levels."""

    def __init__(self) -> None:
        super().__init__()
        self.block = Block()

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x).cos()


def calls(module: nn.Module) -> dict[str, Node]:
    program = torch.export.export(module, (torch.zeros(2, 3),))
    return {str(node.target): node for node in program.graph.nodes if node.op == "call_function"}


def node_with(trace: object) -> Node:
    node = Graph().placeholder("x")
    node.meta["stack_trace"] = trace
    return node


def test_the_innermost_line_that_is_not_of_torch() -> None:
    nodes = calls(Net())
    source = source_of(nodes["aten.linear.default"])
    lines, first = inspect.getsourcelines(Block)
    assert source == Source(__file__, first + len(lines) - 1, "forward", "return self.linear(x)")
    cos = source_of(nodes["aten.cos.default"])
    assert cos is not None
    assert cos.code == "return self.block(x).cos()"


def test_module_paths() -> None:
    nodes = calls(Net())
    assert module_of(nodes["aten.linear.default"]) == "block.linear"
    assert module_of(nodes["aten.cos.default"]) == ""
    assert module_of(Graph().placeholder("x")) == ""


def test_a_model_of_torch_modules_has_no_line() -> None:
    node = calls(nn.Sequential(nn.Linear(3, 3)))["aten.linear.default"]
    assert source_of(node) is None
    assert module_of(node) == "0"


@pytest.mark.parametrize("trace", [None, "", "nothing like a trace", 3])
def test_no_trace(trace: object) -> None:
    assert source_of(node_with(trace)) is None


def test_markers_and_missing_lines_of_code() -> None:
    marked = 'File "/m/net.py", line 3, in forward\n    y = f(x)\n        ^^^^\n'
    assert source_of(node_with(marked)) == Source("/m/net.py", 3, "forward", "y = f(x)")
    bare = 'File "/m/net.py", line 3, in forward\n'
    assert source_of(node_with(bare)) == Source("/m/net.py", 3, "forward", "")


def test_what_torch_inserts_has_no_place() -> None:
    node = node_with('  File "torch/fx/passes/runtime_assert.py", line 24, in insert_asserts\n')
    node.meta["nn_module_stack"] = {"x": ("_empty_nn_module_stack_from_metadata_hook", "")}
    assert source_of(node) is None
    assert module_of(node) == ""


def test_other_packages_are_the_model() -> None:
    own = '  File "/v/lib/site-packages/transformers/models/bert.py", line 7, in forward\n    a\n'
    torch_line = '  File "/v/lib/site-packages/torch/nn/functional.py", line 9, in softmax\n    b\n'
    source = source_of(node_with(own + torch_line))
    assert source is not None
    assert str(source) == f"transformers{os.sep}models{os.sep}bert.py:7"


def test_paths_are_shown_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert str(Source(str(tmp_path / "net.py"), 2, "f")) == "net.py:2"
    assert str(Source("/elsewhere/net.py", 2, "f")) == "/elsewhere/net.py:2"
