"""Two backends of one name in a process: ours is used for ours, or an error says so.

Each order of imports needs a process of its own. The oracle for "whose" is the identifier in the
blob: ours ends in the 64 digits of a SHA-256, executorch's is a UUID.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

OURS = "from etcoreml.partition import CoreMLPartitioner as Ours"
THEIRS = "from executorch.backends.apple.coreml.partition import CoreMLPartitioner as Theirs"

PRELUDE = """
import json, re, torch
from executorch.exir import to_edge, to_edge_transform_and_lower
from executorch.exir.backend.backend_api import to_backend
from etcoreml.blob import read_blob
from etcoreml.errors import BackendConflictError

program = torch.export.export(torch.nn.Linear(4, 2).eval(), (torch.randn(3, 4),))

def whose(graph_module):
    lowered = graph_module.get_submodule("lowered_module_0")
    metadata = json.loads(bytes(read_blob(lowered.processed_bytes).read("metadata.json")))
    return "ours" if re.fullmatch("executorch_[0-9a-f]{64}", metadata["identifier"]) else "theirs"

def transformed(partitioner):
    return to_edge_transform_and_lower(program, partitioner=[partitioner])
"""


def run(*lines: str) -> str:
    """Run a script in a fresh process and return the last line it prints."""
    script = "\n".join((*lines[:2], PRELUDE, *lines[2:]))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("imports", [(OURS, THEIRS), (THEIRS, OURS)], ids=["last", "first"])
def test_ours_is_used_for_our_partitioner(imports: tuple[str, str]) -> None:
    line = "print(whose(transformed(Ours()).exported_program().graph_module))"
    assert run(*imports, line) == "ours"


def test_ours_is_used_after_theirs_was_refused() -> None:
    outcome = run(
        THEIRS,
        OURS,
        "try: transformed(Theirs())",
        "except BackendConflictError: edge = transformed(Ours())",
        "print(whose(edge.exported_program().graph_module))",
    )
    assert outcome == "ours"


@pytest.mark.parametrize("imports", [(OURS, THEIRS), (THEIRS, OURS)], ids=["last", "first"])
def test_theirs_is_not_hijacked(imports: tuple[str, str]) -> None:
    """Their partitioner gets their backend, or the error that names both."""
    outcome = run(
        *imports,
        "try: print(whose(transformed(Theirs()).exported_program().graph_module))",
        "except BackendConflictError as error: print('refused', error.found)",
    )
    if imports[0] == OURS:  # theirs was imported last and is found
        assert outcome == "theirs"
    else:
        assert outcome.startswith("refused")
        assert "executorch.backends.apple.coreml" in outcome
        assert "etcoreml.compiler.backend.CoreMLBackend" in outcome


@pytest.mark.parametrize(
    ("imports", "expected"), [((OURS, THEIRS), "ours"), ((THEIRS, OURS), "refused")]
)
def test_the_way_that_takes_the_first_class(imports: tuple[str, str], expected: str) -> None:
    assert (
        run(
            *imports,
            "edge = to_edge(program).exported_program()",
            "try: print(whose(to_backend(edge, Ours()).graph_module))",
            "except BackendConflictError: print('refused')",
        )
        == expected
    )


def test_the_way_that_takes_the_first_class_does_not_hijack_theirs() -> None:
    outcome = run(
        OURS,
        THEIRS,
        "edge = to_edge(program).exported_program()",
        "try: print(whose(to_backend(edge, Theirs()).graph_module))",
        "except BackendConflictError: print('refused')",
    )
    assert outcome == "refused"


def test_a_call_of_the_class_itself_means_ours() -> None:
    outcome = run(
        THEIRS,
        "from etcoreml.compiler import CoreMLBackend",
        "edge = to_edge(program).exported_program()",
        "from types import SimpleNamespace as S",
        "result = CoreMLBackend.preprocess(edge, CoreMLBackend.generate_compile_specs())",
        "print(whose(S(get_submodule=lambda name: result)))",
    )
    assert outcome == "ours"


def test_alone_nothing_is_in_the_way() -> None:
    line = "print(whose(transformed(Ours()).exported_program().graph_module))"
    assert run(OURS, "", line) == "ours"
